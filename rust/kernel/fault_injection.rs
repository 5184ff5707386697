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

/// What is to fail and when, as a directory in configfs tells.
///
/// # Examples
///
/// ```
/// use kernel::{
///     configfs::{DefaultGroup, Group},
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
/// /// Makes the directory of a device, with a directory `fail_read` in it.
/// fn make_group<Data>(
///     device: impl PinInit<Group<Data>, Error>,
///     fail_read: DefaultGroup,
/// ) -> impl PinInit<Group<Data>, Error> {
///     device.pin_chain(|device| {
///         device.add_default_group(fail_read);
///         Ok(())
///     })
/// }
///
/// // Nothing fails unless told to.
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
/// - While there are references to the group in `config`, they own one reference to this.
#[pin_data]
pub struct FaultConfig {
    #[pin]
    config: Opaque<bindings::fault_config>,

    /// That of the C side, with a `release` operation.
    #[pin]
    item_type: Opaque<bindings::config_item_type>,
}

// SAFETY: A `FaultConfig` can be used and dropped on any thread.
unsafe impl Send for FaultConfig {}

// SAFETY: `should_fail()` may be called in parallel, and while configfs changes the attributes.
unsafe impl Sync for FaultConfig {}

impl FaultConfig {
    /// Creates a fault that never happens, and the group which can change that.
    ///
    /// When the fault happens, this is not logged unless the group tells to.
    pub fn new(name: &CStr) -> Result<(Arc<Self>, DefaultGroup)> {
        let this = Arc::pin_init(
            pin_init!(Self {
                config <- pin_init::init_zeroed(),
                item_type <- pin_init::init_zeroed(),
            }),
            GFP_KERNEL,
        )?;
        let config = this.config.get();

        // SAFETY: `config` is zeroed and nobody else has it yet.
        unsafe {
            bindings::FAULT_ATTR_INITIALIZER(&raw mut (*config).attr);
            (*config).attr.verbose = 0;
            bindings::fault_config_init(config, name.as_char_ptr());
        }

        // SAFETY: `fault_config_init()` has initialized the group.
        let group = unsafe { &mut (*config).group };
        if group.cg_item.ci_name.is_null() {
            // The name is a long one, and there is no memory for it.
            return Err(ENOMEM);
        }

        // SAFETY: `fault_config_init()` has set the type to a valid one, and nobody else has
        // `item_type` yet.
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
        // SAFETY: The group has one reference, which we own. It is in no other group, and as this
        // is the only place where it leaves this module, it is not added to a second one. The
        // reference above keeps it valid until `release` is called.
        let group = unsafe { DefaultGroup::from_raw(group) };

        Ok((this, group))
    }

    /// Returns whether to fail now.
    ///
    /// `size` is what this takes from the `space` that must be used up before anything fails.
    ///
    /// This can be called in any context.
    pub fn should_fail(&self, size: isize) -> bool {
        // SAFETY: By the type invariants, `config` is initialized.
        unsafe { bindings::should_fail(&raw mut (*self.config.get()).attr, size) }
    }

    /// # Safety
    ///
    /// `item` must be that of a `FaultConfig`, and its last reference must have been dropped.
    unsafe extern "C" fn release(item: *mut bindings::config_item) {
        // SAFETY: By the function safety requirements, `item` is embedded in a `FaultConfig`.
        let this = unsafe {
            let group = container_of!(item, bindings::config_group, cg_item);
            let config = container_of!(group, bindings::fault_config, group);

            container_of!(config.cast::<Opaque<_>>(), Self, config)
        };

        // SAFETY: By the type invariants, the references to the item owned this one.
        drop(unsafe { Arc::from_raw(this.cast_const()) });
    }

    const ITEM_OPS: bindings::configfs_item_operations = bindings::configfs_item_operations {
        release: Some(Self::release),
        allow_link: None,
        drop_link: None,
    };
}
