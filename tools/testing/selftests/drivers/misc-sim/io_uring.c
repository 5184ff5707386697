// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the simulated misc device through io_uring
 *
 * Every request completes: at once, after it waited in poll or in a worker thread, or
 * with an error when the device is unplugged. One that misses the deadline hangs.
 */

#include "instance.h"
#include "uring.h"

static bool init_ring(struct __test_metadata *_metadata, struct io_uring *ring)
{
	if (io_uring_queue_init(8, ring, 0))
		SKIP(return false, "no io_uring");
	return true;
}

static int complete(struct __test_metadata *_metadata, struct io_uring *ring,
		    const struct io_uring_sqe *request)
{
	uring_submit(_metadata, ring, request);
	return uring_wait(_metadata, ring);
}

static int complete_rw(struct __test_metadata *_metadata, struct io_uring *ring, int opcode,
		       int fd, const void *buf, size_t length, __u64 offset)
{
	struct io_uring_sqe request = uring_rw_request(opcode, fd, buf, length, offset);

	return complete(_metadata, ring, &request);
}

/* Message devices */

FIXTURE(message) {
	struct io_uring ring;
	int fd;
	size_t capacity;
};

DRIVER_VARIANTS(message);

FIXTURE_SETUP(message)
{
	if (!load_driver(_metadata, variant->driver) || !init_ring(_metadata, &self->ring))
		return;
	self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
	self->capacity = get_info(_metadata, self->fd).capacity;
}

FIXTURE_TEARDOWN(message)
{
}

TEST_F(message, reads_and_writes_in_a_row)
{
	static const int flags[] = { 0, IOSQE_ASYNC };
	struct io_uring_sqe request;
	struct misc_sim_info info;
	char buf[TEXT_LEN];
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		info = get_info(_metadata, self->fd);
		for (n = 1; n <= 3; n++) {
			request = uring_rw_request(IORING_OP_WRITE, self->fd, text, TEXT_LEN,
						   n % 2 ? 0 : -1);
			request.flags = flags[i];
			EXPECT_EQ(TEXT_LEN, complete(_metadata, &self->ring, &request));
			EXPECT_EQ(info.generation + n, get_info(_metadata, self->fd).generation);
		}
		for (n = 0; n < 3; n++) {
			memset(buf, POISON, sizeof(buf));
			request = uring_rw_request(IORING_OP_READ, self->fd, buf, sizeof(buf), 0);
			request.flags = flags[i];
			EXPECT_EQ(TEXT_LEN, complete(_metadata, &self->ring, &request));
			EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
		}
	}
}

TEST_F(message, reads_at_position)
{
	static const int flags[] = { 0, IOSQE_ASYNC };
	struct io_uring_sqe request;
	char buf[TEXT_LEN];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		start_reading(_metadata, self->fd);
		request = uring_rw_request(IORING_OP_READ, self->fd, buf, 6, -1);
		request.flags = flags[i];
		EXPECT_EQ(6, complete(_metadata, &self->ring, &request));
		EXPECT_EQ(0, memcmp(text + TEXT_POS, buf, 6));
		EXPECT_EQ(TEXT_LEN - TEXT_POS - 6, complete(_metadata, &self->ring, &request));
		EXPECT_EQ(0, memcmp(text + TEXT_POS + 6, buf, TEXT_LEN - TEXT_POS - 6));
		EXPECT_EQ(0, complete(_metadata, &self->ring, &request));
		EXPECT_EQ(0, complete(_metadata, &self->ring, &request));

		/* An offset leaves the position where it is. */
		EXPECT_EQ(4, lseek(self->fd, 4, SEEK_SET));
		request.off = 9;
		EXPECT_EQ(6, complete(_metadata, &self->ring, &request));
		EXPECT_EQ(0, memcmp(text + 9, buf, 6));
		expect_rest(_metadata, self->fd, text + 4, TEXT_LEN - 4);
	}
}

