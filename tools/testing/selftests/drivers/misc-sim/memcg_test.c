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

/* Shared with the process of each case */
static struct cgroups {
	char root[32];		/* where cgroup2 is mounted */
	char group[64];
	bool mounted;		/* by this program */
	bool enabled;		/* by this program */
} *cgroups;

static void undo(void)
{
	rmdir(cgroups->group);
	if (cgroups->enabled)
		write_memcg(cgroups->root, "cgroup.subtree_control", "-memory");
	if (cgroups->mounted) {
		umount(cgroups->root);
		rmdir(cgroups->root);
	}
	memset(cgroups, 0, sizeof(*cgroups));
}

/* A case that takes too long is killed before its teardown. */
static void __attribute__((constructor)) undo_at_exit(void)
{
	cgroups = mmap(NULL, sizeof(*cgroups), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (cgroups == MAP_FAILED)
		exit(KSFT_FAIL);
	atexit(undo);
}

FIXTURE_SETUP(memcg)
{
	struct statfs fs;
	cpu_set_t cpu;

	undo();

	if (!driver_is_there(_metadata, variant->driver))
		return;

	CPU_ZERO(&cpu);
	CPU_SET(sched_getcpu(), &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));

	snprintf(cgroups->root, sizeof(cgroups->root), "/sys/fs/cgroup");
	if (statfs(cgroups->root, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC) {
		snprintf(cgroups->root, sizeof(cgroups->root), "/tmp/misc-sim.XXXXXX");
		ASSERT_TRUE(!!mkdtemp(cgroups->root));
		cgroups->mounted = true;
		mount("cgroup2", cgroups->root, "cgroup2", 0, NULL);
	}
	if (!has_controller(cgroups->root, "cgroup.controllers"))
		SKIP(return, "no memory controller in cgroup2");
	if (!has_controller(cgroups->root, "cgroup.subtree_control"))
		cgroups->enabled = !write_memcg(cgroups->root, "cgroup.subtree_control",
						"+memory");
	/* In a container, this may be impossible. */
	if (!has_controller(cgroups->root, "cgroup.subtree_control"))
		SKIP(return, "the memory controller cannot be enabled");

	snprintf(cgroups->group, sizeof(cgroups->group), "%s/misc-sim-ksft", cgroups->root);
	rmdir(cgroups->group);
	ASSERT_EQ(0, mkdir(cgroups->group, 0755));
	self->it = make_instance(_metadata, variant->driver, PREFIX "a");
}

FIXTURE_TEARDOWN_PARENT(memcg)
{
	remove_instances(variant->driver);
	undo();
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

	ASSERT_EQ(0, write_memcg(cgroups->group, "cgroup.procs", "0"));
	before = memory_charged(_metadata, cgroups->group);
	for (i = 0; i < 8; i++) {
		publish(_metadata, fds[i], buf, length);
		ASSERT_EQ(1, read(fds[i], buf, 1));
	}
	EXPECT_LE(before + 8 * length - stock(), memory_charged(_metadata, cgroups->group));
	for (i = 0; i < 8; i++)
		close(fds[i]);
	ASSERT_EQ(0, rmdir(self->it.dir));
	EXPECT_GE(before + length + stock(), memory_charged(_metadata, cgroups->group));
	ASSERT_EQ(0, write_memcg(cgroups->root, "cgroup.procs", "0"));
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

	ASSERT_EQ(0, write_memcg(cgroups->group, "cgroup.procs", "0"));
	for (end = 0; end < ENDS; end++) {
		before = memory_charged(_metadata, cgroups->group);
		for (i = 0; i < 8; i++)
			publish(_metadata, c.ends[end], buf, length);
		EXPECT_LE(before + 8 * length - stock(),
			  memory_charged(_metadata, cgroups->group));
		for (i = 0; i < 8; i++)
			ASSERT_EQ(length, read(c.ends[!end], buf, length));
		EXPECT_GE(before + length + stock(),
			  memory_charged(_metadata, cgroups->group));
	}
	ASSERT_EQ(0, write_memcg(cgroups->root, "cgroup.procs", "0"));
	free(buf);
}

/* The writer runs out of memory. The machine does not. */
TEST_F(memcg, limit_fails_write)
{
	struct misc_sim_info before;
	size_t length = 1048576;
	char *buf = malloc(length);
	bool *writes;
	int fd, status;
	pid_t pid;

	ASSERT_TRUE(!!buf);
	memset(buf, 'x', length);
	configure(_metadata, &self->it, "capacity", "1048576");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	before = start_reading(_metadata, fd);

	writes = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	ASSERT_TRUE(writes != MAP_FAILED);
	*writes = false;
	ASSERT_EQ(0, write_memcg(cgroups->group, "memory.max", "524288"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (write_memcg(cgroups->group, "cgroup.procs", "0"))
			_exit(1);
		*writes = true;
		_exit(write(fd, buf, length) < 0 ? errno : 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(*writes);
	EXPECT_TRUE(WIFEXITED(status) ? WEXITSTATUS(status) == ENOMEM :
					WTERMSIG(status) == SIGKILL)
		TH_LOG("status %#x", status);
	expect_unchanged(_metadata, fd, self->it.node, &before);
	free(buf);
}

TEST_HARNESS_MAIN
