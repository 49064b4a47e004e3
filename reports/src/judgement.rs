//! The gate's judgement as text, as a Markdown table and as `JUnit` XML.

use std::fmt::Write as _;

use pepjit_harness::criteria::Status;
use pepjit_harness::gate::{Answer, Judgement};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::criteria::{counts, symbol, words};
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
    if !judgement.criteria.is_empty() {
        let _ = write!(out, "\n{}", crate::criteria::criteria(&judgement.criteria, true));
    }
    let _ = write!(out, "\n{}: {}", judgement.run_id, judgement.answer.word());
    if let (Answer::Inconclusive, Some(rounds)) = (judgement.answer, judgement.rounds_to_decide) {
        let _ =
            write!(out, "; {rounds} rounds would decide it: cargo xtask measure --resume {} --rounds {rounds}", judgement.run_id);
    }
    out.push('\n');
    out
}

/// A judgement as a Markdown table, for a pull request or a job's summary.
pub fn judgement_markdown(judgement: &Judgement) -> String {
    let cell = |text: &str| text.replace('|', "\\|").replace(['\n', '\r'], " ");
    let mut out =
        format!("**{}** ({})\n\n| criterion | answer | finding |\n|---|---|---|\n", judgement.answer.word(), judgement.run_id);
    for o in &judgement.outcomes {
        let answer = format!("{} {}", answer_symbol(o.answer), o.answer.word());
        let _ = writeln!(out, "| {} | {answer} | {} |", cell(&o.criterion.name), cell(&o.finding));
    }
    for line in &judgement.broken {
        let _ = writeln!(out, "\n✗ {}", cell(line));
    }
    if !judgement.criteria.is_empty() {
        let _ = writeln!(out, "\nCriteria of the PEPs: {}\n", counts(&judgement.criteria));
        out.push_str("| criterion | deadline | answer | finding |\n|---|---|---|---|\n");
        for a in judgement.criteria.iter().filter(|a| a.status != Status::NotMeasured) {
            let (id, deadline) = (&a.criterion.id, a.criterion.deadline.as_deref().unwrap_or("-"));
            let _ = writeln!(out, "| {id} | {deadline} | {} {} | {} |", symbol(a.status), words(a), cell(&a.finding));
        }
    }
    out
}

/// A judgement as a `JUnit` XML file: a suite of the gate's criteria, one of the criteria of the PEPs, and one of the
/// processes that failed.
pub fn judgement_junit(judgement: &Judgement) -> Result<String, quick_junit::SerializeError> {
    let mut report = Report::new(format!("gate {}", judgement.run_id));
    let mut gate = TestSuite::new("gate");
    for o in &judgement.outcomes {
        let status = match o.answer {
            Answer::Pass => TestCaseStatus::success(),
            Answer::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
            Answer::Broken => TestCaseStatus::non_success(NonSuccessKind::Error),
            // JUnit knows no third answer; what isn't decided wasn't tested.
            Answer::Inconclusive | Answer::Skipped => TestCaseStatus::skipped(),
        };
        gate.add_test_case(case(&o.criterion.tier, &o.criterion.name, status, o.answer.word(), &o.finding));
    }
    report.add_test_suite(gate);
    let mut peps = TestSuite::new("criteria");
    for a in &judgement.criteria {
        let status = match a.status {
            Status::Met | Status::NoLimit => TestCaseStatus::success(),
            Status::NotMet if judgement.required.contains(&a.criterion.id) => {
                TestCaseStatus::non_success(NonSuccessKind::Failure)
            }
            // What nobody required breaks no build.
            Status::NotMet | Status::Inconclusive | Status::NotMeasured => TestCaseStatus::skipped(),
        };
        peps.add_test_case(case(&a.criterion.source, &a.criterion.id, status, a.status.word(), &a.finding));
    }
    report.add_test_suite(peps);
    let mut processes = TestSuite::new("processes");
    for line in &judgement.broken {
        let status = TestCaseStatus::non_success(NonSuccessKind::Error);
        processes.add_test_case(case("run", "process", status, "failed", line));
    }
    report.add_test_suite(processes);
    report.to_string()
}

fn case(class: &str, name: &str, mut status: TestCaseStatus, word: &str, finding: &str) -> TestCase {
    status.set_message(format!("{word}: {finding}"));
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    case
}
