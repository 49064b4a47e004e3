//! Builds the JIT's Python module for an interpreter.
//!
//! The module's C side is compiled against the interpreter's own headers, so each minor version has a build of its
//! own, in `TARGET/pepjit/cp314` and so on. Cargo decides what has to be compiled again: it is told the
//! interpreter by an environment variable, which the crate's build script declares as an input.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::interpreters::{Interpreter, Unsupported, digest};
use crate::store::write_atomically;

/// The crate that is the module.
const PACKAGE: &str = "pepjit-runtime";

/// The library's name, as cargo names its target.
const LIBRARY: &str = "pepjit_runtime";

/// The variable that tells the crate's build script the interpreter.
const VARIABLE: &str = "PEPJIT_PYTHON";

/// Turns the JIT on at the start of an interpreter whose environment asks for it. Python runs the lines of a .pth file
/// that begin with `import`; this one may be read twice (a virtual environment's site reads its base's too), so what is
/// on stays as it is. A module that refuses this interpreter says so in one line, without a traceback; a subinterpreter, in which it
/// never loads, is not worth a line.
const AUTOLOAD: &str = concat!(
    r#"import os; exec("#,
    r#""if os.environ.get('PEPJIT', '') not in ('', '0'):\n"#,
    r#" try:\n  import pepjit\n  pepjit.is_enabled() or pepjit.enable()\n"#,
    r#" except (ImportError, RuntimeError) as error:\n  import sys\n  'subinterp' in str(error) or print('pepjit:', error, file=sys.stderr)")"#,
    "\n"
);

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum BuildError {
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    #[error("cargo cannot be started: {0}. Install Rust from https://rustup.rs")]
    Cargo(#[source] io::Error),
    #[error("the module does not compile for {interpreter} ({status}); the compiler's messages are above. {cure}")]
    Failed { interpreter: String, status: String, cure: String },
    #[error("cargo built {PACKAGE} but names no shared library: is its crate-type still cdylib?")]
    NoLibrary,
    #[error("{path} cannot be written: {source}. Check permissions and free space")]
    Write { path: PathBuf, source: io::Error },
}

/// A finished build.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Module {
    /// The folder that holds it: what goes on Python's path.
    pub folder: PathBuf,
    /// SHA-256 of the library.
    pub sha256: String,
    /// Whether it differs from the build that was there.
    pub changed: bool,
}

/// What a build was made for, noted beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    interpreter: PathBuf,
    version: String,
    interpreter_sha256: String,
    module_sha256: String,
}

/// Where cargo puts what it builds for the sources in `root`.
pub fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| root.join("target"), |folder| root.join(PathBuf::from(folder)))
}

/// Builds the module of the sources in `root` for `interpreter`; `quiet` leaves cargo's progress out.
///
/// # Errors
/// [`BuildError`] if the interpreter can't run the JIT, or it doesn't compile.
pub fn build(root: &Path, interpreter: &Interpreter, quiet: bool) -> Result<Module, BuildError> {
    interpreter.check_jit()?;
    let pepjit = target_folder(root).join("pepjit");
    let folder = pepjit.join(interpreter.tag());
    let write = |path: &Path| {
        let path = path.to_owned();
        move |source| BuildError::Write { path, source }
    };
    fs::create_dir_all(&folder).map_err(write(&folder))?;
    // Between cargo's end and the copy nobody else may build: all versions share one library file.
    let lock_path = pepjit.join(".lock");
    let lock = File::create(&lock_path).map_err(write(&lock_path))?;
    lock.lock().map_err(write(&lock_path))?;

    let library = compile(root, interpreter, quiet)?;
    let sha256 = digest(&[Some(&library)]).map_err(write(&library))?;
    let target = folder.join(format!("pepjit{}", interpreter.ext_suffix));
    let changed = digest(&[Some(&target)]).ok().as_ref() != Some(&sha256);
    if changed {
        remove_other_builds(&folder, &target).map_err(write(&folder))?;
        replace(&library, &target).map_err(write(&target))?;
    }
    let autoload = folder.join("pepjit.pth");
    if fs::read_to_string(&autoload).ok().as_deref() != Some(AUTOLOAD) {
        write_atomically(&autoload, AUTOLOAD.as_bytes()).map_err(write(&autoload))?;
    }
    let note = Note {
        interpreter: interpreter.path.clone(),
        version: interpreter.version.to_string(),
        interpreter_sha256: interpreter.sha256.clone(),
        module_sha256: sha256.clone(),
    };
    let path = folder.join("build.json");
    let text = serde_json::to_string_pretty(&note).unwrap_or_default() + "\n";
    write_atomically(&path, text.as_bytes()).map_err(write(&path))?;
    Ok(Module { folder, sha256, changed })
}

