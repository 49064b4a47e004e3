"""Building, extending, comprehending and unpacking containers."""

from corpus_api import HOT, case, drive, heat, outcome


@case
def append_to_a_list_that_is_being_sorted():
    class Holder:
        def __init__(self, items):
            self.items = items

        def append(self, item):
            self.items.append(item)

    holder = Holder([])

    class Item:
        def __init__(self, key):
            self.key = key

        def __lt__(self, other):
            holder.append(1)
            return self.key < other.key

    def f(count):
        holder.items = [Item(-key) for key in range(count)]
        try:
            holder.items.sort()
        except ValueError as error:
            return str(error), [item.key for item in holder.items]

    for _ in range(HOT * 4):
        holder.append(0)
    for _ in range(HOT):
        f(3)
    return f(5), f(1)


@case
def build_literals():
    def f(a, b):
        return [a, b], (a, b), {a: b}, {a, b}, [], (), {}, [a, [b, (a,)]], {"k": a, **{"m": b}}, [*[a], *(b, a)], (*"xy", a)
    drive(f, (1, 2), [(1.5, "a"), (None, None), ([], 1), (1, []), (2**70, True)])


@case
def append_in_loop():
    def f(n, x):
        out = []
        for i in range(n):
            out.append(i + x)
        return out
    print(heat(f, 20, 1)[-1], f(200, 0.5)[-1], outcome(f, 3, "a"), f(0, 1))

    class L(list):
        def append(self, v):
            super().append(("mine", v))

    def g(out, n):
        for i in range(n):
            out.append(i)
        return out
    heat(g, [], 3)
    print(g(L(), 2), outcome(g, (), 1), outcome(g, {1}, 1))


@case
def append_returns_none_and_wrong_arguments():
    def f(values, *args):
        return values.append(*args)
    drive(f, ([], 1), [([],), ([], 1, 2), ((), 1), (None, 1)])
    bound = [].append

    def g(n):
        for i in range(n):
            bound(i)
        return bound.__self__[-1]
    return heat(g, 5)


@case
def extend_and_concatenate():
    def f(a, b):
        c = a + b
        a += b
        d = list(a)
        d.extend(b)
        d.extend(x for x in b)
        return c, a, d, a * 2, 0 * a

    def g(a, b):
        return f(list(a), b)
    drive(g, ([1], [2]), [([], []), ([1], (2,)), ([1], "ab"), ([1], 5), ("ab", ["c"])])


@case
def list_repeat_aliases():
    def f(n):
        rows = [[0] * 3] * n
        for i in range(n):
            rows[i][i % 3] += 1
        return rows
    return heat(f, 4), f(0), f(10)


@case
def list_comprehensions():
    def f(values, k):
        a = [v * k for v in values]
        b = [v for v in values if v % 2 if v > k]
        c = [(x, y) for x in values for y in range(x) if y != k]
        d = [[w + v for w in a] for v in values]
        return a, b, c, d
    drive(f, ([1, 2, 3], 1), [([], 1), ([1, 2.5], 1), ([4, 5], 0.5), (["a"], 2), ((1, 2), -1), (5, 1), ([None], 1)])


@case
def dict_and_set_comprehensions():
    def f(values):
        return {v: v * v for v in values}, {v % 3 for v in values}, {k: [k] * n for n, k in enumerate(values)}
    drive(f, ([1, 2, 3],), [([],), ([1.5],), (["a"],), ([[]],), ([True, 1, 1.0],), ((5, 5),)])


@case
def comprehension_scopes():
    x = "outer"

    def f(values):
        x = "f"
        inner = [x for x in values]
        functions = [lambda: x for _ in range(2)]
        late = [g() for g in functions]
        x = "changed"
        return inner, late, [g() for g in functions], x
    return heat(f, [1, 2]), f([]), x


@case
def comprehension_leaves_outer_variable_unbound():
    def f(values):
        r = [i for i in values]
        try:
            return i  # noqa: F821
        except NameError as error:
            return r, str(error)
        i = 0
    return heat(f, [1]), f([])


