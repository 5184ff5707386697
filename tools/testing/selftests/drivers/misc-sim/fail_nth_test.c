// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of allocations that fail in the simulated misc device
 *
 * Each case lets the allocations of a system call fail, one after the other. The call
 * fails with ENOMEM, nothing changes, and the device works afterwards. To find leaks,
 * run this on a kernel with kmemleak.
 */

#include <signal.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include "callers.h"
#include "fault.h"
#include "info.h"
#include "polling.h"

/* The global settings that the cases need. The program restores them when it ends. */
static struct {
	const char *path, *value;
	bool optional;
	char saved[16];
} settings[] = {
	{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/failslab/verbose", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N", true },
	{ "/sys/kernel/debug/fail_page_alloc/min-order", "0", true },
	{ "/sys/kernel/debug/fail_page_alloc/verbose", "0", true },
	{ "/sys/kernel/debug/fail_usercopy/verbose", "0", true },
};

static void save_settings(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		read_file(settings[i].path, settings[i].saved, sizeof(settings[i].saved));
}

static void restore_settings(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (settings[i].saved[0])
			write_file(settings[i].path, settings[i].saved);
}

/* kselftest kills a program that takes too long. */
static void restore_and_exit(int signal)
{
	restore_settings();
	_exit(128 + signal);
}

/*
 * An instance whose name needs an allocation of its own, and the file that says which
 * allocation fails, or -1.
 */
static int set_up_fail_nth(struct __test_metadata *_metadata, const struct driver *driver,
			   struct instance *inst)
{
	unsigned int i;
	int fd;

	if (!driver_is_there(_metadata, driver))
		return -1;
	fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		SKIP(return -1, "no fail-nth");
	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (!settings[i].optional && !settings[i].saved[0])
			SKIP(return -1, "no %s", settings[i].path);

	*inst = make_instance(_metadata, driver, PREFIX "longer-than-the-name-of-an-item");
	configure(_metadata, inst, "capacity", "65536");

	/* fail-nth counts the faults of the driver, too. Give them the same error. */
	if (has_faults(inst))
		configure(_metadata, inst, "errno", "12");

	for (i = 0; i < ARRAY_SIZE(settings); i++)
		if (settings[i].saved[0])
			write_file(settings[i].path, settings[i].value);
	return fd;
}

FIXTURE(fail_nth) {
	struct instance it;
	int fail_nth;
};

DRIVER_VARIANTS(fail_nth);

FIXTURE_SETUP(fail_nth)
{
	self->fail_nth = set_up_fail_nth(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(fail_nth)
{
	restore_settings();
	remove_instances(variant->driver);
}

/*
 * Repeat a call. Each time, the next of its allocations fails, or the next of the other
 * operations that fail-nth counts, until the call ends before that one is reached:
 *
 *	while (arm(_metadata, &attempt))
 *		if (succeeded(_metadata, &attempt, call()))
 */
struct attempt {
	int fail_nth;
	int nth;
	int errors;
	int error;
	bool failed;	/* the allocation failed, but the call may have succeeded */
};

#define MANY_ALLOCATIONS	2000

static void write_fail_nth(struct __test_metadata *_metadata, int fd, int nth)
{
	char value[16];
	int length = snprintf(value, sizeof(value), "%d", nth);

	/* If an allocation is still to fail, it may be one of this write. */
	if (pwrite(fd, value, length, 0) < 0)
		ASSERT_EQ(length, pwrite(fd, value, length, 0));
}

static bool arm(struct __test_metadata *_metadata, struct attempt *attempt)
{
	if (attempt->nth && !attempt->failed)
		return false;
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

/* fail-nth also counts copies from and to user space. */
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

TEST_F_TIMEOUT(fail_nth, mkdir, 300)
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
		expect_works(_metadata, &self->it, variant->driver->greeting);
		EXPECT_EQ(0, rmdir(self->it.dir));
	}
	EXPECT_LT(0, attempt.errors);
}

TEST_F(fail_nth, message)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };

	configure(_metadata, &self->it, "message", "old");
	while (arm(_metadata, &attempt)) {
		if (!succeeded(_metadata, &attempt, set_attribute(&self->it, "message", "new"))) {
			expect_no_memory(_metadata, &attempt);
			expect_file(_metadata, self->it.dir, "message", "old");
			continue;
		}
		expect_file(_metadata, self->it.dir, "message", "new");
		configure(_metadata, &self->it, "message", "old");
	}
	EXPECT_LT(0, attempt.errors);
}

