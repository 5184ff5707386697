// SPDX-License-Identifier: GPL-2.0-only
/*
 * A storm: threads use instances of the simulated misc device in every way, while
 * other threads plug, unplug, reconfigure and remove them. It shows that no call
 * returns what it must not, and that nothing is in use in the end; for what else
 * can go wrong, run it on a kernel with KASAN, lockdep and kmemleak.
 *
 * MISC_SIM_STORM_SECONDS in the environment tells how long, 5 by default. Beyond the
 * timeout in settings, run it by itself. MISC_SIM_STORM_SEED repeats what each thread
 * does, though not how they interleave; the test prints the seed that it uses.
 */

#include <stddef.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include "instance.h"

#define INSTANCES	4
#define USERS		6
#define PLUGGERS	3
#define SECONDS		5

static int storm_seconds(void)
{
	const char *seconds = getenv("MISC_SIM_STORM_SECONDS");

	return seconds && atoi(seconds) > 0 ? atoi(seconds) : SECONDS;
}

static unsigned int storm_seed(void)
{
	const char *seed = getenv("MISC_SIM_STORM_SEED");

	return seed ? strtoul(seed, NULL, 0) : (unsigned int)time(NULL);
}

FIXTURE(storm) {
};

DRIVER_VARIANTS(storm);

FIXTURE_SETUP(storm)
{
	driver_is_there(_metadata, variant->driver);
}

FIXTURE_TEARDOWN_PARENT(storm)
{
	remove_instances(variant->driver);
}

struct party {
	pthread_t thread;
	const struct instance *instances;
	const char *greeting;
	const bool *stop;
	unsigned int id;
	unsigned int random;
	unsigned int sequence;
	unsigned int successes;
	unsigned int failures;
	char failure[80];	/* the first one */
};

static unsigned int pick(struct party *party, unsigned int below)
{
	return rand_r(&party->random) / 7 % below;
}

static void record_failure(struct party *party, const char *what, int error)
{
	if (!party->failures++)
		snprintf(party->failure, sizeof(party->failure), "%s: %s", what, strerror(error));
}

/* @ret and errno of a call that may also fail in each of four ways. */
static bool check(struct party *party, const char *what, long ret,
		  int a, int b, int c, int d)
{
	int error = errno;

	if (ret >= 0) {
		party->successes++;
		return true;
	}
	if (error != a && error != b && error != c && error != d)
		record_failure(party, what, error);
	return false;
}

/*
 * What a new file reads in one go: the beginning of one message, as writes and reads
 * are cut short, and never a mixture. Which instance it is of cannot be told: a minor
 * may get to another one while open() is on its way.
 */
static void check_message(struct party *party, const union stamped *message, ssize_t length)
{
	union stamped whole;
	unsigned int number;
	char line[32] = "";
	int end = 0;

	if (length < (ssize_t)sizeof(line))
		memcpy(line, message, length);
	if (line[0] && !strncmp(party->greeting, line, length))
		return;
	if (line[0] && !strncmp("tick ", line, length))
		return;
	if (sscanf(line, "tick %u%n", &number, &end) == 1 &&
	    (!line[end] || !strcmp(line + end, "\n")))
		return;

	/* Too short to tell who wrote it? */
	if (length < (ssize_t)offsetof(struct stamp, length))
		return;
	if (message->stamp.writer >= USERS ||
	    length > (ssize_t)make_stamp(&whole.stamp, message->stamp.writer,
					 message->stamp.sequence) ||
	    memcmp(&whole, message, length))
		record_failure(party, "message torn", 0);
}

static void use_mmap(struct party *party, int fd)
{
	char *map = mmap(NULL, page_size(), PROT_READ,
			 pick(party, 2) ? MAP_SHARED : MAP_PRIVATE, fd, 0);

	if (!check(party, "mmap", map == MAP_FAILED ? -1 : 0, ENODEV, 0, 0, 0))
		return;
	if (map[page_size() - 1])
		record_failure(party, "mmap not zero", 0);
	munmap(map, page_size());
}

