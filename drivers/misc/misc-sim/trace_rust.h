/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of the Rust driver of the simulated misc device: those of the C
 * driver, with other names
 */

#define misc_sim		rmisc_sim
#define misc_sim_publish	rmisc_sim_publish
#define misc_sim_read		rmisc_sim_read
#define misc_sim_fault		rmisc_sim_fault
#define misc_sim_unplug		rmisc_sim_unplug

#include "trace.h"

#undef misc_sim
#undef misc_sim_publish
#undef misc_sim_read
#undef misc_sim_fault
#undef misc_sim_unplug
