// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on channels: records that a peer writes, and ioctls that it answers
 */

#include <linux/misc-sim.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include "twins.h"

/* A record for the peer, or for any other file, which takes it for a message. */
void op_record(struct side *s)
{
	int slot = some_file(s);
	struct misc_sim_record record = {
		.type = 1 + rnd(s, 9),
		.id = rnd(s, 3),
		.file = rnd(s, 3),
		.arg = PICK(s, 0ul, POLLERR, POLLPRI, POLLERR | POLLPRI, POLLIN, MISC_SIM_IOC_MAGIC, 'T',
			    255, 256, -1),
		.value = PICK(s, 0, 1, -1, -511, -512),
		.flags = one_in(s, 8) ? PICK(s, 1, 2, 3) : 0,
		.cmd = rnd(s, 2),
		.pid = rnd(s, 2),
	};
	struct iovec vec[2] = { { &record, sizeof(record) } };
	bool limited;

	if (one_in(s, 2))
		record.type = MISC_SIM_RECORD_DATA;
	if (one_in(s, 16))
		vec[0].iov_len = rnd(s, sizeof(record));
	if (record.type == MISC_SIM_RECORD_DATA || one_in(s, 8))
		record.length = some_length(s);
	say(s, "type %u, arg %#llx, value %d, flags %u, length %u@", record.type, record.arg, record.value,
	    record.flags, record.length);
	vec[1].iov_len = record.length;
	vec[1].iov_base = some_buffer(s, record.length, one_in(s, 8));
	prepare(s, &vec[1], 1, true);
	if (one_in(s, 16))
		record.length += PICK(s, 1, -1);
	say(s, ")");
	limited = limit_wait(s->fd[slot], POLLOUT);
	result(s, writev(s->fd[slot], vec, 2));
	unlimit_wait(limited);
	observe(s, slot);
}

/* One thread calls ioctl(), the other one plays the hardware, on a channel that nothing else uses. */

struct call {
	int fd, done;
	unsigned int cmd;
	void *arg;
	long ret;
};

static void *caller(void *arg)
{
	struct call *call = arg;

	call->ret = ioctl(call->fd, call->cmd, call->arg);
	if (call->ret < 0)
		call->ret = -errno;
	eventfd_write(call->done, 1);
	return NULL;
}

static long put_record(int peer, unsigned int type, const struct misc_sim_record *fields,
		       const void *payload, size_t length)
{
	struct misc_sim_record record = *fields;
	struct iovec vec[2] = { { &record, sizeof(record) }, { (void *)payload, length } };
	ssize_t ret;

	record.type = type;
	record.length = length;
	ret = writev(peer, vec, 2);
	return ret < 0 ? -errno : ret;
}

/* Return: type of the record, 0 if there is none. Addresses differ between the sides. */
static unsigned int get_record(struct side *s, int peer, void *arg, struct misc_sim_record *record)
{
	static char buf[sizeof(*record) + 20000];
	ssize_t n = read(peer, buf, sizeof(buf));

	say(s, "\n  record:");
	if (n < (ssize_t)sizeof(*record)) {
		say_result(s, n < 0 ? -errno : n);
		return 0;
	}
	memcpy(record, buf, sizeof(*record));
	say(s, " type %u id %llu file %llu value %d flags %u cmd %#x", record->type, record->id,
	    record->file, record->value, record->flags, record->cmd);
	if (record->type == MISC_SIM_RECORD_IOCTL)
		say(s, " %s %s", record->arg == (uintptr_t)arg ? "its arg" : "another arg",
		    record->pid == (unsigned int)getpid() ? "our pid" : "another pid");
	else
		say(s, " arg %#llx pid %u", record->arg, record->pid);
	say_bytes(s, buf + sizeof(*record), n - sizeof(*record));
	return record->type;
}

