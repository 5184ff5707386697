// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting for data or for room in a channel of misc-sim: blocking, signals, poll and epoll
 */

#include <sys/uio.h>
#include "channel.h"
#include "unplug.h"

FIXTURE(wait) {
	struct instance it;
};

DRIVER_VARIANTS(wait);

FIXTURE_SETUP(wait)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(wait)
{
	remove_instances(variant->driver);
}

static struct blocked reader_of(int fd)
{
	return (struct blocked) { .call = blocked_read, .fd = fd };
}

static struct blocked writer_of(int fd)
{
	return (struct blocked) {
		.call = blocked_write,
		.fd = fd,
		.buf = (char *)text,
		.length = TEXT_LEN,
	};
}

TEST_F(wait, read_waits_for_data)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct blocked blocked;
	int i;

	for (i = 0; i < ENDS; i++) {
		blocked = reader_of(c.ends[i]);
		start_blocked(_metadata, &blocked);
		publish(_metadata, c.ends[!i], text, TEXT_LEN);
		expect_returned(_metadata, &blocked, text, TEXT_LEN);
	}
}

TEST_F(wait, write_waits_for_room)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct blocked blocked;
	int i;

	for (i = 0; i < ENDS; i++) {
		fill_queue(_metadata, c.ends[i]);
		blocked = writer_of(c.ends[i]);
		start_blocked(_metadata, &blocked);
		expect_number(_metadata, c.ends[!i], 0);
		expect_returned(_metadata, &blocked, text, TEXT_LEN);
		EXPECT_EQ(0, poll_now(_metadata, c.ends[i]) & WRITABLE);
		expect_queue(_metadata, c.ends[!i], 1);
		expect_message(_metadata, c.ends[!i], text, TEXT_LEN);
	}
}

TEST_F(wait, read_waits_for_a_peer)
{
	struct blocked blocked;
	int peer;

	plug_channel(_metadata, &self->it);
	blocked = reader_of(open_node(_metadata, self->it.node, O_RDONLY));
	start_blocked(_metadata, &blocked);
	peer = open_peer(_metadata, &self->it, O_WRONLY);
	publish(_metadata, peer, text, TEXT_LEN);
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
}

/* Both ends of a file wait at the same time. */
TEST_F(wait, reader_and_writer_share_a_file)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct blocked reader, writer;
	int i;

	for (i = 0; i < ENDS; i++) {
		fill_queue(_metadata, c.ends[i]);
		writer = writer_of(c.ends[i]);
		start_blocked(_metadata, &writer);
		reader = reader_of(c.ends[i]);
		start_blocked(_metadata, &reader);
		expect_number(_metadata, c.ends[!i], 0);
		expect_returned(_metadata, &writer, text, TEXT_LEN);
		publish(_metadata, c.ends[!i], "data", 4);
		expect_returned(_metadata, &reader, "data", 4);
		expect_queue(_metadata, c.ends[!i], 1);
		expect_message(_metadata, c.ends[!i], text, TEXT_LEN);
	}
}

/* Each message that is read lets one of them go on. */
TEST_F(wait, writers_wait_for_room)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct blocked blocked[3];
	unsigned int i;

	fill_queue(_metadata, c.ends[DEVICE]);
	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		blocked[i] = writer_of(i ? open_node(_metadata, self->it.node, O_WRONLY) :
				       c.ends[DEVICE]);
		start_blocked(_metadata, &blocked[i]);
	}
	expect_queue(_metadata, c.ends[PEER], 0);
	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		expect_message(_metadata, c.ends[PEER], text, TEXT_LEN);
		expect_returned(_metadata, &blocked[i], text, TEXT_LEN);
	}
}

TEST_F(wait, read_is_interrupted)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct blocked blocked;
	int i;

	for (i = 0; i < ENDS; i++) {
		blocked = reader_of(c.ends[i]);
		start_blocked(_metadata, &blocked);
		interrupt(_metadata, &blocked, 0);
		expect_failed(_metadata, &blocked, EINTR);
		publish(_metadata, c.ends[!i], text, TEXT_LEN);
		expect_message(_metadata, c.ends[i], text, TEXT_LEN);
	}
}

TEST_F(wait, read_is_restarted)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct blocked blocked;
	int i;

	for (i = 0; i < ENDS; i++) {
		blocked = reader_of(c.ends[i]);
		start_blocked(_metadata, &blocked);
		interrupt(_metadata, &blocked, SA_RESTART);
		await_blocked(_metadata, &blocked);
		publish(_metadata, c.ends[!i], text, TEXT_LEN);
		expect_returned(_metadata, &blocked, text, TEXT_LEN);
	}
}

TEST_F(wait, write_is_interrupted)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct blocked blocked;
	int i;

	for (i = 0; i < ENDS; i++) {
		fill_queue(_metadata, c.ends[i]);
		blocked = writer_of(c.ends[i]);
		start_blocked(_metadata, &blocked);
		interrupt(_metadata, &blocked, 0);
		expect_failed(_metadata, &blocked, EINTR);
		expect_queue(_metadata, c.ends[!i], 0);
		EXPECT_EQ(0, poll_now(_metadata, c.ends[!i]) & READABLE);
	}
}

