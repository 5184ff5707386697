// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_uring requests to both nodes of a channel of misc-sim
 *
 * Every request completes: at once, when there is data or room, or with an error when
 * the device is unplugged. A request that misses the deadline hangs.
 */

#include "channel.h"
#include "uring.h"

static const int modes[] = { 0, IOSQE_ASYNC };

FIXTURE(uring) {
	struct io_uring ring;
	struct uring_buffers buffers;
	struct instance it;
};

DRIVER_VARIANTS(uring);

FIXTURE_SETUP(uring)
{
	if (!driver_is_there(_metadata, variant->driver) || !uring_init(_metadata, &self->ring))
		return;
	self->it = make_instance(_metadata, variant->driver, PREFIX "a");
}

FIXTURE_TEARDOWN_PARENT(uring)
{
	remove_instances(variant->driver);
}

static void submit_read(struct __test_metadata *_metadata, struct io_uring *ring, int fd,
			char *buf, int flags)
{
	struct io_uring_sqe request = uring_read_request(fd, buf, TEXT_LEN);

	memset(buf, POISON, TEXT_LEN);
	request.flags = flags;
	uring_submit(_metadata, ring, &request);
}

static void submit_write(struct __test_metadata *_metadata, struct io_uring *ring, int fd,
			 int flags)
{
	struct io_uring_sqe request = uring_rw_request(IORING_OP_WRITE, fd, text, TEXT_LEN, -1);

	request.flags = flags;
	uring_submit(_metadata, ring, &request);
}

TEST_F(uring, completes_at_once)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	char buf[TEXT_LEN];
	unsigned int i, j;

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			submit_write(_metadata, &self->ring, c.ends[i], modes[j]);
			uring_expect_end(_metadata, &self->ring, TEXT_LEN);
			submit_read(_metadata, &self->ring, c.ends[!i], buf, modes[j]);
			uring_expect_end(_metadata, &self->ring, TEXT_LEN);
			EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
		}
	}
}

TEST_F(uring, read_waits)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	unsigned int i, j, round;
	char buf[TEXT_LEN];

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			for (round = 0; round < 3; round++) {
				submit_read(_metadata, &self->ring, c.ends[i], buf, modes[j]);
				EXPECT_FALSE(uring_is_done(&self->ring));
				publish(_metadata, c.ends[!i], text, TEXT_LEN);
				uring_expect_end(_metadata, &self->ring, TEXT_LEN);
				EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
			}
		}
	}
}

TEST_F(uring, write_waits)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	unsigned int i, j;

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			fill_queue(_metadata, c.ends[i]);
			submit_write(_metadata, &self->ring, c.ends[i], modes[j]);
			EXPECT_FALSE(uring_is_done(&self->ring));
			expect_number(_metadata, c.ends[!i], 0);
			uring_expect_end(_metadata, &self->ring, TEXT_LEN);
			expect_queue(_metadata, c.ends[!i], 1);
			expect_message(_metadata, c.ends[!i], text, TEXT_LEN);
		}
	}
}

/* Each message completes one of the reads, although it wakes both. */
TEST_F(uring, reads_wait_on_one_file)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	char bufs[2][TEXT_LEN];
	unsigned int i, j, round;

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			for (round = 0; round < 2; round++)
				submit_read(_metadata, &self->ring, c.ends[i], bufs[round],
					    modes[j]);
			for (round = 0; round < 2; round++) {
				EXPECT_FALSE(uring_is_done(&self->ring));
				publish(_metadata, c.ends[!i], text, TEXT_LEN);
				uring_expect_end(_metadata, &self->ring, TEXT_LEN);
			}
			EXPECT_EQ(0, memcmp(text, bufs[0], TEXT_LEN));
			EXPECT_EQ(0, memcmp(text, bufs[1], TEXT_LEN));
		}
	}
}

/* Files of their own do not help the readers: the queue is the same. */
TEST_F(uring, reads_wait_on_two_files)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	int other = open_node(_metadata, self->it.node, O_RDONLY);
	char bufs[2][TEXT_LEN];
	int round;

	submit_read(_metadata, &self->ring, c.ends[DEVICE], bufs[0], 0);
	submit_read(_metadata, &self->ring, other, bufs[1], 0);
	for (round = 0; round < 2; round++) {
		EXPECT_FALSE(uring_is_done(&self->ring));
		publish(_metadata, c.ends[PEER], text, TEXT_LEN);
		uring_expect_end(_metadata, &self->ring, TEXT_LEN);
	}
	EXPECT_EQ(0, memcmp(text, bufs[0], TEXT_LEN));
	EXPECT_EQ(0, memcmp(text, bufs[1], TEXT_LEN));
}

