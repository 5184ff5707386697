// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of a message device: its generations, and replacing a message
 */

#include <sys/sendfile.h>
#include <sys/uio.h>
#include "blocked.h"
#include "info.h"
#include "module.h"
#include "polling.h"
#include "variants.h"

#define RACES		200	/* rounds */

FIXTURE(ioctl) {
	int fd;			/* has read nothing yet */
};

DRIVER_VARIANTS(ioctl);

FIXTURE_SETUP(ioctl)
{
	if (load_driver(_metadata, variant->driver))
		self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
}

FIXTURE_TEARDOWN(ioctl)
{
}

/* Information */

TEST_F(ioctl, info_of_first_message)
{
	const struct driver *driver = variant->driver;
	struct misc_sim_info info = get_info(_metadata, self->fd);

	close(self->fd);
	if (info.generation != 1 && !load_again(_metadata, driver))
		return;
	self->fd = open_node(_metadata, driver->node, O_RDWR);
	info = get_info(_metadata, self->fd);
	EXPECT_EQ(1, info.generation);
	EXPECT_EQ(0, info.seen);
	EXPECT_EQ(strlen(driver->greeting), info.length);
	EXPECT_EQ(CAPACITY, info.capacity);
	expect_rest(_metadata, self->fd, driver->greeting, info.length);
	EXPECT_EQ(1, get_info(_metadata, self->fd).seen);
}

TEST_F(ioctl, info)
{
	int writer = open_node(_metadata, variant->driver->node, O_WRONLY);
	int reader = open_node(_metadata, variant->driver->node, O_RDONLY);
	struct misc_sim_info info, old = get_info(_metadata, self->fd);

	publish(_metadata, writer, text, TEXT_LEN);
	info = get_info(_metadata, reader);
	EXPECT_EQ(old.generation + 1, info.generation);
	EXPECT_EQ(0, info.seen);
	EXPECT_EQ(TEXT_LEN, info.length);
	EXPECT_EQ(CAPACITY, info.capacity);
	EXPECT_EQ(CAPACITY, old.capacity);
	expect_rest(_metadata, reader, text, TEXT_LEN);
	EXPECT_EQ(info.generation, get_info(_metadata, reader).seen);
	EXPECT_EQ(0, get_info(_metadata, writer).seen);
	EXPECT_EQ(info.generation, get_info(_metadata, writer).generation);
}

TEST_F(ioctl, info_bad_pointer)
{
	char *bad = bad_page(_metadata);

	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_INFO, NULL));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_INFO, bad));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_INFO, bad - 8));
}

TEST_F(ioctl, seen)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	char buf[TEXT_LEN];

	EXPECT_GT(before.generation, before.seen);
	EXPECT_EQ(TEXT_LEN - TEXT_POS - 1,
		  read(self->fd, buf, TEXT_LEN - TEXT_POS - 1));
	EXPECT_EQ(before.seen, get_info(_metadata, self->fd).seen);
	EXPECT_EQ(1, read(self->fd, buf, 1));
	EXPECT_EQ(before.generation, get_info(_metadata, self->fd).seen);
}

TEST_F(ioctl, seen_at_end_of_file)
{
	int fd = open_node(_metadata, variant->driver->node, O_RDONLY);
	char c;

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(0, pread(fd, &c, 1, TEXT_LEN));
	EXPECT_EQ(get_info(_metadata, fd).generation,
		  get_info(_metadata, fd).seen);
}

TEST_F(ioctl, seen_needs_last_byte)
{
	char c, *bad = bad_page(_metadata);
	unsigned int good;
	int fd;

	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_EQ(0, read(self->fd, &c, 0));
	EXPECT_EQ(0, pread(self->fd, &c, 0, 100));
	EXPECT_EQ(0, get_info(_metadata, self->fd).seen);
	for (good = 1; good < TEXT_LEN; good++) {
		fd = open_node(_metadata, variant->driver->node, O_RDONLY);
		read_partly(_metadata, fd, bad, good, text, TEXT_LEN);
		EXPECT_EQ(0, get_info(_metadata, fd).seen);
		close(fd);
	}
	ASSERT_TRUE(mmap(NULL, page_size(), PROT_READ, MAP_SHARED, self->fd, 0) != MAP_FAILED);
	EXPECT_EQ(0, get_info(_metadata, self->fd).seen);
}

/* Generations */

/* A write has returned @ret and published one message. */
static void expect_published(struct __test_metadata *_metadata, int fd, __u64 *generation,
			     size_t length, ssize_t ret)
{
	struct misc_sim_info info = get_info(_metadata, fd);

	EXPECT_EQ(length, ret);
	EXPECT_EQ(length, info.length);
	EXPECT_EQ(*generation + 1, info.generation);
	*generation = info.generation;
}