TEST_F(message, errors)
{
	char *bad = bad_page(_metadata);
	struct misc_sim_info before = start_reading(_metadata, self->fd);

	EXPECT_EQ(-EFAULT, complete_rw(_metadata, &self->ring, IORING_OP_READ, self->fd,
				       bad, 4, 0));
	EXPECT_EQ(-EFAULT, complete_rw(_metadata, &self->ring, IORING_OP_WRITE, self->fd,
				       bad - 1, 4, 0));
	EXPECT_EQ(-EMSGSIZE, complete_rw(_metadata, &self->ring, IORING_OP_WRITE, self->fd,
					 bad - 1, self->capacity + 1, 0));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

/* Some of them find the file locked by another one. */
TEST_F(message, reads_in_flight)
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

TEST_F(message, read_while_another_reads)
{
	read_while_held(_metadata, &self->ring, self->fd, 0);
}

TEST_F(message, worker_reads_while_another_reads)
{
	read_while_held(_metadata, &self->ring, self->fd, IOSQE_ASYNC);
}

TEST_F(message, multishot_read)
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

TEST_F(message, multishot_read_of_empty_message)
{
	struct io_uring_sqe request = uring_multishot_request(self->fd);
	struct uring_buffers buffers;

	if (!uring_provide_buffers(_metadata, &self->ring, &buffers))
		SKIP(return, "no ring of buffers");

	ASSERT_EQ(0, replace(self->fd, get_info(_metadata, self->fd).generation, NULL, 0));
	uring_submit(_metadata, &self->ring, &request);
	uring_expect_end(_metadata, &self->ring, 0);
}

TEST_F(message, poll)
{
	struct io_uring_sqe in = uring_poll_request(self->fd, POLLIN | POLLOUT, 0);
	struct io_uring_sqe pri = uring_poll_request(self->fd, POLLPRI, 0);

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(POLLIN | POLLOUT, complete(_metadata, &self->ring, &in));
	EXPECT_EQ(POLLPRI, complete(_metadata, &self->ring, &pri));
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(POLLIN | POLLOUT, complete(_metadata, &self->ring, &in));
	uring_submit(_metadata, &self->ring, &pri);
	EXPECT_FALSE(uring_is_done(&self->ring));
	publish(_metadata, self->fd, "new", 3);
	uring_expect_end(_metadata, &self->ring, POLLPRI);
}

/* One completion for each publication. */
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

TEST_F(message, multishot_poll_for_news)
{
	poll_publications(_metadata, &self->ring, variant->driver->node, POLLPRI);
}

TEST_F(message, multishot_poll_for_reading)
{
	poll_publications(_metadata, &self->ring, variant->driver->node, POLLIN | POLLPRI);
}

/* Streams, latency, and the end of a device */

FIXTURE(instance) {
	struct io_uring ring;
	struct uring_buffers buffers;
	struct instance it;
};

DRIVER_VARIANTS(instance);

FIXTURE_SETUP(instance)
{
	if (!driver_is_there(_metadata, variant->driver) || !init_ring(_metadata, &self->ring))
		return;
	self->it = make_instance(_metadata, variant->driver, PREFIX "uring");
}

FIXTURE_TEARDOWN_PARENT(instance)
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

TEST_F(instance, stream_read_waits)
{
	read_of_stream_waits(_metadata, &self->ring, &self->it, 0);
}

TEST_F(instance, stream_worker_read_waits)
{
	read_of_stream_waits(_metadata, &self->ring, &self->it, IOSQE_ASYNC);
}

/* The first publication wakes both, but only one of them gets it. */
TEST_F(instance, stream_reads_wait_on_one_file)
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

/* The reader that holds the file takes the message. The request gets the next one. */
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

TEST_F(instance, stream_read_while_another_reads)
{
	stream_read_while_held(_metadata, &self->ring, &self->it, 0);
}

TEST_F(instance, stream_worker_reads_while_another_reads)
{
	stream_read_while_held(_metadata, &self->ring, &self->it, IOSQE_ASYNC);
}

TEST_F(instance, stream_multishot_read)
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

/* io_uring may turn it into one that completes once. */
TEST_F(instance, stream_multishot_read_while_another_reads)
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

TEST_F(instance, stream_multishot_poll)
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

/*
 * Cancel the only request, a read that waits. A cancellation does not find a request
 * that is on its way to a worker or back, so try again until the read completes.
 */
static void cancel_read(struct __test_metadata *_metadata, struct io_uring *ring)
{
	long long deadline = now_ms() + DEADLINE_MS;
	struct io_uring_sqe cancel = {
		.opcode = IORING_OP_ASYNC_CANCEL,
		.cancel_flags = IORING_ASYNC_CANCEL_ANY,
		.fd = -1,
		.user_data = 1,
	};
	struct uring_completion cqe;
	bool canceled = false;

	while (!canceled) {
		ASSERT_LT(now_ms(), deadline);
		uring_submit(_metadata, ring, &cancel);
		do {
			cqe = uring_next(_metadata, ring);
			if (cqe.user_data)
				continue;
			EXPECT_TRUE(cqe.res == -ECANCELED || cqe.res == -EINTR)
				TH_LOG("%d", cqe.res);
			canceled = true;
		} while (!cqe.user_data);
	}
	EXPECT_FALSE(uring_is_done(ring));
}

TEST_F(instance, cancel_read_of_stream)
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
		cancel_read(_metadata, &self->ring);
	}
}

