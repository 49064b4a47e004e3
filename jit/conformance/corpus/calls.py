"""Calls between hot functions: every way to pass arguments, and every way to get them wrong."""

from corpus_api import HOT, case, drive, heat, outcome


@case
def direct_calls():
    def g(a, b):
        return a * b + 1

    def f(n, k):
        t = 0
        for i in range(n):
            t += g(i, k)
        return t
    return heat(f, 10, 2), f(10, 0.5), f(3, 2**62), outcome(f, 3, "ab"), outcome(f, 3, None)


@case
def wrong_argument_counts():
    def none():
        return 0

    def two(a, b):
        return a

    def default(a, b=1, *, c, d=2):
        return a

    def f(k):
        if k == 1:
            return none(1)
        if k == 2:
            return two(1)
        if k == 3:
            return two(1, 2, 3)
        if k == 4:
            return two()
        if k == 5:
            return two(1, a=2)
        if k == 6:
            return two(1, c=2)
        if k == 7:
            return default(1)
        if k == 8:
            return default(c=1)
        if k == 9:
            return default(1, 2, 3, c=4)
        if k == 10:
            return default(1, b=1, c=1, d=1, e=1)
        return two(k, k)
    drive(f, (0,), [(k,) for k in range(1, 12)])


@case
def defaults():
    def g(a, b=10, c="c"):
        return a, b, c

    def f(k):
        return g(k), g(k, 2), g(k, 2, 3), g(k, c=5), g(b=1, a=k)
    drive(f, (1,), [(1.5,), (None,)])


@case
def mutable_default():
    def g(x, seen=[]):
        seen.append(x)
        return len(seen), seen[0]

    def f(n):
        return [g(i) for i in range(n)][-1]
    g.__defaults__[0].clear()
    result = [f(3) for _ in range(HOT)][-1]
    return result, g("x", []), outcome(g, 1, 5)


@case
def default_float_is_never_changed():
    def g(n, x=0.5):
        for _ in range(n):
            x += 1.0
        return x

    def f(n):
        return g(n), g(n), g.__defaults__
    return heat(f, 10), f(0)


@case
def keyword_calls():
    def g(a, b, *, c=3, d):
        return a - b + c * d

    def f(x):
        return g(x, b=2, d=4) + g(b=x, a=1, d=2, c=0)
    drive(f, (1,), [(0.5,), ("a",), (2**65,)])


@case
def var_positional_and_keyword():
    def g(a, *args, k=1, **kw):
        return a, args, k, sorted(kw.items())

    def f(x, *rest, **extra):
        return g(x, *rest), g(*rest, x), g(x, **extra), g(x, *rest, k=x, **extra), g(*[x], *rest, **extra, **{"zz": 0})
    for _ in range(HOT):
        r = f(1, 2, 3, p=4)
    print(r, f("a"), outcome(f, 1, k=5), outcome(f, 1, a=5), outcome(f, 1, **{"zz": 1}))


@case
def star_call_errors():
    def g(*args, **kw):
        return args, kw

    def f(a, k):
        return g(*a, **k)
    drive(f, ((1,), {"a": 1}), [([], {}), (5, {}), ((), 5), ((), {1: 2}), ("ab", {"x": 1}), ((), [("a", 1)]), (None, {}), ((1,), None)])

    def h(k):
        return g(a=1, **k)
    drive(h, ({},), [({"a": 2},), ({"b": 2},)])


@case
def star_call_iterator_raises():
    def generate(n):
        yield 1
        if n:
            raise OSError("in the generator")

    def g(*args):
        return len(args)

    def f(n):
        return g(0, *generate(n))
    drive(f, (0,), [(1,)])


@case
def argument_evaluation_order():
    log = []

    def note(x):
        log.append(x)
        return x

    def g(*args, **kw):
        return len(args), len(kw)

    def f():
        return note(g)(note(1), *note([2]), note(3), k=note(4), **note({"z": 5}))
    for _ in range(HOT):
        del log[:]
        f()
    return log[1:]


@case
def callee_raises():
    def g(x):
        if x > 3:
            raise ValueError(f"too big: {x}")
        return x

    def f(x):
        y = g(x) + g(x + 1)
        return y
    drive(f, (1,), [(2,), (3,), (4,), (9.5,), ("a",)])


@case
def callee_raises_three_levels_down():
    def c(x):
        return 10 // x

    def b(x):
        return c(x - 1) + 1

    def a(x):
        try:
            return b(x) * 2
        except TypeError:
            return "type error"
    drive(a, (5,), [(1,), (1.0,), ("a",), (2,), (2**70,)])


@case
def not_callable():
    def f(g):
        return g(1)
    drive(f, (abs,), [(5,), (None,), ("a",), ([],), (object(),), (type,)])


@case
def lambdas_and_higher_order():
    def compose(f, g):
        return lambda x: f(g(x))
    inc = lambda x: x + 1  # noqa: E731
    twice = lambda x: x * 2  # noqa: E731
    h = compose(inc, twice)
    for _ in range(6):
        h = compose(h, compose(twice, inc))
    return heat(h, 3), h(0.5), outcome(h, "a"), outcome(h, None), outcome(h)


