// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instances of the simulated misc device: what they hold, and their node
 */

#include <linux/minmax.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#include "misc-sim.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static void misc_sim_device_release(struct kref *ref)
{
	struct misc_sim_device *dev = container_of(ref, struct misc_sim_device, ref);

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

static struct misc_sim_device *misc_sim_device_alloc(const char *name)
{
	struct misc_sim_device *dev __free(kfree) = kzalloc_obj(*dev);
	struct misc_sim_message *msg;

	if (!dev)
		return ERR_PTR(-ENOMEM);

	if (snprintf(dev->name, sizeof(dev->name), MISC_SIM_NAME "-%s", name) >=
	    sizeof(dev->name))
		return ERR_PTR(-ENAMETOOLONG);

	msg = misc_sim_message_create(MISC_SIM_GREETING,
				      strlen(MISC_SIM_GREETING), GFP_KERNEL);
	if (IS_ERR(msg))
		return ERR_CAST(msg);

	kref_init(&dev->ref);
	spin_lock_init(&dev->lock);
	msg->generation = 1;
	dev->message = msg;
	atomic64_set(&dev->generation, msg->generation);
	init_waitqueue_head(&dev->wait);
	dev->capacity = MISC_SIM_CAPACITY;
	dev->misc.minor = MISC_DYNAMIC_MINOR;
	dev->misc.name = dev->name;
	dev->misc.fops = &misc_sim_fops;
	return_ptr(dev);
}

/**
 * misc_sim_device_create - make an instance and its node
 * @name: what follows "misc-sim-" in the name of the node
 *
 * Context: Process context.
 * Return: the device with the reference of the registration, which
 * misc_sim_device_destroy() drops, or an ERR_PTR().
 */
struct misc_sim_device *misc_sim_device_create(const char *name)
{
	struct misc_sim_device *dev __free(misc_sim_device_put) =
		misc_sim_device_alloc(name);
	int ret;

	if (IS_ERR(dev))
		return_ptr(dev);

	ret = misc_register(&dev->misc);
	if (ret)
		return ERR_PTR(ret);

	return_ptr(dev);
}

/**
 * misc_sim_device_destroy - remove the node
 * @dev: what misc_sim_device_create() returned
 *
 * Files that are open keep the device until they are closed.
 *
 * Context: Process context.
 */
void misc_sim_device_destroy(struct misc_sim_device *dev)
{
	misc_deregister(&dev->misc);
	misc_sim_device_put(dev);
}

/**
 * misc_sim_device_publish - make a message the current one
 * @dev: the device
 * @msg: the message; the caller's reference passes to the device, on failure too
 * @expected: if not NULL, the generation that the current message must have
 *
 * Context: Any but NMI.
 * Return: 0, or -ESTALE when the current message is not the expected one.
 */
int misc_sim_device_publish(struct misc_sim_device *dev,
			    struct misc_sim_message *msg, const u64 *expected)
{
	struct misc_sim_message *unused __free(misc_sim_message_put) = msg;

	scoped_guard(spinlock_irqsave, &dev->lock) {
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
