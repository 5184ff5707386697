// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for the platform driver of the simulated misc device
 *
 * They only use platform devices and device nodes, not the internals of the
 * driver, so they run on the Rust driver as well.
 */

#include <kunit/platform_device.h>
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/jiffies.h>
#include <linux/kconfig.h>
#include <linux/ktime.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#include "../misc-sim.h"
#include "node.h"

struct driver_param {
	const char *name;
	const char *greeting;
};

static const struct driver_param drivers[] = {
	{ MISC_SIM_NAME, MISC_SIM_GREETING },
#if IS_ENABLED(CONFIG_MISC_SIM_RUST)
	{ "r" MISC_SIM_NAME, "Hello from r" MISC_SIM_NAME "!\n" },
#endif
};

KUNIT_ARRAY_PARAM_DESC(driver, drivers, name);

static const u8 text[] = { 'm', 'e', 's', 's', 'a', 'g', 'e' };

struct platform_test {
	const struct device_driver *driver;
	struct vfsmount *dev;
	char name[128];		/* result of the last node_name() */
};

static int platform_test_init(struct kunit *test)
{
	const struct driver_param *param = test->param_value;
	struct platform_test *priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);

	if (!priv)
		return -ENOMEM;

	priv->driver = driver_find(param->name, &platform_bus_type);
	/* These tests are part of the driver in C. Only the one in Rust may be missing. */
	if (!priv->driver && param != drivers)
		kunit_skip(test, "%s is not loaded", param->name);
	KUNIT_ASSERT_NOT_NULL(test, priv->driver);

	priv->dev = mount_nodes(test);
	test->priv = priv;
	return 0;
}

/* The driver has bound, or refused to bind, when this returns. */
static struct platform_device *add_device(struct kunit *test,
					  const struct property_entry *properties)
{
	const struct driver_param *param = test->param_value;
	struct platform_device_info info = {
		.name = param->name,
		.id = PLATFORM_DEVID_AUTO,
		.properties = properties,
	};
	struct platform_device *pdev;

	pdev = kunit_platform_device_register_full(test, &info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pdev);
	return pdev;
}

static int bind(struct kunit *test, struct platform_device *pdev)
{
	struct platform_test *priv = test->priv;

	return device_driver_attach(priv->driver, &pdev->dev);
}

static const char *node_name(struct kunit *test, struct platform_device *pdev)
{
	const struct driver_param *param = test->param_value;
	struct platform_test *priv = test->priv;

	scnprintf(priv->name, sizeof(priv->name), "%s-platform:%s", param->name,
		  dev_name(&pdev->dev));
	return priv->name;
}

static struct file *open_pdev(struct kunit *test, struct platform_device *pdev,
			      int flags)
{
	struct platform_test *priv = test->priv;

	return open_node(test, priv->dev, node_name(test, pdev), flags);
}

static bool has_child(struct platform_device *pdev, const char *name)
{
	struct device *child = device_find_child(&pdev->dev, name, device_match_name);

	put_device(child);
	return child;
}

static void expect_no_node(struct kunit *test, struct platform_device *pdev)
{
	struct platform_test *priv = test->priv;
	const char *name = node_name(test, pdev);

	KUNIT_EXPECT_PTR_EQ(test, try_open(priv->dev, name, O_RDWR), ERR_PTR(-ENOENT));
	KUNIT_EXPECT_FALSE(test, has_child(pdev, name));
}

static void platform_defaults(struct kunit *test)
{
	const struct driver_param *param = test->param_value;
	struct platform_device *pdev = add_device(test, NULL);
	struct file *file = open_pdev(test, pdev, O_RDWR);
	loff_t pos = strlen(param->greeting);
	char c;

	KUNIT_EXPECT_TRUE(test, has_child(pdev, node_name(test, pdev)));
	KUNIT_EXPECT_EQ(test, file_inode(file)->i_mode, S_IFCHR | 0600);
	expect_read(test, file, param->greeting, strlen(param->greeting));
	KUNIT_EXPECT_EQ(test, kernel_read(file, &c, 1, &pos), 0);
	KUNIT_EXPECT_EQ(test, write_bytes(test, file, 0, SZ_4K + 1), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, write_bytes(test, file, 0, SZ_4K), SZ_4K);
}

static void platform_properties(struct kunit *test)
{
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_U8_ARRAY("linux,message", text),
		PROPERTY_ENTRY_U32("linux,capacity", 16),
		PROPERTY_ENTRY_STRING("linux,kind", "stream"),
		PROPERTY_ENTRY_U32("linux,mode", 0640),
		{}
	};
	struct platform_device *pdev = add_device(test, properties);
	struct file *file = open_pdev(test, pdev, O_RDWR | O_NONBLOCK);
	loff_t pos = 0;
	char c;

	KUNIT_EXPECT_EQ(test, file_inode(file)->i_mode, S_IFCHR | 0640);
	expect_read(test, file, text, sizeof(text));
	KUNIT_EXPECT_EQ(test, kernel_read(file, &c, 1, &pos), -EAGAIN);
	KUNIT_EXPECT_EQ(test, write_bytes(test, file, 0, 17), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, write_bytes(test, file, 0, 16), 16);
}