/* Each message that is read lets one of them go on. */
TEST_F(uring, writes_wait)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	int i, round;

	for (i = 0; i < ENDS; i++) {
		fill_queue(_metadata, c.ends[i]);
		for (round = 0; round < 3; round++)
			submit_write(_metadata, &self->ring, c.ends[i],
				     modes[round % ARRAY_SIZE(modes)]);
		for (round = 0; round < 3; round++) {
			EXPECT_FALSE(uring_is_done(&self->ring));
			expect_number(_metadata, c.ends[!i], round);
			uring_expect_end(_metadata, &self->ring, TEXT_LEN);
		}
		expect_queue(_metadata, c.ends[!i], round);
		for (round = 0; round < 3; round++)
			expect_message(_metadata, c.ends[!i], text, TEXT_LEN);
	}
}

/* io_uring waits for such a file as well. */
TEST_F(uring, nonblocking_file)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	char buf[TEXT_LEN];
	int i;

	for (i = 0; i < ENDS; i++) {
		submit_read(_metadata, &self->ring, c.ends[i], buf, 0);
		EXPECT_FALSE(uring_is_done(&self->ring));
		publish(_metadata, c.ends[!i], text, TEXT_LEN);
		uring_expect_end(_metadata, &self->ring, TEXT_LEN);

		fill_queue(_metadata, c.ends[i]);
		submit_write(_metadata, &self->ring, c.ends[i], 0);
		EXPECT_FALSE(uring_is_done(&self->ring));
		expect_queue(_metadata, c.ends[!i], 0);
		uring_expect_end(_metadata, &self->ring, TEXT_LEN);
		expect_message(_metadata, c.ends[!i], text, TEXT_LEN);
	}
}

/* The reader that holds the file gets this message, and the request gets the next one. */
TEST_F(uring, read_while_another_reads)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct holder holder;
	char buf[TEXT_LEN];
	unsigned int i, j;

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			publish(_metadata, c.ends[!i], "held", 4);
			if (!hold_file(_metadata, &holder, c.ends[i]))
				return;
			submit_read(_metadata, &self->ring, c.ends[i], buf, modes[j]);
			EXPECT_FALSE(uring_is_done(&self->ring));
			release_file(_metadata, &holder, "held");
			EXPECT_FALSE(uring_is_done(&self->ring));
			publish(_metadata, c.ends[!i], text, TEXT_LEN);
			uring_expect_end(_metadata, &self->ring, TEXT_LEN);
			EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
		}
	}
}

/* Data is there all the time, so only unlocking the file can complete the request. */
TEST_F(uring, read_after_another_read)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct holder holder;
	char buf[TEXT_LEN];
	unsigned int i, j;

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			publish(_metadata, c.ends[!i], "held", 4);
			publish(_metadata, c.ends[!i], text, TEXT_LEN);
			if (!hold_file(_metadata, &holder, c.ends[i]))
				return;
			submit_read(_metadata, &self->ring, c.ends[i], buf, modes[j]);
			release_file(_metadata, &holder, "held");
			uring_expect_end(_metadata, &self->ring, TEXT_LEN);
			EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
		}
	}
}

TEST_F(uring, multishot_read)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct io_uring_sqe request;
	int i, round;

	if (!uring_provide_buffers(_metadata, &self->ring, &self->buffers))
		SKIP(return, "no ring of buffers");

	/* There are buffers for eight completions. */
	for (i = 0; i < ENDS; i++) {
		request = uring_multishot_request(c.ends[i]);
		uring_submit(_metadata, &self->ring, &request);
		for (round = 0; round < 2; round++) {
			EXPECT_FALSE(uring_is_done(&self->ring));
			publish(_metadata, c.ends[!i], text, 8);
			uring_expect_shot(_metadata, &self->ring, &self->buffers, text, 6);
			uring_expect_shot(_metadata, &self->ring, &self->buffers, text + 6, 2);
		}
		EXPECT_FALSE(uring_is_done(&self->ring));
		uring_cancel_request(_metadata, &self->ring);
	}
}

TEST_F(uring, multishot_poll)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	struct uring_completion cqe;
	struct io_uring_sqe request;
	int round;

	request = uring_poll_request(c.ends[DEVICE], POLLIN, IORING_POLL_ADD_MULTI);
	uring_submit(_metadata, &self->ring, &request);
	for (round = 0; round < 3; round++) {
		EXPECT_FALSE(uring_is_done(&self->ring));
		publish(_metadata, c.ends[PEER], text, TEXT_LEN);
		cqe = uring_next(_metadata, &self->ring);
		EXPECT_EQ(POLLIN, cqe.res);
		EXPECT_EQ(IORING_CQE_F_MORE, cqe.flags);
		expect_message(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	}
}

TEST_F(uring, cancel)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	char buf[TEXT_LEN];
	unsigned int i, j;

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			submit_read(_metadata, &self->ring, c.ends[i], buf, modes[j]);
			EXPECT_FALSE(uring_is_done(&self->ring));
			uring_cancel_request(_metadata, &self->ring);

			fill_queue(_metadata, c.ends[i]);
			submit_write(_metadata, &self->ring, c.ends[i], modes[j]);
			EXPECT_FALSE(uring_is_done(&self->ring));
			uring_cancel_request(_metadata, &self->ring);
			expect_queue(_metadata, c.ends[!i], 0);
			EXPECT_EQ(0, poll_now(_metadata, c.ends[!i]) & READABLE);
		}
	}
}

