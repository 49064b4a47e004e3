"""Tools that live in the process: coverage, profilers, allocation tracing. Code is hot before they begin, and hot again after."""

import json
import os
import sys

import work
from api import HERE, heat, plain, prove, run, version

APP = '''
import work

def main():
    total = 0
    for i in range(400):
        total += work.mix(20) + (work.fib(5) if i % 3 else 1)
        if i == 399:
            total += 1
        elif i > 1000:
            total -= 1
    return total, work.everything(12), work.outer(40, len)

print(main())
'''


def _hot():
    heat(work.everything)
    heat(work.outer, 5, len)
    prove()


def _coverage(core):
    os.environ["COVERAGE_CORE"] = core
    import coverage

    version("coverage", coverage.__version__)
    _hot()
    results = {}
    for label in "first", "again":
        cov = coverage.Coverage(branch=True, data_file=None, include=[os.path.join(HERE, "*")], config_file=False, messages=False)
        cov.start()
        try:
            for _ in range(3):
                work.everything(6)
            work.outer(3, len)
        finally:
            cov.stop()
        data = cov.get_data()
        results[label] = {os.path.basename(name): [sorted(data.lines(name)), sorted(data.arcs(name) or [])] for name in data.measured_files()
                          if os.path.basename(name) == "work.py"}
        results[label + " core"] = dict(cov.sys_info())["core"]
        _hot()
    # A whole program, as users run it.
    app = os.path.join(os.getcwd(), "app.py")
    with open(app, "w") as file:
        file.write(APP)
    env = {**os.environ, "COVERAGE_CORE": core, "COVERAGE_FILE": os.path.join(os.getcwd(), "data"),
           "PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], HERE])}
    done = run([sys.executable, "-m", "coverage", "run", "--branch", app], env=env)
    results["program"] = [done.returncode, done.stdout, plain(done.stderr)]
    out = os.path.join(os.getcwd(), "coverage.json")
    done = run([sys.executable, "-m", "coverage", "json", "-q", "-o", out], env={**env, "PEPJIT": "0", "PYTHON_JIT": "0"})
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    with open(out) as file:
        files = json.load(file)["files"]
    results["files"] = {os.path.basename(name): [entry["executed_lines"], entry["missing_lines"], entry["executed_branches"],
                                                 entry["missing_branches"]] for name, entry in files.items()}
    return results


def coverage_ctrace():
    return _coverage("ctrace")


def coverage_sysmon():
    return _coverage("sysmon")


def _calls(stats):
    """Calls, primitive calls and callers by function, of the probes' own code and what it calls."""
    shown = {}
    for (file, line, name), (primitive, calls, _, _, callers) in stats.items():
        if os.path.basename(file) in ("work.py", "tools.py") or file == "~":
            who = {plain(f"{os.path.basename(f)}:{n}"): c[0] if isinstance(c, tuple) else c for (f, _, n), c in callers.items()}
            shown[plain(f"{os.path.basename(file)}:{line}:{name}")] = [primitive, calls, dict(sorted(who.items()))]
    return dict(sorted(shown.items()))


def _profiled(profiler):
    import pstats

    profiler.runcall(lambda: [work.everything(20) for _ in range(5)] and work.outer(30, len))
    return _calls(pstats.Stats(profiler).stats)


def cprofile():
    import cProfile

    _hot()
    results = {"cProfile": _profiled(cProfile.Profile())}
    _hot()
    # Turned on and off by a callee in the middle of a hot loop.
    profiler = cProfile.Profile()

    def see(label):
        if label == "10/20":
            profiler.enable()
        if label == "20/40":
            profiler.disable()
        return len(label)

    import pstats

    results["in a loop"] = [work.outer(60, see), _calls(pstats.Stats(profiler).stats)]
    return results


def profile():
    import profile as slow

    _hot()
    return _profiled(slow.Profile())


def _keep(n):
    kept = []
    for i in range(n):
        kept.append(f"text {i} of {n}")
        kept.append([i] * 10)
    return kept


def _peak(n):
    return sum(len(item) for item in _keep(n))


def tracemalloc():
    import gc
    import tracemalloc as tracer

    heat(_keep, 50)
    heat(_peak, 50)
    _hot()
    gc.collect()
    gc.disable()
    results = {}
    first = _keep.__code__.co_firstlineno
    for frames in 1, 5:
        tracer.start(frames)
        kept = _keep(400)
        # Of what the function leaves behind: how many temporary numbers are boxed, and when, is nobody's promise.
        lines = {}
        for thing in kept:
            trace = tracer.get_object_traceback(thing)
            where = tuple(f"{os.path.basename(f.filename)}:{f.lineno - first}" for f in trace if f.filename == __file__) if trace else "untraced"
            lines[str(where)] = lines.get(str(where), 0) + 1
        size, peak = tracer.get_traced_memory()
        results[f"frames {frames}"] = [lines, size > 400 * 80, peak >= size]
        tracer.stop()
    gc.enable()
    results["after"] = heat(work.everything, 12)
    return results
