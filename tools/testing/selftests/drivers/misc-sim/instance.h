/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instances that the tests create in configfs. Their names begin with PREFIX, so
 * that those of a test that was killed can be found and removed.
 */

#ifndef _MISC_SIM_INSTANCE_H
#define _MISC_SIM_INSTANCE_H

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>
#include "files.h"
#include "helpers.h"
#include "variants.h"

#define CONFIGFS	"/sys/kernel/config"
#define PREFIX		"ksft-"

struct instance {
	char dir[PATH_LEN];	/* in configfs */
	char node[PATH_LEN];
	char sysfs[PATH_LEN];
};

static inline struct instance name_instance(const struct driver *driver, const char *name)
{
	struct instance inst;

	snprintf(inst.dir, PATH_LEN, CONFIGFS "/%s/%s", driver->name, name);
	snprintf(inst.node, PATH_LEN, "/dev/%s-%s", driver->name, name);
	snprintf(inst.sysfs, PATH_LEN, "/sys/devices/virtual/misc/%s-%s", driver->name, name);
	return inst;
}

static inline void remove_instances(const struct driver *driver)
{
	char root[PATH_LEN], path[2 * PATH_LEN + NAME_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(root, sizeof(root), CONFIGFS "/%s", driver->name);
	dir = opendir(root);
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", root, entry->d_name);
		rmdir(path);
	}
	if (dir)
		closedir(dir);
}

/* A case that takes too long is killed before its teardown. */
static void clean_up(void)
{
	remove_instances(&c_driver);
	remove_instances(&rust_driver);
}

static void __attribute__((constructor)) clean_up_at_exit(void)
{
	atexit(clean_up);
}

static inline struct instance make_instance(struct __test_metadata *_metadata,
					    const struct driver *driver, const char *name)
{
	struct instance inst = name_instance(driver, name);

	ASSERT_EQ(0, mkdir(inst.dir, 0755))
		TH_LOG("%s", inst.dir);
	return inst;
}

/* Load the driver. Returns false, with the case skipped, if it cannot have instances. */
static inline bool driver_is_there(struct __test_metadata *_metadata,
				   const struct driver *driver)
{
	char root[PATH_LEN];

	if (!load_driver(_metadata, driver))
		return false;
	if (access(CONFIGFS, F_OK))
		SKIP(return false, "no configfs");
	snprintf(root, sizeof(root), CONFIGFS "/%s", driver->name);
	ASSERT_EQ(0, access(root, F_OK));
	remove_instances(driver);
	return true;
}

/* Most cases have one instance, which is not live yet. */
static inline void set_up_instance(struct __test_metadata *_metadata,
				   const struct driver *driver, struct instance *inst)
{
	if (driver_is_there(_metadata, driver))
		*inst = make_instance(_metadata, driver, PREFIX "a");
}

/* Configuration */

static inline int set_attribute(const struct instance *inst, const char *attr, const char *value)
{
	char path[2 * PATH_LEN];

	snprintf(path, sizeof(path), "%s/%s", inst->dir, attr);
	return write_file(path, value);
}

static inline void configure(struct __test_metadata *_metadata, const struct instance *inst,
			     const char *attr, const char *value)
{
	ASSERT_EQ(0, set_attribute(inst, attr, value))
		TH_LOG("%s %s", attr, value);
}

static inline void plug(struct __test_metadata *_metadata, const struct instance *inst)
{
	configure(_metadata, inst, "live", "1");
}

static inline void unplug(struct __test_metadata *_metadata, const struct instance *inst)
{
	configure(_metadata, inst, "live", "0");
}

static inline void expect_no_node(struct __test_metadata *_metadata,
				  const struct instance *inst)
{
	EXPECT_ERRNO(ENOENT, access(inst->node, F_OK));
	EXPECT_ERRNO(ENOENT, access(inst->sysfs, F_OK));
}

static inline int plug_and_open(struct __test_metadata *_metadata,
				const struct instance *inst, int flags)
{
	plug(_metadata, inst);
	return open_node(_metadata, inst->node, flags);
}

static inline int plug_stream(struct __test_metadata *_metadata, const struct instance *inst,
			      int flags)
{
	configure(_metadata, inst, "kind", "stream");
	return plug_and_open(_metadata, inst, flags);
}

/* The file has read the current message, so its next read waits. */
static inline int plug_read_stream(struct __test_metadata *_metadata,
				   const struct instance *inst)
{
	int fd = plug_stream(_metadata, inst, O_RDWR);
	char buf[64];

	ASSERT_LT(0, read(fd, buf, sizeof(buf)));
	return fd;
}

/* A read returns @expected and no more. */
static inline void expect_message(struct __test_metadata *_metadata, int fd,
				  const void *expected, size_t length)
{
	char buf[64];

	memset(buf, POISON, sizeof(buf));
	EXPECT_EQ(length, read(fd, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(expected, buf, length));
	EXPECT_EQ(POISON, (unsigned char)buf[length]);
}

static inline void expect_greeting(struct __test_metadata *_metadata, int fd,
				   const struct driver *driver)
{
	expect_message(_metadata, fd, driver->greeting, strlen(driver->greeting));
}

/* The attribute accepts @in and then reads as @out. */
static inline void expect_accepted(struct __test_metadata *_metadata, const struct instance *inst,
				   const char *attr, const char *in, const char *out)
{
	configure(_metadata, inst, attr, in);
	expect_file(_metadata, inst->dir, attr, out);
}

/*
 * The attribute keeps the value @good when it refuses those in @bad, which ends with
 * NULL, and those that are neither a number nor a word.
 */
static inline void expect_refused(struct __test_metadata *_metadata, const struct instance *inst,
				  const char *attr, const char *good, const char * const *bad)
{
	static const char * const malformed[] = {
		"\n", " ", "-1", "1x", "1 1", "1\n1", "1\n\n", "x", NULL
	};
	const char * const *lists[] = { malformed, bad };
	const char * const *value;
	unsigned int i;

	configure(_metadata, inst, attr, good);
	for (i = 0; i < ARRAY_SIZE(lists); i++) {
		for (value = lists[i]; *value; value++) {
			EXPECT_EQ(-1, set_attribute(inst, attr, *value))
				TH_LOG("%s '%s'", attr, *value);
			EXPECT_EQ(EINVAL, errno);
		}
	}
	/* The kernel does not pass a write of nothing to the driver. */
	set_attribute(inst, attr, "");
	expect_file(_metadata, inst->dir, attr, good);
}

static inline void expect_fixed_while_live(struct __test_metadata *_metadata,
					   const struct instance *inst, const char *attr,
					   const char *before, const char *other)
{
	configure(_metadata, inst, attr, before);
	plug(_metadata, inst);
	EXPECT_ERRNO(EBUSY, set_attribute(inst, attr, other));
	EXPECT_ERRNO(EBUSY, set_attribute(inst, attr, before));
	expect_file(_metadata, inst->dir, attr, before);
	unplug(_metadata, inst);
	configure(_metadata, inst, attr, other);
}

#endif /* _MISC_SIM_INSTANCE_H */
