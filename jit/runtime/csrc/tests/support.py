"""What the tests share."""

import dis
import gc
import sys
import types


def offset(function, opname, line=None):
    """The byte offset of the first instruction (of a line, counted from the `def`) whose name starts so."""
    first = function.__code__.co_firstlineno
    for i in dis.get_instructions(function):
        if i.opname.startswith(opname) and line in (None, i.positions.lineno - first):
            return i.offset
    raise LookupError(opname)


def raised(function, *args):
    """The exception that a call raises, with its traceback and frames untouched."""
    try:
        function(*args)
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def line_offset(function, line):
    """The byte offset of the first instruction of a line, counted from the `def`."""
    first = function.__code__.co_firstlineno
    return min(i.offset for i in dis.get_instructions(function) if i.positions.lineno == first + line)


def trace(error, function):
    """Line, offset, and the frame's own idea of both, of the traceback's entry for a function."""
    entries = []
    entry = error.__traceback__
    while entry is not None:
        if entry.tb_frame.f_code is function.__code__:
            first = function.__code__.co_firstlineno
            frame = entry.tb_frame
            entries.append((entry.tb_lineno - first, entry.tb_lasti, frame.f_lineno - first, frame.f_lasti))
        entry = entry.tb_next
    return entries


def clone(function):
    """The same function with a code object of its own."""
    return types.FunctionType(function.__code__.replace(), function.__globals__, function.__name__, function.__defaults__)


def blocks_leaked(work):
    """How many blocks of memory a piece of work leaves behind, once it has run before.

    The least of three times: what leaks does so each time, while the interpreter's caches, and what other tests have left, grow now and then.
    """
    work()
    left = []
    for _ in range(3):
        gc.collect()
        before = sys.getallocatedblocks()
        work()
        gc.collect()
        left.append(sys.getallocatedblocks() - before)
    return min(left)
