"""Classes that say in Python what subscripts mean: `__getitem__` and `__setitem__`."""

import sys

from corpus_api import case, drive, heat, outcome


def load(o, k):
    return o[k]


def store(o, k, v):
    o[k] = v
    return o.show()


class Rows:
    def __init__(self, rows):
        self.rows = rows

    def __getitem__(self, key):
        if isinstance(key, tuple):
            return self.rows[key[1]][key[0]]
        return self.rows[key]

    def __setitem__(self, key, value):
        if isinstance(key, tuple):
            self.rows[key[1]][key[0]] = value
        else:
            self.rows[key] = value

    def show(self):
        return self.rows


class Below(Rows):
    pass


class Other(Rows):
    def __getitem__(self, key):
        return "other", key

    def __setitem__(self, key, value):
        self.rows = [key, value]


def fresh(text):
    """A function of the same text with code of its own."""
    names = {}
    exec(compile(text, "<fresh>", "exec"), names)
    return names["f"]


LOAD = "def f(o, k):\n    return o[k]\n"
STORE = "def f(o, k, v):\n    o[k] = v\n    return o.show()\n"


@case
def loads():
    r = Rows([[1, 2], [3, 4]])
    drive(fresh(LOAD), (r, 1), [(r, 0), (r, (0, 1)), (r, (1, 0)), (r, 2), (r, (2, 0)), (r, (0, 2)), (r, "k"), (r, slice(0, 1)), (r, ()), (Below([5]), 0),
                                (Other([]), 7), ([8], 0), ({9: 10}, 9), ("ab", 1), (None, 0), (Rows, int), (list, int)])
    drive(fresh(LOAD), (r, (0, 1)), [(r, 0), (r, (1, 1)), (Below([[5]]), (0, 0)), (Other([]), (7, 8)), ({(0, 1): 2}, (0, 1)), ([1], (0, 1))])


@case
def stores():
    def r():
        return Rows([[1, 2], [3, 4]])
    drive(fresh(STORE), (r(), 1, [5, 6]), [(r(), 0, "x"), (r(), (0, 1), 7), (r(), 2, 0), (r(), (0, 2), 0), (r(), "k", 0), (r(), slice(0, 1), [0]), (Below([1]), 0, 2),
                                           (Other([]), 1, 2), ([1], 0, 2), ((1,), 0, 2), (None, 0, 1)])


@case
def update_in_place():
    def f(r, n):
        for i in range(n):
            r[i, 0] += 1.5
            r[0, 0] -= r[i, 0]
        return r.show()
    drive(f, (Rows([[1.0, 2.0]]), 2), [(Rows([[1, 2, 3]]), 3), (Rows([[1]]), 2), (Rows([["a"]]), 1), (Below([[1.0]]), 1), (Other([]), 1)])


@case
def methods_that_raise():
    class Raises:
        def __getitem__(self, key):
            if key > 3:
                raise KeyError(key)
            return key

        def __setitem__(self, key, value):
            if key > 3:
                raise ValueError(key, value)
            self.last = value

        def show(self):
            return self.last

    def caught(o, k, v):
        out = []
        for i in range(k):
            try:
                out.append(o[i])
                o[i] = v
            except KeyError as error:
                out.append(("load", error.args))
            except ValueError as error:
                out.append(("store", error.args))
        return out
    drive(fresh(LOAD), (Raises(), 1), [(Raises(), 4), (Raises(), "x")])
    drive(fresh(STORE), (Raises(), 1, 2), [(Raises(), 4, 5), (Raises(), "x", 5)])
    drive(caught, (Raises(), 3, 1), [(Raises(), 8, 1)])


