// SPDX-License-Identifier: GPL-2.0-only

//! Files of the simulated misc device: common code, and message devices.

use crate::{
    device::Device,
    fault::Fault,
    message::Message,
    trace, //
};
use core::mem::offset_of;
use kernel::{
    alloc::{
        flags::__GFP_ACCOUNT,
        Flags, //
    },
    fs::{
        file::flags,
        File,
        Kiocb, //
    },
    ioctl::{
        _IOR,
        _IOW, //
    },
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    miscdevice::{
        MiscDevice,
        MiscDeviceRegistration, //
    },
    mm::virt::VmaNew,
    new_mutex,
    page::PAGE_SIZE,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::{
            ordering::{
                Full,
                Relaxed, //
            },
            Atomic, //
        },
        lock::mutex::MutexGuard,
        poll::{
            PollEvent,
            PollEvents,
            PollTable, //
        },
        Arc,
        CondVar,
        Mutex, //
    },
    types::ForeignOwnable,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
    uapi, //
};
use zerocopy::FromZeros;
use zerocopy_derive::Immutable;

pub(crate) const IOC_INFO: u32 = _IOR::<Info>(uapi::MISC_SIM_IOC_MAGIC, 0);
const IOC_REPLACE: u32 = _IOW::<Replace>(uapi::MISC_SIM_IOC_MAGIC, 1);

/// `struct misc_sim_info`, which can be written to user space.
#[repr(C)]
#[derive(IntoBytes, Immutable)]
pub(crate) struct Info {
    generation: u64,
    seen: u64,
    length: u32,
    capacity: u32,
    flags: u32,
    reserved: u32,
}

/// `struct misc_sim_replace`, which can be read from user space.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct Replace {
    generation: u64,
    data: u64,
    length: u32,
    reserved: u32,
}

macro_rules! assert_layout {
    ($ours:ty, $theirs:ty, $($field:ident),*) => {
        const _: () = {
            assert!(size_of::<$ours>() == size_of::<$theirs>());
            $( assert!(offset_of!($ours, $field) == offset_of!($theirs, $field)); )*
        };
    };
}

pub(crate) use assert_layout;

assert_layout! { Info, uapi::misc_sim_info, generation, seen, length, capacity, flags, reserved }
assert_layout! { Replace, uapi::misc_sim_replace, generation, data, length, reserved }

/// One open of a device.
#[pin_data]
pub(crate) struct SimFile {
    /// The device.
    pub(crate) dev: Arc<Device>,

    /// Serialises the reads through this file, and is locked while they copy to user space. The
    /// lock of the device nests inside.
    #[pin]
    reader: Mutex<Reader>,

    /// Set when a trylock of `reader` failed; needs no lock.
    contended: Atomic<bool>,

    /// Generation last read to its end, 0 for none; may be read without a lock. Written with
    /// `reader` locked.
    seen: Atomic<u64>,
}

/// State shared by the reads through a file.
pub(crate) struct Reader {
    /// The pinned message, [`None`] before the first read. In a channel, the message that is being
    /// read, or [`None`].
    pub(crate) message: Option<Arc<Message>>,

    /// Position of a stream or channel in `message`.
    pub(crate) pos: i64,
}

/// Calls `f`, which allocates memory for a write.
///
/// Fails with the error of `f`, or with [`EAGAIN`] if the write must not sleep and memory is short.
pub(crate) fn allocate<T: ForeignOwnable, R>(
    kiocb: &Kiocb<'_, T>,
    wait: &CondVar,
    f: impl FnOnce(Flags) -> Result<R>,
) -> Result<R> {
    if !kiocb.nowait() {
        return f(GFP_KERNEL_ACCOUNT);
    }

    f(GFP_NOWAIT | __GFP_ACCOUNT).map_err(|error| {
        if error != ENOMEM {
            return error;
        }
        // `EAGAIN` promises a wake-up, and nothing else would cause one.
        wait.notify_all();
        EAGAIN
    })
}

