// SPDX-License-Identifier: GPL-2.0-only
/*
 * Instances of the simulated misc device in configfs
 *
 * A directory holds the configuration of an instance. While it is live there is
 * a platform device made from it, which misc_sim_platform_driver turns into an
 * instance.
 */

#include <linux/cleanup.h>
#include <linux/configfs.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "misc-sim.h"

/**
 * struct misc_sim_instance - a directory in configfs
 */
struct misc_sim_instance {
	/** @group: the directory; the memory lives until its last reference */
	struct config_group group;

	/** @lock: guards all that follows, but for @faults */
	struct mutex lock;

	/** @pdev: the platform device, NULL while not live */
	struct platform_device *pdev;

	/** @config: what the next instance is made from */
	struct misc_sim_config config;

	/** @message: what config.message points to, NULL for the default */
	void *message;

	/** @faults: shared with the instance, may be changed while live */
	struct misc_sim_faults *faults;
};

static struct misc_sim_instance *to_instance(struct config_item *item)
{
	return container_of(to_config_group(item), struct misc_sim_instance, group);
}

/* Return: 0 with *@value set, or -EINVAL. */
static int misc_sim_parse(const char *page, unsigned int base, u32 min, u32 max,
			  u32 *value)
{
	u32 v;

	if (kstrtou32(page, base, &v) || v < min || v > max)
		return -EINVAL;
	*value = v;
	return 0;
}

/* Set what can only be set while the instance is not live. */
static ssize_t misc_sim_set(struct misc_sim_instance *inst, u32 *field,
			    const char *page, size_t count, unsigned int base,
			    u32 min, u32 max)
{
	u32 value;
	int ret;

	ret = misc_sim_parse(page, base, min, max, &value);
	if (ret)
		return ret;

	guard(mutex)(&inst->lock);
	if (inst->pdev)
		return -EBUSY;
	*field = value;
	return count;
}

static ssize_t misc_sim_capacity_show(struct config_item *item, char *page)
{
	struct misc_sim_instance *inst = to_instance(item);

	guard(mutex)(&inst->lock);
	return sysfs_emit(page, "%u\n", inst->config.capacity);
}

static ssize_t misc_sim_capacity_store(struct config_item *item,
				       const char *page, size_t count)
{
	struct misc_sim_instance *inst = to_instance(item);

	return misc_sim_set(inst, &inst->config.capacity, page, count, 10, 1,
			    MISC_SIM_CAPACITY_MAX);
}

CONFIGFS_ATTR(misc_sim_, capacity);

static ssize_t misc_sim_mode_show(struct config_item *item, char *page)
{
	struct misc_sim_instance *inst = to_instance(item);

	guard(mutex)(&inst->lock);
	return sysfs_emit(page, "%#o\n", inst->config.mode);
}

static ssize_t misc_sim_mode_store(struct config_item *item,
				   const char *page, size_t count)
{
	struct misc_sim_instance *inst = to_instance(item);

	return misc_sim_set(inst, &inst->config.mode, page, count, 8, 1,
			    0777);
}

CONFIGFS_ATTR(misc_sim_, mode);

static ssize_t misc_sim_blocking_show(struct config_item *item, char *page)
{
	struct misc_sim_instance *inst = to_instance(item);

	guard(mutex)(&inst->lock);
	return sysfs_emit(page, "%u\n", inst->config.blocking);
}

static ssize_t misc_sim_blocking_store(struct config_item *item,
				       const char *page, size_t count)
{
	struct misc_sim_instance *inst = to_instance(item);

	return misc_sim_set(inst, &inst->config.blocking, page, count, 10, 0,
			    1);
}

CONFIGFS_ATTR(misc_sim_, blocking);

static ssize_t misc_sim_period_us_show(struct config_item *item, char *page)
{
	struct misc_sim_instance *inst = to_instance(item);

	guard(mutex)(&inst->lock);
	return sysfs_emit(page, "%u\n", inst->config.period_us);
}

static ssize_t misc_sim_period_us_store(struct config_item *item,
					const char *page, size_t count)
{
	struct misc_sim_instance *inst = to_instance(item);
	u32 value;

	/* 0 is never; other than that, not too often */
	if (!misc_sim_parse(page, 10, 1, MISC_SIM_PERIOD_US_MIN - 1, &value))
		return -EINVAL;
	return misc_sim_set(inst, &inst->config.period_us, page, count, 10, 0,
			    MISC_SIM_PERIOD_US_MAX);
}

CONFIGFS_ATTR(misc_sim_, period_us);

