//! `cargo xtask build`: the JIT's module, for one interpreter or several.

use std::process::ExitCode;

use anyhow::Result;
use pepjit_harness::build::build;

use crate::project;

/// What the command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An interpreter: a path, a version such as 3.14, or a command on PATH. Repeat it for several. Without it, the newest
    /// that can run the JIT.
    #[arg(long = "python", value_name = "PYTHON")]
    pythons: Vec<String>,
    /// Leave cargo's progress out.
    #[arg(long)]
    quiet: bool,
    /// Print one JSON object per build instead.
    #[arg(long)]
    json: bool,
}

/// Builds, and prints each build's folder; the last line on stdout is the last one's.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let names: Vec<Option<&str>> =
        if args.pythons.is_empty() { vec![None] } else { args.pythons.iter().map(|name| Some(name.as_str())).collect() };
    let pythons = names.into_iter().map(project::python_for_jit).collect::<Result<Vec<_>>>()?;
    for python in pythons {
        eprintln!("building the JIT for {} ({})", python.name(), python.path.display());
        let module = build(&project::root(), &python, args.quiet)?;
        if args.json {
            let line = serde_json::json!({
                "python": python.path, "version": python.version.to_string(),
                "folder": module.folder, "sha256": module.sha256, "changed": module.changed,
            });
            println!("{line}");
        } else {
            println!("{}", module.folder.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
