"""Loops over enumerations, pairs, strings and bytes: how items come, what changes meanwhile, and how they end."""

import builtins
import sys

from corpus_api import HOT, case, drive, heat, outcome


class Source:
    """An iterator that runs Python code."""

    def __init__(self, n, at=-1):
        self.n = n
        self.at = at

    def __iter__(self):
        return self

    def __next__(self):
        self.n -= 1
        if self.n == self.at:
            raise ValueError("source")
        if self.n < 0:
            raise StopIteration
        return self.n


class Enumerate(enumerate):
    pass


@case
def enumerate_of_everything():
    def f(items):
        out = []
        for i, item in enumerate(items):
            out.append((i, item))
        return out
    drive(f, ([5, 6],), [((7, 8),), ("ab",), ("\u20ac\U0001f40d",), (b"ab",), (range(3),), ({1: 2},), (Source(3),), (Source(3, 1),),
                         ((x for x in "xy"),), ([],), (5,), (None,), (zip("ab", "cd"),)])


@case
def enumerate_from_a_number():
    def f(items, start):
        total = 0
        for i, item in enumerate(items, start):
            total += i * item
        return total
    drive(f, ([5, 6], 1), [([1], -5), ([1, 2, 3], sys.maxsize - 1), ([1, 2, 3], sys.maxsize), ([1, 2], 10**30), ([1], True), ([1], 1.5),
                           ([1], "a"), (["x"], 2), ([1.5], 3), ([10**30], 3)])


@case
def enumerate_taken_apart_otherwise():
    def three(items):
        for a, b, c in enumerate(items):
            return a, b, c

    def whole(items):
        out = []
        for pair in enumerate(items):
            out.append(pair)
        return out

    def nested(items):
        out = []
        for i, (a, b) in enumerate(items):
            out.append((i, a, b))
        return out

    def starred(items):
        for i, *rest in enumerate(items):
            items = i, rest
        return items
    return (outcome(three, [1]), heat(whole, "abc"), heat(nested, [(1, 2), "xy"]), outcome(nested, [(1, 2, 3)]), outcome(nested, [5]),
            heat(starred, [3, 4]))


@case
def enumerate_advanced_by_the_body():
    def f(items):
        numbers = enumerate(items)
        out = []
        for i, item in numbers:
            out.append((i, item, next(numbers, None)))
        return out, next(numbers, "over")

    def g(items):
        numbers = Enumerate(items, 2)
        return [(i, item) for i, item in numbers]

    def h(items):
        out = []
        for i, item in enumerate(items):
            out.append(i)
            if item == 3:
                items.append(0)
            elif item == 4:
                del items[:]
            elif item == 5:
                items[:] = [9] * 20
        return out
    return heat(f, [1, 2, 3, 4, 5]), heat(g, "ab"), heat(h, [1, 2]), h([3, 3, 1]), h([1, 4, 2]), h([1, 5])


@case
def enumerate_whose_source_asks_it():
    def f():
        class Nosy:
            def __init__(self):
                self.left = 4

            def __iter__(self):
                return self

            def __next__(self):
                self.left -= 1
                if self.left == 1:
                    seen.append(next(numbers))
                if self.left <= 0:
                    raise StopIteration
                return self.left
        seen = []
        numbers = enumerate(Nosy())
        for i, item in numbers:
            seen.append((i, item))
        return seen
    return heat(f)


@case
def enumerate_that_isnt():
    def f(items):
        out = []
        for i, item in enumerate(items):
            out.append((i, item))
        return out
    saved = builtins.enumerate
    heat(f, [1, 2])
    builtins.enumerate = lambda items: [("x", item) for item in items]
    try:
        shown = f([1, 2])
        builtins.enumerate = zip
        return shown, outcome(f, [1, 2]), outcome(f, [(1, 2)])
    finally:
        builtins.enumerate = saved


@case
def enumerate_in_a_long_loop():
    def f(n, bad):
        numbers = list(range(n))
        numbers[bad] = "bad"
        total = 0
        try:
            for i, number in enumerate(numbers, 1):
                total += i * (number + 1)
        except TypeError:
            return total, i, number
        return total
    return f(3000, 2500), f(10, 0), outcome(f, 1, 1)


@case
def other_pairs():
    def f(items):
        out = []
        for a, b in items:
            out.append((b, a))
        return out
    drive(f, ([(1, 2), (3, 4)],), [({1: 2, 3: 4}.items(),), (zip("ab", "cd"),), (["ab", "cd"],), ([[1, 2]],), ([(1, 2, 3)],), ([1],),
                                   ([{1, 2}],), (enumerate("ab"),), (Source(2),), ([(1, 2), None],)])

    def g(d):
        for k, v in d.items():
            if v == 3:
                d[object()] = 1
            if v == 4:
                d[k] = 5
            if v == 6:
                del d[k]
        return len(d)
    return heat(g, {1: 1, 2: 2}), outcome(g, {1: 3, 2: 2}), outcome(g, {1: 4, 2: 4}), outcome(g, {1: 6, 2: 2}), outcome(g, {1: 6})


@case
def strings_of_every_kind():
    def f(text):
        out = []
        for c in text:
            if c == "x":
                continue
            if c > "y":
                out.append("big")
            out.append(c * 2)
        return out
    drive(f, ("axb",), [("",), ("\u00e9x",), ("\u20acx\u00e9",), ("\U0001f40dxz",), (["a", "x"],), (["a", 5],), (b"ax",), (5,), ("ab" * 3,)])

    class Str(str):
        def __iter__(self):
            return iter(["own"])
    return heat(f, "ab"), f(Str("zzz"))


@case
def strings_in_long_loops():
    def f(text, stop):
        counts = {}
        for at, c in zip(range(10**9), text):
            counts[c] = counts.get(c, 0) + 1
        n = 0
        for c in text:
            n += 1
            if n == stop:
                text = "other"
                raise LookupError(c, n, counts)
        return n, text[:3], counts
    return (f("ab" * 1000, 0), outcome(f, "a\u20ac" * 1000, 1999), outcome(f, "\U0001f40d" * 1200 + "b", 1201), f("\u00e9" * 900, 0),
            outcome(f, b"xy" * 900, 1801), f(b"xy" * 800, 0))


@case
def bytes_in_long_loops():
    def f(data):
        total = 0
        for byte in data:
            for c in "ab":
                total += byte
            if byte == 9:
                return total, "nine"
        return total
    return f(b"abc" * 700), f(b"a" * 1500 + b"\x09" + b"b"), f(bytearray(b"ab" * 700)), f([1, 2] * 600), f(b"")


@case
def loops_that_others_look_at():
    def f(text):
        seen = []
        for i, c in enumerate(text):
            if c == "!":
                seen.append(sorted(sys._getframe().f_locals.items(), key=str)[:2])
        for c in text:
            if c == "!":
                seen.append(sys._getframe().f_locals["c"])
        return seen
    for _ in range(HOT):
        f("ab!")
    return f("\u20ac!"), f("!" * 3)
