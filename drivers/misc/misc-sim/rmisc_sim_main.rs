// SPDX-License-Identifier: GPL-2.0-only

//! Simulated misc character device: the module and its default instance.
//!
//! The files and functions correspond to those of the C driver, which passes the same tests.
//!
//! See Documentation/misc-devices/misc-sim.rst.

mod channel;
mod config;
mod device;
mod fault;
mod file;
mod instance;
mod message;
mod platform;
mod queue;
mod record;
mod request;
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

/// The fields are dropped in the order of their declaration.
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
    /// Unlike in C, `probe()` does not refuse devices until the default instance exists, because
    /// there is no abstraction for `driver_attach()`, which would bind them afterwards.
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _driver <- driver::Registration::new(c"rmisc-sim", module),
            _config <- config::subsystem(),
            // Last, because nothing may fail once user space can open a node.
            _default: create_default()?,
        })
    }
}
