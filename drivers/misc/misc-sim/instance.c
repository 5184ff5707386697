// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instances of the simulated misc device: a device and its nodes
 */

#include <linux/device.h>
#include <linux/minmax.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#include "misc-sim.h"

/*
 * Set when the default instance exists. Until then, no other instance may be
 * created, because loading the module fails if the default one cannot be created.
 */
static bool misc_sim_allowed;

void misc_sim_instances_allow(void)
{
	WRITE_ONCE(misc_sim_allowed, true);
}

bool misc_sim_instances_allowed(void)
{
	return READ_ONCE(misc_sim_allowed);
}

const char * const misc_sim_kind_names[] = {
	[MISC_SIM_KIND_MESSAGE]	= "message",
	[MISC_SIM_KIND_STREAM]	= "stream",
	[MISC_SIM_KIND_CHANNEL]	= "channel",
};

const char * const misc_sim_peer_names[] = {
	[MISC_SIM_PEER_RAW]	= "raw",
	[MISC_SIM_PEER_RECORDS]	= "records",
};

static int misc_sim_check_config(const struct misc_sim_config *config)
{
	if (!in_range(config->capacity, 1, MISC_SIM_CAPACITY_MAX))
		return -EINVAL;
	if (config->kind != MISC_SIM_KIND_CHANNEL && config->message &&
	    config->length > config->capacity)
		return -EMSGSIZE;
	if (config->period_us && (config->period_us < MISC_SIM_PERIOD_US_MIN ||
				  config->period_us > MISC_SIM_PERIOD_US_MAX ||
				  config->kind == MISC_SIM_KIND_CHANNEL))
		return -EINVAL;
	if (!in_range(config->mode, 1, 0777))
		return -EINVAL;
	return 0;
}

static const struct file_operations * const misc_sim_fops[] = {
	[MISC_SIM_KIND_MESSAGE]	= &misc_sim_message_fops,
	[MISC_SIM_KIND_STREAM]	= &misc_sim_stream_fops,
	[MISC_SIM_KIND_CHANNEL]	= &misc_sim_channel_fops,
};

static int misc_sim_register_peer(struct misc_sim_device *dev, struct device *parent)
{
	struct misc_sim_channel *ch = dev->channel;

	if (!ch)
		return 0;

	snprintf(ch->name, sizeof(ch->name), "%s.peer", dev->name);
	ch->misc.minor = MISC_DYNAMIC_MINOR;
	ch->misc.name = ch->name;
	ch->misc.fops = ch->records ? &misc_sim_record_fops : &misc_sim_peer_fops;
	ch->misc.parent = parent;
	ch->misc.mode = MISC_SIM_MODE;
	return misc_register(&ch->misc);
}

static void misc_sim_deregister_peer(struct misc_sim_device *dev)
{
	if (dev->channel)
		misc_deregister(&dev->channel->misc);
}

/**
 * misc_sim_instance_create - create a device and its nodes
 * @name: name of the node after "misc-sim-", at most MISC_SIM_NAME_MAX
 *	characters; the caller ensures that it is unique
 * @config: configuration of the device
 * @faults: fault settings; the device takes a reference
 * @parent: parent of the node in the device model, or NULL
 *
 * Context: Process context.
 * Return: the device with the reference of the registration, which
 * misc_sim_instance_unplug() drops, or an ERR_PTR(): -EINVAL, -EMSGSIZE (the
 * message does not fit), -EBUSY (no minor is left), or -ENOMEM.
 */
struct misc_sim_device *misc_sim_instance_create(const char *name,
						 const struct misc_sim_config *config,
						 struct misc_sim_faults *faults,
						 struct device *parent)
{
	int ret;

	ret = misc_sim_check_config(config);
	if (ret)
		return ERR_PTR(ret);

	struct misc_sim_device *dev __free(misc_sim_device_put) =
		misc_sim_device_create(config, faults);
	if (IS_ERR(dev))
		return dev;

	snprintf(dev->name, sizeof(dev->name), MISC_SIM_NAME "-%s", name);
	dev->misc.minor = MISC_DYNAMIC_MINOR;
	dev->misc.name = dev->name;
	dev->misc.fops = misc_sim_fops[config->kind];
	dev->misc.groups = misc_sim_groups;
	dev->misc.parent = parent;
	dev->misc.mode = config->mode;

	ret = misc_sim_register_peer(dev, parent);
	if (ret)
		return ERR_PTR(ret);

	ret = misc_register(&dev->misc);
	if (ret) {
		/* The peer may be open already. */
		misc_sim_deregister_peer(dev);
		misc_sim_device_stop(dev);
		return ERR_PTR(ret);
	}

	misc_sim_device_start(dev);
	return_ptr(dev);
}

/**
 * misc_sim_instance_probe - create the instance of a device on a bus
 * @parent: the device on the bus
 * @config: configuration of the instance
 * @faults: fault settings; the device takes a reference
 *
 * The name of the node ends with BUS:DEVICE. The name of a directory in configfs
 * cannot contain a colon.
 *
 * Context: Process context.
 * Return: as misc_sim_instance_create(), or ERR_PTR(-ENODEV) while the default
 * instance does not exist.
 */
struct misc_sim_device *misc_sim_instance_probe(struct device *parent,
						const struct misc_sim_config *config,
						struct misc_sim_faults *faults)
{
	char name[MISC_SIM_NAME_MAX + 1];

	if (!misc_sim_instances_allowed())
		return ERR_PTR(-ENODEV);
	if (snprintf(name, sizeof(name), "%s:%s", dev_bus_name(parent),
		     dev_name(parent)) >= sizeof(name) ||
	    strpbrk(name, "/!") || strends(name, ".peer"))
		return ERR_PTR(-EINVAL);

	return misc_sim_instance_create(name, config, faults, parent);
}

/**
 * misc_sim_instance_unplug - unplug a device, even while it is in use
 * @dev: the device that misc_sim_instance_create() returned
 *
 * Does not wait for users. From now on, operations on open files fail with
 * -ENODEV, including those that are asleep. The memory is freed when the last
 * file is closed.
 *
 * Context: Process context.
 */
void misc_sim_instance_unplug(struct misc_sim_device *dev)
{
	misc_deregister(&dev->misc);
	misc_sim_deregister_peer(dev);
	misc_sim_device_stop(dev);
	misc_sim_device_put(dev);
}
