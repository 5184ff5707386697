// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for the I2C driver of the simulated misc device, on an adapter with
 * one chip whose transfers can fail or stall
 */

#include <kunit/test.h>
#include <linux/cleanup.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/i2c.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/sprintf.h>
#include <linux/string.h>

#include "../misc-sim.h"
#include "node.h"

#define CAPACITY	127
#define SLOT		BIT(7)
#define DEADLINE	(10 * HZ)

static const char text[] = "kept on the chip";

#define TEXT_LEN	(sizeof(text) - 1)

struct writer {
	struct file *file;
	struct completion done;
	ssize_t ret;
};

/* The tests change the settings only while no transfer is under way. */
struct i2c_test {
	struct i2c_adapter adapter;
	struct i2c_client *client;
	struct vfsmount *dev;
	char name[64];			/* of the node */
	u8 memory[256];			/* of the chip */
	unsigned int transfers;
	unsigned int fail_at;		/* transfer that fails, 0 for none */
	int error;			/* of that transfer */
	bool stall;			/* each transfer waits for @go */
	struct completion stalled;
	struct completion go;
	struct writer writers[2];
	int running;			/* writers that were started */
	struct task_struct *unbind;	/* thread, or NULL */
};

static s32 smbus_xfer(struct i2c_adapter *adapter, u16 addr, unsigned short flags,
		      char read_write, u8 command, int size,
		      union i2c_smbus_data *data)
{
	struct i2c_test *priv = i2c_get_adapdata(adapter);
	u8 *memory = priv->memory + command;
	size_t length = data->block[0];

	if (size != I2C_SMBUS_I2C_BLOCK_DATA || command + length > sizeof(priv->memory))
		return -EOPNOTSUPP;
	if (priv->stall) {
		complete(&priv->stalled);
		wait_for_completion(&priv->go);
	}
	if (++priv->transfers == priv->fail_at)
		return priv->error;

	if (read_write == I2C_SMBUS_READ)
		memcpy(data->block + 1, memory, length);
	else
		memcpy(memory, data->block + 1, length);
	return 0;
}

static u32 functionality(struct i2c_adapter *adapter)
{
	return I2C_FUNC_SMBUS_I2C_BLOCK;
}

static const struct i2c_algorithm algorithm = {
	.smbus_xfer	= smbus_xfer,
	.functionality	= functionality,
};

static void del_adapter(void *adapter)
{
	i2c_del_adapter(adapter);
}

static int i2c_test_init(struct kunit *test)
{
	struct i2c_test *priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);
	struct i2c_adapter *adapter;
	int ret;

	if (!priv)
		return -ENOMEM;

	priv->dev = mount_nodes(test);
	init_completion(&priv->stalled);
	init_completion(&priv->go);
	test->priv = priv;

	adapter = &priv->adapter;
	adapter->owner = THIS_MODULE;
	adapter->algo = &algorithm;
	strscpy(adapter->name, "misc-sim-kunit");
	i2c_set_adapdata(adapter, priv);
	ret = i2c_add_adapter(adapter);
	if (ret)
		return ret;
	return kunit_add_action_or_reset(test, del_adapter, adapter);
}

/* The message on the chip */

static void set_chip(struct i2c_test *priv, u8 slot, const void *data, u8 length)
{
	priv->memory[0] = slot | length;
	memcpy(priv->memory + (slot ?: 1), data, length);
}

static void expect_chip(struct kunit *test, const void *data, u8 length)
{
	struct i2c_test *priv = test->priv;
	u8 state = priv->memory[0];

	KUNIT_EXPECT_EQ(test, state & ~SLOT, length);
	KUNIT_EXPECT_MEMEQ(test, priv->memory + (state & SLOT ?: 1), data, length);
}

/* The driver has bound, or refused to bind, when this returns. */
static void add_client(struct kunit *test)
{
	const struct i2c_board_info info = { I2C_BOARD_INFO(MISC_SIM_NAME, 0x50) };
	struct i2c_test *priv = test->priv;

	priv->client = i2c_new_client_device(&priv->adapter, &info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, priv->client);
	scnprintf(priv->name, sizeof(priv->name), MISC_SIM_NAME "-i2c:%s",
		  dev_name(&priv->client->dev));
}

static struct file *open_client(struct kunit *test)
{
	struct i2c_test *priv = test->priv;

	if (!priv->client)
		add_client(test);
	return open_node(test, priv->dev, priv->name, O_RDWR);
}

static void expect_no_client(struct kunit *test)
{
	struct i2c_test *priv = test->priv;

	KUNIT_EXPECT_PTR_EQ(test, try_open(priv->dev, priv->name, O_RDWR),
			    ERR_PTR(-ENOENT));
}

static void i2c_empty_chip(struct kunit *test)
{
	struct file *file = open_client(test);

	KUNIT_EXPECT_FALSE(test, file->f_mode & FMODE_NOWAIT);
	expect_read(test, file, "", 0);
}

