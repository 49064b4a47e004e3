//! `cargo xtask pep`: the PEP draft from the latest evidence, and its checks.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Parser;
use pepjit_harness::build::target_folder;
use pepjit_harness::store::write_atomically;
use pepjit_reports::pep::{self, Finding, PepSources};

use crate::gate::in_project;
use crate::material::{Gathered, Sources};
use crate::project;

/// The checks that are installed, pinned.
const TOOLS: [(&str, &str); 2] = [("sphinx-lint", "1.0.2"), ("codespell", "2.4.3")];

/// Writes the PEP draft from runs, and checks it
#[derive(Debug, Parser)]
#[command(
    after_help = "Every figure of the draft comes from the files of a run and has a footnote that names them; one that no run has is
\"not measured\". Exit code 1 if a check fails.

Examples:
  cargo xtask pep                              from the latest run, into its folder
  cargo xtask pep runs/builtin runs/pyperformance --annexes maintenance --out pep-9999.rst
  cargo xtask pep --check pep-9999.rst         whether that file is what these runs give"
)]
pub(crate) struct Args {
    #[command(flatten)]
    sources: Sources,
    /// The draft's file [default: pep-9999.rst in the first run's folder]
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    out: Option<PathBuf>,
    /// Write nothing: fail unless this file is exactly the draft
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// The template [default: pep-draft/pep.rst.j2]
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Leave out the checks that are installed with pip
    #[arg(long)]
    no_tools: bool,
}

impl Args {
    /// The draft of these runs, checked, into a file.
    pub(crate) fn into_file(sources: Sources, out: PathBuf, no_tools: bool) -> Self {
        Self { sources, out: Some(out), check: None, template: None, no_tools }
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let template_file = args.template.unwrap_or_else(|| in_project("pep-draft/pep.rst.j2"));
    let template = std::fs::read_to_string(&template_file).with_context(|| format!("cannot read {}", template_file.display()))?;
    let mut failed = report(&template_file, &pep::lint_template(&template));
    let Gathered { folders, beside, criteria, deadlines, material, .. } = args.sources.gather()?;
    let draft = pep::draft(&template, PepSources { material, beside, criteria, deadlines })?;

    let out = match (&args.check, args.out, folders.first()) {
        (Some(checked), _, _) => checked.clone(),
        (None, Some(out), _) => out,
        (None, None, Some(folder)) => folder.join("pep-9999.rst"),
        (None, None, None) => bail!("there is no run: measure one first with cargo xtask measure"),
    };
    if args.check.is_some() {
        let there = std::fs::read_to_string(&out).with_context(|| format!("cannot read {}", out.display()))?;
        let differs = there.lines().zip(draft.text.lines()).position(|(a, b)| a != b);
        if there != draft.text {
            let line = differs.map_or_else(|| "its end".to_owned(), |at| format!("line {}", at + 1));
            println!("✗ {}: {line} is not what the template and these runs give", out.display());
            failed = true;
        }
    } else {
        write_atomically(&out, draft.text.as_bytes())
            .with_context(|| format!("cannot write {}; give another file with --out", out.display()))?;
    }
    failed |= report(&out, &pep::lint_draft(&draft.text));
    if !args.no_tools {
        failed |= !tools(&out)?;
    }
    println!("{}", out.display());
    println!("{} figures filled, {} not measured", draft.filled, draft.lacking.len());
    if !draft.lacking.is_empty() {
        eprintln!("not measured: {}", draft.lacking.join(", "));
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Prints findings; whether there are any.
fn report(file: &Path, findings: &[Finding]) -> bool {
    for finding in findings {
        println!("✗ {}: {finding}", file.display());
    }
    !findings.is_empty()
}

/// Runs these on a file; whether both are content.
fn tools(file: &Path) -> Result<bool> {
    let venv = environment()?;
    let words = in_project("pep-draft/words.txt");
    let mut content = true;
    for (tool, _) in TOOLS {
        let mut command = Command::new(venv.join("bin").join(tool));
        if tool == "codespell" {
            command.arg("--ignore-words").arg(&words);
        } else {
            command.args(["--enable", "all", "--disable", "line-too-long"]);
        }
        let output = command.arg(file).stdin(Stdio::null()).output().with_context(|| format!("cannot run {tool}"))?;
        if !output.status.success() {
            content = false;
            print!("✗ {tool}:\n{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        }
    }
    Ok(content)
}

/// A virtual environment with the tools, made once and kept under target/; its name has the versions.
fn environment() -> Result<PathBuf> {
    let name = TOOLS.map(|(tool, version)| format!("{tool}-{version}")).join("-");
    let folder = target_folder(&project::root()).join("tools").join(name);
    let done = folder.join("complete");
    if done.is_file() {
        return Ok(folder);
    }
    eprintln!("installing {} (once)", TOOLS.map(|(tool, version)| format!("{tool} {version}")).join(" and "));
    let step = |command: &mut Command| -> Result<()> {
        let output = command.stdin(Stdio::null()).output().context("cannot run python3")?;
        if !output.status.success() {
            bail!(
                "the checks can't be installed: {}. Install python3-venv, see that PyPI is reached, or leave them out with --no-tools",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(())
    };
    step(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let packages = TOOLS.map(|(tool, version)| format!("{tool}=={version}"));
    step(
        Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(packages),
    )?;
    std::fs::write(&done, "").with_context(|| format!("cannot write {}", done.display()))?;
    Ok(folder)
}
