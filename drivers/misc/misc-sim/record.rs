// SPDX-License-Identifier: GPL-2.0-only

//! Channels of the simulated misc device: a peer that reads and writes records.

use crate::{
    channel::{
        Claim,
        EndFile, //
    },
    device::Device,
    file::assert_layout,
    queue::{
        Contents,
        End,
        Packet,
        Progress, //
    },
    request, //
};
use core::mem::offset_of;
use kernel::{
    fs::{
        File,
        Kiocb, //
    },
    ioctl::_IOC_SIZE,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    list::List,
    miscdevice::{
        MiscDevice,
        MiscDeviceRegistration, //
    },
    prelude::*,
    sync::{
        atomic::ordering::Relaxed,
        poll::{
            PollEvent,
            PollEvents,
            PollTable, //
        },
        Arc, //
    },
    uapi, //
};
use zerocopy::FromZeros;
use zerocopy_derive::Immutable;

/// `struct misc_sim_record`, which can be read from and written to user space.
#[repr(C)]
#[derive(FromBytes, IntoBytes, Immutable)]
struct Record {
    type_: u32,
    length: u32,
    id: u64,
    file: u64,
    arg: u64,
    value: i32,
    flags: u32,
    cmd: u32,
    pid: u32,
}

assert_layout! {
    Record, uapi::misc_sim_record, type_, length, id, file, arg, value, flags, cmd, pid
}

impl Record {
    /// Returns the record of a packet, and its payload.
    fn from_packet(packet: &Packet) -> (Self, &[u8]) {
        let mut record = Self::new_zeroed();
        let mut payload = None;

        record.file = packet.file;
        record.type_ = match &packet.contents {
            Contents::Open(flags) => {
                record.arg = (*flags).into();
                uapi::MISC_SIM_RECORD_OPEN
            }
            Contents::Close => uapi::MISC_SIM_RECORD_CLOSE,
            Contents::Data(message) => {
                payload = Some(message);
                uapi::MISC_SIM_RECORD_DATA
            }
            Contents::Ioctl(request) => {
                payload = request.payload.as_ref();
                record.id = request.id.load(Relaxed);
                record.arg = request.arg as u64;
                record.value = _IOC_SIZE(request.cmd) as i32;
                if request.compat {
                    record.flags = uapi::MISC_SIM_RECORD_F_COMPAT;
                }
                record.cmd = request.cmd;
                record.pid = request.task.tgid_nr_ns(None) as u32;
                uapi::MISC_SIM_RECORD_IOCTL
            }
        };

        let payload = payload.map_or(&[][..], |message| message.bytes());
        record.length = payload.len() as u32;
        (record, payload)
    }
}

/// An open file of a peer that reads and writes records.
#[pin_data]
pub(crate) struct RecordFile {
    #[pin]
    file: EndFile,

    _claim: Claim,
}

impl RecordFile {
    /// Takes the packet to read next. Returns [`None`] if there is none.
    fn pin(&self) -> Option<Arc<Packet>> {
        let mut state = self.file.channel.state.lock();
        let packet = state.queue_mut(End::Peer).packets.pop_front()?;
        let taken = packet.clone_arc();

        if let Some(request) = taken.request() {
            *request.progress.access_mut(&mut state) = Progress::Taken;
        }
        state.taken.push_back(packet);
        Some(taken)
    }

    /// Drops a packet that was read. A request stays until it is answered. If the read failed, puts
    /// the packet back, unless it is a request that is finished.
    fn unpin(&self, packet: &Packet, done: bool) {
        let channel = &self.file.channel;
        let mut state = channel.state.lock();
        let is_data = packet.message().is_some();

        if !done {
            if let Some(taken) = state.remove_taken(packet) {
                if let Some(request) = packet.request() {
                    *request.progress.access_mut(&mut state) = Progress::Queued;
                }
                state.queue_mut(End::Peer).packets.push_front(taken);
            }
        } else if packet.request().is_none() {
            state.remove_taken(packet);
        }
        if done && is_data {
            state.queue_mut(End::Peer).used -= 1;
        }
        drop(state);

        // There is room again, or a request can be interrupted again.
        if !done || is_data {
            channel.wait(End::Device).notify_all();
        }
        if !done {
            channel.wait(End::Peer).notify_all();
        }
    }

