// SPDX-License-Identifier: GPL-2.0

//! Fault injection.
//!
//! C header: [`include/linux/fault-inject.h`](srctree/include/linux/fault-inject.h)
//!
//! Reference: <https://docs.kernel.org/fault-injection/fault-injection.html>

use crate::{
    bindings,
    configfs::DefaultGroup,
    container_of,
    prelude::*,
    sync::Arc,
    types::Opaque, //
};
use core::ptr::NonNull;

/// A fault to inject, controlled by a directory in configfs.
///
/// # Examples
///
/// ```
/// use kernel::{
///     configfs::DefaultGroup,
///     fault_injection::FaultConfig,
///     prelude::*,
///     sync::Arc, //
/// };
///
/// struct Device {
///     fail_read: Arc<FaultConfig>,
/// }
///
/// impl Device {
///     fn new() -> Result<(Self, DefaultGroup)> {
///         let (fail_read, group) = FaultConfig::new(c"fail_read")?;
///
///         Ok((Self { fail_read }, group))
///     }
///
///     fn read(&self) -> Result {
///         if self.fail_read.should_fail(1) {
///             return Err(EIO);
///         }
///         Ok(())
///     }
/// }
///
/// // Nothing fails until userspace writes to the attributes of the group.
/// let (device, group) = Device::new()?;
/// device.read()?;
/// drop(group);
/// device.read()?;
/// # Ok::<(), Error>(())
/// ```
///
/// # Invariants
///
/// - `config` is initialized.
/// - The references to the group in `config` together own one reference to `self`.
#[pin_data]
pub struct FaultConfig {
    #[pin]
    config: Opaque<bindings::fault_config>,

    /// The item type of the C side, with a `release` operation added.
    ///
    /// The C side expects the parent of the group to own the memory. Here, the references to the
    /// group own it, so it remains valid while anything in configfs refers to it.
    #[pin]
    item_type: Opaque<bindings::config_item_type>,
}

// SAFETY: A `FaultConfig` can be used and dropped on any thread.
unsafe impl Send for FaultConfig {}

// SAFETY: `should_fail()` can be called in parallel, also while configfs changes the attributes.
unsafe impl Sync for FaultConfig {}

impl FaultConfig {
    /// Creates a fault that is disabled, and the group that controls it.
    ///
    /// Pass the group to [`Group::add_default_group`] to make it visible in configfs. Faults are
    /// logged only if userspace sets `verbose` in the group.
    ///
    /// Fails with [`ENOMEM`].
    ///
    /// [`Group::add_default_group`]: crate::configfs::Group::add_default_group
    pub fn new(name: &CStr) -> Result<(Arc<Self>, DefaultGroup)> {
        let this = Arc::pin_init(
            pin_init!(Self {
                config <- pin_init::init_zeroed(),
                item_type <- pin_init::init_zeroed(),
            }),
            GFP_KERNEL,
        )?;
        let config = this.config.get();

        // SAFETY: `config` is zeroed, and nobody else has a reference to it yet.
        unsafe {
            bindings::FAULT_ATTR_INITIALIZER(&raw mut (*config).attr);
            (*config).attr.verbose = 0;
            bindings::fault_config_init(config, name.as_char_ptr());
        }

        // SAFETY: `config` is initialized, and nobody else has a reference to it yet.
        let dname = unsafe { &mut (*config).attr.dname };
        // The log shows this copy of the name, which may be truncated. The last byte remains NUL.
        let len = name.to_bytes().len().min(dname.len() - 1);
        dname[..len].copy_from_slice(&name.to_bytes()[..len]);

        // SAFETY: `fault_config_init()` has initialized the group.
        let group = unsafe { &mut (*config).group };
        if group.cg_item.ci_name.is_null() {
            // The name is too long for `ci_namebuf`, and its allocation failed.
            return Err(ENOMEM);
        }

        // SAFETY: `fault_config_init()` has set a valid type, and nobody else uses `item_type` yet.
        unsafe {
            *this.item_type.get() = bindings::config_item_type {
                ct_item_ops: &Self::ITEM_OPS,
                ..*group.cg_item.ci_type
            };
        }
        group.cg_item.ci_type = this.item_type.get();
        let group = NonNull::from(group);

        // INVARIANT: `Self::release` drops this reference.
        let _ = this.clone().into_raw();
        // SAFETY: We own the only reference to the group. It is not in another group, and only
        // `DefaultGroup` gives access to it. The reference above keeps it valid until `release` is
        // called.
        let group = unsafe { DefaultGroup::from_raw(group) };

        Ok((this, group))
    }

    /// Returns whether the caller should fail now.
    ///
    /// `size` is subtracted from `space` in the group. Nothing fails until `space` is used up.
    ///
    /// This can be called in any context.
    #[inline]
    pub fn should_fail(&self, size: isize) -> bool {
        // SAFETY: By the type invariants, `config` is initialized.
        unsafe { bindings::should_fail(&raw mut (*self.config.get()).attr, size) }
    }

    /// # Safety
    ///
    /// `item` must belong to a `FaultConfig`, and its last reference must have been dropped.
    unsafe extern "C" fn release(item: *mut bindings::config_item) {
        // SAFETY: By the function safety requirements, `item` is embedded in a `FaultConfig`.
        let this = unsafe {
            let group = container_of!(item, bindings::config_group, cg_item);
            let config = container_of!(group, bindings::fault_config, group);

            container_of!(config.cast::<Opaque<_>>(), Self, config)
        };

        // SAFETY: By the type invariants, the references to the item owned this reference.
        drop(unsafe { Arc::from_raw(this.cast_const()) });
    }

    const ITEM_OPS: bindings::configfs_item_operations = bindings::configfs_item_operations {
        release: Some(Self::release),
        allow_link: None,
        drop_link: None,
    };
}
