//! `cargo xtask run`: a Python program with the JIT on.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use pepjit_harness::build::build;
use pepjit_harness::runner::write_sitecustomize;

use crate::project;

/// What the command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The interpreter: a path, a version such as 3.14, or a command on PATH. Without it, the newest that can run the JIT.
    #[arg(long, value_name = "PYTHON")]
    python: Option<String>,
    /// Say what is being built and for which interpreter.
    #[arg(long, short)]
    verbose: bool,
    /// What you would give to python: a script and its arguments, `-m MODULE` or `-c CODE`.
    #[arg(last = true, required = true, value_name = "ARGS")]
    program: Vec<OsString>,
}

/// Builds what isn't built, and becomes the interpreter; its exit code is ours.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    if let Some(script) = script_of(&args.program).filter(|script| !script.exists()) {
        bail!("there is no {}: name a script after --, or use -m MODULE or -c CODE", script.display());
    }
    let python = project::python_for_jit(args.python.as_deref())?;
    if args.verbose {
        eprintln!("{} ({})", python.name(), python.path.display());
    }
    let module = build(&project::root(), &python, !args.verbose)?;
    let site = site_of(&module.folder)?;
    let others = std::env::var_os("PYTHONPATH").filter(|path| !path.is_empty());
    let path = std::env::join_paths(
        std::iter::once(site).chain(others.iter().flat_map(|others| std::env::split_paths(others).collect::<Vec<_>>())),
    )
    .context("a folder on PYTHONPATH cannot stand there: remove the colon from the project's path")?;
    // PEPJIT=0 in the user's environment wins over everything.
    let switch = std::env::var_os("PEPJIT").filter(|value| !value.is_empty()).unwrap_or_else(|| "1".into());
    let error = Command::new(&python.path).args(&args.program).env("PYTHONPATH", path).env("PEPJIT", switch).exec();
    Err(error).with_context(|| format!("{} cannot be started", python.path.display()))
}

/// The script among Python's arguments, if there is one: the first word that is no option and no option's value.
fn script_of(program: &[OsString]) -> Option<PathBuf> {
    let mut words = program.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        match &*text {
            "--check-hash-based-pycs" => _ = words.next(),
            long if long.starts_with("--") => {}
            "-" => return None,
            short if short.starts_with('-') => {
                // Short options may stand together; -c and -m end the options, -W and -X take the rest or the next word.
                match short.char_indices().skip(1).find(|(_, letter)| "cmWX".contains(*letter)) {
                    Some((_, 'c' | 'm')) => return None,
                    Some((at, _)) if at + 1 == short.len() => _ = words.next(),
                    _ => {}
                }
            }
            _ => return Some(word.into()),
        }
    }
    None
}

/// A folder for PYTHONPATH that loads the module in `folder` at the start: it refers to it, so that a rebuild
/// reaches it and nothing is copied.
fn site_of(folder: &Path) -> Result<PathBuf> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let site = folder.with_file_name(format!("site-{name}"));
    let link = site.join("module");
    let context = || format!("{} cannot be written: check permissions", site.display());
    fs::create_dir_all(&site).with_context(context)?;
    if fs::read_link(&link).ok().as_deref() != Some(folder) {
        // A link of another build may be there, and another run may make this one right now.
        let temporary = site.join(format!("module.{}~", std::process::id()));
        std::os::unix::fs::symlink(folder, &temporary).with_context(context)?;
        fs::rename(&temporary, &link).with_context(context)?;
    }
    write_sitecustomize(&site).with_context(context)?;
    Ok(site)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_found_behind_every_option() {
        let script = |line: &str| script_of(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in ["a.py", "-u a.py x", "-X dev a.py", "-Xdev a.py", "-W error -bb a.py", "--check-hash-based-pycs never a.py"]
        {
            assert_eq!(script(line), Some(PathBuf::from("a.py")), "{line}");
        }
        for line in ["-c pass", "-m timeit a.py", "-um timeit", "-Ic pass a.py", "-", "-V"] {
            assert_eq!(script(line), None, "{line}");
        }
    }
}
