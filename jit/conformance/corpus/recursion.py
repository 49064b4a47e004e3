"""Recursion: results, the limit and its traceback, and depths far beyond the default limit."""

import sys
import traceback

from corpus_api import HOT, case, describe, drive, heat, outcome


def depth_reached(function, *args):
    """Calls `function`, expects RecursionError: the length of its traceback and its first and last entries."""
    try:
        function(*args)
    except RecursionError as error:
        frames = list(traceback.walk_tb(error.__traceback__))
        return str(error), len(frames), [f.f_code.co_name for f, _ in frames[:3]], [(f.f_code.co_name, line) for f, line in frames[-3:]]
    return "no error"


def with_limit(extra, function, *args):
    """Runs `function` with a recursion limit `extra` above the present depth."""
    frame, depth = sys._getframe(), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    old = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + extra)
    try:
        return function(*args)
    finally:
        sys.setrecursionlimit(old)


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def sum_to(n):
    if n == 0:
        return 0
    return n + sum_to(n - 1)


def forever(n):
    return forever(n + 1)


@case
def fibonacci():
    return [fib(n) for n in range(17)], outcome(fib, 5.5), outcome(fib, "a"), outcome(fib, True)


@case
def ackermann():
    def a(m, n):
        if m == 0:
            return n + 1
        if n == 0:
            return a(m - 1, 1)
        return a(m - 1, a(m, n - 1))
    return [[a(m, n) for n in range(5)] for m in range(3)], a(2, 12)


@case
def hanoi():
    def move(n, a, b, c, pegs):
        if n:
            move(n - 1, a, c, b, pegs)
            pegs[b].append(pegs[a].pop())
            move(n - 1, c, b, a, pegs)
    for _ in range(5):
        pegs = [list(range(8, 0, -1)), [], []]
        move(8, 0, 1, 2, pegs)
    return pegs


@case
def results_that_change_type_in_depth():
    def f(n):
        if n == 0:
            return 0.5
        return n * f(n - 1) + 1 if n % 9 else n + f(n - 1)

    def factorial(n):
        return 1 if n == 0 else n * factorial(n - 1)
    return [f(n) for n in range(30)][-1], factorial(60), heat(factorial, 10), [factorial(n) for n in range(18, 24)]


@case
def limit_is_reached_at_the_same_depth():
    heat(forever.__call__.__self__ and (lambda: sum_to(5)))
    return [with_limit(extra, depth_reached, forever, 0) for extra in (50, 100, 300)]


@case
def limit_after_warm_calls():
    heat(sum_to, 20)
    return (with_limit(200, depth_reached, sum_to, 1000), with_limit(200, outcome, sum_to, 150),
            [with_limit(60, depth_reached, sum_to, n) for n in range(50, 62)])


@case
def limit_caught_inside():
    def f(n):
        try:
            return f(n + 1)
        except RecursionError:
            return n

    def g(n):
        try:
            return g(n + 1) + 1
        except RecursionError:
            return 0
    return [with_limit(extra, f, 0) for extra in (30, 60, 90)], [with_limit(extra, g, 0) for extra in (30, 60, 90)]


@case
def limit_through_two_functions():
    def a(n):
        return b(n + 1)

    def b(n):
        return a(n + 1)
    return [with_limit(extra, depth_reached, a, 0) for extra in (40, 41, 150, 151)]


@case(leaks=False)  # ever longer attribute names are interned: the interpreter alone grows
def limit_through_methods_and_constructors():
    class Node:
        def __init__(self, n):
            self.child = Node(n + 1)

    class Walker:
        def go(self, n):
            return self.go(n + 1)

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return getattr(self, name + "x")

        def __add__(self, other):
            return self + other
    w = Walker()
    # Only the message for constructors and operators: how many levels they cost depends on what the interpreter specialised.
    messages = [with_limit(100, depth_reached, f)[0] for f in (lambda: w.go(0), lambda: w + 1, lambda: w.attribute, lambda: Node(0))]
    return messages, with_limit(100, depth_reached, w.go, 0)


@case
def limit_through_callbacks():
    def f(values):
        return sorted(values, key=lambda v: f(values))

    def g(n):
        return list(map(g, [n + 1]))
    return with_limit(100, depth_reached, f, [1, 2])[0], with_limit(100, depth_reached, g, 0)[0]


