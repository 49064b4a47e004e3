"""Frames and tracebacks as programs see them."""

import inspect
import itertools
import sys
import traceback

import work
from api import heat, plain


def _values(frame):
    return {name: plain(repr(value)) for name, value in frame.f_locals.items() if type(value) in (int, str, float)}


def _stack(frame, last):
    """Name, line, instruction, column and locals of each frame up to the function called `last`."""
    shown = []
    while frame is not None:
        code = frame.f_code
        positions = next(itertools.islice(code.co_positions(), frame.f_lasti // 2, None))
        shown.append([code.co_qualname, frame.f_lineno, frame.f_lasti, positions, _values(frame)])
        if code.co_name == last:
            break
        frame = frame.f_back
    return shown


def getframe():
    seen = []

    def see(label):
        seen.append(_stack(sys._getframe(1), "outer"))
        return len(label)

    heat(work.outer, 5, see)
    in_generator = []

    def consume(n):
        total = 0
        for value in work.count_up(n):
            total += value
            in_generator.append(_stack(sys._getframe(0), "consume"))
        return total

    heat(consume, 3)
    inspected = []

    def look(label):
        # Source lines are slow to find: only at the end, when all is hot.
        context = 1 if label == "3/7" else 0
        inspected.append([(info.function, info.lineno, info.index, info.code_context, plain(info.positions))
                          for info in inspect.stack(context)[1:4]])
        return 1

    heat(work.outer, 2, look, calls=100)
    work.outer(8, look)
    depths = heat(lambda n: [sum(1 for _ in traceback.walk_stack(sys._getframe())) for _ in range(n)], 40)
    return {"first": seen[:5], "last": seen[-5:], "all": _digest(seen), "generators": _digest(in_generator),
            "generator": in_generator[-1], "inspect": inspected[-2:], "inspected": _digest(inspected), "depths": depths}


def _digest(value):
    import hashlib

    return [len(value), hashlib.sha256(repr(value).encode()).hexdigest()]


def _told(error):
    """An exception as text, with lines, columns and locals of its frames."""
    text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    frames = []
    tb = error.__traceback__
    while tb is not None:
        positions = next(itertools.islice(tb.tb_frame.f_code.co_positions(), tb.tb_lasti // 2, None))
        frames.append([tb.tb_frame.f_code.co_qualname, tb.tb_lineno, tb.tb_lasti, positions])
        tb = tb.tb_next
    return {"text": plain(text), "frames": frames}


def _caught(function, *args):
    try:
        return ["gave", plain(repr(function(*args)))]
    except Exception as error:
        return _told(error)


def _chained(values):
    total = 0
    for value in values:
        try:
            total += value // (value - 40)
        except ZeroDivisionError as error:
            error.add_note(f"value {value}")
            raise LookupError("chained") from error
    return total


def _grouped(values):
    errors = []
    for value in values:
        try:
            errors.append([1, 2, 3][value])
        except IndexError as error:
            errors.append(error)
    raise ExceptionGroup("several", [e for e in errors if isinstance(e, Exception)])


def _attribute(objects):
    total = 0
    for thing in objects:
        total += thing.balance + thing.add(1)
    return total


def _again(depth):
    return _again(depth - 1) + 1 if depth else [1, 2][depth + 2]


def tracebacks():
    heat(work.divide, range(50), 3)
    heat(work.guarded, range(20), 3)
    heat(_chained, range(20))
    heat(_attribute, [work.Account(1)] * 10)
    heat(lambda: _caught(_again, 3))
    accounts = [work.Account(1)] * 10
    results = {
        "zero": _caught(work.divide, range(50), 0),
        "type": _caught(work.divide, [1, 2, "x"], 1),
        "handled": _caught(work.guarded, range(20), 0),
        "chained": _caught(_chained, range(60)),
        "attribute": _caught(_attribute, [*accounts, object()]),
        "none": _caught(_attribute, [*accounts, None]),
        "name": _caught(lambda: work.mix(3, undefined)),  # noqa: F821
        "recursion": _caught(_again, 5),
        "words": _caught(work.words, ["a", 5]),
        "generator": _caught(work.drain, "x"),
    }
    heat(lambda: _caught(_grouped, range(3)), calls=100)
    results["group"] = _caught(_grouped, range(6))
    results["again"] = _caught(work.divide, range(50), 0)
    return results


def frame_locals():
    written = []

    def see(label):
        frame = sys._getframe(2)
        written.append((frame.f_code.co_name, sorted(map(repr, frame.f_locals.items()))[:2]))
        if sys.version_info >= (3, 13) and label.endswith("/3"):
            frame.f_locals["half"] = 1000  # written through, by PEP 667
        return len(label)

    def middle(i):
        half = i // 2
        see_it = see(f"{half}/{i}")
        return half + see_it

    def top(n):
        kept = []
        for i in range(n):
            kept.append(caller(i))
        return kept

    def caller(i):
        half = i
        value = middle_of(half)
        return half + value

    def middle_of(i):
        label = f"{i}/{i}"
        return see(label)

    def own(n):
        total = 0
        for i in range(n):
            total += len(locals())
        return total, dict(locals())

    return {"top": heat(top, 6), "middle": heat(middle, 3), "own": plain(repr(heat(own, 20))), "seen": written[-12:]}
