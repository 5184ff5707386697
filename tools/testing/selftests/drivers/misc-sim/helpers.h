/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Opening a device and checking what it returns
 *
 * A helper that cannot do its job fails the case that calls it.
 */

#ifndef _MISC_SIM_HELPERS_H
#define _MISC_SIM_HELPERS_H

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include "kselftest_harness.h"

#define POISON		0xcc

#define EXPECT_ERRNO(error, call) do {	\
	errno = 0;			\
	EXPECT_EQ(-1, call);		\
	EXPECT_EQ(error, errno);	\
} while (0)

static inline int open_node(struct __test_metadata *_metadata, const char *node, int flags)
{
	int fd = open(node, flags | O_CLOEXEC);

	ASSERT_LE(0, fd);
	return fd;
}

/* The file returns @expected, and then end of file. */
static inline void expect_rest(struct __test_metadata *_metadata, int fd,
			       const void *expected, size_t length)
{
	size_t room = length + 64;
	unsigned char *buf = malloc(room);

	ASSERT_TRUE(!!buf);
	memset(buf, POISON, room);
	EXPECT_EQ(length, read(fd, buf, room));
	EXPECT_EQ(0, memcmp(expected, buf, length));
	EXPECT_EQ(POISON, buf[length]);
	EXPECT_EQ(0, read(fd, buf, room));
	free(buf);
}

/*
 * Read to @bad - @good, where @bad is a page without access. At least one of the @good
 * bytes is stored. How many depends on the architecture. Return: how many.
 */
static inline size_t read_partly(struct __test_metadata *_metadata, int fd, char *bad,
				 ssize_t good, const void *expected, size_t length)
{
	ssize_t stored;

	memset(bad - good, POISON, good);
	stored = read(fd, bad - good, length);
	ASSERT_LT(0, stored);
	ASSERT_LE(stored, good);
	EXPECT_EQ(0, memcmp(expected, bad - good, stored));
	return stored;
}

static inline size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* The first byte of a page without access. The page before it is accessible. */
static inline char *bad_page(struct __test_metadata *_metadata)
{
	char *page = mmap(NULL, 2 * page_size(), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_TRUE(page != MAP_FAILED);
	memset(page, POISON, page_size());
	page += page_size();
	ASSERT_EQ(0, mprotect(page, page_size(), PROT_NONE));
	return page;
}

#endif /* _MISC_SIM_HELPERS_H */
