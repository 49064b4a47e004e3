//! Runs over commits, with moves put where they have to be found.

#[path = "support/fixture.rs"]
mod fixture;
#[path = "support/history.rs"]
mod made;

use git2::Oid;
use made::Maker;
use pepjit_harness::history::{History, HistoryError, Options, history};
use pepjit_harness::model::{Manifest, RunDir};

/// A repository of so many commits.
fn repository(folder: &std::path::Path, commits: usize) -> Vec<Oid> {
    let mut maker = Maker::new(folder);
    let commit = |i: usize| maker.set("a", Some(&i.to_string())).commit("Ann", i as i64, &format!("Commit {i}\n\nWhy."));
    (0..commits).map(commit).collect()
}

fn manifest(number: usize, commit: Option<Oid>) -> Manifest {
    let mut manifest = fixture::manifest(5);
    manifest.run_id = format!("202601{number:02}T030405Z-00002a");
    manifest.commit = commit.map(|id| id.to_string());
    manifest
}

#[test]
fn a_move_is_told_with_its_size_and_its_commits() {
    let folder = tempfile::tempdir().expect("a folder");
    let (repo, runs) = (folder.path().join("repo"), folder.path().join("runs"));
    let commits = repository(&repo, 14);
    // Every second commit was measured; nbody got 20 % faster in one of commits 7 and 8, sieve 10 % slower in 11 or 12.
    let mut dirs: Vec<RunDir> = Vec::new();
    for (number, i) in (0..14).step_by(2).enumerate() {
        let speed = |tier: &str, workload: &str| match (tier, workload) {
            ("pepjit", "nbody") if i >= 8 => 1.2,
            ("pepjit", "sieve") if i >= 12 => 0.9,
            _ => 1.0,
        };
        dirs.push(fixture::write_as(&runs, &manifest(number + 1, Some(commits[i])), speed));
    }
    // In another order than that of the commits, as runs of older commits are made later.
    dirs.reverse();
    let h = history(&dirs, &repo, "HEAD", Options::default()).expect("a history");
    assert!(h.left_out.is_empty(), "{:?}", h.left_out);
    let [line] = h.lines.as_slice() else { panic!("one line: {:?}", h.lines.len()) };
    let order: Vec<&str> = line.runs.iter().map(|run| run.summary.as_str()).collect();
    assert_eq!(order, ["Commit 0", "Commit 2", "Commit 4", "Commit 6", "Commit 8", "Commit 10", "Commit 12"]);
    assert_eq!(line.runs.iter().map(|run| run.commits_since).collect::<Vec<_>>(), [0, 2, 2, 2, 2, 2, 2]);
    assert_eq!(line.runs[1].date, "2020-01-03");

    let names: Vec<&str> = line.tiers.iter().map(|tier| tier.tier.as_str()).collect();
    assert_eq!(names, ["cpython-jit", "pepjit", "pepjit-idle"], "the control has nothing to move");
    let pepjit = &line.tiers[1];
    let what: Vec<(Option<&str>, usize, usize)> =
        pepjit.moves.iter().map(|m| (m.workload.as_deref(), m.before, m.after)).collect();
    // The suite moved with nbody by a sixth of 18 %, and with sieve by a sixth of 10 %.
    assert_eq!(what, [(Some("nbody"), 3, 4), (Some("sieve"), 5, 6), (None, 3, 4), (None, 5, 6)]);
    let nbody = &pepjit.moves[0];
    assert!((nbody.change - 1.2).abs() < 1e-9, "{}", nbody.change);
    assert!(nbody.ci.0 < 1.2 && 1.2 < nbody.ci.1 && nbody.ci.1 - nbody.ci.0 < 0.05, "{:?}", nbody.ci);
    let suspects: Vec<&str> = nbody.suspects.iter().map(|s| s.summary.as_str()).collect();
    assert_eq!((suspects.as_slice(), nbody.suspects_total), (&["Commit 8", "Commit 7"][..], 2));
    assert!((pepjit.moves[2].change - 1.2f64.powf(1.0 / 6.0)).abs() < 1e-9);
    assert!(line.tiers[0].moves.is_empty() && line.tiers[2].moves.is_empty());

    let nbody = pepjit.workloads.iter().find(|s| s.workload.as_deref() == Some("nbody")).expect("nbody");
    assert_eq!(nbody.points.len(), 7);
    assert_eq!(nbody.segments.iter().map(|s| (s.from, s.to)).collect::<Vec<_>>(), [(0, 3), (4, 6)]);
    let text = serde_json::to_string(&h).expect("JSON");
    assert_eq!(serde_json::from_str::<History>(&text).expect("JSON"), h);
}

#[test]
fn runs_that_do_not_compare_are_apart_and_those_without_a_place_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (repo, runs) = (folder.path().join("repo"), folder.path().join("runs"));
    let commits = repository(&repo, 2);
    let mut other = manifest(2, Some(commits[1]));
    other.host.cpu_model = "Another CPU".to_owned();
    let dirs = [
        fixture::write_as(&runs, &manifest(1, Some(commits[0])), |_, _| 1.0),
        fixture::write_as(&runs, &other, |_, _| 2.0),
        fixture::write_as(&runs, &manifest(3, None), |_, _| 1.0),
        fixture::write_as(&runs, &manifest(4, Some(Oid::from_bytes(&[7; 20]).expect("an id"))), |_, _| 1.0),
    ];
    std::fs::write(dirs[0].raw_file("pepjit", "nbody"), "{").expect("writable");
    let h = history(&dirs, &repo, "HEAD", Options::default()).expect("a history");
    assert_eq!(h.lines.iter().map(|line| line.runs.len()).collect::<Vec<_>>(), [1, 1]);
    assert!(h.lines.iter().flat_map(|line| &line.tiers).all(|tier| tier.moves.is_empty()));
    let reasons: Vec<&str> = h.left_out.iter().map(|l| l.reason.as_str()).collect();
    assert!(
        matches!(reasons.as_slice(), [file, commitless, unknown] if file.contains("nbody.json is cut off")
            && commitless.contains("names no commit") && unknown.contains("not in the history")),
        "{reasons:?}"
    );
    assert!(matches!(history(&[], &repo, "HEAD", Options::default()), Err(HistoryError::NoRuns)));
    assert!(matches!(history(&dirs, &runs, "HEAD", Options::default()), Err(HistoryError::Repository { .. })));
}
