"""What a corpus file imports: the registration of cases, and the few helpers that make one short.

A case is a function without arguments that prints and returns values. Everything it prints, returns, raises and writes
to standard error is compared between modes of one interpreter, so all of it has to be deterministic: no address, no time.
A case must also be repeatable in one process (leaks.py does that): restore whatever global state it changes.
"""

import itertools
import os
import re
import sys

HOT = int(os.environ.get("PEPJIT_HOT", "60"))
"""How often a case calls a function before it counts as hot; the driver's `on` mode compiles after half as many calls."""

VERSION = sys.version_info[:2]
"""For cases whose syntax or API exists from some version on."""

CASES = []
"""The cases registered so far, in order of definition."""

_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}")


class Case:
    """One registered program.

    `slow` cases are left out by `run.py --fast`; `leaks=False` keeps a case out of leaks.py, with the reason given beside
    the case.
    """

    def __init__(self, function, slow, leaks):
        stem = os.path.splitext(os.path.basename(function.__code__.co_filename))[0]
        self.name = f"{stem}.{function.__name__}"
        self.function = function
        self.slow = slow
        self.leaks = leaks


def case(function=None, *, slow=False, leaks=True, since=None):
    """Registers a case; `since=(3, 14)` leaves it out on older interpreters."""

    def register(function):
        if since is None or VERSION >= since:
            new = Case(function, slow, leaks)
            if any(old.name == new.name for old in CASES):
                raise ValueError(f"two cases are called {new.name}: rename one of them")
            CASES.append(new)
        return function

    return register if function is None else register(function)


def stable(text):
    """`text` without what differs from process to process: addresses and folders."""
    return _ADDRESS.sub("0x..", text).replace(os.path.dirname(os.path.abspath(__file__)) + os.sep, "")


def positions(tb):
    """One string per traceback entry: function, line and PEP 657 columns."""
    shown = []
    while tb is not None:
        code = tb.tb_frame.f_code
        spans = itertools.islice(code.co_positions(), tb.tb_lasti // 2, None)
        line, end_line, column, end_column = next(spans)
        shown.append(f"{code.co_name}@{tb.tb_lineno}[{line}:{column}-{end_line}:{end_column}]")
        tb = tb.tb_next
    return shown


def describe(exception, skip=1):
    """An exception as one line: type, message, positions, and its cause and context.

    `skip` leaves out the first entries of the traceback, those of the helper that caught it.
    """
    text = f"{type(exception).__name__}({stable(str(exception))})"
    text += " at " + " < ".join(positions(exception.__traceback__)[skip:])
    if exception.__cause__ is not None:
        text += f" cause {{{describe(exception.__cause__, 0)}}}"
    elif exception.__context__ is not None and not exception.__suppress_context__:
        text += f" context {{{describe(exception.__context__, 0)}}}"
    return text


def outcome(function, *args, **kwargs):
    """What a call does, as one line: the result with its type, or the exception with its positions."""
    try:
        result = function(*args, **kwargs)
    except Exception as exception:
        return "raises " + describe(exception)
    return f"{type(result).__name__} {stable(repr(result))}"


def drive(function, warm, inputs, rounds=3):
    """Makes `function` hot with the arguments `warm`, then prints what it does with each of `inputs`.

    The inputs are repeated, so that repeated misses at one site (and whatever they make a compiler do) are seen too; later
    rounds print only what differs from the first. The function must therefore depend on its arguments alone.
    """
    for _ in range(HOT):
        function(*warm)
    print("warm", outcome(function, *warm))
    first = []
    for args in inputs:
        shown = outcome(function, *args)
        first.append(shown)
        print(f"{function.__name__}{stable(repr(args))} {shown}")
    for number in range(1, rounds):
        for args, expected in zip(inputs, first):
            shown = outcome(function, *args)
            if shown != expected:
                print(f"round {number}: {function.__name__}{stable(repr(args))} {shown}")
    print("warm again", outcome(function, *warm))


def heat(function, *args):
    """Calls `function(*args)` HOT times; the last result."""
    result = None
    for _ in range(HOT):
        result = function(*args)
    return result