impl SimFile {
    /// Creates a file.
    pub(crate) fn create(dev: Arc<Device>) -> impl PinInit<Self> {
        pin_init!(Self {
            dev,
            reader <- new_mutex!(Reader {
                message: None,
                pos: 0,
            }),
            contended: Atomic::new(false),
            seen: Atomic::new(0),
        })
    }

    /// Opens a device.
    ///
    /// Runs with the mutex of the misc core held. Deregistering takes this mutex too, so the device
    /// is still registered. Fails with the errno of an injected fault.
    pub(crate) fn open(dev: &Arc<Device>) -> Result<impl PinInit<Self>> {
        dev.fail(Fault::FailOpen)?;
        Ok(Self::create(dev.clone()))
    }

    /// Returns the generation last read to its end, 0 for none.
    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Relaxed)
    }

    /// Returns whether the current message is one that this file has not read to its end.
    pub(crate) fn is_unseen(&self) -> bool {
        self.dev.generation() != self.seen()
    }

    /// Sleeps for the configured latency, if the call may sleep.
    ///
    /// A call that may not sleep is not delayed, because poll could not tell when the delay is
    /// over. Fails with [`ENODEV`], or with [`ERESTARTSYS`].
    pub(crate) fn delay<T: ForeignOwnable>(&self, kiocb: &Kiocb<'_, T>) -> Result {
        if kiocb.nonblock() {
            return Ok(());
        }
        self.dev.delay()
    }

    /// Locks the file for reading.
    ///
    /// The holder of the lock copies to user space and may wait in a page fault for as long as user
    /// space likes. Waiting for the lock is therefore interruptible.
    #[inline]
    fn lock(&self, nowait: bool) -> Result<MutexGuard<'_, Reader>> {
        if nowait {
            if let Some(reader) = self.reader.try_lock() {
                return Ok(reader);
            }
            // Fully ordered: the holder sees this, or we see the lock free.
            self.contended.xchg(true, Full);
            return self.reader.try_lock().ok_or(EAGAIN);
        }

        self.reader.lock_interruptible().map_err(|_| {
            if self.dev.is_gone() {
                ENODEV
            } else {
                ERESTARTSYS
            }
        })
    }

    /// Calls `f` with the file locked for reading.
    ///
    /// Notifies `wait` afterwards if a caller got [`EAGAIN`] because the lock was held.
    ///
    /// Fails with [`EAGAIN`] instead of sleeping if `nowait`, with [`ENODEV`] if the device is
    /// unplugged, or with [`ERESTARTSYS`].
    pub(crate) fn with_reader<R>(
        &self,
        nowait: bool,
        wait: &CondVar,
        f: impl FnOnce(&mut Reader) -> Result<R>,
    ) -> Result<R> {
        let mut reader = self.lock(nowait)?;
        let ret = if self.dev.is_gone() {
            Err(ENODEV)
        } else {
            f(&mut reader)
        };

        drop(reader);
        if self.contended.xchg(false, Full) {
            wait.notify_all();
        }
        ret
    }

    /// Calls `f` with the file locked for reading, once there is a message to read.
    ///
    /// `f` returns [`None`] if there is none. Then `sleep` sleeps until there may be one, without
    /// the lock. `wait` is as in [`SimFile::with_reader`].
    ///
    /// Fails with [`EAGAIN`], [`ENODEV`], [`ERESTARTSYS`], or with the error of `f`.
    pub(crate) fn with_message<T: ForeignOwnable, R>(
        &self,
        kiocb: &Kiocb<'_, T>,
        wait: &CondVar,
        mut f: impl FnMut(&mut Reader) -> Result<Option<R>>,
        sleep: impl Fn() -> Result,
    ) -> Result<R> {
        loop {
            match self.with_reader(kiocb.nowait(), wait, &mut f)? {
                Some(ret) => return Ok(ret),
                None if kiocb.nonblock() => return Err(EAGAIN),
                None => sleep()?,
            }
        }
    }

    /// Pins the current message.
    ///
    /// If the current message is already pinned, this writes to no memory that other files read.
    #[inline]
    pub(crate) fn pin(&self, reader: &mut Reader) {
        if reader
            .message
            .as_ref()
            .is_none_or(|message| message.generation() != self.dev.generation())
        {
            reader.message = Some(self.dev.message());
        }
    }

    /// Reads from the pinned message, from position `pos` on.
    ///
    /// Returns the number of bytes read, 0 at the end of the message. Fails with [`EFAULT`], or
    /// with the errno of an injected fault.
    pub(crate) fn read(
        &self,
        reader: &Reader,
        pos: i64,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let Some(message) = &reader.message else {
            return Ok(0);
        };
        let left = (message.len() as u64).saturating_sub(pos as u64) as usize;

        if left > 0 {
            self.dev.fail(Fault::FailRead)?;
        }

        to.truncate(self.dev.short_io(left.min(to.len())));
        let ret = message.read(pos, to);
        if ret.is_ok_and(|count| count >= left) {
            self.seen.store(message.generation(), Relaxed);
        }

        trace::rmisc_sim_read(
            &self.dev.name,
            message.generation(),
            pos,
            ret.map_or_else(|error| error.to_errno() as isize, |count| count as isize),
        );
        ret
    }

    /// Publishes a message.
    ///
    /// Returns the number of bytes written.
    pub(crate) fn write_iter<T: ForeignOwnable>(
        &self,
        mut kiocb: Kiocb<'_, T>,
        from: &mut IovIterSource<'_>,
    ) -> Result<usize> {
        let mut length = from.len();

        if self.dev.is_gone() {
            return Err(ENODEV);
        }
        if length == 0 {
            return Ok(0);
        }
        if length > self.dev.capacity {
            return Err(EMSGSIZE);
        }

        self.delay(&kiocb)?;

        self.dev.fail(Fault::FailWrite)?;

        length = self.dev.short_io(length);
        from.truncate(length);

        let message = allocate(&kiocb, &self.dev.wait, |gfp| Message::from_iter(from, gfp))?;
        self.dev.publish(message, None)?;

        *kiocb.ki_pos_mut() = 0;
        Ok(length)
    }

    /// Handles `MISC_SIM_IOC_INFO`.
    ///
    /// Fails with [`EFAULT`], or with the errno of an injected fault.
    pub(crate) fn info(&self, arg: UserPtr) -> Result<isize> {
        self.dev.fail(Fault::FailIoctl)?;

        let message = self.dev.message();
        let info = Info {
            generation: message.generation(),
            seen: self.seen(),
            length: message.len() as u32,
            capacity: self.dev.capacity as u32,
            flags: 0,
            reserved: 0,
        };

        UserSlice::new(arg, size_of::<Info>())
            .writer()
            .write_slice(info.as_bytes())?;
        Ok(0)
    }

    /// Prints the lines of a file in `fdinfo`.
    pub(crate) fn show_fdinfo(&self, m: &SeqFile) {
        seq_print!(m, "generation:\t{}\n", self.dev.generation());
        seq_print!(m, "seen:\t{}\n", self.seen());
    }
}