static void use_splice(struct party *party, int fd)
{
	int pipe[2];

	if (!check(party, "pipe2", pipe2(pipe, O_CLOEXEC | O_NONBLOCK), 0, 0, 0, 0))
		return;
	check(party, "splice", splice(fd, NULL, pipe[1], NULL, 4096, 0),
	      ENODEV, EINVAL, EIO, 0);
	close(pipe[0]);
	close(pipe[1]);
}

static void use_sysfs(struct party *party, const struct instance *inst)
{
	char path[2 * PATH_LEN], value[16];

	snprintf(path, sizeof(path), "%s/length", inst->sysfs);
	check(party, "sysfs", read_file(path, value, sizeof(value)), ENOENT, ENODEV, 0, 0);
}

static void use_file(struct party *party, const struct instance *inst, int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	struct misc_sim_info info;
	union stamped message;
	size_t length;

	switch (pick(party, 8)) {
	case 0:
		check(party, "read", read(fd, &message, 1 + pick(party, sizeof(message))),
		      ENODEV, EAGAIN, EIO, 0);
		break;
	case 1:
		length = make_stamp(&message.stamp, party->id, party->sequence++);
		check(party, "write", write(fd, &message, length), ENODEV, EIO, 0, 0);
		break;
	case 2:
		length = make_stamp(&message.stamp, party->id, party->sequence++);
		if (!check(party, "info", ioctl(fd, MISC_SIM_IOC_INFO, &info), ENODEV, EIO, 0, 0))
			break;
		check(party, "replace", replace(fd, info.generation, &message, length),
		      ENODEV, ESTALE, ENOTTY, EIO);
		break;
	case 3:
		check(party, "poll", poll(&pollfd, 1, pick(party, 3)), 0, 0, 0, 0);
		break;
	case 4:
		check(party, "pread", pread(fd, &message, sizeof(message), 0),
		      ENODEV, ESPIPE, EIO, 0);
		break;
	case 5:
		use_mmap(party, fd);
		break;
	case 6:
		use_splice(party, fd);
		break;
	default:
		use_sysfs(party, inst);
	}
}

static bool stopped(const struct party *party)
{
	return __atomic_load_n(party->stop, __ATOMIC_RELAXED);
}

/*
 * Odd ones read a stream with O_NONBLOCK; the others may sleep there until somebody
 * writes or unplugs.
 */
static void *use_instances(void *arg)
{
	struct party *party = arg;
	const struct instance *inst;
	union stamped message;
	ssize_t length;
	int i, fd;

	while (!stopped(party)) {
		inst = &party->instances[pick(party, INSTANCES)];
		fd = open(inst->node, O_RDWR | O_CLOEXEC | (party->id % 2 ? O_NONBLOCK : 0));
		if (!check(party, "open", fd, ENOENT, ENODEV, ENXIO, EIO))
			continue;
		length = read(fd, &message, sizeof(message));
		if (check(party, "first read", length, ENODEV, EIO, 0, 0))
			check_message(party, &message, length);
		for (i = pick(party, 16); i; i--)
			use_file(party, inst, fd);
		close(fd);
	}
	return NULL;
}

static void change(struct party *party, const struct instance *inst,
		   const char *attr, const char *value)
{
	check(party, attr, set_attribute(inst, attr, value), EBUSY, ENOENT, 0, 0);
}

static void reconfigure(struct party *party, const struct instance *inst)
{
	static const char * const capacities[] = { "96", "4096", "1048576" };

	change(party, inst, "kind", pick(party, 2) ? "stream" : "message");
	change(party, inst, "capacity", capacities[pick(party, ARRAY_SIZE(capacities))]);
	change(party, inst, "period_us", pick(party, 2) ? "1000" : "0");
	change(party, inst, "latency_us", pick(party, 2) ? "200" : "0");
	if (!has_faults(inst))
		return;
	change(party, inst, "short_io/times", "-1");
	change(party, inst, "short_io/probability", pick(party, 2) ? "50" : "0");
	change(party, inst, "fail_open/times", "1");
	change(party, inst, "fail_open/probability", "10");
	change(party, inst, "fail_read/times", "2");
	change(party, inst, "fail_read/probability", "10");
	change(party, inst, "fail_write/times", "2");
	change(party, inst, "fail_write/probability", "10");
	change(party, inst, "fail_ioctl/times", "2");
	change(party, inst, "fail_ioctl/probability", "10");
}

