"""Slices and items of sequences of every kind, with bounds of every kind."""

import array

from corpus_api import HOT, case, drive, heat, outcome


class Index:
    def __init__(self, value):
        self.value = value

    def __index__(self):
        print("index", self.value)
        if self.value is None:
            raise LookupError("no index")
        return self.value


class List(list):
    def __getitem__(self, key):
        return ("my", key)

    def __setitem__(self, key, value):
        print("set", key, value)


class Bytes(bytes):
    def __getitem__(self, key):
        return ("my", key)


BOUNDS = [(0, 0), (1, 3), (3, 1), (-2, 100), (-100, 2), (-1, None), (None, -1), (None, None), (2, None), (100, 200), (True, 2),
          (10**30, 1), (-10**30, 10**30), (Index(1), 3), (1, Index(None)), ("a", 1), (1, 1.5), (2**63 - 1, -2**63)]


@case
def slices_of_strings():
    def f(s, a, b):
        return s[a:b], s[:b], s[a:], s[:]
    for s in ("hello", "h\u00e9llo", "h\u20acllo", "h\U0001f40dllo\u20ac", ""):
        drive(f, (s, 1, 3), [(s, a, b) for a, b in BOUNDS])
    whole = "whole" * 3
    return heat(lambda: whole[:] is whole), heat(lambda: whole[0:15] is whole)


@case
def slices_of_tuples_lists_and_bytes():
    def f(s, a, b):
        return s[a:b], s[1:], s[:-1]
    for s in ([1, 2, 3, 4], (1, 2, 3, 4), b"abcd", bytearray(b"abcd"), range(4), array.array("i", [1, 2, 3])):
        drive(f, (s, 1, 3), [(s, a, b) for a, b in BOUNDS])
    drive(f, ([1, 2], 0, 1), [(List([1, 2]), 0, 1), (Bytes(b"ab"), 0, 1), (5, 0, 1), (None, None, None), ({}, 1, 2), ("", 0, 0)])
    whole = (1, 2, 3)
    raw = b"abc"
    return heat(lambda n: (whole[:] is whole, whole[0:n] is whole, raw[:] is raw, raw[0:n] is raw), 3)


@case
def slices_share_their_items():
    def f(items, a, b):
        part = items[a:b]
        part.append(items)
        return part[0] is items[a], len(items), len(part)
    return heat(f, [[1], [2], [3]], 1, 3), outcome(f, ([1], [2]), 0, 1), outcome(f, [], 0, 0)


@case
def slices_in_loops():
    def words(text, width):
        pieces = []
        for at in range(0, len(text), width):
            pieces.append(text[at:at + width])
        return pieces

    def chunks(data):
        seen = {}
        for at in range(len(data) - 2):
            seen.setdefault(data[at:at + 3], []).append(at)
        return seen
    return (heat(words, "abcdefgh", 3), words("\u20ac" * 5, 2), words([1, 2, 3], 2), outcome(words, {1: 2}, 1), heat(chunks, b"abcabcabd"),
            chunks("xyzxyz"), outcome(chunks, [1, 2, 3]), chunks((1, 2, 3)))


@case
def stores_to_slices():
    def f(items, a, b, new):
        items[a:b] = new
        return items
    drive(f, ([1, 2, 3], 1, 2, [9]), [([1, 2, 3], a, b, "xy") for a, b in BOUNDS])
    whole = [1, 2, 3]
    return (f(whole, 1, 2, whole), f([1, 2], 0, 0, (x for x in "ab")), outcome(f, [1], 0, 1, 5), outcome(f, (1,), 0, 1, [2]),
            outcome(f, "ab", 0, 1, "c"), f(bytearray(b"abc"), 0, 2, b"xyz"), f(List([1, 2]), 0, 1, [5]), f([1, 2, 3], 2, 0, [7]),
            outcome(f, [1, 2], 0, 1, Raising()), f([1, 2, 3], 5, 9, []))


class Raising:
    def __iter__(self):
        yield 1
        raise OSError("half way")


@case
def stores_to_slices_that_run_finalisers():
    class Noisy:
        def __init__(self, items):
            self.items = items

        def __del__(self):
            print("gone", len(self.items))
            self.items.append("late")

    def f(n):
        items = []
        items.extend(Noisy(items) for _ in range(n))
        items[1:3] = [0]
        shown = len(items)
        items[:] = []
        return shown, items
    return heat(f, 4)


@case
def extended_slices():
    def f(s, a, b, c):
        return s[a:b:c], s[::c], s[b::c]
    for s in ("hello", [1, 2, 3, 4], (1, 2, 3), b"abc", range(5)):
        drive(f, (s, 0, 3, 2), [(s, 3, 0, -1), (s, None, None, -1), (s, 0, 3, 0), (s, 0, 3, None), (s, 0, 3, "x"), (s, -1, -9, -2)])

    def g(items, n):
        items[:n + 1] = items[n::-1]
        return items
    return heat(g, [3, 1, 2, 0], 2), outcome(g, (1, 2), 1), g(bytearray(b"abc"), 1)


@case
def items_of_bytes():
    def f(data, at):
        return data[at]
    for data in (b"abc", bytearray(b"abc"), memoryview(b"abc"), array.array("B", b"abc")):
        drive(f, (data, 1), [(data, 0), (data, -1), (data, -3), (data, 3), (data, -4), (data, 10**30), (data, True), (data, Index(2)),
                             (data, "x"), (data, None), (data, 1.0), (Bytes(b"abc"), 1), ("abc", 1), ("\u20ac", 0), ("abc", 7),
                             ([1, 2], 1), ((1, 2), 5), ({1: "one"}, 1), ({}, 1), (5, 1)])


@case
def items_of_bytes_in_loops():
    def f(data):
        total = 0
        at = 0
        while at < len(data):
            total = total * 31 + data[at] & 0xFFFF
            at += 1
        return total

    def g(data):
        total = 0
        for byte in data:
            total += byte
            if byte == 7:
                del data[-1:]
        return total
    return (heat(f, b"hello"), f(bytearray(b"xyz")), f([1, 2, 3]), outcome(f, "abc"), outcome(f, [1, 2.5]), f(()), heat(g, b"abc"),
            g(bytearray([1, 7, 2, 3, 4, 7])), g([7, 1, 2, 3]), outcome(g, b"\x07"))


@case
def a_bytearray_that_changes():
    def f(data, n):
        for i in range(n):
            data.append(data[-1] + i & 0xFF)
            if len(data) > 5:
                data.pop(0)
            data[0] = i & 1
        return bytes(data)
    return heat(f, bytearray(b"a"), 10), f(bytearray(b"xyz"), 300), outcome(f, bytearray(), 1), outcome(f, [250], 10), outcome(f, b"a", 1)


@case
def items_of_strings_of_every_kind():
    def f(s):
        out = []
        for i in range(len(s)):
            out.append(s[i])
            out.append(s[-1 - i])
        return "".join(out)
    for _ in range(HOT):
        f("ab")
    return f("a\u00e9"), f("\u20acb"), f("\U0001f40dc"), f(""), outcome(f, [1, "a"]), outcome(f, b"ab")
