// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoints of the simulated misc device in Rust: what C alone can make
 */

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "trace_rust.h"
