/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A character device in user space: it returns what was written to it last
 */

#ifndef _MISC_SIM_CUSE_H
#define _MISC_SIM_CUSE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#define CUSE_NAME	"misc-sim-cuse"
#define CUSE_MAX	1048576		/* bytes in a read or write */

static char cuse_message[CUSE_MAX];
static size_t cuse_length;

/* Fills in @answer and returns its length, or returns a negative errno. */
static int cuse_handle(const struct fuse_in_header *request, struct iovec *answer)
{
	static union {
		struct fuse_open_out open;
		struct fuse_write_out write;
		struct fuse_poll_out poll;
	} out;
	static struct {
		struct cuse_init_out init;
		char info[sizeof("DEVNAME=" CUSE_NAME)];
	} init = {
		.init.major = FUSE_KERNEL_VERSION,
		.init.minor = FUSE_KERNEL_MINOR_VERSION,
		.init.max_read = CUSE_MAX,
		.init.max_write = CUSE_MAX,
		.info = "DEVNAME=" CUSE_NAME,
	};
	const struct fuse_read_in *read_in = (void *)(request + 1);
	const struct fuse_write_in *write_in = (void *)(request + 1);
	size_t left;

	answer->iov_base = &out;
	memset(&out, 0, sizeof(out));

	switch (request->opcode) {
	case CUSE_INIT:
		answer->iov_base = &init;
		return sizeof(init.init) + sizeof(init.info);
	case FUSE_OPEN:
		return sizeof(out.open);
	case FUSE_READ:
		if (read_in->offset >= cuse_length)
			return 0;
		left = cuse_length - read_in->offset;
		answer->iov_base = cuse_message + read_in->offset;
		return read_in->size < left ? read_in->size : left;
	case FUSE_WRITE:
		if (write_in->offset + write_in->size > CUSE_MAX)
			return -EMSGSIZE;
		memcpy(cuse_message + write_in->offset, write_in + 1, write_in->size);
		cuse_length = write_in->offset + write_in->size;
		out.write.size = write_in->size;
		return sizeof(out.write);
	case FUSE_POLL:
		out.poll.revents = POLLIN | POLLOUT;
		return sizeof(out.poll);
	case FUSE_FLUSH:
	case FUSE_RELEASE:
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static void cuse_serve(int fd)
{
	static struct {
		struct fuse_in_header in;
		struct fuse_write_in write_in;
		char data[CUSE_MAX];
	} request;
	struct fuse_out_header out;
	struct iovec answer[2] = { { .iov_base = &out, .iov_len = sizeof(out) } };
	int ret;

	while (read(fd, &request, sizeof(request)) > 0) {
		ret = cuse_handle(&request.in, &answer[1]);
		out.error = ret < 0 ? ret : 0;
		out.unique = request.in.unique;
		answer[1].iov_len = ret < 0 ? 0 : ret;
		out.len = sizeof(out) + answer[1].iov_len;
		if (writev(fd, answer, 2) < 0)
			return;
	}
}

/* The device is there for as long as the caller lives. Without CUSE, there is none. */
static void cuse_start(void)
{
	int fd = open("/dev/cuse", O_RDWR), tries;

	if (fd < 0)
		return;
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		cuse_serve(fd);
		_exit(1);
	}
	close(fd);
	for (tries = 0; tries < 1000 && access("/dev/" CUSE_NAME, F_OK); tries++)
		usleep(1000);
}

#endif /* _MISC_SIM_CUSE_H */
