// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels of the simulated misc device: messages go from the device to its peer
 * and back
 *
 * This is the node of the device, and that of a peer that reads and writes bytes.
 */

#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include "misc-sim.h"

static bool misc_sim_channel_is_peer(const struct misc_sim_file *f)
{
	return f->end == &f->dev->channel->peer;
}

/* Latency and faults are the device's. The peer is what tests them. */
static int misc_sim_channel_delay(struct kiocb *iocb)
{
	return misc_sim_channel_is_peer(iocb->ki_filp->private_data) ?
	       0 : misc_sim_file_delay(iocb);
}

/* Whether there is something to read. */
bool misc_sim_channel_readable(struct misc_sim_file *f)
{
	guard(spinlock)(&f->dev->channel->lock);
	return READ_ONCE(f->message) || !list_empty(&f->end->packets);
}

/* Take the message to read next. Return: false if there is none. */
static bool misc_sim_channel_pin(struct misc_sim_file *f)
{
	struct misc_sim_channel *ch = f->dev->channel;
	struct misc_sim_packet *packet;

	lockdep_assert_held(&f->lock);

	if (f->message)
		return true;

	scoped_guard(spinlock, &ch->lock) {
		packet = list_first_entry_or_null(&f->end->packets,
						  struct misc_sim_packet, list);
		if (!packet)
			return false;
		list_del(&packet->list);
		WRITE_ONCE(f->end->used, f->end->used - 1);
		/* With the lock held, so that no other reader misses the message. */
		WRITE_ONCE(f->message, misc_sim_message_get(packet->payload));
		f->pos = 0;
	}
	misc_sim_packet_put(packet);
	wake_up_all(&f->other->wait);
	return true;
}

/* Drop a message that was read to its end. */
static void misc_sim_channel_advance(struct misc_sim_file *f, size_t count)
{
	struct misc_sim_message *msg = f->message;

	f->pos += count;
	if (f->pos < msg->length)
		return;
	WRITE_ONCE(f->message, NULL);
	misc_sim_message_put(msg);
}

static bool misc_sim_channel_writable(struct misc_sim_file *f)
{
	return READ_ONCE(f->other->used) < MISC_SIM_SLOTS;
}

static bool misc_sim_channel_try_reserve(struct misc_sim_file *f)
{
	guard(spinlock)(&f->dev->channel->lock);
	if (!misc_sim_channel_writable(f))
		return false;
	WRITE_ONCE(f->other->used, f->other->used + 1);
	return true;
}

static void misc_sim_channel_unreserve(struct misc_sim_file *f)
{
	scoped_guard(spinlock, &f->dev->channel->lock)
		WRITE_ONCE(f->other->used, f->other->used - 1);
	wake_up_all(f->wait);
}

/* Reserve the slot of a message, so that nothing can fail once it was copied. */
static int misc_sim_channel_reserve(struct kiocb *iocb)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	int ret = 0;

	while (!ret && !misc_sim_channel_try_reserve(f)) {
		if (misc_sim_file_nonblock(iocb))
			return -EAGAIN;
		ret = wait_event_interruptible(*f->wait, misc_sim_channel_writable(f) ||
					       misc_sim_device_gone(f->dev));
		if (!ret && misc_sim_device_gone(f->dev))
			ret = -ENODEV;
	}
	return ret;
}

static struct misc_sim_packet *misc_sim_channel_packet(struct iov_iter *from, gfp_t gfp)
{
	struct misc_sim_packet *packet __free(misc_sim_packet_put) =
		misc_sim_packet_create(MISC_SIM_RECORD_DATA, gfp);
	struct misc_sim_message *msg;

	if (!packet)
		return ERR_PTR(-ENOMEM);

	msg = misc_sim_message_from_iter(from, gfp);
	if (IS_ERR(msg))
		return ERR_CAST(msg);

	packet->payload = msg;
	packet->record.length = msg->length;
	return_ptr(packet);
}

/* Append a message for which a slot is reserved. */
static ssize_t misc_sim_channel_append(struct kiocb *iocb, struct iov_iter *from)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	int ret;

	if (!misc_sim_channel_is_peer(f)) {
		ret = misc_sim_device_fail(f->dev, MISC_SIM_FAIL_WRITE);
		if (ret)
			return ret;
		iov_iter_truncate(from, misc_sim_device_short_io(f->dev, iov_iter_count(from)));
	}

	struct misc_sim_packet *packet __free(misc_sim_packet_put) =
		misc_sim_channel_packet(from, misc_sim_file_gfp(iocb));

	if (IS_ERR(packet))
		return misc_sim_file_error(iocb, PTR_ERR(packet));
	/* The copy may have taken long. */
	if (misc_sim_device_gone(f->dev))
		return -ENODEV;

	if (f->open)
		packet->record.file = f->open->record.file;
	scoped_guard(spinlock, &f->dev->channel->lock) {
		misc_sim_packet_queue(packet, f->other);
		f->wrote = true;
	}
	wake_up_all(&f->other->wait);
	return packet->payload->length;
}

