// SPDX-License-Identifier: GPL-2.0-only
/*
 * Simulated misc character device: the module and its default instance
 *
 * See Documentation/misc-devices/misc-sim.rst.
 */

#include <linux/module.h>

#include "misc-sim.h"

static struct misc_sim_device *misc_sim_default;

static int __init misc_sim_init(void)
{
	misc_sim_default = misc_sim_device_create("0");
	return PTR_ERR_OR_ZERO(misc_sim_default);
}
module_init(misc_sim_init);

static void __exit misc_sim_exit(void)
{
	misc_sim_device_destroy(misc_sim_default);
}
module_exit(misc_sim_exit);

MODULE_AUTHOR("misc-sim <misc-sim@example.org>");
MODULE_DESCRIPTION("Simulated misc character device");
MODULE_LICENSE("GPL");
