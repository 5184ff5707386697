/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Simulated misc character device
 *
 * The objects and their lifetimes:
 *
 * - A message never changes once it is published. The device (for the current
 *   message), open files and mappings hold references to it.
 * - A device is held by its registration and by every open file. It outlives
 *   its node while a descriptor is open.
 * - A file is one open of a device or of its peer. It lives from open() to
 *   release().
 * - A packet is a record in a channel. The queue that it is in holds a reference
 *   to it, and so does everyone who uses it outside the lock of the channel.
 */

#ifndef _MISC_SIM_H
#define _MISC_SIM_H

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/fault-inject.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/ioctl.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <uapi/linux/misc-sim.h>

struct attribute_group;
struct config_group;
struct iov_iter;
struct page;
struct pid;
struct platform_driver;
struct poll_table_struct;
struct seq_file;

#define MISC_SIM_NAME		"misc-sim"
#define MISC_SIM_GREETING	"Hello from " MISC_SIM_NAME "!\n"

/* Limits and defaults. */
#define MISC_SIM_CAPACITY	SZ_4K
#define MISC_SIM_CAPACITY_MAX	SZ_1M
#define MISC_SIM_PERIOD_US_MIN	1000
#define MISC_SIM_PERIOD_US_MAX	3600000000U
#define MISC_SIM_LATENCY_US_MAX	60000000U
#define MISC_SIM_ERRNO_MAX	511	/* larger ones are internal to the kernel */
#define MISC_SIM_MODE		0600
#define MISC_SIM_NAME_MAX	64
#define MISC_SIM_SLOTS		16	/* messages in each direction of a channel */

/**
 * struct misc_sim_message - an immutable message
 * @ref: one reference per holder
 * @generation: 1 for the first message of a device, incremented with each
 *	publication
 * @length: number of bytes in @data
 * @data: the bytes
 *
 * A message never changes, so it needs no lock. The device sets @generation when
 * it publishes the message, before anyone else can see it.
 */
struct misc_sim_message {
	struct kref ref;
	u64 generation;
	size_t length;
	u8 data[] __counted_by(length);
};

/**
 * enum misc_sim_fault - faults to inject
 * @MISC_SIM_FAIL_OPEN: open() fails
 * @MISC_SIM_FAIL_READ: a read fails
 * @MISC_SIM_FAIL_WRITE: a write fails
 * @MISC_SIM_FAIL_IOCTL: an ioctl fails
 * @MISC_SIM_SHORT_IO: a read or write is cut short
 * @MISC_SIM_FAULT_COUNT: number of faults
 */
enum misc_sim_fault {
	MISC_SIM_FAIL_OPEN,
	MISC_SIM_FAIL_READ,
	MISC_SIM_FAIL_WRITE,
	MISC_SIM_FAIL_IOCTL,
	MISC_SIM_SHORT_IO,
	MISC_SIM_FAULT_COUNT,
};

/**
 * struct misc_sim_faults - fault settings of a device
 *
 * The device and its configfs directory share these settings. They may change at
 * any time. No lock is needed: each number is read and written as a whole, and
 * struct fault_attr is made for concurrent use.
 */
struct misc_sim_faults {
	/** @ref: one reference for the device, one for the directory */
	struct kref ref;

	/** @latency_us: delay of each read and write in microseconds */
	u32 latency_us;

	/** @error: errno, positive, of an operation that fails */
	u32 error;

#ifdef CONFIG_MISC_SIM_FAULT_INJECTION
	/** @config: when each fault fires */
	struct fault_config config[MISC_SIM_FAULT_COUNT];
#endif
};

/**
 * enum misc_sim_kind - kinds of devices
 * @MISC_SIM_KIND_MESSAGE: a read at the end of the message returns 0
 * @MISC_SIM_KIND_STREAM: a read at the end of the message waits for the next one
 * @MISC_SIM_KIND_CHANNEL: messages go from the device to its peer and back
 * @MISC_SIM_KIND_COUNT: number of kinds
 */
enum misc_sim_kind {
	MISC_SIM_KIND_MESSAGE,
	MISC_SIM_KIND_STREAM,
	MISC_SIM_KIND_CHANNEL,
	MISC_SIM_KIND_COUNT,
};

