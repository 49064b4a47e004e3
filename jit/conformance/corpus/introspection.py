"""Frames, stacks and locals of hot functions as their callees see them."""

import inspect
import sys
import traceback
import warnings

from corpus_api import HOT, case, drive, heat, outcome


def names(depth=1, limit=3):
    """Function names and lines (relative to the function) of the callers."""
    out = []
    frame = sys._getframe(depth)
    while frame is not None and len(out) < limit:
        out.append((frame.f_code.co_name, frame.f_lineno - frame.f_code.co_firstlineno))
        frame = frame.f_back
    return out


def caller_locals(depth=1):
    frame = sys._getframe(depth + 1)
    return sorted((k, v) for k, v in frame.f_locals.items() if isinstance(v, (int, float, str, list, tuple, type(None))))


@case
def getframe_chain():
    def c():
        return names()

    def b(x):
        y = x + 1
        return c(), y

    def a(x):
        for i in range(3):
            x += i
        return b(x), names()
    return heat(a, 1), a(0.5), outcome(a, "x")


@case
def lines_of_calls():
    def where():
        f = sys._getframe(1)
        return f.f_lineno - f.f_code.co_firstlineno

    def f(n):
        out = [where()]
        for i in range(n):
            out.append(where() + 0)
            if i % 2:
                out.append(
                    where())
            x = (i,
                 where(),
                 i)
            out.append(x[1])
        return out
    return heat(f, 4), f(1), f(0)


@case
def locals_seen_from_a_callee():
    def f(n, text):
        total = 0
        for i in range(n):
            half = i / 2
            total += i
            shown = caller_locals(0)
        return shown, total
    return heat(f, 10, "t"), f(100, "u"), outcome(f, 1, None)


@case
def locals_change_between_calls():
    def f(n):
        x = n
        first = caller_locals(0)
        x = x * 1.5
        second = caller_locals(0)
        x = "text"
        y = [x]
        third = caller_locals(0)
        del x
        fourth = caller_locals(0)
        return [len(first), len(second), len(third), len(fourth)], first[0], second[-1], third[-1], [k for k, _ in fourth]
    return heat(f, 3), f(0.5), f(2**70)


@case
def locals_after_an_exception():
    def f(n, stop):
        total = 0
        scale = 0.5
        for i in range(n):
            total += i
            scale *= 1.5
            last = 100 // (stop - i)
        return total, last

    def probe(n, stop):
        try:
            return f(n, stop)
        except ZeroDivisionError as error:
            frame = error.__traceback__.tb_next.tb_frame
            return sorted(frame.f_locals.items()), error.__traceback__.tb_next.tb_lineno - f.__code__.co_firstlineno
    heat(probe, 10, 99)
    return probe(50, 20), probe(5, 0), probe(200, 199), heat(probe, 10, 5)


@case
def locals_written_through_a_frame():
    def poke(value):
        frame = sys._getframe(1)
        frame.f_locals["x"] = value

    def f(n, value):
        x = 1
        total = 0
        for i in range(n):
            total += x
            if i == n // 2:
                poke(value)
        return total, x
    written = heat(f, 10, 5), f(100, 0.5), f(10, 2**70), outcome(f, 10, "s"), outcome(f, 10, None)
    # Often enough for random exits to come at any moment around the write.
    return written, {f(10, 2**70) for _ in range(300)}


@case
def f_locals_is_a_write_through_proxy():
    holder = []

    def keep():
        holder.append(sys._getframe(1).f_locals)

    def f(a):
        b = a + 1
        keep()
        b = b * 2
        c = b  # noqa: F841
        return b
    for _ in range(HOT):
        del holder[:]
        f(1)
    proxy = holder[0]
    return [proxy.get(k, "unbound") for k in "abc"], type(proxy).__name__, "c" in proxy, len(proxy)


@case
def frame_outlives_the_call():
    def keep():
        return sys._getframe(1)

    def f(a):
        b = [a]
        frame = keep()
        b.append(2)
        return frame
    for i in range(HOT):
        frame = f(i)
    shown = sorted((k, v) for k, v in frame.f_locals.items() if k in "ab"), frame.f_back is None, frame.f_code.co_name
    frame.clear()
    return shown, len(frame.f_locals)


@case
def inspect_stack_and_currentframe():
    def who():
        return [info.function for info in inspect.stack(0)[1:4]]

    def f(n):
        for _ in range(n):
            r = who()
        return r, inspect.currentframe().f_code.co_name
    return [f(3) for _ in range(5)][-1]


@case
def extract_stack():
    def c():
        return [(s.name, s.lineno, s.colno, s.end_colno, s.line) for s in traceback.extract_stack()[-3:]]

    def b(x):
        return (x,
                c())

    def a(x):
        if x:
            return b(x + 1)
    return [a(1) for _ in range(HOT)][-1]


@case
def warnings_stacklevel():
    def deprecated(level):
        warnings.warn("old", DeprecationWarning, stacklevel=level)

    def middle(level):
        deprecated(level)

    def f(level):
        middle(level)
    out = []
    for level in (1, 2, 3):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            heat(f, level)
        out.append((len(caught), sorted({(w.lineno - f.__code__.co_firstlineno, w.category.__name__) for w in caught})))
    return out


