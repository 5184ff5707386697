// SPDX-License-Identifier: GPL-2.0-only

//! configfs interface of the simulated misc device.
//!
//! A directory holds the configuration of an instance and, while it is live, the instance itself.

use crate::{
    device::{
        Config,
        Device,
        Kind,
        Peer,
        CAPACITY_MAX,
        ERRNO_MAX,
        GREETING,
        LATENCY_US_MAX,
        NAME_MAX,
        PERIOD_US_MAX,
        PERIOD_US_MIN, //
    },
    fault::Faults,
    instance::{
        self,
        Instance, //
    },
    message::Message, //
};
use kernel::{
    configfs::{
        configfs_attrs,
        AttributeOperations,
        Group,
        GroupOperations,
        Subsystem, //
    },
    fmt::{
        self,
        Write as _, //
    },
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    sizes::SZ_4K,
    str::{
        kstrtobool_bytes,
        CString,
        Formatter, //
    },
    sync::{
        atomic::ordering::Relaxed,
        Arc,
        Mutex, //
    }, //
};

/// configfs silently truncates longer writes to this length.
const WRITE_MAX: usize = SZ_4K - 1;

/// The directory of the driver.
pub(crate) struct Root;

/// The directory of an instance. `rmdir(2)` drops it, and this unplugs the instance.
#[pin_data]
pub(crate) struct Directory {
    /// The name of the directory.
    name: CString,

    /// Fault settings, shared with the instance.
    faults: Arc<Faults>,

    #[pin]
    inner: Mutex<Inner>,
}

struct Inner {
    /// The instance, [`None`] while not live.
    instance: Option<Instance>,

    /// Configuration of the next instance.
    config: Config,
}

/// Returns the part of a page before the first NUL, without a newline at its end. C parses the same
/// part.
fn line(page: &[u8]) -> &[u8] {
    let string = page.split(|c| *c == 0).next().unwrap_or_default();

    string.strip_suffix(b"\n").unwrap_or(string)
}

fn parse(page: &[u8], radix: u32, min: u32, max: u32) -> Result<u32> {
    let digits = core::str::from_utf8(line(page)).map_err(|_| EINVAL)?;
    let value = u32::from_str_radix(digits, radix).map_err(|_| EINVAL)?;

    if !(min..=max).contains(&value) {
        return Err(EINVAL);
    }
    Ok(value)
}

fn print(page: &mut [u8], args: fmt::Arguments<'_>) -> Result<usize> {
    let mut writer = Formatter::new(page);

    writer.write_fmt(args)?;
    Ok(writer.bytes_written())
}

fn publish(dev: &Device, page: &[u8]) -> Result {
    if dev.kind == Kind::Channel {
        return Err(EOPNOTSUPP);
    }
    if page.len() > dev.capacity {
        return Err(EMSGSIZE);
    }
    dev.publish(Message::create(page, GFP_KERNEL_ACCOUNT)?, None)
}

impl Directory {
    /// Changes a setting that cannot change while the instance is live.
    fn set(&self, set: impl FnOnce(&mut Config)) -> Result {
        let mut inner = self.inner.lock();

        if inner.instance.is_some() {
            return Err(EBUSY);
        }
        set(&mut inner.config);
        Ok(())
    }
}

// message
#[vtable]
impl AttributeOperations<0> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        let inner = this.inner.lock();
        let message = inner.config.message.as_deref().unwrap_or(GREETING);

        page[..message.len()].copy_from_slice(message);
        Ok(message.len())
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        if page.len() >= WRITE_MAX {
            return Err(EMSGSIZE);
        }

        let mut message = KVec::new();
        message.extend_from_slice(page, GFP_KERNEL_ACCOUNT)?;

        let mut inner = this.inner.lock();
        if let Some(instance) = &inner.instance {
            publish(instance.device(), page)?;
        }
        inner.config.message = Some(message);
        Ok(())
    }
}

// capacity
#[vtable]
impl AttributeOperations<1> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("{}\n", this.inner.lock().config.capacity))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let capacity = parse(page, 10, 1, CAPACITY_MAX)?;

        this.set(|config| config.capacity = capacity)
    }
}

