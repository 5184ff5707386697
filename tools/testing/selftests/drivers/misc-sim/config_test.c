// SPDX-License-Identifier: GPL-2.0-only
/*
 * Creating and configuring instances of misc-sim in configfs
 *
 * See Documentation/ABI/testing/configfs-misc-sim.
 */

#include "info.h"
#include "instance.h"
#include "kmsg.h"
#include "polling.h"

#define INSTANCES	1000

/* configfs cuts a longer write to 4095 bytes, so a write of 4095 may have been cut. */
#define WRITE_MAX	4094

static void fill_pattern(char *buf, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		buf[i] = i * 7 + i / 256;
}

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
	expect_file(_metadata, self->it.dir, "mode", "0600\n");
	expect_file(_metadata, self->it.dir, "live", "0\n");
}

/* This covers attributes that were added later, too. */
TEST_F(config, attributes_are_root_writable)
{
	DIR *dir = opendir(self->it.dir);
	struct dirent *entry;
	unsigned int found = 0;
	struct stat st;

	ASSERT_TRUE(!!dir);
	while ((entry = readdir(dir))) {
		ASSERT_EQ(0, fstatat(dirfd(dir), entry->d_name, &st, 0));
		if (S_ISDIR(st.st_mode))
			continue;
		EXPECT_EQ(S_IFREG | 0644, st.st_mode)
			TH_LOG("%s", entry->d_name);
		EXPECT_EQ(0, st.st_uid);
		found++;
	}
	closedir(dir);
	EXPECT_LE(4, found);
}

TEST_F(config, values_accepted)
{
	static const struct {
		const char *attr, *in, *out;
	} values[] = {
		{ "capacity", "1", "1\n" },
		{ "capacity", "1048576\n", "1048576\n" },
		{ "mode", "0640", "0640\n" },
		{ "mode", "1", "01\n" },
		{ "mode", "777\n", "0777\n" },
		{ "message", "no newline", "no newline" },
		{ "message", "newline\n", "newline\n" },
		{ "message", "\n", "\n" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(values); i++)
		expect_accepted(_metadata, &self->it, values[i].attr, values[i].in,
				values[i].out);
}

TEST_F(config, capacities_refused)
{
	static const char * const bad[] = { "0", "1048577", "4294967297", NULL };

	expect_refused(_metadata, &self->it, "capacity", "7\n", bad);
}

TEST_F(config, modes_refused)
{
	static const char * const bad[] = { "0", "1000", "8", "0x1", "rw", NULL };

	expect_refused(_metadata, &self->it, "mode", "0604\n", bad);
}

TEST_F(config, fixed_while_live)
{
	expect_fixed_while_live(_metadata, &self->it, "capacity", "77\n", "78");
	expect_fixed_while_live(_metadata, &self->it, "mode", "0604\n", "0640");
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
	expect_no_node(_metadata, &self->it);
	unplug(_metadata, &self->it);
}

/* It accepts what kstrtobool() accepts, and nothing else. */
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

/* A message is stored whole or refused, whatever the page size. */
TEST_F(config, message_is_not_cut)
{
	char buf[WRITE_MAX + 8], now[WRITE_MAX + 8], path[2 * PATH_LEN];
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

/* configfs passes at most the bytes that it can read. On i386 that may be none of them. */
TEST_F(config, message_from_bad_pointer)
{
	char path[2 * PATH_LEN], expected[] = "new", *bad = bad_page(_metadata);
	ssize_t length;
	int fd;

	configure(_metadata, &self->it, "message", "old");
	snprintf(path, sizeof(path), "%s/message", self->it.dir);
	fd = open_node(_metadata, path, O_WRONLY);
	EXPECT_ERRNO(EFAULT, write(fd, "", 0));
	EXPECT_ERRNO(EFAULT, write(fd, bad, 8));
	expect_file(_metadata, self->it.dir, "message", "old");
	memcpy(bad - 3, expected, 3);
	length = write(fd, bad - 3, 8);
	ASSERT_GE(3, length);
	if (length > 0) {
		expected[length] = '\0';
	} else {
		EXPECT_EQ(-1, length);
		EXPECT_EQ(EFAULT, errno);
		strcpy(expected, "old");
	}
	expect_file(_metadata, self->it.dir, "message", expected);
}

/* It is published at once, and again the next time that the instance goes live. */
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

/* A name is a letter and then letters, digits, "_" and "-". */
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
		EXPECT_EQ(0, access(inst.sysfs, F_OK));
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
	publish(_metadata, fd, text, TEXT_LEN);
	expect_rest(_metadata, fd, text, TEXT_LEN);
	unplug(_metadata, &self->it);
	ASSERT_EQ(0, rmdir(self->it.dir));
	EXPECT_EQ(0, count_logged(kmsg, "misc_sim", "misc-sim"));
}

TEST_HARNESS_MAIN
