// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the simulated misc device: one case for each sentence of
 * Documentation/misc-devices/misc-sim.rst
 *
 * Each case publishes the messages that it needs, so it does not matter how the
 * device was used before. Where two calls must overlap, a missing page
 * (userfaultfd) stops one of them in the middle of its copy.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <linux/misc-sim.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include "blocked.h"
#include "helpers.h"

#define LOADS		100	/* or as many as there are by the deadline */
#define RACES		200	/* likewise */

#define MISC_MAJOR	10

FIXTURE(misc_sim) {
	int fd;			/* for reading and writing; has read nothing yet */
	size_t capacity;
};

DRIVER_VARIANTS(misc_sim);

FIXTURE_SETUP(misc_sim)
{
	self->fd = -1;
	if (!load_driver(_metadata, variant->driver))
		return;
	self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
	self->capacity = get_info(_metadata, self->fd).capacity;
}

FIXTURE_TEARDOWN(misc_sim)
{
	if (self->fd >= 0)
		close(self->fd);
}

TEST_F(misc_sim, greeting)
{
	const struct driver *driver = variant->driver;
	int file = open_module(driver->module);
	struct misc_sim_info info;
	bool idle;

	close(self->fd);
	idle = file >= 0 && !module_references(driver);
	if (idle) {
		ASSERT_EQ(0, unload(driver->module));
		ASSERT_EQ(0, load_from(file, driver->module));
	}
	self->fd = open_node(_metadata, driver->node, O_RDWR);
	info = get_info(_metadata, self->fd);
	if (!idle && info.generation != 1)
		SKIP(return, "used before, and no idle module to load again");

	EXPECT_EQ(1, info.generation);
	EXPECT_EQ(0, info.seen);
	EXPECT_EQ(strlen(driver->greeting), info.length);
	EXPECT_EQ(4096, info.capacity);
	expect_rest(_metadata, self->fd, driver->greeting, info.length);
	EXPECT_EQ(1, get_info(_metadata, self->fd).seen);
}

TEST_F(misc_sim, node)
{
	struct stat st;

	ASSERT_EQ(0, stat(variant->driver->node, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(MISC_MAJOR, major(st.st_rdev));
}

/* As another user, without the capabilities of root. */
TEST_F(misc_sim, open_by_other_user)
{
	pid_t pid = fork();
	int status;

	ASSERT_LE(0, pid);
	if (!pid) {
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(1);
		if (open(variant->driver->node, O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
			_exit(2);
		if (open(variant->driver->node, O_WRONLY | O_CLOEXEC) >= 0 || errno != EACCES)
			_exit(3);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(misc_sim, open_mode)
{
	int reader = open_node(_metadata, variant->driver->node, O_RDONLY);
	int writer = open_node(_metadata, variant->driver->node, O_WRONLY);
	char buf[4];

	EXPECT_ERRNO(EBADF, write(reader, text, TEXT_LEN));
	EXPECT_ERRNO(EBADF, read(writer, buf, sizeof(buf)));
	publish(_metadata, writer, text, TEXT_LEN);
	expect_rest(_metadata, reader, text, TEXT_LEN);
}

/* read */

TEST_F(misc_sim, read_in_steps)
{
	unsigned int i;
	char c;

	publish(_metadata, self->fd, text, TEXT_LEN);
	for (i = 0; i < TEXT_LEN; i++) {
		c = POISON;
		EXPECT_EQ(1, read(self->fd, &c, 1));
		EXPECT_EQ(text[i], c);
	}
	EXPECT_EQ(0, read(self->fd, &c, 1));
	EXPECT_EQ(0, read(self->fd, &c, 1));
}

TEST_F(misc_sim, read_stays_with_its_message)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);

	start_reading(_metadata, self->fd);
	publish(_metadata, other, "other", 5);
	publish(_metadata, other, "another, longer than it", 23);
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
	expect_current(_metadata, variant->driver->node, "another, longer than it", 23);
}

/* A read of 0 bytes does not pin: the next read at 0 returns the later message. */
TEST_F(misc_sim, read_nothing)
{
	int fd = open_node(_metadata, variant->driver->node, O_RDONLY);
	char c = POISON;

	publish(_metadata, self->fd, "old", 3);
	EXPECT_EQ(0, read(fd, &c, 0));
	EXPECT_EQ(0, pread(fd, &c, 0, 100));
	EXPECT_EQ(POISON, (unsigned char)c);
	EXPECT_EQ(0, get_info(_metadata, fd).seen);
	publish(_metadata, self->fd, text, TEXT_LEN);
	expect_rest(_metadata, fd, text, TEXT_LEN);
}

TEST_F(misc_sim, read_bad_pointer)
{
	char *bad = bad_page(_metadata);
	struct misc_sim_info before = start_reading(_metadata, self->fd);

	EXPECT_ERRNO(EFAULT, read(self->fd, bad, TEXT_LEN));
	EXPECT_ERRNO(EFAULT, pread(self->fd, bad, 1, 0));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(misc_sim, read_partly_bad_pointer)
{
	char *bad = bad_page(_metadata);
	unsigned int good;
	int fd;

	publish(_metadata, self->fd, text, TEXT_LEN);
	for (good = 1; good < TEXT_LEN; good++) {
		fd = open_node(_metadata, variant->driver->node, O_RDONLY);
		memset(bad - good, POISON, good);
		EXPECT_EQ(good, read(fd, bad - good, 2 * TEXT_LEN));
		EXPECT_EQ(0, memcmp(text, bad - good, good));
		EXPECT_EQ(0, get_info(_metadata, fd).seen);
		expect_rest(_metadata, fd, text + good, TEXT_LEN - good);
		close(fd);
	}
}

TEST_F(misc_sim, read_fits_before_bad_page)
{
	char *bad = bad_page(_metadata);

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, read(self->fd, bad - TEXT_LEN, self->capacity));
	EXPECT_EQ(0, memcmp(text, bad - TEXT_LEN, TEXT_LEN));
}

TEST_F(misc_sim, seen)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	char buf[TEXT_LEN];

	EXPECT_GT(before.generation, before.seen);
	EXPECT_EQ(TEXT_LEN - TEXT_POS - 1,
		  read(self->fd, buf, TEXT_LEN - TEXT_POS - 1));
	EXPECT_EQ(before.seen, get_info(_metadata, self->fd).seen);
	EXPECT_EQ(1, read(self->fd, buf, 1));
	EXPECT_EQ(before.generation, get_info(_metadata, self->fd).seen);
}

TEST_F(misc_sim, seen_at_end_of_file)
{
	int fd = open_node(_metadata, variant->driver->node, O_RDONLY);
	char c;

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(0, pread(fd, &c, 1, TEXT_LEN));
	EXPECT_EQ(get_info(_metadata, fd).generation,
		  get_info(_metadata, fd).seen);
}

TEST_F(misc_sim, pread_keeps_position)
{
	char buf[TEXT_LEN];

	start_reading(_metadata, self->fd);
	EXPECT_EQ(4, pread(self->fd, buf, 4, 0));
	EXPECT_EQ(0, memcmp(text, buf, 4));
	EXPECT_EQ(2, pread(self->fd, buf, 4, TEXT_LEN - 2));
	EXPECT_EQ(0, memcmp(text + TEXT_LEN - 2, buf, 2));
	EXPECT_EQ(0, pread(self->fd, buf, 4, TEXT_LEN));
	EXPECT_EQ(0, pread(self->fd, buf, 4, 1LL << 31));
	EXPECT_ERRNO(EINVAL, pread(self->fd, buf, 4, -1));
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
}

TEST_F(misc_sim, pread_pins_at_0_only)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);
	char c;

	start_reading(_metadata, self->fd);
	publish(_metadata, other, "ABCDEFGHIJ", 10);
	EXPECT_EQ(1, pread(self->fd, &c, 1, 1));
	EXPECT_EQ('1', c);
	EXPECT_EQ(1, pread(self->fd, &c, 1, 0));
	EXPECT_EQ('A', c);
	expect_rest(_metadata, self->fd, "FGHIJ", 5);
}

TEST_F(misc_sim, pread_pins_when_nothing_is)
{
	int fd = open_node(_metadata, variant->driver->node, O_RDONLY);
	char c;

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(1, pread(fd, &c, 1, 3));
	EXPECT_EQ('3', c);
	publish(_metadata, self->fd, "ABCDEFGHIJ", 10);
	EXPECT_EQ(1, pread(fd, &c, 1, 4));
	EXPECT_EQ('4', c);
	expect_rest(_metadata, fd, "ABCDEFGHIJ", 10);
}

TEST_F(misc_sim, lseek)
{
	char buf[TEXT_LEN];

	start_reading(_metadata, self->fd);
	EXPECT_EQ(TEXT_POS, lseek(self->fd, 0, SEEK_CUR));
	EXPECT_EQ(TEXT_POS + 3, lseek(self->fd, 3, SEEK_CUR));
	EXPECT_EQ(2, read(self->fd, buf, 2));
	EXPECT_EQ(0, memcmp(text + TEXT_POS + 3, buf, 2));
	EXPECT_EQ(TEXT_POS, lseek(self->fd, -5, SEEK_CUR));
	EXPECT_EQ(2, lseek(self->fd, 2, SEEK_SET));
	expect_rest(_metadata, self->fd, text + 2, TEXT_LEN - 2);
	EXPECT_EQ(TEXT_LEN, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(misc_sim, lseek_refused)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);

	EXPECT_ERRNO(EINVAL, lseek(self->fd, 0, SEEK_END));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, -1, SEEK_END));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, 0, SEEK_DATA));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, 0, SEEK_HOLE));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, -1, SEEK_SET));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, -1 - TEXT_POS, SEEK_CUR));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(misc_sim, lseek_beyond_message)
{
	char c = POISON;

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(1LL << 31, lseek(self->fd, 1LL << 31, SEEK_SET));
	EXPECT_EQ(0, read(self->fd, &c, 1));
	EXPECT_EQ(POISON, (unsigned char)c);
	EXPECT_EQ(1LL << 31, lseek(self->fd, 0, SEEK_CUR));
}

