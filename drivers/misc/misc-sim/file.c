// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files of the simulated misc device: common code, and message devices
 */

#include <linux/fs.h>
#include <linux/math.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <uapi/linux/misc-sim.h>

#include "misc-sim.h"
#include "trace.h"

/**
 * misc_sim_file_create - create a file
 * @dev: the device
 * @file: the open file
 *
 * Context: Process context.
 * Return: 0 or -ENOMEM.
 */
int misc_sim_file_create(struct misc_sim_device *dev, struct file *file)
{
	struct misc_sim_file *f = kzalloc_obj(*f, GFP_KERNEL_ACCOUNT);

	if (!f)
		return -ENOMEM;

	f->dev = misc_sim_device_get(dev);
	f->wait = &dev->wait;
	mutex_init(&f->lock);
	file->private_data = f;
	if (!dev->store)
		file->f_mode |= FMODE_NOWAIT;
	return 0;
}

/**
 * misc_sim_file_open - open a device
 * @inode: the node
 * @file: the open file
 *
 * Context: Process context, with the mutex of the misc core held.
 * misc_deregister() takes this mutex too, so the device is still registered.
 * Return: 0, -ENOMEM, or the errno of an injected fault.
 */
int misc_sim_file_open(struct inode *inode, struct file *file)
{
	struct misc_sim_device *dev = container_of(file->private_data,
						   struct misc_sim_device, misc);

	return misc_sim_device_fail(dev, MISC_SIM_FAIL_OPEN) ?:
	       misc_sim_file_create(dev, file);
}

int misc_sim_file_release(struct inode *inode, struct file *file)
{
	struct misc_sim_file *f = file->private_data;

	if (f->message)
		misc_sim_message_put(f->message);
	misc_sim_device_put(f->dev);
	mutex_destroy(&f->lock);
	kfree(f);
	return 0;
}

/* Whether the current message is one that this file has not read to its end. */
bool misc_sim_file_unseen(struct misc_sim_file *f)
{
	return atomic64_read(&f->dev->generation) != atomic64_read(&f->seen);
}

/**
 * misc_sim_file_delay - sleep for the configured latency, if the call may sleep
 * @iocb: the read or write
 *
 * A call that may not sleep is not delayed, because poll() could not tell when
 * the delay is over.
 *
 * Context: Process context, may sleep.
 * Return: 0, -ENODEV, or -ERESTARTSYS.
 */
int misc_sim_file_delay(struct kiocb *iocb)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;

	return misc_sim_file_nonblock(iocb) ? 0 : misc_sim_device_delay(f->dev);
}

/**
 * misc_sim_file_lock - lock a file for reading
 * @f: the file
 * @nowait: fail instead of sleeping
 *
 * The holder of the lock copies to user space and may wait in a page fault for as
 * long as user space likes. Waiting for the lock is therefore interruptible.
 *
 * Context: Process context, may sleep.
 * Return: 0, -EAGAIN, -ENODEV if the device is unplugged, or -ERESTARTSYS.
 */
int misc_sim_file_lock(struct misc_sim_file *f, bool nowait)
{
	if (nowait) {
		if (mutex_trylock(&f->lock))
			return 0;
		/* Fully ordered: the holder sees this, or we see the lock free. */
		atomic_xchg(&f->contended, 1);
		return mutex_trylock(&f->lock) ? 0 : -EAGAIN;
	}

	if (!mutex_lock_interruptible(&f->lock))
		return 0;
	return misc_sim_device_gone(f->dev) ? -ENODEV : -ERESTARTSYS;
}

/**
 * misc_sim_file_unlock - unlock a file
 * @f: the file
 *
 * Wakes the pollers if a caller got -EAGAIN because the lock was held.
 *
 * Context: Process context.
 */
void misc_sim_file_unlock(struct misc_sim_file *f)
{
	mutex_unlock(&f->lock);
	if (atomic_xchg(&f->contended, 0))
		wake_up_all(f->wait);
}

/**
 * misc_sim_file_lock_message - lock a file once it has a message to read
 * @iocb: the read
 * @ready: whether there may be a message
 * @pin: called with the lock held, pins the message, or returns false if there
 *	is none
 *
 * The lock is not held while this sleeps, except in @pin.
 *
 * Context: Process context, may sleep.
 * Return: 0 with the lock held, or -EAGAIN, -ENODEV or -ERESTARTSYS without it.
 */
int misc_sim_file_lock_message(struct kiocb *iocb,
			       bool (*ready)(struct misc_sim_file *f),
			       bool (*pin)(struct misc_sim_file *f))
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	int ret;

	for (;;) {
		ret = misc_sim_file_lock(f, iocb->ki_flags & IOCB_NOWAIT);
		if (ret)
			return ret;

		if (misc_sim_device_gone(f->dev))
			ret = -ENODEV;
		else if (pin(f))
			return 0;
		else if (misc_sim_file_nonblock(iocb))
			ret = -EAGAIN;
		misc_sim_file_unlock(f);

		if (!ret)
			ret = wait_event_interruptible(*f->wait, ready(f) ||
						       misc_sim_device_gone(f->dev));
		if (ret)
			return ret;
	}
}

