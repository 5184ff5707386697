// SPDX-License-Identifier: GPL-2.0-only
/*
 * The records that the peer of a channel of misc-sim reads and writes
 *
 * See channel_ioctl_test.c and events_test.c for those of ioctls and events.
 */

#include "records.h"
#include "unplug.h"
#include "uring.h"

#define MANY		1000

FIXTURE(records) {
	struct instance it;
};

DRIVER_VARIANTS(records);

FIXTURE_SETUP(records)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(records)
{
	remove_instances(variant->driver);
}

TEST_F(records, peer)
{
	static const char * const bad[] = { "0", "1", "Raw", "record", "recordsx", " raw", NULL };

	expect_file(_metadata, self->it.dir, "peer", "raw\n");
	expect_accepted(_metadata, &self->it, "peer", "records", "records\n");
	expect_accepted(_metadata, &self->it, "peer", "raw\n", "raw\n");
	expect_refused(_metadata, &self->it, "peer", "records\n", bad);
	configure(_metadata, &self->it, "kind", "channel");
	expect_fixed_while_live(_metadata, &self->it, "peer", "raw\n", "records");
}

TEST_F(records, only_channels_have_a_peer)
{
	char path[PEER_PATH_LEN];

	peer_path(&self->it, path);
	configure(_metadata, &self->it, "peer", "records");
	plug(_metadata, &self->it);
	EXPECT_ERRNO(ENOENT, access(path, F_OK));
	expect_current(_metadata, self->it.node, variant->driver->greeting,
		       strlen(variant->driver->greeting));
}

/* Records to the peer */

TEST_F(records, open_data_close)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	__u64 file = expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);

	publish(_metadata, c.ends[DEVICE], "one", 3);
	publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	close(c.ends[DEVICE]);
	expect_data(_metadata, c.ends[PEER], file, "one", 3);
	expect_data(_metadata, c.ends[PEER], file, text, TEXT_LEN);
	expect_close(_metadata, c.ends[PEER], file);
	expect_no_record(_metadata, c.ends[PEER]);
}

TEST_F(records, flags_of_open)
{
	static const int flags[] = {
		O_RDONLY, O_WRONLY, O_RDWR | O_NONBLOCK, O_RDONLY | O_APPEND | O_SYNC,
	};
	int fd, peer;
	unsigned int i;
	__u64 file;

	plug_records(_metadata, &self->it);
	peer = open_peer(_metadata, &self->it, O_RDWR);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fd = open_node(_metadata, self->it.node, flags[i]);
		file = expect_open(_metadata, peer, fd);
		close(fd);
		expect_close(_metadata, peer, file);
	}
}

/* A file that is open twice is one file. */
TEST_F(records, files)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	__u64 a = expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]), b;
	int other = open_node(_metadata, self->it.node, O_WRONLY);
	int copy = dup(other);

	b = expect_open(_metadata, c.ends[PEER], other);
	EXPECT_NE(a, b);
	publish(_metadata, other, "other", 5);
	publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	publish(_metadata, copy, "copy", 4);
	close(other);
	expect_data(_metadata, c.ends[PEER], b, "other", 5);
	expect_data(_metadata, c.ends[PEER], a, text, TEXT_LEN);
	expect_data(_metadata, c.ends[PEER], b, "copy", 4);
	expect_no_record(_metadata, c.ends[PEER]);
	close(copy);
	expect_close(_metadata, c.ends[PEER], b);
	close(c.ends[DEVICE]);
	expect_close(_metadata, c.ends[PEER], a);
}

TEST_F(records, many_files)
{
	int i, fd, peer;
	__u64 file, last = 0;

	plug_records(_metadata, &self->it);
	peer = open_peer(_metadata, &self->it, O_RDWR);
	for (i = 0; i < MANY; i++) {
		fd = open_node(_metadata, self->it.node, O_RDWR);
		file = expect_open(_metadata, peer, fd);
		/* Never used twice */
		EXPECT_LT(last, file);
		last = file;
		close(fd);
		expect_close(_metadata, peer, file);
	}
	expect_no_record(_metadata, peer);
}