/* Let the caller return. Return: false if it is not for the peer to do. */
static void answer(struct side *s, int *peer, const struct misc_sim_record *request)
{
	struct misc_sim_record reply = { .id = request->id, .value = PICK(s, 0, 0, 7, -1, -511, 1 << 30) };
	unsigned int most = request->value, length = one_in(s, 3) ? 0 : rnd(s, most + 2);

	if (one_in(s, 4)) {
		reply.id += PICK(s, 1, -1);
		say(s, "\n  another:");
		say_result(s, put_record(*peer, MISC_SIM_RECORD_REPLY, &reply, NULL, 0));
		reply.id = request->id;
	}
	if (one_in(s, 8)) {
		say(s, "\n  close:");
		result(s, close(*peer));
		*peer = -1;
		return;
	}
	if (one_in(s, 8)) {
		say(s, "\n  unplug:");
		result(s, rmdir(config_path(s, "x", "")));
		return;
	}
	prepare(s, &(struct iovec){ s->arena + 8 * PAGE, length }, 1, true);
	say(s, "\n  reply %d, %u bytes:", reply.value, length);
	say_result(s, put_record(*peer, MISC_SIM_RECORD_REPLY, &reply, s->arena + 8 * PAGE, length));
	if (length > most)
		say_result(s, put_record(*peer, MISC_SIM_RECORD_REPLY, &reply, NULL, 0));
	if (one_in(s, 4))
		say_result(s, put_record(*peer, MISC_SIM_RECORD_REPLY, &reply, NULL, 0));
}

static void exchange(struct side *s, struct call *call, int *peer)
{
	struct pollfd p[2] = { { .fd = *peer, .events = POLLIN },
			       { .fd = call->done, .events = POLLIN } };
	struct misc_sim_record record;
	pthread_t thread;

	if (pthread_create(&thread, NULL, caller, call))
		abort();
	do
		poll(p, 2, -1);
	while (!((p[0].revents | p[1].revents) & POLLIN));
	if (!(p[1].revents & POLLIN)) {
		if (one_in(s, 4)) {
			say(s, "\n  short:");
			result(s, read(*peer, &record, sizeof(record) - 1));
		}
		if (get_record(s, *peer, call->arg, &record) == MISC_SIM_RECORD_IOCTL)
			answer(s, peer, &record);
	}
	pthread_join(thread, NULL);
}

void op_exchange(struct side *s)
{
	static const char *const quiet = "fail_ioctl/verbose";
	unsigned int type = PICK(s, 'k', 'T', 0, 255), n = 1 + rnd(s, 3);
	struct misc_sim_record listen = { .arg = one_in(s, 8) ? 'l' : type };
	unsigned int size = PICK(s, 0, 1, 4, 8, 100, 4096, 16383), length = size;
	struct call call = { .cmd = _IOC(rnd(s, 4), type, 1 + rnd(s, 200), size) };
	struct misc_sim_record record;
	struct iovec vec;
	int peer;

	say(s, "(%#x, ", call.cmd);
	call.arg = some_buffer(s, size, true);
	vec = (struct iovec){ call.arg, length };
	say(s, ")");
	mkdir(config_path(s, "x", ""), 0755);
	write_file(config_path(s, "x", quiet), "0", 1);
	set_text(s, "x", "kind", "channel");
	set_text(s, "x", "peer", "records");
	if (one_in(s, 4))
		set_text(s, "x", "fail_ioctl/probability", "100");
	if (one_in(s, 4))
		set_text(s, "x", "latency_us", "100");
	set_text(s, "x", "live", "1");

	call.done = eventfd(0, EFD_CLOEXEC);
	call.fd = open(device_path(s, "/dev", "x"), PICK(s, O_RDWR, O_RDONLY, O_WRONLY) | O_CLOEXEC);
	peer = open(device_path(s, "/dev", "x.peer"), O_RDWR | O_CLOEXEC | O_NONBLOCK);
	while (get_record(s, peer, NULL, &record))
		;
	say_result(s, put_record(peer, MISC_SIM_RECORD_LISTEN, &listen, NULL, 0));
	while (n--) {
		prepare(s, &vec, 1, true);
		exchange(s, &call, &peer);
		say(s, "\n  ioctl:");
		say_result(s, call.ret);
		say_memory(s, &vec, 1);
		eventfd_read(call.done, &(eventfd_t){ 0 });
	}
	close(call.fd);
	while (peer >= 0 && get_record(s, peer, NULL, &record))
		;
	close(peer);
	close(call.done);
	rmdir(config_path(s, "x", ""));
}
