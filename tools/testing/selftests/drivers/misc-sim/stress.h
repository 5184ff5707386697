/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Workers that make random calls for a while, and record what must not happen
 */

#ifndef _MISC_SIM_STRESS_H
#define _MISC_SIM_STRESS_H

#include "deadline.h"
#include "instance.h"

#define SECONDS		5

static inline int stress_seconds(void)
{
	const char *seconds = getenv("MISC_SIM_STRESS_SECONDS");

	return seconds && atoi(seconds) > 0 ? atoi(seconds) : SECONDS;
}

static inline unsigned int stress_seed(void)
{
	const char *seed = getenv("MISC_SIM_STRESS_SEED");

	return seed ? strtoul(seed, NULL, 0) : (unsigned int)time(NULL);
}

struct worker {
	pthread_t thread;
	pid_t pid;
	void (*run)(struct worker *worker);
	const struct instance *instances;
	const char *greeting;
	const bool *stop;
	unsigned int id;
	unsigned int random;
	unsigned int sequence;
	unsigned int successes;
	unsigned int failures;
	char failure[80];	/* the first one */
};

static inline unsigned int pick(struct worker *worker, unsigned int below)
{
	return rand_r(&worker->random) / 7 % below;
}

static inline void record_failure(struct worker *worker, const char *call, const char *reason)
{
	if (!worker->failures++)
		snprintf(worker->failure, sizeof(worker->failure), "%s: %s", call, reason);
}

static inline bool check_result(struct worker *worker, const char *call, long ret,
				const int *errors)
{
	int error = errno;

	if (ret >= 0) {
		worker->successes++;
		return true;
	}
	while (*errors && *errors != error)
		errors++;
	if (!*errors)
		record_failure(worker, call, strerror(error));
	return false;
}

/* Returns whether the call succeeded. Records a failure unless it is one of these errors. */
#define check(worker, call, ret, ...) \
	check_result(worker, call, ret, (const int []){ __VA_ARGS__, 0 })

static inline bool all_succeeded(const struct worker *workers, int count)
{
	while (count && __atomic_load_n(&workers[count - 1].successes, __ATOMIC_RELAXED))
		count--;
	return !count;
}

#endif /* _MISC_SIM_STRESS_H */
