/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One request at a time through io_uring
 */

#ifndef _MISC_SIM_URING_H
#define _MISC_SIM_URING_H

#include <poll.h>
#include "../../../../include/io_uring/mini_liburing.h"
#include "helpers.h"

static inline void uring_submit(struct __test_metadata *_metadata, struct io_uring *ring,
				const struct io_uring_sqe *request)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	ASSERT_TRUE(!!sqe);
	*sqe = *request;
	ASSERT_EQ(1, io_uring_submit(ring));
}

static inline bool uring_is_done(const struct io_uring *ring)
{
	return __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE) != *ring->cq.khead;
}

static inline int uring_wait(struct __test_metadata *_metadata, struct io_uring *ring)
{
	struct pollfd pollfd = { .fd = ring->ring_fd, .events = POLLIN };
	struct io_uring_cqe *cqe;
	int res;

	ASSERT_EQ(1, poll(&pollfd, 1, DEADLINE_MS));
	ASSERT_EQ(0, io_uring_wait_cqe(ring, &cqe));
	res = cqe->res;
	io_uring_cqe_seen(ring);
	return res;
}

static inline struct io_uring_sqe uring_read_request(int fd, void *buf, size_t length)
{
	return (struct io_uring_sqe) {
		.opcode = IORING_OP_READ,
		.fd = fd,
		.addr = (uintptr_t)buf,
		.len = length,
		.off = -1,
	};
}

#endif /* _MISC_SIM_URING_H */
