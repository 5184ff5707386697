/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls of a device
 */

#ifndef _MISC_SIM_INFO_H
#define _MISC_SIM_INFO_H

#include <linux/misc-sim.h>
#include <sys/ioctl.h>
#include "message.h"

static inline struct misc_sim_info get_info(struct __test_metadata *_metadata, int fd)
{
	struct misc_sim_info info;

	memset(&info, POISON, sizeof(info));
	ASSERT_EQ(0, ioctl(fd, MISC_SIM_IOC_INFO, &info));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, info.reserved);
	return info;
}

static inline int replace(int fd, __u64 generation, const void *data, __u32 length)
{
	struct misc_sim_replace arg = {
		.generation = generation,
		.data = (uintptr_t)data,
		.length = length,
	};

	return ioctl(fd, MISC_SIM_IOC_REPLACE, &arg);
}

/* Leave the file in the middle of a message, so that any change shows. */
static inline struct misc_sim_info start_reading(struct __test_metadata *_metadata, int fd)
{
	leave_midway(_metadata, fd);
	return get_info(_metadata, fd);
}

/* Content, generation and position are as start_reading() left them. */
static inline void expect_unchanged(struct __test_metadata *_metadata, int fd,
				    const char *node, const struct misc_sim_info *before)
{
	struct misc_sim_info now = get_info(_metadata, fd);

	EXPECT_EQ(0, memcmp(before, &now, sizeof(now)));
	expect_midway(_metadata, fd, node);
}

#endif /* _MISC_SIM_INFO_H */
