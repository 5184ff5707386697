// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for the core of the simulated misc device, and for its ABI
 */

#include <kunit/test.h>
#include <linux/build_bug.h>
#include <linux/ioctl.h>
#include <linux/stddef.h>
#include <uapi/linux/misc-sim.h>

#include "../misc-sim.h"

/* The layout must be the same for 32-bit and 64-bit programs. */
static_assert(sizeof(struct misc_sim_info) == 32);
static_assert(offsetof(struct misc_sim_info, generation) == 0);
static_assert(offsetof(struct misc_sim_info, seen) == 8);
static_assert(offsetof(struct misc_sim_info, length) == 16);
static_assert(offsetof(struct misc_sim_info, capacity) == 20);
static_assert(offsetof(struct misc_sim_info, flags) == 24);
static_assert(offsetof(struct misc_sim_info, reserved) == 28);

static_assert(sizeof(struct misc_sim_replace) == 24);
static_assert(offsetof(struct misc_sim_replace, generation) == 0);
static_assert(offsetof(struct misc_sim_replace, data) == 8);
static_assert(offsetof(struct misc_sim_replace, length) == 16);
static_assert(offsetof(struct misc_sim_replace, reserved) == 20);

static_assert(sizeof(struct misc_sim_record) == 48);
static_assert(offsetof(struct misc_sim_record, type) == 0);
static_assert(offsetof(struct misc_sim_record, length) == 4);
static_assert(offsetof(struct misc_sim_record, id) == 8);
static_assert(offsetof(struct misc_sim_record, file) == 16);
static_assert(offsetof(struct misc_sim_record, arg) == 24);
static_assert(offsetof(struct misc_sim_record, value) == 32);
static_assert(offsetof(struct misc_sim_record, flags) == 36);
static_assert(offsetof(struct misc_sim_record, cmd) == 40);
static_assert(offsetof(struct misc_sim_record, pid) == 44);

static_assert(_IOC(_IOC_READ, 0xda, 0, 32) == MISC_SIM_IOC_INFO);
static_assert(_IOC(_IOC_WRITE, 0xda, 1, 24) == MISC_SIM_IOC_REPLACE);

KUNIT_DEFINE_ACTION_WRAPPER(faults_put, misc_sim_faults_put,
			    struct misc_sim_faults *);
KUNIT_DEFINE_ACTION_WRAPPER(device_put, misc_sim_device_put,
			    struct misc_sim_device *);

/* A device without a node, which is freed at the end of the test. */
static struct misc_sim_device *configure_device(struct kunit *test,
						const struct misc_sim_config *config)
{
	struct misc_sim_faults *faults = misc_sim_faults_create();
	struct misc_sim_device *dev;

	KUNIT_ASSERT_NOT_NULL(test, faults);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, faults_put, faults));
	dev = misc_sim_device_create(config, faults);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, device_put, dev));
	return dev;
}

static struct misc_sim_device *create_device(struct kunit *test)
{
	return configure_device(test, &MISC_SIM_CONFIG_DEFAULT);
}

static int publish(struct kunit *test, struct misc_sim_device *dev,
		   const char *text, const u64 *expected)
{
	struct misc_sim_message *msg;

	msg = misc_sim_message_create(text, strlen(text), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, msg);
	return misc_sim_device_publish(dev, msg, expected);
}

static void expect_current(struct kunit *test, struct misc_sim_device *dev,
			   u64 generation, const char *text)
{
	struct misc_sim_message *msg = misc_sim_device_message(dev);

	KUNIT_EXPECT_EQ(test, msg->generation, generation);
	KUNIT_EXPECT_EQ(test, msg->length, strlen(text));
	if (msg->length == strlen(text))
		KUNIT_EXPECT_MEMEQ(test, msg->data, text, msg->length);
	misc_sim_message_put(msg);
}

static void device_greeting(struct kunit *test)
{
	expect_current(test, create_device(test), 1, MISC_SIM_GREETING);
}

