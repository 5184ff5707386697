// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the instances of the simulated misc device: how they are made and
 * configured, how they block, fail and stall, and what is left of them when they
 * are unplugged. One case for each sentence of
 * Documentation/misc-devices/misc-sim.rst and
 * Documentation/ABI/testing/configfs-misc-sim.
 */

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include "instance.h"
#include "uring.h"

#define ROUNDS		100	/* of a race, or as many as there are by the deadline */
#define INSTANCES	1000
#define POLLERS		1000
#define WAKE_MS		100

#define LATENCY_US	50000
#define FOR_EVER_US	"60000000"

FIXTURE(instances) {
	struct instance it;	/* not live yet */
};

FIXTURE_VARIANT(instances) {
	const char *module;	/* as /sys/module spells it */
	const char *driver;
	const char *greeting;
	bool rust;
};

FIXTURE_VARIANT_ADD(instances, c) {
	.module = "misc_sim",
	.driver = "misc-sim",
	.greeting = "Hello from misc-sim!\n",
};

FIXTURE_VARIANT_ADD(instances, rust) {
	.module = "rmisc_sim",
	.driver = "rmisc-sim",
	.greeting = "Hello from rmisc-sim!\n",
	.rust = true,
};

FIXTURE_SETUP(instances)
{
	const char *lack = lack_of_instances(variant->module, variant->driver);

	if (lack)
		SKIP(return, "%s", lack);
	self->it = make_instance(_metadata, variant->driver, PREFIX "a");
}

FIXTURE_TEARDOWN_PARENT(instances)
{
	remove_instances(variant->driver);
	rmdir(name_instance(variant->driver, "0").dir);
}

static long long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* Configuration */

static void expect_mode(struct __test_metadata *_metadata, const struct instance *inst,
			const char *attr, unsigned int mode)
{
	char path[2 * PATH_LEN];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", inst->dir, attr);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(mode, st.st_mode & 07777)
		TH_LOG("%s", attr);
}

TEST_F(instances, attributes_defaults)
{
	expect_file(_metadata, self->it.dir, "message", variant->greeting);
	expect_file(_metadata, self->it.dir, "capacity", "4096\n");
	expect_file(_metadata, self->it.dir, "blocking", "0\n");
	expect_file(_metadata, self->it.dir, "period_us", "0\n");
	expect_file(_metadata, self->it.dir, "latency_us", "0\n");
	expect_file(_metadata, self->it.dir, "errno", "5\n");
	expect_file(_metadata, self->it.dir, "mode", "0600\n");
	expect_file(_metadata, self->it.dir, "live", "0\n");
	expect_file(_metadata, self->it.dir, "dev_name", "\n");
}

TEST_F(instances, attributes_modes)
{
	static const char * const attrs[] = {
		"message", "capacity", "blocking", "period_us", "latency_us", "errno",
		"mode", "live",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(attrs); i++)
		expect_mode(_metadata, &self->it, attrs[i], 0644);
	expect_mode(_metadata, &self->it, "dev_name", 0444);
}

TEST_F(instances, attributes_keep_what_is_written)
{
	static const struct {
		const char *attr, *in, *out;
	} values[] = {
		{ "capacity", "1", "1\n" },
		{ "capacity", "1048576\n", "1048576\n" },
		{ "blocking", "1", "1\n" },
		{ "blocking", "0\n", "0\n" },
		{ "period_us", "1000", "1000\n" },
		{ "period_us", "3600000000", "3600000000\n" },
		{ "period_us", "0", "0\n" },
		{ "latency_us", "60000000", "60000000\n" },
		{ "latency_us", "0", "0\n" },
		{ "errno", "1", "1\n" },
		{ "errno", "511", "511\n" },
		{ "mode", "0640", "0640\n" },
		{ "mode", "1", "01\n" },
		{ "mode", "777\n", "0777\n" },
		{ "message", "no newline", "no newline" },
		{ "message", "newline\n", "newline\n" },
		{ "message", "\n", "\n" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		configure(_metadata, &self->it, values[i].attr, values[i].in);
		expect_file(_metadata, self->it.dir, values[i].attr, values[i].out);
	}
}

TEST_F(instances, attributes_refuse)
{
	static const struct {
		const char *attr, *good, *bad[8];
	} values[] = {
		{ "capacity", "7\n", { "0", "1048577", "4294967297" } },
		{ "blocking", "1\n", { "2", "y", "on" } },
		{ "period_us", "5000\n", { "1", "999", "3600000001", "4294968296" } },
		{ "latency_us", "7\n", { "60000001", "4294967296" } },
		{ "errno", "7\n", { "0", "512", "4294967297" } },
		{ "mode", "0604\n", { "0", "1000", "8", "0x1", "rw" } },
		{ "live", "0\n", { "2", "y", "on" } },
	};
	static const char * const bad[] = { "\n", " ", "-1", "1x", "1 1", "1\n1", "1\n\n", "x" };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		configure(_metadata, &self->it, values[i].attr, values[i].good);
		for (j = 0; j < ARRAY_SIZE(bad); j++) {
			EXPECT_EQ(-1, set(&self->it, values[i].attr, bad[j]))
				TH_LOG("%s '%s'", values[i].attr, bad[j]);
			EXPECT_EQ(EINVAL, errno);
		}
		for (j = 0; values[i].bad[j]; j++) {
			EXPECT_EQ(-1, set(&self->it, values[i].attr, values[i].bad[j]))
				TH_LOG("%s '%s'", values[i].attr, values[i].bad[j]);
			EXPECT_EQ(EINVAL, errno);
		}
		/* That of nothing does not get as far as the driver. */
		set(&self->it, values[i].attr, "");
		expect_file(_metadata, self->it.dir, values[i].attr, values[i].good);
	}
}

TEST_F(instances, attributes_are_busy_while_live)
{
	static const struct {
		const char *attr, *before, *other;
	} values[] = {
		{ "message", "before", "other" },
		{ "capacity", "77\n", "78" },
		{ "blocking", "1\n", "0" },
		{ "period_us", "3600000000\n", "0" },
		{ "mode", "0604\n", "0640" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(values); i++)
		configure(_metadata, &self->it, values[i].attr, values[i].before);
	plug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		EXPECT_ERRNO(EBUSY, set(&self->it, values[i].attr, values[i].other));
		EXPECT_ERRNO(EBUSY, set(&self->it, values[i].attr, values[i].before));
		expect_file(_metadata, self->it.dir, values[i].attr, values[i].before);
	}
	configure(_metadata, &self->it, "latency_us", "1");
	configure(_metadata, &self->it, "errno", "1");
	unplug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(values); i++)
		configure(_metadata, &self->it, values[i].attr, values[i].other);
}

TEST_F(instances, attributes_read_only)
{
	static const char * const attrs[] = { "generation", "length", "capacity" };
	char path[2 * PATH_LEN];
	unsigned int i;

	EXPECT_ERRNO(EACCES, set(&self->it, "dev_name", "x"));

	plug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		snprintf(path, sizeof(path), "%s/%s", self->it.sysfs, attrs[i]);
		EXPECT_ERRNO(EACCES, write_file(path, "1"));
	}
}

TEST_F(instances, live)
{
	int fd;

	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	expect_file(_metadata, self->it.dir, "live", "1\n");
	plug(_metadata, &self->it);
	expect_rest(_metadata, fd, variant->greeting, strlen(variant->greeting));

	unplug(_metadata, &self->it);
	expect_file(_metadata, self->it.dir, "live", "0\n");
	expect_file(_metadata, self->it.dir, "dev_name", "\n");
	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	EXPECT_ERRNO(ENOENT, access(self->it.sysfs, F_OK));
	unplug(_metadata, &self->it);
}

TEST_F(instances, dev_name)
{
	char name[PATH_LEN], path[2 * PATH_LEN];

	if (variant->rust)
		SKIP(return, "no abstraction in Rust for the creation of platform devices");
	plug(_metadata, &self->it);
	snprintf(path, sizeof(path), "%s/dev_name", self->it.dir);
	ASSERT_LT(1, read_file(path, name, sizeof(name)));
	name[strcspn(name, "\n")] = '\0';
	snprintf(path, sizeof(path), "/sys/bus/platform/devices/%s", name);
	EXPECT_EQ(0, access(path, F_OK));
	snprintf(path, sizeof(path), "%s/device/modalias", self->it.sysfs);
	EXPECT_EQ(0, access(path, F_OK));
}

