// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_uring requests to streams of misc-sim, their cancellation and the unplug
 *
 * Every request completes: at once, when a message comes, or with an error when the
 * device is unplugged. A request that misses the deadline hangs.
 */

#include "blocked.h"
#include "info.h"
#include "instance.h"
#include "polling.h"
#include "uring.h"

FIXTURE(uring) {
	struct io_uring ring;
	struct uring_buffers buffers;
	struct instance it;
};

DRIVER_VARIANTS(uring);

FIXTURE_SETUP(uring)
{
	if (!driver_is_there(_metadata, variant->driver) || !uring_init(_metadata, &self->ring))
		return;
	self->it = make_instance(_metadata, variant->driver, PREFIX "a");
}

FIXTURE_TEARDOWN_PARENT(uring)
{
	remove_instances(variant->driver);
}

static void read_of_stream_waits(struct __test_metadata *_metadata, struct io_uring *ring,
				 const struct instance *inst, int flags)
{
	int round, fd = plug_read_stream(_metadata, inst);
	struct io_uring_sqe request;
	char buf[2 * TEXT_LEN];

	for (round = 0; round < 3; round++) {
		memset(buf, POISON, sizeof(buf));
		request = uring_rw_request(IORING_OP_READ, fd, buf, sizeof(buf),
					   round % 2 ? 0 : -1);
		request.flags = flags;
		uring_submit(_metadata, ring, &request);
		EXPECT_FALSE(uring_is_done(ring));
		publish(_metadata, fd, text, TEXT_LEN);
		uring_expect_end(_metadata, ring, TEXT_LEN);
		EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
		EXPECT_EQ(POISON, (unsigned char)buf[TEXT_LEN]);
	}
}

TEST_F(uring, stream_read_waits)
{
	read_of_stream_waits(_metadata, &self->ring, &self->it, 0);
}

TEST_F(uring, stream_worker_read_waits)
{
	read_of_stream_waits(_metadata, &self->ring, &self->it, IOSQE_ASYNC);
}

/* The first publication wakes both requests, but only one of them gets it. */
TEST_F(uring, stream_reads_wait_on_one_file)
{
	int fd = plug_read_stream(_metadata, &self->it);
	char bufs[2][TEXT_LEN];
	struct io_uring_sqe request;
	int i;

	for (i = 0; i < 2; i++) {
		request = uring_read_request(fd, bufs[i], TEXT_LEN);
		uring_submit(_metadata, &self->ring, &request);
	}
	for (i = 0; i < 2; i++) {
		EXPECT_FALSE(uring_is_done(&self->ring));
		publish(_metadata, fd, text, TEXT_LEN);
		uring_expect_end(_metadata, &self->ring, TEXT_LEN);
	}
	EXPECT_EQ(0, memcmp(text, bufs[0], TEXT_LEN));
	EXPECT_EQ(0, memcmp(text, bufs[1], TEXT_LEN));
}

/* The reader that holds the file gets this message, and the request gets the next one. */
static void stream_read_while_held(struct __test_metadata *_metadata, struct io_uring *ring,
				   const struct instance *inst, int flags)
{
	int fd = plug_read_stream(_metadata, inst);
	struct io_uring_sqe request;
	struct holder holder;
	char buf[TEXT_LEN];

	publish(_metadata, fd, "held", 4);
	if (!hold_file(_metadata, &holder, fd))
		return;
	request = uring_read_request(fd, buf, sizeof(buf));
	request.flags = flags;
	uring_submit(_metadata, ring, &request);
	EXPECT_FALSE(uring_is_done(ring));
	release_file(_metadata, &holder, "held");
	EXPECT_FALSE(uring_is_done(ring));
	publish(_metadata, fd, text, TEXT_LEN);
	uring_expect_end(_metadata, ring, TEXT_LEN);
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
}

TEST_F(uring, stream_read_while_another_reads)
{
	stream_read_while_held(_metadata, &self->ring, &self->it, 0);
}

TEST_F(uring, stream_worker_reads_while_another_reads)
{
	stream_read_while_held(_metadata, &self->ring, &self->it, IOSQE_ASYNC);
}