@case
def signatures():
    class Default:
        def __getitem__(self, key, more=5, *, named=6):
            return key, more, named

        def __setitem__(self, key, value, more=7):
            self.last = key, value, more

        def show(self):
            return self.last

    class Star:
        def __getitem__(self, *args, **kwargs):
            return args[1:], kwargs

        def __setitem__(self, *args):
            self.last = args[1:]

        def show(self):
            return self.last

    class Wrong:
        def __getitem__(self):
            return 1

        def __setitem__(self, key):
            return 1

        def show(self):
            return 1

    class Static:
        @staticmethod
        def __getitem__(key):
            return key

        @classmethod
        def __setitem__(cls, key, value):
            cls.last = key, value

        def show(self):
            return self.last

    class Yields:
        def __getitem__(self, key):
            yield key

        def __setitem__(self, key, value):
            yield value
            raise RuntimeError

        def show(self):
            return list(self[3])
    for cls in (Default, Star, Wrong, Static):
        print(cls.__name__)
        drive(fresh(LOAD), (cls(), 1), [(cls(), 2), (cls(), (3, 4))]) if cls is not Wrong else print(outcome(load, cls(), 1))
        drive(fresh(STORE), (cls(), 1, 2), [(cls(), 2, 3)]) if cls is not Wrong else print(outcome(store, cls(), 1, 2))
    y = Yields()
    drive(fresh("def f(o, k):\n    return list(o[k])\n"), (y, 1), [(y, 2)])
    drive(fresh(STORE), (y, 1, 2), [(y, 3, 4)])


@case
def results_that_are_dropped():
    class Returns:
        def __setitem__(self, key, value):
            self.last = value
            return [key, value]

        def show(self):
            return self.last
    drive(fresh(STORE), (Returns(), 1, 2), [(Returns(), 2, "x")])


@case
def methods_are_replaced():
    class Changing:
        def __getitem__(self, key):
            return "first", key

        def __setitem__(self, key, value):
            self.last = "first", key, value

        def show(self):
            return self.last
    get, put = fresh(LOAD), fresh(STORE)
    o = Changing()
    heat(get, o, 1)
    heat(put, o, 1, 2)
    o.__getitem__ = lambda key: "the instance's own"
    print(outcome(get, o, 2), outcome(put, o, 2, 3))
    Changing.__getitem__ = lambda self, key: ("second", key)
    Changing.__setitem__ = lambda self, key, value: setattr(self, "last", ("second", key, value))
    print(outcome(get, o, 2), outcome(put, o, 2, 3))
    heat(get, o, 1)
    heat(put, o, 1, 2)
    del Changing.__getitem__, Changing.__setitem__
    print(outcome(get, o, 2), outcome(put, o, 2, 3))
    Changing.__class_getitem__ = classmethod(lambda cls, key: ("class", key))
    print(outcome(get, o, 2), outcome(get, Changing, 2))


@case
def replaced_while_running():
    class Changing:
        def __init__(self):
            self.at = None

        def __getitem__(self, key):
            if key == self.at:
                Changing.__getitem__ = lambda self, key: -key
            return key

    def f(o, n):
        return [o[i] for i in range(n)]
    o, first = Changing(), Changing.__getitem__
    heat(f, o, 5)
    o.at = 3
    print(outcome(f, o, 8))
    Changing.__getitem__ = first


@case
def instances_change_class():
    o = Rows([1, 2])
    get, put = fresh(LOAD), fresh(STORE)
    heat(get, o, 1)
    heat(put, o, 1, 2)
    o.__class__ = Other
    print(outcome(get, o, 1), outcome(put, o, 1, 2))


@case
def frames_are_seen():
    class Looks:
        def __getitem__(self, key):
            frame = sys._getframe(1)
            return frame.f_code.co_name, frame.f_lineno - frame.f_code.co_firstlineno, sorted(frame.f_locals)

        def __setitem__(self, key, value):
            frame = sys._getframe(1)
            self.last = frame.f_code.co_name, frame.f_lineno - frame.f_code.co_firstlineno, frame.f_locals["v"]

        def show(self):
            return self.last
    drive(fresh(LOAD), (Looks(), 1), [(Looks(), 2)])
    drive(fresh(STORE), (Looks(), 1, 2), [(Looks(), 2, 3)])


@case
def they_call_themselves():
    class Deep:
        def __getitem__(self, key):
            return 0 if key == 0 else self[key - 1] + 1

        def __setitem__(self, key, value):
            if key:
                self[key - 1] = value + 1
            else:
                self.last = value

        def show(self):
            return self.last
    d = Deep()
    drive(fresh(LOAD), (d, 5), [(d, 20), (d, 0), (d, "x")])
    drive(fresh(STORE), (d, 5, 0), [(d, 20, 1), (d, 0, 2), (d, "x", 3)])


