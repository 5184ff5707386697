// SPDX-License-Identifier: GPL-2.0-only

//! Messages of the simulated misc device: reference-counted and immutable.

use kernel::{
    alloc::Flags,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::UniqueArc, //
};

/// An immutable message.
///
/// A message never changes, so it needs no lock. It begins in a [`UniqueArc`]. The device sets the
/// generation when it publishes the message, which turns the [`UniqueArc`] into an [`Arc`].
///
/// [`Arc`]: kernel::sync::Arc
pub(crate) struct Message {
    /// 1 for the first message of a device, incremented with each publication.
    generation: u64,

    /// The bytes.
    data: KVVec<u8>,
}

impl Message {
    fn new(data: KVVec<u8>, flags: Flags) -> Result<UniqueArc<Self>> {
        let message = Self {
            generation: 0,
            data,
        };
        Ok(UniqueArc::new(message, flags)?)
    }

    /// Creates a message from kernel memory.
    ///
    /// Fails with [`ENOMEM`].
    pub(crate) fn create(data: &[u8], flags: Flags) -> Result<UniqueArc<Self>> {
        let mut copy = KVVec::new();

        copy.extend_from_slice(data, flags)?;
        Self::new(copy, flags)
    }

    /// Creates a message from all bytes of an IO vector; the caller limits their number.
    ///
    /// Fails with [`ENOMEM`], or with [`EFAULT`] if some bytes cannot be read.
    pub(crate) fn from_iter(from: &mut IovIterSource<'_>, flags: Flags) -> Result<UniqueArc<Self>> {
        let mut data = KVVec::new();

        from.copy_from_iter_vec(&mut data, flags)?;
        if !from.is_empty() {
            return Err(EFAULT);
        }
        Self::new(data, flags)
    }

    /// Copies part of the message, from position `pos` on, to an IO vector.
    ///
    /// Returns the number of bytes copied, 0 at or beyond the end of the message. Fails with
    /// [`EFAULT`] if no byte could be copied.
    pub(crate) fn read(&self, mut pos: i64, to: &mut IovIterDest<'_>) -> Result<usize> {
        to.simple_read_from_buffer(&mut pos, &self.data)
    }

    /// Copies one page of the message.
    ///
    /// Returns a new page, charged to the caller's memory cgroup. Bytes after the end of the
    /// message are zero. Fails with [`ENOMEM`].
    pub(crate) fn page(&self, index: usize) -> Result<Page> {
        let data = self.data.chunks(PAGE_SIZE).nth(index).unwrap_or_default();

        Page::from_slice(data, GFP_KERNEL_ACCOUNT)
    }

    /// Returns the bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// Returns the generation, 0 before the message is published.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    /// Sets the generation. Only the device calls this, when it publishes the message.
    pub(crate) fn set_generation(&mut self, generation: u64) {
        self.generation = generation;
    }
}

#[cfg(CONFIG_MISC_SIM_RUST_KUNIT_TEST)]
#[kunit_tests(rmisc_sim_message)]
mod tests {
    use super::*;
    use kernel::{
        kunit,
        sync::Arc,
        uaccess::UserPtr, //
    };

    const TEXT: &[u8] = b"0123456789";

    /// Returns an address at which no user memory is mapped.
    fn nowhere() -> Result<UserPtr> {
        kunit::attach_mm()?;
        Ok(UserPtr::from_addr(0))
    }

    #[test]
    fn create_copies() -> Result {
        let mut data = *b"before";
        let message = Message::create(&data, GFP_KERNEL)?;
        data.fill(b'x');

        assert_eq!(message.generation(), 0);
        assert_eq!(&message.data[..], b"before");
        Ok(())
    }

    #[test]
    fn create_empty() -> Result {
        assert!(Message::create(&[], GFP_KERNEL)?.data.is_empty());
        Ok(())
    }

    #[test]
    fn from_iter_gathers() -> Result {
        let slices: [&[u8]; 3] = [b"01234", b"", b"56789"];
        let message = IovIterSource::with_slices(slices, |from| {
            let message = Message::from_iter(from, GFP_KERNEL);

            assert!(from.is_empty());
            message
        })?;

        assert_eq!(&message.data[..], TEXT);
        Ok(())
    }

    #[test]
    fn from_iter_faults() -> Result {
        IovIterSource::with_user(nowhere()?, TEXT.len(), |from| {
            assert_eq!(Message::from_iter(from, GFP_KERNEL).err(), Some(EFAULT));
        })
    }

    #[test]
    fn read() -> Result {
        let message = Message::create(TEXT, GFP_KERNEL)?;
        let end = TEXT.len() as i64;

        for (pos, room, count) in [
            (0, TEXT.len(), TEXT.len()),
            (0, 64, TEXT.len()),
            (0, 1, 1),
            (3, 4, 4),
            (end - 1, 64, 1),
            (end, 1, 0),
            (end + 1, 64, 0),
            (i64::MAX, 64, 0),
        ] {
            let mut buf = [b'x'; 64];

            IovIterDest::with_slice(&mut buf[..room], |to| {
                assert_eq!(message.read(pos, to), Ok(count));
                assert_eq!(to.len(), room - count);
            });
            if count > 0 {
                assert_eq!(&buf[..count], &TEXT[pos as usize..][..count]);
            }
            assert!(buf[count..].iter().all(|c| *c == b'x'));
        }
        Ok(())
    }

    #[test]
    fn read_faults() -> Result {
        let message = Message::create(TEXT, GFP_KERNEL)?;

        IovIterDest::with_user(nowhere()?, TEXT.len(), |to| {
            assert_eq!(message.read(0, to), Err(EFAULT));
        })
    }

    #[test]
    fn page() -> Result {
        for length in [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 2 * PAGE_SIZE] {
            let data = KVVec::from_elem(b'd', length, GFP_KERNEL)?;
            let message = Message::create(&data, GFP_KERNEL)?;

            for index in 0..4 {
                let page = message.page(index)?;
                let left = length.saturating_sub(index * PAGE_SIZE).min(PAGE_SIZE);
                let mut copy = KVVec::from_elem(b'x', PAGE_SIZE, GFP_KERNEL)?;

                // SAFETY: `copy` is valid for writes, and nobody else uses the page.
                unsafe { page.read_raw(copy.as_mut_ptr(), 0, PAGE_SIZE) }?;
                assert!(copy[..left].iter().all(|c| *c == b'd'));
                assert!(copy[left..].iter().all(|c| *c == 0));
            }
        }
        Ok(())
    }

    #[test]
    fn published_is_shared() -> Result {
        let mut message = Message::create(TEXT, GFP_KERNEL)?;
        message.set_generation(7);

        let message = Arc::from(message);
        let other = message.clone();
        assert!(Arc::ptr_eq(&message, &other));
        drop(message);
        assert_eq!(other.generation(), 7);
        assert_eq!(&other.data[..], TEXT);
        Ok(())
    }
}
