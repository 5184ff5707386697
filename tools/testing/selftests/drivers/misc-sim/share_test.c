// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that overlap: readers and writers of one device, and threads that share a file
 *
 * A missing page stops a call in the middle of its copy.
 */

#include "blocked.h"
#include "message.h"
#include "stamp.h"
#include "variants.h"

#define RACES		200	/* or as many as there are by the deadline */

FIXTURE(share) {
	int fd;			/* has read nothing yet */
};

DRIVER_VARIANTS(share);

FIXTURE_SETUP(share)
{
	if (load_driver(_metadata, variant->driver))
		self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
}

FIXTURE_TEARDOWN(share)
{
}

/* Readers and writers */

TEST_F(share, read_is_never_torn)
{
	int probe = open_node(_metadata, variant->driver->node, O_RDONLY);
	long long deadline = now_ms() + DEADLINE_MS;
	bool stop = false, by_pread = false;
	union stamped message, newer;
	__u32 torn = 0, races = 0;
	struct writer writers[3];
	ssize_t length, ret;
	__u32 last[4] = {};	/* sequence number by writer */
	int fd;

	publish(_metadata, self->fd, &message, make_stamp(&message.stamp, 3, 0));
	start_writers(_metadata, variant->driver->node, writers, ARRAY_SIZE(writers), &stop);
	while (races < RACES && now_ms() < deadline) {
		fd = by_pread ? self->fd : open_node(_metadata, variant->driver->node, O_RDONLY);
		for (length = 0; length < (ssize_t)sizeof(message); length++) {
			ret = by_pread ? pread(fd, message.bytes + length, 1, length) :
					 read(fd, message.bytes + length, 1);
			if (ret != 1)
				break;
		}
		EXPECT_EQ(0, ret);
		if (!by_pread)
			close(fd);
		by_pread = !by_pread;
		if (!stamp_is_whole(&message.stamp, length)) {
			torn++;
			continue;
		}
		ASSERT_GT(ARRAY_SIZE(last), message.stamp.writer);
		EXPECT_LE(last[message.stamp.writer], message.stamp.sequence);
		last[message.stamp.writer] = message.stamp.sequence;
		ASSERT_LT(0, pread(probe, &newer, sizeof(newer), 0));
		races += newer.stamp.sum != message.stamp.sum;
	}
	stop_writers(_metadata, writers, ARRAY_SIZE(writers), &stop);
	EXPECT_EQ(0, torn);
	EXPECT_LT(0, races);
}

TEST_F(share, read_stays_with_its_message_while_it_faults)
{
	int other = open_node(_metadata, variant->driver->node, O_RDWR);
	struct blocked call = { .call = blocked_read, .fd = self->fd, .length = TEXT_LEN };
	struct hole hole;
	int i;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	publish(_metadata, other, text, TEXT_LEN);
	call.buf = hole.page - 4;
	start_call(_metadata, &call);
	await_fault(_metadata, &hole);

	publish(_metadata, other, "ABCDEFGHIJ", 10);
	expect_current(_metadata, variant->driver->node, "ABCDEFGHIJ", 10);

	/* If the message were freed, one of these would reuse its memory. */
	for (i = 0; i < RACES; i++)
		publish(_metadata, other, "xxxxxxxxxxxxxxxx", TEXT_LEN);

	fill_hole(_metadata, &hole, "", 0);
	expect_returned(_metadata, &call, text, TEXT_LEN);
}

TEST_F(share, write_publishes_at_once)
{
	int other = open_node(_metadata, variant->driver->node, O_RDWR);
	struct blocked call = { .call = blocked_write, .fd = self->fd, .length = 10 };
	struct hole hole;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	leave_midway(_metadata, other);
	memcpy(hole.page - 4, "ABCD", 4);
	call.buf = hole.page - 4;
	start_call(_metadata, &call);
	await_fault(_metadata, &hole);
	expect_midway(_metadata, other, variant->driver->node);
	publish(_metadata, other, "does not wait", 13);
	expect_current(_metadata, variant->driver->node, "does not wait", 13);

	fill_hole(_metadata, &hole, "EFGHIJ", 6);
	finish_blocked(_metadata, &call);
	EXPECT_EQ(10, call.ret);
	expect_current(_metadata, variant->driver->node, "ABCDEFGHIJ", 10);
}