@case
def operands_die_when_they_should():
    log = []

    class Dies:
        def __init__(self, name):
            self.name = name

        def __del__(self):
            log.append(self.name)

    class Drops:
        def __getitem__(self, key):
            del key
            log.append("in load")
            return 1

        def __setitem__(self, key, value):
            del key, value
            log.append("in store")

        def __del__(self):
            log.append("container")

    def f(n):
        for _ in range(n):
            Drops()[Dies("key")]
            log.append("then")
            Drops()[Dies("key")] = Dies("value")
            log.append("then")
        return len(log)
    heat(f, 3)
    log.clear()
    f(1)
    # When the key of a load dies depends on whether the interpreter has specialised it; what is stored outlives the method in any case.
    print(sorted(log[:log.index("then")]), sorted(log[log.index("then") + 1:]), log.index("in store") - log.index("then"))


@case
def dicts_and_lists_below():
    class Counting(dict):
        def __getitem__(self, key):
            return dict.__getitem__(self, key) + 1

        def __setitem__(self, key, value):
            dict.__setitem__(self, key, value * 2)

        def show(self):
            return dict(self)

    class Shifted(list):
        def __getitem__(self, key):
            return list.__getitem__(self, key - 1)

        def __setitem__(self, key, value):
            list.__setitem__(self, key - 1, value)

        def show(self):
            return list(self)

    class Missing(dict):
        def __missing__(self, key):
            return "missing", key

        def show(self):
            return dict(self)
    for make in (lambda: Counting(a=1, b=2), lambda: Missing(a=1)):
        drive(fresh(LOAD), (make(), "a"), [(make(), "b"), (make(), "c"), (make(), []), ({"b": 5}, "b")])
        drive(fresh(STORE), (make(), "a", 3), [(make(), "b", 4), (make(), [], 4)])
    drive(fresh(LOAD), (Shifted([1, 2]), 1), [(Shifted([1, 2]), 2), (Shifted([1, 2]), 3), (Shifted([1]), "a"), ([1, 2], 1)])
    drive(fresh(STORE), (Shifted([1, 2]), 1, 5), [(Shifted([1, 2]), 2, 6), (Shifted([1, 2]), 3, 7), (Shifted([1]), "a", 8)])


@case
def closures_and_slots():
    def make(extra):
        class Slotted:
            __slots__ = ("x",)

            def __getitem__(self, key):
                return key + extra

            def __setitem__(self, key, value):
                self.x = key, value, extra

            def show(self):
                return self.x
        return Slotted
    a, b = make(1)(), make(2)()
    drive(fresh(LOAD), (a, 1), [(a, 2), (b, 2), (a, "x")])
    drive(fresh(STORE), (a, 1, 2), [(a, 2, 3), (b, 2, 3)])


@case
def metaclasses():
    class Meta(type):
        def __getitem__(cls, key):
            return cls.__name__, key

        def __setitem__(cls, key, value):
            cls.last = key, value

    class A(metaclass=Meta):
        last = None

        @classmethod
        def show(cls):
            return cls.last

    class B(A):
        pass
    drive(fresh(LOAD), (A, 1), [(A, 2), (B, 2), (int, 2), (list, int)])
    drive(fresh(STORE), (A, 1, 2), [(A, 2, 3), (B, 2, 3), (int, 2, 3)])


@case
def instances_in_turns():
    def f(items, n):
        o, total = items[0], 0
        for i in range(n):
            total += o[i % 2]
            o[1] = i % 100
            if i % 50 == 49:
                o = items[i // 50 % len(items)]
        return total, [o.show() if hasattr(o, "show") else o for o in items]

    def r(*values):
        return Rows(list(values))
    drive(f, ([r(1, 2), r(3, 4)], 300), [([r(1, 2), r(3, 4)], 300), ([r(1, 2), Below([3, 4])], 500), ([Below([1, 2]), r(3, 4), [5, 6]], 500),
                                         ([[1, 2], r(3, 4), {0: 5, 1: 6}], 500), ([r(1, 2), Other([])], 500), ([r(1)], 5)])
