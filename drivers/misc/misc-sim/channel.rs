// SPDX-License-Identifier: GPL-2.0-only

//! Channels of the simulated misc device: messages go from the device to its peer and back.
//!
//! This is the node of the device, and that of a peer that reads and writes bytes.

use crate::{
    device::Device,
    fault::Fault,
    file::{
        allocate,
        Reader,
        SimFile, //
    },
    message::Message,
    queue::{
        Channel,
        Contents,
        End,
        OpenFile,
        Packet,
        State,
        SLOTS, //
    },
    request::request, //
};
use kernel::{
    fs::{
        File,
        Kiocb, //
    },
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    list::{
        List,
        ListArc, //
    },
    miscdevice::{
        MiscDevice,
        MiscDeviceRegistration, //
    },
    prelude::*,
    rbtree::RBTreeNode,
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        poll::{
            PollEvent,
            PollEvents,
            PollTable, //
        },
        Arc,
        CondVar, //
    },
    types::ForeignOwnable, //
};

/// An open file at one of the ends of a channel.
#[pin_data]
pub(crate) struct EndFile {
    #[pin]
    pub(crate) sim: SimFile,

    /// The channel.
    pub(crate) channel: Arc<Channel>,

    /// The end that this file reads at.
    end: End,

    /// Number of a file of the device, 0 for the peer.
    number: u64,

    /// Whether a message is being read; may be read without a lock. Written with the reader of
    /// `sim` locked, and set with the state of the channel locked, too.
    reading: Atomic<bool>,
}

impl EndFile {
    fn new(
        sim: impl PinInit<SimFile>,
        channel: &Arc<Channel>,
        end: End,
        number: u64,
    ) -> impl PinInit<Self> {
        let channel = channel.clone();

        pin_init!(Self {
            sim <- sim,
            channel,
            end,
            number,
            reading: Atomic::new(false),
        })
    }

    /// Creates a file of the peer.
    pub(crate) fn peer(dev: &Arc<Device>) -> Result<impl PinInit<Self>> {
        let sim = SimFile::create(dev.clone());

        Ok(Self::new(sim, dev.channel()?, End::Peer, 0))
    }

    /// Returns what is notified when this file may have become readable or writable.
    pub(crate) fn wait(&self) -> &CondVar {
        self.channel.wait(self.end)
    }

    /// Sleeps until `condition` holds, or the device is unplugged.
    ///
    /// Fails with [`ERESTARTSYS`].
    pub(crate) fn wait_until(&self, condition: impl Fn(&Self, &State) -> bool) -> Result {
        let mut state = self.channel.state.lock();
        let mut interrupted = false;

        while !condition(self, &state) && !self.sim.dev.is_gone() {
            if interrupted {
                return Err(ERESTARTSYS);
            }
            interrupted = self.wait().wait_interruptible(&mut state);
        }
        Ok(())
    }

    /// Latency and faults are the device's. The peer is what tests them.
    fn delay<T: ForeignOwnable>(&self, kiocb: &Kiocb<'_, T>) -> Result {
        match self.end {
            End::Device => self.sim.delay(kiocb),
            End::Peer => Ok(()),
        }
    }

    /// Returns whether there is something to read.
    pub(crate) fn is_readable(&self, state: &State) -> bool {
        self.reading.load(Relaxed) || !state.queue(self.end).packets.is_empty()
    }

    /// Takes the message to read next. Returns false if there is none.
    fn pin(&self, reader: &mut Reader) -> bool {
        if reader.message.is_some() {
            return true;
        }

        let mut state = self.channel.state.lock();
        let queue = state.queue_mut(self.end);
        let Some(packet) = queue.packets.pop_front() else {
            return false;
        };
        queue.used -= 1;
        // With the lock held, so that no other reader misses the message.
        self.reading.store(true, Relaxed);
        drop(state);

        reader.message = packet.message().cloned();
        reader.pos = 0;
        self.channel.wait(self.end.other()).notify_all();
        true
    }

