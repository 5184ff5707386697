// SPDX-License-Identifier: GPL-2.0-only
/*
 * Callers of ioctl() on a channel of misc-sim: signals, and a peer or device that goes
 */

#include "callers.h"
#include "fault.h"
#include "unplug.h"

FIXTURE(caller) {
	struct instance it;
	struct listening at;
};

DRIVER_VARIANTS(caller);

FIXTURE_SETUP(caller)
{
	if (!driver_is_there(_metadata, variant->driver))
		return;
	self->it = make_instance(_metadata, variant->driver, PREFIX "a");
	self->at = open_listening(_metadata, &self->it);
}

FIXTURE_TEARDOWN_PARENT(caller)
{
	remove_instances(variant->driver);
}

TEST_F(caller, signal_withdraws_request)
{
	struct caller caller;

	start_caller(_metadata, &caller, self->at.device, _IO(TYPE, 1), NULL);
	await_blocked(_metadata, &caller.call);
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, self->at.peer));
	interrupt(_metadata, &caller.call, 0);
	expect_error(_metadata, &caller, EINTR);
	expect_no_record(_metadata, self->at.peer);
	expect_answers(_metadata, &self->at);
}

TEST_F(caller, request_is_restarted)
{
	struct caller caller;
	__u64 id;

	start_caller(_metadata, &caller, self->at.device, _IO(TYPE, 1), NULL);
	await_blocked(_metadata, &caller.call);
	interrupt(_metadata, &caller.call, SA_RESTART);
	await_blocked(_metadata, &caller.call);
	id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd, NULL, "", 0);
	expect_no_record(_metadata, self->at.peer);
	EXPECT_EQ(0, send_reply(self->at.peer, id, 4, NULL, 0));
	expect_result(_metadata, &caller, 4);
}

/* The hardware is at work, and its answer may not be lost. */
TEST_F(caller, signal_after_request_is_taken)
{
	struct caller caller;
	__u64 id;

	handle_signal(_metadata, 0);
	start_caller(_metadata, &caller, self->at.device, _IO(TYPE, 1), NULL);
	id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd, NULL, "", 0);
	ASSERT_EQ(0, pthread_kill(caller.call.thread, SIGUSR1));
	await_state(_metadata, caller.call.tid, 'D');
	EXPECT_EQ(0, __atomic_load_n(&signals, __ATOMIC_RELAXED));
	EXPECT_EQ(0, send_reply(self->at.peer, id, 4, NULL, 0));
	expect_result(_metadata, &caller, 4);
	EXPECT_EQ(1, signals);
}

static pid_t fork_caller(struct __test_metadata *_metadata, int fd)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(ioctl(fd, _IO(TYPE, 1), NULL));
	return pid;
}

TEST_F(caller, caller_is_killed)
{
	struct record record;
	pid_t pid = fork_caller(_metadata, self->at.device);

	await_state(_metadata, pid, 'S');
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, self->at.peer));
	expect_killed(_metadata, pid);
	expect_no_record(_metadata, self->at.peer);

	pid = fork_caller(_metadata, self->at.device);
	next_record(_metadata, self->at.peer, &record);
	EXPECT_EQ(MISC_SIM_RECORD_IOCTL, record.head.type);
	expect_killed(_metadata, pid);
	EXPECT_ERRNO(ENOENT, send_reply(self->at.peer, record.head.id, 0, NULL, 0));
	expect_answers(_metadata, &self->at);
}

/* The end of the peer and of the device */

TEST_F(caller, peer_closes)
{
	struct caller taken, waiting;

	start_caller(_metadata, &taken, self->at.device, _IO(TYPE, 1), NULL);
	take_request(_metadata, self->at.peer, self->at.file, taken.cmd, NULL, "", 0);
	start_caller(_metadata, &waiting, self->at.device, _IO(TYPE, 2), NULL);
	await_blocked(_metadata, &waiting.call);
	close(self->at.peer);
	expect_error(_metadata, &taken, EIO);
	expect_error(_metadata, &waiting, EIO);
	EXPECT_ERRNO(ENOTTY, ioctl(self->at.device, _IO(TYPE, 1), NULL));

	/* The next one has not listened yet, and finds no request. */
	self->at.peer = open_peer(_metadata, &self->it, O_RDWR);
	EXPECT_ERRNO(ENOTTY, ioctl(self->at.device, _IO(TYPE, 1), NULL));
	EXPECT_EQ(self->at.file, expect_open(_metadata, self->at.peer, self->at.device));
	expect_no_record(_metadata, self->at.peer);
	EXPECT_EQ(0, send_listen(self->at.peer, TYPE));
	expect_answers(_metadata, &self->at);
}