/* Only reading at 0 pins, so going there and back changes nothing. */
TEST_F(misc_sim, lseek_does_not_pin)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);

	start_reading(_metadata, self->fd);
	publish(_metadata, other, "new", 3);
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(TEXT_POS, lseek(self->fd, TEXT_POS, SEEK_SET));
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	expect_rest(_metadata, self->fd, "new", 3);
}

TEST_F(misc_sim, positions_are_independent)
{
	int one = open_node(_metadata, variant->driver->node, O_RDONLY);
	int two = open_node(_metadata, variant->driver->node, O_RDONLY);
	char buf[TEXT_LEN];

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(3, read(one, buf, 3));
	EXPECT_EQ(7, read(two, buf, 7));
	expect_rest(_metadata, one, text + 3, TEXT_LEN - 3);
	expect_rest(_metadata, two, text + 7, TEXT_LEN - 7);
}

TEST_F(misc_sim, read_is_never_torn)
{
	long long deadline = now_ms() + DEADLINE_MS;
	union stamped message;
	struct misc_sim_info info;
	struct writer writers[3];
	bool stop = false, by_pread = false;
	__u32 torn = 0, races = 0;
	__u64 last = 0;
	ssize_t length, ret;
	int fd;

	publish(_metadata, self->fd, &message, make_stamp(&message.stamp, 9, 9));
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
		info = get_info(_metadata, fd);
		torn += !stamp_is_whole(&message.stamp, length);
		races += info.generation > info.seen;
		EXPECT_LE(last, info.seen);
		last = info.seen;
		if (!by_pread)
			close(fd);
		by_pread = !by_pread;
	}
	stop_writers(_metadata, writers, ARRAY_SIZE(writers), &stop);
	EXPECT_EQ(0, torn);
	EXPECT_LT(0, races);
}

TEST_F(misc_sim, read_stays_with_its_message_while_it_faults)
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

	/* If the message were freed, these would be in its memory. */
	for (i = 0; i < RACES; i++)
		publish(_metadata, other, "xxxxxxxxxxxxxxxx", TEXT_LEN);

	fill_hole(_metadata, &hole, "", 0);
	expect_returned(_metadata, &call, text, TEXT_LEN);
}

/*
 * No lock guards the position of a character device, so both threads get the same
 * bytes. None is lost.
 */
TEST_F(misc_sim, two_threads_share_a_position)
{
	struct blocked call = { .call = blocked_read, .fd = self->fd, .length = 4 };
	struct holder holder;

	start_reading(_metadata, self->fd);
	if (!hold_file(_metadata, &holder, self->fd))
		return;
	start_blocked(_metadata, &call);
	release_file(_metadata, &holder, text + TEXT_POS);
	expect_returned(_metadata, &call, text + TEXT_POS, 4);
	expect_rest(_metadata, self->fd, text + TEXT_POS + 4, TEXT_LEN - TEXT_POS - 4);
}

TEST_F(misc_sim, wait_for_reader_is_interrupted)
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

TEST_F(misc_sim, wait_for_reader_is_restarted)
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

/* The child inherits the descriptor and waits for the reader in this process. */
TEST_F(misc_sim, wait_for_reader_is_killed)
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
	long long deadline = now_ms() + DEADLINE_MS;
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

TEST_F(misc_sim, two_threads_on_one_file)
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
		EXPECT_LT(0, readers[i].races);
	}
	stop_writers(_metadata, writers, ARRAY_SIZE(writers), &stop);
}

/* write */

TEST_F(misc_sim, write_then_read)
{
	__u64 generation = get_info(_metadata, self->fd).generation;

	start_reading(_metadata, self->fd);
	publish(_metadata, self->fd, "new", 3);
	EXPECT_EQ(generation + 2, get_info(_metadata, self->fd).generation);
	EXPECT_EQ(3, get_info(_metadata, self->fd).length);
	expect_rest(_metadata, self->fd, "new", 3);
	publish(_metadata, self->fd, text, TEXT_LEN);
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
}

TEST_F(misc_sim, write_keeps_other_positions)
{
	int other = open_node(_metadata, variant->driver->node, O_RDWR);

	start_reading(_metadata, self->fd);
	publish(_metadata, other, "new", 3);
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
}

TEST_F(misc_sim, write_capacity)
{
	char *buf = malloc(self->capacity);
	size_t i;

	ASSERT_TRUE(!!buf);
	for (i = 0; i < self->capacity; i++)
		buf[i] = i * 7 + i / 256;
	publish(_metadata, self->fd, buf, self->capacity);
	EXPECT_EQ(self->capacity, get_info(_metadata, self->fd).length);
	expect_rest(_metadata, self->fd, buf, self->capacity);
	free(buf);
}