TEST_F(records, open_wakes_peer)
{
	struct blocked reader = { .call = blocked_read };
	struct record record;
	int epoll;

	plug_records(_metadata, &self->it);
	reader.fd = open_peer(_metadata, &self->it, O_RDWR);
	reader.buf = (char *)&record;
	reader.length = sizeof(record);
	start_blocked(_metadata, &reader);
	epoll = epoll_of(_metadata, reader.fd, EPOLLIN | EPOLLPRI | EPOLLET);
	EXPECT_EQ(0, epoll_now(_metadata, epoll));
	open_node(_metadata, self->it.node, O_RDWR);
	finish_blocked(_metadata, &reader);
	EXPECT_EQ(sizeof(record.head), reader.ret);
	EXPECT_EQ(MISC_SIM_RECORD_OPEN, record.head.type);

	open_node(_metadata, self->it.node, O_RDWR);
	EXPECT_EQ(EPOLLIN, epoll_now(_metadata, epoll));
}

/* Nobody has seen the file, so nobody has to know that it is gone. */
TEST_F(records, unread_open_and_close_cancel)
{
	struct channel c;
	int i, fd;
	__u64 file;

	plug_records(_metadata, &self->it);
	c.ends[PEER] = open_peer(_metadata, &self->it, O_RDWR);
	for (i = 0; i < MANY; i++) {
		fd = open_node(_metadata, self->it.node, O_RDWR);
		EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[PEER]));
		close(fd);
		expect_no_record(_metadata, c.ends[PEER]);
	}

	/* Others are not affected. */
	c.ends[DEVICE] = open_node(_metadata, self->it.node, O_RDWR);
	close(open_node(_metadata, self->it.node, O_RDWR));
	fd = open_node(_metadata, self->it.node, O_RDONLY);
	file = expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	EXPECT_NE(file, expect_open(_metadata, c.ends[PEER], fd));
	expect_no_record(_metadata, c.ends[PEER]);
}

TEST_F(records, open_and_close_around_data)
{
	struct channel c;
	struct record record;

	plug_records(_metadata, &self->it);
	c.ends[PEER] = open_peer(_metadata, &self->it, O_RDWR);
	c.ends[DEVICE] = open_node(_metadata, self->it.node, O_RDWR);
	publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	close(c.ends[DEVICE]);
	next_record(_metadata, c.ends[PEER], &record);
	EXPECT_EQ(MISC_SIM_RECORD_OPEN, record.head.type);
	expect_data(_metadata, c.ends[PEER], record.head.file, text, TEXT_LEN);
	expect_close(_metadata, c.ends[PEER], record.head.file);
	expect_no_record(_metadata, c.ends[PEER]);
}

/* OPEN and CLOSE are beside the 16. */
TEST_F(records, open_waits_for_no_room)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	__u64 file, other;
	int i, fd;

	for (i = 0; i < SLOTS; i++)
		send_number(_metadata, c.ends[DEVICE], i);
	EXPECT_ERRNO(EAGAIN, write(c.ends[DEVICE], text, TEXT_LEN));
	fd = open_node(_metadata, self->it.node, O_RDWR);
	EXPECT_EQ(0, poll_now(_metadata, fd));

	file = expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	EXPECT_EQ(0, poll_now(_metadata, fd));
	for (i = 0; i < SLOTS; i++) {
		expect_data(_metadata, c.ends[PEER], file, &i, sizeof(i));
		EXPECT_EQ(WRITABLE, poll_now(_metadata, fd));
	}
	other = expect_open(_metadata, c.ends[PEER], fd);
	for (i = 0; i < SLOTS; i++)
		send_number(_metadata, c.ends[DEVICE], i);
	close(fd);
	for (i = 0; i < SLOTS; i++)
		expect_data(_metadata, c.ends[PEER], file, &i, sizeof(i));
	expect_close(_metadata, c.ends[PEER], other);
}

TEST_F(records, short_buffer)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	size_t whole = sizeof(struct misc_sim_record) + TEXT_LEN;
	struct record record;
	char *bad = bad_page(_metadata);
	size_t length;
	__u64 file;

	for (length = 0; length < sizeof(record.head); length++)
		EXPECT_ERRNO(EINVAL, read(c.ends[PEER], &record, length));
	file = expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	EXPECT_ERRNO(EINVAL, read(c.ends[PEER], &record, sizeof(record.head) - 1));

	publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	for (length = 0; length < whole; length++)
		EXPECT_ERRNO(EINVAL, read(c.ends[PEER], &record, length));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[PEER]));
	EXPECT_EQ(whole, read(c.ends[PEER], bad - whole, whole));
	EXPECT_EQ(0, memcmp(text, bad - TEXT_LEN, TEXT_LEN));
	EXPECT_EQ(POISON, (unsigned char)*(bad - whole - 1));

	publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	EXPECT_ERRNO(EFAULT, read(c.ends[PEER], bad, sizeof(record)));
	EXPECT_ERRNO(EFAULT, read(c.ends[PEER], bad - 10, sizeof(record)));
	EXPECT_ERRNO(EFAULT, read(c.ends[PEER], bad - whole + 1, sizeof(record)));
	expect_data(_metadata, c.ends[PEER], file, text, TEXT_LEN);
	expect_no_record(_metadata, c.ends[PEER]);
}