/* The request ends when the process exits, and takes no message. */
TEST_F(uring, exit_with_read)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	char buf[TEXT_LEN];
	unsigned int i, j;
	pid_t pid;
	int code;

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			pid = fork();
			ASSERT_LE(0, pid);
			if (!pid) {
				struct io_uring ring;

				if (io_uring_queue_init(8, &ring, 0))
					_exit(1);
				submit_read(_metadata, &ring, c.ends[i], buf, modes[j]);
				_exit(uring_is_done(&ring) ? 2 : 0);
			}
			EXPECT_EQ(0, await_exit(_metadata, pid, &code));
			EXPECT_EQ(CLD_EXITED, code);
			publish(_metadata, c.ends[!i], text, TEXT_LEN);
			expect_message(_metadata, c.ends[i], text, TEXT_LEN);
		}
	}
}

TEST_F(uring, unplug_completes_requests)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	unsigned int i, j, requests = 0;
	char bufs[ENDS][ARRAY_SIZE(modes)][TEXT_LEN];

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			submit_read(_metadata, &self->ring, c.ends[i], bufs[i][j], modes[j]);
			requests++;
		}
	}
	EXPECT_FALSE(uring_is_done(&self->ring));
	unplug(_metadata, &self->it);
	for (; requests; requests--)
		EXPECT_EQ(-ENODEV, uring_wait(_metadata, &self->ring));

	c = open_channel(_metadata, &self->it, 0);
	for (i = 0; i < ENDS; i++) {
		fill_queue(_metadata, c.ends[i]);
		for (j = 0; j < ARRAY_SIZE(modes); j++) {
			submit_write(_metadata, &self->ring, c.ends[i], modes[j]);
			requests++;
		}
	}
	EXPECT_FALSE(uring_is_done(&self->ring));
	unplug(_metadata, &self->it);
	for (; requests; requests--)
		EXPECT_EQ(-ENODEV, uring_wait(_metadata, &self->ring));
	EXPECT_FALSE(uring_is_done(&self->ring));
}

TEST_F(uring, unplug_completes_polls)
{
	static const struct {
		short events;
		int flags;
		int res;
	} polls[] = {
		{ POLLIN, 0, POLLERR | POLLHUP },
		{ POLLIN, IORING_POLL_ADD_MULTI, POLLERR | POLLHUP },
		{ POLLPRI, 0, UNPLUGGED },
	};
	struct io_uring_sqe request;
	struct channel c;
	unsigned int i, j;

	for (i = 0; i < ENDS; i++) {
		for (j = 0; j < ARRAY_SIZE(polls); j++) {
			c = open_channel(_metadata, &self->it, 0);
			request = uring_poll_request(c.ends[i], polls[j].events, polls[j].flags);
			uring_submit(_metadata, &self->ring, &request);
			EXPECT_FALSE(uring_is_done(&self->ring));
			unplug(_metadata, &self->it);
			EXPECT_EQ(polls[j].res, uring_wait(_metadata, &self->ring))
				TH_LOG("%u %u", i, j);
		}
	}
}

TEST_F(uring, unplug_while_another_reads)
{
	struct holder holder;
	struct channel c;
	char buf[TEXT_LEN];
	int i;

	for (i = 0; i < ENDS; i++) {
		c = open_channel(_metadata, &self->it, 0);
		publish(_metadata, c.ends[!i], "held", 4);
		if (!hold_file(_metadata, &holder, c.ends[i]))
			return;
		submit_read(_metadata, &self->ring, c.ends[i], buf, 0);
		unplug(_metadata, &self->it);
		release_file(_metadata, &holder, "held");
		uring_expect_end(_metadata, &self->ring, -ENODEV);
	}
}

/* poll() could not report when a delay is over. */
TEST_F(uring, latency)
{
	struct channel c = open_channel(_metadata, &self->it, 0);
	char buf[TEXT_LEN];

	configure(_metadata, &self->it, "latency_us", "60000000");
	submit_write(_metadata, &self->ring, c.ends[DEVICE], 0);
	uring_expect_end(_metadata, &self->ring, TEXT_LEN);
	expect_message(_metadata, c.ends[PEER], text, TEXT_LEN);
	submit_read(_metadata, &self->ring, c.ends[DEVICE], buf, 0);
	EXPECT_FALSE(uring_is_done(&self->ring));
	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	uring_expect_end(_metadata, &self->ring, TEXT_LEN);
	EXPECT_EQ(0, memcmp(text, buf, TEXT_LEN));
}

TEST_HARNESS_MAIN
