"""sys.settrace, sys.setprofile and sys.monitoring turned on in the middle of hot code: the same events from then on."""

import sys

from corpus_api import HOT, VERSION, case, heat, outcome


def relative(frame):
    return frame.f_lineno - frame.f_code.co_firstlineno


def helper(x):
    y = x + 1
    return y * 2


def worker(n):
    total = 0
    for i in range(n):
        if i % 2:
            total += helper(i)
        else:
            total -= i
    return total


def failing(n):
    try:
        return 10 // n
    except ZeroDivisionError:
        return "caught"


def traced(function, *args, kinds=("call", "line", "return", "exception"), opcodes=False):
    """Runs a function under sys.settrace; the events."""
    events = []
    own = function.__code__.co_filename

    def tracer(frame, event, arg):
        if frame.f_code.co_filename != own:
            return None
        if opcodes:
            frame.f_trace_opcodes = True
        if event in kinds:
            shown = arg if event == "return" and isinstance(arg, (int, float, str)) else arg[0].__name__ if event == "exception" else None
            events.append((event, frame.f_code.co_name, relative(frame), shown))
        return tracer
    old = sys.gettrace()
    sys.settrace(tracer)
    try:
        function(*args)
    finally:
        sys.settrace(old)
    return [e for e in events if e[1] in ("worker", "helper", "failing", "gen", "consumer", "m")]


@case
def trace_after_warming():
    heat(worker, 10)
    heat(failing, 5)
    events = traced(worker, 3)
    return events, traced(failing, 0), worker(5), heat(worker, 10)


@case
def trace_turned_on_inside_a_running_loop():
    def run(n, at):
        events = []

        def tracer(frame, event, arg):
            if frame.f_code.co_name in ("helper", "run"):
                events.append((event, frame.f_code.co_name))
            return tracer
        total = 0
        for i in range(n):
            total += helper(i)
            if i == at:
                sys.settrace(tracer)
            if i == at + 3:
                sys.settrace(None)
        return total, events
    old = sys.gettrace()
    try:
        heat(run, 5, 100)
        return run(300, 200), run(10, 5)
    finally:
        sys.settrace(old)


@case
def trace_sets_local_trace_of_running_frame():
    def run(n, at):
        lines = []

        def local(frame, event, arg):
            if event == "line":
                lines.append(relative(frame))
            return local

        def turn_on():
            sys._getframe(1).f_trace = local
            sys.settrace(lambda *args: None)
        total = 0
        for i in range(n):
            if i == at:
                turn_on()
            if i == at + 2:
                sys.settrace(None)
            total += i
        return total, lines
    old = sys.gettrace()
    try:
        heat(run, 4, 99)
        return run(300, 250)
    finally:
        sys.settrace(old)


@case
def opcode_events():
    heat(worker, 10)
    events = traced(worker, 3, kinds=("opcode",), opcodes=True)
    return len(events), events[:5], events[-3:]


@case
def trace_changes_a_local():
    def run(n):
        x = 1
        total = 0
        for i in range(n):
            total += x
        return total

    def tracer(frame, event, arg):
        if frame.f_code.co_name != "run":
            return None
        if event == "line" and frame.f_locals.get("i") == 3:
            frame.f_locals["x"] = 10
        return tracer
    out = [heat(run, 10)]
    old = sys.gettrace()
    sys.settrace(tracer)
    try:
        out.append(run(10))
    finally:
        sys.settrace(old)
    out.append(run(10))
    return out


@case
def trace_jumps():
    def run(n):
        x = 0
        x += 1
        x += 10
        x += 100
        return x

    def tracer(frame, event, arg):
        if frame.f_code.co_name != "run":
            return None
        if event == "line" and relative(frame) == 3:
            frame.f_lineno = frame.f_code.co_firstlineno + 4
        return tracer
    out = [heat(run, 1)]
    old = sys.gettrace()
    sys.settrace(tracer)
    try:
        out.append(run(1))
    finally:
        sys.settrace(old)
    return out, run(1)


@case
def profile_after_warming():
    def profile(function, *args):
        events = []

        def profiler(frame, event, arg):
            name = arg.__name__ if event.startswith("c_") else frame.f_code.co_name
            events.append((event, name))
        old = sys.getprofile()
        sys.setprofile(profiler)
        try:
            function(*args)
        finally:
            sys.setprofile(old)
        return [e for e in events if e[1] not in ("setprofile", "getprofile")]

    def f(values):
        return [len(values), helper(1), sorted(values, key=helper), abs(-1)]
    heat(f, [2, 1])
    heat(worker, 5)
    return profile(f, [2, 1]), profile(worker, 4), heat(f, [1])


@case
def profile_turned_on_inside_a_running_loop():
    def run(n, at):
        events = []
        for i in range(n):
            if i == at:
                sys.setprofile(lambda frame, event, arg: events.append((event, frame.f_code.co_name)))
            helper(i)
            if i == at + 2:
                sys.setprofile(None)
        return [e for e in events if e[1] == "helper"]
    old = sys.getprofile()
    try:
        heat(run, 4, 99)
        return run(300, 200)
    finally:
        sys.setprofile(old)


