/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Uevents of instances
 */

#ifndef _MISC_SIM_UEVENTS_H
#define _MISC_SIM_UEVENTS_H

#include <linux/netlink.h>
#include <sys/socket.h>
#include "instance.h"

static inline int open_uevents(int flags)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int size = 1 << 20;
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | flags, NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ACTION@DEVPATH of the next uevent whose path begins as that of the instance, or NULL */
static inline const char *next_uevent(int fd, const struct instance *inst, char *buf,
				      size_t size)
{
	const char *path = inst->sysfs + strlen("/sys"), *at;
	ssize_t length;

	while ((length = recv(fd, buf, size - 1, 0)) >= 0 || errno == ENOBUFS) {
		if (length < 0)
			continue;
		buf[length] = '\0';
		at = strchr(buf, '@');
		if (at && !strncmp(at + 1, path, strlen(path)))
			return buf;
	}
	return NULL;
}

#endif /* _MISC_SIM_UEVENTS_H */