/**
 * enum misc_sim_peer - what the peer of a channel reads and writes
 * @MISC_SIM_PEER_RAW: the bytes of messages
 * @MISC_SIM_PEER_RECORDS: records, see struct misc_sim_record
 * @MISC_SIM_PEER_COUNT: number of values
 */
enum misc_sim_peer {
	MISC_SIM_PEER_RAW,
	MISC_SIM_PEER_RECORDS,
	MISC_SIM_PEER_COUNT,
};

/**
 * struct misc_sim_config - configuration of an instance
 * @message: the first message, or NULL for the greeting, which is cut to @capacity
 * @length: length of @message
 * @capacity: maximum length of a message
 * @kind: behaviour of reads, see enum misc_sim_kind
 * @peer: what the peer of a channel reads, see enum misc_sim_peer
 * @period_us: interval at which the device publishes by itself, 0 for never
 * @mode: mode of the node
 * @store: stores each message on a chip before it is published, may sleep; NULL if
 *	there is no chip
 * @store_data: argument of @store
 */
struct misc_sim_config {
	const void *message;
	size_t length;
	u32 capacity;
	u32 kind;
	u32 peer;
	u32 period_us;
	u32 mode;
	int (*store)(void *data, const struct misc_sim_message *msg);
	void *store_data;
};

#define MISC_SIM_CONFIG_DEFAULT				\
	((struct misc_sim_config) {			\
		.capacity = MISC_SIM_CAPACITY,		\
		.mode = MISC_SIM_MODE,			\
	})

/**
 * enum misc_sim_packet_state - where a packet is
 * @MISC_SIM_PACKET_IDLE: in no queue. A request that was queued is finished.
 * @MISC_SIM_PACKET_QUEUED: in the queue of an end
 * @MISC_SIM_PACKET_TAKEN: the peer is reading it or, if it is a request, has read it
 */
enum misc_sim_packet_state {
	MISC_SIM_PACKET_IDLE,
	MISC_SIM_PACKET_QUEUED,
	MISC_SIM_PACKET_TAKEN,
};

/**
 * struct misc_sim_packet - a record and its payload
 *
 * &misc_sim_channel.lock guards what is not constant.
 */
struct misc_sim_packet {
	/** @ref: one reference for @list, one for each other user */
	struct kref ref;

	/** @list: entry in &misc_sim_end.packets or &misc_sim_channel.taken */
	struct list_head list;

	/** @state: where the packet is; may be read without the lock */
	enum misc_sim_packet_state state;

	/** @record: the record, constant once the packet was queued */
	struct misc_sim_record record;

	/** @payload: what follows the record, or NULL, constant; owns a reference */
	struct misc_sim_message *payload;

	/** @pid: process that made the request, or NULL, constant; owns a reference */
	struct pid *pid;

	/** @result: result of a finished request */
	int result;

	/** @reply: bytes for the caller of a finished request, or NULL; owns a reference */
	struct misc_sim_message *reply;
};

/**
 * struct misc_sim_end - one of the two ends of a channel
 */
struct misc_sim_end {
	/** @packets: what waits to be read at this end; guarded by the lock */
	struct list_head packets;

	/**
	 * @used: number of slots in use, at most MISC_SIM_SLOTS. A message owns a
	 * slot from before it is copied from its writer until a reader takes it.
	 * Guarded by the lock, may be read without it.
	 */
	unsigned int used;

	/** @wait: woken when there is something new for the users of this end */
	wait_queue_head_t wait;
};

/**
 * struct misc_sim_channel - what a channel has in addition to other devices
 */
struct misc_sim_channel {
	/** @misc: the node of the peer, named @name; only for instance.c and channel.c */
	struct miscdevice misc;

	/** @dev: the device, constant; it owns the channel */
	struct misc_sim_device *dev;

	/**
	 * @lock: guards the queues and everything below. Only process context
	 * takes it. Its holder must not sleep, access user memory or free a
	 * message.
	 */
	spinlock_t lock;

	/** @device: the end of the programs that open the device */
	struct misc_sim_end device;

	/** @peer: the end of the peer */
	struct misc_sim_end peer;

	/** @opened: whether the peer is open */
	bool opened;

	/** @files: open files of the device, oldest first; empty without records */
	struct list_head files;

	/** @last_file: number of the last file in @files */
	u64 last_file;

	/**
	 * @taken: packet that the peer is reading, and requests that it has read
	 * and not answered
	 */
	struct list_head taken;

	/** @last_id: number of the last request */
	u64 last_id;

