//! `cargo xtask publish`: the documents of some runs, as they are committed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use pepjit_harness::redistributor::SBOM_FILE;
use pepjit_harness::store::write_atomically;
use pepjit_reports as reports;

use crate::gate::in_project;
use crate::material::{Gathered, Sources};
use crate::{pep, project};

/// Writes the report, the PEP draft and what lies beside the runs into reports/published
#[derive(Debug, Parser)]
#[command(
    after_help = "Writes report.md, report.html and pep-9999.rst, and of the annexes that are there redistributor.md with sbom.cdx.json,
compat.md, coexistence.md, governance.md, governance-NAME.md and history.md. Fails, before anything is written, if one of them names a folder of this machine.

Examples:
  cargo xtask publish runs/builtin runs/pyperformance --annexes runs/annexes
  cargo xtask publish --out /tmp/look               the latest run, to look at first"
)]
pub(crate) struct Args {
    #[command(flatten)]
    sources: Sources,
    /// The folder [default: reports/published]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Leave out the checks of the draft that are installed with pip
    #[arg(long)]
    no_tools: bool,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let gathered = args.sources.gather()?;
    if let Some(file) = gathered.unusable.first() {
        bail!("only runs whose files are all as they were measured are published. {file}");
    }
    let documents = documents(&gathered)?;
    for (name, text) in &documents {
        if let Some(line) = text.lines().find_map(|line| named_folder(line, &gathered)) {
            bail!("{name} would name a folder of this machine: {line}. A document says `~` or a path in the project instead");
        }
    }
    let out = args.out.clone().unwrap_or_else(|| in_project("reports/published"));
    std::fs::create_dir_all(&out).with_context(|| format!("{} cannot be made", out.display()))?;
    for (name, text) in &documents {
        let path = out.join(name);
        write_atomically(&path, text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))?;
        println!("{}", path.display());
    }
    pep::run(pep::Args::into_file(args.sources.clone(), out.join("pep-9999.rst"), args.no_tools))
}

/// Every document but the draft, by its name.
fn documents(gathered: &Gathered) -> Result<Vec<(String, String)>> {
    let material = &gathered.material;
    let annexes = &material.annexes;
    let mut all: Vec<(&str, String)> =
        vec![("report.md", reports::markdown(material)?), ("report.html", reports::html(material)?)];
    if let Some(sheet) = &annexes.redistributor {
        all.push(("redistributor.md", reports::redistributor(sheet)));
        if let Some(path) = gathered.beside.iter().map(|folder| folder.join(SBOM_FILE)).find(|path| path.is_file()) {
            all.push((SBOM_FILE, std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?));
        }
    }
    all.extend(annexes.compat.as_ref().map(|c| ("compat.md", reports::compat(c))));
    all.extend(annexes.coexistence.as_ref().map(|c| ("coexistence.md", reports::compat(c))));
    all.extend(annexes.governance.as_ref().map(|g| ("governance.md", reports::governance_markdown(g))));
    all.extend(annexes.history.as_ref().map(|h| ("history.md", reports::history(h))));
    let others = annexes.other_governance.iter();
    let others = others.map(|(file, g)| (file.replace(".json", ".md"), reports::governance_markdown(g)));
    Ok(all.into_iter().map(|(name, text)| (name.to_owned(), text)).chain(others).collect())
}

/// The part of a line that is a path which nobody else has.
fn named_folder<'a>(line: &'a str, gathered: &Gathered) -> Option<&'a str> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let runs = gathered.folders.iter().filter_map(|run| run.parent().map(Path::to_owned));
    let own = [Some(project::root()), home].into_iter().flatten().chain(runs);
    let is_own = |path: &Path| path.components().count() > 1 && line.contains(&format!("{}/", path.display()));
    let path = own.into_iter().find(|path| is_own(path)).map(|path| format!("{}/", path.display()))?;
    // In the middle of a path it's another folder of the same name: `~/.cache/pythons/root/usr`.
    let starts = line.match_indices(path.as_str()).map(|(at, _)| at);
    let is_start = |at: &usize| !line[..*at].ends_with(|c: char| c.is_alphanumeric() || "/._-~".contains(c));
    let at = starts.into_iter().find(is_start)?;
    line[at..].split([' ', '"', '<', ',', ')', '`']).next()
}
