// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of the simulated misc device in /sys/class/misc
 *
 * User space can read them before misc_register() returns.
 */

#include <linux/device.h>
#include <linux/sysfs.h>

#include "misc-sim.h"

static struct misc_sim_device *to_misc_sim_device(struct device *dev)
{
	return container_of(dev_get_drvdata(dev), struct misc_sim_device, misc);
}

static ssize_t generation_show(struct device *dev, struct device_attribute *attr,
			       char *buf)
{
	struct misc_sim_device *sim = to_misc_sim_device(dev);

	return sysfs_emit(buf, "%lld\n", atomic64_read(&sim->generation));
}
static DEVICE_ATTR_RO(generation);

static ssize_t length_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	struct misc_sim_message *msg __free(misc_sim_message_put) =
		misc_sim_device_message(to_misc_sim_device(dev));

	return sysfs_emit(buf, "%zu\n", msg->length);
}
static DEVICE_ATTR_RO(length);

static ssize_t capacity_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%u\n", to_misc_sim_device(dev)->capacity);
}
static DEVICE_ATTR_RO(capacity);

static struct attribute *misc_sim_attrs[] = {
	&dev_attr_generation.attr,
	&dev_attr_length.attr,
	&dev_attr_capacity.attr,
	NULL
};

/* A channel has no current message. */
static umode_t misc_sim_attr_is_visible(struct kobject *kobj,
					struct attribute *attr, int n)
{
	struct misc_sim_device *sim = to_misc_sim_device(kobj_to_dev(kobj));

	if (sim->kind == MISC_SIM_KIND_CHANNEL && attr != &dev_attr_capacity.attr)
		return 0;
	return attr->mode;
}

static const struct attribute_group misc_sim_group = {
	.attrs = misc_sim_attrs,
	.is_visible = misc_sim_attr_is_visible,
};

const struct attribute_group *misc_sim_groups[] = {
	&misc_sim_group,
	NULL
};
