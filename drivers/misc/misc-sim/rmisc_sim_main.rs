// SPDX-License-Identifier: GPL-2.0-only

//! Simulated misc character device: the module and its default instance.
//!
//! This does what the C driver beside it does, file by file, and passes the same tests.
//!
//! See Documentation/misc-devices/misc-sim.rst.

mod config;
mod device;
mod fault;
mod file;
mod instance;
mod message;
mod platform;
mod stream;
mod sysfs;
mod trace;

use device::Config;
use fault::Faults;
use instance::Instance;
use kernel::{
    configfs,
    driver,
    prelude::*, //
};

module! {
    type: RmiscSim,
    name: "rmisc_sim",
    authors: ["misc-sim <misc-sim@example.org>"],
    description: "Simulated misc character device, Rust reference driver",
    license: "GPL",
    alias: ["platform:rmisc-sim"],
}

/// The fields are dropped from the first to the last.
#[pin_data]
struct RmiscSim {
    _default: Instance,
    #[pin]
    _config: configfs::Subsystem<config::Root>,
    #[pin]
    _driver: driver::Registration<kernel::platform::Adapter<platform::Driver>>,
}

fn create_default() -> Result<Instance> {
    let instance = Instance::create(c"0", &Config::default(), Faults::new()?, None)?;

    instance::allow();
    Ok(instance)
}

impl kernel::InPlaceModule for RmiscSim {
    /// The driver cannot refuse devices until the default instance exists, as it does in C, because
    /// there is no abstraction for `driver_attach()`, which would bind them afterwards.
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _driver <- driver::Registration::new(c"rmisc-sim", module),
            _config <- config::subsystem(),
            // Nothing may fail once user space can open a node.
            _default: create_default()?,
        })
    }
}