@case
def warnings_as_errors():
    def g(x):
        warnings.warn(f"value {x}", UserWarning, stacklevel=2)
        return x

    def f(x):
        return g(x) + 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        heat(f, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return outcome(f, 2), heat(outcome, f, 3)


@case
def globals_of_the_calling_module():
    import collections

    def f(n):
        out = []
        for _ in range(n):
            Pair = collections.namedtuple("Pair", "a b")
            out.append((Pair.__module__ == __name__, globals() is sys._getframe(0).f_globals))
        return out[-1]
    return f(20), eval("__name__") == __name__, sys._getframe().f_globals is globals()


@case
def logging_finds_its_caller():
    import io
    import logging
    stream = io.StringIO()
    logger = logging.Logger("conformance")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(funcName)s:%(message)s"))
    logger.addHandler(handler)

    def inner(i):
        logger.warning("in inner %d", i)

    def f(n):
        for i in range(n):
            inner(i)
        logger.error("in f")
    heat(f, 2)
    lines = stream.getvalue().split()
    return stream.getvalue().splitlines()[-3:], len(lines)


@case
def dir_vars_and_eval_in_callers():
    def helper():
        return sorted(sys._getframe(1).f_locals), eval("a + b", {}, sys._getframe(1).f_locals)

    def f(a, b):
        c = a
        r = helper()
        return r, dir(), sorted(vars()), c
    return heat(f, 1, 2), f(0.5, 1), outcome(f, "x", 1)


@case
def comprehension_frames():
    def probe():
        return names(1, 2)

    def f(n):
        a = [probe() for _ in range(n)]
        b = list(probe() for _ in range(n))
        c = {i: probe() for i in range(n)}
        return a[-1], b[-1], c[n - 1]
    return heat(f, 3)


@case
def lambda_and_method_frames():
    class A:
        def m(self):
            return names(1, 3)

        @property
        def p(self):
            return names(1, 2)

        def __add__(self, o):
            return names(1, 2)

        def __init__(self):
            self.made = names(1, 2)

    def f():
        a = A()
        return a.m(), a.p, a + 1, a.made, (lambda: names(1, 2))()
    return heat(f)


@case
def callee_from_builtin_frames():
    seen = []

    def key(v):
        seen.append(names(1, 2))
        return v

    def f():
        del seen[:]
        sorted([2, 1], key=key)
        list(map(key, [1]))
        max([1, 2], key=key)
        return list(seen)
    return heat(f)


@case
def getframe_depth_and_error():
    def depth():
        frame, n = sys._getframe(), 0
        while frame is not None:
            frame, n = frame.f_back, n + 1
        return n

    def f(n):
        return depth() if n == 0 else f(n - 1)

    def g():
        return sys._getframe(10_000)
    base = depth()
    heat(f, 2)
    heat(outcome, g)
    return [f(n) - base for n in (0, 1, 5, 50)], outcome(g)


@case
def code_object_properties_unchanged():
    def f(a, b=2):
        total = 0
        for i in range(a):
            total += i * b
        return total
    before = f.__code__.co_code, list(f.__code__.co_positions()), list(f.__code__.co_lines()), hash(f.__code__)
    heat(f, 10)
    f(300)
    after = f.__code__.co_code, list(f.__code__.co_positions()), list(f.__code__.co_lines()), hash(f.__code__)
    return before == after, f.__code__.co_stacksize, f.__code__.co_varnames, f.__code__.co_consts


@case
def disassembly_unchanged():
    import dis
    import io

    def f(a):
        return [x + 1 for x in a if x]
    def text():
        stream = io.StringIO()
        dis.dis(f, file=stream)
        return stream.getvalue()
    before = text()
    heat(f, [1, 2])
    return before == text(), before.count("\n") > 5


@case
def signature_doc_and_repr():
    def f(a, /, b: int = 2, *c, d=3.5, **e) -> None:
        """Documented."""
        return a
    heat(f, 1)
    return str(inspect.signature(f)), f.__doc__, f.__qualname__, inspect.getsource(f).count("\n"), type(f).__name__, callable(f)


@case
def pickle_and_copy_in_hot_code():
    import copy
    import pickle

    def f(n):
        data = {"n": n, "l": [n, (n, 0.5)], "s": str(n)}
        twin = copy.deepcopy(data)
        twin["l"][0] += 1
        return pickle.loads(pickle.dumps(data)) == data, twin["l"] != data["l"], copy.copy(data)["l"] is data["l"]
    return heat(f, 3), f("a" and 5)


@case
def traceback_print_stack_in_loop():
    import io

    def show():
        stream = io.StringIO()
        traceback.print_stack(limit=3, file=stream)
        return stream.getvalue().splitlines()[-4:]

    def f(n):
        for i in range(n):
            if i == n - 1:
                return show()
    heat(f, 3)
    return f(100)