/**
 * misc_sim_channel_write - write a message
 * @iocb: the write
 * @from: the bytes of the message
 *
 * Context: Process context, may sleep.
 * Return: number of bytes written, or a negative errno.
 */
ssize_t misc_sim_channel_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	ssize_t ret;

	if (iov_iter_count(from) > f->dev->capacity)
		return -EMSGSIZE;

	ret = misc_sim_channel_delay(iocb) ?: misc_sim_channel_reserve(iocb);
	if (ret)
		return ret;

	ret = misc_sim_channel_append(iocb, from);
	if (ret < 0)
		misc_sim_channel_unreserve(f);
	return ret;
}

static ssize_t misc_sim_channel_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	ssize_t ret;

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;
	if (!iov_iter_count(to))
		return 0;

	ret = misc_sim_channel_delay(iocb) ?:
	      misc_sim_file_lock_message(iocb, misc_sim_channel_readable,
					 misc_sim_channel_pin);
	if (ret)
		return ret;

	ret = misc_sim_channel_is_peer(f) ? misc_sim_message_read(f->message, f->pos, to) :
					    misc_sim_file_read(f, f->pos, to);
	if (ret >= 0)
		misc_sim_channel_advance(f, ret);
	misc_sim_file_unlock(f);
	return ret;
}

static ssize_t misc_sim_channel_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;
	if (!iov_iter_count(from))
		return 0;
	return misc_sim_channel_write(iocb, from);
}

__poll_t misc_sim_peer_poll(struct file *file, struct poll_table_struct *wait)
{
	struct misc_sim_file *f = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, f->wait, wait);

	if (misc_sim_device_gone(f->dev))
		return EPOLLERR | EPOLLHUP | EPOLLPRI;
	if (misc_sim_channel_readable(f))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (misc_sim_channel_writable(f))
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}

/* Neither node has ioctls of its own. */
long misc_sim_peer_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct misc_sim_file *f = file->private_data;

	return misc_sim_device_gone(f->dev) ? -ENODEV : -ENOTTY;
}

static void misc_sim_channel_attach(struct file *file, struct misc_sim_end *end,
				    struct misc_sim_end *other)
{
	struct misc_sim_file *f = file->private_data;

	f->end = end;
	f->other = other;
	f->wait = &end->wait;
	stream_open(file_inode(file), file);
}

/* Tell the peer of a file. The records are allocated now, as close() cannot fail. */
static int misc_sim_channel_announce(struct file *file)
{
	struct misc_sim_file *f = file->private_data;
	struct misc_sim_channel *ch = f->dev->channel;

	struct misc_sim_packet *open __free(misc_sim_packet_put) =
		misc_sim_packet_create(MISC_SIM_RECORD_OPEN, GFP_KERNEL_ACCOUNT);
	struct misc_sim_packet *close __free(misc_sim_packet_put) =
		misc_sim_packet_create(MISC_SIM_RECORD_CLOSE, GFP_KERNEL_ACCOUNT);

	if (!open || !close)
		return -ENOMEM;

	f->open = no_free_ptr(open);
	f->close = no_free_ptr(close);
	f->open->record.arg = file->f_flags;

	scoped_guard(spinlock, &ch->lock) {
		f->open->record.file = ++ch->last_file;
		f->close->record.file = ch->last_file;
		list_add_tail(&f->list, &ch->files);
		if (ch->opened)
			misc_sim_packet_queue(f->open, &ch->peer);
	}
	wake_up_all(&ch->peer.wait);
	return 0;
}

/*
 * Tell the peer that a file is closed. If the peer does not know yet that it was
 * open, and the file wrote nothing, it need not know.
 */
static void misc_sim_channel_retire(struct misc_sim_file *f)
{
	struct misc_sim_channel *ch = f->dev->channel;

	scoped_guard(spinlock, &ch->lock) {
		list_del(&f->list);
		if (f->open->state == MISC_SIM_PACKET_QUEUED && !f->wrote)
			misc_sim_packet_unqueue(f->open);
		else if (ch->opened)
			misc_sim_packet_queue(f->close, &ch->peer);
	}
	wake_up_all(&ch->peer.wait);
	misc_sim_packet_put(f->open);
	misc_sim_packet_put(f->close);
}

static int misc_sim_channel_open(struct inode *inode, struct file *file)
{
	struct misc_sim_channel *ch;
	struct misc_sim_file *f;
	int ret;

	ret = misc_sim_file_open(inode, file);
	if (ret)
		return ret;

	f = file->private_data;
	ch = f->dev->channel;
	misc_sim_channel_attach(file, &ch->device, &ch->peer);
	ret = ch->records ? misc_sim_channel_announce(file) : 0;
	if (ret)
		misc_sim_file_release(inode, file);
	return ret;
}

