//! What the commands share: where the project is, which interpreter is meant, and the exit codes.

use std::path::{Path, PathBuf};

use anyhow::Result;
use pepjit_harness::interpreters::{Interpreter, Places, discover, resolve};

/// The command can't be carried out as it was given, or on this machine as it is.
pub(crate) const EXIT_USAGE: u8 = 2;

/// A worker failed, or a JIT never was at work.
pub(crate) const EXIT_BROKEN: u8 = 4;

/// The user interrupted the command.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// The folder of the project's sources.
pub(crate) fn root() -> PathBuf {
    // Cargo sets it for what it runs; the other is for a binary that is started by hand.
    let crate_folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = |folder: &Path| folder.join("../benchmarks").is_dir();
    let crate_folder = crate_folder.filter(|folder| here(folder)).unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    crate_folder.parent().map_or(crate_folder.clone(), Path::to_owned)
}

/// An error with its causes. An error whose message tells its cause already isn't told it again.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

/// The interpreter that the user named, or else the newest that can run the JIT.
///
/// # Errors
/// If there is none, or the one that was named can't run the JIT.
pub(crate) fn python_for_jit(name: Option<&str>) -> Result<Interpreter> {
    let places = Places::from_environment();
    let python = match name {
        Some(name) => resolve(name, &places)?,
        None => discover(&places).best()?.clone(),
    };
    python.check_jit()?;
    Ok(python)
}
