// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instances of the simulated misc device: what they hold, and their node
 */

#include <linux/ctype.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#include "misc-sim.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/*
 * The names taken, as the core would print a stack dump about one that is taken
 * twice.
 */
static DEFINE_MUTEX(misc_sim_names_lock);
static LIST_HEAD(misc_sim_names);

static void misc_sim_device_release(struct kref *ref)
{
	struct misc_sim_device *dev = container_of(ref, struct misc_sim_device, ref);

	misc_sim_faults_put(dev->faults);
	misc_sim_message_put(dev->message);
	kfree(dev);
}

/**
 * misc_sim_device_get - take a reference
 * @dev: a device that is registered or that the caller has a reference to
 *
 * Context: Any.
 * Return: @dev.
 */
struct misc_sim_device *misc_sim_device_get(struct misc_sim_device *dev)
{
	kref_get(&dev->ref);
	return dev;
}

/**
 * misc_sim_device_put - drop a reference
 * @dev: a device, NULL or an ERR_PTR()
 *
 * Context: Any but NMI.
 */
void misc_sim_device_put(struct misc_sim_device *dev)
{
	if (!IS_ERR_OR_NULL(dev))
		kref_put(&dev->ref, misc_sim_device_release);
}

/* Publish from an interrupt. A tick that finds no memory is lost. */
static enum hrtimer_restart misc_sim_device_tick(struct hrtimer *timer)
{
	struct misc_sim_device *dev = container_of(timer, struct misc_sim_device,
						   timer);
	struct misc_sim_message *msg;
	char text[32];
	size_t length;

	length = scnprintf(text, sizeof(text), "tick %llu\n", ++dev->ticks);
	msg = misc_sim_message_create(text, min(length, dev->capacity),
				      GFP_ATOMIC | __GFP_NOWARN);
	if (!IS_ERR(msg) && misc_sim_device_publish(dev, msg, NULL))
		return HRTIMER_NORESTART;

	hrtimer_forward_now(timer, us_to_ktime(dev->period_us));
	return HRTIMER_RESTART;
}

/**
 * misc_sim_check_name - whether an instance can have a name
 * @name: the name
 *
 * The name becomes a part of the names of a node and of a directory in sysfs,
 * where some characters mean something.
 *
 * Context: Any.
 * Return: 0, -EINVAL or -ENAMETOOLONG.
 */
int misc_sim_check_name(const char *name)
{
	if (strlen(name) > MISC_SIM_NAME_MAX)
		return -ENAMETOOLONG;

	if (!*name)
		return -EINVAL;
	for (; *name; name++)
		if (!isascii(*name) || (!isalnum(*name) && !strchr("-.:@_", *name)))
			return -EINVAL;
	return 0;
}

static int misc_sim_check_config(const struct misc_sim_config *config)
{
	int ret;

	ret = misc_sim_check_name(config->name);
	if (ret)
		return ret;

	if (!in_range(config->capacity, 1, MISC_SIM_CAPACITY_MAX))
		return -EINVAL;
	if (config->length > config->capacity)
		return -EMSGSIZE;
	if (config->period_us && (config->period_us < MISC_SIM_PERIOD_US_MIN ||
				  config->period_us > MISC_SIM_PERIOD_US_MAX))
		return -EINVAL;
	if (!in_range(config->mode, 1, 0777))
		return -EINVAL;
	return 0;
}

static struct misc_sim_device *
misc_sim_device_alloc(const struct misc_sim_config *config,
		      struct device *parent)
{
	struct misc_sim_device *dev __free(kfree) = kzalloc_obj(*dev);
	struct misc_sim_message *msg;

	if (!dev)
		return ERR_PTR(-ENOMEM);

	msg = misc_sim_message_create(config->message, config->length, GFP_KERNEL);
	if (IS_ERR(msg))
		return ERR_CAST(msg);

	kref_init(&dev->ref);
	spin_lock_init(&dev->lock);
	msg->generation = 1;
	dev->message = msg;
	atomic64_set(&dev->generation, msg->generation);
	init_waitqueue_head(&dev->wait);
	hrtimer_setup(&dev->timer, misc_sim_device_tick, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL);
	dev->faults = misc_sim_faults_get(config->faults);
	dev->capacity = config->capacity;
	dev->period_us = config->period_us;
	dev->blocking = config->blocking;
	snprintf(dev->name, sizeof(dev->name), MISC_SIM_NAME "-%s", config->name);
	dev->misc.minor = MISC_DYNAMIC_MINOR;
	dev->misc.name = dev->name;
	dev->misc.fops = &misc_sim_fops;
	dev->misc.groups = misc_sim_groups;
	dev->misc.parent = parent;
	dev->misc.mode = config->mode;
	return_ptr(dev);
}

static int misc_sim_device_register(struct misc_sim_device *dev)
{
	struct misc_sim_device *other;
	int ret;

	guard(mutex)(&misc_sim_names_lock);

	list_for_each_entry(other, &misc_sim_names, names)
		if (!strcmp(other->name, dev->name))
			return -EEXIST;

	ret = misc_register(&dev->misc);
	if (!ret)
		list_add(&dev->names, &misc_sim_names);
	return ret;
}

/**
 * misc_sim_device_create - make an instance and its node
 * @config: what to make it from
 * @parent: the parent in the device model, or NULL
 *
 * Context: Process context.
 * Return: the device with the reference of the registration, which
 * misc_sim_device_unplug() drops, or ERR_PTR() of -EINVAL, -ENAMETOOLONG, -EMSGSIZE
 * (the message does not fit), -EEXIST (the name is taken), -EBUSY (no minor is
 * left), -ENOMEM.
 */
