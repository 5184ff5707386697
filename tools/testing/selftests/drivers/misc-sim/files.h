/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files in sysfs, configfs and procfs
 */

#ifndef _MISC_SIM_FILES_H
#define _MISC_SIM_FILES_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "kselftest_harness.h"

#define PATH_LEN	192

/* One system call, as in echo. */
static inline int write_file(const char *path, const char *value)
{
	int error, fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return -1;
	ret = write(fd, value, strlen(value));
	error = errno;
	close(fd);
	errno = error;
	return ret == (ssize_t)strlen(value) ? 0 : -1;
}

/* One system call, as in cat. */
static inline ssize_t read_file(const char *path, char *buf, size_t size)
{
	int error, fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return -1;
	ret = read(fd, buf, size - 1);
	error = errno;
	close(fd);
	errno = error;
	buf[ret < 0 ? 0 : ret] = '\0';
	return ret;
}

static inline void expect_file(struct __test_metadata *_metadata, const char *dir,
			       const char *name, const char *expected)
{
	char path[2 * PATH_LEN], value[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ASSERT_LE(0, read_file(path, value, sizeof(value)))
		TH_LOG("%s", path);
	EXPECT_STREQ(expected, value)
		TH_LOG("%s", path);
}

static inline bool fdinfo_has(struct __test_metadata *_metadata, int fd, const char *key,
			      __u64 value)
{
	char path[64], expected[64], line[128];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	snprintf(expected, sizeof(expected), "%s:\t%llu\n", key, (unsigned long long)value);
	file = fopen(path, "r");
	ASSERT_TRUE(!!file);
	while (!found && fgets(line, sizeof(line), file))
		found = !strcmp(line, expected);
	fclose(file);
	return found;
}

#endif /* _MISC_SIM_FILES_H */
