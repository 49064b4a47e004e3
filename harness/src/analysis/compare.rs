//! One tier against another.

use std::collections::{BTreeMap, BTreeSet};

use super::data::{Cell, RunData};
use super::{Estimate, JitMemory, MemoryUse, Options, Process, Proof, Sizing, TierResult, Verdict, WorkloadResult};
use crate::model::{DesignKind, FailureKind, TierRecord, WorkloadRecord, meta};
use crate::stats::paired::{POWER, Paired, required_pairs};
use crate::stats::warmup::{break_even, consensus};
use crate::stats::{mean, median, multiple, suite};

/// A workload's pairs, in log ratios, one slot per round of the run.
struct Pairs {
    time: Vec<Option<f64>>,
    first: Vec<Option<f64>>,
    memory: Vec<Option<f64>>,
}

pub(super) fn tier(data: &RunData, tier: &TierRecord, against: &TierRecord, options: Options) -> TierResult {
    let workloads = &data.manifest.workloads;
    let cells: Vec<(Cell, Cell)> =
        workloads.iter().map(|w| (data.cell(&tier.name, &w.name), data.cell(&against.name, &w.name))).collect();
    let rounds: BTreeSet<u32> = cells.iter().flat_map(|(t, b)| t.processes.keys().chain(b.processes.keys())).copied().collect();
    let pairs: Vec<Pairs> = cells.iter().map(|(t, b)| Pairs::new(t, b, &rounds)).collect();

    let mut results: Vec<WorkloadResult> =
        workloads.iter().zip(&cells).zip(&pairs).map(|((w, (t, b)), p)| workload(data, tier, w, t, b, p, options)).collect();
    mark(&mut results, options);

    let paired = |part: fn(&Pairs) -> &Vec<Option<f64>>| -> Option<Estimate> {
        let known: Vec<Vec<Option<f64>>> = pairs.iter().map(part).filter(|d| d.iter().any(Option::is_some)).cloned().collect();
        suite::over_rounds(&known).map(|p| Estimate::new(&p, options.alpha))
    };
    let time = paired(|p| &p.time);
    let log_means: Vec<f64> = results.iter().filter_map(|w| Some(w.speedup.as_ref()?.log_mean)).collect();
    let (covered, left_out) = results.iter().partition::<Vec<_>, _>(|w| w.speedup.is_some());
    let names = |list: Vec<&WorkloadResult>| list.into_iter().map(|w| w.name.clone()).collect::<Vec<_>>();
    TierResult {
        tier: tier.name.clone(),
        against: against.name.clone(),
        control: same(tier, against),
        verdict: match &time {
            Some(estimate) => Verdict::of(&estimate.paired(), None, options),
            None if results.iter().any(|w| w.verdict == Verdict::Failed) => Verdict::Failed,
            None => Verdict::Missing,
        },
        sizing: sizing(time.as_ref(), &results, options),
        suite: time,
        covered: names(covered),
        left_out: names(left_out),
        beyond: suite::beyond(&log_means, options.alpha).map(|(low, high)| (low.exp(), high.exp())),
        first_iteration: paired(|p| &p.first),
        memory: paired(|p| &p.memory),
        proof: results.iter().fold(Proof { needed: tier.needs_proof, ..Proof::default() }, |mut sum, w| {
            sum.shown += w.proof.shown;
            sum.lacking += w.proof.lacking;
            sum.detail = sum.detail.or_else(|| w.proof.detail.clone());
            sum
        }),
        workloads: results,
    }
}

/// Whether two tiers are the same interpreter, told the same.
fn same(a: &TierRecord, b: &TierRecord) -> bool {
    a.interpreter == b.interpreter && a.args == b.args && a.env == b.env && !a.needs_proof && !b.needs_proof
}

impl Pairs {
    fn new(tier: &Cell, base: &Cell, rounds: &BTreeSet<u32>) -> Self {
        let each = |f: &dyn Fn(&Process) -> Option<f64>, sign: f64| -> Vec<Option<f64>> {
            let pair = |r| Some(sign * (f(base.processes.get(r)?)? - f(tier.processes.get(r)?)?));
            rounds.iter().map(pair).collect()
        };
        let size = |p: &Process| p.run.number(meta::VM_HWM).filter(|kib| *kib > 0.0).map(f64::ln);
        Self {
            time: each(&|p| Some(p.log_time), 1.0),
            first: each(&|p| p.run.first_iteration().map(f64::ln), 1.0),
            // Memory is stated as tier over baseline: more is above 1.
            memory: each(&size, -1.0),
        }
    }
}

