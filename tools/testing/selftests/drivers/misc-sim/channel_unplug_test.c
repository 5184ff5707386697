// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unplugging a channel of misc-sim while files of both its nodes are open
 */

#include "channel.h"
#include "unplug.h"

FIXTURE(unplug) {
	struct instance it;
};

DRIVER_VARIANTS(unplug);

FIXTURE_SETUP(unplug)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(unplug)
{
	remove_instances(variant->driver);
}

static void expect_no_nodes(struct __test_metadata *_metadata, const struct instance *inst)
{
	char path[PEER_PATH_LEN];

	peer_path(inst, path);
	expect_no_node(_metadata, inst);
	EXPECT_ERRNO(ENOENT, access(path, F_OK));
}

TEST_F(unplug, fails_every_call)
{
	static const int flags[] = { 0, O_NONBLOCK };
	struct channel c;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		c = open_channel(_metadata, &self->it, flags[i]);
		unplug(_metadata, &self->it);
		expect_gone(_metadata, c.ends[DEVICE]);
		expect_peer_gone(_metadata, c.ends[PEER]);
		EXPECT_EQ(0, close(c.ends[PEER]));
		EXPECT_EQ(0, close(c.ends[DEVICE]));
	}
}

/* Data that is queued or partly read is gone as well. */
TEST_F(unplug, drops_data)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	char byte;
	int i;

	for (i = 0; i < ENDS; i++)
		fill_queue(_metadata, c.ends[i]);
	for (i = 0; i < ENDS; i++)
		ASSERT_EQ(1, read(c.ends[i], &byte, 1));
	unplug(_metadata, &self->it);
	expect_gone(_metadata, c.ends[DEVICE]);
	expect_peer_gone(_metadata, c.ends[PEER]);
}

TEST_F(unplug, by_rmdir)
{
	struct channel c = open_channel(_metadata, &self->it, 0);

	ASSERT_EQ(0, rmdir(self->it.dir));
	expect_gone(_metadata, c.ends[DEVICE]);
	expect_peer_gone(_metadata, c.ends[PEER]);
	expect_no_nodes(_metadata, &self->it);
}

TEST_F(unplug, fails_open)
{
	char path[64];
	int i, fds[ENDS];

	plug_channel(_metadata, &self->it);
	fds[DEVICE] = open_node(_metadata, self->it.node, O_PATH);
	fds[PEER] = open_peer(_metadata, &self->it, O_PATH);
	unplug(_metadata, &self->it);
	expect_no_nodes(_metadata, &self->it);

	/* The descriptors still lead to the nodes. */
	for (i = 0; i < ENDS; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[i]);
		EXPECT_ERRNO(ENODEV, open(path, O_RDWR));
	}
}

/* Neither the open peer nor what it left is that of the new device. */
TEST_F(unplug, frees_the_names)
{
	struct channel old = open_channel(_metadata, &self->it, O_NONBLOCK), new;
	int i;

	for (i = 0; i < ENDS; i++)
		publish(_metadata, old.ends[i], text, TEXT_LEN);
	unplug(_metadata, &self->it);
	new = open_channel(_metadata, &self->it, O_NONBLOCK);
	for (i = 0; i < ENDS; i++)
		expect_empty(_metadata, new.ends[i]);
	close(old.ends[PEER]);
	for (i = 0; i < ENDS; i++) {
		publish(_metadata, new.ends[i], "new", 3);
		expect_message(_metadata, new.ends[!i], "new", 3);
	}
	expect_gone(_metadata, old.ends[DEVICE]);
}

TEST_F(unplug, wakes_sleepers)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_read, blocked_write };
	struct blocked blocked[ENDS][ARRAY_SIZE(calls)] = {};
	struct channel c = open_channel(_metadata, &self->it, 0);
	unsigned int i, j;

	/* The readers wait first, and so find nothing. */
	for (i = 0; i < ENDS; i++) {
		blocked[i][0].call = blocked_read;
		blocked[i][0].fd = c.ends[i];
		start_blocked(_metadata, &blocked[i][0]);
	}
	unplug(_metadata, &self->it);
	for (i = 0; i < ENDS; i++)
		expect_failed(_metadata, &blocked[i][0], ENODEV);

	c = open_channel(_metadata, &self->it, 0);
	for (i = 0; i < ENDS; i++) {
		fill_queue(_metadata, c.ends[i]);
		for (j = 0; j < 2; j++) {
			blocked[i][j] = (struct blocked) {
				.call = blocked_write,
				.fd = c.ends[i],
			};
			start_blocked(_metadata, &blocked[i][j]);
		}
	}
	unplug(_metadata, &self->it);
	for (i = 0; i < ENDS; i++)
		for (j = 0; j < 2; j++)
			expect_failed(_metadata, &blocked[i][j], ENODEV);
}

