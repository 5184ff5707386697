/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all cases have in common. A helper that cannot do its job fails the case
 * that calls it.
 */

#ifndef _MISC_SIM_HELPERS_H
#define _MISC_SIM_HELPERS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <linux/misc-sim.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"

#define POISON		0xcc
#define DEADLINE_MS	10000	/* whatever takes longer hangs */
#define PATH_LEN	192

static const char text[] = "0123456789abcdef";

#define TEXT_LEN	(sizeof(text) - 1)
#define TEXT_POS	5	/* where start_reading() stops */

/* What poll() reports of each kind of device */
#define MESSAGE_SEEN	(POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM)
#define MESSAGE_UNSEEN	(MESSAGE_SEEN | POLLPRI)
#define STREAM_EMPTY	(POLLOUT | POLLWRNORM)
#define STREAM_READY	(STREAM_EMPTY | POLLIN | POLLRDNORM)
#define UNPLUGGED	(POLLERR | POLLHUP | POLLPRI)

#define EXPECT_ERRNO(error, call) do {	\
	errno = 0;			\
	EXPECT_EQ(-1, call);		\
	EXPECT_EQ(error, errno);	\
} while (0)

/* Drivers */

struct driver {
	const char *module;	/* as /sys/module spells it */
	const char *name;
	const char *node;	/* of the default instance */
	const char *greeting;
};

static const struct driver c_driver = {
	.module = "misc_sim",
	.name = "misc-sim",
	.node = "/dev/misc-sim-0",
	.greeting = "Hello from misc-sim!\n",
};

static const struct driver rust_driver = {
	.module = "rmisc_sim",
	.name = "rmisc-sim",
	.node = "/dev/rmisc-sim-0",
	.greeting = "Hello from rmisc-sim!\n",
};

#define DRIVER_VARIANTS(fixture)					\
	FIXTURE_VARIANT(fixture) { const struct driver *driver; };	\
	FIXTURE_VARIANT_ADD(fixture, c) { .driver = &c_driver };	\
	FIXTURE_VARIANT_ADD(fixture, rust) { .driver = &rust_driver }

/* Modules */

static inline int run_on_module(const char *command, const char *module)
{
	char line[128];

	snprintf(line, sizeof(line), "%s %s > /dev/null 2>&1", command, module);
	return system(line);
}

static inline int load(const char *module)
{
	return run_on_module("modprobe", module);
}

/* The file that the module comes from; negative if it is built in, or not found. */
static inline int open_module(const char *module)
{
	char command[128], path[PATH_MAX] = "";
	FILE *modinfo;
	int fd = -1;

	snprintf(command, sizeof(command), "modinfo -n %s 2> /dev/null", module);
	modinfo = popen(command, "r");
	if (!modinfo)
		return -1;
	if (fgets(path, sizeof(path), modinfo)) {
		path[strcspn(path, "\n")] = '\0';
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	pclose(modinfo);
	return fd;
}

/* A process for each of many loads takes long; a compressed file needs it. */
static inline int load_from(int file, const char *module)
{
	if (!syscall(SYS_finit_module, file, "", 0))
		return 0;
	return load(module);
}

static inline int unload(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK);
}

/* The references to a module, or -1 if it is built in or not loaded. */
static inline int module_references(const struct driver *driver)
{
	char path[PATH_LEN];
	int count = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", driver->module);
	file = fopen(path, "r");
	if (file) {
		if (fscanf(file, "%d", &count) != 1)
			count = -1;
		fclose(file);
	}
	return count;
}

/*
 * Load the driver, if need be. False, with the case skipped, if it is not
 * configured; one that is there but does not load is a failure.
 */
static inline bool load_driver(struct __test_metadata *_metadata, const struct driver *driver)
{
	if (geteuid())
		SKIP(return false, "not root");
	if (!access(driver->node, F_OK))
		return true;
	if (run_on_module("modinfo", driver->module))
		SKIP(return false, "no driver %s", driver->name);
	ASSERT_EQ(0, load(driver->module))
		TH_LOG("%s does not load", driver->module);
	ASSERT_EQ(0, access(driver->node, F_OK))
		TH_LOG("no %s", driver->node);
	return true;
}

