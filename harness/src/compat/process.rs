//! One process of a row or a test: in a folder and a process group of its own, with a time limit.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::interpreters::spawn;

/// The variables of the user's shell that a process sees.
const ALLOWED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "TZ"];

/// How long a process may write its stacks before it is killed.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// With 0.
    Well,
    /// Otherwise, in words.
    Badly(String),
    /// The user asked to stop.
    Stopped,
}

/// A process to run.
pub(super) struct Task<'a> {
    pub(super) program: &'a Path,
    pub(super) args: Vec<String>,
    pub(super) env: &'a BTreeMap<String, String>,
    /// Where it runs, and `stdout` and `stderr` are kept.
    pub(super) folder: &'a Path,
    pub(super) limit: Duration,
}

impl Task<'_> {
    /// Runs it to its end.
    ///
    /// # Errors
    /// What the system said when it couldn't be started.
    pub(super) fn run(&self, stop: &dyn Fn() -> bool) -> std::io::Result<End> {
        Ok(self.run_noting(stop)?.0)
    }

    /// Runs it to its end; also its number, by which what it left can be told from what its children did.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub(super) fn run_noting(&self, stop: &dyn Fn() -> bool) -> std::io::Result<(End, u32)> {
        let mut command = Command::new(self.program);
        command.args(&self.args).env_clear().envs(shell()).envs(self.env).current_dir(self.folder).stdin(Stdio::null());
        command.stdout(fs::File::create(self.folder.join("stdout"))?).stderr(fs::File::create(self.folder.join("stderr"))?);
        let mut child = spawn(command.process_group(0))?;
        let started = Instant::now();
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let end = |signal| {
            if let Some(group) = group {
                let _ = kill_process_group(group, signal);
            }
        };
        let result = loop {
            if let Some(status) = child.try_wait()? {
                break if status.success() { End::Well } else { End::Badly(words(status)) };
            }
            if stop() {
                end(Signal::KILL);
                break End::Stopped;
            }
            if started.elapsed() > self.limit {
                // faulthandler then shows where it hangs.
                end(Signal::ABORT);
                let asked = Instant::now();
                while asked.elapsed() < LAST_WORDS && child.try_wait()?.is_none() {
                    std::thread::sleep(Duration::from_millis(20));
                }
                break End::Badly(format!("did not end within {:.0} s", self.limit.as_secs_f64()));
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        // What it started and left behind ends with it.
        end(Signal::KILL);
        let _ = child.wait();
        Ok((result, child.id()))
    }

    /// The last lines that it wrote.
    pub(super) fn last_words(&self, lines: usize) -> String {
        let read = |name: &str| String::from_utf8_lossy(&fs::read(self.folder.join(name)).unwrap_or_default()).into_owned();
        let text = read("stdout") + &read("stderr");
        let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

/// What of the user's environment a process sees.
fn shell() -> impl Iterator<Item = (&'static str, String)> {
    ALLOWED.iter().filter_map(|name| Some((*name, std::env::var(name).ok().filter(|value| !value.is_empty())?)))
}

/// An exit status in words.
fn words(status: ExitStatus) -> String {
    const NAMES: [(i32, &str); 6] =
        [(6, "SIGABRT"), (11, "SIGSEGV"), (7, "SIGBUS"), (4, "SIGILL"), (9, "SIGKILL"), (8, "SIGFPE")];
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => match NAMES.iter().find(|(number, _)| *number == signal) {
            Some((_, name)) => format!("was killed by {name}"),
            None => format!("was killed by signal {signal}"),
        },
        _ => "ended in an unknown way".to_owned(),
    }
}

/// A folder that is gone when this is.
pub(super) fn scratch() -> std::io::Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::Builder::new().prefix("compat-").tempdir()?;
    let path = folder.path().to_owned();
    Ok((folder, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, limit: Duration) -> (End, String) {
        let (_keep, folder) = scratch().unwrap();
        let env = BTreeMap::from([("GIVEN".to_owned(), "yes".to_owned())]);
        let args = vec!["-c".to_owned(), script.to_owned()];
        let task = Task { program: Path::new("/bin/sh"), args, env: &env, folder: &folder, limit };
        let end = task.run(&|| false).unwrap();
        (end, task.last_words(2))
    }

    #[test]
    fn an_end_is_told_in_words() {
        let minute = Duration::from_mins(1);
        assert_eq!(run("echo $GIVEN$CARGO_MANIFEST_DIR", minute), (End::Well, "yes".to_owned()));
        assert_eq!(run("echo lost >&2; exit 3", minute), (End::Badly("ended with exit code 3".into()), "lost".into()));
        assert_eq!(run("kill -SEGV $$", minute).0, End::Badly("was killed by SIGSEGV".into()));
        let (end, said) = run("echo waiting; sleep 60", Duration::from_millis(300));
        assert_eq!((end, said.as_str()), (End::Badly("did not end within 0 s".into()), "waiting"));
    }

    #[test]
    fn a_process_ends_with_what_it_started_when_the_user_stops() {
        let (_keep, folder) = scratch().unwrap();
        let env = BTreeMap::new();
        let args = vec!["-c".to_owned(), "sleep 60 & echo $! > child; wait".to_owned()];
        let task = Task { program: Path::new("/bin/sh"), args, env: &env, folder: &folder, limit: Duration::from_mins(1) };
        let child = folder.join("child");
        let stop = || fs::read_to_string(&child).is_ok_and(|text| text.ends_with('\n'));
        assert_eq!(task.run(&stop).unwrap(), End::Stopped);
        let pid = fs::read_to_string(&child).unwrap();
        // A signal is sent at once and takes effect when the process is scheduled.
        let ended = || {
            let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
            state.is_empty() || state.contains(") Z")
        };
        let asked = Instant::now();
        while !ended() && asked.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(ended(), "the child goes on");
    }
}