static int misc_sim_channel_release(struct inode *inode, struct file *file)
{
	struct misc_sim_file *f = file->private_data;

	if (f->open)
		misc_sim_channel_retire(f);
	return misc_sim_file_release(inode, file);
}

static __poll_t misc_sim_channel_poll(struct file *file,
				      struct poll_table_struct *wait)
{
	struct misc_sim_file *f = file->private_data;

	return misc_sim_peer_poll(file, wait) |
	       demangle_poll(READ_ONCE(f->dev->channel->events));
}

static long misc_sim_channel_ioctl(struct file *file, unsigned int cmd,
				   unsigned long arg)
{
	return misc_sim_request(file, cmd, arg, (void __user *)arg, 0);
}

/* The peer gets the argument as it is, because it may be no address. */
static long misc_sim_channel_compat_ioctl(struct file *file, unsigned int cmd,
					  unsigned long arg)
{
	return misc_sim_request(file, cmd, arg, compat_ptr(arg), MISC_SIM_RECORD_F_COMPAT);
}

static void misc_sim_channel_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct misc_sim_file *f = file->private_data;

	seq_printf(m, "capacity:\t%u\n", f->dev->capacity);
}

/* No splice: it would sleep with the pipe's mutex held. */
const struct file_operations misc_sim_channel_fops = {
	.owner		= THIS_MODULE,
	.open		= misc_sim_channel_open,
	.release	= misc_sim_channel_release,
	.read_iter	= misc_sim_channel_read_iter,
	.write_iter	= misc_sim_channel_write_iter,
	.poll		= misc_sim_channel_poll,
	.unlocked_ioctl	= misc_sim_channel_ioctl,
	.compat_ioctl	= misc_sim_channel_compat_ioctl,
	.show_fdinfo	= misc_sim_channel_show_fdinfo,
};

/* Tell a peer with records of all open files, before the data that they wrote. */
static int misc_sim_peer_claim(struct misc_sim_channel *ch)
{
	struct misc_sim_file *f;
	LIST_HEAD(data);

	guard(spinlock)(&ch->lock);
	if (ch->opened)
		return -EBUSY;
	ch->opened = true;

	list_splice_init(&ch->peer.packets, &data);
	list_for_each_entry(f, &ch->files, list)
		misc_sim_packet_queue(f->open, &ch->peer);
	list_splice_tail(&data, &ch->peer.packets);
	return 0;
}

/**
 * misc_sim_peer_open - open the peer
 * @inode: its node
 * @file: the open file
 *
 * Context: Process context, with the mutex of the misc core held, as in
 * misc_sim_file_open().
 * Return: 0, -EBUSY if the peer is open already, or -ENOMEM.
 */
int misc_sim_peer_open(struct inode *inode, struct file *file)
{
	struct misc_sim_channel *ch = container_of(file->private_data,
						   struct misc_sim_channel, misc);
	int ret;

	ret = misc_sim_file_create(ch->dev, file);
	if (ret)
		return ret;

	misc_sim_channel_attach(file, &ch->peer, &ch->device);
	ret = misc_sim_peer_claim(ch);
	if (ret)
		misc_sim_file_release(inode, file);
	return ret;
}

/* Drop all packets but messages. If they are requests, this is their result. */
static void misc_sim_peer_drop(struct list_head *packets, int result)
{
	struct misc_sim_packet *packet, *next;

	list_for_each_entry_safe(packet, next, packets, list) {
		if (packet->record.type == MISC_SIM_RECORD_DATA)
			continue;
		packet->result = result;
		misc_sim_packet_unqueue(packet);
	}
}

/**
 * misc_sim_peer_release - close the peer
 * @inode: its node
 * @file: the open file
 *
 * Messages stay in the queue for the next peer. All requests fail, and everything
 * that the peer has set is reset.
 *
 * Context: Process context.
 * Return: 0.
 */
int misc_sim_peer_release(struct inode *inode, struct file *file)
{
	struct misc_sim_file *f = file->private_data;
	struct misc_sim_channel *ch = f->dev->channel;
	int result = misc_sim_device_gone(f->dev) ? -ENODEV : -EIO;

	scoped_guard(spinlock, &ch->lock) {
		misc_sim_peer_drop(&ch->peer.packets, result);
		misc_sim_peer_drop(&ch->taken, result);
		bitmap_zero(ch->types, _IOC_TYPEMASK + 1);
		WRITE_ONCE(ch->events, 0);
		ch->opened = false;
	}
	wake_up_all(&ch->device.wait);
	return misc_sim_file_release(inode, file);
}

const struct file_operations misc_sim_peer_fops = {
	.owner		= THIS_MODULE,
	.open		= misc_sim_peer_open,
	.release	= misc_sim_peer_release,
	.read_iter	= misc_sim_channel_read_iter,
	.write_iter	= misc_sim_channel_write_iter,
	.poll		= misc_sim_peer_poll,
	.unlocked_ioctl	= misc_sim_peer_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};
