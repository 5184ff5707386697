// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes in sysfs, and fdinfo
 */

#include <sys/stat.h>
#include "files.h"
#include "info.h"
#include "variants.h"

FIXTURE(sysfs) {
	int fd;			/* has read nothing yet */
};

DRIVER_VARIANTS(sysfs);

FIXTURE_SETUP(sysfs)
{
	if (load_driver(_metadata, variant->driver))
		self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
}

FIXTURE_TEARDOWN(sysfs)
{
}

TEST_F(sysfs, attributes)
{
	char dir[PATH_LEN], length[16], generation[32];
	struct stat st;

	snprintf(dir, sizeof(dir), "/sys/class/misc/%s-0", variant->driver->name);
	publish(_metadata, self->fd, text, TEXT_LEN);
	snprintf(generation, sizeof(generation), "%llu\n",
		 (unsigned long long)get_info(_metadata, self->fd).generation);
	snprintf(length, sizeof(length), "%zu\n", TEXT_LEN);
	expect_file(_metadata, dir, "generation", generation);
	expect_file(_metadata, dir, "length", length);
	expect_file(_metadata, dir, "capacity", "4096\n");
	strcat(dir, "/length");
	ASSERT_EQ(0, stat(dir, &st));
	EXPECT_EQ(S_IFREG | 0444, st.st_mode);
}

FIXTURE(fdinfo) {
	int fd;			/* has read nothing yet */
};

DRIVER_VARIANTS(fdinfo);

FIXTURE_SETUP(fdinfo)
{
	if (load_driver(_metadata, variant->driver))
		self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
}

FIXTURE_TEARDOWN(fdinfo)
{
}

TEST_F(fdinfo, generation_and_seen)
{
	int fd = open_node(_metadata, variant->driver->node, O_RDONLY);
	__u64 generation;

	publish(_metadata, self->fd, text, TEXT_LEN);
	generation = get_info(_metadata, fd).generation;
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "generation", generation));
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "seen", 0));
	expect_rest(_metadata, fd, text, TEXT_LEN);
	publish(_metadata, self->fd, "new", 3);
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "generation", generation + 1));
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "seen", generation));
}

TEST_HARNESS_MAIN
