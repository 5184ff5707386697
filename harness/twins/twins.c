// SPDX-License-Identifier: GPL-2.0-only
/*
 * Do the C driver and its Rust twin behave alike? One seeded stream of random operations goes to
 * both. Each operation leaves a text: its arguments, its result, the bytes that it read, and what the
 * device shows afterwards. The two texts must be equal.
 *
 * The stream consists of episodes, each on fresh instances. An operation is a number: its arguments
 * follow from the seed, the episode and that number alone, so any subset of an episode can be
 * replayed. That is how a difference is shrunk, and how it is replayed by hand.
 *
 * Nothing here may depend on time.
 */

#include <regex.h>
#include <time.h>
#include <sys/wait.h>
#include "twins.h"

#define EPISODE		1000	/* operations */
#define KNOWN		64	/* known differences */
#define SHRINK_S	90

/* Shared with the process that runs an episode */
static struct {
	unsigned int at, count;	/* the operation under way; all there were */
	bool differ;
	char line[2][1024];	/* the first difference */
	unsigned long seen[KNOWN];
	struct side side[2];
} *shared;

static struct { regex_t pattern; char text[256]; } known[KNOWN];
static unsigned int n_known, episode;
static unsigned long seed;
static bool verbose;

const char *const instance[INSTANCES] = { "a", "b", "c" };
unsigned int number;
bool unlike;

static bool is_known(const char *difference)
{
	for (unsigned int i = 0; i < n_known; i++) {
		if (!regexec(&known[i].pattern, difference, 0, NULL, 0)) {
			shared->seen[i]++;
			return true;
		}
	}
	return false;
}

/* Compare the two texts line by line, up to the first difference that is not known. */
static bool texts_differ(void)
{
	const char *at[2] = { shared->side[0].text, shared->side[1].text };
	int name = strcspn(at[0], "(");
	char difference[2200];

	while (*at[0] || *at[1]) {
		for (int i = 0; i < 2; i++) {
			int n = strcspn(at[i], "\n");

			snprintf(shared->line[i], sizeof(shared->line[i]), "%.*s", n, at[i]);
			at[i] += n + (at[i][n] == '\n');
		}
		if (!strcmp(shared->line[0], shared->line[1]))
			continue;
		snprintf(difference, sizeof(difference), "%.*s: %s <> %s", name, shared->side[0].text,
			 shared->line[0], shared->line[1]);
		if (!is_known(difference))
			return true;
	}
	return false;
}

/* The process of an episode: when it ends, nothing stays open. */
static void run(const unsigned int *numbers, unsigned int n)
{
	bool unsettled = false;

	for (int i = 0; i < 2; i++)
		setup(&shared->side[i], i);
	cover_begin();
	for (unsigned int i = 0; i < n && !shared->differ && !unsettled; i++) {
		number = numbers[i];
		shared->at = number;
		shared->count++;
		for (int j = 0; j < 2; j++) {
			shared->side[j].random = mix(mix(mix(seed) + episode) + number);
			perform(&shared->side[j]);
		}
		cover_add(i);
		shared->differ = texts_differ();
		unsettled = shared->side[0].unsettled || shared->side[1].unsettled;
		if (verbose)
			printf("%4u %s\n", number, shared->side[0].text);
	}
	fflush(stdout);
	_exit(0);
}

/* Run the operations @numbers. Return: whether the drivers differ; shared->at is where. */
bool differs(const unsigned int *numbers, unsigned int n, unsigned int limit_s)
{
	struct timespec second = { .tv_sec = 1 };
	unsigned int count = 0, idle = 0;
	sigset_t set;
	pid_t pid;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	fflush(stdout);
	shared->differ = false;
	pid = fork();
	if (pid < 0)
		abort();
	if (!pid)
		run(numbers, n);
	while (!waitpid(pid, &status, WNOHANG)) {
		if (sigtimedwait(&set, NULL, &second) == SIGCHLD)
			continue;
		idle = count == shared->count ? idle + 1 : 0;
		count = shared->count;
		if (idle == limit_s)
			kill(pid, SIGKILL);
	}
	if (WIFSIGNALED(status)) {
		const char *why = idle >= limit_s ? "hangs" : strsignal(WTERMSIG(status));

		for (int i = 0; i < 2; i++)
			snprintf(shared->line[i], sizeof(shared->line[i]), "%s: %.900s", why,
				 shared->side[i].text);
		shared->differ = true;
	}
	return shared->differ;
}

