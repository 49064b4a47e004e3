//! Discovery, with small scripts in the place of interpreters, so that every kind can be had anywhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use pepjit_harness::interpreters::{Implementation, InterpreterError, OwnJit, Places, Source, Unsupported, discover, resolve};

/// What a fake interpreter says of itself.
struct Fake {
    minor: u8,
    micro: u8,
    implementation: &'static str,
    free_threaded: bool,
    debug: bool,
    headers: bool,
}

impl Default for Fake {
    fn default() -> Self {
        Self { minor: 14, micro: 1, implementation: "cpython", free_threaded: false, debug: false, headers: true }
    }
}

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

impl Fake {
    /// Writes the script, and its headers under `include` beside it.
    fn install(&self, path: &Path) {
        let include = path.parent().unwrap().join(format!("include{}", self.minor));
        if self.headers {
            fs::create_dir_all(include.join("internal")).unwrap();
            fs::write(include.join("Python.h"), "").unwrap();
            fs::write(include.join("internal/pycore_frame.h"), "").unwrap();
        }
        let answer = format!(
            r#"{{"implementation": "{}", "version": [3, {}, {}, "final", 0], "free_threaded": {}, "debug": {},
            "ext_suffix": ".so", "include": "{}", "own_jit": "absent", "config_args": "", "opt": "", "compiler": "",
            "library": null}}"#,
            self.implementation,
            self.minor,
            self.micro,
            self.free_threaded,
            self.debug,
            include.display()
        );
        script(path, &format!("#!/bin/sh\necho '{}'\n", answer.replace('\n', " ")));
    }
}

fn places(path: &[&Path]) -> Places {
    let mut places = Places::default();
    places.path = path.iter().map(PathBuf::from).collect();
    places
}

#[test]
fn the_newest_supported_interpreter_with_headers_is_the_best() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    Fake { minor: 13, ..Fake::default() }.install(&bin.join("python3.13"));
    Fake { minor: 14, ..Fake::default() }.install(&bin.join("python3.14"));
    Fake { minor: 15, headers: false, ..Fake::default() }.install(&bin.join("python3.15"));
    Fake { minor: 16, ..Fake::default() }.install(&bin.join("python3.16"));
    std::os::unix::fs::symlink("python3.14", bin.join("python3")).unwrap();
    fs::write(bin.join("python3-config"), "not an interpreter").unwrap();
    let found = discover(&places(&[&bin]));
    let minors: Vec<u8> = found.interpreters.iter().map(|i| i.version.minor).collect();
    assert_eq!(minors, [16, 15, 14, 13], "newest first, and each once");
    assert_eq!(found.best().unwrap().version.minor, 14);
    assert!(found.broken.is_empty(), "{:?}", found.broken);
}

#[test]
fn each_reason_names_its_cure() {
    let dir = tempfile::tempdir().unwrap();
    let reason = |name: &str, fake: Fake| {
        let path = dir.path().join(name).join("python3");
        fake.install(&path);
        resolve(path.to_str().unwrap(), &Places::default()).unwrap().check_jit().unwrap_err()
    };
    let old = reason("old", Fake { minor: 11, ..Fake::default() });
    assert!(matches!(old, Unsupported::Version(_)));
    assert_eq!(old.to_string(), "CPython 3.11.1 is not supported: use 3.13, 3.14 or 3.15 (`uv python install 3.14`)");
    let free = reason("free", Fake { free_threaded: true, ..Fake::default() });
    assert!(matches!(free, Unsupported::FreeThreaded(..)));
    assert!(free.to_string().contains("use the GIL build (`uv python install 3.14`)"), "{free}");
    let debug = reason("debug", Fake { debug: true, ..Fake::default() });
    assert!(matches!(debug, Unsupported::Debug(..)));
    let pypy = reason("pypy", Fake { implementation: "pypy", ..Fake::default() });
    assert_eq!(pypy, Unsupported::Implementation(Implementation::Pypy));
    let bare = reason("bare", Fake { headers: false, ..Fake::default() });
    assert!(matches!(bare, Unsupported::Headers { .. }));
    let said = bare.to_string();
    assert!(said.contains("Python.h") && said.contains("python3.14-dev"), "{said}");
}

