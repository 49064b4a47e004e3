//! What a new run is to be, from the options and from what the machine has.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pepjit_harness::declared;
use pepjit_harness::interpreters::{Interpreter, discover, resolve};
use pepjit_harness::machine::{self, Choice, Noise};
use pepjit_harness::model::{DesignKind, Manifest, RunDir, TierRecord};
use pepjit_harness::provision::provide;
use pepjit_harness::pyperformance::{PYPERFORMANCE, Package};
use pepjit_harness::runner::{Plan, Sizes, fit, round_duration};
use pepjit_harness::store::write_atomically;
use pepjit_harness::tiers::{self, TierKind};
use pepjit_harness::workloads::{BUILT_IN, QUICK, Suite};
use pepjit_reports::format;
use serde::{Deserialize, Serialize};

use super::{Args, places};
use crate::project;

/// How long a run with default sizes may take.
const BUDGET: Duration = Duration::from_mins(8);

/// The same of a suite of many programs that was asked for, such as pyperformance.
const SUITE_BUDGET: Duration = Duration::from_mins(75);

/// How long a run with default sizes and --quick may take.
const QUICK_BUDGET: Duration = Duration::from_secs(50);

/// How long the machine is probed when the design isn't given.
const PROBE: Duration = Duration::from_secs(2);

/// `machine.json`: what was seen of the machine when the run began, and what followed from it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Notes {
    /// Why the design is what it is.
    #[serde(default)]
    pub(super) design_reason: String,
    /// The probe, if there was one.
    #[serde(default)]
    noise: Option<Noise>,
    /// The state of the machine.
    #[serde(default)]
    facts: BTreeMap<String, String>,
    /// SHA-256 of the JIT's library that is measured.
    #[serde(default)]
    pub(super) module_sha256: Option<String>,
}

