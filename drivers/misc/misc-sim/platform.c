// SPDX-License-Identifier: GPL-2.0-only
/*
 * Platform driver of the simulated misc device: an instance for each device
 */

#include <linux/err.h>
#include <linux/mod_devicetable.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>

#include "misc-sim.h"

/* Return: the message of the firmware node, NULL if there is none, or ERR_PTR(). */
static void *misc_sim_read_message(struct device *dev, size_t *length)
{
	void *message __free(kfree) = NULL;
	int count, ret;

	count = device_property_count_u8(dev, "linux,message");
	if (count < 0)
		return count == -EINVAL ? NULL : ERR_PTR(count);
	if (count > MISC_SIM_CAPACITY_MAX)
		return ERR_PTR(-EMSGSIZE);

	message = kmalloc(count, GFP_KERNEL);
	if (!message)
		return ERR_PTR(-ENOMEM);

	ret = device_property_read_u8_array(dev, "linux,message", message, count);
	if (ret)
		return ERR_PTR(ret);

	*length = count;
	return_ptr(message);
}

static int misc_sim_create_from(struct platform_device *pdev)
{
	struct misc_sim_platform_data *pdata = dev_get_platdata(&pdev->dev);
	struct misc_sim_config config = MISC_SIM_CONFIG_DEFAULT(dev_name(&pdev->dev));
	struct misc_sim_faults *faults __free(misc_sim_faults_put) = NULL;
	struct device *dev = &pdev->dev;
	struct misc_sim_device *sim;
	u32 mode;

	void *message __free(kfree) = misc_sim_read_message(dev, &config.length);

	if (IS_ERR(message))
		return PTR_ERR(message);
	if (message)
		config.message = message;

	faults = pdata ? misc_sim_faults_get(pdata->faults) : misc_sim_faults_create();
	if (!faults)
		return -ENOMEM;
	config.faults = faults;

	device_property_read_string(dev, "label", &config.name);
	device_property_read_u32(dev, "linux,capacity", &config.capacity);
	device_property_read_u32(dev, "linux,period-us", &config.period_us);
	device_property_read_u32(dev, "linux,latency-us", &faults->latency_us);
	config.blocking = device_property_read_bool(dev, "linux,blocking");
	if (faults->latency_us > MISC_SIM_LATENCY_US_MAX)
		return -EINVAL;
	if (!device_property_read_u32(dev, "linux,mode", &mode))
		config.mode = mode;

	sim = misc_sim_device_create(&config, dev);
	if (IS_ERR(sim))
		return PTR_ERR(sim);

	platform_set_drvdata(pdev, sim);
	return 0;
}

static int misc_sim_probe(struct platform_device *pdev)
{
	struct misc_sim_platform_data *pdata = dev_get_platdata(&pdev->dev);
	int ret = misc_sim_create_from(pdev);

	if (!pdata)
		return ret;

	/* configfs tells the user; the core logs all errors but -ENODEV. */
	pdata->error = ret;
	return ret ? -ENODEV : 0;
}

/* Unplugs; whoever has the device open keeps what is left of it. */
static void misc_sim_remove(struct platform_device *pdev)
{
	misc_sim_device_unplug(platform_get_drvdata(pdev));
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
		/* configfs wants to know how the probe ended */
		.probe_type	= PROBE_FORCE_SYNCHRONOUS,
	},
};
