// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random values, the text of an operation, memory, and what a device shows
 */

#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/time.h>
#include "twins.h"


uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

unsigned int rnd(struct side *s, unsigned int below)
{
	s->random = mix(s->random);
	return s->random % below;
}

bool one_in(struct side *s, unsigned int n)
{
	return !rnd(s, n);
}

size_t some_length(struct side *s)
{
	if (one_in(s, 40))
		return PICK(s, (size_t)65536, (size_t)GOOD, (size_t)1 << 26, SSIZE_MAX, SIZE_MAX);
	if (one_in(s, 2))
		return rnd(s, 30);
	return PICK(s, 0, 1, 5, 20, 21, 22, 100, 4095, 4096, 4097, 5000, 5001);
}

off_t some_offset(struct side *s)
{
	if (one_in(s, 4))
		return PICK(s, -1L, -2L, LONG_MIN, LONG_MAX, LONG_MAX - 4, 1L << 31, 1L << 40, 1L << 62);
	return one_in(s, 2) ? 0 : PICK(s, 1, 2, 4, 5, 6, 19, 20, 21, 22, 4095, 4096, 5000);
}

int some_flags(struct side *s)
{
	if (one_in(s, 3))
		return 0;
	if (one_in(s, 2))
		return RWF_NOWAIT;
	return one_in(s, 4) ? rnd(s, 1 << 12) : 1u << rnd(s, 32);
}

unsigned int some_events(struct side *s)
{
	if (one_in(s, 4))
		return rnd(s, 1 << 16);
	return PICK(s, POLLIN, POLLOUT, POLLPRI, POLLIN | POLLPRI, 0, 0x7ff);
}

void some_message(struct side *s, char *message, size_t length)
{
	unsigned int letter = rnd(s, 26);

	for (size_t i = 0; i < length; i++)
		message[i] = 'A' + letter++ % 26;
}

/* The text of an operation */

void say(struct side *s, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(s->text + s->length, sizeof(s->text) - s->length, format, args);
	va_end(args);
	s->length += n;
	if (s->length >= sizeof(s->text))
		abort();
}

/* A negative number is an errno, as from io_uring. */
void say_result(struct side *s, long ret)
{
	const char *name = ret < 0 && ret > -4096 ? strerrorname_np(-ret) : NULL;

	if (name)
		say(s, " = %s", name);
	else
		say(s, " = %ld", ret);
}

/* All bytes count; the first ones are shown. */
void say_bytes(struct side *s, const void *data, size_t length)
{
	const unsigned char *p = data;
	uint64_t hash = length, word;
	size_t shown = length, i;

	for (i = 0; i < length; i += sizeof(word)) {
		word = 0;
		memcpy(&word, p + i, length - i < sizeof(word) ? length - i : sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	while (shown && (p[shown - 1] == POISON || !p[shown - 1]))
		shown--;
	say(s, " \"");
	for (i = 0; i < shown && i < 32; i++)
		say(s, p[i] >= ' ' && p[i] < 0x7f ? "%c" : p[i] == POISON ? "_" : "\\%02x", p[i]);
	say(s, "\"/%zu#%08x", length, (unsigned int)hash);
}

/* The names of the Rust driver become those of the C driver. */
static size_t normalise(struct side *s, char *text, size_t length)
{
	char *at = text;

	if (s->rust)
		while ((at = memmem(at, text + length - at, s->driver, strlen(s->driver)))) {
			memmove(at, at + 1, text + length - at - 1);
			length--;
		}
	return length;
}

/* Memory: good, bad, and good to some point */

unsigned char *some_buffer(struct side *s, size_t length, bool bad_too)
{
	unsigned char *end = s->arena + GOOD;
	size_t k;

	switch (bad_too ? rnd(s, 24) : 9) {
	case 0: say(s, "NULL"); return NULL;
	case 1: say(s, "kernel"); return (void *)0xffff888000000000;
	case 2: say(s, "non-canonical"); return (void *)0x8000000000000000;
	case 3: say(s, "no access"); return end;
	case 4: say(s, "read-only"); return end + PAGE;
	case 5:
	case 6:
	case 7:
		k = rnd(s, one_in(s, 4) ? PAGE : length < 24 ? length + 1 : 24);
		say(s, "good for %zu", k);
		return end - k;
	case 8: say(s, "across pages"); return s->arena + PAGE - 1 - rnd(s, 24);
	default: say(s, "buffer"); return s->arena + 16 * rnd(s, 3);
	}
}

/* The part of @length bytes at @p that lies in the arena, and a bit more. */
size_t accessible(struct side *s, unsigned char *p, size_t length)
{
	unsigned char *end = s->arena + GOOD;

	if (p >= end + PAGE && p < end + 2 * PAGE)
		return 16;
	if (p < s->arena || p >= end)
		return 0;
	return length < (size_t)(end - p) - 16 && end - p > 16 ? length + 16 : (size_t)(end - p);
}

static void fill(struct side *s, unsigned char *p, size_t length)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
	size_t n = p < s->arena + GOOD ? accessible(s, p, length) : 0;
	unsigned int letter = rnd(s, 26);

	for (size_t i = 0; i < n; i += 26)
		memcpy(p + i, letters + letter, n - i < 26 ? n - i : 26);
}

/* Prepare the memory that an operation reads from or writes to. */
void prepare(struct side *s, const struct iovec *vec, int n, bool write)
{
	for (int i = 0; i < n; i++) {
		unsigned char *p = vec[i].iov_base;

		if (write)
			fill(s, p, vec[i].iov_len);
		else if (p < s->arena + GOOD)
			memset(p, POISON, accessible(s, p, vec[i].iov_len));
	}
}

void say_memory(struct side *s, const struct iovec *vec, int n)
{
	for (int i = 0; i < n; i++) {
		size_t length = accessible(s, vec[i].iov_base, vec[i].iov_len);

		if (length)
			say_bytes(s, vec[i].iov_base, length);
	}
}

int some_vector(struct side *s, struct iovec *vec)
{
	int n = one_in(s, 2) ? 1 : rnd(s, 5);

	say(s, "{");
	for (int i = 0; i < n; i++) {
		vec[i].iov_len = n == 1 || one_in(s, 12) ? some_length(s) : rnd(s, 9);
		say(s, " %zu@", vec[i].iov_len);
		vec[i].iov_base = some_buffer(s, vec[i].iov_len, n == 1 || one_in(s, 4));
		if ((unsigned char *)vec[i].iov_base < s->arena + PAGE && vec[i].iov_base >= (void *)s->arena)
			vec[i].iov_base += i * PAGE;
	}
	say(s, " }");
	return n;
}

/* Text files: configfs, sysfs, /proc */

int write_file(const char *path, const void *data, size_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), error;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, data, length);
	error = n < 0 ? -errno : n;
	close(fd);
	return error;
}

