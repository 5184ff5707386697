// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of a channel of misc-sim, which its peer sets and clears
 */

#include "records.h"
#include "unplug.h"

FIXTURE(events) {
	struct instance it;
};

DRIVER_VARIANTS(events);

FIXTURE_SETUP(events)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(events)
{
	remove_instances(variant->driver);
}

static int send_events(int peer, __u64 mask)
{
	return send_record(peer, (struct misc_sim_record) {
		.type = MISC_SIM_RECORD_EVENTS,
		.arg = mask,
	}, NULL, 0);
}

TEST_F(events, poll)
{
	static const short masks[] = { POLLERR, POLLPRI, POLLERR | POLLPRI, 0 };
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	int other = open_node(_metadata, self->it.node, O_RDONLY);
	struct pollfd none = { .fd = other, .events = 0 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		EXPECT_EQ(0, send_events(c.ends[PEER], masks[i]));
		EXPECT_EQ(WRITABLE | masks[i], poll_now(_metadata, c.ends[DEVICE]));
		EXPECT_EQ(WRITABLE | masks[i], poll_now(_metadata, other));
		EXPECT_EQ(!!(masks[i] & POLLERR), poll(&none, 1, 0));
		EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[PEER]));
		EXPECT_EQ(0, send_data(c.ends[PEER], "new", 3));
		EXPECT_EQ(READABLE | WRITABLE | masks[i], poll_now(_metadata, other));
		expect_message(_metadata, c.ends[DEVICE], "new", 3);
	}
}

TEST_F(events, wake)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	struct pollfd pollfd = { .fd = c.ends[DEVICE], .events = POLLPRI };
	struct blocked poller = {
		.call = blocked_poll,
		.buf = (char *)&pollfd,
		.length = 1,
	};

	start_blocked(_metadata, &poller);
	EXPECT_EQ(0, send_events(c.ends[PEER], POLLPRI));
	finish_blocked(_metadata, &poller);
	EXPECT_EQ(1, poller.ret);
	EXPECT_EQ(POLLPRI, pollfd.revents);

	EXPECT_EQ(0, send_events(c.ends[PEER], 0));
	poller.tid = 0;
	start_blocked(_metadata, &poller);
	EXPECT_EQ(0, send_events(c.ends[PEER], POLLERR));
	finish_blocked(_metadata, &poller);
	EXPECT_EQ(1, poller.ret);
	EXPECT_EQ(POLLERR, pollfd.revents);
}

TEST_F(events, epoll)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	int level = epoll_of(_metadata, c.ends[DEVICE], EPOLLPRI);
	int edge = epoll_of(_metadata, c.ends[DEVICE], EPOLLPRI | EPOLLET);
	int round;

	for (round = 0; round < 2; round++) {
		EXPECT_EQ(0, epoll_now(_metadata, level));
		EXPECT_EQ(0, epoll_now(_metadata, edge));
		EXPECT_EQ(0, send_events(c.ends[PEER], POLLPRI));
		EXPECT_EQ(EPOLLPRI, epoll_now(_metadata, level));
		EXPECT_EQ(EPOLLPRI, epoll_now(_metadata, level));
		EXPECT_EQ(EPOLLPRI, epoll_now(_metadata, edge));
		EXPECT_EQ(0, epoll_now(_metadata, edge));
		EXPECT_EQ(0, send_events(c.ends[PEER], POLLPRI | POLLERR));
		EXPECT_EQ(EPOLLPRI | EPOLLERR, epoll_now(_metadata, level));
		EXPECT_EQ(EPOLLPRI | EPOLLERR, epoll_now(_metadata, edge));
		EXPECT_EQ(0, send_events(c.ends[PEER], 0));
	}
}

TEST_F(events, bad_bits)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	int bit;

	EXPECT_EQ(0, send_events(c.ends[PEER], POLLPRI));
	for (bit = 0; bit < 64; bit++) {
		if (1ULL << bit == POLLERR || 1ULL << bit == POLLPRI)
			continue;
		EXPECT_ERRNO(EINVAL, send_events(c.ends[PEER], 1ULL << bit));
		EXPECT_ERRNO(EINVAL, send_events(c.ends[PEER], 1ULL << bit | POLLERR));
	}
	EXPECT_EQ(WRITABLE | POLLPRI, poll_now(_metadata, c.ends[DEVICE]));
}

TEST_F(events, with_payload)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	struct misc_sim_record head = { .type = MISC_SIM_RECORD_EVENTS, .arg = POLLPRI };

	EXPECT_ERRNO(EINVAL, send_record(c.ends[PEER], head, text, TEXT_LEN));
	EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
}

TEST_F(events, reset_when_peer_closes)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);

	EXPECT_EQ(0, send_events(c.ends[PEER], POLLERR | POLLPRI));
	EXPECT_EQ(WRITABLE | POLLERR | POLLPRI, poll_now(_metadata, c.ends[DEVICE]));
	close(c.ends[PEER]);
	EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
	c.ends[PEER] = open_peer(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
}

/* An event waits for no room. */
TEST_F(events, full_queue)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	int i;

	for (i = 0; i < SLOTS; i++)
		EXPECT_EQ(0, send_data(c.ends[PEER], &i, sizeof(i)));
	EXPECT_ERRNO(EAGAIN, send_data(c.ends[PEER], text, TEXT_LEN));
	EXPECT_EQ(0, send_events(c.ends[PEER], POLLPRI));
	EXPECT_EQ(READABLE | WRITABLE | POLLPRI, poll_now(_metadata, c.ends[DEVICE]));
	EXPECT_EQ(0, send_flush(c.ends[PEER]));
	EXPECT_EQ(WRITABLE | POLLPRI, poll_now(_metadata, c.ends[DEVICE]));
}

TEST_F(events, unplug)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);

	EXPECT_EQ(0, send_events(c.ends[PEER], POLLPRI));
	unplug(_metadata, &self->it);
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, c.ends[DEVICE]));
	EXPECT_ERRNO(ENODEV, send_events(c.ends[PEER], 0));
}

TEST_HARNESS_MAIN
