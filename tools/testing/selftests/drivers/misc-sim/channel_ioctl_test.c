// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioctls of a channel of misc-sim: arguments, replies and types
 *
 * See channel_caller_test.c for what ends a call.
 */

#include <linux/fiemap.h>
#include <linux/fs.h>
#include "callers.h"

#define CALLERS		8

FIXTURE(ioctl) {
	struct instance it;
	struct listening at;
};

DRIVER_VARIANTS(ioctl);

FIXTURE_SETUP(ioctl)
{
	if (!driver_is_there(_metadata, variant->driver))
		return;
	self->it = make_instance(_metadata, variant->driver, PREFIX "a");
	self->at = open_listening(_metadata, &self->it);
}

FIXTURE_TEARDOWN_PARENT(ioctl)
{
	remove_instances(variant->driver);
}

/* The direction says nothing: the argument goes in and the reply goes out with each. */
TEST_F(ioctl, directions)
{
	static const int sizes[] = { 1, 4, 8, 100, 4096, (1 << _IOC_SIZEBITS) - 1 };
	static unsigned char arg[PAYLOAD_MAX + 1], in[PAYLOAD_MAX], out[PAYLOAD_MAX];
	struct caller caller;
	unsigned int dir, i, n;
	__u64 id, last = 0;

	for (n = 0; n < sizeof(in); n++) {
		in[n] = n * 7 + n / 256;
		out[n] = ~in[n];
	}
	for (dir = 0; dir <= 3; dir++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			memcpy(arg, in, sizes[i]);
			arg[sizes[i]] = POISON;
			start_caller(_metadata, &caller, self->at.device,
				     _IOC(dir, TYPE, i, sizes[i]), arg);
			id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd,
					  arg, in, sizes[i]);
			EXPECT_NE(last, id);
			last = id;
			EXPECT_EQ(0, send_reply(self->at.peer, id, 0, out, sizes[i]));
			expect_result(_metadata, &caller, 0);
			EXPECT_EQ(0, memcmp(out, arg, sizes[i]));
			EXPECT_EQ(POISON, arg[sizes[i]]);
		}
	}
}

/* An argument that is a number, or nothing */
TEST_F(ioctl, argument_is_no_pointer)
{
	static const unsigned long args[] = { 0, 1, 64, ~0UL };
	struct caller caller;
	unsigned int i;
	__u64 id;

	for (i = 0; i < ARRAY_SIZE(args); i++) {
		start_caller(_metadata, &caller, self->at.device, _IO(TYPE, 1),
			     (void *)args[i]);
		id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd,
				  (void *)args[i], "", 0);
		EXPECT_EQ(0, send_reply(self->at.peer, id, i, NULL, 0));
		expect_result(_metadata, &caller, i);

		/* As RTC_IRQP_SET, which has a size, and takes a number */
		start_caller(_metadata, &caller, self->at.device,
			     _IOW(TYPE, 2, unsigned long), (void *)args[i]);
		id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd,
				  (void *)args[i], "", 0);
		EXPECT_EQ(0, send_reply(self->at.peer, id, -EDOM, NULL, 0));
		expect_error(_metadata, &caller, EDOM);
	}
	expect_answers(_metadata, &self->at);
}

/* What cannot be read as a whole is not read at all. */
TEST_F(ioctl, argument_half_readable)
{
	char *bad = bad_page(_metadata);
	struct caller caller;
	unsigned int good;
	__u64 id;

	for (good = 0; good < 8; good++) {
		start_caller(_metadata, &caller, self->at.device, _IOWR(TYPE, 1, __u64),
			     bad - good);
		id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd,
				  bad - good, "", 0);
		EXPECT_EQ(0, send_reply(self->at.peer, id, 0, text, good));
		expect_result(_metadata, &caller, 0);
		EXPECT_EQ(0, memcmp(text, bad - good, good));
	}
}

