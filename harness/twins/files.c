// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on open files: open, transfer, seek, splice, ioctl
 */

#include <limits.h>
#include <linux/falloc.h>
#include <linux/misc-sim.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "twins.h"

/* The number of a descriptor is that of its slot: epoll tells descriptors apart by it. */
static void put_file(struct side *s, int slot, int fd)
{
	if (fd < 0)
		return;
	s->fd[slot] = dup3(fd, 100 * (1 + s->rust) + slot, O_CLOEXEC);
	close(fd);
}

void op_open(struct side *s)
{
	int i = number < INSTANCES + FILES ? number % INSTANCES : rnd(s, INSTANCES);
	int slot = some_file(s), flags = one_in(s, 4) ? rnd(s, 4) : O_RDWR, fd;
	char name[16];

	if (one_in(s, 3))
		flags |= PICK(s, O_NONBLOCK, O_NONBLOCK, O_NONBLOCK, O_APPEND, O_APPEND, O_DIRECT, O_SYNC,
			      O_DSYNC, O_TRUNC, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_DIRECTORY, O_PATH,
			      O_NOATIME, O_ASYNC);
	snprintf(name, sizeof(name), "%s%s", instance[i], one_in(s, 3) ? ".peer" : "");
	say(s, "%s, %#o)", name, flags);
	fd = open(device_path(s, "/dev", name), flags | O_CLOEXEC);
	result(s, fd < 0 ? fd : 0);
	put_file(s, slot, fd);
	observe(s, slot);
}

void op_close(struct side *s)
{
	int slot = some_file(s);

	say(s, ")");
	result(s, close(s->fd[slot]));
	s->fd[slot] = -1;
}

void op_dup(struct side *s)
{
	int from = some_file(s), to = rnd(s, FILES), fd;

	say(s, "to %d)", to);
	fd = dup(s->fd[from]);
	result(s, fd < 0 ? fd : 0);
	put_file(s, to, fd);
}

/* Transfers */

static void transfer(struct side *s, bool writes)
{
	static const char *const how[] = { "plain", "at", "vector", "vector at", "flags" };
	int slot = some_file(s), fd = s->fd[slot], what = rnd(s, ARRAY_SIZE(how)), n = 1, flags = 0;
	struct iovec vec[8];
	off_t offset = 0;
	bool limited;
	long ret;

	say(s, "%s, ", how[what]);
	if (what < 2) {
		vec->iov_len = some_length(s);
		say(s, "%zu@", vec->iov_len);
		vec->iov_base = some_buffer(s, vec->iov_len, true);
	} else {
		n = some_vector(s, vec);
	}
	if (what == 1 || what >= 3) {
		offset = what == 4 && one_in(s, 2) ? -1 : some_offset(s);
		say(s, ", offset %ld", offset);
	}
	if (what == 4) {
		flags = some_flags(s);
		say(s, ", flags %#x", flags);
	}
	prepare(s, vec, n, writes);
	if (what >= 2 && one_in(s, 32))
		n = PICK(s, -1, 1025, INT_MAX);
	say(s, ")");

	limited = limit_wait(fd, writes ? POLLOUT : POLLIN);
	switch (what) {
	case 0:
		ret = syscall(writes ? SYS_write : SYS_read, fd, vec->iov_base, vec->iov_len);
		break;
	case 1:
		ret = syscall(writes ? SYS_pwrite64 : SYS_pread64, fd, vec->iov_base, vec->iov_len,
			      offset);
		break;
	case 2:
		ret = syscall(writes ? SYS_writev : SYS_readv, fd, vec, n);
		break;
	case 3:
		ret = syscall(writes ? SYS_pwritev : SYS_preadv, fd, vec, n, offset, 0);
		break;
	default:
		ret = syscall(writes ? SYS_pwritev2 : SYS_preadv2, fd, vec, n, offset, 0, flags);
	}
	result(s, ret);
	unlimit_wait(limited);
	if (!writes && n > 0 && n <= (int)ARRAY_SIZE(vec))
		say_memory(s, vec, n);
	observe(s, slot);
}

void op_read(struct side *s)
{
	transfer(s, false);
}

void op_write(struct side *s)
{
	transfer(s, true);
}

void op_lseek(struct side *s)
{
	int slot = some_file(s), whence = one_in(s, 2) ? SEEK_SET : (int)rnd(s, 7) - 1;
	off_t offset = some_offset(s);

	say(s, "%ld, %d)", offset, whence);
	result(s, lseek(s->fd[slot], offset, whence));
	observe(s, slot);
}

/* Pipes and files in between */

