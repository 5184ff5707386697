// SPDX-License-Identifier: GPL-2.0-only

//! Instances of the simulated misc device in configfs.
//!
//! A directory holds the configuration of an instance, and while it is live the instance itself.

use crate::{
    device::{
        check_name,
        Config,
        Instance,
        CAPACITY,
        CAPACITY_MAX,
        ERRNO_MAX,
        LATENCY_US_MAX,
        MODE,
        PERIOD_US_MAX,
        PERIOD_US_MIN, //
    },
    fault::{
        self,
        Faults, //
    },
    GREETING, //
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
    str::{
        CString,
        Formatter, //
    },
    sync::{
        atomic::ordering::Relaxed,
        Arc,
        Mutex, //
    }, //
};

/// The directory of the driver.
pub(crate) struct Root;

/// The directory of an instance.
#[pin_data]
pub(crate) struct Directory {
    /// Shared with the instance, may be changed while live.
    faults: Arc<Faults>,

    #[pin]
    inner: Mutex<Inner>,
}

struct Inner {
    /// None while not live.
    live: Option<Instance>,

    // What the next instance is made from.
    name: CString,
    message: KVec<u8>,
    capacity: u32,
    blocking: bool,
    period_us: u32,
    mode: u32,
}

/// Parses a number in the way of `kstrtou32()`: a newline may follow.
fn parse(page: &[u8], radix: u32, min: u32, max: u32) -> Result<u32> {
    let digits = page.strip_suffix(b"\n").unwrap_or(page);
    let digits = core::str::from_utf8(digits).map_err(|_| EINVAL)?;
    let value = u32::from_str_radix(digits, radix).map_err(|_| EINVAL)?;

    if !(min..=max).contains(&value) {
        return Err(EINVAL);
    }
    Ok(value)
}

fn print(page: &mut [u8], args: fmt::Arguments<'_>) -> Result<usize> {
    let mut writer = Formatter::new(page);

    writer.write_fmt(args).map_err(|_| EINVAL)?;
    Ok(writer.bytes_written())
}

impl Directory {
    /// Sets what can only be set while the instance is not live.
    fn set(&self, set: impl FnOnce(&mut Inner)) -> Result {
        let mut inner = self.inner.lock();

        if inner.live.is_some() {
            return Err(EBUSY);
        }
        set(&mut inner);
        Ok(())
    }
}

#[vtable]
impl AttributeOperations<0> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("{}\n", this.inner.lock().capacity))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let capacity = parse(page, 10, 1, CAPACITY_MAX)?;

        this.set(|inner| inner.capacity = capacity)
    }
}

#[vtable]
impl AttributeOperations<1> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("0{:o}\n", this.inner.lock().mode))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let mode = parse(page, 8, 1, 0o777)?;

        this.set(|inner| inner.mode = mode)
    }
}

#[vtable]
impl AttributeOperations<2> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("{}\n", u32::from(this.inner.lock().blocking)))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let blocking = parse(page, 10, 0, 1)? != 0;

        this.set(|inner| inner.blocking = blocking)
    }
}

#[vtable]
impl AttributeOperations<3> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("{}\n", this.inner.lock().period_us))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let period_us = parse(page, 10, 0, PERIOD_US_MAX)?;

        if period_us != 0 && period_us < PERIOD_US_MIN {
            return Err(EINVAL);
        }
        this.set(|inner| inner.period_us = period_us)
    }
}

#[vtable]
impl AttributeOperations<4> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        let inner = this.inner.lock();

        page[..inner.message.len()].copy_from_slice(&inner.message);
        Ok(inner.message.len())
    }

    /// The bytes as they are, with the newline if there is one. configfs cuts what is longer than
    /// it can take, so what is as long may have been cut.
    fn store(this: &Directory, page: &[u8]) -> Result {
        if page.len() >= PAGE_SIZE - 1 {
            return Err(EMSGSIZE);
        }

        let mut message = KVec::new();
        message.extend_from_slice(page, GFP_KERNEL_ACCOUNT)?;
        this.set(|inner| inner.message = message)
    }
}

#[vtable]
impl AttributeOperations<5> for Directory {
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

#[vtable]
impl AttributeOperations<6> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("{}\n", this.faults.error.load(Relaxed)))
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let error = parse(page, 10, 1, ERRNO_MAX)?;

        this.faults.error.store(error, Relaxed);
        Ok(())
    }
}

/// The name of the platform device: none, as a driver in Rust cannot make one.
#[vtable]
impl AttributeOperations<7> for Directory {
    type Data = Directory;

    fn show(_this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(page, fmt!("\n"))
    }
}

#[vtable]
impl AttributeOperations<8> for Directory {
    type Data = Directory;

    fn show(this: &Directory, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        print(
            page,
            fmt!("{}\n", u32::from(this.inner.lock().live.is_some())),
        )
    }

    fn store(this: &Directory, page: &[u8]) -> Result {
        let live = parse(page, 10, 0, 1)? != 0;
        let mut inner = this.inner.lock();

        if !live {
            inner.live = None;
        } else if inner.live.is_none() {
            let config = Config {
                message: &inner.message,
                capacity: inner.capacity,
                blocking: inner.blocking,
                period_us: inner.period_us,
                mode: inner.mode,
                ..Config::new(&inner.name)
            };
            let instance = Instance::create(&config, this.faults.clone(), None)?;

            inner.live = Some(instance);
        }
        Ok(())
    }
}

#[vtable]
impl GroupOperations for Root {
    type Child = Directory;

    fn make_group(&self, name: &CStr) -> Result<impl PinInit<Group<Directory>, Error>> {
        let item_type = configfs_attrs! {
            container: Group<Directory>,
            data: Directory,
            attributes: [
                capacity: 0,
                mode: 1,
                blocking: 2,
                period_us: 3,
                message: 4,
                latency_us: 5,
                errno: 6,
                dev_name: 7,
                live: 8,
            ],
        };

        check_name(name)?;

        let mut message = KVec::new();
        message.extend_from_slice(GREETING, GFP_KERNEL)?;
        let inner = Inner {
            live: None,
            name: name.try_into()?,
            message,
            capacity: CAPACITY,
            blocking: false,
            period_us: 0,
            mode: MODE,
        };
        let (faults, groups) = Faults::new()?;

        Ok(Group::new(
            name.try_into()?,
            item_type,
            try_pin_init!(Directory {
                faults,
                inner <- new_mutex!(inner),
            }),
        )
        .pin_chain(|group| {
            fault::add_groups(groups, group);
            Ok(())
        }))
    }
}

/// Makes the directory of instances in configfs.
pub(crate) fn subsystem() -> impl PinInit<Subsystem<Root>, Error> {
    let item_type = configfs_attrs! {
        container: Subsystem<Root>,
        data: Root,
        child: Directory,
        attributes: [],
    };

    Subsystem::new(c"rmisc-sim", item_type, Ok(Root))
}
