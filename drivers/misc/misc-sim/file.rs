// SPDX-License-Identifier: GPL-2.0-only

//! File operations of the simulated misc device.

use crate::{
    device::Device,
    message::Message,
    sysfs,
    trace, //
};
use core::mem;
use kernel::{
    alloc::flags::__GFP_ACCOUNT,
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
        Attribute,
        MiscDevice,
        MiscDeviceRegistration, //
    },
    mm::virt::VmaNew,
    new_mutex,
    new_spinlock,
    page::PAGE_SIZE,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::{
            ordering::Relaxed,
            Atomic, //
        },
        lock::mutex::MutexGuard,
        poll::{
            events,
            PollTable, //
        },
        Arc,
        Mutex,
        SpinLock, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    },
    uapi, //
};

const IOC_INFO: u32 = _IOR::<uapi::misc_sim_info>(uapi::MISC_SIM_IOC_MAGIC, 0);
const IOC_REPLACE: u32 = _IOW::<uapi::misc_sim_replace>(uapi::MISC_SIM_IOC_MAGIC, 1);

/// One open of a device.
#[pin_data]
pub(crate) struct SimFile {
    /// The device.
    dev: Arc<Device>,

    /// Serialises the reads through this file, while they copy to user space too.
    #[pin]
    reader: Mutex<Reader>,

    /// The pinned message once more, for `mmap`, which cannot wait for `reader`, as that is locked
    /// across page faults. Written with `reader` locked.
    #[pin]
    pinned: SpinLock<Option<Arc<Message>>>,

    /// The generation last read to its end, 0 for none. Written with `reader` locked.
    seen: Atomic<u64>,
}

struct Reader {
    /// The pinned message, none before the first read.
    message: Option<Arc<Message>>,

    /// Where the next read begins in `message` if the device is a stream.
    pos: i64,
}

impl SimFile {
    /// Whether there is something that this file has not read to its end.
    fn is_unseen(&self) -> bool {
        self.dev.generation() != self.seen.load(Relaxed)
    }

    /// Brings the pinned message up to date.
    ///
    /// When there is nothing new, this writes to nothing that other files read.
    fn update(&self, reader: &mut Reader) {
        if reader
            .message
            .as_ref()
            .is_none_or(|message| message.generation() != self.dev.generation())
        {
            let message = Some(self.dev.message());
            let old = mem::replace(&mut *self.pinned.lock(), message.clone());

            reader.message = message;
            drop(old);
        }
    }

    /// Pins what the read at `*pos` is to return.
    ///
    /// Fails with [`ENODEV`], or [`EAGAIN`] when a stream has to wait for the next message.
    fn pin(&self, reader: &mut Reader, pos: &mut i64) -> Result {
        if self.dev.is_gone() {
            return Err(ENODEV);
        }

        if !self.dev.is_blocking() {
            if *pos == 0 || reader.message.is_none() {
                self.update(reader);
            }
            return Ok(());
        }

        if reader
            .message
            .as_ref()
            .is_none_or(|message| message.generation() == self.seen.load(Relaxed))
        {
            if !self.is_unseen() {
                return Err(EAGAIN);
            }
            self.update(reader);
            reader.pos = 0;
        }
        *pos = reader.pos;
        Ok(())
    }

    fn read(&self, reader: &mut Reader, mut pos: i64, to: &mut IovIterDest<'_>) -> Result<usize> {
        let message = reader.message.as_ref().ok_or(ENODEV)?;
        let left = (message.len() as i64 - pos).max(0) as usize;
        let faults = self.dev.faults();

        faults.fail_read()?;

        to.truncate(faults.short_io(left.min(to.len())));
        let begin = pos;
        let ret = message.read(&mut pos, to);

        trace::read(&self.dev, message, begin, &ret);
        let ret = ret?;
        reader.pos = pos;
        if pos >= message.len() as i64 {
            self.seen.store(message.generation(), Relaxed);
        }
        Ok(ret)
    }

    /// Locks the file, with a message pinned for the read at `*pos`.
    ///
    /// A fault in the copy may take as long as user space likes, so whoever waits for the lock
    /// meanwhile must remain killable.
    fn lock_pinned(
        &self,
        kiocb: &Kiocb<'_, <Self as MiscDevice>::Ptr>,
        pos: &mut i64,
    ) -> Result<MutexGuard<'_, Reader>> {
        let nowait = kiocb.nowait();

        loop {
            let mut reader = if nowait {
                self.reader.try_lock().ok_or(EAGAIN)?
            } else {
                self.reader.lock_interruptible().map_err(|_| ERESTARTSYS)?
            };

            match self.pin(&mut reader, pos) {
                Err(EAGAIN) if !nowait && kiocb.ki_filp().flags() & flags::O_NONBLOCK == 0 => {
                    drop(reader);
                    self.dev.wait_until(|| self.is_unseen())?;
                }
                Err(e) => return Err(e),
                Ok(()) => return Ok(reader),
            }
        }
    }

    fn ioctl_info(&self, arg: UserPtr) -> Result<isize> {
        let mut writer = UserSlice::new(arg, size_of::<uapi::misc_sim_info>()).writer();
        let (generation, length) = self.dev.current();

        writer.write(&generation)?;
        writer.write(&self.seen.load(Relaxed))?;
        writer.write(&(length as u32))?;
        writer.write(&(self.dev.capacity() as u32))?;
        writer.write(&0u32)?; // flags
        writer.write(&0u32)?; // reserved
        Ok(0)
    }

    fn ioctl_replace(&self, file: &File, arg: UserPtr) -> Result<isize> {
        let mut reader = UserSlice::new(arg, size_of::<uapi::misc_sim_replace>()).reader();

        if !matches!(
            file.flags() & flags::O_ACCMODE,
            flags::O_WRONLY | flags::O_RDWR
        ) {
            return Err(EBADF);
        }

        let generation = reader.read::<u64>()?;
        let data = reader.read::<u64>()?;
        let length = reader.read::<u32>()? as usize;
        let reserved = reader.read::<u32>()?;
        if reserved != 0 {
            return Err(EINVAL);
        }
        if length > self.dev.capacity() {
            return Err(EMSGSIZE);
        }

        // Spare a caller who is late already the copy.
        if generation != self.dev.generation() {
            return Err(ESTALE);
        }

        let data = UserPtr::from_addr(usize::try_from(data).map_err(|_| EFAULT)?);
        let message = Message::create_from_user(UserSlice::new(data, length), GFP_KERNEL_ACCOUNT)?;

        self.dev.publish(message, Some(generation))?;
        Ok(0)
    }
}

