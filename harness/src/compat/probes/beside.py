"""Others in the same process: compilers, tools of sys.monitoring, evaluators of frames. Results have to be equal to those without a JIT,
hooks have to stay where they were, and the JIT has to compile again when the other one has gone."""

import os
import sys

import api
import work
from api import Unavailable, heat, prove, version

OURS = 5
"""The tool of sys.monitoring that is our JIT's."""


def _mix(n):
    total = 7
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total


def _fresh():
    """A function that nobody has seen before, hot."""
    names = {}
    exec("def fresh(n):\n    total = 0\n    for i in range(n):\n        total += i * 3 % 7\n    return total\n", names)
    return heat(names["fresh"], 30), names["fresh"]


def _hooks():
    """Whether our JIT's hooks are in place and it compiles what gets hot now. True where it isn't at work."""
    value, fresh = _fresh()
    if api.MODE not in ("forced", "hot"):
        return [value, True]
    import pepjit

    if not pepjit.is_enabled():
        return [value, "disabled"]
    if sys.monitoring.get_tool(OURS) != "pepjit":
        return [value, f"tool {OURS} belongs to {sys.monitoring.get_tool(OURS)}"]
    if not pepjit.is_compiled(fresh):
        return [value, f"not compiled: {pepjit.explain(fresh).get('reason')}"]
    return [value, True]


def with_sysmon_coverage():
    os.environ["COVERAGE_CORE"] = "sysmon"
    import coverage

    version("coverage", coverage.__version__)
    heat(work.everything)
    before = _hooks()
    cov = coverage.Coverage(branch=False, data_file=None, include=[work.__file__], config_file=False, messages=False)
    cov.start()
    during = heat(work.everything, 12)
    cov.stop()
    lines = sorted(cov.get_data().lines(work.__file__) or [])
    return {"before": before, "during": during, "lines": lines, "after": heat(work.everything, 12), "hooks": _hooks()}


def with_cprofile():
    import cProfile

    heat(work.everything)
    before = _hooks()
    profiler = cProfile.Profile()
    profiler.enable()
    during = [work.everything(12) for _ in range(50)][-1]
    profiler.disable()
    calls = sum(entry.callcount for entry in profiler.getstats() if getattr(entry.code, "co_filename", "") == work.__file__)
    return {"before": before, "during": during, "calls": calls, "after": heat(work.everything, 12), "hooks": _hooks()}


def with_another_monitor():
    mon = sys.monitoring
    heat(work.everything)
    results = {"before": _hooks()}
    for label, events in ("calls", mon.events.PY_START | mon.events.PY_RETURN), ("lines", mon.events.LINE):
        counts = {}

        def count(code, *args):
            if code.co_filename == work.__file__:
                counts[code.co_name] = counts.get(code.co_name, 0) + 1

        mon.use_tool_id(2, "another")
        for event in mon.events.PY_START, mon.events.PY_RETURN, mon.events.LINE:
            mon.register_callback(2, event, count if events & event else None)
        mon.set_events(2, events)
        values = [work.everything(12) for _ in range(60)][-1]
        mon.set_events(2, 0)
        mon.free_tool_id(2)
        results[label] = [values, dict(sorted(counts.items())), mon.get_tool(2)]
        results[label + ": hooks"] = _hooks()
    # One that stays, with events for one function only.
    seen = []
    mon.use_tool_id(2, "another")
    mon.register_callback(2, mon.events.PY_START, lambda code, offset: seen.append(code.co_name))
    mon.set_local_events(2, work.fib.__code__, mon.events.PY_START)
    results["local"] = [heat(work.everything, 12, calls=60), len(seen), sorted(set(seen))]
    prove()
    mon.set_local_events(2, work.fib.__code__, 0)
    mon.free_tool_id(2)
    results["after"] = heat(work.everything, 12)
    return results


def with_frame_evaluator():
    """PEP 523: another evaluator of frames sees every frame, hot or not, as torch.compile's does."""
    try:
        import _testinternalcapi as capi

        capi.set_eval_frame_record
    except (ImportError, AttributeError):
        raise Unavailable("this interpreter has no _testinternalcapi: use pyenv's build, or install Debian's "
                          "libpython%d.%d-testsuite" % sys.version_info[:2]) from None
    heat(work.everything)
    before = _hooks()
    seen = []
    capi.set_eval_frame_record(seen)
    try:
        value = work.everything(8)
        again = [work.fib(6) for _ in range(40)][-1]
    finally:
        capi.set_eval_frame_default()
    names = [getattr(entry, "co_name", entry) for entry in seen]
    counts = {name: names.count(name) for name in sorted(set(names))}
    return {"before": before, "value": value, "again": again, "seen": counts, "after": heat(work.everything, 12), "hooks": _hooks()}


def _compilers(other, name, working):
    """One function by the interpreter or our JIT, and by another compiler; and what the hooks are in the end."""
    results = {}
    for size in 0, 1, 1000, 20_000:
        results[str(size)] = [_mix(size), work.mix(size), int(other(size))]
    for _ in range(300):
        work.everything(12)
    results["work"] = heat(work.everything, 12)
    results["it works"] = bool(working())
    results["hooks"] = _hooks()
    results["again"] = [work.mix(777), int(other(777))]
    return results


def with_numba():
    import numba

    version("numba", numba.__version__)
    heat(_mix, 100)
    compiled = numba.njit(_mix)
    vector = numba.vectorize(["float64(float64)"])(lambda x: x * 2 + 1)
    results = _compilers(compiled, "numba", lambda: compiled.signatures)
    import numpy

    results["vectorized"] = vector(numpy.arange(4.0)).tolist()
    return results


def with_torch():
    import torch

    version("torch", torch.__version__)
    heat(_mix, 100)

    @torch.compile(backend="eager")
    def step(total, i):
        return (total * 31 + i) % 1000003

    def steps(n):
        total = torch.tensor(7)
        for i in range(min(n, 1000)):
            total = step(total, torch.tensor(i))
        return int(total) if n <= 1000 else _mix(n)

    return _compilers(steps, "torch", lambda: torch._dynamo.utils.counters["frames"]["ok"] > 0)


def with_cinderx():
    try:
        import cinderx
        import cinderx.jit as jit
    except ImportError as error:
        raise Unavailable(f"CinderX doesn't load here: {error}") from None
    if not jit.is_available():
        raise Unavailable("this build of CinderX has no JIT for this interpreter")
    import importlib.metadata

    version("cinderx", importlib.metadata.version("cinderx"))
    heat(_mix, 100)
    names = {}
    exec("def other(n):\n    total = 7\n    for i in range(n):\n        total = (total * 31 + i) % 1000003\n    return total\n", names)
    other = names["other"]
    jit.force_compile(other)
    return _compilers(other, "cinderx", lambda: jit.is_jit_compiled(other))
