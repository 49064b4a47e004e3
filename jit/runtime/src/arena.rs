//! The code arena: one reservation of address space from which every compiled function gets pages of its own.
//!
//! cranelift-jit uses the address that [`JITMemoryProvider::allocate`] hands out both to write the code and as its final address, so
//! functions that share a page could only be written by taking the page away from those that run. Therefore each compiled function
//! (the direct entry, the vectorcall entry and the fallback entry, which one module holds) has whole pages to itself. That wastes half a
//! page per function; in return protection is changed only on pages that nothing else uses, and a freed function gives its pages back.
//! Code does not start at the beginning of its first page, but at offsets that go round in [`COLOURS`] steps of a cache line:
//! else the first lines of all functions would compete for the same few sets of the instruction cache.
//!
//! Architecture invariant: no page is ever writable and executable at once. A page is inaccessible (free), then writable (being
//! filled), then executable or read-only (final), then inaccessible again. There is no second mapping of it.

#![allow(unsafe_code, reason = "maps memory and changes its protection")]

mod pages;
mod provider;

pub(crate) use provider::provider;

use pages::{Pages, Run};
use pepjit_cranelift::ArenaFull;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use thiserror::Error;

/// The size of the reservation where `PEPJIT_ARENA` doesn't give one.
const DEFAULT_MIB: usize = 64;
/// The largest size that `PEPJIT_ARENA` may ask for: beyond, 32-bit displacements inside the arena don't reach.
const MAX_MIB: usize = 1024;
/// The alignment of a piece of code: a cache line.
const LINE: usize = 64;
/// Over how many cache lines the starts of functions are spread.
const COLOURS: usize = 16;

/// `PEPJIT_ARENA` is not a size.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "PEPJIT_ARENA is `{text}`, not a number of MiB from 1 to {MAX_MIB}; correct it or unset it (the default is {DEFAULT_MIB})"
)]
pub(crate) struct BadArenaSize {
    text: String,
}

/// What a page is for once it's finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Code,
    Constants,
    Variables,
}

/// A reservation of address space, and which of its pages are used for what.
pub(crate) struct Arena {
    /// The address of the first page that may be used; the guard page is below.
    base: usize,
    /// How many bytes may be used: what [`ArenaFull`] reports.
    size: usize,
    page: usize,
    state: Mutex<State>,
    /// Why there is no memory, if there is none.
    failure: Option<io::Error>,
}

struct State {
    pages: Pages,
    used: usize,
    freed: usize,
    colour: usize,
}

