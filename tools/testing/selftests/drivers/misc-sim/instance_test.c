// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instances of misc-sim in sysfs, in uevents and in traces
 */

#include <semaphore.h>
#include "cpu.h"
#include "deadline.h"
#include "info.h"
#include "instance.h"
#include "tracing.h"
#include "uevents.h"

#define ROUNDS		100

/* The device and its uevents */

FIXTURE(instance) {
	struct instance it;
};

DRIVER_VARIANTS(instance);

FIXTURE_SETUP(instance)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(instance)
{
	remove_instances(variant->driver);
}

TEST_F(instance, no_parent_device)
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

TEST_F(instance, uevents)
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

/* The attributes of the device */

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

struct uevent_listener {
	pthread_t thread;
	int fd;
	const struct instance *inst;
	sem_t seen;
	bool urgent;
	int failures;
};

/* Use the device as soon as it is announced, as a device manager does. */
static void *listen_to_uevents(void *arg)
{
	struct uevent_listener *listener = arg;
	char path[2 * PATH_LEN], buf[8192], value[16];
	int round;

	listener->urgent = set_urgent(true);
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

/* The listener shares the CPU, so it preempts the thread that sends the uevent. */
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
	/* A skip would hide the failure. */
	if (!listener.urgent && !listener.failures)
		SKIP(return, "no SCHED_FIFO");
}

/* Tracepoints */

FIXTURE(trace) {
	struct instance it;
};

DRIVER_VARIANTS(trace);

FIXTURE_SETUP(trace)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(trace)
{
	remove_instances(variant->driver);
}

TEST_F(trace, unplug)
{
	plug(_metadata, &self->it);
	if (!start_tracing(_metadata, variant->driver, "unplug"))
		return;
	unplug(_metadata, &self->it);
	EXPECT_EQ(1, stop_tracing(_metadata, variant->driver, self->it.node, "unplug", ""));
}

TEST_HARNESS_MAIN
