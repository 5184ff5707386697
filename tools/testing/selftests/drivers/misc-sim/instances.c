// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the instances of the simulated misc device: how they are made and
 * configured, how they block, fail and stall, and what is left of them when they
 * are unplugged. One case for each sentence of
 * Documentation/misc-devices/misc-sim.rst and
 * Documentation/ABI/testing/configfs-misc-sim.
 */

#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include "instance.h"
#include "uring.h"

#define ROUNDS		100	/* of a race, or as many as there are by the deadline */
#define INSTANCES	1000
#define POLLERS		1000

/* configfs cuts a longer write to 4095 bytes, so one of 4095 may be a cut one. */
#define WRITE_MAX	4094

#define LATENCY_US	50000

static long long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static void fill_pattern(char *buf, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		buf[i] = i * 7 + i / 256;
}

static void pin_to_first_cpu(struct __test_metadata *_metadata)
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

/* Configuration */

FIXTURE(config) {
	struct instance it;
};

DRIVER_VARIANTS(config);

FIXTURE_SETUP(config)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(config)
{
	remove_instances(variant->driver);
}

TEST_F(config, defaults)
{
	expect_file(_metadata, self->it.dir, "message", variant->driver->greeting);
	expect_file(_metadata, self->it.dir, "capacity", "4096\n");
	expect_file(_metadata, self->it.dir, "kind", "message\n");
	expect_file(_metadata, self->it.dir, "period_us", "0\n");
	expect_file(_metadata, self->it.dir, "latency_us", "0\n");
	expect_file(_metadata, self->it.dir, "errno", "5\n");
	expect_file(_metadata, self->it.dir, "mode", "0600\n");
	expect_file(_metadata, self->it.dir, "live", "0\n");
}

TEST_F(config, attributes_are_root_writable)
{
	static const char * const attrs[] = {
		"message", "capacity", "kind", "period_us", "latency_us", "errno",
		"mode", "live",
	};
	char path[2 * PATH_LEN];
	struct stat st;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		snprintf(path, sizeof(path), "%s/%s", self->it.dir, attrs[i]);
		ASSERT_EQ(0, stat(path, &st))
			TH_LOG("%s", attrs[i]);
		EXPECT_EQ(S_IFREG | 0644, st.st_mode)
			TH_LOG("%s", attrs[i]);
		EXPECT_EQ(0, st.st_uid);
	}
}

TEST_F(config, values_accepted)
{
	static const struct {
		const char *attr, *in, *out;
	} values[] = {
		{ "capacity", "1", "1\n" },
		{ "capacity", "1048576\n", "1048576\n" },
		{ "kind", "stream", "stream\n" },
		{ "kind", "message\n", "message\n" },
		{ "period_us", "1000", "1000\n" },
		{ "period_us", "3600000000", "3600000000\n" },
		{ "period_us", "0", "0\n" },
		{ "latency_us", "60000000", "60000000\n" },
		{ "latency_us", "0", "0\n" },
		{ "errno", "1", "1\n" },
		{ "errno", "10", "10\n" },
		{ "errno", "12", "12\n" },
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

TEST_F(config, values_refused)
{
	static const struct {
		const char *attr, *good, *bad[8];
	} values[] = {
		{ "capacity", "7\n", { "0", "1048577", "4294967297" } },
		{ "period_us", "5000\n", { "1", "999", "3600000001", "4294968296" } },
		{ "latency_us", "7\n", { "60000001", "4294967296" } },
		{ "errno", "7\n", { "0", "11", "512", "4294967297" } },
		{ "mode", "0604\n", { "0", "1000", "8", "0x1", "rw" } },
		{ "kind", "stream\n", { "0", "1", "Message", "messages", "mess", " message" } },
	};
	static const char * const bad[] = { "\n", " ", "-1", "1x", "1 1", "1\n1", "1\n\n", "x" };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		configure(_metadata, &self->it, values[i].attr, values[i].good);
		for (j = 0; j < ARRAY_SIZE(bad); j++) {
			EXPECT_EQ(-1, set_attribute(&self->it, values[i].attr, bad[j]))
				TH_LOG("%s '%s'", values[i].attr, bad[j]);
			EXPECT_EQ(EINVAL, errno);
		}
		for (j = 0; values[i].bad[j]; j++) {
			EXPECT_EQ(-1, set_attribute(&self->it, values[i].attr, values[i].bad[j]))
				TH_LOG("%s '%s'", values[i].attr, values[i].bad[j]);
			EXPECT_EQ(EINVAL, errno);
		}
		/* A write of nothing does not get as far as the driver. */
		set_attribute(&self->it, values[i].attr, "");
		expect_file(_metadata, self->it.dir, values[i].attr, values[i].good);
	}
}

TEST_F(config, fixed_while_live)
{
	static const struct {
		const char *attr, *before, *other;
	} values[] = {
		{ "capacity", "77\n", "78" },
		{ "kind", "stream\n", "message" },
		{ "period_us", "3600000000\n", "0" },
		{ "mode", "0604\n", "0640" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(values); i++)
		configure(_metadata, &self->it, values[i].attr, values[i].before);
	plug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		EXPECT_ERRNO(EBUSY, set_attribute(&self->it, values[i].attr, values[i].other));
		EXPECT_ERRNO(EBUSY, set_attribute(&self->it, values[i].attr, values[i].before));
		expect_file(_metadata, self->it.dir, values[i].attr, values[i].before);
	}
	configure(_metadata, &self->it, "latency_us", "1");
	configure(_metadata, &self->it, "errno", "1");
	unplug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(values); i++)
		configure(_metadata, &self->it, values[i].attr, values[i].other);
}

TEST_F(config, live)
{
	int fd;

	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	expect_file(_metadata, self->it.dir, "live", "1\n");
	plug(_metadata, &self->it);
	expect_rest(_metadata, fd, variant->driver->greeting, strlen(variant->driver->greeting));

	unplug(_metadata, &self->it);
	expect_file(_metadata, self->it.dir, "live", "0\n");
	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	EXPECT_ERRNO(ENOENT, access(self->it.sysfs, F_OK));
	unplug(_metadata, &self->it);
}

/* All that kstrtobool() takes, and nothing else. */
TEST_F(config, live_is_boolean)
{
	static const char * const yes[] = { "1", "1\n", "y", "Yes\n", "t", "TRUE", "on", "ON\n" };
	static const char * const no[] = { "0", "0\n", "n", "No\n", "f", "FALSE", "off", "OF" };
	static const char * const bad[] = { "\n", " ", " 1", "-1", "2", "x", "o", "o\n" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(yes); i++) {
		configure(_metadata, &self->it, "live", yes[i]);
		expect_file(_metadata, self->it.dir, "live", "1\n");
		EXPECT_ERRNO(EINVAL, set_attribute(&self->it, "live", bad[i]));
		expect_file(_metadata, self->it.dir, "live", "1\n");
		configure(_metadata, &self->it, "live", no[i]);
		expect_file(_metadata, self->it.dir, "live", "0\n");
		EXPECT_ERRNO(EINVAL, set_attribute(&self->it, "live", bad[i]));
		expect_file(_metadata, self->it.dir, "live", "0\n");
	}
}

TEST_F(config, message_and_capacity)
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

TEST_F(config, message_longer_than_capacity)
{
	configure(_metadata, &self->it, "capacity", "2");
	configure(_metadata, &self->it, "message", "123");
	EXPECT_ERRNO(EMSGSIZE, set_attribute(&self->it, "live", "1"));
	expect_file(_metadata, self->it.dir, "live", "0\n");
	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	configure(_metadata, &self->it, "capacity", "3");
	plug(_metadata, &self->it);
	expect_current(_metadata, self->it.node, "123", 3);
}

TEST_F(config, greeting_is_cut_to_capacity)
{
	int fd;

	configure(_metadata, &self->it, "capacity", "5");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	EXPECT_EQ(5, get_info(_metadata, fd).length);
	expect_rest(_metadata, fd, variant->driver->greeting, 5);
	expect_file(_metadata, self->it.dir, "message", variant->driver->greeting);
}

/* A message is kept as a whole, or not at all, whatever the size of a page. */
TEST_F(config, message_is_not_cut)
{
	char path[2 * PATH_LEN], buf[WRITE_MAX + 8], now[WRITE_MAX + 8];
	ssize_t length;
	int live;

	snprintf(path, sizeof(path), "%s/message", self->it.dir);
	for (live = 0; live <= 1; live++) {
		for (length = WRITE_MAX - 1; length < WRITE_MAX + 8; length++) {
			memset(buf, 'x', length);
			buf[length] = '\0';
			configure(_metadata, &self->it, "message", "old");
			if (length <= WRITE_MAX) {
				EXPECT_EQ(0, write_file(path, buf));
				EXPECT_EQ(length, read_file(path, now, sizeof(now)));
				EXPECT_STREQ(buf, now);
				if (live)
					expect_current(_metadata, self->it.node, buf, length);
			} else {
				EXPECT_ERRNO(EMSGSIZE, write_file(path, buf));
				expect_file(_metadata, self->it.dir, "message", "old");
				if (live)
					expect_current(_metadata, self->it.node, "old", 3);
			}
		}
		plug(_metadata, &self->it);
	}
}

