"""Programs that change what runs while it runs, in ways that a core developer would think of."""

import itertools
import sys
import threading
import types
import weakref

from corpus_api import HOT, case, describe, heat, outcome


@case
def bases_are_replaced():
    class Left:
        tag = "left"

        def which(self):
            return "L"

    class Right:
        tag = "right"

        def which(self):
            return "R"

        def more(self):
            return "m"

    class Child(Left):
        pass

    def f(x):
        return x.which(), x.tag

    x = Child()
    out = [heat(f, x)]
    Child.__bases__ = (Right,)
    out.append(outcome(f, x))
    Child.__bases__ = (Left, Right)
    out.append(outcome(f, x))

    def loop(n, at):
        seen = []
        for i in range(n):
            if i == at:
                Child.__bases__ = (Right, Left)
            seen.append(x.which() + x.tag)
        return seen[0], seen[-1], len(seen)
    out.append(loop(400, 399))
    Child.__bases__ = (Left,)
    out.append(outcome(loop, 10, 5))
    return out


@case
def instance_dict_replaced():
    class Box:
        def __init__(self, v):
            self.v = v

        def get(self):
            return self.v

    def f(b):
        return b.v + b.get()

    b = Box(3)
    out = [heat(f, b)]
    b.__dict__ = {"v": 5}
    out.append(outcome(f, b))
    d = b.__dict__
    d["v"] = 6
    out.append(outcome(f, b))
    d["get"] = lambda: 100
    out.append(outcome(f, b))
    del d["v"]
    out.append(outcome(f, b))
    b.__dict__ = {}
    out.append(outcome(f, b))

    def loop(b, n, at):
        total = 0
        for i in range(n):
            if i == at:
                b.__dict__ = {"v": 1000}
            total += b.v
            b.v = total & 255
        return total, b.v
    out.append(loop(Box(1), 500, 450))
    out.append(loop(Box(1), 500, 10))
    c = Box(2)
    alias = vars(c)
    out.append(loop(c, 50, -1))
    out.append(alias)
    out.append(loop(c, 50, 40))
    out.append((alias, c.__dict__))
    return out


@case
def code_assigned_while_the_frame_runs():
    def other(a, b):
        return ("other", a, b, f.__code__.co_name, other.__name__)  # as many free variables as the other has

    def f(a, b):
        if b == 7:
            f.__code__ = other.__code__
        s = 0
        for i in range(b):
            s += a
        return s, f.__code__.co_name
    keep = f.__code__
    out = [heat(f, 2, 3), f(2, 7), outcome(f, 2, 3)]
    f.__code__ = keep
    out += [outcome(f, 2, 3), f(2, 7), outcome(f, 1, 1)]
    f.__code__ = keep.replace(co_consts=tuple(99 if c == 7 else c for c in keep.co_consts))
    out += [heat(f, 2, 7), outcome(f, 2, 99), outcome(f, 2, 3)]
    return out


@case
def generator_code_assigned():
    def g(n):
        for i in range(n):
            yield i

    def h(n):
        for i in range(n):
            yield -i
    out = [heat(lambda: list(g(4)))]
    it = g(5)
    next(it)
    g.__code__ = h.__code__
    out += [list(it), list(g(3))]
    it = g(4)
    next(it)
    return out, list(it), outcome(list, g(2))


@case
def frame_is_cleared():
    def raiser(n):
        keep = [n] * 3
        return 1 // n, keep

    def f(n):
        try:
            return raiser(n)
        except ZeroDivisionError as e:
            tb = e.__traceback__
            inner = tb.tb_next.tb_frame
            before = sorted(inner.f_locals)
            inner.clear()
            return before, sorted(inner.f_locals), outcome(tb.tb_frame.clear)
    out = [heat(f, 1), heat(f, 0)]

    def g(n):
        for i in range(n):
            yield i
    it = g(3)
    next(it)
    out.append(outcome(it.gi_frame.clear))
    out.append(outcome(next, it, "done"))
    for _ in range(HOT):
        it = g(3)
        next(it)
        next(it)
        out[-1] = outcome(it.gi_frame.clear), outcome(next, it, "done")
    return out


@case
def f_lineno_and_f_trace_written():
    def f(n):
        a = []
        for i in range(n):
            a.append(i)
        a.append("end")
        return a

    def tracer(frame, event, arg):
        if frame.f_code is f.__code__ and event == "line" and frame.f_lineno == first + 3 and frame.f_locals.get("i") == 2:
            frame.f_lineno = first + 4
        return tracer
    first = f.__code__.co_firstlineno
    out = [heat(f, 6)]
    old = sys.gettrace()
    sys.settrace(tracer)
    try:
        out.append(f(6))
    finally:
        sys.settrace(old)
    out.append(outcome(f, 5))
    return out