def monitored(events, function, *args, local=None):
    """Runs a function with sys.monitoring events on a debugger's id; what was reported about this file."""
    monitoring = sys.monitoring
    tool = monitoring.DEBUGGER_ID
    own = function.__code__.co_filename
    seen = []

    def callback(name):
        def record(code, *details):
            if code.co_filename == own and code.co_name in ("worker", "helper", "failing"):
                plain = [d if isinstance(d, (int, str)) else type(d).__name__ for d in details]
                seen.append((name, code.co_name, *plain))
        return record
    monitoring.use_tool_id(tool, "conformance")
    try:
        mask = 0
        for name in events:
            mask |= getattr(monitoring.events, name)
            monitoring.register_callback(tool, getattr(monitoring.events, name), callback(name))
        if local is None:
            monitoring.set_events(tool, mask)
        else:
            monitoring.set_local_events(tool, local.__code__, mask)
        function(*args)
    finally:
        monitoring.set_events(tool, 0)
        if local is not None:
            monitoring.set_local_events(tool, local.__code__, 0)
        for name in events:
            monitoring.register_callback(tool, getattr(monitoring.events, name), None)
        monitoring.free_tool_id(tool)
    return seen


@case
def monitoring_calls_lines_returns():
    heat(worker, 10)
    return monitored(["PY_START", "PY_RETURN", "LINE"], worker, 3), heat(worker, 5)


@case
def monitoring_jumps_branches_and_calls():
    heat(worker, 10)
    branches = ["BRANCH_LEFT", "BRANCH_RIGHT"] if VERSION >= (3, 14) else ["BRANCH"]
    return monitored(["JUMP", "CALL", *branches], worker, 4), worker(4)


@case
def monitoring_instructions():
    heat(worker, 10)
    seen = monitored(["INSTRUCTION"], worker, 3)
    return len(seen), seen[:4]


@case
def monitoring_exceptions():
    heat(failing, 5)
    heat(failing, 0)
    return monitored(["RAISE", "EXCEPTION_HANDLED", "PY_UNWIND"], failing, 0), failing(0), monitored(["RAISE", "PY_UNWIND"], outcome, failing, "a") == []


@case
def monitoring_local_events():
    heat(worker, 10)
    return monitored(["PY_START", "LINE"], worker, 4, local=helper), worker(4)


@case
def monitoring_turned_on_inside_a_running_loop():
    monitoring = sys.monitoring
    tool = monitoring.DEBUGGER_ID

    def run(n, at):
        seen = []
        monitoring.use_tool_id(tool, "conformance")
        try:
            monitoring.register_callback(tool, monitoring.events.PY_START, lambda code, offset: seen.append(code.co_name))
            total = 0
            for i in range(n):
                if i == at:
                    monitoring.set_events(tool, monitoring.events.PY_START)
                total += helper(i)
                if i == at + 2:
                    monitoring.set_events(tool, 0)
        finally:
            monitoring.set_events(tool, 0)
            monitoring.register_callback(tool, monitoring.events.PY_START, None)
            monitoring.free_tool_id(tool)
        return total, [name for name in seen if name == "helper"]
    heat(run, 3, 99)
    return run(300, 200), run(20, 5)


@case
def monitoring_callback_disables_itself():
    monitoring = sys.monitoring
    tool = monitoring.DEBUGGER_ID
    seen = []

    def record(code, line):
        if code.co_name == "helper":
            seen.append(line - code.co_firstlineno)
        return monitoring.DISABLE
    heat(worker, 10)
    monitoring.use_tool_id(tool, "conformance")
    try:
        monitoring.register_callback(tool, monitoring.events.LINE, record)
        monitoring.set_events(tool, monitoring.events.LINE)
        worker(20)
        first = list(seen)
        monitoring.restart_events()
        worker(20)
    finally:
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, monitoring.events.LINE, None)
        monitoring.free_tool_id(tool)
    return first, seen


@case
def monitoring_callback_raises():
    monitoring = sys.monitoring
    tool = monitoring.DEBUGGER_ID

    def record(code, offset):
        if code.co_name == "helper":
            raise LookupError("from the callback")
    heat(worker, 10)
    monitoring.use_tool_id(tool, "conformance")
    try:
        monitoring.register_callback(tool, monitoring.events.PY_START, record)
        monitoring.set_events(tool, monitoring.events.PY_START)
        shown = outcome(worker, 5)
    finally:
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, monitoring.events.PY_START, None)
        monitoring.free_tool_id(tool)
    return shown, worker(5)


@case
def trace_generators():
    def gen(n):
        for i in range(n):
            yield i * 2

    def consumer(n):
        t = 0
        for x in gen(n):
            t += x
        return t
    heat(consumer, 5)
    return traced(consumer, 2, kinds=("call", "return")), consumer(5)


@case
def trace_exceptions_through_methods():
    class A:
        def m(self, x):
            return 1 // x

    def worker(a, x):
        try:
            return a.m(x)
        except ZeroDivisionError:
            return None
    heat(worker, A(), 1)
    return traced(worker, A(), 0), heat(worker, A(), 1)
