/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Simulated misc character device
 *
 * Three objects, three lifetimes:
 *
 * - a message never changes once it is published and is freed when its last
 *   holder lets go: the device (the current message), an open file (the message
 *   that it pinned), a mapping;
 * - a device is held by its registration and by every open file, so it outlives
 *   its node for as long as a descriptor is open;
 * - a file is one open of a device and lives from open() to release().
 */

#ifndef _MISC_SIM_H
#define _MISC_SIM_H

#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct iov_iter;
struct page;

#define MISC_SIM_NAME		"misc-sim"
#define MISC_SIM_GREETING	"Hello from " MISC_SIM_NAME "!\n"
#define MISC_SIM_CAPACITY	SZ_4K

/**
 * struct misc_sim_message - what a device holds and a reader gets
 * @ref: one reference for each holder
 * @generation: 1 for the first message of a device, one more for each later one
 * @length: number of bytes in @data
 * @data: the bytes
 *
 * Immutable, so there is no lock. The one exception is @generation: the device
 * sets it as it publishes the message, before anybody else can see it.
 */
struct misc_sim_message {
	struct kref ref;
	u64 generation;
	size_t length;
	u8 data[] __counted_by(length);
};

/**
 * struct misc_sim_device - one instance, with a node of its own
 */
struct misc_sim_device {
	/** @misc: the node; its name is @name */
	struct miscdevice misc;

	/** @ref: one reference for the registration, one for each open file */
	struct kref ref;

	/**
	 * @lock: guards @message and the writing of @generation. Interrupts
	 * are off while it is held, so nothing under it sleeps or copies from
	 * or to user space.
	 */
	spinlock_t lock;

	/** @message: the current message, never NULL; this is a reference */
	struct misc_sim_message *message;

	/**
	 * @generation: the generation of @message, for those who only compare;
	 * may be read without @lock
	 */
	atomic64_t generation;

	/** @wait: woken after every publication */
	wait_queue_head_t wait;

	/** @capacity: length of the longest message accepted, constant */
	size_t capacity;

	/** @name: name of the node, constant */
	char name[32];
};

/**
 * struct misc_sim_file - one open of a device
 */
struct misc_sim_file {
	/** @dev: the device, constant; this is a reference */
	struct misc_sim_device *dev;

	/**
	 * @lock: serialises the reads through this file, while they copy to
	 * user space too. &misc_sim_device.lock nests inside.
	 */
	struct mutex lock;

	/**
	 * @message: the pinned message, NULL before the first read; this is a
	 * reference. Written under @lock and &misc_sim_device.lock both, so
	 * that either is enough to read it.
	 */
	struct misc_sim_message *message;

	/**
	 * @seen: the generation last read to its end, 0 for none; written
	 * under @lock, may be read without
	 */
	atomic64_t seen;
};

/* message.c */
struct misc_sim_message *misc_sim_message_create(const void *data, size_t length,
						 gfp_t gfp);
struct misc_sim_message *misc_sim_message_from_iter(struct iov_iter *from,
						    gfp_t gfp);
struct misc_sim_message *misc_sim_message_get(struct misc_sim_message *msg);
void misc_sim_message_put(struct misc_sim_message *msg);
ssize_t misc_sim_message_read(const struct misc_sim_message *msg, loff_t pos,
			      struct iov_iter *to);
pgoff_t misc_sim_message_pages(const struct misc_sim_message *msg);
struct page *misc_sim_message_page(const struct misc_sim_message *msg,
				   pgoff_t index);

DEFINE_FREE(misc_sim_message_put, struct misc_sim_message *,
	    misc_sim_message_put(_T))

/* device.c */
struct misc_sim_device *misc_sim_device_create(const char *name);
void misc_sim_device_destroy(struct misc_sim_device *dev);
struct misc_sim_device *misc_sim_device_get(struct misc_sim_device *dev);
void misc_sim_device_put(struct misc_sim_device *dev);
int misc_sim_device_publish(struct misc_sim_device *dev,
			    struct misc_sim_message *msg, const u64 *expected);
u64 misc_sim_device_current(struct misc_sim_device *dev, size_t *length);
void misc_sim_device_pin(struct misc_sim_device *dev,
			 struct misc_sim_message **pinned);
struct misc_sim_message *
misc_sim_device_get_pinned(struct misc_sim_device *dev,
			   struct misc_sim_message *const *pinned);

DEFINE_FREE(misc_sim_device_put, struct misc_sim_device *,
	    misc_sim_device_put(_T))

/* file.c */
extern const struct file_operations misc_sim_fops;

#endif /* _MISC_SIM_H */