@case
def globals_dict_cleared_under_way():
    source = """
K = 3
def f(n, at):
    t = 0
    for i in range(n):
        if i == at:
            globals().clear()
        t += K
    return t
def g():
    return K
"""
    out = []
    for at in (-1, 5, 450):
        space = {}
        exec(source, space)
        f, g = space["f"], space["g"]
        for _ in range(HOT):
            f(3, -1)
            g()
        out.append(outcome(f, 500, at))
        out.append(outcome(g))
    return out


@case
def builtins_of_a_namespace_replaced():
    space = {"__builtins__": {"len": lambda x: 42, "range": range}}
    exec("def f(x):\n    t = 0\n    for i in range(3):\n        t += len(x)\n    return t\n", space)
    f = space["f"]
    out = [heat(f, "abc")]
    space["__builtins__"]["len"] = len
    out.append(outcome(f, "abc"))
    space["__builtins__"] = {"len": lambda x: 7, "range": range}
    out.append(outcome(f, "abc"))
    f2 = types.FunctionType(f.__code__, space)
    out.append(heat(f2, "abc"))
    out.append(outcome(f, "abcd"))
    return out


@case
def finalisers_that_raise_in_hot_code():
    seen = []
    hook = sys.unraisablehook
    sys.unraisablehook = lambda u: seen.append((type(u.exc_value).__name__, str(u.exc_value)))

    class Bad:
        def __del__(self):
            raise ValueError("no")

    def f(n):
        t = 0
        for i in range(n):
            Bad()
            x = Bad()
            x = i
            t += x
        return t
    try:
        out = [heat(f, 2), f(50), len(seen)]
        try:
            raise KeyError("outer")
        except KeyError:
            out.append(f(3))
            out.append(describe(sys.exception(), 0))
    finally:
        sys.unraisablehook = hook
    return out, len(seen), seen[0], seen[-1]


@case
def resurrected_again_and_again():
    kept = []

    class Phoenix:
        n = 0

        def __del__(self):
            self.n += 1
            kept.append(self)

    def f(k):
        for i in range(k):
            p = Phoenix()
            p.i = i
            del p
        return len(kept), kept[-1].i, kept[-1].n
    out = [heat(f, 2), f(40)]
    kept.clear()
    out.append(f(3))
    kept.clear()
    return out


@case
def dict_changed_in_iteration_by_callbacks():
    def f(d, n):
        t = 0
        for k, v in d.items():
            t += v
            if t == n:
                d[t * 1000] = 1
        return t

    def g(d, n):
        t = 0
        for k in d:
            t += k
            if k == n:
                del d[k]
                d[-k] = 1
        return t
    out = [heat(f, {1: 1, 2: 2, 3: 3}, 100), outcome(f, {1: 1, 2: 2, 3: 3}, 3), outcome(f, {1: 1}, 1)]
    out += [heat(g, {1: 1, 2: 2}, 100), outcome(g, {1: 1, 2: 2}, 1), outcome(g, {1: 1}, 1)]
    return out


@case
def iteration_methods_go_while_looping():
    class Count:
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            return self

        def __next__(self):
            if self.n == 0:
                raise StopIteration
            self.n -= 1
            return self.n

    keep = Count.__next__

    def f(n, at):
        t = 0
        for i in Count(n):
            t += i
            if i == at:
                del Count.__next__
        return t

    def g(n, at):
        t = 0
        for i in Count(n):
            t += i
            if i == at:
                Count.__next__ = lambda self: keep(self) * 1.5
        return t
    out = [heat(f, 4, -1)]
    out.append(outcome(f, 400, 3))
    Count.__next__ = keep
    out.append(heat(g, 4, -1))
    out.append(outcome(g, 400, 30))
    Count.__next__ = keep
    out.append(outcome(g, 4, -1))
    return out


@case
def methods_set_to_none():
    class C:
        def __len__(self):
            return 3

        def __iter__(self):
            return iter((1, 2))

        def __contains__(self, x):
            return x == 1

        def __hash__(self):
            return 4

        def __eq__(self, other):
            return True

        def __add__(self, other):
            return 5

        def __getitem__(self, k):
            return k

        def __call__(self):
            return 6

        def __bool__(self):
            return False

    tests = [lambda c: len(c), lambda c: list(itertools.islice(c, 3)), lambda c: 1 in c, lambda c: {c: 1}[c], lambda c: c == 3, lambda c: c + 1,
             lambda c: c[2], lambda c: c(), lambda c: "t" if c else "f"]
    names = ["__len__", "__iter__", "__contains__", "__hash__", "__eq__", "__add__", "__getitem__", "__call__", "__bool__"]
    out = []
    for name, test in zip(names, tests):
        c = C()
        heat(test, c)
        keep = C.__dict__[name]
        setattr(C, name, None)
        out.append((name, outcome(test, c)))
        delattr(C, name)
        out.append((name, outcome(test, c)) if name not in ("__eq__", "__hash__") else None)
        setattr(C, name, keep)
        out.append(outcome(test, c))
    return out


