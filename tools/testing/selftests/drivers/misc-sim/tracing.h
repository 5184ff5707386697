/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracing one event of a driver, in a buffer of its own
 */

#ifndef _MISC_SIM_TRACING_H
#define _MISC_SIM_TRACING_H

#include <sys/stat.h>
#include "files.h"
#include "variants.h"

#define TRACING		"/sys/kernel/tracing/instances/misc-sim-ksft"

/* A case that fails or takes too long leaves it. */
static void remove_tracing(void)
{
	rmdir(TRACING);
}

static void __attribute__((constructor)) remove_tracing_at_exit(void)
{
	atexit(remove_tracing);
}

static inline bool start_tracing(struct __test_metadata *_metadata, const struct driver *driver,
				 const char *event)
{
	char enable[2 * PATH_LEN];

	remove_tracing();
	if (access("/sys/kernel/tracing/instances", F_OK))
		SKIP(return false, "no tracefs");
	ASSERT_EQ(0, mkdir(TRACING, 0700));
	snprintf(enable, sizeof(enable), TRACING "/events/%1$s/%1$s_%2$s/enable",
		 driver->module, event);
	ASSERT_EQ(0, write_file(enable, "1"))
		TH_LOG("%s", enable);
	return true;
}

/* Returns how many times the event was traced with these fields for the device. */
static inline int stop_tracing(struct __test_metadata *_metadata, const struct driver *driver,
			       const char *node, const char *event, const char *fields)
{
	char line[512], expected[2 * PATH_LEN];
	int count = 0;
	FILE *trace;

	snprintf(expected, sizeof(expected), " %s_%s: name=%s%s\n", driver->module, event,
		 node + strlen("/dev/"), fields);
	trace = fopen(TRACING "/trace", "r");
	ASSERT_TRUE(!!trace);
	while (fgets(line, sizeof(line), trace))
		count += !!strstr(line, expected);
	fclose(trace);
	EXPECT_EQ(0, rmdir(TRACING));
	return count;
}

#endif /* _MISC_SIM_TRACING_H */
