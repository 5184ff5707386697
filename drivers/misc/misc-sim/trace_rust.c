// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoints of the simulated misc device in Rust, which only C can define
 */

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "trace_rust.h"
