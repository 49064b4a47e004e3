//! Tells the unwinder, debuggers and profilers about compiled code.
//!
//! - The unwinder gets the code's call frame information through `__register_frame`, so that exceptions of C++ extensions, `backtrace`
//!   and crash reporters get past compiled frames.
//! - gdb, with `PEPJIT_GDB=1`: an in-memory ELF file through its JIT interface, so that backtraces name compiled functions.
//! - perf, with `PEPJIT_PERF=1`: a line per piece of code in `/tmp/perf-PID.map`, as `perf report` reads it. CPython's own
//!   `-X perf` appends to the same file.
//!
//! Everything here is called with the GIL held, which is what keeps the lists of the unwinder's clients and of gdb whole.

#![allow(unsafe_code, reason = "hands addresses to the unwinder and to debuggers")]

mod elf;
mod gdb;

use gdb::DebugEntry;
use pepjit_backend::{Backend, BackendError, Compiled, Linkage};
use pepjit_cranelift::CraneliftBackend;
use pepjit_ir::Function;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

unsafe extern "C" {
    fn __register_frame(section: *const u8);
    fn __deregister_frame(section: *const u8);
}

/// The Cranelift back end, which tells the outside world of all that it makes and frees.
pub(crate) struct AnnouncingBackend {
    backend: CraneliftBackend,
    registrations: HashMap<u64, Registration>,
}

impl AnnouncingBackend {
    /// Announces what the back end compiles from now on.
    pub(crate) fn new(backend: CraneliftBackend) -> AnnouncingBackend {
        AnnouncingBackend { backend, registrations: HashMap::new() }
    }
}

impl Backend for AnnouncingBackend {
    fn name(&self) -> &'static str {
        self.backend.name()
    }

    fn compile(&mut self, func: &Function, linkage: &mut dyn Linkage, dumps: bool) -> Result<Compiled, BackendError> {
        let compiled = self.backend.compile(func, linkage, dumps)?;
        match Registration::of(&self.backend, compiled.handle) {
            Ok(registration) => {
                self.registrations.insert(compiled.handle, registration);
                Ok(compiled)
            }
            Err(error) => {
                self.backend.free(compiled.handle);
                Err(error)
            }
        }
    }

    fn free(&mut self, handle: u64) {
        // First, lest the unwinder find memory that is gone.
        self.registrations.remove(&handle);
        self.backend.free(handle);
    }
}

/// Whom to tell besides the unwinder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audience {
    /// gdb.
    pub(crate) gdb: bool,
    /// perf.
    pub(crate) perf: bool,
}

impl Audience {
    /// What the environment asked for when the process started.
    pub(crate) fn from_env() -> Audience {
        static AUDIENCE: OnceLock<Audience> = OnceLock::new();
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        *AUDIENCE.get_or_init(|| Audience { gdb: is_set("PEPJIT_GDB"), perf: is_set("PEPJIT_PERF") })
    }
}

static METADATA_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Bytes of memory that all registrations take.
pub(crate) fn metadata_bytes() -> u64 {
    METADATA_BYTES.load(Ordering::Relaxed) as u64
}

/// A piece of machine code with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// What debuggers and profilers show.
    pub(crate) name: &'a str,
    /// The address of the first byte.
    pub(crate) address: u64,
    /// The length.
    pub(crate) bytes: usize,
}

/// A compiled function that the outside world knows of, until this is dropped (which must happen before its code is freed).
#[derive(Debug)]
pub(crate) struct Registration {
    /// The unwinder keeps pointers into them. Each is for one piece: it takes a section to stand for all that lies between its addresses.
    sections: Vec<Box<[u8]>>,
    debug: Option<DebugEntry>,
}

impl Registration {
    /// Registers what a handle of the Cranelift back end stands for.
    pub(crate) fn of(backend: &CraneliftBackend, handle: u64) -> Result<Registration, BackendError> {
        let ranges = backend.ranges(handle).iter();
        let pieces: Vec<_> =
            ranges.map(|range| Piece { name: &range.name, address: range.address, bytes: range.bytes }).collect();
        Ok(Registration::new(&pieces, backend.eh_frames(handle)?, Audience::from_env()))
    }

    /// Registers code with an `.eh_frame` section for each piece, which must end with a terminator (four zero bytes). That perf's file can't
    /// be written is reported once, on standard error.
    pub(crate) fn new(pieces: &[Piece<'_>], sections: Vec<Vec<u8>>, audience: Audience) -> Registration {
        debug_assert!(
            sections.iter().all(|section| section.ends_with(&[0; 4])),
            "the unwinder reads on until it finds a terminator"
        );
        let sections: Vec<Box<[u8]>> =
            sections.into_iter().filter(|section| has_entries(section)).map(Vec::into_boxed_slice).collect();
        for section in &sections {
            // SAFETY: a well-formed, terminated section that stays where it is until `drop` has taken it back.
            unsafe { __register_frame(section.as_ptr()) };
        }
        let debug = audience.gdb.then(|| DebugEntry::new(elf::image(pieces, &joined(&sections))));
        if audience.perf
            && let Err(error) = append_to_perf_map(&perf_map_path(), pieces)
        {
            report_once(&error);
        }
        let registration = Registration { sections, debug };
        METADATA_BYTES.fetch_add(registration.metadata_bytes(), Ordering::Relaxed);
        registration
    }

    fn metadata_bytes(&self) -> usize {
        self.sections.iter().map(|section| section.len()).sum::<usize>() + self.debug.as_ref().map_or(0, DebugEntry::bytes)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        METADATA_BYTES.fetch_sub(self.metadata_bytes(), Ordering::Relaxed);
        for section in &self.sections {
            // SAFETY: registered by `new` with this very pointer, and not taken back since.
            unsafe { __deregister_frame(section.as_ptr()) };
        }
    }
}

/// Whether there is more than the terminator: the unwinder aborts the process if an empty section is taken back.
fn has_entries(eh_frame: &[u8]) -> bool {
    eh_frame.len() > 4
}

/// One section of several: an entry says by its distance where what it shares with others is.
fn joined(sections: &[Box<[u8]>]) -> Vec<u8> {
    let mut all: Vec<u8> = sections.iter().flat_map(|section| &section[..section.len() - 4]).copied().collect();
    all.extend([0; 4]);
    all
}

fn perf_map_path() -> PathBuf {
    // After a fork the child has a file of its own.
    PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()))
}

fn append_to_perf_map(path: &Path, pieces: &[Piece<'_>]) -> io::Result<()> {
    let mut text = String::new();
    for piece in pieces {
        let name = piece.name.replace(['\n', '\r'], " ");
        let _ = writeln!(text, "{:x} {:x} pepjit::{name}", piece.address, piece.bytes);
    }
    // Not through somebody else's link: the folder is everybody's.
    let mut options = OpenOptions::new();
    let mut file: File = options.create(true).append(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)?;
    // One write, so that lines of others don't come in between.
    file.write_all(text.as_bytes())
}

fn report_once(error: &io::Error) {
    static REPORTED: OnceLock<()> = OnceLock::new();
    REPORTED.get_or_init(|| {
        let path = perf_map_path();
        eprintln!("pepjit: can't write {} ({error}); perf won't name compiled functions", path.display());
    });
}

#[cfg(test)]
mod tests;
