// SPDX-License-Identifier: GPL-2.0

#include <linux/fault-inject.h>
#include <linux/ratelimit.h>

#ifdef CONFIG_FAULT_INJECTION
__rust_helper void rust_helper_FAULT_ATTR_INITIALIZER(struct fault_attr *attr)
{
	DECLARE_FAULT_ATTR(initial);

	*attr = initial;
	/* Do not copy the lock: lockdep would not know its class. */
	ratelimit_state_init(&attr->ratelimit_state, 0,
			     DEFAULT_RATELIMIT_BURST);
}
#endif
