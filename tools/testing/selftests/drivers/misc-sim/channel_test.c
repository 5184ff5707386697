// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels of misc-sim: what is written on one node is read on the other
 */

#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include "channel.h"
#include "uevents.h"

#define READERS		4
#define NUMBERS		2000	/* sent to all readers together */

FIXTURE(channel) {
	struct instance it;
};

DRIVER_VARIANTS(channel);

FIXTURE_SETUP(channel)
{
	set_up_instance(_metadata, variant->driver, &self->it);
}

FIXTURE_TEARDOWN_PARENT(channel)
{
	remove_instances(variant->driver);
}

/* Configuration and nodes */

TEST_F(channel, kind)
{
	expect_accepted(_metadata, &self->it, "kind", "channel", "channel\n");
	expect_fixed_while_live(_metadata, &self->it, "kind", "channel\n", "message");
}

TEST_F(channel, only_channels_have_a_peer)
{
	char path[PEER_PATH_LEN];

	peer_path(&self->it, path);
	plug(_metadata, &self->it);
	EXPECT_ERRNO(ENOENT, access(path, F_OK));
	unplug(_metadata, &self->it);
	configure(_metadata, &self->it, "kind", "stream");
	plug(_metadata, &self->it);
	EXPECT_ERRNO(ENOENT, access(path, F_OK));
	unplug(_metadata, &self->it);
	configure(_metadata, &self->it, "kind", "channel");
	plug(_metadata, &self->it);
	EXPECT_EQ(0, access(path, F_OK));
	unplug(_metadata, &self->it);
	EXPECT_ERRNO(ENOENT, access(path, F_OK));
}

TEST_F(channel, mode_is_that_of_the_device)
{
	char path[PEER_PATH_LEN];
	struct stat st;

	peer_path(&self->it, path);
	configure(_metadata, &self->it, "mode", "0642");
	plug_channel(_metadata, &self->it);
	ASSERT_EQ(0, stat(self->it.node, &st));
	EXPECT_EQ(S_IFCHR | 0642, st.st_mode);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(S_IFCHR | 0600, st.st_mode);
	EXPECT_EQ(0, st.st_uid);
}

static int open_as_nobody(struct __test_metadata *_metadata, const char *path)
{
	pid_t pid = fork();
	int code;

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(setuid(65534) ? -1 : open(path, O_RDWR) < 0 ? errno : 0);
	return await_exit(_metadata, pid, &code);
}

/* root sets up, and then the test needs no privileges. */
TEST_F(channel, peer_for_everyone)
{
	char path[PEER_PATH_LEN];

	peer_path(&self->it, path);
	plug_channel(_metadata, &self->it);
	EXPECT_EQ(EACCES, open_as_nobody(_metadata, path));
	ASSERT_EQ(0, chmod(path, 0666));
	EXPECT_EQ(0, open_as_nobody(_metadata, path));
}

TEST_F(channel, longest_name)
{
	struct instance inst;
	struct channel c;
	char name[80];

	snprintf(name, sizeof(name), PREFIX "%059d", 0);
	inst = make_instance(_metadata, variant->driver, name);
	c = open_channel(_metadata, &inst, O_NONBLOCK);
	send_number(_metadata, c.ends[DEVICE], 1);
	expect_number(_metadata, c.ends[PEER], 1);
}

/* The peer is there before the device, and longer. */
TEST_F(channel, uevents)
{
	static const char * const events[] = {
		"add@%s.peer", "add@%s", "remove@%s", "remove@%s.peer",
	};
	char expected[2 * PATH_LEN], buf[8192];
	int fd = open_uevents(SOCK_NONBLOCK);
	const char *event;
	unsigned int i;

	if (fd < 0)
		SKIP(return, "no uevents");

	plug_channel(_metadata, &self->it);
	unplug(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		event = next_uevent(fd, &self->it, buf, sizeof(buf));
		ASSERT_TRUE(!!event);
		snprintf(expected, sizeof(expected), events[i],
			 self->it.sysfs + strlen("/sys"));
		EXPECT_STREQ(expected, event);
	}
	EXPECT_TRUE(!next_uevent(fd, &self->it, buf, sizeof(buf)));
}

