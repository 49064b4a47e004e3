//! Governance on made-up repositories whose answers are known.

#[path = "support/history.rs"]
mod history;

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use history::Maker;
use pepjit_harness::governance::{
    Author, CPYTHON, Churn, Governance, GovernanceError, Map, Pair, Request, TruckFactor, Year, cpython_map, measure,
};

const MAP: &str = r#"
schema_version = 1
name = "made up"
interpreter = ["vm/*.c"]
generated = ["jit/made.h"]
bots = ["*[bot]*"]
[rules]
co_authors = true
[[stage]]
name = "front"
files = ["jit/front*.c", "jit/made.h"]
[[stage]]
name = "back"
files = ["jit/back/"]
"#;

fn measured(folder: &Path, map: &str, cache: &Path) -> Result<Governance, GovernanceError> {
    let map = Map::parse(map).expect("a map");
    let request = Request { repository: folder, revision: "HEAD", cache, jobs: 2, progress: &|_| {}, stop: &|| false };
    measure(&map, &request)
}

fn leave(names: &[(&str, usize)]) -> Vec<Author> {
    names.iter().map(|(name, files)| Author { name: (*name).to_owned(), files: *files }).collect()
}

/// Two stages, an interpreter, a bot, a merge, a rename and a rewrite, over three years.
fn story(folder: &Path) -> Maker {
    let mut maker = Maker::new(folder);
    let m = &mut maker;
    m.set("vm/eval.c", Some(&Maker::lines("eval", 10))).commit("Eve", 0, "The interpreter");
    // Ann makes both files of the front end.
    m.set("jit/front.c", Some(&Maker::lines("front", 400))).set("jit/front2.c", Some(&Maker::lines("two", 100)));
    m.set("jit/made.h", Some("made\n")).commit("Ann", 10, "The front end");
    // Not counted together: the back end isn't there yet.
    m.set("vm/eval.c", Some(&Maker::lines("eval", 12))).commit("Eve", 20, "Alone");
    m.set("jit/back/x86.c", Some(&Maker::lines("x86", 50))).commit("Bob", 30, "The back end");
    // The interpreter and the front end together; Cy is a co-author.
    m.set("vm/eval.c", Some(&Maker::lines("eval", 13))).set("jit/front2.c", Some(&Maker::lines("two", 105)));
    m.commit("Ann", 140, "Both\n\nCo-authored-by: Cy <cy@example.org>");
    m.set("vm/eval.c", Some(&Maker::lines("eval", 14))).commit("Eve", 150, "The interpreter alone");
    // A bot formats; nobody gets anything for that.
    m.set("jit/front2.c", Some(&Maker::lines("two", 104))).commit("format[bot]", 160, "Format");
    m.rename("jit/back/x86.c", "jit/back/amd64.c").commit("Bob", 400, "Call it amd64");
    // The generated file alone is no change of a stage.
    m.set("jit/made.h", Some("made again\n")).commit("Dan", 410, "Make again");
    // Dan replaces 300 of the front end's 504 lines by 20.
    m.set("jit/front.c", Some(&(Maker::lines("front", 100) + &Maker::lines("new", 20)))).commit("Dan", 800, "Another front end");
    let side = m.head();
    m.set("jit/back/amd64.c", Some(&Maker::lines("x86", 51))).commit("Bob", 900, "One more");
    let main = m.head();
    m.commit_on(&[main, side], "Eve", 905, "Merge");
    maker
}

