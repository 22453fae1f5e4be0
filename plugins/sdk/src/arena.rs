//! The guest's memory: size-class free lists over a fixed arena.
//!
//! Rust's own allocator for `wasm32-unknown-unknown` grows the linear memory at its
//! first allocation, which costs a fresh instance several microseconds in page-table
//! changes. Here the first [`ARENA_BYTES`] are part of the module's initial memory.
//! A plugin that needs more at one time grows by `memory.grow`, up to the host's
//! limit; what was freed is used again, but never given back.
//!
//! A block's size is a power of two or one and a half of one, from 16 bytes: at most a
//! third of it is wasted. Both operations take constant time and nothing is split or
//! merged, which suits hooks that allocate the same few sizes over and over.

/// Bytes that an instance has without growing its memory.
#[cfg(target_family = "wasm")]
const ARENA_BYTES: usize = 192 * 1024;

/// Sizes from 16 bytes to 1.5 GiB: 16, 24, 32, 48, 64, 96, ...
const CLASSES: usize = 54;

/// Alignment of every block: all that Rust's and wit-bindgen's types ask for.
const ALIGN: usize = 8;

/// Where a class's list continues: a freed block holds the next one in its first word.
type Link = *mut u8;

pub(crate) struct Arena {
    free: [Link; CLASSES],
    /// First byte never handed out.
    next: usize,
    /// End of the region that `next` walks through.
    end: usize,
}

impl Arena {
    pub(crate) const fn new() -> Self {
        Self { free: [core::ptr::null_mut(); CLASSES], next: 0, end: 0 }
    }

    /// A block of at least `size` bytes, or null. `more` is asked for a new region of
    /// at least so many bytes, and answers with its address and length.
    ///
    /// # Safety
    /// Regions given by `more` must be writable, unused, and ours for good.
    #[allow(unsafe_code, reason = "an allocator hands out raw memory")]
    pub(crate) unsafe fn alloc(
        &mut self,
        size: usize,
        align: usize,
        more: impl FnOnce(usize) -> Option<(*mut u8, usize)>,
    ) -> *mut u8 {
        let Some((class, bytes)) = class_of(size) else { return core::ptr::null_mut() };
        let Some(slot) = self.free.get_mut(class) else { return core::ptr::null_mut() };
        let head = *slot;
        if !head.is_null() && head.addr().is_multiple_of(align) {
            // SAFETY: a block on a free list is ours, aligned, and holds the next link in its first word.
            *slot = unsafe { head.cast::<Link>().read() };
            return head;
        }
        self.carve(bytes, align.max(ALIGN), more)
    }

    fn carve(&mut self, bytes: usize, align: usize, more: impl FnOnce(usize) -> Option<(*mut u8, usize)>) -> *mut u8 {
        let mut start = self.next.next_multiple_of(align);
        if self.next == 0 || start.checked_add(bytes).is_none_or(|end| end > self.end) {
            let Some((region, len)) = more(bytes.saturating_add(align)) else { return core::ptr::null_mut() };
            let region = region.expose_provenance();
            // Memory grown next to the old region continues it.
            if region != self.end {
                self.next = region;
            }
            self.end = region + len;
            start = self.next.next_multiple_of(align);
        }
        self.next = start + bytes;
        core::ptr::with_exposed_provenance_mut(start)
    }

    /// Takes a block back.
    ///
    /// # Safety
    /// `block` came from `alloc` with this `size` and is not used any more.
    #[allow(unsafe_code, reason = "an allocator hands out raw memory")]
    pub(crate) unsafe fn free(&mut self, block: *mut u8, size: usize) {
        let Some((class, _)) = class_of(size) else { return };
        if let Some(slot) = self.free.get_mut(class) {
            // SAFETY: every block has at least 16 bytes at an address that suits a pointer.
            unsafe { block.cast::<Link>().write(*slot) };
            *slot = block;
        }
    }
}

/// Number and block size of the class that `size` bytes belong to.
pub(crate) fn class_of(size: usize) -> Option<(usize, usize)> {
    let size = size.max(16);
    // 2^power < size <= 2^(power + 1), but for 16 itself.
    let power = (size - 1).ilog2();
    let three_halves = 3usize.checked_shl(power - 1)?;
    let (half, bytes) = if size == 16 {
        return Some((0, 16));
    } else if size <= three_halves {
        (1, three_halves)
    } else {
        (2, 1usize.checked_shl(power + 1).filter(|bytes| *bytes != 0)?)
    };
    let class = (power as usize - 4) * 2 + half;
    (class < CLASSES).then_some((class, bytes))
}

/// The arena as the guest's global allocator.
#[cfg(target_family = "wasm")]
#[allow(unsafe_code, reason = "an allocator hands out raw memory")]
mod global {
    use super::{ARENA_BYTES, Arena, class_of};
    use core::alloc::{GlobalAlloc, Layout};
    use core::cell::UnsafeCell;

    #[cfg(not(target_feature = "atomics"))]
    #[global_allocator]
    static GLOBAL: Global = Global(UnsafeCell::new(State { arena: Arena::new(), fixed: true }));