TEST_F(instances, message_and_capacity)
{
	struct misc_sim_info info;
	int fd;

	configure(_metadata, &self->it, "capacity", "8");
	configure(_metadata, &self->it, "message", "12345678");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	info = get_info(_metadata, fd);
	EXPECT_EQ(1, info.generation);
	EXPECT_EQ(8, info.length);
	EXPECT_EQ(8, info.capacity);
	expect_rest(_metadata, fd, "12345678", 8);
	EXPECT_ERRNO(EMSGSIZE, write(fd, "123456789", 9));
	publish(_metadata, fd, "abcdefgh", 8);
	expect_file(_metadata, self->it.dir, "message", "12345678");
	close(fd);

	unplug(_metadata, &self->it);
	plug(_metadata, &self->it);
	expect_current(_metadata, self->it.node, "12345678", 8);
}

TEST_F(instances, message_longer_than_capacity)
{
	configure(_metadata, &self->it, "capacity", "2");
	configure(_metadata, &self->it, "message", "123");
	EXPECT_ERRNO(EMSGSIZE, set(&self->it, "live", "1"));
	expect_file(_metadata, self->it.dir, "live", "0\n");
	expect_file(_metadata, self->it.dir, "dev_name", "\n");
	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	configure(_metadata, &self->it, "capacity", "3");
	plug(_metadata, &self->it);
	expect_current(_metadata, self->it.node, "123", 3);
}

/* An attribute has room for less than a page: all of a message is kept, or none. */
TEST_F(instances, message_is_not_cut)
{
	ssize_t length, longest = page_size() - 2;
	char path[2 * PATH_LEN], *buf, *now;

	buf = malloc(longest + 8);
	now = malloc(longest + 8);
	ASSERT_TRUE(buf && now);
	snprintf(path, sizeof(path), "%s/message", self->it.dir);
	for (length = longest - 1; length < longest + 8; length++) {
		memset(buf, 'x', length);
		buf[length] = '\0';
		configure(_metadata, &self->it, "message", "old");
		if (length <= longest) {
			EXPECT_EQ(0, set(&self->it, "message", buf));
			EXPECT_EQ(length, read_file(path, now, longest + 8));
			EXPECT_STREQ(buf, now);
		} else {
			EXPECT_ERRNO(EMSGSIZE, set(&self->it, "message", buf));
			expect_file(_metadata, self->it.dir, "message", "old");
		}
	}
	free(buf);
	free(now);
}

TEST_F(instances, largest_capacity)
{
	size_t length = 1048576;
	char *buf = malloc(length + 1);
	size_t i;
	int fd;

	ASSERT_TRUE(!!buf);
	for (i = 0; i <= length; i++)
		buf[i] = i * 7 + i / 256;
	configure(_metadata, &self->it, "capacity", "1048576");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	publish(_metadata, fd, buf, length);
	expect_rest(_metadata, fd, buf, length);
	EXPECT_ERRNO(EMSGSIZE, write(fd, buf, length + 1));
	free(buf);
}

TEST_F(instances, mode)
{
	struct stat st;

	plug(_metadata, &self->it);
	ASSERT_EQ(0, stat(self->it.node, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	unplug(_metadata, &self->it);
	configure(_metadata, &self->it, "mode", "0642");
	plug(_metadata, &self->it);
	ASSERT_EQ(0, stat(self->it.node, &st));
	EXPECT_EQ(S_IFCHR | 0642, st.st_mode);
}

TEST_F(instances, names_refused)
{
	static const char * const names[] = {
		" ", "a b", "a\nb", "a!b", "a%sb", "a\\b", "a\"b", "a\x7f",
		"\xc3\xa4",
	};
	char name[80];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(name, sizeof(name), PREFIX "%s", names[i]);
		EXPECT_EQ(-1, mkdir(name_instance(variant->driver, name).dir, 0755))
			TH_LOG("'%s'", name);
		EXPECT_EQ(EINVAL, errno);
	}
	snprintf(name, sizeof(name), PREFIX "%060d", 0);
	EXPECT_ERRNO(ENAMETOOLONG, mkdir(name_instance(variant->driver, name).dir, 0755));
	EXPECT_ERRNO(EEXIST, mkdir(self->it.dir, 0755));
}

TEST_F(instances, names_accepted)
{
	static const char * const names[] = { "Az09-._", "a:b@c", ".", "..", "-", "power" };
	struct instance inst;
	char name[80];
	unsigned int i;

	for (i = 0; i <= ARRAY_SIZE(names); i++) {
		if (i < ARRAY_SIZE(names))
			snprintf(name, sizeof(name), PREFIX "%s", names[i]);
		else	/* 64 characters */
			snprintf(name, sizeof(name), PREFIX "%059d", 0);
		inst = make_instance(_metadata, variant->driver, name);
		plug(_metadata, &inst);
		expect_current(_metadata, inst.node, variant->greeting, strlen(variant->greeting));
		expect_file(_metadata, inst.sysfs, "generation", "1\n");
	}
}

/* That of the default device, and no stack dump about it. */
TEST_F(instances, name_taken)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct instance inst = make_instance(_metadata, variant->driver, "0");

	lseek(kmsg, 0, SEEK_END);
	EXPECT_ERRNO(EEXIST, set(&inst, "live", "1"));
	expect_file(_metadata, inst.dir, "live", "0\n");
	expect_file(_metadata, inst.dir, "dev_name", "\n");
	EXPECT_EQ(0, access(inst.node, F_OK));
	EXPECT_EQ(0, rmdir(inst.dir));
	EXPECT_EQ(0, access(inst.node, F_OK));
	if (kmsg >= 0)
		EXPECT_EQ(0, count_logged(kmsg, "Call Trace", "WARNING"));
}

TEST_F(instances, instances_are_independent)
{
	struct instance other = make_instance(_metadata, variant->driver, PREFIX "b");
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	int other_fd = plug_and_open(_metadata, &other, O_RDWR);

	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(1, get_info(_metadata, other_fd).generation);
	expect_rest(_metadata, other_fd, variant->greeting, strlen(variant->greeting));
	unplug(_metadata, &other);
	expect_rest(_metadata, fd, text, TEXT_LEN);
}

TEST_F_TIMEOUT(instances, thousand_instances, 300)
{
	struct instance inst;
	char name[32];
	int i;

	for (i = 0; i < INSTANCES; i++) {
		snprintf(name, sizeof(name), PREFIX "%d", i);
		inst = make_instance(_metadata, variant->driver, name);
		configure(_metadata, &inst, "message", name);
		plug(_metadata, &inst);
	}
	for (i = 0; i < INSTANCES; i++) {
		snprintf(name, sizeof(name), PREFIX "%d", i);
		inst = name_instance(variant->driver, name);
		expect_current(_metadata, inst.node, name, strlen(name));
		ASSERT_EQ(0, rmdir(inst.dir));
		EXPECT_ERRNO(ENOENT, access(inst.node, F_OK));
	}
}

TEST_F(instances, module_stays_with_a_directory)
{
	int file = open_module(variant->module);

	if (file < 0)
		SKIP(return, "no module %s", variant->module);

	EXPECT_ERRNO(EWOULDBLOCK, unload(variant->module));
	EXPECT_EQ(0, rmdir(self->it.dir));
	EXPECT_EQ(0, unload(variant->module));
	EXPECT_EQ(0, load_from(file, variant->module));
}

TEST_F(instances, log_is_silent)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int fd;

	if (kmsg < 0)
		SKIP(return, "no /dev/kmsg");

	ASSERT_EQ(0, lseek(kmsg, 0, SEEK_END));
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	if (has_faults(&self->it)) {
		inject(_metadata, &self->it, "fail_write", 1, 1);
		EXPECT_ERRNO(EIO, write(fd, text, TEXT_LEN));
	}
	publish(_metadata, fd, text, TEXT_LEN);
	expect_rest(_metadata, fd, text, TEXT_LEN);
	unplug(_metadata, &self->it);
	ASSERT_EQ(0, rmdir(self->it.dir));
	EXPECT_EQ(0, count_logged(kmsg, "misc_sim", "misc-sim"));
}

/* sysfs, tracepoints */

TEST_F(instances, sysfs)
{
	int fd;

	configure(_metadata, &self->it, "capacity", "100");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	expect_file(_metadata, self->it.sysfs, "generation", "1\n");
	expect_file(_metadata, self->it.sysfs, "capacity", "100\n");
	publish(_metadata, fd, text, TEXT_LEN);
	expect_file(_metadata, self->it.sysfs, "generation", "2\n");
	expect_file(_metadata, self->it.sysfs, "length", "16\n");
	EXPECT_EQ(0, replace(fd, 2, NULL, 0));
	expect_file(_metadata, self->it.sysfs, "generation", "3\n");
	expect_file(_metadata, self->it.sysfs, "length", "0\n");
}

TEST_F(instances, sysfs_after_unplug)
{
	char path[2 * PATH_LEN], buf[8];
	int fd;

	plug(_metadata, &self->it);
	snprintf(path, sizeof(path), "%s/length", self->it.sysfs);
	fd = open_node(_metadata, path, O_RDONLY);
	unplug(_metadata, &self->it);
	EXPECT_ERRNO(ENODEV, read(fd, buf, sizeof(buf)));
}