impl Arena {
    /// The process's arena, made at the first call with the size that `PEPJIT_ARENA` asks for (the default if that is no size). If the
    /// system gives no address space, the arena exists, but every allocation fails with the system's error.
    pub(crate) fn global() -> &'static Arena {
        static GLOBAL: OnceLock<Arena> = OnceLock::new();
        GLOBAL.get_or_init(|| Arena::new(Self::size_from_env().unwrap_or(DEFAULT_MIB << 20)))
    }

    /// The size in bytes that the environment asks for.
    pub(crate) fn size_from_env() -> Result<usize, BadArenaSize> {
        match std::env::var_os("PEPJIT_ARENA") {
            Some(text) => parse_size(&text.to_string_lossy()),
            None => Ok(DEFAULT_MIB << 20),
        }
    }

    /// An arena of at least `size` bytes between two guard pages.
    fn new(size: usize) -> Arena {
        let page = page_size();
        let size = size.next_multiple_of(page);
        let state = |count| Mutex::new(State { pages: Pages::new(count), used: 0, freed: 0, colour: 0 });
        match reserve(size + 2 * page) {
            Ok(start) => Arena { base: start + page, size, page, state: state(size / page), failure: None },
            Err(error) => Arena { base: 0, size: 0, page, state: state(0), failure: Some(error) },
        }
    }

    /// Bytes of machine code that are in use.
    pub(crate) fn code_bytes(&self) -> usize {
        self.state().used
    }

    /// Bytes of machine code that were given up and whose memory the system has back.
    pub(crate) fn code_bytes_freed(&self) -> usize {
        self.state().freed
    }

    /// Bytes of memory that the code takes: whole pages.
    pub(crate) fn code_bytes_reserved(&self) -> usize {
        (self.size / self.page - self.state().pages.free()) * self.page
    }

    /// Whether an address is in the arena.
    #[allow(dead_code, reason = "for debugging and tests")]
    pub(crate) fn contains(&self, address: u64) -> bool {
        self.range().contains(&(address as usize))
    }

    /// Whether the system knows of no page of the arena, guard pages included, that is writable and executable at once, and of none that is
    /// accessible next to the ends. False as well if the system can't be asked.
    #[allow(dead_code, reason = "for debugging and tests")]
    pub(crate) fn audit(&self) -> bool {
        if self.failure.is_some() {
            return true;
        }
        let whole = self.base - self.page..self.base + self.size + self.page;
        let guards = [whole.start..self.base, self.base + self.size..whole.end];
        let Some(maps) = std::fs::read_to_string("/proc/self/maps").ok() else { return false };
        maps.lines().filter_map(parse_mapping).all(|(range, rights)| {
            let double = rights.contains('w') && rights.contains('x');
            let open = rights.contains(['r', 'w', 'x']);
            let wrong = double && overlap(&range, &whole) || open && guards.iter().any(|guard| overlap(&range, guard));
            !wrong
        })
    }

    fn range(&self) -> Range<usize> {
        self.base..self.base + self.size
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics with the lock held; if it did, the page table would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn full(&self) -> io::Error {
        match &self.failure {
            Some(error) => io::Error::new(error.kind(), format!("no address space for compiled code: {error}")),
            None => io::Error::other(ArenaFull { bytes: self.size }),
        }
    }

    /// How many bytes to leave unused at the start of a function's first page.
    fn next_colour(&self) -> usize {
        let mut state = self.state();
        state.colour = (state.colour + 1) % COLOURS;
        state.colour * LINE
    }

    /// Takes pages for so many bytes and makes them writable.
    fn take(&self, bytes: usize) -> io::Result<Run> {
        let run = self.state().pages.take(bytes.div_ceil(self.page)).ok_or_else(|| self.full())?;
        self.open(run)
    }

    /// Takes the pages that follow a run, if they are free, and makes them writable.
    fn take_after(&self, run: Run, bytes: usize) -> Option<io::Result<Run>> {
        let run = self.state().pages.take_at(run.end(), bytes.div_ceil(self.page))?;
        Some(self.open(run))
    }

    fn open(&self, run: Run) -> io::Result<Run> {
        let result = self.protect(run, libc::PROT_READ | libc::PROT_WRITE);
        if result.is_err() {
            self.state().pages.give_back(run);
        }
        result.map(|()| run)
    }

    /// Gives pages back: nobody may use them again, and the system takes the memory.
    ///
    /// # Safety
    /// Nothing on any stack returns into the code, and nothing that could be called leads to it.
    unsafe fn give_back(&self, run: Run) {
        // SAFETY: the run is in the arena; by the caller's promise its contents are no longer wanted.
        let dropped = unsafe { libc::madvise(self.address(run), run.count * self.page, libc::MADV_DONTNEED) } == 0;
        // Pages that can't be closed are not used again: they are lost, but stay as they are.
        if dropped && self.protect(run, libc::PROT_NONE).is_ok() {
            self.state().pages.give_back(run);
        }
    }

    fn protect(&self, run: Run, rights: libc::c_int) -> io::Result<()> {
        // SAFETY: a run is inside this arena's mapping, and belongs to the caller alone: it's being filled, or being freed.
        match unsafe { libc::mprotect(self.address(run), run.count * self.page, rights) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn address(&self, run: Run) -> *mut libc::c_void {
        std::ptr::with_exposed_provenance_mut(self.base + run.first * self.page)
    }

    fn count_used(&self, change: isize) {
        let mut state = self.state();
        state.used = state.used.saturating_add_signed(change);
        state.freed += usize::try_from(-change).unwrap_or(0);
    }
}

fn page_size() -> usize {
    // SAFETY: has no precondition.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
}

/// Reserves address space that nobody may access.
fn reserve(bytes: usize) -> io::Result<usize> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the system's choice touches no memory that is in use.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
    if start == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(start.expose_provenance()) }
}

fn parse_size(text: &str) -> Result<usize, BadArenaSize> {
    match text.trim().parse() {
        Ok(mib @ 1..=MAX_MIB) => Ok(mib << 20),
        _ => Err(BadArenaSize { text: text.to_owned() }),
    }
}

/// The addresses and rights in a line of `/proc/self/maps`.
fn parse_mapping(line: &str) -> Option<(Range<usize>, &str)> {
    let (addresses, rest) = line.split_once(' ')?;
    let (start, end) = addresses.split_once('-')?;
    let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
    Some((range, rest.split(' ').next()?))
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

#[cfg(test)]
mod tests;
