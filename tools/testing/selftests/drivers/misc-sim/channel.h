/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Channels: a device and its peer, which a test uses to play the hardware
 */

#ifndef _MISC_SIM_CHANNEL_H
#define _MISC_SIM_CHANNEL_H

#include "blocked.h"
#include "instance.h"
#include "polling.h"

#define SLOTS		16	/* messages that a queue holds */

#define READABLE	(POLLIN | POLLRDNORM)
#define WRITABLE	(POLLOUT | POLLWRNORM)

#define PEER_PATH_LEN	(PATH_LEN + sizeof(".peer"))

/* The two ends of a channel. Most cases are the same in both directions. */
enum { DEVICE, PEER, ENDS };

struct channel {
	int ends[ENDS];
};

static inline void peer_path(const struct instance *inst, char path[PEER_PATH_LEN])
{
	snprintf(path, PEER_PATH_LEN, "%s.peer", inst->node);
}

static inline int open_peer(struct __test_metadata *_metadata, const struct instance *inst,
			    int flags)
{
	char path[PEER_PATH_LEN];

	peer_path(inst, path);
	return open_node(_metadata, path, flags);
}

static inline void plug_channel(struct __test_metadata *_metadata, const struct instance *inst)
{
	configure(_metadata, inst, "kind", "channel");
	plug(_metadata, inst);
}

static inline struct channel open_channel(struct __test_metadata *_metadata,
					  const struct instance *inst, int flags)
{
	struct channel channel;

	plug_channel(_metadata, inst);
	channel.ends[DEVICE] = open_node(_metadata, inst->node, O_RDWR | flags);
	channel.ends[PEER] = open_peer(_metadata, inst, O_RDWR | flags);
	return channel;
}

/* Each message is its number, so that one that is lost or out of order shows. */
static inline void send_number(struct __test_metadata *_metadata, int fd, int number)
{
	ASSERT_EQ(sizeof(number), write(fd, &number, sizeof(number)));
}

static inline void expect_number(struct __test_metadata *_metadata, int fd, int number)
{
	expect_message(_metadata, fd, &number, sizeof(number));
}

static inline void fill_queue(struct __test_metadata *_metadata, int fd)
{
	int i;

	for (i = 0; i < SLOTS; i++) {
		EXPECT_EQ(WRITABLE, poll_now(_metadata, fd) & WRITABLE);
		send_number(_metadata, fd, i);
	}
	EXPECT_EQ(0, poll_now(_metadata, fd) & WRITABLE);
}

/* What fill_queue() sent, from the message with the number @first on. */
static inline void expect_queue(struct __test_metadata *_metadata, int fd, int first)
{
	int i;

	for (i = first; i < SLOTS; i++)
		expect_number(_metadata, fd, i);
}

/* Nothing is there to read. The file must not be one that blocks. */
static inline void expect_empty(struct __test_metadata *_metadata, int fd)
{
	char c;

	EXPECT_EQ(0, poll_now(_metadata, fd) & READABLE);
	EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
}

#endif /* _MISC_SIM_CHANNEL_H */
