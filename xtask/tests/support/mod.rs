//! A machine of one's own for the commands: a PATH, a home, interpreters and workloads that are small shell scripts, so
//! that every kind of misfortune can be had on demand.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a fake interpreter says of itself.
pub(crate) struct Python {
    pub(crate) version: [u8; 3],
    pub(crate) free_threaded: bool,
    pub(crate) headers: bool,
    pub(crate) own_jit: &'static str,
}

impl Default for Python {
    fn default() -> Self {
        Self { version: [3, 14, 1], free_threaded: false, headers: true, own_jit: "absent" }
    }
}

/// The machine.
pub(crate) struct Machine {
    folder: tempfile::TempDir,
}

/// The tools that fake interpreters and workloads are written with.
const TOOLS: [&str; 8] = ["sh", "cat", "sleep", "kill", "mkdir", "cp", "env", "rm"];

/// A worker that does well. It notes counters where our module would be loaded, as our worker does.
pub(crate) const GOOD: &str = r#"
facts='"name": "x"'
if [ "$PEPJIT" = 1 ]; then
  compiled=${COMPILED:-3}
  if [ "$PEPJIT_IDLE" = 1 ]; then compiled=0; fi
  facts="$facts, \"pepjit_functions_compiled\": $compiled, \"pepjit_native_entries\": $compiled"
fi
list=0.5
i=1
while [ "$i" -lt "$values" ]; do list="$list, 0.5"; i=$((i + 1)); done
printf '{"version": "1.0", "benchmarks": [{"metadata": {%s}, "runs": [{"values": [%s]}]}]}' "$facts" "$list" > "$out"
"#;

impl Machine {
    pub(crate) fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        for folder in ["bin", "home", "pythons", "suite", "module"] {
            fs::create_dir_all(machine.path(folder)).expect("a folder");
        }
        for tool in TOOLS {
            let real = ["/bin", "/usr/bin"].iter().map(|folder| Path::new(folder).join(tool)).find(|path| path.exists());
            symlink(real.expect("a usual tool"), machine.path("bin").join(tool)).expect("a link");
        }
        fs::write(machine.path("module/pepjit.py"), "").expect("a file");
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts an interpreter on PATH: it answers what it is, and runs workloads, which are shell scripts.
    pub(crate) fn install(&self, name: &str, python: &Python) -> PathBuf {
        let path = self.path("bin").join(name);
        self.install_at(&path, python);
        path
    }

    pub(crate) fn install_at(&self, path: &Path, python: &Python) {
        let include = self.path(&format!("include-{}", path.file_name().unwrap().to_string_lossy()));
        if python.headers {
            fs::create_dir_all(include.join("internal")).expect("a folder");
            fs::write(include.join("Python.h"), "").expect("a file");
            fs::write(include.join("internal/pycore_frame.h"), "").expect("a file");
        }
        let [major, minor, micro] = python.version;
        let answer = serde_json::json!({
            "implementation": "cpython", "version": [major, minor, micro, "final", 0],
            "free_threaded": python.free_threaded, "debug": false, "ext_suffix": ".so", "include": include,
            "own_jit": python.own_jit, "config_args": "", "opt": "-O2", "compiler": "none", "library": null,
        });
        let text = format!(
            r#"#!/bin/sh
if [ "$1" = -I ]; then echo '{answer}'; exit 0; fi
on=false; own=false
if [ "$PEPJIT" = 1 ]; then on=true; fi
if [ "$PYTHON_JIT" = 1 ]; then own=true; fi
if [ "$1" = -c ]; then
  if [ -n "$REFUSE" ] && [ $on = true ]; then echo "pepjit: layout mismatch" >&2; on=false; fi
  echo "{{\"loaded\": $on, \"enabled\": $on, \"own_jit\": $own}}"
  exit 0
fi
script=$1
while [ $# -gt 0 ]; do
  case $1 in
    -o) out=$2 ;;
    --values) values=$2 ;;
  esac
  shift
done
. "$script"
"#
        );
        script(path, &text);
    }

    /// Writes a suite of workloads, which are shell scripts, and returns its manifest.
    pub(crate) fn suite(&self, workloads: &[(&str, &str)]) -> PathBuf {
        let mut manifest = String::new();
        for (name, text) in workloads {
            fs::write(self.path("suite").join(format!("{name}.py")), text).expect("a file");
            let _ = write!(manifest, "[[workload]]\nname = \"{name}\"\nfile = \"{name}.py\"\n");
        }
        let path = self.path("suite/suite.toml");
        fs::write(&path, manifest).expect("a file");
        path
    }

    /// The command, in this machine.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(args)
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("PEPJIT_PYTHONS", self.path("pythons"))
            .env("TMPDIR", self.folder.path())
            .current_dir(self.folder.path());
        command
    }

    /// Runs the command.
    pub(crate) fn run(&self, args: &[&str]) -> End {
        End::of(&self.command(args).output().expect("the command starts"))
    }

    /// Runs `measure` with a suite, few short rounds and the stand-in for the module.
    pub(crate) fn measure(&self, suite: &Path, more: &[&str]) -> End {
        self.run(&self.measure_args(suite, more).iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn measure_args(&self, suite: &Path, more: &[&str]) -> Vec<String> {
        let text = |path: PathBuf| path.display().to_string();
        let mut args = vec!["measure".to_owned(), "--suite".to_owned(), suite.display().to_string()];
        args.extend(["--out".to_owned(), text(self.path("runs")), "--module".to_owned(), text(self.path("module"))]);
        args.extend(more.iter().map(|word| (*word).to_owned()));
        for (option, value) in [("--rounds", "2"), ("--design", "interleaved"), ("--values", "2"), ("--warmups", "0")] {
            if !more.contains(&option) {
                args.extend([option.to_owned(), value.to_owned()]);
            }
        }
        args
    }

    /// The only run there is.
    pub(crate) fn the_run(&self) -> PathBuf {
        let runs: Vec<PathBuf> =
            fs::read_dir(self.path("runs")).expect("a folder of runs").map(|entry| entry.expect("an entry").path()).collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }

    /// The whole lines of the journal of the only run, which may end in the middle of one.
    pub(crate) fn journal_so_far(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.the_run().join("journal.jsonl")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The journal of the only run, line by line.
    pub(crate) fn journal(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.the_run().join("journal.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

/// Writes a program.
pub(crate) fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("permissions");
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl End {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks the exit code, and that stderr says each of `words`.
    pub(crate) fn says(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} is missing in {self:#?}");
        }
    }
}
