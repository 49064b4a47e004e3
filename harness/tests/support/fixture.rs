//! A small made-up run: five tiers, six workloads, five rounds, the same numbers each time.

#![allow(dead_code, unreachable_pub, reason = "each test file that includes this uses a part of it")]

use std::collections::BTreeMap;
use std::path::Path;

use pepjit_harness::model::{
    Design, DesignKind, FailureKind, Host, JournalRecord, Manifest, Outcome, RunDir, SCHEMA_VERSION, TierRecord, WorkloadRecord,
    meta,
};
use pepjit_harness::pyperf::{self, MetaValue, Run};

/// Workloads, with the baseline's seconds and the speed-up of `pepjit`.
pub const WORKLOADS: [(&str, f64, f64); 6] = [
    ("closures", 0.012, 1.6),
    ("json_c", 0.030, 1.0),
    ("nbody", 0.080, 6.0),
    ("nqueens", 0.045, 2.5),
    ("properties", 0.021, 0.9),
    ("sieve", 0.009, 8.0),
];

/// Tiers, with whether they must prove their JIT.
pub const TIERS: [(&str, bool); 5] =
    [("interp", false), ("interp-aa", false), ("pepjit-idle", false), ("pepjit", true), ("cpython-jit", true)];

/// Noise in -1..1 that looks random and never changes.
pub fn noise(tier: usize, workload: usize, round: u32, value: usize) -> f64 {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    for part in [tier as u64, workload as u64, u64::from(round), value as u64] {
        x = (x ^ part).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 29;
    }
    (x >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

pub fn manifest(rounds: u32) -> Manifest {
    let tier = |(name, needs_proof): &(&str, bool)| TierRecord {
        name: (*name).to_owned(),
        interpreter: "/usr/bin/python3.15".into(),
        version: "3.15.0".to_owned(),
        build_flags: vec!["optimized".to_owned(), "lto".to_owned()],
        sha256: "ab".repeat(32),
        args: Vec::new(),
        env: match *name {
            "pepjit" => BTreeMap::from([("PEPJIT".to_owned(), "1".to_owned())]),
            "pepjit-idle" => BTreeMap::from([("PEPJIT_IDLE".to_owned(), "1".to_owned())]),
            "cpython-jit" => BTreeMap::from([("PYTHON_JIT".to_owned(), "1".to_owned())]),
            _ => BTreeMap::new(),
        },
        needs_proof: *needs_proof,
        ..TierRecord::default()
    };
    let workload = |(name, _, _): &(&str, f64, f64)| WorkloadRecord {
        name: (*name).to_owned(),
        description: format!("What {name} stresses"),
        tags: vec!["made-up".to_owned()],
        script: format!("benchmarks/workloads/{name}.py").into(),
        sha256: "cd".repeat(32),
        loops: 4,
        ..WorkloadRecord::default()
    };
    Manifest {
        schema_version: SCHEMA_VERSION,
        run_id: "20260102T030405Z-00002a".to_owned(),
        tool_version: "0.1.0".to_owned(),
        commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        dirty: false,
        created: "2026-01-02T03:04:05Z".to_owned(),
        command_line: ["cargo", "xtask", "measure"].map(str::to_owned).to_vec(),
        platform: "x86_64-unknown-linux-gnu".to_owned(),
        host: Host {
            cpu_model: "Example CPU 3000".to_owned(),
            cores: 4,
            kernel: "Linux 6.1.0".to_owned(),
            memory_bytes: 8 << 30,
        },
        design: Design {
            kind: DesignKind::Interleaved,
            rounds,
            values: 3,
            warmups: 1,
            warmup_s: None,
            window_s: None,
            looks: Vec::new(),
        },
        seed: 42,
        suite: "builtin".to_owned(),
        workloads: WORKLOADS.iter().map(workload).collect(),
        tiers: TIERS.iter().map(tier).collect(),
        baseline: "interp".to_owned(),
        suite_version: None,
        left_out: Vec::new(),
        python_path: Vec::new(),
        criteria_sha256: None,
        module_sha256: None,
    }
}

/// One made-up process.
pub fn process(tier: usize, workload: usize, round: u32) -> Run {
    let (_, base, pepjit) = WORKLOADS[workload];
    let speedup = match TIERS[tier].0 {
        "pepjit" => pepjit,
        "cpython-jit" => 1.08,
        "pepjit-idle" => 0.999,
        _ => 1.0,
    };
    let value = |i| base / speedup * (1.0 + 0.004 * noise(tier, workload, round, 99) + 0.001 * noise(tier, workload, round, i));
    let mut metadata: BTreeMap<String, MetaValue> = BTreeMap::from([
        (meta::TIER.to_owned(), TIERS[tier].0.into()),
        ("loops".to_owned(), 4u32.into()),
        (meta::VM_HWM.to_owned(), MetaValue::Int(12_000 + if TIERS[tier].0 == "pepjit" { 3000 } else { 0 })),
        (meta::USS.to_owned(), MetaValue::Int(8000)),
    ]);
    if TIERS[tier].1 {
        metadata.insert(meta::JIT_ACTIVE.to_owned(), 1u32.into());
        metadata.insert(meta::JIT_PROOF.to_owned(), "12 functions compiled, 340 native entries".into());
    }
    if TIERS[tier].0 == "pepjit" {
        for (name, value) in [
            ("functions_compiled", 12),
            ("native_entries", 340),
            ("exits", 25),
            ("exit:overflow", 5),
            ("exit:type", 20),
            ("unsupported:generator", 3),
            ("code_bytes_reserved", 1 << 20),
            ("code_bytes", 40_000),
            ("metadata_bytes", 200_000),
            ("compile_ns", 31_000_000),
        ] {
            metadata.insert(format!("{}{name}", meta::JIT_PREFIX), MetaValue::Int(value));
        }
    }
    // The first iteration of a JIT's process pays for compiling.
    let first = if TIERS[tier].1 { base * 1.04 } else { base };
    Run { metadata, warmups: vec![(4, first)], values: (0..3).map(value).collect() }
}

/// Writes the run under `runs`.
pub fn write(runs: &Path, rounds: u32) -> RunDir {
    write_as(runs, &manifest(rounds), |_, _| 1.0)
}

/// Writes a run of this manifest, with each tier's processes faster by a factor of `speed(tier, workload)`.
pub fn write_as(runs: &Path, manifest: &Manifest, speed: impl Fn(&str, &str) -> f64) -> RunDir {
    let rounds = manifest.design.rounds;
    let dir = RunDir::create(runs, manifest).expect("a writable folder");
    for (w, workload) in manifest.workloads.iter().enumerate() {
        for (t, tier) in manifest.tiers.iter().enumerate() {
            let mut suite = pyperf::Suite::new(&workload.name);
            suite.benchmarks[0].runs = (1..=rounds)
                .map(|round| {
                    let mut run = process(t, w, round);
                    run.metadata.insert(meta::ROUND.to_owned(), round.into());
                    run.values.iter_mut().for_each(|value| *value /= speed(&tier.name, &workload.name));
                    run
                })
                .collect();
            suite.save(&dir.raw_file(&tier.name, &workload.name)).expect("a raw file");
        }
    }
    // The journal in one go: syncing each of its lines is what the runner has time for.
    let mut lines = String::new();
    let mut start = 1_767_323_045.0;
    for round in 1..=rounds {
        for workload in &manifest.workloads {
            for (t, tier) in manifest.tiers.iter().enumerate() {
                let file = Path::new("raw").join(&tier.name).join(format!("{}.json", workload.name));
                let record = record(round, &workload.name, &tier.name, t as u32, start, Some(file));
                lines.push_str(&serde_json::to_string(&record).expect("JSON"));
                lines.push('\n');
                start += 2.0;
            }
        }
    }
    std::fs::write(dir.journal_path(), lines).expect("a journal");
    dir
}

pub fn record(round: u32, workload: &str, tier: &str, order: u32, start: f64, file: Option<std::path::PathBuf>) -> JournalRecord {
    JournalRecord {
        round,
        workload: workload.to_owned(),
        tier: tier.to_owned(),
        order,
        start,
        end: start + 2.0,
        outcome: Outcome::Ok,
        load: Some(0.5),
        steal_ticks: Some(4),
        cpu: Some(1),
        file,
    }
}

/// Makes one process of the run a failed one: its values go, and the journal says why.
pub fn fail(dir: &RunDir, tier: &str, workload: &str, round: u32, kind: FailureKind, message: &str) {
    let path = dir.raw_file(tier, workload);
    let mut suite = pyperf::Suite::load(&path).expect("a raw file");
    suite.benchmarks[0].runs.retain(|r| r.round() != Some(round));
    if suite.benchmarks[0].runs.is_empty() {
        std::fs::remove_file(&path).expect("removable");
    } else {
        suite.save(&path).expect("writable");
    }
    let outcome = Outcome::Failed { kind, message: message.to_owned() };
    let record = JournalRecord { outcome, ..record(round, workload, tier, 0, 1_767_323_000.0, None) };
    dir.journal().and_then(|mut j| j.append(record)).expect("a journal");
}
