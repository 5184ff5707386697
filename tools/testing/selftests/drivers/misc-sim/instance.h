/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instances that the tests make in configfs. All have names that begin with
 * PREFIX, so that they can be found and removed whatever became of their test.
 */

#ifndef _MISC_SIM_INSTANCE_H
#define _MISC_SIM_INSTANCE_H

#include <dirent.h>
#include <sys/stat.h>
#include "blocked.h"
#include "helpers.h"

#define CONFIGFS	"/sys/kernel/config"
#define PREFIX		"ksft-"

#define FOR_EVER_US	"60000000"	/* as latency: no test lasts so long */

/* Instances */

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

/* A case that was killed leaves its instances behind. */
static inline void remove_all_instances(void)
{
	remove_instances(&c_driver);
	remove_instances(&rust_driver);
}

static inline struct instance make_instance(struct __test_metadata *_metadata,
					    const struct driver *driver, const char *name)
{
	struct instance inst = name_instance(driver, name);

	ASSERT_EQ(0, mkdir(inst.dir, 0755))
		TH_LOG("%s", inst.dir);
	return inst;
}

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

/* Most cases have one instance, not live yet. */
static inline void set_up_instance(struct __test_metadata *_metadata,
				   const struct driver *driver, struct instance *inst)
{
	if (driver_is_there(_metadata, driver))
		*inst = make_instance(_metadata, driver, PREFIX "a");
}

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

/* The file has read the current message, so that its next read waits. */
static inline int plug_read_stream(struct __test_metadata *_metadata,
				   const struct instance *inst)
{
	int fd = plug_stream(_metadata, inst, O_RDWR);
	char buf[64];

	ASSERT_LT(0, read(fd, buf, sizeof(buf)));
	return fd;
}

/* One read returns this, and no more. */
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

/* Faults: every @interval-th time, @times times, -1 for ever */

static inline bool has_faults(const struct instance *inst)
{
	char path[2 * PATH_LEN];

	snprintf(path, sizeof(path), "%s/fail_read", inst->dir);
	return !access(path, F_OK);
}

static inline void inject(struct __test_metadata *_metadata, const struct instance *inst,
			  const char *group, int interval, int times)
{
	char attr[64], value[16];

	snprintf(attr, sizeof(attr), "%s/interval", group);
	snprintf(value, sizeof(value), "%d", interval);
	configure(_metadata, inst, attr, value);
	snprintf(attr, sizeof(attr), "%s/times", group);
	snprintf(value, sizeof(value), "%d", times);
	configure(_metadata, inst, attr, value);
	snprintf(attr, sizeof(attr), "%s/probability", group);
	configure(_metadata, inst, attr, "100");
}

static inline void clean_up(void)
{
	remove_all_instances();
	rmdir(TRACING);
	exit_skip_if_nothing_ran();
}

#endif /* _MISC_SIM_INSTANCE_H */
