"""Subclasses of builtin types, with and without overridden methods, passing through code specialised for their bases."""

from corpus_api import HOT, case, drive, heat, outcome


class LoudInt(int):
    """An int whose arithmetic shouts."""

    def __add__(self, o):
        return ("add", int(self), o)

    def __radd__(self, o):
        return ("radd", o, int(self))

    def __mul__(self, o):
        return LoudInt(int(self) * int(o))

    def __lt__(self, o):
        return "lt"

    def __eq__(self, o):
        return True

    def __hash__(self):
        return 1

    def __bool__(self):
        return False

    def __index__(self):
        return 0


class QuietInt(int):
    """An int without changes."""


class LoudFloat(float):
    """A float whose arithmetic shouts."""

    def __add__(self, o):
        return ("add", float(self), o)

    def __rsub__(self, o):
        return ("rsub", o, float(self))

    def __neg__(self):
        return "neg"

    def __lt__(self, o):
        raise TypeError("not ordered")


class QuietFloat(float):
    """A float without changes."""


class LoudList(list):
    """A list that lies."""

    def __getitem__(self, k):
        return ("item", k)

    def __setitem__(self, k, v):
        super().__setitem__(k, ("stored", v))

    def __len__(self):
        return 42

    def __iter__(self):
        return iter("lies")

    def __contains__(self, x):
        return x == "anything"


class QuietList(list):
    """A list without changes."""


class LoudTuple(tuple):
    """A tuple that lies."""

    def __getitem__(self, k):
        return "titem"

    def __iter__(self):
        return iter((9, 8))


class LoudDict(dict):
    """A dict that lies."""

    def __getitem__(self, k):
        return ("dict item", k)

    def __contains__(self, k):
        return True

    def get(self, k, default=None):
        return "got"


class LoudStr(str):
    """A str that lies."""

    def __add__(self, o):
        return "sum"

    def __getitem__(self, k):
        return "sitem"

    def __eq__(self, o):
        return False

    def __hash__(self):
        return 5

    def upper(self):
        return "lower"


@case
def int_subclasses_in_arithmetic():
    def f(a, b):
        return a + b, a * b, a - b, -a, a & b
    ints = [LoudInt(3), QuietInt(4), True, 5, LoudInt(2**70)]
    drive(f, (1, 2), [(a, b) for a in ints for b in ints], rounds=5)


@case
def int_subclasses_in_control_flow():
    def f(a, b):
        log = []
        if a:
            log.append("true")
        if a < b:
            log.append("less")
        if a == b:
            log.append("equal")
        for _ in range(5):
            if b > a:
                b = b - 1
        return log, type(b).__name__
    ints = [LoudInt(3), QuietInt(4), 5, True]
    drive(f, (1, 2), [(a, b) for a in ints for b in ints])


@case
def int_subclasses_as_index_and_range():
    def f(i):
        return [10, 20, 30][i], (10, 20, 30)[i], "abc"[i], list(range(i)), [0] * i, 1 << i, {1: "one", 2: "two"}.get(i)
    drive(f, (1,), [(QuietInt(2),), (LoudInt(2),), (True,), (QuietInt(-1),), (QuietInt(5),)])


@case
def int_subclass_results_are_plain():
    def f(a):
        t = 0
        for i in range(3):
            t += a
            t -= 1
        return type(t).__name__, t, type(a + 0).__name__, type(+a).__name__, type(abs(a)).__name__, a is +a
    drive(f, (5,), [(QuietInt(5),), (QuietInt(-5),), (True,), (2.5,), (QuietFloat(2.5),)])


@case
def int_subclass_with_attributes():
    class Tagged(int):
        def __new__(cls, v, tag):
            self = super().__new__(cls, v)
            self.tag = tag
            return self

    def f(values):
        return sum(v + 1 for v in values), [getattr(v, "tag", None) for v in values], max(values), sorted(values)
    return heat(f, [1, 2]), f([Tagged(3, "a"), 1, Tagged(2, "b")]), f([Tagged(2**70, "big")])