/* Time */

static inline long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Files: each is read and written by one system call, as cat and echo do */

static inline int write_file(const char *path, const char *value)
{
	int error, fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return -1;
	ret = write(fd, value, strlen(value));
	error = errno;
	close(fd);
	errno = error;
	return ret == (ssize_t)strlen(value) ? 0 : -1;
}

static inline ssize_t read_file(const char *path, char *buf, size_t size)
{
	int error, fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return -1;
	ret = read(fd, buf, size - 1);
	error = errno;
	close(fd);
	errno = error;
	buf[ret < 0 ? 0 : ret] = '\0';
	return ret;
}

static inline void expect_file(struct __test_metadata *_metadata, const char *dir,
			       const char *name, const char *expected)
{
	char path[2 * PATH_LEN], value[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	ASSERT_LE(0, read_file(path, value, sizeof(value)))
		TH_LOG("%s", path);
	EXPECT_STREQ(expected, value)
		TH_LOG("%s", path);
}

/* Nodes */

static inline int open_node(struct __test_metadata *_metadata, const char *node, int flags)
{
	int fd = open(node, flags | O_CLOEXEC);

	ASSERT_LE(0, fd);
	return fd;
}

/* What a file and the device hold */

static inline struct misc_sim_info get_info(struct __test_metadata *_metadata, int fd)
{
	struct misc_sim_info info;

	memset(&info, POISON, sizeof(info));
	ASSERT_EQ(0, ioctl(fd, MISC_SIM_IOC_INFO, &info));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, info.reserved);
	return info;
}

static inline void publish(struct __test_metadata *_metadata, int fd,
			   const void *data, size_t length)
{
	ASSERT_EQ(length, write(fd, data, length));
}

static inline int replace(int fd, __u64 generation, const void *data, __u32 length)
{
	struct misc_sim_replace arg = {
		.generation = generation,
		.data = (uintptr_t)data,
		.length = length,
	};

	return ioctl(fd, MISC_SIM_IOC_REPLACE, &arg);
}

/* From the file's position to the end there is this, and then nothing. */
static inline void expect_rest(struct __test_metadata *_metadata, int fd,
			       const void *expected, size_t length)
{
	size_t room = length + 64;
	unsigned char *buf = malloc(room);

	ASSERT_TRUE(!!buf);
	memset(buf, POISON, room);
	EXPECT_EQ(length, read(fd, buf, room));
	EXPECT_EQ(0, memcmp(expected, buf, length));
	EXPECT_EQ(POISON, buf[length]);
	EXPECT_EQ(0, read(fd, buf, room));
	free(buf);
}

/* What a file opened now reads. */
static inline void expect_current(struct __test_metadata *_metadata, const char *node,
				  const void *expected, size_t length)
{
	int fd = open_node(_metadata, node, O_RDONLY);

	expect_rest(_metadata, fd, expected, length);
	close(fd);
}

/* Leaves the file in the middle of a message, so that any change shows. */
static inline struct misc_sim_info start_reading(struct __test_metadata *_metadata, int fd)
{
	char buf[TEXT_POS];

	publish(_metadata, fd, text, TEXT_LEN);
	ASSERT_EQ(TEXT_POS, read(fd, buf, TEXT_POS));
	return get_info(_metadata, fd);
}

