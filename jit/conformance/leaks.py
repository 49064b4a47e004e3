#!/usr/bin/env python3
"""The leak test: every case of the corpus, many times in one process; memory and reference counts must stay flat.

    leaks.py --python PYTHON [--module-path DIR | --off] [--modes on,forced,exits] [--runs 10000] [--filter TEXT]

Per case: after a warm-up, the case runs in rounds, and three meters are read after each: allocated blocks, the sum of all
reference counts (`sys.gettotalrefcount` where the build has it, else the counts of every object the collector tracks and
of the corpus' constants), and the resident set. A case leaks if a meter grows in *every* stretch of the measured part by
at least one unit per run, and does so again over twice, four, eight and sixteen times as many runs: caches that fill up stop
growing, leaks don't. What grows as much without the JIT is none of the JIT's. The last line is `N passed, N failed`.
"""

import argparse
import array
import contextlib
import gc
import io
import json
import os
import subprocess
import sys
import tempfile
import types
import warnings
from concurrent.futures import ThreadPoolExecutor

import child
import corpus_api
import run

STRETCHES = 4
DOUBLINGS = 4
"""How often a case that seems to leak is measured again, over twice as many runs each time."""
RSS_SLACK = 1 << 20
"""Bytes the resident set may grow over the measured part of one case: allocator arenas come and go."""


def resident():
    """Bytes of memory resident now; 0 where the system doesn't tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def constants_of(code, found):
    """Appends the constants of a code object and of those nested in it: no collector tracks numbers and strings."""
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            constants_of(constant, found)
        found.append(constant)


def references(constants):
    """The sum of all reference counts that can be seen from Python."""
    if hasattr(sys, "gettotalrefcount"):
        return sys.gettotalrefcount()
    count = sys.getrefcount
    total = sum(count(item) for item in constants)
    objects = gc.get_objects()
    for item in objects:
        total += count(item)
    return total - 2 * len(objects)  # the list's own reference and the loop's are no leak


def run_quietly(case):
    """One run of a case; what it prints and raises is of no interest here."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("always")
        with contextlib.suppress(BaseException):
            case.function()


def measure(case, repeats, constants):
    """The readings of the three meters: one before the measured part and one after each of its stretches."""
    stretch = max(1, repeats * 3 // (4 * STRETCHES))
    columns = [array.array("q", [0] * (STRETCHES + 1)) for _ in range(3)]  # filled in place: a reading allocates nothing that stays
    for _ in range(repeats - stretch * STRETCHES):
        run_quietly(case)
    for part in range(STRETCHES + 1):
        if part:
            for _ in range(stretch):
                run_quietly(case)
        gc.collect()
        gc.collect()
        columns[1][part] = references(constants)
        columns[0][part] = sys.getallocatedblocks()
        columns[2][part] = resident()
    return stretch, [column.tolist() for column in columns]


def verdict(stretch, readings):
    """What leaks, as text, or None."""
    faults = []
    blocks, counts, sizes = readings
    for values, name in ((blocks, "allocated blocks"), (counts, "references")):
        steps = [after - before for before, after in zip(values, values[1:])]
        if all(step >= stretch for step in steps):
            faults.append(f"{name} grow by {sum(steps) / (stretch * STRETCHES):.1f} per run: {values}")
    if sizes[-1] - sizes[0] > RSS_SLACK and all(a < b for a, b in zip(sizes, sizes[1:])):
        faults.append(f"the resident set grows: {sizes}")
    return "; ".join(faults) or None


def growth(stretch, readings):
    """Allocated blocks and references gained per run."""
    runs = stretch * STRETCHES
    return [(values[-1] - values[0]) / runs for values in readings[:2]]


def child_main(options):
    """Measures the cases of one file; writes the same kind of records as the differential test."""
    jit = child.enable_jit(options.module_path) if options.jit else None
    cases = child.load_cases(options.file)
    constants = []
    for case in cases:
        constants_of(case.function.__code__, constants)
    before = child.counters(jit)
    with open(options.out, "w", encoding="utf-8") as stream:

        def emit(record):
            stream.write(json.dumps(record) + "\n")
            stream.flush()

        for case in cases:
            if not case.leaks or case.slow or options.filter not in case.name or case.name in options.skip:
                continue
            if options.only and case.name != options.only:
                continue
            emit({"begin": case.name})
            for doubling in range(DOUBLINGS + 1):  # caches fill up, code gets hot: a leak alone goes on through twice as many runs
                stretch, readings = measure(case, options.repeats << doubling, constants)
                fault = verdict(stretch, readings)
                if fault is None:
                    break
            emit({"case": case.name, "fault": fault, "growth": growth(stretch, readings)})
        emit({"done": True, "counters": child.difference(child.counters(jit), before)})
    return 0


def grows_anyway(options, path, record):
    """Whether the case grows as much without the JIT: some of the standard library's caches and interned names do."""
    with tempfile.TemporaryDirectory(prefix="leaks-") as folder:
        out = os.path.join(folder, "baseline.jsonl")
        spawn(options, "off", path, None, out, [], only=record["case"])
        baseline = [other for other in read(out) if "case" in other]
    if not baseline or baseline[0]["fault"] is None:
        return False
    return all(mine <= 1.25 * max(theirs, 0) + 0.5 for mine, theirs in zip(record["growth"], baseline[0]["growth"]))


def read(path):
    """The records of a child, up to where it died."""
    records = []
    if os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            for line in stream:
                with contextlib.suppress(ValueError):
                    records.append(json.loads(line))
    return records


def spawn(options, mode, path, module_path, out, skip, only=""):
    """One child process; how it died, or None, and its standard error."""
    command = [options.python, "-X", "faulthandler", os.path.abspath(__file__), "--child", "--file", path, "--out", out,
               "--repeats", str(options.repeats), "--filter", options.filter, "--only", only]
    if run.is_jit(mode):
        command += ["--jit", "--module-path", module_path]
    for name in skip:
        command += ["--skip", name]
    environment = {**run.child_environment(mode), "PEPJIT_HOT": os.environ.get("PEPJIT_HOT", "40")}
    try:
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              timeout=options.timeout, check=False)
    except subprocess.TimeoutExpired:
        return f"timed out after {options.timeout:g} s", ""
    return (run.death(done.returncode) if done.returncode else None), run.tail(done.stdout + done.stderr)


