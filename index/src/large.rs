//! Arrays of one length, in large pages of memory where the system has them.
//!
//! Points in random order touch an index all over. With pages of 4 KiB a processor then looks up where a page lies nearly
//! as often as it reads from one; with pages of 2 MiB it remembers.

use std::marker::PhantomData;

use bytemuck::Pod;
use memmap2::MmapMut;

/// An array in memory of its own, which begins as zeros.
pub(crate) struct Large<T> {
    map: MmapMut,
    of: PhantomData<T>,
    len: usize,
}

impl<T: Pod> Large<T> {
    /// So many zeros; `None` when there is no such memory. No page is taken before it is written to.
    pub(crate) fn zeros(len: usize) -> Option<Self> {
        let bytes = len.checked_mul(size_of::<T>())?;
        let map = MmapMut::map_anon(bytes.max(1)).ok()?;
        // A system without large pages refuses, and its small ones do.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        Some(Self { map, of: PhantomData, len })
    }

    pub(crate) fn slice(&self) -> &[T] {
        bytemuck::cast_slice(&self.map[..self.len * size_of::<T>()])
    }

    pub(crate) fn slice_mut(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(&mut self.map[..self.len * size_of::<T>()])
    }
}

impl<T: Pod + PartialEq> PartialEq for Large<T> {
    fn eq(&self, other: &Self) -> bool {
        self.slice() == other.slice()
    }
}

impl<T: Pod> std::fmt::Debug for Large<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} bytes each", self.len, size_of::<T>())
    }
}
