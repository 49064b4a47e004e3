#!/usr/bin/env python3
"""The fuzzer: random programs, in modes of the JIT, against the same interpreter without it.

    fuzz.py --python PYTHON [--module-path DIR] [--modes on,forced] [--seed N] [--count N] [--jobs N]
    fuzz.py --show SEED

A seed makes a program (on every version the same): functions, closures, generators and methods with loops, exceptions,
attributes, lists and calls of each other, which are called often and with changing classes of arguments. What each call
returns or raises, with the columns of its traceback, has to be the same with the JIT. One process per mode runs a batch of
seeds; after a death the rest runs in a new one. The last line is `N passed, N failed`; the exit code is as run.py's.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import child
import run
from corpus_api import describe

BATCH = 50
"""Seeds that one process runs."""

PRELUDE = '''\
G = 3
H = 0.5
LOG = []


class Point:
    scale = 2

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def total(self, k):
        return self.x + self.y * k

    @property
    def size(self):
        return self.x - self.y


class Heavy(Point):
    scale = 0.25

    def total(self, k):
        return super().total(k) - self.scale


class Slim:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y

    def total(self, k):
        return k - self.x

    size = 7


class Guard:
    def __init__(self, swallow):
        self.swallow = swallow

    def __enter__(self):
        LOG.append("in")
        return self

    def __exit__(self, kind, value, tb):
        LOG.append(kind and kind.__name__)
        return self.swallow
'''

LITERALS = ["0", "1", "2", "7", "-3", "255", "1000003", "2**62", "2**70", "0.5", "-1.25", "1e300", "True", "None", "'a'", "'xyz'"]
NUMBERS = ["0", "1", "2", "5", "-3", "100", "0.5", "1.75"]
COMPARES = ["<", "<=", "==", "!=", ">", ">="]
ARITHMETIC = ["+", "-", "+", "-", "&", "|", "^"]
ERRORS = ["ValueError", "TypeError", "ZeroDivisionError", "(KeyError, IndexError)", "Exception", "ArithmeticError"]
ARGUMENTS = ["1", "2", "3", "-7", "0", "2.5", "0.0", "2**61", "-2**63", "'s'", "None", "True", "[1, 2, 3]", "(4, 5.5)", "Point(1, 2)",
             "Heavy(1.5, 2)", "Slim(3, 4)", "Point('p', 'q')"]


class Program:
    """Writes one random program."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = []
        self.functions = []
        self.depth = 0
        self.names = []
        self.inside = None
        self.loops = 0
        self.writes = 0

    def pick(self, options):
        return options[self.random.randrange(len(options))]

    def chance(self, percent):
        return self.random.randrange(100) < percent

    def emit(self, text):
        self.lines.append("    " * self.depth + text)

    def name(self):
        return self.pick(self.names)

    def atom(self):
        return self.pick([self.name, self.name, self.name, lambda: self.pick(NUMBERS), lambda: self.pick(LITERALS), lambda: "G",
                          lambda: "H"])()

    def call(self, level):
        arguments = ", ".join(self.expression(level + 1) for _ in range(3))
        return f"{self.pick(self.functions)}({arguments})"

    def expression(self, level=0):
        """An expression that stays small: products are reduced, strings and lists don't double."""
        if level > 2:
            return self.atom()
        sub = lambda: self.expression(level + 1)  # noqa: E731
        kinds = [
            self.atom, self.atom,
            lambda: f"({sub()} {self.pick(ARITHMETIC)} {self.atom()})",
            lambda: f"({sub()} {self.pick(ARITHMETIC)} {self.pick(NUMBERS)})",
            lambda: f"({self.name()} * {self.pick(NUMBERS)} % 1000003)",
            lambda: f"({sub()} // {self.atom()})",
            lambda: f"({sub()} % {self.pick(NUMBERS)})",
            lambda: f"({sub()} / {self.atom()})",
            lambda: f"({self.name()} << ({self.name()} & 7) & 0xffffffff)",
            lambda: f"({self.name()} >> 3)",
            lambda: f"(-{self.name()})",
            lambda: f"({sub()} if {self.condition(level + 1)} else {sub()})",
            lambda: f"(xs[{self.pick(['0', '-1', 'i', self.name()])}])",
            lambda: "len(xs)",
            lambda: f"p.{self.pick(['x', 'y', 'scale', 'size'])}",
            lambda: f"p.total({sub()})",
            lambda: f"abs({sub()})",
            lambda: f"int({self.name()})",
            lambda: f"max({self.name()}, {self.atom()})",
            lambda: f"isinstance({self.name()}, {self.pick(['int', 'float', 'Point', 'str'])})",
            lambda: f"len(f'{{{self.name()}}}')",
            lambda: f"sum([k {self.pick('+-')} 1 for k in xs[:4]])",
            lambda: f"{{'a': {sub()}, 'b': 2}}[{self.pick(['chr(97)', repr('b'), repr('c')])}]",
        ]
        if self.functions and self.loops < 2:
            kinds += [lambda: self.call(level)] * 2
        return self.pick(kinds)()

    def condition(self, level=0):
        return self.pick([
            lambda: f"{self.expression(level + 1)} {self.pick(COMPARES)} {self.atom()}",
            lambda: f"{self.name()} {self.pick(COMPARES)} {self.pick(NUMBERS)}",
            lambda: f"{self.name()} is {self.pick(['', 'not '])}None",
            lambda: f"i % {self.pick(['2', '3', '7'])} == 1",
            lambda: f"not {self.name()}",
            lambda: f"{self.atom()} in xs",
            lambda: f"{self.name()} and {self.name()}",
        ])()

    def block(self, level):
        self.depth += 1
        for _ in range(self.random.randrange(1, 4)):
            self.statement(level + 1)
        self.depth -= 1

    def statement(self, level):
        local = self.pick(["v", "w", "t", "a"])
        kinds = [
            lambda: self.emit(f"{local} = {self.expression()}"),
            lambda: self.emit(f"{local} = {self.expression()}"),
            lambda: self.emit(f"{local} {self.pick('+-')}= {self.expression(1)}"),
            lambda: self.emit(f"xs[{self.pick(['0', 'i % 3', '-1'])}] = {self.expression(1)}"),
            lambda: self.emit(f"p.{self.pick('xy')} = {self.expression(1)}"),
            lambda: self.emit(f"p.x {self.pick('+-')}= {self.pick(NUMBERS)}"),
            lambda: self.emit(f"v, w = {self.name()}, {self.expression(1)}"),
            lambda: self.emit(f"if len(xs) < 40: xs.append({self.expression(1)})"),
            lambda: self.emit(f"LOG.append({self.expression(1)})" if self.loops == 0 else f"t = {self.expression(1)}"),
            lambda: self.emit(f"assert {self.condition()}, {self.atom()}"),
        ]
        if level < 4:
            kinds += [self.branch, self.branch, self.attempt, self.guarded] if level < 3 else [self.branch]
            if self.loops < 2:
                kinds += [self.loop, self.loop, self.count_down]
        if self.loops:
            kinds.append(lambda: self.emit(f"if {self.condition()}: {self.pick(['break', 'continue'])}"))
        if level > 1 and self.chance(30):
            kinds += [lambda: self.emit(f"raise {self.pick(['ValueError', 'KeyError'])}({self.atom()})"),
                      lambda: self.emit(f"return {self.expression()}" if self.inside != "generator" else "return"),
                      lambda: self.emit(f"del {self.pick(['v', 'w'])}")]
        if self.inside == "generator":
            kinds += [lambda: self.emit(f"{local} = yield {self.expression(1)}")] * 3
        if self.inside == "global":
            kinds.append(lambda: self.emit(f"{self.pick('GH')} = {self.pick(NUMBERS)}"))
        if self.inside == "closure":
            kinds += [lambda: self.emit(f"n = {self.expression(1)}")] * 2
        self.level = level
        self.pick(kinds)()

    def branch(self):
        level = self.level
        self.emit(f"if {self.condition()}:")
        self.block(level)
        if self.chance(50):
            self.emit("else:")
            self.block(level)

    def loop(self):
        level = self.level
        self.loops += 1
        over = self.pick(["range(6)", "range(len(xs))", "range(3, 40, 4)", "xs[:8]", "(1, 2.5, 3)", "enumerate(xs[:5])", "gen(3, v, w)"])
        if over.startswith("gen") and "gen" not in self.functions_made:
            over = "range(9)"
        target = "(i, t)" if over.startswith("enum") else self.pick("it") if over.startswith(("range", "(1")) else "t"
        self.emit(f"for {target} in {over}:")
        self.block(level)
        self.loops -= 1
        if self.chance(15):
            self.emit("else:")
            self.block(level)

    def count_down(self):
        level = self.level
        self.loops += 1
        counter = f"c{level}"
        self.emit(f"{counter} = {self.random.randrange(3, 12)}")
        self.emit(f"while {counter} > 0:")
        self.depth += 1
        self.emit(f"{counter} -= 1")
        self.depth -= 1
        self.block(level)
        self.loops -= 1

    def attempt(self):
        level = self.level
        self.emit("try:")
        self.block(level)
        if self.chance(80):
            named = self.chance(40)
            self.emit(f"except {self.pick(ERRORS)}{' as e' if named else ''}:")
            if named:
                self.depth += 1
                self.emit("t = type(e).__name__")
                self.depth -= 1
            self.block(level)
            if self.chance(25):
                self.emit("finally:")
                self.block(level)
        else:
            self.emit("finally:")
            self.block(level)

    def guarded(self):
        level = self.level
        self.emit(f"with Guard({self.pick(['True', 'False'])}):")
        self.block(level)

    def body(self, kind):
        self.inside = kind
        self.depth += 1
        if kind == "global":
            self.emit("global G, H")
        self.emit("i = 0")
        self.emit(f"v, w, t = {self.pick(NUMBERS)}, b, c")
        self.emit("xs = [1, 2.5, b]")
        self.emit(f"p = c if hasattr(c, 'total') else {self.pick(['Point', 'Heavy', 'Slim'])}(b, {self.pick(NUMBERS)})")
        self.names = ["a", "b", "c", "v", "w", "t", "i"]
        if kind == "closure":
            self.emit("n = b")
            self.emit("def inner(k):")
            self.depth += 1
            self.emit("nonlocal n")
            self.emit(f"n = k {self.pick('+-')} {self.pick(NUMBERS)}")
            self.emit(f"return n {self.pick(['+', '-', '*'])} {self.pick(['a', 'k', '2'])}")
            self.depth -= 1
            self.names += ["n", "inner(v)", "inner(1)"]
        for _ in range(self.random.randrange(3, 7)):
            self.statement(0)
        self.emit(f"return {self.expression()}" if kind != "generator" else f"yield {self.expression()}")
        self.depth -= 1
        self.emit("")

    def text(self):
        """The program."""
        self.lines = PRELUDE.splitlines() + [""]
        self.functions_made = set()
        for number in range(self.random.randrange(2, 5)):
            kind = self.pick(["plain", "plain", "plain", "closure", "global"])
            self.emit(f"def f{number}(a, b=2, c=None):")
            self.body(kind)
            self.functions.append(f"f{number}")
            self.functions_made.add(f"f{number}")
            if number == 0 and self.chance(60):
                self.emit("def gen(a, b, c):")
                self.body("generator")
                self.functions_made.add("gen")
        self.emit("CALLS = [")
        for function in self.functions:
            arguments = [", ".join(self.pick(ARGUMENTS[:6]) for _ in range(3))] * 25
            arguments += [", ".join(self.pick(ARGUMENTS) for _ in range(3)) for _ in range(12)]
            for given in arguments:
                self.emit(f"    lambda: {function}({given}),")
        self.emit("]")
        return "\n".join(self.lines) + "\n"


