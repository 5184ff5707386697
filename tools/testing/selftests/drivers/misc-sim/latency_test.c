// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the latency of the simulated misc device
 */

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "blocked.h"
#include "info.h"
#include "instance.h"
#include "polling.h"
#include "unplug.h"
#include "uring.h"

#define LATENCY_US	50000

/* The maximum. A call that sleeps this long misses every deadline. */
#define FOREVER_US	"60000000"

FIXTURE(latency) {
	struct instance it;
};

DRIVER_VARIANTS(latency);

FIXTURE_SETUP(latency)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(latency)
{
	remove_instances(variant->driver);
}

TEST_F(latency, attribute)
{
	char path[2 * PATH_LEN];
	struct stat st;

	snprintf(path, sizeof(path), "%s/latency_us", self->it.dir);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(S_IFREG | 0644, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	expect_file(_metadata, self->it.dir, "latency_us", "0\n");
}

TEST_F(latency, values_accepted)
{
	expect_accepted(_metadata, &self->it, "latency_us", "1\n", "1\n");
	expect_accepted(_metadata, &self->it, "latency_us", "60000000", "60000000\n");
	expect_accepted(_metadata, &self->it, "latency_us", "0", "0\n");
}

TEST_F(latency, values_refused)
{
	static const char * const bad[] = { "60000001", "4294967296", NULL };

	expect_refused(_metadata, &self->it, "latency_us", "7\n", bad);
}

static void configure_latency(struct __test_metadata *_metadata, const struct instance *inst,
			      unsigned int us)
{
	char value[16];

	snprintf(value, sizeof(value), "%u", us);
	configure(_metadata, inst, "latency_us", value);
}

TEST_F(latency, delays_read_and_write)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	long long start;

	configure_latency(_metadata, &self->it, LATENCY_US);
	start = now_us();
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_LE(LATENCY_US, now_us() - start);
	start = now_us();
	expect_message(_metadata, fd, text, TEXT_LEN);
	EXPECT_LE(LATENCY_US, now_us() - start);
}

TEST_F(latency, delays_stream)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);
	long long start;

	configure_latency(_metadata, &self->it, LATENCY_US);
	start = now_us();
	expect_greeting(_metadata, fd, variant->driver);
	EXPECT_LE(LATENCY_US, now_us() - start);
	start = now_us();
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_LE(LATENCY_US, now_us() - start);
}

/* At least the configured time, and not rounded up to a tick of the timer. */
TEST_F(latency, is_in_microseconds)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	long long deadline = now_ms() + DEADLINE_MS, start, us;
	struct timespec resolution;
	char c;

	ASSERT_EQ(0, clock_getres(CLOCK_MONOTONIC, &resolution));
	if (resolution.tv_nsec >= 1000)
		SKIP(return, "no high-resolution timers");

	configure_latency(_metadata, &self->it, 50);
	do {
		ASSERT_LT(now_ms(), deadline);
		start = now_us();
		ASSERT_EQ(1, pread(fd, &c, 1, 0));
		us = now_us() - start;
		EXPECT_LE(50, us);
	} while (us >= 1000);
}

TEST_F(latency, other_calls_are_not_delayed)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char c, *map;

	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	EXPECT_EQ(0, read(fd, &c, 0));
	EXPECT_EQ(0, write(fd, &c, 0));
	EXPECT_ERRNO(EMSGSIZE, write(fd, bad_page(_metadata), 4097));
	EXPECT_EQ(0, replace(fd, 1, text, TEXT_LEN));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, fd));
	map = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_TRUE(map != MAP_FAILED);
	EXPECT_EQ(0, memcmp(text, map, TEXT_LEN));
	configure(_metadata, &self->it, "message", "live");
	EXPECT_EQ(4, get_info(_metadata, fd).length);
	configure(_metadata, &self->it, "latency_us", "0");
	expect_message(_metadata, fd, "live", 4);
}

/* poll() could not report when the delay is over. */
TEST_F(latency, nonblocking_calls_are_not_delayed)
{
	int fd, nonblock;
	char buf[64];
	struct iovec in = { buf, sizeof(buf) }, out = { (void *)text, TEXT_LEN };

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	nonblock = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK);
	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	EXPECT_EQ(TEXT_LEN, pwritev2(fd, &out, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(TEXT_LEN, preadv2(fd, &in, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	publish(_metadata, nonblock, "new", 3);
	expect_rest(_metadata, nonblock, "new", 3);
	EXPECT_EQ(3, get_info(_metadata, nonblock).seen);
}

TEST_F(latency, nonblocking_calls_are_not_delayed_on_stream)
{
	int fd, nonblock;
	char buf[64];
	struct iovec in = { buf, sizeof(buf) }, out = { (void *)text, TEXT_LEN };

	fd = plug_stream(_metadata, &self->it, O_RDWR);
	nonblock = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK);
	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	expect_greeting(_metadata, nonblock, variant->driver);
	EXPECT_ERRNO(EAGAIN, read(nonblock, buf, sizeof(buf)));
	EXPECT_EQ(TEXT_LEN, pwritev2(fd, &out, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(TEXT_LEN, preadv2(fd, &in, 1, -1, RWF_NOWAIT));
	EXPECT_ERRNO(EAGAIN, preadv2(fd, &in, 1, -1, RWF_NOWAIT));
	expect_message(_metadata, nonblock, text, TEXT_LEN);
}

/* It does not hold up other files, nor other calls on the same file. */
TEST_F(latency, delays_nobody_else)
{
	struct blocked blocked = { .call = blocked_read };
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);

	blocked.fd = fd;
	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	start_blocked(_metadata, &blocked);
	configure(_metadata, &self->it, "latency_us", "0");
	publish(_metadata, fd, text, TEXT_LEN);
	expect_rest(_metadata, fd, text, TEXT_LEN);
	expect_current(_metadata, self->it.node, text, TEXT_LEN);
	unplug(_metadata, &self->it);
	expect_failed(_metadata, &blocked, ENODEV);
}

TEST_F(latency, is_interrupted)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_read, blocked_write };
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	unsigned int i;

	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		struct blocked blocked = { .fd = fd, .call = calls[i] };

		start_blocked(_metadata, &blocked);
		interrupt(_metadata, &blocked, 0);
		expect_failed(_metadata, &blocked, EINTR);
	}
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	EXPECT_EQ(0, get_info(_metadata, fd).seen);
}

