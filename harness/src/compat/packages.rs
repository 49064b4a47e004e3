//! Packages that rows need: pinned, in a folder of the user's cache, got with pip or uv where they aren't there yet.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::declared::package_folder;
use crate::interpreters::Interpreter;
use crate::store::write_atomically;

/// A package, pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: &'static str,
    /// What is installed: it and what it needs.
    pub pinned: &'static [&'static str],
    /// Whether it is small enough to be got unasked.
    pub small: bool,
}

/// What is there of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Provided {
    /// The folder for the path.
    Here(PathBuf),
    /// Why not, and how to get it.
    Missing(String),
}

/// The folder of a package for an interpreter, after getting it if need be.
pub(super) fn provide(package: &Package, python: &Interpreter, told: &dyn Fn(&str)) -> Provided {
    // The versions are part of the name, so that a new pin is a new folder.
    let versions: Vec<&str> = package.pinned.iter().filter_map(|pin| pin.split("==").nth(1)).collect();
    let name = std::iter::once(package.name).chain(versions).collect::<Vec<_>>().join("-");
    let folder = package_folder(&name, python);
    // What a user has to get by hand is there when it's there.
    let done = folder.join(if package.small { "complete" } else { package.name });
    if done.exists() {
        return Provided::Here(folder);
    }
    let target = folder.display().to_string();
    let minor = format!("3.{}", python.version.minor);
    // A wheel for this interpreter, whatever interpreter pip runs on. pip holds a wheel's Python against its own version too.
    let common = ["--quiet", "--only-binary=:all:", "--python-version", &minor, "--target", &target];
    let pip = ["-m", "pip", "install", "--disable-pip-version-check", "--ignore-requires-python"];
    let command = format!("python3 {} {} {}", pip[..3].join(" "), common[1..].join(" "), package.pinned.join(" "));
    if !package.small {
        return Provided::Missing(format!("{} is not installed, and too large to be got unasked: {command}", package.name));
    }
    told(&format!("installing {} into {}", package.pinned.join(" "), folder.display()));
    let mut causes = Vec::new();
    for (program, first) in [("python3", &pip[..]), ("uv", &["pip", "install"][..])] {
        let mut command = Command::new(program);
        command.args(first).args(common).args(package.pinned).env("PEPJIT", "0").env_remove("PYTHONPATH").stdin(Stdio::null());
        match command.output() {
            Ok(output) if output.status.success() => match write_atomically(&done, b"") {
                Ok(()) => return Provided::Here(folder),
                Err(error) => causes.push(format!("{}: {error}", done.display())),
            },
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                causes.push(format!("{program}: {}", said.trim().lines().last().unwrap_or("it failed")));
            }
            Err(error) => causes.push(format!("{program}: {error}")),
        }
    }
    Provided::Missing(format!("{} can't be got ({}): {command}", package.name, causes.join("; ")))
}