#define TRACE_DIR	"/sys/kernel/tracing/instances/misc-sim-instances"

TEST_F(instances, tracepoint_unplug)
{
	char line[512], expected[2 * PATH_LEN], enable[PATH_LEN];
	int found = 0;
	FILE *trace;

	rmdir(TRACE_DIR);
	if (mkdir(TRACE_DIR, 0700))
		SKIP(return, "no tracefs");

	plug(_metadata, &self->it);
	snprintf(enable, sizeof(enable), TRACE_DIR "/events/%1$s/%1$s_unplug/enable",
		 variant->module);
	ASSERT_EQ(0, write_file(enable, "1"));
	unplug(_metadata, &self->it);
	ASSERT_EQ(0, write_file(enable, "0"));

	snprintf(expected, sizeof(expected), " %s_unplug: name=%s\n", variant->module,
		 self->it.node + strlen("/dev/"));
	trace = fopen(TRACE_DIR "/trace", "r");
	ASSERT_TRUE(!!trace);
	while (fgets(line, sizeof(line), trace))
		found += !!strstr(line, expected);
	fclose(trace);
	EXPECT_EQ(1, found);
	EXPECT_EQ(0, rmdir(TRACE_DIR));
}

/* Streams */

static int plug_stream(struct __test_metadata *_metadata, const struct instance *inst,
		       int flags)
{
	configure(_metadata, inst, "blocking", "1");
	return plug_and_open(_metadata, inst, flags);
}

/* The file has read the current message, so that its next read waits. */
static int plug_read_stream(struct __test_metadata *_metadata, const struct instance *inst)
{
	int fd = plug_stream(_metadata, inst, O_RDWR);
	char buf[64];

	ASSERT_LT(0, read(fd, buf, sizeof(buf)));
	return fd;
}

static void expect_message(struct __test_metadata *_metadata, int fd,
			   const void *expected, size_t length)
{
	char buf[64];

	memset(buf, POISON, sizeof(buf));
	EXPECT_EQ(length, read(fd, buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(expected, buf, length));
	EXPECT_EQ(POISON, (unsigned char)buf[length]);
}

TEST_F(instances, stream_read_returns_one_message)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char c;

	expect_message(_metadata, fd, variant->greeting, strlen(variant->greeting));
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
	publish(_metadata, fd, "one", 3);
	expect_message(_metadata, fd, "one", 3);
	publish(_metadata, fd, "two", 3);
	publish(_metadata, fd, "three", 5);
	expect_message(_metadata, fd, "three", 5);
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
}

TEST_F(instances, stream_goes_on_in_its_message)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char buf[TEXT_POS];

	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_POS, read(fd, buf, TEXT_POS));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_POS));
	publish(_metadata, fd, "new", 3);
	expect_message(_metadata, fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
	expect_message(_metadata, fd, "new", 3);
	EXPECT_ERRNO(EAGAIN, read(fd, buf, 1));
}

TEST_F(instances, stream_bad_pointer)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char *bad = bad_page(_metadata);

	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_ERRNO(EFAULT, read(fd, bad, TEXT_LEN));
	EXPECT_EQ(TEXT_POS, read(fd, bad - TEXT_POS, TEXT_LEN));
	EXPECT_EQ(0, memcmp(text, bad - TEXT_POS, TEXT_POS));
	EXPECT_ERRNO(EFAULT, read(fd, bad, TEXT_LEN));
	expect_message(_metadata, fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
}

TEST_F(instances, stream_waits_for_write)
{
	struct blocked blocked = { .call = blocked_read };
	int fd = plug_read_stream(_metadata, &self->it);

	blocked.sleeper.fd = fd;
	start_blocked(_metadata, &blocked);
	publish(_metadata, fd, text, TEXT_LEN);
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
	EXPECT_EQ(2, get_info(_metadata, fd).seen);
}

TEST_F(instances, stream_waits_for_replace)
{
	struct blocked blocked = { .call = blocked_read };
	int fd = plug_read_stream(_metadata, &self->it);

	blocked.sleeper.fd = fd;
	start_blocked(_metadata, &blocked);
	ASSERT_EQ(0, replace(fd, 1, text, TEXT_LEN));
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
}

TEST_F(instances, stream_wakes_every_file)
{
	struct blocked blocked[3] = {};
	int fd = plug_stream(_metadata, &self->it, O_WRONLY);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		blocked[i].call = blocked_read;
		blocked[i].sleeper.fd = open_node(_metadata, self->it.node, O_RDONLY);
		expect_message(_metadata, blocked[i].sleeper.fd, variant->greeting,
			       strlen(variant->greeting));
		start_blocked(_metadata, &blocked[i]);
	}
	publish(_metadata, fd, text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(blocked); i++)
		expect_returned(_metadata, &blocked[i], text, TEXT_LEN);
}

/* Each message goes to one of them. */
TEST_F(instances, stream_two_threads_on_one_file)
{
	struct blocked blocked[2] = {};
	int fd = plug_read_stream(_metadata, &self->it);
	long long deadline = now_ms() + DEADLINE_MS;
	unsigned int i, ended;

	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		blocked[i].call = blocked_read;
		blocked[i].sleeper.fd = fd;
		start_blocked(_metadata, &blocked[i]);
	}
	publish(_metadata, fd, text, TEXT_LEN);
	while (get_info(_metadata, fd).seen != 2) {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
	}
	unplug(_metadata, &self->it);
	for (i = ended = 0; i < ARRAY_SIZE(blocked); i++) {
		finish_blocked(_metadata, &blocked[i]);
		if (blocked[i].ret == TEXT_LEN)
			ended++;
		else
			EXPECT_EQ(ENODEV, blocked[i].error);
	}
	EXPECT_EQ(1, ended);
}

TEST_F(instances, stream_empty_message)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char c;

	ASSERT_EQ(0, replace(fd, 1, NULL, 0));
	EXPECT_EQ(POLL_UNREAD, poll_now(_metadata, fd));
	EXPECT_EQ(0, read(fd, &c, 1));
	EXPECT_EQ(2, get_info(_metadata, fd).seen);
	EXPECT_EQ(POLL_ALWAYS, poll_now(_metadata, fd));
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
}

/* Also while there is nothing. */
TEST_F(instances, stream_read_nothing)
{
	int fd = plug_read_stream(_metadata, &self->it);
	char c;

	EXPECT_EQ(0, read(fd, &c, 0));
	publish(_metadata, fd, "new", 3);
	EXPECT_EQ(0, read(fd, &c, 0));
	expect_message(_metadata, fd, "new", 3);
}

TEST_F(instances, stream_nowait)
{
	int fd = plug_read_stream(_metadata, &self->it);
	char buf[TEXT_LEN];
	struct iovec iov = { buf, sizeof(buf) };

	EXPECT_ERRNO(EAGAIN, preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	EXPECT_ERRNO(EAGAIN, preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
}

TEST_F(instances, stream_has_no_position)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);
	int whence;
	char c;

	EXPECT_ERRNO(ESPIPE, pread(fd, &c, 1, 0));
	EXPECT_ERRNO(ESPIPE, pwrite(fd, &c, 1, 0));
	for (whence = SEEK_SET; whence <= SEEK_END; whence++)
		EXPECT_ERRNO(ESPIPE, lseek(fd, 0, whence));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	expect_message(_metadata, fd, variant->greeting, strlen(variant->greeting));
}

TEST_F(instances, stream_interrupted)
{
	struct blocked blocked = { .call = blocked_read };
	int fd = plug_read_stream(_metadata, &self->it);

	blocked.sleeper.fd = fd;
	start_blocked(_metadata, &blocked);
	interrupt(_metadata, &blocked, 0);
	expect_failed(_metadata, &blocked, EINTR);
	publish(_metadata, fd, text, TEXT_LEN);
	expect_message(_metadata, fd, text, TEXT_LEN);
}

TEST_F(instances, stream_restarted)
{
	struct blocked blocked = { .call = blocked_read };
	int fd = plug_read_stream(_metadata, &self->it);

	blocked.sleeper.fd = fd;
	start_blocked(_metadata, &blocked);
	interrupt(_metadata, &blocked, SA_RESTART);
	await_sleep(_metadata, &blocked.sleeper);
	publish(_metadata, fd, text, TEXT_LEN);
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
}

TEST_F(instances, stream_poll)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);

	EXPECT_EQ(POLL_UNREAD, poll_now(_metadata, fd));
	expect_message(_metadata, fd, variant->greeting, strlen(variant->greeting));
	EXPECT_EQ(POLL_ALWAYS, poll_now(_metadata, fd));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(POLL_UNREAD, poll_now(_metadata, fd));
}

