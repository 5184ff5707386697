// SPDX-License-Identifier: GPL-2.0-only

//! Instances of the simulated misc device: what they hold, and their node.

use crate::{
    fault::Faults,
    file::SimFile,
    message::Message,
    trace,
    GREETING, //
};
use kernel::{
    device,
    fmt::Write as _,
    impl_has_hr_timer,
    miscdevice::{
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    new_mutex,
    new_spinlock_irq,
    prelude::*,
    sizes::{
        SZ_1M,
        SZ_4K, //
    },
    str::{
        CString,
        Formatter, //
    },
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        poll::PollCondVarBox,
        Arc,
        ArcBorrow,
        CondVarTimeoutResult,
        Mutex,
        SetOnce,
        SpinLockIrq,
        UniqueArc, //
    },
    time::{
        hrtimer::{
            ArcHrTimerHandle,
            HrTimer,
            HrTimerCallback,
            HrTimerCallbackContext,
            HrTimerPointer,
            HrTimerRestart,
            RelativeMode, //
        },
        msecs_to_jiffies,
        Delta,
        Monotonic, //
    }, //
};

// What configfs and firmware may ask for; the defaults are those of instance 0.
pub(crate) const CAPACITY: u32 = SZ_4K as u32;
pub(crate) const CAPACITY_MAX: u32 = SZ_1M as u32;
pub(crate) const PERIOD_US_MIN: u32 = 1000;
pub(crate) const PERIOD_US_MAX: u32 = 3_600_000_000;
pub(crate) const LATENCY_US_MAX: u32 = 60_000_000;
pub(crate) const ERRNO_MAX: u32 = 511; // what follows never leaves the kernel
pub(crate) const MODE: u32 = 0o600;
const NAME_MAX: usize = 64;

/// What an instance is made from: plain data.
pub(crate) struct Config<'a> {
    /// What follows "rmisc-sim-" in the name of the node.
    pub(crate) name: &'a CStr,
    /// The first message.
    pub(crate) message: &'a [u8],
    /// Length of the longest message accepted.
    pub(crate) capacity: u32,
    /// Whether readers wait for the next message at the end of one.
    pub(crate) blocking: bool,
    /// How often the instance publishes by itself, 0 for never.
    pub(crate) period_us: u32,
    /// Mode of the node.
    pub(crate) mode: u32,
}

impl<'a> Config<'a> {
    pub(crate) fn new(name: &'a CStr) -> Self {
        Self {
            name,
            message: GREETING,
            capacity: CAPACITY,
            blocking: false,
            period_us: 0,
            mode: MODE,
        }
    }

    fn check(&self) -> Result {
        check_name(self.name)?;

        if !(1..=CAPACITY_MAX).contains(&self.capacity) {
            return Err(EINVAL);
        }
        if self.message.len() > self.capacity as usize {
            return Err(EMSGSIZE);
        }
        if self.period_us != 0 && !(PERIOD_US_MIN..=PERIOD_US_MAX).contains(&self.period_us) {
            return Err(EINVAL);
        }
        if !(1..=0o777).contains(&self.mode) {
            return Err(EINVAL);
        }
        Ok(())
    }
}

/// Checks whether an instance can have a name.
///
/// The name becomes a part of the names of a node and of a directory in sysfs, where some
/// characters mean something.
pub(crate) fn check_name(name: &CStr) -> Result {
    let name = name.to_bytes();

    if name.len() > NAME_MAX {
        return Err(ENAMETOOLONG);
    }
    if name.is_empty() {
        return Err(EINVAL);
    }
    for c in name {
        if !c.is_ascii_alphanumeric() && !b"-.:@_".contains(c) {
            return Err(EINVAL);
        }
    }
    Ok(())
}

/// The names taken, as the core would print a stack dump about one that is taken twice.
///
/// Nobody drops what is in a static, so this holds no memory while it is empty.
static NAMES: SetOnce<Mutex<KVec<CString>>> = SetOnce::new();

/// Gets ready for the first instance.
pub(crate) fn init() {
    NAMES.pin_populate(new_mutex!(KVec::new()));
}

fn remove_name(names: &mut KVec<CString>, name: &CStr) {
    names.retain(|taken| **taken != *name);
    if names.is_empty() {
        *names = KVec::new();
    }
}

