// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing to a message device, and gathered and scattered I/O
 */

#include <sys/uio.h>
#include "message.h"
#include "variants.h"

FIXTURE(write) {
	int fd;			/* has read nothing yet */
};

DRIVER_VARIANTS(write);

FIXTURE_SETUP(write)
{
	if (load_driver(_metadata, variant->driver))
		self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
}

FIXTURE_TEARDOWN(write)
{
}

TEST_F(write, to_write_only_file)
{
	int writer = open_node(_metadata, variant->driver->node, O_WRONLY);
	int reader = open_node(_metadata, variant->driver->node, O_RDONLY);

	publish(_metadata, writer, text, TEXT_LEN);
	EXPECT_ERRNO(EBADF, write(reader, "new", 3));
	expect_rest(_metadata, reader, text, TEXT_LEN);
}

TEST_F(write, then_read)
{
	leave_midway(_metadata, self->fd);
	publish(_metadata, self->fd, "new", 3);
	expect_rest(_metadata, self->fd, "new", 3);
	publish(_metadata, self->fd, text, TEXT_LEN);
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
}

TEST_F(write, capacity)
{
	char buf[CAPACITY];
	unsigned int i;

	for (i = 0; i < CAPACITY; i++)
		buf[i] = i * 7 + i / 256;
	publish(_metadata, self->fd, buf, CAPACITY);
	expect_rest(_metadata, self->fd, buf, CAPACITY);
}

TEST_F(write, too_long)
{
	char buf[CAPACITY + 1] = {};

	leave_midway(_metadata, self->fd);
	EXPECT_ERRNO(EMSGSIZE, write(self->fd, buf, sizeof(buf)));
	EXPECT_ERRNO(EMSGSIZE, write(self->fd, bad_page(_metadata), 1 << 26));
	expect_midway(_metadata, self->fd, variant->driver->node);
}

TEST_F(write, bad_pointer)
{
	leave_midway(_metadata, self->fd);
	EXPECT_ERRNO(EFAULT, write(self->fd, bad_page(_metadata), TEXT_LEN));
	expect_midway(_metadata, self->fd, variant->driver->node);
}

TEST_F(write, partly_bad_pointer)
{
	char *bad = bad_page(_metadata);
	unsigned int good;

	leave_midway(_metadata, self->fd);
	for (good = 1; good < 2 * TEXT_LEN; good++)
		EXPECT_ERRNO(EFAULT, write(self->fd, bad - good, good + 1));
	expect_midway(_metadata, self->fd, variant->driver->node);
}

TEST_F(write, nothing)
{
	leave_midway(_metadata, self->fd);
	EXPECT_EQ(0, write(self->fd, "", 0));
	EXPECT_EQ(0, pwrite(self->fd, "", 0, 3));
	expect_midway(_metadata, self->fd, variant->driver->node);
}

TEST_F(write, pwrite_keeps_position)
{
	leave_midway(_metadata, self->fd);
	EXPECT_EQ(3, pwrite(self->fd, "new", 3, 1000));
	expect_current(_metadata, variant->driver->node, "new", 3);
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
}

TEST_F(write, readv_scatters)
{
	char a[3], b[TEXT_LEN];
	struct iovec iov[] = { { a, sizeof(a) }, { NULL, 0 }, { b, sizeof(b) } };

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, readv(self->fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(0, memcmp(text, a, sizeof(a)));
	EXPECT_EQ(0, memcmp(text + sizeof(a), b, TEXT_LEN - sizeof(a)));
	EXPECT_EQ(0, readv(self->fd, iov, ARRAY_SIZE(iov)));
}

TEST_F(write, readv_partly_bad_pointer)
{
	char a[3];
	struct iovec iov[] = { { a, sizeof(a) }, { bad_page(_metadata), 1 } };

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(sizeof(a), readv(self->fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(0, memcmp(text, a, sizeof(a)));
	expect_rest(_metadata, self->fd, text + sizeof(a), TEXT_LEN - sizeof(a));
}

TEST_F(write, writev_is_one_message)
{
	struct iovec iov[] = { { "one", 3 }, { NULL, 0 }, { "two", 3 }, { "three", 5 } };

	leave_midway(_metadata, self->fd);
	EXPECT_EQ(11, writev(self->fd, iov, ARRAY_SIZE(iov)));
	expect_rest(_metadata, self->fd, "onetwothree", 11);
}

TEST_F(write, writev_fails_as_a_whole)
{
	char buf[CAPACITY] = {};
	struct iovec bad[] = { { "one", 3 }, { bad_page(_metadata), 1 } };
	struct iovec longer[] = { { "one", 3 }, { buf, CAPACITY - 2 } };

	leave_midway(_metadata, self->fd);
	EXPECT_ERRNO(EFAULT, writev(self->fd, bad, ARRAY_SIZE(bad)));
	EXPECT_ERRNO(EMSGSIZE, writev(self->fd, longer, ARRAY_SIZE(longer)));
	expect_midway(_metadata, self->fd, variant->driver->node);
}

TEST_HARNESS_MAIN
