//! Calls of functions by address.

/// Payload and tag, in the two return registers.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) payload: u64,
    pub(crate) tag: u64,
}

/// How many words a function can be passed: the runtime has none with more.
pub(super) const MOST_WORDS: usize = 6;

/// The function pointer at an address.
///
/// # Safety
/// `F` is a function pointer, and the function at the address is of this type.
unsafe fn function<F: Copy>(address: u64) -> F {
    const { assert!(size_of::<F>() == size_of::<*const ()>()) };
    let pointer = std::ptr::with_exposed_provenance::<()>(address as usize);
    assert!(!pointer.is_null(), "a function of the runtime has no address");
    // SAFETY: by the caller's promise, and of the same size.
    unsafe { std::mem::transmute_copy(&pointer) }
}

/// Calls a function of integers and pointers.
///
/// # Safety
/// The function at the address takes so many words and returns `R` (for nothing: `()`).
pub(super) unsafe fn words<R>(address: u64, args: &[u64]) -> R {
    // SAFETY: by the caller's promise.
    unsafe {
        match args {
            [] => function::<extern "C" fn() -> R>(address)(),
            [a] => function::<extern "C" fn(u64) -> R>(address)(*a),
            [a, b] => function::<extern "C" fn(u64, u64) -> R>(address)(*a, *b),
            [a, b, c] => function::<extern "C" fn(u64, u64, u64) -> R>(address)(*a, *b, *c),
            [a, b, c, d] => function::<extern "C" fn(u64, u64, u64, u64) -> R>(address)(*a, *b, *c, *d),
            [a, b, c, d, rest @ ..] => match rest {
                [fifth] => function::<extern "C" fn(u64, u64, u64, u64, u64) -> R>(address)(*a, *b, *c, *d, *fifth),
                [fifth, sixth] => {
                    function::<extern "C" fn(u64, u64, u64, u64, u64, u64) -> R>(address)(*a, *b, *c, *d, *fifth, *sixth)
                }
                _ => unreachable!("functions of more than {MOST_WORDS} words are not compiled"),
            },
        }
    }
}

/// Calls a function of one or two doubles.
///
/// # Safety
/// The function at the address takes so many doubles and returns `R`.
pub(super) unsafe fn floats<R>(address: u64, args: &[f64]) -> R {
    // SAFETY: by the caller's promise.
    unsafe {
        match *args {
            [a] => function::<extern "C" fn(f64) -> R>(address)(a),
            [a, b] => function::<extern "C" fn(f64, f64) -> R>(address)(a, b),
            _ => unreachable!("functions of other numbers of doubles are not compiled"),
        }
    }
}

/// What is at an address.
///
/// # Safety
/// A `T` may be read there.
pub(super) unsafe fn load<T: Copy>(address: u64) -> T {
    // SAFETY: by the caller's promise; CPython's fields are aligned, other memory need not be.
    unsafe { std::ptr::with_exposed_provenance::<T>(address as usize).read_unaligned() }
}

/// Writes to an address.
///
/// # Safety
/// A `T` may be written there.
pub(super) unsafe fn store<T: Copy>(address: u64, value: T) {
    // SAFETY: by the caller's promise.
    unsafe { std::ptr::with_exposed_provenance_mut::<T>(address as usize).write_unaligned(value) }
}

/// An array; a null pointer is an empty one.
///
/// # Safety
/// There are so many words at the pointer, and nobody writes them meanwhile.
pub(super) unsafe fn slice<'a>(words: *const u64, count: usize) -> &'a [u64] {
    if count == 0 {
        return &[];
    }
    // SAFETY: by the caller's promise.
    unsafe { std::slice::from_raw_parts(words, count) }
}
