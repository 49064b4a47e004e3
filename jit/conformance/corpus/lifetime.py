"""When objects die: reference counts, finalisers, weak references and garbage collections during hot code."""

import gc
import sys
import weakref

from corpus_api import HOT, case, drive, heat, outcome

LEVEL = 1


class Tracked:
    """Logs its death."""

    def __init__(self, log, tag):
        self.log = log
        self.tag = tag

    def __del__(self):
        self.log.append(f"del {self.tag}")

    def __repr__(self):
        return f"Tracked({self.tag})"


@case
def freed_when_local_is_overwritten():
    def f(log):
        x = Tracked(log, 1)
        log.append("made")
        x = Tracked(log, 2)
        log.append("overwritten")
        x = None
        log.append("cleared")
        x = Tracked(log, 3)
        y = x
        x = 0
        log.append("y keeps")
        del y
        log.append("deleted")
        return x
    for _ in range(HOT):
        log = []
        f(log)
    return log


@case
def freed_when_the_function_returns():
    def g(log):
        x = Tracked(log, "local")
        y = [Tracked(log, "in list")]
        log.append("leaving")
        return len(y) + (x is None)

    def f(log):
        r = g(log)
        log.append("back")
        return r
    for _ in range(HOT):
        log = []
        f(log)
    return log


@case
def freed_on_exception():
    def g(log, x):
        a = Tracked(log, "a")
        b = [a, Tracked(log, "b")]
        return 10 // x + len(b)

    def f(log, x):
        try:
            return g(log, x)
        except ZeroDivisionError:
            log.append("handler")
        log.append("after handler")
    for _ in range(HOT):
        log = []
        f(log, 1)
        f(log, 0)
    return log


@case
def freed_in_loop_order():
    def f(log, n):
        for i in range(n):
            t = Tracked(log, i)
            log.append(f"loop {i}")
        log.append("end")
        return t.tag
    for _ in range(HOT):
        log = []
        f(log, 3)
    return log


@case
def temporaries_freed_at_once():
    def f(log):
        Tracked(log, "discarded")
        log.append(1)
        Tracked(log, "attribute").tag
        log.append(2)
        len([Tracked(log, "in list")])
        log.append(3)
        [Tracked(log, "indexed")][0]
        log.append(4)
        (lambda t: None)(Tracked(log, "argument"))
        log.append(5)
        a, b = Tracked(log, "a"), Tracked(log, "b")
        a, b = b, a
        log.append(6)
        return a.tag + b.tag
    for _ in range(HOT):
        log = []
        f(log)
    return log


@case
def argument_lives_until_the_callee_ends():
    def g(log, t):
        t = None
        log.append("callee dropped its name")

    def f(log):
        g(log, Tracked(log, "argument"))
        log.append("returned")
    for _ in range(HOT):
        log = []
        f(log)
    return log


def rebinds(log, first, second, third):
    local = Tracked(log, "local")
    second = Tracked(log, "second again")
    log.append("rebound")
    del third
    log.append("deleted")
    return local.tag, second.tag, first.tag


@case
def arguments_belong_to_the_callee():
    def method(log, k):
        return rebinds(log, Tracked(log, f"first {k}"), Tracked(log, f"second {k}"), Tracked(log, f"third {k}"))

    def named(log, k):
        return rebinds(log, third=Tracked(log, f"third {k}"), second=Tracked(log, f"second {k}"), first=Tracked(log, f"first {k}"))

    def kept(log, k):
        first = Tracked(log, f"first {k}")
        return rebinds(log, first, first, Tracked(log, f"third {k}")), first.tag
    out = []
    for call in (method, named, kept):
        for k in range(HOT):
            log = []
            call(log, k)
            log.append("after")
        out.append(log)
    return out


@case
def arguments_of_calls_that_are_not_known():
    def swallow(log, item, *rest, last=None):
        item = rest = last = None  # noqa: F841
        log.append("swallowed")

    class Swallower:
        def __call__(self, log, item):
            item = None  # noqa: F841
            log.append("swallowed by an instance")

        def method(self, log, item):
            item = None  # noqa: F841
            log.append("swallowed by a method")

    def generator(log, item):
        item = None  # noqa: F841
        yield log.append("swallowed by a generator")

    def f(call, log, k):
        call(log, Tracked(log, k))
        log.append("after")

    def g(call, log, k):
        call(log, Tracked(log, f"a{k}"), Tracked(log, f"b{k}"), last=Tracked(log, f"c{k}"))
        log.append("after")
    instance = Swallower()
    calls = [swallow, instance, instance.method, generator, lambda log, item: log.append(item.tag), str.format, list.append]
    logs = []
    for k in range(HOT):
        logs = []
        for call in calls:
            log = []
            outcome(f, call, log, k)
            logs.append([str(entry) for entry in log])
        log = []
        g(swallow, log, k)
        logs.append(log)
    return logs


