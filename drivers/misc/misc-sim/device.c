// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulated misc device: a device and its message
 */

#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/sprintf.h>

#include "misc-sim.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/* Publish from an interrupt. The tick is dropped if no memory is available. */
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
 * misc_sim_device_create - create a device
 * @config: its configuration, checked by the caller
 * @faults: fault settings; the device takes a reference
 *
 * Context: Process context.
 * Return: the device with one reference, or ERR_PTR(-ENOMEM).
 */
struct misc_sim_device *misc_sim_device_create(const struct misc_sim_config *config,
					       struct misc_sim_faults *faults)
{
	struct misc_sim_device *dev __free(kfree) = kzalloc_obj(*dev);
	const void *data = config->message ?: MISC_SIM_GREETING;
	size_t length = config->message ? config->length :
			min(sizeof(MISC_SIM_GREETING) - 1, config->capacity);

	if (!dev)
		return ERR_PTR(-ENOMEM);

	struct misc_sim_message *msg __free(misc_sim_message_put) =
		misc_sim_message_create(data, length, GFP_KERNEL);

	if (IS_ERR(msg))
		return ERR_CAST(msg);

	if (config->kind == MISC_SIM_KIND_CHANNEL) {
		dev->channel = misc_sim_channel_create(dev,
						       config->peer == MISC_SIM_PEER_RECORDS);
		if (!dev->channel)
			return ERR_PTR(-ENOMEM);
	}

	kref_init(&dev->ref);
	spin_lock_init(&dev->lock);
	msg->generation = 1;
	atomic64_set(&dev->generation, msg->generation);
	dev->message = no_free_ptr(msg);
	init_waitqueue_head(&dev->wait);
	hrtimer_setup(&dev->timer, misc_sim_device_tick, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL);
	mutex_init(&dev->store_lock);
	dev->store = config->store;
	dev->store_data = config->store_data;
	dev->faults = misc_sim_faults_get(faults);
	dev->kind = config->kind;
	dev->capacity = config->capacity;
	dev->period_us = config->period_us;
	return_ptr(dev);
}

struct misc_sim_device *misc_sim_device_get(struct misc_sim_device *dev)
{
	kref_get(&dev->ref);
	return dev;
}

static void misc_sim_device_release(struct kref *ref)
{
	struct misc_sim_device *dev = container_of(ref, struct misc_sim_device, ref);

	misc_sim_faults_put(dev->faults);
	if (dev->channel)
		misc_sim_channel_destroy(dev->channel);
	misc_sim_message_put(dev->message);
	mutex_destroy(&dev->store_lock);
	kfree(dev);
}

void misc_sim_device_put(struct misc_sim_device *dev)
{
	kref_put(&dev->ref, misc_sim_device_release);
}

/**
 * misc_sim_device_start - start the timer of a device that has a period
 * @dev: the device
 *
 * Context: Any context.
 */
void misc_sim_device_start(struct misc_sim_device *dev)
{
	if (dev->period_us)
		hrtimer_start(&dev->timer, us_to_ktime(dev->period_us),
			      HRTIMER_MODE_REL);
}

/**
 * misc_sim_device_stop - mark a device as gone and wake all waiters
 * @dev: the device
 *
 * Waits for a call of &misc_sim_device.store that is under way. Nothing is stored
 * or published after this returns.
 *
 * Context: Process context.
 */
void misc_sim_device_stop(struct misc_sim_device *dev)
{
	scoped_guard(spinlock_irqsave, &dev->lock) {
		WRITE_ONCE(dev->gone, true);
	}
	hrtimer_cancel(&dev->timer);
	wake_up_all(&dev->wait);
	if (dev->channel) {
		wake_up_all(&dev->channel->device.wait);
		wake_up_all(&dev->channel->peer.wait);
	}
	/* Wait for the transfer under way. Later ones see that the device is gone. */
	mutex_lock(&dev->store_lock);
	mutex_unlock(&dev->store_lock);
	trace_misc_sim_unplug(dev->name);
}

/**
 * misc_sim_device_sleep - sleep until a device is unplugged, or for a time
 * @dev: the device
 * @time_us: the time in microseconds
 *
 * Context: Process context, may sleep.
 * Return: 0, -ENODEV if the device is unplugged, or -ERESTARTSYS.
 */
int misc_sim_device_sleep(struct misc_sim_device *dev, u32 time_us)
{
	int ret;

	ret = wait_event_interruptible_hrtimeout(dev->wait,
						 misc_sim_device_gone(dev),
						 us_to_ktime(time_us));
	if (ret == -ETIME)
		return 0;
	return ret ?: -ENODEV;
}

/**
 * misc_sim_device_publish - make a message the current one
 * @dev: the device
 * @msg: the message; the caller's reference is consumed, also on failure
 * @expected: generation that the current message must have, or NULL for any
 *
 * Context: Any context but NMI.
 * Return: 0, -ENODEV if the device is unplugged, or -ESTALE if the generation of
 * the current message is not @expected.
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
		trace_misc_sim_publish(dev->name, msg->generation, msg->length);
	}
	/* No key: io_uring and EPOLLEXCLUSIVE waiters would miss some wake-ups. */
	wake_up_all(&dev->wait);
	return 0;
}

/**
 * misc_sim_device_store - call &misc_sim_device.store, if there is one, and publish
 * @dev: the device
 * @msg: the message; the caller's reference is consumed, also on failure
 * @expected: generation that the current message must have, or NULL for any
 *
 * If the device is unplugged after the message was stored, this still fails with
 * -ENODEV.
 *
 * Context: Process context, may sleep.
 * Return: as misc_sim_device_publish(), -ERESTARTSYS, or the error of the store.
 */
int misc_sim_device_store(struct misc_sim_device *dev,
			  struct misc_sim_message *msg, const u64 *expected)
{
	struct misc_sim_message *unused __free(misc_sim_message_put) = msg;
	int ret;

	if (!dev->store)
		return misc_sim_device_publish(dev, no_free_ptr(unused), expected);

	ACQUIRE(mutex_intr, lock)(&dev->store_lock);
	ret = ACQUIRE_ERR(mutex_intr, &lock);
	if (ret)
		return misc_sim_device_gone(dev) ? -ENODEV : -ERESTARTSYS;

	if (misc_sim_device_gone(dev))
		return -ENODEV;
	if (expected && *expected != atomic64_read(&dev->generation))
		return -ESTALE;

	ret = dev->store(dev->store_data, msg);
	/* -EAGAIN would promise a wake-up, and nothing would cause one. */
	if (ret)
		return ret == -EAGAIN ? -EIO : ret;

	return misc_sim_device_publish(dev, no_free_ptr(unused), expected);
}

/**
 * misc_sim_device_message - get the current message
 * @dev: the device
 *
 * Context: Any context but NMI.
 * Return: the message, with a reference that the caller owns.
 */
struct misc_sim_message *misc_sim_device_message(struct misc_sim_device *dev)
{
	guard(spinlock_irqsave)(&dev->lock);
	return misc_sim_message_get(dev->message);
}
