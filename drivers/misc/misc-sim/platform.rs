// SPDX-License-Identifier: GPL-2.0-only

//! Platform driver of the simulated misc device: one instance per platform device.

use crate::{
    device::{
        Config,
        Kind,
        Peer,
        CAPACITY_MAX,
        LATENCY_US_MAX, //
    },
    fault::Faults,
    instance::Instance, //
};
use kernel::{
    device::{
        self,
        property::FwNode,
        Bound,
        Core, //
    },
    of,
    platform,
    prelude::*,
    str::CString,
    sync::atomic::ordering::Relaxed, //
};

/// Returns the first message, or [`None`] if there is no such property.
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

fn read_choice<T>(
    node: &FwNode,
    property: &CStr,
    from_name: fn(&[u8]) -> Result<T>,
) -> Result<Option<T>> {
    match node.property_read::<CString>(property).optional() {
        Some(name) => from_name(name.to_bytes()).map(Some),
        None if node.property_present(property) => Err(EINVAL),
        None => Ok(None),
    }
}

fn probe(dev: &device::Device<Bound>) -> Result<Instance> {
    let faults = Faults::new()?;
    let mut config = Config::default();

    if let Some(node) = dev.fwnode() {
        config.message = read_message(dev, node)?;
        config.capacity = node.property_read(c"linux,capacity").or(config.capacity);
        config.period_us = node.property_read(c"linux,period-us").or(config.period_us);
        config.mode = node.property_read(c"linux,mode").or(config.mode);

        let latency_us = node.property_read(c"linux,latency-us").or_default();
        if latency_us > LATENCY_US_MAX {
            return Err(EINVAL);
        }
        faults.latency_us.store(latency_us, Relaxed);

        if let Some(kind) = read_choice(node, c"linux,kind", Kind::from_name)? {
            config.kind = kind;
        }
        if let Some(peer) = read_choice(node, c"linux,peer", Peer::from_name)? {
            config.peer = peer;
        }
    }

    Instance::probe(dev, &config, faults)
}

kernel::of_device_table!(OF_TABLE, (), [(of::DeviceId::new(c"linux,misc-sim"), ())]);

/// The driver of platform devices.
pub(crate) struct Driver;

/// The instance of a device is dropped when the device is unbound, and this unplugs the instance.
impl platform::Driver for Driver {
    type IdInfo = ();
    type Data<'bound> = Instance;

    const OF_ID_TABLE: Option<of::IdTable<Self::IdInfo>> = Some(&OF_TABLE);

    fn probe<'bound>(
        pdev: &'bound platform::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Instance, Error> + 'bound {
        probe(pdev.as_ref())
    }
}
