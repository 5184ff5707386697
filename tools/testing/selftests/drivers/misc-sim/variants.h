/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The drivers, each of which is a variant of every case
 */

#ifndef _MISC_SIM_VARIANTS_H
#define _MISC_SIM_VARIANTS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "kselftest_harness.h"

struct driver {
	const char *module;	/* as in /sys/module */
	const char *name;
	const char *node;	/* of the default device */
	const char *greeting;
};

static const struct driver c_driver = {
	.module = "misc_sim",
	.name = "misc-sim",
	.node = "/dev/misc-sim-0",
	.greeting = "Hello from misc-sim!\n",
};

static const struct driver rust_driver = {
	.module = "rmisc_sim",
	.name = "rmisc-sim",
	.node = "/dev/rmisc-sim-0",
	.greeting = "Hello from rmisc-sim!\n",
};

#define C_VARIANT(fixture)						\
	FIXTURE_VARIANT(fixture) { const struct driver *driver; };	\
	FIXTURE_VARIANT_ADD(fixture, c) { .driver = &c_driver }

#define DRIVER_VARIANTS(fixture)					\
	C_VARIANT(fixture);						\
	FIXTURE_VARIANT_ADD(fixture, rust) { .driver = &rust_driver }

/* Run modprobe or modinfo. Returns 0 if it succeeds. */
static inline int run_on_module(const char *command, const char *module)
{
	char line[128];

	snprintf(line, sizeof(line), "%s %s > /dev/null 2>&1", command, module);
	return system(line);
}

/*
 * Load the driver if it is not loaded yet. Skips the case and returns false if the
 * driver is not configured. Fails the case if the driver exists but does not load.
 */
static inline bool load_driver(struct __test_metadata *_metadata, const struct driver *driver)
{
	if (geteuid())
		SKIP(return false, "not root");
	if (!access(driver->node, F_OK))
		return true;
	if (run_on_module("modinfo", driver->module))
		SKIP(return false, "no driver %s", driver->name);
	ASSERT_EQ(0, run_on_module("modprobe", driver->module))
		TH_LOG("%s does not load", driver->module);
	ASSERT_EQ(0, access(driver->node, F_OK))
		TH_LOG("no %s", driver->node);
	return true;
}

/* The harness exits with 0 even if it skipped all cases. kselftest expects KSFT_SKIP. */
static void exit_skip_if_nothing_ran(void)
{
	if (ksft_plan && ksft_get_xskip_cnt() == ksft_plan) {
		fflush(stdout);
		_exit(KSFT_SKIP);
	}
}

static void __attribute__((constructor)) set_exit_status(void)
{
	atexit(exit_skip_if_nothing_ran);
}

#endif /* _MISC_SIM_VARIANTS_H */
