//! What it takes to build the module and to ship it.
//!
//! [`sheet`] builds the module twice from nothing (`clean`), in folders whose names differ in length, and compares the two to the
//! bit (`elf`); lists the packages that it's made of with their licences (`packages`, `sbom`), and how large its own parts are and
//! what they ask of CPython (`anatomy`); and loads it (`loaded`).

mod anatomy;
mod clean;
mod elf;
mod loaded;
mod model;
mod packages;
mod sbom;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use thiserror::Error;

pub use model::*;

use crate::build::{STARTER, target_folder};
use crate::interpreters::{Interpreter, Unsupported};
use crate::machine;
use crate::provenance::Provenance;

/// The folders of the builds: a path that gets into the module shows, because one is longer.
const FOLDERS: [&str; 2] = ["one", "the-other-one"];

/// Why there is no sheet.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum RedistributorError {
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    #[error("cargo: {0}. Try `cargo build --release --locked --package pepjit-runtime` by hand")]
    Cargo(String),
    #[error("the sources in {path} are no git checkout, so that it isn't known what belongs to them: {source}")]
    Sources { path: PathBuf, source: git2::Error },
    #[error("{path} cannot be read or written: {source}. Check permissions and free space: a build takes about 1 GiB")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} is no ELF file that can be read: {message}")]
    Elf { path: PathBuf, message: String },
    #[error("{interpreter} doesn't load the module that was built for it: {cause}")]
    Load { interpreter: String, cause: String },
}

/// What goes on, for who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Cargo gets what isn't there yet.
    Fetching,
    /// A build, counted from 1, of so many.
    Building(usize, usize),
    /// The module is loaded and looked at.
    Examining,
}

/// Makes the sheet for `interpreter` from the sources in `root`, and the bill of materials beside it.
///
/// With one build instead of two it says nothing of whether builds are identical. The builds' folders are below the target folder
/// and are removed at the end.
///
/// # Errors
/// [`RedistributorError`]
pub fn sheet(
    root: &Path,
    interpreter: &Interpreter,
    builds: usize,
    jobs: usize,
    mut on: impl FnMut(Step),
) -> Result<(Sheet, serde_json::Value), RedistributorError> {
    interpreter.check_jit()?;
    let platform = machine::platform();
    on(Step::Fetching);
    // What is there already needs no network.
    if cargo(root, &["fetch", "--quiet", "--locked", "--offline"]).is_err() {
        cargo(root, &["fetch", "--quiet", "--locked"])?;
    }
    let packages = packages::read(root, &platform)?;
    let place = target_folder(root).join("redistributor");
    let count = builds.clamp(1, FOLDERS.len());
    let mut built = Vec::new();
    for (index, name) in FOLDERS.iter().take(count).enumerate() {
        on(Step::Building(index + 1, count));
        built.push(clean::build(root, &place.join(name), interpreter, jobs)?);
    }
    on(Step::Examining);
    let first = &built[0];
    let differences = match built.get(1) {
        Some(second) => {
            let mut found = elf::differences(&first.module, &second.module)?;
            let of_starter = elf::differences(&first.starter, &second.starter)?;
            found.extend(
                of_starter.into_iter().map(|other| Difference { section: format!("{STARTER} {}", other.section), ..other }),
            );
            found
        }
        None => Vec::new(),
    };
    let described = elf::describe(&first.module)?;
    let anatomy = anatomy::look(root, &clean::sources(root)?, &first.module)?;
    let site = place.join("site");
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| RedistributorError::Io { path, source }
    };
    std::fs::create_dir_all(&site).map_err(io(&site))?;
    let module = site.join(format!("pepjit{}", interpreter.ext_suffix));
    std::fs::copy(&first.module, &module).map_err(io(&module))?;
    let starter = site.join(format!("{STARTER}{}", interpreter.ext_suffix));
    std::fs::copy(&first.starter, &starter).map_err(io(&starter))?;
    let (mapped_before, mapped) = loaded::files(interpreter, &site)?;
    let provenance = Provenance::now(root, interpreter);
    let sbom = sbom::document(&packages, &provenance.created);
    let licences = packages::licences(packages.linked.iter().chain(&packages.build_only));
    let sheet = Sheet {
        schema_version: SCHEMA_VERSION,
        provenance,
        needs: Needs {
            rust_least: packages.rust_least,
            rust: first_line(Command::new("rustc").arg("--version")),
            c_compiler: first_line(Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into())).arg("--version")),
            headers: interpreter.include.display().to_string(),
            offline: true,
            sources_bytes: packages.sources_bytes,
            runs_at_build: packages.runs_at_build,
            other_tools: Vec::new(),
        },
        identical: (built.len() > 1).then_some(differences.is_empty()),
        differences,
        recipe: clean::recipe(interpreter),
        binary: described.binary,
        runtime: Runtime {
            needed: described.needed,
            symbol_versions: described.symbol_versions,
            mapped: mapped.into_iter().map(|path| own_name(&path, &site)).collect(),
            mapped_before,
        },
        builds: built.into_iter().map(|built| built.facts).collect(),
        dependencies: packages.linked,
        build_dependencies: packages.build_only,
        licences,
        anatomy,
    };
    std::fs::remove_dir_all(&place).map_err(io(&place))?;
    Ok((sheet, sbom))
}

/// A mapped file, our module by its name alone: where it was built says nothing.
fn own_name(path: &str, site: &Path) -> String {
    Path::new(path).strip_prefix(site).map_or_else(|_| path.to_owned(), |name| name.display().to_string())
}

/// Runs cargo in a folder for what it prints.
fn cargo(root: &Path, arguments: &[&str]) -> Result<String, RedistributorError> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(arguments)
        .current_dir(root)
        .env_remove("CARGO_MANIFEST_DIR")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| RedistributorError::Cargo(format!("it cannot be started: {e}")))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(RedistributorError::Cargo(format!("{}: {}", arguments.join(" "), said.trim())))
    }
}

fn first_line(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}
