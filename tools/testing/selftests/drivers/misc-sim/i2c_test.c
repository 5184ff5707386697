// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device of misc-sim whose message is in the memory of an I2C chip
 *
 * The chip is one of i2c-stub, which the test loads, and unloads at the end.
 */

#include <dirent.h>
#include <linux/i2c.h>
#include <linux/i2c-dev.h>
#include <pthread.h>
#include <sys/uio.h>
#include "files.h"
#include "info.h"
#include "polling.h"
#include "stamp.h"
#include "variants.h"

#define I2C		"/sys/bus/i2c/devices"
#define I2C_DRIVER	"/sys/bus/i2c/drivers/misc-sim"
#define STUB		"/sys/module/i2c_stub"
#define CHIP_ADDRESS	0x50
#define CHIP_CAPACITY	127
#define SLOT		0x80

static bool *stub_is_ours;	/* shared with the process of each case */

static void remove_stub(void)
{
	if (*stub_is_ours)
		run_on_module("rmmod", "i2c-stub");
	*stub_is_ours = false;
}

static void __attribute__((constructor)) remove_stub_at_exit(void)
{
	stub_is_ours = mmap(NULL, sizeof(*stub_is_ours), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stub_is_ours == MAP_FAILED)
		exit(KSFT_FAIL);
	atexit(remove_stub);
}

/* The number of the adapter of i2c-stub, or -1. */
static int find_adapter(void)
{
	char path[PATH_LEN + NAME_MAX], name[64];
	struct dirent *entry;
	int number = -1;
	DIR *dir;

	dir = opendir(I2C);
	while (dir && number < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), I2C "/%s/name", entry->d_name);
		if (read_file(path, name, sizeof(name)) > 0 &&
		    !strcmp(name, "SMBus stub driver\n"))
			sscanf(entry->d_name, "i2c-%d", &number);
	}
	if (dir)
		closedir(dir);
	return number;
}

FIXTURE(i2c) {
	char adapter[64];	/* node of i2c-dev */
	char client[16];	/* in sysfs */
	char node[64];
};

C_VARIANT(i2c);

FIXTURE_SETUP(i2c)
{
	char path[64];
	int number;

	if (!load_driver(_metadata, variant->driver))
		return;
	if (access(I2C_DRIVER, F_OK))
		SKIP(return, "no CONFIG_MISC_SIM_I2C");
	if (!access(STUB, F_OK))
		SKIP(return, "i2c-stub is in use");
	if (run_on_module("modinfo", "i2c-stub"))
		SKIP(return, "no i2c-stub");
	ASSERT_EQ(0, run_on_module("modprobe", "i2c-stub chip_addr=0x50"));
	*stub_is_ours = true;

	number = find_adapter();
	ASSERT_LE(0, number);
	snprintf(self->adapter, sizeof(self->adapter), "/dev/i2c-%d", number);
	snprintf(self->client, sizeof(self->client), "%d-0050", number);
	snprintf(self->node, sizeof(self->node), "/dev/misc-sim-i2c:%s", self->client);
	snprintf(path, sizeof(path), I2C "/i2c-%d/new_device", number);
	ASSERT_EQ(0, write_file(path, "misc-sim 0x50"));
	ASSERT_EQ(0, access(self->node, F_OK));
}

FIXTURE_TEARDOWN_PARENT(i2c)
{
	remove_stub();
}

static void unbind_driver(struct __test_metadata *_metadata, const char *client)
{
	ASSERT_EQ(0, write_file(I2C_DRIVER "/unbind", client));
}

static void bind_again(struct __test_metadata *_metadata, const char *client)
{
	unbind_driver(_metadata, client);
	ASSERT_EQ(0, write_file(I2C_DRIVER "/bind", client));
}

/* The registers of the chip, as other programs see them */

static int open_chip(struct __test_metadata *_metadata, const char *adapter)
{
	int fd;

	/* Nothing else loads i2c-dev. */
	if (access(adapter, F_OK) && run_on_module("modprobe", "i2c-dev"))
		SKIP(return -1, "no i2c-dev");
	fd = open_node(_metadata, adapter, O_RDWR);
	ASSERT_EQ(0, ioctl(fd, I2C_SLAVE_FORCE, CHIP_ADDRESS));
	return fd;
}

