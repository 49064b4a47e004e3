"""Builtin functions and methods in C called directly: exact classes, their subclasses, errors, and what replaces them midway."""

import builtins
import collections
import heapq
import sys

from corpus_api import HOT, case, drive, heat, outcome


class Int(int):
    def __lt__(self, other):
        return int(self) > int(other)

    def __gt__(self, other):
        return int(self) < int(other)

    def __abs__(self):
        return "abs of a subclass"

    def __divmod__(self, other):
        return "divmod", "of a subclass"

    def __int__(self):
        return 77

    def __index__(self):
        return 2


class Str(str):
    def __len__(self):
        return 100

    def __getitem__(self, key):
        return ("item", key)

    def __contains__(self, part):
        return part == "only this"

    def __eq__(self, other):
        return "never"

    __hash__ = str.__hash__

    def __str__(self):
        return self

    def lower(self):
        return "LOWER"


class Loud:
    def __lt__(self, other):
        print("lt")
        raise KeyError("lt")

    def __gt__(self, other):
        print("gt")
        return []

    def __int__(self):
        raise ValueError("no int")

    def __float__(self):
        return "no float"

    def __str__(self):
        return 5

    def __len__(self):
        return -3

    def __contains__(self, item):
        return "truthy"

    def __iter__(self):
        yield 1
        raise OSError("iteration")


@case
def min_and_max_of_two_and_three():
    def two(a, b):
        return min(a, b), max(a, b)

    def three(a, b, c):
        return min(a, b, c), max(a, b, c)

    big = 10**30
    nan = float("nan")
    drive(two, (3, 4), [(4, 3), (-1, -1), (1.5, 2.5), (2.5, 1.5), (1, 1.0), (1.0, 1), (True, 1), (big, 1), (1, big), (nan, 1.0),
                        (1.0, nan), (0.0, -0.0), (-0.0, 0.0), ("b", "a"), (1, "a"), (None, 1), (Int(1), Int(2)), (1, Int(2)),
                        (Loud(), 1), (1, Loud()), ([2], [1])])
    drive(three, (3, 4, 5), [(5, 4, 3), (4, 5, 3), (1.0, 2.0, 0.5), (1, 2.0, 3), (big, 0, -big), (1, 2, "x"), (nan, 1.0, 0.5),
                             (Int(1), Int(2), Int(3)), (1, Loud(), 2), (1, 2, None)])
    return outcome(two, Loud(), Loud())


@case
def min_and_max_keep_the_first():
    def f(a, b):
        return min(a, b) is a, max(a, b) is a
    a, b = 1000.5 * 2, 1000.5 * 2
    return heat(f, [1], [2]), f(a, b), f("ab" * 3, "ab" * 3), f([1], [1])


@case
def min_and_max_in_loops():
    def f(values):
        low, high = values[0], values[0]
        for value in values:
            low = min(low, value)
            high = max(high, value, 0)
        return low, high
    return (heat(f, [3, 1, 2]), f([1.5, -2.5]), f([1, 2.5, -3]), f(["x"] * 0 or [10**20, -10**20]), outcome(f, [1, "a"]),
            outcome(f, [Int(3), Int(9), Int(5)]))


@case
def abs_of_numbers():
    def f(a, b):
        return abs(a - b)
    drive(f, (3, 5), [(5, 3), (0, 0), (-2**62, 2**62), (-(2**63), 0), (2.5, 4.0), (1, 2.5), (True, False), (10**30, 1), ("a", 1),
                      (3j, 4)])

    def g(a):
        return abs(a)
    drive(g, (-3,), [(3,), (-(2**63),), (-2.5,), (-0.0,), (Int(-5),), (True,), ("x",), (None,), (Loud(),)])


@case
def ord_and_chr():
    def f(s):
        return ord(s)

    def g(n):
        return chr(n)
    drive(f, ("a",), [("\u20ac",), ("\U0001f40d",), ("",), ("ab",), (b"x",), (b"xy",), (bytearray(b"z"),), (5,), (Str("q"),), (None,)])
    drive(g, (65,), [(0,), (255,), (256,), (0x20AC,), (0x10FFFF,), (0x110000,), (-1,), (10**30,), (True,), (1.5,), ("a",), (Int(66),)])

    def both(text, shift):
        return "".join([chr((ord(c) - 97 + shift) % 26 + 97) for c in text])
    return heat(both, "hello", 3), both("xyz", 5), outcome(both, ["ab"], 1), outcome(both, "abc", 1.5)


