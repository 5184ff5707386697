// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoints of the Rust driver of the simulated misc device. Only C can define
 * tracepoints.
 */

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "trace_rust.h"
