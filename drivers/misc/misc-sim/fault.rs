// SPDX-License-Identifier: GPL-2.0-only

//! Faults of the simulated misc device: which there are, and when they happen.

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
    /// A transfer is cut short.
    ShortIo,
}

/// Names of the faults, in the order of [`Fault`].
const NAMES: [&CStr; 5] = [
    c"fail_open",
    c"fail_read",
    c"fail_write",
    c"fail_ioctl",
    c"short_io",
];

impl Fault {
    /// Returns the name of the fault group.
    pub(crate) fn name(self) -> &'static CStr {
        NAMES[self as usize]
    }
}

/// Faults of a device and their settings.
///
/// A device and its directory in configfs share these, and they may change at any time.
pub(crate) struct Faults {
    /// Delay of each transfer in microseconds.
    pub(crate) latency_us: Atomic<u32>,

    /// The errno, positive, of an operation that fails.
    pub(crate) error: Atomic<u32>,

    /// When each [`Fault`] happens; empty for a device without a directory in configfs.
    #[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
    configs: KVec<Arc<FaultConfig>>,
}

impl Faults {
    /// Creates the faults of a device that has no fault groups: none ever happens.
    ///
    /// Fails with [`ENOMEM`].
    pub(crate) fn new() -> Result<Arc<Self>> {
        Self::create(
            #[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
            KVec::new(),
        )
    }

    /// Creates the faults of a device, none of which happens, and the fault groups.
    ///
    /// Fails with [`ENOMEM`].
    #[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
    pub(crate) fn new_with_groups() -> Result<(Arc<Self>, KVec<DefaultGroup>)> {
        let mut configs = KVec::new();
        let mut groups = KVec::new();

        for name in NAMES {
            let (config, group) = FaultConfig::new(name)?;

            configs.push(config, GFP_KERNEL)?;
            groups.push(group, GFP_KERNEL)?;
        }
        Ok((Self::create(configs)?, groups))
    }

    #[cfg(not(CONFIG_MISC_SIM_FAULT_INJECTION))]
    pub(crate) fn new_with_groups() -> Result<(Arc<Self>, KVec<DefaultGroup>)> {
        Ok((Self::new()?, KVec::new()))
    }

    fn create(
        #[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)] configs: KVec<Arc<FaultConfig>>,
    ) -> Result<Arc<Self>> {
        let faults = Self {
            latency_us: Atomic::new(0),
            error: Atomic::new(EIO.to_errno().unsigned_abs()),
            #[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
            configs,
        };
        Ok(Arc::new(faults, GFP_KERNEL)?)
    }

    /// Returns whether a fault happens now.
    #[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
    pub(crate) fn should_fail(&self, fault: Fault) -> bool {
        self.configs
            .get(fault as usize)
            .is_some_and(|config| config.should_fail(1))
    }

    #[cfg(not(CONFIG_MISC_SIM_FAULT_INJECTION))]
    pub(crate) fn should_fail(&self, _fault: Fault) -> bool {
        false
    }

    /// Returns the error of an operation that fails.
    pub(crate) fn error(&self) -> Error {
        Error::from_errno(-(self.error.load(Relaxed) as i32))
    }
}