    /// Drops a message that was read to its end.
    fn advance(&self, reader: &mut Reader, count: usize) {
        let length = reader.message.as_ref().map_or(0, |message| message.len());

        reader.pos += count as i64;
        if reader.pos >= length as i64 {
            self.reading.store(false, Relaxed);
            reader.message = None;
        }
    }

    fn is_writable(&self, state: &State) -> bool {
        state.queue(self.end.other()).used < SLOTS
    }

    fn try_reserve(&self) -> bool {
        let mut state = self.channel.state.lock();
        let writable = self.is_writable(&state);

        if writable {
            state.queue_mut(self.end.other()).used += 1;
        }
        writable
    }

    fn unreserve(&self) {
        let mut state = self.channel.state.lock();
        state.queue_mut(self.end.other()).used -= 1;
        drop(state);

        self.wait().notify_all();
    }

    /// Reserves the slot of a message, so that nothing can fail once it was copied.
    fn reserve<T: ForeignOwnable>(&self, kiocb: &Kiocb<'_, T>) -> Result {
        while !self.try_reserve() {
            if kiocb.nonblock() {
                return Err(EAGAIN);
            }
            self.wait_until(Self::is_writable)?;
            if self.sim.dev.is_gone() {
                return Err(ENODEV);
            }
        }
        Ok(())
    }

    /// Appends a message for which a slot is reserved.
    fn append<T: ForeignOwnable>(
        &self,
        kiocb: &Kiocb<'_, T>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let dev = &self.sim.dev;
        let other = self.end.other();

        if self.end == End::Device {
            dev.fail(Fault::FailWrite)?;
            from.truncate(dev.short_io(from.len()));
        }

        let length = from.len();
        let packet = allocate(kiocb, self.wait(), |gfp| {
            let message = Message::from_iter(from, gfp)?;

            Packet::create(self.number, Contents::Data(message.into()), gfp)
        })?;
        // The copy may have taken long.
        if dev.is_gone() {
            return Err(ENODEV);
        }

        let mut state = self.channel.state.lock();
        state.queue_mut(other).packets.push_back(packet);
        if let Some(file) = state.files.get_mut(&self.number) {
            file.wrote = true;
        }
        drop(state);

        self.channel.wait(other).notify_all();
        Ok(length)
    }

    /// Writes a message.
    ///
    /// Returns the number of bytes written.
    pub(crate) fn write<T: ForeignOwnable>(
        &self,
        kiocb: &Kiocb<'_, T>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        if from.len() > self.sim.dev.capacity {
            return Err(EMSGSIZE);
        }

        self.delay(kiocb)?;
        self.reserve(kiocb)?;
        self.append(kiocb, from).inspect_err(|_| self.unreserve())
    }

    fn read_iter<T: ForeignOwnable>(
        &self,
        kiocb: &Kiocb<'_, T>,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        if self.sim.dev.is_gone() {
            return Err(ENODEV);
        }
        if to.is_empty() {
            return Ok(0);
        }

        self.delay(kiocb)?;
        self.sim.with_message(
            kiocb,
            self.wait(),
            |reader| {
                if !self.pin(reader) {
                    return Ok(None);
                }
                let count = match (&reader.message, self.end) {
                    (Some(message), End::Peer) => message.read(reader.pos, to)?,
                    _ => self.sim.read(reader, reader.pos, to)?,
                };
                self.advance(reader, count);
                Ok(Some(count))
            },
            || self.wait_until(Self::is_readable),
        )
    }

    fn write_iter<T: ForeignOwnable>(
        &self,
        kiocb: &Kiocb<'_, T>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        if self.sim.dev.is_gone() {
            return Err(ENODEV);
        }
        if from.is_empty() {
            return Ok(0);
        }
        self.write(kiocb, from)
    }

    /// Returns the events that the file is ready for.
    pub(crate) fn poll<'a>(&'a self, table: &PollTable<'a>) -> PollEvents {
        let mut events = PollEvents::empty();

        table.register_wait(self.wait());

        if self.sim.dev.is_gone() {
            return PollEvent::Err | PollEvent::Hup | PollEvent::Pri;
        }

        let state = self.channel.state.lock();
        if self.is_readable(&state) {
            events |= PollEvent::In | PollEvent::RdNorm;
        }
        if self.is_writable(&state) {
            events |= PollEvent::Out | PollEvent::WrNorm;
        }
        events
    }

    /// The peer has no ioctls of its own.
    pub(crate) fn peer_ioctl(&self) -> Result<isize> {
        Err(if self.sim.dev.is_gone() {
            ENODEV
        } else {
            ENOTTY
        })
    }
}