    fn copy(packet: &Packet, to: &mut IovIterDest<'_>) -> Result<usize> {
        let (record, payload) = Record::from_packet(packet);
        let length = size_of::<Record>() + payload.len();

        if to.len() < length {
            return Err(EINVAL);
        }
        if to.copy_to_iter(record.as_bytes()) < size_of::<Record>()
            || to.copy_to_iter(payload) < payload.len()
        {
            return Err(EFAULT);
        }
        Ok(length)
    }

    fn events(&self, events: u64) -> Result {
        let allowed = PollEvent::Err as u32 | PollEvent::Pri as u32;
        let channel = &self.file.channel;

        if events & !u64::from(allowed) != 0 {
            return Err(EINVAL);
        }
        channel.events.store(events as u32, Relaxed);
        channel.wait(End::Device).notify_all();
        Ok(())
    }

    /// The slots of messages that are still being written stay in use.
    fn flush(&self) -> Result {
        let channel = &self.file.channel;
        let mut packets = List::new();

        let mut state = channel.state.lock();
        let queue = state.queue_mut(End::Device);
        packets.push_all_back(&mut queue.packets);
        queue.used -= packets.iter().count();
        drop(state);

        channel.wait(End::Peer).notify_all();
        Ok(())
    }

    fn listen(&self, type_: u64) -> Result {
        let mut state = self.file.channel.state.lock();

        *usize::try_from(type_)
            .ok()
            .and_then(|type_| state.types.get_mut(type_))
            .ok_or(EINVAL)? = true;
        Ok(())
    }
}

#[vtable]
impl MiscDevice for RecordFile {
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
        let this = kiocb.file().get_ref();
        let file = &this.file;

        if file.sim.dev.is_gone() {
            return Err(ENODEV);
        }
        if to.len() < size_of::<Record>() {
            return Err(EINVAL);
        }

        file.sim.with_message(
            &kiocb,
            file.wait(),
            |_reader| {
                let Some(packet) = this.pin() else {
                    return Ok(None);
                };
                let ret = Self::copy(&packet, to);
                this.unpin(&packet, ret.is_ok());
                ret.map(Some)
            },
            || file.wait_until(EndFile::is_readable),
        )
    }

    fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, from: &mut IovIterSource<'_>) -> Result<usize> {
        let this = kiocb.file().get_ref();
        let dev = &this.file.sim.dev;
        let length = from.len();
        let mut record = Record::new_zeroed();

        if dev.is_gone() {
            return Err(ENODEV);
        }
        if length < size_of::<Record>() {
            return Err(EINVAL);
        }
        if from.copy_from_iter(record.as_mut_bytes()) < size_of::<Record>() {
            return Err(EFAULT);
        }
        if record.length as usize != from.len() {
            return Err(EINVAL);
        }
        if record.flags & !uapi::MISC_SIM_RECORD_F_COMPAT != 0 {
            return Err(EINVAL);
        }

        let ret = match record.type_ {
            uapi::MISC_SIM_RECORD_DATA => this.file.write(&kiocb, from).map(|_| ()),
            uapi::MISC_SIM_RECORD_REPLY => {
                request::reply(&kiocb, &this.file.channel, record.id, record.value, from)
            }
            _ if record.length > 0 => Err(EINVAL),
            uapi::MISC_SIM_RECORD_EVENTS => this.events(record.arg),
            uapi::MISC_SIM_RECORD_FLUSH => this.flush(),
            uapi::MISC_SIM_RECORD_LISTEN => this.listen(record.arg),
            _ => Err(EINVAL),
        };

        match ret {
            Ok(()) => Ok(length),
            // Unplugging finishes the requests.
            Err(ENOENT) if dev.is_gone() => Err(ENODEV),
            Err(error) => Err(error),
        }
    }

    fn poll<'a>(this: Pin<&'a Self>, table: &PollTable<'a>) -> PollEvents {
        this.get_ref().file.poll(table)
    }

    fn ioctl(this: Pin<&Self>, _file: &File, _cmd: u32, _arg: usize) -> Result<isize> {
        this.file.peer_ioctl()
    }
}
