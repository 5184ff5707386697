// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading the module of misc-sim
 */

#include "blocked.h"
#include "info.h"
#include "instance.h"
#include "kmsg.h"
#include "module.h"

#define LOADS		100	/* or as many as there are by the deadline */

static char *map_message(struct __test_metadata *_metadata, int fd)
{
	char *map = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);

	ASSERT_TRUE(map != MAP_FAILED);
	return map;
}

/* The driver, as a module or built in */

FIXTURE(driver) {
};

DRIVER_VARIANTS(driver);

FIXTURE_SETUP(driver)
{
	load_driver(_metadata, variant->driver);
}

FIXTURE_TEARDOWN(driver)
{
}

TEST_F(driver, no_parameters)
{
	char path[PATH_LEN];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters", variant->driver->module);
	EXPECT_ERRNO(ENOENT, access(path, F_OK));
}

TEST_F(driver, log_is_silent)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	const struct driver *driver = variant->driver;
	int file = open_module(driver->module), fd;
	char *bad = bad_page(_metadata);

	if (kmsg < 0)
		SKIP(return, "no /dev/kmsg");

	ASSERT_EQ(0, lseek(kmsg, 0, SEEK_END));
	if (file >= 0 && !module_references(driver)) {
		ASSERT_EQ(0, unload(driver->module));
		ASSERT_EQ(0, load_from(file, driver->module));
	}
	fd = open_node(_metadata, driver->node, O_RDWR);
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_ERRNO(EFAULT, read(fd, bad, 1));
	EXPECT_ERRNO(EFAULT, write(fd, bad, 1));
	EXPECT_ERRNO(ENOTTY, ioctl(fd, 0, NULL));
	expect_rest(_metadata, fd, text, TEXT_LEN);
	map_message(_metadata, fd);
	EXPECT_EQ(0, count_logged(kmsg, "misc_sim", "misc-sim"));
}

/* A module that nothing else uses */

FIXTURE(module) {
	int file;		/* to load it from again */
};

DRIVER_VARIANTS(module);

FIXTURE_SETUP(module)
{
	if (!driver_is_there(_metadata, variant->driver))
		return;
	self->file = open_module(variant->driver->module);
	if (self->file < 0 || module_references(variant->driver) < 0)
		SKIP(return, "%s is not a module", variant->driver->name);
	if (module_references(variant->driver))
		SKIP(return, "%s is in use", variant->driver->name);
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

TEST_F(module, loads_and_unloads)
{
	const struct driver *driver = variant->driver;
	long long deadline = now_ms() + DEADLINE_MS;
	int i;

	for (i = 0; i < LOADS && now_ms() < deadline; i++) {
		ASSERT_EQ(0, unload(driver->module));
		EXPECT_ERRNO(ENOENT, access(driver->node, F_OK));
		ASSERT_EQ(0, load_from(self->file, driver->module));
		expect_current(_metadata, driver->node, driver->greeting,
			       strlen(driver->greeting));
	}
}

TEST_F(module, stays_with_a_file_or_a_mapping)
{
	int fd = open_node(_metadata, variant->driver->node, O_RDWR);
	char *map;

	publish(_metadata, fd, text, TEXT_LEN);
	expect_in_use(_metadata, variant->driver);
	map = map_message(_metadata, fd);
	close(fd);
	expect_in_use(_metadata, variant->driver);
	EXPECT_EQ(0, memcmp(text, map, TEXT_LEN));
	ASSERT_EQ(0, munmap(map, page_size()));
	expect_unused(_metadata, variant->driver, self->file);
}

TEST_F(module, stays_with_a_directory)
{
	struct instance inst = make_instance(_metadata, variant->driver, PREFIX "a");

	expect_in_use(_metadata, variant->driver);
	EXPECT_EQ(0, rmdir(inst.dir));
	expect_unused(_metadata, variant->driver, self->file);
}

TEST_F(module, stays_with_an_unplugged_file)
{
	struct instance inst = make_instance(_metadata, variant->driver, PREFIX "a");
	int fd = plug_and_open(_metadata, &inst, O_RDWR);

	ASSERT_EQ(0, rmdir(inst.dir));
	expect_in_use(_metadata, variant->driver);
	close(fd);
	expect_unused(_metadata, variant->driver, self->file);
}

TEST_F(module, stays_with_an_unplugged_mapping)
{
	struct instance inst = make_instance(_metadata, variant->driver, PREFIX "a");
	int fd = plug_and_open(_metadata, &inst, O_RDWR);
	char *map;

	publish(_metadata, fd, text, TEXT_LEN);
	map = map_message(_metadata, fd);
	ASSERT_EQ(0, rmdir(inst.dir));
	close(fd);
	expect_in_use(_metadata, variant->driver);
	EXPECT_EQ(0, memcmp(text, map, TEXT_LEN));
	ASSERT_EQ(0, munmap(map, page_size()));
	expect_unused(_metadata, variant->driver, self->file);
}

/* A reader that was killed in its sleep holds nothing. */
TEST_F(module, goes_after_killed_reader)
{
	struct instance inst = make_instance(_metadata, variant->driver, PREFIX "a");
	int fd = plug_read_stream(_metadata, &inst);
	pid_t reader = fork_reader(_metadata, fd);

	close(fd);
	expect_killed(_metadata, reader);
	ASSERT_EQ(0, rmdir(inst.dir));
	expect_unused(_metadata, variant->driver, self->file);
}

TEST_HARNESS_MAIN
