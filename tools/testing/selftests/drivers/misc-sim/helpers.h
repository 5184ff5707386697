/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the cases in misc-sim.c have in common. Whatever goes wrong in here is a
 * failure of the case that called.
 */

#ifndef _MISC_SIM_HELPERS_H
#define _MISC_SIM_HELPERS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <linux/misc-sim.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include "kselftest_harness.h"

#define POISON		0xcc
#define DEADLINE_MS	10000	/* whatever takes longer hangs */

static const char text[] = "0123456789abcdef";

#define TEXT_LEN	(sizeof(text) - 1)
#define TEXT_POS	5	/* where start_reading() stops */

#define POLL_ALWAYS	(POLLOUT | POLLWRNORM)
#define POLL_UNREAD	(POLLIN | POLLRDNORM | POLL_ALWAYS)

#define EXPECT_ERRNO(error, call) do {	\
	errno = 0;			\
	EXPECT_EQ(-1, call);		\
	EXPECT_EQ(error, errno);	\
} while (0)

/* Modules */

static inline int load(const char *module)
{
	char command[128];

	snprintf(command, sizeof(command), "modprobe -q %s > /dev/null 2>&1", module);
	return system(command);
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

/* A system call in a thread of its own. */
struct call {
	pthread_t thread;
	int fd;
	void *buf;
	size_t length;
	__u64 generation;
	ssize_t ret;
	int error;
};

static inline void *call_read(void *arg)
{
	struct call *call = arg;

	call->ret = read(call->fd, call->buf, call->length);
	call->error = errno;
	return NULL;
}

static inline void *call_write(void *arg)
{
	struct call *call = arg;

	call->ret = write(call->fd, call->buf, call->length);
	call->error = errno;
	return NULL;
}

static inline void *call_replace(void *arg)
{
	struct call *call = arg;

	call->ret = replace(call->fd, call->generation, call->buf, call->length);
	call->error = errno;
	return NULL;
}

static inline void start(struct __test_metadata *_metadata, struct call *call,
			 void *(*function)(void *))
{
	ASSERT_EQ(0, pthread_create(&call->thread, NULL, function, call));
}

static inline void finish(struct __test_metadata *_metadata, struct call *call)
{
	ASSERT_EQ(0, pthread_join(call->thread, NULL));
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
		ASSERT_EQ(0, pthread_join(writers[i].thread, NULL));
		EXPECT_EQ(0, writers[i].failures);
		close(writers[i].fd);
	}
}

/* Time and waiting */

static inline long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static inline char thread_state(pid_t tid)
{
	char path[64], state = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	file = fopen(path, "r");
	if (file) {
		if (fscanf(file, "%*d %*s %c", &state) != 1)
			state = '?';
		fclose(file);
	}
	return state;
}

static inline short poll_now(struct __test_metadata *_metadata, int fd)
{
	struct pollfd pollfd = {
		.fd = fd,
		.events = POLL_UNREAD | POLLPRI | POLLRDBAND | POLLWRBAND,
	};

	ASSERT_LE(0, poll(&pollfd, 1, 0));
	return pollfd.revents;
}

struct sleeper {
	pthread_t thread;
	pid_t tid;
	int fd;
	short revents;
};

static inline void *sleep_in_poll(void *arg)
{
	struct sleeper *sleeper = arg;
	struct pollfd pollfd = { .fd = sleeper->fd, .events = POLLIN };

	__atomic_store_n(&sleeper->tid, gettid(), __ATOMIC_RELEASE);
	if (poll(&pollfd, 1, DEADLINE_MS) == 1)
		sleeper->revents = pollfd.revents;
	return NULL;
}

static inline void await_sleep(struct __test_metadata *_metadata, struct sleeper *sleeper)
{
	long long deadline = now_ms() + DEADLINE_MS;
	pid_t tid;

	do {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
		tid = __atomic_load_n(&sleeper->tid, __ATOMIC_ACQUIRE);
	} while (!tid || thread_state(tid) != 'S');
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
