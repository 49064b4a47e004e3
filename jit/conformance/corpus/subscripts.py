"""Loading, storing and deleting by index, key and slice."""

from corpus_api import HOT, VERSION, case, drive, heat, outcome


class Key:
    """A key whose hash and equality can fail."""

    def __init__(self, value, hash_fails=False, eq_fails=False):
        self.value = value
        self.hash_fails = hash_fails
        self.eq_fails = eq_fails

    def __hash__(self):
        if self.hash_fails:
            raise RuntimeError("hash")
        return hash(self.value)

    def __eq__(self, other):
        if self.eq_fails:
            raise RuntimeError("eq")
        return self.value == (other.value if isinstance(other, Key) else other)

    def __repr__(self):
        return f"Key({self.value!r})"


def load(o, k):
    return o[k]


def store(o, k, v):
    o[k] = v
    return o


def delete(o, k):
    del o[k]
    return o


@case
def list_load():
    values = [10, 20, 30]
    drive(load, (values, 1), [(values, k) for k in (0, 2, 3, -1, -3, -4, True, 2**70, -(2**70), 1.0, "1", None, slice(1, None), (1,))]
          + [([], 0), ([], -1)])


@case
def tuple_load():
    values = (10, 20, 30)
    drive(load, (values, 1), [(values, k) for k in (0, 2, 3, -1, -3, -4, False, 2**70, 1.0, "1", None, slice(None, None, -1))] + [((), 0)])


@case
def str_load():
    drive(load, ("abc", 1), [("abc", k) for k in (0, 2, 3, -1, -3, -4, True, 2**70, 1.0, "1", slice(0, 2))] +
          [("aé\u20ac\U0001f600", k) for k in range(4)] + [("", 0)])


@case
def str_load_returns_cached_characters():
    def f(s, n):
        return [s[i % len(s)] is s[i % len(s)] for i in range(n)].count(True)
    return heat(f, "abc", 10), f("é", 5), f("\u20ac", 3)


@case
def dict_load():
    d = {1: "one", "k": 2, 1.5: 3, None: 4, (1, 2): 5}
    drive(load, (d, 1), [(d, k) for k in ("k", 1.5, None, (1, 2), 1.0, True, 2, "absent", [], Key(1), Key(9), Key(1, hash_fails=True),
                                          Key(1, eq_fails=True))])


@case
def dict_string_keys():
    d = {f"key{i}": i for i in range(50)}

    def f(d, keys):
        t = 0
        for k in keys:
            t += d[k]
        return t
    keys = list(d)
    print(heat(f, d, keys))
    d["key10"] = 0.5
    built = ["".join(["key", str(i)]) for i in range(50)]
    print(f(d, built), outcome(f, d, built + ["none"]), outcome(f, d, [0]), outcome(f, d, [[]]))
    d[7] = 1
    print(f(d, keys + [7]))


@case
def dict_subclass_missing():
    import collections

    class Doubling(dict):
        def __missing__(self, key):
            if key == "bad":
                raise ValueError("bad key")
            return key * 2
    drive(load, ({1: 2}, 1), [(Doubling({1: 5}), 1), (Doubling(), 4), (Doubling(), "ab"), (Doubling(), "bad")])

    def count(words):
        d = collections.defaultdict(int)
        c = collections.Counter()
        for w in words:
            d[w] += 1
            c[w] += 1
        return dict(d), c == d
    return heat(count, "abracadabra")


@case
def list_store():
    def f(k, v):
        values = [1, 2, 3]
        values[k] = v
        return values
    drive(f, (1, 9), [(0, 1.5), (-1, None), (-3, "a"), (3, 0), (-4, 0), (True, 0), (2**70, 0), (1.0, 0), ("a", 0), (slice(0, 2), [7]),
                      (slice(0, 1), 5), (slice(0, 3, 2), [7, 8]), (slice(0, 3, 2), [7])])


