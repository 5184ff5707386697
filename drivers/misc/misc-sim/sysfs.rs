// SPDX-License-Identifier: GPL-2.0-only

//! Attributes of the simulated misc device in `/sys/class/misc`.
//!
//! They can be read before the device is registered.

use crate::{
    device::Device,
    file::SimFile, //
};
use kernel::{
    fmt::Write as _,
    miscdevice::{
        Attribute,
        MiscDeviceAttribute, //
    },
    prelude::*,
    str::Formatter,
    sync::Arc, //
};

struct Generation;

impl MiscDeviceAttribute for Generation {
    type Device = SimFile;

    const NAME: &'static CStr = c"generation";

    fn show(dev: &Arc<Device>, f: &mut Formatter<'_>) -> Result {
        Ok(writeln!(f, "{}", dev.generation())?)
    }
}

struct Length;

impl MiscDeviceAttribute for Length {
    type Device = SimFile;

    const NAME: &'static CStr = c"length";

    fn show(dev: &Arc<Device>, f: &mut Formatter<'_>) -> Result {
        let (_, length) = dev.current();

        Ok(writeln!(f, "{length}")?)
    }
}

struct Capacity;

impl MiscDeviceAttribute for Capacity {
    type Device = SimFile;

    const NAME: &'static CStr = c"capacity";

    fn show(dev: &Arc<Device>, f: &mut Formatter<'_>) -> Result {
        Ok(writeln!(f, "{}", dev.capacity())?)
    }
}

pub(crate) const ATTRIBUTES: &[Option<&Attribute<SimFile>>] = &[
    Attribute::new::<Generation>(),
    Attribute::new::<Length>(),
    Attribute::new::<Capacity>(),
    None,
];
