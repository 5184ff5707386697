// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels of the simulated misc device: a peer that reads and writes records
 */

#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/uio.h>

#include "misc-sim.h"

/* Take the packet to read next. Return: false if there is none. */
static bool misc_sim_record_pin(struct misc_sim_file *f)
{
	struct misc_sim_channel *ch = f->dev->channel;
	struct misc_sim_packet *packet;

	lockdep_assert_held(&f->lock);

	guard(spinlock)(&ch->lock);
	packet = list_first_entry_or_null(&f->end->packets,
					  struct misc_sim_packet, list);
	if (!packet)
		return false;

	list_move_tail(&packet->list, &ch->taken);
	WRITE_ONCE(packet->state, MISC_SIM_PACKET_TAKEN);
	f->packet = misc_sim_packet_get(packet);
	return true;
}

/*
 * Drop a packet that was read. A request stays until it is answered. If the read
 * failed, put the packet back, unless it is a request that is finished.
 */
static void misc_sim_record_unpin(struct misc_sim_file *f, bool done)
{
	struct misc_sim_channel *ch = f->dev->channel;
	struct misc_sim_packet *packet = f->packet;
	u32 type = packet->record.type;

	lockdep_assert_held(&f->lock);

	scoped_guard(spinlock, &ch->lock) {
		if (done && type != MISC_SIM_RECORD_IOCTL) {
			misc_sim_packet_unqueue(packet);
		} else if (!done && packet->state == MISC_SIM_PACKET_TAKEN) {
			list_move(&packet->list, &f->end->packets);
			WRITE_ONCE(packet->state, MISC_SIM_PACKET_QUEUED);
		}
		if (done && type == MISC_SIM_RECORD_DATA)
			WRITE_ONCE(f->end->used, f->end->used - 1);
	}
	f->packet = NULL;
	misc_sim_packet_put(packet);

	/* There is room again, or a request can be interrupted again. */
	if (!done || type == MISC_SIM_RECORD_DATA)
		wake_up_all(&f->other->wait);
	if (!done)
		wake_up_all(f->wait);
}

static ssize_t misc_sim_record_copy(const struct misc_sim_packet *packet,
				    struct iov_iter *to)
{
	struct misc_sim_record record = packet->record;

	if (iov_iter_count(to) < sizeof(record) + record.length)
		return -EINVAL;

	record.pid = pid_vnr(packet->pid);
	if (!copy_to_iter_full(&record, sizeof(record), to))
		return -EFAULT;
	if (record.length &&
	    !copy_to_iter_full(packet->payload->data, record.length, to))
		return -EFAULT;
	return sizeof(record) + record.length;
}

static ssize_t misc_sim_record_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	ssize_t ret;

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;
	if (iov_iter_count(to) < sizeof(struct misc_sim_record))
		return -EINVAL;

	ret = misc_sim_file_lock_message(iocb, misc_sim_channel_readable,
					 misc_sim_record_pin);
	if (ret)
		return ret;

	ret = misc_sim_record_copy(f->packet, to);
	misc_sim_record_unpin(f, ret > 0);
	misc_sim_file_unlock(f);
	return ret;
}

static int misc_sim_record_events(struct misc_sim_file *f, u64 events)
{
	if (events & ~(u64)(POLLERR | POLLPRI))
		return -EINVAL;
	WRITE_ONCE(f->dev->channel->events, events);
	wake_up_all(&f->other->wait);
	return 0;
}

/* The slots of messages that are still being written stay in use. */
static int misc_sim_record_flush(struct misc_sim_file *f)
{
	struct misc_sim_packet *packet;
	LIST_HEAD(packets);

	scoped_guard(spinlock, &f->dev->channel->lock) {
		list_splice_init(&f->other->packets, &packets);
		list_for_each_entry(packet, &packets, list)
			WRITE_ONCE(f->other->used, f->other->used - 1);
	}
	misc_sim_packets_free(&packets);
	wake_up_all(f->wait);
	return 0;
}

static int misc_sim_record_listen(struct misc_sim_channel *ch, u64 type)
{
	if (type > _IOC_TYPEMASK)
		return -EINVAL;

	guard(spinlock)(&ch->lock);
	__set_bit(type, ch->types);
	return 0;
}

static ssize_t misc_sim_record_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	struct misc_sim_record record;
	ssize_t length = iov_iter_count(from);
	ssize_t ret;

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;
	if (length < sizeof(record))
		return -EINVAL;
	if (!copy_from_iter_full(&record, sizeof(record), from))
		return -EFAULT;
	if (record.length != iov_iter_count(from))
		return -EINVAL;
	if (record.flags & ~MISC_SIM_RECORD_F_COMPAT)
		return -EINVAL;
	if (record.length && record.type != MISC_SIM_RECORD_DATA &&
	    record.type != MISC_SIM_RECORD_REPLY)
		return -EINVAL;

	switch (record.type) {
	case MISC_SIM_RECORD_DATA:
		ret = misc_sim_channel_write(iocb, from);
		break;
	case MISC_SIM_RECORD_REPLY:
		ret = misc_sim_request_reply(iocb, &record, from);
		break;
	case MISC_SIM_RECORD_EVENTS:
		ret = misc_sim_record_events(f, record.arg);
		break;
	case MISC_SIM_RECORD_FLUSH:
		ret = misc_sim_record_flush(f);
		break;
	case MISC_SIM_RECORD_LISTEN:
		ret = misc_sim_record_listen(f->dev->channel, record.arg);
		break;
	default:
		ret = -EINVAL;
	}
	/* Unplugging finishes the requests. */
	if (ret == -ENOENT && misc_sim_device_gone(f->dev))
		return -ENODEV;
	return ret < 0 ? ret : length;
}

const struct file_operations misc_sim_record_fops = {
	.owner		= THIS_MODULE,
	.open		= misc_sim_peer_open,
	.release	= misc_sim_peer_release,
	.read_iter	= misc_sim_record_read_iter,
	.write_iter	= misc_sim_record_write_iter,
	.poll		= misc_sim_peer_poll,
	.unlocked_ioctl	= misc_sim_peer_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};