TEST_F(latency, is_restarted)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_and_open(_metadata, &self->it, O_RDWR);
	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	start_blocked(_metadata, &blocked);
	configure(_metadata, &self->it, "latency_us", "0");
	interrupt(_metadata, &blocked, SA_RESTART);
	expect_returned(_metadata, &blocked, variant->driver->greeting,
			strlen(variant->driver->greeting));
}

TEST_F(latency, sleeper_is_killed)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);

	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	expect_killed(_metadata, fork_reader(_metadata, fd));
	configure(_metadata, &self->it, "latency_us", "0");
	expect_greeting(_metadata, fd, variant->driver);
}

TEST_F(latency, unplug_ends_it)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_read, blocked_write };
	struct blocked blocked[2] = {};
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	unsigned int i;

	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		blocked[i].fd = fd;
		blocked[i].call = calls[i];
		start_blocked(_metadata, &blocked[i]);
	}
	unplug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(blocked); i++)
		expect_failed(_metadata, &blocked[i], ENODEV);
}

TEST_F(latency, unplug_ends_it_on_stream)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_stream(_metadata, &self->it, O_RDWR);
	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	start_blocked(_metadata, &blocked);
	unplug(_metadata, &self->it);
	expect_failed(_metadata, &blocked, ENODEV);
}

TEST_F(latency, unplug_wins_over_signal)
{
	struct blocked blocked = { .call = blocked_write };

	blocked.fd = plug_and_open(_metadata, &self->it, O_RDWR);
	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	unplug_and_interrupt(_metadata, &self->it, &blocked);
}

FIXTURE(latency_uring) {
	struct io_uring ring;
	struct uring_buffers buffers;
	struct instance it;
};

DRIVER_VARIANTS(latency_uring);

FIXTURE_SETUP(latency_uring)
{
	if (!driver_is_there(_metadata, variant->driver) || !uring_init(_metadata, &self->ring))
		return;
	self->it = make_instance(_metadata, variant->driver, PREFIX "a");
}

FIXTURE_TEARDOWN_PARENT(latency_uring)
{
	remove_instances(variant->driver);
}

static int complete_rw(struct __test_metadata *_metadata, struct io_uring *ring, int opcode,
		       int flags, int fd, const void *buf, size_t length)
{
	struct io_uring_sqe request = uring_rw_request(opcode, fd, buf, length, 0);

	request.flags = flags;
	return uring_complete(_metadata, ring, &request);
}

/*
 * io_uring does not let a request sleep if it can poll the file. The second read of
 * each round finds no new message, so a request that waits for one does not complete.
 */
TEST_F(latency_uring, delays_no_request)
{
	static const int flags[] = { 0, IOSQE_ASYNC, 0, IOSQE_ASYNC };
	unsigned int i, n;
	char buf[64];
	int fd;

	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_EQ(TEXT_LEN, complete_rw(_metadata, &self->ring, IORING_OP_WRITE, flags[i],
						fd, text, TEXT_LEN));
		for (n = 0; n < 2; n++) {
			memset(buf, POISON, sizeof(buf));
			EXPECT_EQ(TEXT_LEN, complete_rw(_metadata, &self->ring, IORING_OP_READ,
							flags[i], fd, buf, sizeof(buf)));
			EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
		}
	}
	EXPECT_EQ(1 + ARRAY_SIZE(flags), get_info(_metadata, fd).generation);
}

TEST_F(latency_uring, multishot_read)
{
	const char *greeting = variant->driver->greeting;
	struct io_uring_sqe request;
	int fd, pos, left;

	if (!uring_provide_buffers(_metadata, &self->ring, &self->buffers))
		SKIP(return, "no ring of buffers");

	configure(_metadata, &self->it, "latency_us", FOREVER_US);
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

TEST_F(latency_uring, stream)
{
	int fd, round;

	if (!uring_provide_buffers(_metadata, &self->ring, &self->buffers))
		SKIP(return, "no ring of buffers");

	fd = plug_read_stream(_metadata, &self->it);
	configure(_metadata, &self->it, "latency_us", FOREVER_US);
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

/* After many attempts to lock the file, io_uring may let a worker sleep. */
TEST_F(latency_uring, completes_after_contention)
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

/* The worker sleeps before it locks the file, which stays locked. */
TEST_F(latency_uring, unplug_ends_it_in_worker)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	struct io_uring_sqe request;
	struct holder holder;
	char buf[TEXT_LEN];

	publish(_metadata, fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, fd))
		return;
	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	request = uring_read_request(fd, buf, sizeof(buf));
	uring_submit(_metadata, &self->ring, &request);
	unplug(_metadata, &self->it);
	uring_expect_end(_metadata, &self->ring, -ENODEV);
	release_file(_metadata, &holder, text);
}

TEST_HARNESS_MAIN
