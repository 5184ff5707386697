/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * ioctls and records of the simulated misc device, see
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

/* Types of the records that the peer reads. */
#define MISC_SIM_RECORD_OPEN	1	/* a program opened the device */
#define MISC_SIM_RECORD_CLOSE	2	/* it closed the device */
#define MISC_SIM_RECORD_DATA	3	/* it wrote the payload */
#define MISC_SIM_RECORD_IOCTL	4	/* it waits for the reply to an ioctl */
/* Types of the records that it writes, in addition to DATA, which programs read. */
#define MISC_SIM_RECORD_REPLY	5	/* the ioctl returns this */
#define MISC_SIM_RECORD_EVENTS	6	/* set poll events of the device */
#define MISC_SIM_RECORD_FLUSH	7	/* drop what programs have not read */
#define MISC_SIM_RECORD_LISTEN	8	/* answer ioctls of this type */

/* Flags of records. */
#define MISC_SIM_RECORD_F_COMPAT	1	/* IOCTL: the caller is a 32-bit program */

/**
 * struct misc_sim_record - head of what the peer of a channel reads and writes
 * @type: type of the record, MISC_SIM_RECORD_*
 * @length: number of bytes of payload that follow
 * @id: IOCTL: number of the request, never 0 and never used twice; REPLY: the
 *	same number
 * @file: OPEN, CLOSE, DATA, IOCTL: number of the open file, never 0 and never
 *	used twice; ignored in DATA from the peer
 * @arg: OPEN: flags of open(2); IOCTL: the argument; EVENTS: POLLERR and POLLPRI
 *	as <poll.h> defines them; LISTEN: type of ioctls, at most 255
 * @value: IOCTL: maximum length of the payload of the reply; REPLY: result of
 *	the ioctl, or a negative error number from -1 to -511
 * @flags: IOCTL: MISC_SIM_RECORD_F_COMPAT or 0; what the peer writes must not have
 *	other bits
 * @cmd: IOCTL: the command
 * @pid: IOCTL: process that waits, in the PID namespace of the reader, 0 if the
 *	process has no number there
 *
 * Fields that a type does not use are 0 in what the peer reads, and ignored in
 * what it writes.
 */
struct misc_sim_record {
	__u32 type;
	__u32 length;
	__u64 id;
	__u64 file;
	__u64 arg;
	__s32 value;
	__u32 flags;
	__u32 cmd;
	__u32 pid;
};

#endif /* _UAPI_LINUX_MISC_SIM_H */