TEST_F(misc_sim, write_too_long)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	char *buf = calloc(1, self->capacity + 1);

	ASSERT_TRUE(!!buf);
	EXPECT_ERRNO(EMSGSIZE, write(self->fd, buf, self->capacity + 1));
	EXPECT_ERRNO(EMSGSIZE, write(self->fd, bad_page(_metadata), 1 << 26));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
	free(buf);
}

TEST_F(misc_sim, write_bad_pointer)
{
	char *bad = bad_page(_metadata);
	struct misc_sim_info before = start_reading(_metadata, self->fd);

	EXPECT_ERRNO(EFAULT, write(self->fd, bad, TEXT_LEN));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(misc_sim, write_partly_bad_pointer)
{
	char *bad = bad_page(_metadata);
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	unsigned int good;

	for (good = 1; good < 2 * TEXT_LEN; good++)
		EXPECT_ERRNO(EFAULT, write(self->fd, bad - good, good + 1));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(misc_sim, write_nothing)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);

	EXPECT_EQ(0, write(self->fd, "", 0));
	EXPECT_EQ(0, pwrite(self->fd, "", 0, 3));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(misc_sim, pwrite_keeps_position)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);

	EXPECT_EQ(3, pwrite(self->fd, "new", 3, 1000));
	EXPECT_EQ(before.generation + 1, get_info(_metadata, self->fd).generation);
	expect_current(_metadata, variant->driver->node, "new", 3);
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
}

TEST_F(misc_sim, write_publishes_at_once)
{
	int other = open_node(_metadata, variant->driver->node, O_RDWR);
	struct misc_sim_info before = start_reading(_metadata, other);
	struct blocked call = { .call = blocked_write, .fd = self->fd, .length = 10 };
	struct hole hole;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	memcpy(hole.page - 4, "ABCD", 4);
	call.buf = hole.page - 4;
	start_call(_metadata, &call);
	await_fault(_metadata, &hole);
	expect_unchanged(_metadata, other, variant->driver->node, &before);
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, other));
	publish(_metadata, other, "does not wait", 13);

	fill_hole(_metadata, &hole, "EFGHIJ", 6);
	finish_blocked(_metadata, &call);
	EXPECT_EQ(10, call.ret);
	EXPECT_EQ(before.generation + 2, get_info(_metadata, other).generation);
	expect_current(_metadata, variant->driver->node, "ABCDEFGHIJ", 10);
}

/* readv, writev */

TEST_F(misc_sim, readv_scatters)
{
	char a[3], b[TEXT_LEN];
	struct iovec iov[] = { { a, sizeof(a) }, { NULL, 0 }, { b, sizeof(b) } };

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, readv(self->fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(0, memcmp(text, a, sizeof(a)));
	EXPECT_EQ(0, memcmp(text + sizeof(a), b, TEXT_LEN - sizeof(a)));
	EXPECT_EQ(0, readv(self->fd, iov, ARRAY_SIZE(iov)));
}

TEST_F(misc_sim, readv_partly_bad_pointer)
{
	char a[3];
	struct iovec iov[] = { { a, sizeof(a) }, { bad_page(_metadata), 1 } };

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(sizeof(a), readv(self->fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(0, memcmp(text, a, sizeof(a)));
	expect_rest(_metadata, self->fd, text + sizeof(a), TEXT_LEN - sizeof(a));
}

TEST_F(misc_sim, writev_is_one_message)
{
	struct iovec iov[] = { { "one", 3 }, { NULL, 0 }, { "two", 3 }, { "three", 5 } };
	struct misc_sim_info before = start_reading(_metadata, self->fd);

	EXPECT_EQ(11, writev(self->fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(before.generation + 1, get_info(_metadata, self->fd).generation);
	expect_rest(_metadata, self->fd, "onetwothree", 11);
}

TEST_F(misc_sim, writev_fails_whole)
{
	struct iovec bad[] = { { "one", 3 }, { bad_page(_metadata), 1 } };
	struct iovec longer[] = { { "one", 3 }, { NULL, self->capacity - 2 } };
	struct misc_sim_info before = start_reading(_metadata, self->fd);

	longer[1].iov_base = calloc(1, self->capacity);
	ASSERT_TRUE(!!longer[1].iov_base);
	EXPECT_ERRNO(EFAULT, writev(self->fd, bad, ARRAY_SIZE(bad)));
	EXPECT_ERRNO(EMSGSIZE, writev(self->fd, longer, ARRAY_SIZE(longer)));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
	free(longer[1].iov_base);
}

/* poll, select, epoll */

TEST_F(misc_sim, poll)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);
	char c;

	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, self->fd));
	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, self->fd));
	EXPECT_EQ(1, read(self->fd, &c, 1));
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, self->fd));
	expect_rest(_metadata, self->fd, text + 1, TEXT_LEN - 1);
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, self->fd));
	publish(_metadata, other, text, TEXT_LEN);
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, self->fd));

	/* As of an attribute in sysfs: poll, lseek, read. */
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, self->fd));
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, self->fd));
}

/* Having read an old message to its end is not enough. */
TEST_F(misc_sim, poll_after_old_message)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);

	start_reading(_metadata, self->fd);
	publish(_metadata, other, "new", 3);
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, self->fd));
}

TEST_F(misc_sim, poll_empty_message)
{
	int fd = open_node(_metadata, variant->driver->node, O_RDONLY);

	ASSERT_EQ(0, replace(self->fd, get_info(_metadata, self->fd).generation, NULL, 0));
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, fd));
	expect_rest(_metadata, fd, "", 0);
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, fd));
}

/* Has no timeout, because poll() checks the file again when it expires. */
static ssize_t blocked_poll_pri(struct blocked *blocked)
{
	struct pollfd pollfd = { .fd = blocked->fd, .events = POLLPRI };

	return poll(&pollfd, 1, -1) == 1 ? pollfd.revents : -1;
}

TEST_F(misc_sim, poll_wakes_everyone)
{
	struct blocked calls[3] = {};
	unsigned int i;

	publish(_metadata, self->fd, text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		calls[i].call = blocked_poll_pri;
		calls[i].fd = open_node(_metadata, variant->driver->node, O_RDONLY);
		expect_rest(_metadata, calls[i].fd, text, TEXT_LEN);
		start_blocked(_metadata, &calls[i]);
	}
	publish(_metadata, self->fd, "wake", 4);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		finish_blocked(_metadata, &calls[i]);
		EXPECT_EQ(POLLPRI, calls[i].ret);
	}
}