TEST_F(fail_nth, live_message)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };
	struct misc_sim_info before, now;
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);

	configure(_metadata, &self->it, "message", "old");
	before = get_info(_metadata, fd);
	while (arm(_metadata, &attempt)) {
		if (!succeeded(_metadata, &attempt, set_attribute(&self->it, "message", "new"))) {
			expect_no_memory(_metadata, &attempt);
			expect_file(_metadata, self->it.dir, "message", "old");
			now = get_info(_metadata, fd);
			EXPECT_EQ(0, memcmp(&before, &now, sizeof(now)));
			continue;
		}
		expect_file(_metadata, self->it.dir, "message", "new");
		expect_current(_metadata, self->it.node, "new", 3);
		configure(_metadata, &self->it, "message", "old");
		before = get_info(_metadata, fd);
	}
	EXPECT_LT(0, attempt.errors);
}

/* The driver core does not report that it could not create the node in /dev. */
TEST_F_TIMEOUT(fail_nth, live, 300)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };

	while (arm(_metadata, &attempt)) {
		if (!succeeded(_metadata, &attempt, set_attribute(&self->it, "live", "1"))) {
			expect_no_memory(_metadata, &attempt);
			expect_file(_metadata, self->it.dir, "live", "0\n");
			expect_no_node(_metadata, &self->it);
			continue;
		}
		expect_file(_metadata, self->it.dir, "live", "1\n");
		if (!attempt.failed || !access(self->it.node, F_OK))
			expect_works(_metadata, &self->it, variant->driver->greeting);
		unplug(_metadata, &self->it);
	}
	EXPECT_LT(0, attempt.errors);
}

TEST_F(fail_nth, open)
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
		expect_greeting(_metadata, fd, variant->driver);
		close(fd);
	}
	expect_works(_metadata, &self->it, variant->driver->greeting);
	EXPECT_LT(0, attempt.errors);
}

static long write_message(int fd, __u64 generation, const void *data, __u32 length)
{
	return write(fd, data, length);
}

static long writev_message(int fd, __u64 generation, const void *data, __u32 length)
{
	struct iovec iov[] = { { (void *)data, 7 }, { (char *)data + 7, length - 7 } };

	return writev(fd, iov, ARRAY_SIZE(iov));
}

static long replace_message(int fd, __u64 generation, const void *data, __u32 length)
{
	return replace(fd, generation, data, length);
}

/* Short messages and messages of several pages come from different allocators. */
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
				/* The fault may have been short_io. */
				EXPECT_TRUE(now.length == lengths[i] ||
					    (attempt.failed && now.length == lengths[i] / 2));
			} else {
				expect_no_memory(_metadata, &attempt);
				expect_unchanged(_metadata, fd, inst->node, &before);
			}
			before = start_reading(_metadata, fd);
		}
		EXPECT_LT(0, attempt.errors);
	}
}

TEST_F(fail_nth, write)
{
	fail_publishing(_metadata, &self->it, self->fail_nth, write_message);
}

TEST_F(fail_nth, writev)
{
	fail_publishing(_metadata, &self->it, self->fail_nth, writev_message);
}

TEST_F(fail_nth, replace)
{
	fail_publishing(_metadata, &self->it, self->fail_nth, replace_message);
}

/*
 * If no memory is available at once, the caller has to try again, and pollers are woken.
 * Faults of the driver have an errno of their own here.
 */
