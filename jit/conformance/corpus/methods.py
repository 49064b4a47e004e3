"""Methods of every kind, and what happens to hot call sites when classes change."""

from corpus_api import HOT, case, drive, heat, outcome


@case
def plain_method():
    class Acc:
        def __init__(self):
            self.total = 0

        def add(self, n):
            self.total += n
            return self.total

    def f(a, n):
        for i in range(n):
            a.add(i)
        return a.total
    a = Acc()
    print(heat(f, a, 10), a.add(0.5), f(a, 5), a.add(2**64), outcome(f, a, "x"), outcome(a.add), outcome(a.add, 1, 2))


@case
def method_replaced_on_class():
    class A:
        def m(self):
            return 1

    def f(o):
        return o.m() + 1
    a = A()
    out = [heat(f, a)]
    A.m = lambda self: 10
    out.append(heat(f, a))
    A.m = staticmethod(lambda: 100)
    out.append(heat(f, a))
    A.m = classmethod(lambda cls: len(cls.__name__))
    out.append(heat(f, a))
    A.m = int
    out.append(heat(f, a))
    A.m = property(lambda self: lambda: 1000)
    out.append(heat(f, a))
    A.m = 5
    out.append(outcome(f, a))
    del A.m
    out.append(outcome(f, a))
    return out


@case
def method_replaced_inside_itself():
    class A:
        def m(self):
            A.m = lambda self: "second"
            return "first"

    def f(o):
        return [o.m() for _ in range(3)]
    original = A.m
    for _ in range(HOT):
        A.m = original
        result = f(A())
    return result


@case
def instance_attribute_shadows_method():
    class A:
        def m(self):
            return "method"

    def f(o):
        return o.m()
    a, b = A(), A()
    out = [heat(f, a)]
    b.m = lambda: "instance"
    out += [f(b), f(a), heat(f, b)]
    del b.m
    out.append(f(b))
    a.__dict__["m"] = 5
    out.append(outcome(f, a))
    return out


@case
def method_added_to_subclass_later():
    class A:
        def m(self):
            return "A"

    class B(A):
        pass

    def f(o):
        return o.m()
    b = B()
    out = [heat(f, b)]
    B.m = lambda self: "B"
    out.append(heat(f, b))
    del B.m
    out.append(heat(f, b))
    A.m = lambda self: "new A"
    out.append(heat(f, b))
    return out


@case
def static_and_class_methods():
    class A:
        tag = "a"

        @staticmethod
        def s(x):
            return x + 1

        @classmethod
        def c(cls, x):
            return cls.tag, x

    class B(A):
        tag = "b"

    def f(o, x):
        return o.s(x), o.c(x), type(o).s(x), type(o).c(x)
    a, b = A(), B()
    print(heat(f, a, 1), f(b, 2), f(a, 1.5), outcome(f, a, "x"), outcome(f, 5, 1))
    B.tag = 7
    print(f(b, 2))
    A.s = lambda *args: len(args)
    print(f(a, 1))


@case
def super_calls():
    class A:
        def m(self, x):
            return ["A", x]

        x = "attribute of A"

    class B(A):
        def m(self, x):
            return ["B"] + super().m(x + 1)

        def attribute(self):
            return super().x

        def missing(self):
            return super().nope

    class C(B):
        def m(self, x):
            return ["C"] + super(C, self).m(x * 2)
    c = C()
    print(heat(c.m, 3), c.m(1.5), outcome(c.m, "a"), heat(c.attribute), outcome(c.missing))
    A.m = lambda self, x: ["patched"]
    print(c.m(1))
    A.x = "changed"
    print(c.attribute())


@case
def super_in_a_diamond():
    log = []

    class Root:
        def go(self):
            log.append("Root")

    class L(Root):
        def go(self):
            log.append("L")
            super().go()

    class R(Root):
        def go(self):
            log.append("R")
            super().go()

    class D(L, R):
        def go(self):
            log.append("D")
            super().go()
    d, left = D(), L()
    for _ in range(HOT):
        del log[:]
        d.go()
        left.go()
    return log


@case
def super_misuse():
    class A:
        def m(self):
            return "m"

    class B(A):
        def m(self):
            return super().m()

        def rebound(self):
            self = 5
            return super().m()

        def deleted(self):
            del self
            return super().m()
    b = B()
    heat(b.m)
    return [outcome(B.m, 5), outcome(b.rebound), outcome(b.deleted), outcome(B.m)]