fn workload(
    data: &RunData,
    tier: &TierRecord,
    workload: &WorkloadRecord,
    cell: &Cell,
    base: &Cell,
    pairs: &Pairs,
    options: Options,
) -> WorkloadResult {
    let estimate = |differences: &[Option<f64>]| {
        let known: Vec<f64> = differences.iter().copied().flatten().collect();
        Paired::new(&known).map(|p| Estimate::new(&p, options.alpha))
    };
    let speedup = estimate(&pairs.time);
    let geometric = |c: &Cell| {
        let logs: Vec<f64> = c.processes.values().map(|p| p.log_time).collect();
        (!logs.is_empty()).then(|| mean(&logs).exp())
    };
    let classified: Vec<_> = cell.processes.values().filter_map(|p| p.steadiness.as_ref()).collect();
    let middle = |known: Vec<f64>| (!known.is_empty()).then(|| median(&known));
    let skipped: Vec<f64> = cell.processes.values().map(|p| p.skipped as f64).collect();
    WorkloadResult {
        name: workload.name.clone(),
        verdict: match &speedup {
            Some(_) => Verdict::Inconclusive,
            // Without a baseline there is no pair either; its failures are listed with it.
            None if cell.failures.is_empty() && base.failures.is_empty() => Verdict::Missing,
            None => Verdict::Failed,
        },
        q: None,
        rounds_to_decide: None,
        baseline_s: geometric(base),
        tier_s: geometric(cell),
        first_iteration: estimate(&pairs.first),
        memory: estimate(&pairs.memory),
        memory_use: memory_use(cell, base),
        warmup: consensus(&classified.iter().map(|s| s.class).collect::<Vec<_>>()),
        steady_from: middle(classified.iter().filter_map(|s| s.steady_from).map(|i| i as f64).collect()),
        time_to_steady_s: middle(cell.processes.values().filter_map(Process::time_to_steady).collect()),
        skipped: if skipped.is_empty() { 0.0 } else { mean(&skipped) },
        break_even: pays_from(cell, base),
        proof: Proof {
            needed: tier.needs_proof,
            shown: cell.processes.values().filter(|p| p.jit_active()).count(),
            lacking: lacking(tier, cell),
            detail: cell.processes.values().find_map(|p| Some(p.run.metadata.get(meta::JIT_PROOF)?.as_str()?.to_owned())),
        },
        timed_compiles: timed_compiles(cell),
        counters: counters(cell),
        failures: cell.failures.clone(),
        command: command(data, tier, workload),
        speedup,
    }
}

/// Adjusts the p values over the suite and sets the verdicts.
fn mark(results: &mut [WorkloadResult], options: Options) {
    let tested: Vec<(usize, f64)> =
        results.iter().enumerate().filter_map(|(i, w)| Some((i, w.speedup.as_ref()?.paired().p_two_sided()?))).collect();
    let adjusted = multiple::benjamini_hochberg(&tested.iter().map(|t| t.1).collect::<Vec<_>>());
    for ((i, _), q) in tested.iter().zip(adjusted) {
        results[*i].q = Some(q);
    }
    for w in results {
        let Some(speedup) = &w.speedup else { continue };
        w.verdict = Verdict::of(&speedup.paired(), w.q, options);
        if w.verdict == Verdict::Inconclusive {
            let sd = speedup.log_sd.filter(|_| speedup.ci.is_some());
            let needed = sd.and_then(|sd| required_pairs(sd, options.margin.ln_1p(), options.alpha, POWER));
            // As many as there are didn't tell, whatever the formula says for its power below 1.
            w.rounds_to_decide = needed.map(|rounds| rounds.max(speedup.pairs as u32 + 1));
        }
    }
}

/// The changes that the rounds needed are stated for.
const SIZED: [f64; 3] = [0.01, 0.02, 0.05];

fn sizing(suite: Option<&Estimate>, results: &[WorkloadResult], options: Options) -> Vec<Sizing> {
    let spreads: Vec<f64> = results.iter().filter_map(|w| w.speedup.as_ref()?.log_sd).collect();
    let needed = |sd: Option<f64>, change: f64| required_pairs(sd?, change.ln_1p(), options.alpha, POWER);
    let typical = (!spreads.is_empty()).then(|| median(&spreads));
    let suite = suite.and_then(|s| s.log_sd);
    SIZED.map(|change| Sizing { change, suite: needed(suite, change), workload: needed(typical, change) }).to_vec()
}

fn mean_of(cell: &Cell, key: &str) -> Option<f64> {
    let known: Vec<f64> = cell.processes.values().filter_map(|p| p.run.number(key)).collect();
    (!known.is_empty()).then(|| mean(&known))
}

/// What the processes held, and what the JIT's own counters say of it.
fn memory_use(cell: &Cell, base: &Cell) -> MemoryUse {
    let counters = counters(cell);
    let kib = |name: &str| counters.get(name).map_or(0.0, |bytes| bytes / 1024.0);
    let jit = counters.contains_key("code_bytes_reserved").then(|| JitMemory {
        code_kib: kib("code_bytes_reserved"),
        code_used_kib: kib("code_bytes"),
        code_freed_kib: kib("code_bytes_freed"),
        heap_kib: kib("heap_bytes"),
        metadata_kib: kib("metadata_bytes"),
        compile_peak_kib: kib("compile_peak_bytes"),
        library_kib: mean_of(cell, meta::LIBRARY).unwrap_or(0.0),
    });
    let (peak, baseline) = (mean_of(cell, meta::VM_HWM), mean_of(base, meta::VM_HWM));
    MemoryUse {
        vm_hwm_kib: peak,
        pss_kib: mean_of(cell, meta::PSS),
        uss_kib: mean_of(cell, meta::USS),
        baseline_vm_hwm_kib: baseline,
        baseline_pss_kib: mean_of(base, meta::PSS),
        baseline_uss_kib: mean_of(base, meta::USS),
        jit,
        unexplained_kib: jit.and_then(|jit| Some(peak? - baseline? - jit.explained_kib())),
    }
}

