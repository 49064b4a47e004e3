//! Cranelift's errors as the back end's.

use cranelift_module::ModuleError;
use pepjit_backend::BackendError;
use thiserror::Error;

/// The name by which the back end is selected.
pub(crate) const NAME: &str = "cranelift";

/// What a memory provider wraps in an [`std::io::Error`] when it has no room left, so that it's reported as
/// [`BackendError::ArenaFull`].
#[derive(Clone, Copy, Debug, Error)]
#[error("the code arena is full ({bytes} bytes)")]
pub struct ArenaFull {
    /// The arena's size.
    pub bytes: usize,
}

/// A bug of the compiler.
pub(crate) fn internal(what: impl Into<String>) -> BackendError {
    BackendError::Internal { backend: NAME, what: what.into() }
}

/// Something that this back end doesn't do.
pub(crate) fn unsupported(what: impl Into<String>) -> BackendError {
    BackendError::Unsupported { backend: NAME, what: what.into() }
}

/// Translates an error of cranelift-module or cranelift-jit.
pub(crate) fn from_module(error: &ModuleError) -> BackendError {
    if let ModuleError::Allocation { err } = error
        && let Some(full) = err.get_ref().and_then(|inner| inner.downcast_ref::<ArenaFull>())
    {
        return BackendError::ArenaFull { bytes: full.bytes };
    }
    internal(format!("{error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_full_arena_is_told_from_other_failures() {
        let of = |err| from_module(&ModuleError::Allocation { err });
        let full = of(io::Error::other(ArenaFull { bytes: 4096 }));
        assert!(matches!(full, BackendError::ArenaFull { bytes: 4096 }), "{full}");
        let other = of(io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(other, BackendError::Internal { .. }), "{other}");
    }
}
