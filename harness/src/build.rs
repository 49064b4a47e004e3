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

/// The module that the .pth file imports, as the crate's build script calls it.
pub(crate) const STARTER: &str = "_pepjit_start";

/// Turns the JIT on in an interpreter whose environment asks for it, once that has run for a little. Python runs the lines of a .pth file that
/// begin with `import`, each time that it starts: what they take comes on top of each process, whether it wants the JIT or not.
const AUTOLOAD: &str = concat!(
    r#"import os; os.getenv('PEPJIT', '') in ('', '0') or exec("try:\n import _pepjit_start\nexcept ImportError as error:\n import sys\n "#,
    r#"print(f'pepjit: {error}; is it built for this Python?', file=sys.stderr)")"#,
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
    #[error(
        "cargo built {PACKAGE} but names no shared library, or no folder of its build script: is its crate-type still cdylib?"
    )]
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
    /// SHA-256 of the starter, which loads it.
    pub starter_sha256: String,
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
    starter_sha256: String,
}

/// What cargo has built.
#[derive(Debug, Default, PartialEq, Eq)]
struct Built {
    library: Option<PathBuf>,
    starter: Option<PathBuf>,
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

    let (library, starter) = compile(root, interpreter, quiet)?;
    let targets = [&library, &starter].into_iter().zip(["pepjit", STARTER]);
    let targets: Vec<_> =
        targets.map(|(built, name)| (built, folder.join(format!("{name}{}", interpreter.ext_suffix)))).collect();
    let (mut digests, mut changed) = (Vec::new(), false);
    for (built, target) in &targets {
        let sha256 = digest(&[Some(*built)]).map_err(write(built))?;
        if digest(&[Some(target)]).ok().as_ref() != Some(&sha256) {
            let keep: Vec<&Path> = targets.iter().map(|(_, target)| target.as_path()).collect();
            remove_other_builds(&folder, &keep).map_err(write(&folder))?;
            replace(built, target).map_err(write(target))?;
            changed = true;
        }
        digests.push(sha256);
    }
    let [sha256, starter_sha256] = <[String; 2]>::try_from(digests).map_err(|_| BuildError::NoLibrary)?;
    let autoload = folder.join("pepjit.pth");
    if fs::read_to_string(&autoload).ok().as_deref() != Some(AUTOLOAD) {
        write_atomically(&autoload, AUTOLOAD.as_bytes()).map_err(write(&autoload))?;
    }
    let note = Note {
        interpreter: interpreter.path.clone(),
        version: interpreter.version.to_string(),
        interpreter_sha256: interpreter.sha256.clone(),
        module_sha256: sha256.clone(),
        starter_sha256: starter_sha256.clone(),
    };
    let path = folder.join("build.json");
    let text = serde_json::to_string_pretty(&note).unwrap_or_default() + "\n";
    write_atomically(&path, text.as_bytes()).map_err(write(&path))?;
    Ok(Module { folder, sha256, starter_sha256, changed })
}

/// Runs cargo and returns the paths of the library and of the starter, as cargo itself names them.
fn compile(root: &Path, interpreter: &Interpreter, quiet: bool) -> Result<(PathBuf, PathBuf), BuildError> {
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
    let mut built = Built::default();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            built.note(&line);
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
    built.library.zip(built.starter).ok_or(BuildError::NoLibrary)
}

impl Built {
    /// Takes what a line of cargo's messages tells of our crate.
    fn note(&mut self, line: &str) {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { return };
        match message["reason"].as_str() {
            Some("compiler-artifact") if message["target"]["name"] == LIBRARY => {
                let shared = |path: &Path| path.extension().is_some_and(|extension| extension == "so" || extension == "dylib");
                let files = message["filenames"].as_array().into_iter().flatten();
                let library = files.filter_map(|file| file.as_str()).map(PathBuf::from).find(|path| shared(path));
                self.library = library.or(self.library.take());
            }
            // Other crates' scripts run too; none of them leaves such a file.
            Some("build-script-executed") => {
                let folder = message["out_dir"].as_str().map(Path::new);
                self.starter = folder
                    .map(|folder| folder.join(format!("{STARTER}.so")))
                    .filter(|path| path.exists())
                    .or(self.starter.take());
            }
            _ => {}
        }
    }
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
fn remove_other_builds(folder: &Path, keep: &[&Path]) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let library = path.extension().is_some_and(|extension| extension == "so");
        if library && !keep.contains(&path.as_path()) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_names_the_library_and_the_starter() {
        let note = |line: &str| {
            let mut built = Built::default();
            built.note(line);
            built
        };
        let line = r#"{"reason":"compiler-artifact","target":{"name":"pepjit_runtime","kind":["cdylib","rlib"]},
            "filenames":["/t/release/libpepjit_runtime.rlib","/t/release/libpepjit_runtime.so"]}"#;
        assert_eq!(note(line).library, Some("/t/release/libpepjit_runtime.so".into()));
        assert_eq!(note(&line.replace("pepjit_runtime\",\"kind", "other\",\"kind")), Built::default());
        assert_eq!(note("warning: text"), Built::default());
        let dir = tempfile::tempdir().unwrap();
        let executed = serde_json::json!({ "reason": "build-script-executed", "out_dir": dir.path() }).to_string();
        assert_eq!(note(&executed), Built::default(), "another crate's script");
        fs::write(dir.path().join("_pepjit_start.so"), "starter").unwrap();
        assert_eq!(note(&executed).starter, Some(dir.path().join("_pepjit_start.so")));
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
        let starter = dir.path().join("out/_pepjit_start.cpython-314.so");
        fs::write(&starter, "starter").unwrap();
        remove_other_builds(&dir.path().join("out"), &[&to, &starter]).unwrap();
        replace(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "new");
        assert_eq!(fs::read_to_string(&starter).unwrap(), "starter");
        assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 2);
    }
}