static void platform_kind_message(struct kunit *test)
{
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_STRING("linux,kind", "message"),
		PROPERTY_ENTRY_U8_ARRAY("linux,message", text),
		{}
	};
	struct file *file = open_pdev(test, add_device(test, properties), O_RDONLY);
	loff_t pos = sizeof(text);
	char c;

	expect_read(test, file, text, sizeof(text));
	KUNIT_EXPECT_EQ(test, kernel_read(file, &c, 1, &pos), 0);
}

static void platform_capacity_cuts_greeting(struct kunit *test)
{
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_U32("linux,capacity", 5),
		{}
	};

	expect_read(test, open_pdev(test, add_device(test, properties), O_RDONLY),
		    "Hello", 5);
}

static void platform_period(struct kunit *test)
{
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_STRING("linux,kind", "stream"),
		PROPERTY_ENTRY_U32("linux,period-us", MISC_SIM_PERIOD_US_MIN),
		{}
	};
	struct file *file = open_pdev(test, add_device(test, properties),
				      O_RDONLY | O_NONBLOCK);
	unsigned long deadline = jiffies + 10 * HZ;
	char buf[32] = {}, expected[32];
	unsigned long long tick;
	loff_t pos = 0;
	ssize_t length;

	do {
		KUNIT_ASSERT_TRUE(test, time_before(jiffies, deadline));
		length = kernel_read(file, buf, sizeof(buf) - 1, &pos);
		if (length == -EAGAIN) {
			fsleep(MISC_SIM_PERIOD_US_MIN);
			continue;
		}
		KUNIT_ASSERT_GT(test, length, 0);
		buf[length] = '\0';
	} while (sscanf(buf, "tick %llu", &tick) != 1);
	KUNIT_EXPECT_GT(test, tick, 0);
	snprintf(expected, sizeof(expected), "tick %llu\n", tick);
	KUNIT_EXPECT_STREQ(test, buf, expected);
}

static void platform_latency(struct kunit *test)
{
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_U32("linux,latency-us", 20000),
		{}
	};
	const struct driver_param *param = test->param_value;
	struct file *file = open_pdev(test, add_device(test, properties), O_RDONLY);
	ktime_t start = ktime_get();

	expect_read(test, file, param->greeting, strlen(param->greeting));
	KUNIT_EXPECT_GE(test, ktime_us_delta(ktime_get(), start), 20000);
}

static void platform_channel(struct kunit *test)
{
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_STRING("linux,kind", "channel"),
		PROPERTY_ENTRY_STRING("linux,peer", "records"),
		{}
	};
	const struct property_entry with_period[] = {
		PROPERTY_ENTRY_STRING("linux,kind", "channel"),
		PROPERTY_ENTRY_U32("linux,period-us", MISC_SIM_PERIOD_US_MIN),
		{}
	};
	struct platform_device *pdev = add_device(test, properties);
	struct platform_test *priv = test->priv;
	struct misc_sim_record record = {};
	struct file *peer;
	char name[128 + sizeof(".peer")];
	loff_t pos = 0;

	open_pdev(test, pdev, O_RDWR);
	snprintf(name, sizeof(name), "%s.peer", priv->name);
	peer = open_node(test, priv->dev, name, O_RDWR | O_NONBLOCK);
	KUNIT_EXPECT_TRUE(test, has_child(pdev, name));
	KUNIT_EXPECT_PTR_EQ(test, try_open(priv->dev, name, O_RDWR), ERR_PTR(-EBUSY));
	KUNIT_EXPECT_EQ(test, kernel_read(peer, &record, sizeof(record), &pos), sizeof(record));
	KUNIT_EXPECT_EQ(test, record.type, MISC_SIM_RECORD_OPEN);
	KUNIT_EXPECT_EQ(test, bind(test, add_device(test, with_period)), -EINVAL);
}

static const struct {
	struct property_entry property;
	int error;
} refused[] = {
	{ PROPERTY_ENTRY_U32("linux,capacity", 0), -EINVAL },
	{ PROPERTY_ENTRY_U32("linux,capacity", sizeof(text) - 1), -EMSGSIZE },
	{ PROPERTY_ENTRY_U32("linux,capacity", MISC_SIM_CAPACITY_MAX + 1), -EINVAL },
	{ PROPERTY_ENTRY_U32("linux,period-us", MISC_SIM_PERIOD_US_MIN - 1), -EINVAL },
	{ PROPERTY_ENTRY_U32("linux,period-us", MISC_SIM_PERIOD_US_MAX + 1), -EINVAL },
	{ PROPERTY_ENTRY_U32("linux,latency-us", MISC_SIM_LATENCY_US_MAX + 1), -EINVAL },
	{ PROPERTY_ENTRY_U32("linux,mode", 0), -EINVAL },
	{ PROPERTY_ENTRY_U32("linux,mode", 01000), -EINVAL },
	{ PROPERTY_ENTRY_STRING("linux,kind", "streams"), -EINVAL },
	{ PROPERTY_ENTRY_STRING("linux,kind", ""), -EINVAL },
	{ PROPERTY_ENTRY_STRING("linux,peer", "record"), -EINVAL },
};

