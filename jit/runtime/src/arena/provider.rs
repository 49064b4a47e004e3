//! The memory of one compiled function, as cranelift-jit asks for it.

use super::pages::Run;
use super::{Arena, LINE, Purpose};
use cranelift_module::{ModuleError, ModuleResult};
use pepjit_cranelift::{BranchProtection, JITMemoryKind, JITMemoryProvider};
use std::io;

/// Memory for one compiled function from the process's arena. Given back when it's dropped: drop the module only when none of its code is
/// running or reachable.
pub(crate) fn provider() -> Box<dyn JITMemoryProvider + Send> {
    Box::new(Provider::new(Arena::global()))
}

/// Pages that are being filled, or finished.
#[derive(Debug)]
struct Segment {
    purpose: Purpose,
    run: Run,
    /// Bytes from the start of the run to the first free one.
    position: usize,
    finished: bool,
}

/// The pages of one compiled function.
pub(super) struct Provider {
    arena: &'static Arena,
    segments: Vec<Segment>,
    used: usize,
}

impl Provider {
    pub(super) fn new(arena: &'static Arena) -> Provider {
        Provider { arena, segments: Vec::new(), used: 0 }
    }

    /// The position of so many bytes in an open segment of this purpose, which is made longer if need be and possible.
    fn place(&mut self, purpose: Purpose, size: usize, align: usize) -> io::Result<Option<usize>> {
        let arena = self.arena;
        let Some(segment) = self.segments.iter_mut().rfind(|segment| segment.purpose == purpose && !segment.finished) else {
            return Ok(None);
        };
        let start = segment.position.next_multiple_of(align);
        let room = segment.run.count * arena.page;
        if start + size > room {
            let Some(more) = arena.take_after(segment.run, start + size - room) else { return Ok(None) };
            segment.run.count += more?.count;
        }
        segment.position = start + size;
        Ok(Some(arena.base + segment.run.first * arena.page + start))
    }
}

impl JITMemoryProvider for Provider {
    fn allocate(&mut self, size: usize, align: u64, kind: JITMemoryKind) -> io::Result<*mut u8> {
        let purpose = match kind {
            JITMemoryKind::Executable => Purpose::Code,
            JITMemoryKind::ReadOnly => Purpose::Constants,
            JITMemoryKind::Writable => Purpose::Variables,
        };
        let align = usize::try_from(align).map_err(io::Error::other)?.max(LINE);
        if !align.is_power_of_two() || align > self.arena.page {
            return Err(io::Error::other(format!("an alignment of {align} bytes is not supported")));
        }
        if size > self.arena.size {
            return Err(self.arena.full());
        }
        let address = if let Some(address) = self.place(purpose, size, align)? {
            address
        } else {
            let colour = if purpose == Purpose::Code { self.arena.next_colour() } else { 0 };
            let run = self.arena.take(colour.next_multiple_of(align) + size.max(1))?;
            self.segments.push(Segment { purpose, run, position: colour, finished: false });
            self.place(purpose, size, align)?.ok_or_else(|| self.arena.full())?
        };
        self.used += size;
        self.arena.count_used(size as isize);
        Ok(std::ptr::with_exposed_provenance_mut(address))
    }

    unsafe fn free_memory(&mut self) {
        for segment in self.segments.drain(..) {
            // SAFETY: the caller promises that the code is neither running nor reachable.
            unsafe { self.arena.give_back(segment.run) };
        }
        self.arena.count_used(-(std::mem::take(&mut self.used) as isize));
    }

    fn finalize(&mut self, branch_protection: BranchProtection) -> ModuleResult<()> {
        for segment in self.segments.iter_mut().filter(|segment| !segment.finished) {
            let rights = match segment.purpose {
                Purpose::Code => libc::PROT_READ | libc::PROT_EXEC | extra_rights(branch_protection),
                Purpose::Constants => libc::PROT_READ,
                Purpose::Variables => libc::PROT_READ | libc::PROT_WRITE,
            };
            if segment.purpose == Purpose::Code {
                flush(self.arena, segment.run);
            }
            self.arena.protect(segment.run, rights).map_err(|err| ModuleError::Allocation { err })?;
            segment.finished = true;
        }
        Ok(())
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        // SAFETY: whoever drops a module promises that its code is neither running nor reachable (`Backend::free`); a module that is dropped
        // because compiling failed has handed out no address.
        unsafe { self.free_memory() };
    }
}

/// Marks pages whose indirect jumps must land on landing pads.
#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
fn extra_rights(branch_protection: BranchProtection) -> libc::c_int {
    const PROT_BTI: libc::c_int = 0x10;
    let wanted = branch_protection == BranchProtection::BTI && std::arch::is_aarch64_feature_detected!("bti");
    if wanted { PROT_BTI } else { 0 }
}

#[cfg(not(all(target_arch = "aarch64", target_os = "linux")))]
fn extra_rights(_: BranchProtection) -> libc::c_int {
    0
}

/// Makes the instruction cache see what has been written.
#[cfg(not(any(target_arch = "x86_64", target_arch = "s390x")))]
fn flush(arena: &Arena, run: Run) {
    unsafe extern "C" {
        fn __clear_cache(start: *mut libc::c_char, end: *mut libc::c_char);
    }
    let start = arena.address(run).cast::<libc::c_char>();
    // SAFETY: the run is mapped and readable; the function has no other precondition.
    unsafe { __clear_cache(start, start.add(run.count * arena.page)) };
}

/// The instruction cache of this processor is coherent.
#[cfg(any(target_arch = "x86_64", target_arch = "s390x"))]
fn flush(_: &Arena, _: Run) {}
