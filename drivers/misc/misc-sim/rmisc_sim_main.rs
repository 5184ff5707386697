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
mod message;
mod platform;
mod sysfs;
mod trace;

use device::Instance;
use fault::Faults;
use kernel::{
    configfs,
    driver,
    prelude::*, //
};

module! {
    type: RmiscSim,
    name: "rmisc_sim",
    authors: ["misc-sim <misc-sim@example.org>"],
    description: "Simulated misc character device, in Rust",
    license: "GPL",
    alias: ["platform:rmisc-sim"],
}

const GREETING: &[u8] = b"Hello from rmisc-sim!\n";

/// Dropped in this order.
#[pin_data]
struct RmiscSim {
    _default: Instance,
    #[pin]
    _config: configfs::Subsystem<config::Root>,
    #[pin]
    _driver: driver::Registration<kernel::platform::Adapter<platform::Driver>>,
}

impl kernel::InPlaceModule for RmiscSim {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        device::init();

        pin_init::pin_init_scope(move || {
            let (faults, _) = Faults::new()?;

            Ok(try_pin_init!(Self {
                _driver <- driver::Registration::new(c"rmisc-sim", module),
                _config <- config::subsystem(),
                // Last, as whoever has opened it counts on the module.
                _default: Instance::create(&device::Config::new(c"0"), faults, None)?,
            }))
        })
    }
}
