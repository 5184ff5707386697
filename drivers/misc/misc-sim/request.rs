// SPDX-License-Identifier: GPL-2.0-only

//! Channels of the simulated misc device: ioctls that the peer answers.

use crate::{
    device::{
        Device,
        ERRNO_MAX, //
    },
    fault::Fault,
    file::allocate,
    message::Message,
    queue::{
        Channel,
        Contents,
        End,
        Packet,
        Progress,
        Reply,
        Request, //
    }, //
};
use core::mem::discriminant;
use kernel::{
    error::to_result,
    fs::Kiocb,
    ioctl::{
        _IOC_SIZE,
        _IOC_TYPE, //
    },
    iov::IovIterSource,
    list::ListArc,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        Arc,
        LockedBy, //
    },
    types::ForeignOwnable,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// Returns the bytes at the argument, or [`None`] if they cannot be read.
///
/// The direction in the command is not looked at, because many drivers ignore it. Fails with
/// [`ENOMEM`].
fn payload(cmd: u32, argp: UserPtr) -> Result<Option<Arc<Message>>> {
    let message = IovIterSource::with_user(argp, _IOC_SIZE(cmd), |from| {
        Message::from_iter(from, GFP_KERNEL_ACCOUNT)
    });

    match message.and_then(|message| message) {
        Err(EFAULT) => Ok(None),
        message => Ok(Some(message?.into())),
    }
}

fn create(
    channel: &Channel,
    file: u64,
    cmd: u32,
    arg: usize,
    argp: UserPtr,
    compat: bool,
) -> Result<ListArc<Packet>> {
    let request = Request {
        id: Atomic::new(0),
        cmd,
        arg,
        compat,
        payload: payload(cmd, argp)?,
        task: ARef::from(&**current!()),
        progress: LockedBy::new(&channel.state, Progress::Queued),
    };

    Packet::create(file, Contents::Ioctl(request), GFP_KERNEL_ACCOUNT)
}

/// Returns whether the peer answers this command.
fn is_wanted(channel: &Channel, cmd: u32) -> bool {
    channel.state.lock().types[_IOC_TYPE(cmd) as usize]
}

fn queue(channel: &Channel, packet: ListArc<Packet>, request: &Request) -> Result {
    let mut state = channel.state.lock();

    if !state.types[_IOC_TYPE(request.cmd) as usize] {
        return Err(ENOTTY);
    }
    state.last_id += 1;
    request.id.store(state.last_id, Relaxed);
    state.queue_mut(End::Peer).packets.push_back(packet);
    drop(state);

    channel.wait(End::Peer).notify_all();
    Ok(())
}

/// Waits until a request is finished.
///
/// A signal ends this only while the peer has not read the request, because after that the peer may
/// have acted on it. `SIGKILL` always ends this.
fn wait(dev: &Device, channel: &Channel, packet: &Packet, request: &Request) -> Result<Reply> {
    let wait = channel.wait(End::Device);
    let mut state = channel.state.lock();
    let mut interrupted = None;

    loop {
        let progress = request.progress.access(&state);
        let now = discriminant(progress);
        let error = match progress {
            Progress::Finished(reply) => return reply.clone(),
            _ if dev.is_gone() => Some(ENODEV),
            // If the peer has taken the request meanwhile, the signal came too late.
            _ if interrupted == Some(now) => Some(ERESTARTSYS),
            _ => None,
        };

        if let Some(error) = error {
            state.remove(packet);
            return Err(error);
        }

        let signal = match progress {
            Progress::Queued => wait.wait_interruptible(&mut state),
            _ => wait.wait_killable_freezable(&mut state),
        };
        interrupted = signal.then_some(now);
    }
}

/// Lets the peer answer an ioctl.
///
/// The peer gets the argument of a 32-bit program as it is, because it may be no address.
///
/// Returns the result from the peer. Fails with [`ENODEV`], [`ENOTTY`] (the peer does not answer
/// such commands), [`ERESTARTSYS`], [`ENOMEM`], [`EIO`] (the peer was closed), [`EFAULT`] (the
/// reply cannot be stored), or with the errno of an injected fault.
pub(crate) fn request(
    dev: &Device,
    file: u64,
    cmd: u32,
    arg: usize,
    compat: bool,
) -> Result<isize> {
    let channel = dev.channel()?;
    // As compat_ptr().
    let argp = UserPtr::from_addr(if compat { arg as u32 as usize } else { arg });

    if dev.is_gone() {
        return Err(ENODEV);
    }
    if !is_wanted(channel, cmd) {
        return Err(ENOTTY);
    }

    dev.delay()?;
    dev.fail(Fault::FailIoctl)?;

    let packet = create(channel, file, cmd, arg, argp, compat)?;
    let queued = packet.clone_arc();
    // create() has made a request.
    let request = queued.request().ok_or(ENOTTY)?;

    queue(channel, packet, request)?;
    let reply = wait(dev, channel, &queued, request)?;

    UserSlice::new(argp, reply.payload.len())
        .writer()
        .write_slice(reply.payload.bytes())?;
    to_result(reply.value)?;
    Ok(reply.value as isize)
}

fn find(channel: &Channel, id: u64) -> Option<Arc<Packet>> {
    let state = channel.state.lock();
    let mut taken = state.taken.iter();

    taken
        .find(|packet| {
            packet
                .request()
                .is_some_and(|request| request.id.load(Relaxed) == id)
        })
        .map(Arc::from)
}

/// Finishes a request.
///
/// `id` is its number, `value` its result, and `from` the payload.
///
/// Fails with [`EINVAL`] (the result is out of range, or the payload is longer than the argument),
/// [`ENOENT`] (no such request is waiting), [`EFAULT`], [`ENOMEM`] or [`EAGAIN`].
pub(crate) fn reply<T: ForeignOwnable>(
    kiocb: &Kiocb<'_, T>,
    channel: &Channel,
    id: u64,
    value: i32,
    from: &mut IovIterSource<'_>,
) -> Result {
    if value < -(ERRNO_MAX as i32) {
        return Err(EINVAL);
    }

    let packet = find(channel, id).ok_or(ENOENT)?;
    let request = packet.request().ok_or(ENOENT)?;

    if from.len() > _IOC_SIZE(request.cmd) {
        return Err(EINVAL);
    }

    let payload = allocate(kiocb, channel.wait(End::Peer), |gfp| {
        Message::from_iter(from, gfp)
    })?;
    let reply = Reply {
        value,
        payload: payload.into(),
    };

    let mut state = channel.state.lock();
    // The caller may have given up while the payload was copied.
    state.remove_taken(&packet).ok_or(ENOENT)?;
    *request.progress.access_mut(&mut state) = Progress::Finished(Ok(reply));
    drop(state);

    channel.wait(End::Device).notify_all();
    Ok(())
}