TEST_F(fail_nth, write_nowait)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	int epoll = epoll_of(_metadata, fd, EPOLLOUT | EPOLLET);
	struct iovec iov = { (void *)"new", 3 };
	struct misc_sim_info before;
	int again = 0;

	if (has_faults(&self->it))
		configure(_metadata, &self->it, "errno", "71");
	before = start_reading(_metadata, fd);
	EXPECT_EQ(EPOLLOUT, epoll_now(_metadata, epoll));
	while (arm(_metadata, &attempt)) {
		if (succeeded(_metadata, &attempt, pwritev2(fd, &iov, 1, -1, RWF_NOWAIT))) {
			EXPECT_EQ(before.generation + 1, get_info(_metadata, fd).generation);
			before = start_reading(_metadata, fd);
			epoll_now(_metadata, epoll);
			continue;
		}
		if (attempt.error == EAGAIN) {
			again++;
			EXPECT_EQ(EPOLLOUT, epoll_now(_metadata, epoll));
		} else if (attempt.error != EPROTO) {
			expect_no_memory(_metadata, &attempt);
		}
		expect_unchanged(_metadata, fd, self->it.node, &before);
		before = start_reading(_metadata, fd);
		epoll_now(_metadata, epoll);
	}
	EXPECT_LT(0, again);
}

/* A read allocates nothing in the driver. The VFS may, and the driver has faults. */

static ssize_t read_it(int fd, struct iovec *iov, int pipe)
{
	return readv(fd, iov, 2);
}

static ssize_t read_it_nowait(int fd, struct iovec *iov, int pipe)
{
	return preadv2(fd, iov, 2, -1, RWF_NOWAIT);
}

static ssize_t splice_it(int fd, struct iovec *iov, int pipe)
{
	return splice(fd, NULL, pipe, NULL, 4096, 0);
}

/* A read that fails leaves the position alone. */
static void fail_reading(struct __test_metadata *_metadata, const struct instance *inst,
			 int fail_nth, typeof(read_it) *call)
{
	struct attempt attempt = { .fail_nth = fail_nth };
	char a[TEXT_POS], b[64];
	struct iovec iov[] = { { a, sizeof(a) }, { b, sizeof(b) } };
	int pipe[2], fd;
	ssize_t ret;

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	configure(_metadata, inst, "message", text);
	fd = plug_and_open(_metadata, inst, O_RDWR);
	while (arm(_metadata, &attempt)) {
		ret = call(fd, iov, pipe[1]);
		if (!succeeded(_metadata, &attempt, ret)) {
			expect_no_memory(_metadata, &attempt);
			EXPECT_EQ(0, lseek(fd, 0, SEEK_CUR));
			continue;
		}
		EXPECT_EQ(ret, lseek(fd, 0, SEEK_CUR));
		/* The fault may have been short_io, or the copy to the second buffer. */
		EXPECT_TRUE(ret == TEXT_LEN || (attempt.failed &&
						(ret == TEXT_LEN / 2 || ret == sizeof(a))));
		if (call == splice_it) {
			expect_message(_metadata, pipe[0], text, ret);
		} else {
			EXPECT_EQ(0, memcmp(text, a, sizeof(a)));
			EXPECT_EQ(0, memcmp(text + sizeof(a), b, ret - sizeof(a)));
		}
		EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
	}
	EXPECT_TRUE(attempt.errors || !has_faults(inst));
}

TEST_F(fail_nth, readv)
{
	fail_reading(_metadata, &self->it, self->fail_nth, read_it);
}

TEST_F(fail_nth, readv_nowait)
{
	fail_reading(_metadata, &self->it, self->fail_nth, read_it_nowait);
}

TEST_F(fail_nth, splice)
{
	fail_reading(_metadata, &self->it, self->fail_nth, splice_it);
}

TEST_F(fail_nth, mmap)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };
	size_t length = strlen(variant->driver->greeting);
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char *map;

	while (arm(_metadata, &attempt)) {
		map = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
		if (!succeeded(_metadata, &attempt, map == MAP_FAILED ? -1 : 0)) {
			expect_no_memory(_metadata, &attempt);
			continue;
		}
		EXPECT_EQ(0, memcmp(variant->driver->greeting, map, length));
		munmap(map, page_size());
	}
	EXPECT_LT(0, attempt.errors);
}