TEST_F(records, longest_message)
{
	size_t head = sizeof(struct misc_sim_record), length = 1048576, i;
	char *out = malloc(length), *in = malloc(head + length);
	struct channel c;

	ASSERT_TRUE(out && in);
	for (i = 0; i < length; i++)
		out[i] = i * 7 + i / 256;
	configure(_metadata, &self->it, "capacity", "1048576");
	c = open_records(_metadata, &self->it, O_NONBLOCK);
	expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	publish(_metadata, c.ends[DEVICE], out, length);
	EXPECT_ERRNO(EINVAL, read(c.ends[PEER], in, head + length - 1));
	EXPECT_EQ(head + length, read(c.ends[PEER], in, head + length));
	EXPECT_EQ(0, memcmp(out, in + head, length));
	free(out);
	free(in);
}

TEST_F(records, scattered)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	struct misc_sim_record head = { .type = MISC_SIM_RECORD_DATA, .length = 6 };
	char rest[64];
	struct iovec in[] = { { &head, sizeof(head) }, { rest, sizeof(rest) } };
	struct iovec out[] = {
		{ &head, 10 }, { (char *)&head + 10, sizeof(head) - 10 },
		{ (char *)"one", 3 }, { (char *)"two", 3 },
	};

	EXPECT_EQ(sizeof(head) + 6, writev(c.ends[PEER], out, ARRAY_SIZE(out)));
	expect_message(_metadata, c.ends[DEVICE], "onetwo", 6);
	expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	EXPECT_EQ(sizeof(head) + TEXT_LEN, readv(c.ends[PEER], in, 2));
	EXPECT_EQ(MISC_SIM_RECORD_DATA, head.type);
	EXPECT_EQ(TEXT_LEN, head.length);
	EXPECT_EQ(0, memcmp(text, rest, TEXT_LEN));
}

/* Records from the peer */

TEST_F(records, data_to_device)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	struct misc_sim_record head = { .type = MISC_SIM_RECORD_DATA, .file = 12345 };

	EXPECT_EQ(0, send_data(c.ends[PEER], "one", 3));
	EXPECT_EQ(0, send_data(c.ends[PEER], text, TEXT_LEN));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
	expect_message(_metadata, c.ends[DEVICE], "one", 3);
	expect_message(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	expect_empty(_metadata, c.ends[DEVICE]);

	/* It is for any file. */
	EXPECT_EQ(0, send_record(c.ends[PEER], head, "any", 3));
	expect_message(_metadata, c.ends[DEVICE], "any", 3);
}

TEST_F(records, wrong_length)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	struct record record = { .head = { .type = MISC_SIM_RECORD_DATA } };
	size_t size = sizeof(record.head), length;

	for (length = 0; length < size; length++)
		EXPECT_ERRNO(EINVAL, write(c.ends[PEER], &record, length));
	for (length = 1; length < 10; length++)
		EXPECT_ERRNO(EINVAL, write(c.ends[PEER], &record, size + length));
	record.head.length = 5;
	for (length = 0; length < 10; length++)
		if (length != 5)
			EXPECT_ERRNO(EINVAL, write(c.ends[PEER], &record, size + length));
	record.head.length = -1;
	EXPECT_ERRNO(EINVAL, write(c.ends[PEER], &record, size - 1));
	EXPECT_ERRNO(EINVAL, write(c.ends[PEER], &record, size));
	EXPECT_ERRNO(EINVAL, write(c.ends[PEER], &record, sizeof(record)));
	record.head.length = -size;
	EXPECT_ERRNO(EINVAL, write(c.ends[PEER], &record, size));
	expect_empty(_metadata, c.ends[DEVICE]);
}