@case
def conversions_by_classes():
    def f(x):
        return int(x)

    def g(x):
        return float(x)

    def h(x):
        return str(x)

    def t(x):
        return tuple(x)
    rest = [("12",), (" -7 ",), ("x",), ("",), (2.9,), (-2.9,), (float("inf"),), (float("nan"),), (True,), (10**30,), (b"31",), (None,),
            (Int(5),), (Str("8"),), (Loud(),), ([],), ("\u0663",)]
    drive(f, (12,), rest)
    drive(g, (1.5,), rest)
    drive(h, (12,), rest + [((1, "a"),), ({1: 2},)])
    drive(t, ([1, 2],), [((1,),), ("ab",), ({3: 4},), (range(3),), (5,), (None,), (Loud(),), ((x for x in "xy"),)])

    def same(values):
        whole = tuple(values)
        return whole is values, str("abc") is "abc"[:], type(int(True)), type(str(Str("s")))
    return heat(same, (1, 2)), same([1])


@case
def int_of_too_many_digits():
    def f(text):
        return int(text) % 1000
    return heat(f, "123"), outcome(f, "9" * 5000), f("9" * 300)


@case
def divmod_that_is_taken_apart():
    def f(a, b):
        q, r = divmod(a, b)
        return q, r, divmod(a, b)
    drive(f, (17, 5), [(-17, 5), (17, -5), (-17, -5), (0, 3), (5, 0), (-(2**63), -1), (10**30, 7), (7.5, 2), (7, 2.0), (True, 2),
                       (Int(7), 2), (7, Int(2)), ("a", 2), (None, None)])

    def hours(seconds):
        total = []
        for second in seconds:
            minutes, second = divmod(second, 60)
            hour, minute = divmod(minutes, 60)
            total.append((hour, minute, second))
        return total
    return heat(hours, [1, 3700, 86399]), hours([-5]), outcome(hours, ["x"]), outcome(hours, [1.5, 7200.25])


@case
def len_of_everything():
    def f(x):
        return len(x)
    drive(f, ([1, 2],), [((1,),), ("abc",), ("\u20ac\U0001f40d",), (b"ab",), (bytearray(b"abc"),), ({1: 2},), ({1, 2},), (frozenset("ab"),),
                         (range(10),), (collections.deque([1]),), (Str("x"),), (Loud(),), (5,), (None,), (range(10**30),)])

    def g(items):
        n = 0
        for item in items:
            n += len(item)
        return n
    return heat(g, ["ab", [1], (), {}]), outcome(g, ["ab", Str("x"), 7]), outcome(g, [Loud()])


@case
def monkeypatched_builtins():
    def f(a, b):
        return min(a, b), max(a, b), len([a, b]), abs(a), ord("a"), chr(98), str(a), int(b), divmod(a, 2)[0]
    print(heat(f, 5, 3))
    saved = min, len, str
    builtins.min = lambda *arguments: "my min"
    print(f(5, 3))
    builtins.len = lambda x: "my len"
    builtins.str = lambda x: "my str"
    try:
        print(f(5, 3))
    finally:
        builtins.min, builtins.len, builtins.str = saved
    print(f(5, 3))
    for _ in range(HOT):
        f(1, 2)
    return f(1, 2)


@case
def patched_while_the_arguments_are_made():
    def patch(n):
        if n == 1:
            builtins.max = lambda *arguments: "patched"
        return n

    def f(n):
        return max(patch(n), 0)
    saved = max
    try:
        heat(f, 0)
        return f(1), f(1), f(0)
    finally:
        builtins.max = saved


@case
def methods_of_strings():
    def f(s, t):
        return (s.lower(), s.upper(), s.strip(), s.strip(t), s.split(), s.split(t or None), s.find(t), s.startswith(t), s.endswith(t),
                s.startswith(t, 1), s.startswith(t, 1, 3), s.replace(t, "_"), s.isdigit(), s.isalpha(), s.isalnum(), s.join([t, t]),
                s.partition(t or "x"), s.count(t), s.center(9), s.rjust(7, "*"), s.encode())
    drive(f, ("Hello", "l"), [("", ""), ("\u00c4\u20ac\U0001f40d", "\u20ac"), ("  12  ", "1"), ("abc", "abc"), ("abc", 5), ("abc", None),
                              (5, "a"), (b"abc", b"b"), (None, None), (Str("Hello"), "l"), ("Hello", Str("l"))])


