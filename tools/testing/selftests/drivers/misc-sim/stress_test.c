// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stress test of the simulated misc device
 *
 * Threads use instances in every way, while other threads plug, unplug, reconfigure and
 * remove them. No call may return a wrong result, and nothing may be in use at the end.
 * To find other errors, run this on a kernel with KASAN, lockdep and kmemleak.
 *
 * Environment variables:
 * MISC_SIM_STRESS_SECONDS: duration, 5 by default. If it is longer than the timeout in
 *	settings, do not run the program through the kselftest runner.
 * MISC_SIM_STRESS_SEED: repeats the operations of each thread, but not the order in
 *	which those of different threads take place. The test prints the seed it uses.
 */

#include <stddef.h>
#include <sys/mman.h>
#include "deadline.h"
#include "fault.h"
#include "info.h"
#include "module.h"
#include "stamp.h"
#include "stress.h"

#define INSTANCES	4
#define USERS		6
#define CHANGERS	3

FIXTURE(stress) {
};

DRIVER_VARIANTS(stress);

FIXTURE_SETUP(stress)
{
	driver_is_there(_metadata, variant->driver);
}

FIXTURE_TEARDOWN_PARENT(stress)
{
	remove_instances(variant->driver);
}

/*
 * The first read of a file returns the beginning of one message, because short_io cuts
 * writes and reads, and never a mixture. The message may be that of another instance,
 * which may get the minor number during open().
 */
static void check_message(struct worker *worker, const union stamped *message, ssize_t length)
{
	union stamped whole;
	unsigned int number;
	char line[32] = "";
	int end = 0;

	if (length < (ssize_t)sizeof(line))
		memcpy(line, message, length);
	if (line[0] && !strncmp(worker->greeting, line, length))
		return;
	if (line[0] && !strncmp("tick ", line, length))
		return;
	if (sscanf(line, "tick %u%n", &number, &end) == 1 &&
	    (!line[end] || !strcmp(line + end, "\n")))
		return;

	/* Too short to hold the writer? */
	if (length < (ssize_t)offsetof(struct stamp, length))
		return;
	if (message->stamp.writer >= USERS ||
	    length > (ssize_t)make_stamp(&whole.stamp, message->stamp.writer,
					 message->stamp.sequence) ||
	    memcmp(&whole, message, length))
		record_failure(worker, "first read", "torn message");
}

static void use_mmap(struct worker *worker, int fd)
{
	char *map = mmap(NULL, page_size(), PROT_READ,
			 pick(worker, 2) ? MAP_SHARED : MAP_PRIVATE, fd, 0);

	if (!check(worker, "mmap", map == MAP_FAILED ? -1 : 0, ENODEV))
		return;
	if (map[page_size() - 1])
		record_failure(worker, "mmap", "not zero after the message");
	munmap(map, page_size());
}

static void use_splice(struct worker *worker, int fd)
{
	int pipe[2];

	if (!check(worker, "pipe2", pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0))
		return;
	check(worker, "splice", splice(fd, NULL, pipe[1], NULL, 4096, 0),
	      ENODEV, EINVAL, EIO);
	close(pipe[0]);
	close(pipe[1]);
}

static void use_sysfs(struct worker *worker, const struct instance *inst)
{
	char path[2 * PATH_LEN], value[16];

	snprintf(path, sizeof(path), "%s/length", inst->sysfs);
	check(worker, "sysfs", read_file(path, value, sizeof(value)), ENOENT, ENODEV);
}

static void use_file(struct worker *worker, const struct instance *inst, int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	struct misc_sim_info info;
	union stamped message;
	size_t length;

	switch (pick(worker, 8)) {
	case 0:
		check(worker, "read", read(fd, &message, 1 + pick(worker, sizeof(message))),
		      ENODEV, EAGAIN, EIO);
		break;
	case 1:
		length = make_stamp(&message.stamp, worker->id, worker->sequence++);
		check(worker, "write", write(fd, &message, length), ENODEV, EIO);
		break;
	case 2:
		length = make_stamp(&message.stamp, worker->id, worker->sequence++);
		if (!check(worker, "info", ioctl(fd, MISC_SIM_IOC_INFO, &info), ENODEV, EIO))
			break;
		check(worker, "replace", replace(fd, info.generation, &message, length),
		      ENODEV, ESTALE, ENOTTY, EIO);
		break;
	case 3:
		check(worker, "poll", poll(&pollfd, 1, pick(worker, 3)), 0);
		break;
	case 4:
		check(worker, "pread", pread(fd, &message, sizeof(message), 0),
		      ENODEV, ESPIPE, EIO);
		break;
	case 5:
		use_mmap(worker, fd);
		break;
	case 6:
		use_splice(worker, fd);
		break;
	default:
		use_sysfs(worker, inst);
	}
}

static bool stopped(const struct worker *worker)
{
	return __atomic_load_n(worker->stop, __ATOMIC_RELAXED);
}

/*
 * Threads with odd numbers use O_NONBLOCK. The others may sleep in a read of a stream
 * until another thread writes or unplugs.
 */