TEST_F(ioctl, generation_grows_with_each_publication)
{
	struct iovec iov[] = { { "one", 3 }, { NULL, 0 }, { "two", 3 } };
	int file = memfd_create("misc-sim", MFD_CLOEXEC);
	char full[CAPACITY] = {};
	int pipe[2], fd = self->fd;
	__u64 generation;
	off_t offset = 0;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK | O_DIRECT));
	publish(_metadata, file, "from a file", 11);
	publish(_metadata, pipe[1], "one", 3);
	publish(_metadata, pipe[1], "two", 3);

	generation = get_info(_metadata, fd).generation;
	expect_published(_metadata, fd, &generation, 3, write(fd, "new", 3));
	expect_published(_metadata, fd, &generation, CAPACITY, write(fd, full, CAPACITY));
	expect_published(_metadata, fd, &generation, 3, pwrite(fd, "new", 3, 1000));
	expect_published(_metadata, fd, &generation, 6, writev(fd, iov, ARRAY_SIZE(iov)));
	expect_published(_metadata, fd, &generation, 3, pwritev2(fd, iov, 1, -1, RWF_NOWAIT));
	expect_published(_metadata, fd, &generation, 6,
			 splice(pipe[0], NULL, fd, NULL, CAPACITY, 0));
	expect_published(_metadata, fd, &generation, 11, sendfile(fd, file, &offset, CAPACITY));
}

TEST_F(ioctl, failures_change_nothing)
{
	char buf[CAPACITY + 1] = {}, *bad = bad_page(_metadata);
	struct iovec partly_bad[] = { { "one", 3 }, { bad, 1 } };
	struct iovec longer[] = { { "one", 3 }, { buf, CAPACITY - 2 } };
	struct misc_sim_info before;
	unsigned int good;
	int pipe[2];

	ASSERT_EQ(0, pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
	publish(_metadata, pipe[1], buf, sizeof(buf));
	before = start_reading(_metadata, self->fd);
	EXPECT_EQ(0, write(self->fd, "", 0));
	EXPECT_EQ(0, pwrite(self->fd, "", 0, 3));
	EXPECT_ERRNO(EFAULT, write(self->fd, bad, TEXT_LEN));
	for (good = 1; good < 2 * TEXT_LEN; good++)
		EXPECT_ERRNO(EFAULT, write(self->fd, bad - good, good + 1));
	EXPECT_ERRNO(EFAULT, writev(self->fd, partly_bad, ARRAY_SIZE(partly_bad)));
	EXPECT_ERRNO(EMSGSIZE, write(self->fd, buf, sizeof(buf)));
	EXPECT_ERRNO(EMSGSIZE, write(self->fd, bad, 1 << 26));
	EXPECT_ERRNO(EMSGSIZE, writev(self->fd, longer, ARRAY_SIZE(longer)));
	EXPECT_ERRNO(EMSGSIZE, splice(pipe[0], NULL, self->fd, NULL, sizeof(buf), 0));
	EXPECT_ERRNO(EFAULT, read(self->fd, bad, TEXT_LEN));
	EXPECT_ERRNO(EFAULT, pread(self->fd, bad, 1, 0));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, 0, SEEK_END));
	EXPECT_ERRNO(EINVAL, lseek(self->fd, -1, SEEK_SET));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(ioctl, generation_while_writer_copies)
{
	int other = open_node(_metadata, variant->driver->node, O_RDWR);
	struct blocked call = { .call = blocked_write, .fd = other, .length = 10 };
	struct misc_sim_info before;
	struct hole hole;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	before = start_reading(_metadata, self->fd);
	call.buf = hole.page - 4;
	start_call(_metadata, &call);
	await_fault(_metadata, &hole);
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
	publish(_metadata, self->fd, "does not wait", 13);
	EXPECT_EQ(before.generation + 1, get_info(_metadata, self->fd).generation);
	fill_hole(_metadata, &hole, "", 0);
	finish_blocked(_metadata, &call);
	EXPECT_EQ(10, call.ret);
	EXPECT_EQ(before.generation + 2, get_info(_metadata, self->fd).generation);
}

/* Replacing */

TEST_F(ioctl, replace)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);

	EXPECT_EQ(0, replace(self->fd, before.generation, "new", 3));
	EXPECT_EQ(before.generation + 1, get_info(_metadata, self->fd).generation);
	EXPECT_EQ(3, get_info(_metadata, self->fd).length);
	expect_current(_metadata, variant->driver->node, "new", 3);

	/* The position has not moved. */
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
}