/* The peer is a process that dies. */
TEST_F(caller, peer_is_killed)
{
	struct caller caller;
	struct record record;
	pid_t pid = fork();
	int code;

	ASSERT_LE(0, pid);
	if (!pid) {
		if (read(self->at.peer, &record, sizeof(record)) < 0)
			_exit(1);
		raise(SIGKILL);
	}
	close(self->at.peer);
	start_caller(_metadata, &caller, self->at.device, _IO(TYPE, 1), NULL);
	expect_error(_metadata, &caller, EIO);
	EXPECT_EQ(SIGKILL, await_exit(_metadata, pid, &code));
	EXPECT_EQ(CLD_KILLED, code);
}

/* An answer is not mistaken for that of a request to an older peer. */
TEST_F(caller, ids_are_not_used_again)
{
	struct caller caller;
	__u64 old, new;

	start_caller(_metadata, &caller, self->at.device, _IO(TYPE, 1), NULL);
	old = take_request(_metadata, self->at.peer, self->at.file, caller.cmd, NULL, "", 0);
	close(self->at.peer);
	expect_error(_metadata, &caller, EIO);
	self->at.peer = open_peer(_metadata, &self->it, O_RDWR);
	EXPECT_EQ(0, send_listen(self->at.peer, TYPE));
	EXPECT_EQ(self->at.file, expect_open(_metadata, self->at.peer, self->at.device));
	start_caller(_metadata, &caller, self->at.device, _IO(TYPE, 1), NULL);
	new = take_request(_metadata, self->at.peer, self->at.file, caller.cmd, NULL, "", 0);
	EXPECT_NE(old, new);
	EXPECT_ERRNO(ENOENT, send_reply(self->at.peer, old, 0, NULL, 0));
	EXPECT_EQ(0, send_reply(self->at.peer, new, 6, NULL, 0));
	expect_result(_metadata, &caller, 6);
}

TEST_F(caller, unplug)
{
	struct caller taken, waiting;
	__u64 id;

	start_caller(_metadata, &taken, self->at.device, _IO(TYPE, 1), NULL);
	id = take_request(_metadata, self->at.peer, self->at.file, taken.cmd, NULL, "", 0);
	start_caller(_metadata, &waiting, self->at.device, _IO(TYPE, 2), NULL);
	await_blocked(_metadata, &waiting.call);
	unplug(_metadata, &self->it);
	expect_error(_metadata, &taken, ENODEV);
	expect_error(_metadata, &waiting, ENODEV);
	EXPECT_ERRNO(ENODEV, ioctl(self->at.device, _IO(TYPE, 1), NULL));
	EXPECT_ERRNO(ENODEV, send_reply(self->at.peer, id, 0, NULL, 0));
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, self->at.peer));
}

/* The call has failed by the time that the reply is there. */
TEST_F(caller, unplug_during_reply)
{
	struct misc_sim_record head = { .type = MISC_SIM_RECORD_REPLY, .length = 8 };
	struct blocked writer = { .call = blocked_write, .fd = self->at.peer };
	struct caller caller;
	struct hole hole;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	start_caller(_metadata, &caller, self->at.device, _IOC(3, TYPE, 1, 8), text);
	head.id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd, text, text, 8);
	writer.buf = hole.page - sizeof(head);
	writer.length = sizeof(head) + 8;
	memcpy(writer.buf, &head, sizeof(head));
	start_call(_metadata, &writer);
	await_fault(_metadata, &hole);
	unplug(_metadata, &self->it);
	expect_error(_metadata, &caller, ENODEV);
	fill_hole(_metadata, &hole, text, 8);
	expect_failed(_metadata, &writer, ENODEV);
}

