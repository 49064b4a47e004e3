//! The gate's judgement as text.

use std::fmt::Write as _;

use pepjit_harness::gate::{Answer, Judgement};

use crate::view::answer_symbol;

/// Failures shown in full.
const BROKEN_SHOWN: usize = 12;

/// A judgement as plain text: a line per criterion, then the answer.
pub fn judgement(judgement: &Judgement) -> String {
    let mut out = String::new();
    for o in &judgement.outcomes {
        let _ = writeln!(out, "{} {:<12}  {}", answer_symbol(o.answer), o.answer.word(), o.criterion.name);
        let mde = o.estimate.as_ref().and_then(|e| e.mde).map(|m| format!(" (MDE {:.1} %)", m * 100.0)).unwrap_or_default();
        let _ = writeln!(out, "                {}{mde}", o.finding);
        if let Some(rounds) = o.rounds_to_decide {
            let _ = writeln!(out, "                {rounds} rounds would decide it");
        }
    }
    if !judgement.broken.is_empty() {
        let _ = writeln!(out, "\n{} processes or files failed, so the run can't be judged:", judgement.broken.len());
        for line in judgement.broken.iter().take(BROKEN_SHOWN) {
            let _ = writeln!(out, "  ✗ {line}");
        }
        if judgement.broken.len() > BROKEN_SHOWN {
            let _ = writeln!(out, "  ... and {} more", judgement.broken.len() - BROKEN_SHOWN);
        }
    }
    let _ = write!(out, "\n{}: {}", judgement.run_id, judgement.answer.word());
    if let (Answer::Inconclusive, Some(rounds)) = (judgement.answer, judgement.rounds_to_decide) {
        let _ = write!(out, "; {rounds} rounds would decide it: cargo xtask measure --rounds {rounds}");
    }
    out.push('\n');
    out
}
