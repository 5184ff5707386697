// SPDX-License-Identifier: GPL-2.0-only
/*
 * A configfs subsystem in whose default groups anything may be linked.
 *
 * mkdir configfs-link/NAME makes configfs-link/NAME/links. As in nvmet, vkms and null_blk, the
 * default group is part of its parent: its references keep no memory.
 */

#include <linux/configfs.h>
#include <linux/module.h>
#include <linux/slab.h>

struct pair {
	struct config_group group;
	struct config_group links;
};

static int links_allow_link(struct config_item *item, struct config_item *target)
{
	return 0;
}

static void links_drop_link(struct config_item *item, struct config_item *target)
{
}

static const struct configfs_item_operations links_ops = {
	.allow_link	= links_allow_link,
	.drop_link	= links_drop_link,
};

static const struct config_item_type links_type = {
	.ct_item_ops	= &links_ops,
	.ct_owner	= THIS_MODULE,
};

static void pair_release(struct config_item *item)
{
	kfree(container_of(to_config_group(item), struct pair, group));
}

static const struct configfs_item_operations pair_ops = {
	.release	= pair_release,
};

static const struct config_item_type pair_type = {
	.ct_item_ops	= &pair_ops,
	.ct_owner	= THIS_MODULE,
};

static struct config_group *pair_make(struct config_group *parent, const char *name)
{
	struct pair *pair = kzalloc_obj(*pair);

	if (!pair)
		return ERR_PTR(-ENOMEM);
	config_group_init_type_name(&pair->group, name, &pair_type);
	config_group_init_type_name(&pair->links, "links", &links_type);
	configfs_add_default_group(&pair->links, &pair->group);
	return &pair->group;
}

static void pair_drop(struct config_group *parent, struct config_item *item)
{
	configfs_remove_default_groups(to_config_group(item));
	config_item_put(item);
}

static const struct configfs_group_operations pairs_ops = {
	.make_group	= pair_make,
	.drop_item	= pair_drop,
};

static const struct config_item_type pairs_type = {
	.ct_group_ops	= &pairs_ops,
	.ct_owner	= THIS_MODULE,
};

static struct configfs_subsystem pairs = {
	.su_group = {
		.cg_item = {
			.ci_namebuf	= "configfs-link",
			.ci_type	= &pairs_type,
		},
	},
	.su_mutex = __MUTEX_INITIALIZER(pairs.su_mutex),
};

static int __init configfs_link_init(void)
{
	config_group_init(&pairs.su_group);
	return configfs_register_subsystem(&pairs);
}
module_init(configfs_link_init);

static void __exit configfs_link_exit(void)
{
	configfs_unregister_subsystem(&pairs);
}
module_exit(configfs_link_exit);

MODULE_DESCRIPTION("configfs directories for links to anything");
MODULE_LICENSE("GPL");
