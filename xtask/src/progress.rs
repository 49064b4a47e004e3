//! How a run shows itself while it lasts: a bar with the time left on a terminal, a line per block elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pepjit_harness::model::{Outcome, RunDir};
use pepjit_harness::runner::Event;
use pepjit_reports::format;

/// Shows events on stderr.
pub(crate) struct Progress {
    bar: ProgressBar,
    baseline: String,
    /// The tiers worth a figure in a block's line, in order.
    tiers: Vec<String>,
    lines: bool,
    rounds: u32,
    done: usize,
    total: usize,
}

impl Progress {
    /// For the run in `dir`.
    pub(crate) fn new(dir: &RunDir) -> anyhow::Result<Self> {
        let manifest = dir.manifest()?;
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            None,
            if terminal { ProgressDrawTarget::stderr_with_hz(4) } else { ProgressDrawTarget::hidden() },
        );
        bar.set_style(ProgressStyle::with_template("{elapsed_precise} {wide_bar} {pos}/{len} {msg} left: {eta}")?);
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Ok(Self {
            bar,
            tiers: manifest.tiers.iter().map(|tier| tier.name.clone()).collect(),
            baseline: manifest.baseline,
            lines: !terminal,
            rounds: manifest.design.rounds,
            done: 0,
            total: 0,
        })
    }

    /// Shows one event.
    pub(crate) fn on(&mut self, event: Event<'_>) {
        match event {
            Event::Calibrating { workload } => {
                self.bar.set_message(format!("calibrating {workload}"));
                if self.lines {
                    eprintln!("calibrating {workload}");
                }
            }
            Event::Started { already, total, left } => {
                (self.done, self.total) = (already, total);
                self.bar.set_length(total as u64);
                self.bar.set_position(already as u64);
                // The time left follows from the blocks of this session alone.
                self.bar.reset_eta();
                self.bar.set_message("");
                if already > 0 {
                    self.say(&format!("{already} of {total} blocks were measured before"));
                }
                if let Some(left) = left.filter(|_| already < total) {
                    self.say(&format!("by the calibration, about {} from here", format::span(left.as_secs_f64())));
                }
            }
            Event::Process { record } => {
                if let Outcome::Failed { kind, message } = &record.outcome {
                    let first = message.lines().next().unwrap_or_default();
                    let (round, workload, tier) = (record.round, &record.workload, &record.tier);
                    self.say(&format!("failed: round {round}, {workload} on {tier} {}: {first}", kind.describe()));
                }
            }
            Event::Block { round, workload, means } => {
                self.done += 1;
                self.bar.set_position(self.done as u64);
                self.bar.set_message(format!("round {round}/{}, {workload}", self.rounds));
                if self.lines {
                    let figures = self.figures(means);
                    eprintln!("[{}/{}] round {round}, {workload}: {figures}", self.done, self.total);
                }
            }
            _ => {}
        }
    }

    /// A line that stays.
    pub(crate) fn say(&self, line: &str) {
        if self.lines {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// The baseline's time and how often it fits into each other tier's: a first impression, not a result.
    fn figures(&self, means: &BTreeMap<String, f64>) -> String {
        let Some(baseline) = means.get(&self.baseline) else { return "no baseline".to_owned() };
        let mut figures = vec![format!("{} {}", self.baseline, format::seconds(Some(*baseline)))];
        for tier in self.tiers.iter().filter(|tier| **tier != self.baseline) {
            match means.get(tier) {
                Some(mean) => figures.push(format!("{tier} {}", format::ratio(baseline / mean))),
                None => figures.push(format!("{tier} -")),
            }
        }
        figures.join(", ")
    }
}