static void i2c_reads_either_slot(struct kunit *test)
{
	struct i2c_test *priv = test->priv;

	set_chip(priv, 0, text, TEXT_LEN);
	expect_read(test, open_client(test), text, TEXT_LEN);

	device_release_driver(&priv->client->dev);
	set_chip(priv, SLOT, text + 1, TEXT_LEN - 1);
	KUNIT_ASSERT_EQ(test, device_attach(&priv->client->dev), 1);
	expect_read(test, open_client(test), text + 1, TEXT_LEN - 1);
}

static void i2c_reads_full_chip(struct kunit *test)
{
	u8 data[CAPACITY];

	memset(data, 'x', sizeof(data));
	set_chip(test->priv, SLOT, data, sizeof(data));
	expect_read(test, open_client(test), data, sizeof(data));
}

static void i2c_writes_through(struct kunit *test)
{
	struct file *file = open_client(test);
	struct i2c_test *priv = test->priv;
	u8 data[CAPACITY];

	/* More than one transfer, one, and one byte; the slots alternate. */
	for (u8 length = CAPACITY, slot = SLOT; length; length /= 5, slot ^= SLOT) {
		memset(data, length, length);
		KUNIT_EXPECT_EQ(test, write_bytes(test, file, length, length), length);
		KUNIT_EXPECT_EQ(test, priv->memory[0], slot | length);
		expect_chip(test, data, length);
		expect_read(test, file, data, length);
	}
	KUNIT_EXPECT_EQ(test, priv->memory[255], 0);
}

static void i2c_too_long(struct kunit *test)
{
	struct file *file = open_client(test);
	struct i2c_test *priv = test->priv;
	unsigned int transfers = priv->transfers;

	KUNIT_EXPECT_EQ(test, write_bytes(test, file, 0, CAPACITY + 1), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, priv->transfers, transfers);
}

/* A message that is stale when its turn comes does not reach the chip. */
static void i2c_stale_message(struct kunit *test)
{
	struct file *file = open_client(test);
	struct i2c_test *priv = test->priv;
	struct misc_sim_device *sim = i2c_get_clientdata(priv->client);
	unsigned int transfers = priv->transfers;

	for (u64 expected = 2; expected; expected--) {
		struct misc_sim_message *msg;

		msg = misc_sim_message_create(text, TEXT_LEN, GFP_KERNEL);
		KUNIT_ASSERT_FALSE(test, IS_ERR(msg));
		KUNIT_EXPECT_EQ(test, priv->transfers, transfers);
		expect_read(test, file, "", 0);
		KUNIT_EXPECT_EQ(test, misc_sim_device_store(sim, msg, &expected),
				expected == 1 ? 0 : -ESTALE);
	}
	expect_chip(test, text, TEXT_LEN);
	expect_read(test, file, text, TEXT_LEN);
}

/* Each transfer of a write fails once. The device and the chip keep their message. */
static void i2c_failing_write(struct kunit *test)
{
	struct i2c_test *priv = test->priv;
	struct file *file;
	ssize_t ret = -EIO;
	u8 data[CAPACITY];
	unsigned int n;

	set_chip(priv, 0, text, TEXT_LEN);
	file = open_client(test);
	priv->error = -EIO;
	for (n = 0; ret == -EIO; n++) {
		KUNIT_ASSERT_LT(test, n, 100);
		expect_read(test, file, text, TEXT_LEN);
		expect_chip(test, text, TEXT_LEN);
		priv->fail_at = priv->transfers + n + 1;
		ret = write_bytes(test, file, 'x', CAPACITY);
	}
	/* Read the state, write 127 bytes of at most 32, write the state. */
	KUNIT_EXPECT_GE(test, n - 1, 1 + 4 + 1);
	KUNIT_EXPECT_EQ(test, ret, CAPACITY);
	memset(data, 'x', sizeof(data));
	expect_read(test, file, data, CAPACITY);
	expect_chip(test, data, CAPACITY);
}

/* The errors of a bus reach the writer, except the one that promises a wake-up. */
static void i2c_errors(struct kunit *test)
{
	static const struct {
		int bus, write;
	} errors[] = {
		{ -ENXIO, -ENXIO },
		{ -ETIMEDOUT, -ETIMEDOUT },
		{ -EAGAIN, -EIO },
	};
	struct file *file = open_client(test);
	struct i2c_test *priv = test->priv;

	for (int i = 0; i < ARRAY_SIZE(errors); i++) {
		priv->error = errors[i].bus;
		priv->fail_at = priv->transfers + 1;
		KUNIT_EXPECT_EQ(test, write_bytes(test, file, 0, 1), errors[i].write);
		expect_read(test, file, "", 0);
	}
}

