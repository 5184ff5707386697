// SPDX-License-Identifier: GPL-2.0-only

//! Attributes of the simulated misc device in `/sys/class/misc`.
//!
//! User space can read them before the registration is complete.

use crate::device::Device;
use kernel::{
    fmt::Write as _,
    miscdevice::{
        Attribute,
        AttributeGroup,
        AttributeList,
        MiscDeviceAttribute, //
    },
    prelude::*,
    str::Formatter,
    sync::Arc, //
};

struct Generation;

impl MiscDeviceAttribute for Generation {
    type Data = Arc<Device>;

    const NAME: &'static CStr = c"generation";

    fn show(dev: &Arc<Device>, f: &mut Formatter<'_>) -> Result {
        Ok(writeln!(f, "{}", dev.generation())?)
    }
}

struct Length;

impl MiscDeviceAttribute for Length {
    type Data = Arc<Device>;

    const NAME: &'static CStr = c"length";

    fn show(dev: &Arc<Device>, f: &mut Formatter<'_>) -> Result {
        Ok(writeln!(f, "{}", dev.message().len())?)
    }
}

struct Capacity;

impl MiscDeviceAttribute for Capacity {
    type Data = Arc<Device>;

    const NAME: &'static CStr = c"capacity";

    fn show(dev: &Arc<Device>, f: &mut Formatter<'_>) -> Result {
        Ok(writeln!(f, "{}", dev.capacity)?)
    }
}

/// The attributes of a device.
pub(crate) const GROUP: AttributeGroup<Arc<Device>> = AttributeGroup::new(&AttributeList::new([
    Attribute::new::<Generation>(),
    Attribute::new::<Length>(),
    Attribute::new::<Capacity>(),
]));

/// The attributes of a channel, which has no current message.
pub(crate) const CHANNEL_GROUP: AttributeGroup<Arc<Device>> =
    AttributeGroup::new(&AttributeList::new([Attribute::new::<Capacity>()]));