fn counters(cell: &Cell) -> BTreeMap<String, f64> {
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for process in cell.processes.values() {
        for (key, value) in &process.run.metadata {
            let Some(name) = key.strip_prefix(meta::JIT_PREFIX) else { continue };
            if let (Some(number), false) = (value.as_f64(), key == meta::JIT_ACTIVE) {
                *sums.entry(name.to_owned()).or_default() += number;
            }
        }
    }
    // A counter that a process doesn't mention stood at 0 there.
    let processes = cell.processes.len() as f64;
    sums.into_iter().map(|(name, sum)| (name, sum / processes)).collect()
}

/// Processes of a tier with a JIT that didn't show it at work.
fn lacking(tier: &TierRecord, cell: &Cell) -> usize {
    let idle = cell.processes.values().filter(|p| tier.needs_proof && !p.jit_active()).count();
    idle + cell.failures.iter().filter(|f| f.kind == FailureKind::JitInactive).count()
}

/// Mean over the processes of what was compiled while values were taken.
fn timed_compiles(cell: &Cell) -> Option<f64> {
    let parts: Vec<f64> = meta::TIMED_COMPILES.iter().filter_map(|key| mean_of(cell, key)).collect();
    (!parts.is_empty()).then(|| parts.iter().sum())
}

/// Median over the pairs of the break-even iteration; pairs that never get there count as the longest.
fn pays_from(cell: &Cell, base: &Cell) -> Option<f64> {
    let each: Vec<f64> = cell
        .processes
        .iter()
        .filter_map(|(round, p)| Some((p, base.processes.get(round)?)))
        .map(|(p, b)| break_even(&b.run.iterations(), &p.run.iterations()).map_or(f64::INFINITY, |k| k as f64))
        .collect();
    Some(median(&each)).filter(|m| m.is_finite())
}

/// The command that measures a row again: its tier, the baseline and the control, in as many rounds of the same design.
///
/// The command of a single process wouldn't do: a row is a ratio, and what turns a JIT on and proves it is the harness's affair.
fn command(data: &RunData, tier: &TierRecord, workload: &WorkloadRecord) -> String {
    let m = &data.manifest;
    let baseline = m.tier(&m.baseline);
    let control = m.tiers.iter().find(|t| t.name != m.baseline && baseline.is_some_and(|b| same(t, b))).map(|t| t.name.as_str());
    let mut tiers = vec![m.baseline.as_str()];
    for name in control.into_iter().chain([tier.name.as_str()]) {
        if !tiers.contains(&name) {
            tiers.push(name);
        }
    }
    let minor: Vec<&str> = baseline.map_or("", |b| b.version.as_str()).split('.').take(2).collect();
    let mut words = ["cargo", "xtask", "measure", "--python"].map(str::to_owned).to_vec();
    words.push(minor.join("."));
    words.extend(typed(&m.command_line));
    if m.suite != crate::workloads::BUILT_IN && !words.iter().any(|word| word == "--suite") {
        words.extend(["--suite".to_owned(), quoted(&m.suite)]);
    }
    words.extend(["--workloads".to_owned(), quoted(&workload.name), "--tiers".to_owned(), quoted(&tiers.join(","))]);
    let design = match m.design.kind {
        DesignKind::Interleaved => "interleaved",
        DesignKind::Coscheduled => "coscheduled",
    };
    words.push(format!("--design {design} --rounds {} --seed {}", m.design.rounds, m.seed));
    words.join(" ")
}

/// Of what was typed, the options that a row's command needs as well.
fn typed(line: &[String]) -> Vec<String> {
    const KEPT: [&str; 7] = ["--suite", "--tiers-file", "--values", "--warmups", "--window", "--timeout", "--inherit-environ"];
    let mut kept = Vec::new();
    let mut words = line.iter().peekable();
    while let Some(word) = words.next() {
        let (name, value) = word.split_once('=').map_or((word.as_str(), None), |(name, value)| (name, Some(value)));
        if KEPT.contains(&name) {
            let value = value.map(str::to_owned).or_else(|| words.next().cloned()).unwrap_or_default();
            kept.extend([name.to_owned(), quoted(&value)]);
        }
    }
    kept
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::typed;

    #[test]
    fn of_what_was_typed_a_row_needs_what_says_how_it_was_measured() {
        let kept = |line: &str| typed(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).join(" ");
        assert_eq!(kept("xtask measure --python 3.15 --rounds 3 --jobs 2 --tiers a,b --out /tmp/x"), "");
        assert_eq!(
            kept("xtask measure --suite pyperformance:math --out x --tiers-file=my.toml --values 5"),
            "--suite pyperformance:math --tiers-file my.toml --values 5"
        );
    }
}