/// An open file of a message device.
#[pin_data]
pub(crate) struct MessageFile {
    #[pin]
    file: SimFile,
}

impl MessageFile {
    fn replace(&self, file: &File, arg: UserPtr) -> Result<isize> {
        let dev = &self.file.dev;

        dev.fail(Fault::FailIoctl)?;

        if !matches!(
            file.flags() & flags::O_ACCMODE,
            flags::O_WRONLY | flags::O_RDWR
        ) {
            return Err(EBADF);
        }

        let mut replace = Replace::new_zeroed();
        UserSlice::new(arg, size_of::<Replace>())
            .reader()
            .read_slice(replace.as_mut_bytes())?;
        let length = replace.length as usize;

        if replace.reserved != 0 {
            return Err(EINVAL);
        }
        if length > dev.capacity {
            return Err(EMSGSIZE);
        }

        // Do not copy a message that cannot be published any more.
        if replace.generation != dev.generation() {
            return Err(ESTALE);
        }

        let data = if length == 0 { 0 } else { replace.data };
        let data = UserPtr::from_addr(usize::try_from(data).map_err(|_| EFAULT)?);
        let message = IovIterSource::with_user(data, length, |from| {
            Message::from_iter(from, GFP_KERNEL_ACCOUNT)
        })??;

        dev.publish(message, Some(replace.generation))?;
        Ok(0)
    }
}

