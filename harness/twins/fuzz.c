// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that coverage guides: a program is a list of operations, and one that reaches code of the
 * drivers that none reached before is kept, for others to be made from. KCOV says which code a process
 * reaches; what counts is a pair of places that it passes one after the other. It needs drivers that
 * were built for it.
 */

#include <time.h>
#include <linux/kcov.h>
#include <sys/ioctl.h>
#include "twins.h"

#define PLACES		(1 << 16)	/* that one operation may pass on both drivers */
#define PAIRS		(1 << 20)
#define PROGRAM		80		/* operations */
#define FREE		(INSTANCES + FILES)	/* the first one that is not fixed */
#define CORPUS		20000

struct program { unsigned int n, numbers[PROGRAM]; };

/* Shared with the process that runs a program, as far as its operation @useful it reached new pairs. */
static struct { unsigned int pairs, useful; unsigned char reached[PAIRS]; } *cover;
static uint64_t *places;		/* of this process: their number first */
static struct program corpus[CORPUS];
static unsigned int n_corpus;
static uint64_t state;

/* Begin to record what this process reaches, if there is fuzz(). */
void cover_begin(void)
{
	int fd;

	if (!cover)
		return;
	fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, KCOV_INIT_TRACE, (unsigned long)PLACES))
		abort();
	places = mmap(NULL, PLACES * sizeof(*places), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (places == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		abort();
	cover->useful = 0;
}

/* Add what operation @i of the program reached. */
void cover_add(unsigned int i)
{
	uint64_t n, place, before = 0;
	unsigned int pair;

	if (!places)
		return;
	n = __atomic_load_n(&places[0], __ATOMIC_RELAXED);
	for (uint64_t at = 1; at <= n; at++) {
		place = mix(places[at]);
		pair = (place ^ before >> 1) % PAIRS;
		before = place;
		if (cover->reached[pair])
			continue;
		cover->reached[pair] = 1;
		cover->pairs++;
		cover->useful = i + 1;
	}
	__atomic_store_n(&places[0], 0, __ATOMIC_RELAXED);
}

static unsigned int below(unsigned int n)
{
	return mix(state++) % n;
}

static unsigned int any_operation(void)
{
	return FREE + below(1 << 30);
}

static void make(struct program *p)
{
	p->n = FREE + 1 + below(PROGRAM - FREE);
	for (unsigned int i = 0; i < p->n; i++)
		p->numbers[i] = i < FREE ? i : any_operation();
}

static void mutate(struct program *p)
{
	const struct program *other = &corpus[below(n_corpus)];
	unsigned int at = FREE + below(p->n - FREE), from;

	switch (below(4)) {
	case 0:
		p->numbers[at] = any_operation();
		break;
	case 1:
		if (p->n == FREE + 1)
			break;
		p->n--;
		memmove(p->numbers + at, p->numbers + at + 1, (p->n - at) * sizeof(*p->numbers));
		break;
	case 2:
		if (p->n == PROGRAM)
			break;
		memmove(p->numbers + at + 1, p->numbers + at, (p->n - at) * sizeof(*p->numbers));
		p->numbers[at] = any_operation();
		p->n++;
		break;
	case 3:
		from = FREE + below(other->n - FREE);
		for (p->n = at; p->n < PROGRAM && from < other->n; from++)
			p->numbers[p->n++] = other->numbers[from];
		break;
	}
}

/* Run a program, and keep it in the corpus if it is worth it. Return: whether the drivers differ. */
static bool try(struct program p, FILE *file)
{
	if (differs(p.numbers, p.n, HUNG_S)) {
		report(p.numbers, p.n);
		return true;
	}
	if (cover->useful <= FREE || n_corpus == CORPUS)
		return false;
	p.n = cover->useful;
	corpus[n_corpus++] = p;
	for (unsigned int i = FREE; i < p.n; i++)
		fprintf(file, "%u%c", p.numbers[i], i + 1 < p.n ? ' ' : '\n');
	fflush(file); /* it survives the kernel */
	return false;
}

/* A program of the corpus in @file, which is a line. */
static bool next(struct program *p, FILE *file)
{
	char end = ' ';

	make(p);
	for (p->n = FREE; p->n < PROGRAM && end == ' '; p->n++)
		if (fscanf(file, "%u%c", &p->numbers[p->n], &end) != 2)
			return false;
	return true;
}

/*
 * Run the programs of the corpus at @path, then new ones for @seconds; add those that are worth it to the
 * corpus. Return: the number of differences, at most @most; not 0 without KCOV in the drivers.
 */
unsigned int fuzz(unsigned int seconds, const char *path, unsigned int most)
{
	unsigned long runs = 0, said = 0;
	unsigned int found = 0;
	struct program p;
	char new[4096];
	FILE *old, *file;
	time_t end;

	cover = mmap(NULL, sizeof(*cover), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	snprintf(new, sizeof(new), "%s.new", path);
	file = fopen(new, "we");
	if (cover == MAP_FAILED || !file)
		abort();

	/* The corpus anew: only those of the old one that reach more than the ones before. */
	old = fopen(path, "re");
	while (old && found < most && next(&p, old)) {
		found += try(p, file);
		runs++;
	}
	if (old)
		fclose(old);
	if (rename(new, path))
		abort();

	state = time(NULL);
	for (end = state + seconds; time(NULL) < end && found < most; runs++) {
		if (!n_corpus || !below(10)) {
			make(&p);
		} else {
			p = corpus[below(n_corpus)];
			for (unsigned int i = 1 + below(4); i; i--)
				mutate(&p);
		}
		found += try(p, file);
		if (time(NULL) / 60 != (time_t)said) {
			said = time(NULL) / 60;
			printf("%lu programs, %u in the corpus, %u pairs\n", runs, n_corpus, cover->pairs);
		}
	}
	fclose(file);
	printf("%lu programs on both drivers, %u in the corpus, %u pairs, %u differences\n", runs, n_corpus,
	       cover->pairs, found);
	return found + !cover->pairs;
}