@case
def callbacks_from_builtins():
    def f(values, key):
        return (sorted(values, key=key), max(values, key=key), list(map(key, values)), list(filter(key, values)),
                any(map(key, values)), sum(map(key, values)))
    drive(f, ([3, 1, 2], lambda x: -x), [([1.5, 2], lambda x: x), (["bb", "a"], len), ([1, 0], lambda x: 1 // x), ([1, "a"], lambda x: x),
                                         ([], lambda x: x)])


@case
def builtin_functions():
    def f(x, y):
        return (len(x), isinstance(y, int), ord(chr(65 + (y % 26))), type(y).__name__, repr(y), hash(y) == hash(y), callable(x), list(x),
                tuple(x), sum(x), min(x), max(x), sorted(x), abs(y), divmod(y, 7), round(y), str(y), bool(y))
    drive(f, ([3, 1, 2], 5), [((1,), 2.5), ([], 1), ("ab", 1), ({1: 2}, True), ([1], "s"), ([1], None), (5, 5), ([1], 2**70), ([1], -0.0)])


@case
def builtin_argument_errors():
    def f(k, x):
        if k == 0:
            return len(x)
        if k == 1:
            return isinstance(x, x)
        if k == 2:
            return ord(x)
        if k == 3:
            return chr(x)
        if k == 4:
            return sum(x)
        if k == 5:
            return len()
        if k == 6:
            return len(x, x)
        if k == 7:
            return getattr(x, 5)
        if k == 8:
            return min(x)
        return next(x)
    values = [5, "a", "ab", None, [1, "a"], [], -1, 2**70]
    drive(f, (0, [1]), [(k, v) for k in range(10) for v in values])


@case
def mutual_calls():
    def even(n):
        return True if n == 0 else odd(n - 1)

    def odd(n):
        return False if n == 0 else even(n - 1)
    return [even(n) for n in range(0, 120, 7)], outcome(even, "a"), outcome(even, 10.0), heat(odd, 9)


@case
def many_arguments():
    names = [f"a{i}" for i in range(40)]
    space = {}
    exec(f"def g({', '.join(names)}):\n    return {' + '.join(names)}\n"
         f"def f(x):\n    return g({', '.join('x' if i % 2 else str(i) for i in range(40))})", space)
    drive(space["f"], (1,), [(0.5,), (2**62,), ("a",)])
    return outcome(space["g"], 1), outcome(space["g"], *range(41))


@case
def argument_types_change():
    def g(a, b):
        return (a, b) if a is b else (b, a)

    def f(x):
        return g(x, x), g(x, 1), g(None, x)
    drive(f, (1,), [(1.5,), ("a",), (None,), ([],), (2**70,), (True,)], rounds=HOT)


@case
def partial_and_operator():
    import functools
    import operator
    add5 = functools.partial(operator.add, 5)

    @functools.lru_cache(maxsize=8)
    def cached(x):
        return x * 2

    @functools.wraps(cached)
    def wrapped(*a, **k):
        return cached(*a, **k)

    def f(x):
        return add5(x), cached(x), wrapped(x), operator.itemgetter(0)([x]), functools.reduce(operator.mul, [x, 2, 3])
    drive(f, (1,), [(2.5,), ("a",), ([],), (True,)])


@case
def decorators_with_state():
    def counted(function):
        def wrapper(*args):
            wrapper.calls += 1
            return function(*args)
        wrapper.calls = 0
        return wrapper

    @counted
    def g(x):
        return x + wrapper_bonus

    wrapper_bonus = 1

    def f(n):
        return sum(g(i) for i in range(n))
    heat(f, 10)
    print(g.calls, f(3), g.calls, outcome(g, "a"), g.calls)


@case
def recursion_through_arguments():
    def f(n):
        return n if n < 2 else f(f(n - 1) % 5) + 1
    return [f(n) for n in range(12)], heat(f, 7)


@case
def nested_calls_in_one_expression():
    def g(x, y=0):
        return x + y

    def f(x):
        return g(g(g(x), g(x, 1)), g(g(x, x), g(y=x, x=2))) - g(*[g(x)], **{"y": g(x)})
    drive(f, (3,), [(0.5,), (2**62,), ("a",), (None,)])


@case
def positional_only():
    def g(a, b=2, /, c=3, *, d=4, **kw):
        return a, b, c, d, sorted(kw)

    def f(k):
        if k == 0:
            return g(1), g(1, 5), g(1, 5, c=6), g(1, a=7, d=8)
        if k == 1:
            return g(a=1)
        if k == 2:
            return g()
        return g(1, 2, 3, 4)
    drive(f, (0,), [(1,), (2,), (3,)])


@case
def print_inside_hot_code():
    def f(n):
        for i in range(n):
            print(i, end=" " if i % 10 else "\n")
        print()
    f(200)
    f(5)


@case
def call_result_discarded_and_kept():
    log = []

    class R:
        def __init__(self, n):
            self.n = n

        def __del__(self):
            log.append(self.n)

    def g(n):
        return R(n)

    def f(n):
        g(n)
        kept = g(n + 1)
        log.append("mid")
        return kept.n
    for _ in range(HOT):
        del log[:]
        f(10)
    return log