/* Remove from @numbers what the difference in the last one does not need. Return: how many stay. */
static unsigned int shrink(unsigned int *numbers, unsigned int n)
{
	unsigned int rest[EPISODE], last = numbers[n - 1], chunk, at, k;
	time_t end = time(NULL) + SHRINK_S;
	bool removed;

	for (chunk = n / 2; chunk; chunk = removed && chunk == 1 ? 1 : chunk / 2) {
		removed = false;
		for (at = 0; at < n - 1 && time(NULL) < end;) {
			k = at + chunk < n - 1 ? chunk : n - 1 - at;
			memcpy(rest, numbers, at * sizeof(*rest));
			memcpy(rest + at, numbers + at + k, (n - at - k) * sizeof(*rest));
			if (differs(rest, n - k, HUNG_S / 3) && shared->at == last) {
				n -= k;
				memcpy(numbers, rest, n * sizeof(*rest));
				removed = true;
			} else {
				at += k;
			}
		}
	}
	return n;
}

/* Run @numbers once more and show all they do. */
static void replay(const unsigned int *numbers, unsigned int n)
{
	verbose = true;
	if (differs(numbers, n, HUNG_S))
		printf("  C:    %s\n  Rust: %s\n", shared->line[0], shared->line[1]);
	else
		printf("no difference\n");
	verbose = false;
}

void report(unsigned int *numbers, unsigned int n)
{
	unsigned int all = 1;

	while (all < n && numbers[all - 1] != shared->at)
		all++;

	printf("\nseed %lu, episode %u: the drivers differ in operation %u:\n  C:    %s\n  Rust: %s\n",
	       seed, episode, shared->at, shared->line[0], shared->line[1]);
	n = shrink(numbers, all);
	printf("%u operations, shrunk to %u:\n", all, n);
	replay(numbers, n);
	printf("to replay: twins -s %lu -e %u", seed, episode);
	for (unsigned int i = 0; i < n; i++)
		printf(" %u", numbers[i]);
	printf("\n\n");
}

/* A line is an extended regular expression; a comment begins with #. */
static bool read_known(const char *path)
{
	FILE *list = fopen(path, "re");
	char *line = known[0].text;

	if (!list) {
		perror(path);
		return false;
	}
	while (n_known < KNOWN && fgets(line, sizeof(known[0].text), list)) {
		line[strcspn(line, "\n")] = '\0';
		if (!*line || *line == '#')
			continue;
		if (regcomp(&known[n_known].pattern, line, REG_EXTENDED | REG_NOSUB)) {
			fprintf(stderr, "%s: not a regular expression: %s\n", path, line);
			return false;
		}
		line = known[++n_known].text;
	}
	fclose(list);
	return true;
}

static int usage(void)
{
	fprintf(stderr, "usage: twins [-n OPERATIONS] [-s SEED] [-k KNOWN] [-m DIFFERENCES] [-u] [-v]\n"
		"       twins -f SECONDS -c CORPUS [-k KNOWN] [-m DIFFERENCES]\n"
		"       twins -s SEED -e EPISODE [-k KNOWN] [-u] OPERATION...\n");
	return 2;
}

int main(int argc, char *argv[])
{
	unsigned int numbers[EPISODE], operations = 100000, found = 0, most = 1, n = 0;
	unsigned int seconds = 0;
	const char *corpus = "corpus";
	time_t begin = time(NULL);
	sigset_t set;
	int opt;

	while ((opt = getopt(argc, argv, "n:s:e:k:m:f:c:uv")) != -1) {
		switch (opt) {
		case 'n': operations = strtoul(optarg, NULL, 0); break;
		case 's': seed = strtoul(optarg, NULL, 0); break;
		case 'e': episode = strtoul(optarg, NULL, 0); break;
		case 'm': most = strtoul(optarg, NULL, 0); break;
		case 'f': seconds = strtoul(optarg, NULL, 0); break;
		case 'c': corpus = optarg; break;
		case 'u': unlike = true; break;
		case 'v': verbose = true; break;
		case 'k':
			if (read_known(optarg))
				break;
			return 2;
		default:
			return usage();
		}
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return usage();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);

	while (optind < argc && n < EPISODE)
		numbers[n++] = strtoul(argv[optind++], NULL, 0);
	if (n) {
		replay(numbers, n);
		return shared->differ;
	}
	if (seconds)
		return !!fuzz(seconds, corpus, most);
	printf("seed %lu, episodes:", seed);
	for (; shared->count < operations && found < most; episode++) {
		for (n = 0; n < EPISODE; n++)
			numbers[n] = n;
		printf("%s%u", episode % 20 ? " " : "\n", episode); /* the last one, if the kernel dies */
		if (differs(numbers, n, HUNG_S)) {
			found++;
			report(numbers, n);
		}
	}
	printf("\n");
	for (unsigned int i = 0; i < n_known; i++)
		printf("known difference, seen %lu times: %s\n", shared->seen[i], known[i].text);
	printf("%u operations on both drivers in %lld s, %u differences\n", shared->count,
	       (long long)(time(NULL) - begin), found);
	return !!found;
}
