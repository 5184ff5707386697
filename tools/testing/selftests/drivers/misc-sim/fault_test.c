// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of system calls that the simulated misc device lets fail
 */

#include <sys/stat.h>
#include <sys/uio.h>
#include "fault.h"
#include "info.h"
#include "kmsg.h"
#include "polling.h"
#include "tracing.h"
#include "uring.h"

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
	int fd;

	inject(_metadata, &self->it, "fail_open", 2, 1);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	EXPECT_ERRNO(EIO, open(self->it.node, O_RDWR));
	expect_rest(_metadata, fd, variant->driver->greeting, strlen(variant->driver->greeting));
	expect_current(_metadata, self->it.node, variant->driver->greeting,
		       strlen(variant->driver->greeting));
}

/* The kernel calls the driver again for these errors. */
TEST_F(fault, fail_open_twice)
{
	static const int errors[] = { ESTALE, ECHILD };
	unsigned int i;
	char value[16];

	plug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		snprintf(value, sizeof(value), "%d", errors[i]);
		configure(_metadata, &self->it, "errno", value);
		inject(_metadata, &self->it, "fail_open", 1, 1);
		close(open_node(_metadata, self->it.node, O_RDWR));
		expect_file(_metadata, self->it.dir, "fail_open/times", "0\n");
		inject(_metadata, &self->it, "fail_open", 1, 2);
		EXPECT_ERRNO(errors[i], open(self->it.node, O_RDWR));
		close(open_node(_metadata, self->it.node, O_RDWR));
	}
}

TEST_F(fault, fail_read_every_third)
{
	unsigned int i;
	char c;
	int fd;

	inject(_metadata, &self->it, "fail_read", 3, -1);
	configure(_metadata, &self->it, "message", text);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	for (i = 0; i < TEXT_LEN; i++) {
		if (i && i % 2 == 0)
			EXPECT_ERRNO(EIO, read(fd, &c, 1));
		EXPECT_EQ(1, read(fd, &c, 1));
		EXPECT_EQ(text[i], c);
	}
	EXPECT_EQ(1, get_info(_metadata, fd).seen);
}