TEST_F(instances, stream_splice)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char buf[64];
	int pipe[2];

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, splice(fd, NULL, pipe[1], NULL, 4096, 0));
	EXPECT_EQ(TEXT_LEN, read(pipe[0], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	EXPECT_ERRNO(EAGAIN, splice(fd, NULL, pipe[1], NULL, 4096, 0));
}

TEST_F(instances, stream_io_uring_read)
{
	int fd = plug_read_stream(_metadata, &self->it);
	char buf[64];
	struct io_uring_sqe request = uring_read_request(fd, buf, sizeof(buf));
	struct io_uring ring;

	if (io_uring_queue_init(4, &ring, 0))
		SKIP(return, "no io_uring");

	uring_submit(_metadata, &ring, &request);
	EXPECT_FALSE(uring_is_done(&ring));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, uring_wait(_metadata, &ring));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	io_uring_queue_exit(&ring);
}

/* Publishing by itself */

static void await_generation(struct __test_metadata *_metadata, int fd, __u64 generation)
{
	long long deadline = now_ms() + DEADLINE_MS;

	while (get_info(_metadata, fd).generation < generation) {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
	}
}

static unsigned long long read_tick(struct __test_metadata *_metadata, int fd)
{
	char buf[64] = "", expected[64];
	unsigned long long tick;

	ASSERT_LT(0, read(fd, buf, sizeof(buf) - 1));
	tick = strtoull(buf + strlen("tick "), NULL, 10);
	snprintf(expected, sizeof(expected), "tick %llu\n", tick);
	EXPECT_STREQ(expected, buf);
	EXPECT_EQ(tick + 1, get_info(_metadata, fd).seen);
	return tick;
}

/* Never too early, and never the same twice. */
TEST_F(instances, ticks)
{
	unsigned long long tick, last = 0;
	long long start = now_us();
	unsigned int i;
	int fd;

	configure(_metadata, &self->it, "period_us", "100000");
	fd = plug_stream(_metadata, &self->it, O_RDONLY);
	expect_message(_metadata, fd, variant->greeting, strlen(variant->greeting));
	for (i = 0; i < 3; i++) {
		tick = read_tick(_metadata, fd);
		EXPECT_LT(last, tick);
		EXPECT_LE(tick * 100000, now_us() - start);
		last = tick;
	}
}

TEST_F(instances, ticks_fast)
{
	unsigned long long tick, last = 0;
	unsigned int i;
	int fd;

	configure(_metadata, &self->it, "period_us", "1000");
	configure(_metadata, &self->it, "message", "tick 0\n");
	fd = plug_stream(_metadata, &self->it, O_RDONLY);
	for (i = 0; i < 2 * ROUNDS; i++) {
		tick = read_tick(_metadata, fd);
		if (i)
			EXPECT_LT(last, tick);
		last = tick;
	}
}

TEST_F(instances, ticks_are_cut)
{
	int fd;

	configure(_metadata, &self->it, "capacity", "3");
	configure(_metadata, &self->it, "message", "abc");
	configure(_metadata, &self->it, "period_us", "1000");
	fd = plug_and_open(_metadata, &self->it, O_RDONLY);
	await_generation(_metadata, fd, 2);
	expect_current(_metadata, self->it.node, "tic", 3);
}

/* The timer may be on its way. */
TEST_F(instances, ticks_and_unplug)
{
	struct misc_sim_info info;
	unsigned int i;
	int fd;

	configure(_metadata, &self->it, "period_us", "1000");
	for (i = 0; i < ROUNDS / 2; i++) {
		fd = plug_and_open(_metadata, &self->it, O_RDWR);
		if (i % 2)
			await_generation(_metadata, fd, 2);
		unplug(_metadata, &self->it);
		EXPECT_ERRNO(ENODEV, ioctl(fd, MISC_SIM_IOC_INFO, &info));
		close(fd);
	}
}

/* Latency */

TEST_F(instances, latency)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	long long start;
	char value[16];

	snprintf(value, sizeof(value), "%d", LATENCY_US);
	configure(_metadata, &self->it, "latency_us", value);
	start = now_us();
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_LE(LATENCY_US, now_us() - start);
	start = now_us();
	expect_message(_metadata, fd, text, TEXT_LEN);
	EXPECT_LE(LATENCY_US, now_us() - start);
}

/* Whatever took the latency here would not end in time. */
TEST_F(instances, latency_is_of_read_and_write_alone)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char c, *map;

	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	EXPECT_EQ(0, read(fd, &c, 0));
	EXPECT_EQ(0, write(fd, &c, 0));
	EXPECT_ERRNO(EMSGSIZE, write(fd, bad_page(_metadata), 4097));
	EXPECT_EQ(0, replace(fd, 1, text, TEXT_LEN));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	EXPECT_EQ(POLL_UNREAD, poll_now(_metadata, fd));
	map = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_TRUE(map != MAP_FAILED);
	EXPECT_EQ(0, memcmp(text, map, TEXT_LEN));
	configure(_metadata, &self->it, "latency_us", "0");
	expect_message(_metadata, fd, text, TEXT_LEN);
}

TEST_F(instances, latency_nowait)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char buf[TEXT_LEN];
	struct iovec in = { buf, sizeof(buf) }, out = { (void *)text, TEXT_LEN };

	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	EXPECT_ERRNO(EAGAIN, preadv2(fd, &in, 1, -1, RWF_NOWAIT));
	EXPECT_ERRNO(EAGAIN, pwritev2(fd, &out, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	EXPECT_EQ(0, get_info(_metadata, fd).seen);
	configure(_metadata, &self->it, "latency_us", "0");
	expect_rest(_metadata, fd, variant->greeting, strlen(variant->greeting));
}

TEST_F(instances, latency_interrupted)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_read, blocked_write };
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	unsigned int i;

	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		struct blocked blocked = {
			.sleeper.fd = fd,
			.call = calls[i],
			.length = 1,
		};

		start_blocked(_metadata, &blocked);
		interrupt(_metadata, &blocked, 0);
		expect_failed(_metadata, &blocked, EINTR);
	}
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	EXPECT_EQ(0, get_info(_metadata, fd).seen);
}

TEST_F(instances, latency_restarted)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.sleeper.fd = plug_and_open(_metadata, &self->it, O_RDWR);
	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	start_blocked(_metadata, &blocked);
	configure(_metadata, &self->it, "latency_us", "0");
	interrupt(_metadata, &blocked, SA_RESTART);
	expect_returned(_metadata, &blocked, variant->greeting, strlen(variant->greeting));
}

TEST_F(instances, latency_io_uring)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char value[16], buf[64];
	struct io_uring_sqe request = uring_read_request(fd, buf, sizeof(buf));
	long long start = now_us();
	struct io_uring ring;

	if (io_uring_queue_init(4, &ring, 0))
		SKIP(return, "no io_uring");

	snprintf(value, sizeof(value), "%d", LATENCY_US);
	configure(_metadata, &self->it, "latency_us", value);
	uring_submit(_metadata, &ring, &request);
	EXPECT_EQ(strlen(variant->greeting), uring_wait(_metadata, &ring));
	EXPECT_EQ(0, memcmp(variant->greeting, buf, strlen(variant->greeting)));
	EXPECT_LE(LATENCY_US, now_us() - start);
	io_uring_queue_exit(&ring);
}

/* Faults */

TEST_F(instances, fail_read_every_third)
{
	unsigned int i;
	char c;
	int fd;

	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	inject(_metadata, &self->it, "fail_read", 3, -1);
	configure(_metadata, &self->it, "message", text);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	for (i = 0; i < TEXT_LEN; i++) {
		if (i && i % 2 == 0)
			EXPECT_ERRNO(EIO, read(fd, &c, 1));
		EXPECT_EQ(1, read(fd, &c, 1));
		EXPECT_EQ(text[i], c);
	}
	EXPECT_EQ(1, get_info(_metadata, fd).seen);
}

/* Only if told to, and no more than told to. */
TEST_F(instances, fail_read_is_logged)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	unsigned int i;
	char c;
	int fd;

	if (kmsg < 0)
		SKIP(return, "no /dev/kmsg");
	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	inject(_metadata, &self->it, "fail_read", 1, -1);
	configure(_metadata, &self->it, "fail_read/verbose", "1");
	configure(_metadata, &self->it, "fail_read/verbose_ratelimit_interval_ms", "60000");
	configure(_metadata, &self->it, "fail_read/verbose_ratelimit_burst", "3");
	fd = plug_and_open(_metadata, &self->it, O_RDONLY);
	ASSERT_EQ(0, lseek(kmsg, 0, SEEK_END));
	for (i = 0; i < 10; i++)
		EXPECT_ERRNO(EIO, read(fd, &c, 1));
	EXPECT_EQ(3, count_logged(kmsg, "forcing a failure", "INFO:"));
}

