//! The gate's judgement as text, as a Markdown table and as `JUnit` XML.

use std::fmt::Write as _;

use pepjit_harness::criteria::Status;
use pepjit_harness::gate::{Answer, Judgement};

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

/// A judgement as a `JUnit` XML file: a test case per criterion, and one for each failed process.
pub fn judgement_junit(judgement: &Judgement) -> String {
    let count = |wanted: Answer| judgement.outcomes.iter().filter(|o| o.answer == wanted).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuite name=\"gate {}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        xml(&judgement.run_id),
        judgement.outcomes.len() + judgement.broken.len(),
        count(Answer::Fail),
        judgement.broken.len(),
        count(Answer::Skipped) + count(Answer::Inconclusive),
    );
    for o in &judgement.outcomes {
        let element = match o.answer {
            Answer::Pass => None,
            Answer::Fail => Some("failure"),
            Answer::Broken => Some("error"),
            // JUnit knows no third answer; what isn't decided wasn't tested.
            Answer::Inconclusive | Answer::Skipped => Some("skipped"),
        };
        let _ = write!(out, "  <testcase classname=\"{}\" name=\"{}\"", xml(&o.criterion.tier), xml(&o.criterion.name));
        let _ = match element {
            Some(element) => writeln!(out, "><{element} message=\"{}: {}\"/></testcase>", o.answer.word(), xml(&o.finding)),
            None => writeln!(out, "/>"),
        };
    }
    for line in &judgement.broken {
        let _ = writeln!(out, "  <testcase classname=\"run\" name=\"process\"><error message=\"{}\"/></testcase>", xml(line));
    }
    out.push_str("</testsuite>\n");
    out
}

/// Text for an XML attribute, without the characters that XML 1.0 can't hold.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}
