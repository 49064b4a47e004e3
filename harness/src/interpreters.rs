//! Finds Python interpreters and says what each one is and can run.
//!
//! An interpreter is known by what it answers when asked (`sysconfig`, `sys.implementation`, the
//! files it brings), never by its name or its place.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The CPython minor versions (of major version 3) that the JIT knows.
pub const SUPPORTED_MINORS: [u8; 3] = [13, 14, 15];

/// How long an interpreter may take to answer what it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

/// What every interpreter is asked. It prints one JSON object on one line.
const PROBE: &str = include_str!("probe.py");

/// Why an interpreter could not be found or used, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InterpreterError {
    /// The path that the user gave isn't there.
    #[error("{0} does not exist: give --python the path of an interpreter, a version such as 3.14, or a command on PATH")]
    Missing(PathBuf),
    /// The file is there but can't be started.
    #[error("{path} cannot be started: {source}. Give --python the path of a Python interpreter")]
    NotRunnable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file runs but doesn't answer like a Python interpreter.
    #[error("{path} does not answer like a Python interpreter ({reason}): check that it starts with `{path} -I -c pass`")]
    NotPython {
        /// The file.
        path: PathBuf,
        /// What was wrong with the answer.
        reason: String,
    },
    /// No interpreter of that version is known.
    #[error(
        "no Python {0} found (looked on PATH, in pyenv, uv and ci/get-pythons folders): install it with \
         `uv python install {0}`, or on Debian with `ci/get-pythons`, or give --python a path"
    )]
    NoSuchVersion(String),
    /// Nothing on this machine can run the JIT.
    #[error(
        "no supported CPython (3.13, 3.14 or 3.15, with the GIL and with its headers) was found: install one with \
         `uv python install 3.14`, or on Debian with `ci/get-pythons`, or give --python a path. \
         `cargo xtask doctor` lists what was found and what each lacks"
    )]
    NoneSupported,
}

/// Which Python it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Implementation {
    /// The reference implementation.
    Cpython,
    /// PyPy.
    Pypy,
    /// Any other (GraalPy, RustPython, ...).
    Other,
}

impl fmt::Display for Implementation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpython => "CPython",
            Self::Pypy => "PyPy",
            Self::Other => "other",
        })
    }
}

/// Where an interpreter was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Source {
    /// The user named it.
    Explicit,
    /// A folder of PATH.
    Path,
    /// A version that pyenv manages.
    Pyenv,
    /// A version that uv manages.
    Uv,
    /// A folder that `ci/get-pythons` filled.
    GetPythons,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Explicit => "--python",
            Self::Path => "PATH",
            Self::Pyenv => "pyenv",
            Self::Uv => "uv",
            Self::GetPythons => "get-pythons",
        })
    }
}

/// A version such as 3.14.8 or 3.15.0rc1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// 3.
    pub major: u8,
    /// 13, 14, 15, ...
    pub minor: u8,
    /// The bug-fix release.
    pub micro: u16,
    /// `sys.version_info.releaselevel`: alpha, beta, candidate or final (which sort in that order).
    pub level: String,
    /// The serial of a pre-release; 0 for a final one.
    pub serial: u16,
}

impl Version {
    /// The short form that names a minor version: "3.14".
    pub fn minor_name(&self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// Whether the JIT has an opcode table and a layout for this minor version.
    pub fn is_supported(&self) -> bool {
        self.major == 3 && SUPPORTED_MINORS.contains(&self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)?;
        match self.level.as_str() {
            "alpha" => write!(f, "a{}", self.serial),
            "beta" => write!(f, "b{}", self.serial),
            "candidate" => write!(f, "rc{}", self.serial),
            _ => Ok(()),
        }
    }
}

/// CPython's own JIT, as this interpreter was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum OwnJit {
    /// Not compiled in, or a version that has no `sys._jit`.
    Absent,
    /// Compiled in; off unless `PYTHON_JIT=1`.
    Off,
    /// Compiled in; on unless `PYTHON_JIT=0`.
    On,
}

/// Why an interpreter can't run the JIT. Each displays the cause and the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// PyPy and others.
    #[error("{0} is not CPython: use a CPython 3.13, 3.14 or 3.15 (`uv python install 3.14`)")]
    Implementation(Implementation),
    /// Too old or too new.
    #[error("CPython {0} is not supported: use 3.13, 3.14 or 3.15 (`uv python install 3.14`)")]
    Version(Version),
    /// Built without the GIL.
    #[error("CPython {0} is a free-threaded build, where the JIT refuses to load: use the GIL build (`uv python install {1}`)")]
    FreeThreaded(Version, String),
    /// Built with `--with-pydebug`.
    #[error(
        "CPython {0} is a debug build, whose object layout the JIT does not know: use a release build (`uv python install {1}`)"
    )]
    Debug(Version, String),
    /// `Python.h` or `internal/` isn't there.
    #[error("CPython {version} has no {missing}: {cure}")]
    Headers {
        /// The interpreter's version.
        version: Version,
        /// The file or folder that is missing.
        missing: String,
        /// How to get it.
        cure: String,
    },
}

