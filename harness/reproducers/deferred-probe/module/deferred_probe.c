// SPDX-License-Identifier: GPL-2.0-only
/*
 * A platform device and a driver whose probe always defers, and says why
 */

#include <linux/module.h>
#include <linux/platform_device.h>

static struct platform_device *device;

static int deferred_probe(struct platform_device *pdev)
{
	return dev_err_probe(&pdev->dev, -EPROBE_DEFER, "not yet\n");
}

static struct platform_driver driver = {
	.probe		= deferred_probe,
	.driver.name	= "deferred-probe",
};

static int __init deferred_probe_init(void)
{
	int ret;

	ret = platform_driver_register(&driver);
	if (ret)
		return ret;

	device = platform_device_register_simple("deferred-probe", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(device)) {
		platform_driver_unregister(&driver);
		return PTR_ERR(device);
	}
	return 0;
}
module_init(deferred_probe_init);

static void __exit deferred_probe_exit(void)
{
	platform_device_unregister(device);
	platform_driver_unregister(&driver);
}
module_exit(deferred_probe_exit);

MODULE_DESCRIPTION("Reproducer of a leak of deferred probe reasons");
MODULE_LICENSE("GPL");
