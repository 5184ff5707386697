/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A missing page, which stops a system call in the middle of its copy
 */

#ifndef _MISC_SIM_USERFAULT_H
#define _MISC_SIM_USERFAULT_H

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include "deadline.h"
#include "helpers.h"

struct hole {
	int uffd;
	char *page;	/* missing until fill_hole(); the page before it is accessible */
};

/* Returns false if the kernel has no userfaultfd. */
static inline bool make_hole(struct __test_metadata *_metadata, struct hole *hole)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range.len = page_size(),
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	hole->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (hole->uffd < 0)
		return false;
	ASSERT_EQ(0, ioctl(hole->uffd, UFFDIO_API, &api));
	hole->page = bad_page(_metadata);
	range.range.start = (uintptr_t)hole->page;
	ASSERT_EQ(0, ioctl(hole->uffd, UFFDIO_REGISTER, &range));
	ASSERT_EQ(0, mprotect(hole->page, page_size(), PROT_READ | PROT_WRITE));
	return true;
}

/* Wait until a system call needs the page. */
static inline void await_fault(struct __test_metadata *_metadata, struct hole *hole)
{
	struct pollfd pollfd = { .fd = hole->uffd, .events = POLLIN };
	struct uffd_msg msg;

	ASSERT_EQ(1, poll(&pollfd, 1, DEADLINE_MS));
	ASSERT_EQ(sizeof(msg), read(hole->uffd, &msg, sizeof(msg)));
	ASSERT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
}

static inline void fill_hole(struct __test_metadata *_metadata, struct hole *hole,
			     const void *data, size_t length)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)hole->page,
		.len = page_size(),
	};
	void *page = aligned_alloc(page_size(), page_size());

	ASSERT_TRUE(!!page);
	memset(page, 0, page_size());
	memcpy(page, data, length);
	copy.src = (uintptr_t)page;
	ASSERT_EQ(0, ioctl(hole->uffd, UFFDIO_COPY, &copy));
	free(page);
}

#endif /* _MISC_SIM_USERFAULT_H */