/* At once, and again when the instance is plugged in the next time. */
TEST_F(config, live_message_is_published)
{
	struct misc_sim_info info;
	int fd;

	configure(_metadata, &self->it, "message", "first");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	expect_rest(_metadata, fd, "first", 5);
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, fd));
	configure(_metadata, &self->it, "message", text);
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, fd));
	info = get_info(_metadata, fd);
	EXPECT_EQ(2, info.generation);
	EXPECT_EQ(1, info.seen);
	EXPECT_EQ(TEXT_LEN, info.length);
	ASSERT_EQ(0, lseek(fd, 0, SEEK_SET));
	expect_rest(_metadata, fd, text, TEXT_LEN);
	expect_file(_metadata, self->it.dir, "message", text);

	unplug(_metadata, &self->it);
	plug(_metadata, &self->it);
	fd = open_node(_metadata, self->it.node, O_RDONLY);
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	expect_rest(_metadata, fd, text, TEXT_LEN);
}

TEST_F(config, live_message_longer_than_capacity)
{
	int fd;

	configure(_metadata, &self->it, "capacity", "8");
	configure(_metadata, &self->it, "message", "12345678");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	EXPECT_ERRNO(EMSGSIZE, set_attribute(&self->it, "message", "123456789"));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	expect_rest(_metadata, fd, "12345678", 8);
	expect_file(_metadata, self->it.dir, "message", "12345678");
	configure(_metadata, &self->it, "message", "abcdefgh");
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
}

TEST_F(config, largest_capacity)
{
	size_t length = 1048576;
	char *buf = malloc(length + 1);
	int fd;

	ASSERT_TRUE(!!buf);
	fill_pattern(buf, length + 1);
	configure(_metadata, &self->it, "capacity", "1048576");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	publish(_metadata, fd, buf, length);
	expect_rest(_metadata, fd, buf, length);
	EXPECT_ERRNO(EMSGSIZE, write(fd, buf, length + 1));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	free(buf);
}

TEST_F(config, mmap_of_many_pages)
{
	size_t page = page_size(), length = 3 * page + 100, i, dirt = 0;
	char *buf = malloc(length), *map, value[16];
	int fd;

	ASSERT_TRUE(!!buf);
	fill_pattern(buf, length);
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

TEST_F(config, mode)
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

/* A letter, and then letters, digits, "_" and "-". */
TEST_F(config, names_refused)
{
	static const char * const names[] = {
		"0", "0" PREFIX, "-" PREFIX, "_" PREFIX, "." PREFIX, " " PREFIX, "\xc3\xa4",
		PREFIX ".", PREFIX ":b", PREFIX "@b", PREFIX "a b", PREFIX "a\nb", PREFIX "a!b",
		PREFIX "a%sb", PREFIX "a\\b", PREFIX "a\"b", PREFIX "a\x7f", PREFIX "\xc3\xa4",
	};
	struct instance inst;
	char name[80];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		inst = name_instance(variant->driver, names[i]);
		EXPECT_EQ(-1, mkdir(inst.dir, 0755)) {
			TH_LOG("'%s'", names[i]);
			rmdir(inst.dir);
		}
		EXPECT_EQ(EINVAL, errno);
	}
	snprintf(name, sizeof(name), PREFIX "%060d", 0);
	EXPECT_ERRNO(ENAMETOOLONG, mkdir(name_instance(variant->driver, name).dir, 0755));
	EXPECT_ERRNO(EEXIST, mkdir(self->it.dir, 0755));
}

TEST_F(config, names_accepted)
{
	static const char * const names[] = { "Az09_-z", "-", "_", "power", "uevent" };
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
		expect_current(_metadata, inst.node, variant->driver->greeting,
			       strlen(variant->driver->greeting));
		expect_file(_metadata, inst.sysfs, "generation", "1\n");
	}
}

TEST_F(config, instances_are_independent)
{
	struct instance other = make_instance(_metadata, variant->driver, PREFIX "b");
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	int other_fd = plug_and_open(_metadata, &other, O_RDWR);

	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(1, get_info(_metadata, other_fd).generation);
	expect_greeting(_metadata, other_fd, variant->driver);
	unplug(_metadata, &other);
	expect_rest(_metadata, fd, text, TEXT_LEN);
}

TEST_F_TIMEOUT(config, thousand_instances, 300)
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

TEST_F(config, log_is_silent)
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

/* sysfs, uevents, tracepoints */

FIXTURE(sysfs) {
	struct instance it;
};

DRIVER_VARIANTS(sysfs);

FIXTURE_SETUP(sysfs)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(sysfs)
{
	remove_instances(variant->driver);
}

TEST_F(sysfs, attributes)
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

