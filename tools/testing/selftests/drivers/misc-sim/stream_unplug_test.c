// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unplugging a stream of misc-sim while files of it are open
 */

#include <sys/resource.h>
#include "unplug.h"

#define POLLERS		1000

FIXTURE(stream_unplug) {
	struct instance it;
};

DRIVER_VARIANTS(stream_unplug);

FIXTURE_SETUP(stream_unplug)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(stream_unplug)
{
	remove_instances(variant->driver);
}

TEST_F(stream_unplug, fails_every_call)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);

	unplug(_metadata, &self->it);
	expect_gone(_metadata, fd);
}

TEST_F(stream_unplug, fails_nonblocking_calls)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char c;

	expect_greeting(_metadata, fd, variant->driver);
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
	unplug(_metadata, &self->it);
	expect_gone(_metadata, fd);
}

TEST_F(stream_unplug, poll)
{
	int unseen = plug_stream(_metadata, &self->it, O_RDWR);
	int seen = open_node(_metadata, self->it.node, O_RDWR);

	expect_greeting(_metadata, seen, variant->driver);
	unplug(_metadata, &self->it);
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, unseen));
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, seen));
}

TEST_F(stream_unplug, wakes_reader_among_pollers)
{
	struct blocked reader = { .call = blocked_read };
	struct blocked poller = { .call = blocked_poll, .length = POLLERS };
	struct rlimit limit = { 2 * POLLERS, 2 * POLLERS };
	struct pollfd *pollfds;
	int i, told = 0;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	pollfds = calloc(POLLERS, sizeof(*pollfds));
	ASSERT_TRUE(!!pollfds);
	poller.buf = (char *)pollfds;
	reader.fd = plug_read_stream(_metadata, &self->it);
	for (i = 0; i < POLLERS; i++) {
		pollfds[i].fd = open_node(_metadata, self->it.node, O_RDONLY);
		pollfds[i].events = POLLIN;
		expect_greeting(_metadata, pollfds[i].fd, variant->driver);
	}
	start_blocked(_metadata, &reader);
	start_blocked(_metadata, &poller);

	unplug(_metadata, &self->it);
	expect_failed(_metadata, &reader, ENODEV);
	finish_blocked(_metadata, &poller);
	EXPECT_EQ(POLLERS, poller.ret);
	for (i = 0; i < POLLERS; i++)
		told += pollfds[i].revents == (POLLERR | POLLHUP);
	EXPECT_EQ(POLLERS, told);
	free(pollfds);
}

TEST_F(stream_unplug, wakes_epoll)
{
	int fd = plug_read_stream(_metadata, &self->it);
	int epoll = epoll_of(_metadata, fd, EPOLLIN | EPOLLPRI | EPOLLET);

	EXPECT_EQ(0, epoll_now(_metadata, epoll));
	unplug(_metadata, &self->it);
	EXPECT_EQ(EPOLLERR | EPOLLHUP | EPOLLPRI, epoll_now(_metadata, epoll));
}

TEST_F(stream_unplug, wins_over_signal)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_read_stream(_metadata, &self->it);
	unplug_and_interrupt(_metadata, &self->it, &blocked);
}

TEST_HARNESS_MAIN
