#!/usr/bin/env python3
"""Finds which functions of the module run while the built-in workloads do, and writes functions.txt, by which build.rs lays the module out.

A process that compiles has those pages of the module in its memory that it touched, and up to 15 around each. With what runs in one place
that is half of what it is otherwise. What the list lacks, or names in vain, costs memory and nothing else, so it need not be made again with
every change: when `--check` says that much runs beside it.

Needs x86-64, a C compiler and readelf (binutils).

Examples:
    python3.15 jit/runtime/hot/trace.py --check target/pepjit/cp315             how much runs outside of the list; exit code 1 if over a tenth
    python3.15 jit/runtime/hot/trace.py target/pepjit/cp315 target/pepjit/cp313=python3.13     make the list, from builds for two versions
"""

import argparse
import collections
import ctypes
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
WORKLOADS = HERE.parents[2] / "benchmarks" / "workloads"
LIST = HERE / "functions.txt"
SECTION = ".text.pepjit_hot"
ALLOWED = 0.1  # of the bytes that run may lie outside of the section
ROUNDS = 3

HEADER = """\
# Functions that run while compiling, with * for what differs from build to build; trace.py wrote this.
# First those that run in most processes.
"""
RARE = "# And those that run in some."


class Failure(Exception):
    """Why there's no list."""


def pattern(symbol):
    """The symbol with `*` for what depends on the build: hashes and what optimisation appends."""
    symbol = re.sub(r"17h[0-9a-f]{16}E.*$", "17h*", symbol)
    if symbol.startswith("_R"):
        symbol = re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", symbol) + "*"
    return re.sub(r"\.(isra|constprop|part|cold|llvm)\..*$", "*", symbol)


def run_tool(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise Failure(f"{command[0]} can't be started ({error.strerror}); install it") from error
    if done.returncode:
        raise Failure(f"{' '.join(map(str, command))} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def symbols(library):
    """Functions by address, each with all its names: equal ones are merged. `{address: (bytes, [name])}`."""
    found = {}
    for line in run_tool("readelf", "-sW", library).splitlines():
        words = line.split()
        if len(words) >= 8 and words[3] == "FUNC" and words[6].isdigit() and int(words[1], 16):
            found.setdefault(int(words[1], 16), (int(words[2], 0), []))[1].append(words[7])
    if not found:
        raise Failure(f"{library} names no functions: has it been stripped? Build it again without strip")
    return found


def section(library):
    """The addresses of the section of the listed functions; an empty range if there is none."""
    for line in run_tool("readelf", "-SW", library).splitlines():
        match = re.match(r"\s*\[\s*\d+\]\s+(\S+)\s+\S+\s+([0-9a-f]+)\s+[0-9a-f]+\s+([0-9a-f]+)", line)
        if match and match[1] == SECTION:
            return range(int(match[2], 16), int(match[2], 16) + int(match[3], 16))
    return range(0)


def child(library, trap, workload):
    """Runs a workload in this process; prints the addresses of the functions that ran, as JSON."""
    ctypes.CDLL(library)
    maps = [line.split() for line in open("/proc/self/maps") if line.rstrip().endswith(library)]
    ends = [[int(end, 16) for end in words[0].split("-")] for words in maps]
    base = ends[0][0]
    low, high = next(end for words, end in zip(maps, ends) if words[1] == "r-xp")
    starts = [base + address for address in sorted(symbols(library)) if low <= base + address < high]
    watch = ctypes.CDLL(trap).watch
    watch.restype = ctypes.POINTER(ctypes.c_uint8)
    watch.argtypes = [ctypes.POINTER(ctypes.c_uint64), ctypes.c_long, ctypes.c_uint64, ctypes.c_uint64]
    met = watch((ctypes.c_uint64 * len(starts))(*starts), len(starts), low, high)
    if not met:
        raise Failure("the system lets no process write to its own code; run this where it does")
    sys.path[:0] = [str(pathlib.Path(library).parent), str(WORKLOADS)]
    import pepjit

    pepjit.enable()
    run = __import__(workload).run
    for _ in range(ROUNDS):
        run()
    print(json.dumps([start - base for start, ran in zip(starts, met) if ran]))


def traced(build, trap, names):
    """For each workload, the names of what ran; and the share of its bytes that is outside of the section."""
    folder, _, python = build.partition("=")
    libraries = sorted(pathlib.Path(folder).resolve().glob("pepjit*.so"))
    if not libraries:
        raise Failure(f"{folder} has no module; `cargo xtask build` prints the folder of the one that it built")
    library, known, inside = libraries[0], symbols(libraries[0]), section(libraries[0])
    runs, outside, total = [], 0, 0
    for number, name in enumerate(names, 1):
        print(f"\r{folder}: {number} of {len(names)} workloads ", end="", file=sys.stderr, flush=True)
        output = run_tool(python or sys.executable, __file__, "--child", library, trap, name)
        ran = {address: known[address] for address in json.loads(output.splitlines()[-1])}
        runs.append({symbol for _, symbols in ran.values() for symbol in symbols})
        total += sum(size for size, _ in ran.values())
        outside += sum(size for address, (size, _) in ran.items() if address not in inside)
    print(file=sys.stderr)
    return runs, outside / total


def main():
    if sys.argv[1:2] == ["--child"]:
        return child(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("builds", metavar="FOLDER[=PYTHON]", nargs="+", help="a build's folder, and its interpreter if it isn't this one")
    parser.add_argument("--check", action="store_true", help="write nothing; say how much of what runs isn't where the list is")
    parser.add_argument("--workloads", help="only these, separated by commas")
    options = parser.parse_args()
    known = [entry["name"] for entry in tomllib.loads((WORKLOADS.parent / "MANIFEST.toml").read_text())["workload"]]
    names = options.workloads.split(",") if options.workloads else known
    if unknown := set(names) - set(known):
        raise Failure(f"no workload is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    counts = collections.Counter()
    processes, worst = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        trap = pathlib.Path(folder) / "trap.so"
        run_tool("cc", "-O1", "-shared", "-fPIC", "-o", trap, HERE / "trap.c")
        for build in options.builds:
            runs, outside = traced(build, trap, names)
            print(f"{build}: {outside:.1%} of what runs is outside of {SECTION}")
            worst = max(worst, outside)
            processes += len(runs)
            for ran in runs:
                counts.update({pattern(symbol) for symbol in ran})
    if options.check:
        if worst > ALLOWED:
            raise Failure(f"more than {ALLOWED:.0%}: make the list again (without --check), and build")
        return None
    common = sorted(name for name, number in counts.items() if number * 2 >= processes)
    rare = sorted(counts.keys() - set(common))
    LIST.write_text(HEADER + "\n".join([*common, RARE, *rare]) + "\n")
    print(f"{LIST}: {len(common)} + {len(rare)} functions")
    return None


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"trace.py: {failure}")
