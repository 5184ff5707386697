// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations that wait: poll, select, epoll, io_uring, sleeping readers
 */

#include <pthread.h>
#include <time.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include "twins.h"

void op_poll(struct side *s)
{
	int slot = some_file(s);
	struct pollfd p = { .fd = s->fd[slot], .events = some_events(s) };

	say(s, "%#x)", p.events);
	result(s, poll(&p, 1, 0));
	say(s, " %#x", p.revents);
}

void op_select(struct side *s)
{
	struct timeval zero = {};
	fd_set set[3];
	int highest = 0, ret;

	for (int i = 0; i < 3; i++) {
		FD_ZERO(&set[i]);
		for (int f = 0; f < FILES; f++)
			if (s->fd[f] >= 0 && !one_in(s, 3)) {
				FD_SET(s->fd[f], &set[i]);
				highest = s->fd[f] > highest ? s->fd[f] : highest;
			}
	}
	ret = select(highest + 1, &set[0], &set[1], &set[2], &zero);
	result(s, ret);
	for (int i = 0; ret > 0 && i < 3; i++, say(s, ";"))
		for (int f = 0; f < FILES; f++)
			if (s->fd[f] >= 0 && FD_ISSET(s->fd[f], &set[i]))
				say(s, " %d", f);
}

void op_epoll(struct side *s)
{
	struct epoll_event event, events[4 * FILES];
	int slot, what, n;

	if (one_in(s, 2)) {
		slot = some_file(s);
		what = PICK(s, EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL);
		event.events = some_events(s) | (one_in(s, 3) ? EPOLLET : 0) |
			       (one_in(s, 6) ? EPOLLONESHOT : 0) | (one_in(s, 6) ? EPOLLEXCLUSIVE : 0);
		event.data.u64 = slot;
		say(s, "%d, %#x)", what, event.events);
		result(s, epoll_ctl(s->epoll, what, s->fd[slot], &event));
		return;
	}
	say(s, "()");
	n = epoll_wait(s->epoll, events, ARRAY_SIZE(events), 0);
	result(s, n);
	for (unsigned int slot = 0; slot < FILES; slot++) /* in the order of the slots */
		for (int i = 0; i < n; i++)
			if (events[i].data.u64 == slot)
				say(s, " %u:%#x", slot, events[i].events);
}

/* io_uring */

