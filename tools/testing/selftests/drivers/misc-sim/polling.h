/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Asking poll and epoll for events
 */

#ifndef _MISC_SIM_POLLING_H
#define _MISC_SIM_POLLING_H

#include <poll.h>
#include <sys/epoll.h>
#include "kselftest_harness.h"

/* The events of a message device */
#define MESSAGE_SEEN	(POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM)
#define MESSAGE_UNSEEN	(MESSAGE_SEEN | POLLPRI)

/* The events of a stream */
#define STREAM_EMPTY	(POLLOUT | POLLWRNORM)
#define STREAM_READY	(STREAM_EMPTY | POLLIN | POLLRDNORM)

#define UNPLUGGED	(POLLERR | POLLHUP | POLLPRI)

static inline short poll_now(struct __test_metadata *_metadata, int fd)
{
	struct pollfd pollfd = {
		.fd = fd,
		.events = MESSAGE_UNSEEN | POLLRDBAND | POLLWRBAND,
	};

	ASSERT_LE(0, poll(&pollfd, 1, 0));
	return pollfd.revents;
}

static inline int epoll_of(struct __test_metadata *_metadata, int fd, __u32 events)
{
	struct epoll_event event = { .events = events };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	ASSERT_LE(0, epoll);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	return epoll;
}

/* Returns the pending events, or 0 if there are none. */
static inline __u32 epoll_now(struct __test_metadata *_metadata, int epoll)
{
	struct epoll_event event;
	int ret = epoll_wait(epoll, &event, 1, 0);

	ASSERT_LE(0, ret);
	return ret ? event.events : 0;
}

#endif /* _MISC_SIM_POLLING_H */
