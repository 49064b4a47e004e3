"""for over ranges, lists, tuples, dicts, strings and iterator objects, with what changes under the loop."""

from corpus_api import HOT, case, drive, heat, outcome


@case
def range_all_steps():
    def collect(a, b, c):
        out = []
        for i in range(a, b, c):
            out.append(i)
        return out
    drive(collect, (0, 10, 1), [(0, 10, 3), (10, 0, -1), (10, 0, -3), (0, 0, 1), (5, 1, 1), (1, 5, -1), (-5, 5, 2), (0, 1, 100),
                                (0, 10, 0), (0, 10, True), (1.5, 2, 1), ("a", 2, 1), (None, 1, 1)])


@case
def range_one_and_two_arguments():
    def one(n):
        return [i for i in range(n)]

    def two(a, b):
        t = 0
        for i in range(a, b):
            t += i
        return t
    drive(one, (10,), [(0,), (-3,), (1,), (True,), ("a",), (2.0,)])
    drive(two, (0, 10), [(5, 5), (7, 3), (-10, -5), (0, 1)])


@case
def range_huge():
    def few(a, b, c):
        out = []
        for i in range(a, b, c):
            out.append(i)
            if len(out) == 4:
                break
        return out
    drive(few, (0, 10, 1), [(2**62, 2**62 + 9, 3), (2**63 - 2, 2**63 + 2, 1), (2**64, 2**64 + 5, 2), (-(2**63), -(2**63) + 3, 1),
                            (0, 2**100, 2**98), (2**100, 0, -(2**99)), (-(2**63) + 1, -(2**63) - 3, -1), (0, 2**63 - 1, 2**62)])


@case
def range_name_rebound_in_loop():
    def f(n):
        total = 0
        for i in range(n):
            n = 3
            i = i * 10
            total += i
        return total, n
    drive(f, (10,), [(0,), (1,), (5,)])


@case
def range_object_shared():
    r = range(0, 30, 3)

    def f():
        return [x + y for x in r for y in r if x < y]
    first = f()
    heat(f)
    return first == f(), len(first), r


@case
def range_iterator_resumed():
    def take(it, n):
        out = []
        for x in it:
            out.append(x)
            if len(out) >= n:
                break
        return out
    for _ in range(HOT):
        it = iter(range(20))
        a, b, c = take(it, 3), take(it, 4), list(it)
    return a, b, c, take(it, 2)


@case
def range_builtin_shadowed():
    def f(n):
        return [i for i in range(n)]
    print(heat(f, 5))
    globals()["range"] = lambda n: ["shadow", n]
    try:
        print(f(5), heat(f, 3))
    finally:
        del globals()["range"]
    return f(5)


@case
def range_equality_and_members():
    def f(a, b):
        r = range(a, b)
        return len(r), r[0] if r else None, r[-1:] == range(b - 1, b), a in r, b in r, list(reversed(r))[:2]
    drive(f, (0, 10), [(5, 5), (-3, 3), (3, 1), (0, 2**70)][:3])


@case
def list_grows_while_iterated():
    def f(values):
        out = []
        for v in values:
            out.append(v)
            if v < 20:
                values.append(v + 7)
        return out
    return [f([i % 5]) for i in range(HOT)][-1], f([]), f([19, 1])


@case
def list_shrinks_while_iterated():
    def f(values):
        out = []
        for v in values:
            out.append(v)
            if v % 2:
                values.remove(v)
        return out, values
    heat(lambda: f([1, 2, 3, 4]))
    return f([1, 3, 5, 7, 9]), f([1, 2, 3]), f([2, 4])


@case
def list_cleared_while_iterated():
    def f(values, at):
        out = []
        for v in values:
            out.append(v)
            if v == at:
                values.clear()
        return out, values
    heat(lambda: f([1, 2, 3], 9))
    return f([1, 2, 3], 2), f([1, 2, 3], 3), f([], 0)


@case
def list_item_types_change():
    def total(values):
        t = 0
        for v in values:
            t += v
        return t
    drive(total, ([1, 2, 3],), [([1.5, 2],), ([1, 2.5, 2**70],), ([True, None],), (["a"],), ([],), ((1, 2),), ({1: 2},), (range(5),), (5,),
                                (iter([1, 2]),)])