/// Runs cargo and returns the library's path, as cargo itself names it.
fn compile(root: &Path, interpreter: &Interpreter, quiet: bool) -> Result<PathBuf, BuildError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--package", PACKAGE, "--lib", "--message-format=json-render-diagnostics"]);
    if quiet {
        command.arg("--quiet");
    }
    let mut child = command
        .env(VARIABLE, &interpreter.path)
        // What cargo sets for the process that it runs is not for the one that builds.
        .env_remove("CARGO_MANIFEST_DIR")
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(BuildError::Cargo)?;
    let mut library = None;
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            library = artifact(&line).or(library);
        }
    }
    let status = child.wait().map_err(BuildError::Cargo)?;
    if !status.success() {
        return Err(BuildError::Failed {
            interpreter: interpreter.name(),
            status: status.to_string(),
            cure: if compiler_present() {
                format!("Check that {} are this interpreter's headers", interpreter.include.display())
            } else {
                "No C compiler was found: install one (on Debian `apt install gcc`) or set CC".to_owned()
            },
        });
    }
    library.ok_or(BuildError::NoLibrary)
}

/// The shared library that a line of cargo's messages names, if it is about ours.
fn artifact(line: &str) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["target"]["name"] != LIBRARY {
        return None;
    }
    let files = message["filenames"].as_array()?;
    let shared = |path: &Path| path.extension().is_some_and(|extension| extension == "so" || extension == "dylib");
    files.iter().filter_map(|file| file.as_str()).map(PathBuf::from).find(|path| shared(path))
}

fn compiler_present() -> bool {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    Command::new(compiler)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Copies a file so that a process that has the old one mapped keeps it, and a reader never sees half of the new one.
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}~", std::process::id()));
    let temporary = to.with_file_name(name);
    fs::copy(from, &temporary)?;
    fs::rename(&temporary, to)
}

/// Removes libraries of other names, which Python might prefer (another interpreter of this version may have had
/// another suffix).
fn remove_other_builds(folder: &Path, keep: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let library = path.extension().is_some_and(|extension| extension == "so");
        if library && path != keep {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_names_the_library() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"pepjit_runtime","kind":["cdylib","rlib"]},
            "filenames":["/t/release/libpepjit_runtime.rlib","/t/release/libpepjit_runtime.so"]}"#;
        assert_eq!(artifact(line), Some("/t/release/libpepjit_runtime.so".into()));
        assert_eq!(artifact(&line.replace("pepjit_runtime\",\"kind", "other\",\"kind")), None);
        assert_eq!(artifact("warning: text"), None);
    }

    #[test]
    fn autoload_is_one_line_that_begins_with_import() {
        assert!(AUTOLOAD.starts_with("import ") && AUTOLOAD.ends_with(")\n"));
        assert_eq!(AUTOLOAD.matches('\n').count(), 1, "site reads line by line: {AUTOLOAD}");
    }

    #[test]
    fn a_library_is_replaced_whole_and_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("new.so"), dir.path().join("out/pepjit.cpython-314.so"));
        fs::create_dir_all(dir.path().join("out")).unwrap();
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        fs::write(dir.path().join("out/pepjit.so"), "another").unwrap();
        remove_other_builds(&dir.path().join("out"), &to).unwrap();
        replace(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "new");
        assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 1);
    }
}
