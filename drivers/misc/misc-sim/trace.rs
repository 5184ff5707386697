// SPDX-License-Identifier: GPL-2.0-only

//! Tracepoints of the simulated misc device.

use kernel::{
    prelude::*,
    tracepoint::declare_trace, //
};

declare_trace! {
    // SAFETY: The tracepoints copy the strings and use no integer as an address.
    unsafe extern "C" {
        pub(crate) safe fn rmisc_sim_publish(name: &CStr, generation: u64, length: usize);
        pub(crate) safe fn rmisc_sim_read(name: &CStr, generation: u64, pos: i64, ret: isize);
        pub(crate) safe fn rmisc_sim_fault(name: &CStr, fault: &CStr);
        pub(crate) safe fn rmisc_sim_unplug(name: &CStr);
    }
}