static ssize_t misc_sim_message_show(struct config_item *item, char *page)
{
	struct misc_sim_instance *inst = to_instance(item);

	guard(mutex)(&inst->lock);
	memcpy(page, inst->config.message, inst->config.length);
	return inst->config.length;
}

/*
 * The bytes as they are, with the newline if there is one. configfs cuts what is
 * longer than it can take, so what is as long may have been cut.
 */
static ssize_t misc_sim_message_store(struct config_item *item, const char *page,
				      size_t count)
{
	struct misc_sim_instance *inst = to_instance(item);

	if (count >= PAGE_SIZE - 1)
		return -EMSGSIZE;

	void *message __free(kfree) = kmemdup(page, count, GFP_KERNEL_ACCOUNT);

	if (!message)
		return -ENOMEM;

	guard(mutex)(&inst->lock);
	if (inst->pdev)
		return -EBUSY;
	swap(inst->message, message);
	inst->config.message = inst->message;
	inst->config.length = count;
	return count;
}

CONFIGFS_ATTR(misc_sim_, message);

static ssize_t misc_sim_latency_us_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", READ_ONCE(to_instance(item)->faults->latency_us));
}

static ssize_t misc_sim_latency_us_store(struct config_item *item,
					 const char *page, size_t count)
{
	u32 value;
	int ret;

	ret = misc_sim_parse(page, 10, 0, MISC_SIM_LATENCY_US_MAX, &value);
	if (ret)
		return ret;

	WRITE_ONCE(to_instance(item)->faults->latency_us, value);
	return count;
}

CONFIGFS_ATTR(misc_sim_, latency_us);

static ssize_t misc_sim_error_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", READ_ONCE(to_instance(item)->faults->error));
}

static ssize_t misc_sim_error_store(struct config_item *item, const char *page,
				    size_t count)
{
	u32 value;
	int ret;

	ret = misc_sim_parse(page, 10, 1, MISC_SIM_ERRNO_MAX, &value);
	if (ret)
		return ret;

	WRITE_ONCE(to_instance(item)->faults->error, value);
	return count;
}

/* Not CONFIGFS_ATTR(), as errno is a macro in user-mode Linux. */
static struct configfs_attribute misc_sim_attr_error = {
	.ca_name	= "errno",
	.ca_mode	= 0644,
	.ca_owner	= THIS_MODULE,
	.show		= misc_sim_error_show,
	.store		= misc_sim_error_store,
};

static ssize_t misc_sim_dev_name_show(struct config_item *item, char *page)
{
	struct misc_sim_instance *inst = to_instance(item);

	guard(mutex)(&inst->lock);
	return sysfs_emit(page, "%s\n", inst->pdev ? dev_name(&inst->pdev->dev) : "");
}

CONFIGFS_ATTR_RO(misc_sim_, dev_name);

static int misc_sim_activate(struct misc_sim_instance *inst)
{
	const struct misc_sim_config *config = &inst->config;
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_STRING("label", config_item_name(&inst->group.cg_item)),
		PROPERTY_ENTRY_U8_ARRAY_LEN("linux,message", config->message, config->length),
		PROPERTY_ENTRY_U32("linux,capacity", config->capacity),
		PROPERTY_ENTRY_U32("linux,period-us", config->period_us),
		PROPERTY_ENTRY_U32("linux,mode", config->mode),
		/* last, so that it can be left out */
		config->blocking ? PROPERTY_ENTRY_BOOL("linux,blocking") :
				   (struct property_entry){ },
		{ }
	};
	/* -ENXIO if there is no probe at all */
	const struct misc_sim_platform_data pdata = {
		.faults = inst->faults,
		.error = -ENXIO,
	};
	const struct platform_device_info info = {
		.name = MISC_SIM_NAME,
		.id = PLATFORM_DEVID_AUTO,
		.data = &pdata,
		.size_data = sizeof(pdata),
		.properties = properties,
	};
	const struct misc_sim_platform_data *probed;
	struct platform_device *pdev;
	int ret;

	lockdep_assert_held(&inst->lock);

	pdev = platform_device_register_full(&info);
	if (IS_ERR(pdev))
		return PTR_ERR(pdev);

	probed = dev_get_platdata(&pdev->dev);
	/* user space may have unbound it, or bound it again */
	scoped_guard(device, &pdev->dev)
		ret = probed->error;
	if (ret) {
		platform_device_unregister(pdev);
		return ret;
	}

	inst->pdev = pdev;
	return 0;
}

static void misc_sim_deactivate(struct misc_sim_instance *inst)
{
	lockdep_assert_held(&inst->lock);

	platform_device_unregister(inst->pdev);
	inst->pdev = NULL;
}