@case
def trace_functions_for_all_threads():
    if not hasattr(threading, "settrace_all_threads"):
        return None
    go, stop, events = threading.Event(), [], set()

    def spin(n):
        t = 0
        while not stop:
            t += n
            go.set()
        return 0

    def tracer(frame, event, arg):
        if frame.f_code is spin.__code__ or frame.f_code is called.__code__:
            events.add((frame.f_code.co_name, event))
        return tracer

    def called():
        return 1

    thread = threading.Thread(target=spin, args=(1,))
    thread.start()
    go.wait(10)
    threading.settrace_all_threads(tracer)
    called()
    stop.append(1)
    thread.join()
    threading.settrace_all_threads(None)
    threading.settrace(None)
    return sorted(events)


@case
def exceptions_thrown_into_odd_states():
    def g(n):
        try:
            for i in range(n):
                yield i
        finally:
            yield "finally"

    def gg(n):
        x = yield from g(n)
        yield x
    out = []
    for _ in range(HOT):
        line = []
        for make in (g, gg):
            it = make(3)
            line.append(outcome(it.throw, ValueError("before start")))
            it = make(3)
            next(it)
            line.append(outcome(it.throw, KeyError("k")))
            line.append(outcome(it.close))
            line.append(outcome(next, it))
            it = make(1)
            next(it)
            line.append(outcome(it.send, 5))
            line.append(outcome(it.throw, StopIteration(4)))
            try:
                line.append(it.throw(GeneratorExit()))
            except GeneratorExit as end:
                line.append(describe(end))
            it = make(2)
            next(it)
            line.append(outcome(it.throw, StopIteration(9)))
            line.append(outcome(next, it))
        out = line
    return out


@case
def generator_closed_by_itself_and_finaliser():
    holder = []

    def g(n):
        for i in range(n):
            if i == 2:
                holder.append(outcome(it.close))
                holder.append(outcome(it.throw, ValueError))
                holder.append(outcome(it.send, None))
            yield i
    for _ in range(HOT):
        holder.clear()
        it = g(4)
        got = list(it)
    return got, holder


@case
def weakrefs_and_callbacks_in_loops():
    log = []

    class Node:
        pass

    def f(n):
        for i in range(n):
            a = Node()
            r = weakref.ref(a, lambda r, i=i: log.append(i))
            a = None
            log.append(r() is None)
        return len(log)
    out = [heat(f, 1), f(20)]
    tail = log[-6:]
    log.clear()
    return out, tail


@case
def super_with_a_changed_class_cell():
    class A:
        def who(self):
            return "A"

    class B:
        def who(self):
            return "B"

    class C(A):
        def who(self):
            return super().who() + "C"

    c = C()
    out = [heat(C.who, c)]
    C.__bases__ = (B,) if False else (A,)
    A.who = lambda self: "A2"
    out.append(outcome(C.who, c))
    cell = C.who.__closure__[0]
    cell.cell_contents = A
    out.append(outcome(C.who, c))
    del cell.cell_contents
    out.append(outcome(C.who, c))
    cell.cell_contents = C
    out.append(outcome(C.who, c))
    return out


@case
def getattr_added_late():
    class P:
        pass

    p = P()
    p.x = 1

    def f(p):
        return p.x

    def g(p):
        return p.y
    out = [heat(f, p), outcome(g, p)]
    for _ in range(HOT):
        outcome(g, p)
    P.__getattr__ = lambda self, name: name + "!"
    out += [outcome(f, p), heat(g, p)]
    P.__getattribute__ = lambda self, name: 77
    out += [heat(f, p), heat(g, p)]
    del P.__getattribute__
    out += [outcome(f, p), outcome(g, p)]
    del P.__getattr__
    out += [outcome(f, p), outcome(g, p)]
    return out


@case
def traceback_objects_changed():
    def inner(n):
        return 1 // n

    def f(n):
        try:
            inner(n)
        except ZeroDivisionError as e:
            tb = e.__traceback__
            e.__traceback__ = tb.tb_next
            raise
    out = [heat(f, 1)]
    for _ in range(HOT):
        last = outcome(f, 0)
    return out, last