TEST_F(fault, fail_read_through_every_call)
{
	char buf[64];
	struct iovec iov = { buf, sizeof(buf) };
	struct io_uring_sqe request;
	struct io_uring ring;
	int fd, pipe[2];

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_read", 1, 5);
	EXPECT_ERRNO(EIO, read(fd, buf, sizeof(buf)));
	EXPECT_ERRNO(EIO, pread(fd, buf, sizeof(buf), 0));
	EXPECT_ERRNO(EIO, readv(fd, &iov, 1));
	EXPECT_ERRNO(EIO, preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	EXPECT_ERRNO(EIO, splice(fd, NULL, pipe[1], NULL, 4096, 0));
	EXPECT_ERRNO(EAGAIN, read(pipe[0], buf, sizeof(buf)));
	EXPECT_EQ(0, get_info(_metadata, fd).seen);

	if (!io_uring_queue_init(4, &ring, 0)) {
		inject(_metadata, &self->it, "fail_read", 1, 1);
		request = uring_read_request(fd, buf, sizeof(buf));
		uring_submit(_metadata, &ring, &request);
		EXPECT_EQ(-EIO, uring_wait(_metadata, &ring));
		io_uring_queue_exit(&ring);
	}
	expect_greeting(_metadata, fd, variant->driver);
}

/* io_uring takes EOPNOTSUPP to mean that the call would have to sleep. */
TEST_F(fault, uring_tries_again)
{
	struct io_uring_sqe request;
	struct io_uring ring;
	char buf[TEXT_LEN];
	int fd;

	if (!uring_init(_metadata, &ring))
		return;

	configure(_metadata, &self->it, "errno", "95");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_write", 1, 1);
	request = uring_rw_request(IORING_OP_WRITE, fd, text, TEXT_LEN, -1);
	EXPECT_EQ(TEXT_LEN, uring_complete(_metadata, &ring, &request));
	expect_file(_metadata, self->it.dir, "fail_write/times", "0\n");
	inject(_metadata, &self->it, "fail_read", 1, 1);
	request = uring_read_request(fd, buf, sizeof(buf));
	EXPECT_EQ(TEXT_LEN, uring_complete(_metadata, &ring, &request));
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
	expect_file(_metadata, self->it.dir, "fail_read/times", "0\n");
}

TEST_F(fault, fail_read_is_not_counted_at_end)
{
	char buf[64];
	int fd;

	inject(_metadata, &self->it, "fail_read", 2, -1);
	fd = plug_and_open(_metadata, &self->it, O_RDONLY);
	expect_greeting(_metadata, fd, variant->driver);
	EXPECT_EQ(0, read(fd, buf, 0));
	EXPECT_EQ(0, read(fd, buf, sizeof(buf)));
	EXPECT_EQ(0, read(fd, buf, sizeof(buf)));
	EXPECT_ERRNO(EIO, pread(fd, buf, sizeof(buf), 0));
}

TEST_F(fault, fail_read_is_not_counted_without_message)
{
	unsigned int i;
	char c;
	int fd;

	inject(_metadata, &self->it, "fail_read", 2, -1);
	fd = plug_stream(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	expect_greeting(_metadata, fd, variant->driver);
	for (i = 0; i < 3; i++)
		EXPECT_ERRNO(EAGAIN, read(fd, &c, 1));
	publish(_metadata, fd, text, TEXT_LEN);
	EXPECT_ERRNO(EIO, read(fd, &c, 1));
	EXPECT_EQ(STREAM_READY, poll_now(_metadata, fd));
	expect_message(_metadata, fd, text, TEXT_LEN);
}

TEST_F(fault, fail_write)
{
	char *bad = bad_page(_metadata);
	struct misc_sim_info before;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	before = start_reading(_metadata, fd);
	inject(_metadata, &self->it, "fail_write", 1, 2);
	EXPECT_ERRNO(EIO, write(fd, "new", 3));
	EXPECT_ERRNO(EIO, write(fd, bad, 3));
	EXPECT_ERRNO(EFAULT, write(fd, bad, 3));
	expect_unchanged(_metadata, fd, self->it.node, &before);
	publish(_metadata, fd, "new", 3);
	expect_rest(_metadata, fd, "new", 3);
}

TEST_F(fault, fail_write_through_every_call)
{
	struct iovec iov = { (void *)text, TEXT_LEN };
	struct io_uring_sqe request;
	struct io_uring ring;
	int fd, pipe[2];

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_write", 1, 5);
	EXPECT_ERRNO(EIO, write(fd, text, TEXT_LEN));
	EXPECT_ERRNO(EIO, pwrite(fd, text, TEXT_LEN, 0));
	EXPECT_ERRNO(EIO, writev(fd, &iov, 1));
	EXPECT_ERRNO(EIO, pwritev2(fd, &iov, 1, -1, RWF_NOWAIT));
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	publish(_metadata, pipe[1], text, TEXT_LEN);
	EXPECT_ERRNO(EIO, splice(pipe[0], NULL, fd, NULL, 4096, 0));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);

	/* The pipe still holds the bytes. */
	EXPECT_EQ(TEXT_LEN, splice(pipe[0], NULL, fd, NULL, 4096, 0));
	EXPECT_EQ(2, get_info(_metadata, fd).generation);

	if (!io_uring_queue_init(4, &ring, 0)) {
		inject(_metadata, &self->it, "fail_write", 1, 1);
		request = uring_rw_request(IORING_OP_WRITE, fd, "uring", 5, -1);
		uring_submit(_metadata, &ring, &request);
		EXPECT_EQ(-EIO, uring_wait(_metadata, &ring));
		io_uring_queue_exit(&ring);
	}
	expect_current(_metadata, self->it.node, text, TEXT_LEN);
}

TEST_F(fault, fail_write_is_not_counted_when_it_fails_anyway)
{
	unsigned int i;
	int fd;

	inject(_metadata, &self->it, "fail_write", 2, -1);
	configure(_metadata, &self->it, "capacity", "32");
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	publish(_metadata, fd, text, TEXT_LEN);
	for (i = 0; i < 3; i++) {
		EXPECT_ERRNO(EMSGSIZE, write(fd, bad_page(_metadata), 33));
		EXPECT_EQ(0, write(fd, text, 0));
	}
	EXPECT_ERRNO(EIO, write(fd, "new", 3));
	publish(_metadata, fd, "new", 3);
}

TEST_F(fault, fail_write_spares_message_attribute)
{
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_write", 1, -1);
	configure(_metadata, &self->it, "message", text);
	EXPECT_EQ(2, get_info(_metadata, fd).generation);
	expect_rest(_metadata, fd, text, TEXT_LEN);
}

TEST_F(fault, fail_ioctl)
{
	struct misc_sim_info before, info;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	before = start_reading(_metadata, fd);
	inject(_metadata, &self->it, "fail_ioctl", 1, 4);
	memset(&info, POISON, sizeof(info));
	EXPECT_ERRNO(EIO, ioctl(fd, MISC_SIM_IOC_INFO, &info));
	EXPECT_EQ(POISON, *(unsigned char *)&info);
	EXPECT_ERRNO(EIO, ioctl(fd, MISC_SIM_IOC_INFO, bad_page(_metadata)));
	EXPECT_ERRNO(EIO, replace(fd, before.generation, "new", 3));
	EXPECT_ERRNO(EIO, replace(fd, before.generation + 1, "new", 3));
	expect_unchanged(_metadata, fd, self->it.node, &before);
	EXPECT_EQ(0, replace(fd, before.generation, "new", 3));
}

TEST_F(fault, fail_ioctl_on_stream)
{
	struct misc_sim_info info;
	int fd;

	fd = plug_stream(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_ioctl", 1, 1);
	EXPECT_ERRNO(ENOTTY, replace(fd, 1, "new", 3));
	EXPECT_ERRNO(EIO, ioctl(fd, MISC_SIM_IOC_INFO, &info));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
}

/* stdio calls isatty(), which must not use a fault up. */
TEST_F(fault, fail_ioctl_is_not_counted_for_unknown_commands)
{
	struct misc_sim_info info;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_ioctl", 1, 1);
	EXPECT_EQ(0, isatty(fd));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_ERRNO(ENOTTY, ioctl(fd, 0, NULL));
	EXPECT_ERRNO(EIO, ioctl(fd, MISC_SIM_IOC_INFO, &info));
	EXPECT_EQ(1, get_info(_metadata, fd).generation);
}

/* Each group affects its own calls only. */
TEST_F(fault, faults_are_independent)
{
	char c;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_write", 1, -1);
	EXPECT_EQ(0, replace(fd, 1, text, TEXT_LEN));
	expect_current(_metadata, self->it.node, text, TEXT_LEN);
	EXPECT_ERRNO(EIO, write(fd, "new", 3));
	configure(_metadata, &self->it, "fail_write/probability", "0");

	inject(_metadata, &self->it, "fail_read", 1, -1);
	publish(_metadata, fd, "new", 3);
	EXPECT_EQ(3, get_info(_metadata, fd).generation);
	EXPECT_ERRNO(EIO, read(fd, &c, 1));
	configure(_metadata, &self->it, "fail_read/probability", "0");

	inject(_metadata, &self->it, "fail_ioctl", 1, -1);
	publish(_metadata, fd, text, TEXT_LEN);
	expect_current(_metadata, self->it.node, text, TEXT_LEN);
}

TEST_F(fault, errno_changes_while_live)
{
	static const int errors[] = { EPERM, ENOENT, ENOSPC, ECANCELED, 511 };
	struct misc_sim_info info;
	char value[16], c;
	unsigned int i;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_open", 1, -1);
	inject(_metadata, &self->it, "fail_read", 1, -1);
	inject(_metadata, &self->it, "fail_write", 1, -1);
	inject(_metadata, &self->it, "fail_ioctl", 1, -1);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		snprintf(value, sizeof(value), "%d", errors[i]);
		configure(_metadata, &self->it, "errno", value);
		EXPECT_ERRNO(errors[i], open(self->it.node, O_RDONLY));
		EXPECT_ERRNO(errors[i], read(fd, &c, 1));
		EXPECT_ERRNO(errors[i], write(fd, &c, 1));
		EXPECT_ERRNO(errors[i], ioctl(fd, MISC_SIM_IOC_INFO, &info));
	}
}

TEST_F(fault, faults_stay_when_unplugged)
{
	char c;
	int fd;

	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	inject(_metadata, &self->it, "fail_read", 1, -1);
	unplug(_metadata, &self->it);
	EXPECT_ERRNO(ENODEV, read(fd, &c, 1));
	close(fd);
	fd = plug_and_open(_metadata, &self->it, O_RDWR);
	EXPECT_ERRNO(EIO, read(fd, &c, 1));
}

/* The log mentions a fault only if the user asks for it, and at the rate asked for. */
TEST_F(fault, log_on_request)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	unsigned int i;
	char c;
	int fd;

	if (kmsg < 0)
		SKIP(return, "no /dev/kmsg");

	inject(_metadata, &self->it, "fail_read", 1, -1);
	fd = plug_and_open(_metadata, &self->it, O_RDONLY);
	ASSERT_EQ(0, lseek(kmsg, 0, SEEK_END));
	EXPECT_ERRNO(EIO, read(fd, &c, 1));
	EXPECT_EQ(0, count_logged(kmsg, "name fail_read,", "name fail_read,"));

	configure(_metadata, &self->it, "fail_read/verbose", "1");
	configure(_metadata, &self->it, "fail_read/verbose_ratelimit_interval_ms", "60000");
	configure(_metadata, &self->it, "fail_read/verbose_ratelimit_burst", "3");
	for (i = 0; i < 10; i++)
		EXPECT_ERRNO(EIO, read(fd, &c, 1));
	EXPECT_EQ(3, count_logged(kmsg, "name fail_read,", "name fail_read,"));
}

