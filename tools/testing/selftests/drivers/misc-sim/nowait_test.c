// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls that may not sleep: O_NONBLOCK and RWF_NOWAIT
 */

#include <sys/uio.h>
#include "blocked.h"
#include "message.h"
#include "polling.h"
#include "variants.h"

FIXTURE(nowait) {
	int fd;			/* has read nothing yet */
};

DRIVER_VARIANTS(nowait);

FIXTURE_SETUP(nowait)
{
	if (load_driver(_metadata, variant->driver))
		self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
}

FIXTURE_TEARDOWN(nowait)
{
}

/* At the end of a message there is nothing to wait for: the read returns 0. */
TEST_F(nowait, nonblock_read_at_end)
{
	int fd = open_node(_metadata, variant->driver->node, O_RDWR | O_NONBLOCK);

	publish(_metadata, fd, text, TEXT_LEN);
	expect_rest(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, fd));
}

static ssize_t read_nowait(int fd, void *buf, size_t length, off_t offset)
{
	struct iovec iov = { buf, length };

	return preadv2(fd, &iov, 1, offset, RWF_NOWAIT);
}

static ssize_t write_nowait(int fd, const void *buf, size_t length, off_t offset)
{
	struct iovec iov = { (void *)buf, length };

	return pwritev2(fd, &iov, 1, offset, RWF_NOWAIT);
}

TEST_F(nowait, reads_and_writes)
{
	char buf[TEXT_LEN];

	EXPECT_EQ(TEXT_LEN, write_nowait(self->fd, text, TEXT_LEN, -1));
	EXPECT_EQ(TEXT_LEN, read_nowait(self->fd, buf, sizeof(buf), -1));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	EXPECT_EQ(0, read_nowait(self->fd, buf, sizeof(buf), -1));
	EXPECT_EQ(TEXT_LEN - 3, read_nowait(self->fd, buf, sizeof(buf), 3));
	EXPECT_EQ(0, memcmp(text + 3, buf, TEXT_LEN - 3));
}

/* After EAGAIN, pollers are woken once the other reader is done. */
TEST_F(nowait, while_another_reads)
{
	int other = open_node(_metadata, variant->driver->node, O_RDWR);
	int epoll = epoll_of(_metadata, self->fd, EPOLLIN | EPOLLET);
	struct holder holder;
	char buf[4];

	publish(_metadata, other, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, self->fd))
		return;
	EXPECT_EQ(EPOLLIN, epoll_now(_metadata, epoll));
	EXPECT_ERRNO(EAGAIN, read_nowait(self->fd, buf, sizeof(buf), 0));
	EXPECT_ERRNO(EAGAIN, read_nowait(self->fd, buf, sizeof(buf), -1));
	EXPECT_EQ(0, epoll_now(_metadata, epoll));

	/* Other files and writers do not need the lock. */
	EXPECT_EQ(sizeof(buf), read_nowait(other, buf, sizeof(buf), 0));
	EXPECT_EQ(3, write_nowait(self->fd, "new", 3, 0));
	EXPECT_EQ(EPOLLIN, epoll_now(_metadata, epoll));
	EXPECT_EQ(0, epoll_now(_metadata, epoll));

	release_file(_metadata, &holder, text);
	EXPECT_EQ(EPOLLIN, epoll_now(_metadata, epoll));
	EXPECT_EQ(0, epoll_now(_metadata, epoll));
	EXPECT_EQ(3, read_nowait(self->fd, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp("new", buf, 3));
}

TEST_HARNESS_MAIN