@case
def limit_in_generators():
    def g(n):
        yield from g(n + 1)

    def f():
        return list(g(0))
    return [with_limit(80, depth_reached, f)[0] for _ in range(HOT // 4)][-1]


@case
def limit_restored_after_an_error():
    def probe():
        return with_limit(60, depth_reached, forever, 0)[1]
    return sorted({probe() for _ in range(HOT)}), sum_to(300)


@case
def exception_from_the_bottom():
    def f(n):
        if n == 0:
            return 1 // n
        return f(n - 1) + 1

    def lines(n):
        try:
            f(n)
        except ZeroDivisionError as error:
            text = "".join(traceback.format_exception(error))
            return len(list(traceback.walk_tb(error.__traceback__))), "repeated" in text
    heat(lambda: lines(3))
    return lines(0), lines(30), lines(200)


@case
def each_level_adds_context():
    def f(n):
        try:
            if n == 0:
                raise ValueError("bottom")
            f(n - 1)
        except ValueError as error:
            raise ValueError(f"level {n}") from (error if n % 2 else None)
    for _ in range(HOT):
        try:
            f(4)
        except ValueError as error:
            shown = describe(error)
    return shown


@case
def deep_default_limit():
    def f(n):
        return 0 if n == 0 else 1 + f(n - 1)
    return [f(n) for n in (10, 100, 500, 800)], heat(f, 400)


@case(slow=True)
def hundred_thousand_levels():
    def f(n):
        if n == 0:
            return 0
        return 1 + f(n - 1)

    def two(n):
        return 0 if n <= 0 else three(n - 1, 1)

    def three(n, k):
        return k + two(n - k)
    old = sys.getrecursionlimit()
    sys.setrecursionlimit(110_000)
    try:
        return f(100_000), f(99_999), two(100_000), depth_reached(forever, 0)[0]
    finally:
        sys.setrecursionlimit(old)


@case(slow=True)
def deep_recursion_with_exception():
    def f(n, kind):
        if n == 0:
            raise kind("bottom")
        return f(n - 1, kind) + 1
    old = sys.getrecursionlimit()
    sys.setrecursionlimit(60_000)
    try:
        shown = []
        for n in (10, 5_000, 50_000):
            try:
                f(n, ValueError)
            except ValueError as error:
                tb, count = error.__traceback__, 0
                while tb is not None:
                    tb, count = tb.tb_next, count + 1
                shown.append(count)
        return shown
    finally:
        sys.setrecursionlimit(old)


@case(slow=True)
def deep_recursion_in_a_thread():
    import threading

    def f(n):
        return 0 if n == 0 else f(n - 1) + 1
    heat(f, 20)
    out = []
    old = sys.getrecursionlimit()
    sys.setrecursionlimit(30_000)
    try:
        thread = threading.Thread(target=lambda: out.append(f(20_000)))
        thread.start()
        thread.join()
    finally:
        sys.setrecursionlimit(old)
    return out


@case
def mutual_recursion_with_state():
    def parse(tokens, i):
        if tokens[i] == "(":
            values = []
            i += 1
            while tokens[i] != ")":
                value, i = parse(tokens, i)
                values.append(value)
            return values, i + 1
        return int(tokens[i]), i + 1
    text = "( 1 ( 2 3 ( 4 ) ) 5 )"
    drive(lambda t: parse(t, 0), (text.split(),), [(["("] * 20 + [")"] * 20,), (["("],), (["x"],), ([],), ("( 1 ( )".split(),)])


@case
def calls_at_every_depth_of_the_stack():
    kept = []

    def leaf(x, how):
        a = b = c = x
        if how == 1 and x % 7 == 0:
            raise KeyError(x)
        if how == 2 and x % 50 == 0:
            kept.append(sys._getframe())
        return len((a, b, c)) + x

    def call(x, how):
        try:
            return leaf(x, how)
        except KeyError as error:
            return error.args[0] + leaf(x, 0)

    def down(depth, how):
        if depth:
            return down(depth - 1, how) + 1
        total = 0
        for i in range(10):
            total += call(i * 10, how)
        return total
    for _ in range(HOT):
        down(3, 0)
    results = [[down(depth, how) for depth in range(0, 150)] for how in (0, 1, 2)]
    shown = [(frame.f_code.co_name, sorted(frame.f_locals.items())) for frame in kept[:3]]
    count = len(kept)
    del kept[:]
    return [sum(result) for result in results], [result[::30] for result in results], shown, count