#[test]
fn headers_without_the_internal_ones_are_not_enough() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("python3");
    Fake::default().install(&path);
    fs::remove_dir_all(dir.path().join("include14/internal")).unwrap();
    let found = resolve(path.to_str().unwrap(), &Places::default()).unwrap();
    let said = found.check_jit().unwrap_err().to_string();
    assert!(said.contains("internal/pycore_frame.h"), "{said}");
}

#[test]
fn managed_interpreters_are_found_and_say_whose_they_are() {
    let dir = tempfile::tempdir().unwrap();
    Fake { minor: 13, ..Fake::default() }.install(&dir.path().join("pyenv/versions/3.13.0/bin/python3.13"));
    Fake { minor: 14, ..Fake::default() }.install(&dir.path().join("uv/cpython-3.14/bin/python3.14"));
    Fake { minor: 15, headers: false, ..Fake::default() }.install(&dir.path().join("got/root/usr/bin/python3.15"));
    let mut places = Places::default();
    places.pyenv = Some(dir.path().join("pyenv"));
    places.uv = Some(dir.path().join("uv"));
    places.get_pythons = vec![dir.path().join("got")];
    let found = discover(&places).interpreters;
    let sources: Vec<Source> = found.iter().map(|i| i.source).collect();
    assert_eq!(sources, [Source::GetPythons, Source::Uv, Source::Pyenv]);
    let cure = found[0].check_jit().unwrap_err().to_string();
    assert!(cure.contains("`ci/get-pythons`"), "{cure}");
}

#[test]
fn pyenv_shims_are_not_interpreters() {
    let dir = tempfile::tempdir().unwrap();
    let shims = dir.path().join("shims");
    script(&shims.join("python3.13"), "#!/bin/sh\necho 'pyenv: no version set' >&2\nexit 127\n");
    let found = discover(&places(&[&shims]));
    assert!(found.interpreters.is_empty() && found.broken.is_empty());
}

#[test]
fn what_does_not_answer_like_python_is_reported_and_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    script(&bin.join("python3.13"), "#!/bin/sh\necho hello\n");
    script(&bin.join("python3.14"), "#!/bin/sh\necho 'cannot find libpython' >&2\nexit 127\n");
    script(&bin.join("python3.15"), "#!/bin/sh\nkill -SEGV $$\n");
    let found = discover(&places(&[&bin]));
    assert!(found.interpreters.is_empty());
    let said: Vec<String> = found.broken.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3);
    assert!(said[0].contains("SIGSEGV"), "{said:?}");
    assert!(said[1].contains("cannot find libpython"), "{said:?}");
    assert!(said[2].contains("it printed \"hello\""), "{said:?}");
    assert!(matches!(found.best(), Err(InterpreterError::NoneSupported)));
}

#[test]
fn an_interpreter_is_named_by_path_by_version_or_by_command() {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    Fake { minor: 14, micro: 1, ..Fake::default() }.install(&bin.join("python3.14"));
    Fake { minor: 14, micro: 2, headers: true, free_threaded: true, ..Fake::default() }.install(&bin.join("python3.14t"));
    let places = places(&[&bin]);
    assert!(!resolve("3.14", &places).unwrap().free_threaded);
    assert!(resolve("3.14t", &places).unwrap().free_threaded);
    assert_eq!(resolve("3.14.1", &places).unwrap().version.micro, 1);
    assert_eq!(resolve("python3.14", &places).unwrap().source, Source::Explicit);
    let missing = resolve("3.13", &places).unwrap_err();
    assert!(missing.to_string().contains("uv python install 3.13"), "{missing}");
    let missing = resolve("/nowhere/python3", &places).unwrap_err();
    assert!(matches!(missing, InterpreterError::Missing(_)));
    let unknown = resolve("pythonista", &places).unwrap_err();
    assert!(matches!(unknown, InterpreterError::Missing(_)));
}

#[test]
fn a_real_interpreter_answers() {
    // Whatever Python 3 this machine has, supported or not.
    let found = discover(&Places::from_environment());
    let Some(python) = found.interpreters.first() else { return };
    assert_eq!(python.version.major, 3);
    assert_eq!(python.sha256.len(), 64);
    assert!(python.ext_suffix.contains(".so"), "{python:?}");
    if python.version.minor < 13 {
        assert_eq!(python.own_jit, OwnJit::Absent);
    }
}
