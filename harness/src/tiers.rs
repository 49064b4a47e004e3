//! Tiers: an interpreter, how it is told to run, and how a process of it proves what ran.
//!
//! To add a tier, add a row to [`CATALOGUE`]: its environment says what it is, and [`TierKind::of`] reads the
//! proof it owes from there, so a run can be resumed from its manifest alone.

use std::collections::BTreeMap;

use crate::interpreters::{Interpreter, OwnJit, Unsupported};
use crate::model::TierRecord;

/// The name of the tier that the others are compared with.
pub const BASELINE: &str = "interp";

/// Switches that every tier sets, so that nothing depends on a default of the build or the user's shell. All
/// values have one character: the environments stay equally long.
pub(crate) const SWITCHES: [&str; 3] = ["PEPJIT", "PEPJIT_IDLE", "PYTHON_JIT"];

/// A tier that can be asked for by name.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Known {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a few words.
    pub description: &'static str,
    /// The variables that make it what it is, beyond the switches that are off.
    env: &'static [(&'static str, &'static str)],
    /// Whether it runs when no tiers are named (and the interpreter can).
    pub default: bool,
}

/// Every tier, in the order of tables.
pub const CATALOGUE: [Known; 6] = [
    Known { name: BASELINE, description: "the interpreter: the baseline", env: &[], default: true },
    Known { name: "interp-aa", description: "the interpreter again: the noise floor", env: &[], default: true },
    Known {
        name: "pepjit-idle",
        description: "our JIT loaded, compiling nothing: what the hooks cost",
        env: &[("PEPJIT", "1"), ("PEPJIT_IDLE", "1")],
        default: true,
    },
    Known { name: "pepjit", description: "our JIT with its default policy", env: &[("PEPJIT", "1")], default: true },
    Known {
        name: "pepjit-reference",
        description: "our JIT on the reference back end: correct, not fast",
        env: &[("PEPJIT", "1"), ("PEPJIT_BACKEND", "reference")],
        default: false,
    },
    Known { name: "cpython-jit", description: "CPython's own JIT", env: &[("PYTHON_JIT", "1")], default: true },
];

/// Why a tier can't be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TierError {
    /// There is no tier of that name.
    #[error("unknown tier `{name}`: choose from {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// This interpreter can't run it.
    #[error("tier `{name}` cannot run on {interpreter}: {cause}")]
    Unavailable {
        /// The tier.
        name: String,
        /// The interpreter.
        interpreter: String,
        /// Cause and cure.
        cause: String,
    },
    /// The list leaves the baseline out.
    #[error("--tiers leaves out `{BASELINE}`, which every other tier is compared with: add it")]
    NoBaseline,
    /// The list has nothing to compare.
    #[error("--tiers names the baseline alone: add one to compare it with, such as interp-aa or pepjit")]
    Alone,
    /// A name stands in the list twice.
    #[error("--tiers names `{0}` twice: name each tier once")]
    Twice(String),
}

/// What a process of a tier has to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TierKind {
    /// Neither JIT is at work.
    Interpreter,
    /// Our JIT is loaded and compiled nothing.
    PepjitIdle,
    /// Our JIT is loaded; whether it compiled something is noted.
    Pepjit,
    /// CPython's own JIT is on.
    CpythonJit,
    /// A tier that says itself what proves it.
    Declared,
}

impl TierKind {
    /// Reads the kind from the tier's environment.
    pub fn of(tier: &TierRecord) -> Self {
        if !tier.prove.is_empty() {
            return Self::Declared;
        }
        let on = |name: &str| tier.env.get(name).is_some_and(|value| !matches!(value.as_str(), "" | "0"));
        match (on("PEPJIT"), on("PEPJIT_IDLE"), on("PYTHON_JIT")) {
            (true, true, _) => Self::PepjitIdle,
            (true, false, _) => Self::Pepjit,
            (false, _, true) => Self::CpythonJit,
            (false, _, false) => Self::Interpreter,
        }
    }

    /// Whether a tier needs a build of our module, whatever it has to prove.
    pub fn needs_module(tier: &TierRecord) -> bool {
        tier.env.get("PEPJIT").is_some_and(|value| !matches!(value.as_str(), "" | "0"))
    }

