// SPDX-License-Identifier: GPL-2.0-only

//! Fault settings of the simulated misc device.

#[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
use crate::trace;
#[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
use kernel::fault_injection::FaultConfig;
use kernel::{
    configfs::DefaultGroup,
    prelude::*,
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        Arc, //
    }, //
};

/// Faults to inject.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// `open()` fails.
    FailOpen,
    /// A read fails.
    FailRead,
    /// A write fails.
    FailWrite,
    /// An ioctl fails.
    FailIoctl,
    /// A read or write is cut short.
    ShortIo,
}

/// Names of the faults, in the order of [`Fault`].
#[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
const NAMES: [&CStr; 5] = [
    c"fail_open",
    c"fail_read",
    c"fail_write",
    c"fail_ioctl",
    c"short_io",
];

/// Fault settings of a device.
///
/// The device and its configfs directory share these settings. They may change at any time.
pub(crate) struct Faults {
    /// Delay of each read and write in microseconds.
    pub(crate) latency_us: Atomic<u32>,

    /// Errno, positive, of an operation that fails.
    pub(crate) error: Atomic<u32>,

    /// When each [`Fault`] fires; empty for a device without a configfs directory.
    #[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
    configs: KVec<Arc<FaultConfig>>,
}

impl Faults {
    fn disarmed() -> Self {
        Self {
            latency_us: Atomic::new(0),
            error: Atomic::new(EIO.to_errno().unsigned_abs()),
            #[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
            configs: KVec::new(),
        }
    }

    /// Creates the fault settings of a device without fault groups. No fault ever fires.
    ///
    /// Fails with [`ENOMEM`].
    pub(crate) fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self::disarmed(), GFP_KERNEL)?)
    }

    /// Creates the fault settings of a device, and the fault groups.
    ///
    /// No fault fires until it is configured. Fails with [`ENOMEM`].
    #[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
    pub(crate) fn new_with_groups() -> Result<(Arc<Self>, KVec<DefaultGroup>)> {
        let mut faults = Self::disarmed();
        let mut groups = KVec::new();

        for name in NAMES {
            let (config, group) = FaultConfig::new(name)?;

            faults.configs.push(config, GFP_KERNEL)?;
            groups.push(group, GFP_KERNEL)?;
        }
        Ok((Arc::new(faults, GFP_KERNEL)?, groups))
    }

    #[cfg(not(CONFIG_MISC_SIM_FAULT_INJECTION))]
    pub(crate) fn new_with_groups() -> Result<(Arc<Self>, KVec<DefaultGroup>)> {
        Ok((Self::new()?, KVec::new()))
    }

    /// Decides whether a fault fires.
    ///
    /// `name` is that of the device, for the tracepoint.
    #[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
    pub(crate) fn should_fail(&self, fault: Fault, name: &CStr) -> bool {
        let fails = self
            .configs
            .get(fault as usize)
            .is_some_and(|config| config.should_fail(1));

        if fails {
            trace::rmisc_sim_fault(name, NAMES[fault as usize]);
        }
        fails
    }

    #[cfg(not(CONFIG_MISC_SIM_FAULT_INJECTION))]
    pub(crate) fn should_fail(&self, _fault: Fault, _name: &CStr) -> bool {
        false
    }

    /// Returns the error of an operation that fails.
    pub(crate) fn error(&self) -> Error {
        Error::from_errno(-(self.error.load(Relaxed) as i32))
    }
}
