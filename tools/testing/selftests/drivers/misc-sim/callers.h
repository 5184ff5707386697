/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads that call ioctl() of a channel, and the requests that its peer gets
 */

#ifndef _MISC_SIM_CALLERS_H
#define _MISC_SIM_CALLERS_H

#include <sys/ioctl.h>
#include "records.h"

#define TYPE		'x'	/* that the peer listens to */

static inline int send_listen(int peer, __u64 type)
{
	return send_record(peer, (struct misc_sim_record) {
		.type = MISC_SIM_RECORD_LISTEN,
		.arg = type,
	}, NULL, 0);
}

static inline int send_reply(int peer, __u64 id, int value, const void *payload, size_t length)
{
	return send_record(peer, (struct misc_sim_record) {
		.type = MISC_SIM_RECORD_REPLY,
		.id = id,
		.value = value,
	}, payload, length);
}

/* An open device, whose number the peer knows */
struct listening {
	int device;
	int peer;
	__u64 file;
};

static inline struct listening open_listening(struct __test_metadata *_metadata,
					      const struct instance *inst)
{
	struct channel c = open_records(_metadata, inst, 0);
	struct listening at = { .device = c.ends[DEVICE], .peer = c.ends[PEER] };

	at.file = expect_open(_metadata, at.peer, at.device);
	ASSERT_EQ(0, send_listen(at.peer, TYPE));
	return at;
}

static inline __u32 caller_flags(void)
{
	char bits[8] = "";

	/* Not uname(), which depends on the personality. */
	read_file("/sys/kernel/address_bits", bits, sizeof(bits));
	return sizeof(long) == 4 && !strcmp(bits, "64\n") ? MISC_SIM_RECORD_F_COMPAT : 0;
}

struct caller {
	struct blocked call;
	unsigned int cmd;
	void *arg;
};

static inline ssize_t blocked_ioctl(struct blocked *blocked)
{
	struct caller *caller = (struct caller *)blocked;

	return ioctl(blocked->fd, caller->cmd, caller->arg);
}

static inline void start_caller(struct __test_metadata *_metadata, struct caller *caller,
				int fd, unsigned int cmd, const void *arg)
{
	*caller = (struct caller) {
		.call = { .call = blocked_ioctl, .fd = fd },
		.cmd = cmd,
		.arg = (void *)arg,
	};
	start_call(_metadata, &caller->call);
}

/* The next record is this request. Returns its id. */
static inline __u64 take_request(struct __test_metadata *_metadata, int peer, __u64 file,
				 unsigned int cmd, const void *arg, const void *in,
				 size_t length)
{
	struct misc_sim_record expected = {
		.type = MISC_SIM_RECORD_IOCTL,
		.length = length,
		.file = file,
		.arg = (uintptr_t)arg,
		.value = _IOC_SIZE(cmd),
		.flags = caller_flags(),
		.cmd = cmd,
		.pid = getpid(),
	};
	struct record record;

	next_record(_metadata, peer, &record);
	EXPECT_NE(0, record.head.id);
	expected.id = record.head.id;
	EXPECT_EQ(0, memcmp(&expected, &record.head, sizeof(expected)))
		TH_LOG("type %u length %u arg %#llx value %d flags %u cmd %#x pid %u",
		       record.head.type, record.head.length,
		       (unsigned long long)record.head.arg, record.head.value,
		       record.head.flags, record.head.cmd, record.head.pid);
	if (record.head.length == length)
		EXPECT_EQ(0, memcmp(in, record.payload, length));
	return record.head.id;
}

static inline void expect_result(struct __test_metadata *_metadata, struct caller *caller, int ret)
{
	finish_blocked(_metadata, &caller->call);
	EXPECT_EQ(ret, caller->call.ret);
}

static inline void expect_error(struct __test_metadata *_metadata, struct caller *caller, int error)
{
	expect_failed(_metadata, &caller->call, error);
}

/* The device and the peer still answer. */
static inline void expect_answers(struct __test_metadata *_metadata, const struct listening *at)
{
	struct caller caller;
	int value = 7;
	__u64 id;

	start_caller(_metadata, &caller, at->device, _IOWR(TYPE, 99, int), &value);
	id = take_request(_metadata, at->peer, at->file, caller.cmd, &value, &value,
			  sizeof(value));
	EXPECT_EQ(0, send_reply(at->peer, id, 3, &(int) { 9 }, sizeof(int)));
	expect_result(_metadata, &caller, 3);
	EXPECT_EQ(9, value);
}

#endif /* _MISC_SIM_CALLERS_H */
