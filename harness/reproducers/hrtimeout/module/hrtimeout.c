// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that wait for something that does not happen, each with a short timeout. Waking one by
 * hand at about the time of its timeout makes it look at its timer while that expires.
 */

#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/wait.h>

#define WAITERS	4

static DECLARE_WAIT_QUEUE_HEAD(queue);
static struct task_struct *waiters[WAITERS];

static int hrtimeout_wait(void *unused)
{
	while (!kthread_should_stop()) {
		wait_event_interruptible_hrtimeout(queue, false, us_to_ktime(50));
		wake_up_all(&queue);
	}
	return 0;
}

static void hrtimeout_stop(void)
{
	int i;

	for (i = 0; i < WAITERS; i++)
		if (waiters[i])
			kthread_stop(waiters[i]);
}

static int __init hrtimeout_init(void)
{
	struct task_struct *task;
	int i;

	for (i = 0; i < WAITERS; i++) {
		task = kthread_run(hrtimeout_wait, NULL, "hrtimeout/%d", i);
		if (IS_ERR(task)) {
			hrtimeout_stop();
			return PTR_ERR(task);
		}
		waiters[i] = task;
	}
	return 0;
}
module_init(hrtimeout_init);

static void __exit hrtimeout_exit(void)
{
	hrtimeout_stop();
}
module_exit(hrtimeout_exit);

MODULE_DESCRIPTION("Reproducer of a data race in wait_event_hrtimeout()");
MODULE_LICENSE("GPL");
