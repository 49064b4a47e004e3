//! A calibration as Markdown, which a terminal shows well too.

use std::fmt::Write as _;

use pepjit_harness::calibrate::{CAUGHT, COVERAGE, Calibration, MOST_FALSE_FAILURES, Rate, Source};

/// A calibration: what was asked of the gate, then each source of data with its rates.
pub fn calibration(calibration: &Calibration) -> String {
    let t = &calibration.thresholds;
    let mut out = String::from("# What the gate's answers are worth\n\n");
    let looks: Vec<String> = t.looks.iter().map(u32::to_string).collect();
    let _ = writeln!(
        out,
        "{} criteria; looks after {} rounds; {:.0} % intervals; false failures of at most {:.1} % asked for. {} simulated runs per noise \
         model, {} workloads, {} values per process, seed {}; pepjit {}.\n",
        t.criteria.len(),
        looks.join(", "),
        (1.0 - t.alpha) * 100.0,
        t.false_failure * 100.0,
        calibration.runs,
        calibration.workloads,
        calibration.values,
        calibration.seed,
        calibration.tool_version,
    );
    for c in &t.criteria {
        let _ = writeln!(out, "- {}", c.name);
    }
    let sources: Vec<&Source> = calibration.simulated.iter().chain(&calibration.real).collect();
    out.push_str("\n## Kept or not\n\n");
    let _ = writeln!(
        out,
        "At most {} of unchanged builds fail; 95 % intervals hold the truth in {} to {} of cases; a slow-down of {} in one workload is \
         caught in at least {} of runs.\n",
        percent(MOST_FALSE_FAILURES),
        percent(COVERAGE.0),
        percent(COVERAGE.1),
        percent(CAUGHT.0),
        percent(CAUGHT.1)
    );
    for source in &sources {
        let misses = source.misses();
        if misses.is_empty() {
            let _ = writeln!(out, "- ✓ {}: kept{}", source.name, if source.real { " (false failures)" } else { "" });
        }
        for miss in misses {
            let _ = writeln!(out, "- ✗ {miss}");
        }
    }
    for (heading, list) in [("Simulated", &calibration.simulated), ("Real runs: the baseline against itself", &calibration.real)]
    {
        for source in list {
            let _ = writeln!(out, "\n## {heading}: {}\n\n{}.\n", source.name, capital(&source.description));
            one(&mut out, source);
        }
    }
    out.push_str(NOTES);
    out
}

const NOTES: &str = "
How to read it: every share has its Wilson 95 % interval. *Fails* is this gate's exit code 1, *open* its exit code 3 after the last \
look. *pyperf* is `compare_to`'s t test over all values of all processes, *HPT* the reliability of 95 % or more that `bench_runner` \
publishes, *any 5 %* a gate that fails when any workload's mean is more than 5 % slower. All see the same values; pyperf, HPT and \
*any 5 %* see all rounds of the longest look at once.
";

fn one(out: &mut String, source: &Source) {
    let _ = writeln!(out, "Standard deviation of a pair's log ratio: {}.\n", percent(source.pair_sd));
    out.push_str(
        "| one workload slower by | gate fails | passes | open | rounds | pyperf: some workload slower | pyperf: this one differs | HPT: slower | any 5 % |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for e in &source.effects {
        let name = if e.slower_by == 0.0 { "nothing (A/A)".to_owned() } else { percent(e.slower_by) };
        let _ = writeln!(
            out,
            "| {name} | **{}** | {} | {} | {:.1} | {} | {} | {} | {} |",
            rate(e.fail),
            percent(e.pass.share()),
            percent(e.open.share()),
            e.rounds,
            rate(e.pyperf),
            rate(e.pyperf_workload),
            rate(e.hpt),
            rate(e.naive)
        );
    }
    if !source.coverage.is_empty() {
        out.push_str("\n| rounds | workload's 95 % interval holds the truth | suite's |\n|---:|---:|---:|\n");
        for c in &source.coverage {
            let _ = writeln!(out, "| {} | {} | {} |", c.rounds, rate(c.workload), rate(c.suite));
        }
    }
    let mut null = format!("Unchanged workloads called different: {} by pyperf on these values", rate(source.pyperf_null));
    if source.pyperf_sequential.total > 0 {
        let _ = write!(
            null,
            ", {} by pyperf in its own design (20 processes of 3 values, one side after the other)",
            rate(source.pyperf_sequential)
        );
    }
    let _ = writeln!(out, "\n{null}, {} by HPT's test of a single benchmark.", rate(source.hpt_null));
}

fn percent(share: f64) -> String {
    if share.is_nan() {
        return crate::format::NONE.to_owned();
    }
    let text = format!("{:.2}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

fn rate(rate: Rate) -> String {
    if rate.total == 0 {
        return crate::format::NONE.to_owned();
    }
    let (low, high) = rate.interval();
    format!("{} [{:.1}, {:.1}]", percent(rate.share()), low * 100.0, high * 100.0)
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