#[vtable]
impl MiscDevice for SimFile {
    type Ptr = Pin<KBox<Self>>;
    type Data = Arc<Device>;

    const NOWAIT: bool = true;
    const SENDFILE: bool = true;
    const ATTRIBUTES: &'static [Option<&'static Attribute<Self>>] = sysfs::ATTRIBUTES;

    fn is_stream(misc: &MiscDeviceRegistration<Self>) -> bool {
        misc.data().is_blocking()
    }

    /// Runs under the mutex of the misc core, as deregistering does, so the device is still
    /// registered, and nothing here may sleep for long.
    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        misc.data().faults().fail_open()?;

        KBox::pin_init(
            try_pin_init!(Self {
                dev: misc.data().clone(),
                reader <- new_mutex!(Reader {
                    message: None,
                    pos: 0,
                }),
                pinned <- new_spinlock!(None),
                seen: Atomic::new(0),
            }? Error),
            GFP_KERNEL_ACCOUNT,
        )
    }

    fn read_iter(mut kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterDest<'_>) -> Result<usize> {
        let this = kiocb.file();
        let mut pos = kiocb.ki_pos();

        if this.dev.is_gone() {
            return Err(ENODEV);
        }
        if iov.is_empty() {
            return Ok(0);
        }

        this.dev.delay(kiocb.nowait())?;

        let mut reader = this.lock_pinned(&kiocb, &mut pos)?;
        let ret = this.read(&mut reader, pos, iov)?;
        drop(reader);

        if !this.dev.is_blocking() {
            *kiocb.ki_pos_mut() += ret as i64;
        }
        Ok(ret)
    }

    fn write_iter(mut kiocb: Kiocb<'_, Self::Ptr>, iov: &mut IovIterSource<'_>) -> Result<usize> {
        let this = kiocb.file();
        let nowait = kiocb.nowait();
        let mut length = iov.len();

        if this.dev.is_gone() {
            return Err(ENODEV);
        }
        if length == 0 {
            return Ok(0);
        }
        if length > this.dev.capacity() {
            return Err(EMSGSIZE);
        }

        this.dev.delay(nowait)?;
        this.dev.faults().fail_write()?;

        length = this.dev.faults().short_io(length);
        iov.truncate(length);

        let gfp = if nowait {
            GFP_NOWAIT | __GFP_ACCOUNT
        } else {
            GFP_KERNEL_ACCOUNT
        };
        let message = match Message::create_from_iter(iov, gfp) {
            Err(ENOMEM) if nowait => return Err(EAGAIN),
            message => message?,
        };
        this.dev.publish(message, None)?;

        *kiocb.ki_pos_mut() = 0;
        Ok(length)
    }

    fn poll(this: Pin<&Self>, file: &File, table: PollTable<'_>) -> u32 {
        let mut mask = events::EPOLLOUT | events::EPOLLWRNORM;

        table.register_wait(file, this.dev.wait_queue());

        if this.is_unseen() {
            mask |= events::EPOLLIN | events::EPOLLRDNORM;
        }
        if this.dev.is_gone() {
            mask |= events::EPOLLERR | events::EPOLLHUP;
        }
        mask
    }

    /// Maps a copy of the pinned message, made at once, as a driver in Rust is not told when a page
    /// is first touched.
    fn mmap(this: Pin<&Self>, _file: &File, vma: &VmaNew) -> Result {
        if vma.writable() {
            return Err(EPERM);
        }
        if this.dev.is_gone() {
            return Err(ENODEV);
        }

        let pinned = this.pinned.lock().clone();
        let message = pinned.unwrap_or_else(|| this.dev.message());
        let addresses = (vma.start()..vma.end()).step_by(PAGE_SIZE);
        let pages = vma.pgoff()..vma.pgoff() + addresses.len();

        if pages.end > message.pages() {
            return Err(EINVAL);
        }

        vma.try_clear_maywrite()?;
        vma.set_dontexpand();
        let vma = vma.set_mixedmap();
        for (address, page) in addresses.zip(pages) {
            vma.vm_insert_page(address, &message.page(page)?)?;
        }
        Ok(())
    }

    fn ioctl(this: Pin<&Self>, file: &File, cmd: u32, arg: usize) -> Result<isize> {
        if this.dev.is_gone() {
            return Err(ENODEV);
        }

        let arg = UserPtr::from_addr(arg);
        match cmd {
            IOC_INFO => this.ioctl_info(arg),
            IOC_REPLACE => this.ioctl_replace(file, arg),
            _ => Err(ENOTTY),
        }
    }

    fn show_fdinfo(this: Pin<&Self>, m: &SeqFile, _file: &File) {
        seq_print!(m, "generation:\t{}\n", this.dev.generation());
        seq_print!(m, "seen:\t{}\n", this.seen.load(Relaxed));
    }
}
