// SPDX-License-Identifier: GPL-2.0-only
/*
 * File operations of the simulated misc device
 */

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <uapi/linux/misc-sim.h>

#include "misc-sim.h"
#include "trace.h"

/*
 * Runs under the mutex of the misc core, as misc_deregister() does, so the device
 * is still registered, and nothing here may sleep for long.
 */
static int misc_sim_open(struct inode *inode, struct file *file)
{
	struct misc_sim_device *dev = container_of(file->private_data,
						   struct misc_sim_device, misc);
	struct misc_sim_file *f;
	int ret;

	ret = misc_sim_fail_open(dev->faults);
	if (ret)
		return ret;

	f = kzalloc_obj(*f, GFP_KERNEL_ACCOUNT);
	if (!f)
		return -ENOMEM;

	f->dev = misc_sim_device_get(dev);
	mutex_init(&f->lock);
	file->private_data = f;
	file->f_mode |= FMODE_NOWAIT;
	return dev->blocking ? stream_open(inode, file) : 0;
}

static int misc_sim_release(struct inode *inode, struct file *file)
{
	struct misc_sim_file *f = file->private_data;

	misc_sim_message_put(f->message);
	misc_sim_device_put(f->dev);
	mutex_destroy(&f->lock);
	kfree(f);
	return 0;
}

/* Whether there is something that this file has not read to its end. */
static bool misc_sim_unseen(struct misc_sim_file *f)
{
	return atomic64_read(&f->dev->generation) != atomic64_read(&f->seen);
}

/*
 * Pin what the read at *@pos is to return.
 * Return: 0, -ENODEV, or -EAGAIN when a stream has to wait for the next message.
 */
static int misc_sim_pin(struct misc_sim_file *f, loff_t *pos)
{
	lockdep_assert_held(&f->lock);

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;

	if (!f->dev->blocking) {
		if (!*pos || !f->message)
			misc_sim_device_pin(f->dev, &f->message);
		return 0;
	}

	if (!f->message || atomic64_read(&f->seen) == f->message->generation) {
		if (!misc_sim_unseen(f))
			return -EAGAIN;
		misc_sim_device_pin(f->dev, &f->message);
		f->pos = 0;
	}
	*pos = f->pos;
	return 0;
}

static ssize_t misc_sim_read(struct misc_sim_file *f, loff_t pos,
			     struct iov_iter *to)
{
	size_t left = f->message->length - min_t(u64, pos, f->message->length);
	struct misc_sim_faults *faults = f->dev->faults;
	ssize_t ret;

	lockdep_assert_held(&f->lock);

	ret = misc_sim_fail_read(faults);
	if (ret)
		return ret;

	iov_iter_truncate(to, misc_sim_short_io(faults, min(left, iov_iter_count(to))));
	ret = misc_sim_message_read(f->message, pos, to);
	if (ret > 0)
		f->pos = pos + ret;
	if (ret >= 0 && pos + ret >= f->message->length)
		atomic64_set(&f->seen, f->message->generation);

	trace_misc_sim_read(f->dev, f->message, pos, ret);
	return ret;
}

/*
 * Lock the file, with a message pinned for the read at *@pos. A fault in the copy
 * may take as long as user space likes, so whoever waits for the lock meanwhile
 * must remain killable.
 */
static int misc_sim_lock_pinned(struct kiocb *iocb, loff_t *pos)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	bool nowait = iocb->ki_flags & IOCB_NOWAIT;
	int ret;

	for (;;) {
		if (nowait) {
			if (!mutex_trylock(&f->lock))
				return -EAGAIN;
		} else if (mutex_lock_interruptible(&f->lock)) {
			return -ERESTARTSYS;
		}

		ret = misc_sim_pin(f, pos);
		if (!ret)
			return 0;
		mutex_unlock(&f->lock);

		if (ret != -EAGAIN || nowait ||
		    iocb->ki_filp->f_flags & O_NONBLOCK)
			return ret;

		ret = wait_event_interruptible(f->dev->wait,
					       misc_sim_unseen(f) ||
					       misc_sim_device_gone(f->dev));
		if (ret)
			return ret;
	}
}

static ssize_t misc_sim_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	loff_t pos = iocb->ki_pos;
	ssize_t ret;

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;
	if (!iov_iter_count(to))
		return 0;

	ret = misc_sim_device_delay(f->dev, iocb->ki_flags & IOCB_NOWAIT);
	if (ret)
		return ret;

	ret = misc_sim_lock_pinned(iocb, &pos);
	if (ret)
		return ret;
	ret = misc_sim_read(f, pos, to);
	mutex_unlock(&f->lock);

	if (ret > 0 && !f->dev->blocking)
		iocb->ki_pos += ret;
	return ret;
}

static ssize_t misc_sim_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	bool nowait = iocb->ki_flags & IOCB_NOWAIT;
	size_t length = iov_iter_count(from);
	struct misc_sim_message *msg;
	int ret;

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;
	if (!length)
		return 0;
	if (length > f->dev->capacity)
		return -EMSGSIZE;

	ret = misc_sim_device_delay(f->dev, nowait);
	if (ret)
		return ret;

	ret = misc_sim_fail_write(f->dev->faults);
	if (ret)
		return ret;

	length = misc_sim_short_io(f->dev->faults, length);
	iov_iter_truncate(from, length);

	msg = misc_sim_message_from_iter(from, nowait ? GFP_NOWAIT | __GFP_ACCOUNT :
							GFP_KERNEL_ACCOUNT);
	if (msg == ERR_PTR(-ENOMEM) && nowait)
		return -EAGAIN;
	if (IS_ERR(msg))
		return PTR_ERR(msg);

	ret = misc_sim_device_publish(f->dev, msg, NULL);
	if (ret)
		return ret;

	iocb->ki_pos = 0;
	return length;
}