void ring_make(struct ring *ring)
{
	struct io_uring_params p = {};
	char *queues;

	ring->fd = syscall(SYS_io_uring_setup, 32, &p);
	if (ring->fd < 0)
		abort();
	queues = mmap(NULL, p.cq_off.cqes + p.cq_entries * sizeof(*ring->cqes) + p.sq_entries * 4,
		      PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, p.sq_entries * sizeof(*ring->sqes), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	ring->sq_tail = (void *)(queues + p.sq_off.tail);
	ring->sq_mask = p.sq_entries - 1;
	for (unsigned int i = 0; i < p.sq_entries; i++)
		((unsigned int *)(queues + p.sq_off.array))[i] = i;
	ring->cq_head = (void *)(queues + p.cq_off.head);
	ring->cq_tail = (void *)(queues + p.cq_off.tail);
	ring->cq_mask = p.cq_entries - 1;
	ring->cqes = (void *)(queues + p.cq_off.cqes);
}

static bool ring_completed(const struct ring *ring, unsigned int tail, unsigned int request)
{
	for (unsigned int at = *ring->cq_head; at != tail; at++) {
		const struct io_uring_cqe *cqe = &ring->cqes[at & ring->cq_mask];

		if (cqe->user_data == request && !(cqe->flags & IORING_CQE_F_MORE))
			return true;
	}
	return false;
}

/*
 * Submit @sqe, if any, and say what has completed: in the order of the requests. A request that is being
 * cancelled may be running in a worker thread, so wait for its end.
 */
static void ring_enter(struct side *s, const struct io_uring_sqe *sqe)
{
	bool cancels = sqe && sqe->opcode == IORING_OP_ASYNC_CANCEL && s->request[sqe->addr].busy;
	struct ring *ring = &s->ring;
	unsigned int tail = *ring->sq_tail, head = *ring->cq_head;

	if (sqe) {
		ring->sqes[tail & ring->sq_mask] = *sqe;
		__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	}
	result(s, syscall(SYS_io_uring_enter, ring->fd, sqe ? 1 : 0, 0, IORING_ENTER_GETEVENTS, NULL,
			  0));
	tail = __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
	while (cancels && !ring_completed(ring, tail, sqe->addr)) {
		syscall(SYS_io_uring_enter, ring->fd, 0, tail - head + 1, IORING_ENTER_GETEVENTS, NULL, 0);
		tail = __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
	}
	for (unsigned int i = 0; i <= REQUESTS; i++) {
		struct request *r = &s->request[i];

		for (unsigned int at = head; at != tail; at++) {
			struct io_uring_cqe *cqe = &ring->cqes[at & ring->cq_mask];

			if (cqe->user_data != i)
				continue;
			say(s, "\n  %s %u:", i == REQUESTS ? "cancel" : "request", i);
			say_result(s, cqe->res);
			if (i == REQUESTS) {
				s->unsettled |= cqe->res == -EALREADY;
				continue;
			}
			r->busy = cqe->flags & IORING_CQE_F_MORE;
			say(s, r->busy ? " more" : "");
			if (r->reads)
				say_bytes(s, r->buf, r->length + 16);
		}
	}
	__atomic_store_n(ring->cq_head, tail, __ATOMIC_RELEASE);
}

void op_uring(struct side *s)
{
	int i = rnd(s, REQUESTS), slot = some_file(s), bad = one_in(s, 12);
	struct request *r = &s->request[i];
	struct io_uring_sqe sqe = { .fd = s->fd[slot], .user_data = i };

	if (r->busy || one_in(s, 6)) {
		sqe = (struct io_uring_sqe){ .opcode = IORING_OP_ASYNC_CANCEL, .addr = i,
					     .user_data = REQUESTS };
		say(s, "cancel %d)", i);
		ring_enter(s, one_in(s, 3) ? &sqe : NULL);
		return;
	}
	sqe.opcode = PICK(s, IORING_OP_READ, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV,
			  IORING_OP_WRITEV, IORING_OP_POLL_ADD, IORING_OP_POLL_ADD);
	r->reads = sqe.opcode == IORING_OP_READ || sqe.opcode == IORING_OP_READV;
	r->length = some_length(s) % (PAGE + 1000);
	some_message(s, (char *)r->buf, r->length);
	if (r->reads)
		memset(r->buf, POISON, r->length + 16);
	if (sqe.opcode == IORING_OP_POLL_ADD) {
		sqe.poll32_events = some_events(s);
		sqe.len = one_in(s, 3) ? IORING_POLL_ADD_MULTI : 0;
		say(s, "request %d, poll %#x, %u)", i, sqe.poll32_events, sqe.len);
	} else {
		r->vec = (struct iovec){ bad ? NULL : r->buf, r->length };
		sqe.addr = (uintptr_t)r->vec.iov_base;
		sqe.len = r->length;
		if (sqe.opcode == IORING_OP_READV || sqe.opcode == IORING_OP_WRITEV) {
			sqe.addr = (uintptr_t)&r->vec;
			sqe.len = 1;
		}
		sqe.off = one_in(s, 2) ? -1 : some_offset(s);
		sqe.rw_flags = one_in(s, 3) ? some_flags(s) : 0;
		say(s, "request %d, opcode %d, %zu bytes%s, offset %lld, flags %#x)", i, sqe.opcode,
		    r->length, bad ? " at NULL" : "", (long long)sqe.off, sqe.rw_flags);
	}
	r->busy = true;
	ring_enter(s, &sqe);
	observe(s, slot);
}

/* A reader that sleeps, and is woken */

struct reader {
	int fd, tid;
	ssize_t ret;
	int error;
	char data[64];
};

static void *reader(void *arg)
{
	struct reader *r = arg;

	memset(r->data, POISON, sizeof(r->data));
	__atomic_store_n(&r->tid, gettid(), __ATOMIC_RELEASE);
	r->ret = read(r->fd, r->data, sizeof(r->data));
	r->error = errno;
	return NULL;
}

static bool sleeps_in_read(struct reader *r)
{
	char path[64], call[8] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall",
		 __atomic_load_n(&r->tid, __ATOMIC_ACQUIRE));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, call, 2) < 0)
		call[0] = '\0';
	close(fd);
	return !strcmp(call, "0 ");
}

