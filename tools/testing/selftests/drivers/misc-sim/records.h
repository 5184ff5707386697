/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Channels whose peer reads and writes records
 */

#ifndef _MISC_SIM_RECORDS_H
#define _MISC_SIM_RECORDS_H

#include <assert.h>
#include <sys/uio.h>
#include "channel.h"

#define PAYLOAD_MAX	16383	/* _IOC_SIZE has 14 bits, or 13 on some architectures */

static_assert(sizeof(struct misc_sim_record) == 48, "also for 32-bit programs");

struct record {
	struct misc_sim_record head;
	unsigned char payload[PAYLOAD_MAX + 1];
};

static inline void plug_records(struct __test_metadata *_metadata, const struct instance *inst)
{
	configure(_metadata, inst, "peer", "records");
	plug_channel(_metadata, inst);
}

static inline struct channel open_records(struct __test_metadata *_metadata,
					  const struct instance *inst, int flags)
{
	configure(_metadata, inst, "peer", "records");
	return open_channel(_metadata, inst, flags);
}

/* Returns 0 if the record is written as a whole. */
static inline int send_record(int peer, struct misc_sim_record head, const void *payload,
			      size_t length)
{
	struct iovec iov[] = { { &head, sizeof(head) }, { (void *)payload, length } };

	head.length = length;
	return writev(peer, iov, 2) == (ssize_t)(sizeof(head) + length) ? 0 : -1;
}

static inline int send_data(int peer, const void *data, size_t length)
{
	return send_record(peer, (struct misc_sim_record) { .type = MISC_SIM_RECORD_DATA },
			   data, length);
}

static inline int send_flush(int peer)
{
	return send_record(peer, (struct misc_sim_record) { .type = MISC_SIM_RECORD_FLUSH },
			   NULL, 0);
}

static inline void await_record(struct __test_metadata *_metadata, int peer)
{
	struct pollfd pollfd = { .fd = peer, .events = POLLIN };

	ASSERT_EQ(1, poll(&pollfd, 1, DEADLINE_MS))
		TH_LOG("no record");
}

/* Wait for the next record. Its length is right, and no byte after it has been written. */
static inline void next_record(struct __test_metadata *_metadata, int peer,
			       struct record *record)
{
	size_t i, dirt = 0;
	ssize_t length;

	await_record(_metadata, peer);
	memset(record, POISON, sizeof(*record));
	length = read(peer, record, sizeof(*record));
	ASSERT_LE((ssize_t)sizeof(record->head), length);
	ASSERT_EQ(length, sizeof(record->head) + record->head.length);
	for (i = record->head.length; i < sizeof(record->payload); i++)
		dirt += record->payload[i] != POISON;
	EXPECT_EQ(0, dirt);
}

/* The next record is @head with @payload. Its file is @file, or any if that is NULL. */
static inline void expect_record(struct __test_metadata *_metadata, int peer,
				 struct misc_sim_record head, const __u64 *file,
				 const void *payload, size_t length)
{
	struct record record;

	next_record(_metadata, peer, &record);
	head.file = file ? *file : record.head.file;
	head.length = length;
	EXPECT_EQ(head.type, record.head.type);
	EXPECT_EQ(0, memcmp(&head, &record.head, sizeof(head)));
	if (record.head.length == length)
		EXPECT_EQ(0, memcmp(payload, record.payload, length));
}

/* The next record says that @fd has been opened. Returns the number of the file. */
static inline __u64 expect_open(struct __test_metadata *_metadata, int peer, int fd)
{
	struct misc_sim_record expected = {
		.type = MISC_SIM_RECORD_OPEN,
		.arg = (unsigned int)fcntl(fd, F_GETFL),
	};
	struct record record;

	next_record(_metadata, peer, &record);
	expected.file = record.head.file;
	EXPECT_EQ(0, memcmp(&expected, &record.head, sizeof(expected)))
		TH_LOG("type %u, arg %#llx", record.head.type,
		       (unsigned long long)record.head.arg);
	return record.head.file;
}

static inline void expect_close(struct __test_metadata *_metadata, int peer, __u64 file)
{
	expect_record(_metadata, peer,
		      (struct misc_sim_record) { .type = MISC_SIM_RECORD_CLOSE }, &file, "", 0);
}

static inline void expect_data(struct __test_metadata *_metadata, int peer, __u64 file,
			       const void *data, size_t length)
{
	expect_record(_metadata, peer,
		      (struct misc_sim_record) { .type = MISC_SIM_RECORD_DATA }, &file,
		      data, length);
}

/* No record waits. The peer need not be one that does not block. */
static inline void expect_no_record(struct __test_metadata *_metadata, int peer)
{
	struct record record;
	struct iovec iov = { &record, sizeof(record) };

	EXPECT_EQ(0, poll_now(_metadata, peer) & READABLE);
	EXPECT_ERRNO(EAGAIN, preadv2(peer, &iov, 1, -1, RWF_NOWAIT));
}

#endif /* _MISC_SIM_RECORDS_H */
