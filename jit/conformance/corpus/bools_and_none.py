"""Bools, None, identity, membership, truth values and everything that only decides a branch."""

from corpus_api import HOT, case, drive, outcome


class Truth:
    """Counts how often its truth is asked for."""

    def __init__(self, value):
        self.value = value
        self.asked = 0

    def __bool__(self):
        self.asked += 1
        if self.value is None:
            raise ValueError("neither")
        return self.value

    def __repr__(self):
        return f"Truth({self.value}, {self.asked})"


@case
def truth_of_every_type():
    def branch(x):
        if x:
            return "yes"
        return "no"
    values = [True, False, None, 0, 1, -1, 2**70, 0.0, -0.0, float("nan"), "", "a", b"", b"x", [], [0], (), (None,), {}, {1: 2},
              set(), {0}, range(0), range(1), object, len, ...]
    drive(branch, (1,), [(v,) for v in values], rounds=6)


@case
def not_of_every_type():
    def negate(x):
        return not x, not not x
    drive(negate, (True,), [(v,) for v in (False, None, 0, 7, 0.0, 1.5, "", "a", [], [1], {}, {1}, 2**80)])


@case
def and_or_return_operands():
    def logic(a, b):
        return (a and b), (a or b), (a and not b), (not a or b)
    values = [0, 1, "", "x", None, [], [0], 0.0, 2.5]
    drive(logic, (1, 2), [(a, b) for a in values for b in values[::2]])


@case
def bool_method_raises():
    def branch(x):
        while x:
            return 1
        return 0
    drive(branch, (True,), [(0,), (1,)])
    for value in (True, False, None):
        truth = Truth(value)
        print(outcome(branch, truth), truth.asked)


@case
def bool_method_wrong_type():
    class Bad:
        def __bool__(self):
            return 1

        def __repr__(self):
            return "Bad"

    def branch(x):
        return 1 if x else 2
    drive(branch, (True,), [(Bad(),), (None,)])


@case
def len_as_truth():
    class Sized:
        def __init__(self, n):
            self.n = n

        def __len__(self):
            return self.n

        def __repr__(self):
            return f"Sized({self.n})"

    def branch(x):
        return "full" if x else "empty"
    drive(branch, ([1],), [(Sized(0),), (Sized(3),), (Sized(-1),), (Sized("a"),), (Sized(2**70),)])


@case
def none_checks():
    def f(x):
        if x is None:
            return "none"
        if x is not None and x != 0:
            return x
        return "zero"
    drive(f, (5,), [(None,), (0,), (0.0,), ("",), (False,), (Ellipsis,)])


@case
def none_appears_in_loop():
    def count(values):
        nones = total = 0
        for v in values:
            if v is None:
                nones += 1
            else:
                total += v
        return nones, total
    plain = list(range(50))
    holes = [None if i % 7 == 0 else i for i in range(50)]
    drive(count, (plain,), [(holes,), ([None],), ([],), (holes + ["x"],)])


@case
def identity_of_singletons():
    def same(a, b):
        return a is b, a is not b
    empty = ()
    drive(same, (None, None), [(True, True), (True, 1), (False, 0), (empty, ()), ("", ""), (None, False), (..., ...), (1, 1)])


@case
def membership():
    def contains(x, where):
        return x in where, x not in where
    drive(contains, (1, [1, 2]), [(3, [1, 2]), (1, (1,)), ("b", "abc"), ("", "abc"), (1, {1: 2}), (2, {1: 2}), (1.0, {1}), (True, [1]),
                                  (5, range(10)), (5, range(0, 10, 2)), ("a", 5), (1, "abc"), ([], {1}), (None, [None])])


@case
def membership_protocols():
    class Contains:
        def __contains__(self, x):
            return x * 2

        def __repr__(self):
            return "Contains"

    class Iterates:
        def __iter__(self):
            return iter([1, 2, 3])

        def __repr__(self):
            return "Iterates"

    class Items:
        def __getitem__(self, i):
            if i > 3:
                raise IndexError
            return i * 10

        def __repr__(self):
            return "Items"

    class Raises:
        def __contains__(self, x):
            raise KeyError(x)

        def __repr__(self):
            return "Raises"

    def contains(x, where):
        return x in where
    drive(contains, (1, [1, 2]), [(0, Contains()), (1, Contains()), (3, Iterates()), (4, Iterates()), (20, Items()), (21, Items()),
                                  (1, Raises())])