void op_wake(struct side *s)
{
	int slot = some_file(s), how = rnd(s, 3), other = rnd(s, FILES);
	struct pollfd p = { .fd = s->fd[slot], .events = POLLIN };
	struct pollfd to = { .fd = s->fd[other], .events = POLLOUT };
	const char *name = instance[rnd(s, INSTANCES)];
	struct reader r = { .fd = s->fd[slot] };
	struct timespec nap = { .tv_nsec = 100000 };
	bool returned = false;
	pthread_t thread;

	say(s, "by %s)", how == 0 ? "write" : how == 1 ? "message" : "live");
	poll(&to, 1, 0);
	if (how == 0 && to.fd >= 0 && !(to.revents & (POLLOUT | POLLHUP)))
		return; /* there is no room */
	for (int i = 0; i < REQUESTS; i++)
		if (how < 2 && s->request[i].busy && s->request[i].reads)
			return; /* it may get what the reader waits for */
	if (r.fd < 0 || poll(&p, 1, 0))
		return;
	if (pthread_create(&thread, NULL, reader, &r))
		abort();
	while (!sleeps_in_read(&r)) {
		returned = !pthread_tryjoin_np(thread, NULL);
		if (returned)
			break;
		nanosleep(&nap, NULL);
	}
	if (how == 0)
		result(s, write(s->fd[other], "woken", 5));
	else
		set_text(s, name, how == 1 ? "message" : "live", how == 1 ? "woken" : "0");
	/* A reader that has something to return needs no signal, one that has returned ignores it. */
	if (!returned && !poll(&p, 1, 0))
		pthread_kill(thread, SIGALRM);
	if (!returned)
		pthread_join(thread, NULL);
	say(s, "\n  reader:");
	say_result(s, r.ret < 0 ? -r.error : r.ret);
	say_bytes(s, r.data, sizeof(r.data));
	observe(s, slot);
}

/* Return: whether @data, cut to the capacity or not, is a tick that may follow the @last one. */
static bool is_tick(const char *data, unsigned int *last)
{
	unsigned int tick;

	if (!strcmp(data, "tick "))
		return true;
	if (sscanf(data, "tick %u\n", &tick) != 1 || tick <= *last)
		return false;
	*last = tick;
	return true;
}

/* Ticks come when they like, but one after the other. */
void op_ticks(struct side *s)
{
	unsigned int last = 0, n;
	char data[32];
	int fd;

	say(s, "()");
	result(s, mkdir(config_path(s, "t", ""), 0755));
	set_text(s, "t", "message", "first");
	set_text(s, "t", "kind", "stream");
	set_text(s, "t", "period_us", "1000");
	if (one_in(s, 4))
		set_text(s, "t", "capacity", "5");
	set_text(s, "t", "live", "1");
	fd = open(device_path(s, "/dev", "t"), O_RDONLY | O_CLOEXEC);
	for (n = 0; n < 3; n++) {
		memset(data, 0, sizeof(data));
		if (read(fd, data, sizeof(data) - 1) < 0)
			break;
		if (!is_tick(data, &last) && (n || strcmp(data, "first")))
			say(s, " \"%s\" after %u", data, last);
	}
	say(s, "\n  %u reads", n);
	close(fd);
	result(s, rmdir(config_path(s, "t", "")));
}