@case
def bound_methods_stored():
    class A:
        def __init__(self, n):
            self.n = n

        def get(self):
            return self.n

    def f(bound, k):
        t = 0
        for _ in range(k):
            t += bound()
        return t
    a = A(2)
    bound = a.get
    print(heat(f, bound, 5))
    a.n = 0.5
    print(f(bound, 3))
    A.get = lambda self: "replaced"
    print(f(bound, 3), outcome(f, a.get, 1), f(A(3).n.__index__, 2))


@case
def dunder_call():
    class Adder:
        def __init__(self, n):
            self.n = n

        def __call__(self, x, y=0):
            return self.n + x + y

    def f(c, x):
        return c(x) + c(x, y=2)
    a = Adder(5)
    print(heat(f, a, 1), outcome(f, a, "x"), outcome(f, abs, 1), outcome(f, int, 3))
    a.__call__ = lambda x, y=0: 1000
    print(f(a, 1))
    Adder.__call__ = lambda self, x, y=0: x
    print(heat(f, a, 1))


@case
def constructor_calls():
    class P:
        def __init__(self, x, y=2):
            self.x = x
            self.y = y

    def f(x):
        p = P(x)
        q = P(x, y=x)
        return p.x, p.y, q.y
    print(heat(f, 1), f("a"), outcome(P), outcome(P, 1, 2, 3), outcome(P, 1, z=3))
    P.__init__ = lambda self, *args, **kw: (setattr(self, "x", args), setattr(self, "y", kw))[:0] and None
    print(outcome(f, 5))
    P.__init__ = lambda self, x, y=0: 5
    print(outcome(f, 5))
    del P.__init__
    print(outcome(f, 5))


@case
def constructor_with_new():
    class Single:
        instance = None

        def __new__(cls, x):
            if cls.instance is None:
                cls.instance = super().__new__(cls)
            return cls.instance

        def __init__(self, x):
            self.x = x

    class Other:
        def __new__(cls, x):
            return x

        def __init__(self, x):
            raise RuntimeError("never called for another type")

    def f(cls, x):
        return cls(x)
    heat(f, Single, 1)
    return f(Single, 1) is f(Single, 2), f(Single, 3).x, heat(f, Other, 5), f(Other, None)


@case
def init_raises():
    class Picky:
        def __init__(self, x):
            if x < 0:
                raise ValueError(f"negative {x}")
            self.x = x

    def f(x):
        return Picky(x).x
    drive(f, (1,), [(-1,), ("a",), (0.5,), (-2**70,)])


@case
def operator_methods():
    class V:
        def __init__(self, x, y):
            self.x = x
            self.y = y

        def __add__(self, o):
            return V(self.x + o.x, self.y + o.y)

        def __mul__(self, k):
            return V(self.x * k, self.y * k)

        def __rmul__(self, k):
            return V(k * self.x, k * self.y)

        def __iadd__(self, o):
            self.x += o.x
            self.y += o.y
            return self

        def __eq__(self, o):
            return self.x == o.x and self.y == o.y

        def __neg__(self):
            return V(-self.x, -self.y)

        def __getitem__(self, i):
            return (self.x, self.y)[i]

        def __len__(self):
            return 2

        def __contains__(self, v):
            return v in (self.x, self.y)

        def __repr__(self):
            return f"V({self.x}, {self.y})"

    def f(a, b, k):
        c = a + b * k
        c += k * a
        return c, -c, c == a, c[0], c[-1], len(c), k in c
    drive(f, (V(1, 2), V(3, 4), 2), [(V(1.5, 2), V(0, 0), 3), (V("a", "b"), V("c", "d"), 2), (V(1, 2), 5, 1), (5, V(1, 2), 1),
                                     (V(1, 2), V(3, 4), "x"), (V(2**62, 0), V(2**62, 1), 2**3)])