static void *use_instances(void *arg)
{
	struct worker *worker = arg;
	const struct instance *inst;
	union stamped message;
	ssize_t length;
	int i, fd;

	while (!stopped(worker)) {
		inst = &worker->instances[pick(worker, INSTANCES)];
		fd = open(inst->node, O_RDWR | O_CLOEXEC | (worker->id % 2 ? O_NONBLOCK : 0));
		if (!check(worker, "open", fd, ENOENT, ENODEV, ENXIO, EIO))
			continue;
		length = read(fd, &message, sizeof(message));
		if (check(worker, "first read", length, ENODEV, EIO))
			check_message(worker, &message, length);
		for (i = pick(worker, 16); i; i--)
			use_file(worker, inst, fd);
		close(fd);
	}
	return NULL;
}

static void change(struct worker *worker, const struct instance *inst,
		   const char *attr, const char *value)
{
	check(worker, attr, set_attribute(inst, attr, value), EBUSY, ENOENT);
}

static void reconfigure(struct worker *worker, const struct instance *inst)
{
	static const char * const capacities[] = { "96", "4096", "1048576" };

	change(worker, inst, "kind", pick(worker, 2) ? "stream" : "message");
	change(worker, inst, "capacity", capacities[pick(worker, ARRAY_SIZE(capacities))]);
	change(worker, inst, "period_us", pick(worker, 2) ? "1000" : "0");
	change(worker, inst, "latency_us", pick(worker, 2) ? "200" : "0");
	if (!has_faults(inst))
		return;
	change(worker, inst, "short_io/times", "-1");
	change(worker, inst, "short_io/probability", pick(worker, 2) ? "50" : "0");
	change(worker, inst, "fail_open/times", "1");
	change(worker, inst, "fail_open/probability", "10");
	change(worker, inst, "fail_read/times", "2");
	change(worker, inst, "fail_read/probability", "10");
	change(worker, inst, "fail_write/times", "2");
	change(worker, inst, "fail_write/probability", "10");
	change(worker, inst, "fail_ioctl/times", "2");
	change(worker, inst, "fail_ioctl/probability", "10");
}

static void *change_instances(void *arg)
{
	struct worker *worker = arg;
	const struct instance *inst;

	while (!stopped(worker)) {
		inst = &worker->instances[pick(worker, INSTANCES)];
		switch (pick(worker, 7)) {
		case 0:
			check(worker, "mkdir", mkdir(inst->dir, 0755), EEXIST);
			break;
		case 1:
			check(worker, "rmdir", rmdir(inst->dir), ENOENT);
			break;
		case 2:
			change(worker, inst, "message", worker->greeting);
			break;
		case 3:
			reconfigure(worker, inst);
			break;
		case 4:
			check(worker, "unplug", set_attribute(inst, "live", "0"), ENOENT);
			break;
		default:
			check(worker, "plug", set_attribute(inst, "live", "1"), ENOENT);
		}
	}
	return NULL;
}

static void start_worker(struct __test_metadata *_metadata, struct worker *worker,
			 void *(*function)(void *))
{
	ASSERT_EQ(0, pthread_create(&worker->thread, NULL, function, worker));
}

static void finish_worker(struct __test_metadata *_metadata, struct worker *worker)
{
	join_thread(_metadata, worker->thread);
	EXPECT_EQ(0, worker->failures) TH_LOG("%s", worker->failure);
	EXPECT_LT(0, worker->successes);
}

TEST_F_TIMEOUT(stress, use_and_unplug, stress_seconds() + 60)
{
	struct instance instances[INSTANCES];
	struct worker workers[USERS + CHANGERS] = {};
	int i, file = open_module(variant->driver->module);
	int references = module_references(variant->driver);
	unsigned int seed = stress_seed();
	bool stop_users = false, stop_changers = false;
	long long end;
	char name[16];

	TH_LOG("MISC_SIM_STRESS_SEED=%u", seed);
	for (i = 0; i < INSTANCES; i++) {
		snprintf(name, sizeof(name), PREFIX "%d", i);
		instances[i] = make_instance(_metadata, variant->driver, name);
	}
	for (i = 0; i < USERS + CHANGERS; i++) {
		workers[i].instances = instances;
		workers[i].greeting = variant->driver->greeting;
		workers[i].id = i;
		workers[i].random = seed + i;
		workers[i].stop = i < USERS ? &stop_users : &stop_changers;
		start_worker(_metadata, &workers[i], i < USERS ? use_instances : change_instances);
	}

	/* This only sets the duration of the test. */
	end = now_ms() + stress_seconds() * 1000LL;
	while (now_ms() < end || !all_succeeded(workers, USERS + CHANGERS))
		poll(NULL, 0, 100);

	__atomic_store_n(&stop_changers, true, __ATOMIC_RELAXED);
	for (i = USERS; i < USERS + CHANGERS; i++)
		finish_worker(_metadata, &workers[i]);

	/* Unplugging wakes the threads that sleep. */
	__atomic_store_n(&stop_users, true, __ATOMIC_RELAXED);
	remove_instances(variant->driver);
	for (i = 0; i < USERS; i++)
		finish_worker(_metadata, &workers[i]);

	for (i = 0; i < INSTANCES; i++) {
		EXPECT_ERRNO(ENOENT, access(instances[i].dir, F_OK));
		expect_no_node(_metadata, &instances[i]);
	}
	/* If the module had references before, somebody else uses the default device. */
	if (file >= 0 && references == 0) {
		EXPECT_EQ(0, unload(variant->driver->module));
		EXPECT_EQ(0, load_from(file, variant->driver->module));
	}
}

TEST_HARNESS_MAIN
