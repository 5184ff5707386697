// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fault settings of the simulated misc device
 */

#include <linux/errno.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "misc-sim.h"
#include "trace.h"

#ifdef CONFIG_MISC_SIM_FAULT_INJECTION

static const char * const misc_sim_fault_names[] = {
	[MISC_SIM_FAIL_OPEN]	= "fail_open",
	[MISC_SIM_FAIL_READ]	= "fail_read",
	[MISC_SIM_FAIL_WRITE]	= "fail_write",
	[MISC_SIM_FAIL_IOCTL]	= "fail_ioctl",
	[MISC_SIM_SHORT_IO]	= "short_io",
};

static void misc_sim_fault_init(struct fault_config *config, const char *name)
{
	static const struct fault_attr defaults = FAULT_ATTR_INITIALIZER;

	fault_config_init(config, name);
	config->attr = defaults;
	/* A copied lock has no lockdep class, so initialize it again. */
	ratelimit_state_init(&config->attr.ratelimit_state, 0,
			     DEFAULT_RATELIMIT_BURST);
	strscpy(config->attr.dname, name);
	/* The user asked for the fault, so do not log it. */
	config->attr.verbose = 0;
}

static void misc_sim_faults_init(struct misc_sim_faults *faults)
{
	for (int i = 0; i < MISC_SIM_FAULT_COUNT; i++)
		misc_sim_fault_init(&faults->config[i], misc_sim_fault_names[i]);
}

/**
 * misc_sim_faults_add_groups - add the fault groups to a directory
 * @faults: the fault settings, which must live as long as @parent
 * @parent: configfs directory of the instance
 *
 * Context: Process context, before user space can see @parent.
 */
void misc_sim_faults_add_groups(struct misc_sim_faults *faults,
				struct config_group *parent)
{
	for (int i = 0; i < MISC_SIM_FAULT_COUNT; i++)
		configfs_add_default_group(&faults->config[i].group, parent);
}

/**
 * misc_sim_should_fail - decide whether a fault fires
 * @faults: the fault settings of the device
 * @fault: the fault
 * @name: name of the device, for the tracepoint
 *
 * Context: Any context.
 * Return: true if the fault fires.
 */
bool misc_sim_should_fail(struct misc_sim_faults *faults,
			  enum misc_sim_fault fault, const char *name)
{
	if (!should_fail(&faults->config[fault].attr, 1))
		return false;

	trace_misc_sim_fault(name, misc_sim_fault_names[fault]);
	return true;
}

#else /* CONFIG_MISC_SIM_FAULT_INJECTION */

static void misc_sim_faults_init(struct misc_sim_faults *faults)
{
}

#endif /* CONFIG_MISC_SIM_FAULT_INJECTION */

/**
 * misc_sim_faults_create - create the fault settings of a device
 *
 * No fault fires until it is configured.
 *
 * Context: Process context.
 * Return: the settings with one reference, or NULL if no memory is available.
 */
struct misc_sim_faults *misc_sim_faults_create(void)
{
	struct misc_sim_faults *faults = kzalloc_obj(*faults);

	if (faults) {
		kref_init(&faults->ref);
		faults->error = EIO;
		misc_sim_faults_init(faults);
	}
	return faults;
}

struct misc_sim_faults *misc_sim_faults_get(struct misc_sim_faults *faults)
{
	kref_get(&faults->ref);
	return faults;
}

static void misc_sim_faults_release(struct kref *ref)
{
	kfree(container_of(ref, struct misc_sim_faults, ref));
}

void misc_sim_faults_put(struct misc_sim_faults *faults)
{
	kref_put(&faults->ref, misc_sim_faults_release);
}
