// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cost of the calls of misc-sim, and of the same calls elsewhere
 *
 * Each line that this prints is a measurement: row, device, size, unit, value. See
 * Documentation/misc-devices/misc-sim-benchmark.rst.
 *
 * A measurement has a process of its own, which need not clean up what the kernel
 * does. It fails in set_up() if the device does not have the call, and is left out.
 */

#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "cuse.h"

#define CONFIGFS	"/sys/kernel/config"
#define MAX_COUNT	1000		/* instances, pollers */
#define MAX_SIZE	CUSE_MAX
#define BATCH_NS	200000
#define SECOND_NS	1000000000LL

struct device {
	const char *name;
	const char *node;	/* NULL if it has none */
	const char *driver;	/* NULL unless it is one of misc-sim */
};

enum { ZERO, TMPFS, C, RUST, SAMPLE, CUSE, EVENTFD, PIPE, SOCKETPAIR, DEVICES };

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)	(1 << (n))
#define DRIVERS	(BIT(C) | BIT(RUST))
#define FILES	(BIT(ZERO) | BIT(TMPFS) | DRIVERS | BIT(SAMPLE) | BIT(CUSE))

static const struct device devices[DEVICES] = {
	[ZERO]		= { "zero",	"/dev/zero" },
	[TMPFS]		= { "tmpfs",	"/dev/shm/misc-sim-bench" },
	[C]		= { "c",	"/dev/misc-sim-bench",	"misc-sim" },
	[RUST]		= { "rust",	"/dev/rmisc-sim-bench",	"rmisc-sim" },
	[SAMPLE]	= { "sample",	"/dev/rust-misc-device" },
	[CUSE]		= { "cuse",	"/dev/" CUSE_NAME },
	[EVENTFD]	= { "eventfd" },
	[PIPE]		= { "pipe" },
	[SOCKETPAIR]	= { "socketpair" },
};

static bool instructions;	/* the clock counts them */
static int batches = 101;

/* What a measurement uses. */
static const struct device *device;
static const char *row;
static size_t size;
static char buf[MAX_SIZE];
static int fd;

static void report(const char *name, const char *unit, double value)
{
	printf("%s,%s,%zu,%s,%.1f\n", name, device->name, size, unit, value);
	fflush(stdout);
}

static void report_time(const char *name, double value)
{
	report(name, instructions ? "instructions" : "ns", value);
}

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * SECOND_NS + ts.tv_nsec;
}

static void must(bool ok)
{
	if (!ok)
		err(1, "%s of %s, %zu", row, device->name, size);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "CPU %d", cpu);
}

/* Time of one call */

static int compare(const void *a, const void *b)
{
	long long x = *(const long long *)a, y = *(const long long *)b;

	return (x > y) - (x < y);
}

/* The median of the batches. Most are too short for an interrupt. */
static long long time_calls(void (*call)(void), int calls)
{
	long long times[batches];
	int i, n;

	for (i = 0; i < batches; i++) {
		times[i] = now();
		for (n = 0; n < calls; n++)
			call();
		times[i] = now() - times[i];
	}
	qsort(times, batches, sizeof(times[0]), compare);
	return times[batches / 2];
}

static void nothing(void)
{
	asm volatile("");
}

/* Doubles the number, because the clock may be too coarse for one call. */
static int calls_per_batch(void (*call)(void))
{
	long long start;
	int calls, n;

	for (calls = 1;; calls *= 2) {
		start = now();
		for (n = 0; n < calls; n++)
			call();
		if (now() - start >= BATCH_NS)
			return calls;
	}
}

static void measure(void (*call)(void))
{
	int calls;

	call();
	calls = calls_per_batch(call);
	report_time(row, (double)(time_calls(call, calls) - time_calls(nothing, calls)) / calls);
}

/* Instances of misc-sim */

static void path_of(char path[128], const char *name, const char *attr)
{
	snprintf(path, 128, CONFIGFS "/%s/bench%s%s", device->driver, name, attr);
}

static bool set(const char *name, const char *attr, const char *value)
{
	char path[128];
	bool ok;
	int fd;

	path_of(path, name, attr);
	fd = open(path, O_WRONLY);
	ok = fd >= 0 && write(fd, value, strlen(value)) == strlen(value);
	close(fd);
	return ok;
}

