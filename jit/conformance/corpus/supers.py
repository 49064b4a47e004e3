"""`super()` with methods that the receiver's class tells of, and everything that can change what it finds."""

from corpus_api import HOT, case, drive, heat, outcome


def chain():
    class Base:
        def __init__(self, n):
            self.n = n

        def m(self, x, *, more=0):
            return ("Base", self.n, x, more)

    class Middle(Base):
        pass

    class Leaf(Middle):
        def __init__(self, n):
            super().__init__(n)
            self.twice = n * 2

        def m(self, x, *, more=0):
            return ("Leaf", *super().m(x, more=more + 1))

        def plain(self, x):
            return super().m(x)

    return Base, Middle, Leaf


@case
def a_known_method():
    _, _, Leaf = chain()
    leaf = Leaf(3)
    drive(leaf.plain, (1,), [("a",), (None,), (1, 2), ()])
    print(heat(leaf.m, 1), heat(lambda: Leaf(5).twice))
    return leaf.m(2, more=4)


@case
def receivers_of_several_classes():
    _, _, Leaf = chain()

    class Further(Leaf):
        def m(self, x, *, more=0):
            return ("Further", *super().m(x, more=more))

    class Slotted(Leaf):
        __slots__ = ("other",)

    class Again(Further, Slotted):
        pass
    receivers = [Leaf(1), Further(2), Slotted(3), Again(4)]

    def f(receivers):
        return [r.m(0) for r in receivers], [r.plain(1) for r in receivers]
    print(heat(f, receivers[:1]))
    print(heat(f, receivers[:2]))
    print(heat(f, receivers))

    class Late(Further):
        n = "late"
    late = Late(9)
    late.m2 = 5
    return f([late]), f([Late(1), *receivers])


@case
def the_base_changes():
    Base, Middle, Leaf = chain()
    leaf = Leaf(1)
    print(heat(leaf.plain, 1))
    Base.m = lambda self, x, more=0: ("patched", x)
    print(heat(leaf.plain, 1))
    Middle.m = lambda self, x: ("between", x)
    print(heat(leaf.plain, 1))
    del Middle.m
    print(leaf.plain(1))
    Base.m = 5
    print(outcome(leaf.plain, 1))
    Base.m = staticmethod(lambda x: ("static", x))
    print(heat(leaf.plain, 1))
    Base.m = classmethod(lambda cls, x: (cls.__name__, x))
    print(heat(leaf.plain, 1))
    Base.m = property(lambda self: lambda x: ("property", self.n, x))
    print(heat(leaf.plain, 1))
    del Base.m
    return outcome(leaf.plain, 1)


@case
def the_bases_are_replaced():
    Base, Middle, Leaf = chain()

    class Other(Base):
        def m(self, x):
            return ("Other", x)
    leaf = Leaf(1)
    print(heat(leaf.plain, 1))
    Leaf.__bases__ = (Other,)
    print(heat(leaf.plain, 1))
    Leaf.__bases__ = (Middle,)
    return leaf.plain(2)


@case
def the_instance_hides_nothing():
    _, _, Leaf = chain()
    leaf = Leaf(1)
    leaf.m = lambda x: "the instance's"
    print(heat(leaf.plain, 1), leaf.m(1))

    class Getting(Leaf):
        def __getattribute__(self, name):
            return "asked" if name == "m" else super().__getattribute__(name)
    getting = Getting(2)
    return heat(getting.plain, 1), getting.m


@case
def the_class_of_the_receiver_changes():
    Base, _, Leaf = chain()

    class Wedge(Base):
        def m(self, x):
            return ("Wedge", x)

    class Wedged(Leaf, Wedge):
        pass
    leaf = Leaf(1)
    print(heat(leaf.plain, 1))
    leaf.__class__ = Wedged
    print(heat(leaf.plain, 1))
    leaf.__class__ = Leaf
    return leaf.plain(1)


@case
def receivers_that_dont_fit():
    Base, _, Leaf = chain()

    class Proxy:
        def __init__(self, real):
            self.real = real

        @property
        def __class__(self):
            return type(self.real)

    def f(receiver):
        return Leaf.plain(receiver, 1)
    drive(f, (Leaf(1),), [(5,), (None,), (Base(2),), (Leaf,)])
    return outcome(f, Proxy(Leaf(7)))[:1]