/* Those that the peer reads are not for it to write. */
TEST_F(records, unknown_types)
{
	static const __u32 types[] = {
		0, MISC_SIM_RECORD_OPEN, MISC_SIM_RECORD_CLOSE, 4, 9, 255,
		256 + MISC_SIM_RECORD_DATA, MISC_SIM_RECORD_DATA << 16, 1U << 31, ~0U,
	};
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	struct misc_sim_record head = {};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		head.type = types[i];
		EXPECT_ERRNO(EINVAL, send_record(c.ends[PEER], head, NULL, 0));
		EXPECT_ERRNO(EINVAL, send_record(c.ends[PEER], head, text, TEXT_LEN));
	}
	expect_empty(_metadata, c.ends[DEVICE]);
	expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	expect_no_record(_metadata, c.ends[PEER]);
}

/* A peer may send back the flags of an IOCTL. All other bits may get a meaning later. */
TEST_F(records, unknown_flags)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	struct misc_sim_record head = { .type = MISC_SIM_RECORD_DATA };
	char got[TEXT_LEN];

	for (head.flags = 1U << 31; head.flags > MISC_SIM_RECORD_F_COMPAT; head.flags >>= 1)
		EXPECT_ERRNO(EINVAL, send_record(c.ends[PEER], head, text, TEXT_LEN));
	EXPECT_ERRNO(EAGAIN, read(c.ends[DEVICE], got, sizeof(got)));
	EXPECT_EQ(0, send_record(c.ends[PEER], head, text, TEXT_LEN));
	EXPECT_EQ(TEXT_LEN, read(c.ends[DEVICE], got, sizeof(got)));
}

TEST_F(records, bad_pointer)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	struct misc_sim_record head = { .type = MISC_SIM_RECORD_DATA };
	char *bad = bad_page(_metadata);

	EXPECT_ERRNO(EFAULT, write(c.ends[PEER], bad, sizeof(head)));
	EXPECT_ERRNO(EFAULT, write(c.ends[PEER], bad - 10, sizeof(head)));
	EXPECT_ERRNO(EFAULT, send_record(c.ends[PEER], head, bad, 5));
	EXPECT_ERRNO(EFAULT, send_record(c.ends[PEER], head, bad - 4, 5));
	expect_empty(_metadata, c.ends[DEVICE]);
}

TEST_F(records, capacity)
{
	struct channel c;
	char buf[9] = "12345678";

	configure(_metadata, &self->it, "capacity", "8");
	c = open_records(_metadata, &self->it, O_NONBLOCK);
	EXPECT_ERRNO(EMSGSIZE, send_data(c.ends[PEER], buf, 9));
	expect_empty(_metadata, c.ends[DEVICE]);
	EXPECT_EQ(0, send_data(c.ends[PEER], buf, 8));
	expect_message(_metadata, c.ends[DEVICE], buf, 8);
}

TEST_F(records, full_queue)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	int i;

	expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	for (i = 0; i < SLOTS; i++) {
		EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[PEER]));
		EXPECT_EQ(0, send_data(c.ends[PEER], &i, sizeof(i)));
	}
	EXPECT_EQ(0, poll_now(_metadata, c.ends[PEER]));
	EXPECT_ERRNO(EAGAIN, send_data(c.ends[PEER], text, TEXT_LEN));
	EXPECT_ERRNO(EAGAIN, send_data(c.ends[PEER], text, 0));
	expect_queue(_metadata, c.ends[DEVICE], 0);
	EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[PEER]));
}

TEST_F(records, flush)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	__u64 file = expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	char buf[TEXT_POS];
	int i;

	EXPECT_EQ(0, send_flush(c.ends[PEER]));
	EXPECT_EQ(0, send_data(c.ends[PEER], text, TEXT_LEN));
	EXPECT_EQ(TEXT_POS, read(c.ends[DEVICE], buf, TEXT_POS));
	for (i = 0; i < SLOTS; i++)
		EXPECT_EQ(0, send_data(c.ends[PEER], &i, sizeof(i)));
	publish(_metadata, c.ends[DEVICE], "kept", 4);
	EXPECT_EQ(0, send_flush(c.ends[PEER]));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[PEER]));
	expect_data(_metadata, c.ends[PEER], file, "kept", 4);

	/* The rest of the message was not in the queue. */
	expect_message(_metadata, c.ends[DEVICE], text + TEXT_POS, TEXT_LEN - TEXT_POS);
	expect_empty(_metadata, c.ends[DEVICE]);
	EXPECT_EQ(0, send_data(c.ends[PEER], "new", 3));
	expect_message(_metadata, c.ends[DEVICE], "new", 3);
}