def short(value):
    """A value as text that is the same in every process."""
    if type(value).__repr__ is object.__repr__:
        return type(value).__name__ + repr([short(getattr(value, key, None)) for key in ("x", "y")])
    return repr(value)[:200] if not isinstance(value, list | tuple | dict) else f"{type(value).__name__} of {len(value)}"


def run_program(seed):
    """What the calls of a program did, line by line."""
    source = Program(seed).text()
    space = {"__name__": "fuzzed"}
    exec(compile(source, f"fuzz{seed}.py", "exec"), space)
    seen = []
    for function in space["CALLS"]:
        try:
            seen.append(short(function()))
        except Exception as error:  # noqa: BLE001
            seen.append(describe(error))
    return [*seen, f"G={short(space['G'])} H={short(space['H'])}", "LOG " + " ".join(short(item) for item in space["LOG"][:400])]


def child_main(options):
    """Runs seeds and writes what happened, like the children of the other tests."""
    jit = child.enable_jit(options.module_path) if options.jit else None
    before = child.counters(jit)
    with open(options.out, "w", encoding="utf-8") as stream:
        for seed in range(options.seed, options.seed + options.count):
            stream.write(json.dumps({"begin": seed}) + "\n")
            stream.flush()
            stream.write(json.dumps({"seed": seed, "seen": run_program(seed)}) + "\n")
            stream.flush()
        stream.write(json.dumps({"done": True, "counters": child.difference(child.counters(jit), before)}) + "\n")
    return 0


