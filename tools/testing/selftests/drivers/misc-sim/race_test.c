// SPDX-License-Identifier: GPL-2.0-only
/*
 * Configuring, plugging, opening and removing an instance of misc-sim at the same time
 */

#include <sched.h>
#include <sys/stat.h>
#include "deadline.h"
#include "info.h"
#include "instance.h"

#define ROUNDS		100	/* or as many as there are by the deadline */

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

/* Wait until the racer has completed one more round. */
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

/* While the instance is live, the attributes show the configuration of the device. */
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

/* In any order of the writes, the device and the attribute hold the same message. */
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
		expect_no_node(_metadata, &self->it);
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

TEST_HARNESS_MAIN
