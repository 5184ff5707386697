// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on mappings
 */

#include <setjmp.h>
#include "twins.h"

static sigjmp_buf bad_access;

void on_bad_access(int signal)
{
	siglongjmp(bad_access, signal);
}

static void say_map(struct side *s, int m)
{
	static char page[PAGE];
	int signal;

	say(s, "\n  memory:");
	for (volatile size_t at = 0; at < s->map[m].length && at < 4 * PAGE; at += PAGE) {
		signal = sigsetjmp(bad_access, 1);
		if (signal) {
			say(s, " SIG%s", sigabbrev_np(signal));
			continue;
		}
		memcpy(page, s->map[m].addr + at, PAGE);
		say_bytes(s, page, PAGE);
	}
}

static void say_map_flags(struct side *s, int m)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	char line[512], start[32];
	bool ours = false;

	snprintf(start, sizeof(start), "%lx-", (unsigned long)s->map[m].addr);
	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (!strncmp(line, start, strlen(start)))
			ours = true;
		if (ours && !strncmp(line, "VmFlags", 7)) {
			say(s, "\n  %.*s", (int)strcspn(line, "\n"), line);
			break;
		}
	}
	fclose(smaps);
}

void op_mmap(struct side *s)
{
	int slot = some_file(s), m = rnd(s, MAPS), prot = one_in(s, 4) ? rnd(s, 8) : PROT_READ;
	int flags = PICK(s, MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE);
	size_t length = one_in(s, 2) ? PAGE : PICK(s, 0, 1, 5000, 8192, 8193, 65536, 102400, 1 << 20,
						   -PAGE);
	off_t offset = one_in(s, 4) ? some_offset(s) & (one_in(s, 4) ? -1 : -PAGE) : 0;
	void *addr;

	if (one_in(s, 4))
		flags |= PICK(s, MAP_POPULATE, MAP_LOCKED, MAP_NORESERVE, MAP_SYNC, MAP_STACK);
	say(s, "map %d, %zu, prot %d, flags %#x, offset %ld)", m, length, prot, flags, offset);
	addr = (void *)syscall(SYS_mmap, NULL, length, prot, flags, s->fd[slot], offset);
	result(s, addr == MAP_FAILED ? -1 : 0);
	if (addr == MAP_FAILED)
		return;
	if (s->map[m].addr)
		munmap(s->map[m].addr, s->map[m].length);
	s->map[m].addr = addr;
	s->map[m].length = (length + PAGE - 1) & -PAGE;
	say_map(s, m);
	say_map_flags(s, m);
	observe(s, slot);
}

void op_map(struct side *s)
{
	int m = rnd(s, MAPS), what = rnd(s, 8), arg = 0;
	char *addr = s->map[m].addr, *to;
	size_t length = s->map[m].length;

	say(s, "(map %d, ", m);
	if (!addr) {
		say(s, "none)");
		return;
	}
	switch (what) {
	case 0:
		arg = rnd(s, 8);
		say(s, "mprotect, %d)", arg);
		result(s, mprotect(addr, length, arg));
		break;
	case 1:
		length = PICK(s, PAGE, 2 * PAGE, 3 * PAGE, 0);
		arg = one_in(s, 4) ? MREMAP_MAYMOVE | MREMAP_DONTUNMAP : one_in(s, 4) ? 0 : MREMAP_MAYMOVE;
		say(s, "mremap, %zu, %d)", length, arg);
		to = mremap(addr, s->map[m].length, length, arg);
		result(s, to == MAP_FAILED ? -1 : 0);
		if (to == MAP_FAILED)
			break;
		if (arg & MREMAP_DONTUNMAP)
			munmap(addr, s->map[m].length);
		s->map[m].addr = to;
		s->map[m].length = length;
		break;
	case 2:
		arg = one_in(s, 2) && length > PAGE ? PAGE : 0;
		say(s, "munmap, keep %d)", arg);
		result(s, munmap(addr + arg, length - arg));
		s->map[m].length = arg;
		if (!arg)
			s->map[m].addr = NULL;
		break;
	case 3:
	case 4:
		arg = one_in(s, 2) ? MADV_DONTNEED :
			PICK(s, MADV_NORMAL, MADV_WILLNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK,
			     MADV_MERGEABLE, MADV_HUGEPAGE, MADV_COLD, MADV_PAGEOUT,
			     MADV_POPULATE_READ, MADV_POPULATE_WRITE, 99);
		say(s, "madvise, %d)", arg);
		result(s, madvise(addr, length, arg));
		break;
	case 5:
		arg = PICK(s, MS_SYNC, MS_ASYNC, MS_INVALIDATE | MS_SYNC, MS_INVALIDATE);
		say(s, "msync, %d)", arg);
		result(s, msync(addr, length, arg));
		break;
	case 6:
		arg = one_in(s, 2);
		say(s, "mlock, %d)", arg);
		result(s, arg ? mlock(addr, length) : munlock(addr, length));
		break;
	default:
		say(s, "read)");
	}
	if (!s->map[m].addr)
		return;
	say_map(s, m);
	if (one_in(s, 4))
		say_map_flags(s, m);
	/* The pages that are gone in Rust (see known) would show in all that follows. */
	if ((what == 3 || what == 4) && arg == MADV_DONTNEED) {
		munmap(s->map[m].addr, s->map[m].length);
		s->map[m].addr = NULL;
	}
}