/* A channel has no current message, so it has neither a generation nor a length. */
TEST_F(channel, sysfs)
{
	static const char * const attrs[] = { "capacity", "generation", "length" };
	char path[2 * PATH_LEN];
	unsigned int i;

	configure(_metadata, &self->it, "capacity", "77");
	plug_channel(_metadata, &self->it);
	expect_file(_metadata, self->it.sysfs, "capacity", "77\n");
	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		snprintf(path, sizeof(path), "%s/%s", self->it.sysfs, attrs[i]);
		EXPECT_EQ(i ? -1 : 0, access(path, F_OK));
		snprintf(path, sizeof(path), "%s.peer/%s", self->it.sysfs, attrs[i]);
		EXPECT_ERRNO(ENOENT, access(path, F_OK));
	}
	snprintf(path, sizeof(path), "%s.peer/dev", self->it.sysfs);
	EXPECT_EQ(0, access(path, F_OK));
}

TEST_F(channel, fdinfo)
{
	struct channel c;
	__u64 i;

	configure(_metadata, &self->it, "capacity", "77");
	c = open_channel(_metadata, &self->it, 0);
	EXPECT_TRUE(fdinfo_has(_metadata, c.ends[DEVICE], "capacity", 77));
	for (i = 0; i < 3; i++) {
		EXPECT_FALSE(fdinfo_has(_metadata, c.ends[DEVICE], "generation", i));
		EXPECT_FALSE(fdinfo_has(_metadata, c.ends[DEVICE], "seen", i));
	}
}

TEST_F(channel, does_not_tick)
{
	configure(_metadata, &self->it, "kind", "channel");
	configure(_metadata, &self->it, "period_us", "1000000");
	EXPECT_ERRNO(EINVAL, set_attribute(&self->it, "live", "1"));
	expect_file(_metadata, self->it.dir, "live", "0\n");
	EXPECT_ERRNO(ENOENT, access(self->it.node, F_OK));
	configure(_metadata, &self->it, "period_us", "0");
	plug(_metadata, &self->it);
}

TEST_F(channel, no_live_message)
{
	struct channel c;

	configure(_metadata, &self->it, "message", "before");
	configure(_metadata, &self->it, "capacity", "1");
	c = open_channel(_metadata, &self->it, O_NONBLOCK);
	EXPECT_ERRNO(EOPNOTSUPP, set_attribute(&self->it, "message", text));
	expect_empty(_metadata, c.ends[DEVICE]);
	expect_empty(_metadata, c.ends[PEER]);
	expect_file(_metadata, self->it.dir, "message", "before");
}

TEST_F(channel, peer_is_opened_once)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK };
	char path[PEER_PATH_LEN];
	unsigned int i, j;
	int fd, copy;

	peer_path(&self->it, path);
	plug_channel(_metadata, &self->it);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		fd = open_node(_metadata, path, modes[i]);
		for (j = 0; j < ARRAY_SIZE(modes); j++)
			EXPECT_ERRNO(EBUSY, open(path, modes[j]));
		copy = dup(fd);
		close(fd);
		EXPECT_ERRNO(EBUSY, open(path, O_RDWR));
		close(copy);
	}
}

/* Data */

TEST_F(channel, data_both_ways)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int i;

	for (i = 0; i < ENDS; i++) {
		EXPECT_EQ(i ? READABLE | WRITABLE : WRITABLE, poll_now(_metadata, c.ends[!i]));
		publish(_metadata, c.ends[!i], "one", 3);
		publish(_metadata, c.ends[!i], "three", 5);
		publish(_metadata, c.ends[!i], text, TEXT_LEN);
	}
	for (i = 0; i < ENDS; i++) {
		expect_message(_metadata, c.ends[i], "one", 3);
		expect_message(_metadata, c.ends[i], "three", 5);
		expect_message(_metadata, c.ends[i], text, TEXT_LEN);
		expect_empty(_metadata, c.ends[i]);
	}
}

