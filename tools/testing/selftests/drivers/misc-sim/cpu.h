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

/* While the caller is urgent and can run, other threads on its CPU do not. */
static inline bool set_urgent(bool urgent)
{
	struct sched_param param = { .sched_priority = urgent };

	return !sched_setscheduler(0, urgent ? SCHED_FIFO : SCHED_OTHER, &param);
}

#endif /* _MISC_SIM_CPU_H */