TEST_F(wait, write_is_restarted)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct blocked blocked;
	int i;

	for (i = 0; i < ENDS; i++) {
		fill_queue(_metadata, c.ends[i]);
		blocked = writer_of(c.ends[i]);
		start_blocked(_metadata, &blocked);
		interrupt(_metadata, &blocked, SA_RESTART);
		await_blocked(_metadata, &blocked);
		expect_number(_metadata, c.ends[!i], 0);
		expect_returned(_metadata, &blocked, text, TEXT_LEN);
		expect_queue(_metadata, c.ends[!i], 1);
		expect_message(_metadata, c.ends[!i], text, TEXT_LEN);
	}
}

TEST_F(wait, sleeper_is_killed)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	pid_t pid;
	int i;

	for (i = 0; i < ENDS; i++) {
		expect_killed(_metadata, fork_reader(_metadata, c.ends[i]));
		publish(_metadata, c.ends[!i], text, TEXT_LEN);
		expect_message(_metadata, c.ends[i], text, TEXT_LEN);

		fill_queue(_metadata, c.ends[i]);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(write(c.ends[i], text, TEXT_LEN));
		await_state(_metadata, pid, 'S');
		expect_killed(_metadata, pid);
		expect_queue(_metadata, c.ends[!i], 0);
		EXPECT_EQ(0, poll_now(_metadata, c.ends[!i]) & READABLE);
	}
}

TEST_F(wait, nowait)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	char buf[TEXT_LEN];
	struct iovec in = { buf, sizeof(buf) }, out = { (void *)text, TEXT_LEN };
	int i, sent;

	for (i = 0; i < ENDS; i++) {
		EXPECT_ERRNO(EAGAIN, preadv2(c.ends[!i], &in, 1, -1, RWF_NOWAIT));
		for (sent = 0; sent < SLOTS; sent++)
			EXPECT_EQ(TEXT_LEN, pwritev2(c.ends[i], &out, 1, -1, RWF_NOWAIT));
		EXPECT_ERRNO(EAGAIN, pwritev2(c.ends[i], &out, 1, -1, RWF_NOWAIT));
		for (; sent; sent--) {
			memset(buf, POISON, sizeof(buf));
			EXPECT_EQ(TEXT_LEN, preadv2(c.ends[!i], &in, 1, -1, RWF_NOWAIT));
			EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
		}
		EXPECT_ERRNO(EAGAIN, preadv2(c.ends[!i], &in, 1, -1, RWF_NOWAIT));
	}
}

/* The file is locked by the read that waits for its page. Unlocking it wakes pollers. */
TEST_F(wait, nowait_while_another_reads)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct holder holder;
	char buf[TEXT_LEN];
	struct iovec in = { buf, sizeof(buf) };
	int i, epoll;

	for (i = 0; i < ENDS; i++) {
		publish(_metadata, c.ends[!i], "held", 4);
		publish(_metadata, c.ends[!i], text, TEXT_LEN);
		if (!hold_file(_metadata, &holder, c.ends[i]))
			return;
		epoll = epoll_of(_metadata, c.ends[i], EPOLLIN | EPOLLET);
		epoll_now(_metadata, epoll);
		EXPECT_ERRNO(EAGAIN, preadv2(c.ends[i], &in, 1, -1, RWF_NOWAIT));
		EXPECT_EQ(0, epoll_now(_metadata, epoll));
		release_file(_metadata, &holder, "held");
		EXPECT_EQ(EPOLLIN, epoll_now(_metadata, epoll));
		EXPECT_EQ(TEXT_LEN, preadv2(c.ends[i], &in, 1, -1, RWF_NOWAIT));
		EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
		close(epoll);
	}
}

/* A reader that waits for its page holds back neither other files nor writers. */
TEST_F(wait, others_go_on_while_one_reads)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int other = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK);
	struct holder holder;

	publish(_metadata, c.ends[PEER], "held", 4);
	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, c.ends[DEVICE]))
		return;
	expect_message(_metadata, other, text, TEXT_LEN);
	publish(_metadata, c.ends[DEVICE], "written", 7);
	expect_message(_metadata, c.ends[PEER], "written", 7);
	publish(_metadata, c.ends[PEER], "next", 4);
	expect_message(_metadata, other, "next", 4);
	release_file(_metadata, &holder, "held");
	expect_empty(_metadata, c.ends[DEVICE]);
}

/* Nor does a writer, whose message is queued when it is complete. */
TEST_F(wait, others_go_on_while_one_writes)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	struct blocked writer;
	struct hole hole;
	int i;

	for (i = 0; i < ENDS; i++) {
		if (!make_hole(_metadata, &hole))
			SKIP(return, "no userfaultfd");

		writer = writer_of(c.ends[i]);
		writer.buf = hole.page;
		start_call(_metadata, &writer);
		await_fault(_metadata, &hole);
		expect_empty(_metadata, c.ends[!i]);
		publish(_metadata, c.ends[i], "overtakes", 9);
		publish(_metadata, c.ends[!i], "back", 4);
		expect_message(_metadata, c.ends[i], "back", 4);
		expect_message(_metadata, c.ends[!i], "overtakes", 9);
		fill_hole(_metadata, &hole, text, TEXT_LEN);
		expect_returned(_metadata, &writer, text, TEXT_LEN);
		expect_message(_metadata, c.ends[!i], text, TEXT_LEN);
	}
}

