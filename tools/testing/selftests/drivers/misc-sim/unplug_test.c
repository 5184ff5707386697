// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unplugging a message device of misc-sim while files of it are open
 */

#include <sys/select.h>
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

TEST_F(unplug, fails_every_call)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	int pipe[2], queued;
	char c;

	start_reading(_metadata, fd);
	unplug(_metadata, &self->it);
	expect_gone(_metadata, fd);
	EXPECT_ERRNO(ENODEV, pread(fd, &c, 1, 0));
	EXPECT_ERRNO(ENODEV, pwrite(fd, &c, 1, 0));

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	EXPECT_ERRNO(ENODEV, splice(fd, NULL, pipe[1], NULL, 4096, 0));
	publish(_metadata, pipe[1], text, TEXT_LEN);
	EXPECT_ERRNO(ENODEV, splice(pipe[0], NULL, fd, NULL, 4096, 0));
	ASSERT_EQ(0, ioctl(pipe[0], FIONREAD, &queued));
	EXPECT_EQ(TEXT_LEN, queued);

	/* These need no device. */
	EXPECT_EQ(3, lseek(fd, 3, SEEK_SET));
	EXPECT_EQ(4, lseek(fd, 1, SEEK_CUR));
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "generation", 2));
	EXPECT_EQ(0, close(fd));
}

TEST_F(unplug, by_rmdir)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);

	ASSERT_EQ(0, rmdir(self->it.dir));
	expect_gone(_metadata, fd);
	expect_no_node(_metadata, &self->it);
}

TEST_F(unplug, fails_open)
{
	char path[64];
	int fd;

	plug(_metadata, &self->it);
	fd = open_node(_metadata, self->it.node, O_PATH);
	unplug(_metadata, &self->it);
	EXPECT_ERRNO(ENOENT, open(self->it.node, O_RDWR));

	/* The descriptor still leads to the node. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_ERRNO(ENODEV, open(path, O_RDWR));
}

TEST_F(unplug, poll)
{
	int unseen = plug_and_open(_metadata, &self->it, O_RDWR);
	int seen = open_node(_metadata, self->it.node, O_RDWR);

	expect_greeting(_metadata, seen, variant->driver);
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, unseen));
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, seen));
	unplug(_metadata, &self->it);
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, unseen));
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, seen));
}

/* All three sets tell, because a program may wait for any one of them. */
TEST_F(unplug, select)
{
	int i, fd = plug_and_open(_metadata, &self->it, O_RDWR);
	struct timeval no_wait = {};
	fd_set sets[3];

	expect_greeting(_metadata, fd, variant->driver);
	unplug(_metadata, &self->it);
	for (i = 0; i < 3; i++) {
		FD_ZERO(&sets[i]);
		FD_SET(fd, &sets[i]);
	}
	EXPECT_EQ(3, select(fd + 1, &sets[0], &sets[1], &sets[2], &no_wait));
}

TEST_F(unplug, wakes_poll)
{
	struct pollfd pollfds[2] = {};
	struct blocked poller = {
		.call = blocked_poll,
		.buf = (char *)pollfds,
		.length = ARRAY_SIZE(pollfds),
	};
	unsigned int i;

	plug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(pollfds); i++) {
		pollfds[i].fd = open_node(_metadata, self->it.node, O_RDONLY);
		pollfds[i].events = POLLPRI;
		expect_greeting(_metadata, pollfds[i].fd, variant->driver);
	}
	start_blocked(_metadata, &poller);
	unplug(_metadata, &self->it);
	finish_blocked(_metadata, &poller);
	EXPECT_EQ(ARRAY_SIZE(pollfds), poller.ret);
	for (i = 0; i < ARRAY_SIZE(pollfds); i++)
		EXPECT_EQ(UNPLUGGED, pollfds[i].revents);
}

/* Including the pages that nothing has touched */
TEST_F(unplug, keeps_mappings)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char *touched, *untouched, buf[TEXT_LEN];
	int pipe[2], status;
	pid_t pid;

	publish(_metadata, fd, text, TEXT_LEN);
	touched = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
	untouched = mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_TRUE(touched != MAP_FAILED && untouched != MAP_FAILED);
	EXPECT_EQ(0, memcmp(text, touched, TEXT_LEN));
	unplug(_metadata, &self->it);
	close(fd);
	ASSERT_EQ(0, rmdir(self->it.dir));

	EXPECT_EQ(0, memcmp(text, touched, TEXT_LEN));
	EXPECT_EQ(0, memcmp(text, untouched, TEXT_LEN));
	EXPECT_EQ(0, untouched[page_size() - 1]);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!!memcmp(text, untouched, TEXT_LEN));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	EXPECT_EQ(TEXT_LEN, write(pipe[1], untouched, TEXT_LEN));
	EXPECT_EQ(TEXT_LEN, read(pipe[0], buf, TEXT_LEN));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
}

TEST_F(unplug, frees_the_name)
{
	int old = plug_and_open(_metadata, &self->it, O_RDWR), new;

	publish(_metadata, old, text, TEXT_LEN);
	unplug(_metadata, &self->it);
	new = plug_and_open(_metadata, &self->it, O_RDWR);
	EXPECT_EQ(1, get_info(_metadata, new).generation);
	expect_greeting(_metadata, new, variant->driver);
	expect_gone(_metadata, old);
	publish(_metadata, new, "new", 3);
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, old));
	expect_current(_metadata, self->it.node, "new", 3);
}

/* User space may never bring in a page. Unplugging does not wait for it. */
TEST_F(unplug, during_read)
{
	struct blocked blocked = { .call = blocked_read, .length = TEXT_LEN };
	struct hole hole;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	configure(_metadata, &self->it, "message", text);
	blocked.fd = plug_and_open(_metadata, &self->it, O_RDWR);
	blocked.buf = hole.page - 4;
	start_call(_metadata, &blocked);
	await_fault(_metadata, &hole);
	ASSERT_EQ(0, rmdir(self->it.dir));
	expect_gone(_metadata, blocked.fd);
	fill_hole(_metadata, &hole, "", 0);
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
}

TEST_F(unplug, during_write)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_write, blocked_replace };
	struct hole hole;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		struct blocked blocked = { .call = calls[i], .length = 10, .generation = 1 };

		if (!make_hole(_metadata, &hole))
			SKIP(return, "no userfaultfd");

		blocked.fd = plug_and_open(_metadata, &self->it, O_RDWR);
		blocked.buf = hole.page - 4;
		start_call(_metadata, &blocked);
		await_fault(_metadata, &hole);
		unplug(_metadata, &self->it);
		fill_hole(_metadata, &hole, text, TEXT_LEN);
		expect_failed(_metadata, &blocked, ENODEV);
		EXPECT_TRUE(fdinfo_has(_metadata, blocked.fd, "generation", 1));
	}
}

TEST_HARNESS_MAIN