/// One interpreter and what it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
#[non_exhaustive]
pub struct Interpreter {
    /// The executable as it was found: symbolic links (a virtual environment's, say) are kept.
    pub path: PathBuf,
    /// Where it was found.
    pub source: Source,
    /// CPython or another.
    pub implementation: Implementation,
    /// Its version.
    pub version: Version,
    /// Whether it was built without the GIL (`Py_GIL_DISABLED`).
    pub free_threaded: bool,
    /// Whether it was built with `--with-pydebug`.
    pub debug: bool,
    /// `sysconfig`'s `EXT_SUFFIX`, with which an extension module's file name ends.
    pub ext_suffix: String,
    /// The folder of `Python.h`, whether or not it's there.
    pub include: PathBuf,
    /// Whether `Python.h` is there.
    pub has_headers: bool,
    /// Whether `internal/pycore_frame.h` is there.
    pub has_internal_headers: bool,
    /// CPython's own JIT.
    pub own_jit: OwnJit,
    /// `sysconfig`'s `CONFIG_ARGS`: how it was configured.
    pub config_args: String,
    /// `sysconfig`'s `OPT`: the optimisation flags it was compiled with.
    pub opt: String,
    /// The compiler that `platform.python_compiler()` names.
    pub compiler: String,
    /// SHA-256 of the executable and, after it, of the shared libpython if there is one.
    pub sha256: String,
}

/// The probe's answer, field by field.
#[derive(Debug, Deserialize)]
struct Answer {
    implementation: String,
    version: (u8, u8, u16, String, u16),
    free_threaded: bool,
    debug: bool,
    ext_suffix: String,
    include: PathBuf,
    own_jit: OwnJit,
    config_args: String,
    opt: String,
    compiler: String,
    library: Option<PathBuf>,
}

impl Interpreter {
    /// Asks the executable at `path` what it is.
    ///
    /// # Errors
    /// [`InterpreterError`] if there is no such file, or it can't be started, or it doesn't answer like Python.
    pub fn probe(path: &Path, source: Source) -> Result<Self, InterpreterError> {
        if !path.exists() {
            return Err(InterpreterError::Missing(path.to_owned()));
        }
        let not_python = |reason: String| InterpreterError::NotPython { path: path.to_owned(), reason };
        let printed = ask(path, &["-I", "-c", PROBE])?;
        let line = printed.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let answer: Answer = serde_json::from_str(line).map_err(|error| {
            let shown: String = line.chars().take(80).collect();
            not_python(format!("it printed {shown:?}: {error}"))
        })?;
        let implementation = match answer.implementation.as_str() {
            "cpython" => Implementation::Cpython,
            "pypy" => Implementation::Pypy,
            _ => Implementation::Other,
        };
        let (major, minor, micro, level, serial) = answer.version;
        let sha256 = digest(&[Some(path), answer.library.as_deref()])
            .map_err(|source| InterpreterError::NotRunnable { path: path.to_owned(), source })?;
        Ok(Self {
            path: path.to_owned(),
            source,
            implementation,
            version: Version { major, minor, micro, level, serial },
            free_threaded: answer.free_threaded,
            debug: answer.debug,
            ext_suffix: answer.ext_suffix,
            has_headers: answer.include.join("Python.h").is_file(),
            has_internal_headers: answer.include.join("internal/pycore_frame.h").is_file(),
            include: answer.include,
            own_jit: answer.own_jit,
            config_args: answer.config_args,
            opt: answer.opt,
            compiler: answer.compiler,
            sha256,
        })
    }

    /// Whether this interpreter can run the workloads at all as a baseline: a CPython of a supported version.
    ///
    /// # Errors
    /// The first reason why not.
    pub fn check_version(&self) -> Result<(), Unsupported> {
        if self.implementation != Implementation::Cpython {
            return Err(Unsupported::Implementation(self.implementation));
        }
        if !self.version.is_supported() {
            return Err(Unsupported::Version(self.version.clone()));
        }
        Ok(())
    }

