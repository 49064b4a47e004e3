//! The JIT's own heap: every allocation of its Rust side goes through here. They are counted, so that `stats()` can tell what compiling took
//! and what stays; native code never allocates here, so what the count costs is paid while compiling.
//!
//! Compiling takes blocks of a megabyte for a few milliseconds. Large blocks are mapped, whatever the system's allocator would do: glibc's
//! takes the first large block that is freed for a sign of many more, and from then on keeps such blocks, also the program's own, in its heap
//! and doesn't give them back. Mapped, only those pages of a block take memory that were written to, and they are gone when it's freed.

#![allow(unsafe_code, reason = "is an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes allocated now.
static LIVE: AtomicUsize = AtomicUsize::new(0);
/// The most that were allocated at once since the last [`reset_peak`].
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// From how many bytes on a block is mapped: glibc's own threshold before it has seen any.
const LARGE: usize = 128 << 10;
/// No page is smaller, so a mapped block has at least this alignment.
const LEAST_PAGE: usize = 4096;

/// The system's allocator, with a count, and large blocks of their own.
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

/// Whether a block of this layout is mapped. It depends on the layout alone, which says the same when the block is freed.
fn is_mapped(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= LEAST_PAGE
}

/// Maps a block, all zeros; null if there is no memory.
fn map(bytes: usize) -> *mut u8 {
    let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the system's choice touches no memory that is in use.
    let block = unsafe { libc::mmap(ptr::null_mut(), bytes, rights, flags, -1, 0) };
    if block == libc::MAP_FAILED { ptr::null_mut() } else { block.cast() }
}

// SAFETY: every request is the system's to answer, each block's always by the same of its two ways; the counts touch no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those that the system allocator asks for.
        let pointer = if is_mapped(layout) { map(layout.size()) } else { unsafe { System.alloc(layout) } };
        if !pointer.is_null() {
            more(layout.size());
        }
        pointer
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let pointer = if is_mapped(layout) { map(layout.size()) } else { unsafe { System.alloc_zeroed(layout) } };
        if !pointer.is_null() {
            more(layout.size());
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: by the caller's promise the block was allocated with this layout: mapped, or by the system allocator, and nobody uses it.
        unsafe {
            if is_mapped(layout) {
                libc::munmap(pointer.cast(), layout.size());
            } else {
                System.dealloc(pointer, layout);
            }
        }
        less(layout.size());
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size is none that overflows with this alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (is_mapped(layout), is_mapped(new)) {
            (false, false) => {
                // SAFETY: as in `dealloc`.
                let moved = unsafe { System.realloc(pointer, layout, size) };
                if !moved.is_null() {
                    // Both blocks may exist while one is copied into the other.
                    more(size);
                    less(layout.size());
                }
                moved
            }
            (true, true) => {
                // SAFETY: as in `dealloc`; the pages move, none of them is copied.
                let moved = unsafe { libc::mremap(pointer.cast(), layout.size(), size, libc::MREMAP_MAYMOVE) };
                if moved == libc::MAP_FAILED {
                    return ptr::null_mut();
                }
                less(layout.size());
                more(size);
                moved.cast()
            }
            _ => {
                // SAFETY: as above; the blocks are different ones, and what is copied is in both.
                unsafe {
                    let moved = self.alloc(new);
                    if !moved.is_null() {
                        moved.copy_from_nonoverlapping(pointer, layout.size().min(size));
                        self.dealloc(pointer, layout);
                    }
                    moved
                }
            }
        }
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
    use std::sync::{Mutex, PoisonError};

    /// Held by tests that look at what the whole process takes.
    static ALONE: Mutex<()> = Mutex::new(());

    #[test]
    fn what_is_allocated_is_counted_until_it_is_freed() {
        const SIZE: usize = 64 << 20; // Far more than the other tests of this process.
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        reset_peak();
        let before = live();
        let block = std::hint::black_box(vec![1_u8; SIZE]);
        assert!(live() >= before + SIZE / 2);
        drop(block);
        assert!(live() < before + SIZE / 2);
        assert!(peak() >= SIZE, "and the peak is kept");
    }

    #[test]
    fn contents_survive_every_change_of_size() {
        let sizes = [100, LARGE - 1, LARGE, 3 * LARGE + 5, LARGE + 1, 200, 2 * LARGE, 17 * LARGE, 50];
        let mut block: Vec<u8> = Vec::new();
        let mut kept = 0;
        for size in sizes {
            block.truncate(size);
            block.shrink_to(size);
            block.reserve_exact(size - block.len());
            kept = block.len().min(kept);
            assert!(block[..kept].iter().enumerate().all(|(at, byte)| *byte == at as u8), "up to {size} bytes");
            block.extend((block.len()..size).map(|at| at as u8));
            kept = size;
        }
        assert!(vec![0_u8; 5 * LARGE].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn large_blocks_are_mapped_and_take_what_is_written() {
        const SIZE: usize = 64 << 20; // As above.
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let resident = || {
            let text = std::fs::read_to_string("/proc/self/statm").unwrap();
            // SAFETY: no preconditions.
            let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
            text.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * page
        };
        let before = resident();
        let mut block: Vec<u8> = Vec::with_capacity(SIZE);
        block.push(1);
        let between = resident();
        block.resize(SIZE / 2, 1);
        let full = resident();
        drop(std::hint::black_box(block));
        let after = resident();
        let slack = SIZE / 8;
        assert!(between < before + slack && full > before + SIZE / 2 - slack && after < before + slack);
    }
}
