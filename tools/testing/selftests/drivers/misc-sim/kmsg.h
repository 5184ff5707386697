/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel log
 */

#ifndef _MISC_SIM_KMSG_H
#define _MISC_SIM_KMSG_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "kselftest.h"

/* Count the messages of the kernel (facility 0) since @kmsg that contain @a or @b. */
static inline int count_logged(int kmsg, const char *a, const char *b)
{
	char record[8192];
	ssize_t length;
	int count = 0;

	while ((length = read(kmsg, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (length < 0)
			continue;
		record[length] = '\0';
		if (strtoul(record, NULL, 10) >= 8 || strstr(record, "taints kernel"))
			continue;
		if (strstr(record, a) || strstr(record, b)) {
			ksft_print_msg("logged: %s", record);
			count++;
		}
	}
	return count;
}

#endif /* _MISC_SIM_KMSG_H */