/* After start_reading() and a failure: content, generation and position stay. */
static inline void expect_unchanged(struct __test_metadata *_metadata, int fd,
				    const char *node, const struct misc_sim_info *before)
{
	struct misc_sim_info now = get_info(_metadata, fd);

	EXPECT_EQ(0, memcmp(before, &now, sizeof(now)));
	expect_rest(_metadata, fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
	expect_current(_metadata, node, text, TEXT_LEN);
}

static inline bool fdinfo_has(struct __test_metadata *_metadata, int fd, const char *key,
			      __u64 value)
{
	char path[64], expected[64], line[128];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	snprintf(expected, sizeof(expected), "%s:\t%llu\n", key, (unsigned long long)value);
	file = fopen(path, "r");
	ASSERT_TRUE(!!file);
	while (!found && fgets(line, sizeof(line), file))
		found = !strcmp(line, expected);
	fclose(file);
	return found;
}

static inline short poll_now(struct __test_metadata *_metadata, int fd)
{
	struct pollfd pollfd = {
		.fd = fd,
		.events = MESSAGE_UNSEEN | POLLRDBAND | POLLWRBAND,
	};

	ASSERT_LE(0, poll(&pollfd, 1, 0));
	return pollfd.revents;
}

/* Memory that fails */

static inline size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* The first byte of a page with no access, after a good page. */
static inline char *bad_page(struct __test_metadata *_metadata)
{
	char *page = mmap(NULL, 2 * page_size(), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_TRUE(page != MAP_FAILED);
	memset(page, POISON, page_size());
	page += page_size();
	ASSERT_EQ(0, mprotect(page, page_size(), PROT_NONE));
	return page;
}

/* A page that comes when fill_hole() says so, after a good page. */
struct hole {
	int uffd;
	char *page;
};

static inline bool make_hole(struct __test_metadata *_metadata, struct hole *hole)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range.len = page_size(),
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	hole->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (hole->uffd < 0)
		return false;
	ASSERT_EQ(0, ioctl(hole->uffd, UFFDIO_API, &api));
	hole->page = bad_page(_metadata);
	range.range.start = (uintptr_t)hole->page;
	ASSERT_EQ(0, ioctl(hole->uffd, UFFDIO_REGISTER, &range));
	ASSERT_EQ(0, mprotect(hole->page, page_size(), PROT_READ | PROT_WRITE));
	return true;
}

static inline void await_fault(struct __test_metadata *_metadata, struct hole *hole)
{
	struct pollfd pollfd = { .fd = hole->uffd, .events = POLLIN };
	struct uffd_msg msg;

	ASSERT_EQ(1, poll(&pollfd, 1, DEADLINE_MS));
	ASSERT_EQ(sizeof(msg), read(hole->uffd, &msg, sizeof(msg)));
	ASSERT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
}

static inline void fill_hole(struct __test_metadata *_metadata, struct hole *hole,
			     const void *data, size_t length)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)hole->page,
		.len = page_size(),
	};
	void *page = aligned_alloc(page_size(), page_size());

	ASSERT_TRUE(!!page);
	memset(page, 0, page_size());
	memcpy(page, data, length);
	copy.src = (uintptr_t)page;
	ASSERT_EQ(0, ioctl(hole->uffd, UFFDIO_COPY, &copy));
	free(page);
}

/* Threads */

static inline void join_thread(struct __test_metadata *_metadata, pthread_t thread)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += DEADLINE_MS / 1000;
	ASSERT_EQ(0, pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &deadline));
}

/* Messages that carry their own check, to tell a mixture from a message */

struct stamp {
	__u32 writer;
	__u32 sequence;
	__u32 length;
	__u32 sum;
	__u8 body[];
};

#define STAMP_MAX	96

union stamped {
	struct stamp stamp;
	char bytes[STAMP_MAX + 1];	/* room to see that there is no more */
};

static inline __u32 checksum(const struct stamp *stamp)
{
	__u32 sum = stamp->writer * 31 + stamp->sequence;
	size_t i;

	for (i = 0; i < stamp->length - sizeof(*stamp); i++)
		sum = sum * 16777619 + stamp->body[i];
	return sum;
}

static inline size_t make_stamp(struct stamp *stamp, __u32 writer, __u32 sequence)
{
	size_t i, body = (writer * 29 + sequence * 7) % (STAMP_MAX - sizeof(*stamp));

	stamp->writer = writer;
	stamp->sequence = sequence;
	stamp->length = sizeof(*stamp) + body;
	for (i = 0; i < body; i++)
		stamp->body[i] = writer * 101 + sequence * 17 + i;
	stamp->sum = checksum(stamp);
	return stamp->length;
}