void say_file(struct side *s, const char *name, const char *path)
{
	static char data[2 * PAGE];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		say(s, "\n  %s: %s", name, strerrorname_np(errno));
		return;
	}
	n = read(fd, data, sizeof(data));
	say(s, "\n  %s:", name);
	if (n < 0)
		result(s, n);
	else
		say_bytes(s, data, normalise(s, data, n));
	close(fd);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char **)a, *(char **)b);
}

void say_directory(struct side *s, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char *name[64];
	int n = 0;

	say(s, "\n  entries:");
	while (dir && n < 64 && (entry = readdir(dir)))
		name[n++] = strdup(entry->d_name);
	if (dir)
		closedir(dir);
	qsort(name, n, sizeof(*name), by_name);
	for (int i = 0; i < n; i++) {
		say(s, " %s", name[i]);
		free(name[i]);
	}
}

const char *config_path(struct side *s, const char *name, const char *attribute)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/kernel/config/%s/%s/%s", s->driver, name, attribute);
	return path;
}

const char *device_path(struct side *s, const char *directory, const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s-%s", directory, s->driver, name);
	return path;
}

int set(struct side *s, const char *name, const char *attribute, const void *value, size_t length)
{
	int ret = write_file(config_path(s, name, attribute), value, length);

	say(s, "\n  %s <-", attribute);
	say_bytes(s, value, length);
	say_result(s, ret);
	return ret;
}

int set_text(struct side *s, const char *name, const char *attribute, const char *value)
{
	return set(s, name, attribute, value, strlen(value));
}

/* What an open file and its device show, after each operation on it. */
void observe(struct side *s, int slot)
{
	static char text[1024];
	struct pollfd p = { .fd = s->fd[slot], .events = -1 };
	char path[64], *line, *rest = text;
	ssize_t n;
	int fd;

	if (s->fd[slot] < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", s->fd[slot]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	say(s, "\n  fdinfo:");
	while ((line = strsep(&rest, "\n")))
		if (strncmp(line, "mnt_id", 6) && strncmp(line, "ino", 3) && strncmp(line, "lock", 4))
			say(s, " %s", line);
	poll(&p, 1, 0);
	say(s, "\n  poll: %#x", p.revents);
}

static void set_timer(int interval_us)
{
	struct itimerval timer = { { 0, interval_us }, { 0, interval_us } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

/*
 * A transfer that has nothing to read or no room may wait for ever, and so may an ioctl (@event is 0),
 * which must have time for the latency: let signals end it.
 */
bool limit_wait(int fd, short event)
{
	struct pollfd p = { .fd = fd, .events = event };

	poll(&p, 1, 0);
	if (fd < 0 || p.revents & (event | POLLHUP))
		return false;
	set_timer(event ? 1000 : 10000);
	return true;
}

void unlimit_wait(bool limited)
{
	if (limited)
		set_timer(0);
}

/* The slot of an open file, first thing in the text of an operation. */
int some_file(struct side *s)
{
	int slot = number < INSTANCES + FILES ? number - INSTANCES : rnd(s, FILES);

	say(s, "(file %d, ", slot);
	return slot;
}