TEST_F(sysfs, attributes_are_read_only)
{
	static const char * const attrs[] = { "generation", "length", "capacity" };
	char path[2 * PATH_LEN];
	struct stat st;
	unsigned int i;

	plug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		snprintf(path, sizeof(path), "%s/%s", self->it.sysfs, attrs[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(S_IFREG | 0444, st.st_mode);
		EXPECT_ERRNO(EACCES, write_file(path, "1"));
	}
}

TEST_F(sysfs, no_parent_device)
{
	char path[2 * PATH_LEN], *device;

	plug(_metadata, &self->it);
	snprintf(path, sizeof(path), "/sys/class/misc/%s", self->it.node + strlen("/dev/"));
	device = realpath(path, NULL);
	ASSERT_TRUE(!!device);
	EXPECT_STREQ(self->it.sysfs, device);
	free(device);
	snprintf(path, sizeof(path), "%s/device", self->it.sysfs);
	EXPECT_ERRNO(ENOENT, access(path, F_OK));
}

TEST_F(sysfs, open_attribute_after_unplug)
{
	char path[2 * PATH_LEN], buf[8];
	int fd;

	plug(_metadata, &self->it);
	snprintf(path, sizeof(path), "%s/length", self->it.sysfs);
	fd = open_node(_metadata, path, O_RDONLY);
	unplug(_metadata, &self->it);
	EXPECT_ERRNO(ENODEV, read(fd, buf, sizeof(buf)));
}

static int open_uevents(int flags)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int size = 1 << 20;
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | flags, NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ACTION@DEVPATH of the next event of the instance's node, or NULL. */
static const char *next_uevent(int fd, const struct instance *inst, char *buf, size_t size)
{
	const char *path = inst->sysfs + strlen("/sys"), *at;
	ssize_t length;

	while ((length = recv(fd, buf, size - 1, 0)) >= 0 || errno == ENOBUFS) {
		if (length < 0)
			continue;
		buf[length] = '\0';
		at = strchr(buf, '@');
		if (at && !strcmp(at + 1, path))
			return buf;
	}
	return NULL;
}

TEST_F(sysfs, uevents)
{
	char expected[PATH_LEN + 8], buf[8192];
	int fd = open_uevents(SOCK_NONBLOCK);
	const char *event;

	if (fd < 0)
		SKIP(return, "no uevents");

	plug(_metadata, &self->it);
	snprintf(expected, sizeof(expected), "add@%s", self->it.sysfs + strlen("/sys"));
	event = next_uevent(fd, &self->it, buf, sizeof(buf));
	ASSERT_TRUE(!!event);
	EXPECT_STREQ(expected, event);
	EXPECT_TRUE(!next_uevent(fd, &self->it, buf, sizeof(buf)));

	unplug(_metadata, &self->it);
	snprintf(expected, sizeof(expected), "remove@%s", self->it.sysfs + strlen("/sys"));
	event = next_uevent(fd, &self->it, buf, sizeof(buf));
	ASSERT_TRUE(!!event);
	EXPECT_STREQ(expected, event);
	EXPECT_TRUE(!next_uevent(fd, &self->it, buf, sizeof(buf)));
}

struct uevent_listener {
	pthread_t thread;
	int fd;
	const struct instance *inst;
	sem_t seen;
	int failures;
};

/* Do what a device manager does: look at the device as soon as it is announced. */
static void *listen_to_uevents(void *arg)
{
	struct sched_param urgent = { .sched_priority = 1 };
	struct uevent_listener *listener = arg;
	char path[2 * PATH_LEN], buf[8192], value[16];
	int round;

	sched_setscheduler(0, SCHED_FIFO, &urgent);
	snprintf(path, sizeof(path), "%s/generation", listener->inst->sysfs);
	for (round = 0; round < ROUNDS; ) {
		if (!next_uevent(listener->fd, listener->inst, buf, sizeof(buf)))
			break;
		if (strncmp(buf, "add@", strlen("add@")))
			continue;
		if (read_file(path, value, sizeof(value)) < 0 || strcmp(value, "1\n") ||
		    access(listener->inst->node, F_OK))
			listener->failures++;
		sem_post(&listener->seen);
		round++;
	}
	return NULL;
}

/* The listener shares the CPU, so that it preempts whoever sends the uevent. */
TEST_F(sysfs, complete_before_uevent)
{
	struct uevent_listener listener = { .fd = open_uevents(0), .inst = &self->it };
	struct timespec deadline;
	int round;

	if (listener.fd < 0)
		SKIP(return, "no uevents");

	pin_to_first_cpu(_metadata);
	ASSERT_EQ(0, sem_init(&listener.seen, 0, 0));
	ASSERT_EQ(0, pthread_create(&listener.thread, NULL, listen_to_uevents, &listener));
	for (round = 0; round < ROUNDS; round++) {
		plug(_metadata, &self->it);
		clock_gettime(CLOCK_MONOTONIC, &deadline);
		deadline.tv_sec += DEADLINE_MS / 1000;
		ASSERT_EQ(0, sem_clockwait(&listener.seen, CLOCK_MONOTONIC, &deadline));
		unplug(_metadata, &self->it);
	}
	join_thread(_metadata, listener.thread);
	EXPECT_EQ(0, listener.failures);
}

TEST_F(sysfs, tracepoint_unplug)
{
	plug(_metadata, &self->it);
	if (!start_tracing(_metadata, variant->driver, "unplug"))
		return;
	unplug(_metadata, &self->it);
	EXPECT_EQ(1, stop_tracing(_metadata, variant->driver, self->it.node, "unplug", ""));
}

/* Memory is charged to the control group of the writer */

FIXTURE(memcg) {
	struct instance it;
	char root[32];
	char group[64];
	bool mounted;
	bool enabled;
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

	if (!driver_is_there(_metadata, variant->driver))
		return;

	strcpy(self->root, "/sys/fs/cgroup");
	if (statfs(self->root, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC) {
		strcpy(self->root, "/tmp/misc-sim.XXXXXX");
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

/* The charge may be off by what each CPU has in stock. */
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
	EXPECT_LE(before + 7 * length, memory_charged(_metadata, self->group));
	for (i = 0; i < 8; i++)
		close(fds[i]);
	ASSERT_EQ(0, rmdir(self->it.dir));
	EXPECT_GE(before + length, memory_charged(_metadata, self->group));
	ASSERT_EQ(0, write_memcg(self->root, "cgroup.procs", "0"));
	free(buf);
}

/* The writer, not the machine, runs out of memory. */
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

/* Streams */

FIXTURE(stream) {
	struct instance it;
};

DRIVER_VARIANTS(stream);

FIXTURE_SETUP(stream)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(stream)
{
	remove_instances(variant->driver);
}

TEST_F(stream, read_returns_one_message)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char c;

	expect_greeting(_metadata, fd, variant->driver);
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
	publish(_metadata, fd, "one", 3);
	expect_message(_metadata, fd, "one", 3);
	publish(_metadata, fd, "two", 3);
	publish(_metadata, fd, "three", 5);
	expect_message(_metadata, fd, "three", 5);
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
}

TEST_F(stream, read_goes_on_in_its_message)
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

TEST_F(stream, read_bad_pointer)
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

/* One message, however much room there is. */
TEST_F(stream, readv_scatters_one_message)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char a[TEXT_POS], b[64];
	struct iovec iov[] = { { a, sizeof(a) }, { NULL, 0 }, { b, sizeof(b) } };

	memset(b, POISON, sizeof(b));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, readv(fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(0, memcmp(text, a, sizeof(a)));
	EXPECT_EQ(0, memcmp(text + TEXT_POS, b, TEXT_LEN - TEXT_POS));
	EXPECT_EQ(POISON, (unsigned char)b[TEXT_LEN - TEXT_POS]);
	EXPECT_EQ(2, get_info(_metadata, fd).seen);
	EXPECT_ERRNO(EAGAIN, readv(fd, iov, ARRAY_SIZE(iov)));
}

TEST_F(stream, writev_is_one_message)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	struct iovec iov[] = { { (char *)"one", 3 }, { (char *)"two", 3 } };

	EXPECT_EQ(6, writev(fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	expect_message(_metadata, fd, "onetwo", 6);
}

TEST_F(stream, read_waits_for_write)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_read_stream(_metadata, &self->it);
	start_blocked(_metadata, &blocked);
	publish(_metadata, blocked.fd, text, TEXT_LEN);
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
	EXPECT_EQ(2, get_info(_metadata, blocked.fd).seen);
}

TEST_F(stream, read_waits_for_live_message)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_read_stream(_metadata, &self->it);
	start_blocked(_metadata, &blocked);
	configure(_metadata, &self->it, "message", text);
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
	EXPECT_EQ(2, get_info(_metadata, blocked.fd).seen);
}

TEST_F(stream, write_wakes_every_file)
{
	struct blocked blocked[3] = {};
	int fd = plug_stream(_metadata, &self->it, O_WRONLY);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		blocked[i].call = blocked_read;
		blocked[i].fd = open_node(_metadata, self->it.node, O_RDONLY);
		expect_greeting(_metadata, blocked[i].fd, variant->driver);
		start_blocked(_metadata, &blocked[i]);
	}
	publish(_metadata, fd, text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(blocked); i++)
		expect_returned(_metadata, &blocked[i], text, TEXT_LEN);
}

/* Each message goes to one of them. */
TEST_F(stream, two_threads_share_a_file)
{
	struct blocked blocked[2] = {};
	int fd = plug_read_stream(_metadata, &self->it);
	long long deadline = now_ms() + DEADLINE_MS;
	unsigned int i, ended;

	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		blocked[i].call = blocked_read;
		blocked[i].fd = fd;
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

TEST_F(stream, write_nothing)
{
	int fd = plug_read_stream(_metadata, &self->it);
	char c;

	EXPECT_EQ(0, write(fd, &c, 0));
	EXPECT_EQ(STREAM_EMPTY, poll_now(_metadata, fd));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
}

/* Also while there is nothing. */
TEST_F(stream, read_nothing)
{
	int fd = plug_read_stream(_metadata, &self->it);
	char c;

	EXPECT_EQ(0, read(fd, &c, 0));
	publish(_metadata, fd, "new", 3);
	EXPECT_EQ(0, read(fd, &c, 0));
	EXPECT_EQ(1, get_info(_metadata, fd).seen);
	expect_message(_metadata, fd, "new", 3);
}

TEST_F(stream, nowait)
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

TEST_F(stream, no_position)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);
	int whence;
	char c;

	EXPECT_ERRNO(ESPIPE, pread(fd, &c, 1, 0));
	EXPECT_ERRNO(ESPIPE, pwrite(fd, &c, 1, 0));
	for (whence = SEEK_SET; whence <= SEEK_END; whence++)
		EXPECT_ERRNO(ESPIPE, lseek(fd, 0, whence));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	expect_greeting(_metadata, fd, variant->driver);
}

TEST_F(stream, no_mmap)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);

	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, fd, 0));
}

/* It would sleep with the pipe locked. */
TEST_F(stream, no_splice)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);
	int pipe[2], queued = -1;

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	EXPECT_ERRNO(EINVAL, splice(fd, NULL, pipe[1], NULL, 4096, 0));
	publish(_metadata, pipe[1], text, TEXT_LEN);
	EXPECT_ERRNO(EINVAL, splice(pipe[0], NULL, fd, NULL, 4096, 0));
	ASSERT_EQ(0, ioctl(pipe[0], FIONREAD, &queued));
	EXPECT_EQ(TEXT_LEN, queued);
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	expect_greeting(_metadata, fd, variant->driver);
}

/* Whatever its argument. */
TEST_F(stream, no_replace)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);
	int reader = open_node(_metadata, self->it.node, O_RDONLY);

	EXPECT_ERRNO(ENOTTY, replace(fd, 1, text, TEXT_LEN));
	EXPECT_ERRNO(ENOTTY, replace(fd, 7, NULL, 0));
	EXPECT_ERRNO(ENOTTY, ioctl(fd, MISC_SIM_IOC_REPLACE, bad_page(_metadata)));
	EXPECT_ERRNO(ENOTTY, replace(reader, 1, text, TEXT_LEN));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
}

TEST_F(stream, info)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);
	struct misc_sim_info info;

	publish(_metadata, fd, text, TEXT_LEN);
	info = get_info(_metadata, fd);
	EXPECT_EQ(2, info.generation);
	EXPECT_EQ(0, info.seen);
	EXPECT_EQ(TEXT_LEN, info.length);
	EXPECT_EQ(4096, info.capacity);
	expect_message(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(2, get_info(_metadata, fd).seen);
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "generation", 2));
	EXPECT_TRUE(fdinfo_has(_metadata, fd, "seen", 2));
}

TEST_F(stream, read_is_interrupted)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_read_stream(_metadata, &self->it);
	start_blocked(_metadata, &blocked);
	interrupt(_metadata, &blocked, 0);
	expect_failed(_metadata, &blocked, EINTR);
	publish(_metadata, blocked.fd, text, TEXT_LEN);
	expect_message(_metadata, blocked.fd, text, TEXT_LEN);
}

TEST_F(stream, read_is_restarted)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_read_stream(_metadata, &self->it);
	start_blocked(_metadata, &blocked);
	interrupt(_metadata, &blocked, SA_RESTART);
	await_blocked(_metadata, &blocked);
	publish(_metadata, blocked.fd, text, TEXT_LEN);
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
}

/* A child that sleeps in a read of the file; it exits with 1 if that returns. */
static pid_t fork_reader(struct __test_metadata *_metadata, int fd)
{
	long long deadline = now_ms() + DEADLINE_MS;
	char path[64], stat[256], *state, c;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		read(fd, &c, 1);
		_exit(1);
	}
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	do {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
		ASSERT_LT(0, read_file(path, stat, sizeof(stat)));
		state = strrchr(stat, ')');
		ASSERT_TRUE(!!state);
	} while (strncmp(state, ") S", 3));
	return pid;
}