    /// Whether the JIT can be built for this interpreter and loaded into it.
    ///
    /// # Errors
    /// The first reason why not, with its cure.
    pub fn check_jit(&self) -> Result<(), Unsupported> {
        self.check_version()?;
        if self.free_threaded {
            return Err(Unsupported::FreeThreaded(self.version.clone(), self.version.minor_name()));
        }
        if self.debug {
            return Err(Unsupported::Debug(self.version.clone(), self.version.minor_name()));
        }
        let missing = if !self.has_headers {
            self.include.join("Python.h")
        } else if !self.has_internal_headers {
            self.include.join("internal/pycore_frame.h")
        } else {
            return Ok(());
        };
        Err(Unsupported::Headers {
            version: self.version.clone(),
            missing: missing.display().to_string(),
            cure: self.header_cure(),
        })
    }

    /// The `cp314`-style tag that names the folder of a module build.
    pub fn tag(&self) -> String {
        format!("cp{}{}", self.version.major, self.version.minor)
    }

    /// A short name for tables: "CPython 3.14.8" or "CPython 3.14.0t" for a free-threaded build.
    pub fn name(&self) -> String {
        let threads = if self.free_threaded { "t" } else { "" };
        format!("{} {}{threads}", self.implementation, self.version)
    }

    /// The one line that gets the headers of this interpreter.
    fn header_cure(&self) -> String {
        let minor = self.version.minor_name();
        match self.source {
            Source::Pyenv => format!("install it again with `pyenv install --force {}`", self.version),
            Source::Uv => format!("install it again with `uv python install --reinstall {minor}`"),
            Source::GetPythons => "run `ci/get-pythons` again".to_owned(),
            _ if Path::new("/etc/debian_version").exists() => format!("`apt install python{minor}-dev`"),
            _ if Path::new("/etc/redhat-release").exists() => format!("`dnf install python{minor}-devel`"),
            _ => format!("install the package python{minor}-dev (python{minor}-devel on Fedora and RHEL)"),
        }
    }
}

/// Runs `path` with `args` in an empty environment and returns what it printed.
fn ask(path: &Path, args: &[&str]) -> Result<String, InterpreterError> {
    let not_python = |reason: String| InterpreterError::NotPython { path: path.to_owned(), reason };
    let mut command = Command::new(path);
    command
        .args(args)
        .env_remove("PYTHONHOME")
        .env_remove("PYTHONPATH")
        .env_remove("PYTHON_JIT")
        .env("PEPJIT", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawn(&mut command).map_err(|source| InterpreterError::NotRunnable { path: path.to_owned(), source })?;
    // Both pipes are drained by threads, so that a chatty child can't block on a full one.
    let drain = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut text);
            }
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let out = drain(child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let err = drain(child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>));
    let started = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() > PROBE_TIMEOUT => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(not_python(format!("no answer in {} s", PROBE_TIMEOUT.as_secs())));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            Err(source) => return Err(InterpreterError::NotRunnable { path: path.to_owned(), source }),
        }
    };
    let out = out.join().unwrap_or_default();
    if status.success() {
        return Ok(out);
    }
    let err = err.join().unwrap_or_default();
    let last = err.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing on stderr");
    Err(not_python(format!("{status}: {last}")))
}

/// Starts a program; one that is being written to this very moment (an upgrade, say) is tried again for a while.
pub(crate) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    let mut tries = 0;
    loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries < 20 => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(25));
            }
            result => return result,
        }
    }
}

/// SHA-256 over the contents of `files`, in order, as hexadecimal digits.
pub(crate) fn digest(files: &[Option<&Path>]) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    for file in files.iter().flatten() {
        std::io::copy(&mut fs::File::open(file)?, &mut hasher)?;
    }
    Ok(hasher.finalize().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
}

/// The places to look for interpreters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Places {
    /// Folders of executables.
    pub path: Vec<PathBuf>,
    /// pyenv's root: `versions/*/bin` are searched.
    pub pyenv: Option<PathBuf>,
    /// uv's folder of interpreters: `*/bin` are searched.
    pub uv: Option<PathBuf>,
    /// Folders given to `ci/get-pythons`: `root/usr/bin` are searched.
    pub get_pythons: Vec<PathBuf>,
}

impl Places {
    /// The places that the environment names: `PATH`, `PYENV_ROOT`, `UV_PYTHON_INSTALL_DIR`, `PEPJIT_PYTHONS`
    /// (a PATH-like list that replaces the usual folders of `ci/get-pythons`), and the defaults under `HOME`.
    pub fn from_environment() -> Self {
        let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = folder("HOME");
        let under_home = |tail: &str| home.as_ref().map(|home| home.join(tail));
        let data = folder("XDG_DATA_HOME").or_else(|| under_home(".local/share"));
        let split =
            |name: &str| std::env::var_os(name).map(|value| std::env::split_paths(&value).filter(|p| p.is_absolute()).collect());
        Self {
            path: split("PATH").unwrap_or_default(),
            pyenv: folder("PYENV_ROOT").or_else(|| under_home(".pyenv")),
            uv: folder("UV_PYTHON_INSTALL_DIR").or_else(|| data.map(|data| data.join("uv/python"))),
            get_pythons: split("PEPJIT_PYTHONS").unwrap_or_else(|| under_home(".cache/pythons").into_iter().collect()),
        }
    }

