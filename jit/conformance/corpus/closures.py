"""Closures: cells read late, written by others, empty, shared between functions and generators."""

from corpus_api import HOT, case, drive, heat, outcome


@case
def counter():
    def make():
        n = 0

        def bump(step=1):
            nonlocal n
            n += step
            return n
        return bump
    a, b = make(), make()
    heat(a)
    return a(), b(), a(0.5), a(2**62), a(2**62), outcome(a, "x"), a()


@case
def late_binding():
    def make(n):
        return [lambda: i for i in range(n)], [lambda i=i: i for i in range(n)]
    late, early = make(5)
    return heat(lambda: [f() for f in late]), [f() for f in early]


@case
def cell_written_by_owner_after_creation():
    def f(n):
        x = 1

        def g():
            return x * 2
        out = []
        for i in range(n):
            x = i if i < n - 1 else "s"
            out.append(g())
        return out
    return heat(f, 8), f(100)[-3:], f(1)


@case
def empty_cells():
    def f(k):
        def g():
            return x
        if k == 1:
            return g()
        x = 5
        if k == 2:
            del x
            return g()
        if k == 3:
            del x
            return x
        return g()
    drive(f, (0,), [(1,), (2,), (3,)])


@case
def nonlocal_chain():
    def outer(x):
        def middle():
            def inner():
                nonlocal x
                x += 1
                return x
            inner()
            return inner() + x
        return middle(), x
    drive(outer, (1,), [(0.5,), (2**62,), ("a",), (None,)])


@case
def cell_contents_changed_from_outside():
    def make(x):
        def g():
            return x + 1
        return g
    g = make(1)
    out = [heat(g)]
    for value in (2, 0.5, 2**70, "s"):
        g.__closure__[0].cell_contents = value
        out.append(outcome(g))
    del g.__closure__[0].cell_contents
    out.append(outcome(g))
    g.__closure__[0].cell_contents = 9
    out.append(heat(g))
    return out


@case
def parameters_in_cells():
    def f(a, b, *args, c=3, **kw):
        def g():
            return a, b, args, c, sorted(kw)
        a += 1
        return g()
    for _ in range(HOT):
        r = f(1, 2, 3, z=4)
    return r, f(0.5, 1), outcome(f, "a", 2), outcome(f, 1)


@case
def accumulator_pair():
    def make():
        total = 0
        log = []

        def add(x):
            nonlocal total
            total += x
            log.append(total)

        def get():
            return total, len(log)
        return add, get
    add, get = make()
    for i in range(300):
        add(i)
        if i == 200:
            add(0.5)
    return get(), outcome(add, "x"), get()


@case
def memoised_closure():
    def memo(f):
        cache = {}

        def wrapper(n):
            if n not in cache:
                cache[n] = f(n)
            return cache[n]
        return wrapper
    fib = memo(lambda n: n if n < 2 else fib(n - 1) + fib(n - 2))
    return [fib(n) for n in (10, 50, 90, 91, 92, 93, 94, 120)]


@case
def self_referencing_closure():
    def make():
        def f(n):
            return 0 if n == 0 else 1 + f(n - 1)
        return f
    return [make()(i) for i in range(HOT)][-1], outcome(make(), "a")


@case
def closure_over_loop_and_comprehension():
    def f(values):
        functions = []
        for v in values:
            functions.append(lambda k: [v * w + k for w in values])
        return [g(1) for g in functions]
    return heat(f, [1, 2]), f([0.5, 2]), outcome(f, [1, "a"])


@case
def class_in_closure():
    def make(base):
        class C:
            value = base

            def get(self):
                return base + self.value

            def me(self):
                return __class__.__name__
        return C
    classes = [make(k) for k in (1, 0.5, 2**61)]
    out = None
    for _ in range(HOT):
        out = [c().get() for c in classes]
    return out, classes[0]().me(), outcome(make("a")().get), outcome(make(None)().get)


@case
def closure_keeps_and_frees():
    log = []

    class R:
        def __init__(self, n):
            self.n = n

        def __del__(self):
            log.append(self.n)

    def make(n):
        r = R(n)
        return lambda: r.n

    def f(n):
        g = make(n)
        x = g()
        log.append("before")
        del g
        log.append("after")
        return x
    for i in range(HOT):
        f(i)
    return log[-6:], len(log)


@case
def generator_shares_cell():
    def f(n):
        x = 0

        def gen():
            nonlocal x
            while x < n:
                x += 1
                yield x
        out = []
        for v in gen():
            x += v % 2
            out.append((v, x))
        return out
    return heat(f, 10), f(0), f(2.5)


@case
def eight_cells():
    def f(a, b, c, d):
        def rotate():
            nonlocal a, b, c, d
            a, b, c, d = b, c, d, a
            return [a, b, c, d]
        for _ in range(6):
            rotate()
        return rotate()
    drive(f, (1, 2, 3, 4), [(0.5, "b", None, []), (2**70, 1, 2, 3)])