static ssize_t misc_sim_live_show(struct config_item *item, char *page)
{
	struct misc_sim_instance *inst = to_instance(item);

	guard(mutex)(&inst->lock);
	return sysfs_emit(page, "%d\n", !!inst->pdev);
}

static ssize_t misc_sim_live_store(struct config_item *item, const char *page,
				   size_t count)
{
	struct misc_sim_instance *inst = to_instance(item);
	u32 live;
	int ret;

	ret = misc_sim_parse(page, 10, 0, 1, &live);
	if (ret)
		return ret;

	guard(mutex)(&inst->lock);
	if (live && !inst->pdev)
		ret = misc_sim_activate(inst);
	else if (!live && inst->pdev)
		misc_sim_deactivate(inst);
	return ret ?: count;
}

CONFIGFS_ATTR(misc_sim_, live);

static struct configfs_attribute *misc_sim_instance_attrs[] = {
	&misc_sim_attr_message,
	&misc_sim_attr_capacity,
	&misc_sim_attr_blocking,
	&misc_sim_attr_period_us,
	&misc_sim_attr_latency_us,
	&misc_sim_attr_error,
	&misc_sim_attr_mode,
	&misc_sim_attr_live,
	&misc_sim_attr_dev_name,
	NULL
};

static void misc_sim_instance_release(struct config_item *item)
{
	struct misc_sim_instance *inst = to_instance(item);

	misc_sim_faults_put(inst->faults);
	mutex_destroy(&inst->lock);
	kfree(inst->message);
	kfree(inst);
}

static const struct configfs_item_operations misc_sim_instance_ops = {
	.release	= misc_sim_instance_release,
};

static const struct config_item_type misc_sim_instance_type = {
	.ct_item_ops	= &misc_sim_instance_ops,
	.ct_attrs	= misc_sim_instance_attrs,
	.ct_owner	= THIS_MODULE,
};

static struct config_group *misc_sim_make_group(struct config_group *group,
						const char *name)
{
	struct misc_sim_instance *inst __free(kfree) = NULL;
	int ret;

	ret = misc_sim_check_name(name);
	if (ret)
		return ERR_PTR(ret);

	inst = kzalloc_obj(*inst);
	if (!inst)
		return ERR_PTR(-ENOMEM);

	inst->faults = misc_sim_faults_create();
	if (!inst->faults)
		return ERR_PTR(-ENOMEM);

	inst->config = (struct misc_sim_config)MISC_SIM_CONFIG_DEFAULT(NULL);
	mutex_init(&inst->lock);
	config_group_init_type_name(&inst->group, name, &misc_sim_instance_type);
	if (!config_item_name(&inst->group.cg_item)) {
		config_item_put(&no_free_ptr(inst)->group.cg_item);
		return ERR_PTR(-ENOMEM);
	}
	misc_sim_faults_add_groups(inst->faults, &inst->group);
	return &no_free_ptr(inst)->group;
}

/* rmdir: no attribute can be written any more. */
static void misc_sim_drop_item(struct config_group *group,
			       struct config_item *item)
{
	struct misc_sim_instance *inst = to_instance(item);

	scoped_guard(mutex, &inst->lock) {
		if (inst->pdev)
			misc_sim_deactivate(inst);
	}
	configfs_remove_default_groups(&inst->group);
	config_item_put(item);
}

static const struct configfs_group_operations misc_sim_group_ops = {
	.make_group	= misc_sim_make_group,
	.drop_item	= misc_sim_drop_item,
};

static const struct config_item_type misc_sim_type = {
	.ct_group_ops	= &misc_sim_group_ops,
	.ct_owner	= THIS_MODULE,
};

static struct configfs_subsystem misc_sim_subsystem = {
	.su_group = {
		.cg_item = {
			.ci_namebuf	= MISC_SIM_NAME,
			.ci_type	= &misc_sim_type,
		},
	},
	.su_mutex = __MUTEX_INITIALIZER(misc_sim_subsystem.su_mutex),
};

/**
 * misc_sim_config_register - make the directory of instances in configfs
 *
 * Context: Process context.
 * Return: 0 or a negative errno.
 */
int misc_sim_config_register(void)
{
	config_group_init(&misc_sim_subsystem.su_group);
	return configfs_register_subsystem(&misc_sim_subsystem);
}

/**
 * misc_sim_config_unregister - remove the directory of instances
 *
 * An instance holds a reference to the module, so there is none left.
 *
 * Context: Process context.
 */
void misc_sim_config_unregister(void)
{
	configfs_unregister_subsystem(&misc_sim_subsystem);
}