TEST_F(misc_sim, select)
{
	struct timeval no_wait = {};
	fd_set in, out, except;
	int fd = self->fd;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	FD_SET(fd, &except);
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(3, select(fd + 1, &in, &out, &except, &no_wait));
	EXPECT_TRUE(FD_ISSET(fd, &in));
	EXPECT_TRUE(FD_ISSET(fd, &out));
	EXPECT_TRUE(FD_ISSET(fd, &except));

	expect_rest(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(2, select(fd + 1, &in, &out, &except, &no_wait));
	EXPECT_TRUE(FD_ISSET(fd, &in));
	EXPECT_TRUE(FD_ISSET(fd, &out));
	EXPECT_FALSE(FD_ISSET(fd, &except));
}

static ssize_t blocked_select(struct blocked *blocked)
{
	fd_set except;

	FD_ZERO(&except);
	FD_SET(blocked->fd, &except);
	return select(blocked->fd + 1, NULL, NULL, &except, NULL);
}

TEST_F(misc_sim, select_waits_for_exception)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);
	struct blocked call = { .call = blocked_select, .fd = self->fd };

	publish(_metadata, other, text, TEXT_LEN);
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
	start_blocked(_metadata, &call);
	publish(_metadata, other, "new", 3);
	finish_blocked(_metadata, &call);
	EXPECT_EQ(1, call.ret);
}

static int epoll_of(struct __test_metadata *_metadata, int fd, __u32 events)
{
	struct epoll_event event = { .events = events };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	ASSERT_LE(0, epoll);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	return epoll;
}

/* The pending events, 0 for none. */
static __u32 epoll_now(struct __test_metadata *_metadata, int epoll)
{
	struct epoll_event event;
	int ret = epoll_wait(epoll, &event, 1, 0);

	ASSERT_LE(0, ret);
	return ret ? event.events : 0;
}

/* epoll checks a file again only after a wake-up, so this finds a missing one. */
TEST_F(misc_sim, epoll)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);
	int pri, in;

	publish(_metadata, other, text, TEXT_LEN);
	pri = epoll_of(_metadata, self->fd, EPOLLPRI);
	in = epoll_of(_metadata, self->fd, EPOLLIN | EPOLLRDNORM | EPOLLPRI);
	EXPECT_EQ(EPOLLPRI, epoll_now(_metadata, pri));
	EXPECT_EQ(EPOLLPRI, epoll_now(_metadata, pri));
	EXPECT_EQ(EPOLLIN | EPOLLRDNORM | EPOLLPRI, epoll_now(_metadata, in));
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(0, epoll_now(_metadata, pri));
	EXPECT_EQ(EPOLLIN | EPOLLRDNORM, epoll_now(_metadata, in));
	publish(_metadata, other, "new", 3);
	EXPECT_EQ(EPOLLPRI, epoll_now(_metadata, pri));
	EXPECT_EQ(EPOLLIN | EPOLLRDNORM | EPOLLPRI, epoll_now(_metadata, in));
}

TEST_F(misc_sim, epoll_edge_triggered)
{
	static const __u32 events[] = { EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLIN | EPOLLPRI };
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);
	int round, epoll[ARRAY_SIZE(events)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		epoll[i] = epoll_of(_metadata, self->fd, events[i] | EPOLLET);
		EXPECT_EQ(events[i], epoll_now(_metadata, epoll[i]));
	}
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(events); i++)
			EXPECT_EQ(0, epoll_now(_metadata, epoll[i]));
		publish(_metadata, other, text, TEXT_LEN);
		for (i = 0; i < ARRAY_SIZE(events); i++) {
			EXPECT_EQ(events[i], epoll_now(_metadata, epoll[i]));
			EXPECT_EQ(0, epoll_now(_metadata, epoll[i]));
		}
	}
}

TEST_F(misc_sim, epoll_wakes_after_replace)
{
	int epoll;

	publish(_metadata, self->fd, text, TEXT_LEN);
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
	epoll = epoll_of(_metadata, self->fd, EPOLLPRI);
	EXPECT_EQ(0, epoll_now(_metadata, epoll));
	ASSERT_EQ(0, replace(self->fd, get_info(_metadata, self->fd).generation, "new", 3));
	EXPECT_EQ(EPOLLPRI, epoll_now(_metadata, epoll));
}

/* blocked->fd is an epoll instance here. */
static ssize_t blocked_epoll_wait(struct blocked *blocked)
{
	struct epoll_event event;

	return epoll_wait(blocked->fd, &event, 1, -1) == 1 ? (ssize_t)event.events : -1;
}

/* Exclusive waiters on different open files must all be woken. */
TEST_F(misc_sim, epoll_exclusive_wakes_everyone)
{
	struct blocked calls[3] = {};
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		fd = open_node(_metadata, variant->driver->node, O_RDONLY);
		calls[i].call = blocked_epoll_wait;
		calls[i].fd = epoll_of(_metadata, fd, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE);
		EXPECT_EQ(EPOLLIN, epoll_now(_metadata, calls[i].fd));
		start_blocked(_metadata, &calls[i]);
	}
	publish(_metadata, self->fd, text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		finish_blocked(_metadata, &calls[i]);
		EXPECT_EQ(EPOLLIN, calls[i].ret);
	}
}

/* O_NONBLOCK, RWF_NOWAIT */

/* The end of a message is an end of file, not something to wait for. */
TEST_F(misc_sim, nonblock_read_at_end)
{
	int fd = open_node(_metadata, variant->driver->node, O_RDWR | O_NONBLOCK);

	publish(_metadata, fd, text, TEXT_LEN);
	expect_rest(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, fd));
	ASSERT_EQ(0, replace(fd, get_info(_metadata, fd).generation, NULL, 0));
	expect_rest(_metadata, open_node(_metadata, variant->driver->node, O_RDONLY | O_NONBLOCK),
		    "", 0);
}

static ssize_t read_nowait(int fd, void *buf, size_t length, off_t offset)
{
	struct iovec iov = { buf, length };

	return preadv2(fd, &iov, 1, offset, RWF_NOWAIT);
}

static ssize_t write_nowait(int fd, const void *buf, size_t length, off_t offset)
{
	struct iovec iov = { (void *)buf, length };

	return pwritev2(fd, &iov, 1, offset, RWF_NOWAIT);
}

TEST_F(misc_sim, nowait)
{
	__u64 generation = get_info(_metadata, self->fd).generation;
	char buf[TEXT_LEN];

	EXPECT_EQ(TEXT_LEN, write_nowait(self->fd, text, TEXT_LEN, -1));
	EXPECT_EQ(generation + 1, get_info(_metadata, self->fd).generation);
	EXPECT_EQ(TEXT_LEN, read_nowait(self->fd, buf, sizeof(buf), -1));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	EXPECT_EQ(0, read_nowait(self->fd, buf, sizeof(buf), -1));
	EXPECT_EQ(TEXT_LEN - 3, read_nowait(self->fd, buf, sizeof(buf), 3));
	EXPECT_EQ(0, memcmp(text + 3, buf, TEXT_LEN - 3));
}

/* EAGAIN promises a wake-up, which comes when the other reader is done. */
TEST_F(misc_sim, nowait_while_another_reads)
{
	int other = open_node(_metadata, variant->driver->node, O_RDWR);
	int epoll = epoll_of(_metadata, self->fd, EPOLLIN | EPOLLET);
	struct holder holder;
	char buf[4];

	publish(_metadata, other, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, self->fd))
		return;
	EXPECT_EQ(EPOLLIN, epoll_now(_metadata, epoll));
	EXPECT_ERRNO(EAGAIN, read_nowait(self->fd, buf, sizeof(buf), 0));
	EXPECT_ERRNO(EAGAIN, read_nowait(self->fd, buf, sizeof(buf), -1));
	EXPECT_EQ(0, epoll_now(_metadata, epoll));

	/* Other files and writers need not wait. */
	EXPECT_EQ(sizeof(buf), read_nowait(other, buf, sizeof(buf), 0));
	EXPECT_EQ(3, write_nowait(self->fd, "new", 3, 0));
	EXPECT_EQ(EPOLLIN, epoll_now(_metadata, epoll));
	EXPECT_EQ(0, epoll_now(_metadata, epoll));

	release_file(_metadata, &holder, text);
	EXPECT_EQ(EPOLLIN, epoll_now(_metadata, epoll));
	EXPECT_EQ(0, epoll_now(_metadata, epoll));
	EXPECT_EQ(3, read_nowait(self->fd, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp("new", buf, 3));
}

