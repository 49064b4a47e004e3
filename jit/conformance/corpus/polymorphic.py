"""One site, several types: two, four, sixteen, alternating, drifting, and returning to the first."""

from corpus_api import HOT, case, drive, heat, outcome


def make_classes(n):
    classes = []
    for i in range(n):
        space = {}
        exec(f"class K{i}:\n"
             f"    def __init__(self, x):\n" + "".join(f"        self.pad{j} = {j}\n" for j in range(i % 5)) +
             f"        self.x = x\n"
             f"    def m(self):\n        return self.x + {i}\n", space)
        classes.append(space[f"K{i}"])
    return classes


@case
def two_classes_alternating():
    A, B = make_classes(2)

    def f(objects):
        t = 0
        for o in objects:
            t += o.x + o.m()
        return t
    return heat(f, [A(1), B(2)] * 10), f([A(1.5), B(2)]), outcome(f, [A(1), B("x")]), outcome(f, [A(1), 5])


@case
def megamorphic_attribute_and_method():
    classes = make_classes(20)

    def f(objects):
        t = 0
        for o in objects:
            t += o.x
            t += o.m()
            o.x = t % 7
        return t
    objects = [cls(i) for i, cls in enumerate(classes)]
    print([f(objects) for _ in range(HOT)][-5:])
    objects[13].x = 0.5
    print(f(objects), outcome(f, objects[:5] + ["s"]))


@case
def monomorphic_then_drifting():
    classes = make_classes(8)

    def f(o):
        return o.x * 2 + o.m()
    out = []
    for i, cls in enumerate(classes):
        out.append(heat(f, cls(i)))
        out.append(outcome(f, classes[0](1)))
    return out


@case
def operator_polymorphism():
    def f(a, b):
        return a + b
    values = [(1, 2), (1.5, 2.5), ("a", "b"), ([1], [2]), ((1,), (2,)), (1, 2.5), (2.5, 1), (2**70, 1), (True, False), (1j, 1), (b"a", b"b")]
    for _ in range(HOT):
        for a, b in values:
            f(a, b)
    return [outcome(f, a, b) for a, b in values] + [outcome(f, 1, "a"), outcome(f, "a", 1), outcome(f, None, None)]


@case
def comparison_polymorphism():
    def f(a, b):
        return (a < b, a == b) if a != b else "equal"
    values = [(1, 2), (1.5, 2.5), ("a", "b"), ([1], [2]), ((1,), (2,)), (1, 2.5), (2**70, 1), (True, 0), (b"a", b"b"), ({1}, {1, 2})]
    for _ in range(HOT):
        for a, b in values:
            f(a, b)
    return [outcome(f, a, b) for a, b in values] + [outcome(f, 1, "a"), outcome(f, None, 1), outcome(f, 1j, 2j)]


@case
def subscript_polymorphism():
    def f(o, k):
        return o[k]
    values = [([1, 2], 1), ((1, 2), 0), ("ab", 1), ({1: "one"}, 1), ({"k": 2}, "k"), (b"ab", 0), (range(5), 2), (bytearray(b"x"), 0)]
    for _ in range(HOT):
        for o, k in values:
            f(o, k)
    return [outcome(f, o, k) for o, k in values] + [outcome(f, 5, 1), outcome(f, [1], "a"), outcome(f, list, int)]


@case
def iteration_polymorphism():
    def f(it):
        n = 0
        for x in it:
            n = n * 3 + (x if isinstance(x, (int, float)) else len(x))
        return n
    values = [[1, 2], (3, 4), range(3), "abc", {1: 2}, {4}, [1.5], (), {}.items(), {1: "aa"}.values(), b"ab"]
    for _ in range(HOT):
        for it in values:
            f(it)
    return [outcome(f, it) for it in values] + [outcome(f, 5), outcome(f, [[1]])]