/**
 * misc_sim_file_pin - pin the current message
 * @f: the file
 *
 * If the current message is already pinned, this writes to no memory that other
 * files read.
 *
 * Context: Process context, with &misc_sim_file.lock held.
 */
void misc_sim_file_pin(struct misc_sim_file *f)
{
	struct misc_sim_message *old = f->message;

	lockdep_assert_held(&f->lock);

	if (old && old->generation == atomic64_read(&f->dev->generation))
		return;

	f->message = misc_sim_device_message(f->dev);
	if (old)
		misc_sim_message_put(old);
}

/**
 * misc_sim_file_read - read from the pinned message
 * @f: the file
 * @pos: position to start at
 * @to: destination
 *
 * Context: Process context, with &misc_sim_file.lock held.
 * Return: number of bytes read, 0 at the end of the message, -EFAULT, or the
 * errno of an injected fault.
 */
ssize_t misc_sim_file_read(struct misc_sim_file *f, loff_t pos,
			   struct iov_iter *to)
{
	struct misc_sim_message *msg = f->message;
	size_t left = msg->length - min_t(u64, pos, msg->length);
	ssize_t ret;

	lockdep_assert_held(&f->lock);

	ret = left ? misc_sim_device_fail(f->dev, MISC_SIM_FAIL_READ) : 0;
	if (ret)
		return ret;

	iov_iter_truncate(to, misc_sim_device_short_io(f->dev, min(left, iov_iter_count(to))));
	ret = misc_sim_message_read(msg, pos, to);
	if (ret >= 0 && pos + ret >= msg->length)
		atomic64_set(&f->seen, msg->generation);

	trace_misc_sim_read(f->dev->name, msg->generation, pos, ret);
	return ret;
}

static ssize_t misc_sim_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	ssize_t ret;

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;
	if (!iov_iter_count(to))
		return 0;

	ret = misc_sim_file_delay(iocb) ?:
	      misc_sim_file_lock(f, iocb->ki_flags & IOCB_NOWAIT);
	if (ret)
		return ret;

	if (misc_sim_device_gone(f->dev)) {
		ret = -ENODEV;
	} else {
		if (!iocb->ki_pos || !f->message)
			misc_sim_file_pin(f);
		ret = misc_sim_file_read(f, iocb->ki_pos, to);
	}
	misc_sim_file_unlock(f);

	if (ret > 0)
		iocb->ki_pos += ret;
	return ret;
}

/* Allocation flags for the bytes of a write. */
gfp_t misc_sim_file_gfp(const struct kiocb *iocb)
{
	return iocb->ki_flags & IOCB_NOWAIT ? GFP_NOWAIT | __GFP_ACCOUNT :
					      GFP_KERNEL_ACCOUNT;
}

/**
 * misc_sim_file_error - turn the error of an allocation into that of the write
 * @iocb: the write
 * @error: the error, negative
 *
 * Context: Process context.
 * Return: -EAGAIN if the write must not sleep and memory is short, else @error.
 */
int misc_sim_file_error(struct kiocb *iocb, int error)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;

	if (error != -ENOMEM || !(iocb->ki_flags & IOCB_NOWAIT))
		return error;

	/* -EAGAIN promises a wake-up, and nothing else would cause one. */
	wake_up_all(f->wait);
	return -EAGAIN;
}

/**
 * misc_sim_file_write_iter - publish a message
 * @iocb: the write
 * @from: the bytes of the message
 *
 * Context: Process context, may sleep.
 * Return: number of bytes written, or a negative errno.
 */
ssize_t misc_sim_file_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct misc_sim_file *f = iocb->ki_filp->private_data;
	struct misc_sim_device *dev = f->dev;
	size_t length = iov_iter_count(from);
	struct misc_sim_message *msg;
	int ret;

	if (misc_sim_device_gone(dev))
		return -ENODEV;
	if (!length)
		return 0;
	if (length > dev->capacity)
		return -EMSGSIZE;

	ret = misc_sim_file_delay(iocb) ?:
	      misc_sim_device_fail(dev, MISC_SIM_FAIL_WRITE);
	if (ret)
		return ret;

	length = misc_sim_device_short_io(dev, length);
	iov_iter_truncate(from, length);

	msg = misc_sim_message_from_iter(from, misc_sim_file_gfp(iocb));
	if (IS_ERR(msg))
		return misc_sim_file_error(iocb, PTR_ERR(msg));

	ret = misc_sim_device_store(dev, msg, NULL);
	if (ret)
		return ret;

	iocb->ki_pos = 0;
	return length;
}

/* Reads never wait. A new message is an exceptional condition, as in sysfs. */
static __poll_t misc_sim_poll(struct file *file, struct poll_table_struct *wait)
{
	struct misc_sim_file *f = file->private_data;
	__poll_t mask = EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;

	poll_wait(file, &f->dev->wait, wait);

	if (misc_sim_device_gone(f->dev))
		return EPOLLERR | EPOLLHUP | EPOLLPRI;
	if (misc_sim_file_unseen(f))
		mask |= EPOLLPRI;
	return mask;
}

