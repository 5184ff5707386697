// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of a message device
 */

#include "blocked.h"
#include "message.h"
#include "polling.h"
#include "variants.h"

FIXTURE(mmap) {
	int fd;			/* has read nothing yet */
};

DRIVER_VARIANTS(mmap);

FIXTURE_SETUP(mmap)
{
	if (load_driver(_metadata, variant->driver))
		self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
}

FIXTURE_TEARDOWN(mmap)
{
}

static char *map_message(struct __test_metadata *_metadata, int fd, int flags)
{
	char *map = mmap(NULL, page_size(), PROT_READ, flags, fd, 0);

	ASSERT_TRUE(map != MAP_FAILED);
	return map;
}

/* The page holds the message, and zeros after it. */
static void expect_mapped(struct __test_metadata *_metadata, const char *map,
			  const void *expected, size_t length)
{
	size_t i, dirt = 0;

	EXPECT_EQ(0, memcmp(expected, map, length));
	for (i = length; i < page_size(); i++)
		dirt += !!map[i];
	EXPECT_EQ(0, dirt);
}

TEST_F(mmap, shared_and_private)
{
	char full[CAPACITY];
	int fd;

	/* If the page kept old content, this would show. */
	memset(full, POISON, sizeof(full));
	publish(_metadata, self->fd, full, sizeof(full));

	publish(_metadata, self->fd, text, TEXT_LEN);
	fd = open_node(_metadata, variant->driver->node, O_RDONLY);
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_SHARED), text, TEXT_LEN);
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_PRIVATE), text, TEXT_LEN);
	expect_mapped(_metadata, map_message(_metadata, fd, MAP_SHARED), text, TEXT_LEN);
	expect_mapped(_metadata, map_message(_metadata, fd, MAP_PRIVATE), text, TEXT_LEN);
}

TEST_F(mmap, full_message)
{
	char full[CAPACITY];
	size_t i;

	for (i = 0; i < CAPACITY; i++)
		full[i] = i * 7 + i / 256;
	publish(_metadata, self->fd, full, CAPACITY);
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_SHARED), full, CAPACITY);
}

TEST_F(mmap, writable_or_executable)
{
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	int reader = open_node(_metadata, variant->driver->node, O_RDONLY);
	int writer = open_node(_metadata, variant->driver->node, O_WRONLY);
	size_t size = page_size();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		EXPECT_ERRNO(EPERM, (long)mmap(NULL, size, PROT_READ | PROT_WRITE,
					       flags[i], self->fd, 0));
		EXPECT_ERRNO(EPERM, (long)mmap(NULL, size, PROT_WRITE,
					       flags[i], self->fd, 0));
		EXPECT_ERRNO(EPERM, (long)mmap(NULL, size, PROT_READ | PROT_EXEC,
					       flags[i], self->fd, 0));
		EXPECT_ERRNO(EACCES, (long)mmap(NULL, size, PROT_READ,
						flags[i], writer, 0));
	}
	EXPECT_ERRNO(EACCES, (long)mmap(NULL, size, PROT_READ | PROT_WRITE,
					MAP_SHARED, reader, 0));
	EXPECT_ERRNO(EPERM, (long)mmap(NULL, size, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE, reader, 0));
}

TEST_F(mmap, made_writable_or_executable)
{
	static const int flags[] = { MAP_SHARED, MAP_PRIVATE };
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	unsigned int i;
	char *map;

	ASSERT_LE(0, mem);
	publish(_metadata, self->fd, text, TEXT_LEN);
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		map = map_message(_metadata, self->fd, flags[i]);
		EXPECT_ERRNO(EACCES, mprotect(map, page_size(), PROT_WRITE));
		EXPECT_ERRNO(EACCES, mprotect(map, page_size(), PROT_READ | PROT_WRITE));
		EXPECT_ERRNO(EACCES, mprotect(map, page_size(), PROT_EXEC));
		EXPECT_ERRNO(EACCES, mprotect(map, page_size(), PROT_READ | PROT_EXEC));
		EXPECT_EQ(-1, pwrite(mem, "X", 1, (uintptr_t)map));
		EXPECT_EQ(0, mprotect(map, page_size(), PROT_NONE));
		EXPECT_EQ(0, mprotect(map, page_size(), PROT_READ));
		expect_mapped(_metadata, map, text, TEXT_LEN);
	}
	expect_current(_metadata, variant->driver->node, text, TEXT_LEN);
}