static bool make(const char *name)
{
	char path[128];

	path_of(path, name, "");
	return !mkdir(path, 0755);
}

static bool make_live(const char *name, const char *kind)
{
	return make(name) && set(name, "/kind", kind) && set(name, "/capacity", "1048576") &&
	       set(name, "/live", "1");
}

static void remove_instances(void)
{
	char pattern[128];
	glob_t dirs;
	size_t i;

	path_of(pattern, "*", "");
	if (glob(pattern, 0, NULL, &dirs))
		return;
	for (i = 0; i < dirs.gl_pathc; i++)
		rmdir(dirs.gl_pathv[i]);
	globfree(&dirs);
}

static int open_instance(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s", device->node, name);
	return open(path, O_RDWR);
}

/* The node of the device, with a message of @size bytes in it. */
static bool open_node(void)
{
	if (device->driver && !make_live("", "message"))
		return false;
	fd = open(device->node, O_RDWR | (device == &devices[TMPFS] ? O_CREAT : 0), 0600);
	return fd >= 0 && pwrite(fd, buf, size, 0) == size;
}

/* Rows of one call */

static void call_read(void)
{
	must(pread(fd, buf, size, 0) == size);
}

static void call_write(void)
{
	must(pwrite(fd, buf, size, 0) == size);
}

static void call_poll(void)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	must(poll(&pfd, 1, 0) == 1);
}

static void call_open(void)
{
	int other = open(device->node, O_RDWR);

	must(other >= 0);
	close(other);
}

static void call_mmap(void)
{
	char *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	must(map != MAP_FAILED);
	asm volatile("" : : "r"(map[0]));
	munmap(map, size);
}

/* A round trip between two threads */

static struct {
	int in, out;
} here, there;

static void *answer(void *unused)
{
	char copy[size];

	while (read(there.in, copy, size) == size && write(there.out, copy, size) == size)
		;
	return NULL;
}

static bool start_answering(void)
{
	pthread_t thread;

	return here.in >= 0 && there.in >= 0 && !pthread_create(&thread, NULL, answer, NULL);
}

static bool open_wake(void)
{
	if (!device->driver) {
		here.out = eventfd(0, 0);
		there.in = here.out;
		there.out = eventfd(0, 0);
		here.in = there.out;
		return start_answering();
	}
	if (!make_live("-a", "stream") || !make_live("-b", "stream"))
		return false;
	here.out = open_instance("-a");
	there.in = open_instance("-a");
	there.out = open_instance("-b");
	here.in = open_instance("-b");
	/* The greetings. */
	return read(there.in, buf, MAX_SIZE) > 0 && read(here.in, buf, MAX_SIZE) > 0 &&
	       start_answering();
}

