// SPDX-License-Identifier: GPL-2.0-only
/*
 * A message device through io_uring
 *
 * Every request completes, at once or after it waited in poll or in a worker thread.
 */

#include "blocked.h"
#include "info.h"
#include "message.h"
#include "uring.h"
#include "variants.h"

FIXTURE(uring) {
	struct io_uring ring;
	int fd;			/* has read nothing yet */
};

DRIVER_VARIANTS(uring);

FIXTURE_SETUP(uring)
{
	if (load_driver(_metadata, variant->driver) && uring_init(_metadata, &self->ring))
		self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
}

FIXTURE_TEARDOWN(uring)
{
}

static int complete_rw(struct __test_metadata *_metadata, struct io_uring *ring, int opcode,
		       int fd, const void *buf, size_t length, __u64 offset)
{
	struct io_uring_sqe request = uring_rw_request(opcode, fd, buf, length, offset);

	return uring_complete(_metadata, ring, &request);
}

TEST_F(uring, reads_and_writes_in_a_row)
{
	static const int flags[] = { 0, IOSQE_ASYNC };
	struct io_uring_sqe request;
	char buf[TEXT_LEN];
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		for (n = 0; n < 3; n++) {
			publish(_metadata, self->fd, "old", 3);
			request = uring_rw_request(IORING_OP_WRITE, self->fd, text, TEXT_LEN,
						   n % 2 ? -1 : 0);
			request.flags = flags[i];
			EXPECT_EQ(TEXT_LEN, uring_complete(_metadata, &self->ring, &request));
			expect_current(_metadata, variant->driver->node, text, TEXT_LEN);
		}
		for (n = 0; n < 3; n++) {
			memset(buf, POISON, sizeof(buf));
			request = uring_rw_request(IORING_OP_READ, self->fd, buf, TEXT_LEN, 0);
			request.flags = flags[i];
			EXPECT_EQ(TEXT_LEN, uring_complete(_metadata, &self->ring, &request));
			EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
		}
	}
}

TEST_F(uring, reads_at_position)
{
	static const int flags[] = { 0, IOSQE_ASYNC };
	struct io_uring_sqe request;
	char buf[TEXT_LEN];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		leave_midway(_metadata, self->fd);
		request = uring_rw_request(IORING_OP_READ, self->fd, buf, 6, -1);
		request.flags = flags[i];
		EXPECT_EQ(6, uring_complete(_metadata, &self->ring, &request));
		EXPECT_EQ(0, memcmp(text + TEXT_POS, buf, 6));
		EXPECT_EQ(TEXT_LEN - TEXT_POS - 6,
			  uring_complete(_metadata, &self->ring, &request));
		EXPECT_EQ(0, memcmp(text + TEXT_POS + 6, buf, TEXT_LEN - TEXT_POS - 6));
		EXPECT_EQ(0, uring_complete(_metadata, &self->ring, &request));
		EXPECT_EQ(0, uring_complete(_metadata, &self->ring, &request));

		/* A read with an offset does not move the position. */
		EXPECT_EQ(4, lseek(self->fd, 4, SEEK_SET));
		request.off = 9;
		EXPECT_EQ(6, uring_complete(_metadata, &self->ring, &request));
		EXPECT_EQ(0, memcmp(text + 9, buf, 6));
		expect_rest(_metadata, self->fd, text + 4, TEXT_LEN - 4);
	}
}

TEST_F(uring, errors)
{
	char *bad = bad_page(_metadata);

	leave_midway(_metadata, self->fd);
	EXPECT_EQ(-EFAULT, complete_rw(_metadata, &self->ring, IORING_OP_READ, self->fd,
				       bad, 4, 0));
	EXPECT_EQ(-EFAULT, complete_rw(_metadata, &self->ring, IORING_OP_WRITE, self->fd,
				       bad - 1, 4, 0));
	EXPECT_EQ(-EMSGSIZE, complete_rw(_metadata, &self->ring, IORING_OP_WRITE, self->fd,
					 bad - 1, CAPACITY + 1, 0));
	expect_midway(_metadata, self->fd, variant->driver->node);
}

/* Some of the requests find the file locked by others. */
TEST_F(uring, reads_in_flight)
{
	struct io_uring_sqe *sqe;
	char bufs[8][TEXT_LEN];
	unsigned int i;

	publish(_metadata, self->fd, text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(bufs); i++) {
		sqe = io_uring_get_sqe(&self->ring);
		ASSERT_TRUE(!!sqe);
		*sqe = uring_rw_request(IORING_OP_READ, self->fd, bufs[i], TEXT_LEN, 0);
		sqe->flags = i % 2 ? IOSQE_ASYNC : 0;
	}
	ASSERT_EQ(ARRAY_SIZE(bufs), io_uring_submit(&self->ring));
	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		EXPECT_EQ(TEXT_LEN, uring_wait(_metadata, &self->ring));
	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		EXPECT_EQ(0, memcmp(text, bufs[i], TEXT_LEN));
	EXPECT_FALSE(uring_is_done(&self->ring));
}