@case
def iterator_exhausted_stays_exhausted():
    def drain(it):
        return [x for x in it]
    for _ in range(HOT):
        values = [1, 2]
        it = iter(values)
        first = drain(it)
        values.append(3)
        second = drain(it)
    return first, second


@case
def tuple_iteration():
    def f(t):
        out = 0
        for a in t:
            out = out * 10 + a
        return out
    drive(f, ((1, 2, 3),), [((),), ((9,) * 30,), ((1.5,),), (("a",),), ([1, 2],), ("12",)])


@case
def tuple_unpacking_in_loop():
    def f(rows):
        total = 0
        for a, (b, *c) in rows:
            total += a + b + len(c)
        return total
    drive(f, ([(1, (2, 3)), (4, (5,))],), [([],), ([(1, (2, 3, 4, 5))],), ([(1, [2])],), ([(1, ())],), ([(1,)],), ([(1, 2)],), ([1],),
                                           ([("a", "bc")],)])


@case
def dict_iteration():
    def f(d):
        out = []
        for k in d:
            out.append(k)
        for k, v in d.items():
            out.append((k, v))
        for v in d.values():
            out.append(v)
        return out
    drive(f, ({1: 2},), [({},), ({"a": 1, "b": 2},), ({1.5: None},), ([1],)])


@case
def dict_changed_while_iterated():
    def grow(d):
        for k in d:
            d[k + 100] = 1

    def shrink(d):
        for k, v in d.items():
            del d[k]

    def replace(d):
        for k in d:
            d[k] = -k
        return d

    def keys_change(d):
        for k in d.keys():
            d.pop(k)
            d[k + 1000] = 0
    heat(lambda: replace({1: 2, 3: 4}))
    for function in (grow, shrink, replace, keys_change):
        for _ in range(HOT):
            last = outcome(function, {})
        print(function.__name__, last, outcome(function, {1: 1, 2: 2}), outcome(function, {1: 1}))


@case
def set_iteration():
    def f(s):
        total = 0
        for x in s:
            total += x
        return total

    def mutate(s):
        for x in s:
            s.add(x + 100)
    drive(f, ({1, 2},), [(set(),), (frozenset([5, 6]),), ({1.5},), ({"a"},)])
    return [outcome(mutate, {1, 2}) for _ in range(HOT)][-1]


@case
def string_iteration():
    def f(s):
        out = []
        for ch in s:
            out.append(ord(ch))
        return out
    drive(f, ("abc",), [("",), ("é",), ("a\u20ac\U0001f600z",), (b"abc",), (["x"],), (["xy"],), (5,)])


@case
def enumerate_and_zip():
    def f(a, b):
        out = []
        for i, x in enumerate(a):
            out.append((i, x))
        for x, y in zip(a, b):
            out.append((x, y))
        for i, (x, y) in enumerate(zip(a, b), 5):
            out.append((i, x, y))
        return out
    drive(f, ([1, 2], [3, 4]), [([], []), ([1], []), ("ab", (1, 2, 3)), ({1: 2}, range(9)), (5, 6), ([1], None)])


@case
def zip_strict():
    def f(a, b):
        return [x * y for x, y in zip(a, b, strict=True)]
    drive(f, ([1, 2], [3, 4]), [([], []), ([1], []), ([], [1]), ([1, 2], [3])])


@case
def enumerate_tuple_identity():
    def f(values):
        kept = []
        for pair in enumerate(values):
            kept.append(pair)
        return kept
    result = heat(f, "abc")
    return result, len({id(p) for p in result})


@case
def reversed_sorted_map_filter():
    def f(values):
        out = []
        for x in reversed(values):
            out.append(x)
        for x in sorted(values, key=lambda v: -v):
            out.append(x)
        for x in map(lambda v: v * 2, values):
            out.append(x)
        for x in filter(lambda v: v > 1, values):
            out.append(x)
        return out
    drive(f, ([3, 1, 2],), [([],), ((1, 2),), ([1.5],), (["a"],), ({1: 2},), (5,)])


@case
def user_iterators():
    class Count:
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            return self

        def __next__(self):
            if self.n <= 0:
                raise StopIteration
            self.n -= 1
            return self.n

        def __repr__(self):
            return "Count"

    class Fails(Count):
        def __next__(self):
            if self.n == 2:
                raise OSError("broken")
            return super().__next__()

    class NotIterator:
        def __iter__(self):
            return 5

    class NoIter:
        __iter__ = None

    class Sequence:
        def __getitem__(self, i):
            if i == 3:
                raise IndexError("end")
            return i * i

    def f(it):
        total = []
        for x in it:
            total.append(x)
        return total
    heat(lambda: f([1, 2]))
    for make in (lambda: Count(3), lambda: Fails(5), NotIterator, NoIter, Sequence, lambda: iter(Sequence()), lambda: iter(Count(2).__next__, 0)):
        for _ in range(5):
            shown = outcome(f, make())
        print(shown)