def spawn(options, mode, module_path, first, count):
    """What the seeds did in a mode: lines by seed, how each died that did, the counters, and the JIT's internal errors if any."""
    fault = None
    seen, deaths, total, last = {}, {}, {}, first + count
    while first < last:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            out = os.path.join(folder, "results.jsonl")
            command = [options.python, "-W", "ignore", "-X", "faulthandler", os.path.abspath(__file__), "--child", "--out", out, "--seed", str(first),
                       "--count", str(last - first)]
            if run.is_jit(mode):
                command += ["--jit", "--module-path", module_path]
            try:
                done = subprocess.run(command, env=run.child_environment(mode), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                      errors="replace", timeout=options.timeout, check=False)
                how = run.death(done.returncode) + "\n" + run.tail(done.stderr) if done.returncode else None
            except subprocess.TimeoutExpired:
                how = f"timed out after {options.timeout:g} s"
            running = first
            for record in read(out):
                running = record.get("begin", running)
                if "seed" in record:
                    seen[record["seed"]] = record["seen"]
                    running = record["seed"] + 1
                elif "done" in record:
                    for key, value in record["counters"].items():
                        total[key] = total.get(key, 0) + value
            if how is None:
                fault = run.internal_errors(total, done.stderr)
                break
            deaths[running] = how
            first = running + 1
    return seen, deaths, total, fault


