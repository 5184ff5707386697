// SPDX-License-Identifier: GPL-2.0-only

//! Simulated misc device: a device and its message.

use crate::{
    fault::{
        Fault,
        Faults, //
    },
    message::Message,
    queue::Channel,
    trace, //
};
use kernel::{
    fmt::Write as _,
    impl_has_hr_timer,
    new_condvar,
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
        Arc,
        ArcBorrow,
        CondVar,
        DeadlineResult,
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
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// The first message, by default.
pub(crate) const GREETING: &[u8] = b"Hello from rmisc-sim!\n";

// Limits and defaults.
const CAPACITY: u32 = SZ_4K as u32;
pub(crate) const CAPACITY_MAX: u32 = SZ_1M as u32;
pub(crate) const PERIOD_US_MIN: u32 = 1000;
pub(crate) const PERIOD_US_MAX: u32 = 3_600_000_000;
pub(crate) const LATENCY_US_MAX: u32 = 60_000_000;
pub(crate) const ERRNO_MAX: u32 = 511; // larger ones are internal to the kernel
pub(crate) const MODE: u32 = 0o600;
pub(crate) const NAME_MAX: usize = 64;

/// Kinds of devices.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// A read at the end of the message returns 0.
    Message,
    /// A read at the end of the message waits for the next one.
    Stream,
    /// A read waits for a message from the peer.
    Channel,
}

impl Kind {
    /// Returns the name of the kind.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Message => "message",
            Kind::Stream => "stream",
            Kind::Channel => "channel",
        }
    }

    /// Returns the kind with that name. Fails with [`EINVAL`] if there is none.
    pub(crate) fn from_name(name: &[u8]) -> Result<Self> {
        [Kind::Message, Kind::Stream, Kind::Channel]
            .into_iter()
            .find(|kind| kind.name().as_bytes() == name)
            .ok_or(EINVAL)
    }
}

/// What the peer of a channel reads and writes.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Peer {
    /// The bytes of messages.
    Raw,
    /// Records.
    Records,
}

impl Peer {
    /// Returns the name of the value.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Raw => "raw",
            Peer::Records => "records",
        }
    }

    /// Returns the value with that name. Fails with [`EINVAL`] if there is none.
    pub(crate) fn from_name(name: &[u8]) -> Result<Self> {
        [Peer::Raw, Peer::Records]
            .into_iter()
            .find(|peer| peer.name().as_bytes() == name)
            .ok_or(EINVAL)
    }
}

/// Configuration of an instance.
pub(crate) struct Config {
    /// The first message, or [`None`] for the greeting, which is cut to `capacity`.
    pub(crate) message: Option<KVec<u8>>,

    /// Maximum length of a message.
    pub(crate) capacity: u32,

    /// Behaviour of reads.
    pub(crate) kind: Kind,

    /// What the peer of a channel reads.
    pub(crate) peer: Peer,

    /// Interval in microseconds at which the device publishes by itself, 0 for never.
    pub(crate) period_us: u32,

    /// Mode of the node.
    pub(crate) mode: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            message: None,
            capacity: CAPACITY,
            kind: Kind::Message,
            peer: Peer::Raw,
            period_us: 0,
            mode: MODE,
        }
    }
}

/// A device. There is one reference for its registration and one per open file.
#[pin_data]
pub(crate) struct Device {
    /// The current message. Interrupts are disabled while this is locked. The holder of the lock
    /// must not sleep or access user memory.
    #[pin]
    current: SpinLockIrq<Arc<Message>>,

    /// Generation of `current`; may be read without the lock. Written with `current` locked.
    generation: Atomic<u64>,

    /// Set once, when the device is unplugged. Nothing is published after that. May be read without
    /// the lock. Written with `current` locked.
    gone: Atomic<bool>,

    /// Notified after each publication and when `gone` is set.
    #[pin]
    pub(crate) wait: CondVar,

    /// Publishes every `period` until `gone` is set.
    #[pin]
    timer: HrTimer<Self>,

    /// Number of times that `timer` fired; only its callback uses this.
    ticks: Atomic<u64>,

    /// Fault settings.
    faults: Arc<Faults>,

    /// [`None`] unless `kind` is [`Kind::Channel`].
    channel: Option<Arc<Channel>>,

    /// Behaviour of reads.
    pub(crate) kind: Kind,

    /// Maximum length of a message.
    pub(crate) capacity: usize,

    /// Interval of `timer`, zero for never.
    period: Delta,

    /// Name of the node.
    pub(crate) name: CString,
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Device {
        mode: RelativeMode<Monotonic>, field: self.timer
    }
}