#define FAILSLAB_VERBOSE	"/sys/kernel/debug/failslab/verbose"

/*
 * Fail each allocation of the write in turn. fail-nth also fails copies from user
 * space and the faults of the driver; short_io does not apply to one byte. By default,
 * failslab fails only allocations that cannot wait.
 */
TEST_F(misc_sim, nowait_without_memory)
{
	int fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	int other = open_node(_metadata, variant->driver->node, O_RDWR);
	int epoll = epoll_of(_metadata, other, EPOLLOUT | EPOLLET);
	char verbose[16], value[16], left[16];
	int nth, error, refused = 0;
	__u64 generation;
	bool failed;
	ssize_t ret;

	if (fail_nth < 0 || read_file(FAILSLAB_VERBOSE, verbose, sizeof(verbose)) < 0)
		SKIP(return, "no failslab");

	ASSERT_EQ(0, write_file(FAILSLAB_VERBOSE, "0"));
	for (nth = 1; nth < 100; nth++) {
		epoll_now(_metadata, epoll);
		generation = get_info(_metadata, other).generation;
		snprintf(value, sizeof(value), "%d", nth);
		memset(left, 0, sizeof(left));
		ASSERT_LT(0, pwrite(fail_nth, value, strlen(value), 0));
		ret = write_nowait(self->fd, "x", 1, 0);
		error = errno;
		/* What is armed still may hit these two, and is not used up then. */
		failed = pread(fail_nth, left, sizeof(left) - 1, 0) > 0 && !atoi(left);
		if (pwrite(fail_nth, "0", 1, 0) < 0)
			ASSERT_EQ(1, pwrite(fail_nth, "0", 1, 0));
		if (ret < 0 && error != EFAULT && error != EIO) {
			refused++;
			EXPECT_EQ(EAGAIN, error);
			EXPECT_EQ(EPOLLOUT, epoll_now(_metadata, epoll));
		}
		EXPECT_EQ(generation + (ret == 1), get_info(_metadata, other).generation);
		if (!failed)
			break;
	}
	write_file(FAILSLAB_VERBOSE, verbose);
	EXPECT_EQ(1, ret);
	EXPECT_LT(0, refused);
	expect_current(_metadata, variant->driver->node, "x", 1);
}

/* splice, sendfile */

TEST_F(misc_sim, splice_from_device)
{
	off_t offset = 3;
	char buf[64];
	int pipe[2];

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_POS, splice(self->fd, NULL, pipe[1], NULL, TEXT_POS, 0));
	EXPECT_EQ(TEXT_LEN - TEXT_POS, splice(self->fd, NULL, pipe[1], NULL, 4096, 0));
	EXPECT_EQ(0, splice(self->fd, NULL, pipe[1], NULL, 4096, 0));
	EXPECT_EQ(TEXT_LEN, read(pipe[0], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	EXPECT_EQ(4, splice(self->fd, &offset, pipe[1], NULL, 4, 0));
	EXPECT_EQ(4, read(pipe[0], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(text + 3, buf, 4));
	EXPECT_EQ(7, offset);
}

/* O_DIRECT makes each write a buffer of its own, as pages of several files are. */
TEST_F(misc_sim, splice_to_device)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	int pipe[2];

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK | O_DIRECT));
	publish(_metadata, pipe[1], "one", 3);
	publish(_metadata, pipe[1], "two", 3);
	EXPECT_EQ(6, splice(pipe[0], NULL, self->fd, NULL, 4096, 0));
	EXPECT_EQ(before.generation + 1, get_info(_metadata, self->fd).generation);
	expect_rest(_metadata, self->fd, "onetwo", 6);
}

TEST_F(misc_sim, splice_too_long)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	size_t length = self->capacity + 1;
	char *buf = calloc(1, length);
	int pipe[2], queued;

	ASSERT_TRUE(!!buf);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	publish(_metadata, pipe[1], buf, length);
	EXPECT_ERRNO(EMSGSIZE, splice(pipe[0], NULL, self->fd, NULL, length, 0));
	ASSERT_EQ(0, ioctl(pipe[0], FIONREAD, &queued));
	EXPECT_EQ(length, queued);
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
	free(buf);
}

TEST_F(misc_sim, sendfile_to_file)
{
	int file = memfd_create("misc-sim", MFD_CLOEXEC);
	off_t offset = 3;
	char buf[64];

	ASSERT_LE(0, file);
	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, sendfile(file, self->fd, NULL, 4096));
	EXPECT_EQ(0, sendfile(file, self->fd, NULL, 4096));
	EXPECT_EQ(TEXT_LEN, pread(file, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	EXPECT_EQ(4, sendfile(file, self->fd, &offset, 4));
	EXPECT_EQ(7, offset);
	EXPECT_EQ(4, pread(file, buf, sizeof(buf), TEXT_LEN));
	EXPECT_EQ(0, memcmp(text + 3, buf, 4));
}

TEST_F(misc_sim, sendfile_to_pipe_and_socket)
{
	int pair[2][2], i;
	char buf[64];

	ASSERT_EQ(0, pipe2(pair[0], O_CLOEXEC | O_NONBLOCK));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair[1]));
	for (i = 0; i < 2; i++) {
		publish(_metadata, self->fd, text, TEXT_LEN);
		EXPECT_EQ(TEXT_LEN, sendfile(pair[i][1], self->fd, NULL, 4096));
		EXPECT_EQ(TEXT_LEN, read(pair[i][0], buf, sizeof(buf)));
		EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	}
}

TEST_F(misc_sim, sendfile_to_device)
{
	int file = memfd_create("misc-sim", MFD_CLOEXEC);
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	off_t offset = 0;

	ASSERT_LE(0, file);
	publish(_metadata, file, "from a file", 11);
	EXPECT_EQ(11, sendfile(self->fd, file, &offset, 4096));
	EXPECT_EQ(before.generation + 1, get_info(_metadata, self->fd).generation);
	expect_rest(_metadata, self->fd, "from a file", 11);
}

/* mmap */

static char *map_message(struct __test_metadata *_metadata, int fd, int flags)
{
	char *map = mmap(NULL, page_size(), PROT_READ, flags, fd, 0);

	ASSERT_TRUE(map != MAP_FAILED);
	return map;
}

/* The message, and zeros to the end of the page. */
static void expect_mapped(struct __test_metadata *_metadata, const char *map,
			  const void *expected, size_t length)
{
	size_t i, dirt = 0;

	EXPECT_EQ(0, memcmp(expected, map, length));
	for (i = length; i < page_size(); i++)
		dirt += !!map[i];
	EXPECT_EQ(0, dirt);
}

