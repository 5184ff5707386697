// SPDX-License-Identifier: GPL-2.0-only

//! Channels of the simulated misc device: packets and their queues.

use crate::message::Message;
use core::ptr;
use kernel::{
    alloc::Flags,
    list::{
        impl_list_arc_safe,
        impl_list_item,
        AtomicTracker,
        List,
        ListArc,
        ListLinks,
        TryNewListArc, //
    },
    new_condvar,
    new_spinlock,
    prelude::*,
    rbtree::RBTree,
    sync::{
        aref::ARef,
        atomic::Atomic,
        Arc,
        CondVar,
        LockedBy,
        SpinLock, //
    },
    task::Task,
    uapi, //
};

/// Number of messages that can wait at an end.
pub(crate) const SLOTS: usize = 16;

/// One of the two ends of a channel.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum End {
    /// The programs that open the device.
    Device,
    /// The peer.
    Peer,
}

impl End {
    /// Returns the end that reads what this one writes.
    pub(crate) fn other(self) -> Self {
        match self {
            End::Device => End::Peer,
            End::Peer => End::Device,
        }
    }
}

/// A packet. A peer with records reads it as one record.
#[pin_data]
pub(crate) struct Packet {
    /// Number of the file that it comes from, 0 if it comes from the peer.
    pub(crate) file: u64,

    /// What it says.
    pub(crate) contents: Contents,

    #[pin]
    links: ListLinks,

    #[pin]
    tracker: AtomicTracker,
}

/// What a packet says.
pub(crate) enum Contents {
    /// A program opened the device, with these flags of `open(2)`.
    Open(u32),
    /// It closed the device.
    Close,
    /// It wrote a message, or the peer did.
    Data(Arc<Message>),
    /// It waits for the reply to an ioctl.
    Ioctl(Request),
}

/// An ioctl that waits for its reply.
///
/// Its packet is in the queue of the peer until the peer has read it, and then in [`State::taken`].
/// The request is finished when its packet is in neither: the peer has replied to it or was closed,
/// or the caller has given up. The side that removes the packet decides how the request ends.
pub(crate) struct Request {
    /// Number of the request, never 0 and never used twice. Set when it is queued.
    pub(crate) id: Atomic<u64>,

    /// The command.
    pub(crate) cmd: u32,

    /// Its argument.
    pub(crate) arg: usize,

    /// Whether the caller is a 32-bit program.
    pub(crate) compat: bool,

    /// The bytes at the argument, [`None`] if they cannot be read.
    pub(crate) payload: Option<Arc<Message>>,

    /// The caller.
    pub(crate) task: ARef<Task>,

    /// How far the request is.
    pub(crate) progress: LockedBy<Progress, State>,
}

/// How far a request is.
pub(crate) enum Progress {
    /// It is in the queue of the peer.
    Queued,
    /// The peer is reading it or has read it.
    Taken,
    /// The peer has replied to it or was closed.
    Finished(Result<Reply>),
}

/// What the peer has replied.
#[derive(Clone)]
pub(crate) struct Reply {
    /// The result of the ioctl, or a negative errno.
    pub(crate) value: i32,

    /// Bytes for the caller.
    pub(crate) payload: Arc<Message>,
}

impl_list_arc_safe! {
    impl ListArcSafe<0> for Packet { tracked_by tracker: AtomicTracker; }
}

impl_list_item! {
    impl ListItem<0> for Packet { using ListLinks { self.links }; }
}

impl Packet {
    /// Creates a packet.
    ///
    /// Fails with [`ENOMEM`].
    pub(crate) fn create(file: u64, contents: Contents, flags: Flags) -> Result<ListArc<Self>> {
        ListArc::pin_init(
            try_pin_init!(Self {
                file,
                contents,
                links <- ListLinks::new(),
                tracker <- AtomicTracker::new(),
            }),
            flags,
        )
    }

    /// Returns the message of a packet that has one.
    pub(crate) fn message(&self) -> Option<&Arc<Message>> {
        match &self.contents {
            Contents::Data(message) => Some(message),
            _ => None,
        }
    }

    /// Returns the request of a packet that has one.
    pub(crate) fn request(&self) -> Option<&Request> {
        match &self.contents {
            Contents::Ioctl(request) => Some(request),
            _ => None,
        }
    }
}

/// Removes a packet from a list. Returns [`None`] if it is not there.
///
/// Removing a packet in constant time would be unsafe.
fn remove_from(packets: &mut List<Packet>, packet: &Packet) -> Option<ListArc<Packet>> {
    let mut cursor = packets.cursor_front();

    while let Some(next) = cursor.peek_next() {
        if ptr::eq(&*next, packet) {
            return Some(next.remove());
        }
        cursor.move_next();
    }
    None
}

/// What waits to be read at an end.
pub(crate) struct Queue {
    /// The packets, oldest first.
    pub(crate) packets: List<Packet>,

    /// Number of slots in use, at most [`SLOTS`]. A message owns a slot from before it is copied
    /// from its writer until a reader takes it.
    pub(crate) used: usize,
}