@case
def methods_of_strings_with_wrong_arguments():
    def f(s, *rest):
        return s.startswith(*rest)

    def g(s, a):
        return s.find(a, 1)

    def h(s, a):
        return s.startswith(a, "x")

    def i(s, a):
        return s.zfill(a)
    heat(f, "abc", "a")
    return (outcome(f, "abc"), outcome(f, "abc", 1, 2, 3, 4), outcome(g, "abc", "c"), heat(g, "abc", "c"), outcome(g, "abc", 3),
            [outcome(h, "abc", "a") for _ in range(HOT)][-1], heat(i, "7", 3), outcome(i, "7", "3"), outcome(i, "7", 10**30))


@case
def unbound_and_bound_methods():
    lower = str.lower

    def f(s):
        return str.upper(s), lower(s), "-".join(s)

    def g(out, values):
        put = out.append
        for value in values:
            put(value)
        return out
    drive(f, ("ab",), [("",), (5,), (None,), (Str("Q"),), (b"x",)])
    return heat(g, [], [1, 2])[-4:], g([], "xy"), outcome(g, {}, [1]), outcome(g, collections.deque([0]), [1])


@case
def methods_of_lists():
    def f(items, value):
        items.append(value)
        items.insert(0, value)
        items.extend([value, value])
        last = items.pop()
        first = items.pop(0)
        items.remove(value)
        items.reverse()
        copied = items.copy()
        copied.sort()
        return first, last, items.index(value), items.count(value), copied, len(items)

    def g(items):
        return items.pop()

    def h(items, at):
        return items.pop(at), items

    class Odd:
        def __eq__(self, other):
            print("compared")
            return True
    return (heat(f, [], 1)[:3], f([3, 2, 1], 0), outcome(f, [1, "a"], 2), f([Odd()], 5)[:4], heat(lambda: g([1])), outcome(g, []),
            outcome(g, ()), heat(lambda: h([1, 2, 3], 1)), outcome(h, [1, 2], -1), outcome(h, [1], 5), outcome(h, [], 0),
            outcome(h, [1], "x"))


@case
def methods_of_dicts_and_sets():
    class Key:
        def __init__(self, n):
            self.n = n

        def __hash__(self):
            if self.n == 13:
                raise ValueError("unlucky")
            return self.n % 2

        def __eq__(self, other):
            if self.n == 7 or other.n == 7:
                raise RuntimeError("no comparison")
            return self.n == other.n

    def f(d, k):
        d.setdefault(k, []).append(1)
        got = d.get(k), d.get(k, 5)
        d[k] = d.get(k, 0)
        return got, k in d, d.pop(k), d.pop(k, "gone"), len(d)

    def g(s, k):
        s.add(k)
        known = k in s
        s.discard(k)
        s.discard(k)
        return known, k in s, len(s)
    drive(f, ({}, "a"), [({}, 1), ({}, (1, 2)), ({}, []), (5, 1), ({}, Key(4)), ({Key(2): 0}, Key(4)), ({Key(5): 0}, Key(7)), ({}, Key(13))])
    drive(g, (set(), "a"), [(set(), 1), (set(), (1, 2)), (set(), []), (frozenset(), 1), ({Key(2)}, Key(4)), ({Key(5)}, Key(7)),
                            (set(), Key(13)), ({frozenset([1])}, {1})])
    return outcome(lambda: {}.pop("x")), outcome(lambda: set().remove("y"))


@case
def contained_or_not():
    def f(x, c):
        return x in c, x not in c
    drive(f, ("a", "abc"), [("", "abc"), ("bc", "abc"), ("\u20ac", "abc"), ("a", "\u20aca"), ("\u20ac", "x\u20ac"), ("\U0001f40d", "\u20ac"),
                            (5, "abc"), (Str("a"), "abc"), ("a", Str("abc")), ("a", ["a"]), ("a", ("b", "a")), ("a", {"a": 1}), ("a", {"b"}),
                            (1, range(5)), ([], {1}), ([], [[]]), ({1}, {frozenset([1])}), (b"a", b"abc"), (97, b"abc"), (1, 5), (1, None),
                            (1, Loud())])

    def g(text):
        n = 0
        for c in text:
            if c in "aeiou":
                n += 1
            elif c not in ("x", "y"):
                n += 100
            elif c in {"x"}:
                n += 10000
        return n
    return heat(g, "hello xyz"), g("\u20ac"), outcome(g, ["a", "ei", "zz", 5]), outcome(g, [Str("a"), Str("x")])


