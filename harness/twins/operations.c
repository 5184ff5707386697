// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of the operations, and how one is chosen
 *
 * An operation draws its arguments, says them, makes its system calls on one driver and says what
 * they returned. What it draws must not depend on a result.
 */

#include <sys/epoll.h>
#include "twins.h"

enum { MAKE, OPEN };

static const struct { const char *name; operation_fn *run; unsigned int weight; } operation[] = {
	[MAKE] = { "make", op_make, 10 },
	[OPEN] = { "open", op_open, 90 },
	{ "set", op_set, 60 }, { "fault", op_fault, 25 }, { "live", op_live, 10 },
	{ "remove", op_remove, 4 }, { "name", op_name, 8 }, { "attributes", op_attributes, 40 },
	{ "close", op_close, 6 }, { "dup", op_dup, 12 }, { "read", op_read, 220 },
	{ "write", op_write, 180 }, { "lseek", op_lseek, 40 }, { "splice", op_splice, 80 },
	{ "ioctl", op_ioctl, 110 }, { "other", op_other, 60 }, { "poll", op_poll, 30 },
	{ "select", op_select, 15 }, { "epoll", op_epoll, 60 }, { "uring", op_uring, 90 },
	{ "wake", op_wake, 8 }, { "ticks", op_ticks, 2 }, { "mmap", op_mmap, 70 },
	{ "map", op_map, 80 }, { "record", op_record, 60 }, { "exchange", op_exchange, 10 },
};

static unsigned int which_operation(struct side *s)
{
	unsigned int i, sum = 0, at;

	if (number < INSTANCES + FILES)
		return number < INSTANCES ? MAKE : OPEN;
	for (i = 0; i < ARRAY_SIZE(operation); i++)
		sum += operation[i].weight;
	at = rnd(s, sum);
	for (i = 0; at >= operation[i].weight; i++)
		at -= operation[i].weight;
	return i;
}

/* Perform the operation that s->random stands for. */
void perform(struct side *s)
{
	unsigned int which = which_operation(s);

	s->length = 0;
	say(s, "%s", operation[which].name);
	operation[which].run(s);
}

static void on_alarm(int signal)
{
}

/* Begin an episode, with nothing left of the one before. */
void setup(struct side *s, bool rust)
{
	struct sigaction alarm = { .sa_handler = on_alarm };
	struct sigaction bad = { .sa_handler = on_bad_access };

	sigaction(SIGALRM, &alarm, NULL);
	sigaction(SIGBUS, &bad, NULL);
	sigaction(SIGSEGV, &bad, NULL);

	memset(s, 0, sizeof(*s));
	s->rust = rust;
	s->driver = rust ? "rmisc-sim" : "misc-sim";
	for (int i = 0; i < FILES; i++)
		s->fd[i] = -1;
	s->arena = mmap(NULL, GOOD + 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(s->arena, GOOD, PROT_READ | PROT_WRITE);
	mprotect(s->arena + GOOD + PAGE, PAGE, PROT_READ);
	s->memfd = memfd_create("twins", MFD_CLOEXEC);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->arena == MAP_FAILED || s->epoll < 0 || pipe2(s->pipe, O_NONBLOCK | O_CLOEXEC) ||
	    write(s->memfd, s->arena, 2 * PAGE) != 2 * PAGE)
		abort();
	ring_make(&s->ring);
	rmdir(config_path(s, "t", ""));
	rmdir(config_path(s, "x", ""));
	for (int i = 0; i < INSTANCES; i++)
		rmdir(config_path(s, instance[i], ""));
}