/// What tells the peer of a file, if it reads records.
///
/// Both packets are allocated when the file is opened, as closing it cannot fail.
struct Announcement {
    channel: Arc<Channel>,
    open: Arc<Packet>,
    close: Option<ListArc<Packet>>,
}

impl Announcement {
    /// Tells the peer that a file was opened with these flags of `open(2)`.
    fn new(channel: &Arc<Channel>, number: u64, flags: u32) -> Result<Self> {
        let packet = Packet::create(number, Contents::Open(flags), GFP_KERNEL_ACCOUNT)?;
        let close = Packet::create(number, Contents::Close, GFP_KERNEL_ACCOUNT)?;
        let open = packet.clone_arc();
        let file = OpenFile {
            open: open.clone(),
            wrote: false,
        };
        let node = RBTreeNode::new(number, file, GFP_KERNEL_ACCOUNT)?;

        let mut state = channel.state.lock();
        state.files.insert(node);
        if state.opened {
            state.queue_mut(End::Peer).packets.push_back(packet);
        } else {
            // With the lock held, so that the next peer can create another `ListArc`.
            drop(packet);
        }
        drop(state);

        channel.wait(End::Peer).notify_all();
        Ok(Self {
            channel: channel.clone(),
            open,
            close: Some(close),
        })
    }
}

/// Tells the peer that the file is closed. If the peer does not know yet that it was open, and the
/// file wrote nothing, it need not know.
impl Drop for Announcement {
    fn drop(&mut self) {
        let mut state = self.channel.state.lock();

        let file = state.files.remove(&self.open.file);
        let wrote = file.is_some_and(|file| file.wrote);
        let unread = !wrote && state.remove_queued(&self.open).is_some();
        if !unread && state.opened {
            if let Some(close) = self.close.take() {
                state.queue_mut(End::Peer).packets.push_back(close);
            }
        }
        drop(state);

        self.channel.wait(End::Peer).notify_all();
    }
}

/// An open file of a channel.
#[pin_data]
pub(crate) struct ChannelFile {
    #[pin]
    file: EndFile,

    _announcement: Option<Announcement>,
}

/// No splice: it would sleep with the pipe's mutex held.
#[vtable]
impl MiscDevice for ChannelFile {
    type Ptr = Pin<KBox<Self>>;
    type Data = Arc<Device>;

    const NOWAIT: bool = true;

    fn is_stream(_misc: &MiscDeviceRegistration<Self>) -> bool {
        true
    }