@case
def heaps_and_deques():
    def f(values):
        heap = []
        for value in values:
            heapq.heappush(heap, (value, -value))
        out = []
        while heap:
            out.append(heapq.heappop(heap)[0])
        return out

    def g(values):
        queue = collections.deque()
        for value in values:
            queue.append(value)
            queue.appendleft(value)
        n = 0
        while queue:
            n = n * 3 + queue.popleft() - queue.pop()
        return n, outcome(queue.pop), outcome(queue.popleft)
    return (heat(f, [3, 1, 2]), outcome(f, [1, "a"]), outcome(f, [1.5, 1, 1.5]), heat(g, [1, 2, 3]), outcome(g, ["x"]),
            outcome(heapq.heappush, (), 1))


@case
def functions_in_c_that_call_back():
    def f(values, key):
        seen = []

        def note(value):
            seen.append((value, sys._getframe(1).f_code.co_name, sys._getframe(1).f_lineno - f.__code__.co_firstlineno))
            return key(value)
        first = list(map(note, values))
        try:
            second = any(map(note, values))
        except ZeroDivisionError as error:
            second = str(error)
        return first, second, seen[-1:]
    return heat(f, [1, 2], abs), f([0], bool), outcome(f, [0], lambda x: 1 // x)


@case
def deep_recursion_through_c():
    def f(n, items):
        if n == 0:
            return 0
        return 1 + sum(map(f, [n - 1], [items]))

    def g(n):
        return [n].index(Deep(n)) if n else 0

    class Deep:
        def __init__(self, n):
            self.n = n

        def __eq__(self, other):
            return g(self.n - 1) == 0

    return heat(f, 20, 0), f(100, 0), heat(g, 5), g(50), outcome(g, 10**5)[:1]


class Truthless:
    pass


class Sized:
    def __init__(self, n):
        self.n = n

    def __len__(self):
        print("len")
        return self.n


class Willing:
    def __init__(self, answer):
        self.answer = answer

    def __bool__(self):
        print("bool")
        return self.answer


@case
def truth_of_everything():
    def f(x):
        return bool(x), "yes" if x else "no", not x
    values = [0, 1, 10**30, 0.0, -0.0, float("nan"), "", "a", [], [0], (), (0,), {}, {1: 2}, set(), {1}, frozenset(), b"", bytearray(b"a"),
              None, True, False, range(0), range(3), Truthless(), Truthless, Sized(0), Sized(2), Sized(-1), Willing(True), Willing(False),
              Willing(5), Int(0), Str(""), collections.deque(), collections.deque([1]), 0j, len]
    drive(f, ([1],), [(value,) for value in values])

    def g(value):
        n = 0
        while value:
            n += 1
            if n == 3:
                Truthless.__len__ = lambda self: 0
        return n
    print(f(Truthless()))
    try:
        return g(Truthless()), f(Truthless())
    finally:
        del Truthless.__len__


@case
def contained_in_constants():
    def f(x):
        return x in (1, 2, 300), x not in (-1, 5), x in ("a", "bc", ""), x in (1, "a", None), x in ()
    drive(f, (2,), [(1.0,), (True,), ("a",), ("bc",), ("\u20ac",), (300,), (10**30,), (None,), (Int(5),), (Str("a"),), (float("nan"),),
                    ([],), (Loud(),)])

    def g(values):
        n = 0
        for i in range(len(values)):
            value = values[i]
            if i in (0, 3, 4):
                n += 1
            if value in ("x", "y"):
                n += 10
            elif value + "" not in ("z",):
                n += 100
        return n
    return heat(g, ["x", "z", "q"]), outcome(g, ["y", Str("x"), 5]), outcome(g, [None])


@case
def formats():
    class Own:
        def __format__(self, spec):
            return f"<{spec}>"

    class Wrong:
        def __format__(self, spec):
            return 5

    def f(x, spec):
        return f"{x}", f"{x:>8}", f"{x!r:^9}", f"{x:{spec}}", f"{x!s}|{x!a}"

    def g(n):
        return f"{n:04x} {n:b} {n:+d} {n:,}"

    def h(x):
        return f"{x:.2f}{x:e}{x:08.3f}{x:%}"
    drive(f, (5, "3"), [("ab", "5"), (1.5, ".3"), (Own(), "q"), (Wrong(), ""), (None, ""), (None, "5"), ("ab", "d"), (5, "s"), (True, ""),
                        (True, "3"), (Int(3), "4"), (Str("s"), "4"), ([1], "3"), ("a", ""), (5, 3), ("\u20ac", "\u00e9>5"), (10**40, ",")])
    drive(g, (255,), [(-1,), (10**30,), (1.5,), ("a",), (True,), (Int(4),)])
    drive(h, (1.5,), [(2,), (float("inf"),), (float("nan"),), ("a",), (None,), (-0.0,)])


@case
def dicts_and_their_subclasses():
    class Missing(dict):
        def __missing__(self, key):
            return ("missing", key)

        def __setitem__(self, key, value):
            print("set", key)
            dict.__setitem__(self, key, [value])

    def f(d, key):
        d[key] = d[key]
        d[key] += [1]
        return d[key]
    drive(f, ({"a": []}, "a"), [(collections.defaultdict(list), "a"), (collections.OrderedDict(a=[2]), "a"), (Missing(), "a"), ({}, "a"),
                                ({(1, 2): [3]}, (1, 2)), ({}, []), (collections.Counter(), "a"), (collections.defaultdict(None), "a"),
                                ([[], []], 1), (5, "a")])

    def g(words):
        counts = collections.defaultdict(int)
        pairs = {}
        last = None
        for word in words:
            counts[word] += 1
            pairs[last, word] = pairs.get((last, word), 0) + 1
            last = word
        return dict(counts), pairs
    return heat(g, ["a", "b", "a"]), outcome(g, ["a", []])


@case
def instances_of_one_of_several_classes():
    class Meta(type):
        def __instancecheck__(cls, instance):
            print("asked", cls.__name__)
            if instance == "raise":
                raise OSError("hook")
            return instance == "hooked"

    class Hook(metaclass=Meta):
        pass

    class Liar:
        @property
        def __class__(self):
            print("class?")
            return int

    class Proxy:
        def __getattribute__(self, name):
            print("attribute", name)
            if name == "__class__":
                return str
            raise AttributeError(name)

    class Small(int):
        pass

    def two(x):
        return isinstance(x, (int, str)), isinstance(x, (Hook, float)), not isinstance(x, (list, tuple, dict))

    def one(x):
        return isinstance(x, int), isinstance(x, Hook), isinstance(x, Small)

    def odd(x, other):
        return isinstance(x, (int, other)), isinstance(x, other)
    values = [1, "a", 1.5, None, True, Small(2), Hook(), Liar(), Proxy(), "hooked", "raise", [], int, Small, Hook]
    drive(two, (1,), [(value,) for value in values])
    drive(one, (1,), [(value,) for value in values])
    drive(odd, (1, str), [(1, 5), ("a", 5), ("a", (str, 5)), ("a", (5, str)), (1.5, int | float), (1.5, (list, (float,))), ("hooked", Hook),
                          ("raise", Hook), (1, None)])

    def loop(items):
        n = 0
        for item in items:
            if isinstance(item, (list, tuple)):
                n += len(item)
            elif isinstance(item, Hook):
                n += 100
            if not isinstance(item, (str, bytes)) and n > 50:
                item = ()
        return n
    return heat(loop, [[1], (2, 3), "x"]), loop(["hooked", [1], (1,)]), outcome(loop, [[1], "raise"])


@case
def instances_while_the_class_changes():
    class Plain(type):
        pass

    class Asked(type):
        def __instancecheck__(cls, x):
            return "asked"

    class Base:
        pass

    class Old(Base, metaclass=Plain):
        pass

    class New(Base, metaclass=Plain):
        pass

    def f(x):
        return isinstance(x, (Old, str)), isinstance(x, New)
    thing = Old()
    print(heat(f, thing))
    thing.__class__ = New
    print(f(thing))
    Old.__class__ = Asked
    saved = isinstance
    builtins.isinstance = lambda x, classes: len(classes) if saved(classes, tuple) else "one"
    try:
        print(f(thing))
    finally:
        builtins.isinstance = saved
    Old.__class__ = Plain
    Old.__bases__ = (New,)
    print(f(Old()), f(thing))
    New.__class__ = Asked
    return f(Old()), f(thing)