TEST_F(instances, fail_write)
{
	struct misc_sim_info before;
	int fd;

	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	before = start_reading(_metadata, fd);
	inject(_metadata, &self->it, "fail_write", 1, 2);
	EXPECT_ERRNO(EIO, write(fd, "new", 3));
	EXPECT_ERRNO(EIO, write(fd, "new", 3));
	expect_unchanged(_metadata, fd, self->it.node, &before);
	publish(_metadata, fd, "new", 3);
	expect_rest(_metadata, fd, "new", 3);
}

TEST_F(instances, fail_open)
{
	int fd;

	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	inject(_metadata, &self->it, "fail_open", 2, 1);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	EXPECT_ERRNO(EIO, open(self->it.node, O_RDWR));
	expect_rest(_metadata, fd, variant->greeting, strlen(variant->greeting));
	expect_current(_metadata, self->it.node, variant->greeting, strlen(variant->greeting));
}

TEST_F(instances, errno_changed_while_live)
{
	static const int errors[] = { EPERM, EAGAIN, ENOSPC, ECANCELED, 511 };
	char value[16], c;
	unsigned int i;
	int fd;

	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_open", 1, -1);
	inject(_metadata, &self->it, "fail_read", 1, -1);
	inject(_metadata, &self->it, "fail_write", 1, -1);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		snprintf(value, sizeof(value), "%d", errors[i]);
		configure(_metadata, &self->it, "errno", value);
		EXPECT_ERRNO(errors[i], open(self->it.node, O_RDONLY));
		EXPECT_ERRNO(errors[i], read(fd, &c, 1));
		EXPECT_ERRNO(errors[i], write(fd, &c, 1));
	}
}

/* To wait would be wrong: there is a message. */
TEST_F(instances, fail_read_with_eagain_on_stream)
{
	char c;
	int fd;

	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	configure(_metadata, &self->it, "errno", "11");
	inject(_metadata, &self->it, "fail_read", 1, 2);
	fd = plug_stream(_metadata, &self->it, O_RDWR);
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
	expect_message(_metadata, fd, variant->greeting, strlen(variant->greeting));
}

TEST_F(instances, fail_read_is_not_counted_on_stream_without_message)
{
	unsigned int i;
	char c;
	int fd;

	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	inject(_metadata, &self->it, "fail_read", 2, -1);
	fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	expect_message(_metadata, fd, variant->greeting, strlen(variant->greeting));
	for (i = 0; i < 3; i++)
		EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_ERRNO(EIO, read(fd, &c, 1));
	expect_message(_metadata, fd, text, TEXT_LEN);
}

TEST_F(instances, fail_write_is_not_counted_when_it_fails_anyway)
{
	unsigned int i;
	int fd;

	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	inject(_metadata, &self->it, "fail_write", 2, -1);
	configure(_metadata, &self->it, "capacity", "32");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	publish(_metadata, fd, text, TEXT_LEN);
	for (i = 0; i < 3; i++) {
		EXPECT_ERRNO(EMSGSIZE, write(fd, bad_page(_metadata), 33));
		EXPECT_EQ(0, write(fd, text, 0));
	}
	EXPECT_ERRNO(EIO, write(fd, "new", 3));
	publish(_metadata, fd, "new", 3);
}

TEST_F(instances, faults_stay_when_unplugged)
{
	char c;
	int fd;

	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_read", 1, -1);
	unplug(_metadata, &self->it);
	EXPECT_ERRNO(ENODEV, read(fd, &c, 1));
	close(fd);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	EXPECT_ERRNO(EIO, read(fd, &c, 1));
}

TEST_F(instances, short_read)
{
	char buf[TEXT_LEN];
	int fd;

	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	configure(_metadata, &self->it, "message", text);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "short_io", 1, -1);
	memset(buf, POISON, sizeof(buf));
	EXPECT_EQ(4, read(fd, buf, 8));
	EXPECT_EQ(0, memcmp(text, buf, 4));
	EXPECT_EQ(POISON, (unsigned char)buf[4]);
	EXPECT_EQ(3, read(fd, buf, 5));
	EXPECT_EQ(0, memcmp(text + 4, buf, 3));
	EXPECT_EQ(1, read(fd, buf, 1));
	EXPECT_EQ(text[7], buf[0]);
	EXPECT_EQ(0, get_info(_metadata, fd).seen);
}

TEST_F(instances, short_write)
{
	int fd;

	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "short_io", 1, 1);
	EXPECT_EQ(4, write(fd, text, 7));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	expect_rest(_metadata, fd, text, 4);
	EXPECT_EQ(7, write(fd, text, 7));

	inject(_metadata, &self->it, "short_io", 1, 2);
	EXPECT_EQ(1, write(fd, text, 1));
	EXPECT_ERRNO(EMSGSIZE, write(fd, bad_page(_metadata), 4097));
	EXPECT_EQ(4, get_info(_metadata, fd).generation);
}

/* mmap of more than a page */

TEST_F(instances, mmap_many_pages)
{
	size_t page = page_size(), length = 3 * page + 100, i, dirt = 0;
	char *buf = malloc(length), *map, value[16];
	int fd;

	ASSERT_TRUE(!!buf);
	for (i = 0; i < length; i++)
		buf[i] = i * 7 + i / 256;
	snprintf(value, sizeof(value), "%zu", 4 * page);
	configure(_metadata, &self->it, "capacity", value);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	publish(_metadata, fd, buf, length);

	map = mmap(NULL, 4 * page, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_TRUE(map != MAP_FAILED);
	EXPECT_EQ(0, memcmp(buf, map, length));
	for (i = length; i < 4 * page; i++)
		dirt += !!map[i];
	EXPECT_EQ(0, dirt);

	map = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 2 * page);
	ASSERT_TRUE(map != MAP_FAILED);
	EXPECT_EQ(0, memcmp(buf + 2 * page, map, page));

	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, 5 * page, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, 3 * page));
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 4 * page));
	free(buf);
}

/* Unplugging */

/* Each call is wrong in some other way too, but ENODEV comes first. */
static void expect_gone(struct __test_metadata *_metadata, int fd)
{
	char *bad = bad_page(_metadata);
	struct iovec iov = { bad, 1 };
	int pipe[2], queued;

	EXPECT_ERRNO(ENODEV, read(fd, bad, 1));
	EXPECT_ERRNO(ENODEV, read(fd, bad, 0));
	EXPECT_ERRNO(ENODEV, readv(fd, &iov, 1));
	EXPECT_ERRNO(ENODEV, preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_ERRNO(ENODEV, write(fd, bad, 1));
	EXPECT_ERRNO(ENODEV, write(fd, bad, 0));
	EXPECT_ERRNO(ENODEV, write(fd, bad, 1 << 30));
	EXPECT_ERRNO(ENODEV, writev(fd, &iov, 1));
	EXPECT_ERRNO(ENODEV, pwritev2(fd, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_ERRNO(ENODEV, ioctl(fd, MISC_SIM_IOC_INFO, bad));
	EXPECT_ERRNO(ENODEV, ioctl(fd, MISC_SIM_IOC_REPLACE, bad));
	EXPECT_ERRNO(ENODEV, ioctl(fd, 0, bad));
	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, fd,
					1 << 30));

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	EXPECT_ERRNO(ENODEV, splice(fd, NULL, pipe[1], NULL, 4096, 0));
	publish(_metadata, pipe[1], text, TEXT_LEN);
	EXPECT_ERRNO(ENODEV, splice(pipe[0], NULL, fd, NULL, 4096, 0));
	ASSERT_EQ(0, ioctl(pipe[0], FIONREAD, &queued));
	EXPECT_EQ(TEXT_LEN, queued);
}

TEST_F(instances, unplug_fails_every_call)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char c;

	start_reading(_metadata, fd);
	unplug(_metadata, &self->it);
	expect_gone(_metadata, fd);
	EXPECT_ERRNO(ENODEV, pread(fd, &c, 1, 0));
	EXPECT_ERRNO(ENODEV, pwrite(fd, &c, 1, 0));
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "generation", 2));
	EXPECT_EQ(0, close(fd));
}

TEST_F(instances, unplug_fails_every_call_on_stream)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);

	unplug(_metadata, &self->it);
	expect_gone(_metadata, fd);
}

TEST_F(instances, rmdir_unplugs)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);

	ASSERT_EQ(0, rmdir(self->it.dir));
	expect_gone(_metadata, fd);
	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	EXPECT_ERRNO(ENOENT, access(self->it.sysfs, F_OK));
}

