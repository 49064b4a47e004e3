"""Loops of modules and classes, imports and deletions in hot code, patterns, merged keyword arguments."""

import builtins
import sys

from corpus_api import HOT, case, drive, heat, outcome


def run(source, space=None, local=None):
    """Runs a module's text; what it leaves behind, by name."""
    space = {"__name__": "made", "outcome": outcome} if space is None else space
    exec(compile(source, "made", "exec"), space, local)
    names = space if local is None else local
    return {name: value for name, value in sorted(names.items()) if isinstance(value, (int, float, str, list, tuple, dict)) and name[0] != "_"}


LOOP = """
def add(x, y):
    return x + y

total = 0
last = None
for i in range(N):
    total = add(total, i) + offset
    last = (i, total)
    if i == N // 2:
        offset = offset + 1
    if i == N // 2 + 3:
        def add(x, y):
            return x + y + 1
else:
    ended = True
"""


@case
def loops_of_modules():
    count = 12 * HOT
    results = [run(LOOP, {"__name__": "made", "N": count, "offset": 0}) for _ in range(2)]
    return results, outcome(run, LOOP, {"__name__": "made", "N": count}), run(LOOP, {"__name__": "made", "N": count, "offset": 0.5})["total"]


@case
def loops_with_names_elsewhere():
    code = compile("for i in range(n):\n    total = total + i * k\n", "made", "exec")
    shown = []
    for _ in range(3):
        space, local = {"n": 9 * HOT, "k": 2}, {"total": 1}
        exec(code, space, local)
        shown.append((sorted(local), local["total"], sorted(set(space) - {"__builtins__"})))
        space = {"n": 9 * HOT, "k": 2, "total": 1}
        exec(code, space)
        shown.append(space["total"])
        space, local = {"n": 9 * HOT, "k": 2, "total": 1}, {}
        exec(code, space, local)
        shown.append((local["total"], space["total"]))
    return shown


@case
def loops_in_class_bodies():
    class Body:
        total = 0
        for i in range(12 * HOT):
            total = total + i
        del i

    return Body.total, hasattr(Body, "i")


@case
def names_of_modules_that_come_and_go():
    source = """
log = []
for i in range(N):
    if i % 3 == 0:
        extra = i
    elif i % 3 == 1:
        log.append(extra)
        del extra
    else:
        try:
            extra
        except NameError as error:
            log.append(str(error))
        try:
            del extra
        except NameError as error:
            log.append(str(error))
log = len(log), log[-3:]
"""
    return [run(source, {"__name__": "made", "N": 12 * HOT}) for _ in range(2)]


@case
def builtins_replaced_in_a_module_loop():
    source = """
seen = []
for i in range(N):
    seen.append(len("four"))
    if i == N - 10:
        len = lambda text: -1
    if i == N - 5:
        del len
seen = seen[-12:]
"""
    return [run(source, {"__name__": "made", "N": 12 * HOT}) for _ in range(2)]


@case
def functions_rely_on_what_a_module_loop_sets():
    source = """
def read():
    return value + 1

value = 0
seen = []
for value in range(N):
    seen.append(read())
seen = sum(seen), seen[-3:]
"""
    return [run(source, {"__name__": "made", "N": 12 * HOT}) for _ in range(2)]


@case
def functions_set_and_delete_globals():
    space = {"__name__": "made"}
    exec("def both(x):\n    global made\n    made = x\n    before = made\n    del made\n    try:\n        del made\n    except NameError as error:\n"
         "        return before, str(error), 'made' in globals()\n", space)
    return heat(space["both"], 3), space["both"]("a")


@case
def cells_are_deleted():
    def f(x):
        value = x

        def read():
            return value
        before = read()
        if x != 0:
            del value
        try:
            return before, read()
        except NameError as error:
            text = str(error)
        try:
            del value
        except NameError as error:
            return before, text, str(error)
    drive(f, (1,), [(0,), (2,), ("a",)])


@case
def imports_in_hot_functions():
    def f(k):
        import os.path
        import string as s
        from string import digits, hexdigits as h
        return os.path.basename("a/b"), s.digits is digits, h[k]

    def g(name):
        from string import digits
        if name == 1:
            from string import nothing_of_this_name
        if name == 2:
            import no_module_of_this_name
        if name == 3:
            from . import relative
        if name == 4:
            from collections import abc
            return abc.__name__
        return digits
    heat(f, 2)
    drive(g, (0,), [(1,), (2,), (4,), (0,)])
    return f(3), outcome(g, 3).split(" at ")[0]