TEST_F(misc_sim, mmap)
{
	char *full = malloc(page_size());
	int fd;

	/* So that a page with old content would show. */
	ASSERT_TRUE(!!full);
	memset(full, POISON, page_size());
	publish(_metadata, self->fd, full, self->capacity < page_size() ?
					   self->capacity : page_size());

	publish(_metadata, self->fd, text, TEXT_LEN);
	fd = open_node(_metadata, variant->driver->node, O_RDONLY);
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_SHARED), text, TEXT_LEN);
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_PRIVATE), text, TEXT_LEN);
	expect_mapped(_metadata, map_message(_metadata, fd, MAP_SHARED), text, TEXT_LEN);
	expect_mapped(_metadata, map_message(_metadata, fd, MAP_PRIVATE), text, TEXT_LEN);
	free(full);
}

TEST_F(misc_sim, mmap_empty_message)
{
	ASSERT_EQ(0, replace(self->fd, get_info(_metadata, self->fd).generation, NULL, 0));
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_SHARED), "", 0);
}

TEST_F(misc_sim, mmap_full_message)
{
	unsigned char *full = malloc(self->capacity);
	size_t i;

	ASSERT_TRUE(!!full);
	for (i = 0; i < self->capacity; i++)
		full[i] = i * 7 + i / 256;
	publish(_metadata, self->fd, full, self->capacity);
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_SHARED),
		      full, self->capacity);
	free(full);
}

TEST_F(misc_sim, mmap_writable_or_executable)
{
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	int reader = open_node(_metadata, variant->driver->node, O_RDONLY);
	int writer = open_node(_metadata, variant->driver->node, O_WRONLY);
	size_t size = page_size();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_ERRNO(EPERM, (long)mmap(NULL, size, PROT_READ | PROT_WRITE,
					       flags[i], self->fd, 0));
		EXPECT_ERRNO(EPERM, (long)mmap(NULL, size, PROT_WRITE,
					       flags[i], self->fd, 0));
		EXPECT_ERRNO(EPERM, (long)mmap(NULL, size, PROT_READ | PROT_EXEC,
					       flags[i], self->fd, 0));
		EXPECT_ERRNO(EACCES, (long)mmap(NULL, size, PROT_READ,
						flags[i], writer, 0));
	}
	EXPECT_ERRNO(EACCES, (long)mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_SHARED, reader, 0));
	EXPECT_ERRNO(EPERM, (long)mmap(NULL, size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE, reader, 0));
}

TEST_F(misc_sim, mmap_made_writable_or_executable)
{
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	unsigned int i;
	char *map;

	ASSERT_LE(0, mem);
	publish(_metadata, self->fd, text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		map = map_message(_metadata, self->fd, flags[i]);
		EXPECT_ERRNO(EACCES, mprotect(map, page_size(), PROT_WRITE));
		EXPECT_ERRNO(EACCES, mprotect(map, page_size(), PROT_READ | PROT_WRITE));
		EXPECT_ERRNO(EACCES, mprotect(map, page_size(), PROT_EXEC));
		EXPECT_ERRNO(EACCES, mprotect(map, page_size(), PROT_READ | PROT_EXEC));
		EXPECT_EQ(-1, pwrite(mem, "X", 1, (uintptr_t)map));
		EXPECT_EQ(0, mprotect(map, page_size(), PROT_NONE));
		EXPECT_EQ(0, mprotect(map, page_size(), PROT_READ));
		expect_mapped(_metadata, map, text, TEXT_LEN);
	}
	expect_current(_metadata, variant->driver->node, text, TEXT_LEN);
}

TEST_F(misc_sim, mmap_beyond_capacity)
{
	size_t size = page_size();

	/* The message is shorter than a page; that does not matter. */
	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, 2 * size, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, size, PROT_READ, MAP_SHARED, self->fd, size));
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, size, PROT_READ, MAP_PRIVATE, self->fd,
					(off_t)1 << 31));
}

/* The pinned message does not matter, and a mapping does not count as reading. */
TEST_F(misc_sim, mmap_is_of_the_current_message)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);

	start_reading(_metadata, self->fd);
	publish(_metadata, other, "new", 3);
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_SHARED), "new", 3);
	publish(_metadata, other, "newer", 5);
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_PRIVATE), "newer", 5);
	EXPECT_EQ(0, get_info(_metadata, self->fd).seen);
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
}

/* mmap does not need the lock that a reader holds. */
TEST_F(misc_sim, mmap_does_not_wait_for_reader)
{
	struct holder holder;

	publish(_metadata, self->fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, self->fd))
		return;
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_SHARED), text, TEXT_LEN);
	release_file(_metadata, &holder, text);
}

TEST_F(misc_sim, mmap_after_publication_and_close)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);
	char *shared, *private;

	publish(_metadata, other, text, TEXT_LEN);
	shared = map_message(_metadata, self->fd, MAP_SHARED);
	private = map_message(_metadata, self->fd, MAP_PRIVATE);
	close(self->fd);
	self->fd = -1;
	publish(_metadata, other, "ABCDEFGHIJ", 10);
	expect_mapped(_metadata, shared, text, TEXT_LEN);
	expect_mapped(_metadata, private, text, TEXT_LEN);
}

TEST_F(misc_sim, mmap_fork)
{
	char *map;
	int status;
	pid_t pid;

	publish(_metadata, self->fd, text, TEXT_LEN);
	map = map_message(_metadata, self->fd, MAP_SHARED);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(memcmp(text, map, TEXT_LEN) || munmap(map, page_size()));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	expect_mapped(_metadata, map, text, TEXT_LEN);
}

TEST_F(misc_sim, mmap_remap)
{
	size_t size = page_size();
	char *map, *target;

	publish(_metadata, self->fd, text, TEXT_LEN);
	map = map_message(_metadata, self->fd, MAP_SHARED);
	EXPECT_ERRNO(EFAULT, (long)mremap(map, size, 2 * size, 0));
	EXPECT_ERRNO(EFAULT, (long)mremap(map, size, 2 * size, MREMAP_MAYMOVE));
	target = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(target != MAP_FAILED);
	ASSERT_TRUE(target == mremap(map, size, size,
				     MREMAP_MAYMOVE | MREMAP_FIXED, target));
	publish(_metadata, self->fd, "new", 3);
	expect_mapped(_metadata, target, text, TEXT_LEN);
}

/* Whether madvise() is refused or not, the mapping still shows the message. */
TEST_F(misc_sim, mmap_dontneed)
{
	char *map;

	if (variant->driver == &rust_driver)
		SKIP(return, "no abstraction in Rust for struct vm_operations_struct");

	publish(_metadata, self->fd, text, TEXT_LEN);
	map = map_message(_metadata, self->fd, MAP_PRIVATE);
	publish(_metadata, self->fd, "new", 3);
	madvise(map, page_size(), MADV_DONTNEED);
	expect_mapped(_metadata, map, text, TEXT_LEN);
}

/* ioctl */

