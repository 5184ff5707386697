// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for the messages of the simulated misc device
 */

#include <kunit/test.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "../misc-sim.h"

static const char text[] = "0123456789";

#define TEXT_LENGTH	(sizeof(text) - 1)

KUNIT_DEFINE_ACTION_WRAPPER(message_put, misc_sim_message_put,
			    struct misc_sim_message *);

/* The test owns the reference to @msg after this. */
static struct misc_sim_message *adopt(struct kunit *test,
				      struct misc_sim_message *msg)
{
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, msg);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, message_put, msg));
	return msg;
}

static void message_create_copies(struct kunit *test)
{
	char data[] = "before";
	struct misc_sim_message *msg;

	msg = adopt(test, misc_sim_message_create(data, sizeof(data), GFP_KERNEL));
	memset(data, 'x', sizeof(data));

	KUNIT_EXPECT_EQ(test, msg->generation, 0);
	KUNIT_EXPECT_EQ(test, msg->length, sizeof("before"));
	KUNIT_EXPECT_MEMEQ(test, msg->data, "before", sizeof("before"));
}

static void message_create_empty(struct kunit *test)
{
	struct misc_sim_message *msg;

	msg = adopt(test, misc_sim_message_create(NULL, 0, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, msg->length, 0);
}

static void message_create_too_large(struct kunit *test)
{
	struct misc_sim_message *msg;

	msg = misc_sim_message_create(text, SIZE_MAX, GFP_KERNEL | __GFP_NOWARN);
	KUNIT_EXPECT_PTR_EQ(test, msg, ERR_PTR(-ENOMEM));
}

static void message_from_iter_gathers(struct kunit *test)
{
	struct kvec vec[] = {
		{ .iov_base = "01234", .iov_len = 5 },
		{ .iov_base = "", .iov_len = 0 },
		{ .iov_base = "56789", .iov_len = 5 },
	};
	struct misc_sim_message *msg;
	struct iov_iter from;

	iov_iter_kvec(&from, ITER_SOURCE, vec, ARRAY_SIZE(vec), TEXT_LENGTH);
	msg = adopt(test, misc_sim_message_from_iter(&from, GFP_KERNEL));

	KUNIT_EXPECT_EQ(test, iov_iter_count(&from), 0);
	KUNIT_EXPECT_EQ(test, msg->length, TEXT_LENGTH);
	KUNIT_EXPECT_MEMEQ(test, msg->data, text, TEXT_LENGTH);
}

/* User memory of which only the first @good bytes are mapped. */
static void __user *user_memory(struct kunit *test, size_t good)
{
	unsigned long addr;

	addr = kunit_vm_mmap(test, NULL, 0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_EQ(test, vm_munmap(addr + PAGE_SIZE, PAGE_SIZE), 0);
	return (void __user *)(addr + PAGE_SIZE - good);
}

static void message_from_iter_faults(struct kunit *test)
{
	struct iov_iter from;

	iov_iter_ubuf(&from, ITER_SOURCE, user_memory(test, 3), TEXT_LENGTH);
	KUNIT_EXPECT_PTR_EQ(test, misc_sim_message_from_iter(&from, GFP_KERNEL),
			    ERR_PTR(-EFAULT));
}

static void message_read_faults(struct kunit *test)
{
	void __user *user = user_memory(test, 3);
	struct misc_sim_message *msg;
	struct iov_iter to;
	char buf[3];

	msg = adopt(test, misc_sim_message_create(text, TEXT_LENGTH, GFP_KERNEL));

	iov_iter_ubuf(&to, ITER_DEST, user, TEXT_LENGTH);
	KUNIT_EXPECT_EQ(test, misc_sim_message_read(msg, 2, &to), 3);
	KUNIT_ASSERT_EQ(test, copy_from_user(buf, user, sizeof(buf)), 0);
	KUNIT_EXPECT_MEMEQ(test, buf, "234", sizeof(buf));

	iov_iter_ubuf(&to, ITER_DEST, user + 3, TEXT_LENGTH);
	KUNIT_EXPECT_EQ(test, misc_sim_message_read(msg, 0, &to), -EFAULT);
}

struct read_case {
	const char *name;
	loff_t pos;
	size_t room;
	ssize_t ret;
};

static const struct read_case read_cases[] = {
	{ "whole",		0,		TEXT_LENGTH,	TEXT_LENGTH },
	{ "room to spare",	0,		64,		TEXT_LENGTH },
	{ "first byte",		0,		1,		1 },
	{ "middle",		3,		4,		4 },
	{ "last byte",		TEXT_LENGTH - 1, 64,		1 },
	{ "at the end",		TEXT_LENGTH,	1,		0 },
	{ "beyond the end",	TEXT_LENGTH + 1, 64,		0 },
	{ "far beyond",		LLONG_MAX,	64,		0 },
};

KUNIT_ARRAY_PARAM_DESC(read, read_cases, name);

static void message_read(struct kunit *test)
{
	const struct read_case *c = test->param_value;
	struct misc_sim_message *msg;
	struct iov_iter to;
	struct kvec vec;
	char buf[64];

	msg = adopt(test, misc_sim_message_create(text, TEXT_LENGTH, GFP_KERNEL));
	memset(buf, 'x', sizeof(buf));
	vec = (struct kvec){ .iov_base = buf, .iov_len = c->room };
	iov_iter_kvec(&to, ITER_DEST, &vec, 1, c->room);

	KUNIT_EXPECT_EQ(test, misc_sim_message_read(msg, c->pos, &to), c->ret);
	KUNIT_EXPECT_EQ(test, iov_iter_count(&to), c->room - c->ret);
	if (c->ret)
		KUNIT_EXPECT_MEMEQ(test, buf, text + c->pos, c->ret);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(buf + c->ret, 'x', sizeof(buf) - c->ret),
			    NULL);
}

struct page_case {
	const char *name;
	size_t length;
};

static const struct page_case page_cases[] = {
	{ "empty",		0 },
	{ "one byte",		1 },
	{ "almost a page",	PAGE_SIZE - 1 },
	{ "a page",		PAGE_SIZE },
	{ "a page and a byte",	PAGE_SIZE + 1 },
	{ "two pages",		2 * PAGE_SIZE },
};

KUNIT_ARRAY_PARAM_DESC(page, page_cases, name);

static void expect_page(struct kunit *test, const struct misc_sim_message *msg,
			pgoff_t index, const u8 *expected)
{
	u8 *copy = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, copy);
	page = misc_sim_message_page(msg, index);
	KUNIT_ASSERT_NOT_NULL(test, page);
	memcpy_from_page(copy, page, 0, PAGE_SIZE);
	__free_page(page);
	KUNIT_EXPECT_MEMEQ(test, copy, expected, PAGE_SIZE);
}

