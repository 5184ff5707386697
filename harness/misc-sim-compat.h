/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What misc-sim uses and Linux 6.12 lacks
 *
 * For external modules: KCFLAGS="-include misc-sim-compat.h -fms-extensions". It is
 * empty on later kernels.
 */

#ifndef _MISC_SIM_COMPAT_H
#define _MISC_SIM_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)

#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/string.h>

/* Names are defined as macros, because a stable kernel may get the real ones. */

static inline void misc_sim_hrtimer_setup(struct hrtimer *timer,
					  enum hrtimer_restart (*function)(struct hrtimer *),
					  clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}

#define hrtimer_setup	misc_sim_hrtimer_setup

#define us_to_ktime(us)	ns_to_ktime((u64)(us) * NSEC_PER_USEC)

static inline bool misc_sim_strends(const char *str, const char *suffix)
{
	size_t length = strlen(str), end = strlen(suffix);

	return length >= end && !strcmp(str + length - end, suffix);
}

#define strends		misc_sim_strends

#ifndef ACQUIRE
#define ACQUIRE(_name, _var)		CLASS(_name, _var)
#define ACQUIRE_ERR(_name, _var)	(*(_var) ? 0 : -EINTR)
#endif

/* The operations of configfs were not const, although it does not write to them. */
#pragma GCC diagnostic ignored "-Wdiscarded-qualifiers"

/* mmap_prepare() and vm_operations_struct.mapped() on top of mmap() */

struct misc_sim_vm_operations {
	struct vm_operations_struct;
	int (*mapped)(unsigned long start, unsigned long end, pgoff_t pgoff,
		      const struct file *file, void **vm_private_data);
};

struct misc_sim_area_desc {
	struct vm_area_struct *vma;
	struct file *file;
	pgoff_t pgoff;
	const struct misc_sim_vm_operations *vm_ops;
};

static inline int misc_sim_compat_mmap(struct file *file, struct vm_area_struct *vma,
				       int (*prepare)(struct misc_sim_area_desc *desc))
{
	struct misc_sim_area_desc desc = {
		.vma	= vma,
		.file	= file,
		.pgoff	= vma->vm_pgoff,
	};
	int ret = prepare(&desc);

	if (ret)
		return ret;

	vma->vm_ops = (const struct vm_operations_struct *)desc.vm_ops;
	return desc.vm_ops->mapped(vma->vm_start, vma->vm_end, vma->vm_pgoff, file,
				   &vma->vm_private_data);
}

/* Where the driver defines this function, define one for mmap(), which calls it. */
#define misc_sim_mmap_prepare(_parameter)				\
misc_sim_do_mmap_prepare(_parameter);					\
static int misc_sim_mmap_prepare(struct file *file,			\
				 struct vm_area_struct *vma)		\
{									\
	return misc_sim_compat_mmap(file, vma, misc_sim_do_mmap_prepare);	\
}									\
static int misc_sim_do_mmap_prepare(_parameter)

#define mmap_prepare		mmap
#define vm_area_desc		misc_sim_area_desc
#define vm_operations_struct	misc_sim_vm_operations

#define VMA_WRITE_BIT		VM_WRITE
#define VMA_EXEC_BIT		VM_EXEC
#define VMA_MAYWRITE_BIT	VM_MAYWRITE
#define VMA_MAYEXEC_BIT		VM_MAYEXEC
#define VMA_DONTEXPAND_BIT	VM_DONTEXPAND

#define vma_desc_pages(_desc)			vma_pages((_desc)->vma)
#define vma_desc_test_any(_desc, _a, _b)	((_desc)->vma->vm_flags & ((_a) | (_b)))
#define vma_desc_clear_flags(_desc, _a, _b)	vm_flags_clear((_desc)->vma, (_a) | (_b))
#define vma_desc_set_flags(_desc, _a)		vm_flags_set((_desc)->vma, _a)

#endif /* LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0) */

#endif /* _MISC_SIM_COMPAT_H */