TEST_F(channel, queue_holds_16_messages)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	struct iovec iov = { (void *)text, TEXT_LEN };
	int i, round;

	for (i = 0; i < ENDS; i++) {
		for (round = 0; round < 3; round++) {
			fill_queue(_metadata, c.ends[i]);
			EXPECT_ERRNO(EAGAIN, write(c.ends[i], text, TEXT_LEN));
			EXPECT_ERRNO(EAGAIN, pwritev2(c.ends[i], &iov, 1, -1, RWF_NOWAIT));
			EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[!i]));
			expect_queue(_metadata, c.ends[!i], 0);
			expect_empty(_metadata, c.ends[!i]);
		}
	}
}

TEST_F(channel, queues_are_independent)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int i;

	for (i = 0; i < ENDS; i++)
		fill_queue(_metadata, c.ends[i]);
	for (i = 0; i < ENDS; i++) {
		EXPECT_EQ(READABLE, poll_now(_metadata, c.ends[i]));
		EXPECT_ERRNO(EAGAIN, write(c.ends[i], text, TEXT_LEN));
	}
	for (i = 0; i < ENDS; i++) {
		expect_queue(_metadata, c.ends[i], 0);
		expect_empty(_metadata, c.ends[i]);
	}
}

/* A message leaves the queue when its first byte is read. */
TEST_F(channel, taking_frees_the_slot)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int i, number = 0;
	char buf[8];

	for (i = 0; i < ENDS; i++) {
		fill_queue(_metadata, c.ends[i]);
		EXPECT_EQ(1, read(c.ends[!i], buf, 1));
		EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[i]) & WRITABLE);
		send_number(_metadata, c.ends[i], SLOTS);
		EXPECT_ERRNO(EAGAIN, write(c.ends[i], text, TEXT_LEN));
		EXPECT_EQ(sizeof(number) - 1, read(c.ends[!i], buf + 1, sizeof(number)));
		EXPECT_EQ(0, memcmp(&number, buf, sizeof(number)));
		expect_queue(_metadata, c.ends[!i], 1);
		expect_number(_metadata, c.ends[!i], SLOTS);
		expect_empty(_metadata, c.ends[!i]);
	}
}

TEST_F(channel, read_goes_on_in_its_message)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	char buf[TEXT_POS];
	int i;

	for (i = 0; i < ENDS; i++) {
		publish(_metadata, c.ends[i], text, TEXT_LEN);
		publish(_metadata, c.ends[i], "next", 4);
		EXPECT_EQ(TEXT_POS, read(c.ends[!i], buf, TEXT_POS));
		EXPECT_EQ(0, memcmp(text, buf, TEXT_POS));
		EXPECT_EQ(READABLE, poll_now(_metadata, c.ends[!i]) & READABLE);
		expect_message(_metadata, c.ends[!i], text + TEXT_POS, TEXT_LEN - TEXT_POS);
		expect_message(_metadata, c.ends[!i], "next", 4);
		expect_empty(_metadata, c.ends[!i]);
	}
}

/* The file that takes a message owns its rest. */
TEST_F(channel, rest_belongs_to_the_file)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int other = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK);
	int taker = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK);
	char buf[TEXT_POS];

	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	EXPECT_EQ(TEXT_POS, read(taker, buf, TEXT_POS));
	expect_empty(_metadata, other);
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, taker));
	publish(_metadata, c.ends[PEER], "next", 4);
	expect_message(_metadata, other, "next", 4);
	expect_message(_metadata, taker, text + TEXT_POS, TEXT_LEN - TEXT_POS);
	expect_empty(_metadata, taker);

	/* Closing loses it. */
	publish(_metadata, c.ends[PEER], text, TEXT_LEN);
	EXPECT_EQ(TEXT_POS, read(taker, buf, TEXT_POS));
	close(taker);
	expect_empty(_metadata, other);
}

