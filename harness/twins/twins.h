/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One stream of random operations on both drivers: what the files here share
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define INSTANCES	3
#define FILES		6
#define MAPS		4
#define REQUESTS	4		/* of io_uring, pending at once */
#define PAGE		4096
#define GOOD		(20 * PAGE)	/* bytes of the arena that can be read and written */
#define POISON		0xcc

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* One of the values, which have the type of the first. */
#define FIRST(a, ...)	a
#define PICK(s, ...)	({ typeof(FIRST(__VA_ARGS__) + 0) _of[] = { __VA_ARGS__ }; \
			   _of[rnd(s, ARRAY_SIZE(_of))]; })

struct ring {
	int fd;
	unsigned int *sq_tail, *cq_head, *cq_tail, sq_mask, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

struct request {
	bool busy, reads;
	size_t length;
	struct iovec vec;
	unsigned char buf[2 * PAGE];
};

/* One of the two drivers, and what the stream holds of it */
struct side {
	const char *driver;		/* as in the name of its nodes */
	bool rust;
	uint64_t random;
	size_t length;			/* of the text */
	char text[1 << 16];
	bool greets[INSTANCES];		/* the message is still the greeting */
	int fd[FILES], pipe[2], memfd, epoll;
	struct { char *addr; size_t length; } map[MAPS];
	unsigned char *arena;		/* GOOD bytes, then pages: no access, read-only, no access */
	struct ring ring;
	struct request request[REQUESTS];
	bool unsettled;			/* a worker thread may still close a file */
};

extern const char *const instance[INSTANCES];
extern unsigned int number;		/* of the operation under way */
extern bool unlike;			/* break the Rust side, to see it found */

/* Random values, from the seed, the episode and the operation alone */
uint64_t mix(uint64_t x);
unsigned int rnd(struct side *s, unsigned int below);
bool one_in(struct side *s, unsigned int n);
size_t some_length(struct side *s);
off_t some_offset(struct side *s);
int some_flags(struct side *s);
unsigned int some_events(struct side *s);
void some_message(struct side *s, char *message, size_t length);

/* The text of an operation; a result below 0 is an errno */
void __attribute__((format(printf, 2, 3))) say(struct side *s, const char *format, ...);
void say_result(struct side *s, long ret);
void say_bytes(struct side *s, const void *data, size_t length);
void say_memory(struct side *s, const struct iovec *vec, int n);
void say_file(struct side *s, const char *name, const char *path);
void say_directory(struct side *s, const char *path);

/* Say what a system call returned, with no other call in between. Return: that. */
static inline long result(struct side *s, long ret)
{
	say_result(s, ret == -1 ? -errno : ret);
	return ret;
}

/* Memory: good, bad, and good to some point */
unsigned char *some_buffer(struct side *s, size_t length, bool bad_too);
int some_vector(struct side *s, struct iovec *vec);
size_t accessible(struct side *s, unsigned char *p, size_t length);
void prepare(struct side *s, const struct iovec *vec, int n, bool write);

/* A path is good until the next. */
const char *config_path(struct side *s, const char *name, const char *attribute);
const char *device_path(struct side *s, const char *directory, const char *name);
int write_file(const char *path, const void *data, size_t length);
int set(struct side *s, const char *name, const char *attribute, const void *value,
	size_t length);
int set_text(struct side *s, const char *name, const char *attribute, const char *value);

/* Files */
int some_file(struct side *s);
void observe(struct side *s, int slot);
bool limit_wait(int fd, short event);
void unlimit_wait(bool limited);

/* Whole programs: lists of operations, see twins.c */
#define HUNG_S	10			/* an operation that takes longer hangs */
bool differs(const unsigned int *numbers, unsigned int n, unsigned int limit_s);
void report(unsigned int *numbers, unsigned int n);

/* Guided by coverage, see fuzz.c */
void cover_begin(void);
void cover_add(unsigned int i);
unsigned int fuzz(unsigned int seconds, const char *corpus, unsigned int most);

/* Operations: one on one driver, see operations.c */
void setup(struct side *s, bool rust);
void perform(struct side *s);
void ring_make(struct ring *ring);
void on_bad_access(int signal);
typedef void operation_fn(struct side *s);
operation_fn op_make, op_set, op_fault, op_live, op_remove, op_name, op_attributes;
operation_fn op_open, op_close, op_dup, op_read, op_write, op_lseek, op_splice, op_ioctl, op_other;
operation_fn op_poll, op_select, op_epoll, op_uring, op_wake, op_ticks;
operation_fn op_mmap, op_map;
operation_fn op_record, op_exchange;