TEST_F(ioctl, replace_stale)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	__u64 generation = before.generation;

	EXPECT_ERRNO(ESTALE, replace(self->fd, 0, "new", 3));
	EXPECT_ERRNO(ESTALE, replace(self->fd, generation - 1, "new", 3));
	EXPECT_ERRNO(ESTALE, replace(self->fd, generation + 1, "new", 3));
	EXPECT_ERRNO(ESTALE, replace(self->fd, generation | 1ULL << 32, "new", 3));
	EXPECT_ERRNO(ESTALE, replace(self->fd, ~0ULL, "new", 3));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(ioctl, replace_length)
{
	struct misc_sim_info before;
	char buf[CAPACITY + 1];

	memset(buf, 'x', sizeof(buf));
	EXPECT_EQ(0, replace(self->fd, get_info(_metadata, self->fd).generation, buf, CAPACITY));
	expect_current(_metadata, variant->driver->node, buf, CAPACITY);
	EXPECT_EQ(0, replace(self->fd, get_info(_metadata, self->fd).generation, NULL, 0));
	expect_current(_metadata, variant->driver->node, "", 0);

	before = start_reading(_metadata, self->fd);
	EXPECT_ERRNO(EMSGSIZE, replace(self->fd, before.generation, buf, CAPACITY + 1));
	EXPECT_ERRNO(EMSGSIZE, replace(self->fd, before.generation, buf, ~0U));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

/* With length 0 the driver ignores the pointer and checks everything else. */
TEST_F(ioctl, replace_by_empty_message)
{
	const __u64 pointers[] = { 0, 1, (uintptr_t)bad_page(_metadata), 1ULL << 63, ~0ULL };
	struct misc_sim_replace arg = {};
	struct misc_sim_info before;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pointers); i++) {
		before = start_reading(_metadata, self->fd);
		arg.data = pointers[i];
		arg.generation = before.generation;
		arg.reserved = 1;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
		arg.reserved = 0;
		arg.generation--;
		EXPECT_ERRNO(ESTALE, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
		arg.generation++;
		EXPECT_EQ(0, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
		EXPECT_EQ(before.generation + 1, get_info(_metadata, self->fd).generation);
		expect_current(_metadata, variant->driver->node, "", 0);
	}
}

TEST_F(ioctl, replace_reserved)
{
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	struct misc_sim_replace arg = {
		.generation = before.generation,
		.data = (uintptr_t)"new",
		.length = 3,
	};
	int bit;

	for (bit = 0; bit < 32; bit++) {
		arg.reserved = 1U << bit;
		EXPECT_ERRNO(EINVAL, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	}
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(ioctl, replace_bad_pointer)
{
	char *bad = bad_page(_metadata);
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	struct misc_sim_replace arg = {
		.generation = before.generation,
		.length = 3,
	};

	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, NULL));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, bad));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, bad - 8));
	EXPECT_ERRNO(EFAULT, replace(self->fd, before.generation, NULL, 1));
	EXPECT_ERRNO(EFAULT, replace(self->fd, before.generation, bad, 1));
	EXPECT_ERRNO(EFAULT, replace(self->fd, before.generation, bad - 2, 3));

	/* The driver uses all 64 bits, even if a pointer has 32. */
	arg.data = (uintptr_t)"new" | 1ULL << 63;
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