	/** @types: _IOC_TYPE of the ioctls that the peer answers */
	DECLARE_BITMAP(types, _IOC_TYPEMASK + 1);

	/** @events: POLLERR and POLLPRI of the device; needs no lock */
	u32 events;

	/** @records: whether the peer reads and writes records, constant */
	bool records;

	/** @name: name of the node, constant */
	char name[sizeof(MISC_SIM_NAME "-.peer") + MISC_SIM_NAME_MAX];
};

/**
 * struct misc_sim_device - a device and its node
 */
struct misc_sim_device {
	/** @misc: the node, named @name; only for instance.c, file.c and sysfs.c */
	struct miscdevice misc;

	/** @ref: one reference for the registration, one per open file */
	struct kref ref;

	/**
	 * @lock: guards @message and writes to @generation and @gone.
	 * Interrupts are disabled while it is held. Its holder must not sleep
	 * or access user memory.
	 */
	spinlock_t lock;

	/** @message: the current message, never NULL; owns a reference */
	struct misc_sim_message *message;

	/** @generation: generation of @message; may be read without @lock */
	atomic64_t generation;

	/**
	 * @gone: set once, when the device is unplugged. Nothing is published
	 * after that. May be read without @lock.
	 */
	bool gone;

	/** @wait: woken after each publication and when @gone is set */
	wait_queue_head_t wait;

	/** @timer: publishes every @period_us until @gone is set */
	struct hrtimer timer;

	/** @ticks: number of times that @timer fired; only its callback uses this */
	u64 ticks;

	/**
	 * @store_lock: serialises @store and the publication that follows.
	 * @lock nests inside.
	 */
	struct mutex store_lock;

	/** @store: see &misc_sim_config.store, constant */
	int (*store)(void *data, const struct misc_sim_message *msg);

	/** @store_data: argument of @store; not used once @gone is set */
	void *store_data;

	/** @faults: fault settings, constant; owns a reference */
	struct misc_sim_faults *faults;

	/** @channel: NULL unless @kind is MISC_SIM_KIND_CHANNEL, constant; owned */
	struct misc_sim_channel *channel;

	/** @kind: behaviour of reads, constant */
	enum misc_sim_kind kind;

	/** @capacity: maximum length of a message, constant */
	u32 capacity;

	/** @period_us: interval of @timer, 0 for never, constant */
	u32 period_us;

	/** @name: name of the node, constant */
	char name[sizeof(MISC_SIM_NAME "-") + MISC_SIM_NAME_MAX];
};

/**
 * struct misc_sim_file - one open of a device or of its peer
 */
struct misc_sim_file {
	/** @dev: the device, constant; owns a reference */
	struct misc_sim_device *dev;

	/**
	 * @lock: serialises the reads through this file, and is held while
	 * they copy to user space. &misc_sim_device.lock nests inside.
	 */
	struct mutex lock;

	/** @contended: set when a trylock of @lock failed; needs no lock */
	atomic_t contended;

	/**
	 * @wait: woken when this file may have become readable or writable,
	 * constant
	 */
	wait_queue_head_t *wait;

	/**
	 * @message: the pinned message, NULL before the first read; owns a
	 * reference, guarded by @lock. In a channel, the message that is being
	 * read, or NULL; set with &misc_sim_channel.lock held, too.
	 */
	struct misc_sim_message *message;

	/** @pos: position of a stream or channel in @message, guarded by @lock */
	size_t pos;

	/**
	 * @seen: generation last read to its end, 0 for none; written under
	 * @lock, may be read without it
	 */
	atomic64_t seen;

	/** @end: in a channel, the end that this file reads at, constant */
	struct misc_sim_end *end;

	/** @other: in a channel, the end that reads what this file writes, constant */
	struct misc_sim_end *other;

	/** @packet: packet that the peer is reading, guarded by @lock */
	struct misc_sim_packet *packet;

	/**
	 * @open: tells the peer of this file, constant; NULL unless this is a file
	 * of a channel with records; owns a reference
	 */
	struct misc_sim_packet *open;

	/** @close: as @open, tells the peer that the file is closed */
	struct misc_sim_packet *close;

	/** @wrote: a message was written through this file; guarded by the channel's lock */
	bool wrote;