static void device_greeting_is_cut(struct kunit *test)
{
	struct misc_sim_config config = MISC_SIM_CONFIG_DEFAULT;

	config.capacity = 5;
	expect_current(test, configure_device(test, &config), 1, "Hello");
}

static void device_first_message(struct kunit *test)
{
	struct misc_sim_config config = MISC_SIM_CONFIG_DEFAULT;

	config.message = "first";
	config.length = 0;
	expect_current(test, configure_device(test, &config), 1, "");
	config.length = strlen("first");
	expect_current(test, configure_device(test, &config), 1, "first");
}

static void device_publish(struct kunit *test)
{
	struct misc_sim_device *dev = create_device(test);
	struct misc_sim_message *pinned = misc_sim_device_message(dev);

	KUNIT_EXPECT_EQ(test, publish(test, dev, "second", NULL), 0);
	expect_current(test, dev, 2, "second");
	KUNIT_EXPECT_EQ(test, publish(test, dev, "", NULL), 0);
	expect_current(test, dev, 3, "");

	/* The pinned message has not changed. */
	KUNIT_EXPECT_EQ(test, pinned->generation, 1);
	KUNIT_EXPECT_MEMEQ(test, pinned->data, MISC_SIM_GREETING, pinned->length);
	KUNIT_EXPECT_EQ(test, kref_read(&pinned->ref), 1);
	misc_sim_message_put(pinned);
}

static void device_publish_expected(struct kunit *test)
{
	struct misc_sim_device *dev = create_device(test);
	static const u64 expected[] = { 0, 1, 2, U64_MAX };

	KUNIT_EXPECT_EQ(test, publish(test, dev, "none", &expected[0]), -ESTALE);
	KUNIT_EXPECT_EQ(test, publish(test, dev, "later", &expected[2]), -ESTALE);
	KUNIT_EXPECT_EQ(test, publish(test, dev, "last", &expected[3]), -ESTALE);
	expect_current(test, dev, 1, MISC_SIM_GREETING);
	KUNIT_EXPECT_EQ(test, publish(test, dev, "second", &expected[1]), 0);
	expect_current(test, dev, 2, "second");
	KUNIT_EXPECT_EQ(test, publish(test, dev, "again", &expected[1]), -ESTALE);
	expect_current(test, dev, 2, "second");
}

static void device_stop(struct kunit *test)
{
	struct misc_sim_device *dev = create_device(test);
	static const u64 stale = 7;

	KUNIT_EXPECT_FALSE(test, misc_sim_device_gone(dev));
	misc_sim_device_stop(dev);
	KUNIT_EXPECT_TRUE(test, misc_sim_device_gone(dev));
	KUNIT_EXPECT_EQ(test, publish(test, dev, "new", NULL), -ENODEV);
	KUNIT_EXPECT_EQ(test, publish(test, dev, "new", &stale), -ENODEV);
	expect_current(test, dev, 1, MISC_SIM_GREETING);
}

static void device_delay(struct kunit *test)
{
	struct misc_sim_device *dev = create_device(test);
	ktime_t start = ktime_get();

	KUNIT_EXPECT_EQ(test, misc_sim_device_delay(dev), 0);
	dev->faults->latency_us = 5000;
	KUNIT_EXPECT_EQ(test, misc_sim_device_delay(dev), 0);
	KUNIT_EXPECT_GE(test, ktime_us_delta(ktime_get(), start), 5000);

	dev->faults->latency_us = MISC_SIM_LATENCY_US_MAX;
	misc_sim_device_stop(dev);
	KUNIT_EXPECT_EQ(test, misc_sim_device_delay(dev), -ENODEV);
}

static struct kunit_case device_cases[] = {
	KUNIT_CASE(device_greeting),
	KUNIT_CASE(device_greeting_is_cut),
	KUNIT_CASE(device_first_message),
	KUNIT_CASE(device_publish),
	KUNIT_CASE(device_publish_expected),
	KUNIT_CASE(device_stop),
	KUNIT_CASE(device_delay),
	{}
};

static struct kunit_suite device_suite = {
	.name = "misc_sim_device",
	.test_cases = device_cases,
};

kunit_test_suite(device_suite);
