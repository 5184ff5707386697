// SPDX-License-Identifier: GPL-2.0-only
/*
 * usage: configfs-link target TARGET ITEM [MODULE]
 *        configfs-link parent
 *
 * Removes what symlink(2) works on in configfs while it is under way. The links are made in
 * directories of the module configfs_link.
 *
 * target: symlink(2) has found TARGET and waits for the lock of the link's directory. Remove ITEM,
 *         which is TARGET or an ancestor of it ("-": nothing), then unload MODULE.
 * parent: symlink(2) has unlocked the link's directory to look for the target. Remove the parent of
 *         that directory.
 *
 * Prints what each call returned. Tries again after symlink(2) what failed before. Exits with 1 if it
 * fails again, with 2 when the order of events could not be had.
 *
 * The order is certain: getdents(2) holds the lock of a directory shared while it waits for a page of
 * userfaultfd, and a reader queues behind a writer that waits.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINKS	"/sys/kernel/config/configfs-link/"

static const char *error(int e)
{
	return e ? strerrorname_np(e) : "0";
}

/* A thread that makes one system call. */
struct task {
	pthread_t thread;
	pid_t tid;
	int fd;				/* getdents(fd, page) */
	void *page;
	const char *target, *link;	/* symlink(target, link) */
	int error;
};

static void *task_run(void *arg)
{
	struct task *t = arg;
	int ret;

	__atomic_store_n(&t->tid, gettid(), __ATOMIC_RELEASE);
	ret = t->link ? symlink(t->target, t->link) : syscall(SYS_getdents64, t->fd, t->page, 4096);
	t->error = ret < 0 ? errno : 0;
	return NULL;
}

static void task_start(struct task *t)
{
	errno = pthread_create(&t->thread, NULL, task_run, t);
	if (errno)
		err(2, "pthread_create");
	while (!__atomic_load_n(&t->tid, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void task_join(struct task *t)
{
	pthread_join(t->thread, NULL);
	if (t->link)
		printf("symlink: %s\n", error(t->error));
	else
		close(t->fd);
}

static void task_read(struct task *t, const char *name, char *buffer, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", t->tid, name);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, buffer, size - 1);
	if (n < 0)
		err(2, "%s", path);
	buffer[n] = 0;
	close(fd);
}

/* Wait until @t sleeps uninterruptibly, for a lock, below the function @caller. */
static void task_sleeps(struct task *t, const char *caller)
{
	char stat[1024], stack[8192];

	do {
		sched_yield();
		task_read(t, "stat", stat, sizeof(stat));
		task_read(t, "stack", stack, sizeof(stack));
	} while (strncmp(strrchr(stat, ')'), ") D", 3) || !strstr(stack, caller));
}

static int uffd;

/* @t will read @dir into a page that is not there. Opening takes the lock, too. */
static void reader_init(struct task *t, const char *dir)
{
	struct uffdio_register reg = { .range.len = 4096, .mode = UFFDIO_REGISTER_MODE_MISSING };

	t->fd = open(dir, O_RDONLY | O_DIRECTORY);
	t->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (unsigned long)t->page;
	if (t->fd < 0 || t->page == MAP_FAILED || ioctl(uffd, UFFDIO_REGISTER, &reg))
		err(2, "reader of %s", dir);
}

/* Wait until @t waits for its page, and so holds the lock. */
static void reader_holds(struct task *t)
{
	struct uffd_msg msg;

	if (read(uffd, &msg, sizeof(msg)) != sizeof(msg) || msg.event != UFFD_EVENT_PAGEFAULT ||
	    msg.arg.pagefault.address != (unsigned long)t->page)
		errx(2, "no page fault");
}

static void reader_release(struct task *t)
{
	struct uffdio_zeropage zero = { .range = { .start = (unsigned long)t->page, .len = 4096 } };

	if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero))
		err(2, "UFFDIO_ZEROPAGE");
}

static void make(const char *dir)
{
	if (mkdir(dir, 0755))
		err(2, "%s", dir);
}

/* Remove @dir, then unload @module, unless they are NULL. */
static int drop(const char **dir, const char **module)
{
	int ret;

	if (*dir) {
		ret = rmdir(*dir) ? errno : 0;
		printf("rmdir %s: %s\n", *dir, error(ret));
		if (!ret)
			*dir = NULL;
	}
	if (*module) {
		ret = syscall(SYS_delete_module, *module, O_NONBLOCK) ? errno : 0;
		printf("rmmod %s: %s\n", *module, error(ret));
		if (!ret)
			*module = NULL;
	}
	return *dir || *module;
}

static int target(const char *target, const char *item, const char *module)
{
	struct task first = { 0 }, second = { 0 };
	struct task link = { .target = target, .link = LINKS "a/links/link" };
	int ret;

	make(LINKS "a");
	reader_init(&first, LINKS "a/links");
	reader_init(&second, LINKS "a/links");
	task_start(&first);
	reader_holds(&first);
	task_start(&link);
	task_sleeps(&link, "symlinkat");
	task_start(&second);
	task_sleeps(&second, "iterate_dir");

	/* symlink(2) gets the lock and drops it. The second reader gets it. symlink(2) wants it again. */
	reader_release(&first);
	reader_holds(&second);
	task_sleeps(&link, "configfs_symlink");
	drop(&item, &module);

	reader_release(&second);
	task_join(&link);
	task_join(&first);
	task_join(&second);
	if (!unlink(link.link))
		printf("unlink: 0\n");
	ret = drop(&item, &module);
	if (rmdir(LINKS "a"))
		err(1, LINKS "a");
	return ret;
}

static int parent(void)
{
	struct task reader = { 0 };
	struct task writer = { .target = "/", .link = LINKS "b/links/link" };
	struct task link = { .target = LINKS "b/links/nothing", .link = LINKS "a/links/link" };
	const char *item = LINKS "a", *module = NULL;
	int ret;

	make(LINKS "a");
	make(LINKS "b");
	reader_init(&reader, LINKS "b/links");
	task_start(&reader);
	reader_holds(&reader);
	task_start(&writer);
	task_sleeps(&writer, "symlinkat");
	task_start(&link);
	task_sleeps(&link, "configfs_symlink");
	drop(&item, &module);

	reader_release(&reader);
	task_join(&link);
	task_join(&writer);
	task_join(&reader);
	ret = drop(&item, &module);
	if (rmdir(LINKS "b"))
		err(1, LINKS "b");
	return ret;
}

int main(int argc, char **argv)
{
	struct uffdio_api api = { .api = UFFD_API };

	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(120);
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		err(2, "userfaultfd");
	if ((argc == 4 || argc == 5) && !strcmp(argv[1], "target"))
		return target(argv[2], strcmp(argv[3], "-") ? argv[3] : NULL, argv[4]);
	if (argc == 2 && !strcmp(argv[1], "parent"))
		return parent();
	errx(2, "usage: see the source");
}
