// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels of the simulated misc device: ioctls that the peer answers
 *
 * A request is a packet with a record of type IOCTL. It is in the queue of the peer
 * until the peer has read it, and then in &misc_sim_channel.taken. It is finished
 * when it is in neither: the peer has replied to it or was closed, or the caller
 * has given up. The side that removes it decides how it ends.
 */

#include <linux/ioctl.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include "misc-sim.h"

/* The direction in the command is not looked at, because many drivers ignore it. */
static struct misc_sim_message *misc_sim_request_payload(unsigned int cmd,
							 void __user *argp)
{
	struct misc_sim_message *msg;
	struct iov_iter from;

	if (import_ubuf(ITER_SOURCE, argp, _IOC_SIZE(cmd), &from))
		return NULL;
	msg = misc_sim_message_from_iter(&from, GFP_KERNEL_ACCOUNT);
	return msg == ERR_PTR(-EFAULT) ? NULL : msg;
}

static struct misc_sim_packet *misc_sim_request_create(unsigned int cmd,
						       void __user *argp)
{
	struct misc_sim_packet *request __free(misc_sim_packet_put) =
		misc_sim_packet_create(MISC_SIM_RECORD_IOCTL, GFP_KERNEL_ACCOUNT);
	struct misc_sim_message *payload;

	if (!request)
		return ERR_PTR(-ENOMEM);

	payload = misc_sim_request_payload(cmd, argp);
	if (IS_ERR(payload))
		return ERR_CAST(payload);

	request->payload = payload;
	request->pid = get_task_pid(current, PIDTYPE_TGID);
	request->record.length = payload ? payload->length : 0;
	request->record.value = _IOC_SIZE(cmd);
	request->record.cmd = cmd;
	return_ptr(request);
}

/* Whether the peer answers this command. */
static bool misc_sim_request_wanted(struct misc_sim_channel *ch, unsigned int cmd)
{
	guard(spinlock)(&ch->lock);
	return test_bit(_IOC_TYPE(cmd), ch->types);
}

static int misc_sim_request_queue(struct misc_sim_file *f,
				  struct misc_sim_packet *request)
{
	struct misc_sim_channel *ch = f->dev->channel;

	scoped_guard(spinlock, &ch->lock) {
		if (!test_bit(_IOC_TYPE(request->record.cmd), ch->types))
			return -ENOTTY;
		request->record.id = ++ch->last_id;
		misc_sim_packet_queue(request, &ch->peer);
	}
	wake_up_all(&ch->peer.wait);
	return 0;
}

static bool misc_sim_request_moved(struct misc_sim_file *f,
				   struct misc_sim_packet *request,
				   enum misc_sim_packet_state from)
{
	return READ_ONCE(request->state) != from || misc_sim_device_gone(f->dev);
}

/*
 * Wait until a request is finished. A signal ends this only while the peer has not
 * read the request, because after that the peer may have acted on it. SIGKILL
 * always ends this.
 */
static int misc_sim_request_wait(struct misc_sim_file *f,
				 struct misc_sim_packet *request)
{
	enum misc_sim_packet_state state = MISC_SIM_PACKET_QUEUED;
	int ret = 0;

	for (;;) {
		scoped_guard(spinlock, &f->dev->channel->lock) {
			if (request->state == MISC_SIM_PACKET_IDLE)
				return 0;
			if (misc_sim_device_gone(f->dev))
				ret = -ENODEV;
			else if (state == MISC_SIM_PACKET_QUEUED &&
				 request->state == MISC_SIM_PACKET_TAKEN)
				ret = 0; /* the signal came too late */
			if (ret) {
				misc_sim_packet_unqueue(request);
				return ret;
			}
			state = request->state;
		}
		ret = wait_event_state(*f->wait, misc_sim_request_moved(f, request, state),
				       (state == MISC_SIM_PACKET_QUEUED ? TASK_INTERRUPTIBLE :
					TASK_KILLABLE | TASK_FREEZABLE));
	}
}

/**
 * misc_sim_request - let the peer answer an ioctl
 * @file: open file of a channel
 * @cmd: the command
 * @arg: its argument
 * @argp: the same, as an address
 * @flags: flags of the record
 *
 * Context: Process context, may sleep.
 * Return: the result from the peer, or -ENODEV, -ENOTTY (the peer does not answer
 * such commands), -ERESTARTSYS, -ENOMEM, -EIO (the peer was closed), -EFAULT (the
 * reply cannot be stored), or the errno of an injected fault.
 */
long misc_sim_request(struct file *file, unsigned int cmd, unsigned long arg,
		      void __user *argp, u32 flags)
{
	struct misc_sim_file *f = file->private_data;
	struct misc_sim_device *dev = f->dev;
	int ret;

	if (misc_sim_device_gone(dev))
		return -ENODEV;
	if (!misc_sim_request_wanted(dev->channel, cmd))
		return -ENOTTY;

	ret = misc_sim_device_delay(dev) ?:
	      misc_sim_device_fail(dev, MISC_SIM_FAIL_IOCTL);
	if (ret)
		return ret;

	struct misc_sim_packet *request __free(misc_sim_packet_put) =
		misc_sim_request_create(cmd, argp);

	if (IS_ERR(request))
		return PTR_ERR(request);

	request->record.file = f->open->record.file;
	request->record.arg = arg;
	request->record.flags = flags;

	ret = misc_sim_request_queue(f, request) ?: misc_sim_request_wait(f, request);
	if (ret)
		return ret;

	if (request->reply && copy_to_user(argp, request->reply->data,
					   request->reply->length))
		return -EFAULT;
	return request->result;
}

static struct misc_sim_packet *misc_sim_request_find(struct misc_sim_channel *ch,
						     u64 id)
{
	struct misc_sim_packet *packet;

	guard(spinlock)(&ch->lock);
	list_for_each_entry(packet, &ch->taken, list)
		/* Not a packet without a number, which the peer is just reading. */
		if (packet->record.type == MISC_SIM_RECORD_IOCTL &&
		    packet->record.id == id)
			return misc_sim_packet_get(packet);
	return NULL;
}

/**
 * misc_sim_request_reply - finish a request
 * @iocb: the write of the peer
 * @record: the record of type REPLY
 * @from: its payload
 *
 * Context: Process context, may fault.
 * Return: 0, -EINVAL (the result is out of range, or the payload is longer than the
 * argument), -ENOENT (no such request is waiting), -EFAULT, -ENOMEM or -EAGAIN.
 */
int misc_sim_request_reply(struct kiocb *iocb, const struct misc_sim_record *record,
			   struct iov_iter *from)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	struct misc_sim_channel *ch = f->dev->channel;

	if (record->value < -MISC_SIM_ERRNO_MAX)
		return -EINVAL;

	struct misc_sim_packet *request __free(misc_sim_packet_put) =
		misc_sim_request_find(ch, record->id);

	if (!request)
		return -ENOENT;
	if (record->length > _IOC_SIZE(request->record.cmd))
		return -EINVAL;

	struct misc_sim_message *reply __free(misc_sim_message_put) =
		misc_sim_message_from_iter(from, misc_sim_file_gfp(iocb));

	if (IS_ERR(reply))
		return misc_sim_file_error(iocb, PTR_ERR(reply));

	scoped_guard(spinlock, &ch->lock) {
		if (request->state != MISC_SIM_PACKET_TAKEN)
			return -ENOENT;
		request->result = record->value;
		request->reply = no_free_ptr(reply);
		misc_sim_packet_unqueue(request);
	}
	wake_up_all(&ch->device.wait);
	return 0;
}
