// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation that the simulated misc device makes for a system call fails once:
 * the call fails with ENOMEM, nothing changes, and the device works after. For leaks,
 * run it on a kernel with kmemleak.
 */

#include <sys/mman.h>
#include "instance.h"

static const struct {
	const char *path, *value;
	bool optional;
} injection[] = {
	{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/failslab/verbose", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N", true },
	{ "/sys/kernel/debug/fail_page_alloc/min-order", "0", true },
	{ "/sys/kernel/debug/fail_page_alloc/verbose", "0", true },
	{ "/sys/kernel/debug/fail_usercopy/verbose", "0", true },
};

FIXTURE(allocations) {
	struct instance it;		/* its name is an allocation of its own */
	int fail_nth;
	char saved[ARRAY_SIZE(injection)][16];
};

FIXTURE_VARIANT(allocations) {
	const char *module;
	const char *driver;
	const char *greeting;
	bool rust;
};

FIXTURE_VARIANT_ADD(allocations, c) {
	.module = "misc_sim",
	.driver = "misc-sim",
	.greeting = "Hello from misc-sim!\n",
};

FIXTURE_VARIANT_ADD(allocations, rust) {
	.module = "rmisc_sim",
	.driver = "rmisc-sim",
	.greeting = "Hello from rmisc-sim!\n",
	.rust = true,
};

FIXTURE_SETUP(allocations)
{
	const char *lack = lack_of_instances(variant->module, variant->driver);
	unsigned int i;

	if (lack)
		SKIP(return, "%s", lack);
	self->fail_nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (self->fail_nth < 0 || access(injection[0].path, F_OK))
		SKIP(return, "no failslab");
	for (i = 0; i < ARRAY_SIZE(injection); i++) {
		if (injection[i].optional && access(injection[i].path, F_OK))
			continue;
		ASSERT_LT(0, read_file(injection[i].path, self->saved[i],
				       sizeof(self->saved[i])));
	}
	self->it = make_instance(_metadata, variant->driver,
				 PREFIX "longer-than-the-name-of-an-item");

	/* A fault of the instance is an allocation like all others, then. */
	configure(_metadata, &self->it, "errno", "12");
	configure(_metadata, &self->it, "capacity", "65536");
	for (i = 0; i < ARRAY_SIZE(injection); i++)
		if (self->saved[i][0])
			write_file(injection[i].path, injection[i].value);
}

FIXTURE_TEARDOWN_PARENT(allocations)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(injection); i++)
		if (self->saved[i][0])
			write_file(injection[i].path, self->saved[i]);
	remove_instances(variant->driver);
}

/*
 * Let a call fail again and again, each time at the next of the allocations that it
 * makes (or the other things that can be made to fail), until it gets to its end:
 *
 *	while (arm(_metadata, &attempt))
 *		if (succeeded(_metadata, &attempt, call()))
 */
struct attempt {
	int fail_nth;
	int nth;
	int errors;
	int error;
	bool failed;	/* something did, whether or not the call did for it */
};

#define MANY_ALLOCATIONS	2000

static void write_fail_nth(struct __test_metadata *_metadata, int fd, int nth)
{
	char value[16];
	int length = snprintf(value, sizeof(value), "%d", nth);

	/* What is armed already may hit this write. */
	if (pwrite(fd, value, length, 0) < 0)
		ASSERT_EQ(length, pwrite(fd, value, length, 0));
}

static bool arm(struct __test_metadata *_metadata, struct attempt *attempt)
{
	if (attempt->nth && !attempt->failed) {
		EXPECT_LT(1, attempt->nth);
		return false;
	}
	attempt->nth++;
	ASSERT_GT(MANY_ALLOCATIONS, attempt->nth);
	write_fail_nth(_metadata, attempt->fail_nth, attempt->nth);
	return true;
}

static bool succeeded(struct __test_metadata *_metadata, struct attempt *attempt,
		      long ret)
{
	char left[16] = "";

	attempt->error = errno;

	attempt->failed = pread(attempt->fail_nth, left, sizeof(left) - 1, 0) > 0 &&
			  !atoi(left);
	write_fail_nth(_metadata, attempt->fail_nth, 0);
	if (ret >= 0)
		return true;

	attempt->errors++;
	EXPECT_TRUE(attempt->failed);
	return false;
}

/* Copies from and to user space can be made to fail, too. */
static void expect_no_memory(struct __test_metadata *_metadata, const struct attempt *attempt)
{
	if (attempt->error != EFAULT || access("/sys/kernel/debug/fail_usercopy", F_OK))
		EXPECT_EQ(ENOMEM, attempt->error) TH_LOG("at %d", attempt->nth);
}

static void expect_works(struct __test_metadata *_metadata, const struct instance *inst,
			 const char *greeting)
{
	int fd = open_node(_metadata, inst->node, O_RDWR);

	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	expect_rest(_metadata, fd, greeting, strlen(greeting));
	publish(_metadata, fd, text, TEXT_LEN);
	expect_rest(_metadata, fd, text, TEXT_LEN);
	close(fd);
}

TEST_F_TIMEOUT(allocations, mkdir, 300)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };

	ASSERT_EQ(0, rmdir(self->it.dir));
	while (arm(_metadata, &attempt)) {
		if (!succeeded(_metadata, &attempt, mkdir(self->it.dir, 0755))) {
			expect_no_memory(_metadata, &attempt);
			EXPECT_ERRNO(ENOENT, access(self->it.dir, F_OK));
			continue;
		}
		plug(_metadata, &self->it);
		expect_works(_metadata, &self->it, variant->greeting);
		EXPECT_EQ(0, rmdir(self->it.dir));
	}
	EXPECT_LT(0, attempt.errors);
}