static void say_pipe(struct side *s)
{
	static unsigned char data[16 * PAGE];
	ssize_t n = read(s->pipe[0], data, sizeof(data));

	say(s, "\n  pipe:");
	if (n < 0)
		result(s, n);
	else
		say_bytes(s, data, n);
}

void op_splice(struct side *s)
{
	int how = rnd(s, 10), slot = some_file(s), fd = s->fd[slot], other = rnd(s, FILES);
	size_t length = some_length(s) % GOOD;
	off_t offset = some_offset(s), *at = one_in(s, 3) ? &offset : NULL;
	unsigned int flags = SPLICE_F_NONBLOCK | (one_in(s, 8) ? rnd(s, 32) : 0);
	struct iovec vec = { s->arena, length };
	bool limited = false;

	prepare(s, &vec, 1, true);
	say(s, "%zu, ", length);
	if (at)
		say(s, "offset %ld, ", offset);
	lseek(s->memfd, 0, SEEK_SET);
	if (how < 3 || how == 5 || how == 6)
		limited = limit_wait(fd, POLLIN);
	switch (how) {
	case 0:
	case 1:
	case 2:
		say(s, "into the pipe, %#x)", flags);
		result(s, splice(fd, at, s->pipe[1], NULL, length, flags));
		break;
	case 3:
		say(s, "from the pipe, %#x)", flags);
		result(s, splice(s->pipe[0], NULL, fd, at, length, flags));
		break;
	case 4:
		say(s, "letters into the pipe)");
		result(s, write(s->pipe[1], s->arena, length));
		/* vmsplice() copies nothing, so this memory must not change. */
		vec = (struct iovec){ s->arena + GOOD + PAGE, length % 8 };
		result(s, vmsplice(s->pipe[1], &vec, 1, SPLICE_F_NONBLOCK));
		break;
	case 5:
		say(s, "sendfile to memory)");
		result(s, sendfile(s->memfd, fd, at, length));
		if (pread(s->memfd, s->arena, PAGE, 0) == PAGE)
			say_bytes(s, s->arena, PAGE);
		break;
	case 6:
		say(s, "sendfile to file %d)", other);
		result(s, sendfile(s->fd[other], fd, at, length));
		observe(s, other);
		break;
	case 7:
		say(s, "sendfile from memory)");
		result(s, sendfile(fd, s->memfd, at, length));
		break;
	case 8:
		say(s, "copy_file_range, memory)");
		result(s, copy_file_range(fd, at, s->memfd, NULL, length, 0));
		break;
	case 9:
		say(s, "copy_file_range, file %d)", other);
		result(s, copy_file_range(s->memfd, NULL, fd, at, length, 0));
		break;
	}
	unlimit_wait(limited);
	if (at)
		say(s, ", offset %ld", offset);
	if (how != 4 && one_in(s, 2))
		say_pipe(s);
	observe(s, slot);
}

/* ioctl */

/* A peer may have asked for it, and is not there to answer. */
static void limited_ioctl(struct side *s, int fd, unsigned int cmd, void *arg)
{
	bool limited = limit_wait(fd, 0);

	result(s, ioctl(fd, cmd, arg));
	unlimit_wait(limited);
}

void op_ioctl(struct side *s)
{
	static const unsigned int other[] = {
		_IO(MISC_SIM_IOC_MAGIC, 0), _IO(MISC_SIM_IOC_MAGIC, 1), _IO(MISC_SIM_IOC_MAGIC, 2),
		_IOR(MISC_SIM_IOC_MAGIC, 0, __u64), _IOW(MISC_SIM_IOC_MAGIC, 1, __u64),
		_IOW(MISC_SIM_IOC_MAGIC, 0, struct misc_sim_info),
		_IOR(MISC_SIM_IOC_MAGIC, 1, struct misc_sim_replace), 0, 0xffffffff, 0x40045704,
		TCGETS, FIONREAD, FIOASYNC, FIGETBSZ, FIOQSIZE, FIOCLEX, FIBMAP,
	};
	int slot = some_file(s), on = one_in(s, 2), length;
	struct misc_sim_replace *replace;
	struct misc_sim_info info = {};
	unsigned char *arg, *data;
	struct iovec vec;
	bool limited;

	switch (rnd(s, 8)) {
	case 0:
	case 1:
	case 2:
		say(s, "INFO, ");
		arg = some_buffer(s, sizeof(info), true);
		vec = (struct iovec){ arg, sizeof(info) };
		prepare(s, &vec, 1, false);
		say(s, ")");
		limited_ioctl(s, s->fd[slot], MISC_SIM_IOC_INFO, arg);
		say_memory(s, &vec, 1);
		break;
	case 3:
	case 4:
	case 5:
		limited = limit_wait(s->fd[slot], 0);
		ioctl(s->fd[slot], MISC_SIM_IOC_INFO, &info); /* if it fails, the generation is wrong */
		unlimit_wait(limited);
		say(s, "REPLACE, ");
		arg = some_buffer(s, sizeof(*replace), one_in(s, 4));
		length = one_in(s, 8) ? -1 : (int)some_length(s);
		say(s, ", data ");
		data = some_buffer(s, length, true);
		if (data >= s->arena && data < s->arena + GOOD / 2)
			data += 4 * PAGE;
		vec = (struct iovec){ data, length };
		prepare(s, &vec, 1, true);
		if (accessible(s, arg, sizeof(*replace)) >= sizeof(*replace) && arg < s->arena + GOOD) {
			replace = (void *)arg;
			replace->generation = info.generation;
			if (one_in(s, 3))
				replace->generation += PICK(s, 1, -1, -2);
			replace->data = (uintptr_t)data;
			replace->length = length;
			replace->reserved = one_in(s, 16);
			say(s, ", length %u, generation %+d, reserved %u", replace->length,
			    (int)(replace->generation - info.generation), replace->reserved);
		}
		say(s, ")");
		limited_ioctl(s, s->fd[slot], MISC_SIM_IOC_REPLACE, arg);
		break;
	case 6:
		say(s, "FIONBIO, %d)", on);
		limited_ioctl(s, s->fd[slot], FIONBIO, &on);
		break;
	default:
		length = rnd(s, ARRAY_SIZE(other));
		say(s, "%#x)", other[length]);
		memset(s->arena, POISON, 128);
		limited_ioctl(s, s->fd[slot], other[length], s->arena);
		say_bytes(s, s->arena, 128);
	}
	observe(s, slot);
}