    fn open(file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        let dev = misc.data();
        let channel = dev.channel()?;
        let sim = SimFile::open(dev)?;
        let number = channel.next_file();
        let flags = file.flags();

        KBox::try_pin_init(
            try_pin_init!(Self {
                file <- EndFile::new(sim, channel, End::Device, number),
                _announcement: if channel.records {
                    Some(Announcement::new(channel, number, flags)?)
                } else {
                    None
                },
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    fn read_iter(kiocb: Kiocb<'_, Self::Ptr>, to: &mut IovIterDest<'_>) -> Result<usize> {
        kiocb.file().file.read_iter(&kiocb, to)
    }

    fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, from: &mut IovIterSource<'_>) -> Result<usize> {
        kiocb.file().file.write_iter(&kiocb, from)
    }

    fn poll<'a>(this: Pin<&'a Self>, table: &PollTable<'a>) -> PollEvents {
        let file = &this.get_ref().file;
        let mut events = file.poll(table);
        let set = file.channel.events.load(Relaxed);

        for event in [PollEvent::Err, PollEvent::Pri] {
            if set & event as u32 != 0 {
                events |= event;
            }
        }
        events
    }

    fn ioctl(this: Pin<&Self>, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        let file = &this.file;

        request(&file.sim.dev, file.number, cmd, arg, false)
    }

    #[cfg(CONFIG_COMPAT)]
    fn compat_ioctl(this: Pin<&Self>, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        let file = &this.file;

        request(&file.sim.dev, file.number, cmd, arg, true)
    }

    fn show_fdinfo(this: Pin<&Self>, m: &SeqFile, _file: &File) {
        seq_print!(m, "capacity:\t{}\n", this.file.sim.dev.capacity);
    }
}

/// The only open file of the peer of a channel.
pub(crate) struct Claim {
    dev: Arc<Device>,
    channel: Arc<Channel>,
}

impl Claim {
    /// Tells a peer with records of all open files, before the data that they wrote.
    ///
    /// Fails with [`EBUSY`] if the peer is open already.
    pub(crate) fn new(dev: &Arc<Device>) -> Result<Self> {
        let channel = dev.channel()?;
        let mut state = channel.state.lock();
        let mut packets = List::new();

        if state.opened {
            return Err(EBUSY);
        }
        state.opened = true;

        for file in state.files.values() {
            // No peer was open, so there is no other `ListArc`.
            if let Ok(packet) = ListArc::try_from_arc(file.open.clone()) {
                packets.push_back(packet);
            }
        }
        let queue = state.queue_mut(End::Peer);
        packets.push_all_back(&mut queue.packets);
        queue.packets = packets;
        Ok(Self {
            dev: dev.clone(),
            channel: channel.clone(),
        })
    }
}

/// Closes the peer.
///
/// Messages stay in the queue for the next peer. All requests fail, and everything that the peer
/// has set is reset.
impl Drop for Claim {
    fn drop(&mut self) {
        let channel = &self.channel;
        let mut state = channel.state.lock();

        state.finish(if self.dev.is_gone() { ENODEV } else { EIO });
        state.types.fill(false);
        channel.events.store(0, Relaxed);
        state.opened = false;
        drop(state);

        channel.wait(End::Device).notify_all();
    }
}

/// An open file of a peer that reads and writes bytes.
#[pin_data]
pub(crate) struct PeerFile {
    #[pin]
    file: EndFile,

    _claim: Claim,
}

#[vtable]
impl MiscDevice for PeerFile {
    type Ptr = Pin<KBox<Self>>;
    type Data = Arc<Device>;

    const NOWAIT: bool = true;

    fn is_stream(_misc: &MiscDeviceRegistration<Self>) -> bool {
        true
    }

    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        KBox::try_pin_init(
            try_pin_init!(Self {
                file <- EndFile::peer(misc.data())?,
                _claim: Claim::new(misc.data())?,
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    fn read_iter(kiocb: Kiocb<'_, Self::Ptr>, to: &mut IovIterDest<'_>) -> Result<usize> {
        kiocb.file().file.read_iter(&kiocb, to)
    }

    fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, from: &mut IovIterSource<'_>) -> Result<usize> {
        kiocb.file().file.write_iter(&kiocb, from)
    }

    fn poll<'a>(this: Pin<&'a Self>, table: &PollTable<'a>) -> PollEvents {
        this.get_ref().file.poll(table)
    }

    fn ioctl(this: Pin<&Self>, _file: &File, _cmd: u32, _arg: usize) -> Result<isize> {
        this.file.peer_ioctl()
    }
}
