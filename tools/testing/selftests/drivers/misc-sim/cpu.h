/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads that share a CPU, so that the scheduling policy decides which of them runs
 */

#ifndef _MISC_SIM_CPU_H
#define _MISC_SIM_CPU_H

#include <sched.h>
#include "kselftest_harness.h"

/* Threads that the caller creates from now on run there too. */
static inline void pin_to_first_cpu(struct __test_metadata *_metadata)
{
	cpu_set_t allowed, first;
	int cpu = 0;

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(allowed), &allowed));
	while (!CPU_ISSET(cpu, &allowed))
		cpu++;
	CPU_ZERO(&first);
	CPU_SET(cpu, &first);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(first), &first));
}

#endif /* _MISC_SIM_CPU_H */