TEST_F(instances, unplug_and_open)
{
	char path[64];
	int fd;

	plug(_metadata, &self->it);
	fd = open_node(_metadata, self->it.node, O_PATH);
	unplug(_metadata, &self->it);
	EXPECT_ERRNO(ENOENT, open(self->it.node, O_RDWR));

	/* The node itself is still there for those who have found it. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_ERRNO(ENODEV, open(path, O_RDWR));
}

TEST_F(instances, unplug_poll)
{
	int unread = plug_and_open(_metadata, &self->it, O_RDWR);
	int done = open_node(_metadata, self->it.node, O_RDWR);

	expect_rest(_metadata, done, variant->greeting, strlen(variant->greeting));
	unplug(_metadata, &self->it);
	EXPECT_EQ(POLL_UNREAD | POLL_GONE, poll_now(_metadata, unread));
	EXPECT_EQ(POLL_ALWAYS | POLL_GONE, poll_now(_metadata, done));
}

/* Pages that nobody has touched too. */
TEST_F(instances, unplug_keeps_mappings)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char *touched, *untouched, buf[TEXT_LEN];
	int pipe[2], status;
	pid_t pid;

	publish(_metadata, fd, text, TEXT_LEN);
	touched = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
	untouched = mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_TRUE(touched != MAP_FAILED && untouched != MAP_FAILED);
	EXPECT_EQ(0, memcmp(text, touched, TEXT_LEN));
	unplug(_metadata, &self->it);
	close(fd);
	ASSERT_EQ(0, rmdir(self->it.dir));

	EXPECT_EQ(0, memcmp(text, touched, TEXT_LEN));
	EXPECT_EQ(0, memcmp(text, untouched, TEXT_LEN));
	EXPECT_EQ(0, untouched[page_size() - 1]);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(!!memcmp(text, untouched, TEXT_LEN));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	EXPECT_EQ(TEXT_LEN, write(pipe[1], untouched, TEXT_LEN));
	EXPECT_EQ(TEXT_LEN, read(pipe[0], buf, TEXT_LEN));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
}

TEST_F(instances, unplug_frees_the_name)
{
	int old = plug_and_open(_metadata, &self->it, O_RDWR), new;

	publish(_metadata, old, text, TEXT_LEN);
	unplug(_metadata, &self->it);
	new = plug_and_open(_metadata, &self->it, O_RDWR);
	EXPECT_EQ(1, get_info(_metadata, new).generation);
	expect_rest(_metadata, new, variant->greeting, strlen(variant->greeting));
	expect_gone(_metadata, old);
	publish(_metadata, new, "new", 3);
	EXPECT_EQ(POLL_UNREAD | POLL_GONE, poll_now(_metadata, old));
	expect_current(_metadata, self->it.node, "new", 3);
}

TEST_F(instances, unplug_wakes_reader_among_pollers)
{
	struct blocked reader = { .call = blocked_read };
	struct blocked poller = { .call = blocked_poll, .length = POLLERS };
	struct rlimit limit = { 2 * POLLERS, 2 * POLLERS };
	int i, told = 0;
	long long gone;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	poller.fds = calloc(POLLERS, sizeof(*poller.fds));
	ASSERT_TRUE(!!poller.fds);
	reader.sleeper.fd = plug_read_stream(_metadata, &self->it);
	for (i = 0; i < POLLERS; i++) {
		poller.fds[i].fd = open_node(_metadata, self->it.node, O_RDONLY);
		poller.fds[i].events = POLLIN;
		expect_message(_metadata, poller.fds[i].fd, variant->greeting,
			       strlen(variant->greeting));
	}
	start_blocked(_metadata, &reader);
	start_blocked(_metadata, &poller);

	unplug(_metadata, &self->it);
	gone = now_ms();
	expect_failed(_metadata, &reader, ENODEV);
	EXPECT_GE(WAKE_MS, reader.end_ms - gone);
	finish_blocked(_metadata, &poller);
	EXPECT_EQ(POLLERS, poller.ret);
	for (i = 0; i < POLLERS; i++)
		told += poller.fds[i].revents == POLL_GONE;
	EXPECT_EQ(POLLERS, told);
	free(poller.fds);
}

TEST_F(instances, unplug_wakes_epoll)
{
	int fd = plug_read_stream(_metadata, &self->it);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	ASSERT_LE(0, epoll);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	unplug(_metadata, &self->it);
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	EXPECT_EQ(EPOLLERR | EPOLLHUP, event.events);
}

TEST_F(instances, unplug_wakes_io_uring)
{
	int fd = plug_read_stream(_metadata, &self->it);
	struct io_uring_sqe poll_request = {
		.opcode = IORING_OP_POLL_ADD,
		.fd = fd,
		.poll32_events = POLLIN,
		.user_data = 1,
	};
	struct io_uring_sqe read_request;
	struct io_uring ring;
	char buf[8];

	if (io_uring_queue_init(4, &ring, 0))
		SKIP(return, "no io_uring");

	uring_submit(_metadata, &ring, &poll_request);
	EXPECT_FALSE(uring_is_done(&ring));
	unplug(_metadata, &self->it);
	EXPECT_EQ(POLL_GONE, uring_wait(_metadata, &ring));

	plug(_metadata, &self->it);
	fd = open_node(_metadata, self->it.node, O_RDONLY);
	expect_message(_metadata, fd, variant->greeting, strlen(variant->greeting));
	read_request = uring_read_request(fd, buf, sizeof(buf));
	uring_submit(_metadata, &ring, &read_request);
	EXPECT_FALSE(uring_is_done(&ring));
	unplug(_metadata, &self->it);
	EXPECT_EQ(-ENODEV, uring_wait(_metadata, &ring));
	io_uring_queue_exit(&ring);
}

TEST_F(instances, unplug_ends_latency)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_read, blocked_write };
	struct blocked blocked[2] = {};
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	unsigned int i;

	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		blocked[i].sleeper.fd = fd;
		blocked[i].call = calls[i];
		blocked[i].length = 1;
		start_blocked(_metadata, &blocked[i]);
	}
	unplug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(blocked); i++)
		expect_failed(_metadata, &blocked[i], ENODEV);
}

TEST_F(instances, unplug_ends_splice)
{
	struct blocked blocked = { .call = blocked_splice };
	int pipe[2];

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC));
	blocked.out = pipe[1];
	blocked.sleeper.fd = plug_read_stream(_metadata, &self->it);
	start_blocked(_metadata, &blocked);
	unplug(_metadata, &self->it);
	expect_failed(_metadata, &blocked, ENODEV);
}

/* User space may take for ever to bring in a page, and nothing waits for it. */
TEST_F(instances, unplug_during_read)
{
	struct call call = { .length = TEXT_LEN };
	struct hole hole;
	int fd;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	configure(_metadata, &self->it, "message", text);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	call.fd = fd;
	call.buf = hole.page - 4;
	start(_metadata, &call, call_read);
	await_fault(_metadata, &hole);
	ASSERT_EQ(0, rmdir(self->it.dir));
	expect_gone(_metadata, fd);
	fill_hole(_metadata, &hole, "", 0);
	finish(_metadata, &call);
	EXPECT_EQ(TEXT_LEN, call.ret);
	EXPECT_EQ(0, memcmp(text, call.buf, TEXT_LEN));
}

TEST_F(instances, unplug_during_write)
{
	void *(*calls[])(void *) = { call_write, call_replace };
	struct call call = { .length = 10, .generation = 1 };
	struct hole hole;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		if (!make_hole(_metadata, &hole))
			SKIP(return, "no userfaultfd");

		call.fd = plug_and_open(_metadata, &self->it, O_RDWR);
		call.buf = hole.page - 4;
		start(_metadata, &call, calls[i]);
		await_fault(_metadata, &hole);
		unplug(_metadata, &self->it);
		fill_hole(_metadata, &hole, text, TEXT_LEN);
		finish(_metadata, &call);
		EXPECT_EQ(-1, call.ret);
		EXPECT_EQ(ENODEV, call.error);
		EXPECT_TRUE(fdinfo_has(_metadata, call.fd, "generation", 1));
	}
}

TEST_F(instances, unplug_keeps_the_module)
{
	int file = open_module(variant->module);
	int fd;

	if (file < 0)
		SKIP(return, "no module %s", variant->module);

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	ASSERT_EQ(0, rmdir(self->it.dir));
	EXPECT_ERRNO(EWOULDBLOCK, unload(variant->module));
	close(fd);
	EXPECT_EQ(0, unload(variant->module));
	EXPECT_EQ(0, load_from(file, variant->module));
}

/* The platform driver */

