//! Every document over one small made-up run, as snapshots.

mod support;

use pepjit_harness::analysis::{Analysis, Options, RunData};
use pepjit_harness::model::{FailureKind, RunDir};
use support::{fixture, material, two_machines};

fn analysis(rounds: u32, change: impl FnOnce(&RunDir)) -> Analysis {
    let runs = tempfile::tempdir().expect("a temporary folder");
    let dir = fixture::write(runs.path(), rounds);
    change(&dir);
    RunData::load(dir.root()).and_then(|d| d.analyse(Options::default())).expect("an analysis")
}

#[test]
fn terminal_table() {
    insta::assert_snapshot!(pepjit_reports::terminal(&analysis(5, |_| {})));
}

#[test]
fn terminal_table_of_one_round_states_no_interval() {
    insta::assert_snapshot!(pepjit_reports::terminal(&analysis(1, |_| {})));
}

#[test]
fn terminal_table_lists_failures() {
    let a = analysis(3, |dir| {
        for round in 1..=3 {
            let message = "exit status 1: MemoryError. Run the command of this row to see it";
            fixture::fail(dir, "pepjit", "nbody", round, FailureKind::Exit, message);
        }
        fixture::fail(dir, "cpython-jit", "sieve", 2, FailureKind::Timeout, "no end after 60 s");
    });
    insta::assert_snapshot!(pepjit_reports::terminal(&a));
}

fn some_failures(dir: &RunDir) {
    for round in 1..=5 {
        fixture::fail(dir, "pepjit", "nbody", round, FailureKind::Signal, "SIGSEGV <&> | \"quoted\"");
    }
}

#[test]
fn markdown_report() {
    insta::assert_snapshot!(pepjit_reports::markdown(&material(5, |_| {})).expect("a report"));
}

#[test]
fn markdown_report_of_a_broken_run() {
    insta::assert_snapshot!(pepjit_reports::markdown(&material(5, some_failures)).expect("a report"));
}

#[test]
fn markdown_report_of_two_machines() {
    let text = pepjit_reports::markdown(&two_machines()).expect("a report");
    let merged: String = text.lines().take_while(|l| !l.starts_with("# CPython")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(merged);
}

/// A page without its style and script, whose changes would drown the others.
fn body(html: &str) -> &str {
    html.split_once("</head>").and_then(|(_, body)| body.split_once("<script>")).expect("a page").0
}

/// What a row says is enough to measure it again: the tier with its baseline and the control, and nothing of one machine.
#[test]
fn each_row_has_the_command_that_measures_it_again() {
    let a = analysis(5, |_| {});
    for tier in &a.tiers {
        for row in &tier.workloads {
            let words: Vec<&str> = row.command.split(' ').collect();
            let of = |name: &str| words.iter().position(|w| *w == name).and_then(|at| words.get(at + 1)).copied();
            assert_eq!(&words[..3], ["cargo", "xtask", "measure"], "{}", row.command);
            assert_eq!(of("--workloads"), Some(row.name.as_str()), "{}", row.command);
            let tiers: Vec<&str> = of("--tiers").expect("tiers").split(',').collect();
            assert!(tiers.contains(&a.manifest.baseline.as_str()) && tiers.contains(&tier.tier.as_str()), "{}", row.command);
            assert!(tiers.contains(&"interp-aa") && tiers.len() <= 3, "{}", row.command);
            assert_eq!(of("--rounds"), Some("5"));
            assert!(!row.command.contains('/'), "{}", row.command);
        }
    }
}

#[test]
fn html_report() {
    insta::assert_snapshot!(body(&pepjit_reports::html(&material(5, |_| {})).expect("a report")));
}

#[test]
fn html_report_of_two_machines_shows_both_and_their_mean() {
    let html = pepjit_reports::html(&two_machines()).expect("a report");
    let merged = html.split_once("id=\"merged\"").expect("merged").1;
    assert!(merged.contains("over 2 platforms, each weighing the same"));
    assert!(merged.contains("1 of 2 platforms have an interval of it"), "cpython-jit is lacking on one");
    for run in ["20260102T030405Z-00002a", "20260102T040506Z-00002b"] {
        assert_eq!(html.matches(&format!("<h2 id=\"{run}\">")).count(), 1);
    }
}

#[test]
fn runs_without_a_workload_in_common_have_no_mean() {
    let mut material = two_machines();
    let manifest = &mut material.runs[1].analysis.manifest;
    "another".clone_into(&mut manifest.suite);
    for workload in &mut manifest.workloads {
        // The name alone doesn't make it the same program.
        "another program".clone_into(&mut workload.sha256);
    }
    for workload in &mut material.runs[0].analysis.manifest.workloads {
        "a program".clone_into(&mut workload.sha256);
    }
    for text in [pepjit_reports::html(&material).expect("a page"), pepjit_reports::markdown(&material).expect("a report")] {
        assert!(text.contains("No workload is in every run, so that no mean is taken over them"));
        assert!(!text.contains("over 2 platforms") && !text.contains("workload by workload</h3>"));
    }
}

#[test]
fn no_document_says_where_it_was_made() {
    let mut material = material(5, some_failures);
    let home = std::env::var("HOME").expect("a home folder");
    let root = material.runs[0].root.clone();
    let run = &mut material.runs[0].analysis;
    for (index, workload) in run.manifest.workloads.iter_mut().enumerate() {
        workload.script = format!("/somewhere/checkout/benchmarks/workloads/w{index}.py").into();
    }
    for tier in &mut run.tiers {
        for workload in &mut tier.workloads {
            workload.command = format!("{home}/bin/python3 /somewhere/checkout/benchmarks/w.py {}/raw", root.display());
        }
    }
    for text in [pepjit_reports::html(&material).expect("a page"), pepjit_reports::markdown(&material).expect("a report")] {
        let name = root.file_name().expect("a name").to_string_lossy();
        assert!(text.contains(&format!("~/bin/python3 benchmarks/w.py {name}/raw")), "{text:.3000}");
        assert!(!text.contains("/somewhere/") && !text.contains(&format!("{}/raw", root.display())));
    }
}

#[test]
fn html_report_stands_alone_and_escapes_what_it_quotes() {
    let html = pepjit_reports::html(&material(5, some_failures)).expect("a report");
    for outside in ["http://", "https://", "<script ", "<link", "@import", "src=", "url(", "fetch(", "import("] {
        assert!(!html.contains(outside), "the report must not need {outside}");
    }
    assert!(html.contains("default-src &#x27;none&#x27;") || html.contains("default-src 'none'"));
    assert!(html.contains("SIGSEGV &lt;&amp;&gt; | &quot;quoted&quot;"));
    assert!(html.contains("prefers-color-scheme: dark"));
    assert!(html.contains("name=\"viewport\""));
    assert!(!html.contains("#0101") && !html.contains("#0102"), "a stand-in ink was left in a plot");
}

#[test]
fn every_part_of_the_page_has_an_id_of_its_own_and_links_lead_somewhere() {
    for material in [material(5, |_| {}), two_machines()] {
        let html = pepjit_reports::html(&material).expect("a report");
        let values = |attribute: &str| -> Vec<String> {
            let start = format!(" {attribute}=\"");
            let parts = html.split(&start).skip(1);
            parts.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
        };
        let mut ids = values("id");
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count, "an id is there twice");
        let links = values("href");
        assert!(links.len() >= 5);
        for link in links {
            let target = link.strip_prefix('#').expect("a link inside the page");
            assert!(ids.iter().any(|id| id == target), "{link} leads nowhere");
        }
    }
}