TEST_F(ioctl, reply_that_cannot_be_stored)
{
	char *bad = bad_page(_metadata);
	struct caller caller;
	unsigned int good;
	__u64 id;

	for (good = 0; good < 8; good++) {
		start_caller(_metadata, &caller, self->at.device, _IOR(TYPE, 1, __u64),
			     bad - good);
		id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd,
				  bad - good, "", 0);
		EXPECT_EQ(0, send_reply(self->at.peer, id, 0, text, 8));
		expect_error(_metadata, &caller, EFAULT);
		EXPECT_ERRNO(ENOENT, send_reply(self->at.peer, id, 0, NULL, 0));
	}
}

/* Exactly the bytes of the reply go out. */
TEST_F(ioctl, short_reply)
{
	unsigned char arg[8], expected[8];
	struct caller caller;
	unsigned int length;
	__u64 id;

	for (length = 0; length <= sizeof(arg); length++) {
		memset(arg, POISON, sizeof(arg));
		memset(expected, POISON, sizeof(expected));
		start_caller(_metadata, &caller, self->at.device, _IOR(TYPE, 1, arg), arg);
		id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd, arg,
				  expected, sizeof(arg));
		EXPECT_EQ(0, send_reply(self->at.peer, id, 0, text, length));
		expect_result(_metadata, &caller, 0);
		memcpy(expected, text, length);
		EXPECT_EQ(0, memcmp(expected, arg, sizeof(arg)));
	}
}

/* The peer may try again. */
TEST_F(ioctl, replies_refused)
{
	static const int values[] = { -512, -4095, -65536, INT_MIN };
	struct caller caller;
	unsigned int i;
	int arg = 1;
	__u64 id;

	start_caller(_metadata, &caller, self->at.device, _IOWR(TYPE, 1, int), &arg);
	id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd, &arg, &arg, 4);
	EXPECT_ERRNO(EINVAL, send_reply(self->at.peer, id, 0, text, 5));
	EXPECT_ERRNO(EINVAL, send_reply(self->at.peer, id, 0, text, TEXT_LEN));
	for (i = 0; i < ARRAY_SIZE(values); i++)
		EXPECT_ERRNO(EINVAL, send_reply(self->at.peer, id, values[i], NULL, 0));
	EXPECT_ERRNO(EFAULT, send_reply(self->at.peer, id, 0, bad_page(_metadata), 4));
	EXPECT_ERRNO(ENOENT, send_reply(self->at.peer, 0, 0, NULL, 0));
	EXPECT_ERRNO(ENOENT, send_reply(self->at.peer, id + 1, 0, NULL, 0));
	EXPECT_ERRNO(ENOENT, send_reply(self->at.peer, id | 1ULL << 32, 0, NULL, 0));
	EXPECT_ERRNO(ENOENT, send_reply(self->at.peer, ~0ULL, 0, NULL, 0));
	EXPECT_EQ(0, send_reply(self->at.peer, id, 5, &(int) { 2 }, 4));
	expect_result(_metadata, &caller, 5);
	EXPECT_EQ(2, arg);
	EXPECT_ERRNO(ENOENT, send_reply(self->at.peer, id, 0, NULL, 0));
}

/* The peer answers requests, not a message that it is just reading. */
TEST_F(ioctl, reply_to_message)
{
	struct blocked reader = { .call = blocked_read, .fd = self->at.peer };
	size_t head = sizeof(struct misc_sim_record);
	struct hole hole;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	publish(_metadata, self->at.device, text, TEXT_LEN);
	reader.buf = hole.page - head;
	reader.length = head + TEXT_LEN;
	start_call(_metadata, &reader);
	await_fault(_metadata, &hole);
	EXPECT_ERRNO(ENOENT, send_reply(self->at.peer, 0, 0, NULL, 0));
	fill_hole(_metadata, &hole, "", 0);
	finish_blocked(_metadata, &reader);
	EXPECT_EQ(head + TEXT_LEN, reader.ret);
	EXPECT_EQ(0, memcmp(text, hole.page, TEXT_LEN));
	fill_queue(_metadata, self->at.device);
}