static __poll_t misc_sim_poll(struct file *file, struct poll_table_struct *wait)
{
	struct misc_sim_file *f = file->private_data;
	__poll_t mask = EPOLLOUT | EPOLLWRNORM;

	poll_wait(file, &f->dev->wait, wait);

	if (misc_sim_unseen(f))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (misc_sim_device_gone(f->dev))
		mask |= EPOLLERR | EPOLLHUP;
	return mask;
}

static long misc_sim_ioctl_info(struct file *file,
				struct misc_sim_info __user *arg)
{
	struct misc_sim_file *f = file->private_data;
	struct misc_sim_info info = {};
	size_t length;

	info.generation = misc_sim_device_current(f->dev, &length);
	info.seen = atomic64_read(&f->seen);
	info.length = length;
	info.capacity = f->dev->capacity;

	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long misc_sim_ioctl_replace(struct file *file,
				   const struct misc_sim_replace __user *arg)
{
	struct misc_sim_file *f = file->private_data;
	struct misc_sim_replace replace;
	struct misc_sim_message *msg;
	struct iov_iter from;
	int ret;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (copy_from_user(&replace, arg, sizeof(replace)))
		return -EFAULT;
	if (replace.reserved)
		return -EINVAL;
	if (replace.length > f->dev->capacity)
		return -EMSGSIZE;

	/* Spare a caller who is late already the copy. */
	if (replace.generation != atomic64_read(&f->dev->generation))
		return -ESTALE;

	ret = import_ubuf(ITER_SOURCE, u64_to_user_ptr(replace.data),
			  replace.length, &from);
	if (ret)
		return ret;

	msg = misc_sim_message_from_iter(&from, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(msg))
		return PTR_ERR(msg);

	return misc_sim_device_publish(f->dev, msg, &replace.generation);
}

static long misc_sim_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	struct misc_sim_file *f = file->private_data;
	void __user *argp = (void __user *)arg;

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;

	switch (cmd) {
	case MISC_SIM_IOC_INFO:
		return misc_sim_ioctl_info(file, argp);
	case MISC_SIM_IOC_REPLACE:
		return misc_sim_ioctl_replace(file, argp);
	default:
		return -ENOTTY;
	}
}

/* A mapping holds a reference to the message it shows. */
static int misc_sim_vm_mapped(unsigned long start, unsigned long end,
			      pgoff_t pgoff, const struct file *file,
			      void **vm_private_data)
{
	struct misc_sim_file *f = file->private_data;
	struct misc_sim_message *msg __free(misc_sim_message_put) =
		misc_sim_device_get_pinned(f->dev, &f->message);

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;
	if (pgoff + PHYS_PFN(end - start) > misc_sim_message_pages(msg))
		return -EINVAL;

	*vm_private_data = no_free_ptr(msg);
	return 0;
}

static void misc_sim_vm_open(struct vm_area_struct *vma)
{
	misc_sim_message_get(vma->vm_private_data);
}

/* After a mapped() that failed there is no message. */
static void misc_sim_vm_close(struct vm_area_struct *vma)
{
	misc_sim_message_put(vma->vm_private_data);
}

/*
 * A message never changes, so a page that is copied when it is first touched is
 * the page as of mmap().
 */
static vm_fault_t misc_sim_vm_fault(struct vm_fault *vmf)
{
	vmf->page = misc_sim_message_page(vmf->vma->vm_private_data, vmf->pgoff);
	return vmf->page ? 0 : VM_FAULT_OOM;
}

static const struct vm_operations_struct misc_sim_vm_ops = {
	.mapped		= misc_sim_vm_mapped,
	.open		= misc_sim_vm_open,
	.close		= misc_sim_vm_close,
	.fault		= misc_sim_vm_fault,
};

/* VM_DONTEXPAND: each mapping has its own message, so none may be merged. */
static int misc_sim_mmap_prepare(struct vm_area_desc *desc)
{
	if (vma_desc_test(desc, VMA_WRITE_BIT))
		return -EPERM;

	vma_desc_clear_flags(desc, VMA_MAYWRITE_BIT);
	vma_desc_set_flags(desc, VMA_DONTEXPAND_BIT);
	desc->vm_ops = &misc_sim_vm_ops;
	return 0;
}

static void misc_sim_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct misc_sim_file *f = file->private_data;

	seq_printf(m, "generation:\t%lld\n", atomic64_read(&f->dev->generation));
	seq_printf(m, "seen:\t%lld\n", atomic64_read(&f->seen));
}

/*
 * A position only means something within the pinned message, so there is no
 * seeking; but sendfile() wants a file that could.
 */
static loff_t misc_sim_llseek(struct file *file, loff_t offset, int whence)
{
	return -ESPIPE;
}

const struct file_operations misc_sim_fops = {
	.owner		= THIS_MODULE,
	.open		= misc_sim_open,
	.release	= misc_sim_release,
	.llseek		= misc_sim_llseek,
	.read_iter	= misc_sim_read_iter,
	.write_iter	= misc_sim_write_iter,
	.poll		= misc_sim_poll,
	.unlocked_ioctl	= misc_sim_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.mmap_prepare	= misc_sim_mmap_prepare,
	.show_fdinfo	= misc_sim_show_fdinfo,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
};
