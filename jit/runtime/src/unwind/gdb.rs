//! gdb's JIT interface: a list of in-memory symbol files and a function with a breakpoint.
//!
//! Source: gdb's manual, "JIT Compilation Interface". The two symbols have the names and the layout that debuggers look for.

use std::ptr;

const REGISTER: u32 = 1;
const UNREGISTER: u32 = 2;

/// `jit_code_entry`.
#[repr(C)]
struct CodeEntry {
    next: *mut CodeEntry,
    previous: *mut CodeEntry,
    file: *const u8,
    bytes: u64,
}

/// `jit_descriptor`.
#[repr(C)]
struct Descriptor {
    version: u32,
    action: u32,
    relevant: *mut CodeEntry,
    first: *mut CodeEntry,
}

// SAFETY: changed with the GIL held only; the debugger reads it while the process is stopped.
unsafe impl Sync for Descriptor {}

#[unsafe(no_mangle)]
static mut __jit_debug_descriptor: Descriptor =
    Descriptor { version: 1, action: 0, relevant: ptr::null_mut(), first: ptr::null_mut() };

/// Debuggers set a breakpoint here.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn __jit_debug_register_code() {
    // SAFETY: does nothing; keeps calls of this function from being optimised away.
    unsafe { std::arch::asm!("nop", options(nostack, preserves_flags)) };
}

/// A symbol file that debuggers know of, until this is dropped.
#[derive(Debug)]
pub(super) struct DebugEntry {
    entry: *mut CodeEntry,
    file: Box<[u8]>,
}

impl DebugEntry {
    /// Registers an ELF file.
    pub(super) fn new(file: Vec<u8>) -> DebugEntry {
        let file = file.into_boxed_slice();
        let descriptor = &raw mut __jit_debug_descriptor;
        // SAFETY: the GIL is held, so nobody else changes the list; its entries live until `drop` unlinks them.
        unsafe {
            let first = (*descriptor).first;
            let entry = CodeEntry { next: first, previous: ptr::null_mut(), file: file.as_ptr(), bytes: file.len() as u64 };
            let entry = Box::into_raw(Box::new(entry));
            if !first.is_null() {
                (*first).previous = entry;
            }
            (*descriptor).first = entry;
            announce(descriptor, entry, REGISTER);
            DebugEntry { entry, file }
        }
    }

    /// Bytes of memory that this takes.
    pub(super) fn bytes(&self) -> usize {
        self.file.len() + size_of::<CodeEntry>()
    }
}

impl Drop for DebugEntry {
    fn drop(&mut self) {
        let descriptor = &raw mut __jit_debug_descriptor;
        // SAFETY: as in `new`; the entry was made by `Box::into_raw` and is in the list once.
        unsafe {
            let CodeEntry { next, previous, .. } = *self.entry;
            if !next.is_null() {
                (*next).previous = previous;
            }
            if previous.is_null() {
                (*descriptor).first = next;
            } else {
                (*previous).next = next;
            }
            announce(descriptor, self.entry, UNREGISTER);
            drop(Box::from_raw(self.entry));
        }
    }
}

/// Has the debugger look at an entry.
///
/// # Safety
/// `descriptor` and `entry` point to live structures that nobody else changes.
unsafe fn announce(descriptor: *mut Descriptor, entry: *mut CodeEntry, action: u32) {
    // SAFETY: by the caller's promise.
    unsafe {
        (*descriptor).relevant = entry;
        (*descriptor).action = action;
        __jit_debug_register_code();
        // Lest a debugger that is attached later takes it for new.
        (*descriptor).action = 0;
        (*descriptor).relevant = ptr::null_mut();
    }
}

/// How many files are registered.
#[cfg(test)]
pub(super) fn registered() -> usize {
    // SAFETY: as in `DebugEntry::new`; tests that use the list hold a lock.
    unsafe {
        let mut entry = __jit_debug_descriptor.first;
        let mut count = 0;
        while !entry.is_null() {
            count += 1;
            entry = (*entry).next;
        }
        count
    }
}