TEST_F(ioctl, results)
{
	static const int values[] = { 0, 1, INT_MAX, -1, -EINVAL, -ENOTTY, -EAGAIN, -511 };
	struct caller caller;
	unsigned int i;
	__u64 id;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		start_caller(_metadata, &caller, self->at.device, _IO(TYPE, 1), NULL);
		id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd, NULL,
				  "", 0);
		EXPECT_EQ(0, send_reply(self->at.peer, id, values[i], NULL, 0));
		if (values[i] < 0)
			expect_error(_metadata, &caller, -values[i]);
		else
			expect_result(_metadata, &caller, values[i]);
	}
}

/* Types */

TEST_F(ioctl, types_that_nobody_listens_to)
{
	struct caller caller;
	__u64 id;
	int type;

	for (type = 0; type < 256; type++)
		if (type != TYPE)
			EXPECT_ERRNO(ENOTTY, ioctl(self->at.device, _IOC(3, type, 1, 4), NULL));
	expect_no_record(_metadata, self->at.peer);

	/* A peer listens to as many as it likes. */
	EXPECT_EQ(0, send_listen(self->at.peer, 255));
	EXPECT_EQ(0, send_listen(self->at.peer, MISC_SIM_IOC_MAGIC));
	for (type = 0; type < 3; type++) {
		static const unsigned int cmds[] = {
			_IO(255, 1), MISC_SIM_IOC_INFO, MISC_SIM_IOC_REPLACE,
		};

		start_caller(_metadata, &caller, self->at.device, cmds[type], NULL);
		id = take_request(_metadata, self->at.peer, self->at.file, cmds[type], NULL,
				  "", 0);
		EXPECT_EQ(0, send_reply(self->at.peer, id, 0, NULL, 0));
		expect_result(_metadata, &caller, 0);
	}
	expect_answers(_metadata, &self->at);
}

TEST_F(ioctl, listen)
{
	int i;

	EXPECT_ERRNO(EINVAL, send_listen(self->at.peer, 256));
	EXPECT_ERRNO(EINVAL, send_listen(self->at.peer, 1ULL << 32 | TYPE));
	EXPECT_ERRNO(EINVAL, send_listen(self->at.peer, ~0ULL));

	/* Neither this nor a reply waits for room. */
	for (i = 0; i < SLOTS; i++)
		EXPECT_EQ(0, send_data(self->at.peer, &i, sizeof(i)));
	EXPECT_EQ(0, poll_now(_metadata, self->at.peer));
	EXPECT_EQ(0, send_listen(self->at.peer, 0));
	EXPECT_EQ(0, send_listen(self->at.peer, 255));
	EXPECT_EQ(0, send_listen(self->at.peer, TYPE));
	expect_answers(_metadata, &self->at);
}

TEST_F(ioctl, listen_with_payload)
{
	struct misc_sim_record head = { .type = MISC_SIM_RECORD_LISTEN, .arg = 255 };

	EXPECT_ERRNO(EINVAL, send_record(self->at.peer, head, text, TEXT_LEN));
	EXPECT_ERRNO(ENOTTY, ioctl(self->at.device, _IO(255, 1), NULL));
}

/* No peer can answer these. */
TEST_F(ioctl, handled_by_the_kernel)
{
	static const struct {
		unsigned int cmd;
		int error;
	} calls[] = {
		{ FIOCLEX }, { FIONCLEX }, { FIONBIO }, { FIOASYNC }, { FIGETBSZ },
		{ FIOQSIZE, ENOTTY }, { FICLONE, EBADF }, { FS_IOC_FIEMAP, EOPNOTSUPP },
	};
	unsigned int i;
	int arg, ret;

	for (i = 0; i < 256; i++)
		EXPECT_EQ(0, send_listen(self->at.peer, i));
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		arg = 0;
		ret = ioctl(self->at.device, calls[i].cmd, &arg);
		EXPECT_EQ(calls[i].error, ret ? errno : 0)
			TH_LOG("%#x", calls[i].cmd);
	}
	expect_no_record(_metadata, self->at.peer);
}

