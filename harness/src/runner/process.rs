//! One worker process: started pinned and alone in its process group, watched, ended if need be, and its end
//! put into words.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process_group};

use super::environment::Variables;
use crate::interpreters::spawn;
use crate::machine::{self, CpuTicks};
use crate::model::FailureKind;
use crate::pyperf::{Run, Suite};

/// What a worker exits with when its result isn't the expected one (see `pepjit_worker.py`).
const EXIT_WRONG_RESULT: i32 = 3;

/// What a worker exits with when the other parties of its block didn't come.
const EXIT_BARRIER: i32 = 4;

/// How a process is to be started.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: Variables,
    /// The folder that it runs in, and into which it writes `out.json`, `stdout` and `stderr`.
    pub(super) folder: PathBuf,
    pub(super) cpu: u32,
    pub(super) limit: Duration,
}

impl Task {
    /// Where the worker writes its values.
    pub(super) fn output(&self) -> PathBuf {
        self.folder.join("out.json")
    }
}

/// Why a process gave no usable values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: FailureKind,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// How the wait for a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It exited.
    Exited(ExitStatus),
    /// It passed its limit and was killed.
    TimedOut,
    /// The user interrupted the run and it was killed.
    Interrupted,
}

/// A process that was started.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    task: Task,
    started: Instant,
    /// Facts about its start and, once it has ended, its end.
    pub(super) record: Observation,
    ticks: CpuTicks,
    end: Option<End>,
}

/// What the journal notes about a process.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Observation {
    pub(super) start: f64,
    pub(super) end: f64,
    pub(super) load: Option<f64>,
    pub(super) steal_ticks: Option<u64>,
    pub(super) frequency_mhz: Option<f64>,
    pub(super) cpu: u32,
}

/// Seconds since the epoch.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

impl Running {
    /// Starts a process.
    ///
    /// # Errors
    /// [`FailureKind::Spawn`] with what the system said.
    pub(super) fn start(task: Task) -> Result<Self, Failure> {
        let failed = |error: &std::io::Error| {
            Failure::new(FailureKind::Spawn, format!("{} could not be started: {error}", task.program.display()))
        };
        fs::create_dir_all(&task.folder).map_err(|error| failed(&error))?;
        let file = |name: &str| fs::File::create(task.folder.join(name));
        let mut command = Command::new(&task.program);
        command
            .args(&task.args)
            .env_clear()
            .envs(&task.env)
            .current_dir(&task.folder)
            .stdin(Stdio::null())
            .stdout(file("stdout").map_err(|error| failed(&error))?)
            .stderr(file("stderr").map_err(|error| failed(&error))?)
            // Ctrl-C at the terminal is for us to handle; and children of the worker end with it.
            .process_group(0);
        let record = Observation {
            start: now(),
            end: 0.0,
            load: machine::load(),
            steal_ticks: None,
            frequency_mhz: machine::frequency_mhz(task.cpu),
            cpu: task.cpu,
        };
        let ticks = CpuTicks::now();
        let started = Instant::now();
        let child = machine::pinned(task.cpu, || spawn(&mut command)).and_then(|child| child).map_err(|error| failed(&error))?;
        Ok(Self { child, task, started, record, ticks, end: None })
    }

    /// Looks whether it has ended, and ends it if it must; returns how it ended once it has.
    pub(super) fn poll(&mut self, interrupted: bool) -> Option<End> {
        if self.end.is_some() {
            return self.end;
        }
        let end = match self.child.try_wait() {
            Ok(Some(status)) => End::Exited(status),
            Ok(None) if interrupted => {
                self.kill();
                End::Interrupted
            }
            Ok(None) if self.started.elapsed() > self.task.limit => {
                self.kill();
                End::TimedOut
            }
            Ok(None) => return None,
            Err(_) => {
                self.kill();
                End::TimedOut
            }
        };
        self.record.end = now();
        let ticks = CpuTicks::now();
        self.record.steal_ticks = (ticks.total > 0).then(|| ticks.stolen_since(self.ticks));
        self.end = Some(end);
        self.end
    }