#[test]
fn memory_adds_up_in_every_row() {
    let html = pepjit_reports::html(&material(5, |_| {})).expect("a report");
    let table = html.split("Memory of pepjit\"").nth(1).and_then(|t| t.split("</table>").next()).expect("the table");
    let mut rows = 0;
    for row in table.split("<tr>").filter(|r| r.starts_with("<th scope=\"row\">")) {
        let values: Vec<f64> =
            row.split("data-v=\"").skip(1).map(|v| v.split('"').next().unwrap_or_default().parse().unwrap_or(0.0)).collect();
        assert!((values[..4].iter().sum::<f64>() - values[4]).abs() < 4e-3, "{values:?}");
        rows += 1;
    }
    assert_eq!(rows, fixture::WORKLOADS.len());
}

#[test]
fn files_are_written_and_rewritten_alike() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let all = material(3, |_| {});
    let read = |paths: &[std::path::PathBuf]| -> Vec<String> {
        paths.iter().map(|p| std::fs::read_to_string(p).expect("readable")).collect()
    };
    let first = read(&pepjit_reports::write(&all, folder.path()).expect("written"));
    let again = read(&pepjit_reports::write(&all, folder.path()).expect("written"));
    assert_eq!(first, again);
    let back: Analysis = serde_json::from_str(&first[2]).expect("an analysis");
    assert_eq!(back, all.runs[0].analysis);
}

#[test]
fn judgement_as_text() {
    let judgement = |rounds, change: fn(&RunDir)| material(rounds, change).runs.remove(0).judgement.expect("a judgement");
    insta::assert_snapshot!(pepjit_reports::judgement(&judgement(5, |_| {})));
    insta::assert_snapshot!(pepjit_reports::judgement(&judgement(5, some_failures)));
    insta::assert_snapshot!(pepjit_reports::judgement(&judgement(2, |_| {})));
}

#[test]
fn judgement_for_other_tools() {
    let judgement = material(5, some_failures).runs.remove(0).judgement.expect("a judgement");
    insta::assert_snapshot!(pepjit_reports::judgement_junit(&judgement).expect("XML"));
    insta::assert_snapshot!(pepjit_reports::judgement_markdown(&judgement));
}