@case
def a_callee_that_raises_gives_up_its_arguments():
    def g(log, item, fail):
        item = Tracked(log, "another")
        if fail:
            raise ValueError(fail)
        return item.tag

    def f(log, k, fail):
        try:
            return g(log, Tracked(log, k), fail)
        except ValueError as error:
            log.append(f"caught {error}")
        finally:
            log.append("finally")
    out = []
    for fail in ("", "failed"):
        for k in range(HOT):
            log = []
            f(log, k, fail)
        out.append(log)
    log = []
    out.append([outcome(f, log, 1), outcome(g, log, Tracked(log, "few")), log])
    return out


@case
def recursion_hands_its_argument_on():
    def f(log, item, n):
        if n == 0:
            item = None
            log.append("bottom")
            return 0
        return 1 + f(log, [item] if n == 2 else item, n - 1)

    def start(log, n):
        return f(log, Tracked(log, n), n)
    for _ in range(HOT):
        log = []
        start(log, 3)
        log.append("between")
        start(log, 0)
    return log


@case
def the_caller_sees_its_own_arguments_after_the_call():
    def g(a, b, c):
        a, b = b, a
        del c
        return a, b

    def f(n):
        x, y = [n], (n, 0.5)
        out = g(x, y, x), g(y, x, [x]), g(x + [1], y + (1,), None)
        return out, x, y
    heat(f, 1)
    return f(2), outcome(g, 1, 2), g(*[[1], [2], [3]]), g(c=1, a=[2], b=[3])


@case
def container_items_freed_on_store():
    def f(log):
        values = [Tracked(log, "item")]
        values[0] = 1
        log.append("replaced")
        d = {"k": Tracked(log, "value")}
        d["k"] = 2
        log.append("replaced")
        d["k"] = Tracked(log, "again")
        del d["k"]
        log.append("deleted")
        values.append(Tracked(log, "appended"))
        values.pop()
        log.append("popped")
        values[:] = [Tracked(log, "slice")]
        values.clear()
        log.append("cleared")
    for _ in range(HOT):
        log = []
        f(log)
    return log


@case
def attribute_values_freed_on_store():
    class Box:
        pass

    class Slotted:
        __slots__ = ("v",)

    def f(box, log):
        box.v = Tracked(log, "first")
        box.v = 1
        log.append("stored")
        box.v = Tracked(log, "second")
        del box.v
        log.append("deleted")
        box.v = Tracked(log, "with box")
    for cls in (Box, Slotted):
        for _ in range(HOT):
            log = []
            f(cls(), log)
            log.append("box gone")
        print(log)


@case
def finaliser_sees_a_consistent_object():
    class Box:
        pass

    def f(log):
        box = Box()

        class Peek:
            def __del__(self):
                log.append(getattr(box, "v", "unset"))
        box.v = Peek()
        box.v = "new"
        values = [Peek()]
        values[0] = "x"
        log.append(values)
    for _ in range(HOT):
        log = []
        f(log)
    return log


@case
def finaliser_reads_a_changing_global():
    global LEVEL
    seen = []

    class D:
        def __del__(self):
            seen.append(LEVEL)

    def f(n):
        global LEVEL
        for i in range(n):
            d = D()
            LEVEL = i
            d = None  # noqa: F841
            LEVEL = -i
        return LEVEL
    heat(f, 5)
    del seen[:]
    f(100)
    LEVEL = 1
    return seen[-5:], seen == list(range(100))


@case
def finaliser_changes_what_hot_code_uses():
    class K:
        step = 1

    class D:
        def __init__(self, value):
            self.value = value

        def __del__(self):
            K.step = self.value

    def f(n):
        total = 0
        for i in range(n):
            total += K.step
            d = D(i if i % 10 else 0.5)  # noqa: F841
        return total
    out = []
    for n in (5, 20, 150):
        K.step = 1
        out.append(f(n))
    return out


@case
def finaliser_mutates_the_list_in_use():
    def f(n):
        values = list(range(5))

        class D:
            def __del__(self):
                values.append(len(values))
        for i in range(n):
            values[0] = D()
            values[0] = i
        return len(values), values[-1]
    return heat(f, 3), f(100)