TEST_F(allocations, message)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };

	configure(_metadata, &self->it, "message", "old");
	while (arm(_metadata, &attempt)) {
		if (!succeeded(_metadata, &attempt, set(&self->it, "message", "new"))) {
			expect_no_memory(_metadata, &attempt);
			expect_file(_metadata, self->it.dir, "message", "old");
			continue;
		}
		expect_file(_metadata, self->it.dir, "message", "new");
		configure(_metadata, &self->it, "message", "old");
	}
	EXPECT_LT(0, attempt.errors);
}

/*
 * Not all that lacks memory here is the driver: the driver core gives EINVAL where it
 * has none for a name, and gets no further than to register the platform device
 * (ENXIO). When it has none for the node it does not tell at all.
 */
TEST_F_TIMEOUT(allocations, live, 300)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };

	while (arm(_metadata, &attempt)) {
		if (!succeeded(_metadata, &attempt, set(&self->it, "live", "1"))) {
			if (attempt.error != EINVAL && attempt.error != ENXIO)
				expect_no_memory(_metadata, &attempt);
			expect_file(_metadata, self->it.dir, "live", "0\n");
			expect_file(_metadata, self->it.dir, "dev_name", "\n");
			EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
			EXPECT_ERRNO(ENOENT, access(self->it.sysfs, F_OK));
			continue;
		}
		expect_file(_metadata, self->it.dir, "live", "1\n");
		if (!attempt.failed || !access(self->it.node, F_OK))
			expect_works(_metadata, &self->it, variant->greeting);
		unplug(_metadata, &self->it);
	}
	EXPECT_LT(0, attempt.errors);
}

TEST_F(allocations, open)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };
	int fd;

	plug(_metadata, &self->it);
	while (arm(_metadata, &attempt)) {
		fd = open(self->it.node, O_RDWR | O_CLOEXEC);
		if (!succeeded(_metadata, &attempt, fd)) {
			expect_no_memory(_metadata, &attempt);
			continue;
		}
		expect_rest(_metadata, fd, variant->greeting, strlen(variant->greeting));
		close(fd);
	}
	expect_works(_metadata, &self->it, variant->greeting);
	EXPECT_LT(0, attempt.errors);
}

static long write_message(int fd, __u64 generation, const void *data, __u32 length)
{
	return write(fd, data, length);
}

static long replace_message(int fd, __u64 generation, const void *data, __u32 length)
{
	return replace(fd, generation, data, length);
}

/* A message of several pages does not come from where a short one does. */
static void fail_publishing(struct __test_metadata *_metadata, const struct instance *inst,
			    int fail_nth, typeof(write_message) *call)
{
	static const size_t lengths[] = { TEXT_LEN, 65536 };
	struct misc_sim_info before, now;
	static char buf[65536];
	unsigned int i;
	int fd;

	memset(buf, 'x', sizeof(buf));
	fd = plug_and_open(_metadata, inst, O_RDWR);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct attempt attempt = { .fail_nth = fail_nth };

		before = start_reading(_metadata, fd);
		while (arm(_metadata, &attempt)) {
			if (succeeded(_metadata, &attempt,
				      call(fd, before.generation, buf, lengths[i]))) {
				now = get_info(_metadata, fd);
				EXPECT_EQ(before.generation + 1, now.generation);
				/* What has failed may be short_io. */
				EXPECT_TRUE(now.length == lengths[i] ||
					    (attempt.failed && now.length == lengths[i] / 2));
			} else {
				expect_no_memory(_metadata, &attempt);
				expect_unchanged(_metadata, fd, inst->node, &before);
			}
			before = start_reading(_metadata, fd);
		}
		EXPECT_TRUE(i || attempt.errors);
	}
}

TEST_F(allocations, write)
{
	fail_publishing(_metadata, &self->it, self->fail_nth, write_message);
}

TEST_F(allocations, replace)
{
	fail_publishing(_metadata, &self->it, self->fail_nth, replace_message);
}

TEST_F(allocations, mmap)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char *map;

	while (arm(_metadata, &attempt)) {
		map = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
		if (!succeeded(_metadata, &attempt, map == MAP_FAILED ? -1 : 0)) {
			expect_no_memory(_metadata, &attempt);
			continue;
		}
		EXPECT_EQ(0, memcmp(variant->greeting, map, strlen(variant->greeting)));
		munmap(map, page_size());
	}
	EXPECT_LT(0, attempt.errors);
}

/* The page fault may be tried again, and nobody notices. */
TEST_F(allocations, mmap_fault)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char *map, buf[8];
	int pipe[2];
	ssize_t ret;

	if (variant->rust)
		SKIP(return, "no abstraction in Rust for struct vm_operations_struct");
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	do {
		map = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
		ASSERT_TRUE(map != MAP_FAILED);
		if (!arm(_metadata, &attempt))
			break;
		ret = write(pipe[1], map, sizeof(buf));
		if (succeeded(_metadata, &attempt, ret)) {
			EXPECT_EQ(sizeof(buf), read(pipe[0], buf, sizeof(buf)));
			EXPECT_EQ(0, memcmp(variant->greeting, buf, sizeof(buf)));
		} else {
			EXPECT_EQ(EFAULT, attempt.error);
		}
		EXPECT_EQ(0, memcmp(variant->greeting, map, sizeof(buf)));
	} while (!munmap(map, page_size()));
}

int main(int argc, char **argv)
{
	atexit(exit_skip_if_nothing_ran);
	return test_harness_run(argc, argv);
}
