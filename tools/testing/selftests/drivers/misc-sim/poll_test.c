// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll(), select() and epoll on a message device
 */

#include <sys/select.h>
#include "blocked.h"
#include "message.h"
#include "polling.h"
#include "variants.h"

FIXTURE(poll) {
	int fd;			/* has read nothing yet */
};

DRIVER_VARIANTS(poll);

FIXTURE_SETUP(poll)
{
	if (load_driver(_metadata, variant->driver))
		self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
}

FIXTURE_TEARDOWN(poll)
{
}

TEST_F(poll, events)
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

	/* The loop that sysfs attributes need: poll, lseek, read. */
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, self->fd));
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, self->fd));
}

/* Reading an old message to its end does not count. */
TEST_F(poll, after_old_message)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);

	leave_midway(_metadata, self->fd);
	publish(_metadata, other, "new", 3);
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, self->fd));
}

/* A missing page stops the writer in the middle of its copy. */
TEST_F(poll, while_writer_copies)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);
	struct blocked call = { .call = blocked_write, .fd = other, .length = 10 };
	struct hole hole;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	publish(_metadata, other, text, TEXT_LEN);
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
	call.buf = hole.page - 4;
	start_call(_metadata, &call);
	await_fault(_metadata, &hole);
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, self->fd));
	fill_hole(_metadata, &hole, "", 0);
	finish_blocked(_metadata, &call);
	EXPECT_EQ(10, call.ret);
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, self->fd));
}

/* No timeout: poll() checks the file again when it expires and hides a lost wake-up. */
static ssize_t blocked_poll_pri(struct blocked *blocked)
{
	struct pollfd pollfd = { .fd = blocked->fd, .events = POLLPRI };

	return poll(&pollfd, 1, -1) == 1 ? pollfd.revents : -1;
}

TEST_F(poll, wakes_everyone)
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

TEST_F(poll, select)
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

TEST_F(poll, select_waits_for_exception)
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

/* epoll checks a file again only after a wake-up, so a lost wake-up shows. */
TEST_F(poll, epoll)
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

TEST_F(poll, epoll_edge_triggered)
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

/* blocked->fd is an epoll instance here. */
static ssize_t blocked_epoll_wait(struct blocked *blocked)
{
	struct epoll_event event;

	return epoll_wait(blocked->fd, &event, 1, -1) == 1 ? (ssize_t)event.events : -1;
}

/* A wake-up with a poll key would wake only one of them. */
TEST_F(poll, epoll_exclusive_wakes_everyone)
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

TEST_HARNESS_MAIN