/// Publishes from an interrupt. The tick is dropped if no memory is available.
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
    /// Creates a device. The caller has checked its configuration.
    ///
    /// Fails with [`ENOMEM`].
    pub(crate) fn create(name: CString, config: &Config, faults: Arc<Faults>) -> Result<Arc<Self>> {
        let capacity = config.capacity as usize;
        let greeting = &GREETING[..GREETING.len().min(capacity)];
        let mut message =
            Message::create(config.message.as_deref().unwrap_or(greeting), GFP_KERNEL)?;
        let channel = match config.kind {
            Kind::Channel => Some(Channel::create(config.peer == Peer::Records)?),
            _ => None,
        };

        message.set_generation(1);
        Arc::pin_init(
            pin_init!(Self {
                current <- new_spinlock_irq!(Arc::from(message)),
                generation: Atomic::new(1),
                gone: Atomic::new(false),
                wait <- new_condvar!(),
                timer <- HrTimer::new(),
                ticks: Atomic::new(0),
                faults,
                channel,
                kind: config.kind,
                capacity,
                period: Delta::from_micros(config.period_us.into()),
                name,
            }),
            GFP_KERNEL,
        )
    }

    /// Starts the timer of a device that has a period.
    pub(crate) fn start(self: Arc<Self>) -> Option<ArcHrTimerHandle<Self>> {
        let period = self.period;

        (!period.is_zero()).then(|| HrTimerPointer::start(self, period))
    }

    /// Marks the device as gone and wakes all waiters.
    ///
    /// Takes the timer that [`Device::start`] returned. Nothing is published after this returns.
    pub(crate) fn stop(&self, timer: Option<ArcHrTimerHandle<Self>>) {
        let current = self.current.lock();
        self.gone.store(true, Relaxed);
        drop(current);

        drop(timer);
        self.wait.notify_all();
        if let Some(channel) = &self.channel {
            channel.stop();
        }
        trace::rmisc_sim_unplug(&self.name);
    }

    /// Returns whether the device is unplugged.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    /// Returns the channel. Fails with [`ENODEV`] if this is another kind of device.
    pub(crate) fn channel(&self) -> Result<&Arc<Channel>> {
        self.channel.as_ref().ok_or(ENODEV)
    }

    /// Returns the generation of the current message.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    /// Sleeps until the device is unplugged, or for `time`.
    ///
    /// Not inlined, because most devices have no latency.
    #[inline(never)]
    fn sleep(&self, time: Delta) -> Result {
        let end = Instant::<Monotonic>::now() + time;
        let mut current = self.current.lock();
        let mut ret = None;

        while !self.is_gone() {
            if let Some(ret) = ret {
                return ret;
            }
            ret = match self.wait.wait_interruptible_until(&mut current, end) {
                DeadlineResult::Reached => Some(Ok(())),
                DeadlineResult::Signal => Some(Err(ERESTARTSYS)),
                DeadlineResult::Woken => None,
            };
        }
        Err(ENODEV)
    }

    /// Sleeps for the configured latency.
    ///
    /// Fails with [`ENODEV`] if the device is unplugged, or with [`ERESTARTSYS`].
    #[inline]
    pub(crate) fn delay(&self) -> Result {
        match self.faults.latency_us.load(Relaxed) {
            0 => Ok(()),
            latency_us => self.sleep(Delta::from_micros(latency_us.into())),
        }
    }

    /// Sleeps until `condition` holds after a publication, or the device is unplugged.
    ///
    /// Fails with [`ERESTARTSYS`].
    pub(crate) fn wait_until(&self, mut condition: impl FnMut() -> bool) -> Result {
        let mut current = self.current.lock();
        let mut interrupted = false;

        while !condition() && !self.is_gone() {
            if interrupted {
                return Err(ERESTARTSYS);
            }
            interrupted = self.wait.wait_interruptible(&mut current);
        }
        Ok(())
    }

    /// Decides whether an operation fails, with the configured errno.
    pub(crate) fn fail(&self, fault: Fault) -> Result {
        if self.faults.should_fail(fault, &self.name) {
            return Err(self.faults.error());
        }
        Ok(())
    }

    /// Decides how many of `count` bytes to transfer.
    ///
    /// Returns `count`, or half of it, rounded up, if the fault fires.
    pub(crate) fn short_io(&self, count: usize) -> usize {
        if count > 1 && self.faults.should_fail(Fault::ShortIo, &self.name) {
            return count - count / 2;
        }
        count
    }

    /// Makes a message the current one.
    ///
    /// Fails with [`ENODEV`] if the device is unplugged, or with [`ESTALE`] if the generation of
    /// the current message is not `expected`.
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
        trace::rmisc_sim_publish(&self.name, generation + 1, message.len());
        let old = core::mem::replace(&mut *current, message.into());
        drop(current);

        self.wait.notify_all();
        drop(old);
        Ok(())
    }

    /// Returns the current message.
    pub(crate) fn message(&self) -> Arc<Message> {
        self.current.lock().clone()
    }
}
