// SPDX-License-Identifier: GPL-2.0-only
/*
 * Latency and faults of channels of misc-sim, which affect the device and not the peer
 */

#include <sys/uio.h>
#include "channel.h"
#include "fault.h"
#include "unplug.h"

#define LATENCY_US	50000

/* The maximum. A call that sleeps this long misses every deadline. */
#define FOREVER_US	"60000000"

FIXTURE(latency) {
	struct instance it;
};

DRIVER_VARIANTS(latency);

FIXTURE_SETUP(latency)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(latency)
{
	remove_instances(variant->driver);
}

TEST_F(latency, delays_device)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	long long start;
	char value[16];

	snprintf(value, sizeof(value), "%u", LATENCY_US);
	configure(_metadata, &self->it, "latency_us", value);
	start = now_us();
	publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	EXPECT_LE(LATENCY_US, now_us() - start);
	expect_message(_metadata, c.ends[PEER], text, TEXT_LEN);
	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	start = now_us();
	expect_message(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	EXPECT_LE(LATENCY_US, now_us() - start);
}

TEST_F(latency, spares_peer)
{
	struct channel c = open_channel(_metadata, &self->it, 0);

	publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	expect_message(_metadata, c.ends[PEER], text, TEXT_LEN);
	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
}

/* poll() could not report when the delay is over. */
TEST_F(latency, spares_nonblocking_calls)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	int nonblock = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK);
	char buf[64];
	struct iovec in = { buf, sizeof(buf) }, out = { (void *)text, TEXT_LEN };

	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	EXPECT_ERRNO(EAGAIN, preadv2(c.ends[DEVICE], &in, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(TEXT_LEN, pwritev2(c.ends[DEVICE], &out, 1, -1, RWF_NOWAIT));
	expect_message(_metadata, c.ends[PEER], text, TEXT_LEN);
	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	EXPECT_EQ(TEXT_LEN, preadv2(c.ends[DEVICE], &in, 1, -1, RWF_NOWAIT));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	expect_empty(_metadata, nonblock);
	publish(_metadata, nonblock, "new", 3);
	expect_message(_metadata, c.ends[PEER], "new", 3);
	publish(_metadata, c.ends[PEER], "new", 3);
	expect_message(_metadata, nonblock, "new", 3);
}

TEST_F(latency, spares_calls_that_transfer_nothing)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	char byte;

	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	EXPECT_EQ(0, read(c.ends[DEVICE], &byte, 0));
	EXPECT_EQ(0, write(c.ends[DEVICE], &byte, 0));
	EXPECT_ERRNO(EMSGSIZE, write(c.ends[DEVICE], bad_page(_metadata), 4097));
	EXPECT_ERRNO(ENOTTY, ioctl(c.ends[DEVICE], MISC_SIM_IOC_INFO, &byte));
	EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
}

TEST_F(latency, is_interrupted)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_read, blocked_write };
	struct channel c = open_channel(_metadata, &self->it, 0);
	unsigned int i;

	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		struct blocked blocked = { .call = calls[i], .fd = c.ends[DEVICE] };

		start_blocked(_metadata, &blocked);
		interrupt(_metadata, &blocked, 0);
		expect_failed(_metadata, &blocked, EINTR);
	}
	EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[PEER]));
	configure(_metadata, &self->it, "latency_us", "0");
	expect_message(_metadata, c.ends[DEVICE], text, TEXT_LEN);
}

TEST_F(latency, unplug_ends_it)
{
	ssize_t (*calls[])(struct blocked *) = { blocked_read, blocked_write };
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct blocked blocked[ARRAY_SIZE(calls)] = {};
	unsigned int i;

	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	configure(_metadata, &self->it, "latency_us", FOREVER_US);
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		blocked[i].call = calls[i];
		blocked[i].fd = c.ends[DEVICE];
		start_blocked(_metadata, &blocked[i]);
	}
	unplug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		expect_failed(_metadata, &blocked[i], ENODEV);
}