	/** @list: entry in &misc_sim_channel.files, guarded by its lock */
	struct list_head list;
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
struct page *misc_sim_message_page(const struct misc_sim_message *msg,
				   pgoff_t index);

DEFINE_FREE(misc_sim_message_put, struct misc_sim_message *,
	    IS_ERR_OR_NULL(_T) ? (void)0 : misc_sim_message_put(_T))

/* fault.c */
struct misc_sim_faults *misc_sim_faults_create(void);
struct misc_sim_faults *misc_sim_faults_get(struct misc_sim_faults *faults);
void misc_sim_faults_put(struct misc_sim_faults *faults);

DEFINE_FREE(misc_sim_faults_put, struct misc_sim_faults *,
	    !_T ? (void)0 : misc_sim_faults_put(_T))

#ifdef CONFIG_MISC_SIM_FAULT_INJECTION
void misc_sim_faults_add_groups(struct misc_sim_faults *faults,
				struct config_group *parent);
bool misc_sim_should_fail(struct misc_sim_faults *faults,
			  enum misc_sim_fault fault, const char *name);
#else
static inline void misc_sim_faults_add_groups(struct misc_sim_faults *faults,
					      struct config_group *parent)
{
}

static inline bool misc_sim_should_fail(struct misc_sim_faults *faults,
					enum misc_sim_fault fault, const char *name)
{
	return false;
}
#endif

/* queue.c */
struct misc_sim_channel *misc_sim_channel_create(struct misc_sim_device *dev,
						 bool records);
void misc_sim_channel_destroy(struct misc_sim_channel *ch);
struct misc_sim_packet *misc_sim_packet_create(u32 type, gfp_t gfp);
struct misc_sim_packet *misc_sim_packet_get(struct misc_sim_packet *packet);
void misc_sim_packet_put(struct misc_sim_packet *packet);
void misc_sim_packet_queue(struct misc_sim_packet *packet,
			   struct misc_sim_end *end);
void misc_sim_packet_unqueue(struct misc_sim_packet *packet);
void misc_sim_packets_free(struct list_head *packets);

DEFINE_FREE(misc_sim_packet_put, struct misc_sim_packet *,
	    IS_ERR_OR_NULL(_T) ? (void)0 : misc_sim_packet_put(_T))

/* device.c */
struct misc_sim_device *misc_sim_device_create(const struct misc_sim_config *config,
					       struct misc_sim_faults *faults);
struct misc_sim_device *misc_sim_device_get(struct misc_sim_device *dev);
void misc_sim_device_put(struct misc_sim_device *dev);
void misc_sim_device_start(struct misc_sim_device *dev);
void misc_sim_device_stop(struct misc_sim_device *dev);
int misc_sim_device_sleep(struct misc_sim_device *dev, u32 time_us);
int misc_sim_device_publish(struct misc_sim_device *dev,
			    struct misc_sim_message *msg, const u64 *expected);
int misc_sim_device_store(struct misc_sim_device *dev,
			  struct misc_sim_message *msg, const u64 *expected);
struct misc_sim_message *misc_sim_device_message(struct misc_sim_device *dev);

DEFINE_FREE(misc_sim_device_put, struct misc_sim_device *,
	    IS_ERR_OR_NULL(_T) ? (void)0 : misc_sim_device_put(_T))

static inline bool misc_sim_device_gone(const struct misc_sim_device *dev)
{
	return READ_ONCE(dev->gone);
}

/**
 * misc_sim_device_delay - sleep for the configured latency
 * @dev: the device
 *
 * Context: Process context, may sleep.
 * Return: 0, -ENODEV if the device is unplugged, or -ERESTARTSYS.
 */
static inline int misc_sim_device_delay(struct misc_sim_device *dev)
{
	u32 latency_us = READ_ONCE(dev->faults->latency_us);

	return latency_us ? misc_sim_device_sleep(dev, latency_us) : 0;
}

/**
 * misc_sim_device_fail - decide whether an operation fails
 * @dev: the device
 * @fault: the fault that makes the operation fail
 *
 * Context: Any context.
 * Return: 0, or the configured errno as a negative number.
 */
static inline int misc_sim_device_fail(struct misc_sim_device *dev,
				       enum misc_sim_fault fault)
{
	if (misc_sim_should_fail(dev->faults, fault, dev->name))
		return -READ_ONCE(dev->faults->error);
	return 0;
}

/**
 * misc_sim_device_short_io - decide how many bytes to transfer
 * @dev: the device
 * @count: number of bytes requested
 *
 * Context: Any context.
 * Return: @count, or half of it, rounded up, if the fault fires.
 */
static inline size_t misc_sim_device_short_io(struct misc_sim_device *dev, size_t count)
{
	if (count > 1 && misc_sim_should_fail(dev->faults, MISC_SIM_SHORT_IO, dev->name))
		return count - count / 2;
	return count;
}

/* file.c */
extern const struct file_operations misc_sim_message_fops;

int misc_sim_file_create(struct misc_sim_device *dev, struct file *file);
int misc_sim_file_open(struct inode *inode, struct file *file);
int misc_sim_file_release(struct inode *inode, struct file *file);
bool misc_sim_file_unseen(struct misc_sim_file *f);
int misc_sim_file_delay(struct kiocb *iocb);
int misc_sim_file_lock(struct misc_sim_file *f, bool nowait);
void misc_sim_file_unlock(struct misc_sim_file *f);
int misc_sim_file_lock_message(struct kiocb *iocb,
			       bool (*ready)(struct misc_sim_file *f),
			       bool (*pin)(struct misc_sim_file *f));
gfp_t misc_sim_file_gfp(const struct kiocb *iocb);
int misc_sim_file_error(struct kiocb *iocb, int error);
void misc_sim_file_pin(struct misc_sim_file *f);
ssize_t misc_sim_file_read(struct misc_sim_file *f, loff_t pos,
			   struct iov_iter *to);
ssize_t misc_sim_file_write_iter(struct kiocb *iocb, struct iov_iter *from);
long misc_sim_file_info(struct misc_sim_file *f, void __user *arg);
void misc_sim_file_show_fdinfo(struct seq_file *m, struct file *file);

static inline bool misc_sim_file_nonblock(const struct kiocb *iocb)
{
	return (iocb->ki_flags & IOCB_NOWAIT) ||
	       (READ_ONCE(iocb->ki_filp->f_flags) & O_NONBLOCK);
}

/* stream.c */
extern const struct file_operations misc_sim_stream_fops;

/* request.c */
long misc_sim_request(struct file *file, unsigned int cmd, unsigned long arg,
		      void __user *argp, u32 flags);
int misc_sim_request_reply(struct kiocb *iocb, const struct misc_sim_record *record,
			   struct iov_iter *from);

/* channel.c */
extern const struct file_operations misc_sim_channel_fops;
extern const struct file_operations misc_sim_peer_fops;

bool misc_sim_channel_readable(struct misc_sim_file *f);
ssize_t misc_sim_channel_write(struct kiocb *iocb, struct iov_iter *from);
__poll_t misc_sim_peer_poll(struct file *file, struct poll_table_struct *wait);
long misc_sim_peer_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
int misc_sim_peer_open(struct inode *inode, struct file *file);
int misc_sim_peer_release(struct inode *inode, struct file *file);

/* record.c */
extern const struct file_operations misc_sim_record_fops;

/* sysfs.c */
extern const struct attribute_group *misc_sim_groups[];

/* instance.c */
extern const char * const misc_sim_kind_names[MISC_SIM_KIND_COUNT];
extern const char * const misc_sim_peer_names[MISC_SIM_PEER_COUNT];

struct misc_sim_device *misc_sim_instance_create(const char *name,
						 const struct misc_sim_config *config,
						 struct misc_sim_faults *faults,
						 struct device *parent);
struct misc_sim_device *misc_sim_instance_probe(struct device *parent,
						const struct misc_sim_config *config,
						struct misc_sim_faults *faults);
void misc_sim_instance_unplug(struct misc_sim_device *dev);
void misc_sim_instances_allow(void);
bool misc_sim_instances_allowed(void);

/* config.c */
int misc_sim_config_register(void);
void misc_sim_config_unregister(void);

/* platform.c */
extern struct platform_driver misc_sim_platform_driver;

/* i2c.c */
#ifdef CONFIG_MISC_SIM_I2C
int misc_sim_i2c_register(void);
void misc_sim_i2c_unregister(void);
int misc_sim_i2c_attach(void);
#else
static inline int misc_sim_i2c_register(void)
{
	return 0;
}

static inline void misc_sim_i2c_unregister(void)
{
}

static inline int misc_sim_i2c_attach(void)
{
	return 0;
}
#endif

#endif /* _MISC_SIM_H */