@case
def float_subclasses():
    def f(a, b):
        return a + b, b - a, a * b, a / b
    floats = [LoudFloat(1.5), QuietFloat(2.5), 3.5, 2, QuietInt(7)]
    drive(f, (1.0, 2.0), [(a, b) for a in floats for b in floats], rounds=5)

    def g(a, b):
        return -a, a < b, a == b, bool(a), type(a + 0.0).__name__
    drive(g, (1.0, 2.0), [(LoudFloat(1.0), 2.0), (QuietFloat(1.0), 2.0), (2.0, LoudFloat(1.0)), (QuietFloat(0.0), 0)])


@case
def list_subclasses_in_subscripts():
    def f(values):
        values[0] = 5
        return values[0], values[-1], len(values), values[0:1], 5 in values, [x for x in values], list.__getitem__(values, 0)

    def g(cls):
        return f(cls([1, 2]))
    drive(g, (list,), [(LoudList,), (QuietList,)])


@case
def list_subclasses_in_loops_and_unpacking():
    def f(values):
        a, b, *c = values
        t = []
        for v in values:
            t.append(v)
        return a, b, c, t, [*values], (lambda *args: args)(*values), sorted(map(str, values)), max(values, key=str)
    drive(f, ([1, 2],), [(LoudList([1, 2]),), (QuietList([1, 2]),), (LoudTuple((1, 2)),), (LoudStr("xy"),), (LoudDict({1: 2, 3: 4}),)])


@case
def tuple_subclasses():
    import collections
    P = collections.namedtuple("P", "x y")

    def f(t):
        a, b = t
        return a, b, t[0], t[-1], t + (1,), t == (1, 2), len(t), {t: 1}.get((1, 2)), t[:1]
    drive(f, ((1, 2),), [(P(1, 2),), (LoudTuple((1, 2)),), (P("a", 0.5),)])


@case
def dict_subclasses():
    import collections

    def f(d, k):
        return d[k], k in d, d.get(k), list(d), len(d), {**d}
    drive(f, ({1: 2}, 1), [(LoudDict({1: 2}), 1), (LoudDict(), 9), (collections.OrderedDict({1: 2}), 1), (collections.Counter([1]), 5),
                           (collections.ChainMap({1: 2}, {3: 4}), 3)])


@case
def str_subclasses():
    def f(s):
        t = s + "x"
        u = "x" + s
        t += "y"
        return t, u, s[0], s == "ab", s.upper(), f"{s}", "%s" % s, {"ab": 1}.get(s), s in "xabx", "".join([s, s]), len(s)
    drive(f, ("ab",), [(LoudStr("ab"),), (type("QuietStr", (str,), {})("ab"),)])


@case
def bool_cannot_be_subclassed_but_numpy_like_scalars_can():
    class Scalar:
        def __init__(self, v):
            self.v = v

        def __add__(self, o):
            return Scalar(self.v + (o.v if isinstance(o, Scalar) else o))

        __radd__ = __add__

        def __mul__(self, o):
            return Scalar(self.v * (o.v if isinstance(o, Scalar) else o))

        __rmul__ = __mul__

        def __gt__(self, o):
            return Scalar(self.v > (o.v if isinstance(o, Scalar) else o))

        def __bool__(self):
            return bool(self.v)

        def __float__(self):
            return float(self.v)

        def __repr__(self):
            return f"Scalar({self.v!r})"

    def f(values, k):
        t = 0
        for v in values:
            t = t + v * k
            if t > 100:
                t = 0.5
        return t
    drive(f, ([1, 2, 3], 2), [([Scalar(1), 2, Scalar(0.5)], 3), ([1.5], Scalar(2)), ([Scalar(1000), 1], 1), ([Scalar("a")], 2)])
    return outcome(type, "B", (bool,), {})