FIXTURE(fault) {
	struct instance it;
};

DRIVER_VARIANTS(fault);

FIXTURE_SETUP(fault)
{
	set_up_faults(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(fault)
{
	remove_instances(variant->driver);
}

TEST_F(fault, fail_open)
{
	int peer;

	inject(_metadata, &self->it, "fail_open", 1, 1);
	plug_channel(_metadata, &self->it);
	peer = open_peer(_metadata, &self->it, O_RDWR);
	EXPECT_ERRNO(EIO, open(self->it.node, O_RDWR));
	publish(_metadata, open_node(_metadata, self->it.node, O_RDWR), text, TEXT_LEN);
	expect_message(_metadata, peer, text, TEXT_LEN);
}

/* Only once there is something to read */
TEST_F(fault, fail_read)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);

	inject(_metadata, &self->it, "fail_read", 1, 1);
	expect_empty(_metadata, c.ends[DEVICE]);
	publish(_metadata, c.ends[DEVICE], "out", 3);
	expect_message(_metadata, c.ends[PEER], "out", 3);
	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	EXPECT_ERRNO(EIO, read(c.ends[DEVICE], bad_page(_metadata), TEXT_LEN));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
	expect_message(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	expect_empty(_metadata, c.ends[DEVICE]);
}

/* Not if the write fails or waits anyway */
TEST_F(fault, fail_write)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);

	fill_queue(_metadata, c.ends[DEVICE]);
	inject(_metadata, &self->it, "fail_write", 1, 1);
	EXPECT_ERRNO(EAGAIN, write(c.ends[DEVICE], text, TEXT_LEN));
	expect_queue(_metadata, c.ends[PEER], 0);
	EXPECT_ERRNO(EMSGSIZE, write(c.ends[DEVICE], bad_page(_metadata), 4097));
	EXPECT_EQ(0, write(c.ends[DEVICE], text, 0));
	publish(_metadata, c.ends[PEER], "in", 2);
	expect_message(_metadata, c.ends[DEVICE], "in", 2);
	EXPECT_ERRNO(EIO, write(c.ends[DEVICE], text, TEXT_LEN));
	expect_empty(_metadata, c.ends[PEER]);
	publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	expect_message(_metadata, c.ends[PEER], text, TEXT_LEN);
}

TEST_F(fault, faults_spare_peer)
{
	static const char * const faults[] = { "fail_open", "fail_read", "fail_write", "short_io" };
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	unsigned int i;

	publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(faults); i++)
		inject(_metadata, &self->it, faults[i], 1, -1);
	expect_message(_metadata, c.ends[PEER], text, TEXT_LEN);
	close(c.ends[PEER]);
	c.ends[PEER] = open_peer(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(faults); i++)
		inject(_metadata, &self->it, faults[i], 1, 0);
	expect_message(_metadata, c.ends[DEVICE], text, TEXT_LEN);
}

TEST_F(fault, short_read)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);

	inject(_metadata, &self->it, "short_io", 1, 1);
	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	expect_message(_metadata, c.ends[DEVICE], text, TEXT_LEN / 2);
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
	expect_message(_metadata, c.ends[DEVICE], text + TEXT_LEN / 2, TEXT_LEN / 2);
	expect_empty(_metadata, c.ends[DEVICE]);
}

/* The shortened message is queued. */
TEST_F(fault, short_write)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);

	inject(_metadata, &self->it, "short_io", 1, 1);
	EXPECT_EQ(4, write(c.ends[DEVICE], text, 7));
	expect_message(_metadata, c.ends[PEER], text, 4);
	expect_empty(_metadata, c.ends[PEER]);
	publish(_metadata, c.ends[DEVICE], text, 7);
	expect_message(_metadata, c.ends[PEER], text, 7);
}

TEST_HARNESS_MAIN
