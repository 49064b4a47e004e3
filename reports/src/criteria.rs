//! What a run says about the criteria of the PEPs, as text and as rows.

use std::fmt::Write as _;

use pepjit_harness::criteria::{Assessment, Status};

/// A sign for a status.
pub(crate) fn symbol(status: Status) -> &'static str {
    match status {
        Status::Met => "✓",
        Status::NotMet => "✗",
        Status::Inconclusive => "?",
        Status::NoLimit => "=",
        Status::NotMeasured => "-",
    }
}

/// A status in words, with the rounds that would decide it.
pub(crate) fn words(assessment: &Assessment) -> String {
    match assessment.rounds_to_decide {
        Some(rounds) => format!("{} ({rounds} rounds would tell)", assessment.status.word()),
        None => assessment.status.word().to_owned(),
    }
}

/// How many have each status: `3 met, 1 NOT MET, 12 not measured`.
pub(crate) fn counts(assessments: &[Assessment]) -> String {
    [Status::Met, Status::NotMet, Status::Inconclusive, Status::NoLimit, Status::NotMeasured]
        .into_iter()
        .map(|status| (status, assessments.iter().filter(|a| a.status == status).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(status, count)| format!("{count} {}", status.word()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The criteria as plain text. Without `all`, only those that the run measured.
pub fn criteria(assessments: &[Assessment], all: bool) -> String {
    let mut out = format!("Criteria of the PEPs and of this project: {}\n", counts(assessments));
    for a in assessments.iter().filter(|a| all || a.status != Status::NotMeasured) {
        let deadline = a.criterion.deadline.as_ref().map(|d| format!(", {d}")).unwrap_or_default();
        let _ = writeln!(out, "{} {:<24} {}: {}", symbol(a.status), a.criterion.id, words(a), a.finding);
        let _ = writeln!(out, "    {} ({}{deadline})", a.criterion.meaning, a.criterion.source);
        if let Some(command) = &a.command {
            let _ = writeln!(out, "    {command}");
        }
    }
    out
}