TEST_F(records, flush_with_payload)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	struct misc_sim_record head = { .type = MISC_SIM_RECORD_FLUSH };

	EXPECT_EQ(0, send_data(c.ends[PEER], "kept", 4));
	EXPECT_ERRNO(EINVAL, send_record(c.ends[PEER], head, text, TEXT_LEN));
	expect_message(_metadata, c.ends[DEVICE], "kept", 4);
}

static ssize_t blocked_send_data(struct blocked *blocked)
{
	return send_data(blocked->fd, text, TEXT_LEN);
}

TEST_F(records, data_waits_for_room)
{
	struct channel c = open_records(_metadata, &self->it, 0);
	struct blocked writer = { .call = blocked_send_data, .fd = c.ends[PEER] };
	struct misc_sim_record head = { .type = MISC_SIM_RECORD_DATA };
	struct iovec iov = { &head, sizeof(head) };
	int i;

	for (i = 0; i < SLOTS; i++)
		EXPECT_EQ(0, send_data(c.ends[PEER], &i, sizeof(i)));
	EXPECT_ERRNO(EAGAIN, pwritev2(c.ends[PEER], &iov, 1, -1, RWF_NOWAIT));
	start_blocked(_metadata, &writer);
	interrupt(_metadata, &writer, 0);
	expect_failed(_metadata, &writer, EINTR);
	expect_queue(_metadata, c.ends[DEVICE], 0);
	EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
}

/* The writer does not hold the peer while it waits. */
TEST_F(records, flush_wakes_writer)
{
	struct channel c = open_records(_metadata, &self->it, 0);
	struct blocked writer = { .call = blocked_send_data, .fd = c.ends[PEER] };
	int i;

	for (i = 0; i < SLOTS; i++)
		EXPECT_EQ(0, send_data(c.ends[PEER], &i, sizeof(i)));
	start_blocked(_metadata, &writer);
	expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	EXPECT_EQ(0, send_flush(c.ends[PEER]));
	finish_blocked(_metadata, &writer);
	EXPECT_EQ(0, writer.ret);
	expect_message(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	EXPECT_EQ(0, poll_now(_metadata, c.ends[DEVICE]) & READABLE);
}

/* As the end of a file: a read returns 0, once. */
TEST_F(records, empty_data)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	struct blocked reader = { .call = blocked_read };
	char byte;
	int i;

	EXPECT_EQ(0, send_data(c.ends[PEER], "one", 3));
	EXPECT_EQ(0, send_data(c.ends[PEER], NULL, 0));
	EXPECT_EQ(0, send_data(c.ends[PEER], "two", 3));
	expect_message(_metadata, c.ends[DEVICE], "one", 3);
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
	EXPECT_EQ(0, read(c.ends[DEVICE], &byte, 1));
	expect_message(_metadata, c.ends[DEVICE], "two", 3);
	expect_empty(_metadata, c.ends[DEVICE]);

	for (i = 0; i < SLOTS; i++)
		EXPECT_EQ(0, send_data(c.ends[PEER], NULL, 0));
	EXPECT_ERRNO(EAGAIN, send_data(c.ends[PEER], NULL, 0));
	for (i = 0; i < SLOTS; i++)
		EXPECT_EQ(0, read(c.ends[DEVICE], &byte, 1));
	expect_empty(_metadata, c.ends[DEVICE]);

	reader.fd = open_node(_metadata, self->it.node, O_RDONLY);
	start_blocked(_metadata, &reader);
	EXPECT_EQ(0, send_data(c.ends[PEER], NULL, 0));
	finish_blocked(_metadata, &reader);
	EXPECT_EQ(0, reader.ret);
}

/* The peer closes and comes back */

