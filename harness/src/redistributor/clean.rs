//! A build from nothing: a copy of the sources, an empty target folder, paths that leave no trace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use git2::Repository;

use super::packages::PACKAGE;
use super::{CleanBuild, RedistributorError};
use crate::build::STARTER;
use crate::interpreters::{Interpreter, digest};

/// How often memory is looked at. A process's peak stays with it, so that only its last moments are missed.
const LOOK: Duration = Duration::from_millis(200);

/// Ticks of a second in `/proc`: what Linux tells programs, whatever its own clock.
const TICKS: f64 = 100.0;

/// A build, with its module and the starter that loads it.
pub(super) struct Built {
    pub(super) facts: CleanBuild,
    pub(super) module: PathBuf,
    pub(super) starter: PathBuf,
}

/// Builds the module for `interpreter` in `folder`, which is made anew, from the sources in `root`.
pub(super) fn build(root: &Path, folder: &Path, interpreter: &Interpreter, jobs: usize) -> Result<Built, RedistributorError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| RedistributorError::Io { path, source }
    };
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(io(folder))?;
    }
    let (sources, target) = (folder.join("sources"), folder.join("target"));
    copy_sources(root, &sources)?;
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--release", "--locked", "--offline", "--quiet", "--package", PACKAGE, "--lib"])
        .args(["--jobs", &jobs.to_string()])
        .current_dir(&sources)
        .env("CARGO_TARGET_DIR", &target)
        .env("PEPJIT_PYTHON", &interpreter.path)
        .envs(flags(&sources, &target))
        // What cargo sets for the process that it runs is not for the one that builds, nor is what the user set for other builds.
        .env_remove("CARGO_MANIFEST_DIR")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_INCREMENTAL")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let (started, before) = (Instant::now(), children_ticks());
    let mut child = command.spawn().map_err(|e| RedistributorError::Cargo(format!("it cannot be started: {e}")))?;
    let mut peaks = BTreeMap::new();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| RedistributorError::Cargo(e.to_string()))? {
            break status;
        }
        look(child.id(), &mut peaks);
        std::thread::sleep(LOOK);
    };
    let wall_s = started.elapsed().as_secs_f64();
    if !status.success() {
        return Err(RedistributorError::Cargo(format!("the build failed ({status}); its messages are above")));
    }
    let module = target.join("release/libpepjit_runtime.so");
    let bytes = fs::metadata(&module).map_err(io(&module))?.len();
    let scripts = target.join("release/build");
    let starter = find_starter(&scripts).map_err(io(&scripts))?;
    let facts = CleanBuild {
        folder: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        wall_s,
        cpu_s: children_ticks().saturating_sub(before) as f64 / TICKS,
        peak_kib: peaks.values().copied().max().unwrap_or(0),
        jobs,
        sha256: digest(&[Some(&module)]).map_err(io(&module))?,
        bytes,
    };
    Ok(Built { facts, module, starter })
}

/// The starter, in the folder of the one build script that leaves it.
fn find_starter(scripts: &Path) -> std::io::Result<PathBuf> {
    for entry in fs::read_dir(scripts)? {
        let path = entry?.path().join("out").join(format!("{STARTER}.so"));
        if path.exists() {
            return Ok(path);
        }
    }
    Err(std::io::Error::new(std::io::ErrorKind::NotFound, format!("no build script has left {STARTER}.so")))
}

/// The variables that keep the build's folders out of the module: where cargo keeps packages, the sources, the target.
///
/// Rust's panics name source files, generated ones in the target folder too, and C's assertions would.
fn flags(sources: &Path, target: &Path) -> [(&'static str, String); 2] {
    let remap = |from: &Path, to: &str| format!("{}={to}", from.display());
    let maps = [remap(&cargo_home(), "/cargo"), remap(sources, "/pepjit"), remap(target, "/target")];
    let rust: Vec<String> = maps.iter().map(|map| format!("--remap-path-prefix={map}")).collect();
    let c: Vec<String> = maps.iter().map(|map| format!("-ffile-prefix-map={map}")).collect();
    // Between arguments that may hold spaces cargo wants this character.
    [("CARGO_ENCODED_RUSTFLAGS", rust.join("\u{1f}")), ("CFLAGS", c.join(" "))]
}

/// The same for who wants to repeat it by hand.
pub(super) fn recipe(interpreter: &Interpreter) -> Vec<String> {
    let map = |option: &str| {
        let maps = [("$CARGO_HOME", "/cargo"), ("$PWD", "/pepjit"), ("$CARGO_TARGET_DIR", "/target")];
        maps.map(|(from, to)| format!("{option}={from}={to}")).join(" ")
    };
    vec![
        format!("PEPJIT_PYTHON={}", interpreter.path.display()),
        "CARGO_TARGET_DIR=$PWD/target".to_owned(),
        format!("RUSTFLAGS=\"{}\"", map("--remap-path-prefix")),
        format!("CFLAGS=\"{}\"", map("-ffile-prefix-map")),
        "cargo fetch --locked".to_owned(),
        format!("cargo build --release --locked --offline --package {PACKAGE} --lib"),
        format!("cp target/release/build/{PACKAGE}-*/out/{STARTER}.so target/release/"),
    ]
}

fn cargo_home() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(home).unwrap_or_else(|| "/nonexistent".into())
}

