// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stress test of channels of misc-sim
 *
 * Processes use both nodes of a channel in every way, while it is unplugged and plugged
 * again, and while they get signals and are killed. No call may hang or return a wrong
 * result, and no place in a queue may be lost. To find other errors, run this on a
 * kernel with KASAN, lockdep and kmemleak.
 *
 * See stress_test.c for the environment variables.
 */

#include <sys/prctl.h>
#include "callers.h"
#include "stamp.h"
#include "stress.h"

#define PROGRAMS	5
#define PEERS		2
#define USERS		(PROGRAMS + PEERS)
#define PROCESSES	(USERS + 1)

FIXTURE(stress) {
	struct instance it;
	struct worker *workers;		/* shared by the processes */
};

DRIVER_VARIANTS(stress);

FIXTURE_SETUP(stress)
{
	set_up_instance(_metadata, variant->driver, &self->it);
	self->workers = mmap(NULL, PROCESSES * sizeof(*self->workers), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(self->workers != MAP_FAILED);
}

FIXTURE_TEARDOWN_PARENT(stress)
{
	remove_instances(variant->driver);
}

/* Processes with odd numbers use O_NONBLOCK. */
static int flags_of(const struct worker *worker)
{
	return O_RDWR | O_CLOEXEC | (worker->id % 2 ? O_NONBLOCK : 0);
}

static void wait_for_events(struct worker *worker, int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = pick(worker, 2) ? POLLIN : POLLOUT };

	check(worker, "poll", poll(&pollfd, 1, pick(worker, 3)), EINTR);
}

static void check_message(struct worker *worker, const struct stamp *stamp, ssize_t length)
{
	if (!stamp_is_whole(stamp, length))
		record_failure(worker, "read", "torn message");
}

/* Read a message as a whole or in two parts. */
static void receive(struct worker *worker, int fd)
{
	union stamped message;
	size_t part = pick(worker, 2) ? sizeof(message) : sizeof(message.stamp);
	ssize_t length, rest;

	length = read(fd, &message, part);
	if (!check(worker, "read", length, ENODEV, EAGAIN, EINTR) || !length)
		return;
	if (length == sizeof(message.stamp) && message.stamp.length > length) {
		rest = read(fd, message.bytes + length, sizeof(message) - length);
		if (!check(worker, "read of the rest", rest, ENODEV))
			return;
		length += rest;
	}
	check_message(worker, &message.stamp, length);
}

static void send(struct worker *worker, int fd)
{
	union stamped message;
	size_t length = make_stamp(&message.stamp, worker->id, worker->sequence++);
	ssize_t ret = write(fd, &message, length);

	if (check(worker, "write", ret, ENODEV, EAGAIN, EINTR) && ret != (ssize_t)length)
		record_failure(worker, "write", "short");
}

/* The peer answers with the next message, and returns the number of this one. */
static void request(struct worker *worker, int fd)
{
	union stamped message, answer;
	int ret;

	make_stamp(&message.stamp, worker->id, worker->sequence);
	ret = ioctl(fd, _IOWR(TYPE, 0, message), &message);
	if (check(worker, "ioctl", ret, ENODEV, ENOTTY, EIO, EINTR) &&
	    (ret != (int)worker->sequence ||
	     memcmp(&answer, &message, make_stamp(&answer.stamp, worker->id, ret + 1))))
		record_failure(worker, "ioctl", "wrong answer");
	worker->sequence += 2;
}

static void use_device(struct worker *worker)
{
	int i, fd = open(worker->instances->node, flags_of(worker));

	if (!check(worker, "open", fd, ENOENT, ENODEV, ENXIO))
		return;
	for (i = pick(worker, 32); i; i--) {
		switch (pick(worker, 4)) {
		case 0:
			receive(worker, fd);
			break;
		case 1:
			send(worker, fd);
			break;
		case 2:
			wait_for_events(worker, fd);
			break;
		default:
			request(worker, fd);
		}
	}
	close(fd);
}

static int try_peer(struct worker *worker)
{
	char path[PEER_PATH_LEN];
	int fd;

	peer_path(worker->instances, path);
	fd = open(path, flags_of(worker));
	check(worker, "open of the peer", fd, ENOENT, ENODEV, ENXIO, EBUSY);
	return fd;
}

static void use_raw_peer(struct worker *worker)
{
	int i, fd = try_peer(worker);

	for (i = fd < 0 ? 0 : pick(worker, 64); i; i--) {
		switch (pick(worker, 4)) {
		case 0:
			wait_for_events(worker, fd);
			break;
		case 1:
			send(worker, fd);
			break;
		default:
			receive(worker, fd);
		}
	}
	close(fd);
}

static void answer(struct worker *worker, int fd, const struct record *request)
{
	const struct stamp *stamp = (const struct stamp *)request->payload;
	union stamped message;
	size_t length = make_stamp(&message.stamp, stamp->writer, stamp->sequence + 1);

	check(worker, "reply", send_reply(fd, request->head.id, stamp->sequence, &message, length),
	      ENODEV, ENOENT);
}

/* Leaves some requests without an answer until the peer closes. */
static void receive_record(struct worker *worker, int fd)
{
	struct record record;
	const struct stamp *stamp = (const struct stamp *)record.payload;
	size_t room = pick(worker, 8) ? sizeof(record) : sizeof(record.head);
	ssize_t length = read(fd, &record, room);

	if (!check(worker, "read of a record", length, ENODEV, EAGAIN, EINTR,
		   room < sizeof(record) ? EINVAL : 0))
		return;
	if (length != (ssize_t)(sizeof(record.head) + record.head.length))
		record_failure(worker, "read of a record", "wrong length");
	if (record.head.type == MISC_SIM_RECORD_DATA)
		check_message(worker, stamp, record.head.length);
	if (record.head.type == MISC_SIM_RECORD_IOCTL) {
		check_message(worker, stamp, stamp->length);
		if (pick(worker, 8))
			answer(worker, fd, &record);
	}
}