def read(path):
    """The records of a child, up to where it died."""
    if not os.path.exists(path):
        return
    with open(path, encoding="utf-8") as stream:
        for line in stream:
            try:
                yield json.loads(line)
            except ValueError:
                return


def run_everything(options):
    """The whole test; returns the exit code."""
    modes = run.parse_modes(options.modes)
    module_path = run.find_module(options)
    report = run.Report(options.verbose)
    compiled = dict.fromkeys(modes, 0)

    def batch(first):
        count = min(BATCH, options.seed + options.count - first)
        base, deaths, _, _ = spawn(options, "off", module_path, first, count)
        for seed, how in deaths.items():
            report.record("off", f"seed {seed}", how)
        for mode in modes:
            got, deaths, made, fault = spawn(options, mode, module_path, first, count)
            compiled[mode] += made.get("functions_compiled", 0) + made.get("loops_compiled", 0)
            if fault:
                report.record(mode, f"seeds {first} to {first + count - 1}", fault)
            for seed, lines in base.items():
                fault = deaths.get(seed)
                if fault is None and got.get(seed) != lines:
                    other = got.get(seed, [])
                    wrong = [f"call {at}: {one}\n  {mode}: {two}" for at, (one, two) in enumerate(zip(lines, other)) if one != two]
                    fault = "\n".join(wrong[:3]) or "did not run"
                report.record(mode, f"seed {seed}", fault)

    with ThreadPoolExecutor(max_workers=options.jobs) as pool:
        list(pool.map(batch, range(options.seed, options.seed + options.count, BATCH)))
    for mode in modes:
        report.expect_activity(mode, compiled[mode])
    return report.conclude()


def main(argv=None):
    """Parses the command line and runs the parent or a child."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter to test")
    parser.add_argument("--module-path", help="the folder of the pepjit module (default: target/pepjit/cp3XX)")
    parser.add_argument("--modes", default="on,forced,random-exits-1", help="comma-separated (default: on,forced,random-exits-1)")
    parser.add_argument("--seed", type=int, default=1, help="the first program (default: 1)")
    parser.add_argument("--count", type=int, default=100, help="how many programs (default: 100)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds per process (default: 120)")
    parser.add_argument("--show", type=int, metavar="SEED", help="print a program and do nothing")
    parser.add_argument("--verbose", "-v", action="store_true", help="also print what passes")
    for hidden in ("--child", "--jit"):
        parser.add_argument(hidden, action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.show is not None:
        print(Program(options.show).text(), end="")
        return 0
    if options.child:
        return child_main(options)
    try:
        return run_everything(options)
    except run.CannotStart as error:
        print(f"fuzz.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
