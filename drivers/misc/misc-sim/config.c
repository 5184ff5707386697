// SPDX-License-Identifier: GPL-2.0-only
/*
 * configfs interface of the simulated misc device
 *
 * A directory holds the configuration of an instance and, while it is live, the
 * instance itself.
 */

#include <linux/cleanup.h>
#include <linux/configfs.h>
#include <linux/ctype.h>
#include <linux/kstrtox.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "misc-sim.h"

/* configfs silently truncates longer writes to this length. */
#define MISC_SIM_WRITE_MAX	(SZ_4K - 1)

/**
 * struct misc_sim_directory - a directory in configfs
 */
struct misc_sim_directory {
	/** @group: the directory; its last reference frees this structure */
	struct config_group group;

	/** @lock: guards @dev and @config */
	struct mutex lock;

	/** @dev: the instance, NULL while not live */
	struct misc_sim_device *dev;

	/** @config: configuration of the next instance; owns its message */
	struct misc_sim_config config;

	/** @faults: fault settings, shared with the instance; owns a reference */
	struct misc_sim_faults *faults;
};

static struct misc_sim_directory *to_directory(struct config_item *item)
{
	return container_of(to_config_group(item), struct misc_sim_directory, group);
}

static int misc_sim_parse(const char *page, unsigned int base, u32 min, u32 max,
			  u32 *value)
{
	u32 v;

	if (kstrtou32(page, base, &v) || v < min || v > max)
		return -EINVAL;
	*value = v;
	return 0;
}

/* Set a number that cannot change while the instance is live. */
static ssize_t misc_sim_set(struct misc_sim_directory *dir, u32 *field, u32 value,
			    size_t count)
{
	guard(mutex)(&dir->lock);
	if (dir->dev)
		return -EBUSY;
	*field = value;
	return count;
}

static ssize_t misc_sim_message_show(struct config_item *item, char *page)
{
	struct misc_sim_directory *dir = to_directory(item);

	guard(mutex)(&dir->lock);
	if (!dir->config.message)
		return sysfs_emit(page, MISC_SIM_GREETING);
	memcpy(page, dir->config.message, dir->config.length);
	return dir->config.length;
}

static int misc_sim_publish(struct misc_sim_device *dev, const char *page,
			    size_t count)
{
	struct misc_sim_message *msg;

	if (dev->kind == MISC_SIM_KIND_CHANNEL)
		return -EOPNOTSUPP;
	if (count > dev->capacity)
		return -EMSGSIZE;

	msg = misc_sim_message_create(page, count, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(msg))
		return PTR_ERR(msg);
	return misc_sim_device_publish(dev, msg, NULL);
}

static ssize_t misc_sim_message_store(struct config_item *item, const char *page,
				      size_t count)
{
	struct misc_sim_directory *dir = to_directory(item);
	int ret;

	if (count >= MISC_SIM_WRITE_MAX)
		return -EMSGSIZE;

	const void *message __free(kfree) = kmemdup(page, count, GFP_KERNEL_ACCOUNT);

	if (!message)
		return -ENOMEM;

	guard(mutex)(&dir->lock);
	if (dir->dev) {
		ret = misc_sim_publish(dir->dev, page, count);
		if (ret)
			return ret;
	}
	swap(dir->config.message, message);
	dir->config.length = count;
	return count;
}

CONFIGFS_ATTR(misc_sim_, message);

static ssize_t misc_sim_capacity_show(struct config_item *item, char *page)
{
	struct misc_sim_directory *dir = to_directory(item);

	guard(mutex)(&dir->lock);
	return sysfs_emit(page, "%u\n", dir->config.capacity);
}

static ssize_t misc_sim_capacity_store(struct config_item *item,
				       const char *page, size_t count)
{
	struct misc_sim_directory *dir = to_directory(item);
	u32 value;
	int ret;

	ret = misc_sim_parse(page, 10, 1, MISC_SIM_CAPACITY_MAX, &value);
	return ret ?: misc_sim_set(dir, &dir->config.capacity, value, count);
}

CONFIGFS_ATTR(misc_sim_, capacity);

static ssize_t misc_sim_kind_show(struct config_item *item, char *page)
{
	struct misc_sim_directory *dir = to_directory(item);

	guard(mutex)(&dir->lock);
	return sysfs_emit(page, "%s\n", misc_sim_kind_names[dir->config.kind]);
}

