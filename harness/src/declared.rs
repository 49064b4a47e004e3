//! Tiers beyond the catalogue: those that users declare in TOML, CinderX, `PyPy`, and our JIT in one process with others.
//!
//! A declared tier says in Python what turns its JIT on (`setup`, run as each process starts) and what proves that it was
//! at work (`prove`, an expression evaluated as the process ends, above 0 if so). Like every tier with a JIT it fails where
//! it can't prove it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use thiserror::Error;

use crate::coexist;
use crate::interpreters::{Implementation, Interpreter, InterpreterError, Places, discover, resolve};
use crate::model::TierRecord;
use crate::pyperformance::cache;
use crate::tiers::{SWITCHES, build_flags};

/// The tiers of this module that need no declaration.
pub const BUILT_IN: [&str; 4] = ["cinderx", "pypy", coexist::NUMBA.tier, coexist::TORCH.tier];

/// Why a declared tier can't be had.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum DeclaredError {
    #[error("cannot read the tiers {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the tiers {path} are not valid: {message}")]
    Parse { path: PathBuf, message: String },
    #[error("tier `{name}` of {path}: {message}")]
    Tier { path: PathBuf, name: String, message: String },
    #[error("tier `cinderx` cannot run on {python}: {cause}")]
    Cinderx { python: String, cause: String },
    #[error("tier `{tier}` cannot run on {python}: {cause}. Get what it needs: {command}")]
    Companion { tier: String, python: String, cause: String, command: String },
    #[error(
        "tier `pypy`: no PyPy was found on PATH, in pyenv or in uv. Get one: uv python install pypy, or pyenv install pypy3.11"
    )]
    NoPypy,
    #[error(transparent)]
    Interpreter(#[from] InterpreterError),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "tier", default)]
    tiers: Vec<Declaration>,
}

/// One `[[tier]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    name: String,
    /// A path, a version or a command; the run's interpreter without it.
    interpreter: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// A folder with a build of our module, for comparing two of them.
    module: Option<PathBuf>,
    #[serde(default)]
    python_path: Vec<PathBuf>,
    #[serde(default)]
    setup: String,
    #[serde(default)]
    prove: String,
}

