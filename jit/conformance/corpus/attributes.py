"""Attributes: instance dictionaries, slots, descriptors, and every change to a class after its users are hot."""

from corpus_api import HOT, case, drive, heat, outcome


def get_x(o):
    return o.x


def set_x(o, value):
    o.x = value
    return o.x


def make_point():
    class Point:
        def __init__(self, x=1, y=2):
            self.x = x
            self.y = y

        def __repr__(self):
            return f"{type(self).__name__}{sorted(self.__dict__.items())!r}"
    return Point


@case
def load_instance_attribute():
    Point = make_point()
    p = Point()
    print(heat(get_x, p))
    for value in (2.5, "s", None, 2**70, [1]):
        p.x = value
        print(outcome(get_x, p))
    del p.x
    print(outcome(get_x, p), outcome(get_x, 5), outcome(get_x, None), outcome(get_x, Point))
    return heat(get_x, Point(9))


@case
def store_instance_attribute():
    Point = make_point()
    p = Point()
    heat(set_x, p, 3)
    for value in (2.5, 1.5, "s", None, 2**70, 7):
        print(outcome(set_x, p, value), p)
    print(outcome(set_x, 5, 1), outcome(set_x, None, 1), outcome(set_x, object(), 1))
    return set_x(Point, "on the class"), Point.x


@case
def increment_attribute_in_loop():
    Point = make_point()

    def spin(p, n, step):
        for _ in range(n):
            p.x += step
            p.y = p.x - p.y
        return p.x, p.y
    p = Point()
    for _ in range(HOT):
        spin(p, 3, 1)
    print(p, spin(p, 10, 0.5), spin(p, 4, 2**62), outcome(spin, p, 2, "a"), p)
    q = Point(1.5, 2.5)
    print(heat(spin, q, 5, 0.25), q)


@case
def attribute_added_late():
    Point = make_point()
    p = Point()

    def f(o):
        return o.x + o.z
    p.z = 5
    print(heat(f, p))
    q = Point()
    print(outcome(f, q))
    q.z = 7
    print(outcome(f, q))
    for i in range(50):
        setattr(p, f"extra{i}", i)
    print(f(p), heat(f, q), outcome(f, Point()))


@case
def attribute_order_differs():
    class Plain:
        pass

    def build(names):
        o = Plain()
        for n in names:
            setattr(o, n, ord(n))
        return o

    def f(o):
        return o.a - o.b
    objects = [build("ab"), build("ba"), build("cab"), build("b"), build("a")]
    heat(f, objects[0])
    return [outcome(f, o) for o in objects], [outcome(f, o) for o in reversed(objects)]


@case
def instance_dict_materialised():
    Point = make_point()
    p = Point()
    heat(get_x, p)
    d = p.__dict__
    d["x"] = 10
    print(get_x(p), heat(set_x, p, 20), d["x"])
    p.__dict__ = {"x": 30}
    print(get_x(p), heat(get_x, p), set_x(p, 31), d["x"])
    del p.__dict__["x"]
    print(outcome(get_x, p))
    p.__dict__ = {}
    p.__dict__[1] = 2
    print(set_x(p, 5), list(p.__dict__))


@case
def class_attribute_changed():
    class Config:
        x = 1
    c = Config()
    out = [heat(get_x, c)]
    for value in (2, 2.5, "s"):
        Config.x = value
        out.append(heat(get_x, c))
    c.x = "instance"
    out.append(heat(get_x, c))
    del c.x
    out.append(get_x(c))
    del Config.x
    out.append(outcome(get_x, c))
    Config.x = property(lambda self: "property")
    out.append(heat(get_x, c))
    return out


@case
def class_attribute_changed_inside_the_loop():
    class Config:
        step = 1

    def f(c, n):
        total = 0
        for i in range(n):
            total += c.step
            if i == 70:
                Config.step = 0.5
            if i == 90:
                c.step = 100
        return total
    for _ in range(5):
        Config.step = 1
        c = Config()
        result = f(c, 120), f(c, 3), f(Config(), 3)
    return result


@case
def attribute_of_base_class_changed():
    class A:
        x = 1

    class B(A):
        pass

    class C(B):
        pass
    c = C()
    out = [heat(get_x, c)]
    A.x = 2
    out.append(heat(get_x, c))
    B.x = 3
    out.append(heat(get_x, c))
    del B.x
    out.append(get_x(c))

    class D:
        x = "d"
    C.__bases__ = (D,)
    out.append(get_x(c))
    return out


@case
def slots():
    class Slotted:
        __slots__ = ("x", "y")

        def __repr__(self):
            return "Slotted"
    s = Slotted()
    print(outcome(get_x, s))
    s.x = 1
    print(heat(get_x, s), heat(set_x, s, 5))
    for value in (1.5, None, "a", 2**80):
        print(outcome(set_x, s, value))
    del s.x
    print(outcome(get_x, s), outcome(lambda: setattr(s, "z", 1)))

    def bump(o, n):
        for _ in range(n):
            o.y += 1
        return o.y
    print(outcome(bump, s, 1))
    s.y = 0
    print(bump(s, 100))
    s.y = 0.5
    print(bump(s, 100))
    del Slotted.x
    print(outcome(get_x, s))


