#!/usr/bin/env python3
"""The differential test: every case of the corpus, in every mode of the JIT, against the same interpreter without it.

    run.py --python PYTHON [--module-path DIR] [--modes on,forced] [--filter TEXT] [--jobs N] [--workloads]

One process per mode and corpus file. Any difference in output, result, exception, traceback or PEP 657 columns is a
failure, and so are a crash, a hang, an internal error that the JIT counted, and a mode in which it compiled nothing at all (such a
run proves nothing).
The last line is `N passed, N failed`; the exit code is 0, 1 (failures) or 2 (could not start).
"""

import argparse
import difflib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))

MODES = {
    "off": {"PEPJIT": "0"},
    "self-test": {"PEPJIT": "0"},
    "on": {"PEPJIT": "1", "PEPJIT_THRESHOLD": "30"},
    "thrifty": {"PEPJIT": "1", "PEPJIT_THRESHOLD": "10", "PEPJIT_SHARE": "1000"},
    "forced": {"PEPJIT": "1", "PEPJIT_THRESHOLD": "0"},
    "exits": {"PEPJIT": "1", "PEPJIT_THRESHOLD": "0", "PEPJIT_EXIT": "every"},
    "random-exits-1": {"PEPJIT": "1", "PEPJIT_THRESHOLD": "0", "PEPJIT_EXIT": "random:1"},
    "random-exits-2": {"PEPJIT": "1", "PEPJIT_THRESHOLD": "0", "PEPJIT_EXIT": "random:2"},
    "random-exits-3": {"PEPJIT": "1", "PEPJIT_THRESHOLD": "0", "PEPJIT_EXIT": "random:3"},
    "reference": {"PEPJIT": "1", "PEPJIT_THRESHOLD": "0", "PEPJIT_BACKEND": "reference"},
}
"""The environment of each mode. `self-test` is `off` once more: a difference there is a case that isn't deterministic."""

GROUPS = {"random-exits": ["random-exits-1", "random-exits-2", "random-exits-3"]}
DEFAULT_MODES = "on,thrifty,forced,exits,random-exits,reference"
COMPARED = ("stdout", "stderr", "result", "exception")


class CannotStart(Exception):
    """The test cannot begin; the message says what to do about it."""


def is_jit(mode):
    """Whether the mode runs with the JIT."""
    return MODES[mode]["PEPJIT"] == "1"


def parse_modes(text):
    """Mode names from a comma-separated list, groups expanded, without `off` and repetitions."""
    names = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        for mode in GROUPS.get(name, [name]):
            if mode not in MODES:
                known = ", ".join([*MODES, *GROUPS])
                raise CannotStart(f"unknown mode {mode!r}: choose from {known}")
            if mode != "off" and mode not in names:
                names.append(mode)
    return names