@case
def tuple_and_str_store():
    drive(store, ([1, 2], 0, 1), [((1, 2), 0, 1), ("ab", 0, "c"), (5, 0, 1), (None, 0, 1), (bytearray(b"ab"), 0, 99),
                                  (bytearray(b"ab"), 0, 300), (range(3), 0, 1), (b"ab", 0, 1)])


@case
def dict_store():
    def f(k, v):
        d = {1: 2}
        d[k] = v
        d[k] = v
        return d
    drive(f, (1, 9), [("a", 1), (None, 1), (1.0, 5), (True, 6), ([], 1), (Key(1), 2), (Key(1, hash_fails=True), 2),
                      (Key(1, eq_fails=True), 2), ((1, []), 3)])


@case
def delete_items():
    def fresh(kind):
        return {"list": [1, 2, 3], "dict": {1: 2, "a": 3}, "tuple": (1,), "str": "a"}[kind]

    def f(kind, k):
        return delete(fresh(kind), k)
    drive(f, ("list", 1), [("list", 0), ("list", -1), ("list", 3), ("list", "a"), ("dict", 1), ("dict", "a"), ("dict", "b"), ("dict", []),
                           ("tuple", 0), ("str", 0), ("list", slice(0, 2))])


@case
def augmented_store():
    def f(o, k, v):
        o[k] += v
        return o

    def g(which, k, v):
        return f({"l": [1, 2.5, "s"], "d": {"a": 1, 0: 2}, "t": (1, 2)}[which], k, v)
    drive(g, ("l", 0, 1), [("l", 1, 1), ("l", 2, "t"), ("l", 2, 1), ("l", 3, 1), ("l", -3, 2**70), ("d", "a", 0.5), ("d", "b", 1), ("t", 0, 1),
                           ("d", [], 1), ("l", True, 1)])


@case
def augmented_store_order_of_evaluation():
    log = []

    class Box:
        def __getitem__(self, k):
            log.append(("get", k))
            return 1

        def __setitem__(self, k, v):
            log.append(("set", k, v))

    def note(x):
        log.append(x)
        return x

    def f(box):
        box[note("k")] += note(2)
        box[note("a")], box[note("b")] = note(1), note(2)
    for _ in range(HOT):
        del log[:]
        f(Box())
    return log


@case
def augmented_tuple_item_is_changed_and_raises():
    def f():
        t = ([1],)
        try:
            t[0] += [2]
        except TypeError as error:
            return t, str(error)
    return heat(f)


@case
def slices():
    def f(s, a, b, c):
        return s[a:b], s[a:], s[:b], s[::c], s[a:b:c]
    cases = []
    for s in ([0, 1, 2, 3, 4], (0, 1, 2, 3), "abcdef", b"abc", range(6)):
        cases += [(s, 1, 3, 2), (s, -2, None, -1), (s, 5, 1, -2), (s, None, None, None), (s, 10, 20, 1), (s, -100, 100, 3)]
    cases += [("abc", 0, 1, 0), ("abc", 1.0, 2, 1), ("abc", "a", 2, 1), (5, 0, 1, 1), ({}, 0, 1, 1), ([1, 2, 3], 2**70, -(2**70), 1)]
    drive(f, ([1, 2, 3], 0, 2, 1), cases)


@case
def slice_assignment_and_deletion():
    def f(a, b, c, new):
        values = list(range(6))
        values[a:b:c] = new
        other = list(range(6))
        del other[a:b:c]
        return values, other
    drive(f, (1, 3, None, [9]), [(0, 0, None, [1, 2]), (None, None, None, []), (5, 1, None, "ab"), (0, 6, 2, [7, 8, 9]), (0, 6, 2, [7]),
                                 (0, 6, -1, []), (1, 3, None, 5), (-2, None, None, (1,)), (0, 6, 0, [])])


@case
def subscript_methods_on_classes():
    class A:
        def __init__(self):
            self.items = {}

        def __getitem__(self, k):
            return self.items[k]

        def __setitem__(self, k, v):
            self.items[k] = v

        def __delitem__(self, k):
            del self.items[k]

        def __repr__(self):
            return f"A{self.items}"

    def f(a, k):
        a[k] = k
        a[k] += 1
        r = a[k]
        del a[k]
        return r
    a = A()
    print(heat(f, a, 5), outcome(f, a, "x"), outcome(f, a, []), outcome(load, a, 9), f({}, 1))
    A.__getitem__ = lambda self, k: 100
    print(heat(f, a, 5))
    del A.__setitem__
    print(outcome(f, a, 5))