TEST_F(uring, stream_multishot_read)
{
	int round, fd = plug_read_stream(_metadata, &self->it);
	struct io_uring_sqe request = uring_multishot_request(fd);

	if (!uring_provide_buffers(_metadata, &self->ring, &self->buffers))
		SKIP(return, "no ring of buffers");

	uring_submit(_metadata, &self->ring, &request);
	for (round = 0; round < 2; round++) {
		EXPECT_FALSE(uring_is_done(&self->ring));
		publish(_metadata, fd, text, TEXT_LEN);
		uring_expect_shot(_metadata, &self->ring, &self->buffers, text, 6);
		uring_expect_shot(_metadata, &self->ring, &self->buffers, text + 6, 6);
		uring_expect_shot(_metadata, &self->ring, &self->buffers, text + 12,
				  TEXT_LEN - 12);
		EXPECT_FALSE(uring_is_done(&self->ring));
	}
	unplug(_metadata, &self->it);
	uring_expect_end(_metadata, &self->ring, -ENODEV);
}

/* io_uring may turn the request into one that completes only once. */
TEST_F(uring, stream_multishot_read_while_another_reads)
{
	int fd = plug_read_stream(_metadata, &self->it);
	struct io_uring_sqe request = uring_multishot_request(fd);
	struct uring_completion cqe;
	struct holder holder;

	if (!uring_provide_buffers(_metadata, &self->ring, &self->buffers))
		SKIP(return, "no ring of buffers");

	publish(_metadata, fd, "held", 4);
	if (!hold_file(_metadata, &holder, fd))
		return;
	uring_submit(_metadata, &self->ring, &request);
	EXPECT_FALSE(uring_is_done(&self->ring));
	release_file(_metadata, &holder, "held");
	EXPECT_FALSE(uring_is_done(&self->ring));
	publish(_metadata, fd, text, URING_BUFFER_SIZE);
	cqe = uring_next(_metadata, &self->ring);
	EXPECT_EQ(URING_BUFFER_SIZE, cqe.res);
	EXPECT_EQ(0, memcmp(text, self->buffers.data[cqe.flags >> IORING_CQE_BUFFER_SHIFT],
			    URING_BUFFER_SIZE));
}

TEST_F(uring, stream_multishot_poll)
{
	int round, fd = plug_read_stream(_metadata, &self->it);
	struct io_uring_sqe request = uring_poll_request(fd, POLLIN, IORING_POLL_ADD_MULTI);
	struct uring_completion cqe;
	char buf[TEXT_LEN];

	uring_submit(_metadata, &self->ring, &request);
	for (round = 0; round < 3; round++) {
		EXPECT_FALSE(uring_is_done(&self->ring));
		publish(_metadata, fd, text, TEXT_LEN);
		cqe = uring_next(_metadata, &self->ring);
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags);
		EXPECT_EQ(TEXT_LEN, read(fd, buf, sizeof(buf)));
	}
}

TEST_F(uring, cancel_read_of_stream)
{
	static const int flags[] = { 0, IOSQE_ASYNC };
	int fd = plug_read_stream(_metadata, &self->it);
	struct io_uring_sqe request;
	char buf[TEXT_LEN];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		request = uring_read_request(fd, buf, sizeof(buf));
		request.flags = flags[i];
		uring_submit(_metadata, &self->ring, &request);
		EXPECT_FALSE(uring_is_done(&self->ring));
		uring_cancel_request(_metadata, &self->ring);
	}
}

/* The worker sleeps until the file is unlocked. */
TEST_F(uring, cancel_read_while_another_reads)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	struct io_uring_sqe request;
	struct holder holder;
	char buf[TEXT_LEN];

	publish(_metadata, fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, fd))
		return;
	request = uring_read_request(fd, buf, sizeof(buf));
	uring_submit(_metadata, &self->ring, &request);
	uring_cancel_request(_metadata, &self->ring);
	release_file(_metadata, &holder, text);
}

