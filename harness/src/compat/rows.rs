//! The rows of the tool matrix: what is compared, by which probe.
//!
//! A row's probe is the function of its name (`-` becomes `_`) in its file of `probes/`; `probes/api.py` says what a probe gives.

use std::time::Duration;

use super::packages::Package;

/// The group of rows that go into `coexistence.json`.
pub const COEXISTENCE: &str = "coexistence";

/// A row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Its name, of letters, digits and `-`.
    pub name: &'static str,
    /// Its group, by which several are asked for at once.
    pub group: &'static str,
    /// What is compared, in a few words.
    pub checks: &'static str,
    /// The probe's file without `.py`.
    pub script: &'static str,
    /// The first minor version of CPython 3 that has it.
    pub since: u8,
    /// What has to be on the path.
    pub packages: &'static [Package],
    /// How long a process may take.
    pub limit: Duration,
}

/// The probes' files.
pub const PROBES: &[(&str, &str)] = &[
    ("api.py", include_str!("probes/api.py")),
    ("work.py", include_str!("probes/work.py")),
    ("frames.py", include_str!("probes/frames.py")),
    ("events.py", include_str!("probes/events.py")),
    ("targets.py", include_str!("probes/targets.py")),
    ("outside.py", include_str!("probes/outside.py")),
    ("tools.py", include_str!("probes/tools.py")),
    ("runtime.py", include_str!("probes/runtime.py")),
    ("green.py", include_str!("probes/green.py")),
    ("beside.py", include_str!("probes/beside.py")),
];

const MINUTE: Duration = Duration::from_mins(1);

const fn row(name: &'static str, group: &'static str, script: &'static str, checks: &'static str) -> Row {
    Row { name, group, checks, script, since: 13, packages: &[], limit: MINUTE }
}

/// Those in the process.
const fn frames(name: &'static str, checks: &'static str) -> Row {
    row(name, "frames", "frames", checks)
}

const fn events(name: &'static str, checks: &'static str) -> Row {
    row(name, "events", "events", checks)
}

const fn tools(name: &'static str, checks: &'static str) -> Row {
    row(name, "tools", "tools", checks)
}

const fn runtime(name: &'static str, checks: &'static str) -> Row {
    row(name, "runtime", "runtime", checks)
}

/// Those that look at another process.
const fn outside(name: &'static str, group: &'static str, checks: &'static str) -> Row {
    row(name, group, "outside", checks)
}

/// Those that share the process.
const fn beside(name: &'static str, checks: &'static str) -> Row {
    row(name, COEXISTENCE, "beside", checks)
}

/// The row, on interpreters from this minor version on.
const fn since(minor: u8, mut row: Row) -> Row {
    row.since = minor;
    row
}

/// The row, with packages and so many seconds.
const fn with(packages: &'static [Package], seconds: u64, mut row: Row) -> Row {
    row.packages = packages;
    row.limit = Duration::from_secs(seconds);
    row
}

const COVERAGE: Package = Package { name: "coverage", pinned: &["coverage==7.17.5"], small: true };
const GREENLET: Package = Package { name: "greenlet", pinned: &["greenlet==3.5.6"], small: true };
const GREENLET_TESTS: Package = Package { name: "greenlet-tests", pinned: &["objgraph==3.7.0", "psutil==7.2.2"], small: true };
const GEVENT: Package = Package {
    name: "gevent",
    pinned: &["gevent==26.9.0", "greenlet==3.5.6", "zope.event==6.2", "zope.interface==8.7"],
    small: true,
};
const PY_SPY: Package = Package { name: "py-spy", pinned: &["py-spy==0.4.3"], small: true };
const AUSTIN: Package = Package { name: "austin", pinned: &["austin-dist==4.0.0"], small: true };

const NUMBA: Package = Package { name: "numba", pinned: &["numba==0.68.1", "llvmlite==0.50.0", "numpy==2.5.5"], small: true };
const CINDERX: Package = Package { name: "cinderx", pinned: &["cinderx==2026.11.2.0"], small: true };
/// Of whatever version is there: the tier `pepjit-torch` uses the same folder.
const TORCH: Package = Package { name: "torch", pinned: &["torch"], small: false };

