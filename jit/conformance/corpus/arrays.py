"""Items of array.array: every kind, its limits, what it doesn't take, and arrays that change while they're used."""

import array as array_module
from array import array

from corpus_api import case, drive, heat, outcome

INTEGERS = {"b": (-(2**7), 2**7 - 1), "B": (0, 2**8 - 1), "h": (-(2**15), 2**15 - 1), "H": (0, 2**16 - 1), "i": (-(2**31), 2**31 - 1),
            "I": (0, 2**32 - 1), "l": (-(2**63), 2**63 - 1), "L": (0, 2**64 - 1), "q": (-(2**63), 2**63 - 1), "Q": (0, 2**64 - 1)}


class Index:
    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class Floating:
    def __float__(self):
        return 2.5


class Sub(array):
    def __getitem__(self, index):
        return ("sub", index, array.__getitem__(self, index))

    def __setitem__(self, index, value):
        array.__setitem__(self, index, value + 1)


def made(text):
    """A function with code of its own: what comes by is noted by code object."""
    names = {}
    exec(compile(text, "<made>", "exec"), names)
    return names["made"]


def reader():
    return made("def made(a, i):\n    return a[i]\n")


def writer():
    return made("def made(a, i, x):\n    a[i] = x\n    return a.tolist()\n")


@case
def read_integers():
    for code, (low, high) in INTEGERS.items():
        a = array(code, [0, 1, high, low, 7])
        drive(reader(), (a, 1), [(a, i) for i in (0, 1, 2, 3, 4, -1, -5, 5, -6, 2**70, -(2**70))])