def check_file(options, mode, path, module_path, report):
    """Runs one file in one mode, past any case that dies; returns the JIT's counters."""
    skip, counters = [], {}
    with tempfile.TemporaryDirectory(prefix="leaks-") as folder:
        while True:
            out = os.path.join(folder, f"results{len(skip)}.jsonl")
            how, stderr = spawn(options, mode, path, module_path, out, skip)
            running, finished = None, False
            for record in read(out):
                running = record.get("begin")
                if "case" in record:
                    fault = record["fault"]
                    if fault and run.is_jit(mode) and grows_anyway(options, path, record):
                        print(f"note {mode} {record['case']}: grows as much without the JIT")
                        fault = None
                    report.record(mode, record["case"], fault)
                    skip.append(record["case"])
                elif "done" in record:
                    finished, counters = True, record["counters"]
            if how is None and finished:
                return counters
            report.record(mode, running or os.path.basename(path), f"{how or 'ended without finishing'}\n{stderr}")
            if running is None:
                return counters
            skip.append(running)


def run_everything(options):
    """The whole test; returns the exit code."""
    modes = ["off"] if options.off else run.parse_modes(options.modes)
    module_path = None if options.off else run.find_module(options)
    paths = [path for path in run.files_of(options.corpus) if run.mentions(path, options.filter)]
    before = len(corpus_api.CASES)
    for path in paths:
        child.load_cases(path)
    total = max(1, len(corpus_api.CASES) - before)
    options.repeats = max(8 * STRETCHES, -(-options.runs // total))
    print(f"{total} cases, {options.repeats} runs each: {total * options.repeats} runs per mode", flush=True)
    report = run.Report(options.verbose)
    for mode in modes:
        with ThreadPoolExecutor(max_workers=options.jobs) as pool:
            each = list(pool.map(lambda path: check_file(options, mode, path, module_path, report), paths))  # noqa: B023
        compiled = sum(counters.get("functions_compiled", 0) + counters.get("loops_compiled", 0) for counters in each)
        report.expect_activity(mode, compiled)
    return report.conclude()


def main(argv=None):
    """Parses the command line and runs the parent or a child."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to test")
    parser.add_argument("--module-path", help="the folder of the pepjit module (default: target/pepjit/cp3XX)")
    parser.add_argument("--modes", default="on,forced,exits", help="comma-separated (default: on,forced,exits)")
    parser.add_argument("--off", action="store_true", help="without the JIT: checks the corpus and this test")
    parser.add_argument("--runs", type=int, default=10_000, help="case runs per mode, over the corpus (default: 10000)")
    parser.add_argument("--filter", default="", metavar="TEXT", help="only cases whose FILE.FUNCTION contains TEXT")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds per process (default: 600)")
    parser.add_argument("--corpus", type=os.path.abspath, default=os.path.join(child.HERE, "corpus"), help="another folder of corpus files")
    parser.add_argument("--verbose", "-v", action="store_true", help="also print what passes")
    for hidden in ("--child", "--jit"):
        parser.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--file", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    parser.add_argument("--repeats", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", help=argparse.SUPPRESS)
    parser.add_argument("--skip", action="append", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        return child_main(options)
    try:
        return run_everything(options)
    except run.CannotStart as error:
        print(f"leaks.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
