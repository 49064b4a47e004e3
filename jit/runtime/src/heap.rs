//! The JIT's own heap, counted: every allocation of its Rust side goes through here, so that `stats()` can tell what compiling took and
//! what stays. Native code never allocates here, so what the count costs is paid while compiling.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes allocated now.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// The most that were allocated at once since the last [`reset_peak`].
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, with a count.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn more(bytes: usize) {
    let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
    if live > PEAK.load(Ordering::Relaxed) {
        PEAK.fetch_max(live, Ordering::Relaxed);
    }
}

fn less(bytes: usize) {
    LIVE.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: every request is the system allocator's to answer; the counts touch no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that the system allocator asks for.
        let pointer = unsafe { System.alloc(layout) };
        if !pointer.is_null() {
            more(layout.size());
        }
        pointer
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let pointer = unsafe { System.alloc_zeroed(layout) };
        if !pointer.is_null() {
            more(layout.size());
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; all memory comes from the system allocator.
        unsafe { System.dealloc(pointer, layout) };
        less(layout.size());
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        if !moved.is_null() {
            // Both blocks may exist while one is copied into the other.
            more(size);
            less(layout.size());
        }
        moved
    }
}

/// Bytes allocated now: metadata, side tables, and everything else that the JIT keeps.
pub(crate) fn live() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// Begins to look for a new peak, from what is allocated now, which is returned.
pub(crate) fn reset_peak() -> usize {
    let live = live();
    PEAK.store(live, Ordering::Relaxed);
    live
}

/// The most that were allocated at once since the last [`reset_peak`].
pub(crate) fn peak() -> usize {
    PEAK.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_counted_until_it_is_freed() {
        const SIZE: usize = 64 << 20; // Far more than the other tests of this process.
        reset_peak();
        let before = live();
        let block = std::hint::black_box(vec![1_u8; SIZE]);
        assert!(live() >= before + SIZE / 2);
        drop(block);
        assert!(live() < before + SIZE / 2);
        assert!(peak() >= SIZE, "and the peak is kept");
    }
}