static void read_while_held(struct __test_metadata *_metadata, struct io_uring *ring, int fd,
			    int flags)
{
	struct io_uring_sqe request;
	struct holder holder;
	char buf[TEXT_LEN];

	publish(_metadata, fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, fd))
		return;
	request = uring_rw_request(IORING_OP_READ, fd, buf, sizeof(buf), 0);
	request.flags = flags;
	uring_submit(_metadata, ring, &request);
	EXPECT_FALSE(uring_is_done(ring));
	release_file(_metadata, &holder, text);
	EXPECT_EQ(TEXT_LEN, uring_wait(_metadata, ring));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
}

TEST_F(uring, read_while_another_reads)
{
	read_while_held(_metadata, &self->ring, self->fd, 0);
}

TEST_F(uring, worker_reads_while_another_reads)
{
	read_while_held(_metadata, &self->ring, self->fd, IOSQE_ASYNC);
}

TEST_F(uring, multishot_read)
{
	struct io_uring_sqe request = uring_multishot_request(self->fd);
	struct uring_buffers buffers;

	if (!uring_provide_buffers(_metadata, &self->ring, &buffers))
		SKIP(return, "no ring of buffers");

	publish(_metadata, self->fd, text, TEXT_LEN);
	uring_submit(_metadata, &self->ring, &request);
	uring_expect_shot(_metadata, &self->ring, &buffers, text, 6);
	uring_expect_shot(_metadata, &self->ring, &buffers, text + 6, 6);
	uring_expect_shot(_metadata, &self->ring, &buffers, text + 12, TEXT_LEN - 12);
	uring_expect_end(_metadata, &self->ring, 0);
}

TEST_F(uring, multishot_read_of_empty_message)
{
	struct io_uring_sqe request = uring_multishot_request(self->fd);
	struct uring_buffers buffers;

	if (!uring_provide_buffers(_metadata, &self->ring, &buffers))
		SKIP(return, "no ring of buffers");

	ASSERT_EQ(0, replace(self->fd, get_info(_metadata, self->fd).generation, NULL, 0));
	uring_submit(_metadata, &self->ring, &request);
	uring_expect_end(_metadata, &self->ring, 0);
}

/* A write that io_uring tries again in a worker must not publish twice. */
TEST_F(uring, writes_publish_once)
{
	static const int flags[] = { 0, IOSQE_ASYNC };
	struct io_uring_sqe request;
	__u64 generation;
	unsigned int i;

	generation = get_info(_metadata, self->fd).generation;
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		request = uring_rw_request(IORING_OP_WRITE, self->fd, text, TEXT_LEN, 0);
		request.flags = flags[i];
		EXPECT_EQ(TEXT_LEN, uring_complete(_metadata, &self->ring, &request));
		EXPECT_EQ(generation + i + 1, get_info(_metadata, self->fd).generation);
	}
}

TEST_F(uring, poll)
{
	struct io_uring_sqe in = uring_poll_request(self->fd, POLLIN | POLLOUT, 0);
	struct io_uring_sqe pri = uring_poll_request(self->fd, POLLPRI, 0);

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(POLLIN | POLLOUT, uring_complete(_metadata, &self->ring, &in));
	EXPECT_EQ(POLLPRI, uring_complete(_metadata, &self->ring, &pri));
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(POLLIN | POLLOUT, uring_complete(_metadata, &self->ring, &in));
	uring_submit(_metadata, &self->ring, &pri);
	EXPECT_FALSE(uring_is_done(&self->ring));
	publish(_metadata, self->fd, "new", 3);
	uring_expect_end(_metadata, &self->ring, POLLPRI);
}

/* Each publication completes the request once. */
static void poll_publications(struct __test_metadata *_metadata, struct io_uring *ring,
			      const char *node, short events)
{
	struct io_uring_sqe request;
	struct uring_completion cqe;
	int fd, round;

	fd = open_node(_metadata, node, O_RDWR);
	request = uring_poll_request(fd, events, IORING_POLL_ADD_MULTI);
	uring_submit(_metadata, ring, &request);
	for (round = 0; round < 4; round++) {
		cqe = uring_next(_metadata, ring);
		EXPECT_EQ(events, cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags);
		EXPECT_FALSE(uring_is_done(ring));
		publish(_metadata, fd, text, TEXT_LEN);
	}
	EXPECT_EQ(events, uring_wait(_metadata, ring));
}

TEST_F(uring, multishot_poll_for_news)
{
	poll_publications(_metadata, &self->ring, variant->driver->node, POLLPRI);
}

TEST_F(uring, multishot_poll_for_reading)
{
	poll_publications(_metadata, &self->ring, variant->driver->node, POLLIN | POLLPRI);
}

TEST_HARNESS_MAIN