/* The worker sleeps until the file is unlocked. */
TEST_F(instance, cancel_read_while_another_reads)
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
	cancel_read(_metadata, &self->ring);
	release_file(_metadata, &holder, text);
}

/* The requests of a process end with it. */
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

TEST_F(instance, exit_with_read_of_stream)
{
	int fd = plug_read_stream(_metadata, &self->it);

	exit_with_read(_metadata, fd, 0);
	exit_with_read(_metadata, fd, IOSQE_ASYNC);
	publish(_metadata, fd, text, TEXT_LEN);
	expect_message(_metadata, fd, text, TEXT_LEN);
}

TEST_F(instance, exit_with_read_while_another_reads)
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

/* io_uring does not let requests sleep if it can poll the file. */
TEST_F(instance, latency_delays_no_request)
{
	static const int opcodes[] = { IORING_OP_READ, IORING_OP_WRITE };
	struct io_uring_sqe request;
	char buf[TEXT_LEN];
	unsigned int i, n;
	int fd;

	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	memset(buf, 'x', sizeof(buf));
	for (i = 0; i < ARRAY_SIZE(opcodes); i++) {
		for (n = 0; n < 4; n++) {
			request = uring_rw_request(opcodes[i], fd, buf, sizeof(buf), 0);
			request.flags = n % 2 ? IOSQE_ASYNC : 0;
			EXPECT_EQ(TEXT_LEN, complete(_metadata, &self->ring, &request));
		}
	}
	EXPECT_EQ(1 + 4, get_info(_metadata, fd).generation);
}

/* After many attempts to lock the file, io_uring lets a worker sleep. */
TEST_F(instance, latency_while_another_reads)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	struct io_uring_sqe request;
	struct holder holder;
	char buf[TEXT_LEN];

	publish(_metadata, fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, fd))
		return;
	configure(_metadata, &self->it, "latency_us", "1000");
	request = uring_rw_request(IORING_OP_READ, fd, buf, sizeof(buf), 0);
	uring_submit(_metadata, &self->ring, &request);
	release_file(_metadata, &holder, text);
	uring_expect_end(_metadata, &self->ring, TEXT_LEN);
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
}

TEST_F(instance, latency_multishot_read)
{
	const char *greeting = variant->driver->greeting;
	struct io_uring_sqe request;
	int fd, pos, left;

	if (!uring_provide_buffers(_metadata, &self->ring, &self->buffers))
		SKIP(return, "no ring of buffers");

	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	request = uring_multishot_request(fd);
	uring_submit(_metadata, &self->ring, &request);
	for (pos = 0; greeting[pos]; pos += left) {
		left = strlen(greeting + pos);
		if (left > URING_BUFFER_SIZE)
			left = URING_BUFFER_SIZE;
		uring_expect_shot(_metadata, &self->ring, &self->buffers, greeting + pos, left);
	}
	uring_expect_end(_metadata, &self->ring, 0);
}

TEST_F(instance, latency_on_stream)
{
	int fd, round;

	if (!uring_provide_buffers(_metadata, &self->ring, &self->buffers))
		SKIP(return, "no ring of buffers");

	fd = plug_read_stream(_metadata, &self->it);
	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	ASSERT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
	for (round = 0; round < 2; round++) {
		struct io_uring_sqe request = round ? uring_multishot_request(fd) :
					      uring_read_request(fd, self->buffers.data[0], 6);

		uring_submit(_metadata, &self->ring, &request);
		publish(_metadata, fd, text, 6);
		if (round)
			uring_expect_shot(_metadata, &self->ring, &self->buffers, text, 6);
		else
			uring_expect_end(_metadata, &self->ring, 6);
		EXPECT_EQ(0, memcmp(text, self->buffers.data[0], 6));
	}
}

TEST_F(instance, unplug_completes_reads)
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
		EXPECT_EQ(-ENODEV, complete(_metadata, &self->ring, &requests[i]));
}

TEST_F(instance, unplug_completes_polls)
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

/* The worker sleeps before it locks the file, which stays locked. */
TEST_F(instance, unplug_ends_latency_in_worker)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	struct io_uring_sqe request;
	struct holder holder;
	char buf[TEXT_LEN];

	publish(_metadata, fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, fd))
		return;
	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	request = uring_read_request(fd, buf, sizeof(buf));
	uring_submit(_metadata, &self->ring, &request);
	unplug(_metadata, &self->it);
	uring_expect_end(_metadata, &self->ring, -ENODEV);
	release_file(_metadata, &holder, text);
}

TEST_F(instance, unplug_while_another_reads)
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

int main(int argc, char **argv)
{
	atexit(clean_up);
	return test_harness_run(argc, argv);
}
