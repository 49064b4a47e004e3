"""Event streams of tracing, profiling and monitoring, and pdb on top of them. Code is hot before anybody looks."""

import io
import os
import sys

import work
from api import heat, plain, prove

HERE = os.path.dirname(os.path.abspath(__file__))


def _mine(code):
    return os.path.dirname(code.co_filename) == HERE


class _Tracer:
    """Keeps all events of the probes' own code."""

    def __init__(self, opcodes=False):
        self.events = []
        self.opcodes = opcodes

    def __call__(self, frame, event, arg):
        if not _mine(frame.f_code):
            return None
        if event == "call" and self.opcodes:
            frame.f_trace_opcodes = True
        shown = arg[0].__name__ if event == "exception" else plain(repr(arg))
        self.events.append([event, frame.f_code.co_name, frame.f_lineno, frame.f_lasti if self.opcodes else 0, shown])
        return self


def _hot():
    heat(work.everything)
    heat(work.outer, 5, len)
    prove()


def _act():
    """Hot code, and an exception out of it."""
    value = [work.everything(6), work.outer(3, len)]
    try:
        work.divide([3, 2], 0)
    except ZeroDivisionError:
        pass
    return value


def _act_under(install, hook):
    install(hook)
    try:
        return _act()
    finally:
        install(None)


def settrace():
    _hot()
    results = {}
    for name, opcodes in ("lines", False), ("opcodes", True):
        tracer = _Tracer(opcodes)
        results[name] = [_act_under(sys.settrace, tracer), tracer.events]
    # Turned on by a callee, while a hot loop of its caller is running, and off again.
    tracer = _Tracer()

    def see(label):
        if label == "1/3":
            frame = sys._getframe(1)
            sys.settrace(tracer)
            while frame.f_code.co_name != "settrace":
                frame.f_trace = tracer
                frame = frame.f_back
        if label == "3/7":
            sys.settrace(None)
        return len(label)

    sys.settrace(None)
    heat(work.outer, 3, lambda label: len(label))
    results["in a loop"] = [work.outer(12, see), tracer.events]
    results["after"] = heat(work.everything, 12)
    return results


def setprofile():
    _hot()
    events = []

    def profiler(frame, event, arg):
        if _mine(frame.f_code):
            shown = getattr(arg, "__qualname__", None) or plain(repr(arg))
            events.append([event, frame.f_code.co_name, frame.f_lineno, shown])

    value = _act_under(sys.setprofile, profiler)
    first, events = [value, events], []

    def start(label):
        if label == "1/3":
            sys.setprofile(profiler)
        if label == "3/7":
            sys.setprofile(None)
        return len(label)

    got = work.outer(12, start)
    return {"events": first, "in a loop": [got, events], "after": heat(work.everything, 12)}


def pdb():
    import pdb as debugger

    _hot()
    results = {}
    backends = [{}]
    if sys.version_info >= (3, 14):
        backends = [{"backend": "settrace"}, {"backend": "monitoring"}]
    line = work.divide.__code__.co_firstlineno + 3
    inner = work.inner.__code__.co_firstlineno + 2
    commands = [
        f"break {work.__file__}:{line}, value == 5", f"tbreak {work.__file__}:{inner}", "continue", "where", "args", "p total, value",
        "step", "next", "up", "p sorted(locals())", "down", "return", "continue", "where", "p half, i, label", "until", "continue",
    ]
    for options in backends:
        out = io.StringIO()
        session = debugger.Pdb(stdin=io.StringIO("\n".join([*commands, "continue"] + ["continue"] * 20) + "\n"), stdout=out,
                               nosigint=True, readrc=False, **options)
        session.use_rawinput = False

        def look():
            session.set_trace(sys._getframe())
            a = work.divide(range(9), 2)
            b = work.outer(3, len)
            return a + b

        value = look()
        session.clear_all_breaks()
        session.reset()
        sys.settrace(None)
        results[options.get("backend", "default")] = [value, plain(out.getvalue()).splitlines()]
    results["after"] = heat(work.everything, 12)
    return results


def monitoring():
    mon = sys.monitoring
    E = mon.events
    names = [name for name in dir(E) if name.isupper() and name not in ("NO_EVENTS", "C_RETURN", "C_RAISE")]
    _hot()
    results = {}

    def counter(seen, name):
        def callback(code, *args):
            if _mine(code):
                shown = [plain(getattr(a, "__qualname__", None) or repr(a)) for a in args]
                seen.append([name, code.co_name, *shown])
        return callback

    def watch(tool, chosen, seen):
        mon.use_tool_id(tool, f"tool {tool}")
        mask = 0
        for name in chosen:
            mon.register_callback(tool, getattr(E, name), counter(seen, name))
            mask |= getattr(E, name)
        mon.set_events(tool, mask)

    def unwatch(tool):
        mon.set_events(tool, 0)
        for name in names:
            mon.register_callback(tool, getattr(E, name), None)
        mon.free_tool_id(tool)

    # All events but single instructions; then those as well, beside a second tool with other events.
    for label, chosen in ("events", [n for n in names if n != "INSTRUCTION"]), ("instructions", ["INSTRUCTION"]):
        seen, second = [], []
        watch(3, chosen, seen)
        watch(4, ["LINE", "PY_RETURN"], second)
        try:
            value = _act()
        finally:
            unwatch(3)
            unwatch(4)
        results[label] = {"value": value, "first": seen, "second": second}
    _hot()
    # Enabled for one code object only, in the middle of its caller's loop; the callback answers DISABLE for some.
    seen = []

    def line(code, number):
        seen.append([code.co_name, number])
        return mon.DISABLE if number % 2 else None

    def see(label):
        if label == "2/5":
            mon.use_tool_id(3, "local")
            mon.register_callback(3, E.LINE, line)
            mon.set_local_events(3, work.inner.__code__, E.LINE)
            mon.set_local_events(3, work.outer.__code__, E.LINE)
        if label == "5/10":
            mon.restart_events()
        return len(label)

    results["in a loop"] = [work.outer(20, see), seen]
    mon.set_local_events(3, work.inner.__code__, 0)
    mon.set_local_events(3, work.outer.__code__, 0)
    mon.free_tool_id(3)
    results["after"] = heat(work.everything, 12)
    return results