@case
def membership_uses_identity_first():
    nan = float("nan")

    class Never:
        def __eq__(self, other):
            return False

        __hash__ = object.__hash__

        def __repr__(self):
            return "Never"
    never = Never()

    def contains(x, where):
        return x in where
    drive(contains, (1, [2, 1]), [(nan, [nan]), (nan, [float("nan")]), (never, [never]), (never, (Never(),)), (nan, {nan})])


@case
def equality_raises():
    class Loud:
        def __eq__(self, other):
            raise RuntimeError("compared")

        def __repr__(self):
            return "Loud"

    def find(x, where):
        for i, y in enumerate(where):
            if x == y:
                return i
        return -1
    drive(find, (3, [1, 2, 3]), [(3, [1, Loud(), 3]), (Loud(), [1]), (9, []), (1, [True])])


@case
def rich_comparison_returns_anything():
    class Odd:
        def __lt__(self, other):
            return "less"

        def __eq__(self, other):
            return []

        def __gt__(self, other):
            return NotImplemented

        def __repr__(self):
            return "Odd"

    def compare(a, b):
        r = a < b
        e = a == b
        n = a != b
        return r, e, n, (1 if a < b else 2), (1 if a == b else 2)

    def greater(a, b):
        return a > b
    drive(compare, (1, 2), [(Odd(), 1), (1, Odd()), (Odd(), Odd())])
    drive(greater, (1, 2), [(Odd(), 1), (1, Odd()), (Odd(), Odd())])


@case
def chained_comparisons():
    def chain(a, b, c):
        return a < b < c, a <= b == c, a != b > c, a < b in [c, b], a is b is not c
    drive(chain, (1, 2, 3), [(3, 2, 1), (1, 1, 1), (1.5, 2, 2.5), (float("nan"), 1, 2), ("a", "b", "c"), (1, "b", 2), (None, None, 1)])


@case
def chained_comparison_evaluates_once():
    log = []

    def value(x):
        log.append(x)
        return x

    def chain(a, b, c):
        return value(a) < value(b) < value(c)
    for i in range(HOT):
        chain(1, 2, 3)
    del log[:]
    print(chain(3, 2, 1), log)
    del log[:]
    print(chain(1, 2, 1), log)


@case
def conditional_expressions():
    def pick(a, b, c):
        return (a if b else c), (a if b > c else b if c > a else c), [b, c][a > b]
    drive(pick, (1, 2, 3), [(3, 0, 1), (0, 0, 0), (1.5, -1, 9), ("a", "b", "c"), (None, 0, 1)])


@case
def walrus():
    def read(values):
        out = []
        it = iter(values)
        while (v := next(it, None)) is not None:
            if (double := v * 2) > 5:
                out.append(double)
        return out, v, [last := x for x in out], out and last
    drive(read, ([1, 2, 3, 4],), [([],), ([1],), ([1, None, 3],), ([2.5, "ab"],), ([[]],)])


@case
def bool_arithmetic_results():
    def count(values):
        n = 0
        for v in values:
            n += v > 3
            n += (v == 3) * 10
        return n, (n > 5) + (n > 3), True + True, sum(v > 2 for v in values)
    drive(count, ([1, 2, 3, 4, 5],), [([],), ([3.0, 4.5],), ([True],), (["a"],)])


@case
def comparison_type_switches_midway():
    def order(pairs):
        r = []
        for a, b in pairs:
            if a < b:
                r.append("<")
            elif a == b:
                r.append("=")
            else:
                r.append(">")
        return "".join(r)
    ints = [(i, 7) for i in range(15)]
    drive(order, (ints,), [(ints + [(1.5, 2), ("a", "b"), ((1,), (1,))],), (ints + [(1, "a")],), ([(2**70, 2**71)],)])


@case
def assert_statements():
    def check(x, message):
        assert x > 0, message
        assert x
        return x
    drive(check, (1, "m"), [(0, "zero"), (-1, ("tuple", 1)), (0, None), ("a", 1)])