static void platform_values_refused(struct kunit *test)
{
	for (int i = 0; i < ARRAY_SIZE(refused); i++) {
		const struct property_entry properties[] = {
			PROPERTY_ENTRY_U8_ARRAY("linux,message", text),
			refused[i].property,
			{}
		};
		struct platform_device *pdev = add_device(test, properties);

		KUNIT_EXPECT_EQ_MSG(test, bind(test, pdev), refused[i].error, "%s, case %d",
				    refused[i].property.name, i);
		expect_no_node(test, pdev);
	}
}

struct name_case {
	const char *name;
	int length;	/* padded to this length with "x" */
	int error;
};

/* "platform:" takes 9 of the 64 characters. */
static const struct name_case name_cases[] = {
	{ "kunit-a.b,c+d@e", 0, 0 },
	{ "kunit-", MISC_SIM_NAME_MAX - 9, 0 },
	{ "kunit-", MISC_SIM_NAME_MAX - 8, -EINVAL },
	{ "kunit-a/b", 0, -EINVAL },
	{ "kunit-a!b", 0, -EINVAL },
	{ "kunit-a.peer", 0, -EINVAL },
};

static void platform_names(struct kunit *test)
{
	for (int i = 0; i < ARRAY_SIZE(name_cases); i++) {
		const struct name_case *c = &name_cases[i];
		struct platform_device *pdev;
		char name[MISC_SIM_NAME_MAX] = {};

		memset(name, 'x', c->length);
		memcpy(name, c->name, strlen(c->name));
		pdev = kunit_platform_device_alloc(test, name, PLATFORM_DEVID_NONE);
		KUNIT_ASSERT_NOT_NULL(test, pdev);
		KUNIT_ASSERT_EQ(test, kunit_platform_device_add(test, pdev), 0);
		KUNIT_EXPECT_EQ_MSG(test, bind(test, pdev), c->error, "%s", name);
		if (c->error)
			expect_no_node(test, pdev);
		else
			open_pdev(test, pdev, O_RDWR);
		kunit_platform_device_unregister(test, pdev);
	}
}

static void platform_unbind_unplugs(struct kunit *test)
{
	const struct driver_param *param = test->param_value;
	struct platform_device *pdev = add_device(test, NULL);
	struct file *file = open_pdev(test, pdev, O_RDWR);
	loff_t pos = 0;
	char c;

	KUNIT_EXPECT_EQ(test, write_bytes(test, file, 0, 1), 1);
	device_release_driver(&pdev->dev);
	KUNIT_EXPECT_EQ(test, kernel_read(file, &c, 1, &pos), -ENODEV);
	KUNIT_EXPECT_EQ(test, write_bytes(test, file, 0, 1), -ENODEV);
	expect_no_node(test, pdev);

	/* A new device, which shares nothing with the old one. */
	KUNIT_ASSERT_EQ(test, bind(test, pdev), 0);
	expect_read(test, open_pdev(test, pdev, O_RDWR), param->greeting,
		    strlen(param->greeting));
	KUNIT_EXPECT_EQ(test, kernel_read(file, &c, 1, &pos), -ENODEV);
}

static void platform_removal_unplugs(struct kunit *test)
{
	struct platform_device *pdev = add_device(test, NULL);
	struct file *file = open_pdev(test, pdev, O_RDWR);
	const char *name = node_name(test, pdev);
	struct platform_test *priv = test->priv;
	loff_t pos = 0;
	char c;

	kunit_platform_device_unregister(test, pdev);
	KUNIT_EXPECT_EQ(test, kernel_read(file, &c, 1, &pos), -ENODEV);
	KUNIT_EXPECT_PTR_EQ(test, try_open(priv->dev, name, O_RDWR), ERR_PTR(-ENOENT));
}

static struct kunit_case platform_cases[] = {
	KUNIT_CASE_PARAM(platform_defaults, driver_gen_params),
	KUNIT_CASE_PARAM(platform_properties, driver_gen_params),
	KUNIT_CASE_PARAM(platform_kind_message, driver_gen_params),
	KUNIT_CASE_PARAM(platform_capacity_cuts_greeting, driver_gen_params),
	KUNIT_CASE_PARAM(platform_period, driver_gen_params),
	KUNIT_CASE_PARAM(platform_latency, driver_gen_params),
	KUNIT_CASE_PARAM(platform_channel, driver_gen_params),
	KUNIT_CASE_PARAM(platform_values_refused, driver_gen_params),
	KUNIT_CASE_PARAM(platform_names, driver_gen_params),
	KUNIT_CASE_PARAM(platform_unbind_unplugs, driver_gen_params),
	KUNIT_CASE_PARAM(platform_removal_unplugs, driver_gen_params),
	{}
};

static struct kunit_suite platform_suite = {
	.name = "misc_sim_platform",
	.init = platform_test_init,
	.test_cases = platform_cases,
};

kunit_test_suite(platform_suite);
