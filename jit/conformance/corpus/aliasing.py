"""Two names for one number: hazards of reusing a box in place, and of values kept unboxed."""

import sys

from corpus_api import HOT, case, drive, heat, outcome


@case
def second_name_keeps_the_old_value():
    def f(x, n):
        y = x
        for _ in range(n):
            x += 1.5
        z = x
        x -= 1.5
        return x, y, z
    drive(f, (1.0, 3), [(0.5, 0), (1000.5, 50), (5, 4), (2**62, 9)])


@case
def float_twice_in_a_list():
    def f(x):
        values = [x, x]
        values[0] += 1.0
        values[1] *= 2.0
        first = values[0]
        values[0] += 1.0
        return values, first, x
    drive(f, (1.5,), [(0.0,), (1e300,), (7,), (2**40,)])


@case
def list_item_read_before_it_changes():
    def f(values, n):
        log = []
        for i in range(n):
            old = values[0]
            values[0] = old + 1.25
            log.append(old)
        return log, values

    def g(n):
        return f([0.5], n)
    return heat(g, 5), g(40)[0][-3:], f([1000], 3), f([2**40], 3)


@case
def int_boxes_above_the_cache():
    def f(n):
        values = [1000, 1000 + n, 10**6]
        kept = []
        for i in range(n):
            kept.append(values[0])
            values[0] += 1
            values[1], values[2] = values[2], values[1]
            values[1] -= 7
        return kept[:3], kept[-2:], values
    return heat(f, 10), f(300)


@case
def two_attributes_share_one_float():
    class P:
        def __init__(self, v):
            self.a = v
            self.b = v

    def f(p, n):
        for _ in range(n):
            p.a += 0.25
        for _ in range(n):
            p.b -= 0.5
        c = p.a
        p.a *= 2.0
        return p.a, p.b, c
    for v in (1.5, 1000, 2**50):
        shared = v + 0
        p, q = P(shared), P(shared)
        print(f(p, 3), f(q, 100), shared, heat(f, P(v), 2))


@case
def slots_share_one_float():
    class S:
        __slots__ = ("a", "b")

    def f(v, n):
        s = S()
        s.a = s.b = v
        t = S()
        t.a = s.a
        t.b = s
        for _ in range(n):
            s.a += 1.0
        return s.a, s.b, t.a, t.b.a, v
    drive(f, (1.5, 4), [(0.1, 100), (1000, 10), (2**40, 3)])


@case
def default_argument_is_the_accumulator():
    def f(n, total=0.5, step=[0.25]):
        for _ in range(n):
            total += step[0]
            step[0] += 0.0
        return total
    return heat(f, 10), f(100), f(0), f.__defaults__


@case
def constant_is_the_accumulator():
    def f(n):
        x = 1.5
        y = 100000
        for _ in range(n):
            x += 1.0
            y += 1
        return x, y, 1.5, 100000
    return heat(f, 10), f(500), f(0), [c for c in f.__code__.co_consts if isinstance(c, (int, float))]


@case
def global_float_is_read_then_changed():
    space = {}
    exec("G = 0.5\n"
         "def f(n):\n    global G\n    old = G\n    seen = []\n    for i in range(n):\n        seen.append(G)\n        G += 0.5\n"
         "    return old, seen[:2], seen[-1], G\n", space)
    f = space["f"]
    return heat(f, 5), f(100), space["G"]


@case
def closure_cell_shares_a_float():
    def f(x, n):
        y = x

        def get():
            return y
        before = get()
        for _ in range(n):
            y += 1.5
        x += 0.25
        return before, get(), x
    drive(f, (1.0, 3), [(0.5, 100), (1000, 5), (2**40, 2)])


@case
def tuple_holds_the_old_value():
    def f(n):
        x = 0.5
        pairs = []
        for i in range(n):
            pairs.append((i, x))
            x = x * 1.5 + i
        return pairs[:3], pairs[-1] if pairs else None, x
    return heat(f, 5), f(50), f(0)


@case
def dict_values_share_one_box():
    def f(n):
        d = {"a": 0.5}
        d["b"] = d["a"]
        e = dict(d)
        for _ in range(n):
            d["a"] += 1.0
        return d, e
    return heat(f, 5), f(100)


