"""Arguments bound to parameters of every kind, in direct calls and in calls that come from elsewhere."""

import functools
import sys

from corpus_api import HOT, case, drive, heat, outcome


def every_kind(a, b=2, /, c=3, *rest, d, e=5, **others):
    return a, b, c, rest, d, e, sorted(others.items())


def only_names(*, x, y=2):
    return x, y


def collects(*args, **kwargs):
    return args, kwargs


def unboxed(a, b=3, *, scale=2):
    return (a + b) * scale


def number_of_rest(a, *rest):
    return a + len(rest)


CALLS = [
    lambda: every_kind(1, d=4),
    lambda: every_kind(1, 2, 3, 4, 5, d=6),
    lambda: every_kind(1, d=1, a=3, b=4),
    lambda: every_kind(1),
    lambda: every_kind(d=1),
    lambda: every_kind(1, c=2, d=3),
    lambda: every_kind(1, 2, 3, c=3, d=1),
    lambda: every_kind(*range(10), **{"d": 1, "q": 2}),
    lambda: every_kind(1, 2, d=3, e=4, z=5, y=6),
    lambda: collects(),
    lambda: collects(1, 2),
    lambda: collects(x=1),
    lambda: collects(*[1, 2], **{"z": 1}),
    lambda: only_names(x=1),
    lambda: only_names(y=1),
    lambda: only_names(1),
    lambda: only_names(x=1, z=2),
    lambda: only_names(y=5, x=1),
    lambda: only_names(x=1, **{"x": 2}),
    lambda: unboxed(4),
    lambda: unboxed(4, 5, scale=2.5),
    lambda: unboxed("a", b="b"),
    lambda: unboxed(a=1, scale=3),
    lambda: unboxed(),
    lambda: unboxed(1, 2, 3),
    lambda: number_of_rest(1, 2, 3),
    lambda: number_of_rest(),
]


@case
def called_from_everywhere():
    first = [outcome(call) for call in CALLS]
    print(*first, sep="\n")
    for _ in range(HOT):
        again = [outcome(call) for call in CALLS]
        assert again == first, (again, first)
    for function in (every_kind, only_names, collects, unboxed):
        print([outcome(functools.partial(function, 1), d=2), outcome(function, **{"x": 1})])


def calls_in_a_loop(n, k):
    total = 0
    for i in range(n):
        total += unboxed(i) + unboxed(i, k) + unboxed(i, scale=k) + unboxed(b=i, a=k)
        total += number_of_rest(i, k, k) + len(collects(i, k)[0]) + only_names(x=i)[0]
    return total


@case
def bound_when_compiling():
    drive(calls_in_a_loop, (9, 2), [(9, 2), (5, 1.5), (3, 2**64), (2, "x"), (1, None), (0, None)])


@case
def defaults_rebound():
    def f():
        return unboxed(1), only_names(x=1)

    old = unboxed.__defaults__, unboxed.__kwdefaults__, only_names.__kwdefaults__
    try:
        out = [heat(f)]
        unboxed.__defaults__ = (30,)
        out.append(f())
        out.append(heat(f))
        unboxed.__kwdefaults__ = {"scale": 5}
        out.append(heat(f))
        unboxed.__kwdefaults__["scale"] = 7
        out.append(f())
        out.append(heat(f))
        del unboxed.__kwdefaults__["scale"]
        out.append(outcome(f))
        unboxed.__defaults__ = None
        out.append(outcome(f))
        only_names.__kwdefaults__ = None
        out.append(outcome(lambda: only_names(x=1)))
    finally:
        unboxed.__defaults__, unboxed.__kwdefaults__, only_names.__kwdefaults__ = old
        unboxed.__kwdefaults__ = {"scale": 2}
    return out, heat(f)


class Watched:
    def __init__(self, name, log):
        self.name = name
        self.log = log

    def __del__(self):
        self.log.append(f"{self.name} goes")


@case
def collections_go_with_the_call():
    log = []

    def keeps(*args, **kwargs):
        log.append(f"in {len(args)} {sorted(kwargs)}")
        return len(args)

    def f(k):
        both = keeps(Watched(f"a{k}", log), Watched(f"b{k}", log), c=Watched(f"c{k}", log), d=Watched(f"d{k}", log))
        return keeps(k, Watched(f"a{k}", log)) + keeps(c=Watched(f"c{k}", log)) + both

    for k in range(HOT):
        f(k)
        log.append("after")
    return log[:13], log[-13:]


