// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults of the simulated misc device: what is to go wrong, and when
 */

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>

#include "misc-sim.h"

#ifdef CONFIG_MISC_SIM_FAULT_INJECTION

static void misc_sim_fault_init(struct fault_config *fault, const char *name)
{
	static const struct fault_attr defaults = FAULT_ATTR_INITIALIZER;

	fault_config_init(fault, name);
	fault->attr = defaults;
	/* A lock cannot be copied: lockdep would not know its class. */
	ratelimit_state_init(&fault->attr.ratelimit_state, 0,
			     DEFAULT_RATELIMIT_BURST);
	/* A fault is what was asked for; by default there is no word about it. */
	fault->attr.verbose = 0;
}

static void misc_sim_faults_init(struct misc_sim_faults *faults)
{
	misc_sim_fault_init(&faults->fail_open, "fail_open");
	misc_sim_fault_init(&faults->fail_read, "fail_read");
	misc_sim_fault_init(&faults->fail_write, "fail_write");
	misc_sim_fault_init(&faults->short_io, "short_io");
}

/**
 * misc_sim_faults_add_groups - show the fault groups in configfs
 * @faults: the faults, which must live for as long as @parent
 * @parent: the directory of the instance
 *
 * Context: Process context, before @parent is there for user space.
 */
void misc_sim_faults_add_groups(struct misc_sim_faults *faults,
				struct config_group *parent)
{
	configfs_add_default_group(&faults->fail_open.group, parent);
	configfs_add_default_group(&faults->fail_read.group, parent);
	configfs_add_default_group(&faults->fail_write.group, parent);
	configfs_add_default_group(&faults->short_io.group, parent);
}

static int misc_sim_fail(struct misc_sim_faults *faults,
			 struct fault_config *fault)
{
	return should_fail(&fault->attr, 1) ? -READ_ONCE(faults->error) : 0;
}

/**
 * misc_sim_fail_open - whether an open is to fail
 * @faults: the faults of the device
 *
 * Context: Any.
 * Return: 0 or a negative errno.
 */
int misc_sim_fail_open(struct misc_sim_faults *faults)
{
	return misc_sim_fail(faults, &faults->fail_open);
}

/**
 * misc_sim_fail_read - whether a read is to fail
 * @faults: the faults of the device
 *
 * Context: Any.
 * Return: 0 or a negative errno.
 */
int misc_sim_fail_read(struct misc_sim_faults *faults)
{
	return misc_sim_fail(faults, &faults->fail_read);
}

/**
 * misc_sim_fail_write - whether a write is to fail
 * @faults: the faults of the device
 *
 * Context: Any.
 * Return: 0 or a negative errno.
 */
int misc_sim_fail_write(struct misc_sim_faults *faults)
{
	return misc_sim_fail(faults, &faults->fail_write);
}

/**
 * misc_sim_short_io - how much of a transfer is to take place
 * @faults: the faults of the device
 * @count: how much was asked for
 *
 * Context: Any.
 * Return: @count, or half of it, rounded up.
 */
size_t misc_sim_short_io(struct misc_sim_faults *faults, size_t count)
{
	if (count > 1 && should_fail(&faults->short_io.attr, 1))
		return count - count / 2;
	return count;
}

#else /* CONFIG_MISC_SIM_FAULT_INJECTION */

static void misc_sim_faults_init(struct misc_sim_faults *faults)
{
}

#endif /* CONFIG_MISC_SIM_FAULT_INJECTION */

/**
 * misc_sim_faults_create - make the faults of a device: none so far
 *
 * Context: Process context.
 * Return: the faults with one reference, or NULL when there is no memory.
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

/**
 * misc_sim_faults_get - take a reference
 * @faults: faults that the caller has a reference to
 *
 * Context: Any.
 * Return: @faults.
 */
struct misc_sim_faults *misc_sim_faults_get(struct misc_sim_faults *faults)
{
	kref_get(&faults->ref);
	return faults;
}

static void misc_sim_faults_release(struct kref *ref)
{
	kfree(container_of(ref, struct misc_sim_faults, ref));
}

/**
 * misc_sim_faults_put - drop a reference
 * @faults: faults, or NULL
 *
 * Context: Any.
 */
void misc_sim_faults_put(struct misc_sim_faults *faults)
{
	if (faults)
		kref_put(&faults->ref, misc_sim_faults_release);
}
