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
    driver: Driver,
}

type Driver = driver::Registration<kernel::platform::Adapter<platform::Driver>>;

fn create_default(driver: &Driver) -> Result<Instance> {
    let instance = Instance::create(c"0", &Config::default(), Faults::new()?, None)?;

    // Bind the devices that probe() has refused so far.
    instance::allow();
    if driver.attach().is_err() {
        pr_warn!("failed to bind some devices\n");
    }
    Ok(instance)
}

impl kernel::InPlaceModule for RmiscSim {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            driver <- driver::Registration::new(c"rmisc-sim", module),
            _config <- config::subsystem(),
            // Last, because nothing may fail once user space can open a node.
            _default: create_default(&driver)?,
        })
    }
}