/// One instance, for as long as somebody uses it.
#[pin_data]
pub(crate) struct Device {
    /// The current message. Interrupts are off while this is locked, so nothing under it sleeps or
    /// copies from or to user space.
    #[pin]
    current: SpinLockIrq<Arc<Message>>,

    /// The generation of `current`, for those who only compare. Written with `current` locked.
    generation: Atomic<u64>,

    /// Set once, when the device is unplugged, and then nothing is published any more. Written with
    /// `current` locked.
    gone: Atomic<bool>,

    /// Notified after every publication and when `gone` is set.
    wait: PollCondVarBox,

    /// Publishes every `period`; does not run once `gone` is set.
    #[pin]
    timer: HrTimer<Self>,

    /// How often `timer` has published; for `timer` alone.
    ticks: Atomic<u64>,

    /// How often `timer` fires.
    period: Delta,

    /// What is to go wrong.
    faults: Arc<Faults>,

    /// Length of the longest message accepted.
    capacity: usize,

    /// Whether the device is a stream.
    blocking: bool,

    /// Name of the node.
    name: CString,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Device {
        mode: RelativeMode<Monotonic>, field: self.timer
    }
}

/// Publishes from an interrupt. A tick that finds no memory is lost.
impl HrTimerCallback for Device {
    type Pointer<'a> = Arc<Self>;

    fn run(
        this: ArcBorrow<'_, Self>,
        mut context: HrTimerCallbackContext<'_, Self>,
    ) -> HrTimerRestart {
        let ticks = this.ticks.fetch_add(1, Relaxed) + 1;
        let mut text = [0; 32];
        let mut writer = Formatter::new(&mut text);
        let _ = writeln!(writer, "tick {ticks}");
        let length = writer.bytes_written().min(this.capacity);

        if let Ok(message) = Message::create(&text[..length], GFP_ATOMIC | __GFP_NOWARN) {
            if this.publish(message, None).is_err() {
                return HrTimerRestart::NoRestart;
            }
        }

        context.forward_now(this.period);
        HrTimerRestart::Restart
    }
}

impl Device {
    fn new(config: &Config<'_>, faults: Arc<Faults>) -> Result<Arc<Self>> {
        let mut message = Message::create(config.message, GFP_KERNEL)?;
        message.set_generation(1);

        Arc::try_pin_init(
            try_pin_init!(Self {
                current <- new_spinlock_irq!(Arc::from(message)),
                generation: Atomic::new(1),
                gone: Atomic::new(false),
                wait: PollCondVarBox::new(c"rmisc_sim::wait", kernel::static_lock_class!())?,
                timer <- HrTimer::new(),
                ticks: Atomic::new(0),
                period: Delta::from_micros(config.period_us.into()),
                faults,
                capacity: config.capacity as usize,
                blocking: config.blocking,
                name: CString::try_from_fmt(fmt!("rmisc-sim-{}", config.name))?,
            }),
            GFP_KERNEL,
        )
    }

    /// Whether the device is unplugged.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    /// Name of the node.
    pub(crate) fn name(&self) -> &CStr {
        &self.name
    }

    /// The generation of the current message.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    /// Length of the longest message accepted.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether the device is a stream.
    pub(crate) fn is_blocking(&self) -> bool {
        self.blocking
    }

    /// What is notified after every publication and when the device is unplugged.
    pub(crate) fn wait_queue(&self) -> &PollCondVarBox {
        &self.wait
    }

    /// What is to go wrong.
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Takes the time that a transfer is to take.
    ///
    /// Fails with [`EAGAIN`] rather than to sleep if `nowait`, with [`ENODEV`] if the device is
    /// unplugged, and with [`ERESTARTSYS`].
    pub(crate) fn delay(&self, nowait: bool) -> Result {
        let latency_us = self.faults.latency_us.load(Relaxed);

        if latency_us == 0 {
            return Ok(());
        }
        if nowait {
            return Err(EAGAIN);
        }

        // One more, as the first one is not a whole one.
        let mut left = msecs_to_jiffies(latency_us.div_ceil(1000)) + 1;
        let mut current = self.current.lock();
        loop {
            if self.is_gone() {
                return Err(ENODEV);
            }
            match self.wait.wait_interruptible_timeout(&mut current, left) {
                CondVarTimeoutResult::Timeout => return Ok(()),
                CondVarTimeoutResult::Signal { .. } => return Err(ERESTARTSYS),
                CondVarTimeoutResult::Woken { jiffies } => left = jiffies,
            }
        }
    }

