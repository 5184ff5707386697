// SPDX-License-Identifier: GPL-2.0-only

//! Tracepoints of the simulated misc device.

use crate::{
    device::Device,
    message::Message, //
};
use kernel::{
    prelude::*,
    tracepoint::declare_trace, //
};

declare_trace! {
    fn rmisc_sim_publish(name: &CStr, generation: u64, length: usize);
    fn rmisc_sim_read(name: &CStr, generation: u64, pos: i64, ret: isize);
    fn rmisc_sim_unplug(name: &CStr);
}

/// A message is published.
pub(crate) fn publish(dev: &Device, message: &Message) {
    rmisc_sim_publish(dev.name(), message.generation(), message.len());
}

/// A message was read from `pos` on, or that failed.
pub(crate) fn read(dev: &Device, message: &Message, pos: i64, ret: &Result<usize>) {
    let ret = match ret {
        Ok(count) => *count as isize,
        Err(error) => error.to_errno() as isize,
    };

    rmisc_sim_read(dev.name(), message.generation(), pos, ret);
}

/// A device is unplugged.
pub(crate) fn unplug(dev: &Device) {
    rmisc_sim_unplug(dev.name());
}
