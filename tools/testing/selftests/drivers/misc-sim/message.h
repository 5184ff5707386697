/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Publishing a message and checking which message is current
 */

#ifndef _MISC_SIM_MESSAGE_H
#define _MISC_SIM_MESSAGE_H

#include "helpers.h"

#define CAPACITY	4096	/* of the default device */

static const char text[] = "0123456789abcdef";

#define TEXT_LEN	(sizeof(text) - 1)
#define TEXT_POS	5	/* where leave_midway() stops */

static inline void publish(struct __test_metadata *_metadata, int fd,
			   const void *data, size_t length)
{
	ASSERT_EQ(length, write(fd, data, length));
}

/* A new file returns @expected. */
static inline void expect_current(struct __test_metadata *_metadata, const char *node,
				  const void *expected, size_t length)
{
	int fd = open_node(_metadata, node, O_RDONLY);

	expect_rest(_metadata, fd, expected, length);
	close(fd);
}

/* Leave the file in the middle of a message, so that any change to it shows. */
static inline void leave_midway(struct __test_metadata *_metadata, int fd)
{
	char buf[TEXT_POS];

	publish(_metadata, fd, text, TEXT_LEN);
	ASSERT_EQ(TEXT_POS, read(fd, buf, TEXT_POS));
}

/* Nothing has changed since leave_midway(). */
static inline void expect_midway(struct __test_metadata *_metadata, int fd, const char *node)
{
	expect_rest(_metadata, fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
	expect_current(_metadata, node, text, TEXT_LEN);
}

#endif /* _MISC_SIM_MESSAGE_H */