TEST_F(wait, poll)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int i;

	for (i = 0; i < ENDS; i++) {
		EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[i]));
		publish(_metadata, c.ends[!i], text, TEXT_LEN);
		EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[i]));
		expect_message(_metadata, c.ends[i], text, TEXT_LEN);
		fill_queue(_metadata, c.ends[i]);
		EXPECT_EQ(0, poll_now(_metadata, c.ends[i]));
		EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[!i]));
		expect_queue(_metadata, c.ends[!i], 0);
		EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[i]));
	}
}

TEST_F(wait, poll_waits)
{
	static const short events[] = { POLLIN, POLLOUT };
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	struct blocked poller = { .call = blocked_poll, .length = 1 };
	struct pollfd pollfd;
	unsigned int i, j;

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(events); j++) {
			pollfd = (struct pollfd) { .fd = c.ends[i], .events = events[j] };
			poller.tid = 0;
			poller.buf = (char *)&pollfd;
			if (events[j] == POLLOUT)
				fill_queue(_metadata, c.ends[i]);
			start_blocked(_metadata, &poller);
			if (events[j] == POLLOUT)
				expect_queue(_metadata, c.ends[!i], 0);
			else
				publish(_metadata, c.ends[!i], text, TEXT_LEN);
			finish_blocked(_metadata, &poller);
			EXPECT_EQ(1, poller.ret);
			EXPECT_EQ(events[j], pollfd.revents);
			if (events[j] == POLLIN)
				expect_message(_metadata, c.ends[i], text, TEXT_LEN);
		}
	}
}

/* One event for each message, even if the one before it is unread */
TEST_F(wait, epoll_edge_of_data)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int i, round, epoll;

	for (i = 0; i < ENDS; i++) {
		epoll = epoll_of(_metadata, c.ends[i], EPOLLIN | EPOLLET);
		EXPECT_EQ(0, epoll_now(_metadata, epoll));
		for (round = 0; round < 3; round++) {
			send_number(_metadata, c.ends[!i], round);
			EXPECT_EQ(EPOLLIN, epoll_now(_metadata, epoll));
			EXPECT_EQ(0, epoll_now(_metadata, epoll));
		}
		for (round = 0; round < 3; round++)
			expect_number(_metadata, c.ends[i], round);
		expect_empty(_metadata, c.ends[i]);
	}
}

TEST_F(wait, epoll_edge_of_room)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int i, epoll;

	for (i = 0; i < ENDS; i++) {
		fill_queue(_metadata, c.ends[i]);
		epoll = epoll_of(_metadata, c.ends[i], EPOLLOUT | EPOLLET);
		EXPECT_EQ(0, epoll_now(_metadata, epoll));
		expect_number(_metadata, c.ends[!i], 0);
		EXPECT_EQ(EPOLLOUT, epoll_now(_metadata, epoll));
		EXPECT_EQ(0, epoll_now(_metadata, epoll));
		expect_queue(_metadata, c.ends[!i], 1);
	}
}

TEST_F(wait, epoll_level)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int i, epoll;

	for (i = 0; i < ENDS; i++) {
		epoll = epoll_of(_metadata, c.ends[i], EPOLLIN | EPOLLOUT);
		EXPECT_EQ(EPOLLOUT, epoll_now(_metadata, epoll));
		send_number(_metadata, c.ends[!i], 0);
		EXPECT_EQ(EPOLLIN | EPOLLOUT, epoll_now(_metadata, epoll));
		fill_queue(_metadata, c.ends[i]);
		EXPECT_EQ(EPOLLIN, epoll_now(_metadata, epoll));
		EXPECT_EQ(EPOLLIN, epoll_now(_metadata, epoll));
		expect_number(_metadata, c.ends[i], 0);
		EXPECT_EQ(0, epoll_now(_metadata, epoll));
		expect_queue(_metadata, c.ends[!i], 0);
		EXPECT_EQ(EPOLLOUT, epoll_now(_metadata, epoll));
	}
}

static ssize_t blocked_epoll(struct blocked *blocked)
{
	struct epoll_event event;

	return epoll_wait(blocked->fd, &event, 1, 2 * DEADLINE_MS);
}

/* The waiters have files of their own, so EPOLLEXCLUSIVE must not hold back any of them. */
TEST_F(wait, epoll_exclusive_wakes_every_file)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	struct blocked blocked[2] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		int reader = open_node(_metadata, self->it.node, O_RDONLY);

		blocked[i].call = blocked_epoll;
		blocked[i].fd = epoll_of(_metadata, reader, EPOLLIN | EPOLLEXCLUSIVE);
		start_blocked(_metadata, &blocked[i]);
	}
	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		finish_blocked(_metadata, &blocked[i]);
		EXPECT_EQ(1, blocked[i].ret);
	}
}

TEST_HARNESS_MAIN