#[test]
fn every_figure_of_a_known_history() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = tempfile::tempdir().expect("a folder");
    let maker = story(&folder.path().join("made"));
    let g = measured(&folder.path().join("made"), MAP, cache.path()).expect("a result");

    assert_eq!((g.repository.name.as_str(), g.repository.commits), ("made", 12));
    assert_eq!(g.repository.head, maker.head().to_string());
    assert_eq!((g.repository.since.as_str(), g.repository.as_of.as_str()), ("2020-01-01T00:00:00Z", "2022-06-24T00:00:00Z"));
    assert_eq!((g.excluded.merges, g.excluded.bot_commits), (1, 1));
    assert_eq!(
        (g.excluded.bots.as_slice(), g.excluded.generated.as_slice()),
        (&["format[bot]".to_owned()][..], &["jit/made.h".to_owned()][..])
    );
    assert_eq!((g.identities.signatures, g.identities.people), (6, 5));

    let [front, back] = g.stages.as_slice() else { panic!("two stages: {:?}", g.stages) };
    assert_eq!((front.name.as_str(), front.files, front.lines), ("front", 2, 224));
    // Ann's two commits and Dan's; the bot's and the one of the generated file count nowhere.
    assert_eq!((front.commits, front.contributors, front.recurring, front.active, front.active_recurring), (3, 3, 0, 1, 0));
    assert_eq!(front.churn, Churn { added: 400 + 100 + 5 + 20, removed: 300 });
    // front.c: Ann 4.391 - 0.321 ln 2 = 4.17, Dan 3.457 (83 %). front2.c: Ann 4.391 + 0.164 = 4.555, Cy 3.457 - 0 = 3.457 (76 %).
    // Without Ann both have somebody; without Cy too one of two has nobody, which is not over half.
    let front_leave = leave(&[("Ann", 2), ("Cy", 1), ("Dan", 1)]);
    assert_eq!(front.truck_factor, TruckFactor { factor: 3, leave: front_leave, without_author: 0 });
    // Only Dan is around: one of two files has an author, and without him none.
    assert_eq!(front.truck_factor_active, TruckFactor { factor: 1, leave: leave(&[("Dan", 1)]), without_author: 1 });
    assert_eq!((front.absence_factor, front.absence_factor_active), (1, Some(1)));
    let top: Vec<(&str, usize)> = front.top.iter().map(|row| (row.name.as_str(), row.commits)).collect();
    assert_eq!(top, [("Ann", 2), ("Cy", 1), ("Dan", 1)]);
    assert_eq!(
        front.years,
        [
            Year { year: 2020, commits: 2, contributors: 2, returning: 0, churn: Churn { added: 505, removed: 0 } },
            Year { year: 2022, commits: 1, contributors: 1, returning: 0, churn: Churn { added: 20, removed: 300 } },
        ]
    );
    // Ann and Cy were last seen on day 140; the newest commit is of day 905.
    assert_eq!(front.deserted.len(), 1);
    let deserted = &front.deserted[0];
    assert_eq!((deserted.path.as_str(), deserted.days, deserted.last_change.as_str()), ("jit/front2.c", 765, "2020-06-09"));
    assert_eq!(deserted.authors, ["Ann", "Cy"]);

    // The rename carried Bob's authorship along: 51 lines, one file, three commits over 870 days.
    assert_eq!((back.files, back.lines, back.commits, back.recurring, back.active_recurring), (1, 51, 3, 1, 1));
    assert_eq!(back.truck_factor, TruckFactor { factor: 1, leave: leave(&[("Bob", 1)]), without_author: 0 });
    assert_eq!(back.churn, Churn { added: 51, removed: 0 });
    assert!(back.deserted.is_empty());

    assert_eq!((g.whole.files, g.whole.lines, g.whole.commits, g.whole.contributors), (3, 275, 6, 4));
    // Files: front.c (Ann, Dan), front2.c (Ann, Cy), amd64.c (Bob). Ann, Bob: amd64.c has nobody. Cy: two of three.
    assert_eq!(g.whole.truck_factor.leave, leave(&[("Ann", 2), ("Bob", 1), ("Cy", 1)]));

    // From day 30 on: the interpreter on days 140 and 150, stages on 30, 140, 400, 800 and 900.
    let c = &g.co_change;
    assert_eq!((c.since.as_str(), c.interpreter, c.stages, c.both, c.share), ("2020-01-31", 2, 5, 1, Some(0.5)));
    let pair = Pair { interpreter: "vm/eval.c".into(), stage: "jit/front2.c".into(), together: 1, interpreter_commits: 2 };
    assert_eq!(c.pairs, [pair]);

    assert_eq!(g.rearchitecture.len(), 1);
    let turn = &g.rearchitecture[0];
    assert_eq!((turn.stage.as_str(), turn.author.as_str(), turn.summary.as_str()), ("front", "Dan", "Another front end"));
    assert_eq!((turn.lines_before, turn.churn), (504, Churn { added: 20, removed: 300 }));
}