    /// Whether each process has to prove that a JIT was at work.
    pub fn needs_proof(self) -> bool {
        matches!(self, Self::Pepjit | Self::CpythonJit | Self::Declared)
    }
}

fn known(name: &str) -> Result<&'static Known, TierError> {
    CATALOGUE.iter().find(|known| known.name == name).ok_or_else(|| TierError::Unknown {
        name: name.to_owned(),
        known: CATALOGUE.map(|known| known.name).iter().chain(&crate::declared::BUILT_IN).copied().collect::<Vec<_>>().join(", "),
    })
}

/// Whether `interpreter` can run the tier of this name.
///
/// # Errors
/// [`TierError::Unknown`], or [`TierError::Unavailable`] with cause and cure.
pub fn check(name: &str, interpreter: &Interpreter) -> Result<(), TierError> {
    let unavailable = |cause: String| TierError::Unavailable { name: name.to_owned(), interpreter: interpreter.name(), cause };
    let refused = |cause: Unsupported| unavailable(cause.to_string());
    match TierKind::of(&record_of(known(name)?, interpreter)) {
        TierKind::Interpreter | TierKind::Declared => interpreter.check_version().map_err(refused),
        TierKind::PepjitIdle | TierKind::Pepjit => interpreter.check_jit().map_err(refused),
        TierKind::CpythonJit => {
            interpreter.check_version().map_err(refused)?;
            if interpreter.own_jit != OwnJit::Absent {
                Ok(())
            } else if interpreter.version.minor < 14 {
                Err(unavailable("its `sys._jit` came with 3.14: use 3.14 or 3.15".to_owned()))
            } else {
                Err(unavailable(
                    "it was built without it: use a build configured with --enable-experimental-jit=yes-off, \
                     such as Debian's (`ci/get-pythons`)"
                        .to_owned(),
                ))
            }
        }
    }
}

/// The tiers that run when none are named: every default one that this interpreter can run.
pub fn defaults(interpreter: &Interpreter) -> Vec<TierRecord> {
    CATALOGUE
        .iter()
        .filter(|known| known.default && check(known.name, interpreter).is_ok())
        .map(|known| record_of(known, interpreter))
        .collect()
}

/// The tiers of these names, in this order; those of `declared` beside the catalogue's.
///
/// # Errors
/// [`TierError`] for a name that is unknown, unavailable or doubled, or a list without the baseline.
pub fn select(names: &[String], interpreter: &Interpreter, declared: &[TierRecord]) -> Result<Vec<TierRecord>, TierError> {
    let mut tiers: Vec<TierRecord> = Vec::new();
    for name in names {
        let own = declared.iter().find(|tier| tier.name == *name);
        if own.is_none() {
            check(name, interpreter)?;
        }
        if tiers.iter().any(|tier| tier.name == *name) {
            return Err(TierError::Twice(name.clone()));
        }
        tiers.push(match own {
            Some(own) => own.clone(),
            None => record_of(known(name)?, interpreter),
        });
    }
    if !tiers.iter().any(|tier| tier.name == BASELINE) {
        return Err(TierError::NoBaseline);
    }
    if tiers.len() < 2 {
        return Err(TierError::Alone);
    }
    Ok(tiers)
}

