// SPDX-License-Identifier: GPL-2.0-only

//! Messages of the simulated misc device: counted and immutable.

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
    sync::UniqueArc,
    uaccess::UserSlice, //
};

/// What a device holds and a reader gets.
///
/// A new message is in a [`UniqueArc`], and the device alone sets its generation as it publishes
/// the message. That makes it an [`Arc`], which cannot be changed, so there is no lock.
///
/// [`Arc`]: kernel::sync::Arc
pub(crate) struct Message {
    generation: u64,
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

    /// Makes a message from kernel memory.
    pub(crate) fn create(data: &[u8], flags: Flags) -> Result<UniqueArc<Self>> {
        let mut copy = KVVec::new();

        copy.extend_from_slice(data, flags)?;
        Self::new(copy, flags)
    }

    /// Makes a message from all that an IO vector holds; the caller bounds its length.
    ///
    /// Fails with [`EFAULT`] when not all of it can be read.
    pub(crate) fn create_from_iter(
        from: &mut IovIterSource<'_>,
        flags: Flags,
    ) -> Result<UniqueArc<Self>> {
        let mut data = KVVec::new();

        from.copy_from_iter_vec(&mut data, flags)?;
        if !from.is_empty() {
            return Err(EFAULT);
        }
        Self::new(data, flags)
    }

    /// Makes a message from user memory; the caller bounds its length.
    pub(crate) fn create_from_user(from: UserSlice, flags: Flags) -> Result<UniqueArc<Self>> {
        let mut data = KVVec::new();

        from.read_all(&mut data, flags)?;
        Self::new(data, flags)
    }

    /// Copies out what begins at `*pos`, and moves `*pos` to its end.
    ///
    /// Returns 0 at the end of the message and beyond. Fails with [`EFAULT`] when not one byte
    /// could be copied.
    pub(crate) fn read(&self, pos: &mut i64, to: &mut IovIterDest<'_>) -> Result<usize> {
        to.simple_read_from_buffer(pos, &self.data)
    }

    /// The number of pages that a mapping has; an empty message has one too.
    pub(crate) fn pages(&self) -> usize {
        self.len().div_ceil(PAGE_SIZE).max(1)
    }

    /// Copies the page `index`, which is less than [`Message::pages`].
    ///
    /// The copy is zero after the end of the message, and charged to the caller.
    pub(crate) fn page(&self, index: usize) -> Result<Page> {
        let data = self.data.chunks(PAGE_SIZE).nth(index).unwrap_or_default();

        Page::from_slice(data, GFP_KERNEL_ACCOUNT)
    }

    /// 1 for the first message of a device, one more for each later one.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }

    /// For the device, when it publishes the message.
    pub(crate) fn set_generation(&mut self, generation: u64) {
        self.generation = generation;
    }
}

#[cfg(CONFIG_MISC_SIM_RUST_KUNIT_TEST)]
#[kunit_tests(rmisc_sim_message)]
mod tests {
    use super::*;
    use kernel::{
        sync::Arc,
        uaccess::UserPtr, //
    };

    const TEXT: &[u8] = b"0123456789";

    #[test]
    fn create_copies() -> Result {
        let mut data = *b"before";
        let message = Message::create(&data, GFP_KERNEL)?;
        data.fill(b'x');

        assert_eq!(message.generation(), 0);
        assert_eq!(message.len(), data.len());
        assert_eq!(&message.data[..], b"before");
        Ok(())
    }

    #[test]
    fn create_empty() -> Result {
        assert_eq!(Message::create(&[], GFP_KERNEL)?.len(), 0);
        Ok(())
    }

    // No user memory is there.
    #[test]
    fn create_from_user_faults() -> Result {
        let nowhere = UserSlice::new(UserPtr::from_addr(usize::MAX - PAGE_SIZE), TEXT.len());

        assert_eq!(
            Message::create_from_user(nowhere, GFP_KERNEL).err(),
            Some(EFAULT)
        );
        Ok(())
    }

    #[test]
    fn pages() -> Result {
        for (length, pages) in [
            (0, 1),
            (1, 1),
            (PAGE_SIZE - 1, 1),
            (PAGE_SIZE, 1),
            (PAGE_SIZE + 1, 2),
            (2 * PAGE_SIZE, 2),
        ] {
            let data = KVVec::from_elem(b'd', length, GFP_KERNEL)?;
            let message = Message::create(&data, GFP_KERNEL)?;

            assert_eq!(message.pages(), pages);
            for index in 0..pages {
                assert!(message.page(index).is_ok());
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
