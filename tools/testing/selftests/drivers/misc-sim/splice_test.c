// SPDX-License-Identifier: GPL-2.0-only
/*
 * splice() and sendfile() from and to a message device
 */

#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include "blocked.h"
#include "message.h"
#include "variants.h"

FIXTURE(splice) {
	int fd;			/* has read nothing yet */
};

DRIVER_VARIANTS(splice);

FIXTURE_SETUP(splice)
{
	if (load_driver(_metadata, variant->driver))
		self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
}

FIXTURE_TEARDOWN(splice)
{
}

TEST_F(splice, from_device)
{
	off_t offset = 3;
	char buf[64];
	int pipe[2];

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_POS, splice(self->fd, NULL, pipe[1], NULL, TEXT_POS, 0));
	EXPECT_EQ(TEXT_LEN - TEXT_POS, splice(self->fd, NULL, pipe[1], NULL, 4096, 0));
	EXPECT_EQ(0, splice(self->fd, NULL, pipe[1], NULL, 4096, 0));
	EXPECT_EQ(TEXT_LEN, read(pipe[0], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	EXPECT_EQ(4, splice(self->fd, &offset, pipe[1], NULL, 4, 0));
	EXPECT_EQ(4, read(pipe[0], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(text + 3, buf, 4));
	EXPECT_EQ(7, offset);
}

/* With O_DIRECT each write has a buffer of its own. All buffers become one message. */
TEST_F(splice, to_device)
{
	int pipe[2];

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK | O_DIRECT));
	leave_midway(_metadata, self->fd);
	publish(_metadata, pipe[1], "one", 3);
	publish(_metadata, pipe[1], "two", 3);
	EXPECT_EQ(6, splice(pipe[0], NULL, self->fd, NULL, 4096, 0));
	expect_rest(_metadata, self->fd, "onetwo", 6);
}

TEST_F(splice, up_to_length)
{
	int pipe[2], queued = -1;

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	publish(_metadata, pipe[1], text, TEXT_LEN);
	EXPECT_EQ(TEXT_POS, splice(pipe[0], NULL, self->fd, NULL, TEXT_POS, 0));
	ASSERT_EQ(0, ioctl(pipe[0], FIONREAD, &queued));
	EXPECT_EQ(TEXT_LEN - TEXT_POS, queued);
	expect_rest(_metadata, self->fd, text, TEXT_POS);
}

/* blocked->buf is the file descriptor of the device here. */
static ssize_t blocked_splice(struct blocked *blocked)
{
	return splice(blocked->fd, NULL, *(int *)blocked->buf, NULL, 4096, 0);
}

TEST_F(splice, waits_for_first_bytes)
{
	struct blocked call = { .call = blocked_splice, .buf = (char *)&self->fd };
	int pipe[2], queued = -1;

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	call.fd = pipe[0];
	start_blocked(_metadata, &call);
	publish(_metadata, pipe[1], "one", 3);
	finish_blocked(_metadata, &call);
	EXPECT_EQ(3, call.ret);
	publish(_metadata, pipe[1], "second", 6);
	ASSERT_EQ(0, ioctl(pipe[0], FIONREAD, &queued));
	EXPECT_EQ(6, queued);
	expect_rest(_metadata, self->fd, "one", 3);
}

TEST_F(splice, too_long)
{
	char buf[CAPACITY + 1] = {};
	int pipe[2], queued;

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	leave_midway(_metadata, self->fd);
	publish(_metadata, pipe[1], buf, sizeof(buf));
	EXPECT_ERRNO(EMSGSIZE, splice(pipe[0], NULL, self->fd, NULL, sizeof(buf), 0));
	ASSERT_EQ(0, ioctl(pipe[0], FIONREAD, &queued));
	EXPECT_EQ(sizeof(buf), queued);
	expect_midway(_metadata, self->fd, variant->driver->node);
}

TEST_F(splice, sendfile_to_file)
{
	int file = memfd_create("misc-sim", MFD_CLOEXEC);
	off_t offset = 3;
	char buf[64];

	ASSERT_LE(0, file);
	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, sendfile(file, self->fd, NULL, 4096));
	EXPECT_EQ(0, sendfile(file, self->fd, NULL, 4096));
	EXPECT_EQ(TEXT_LEN, pread(file, buf, sizeof(buf), 0));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	EXPECT_EQ(4, sendfile(file, self->fd, &offset, 4));
	EXPECT_EQ(7, offset);
	EXPECT_EQ(4, pread(file, buf, sizeof(buf), TEXT_LEN));
	EXPECT_EQ(0, memcmp(text + 3, buf, 4));
}

TEST_F(splice, sendfile_to_pipe_and_socket)
{
	int pair[2][2], i;
	char buf[64];

	ASSERT_EQ(0, pipe2(pair[0], O_CLOEXEC | O_NONBLOCK));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair[1]));
	for (i = 0; i < 2; i++) {
		publish(_metadata, self->fd, text, TEXT_LEN);
		EXPECT_EQ(TEXT_LEN, sendfile(pair[i][1], self->fd, NULL, 4096));
		EXPECT_EQ(TEXT_LEN, read(pair[i][0], buf, sizeof(buf)));
		EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	}
}

TEST_F(splice, sendfile_to_device)
{
	int file = memfd_create("misc-sim", MFD_CLOEXEC);
	off_t offset = 0;

	ASSERT_LE(0, file);
	leave_midway(_metadata, self->fd);
	publish(_metadata, file, "from a file", 11);
	EXPECT_EQ(11, sendfile(self->fd, file, &offset, 4096));
	expect_rest(_metadata, self->fd, "from a file", 11);
}

TEST_HARNESS_MAIN