    /// Every file that is named like an interpreter, in the order of preference, each file once.
    fn candidates(&self) -> Vec<(PathBuf, Source)> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        let mut look = |folder: &Path, source: Source| {
            for path in sorted_entries(folder) {
                if !path.file_name().is_some_and(is_python_name) || !path.is_file() {
                    continue;
                }
                // python3 and python3.14 are one interpreter, wherever the links lead.
                if seen.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
                    found.push((path, source));
                }
            }
        };
        for folder in &self.path {
            // pyenv's shims start whatever version is active: the versions themselves are looked at below.
            if !folder.ends_with("shims") {
                look(folder, Source::Path);
            }
        }
        let managed = [(self.pyenv.as_ref().map(|root| root.join("versions")), Source::Pyenv), (self.uv.clone(), Source::Uv)];
        for (root, source) in managed {
            for version in root.iter().flat_map(|root| sorted_entries(root)) {
                look(&version.join("bin"), source);
            }
        }
        for root in &self.get_pythons {
            look(&root.join("root/usr/bin"), Source::GetPythons);
        }
        found
    }
}

/// A folder's entries by name, longest names first among equals of a prefix, so that `python3.14` comes before `python3`.
fn sorted_entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort_by(|a, b| b.cmp(a));
    entries
}

/// Whether a file is named like an interpreter: python, python3, python3.14, python3.14t, pypy3, pypy3.11.
fn is_python_name(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let Some(rest) = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy")) else { return false };
    let rest = rest.strip_suffix('t').unwrap_or(rest);
    rest.is_empty()
        || rest.strip_prefix('3').is_some_and(|minor| {
            minor.is_empty()
                || minor
                    .strip_prefix('.')
                    .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        })
}

/// What a search found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Found {
    /// The interpreters that answered, newest first; of equal versions, the one found first.
    pub interpreters: Vec<Interpreter>,
    /// The files that look like interpreters but didn't answer as one.
    pub broken: Vec<InterpreterError>,
}

impl Found {
    /// The newest interpreter that can run the JIT.
    ///
    /// # Errors
    /// [`InterpreterError::NoneSupported`] if there is none.
    pub fn best(&self) -> Result<&Interpreter, InterpreterError> {
        self.interpreters.iter().find(|found| found.check_jit().is_ok()).ok_or(InterpreterError::NoneSupported)
    }
}

/// Looks for interpreters in `places`, newest first. Python 2 is left out.
pub fn discover(places: &Places) -> Found {
    let mut found = Found::default();
    let mut seen = BTreeSet::new();
    for (path, source) in places.candidates() {
        match Interpreter::probe(&path, source) {
            Ok(interpreter) => {
                // A folder on PATH may be a copy of, or a link to, one that is managed.
                let same = (interpreter.sha256.clone(), interpreter.include.clone());
                if seen.insert(same) {
                    found.interpreters.push(interpreter);
                }
            }
            Err(error) => found.broken.push(error),
        }
    }
    found.interpreters.sort_by_key(|found| std::cmp::Reverse(found.version.clone()));
    found
}

/// The interpreter that a user means by `name`: a path, a version ("3.14", "3.14.8", "3.14t") or a command on PATH.
///
/// # Errors
/// [`InterpreterError`] if there is none, or it doesn't answer like Python.
pub fn resolve(name: &str, places: &Places) -> Result<Interpreter, InterpreterError> {
    if name.contains('/') {
        return Interpreter::probe(&absolute(Path::new(name)), Source::Explicit);
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        let (digits, free_threaded) = name.strip_suffix('t').map_or((name, false), |digits| (digits, true));
        let wanted = |found: &&Interpreter| {
            let version = found.version.to_string();
            found.implementation == Implementation::Cpython
                && found.free_threaded == free_threaded
                && (version == digits || found.version.minor_name() == digits)
        };
        let found = discover(places);
        // Of several, one that can run the JIT is the better answer.
        return found
            .interpreters
            .iter()
            .filter(wanted)
            .find(|found| found.check_jit().is_ok())
            .or_else(|| found.interpreters.iter().find(wanted))
            .cloned()
            .ok_or_else(|| InterpreterError::NoSuchVersion(name.to_owned()));
    }
    let on_path = places.path.iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    Interpreter::probe(&on_path.unwrap_or_else(|| PathBuf::from(name)), Source::Explicit)
}

/// `path` made absolute without following links: a virtual environment's interpreter is a link that must stay one.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