/* Each transfer of probe() fails once. */
static void i2c_failing_probe(struct kunit *test)
{
	struct i2c_test *priv = test->priv;
	u8 data[CAPACITY];
	int n = 0;

	memset(data, 'x', sizeof(data));
	set_chip(priv, 0, data, CAPACITY);
	priv->error = -ENXIO;
	priv->fail_at = 1;
	add_client(test);
	while (!priv->client->dev.driver) {
		KUNIT_ASSERT_LT(test, ++n, 100);
		expect_no_client(test);
		priv->fail_at = priv->transfers + n + 1;
		KUNIT_ASSERT_GE(test, device_attach(&priv->client->dev), 0);
	}
	KUNIT_EXPECT_GE(test, n, 1 + 4);
	expect_read(test, open_client(test), data, CAPACITY);
}

static void i2c_removal_unplugs(struct kunit *test)
{
	struct file *file = open_client(test);
	struct i2c_test *priv = test->priv;
	loff_t pos = 0;
	char c;

	i2c_unregister_device(priv->client);
	KUNIT_EXPECT_EQ(test, kernel_read(file, &c, 1, &pos), -ENODEV);
	KUNIT_EXPECT_EQ(test, write_bytes(test, file, 0, 1), -ENODEV);
	expect_no_client(test);
}

static int write_in_thread(void *data)
{
	struct writer *writer = data;
	loff_t pos = 0;

	writer->ret = kernel_write(writer->file, text, TEXT_LEN, &pos);
	complete_all(&writer->done);
	return 0;
}

static int unbind_in_thread(void *data)
{
	struct i2c_test *priv = data;

	device_release_driver(&priv->client->dev);
	return 0;
}

/* Also if an assertion fails: the threads use the adapter. */
static void end_threads(void *data)
{
	struct i2c_test *priv = data;

	complete_all(&priv->go);
	for (int i = 0; i < priv->running; i++)
		wait_for_completion(&priv->writers[i].done);
	if (priv->unbind)
		kthread_stop_put(priv->unbind);
}

/* Unplugging waits for the transfer under way, and none follows. */
static void i2c_unplug_waits_for_transfer(struct kunit *test)
{
	struct task_struct *task;
	struct i2c_test *priv = test->priv;
	struct misc_sim_device *sim;
	unsigned long deadline = jiffies + DEADLINE;
	struct file *file = open_client(test);

	sim = misc_sim_device_get(i2c_get_clientdata(priv->client));
	priv->stall = true;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, end_threads, priv), 0);
	for (int i = 0; i < ARRAY_SIZE(priv->writers); i++) {
		priv->writers[i].file = file;
		init_completion(&priv->writers[i].done);
		task = kthread_run(write_in_thread, &priv->writers[i], "writer");
		KUNIT_ASSERT_FALSE(test, IS_ERR(task));
		priv->running++;
		if (!i)
			KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&priv->stalled,
									  DEADLINE), 0);
	}
	task = kthread_create(unbind_in_thread, priv, "unbind");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	priv->unbind = get_task_struct(task);
	wake_up_process(task);
	while (!misc_sim_device_gone(sim)) {
		KUNIT_ASSERT_TRUE(test, time_before(jiffies, deadline));
		fsleep(1000);
	}

	/* It could have unbound by now. */
	fsleep(20000);
	KUNIT_EXPECT_NOT_NULL(test, priv->client->dev.driver);

	/* The first writer finishes its transfers. The other one has none. */
	complete_all(&priv->go);
	for (int i = 0; i < ARRAY_SIZE(priv->writers); i++) {
		struct writer *writer = &priv->writers[i];

		KUNIT_ASSERT_NE(test, wait_for_completion_timeout(&writer->done, DEADLINE), 0);
		KUNIT_EXPECT_EQ(test, writer->ret, -ENODEV);
	}
	kunit_release_action(test, end_threads, priv);
	KUNIT_EXPECT_NULL(test, priv->client->dev.driver);
	KUNIT_EXPECT_EQ(test, priv->transfers, 1 + 3);
	expect_chip(test, text, TEXT_LEN);
	misc_sim_device_put(sim);
}

static struct kunit_case i2c_cases[] = {
	KUNIT_CASE(i2c_empty_chip),
	KUNIT_CASE(i2c_reads_either_slot),
	KUNIT_CASE(i2c_reads_full_chip),
	KUNIT_CASE(i2c_writes_through),
	KUNIT_CASE(i2c_too_long),
	KUNIT_CASE(i2c_stale_message),
	KUNIT_CASE(i2c_failing_write),
	KUNIT_CASE(i2c_errors),
	KUNIT_CASE(i2c_failing_probe),
	KUNIT_CASE(i2c_removal_unplugs),
	KUNIT_CASE(i2c_unplug_waits_for_transfer),
	{}
};

static struct kunit_suite i2c_suite = {
	.name = "misc_sim_i2c",
	.init = i2c_test_init,
	.test_cases = i2c_cases,
};

kunit_test_suite(i2c_suite);
