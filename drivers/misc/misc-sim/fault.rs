// SPDX-License-Identifier: GPL-2.0-only

//! Faults of the simulated misc device: what is to go wrong, and when.

#[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
use kernel::fault_injection::FaultConfig;
use kernel::{
    configfs::{
        DefaultGroup,
        Group, //
    },
    prelude::*,
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        Arc, //
    }, //
};

#[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
struct Fault(Arc<FaultConfig>);

#[cfg(CONFIG_MISC_SIM_FAULT_INJECTION)]
impl Fault {
    fn new(name: &CStr, groups: &mut KVec<DefaultGroup>) -> Result<Self> {
        let (config, group) = FaultConfig::new(name)?;

        groups.push(group, GFP_KERNEL)?;
        Ok(Self(config))
    }

    fn should_fail(&self) -> bool {
        self.0.should_fail(1)
    }
}

#[cfg(not(CONFIG_MISC_SIM_FAULT_INJECTION))]
struct Fault;

#[cfg(not(CONFIG_MISC_SIM_FAULT_INJECTION))]
impl Fault {
    fn new(_name: &CStr, _groups: &mut KVec<DefaultGroup>) -> Result<Self> {
        Ok(Self)
    }

    fn should_fail(&self) -> bool {
        false
    }
}

/// What is to go wrong with a device.
///
/// Shared by an instance and its directory in configfs, and may be changed at any time.
pub(crate) struct Faults {
    fail_open: Fault,
    fail_read: Fault,
    fail_write: Fault,
    short_io: Fault,

    /// How long each transfer takes longer.
    pub(crate) latency_us: Atomic<u32>,

    /// The errno, positive, of an operation that is to fail.
    pub(crate) error: Atomic<u32>,
}

impl Faults {
    /// Makes the faults of a device: none so far.
    ///
    /// Also returns the fault groups.
    pub(crate) fn new() -> Result<(Arc<Self>, KVec<DefaultGroup>)> {
        let mut groups = KVec::new();
        let faults = Self {
            fail_open: Fault::new(c"fail_open", &mut groups)?,
            fail_read: Fault::new(c"fail_read", &mut groups)?,
            fail_write: Fault::new(c"fail_write", &mut groups)?,
            short_io: Fault::new(c"short_io", &mut groups)?,
            latency_us: Atomic::new(0),
            error: Atomic::new(EIO.to_errno().unsigned_abs()),
        };

        Ok((Arc::new(faults, GFP_KERNEL)?, groups))
    }

    fn fail(&self, fault: &Fault) -> Result {
        if fault.should_fail() {
            return Err(Error::from_errno(-(self.error.load(Relaxed) as i32)));
        }
        Ok(())
    }

    /// Whether an open is to fail.
    pub(crate) fn fail_open(&self) -> Result {
        self.fail(&self.fail_open)
    }

    /// Whether a read is to fail.
    pub(crate) fn fail_read(&self) -> Result {
        self.fail(&self.fail_read)
    }

    /// Whether a write is to fail.
    pub(crate) fn fail_write(&self) -> Result {
        self.fail(&self.fail_write)
    }

    /// How much of a transfer of `count` bytes is to take place: all, or half of it, rounded up.
    pub(crate) fn short_io(&self, count: usize) -> usize {
        if count > 1 && self.short_io.should_fail() {
            return count - count / 2;
        }
        count
    }
}

/// Shows the fault groups in configfs, in the directory of the instance.
pub(crate) fn add_groups<Data>(groups: KVec<DefaultGroup>, mut parent: Pin<&mut Group<Data>>) {
    for group in groups {
        parent.as_mut().add_default_group(group);
    }
}
