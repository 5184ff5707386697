// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulated misc character device: the module and its default instance
 *
 * See Documentation/misc-devices/misc-sim.rst.
 */

#include <linux/err.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#include "misc-sim.h"

static struct misc_sim_device *misc_sim_default;

static int __init misc_sim_create_default(void)
{
	struct misc_sim_faults *faults __free(misc_sim_faults_put) =
		misc_sim_faults_create();

	if (!faults)
		return -ENOMEM;

	misc_sim_default = misc_sim_instance_create("0", &MISC_SIM_CONFIG_DEFAULT,
						    faults, NULL);
	return PTR_ERR_OR_ZERO(misc_sim_default);
}

static int __init misc_sim_init(void)
{
	int ret;

	ret = platform_driver_register(&misc_sim_platform_driver);
	if (ret)
		return ret;

	ret = misc_sim_i2c_register();
	if (ret)
		goto err_platform;

	ret = misc_sim_config_register();
	if (ret)
		goto err_i2c;

	/* Last, because nothing may fail once user space can open a node. */
	ret = misc_sim_create_default();
	if (ret)
		goto err_config;

	/* Bind the devices that probe() has refused so far. */
	misc_sim_instances_allow();
	if (driver_attach(&misc_sim_platform_driver.driver) || misc_sim_i2c_attach())
		pr_warn(MISC_SIM_NAME ": failed to bind some devices\n");
	return 0;

err_config:
	misc_sim_config_unregister();
err_i2c:
	misc_sim_i2c_unregister();
err_platform:
	platform_driver_unregister(&misc_sim_platform_driver);
	return ret;
}
module_init(misc_sim_init);

static void __exit misc_sim_exit(void)
{
	misc_sim_instance_unplug(misc_sim_default);
	misc_sim_config_unregister();
	misc_sim_i2c_unregister();
	platform_driver_unregister(&misc_sim_platform_driver);
}
module_exit(misc_sim_exit);

MODULE_ALIAS("platform:" MISC_SIM_NAME);
MODULE_AUTHOR("misc-sim <misc-sim@example.org>");
MODULE_DESCRIPTION("Simulated misc character device");
MODULE_LICENSE("GPL");