@case
def imports_by_other_functions():
    log = []
    original = builtins.__import__

    def importer(name, space=None, local=None, fromlist=(), level=0):
        log.append((name, fromlist, level))
        return original(name, space, local, fromlist, level)

    def f():
        import string
        from string import digits
        return string.digits is digits
    heat(f)
    builtins.__import__ = importer
    try:
        replaced = heat(f)
    finally:
        builtins.__import__ = original
    return replaced, len(log) == 2 * HOT, log[:2], f()


@case
def attributes_of_imported_modules_change():
    import string

    def f():
        from string import digits
        return digits
    heat(f)
    old = string.digits
    try:
        string.digits = "changed"
        changed = f()
        del string.digits
        missing = outcome(f).split(" at ")[0].split(" (")[0]
    finally:
        string.digits = old
    return changed, missing, f()


class Point:
    __match_args__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y


class Odd:
    __match_args__ = ("x", 5)


class Raises:
    __match_args__ = ("x",)

    @property
    def x(self):
        raise ValueError("no x")


@case
def patterns_of_every_kind():
    def f(subject):
        match subject:
            case []:
                return "empty"
            case [1, x]:
                return "one", x
            case [first, *rest] if first != "stop":
                return "many", first, rest
            case {"kind": "a", "value": value}:
                return "a", value
            case {"kind": kind, **rest}:
                return kind, sorted(rest)
            case {}:
                return "mapping"
            case Point(x=0, y=y):
                return "on y", y
            case Point(x, y):
                return "point", x, y
            case Raises(x):
                return x
            case Odd(x, y):
                return x, y
            case int(n) | float(n):
                return "number", n
            case str() as text:
                return "text", text
            case None | True | False:
                return "constant"
        return "nothing"
    inputs = [[], [1, 2], [1, 2, 3], ["stop"], (4, 5), {"kind": "a", "value": 3}, {"kind": "b", "more": 1}, {"x": 1}, Point(0, 4), Point(3, 4), 5,
              2.5, "abc", None, True, b"bytes", range(3), Odd(), Raises(), object()]
    for _ in range(HOT):
        shown = [outcome(f, subject) for subject in inputs]
    return shown


@case
def patterns_in_a_loop():
    def f(items):
        total = 0
        for item in items:
            match item:
                case (a, b):
                    total += a * b
                case {"n": n}:
                    total += n
                case int():
                    total -= item
        return total
    return heat(f, [(1, 2), {"n": 5}, 3, "x"] * 10), outcome(f, [(1, "a"), {"n": 2.5}]), outcome(f, [(1, None)])


@case
def keyword_arguments_are_merged():
    def target(*args, **kwargs):
        return args, sorted(kwargs.items())

    class Mapping:
        def keys(self):
            return ["m"]

        def __getitem__(self, key):
            return key * 2

    class Broken:
        def keys(self):
            raise ValueError("no keys")

    def f(first, second):
        return target(1, *first.get("args", ()), a=1, **first, **second)
    drive(f, ({"x": 1}, {"y": 2}), [({"a": 1}, {}), ({}, {"x": 1}), ({"x": 1}, {"x": 2}), ({1: 2}, {}), ({}, 5), ({}, None), ({}, Mapping()), ({}, Broken()),
                                   ({}, [("p", 1)])])


@case
def classes_made_in_hot_functions():
    def f(base, x):
        class Made(base):
            value = x

            def get(self):
                return self.value + x
        return Made().get(), Made.__qualname__.rsplit(".", 1)[-1], Made.__mro__[1] is base
    heat(f, object, 3)
    return f(object, 2.5), outcome(f, bool, 1), f(Point, 3) if hasattr(Point, "get") else outcome(f, Point, 3)


@case
def tracebacks_of_module_loops():
    source = """
shown = []
for i in range(N):
    try:
        shown.append(10 // (i - N + 5))
    except ZeroDivisionError as error:
        tb = error.__traceback__
        shown.append((tb.tb_lineno, tb.tb_lasti, tb.tb_frame.f_locals["i"]))
        del tb
shown = shown[-6:]
"""
    results = [run(source, {"__name__": "made", "N": 12 * HOT}) for _ in range(2)]
    return results, sys.exception()