    #[repr(align(16))]
    struct Fixed(UnsafeCell<[u8; ARENA_BYTES]>);

    static FIXED: Fixed = Fixed(UnsafeCell::new([0; ARENA_BYTES]));

    struct State {
        arena: Arena,
        /// The fixed region was not given out yet.
        fixed: bool,
    }

    struct Global(UnsafeCell<State>);

    // SAFETY: the allocator exists only in a module without threads.
    unsafe impl Sync for Global {}
    // SAFETY: as above; only the allocator touches it, once.
    unsafe impl Sync for Fixed {}

    // SAFETY: blocks come from regions that are given to the arena once, and never overlap.
    unsafe impl GlobalAlloc for Global {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: one thread, and nothing below calls back into the allocator.
            let State { arena, fixed } = unsafe { &mut *self.0.get() };
            // SAFETY: `region` gives out the static once, and fresh pages.
            unsafe { arena.alloc(layout.size(), layout.align(), |bytes| region(fixed, bytes)) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: one thread; the caller gives back what `alloc` gave.
            unsafe { (*self.0.get()).arena.free(block, layout.size()) };
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            // A block of the same class has room already.
            if class_of(layout.size()).is_some() && class_of(layout.size()) == class_of(size) {
                return block;
            }
            // SAFETY: the caller's layout is valid, and `size` with its alignment too.
            unsafe {
                let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                if !moved.is_null() {
                    core::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                moved
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn region(fixed: &mut bool, bytes: usize) -> Option<(*mut u8, usize)> {
        const PAGE_BYTES: usize = 64 * 1024;
        if core::mem::take(fixed) && bytes <= ARENA_BYTES {
            return Some((FIXED.0.get().cast(), ARENA_BYTES));
        }
        let pages = bytes.div_ceil(PAGE_BYTES);
        match core::arch::wasm32::memory_grow(0, pages) {
            usize::MAX => None,
            first => Some((core::ptr::with_exposed_provenance_mut(first * PAGE_BYTES), pages * PAGE_BYTES)),
        }
    }
}

#[cfg(test)]
#[allow(unsafe_code, reason = "the allocator under test hands out raw memory")]
mod tests {
    use super::*;

    #[test]
    fn classes_waste_at_most_a_third() {
        for (size, expected) in [
            (0, (0, 16)),
            (16, (0, 16)),
            (17, (1, 24)),
            (24, (1, 24)),
            (25, (2, 32)),
            (32, (2, 32)),
            (33, (3, 48)),
            (48, (3, 48)),
            (49, (4, 64)),
            (64 * 1024, (24, 64 * 1024)),
            (64 * 1024 + 1, (25, 96 * 1024)),
        ] {
            assert_eq!(class_of(size), Some(expected), "{size}");
        }
        let mut last = (0, 16);
        for size in 17..100_000 {
            let (class, bytes) = class_of(size).unwrap();
            assert!(bytes >= size && bytes * 2 <= size * 3, "{size} in {bytes}");
            assert!(class == last.0 && bytes == last.1 || class == last.0 + 1 && bytes > last.1, "{size}");
            last = (class, bytes);
        }
        assert_eq!(class_of(usize::MAX), None);
        assert_eq!(class_of(3 << 29), Some((CLASSES - 1, 3 << 29)));
        assert_eq!(class_of((3 << 29) + 1), None);
    }

    /// A region that records how often it was asked for.
    struct Source {
        memory: Vec<u128>,
        asked: usize,
    }

    impl Source {
        fn region(&mut self, bytes: usize) -> Option<(*mut u8, usize)> {
            self.asked += 1;
            let len = self.memory.len() * 16;
            (self.asked == 1 && bytes <= len).then(|| (self.memory.as_mut_ptr().cast(), len))
        }
    }

    #[test]
    fn gives_freed_blocks_again_and_fails_when_full() {
        let mut source = Source { memory: vec![0; 64], asked: 0 };
        let mut arena = Arena::new();
        let mut take = |arena: &mut Arena, size, align| {
            // SAFETY: the region is a vector that outlives the arena's use.
            unsafe { arena.alloc(size, align, |bytes| source.region(bytes)) }
        };
        let (a, b) = (take(&mut arena, 100, 8), take(&mut arena, 100, 8));
        assert!(!a.is_null() && !b.is_null());
        assert_eq!(b.addr() - a.addr(), 128);
        // SAFETY: both came from this arena with this size.
        unsafe {
            arena.free(a, 100);
            arena.free(b, 100);
        }
        assert_eq!(take(&mut arena, 120, 8), b, "same class, last in first out");
        assert_eq!(take(&mut arena, 97, 8), a);
        let wide = take(&mut arena, 64, 64);
        assert!(!wide.is_null() && wide.addr().is_multiple_of(64));
        assert!(take(&mut arena, 1024, 8).is_null(), "the region is full and there is no other");
        assert!(!take(&mut arena, 16, 8).is_null(), "a smaller one still fits");
        assert!(take(&mut arena, usize::MAX, 8).is_null());
        assert_eq!(source.asked, 2);
    }
}