/* Touching the first page allocates the page tables, so the second needs only itself. */
TEST_F(fail_nth, mmap_fault)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };
	size_t page = page_size(), length = strlen(variant->driver->greeting);
	char value[16], *map, *buf = calloc(2, page);
	int fd, ret;

	if (variant->driver == &rust_driver)
		SKIP(return, "the Rust driver copies all pages at mmap()");

	ASSERT_TRUE(!!buf);
	memcpy(buf + page, variant->driver->greeting, length);
	snprintf(value, sizeof(value), "%zu", 2 * page);
	configure(_metadata, &self->it, "capacity", value);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	publish(_metadata, fd, buf, page + length);
	do {
		map = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, 0);
		ASSERT_TRUE(map != MAP_FAILED);
		EXPECT_EQ(0, map[0]);
		if (!arm(_metadata, &attempt))
			break;
		ret = madvise(map + page, page, MADV_POPULATE_READ);
		if (!succeeded(_metadata, &attempt, ret))
			EXPECT_EQ(ENOMEM, attempt.error);
		EXPECT_EQ(0, memcmp(variant->driver->greeting, map + page, length));
		EXPECT_EQ(0, map[2 * page - 1]);
	} while (!munmap(map, 2 * page));
	EXPECT_LT(0, attempt.errors);
	free(buf);
}

FIXTURE(fail_nth_sysfs) {
	struct instance it;
	int fail_nth;
};

DRIVER_VARIANTS(fail_nth_sysfs);

FIXTURE_SETUP(fail_nth_sysfs)
{
	self->fail_nth = set_up_fail_nth(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(fail_nth_sysfs)
{
	restore_settings();
	remove_instances(variant->driver);
}

TEST_F(fail_nth_sysfs, attribute)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };
	char path[2 * PATH_LEN], value[16];

	plug(_metadata, &self->it);
	snprintf(path, sizeof(path), "%s/capacity", self->it.sysfs);
	while (arm(_metadata, &attempt)) {
		if (!succeeded(_metadata, &attempt, read_file(path, value, sizeof(value)))) {
			expect_no_memory(_metadata, &attempt);
			continue;
		}
		EXPECT_STREQ("65536\n", value);
	}
	EXPECT_LT(0, attempt.errors);
}

FIXTURE(fail_nth_channel) {
	struct instance it;
	int fail_nth;
};

DRIVER_VARIANTS(fail_nth_channel);

FIXTURE_SETUP(fail_nth_channel)
{
	self->fail_nth = set_up_fail_nth(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(fail_nth_channel)
{
	restore_settings();
	remove_instances(variant->driver);
}

/* Neither node is there if one of them cannot be. */
TEST_F_TIMEOUT(fail_nth_channel, live, 300)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };
	char path[PEER_PATH_LEN];
	struct channel c;

	peer_path(&self->it, path);
	configure(_metadata, &self->it, "kind", "channel");
	while (arm(_metadata, &attempt)) {
		if (!succeeded(_metadata, &attempt, set_attribute(&self->it, "live", "1"))) {
			expect_no_memory(_metadata, &attempt);
			expect_file(_metadata, self->it.dir, "live", "0\n");
			EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
			EXPECT_ERRNO(ENOENT, access(path, F_OK));
			continue;
		}
		if (!attempt.failed || (!access(self->it.node, F_OK) && !access(path, F_OK))) {
			c.ends[DEVICE] = open_node(_metadata, self->it.node, O_RDWR);
			c.ends[PEER] = open_peer(_metadata, &self->it, O_RDWR);
			publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
			expect_message(_metadata, c.ends[PEER], text, TEXT_LEN);
		}
		unplug(_metadata, &self->it);
	}
	EXPECT_LT(0, attempt.errors);
}

/* A peer that could not be opened does not keep others from it. */
TEST_F(fail_nth_channel, open)
{
	char paths[ENDS][PEER_PATH_LEN];
	int i, fd;

	snprintf(paths[DEVICE], PEER_PATH_LEN, "%s", self->it.node);
	peer_path(&self->it, paths[PEER]);
	plug_records(_metadata, &self->it);
	for (i = 0; i < ENDS; i++) {
		struct attempt attempt = { .fail_nth = self->fail_nth };

		while (arm(_metadata, &attempt)) {
			fd = open(paths[i], O_RDWR | O_CLOEXEC);
			if (succeeded(_metadata, &attempt, fd))
				close(fd);
			else
				expect_no_memory(_metadata, &attempt);
		}
		EXPECT_LT(0, attempt.errors);
	}
	fd = open_peer(_metadata, &self->it, O_RDWR);
	expect_no_record(_metadata, fd);
	expect_open(_metadata, fd, open_node(_metadata, self->it.node, O_RDWR));
}