TEST_F(records, new_peer_gets_open_files)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	int fds[5], closed, i;
	__u64 files[6], file;

	files[0] = expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	closed = open_node(_metadata, self->it.node, O_RDONLY);
	file = expect_open(_metadata, c.ends[PEER], closed);
	fds[0] = open_node(_metadata, self->it.node, O_RDONLY);
	close(c.ends[PEER]);

	/* Neither this nor what the old peer has not read is queued. */
	close(closed);
	for (i = 1; i < 5; i++)
		fds[i] = open_node(_metadata, self->it.node, i % 2 ? O_WRONLY : O_RDONLY);
	close(open_node(_metadata, self->it.node, O_RDWR));

	c.ends[PEER] = open_peer(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	EXPECT_EQ(files[0], expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]));
	for (i = 0; i < 5; i++) {
		files[i + 1] = expect_open(_metadata, c.ends[PEER], fds[i]);
		EXPECT_NE(files[0], files[i + 1]);
		EXPECT_NE(file, files[i + 1]);
	}
	expect_no_record(_metadata, c.ends[PEER]);
	for (i = 0; i < 5; i++) {
		close(fds[i]);
		expect_close(_metadata, c.ends[PEER], files[i + 1]);
	}
}

TEST_F(records, data_without_a_peer)
{
	struct channel c;
	__u64 file;
	int i, gone;

	plug_records(_metadata, &self->it);
	c.ends[DEVICE] = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK);
	gone = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK);
	for (i = 0; i < SLOTS; i++)
		send_number(_metadata, c.ends[DEVICE], i);
	EXPECT_ERRNO(EAGAIN, write(gone, text, TEXT_LEN));
	close(gone);
	c.ends[PEER] = open_peer(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	file = expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	for (i = 0; i < SLOTS; i++)
		expect_data(_metadata, c.ends[PEER], file, &i, sizeof(i));
	expect_no_record(_metadata, c.ends[PEER]);
}

TEST_F(records, data_stays_when_peer_closes)
{
	struct channel c = open_records(_metadata, &self->it, O_NONBLOCK);
	__u64 file;

	EXPECT_EQ(0, send_data(c.ends[PEER], "in", 2));
	publish(_metadata, c.ends[DEVICE], "out", 3);
	close(c.ends[PEER]);
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
	expect_message(_metadata, c.ends[DEVICE], "in", 2);
	expect_empty(_metadata, c.ends[DEVICE]);
	c.ends[PEER] = open_peer(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	file = expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	expect_data(_metadata, c.ends[PEER], file, "out", 3);
}

TEST_F(records, unplug)
{
	static const int flags[] = { 0, O_NONBLOCK };
	struct channel c;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		c = open_records(_metadata, &self->it, flags[i]);
		publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
		unplug(_metadata, &self->it);
		expect_gone(_metadata, c.ends[DEVICE]);
		expect_peer_gone(_metadata, c.ends[PEER]);
		EXPECT_ERRNO(ENODEV, send_flush(c.ends[PEER]));
		EXPECT_EQ(0, close(c.ends[i]));
		EXPECT_EQ(0, close(c.ends[!i]));
	}
}

TEST_F(records, unplug_wakes_sleepers)
{
	struct channel c = open_records(_metadata, &self->it, 0);
	struct blocked reader = { .call = blocked_read, .fd = c.ends[PEER] };
	struct blocked writer = { .call = blocked_send_data, .fd = c.ends[PEER] };
	struct record record;
	int i;

	expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	for (i = 0; i < SLOTS; i++)
		EXPECT_EQ(0, send_data(c.ends[PEER], &i, sizeof(i)));
	reader.buf = (char *)&record;
	reader.length = sizeof(record);
	start_blocked(_metadata, &reader);
	start_blocked(_metadata, &writer);
	unplug(_metadata, &self->it);
	expect_failed(_metadata, &reader, ENODEV);
	expect_failed(_metadata, &writer, ENODEV);
}

TEST_F(records, io_uring)
{
	static const int modes[] = { 0, IOSQE_ASYNC };
	struct io_uring_sqe request;
	struct io_uring ring;
	struct record record;
	struct channel c;
	unsigned int i;

	if (!uring_init(_metadata, &ring))
		return;
	c = open_records(_metadata, &self->it, 0);
	expect_open(_metadata, c.ends[PEER], c.ends[DEVICE]);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		request = uring_read_request(c.ends[PEER], &record, sizeof(record));
		request.flags = modes[i];
		uring_submit(_metadata, &ring, &request);
		EXPECT_FALSE(uring_is_done(&ring));
		publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
		uring_expect_end(_metadata, &ring, sizeof(record.head) + TEXT_LEN);
		EXPECT_EQ(MISC_SIM_RECORD_DATA, record.head.type);
		EXPECT_EQ(0, memcmp(text, record.payload, TEXT_LEN));
	}
}

TEST_HARNESS_MAIN