fn record_of(known: &Known, interpreter: &Interpreter) -> TierRecord {
    let mut env: BTreeMap<String, String> = SWITCHES.iter().map(|name| ((*name).to_owned(), "0".to_owned())).collect();
    env.extend(known.env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut record = TierRecord {
        name: known.name.to_owned(),
        interpreter: interpreter.path.clone(),
        version: interpreter.version.to_string(),
        build_flags: build_flags(interpreter),
        sha256: interpreter.sha256.clone(),
        env,
        ..TierRecord::default()
    };
    record.needs_proof = TierKind::of(&record).needs_proof();
    record
}

/// What of the interpreter's configuration bears on speed, as `sysconfig` states it.
pub fn build_flags(interpreter: &Interpreter) -> Vec<String> {
    let args = &interpreter.config_args;
    let mut flags: Vec<String> =
        interpreter.opt.split_whitespace().filter(|flag| flag.starts_with("-O")).map(str::to_owned).collect();
    let mut flag = |there: bool, name: &str| {
        if there {
            flags.push(name.to_owned());
        }
    };
    flag(args.contains("--enable-optimizations"), "PGO");
    flag(args.contains("--with-lto"), "LTO");
    flag(args.contains("--enable-shared"), "shared");
    flag(args.contains("--with-tail-call-interp"), "tail-call");
    flag(args.contains("--with-computed-gotos"), "computed-gotos");
    flag(interpreter.free_threaded, "free-threaded");
    flag(interpreter.debug, "debug");
    match interpreter.own_jit {
        OwnJit::Absent => {}
        OwnJit::Off => flags.push("jit (off)".to_owned()),
        OwnJit::On => flags.push("jit (on)".to_owned()),
    }
    flags.push(interpreter.compiler.clone());
    flags
}

#[cfg(test)]
mod tests {
    use super::TierKind::{CpythonJit, Interpreter, Pepjit, PepjitIdle};
    use super::*;
    use crate::interpreters::{Implementation, Source, Version};

    fn python(minor: u8, own_jit: OwnJit) -> crate::interpreters::Interpreter {
        let text = serde_json::json!({
            "path": "/usr/bin/python3", "source": Source::Path, "implementation": Implementation::Cpython,
            "version": Version { major: 3, minor, micro: 1, level: "final".to_owned(), serial: 0 },
            "free_threaded": false, "debug": false, "ext_suffix": ".so", "include": "/usr/include",
            "has_headers": true, "has_internal_headers": true, "own_jit": own_jit,
            "config_args": "'--enable-optimizations' '--with-lto'", "opt": "-DNDEBUG -g -O3 -Wall",
            "compiler": "GCC 14.2.0", "sha256": "00"
        });
        serde_json::from_value(text).unwrap()
    }

    fn names(tiers: &[TierRecord]) -> Vec<&str> {
        tiers.iter().map(|tier| tier.name.as_str()).collect()
    }

    #[test]
    fn the_defaults_are_what_the_interpreter_can_run() {
        let with_jit = defaults(&python(15, OwnJit::Off));
        assert_eq!(names(&with_jit), ["interp", "interp-aa", "pepjit-idle", "pepjit", "cpython-jit"]);
        let without = defaults(&python(13, OwnJit::Absent));
        assert_eq!(names(&without), ["interp", "interp-aa", "pepjit-idle", "pepjit"]);
        let mut bare = python(13, OwnJit::Absent);
        bare.has_headers = false;
        assert_eq!(names(&defaults(&bare)), ["interp", "interp-aa"]);
    }

    #[test]
    fn a_tiers_environment_says_what_it_has_to_prove() {
        let interpreter = python(15, OwnJit::On);
        let kinds: Vec<TierKind> = CATALOGUE.iter().map(|known| TierKind::of(&record_of(known, &interpreter))).collect();
        assert_eq!(kinds, [Interpreter, Interpreter, PepjitIdle, Pepjit, Pepjit, CpythonJit]);
        let baseline = record_of(&CATALOGUE[0], &interpreter);
        assert_eq!(baseline.env["PYTHON_JIT"], "0", "a build whose JIT is on by default is told to leave it off");
        assert!(!baseline.needs_proof);
        assert!(record_of(&CATALOGUE[3], &interpreter).needs_proof);
    }

    #[test]
    fn a_list_is_checked_before_anything_runs() {
        let interpreter = python(13, OwnJit::Absent);
        let select = |names: &[&str]| select(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), &interpreter, &[]);
        assert_eq!(names(&select(&["pepjit", "interp"]).unwrap()), ["pepjit", "interp"]);
        let unknown = select(&["interp", "turbo"]).unwrap_err().to_string();
        assert!(unknown.contains("`turbo`") && unknown.contains("pepjit-idle"), "{unknown}");
        let early = select(&["interp", "cpython-jit"]).unwrap_err().to_string();
        assert!(early.contains("use 3.14 or 3.15"), "{early}");
        assert_eq!(select(&["pepjit", "interp-aa"]), Err(TierError::NoBaseline));
        assert_eq!(select(&["interp"]), Err(TierError::Alone));
        assert_eq!(select(&["interp", "interp"]), Err(TierError::Twice("interp".to_owned())));
    }

    #[test]
    fn build_flags_name_what_bears_on_speed() {
        let flags = build_flags(&python(15, OwnJit::Off));
        assert_eq!(flags, ["-O3", "PGO", "LTO", "jit (off)", "GCC 14.2.0"]);
    }
}