static bool open_channel(void)
{
	int fds[2], back[2];

	if (device->driver) {
		if (!make_live("-a", "channel"))
			return false;
		here.in = open_instance("-a");
		there.in = open_instance("-a.peer");
		here.out = here.in;
		there.out = there.in;
	} else if (device == &devices[SOCKETPAIR]) {
		must(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
		here.in = fds[0];
		there.in = fds[1];
		here.out = here.in;
		there.out = there.in;
	} else {
		must(!pipe(fds) && !pipe(back));
		here.in = back[0];
		here.out = fds[1];
		there.in = fds[0];
		there.out = back[1];
	}
	return start_answering();
}

static void call_round_trip(void)
{
	must(write(here.out, buf, size) == size);
	must(read(here.in, buf, size) == size);
}

/* Readers at the same time */

static atomic_bool go, stop;

struct reader {
	pthread_t thread;
	int fd, cpu;
	long calls;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;
	char copy[size];

	pin(r->cpu);
	while (!go)
		;
	while (!stop) {
		must(pread(r->fd, copy, size, 0) == size);
		r->calls++;
	}
	return NULL;
}

static void *write_on(void *unused)
{
	while (!stop) {
		call_write();
		usleep(1000);
	}
	return NULL;
}

static void readers(const char *name, int count, bool shared, bool writer)
{
	struct reader r[2] = {};
	long long start;
	pthread_t thread;
	long calls = 0;
	int i;

	go = false;
	stop = false;
	for (i = 0; i < count; i++) {
		r[i].cpu = i;
		r[i].fd = shared ? fd : open(device->node, O_RDONLY);
		must(!pthread_create(&r[i].thread, NULL, read_on, &r[i]));
	}
	if (writer)
		must(!pthread_create(&thread, NULL, write_on, NULL));
	usleep(10000);
	start = now();
	go = true;
	usleep(500000);
	stop = true;
	start = now() - start;
	for (i = 0; i < count; i++) {
		pthread_join(r[i].thread, NULL);
		calls += r[i].calls;
	}
	if (writer)
		pthread_join(thread, NULL);
	report(name, "ns", (double)start / calls);
}

static void run_readers(void)
{
	if (instructions || sysconf(_SC_NPROCESSORS_ONLN) < 2)
		errx(1, "readers: needs two CPUs and a real clock");
	readers("1 reader", 1, false, false);
	readers("2 readers", 2, false, false);
	readers("2 readers of one file", 2, true, false);
	readers("1 reader and writer", 1, false, true);
	readers("2 readers and writer", 2, false, true);
	readers("2 readers of one file and writer", 2, true, true);
}

/* Many instances */

static void shrink_slabs(void)
{
	glob_t files;
	size_t i;
	int fd;

	must(!glob("/sys/kernel/slab/*/shrink", 0, NULL, &files));
	for (i = 0; i < files.gl_pathc; i++) {
		fd = open(files.gl_pathv[i], O_WRONLY);
		must(write(fd, "1", 1) == 1);
		close(fd);
	}
	globfree(&files);
}

/* Bytes in slabs, without those that are free. Slabs are whole pages. */
static double memory(void)
{
	char line[128];
	long kib = 0;
	FILE *f;

	shrink_slabs();
	f = fopen("/proc/meminfo", "r");
	while (f && fgets(line, sizeof(line), f) && sscanf(line, "Slab: %ld", &kib) != 1)
		;
	fclose(f);
	return 1024.0 * kib;
}

static bool plug(const char *name)
{
	return set(name, "/live", "1");
}

static bool unmake(const char *name)
{
	char path[128];

	path_of(path, name, "");
	return !rmdir(path);
}

/* Average for an instance. */
static void for_all(const char *what, bool (*call)(const char *name), bool weigh)
{
	double before = weigh ? memory() : 0;
	long long start = now();
	char name[32];
	size_t i;

	for (i = 0; i < size; i++) {
		snprintf(name, sizeof(name), "-%zu", i);
		must(call(name));
	}
	report_time(what, (double)(now() - start) / size);
	if (weigh)
		report(what, "bytes", (memory() - before) / size);
}

static bool has_instances(void)
{
	return make("-0") && unmake("-0");
}

static void run_instances(void)
{
	for_all("make instance", make, true);
	for_all("plug instance", plug, true);
	for_all("remove instance", unmake, false);
}

/* Many pollers, all of them woken */

static short awaited;

static bool open_unplug(void)
{
	if (device->driver) {
		awaited = POLLPRI;
		if (!make_live("-a", "message"))
			return false;
		fd = open_instance("-a");
		return fd >= 0 && read(fd, buf, MAX_SIZE) > 0;
	}
	awaited = POLLIN;
	fd = eventfd(0, 0);
	return true;
}

static void *poll_on(void *unused)
{
	struct pollfd pfd = { .fd = fd, .events = awaited };

	must(poll(&pfd, 1, -1) == 1);
	return NULL;
}

static void run_unplug(void)
{
	pthread_t threads[MAX_COUNT];
	pthread_attr_t attr;
	long long start;
	size_t i;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 65536);
	for (i = 0; i < size; i++)
		must(!pthread_create(&threads[i], &attr, poll_on, NULL));
	usleep(500000);

	start = now();
	if (device->driver)
		must(set("-a", "/live", "0"));
	else
		must(!eventfd_write(fd, 1));
	report_time("unplug", now() - start);
	for (i = 0; i < size; i++)
		pthread_join(threads[i], NULL);
	report_time("unplug to wake", now() - start);
}

