/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages with a checksum, to detect a mixture of two messages, and threads that
 * write them
 */

#ifndef _MISC_SIM_STAMP_H
#define _MISC_SIM_STAMP_H

#include "deadline.h"
#include "helpers.h"

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
	char bytes[STAMP_MAX + 1];	/* one more, to detect a longer message */
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
	int error;		/* that ended it before @stop */
};

static inline void *keep_writing(void *arg)
{
	struct writer *writer = arg;
	union stamped message;
	__u32 sequence = 0;
	ssize_t length, ret;

	while (!writer->error && !__atomic_load_n(writer->stop, __ATOMIC_RELAXED)) {
		length = make_stamp(&message.stamp, writer->id, sequence++);
		ret = write(writer->fd, &message, length);
		if (ret != length)
			writer->error = ret < 0 ? errno : EIO;
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
		join_thread(_metadata, writers[i].thread);
		EXPECT_EQ(0, writers[i].error);
		close(writers[i].fd);
	}
}

#endif /* _MISC_SIM_STAMP_H */