@case
def code_shared_by_classes():
    def make(base, name):
        class Made(base):
            def m(self, x):
                return (name, *super().m(x))
        return Made

    class A:
        def m(self, x):
            return ("A", x)

    class B(A):
        def m(self, x):
            return ("B", x)
    first, second = make(A, "first"), make(B, "second")
    third = make(first, "third")
    print(heat(first().m, 1))
    print(heat(second().m, 1), heat(third().m, 1))
    both = make(second, "both")
    return both().m(2), [make(A, str(i))().m(i) for i in range(HOT)][-1]


@case
def the_cell_changes():
    class A:
        def m(self):
            return "A"

    class B(A):
        def m(self):
            return "B"

    class C(B):
        def m(self):
            return "C", super().m()

        def lie(self, other):
            nonlocal __class__
            __class__ = other
    c = C()
    print(heat(c.m))
    c.lie(B)
    print(heat(c.m))
    c.lie(A)
    print(outcome(c.m))
    c.lie(5)
    print(outcome(c.m))
    c.lie(C)
    return c.m()


@case
def methods_of_c_and_of_object():
    class Numbers(list):
        def append(self, value):
            super().append(value * 2)

        def extend(self, values):
            super().extend(v + 1 for v in values)

        def __getitem__(self, index):
            return super().__getitem__(index), "mine"

    class Plain:
        def __init__(self):
            super().__init__()

        def __eq__(self, other):
            return super().__eq__(other) is True

        def bad(self):
            super().__init__(1)

    class Made(str):
        def __new__(cls, text):
            return super().__new__(cls, text + "!")

    def f(n):
        numbers = Numbers()
        for i in range(n):
            numbers.append(i)
        numbers.extend([1, 2])
        return len(numbers), numbers[0], numbers[-1], list(numbers)[:3]
    print(heat(f, 4), heat(lambda: str(Made("a"))), heat(lambda: type(Plain()).__name__))
    plain = Plain()
    print(plain == plain, plain == 1, outcome(plain.bad), outcome(Numbers().append), outcome(Numbers().extend, 5))
    return outcome(lambda: Numbers()[7])


@case
def class_methods():
    class A:
        @classmethod
        def make(cls, x):
            return (cls.__name__, x)

        def __init_subclass__(cls, **named):
            super().__init_subclass__()
            cls.named = named

    class B(A, word=1):
        @classmethod
        def make(cls, x):
            return ("B", *super().make(x))

    class C(B):
        pass

    class Meta(type):
        def m(cls):
            return "Meta"

        def __call__(cls, *args):
            return ("called", type(super().__call__(*args)).__name__)

    class Sub(Meta):
        def m(cls):
            return ("Sub", super().m())

    class Of(metaclass=Sub):
        pass
    print(heat(B.make, 1), heat(C.make, 2), B.named)
    return heat(Of.m), heat(Of)


@case
def raising_behind_super():
    class A:
        def m(self, x):
            return 10 // x

    class B(A):
        def m(self, x):
            try:
                return super().m(
                    x - 1
                )
            except TypeError:
                return "caught"

    class C(B):
        def m(self, x):
            return super().m(x)
    c = C()
    drive(c.m, (3,), [(1,), ("a",), (2.5,), (None,), (2**70,)])


@case
def another_super():
    source = """
class A:
    def m(self):
        return "A"

class super:
    def __init__(self, *args):
        self.args = args

    def m(self):
        return ("mine", len(self.args))

class B(A):
    def m(self):
        return super().m()

class C(A):
    def m(self):
        return super(C, self).m()
"""
    names = {}
    exec(source, names)
    b, c = names["B"](), names["C"]()
    print(heat(b.m), heat(c.m))
    real = names.pop("super")
    print(heat(b.m), heat(c.m))
    names["super"] = real
    return b.m(), c.m()


@case
def deep_chains():
    class Level:
        def total(self, n):
            return n

    classes = [Level]
    for _ in range(40):
        class Next(classes[-1]):
            def total(self, n):
                return super().total(n + 1)
        classes.append(Next)
    last = classes[-1]()
    return heat(last.total, 0), [cls().total(1) for cls in classes[::7]], outcome(last.total, "a")
