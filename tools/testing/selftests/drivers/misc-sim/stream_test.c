// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading and polling streams of misc-sim, whose reads wait for the next message
 */

#include <sys/sendfile.h>
#include <sys/uio.h>
#include "blocked.h"
#include "info.h"
#include "instance.h"
#include "polling.h"

FIXTURE(stream) {
	struct instance it;
};

DRIVER_VARIANTS(stream);

FIXTURE_SETUP(stream)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(stream)
{
	remove_instances(variant->driver);
}

TEST_F(stream, kind)
{
	expect_file(_metadata, self->it.dir, "kind", "message\n");
	expect_accepted(_metadata, &self->it, "kind", "stream", "stream\n");
	expect_accepted(_metadata, &self->it, "kind", "message\n", "message\n");
	expect_fixed_while_live(_metadata, &self->it, "kind", "stream\n", "message");
}

TEST_F(stream, kinds_refused)
{
	static const char * const bad[] = {
		"0", "1", "Message", "messages", "mess", " message", NULL
	};

	expect_refused(_metadata, &self->it, "kind", "stream\n", bad);
}

TEST_F(stream, read_returns_one_message)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char c;

	expect_greeting(_metadata, fd, variant->driver);
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
	publish(_metadata, fd, "one", 3);
	expect_message(_metadata, fd, "one", 3);
	publish(_metadata, fd, "two", 3);
	publish(_metadata, fd, "three", 5);
	expect_message(_metadata, fd, "three", 5);
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
}

TEST_F(stream, read_goes_on_in_its_message)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char buf[TEXT_POS];

	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_POS, read(fd, buf, TEXT_POS));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_POS));
	publish(_metadata, fd, "new", 3);
	expect_message(_metadata, fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
	expect_message(_metadata, fd, "new", 3);
	EXPECT_ERRNO(EAGAIN, read(fd, buf, 1));
}

TEST_F(stream, read_bad_pointer)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char *bad = bad_page(_metadata);
	size_t stored;

	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_ERRNO(EFAULT, read(fd, bad, TEXT_LEN));
	stored = read_partly(_metadata, fd, bad, TEXT_POS, text, TEXT_LEN);
	EXPECT_ERRNO(EFAULT, read(fd, bad, TEXT_LEN));
	expect_message(_metadata, fd, text + stored, TEXT_LEN - stored);
}

/* A read returns one message, even if there is room for more. */
TEST_F(stream, readv_scatters_one_message)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char a[TEXT_POS], b[64];
	struct iovec iov[] = { { a, sizeof(a) }, { NULL, 0 }, { b, sizeof(b) } };

	memset(b, POISON, sizeof(b));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, readv(fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(0, memcmp(text, a, sizeof(a)));
	EXPECT_EQ(0, memcmp(text + TEXT_POS, b, TEXT_LEN - TEXT_POS));
	EXPECT_EQ(POISON, (unsigned char)b[TEXT_LEN - TEXT_POS]);
	EXPECT_EQ(2, get_info(_metadata, fd).seen);
	EXPECT_ERRNO(EAGAIN, readv(fd, iov, ARRAY_SIZE(iov)));
}

TEST_F(stream, writev_is_one_message)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	struct iovec iov[] = { { (char *)"one", 3 }, { (char *)"two", 3 } };

	EXPECT_EQ(6, writev(fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	expect_message(_metadata, fd, "onetwo", 6);
}

TEST_F(stream, read_waits_for_write)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_read_stream(_metadata, &self->it);
	start_blocked(_metadata, &blocked);
	publish(_metadata, blocked.fd, text, TEXT_LEN);
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
	EXPECT_EQ(2, get_info(_metadata, blocked.fd).seen);
}

TEST_F(stream, read_waits_for_live_message)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_read_stream(_metadata, &self->it);
	start_blocked(_metadata, &blocked);
	configure(_metadata, &self->it, "message", text);
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
	EXPECT_EQ(2, get_info(_metadata, blocked.fd).seen);
}

