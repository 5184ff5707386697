/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * ioctl interface of the simulated misc device, see
 * Documentation/misc-devices/misc-sim.rst
 */

#ifndef _UAPI_LINUX_MISC_SIM_H
#define _UAPI_LINUX_MISC_SIM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct misc_sim_info - result of %MISC_SIM_IOC_INFO
 * @generation: generation of the current message
 * @seen: generation that this open file last read to its end, 0 for none
 * @length: length of the current message in bytes
 * @capacity: maximum length of a message in bytes
 * @flags: 0 for now; ignore unknown bits
 * @reserved: 0
 */
struct misc_sim_info {
	__u64 generation;
	__u64 seen;
	__u32 length;
	__u32 capacity;
	__u32 flags;
	__u32 reserved;
};

/**
 * struct misc_sim_replace - argument of %MISC_SIM_IOC_REPLACE
 * @generation: generation that the current message must have
 * @data: address of the new message, ignored if @length is 0
 * @length: length of the new message in bytes, may be 0
 * @reserved: must be 0
 */
struct misc_sim_replace {
	__u64 generation;
	__u64 data;
	__u32 length;
	__u32 reserved;
};

#define MISC_SIM_IOC_MAGIC	0xDA

#define MISC_SIM_IOC_INFO	_IOR(MISC_SIM_IOC_MAGIC, 0x00, struct misc_sim_info)
#define MISC_SIM_IOC_REPLACE	_IOW(MISC_SIM_IOC_MAGIC, 0x01, struct misc_sim_replace)

#endif /* _UAPI_LINUX_MISC_SIM_H */
