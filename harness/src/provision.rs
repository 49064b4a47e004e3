//! Gets a supported CPython where there is none.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::interpreters::{Interpreter, InterpreterError, Places, discover};

/// The version to get when none is asked for: the newest that uv and Debian both have as a final release.
pub const PREFERRED: &str = "3.14";

/// Why no interpreter could be had.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum ProvisionError {
    #[error(
        "there is no supported CPython (3.13, 3.14 or 3.15, with headers) here, and no way to get one by itself was found: \
         install uv (https://docs.astral.sh/uv) or, on Debian, run as root, then try again; or give --python a path"
    )]
    NoWay,
    #[error("{program} cannot be started: {source}. Install a CPython by hand and give --python its path")]
    Start { program: PathBuf, source: std::io::Error },
    #[error("`{command}` ended with {status}; its messages are above. Install a CPython by hand and give --python its path")]
    Failed { command: String, status: String },
    #[error("`{command}` did its work, but still no interpreter is usable: {cause}")]
    StillNone { command: String, cause: InterpreterError },
}

/// A way to get interpreters.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Way {
    /// The program.
    program: PathBuf,
    /// Its arguments.
    args: Vec<OsString>,
    /// What it does, to tell the user before it takes its time.
    pub description: String,
}

impl Way {
    /// uv, if it is on PATH; it brings one version.
    pub fn uv(places: &Places, version: &str) -> Option<Self> {
        let program = places.path.iter().map(|folder| folder.join("uv")).find(|path| path.is_file())?;
        let args = ["python", "install", version].map(OsString::from).to_vec();
        Some(Self { program, args, description: format!("getting CPython {version} with `uv python install {version}`") })
    }

    /// `ci/get-pythons` of the sources in `root`, on Debian; it brings 3.14 and 3.15.
    pub fn get_pythons(places: &Places, root: &Path) -> Option<Self> {
        let script = root.join("ci/get-pythons");
        let on_path = |name: &str| places.path.iter().any(|folder| folder.join(name).is_file());
        let debian = Path::new("/etc/debian_version").exists() && on_path("apt-get");
        // It needs patchelf, which only root can install.
        let able = on_path("patchelf") || rustix::process::geteuid().is_root();
        if !(debian && able && script.is_file()) {
            return None;
        }
        let folder = places.get_pythons.first()?;
        Some(Self {
            program: script,
            args: vec![folder.into()],
            description: format!(
                "getting CPython 3.14 and 3.15 from Debian into {} with `ci/get-pythons` (about 300 MB)",
                folder.display()
            ),
        })
    }

    /// Does it. What the program prints goes to our stderr: our stdout is for results.
    ///
    /// # Errors
    /// [`ProvisionError`] if it can't be started or fails.
    pub fn run(&self) -> Result<(), ProvisionError> {
        let status = Command::new(&self.program)
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(std::io::stderr())
            .status()
            .map_err(|source| ProvisionError::Start { program: self.program.clone(), source })?;
        if status.success() {
            Ok(())
        } else {
            Err(ProvisionError::Failed { command: self.command(), status: status.to_string() })
        }
    }

    /// The command as a user would type it.
    fn command(&self) -> String {
        let words = std::iter::once(self.program.as_os_str()).chain(self.args.iter().map(OsString::as_os_str));
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }
}

/// Gets a supported CPython by the first way there is, says so through `say`, and returns the best that is there then.
///
/// # Errors
/// [`ProvisionError`] if there is no way, or it fails, or what it brings is of no use.
pub fn provide(places: &Places, root: &Path, say: &mut dyn FnMut(&str)) -> Result<Interpreter, ProvisionError> {
    let way = Way::uv(places, PREFERRED).or_else(|| Way::get_pythons(places, root)).ok_or(ProvisionError::NoWay)?;
    say(&way.description);
    way.run()?;
    discover(places).best().cloned().map_err(|cause| ProvisionError::StillNone { command: way.command(), cause })
}