TEST_F(instances, unbind_and_bind)
{
	struct blocked blocked = { .call = blocked_read };
	int fd = plug_read_stream(_metadata, &self->it);

	if (variant->rust)
		SKIP(return, "no abstraction in Rust for the creation of platform devices");
	blocked.sleeper.fd = fd;
	publish(_metadata, fd, text, TEXT_LEN);
	expect_message(_metadata, fd, text, TEXT_LEN);
	start_blocked(_metadata, &blocked);
	ASSERT_EQ(0, to_driver(variant->driver, &self->it, "unbind"));
	expect_failed(_metadata, &blocked, ENODEV);
	expect_gone(_metadata, fd);
	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	expect_file(_metadata, self->it.dir, "live", "1\n");
	EXPECT_ERRNO(EBUSY, set(&self->it, "capacity", "1"));

	ASSERT_EQ(0, to_driver(variant->driver, &self->it, "bind"));
	fd = open_node(_metadata, self->it.node, O_RDWR);
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	expect_message(_metadata, fd, variant->greeting, strlen(variant->greeting));
	unplug(_metadata, &self->it);
	expect_gone(_metadata, fd);
}

TEST_F(instances, unplug_while_unbound)
{
	if (variant->rust)
		SKIP(return, "no abstraction in Rust for the creation of platform devices");
	plug(_metadata, &self->it);
	ASSERT_EQ(0, to_driver(variant->driver, &self->it, "unbind"));
	unplug(_metadata, &self->it);
	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	plug(_metadata, &self->it);
	expect_current(_metadata, self->it.node, variant->greeting, strlen(variant->greeting));
	ASSERT_EQ(0, to_driver(variant->driver, &self->it, "unbind"));
	EXPECT_EQ(0, rmdir(self->it.dir));
}

#define PLATFORM	"/sys/bus/platform"

TEST_F(instances, live_without_probe)
{
	if (variant->rust)
		SKIP(return, "no abstraction in Rust for the creation of platform devices");
	if (write_file(PLATFORM "/drivers_autoprobe", "0"))
		SKIP(return, "no drivers_autoprobe");

	EXPECT_ERRNO(ENXIO, set(&self->it, "live", "1"));
	EXPECT_EQ(0, write_file(PLATFORM "/drivers_autoprobe", "1"));
	expect_file(_metadata, self->it.dir, "live", "0\n");
	expect_file(_metadata, self->it.dir, "dev_name", "\n");
	plug(_metadata, &self->it);
	expect_current(_metadata, self->it.node, variant->greeting, strlen(variant->greeting));
}

/* A platform device that no driver wants. */
static bool find_unbound(char *name)
{
	char path[2 * PATH_LEN + NAME_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	dir = opendir(PLATFORM "/devices");
	while (dir && !found && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), PLATFORM "/devices/%s/driver", entry->d_name);
		found = entry->d_name[0] != '.' && strlen(entry->d_name) <= 64 &&
			access(path, F_OK);
		if (found)
			strcpy(name, entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* It knows nothing of the properties, so all is as with the default device. */
TEST_F(instances, platform_device_without_properties)
{
	char override[2 * PATH_LEN + NAME_MAX], bind[2 * PATH_LEN], name[NAME_MAX + 1];
	struct instance inst;
	int fd;

	if (!find_unbound(name))
		SKIP(return, "no platform device without a driver");

	inst = name_instance(variant->driver, name);
	snprintf(override, sizeof(override), PLATFORM "/devices/%s/driver_override", name);
	snprintf(bind, sizeof(bind), PLATFORM "/drivers/%s/bind", variant->driver);
	ASSERT_EQ(0, write_file(override, variant->driver));
	ASSERT_EQ(0, write_file(bind, name));
	EXPECT_EQ(0, write_file(override, "\n"));

	fd = open_node(_metadata, inst.node, O_RDWR);
	EXPECT_EQ(4096, get_info(_metadata, fd).capacity);
	expect_rest(_metadata, fd, variant->greeting, strlen(variant->greeting));
	publish(_metadata, fd, text, TEXT_LEN);
	snprintf(bind, sizeof(bind), PLATFORM "/drivers/%s/unbind", variant->driver);
	EXPECT_EQ(0, write_file(bind, name));
	expect_gone(_metadata, fd);
	EXPECT_ERRNO(ENOENT, access(inst.node, F_OK));
}

/* The platform driver in Rust, on a platform device that the driver in C has made */

FIXTURE(rust_platform) {
	struct instance it;	/* not live yet */
	struct instance rust;	/* what the driver in Rust makes of it */
};

FIXTURE_SETUP(rust_platform)
{
	const char *lack = lack_of_instances("misc_sim", "misc-sim");

	if (!lack)
		lack = lack_of_instances("rmisc_sim", "rmisc-sim");
	if (lack)
		SKIP(return, "%s", lack);
	self->it = make_instance(_metadata, "misc-sim", PREFIX "a");
	self->rust = name_instance("rmisc-sim", PREFIX "a");
}

/* The platform device goes with its directory, whoever drives it. */
FIXTURE_TEARDOWN_PARENT(rust_platform)
{
	remove_instances("misc-sim");
	remove_instances("rmisc-sim");
}

static void read_dev_name(struct __test_metadata *_metadata, const struct instance *inst,
			  char name[PATH_LEN])
{
	char path[2 * PATH_LEN];

	snprintf(path, sizeof(path), "%s/dev_name", inst->dir);
	ASSERT_LT(1, read_file(path, name, PATH_LEN));
	name[strcspn(name, "\n")] = '\0';
}

/* Keep the platform device for this driver; "\n" lets it go. */
static void override(struct __test_metadata *_metadata, const struct instance *inst,
		     const char *driver)
{
	char path[2 * PATH_LEN], name[PATH_LEN];

	read_dev_name(_metadata, inst, name);
	snprintf(path, sizeof(path), PLATFORM "/devices/%s/driver_override", name);
	ASSERT_EQ(0, write_file(path, driver));
}

static void plug_unbound(struct __test_metadata *_metadata, const struct instance *inst)
{
	plug(_metadata, inst);
	ASSERT_EQ(0, to_driver("misc-sim", inst, "unbind"));
	override(_metadata, inst, "rmisc-sim");
}

static void plug_in_rust(struct __test_metadata *_metadata, const struct instance *inst)
{
	plug_unbound(_metadata, inst);
	ASSERT_EQ(0, to_driver("rmisc-sim", inst, "bind"));
}

TEST_F(rust_platform, properties)
{
	char path[2 * PATH_LEN], name[PATH_LEN], parent[PATH_MAX] = "";
	struct misc_sim_info info;
	struct stat st;
	int fd;

	configure(_metadata, &self->it, "message", text);
	configure(_metadata, &self->it, "capacity", "100");
	configure(_metadata, &self->it, "blocking", "1");
	configure(_metadata, &self->it, "mode", "0642");
	plug_in_rust(_metadata, &self->it);
	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));

	ASSERT_EQ(0, stat(self->rust.node, &st));
	EXPECT_EQ(S_IFCHR | 0642, st.st_mode);
	fd = open_node(_metadata, self->rust.node, O_RDWR | O_NONBLOCK);
	info = get_info(_metadata, fd);
	EXPECT_EQ(1, info.generation);
	EXPECT_EQ(100, info.capacity);
	expect_message(_metadata, fd, text, TEXT_LEN);
	EXPECT_ERRNO(EAGAIN, read(fd, path, sizeof(path)));

	read_dev_name(_metadata, &self->it, name);
	snprintf(path, sizeof(path), "%s/device", self->rust.sysfs);
	EXPECT_LT(0, readlink(path, parent, sizeof(parent) - 1));
	EXPECT_STREQ(name, basename(parent));
}

TEST_F(rust_platform, ticks)
{
	int fd;

	configure(_metadata, &self->it, "period_us", "1000");
	plug_in_rust(_metadata, &self->it);
	fd = open_node(_metadata, self->rust.node, O_RDONLY);
	await_generation(_metadata, fd, 2);
}

TEST_F(rust_platform, unbind)
{
	struct blocked blocked = { .call = blocked_read };
	char buf[64];
	int fd;

	configure(_metadata, &self->it, "blocking", "1");
	plug_in_rust(_metadata, &self->it);
	fd = open_node(_metadata, self->rust.node, O_RDWR);
	ASSERT_LT(0, read(fd, buf, sizeof(buf)));
	blocked.sleeper.fd = fd;
	start_blocked(_metadata, &blocked);
	ASSERT_EQ(0, to_driver("rmisc-sim", &self->it, "unbind"));
	expect_failed(_metadata, &blocked, ENODEV);
	expect_gone(_metadata, fd);
	EXPECT_ERRNO(ENOENT, access(self->rust.node, F_OK));
	EXPECT_ERRNO(ENOENT, access(self->rust.sysfs, F_OK));

	ASSERT_EQ(0, to_driver("rmisc-sim", &self->it, "bind"));
	fd = open_node(_metadata, self->rust.node, O_RDWR);
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	unplug(_metadata, &self->it);
	expect_gone(_metadata, fd);
}