static int access_register(int chip, __u8 direction, __u8 number, __u8 *value)
{
	union i2c_smbus_data data = { .byte = *value };
	struct i2c_smbus_ioctl_data args = {
		.read_write = direction,
		.command = number,
		.size = I2C_SMBUS_BYTE_DATA,
		.data = &data,
	};
	int ret = ioctl(chip, I2C_SMBUS, &args);

	*value = data.byte;
	return ret;
}

static __u8 get_register(struct __test_metadata *_metadata, int chip, __u8 number)
{
	__u8 value = 0;

	ASSERT_EQ(0, access_register(chip, I2C_SMBUS_READ, number, &value));
	return value;
}

static void set_register(struct __test_metadata *_metadata, int chip, __u8 number, __u8 value)
{
	ASSERT_EQ(0, access_register(chip, I2C_SMBUS_WRITE, number, &value));
}

/* The chip holds @data in the slot that begins at register @first. */
static void expect_chip(struct __test_metadata *_metadata, int chip, __u8 first,
			const char *data, __u8 length)
{
	__u8 i;

	EXPECT_EQ((first & SLOT) | length, get_register(_metadata, chip, 0));
	for (i = 0; i < length; i++)
		EXPECT_EQ(data[i], get_register(_metadata, chip, first + i));
}

TEST_F(i2c, empty_chip)
{
	int fd = open_node(_metadata, self->node, O_RDWR);
	struct misc_sim_info info = get_info(_metadata, fd);
	char c;

	EXPECT_EQ(1, info.generation);
	EXPECT_EQ(0, info.length);
	EXPECT_EQ(CHIP_CAPACITY, info.capacity);
	EXPECT_EQ(0, read(fd, &c, 1));
}

TEST_F(i2c, parent)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), I2C "/%s/misc/%s", self->client, self->node + strlen("/dev/"));
	EXPECT_EQ(0, access(path, F_OK));
}

TEST_F(i2c, reads_chip_at_probe)
{
	int chip = open_chip(_metadata, self->adapter);

	if (chip < 0)
		return;
	set_register(_metadata, chip, 0x80, 'x');
	set_register(_metadata, chip, 0x81, 'y');
	set_register(_metadata, chip, 0, SLOT | 2);
	expect_current(_metadata, self->node, "", 0);
	bind_again(_metadata, self->client);
	expect_current(_metadata, self->node, "xy", 2);
}

TEST_F(i2c, writes_chip)
{
	int chip = open_chip(_metadata, self->adapter);
	int fd;

	if (chip < 0)
		return;
	fd = open_node(_metadata, self->node, O_RDWR);
	publish(_metadata, fd, text, TEXT_LEN);
	expect_chip(_metadata, chip, 0x80, text, TEXT_LEN);
	publish(_metadata, fd, text + 1, TEXT_LEN - 1);
	expect_chip(_metadata, chip, 0x01, text + 1, TEXT_LEN - 1);
	expect_rest(_metadata, fd, text + 1, TEXT_LEN - 1);
}

TEST_F(i2c, chip_keeps_message)
{
	char data[CHIP_CAPACITY];
	int fd = open_node(_metadata, self->node, O_RDWR);

	memset(data, 'x', sizeof(data));
	publish(_metadata, fd, data, sizeof(data));
	bind_again(_metadata, self->client);
	expect_current(_metadata, self->node, data, sizeof(data));
}

TEST_F(i2c, too_long)
{
	int fd = open_node(_metadata, self->node, O_RDWR);
	char data[CHIP_CAPACITY + 1] = {};

	leave_midway(_metadata, fd);
	EXPECT_ERRNO(EMSGSIZE, write(fd, data, sizeof(data)));
	expect_midway(_metadata, fd, self->node);
	bind_again(_metadata, self->client);
	expect_current(_metadata, self->node, text, TEXT_LEN);
}

TEST_F(i2c, replace)
{
	int fd = open_node(_metadata, self->node, O_RDWR);

	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(0, replace(fd, 2, "xy", 2));
	expect_current(_metadata, self->node, "xy", 2);
	bind_again(_metadata, self->client);
	expect_current(_metadata, self->node, "xy", 2);
}

TEST_F(i2c, replace_with_nothing)
{
	int fd = open_node(_metadata, self->node, O_RDWR);

	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_EQ(0, replace(fd, 2, NULL, 0));
	bind_again(_metadata, self->client);
	expect_current(_metadata, self->node, "", 0);
}

