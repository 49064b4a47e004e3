//! The tool matrix with a real CPython, on a stand-in for the JIT's module that is plain Python: what differs is found, what proves nothing
//! is called so, and nothing is run twice. Without a supported CPython on the machine there is nothing to test, and the tests say so.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pepjit_harness::compat::{
    CompatError, Event, Mode, Outcome, PROBES, Request, Row, RowResult, Suite, add_earlier, conclude, modes, select, tools,
};
use pepjit_harness::interpreters::{Interpreter, Places, discover};

/// A module with the interface of ours that compiles nothing and says that it did.
const STAND_IN: &str = "\
COMPILED = 5

def is_enabled():
    return True

def stats():
    return {'functions_compiled': COMPILED, 'loops_compiled': 0, 'native_entries': COMPILED, 'exits': 0}
";

const AUTOLOAD: &str = "import os; exec(\"if os.environ.get('PEPJIT', '') not in ('', '0'): import pepjit\")\n";

/// Probes that do everything that a probe can do.
const MADE_UP: &str = "\
import os, sys, time
import api, work

def honest():
    api.inform(pid=os.getpid())
    api.version('clock', 1)
    return {'mix': api.heat(work.mix, 10), 'text': ['a', 'b']}

def wrong():
    return {'events': [['call', 1], ['line', 2 if api.MODE == 'off' else 3]]}

def crash():
    if api.MODE != 'off':
        print('going down', flush=True)
        os.abort()

def raises():
    return 1 if api.MODE == 'off' else {}['gone']

def unsteady():
    return time.perf_counter()

def idle():
    if api.MODE != 'off':
        sys.modules['pepjit'].COMPILED = 0
    return 1

def lacking():
    raise api.Unavailable('frobnicate is missing: apt install frobnicate')

def broken():
    raise ValueError('never works')

def hangs():
    while api.MODE != 'off':
        time.sleep(1)
";

fn row(name: &'static str) -> Row {
    Row { name, group: "made-up", checks: "nothing", script: "made_up", since: 13, packages: &[], limit: Duration::from_secs(20) }
}

fn python() -> Option<Interpreter> {
    let found = discover(&Places::from_environment()).interpreters;
    let python = found.into_iter().find(|python| python.check_version().is_ok() && !python.free_threaded);
    if python.is_none() {
        eprintln!("no supported CPython is here: nothing is tested");
    }
    python
}

struct Setting {
    folder: tempfile::TempDir,
    modes: Vec<Mode>,
}

impl Setting {
    fn new(python: &Interpreter) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let module = folder.path().join("module");
        std::fs::create_dir_all(&module).expect("a folder");
        std::fs::write(module.join("pepjit.py"), STAND_IN).expect("a file");
        std::fs::write(module.join("pepjit.pth"), AUTOLOAD).expect("a file");
        let modes = modes(python).into_iter().filter(|mode| ["off", "forced"].contains(&mode.name.as_str())).collect();
        Self { folder, modes }
    }

    /// A request for no row.
    fn request<'a>(&self, python: &'a Interpreter, module: &'a Path, cache: &'a Path) -> Request<'a> {
        let mut probes = PROBES.to_vec();
        probes.push(("made_up.py", MADE_UP));
        Request {
            root: Path::new(env!("CARGO_MANIFEST_DIR")),
            python,
            module,
            module_sha256: "made up",
            modes: self.modes.clone(),
            rows: Vec::new(),
            probes,
            jobs: 1,
            cache,
            again: false,
            stop: &|| false,
            on: &|_| {},
        }
    }

    /// Runs rows; the names of those that ran now, and what came of all.
    fn run(&self, python: &Interpreter, rows: Vec<Row>, stop_after: usize) -> (Vec<String>, Result<Vec<RowResult>, CompatError>) {
        let ran = Mutex::new(Vec::new());
        let stop = AtomicBool::new(false);
        let on = |event: Event<'_>| {
            if let Event::Row(row) = event {
                let mut ran = ran.lock().expect("no panic");
                ran.push(row.name.clone());
                stop.store(ran.len() >= stop_after, Ordering::SeqCst);
            }
        };
        let (module, cache) = (self.folder.path().join("module"), self.folder.path().join("cache"));
        let stop = || stop.load(Ordering::SeqCst);
        let request = Request { rows, stop: &stop, on: &on, ..self.request(python, &module, &cache) };
        let results = tools(&request);
        if let Ok(rows) = &results {
            let compat = conclude(&request, rows.clone(), None);
            let text = serde_json::to_string(&compat).expect("JSON");
            assert_eq!(serde_json::from_str::<pepjit_harness::compat::Compat>(&text).expect("the same"), compat);
        }
        (ran.into_inner().expect("no panic"), results)
    }
}