@case
def collections_survive():
    def pack(*args, **kwargs):
        return args, kwargs

    def f(a, b):
        rest, others = pack(a, b, k=a)
        others["more"] = b
        return rest, others
    heat(f, 1, 2)
    kept = [f(i, str(i)) for i in range(3)]
    return kept, pack(*kept[0][0])[0] is not kept[0][0], f([], ())


@case
def rebinding_the_collections():
    def f(*args, **kwargs):
        args = args + (1,)
        kwargs["x"] = len(args)
        del kwargs["y"]
        return args, kwargs

    def g(n):
        return [f(i, y=2) for i in range(n)]
    given = {"y": 1, "z": 3}
    return heat(g, 3), f(**given), given, outcome(f, 1), outcome(f, y=1, x=4)


@case
def cells_among_the_parameters():
    def f(a, *rest, k=1, **others):
        def inner():
            return a, rest, k, sorted(others)
        rest += (a,)
        k += 1
        return inner
    return heat(lambda: f(1, 2, z=3)()), heat(lambda: f(0)()), outcome(f)


@case
def callee_sees_its_locals():
    def look(a, *rest, k=1, **others):
        frame = sys._getframe()
        return sorted((name, repr(value)) for name, value in frame.f_locals.items() if name != "frame")

    def f(n):
        return look(n, n + 1, k=n, z=n)
    return heat(f, 5), heat(look, 1)


@case
def tracebacks_through_bound_calls():
    def fails(a, *rest, k=1):
        return a / k + sum(rest)

    def f(a, k):
        return (fails(a, 1, k=k) +
                fails(a, k=k + 1) if k else fails(
                    a, *(),
                    k=k))
    drive(f, (1, 1), [(1, 0), (1, -1), (1, 2), ("a", 1), (1, -1)])


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        wrapper.calls += 1
        return function(*args, **kwargs)
    wrapper.calls = 0
    return wrapper


@decorated
def wrapped(a, b=1):
    return a + b


@case
def decorators():
    wrapped.calls = 0

    def f(n):
        return [wrapped(i) + wrapped(i, b=i) for i in range(n)]
    out = [heat(f, 4), wrapped.calls, outcome(f, 2), outcome(wrapped), outcome(wrapped, 1, 2, 3), outcome(wrapped, b=2)]
    return out, outcome(wrapped, None), wrapped.calls


def depth(n, *rest, k=0):
    return k if n == 0 else depth(n - 1, n, k=k + 1)


@case
def recursion_with_keywords():
    def f(n):
        return depth(n), depth(n, 1, 2, k=3)
    return heat(f, 10), outcome(lambda: type(depth(10**6)))[:21]


@case
def names_that_are_equal_but_not_the_same():
    def f(alpha=1, beta=2, **others):
        return alpha, beta, others
    name = "".join(["al", "pha"])
    other = "".join(["ga", "mma"])
    return heat(lambda: f(**{name: 5, other: 6})), outcome(f, 1, **{name: 2})


class Text(str):
    def __eq__(self, other):
        return str.__eq__(self, other)

    __hash__ = str.__hash__


@case
def names_of_a_subclass():
    def f(a, b=2, **others):
        return a, b, {str(key): value for key, value in others.items()}
    return heat(lambda: f(1, **{Text("b"): 3, Text("c"): 4})), outcome(lambda: f(1, **{Text("a"): 3}))


class Point:
    def __init__(self, x, y=0, *rest, label="p", **others):
        self.x = x
        self.y = y
        self.rest = rest
        self.label = label
        self.others = others

    def shown(self):
        return self.x, self.y, self.rest, self.label, self.others


@case
def construction():
    def f(k):
        if k == 0:
            return Point(1).shown()
        if k == 1:
            return Point(1, 2, 3, label=4, z=5).shown()
        if k == 2:
            return Point(x=k, y=k).shown()
        if k == 3:
            return Point().shown()
        if k == 4:
            return Point(1, x=2).shown()
        return Point(k, label=k).shown()
    drive(f, (7,), [(k,) for k in range(6)])


@case
def many_arguments():
    def f(a, b, c, d, e, f, g, h, i, j, *rest, k=1, l=2, m=3, n=4, **others):
        return a + b + c + d + e + f + g + h + i + j + k + l + m + n + len(rest) + len(others)

    def g(x):
        return f(x, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, n=12, m=x, z=1, y=2)
    return heat(g, 3), heat(g, 0.5), outcome(g, ""), outcome(f, 1, 2)
