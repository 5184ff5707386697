// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which message a file reads when others are published
 */

#include "message.h"
#include "variants.h"

FIXTURE(pin) {
	int fd;			/* has read nothing yet, and pinned no message */
	int writer;
};

DRIVER_VARIANTS(pin);

FIXTURE_SETUP(pin)
{
	if (!load_driver(_metadata, variant->driver))
		return;
	self->fd = open_node(_metadata, variant->driver->node, O_RDWR);
	self->writer = open_node(_metadata, variant->driver->node, O_WRONLY);
}

FIXTURE_TEARDOWN(pin)
{
}

TEST_F(pin, read_stays_with_its_message)
{
	leave_midway(_metadata, self->fd);
	publish(_metadata, self->writer, "other", 5);
	publish(_metadata, self->writer, "another, longer than it", 23);
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
	expect_current(_metadata, variant->driver->node, "another, longer than it", 23);
}

TEST_F(pin, open_does_not_pin)
{
	publish(_metadata, self->writer, "old", 3);
	publish(_metadata, self->writer, text, TEXT_LEN);
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
}

TEST_F(pin, read_of_nothing_does_not_pin)
{
	char c = POISON;

	publish(_metadata, self->writer, "old", 3);
	EXPECT_EQ(0, read(self->fd, &c, 0));
	EXPECT_EQ(0, pread(self->fd, &c, 0, 100));
	EXPECT_EQ(POISON, (unsigned char)c);
	publish(_metadata, self->writer, text, TEXT_LEN);
	expect_rest(_metadata, self->fd, text, TEXT_LEN);
}

/* Only a read at position 0 pins, so leaving and returning changes nothing. */
TEST_F(pin, lseek_does_not_pin)
{
	leave_midway(_metadata, self->fd);
	publish(_metadata, self->writer, "new", 3);
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(TEXT_POS, lseek(self->fd, TEXT_POS, SEEK_SET));
	expect_rest(_metadata, self->fd, text + TEXT_POS, TEXT_LEN - TEXT_POS);
	EXPECT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	expect_rest(_metadata, self->fd, "new", 3);
}

TEST_F(pin, pread_pins_at_0_only)
{
	char c;

	leave_midway(_metadata, self->fd);
	publish(_metadata, self->writer, "ABCDEFGHIJ", 10);
	EXPECT_EQ(1, pread(self->fd, &c, 1, 1));
	EXPECT_EQ('1', c);
	EXPECT_EQ(1, pread(self->fd, &c, 1, 0));
	EXPECT_EQ('A', c);
	expect_rest(_metadata, self->fd, "FGHIJ", 5);
}

/* The first read pins wherever it is. */
TEST_F(pin, first_pread_pins)
{
	char c;

	publish(_metadata, self->writer, text, TEXT_LEN);
	EXPECT_EQ(1, pread(self->fd, &c, 1, 3));
	EXPECT_EQ('3', c);
	publish(_metadata, self->writer, "ABCDEFGHIJ", 10);
	EXPECT_EQ(1, pread(self->fd, &c, 1, 4));
	EXPECT_EQ('4', c);
	expect_rest(_metadata, self->fd, "ABCDEFGHIJ", 10);
}

TEST_HARNESS_MAIN