impl Notes {
    pub(super) fn load(dir: &RunDir) -> Self {
        let text = std::fs::read_to_string(dir.root().join("machine.json")).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(super) fn save(&self, dir: &RunDir) -> Result<()> {
        let path = dir.root().join("machine.json");
        let text = serde_json::to_string_pretty(self)? + "\n";
        write_atomically(&path, text.as_bytes()).with_context(|| format!("{} cannot be written", path.display()))
    }
}

/// The interpreters to measure: those named, or the newest that can run the tiers, or one got for the purpose.
pub(super) fn pythons(args: &Args) -> Result<Vec<Interpreter>> {
    let places = places();
    if !args.pythons.is_empty() {
        let named = args.pythons.iter().map(|name| resolve(name, &places)).collect::<Result<Vec<_>, _>>()?;
        for python in &named {
            usable(args, python)?;
        }
        for (index, python) in named.iter().enumerate() {
            if named[..index].iter().any(|other| other.tag() == python.tag()) {
                bail!("two of the interpreters are {}: measure them one after the other", python.version.minor_name());
            }
        }
        return Ok(named);
    }
    let found = discover(&places);
    if let Some(python) = found.interpreters.iter().find(|python| usable(args, python).is_ok()) {
        return Ok(vec![python.clone()]);
    }
    if found.best().is_ok() {
        // There are interpreters, so it's the tiers: what the newest lacks is the answer.
        for python in &found.interpreters {
            usable(args, python)?;
        }
    }
    let python = provide(&places, &project::root(), &mut |line| eprintln!("no supported CPython found: {line}"))?;
    eprintln!("got {} ({})", python.name(), python.path.display());
    usable(args, &python)?;
    Ok(vec![python])
}

/// Whether the interpreter can run the tiers that were named, or our JIT if none were.
fn usable(args: &Args, python: &Interpreter) -> Result<()> {
    if args.tiers.is_empty() {
        python.check_jit().with_context(|| format!("{} cannot be measured", python.path.display()))?;
    } else {
        tiers::select(&args.tiers, python, &declared_tiers(args, python)?)?;
    }
    Ok(())
}

/// A new run on `python`.
pub(super) fn new(args: &Args, python: &Interpreter) -> Result<(Plan, Notes)> {
    let declared = declared_tiers(args, python)?;
    let tiers = if args.tiers.is_empty() {
        [tiers::defaults(python), declared].concat()
    } else {
        tiers::select(&args.tiers, python, &declared)?
    };
    let tiers = with_inherited(tiers, &args.inherit_environ);
    let default_suite = if args.quick && args.workloads.is_empty() { QUICK } else { BUILT_IN };
    let mut suite = load_suite(args.suite.as_deref().unwrap_or(default_suite), python)?;
    if !args.workloads.is_empty() {
        suite.take_part(&args.workloads)?;
    }
    let mut notes = Notes { facts: machine::facts(), ..Notes::default() };
    let choice = if suite.foreign {
        if matches!(args.design, Some(super::DesignName::Coscheduled)) {
            bail!("the scripts of {} know nothing of co-scheduled blocks: leave --design out", suite.name);
        }
        let reason = "scripts that use pyperf itself can't share a window".to_owned();
        Choice { kind: DesignKind::Interleaved, reason }
    } else if let [first, ..] = suite.exclusive()[..] {
        if matches!(args.design, Some(super::DesignName::Coscheduled)) {
            bail!("{first} can't run beside itself, as its manifest says (`exclusive`): leave --design out");
        }
        let reason = format!("{first} can't run beside itself");
        Choice { kind: DesignKind::Interleaved, reason }
    } else {
        choose_design(args, &tiers, &mut notes)
    };
    let sizes = Sizes { rounds: args.rounds, values: args.values, warmups: args.warmups, window: args.window, quick: args.quick };
    let budget = match () {
        () if args.quick => QUICK_BUDGET,
        () if suite.foreign => SUITE_BUDGET,
        () => BUDGET,
    };
    let design = fit(choice.kind, sizes, suite.workloads.len(), tiers.len(), usize::from(args.jobs), budget);
    notes.design_reason = choice.reason;
    let plan = Plan {
        suite: suite.name,
        suite_version: suite.version,
        left_out: suite.left_out,
        python_path: suite.python_path,
        workloads: suite.workloads,
        tiers,
        design,
        seed: args.seed.unwrap_or_else(new_seed),
        command_line: std::env::args().collect(),
    };
    Ok((plan, notes))
}

/// The tiers of --tiers-file, and those named in --tiers that come from elsewhere: CinderX, PyPy.
fn declared_tiers(args: &Args, python: &Interpreter) -> Result<Vec<TierRecord>> {
    let mut tiers = match &args.tiers_file {
        Some(path) => declared::load(path, python, &places())?,
        None => Vec::new(),
    };
    for name in &args.tiers {
        if let Some(tier) = declared::built_in(name, python, &places(), &mut |line| eprintln!("{line}")) {
            tiers.push(tier?);
        }
    }
    Ok(tiers)
}

/// A suite by its name: pyperformance or a group of it, a folder with a manifest in pyperformance's format, or one of ours.
fn load_suite(name: &str, python: &Interpreter) -> Result<Suite> {
    let folder = PathBuf::from(name);
    let folder = if folder.ends_with("MANIFEST") { folder.parent().map(PathBuf::from).unwrap_or_default() } else { folder };
    let (first, group) = name.split_once(':').map_or((name, None), |(first, group)| (first, Some(group)));
    if first == PYPERFORMANCE {
        let package = Package::provide(python, &mut |line| eprintln!("{line}"))?;
        return Ok(Suite::of_package(name, package, group)?);
    }
    if folder.join("MANIFEST").is_file() {
        // Its scripts still need pyperf.
        let pyperf = Package::provide(python, &mut |line| eprintln!("{line}"))?;
        let package = Package { benchmarks: std::path::absolute(&folder)?, ..pyperf };
        return Ok(Suite::of_package(name, package, None)?);
    }
    Ok(Suite::load(name, &project::root())?)
}

/// The user's variables as part of each tier, so that the manifest tells them and a resumed run has the same.
fn with_inherited(mut tiers: Vec<TierRecord>, names: &[String]) -> Vec<TierRecord> {
    for name in names {
        if let Ok(value) = std::env::var(name) {
            for tier in &mut tiers {
                tier.env.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
    tiers
}

fn choose_design(args: &Args, tiers: &[TierRecord], notes: &mut Notes) -> Choice {
    if let Some(name) = args.design {
        return Choice { kind: name.into(), reason: "as asked for".to_owned() };
    }
    let cpu = machine::allowed_cpus().last().copied().unwrap_or(0);
    let noise = machine::probe_noise(cpu, PROBE);
    notes.noise = Some(noise);
    let mut choice = machine::choose_design(noise, machine::is_virtual());
    if choice.kind == DesignKind::Coscheduled && tiers.iter().any(|tier| tier.env.contains_key("PEPJIT_BACKEND")) {
        // Far slower than the others, it would hardly fit an iteration into the common window.
        choice = Choice {
            kind: DesignKind::Interleaved,
            reason: format!("the reference back end is too slow for a common window, although {}", choice.reason),
        };
    }
    choice
}

/// A seed that no earlier run had, of a size that JSON readers of every language keep exactly.
fn new_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (u64::from(now.subsec_nanos()) << 20 ^ now.as_secs() ^ u64::from(std::process::id())) & ((1 << 48) - 1)
}

/// Tells what is going to happen, before it does.
pub(super) fn show(args: &Args, manifest: &Manifest, python: &Interpreter, notes: &Notes) {
    let design = &manifest.design;
    let shape = match design.kind {
        DesignKind::Interleaved => {
            let warmups = match design.warmup_s {
                Some(seconds) => format!("{seconds:.1} s of warm-ups"),
                None => format!("{} warm-ups", design.warmups),
            };
            format!("interleaved process pairs: {} rounds, {warmups} and {} values per process", design.rounds, design.values)
        }
        DesignKind::Coscheduled => format!(
            "co-scheduled blocks: {} rounds, windows of {:.1} s shared by all tiers",
            design.rounds,
            design.window_s.unwrap_or_default()
        ),
    };
    let round = round_duration(design, manifest.workloads.len(), manifest.tiers.len(), usize::from(args.jobs));
    let total = round * design.rounds;
    let names = manifest.tiers.iter().map(|tier| tier.name.as_str()).collect::<Vec<_>>().join(", ");
    let flags = tiers::build_flags(python).join(", ");
    eprintln!("Python     {} ({}): {flags}", python.name(), python.path.display());
    eprintln!("Tiers      {names}");
    eprintln!("Workloads  {} of suite {}", manifest.workloads.len(), manifest.suite);
    if let Some(version) = &manifest.suite_version {
        eprintln!("           {version}");
    }
    if !manifest.left_out.is_empty() {
        let names: Vec<String> = manifest.left_out.iter().map(|l| format!("{} ({})", l.name, l.reason)).collect();
        eprintln!("           without {}", names.join(", "));
    }
    eprintln!("Design     {shape}");
    eprintln!("           because {}", notes.design_reason);
    eprintln!("Seed       {}", manifest.seed);
    eprintln!("Time       about {}", format::span(total.as_secs_f64()));
    let left_out: Vec<String> = tiers::CATALOGUE
        .iter()
        .filter(|known| args.tiers.is_empty() && known.default && manifest.tier(known.name).is_none())
        .filter_map(|known| tiers::check(known.name, python).err())
        .map(|error| error.to_string())
        .collect();
    for line in left_out {
        eprintln!("Left out   {line}");
    }
    if manifest.tiers.iter().all(|tier| TierKind::of(tier) != TierKind::Pepjit) {
        eprintln!("Note       no tier runs our JIT: add `pepjit` to --tiers for that");
    }
}