static void expect_killed(struct __test_metadata *_metadata, pid_t pid)
{
	struct pollfd pollfd = { .fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	int status;

	ASSERT_LE(0, pollfd.fd);
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(1, poll(&pollfd, 1, DEADLINE_MS));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	close(pollfd.fd);
}

TEST_F(stream, sleeping_reader_is_killed)
{
	int fd = plug_read_stream(_metadata, &self->it);

	expect_killed(_metadata, fork_reader(_metadata, fd));
	publish(_metadata, fd, text, TEXT_LEN);
	expect_message(_metadata, fd, text, TEXT_LEN);
}

/* No PRI: there is nothing that read() could miss. */
TEST_F(stream, poll)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);

	EXPECT_EQ(STREAM_READY, poll_now(_metadata, fd));
	expect_greeting(_metadata, fd, variant->driver);
	EXPECT_EQ(STREAM_EMPTY, poll_now(_metadata, fd));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(STREAM_READY, poll_now(_metadata, fd));
}

static ssize_t blocked_epoll(struct blocked *blocked)
{
	struct epoll_event event;

	return epoll_wait(blocked->fd, &event, 1, 2 * DEADLINE_MS);
}

/* An exclusive wake-up is for one of those that wait for the same file only. */
TEST_F(stream, epoll_exclusive_wakes_every_file)
{
	int fd = plug_stream(_metadata, &self->it, O_WRONLY);
	struct blocked blocked[2] = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE };
		int reader = open_node(_metadata, self->it.node, O_RDONLY);

		expect_greeting(_metadata, reader, variant->driver);
		blocked[i].call = blocked_epoll;
		blocked[i].fd = epoll_create1(EPOLL_CLOEXEC);
		ASSERT_LE(0, blocked[i].fd);
		ASSERT_EQ(0, epoll_ctl(blocked[i].fd, EPOLL_CTL_ADD, reader, &event));
		start_blocked(_metadata, &blocked[i]);
	}
	publish(_metadata, fd, text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		finish_blocked(_metadata, &blocked[i]);
		EXPECT_EQ(1, blocked[i].ret);
	}
}

TEST_F(stream, io_uring_read_waits)
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

FIXTURE(tick) {
	struct instance it;
};

DRIVER_VARIANTS(tick);

FIXTURE_SETUP(tick)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(tick)
{
	remove_instances(variant->driver);
}

static unsigned long long parse_tick(struct __test_metadata *_metadata, const char *message)
{
	unsigned long long tick;
	char expected[64];

	ASSERT_EQ(0, strncmp("tick ", message, strlen("tick ")))
		TH_LOG("%s", message);
	tick = strtoull(message + strlen("tick "), NULL, 10);
	snprintf(expected, sizeof(expected), "tick %llu\n", tick);
	EXPECT_STREQ(expected, message);
	return tick;
}

static unsigned long long read_tick(struct __test_metadata *_metadata, int fd)
{
	unsigned long long tick;
	char buf[64] = "";

	ASSERT_LT(0, read(fd, buf, sizeof(buf) - 1));
	tick = parse_tick(_metadata, buf);
	EXPECT_EQ(tick + 1, get_info(_metadata, fd).seen);
	return tick;
}

static void await_tick(struct __test_metadata *_metadata, int fd, short event)
{
	struct pollfd pollfd = { .fd = fd, .events = event };
	long long start = now_ms();

	/* When its time is up, poll() looks once more: that does not count. */
	ASSERT_EQ(1, poll(&pollfd, 1, DEADLINE_MS));
	EXPECT_GT(DEADLINE_MS, now_ms() - start);
	EXPECT_EQ(event, pollfd.revents);
}

/* Never too early, and never the same twice. */
TEST_F(tick, period)
{
	unsigned long long tick, last = 0;
	long long start = now_us();
	unsigned int i;
	int fd;

	configure(_metadata, &self->it, "period_us", "100000");
	fd = plug_stream(_metadata, &self->it, O_RDONLY);
	expect_greeting(_metadata, fd, variant->driver);
	for (i = 0; i < 3; i++) {
		tick = read_tick(_metadata, fd);
		EXPECT_LT(last, tick);
		EXPECT_LE(tick * 100000, now_us() - start);
		last = tick;
	}
}

TEST_F(tick, shortest_period)
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

TEST_F(tick, cut_to_capacity)
{
	char buf[8];
	int fd;

	configure(_metadata, &self->it, "capacity", "3");
	configure(_metadata, &self->it, "message", "abc");
	configure(_metadata, &self->it, "period_us", "1000");
	fd = plug_stream(_metadata, &self->it, O_RDONLY);
	do {
		ASSERT_EQ(3, read(fd, buf, sizeof(buf)));
	} while (get_info(_metadata, fd).seen == 1);
	EXPECT_EQ(0, memcmp("tic", buf, 3));
}

TEST_F(tick, read_of_message_device)
{
	char buf[64] = "";
	int fd;

	configure(_metadata, &self->it, "period_us", "1000");
	fd = plug_and_open(_metadata, &self->it, O_RDONLY);
	ASSERT_LT(0, read(fd, buf, sizeof(buf)));
	await_tick(_metadata, fd, POLLPRI);
	memset(buf, 0, sizeof(buf));
	ASSERT_LT(0, pread(fd, buf, sizeof(buf) - 1, 0));
	EXPECT_LT(0, parse_tick(_metadata, buf));
}

TEST_F(tick, wakes_poll)
{
	int fd;

	configure(_metadata, &self->it, "period_us", "20000");
	fd = plug_read_stream(_metadata, &self->it);
	await_tick(_metadata, fd, POLLIN);
	EXPECT_LT(0, read_tick(_metadata, fd));
}

TEST_F(tick, wakes_epoll)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int fd;

	ASSERT_LE(0, epoll);
	configure(_metadata, &self->it, "period_us", "20000");
	fd = plug_read_stream(_metadata, &self->it);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	ASSERT_EQ(1, epoll_wait(epoll, &event, 1, DEADLINE_MS));
	EXPECT_EQ(EPOLLIN, event.events);
	EXPECT_LT(0, read_tick(_metadata, fd));

	/* Edge-triggered, so this is another tick. */
	ASSERT_EQ(1, epoll_wait(epoll, &event, 1, DEADLINE_MS));
	EXPECT_EQ(EPOLLIN, event.events);
	EXPECT_LT(0, read_tick(_metadata, fd));
}

TEST_F(tick, wakes_io_uring)
{
	struct io_uring_sqe poll_request = {
		.opcode = IORING_OP_POLL_ADD,
		.poll_events = POLLIN,
	};
	struct io_uring_sqe read_request;
	struct io_uring ring;
	char buf[64] = "";
	int fd, ret;

	if (io_uring_queue_init(4, &ring, 0))
		SKIP(return, "no io_uring");

	configure(_metadata, &self->it, "period_us", "20000");
	fd = plug_read_stream(_metadata, &self->it);
	poll_request.fd = fd;
	uring_submit(_metadata, &ring, &poll_request);
	EXPECT_EQ(POLLIN, uring_wait(_metadata, &ring));
	EXPECT_LT(0, read_tick(_metadata, fd));

	read_request = uring_read_request(fd, buf, sizeof(buf) - 1);
	uring_submit(_metadata, &ring, &read_request);
	ret = uring_wait(_metadata, &ring);
	ASSERT_LT(0, ret);
	EXPECT_EQ(strlen(buf), ret);
	EXPECT_LT(0, parse_tick(_metadata, buf));
	io_uring_queue_exit(&ring);
}

/* The timer may be on its way. */
TEST_F(tick, races_with_unplug)
{
	struct misc_sim_info info;
	unsigned int i;
	char buf[64];
	int fd;

	configure(_metadata, &self->it, "period_us", "1000");
	for (i = 0; i < ROUNDS / 2; i++) {
		fd = plug_and_open(_metadata, &self->it, O_RDWR);
		if (i % 2) {
			ASSERT_LT(0, read(fd, buf, sizeof(buf)));
			await_tick(_metadata, fd, POLLPRI);
		}
		unplug(_metadata, &self->it);
		EXPECT_ERRNO(ENODEV, ioctl(fd, MISC_SIM_IOC_INFO, &info));
		close(fd);
	}
}

/* Latency */

FIXTURE(latency) {
	struct instance it;
};

DRIVER_VARIANTS(latency);

FIXTURE_SETUP(latency)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(latency)
{
	remove_instances(variant->driver);
}

static void configure_latency(struct __test_metadata *_metadata, const struct instance *inst,
			      unsigned int us)
{
	char value[16];

	snprintf(value, sizeof(value), "%u", us);
	configure(_metadata, inst, "latency_us", value);
}

TEST_F(latency, delays_read_and_write)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	long long start;

	configure_latency(_metadata, &self->it, LATENCY_US);
	start = now_us();
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_LE(LATENCY_US, now_us() - start);
	start = now_us();
	expect_message(_metadata, fd, text, TEXT_LEN);
	EXPECT_LE(LATENCY_US, now_us() - start);
}