TEST_F(channel, rest_is_lost_when_the_peer_closes)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	char buf[TEXT_POS];

	publish(_metadata, c.ends[DEVICE], text, TEXT_LEN);
	publish(_metadata, c.ends[DEVICE], "next", 4);
	EXPECT_EQ(TEXT_POS, read(c.ends[PEER], buf, TEXT_POS));
	close(c.ends[PEER]);
	c.ends[PEER] = open_peer(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	expect_message(_metadata, c.ends[PEER], "next", 4);
	expect_empty(_metadata, c.ends[PEER]);
}

TEST_F(channel, closing_drops_nothing_that_is_queued)
{
	struct channel c;
	int i;

	plug_channel(_metadata, &self->it);
	c.ends[DEVICE] = open_node(_metadata, self->it.node, O_WRONLY | O_NONBLOCK);
	fill_queue(_metadata, c.ends[DEVICE]);
	EXPECT_ERRNO(EAGAIN, write(c.ends[DEVICE], text, TEXT_LEN));
	close(c.ends[DEVICE]);

	c.ends[PEER] = open_peer(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	fill_queue(_metadata, c.ends[PEER]);
	expect_number(_metadata, c.ends[PEER], 0);
	close(c.ends[PEER]);

	c.ends[DEVICE] = open_node(_metadata, self->it.node, O_RDWR | O_NONBLOCK);
	EXPECT_EQ(READABLE | WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
	c.ends[PEER] = open_peer(_metadata, &self->it, O_RDWR | O_NONBLOCK);
	for (i = 0; i < ENDS; i++) {
		expect_queue(_metadata, c.ends[i], i == PEER);
		expect_empty(_metadata, c.ends[i]);
	}
}

/* The hardware is there as long as the device is. */
TEST_F(channel, no_hangup_without_a_peer)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);

	EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
	close(c.ends[PEER]);
	EXPECT_EQ(WRITABLE, poll_now(_metadata, c.ends[DEVICE]));
	expect_empty(_metadata, c.ends[DEVICE]);
}

TEST_F(channel, capacity)
{
	struct channel c;
	char buf[9] = "12345678";
	int i;

	configure(_metadata, &self->it, "capacity", "8");
	c = open_channel(_metadata, &self->it, O_NONBLOCK);
	for (i = 0; i < ENDS; i++) {
		EXPECT_ERRNO(EMSGSIZE, write(c.ends[i], buf, 9));
		EXPECT_ERRNO(EMSGSIZE, write(c.ends[i], bad_page(_metadata), 1 << 26));
		expect_empty(_metadata, c.ends[!i]);
		publish(_metadata, c.ends[i], buf, 8);
		expect_message(_metadata, c.ends[!i], buf, 8);

		/* Even if the queue is full */
		fill_queue(_metadata, c.ends[i]);
		EXPECT_ERRNO(EMSGSIZE, write(c.ends[i], buf, 9));
	}
}

TEST_F(channel, largest_capacity)
{
	size_t length = 1048576, i;
	char *out = malloc(length), *in = malloc(length + 1);
	struct channel c;

	ASSERT_TRUE(out && in);
	for (i = 0; i < length; i++)
		out[i] = i * 7 + i / 256;
	configure(_metadata, &self->it, "capacity", "1048576");
	c = open_channel(_metadata, &self->it, O_NONBLOCK);
	for (i = 0; i < ENDS; i++) {
		publish(_metadata, c.ends[i], out, length);
		EXPECT_EQ(length, read(c.ends[!i], in, length + 1));
		EXPECT_EQ(0, memcmp(out, in, length));
	}
	free(out);
	free(in);
}