static ssize_t misc_sim_kind_store(struct config_item *item, const char *page,
				   size_t count)
{
	struct misc_sim_directory *dir = to_directory(item);
	int kind;

	kind = sysfs_match_string(misc_sim_kind_names, page);
	return kind < 0 ? kind : misc_sim_set(dir, &dir->config.kind, kind, count);
}

CONFIGFS_ATTR(misc_sim_, kind);

static ssize_t misc_sim_peer_show(struct config_item *item, char *page)
{
	struct misc_sim_directory *dir = to_directory(item);

	guard(mutex)(&dir->lock);
	return sysfs_emit(page, "%s\n", misc_sim_peer_names[dir->config.peer]);
}

static ssize_t misc_sim_peer_store(struct config_item *item, const char *page,
				   size_t count)
{
	struct misc_sim_directory *dir = to_directory(item);
	int peer;

	peer = sysfs_match_string(misc_sim_peer_names, page);
	return peer < 0 ? peer : misc_sim_set(dir, &dir->config.peer, peer, count);
}

CONFIGFS_ATTR(misc_sim_, peer);

static ssize_t misc_sim_period_us_show(struct config_item *item, char *page)
{
	struct misc_sim_directory *dir = to_directory(item);

	guard(mutex)(&dir->lock);
	return sysfs_emit(page, "%u\n", dir->config.period_us);
}

static ssize_t misc_sim_period_us_store(struct config_item *item,
					const char *page, size_t count)
{
	struct misc_sim_directory *dir = to_directory(item);
	u32 value;
	int ret;

	ret = misc_sim_parse(page, 10, 0, MISC_SIM_PERIOD_US_MAX, &value);
	if (ret)
		return ret;
	if (value && value < MISC_SIM_PERIOD_US_MIN)
		return -EINVAL;
	return misc_sim_set(dir, &dir->config.period_us, value, count);
}

CONFIGFS_ATTR(misc_sim_, period_us);

static ssize_t misc_sim_mode_show(struct config_item *item, char *page)
{
	struct misc_sim_directory *dir = to_directory(item);

	guard(mutex)(&dir->lock);
	return sysfs_emit(page, "%#o\n", dir->config.mode);
}

static ssize_t misc_sim_mode_store(struct config_item *item,
				   const char *page, size_t count)
{
	struct misc_sim_directory *dir = to_directory(item);
	u32 value;
	int ret;

	ret = misc_sim_parse(page, 8, 1, 0777, &value);
	return ret ?: misc_sim_set(dir, &dir->config.mode, value, count);
}

CONFIGFS_ATTR(misc_sim_, mode);

static ssize_t misc_sim_latency_us_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", READ_ONCE(to_directory(item)->faults->latency_us));
}

static ssize_t misc_sim_latency_us_store(struct config_item *item,
					 const char *page, size_t count)
{
	u32 value;
	int ret;

	ret = misc_sim_parse(page, 10, 0, MISC_SIM_LATENCY_US_MAX, &value);
	if (ret)
		return ret;

	WRITE_ONCE(to_directory(item)->faults->latency_us, value);
	return count;
}

CONFIGFS_ATTR(misc_sim_, latency_us);

static ssize_t misc_sim_error_show(struct config_item *item, char *page)
{
	return sysfs_emit(page, "%u\n", READ_ONCE(to_directory(item)->faults->error));
}

/* -EAGAIN would promise a wake-up that never comes. */
static ssize_t misc_sim_error_store(struct config_item *item, const char *page,
				    size_t count)
{
	u32 value;
	int ret;

	ret = misc_sim_parse(page, 10, 1, MISC_SIM_ERRNO_MAX, &value);
	if (ret)
		return ret;
	if (value == EAGAIN)
		return -EINVAL;

	WRITE_ONCE(to_directory(item)->faults->error, value);
	return count;
}

/* Not CONFIGFS_ATTR(), because errno is a macro in user-mode Linux. */
static struct configfs_attribute misc_sim_attr_error = {
	.ca_name	= "errno",
	.ca_mode	= 0644,
	.ca_owner	= THIS_MODULE,
	.show		= misc_sim_error_show,
	.store		= misc_sim_error_store,
};

static int misc_sim_activate(struct misc_sim_directory *dir)
{
	struct misc_sim_device *dev;

	lockdep_assert_held(&dir->lock);

	dev = misc_sim_instance_create(config_item_name(&dir->group.cg_item),
				       &dir->config, dir->faults, NULL);
	if (IS_ERR(dev))
		return PTR_ERR(dev);

	dir->dev = dev;
	return 0;
}