TEST_F(mmap, beyond_capacity)
{
	size_t size = page_size();

	/* The length of the message does not matter. */
	publish(_metadata, self->fd, text, TEXT_LEN);
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, 2 * size, PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, size, PROT_READ, MAP_SHARED, self->fd, size));
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, size, PROT_READ, MAP_PRIVATE, self->fd,
					(off_t)1 << 31));

	/* EPERM comes first. */
	EXPECT_ERRNO(EPERM, (long)mmap(NULL, 2 * size, PROT_WRITE, MAP_SHARED, self->fd, 0));
}

/* Neither the pinned message nor the position matters. Mapping is not reading. */
TEST_F(mmap, shows_current_message)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);

	leave_midway(_metadata, self->fd);
	publish(_metadata, other, "new", 3);
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_SHARED), "new", 3);
	publish(_metadata, other, "newer", 5);
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_PRIVATE), "newer", 5);
	EXPECT_EQ(MESSAGE_UNSEEN, poll_now(_metadata, self->fd));
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
}

TEST_F(mmap, does_not_wait_for_reader)
{
	struct holder holder;

	publish(_metadata, self->fd, text, TEXT_LEN);
	if (!hold_file(_metadata, &holder, self->fd))
		return;
	expect_mapped(_metadata, map_message(_metadata, self->fd, MAP_SHARED), text, TEXT_LEN);
	release_file(_metadata, &holder, text);
}

TEST_F(mmap, after_publication_and_close)
{
	int other = open_node(_metadata, variant->driver->node, O_WRONLY);
	char *shared, *private;

	publish(_metadata, other, text, TEXT_LEN);
	shared = map_message(_metadata, self->fd, MAP_SHARED);
	private = map_message(_metadata, self->fd, MAP_PRIVATE);
	close(self->fd);
	self->fd = -1;
	publish(_metadata, other, "ABCDEFGHIJ", 10);
	expect_mapped(_metadata, shared, text, TEXT_LEN);
	expect_mapped(_metadata, private, text, TEXT_LEN);
}

TEST_F(mmap, fork)
{
	char *map;
	int status;
	pid_t pid;

	publish(_metadata, self->fd, text, TEXT_LEN);
	map = map_message(_metadata, self->fd, MAP_SHARED);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(memcmp(text, map, TEXT_LEN) || munmap(map, page_size()));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	expect_mapped(_metadata, map, text, TEXT_LEN);
}

TEST_F(mmap, remap)
{
	size_t size = page_size();
	char *map, *target;

	publish(_metadata, self->fd, text, TEXT_LEN);
	map = map_message(_metadata, self->fd, MAP_SHARED);
	EXPECT_ERRNO(EFAULT, (long)mremap(map, size, 2 * size, 0));
	EXPECT_ERRNO(EFAULT, (long)mremap(map, size, 2 * size, MREMAP_MAYMOVE));
	target = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(target != MAP_FAILED);
	ASSERT_TRUE(target == mremap(map, size, size,
				     MREMAP_MAYMOVE | MREMAP_FIXED, target));
	publish(_metadata, self->fd, "new", 3);
	expect_mapped(_metadata, target, text, TEXT_LEN);
}

/* Even if madvise() drops the page, the mapping still shows its message. */
TEST_F(mmap, dontneed)
{
	char *map;

	if (variant->driver == &rust_driver)
		SKIP(return, "no abstraction in Rust for struct vm_operations_struct");

	publish(_metadata, self->fd, text, TEXT_LEN);
	map = map_message(_metadata, self->fd, MAP_PRIVATE);
	publish(_metadata, self->fd, "new", 3);
	madvise(map, page_size(), MADV_DONTNEED);
	expect_mapped(_metadata, map, text, TEXT_LEN);
}

TEST_HARNESS_MAIN