@case
def resurrection():
    saved = []

    class Phoenix:
        def __init__(self, n):
            self.n = n

        def __del__(self):
            if self.n == 5:
                saved.append(self)

    def f(n):
        for i in range(n):
            p = Phoenix(i)
        return p.n
    for _ in range(HOT):
        del saved[:]
        f(10)
    return len(saved), saved[0].n


@case
def weak_references_die_on_time():
    class O:
        pass

    def f(log):
        o = O()
        r = weakref.ref(o, lambda ref: log.append("callback"))
        log.append(r() is o)
        o = None
        log.append(r() is None)
        o = O()
        p = weakref.proxy(o)
        o.x = 1
        log.append(p.x)
        return log
    for _ in range(HOT):
        log = []
        f(log)
    return log


@case
def weak_dictionaries():
    class O:
        def __init__(self, n):
            self.n = n

    def f(n):
        cache = weakref.WeakValueDictionary()
        kept = []
        for i in range(n):
            o = O(i)
            cache[i] = o
            if i % 3 == 0:
                kept.append(o)
        last = o
        o = None
        return sorted(cache), len(kept), last.n
    return heat(f, 5), f(31)


@case
def refcounts_of_locals():
    def f(x):
        a = [x]
        before = sys.getrefcount(a)
        b = a
        two = sys.getrefcount(a)
        c = (a, b)
        four = sys.getrefcount(a)
        del b, c
        return before, two, four, sys.getrefcount(a)
    return heat(f, 1), f(0.5)


@case
def refcounts_of_arguments():
    def count(o):
        return sys.getrefcount(o)

    def pass_on(o):
        return count(o)

    def f():
        o = []
        return count(o), pass_on(o), count([]), sys.getrefcount(o)
    return heat(f)


@case
def refcounts_of_what_was_passed_through_many_hands():
    count = sys.getrefcount

    class Box:
        def __init__(self, o, counts):
            self.o = o
            counts.append(count(o))

        def look(self, counts):
            counts.append((count(self), count(self.o)))

        def __getitem__(self, o):
            return count(o)

        @property
        def counted(self):
            return count(self), count(self.o)

    def by_name(counts, *, o):
        counts.append(count(o))

    def by_star(counts, *objects, **named):
        counts.append((count(objects[0]), count(objects), len(named)))

    def in_a_generator(o):
        p = o
        yield count(o)
        yield count(p)

    def in_c(o):
        return list(map(sys.getrefcount, [o, o]))

    def deeper(o, counts, depth):
        if depth:
            deeper(o, counts, depth - 1)
        else:
            counts.append(count(o))

    def f():
        o, counts = [], []
        box = Box(o, counts)
        box.look(counts)
        counts.append((box[o], box.counted))
        by_name(counts, o=o)
        by_star(counts, o, n=1)
        counts.extend(in_a_generator(o))
        counts.append(in_c(o))
        deeper(o, counts, 5)
        for x in [o, (o,)]:
            counts.append(count(x))
        by_name(counts, o=[])
        return counts
    return heat(f)


@case
def refcounts_asked_for_late():
    def nothing(o):
        return 0

    def f(ask, o, rounds):
        last = None
        for _ in range(rounds):
            last = ask(o)
        return last

    def g(ask):
        return f(ask, [], 1), f(ask, [g], 20)
    # All of this is hot before it has anything to do with counts.
    heat(g, nothing)
    g(sys.getrefcount)
    return g(sys.getrefcount), g(nothing), g(sys.getrefcount)


@case
def refcounts_unchanged_by_hot_code():
    token = object()

    class Box:
        def __init__(self, v):
            self.v = v

    def f(n):
        values = [token] * 3
        box = Box(token)
        for i in range(n):
            x = values[i % 3]
            y = box.v
            box.v = x
            values[0], values[1] = values[1], y
            t = (x, y, token)
            if t[0] is not token:
                raise AssertionError
            d = {1: x}
            d.pop(1)
        return len(values)

    def g(n):
        try:
            f(n)
            return [token][1]
        except IndexError:
            return token
    before = sys.getrefcount(token)
    heat(f, 20)
    heat(g, 3)
    f(500)
    return sys.getrefcount(token) - before


@case
def refcounts_of_floats_and_big_ints():
    def f(n):
        x = 1.5e10
        y = 2**70
        values = []
        for i in range(n):
            z = x
            w = y
            values.append((z, w))
        return sys.getrefcount(x) - n, sys.getrefcount(y) - n, len({id(v[0]) for v in values})
    return heat(f, 10), f(200)