#[test]
fn code_that_is_indented_or_moved_turns_no_stage_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut maker = Maker::new(folder.path());
    let code = |from: usize, to: usize, indent: &str| -> String {
        (from..to).map(|i| [indent, "line ", &i.to_string(), "\n"].concat()).collect()
    };
    maker.set("jit/front.c", Some(&code(0, 600, "    "))).commit("Ann", 0, "A front end");
    maker.set("jit/front.c", Some(&code(0, 600, "\t"))).commit("Ann", 1, "Indent by tabs");
    let two = code(300, 600, "\t");
    maker.set("jit/front.c", Some(&code(0, 300, "\t"))).set("jit/front2.c", Some(&two)).commit("Ann", 2, "Cut it in two");
    let within = code(150, 300, "\t") + &code(0, 150, "\t");
    maker.set("jit/front.c", Some(&within)).commit("Ann", 3, "Put the helpers first");
    // Another name and another indentation at once, which git takes for another file.
    maker.set("jit/front2.c", None).set("jit/front3.c", Some(&code(300, 600, "  "))).commit("Ann", 4, "Rename and indent");
    let g = measured(folder.path(), MAP, &folder.path().join("cache")).expect("a result");
    assert_eq!(g.rearchitecture, []);
    assert_eq!((g.stages[0].lines, g.stages[0].files), (600, 2));

    // 250 of 600 lines are new, while 350 are indented: that turns the stage over, and is told without what only moved.
    let half = code(300, 350, "\t") + &Maker::lines("new", 250);
    maker.set("jit/front.c", Some(&code(0, 300, "  "))).set("jit/front3.c", Some(&half)).commit("Ann", 5, "Rewrite half");
    let g = measured(folder.path(), MAP, &folder.path().join("cache")).expect("a result");
    let [turn] = g.rearchitecture.as_slice() else { panic!("one: {:?}", g.rearchitecture) };
    assert_eq!((turn.summary.as_str(), turn.lines_before, turn.churn.removed - turn.stayed), ("Rewrite half", 600, 250));
    assert_eq!(turn.churn.added - turn.stayed, 250);
}

#[test]
fn one_person_who_does_everything_is_a_truck_factor_of_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut maker = Maker::new(folder.path());
    for i in 0..9 {
        maker.set(&format!("jit/front{i}.c"), Some(&format!("{i}\n"))).commit("Ann", i, "More");
    }
    // Bob's three files are a quarter of twelve.
    for i in 9..12 {
        maker.set(&format!("jit/front{i}.c"), Some(&format!("{i}\n"))).commit("Bob", i, "More");
    }
    let g = measured(folder.path(), MAP, &folder.path().join("cache")).expect("a result");
    assert_eq!(g.stages[0].truck_factor, TruckFactor { factor: 1, leave: leave(&[("Ann", 9)]), without_author: 0 });
    assert_eq!(g.stages[0].absence_factor, 1);
    assert_eq!(g.stages[1].files, 0);
}

#[test]
fn mailmap_of_the_newest_commit_merges_people() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut maker = Maker::new(folder.path());
    maker.set("jit/front.c", Some("1\n")).commit("Ann Old", 0, "One");
    maker.set("jit/front.c", Some("2\n")).commit("Ann New", 1, "Two");
    let before = measured(folder.path(), MAP, &folder.path().join("cache")).expect("a result");
    assert_eq!((before.whole.contributors, before.identities.by_mailmap), (2, 0));
    maker.set(".mailmap", Some("Ann New <ann.new@example.org> <ann.old@example.org>\n")).commit("Ann New", 2, "One person");
    let after = measured(folder.path(), MAP, &folder.path().join("cache")).expect("a result");
    assert_eq!((after.whole.contributors, after.identities.by_mailmap), (1, 1));
    assert_eq!(after.whole.top[0].name, "Ann New");
}