TEST_F(rust_platform, back_to_c)
{
	plug_in_rust(_metadata, &self->it);
	ASSERT_EQ(0, to_driver("rmisc-sim", &self->it, "unbind"));
	override(_metadata, &self->it, "\n");
	EXPECT_ERRNO(ENODEV, to_driver("rmisc-sim", &self->it, "bind"));
	ASSERT_EQ(0, to_driver("misc-sim", &self->it, "bind"));
	EXPECT_EQ(0, access(self->it.node, F_OK));
	EXPECT_ERRNO(ENOENT, access(self->rust.node, F_OK));
}

TEST_F(rust_platform, name_taken)
{
	struct instance other = make_instance(_metadata, "rmisc-sim", PREFIX "a");

	plug(_metadata, &other);
	plug_unbound(_metadata, &self->it);
	EXPECT_ERRNO(EEXIST, to_driver("rmisc-sim", &self->it, "bind"));
	EXPECT_EQ(0, access(other.node, F_OK));
	unplug(_metadata, &other);
	EXPECT_EQ(0, to_driver("rmisc-sim", &self->it, "bind"));
	EXPECT_ERRNO(EEXIST, set(&other, "live", "1"));
}

TEST_F(rust_platform, unload_unbinds)
{
	int file = open_module("rmisc_sim");

	if (file < 0)
		SKIP(return, "no module rmisc_sim");

	plug_in_rust(_metadata, &self->it);
	EXPECT_EQ(0, unload("rmisc_sim"));
	EXPECT_ERRNO(ENOENT, access(self->rust.node, F_OK));
	EXPECT_EQ(0, load_from(file, "rmisc_sim"));
	EXPECT_EQ(0, access(self->rust.node, F_OK));
}

/* Races */

struct racer {
	pthread_t thread;
	const struct instance *inst;
	const char *attr;
	const char *values[2];
	bool stop;
	unsigned int rounds;
	unsigned int failures;
};

static bool stopped(struct racer *racer)
{
	return __atomic_load_n(&racer->stop, __ATOMIC_RELAXED);
}

static void start_racer(struct __test_metadata *_metadata, struct racer *racer,
			void *(*function)(void *))
{
	ASSERT_EQ(0, pthread_create(&racer->thread, NULL, function, racer));
}

/* Each of the outcomes that are right comes in time; this is one round more. */
static void await_round(struct __test_metadata *_metadata, struct racer *racer)
{
	unsigned int rounds = __atomic_load_n(&racer->rounds, __ATOMIC_RELAXED);
	long long deadline = now_ms() + DEADLINE_MS;

	while (__atomic_load_n(&racer->rounds, __ATOMIC_RELAXED) == rounds) {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
	}
}

static void stop_racer(struct __test_metadata *_metadata, struct racer *racer)
{
	__atomic_store_n(&racer->stop, true, __ATOMIC_RELAXED);
	join(_metadata, racer->thread);
	EXPECT_EQ(0, racer->failures);
}

static void *keep_setting(void *arg)
{
	struct racer *racer = arg;
	unsigned int i;

	for (i = 0; !stopped(racer); i++) {
		if (!set(racer->inst, racer->attr, racer->values[i % 2]))
			__atomic_fetch_add(&racer->rounds, 1, __ATOMIC_RELAXED);
		else if (errno != EBUSY)
			racer->failures++;
	}
	return NULL;
}

/* While it is live, the attributes are those that the device was made from. */
TEST_F(instances, attributes_race_with_live)
{
	struct racer racers[] = {
		{ .attr = "capacity", .values = { "100", "200" } },
		{ .attr = "message", .values = { "one", "three" } },
		{ .attr = "mode", .values = { "0600", "0640" } },
	};
	long long deadline = now_ms() + DEADLINE_MS;
	char value[16], message[16];
	struct misc_sim_info info;
	unsigned int i, j;
	struct stat st;
	int fd;

	for (j = 0; j < ARRAY_SIZE(racers); j++) {
		racers[j].inst = &self->it;
		start_racer(_metadata, &racers[j], keep_setting);
	}
	for (i = 0; i < ROUNDS && now_ms() < deadline; i++) {
		for (j = 0; j < ARRAY_SIZE(racers); j++)
			await_round(_metadata, &racers[j]);
		fd = plug_and_open(_metadata, &self->it, O_RDWR);
		info = get_info(_metadata, fd);
		ASSERT_GT(sizeof(message), info.length);
		ASSERT_EQ(info.length, pread(fd, message, info.length, 0));
		message[info.length] = '\0';
		close(fd);
		ASSERT_EQ(0, stat(self->it.node, &st));

		snprintf(value, sizeof(value), "%u\n", info.capacity);
		expect_file(_metadata, self->it.dir, "capacity", value);
		expect_file(_metadata, self->it.dir, "message", message);
		snprintf(value, sizeof(value), "%#o\n", st.st_mode & 0777);
		expect_file(_metadata, self->it.dir, "mode", value);
		unplug(_metadata, &self->it);
	}
	for (j = 0; j < ARRAY_SIZE(racers); j++)
		stop_racer(_metadata, &racers[j]);
}

static void *keep_plugging(void *arg)
{
	struct racer *racer = arg;
	unsigned int i;

	for (i = 0; !stopped(racer); i++) {
		if (!set(racer->inst, "live", i % 2 ? "0" : "1"))
			__atomic_fetch_add(&racer->rounds, 1, __ATOMIC_RELAXED);
		else if (errno != ENOENT)
			racer->failures++;
	}
	return NULL;
}

TEST_F(instances, live_races_with_rmdir)
{
	long long deadline = now_ms() + DEADLINE_MS;
	struct racer racer = { .inst = &self->it };
	unsigned int i;

	start_racer(_metadata, &racer, keep_plugging);
	for (i = 0; i < ROUNDS && now_ms() < deadline; i++) {
		if (i % 2)
			await_round(_metadata, &racer);
		ASSERT_EQ(0, rmdir(self->it.dir));
		EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
		EXPECT_ERRNO(ENOENT, access(self->it.sysfs, F_OK));
		ASSERT_EQ(0, mkdir(self->it.dir, 0755));
	}
	stop_racer(_metadata, &racer);
}

static void *keep_opening(void *arg)
{
	struct racer *racer = arg;
	ssize_t length;
	char buf[64];
	int fd;

	while (!stopped(racer)) {
		fd = open(racer->inst->node, O_RDWR | O_CLOEXEC);
		if (fd < 0) {
			racer->failures += errno != ENOENT && errno != ENODEV && errno != ENXIO;
			continue;
		}
		length = read(fd, buf, sizeof(buf));
		if (length < 0)
			racer->failures += errno != ENODEV;
		else
			racer->failures += length != (ssize_t)strlen(racer->values[0]) ||
					   memcmp(racer->values[0], buf, length);
		close(fd);
		__atomic_fetch_add(&racer->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F(instances, rmdir_races_with_open)
{
	struct racer racer = { .inst = &self->it, .values = { variant->greeting } };
	long long deadline = now_ms() + DEADLINE_MS;
	unsigned int i;

	start_racer(_metadata, &racer, keep_opening);
	for (i = 0; i < ROUNDS && now_ms() < deadline; i++) {
		plug(_metadata, &self->it);
		if (i % 2)
			await_round(_metadata, &racer);
		ASSERT_EQ(0, rmdir(self->it.dir));
		ASSERT_EQ(0, mkdir(self->it.dir, 0755));
	}
	stop_racer(_metadata, &racer);
}

static void *keep_binding(void *arg)
{
	struct racer *racer = arg;
	unsigned int i;

	/* Not bound, bound, not there, or not yet ready: any of these at any time. */
	for (i = 0; !stopped(racer); i++) {
		if (!to_driver(racer->values[0], racer->inst, i % 2 ? "bind" : "unbind"))
			__atomic_fetch_add(&racer->rounds, 1, __ATOMIC_RELAXED);
		else if (errno != ENODEV && errno != EBUSY && errno != EAGAIN)
			racer->failures++;
	}
	return NULL;
}

TEST_F(instances, live_races_with_unbind)
{
	struct racer racer = { .inst = &self->it, .values = { variant->driver } };
	long long deadline = now_ms() + DEADLINE_MS;
	unsigned int i;

	if (variant->rust)
		SKIP(return, "no abstraction in Rust for the creation of platform devices");
	start_racer(_metadata, &racer, keep_binding);
	for (i = 0; i < ROUNDS && now_ms() < deadline; i++) {
		plug(_metadata, &self->it);
		if (i % 2)
			await_round(_metadata, &racer);
		unplug(_metadata, &self->it);
		EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	}
	stop_racer(_metadata, &racer);
}

int main(int argc, char **argv)
{
	atexit(exit_skip_if_nothing_ran);
	return test_harness_run(argc, argv);
}