TEST_F(channel, nothing)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	char byte;
	int i;

	for (i = 0; i < ENDS; i++) {
		EXPECT_EQ(0, write(c.ends[i], &byte, 0));
		expect_empty(_metadata, c.ends[!i]);
		EXPECT_EQ(0, read(c.ends[!i], &byte, 0));
		publish(_metadata, c.ends[i], "new", 3);
		EXPECT_EQ(0, read(c.ends[!i], &byte, 0));
		expect_message(_metadata, c.ends[!i], "new", 3);
	}
}

TEST_F(channel, vectors)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	char a[TEXT_POS], b[64];
	struct iovec in[] = { { a, sizeof(a) }, { NULL, 0 }, { b, sizeof(b) } };
	struct iovec out[] = { { (char *)"one", 3 }, { NULL, 0 }, { (char *)"three", 5 } };
	int i;

	for (i = 0; i < ENDS; i++) {
		memset(b, POISON, sizeof(b));
		EXPECT_EQ(8, writev(c.ends[i], out, ARRAY_SIZE(out)));
		publish(_metadata, c.ends[i], "next", 4);
		EXPECT_EQ(8, readv(c.ends[!i], in, ARRAY_SIZE(in)));
		EXPECT_EQ(0, memcmp("oneth", a, sizeof(a)));
		EXPECT_EQ(0, memcmp("ree", b, 3));
		EXPECT_EQ(POISON, (unsigned char)b[3]);
		expect_message(_metadata, c.ends[!i], "next", 4);
	}
}

TEST_F(channel, read_bad_pointer)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	char *bad = bad_page(_metadata);
	size_t stored;
	int i;

	for (i = 0; i < ENDS; i++) {
		publish(_metadata, c.ends[i], text, TEXT_LEN);
		publish(_metadata, c.ends[i], "next", 4);
		EXPECT_ERRNO(EFAULT, read(c.ends[!i], bad, TEXT_LEN));
		stored = read_partly(_metadata, c.ends[!i], bad, TEXT_POS, text, TEXT_LEN);
		EXPECT_ERRNO(EFAULT, read(c.ends[!i], bad, TEXT_LEN));
		expect_message(_metadata, c.ends[!i], text + stored, TEXT_LEN - stored);
		expect_message(_metadata, c.ends[!i], "next", 4);
	}
}

TEST_F(channel, write_bad_pointer)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	char *bad = bad_page(_metadata);
	int i;

	for (i = 0; i < ENDS; i++) {
		EXPECT_ERRNO(EFAULT, write(c.ends[i], bad, 1));
		EXPECT_ERRNO(EFAULT, write(c.ends[i], bad - 4, 5));
		expect_empty(_metadata, c.ends[!i]);
	}
}

TEST_F(channel, no_position)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int i, whence;
	char byte;

	for (i = 0; i < ENDS; i++) {
		publish(_metadata, c.ends[!i], "message", 7);
		EXPECT_ERRNO(ESPIPE, pread(c.ends[i], &byte, 1, 0));
		EXPECT_ERRNO(ESPIPE, pwrite(c.ends[i], &byte, 1, 0));
		for (whence = SEEK_SET; whence <= SEEK_END; whence++)
			EXPECT_ERRNO(ESPIPE, lseek(c.ends[i], 0, whence));
		expect_message(_metadata, c.ends[i], "message", 7);
		expect_empty(_metadata, c.ends[!i]);
	}
}

TEST_F(channel, no_mmap)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int i;

	for (i = 0; i < ENDS; i++) {
		EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_READ, MAP_SHARED,
						c.ends[i], 0));
		EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE,
						c.ends[i], 0));
	}
}