static inline bool stamp_is_whole(const struct stamp *stamp, ssize_t length)
{
	return length >= (ssize_t)sizeof(*stamp) && length <= STAMP_MAX &&
	       stamp->length == length && stamp->sum == checksum(stamp);
}

struct writer {
	pthread_t thread;
	int fd;
	__u32 id;
	bool *stop;
	__u32 failures;
};

static inline void *keep_writing(void *arg)
{
	struct writer *writer = arg;
	union stamped message;
	__u32 sequence = 0;
	ssize_t length;

	while (!__atomic_load_n(writer->stop, __ATOMIC_RELAXED)) {
		length = make_stamp(&message.stamp, writer->id, sequence++);
		if (write(writer->fd, &message, length) != length)
			writer->failures++;
	}
	return NULL;
}

static inline void start_writers(struct __test_metadata *_metadata, const char *node,
				 struct writer *writers, int count, bool *stop)
{
	int i;

	for (i = 0; i < count; i++) {
		writers[i] = (struct writer) {
			.fd = open_node(_metadata, node, O_WRONLY),
			.id = i,
			.stop = stop,
		};
		ASSERT_EQ(0, pthread_create(&writers[i].thread, NULL,
					    keep_writing, &writers[i]));
	}
}

static inline void stop_writers(struct __test_metadata *_metadata,
				struct writer *writers, int count, bool *stop)
{
	int i;

	__atomic_store_n(stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < count; i++) {
		join_thread(_metadata, writers[i].thread);
		EXPECT_EQ(0, writers[i].failures);
		close(writers[i].fd);
	}
}

/* Tracing: one event of a driver, in a buffer of its own */

#define TRACING		"/sys/kernel/tracing/instances/misc-sim-ksft"

static inline bool start_tracing(struct __test_metadata *_metadata, const struct driver *driver,
				 const char *event)
{
	char enable[2 * PATH_LEN];

	rmdir(TRACING);
	if (mkdir(TRACING, 0700))
		SKIP(return false, "no tracefs");
	snprintf(enable, sizeof(enable), TRACING "/events/%1$s/%1$s_%2$s/enable",
		 driver->module, event);
	ASSERT_EQ(0, write_file(enable, "1"))
		TH_LOG("%s", enable);
	return true;
}

/* How often this was traced of the device. */
static inline int stop_tracing(struct __test_metadata *_metadata, const struct driver *driver,
			       const char *node, const char *event, const char *fields)
{
	char line[512], expected[2 * PATH_LEN];
	int count = 0;
	FILE *trace;

	snprintf(expected, sizeof(expected), " %s_%s: name=%s%s\n", driver->module, event,
		 node + strlen("/dev/"), fields);
	trace = fopen(TRACING "/trace", "r");
	ASSERT_TRUE(!!trace);
	while (fgets(line, sizeof(line), trace))
		count += !!strstr(line, expected);
	fclose(trace);
	EXPECT_EQ(0, rmdir(TRACING));
	return count;
}

/* The log */

/* What the kernel itself (facility 0) has logged since @kmsg with @a or @b in it. */
static inline int count_logged(int kmsg, const char *a, const char *b)
{
	char record[8192];
	ssize_t length;
	int count = 0;

	while ((length = read(kmsg, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (length < 0)
			continue;
		record[length] = '\0';
		if (strtoul(record, NULL, 10) >= 8 || strstr(record, "taints kernel"))
			continue;
		if (strstr(record, a) || strstr(record, b)) {
			ksft_print_msg("logged: %s", record);
			count++;
		}
	}
	return count;
}

/* The harness passes when every case is skipped; kselftest wants KSFT_SKIP. */
static inline void exit_skip_if_nothing_ran(void)
{
	if (ksft_plan && ksft_get_xskip_cnt() == ksft_plan) {
		fflush(stdout);
		_exit(KSFT_SKIP);
	}
}

#endif /* _MISC_SIM_HELPERS_H */