static void send_records(struct worker *worker, int fd)
{
	struct misc_sim_record events = {
		.type = MISC_SIM_RECORD_EVENTS,
		.arg = pick(worker, 2) ? POLLERR | POLLPRI : 0,
	};
	union stamped message;
	size_t length = make_stamp(&message.stamp, worker->id, worker->sequence++);

	switch (pick(worker, 8)) {
	case 0:
		check(worker, "flush", send_flush(fd), ENODEV);
		break;
	case 1:
		check(worker, "events", send_record(fd, events, NULL, 0), ENODEV);
		break;
	case 2:
		check(worker, "reply to nobody", send_reply(fd, 0, 0, NULL, 0), ENODEV, ENOENT);
		break;
	default:
		check(worker, "data", send_data(fd, &message, pick(worker, 4) ? length : 0),
		      ENODEV, EAGAIN, EINTR);
	}
}

static void use_records(struct worker *worker)
{
	int i, fd = try_peer(worker);

	if (fd >= 0)
		check(worker, "listen", send_listen(fd, TYPE), ENODEV);
	for (i = fd < 0 ? 0 : pick(worker, 64); i; i--) {
		switch (pick(worker, 4)) {
		case 0:
			wait_for_events(worker, fd);
			break;
		case 1:
			send_records(worker, fd);
			break;
		default:
			receive_record(worker, fd);
		}
	}
	close(fd);
}

static void replug(struct worker *worker)
{
	poll(NULL, 0, pick(worker, 20));
	check(worker, "unplug", set_attribute(worker->instances, "live", "0"), EINTR);
	check(worker, "plug", set_attribute(worker->instances, "live", "1"), EINTR);
}

static void start_process(struct __test_metadata *_metadata, struct worker *worker)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (pid) {
		worker->pid = pid;
		return;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		worker->run(worker);
}

/* Nothing waits any more, and all places in both queues are free. */
static void expect_works(struct __test_metadata *_metadata, const struct instance *inst,
			 bool records)
{
	struct channel c;
	struct record record;
	int i;

	plug(_metadata, inst);
	c.ends[DEVICE] = open_node(_metadata, inst->node, O_RDWR | O_NONBLOCK);
	c.ends[PEER] = open_peer(_metadata, inst, O_RDWR | O_NONBLOCK);
	for (i = 0; i < ENDS; i++)
		while (read(c.ends[i], &record, sizeof(record)) >= 0)
			;
	fill_queue(_metadata, c.ends[DEVICE]);
	for (i = 0; records && i < SLOTS; i++)
		EXPECT_EQ(0, send_data(c.ends[PEER], &i, sizeof(i)));
	if (!records)
		fill_queue(_metadata, c.ends[PEER]);
	expect_queue(_metadata, c.ends[DEVICE], 0);
	for (i = 0; i < ENDS; i++)
		close(c.ends[i]);
}

/* Interrupt processes, or kill and replace them, at random. */
static void disturb(struct __test_metadata *_metadata, struct worker *chance,
		    struct worker *workers, int count, int ms)
{
	long long end = now_ms() + ms;
	struct worker *victim;

	while (now_ms() < end || !all_succeeded(workers, count)) {
		victim = &workers[pick(chance, count)];
		if (pick(chance, 4)) {
			ASSERT_EQ(0, kill(victim->pid, SIGUSR1));
		} else {
			expect_killed(_metadata, victim->pid);
			start_process(_metadata, victim);
		}
		poll(NULL, 0, pick(chance, 10));
	}
}

static void storm(struct __test_metadata *_metadata, const struct instance *inst,
		  struct worker *workers, void (*use_peer)(struct worker *worker))
{
	struct worker chance = { .random = stress_seed() };
	int i;

	TH_LOG("MISC_SIM_STRESS_SEED=%u", chance.random);
	configure(_metadata, inst, "kind", "channel");
	handle_signal(_metadata, 0);
	for (i = 0; i < PROCESSES; i++) {
		workers[i].instances = inst;
		workers[i].id = i;
		workers[i].random = chance.random + i;
		workers[i].run = i < PROGRAMS ? use_device : i < USERS ? use_peer : replug;
		start_process(_metadata, &workers[i]);
	}
	disturb(_metadata, &chance, workers, PROCESSES, stress_seconds() * 1000);

	/* Without unplugging, a place that is lost stays lost. */
	expect_killed(_metadata, workers[USERS].pid);
	plug(_metadata, inst);
	disturb(_metadata, &chance, workers, USERS, 1000);
	for (i = 0; i < USERS; i++)
		expect_killed(_metadata, workers[i].pid);
	for (i = 0; i < PROCESSES; i++)
		EXPECT_EQ(0, workers[i].failures) TH_LOG("%s", workers[i].failure);

	/* The channel that was in use, and a new one */
	expect_works(_metadata, inst, use_peer == use_records);
	unplug(_metadata, inst);
	expect_works(_metadata, inst, use_peer == use_records);
}

TEST_F_TIMEOUT(stress, raw_peer, stress_seconds() + 60)
{
	storm(_metadata, &self->it, self->workers, use_raw_peer);
}

TEST_F_TIMEOUT(stress, peer_with_records, stress_seconds() + 60)
{
	configure(_metadata, &self->it, "peer", "records");
	storm(_metadata, &self->it, self->workers, use_records);
}

TEST_HARNESS_MAIN