/* A splice would sleep while it holds the mutex of the pipe. */
TEST_F(channel, no_splice)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	int file = memfd_create("misc-sim", MFD_CLOEXEC);
	int i, pipe[2], queued = -1;
	off_t offset = 0;

	ASSERT_LE(0, file);
	publish(_metadata, file, "in the file", 11);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	publish(_metadata, pipe[1], "in the pipe", 11);
	for (i = 0; i < ENDS; i++) {
		publish(_metadata, c.ends[!i], text, TEXT_LEN);
		EXPECT_ERRNO(EINVAL, sendfile(file, c.ends[i], NULL, 4096));
		EXPECT_ERRNO(EINVAL, sendfile(c.ends[i], file, &offset, 4096));
		EXPECT_ERRNO(EINVAL, splice(c.ends[i], NULL, pipe[1], NULL, 4096, 0));
		EXPECT_ERRNO(EINVAL, splice(pipe[0], NULL, c.ends[i], NULL, 4096, 0));
		ASSERT_EQ(0, ioctl(pipe[0], FIONREAD, &queued));
		EXPECT_EQ(11, queued);
		expect_message(_metadata, c.ends[i], text, TEXT_LEN);
		expect_empty(_metadata, c.ends[!i]);
	}
}

/* Even if the argument is wrong too */
TEST_F(channel, no_ioctls)
{
	struct channel c = open_channel(_metadata, &self->it, O_NONBLOCK);
	char *bad = bad_page(_metadata);
	int i;

	for (i = 0; i < ENDS; i++) {
		EXPECT_ERRNO(ENOTTY, ioctl(c.ends[i], MISC_SIM_IOC_INFO, bad));
		EXPECT_ERRNO(ENOTTY, ioctl(c.ends[i], MISC_SIM_IOC_REPLACE, bad));
		EXPECT_ERRNO(ENOTTY, ioctl(c.ends[i], TCGETS, bad));
		EXPECT_ERRNO(ENOTTY, ioctl(c.ends[i], 0, bad));
		EXPECT_EQ(0, isatty(c.ends[i]));
	}
}

struct counter {
	struct blocked call;
	unsigned int got[NUMBERS];
	unsigned int failures;
};

/* Read numbers until the device is unplugged. */
static ssize_t count_numbers(struct blocked *blocked)
{
	struct counter *counter = (struct counter *)blocked;
	int number;
	ssize_t ret;

	while ((ret = read(blocked->fd, &number, sizeof(number))) > 0) {
		if (ret != sizeof(number) || number < 0 || number >= NUMBERS)
			counter->failures++;
		else
			counter->got[number]++;
	}
	return ret;
}

/* Some of them share a file. */
TEST_F(channel, each_message_has_one_reader)
{
	static struct counter counters[READERS];
	struct channel c = open_channel(_metadata, &self->it, 0);
	unsigned int i, j, got, wrong = 0;
	long long deadline = now_ms() + DEADLINE_MS;

	for (i = 0; i < READERS; i++) {
		counters[i].call.call = count_numbers;
		counters[i].call.fd = i < 2 ? c.ends[DEVICE] :
				      open_node(_metadata, self->it.node, O_RDONLY);
		start_blocked(_metadata, &counters[i].call);
	}
	for (i = 0; i < NUMBERS; i++)
		send_number(_metadata, c.ends[PEER], i);
	while (poll_now(_metadata, c.ends[DEVICE]) & READABLE) {
		ASSERT_LT(now_ms(), deadline);
		sched_yield();
	}
	for (i = 0; i < READERS; i++)
		await_blocked(_metadata, &counters[i].call);
	unplug(_metadata, &self->it);
	for (i = 0; i < READERS; i++) {
		expect_failed(_metadata, &counters[i].call, ENODEV);
		EXPECT_EQ(0, counters[i].failures);
	}
	for (i = 0; i < NUMBERS; i++) {
		for (j = got = 0; j < READERS; j++)
			got += counters[j].got[i];
		wrong += got != 1;
	}
	EXPECT_EQ(0, wrong);
}

TEST_HARNESS_MAIN
