// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices of misc-sim that publish by themselves
 */

#include <sys/epoll.h>
#include "deadline.h"
#include "info.h"
#include "instance.h"
#include "polling.h"
#include "uring.h"

#define ROUNDS		100

FIXTURE(tick) {
	struct instance it;
};

DRIVER_VARIANTS(tick);

FIXTURE_SETUP(tick)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(tick)
{
	remove_instances(variant->driver);
}

TEST_F(tick, periods_accepted)
{
	expect_file(_metadata, self->it.dir, "period_us", "0\n");
	expect_accepted(_metadata, &self->it, "period_us", "1000", "1000\n");
	expect_accepted(_metadata, &self->it, "period_us", "3600000000", "3600000000\n");
	expect_accepted(_metadata, &self->it, "period_us", "0", "0\n");
	expect_fixed_while_live(_metadata, &self->it, "period_us", "3600000000\n", "0");
}

TEST_F(tick, periods_refused)
{
	static const char * const bad[] = { "1", "999", "3600000001", "4294968296", NULL };

	expect_refused(_metadata, &self->it, "period_us", "5000\n", bad);
}

static unsigned long long parse_tick(struct __test_metadata *_metadata, const char *message)
{
	unsigned long long tick;
	char expected[64];

	ASSERT_EQ(0, strncmp("tick ", message, strlen("tick ")))
		TH_LOG("%s", message);
	tick = strtoull(message + strlen("tick "), NULL, 10);
	snprintf(expected, sizeof(expected), "tick %llu\n", tick);
	EXPECT_STREQ(expected, message);
	return tick;
}

static unsigned long long read_tick(struct __test_metadata *_metadata, int fd)
{
	unsigned long long tick;
	char buf[64] = "";

	ASSERT_LT(0, read(fd, buf, sizeof(buf) - 1));
	tick = parse_tick(_metadata, buf);
	EXPECT_EQ(tick + 1, get_info(_metadata, fd).seen);
	return tick;
}

static void await_tick(struct __test_metadata *_metadata, int fd, short event)
{
	struct pollfd pollfd = { .fd = fd, .events = event };
	long long start = now_ms();

	/* An event that poll() finds only when it times out does not count. */
	ASSERT_EQ(1, poll(&pollfd, 1, DEADLINE_MS));
	EXPECT_GT(DEADLINE_MS, now_ms() - start);
	EXPECT_EQ(event, pollfd.revents);
}

/* No tick is early, and none comes twice. */
TEST_F(tick, period)
{
	unsigned long long tick, last = 0;
	long long start = now_us();
	unsigned int i;
	int fd;

	configure(_metadata, &self->it, "period_us", "100000");
	fd = plug_stream(_metadata, &self->it, O_RDONLY);
	expect_greeting(_metadata, fd, variant->driver);
	for (i = 0; i < 3; i++) {
		tick = read_tick(_metadata, fd);
		EXPECT_LT(last, tick);
		EXPECT_LE(tick * 100000, now_us() - start);
		last = tick;
	}
}

TEST_F(tick, shortest_period)
{
	unsigned long long tick, last = 0;
	unsigned int i;
	int fd;

	configure(_metadata, &self->it, "period_us", "1000");
	configure(_metadata, &self->it, "message", "tick 0\n");
	fd = plug_stream(_metadata, &self->it, O_RDONLY);
	for (i = 0; i < 2 * ROUNDS; i++) {
		tick = read_tick(_metadata, fd);
		if (i)
			EXPECT_LT(last, tick);
		last = tick;
	}
}

TEST_F(tick, cut_to_capacity)
{
	char buf[8];
	int fd;

	configure(_metadata, &self->it, "capacity", "3");
	configure(_metadata, &self->it, "message", "abc");
	configure(_metadata, &self->it, "period_us", "1000");
	fd = plug_stream(_metadata, &self->it, O_RDONLY);
	do {
		ASSERT_EQ(3, read(fd, buf, sizeof(buf)));
	} while (get_info(_metadata, fd).seen == 1);
	EXPECT_EQ(0, memcmp("tic", buf, 3));
}

TEST_F(tick, read_of_message_device)
{
	char buf[64] = "";
	int fd;

	configure(_metadata, &self->it, "period_us", "1000");
	fd = plug_and_open(_metadata, &self->it, O_RDONLY);
	ASSERT_LT(0, read(fd, buf, sizeof(buf)));
	await_tick(_metadata, fd, POLLPRI);
	memset(buf, 0, sizeof(buf));
	ASSERT_LT(0, pread(fd, buf, sizeof(buf) - 1, 0));
	EXPECT_LT(0, parse_tick(_metadata, buf));
}

TEST_F(tick, wakes_poll)
{
	int fd;

	configure(_metadata, &self->it, "period_us", "20000");
	fd = plug_read_stream(_metadata, &self->it);
	await_tick(_metadata, fd, POLLIN);
	EXPECT_LT(0, read_tick(_metadata, fd));
}

TEST_F(tick, wakes_epoll)
{
	struct epoll_event event;
	int epoll, fd;

	configure(_metadata, &self->it, "period_us", "20000");
	fd = plug_read_stream(_metadata, &self->it);
	epoll = epoll_of(_metadata, fd, EPOLLIN | EPOLLET);
	ASSERT_EQ(1, epoll_wait(epoll, &event, 1, DEADLINE_MS));
	EXPECT_EQ(EPOLLIN, event.events);
	EXPECT_LT(0, read_tick(_metadata, fd));

	/* It is edge-triggered, so this is another tick. */
	ASSERT_EQ(1, epoll_wait(epoll, &event, 1, DEADLINE_MS));
	EXPECT_EQ(EPOLLIN, event.events);
	EXPECT_LT(0, read_tick(_metadata, fd));
}

TEST_F(tick, wakes_io_uring)
{
	struct io_uring_sqe request;
	struct io_uring ring;
	char buf[64] = "";
	int fd, ret;

	if (!uring_init(_metadata, &ring))
		return;

	configure(_metadata, &self->it, "period_us", "20000");
	fd = plug_read_stream(_metadata, &self->it);
	request = uring_poll_request(fd, POLLIN, 0);
	EXPECT_EQ(POLLIN, uring_complete(_metadata, &ring, &request));
	EXPECT_LT(0, read_tick(_metadata, fd));

	request = uring_read_request(fd, buf, sizeof(buf) - 1);
	ret = uring_complete(_metadata, &ring, &request);
	ASSERT_LT(0, ret);
	EXPECT_EQ(strlen(buf), ret);
	EXPECT_LT(0, parse_tick(_metadata, buf));
	io_uring_queue_exit(&ring);
}

/* The callback of the timer may be running. */
TEST_F(tick, races_with_unplug)
{
	struct misc_sim_info info;
	unsigned int i;
	char buf[64];
	int fd;

	configure(_metadata, &self->it, "period_us", "1000");
	for (i = 0; i < ROUNDS / 2; i++) {
		fd = plug_and_open(_metadata, &self->it, O_RDWR);
		if (i % 2) {
			ASSERT_LT(0, read(fd, buf, sizeof(buf)));
			await_tick(_metadata, fd, POLLPRI);
		}
		unplug(_metadata, &self->it);
		EXPECT_ERRNO(ENODEV, ioctl(fd, MISC_SIM_IOC_INFO, &info));
		close(fd);
	}
}

TEST_HARNESS_MAIN