    /// Waits until there is a reason to, or the device is unplugged.
    ///
    /// Fails with [`ERESTARTSYS`].
    pub(crate) fn wait_until(&self, mut reason: impl FnMut() -> bool) -> Result {
        let mut current = self.current.lock();
        let mut interrupted = false;

        while !reason() && !self.is_gone() {
            if interrupted {
                return Err(ERESTARTSYS);
            }
            interrupted = self.wait.wait_interruptible(&mut current);
        }
        Ok(())
    }

    /// Makes a message the current one.
    ///
    /// Fails with [`ENODEV`] if the device is unplugged, and with [`ESTALE`] when the current
    /// message does not have the `expected` generation.
    pub(crate) fn publish(&self, mut message: UniqueArc<Message>, expected: Option<u64>) -> Result {
        let mut current = self.current.lock();
        let generation = current.generation();

        if self.is_gone() {
            return Err(ENODEV);
        }
        if expected.is_some_and(|expected| expected != generation) {
            return Err(ESTALE);
        }

        message.set_generation(generation + 1);
        self.generation.store(generation + 1, Relaxed);
        trace::publish(self, &message);
        let old = core::mem::replace(&mut *current, message.into());
        drop(current);

        self.wait.notify_all();
        drop(old);
        Ok(())
    }

    /// Returns the generation and the length of the current message.
    pub(crate) fn current(&self) -> (u64, usize) {
        let current = self.current.lock();

        (current.generation(), current.len())
    }

    /// Returns the current message.
    pub(crate) fn message(&self) -> Arc<Message> {
        self.current.lock().clone()
    }
}

/// An instance that is plugged in, with a node of its own.
pub(crate) struct Instance {
    node: Option<Pin<KBox<MiscDeviceRegistration<SimFile>>>>,
    timer: Option<ArcHrTimerHandle<Device>>,
    dev: Arc<Device>,
}

impl Instance {
    /// Makes an instance and its node, which `parent` is the parent of.
    ///
    /// Fails with [`EINVAL`], [`ENAMETOOLONG`], [`EMSGSIZE`] (the message does not fit), [`EEXIST`]
    /// (the name is taken), [`EBUSY`] (no minor is left), or [`ENOMEM`].
    pub(crate) fn create(
        config: &Config<'_>,
        faults: Arc<Faults>,
        parent: Option<&device::Device>,
    ) -> Result<Self> {
        config.check()?;

        let dev = Device::new(config, faults)?;
        let node = Self::register(&dev, config.mode, parent)?;
        let timer = (config.period_us != 0).then(|| dev.clone().start(dev.period));

        Ok(Self {
            node: Some(node),
            timer,
            dev,
        })
    }

    fn register(
        dev: &Arc<Device>,
        mode: u32,
        parent: Option<&device::Device>,
    ) -> Result<Pin<KBox<MiscDeviceRegistration<SimFile>>>> {
        let options = MiscDeviceOptions {
            mode: mode as u16,
            parent,
            ..MiscDeviceOptions::new(&dev.name)
        };
        let mut names = NAMES.as_ref().ok_or(ENODEV)?.lock();

        if names.iter().any(|name| **name == *dev.name) {
            return Err(EEXIST);
        }
        names.push(CString::try_from(&*dev.name)?, GFP_KERNEL)?;

        let node = KBox::pin_init(
            MiscDeviceRegistration::register(options, dev.clone()),
            GFP_KERNEL,
        );
        if node.is_err() {
            remove_name(&mut names, &dev.name);
        }
        node
    }
}

/// Unplugs the instance, also from under its users.
///
/// Waits for no user: those who sleep are woken and get [`ENODEV`], and whoever has the device open
/// keeps its memory.
impl Drop for Instance {
    fn drop(&mut self) {
        drop(self.node.take());
        if let Some(names) = NAMES.as_ref() {
            remove_name(&mut names.lock(), &self.dev.name);
        }

        let current = self.dev.current.lock();
        self.dev.gone.store(true, Relaxed);
        drop(current);

        drop(self.timer.take());
        self.dev.wait.notify_all();
        trace::unplug(&self.dev);
    }
}