@case
def call_polymorphism():
    def f(callee, x):
        return callee(x)

    class C:
        def __init__(self, x):
            self.x = x

        def m(self, y):
            return self.x + y

        def __call__(self, y):
            return self.x - y

        def __repr__(self):
            return f"C({self.x})"
    callees = [abs, int, str, lambda x: x + 1, lambda x, y=3: x * y, C(5).m, C(5), C, len, type, float, [].append, print.__class__,
               (lambda *a: a), (lambda **k: k)]
    for _ in range(HOT // 4):
        for callee in callees:
            outcome(f, callee, 7)
    return [outcome(f, callee, 7) for callee in callees]


@case
def truthiness_polymorphism():
    def f(x):
        n = 0
        while x:
            n += 1
            x = x[1:] if not isinstance(x, (int, float)) else x - 1
        return n
    values = [3, 2.0, "abc", [1, 2], (1, 2, 3), True, b"ab", None]
    for _ in range(HOT):
        for x in values:
            f(x)
    return [outcome(f, x) for x in values] + [outcome(f, {1: 2})]


@case
def return_type_varies():
    def g(i):
        if i % 97 == 96:
            return "s"
        if i % 11 == 10:
            return 0.5
        if i % 13 == 12:
            return None
        if i % 17 == 16:
            return 2**65
        return i

    def f(n):
        out = []
        for i in range(n):
            r = g(i)
            out.append(r if r is None or isinstance(r, str) else r + 1)
        return out
    return f(100)[-30:], heat(f, 20)[-3:]


@case
def inheritance_depth():
    class A:
        def m(self):
            return 1

        def n(self):
            return self.m() * 2

    classes = [A]
    for i in range(6):
        base = classes[-1]
        classes.append(type(f"L{i}", (base,), {"m": (lambda k: lambda self: k)(i)} if i % 2 else {}))

    def f(objects):
        return [o.n() for o in objects]
    objects = [cls() for cls in classes]
    out = [heat(f, objects[:1]), heat(f, objects)]
    classes[3].m = lambda self: 0.5
    out.append(f(objects))
    del classes[2].m
    out.append(f(objects))
    return out


@case
def isinstance_dispatch():
    def size(x):
        if isinstance(x, int):
            return 1
        if isinstance(x, str):
            return len(x)
        if isinstance(x, (list, tuple)):
            return sum(size(y) for y in x)
        if isinstance(x, dict):
            return sum(size(k) + size(v) for k, v in x.items())
        raise TypeError(f"no size: {type(x).__name__}")
    value = [1, "abc", (2, [3, "de"]), {"k": [4, 5], 6: "f"}]
    return heat(size, value), outcome(size, [1, [2, 1.5]]), outcome(size, True)


@case
def instancecheck_overridden():
    class Meta(type):
        answer = True

        def __instancecheck__(cls, obj):
            if obj == "raise":
                raise RuntimeError("asked")
            return cls.answer

    class A(metaclass=Meta):
        pass

    def f(x):
        return isinstance(x, A), isinstance(x, (int, A))
    out = [heat(f, 1)]
    Meta.answer = False
    out += [f(1), f("s"), outcome(f, "raise")]
    return out


@case
def generic_containers_mixed_items():
    def f(items):
        ints = floats = texts = other = 0
        for x in items:
            t = type(x)
            if t is int:
                ints += x
            elif t is float:
                floats += x
            elif t is str:
                texts += len(x)
            else:
                other += 1
        return ints, floats, texts, other
    mixed = [1, 2.5, "abc", None, True, [1], 2**65, float("inf"), ""] * 6
    return heat(f, [1, 2, 3]), f(mixed), heat(f, mixed), f([1.5])


@case
def methods_of_several_classes_with_shadows():
    class Plain:
        def __init__(self, n):
            self.n = n

        def value(self, k):
            return self.n + k

    class Slotted:
        __slots__ = ("n",)

        def __init__(self, n):
            self.n = n

        def value(self, k):
            return self.n * k

    class Third(Plain):
        n = 100

        def __init__(self):
            pass

        def value(self, k):
            return self.n - k + 0.5

    def f(objects):
        t = 0
        for o in objects:
            t += o.value(2)
            t += o.n
        return t

    objects = [Plain(1), Slotted(2), Third()] * 5
    out = [heat(f, objects), heat(f, objects)]
    shadowing = Plain(3)
    shadowing.value = lambda k: k * 1000
    out.append(f(objects + [shadowing]))
    own = Third()
    own.n = 7
    out.append(f(objects + [own]))
    raw = Plain(5)
    raw.value = Plain.value
    out.append(outcome(f, objects + [raw]))
    bare = Slotted(1)
    del bare.n
    out.append(outcome(f, objects + [bare]))
    Third.value = Plain.value
    out.append(f(objects))
    return out


@case
def callee_gives_what_it_was_given():
    class Box:
        def __init__(self, x):
            self.x = x

        def get(self):
            return self.x

    def f(box, n):
        t = 0
        for _ in range(n):
            t = t + box.get() * 2
        return t

    out = []
    for x in (3, 1000, 2**40, 2**70, 0.5, True, "s"):
        out.append(outcome(f, Box(x), 30))
    out.append(heat(f, Box(7), 5))
    out.append(heat(f, Box(1.25), 5))
    return out


@case
def stores_through_a_base_class():
    class Base:
        def __init__(self, x):
            self.x = x
            self.y = x * 2

        def grow(self, by):
            self.x += by
            self.y = [self.x]

    class One(Base):
        pass

    class Two(Base):
        def __init__(self, x):
            self.z = 1
            super().__init__(x)

    class Slots:
        __slots__ = ("x", "y")
        grow = Base.grow

        def __init__(self, x):
            self.x = self.y = x

    class Guarded(Base):
        @property
        def y(self):
            return self._y

        @y.setter
        def y(self, value):
            if value == "refused":
                raise ValueError(value)
            self._y = value

    def f(x, by):
        objects = [One(x), Two(x), Slots(x), Base(x), Guarded(x)]
        objects[3].__dict__
        for o in objects:
            o.grow(by)
        return [(o.x, o.y) for o in objects], [list(vars(o).items()) for o in objects if not isinstance(o, Slots)]

    out = [heat(f, 1, 2), heat(f, 0.5, 3), heat(f, 2**70, 1), outcome(f, "a", "b"), outcome(f, "a", 1)]

    def put(o, value):
        o.y = value

    for value in (1, 2.5, "refused"):
        for cls in (One, Two, Slots, Base, Guarded):
            o = cls(3)
            out.append((heat(put, o, 7), outcome(put, o, value), o.y))
    return out, outcome(put, 5, 1), outcome(put, object(), 1)


@case
def one_value_of_several_classes_at_many_sites():
    class Base:
        shared = "of the class"

        def __init__(self, a, b):
            self.a = a
            self.b = b
            self.c = [a, b]
            self.d = None
            self.e = self.kind(b)

        def kind(self, x):
            return (x, "base")

    class Plain(Base):
        pass

    class Slots:
        __slots__ = ("a", "b", "c", "d", "e")
        shared = "of Slots"
        __init__ = Base.__init__

        def kind(self, x):
            return (x, "slots")

    class Checked(Base):
        @property
        def c(self):
            return self._c

        @c.setter
        def c(self, value):
            if value[0] == "refused":
                raise ValueError(value)
            self._c = value

        def kind(self, x):
            return self.a, x

    class Odd(Base):
        def __setattr__(self, name, value):
            object.__setattr__(self, name, (name, value))

        def __getattr__(self, name):
            return lambda *args: (name, args)

        kind = property(lambda self: len)

    class Shadowing(Base):
        def __init__(self, a, b):
            self.kind = lambda x: (x, "of the instance")
            self.shared = "of the instance"
            super().__init__(a, b)

    def look(o):
        found = [o.a, o.b, o.shared]
        found.append(o.c)
        if isinstance(o, Slots):
            found += [o.d, o.e, o.kind(1)]
        elif type(o) is Odd:
            found += [o.d, o.e, o.missing(2)]
        else:
            found += [o.d, o.e, o.kind(3)]
        o.a = o.b
        return found, o.a, o.kind(4)

    def make(cls, a, b):
        return look(cls(a, b))

    out = []
    classes = (Plain, Slots, Checked, Shadowing, Base)
    heat(make, Plain, 1, 2)
    for cls in classes * 2:
        out.append(heat(make, cls, 1, 2.5))
    for cls in classes + (Odd,):
        for values in ((1, 2), (2**70, "s"), ("refused", [])):
            out.append(outcome(make, cls, *values))
    strange = Plain(5, [6])
    strange.__dict__["more"] = 7
    out.append(outcome(look, strange))
    del strange.d
    out.append(outcome(look, strange))
    for cls in classes:
        bare = cls.__new__(cls)
        out.append(outcome(look, bare))
    Base.shared = 1
    Plain.kind = len
    Checked.d = property(lambda self: 1 / 0)
    for cls in classes:
        out.append(outcome(make, cls, 8, 9))
    return out, outcome(look, 5), outcome(look, None)


@case
def a_value_changes_its_class_between_sites():
    class One:
        def __init__(self, x):
            self.x = x

        def turn(self):
            self.__class__ = Two
            return 1

    class Two(One):
        y = "class"

        def turn(self):
            self.__class__ = One
            return 2

    def f(o):
        first = o.x
        n = o.turn()
        o.z = first
        again = o.turn()
        o.x = (n, again)
        return o.x, o.z, type(o).__name__, getattr(o, "y", "none")

    out = [heat(f, One(1)), heat(f, Two(2)), heat(f, One(3))]
    for o in (One(4), Two(5)):
        out.append([f(o) for _ in range(3)])
    return out


@case
def one_value_unpacked_iterated_and_asked_again_and_again():
    class Odd:
        def __init__(self, *items):
            self.items = items

        def __iter__(self):
            yield from self.items

        def __bool__(self):
            if len(self.items) == 1:
                raise ValueError("neither true nor false")
            return len(self.items) != 3

    def unpacks(x):
        a, b = x
        c, d = x
        (e, f), g = x, x
        a, b = x
        return [a, b, c, d, e, f, g is x]

    def iterates(x):
        seen = []
        for a in x:
            seen.append(a)
        for b in x:
            seen.append(b)
        if seen:
            for a in x:
                seen.append((a, b))
        return seen

    def asks(x):
        r = []
        if x:
            r.append(1)
        if not x:
            r.append(2)
        while x:
            r.append(3)
            break
        return r, bool(x) or r

    def moves(x, n):
        for _ in range(n):
            a, b, c, d, e, f, g, h = x
            h, a, b, c, d, e, f, g = x
            g, h, a, b, c, d, e, f = x
            f, g, h, a, b, c, d, e = x
            e, f, g, h, a, b, c, d = x
        return a, b, c, d, e, f, g, h

    out = []
    for f in (unpacks, iterates, asks):
        heat(f, [1, 2])
        for x in ((1, 2), "ab", {3: 4, 5: 6}, range(2), Odd(1, "s"), [2**70, 0.5]):
            out.append(heat(f, x))
        for x in ((), [], "", Odd(), (1,), [1], Odd(1), (1, 2, 3), [1, 2, 3], Odd(1, 2, 3), 5, 0, None, 1.5, True):
            out.append(outcome(f, x))
    for x in (tuple(range(8)), list("abcdefgh"), "abcdefgh"):
        out.append(heat(moves, x, 20))
    for x in ((), [1] * 7, Odd(*range(8)), Odd(1), None):
        out.append(outcome(moves, x, 3))
    return out


@case
def arguments_of_several_classes_from_the_first_call_on():
    class One:
        word = "of One"

        def __init__(self, x):
            self.x = x
            self.y = [x]

        def say(self, other):
            return "one", other.x

    class Two(One):
        word = "of Two"

        def say(self, other):
            return "two", self.x, type(other).__name__

    class Slots:
        __slots__ = ("x", "y")
        word = "of Slots"
        __init__ = One.__init__

        def say(self, other):
            return "slots", other.word

    class Asked(One):
        @property
        def word(self):
            return self.x, "asked"

        def __getattr__(self, name):
            return name

    def look(a, b):
        return a.x, b.word, a.y, a.say(b), b.say(a), a.word

    def put(a, b):
        a.x, b.y = b.x, a.y
        a.y = a.x
        return a.x, b.y

    def replaced(a, b):
        x = a.x
        a = b
        return x, a.x, a.say(b)

    def divided(a, b):
        if type(a) is One:
            return a.x, b.x
        if isinstance(a, Two):
            return a.say(b), a.word
        del b.y
        b.y = a.x
        return a.word, b.y

    out = []
    for f in (look, put, replaced, divided):
        objects = [cls(n) for n, cls in enumerate((One, Two, Slots, Asked))]
        pairs = [(a, b) for a in objects for b in objects]
        for _ in range(40):
            found = [f(a, b) for a, b in pairs]
        out.append(found)
        out.append([outcome(f, objects[0], wrong) for wrong in (5, None, One, object())])
        out.append([outcome(f, wrong, objects[1]) for wrong in (5, None, One, object())])
        del objects[2].x
        out.append([outcome(f, a, b) for a, b in pairs])
    say, Two.say, One.word = Two.say, lambda self, other: "changed", "later"
    out.append([outcome(look, a, b) for a, b in [(cls(1), other(2)) for cls in (One, Two, Asked) for other in (Two, Asked)]])
    Two.say = say
    return out
