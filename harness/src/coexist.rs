//! Tiers in which our JIT shares its process with another compiler: both have to be at work at the end of each process, with equal
//! results and our hooks in place, or the process has failed.

use crate::declared::{DeclaredError, package, package_folder, record};
use crate::interpreters::Interpreter;
use crate::model::TierRecord;

/// Another compiler for our JIT to get along with.
pub(crate) struct Companion {
    /// The tier's name.
    pub(crate) tier: &'static str,
    /// Its package.
    package: &'static str,
    /// Whether it's small enough to be got unasked.
    small: bool,
    /// Python that names it and says how it compiles a function, and whether it did.
    first: &'static str,
}

/// Numba, which compiles a function by itself.
pub(crate) const NUMBA: Companion = Companion {
    tier: "pepjit-numba",
    package: "numba",
    small: true,
    first: r"
import numba

NAME = 'numba'
another = numba.njit

def working(function):
    return bool(function.signatures)
",
};

/// `torch.compile`. Its front end hooks the evaluation of frames, which is what could get into our way; it needs no C++ compiler for
/// that. It compiles one step, since it would unroll the loop.
pub(crate) const TORCH: Companion = Companion {
    tier: "pepjit-torch",
    package: "torch",
    small: false,
    first: r"
import torch

NAME = 'torch'

@torch.compile(backend='eager')
def step(total, i):
    return (total * 31 + i) % 1000003

def another(function):
    def steps(n):
        total = torch.tensor(7)
        for i in range(n):
            total = step(total, torch.tensor(i))
        return int(total)
    return steps

def working(function):
    return torch._dynamo.utils.counters['frames']['ok'] > 0
",
};

/// What both run after that.
const COEXIST: &str = include_str!("coexist.py");

/// The tier of a companion.
///
/// # Errors
/// [`DeclaredError::Companion`] with the command that would get the package, where it isn't there.
pub(crate) fn tier(companion: &Companion, python: &Interpreter, told: &mut dyn FnMut(&str)) -> Result<TierRecord, DeclaredError> {
    let name = companion.package;
    let cannot = |cause: String| DeclaredError::Companion {
        tier: companion.tier.to_owned(),
        python: python.name(),
        cause,
        command: format!(
            "python3 -m pip install --ignore-requires-python --only-binary=:all: --python-version 3.{} --target {} {name}",
            python.version.minor,
            package_folder(name, python).display()
        ),
    };
    python.check_jit().map_err(|unsupported| cannot(unsupported.to_string()))?;
    let mut tier = record(companion.tier, python);
    let probe = format!("import {name}; print({name}.__version__)");
    let version = package(name, &[], companion.small, python, &probe, &mut tier, told).ok_or_else(|| {
        let tried = if companion.small { ", and there is no build of it for this interpreter" } else { "" };
        cannot(format!("{name} isn't there{tried}"))
    })?;
    tier.build_flags.push(format!("{name} {version}"));
    tier.env.insert("PEPJIT".to_owned(), "1".to_owned());
    tier.setup = format!("{}{COEXIST}", companion.first);
    "prove()".clone_into(&mut tier.prove);
    tier.needs_proof = true;
    Ok(tier)
}
