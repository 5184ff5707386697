// SPDX-License-Identifier: GPL-2.0-only
/*
 * I2C driver of the simulated misc device: the message is in the memory of a chip
 *
 * The chip has 255 registers of one byte:
 *
 *	0x00		bit 7: slot of the message, bits 6 to 0: its length
 *	0x01 - 0x7f	slot 0
 *	0x80 - 0xfe	slot 1
 *
 * A new message goes to the slot that is not in use. Writing register 0 then makes
 * it the message of the chip. The chip holds one whole message at any time, even if
 * a transfer fails.
 */

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/i2c.h>
#include <linux/module.h>
#include <linux/regmap.h>

#include "misc-sim.h"

#define MISC_SIM_I2C_STATE	0x00
#define MISC_SIM_I2C_SLOT	BIT(7)
#define MISC_SIM_I2C_LENGTH	GENMASK(6, 0)
#define MISC_SIM_I2C_CAPACITY	0x7f
#define MISC_SIM_I2C_MAX	0xfe

static const struct regmap_config misc_sim_i2c_regmap = {
	.reg_bits	= 8,
	.val_bits	= 8,
	.max_register	= MISC_SIM_I2C_MAX,
};

/* The first register of the slot that @state names. */
static unsigned int misc_sim_i2c_slot(unsigned int state)
{
	return state & MISC_SIM_I2C_SLOT ? 0x80 : 0x01;
}

/* Return: the length of the message, or a negative errno. */
static int misc_sim_i2c_load(struct regmap *map, void *data)
{
	unsigned int state, length;
	int ret;

	ret = regmap_read(map, MISC_SIM_I2C_STATE, &state);
	if (ret)
		return ret;

	length = FIELD_GET(MISC_SIM_I2C_LENGTH, state);
	if (length)
		ret = regmap_bulk_read(map, misc_sim_i2c_slot(state), data, length);
	return ret ?: length;
}

static int misc_sim_i2c_store(void *data, const struct misc_sim_message *msg)
{
	struct regmap *map = data;
	unsigned int state;
	int ret;

	ret = regmap_read(map, MISC_SIM_I2C_STATE, &state);
	if (ret)
		return ret;

	state = (~state & MISC_SIM_I2C_SLOT) |
		FIELD_PREP(MISC_SIM_I2C_LENGTH, msg->length);
	if (msg->length)
		ret = regmap_bulk_write(map, misc_sim_i2c_slot(state), msg->data,
					msg->length);
	return ret ?: regmap_write(map, MISC_SIM_I2C_STATE, state);
}

static int misc_sim_i2c_probe(struct i2c_client *client)
{
	struct misc_sim_config config = MISC_SIM_CONFIG_DEFAULT;
	u8 message[MISC_SIM_I2C_CAPACITY];
	struct misc_sim_device *sim;
	struct regmap *map;
	int ret;

	map = devm_regmap_init_i2c(client, &misc_sim_i2c_regmap);
	if (IS_ERR(map))
		return PTR_ERR(map);

	ret = misc_sim_i2c_load(map, message);
	if (ret < 0)
		return ret;

	struct misc_sim_faults *faults __free(misc_sim_faults_put) =
		misc_sim_faults_create();

	if (!faults)
		return -ENOMEM;

	config.message = message;
	config.length = ret;
	config.capacity = sizeof(message);
	config.store = misc_sim_i2c_store;
	config.store_data = map;

	sim = misc_sim_instance_probe(&client->dev, &config, faults);
	if (IS_ERR(sim))
		return PTR_ERR(sim);

	i2c_set_clientdata(client, sim);
	return 0;
}

static void misc_sim_i2c_remove(struct i2c_client *client)
{
	misc_sim_instance_unplug(i2c_get_clientdata(client));
}

static const struct i2c_device_id misc_sim_i2c_ids[] = {
	{ MISC_SIM_NAME },
	{}
};
MODULE_DEVICE_TABLE(i2c, misc_sim_i2c_ids);

static struct i2c_driver misc_sim_i2c_driver = {
	.probe		= misc_sim_i2c_probe,
	.remove		= misc_sim_i2c_remove,
	.id_table	= misc_sim_i2c_ids,
	.driver		= {
		.name	= MISC_SIM_NAME,
	},
};

int misc_sim_i2c_register(void)
{
	return i2c_add_driver(&misc_sim_i2c_driver);
}

void misc_sim_i2c_unregister(void)
{
	i2c_del_driver(&misc_sim_i2c_driver);
}

/* Bind the devices that probe() has refused so far. */
int misc_sim_i2c_attach(void)
{
	return driver_attach(&misc_sim_i2c_driver.driver);
}