/* The pages after the end of the message are zero. */
static void message_page(struct kunit *test)
{
	const struct page_case *c = test->param_value;
	u8 *data = kunit_kzalloc(test, 4 * PAGE_SIZE, GFP_KERNEL);
	struct misc_sim_message *msg;

	KUNIT_ASSERT_NOT_NULL(test, data);
	memset(data, 'd', c->length);
	msg = adopt(test, misc_sim_message_create(data, c->length, GFP_KERNEL));

	for (pgoff_t i = 0; i < 4; i++)
		expect_page(test, msg, i, data + i * PAGE_SIZE);
	expect_page(test, msg, ULONG_MAX, data + 3 * PAGE_SIZE);
}

static void message_counts_references(struct kunit *test)
{
	struct misc_sim_message *msg;

	msg = adopt(test, misc_sim_message_create(text, TEXT_LENGTH, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, kref_read(&msg->ref), 1);
	KUNIT_EXPECT_PTR_EQ(test, misc_sim_message_get(msg), msg);
	KUNIT_EXPECT_EQ(test, kref_read(&msg->ref), 2);
	misc_sim_message_put(msg);
	KUNIT_EXPECT_EQ(test, kref_read(&msg->ref), 1);
}

static struct kunit_case message_cases[] = {
	KUNIT_CASE(message_create_copies),
	KUNIT_CASE(message_create_empty),
	KUNIT_CASE(message_create_too_large),
	KUNIT_CASE(message_from_iter_gathers),
	KUNIT_CASE(message_from_iter_faults),
	KUNIT_CASE_PARAM(message_read, read_gen_params),
	KUNIT_CASE(message_read_faults),
	KUNIT_CASE_PARAM(message_page, page_gen_params),
	KUNIT_CASE(message_counts_references),
	{}
};

static struct kunit_suite message_suite = {
	.name = "misc_sim_message",
	.test_cases = message_cases,
};

kunit_test_suite(message_suite);