/* stdio and Python call isatty() whenever they open a file. */
TEST_F(ioctl, one_thread_has_both_ends)
{
	FILE *file = fdopen(self->at.device, "r+");

	ASSERT_TRUE(!!file);
	EXPECT_EQ(0, isatty(self->at.device));
	EXPECT_EQ(ENOTTY, errno);
	setvbuf(file, NULL, _IOLBF, 0);
	EXPECT_EQ(3, fprintf(file, "hi\n"));
	expect_data(_metadata, self->at.peer, self->at.file, "hi\n", 3);
	EXPECT_EQ(0, isatty(self->at.peer));
}

/* Requests are beside the 16, in order with the data, and wait even with O_NONBLOCK. */
TEST_F(ioctl, in_order_with_data)
{
	int fd = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK), i;
	__u64 file = expect_open(_metadata, self->at.peer, fd), id;
	struct caller caller;

	for (i = 0; i < SLOTS; i++)
		send_number(_metadata, fd, i);
	start_caller(_metadata, &caller, fd, _IO(TYPE, 1), NULL);
	await_blocked(_metadata, &caller.call);
	EXPECT_ERRNO(EAGAIN, write(fd, text, TEXT_LEN));
	for (i = 0; i < SLOTS; i++)
		expect_data(_metadata, self->at.peer, file, &i, sizeof(i));
	send_number(_metadata, fd, SLOTS);
	id = take_request(_metadata, self->at.peer, file, caller.cmd, NULL, "", 0);
	expect_data(_metadata, self->at.peer, file, &i, sizeof(i));
	EXPECT_EQ(0, send_reply(self->at.peer, id, 0, NULL, 0));
	expect_result(_metadata, &caller, 0);
}

TEST_F(ioctl, short_buffer)
{
	struct record record;
	size_t whole = sizeof(record.head) + 8, length;
	char *bad = bad_page(_metadata);
	struct caller caller;
	int round;
	__u64 id;

	/* The request is not taken, so a signal still withdraws it. */
	for (round = 0; round < 2; round++) {
		start_caller(_metadata, &caller, self->at.device, _IOC(3, TYPE, 1, 8), text);
		await_record(_metadata, self->at.peer);
		for (length = 1; length < whole; length++)
			EXPECT_ERRNO(EINVAL, read(self->at.peer, &record, length));
		EXPECT_ERRNO(EFAULT, read(self->at.peer, bad, whole));
		EXPECT_ERRNO(EFAULT, read(self->at.peer, bad - 47, whole));
		EXPECT_ERRNO(EFAULT, read(self->at.peer, bad - whole + 1, whole));
		if (round) {
			await_blocked(_metadata, &caller.call);
			interrupt(_metadata, &caller.call, 0);
			expect_error(_metadata, &caller, EINTR);
			expect_no_record(_metadata, self->at.peer);
		} else {
			id = take_request(_metadata, self->at.peer, self->at.file, caller.cmd,
					  text, text, 8);
			EXPECT_EQ(0, send_reply(self->at.peer, id, 0, NULL, 0));
			expect_result(_metadata, &caller, 0);
		}
	}
}

TEST_F(ioctl, replies_in_any_order)
{
	static const int order[CALLERS] = { 3, 0, 7, 1, 6, 2, 5, 4 };
	struct caller callers[CALLERS];
	int i, fds[CALLERS], args[CALLERS], reply;
	__u64 ids[CALLERS], file;

	for (i = 0; i < CALLERS; i++) {
		fds[i] = self->at.device;
		file = self->at.file;
		if (i % 2) {
			fds[i] = open_node(_metadata, self->it.node, O_RDWR);
			file = expect_open(_metadata, self->at.peer, fds[i]);
		}
		args[i] = i;
		start_caller(_metadata, &callers[i], fds[i], _IOWR(TYPE, i, int), &args[i]);
		ids[i] = take_request(_metadata, self->at.peer, file, callers[i].cmd,
				      &args[i], &args[i], sizeof(int));
	}
	for (i = 0; i < CALLERS; i++) {
		reply = 100 + order[i];
		EXPECT_EQ(0, send_reply(self->at.peer, ids[order[i]], order[i], &reply,
					sizeof(reply)));
		expect_result(_metadata, &callers[order[i]], order[i]);
		EXPECT_EQ(100 + order[i], args[order[i]]);
	}
}

TEST_HARNESS_MAIN