/* A row has a call to be measured, or a function that measures. */
static const struct row {
	const char *name;
	unsigned int devices;
	bool (*set_up)(void);	/* returns false if the device does not have the call */
	void (*call)(void);
	void (*run)(void);
	size_t sizes[6];
} rows[] = {
	{ "read", FILES, open_node, .call = call_read,
	  .sizes = { 64, 4096, 16384, 65536, 262144, MAX_SIZE } },
	{ "write", FILES, open_node, .call = call_write, .sizes = { 64, 4096 } },
	{ "poll", FILES, open_node, .call = call_poll, .sizes = { 64 } },
	{ "open", FILES, open_node, .call = call_open, .sizes = { 64 } },
	{ "mmap", BIT(TMPFS) | DRIVERS, open_node, .call = call_mmap, .sizes = { 4096 } },
	{ "wake", BIT(EVENTFD) | DRIVERS, open_wake, .call = call_round_trip, .sizes = { 8 } },
	{ "channel", BIT(PIPE) | BIT(SOCKETPAIR) | DRIVERS, open_channel,
	  .call = call_round_trip, .sizes = { 64 } },
	{ "readers", BIT(ZERO) | BIT(TMPFS) | DRIVERS, open_node, .run = run_readers,
	  .sizes = { 64 } },
	{ "instances", DRIVERS, has_instances, .run = run_instances,
	  .sizes = { 1, 10, 100, MAX_COUNT } },
	{ "unplug", BIT(EVENTFD) | DRIVERS, open_unplug, .run = run_unplug,
	  .sizes = { 1, MAX_COUNT } },
};

/* In a process of its own. */
static void run(const struct row *r)
{
	pid_t pid = fork();

	must(pid >= 0);
	if (pid) {
		waitpid(pid, NULL, 0);
		if (device->driver)
			remove_instances();
		return;
	}
	row = r->name;
	if (!r->set_up())
		errx(0, "no %s of %zu with %s", row, size, device->name);
	if (r->call)
		measure(r->call);
	else
		r->run();
	fflush(stdout);
	_exit(0);
}

static bool listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (; list; list = strchr(list, ',')) {
		list += *list == ',';
		if (!strncmp(list, name, length) && strchr(",", list[length]))
			return true;
	}
	return false;
}

static bool is_there(const struct device *d)
{
	char path[128];

	snprintf(path, sizeof(path), CONFIGFS "/%s", d->driver ?: "");
	return d->driver ? !access(path, F_OK) :
	       !d->node || d == &devices[TMPFS] || !access(d->node, F_OK);
}

static void die_of_usage(const char *name)
{
	errx(1, "usage: %s [--instructions] [--batches N] [--rows ROW,...] [--devices DEVICE,...]",
	     name);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "instructions", no_argument, NULL, 'i' },
		{ "batches", required_argument, NULL, 'b' },
		{ "rows", required_argument, NULL, 'r' },
		{ "devices", required_argument, NULL, 'd' },
		{}
	};
	char all[] = "zero,tmpfs,c,rust,sample,cuse,eventfd,pipe,socketpair";
	char *wanted = all, *name, *wanted_rows = NULL;
	const struct device *list[32];
	size_t count = 0, r, d, s;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'i')
			instructions = true;
		else if (option == 'b' && atoi(optarg) > 0)
			batches = atoi(optarg);
		else if (option == 'r')
			wanted_rows = optarg;
		else if (option == 'd')
			wanted = optarg;
		else
			die_of_usage(argv[0]);
	}
	if (system("modprobe -qa misc-sim rmisc-sim rust_misc_device cuse"))
		warnx("some drivers do not load");
	memset(buf, 'x', sizeof(buf));
	pin(0);
	cuse_start();

	while ((name = strsep(&wanted, ","))) {
		for (d = 0; d < DEVICES && strcmp(name, devices[d].name); d++)
			;
		if (d == DEVICES || count == ARRAY_SIZE(list))
			die_of_usage(argv[0]);
		if (is_there(&devices[d]))
			list[count++] = &devices[d];
		else
			warnx("no %s", name);
	}

	for (r = 0; r < ARRAY_SIZE(rows); r++) {
		if (wanted_rows && !listed(wanted_rows, rows[r].name))
			continue;
		for (s = 0; s < ARRAY_SIZE(rows[r].sizes) && rows[r].sizes[s]; s++) {
			size = rows[r].sizes[s];
			for (d = 0; d < count; d++) {
				device = list[d];
				if (rows[r].devices & BIT(device - devices))
					run(&rows[r]);
			}
		}
	}
	unlink(devices[TMPFS].node);
	return 0;
}