@case
def reflected_operators():
    class L:
        def __add__(self, o):
            return NotImplemented

        def __repr__(self):
            return "L"

    class R:
        def __radd__(self, o):
            return f"R.radd({o!r})"

        def __rsub__(self, o):
            return NotImplemented

        def __repr__(self):
            return "R"

    class Sub(int):
        def __radd__(self, o):
            return "sub first"

        def __lt__(self, o):
            return "sub less"

    def f(a, b):
        return a + b

    def g(a, b):
        return a - b

    def h(a, b):
        return a > b, a < b
    drive(f, (1, 2), [(L(), R()), (1, R()), (R(), 1), (L(), L()), (1, Sub(2)), (Sub(1), 2)])
    drive(g, (1, 2), [(L(), R()), (1, R()), (1, Sub(2))])
    drive(h, (1, 2), [(1, Sub(2)), (Sub(1), 2)])


@case
def inplace_operator_fallbacks():
    class A:
        def __iadd__(self, o):
            return "iadd"

        def __sub__(self, o):
            return "sub"

        def __imul__(self, o):
            return NotImplemented

        def __mul__(self, o):
            return "mul"

        def __repr__(self):
            return "A"

    def f(a):
        x = y = z = a
        x += 1
        y -= 1
        z *= 2
        return x, y, z
    drive(f, (5,), [(A(),), (1.5,), ("a",), ([],)])


@case
def operator_added_to_class_later():
    class A:
        def __repr__(self):
            return "A"

    def f(a, b):
        return a + b
    a = A()
    heat(f, 1, 2)
    out = [outcome(f, a, 1)]
    A.__add__ = lambda self, o: ("added", o)
    out.append(heat(f, a, 1))
    A.__add__ = lambda self, o: NotImplemented
    out.append(outcome(f, a, 1))
    A.__radd__ = lambda self, o: "reflected"
    out += [f(1, a), outcome(f, a, a)]
    del A.__add__
    out.append(outcome(f, a, a))
    return out


@case
def method_with_self_rebound():
    class N:
        def __init__(self, v, child=None):
            self.v = v
            self.child = child

        def deepest(self):
            depth = 0
            while self.child is not None:
                self = self.child
                depth += 1
            return self.v, depth
    chain = N("leaf")
    for i in range(30):
        chain = N(i, chain)
    print(heat(chain.deepest))
    chain.child.child = 5
    print(outcome(chain.deepest))


@case
def metaclass_call_and_class_methods():
    class Meta(type):
        def __call__(cls, *args):
            return ("made", super().__call__(*args).v)

    class A(metaclass=Meta):
        def __init__(self, v):
            self.v = v

    def f(v):
        return A(v)
    out = [heat(f, 1), outcome(f, "x")]
    Meta.__call__ = lambda cls, *args: "patched"
    out.append(heat(f, 1))
    del Meta.__call__
    out.append(f(7).v)
    return out


@case
def builtin_methods_as_callees():
    def f(values, text):
        values.append(1)
        values.insert(0, 2)
        values.sort()
        return values.index(2), values.count(1), text.upper(), text.split(","), text.replace("a", "b"), values.pop(), text.join(["x", "y"])
    for _ in range(HOT):
        result = f([3], "a,b")
    return result, outcome(f, [3], "z"), outcome(f, ["s"], "a"), outcome(f, (1,), "a"), outcome(f, [3], 5), outcome(f, [3], b"x")


@case
def dataclass_like_equality_and_hash():
    import dataclasses

    @dataclasses.dataclass(frozen=True)
    class P:
        x: int
        y: float = 0.5

        @property
        def norm(self):
            return self.x * self.x + self.y * self.y

    def f(n):
        seen = {}
        for i in range(n):
            p = P(i % 5)
            seen[p] = seen.get(p, 0) + p.norm
        return sorted((p.x, v) for p, v in seen.items())
    print(heat(f, 20), outcome(lambda: setattr(P(1), "x", 2)), repr(P(1)), P(1) == P(1), P("a") == P(1))


@case
def enum_and_namedtuple_attributes():
    import collections
    import enum

    class Colour(enum.Enum):
        RED = 1
        BLUE = 2

    Pair = collections.namedtuple("Pair", "a b")

    def f(n):
        out = []
        for i in range(n):
            c = Colour.RED if i % 2 else Colour.BLUE
            p = Pair(i, c.value)
            out.append(p.a + p.b + p[0] + len(p.c if i > 90 else p))
        return out[-3:]
    print(heat(f, 10), outcome(f, 95))
