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
#include <linux/fault-inject.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct attribute_group;
struct config_group;
struct iov_iter;
struct page;
struct platform_driver;

#define MISC_SIM_NAME		"misc-sim"
#define MISC_SIM_GREETING	"Hello from " MISC_SIM_NAME "!\n"

/* What configfs and firmware may ask for; the defaults are those of instance 0. */
#define MISC_SIM_CAPACITY	SZ_4K
#define MISC_SIM_CAPACITY_MAX	SZ_1M
#define MISC_SIM_PERIOD_US_MIN	1000
#define MISC_SIM_PERIOD_US_MAX	3600000000U
#define MISC_SIM_LATENCY_US_MAX	60000000U
#define MISC_SIM_ERRNO_MAX	511	/* what follows never leaves the kernel */
#define MISC_SIM_NAME_MAX	64

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
 * struct misc_sim_faults - what is to go wrong with a device
 *
 * Shared by an instance and its directory in configfs, and may be changed at
 * any time: numbers are read and written whole, and struct fault_attr looks
 * after itself.
 */
struct misc_sim_faults {
	/** @ref: one reference for the device, one for the directory */
	struct kref ref;

	/** @latency_us: how long each transfer takes longer */
	u32 latency_us;

	/** @error: the errno, positive, of an operation that is to fail */
	u32 error;

#ifdef CONFIG_MISC_SIM_FAULT_INJECTION
	/** @fail_open: whether open() fails */
	struct fault_config fail_open;

	/** @fail_read: whether a read fails */
	struct fault_config fail_read;

	/** @fail_write: whether a write fails */
	struct fault_config fail_write;

	/** @short_io: whether a transfer is cut short */
	struct fault_config short_io;
#endif
};

/**
 * struct misc_sim_config - what an instance is made from: plain data
 * @name: what follows "misc-sim-" in the name of the node
 * @message: the first message
 * @length: length of @message
 * @capacity: length of the longest message accepted
 * @blocking: whether readers wait for the next message at the end of one
 * @period_us: how often the instance publishes by itself, 0 for never
 * @mode: mode of the node
 * @faults: what is to go wrong; the instance takes a reference
 */
struct misc_sim_config {
	const char *name;
	const void *message;
	size_t length;
	u32 capacity;
	u32 blocking;
	u32 period_us;
	u32 mode;
	struct misc_sim_faults *faults;
};

#define MISC_SIM_CONFIG_DEFAULT(_name)				\
	{							\
		.name = (_name),				\
		.message = MISC_SIM_GREETING,			\
		.length = sizeof(MISC_SIM_GREETING) - 1,	\
		.capacity = MISC_SIM_CAPACITY,			\
		.mode = 0600,					\
	}

/**
 * struct misc_sim_platform_data - what configfs hands to the platform driver
 * @faults: the faults of the directory
 * @error: how the last probe ended, guarded by the device's lock
 */
struct misc_sim_platform_data {
	struct misc_sim_faults *faults;
	int error;
};

/**
 * struct misc_sim_device - one instance, with a node of its own
 */
struct misc_sim_device {
	/** @misc: the node; its name is @name */
	struct miscdevice misc;

	/** @ref: one reference for the registration, one for each open file */
	struct kref ref;

	/** @names: entry in the list of the names taken, guarded by its lock */
	struct list_head names;

	/**
	 * @lock: guards @message and the writing of @generation and @gone.
	 * Interrupts are off while it is held, so nothing under it sleeps or
	 * copies from or to user space.
	 */
	spinlock_t lock;

	/** @message: the current message, never NULL; this is a reference */
	struct misc_sim_message *message;

	/**
	 * @generation: the generation of @message, for those who only compare;
	 * may be read without @lock
	 */
	atomic64_t generation;

	/**
	 * @gone: set once, when the device is unplugged, and then nothing is
	 * published any more; may be read without @lock
	 */
	bool gone;

	/** @wait: woken after every publication and when @gone is set */
	wait_queue_head_t wait;

	/** @timer: publishes every @period_us; does not run once @gone is set */
	struct hrtimer timer;

	/** @ticks: how often @timer has published; for @timer alone */
	u64 ticks;

	/** @faults: what is to go wrong, constant; this is a reference */
	struct misc_sim_faults *faults;

	/** @capacity: length of the longest message accepted, constant */
	u32 capacity;

	/** @period_us: how often @timer fires, 0 for never, constant */
	u32 period_us;

	/** @blocking: whether the device is a stream, constant */
	bool blocking;

	/** @name: name of the node, constant */
	char name[sizeof(MISC_SIM_NAME) + 1 + MISC_SIM_NAME_MAX];
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
	 * @pos: where the next read begins in @message if the device is a
	 * stream; guarded by @lock
	 */
	size_t pos;

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

/* fault.c */
struct misc_sim_faults *misc_sim_faults_create(void);
struct misc_sim_faults *misc_sim_faults_get(struct misc_sim_faults *faults);
void misc_sim_faults_put(struct misc_sim_faults *faults);

DEFINE_FREE(misc_sim_faults_put, struct misc_sim_faults *,
	    misc_sim_faults_put(_T))

#ifdef CONFIG_MISC_SIM_FAULT_INJECTION
void misc_sim_faults_add_groups(struct misc_sim_faults *faults,
				struct config_group *parent);
int misc_sim_fail_open(struct misc_sim_faults *faults);
int misc_sim_fail_read(struct misc_sim_faults *faults);
int misc_sim_fail_write(struct misc_sim_faults *faults);
size_t misc_sim_short_io(struct misc_sim_faults *faults, size_t count);
#else
static inline void misc_sim_faults_add_groups(struct misc_sim_faults *faults,
					      struct config_group *parent)
{
}

static inline int misc_sim_fail_open(struct misc_sim_faults *faults)
{
	return 0;
}

static inline int misc_sim_fail_read(struct misc_sim_faults *faults)
{
	return 0;
}

static inline int misc_sim_fail_write(struct misc_sim_faults *faults)
{
	return 0;
}

static inline size_t misc_sim_short_io(struct misc_sim_faults *faults,
				       size_t count)
{
	return count;
}
#endif

/* device.c */
int misc_sim_check_name(const char *name);
struct misc_sim_device *
misc_sim_device_create(const struct misc_sim_config *config,
		       struct device *parent);
void misc_sim_device_unplug(struct misc_sim_device *dev);
bool misc_sim_device_gone(const struct misc_sim_device *dev);
int misc_sim_device_delay(struct misc_sim_device *dev, bool nowait);
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

/* sysfs.c */
extern const struct attribute_group *misc_sim_groups[];

/* file.c */
extern const struct file_operations misc_sim_fops;

/* config.c */
int misc_sim_config_register(void);
void misc_sim_config_unregister(void);

/* platform.c */
extern struct platform_driver misc_sim_platform_driver;

#endif /* _MISC_SIM_H */