/* The attribute exists without fault injection, too. */

FIXTURE(fault_errno) {
	struct instance it;
};

DRIVER_VARIANTS(fault_errno);

FIXTURE_SETUP(fault_errno)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(fault_errno)
{
	remove_instances(variant->driver);
}

TEST_F(fault_errno, attribute)
{
	char path[2 * PATH_LEN];
	struct stat st;

	snprintf(path, sizeof(path), "%s/errno", self->it.dir);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(S_IFREG | 0644, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
	expect_file(_metadata, self->it.dir, "errno", "5\n");
}

TEST_F(fault_errno, values_accepted)
{
	expect_accepted(_metadata, &self->it, "errno", "1\n", "1\n");
	expect_accepted(_metadata, &self->it, "errno", "10", "10\n");
	expect_accepted(_metadata, &self->it, "errno", "12", "12\n");
	expect_accepted(_metadata, &self->it, "errno", "511", "511\n");
}

/* 11 is EAGAIN. */
TEST_F(fault_errno, values_refused)
{
	static const char * const bad[] = { "0", "11", "512", "4294967297", NULL };

	expect_refused(_metadata, &self->it, "errno", "7\n", bad);
}

FIXTURE(fault_trace) {
	struct instance it;
};

DRIVER_VARIANTS(fault_trace);

FIXTURE_SETUP(fault_trace)
{
	set_up_faults(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(fault_trace)
{
	remove_instances(variant->driver);
}

static void cause_fault(struct __test_metadata *_metadata, const struct instance *inst, int fd,
			const char *fault)
{
	struct misc_sim_info info;
	char buf[8];

	if (!strcmp(fault, "fail_open"))
		EXPECT_ERRNO(EIO, open(inst->node, O_RDWR));
	else if (!strcmp(fault, "fail_read"))
		EXPECT_ERRNO(EIO, pread(fd, buf, sizeof(buf), 0));
	else if (!strcmp(fault, "fail_write"))
		EXPECT_ERRNO(EIO, write(fd, text, TEXT_LEN));
	else if (!strcmp(fault, "fail_ioctl"))
		EXPECT_ERRNO(EIO, ioctl(fd, MISC_SIM_IOC_INFO, &info));
	else
		EXPECT_EQ(8, write(fd, text, 16));
}

/* One event for the fault, and none for the calls that succeed after it. */
TEST_F(fault_trace, one_event_per_fault)
{
	static const char * const faults[] = {
		"fail_open", "fail_read", "fail_write", "fail_ioctl", "short_io",
	};
	int fd = plug_and_open(_metadata, &self->it, O_RDWR);
	char fields[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!start_tracing(_metadata, variant->driver, "fault"))
			return;
		inject(_metadata, &self->it, faults[i], 1, 1);
		cause_fault(_metadata, &self->it, fd, faults[i]);
		close(open_node(_metadata, self->it.node, O_RDWR));
		publish(_metadata, fd, text, TEXT_LEN);
		expect_rest(_metadata, fd, text, TEXT_LEN);
		snprintf(fields, sizeof(fields), " fault=%s", faults[i]);
		EXPECT_EQ(1, stop_tracing(_metadata, variant->driver, self->it.node, "fault",
					  fields))
			TH_LOG("%s", faults[i]);
	}
}

TEST_HARNESS_MAIN