/* A write that fails takes no slot. */
TEST_F(fail_nth_channel, write)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	char buf[64];
	ssize_t ret;
	int i;

	for (i = 0; i < ENDS; i++) {
		struct attempt attempt = { .fail_nth = self->fail_nth };

		while (arm(_metadata, &attempt)) {
			ret = write(c.ends[i], text, TEXT_LEN);
			if (succeeded(_metadata, &attempt, ret)) {
				/* The fault may have been short_io. */
				EXPECT_TRUE(ret == TEXT_LEN ||
					    (attempt.failed && ret == TEXT_LEN / 2));
				EXPECT_EQ(ret, read(c.ends[!i], buf, sizeof(buf)));
			} else {
				expect_no_memory(_metadata, &attempt);
			}
			expect_empty(_metadata, c.ends[!i]);
		}
		EXPECT_LT(0, attempt.errors);
		fill_queue(_metadata, c.ends[i]);
		expect_queue(_metadata, c.ends[!i], 0);
	}
}

/* Answers requests until the device is unplugged. */
static ssize_t answer_requests(struct blocked *blocked)
{
	struct record record;

	while (read(blocked->fd, &record, sizeof(record)) > 0)
		if (record.head.type == MISC_SIM_RECORD_IOCTL &&
		    send_reply(blocked->fd, record.head.id, 7, &(int) { 8 }, sizeof(int)))
			return -1;
	return 0;
}

TEST_F(fail_nth_channel, ioctl)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };
	struct listening at = open_listening(_metadata, &self->it);
	struct blocked player = { .call = answer_requests, .fd = at.peer };
	int ret, arg;

	start_call(_metadata, &player);
	while (arm(_metadata, &attempt)) {
		arg = 1;
		ret = ioctl(at.device, _IOWR(TYPE, 1, int), &arg);
		if (succeeded(_metadata, &attempt, ret)) {
			EXPECT_EQ(7, ret);
			EXPECT_EQ(8, arg);
		} else {
			expect_no_memory(_metadata, &attempt);
			EXPECT_EQ(1, arg);
		}
	}
	EXPECT_LT(0, attempt.errors);
	unplug(_metadata, &self->it);
	finish_blocked(_metadata, &player);
	EXPECT_EQ(0, player.ret);
}

/* The peer may try again. */
TEST_F(fail_nth_channel, reply)
{
	struct attempt attempt = { .fail_nth = self->fail_nth };
	struct listening at = open_listening(_metadata, &self->it);
	struct caller caller;
	int ret, arg = 1;
	__u64 id = 0;

	do {
		if (!id) {
			start_caller(_metadata, &caller, at.device, _IOWR(TYPE, 1, int), &arg);
			id = take_request(_metadata, at.peer, at.file, caller.cmd, &arg, &arg,
					  sizeof(arg));
		}
		if (!arm(_metadata, &attempt))
			break;
		ret = send_reply(at.peer, id, 7, &(int) { 8 }, sizeof(int));
		if (succeeded(_metadata, &attempt, ret)) {
			expect_result(_metadata, &caller, 7);
			EXPECT_EQ(8, arg);
			id = 0;
		} else {
			expect_no_memory(_metadata, &attempt);
		}
	} while (true);
	EXPECT_LT(0, attempt.errors);
	EXPECT_EQ(0, send_reply(at.peer, id, 7, NULL, 0));
	expect_result(_metadata, &caller, 7);
}

int main(int argc, char **argv)
{
	save_settings();
	atexit(restore_settings);
	signal(SIGTERM, restore_and_exit);
	signal(SIGINT, restore_and_exit);
	return test_harness_run(argc, argv);
}
