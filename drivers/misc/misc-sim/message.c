// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages of the simulated misc device: reference-counted and immutable
 */

#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uio.h>

#include "misc-sim.h"

static struct misc_sim_message *misc_sim_message_alloc(size_t length, gfp_t gfp)
{
	struct misc_sim_message *msg = kvmalloc_flex(*msg, data, length, gfp);

	if (!msg)
		return ERR_PTR(-ENOMEM);

	kref_init(&msg->ref);
	msg->generation = 0;
	msg->length = length;
	return msg;
}

/**
 * misc_sim_message_create - create a message from kernel memory
 * @data: the bytes
 * @length: number of bytes
 * @gfp: allocation flags
 *
 * Context: Any context that @gfp allows.
 * Return: a message with one reference, or ERR_PTR(-ENOMEM).
 */
struct misc_sim_message *misc_sim_message_create(const void *data, size_t length,
						 gfp_t gfp)
{
	struct misc_sim_message *msg = misc_sim_message_alloc(length, gfp);

	if (!IS_ERR(msg))
		memcpy(msg->data, data, length);
	return msg;
}

/**
 * misc_sim_message_from_iter - create a message from all bytes of an iterator
 * @from: the bytes, usually in user space; the caller limits their number
 * @gfp: allocation flags
 *
 * Context: Process context, may fault.
 * Return: a message with one reference, ERR_PTR(-ENOMEM), or ERR_PTR(-EFAULT) if
 * some bytes of @from cannot be read.
 */
struct misc_sim_message *misc_sim_message_from_iter(struct iov_iter *from,
						    gfp_t gfp)
{
	struct misc_sim_message *msg __free(misc_sim_message_put) =
		misc_sim_message_alloc(iov_iter_count(from), gfp);

	if (!IS_ERR(msg) && !copy_from_iter_full(msg->data, msg->length, from))
		return ERR_PTR(-EFAULT);
	return_ptr(msg);
}

/* The caller must own a reference or hold a lock that protects one. */
struct misc_sim_message *misc_sim_message_get(struct misc_sim_message *msg)
{
	kref_get(&msg->ref);
	return msg;
}

static void misc_sim_message_release(struct kref *ref)
{
	kvfree(container_of(ref, struct misc_sim_message, ref));
}

/**
 * misc_sim_message_put - drop a reference
 * @msg: the message
 *
 * Context: Any context but NMI. Not under a raw spinlock, because this may free
 * memory.
 */
void misc_sim_message_put(struct misc_sim_message *msg)
{
	kref_put(&msg->ref, misc_sim_message_release);
}

/**
 * misc_sim_message_read - copy part of a message to an iterator
 * @msg: the message
 * @pos: position to start at, not negative
 * @to: destination, with room for at least one byte
 *
 * Context: Process context, may fault.
 * Return: number of bytes copied, 0 at or beyond the end of the message, or
 * -EFAULT if no byte could be copied.
 */
ssize_t misc_sim_message_read(const struct misc_sim_message *msg, loff_t pos,
			      struct iov_iter *to)
{
	size_t copied;

	if (pos >= msg->length)
		return 0;

	copied = copy_to_iter(msg->data + pos,
			      min(msg->length - (size_t)pos, iov_iter_count(to)), to);
	return copied ?: -EFAULT;
}

/**
 * misc_sim_message_page - copy one page of a message
 * @msg: the message
 * @index: index of the page in the message
 *
 * Context: Process context.
 * Return: a new page, owned by the caller and charged to its memory cgroup, or
 * NULL if no memory is available. Bytes after the end of the message are zero.
 */
struct page *misc_sim_message_page(const struct misc_sim_message *msg,
				   pgoff_t index)
{
	struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	u64 offset = (u64)index << PAGE_SHIFT;

	if (page && offset < msg->length)
		memcpy_to_page(page, 0, msg->data + offset,
			       min(msg->length - (size_t)offset, PAGE_SIZE));
	return page;
}