/* What the driver does not implement, or never sees. */
void op_other(struct side *s)
{
	int slot = some_file(s), fd = s->fd[slot], arg = PICK(s, 0, 1, 2, 3, 4, 5, 8, -1);
	off_t offset = some_offset(s);
	size_t length = some_length(s);
	struct flock lock = { .l_type = arg & 1, .l_len = length & INT_MAX };
	struct statx stx;
	struct stat st;

	switch (rnd(s, 18)) {
	case 0:
		say(s, "fsync)");
		result(s, fsync(fd));
		break;
	case 1:
		say(s, "fdatasync)");
		result(s, fdatasync(fd));
		break;
	case 2:
		say(s, "ftruncate, %ld)", offset);
		result(s, ftruncate(fd, offset));
		break;
	case 3:
		say(s, "fallocate, %d, %ld, %zu)", arg, offset, length);
		result(s, fallocate(fd, arg, offset, length));
		break;
	case 4:
		say(s, "fadvise, %d)", arg);
		say_result(s, -posix_fadvise(fd, offset, length, arg));
		break;
	case 5:
		say(s, "readahead)");
		result(s, readahead(fd, offset, length));
		break;
	case 6:
		say(s, "sync_file_range)");
		result(s, sync_file_range(fd, 0, 1, arg));
		break;
	case 7:
		say(s, "flock, %d)", arg);
		result(s, flock(fd, (arg & 15) | LOCK_NB));
		break;
	case 8:
		say(s, "F_OFD_SETLK, %d)", lock.l_type);
		result(s, fcntl(fd, F_OFD_SETLK, &lock));
		break;
	case 9:
		say(s, "F_SETLEASE, %d)", arg);
		result(s, fcntl(fd, F_SETLEASE, arg));
		break;
	case 10:
	case 11:
	case 12:
		arg = one_in(s, 2) ? 0 : PICK(s, O_NONBLOCK, O_NONBLOCK, O_APPEND, O_ASYNC, O_DIRECT,
					      O_NOATIME);
		say(s, "F_SETFL, %#o)", arg);
		result(s, fcntl(fd, F_SETFL, arg));
		break;
	case 13:
		say(s, "F_GETPIPE_SZ)");
		result(s, fcntl(fd, F_GETPIPE_SZ));
		break;
	case 14:
		say(s, "F_ADD_SEALS)");
		result(s, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
		break;
	case 15:
		say(s, "fchdir)");
		result(s, fchdir(fd));
		break;
	case 16:
		say(s, "fgetxattr)");
		result(s, fgetxattr(fd, "user.x", s->arena, 16));
		break;
	default:
		say(s, "stat)");
		if (result(s, fstat(fd, &st)) == 0)
			say(s, " %o %ld %ld %ld %ld", st.st_mode, (long)st.st_nlink, (long)st.st_size,
			    (long)st.st_blksize, (long)st.st_blocks);
		if (!statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_DIOALIGN, &stx))
			say(s, " %#x %#llx", stx.stx_mask, stx.stx_attributes);
	}
	observe(s, slot);
}