@case
def iterate_while_storing():
    def f(n):
        values = [i + 0.5 for i in range(n)]
        seen = []
        for i, v in enumerate(values):
            values[i] = v * 2.0
            seen.append(v)
            if i + 1 < n:
                values[i + 1] += v
        return seen[-3:], values[-2:]
    return heat(f, 6), f(40), f(1), f(0)


@case
def callee_keeps_its_argument():
    kept = []

    def keep(x):
        kept.append(x)
        return x

    def f(n):
        x = 0.5
        for _ in range(n):
            keep(x)
            x += 1.0
        return x
    for _ in range(HOT):
        del kept[:]
        f(4)
    four = list(kept)
    del kept[:]
    f(100)
    return four, kept[0], kept[50], kept[-1]


@case
def returned_value_is_stored_twice():
    def g(a):
        return a + 0.5

    class Box:
        pass

    def f(n):
        b = Box()
        b.v = b.w = g(1.0)
        values = [b.v]
        for _ in range(n):
            b.v += 1.0
            values[0] += b.w
        return b.v, b.w, values
    return heat(f, 5), f(50)


@case
def yielded_values_are_kept():
    def g(n):
        x = 0.5
        i = 1000
        for _ in range(n):
            yield x
            x += 1.0
            yield i
            i += 1

    def f(n):
        kept = []
        for v in g(n):
            kept.append(v)
        return kept[:4], kept[-2:]
    return heat(f, 4), f(60)


@case
def swapping_list_items():
    def f(n):
        v = [0.5, 1.5, 1000, 2**40]
        for i in range(n):
            v[0], v[1] = v[1], v[0] + 0.25
            v[2], v[3] = v[3] - 1, v[2] + 1
        return v
    return heat(f, 5), f(101)


@case
def same_list_under_two_names():
    def f(n):
        a = [0.5] * 3
        b = a
        c = a[:]
        for i in range(n):
            a[i % 3] += 1.0
            b[(i + 1) % 3] *= 0.5
        return a is b, b, c
    return heat(f, 6), f(100)


@case
def identity_survives_arithmetic_on_a_copy():
    def f(x):
        y = x
        z = x + 0
        y += 1
        w = x
        return w is x, y == x, [x, w][0] is w, (z is x) if isinstance(x, bool) else None
    drive(f, (1.5,), [(1000,), (5,), (2**70,), (True,)])


@case
def ids_of_float_boxes_are_distinct_while_alive():
    def f(n):
        values = []
        x = 0.5
        for _ in range(n):
            values.append(x)
            x += 1.0
        return len({id(v) for v in values}) == n, len(set(values)) == n
    return heat(f, 5), f(200)


@case
def refcount_one_value_with_a_weak_observer():
    class P:
        pass

    def f(n):
        p = P()
        p.x = 0.5
        snapshots = []
        for i in range(n):
            snapshots.append(dict(p.__dict__))
            p.x += 1.0
            vars(p)["y"] = p.x
        return snapshots[1:3], snapshots[-1], p.y == p.x
    return heat(f, 4), f(60)


@case
def float_stored_by_the_right_hand_side():
    class P:
        def __init__(self):
            self.x = 0.5
            self.saved = []

        def save(self):
            self.saved.append(self.x)
            return 1.0

    def f(n):
        p = P()
        for _ in range(n):
            p.x += p.save()
        return p.x, p.saved[:2], p.saved[-1]
    return heat(f, 4), f(100)


@case
def interned_constants_never_change():
    def f(n):
        values = [0.0, 1.0, -1.0, 256, 257, 1000]
        for i in range(n):
            for k in range(len(values)):
                values[k] += 1
        return values, [0.0, 1.0, -1.0, 256, 257, 1000]
    return heat(f, 3), f(100), sys.intern("a") is "".join(["a"])


@case
def exception_sees_the_value_of_its_time():
    def f(n, stop):
        x = 0.5
        y = 1000
        for i in range(n):
            x += 0.25
            y += 1
            x / (i - stop)
        return x, y

    def probe(n, stop):
        try:
            return f(n, stop)
        except ZeroDivisionError as error:
            frame_locals = error.__traceback__.tb_next.tb_frame.f_locals
            return frame_locals["x"], frame_locals["y"], frame_locals["i"]
    return heat(probe, 10, 99), probe(100, 50), probe(1, 0), heat(probe, 20, 10)