TEST_F(latency, delays_stream)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);
	long long start;

	configure_latency(_metadata, &self->it, LATENCY_US);
	start = now_us();
	expect_greeting(_metadata, fd, variant->driver);
	EXPECT_LE(LATENCY_US, now_us() - start);
	start = now_us();
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_LE(LATENCY_US, now_us() - start);
}

/* No less than what is configured, and not rounded up to the timer's ticks. */
TEST_F(latency, is_in_microseconds)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	long long deadline = now_ms() + DEADLINE_MS, start, us;
	struct timespec resolution;
	char c;

	ASSERT_EQ(0, clock_getres(CLOCK_MONOTONIC, &resolution));
	if (resolution.tv_nsec >= 1000)
		SKIP(return, "no high-resolution timers");

	configure_latency(_metadata, &self->it, 50);
	do {
		ASSERT_LT(now_ms(), deadline);
		start = now_us();
		ASSERT_EQ(1, pread(fd, &c, 1, 0));
		us = now_us() - start;
		EXPECT_LE(50, us);
	} while (us >= 1000);
}

/* Whatever took the latency here would not end in time. */
TEST_F(latency, other_calls_are_not_delayed)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char c, *map;

	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	EXPECT_EQ(0, read(fd, &c, 0));
	EXPECT_EQ(0, write(fd, &c, 0));
	EXPECT_ERRNO(EMSGSIZE, write(fd, bad_page(_metadata), 4097));
	EXPECT_EQ(0, replace(fd, 1, text, TEXT_LEN));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, fd));
	map = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_TRUE(map != MAP_FAILED);
	EXPECT_EQ(0, memcmp(text, map, TEXT_LEN));
	configure(_metadata, &self->it, "message", "live");
	expect_file(_metadata, self->it.sysfs, "length", "4\n");
	configure(_metadata, &self->it, "latency_us", "0");
	expect_message(_metadata, fd, "live", 4);
}

/* poll() could not tell when the delay is over. */
TEST_F(latency, nonblocking_calls_are_not_delayed)
{
	int fd, nonblock;
	char buf[64];
	struct iovec in = { buf, sizeof(buf) }, out = { (void *)text, TEXT_LEN };

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	nonblock = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK);
	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	EXPECT_EQ(TEXT_LEN, pwritev2(fd, &out, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(TEXT_LEN, preadv2(fd, &in, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	publish(_metadata, nonblock, "new", 3);
	expect_rest(_metadata, nonblock, "new", 3);
	EXPECT_EQ(3, get_info(_metadata, nonblock).seen);
}

TEST_F(latency, nonblocking_calls_are_not_delayed_on_stream)
{
	int fd, nonblock;
	char buf[64];
	struct iovec in = { buf, sizeof(buf) }, out = { (void *)text, TEXT_LEN };

	fd = plug_stream(_metadata, &self->it, O_RDWR);
	nonblock = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK);
	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	expect_greeting(_metadata, nonblock, variant->driver);
	EXPECT_ERRNO(EAGAIN, read(nonblock, buf, sizeof(buf)));
	EXPECT_EQ(TEXT_LEN, pwritev2(fd, &out, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(TEXT_LEN, preadv2(fd, &in, 1, -1, RWF_NOWAIT));
	EXPECT_ERRNO(EAGAIN, preadv2(fd, &in, 1, -1, RWF_NOWAIT));
	expect_message(_metadata, nonblock, text, TEXT_LEN);
}

TEST_F(latency, is_interrupted)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_read, blocked_write };
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	unsigned int i;

	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		struct blocked blocked = { .fd = fd, .call = calls[i] };

		start_blocked(_metadata, &blocked);
		interrupt(_metadata, &blocked, 0);
		expect_failed(_metadata, &blocked, EINTR);
	}
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
	EXPECT_EQ(0, get_info(_metadata, fd).seen);
}

TEST_F(latency, is_restarted)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_and_open(_metadata, &self->it, O_RDWR);
	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	start_blocked(_metadata, &blocked);
	configure(_metadata, &self->it, "latency_us", "0");
	interrupt(_metadata, &blocked, SA_RESTART);
	expect_returned(_metadata, &blocked, variant->driver->greeting,
			strlen(variant->driver->greeting));
}

TEST_F(latency, sleeper_is_killed)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);

	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	expect_killed(_metadata, fork_reader(_metadata, fd));
	configure(_metadata, &self->it, "latency_us", "0");
	expect_greeting(_metadata, fd, variant->driver);
}

/* It does not hold up other files, nor other calls on the same one. */
TEST_F(latency, delays_nobody_else)
{
	struct blocked blocked = { .call = blocked_read };
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);

	blocked.fd = fd;
	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	start_blocked(_metadata, &blocked);
	configure(_metadata, &self->it, "latency_us", "0");
	publish(_metadata, fd, text, TEXT_LEN);
	expect_rest(_metadata, fd, text, TEXT_LEN);
	expect_current(_metadata, self->it.node, text, TEXT_LEN);
	unplug(_metadata, &self->it);
	expect_failed(_metadata, &blocked, ENODEV);
}

/* Again and again: the second one once waited for a wake-up that never came. */
TEST_F(latency, io_uring_completes)
{
	struct io_uring_sqe request;
	struct io_uring ring;
	char buf[64];
	int fd, i;

	if (io_uring_queue_init(4, &ring, 0))
		SKIP(return, "no io_uring");

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	for (i = 0; i < 3; i++) {
		memset(buf, POISON, sizeof(buf));
		request = uring_read_request(fd, buf, sizeof(buf));
		request.off = 0;
		uring_submit(_metadata, &ring, &request);
		EXPECT_EQ(strlen(variant->driver->greeting), uring_wait(_metadata, &ring));
		EXPECT_EQ(0, memcmp(variant->driver->greeting, buf,
				    strlen(variant->driver->greeting)));

		request = uring_read_request(fd, (void *)text, TEXT_LEN);
		request.opcode = IORING_OP_WRITE;
		uring_submit(_metadata, &ring, &request);
		EXPECT_EQ(TEXT_LEN, uring_wait(_metadata, &ring));
		configure(_metadata, &self->it, "message", variant->driver->greeting);
	}
	io_uring_queue_exit(&ring);
}

/* Faults */

FIXTURE(fault) {
	struct instance it;
};

DRIVER_VARIANTS(fault);

FIXTURE_SETUP(fault)
{
	if (!driver_is_there(_metadata, variant->driver))
		return;
	self->it = make_instance(_metadata, variant->driver, PREFIX "a");
	if (!has_faults(&self->it)) {
		rmdir(self->it.dir);
		SKIP(return, "no fault injection in the driver");
	}
}

FIXTURE_TEARDOWN_PARENT(fault)
{
	remove_instances(variant->driver);
}

TEST_F(fault, fail_read_every_third)
{
	unsigned int i;
	char c;
	int fd;

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

/* However the read is made. */
TEST_F(fault, fail_read_through_every_call)
{
	char buf[64];
	struct iovec iov = { buf, sizeof(buf) };
	struct io_uring_sqe request;
	struct io_uring ring;
	int fd, pipe[2];

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_read", 1, 5);
	EXPECT_ERRNO(EIO, read(fd, buf, sizeof(buf)));
	EXPECT_ERRNO(EIO, pread(fd, buf, sizeof(buf), 0));
	EXPECT_ERRNO(EIO, readv(fd, &iov, 1));
	EXPECT_ERRNO(EIO, preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	EXPECT_ERRNO(EIO, splice(fd, NULL, pipe[1], NULL, 4096, 0));
	EXPECT_ERRNO(EAGAIN, read(pipe[0], buf, sizeof(buf)));
	EXPECT_EQ(0, get_info(_metadata, fd).seen);

	if (!io_uring_queue_init(4, &ring, 0)) {
		inject(_metadata, &self->it, "fail_read", 1, 1);
		request = uring_read_request(fd, buf, sizeof(buf));
		uring_submit(_metadata, &ring, &request);
		EXPECT_EQ(-EIO, uring_wait(_metadata, &ring));
		io_uring_queue_exit(&ring);
	}
	expect_greeting(_metadata, fd, variant->driver);
}

TEST_F(fault, fail_write_through_every_call)
{
	struct iovec iov = { (void *)text, TEXT_LEN };
	struct io_uring_sqe request;
	struct io_uring ring;
	int fd, pipe[2];

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_write", 1, 5);
	EXPECT_ERRNO(EIO, write(fd, text, TEXT_LEN));
	EXPECT_ERRNO(EIO, pwrite(fd, text, TEXT_LEN, 0));
	EXPECT_ERRNO(EIO, writev(fd, &iov, 1));
	EXPECT_ERRNO(EIO, pwritev2(fd, &iov, 1, -1, RWF_NOWAIT));
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	publish(_metadata, pipe[1], text, TEXT_LEN);
	EXPECT_ERRNO(EIO, splice(pipe[0], NULL, fd, NULL, 4096, 0));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);

	/* The pipe has kept what could not be written. */
	EXPECT_EQ(TEXT_LEN, splice(pipe[0], NULL, fd, NULL, 4096, 0));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);

	if (!io_uring_queue_init(4, &ring, 0)) {
		inject(_metadata, &self->it, "fail_write", 1, 1);
		request = uring_read_request(fd, (void *)"uring", 5);
		request.opcode = IORING_OP_WRITE;
		uring_submit(_metadata, &ring, &request);
		EXPECT_EQ(-EIO, uring_wait(_metadata, &ring));
		io_uring_queue_exit(&ring);
	}
	expect_current(_metadata, self->it.node, text, TEXT_LEN);
}