/* Each call has the expected error and all those that the driver checks for later. */
TEST_F(ioctl, replace_order_of_checks)
{
	int reader = open_node(_metadata, variant->driver->node, O_RDONLY);
	char *bad = bad_page(_metadata);
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	struct misc_sim_replace arg = {
		.generation = before.generation + 1,
		.data = (uintptr_t)bad,
		.length = CAPACITY + 1,
		.reserved = 1,
	};

	EXPECT_ERRNO(EBADF, ioctl(reader, MISC_SIM_IOC_REPLACE, bad));
	EXPECT_ERRNO(EBADF, ioctl(reader, MISC_SIM_IOC_REPLACE, &arg));
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, bad));
	EXPECT_ERRNO(EINVAL, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	arg.reserved = 0;
	EXPECT_ERRNO(EMSGSIZE, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	arg.length = 1;
	EXPECT_ERRNO(ESTALE, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	arg.generation = before.generation;
	EXPECT_ERRNO(EFAULT, ioctl(self->fd, MISC_SIM_IOC_REPLACE, &arg));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_F(ioctl, replace_stale_at_publication)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);
	struct blocked call = { .call = blocked_replace, .fd = self->fd, .length = 10 };
	struct hole hole;

	if (!make_hole(_metadata, &hole))
		SKIP(return, "no userfaultfd");

	call.generation = get_info(_metadata, self->fd).generation;
	call.buf = hole.page - 4;
	start_call(_metadata, &call);
	await_fault(_metadata, &hole);
	publish(_metadata, other, text, TEXT_LEN);
	fill_hole(_metadata, &hole, text, TEXT_LEN);
	expect_failed(_metadata, &call, ESTALE);
	EXPECT_EQ(call.generation + 1, get_info(_metadata, self->fd).generation);
	expect_current(_metadata, variant->driver->node, text, TEXT_LEN);
}

struct racer {
	pthread_t thread;
	pthread_barrier_t *barrier;
	int fd;
	__u32 id;
	__u64 generation;	/* of the first round */
	__u32 won[RACES];
	__u32 failures;
};

static void *race_to_replace(void *arg)
{
	struct racer *racer = arg;
	unsigned int round;

	for (round = 0; round < RACES; round++) {
		pthread_barrier_wait(racer->barrier);
		if (!replace(racer->fd, racer->generation + round,
			     &racer->id, sizeof(racer->id)))
			racer->won[round] = 1;
		else if (errno != ESTALE)
			racer->failures++;
	}
	return NULL;
}

/* All threads replace the same generation at the same time. One succeeds. */
TEST_F(ioctl, replace_race)
{
	__u64 generation = get_info(_metadata, self->fd).generation;
	struct racer racers[4] = {};
	pthread_barrier_t barrier;
	unsigned int i, round, winners;
	__u32 last = 0;

	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, ARRAY_SIZE(racers)));
	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		racers[i].fd = open_node(_metadata, variant->driver->node, O_WRONLY);
		racers[i].barrier = &barrier;
		racers[i].id = i;
		racers[i].generation = generation;
		ASSERT_EQ(0, pthread_create(&racers[i].thread, NULL,
					    race_to_replace, &racers[i]));
	}
	for (i = 0; i < ARRAY_SIZE(racers); i++) {
		join_thread(_metadata, racers[i].thread);
		EXPECT_EQ(0, racers[i].failures);
		if (racers[i].won[RACES - 1])
			last = i;
	}
	for (round = 0; round < RACES; round++) {
		for (i = winners = 0; i < ARRAY_SIZE(racers); i++)
			winners += racers[i].won[round];
		ASSERT_EQ(1, winners);
	}
	EXPECT_EQ(generation + RACES, get_info(_metadata, self->fd).generation);
	expect_rest(_metadata, self->fd, &last, sizeof(last));
}

TEST_F(ioctl, replace_wakes_pollers)
{
	int epoll;

	publish(_metadata, self->fd, text, TEXT_LEN);
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
	epoll = epoll_of(_metadata, self->fd, EPOLLPRI);
	EXPECT_EQ(0, epoll_now(_metadata, epoll));
	ASSERT_EQ(0, replace(self->fd, get_info(_metadata, self->fd).generation, "new", 3));
	EXPECT_EQ(EPOLLPRI, epoll_now(_metadata, epoll));
}

/* Only replace can publish an empty message. */
TEST_F(ioctl, empty_message)
{
	int fd = open_node(_metadata, variant->driver->node, O_RDONLY | O_NONBLOCK);
	size_t i, dirt = 0;
	char *map;

	ASSERT_EQ(0, replace(self->fd, get_info(_metadata, self->fd).generation, NULL, 0));
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, fd));
	expect_rest(_metadata, fd, "", 0);
	EXPECT_EQ(MESSAGE_SEEN, poll_now(_metadata, fd));
	expect_current(_metadata, variant->driver->node, "", 0);

	map = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_TRUE(map != MAP_FAILED);
	for (i = 0; i < page_size(); i++)
		dirt += !!map[i];
	EXPECT_EQ(0, dirt);
}

TEST_F(ioctl, unknown_commands)
{
	static const unsigned int sizes[] = {
		0, 4, 8, sizeof(struct misc_sim_replace), sizeof(struct misc_sim_info), 64,
	};
	struct misc_sim_info before = start_reading(_metadata, self->fd);
	char buf[64] = {};
	unsigned int dir, nr, i, cmd, known = 0;

	for (dir = 0; dir < 4; dir++) {
		for (nr = 0; nr < 256; nr++) {
			for (i = 0; i < ARRAY_SIZE(sizes); i++) {
				cmd = _IOC(dir, MISC_SIM_IOC_MAGIC, nr, sizes[i]);
				if (cmd == MISC_SIM_IOC_INFO || cmd == MISC_SIM_IOC_REPLACE) {
					known++;
					continue;
				}
				ASSERT_EQ(-1, ioctl(self->fd, cmd, buf)) TH_LOG("%#x", cmd);
				ASSERT_EQ(ENOTTY, errno) TH_LOG("%#x", cmd);
			}
		}
	}
	EXPECT_EQ(2, known);
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, FIONREAD, buf));
	EXPECT_ERRNO(ENOTTY, ioctl(self->fd, TCGETS, buf));
	expect_unchanged(_metadata, self->fd, variant->driver->node, &before);
}

TEST_HARNESS_MAIN