#[vtable]
impl MiscDevice for MessageFile {
    type Ptr = Pin<KBox<Self>>;
    type Data = Arc<Device>;

    const NOWAIT: bool = true;
    const SEEKABLE: bool = true;
    const SPLICE: bool = true;

    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        let file = SimFile::open(misc.data())?;

        KBox::pin_init(pin_init!(Self { file <- file }), GFP_KERNEL_ACCOUNT)
    }

    fn read_iter(mut kiocb: Kiocb<'_, Self::Ptr>, to: &mut IovIterDest<'_>) -> Result<usize> {
        let file = &kiocb.file().get_ref().file;
        let pos = kiocb.ki_pos();

        if file.dev.is_gone() {
            return Err(ENODEV);
        }
        if to.is_empty() {
            return Ok(0);
        }

        file.delay(&kiocb)?;

        let count = file.with_reader(kiocb.nowait(), &file.dev.wait, |reader| {
            if pos == 0 || reader.message.is_none() {
                file.pin(reader);
            }
            file.read(reader, pos, to)
        })?;

        *kiocb.ki_pos_mut() += count as i64;
        Ok(count)
    }

    fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, from: &mut IovIterSource<'_>) -> Result<usize> {
        kiocb.file().get_ref().file.write_iter(kiocb, from)
    }

    /// Reads never wait. A new message is an exceptional condition, as in sysfs.
    fn poll<'a>(this: Pin<&'a Self>, table: &PollTable<'a>) -> PollEvents {
        let file = &this.get_ref().file;
        let mut events = PollEvent::In | PollEvent::RdNorm | PollEvent::Out | PollEvent::WrNorm;

        table.register_wait(&file.dev.wait);

        if file.dev.is_gone() {
            return PollEvent::Err | PollEvent::Hup | PollEvent::Pri;
        }
        if file.is_unseen() {
            events |= PollEvent::Pri;
        }
        events
    }

    fn ioctl(this: Pin<&Self>, file: &File, cmd: u32, arg: usize) -> Result<isize> {
        let arg = UserPtr::from_addr(arg);

        if this.file.dev.is_gone() {
            return Err(ENODEV);
        }

        match cmd {
            IOC_INFO => this.file.info(arg),
            IOC_REPLACE => this.replace(file, arg),
            _ => Err(ENOTTY),
        }
    }

    /// Maps a copy of the current message.
    ///
    /// All pages are copied now, because no abstraction tells a driver about the first access.
    fn mmap(this: Pin<&Self>, _file: &File, vma: &VmaNew) -> Result {
        let dev = &this.file.dev;
        let addresses = (vma.start()..vma.end()).step_by(PAGE_SIZE);
        let pages = vma.pgoff()..vma.pgoff() + addresses.len();

        if dev.is_gone() {
            return Err(ENODEV);
        }
        if vma.writable() || vma.executable() {
            return Err(EPERM);
        }
        if pages.end > dev.capacity.div_ceil(PAGE_SIZE) {
            return Err(EINVAL);
        }

        // VM_DONTEXPAND prevents merging: two mappings may hold different messages.
        vma.try_clear_maywrite()?;
        vma.try_clear_mayexec()?;
        vma.set_dontexpand();

        let message = dev.message();
        let vma = vma.set_mixedmap();
        for (address, page) in addresses.zip(pages) {
            vma.vm_insert_page(address, &message.page(page)?)?;
        }
        Ok(())
    }

    fn show_fdinfo(this: Pin<&Self>, m: &SeqFile, _file: &File) {
        this.file.show_fdinfo(m);
    }
}