/* Only if told to, and no more than told to. */
TEST_F(fault, log_on_request)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	unsigned int i;
	char c;
	int fd;

	if (kmsg < 0)
		SKIP(return, "no /dev/kmsg");

	inject(_metadata, &self->it, "fail_read", 1, -1);
	configure(_metadata, &self->it, "fail_read/verbose", "1");
	configure(_metadata, &self->it, "fail_read/verbose_ratelimit_interval_ms", "60000");
	configure(_metadata, &self->it, "fail_read/verbose_ratelimit_burst", "3");
	fd = plug_and_open(_metadata, &self->it, O_RDONLY);
	ASSERT_EQ(0, lseek(kmsg, 0, SEEK_END));
	for (i = 0; i < 10; i++)
		EXPECT_ERRNO(EIO, read(fd, &c, 1));
	EXPECT_EQ(3, count_logged(kmsg, "name fail_read,", "name fail_read,"));
}

TEST_F(fault, fail_write)
{
	struct misc_sim_info before;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	before = start_reading(_metadata, fd);
	inject(_metadata, &self->it, "fail_write", 1, 2);
	EXPECT_ERRNO(EIO, write(fd, "new", 3));
	EXPECT_ERRNO(EIO, write(fd, "new", 3));
	expect_unchanged(_metadata, fd, self->it.node, &before);
	publish(_metadata, fd, "new", 3);
	expect_rest(_metadata, fd, "new", 3);
}

TEST_F(fault, fail_open)
{
	int fd;

	inject(_metadata, &self->it, "fail_open", 2, 1);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	EXPECT_ERRNO(EIO, open(self->it.node, O_RDWR));
	expect_rest(_metadata, fd, variant->driver->greeting, strlen(variant->driver->greeting));
	expect_current(_metadata, self->it.node, variant->driver->greeting,
		       strlen(variant->driver->greeting));
}

TEST_F(fault, fail_ioctl)
{
	struct misc_sim_info before, info;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	before = start_reading(_metadata, fd);
	inject(_metadata, &self->it, "fail_ioctl", 1, 4);
	memset(&info, POISON, sizeof(info));
	EXPECT_ERRNO(EIO, ioctl(fd, MISC_SIM_IOC_INFO, &info));
	EXPECT_EQ(POISON, *(unsigned char *)&info);
	EXPECT_ERRNO(EIO, ioctl(fd, MISC_SIM_IOC_INFO, bad_page(_metadata)));
	EXPECT_ERRNO(EIO, replace(fd, before.generation, "new", 3));
	EXPECT_ERRNO(EIO, replace(fd, before.generation + 1, "new", 3));
	expect_unchanged(_metadata, fd, self->it.node, &before);
	EXPECT_EQ(0, replace(fd, before.generation, "new", 3));
}

TEST_F(fault, fail_ioctl_on_stream)
{
	struct misc_sim_info info;
	int fd;

	fd = plug_stream(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_ioctl", 1, 1);
	EXPECT_ERRNO(ENOTTY, replace(fd, 1, "new", 3));
	EXPECT_ERRNO(EIO, ioctl(fd, MISC_SIM_IOC_INFO, &info));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
}

/* isatty(), which stdio calls, must not use a fault up. */
TEST_F(fault, fail_ioctl_is_not_counted_for_unknown_commands)
{
	struct misc_sim_info info;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_ioctl", 1, 1);
	EXPECT_EQ(0, isatty(fd));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_ERRNO(ENOTTY, ioctl(fd, 0, NULL));
	EXPECT_ERRNO(EIO, ioctl(fd, MISC_SIM_IOC_INFO, &info));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
}

/* Each fault is of one kind of call. */
TEST_F(fault, faults_are_independent)
{
	char c;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_write", 1, -1);
	EXPECT_EQ(0, replace(fd, 1, text, TEXT_LEN));
	expect_current(_metadata, self->it.node, text, TEXT_LEN);
	EXPECT_ERRNO(EIO, write(fd, "new", 3));
	configure(_metadata, &self->it, "fail_write/probability", "0");

	inject(_metadata, &self->it, "fail_read", 1, -1);
	publish(_metadata, fd, "new", 3);
	EXPECT_EQ(3, get_info(_metadata, fd).generation);
	EXPECT_ERRNO(EIO, read(fd, &c, 1));
	configure(_metadata, &self->it, "fail_read/probability", "0");

	inject(_metadata, &self->it, "fail_ioctl", 1, -1);
	publish(_metadata, fd, text, TEXT_LEN);
	expect_current(_metadata, self->it.node, text, TEXT_LEN);
}

TEST_F(fault, live_message_has_none)
{
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_write", 1, -1);
	inject(_metadata, &self->it, "short_io", 1, 1);
	configure(_metadata, &self->it, "message", text);
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	EXPECT_EQ(TEXT_LEN, get_info(_metadata, fd).length);
	configure(_metadata, &self->it, "short_io/probability", "0");
	expect_rest(_metadata, fd, text, TEXT_LEN);
}

TEST_F(fault, errno_changes_while_live)
{
	static const int errors[] = { EPERM, ENOENT, ENOSPC, ECANCELED, 511 };
	struct misc_sim_info info;
	char value[16], c;
	unsigned int i;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_open", 1, -1);
	inject(_metadata, &self->it, "fail_read", 1, -1);
	inject(_metadata, &self->it, "fail_write", 1, -1);
	inject(_metadata, &self->it, "fail_ioctl", 1, -1);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		snprintf(value, sizeof(value), "%d", errors[i]);
		configure(_metadata, &self->it, "errno", value);
		EXPECT_ERRNO(errors[i], open(self->it.node, O_RDONLY));
		EXPECT_ERRNO(errors[i], read(fd, &c, 1));
		EXPECT_ERRNO(errors[i], write(fd, &c, 1));
		EXPECT_ERRNO(errors[i], ioctl(fd, MISC_SIM_IOC_INFO, &info));
	}
}

TEST_F(fault, fail_read_is_not_counted_without_message)
{
	unsigned int i;
	char c;
	int fd;

	inject(_metadata, &self->it, "fail_read", 2, -1);
	fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	expect_greeting(_metadata, fd, variant->driver);
	for (i = 0; i < 3; i++)
		EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_ERRNO(EIO, read(fd, &c, 1));
	EXPECT_EQ(STREAM_READY, poll_now(_metadata, fd));
	expect_message(_metadata, fd, text, TEXT_LEN);
}