@case
def read_floats():
    items = [0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"), 5e-324, 1e-45, 3.4e38, 1.7e308]
    for code in "fd":
        a = array(code, items)
        drive(reader(), (a, 2), [(a, i) for i in range(-11, 11)])


@case
def read_by_other_keys():
    a = array("d", [1.0, 2.0, 3.0])
    drive(reader(), (a, 1), [(a, True), (a, Index(2)), (a, Index(-1)), (a, Index(9)), (a, slice(0, 2)), (a, slice(None, None, -1)), (a, 1.0),
                             (a, "x"), (a, None), (a, (0, 1))])


@case
def read_of_others():
    a = array("i", [1, 2, 3])
    others = [array("d", [1.5]), array("b", [-1]), array("q", [2**40]), Sub("i", [4]), [5], (6,), b"7", bytearray(b"8"), memoryview(b"9"),
              {0: 10}, "k", range(11, 12), None, 3]
    if hasattr(array_module, "_array_reconstructor"):
        others.append(array("u", "w"))
    drive(reader(), (a, 0), [(other, 0) for other in others] + [(a, 0)])


@case
def read_at_two_kinds():
    a, b = array("i", [1, 2]), array("d", [1.5, 2.5])

    def read(a, b):
        total = 0
        for x in (a, b, a, b):
            total += x[1]
        return total
    drive(read, (a, b), [(a, b), (b, a), (b, b), (a, [3, 4])])


@case
def write_integers():
    for code, (low, high) in INTEGERS.items():
        values = [low, high, low - 1, high + 1, 2**31, 2**63, 2**64, -(2**63) - 1, -1, 2**100, True, False, 1.0, float("nan"), "x", None, Index(3), Index(2**70),
                  Floating()]
        a = array(code, [1, 2, 3])
        drive(writer(), (a, 1, 5), [(a, 1, value) for value in values])


@case
def write_floats():
    values = [0.0, -0.0, float("nan"), float("inf"), 1e300, -1e300, 1e-46, 0.1, 16777217.0, 7, -7, 2**53 + 1, 2**63, 2**64, 10**400, True, "x", None,
              1j, Index(3), Floating()]
    for code in "fd":
        a = array(code, [1.0, 2.0, 3.0])
        drive(writer(), (a, 1, 0.5), [(a, 1, value) for value in values])
        drive(writer(), (a, 1, 3), [(a, 2, value) for value in values])


@case
def write_elsewhere():
    a = array("d", [1.0, 2.0, 3.0])
    keys = [0, -1, -3, 3, -4, 2**70, True, Index(1), Index(7), 1.0, "x", None, slice(0, 1)]
    drive(writer(), (a, 1, 0.5), [(a, key, 4.5) for key in keys] + [(a, 5, "both are wrong"), (a, slice(0, 1), array("d", [9.0, 8.0]))])


@case
def write_to_others():
    a = array("i", [1, 2, 3])

    def write(a, i, x):
        a[i] = x
        return list(a)
    others = [array("d", [1.5]), array("b", [1]), array("Q", [1]), Sub("i", [4]), [5], (6,), b"7", bytearray(b"8"), {0: 10}, "k", None]
    drive(write, (a, 0, 9), [(other, 0, 300) for other in others] + [(a, 0, 300)])


@case
def update_in_place():
    def scale(a, x):
        for i in range(len(a)):
            a[i] *= x
            a[i] += 1
            a[-1] -= a[0]
        return a.tolist()
    drive(scale, (array("d", [1.0, 2.0]), 0.5), [(array("d", [1.0, -0.0, float("nan")]), 2), (array("d"), 1.0), (array("i", [1, 2, 3]), 3),
                                                 (array("i", [2**30, 1]), 4), (array("b", [100, 1]), 2), (array("i", [1]), 0.5), (Sub("d", [1.0]), 2.0)])


@case
def arrays_that_shrink_and_grow():
    def f(a, what, steps):
        total = 0.0
        for i in range(steps):
            total += a[i]
            what(a)
            total += a[i]
        return total, len(a)
    nothing = len
    a = array("d", [float(i) for i in range(8)])

    def fresh():
        return array("d", range(8))
    drive(f, (a, nothing, 8), [(fresh(), array.pop, 8), (fresh(), lambda a: a.append(1.0), 8), (fresh(), lambda a: a.extend(range(1000)), 8),
                               (fresh(), lambda a: a.__delitem__(0), 8), (fresh(), lambda a: a.__delitem__(slice(None)), 8),
                               (fresh(), lambda a: a.byteswap(), 3), (fresh(), lambda a: a.reverse(), 8)])


@case
def items_survive_the_array():
    def f(a):
        x, y = a[0], a[1]
        a[0] = y
        del a[:]
        a.extend(range(100, 200))
        return x, y, a[0], len(a)
    warm = array("d", [1.5, 2.5])

    def g():
        return f(array("d", [1.5, 2.5])), f(array("q", [2**40, 2**41]))
    heat(f, warm)
    drive(g, (), [()])


@case
def stores_are_seen_by_loads():
    def f(a, b, n):
        out = []
        for i in range(n):
            x = a[0]
            b[0] = x + 1
            out.append(a[0] - x)
            a[1] = b[0]
            out.append(b[1])
        return out
    a, b = array("d", [1.0, 2.0]), array("d", [3.0, 4.0])
    drive(f, (a, b, 3), [(a, a, 3), (a, b, 3), (array("i", [1, 2]), array("i", [3, 4]), 3), (a, array("i", [1, 2]), 1)])


@case
def stores_through_a_view():
    def f(a, view, n):
        total = 0
        for i in range(n):
            total += a[0]
            view[0] = i
            total += a[0]
        return total
    a, ints = array("d", [1.0, 2.0]), array("i", [1, 2])
    drive(f, (a, memoryview(a), 5), [(a, a, 5), (ints, memoryview(ints), 5), (ints, memoryview(ints).cast("B"), 5)])


@case
def exported_arrays():
    def f(a, x):
        a[0] = x
        try:
            a.append(x)
        except BufferError as error:
            return str(error), a[0]
        return len(a), a.pop(), a[0]
    a = array("h", [1, 2])
    heat(f, a, 3)
    with memoryview(a) as view:
        print(outcome(f, a, 4), view[0], outcome(f, a, 2**15), view[0])
    print(outcome(f, a, 5), outcome(f, a, -(2**15)), outcome(f, a, 2**15))


@case
def rows_of_arrays():
    def lower(rows, n):
        for i in range(n):
            for j in range(i + 1, n):
                rows[j][i] -= rows[i][j] * rows[i][i]
        return [row.tolist() for row in rows]

    def rows(code, n):
        return [array(code, [i * n + j for j in range(n)]) for i in range(n)]
    drive(lower, (rows("d", 6), 6), [(rows("d", 7), 7), (rows("i", 5), 5), (rows("b", 4), 4), (rows("d", 4), 5), ([[1.0, 2.0], [3.0, 4.0]], 2)])


@case
def indices_from_arrays():
    def multiply(n, val, row, col, x):
        y = array("d", bytes(8 * n))
        for r in range(n):
            total = 0.0
            for i in range(row[r], row[r + 1]):
                total += x[col[i]] * val[i]
            y[r] = total
        return y.tolist()
    x, val = array("d", [1.0, 2.0, 3.0]), array("d", [0.5] * 6)
    row, col = array("i", [0, 2, 4, 6]), array("i", [0, 1, 1, 2, 2, 0])
    drive(multiply, (3, val, row, col, x), [(3, val, row, array("i", [0, 1, 1, 2, 3, 0]), x), (3, val, row, array("i", [0, -1, 1, 2, -3, 0]), x),
                                            (3, val, array("i", [0, 2, 9, 9]), col, x), (3, val, array("q", row), array("B", col), x),
                                            (3, [1.0] * 6, list(row), tuple(col), list(x)), (4, val, row, col, x)])


@case
def in_an_attribute():
    class Grid:
        def __init__(self, code, w, h):
            self.w, self.h, self.data = w, h, array(code, [0]) * (w * h)

        def at(self, x, y):
            if 0 <= x < self.w and 0 <= y < self.h:
                return y * self.w + x
            raise IndexError

        def __getitem__(self, key):
            x, y = key
            return self.data[self.at(x, y)]

        def __setitem__(self, key, value):
            x, y = key
            self.data[self.at(x, y)] = value

    def smooth(grid, rounds):
        for n in range(rounds):
            for y in range(1, grid.h - 1):
                for x in range(1, grid.w - 1):
                    grid[x, y] = 0.25 * (grid[x, y - 1] + grid[x, y + 1] + grid[x - 1, y] + grid[x + 1, y]) + n
        return grid.data.tolist()
    broken = Grid("d", 4, 4)
    broken.w = 5
    drive(smooth, (Grid("d", 5, 5), 2), [(Grid("d", 4, 6), 3), (Grid("f", 4, 4), 3), (Grid("i", 4, 4), 1), (broken, 2), ({}, 2)])


@case
def arrays_in_turns():
    def f(items, n):
        a, total = items[0], 0
        for i in range(n):
            total += a[i % 2]
            a[1] = i % 100
            if i % 50 == 49:
                a = items[i // 50 % len(items)]
        return total, [list(a) for a in items]
    d, e, i, b = array("d", [0.5, 1.5]), array("d", [2.5, 3.5]), array("i", [1, 2]), array("b", [3, 4])
    drive(f, ([d, e], 300), [([d, e], 300), ([d, i, b], 500), ([i, d, Sub("d", [1.0, 2.0])], 500), ([d, [1, 2], bytearray(b"ab")], 500), ([d, (1, 2)], 500),
                             ([array("d", [1.0]), d], 200)])


@case
def loops_started_with_other_arrays():
    def f(a, n):
        total = 0
        for i in range(n):
            total += a[i % 3]
            a[i % 3] = total % 7
        return total, list(a)
    print(outcome(f, array("d", [1.0, 2.0, 3.0]), 2000))
    drive(f, (array("i", [1, 2, 3]), 300), [(array("d", [1.0, 2.0, 3.0]), 300), ([1, 2, 3], 300), (array("B", [1, 2, 3]), 2000), ({0: 1, 1: 2, 2: 3}, 100),
                                            (array("b", [1, 2, 3]), 900), (Sub("b", [1, 2, 3]), 30)])
