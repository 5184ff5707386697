// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of reads and writes that the simulated misc device cuts short
 *
 * short_io halves the length of a transfer and rounds it up.
 */

#include <sys/uio.h>
#include "fault.h"
#include "info.h"
#include "polling.h"
#include "uring.h"

FIXTURE(short_io) {
	struct instance it;
};

DRIVER_VARIANTS(short_io);

FIXTURE_SETUP(short_io)
{
	set_up_faults(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(short_io)
{
	remove_instances(variant->driver);
}

TEST_F(short_io, read)
{
	char buf[TEXT_LEN];
	int fd;

	configure(_metadata, &self->it, "message", text);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "short_io", 1, -1);
	memset(buf, POISON, sizeof(buf));
	EXPECT_EQ(4, read(fd, buf, 8));
	EXPECT_EQ(0, memcmp(text, buf, 4));
	EXPECT_EQ(POISON, (unsigned char)buf[4]);
	EXPECT_EQ(3, read(fd, buf, 5));
	EXPECT_EQ(0, memcmp(text + 4, buf, 3));
	EXPECT_EQ(1, read(fd, buf, 1));
	EXPECT_EQ(text[7], buf[0]);
	EXPECT_EQ(0, get_info(_metadata, fd).seen);
}

TEST_F(short_io, read_through_every_call)
{
	char a[3], b[64];
	struct iovec iov[] = { { a, sizeof(a) }, { b, sizeof(b) } };
	struct io_uring_sqe request;
	struct io_uring ring;
	int fd, pipe[2];

	configure(_metadata, &self->it, "message", text);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "short_io", 1, -1);
	memset(b, POISON, sizeof(b));
	EXPECT_EQ(8, readv(fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(0, memcmp(text, a, sizeof(a)));
	EXPECT_EQ(0, memcmp(text + sizeof(a), b, 8 - sizeof(a)));
	EXPECT_EQ(POISON, (unsigned char)b[8 - sizeof(a)]);

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	EXPECT_EQ(4, splice(fd, NULL, pipe[1], NULL, 4096, 0));
	expect_message(_metadata, pipe[0], text + 8, 4);

	if (!io_uring_queue_init(4, &ring, 0)) {
		request = uring_read_request(fd, b, sizeof(b));
		uring_submit(_metadata, &ring, &request);
		EXPECT_EQ(2, uring_wait(_metadata, &ring));
		EXPECT_EQ(0, memcmp(text + 12, b, 2));
		io_uring_queue_exit(&ring);
	}
}

TEST_F(short_io, read_of_stream)
{
	int fd;

	configure(_metadata, &self->it, "message", text);
	fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	inject(_metadata, &self->it, "short_io", 1, 1);
	expect_message(_metadata, fd, text, 8);
	EXPECT_EQ(STREAM_READY, poll_now(_metadata, fd));
	expect_message(_metadata, fd, text + 8, 8);
}

TEST_F(short_io, write)
{
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "short_io", 1, 1);
	EXPECT_EQ(4, write(fd, text, 7));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	expect_rest(_metadata, fd, text, 4);
	EXPECT_EQ(7, write(fd, text, 7));
	EXPECT_EQ(3, get_info(_metadata, fd).generation);
	expect_rest(_metadata, fd, text, 7);
}

TEST_F(short_io, writev)
{
	struct iovec iov[] = { { (void *)text, 3 }, { (void *)text + 3, 4 } };
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "short_io", 1, 1);
	EXPECT_EQ(4, writev(fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	expect_rest(_metadata, fd, text, 4);
}

/* splice() writes the bytes that a short write leaves, as another message. */
TEST_F(short_io, splice_to_device)
{
	int fd, pipe[2];

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "short_io", 1, 1);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	publish(_metadata, pipe[1], text, 7);
	EXPECT_EQ(7, splice(pipe[0], NULL, fd, NULL, 4096, 0));
	EXPECT_EQ(3, get_info(_metadata, fd).generation);
	expect_rest(_metadata, fd, text + 4, 3);
}

/* Transfers that cannot be cut do not use the fault up. */
TEST_F(short_io, is_not_counted_for_other_transfers)
{
	char c;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "short_io", 1, 1);
	EXPECT_EQ(0, write(fd, text, 0));
	EXPECT_EQ(1, write(fd, text, 1));
	EXPECT_ERRNO(EMSGSIZE, write(fd, bad_page(_metadata), 4097));
	EXPECT_EQ(0, read(fd, &c, 0));
	EXPECT_EQ(1, read(fd, &c, 1));
	EXPECT_EQ(0, read(fd, &c, 1));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	EXPECT_EQ(4, write(fd, text, 7));
}

/* Nor do they fail. */
TEST_F(short_io, ticks_are_not_cut)
{
	long long deadline = now_ms() + DEADLINE_MS;
	struct misc_sim_info info;
	char tick[32];
	int fd;

	inject(_metadata, &self->it, "fail_write", 1, -1);
	inject(_metadata, &self->it, "short_io", 1, -1);
	configure(_metadata, &self->it, "period_us", "1000");
	fd = plug_and_open(_metadata, &self->it, O_RDONLY);
	do {
		ASSERT_LT(now_ms(), deadline);
		info = get_info(_metadata, fd);
	} while (info.generation == 1);
	EXPECT_EQ(info.length, snprintf(tick, sizeof(tick), "tick %llu\n",
					(unsigned long long)info.generation - 1));
}

TEST_F(short_io, message_attribute_is_not_cut)
{
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "short_io", 1, -1);
	configure(_metadata, &self->it, "message", text);
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	EXPECT_EQ(TEXT_LEN, get_info(_metadata, fd).length);
	configure(_metadata, &self->it, "short_io/probability", "0");
	expect_rest(_metadata, fd, text, TEXT_LEN);
}

TEST_HARNESS_MAIN