static void *change_instances(void *arg)
{
	struct party *party = arg;
	const struct instance *inst;

	while (!stopped(party)) {
		inst = &party->instances[pick(party, INSTANCES)];
		switch (pick(party, 7)) {
		case 0:
			check(party, "mkdir", mkdir(inst->dir, 0755), EEXIST, 0, 0, 0);
			break;
		case 1:
			check(party, "rmdir", rmdir(inst->dir), ENOENT, 0, 0, 0);
			break;
		case 2:
			change(party, inst, "message", party->greeting);
			break;
		case 3:
			reconfigure(party, inst);
			break;
		case 4:
			check(party, "unplug", set_attribute(inst, "live", "0"), ENOENT, 0, 0, 0);
			break;
		default:
			check(party, "plug", set_attribute(inst, "live", "1"), ENOENT, 0, 0, 0);
		}
	}
	return NULL;
}

static void start_party(struct __test_metadata *_metadata, struct party *party,
			void *(*function)(void *))
{
	ASSERT_EQ(0, pthread_create(&party->thread, NULL, function, party));
}

static void stop_party(struct __test_metadata *_metadata, struct party *party)
{
	join_thread(_metadata, party->thread);
	EXPECT_EQ(0, party->failures) TH_LOG("%s", party->failure);
	EXPECT_LT(0, party->successes);
}

static bool all_got_somewhere(const struct party *parties, int count)
{
	while (count && __atomic_load_n(&parties[count - 1].successes, __ATOMIC_RELAXED))
		count--;
	return !count;
}

TEST_F_TIMEOUT(storm, use_and_unplug, storm_seconds() + 60)
{
	struct instance instances[INSTANCES];
	struct party parties[USERS + PLUGGERS] = {};
	int i, file = open_module(variant->driver->module);
	int references = module_references(variant->driver);
	unsigned int seed = storm_seed();
	bool stop = false, calm = false;
	long long end;
	char name[16];

	TH_LOG("MISC_SIM_STORM_SEED=%u", seed);
	for (i = 0; i < INSTANCES; i++) {
		snprintf(name, sizeof(name), PREFIX "%d", i);
		instances[i] = make_instance(_metadata, variant->driver, name);
	}
	for (i = 0; i < USERS + PLUGGERS; i++) {
		parties[i].instances = instances;
		parties[i].greeting = variant->driver->greeting;
		parties[i].id = i;
		parties[i].random = seed + i;
		parties[i].stop = i < USERS ? &stop : &calm;
		start_party(_metadata, &parties[i], i < USERS ? use_instances : change_instances);
	}

	/* This is how long the storm is to last; nothing depends on it. */
	end = now_ms() + storm_seconds() * 1000LL;
	while (now_ms() < end || !all_got_somewhere(parties, USERS + PLUGGERS))
		poll(NULL, 0, 100);

	__atomic_store_n(&calm, true, __ATOMIC_RELAXED);
	for (i = USERS; i < USERS + PLUGGERS; i++)
		stop_party(_metadata, &parties[i]);

	/* Whoever sleeps is woken by the unplug. */
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	remove_instances(variant->driver);
	for (i = 0; i < USERS; i++)
		stop_party(_metadata, &parties[i]);

	for (i = 0; i < INSTANCES; i++) {
		EXPECT_ERRNO(ENOENT, access(instances[i].dir, F_OK));
		EXPECT_ERRNO(ENOENT, access(instances[i].node, F_OK));
		EXPECT_ERRNO(ENOENT, access(instances[i].sysfs, F_OK));
	}
	/* A user of the default device may hold the module, too. */
	if (file >= 0 && references == 0) {
		EXPECT_EQ(0, unload(variant->driver->module));
		EXPECT_EQ(0, load_from(file, variant->driver->module));
	}
}

int main(int argc, char **argv)
{
	atexit(clean_up);
	return test_harness_run(argc, argv);
}
