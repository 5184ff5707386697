// SPDX-License-Identifier: GPL-2.0-only
/*
 * Streams of the simulated misc device: readers wait for the next message
 */

#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/uio.h>
#include <uapi/linux/misc-sim.h>

#include "misc-sim.h"

static int misc_sim_stream_open(struct inode *inode, struct file *file)
{
	return misc_sim_file_open(inode, file) ?: stream_open(inode, file);
}

/* Pin the message to read next. Return: false if there is none. */
static bool misc_sim_stream_pin(struct misc_sim_file *f)
{
	lockdep_assert_held(&f->lock);

	if (f->message && atomic64_read(&f->seen) != f->message->generation)
		return true;
	if (!misc_sim_file_unseen(f))
		return false;

	misc_sim_file_pin(f);
	f->pos = 0;
	return true;
}

static ssize_t misc_sim_stream_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	ssize_t ret;

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;
	if (!iov_iter_count(to))
		return 0;

	ret = misc_sim_file_delay(iocb) ?:
	      misc_sim_file_lock_message(iocb, misc_sim_file_unseen,
					 misc_sim_stream_pin);
	if (ret)
		return ret;
	ret = misc_sim_file_read(f, f->pos, to);
	if (ret > 0)
		f->pos += ret;
	misc_sim_file_unlock(f);
	return ret;
}

static __poll_t misc_sim_stream_poll(struct file *file,
				     struct poll_table_struct *wait)
{
	struct misc_sim_file *f = file->private_data;
	__poll_t mask = EPOLLOUT | EPOLLWRNORM;

	poll_wait(file, &f->dev->wait, wait);

	if (misc_sim_device_gone(f->dev))
		return EPOLLERR | EPOLLHUP | EPOLLPRI;
	if (misc_sim_file_unseen(f))
		mask |= EPOLLIN | EPOLLRDNORM;
	return mask;
}

static long misc_sim_stream_ioctl(struct file *file, unsigned int cmd,
				  unsigned long arg)
{
	struct misc_sim_file *f = file->private_data;

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;

	if (cmd != MISC_SIM_IOC_INFO)
		return -ENOTTY;
	return misc_sim_file_info(f, (void __user *)arg);
}

/* No splice: it would sleep with the pipe's mutex held. */
const struct file_operations misc_sim_stream_fops = {
	.owner		= THIS_MODULE,
	.open		= misc_sim_stream_open,
	.release	= misc_sim_file_release,
	.read_iter	= misc_sim_stream_read_iter,
	.write_iter	= misc_sim_file_write_iter,
	.poll		= misc_sim_stream_poll,
	.unlocked_ioctl	= misc_sim_stream_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= misc_sim_file_show_fdinfo,
};