@case
def garbage_collection_during_hot_code():
    log = []

    class Node:
        def __init__(self, n):
            self.me = self
            self.n = n

        def __del__(self):
            log.append(self.n)

    def f(n):
        for i in range(n):
            Node(i)
            if i % 50 == 49:
                gc.collect()
                log.append("collected")
        return len(log)
    gc.disable()
    try:
        heat(f, 1)
        gc.collect()
        del log[:]
        f(150)
        return len(log), log.index("collected"), sorted(log[:50]) == list(range(50))
    finally:
        gc.enable()


@case
def automatic_collections_do_not_disturb():
    def f(n):
        rows = []
        for i in range(n):
            row = [i]
            row.append(row)
            rows = [row, rows[:1]]
        return len(rows), rows[0][0]
    old = gc.get_threshold()
    gc.set_threshold(1)
    try:
        return heat(f, 20), f(500)
    finally:
        gc.set_threshold(*old)


@case
def collection_callback_changes_a_class():
    class K:
        def m(self):
            return 1

    def callback(phase, info):
        if phase == "start":
            K.m = lambda self: 0.5

    def f(k, n):
        total = 0
        for i in range(n):
            total += k.m()
            if i == 50:
                gc.collect()
        return total
    k = K()
    original = K.m
    heat(f, k, 10)
    K.m = original
    gc.callbacks.append(callback)
    try:
        return f(k, 100), f(k, 3)
    finally:
        gc.callbacks.remove(callback)


@case
def referrers_of_a_local():
    def f():
        o = ["target"]
        holder = {"k": o}
        n = len([r for r in gc.get_referrers(o) if r is holder])
        return n, gc.is_tracked(o), len(holder)
    return heat(f)


@case
def generator_frees_locals_when_dropped():
    def g(log):
        t = Tracked(log, "in generator")  # noqa: F841
        yield 1
        yield 2

    def f(log):
        it = g(log)
        next(it)
        log.append("started")
        it = None
        log.append("dropped")
    for _ in range(HOT):
        log = []
        f(log)
    return log


@case
def exception_keeps_frame_alive():
    def g(log):
        t = Tracked(log, "in frame")  # noqa: F841
        raise ValueError

    def f(log):
        try:
            g(log)
        except ValueError as error:
            log.append("caught")
            error = error.with_traceback(error.__traceback__)
        log.append("handler left")
    for _ in range(HOT):
        log = []
        f(log)
    return log


@case
def deleting_in_the_middle_of_an_expression():
    def f(log):
        values = [Tracked(log, i) for i in range(3)]
        n = len(values.pop().log) + len(values.pop(0).log) * 10
        log.append("popped")
        values = values[0].tag
        return n, values
    for _ in range(HOT):
        log = []
        result = f(log)
    return log, result


@case
def long_chain_is_freed():
    class Node:
        __slots__ = ("next",)

    def f(n):
        head = None
        for _ in range(n):
            node = Node()
            node.next = head
            head = node
        count = 0
        while head is not None:
            head = head.next
            count += 1
        return count
    return heat(f, 10), f(3000)


@case
def deep_structure_is_freed():
    def f(n):
        x = []
        for _ in range(n):
            x = [x]
        y = None
        for i in range(n):
            y = (y, i)
        del x
        return y[1]
    return heat(f, 10), f(20_000)


@case
def finaliser_order_of_several_locals():
    def g(log):
        a = Tracked(log, "a")
        b = Tracked(log, "b")
        c = Tracked(log, "c")
        return (a.tag, b.tag, c.tag)

    def h(log, x):
        a = Tracked(log, "a")
        x = Tracked(log, "x")
        for i in (1, 2):
            b = Tracked(log, i)
        return a.tag, x.tag, b.tag
    for _ in range(HOT):
        log = []
        g(log)
        h(log, Tracked(log, "argument"))
    return log


@case
def drive_with_unhashable_and_freed_inputs():
    def f(make):
        x = make()
        y = x
        x = 1
        return type(y).__name__, x
    drive(f, (int,), [(list,), (dict,), (object,), (float,), (str,)])
    return outcome(f, None)


@case
def what_the_collector_follows():
    import gc

    def pair(a, b):
        return a, b

    def rest(a, *more):
        return more

    def both(a, b):
        return rest(a, b, a), pair(a, b), (a, (b, a)), (a, b, a, b)

    def followed(*values):
        pair(*values)
        rest(*values)
        return [gc.is_tracked(each) for each in (pair(*values), rest(*values), *both(*values))]
    values = [("x", "y"), (1, 2.5), (1, []), ([], 1), ((), ()), ("x", ("y",)), ("x", (["y"],)), ({}, None), (pair, "x"), (int, int)]
    return heat(followed, "x", "y"), [followed(*each) for each in values], heat(followed, [], "y"), [followed(*each) for each in values]