#[test]
fn every_outcome_is_told_apart() {
    let Some(python) = python() else { return };
    let setting = Setting::new(&python);
    for (name, outcome, says) in [
        ("honest", Outcome::Equal, ""),
        ("wrong", Outcome::Differs, ""),
        ("crash", Outcome::Differs, "was killed by SIGABRT\ngoing down"),
        ("raises", Outcome::Differs, "KeyError: 'gone'"),
        ("unsteady", Outcome::Failed, "doesn't give the same twice"),
        ("idle", Outcome::NoProof, "nothing shows that the JIT was at work"),
        ("lacking", Outcome::NotAvailable, "apt install frobnicate"),
        ("broken", Outcome::Failed, "never works"),
    ] {
        let (_, results) = setting.run(&python, vec![row(name)], usize::MAX);
        let result = &results.expect("a result")[0];
        assert_eq!(result.outcome, outcome, "{result:?}");
        assert_eq!(result.modes.len(), 1);
        assert!(result.modes[0].message.contains(says), "{result:?}");
        if name == "wrong" {
            let difference = &result.modes[0].differences[0];
            assert_eq!((difference.at.as_str(), difference.off.as_str(), difference.on.as_str()), ("/events/1/1", "2", "3"));
            assert_eq!(result.modes[0].differences.len(), 1);
        }
        if name == "honest" {
            assert_eq!((result.versions["clock"].as_str(), result.modes[0].proof["compiled"]), ("1", 5));
            assert_ne!(result.information["pid"], result.modes[0].information["pid"], "each mode has a process of its own");
        }
    }
    let hanging = Row { limit: Duration::from_secs(2), ..row("hangs") };
    let (_, results) = setting.run(&python, vec![hanging], usize::MAX);
    let result = &results.expect("a result")[0];
    assert_eq!(result.outcome, Outcome::Differs);
    assert!(result.modes[0].message.contains("did not end within 2 s"), "{result:?}");
}

#[test]
fn what_is_done_is_not_run_again() {
    let Some(python) = python() else { return };
    let setting = Setting::new(&python);
    let rows = || vec![row("honest"), row("lacking"), row("wrong")];
    let (ran, stopped) = setting.run(&python, rows(), 1);
    assert_eq!(ran, ["honest"]);
    assert!(matches!(stopped, Err(CompatError::Interrupted)), "{stopped:?}");
    let (ran, results) = setting.run(&python, rows(), usize::MAX);
    assert_eq!(ran, ["lacking", "wrong"]);
    assert_eq!(results.expect("all").iter().map(|r| r.name.clone()).collect::<Vec<_>>(), ["honest", "lacking", "wrong"]);
    let (ran, _) = setting.run(&python, rows(), usize::MAX);
    assert_eq!(ran, ["lacking"], "what was not there may be there now");
}

#[test]
fn a_file_keeps_what_an_earlier_call_for_the_same_build_ran() {
    let Some(python) = python() else { return };
    let setting = Setting::new(&python);
    let request = setting.request(&python, Path::new("module"), Path::new("cache"));
    let result = |name: &str, summary: &str| RowResult {
        name: name.to_owned(),
        checks: summary.to_owned(),
        outcome: Outcome::Equal,
        ..RowResult::default()
    };
    let suite = |summary: &str| Suite { summary: summary.to_owned(), ..Suite::default() };
    let file = setting.folder.path().join("compat.json");
    let earlier = vec![result("getframe", "earlier"), result("pdb", "earlier"), result("controls", "earlier")];
    let earlier = conclude(&request, earlier, Some(suite("earlier")));
    std::fs::write(&file, serde_json::to_string(&earlier).expect("JSON")).expect("writable");
    let added = |request: &Request<'_>, tests: Option<Suite>| {
        let (mut rows, mut tests) = (vec![result("pdb", "now")], tests);
        add_earlier(request, &file, &mut rows, &mut tests);
        let rows: Vec<(String, String)> = rows.into_iter().map(|row| (row.name, row.checks)).collect();
        (rows, tests.map(|suite| suite.summary))
    };
    let pair = |name: &str, summary: &str| (name.to_owned(), summary.to_owned());
    let (rows, tests) = added(&request, None);
    assert_eq!(rows, [pair("getframe", "earlier"), pair("pdb", "now"), pair("controls", "earlier")], "in the order of tables");
    assert_eq!(tests.as_deref(), Some("earlier"));
    assert_eq!(added(&request, Some(suite("now"))).1.as_deref(), Some("now"));
    // Nothing is taken from another build, another interpreter or other modes.
    let (module, cache) = (Path::new("module"), Path::new("cache"));
    let rebuilt = Request { module_sha256: "another", ..setting.request(&python, module, cache) };
    let modes = Request { modes: setting.modes[..1].to_vec(), ..setting.request(&python, module, cache) };
    let mut other = python.clone();
    other.sha256 = "another".to_owned();
    for request in [rebuilt, modes, setting.request(&other, module, cache)] {
        assert_eq!(added(&request, None), (vec![pair("pdb", "now")], None));
    }
    std::fs::write(&file, "{").expect("writable");
    assert_eq!(added(&request, None), (vec![pair("pdb", "now")], None), "what can't be read is made anew");
}

#[test]
fn rows_are_chosen_by_name_or_group() {
    let names = |only: &[&str]| {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        select(&only).map(|rows| rows.iter().map(|row| row.name).collect::<Vec<_>>())
    };
    assert_eq!(names(&["pdb"]).expect("a row"), ["pdb"]);
    assert!(names(&["frames"]).expect("a group").len() > 1);
    let all = names(&[]).expect("all");
    for (index, name) in all.iter().enumerate() {
        assert!(!all[..index].contains(name), "{name} is there twice");
    }
    let unknown = names(&["pbd"]).expect_err("no such row").to_string();
    assert!(unknown.contains("pbd") && unknown.contains("pdb"), "{unknown}");
}

#[test]
fn each_row_has_its_probe() {
    for row in select(&[]).expect("all") {
        let file = format!("{}.py", row.script);
        let text = PROBES.iter().find(|(name, _)| *name == file).unwrap_or_else(|| panic!("{file} of {} is missing", row.name)).1;
        let function = format!("def {}():", row.name.replace('-', "_"));
        assert!(text.contains(&function), "{file} has no {function}");
        assert!(
            row.packages.iter().all(|package| !package.small || package.pinned.iter().all(|pin| pin.contains("=="))),
            "{}",
            row.name
        );
    }
}
