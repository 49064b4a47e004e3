"""Calls of functions that only the run tells: parameters, closures, attributes, items; and what recognises them."""

import sys
import types

from corpus_api import HOT, case, drive, heat, outcome


def adder(k):
    def add(a, b):
        return a + b + k
    return add


def plain(a, b):
    return a * b


def other(a, b):
    return a - b


def twice(function, a, b):
    return function(a, b) + function(b, a)


@case
def functions_as_arguments():
    drive(twice, (plain, 2, 3), [(other, 2, 3), (adder(1), 2, 3), (max, 2, 3), (plain, 0.5, 2), (plain, "a", 2),
                                 (lambda a, b: (a, b), 1, 2), (lambda a: a, 1, 2), (None, 1, 2), (int, "11", 2)])


@case
def closures_of_one_code():
    functions = [adder(k) for k in range(5)]

    def f(n):
        total = 0
        for i in range(n):
            for function in functions:
                total += function(i, total % 8)
        return total
    out = [heat(f, 4)]
    functions.append(adder(0.5))
    out.append(heat(f, 4))
    functions[0] = plain
    out.append(heat(f, 4))
    functions.append(adder("x"))
    out.append(outcome(f, 4))
    return out


@case
def cells_rebound():
    def make():
        k = 1

        def get(a):
            return a + k

        def put(value):
            nonlocal k
            k = value

        def drop():
            nonlocal k
            del k
        return get, put, drop

    get, put, drop = make()

    def f(function, n):
        return sum([function(i) for i in range(n)])
    out = [heat(f, get, 3)]
    put(10)
    out.append(f(get, 3))
    put(0.5)
    out.append(heat(f, get, 3))
    put("s")
    out.append(outcome(f, get, 3))
    drop()
    out.append(outcome(f, get, 3))
    put(2)
    out.append(f(get, 3))
    return out


@case
def recursion_among_closures():
    def make(step):
        def walk(n, seen):
            if n <= 0:
                return seen
            return walk(n - step, seen + 1) if n % 2 else partner[0](n - 1, seen)
        return walk

    partner = []
    one, two = make(1), make(2)
    partner.append(two)

    def f(n):
        return one(n, 0), two(n, 0)
    out = [heat(f, 20)]
    partner[0] = one
    out.append(f(20))
    partner[0] = lambda n, seen: (n, seen)
    out.append(f(20))
    partner[0] = None
    out.append(outcome(f, 20))
    return out


@case
def functions_changed_under_way():
    function = adder(1)

    def f(n):
        return [function(i, 1) for i in range(n)]
    out = [heat(f, 3)]
    function.__code__ = (lambda k: lambda a, b: a - b - k)(0).__code__
    out.append(outcome(f, 3))
    function.__defaults__ = (7,)
    out.append(outcome(f, 3))
    function = adder(5)
    function.__defaults__ = (100,)
    out.append(heat(f, 3))
    out.append(outcome(lambda: function(1)))
    function.__kwdefaults__ = {"b": 3}
    out.append(outcome(lambda: function(1)))
    function.__defaults__ = None
    out.append(outcome(lambda: function(1)))
    return out


@case
def same_code_other_globals():
    def make():
        def f(a):
            return a + shift
        return f

    shift_one = types.FunctionType(make().__code__, {"shift": 1, "__builtins__": {}})
    shift_two = types.FunctionType(make().__code__, {"shift": 2, "__builtins__": {}})

    def g(function, n):
        total = 0
        for i in range(n):
            total += function(i)
        return total
    return heat(g, shift_one, 5), heat(g, shift_two, 5), heat(g, shift_one, 5), outcome(g, make(), 5)


@case
def defaults_of_closures():
    def make(k):
        return lambda a, b=k, *, c=k: (a, b, c)

    functions = [make(k) for k in range(4)]

    def f():
        return [function(1) for function in functions], [function(1, 2) for function in functions]

    def g():
        return [function(1, c=5) for function in functions]
    return heat(f), heat(g)


@case
def closures_that_go_while_they_run():
    log = []

    class Noted:
        def __del__(self):
            log.append("gone")

    def make(noted):
        def function(k):
            holder.clear()
            log.append("running")
            return k if noted else None
        return function

    holder = []

    def f(k):
        holder.append(make(Noted()))
        result = holder[0](k)
        log.append("returned")
        return result
    return heat(f, 3), log[-3:], len(log) == 3 * HOT


@case
def exceptions_of_closures():
    def make(k):
        def divide(a, b):
            return a // (b - k)
        return divide

    functions = [make(0), make(1), make(2)]

    def f(i, a, b):
        return (functions[i](a, b),
                functions[i](
                    b, a))
    drive(f, (0, 7, 2), [(i, a, b) for i in range(3) for a, b in ((7, 2), (7, 1), (0, 7), ("a", 1))] + [(3, 1, 1)])


@case
def frames_of_closures():
    def make(k):
        def look():
            frame = sys._getframe()
            return k, frame.f_code.co_name, frame.f_locals.get("k"), frame.f_back.f_code.co_name
        return look

    functions = [make("a"), make("b")]

    def caller(i):
        return functions[i]()
    return heat(caller, 0), heat(caller, 1)


@case
def leaving_a_closure():
    def make(k):
        def f(a):
            return a + k
        return f

    one, two = make(1), make(2)

    def g(function, a):
        return function(a)
    # The code is made for ints; other classes leave it, in one closure and then in the other.
    return heat(g, one, 1), heat(g, two, 1), [g(function, value) for value in (2**70, 1.5, True) for function in (one, two)]


class Holder:
    def __init__(self, callback):
        self.callback = callback
        self.total = 0

    def step(self, i):
        self.total = self.callback(self.total, i)

    def run(self, n):
        for i in range(n):
            self.step(i)
        return self.total


@case
def callbacks_in_attributes():
    def f(callback, n):
        return Holder(callback).run(n)
    drive(f, (plain, 5), [(other, 5), (adder(1), 5), (adder(0.5), 5), (max, 5), (plain, 0), (None, 2), (lambda a: a, 2)])


@case
def tracing_turned_on_by_a_closure():
    lines = []

    def tracer(frame, event, arg):
        if frame.f_code.co_name in ("inner", "outer"):
            lines.append((frame.f_code.co_name, event, frame.f_lineno - frame.f_code.co_firstlineno))
        return tracer

    def make(k):
        def inner(a):
            if a == k:
                sys.settrace(tracer)
            return a + 1
        return inner

    functions = [make(-1), make(5)]

    def outer(n):
        total = 0
        for i in range(n):
            total += functions[i & 1](i)
        return total
    heat(outer, 4)
    try:
        result = outer(8)
    finally:
        sys.settrace(None)
    return result, lines, outer(4)


@case
def keywords_of_unknown_functions():
    def make(k):
        def function(a, b=2, *, c=3):
            return a, b, c, k
        return function

    def f(function, x):
        return function(x, c=x), function(a=x, b=x, c=x), function(c=1, a=2, b=x)
    drive(f, (make(1), 1), [(make(2), 2), (make("s"), None), (lambda **others: others, 1), (dict, 1), (None, 1)])