TEST_F(misc_sim, info)
{
	int writer = open_node(_metadata, variant->driver->node, O_WRONLY);
	int reader = open_node(_metadata, variant->driver->node, O_RDONLY);
	struct misc_sim_info info, old = get_info(_metadata, self->fd);

	publish(_metadata, writer, text, TEXT_LEN);
	info = get_info(_metadata, reader);
	EXPECT_EQ(old.generation + 1, info.generation);
	EXPECT_EQ(0, info.seen);
	EXPECT_EQ(TEXT_LEN, info.length);
	EXPECT_EQ(old.capacity, info.capacity);
	expect_rest(_metadata, reader, text, TEXT_LEN);
	EXPECT_EQ(info.generation, get_info(_metadata, reader).seen);
	EXPECT_EQ(0, get_info(_metadata, writer).seen);
	EXPECT_EQ(info.generation, get_info(_metadata, writer).generation);
}

TEST_F(misc_sim, info_bad_pointer)
{
	char *bad = bad_page(_metadata);

	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_INFO, NULL));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_INFO, bad));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_INFO, bad - 8));
}

TEST_F(misc_sim, replace)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);

	EXPECT_EQ(0, replace(self->fd, before.generation, "new", 3));
	EXPECT_EQ(before.generation + 1, get_info(_metadata, self->fd).generation);
	EXPECT_EQ(3, get_info(_metadata, self->fd).length);
	expect_current(_metadata, variant->driver->node, "new", 3);

	/* The file is still where it was. */
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
}

TEST_F(misc_sim, replace_stale)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	__u64 generation = before.generation;

	EXPECT_ERRNO(ESTALE, replace(self->fd, 0, "new", 3));
	EXPECT_ERRNO(ESTALE, replace(self->fd, generation - 1, "new", 3));
	EXPECT_ERRNO(ESTALE, replace(self->fd, generation + 1, "new", 3));
	EXPECT_ERRNO(ESTALE, replace(self->fd, generation | 1ULL << 32, "new", 3));
	EXPECT_ERRNO(ESTALE, replace(self->fd, ~0ULL, "new", 3));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(misc_sim, replace_length)
{
	size_t length = self->capacity;
	char *buf = calloc(1, length + 1);
	struct misc_sim_info before;

	ASSERT_TRUE(!!buf);
	memset(buf, 'x', length);
	EXPECT_EQ(0, replace(self->fd, get_info(_metadata, self->fd).generation, buf, length));
	expect_current(_metadata, variant->driver->node, buf, length);
	EXPECT_EQ(0, replace(self->fd, get_info(_metadata, self->fd).generation, NULL, 0));
	expect_current(_metadata, variant->driver->node, "", 0);

	before = start_reading(_metadata, self->fd);
	EXPECT_ERRNO(EMSGSIZE, replace(self->fd, before.generation, buf, length + 1));
	EXPECT_ERRNO(EMSGSIZE, replace(self->fd, before.generation, buf, ~0U));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
	free(buf);
}

/* With length 0 the pointer is ignored, and everything else is checked. */
TEST_F(misc_sim, replace_by_empty_message)
{
	const __u64 pointers[] = { 0, 1, (uintptr_t)bad_page(_metadata), 1ULL << 63, ~0ULL };
	struct misc_sim_replace arg = {};
	struct misc_sim_info before;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pointers); i++) {
		before = start_reading(_metadata, self->fd);
		arg.data = pointers[i];
		arg.generation = before.generation;
		arg.reserved = 1;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
		arg.reserved = 0;
		arg.generation--;
		EXPECT_ERRNO(ESTALE, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
		arg.generation++;
		EXPECT_EQ(0, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
		EXPECT_EQ(before.generation + 1, get_info(_metadata, self->fd).generation);
		expect_current(_metadata, variant->driver->node, "", 0);
	}
}

TEST_F(misc_sim, replace_reserved)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	struct misc_sim_replace arg = {
		.generation = before.generation,
		.data = (uintptr_t)"new",
		.length = 3,
	};
	int bit;

	for (bit = 0; bit < 32; bit++) {
		arg.reserved = 1U << bit;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	}
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(misc_sim, replace_bad_pointer)
{
	char *bad = bad_page(_metadata);
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	struct misc_sim_replace arg = {
		.generation = before.generation,
		.length = 3,
	};

	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, NULL));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, bad));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, bad - 8));
	EXPECT_ERRNO(EFAULT, replace(self->fd, before.generation, NULL, 1));
	EXPECT_ERRNO(EFAULT, replace(self->fd, before.generation, bad, 1));
	EXPECT_ERRNO(EFAULT, replace(self->fd, before.generation, bad - 2, 3));

	/* No bit of the pointer is lost, also where a long has 32. */
	arg.data = (uintptr_t)"new" | 1ULL << 63;
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

/* Each call has the error that it must report, and all that are checked later. */
TEST_F(misc_sim, replace_order_of_checks)
{
	int reader = open_node(_metadata, variant->driver->node, O_RDONLY);
	char *bad = bad_page(_metadata);
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	struct misc_sim_replace arg = {
		.generation = before.generation + 1,
		.data = (uintptr_t)bad,
		.length = self->capacity + 1,
		.reserved = 1,
	};

	EXPECT_ERRNO(EBADF, ioctl(reader, MISC_SIM_IOC_REPLACE, bad));
	EXPECT_ERRNO(EBADF, ioctl(reader, MISC_SIM_IOC_REPLACE, &arg));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, bad));
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	arg.reserved = 0;
	EXPECT_ERRNO(EMSGSIZE, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	arg.length = 1;
	EXPECT_ERRNO(ESTALE, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	arg.generation = before.generation;
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(misc_sim, replace_stale_at_publication)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);
	struct blocked call = { .call = blocked_replace, .fd = self->fd, .length = 10 };
	struct hole hole;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	call.generation = get_info(_metadata, self->fd).generation;
	call.buf = hole.page - 4;
	start_call(_metadata, &call);
	await_fault(_metadata, &hole);
	publish(_metadata, other, text, TEXT_LEN);
	fill_hole(_metadata, &hole, text, TEXT_LEN);
	expect_failed(_metadata, &call, ESTALE);
	EXPECT_EQ(call.generation + 1, get_info(_metadata, self->fd).generation);
	expect_current(_metadata, variant->driver->node, text, TEXT_LEN);
}

struct racer {
	pthread_t thread;
	pthread_barrier_t *barrier;
	int fd;
	__u32 id;
	__u64 generation;	/* of the first round */
	__u32 won[RACES];
	__u32 failures;
};

static void *race_to_replace(void *arg)
{
	struct racer *racer = arg;
	unsigned int round;

	for (round = 0; round < RACES; round++) {
		pthread_barrier_wait(racer->barrier);
		if (!replace(racer->fd, racer->generation + round,
			     &racer->id, sizeof(racer->id)))
			racer->won[round] = 1;
		else if (errno != ESTALE)
			racer->failures++;
	}
	return NULL;
}

/* All threads replace the same generation at the same time. One succeeds. */
TEST_F(misc_sim, replace_race)
{
	__u64 generation = get_info(_metadata, self->fd).generation;
	struct racer racers[4] = {};
	pthread_barrier_t barrier;
	unsigned int i, round, winners;
	__u32 last = 0;

	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, ARRAY_SIZE(racers)));
	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		racers[i].fd = open_node(_metadata, variant->driver->node, O_WRONLY);
		racers[i].barrier = &barrier;
		racers[i].id = i;
		racers[i].generation = generation;
		ASSERT_EQ(0, pthread_create(&racers[i].thread, NULL,
					    race_to_replace, &racers[i]));
	}
	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		join_thread(_metadata, racers[i].thread);
		EXPECT_EQ(0, racers[i].failures);
		if (racers[i].won[RACES - 1])
			last = i;
	}
	for (round = 0; round < RACES; round++) {
		for (i = winners = 0; i < ARRAY_SIZE(racers); i++)
			winners += racers[i].won[round];
		ASSERT_EQ(1, winners);
	}
	EXPECT_EQ(generation + RACES, get_info(_metadata, self->fd).generation);
	expect_rest(_metadata, self->fd, &last, sizeof(last));
}