@case
def class_getitem_and_wrong_objects():
    class G:
        def __class_getitem__(cls, item):
            return f"{cls.__name__}[{item}]"
    drive(load, ([1], 0), [(G, 5), (list, int), (int, 5), (G(), 5), (None, 0), (len, 0), (True, 0), (2.5, 0)])


@case
def two_dimensional():
    def f(n):
        grid = [[0] * n for _ in range(n)]
        for i in range(n):
            for j in range(n):
                grid[i][j] = i * j
        t = 0
        for i in range(n):
            t += grid[i][i] - grid[-i][0]
            grid[i][i] = None
        return t, grid[n // 2]
    return heat(f, 8), f(1), outcome(f, 0), f(20)[0]


@case
def bounds_at_the_edge_of_a_loop():
    def f(values, n):
        t = 0
        for i in range(n):
            t += values[i]
        return t
    values = list(range(30))
    drive(f, (values, 30), [(values, 31), (values, 0), (tuple(values), 31), ([], 1), ("ab", 3), ({0: 1}, 2)])

    def g(values):
        i = len(values) - 1
        out = []
        while True:
            out.append(values[i])
            i -= 1
            if i < -len(values) - 1:
                break
        return out
    return outcome(g, [1, 2, 3]), [outcome(g, (1,)) for _ in range(HOT)][-1]


@case
def list_shrinks_between_check_and_use():
    def f(values):
        t = 0
        for i in range(len(values)):
            t += values[i]
            if i == 3:
                values.pop()
        return t
    heat(lambda: f([1, 2, 3]))
    return outcome(f, [1, 2, 3, 4, 5, 6]), outcome(f, [1, 2, 3, 4])


@case
def index_changes_size_of_list():
    class Evil:
        def __init__(self, values):
            self.values = values

        def __index__(self):
            self.values.clear()
            return 0

    def f(values, k):
        return values[k]

    def g(values, k, v):
        values[k] = v
        return values
    heat(f, [1, 2], 0)
    heat(g, [1, 2], 0, 1)
    a, b = [1, 2, 3], [1, 2, 3]
    return outcome(f, a, Evil(a)), a, outcome(g, b, Evil(b), 1), b


@case
def dict_methods():
    def f(d, k):
        return d.get(k), d.get(k, 7), d.setdefault(k, 1), d.pop(k, None), k in d, len(d), list(d.items())
    drive(f, ({1: 2}, 9), [({}, "a"), ({1: 2}, 1.5), ({1: 2}, []), ({"a": 1}, None), ([1], 0)])


@case
def dict_order_and_resize():
    def f(n):
        d = {}
        for i in range(n):
            d[i * 7 % n] = i
            if i % 3 == 0:
                d.pop(i, None)
        return list(d.items())
    return [len(f(n)) for n in range(0, 60, 5)], f(25)


@case
def dict_key_identity():
    def f(k1, k2):
        d = {}
        d[k1] = 1
        d[k2] = 2
        return [type(k).__name__ for k in d], list(d.values())
    drive(f, (1, 2), [(1, 1.0), (1.0, 1), (True, 1), (0, False), ("a", "a"), (2**70, float(2**70))])


@case
def nested_containers():
    def f(data):
        t = 0
        for row in data:
            t += row["v"][0] * row["w"][-1]
            row["v"][0] += 1
        return t
    def make():
        return [{"v": [i, 1], "w": (i, i + 1)} for i in range(10)]
    print([f(make()) for _ in range(HOT)][-1])
    odd = make()
    odd[5]["v"] = (1,)
    print(outcome(f, odd))
    odd = make()
    odd[6].pop("w")
    print(outcome(f, odd), VERSION > (3, 0))