TEST_F(stream, write_wakes_every_file)
{
	struct blocked blocked[3] = {};
	int fd = plug_stream(_metadata, &self->it, O_WRONLY);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		blocked[i].call = blocked_read;
		blocked[i].fd = open_node(_metadata, self->it.node, O_RDONLY);
		expect_greeting(_metadata, blocked[i].fd, variant->driver);
		start_blocked(_metadata, &blocked[i]);
	}
	publish(_metadata, fd, text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(blocked); i++)
		expect_returned(_metadata, &blocked[i], text, TEXT_LEN);
}

/* Only one of them gets the message. */
TEST_F(stream, two_threads_share_a_file)
{
	struct blocked blocked[2] = {};
	int fd = plug_read_stream(_metadata, &self->it);
	long long deadline = now_ms() + DEADLINE_MS;
	unsigned int i, ended;

	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		blocked[i].call = blocked_read;
		blocked[i].fd = fd;
		start_blocked(_metadata, &blocked[i]);
	}
	publish(_metadata, fd, text, TEXT_LEN);
	while (get_info(_metadata, fd).seen != 2) {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
	}
	unplug(_metadata, &self->it);
	for (i = ended = 0; i < ARRAY_SIZE(blocked); i++) {
		finish_blocked(_metadata, &blocked[i]);
		if (blocked[i].ret == TEXT_LEN)
			ended++;
		else
			EXPECT_EQ(ENODEV, blocked[i].error);
	}
	EXPECT_EQ(1, ended);
}

TEST_F(stream, write_nothing)
{
	int fd = plug_read_stream(_metadata, &self->it);
	char c;

	EXPECT_EQ(0, write(fd, &c, 0));
	EXPECT_EQ(STREAM_EMPTY, poll_now(_metadata, fd));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
}

/* Even if no message is unread */
TEST_F(stream, read_nothing)
{
	int fd = plug_read_stream(_metadata, &self->it);
	char c;

	EXPECT_EQ(0, read(fd, &c, 0));
	publish(_metadata, fd, "new", 3);
	EXPECT_EQ(0, read(fd, &c, 0));
	EXPECT_EQ(1, get_info(_metadata, fd).seen);
	expect_message(_metadata, fd, "new", 3);
}

TEST_F(stream, nowait)
{
	int fd = plug_read_stream(_metadata, &self->it);
	char buf[TEXT_LEN];
	struct iovec iov = { buf, sizeof(buf) };

	EXPECT_ERRNO(EAGAIN, preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	EXPECT_ERRNO(EAGAIN, preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
}

TEST_F(stream, no_position)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);
	int whence;
	char c;

	EXPECT_ERRNO(ESPIPE, pread(fd, &c, 1, 0));
	EXPECT_ERRNO(ESPIPE, pwrite(fd, &c, 1, 0));
	for (whence = SEEK_SET; whence <= SEEK_END; whence++)
		EXPECT_ERRNO(ESPIPE, lseek(fd, 0, whence));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	expect_greeting(_metadata, fd, variant->driver);
}

TEST_F(stream, no_mmap)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);

	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, fd, 0));
}

/* A splice would sleep while it holds the mutex of the pipe. */
TEST_F(stream, no_splice)
{
	int file = memfd_create("misc-sim", MFD_CLOEXEC);
	int fd = plug_stream(_metadata, &self->it, O_RDWR);
	int pipe[2], queued = -1;
	off_t offset = 0;

	ASSERT_LE(0, file);
	EXPECT_ERRNO(EINVAL, sendfile(file, fd, NULL, 4096));
	publish(_metadata, file, text, TEXT_LEN);
	EXPECT_ERRNO(EINVAL, sendfile(fd, file, &offset, 4096));
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	EXPECT_ERRNO(EINVAL, splice(fd, NULL, pipe[1], NULL, 4096, 0));
	publish(_metadata, pipe[1], text, TEXT_LEN);
	EXPECT_ERRNO(EINVAL, splice(pipe[0], NULL, fd, NULL, 4096, 0));
	ASSERT_EQ(0, ioctl(pipe[0], FIONREAD, &queued));
	EXPECT_EQ(TEXT_LEN, queued);
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	expect_greeting(_metadata, fd, variant->driver);
}

