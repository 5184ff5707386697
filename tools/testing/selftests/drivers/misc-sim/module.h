/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unloading and loading the module of a driver
 */

#ifndef _MISC_SIM_MODULE_H
#define _MISC_SIM_MODULE_H

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include "variants.h"

/* The file of the module. Negative if the driver is built in or the file is not found. */
static inline int open_module(const char *module)
{
	char command[128], path[PATH_MAX] = "";
	FILE *modinfo;
	int fd = -1;

	snprintf(command, sizeof(command), "modinfo -n %s 2> /dev/null", module);
	modinfo = popen(command, "r");
	if (!modinfo)
		return -1;
	if (fgets(path, sizeof(path), modinfo)) {
		path[strcspn(path, "\n")] = '\0';
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	pclose(modinfo);
	return fd;
}

/* Saves a process for each load, unless the file is compressed. */
static inline int load_from(int file, const char *module)
{
	if (!syscall(SYS_finit_module, file, "", 0))
		return 0;
	return run_on_module("modprobe", module);
}

static inline int unload(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK);
}

/* The references to the module, or -1 if it is built in or not loaded. */
static inline int module_references(const struct driver *driver)
{
	char path[64];
	int count = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", driver->module);
	file = fopen(path, "r");
	if (file) {
		if (fscanf(file, "%d", &count) != 1)
			count = -1;
		fclose(file);
	}
	return count;
}

/* Load the module again, for the first message. Skips the case if it cannot be unloaded. */
static inline bool load_again(struct __test_metadata *_metadata, const struct driver *driver)
{
	int file = open_module(driver->module);

	if (file < 0 || module_references(driver))
		SKIP(return false, "the device was written, and its module cannot be unloaded");
	ASSERT_EQ(0, unload(driver->module));
	ASSERT_EQ(0, load_from(file, driver->module));
	close(file);
	return true;
}

#endif /* _MISC_SIM_MODULE_H */
