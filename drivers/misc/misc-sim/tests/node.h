/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Nodes that KUnit tests open, in a mount of devtmpfs of their own, because /dev
 * may not be mounted yet when the tests run at boot
 */

#ifndef _MISC_SIM_TESTS_NODE_H
#define _MISC_SIM_TESTS_NODE_H

#include <kunit/test.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/namei.h>

static inline void put_mount(void *mnt)
{
	mntput(mnt);
}

static inline void put_file(void *file)
{
	fput(file);
}

static inline struct vfsmount *mount_nodes(struct kunit *test)
{
	struct file_system_type *type = get_fs_type("devtmpfs");
	struct vfsmount *mnt;

	if (!type)
		kunit_skip(test, "no devtmpfs");

	mnt = vfs_kern_mount(type, 0, "devtmpfs", NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mnt);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_mount, mnt));
	return mnt;
}

static inline struct file *try_open(struct vfsmount *mnt, const char *node, int flags)
{
	struct path root = { .mnt = mnt, .dentry = mnt->mnt_root };

	return file_open_root(&root, node, flags, 0);
}

static inline struct file *open_node(struct kunit *test, struct vfsmount *mnt,
				     const char *node, int flags)
{
	struct file *file = try_open(mnt, node, flags);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_file, file));
	return file;
}

static inline void expect_read(struct kunit *test, struct file *file,
			       const void *data, ssize_t length)
{
	char buf[256] = {};
	loff_t pos = 0;

	KUNIT_EXPECT_EQ(test, kernel_read(file, buf, sizeof(buf), &pos), length);
	KUNIT_EXPECT_MEMEQ(test, buf, data, length);
}

static inline ssize_t write_bytes(struct kunit *test, struct file *file,
				  u8 byte, size_t length)
{
	void *data = kunit_kmalloc(test, length, GFP_KERNEL);
	loff_t pos = 0;

	KUNIT_ASSERT_NOT_NULL(test, data);
	memset(data, byte, length);
	return kernel_write(file, data, length, &pos);
}

#endif /* _MISC_SIM_TESTS_NODE_H */