/* The caller gives its memory only when its page is there. The peer need not wait. */
TEST_F(caller, argument_that_is_missing)
{
	struct caller caller;
	struct hole hole;
	__u64 id;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	start_caller(_metadata, &caller, self->at.device, _IOC(3, TYPE, 1, 8), hole.page);
	await_fault(_metadata, &hole);
	expect_no_record(_metadata, self->at.peer);
	publish(_metadata, self->at.device, "data", 4);
	expect_data(_metadata, self->at.peer, self->at.file, "data", 4);
	fill_hole(_metadata, &hole, text, TEXT_LEN);
	id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd, hole.page, text, 8);
	EXPECT_EQ(0, send_reply(self->at.peer, id, 0, NULL, 0));
	expect_result(_metadata, &caller, 0);
}

/* Namespaces */

/* The caller is the first process of a namespace. This one sees another number. */
TEST_F(caller, pid_of_caller_in_namespace)
{
	struct record record;
	pid_t pid;
	int code;

	if (unshare(CLONE_NEWPID))
		SKIP(return, "no pid namespaces");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(getpid() == 1 ? ioctl(self->at.device, _IO(TYPE, 1), NULL) : -1);
	next_record(_metadata, self->at.peer, &record);
	EXPECT_EQ(pid, record.head.pid);
	EXPECT_EQ(0, send_reply(self->at.peer, record.head.id, 42, NULL, 0));
	EXPECT_EQ(42, await_exit(_metadata, pid, &code));
}

/* The reader is in a namespace in which the caller has no number. */
TEST_F(caller, pid_for_reader_in_namespace)
{
	struct caller caller;
	struct record record;
	pid_t pid;
	int code;

	start_caller(_metadata, &caller, self->at.device, _IO(TYPE, 1), NULL);
	await_blocked(_metadata, &caller.call);
	if (unshare(CLONE_NEWPID))
		SKIP(return, "no pid namespaces");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (read(self->at.peer, &record, sizeof(record)) != sizeof(record.head))
			_exit(1);
		if (record.head.pid)
			_exit(2);
		_exit(send_reply(self->at.peer, record.head.id, 42, NULL, 0) ? 3 : 0);
	}
	EXPECT_EQ(0, await_exit(_metadata, pid, &code));
	expect_result(_metadata, &caller, 42);
}

/* Latency and faults */

TEST_F(caller, latency)
{
	struct caller caller;
	long long start;
	__u64 id;

	configure(_metadata, &self->it, "latency_us", "60000000");
	EXPECT_ERRNO(ENOTTY, ioctl(self->at.device, TCGETS, NULL));
	start_caller(_metadata, &caller, self->at.device, _IO(TYPE, 1), NULL);
	await_blocked(_metadata, &caller.call);
	interrupt(_metadata, &caller.call, 0);
	expect_error(_metadata, &caller, EINTR);
	expect_no_record(_metadata, self->at.peer);

	configure(_metadata, &self->it, "latency_us", "50000");
	start = now_us();
	start_caller(_metadata, &caller, self->at.device, _IO(TYPE, 1), NULL);
	id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd, NULL, "", 0);
	EXPECT_EQ(0, send_reply(self->at.peer, id, 0, NULL, 0));
	expect_result(_metadata, &caller, 0);
	EXPECT_LE(50000, now_us() - start);
}

/* The peer does not see a call that fails. isatty() uses no fault up. */
TEST_F(caller, fail_ioctl)
{
	if (!has_faults(&self->it))
		SKIP(return, "no fault injection in the driver");

	inject(_metadata, &self->it, "fail_ioctl", 1, 1);
	EXPECT_ERRNO(ENOTTY, ioctl(self->at.device, TCGETS, NULL));
	EXPECT_ERRNO(EIO, ioctl(self->at.device, _IO(TYPE, 1), NULL));
	expect_no_record(_metadata, self->at.peer);
	expect_answers(_metadata, &self->at);
}

TEST_HARNESS_MAIN