TEST_F(misc_sim, unknown_commands)
{
	static const unsigned int sizes[] = {
		0, 4, 8, sizeof(struct misc_sim_replace),
		sizeof(struct misc_sim_info), 64,
	};
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	char buf[64] = {};
	unsigned int dir, nr, i, cmd, known = 0;

	for (dir = 0; dir < 4; dir++) {
		for (nr = 0; nr < 256; nr++) {
			for (i = 0; i < ARRAY_SIZE(sizes); i++) {
				cmd = _IOC(dir, MISC_SIM_IOC_MAGIC, nr, sizes[i]);
				if (cmd == MISC_SIM_IOC_INFO || cmd == MISC_SIM_IOC_REPLACE) {
					known++;
					continue;
				}
				ASSERT_EQ(-1, ioctl(self->fd, cmd, buf)) TH_LOG("%#x", cmd);
				ASSERT_EQ(ENOTTY, errno) TH_LOG("%#x", cmd);
			}
		}
	}
	EXPECT_EQ(2, known);
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, FIONREAD, buf));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, TCGETS, buf));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

/* fdinfo, sysfs, tracepoints */

TEST_F(misc_sim, fdinfo)
{
	int fd = open_node(_metadata, variant->driver->node, O_RDONLY);
	__u64 generation;

	publish(_metadata, self->fd, text, TEXT_LEN);
	generation = get_info(_metadata, fd).generation;
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "generation", generation));
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "seen", 0));
	expect_rest(_metadata, fd, text, TEXT_LEN);
	publish(_metadata, self->fd, "new", 3);
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "generation", generation + 1));
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "seen", generation));
}

TEST_F(misc_sim, sysfs)
{
	char dir[PATH_LEN], length[16], generation[32];
	struct stat st;

	snprintf(dir, sizeof(dir), "/sys/class/misc/%s-0", variant->driver->name);
	publish(_metadata, self->fd, text, TEXT_LEN);
	snprintf(generation, sizeof(generation), "%llu\n",
		 (unsigned long long)get_info(_metadata, self->fd).generation);
	snprintf(length, sizeof(length), "%zu\n", TEXT_LEN);
	expect_file(_metadata, dir, "generation", generation);
	expect_file(_metadata, dir, "length", length);
	expect_file(_metadata, dir, "capacity", "4096\n");
	strcat(dir, "/length");
	ASSERT_EQ(0, stat(dir, &st));
	EXPECT_EQ(S_IFREG | 0444, st.st_mode);
}

TEST_F(misc_sim, tracepoint_publish)
{
	char fields[128];

	if (!start_tracing(_metadata, variant->driver, "publish"))
		return;
	publish(_metadata, self->fd, text, TEXT_LEN);
	snprintf(fields, sizeof(fields), " generation=%llu length=%zu",
		 (unsigned long long)get_info(_metadata, self->fd).generation, TEXT_LEN);
	EXPECT_EQ(1, stop_tracing(_metadata, variant->driver, variant->driver->node,
				  "publish", fields));
}

TEST_F(misc_sim, tracepoint_read)
{
	char fields[128];
	char buf[4];

	publish(_metadata, self->fd, text, TEXT_LEN);
	if (!start_tracing(_metadata, variant->driver, "read"))
		return;
	EXPECT_EQ(sizeof(buf), pread(self->fd, buf, sizeof(buf), TEXT_LEN - 9));
	snprintf(fields, sizeof(fields), " generation=%llu pos=%zu ret=%zu",
		 (unsigned long long)get_info(_metadata, self->fd).generation,
		 TEXT_LEN - 9, sizeof(buf));
	EXPECT_EQ(1, stop_tracing(_metadata, variant->driver, variant->driver->node,
				  "read", fields));
}

/* The module */

/* The file of a module that nothing uses. Skips the case and returns -1 if there is none. */
static int open_idle_module(struct __test_metadata *_metadata, const struct driver *driver)
{
	int file = open_module(driver->module);

	if (file < 0)
		SKIP(return -1, "no module %s", driver->module);
	if (module_references(driver))
		SKIP(return -1, "%s is in use", driver->module);
	return file;
}

TEST_F(misc_sim, no_module_parameters)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters", variant->driver->module);
	EXPECT_ERRNO(ENOENT, access(path, F_OK));
}

TEST_F(misc_sim, unload_refused_while_open)
{
	const char *module = variant->driver->module;
	char *map;
	int file;

	close(self->fd);
	self->fd = -1;
	file = open_idle_module(_metadata, variant->driver);
	if (file < 0)
		return;

	self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_ERRNO(EWOULDBLOCK, unload(module));
	map = map_message(_metadata, self->fd, MAP_SHARED);
	close(self->fd);
	self->fd = -1;
	EXPECT_ERRNO(EWOULDBLOCK, unload(module));
	expect_mapped(_metadata, map, text, TEXT_LEN);
	EXPECT_EQ(0, munmap(map, page_size()));
	EXPECT_EQ(0, unload(module));
	EXPECT_EQ(0, load_from(file, module));
}

TEST_F(misc_sim, load_and_unload)
{
	const struct driver *driver = variant->driver;
	long long deadline = now_ms() + DEADLINE_MS;
	int i, file;

	close(self->fd);
	self->fd = -1;
	file = open_idle_module(_metadata, driver);
	if (file < 0)
		return;

	for (i = 0; i < LOADS && now_ms() < deadline; i++) {
		ASSERT_EQ(0, unload(driver->module));
		EXPECT_ERRNO(ENOENT, access(driver->node, F_OK));
		ASSERT_EQ(0, load_from(file, driver->module));
		expect_current(_metadata, driver->node, driver->greeting,
			       strlen(driver->greeting));
	}
}

TEST_F(misc_sim, log_is_silent)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	const struct driver *driver = variant->driver;
	int file = open_module(driver->module);
	char *bad = bad_page(_metadata);

	if (kmsg < 0)
		SKIP(return, "no /dev/kmsg");

	ASSERT_EQ(0, lseek(kmsg, 0, SEEK_END));
	close(self->fd);
	if (file >= 0 && !module_references(driver)) {
		ASSERT_EQ(0, unload(driver->module));
		ASSERT_EQ(0, load_from(file, driver->module));
	}
	self->fd = open_node(_metadata, driver->node, O_RDWR);
	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_ERRNO(EFAULT, read(self->fd, bad, 1));
	EXPECT_ERRNO(EFAULT, write(self->fd, bad, 1));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, 0, NULL));
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
	map_message(_metadata, self->fd, MAP_SHARED);
	EXPECT_EQ(0, count_logged(kmsg, "misc_sim", "misc-sim"));
}

int main(int argc, char **argv)
{
	atexit(exit_skip_if_nothing_ran);
	return test_harness_run(argc, argv);
}
