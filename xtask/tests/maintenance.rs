//! `governance` and `history` from the command line.

mod support;

#[path = "../../harness/tests/support/fixture.rs"]
mod fixture;
#[path = "../../harness/tests/support/history.rs"]
mod history;

use history::Maker;
use support::Machine;

const USAGE: i32 = 2;

const MAP: &str = "schema_version = 1\nname = \"Made up\"\ninterpreter = [\"vm.c\"]\nbots = [\"*[bot]*\"]\n\
    [[stage]]\nname = \"jit\"\nfiles = [\"jit/\"]\n";

/// A machine with a repository, its map, and what the commands take for them.
fn repository() -> (Machine, String, String) {
    let machine = Machine::new();
    let mut maker = Maker::new(&machine.path("repo"));
    maker.set("vm.c", Some("1\n")).set("jit/a.c", Some("1\n")).commit("Ann Lee", 0, "One");
    maker.set("vm.c", Some("2\n")).set("jit/a.c", Some("2\n")).commit("Ann Lee", 400, "Two");
    maker.set("jit/b.c", Some("1\n")).commit("Bob Ray", 500, "Three");
    std::fs::write(machine.path("map.toml"), MAP).expect("a map");
    let text = |name: &str| machine.path(name).display().to_string();
    let (repo, map) = (text("repo"), text("map.toml"));
    (machine, repo, map)
}

#[test]
fn governance_prints_a_table_and_writes_what_documents_read() {
    let (machine, repo, map) = repository();
    let out = machine.path("out");
    let end = machine.run(&["governance", "--repo", &repo, "--map", &map, "--out", &out.display().to_string()]);
    end.says(0, &[]);
    for words in [
        "Made up of repo: 3 commits from 2020-01-01 to 2021-05-15",
        "without Ann Lee (1), Bob Ray (1)",
        "100 % of the interpreter's",
    ] {
        assert!(end.out.contains(words), "{words:?} is not in {}", end.out);
    }
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("governance.json")).expect("written")).expect("JSON");
    assert_eq!((&json["whole"]["commits"], &json["co_change"]["both"]), (&serde_json::json!(3), &serde_json::json!(2)));
    assert!(std::fs::read_to_string(out.join("governance.md")).expect("written").starts_with("# Governance\n"));
    assert!(machine.path("home/.cache").is_dir(), "what was read is kept for the next time");
    let again = machine.run(&["governance", "--repo", &repo, "--map", &map, "--json"]);
    again.says(0, &[]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&again.out).expect("JSON"), json);
}

#[test]
fn governance_says_what_is_wrong_with_what_it_is_given() {
    let (machine, repo, map) = repository();
    let home = machine.path("home").display().to_string();
    machine.run(&["governance", "--repo", &home, "--map", &map]).says(USAGE, &["is no git repository"]);
    machine.run(&["governance", "--repo", &repo]).says(USAGE, &["CPython's JIT", "is it the right repository?"]);
    machine.run(&["governance", "--repo", &repo, "--map", &map, "--rev", "v1"]).says(USAGE, &["has no commit v1"]);
    std::fs::write(machine.path("map.toml"), "name = 1").expect("a map");
    machine.run(&["governance", "--repo", &repo, "--map", &map]).says(USAGE, &["map.toml is not valid"]);
}

#[test]
fn history_names_the_commit_that_moved_a_workload() {
    let machine = Machine::new();
    let mut maker = Maker::new(&machine.path("repo"));
    let mut args = vec!["history".to_owned(), "--repo".to_owned(), machine.path("repo").display().to_string()];
    for i in 0..4 {
        let commit = maker.set("a", Some(&i.to_string())).commit("Ann", i, &format!("Commit {i}"));
        let mut manifest = fixture::manifest(5);
        manifest.run_id = format!("2026010{i}T030405Z-00002a");
        manifest.commit = Some(commit.to_string());
        let faster = |tier: &str, workload: &str| if i >= 2 && (tier, workload) == ("pepjit", "sieve") { 1.3 } else { 1.0 };
        args.push(fixture::write_as(&machine.path("runs"), &manifest, faster).root().display().to_string());
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let end = machine.run(&args);
    end.says(0, &[]);
    let row = end.out.lines().find(|line| line.starts_with("| sieve | ▲ +30.0 %")).expect("a move");
    assert!(row.contains("Commit 2 |"), "{row}");
    machine.run(&["history", "--repo", "/nonexistent", args[3]]).says(USAGE, &["cannot be read"]);
}

#[test]
fn publish_writes_what_is_there_and_refuses_a_folder_of_this_machine() {
    let machine = Machine::new();
    let mut manifest = fixture::manifest(5);
    manifest.command_line = vec!["target/debug/xtask".into(), "measure".into()];
    let run = fixture::write_as(&machine.path("runs"), &manifest, |_, _| 1.0).root().display().to_string();
    let out = machine.path("published");
    let args = ["publish", &run, "--no-tools", "--out", &out.display().to_string()];
    machine.run(&args).says(0, &[]);
    let read = |name: &str| std::fs::read_to_string(out.join(name)).expect("written");
    assert!(read("report.md").contains("- Command: cargo xtask measure\n"), "{:.600}", read("report.md"));
    assert!(read("report.html").starts_with("<!DOCTYPE html>") && read("pep-9999.rst").starts_with("PEP: 9999"));
    assert!(!out.join("redistributor.md").exists() && !out.join("history.md").exists());

    // Where the runs lie is nobody else's folder.
    let history = serde_json::json!({"schema_version": 1, "tool_version": "0", "alpha": 0.05, "margin": 0.01, "lines": [],
        "left_out": [{"run": "a", "reason": format!("{} is damaged", machine.path("runs/other/manifest.json").display())}]});
    std::fs::write(machine.path("runs").join(&run).join("history.json"), history.to_string()).expect("writable");
    std::fs::remove_dir_all(&out).expect("it was written");
    machine.run(&args).says(USAGE, &["would name a folder of this machine", "runs/other/manifest.json"]);
    assert!(!out.exists(), "nothing is written then");
}
