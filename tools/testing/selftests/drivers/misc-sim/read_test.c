// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening a message device, reading it and moving its file position
 *
 * All cases read the greeting. If the device was written before, the module is loaded
 * again.
 */

#include <grp.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include "helpers.h"
#include "module.h"
#include "variants.h"

#define MISC_MAJOR	10
#define ROOM		4096	/* for the longest message */
#define POS		5	/* in the greeting */

FIXTURE(read) {
	int fd;			/* has read nothing yet */
	const char *text;
	size_t length;
};

DRIVER_VARIANTS(read);

static bool greeting_is_current(struct __test_metadata *_metadata, const struct driver *driver)
{
	int fd = open_node(_metadata, driver->node, O_RDONLY);
	char buf[64] = {};

	ASSERT_LE(0, read(fd, buf, sizeof(buf) - 1));
	close(fd);
	return !strcmp(driver->greeting, buf);
}

FIXTURE_SETUP(read)
{
	const struct driver *driver = variant->driver;

	if (!load_driver(_metadata, driver))
		return;
	if (!greeting_is_current(_metadata, driver) && !load_again(_metadata, driver))
		return;
	self->fd = open_node(_metadata, driver->node, O_RDONLY);
	self->text = driver->greeting;
	self->length = strlen(driver->greeting);
}

FIXTURE_TEARDOWN(read)
{
}

TEST_F(read, greeting)
{
	expect_rest(_metadata, self->fd, self->text, self->length);
}

TEST_F(read, node)
{
	struct stat st;

	ASSERT_EQ(0, stat(variant->driver->node, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(MISC_MAJOR, major(st.st_rdev));
}

/* Another user, without the capabilities of root. */
TEST_F(read, open_by_other_user)
{
	pid_t pid = fork();
	int status;

	ASSERT_LE(0, pid);
	if (!pid) {
		if (setgroups(0, NULL) || setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(1);
		if (open(variant->driver->node, O_RDONLY | O_CLOEXEC) >= 0 || errno != EACCES)
			_exit(2);
		if (open(variant->driver->node, O_WRONLY | O_CLOEXEC) >= 0 || errno != EACCES)
			_exit(3);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(read, open_mode)
{
	int writer = open_node(_metadata, variant->driver->node, O_WRONLY);
	char buf[4] = {};

	EXPECT_ERRNO(EBADF, write(self->fd, buf, sizeof(buf)));
	EXPECT_ERRNO(EBADF, read(writer, buf, sizeof(buf)));
	expect_rest(_metadata, self->fd, self->text, self->length);
}

TEST_F(read, in_steps)
{
	unsigned int i;
	char c;

	for (i = 0; i < self->length; i++) {
		c = POISON;
		EXPECT_EQ(1, read(self->fd, &c, 1));
		EXPECT_EQ(self->text[i], c);
	}
	EXPECT_EQ(0, read(self->fd, &c, 1));
	EXPECT_EQ(0, read(self->fd, &c, 1));
}

TEST_F(read, nothing)
{
	char c = POISON;

	EXPECT_EQ(0, read(self->fd, &c, 0));
	EXPECT_EQ(0, pread(self->fd, &c, 0, 100));
	EXPECT_EQ(POISON, (unsigned char)c);
	expect_rest(_metadata, self->fd, self->text, self->length);
}

TEST_F(read, bad_pointer)
{
	char buf[POS], *bad = bad_page(_metadata);

	EXPECT_EQ(POS, read(self->fd, buf, POS));
	EXPECT_ERRNO(EFAULT, read(self->fd, bad, self->length));
	EXPECT_ERRNO(EFAULT, pread(self->fd, bad, 1, 0));
	expect_rest(_metadata, self->fd, self->text + POS, self->length - POS);
}

TEST_F(read, partly_bad_pointer)
{
	char *bad = bad_page(_metadata);
	size_t good, stored;
	int fd;

	for (good = 1; good < self->length; good++) {
		fd = open_node(_metadata, variant->driver->node, O_RDONLY);
		stored = read_partly(_metadata, fd, bad, good, self->text, 2 * self->length);
		expect_rest(_metadata, fd, self->text + stored, self->length - stored);
		close(fd);
	}
}

TEST_F(read, fits_before_bad_page)
{
	char *start = bad_page(_metadata) - self->length;

	EXPECT_EQ(self->length, read(self->fd, start, ROOM));
	EXPECT_EQ(0, memcmp(self->text, start, self->length));
}

TEST_F(read, pread_keeps_position)
{
	char buf[64];

	EXPECT_EQ(POS, read(self->fd, buf, POS));
	EXPECT_EQ(4, pread(self->fd, buf, 4, 0));
	EXPECT_EQ(0, memcmp(self->text, buf, 4));
	EXPECT_EQ(2, pread(self->fd, buf, 4, self->length - 2));
	EXPECT_EQ(0, memcmp(self->text + self->length - 2, buf, 2));
	EXPECT_EQ(0, pread(self->fd, buf, 4, self->length));
	EXPECT_EQ(0, pread(self->fd, buf, 4, 1LL << 31));
	EXPECT_ERRNO(EINVAL, pread(self->fd, buf, 4, -1));
	expect_rest(_metadata, self->fd, self->text + POS, self->length - POS);
}

TEST_F(read, lseek)
{
	char buf[POS];

	EXPECT_EQ(POS, read(self->fd, buf, POS));
	EXPECT_EQ(POS, lseek(self->fd, 0, SEEK_CUR));
	EXPECT_EQ(POS + 3, lseek(self->fd, 3, SEEK_CUR));
	EXPECT_EQ(2, read(self->fd, buf, 2));
	EXPECT_EQ(0, memcmp(self->text + POS + 3, buf, 2));
	EXPECT_EQ(POS, lseek(self->fd, -5, SEEK_CUR));
	EXPECT_EQ(2, lseek(self->fd, 2, SEEK_SET));
	expect_rest(_metadata, self->fd, self->text + 2, self->length - 2);
	EXPECT_EQ(self->length, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(read, lseek_refused)
{
	char buf[POS];

	EXPECT_EQ(POS, read(self->fd, buf, POS));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, 0, SEEK_END));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, -1, SEEK_END));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, 0, SEEK_DATA));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, 0, SEEK_HOLE));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, -1, SEEK_SET));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, -1 - POS, SEEK_CUR));
	expect_rest(_metadata, self->fd, self->text + POS, self->length - POS);
}

TEST_F(read, lseek_beyond_message)
{
	char c = POISON;

	EXPECT_EQ(1LL << 31, lseek(self->fd, 1LL << 31, SEEK_SET));
	EXPECT_EQ(0, read(self->fd, &c, 1));
	EXPECT_EQ(POISON, (unsigned char)c);
	EXPECT_EQ(1LL << 31, lseek(self->fd, 0, SEEK_CUR));
}

TEST_F(read, positions_are_independent)
{
	int other = open_node(_metadata, variant->driver->node, O_RDONLY);
	char buf[8];

	EXPECT_EQ(3, read(self->fd, buf, 3));
	EXPECT_EQ(7, read(other, buf, 7));
	expect_rest(_metadata, self->fd, self->text + 3, self->length - 3);
	expect_rest(_metadata, other, self->text + 7, self->length - 7);
}

TEST_HARNESS_MAIN
