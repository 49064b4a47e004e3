"""Where attributes come from: class defaults beside instances' own values, static and class methods, frozen dataclasses, `__class__`."""

import sys
from dataclasses import FrozenInstanceError, dataclass, field, replace

from corpus_api import HOT, case, drive, heat, outcome


class Defaults:
    size = 1
    name = "default"

    def __init__(self, size=None):
        if size is not None:
            self.size = size

    def grow(self, by):
        self.size = self.size + by
        return self.size


@case
def class_defaults_beside_own_values():
    def f(o, k):
        return o.size + k, o.name, o.grow(k)

    out = [heat(f, Defaults(3), 1)]
    out.append(f(Defaults(), 1))
    out.append([f(o, 1) for o in (Defaults(), Defaults(5), Defaults(), Defaults(2.5))])
    o = Defaults(1)
    heat(f, o, 0)
    del o.size
    out.append(f(o, 0))
    Defaults.size = 10
    out.append(outcome(f, Defaults(), 1))
    Defaults.size = property(lambda self: 99)
    out.append(outcome(f, Defaults.__new__(Defaults), 1))
    Defaults.size = 1
    out.append(heat(f, Defaults(3), 1))
    return out


class Reveals:
    """A descriptor that becomes a data descriptor."""

    def __get__(self, instance, owner):
        return "from the descriptor"


@case
def descriptors_that_change_their_kind():
    class Owner:
        value = Reveals()

        def __init__(self, value):
            self.__dict__["value"] = value
            self.other = 0

    def f(o):
        return o.value

    class Plain:
        value = 7

        def __init__(self):
            self.value = 8

    out = [heat(f, Owner(1)), heat(f, Plain())]
    Reveals.__set__ = lambda self, instance, value: None
    try:
        out += [f(Owner(2)), heat(f, Owner(3)), f(Plain())]
    finally:
        del Reveals.__set__
    out.append(heat(f, Owner(4)))
    return out


class Tools:
    factor = 3

    def __init__(self, k):
        self.k = k

    @staticmethod
    def add(a, b=10):
        return a + b

    @classmethod
    def scaled(cls, a):
        return a * cls.factor

    @classmethod
    def make(cls, k):
        return cls(k)


class MoreTools(Tools):
    factor = 5


@case
def static_and_class_methods():
    def f(o, n):
        total = 0
        for i in range(n):
            total += o.add(i, 1) + o.add(i) + o.scaled(i) + Tools.add(i, 2) + Tools.scaled(i) + MoreTools.scaled(i)
            total += Tools.make(i).k + o.make(i).k
        return total
    drive(f, (Tools(1), 5), [(Tools(1), 5), (MoreTools(1), 5), (Tools(2), 0), (None, 3), (Tools, 2)])


@case
def static_and_class_methods_replaced():
    class Local(Tools):
        pass

    def f(o):
        return o.add(1, 2), o.scaled(2), Local.add(1), Local.scaled(3)

    o = Local(1)
    out = [heat(f, o)]
    Local.add = staticmethod(lambda a, b=0: ("static", a, b))
    out.append(heat(f, o))
    Local.add = lambda *args: ("method", len(args))
    out.append(heat(f, o))
    Local.add = classmethod(lambda cls, *args: (cls.__name__, args))
    out.append(heat(f, o))
    o.scaled = lambda a: ("own", a)
    out.append(heat(f, o))
    Tools.factor = 4
    try:
        out.append(heat(f, Local(1)))
    finally:
        Tools.factor = 3
    del Local.add
    out.append(heat(f, Local(1)))
    return out


class Meta(type):
    @property
    def hidden(cls):
        return "from the metaclass"

    def shown(cls):
        return "metaclass's method"


class WithMeta(metaclass=Meta):
    hidden = "from the class"

    @staticmethod
    def shown():
        return "class's static method"

    @classmethod
    def mine(cls):
        return cls.hidden


@case
def metaclasses_in_the_way():
    def f():
        return WithMeta.hidden, WithMeta.shown(), WithMeta.mine()
    out = [heat(f)]
    Meta.mine = property(lambda cls: lambda: "hidden by the metaclass")
    try:
        out.append(heat(f))
    finally:
        del Meta.mine
    out.append(heat(f))
    return out


@dataclass(frozen=True, order=True)
class Money:
    cents: int
    currency: str = "EUR"

    def __add__(self, other):
        return Money(self.cents + other.cents, self.currency)


@dataclass
class Line:
    price: Money
    count: int = 1
    note: str = ""
    tags: list = field(default_factory=list)

    @property
    def total(self):
        return sum((self.price for _ in range(self.count - 1)), self.price)


@case
def dataclasses():
    def f(n):
        lines = [Line(Money(i), count=2) for i in range(n)]
        total = Money(0)
        for line in lines:
            total = total + line.total
            line.count += 1
        same = [a == b for a in lines for b in lines]
        return total, sum(same), max(lines, key=lambda line: line.price).price, hash(Money(3)) == hash(Money(3, "EUR"))

    out = [heat(f, 4), f(7)]
    out.append(replace(Line(Money(1), 2), note="x"))
    out.append(outcome(lambda: Line()))
    out.append(outcome(lambda: Line(Money(1), cost=3)))
    out.append(outcome(lambda: Money(1) == 1))
    out.append(outcome(lambda: Money(1) < 1))
    out.append(outcome(lambda: Money(2) > Money(1, "USD")))
    return out


@case
def frozen_stays_frozen():
    def f(o):
        o.cents = 5

    def g(k):
        return Money(k)
    out = [heat(g, 5)]
    for _ in range(HOT):
        try:
            f(out[0])
        except FrozenInstanceError as error:
            out.append(str(error))
            break
    out.append(outcome(f, Money(3)))
    object.__setattr__(out[0], "cents", 6)
    out.append(heat(g, 7))
    return out


class Special:
    def __init__(self, value):
        object.__setattr__(self, "value", value)

    def __setattr__(self, name, value):
        raise AttributeError("read only")


class Counting(dict):
    def __init__(self, value):
        object.__setattr__(self, "value", value)


@case
def object_setattr():
    def f(make, value):
        return make(value).value
    print(heat(f, Special, 1), heat(f, Counting, 2), outcome(f, Special, "x"))

    def put(target, name, value):
        object.__setattr__(target, name, value)
        return target
    drive(put, (Special(1), "value", 2), [(Tools, "factor", 3), (5, "x", 1), (Special(1), 3, 4), (Special(1), "", None),
                                          (None, "x", 1), (sys, "_pepjit_case", 1)])
    del sys._pepjit_case
    return sorted(put(Special(1), "more", 2).__dict__.items())


@case
def classes_of_instances():
    class Meta(type):
        pass

    class Other(type):
        @property
        def __name__(cls):
            return "other"

    class One(metaclass=Meta):
        def kind(self):
            return self.__class__.__name__, self.__class__ is One

    class Two(metaclass=Meta):
        kind = One.kind

    o = One()
    out = [heat(o.kind), heat(Two().kind)]
    o.__class__ = Two
    out.append(heat(o.kind))
    Two.__class__ = Other
    out.append(heat(o.kind))
    One.__class__ = Other
    out.append(heat(One().kind))
    Two.kind = lambda self: (self.__class__ is type(self), isinstance(self, self.__class__))
    out.append(heat(o.kind))

    class Liar:
        __class__ = property(lambda self: int)

        def kind(self):
            return self.__class__
    out.append([heat(Liar().kind), isinstance(Liar(), int)])
    return out