@case
def exception_in_comprehension():
    def f(values):
        x = "kept"
        try:
            return [10 // x for x in values]
        except ZeroDivisionError:
            return x, "caught"
    print(heat(f, [1, 2]), f([1, 0, 2]))

    def g(values):
        return [10 // x for x in values] + [y.z for y in values]
    drive(g, ([],), [([1, 0],), ([1],), (["a"],), (5,)])


@case
def unpack_fixed():
    def two(v):
        a, b = v
        return b, a

    def three(v):
        (a, b), c = v
        return a, b, c
    drive(two, ((1, 2),), [([1, 2],), ("ab",), ({1: 2, 3: 4},), (range(2),), ((1,),), ((1, 2, 3),), ([],), ([1],), ([1, 2, 3],), (iter([1, 2]),),
                           ("abc",), ("a",), ({},), (range(5),), (5,), (None,), ([1, 2] * 5,)])
    drive(three, (((1, 2), 3),), [(([1, 2], 3),), (("ab", "c"),), (((1,), 2),), (((1, 2), 3, 4),), ((1, 2),), ((1.5, None),)])


@case
def unpack_starred():
    def f(v):
        a, *b, c = v
        return a, b, c

    def g(v):
        *a, b = v
        return a, b

    def h(v):
        a, (b, *c), *d = v
        return a, b, c, d
    drive(f, ((1, 2, 3),), [((1, 2),), ((1,),), ([],), ("abcd",), (range(9),), (5,), ({1: 1, 2: 2},)])
    drive(g, ((1, 2, 3),), [((1,),), (([]),), ("abcd",)])
    drive(h, ((1, (2, 3), 4),), [((1, "b"),), ((1, ""),), ((1, 2),), ((1,),)])


@case
def unpack_single():
    def f(v):
        [a] = v
        (b,) = v
        return a, b
    drive(f, ((1,),), [([1],), ("a",), ((),), ((1, 2),), (5,), ({1: 2},)])


@case
def unpack_iterator_that_raises():
    class It:
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            return self

        def __next__(self):
            self.n -= 1
            if self.n < 0:
                raise OSError("read error")
            return self.n

        def __repr__(self):
            return "It"

    def f(v):
        a, b = v
        return a, b

    def g(v):
        a, *b = v
        return a, b
    heat(f, (1, 2))
    heat(g, (1, 2))
    return [outcome(f, It(n)) for n in (0, 1, 2, 5)] + [outcome(g, It(3))]


@case
def unpack_swaps():
    def f(values):
        n = len(values)
        for i in range(n // 2):
            values[i], values[n - 1 - i] = values[n - 1 - i], values[i]
        a, b, c = values[:3]
        a, b, c = c, a, b
        return values, a, b, c
    return [f(list(range(9))) for _ in range(HOT)][-1], f([1.5, "a", None]), outcome(f, [1, 2])


@case
def permutations_in_place():
    def perms(values):
        out = []
        n = len(values)
        counts = [0] * n
        out.append(tuple(values))
        i = 0
        while i < n:
            if counts[i] < i:
                j = counts[i] if i % 2 else 0
                values[i], values[j] = values[j], values[i]
                out.append(tuple(values))
                counts[i] += 1
                i = 0
            else:
                counts[i] = 0
                i += 1
        return out
    result = perms([1, 2, 3, 4, 5])
    return len(result), len(set(result)), result[-1], perms([]), perms(["a", 0.5])


@case
def list_methods_results():
    def f(values, x):
        values = list(values)
        r = [values.pop() if values else None, values.count(x), values.copy()]
        values.insert(1, x)
        values.reverse()
        r.append(values.index(x))
        values.remove(x)
        values.sort(reverse=True)
        return r, values
    drive(f, ([3, 1, 2], 1), [([], 1), ([1.5, 2], 9), (["b", "a"], "c"), ([1, "a"], 1), ((), None)])


@case
def pop_from_empty():
    def f(values, k):
        return values.pop(k), values.pop()
    return [outcome(f, [1, 2, 3], 0) for _ in range(HOT)][-1], outcome(f, [1], 0), outcome(f, [], 0), outcome(f, [1, 2], 5), outcome(f, [1, 2], -1)


@case
def stack_and_queue():
    def f(n):
        stack, queue, out = [], [], []
        for i in range(n):
            stack.append(i)
            queue.insert(0, i * 1.5)
            if i % 3 == 2:
                out.append(stack.pop() + queue.pop())
        return out, len(stack), queue[:2]
    return heat(f, 12), f(100)[0][-1], f(0)


@case
def set_operations():
    def f(a, b):
        s = set(a)
        s.add(5)
        s.discard(1)
        s |= set(b)
        return sorted(s & set(b)), sorted(s - set(a)), sorted(s ^ set(b)), len(s | {99}), s >= {5}, s.isdisjoint(b)
    drive(f, ([1, 2], [2, 3]), [([], []), ([1.5], [1.5, 5]), ([1], 5), ([[]], []), ("ab", "bc")])


@case
def dict_merge_and_update():
    def f(a, b):
        c = {**a, **b}
        d = a | b
        a = dict(a)
        a |= b
        a.update(b, z=1)
        return c, d, a, c == d
    drive(f, ({1: 2}, {3: 4}), [({}, {}), ({"a": 1}, {"a": 2}), ({1: 1}, []), ({1: 1}, [(1, 2)]), ({1: 1}, 5)])


@case
def counting_words():
    def f(text):
        counts = {}
        for word in text.split():
            counts[word] = counts.get(word, 0) + 1
            if word in counts and counts[word] > 2:
                counts[word] += 0.5
        return sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))
    return heat(f, "a b a c a b"), f(""), f("x " * 20), outcome(f, 5)


@case
def sorting_with_keys():
    def f(rows):
        rows = sorted(rows, key=lambda r: (r[1], -r[0]))
        rows.sort(key=lambda r: r[0] % 3, reverse=True)
        return rows
    drive(f, ([(1, 2), (3, 1), (2, 1)],), [([],), ([(1.5, 2), (1, 2)],), ([("a", 1)],), ([(1, "a"), (2, 3)],), ([1],)])


@case
def sort_mutates_list_in_key():
    def f(values):
        def key(v):
            values.append(v)
            return v
        values.sort(key=key)
        return values
    return [outcome(f, [3, 1, 2]) for _ in range(HOT)][-1]


@case
def matrix_multiplication():
    def multiply(a, b):
        n, m, p = len(a), len(b), len(b[0])
        c = [[0] * p for _ in range(n)]
        for i in range(n):
            row, out = a[i], c[i]
            for j in range(p):
                t = 0
                for k in range(m):
                    t += row[k] * b[k][j]
                out[j] = t
        return c
    a = [[i + j for j in range(6)] for i in range(6)]
    print(heat(multiply, a, a)[5])
    a[3][3] = 0.25
    print(multiply(a, a)[3])
    a[2][2] = 2**61
    print(multiply(a, a)[2])
    a[1] = a[1][:4]
    print(outcome(multiply, a, a))


@case
def tuple_operations():
    def f(a, b):
        return a + b, a * 2, a < b, a == b, len(a), a[::-1], hash(a) == hash(tuple(list(a))), b in (a, b)
    drive(f, ((1, 2), (3,)), [((), ()), ((1.5,), ("a",)), ((1,), [2]), (("a",), ("b",)), (([],), ())])


@case
def nested_data_building():
    def build(depth):
        if depth == 0:
            return []
        return [build(depth - 1), {"d": depth, "c": (depth, build(depth - 2) if depth > 1 else None)}]

    def size(node):
        if isinstance(node, (list, tuple)):
            return 1 + sum(size(x) for x in node)
        if isinstance(node, dict):
            return 1 + sum(size(x) for x in node.values())
        return 0
    return [size(build(d)) for d in range(9)], heat(lambda: size(build(3)))
