// SPDX-License-Identifier: GPL-2.0-only
/*
 * Charging the memory of messages to the control group of the writer
 */

#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include "channel.h"
#include "info.h"

FIXTURE(memcg) {
	struct instance it;
	char root[32];		/* where cgroup2 is mounted */
	char group[64];
	bool mounted;		/* by this case */
	bool enabled;		/* by this case */
};

DRIVER_VARIANTS(memcg);

static bool has_controller(const char *root, const char *file)
{
	char path[PATH_LEN], controllers[512];

	snprintf(path, sizeof(path), "%s/%s", root, file);
	return read_file(path, controllers, sizeof(controllers)) > 0 &&
	       strstr(controllers, "memory");
}

static int write_memcg(const char *dir, const char *file, const char *value)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return write_file(path, value);
}

FIXTURE_SETUP(memcg)
{
	struct statfs fs;
	cpu_set_t cpu;

	if (!driver_is_there(_metadata, variant->driver))
		return;

	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));

	snprintf(self->root, sizeof(self->root), "/sys/fs/cgroup");
	if (statfs(self->root, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC) {
		snprintf(self->root, sizeof(self->root), "/tmp/misc-sim.XXXXXX");
		ASSERT_TRUE(!!mkdtemp(self->root));
		self->mounted = !mount("cgroup2", self->root, "cgroup2", 0, NULL);
	}
	if (!has_controller(self->root, "cgroup.controllers")) {
		if (self->mounted)
			umount(self->root);
		if (strncmp(self->root, "/sys", strlen("/sys")))
			rmdir(self->root);
		SKIP(return, "no memory controller in cgroup2");
	}
	if (!has_controller(self->root, "cgroup.subtree_control"))
		self->enabled = !write_memcg(self->root, "cgroup.subtree_control", "+memory");

	snprintf(self->group, sizeof(self->group), "%s/misc-sim-ksft", self->root);
	rmdir(self->group);
	ASSERT_EQ(0, mkdir(self->group, 0755));
	self->it = make_instance(_metadata, variant->driver, PREFIX "a");
}

FIXTURE_TEARDOWN_PARENT(memcg)
{
	remove_instances(variant->driver);
	rmdir(self->group);
	if (self->enabled)
		write_memcg(self->root, "cgroup.subtree_control", "-memory");
	if (self->mounted) {
		umount(self->root);
		rmdir(self->root);
	}
}

static long long memory_charged(struct __test_metadata *_metadata, const char *group)
{
	char path[PATH_LEN], value[32];

	snprintf(path, sizeof(path), "%s/memory.current", group);
	ASSERT_LT(0, read_file(path, value, sizeof(value)));
	return atoll(value);
}

/* A CPU keeps charges for this many bytes in stock. The cases use one CPU. */
static long long stock(void)
{
	return 64 * page_size();
}

TEST_F(memcg, messages_are_charged)
{
	size_t length = 1048576;
	char *buf = malloc(length);
	long long before;
	int i, fds[8];

	ASSERT_TRUE(!!buf);
	memset(buf, 'x', length);
	configure(_metadata, &self->it, "capacity", "1048576");
	plug(_metadata, &self->it);
	for (i = 0; i < 8; i++)
		fds[i] = open_node(_metadata, self->it.node, O_RDWR);

	ASSERT_EQ(0, write_memcg(self->group, "cgroup.procs", "0"));
	before = memory_charged(_metadata, self->group);
	for (i = 0; i < 8; i++) {
		publish(_metadata, fds[i], buf, length);
		ASSERT_EQ(1, read(fds[i], buf, 1));
	}
	EXPECT_LE(before + 8 * length - stock(), memory_charged(_metadata, self->group));
	for (i = 0; i < 8; i++)
		close(fds[i]);
	ASSERT_EQ(0, rmdir(self->it.dir));
	EXPECT_GE(before + length + stock(), memory_charged(_metadata, self->group));
	ASSERT_EQ(0, write_memcg(self->root, "cgroup.procs", "0"));
	free(buf);
}

/* The writer pays for what waits in the queues, and gets it back when it is read. */
TEST_F(memcg, channels_are_charged)
{
	size_t length = 1048576;
	char *buf = malloc(length);
	struct channel c;
	long long before;
	int i, end;

	ASSERT_TRUE(!!buf);
	memset(buf, 'x', length);
	configure(_metadata, &self->it, "capacity", "1048576");
	c = open_channel(_metadata, &self->it, O_NONBLOCK);

	ASSERT_EQ(0, write_memcg(self->group, "cgroup.procs", "0"));
	for (end = 0; end < ENDS; end++) {
		before = memory_charged(_metadata, self->group);
		for (i = 0; i < 8; i++)
			publish(_metadata, c.ends[end], buf, length);
		EXPECT_LE(before + 8 * length - stock(),
			  memory_charged(_metadata, self->group));
		for (i = 0; i < 8; i++)
			ASSERT_EQ(length, read(c.ends[!end], buf, length));
		EXPECT_GE(before + length + stock(),
			  memory_charged(_metadata, self->group));
	}
	ASSERT_EQ(0, write_memcg(self->root, "cgroup.procs", "0"));
	free(buf);
}

/* The writer runs out of memory. The machine does not. */
TEST_F(memcg, limit_fails_write)
{
	struct misc_sim_info before;
	size_t length = 1048576;
	char *buf = malloc(length);
	int fd, status;
	pid_t pid;

	ASSERT_TRUE(!!buf);
	memset(buf, 'x', length);
	configure(_metadata, &self->it, "capacity", "1048576");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	before = start_reading(_metadata, fd);

	ASSERT_EQ(0, write_memcg(self->group, "memory.max", "262144"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (write_memcg(self->group, "cgroup.procs", "0"))
			_exit(2);
		_exit(write(fd, buf, length) >= 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		TH_LOG("status %#x", status);
	expect_unchanged(_metadata, fd, self->it.node, &before);
	free(buf);
}

TEST_HARNESS_MAIN
