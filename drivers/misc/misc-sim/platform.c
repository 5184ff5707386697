// SPDX-License-Identifier: GPL-2.0-only
/*
 * Platform driver of the simulated misc device: one instance per platform device
 */

#include <linux/err.h>
#include <linux/mod_devicetable.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>

#include "misc-sim.h"

/* Return: the first message, NULL if there is no such property, or an ERR_PTR(). */
static void *misc_sim_read_message(struct device *dev, size_t *length)
{
	int count, ret;

	count = device_property_count_u8(dev, "linux,message");
	if (count < 0)
		return count == -EINVAL ? NULL : ERR_PTR(count);
	if (count > MISC_SIM_CAPACITY_MAX)
		return ERR_PTR(-EMSGSIZE);

	void *message __free(kfree) = kmalloc(count, GFP_KERNEL);

	if (!message)
		return ERR_PTR(-ENOMEM);

	ret = device_property_read_u8_array(dev, "linux,message", message, count);
	if (ret)
		return ERR_PTR(ret);

	*length = count;
	return_ptr(message);
}

static int misc_sim_read_choice(struct device *dev, const char *property,
				const char * const *names, size_t count, u32 *value)
{
	int ret = device_property_match_property_string(dev, property, names, count);

	if (ret >= 0)
		*value = ret;
	else if (device_property_present(dev, property))
		return -EINVAL;
	return 0;
}

static int misc_sim_probe(struct platform_device *pdev)
{
	struct misc_sim_config config = MISC_SIM_CONFIG_DEFAULT;
	struct device *dev = &pdev->dev;
	struct misc_sim_device *sim;
	int ret;

	void *message __free(kfree) = misc_sim_read_message(dev, &config.length);

	if (IS_ERR(message))
		return PTR_ERR(message);
	config.message = message;

	struct misc_sim_faults *faults __free(misc_sim_faults_put) =
		misc_sim_faults_create();

	if (!faults)
		return -ENOMEM;

	device_property_read_u32(dev, "linux,capacity", &config.capacity);
	device_property_read_u32(dev, "linux,period-us", &config.period_us);
	device_property_read_u32(dev, "linux,mode", &config.mode);
	device_property_read_u32(dev, "linux,latency-us", &faults->latency_us);
	if (faults->latency_us > MISC_SIM_LATENCY_US_MAX)
		return -EINVAL;

	ret = misc_sim_read_choice(dev, "linux,kind", misc_sim_kind_names,
				   MISC_SIM_KIND_COUNT, &config.kind) ?:
	      misc_sim_read_choice(dev, "linux,peer", misc_sim_peer_names,
				   MISC_SIM_PEER_COUNT, &config.peer);
	if (ret)
		return ret;

	sim = misc_sim_instance_probe(dev, &config, faults);
	if (IS_ERR(sim))
		return PTR_ERR(sim);

	platform_set_drvdata(pdev, sim);
	return 0;
}

static void misc_sim_remove(struct platform_device *pdev)
{
	misc_sim_instance_unplug(platform_get_drvdata(pdev));
}

static const struct of_device_id misc_sim_of_match[] = {
	{ .compatible = "linux,misc-sim" },
	{}
};
MODULE_DEVICE_TABLE(of, misc_sim_of_match);

struct platform_driver misc_sim_platform_driver = {
	.probe	= misc_sim_probe,
	.remove	= misc_sim_remove,
	.driver	= {
		.name		= MISC_SIM_NAME,
		.of_match_table	= misc_sim_of_match,
	},
};
