// SPDX-License-Identifier: GPL-2.0-only

//! Platform driver of the simulated misc device: an instance for each device.

use crate::{
    device::{
        Config,
        Instance,
        CAPACITY_MAX,
        LATENCY_US_MAX, //
    },
    fault::Faults, //
};
use kernel::{
    device::{
        self,
        property::FwNode,
        Core, //
    },
    of,
    platform,
    prelude::*,
    str::CString,
    sync::atomic::ordering::Relaxed, //
};

/// Returns the message of the firmware node, if there is one.
fn read_message(dev: &device::Device, node: &FwNode) -> Result<Option<KVec<u8>>> {
    let count = match node.property_count_elem::<u8>(c"linux,message") {
        Err(EINVAL) => return Ok(None),
        count => count?,
    };

    if count > CAPACITY_MAX as usize {
        return Err(EMSGSIZE);
    }
    let message = node.property_read_array_vec(c"linux,message", count)?;
    Ok(Some(message.required_by(dev)?))
}

fn create_from(dev: &device::Device) -> Result<Instance> {
    let (faults, _) = Faults::new()?;
    let mut config = Config::new(dev.name());
    let Some(node) = dev.fwnode() else {
        return Instance::create(&config, faults, Some(dev));
    };
    let message = read_message(dev, node)?;
    let label = node.property_read::<CString>(c"label").optional();
    let latency_us = node.property_read(c"linux,latency-us").or_default();

    if let Some(message) = &message {
        config.message = message;
    }
    if let Some(label) = &label {
        config.name = label;
    }
    config.capacity = node.property_read(c"linux,capacity").or(config.capacity);
    config.period_us = node.property_read(c"linux,period-us").or(config.period_us);
    config.blocking = node.property_read_bool(c"linux,blocking");
    if latency_us > LATENCY_US_MAX {
        return Err(EINVAL);
    }
    faults.latency_us.store(latency_us, Relaxed);
    config.mode = node.property_read(c"linux,mode").or(config.mode);

    Instance::create(&config, faults, Some(dev))
}

kernel::of_device_table!(OF_TABLE, (), [(of::DeviceId::new(c"linux,misc-sim"), ())]);

/// The driver of platform devices.
pub(crate) struct Driver;

/// When a device is unbound, its instance is dropped, which unplugs it; whoever has it open keeps
/// what is left of it.
impl platform::Driver for Driver {
    type IdInfo = ();
    type Data<'bound> = Instance;

    const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = Some(&OF_TABLE);

    fn probe<'bound>(
        pdev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Instance, Error> + 'bound {
        create_from(pdev.as_ref())
    }
}
