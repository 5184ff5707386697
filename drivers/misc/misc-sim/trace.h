/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the simulated misc device
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM misc_sim

#if !defined(_MISC_SIM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _MISC_SIM_TRACE_H

#include <linux/tracepoint.h>

#include "misc-sim.h"

TRACE_EVENT(misc_sim_publish,
	    TP_PROTO(const struct misc_sim_device *dev,
		     const struct misc_sim_message *msg),
	    TP_ARGS(dev, msg),
	    TP_STRUCT__entry(__string(name, dev->name)
			     __field(u64, generation)
			     __field(size_t, length)
	    ),
	    TP_fast_assign(__assign_str(name);
			   __entry->generation = msg->generation;
			   __entry->length = msg->length;
	    ),
	    TP_printk("name=%s generation=%llu length=%zu",
		      __get_str(name), __entry->generation, __entry->length)
);

TRACE_EVENT(misc_sim_read,
	    TP_PROTO(const struct misc_sim_device *dev,
		     const struct misc_sim_message *msg, loff_t pos, ssize_t ret),
	    TP_ARGS(dev, msg, pos, ret),
	    TP_STRUCT__entry(__string(name, dev->name)
			     __field(u64, generation)
			     __field(loff_t, pos)
			     __field(ssize_t, ret)
	    ),
	    TP_fast_assign(__assign_str(name);
			   __entry->generation = msg->generation;
			   __entry->pos = pos;
			   __entry->ret = ret;
	    ),
	    TP_printk("name=%s generation=%llu pos=%lld ret=%zd",
		      __get_str(name), __entry->generation, __entry->pos,
		      __entry->ret)
);

TRACE_EVENT(misc_sim_unplug,
	    TP_PROTO(const struct misc_sim_device *dev),
	    TP_ARGS(dev),
	    TP_STRUCT__entry(__string(name, dev->name)
	    ),
	    TP_fast_assign(__assign_str(name);
	    ),
	    TP_printk("name=%s", __get_str(name))
);

#endif /* _MISC_SIM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace

/* This part must be outside protection */
#include <trace/define_trace.h>