/// Every row, in the order of tables.
pub const ROWS: &[Row] = &[
    frames("getframe", "sys._getframe and inspect.stack: name, line, instruction, locals of each frame"),
    frames("tracebacks", "tracebacks with the columns of PEP 657, causes, notes, groups, locals"),
    frames("frame-locals", "f_locals and locals() of hot frames, read and written from a callee"),
    events("settrace", "sys.settrace: every event with line and argument, turned on in the middle of a loop too"),
    events("setprofile", "sys.setprofile: every event, turned on in the middle of a loop too"),
    events("pdb", "a breakpoint of pdb set after the code is hot is hit, with stack and variables"),
    events("monitoring", "sys.monitoring: all events, two tools, enabled in the middle of a loop"),
    with(
        &[COVERAGE],
        120,
        tools("coverage-ctrace", "coverage.py, C tracer: lines and branches, in hot code and of a whole program"),
    ),
    with(&[COVERAGE], 120, tools("coverage-sysmon", "coverage.py on sys.monitoring: lines and branches, the same")),
    tools("cprofile", "cProfile: calls and callers, turned on in the middle of a loop too"),
    tools("profile", "profile: calls and callers"),
    tools("tracemalloc", "tracemalloc: the lines that allocated what hot code leaves behind"),
    with(&[PY_SPY], 60, outside("py-spy", "samplers", "py-spy samples a known stack with the right leaf and line")),
    with(&[AUSTIN], 60, outside("austin", "samplers", "Austin samples a known stack with the right leaf and line")),
    since(15, outside("profiling-sampling", "samplers", "profiling.sampling samples a known stack with the right leaf and line")),
    since(14, outside("remote-exec", "attach", "PEP 768: a script runs in a process whose main thread is in a hot loop")),
    since(14, outside("remote-pdb", "attach", "python -m pdb -p: a debugger from another process stops a hot loop")),
    outside("faulthandler", "native", "the Python stack of a crash in a call, in a hot loop, and of a dump by a timer"),
    outside("gdb", "native", "gdb's backtrace passes compiled code and reaches the start of the process"),
    outside("gdb-py-bt", "native", "py-bt of CPython's commands for gdb shows the same frames"),
    outside("perf", "native", "perf names compiled functions, and its stacks reach as far as without"),
    outside("backtrace", "native", "backtrace(3) passes compiled code and ends where it does without"),
    with(&[GREENLET], 60, row("greenlets", "greenlets", "green", "greenlets that switch and raise inside of hot code")),
    with(&[GREENLET, GREENLET_TESTS], 180, row("greenlet-tests", "greenlets", "green", "greenlet's own tests, one by one")),
    with(&[GEVENT], 60, row("gevents", "greenlets", "green", "gevent's jobs, queues, pools and timeouts over hot code")),
    runtime("signals", "signals are handled in hot loops, calls and generators, and an exception stops them there"),
    runtime("threads", "threads share hot code and take turns; an exception set from outside stops a hot loop"),
    runtime("recursion", "the depth at which recursion ends, under several limits"),
    runtime("finalizers", "the order in which objects die, weak references, cycles, collections"),
    runtime("subinterpreters", "hot code in subinterpreters, and what they print"),
    runtime("audit", "audit events of hot code"),
    runtime("pickling", "pickles, copies and disassembly of compiled functions and what belongs to them"),
    runtime("controls", "on and off by environment and by API, and whether the JIT tells the truth about itself"),
    with(
        &[COVERAGE],
        60,
        beside("with-sysmon-coverage", "coverage.py on sys.monitoring beside the JIT, which is at work again afterwards"),
    ),
    beside("with-cprofile", "cProfile beside the JIT, which is at work again afterwards"),
    beside("with-another-monitor", "another tool of sys.monitoring beside the JIT, which is at work again afterwards"),
    beside(
        "with-frame-evaluator",
        "another evaluator of frames (PEP 523), as torch.compile has one, sees the frames of hot code",
    ),
    with(&[NUMBA], 300, beside("with-numba", "Numba beside the JIT: equal results, hooks in place, both at work")),
    with(&[TORCH], 300, beside("with-torch", "torch.compile beside the JIT: equal results, hooks in place, both at work")),
    since(
        14,
        with(&[CINDERX], 120, beside("with-cinderx", "CinderX's JIT beside ours: equal results, hooks in place, both at work")),
    ),
];