struct misc_sim_device *
misc_sim_device_create(const struct misc_sim_config *config,
		       struct device *parent)
{
	struct misc_sim_device *dev __free(misc_sim_device_put) = NULL;
	int ret;

	ret = misc_sim_check_config(config);
	if (ret)
		return ERR_PTR(ret);

	dev = misc_sim_device_alloc(config, parent);
	if (IS_ERR(dev))
		return_ptr(dev);

	ret = misc_sim_device_register(dev);
	if (ret)
		return ERR_PTR(ret);

	if (dev->period_us)
		hrtimer_start(&dev->timer, us_to_ktime(dev->period_us),
			      HRTIMER_MODE_REL);
	return_ptr(dev);
}

/**
 * misc_sim_device_unplug - remove an instance, also from under its users
 * @dev: what misc_sim_device_create() returned
 *
 * Waits for no user: those who sleep are woken and get -ENODEV, and whoever has
 * the device open keeps its memory.
 *
 * Context: Process context.
 */
void misc_sim_device_unplug(struct misc_sim_device *dev)
{
	misc_deregister(&dev->misc);
	scoped_guard(mutex, &misc_sim_names_lock) {
		list_del(&dev->names);
	}

	scoped_guard(spinlock_irqsave, &dev->lock) {
		WRITE_ONCE(dev->gone, true);
	}
	hrtimer_cancel(&dev->timer);
	wake_up_all(&dev->wait);
	trace_misc_sim_unplug(dev);
	misc_sim_device_put(dev);
}

/**
 * misc_sim_device_gone - whether a device is unplugged
 * @dev: the device
 *
 * Context: Any.
 * Return: true once misc_sim_device_unplug() was called.
 */
bool misc_sim_device_gone(const struct misc_sim_device *dev)
{
	return READ_ONCE(dev->gone);
}

/**
 * misc_sim_device_delay - take the time that a transfer is to take
 * @dev: the device
 * @nowait: rather fail than sleep
 *
 * Context: Process context, may sleep.
 * Return: 0, -EAGAIN, -ENODEV if the device is unplugged, or -ERESTARTSYS.
 */
int misc_sim_device_delay(struct misc_sim_device *dev, bool nowait)
{
	u32 latency_us = READ_ONCE(dev->faults->latency_us);
	ktime_t end = ktime_add_us(ktime_get(), latency_us);
	DEFINE_WAIT(wait);
	int ret;

	if (!latency_us)
		return 0;
	if (nowait)
		return -EAGAIN;

	do {
		ret = prepare_to_wait_event(&dev->wait, &wait, TASK_INTERRUPTIBLE);
		if (misc_sim_device_gone(dev))
			ret = -ENODEV;
		if (ret)
			break;
	} while (schedule_hrtimeout(&end, HRTIMER_MODE_ABS));
	finish_wait(&dev->wait, &wait);
	return ret;
}

/**
 * misc_sim_device_publish - make a message the current one
 * @dev: the device
 * @msg: the message; the caller's reference passes to the device, on failure too
 * @expected: if not NULL, the generation that the current message must have
 *
 * Context: Any but NMI.
 * Return: 0, -ENODEV if the device is unplugged, or -ESTALE when the current
 * message is not the expected one.
 */
int misc_sim_device_publish(struct misc_sim_device *dev,
			    struct misc_sim_message *msg, const u64 *expected)
{
	struct misc_sim_message *unused __free(misc_sim_message_put) = msg;

	scoped_guard(spinlock_irqsave, &dev->lock) {
		if (dev->gone)
			return -ENODEV;
		if (expected && *expected != dev->message->generation)
			return -ESTALE;

		msg->generation = dev->message->generation + 1;
		atomic64_set(&dev->generation, msg->generation);
		swap(dev->message, unused);
		trace_misc_sim_publish(dev, msg);
	}
	wake_up_poll(&dev->wait, EPOLLIN | EPOLLRDNORM);
	return 0;
}

/**
 * misc_sim_device_current - what the current message is
 * @dev: the device
 * @length: set to the length of that message
 *
 * Context: Any but NMI.
 * Return: its generation.
 */
u64 misc_sim_device_current(struct misc_sim_device *dev, size_t *length)
{
	guard(spinlock_irqsave)(&dev->lock);
	*length = dev->message->length;
	return dev->message->generation;
}

/**
 * misc_sim_device_pin - bring a pinned message up to date
 * @dev: the device
 * @pinned: the message that a file holds, or a pointer to NULL; replaced by the
 *	current message if that is another one
 *
 * When there is nothing new, this writes to nothing that other files read.
 *
 * Context: Process context, with &misc_sim_file.lock held.
 */
void misc_sim_device_pin(struct misc_sim_device *dev,
			 struct misc_sim_message **pinned)
{
	struct misc_sim_message *old = *pinned;

	if (old && old->generation == atomic64_read(&dev->generation))
		return;

	scoped_guard(spinlock_irqsave, &dev->lock) {
		*pinned = misc_sim_message_get(dev->message);
	}
	misc_sim_message_put(old);
}

/**
 * misc_sim_device_get_pinned - take a reference to a pinned message
 * @dev: the device
 * @pinned: the message that a file holds, or a pointer to NULL
 *
 * For callers that cannot wait for &misc_sim_file.lock, which is held across
 * page faults.
 *
 * Context: Any but NMI.
 * Return: the pinned message, or else the current one; the caller owns the
 * reference.
 */
struct misc_sim_message *
misc_sim_device_get_pinned(struct misc_sim_device *dev,
			   struct misc_sim_message *const *pinned)
{
	guard(spinlock_irqsave)(&dev->lock);
	return misc_sim_message_get(*pinned ?: dev->message);
}