@case
def slots_and_dict_in_a_hierarchy():
    class Base:
        __slots__ = ("x",)

    class WithDict(Base):
        pass

    class Both(Base):
        __slots__ = ("y", "__dict__")
    objects = []
    for cls in (Base, WithDict, Both):
        o = cls()
        o.x = cls.__name__
        objects.append(o)
        print(heat(get_x, o), heat(set_x, o, cls.__name__))
    objects[1].z = 1
    objects[2].z = 2
    return [outcome(lambda: o.z) for o in objects], [get_x(o) for o in objects]


@case
def properties():
    class Circle:
        def __init__(self, r):
            self.r = r
            self.sets = 0

        @property
        def x(self):
            if self.r < 0:
                raise ValueError("negative radius")
            return self.r * 2

        @x.setter
        def x(self, value):
            self.sets += 1
            self.r = value / 2
    c = Circle(3)
    print(heat(get_x, c), heat(set_x, c, 8), c.sets == HOT)
    c.r = -1
    print(outcome(get_x, c), outcome(set_x, c, "a"))
    c.r = 1.5
    print(outcome(get_x, c))
    Circle.x = property(lambda self: "new getter")
    print(heat(get_x, c), outcome(set_x, c, 1))
    del Circle.x
    print(outcome(get_x, c), set_x(c, "plain"))


@case
def property_raising_attribute_error_falls_to_getattr():
    class Odd:
        @property
        def x(self):
            raise AttributeError("inner")

        def __getattr__(self, name):
            return f"fallback {name}"
    o = Odd()
    return heat(get_x, o), outcome(set_x, o, 1)


@case
def getattr_fallback():
    class Dynamic:
        def __init__(self):
            self.calls = 0

        def __getattr__(self, name):
            if name == "gone":
                raise AttributeError("really gone", name=name, obj=self)
            self.calls += 1
            return name * 2

    def f(o):
        return o.x, o.y
    d = Dynamic()
    print(heat(f, d), d.calls)
    d.x = 1
    print(f(d), d.calls)
    Dynamic.y = 2
    print(heat(f, d), d.calls)
    print(outcome(lambda: d.gone))
    del Dynamic.__getattr__
    del d.x
    print(outcome(f, d))


@case
def getattribute_override():
    class Watching:
        def __init__(self):
            object.__setattr__(self, "log", [])
            self.x = 1

        def __getattribute__(self, name):
            log = object.__getattribute__(self, "log")
            log.append(name)
            return object.__getattribute__(self, name)
    w = Watching()
    heat(get_x, w)
    print(len(object.__getattribute__(w, "log")))
    del Watching.__getattribute__
    print(heat(get_x, w), len(w.log))
    Watching.__getattribute__ = lambda self, name: f"replaced {name}"
    print(heat(get_x, w))


@case
def setattr_override():
    class Guarded:
        def __setattr__(self, name, value):
            if value is None:
                raise TypeError("no None here")
            object.__setattr__(self, name, value * 2)
    g = Guarded()
    print(heat(set_x, g, 3), outcome(set_x, g, None), set_x(g, "ab"))
    del Guarded.__setattr__
    print(heat(set_x, g, 3), outcome(set_x, g, None))


@case
def delattr_paths():
    class Slotted:
        __slots__ = ("x",)
    Point = make_point()

    def f(o):
        o.x = 1
        del o.x
        return hasattr(o, "x")

    def twice(o):
        del o.x
        del o.x
    heat(f, Point())
    print(f(Point()), heat(f, Slotted()), outcome(twice, Point()), outcome(f, 5), outcome(f, Point))
    s = Slotted()
    s.x = 1
    print(outcome(twice, s))


@case
def class_assignment():
    class A:
        kind = "A"

        def name(self):
            return "A.name"

    class B:
        kind = "B"

        def name(self):
            return "B.name"

    def f(o):
        return o.x, o.kind, o.name()
    o = A()
    o.x = 1
    out = [heat(f, o)]
    o.__class__ = B
    out += [f(o), heat(f, o)]
    o.__class__ = A
    out.append(f(o))
    return out, outcome(setattr, o, "__class__", int)


@case
def class_assignment_inside_the_loop():
    class A:
        def step(self):
            return 1

    class B:
        def step(self):
            return 0.5

    def f(o, n):
        total = 0
        for i in range(n):
            total += o.step()
            if i == n // 2:
                o.__class__ = B
        return total
    return [f(A(), n) for n in (1, 2, 50, 201)], f(B(), 10)