/* The request ends when the process exits. */
static void exit_with_read(struct __test_metadata *_metadata, int fd, int flags)
{
	struct io_uring_sqe request;
	struct io_uring ring;
	char buf[TEXT_LEN];
	pid_t pid;
	int code;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (io_uring_queue_init(8, &ring, 0))
			_exit(1);
		request = uring_read_request(fd, buf, sizeof(buf));
		request.flags = flags;
		uring_submit(_metadata, &ring, &request);
		_exit(uring_is_done(&ring) ? 2 : 0);
	}
	EXPECT_EQ(0, await_exit(_metadata, pid, &code));
	EXPECT_EQ(CLD_EXITED, code);
}

TEST_F(uring, exit_with_read_of_stream)
{
	int fd = plug_read_stream(_metadata, &self->it);

	exit_with_read(_metadata, fd, 0);
	exit_with_read(_metadata, fd, IOSQE_ASYNC);
	publish(_metadata, fd, text, TEXT_LEN);
	expect_message(_metadata, fd, text, TEXT_LEN);
}

TEST_F(uring, exit_with_read_while_another_reads)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	struct holder holder;

	publish(_metadata, fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, fd))
		return;
	exit_with_read(_metadata, fd, 0);
	exit_with_read(_metadata, fd, IOSQE_ASYNC);
	release_file(_metadata, &holder, text);
}

TEST_F(uring, unplug_completes_reads)
{
	int fd = plug_read_stream(_metadata, &self->it);
	struct io_uring_sqe requests[3];
	char bufs[2][TEXT_LEN];
	struct uring_completion cqe;
	unsigned int i, done = 0;

	if (!uring_provide_buffers(_metadata, &self->ring, &self->buffers))
		SKIP(return, "no ring of buffers");

	requests[0] = uring_read_request(fd, bufs[0], TEXT_LEN);
	requests[1] = uring_read_request(fd, bufs[1], TEXT_LEN);
	requests[1].flags = IOSQE_ASYNC;
	requests[2] = uring_multishot_request(fd);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		requests[i].user_data = i;
		uring_submit(_metadata, &self->ring, &requests[i]);
	}
	EXPECT_FALSE(uring_is_done(&self->ring));
	unplug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		cqe = uring_next(_metadata, &self->ring);
		EXPECT_EQ(-ENODEV, cqe.res);
		EXPECT_EQ(0, cqe.flags & IORING_CQE_F_MORE);
		done |= 1 << cqe.user_data;
	}
	EXPECT_EQ(7, done);
	for (i = 0; i < ARRAY_SIZE(requests); i++)
		EXPECT_EQ(-ENODEV, uring_complete(_metadata, &self->ring, &requests[i]));
}

TEST_F(uring, unplug_completes_polls)
{
	static const struct {
		const char *kind;
		short events;
		int flags;
		int res;
	} polls[] = {
		{ "message", POLLPRI, 0, UNPLUGGED },
		{ "message", POLLPRI, IORING_POLL_ADD_MULTI, UNPLUGGED },
		{ "stream", POLLIN, 0, POLLERR | POLLHUP },
		{ "stream", POLLIN, IORING_POLL_ADD_MULTI, POLLERR | POLLHUP },
		{ "stream", POLLPRI, 0, UNPLUGGED },
	};
	struct io_uring_sqe request;
	char buf[64];
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(polls); i++) {
		configure(_metadata, &self->it, "kind", polls[i].kind);
		fd = plug_and_open(_metadata, &self->it, O_RDWR);
		ASSERT_LT(0, read(fd, buf, sizeof(buf)));
		request = uring_poll_request(fd, polls[i].events, polls[i].flags);
		uring_submit(_metadata, &self->ring, &request);
		EXPECT_FALSE(uring_is_done(&self->ring));
		unplug(_metadata, &self->it);
		EXPECT_EQ(polls[i].res, uring_wait(_metadata, &self->ring))
			TH_LOG("%u", i);
		close(fd);
	}
}

TEST_F(uring, unplug_while_another_reads)
{
	struct io_uring_sqe request;
	struct holder holder;
	char buf[TEXT_LEN];
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	publish(_metadata, fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, fd))
		return;
	request = uring_read_request(fd, buf, sizeof(buf));
	uring_submit(_metadata, &self->ring, &request);
	unplug(_metadata, &self->it);
	release_file(_metadata, &holder, text);
	uring_expect_end(_metadata, &self->ring, -ENODEV);
}

TEST_HARNESS_MAIN