/* A stale message does not reach the chip. */
TEST_F(i2c, stale_replace_leaves_chip)
{
	int fd = open_node(_metadata, self->node, O_RDWR);

	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_ERRNO(ESTALE, replace(fd, 1, "xy", 2));
	bind_again(_metadata, self->client);
	expect_current(_metadata, self->node, text, TEXT_LEN);
}

TEST_F(i2c, may_sleep)
{
	int fd = open_node(_metadata, self->node, O_RDWR | O_NONBLOCK);
	char c = 'x';
	struct iovec iov = { &c, 1 };

	EXPECT_ERRNO(EOPNOTSUPP, preadv2(fd, &iov, 1, 0, RWF_NOWAIT));
	EXPECT_ERRNO(EOPNOTSUPP, pwritev2(fd, &iov, 1, 0, RWF_NOWAIT));
	expect_current(_metadata, self->node, "", 0);
	publish(_metadata, fd, &c, 1);
	expect_rest(_metadata, fd, &c, 1);
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, fd));
}

#define WRITERS		4
#define WRITES		50	/* of each writer, on average */

/* Start writers that write at the same time, and wait until they have written a lot. */
static void keep_chip_busy(struct __test_metadata *_metadata, const char *node,
			   struct writer *writers, bool *stop)
{
	int fd = open_node(_metadata, node, O_RDONLY);
	long long deadline = now_ms() + DEADLINE_MS;

	start_writers(_metadata, node, writers, WRITERS, stop);
	while (get_info(_metadata, fd).generation <= WRITERS * WRITES) {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
	}
	close(fd);
}

/* The messages of writers reach the chip and the device in the same order. */
TEST_F(i2c, chip_agrees_with_device)
{
	struct writer writers[WRITERS];
	union stamped message;
	bool stop = false;
	ssize_t length;
	int fd;

	keep_chip_busy(_metadata, self->node, writers, &stop);
	stop_writers(_metadata, writers, WRITERS, &stop);
	fd = open_node(_metadata, self->node, O_RDONLY);
	length = read(fd, &message, sizeof(message));
	ASSERT_TRUE(stamp_is_whole(&message.stamp, length));
	bind_again(_metadata, self->client);
	expect_current(_metadata, self->node, &message, length);
}

static void expect_unplugged(struct __test_metadata *_metadata, int fd, const char *node,
			     const char *map)
{
	char c;

	EXPECT_ERRNO(ENODEV, read(fd, &c, 1));
	EXPECT_ERRNO(ENODEV, write(fd, &c, 1));
	EXPECT_ERRNO(ENODEV, replace(fd, 2, &c, 1));
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, fd));
	EXPECT_ERRNO(ENOENT, access(node, F_OK));
	EXPECT_EQ(0, memcmp(text, map, TEXT_LEN));
}

static int open_and_map(struct __test_metadata *_metadata, const char *node, char **map)
{
	int fd = open_node(_metadata, node, O_RDWR);

	publish(_metadata, fd, text, TEXT_LEN);
	*map = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_TRUE(*map != MAP_FAILED);
	return fd;
}

TEST_F(i2c, unbind_unplugs)
{
	char *map;
	int fd = open_and_map(_metadata, self->node, &map);

	unbind_driver(_metadata, self->client);
	expect_unplugged(_metadata, fd, self->node, map);
}

TEST_F(i2c, removal_of_adapter_unplugs)
{
	char *map;
	int fd = open_and_map(_metadata, self->node, &map);

	ASSERT_EQ(0, run_on_module("rmmod", "i2c-stub"));
	expect_unplugged(_metadata, fd, self->node, map);
}

/* Writers that are at work when the driver is unbound get an error, and nothing hangs. */
TEST_F(i2c, unbind_under_writers)
{
	struct writer writers[WRITERS];
	bool stop = false;
	int i;

	keep_chip_busy(_metadata, self->node, writers, &stop);
	unbind_driver(_metadata, self->client);
	for (i = 0; i < WRITERS; i++) {
		join_thread(_metadata, writers[i].thread);
		EXPECT_EQ(ENODEV, writers[i].error);
	}
	ASSERT_EQ(0, write_file(I2C_DRIVER "/bind", self->client));
	EXPECT_EQ(0, access(self->node, F_OK));
}

TEST_HARNESS_MAIN
