/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waiting with a deadline: a case that would hang fails instead
 */

#ifndef _MISC_SIM_DEADLINE_H
#define _MISC_SIM_DEADLINE_H

#include <poll.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "kselftest_harness.h"

#define DEADLINE_MS	10000

static inline long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static inline long long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static inline void join_thread(struct __test_metadata *_metadata, pthread_t thread)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += DEADLINE_MS / 1000;
	ASSERT_EQ(0, pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &deadline));
}

/* Wait until a child exits. Returns its status or signal. */
static inline int await_exit(struct __test_metadata *_metadata, pid_t pid, int *code)
{
	struct pollfd pidfd = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	siginfo_t info;

	ASSERT_LE(0, pidfd.fd);
	ASSERT_EQ(1, poll(&pidfd, 1, DEADLINE_MS))
		TH_LOG("the child does not exit");
	ASSERT_EQ(0, waitid(P_PID, pid, &info, WEXITED));
	close(pidfd.fd);
	*code = info.si_code;
	return info.si_status;
}

#endif /* _MISC_SIM_DEADLINE_H */