@case
def descriptors():
    class Data:
        def __get__(self, obj, cls):
            return "data get" if obj is not None else "on class"

        def __set__(self, obj, value):
            if value == 13:
                raise ValueError("unlucky")
            obj.__dict__["x"] = value

    class NonData:
        def __get__(self, obj, cls):
            return "non-data"

    class A:
        x = Data()

    class B:
        x = NonData()
    a, b = A(), B()
    print(heat(get_x, a), heat(get_x, b), get_x(A), get_x(B))
    a.__dict__["x"] = 1
    b.__dict__["x"] = 2
    print(heat(get_x, a), heat(get_x, b), outcome(set_x, a, 13), set_x(b, 5))
    del Data.__get__
    print(outcome(get_x, a))
    NonData.__set__ = lambda self, obj, value: None
    print(get_x(b), set_x(b, 9))
    del Data.__set__
    print(outcome(get_x, a))


@case
def class_level_descriptor_becomes_plain():
    class A:
        x = property(lambda self: 1)
    a = A()
    out = [heat(get_x, a)]
    A.x = 5
    out.append(heat(get_x, a))
    a.x = 6
    out.append(get_x(a))
    A.x = property(lambda self: 7)
    out.append(heat(get_x, a))
    return out


@case
def attributes_of_builtin_types():
    def f(o):
        return o.real, o.imag
    drive(f, (5,), [(1.5,), (True,), (2 + 3j,), ("a",), (None,), (2**70,)])


@case
def attributes_of_classes_and_functions():
    class Meta(type):
        x = "meta"

    class A(metaclass=Meta):
        pass

    class B(A):
        x = "own"

    def function():
        pass
    function.x = "function"
    out = [heat(get_x, A), heat(get_x, B), heat(get_x, function)]
    A.x = "now own"
    out.append(heat(get_x, A))
    del A.x
    Meta.x = property(lambda cls: "meta property of " + cls.__name__)
    out += [heat(get_x, A), heat(get_x, B)]
    del function.x
    out.append(outcome(get_x, function))
    return out


@case
def weird_layouts():
    class MyInt(int):
        pass

    class MyDict(dict):
        pass

    class MyTuple(tuple):
        pass

    class Err(Exception):
        pass
    out = []
    for cls in (MyInt, MyDict, MyTuple, Err):
        o = cls()
        out.append((heat(set_x, o, 1), get_x(o), outcome(set_x, o, "s")))
    return out


@case
def setattr_getattr_builtins():
    Point = make_point()

    def f(o, name):
        setattr(o, name, getattr(o, name, 0) + 1)
        return getattr(o, name), hasattr(o, name + "z"), getattr(o, "nope", "default")
    p = Point()
    print(heat(f, p, "x"), heat(f, p, "w"), p)
    print(outcome(f, p, 5), outcome(f, 5, "x"), outcome(f, p, "__class__"))


@case
def linked_list():
    class Node:
        __slots__ = ("value", "next")

        def __init__(self, value, next):
            self.value = value
            self.next = next

    def build(n):
        head = None
        for i in range(n):
            head = Node(i, head)
        return head

    def total(node):
        t = 0
        while node is not None:
            t += node.value
            node = node.next
        return t
    head = build(100)
    print(heat(total, head))
    head.next.next.value = 0.5
    print(total(head))
    head.next.next.next.value = "a"
    print(outcome(total, head))
    head.next = 7
    print(outcome(total, head))


@case
def attribute_error_positions_and_suggestions():
    Point = make_point()

    def f(p, q):
        return p.x + q.y * (p.xx if q.x == 0 else q.x)
    drive(f, (Point(), Point()), [(Point(), Point(0)), (Point(), None), (5, Point())])


@case
def many_instances_same_class():
    Point = make_point()

    def total(points):
        t = 0
        for p in points:
            t += p.x * p.y
        return t
    points = [Point(i, i + 1) for i in range(100)]
    print(heat(total, points))
    points[50].x = 1.5
    points[60].y = 2**70
    points[70].extra = 1
    print(total(points))
    points[80].__dict__
    print(total(points))
    del points[90].y
    print(outcome(total, points))
    points[90] = None
    print(outcome(total, points))


@case
def many_attributes():
    class Big:
        def __init__(self):
            for i in range(60):
                setattr(self, f"a{i}", i)

    def f(o):
        return o.a0 + o.a29 + o.a30 + o.a31 + o.a59
    b = Big()
    print(heat(f, b))
    b.a59 = 0.5
    print(f(b))
    del b.a30
    print(outcome(f, b), sorted(b.__dict__)[:3])


@case
def attribute_deleted_and_readded_in_loop():
    Point = make_point()

    def f(p, n):
        out = []
        for i in range(n):
            if i % 5 == 4:
                del p.x
            if i % 5 == 0:
                p.x = i
            out.append(getattr(p, "x", None))
        return out, list(p.__dict__)
    return f(Point(), 101), heat(f, Point(), 11)