#[test]
fn gitattributes_tell_what_is_generated() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut maker = Maker::new(folder.path());
    maker.set("jit/back/cases.c", Some("1\n")).set("jit/back/x.c", Some("1\n")).commit("Ann", 0, "One");
    maker.set(".gitattributes", Some("jit/back/cases.c linguist-generated=true\n")).commit("Ann", 1, "It's generated");
    let g = measured(folder.path(), MAP, &folder.path().join("cache")).expect("a result");
    assert_eq!((g.whole.files, g.excluded.generated.as_slice()), (1, &["jit/back/cases.c".to_owned()][..]));
}

#[test]
fn an_interrupted_reading_goes_on_and_gives_the_same() {
    let (folder, cache) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut maker = Maker::new(folder.path());
    for i in 0..500_i64 {
        maker.set(&format!("jit/front{}.c", i % 7), Some(&Maker::lines("x", i as usize % 50 + 1)));
        maker.set("jit/back/a.c", Some("a\n")).commit(["Ann", "Bob", "Cy"][i as usize % 3], i, "Step");
    }
    let whole = measured(folder.path(), MAP, &cache.path().join("whole")).expect("a result");
    let map = Map::parse(MAP).expect("a map");
    let kept = cache.path().join("kept");
    let asked = AtomicUsize::new(0);
    let known = Cell::new(0);
    let request = Request {
        repository: folder.path(),
        revision: "HEAD",
        cache: &kept,
        jobs: 1,
        progress: &|progress| known.set(progress.known),
        stop: &|| asked.fetch_add(1, Ordering::Relaxed) >= 3,
    };
    let Err(GovernanceError::Interrupted { done, total }) = measure(&map, &request) else { panic!("it was to stop") };
    assert_eq!((done, total), (192, 500), "three batches of 64");
    // A process that was killed while it wrote leaves half a line.
    let file = std::fs::read_dir(&kept).expect("the cache").next().expect("a file").expect("readable").path();
    let mut bytes = std::fs::read(&file).expect("readable");
    bytes.truncate(bytes.len() - 10);
    std::fs::write(&file, bytes).expect("writable");
    let resumed = measure(&map, &Request { stop: &|| false, ..request }).expect("a result");
    assert_eq!(known.get(), 191, "all but the torn one");
    assert_eq!(resumed, whole);
    let again = measure(&map, &Request { stop: &|| true, ..request }).expect("nothing is left to read");
    assert_eq!(again, whole);
}

#[test]
fn what_is_no_repository_or_has_no_such_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = measured(&folder.path().join("none"), MAP, folder.path()).expect_err("no folder");
    assert!(error.to_string().contains("is no git repository"), "{error}");
    Maker::new(folder.path()).set("a.txt", Some("a\n")).commit("Ann", 0, "One");
    let error = measured(folder.path(), MAP, &folder.path().join("cache")).expect_err("no such file");
    assert!(error.to_string().contains("is it the right repository?"), "{error}");
    let map = Map::parse(MAP).expect("a map");
    let (cache, stop) = (folder.path().join("cache"), || false);
    let request = Request { repository: folder.path(), revision: "v9", cache: &cache, jobs: 1, progress: &|_| {}, stop: &stop };
    assert!(matches!(measure(&map, &request), Err(GovernanceError::Revision { .. })));
}

#[test]
fn our_own_maps_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the project");
    let map = Map::load(&cpython_map(root)).expect("a map");
    assert_eq!(map.used.name, CPYTHON, "the criterion about CPython's maintainers knows it by its name");
    assert_eq!(map.stages, ["front end", "middle end", "back end", "support"]);
    let map = Map::load(&root.join("pep-draft/cinderx-stages.toml")).expect("a map");
    assert_eq!(map.stages, ["front end and representation", "code generation", "runtime", "tests"]);
}