/**
 * misc_sim_file_info - handle MISC_SIM_IOC_INFO
 * @f: the file
 * @arg: user address of struct misc_sim_info
 *
 * Context: Process context, may fault.
 * Return: 0, -EFAULT, or the errno of an injected fault.
 */
long misc_sim_file_info(struct misc_sim_file *f, void __user *arg)
{
	struct misc_sim_info info = {};
	int ret;

	ret = misc_sim_device_fail(f->dev, MISC_SIM_FAIL_IOCTL);
	if (ret)
		return ret;

	struct misc_sim_message *msg __free(misc_sim_message_put) =
		misc_sim_device_message(f->dev);

	info.generation = msg->generation;
	info.seen = atomic64_read(&f->seen);
	info.length = msg->length;
	info.capacity = f->dev->capacity;

	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static long misc_sim_replace(struct file *file, void __user *arg)
{
	struct misc_sim_file *f = file->private_data;
	struct misc_sim_replace replace;
	struct misc_sim_message *msg;
	struct iov_iter from;
	int ret;

	ret = misc_sim_device_fail(f->dev, MISC_SIM_FAIL_IOCTL);
	if (ret)
		return ret;

	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (copy_from_user(&replace, arg, sizeof(replace)))
		return -EFAULT;
	if (replace.reserved)
		return -EINVAL;
	if (replace.length > f->dev->capacity)
		return -EMSGSIZE;

	/* Do not copy a message that cannot be published any more. */
	if (replace.generation != atomic64_read(&f->dev->generation))
		return -ESTALE;

	if (!replace.length)
		replace.data = 0;
	/* A 32-bit kernel would ignore the upper half of the address. */
	if (replace.data != (uintptr_t)replace.data)
		return -EFAULT;
	ret = import_ubuf(ITER_SOURCE, u64_to_user_ptr(replace.data),
			  replace.length, &from);
	if (ret)
		return ret;

	msg = misc_sim_message_from_iter(&from, GFP_KERNEL_ACCOUNT);
	if (IS_ERR(msg))
		return PTR_ERR(msg);

	return misc_sim_device_store(f->dev, msg, &replace.generation);
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
		return misc_sim_file_info(f, argp);
	case MISC_SIM_IOC_REPLACE:
		return misc_sim_replace(file, argp);
	default:
		return -ENOTTY;
	}
}

/* A mapping holds a reference to the message that was current at mmap() time. */
static int misc_sim_vm_mapped(unsigned long start, unsigned long end,
			      pgoff_t pgoff, const struct file *file,
			      void **vm_private_data)
{
	struct misc_sim_file *f = file->private_data;

	*vm_private_data = misc_sim_device_message(f->dev);
	return 0;
}

static void misc_sim_vm_open(struct vm_area_struct *vma)
{
	misc_sim_message_get(vma->vm_private_data);
}

static void misc_sim_vm_close(struct vm_area_struct *vma)
{
	misc_sim_message_put(vma->vm_private_data);
}

/* A message never changes, so each page can be copied on first access. */
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

/* VM_DONTEXPAND prevents merging: two mappings may hold different messages. */
static int misc_sim_mmap_prepare(struct vm_area_desc *desc)
{
	struct misc_sim_file *f = desc->file->private_data;
	pgoff_t pages = DIV_ROUND_UP(f->dev->capacity, PAGE_SIZE);

	if (misc_sim_device_gone(f->dev))
		return -ENODEV;
	if (vma_desc_test_any(desc, VMA_WRITE_BIT, VMA_EXEC_BIT))
		return -EPERM;
	if (desc->pgoff >= pages || vma_desc_pages(desc) > pages - desc->pgoff)
		return -EINVAL;

	vma_desc_clear_flags(desc, VMA_MAYWRITE_BIT, VMA_MAYEXEC_BIT);
	vma_desc_set_flags(desc, VMA_DONTEXPAND_BIT);
	desc->vm_ops = &misc_sim_vm_ops;
	return 0;
}

void misc_sim_file_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct misc_sim_file *f = file->private_data;

	seq_printf(m, "generation:\t%lld\n", atomic64_read(&f->dev->generation));
	seq_printf(m, "seen:\t%lld\n", atomic64_read(&f->seen));
}

const struct file_operations misc_sim_message_fops = {
	.owner		= THIS_MODULE,
	.open		= misc_sim_file_open,
	.release	= misc_sim_file_release,
	.llseek		= no_seek_end_llseek,
	.read_iter	= misc_sim_read_iter,
	.write_iter	= misc_sim_file_write_iter,
	.poll		= misc_sim_poll,
	.unlocked_ioctl	= misc_sim_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.mmap_prepare	= misc_sim_mmap_prepare,
	.show_fdinfo	= misc_sim_file_show_fdinfo,
	.splice_read	= copy_splice_read,
	.splice_write	= iter_file_splice_write,
};