@case
def stop_iteration_with_a_value():
    class Stops:
        def __iter__(self):
            return self

        def __next__(self):
            raise StopIteration(42)

    class Stop2(StopIteration):
        pass

    class Stops2(Stops):
        def __next__(self):
            raise Stop2

    def f(it):
        for x in it:
            return "got", x
        else:
            return "nothing"
    return heat(f, [1]), heat(f, Stops()), heat(f, Stops2()), heat(f, [])


@case
def iterator_type_switches_in_nested_loop():
    def f(groups):
        out = []
        for group in groups:
            for x in group:
                out.append(x)
        return out
    mix = [[1, 2], (3, 4), "ab", {5: 6}, {7}, range(2), iter([8]), b"c", enumerate("x"), (i for i in (9,)), map(str, [1])]
    heat(f, [[1], [2]])
    return f(mix), f([[1], 5][:1]), outcome(f, [[1], 5])


@case
def iterator_is_freed_at_the_end():
    log = []

    class It:
        def __init__(self, tag):
            self.tag = tag
            self.n = 0

        def __iter__(self):
            return self

        def __next__(self):
            self.n += 1
            if self.n > 2:
                raise StopIteration
            return self.n

        def __del__(self):
            log.append(("freed", self.tag))

    def f(tag, leave):
        for x in It(tag):
            if leave and x == 1:
                break
        log.append(("after", tag))
    for i in range(HOT):
        f(i, i % 2)
    return log[-6:], len(log)


@case
def list_replaced_during_loop():
    def f(values):
        out = []
        for v in values:
            values = [100]
            out.append(v)
        return out, values
    return heat(f, [1, 2, 3]), f([]), f([9])


@case
def slots_of_loop_reused_after_loop():
    def f(a, b):
        t = 0
        for x in a:
            t += x
        for x in b:
            t -= x
        for x in "ab":
            t += len(x)
        return t, x
    drive(f, ([1, 2], [3]), [([], []), ([1.5], (2,)), (range(3), {4})])


@case
def ranges_made_and_used_at_once():
    def f(start, stop, up):
        out = []
        for i in range(up):
            out.append(i)
        for i in range(start, stop):
            out.append(i * 2)
        for i in range(stop, start, -2):
            out.append(i)
        for i in range(start, stop, up):
            out.append(i)
        return out, [j for j in range(start, 4)]

    out = [heat(f, 1, 6, 2), heat(f, -3, 3, 1)]
    for arguments in ((2**70, 2**70 + 2, 1), (0, True, 1), (1, 6, 0), (1.5, 3, 1), (0, "x", 1), (5, 1, -1)):
        out.append(outcome(f, *arguments))

    def near_the_end(last):
        return [i for i in range(last - 2, last)]

    out.append(heat(near_the_end, 2**63 - 1))
    out.append(outcome(near_the_end, 2**63 + 1))
    return out


@case
def loops_with_later_variables_bound():
    def f(rounds, n):
        seen = []
        for r in range(rounds):
            total = 0
            for i in range(n):
                total += i
            if r > 1:
                later = total + r
                for k in range(3):
                    seen.append(later * k)
                if r % 7 == 3:
                    del later
            else:
                seen.append(total)
        return seen[-5:], len(seen)

    return heat(f, 10, 50), heat(f, 60, 60), outcome(f, 3, 2)


@case
def loops_after_the_hot_one():
    def f(n, m):
        table = [[0] * 4 for _ in range(n)]
        total = 0
        for row in table:
            for k in range(4):
                row[k] += k * m
        for row in table:
            if m:
                total += sum(row) + row[-1]
        while total > 10**6:
            total //= 3
        for a, b in zip(table, table[1:]):
            total += a[0] - b[3]
        return total, table[-1]

    out = [f(900, 0), f(900, 3), f(10, 1.5), outcome(f, 2, None), outcome(f, 2, "s")]
    return out, heat(f, 40, 2), f(2000, 2**62)