TEST_F(fault, fail_write_is_not_counted_when_it_fails_anyway)
{
	unsigned int i;
	int fd;

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

TEST_F(fault, stay_when_unplugged)
{
	char c;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_read", 1, -1);
	unplug(_metadata, &self->it);
	EXPECT_ERRNO(ENODEV, read(fd, &c, 1));
	close(fd);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	EXPECT_ERRNO(EIO, read(fd, &c, 1));
}

TEST_F(fault, short_read)
{
	char buf[TEXT_LEN];
	int fd;

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

TEST_F(fault, short_read_through_every_call)
{
	char a[3], b[64];
	struct iovec iov[] = { { a, sizeof(a) }, { b, sizeof(b) } };
	struct io_uring_sqe request;
	struct io_uring ring;
	int fd, pipe[2];

	configure(_metadata, &self->it, "message", text);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "short_io", 1, -1);
	memset(b, POISON, sizeof(b));
	EXPECT_EQ(8, readv(fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(0, memcmp(text, a, sizeof(a)));
	EXPECT_EQ(0, memcmp(text + sizeof(a), b, 8 - sizeof(a)));
	EXPECT_EQ(POISON, (unsigned char)b[8 - sizeof(a)]);

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	EXPECT_EQ(4, splice(fd, NULL, pipe[1], NULL, 4096, 0));
	expect_message(_metadata, pipe[0], text + 8, 4);

	if (!io_uring_queue_init(4, &ring, 0)) {
		request = uring_read_request(fd, b, sizeof(b));
		uring_submit(_metadata, &ring, &request);
		EXPECT_EQ(2, uring_wait(_metadata, &ring));
		EXPECT_EQ(0, memcmp(text + 12, b, 2));
		io_uring_queue_exit(&ring);
	}
}

TEST_F(fault, short_read_on_stream)
{
	int fd;

	configure(_metadata, &self->it, "message", text);
	fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	inject(_metadata, &self->it, "short_io", 1, 1);
	expect_message(_metadata, fd, text, 8);
	EXPECT_EQ(STREAM_READY, poll_now(_metadata, fd));
	expect_message(_metadata, fd, text + 8, 8);
}

TEST_F(fault, short_write)
{
	int fd;

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

TEST_F(fault, short_writev)
{
	struct iovec iov[] = { { (void *)text, 3 }, { (void *)text + 3, 4 } };
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "short_io", 1, 1);
	EXPECT_EQ(4, writev(fd, iov, ARRAY_SIZE(iov)));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	expect_rest(_metadata, fd, text, 4);
}

static void cause_fault(struct __test_metadata *_metadata, const struct instance *inst, int fd,
			const char *fault)
{
	struct misc_sim_info info;
	char buf[8];

	if (!strcmp(fault, "fail_open"))
		EXPECT_ERRNO(EIO, open(inst->node, O_RDWR));
	else if (!strcmp(fault, "fail_read"))
		EXPECT_ERRNO(EIO, read(fd, buf, sizeof(buf)));
	else if (!strcmp(fault, "fail_write"))
		EXPECT_ERRNO(EIO, write(fd, text, TEXT_LEN));
	else if (!strcmp(fault, "fail_ioctl"))
		EXPECT_ERRNO(EIO, ioctl(fd, MISC_SIM_IOC_INFO, &info));
	else
		EXPECT_EQ(8, write(fd, text, 16));
}

/* Each that happens, and none that does not. */
TEST_F(fault, tracepoint)
{
	static const char * const faults[] = {
		"fail_open", "fail_read", "fail_write", "fail_ioctl", "short_io",
	};
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char fields[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!start_tracing(_metadata, variant->driver, "fault"))
			return;
		inject(_metadata, &self->it, faults[i], 1, 1);
		cause_fault(_metadata, &self->it, fd, faults[i]);
		close(open_node(_metadata, self->it.node, O_RDWR));
		publish(_metadata, fd, text, TEXT_LEN);
		expect_rest(_metadata, fd, text, TEXT_LEN);
		snprintf(fields, sizeof(fields), " fault=%s", faults[i]);
		EXPECT_EQ(1, stop_tracing(_metadata, variant->driver, self->it.node, "fault",
					  fields))
			TH_LOG("%s", faults[i]);
	}
}

/* Unplugging */

FIXTURE(unplug) {
	struct instance it;
};

DRIVER_VARIANTS(unplug);

FIXTURE_SETUP(unplug)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(unplug)
{
	remove_instances(variant->driver);
}

/* Each call is wrong in some other way too, but ENODEV comes first. */
static void expect_gone(struct __test_metadata *_metadata, int fd)
{
	char *bad = bad_page(_metadata);
	struct iovec iov = { bad, 1 };

	EXPECT_ERRNO(ENODEV, read(fd, bad, 1));
	EXPECT_ERRNO(ENODEV, read(fd, bad, 0));
	EXPECT_ERRNO(ENODEV, readv(fd, &iov, 1));
	EXPECT_ERRNO(ENODEV, preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_ERRNO(ENODEV, write(fd, bad, 1));
	EXPECT_ERRNO(ENODEV, write(fd, bad, 0));
	EXPECT_ERRNO(ENODEV, write(fd, bad, 1 << 26));
	EXPECT_ERRNO(ENODEV, writev(fd, &iov, 1));
	EXPECT_ERRNO(ENODEV, pwritev2(fd, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_ERRNO(ENODEV, ioctl(fd, MISC_SIM_IOC_INFO, bad));
	EXPECT_ERRNO(ENODEV, ioctl(fd, MISC_SIM_IOC_REPLACE, bad));
	EXPECT_ERRNO(ENODEV, ioctl(fd, 0, bad));
	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, fd,
					1 << 26));
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, fd));
}

TEST_F(unplug, fails_every_call)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	int pipe[2], queued;
	char c;

	start_reading(_metadata, fd);
	unplug(_metadata, &self->it);
	expect_gone(_metadata, fd);
	EXPECT_ERRNO(ENODEV, pread(fd, &c, 1, 0));
	EXPECT_ERRNO(ENODEV, pwrite(fd, &c, 1, 0));

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	EXPECT_ERRNO(ENODEV, splice(fd, NULL, pipe[1], NULL, 4096, 0));
	publish(_metadata, pipe[1], text, TEXT_LEN);
	EXPECT_ERRNO(ENODEV, splice(pipe[0], NULL, fd, NULL, 4096, 0));
	ASSERT_EQ(0, ioctl(pipe[0], FIONREAD, &queued));
	EXPECT_EQ(TEXT_LEN, queued);

	EXPECT_TRUE(fdinfo_has(_metadata, fd, "generation", 2));
	EXPECT_EQ(0, close(fd));
}

TEST_F(unplug, fails_every_call_on_stream)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR);

	unplug(_metadata, &self->it);
	expect_gone(_metadata, fd);
}

TEST_F(unplug, fails_nonblocking_calls)
{
	int fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	char c;

	expect_greeting(_metadata, fd, variant->driver);
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
	unplug(_metadata, &self->it);
	expect_gone(_metadata, fd);
}

TEST_F(unplug, by_rmdir)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);

	ASSERT_EQ(0, rmdir(self->it.dir));
	expect_gone(_metadata, fd);
	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	EXPECT_ERRNO(ENOENT, access(self->it.sysfs, F_OK));
}

TEST_F(unplug, fails_open)
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

TEST_F(unplug, poll)
{
	int unseen = plug_and_open(_metadata, &self->it, O_RDWR);
	int seen = open_node(_metadata, self->it.node, O_RDWR);

	expect_greeting(_metadata, seen, variant->driver);
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, unseen));
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, seen));
	unplug(_metadata, &self->it);
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, unseen));
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, seen));
}

TEST_F(unplug, poll_on_stream)
{
	int unseen = plug_stream(_metadata, &self->it, O_RDWR);
	int seen = open_node(_metadata, self->it.node, O_RDWR);

	expect_greeting(_metadata, seen, variant->driver);
	unplug(_metadata, &self->it);
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, unseen));
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, seen));
}

/* Pages that nobody has touched too. */
TEST_F(unplug, keeps_mappings)
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

TEST_F(unplug, frees_the_name)
{
	int old = plug_and_open(_metadata, &self->it, O_RDWR), new;

	publish(_metadata, old, text, TEXT_LEN);
	unplug(_metadata, &self->it);
	new = plug_and_open(_metadata, &self->it, O_RDWR);
	EXPECT_EQ(1, get_info(_metadata, new).generation);
	expect_greeting(_metadata, new, variant->driver);
	expect_gone(_metadata, old);
	publish(_metadata, new, "new", 3);
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, old));
	expect_current(_metadata, self->it.node, "new", 3);
}

TEST_F(unplug, wakes_reader_among_pollers)
{
	struct blocked reader = { .call = blocked_read };
	struct blocked poller = { .call = blocked_poll, .length = POLLERS };
	struct rlimit limit = { 2 * POLLERS, 2 * POLLERS };
	int i, told = 0;

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	poller.fds = calloc(POLLERS, sizeof(*poller.fds));
	ASSERT_TRUE(!!poller.fds);
	reader.fd = plug_read_stream(_metadata, &self->it);
	for (i = 0; i < POLLERS; i++) {
		poller.fds[i].fd = open_node(_metadata, self->it.node, O_RDONLY);
		poller.fds[i].events = POLLIN;
		expect_greeting(_metadata, poller.fds[i].fd, variant->driver);
	}
	start_blocked(_metadata, &reader);
	start_blocked(_metadata, &poller);

	unplug(_metadata, &self->it);
	expect_failed(_metadata, &reader, ENODEV);
	finish_blocked(_metadata, &poller);
	EXPECT_EQ(POLLERS, poller.ret);
	for (i = 0; i < POLLERS; i++)
		told += poller.fds[i].revents == (POLLERR | POLLHUP);
	EXPECT_EQ(POLLERS, told);
	free(poller.fds);
}

TEST_F(unplug, wakes_epoll)
{
	int fd = plug_read_stream(_metadata, &self->it);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN | EPOLLPRI | EPOLLET };

	ASSERT_LE(0, epoll);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	unplug(_metadata, &self->it);
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 0));
	EXPECT_EQ(EPOLLERR | EPOLLHUP | EPOLLPRI, event.events);
}

TEST_F(unplug, wakes_io_uring)
{
	int fd = plug_read_stream(_metadata, &self->it);
	struct io_uring_sqe poll_request = {
		.opcode = IORING_OP_POLL_ADD,
		.fd = fd,
		.poll_events = POLLIN,
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
	EXPECT_EQ(POLLERR | POLLHUP, uring_wait(_metadata, &ring));

	plug(_metadata, &self->it);
	fd = open_node(_metadata, self->it.node, O_RDONLY);
	expect_greeting(_metadata, fd, variant->driver);
	read_request = uring_read_request(fd, buf, sizeof(buf));
	uring_submit(_metadata, &ring, &read_request);
	EXPECT_FALSE(uring_is_done(&ring));
	unplug(_metadata, &self->it);
	EXPECT_EQ(-ENODEV, uring_wait(_metadata, &ring));
	io_uring_queue_exit(&ring);
}

TEST_F(unplug, ends_latency)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_read, blocked_write };
	struct blocked blocked[2] = {};
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	unsigned int i;

	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	for (i = 0; i < ARRAY_SIZE(blocked); i++) {
		blocked[i].fd = fd;
		blocked[i].call = calls[i];
		start_blocked(_metadata, &blocked[i]);
	}
	unplug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(blocked); i++)
		expect_failed(_metadata, &blocked[i], ENODEV);
}

TEST_F(unplug, ends_latency_on_stream)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_stream(_metadata, &self->it, O_RDWR);
	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	start_blocked(_metadata, &blocked);
	unplug(_metadata, &self->it);
	expect_failed(_metadata, &blocked, ENODEV);
}

