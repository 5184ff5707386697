/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files of a device that is unplugged
 */

#ifndef _MISC_SIM_UNPLUG_H
#define _MISC_SIM_UNPLUG_H

#include <sys/uio.h>
#include "blocked.h"
#include "cpu.h"
#include "info.h"
#include "instance.h"
#include "polling.h"

/* Each call has another error too. ENODEV comes first. */
static inline void expect_io_gone(struct __test_metadata *_metadata, int fd)
{
	char *bad = bad_page(_metadata);
	struct iovec iov = { bad, 1 };

	EXPECT_ERRNO(ENODEV, read(fd, bad, 1));
	EXPECT_ERRNO(ENODEV, read(fd, bad, 0));
	EXPECT_ERRNO(ENODEV, readv(fd, &iov, 1));
	EXPECT_ERRNO(ENODEV, preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_ERRNO(ENODEV, write(fd, bad, 1));
	EXPECT_ERRNO(ENODEV, write(fd, bad, 0));
	EXPECT_ERRNO(ENODEV, write(fd, bad, 1 << 26));
	EXPECT_ERRNO(ENODEV, writev(fd, &iov, 1));
	EXPECT_ERRNO(ENODEV, pwritev2(fd, &iov, 1, -1, RWF_NOWAIT));
	EXPECT_ERRNO(ENODEV, ioctl(fd, 0, bad));
}

static inline void expect_gone(struct __test_metadata *_metadata, int fd)
{
	char *bad = bad_page(_metadata);

	expect_io_gone(_metadata, fd);
	EXPECT_ERRNO(ENODEV, ioctl(fd, MISC_SIM_IOC_INFO, bad));
	EXPECT_ERRNO(ENODEV, ioctl(fd, MISC_SIM_IOC_REPLACE, bad));
	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_WRITE, MAP_SHARED, fd, 0));
	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, fd,
					1 << 26));
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, fd));
}

static inline void expect_peer_gone(struct __test_metadata *_metadata, int fd)
{
	expect_io_gone(_metadata, fd);
	EXPECT_EQ(UNPLUGGED, poll_now(_metadata, fd));
}

/*
 * buf is an array of struct pollfd. poll() checks the files once more when it times
 * out, so it must not time out before join_thread() does.
 */
static inline ssize_t blocked_poll(struct blocked *blocked)
{
	return poll((struct pollfd *)blocked->buf, blocked->length, 2 * DEADLINE_MS);
}

/*
 * The sleeper shares its CPU with this thread and cannot preempt it, so it finds both
 * the unplug and the signal when it wakes up.
 */
static inline bool unplug_and_interrupt(struct __test_metadata *_metadata,
					const struct instance *inst, struct blocked *blocked)
{
	pin_to_first_cpu(_metadata);
	if (!set_urgent(true))
		SKIP(return false, "no SCHED_FIFO");
	/* The sleeper would inherit it. */
	ASSERT_TRUE(set_urgent(false));
	handle_signal(_metadata, 0);
	start_blocked(_metadata, blocked);
	ASSERT_TRUE(set_urgent(true));
	unplug(_metadata, inst);
	ASSERT_EQ(0, pthread_kill(blocked->thread, SIGUSR1));
	ASSERT_TRUE(set_urgent(false));
	expect_failed(_metadata, blocked, ENODEV);
	EXPECT_EQ(1, signals);
	return true;
}

#endif /* _MISC_SIM_UNPLUG_H */