TEST_F(unplug, wakes_pollers)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct pollfd pollfds[ENDS] = {
		{ .fd = c.ends[DEVICE], .events = POLLIN },
		{ .fd = c.ends[PEER], .events = POLLIN | POLLPRI },
	};
	struct blocked poller = {
		.call = blocked_poll,
		.buf = (char *)pollfds,
		.length = ENDS,
	};
	int i, epolls[ENDS];

	for (i = 0; i < ENDS; i++) {
		epolls[i] = epoll_of(_metadata, c.ends[i], EPOLLIN | EPOLLPRI | EPOLLET);
		EXPECT_EQ(0, epoll_now(_metadata, epolls[i]));
	}
	start_blocked(_metadata, &poller);
	unplug(_metadata, &self->it);
	finish_blocked(_metadata, &poller);
	EXPECT_EQ(ENDS, poller.ret);
	EXPECT_EQ(POLLERR | POLLHUP, pollfds[DEVICE].revents);
	EXPECT_EQ(UNPLUGGED, pollfds[PEER].revents);
	for (i = 0; i < ENDS; i++)
		EXPECT_EQ(EPOLLERR | EPOLLHUP | EPOLLPRI, epoll_now(_metadata, epolls[i]));
}

TEST_F(unplug, wins_over_signal)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_read, blocked_write };
	struct channel c;
	unsigned int i, j;

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(calls); j++) {
			struct blocked blocked = { .call = calls[j] };

			c = open_channel(_metadata, &self->it, 0);
			blocked.fd = c.ends[i];
			if (calls[j] == blocked_write)
				fill_queue(_metadata, c.ends[i]);
			if (!unplug_and_interrupt(_metadata, &self->it, &blocked))
				return;
		}
	}
}

/* User space may never bring in a page. Unplugging does not wait for it. */
TEST_F(unplug, during_read)
{
	struct channel c;
	struct hole hole;
	int i;

	for (i = 0; i < ENDS; i++) {
		struct blocked blocked = { .call = blocked_read, .length = TEXT_LEN };

		if (!make_hole(_metadata, &hole))
			SKIP(return, "no userfaultfd");

		c = open_channel(_metadata, &self->it, 0);
		publish(_metadata, c.ends[!i], text, TEXT_LEN);
		blocked.fd = c.ends[i];
		blocked.buf = hole.page - 4;
		start_call(_metadata, &blocked);
		await_fault(_metadata, &hole);
		unplug(_metadata, &self->it);
		EXPECT_EQ(UNPLUGGED, poll_now(_metadata, c.ends[i]));
		fill_hole(_metadata, &hole, "", 0);
		expect_returned(_metadata, &blocked, text, TEXT_LEN);
	}
}

TEST_F(unplug, during_write)
{
	struct channel c;
	struct hole hole;
	int i;

	for (i = 0; i < ENDS; i++) {
		struct blocked blocked = { .call = blocked_write, .length = 10 };

		if (!make_hole(_metadata, &hole))
			SKIP(return, "no userfaultfd");

		c = open_channel(_metadata, &self->it, 0);
		blocked.fd = c.ends[i];
		blocked.buf = hole.page - 4;
		start_call(_metadata, &blocked);
		await_fault(_metadata, &hole);
		ASSERT_EQ(0, rmdir(self->it.dir));
		ASSERT_EQ(0, mkdir(self->it.dir, 0755));
		fill_hole(_metadata, &hole, text, TEXT_LEN);
		expect_failed(_metadata, &blocked, ENODEV);
	}
}

/* Its queue is freed with the last of its files, whichever that is. */
TEST_F(unplug, files_close_in_any_order)
{
	struct channel c;
	int i, round;

	for (round = 0; round < 4; round++) {
		c = open_channel(_metadata, &self->it, 0);
		for (i = 0; i < ENDS; i++)
			publish(_metadata, c.ends[i], text, TEXT_LEN);
		if (round < 2)
			unplug(_metadata, &self->it);
		EXPECT_EQ(0, close(c.ends[round % 2]));
		if (round >= 2)
			unplug(_metadata, &self->it);
		EXPECT_EQ(UNPLUGGED, poll_now(_metadata, c.ends[!(round % 2)]));
		EXPECT_EQ(0, close(c.ends[!(round % 2)]));
	}
}

TEST_HARNESS_MAIN