/* Threads that share a file */

/*
 * Character devices get no lock for the file position, so both threads read the same
 * bytes. No byte is lost.
 */
TEST_F(share, position)
{
	struct blocked call = { .call = blocked_read, .fd = self->fd, .length = 4 };
	struct holder holder;

	leave_midway(_metadata, self->fd);
	if (!hold_file(_metadata, &holder, self->fd))
		return;
	start_blocked(_metadata, &call);
	release_file(_metadata, &holder, text + TEXT_POS);
	expect_returned(_metadata, &call, text + TEXT_POS, 4);
	expect_rest(_metadata, self->fd, text + TEXT_POS + 4, TEXT_LEN - TEXT_POS - 4);
}

TEST_F(share, wait_is_interrupted)
{
	struct blocked call = { .call = blocked_read, .fd = self->fd };
	struct holder holder;

	publish(_metadata, self->fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, self->fd))
		return;
	start_blocked(_metadata, &call);
	interrupt(_metadata, &call, 0);
	expect_failed(_metadata, &call, EINTR);
	release_file(_metadata, &holder, text);
	expect_rest(_metadata, self->fd, text + 4, TEXT_LEN - 4);
}

TEST_F(share, wait_is_restarted)
{
	struct blocked call = { .call = blocked_read, .fd = self->fd, .length = 4 };
	struct holder holder;

	publish(_metadata, self->fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, self->fd))
		return;
	start_blocked(_metadata, &call);
	interrupt(_metadata, &call, SA_RESTART);
	await_blocked(_metadata, &call);
	release_file(_metadata, &holder, text);
	expect_returned(_metadata, &call, text, 4);
}

/* The child inherits the file and waits for the reader in this process. */
TEST_F(share, wait_is_killed)
{
	struct holder holder;
	pid_t pid;
	int code;
	char c;

	publish(_metadata, self->fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, self->fd))
		return;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(read(self->fd, &c, 1));
	await_state(_metadata, pid, 'S');
	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(SIGKILL, await_exit(_metadata, pid, &code));
	EXPECT_EQ(CLD_KILLED, code);
	release_file(_metadata, &holder, text);
}

struct reader {
	pthread_t thread;
	int fd;
	__u32 torn;
	__u32 races;
};

static void *keep_reading(void *arg)
{
	long long deadline = now_ms() + DEADLINE_MS / 2;	/* before that of join_thread() */
	struct reader *reader = arg;
	union stamped message;
	__u32 last = 0;
	ssize_t ret;

	while (reader->races < RACES && now_ms() < deadline) {
		ret = pread(reader->fd, &message, sizeof(message), 0);
		reader->torn += !stamp_is_whole(&message.stamp, ret);
		reader->races += message.stamp.sum != last;
		last = message.stamp.sum;
	}
	return NULL;
}

TEST_F(share, pinned_message)
{
	struct reader readers[2] = {};
	struct writer writers[1];
	union stamped message;
	bool stop = false;
	unsigned int i;

	publish(_metadata, self->fd, &message, make_stamp(&message.stamp, 9, 9));
	start_writers(_metadata, variant->driver->node, writers, ARRAY_SIZE(writers), &stop);
	for (i = 0; i < ARRAY_SIZE(readers); i++) {
		readers[i].fd = self->fd;
		ASSERT_EQ(0, pthread_create(&readers[i].thread, NULL,
					    keep_reading, &readers[i]));
	}
	for (i = 0; i < ARRAY_SIZE(readers); i++) {
		join_thread(_metadata, readers[i].thread);
		EXPECT_EQ(0, readers[i].torn);
		/* The first message counts, too. */
		EXPECT_LT(1, readers[i].races);
	}
	stop_writers(_metadata, writers, ARRAY_SIZE(writers), &stop);
}

TEST_HARNESS_MAIN