/* Even if the argument is wrong too */
TEST_F(stream, no_replace)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);
	int reader = open_node(_metadata, self->it.node, O_RDONLY);

	EXPECT_ERRNO(ENOTTY, replace(fd, 1, text, TEXT_LEN));
	EXPECT_ERRNO(ENOTTY, replace(fd, 7, NULL, 0));
	EXPECT_ERRNO(ENOTTY, ioctl(fd, MISC_SIM_IOC_REPLACE, bad_page(_metadata)));
	EXPECT_ERRNO(ENOTTY, replace(reader, 1, text, TEXT_LEN));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
}

TEST_F(stream, info)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);
	struct misc_sim_info info;

	publish(_metadata, fd, text, TEXT_LEN);
	info = get_info(_metadata, fd);
	EXPECT_EQ(2, info.generation);
	EXPECT_EQ(0, info.seen);
	EXPECT_EQ(TEXT_LEN, info.length);
	EXPECT_EQ(4096, info.capacity);
	expect_message(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(2, get_info(_metadata, fd).seen);
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "generation", 2));
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "seen", 2));
}

TEST_F(stream, read_is_interrupted)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_read_stream(_metadata, &self->it);
	start_blocked(_metadata, &blocked);
	interrupt(_metadata, &blocked, 0);
	expect_failed(_metadata, &blocked, EINTR);
	publish(_metadata, blocked.fd, text, TEXT_LEN);
	expect_message(_metadata, blocked.fd, text, TEXT_LEN);
}

TEST_F(stream, read_is_restarted)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_read_stream(_metadata, &self->it);
	start_blocked(_metadata, &blocked);
	interrupt(_metadata, &blocked, SA_RESTART);
	await_blocked(_metadata, &blocked);
	publish(_metadata, blocked.fd, text, TEXT_LEN);
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
}

TEST_F(stream, sleeping_reader_is_killed)
{
	int fd = plug_read_stream(_metadata, &self->it);

	expect_killed(_metadata, fork_reader(_metadata, fd));
	publish(_metadata, fd, text, TEXT_LEN);
	expect_message(_metadata, fd, text, TEXT_LEN);
}

/* POLLPRI is never set, because POLLIN already tells that a message is unread. */
TEST_F(stream, poll)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);

	EXPECT_EQ(STREAM_READY, poll_now(_metadata, fd));
	expect_greeting(_metadata, fd, variant->driver);
	EXPECT_EQ(STREAM_EMPTY, poll_now(_metadata, fd));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(STREAM_READY, poll_now(_metadata, fd));
}

static ssize_t blocked_epoll(struct blocked *blocked)
{
	struct epoll_event event;

	return epoll_wait(blocked->fd, &event, 1, 2 * DEADLINE_MS);
}

/* The waiters have files of their own, so EPOLLEXCLUSIVE must not hold back any of them. */
TEST_F(stream, epoll_exclusive_wakes_every_file)
{
	int fd = plug_stream(_metadata, &self->it, O_WRONLY);
	struct blocked blocked[2] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		int reader = open_node(_metadata, self->it.node, O_RDONLY);

		expect_greeting(_metadata, reader, variant->driver);
		blocked[i].call = blocked_epoll;
		blocked[i].fd = epoll_of(_metadata, reader, EPOLLIN | EPOLLEXCLUSIVE);
		start_blocked(_metadata, &blocked[i]);
	}
	publish(_metadata, fd, text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		finish_blocked(_metadata, &blocked[i]);
		EXPECT_EQ(1, blocked[i].ret);
	}
}

TEST_HARNESS_MAIN