static void misc_sim_deactivate(struct misc_sim_directory *dir)
{
	lockdep_assert_held(&dir->lock);

	misc_sim_instance_unplug(dir->dev);
	dir->dev = NULL;
}

static ssize_t misc_sim_live_show(struct config_item *item, char *page)
{
	struct misc_sim_directory *dir = to_directory(item);

	guard(mutex)(&dir->lock);
	return sysfs_emit(page, "%d\n", !!dir->dev);
}

static ssize_t misc_sim_live_store(struct config_item *item, const char *page,
				   size_t count)
{
	struct misc_sim_directory *dir = to_directory(item);
	bool live;
	int ret;

	ret = kstrtobool(page, &live);
	if (ret)
		return ret;

	guard(mutex)(&dir->lock);
	if (live && !dir->dev)
		ret = misc_sim_activate(dir);
	else if (!live && dir->dev)
		misc_sim_deactivate(dir);
	return ret ?: count;
}

CONFIGFS_ATTR(misc_sim_, live);

static struct configfs_attribute *misc_sim_directory_attrs[] = {
	&misc_sim_attr_message,
	&misc_sim_attr_capacity,
	&misc_sim_attr_kind,
	&misc_sim_attr_peer,
	&misc_sim_attr_period_us,
	&misc_sim_attr_mode,
	&misc_sim_attr_latency_us,
	&misc_sim_attr_error,
	&misc_sim_attr_live,
	NULL
};

static void misc_sim_directory_release(struct config_item *item)
{
	struct misc_sim_directory *dir = to_directory(item);

	misc_sim_faults_put(dir->faults);
	mutex_destroy(&dir->lock);
	kfree(dir->config.message);
	kfree(dir);
}

static const struct configfs_item_operations misc_sim_directory_ops = {
	.release	= misc_sim_directory_release,
};

static const struct config_item_type misc_sim_directory_type = {
	.ct_item_ops	= &misc_sim_directory_ops,
	.ct_attrs	= misc_sim_directory_attrs,
	.ct_owner	= THIS_MODULE,
};

/* Such names cannot collide with the default instance or with bus devices. */
static int misc_sim_check_name(const char *name)
{
	if (strlen(name) > MISC_SIM_NAME_MAX)
		return -ENAMETOOLONG;

	if (!isascii(*name) || !isalpha(*name))
		return -EINVAL;
	for (; *name; name++)
		if (!isascii(*name) || (!isalnum(*name) && *name != '_' && *name != '-'))
			return -EINVAL;
	return 0;
}

static struct config_group *misc_sim_make_group(struct config_group *group,
						const char *name)
{
	int ret;

	if (!misc_sim_instances_allowed())
		return ERR_PTR(-EAGAIN);

	ret = misc_sim_check_name(name);
	if (ret)
		return ERR_PTR(ret);

	struct misc_sim_directory *dir __free(kfree) = kzalloc_obj(*dir);

	if (!dir)
		return ERR_PTR(-ENOMEM);

	dir->faults = misc_sim_faults_create();
	if (!dir->faults)
		return ERR_PTR(-ENOMEM);

	dir->config = MISC_SIM_CONFIG_DEFAULT;
	mutex_init(&dir->lock);
	config_group_init_type_name(&dir->group, name, &misc_sim_directory_type);
	if (!config_item_name(&dir->group.cg_item)) {
		config_item_put(&no_free_ptr(dir)->group.cg_item);
		return ERR_PTR(-ENOMEM);
	}
	misc_sim_faults_add_groups(dir->faults, &dir->group);
	return &no_free_ptr(dir)->group;
}

/* Called by rmdir(2). Attributes can no longer be accessed. */
static void misc_sim_drop_item(struct config_group *group,
			       struct config_item *item)
{
	struct misc_sim_directory *dir = to_directory(item);

	scoped_guard(mutex, &dir->lock) {
		if (dir->dev)
			misc_sim_deactivate(dir);
	}
	configfs_remove_default_groups(&dir->group);
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
 * misc_sim_config_register - register the configfs subsystem
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
 * misc_sim_config_unregister - unregister the configfs subsystem
 *
 * No directory is left, because each one holds a reference to the module.
 *
 * Context: Process context.
 */
void misc_sim_config_unregister(void)
{
	configfs_unregister_subsystem(&misc_sim_subsystem);
}