impl Queue {
    fn new() -> Self {
        Self {
            packets: List::new(),
            used: 0,
        }
    }
}

/// An open file of the device, if the peer reads records.
pub(crate) struct OpenFile {
    /// The [`Contents::Open`] of the file.
    pub(crate) open: Arc<Packet>,

    /// Whether a message was written through the file.
    pub(crate) wrote: bool,
}

/// The part of a channel that its lock guards.
pub(crate) struct State {
    device: Queue,
    peer: Queue,

    /// Whether the peer is open.
    pub(crate) opened: bool,

    /// The open files of the device, by their numbers. Empty without records.
    pub(crate) files: RBTree<u64, OpenFile>,

    /// Number of the last file.
    pub(crate) last_file: u64,

    /// The packet that the peer is reading, and requests that it has read and not answered.
    pub(crate) taken: List<Packet>,

    /// Number of the last request.
    pub(crate) last_id: u64,

    /// Whether the peer answers ioctls of each type.
    pub(crate) types: [bool; uapi::_IOC_TYPEMASK as usize + 1],
}

impl State {
    /// Returns what waits at an end.
    pub(crate) fn queue(&self, end: End) -> &Queue {
        match end {
            End::Device => &self.device,
            End::Peer => &self.peer,
        }
    }

    /// Returns what waits at an end.
    pub(crate) fn queue_mut(&mut self, end: End) -> &mut Queue {
        match end {
            End::Device => &mut self.device,
            End::Peer => &mut self.peer,
        }
    }

    /// Removes a packet from those that the peer has taken. Returns [`None`] if it is not there.
    pub(crate) fn remove_taken(&mut self, packet: &Packet) -> Option<ListArc<Packet>> {
        remove_from(&mut self.taken, packet)
    }

    /// Removes a packet from the queue of the peer. Returns [`None`] if it is not there.
    pub(crate) fn remove_queued(&mut self, packet: &Packet) -> Option<ListArc<Packet>> {
        remove_from(&mut self.peer.packets, packet)
    }

    /// Removes a packet from those that the peer has taken, or from its queue.
    ///
    /// Returns [`None`] if it is in neither.
    pub(crate) fn remove(&mut self, packet: &Packet) -> Option<ListArc<Packet>> {
        self.remove_taken(packet)
            .or_else(|| self.remove_queued(packet))
    }

    /// Drops everything but messages from the queue of the peer, and what the peer has taken.
    /// Requests fail with `error`.
    ///
    /// This frees no message, because the callers that wait for requests hold references to them,
    /// and nobody is reading a packet.
    pub(crate) fn finish(&mut self, error: Error) {
        let mut cursor = self.peer.packets.cursor_front();

        while let Some(packet) = cursor.peek_next() {
            if packet.message().is_some() {
                cursor.move_next();
            } else {
                self.taken.push_back(packet.remove());
            }
        }

        while let Some(packet) = self.taken.pop_front() {
            if let Some(request) = packet.request() {
                *request.progress.access_mut(self) = Progress::Finished(Err(error));
            }
        }
    }
}

/// What a channel has in addition to other devices.
#[pin_data]
pub(crate) struct Channel {
    /// Only process context locks this. The holder of the lock must not sleep, access user memory
    /// or free a message.
    #[pin]
    pub(crate) state: SpinLock<State>,

    /// Notified when there is something new for the programs that open the device.
    #[pin]
    device: CondVar,

    /// Notified when there is something new for the peer.
    #[pin]
    peer: CondVar,

    /// `POLLERR` and `POLLPRI` of the device; needs no lock.
    pub(crate) events: Atomic<u32>,

    /// Whether the peer reads and writes records.
    pub(crate) records: bool,
}

impl Channel {
    /// Creates a channel.
    ///
    /// Fails with [`ENOMEM`].
    pub(crate) fn create(records: bool) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                state <- new_spinlock!(State {
                    device: Queue::new(),
                    peer: Queue::new(),
                    opened: false,
                    files: RBTree::new(),
                    last_file: 0,
                    taken: List::new(),
                    last_id: 0,
                    types: [false; uapi::_IOC_TYPEMASK as usize + 1],
                }),
                device <- new_condvar!(),
                peer <- new_condvar!(),
                events: Atomic::new(0),
                records,
            }),
            GFP_KERNEL,
        )
    }

    /// Returns what is notified when there is something new for the users of an end.
    pub(crate) fn wait(&self, end: End) -> &CondVar {
        match end {
            End::Device => &self.device,
            End::Peer => &self.peer,
        }
    }

    /// Wakes all waiters when the device is unplugged.
    pub(crate) fn stop(&self) {
        // A waiter that has not seen that the device is gone holds the lock until it is on the wait
        // queue.
        drop(self.state.lock());
        self.device.notify_all();
        self.peer.notify_all();
    }

    /// Returns a number for a new file.
    pub(crate) fn next_file(&self) -> u64 {
        let mut state = self.state.lock();

        state.last_file += 1;
        state.last_file
    }
}
