/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults that an instance injects
 */

#ifndef _MISC_SIM_FAULT_H
#define _MISC_SIM_FAULT_H

#include "instance.h"

static inline bool has_faults(const struct instance *inst)
{
	char path[2 * PATH_LEN];

	snprintf(path, sizeof(path), "%s/fail_read", inst->dir);
	return !access(path, F_OK);
}

/* Like set_up_instance(), but skip the case if the driver injects no faults. */
static inline void set_up_faults(struct __test_metadata *_metadata,
				 const struct driver *driver, struct instance *inst)
{
	if (!driver_is_there(_metadata, driver))
		return;
	*inst = make_instance(_metadata, driver, PREFIX "a");
	if (!has_faults(inst))
		SKIP(return, "no fault injection in the driver");
}

/* Every @interval-th operation has the fault, @times in all, or forever if @times is -1. */
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

#endif /* _MISC_SIM_FAULT_H */