// kind
#[vtable]
impl AttributeOperations<4> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("{}\n", this.inner.lock().config.kind.name()))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let kind = Kind::from_name(line(page))?;

        this.set(|config| config.kind = kind)
    }
}

// peer
#[vtable]
impl AttributeOperations<8> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("{}\n", this.inner.lock().config.peer.name()))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let peer = Peer::from_name(line(page))?;

        this.set(|config| config.peer = peer)
    }
}

// period_us
#[vtable]
impl AttributeOperations<5> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("{}\n", this.inner.lock().config.period_us))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let period_us = parse(page, 10, 0, PERIOD_US_MAX)?;

        if period_us != 0 && period_us < PERIOD_US_MIN {
            return Err(EINVAL);
        }
        this.set(|config| config.period_us = period_us)
    }
}

// mode
#[vtable]
impl AttributeOperations<2> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("0{:o}\n", this.inner.lock().config.mode))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let mode = parse(page, 8, 1, 0o777)?;

        this.set(|config| config.mode = mode)
    }
}

// latency_us
#[vtable]
impl AttributeOperations<6> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("{}\n", this.faults.latency_us.load(Relaxed)))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let latency_us = parse(page, 10, 0, LATENCY_US_MAX)?;

        this.faults.latency_us.store(latency_us, Relaxed);
        Ok(())
    }
}

// errno
#[vtable]
impl AttributeOperations<7> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("{}\n", this.faults.error.load(Relaxed)))
    }

    /// [`EAGAIN`] would promise a wake-up that never comes.
    fn store(this: &Directory, page: &[u8]) -> Result {
        let error = parse(page, 10, 1, ERRNO_MAX)?;

        if error == EAGAIN.to_errno().unsigned_abs() {
            return Err(EINVAL);
        }
        this.faults.error.store(error, Relaxed);
        Ok(())
    }
}

// live
#[vtable]
impl AttributeOperations<3> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        let live = this.inner.lock().instance.is_some();

        print(page, fmt!("{}\n", u32::from(live)))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let live = kstrtobool_bytes(page)?;
        let mut inner = this.inner.lock();

        if !live {
            inner.instance = None;
        } else if inner.instance.is_none() {
            let instance = Instance::create(&this.name, &inner.config, this.faults.clone(), None)?;

            inner.instance = Some(instance);
        }
        Ok(())
    }
}

/// Such names cannot collide with the default instance or with bus devices.
fn check_name(name: &CStr) -> Result {
    let name = name.to_bytes();

    if name.len() > NAME_MAX {
        return Err(ENAMETOOLONG);
    }

    if !name.first().is_some_and(u8::is_ascii_alphabetic) {
        return Err(EINVAL);
    }
    for c in name {
        if !c.is_ascii_alphanumeric() && !b"_-".contains(c) {
            return Err(EINVAL);
        }
    }
    Ok(())
}

#[vtable]
impl GroupOperations for Root {
    type Child = Directory;

    fn make_group(&self, name: &CStr) -> Result<impl PinInit<Group<Directory>, Error>> {
        let item_type = configfs_attrs! {
            container: Group<Directory>,
            data: Directory,
            attributes: [
                message: 0,
                capacity: 1,
                kind: 4,
                peer: 8,
                period_us: 5,
                mode: 2,
                latency_us: 6,
                errno: 7,
                live: 3,
            ],
        };

        if !instance::allowed() {
            return Err(EAGAIN);
        }
        check_name(name)?;

        let directory_name = CString::try_from(name)?;
        let (faults, groups) = Faults::new_with_groups()?;

        Ok(Group::new(
            name.try_into()?,
            item_type,
            try_pin_init!(Directory {
                name: directory_name,
                faults,
                inner <- new_mutex!(Inner {
                    instance: None,
                    config: Config::default(),
                }),
            }),
        )
        .pin_chain(|mut directory| {
            for group in groups {
                directory.as_mut().add_default_group(group);
            }
            Ok(())
        }))
    }
}

/// Creates the configfs subsystem.
pub(crate) fn subsystem() -> impl PinInit<Subsystem<Root>, Error> {
    let item_type = configfs_attrs! {
        container: Subsystem<Root>,
        data: Root,
        child: Directory,
        attributes: [],
    };

    Subsystem::new(c"rmisc-sim", item_type, Ok(Root))
}
