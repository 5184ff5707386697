// SPDX-License-Identifier: GPL-2.0-only

//! Instances of the simulated misc device: a device and its nodes.

use crate::{
    channel::{
        ChannelFile,
        PeerFile, //
    },
    device::{
        Config,
        Device,
        Kind,
        Peer,
        CAPACITY_MAX,
        MODE,
        NAME_MAX,
        PERIOD_US_MAX,
        PERIOD_US_MIN, //
    },
    fault::Faults,
    file::MessageFile,
    record::RecordFile,
    stream::StreamFile,
    sysfs, //
};
use kernel::{
    device::{
        self,
        Bound, //
    },
    miscdevice::{
        MiscDevice,
        MiscDeviceOptions,
        MiscDeviceRegistration, //
    },
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        Arc, //
    },
    time::hrtimer::ArcHrTimerHandle, //
};

/// Set when the default instance exists. Until then, no other instance may be created, because
/// loading the module fails if the default one cannot be created.
static ALLOWED: Atomic<bool> = Atomic::new(false);

/// Allows instances other than the default one.
pub(crate) fn allow() {
    ALLOWED.store(true, Relaxed);
}

/// Returns whether instances other than the default one are allowed.
pub(crate) fn allowed() -> bool {
    ALLOWED.load(Relaxed)
}

fn check_config(config: &Config) -> Result {
    if !(1..=CAPACITY_MAX).contains(&config.capacity) {
        return Err(EINVAL);
    }
    if config.kind != Kind::Channel
        && config
            .message
            .as_ref()
            .is_some_and(|message| message.len() > config.capacity as usize)
    {
        return Err(EMSGSIZE);
    }
    if config.period_us != 0
        && (!(PERIOD_US_MIN..=PERIOD_US_MAX).contains(&config.period_us)
            || config.kind == Kind::Channel)
    {
        return Err(EINVAL);
    }
    if !(1..=0o777).contains(&config.mode) {
        return Err(EINVAL);
    }
    Ok(())
}

type Registration<T> = Pin<KBox<MiscDeviceRegistration<T>>>;

fn register<T: MiscDevice<Data = Arc<Device>>>(
    dev: &Arc<Device>,
    options: MiscDeviceOptions<'_, Arc<Device>>,
) -> Result<Registration<T>> {
    KBox::pin_init(
        MiscDeviceRegistration::register(options, dev.clone()),
        GFP_KERNEL,
    )
}

/// The node of an instance. It exists until this is dropped.
#[expect(dead_code, reason = "only dropped")]
enum Node {
    Message(Registration<MessageFile>),
    Stream(Registration<StreamFile>),
    Channel(Registration<ChannelFile>),
}

/// The node of the peer of a channel.
#[expect(dead_code, reason = "only dropped")]
enum PeerNode {
    Raw(Registration<PeerFile>),
    Records(Registration<RecordFile>),
}

fn register_peer(
    dev: &Arc<Device>,
    config: &Config,
    parent: Option<&device::Device<Bound>>,
) -> Result<Option<PeerNode>> {
    if config.kind != Kind::Channel {
        return Ok(None);
    }

    let name = CString::try_from_fmt(fmt!("{}.peer", &*dev.name))?;
    let options = MiscDeviceOptions {
        mode: MODE as u16,
        parent,
        ..MiscDeviceOptions::new(&name)
    };

    Ok(Some(match config.peer {
        Peer::Raw => PeerNode::Raw(register(dev, options)?),
        Peer::Records => PeerNode::Records(register(dev, options)?),
    }))
}

fn register_node(
    dev: &Arc<Device>,
    config: &Config,
    parent: Option<&device::Device<Bound>>,
) -> Result<Node> {
    let options = MiscDeviceOptions {
        mode: config.mode as u16,
        parent,
        group: Some(match config.kind {
            Kind::Channel => &sysfs::CHANNEL_GROUP,
            _ => &sysfs::GROUP,
        }),
        ..MiscDeviceOptions::new(&dev.name)
    };

    Ok(match config.kind {
        Kind::Message => Node::Message(register(dev, options)?),
        Kind::Stream => Node::Stream(register(dev, options)?),
        Kind::Channel => Node::Channel(register(dev, options)?),
    })
}

/// A device and its nodes.
pub(crate) struct Instance {
    node: Option<Node>,
    peer: Option<PeerNode>,
    timer: Option<ArcHrTimerHandle<Device>>,
    dev: Arc<Device>,
}

impl Instance {
    /// Creates a device and its nodes.
    ///
    /// `name` is the name of the node after "rmisc-sim-". It has at most [`NAME_MAX`] characters.
    /// The caller ensures that it is unique.
    /// `parent` is the parent of the node in the device model.
    ///
    /// Fails with [`EINVAL`], [`EMSGSIZE`] (the message does not fit), [`EBUSY`] (no minor is
    /// left), or [`ENOMEM`].
    pub(crate) fn create(
        name: &CStr,
        config: &Config,
        faults: Arc<Faults>,
        parent: Option<&device::Device<Bound>>,
    ) -> Result<Self> {
        check_config(config)?;

        let name = CString::try_from_fmt(fmt!("rmisc-sim-{name}"))?;
        let dev = Device::create(name, config, faults)?;
        let mut instance = Self {
            node: None,
            peer: register_peer(&dev, config, parent)?,
            timer: None,
            dev,
        };

        // If this fails, dropping `instance` unplugs the peer, which may be open already.
        instance.node = Some(register_node(&instance.dev, config, parent)?);
        instance.timer = instance.dev.clone().start();
        Ok(instance)
    }

    /// Creates the instance of a device on the platform bus.
    ///
    /// `parent` is the device on the bus. The name of the node ends with BUS:DEVICE. The name of a
    /// directory in configfs cannot contain a colon.
    ///
    /// Fails as [`Instance::create`] does, or with [`ENODEV`] while the default instance does not
    /// exist.
    pub(crate) fn probe(
        parent: &device::Device<Bound>,
        config: &Config,
        faults: Arc<Faults>,
    ) -> Result<Self> {
        if !allowed() {
            return Err(ENODEV);
        }

        let name = CString::try_from_fmt(fmt!("platform:{}", parent.name()))?;
        let bytes = name.to_bytes();

        if bytes.len() > NAME_MAX
            || bytes.iter().any(|c| b"/!".contains(c))
            || bytes.ends_with(b".peer")
        {
            return Err(EINVAL);
        }
        Self::create(&name, config, faults, Some(parent))
    }

    /// Returns the device.
    pub(crate) fn device(&self) -> &Device {
        &self.dev
    }
}

/// Unplugs a device, even while it is in use.
///
/// Does not wait for users. From now on, operations on open files fail with [`ENODEV`], including
/// those that are asleep. The memory is freed when the last file is closed.
impl Drop for Instance {
    fn drop(&mut self) {
        self.node = None;
        self.peer = None;
        self.dev.stop(self.timer.take());
    }
}
