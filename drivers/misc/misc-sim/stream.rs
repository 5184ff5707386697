// SPDX-License-Identifier: GPL-2.0-only

//! Streams of the simulated misc device: readers wait for the next message.

use crate::{
    device::Device,
    file::{
        Reader,
        SimFile,
        IOC_INFO, //
    }, //
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
    miscdevice::{
        MiscDevice,
        MiscDeviceRegistration, //
    },
    prelude::*,
    seq_file::SeqFile,
    sync::{
        poll::{
            PollEvent,
            PollEvents,
            PollTable, //
        },
        Arc, //
    },
    uaccess::UserPtr, //
};

/// An open file of a stream.
#[pin_data]
pub(crate) struct StreamFile {
    #[pin]
    file: SimFile,
}

impl StreamFile {
    /// Pins the message to read next. Returns false if there is none.
    fn pin(&self, reader: &mut Reader) -> bool {
        if reader
            .message
            .as_ref()
            .is_some_and(|message| message.generation() != self.file.seen())
        {
            return true;
        }
        if !self.file.is_unseen() {
            return false;
        }

        self.file.pin(reader);
        reader.pos = 0;
        true
    }
}

/// No splice: it would sleep with the pipe's mutex held.
#[vtable]
impl MiscDevice for StreamFile {
    type Ptr = Pin<KBox<Self>>;
    type Data = Arc<Device>;

    const NOWAIT: bool = true;

    fn is_stream(_misc: &MiscDeviceRegistration<Self>) -> bool {
        true
    }

    fn open(_file: &File, misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        let file = SimFile::open(misc.data())?;

        KBox::pin_init(pin_init!(Self { file <- file }), GFP_KERNEL_ACCOUNT)
    }

    fn read_iter(kiocb: Kiocb<'_, Self::Ptr>, to: &mut IovIterDest<'_>) -> Result<usize> {
        let this = kiocb.file();
        let file = &this.file;

        if file.dev.is_gone() {
            return Err(ENODEV);
        }
        if to.is_empty() {
            return Ok(0);
        }

        file.delay(&kiocb)?;

        file.with_message(
            &kiocb,
            &file.dev.wait,
            |reader| {
                if !this.pin(reader) {
                    return Ok(None);
                }
                let count = file.read(reader, reader.pos, to)?;
                reader.pos += count as i64;
                Ok(Some(count))
            },
            || file.dev.wait_until(|| file.is_unseen()),
        )
    }

    fn write_iter(kiocb: Kiocb<'_, Self::Ptr>, from: &mut IovIterSource<'_>) -> Result<usize> {
        kiocb.file().get_ref().file.write_iter(kiocb, from)
    }

    fn poll<'a>(this: Pin<&'a Self>, table: &PollTable<'a>) -> PollEvents {
        let file = &this.get_ref().file;
        let mut events = PollEvent::Out | PollEvent::WrNorm;

        table.register_wait(&file.dev.wait);

        if file.dev.is_gone() {
            return PollEvent::Err | PollEvent::Hup | PollEvent::Pri;
        }
        if file.is_unseen() {
            events |= PollEvent::In | PollEvent::RdNorm;
        }
        events
    }

    fn ioctl(this: Pin<&Self>, _file: &File, cmd: u32, arg: usize) -> Result<isize> {
        if this.file.dev.is_gone() {
            return Err(ENODEV);
        }

        if cmd != IOC_INFO {
            return Err(ENOTTY);
        }
        this.file.info(UserPtr::from_addr(arg))
    }

    fn show_fdinfo(this: Pin<&Self>, m: &SeqFile, _file: &File) {
        this.file.show_fdinfo(m);
    }
}
