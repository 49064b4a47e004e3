//! Every document over one small made-up run, as snapshots.

#[path = "../../harness/tests/support/fixture.rs"]
mod fixture;

use pepjit_harness::analysis::{Analysis, Options, RunData};
use pepjit_harness::model::{FailureKind, RunDir};

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
