// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoints of a message device
 */

#include "info.h"
#include "tracing.h"
#include "variants.h"

FIXTURE(trace) {
	int fd;			/* has read nothing yet */
};

DRIVER_VARIANTS(trace);

FIXTURE_SETUP(trace)
{
	if (load_driver(_metadata, variant->driver))
		self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
}

FIXTURE_TEARDOWN(trace)
{
}

TEST_F(trace, publish)
{
	char fields[128];

	if (!start_tracing(_metadata, variant->driver, "publish"))
		return;
	publish(_metadata, self->fd, text, TEXT_LEN);
	snprintf(fields, sizeof(fields), " generation=%llu length=%zu",
		 (unsigned long long)get_info(_metadata, self->fd).generation, TEXT_LEN);
	EXPECT_EQ(1, stop_tracing(_metadata, variant->driver, variant->driver->node,
				  "publish", fields));
}

TEST_F(trace, read)
{
	char fields[128];
	char buf[4];

	publish(_metadata, self->fd, text, TEXT_LEN);
	if (!start_tracing(_metadata, variant->driver, "read"))
		return;
	EXPECT_EQ(sizeof(buf), pread(self->fd, buf, sizeof(buf), TEXT_LEN - 9));
	snprintf(fields, sizeof(fields), " generation=%llu pos=%zu ret=%zu",
		 (unsigned long long)get_info(_metadata, self->fd).generation,
		 TEXT_LEN - 9, sizeof(buf));
	EXPECT_EQ(1, stop_tracing(_metadata, variant->driver, variant->driver->node,
				  "read", fields));
}

TEST_HARNESS_MAIN
