/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls that may sleep, each in a thread of its own, and signals to them
 */

#ifndef _MISC_SIM_BLOCKED_H
#define _MISC_SIM_BLOCKED_H

#include <sched.h>
#include <signal.h>
#include "deadline.h"
#include "info.h"
#include "userfault.h"

struct blocked {
	pthread_t thread;
	pid_t tid;
	ssize_t (*call)(struct blocked *blocked);
	int fd;
	char *buf;		/* NULL to use own */
	size_t length;
	__u64 generation;	/* for blocked_replace() */
	ssize_t ret;
	int error;
	char own[64];
};

static inline ssize_t blocked_read(struct blocked *blocked)
{
	return read(blocked->fd, blocked->buf, blocked->length);
}

static inline ssize_t blocked_write(struct blocked *blocked)
{
	return write(blocked->fd, blocked->buf, blocked->length);
}

static inline ssize_t blocked_replace(struct blocked *blocked)
{
	return replace(blocked->fd, blocked->generation, blocked->buf, blocked->length);
}

static inline void *run_blocked(void *arg)
{
	struct blocked *blocked = arg;

	__atomic_store_n(&blocked->tid, gettid(), __ATOMIC_RELEASE);
	blocked->ret = blocked->call(blocked);
	blocked->error = errno;
	return NULL;
}

static inline void start_call(struct __test_metadata *_metadata, struct blocked *blocked)
{
	if (!blocked->length)
		blocked->length = sizeof(blocked->own);
	if (!blocked->buf)
		blocked->buf = blocked->own;
	ASSERT_EQ(0, pthread_create(&blocked->thread, NULL, run_blocked, blocked));
}

/* The state of a thread or process: S if it sleeps interruptibly. */
static inline char thread_state(pid_t tid)
{
	char path[64], state = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	file = fopen(path, "r");
	if (file) {
		if (fscanf(file, "%*d %*s %c", &state) != 1)
			state = '?';
		fclose(file);
	}
	return state;
}

static inline void await_state(struct __test_metadata *_metadata, pid_t tid, char state)
{
	long long deadline = now_ms() + DEADLINE_MS;

	while (thread_state(tid) != state) {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
	}
}

static inline void await_blocked(struct __test_metadata *_metadata, struct blocked *blocked)
{
	long long deadline = now_ms() + DEADLINE_MS;

	while (!__atomic_load_n(&blocked->tid, __ATOMIC_ACQUIRE)) {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
	}
	await_state(_metadata, blocked->tid, 'S');
}

static inline void start_blocked(struct __test_metadata *_metadata, struct blocked *blocked)
{
	start_call(_metadata, blocked);
	await_blocked(_metadata, blocked);
}

static inline void finish_blocked(struct __test_metadata *_metadata, struct blocked *blocked)
{
	join_thread(_metadata, blocked->thread);
}

static inline void expect_failed(struct __test_metadata *_metadata, struct blocked *blocked,
				 int error)
{
	finish_blocked(_metadata, blocked);
	EXPECT_EQ(-1, blocked->ret);
	EXPECT_EQ(error, blocked->error);
}

static inline void expect_returned(struct __test_metadata *_metadata, struct blocked *blocked,
				   const void *data, size_t length)
{
	finish_blocked(_metadata, blocked);
	EXPECT_EQ(length, blocked->ret);
	EXPECT_EQ(0, memcmp(data, blocked->buf, length));
}

/* A reader that keeps a file locked while its page is missing. */
struct holder {
	struct blocked call;
	struct hole hole;
};

static inline bool hold_file(struct __test_metadata *_metadata, struct holder *holder, int fd)
{
	if (!make_hole(_metadata, &holder->hole))
		SKIP(return false, "no userfaultfd");
	holder->call = (struct blocked) {
		.call = blocked_read,
		.fd = fd,
		.buf = holder->hole.page,
		.length = 4,
	};
	start_call(_metadata, &holder->call);
	await_fault(_metadata, &holder->hole);
	return true;
}

/* The reader returns @expected, 4 bytes. */
static inline void release_file(struct __test_metadata *_metadata, struct holder *holder,
				const char *expected)
{
	fill_hole(_metadata, &holder->hole, "", 0);
	expect_returned(_metadata, &holder->call, expected, 4);
}

/* A child that sleeps in a read of the file. */
static inline pid_t fork_reader(struct __test_metadata *_metadata, int fd)
{
	pid_t pid = fork();
	char c;

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(read(fd, &c, 1));
	await_state(_metadata, pid, 'S');
	return pid;
}

static inline void expect_killed(struct __test_metadata *_metadata, pid_t pid)
{
	int code;

	ASSERT_EQ(0, kill(pid, SIGKILL));
	EXPECT_EQ(SIGKILL, await_exit(_metadata, pid, &code));
	EXPECT_EQ(CLD_KILLED, code);
}

/* Signals */

static int signals;

static inline void count_signal(int signal)
{
	__atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
}

static inline void handle_signal(struct __test_metadata *_metadata, int flags)
{
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };

	signals = 0;
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
}

static inline void interrupt(struct __test_metadata *_metadata, struct blocked *blocked, int flags)
{
	long long deadline = now_ms() + DEADLINE_MS;

	handle_signal(_metadata, flags);
	ASSERT_EQ(0, pthread_kill(blocked->thread, SIGUSR1));
	while (!__atomic_load_n(&signals, __ATOMIC_RELAXED)) {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
	}
}

#endif /* _MISC_SIM_BLOCKED_H */