/// The files that git knows of, below `root`.
pub(super) fn sources(root: &Path) -> Result<Vec<PathBuf>, RedistributorError> {
    let listed = Repository::open(root)
        .and_then(|repository| repository.index())
        .map_err(|source| RedistributorError::Sources { path: root.to_owned(), source })?;
    Ok(listed.iter().map(|entry| PathBuf::from(String::from_utf8_lossy(&entry.path).into_owned())).collect())
}

/// Copies what git knows of, as it is in the work tree.
fn copy_sources(root: &Path, to: &Path) -> Result<(), RedistributorError> {
    for path in sources(root)? {
        let (from, target) = (root.join(&path), to.join(&path));
        // What was deleted in the work tree and isn't committed is gone for a build too.
        if !from.is_file() {
            continue;
        }
        let io = |source| RedistributorError::Io { path: target.clone(), source };
        fs::create_dir_all(target.parent().unwrap_or(to)).map_err(io)?;
        fs::copy(&from, &target).map_err(io)?;
    }
    Ok(())
}

/// Processor time of this process's children that have ended, their own children included, in ticks (`cutime` and `cstime` of
/// proc(5)).
fn children_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = after_name(&stat);
    fields.iter().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// The fields of a `stat` after the name, which may hold anything; the first is the state, field 3 of proc(5).
fn after_name(stat: &str) -> Vec<&str> {
    stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default()
}

/// Notes the peaks of a process's descendants.
fn look(parent: u32, peaks: &mut BTreeMap<u32, u64>) {
    let Ok(entries) = fs::read_dir("/proc") else { return };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let mut parents: Vec<(u32, u32)> = pids
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, after_name(&stat).get(1)?.parse().ok()?))
        })
        .collect();
    let mut family = BTreeSet::from([parent]);
    // Children come after their parents, unless numbers began anew: a second round finds those.
    parents.sort_unstable();
    for _ in 0..2 {
        for (pid, parent) in &parents {
            if family.contains(parent) {
                family.insert(*pid);
            }
        }
    }
    for pid in family {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
        if let Some(peak) = peak {
            let known = peaks.entry(pid).or_default();
            *known = peak.max(*known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_no_field() {
        assert_eq!(after_name("42 (a) b (c)) S 1 2"), ["S", "1", "2"]);
    }

    #[test]
    fn a_childs_memory_and_time_are_seen() {
        let before = children_ticks();
        let busy = "x=$(head -c 20000000 /dev/zero | tr '\\0' x); i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let mut child = Command::new("sh").args(["-c", busy]).spawn().unwrap();
        let mut peaks = BTreeMap::new();
        while child.try_wait().unwrap().is_none() {
            look(child.id(), &mut peaks);
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(peaks.values().any(|kib| *kib > 18_000), "{peaks:?}");
        assert!(children_ticks() > before);
    }

    #[test]
    fn the_starter_is_where_a_build_script_left_it() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["another-1", "pepjit-runtime-2"] {
            fs::create_dir_all(dir.path().join(folder).join("out")).unwrap();
        }
        assert_eq!(find_starter(dir.path()).unwrap_err().kind(), std::io::ErrorKind::NotFound);
        let path = dir.path().join("pepjit-runtime-2/out/_pepjit_start.so");
        fs::write(&path, "starter").unwrap();
        assert_eq!(find_starter(dir.path()).unwrap(), path);
    }

    #[test]
    fn paths_are_mapped_and_the_longest_prefix_last() {
        let [(_, rust), (_, c)] = flags(Path::new("/a b/sources"), Path::new("/a b/target"));
        assert!(rust.contains("--remap-path-prefix=/a b/sources=/pepjit\u{1f}"), "{rust}");
        assert!(c.ends_with("=/target"), "{c}");
    }
}
