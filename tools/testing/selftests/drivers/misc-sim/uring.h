/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * io_uring requests and their completions
 */

#ifndef _MISC_SIM_URING_H
#define _MISC_SIM_URING_H

/* Its inline functions cast pointers to long long, even if pointers have 32 bits. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpointer-to-int-cast"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include "../../../../include/io_uring/mini_liburing.h"
#pragma GCC diagnostic pop

#include "deadline.h"
#include "helpers.h"

/* Skips the case and returns false if the kernel has no io_uring. */
static inline bool uring_init(struct __test_metadata *_metadata, struct io_uring *ring)
{
	if (io_uring_queue_init(8, ring, 0))
		SKIP(return false, "no io_uring");
	return true;
}

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

struct uring_completion {
	__u64 user_data;
	int res;
	__u32 flags;
};

/* Wait for the next completion. */
static inline struct uring_completion uring_next(struct __test_metadata *_metadata,
						 struct io_uring *ring)
{
	struct pollfd pollfd = { .fd = ring->ring_fd, .events = POLLIN };
	struct uring_completion completion;
	struct io_uring_cqe *cqe;

	ASSERT_EQ(1, poll(&pollfd, 1, DEADLINE_MS))
		TH_LOG("the request does not complete");
	ASSERT_EQ(0, io_uring_wait_cqe(ring, &cqe));
	completion = (struct uring_completion) { cqe->user_data, cqe->res, cqe->flags };
	io_uring_cqe_seen(ring);
	return completion;
}

static inline int uring_wait(struct __test_metadata *_metadata, struct io_uring *ring)
{
	return uring_next(_metadata, ring).res;
}

static inline int uring_complete(struct __test_metadata *_metadata, struct io_uring *ring,
				 const struct io_uring_sqe *request)
{
	uring_submit(_metadata, ring, request);
	return uring_wait(_metadata, ring);
}

static inline struct io_uring_sqe uring_rw_request(int opcode, int fd, const void *buf,
						   size_t length, __u64 offset)
{
	return (struct io_uring_sqe) {
		.opcode = opcode,
		.fd = fd,
		.addr = (uintptr_t)buf,
		.len = length,
		.off = offset,
	};
}

static inline struct io_uring_sqe uring_read_request(int fd, void *buf, size_t length)
{
	return uring_rw_request(IORING_OP_READ, fd, buf, length, -1);
}

/*
 * Cancel the only request, which waits. A cancellation does not find a request that is
 * on its way to a worker or back, so try again until it completes.
 */
static inline void uring_cancel_request(struct __test_metadata *_metadata, struct io_uring *ring)
{
	long long deadline = now_ms() + DEADLINE_MS;
	struct io_uring_sqe cancel = {
		.opcode = IORING_OP_ASYNC_CANCEL,
		.cancel_flags = IORING_ASYNC_CANCEL_ANY,
		.fd = -1,
		.user_data = 1,
	};
	struct uring_completion cqe;
	bool canceled = false;

	while (!canceled) {
		ASSERT_LT(now_ms(), deadline);
		uring_submit(_metadata, ring, &cancel);
		do {
			cqe = uring_next(_metadata, ring);
			if (cqe.user_data)
				continue;
			EXPECT_TRUE(cqe.res == -ECANCELED || cqe.res == -EINTR)
				TH_LOG("%d", cqe.res);
			canceled = true;
		} while (!cqe.user_data);
	}
	EXPECT_FALSE(uring_is_done(ring));
}

/* poll32_events would not do: its halves are swapped on big-endian machines. */
static inline struct io_uring_sqe uring_poll_request(int fd, __u16 events, __u32 flags)
{
	return (struct io_uring_sqe) {
		.opcode = IORING_OP_POLL_ADD,
		.fd = fd,
		.poll_events = events,
		.len = flags,
	};
}

/* Buffers for multishot reads. The kernel picks one for each completion. */

#define URING_BUFFERS		8	/* a power of two */
#define URING_BUFFER_SIZE	6
#define URING_GROUP		1

struct uring_buffers {
	struct io_uring_buf_ring *ring;
	char data[URING_BUFFERS][URING_BUFFER_SIZE];
};

/* Returns false if the kernel has no rings of buffers. */
static inline bool uring_provide_buffers(struct __test_metadata *_metadata,
					 struct io_uring *ring, struct uring_buffers *buffers)
{
	struct io_uring_buf_reg reg = {
		.ring_entries = URING_BUFFERS,
		.bgid = URING_GROUP,
	};
	int i;

	buffers->ring = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(buffers->ring != MAP_FAILED);
	memset(buffers->data, POISON, sizeof(buffers->data));
	for (i = 0; i < URING_BUFFERS; i++) {
		buffers->ring->bufs[i].addr = (uintptr_t)buffers->data[i];
		buffers->ring->bufs[i].len = URING_BUFFER_SIZE;
		buffers->ring->bufs[i].bid = i;
	}
	__atomic_store_n(&buffers->ring->tail, URING_BUFFERS, __ATOMIC_RELEASE);
	reg.ring_addr = (uintptr_t)buffers->ring;
	return !syscall(__NR_io_uring_register, ring->ring_fd,
			IORING_REGISTER_PBUF_RING, &reg, 1);
}

static inline struct io_uring_sqe uring_multishot_request(int fd)
{
	return (struct io_uring_sqe) {
		.opcode = IORING_OP_READ_MULTISHOT,
		.flags = IOSQE_BUFFER_SELECT,
		.buf_group = URING_GROUP,
		.fd = fd,
		.off = -1,
	};
}

/* The next completion has read @expected, and is not the last one. */
static inline void uring_expect_shot(struct __test_metadata *_metadata, struct io_uring *ring,
				     const struct uring_buffers *buffers,
				     const void *expected, int length)
{
	struct uring_completion cqe = uring_next(_metadata, ring);

	ASSERT_EQ(length, cqe.res);
	ASSERT_EQ(IORING_CQE_F_MORE | IORING_CQE_F_BUFFER, cqe.flags & 0xffff);
	EXPECT_EQ(0, memcmp(expected, buffers->data[cqe.flags >> IORING_CQE_BUFFER_SHIFT], length));
}

/* The next completion returns @res, and is the last one. */
static inline void uring_expect_end(struct __test_metadata *_metadata, struct io_uring *ring,
				    int res)
{
	struct uring_completion cqe = uring_next(_metadata, ring);

	EXPECT_EQ(res, cqe.res);
	EXPECT_EQ(0, cqe.flags & IORING_CQE_F_MORE);
	EXPECT_FALSE(uring_is_done(ring));
}

#endif /* _MISC_SIM_URING_H */