@case
def subclass_methods_overridden_later():
    class L(list):
        pass

    class I(int):
        pass

    def f(values, i):
        return values[i], len(values), i + 1, values + [1]
    values, i = L([1, 2]), I(1)
    out = [heat(f, [1, 2], 1), heat(f, values, i)]
    L.__getitem__ = lambda self, k: "late item"
    I.__add__ = lambda self, o: "late add"
    L.__len__ = lambda self: 7
    out.append(heat(f, values, i))
    del L.__getitem__, I.__add__, L.__len__
    out.append(heat(f, values, i))
    return out


@case
def exception_and_type_subclasses():
    class E(ValueError):
        def __init__(self, *args):
            super().__init__(*args)
            self.n = len(args)

        def __str__(self):
            return f"E with {self.n}"

    class T(type):
        def __add__(cls, o):
            return f"{cls.__name__}+{o}"

        def __getitem__(cls, k):
            return f"{cls.__name__}[{k}]"

    class A(metaclass=T):
        pass

    def f(x):
        if x == 13:
            raise E(x, x)
        return x + 1, x

    def g(x):
        return x[1]
    drive(f, (1,), [(13,), (A,), (QuietInt(13),), (1.5,)])
    drive(g, ([1, 2],), [(A,), (list,), ((1, 2),)])


@case
def iteration_protocol_on_subclasses():
    class Rev(list):
        def __iter__(self):
            return reversed(list(list.__iter__(self)))

    class Gen(tuple):
        def __iter__(self):
            for i in range(3):
                yield i

    def f(values):
        t = 0
        for v in values:
            t = t * 10 + v
        return t, sum(values), [v for v in values], tuple(values), list(values), 2 in values
    drive(f, ([1, 2, 3],), [(Rev([1, 2, 3]),), (Gen((7, 8)),), (QuietList([4]),)])


@case
def complex_fraction_decimal():
    from decimal import Decimal
    from fractions import Fraction

    def f(a, b):
        return a + b, a * b, a - b, a == b, a / b
    drive(f, (1, 2), [(Fraction(1, 3), 2), (2, Fraction(1, 3)), (Decimal("1.5"), 2), (1.5, Fraction(1, 2)), (1.5, Decimal(2)), (1j, 2.5),
                      (2**70, 1j), (True, Fraction(1, 2)), (Fraction(1), Fraction(0))])


@case
def hash_and_eq_of_subclasses_in_dicts():
    def f(keys):
        d = {}
        for k in keys:
            d[k] = d.get(k, 0) + 1
        return list(d.values()), [type(k).__name__ for k in d]
    drive(f, ([1, 1.0, True],), [([LoudInt(5), 1, LoudInt(9)],), ([LoudStr("a"), "a", LoudStr("a")],), ([QuietInt(1), 1.0, QuietFloat(1)],)])


HOLDER = None


def holder_limit(x):
    return x + HOLDER.limit


def hold(x):
    made = HOLDER(x)
    return made if isinstance(made, tuple) else made.value


@case
def metaclass_comes_to_hide_what_a_class_has():
    global HOLDER

    class Meta(type):
        pass

    class Other(Meta):
        @property
        def limit(cls):
            return -1

        def __call__(cls, *args):
            return ("made by Other", args)

    class Holder(metaclass=Meta):
        limit = 10

        def __init__(self, value):
            self.value = value

    HOLDER = Holder
    out = [heat(holder_limit, 1), heat(hold, 1)]
    Meta.limit = property(lambda cls: 20)
    out += [outcome(holder_limit, 1), heat(holder_limit, 2), outcome(hold, 2)]
    del Meta.limit
    out += [outcome(holder_limit, 1), heat(holder_limit, 2)]
    Holder.__class__ = Other
    out += [outcome(holder_limit, 1), outcome(hold, 3), heat(holder_limit, 2), heat(hold, 4)]
    Holder.__class__ = Meta
    out += [outcome(holder_limit, 1), outcome(hold, 3), heat(holder_limit, 2), heat(hold, 4)]
    Meta.__call__ = lambda cls, *args: ("called", cls.__name__, args)
    out += [outcome(holder_limit, 1), outcome(hold, 3), heat(hold, 5)]
    HOLDER = None
    return out
