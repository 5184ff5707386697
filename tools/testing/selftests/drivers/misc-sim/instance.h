/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instances that the tests make in configfs. All have names that begin with
 * PREFIX, so that they can be found and removed whatever became of their test.
 */

#ifndef _MISC_SIM_INSTANCE_H
#define _MISC_SIM_INSTANCE_H

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "helpers.h"

#define CONFIGFS	"/sys/kernel/config"
#define PREFIX		"ksft-"
#define PATH_LEN	192

#define POLL_GONE	(POLLERR | POLLHUP)

struct instance {
	char dir[PATH_LEN];	/* in configfs */
	char node[PATH_LEN];
	char sysfs[PATH_LEN];
};

static inline struct instance name_instance(const char *driver, const char *name)
{
	struct instance inst;

	snprintf(inst.dir, PATH_LEN, CONFIGFS "/%s/%s", driver, name);
	snprintf(inst.node, PATH_LEN, "/dev/%s-%s", driver, name);
	snprintf(inst.sysfs, PATH_LEN, "/sys/class/misc/%s-%s", driver, name);
	return inst;
}

static inline void remove_instances(const char *driver)
{
	char root[PATH_LEN], path[2 * PATH_LEN + NAME_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(root, sizeof(root), CONFIGFS "/%s", driver);
	dir = opendir(root);
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", root, entry->d_name);
		rmdir(path);
	}
	if (dir)
		closedir(dir);
}

/* Why there can be no instances, or NULL. */
static inline const char *lack_of_instances(const char *module, const char *driver)
{
	char root[PATH_LEN];

	if (geteuid())
		return "not root";
	snprintf(root, sizeof(root), CONFIGFS "/%s", driver);
	if (access(root, F_OK))
		load(module);
	if (access(root, F_OK))
		return "no directory of the driver in " CONFIGFS;
	remove_instances(driver);
	return NULL;
}

static inline struct instance make_instance(struct __test_metadata *_metadata,
					    const char *driver, const char *name)
{
	struct instance inst = name_instance(driver, name);

	ASSERT_EQ(0, mkdir(inst.dir, 0755)) TH_LOG("%s", inst.dir);
	return inst;
}

/* Attributes: each is written by one write(), as echo does */

static inline int write_file(const char *path, const char *value)
{
	int error, fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return -1;
	ret = write(fd, value, strlen(value));
	error = errno;
	close(fd);
	errno = error;
	return ret == (ssize_t)strlen(value) ? 0 : -1;
}

static inline ssize_t read_file(const char *path, char *buf, size_t size)
{
	int error, fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return -1;
	ret = read(fd, buf, size - 1);
	error = errno;
	close(fd);
	errno = error;
	buf[ret < 0 ? 0 : ret] = '\0';
	return ret;
}

static inline void expect_file(struct __test_metadata *_metadata, const char *dir,
			       const char *name, const char *expected)
{
	char path[2 * PATH_LEN], value[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ASSERT_LE(0, read_file(path, value, sizeof(value))) TH_LOG("%s", path);
	EXPECT_STREQ(expected, value) TH_LOG("%s", path);
}

static inline int set(const struct instance *inst, const char *attr, const char *value)
{
	char path[2 * PATH_LEN];

	snprintf(path, sizeof(path), "%s/%s", inst->dir, attr);
	return write_file(path, value);
}

static inline void configure(struct __test_metadata *_metadata, const struct instance *inst,
			     const char *attr, const char *value)
{
	ASSERT_EQ(0, set(inst, attr, value)) TH_LOG("%s %s", attr, value);
}

static inline void plug(struct __test_metadata *_metadata, const struct instance *inst)
{
	configure(_metadata, inst, "live", "1");
}

static inline void unplug(struct __test_metadata *_metadata, const struct instance *inst)
{
	configure(_metadata, inst, "live", "0");
}

static inline int plug_and_open(struct __test_metadata *_metadata,
				const struct instance *inst, int flags)
{
	plug(_metadata, inst);
	return open_node(_metadata, inst->node, flags);
}

/* Faults: every @interval-th time, @times times, -1 for ever */

static inline bool has_faults(const struct instance *inst)
{
	char path[2 * PATH_LEN];

	snprintf(path, sizeof(path), "%s/fail_read", inst->dir);
	return !access(path, F_OK);
}

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

/* Write the name of the instance's platform device to a file of the driver. */
static inline int to_driver(const char *driver, const struct instance *inst, const char *what)
{
	char path[2 * PATH_LEN], name[PATH_LEN] = "";

	snprintf(path, sizeof(path), "%s/dev_name", inst->dir);
	read_file(path, name, sizeof(name));
	name[strcspn(name, "\n")] = '\0';
	if (!name[0]) {
		errno = ENODEV;
		return -1;
	}
	snprintf(path, sizeof(path), "/sys/bus/platform/drivers/%s/%s", driver, what);
	return write_file(path, name);
}

/* A system call that is to sleep, in a thread of its own */

struct blocked {
	struct sleeper sleeper;
	ssize_t (*call)(struct blocked *blocked);
	char buf[64];
	size_t length;
	int out;
	struct pollfd *fds;
	ssize_t ret;
	int error;
	long long end_ms;
};

static inline ssize_t blocked_read(struct blocked *blocked)
{
	return read(blocked->sleeper.fd, blocked->buf, sizeof(blocked->buf));
}

static inline ssize_t blocked_write(struct blocked *blocked)
{
	return write(blocked->sleeper.fd, blocked->buf, blocked->length);
}

static inline ssize_t blocked_splice(struct blocked *blocked)
{
	return splice(blocked->sleeper.fd, NULL, blocked->out, NULL, 4096, 0);
}

static inline ssize_t blocked_poll(struct blocked *blocked)
{
	return poll(blocked->fds, blocked->length, DEADLINE_MS);
}

static inline void *run_blocked(void *arg)
{
	struct blocked *blocked = arg;

	__atomic_store_n(&blocked->sleeper.tid, gettid(), __ATOMIC_RELEASE);
	blocked->ret = blocked->call(blocked);
	blocked->error = errno;
	blocked->end_ms = now_ms();
	return NULL;
}

static inline void start_blocked(struct __test_metadata *_metadata, struct blocked *blocked)
{
	ASSERT_EQ(0, pthread_create(&blocked->sleeper.thread, NULL, run_blocked, blocked));
	await_sleep(_metadata, &blocked->sleeper);
}

static inline void join(struct __test_metadata *_metadata, pthread_t thread)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += DEADLINE_MS / 1000;
	ASSERT_EQ(0, pthread_timedjoin_np(thread, NULL, &deadline));
}

static inline void finish_blocked(struct __test_metadata *_metadata, struct blocked *blocked)
{
	join(_metadata, blocked->sleeper.thread);
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

/* Signals */

static int signals;

static inline void count_signal(int signal)
{
	__atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
}

static inline void interrupt(struct __test_metadata *_metadata, struct blocked *blocked, int flags)
{
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };
	long long deadline = now_ms() + DEADLINE_MS;

	signals = 0;
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	ASSERT_EQ(0, pthread_kill(blocked->sleeper.thread, SIGUSR1));
	while (!__atomic_load_n(&signals, __ATOMIC_RELAXED)) {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
	}
}

#endif /* _MISC_SIM_INSTANCE_H */