    /// Ends the process and all it started.
    fn kill(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Its number.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last lines of its stderr, for messages.
    fn stderr_tail(&self) -> String {
        let text = fs::read(self.task.folder.join("stderr")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let tail = lines[lines.len().saturating_sub(6)..].join("\n");
        let cut = tail.char_indices().rev().nth(1500).map_or(0, |(index, _)| index);
        tail[cut..].to_owned()
    }

    /// Whether it gave up because another party of its block failed or never came.
    pub(super) fn gave_up_for_others(&self) -> bool {
        matches!(self.end, Some(End::Exited(status)) if status.code() == Some(EXIT_BARRIER))
    }

    /// The values it wrote.
    ///
    /// # Errors
    /// [`Failure`] if it ended otherwise than well, or wrote nothing usable.
    pub(super) fn result(&self) -> Result<Run, Failure> {
        let tail = self.stderr_tail();
        let said = if tail.is_empty() { String::new() } else { format!("; its last words:\n{tail}") };
        match self.end {
            Some(End::Exited(status)) => self.exited(status, &said),
            Some(End::TimedOut) => Err(Failure::new(
                FailureKind::Timeout,
                format!(
                    "no end after {:.0} s, so it was killed: raise --timeout if the workload needs longer{said}",
                    self.task.limit.as_secs_f64()
                ),
            )),
            Some(End::Interrupted) | None => Err(Failure::new(FailureKind::Exit, "interrupted")),
        }
    }

    fn exited(&self, status: ExitStatus, said: &str) -> Result<Run, Failure> {
        if let Some(signal) = status.signal() {
            let name = signal_name(signal);
            let dumped = if status.core_dumped() { " (core dumped)" } else { "" };
            return Err(Failure::new(
                FailureKind::Signal,
                format!("killed by {name}{dumped}: a crash in the interpreter, in a JIT or in an extension{said}"),
            ));
        }
        match status.code() {
            Some(0) => self.output(),
            Some(EXIT_WRONG_RESULT) if said.contains("wrong result") => {
                Err(Failure::new(FailureKind::WrongResult, format!("computed a wrong result{said}")))
            }
            code => Err(Failure::new(
                FailureKind::Exit,
                format!("exited with {}{said}", code.map_or_else(|| "no status".to_owned(), |code| code.to_string())),
            )),
        }
    }

    fn output(&self) -> Result<Run, Failure> {
        let path = self.task.output();
        if !path.exists() {
            return Err(Failure::new(
                FailureKind::NoOutput,
                "exited well but wrote no results: it must speak the worker protocol (--worker ... -o FILE)",
            ));
        }
        let bad = |what: String| Failure::new(FailureKind::BadOutput, what);
        let suite = Suite::load(&path).map_err(|error| bad(error.to_string()))?;
        let run = suite.into_single_run(&path).map_err(|error| bad(error.to_string()))?;
        if run.values.is_empty() {
            return Err(bad("its results hold no value: check --values".to_owned()));
        }
        Ok(run)
    }

    /// The file of counters that the JIT writes at exit, if it did.
    pub(super) fn stats_file(&self) -> PathBuf {
        stats_file(&self.task.folder)
    }
}

impl Drop for Running {
    /// A process never outlives the run, whatever happens in between.
    fn drop(&mut self) {
        if self.end.is_none() {
            self.kill();
        }
    }
}

/// Where a process running in `folder` leaves the JIT's counters.
pub(super) fn stats_file(folder: &Path) -> PathBuf {
    folder.join("stats.json")
}

/// Waits until all processes have ended; `on_end` hears of each as it ends, by its place.
pub(super) fn wait_all(running: &mut [Running], interrupted: &dyn Fn() -> bool, on_end: &mut dyn FnMut(usize, &mut Running)) {
    let mut heard = vec![false; running.len()];
    let mut nap = Duration::from_millis(1);
    while heard.iter().any(|heard| !heard) {
        let stop = interrupted();
        for (index, process) in running.iter_mut().enumerate() {
            if !heard[index] && process.poll(stop).is_some() {
                heard[index] = true;
                on_end(index, process);
            }
        }
        std::thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(16));
    }
}

/// The usual name of a signal.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL (out of memory?)",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, limit: Duration, interrupted: bool) -> Result<Run, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let task = Task {
            program: "/bin/sh".into(),
            args: vec!["-c".to_owned(), script.to_owned()],
            env: Variables::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            folder: dir.path().join("p00"),
            cpu: machine::allowed_cpus()[0],
            limit,
        };
        let mut running = [Running::start(task)?];
        wait_all(&mut running, &|| interrupted, &mut |_, _| {});
        running[0].result()
    }

    fn failure(script: &str) -> Failure {
        run(script, Duration::from_secs(20), false).unwrap_err()
    }

    #[test]
    fn a_worker_that_does_well_gives_its_run() {
        let script = r#"echo '{"version": "1.0", "benchmarks": [{"metadata": {"name": "x"}, "runs": [{"values": [0.5, 0.25]}]}]}' > out.json"#;
        assert_eq!(run(script, Duration::from_secs(20), false).unwrap().values, [0.5, 0.25]);
    }

    #[test]
    fn each_bad_end_has_a_kind_of_its_own() {
        let crash = failure("kill -SEGV $$");
        assert_eq!(crash.kind, FailureKind::Signal);
        assert!(crash.message.contains("SIGSEGV"), "{}", crash.message);
        let raised = failure("echo 'ValueError: bad' >&2; exit 1");
        assert_eq!(raised.kind, FailureKind::Exit);
        assert!(raised.message.contains("ValueError: bad"), "{}", raised.message);
        assert_eq!(failure("echo 'workload x: wrong result' >&2; exit 3").kind, FailureKind::WrongResult);
        assert_eq!(failure("exit 3").kind, FailureKind::Exit);
        assert_eq!(failure("exit 0").kind, FailureKind::NoOutput);
        assert_eq!(failure("echo garbage > out.json").kind, FailureKind::BadOutput);
        assert_eq!(failure(r#"echo '{"version": "1.0", "bench' > out.json"#).kind, FailureKind::BadOutput);
        let nan =
            r#"echo '{"version": "1.0", "benchmarks": [{"metadata": {"name": "x"}, "runs": [{"values": [NaN]}]}]}' > out.json"#;
        assert_eq!(failure(nan).kind, FailureKind::BadOutput);
    }

    #[test]
    fn a_hanging_worker_and_its_children_are_killed() {
        let started = Instant::now();
        let hung = run("sleep 60 & sleep 60", Duration::from_millis(200), false).unwrap_err();
        assert_eq!(hung.kind, FailureKind::Timeout);
        assert!(hung.message.contains("--timeout"), "{}", hung.message);
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn an_interrupt_ends_a_worker_at_once() {
        let started = Instant::now();
        assert!(run("sleep 60", Duration::from_mins(1), true).is_err());
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_missing_program_is_a_spawn_failure() {
        let dir = tempfile::tempdir().unwrap();
        let task = Task {
            program: "/nowhere/python3".into(),
            args: vec![],
            env: Variables::new(),
            folder: dir.path().to_owned(),
            cpu: machine::allowed_cpus()[0],
            limit: Duration::from_secs(1),
        };
        assert_eq!(Running::start(task).unwrap_err().kind, FailureKind::Spawn);
    }
}