/// The tiers of a file, for a run with `python`.
///
/// # Errors
/// [`DeclaredError`] for a file that isn't in order, or a tier whose interpreter or folders aren't there.
pub fn load(path: &Path, python: &Interpreter, places: &Places) -> Result<Vec<TierRecord>, DeclaredError> {
    let text = std::fs::read_to_string(path).map_err(|source| DeclaredError::Read { path: path.to_owned(), source })?;
    let parse = |message: String| DeclaredError::Parse { path: path.to_owned(), message };
    let file: File = toml::from_str(&text).map_err(|e| parse(e.to_string().trim().to_owned()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut tiers: Vec<TierRecord> = Vec::new();
    for declaration in file.tiers {
        let wrong = |message: &str| DeclaredError::Tier {
            path: path.to_owned(),
            name: declaration.name.clone(),
            message: message.to_owned(),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if declaration.name.is_empty() || !declaration.name.chars().all(plain) {
            return Err(wrong("a name is letters, digits, - and _"));
        }
        let taken = crate::tiers::CATALOGUE.iter().map(|known| known.name).chain(BUILT_IN);
        if taken.into_iter().any(|name| name == declaration.name) || tiers.iter().any(|t| t.name == declaration.name) {
            return Err(wrong("the name is taken: choose another"));
        }
        if !declaration.setup.is_empty() && declaration.prove.is_empty() {
            return Err(wrong("`setup` without `prove`: say how a process shows that the JIT was at work"));
        }
        if let Some(gone) = declaration.module.iter().chain(&declaration.python_path).find(|p| !folder.join(p).is_dir()) {
            return Err(wrong(&format!("there is no folder {}", folder.join(gone).display())));
        }
        let other = declaration.interpreter.as_ref().map(|name| resolve(name, places)).transpose()?;
        let mut tier = record(&declaration.name, other.as_ref().unwrap_or(python));
        let absolute = |p: &PathBuf| std::path::absolute(folder.join(p)).unwrap_or_else(|_| folder.join(p));
        tier.module = declaration.module.as_ref().map(absolute);
        tier.python_path = declaration.python_path.iter().map(absolute).collect();
        tier.args = declaration.args;
        tier.env.extend(declaration.env);
        (tier.setup, tier.prove) = (declaration.setup, declaration.prove);
        tier.needs_proof = crate::tiers::TierKind::of(&tier).needs_proof();
        tiers.push(tier);
    }
    Ok(tiers)
}

/// A tier of this module by name; `None` if it has none of that name.
///
/// # Errors
/// [`DeclaredError`] if it can't run here, with the cure.
pub fn built_in(
    name: &str,
    python: &Interpreter,
    places: &Places,
    told: &mut dyn FnMut(&str),
) -> Option<Result<TierRecord, DeclaredError>> {
    match name {
        "cinderx" => Some(cinderx(python, told)),
        "pypy" => Some(pypy(places)),
        name => [&coexist::NUMBA, &coexist::TORCH].into_iter().find(|c| c.tier == name).map(|c| coexist::tier(c, python, told)),
    }
}

/// CinderX from its wheel, with its own default policy.
fn cinderx(python: &Interpreter, told: &mut dyn FnMut(&str)) -> Result<TierRecord, DeclaredError> {
    let cannot = |cause: String| DeclaredError::Cinderx { python: python.name(), cause };
    if python.implementation != Implementation::Cpython || python.version.minor < 14 {
        return Err(cannot("its wheels are for CPython 3.14 and later".to_owned()));
    }
    let probe = "import importlib.metadata as m, cinderx.jit as j; assert j.is_available(); print(m.version('cinderx'))";
    let mut tier = record("cinderx", python);
    let found = package("cinderx", &["--no-deps"], true, python, probe, &mut tier, told);
    let Some(version) = found else {
        let cure = format!("install it: {} -m pip install cinderx", python.path.display());
        return Err(cannot(format!("its package isn't there and can't be got for this interpreter. {cure}")));
    };
    tier.build_flags.push(format!("cinderx {version}"));
    "import cinderx.jit\ncinderx.jit.auto()".clone_into(&mut tier.setup);
    "len(cinderx.jit.get_compiled_functions())".clone_into(&mut tier.prove);
    tier.needs_proof = true;
    Ok(tier)
}

/// The version of a package that the interpreter has, or that a folder of the user's cache has for it, which goes on the tier's
/// path. With `get` it's installed there if need be, for this version of Python.
pub(crate) fn package(
    name: &str,
    options: &[&str],
    get: bool,
    python: &Interpreter,
    probe: &str,
    tier: &mut TierRecord,
    told: &mut dyn FnMut(&str),
) -> Option<String> {
    let version = |folder: Option<&Path>| {
        let mut command = Command::new(&python.path);
        command.args(["-c", probe]).env("PYTHONNOUSERSITE", "1").env_remove("PYTHONPATH").env("PEPJIT", "0");
        if let Some(folder) = folder {
            command.env("PYTHONPATH", folder);
        }
        let done = command.output().ok().filter(|done| done.status.success())?;
        Some(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    };
    if let Some(version) = version(None) {
        return Some(version);
    }
    let folder = package_folder(name, python);
    tier.python_path = vec![folder.clone()];
    if let Some(version) = version(Some(&folder)) {
        return Some(version);
    }
    if !get {
        return None;
    }
    told(&format!("installing {name} into {}", folder.display()));
    let (target, minor) = (folder.display().to_string(), format!("3.{}", python.version.minor));
    let common = ["--quiet", "--only-binary=:all:", "--python-version", &minor, "--target", &target];
    // pip holds a wheel's Python against its own version too, whatever version it is asked for.
    let attempts = [("python3", vec!["-m", "pip", "install", "--ignore-requires-python"]), ("uv", vec!["pip", "install"])];
    let done = attempts.iter().any(|(program, first)| {
        let mut command = Command::new(program);
        command.args(first).args(common).args(options).arg(name);
        command.output().is_ok_and(|done| done.status.success())
    });
    version(Some(&folder)).filter(|_| done)
}

/// Where a package is kept for an interpreter.
pub(crate) fn package_folder(name: &str, python: &Interpreter) -> PathBuf {
    cache(&format!("{name}-{}", python.tag()))
}

/// The newest `PyPy` found.
fn pypy(places: &Places) -> Result<TierRecord, DeclaredError> {
    let found = discover(places).interpreters;
    let named = || ["pypy3", "pypy"].iter().find_map(|name| resolve(name, places).ok());
    let python = found.into_iter().find(|p| p.implementation == Implementation::Pypy).or_else(named);
    let python = python.filter(|p| p.implementation == Implementation::Pypy).ok_or(DeclaredError::NoPypy)?;
    let mut tier = record("pypy", &python);
    "import sys".clone_into(&mut tier.setup);
    "int(sys.pypy_translation_info['translation.jit'])".clone_into(&mut tier.prove);
    tier.needs_proof = true;
    Ok(tier)
}

pub(crate) fn record(name: &str, python: &Interpreter) -> TierRecord {
    TierRecord {
        name: name.to_owned(),
        interpreter: python.path.clone(),
        version: python.version.to_string(),
        build_flags: build_flags(python),
        sha256: python.sha256.clone(),
        env: SWITCHES.iter().map(|switch| ((*switch).to_owned(), "0".to_owned())).collect(),
        ..TierRecord::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiers::TierKind;

    fn python() -> Interpreter {
        let text = serde_json::json!({
            "path": "/usr/bin/python3.15", "source": "path", "implementation": "cpython",
            "version": { "major": 3, "minor": 15, "micro": 0, "level": "final", "serial": 0 },
            "free_threaded": false, "debug": false, "ext_suffix": ".so", "include": "/usr/include",
            "has_headers": true, "has_internal_headers": true, "own_jit": "absent",
            "config_args": "", "opt": "-O3", "compiler": "GCC", "sha256": "00"
        });
        serde_json::from_value(text).unwrap()
    }

    fn loaded(text: &str) -> Result<Vec<TierRecord>, DeclaredError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("build")).unwrap();
        let path = folder.path().join("tiers.toml");
        std::fs::write(&path, text).unwrap();
        load(&path, &python(), &Places::default())
    }

    #[test]
    fn a_tier_is_what_its_declaration_says() {
        let tiers = loaded(
            "[[tier]]\nname = \"mine\"\nargs = [\"-X\", \"fast\"]\nenv = { FAST = \"1\" }\nsetup = \"import fast\"\n\
             prove = \"fast.count()\"\npython_path = [\"build\"]\n\
             [[tier]]\nname = \"old\"\nenv = { PEPJIT = \"1\" }\nmodule = \"build\"\n",
        )
        .unwrap();
        let (mine, old) = (&tiers[0], &tiers[1]);
        assert_eq!((TierKind::of(mine), TierKind::of(old)), (TierKind::Declared, TierKind::Pepjit));
        assert!(mine.needs_proof && old.needs_proof);
        assert_eq!((mine.env["FAST"].as_str(), mine.env["PEPJIT"].as_str()), ("1", "0"));
        assert_eq!(mine.args, ["-X", "fast"]);
        assert!(mine.python_path[0].is_absolute() && mine.python_path[0].ends_with("build"));
        assert!(old.module.as_ref().is_some_and(|module| module.ends_with("build")));
    }

    #[test]
    fn bad_declarations_are_refused() {
        for (text, cause) in [
            ("[[tier]]\nname = \"interp\"\n", "taken"),
            ("[[tier]]\nname = \"cinderx\"\n", "taken"),
            ("[[tier]]\nname = \"a/b\"\n", "letters"),
            ("[[tier]]\nname = \"a\"\n[[tier]]\nname = \"a\"\n", "taken"),
            ("[[tier]]\nname = \"a\"\nsetup = \"import a\"\n", "without `prove`"),
            ("[[tier]]\nname = \"a\"\nmodule = \"gone\"\n", "there is no folder"),
            ("[[tier]]\nname = \"a\"\nprover = \"1\"\n", "prover"),
            ("[[tier]]\nname = \"a\"\ninterpreter = \"/no/such/python\"\n", "/no/such/python"),
        ] {
            let error = loaded(text).unwrap_err().to_string();
            assert!(error.contains(cause), "{error:?} lacks {cause:?}");
        }
    }
}