def interpreter_tag(python):
    """`cp315` for a Python 3.15."""
    try:
        text = subprocess.run([python, "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"], check=True,
                              capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise CannotStart(f"{python} does not run ({error}): name a Python interpreter with --python") from error
    return text.strip()


def find_module(options):
    """The folder with the module for this interpreter."""
    path = options.module_path
    if path is None:
        target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
        path = os.path.join(target, "pepjit", interpreter_tag(options.python))
    if not os.path.isdir(path) or not any(name.startswith("pepjit") for name in os.listdir(path)):
        raise CannotStart(f"no pepjit module in {path}: build one with `cargo xtask build --python {options.python}`, name its "
                          "folder with --module-path, or run only --modes self-test")
    return os.path.abspath(path)


def child_environment(mode):
    """The environment of a child: the mode's variables, and nothing else that changes Python's behaviour."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith(("PYTHON", "PEPJIT")) or key in ("PEPJIT_HOT", "PEPJIT_VERIFY", "PEPJIT_VERBOSE", "PYTHONHOME")}
    if is_jit(mode):
        kept["PEPJIT_VERBOSE"] = "1"  # what its internal errors are
    return {**kept, **MODES[mode], "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}


def death(code):
    """A process's exit status in words."""
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"ended with exit code {code}"


def tail(text, lines=30):
    """The last lines of `text`."""
    return "\n".join(text.strip().splitlines()[-lines:])


def internal_errors(counters, stderr):
    """A failure if the JIT counted faults of its own, which it survives by leaving the code to the interpreter; or None."""
    count = counters.get("internal_errors", 0)
    if not count:
        return None
    said = dict.fromkeys(line for line in stderr.splitlines() if line.startswith("pepjit: internal error"))
    return "\n".join([f"internal errors of the JIT: {count}", *said])


class Outcome:
    """What one file did in one mode: results by case, deaths by case, the JIT's counters over the whole, and what processes that
    ended well wrote to their standard error."""

    def __init__(self):
        self.results = {}
        self.deaths = {}
        self.counters = {}
        self.stderr = ""

    def add_counters(self, counters):
        for key, value in counters.items():
            self.counters[key] = self.counters.get(key, 0) + value


class Runner:
    """Spawns the children."""

    def __init__(self, options, module_path):
        self.options = options
        self.module_path = module_path

    def spawn(self, mode, path, only=(), skip=()):
        """One child; returns its records and, if it died, how and its standard error."""
        with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
            out = os.path.join(folder, "results.jsonl")
            command = [self.options.python, "-X", "faulthandler", os.path.join(HERE, "run.py"), "--child", "--file", path,
                       "--out", out]
            if is_jit(mode):
                command += ["--jit", "--module-path", self.module_path]
            if os.path.dirname(path) == self.options.workload_folder:
                command.append("--workload")
            if self.options.fast:
                command.append("--fast")
            if self.options.filter:
                command += ["--filter", self.options.filter]
            for name in only:
                command += ["--only", name]
            for name in skip:
                command += ["--skip", name]
            process = subprocess.Popen(command, env=child_environment(mode), cwd=folder, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
            try:
                stdout, stderr = process.communicate(timeout=self.options.timeout)
                how = None if process.returncode == 0 else death(process.returncode)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)  # faulthandler then shows where it hangs
                try:
                    stdout, stderr = process.communicate(timeout=5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    stdout, stderr = process.communicate()
                how = f"timed out after {self.options.timeout:g} s"
            records = []
            if os.path.exists(out):
                with open(out, encoding="utf-8") as stream:
                    for line in stream:
                        try:
                            records.append(json.loads(line))
                        except ValueError:
                            break  # the process died in the middle of a line
            return records, how, tail(stdout + stderr)

    def run(self, mode, path):
        """All cases of one file in one mode; after a death the culprit is noted and the rest continues in a new process."""
        outcome = Outcome()
        skip = []
        while True:
            records, how, stderr = self.spawn(mode, path, skip=skip)
            running = None
            finished = False
            for record in records:
                if "begin" in record:
                    running = record["begin"]
                elif "case" in record:
                    outcome.results[record["case"]] = record
                    outcome.add_counters(record["counters"] if how else {})
                    skip.append(record["case"])
                    running = None
                elif "done" in record:
                    finished = True
                    if not how:
                        outcome.add_counters(record["counters"])
            if how is None and finished:
                outcome.stderr = stderr
                return outcome
            how = how or "ended without finishing"
            if running is None:
                last = next((record["case"] for record in reversed(records) if "case" in record), None)
                where = "at exit, after its last case" if finished else f"between cases, after {last}" if last else "while it was loaded"
                outcome.deaths[f"{os.path.basename(path)} ({where})"] = f"{how}\n{stderr}"
                if finished or last is None:
                    return outcome
                continue
            _, alone, _ = self.spawn(mode, path, only=[running])
            note = f"the case alone: {alone}" if alone else "the case alone survives: it needs those before it"
            outcome.deaths[running] = f"{how} ({note})\n{stderr}"
            skip.append(running)


def rendered(record):
    """A result as lines for the diff."""
    lines = []
    for field in COMPARED:
        if record[field]:
            lines.append(f"[{field}]")
            lines += record[field].splitlines()
    return lines


def compare(mode, path, base, other):
    """Yields (case, failure text or None) for every case of a file."""
    for name, how in other.deaths.items():
        yield name, how
    for name, record in base.results.items():
        if name in other.deaths:
            continue
        got = other.results.get(name)
        if got is None:
            yield name, "did not run"
        elif fault := internal_errors(got["counters"], other.stderr):
            yield name, fault
        elif any(record[field] != got[field] for field in COMPARED):
            diff = difflib.unified_diff(rendered(record), rendered(got), "off", mode, lineterm="", n=1)
            yield name, "\n".join(diff)
        else:
            yield name, None
    counted = sum(record["counters"].get("internal_errors", 0) for record in other.results.values())
    beside = other.counters.get("internal_errors", 0) - counted
    if fault := internal_errors({"internal_errors": beside}, other.stderr):
        yield f"{os.path.basename(path)} (outside of its cases)", fault
    for name in other.results:
        if name not in base.results and name not in base.deaths:
            yield name, "runs only with the JIT"


class Report:
    """Counts, prints and remembers."""

    def __init__(self, verbose):
        self.verbose = verbose
        self.passed = 0
        self.failures = []
        self.lock = threading.Lock()

    def record(self, mode, name, failure):
        with self.lock:
            if failure is None:
                self.passed += 1
                if self.verbose:
                    print(f"ok   {mode} {name}")
            else:
                self.failures.append({"mode": mode, "case": name, "text": failure})
                print(f"FAIL {mode} {name}")
                print("".join(f"    {line}\n" for line in failure.splitlines()), end="", flush=True)

    def expect_activity(self, mode, compiled):
        """A failure if a mode with the JIT has `compiled` nothing."""
        if is_jit(mode) and not compiled:
            self.record(mode, "activity", "the JIT compiled no function and no loop: this mode proves nothing. See `stats()` "
                        "for the reasons, and whether the module was built for this interpreter")

    def conclude(self):
        """Prints the last line; the exit code."""
        print(f"{self.passed} passed, {len(self.failures)} failed")
        return 1 if self.failures else 0


def files_of(folder):
    """The Python files of a folder, sorted."""
    return [os.path.join(folder, name) for name in sorted(os.listdir(folder))
            if name.endswith(".py") and not name.startswith("_")]


def workload_files(folder):
    """The workloads: the modules that define run()."""
    if not os.path.isdir(folder):
        raise CannotStart(f"no workloads in {folder}: leave out --workloads")
    chosen = []
    for path in files_of(folder):
        with open(path, encoding="utf-8") as stream:
            if "\ndef run(" in stream.read():
                chosen.append(path)
    return chosen


def summarise(mode, outcomes):
    """One line about what the JIT did in a mode; returns whether it compiled anything."""
    total = Outcome()
    with_code = cases = 0
    for outcome in outcomes:
        total.add_counters(outcome.counters)
        for record in outcome.results.values():
            cases += 1
            with_code += bool(record["counters"].get("native_entries") or record["counters"].get("osr_entries"))
    get = total.counters.get
    compiled = get("functions_compiled", 0) + get("loops_compiled", 0)
    print(f"{mode}: {get('functions_compiled', 0)} functions and {get('loops_compiled', 0)} loops compiled, "
          f"{get('native_entries', 0)} native entries, {get('osr_entries', 0)} into loops, {get('exits', 0)} exits, "
          f"{get('compile_failures', 0)} not compiled; native code ran in {with_code} of {cases} cases")
    return compiled > 0


def run_everything(options):
    """The whole test; returns the exit code."""
    modes = parse_modes(options.modes)
    if not modes:
        raise CannotStart("no mode to compare with off: name some with --modes")
    module_path = find_module(options) if any(is_jit(mode) for mode in modes) else None
    paths = files_of(options.corpus)
    if options.workloads:
        paths += workload_files(options.workload_folder)
    if options.filter:
        paths = [path for path in paths if mentions(path, options.filter)]
    if options.list:
        for path in paths:
            print(os.path.basename(path))
        return 0
    runner = Runner(options, module_path)
    report = Report(options.verbose)
    by_mode = {mode: [] for mode in modes}

    def one_file(path):
        base = runner.run("off", path)
        for name, how in base.deaths.items():
            report.record("off", name, how)
        for mode in modes:
            other = runner.run(mode, path)
            by_mode[mode].append(other)
            for name, failure in compare(mode, path, base, other):
                report.record(mode, name, failure)

    with ThreadPoolExecutor(max_workers=options.jobs) as pool:
        list(pool.map(one_file, paths))
    for mode in modes:
        if is_jit(mode):
            report.expect_activity(mode, summarise(mode, by_mode[mode]))
    if not report.passed and not report.failures:
        raise CannotStart(f"no case matches {options.filter!r}: the names are FILE.FUNCTION")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as stream:
            json.dump({"passed": report.passed, "failed": len(report.failures), "failures": report.failures}, stream, indent=1)
    failing = sorted({(failure["case"], failure["mode"]) for failure in report.failures})
    if failing:
        print("failures by case:")
        for case in dict.fromkeys(case for case, _ in failing):
            print(f"    {case}: {', '.join(mode for name, mode in failing if name == case)}")
    return report.conclude()


def mentions(path, wanted):
    """Whether a case of this file can match the filter."""
    stem = os.path.splitext(os.path.basename(path))[0]
    if wanted in stem or wanted.partition(".")[0] in (stem, "workload"):
        return True
    with open(path, encoding="utf-8") as stream:
        return any(line.startswith("def ") and wanted in f"{stem}.{line[4:].partition('(')[0]}" for line in stream)


def arguments(argv):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to test (default: the one running this)")
    parser.add_argument("--module-path", help="the folder of the pepjit module (default: target/pepjit/cp3XX)")
    parser.add_argument("--modes", default=DEFAULT_MODES, help=f"comma-separated (default: {DEFAULT_MODES})")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only cases whose FILE.FUNCTION contains TEXT")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds per process (default: 120)")
    parser.add_argument("--fast", action="store_true", help="leave out the cases marked slow")
    parser.add_argument("--workloads", action="store_true", help="also run benchmarks/workloads")
    parser.add_argument("--corpus", type=os.path.abspath, default=os.path.join(HERE, "corpus"), help="another folder of corpus files")
    parser.add_argument("--json", metavar="FILE", help="also write the failures as JSON")
    parser.add_argument("--list", action="store_true", help="list the files that would run")
    parser.add_argument("--verbose", "-v", action="store_true", help="also print what passes")
    parser.add_argument("--workload-folder", default=os.path.join(ROOT, "benchmarks", "workloads"), help=argparse.SUPPRESS)
    for hidden in ("--child", "--jit", "--workload"):
        parser.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    for hidden in ("--only", "--skip"):
        parser.add_argument(hidden, action="append", default=[], help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv=None):
    """Parses the command line and runs the parent or a child."""
    options = arguments(argv)
    if options.child:
        import child

        return child.main(options)
    try:
        return run_everything(options)
    except CannotStart as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
