"""Runs one probe of the tool matrix in this process: `api.py SCRIPT ROW OUT`.

The probe is the function of the row's name in SCRIPT.py beside this file. It returns what is compared between modes: anything that JSON
can hold, the same from process to process. `inform` keeps what may differ (times, shares), `version` what the tool was. A probe
that lacks something raises `Unavailable` with the cure. It makes its code hot with `heat`; the report has the JIT's counters
as `proof`: `compiled` (functions and loops that have native code) and `entered` (how often native code was entered).
"""

import importlib
import json
import os
import re
import subprocess
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
MODE = os.environ.get("COMPAT_MODE", "off")
CALLS = 300
"""How often `heat` calls a function: more than any mode's threshold."""

_information = {}
_versions = {}
_best = {"compiled": 0, "entered": 0}
_heated = []
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{4,}")


class Unavailable(Exception):
    """Something that the probe needs isn't there; the message names it and the cure."""


def inform(**facts):
    """Keeps figures that aren't compared."""
    _information.update(facts)


def version(name, value):
    """Notes which version of a tool the probe used."""
    _versions[name] = str(value)


def plain(text):
    """`text` without what differs from process to process: addresses and folders."""
    return _ADDRESS.sub("0x..", str(text)).replace(HERE + os.sep, "").replace(os.getcwd() + os.sep, "")


def heat(function, *args, calls=CALLS):
    """Calls a function until every mode has compiled it, notes the proof, and returns the last result."""
    result = None
    for _ in range(calls):
        result = function(*args)
    _heated.append(getattr(function, "__func__", function))
    prove()
    return result


def prove():
    """Notes the JIT's counters now: a tool that is turned on later may have code thrown away."""
    for name, value in counters().items():
        _best[name] = max(_best.get(name, 0), value)
    return _best


def counters():
    """`compiled` and `entered` of whichever JIT is at work in this process; zeros without one."""
    if MODE == "cpython-jit":
        active = _active()
        return {"compiled": _executors(), "entered": active}
    module = sys.modules.get("pepjit")
    if module is None or not module.is_enabled():
        return {"compiled": 0, "entered": 0}
    stats = module.stats()
    return {
        "compiled": stats["functions_compiled"] + stats["loops_compiled"],
        "entered": stats["native_entries"] + stats.get("osr_entries", 0),
        "exits": stats.get("exits", 0),
    }


def _executors():
    """Instructions of the heated functions, and of `_active`, at which CPython's own JIT is entered."""
    try:
        from _opcode import get_executor
    except ImportError:
        return 0
    count = 0
    for function in [*_heated, _active]:
        code = getattr(function, "__code__", None)
        for offset in range(0, len(code.co_code) if code else 0, 2):
            try:
                count += get_executor(code=code, offset=offset) is not None
            except (ValueError, RuntimeError):
                pass
    return count


def _active():
    """How often a loop of this process found itself in CPython's own machine code."""
    is_active = sys._jit.is_active
    hits = 0
    for _ in range(20_000):
        if is_active():
            hits += 1
    return hits


def run(command, timeout=40, **options):
    """A finished process: `subprocess.run` with its output as text, and no standard input."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=timeout, **options)


def tool(name, cure):
    """The path of a program, in one of the packages' folders or on PATH.

    Raises Unavailable with the cure without one.
    """
    import shutil

    folders = [os.path.join(folder, "bin") for folder in sys.path if os.path.isdir(os.path.join(folder, "bin"))]
    found = shutil.which(name, path=os.pathsep.join(folders)) or shutil.which(name)
    if found is None:
        raise Unavailable(f"{name} is missing: {cure}")
    return found


class Target:
    """A process of its own that runs a function of targets.py, for tools that look at another process.

    It says `ready` once its code is hot, goes on until its standard input is closed, and then tells its counters.
    """

    def __init__(self, name, *args, env=(), options=(), wrap=()):
        command = [*wrap, sys.executable, *options, os.path.join(HERE, "targets.py"), name, *map(str, args)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            env={**os.environ, **dict(env)},
        )
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the target did not start: {self.process.communicate()[1]}")
        self.said = json.loads(line)
        self.pid = self.said["pid"]

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def finish(self, timeout=30):
        """Ends it and takes its counters for this probe's proof; returns what it tells."""
        out, err = self.process.communicate(timeout=timeout)
        lines = out.strip().splitlines()
        if self.process.returncode or not lines:
            raise RuntimeError(f"the target ended with {self.process.returncode}: {err}")
        said = json.loads(lines[-1])
        take(said["proof"])
        return said


def take(proof):
    """Takes another process's counters as proof."""
    for name, value in proof.items():
        _best[name] = max(_best.get(name, 0), value)


def main(script, row, out):
    report = {}
    sys.path.insert(0, HERE)
    sys.modules["api"] = sys.modules["__main__"]
    try:
        module = importlib.import_module(script)
        report["result"] = getattr(module, row.replace("-", "_"))()
        report["proof"] = prove()
    except Unavailable as lacking:
        report["unavailable"] = str(lacking)
    except BaseException:
        report["error"] = traceback.format_exc()
    report["information"] = _information
    report["versions"] = _versions
    with open(out, "w", encoding="utf-8") as file:
        json.dump(report, file, default=repr)


if __name__ == "__main__":
    main(*sys.argv[1:])