/*
 * The sleeper shares its CPU with this thread, which it cannot preempt, so it
 * finds both the unplug and the signal when it wakes.
 */
static void unplug_and_interrupt(struct __test_metadata *_metadata, const struct instance *inst,
				 struct blocked *blocked)
{
	struct sched_param urgent = { .sched_priority = 1 }, normal = {};

	pin_to_first_cpu(_metadata);
	handle_signal(_metadata, 0);
	start_blocked(_metadata, blocked);
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_FIFO, &urgent));
	unplug(_metadata, inst);
	ASSERT_EQ(0, pthread_kill(blocked->thread, SIGUSR1));
	ASSERT_EQ(0, sched_setscheduler(0, SCHED_OTHER, &normal));
	expect_failed(_metadata, blocked, ENODEV);
	EXPECT_EQ(1, signals);
}

TEST_F(unplug, wins_over_signal)
{
	struct blocked blocked = { .call = blocked_read };

	blocked.fd = plug_read_stream(_metadata, &self->it);
	unplug_and_interrupt(_metadata, &self->it, &blocked);
}

TEST_F(unplug, wins_over_signal_during_latency)
{
	struct blocked blocked = { .call = blocked_write };

	blocked.fd = plug_and_open(_metadata, &self->it, O_RDWR);
	configure(_metadata, &self->it, "latency_us", FOR_EVER_US);
	unplug_and_interrupt(_metadata, &self->it, &blocked);
}

/* User space may take for ever to bring in a page, and nothing waits for it. */
TEST_F(unplug, during_read)
{
	struct blocked blocked = { .call = blocked_read, .length = TEXT_LEN };
	struct hole hole;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	configure(_metadata, &self->it, "message", text);
	blocked.fd = plug_and_open(_metadata, &self->it, O_RDWR);
	blocked.buf = hole.page - 4;
	start_call(_metadata, &blocked);
	await_fault(_metadata, &hole);
	ASSERT_EQ(0, rmdir(self->it.dir));
	expect_gone(_metadata, blocked.fd);
	fill_hole(_metadata, &hole, "", 0);
	expect_returned(_metadata, &blocked, text, TEXT_LEN);
}

TEST_F(unplug, during_write)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_write, blocked_replace };
	struct hole hole;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		struct blocked blocked = { .call = calls[i], .length = 10, .generation = 1 };

		if (!make_hole(_metadata, &hole))
			SKIP(return, "no userfaultfd");

		blocked.fd = plug_and_open(_metadata, &self->it, O_RDWR);
		blocked.buf = hole.page - 4;
		start_call(_metadata, &blocked);
		await_fault(_metadata, &hole);
		unplug(_metadata, &self->it);
		fill_hole(_metadata, &hole, text, TEXT_LEN);
		expect_failed(_metadata, &blocked, ENODEV);
		EXPECT_TRUE(fdinfo_has(_metadata, blocked.fd, "generation", 1));
	}
}

/* The module */

FIXTURE(module) {
	struct instance it;
	int file;		/* to load it again */
};

DRIVER_VARIANTS(module);

FIXTURE_SETUP(module)
{
	if (!driver_is_there(_metadata, variant->driver))
		return;
	self->file = open_module(variant->driver->module);
	if (self->file < 0 || module_references(variant->driver) < 0)
		SKIP(return, "%s is built in", variant->driver->name);
	if (module_references(variant->driver))
		SKIP(return, "somebody else uses %s", variant->driver->name);
	self->it = make_instance(_metadata, variant->driver, PREFIX "a");
}

FIXTURE_TEARDOWN_PARENT(module)
{
	remove_instances(variant->driver);
}

static void expect_in_use(struct __test_metadata *_metadata, const struct driver *driver)
{
	EXPECT_LT(0, module_references(driver));
	EXPECT_ERRNO(EWOULDBLOCK, unload(driver->module));
}

static void expect_unused(struct __test_metadata *_metadata, const struct driver *driver,
			  int file)
{
	EXPECT_EQ(0, module_references(driver));
	EXPECT_EQ(0, unload(driver->module));
	EXPECT_EQ(0, load_from(file, driver->module));
}

TEST_F(module, stays_with_a_directory)
{
	expect_in_use(_metadata, variant->driver);
	EXPECT_EQ(0, rmdir(self->it.dir));
	expect_unused(_metadata, variant->driver, self->file);
}

TEST_F(module, stays_with_an_unplugged_file)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);

	ASSERT_EQ(0, rmdir(self->it.dir));
	expect_in_use(_metadata, variant->driver);
	close(fd);
	expect_unused(_metadata, variant->driver, self->file);
}

TEST_F(module, stays_with_an_unplugged_mapping)
{
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char *map = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);

	ASSERT_TRUE(map != MAP_FAILED);
	ASSERT_EQ(0, rmdir(self->it.dir));
	close(fd);
	expect_in_use(_metadata, variant->driver);
	EXPECT_EQ(0, memcmp(variant->driver->greeting, map, strlen(variant->driver->greeting)));
	ASSERT_EQ(0, munmap(map, page_size()));
	expect_unused(_metadata, variant->driver, self->file);
}

/* Nothing holds the module once the sleeper is dead. */
TEST_F(module, goes_after_killed_reader)
{
	int fd = plug_read_stream(_metadata, &self->it);
	pid_t reader = fork_reader(_metadata, fd);

	close(fd);
	ASSERT_EQ(0, set_attribute(&self->it, "latency_us", "0"));
	expect_killed(_metadata, reader);
	ASSERT_EQ(0, rmdir(self->it.dir));
	expect_unused(_metadata, variant->driver, self->file);
}

/* Races */

FIXTURE(race) {
	struct instance it;
};

DRIVER_VARIANTS(race);

FIXTURE_SETUP(race)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(race)
{
	remove_instances(variant->driver);
}

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
	join_thread(_metadata, racer->thread);
	EXPECT_EQ(0, racer->failures);
}

static void *keep_setting(void *arg)
{
	struct racer *racer = arg;
	unsigned int i;

	for (i = 0; !stopped(racer); i++) {
		if (!set_attribute(racer->inst, racer->attr, racer->values[i % 2]))
			__atomic_fetch_add(&racer->rounds, 1, __ATOMIC_RELAXED);
		else if (errno != EBUSY)
			racer->failures++;
	}
	return NULL;
}

/* While it is live, the attributes are those that the device was made from. */
TEST_F(race, attributes_with_live)
{
	struct racer racers[] = {
		{ .attr = "capacity", .values = { "100", "200" } },
		{ .attr = "kind", .values = { "message", "stream" } },
		{ .attr = "mode", .values = { "0600", "0640" } },
	};
	long long deadline = now_ms() + DEADLINE_MS;
	struct misc_sim_info info;
	unsigned int i, j;
	struct stat st;
	char value[16];
	bool stream;
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
		stream = lseek(fd, 0, SEEK_CUR) < 0;
		close(fd);
		ASSERT_EQ(0, stat(self->it.node, &st));

		snprintf(value, sizeof(value), "%u\n", info.capacity);
		expect_file(_metadata, self->it.dir, "capacity", value);
		expect_file(_metadata, self->it.dir, "kind", stream ? "stream\n" : "message\n");
		snprintf(value, sizeof(value), "%#o\n", st.st_mode & 0777);
		expect_file(_metadata, self->it.dir, "mode", value);
		unplug(_metadata, &self->it);
	}
	for (j = 0; j < ARRAY_SIZE(racers); j++)
		stop_racer(_metadata, &racers[j]);
}

/* Written before or after: the device and the attribute have the same message. */
TEST_F(race, message_with_live)
{
	struct racer racer = {
		.inst = &self->it, .attr = "message", .values = { "one", "three" },
	};
	long long deadline = now_ms() + DEADLINE_MS;
	char path[2 * PATH_LEN], message[16];
	unsigned int i;

	snprintf(path, sizeof(path), "%s/message", self->it.dir);
	for (i = 0; i < ROUNDS && now_ms() < deadline; i++) {
		racer.stop = false;
		start_racer(_metadata, &racer, keep_setting);
		await_round(_metadata, &racer);
		plug(_metadata, &self->it);
		await_round(_metadata, &racer);
		stop_racer(_metadata, &racer);
		ASSERT_LT(0, read_file(path, message, sizeof(message)));
		expect_current(_metadata, self->it.node, message, strlen(message));
		unplug(_metadata, &self->it);
	}
}

static void *keep_plugging(void *arg)
{
	struct racer *racer = arg;
	unsigned int i;

	for (i = 0; !stopped(racer); i++) {
		if (!set_attribute(racer->inst, "live", i % 2 ? "0" : "1"))
			__atomic_fetch_add(&racer->rounds, 1, __ATOMIC_RELAXED);
		else if (errno != ENOENT)
			racer->failures++;
	}
	return NULL;
}

TEST_F(race, live_with_rmdir)
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

TEST_F(race, rmdir_with_open)
{
	struct racer racer = { .inst = &self->it, .values = { variant->driver->greeting } };
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

int main(int argc, char **argv)
{
	atexit(clean_up);
	return test_harness_run(argc, argv);
}
