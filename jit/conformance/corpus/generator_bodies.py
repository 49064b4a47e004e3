"""Generators whose bodies are hot: what happens at and between their yields, and everything that can be done to a suspended one."""

import collections
import contextlib
import functools
import gc
import inspect
import itertools
import sys
import threading
import weakref

from corpus_api import HOT, case, drive, heat, outcome


def mix(n, start=0):
    x = y = start
    i = 0
    while i < n:
        x = (x * 5 + i) & 1023
        y = (y + x) ^ i
        yield y
        i += 1


@case
def consumers():
    def f(n):
        return (sum(mix(n)), list(mix(n))[-3:], tuple(mix(n))[:2], max(mix(n), default=None), sorted(mix(n))[:3], set(mix(n)) == set(mix(n)),
                any(v > 900 for v in mix(n)), all(v >= 0 for v in mix(n)), ",".join(str(v) for v in mix(n))[:20], dict(zip(mix(n), mix(n))) != {},
                [*mix(n)][:1], next(mix(n), "none"), list(itertools.islice(mix(n), 2, 5)), collections.deque(mix(n), 2), list(map(abs, mix(n)))[-1:],
                functools.reduce(lambda a, b: a + b, mix(n), 0), list(itertools.chain(mix(n), mix(3)))[-1], min(mix(n), key=lambda v: -v, default=0))
    drive(f, (20,), [(0,), (1,), (2,), (300,)])


@case
def state_overflows_and_changes_class():
    def f(n, start):
        return list(mix(n, start))[-2:]
    drive(f, (5, 0), [(5, 2**62), (4, 2**70), (3, True), (3, 1.5), (2, "a")])


@case
def powers_past_64_bits():
    def powers(base):
        value = 1
        while True:
            yield value
            value = value * base + 1

    def f(base, n):
        return list(itertools.islice(powers(base), n))[-1]
    drive(f, (3, 10), [(3, 60), (2**40, 4), (1.5, 12), (2**70, 3)])


@case
def unbound_locals_between_yields():
    def gen(n):
        for i in range(n):
            if i == 3:
                late = i * 2
            if i > 5:
                yield late + i
            else:
                yield i
            if i == 8:
                del late

    def f(n):
        out = []
        for v in gen(n):
            out.append(v)
        return out
    drive(f, (8,), [(0,), (5,), (9,), (10,)])


@case
def a_local_is_unbound_when_it_is_resumed():
    def gen(flag, n):
        i = 0
        if flag:
            value = 10
        while i < n:
            i += 1
            yield i
            if i % 4 == 0:
                yield value * i + i

    def f(flag, n):
        return list(gen(flag, n))
    drive(f, (True, 12), [(True, 5), (False, 3), (False, 4), (True, 0)])


@case
def a_loop_is_entered_in_several_places():
    def gen(n):
        i = total = 0
        while i < n:
            i += 1
            if i % 3 == 0:
                total += i
                got = yield total
                if got:
                    total = 0
                    continue
                total += 1
            for k in range(i % 4):
                if k == 2:
                    break
                total += k
            else:
                total -= 1
        return total, i

    def f(n, resets):
        g = gen(n)
        out = [next(g, None)]
        while True:
            try:
                out.append(g.send(len(out) in resets))
            except StopIteration as stop:
                return out[-5:], stop.value
    drive(f, (60, (2, 7)), [(60, ()), (61, (1, 2, 3)), (9, (1,)), (2, ())])


@case
def values_on_the_stack_at_a_yield():
    def gen(values):
        total = 0
        for v in values:
            total = max(total, (yield v * 2) or 0, v) + len([v, (yield v + 1), total])
            names = {"a": v, **{"b": (yield total)}}
            total += sum(x or 0 for x in names.values())
        return total

    def f(values, step):
        g = gen(values)
        out = [next(g)]
        sent = 0
        try:
            while True:
                sent += step
                out.append(g.send(sent))
        except StopIteration as stop:
            return out[-4:], stop.value
    drive(f, ([1, 2, 3], 1), [([5], 2), ([], 1), ([1.5, 2], 3), (["a"], 1), ([True, 2**65], 1)])


@case
def methods_called_around_a_yield():
    class Log(list):
        def note(self, *values):
            self.append(values)
            return len(self)

    def gen(log, n):
        for i in range(n):
            count = log.note(i, (yield i), i + 1)
            yield count

    def f(n):
        log = Log()
        g = gen(log, n)
        out = [next(g)]
        with contextlib.suppress(StopIteration):
            while True:
                out.append(g.send(len(out)))
        return out[-3:], log[-1:]
    return heat(f, 6), f(3), outcome(f, "a")


@case
def exceptions_with_their_lines():
    def inner(values):
        for v in values:
            w = v * 2
            yield 100 // w
            w += 1
            yield values[w]

    def f(values):
        out = []
        for v in inner(values):
            out.append(v)
        return out
    drive(f, ([1, 2, 1, 1, 1, 1],), [([0],), ([1, 2, 0],), ([9],), (["a"],), ([None],), (5,)])


@case
def an_exception_ends_a_generator():
    def gen(values):
        n = 0
        for v in values:
            n += v
            yield n

    def f(values):
        g = gen(values)
        out = []
        for _ in range(6):
            try:
                out.append(next(g))
            except StopIteration as stop:
                out.append(("stop", stop.value))
            except TypeError as error:
                out.append(str(error))
        return out, g.gi_running, g.gi_frame is None
    return heat(f, [1, 2, 3]), f([1, "a", 2]), f([])


@case
def handlers_and_finally_inside():
    def gen(values, log):
        n = 0
        try:
            for v in values:
                try:
                    n += 10 // v
                    got = yield n
                    if got:
                        raise ValueError(got)
                except ZeroDivisionError:
                    log.append("zero")
                    yield -1
                except ValueError as error:
                    log.append(error.args)
                finally:
                    n += 1
        finally:
            log.append("end")
        return n

    def f(values, action):
        log = []
        g = gen(values, log)
        out = [next(g)]
        try:
            out.append(g.send(None))
            if action == "throw":
                out.append(g.throw(ValueError("thrown")))
            elif action == "send":
                out.append(g.send("sent"))
            elif action == "close":
                out.append(g.close())
            else:
                out.extend(g)
        except (StopIteration, RuntimeError, ValueError) as error:
            out.append(repr(error))
        del g
        return out, log
    heat(f, [1, 2, 5, 3], "")
    return [f([1, 2, 0, 5, 2], action) for action in ("throw", "send", "close", "")], outcome(f, [0, 0], "throw"), outcome(f, [1], "")


@case
def throw_into_and_go_on():
    def gen(n):
        i = total = 0
        while i < n:
            try:
                total += i * 3
                yield total
            except KeyError as error:
                total += error.args[0]
            i += 1
        return total

    def f(n, at):
        g = gen(n)
        out = []
        try:
            for step in itertools.count():
                out.append(g.throw(KeyError(100)) if step in at else next(g))
        except (StopIteration, KeyError) as error:
            out.append(repr(error))
        return out
    return heat(f, 8, ()), f(8, (2, 3)), f(8, (0,)), f(3, (3,)), f(30, range(1, 30, 5))


@case
def closed_at_every_step():
    def gen(n, log):
        total = 0
        try:
            for i in range(n):
                total += i * i
                yield total
        except GeneratorExit:
            log.append(("exit", total))
            raise
        log.append(("end", total))

    def f(n, steps):
        log = []
        g = gen(n, log)
        out = list(itertools.islice(g, steps))
        g.close()
        return out, log, next(g, "over")
    heat(f, 6, 9)
    return [f(6, steps) for steps in range(8)]


@case
def finalised_by_reference_count_and_collector():
    def gen(n, log):
        total = 0
        try:
            for i in range(n):
                total += i * 2
                yield total
        finally:
            log.append(total)

    def dropped(n):
        log = []
        g = gen(n, log)
        next(g)
        next(g)
        del g
        return log

    def cycle(n):
        log = []
        holder = []
        g = gen(n, log)
        holder.append(g)
        holder.append(holder)
        gone = weakref.ref(g)
        next(g)
        del g, holder
        gc.collect()
        return log, gone() is None

    def holding(n):
        """The suspended frame holds its own generator."""
        log = []

        def itself(n):
            me = yield None
            total = 0
            try:
                for i in range(n):
                    total += i
                    yield total
            finally:
                log.append((total, me is not None))
        g = itself(n)
        next(g)
        g.send(g)
        next(g)
        del g
        gc.collect()
        return log
    return heat(dropped, 5), [heat(cycle, 5) for _ in range(1)], [holding(5) for _ in range(70)][-1]


@case
def the_collector_sees_suspended_frames():
    class Node:
        pass

    def gen(node, n):
        total = 0
        for i in range(n):
            total += i * 3
            yield total
        node.done = True

    def f(n):
        node = Node()
        g = gen(node, n)
        next(g)
        node.g = g
        found = [r for r in gc.get_referents(g) if r is node]
        gone = weakref.ref(node)
        next(g)
        del node, found
        gc.collect(0)
        alive = gone() is not None
        rest = sum(g)
        del g
        gc.collect()
        return alive, rest, gone() is None
    return [f(5) for _ in range(70)][-1]


@case
def re_entered():
    def gen(n):
        total = 0
        for i in range(n):
            total += i * 2
            yield total
            if i == 3:
                try:
                    next(holder[0])
                except ValueError as error:
                    total += len(str(error))
    holder = [None]

    def f(n):
        holder[0] = gen(n)
        return list(holder[0])
    return heat(f, 6), f(3)


@case
def inspected_between_steps():
    def gen(n):
        total = 0
        for i in range(n):
            total += i * 3
            got = yield total
            if got is not None:
                total = got
        return total

    def f(n, look):
        g = gen(n)
        states = [inspect.getgeneratorstate(g)]
        out = [next(g)]
        for step in range(n - 1):
            if step == look:
                frame = g.gi_frame
                states.append((frame.f_lineno - frame.f_code.co_firstlineno, sorted(frame.f_locals.items()), g.gi_yieldfrom, g.gi_running,
                               g.gi_suspended))
                del frame
            out.append(next(g))
        states.append(inspect.getgeneratorstate(g))
        try:
            g.send(None)
        except StopIteration as stop:
            out.append(stop.value)
        states.append(inspect.getgeneratorstate(g))
        return out, states, g.__name__, g.__qualname__
    heat(f, 6, -1)
    return f(6, 2), f(6, 0), f(1, 0), f(5, 3)


@case
def locals_written_through_the_frame():
    def gen(n):
        total = 0
        i = 0
        while i < n:
            total += i * 2
            yield total
            i += 1

    def f(n, at):
        g = gen(n)
        out = []
        for v in g:
            out.append(v)
            if len(out) == at:
                g.gi_frame.f_locals["total"] = 1000
            if len(out) > 40:
                break
        return out
    heat(f, 6, 0)
    return f(6, 0) if sys.version_info < (3, 13) else f(6, 2)


@case
def frames_seen_from_inside():
    def where(depth):
        frame = sys._getframe(1)
        names = []
        while frame is not None and len(names) < depth:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        return names

    def gen(n):
        total = 0
        for i in range(n):
            total += i * 2
            if i == 3:
                yield where(3), total
            else:
                yield total

    def first():
        return list(gen(5))

    def second():
        return [v for v in gen(5)]
    heat(first)
    heat(second)
    return first(), second()


@case
def kept_frame_outlives_the_step():
    kept = []

    def gen(n, keep):
        total = 0
        for i in range(n):
            total += i * 2
            if i == keep:
                kept.append(sys._getframe())
            yield total
        return total

    def f(n, keep):
        kept.clear()
        out = list(gen(n, keep))
        return out, [sorted(frame.f_locals) for frame in kept]
    return heat(f, 6, -1), f(6, 2), f(6, 5)


@case
def traced_midway():
    def gen(n):
        total = 0
        for i in range(n):
            total += i * 2
            yield total
        return total

    def f(n, at):
        events = []

        def tracer(frame, event, arg):
            if frame.f_code.co_name == "gen":
                events.append((event, frame.f_lineno - frame.f_code.co_firstlineno, arg if event == "return" else None))
            return tracer
        out = []
        g = gen(n)
        for v in g:
            out.append(v)
            if len(out) == at:
                sys.settrace(tracer)
            if len(out) == at + 2:
                sys.settrace(None)
        sys.settrace(None)
        return out, events
    heat(f, 7, 100)
    return f(7, 2), f(7, 5), f(7, 100)


@case
def profiled_midway():
    def gen(n):
        total = 0
        for i in range(n):
            total += i * 2
            yield total

    def f(n, at):
        events = []

        def profiler(frame, event, arg):
            if frame.f_code.co_name == "gen":
                events.append((event, arg))
        out = []
        for v in gen(n):
            out.append(v)
            if len(out) == at:
                sys.setprofile(profiler)
        sys.setprofile(None)
        return out, events
    heat(f, 7, 100)
    return f(7, 2), f(7, 6), f(7, 100)


@case
def made_with_every_kind_of_argument():
    def gen(a, b=2, /, c=3, *rest, d=4, **more):
        total = a * b
        for i in range(3):
            total += c * d + i + len(rest) + len(more)
            yield total

    def f(how):
        if how == 0:
            return list(gen(1))
        if how == 1:
            return list(gen(1, 5, 6, 7, d=8, e=9))
        if how == 2:
            return list(gen(*[1, 2], **{"c": 5, "z": 1}))
        return list(gen())
    for how in range(3):
        heat(f, how)
    return [f(how) for how in range(3)], outcome(f, 3)


@case
def defaults_and_code_that_change():
    def gen(n, step=2):
        total = 0
        for i in range(n):
            total += i * step
            yield total

    def other(n, step=2):
        yield n
        yield step

    def f(n):
        return list(gen(n))
    heat(f, 4)
    out = [f(4)]
    gen.__defaults__ = (5,)
    out.append(f(4))
    g = gen(4)
    out.append(next(g))
    gen.__code__ = other.__code__
    out.append(list(g))
    out.append(f(4))
    return out


SCALE = 2


@case
def globals_that_change_midway():
    global SCALE

    def gen(n):
        total = 0
        for i in range(n):
            total += i * SCALE
            yield total

    def f(n, at):
        global SCALE
        out = []
        for v in gen(n):
            out.append(v)
            if len(out) == at:
                SCALE = 100
        SCALE = 2
        return out
    heat(f, 6, 0)
    return f(6, 3), f(6, 0)


@case
def closures_of_their_own():
    def make(step):
        count = 0

        def gen(n):
            nonlocal count
            total = 0
            for i in range(n):
                count += 1
                total += i * step
                yield total
        return gen, lambda: count

    def f(step, n):
        gen, count = make(step)
        return list(gen(n)), list(gen(2)), count()
    drive(f, (2, 5), [(3, 4), (1.5, 3), ("a", 3), (2**62, 4)])


@case
def cells_shared_with_inner_functions():
    def gen(n):
        total = 0

        def add(v):
            nonlocal total
            total += v
        for i in range(n):
            add(i)
            total += i * 2
            yield total

    def f(n):
        return list(gen(n))
    drive(f, (5,), [(0,), (20,), ("a",)])


@case
def generator_expressions_nested():
    def f(rows):
        return (sum(sum(v * v for v in row) for row in rows), [list(v + k for v in row) for k, row in enumerate(rows)],
                max((max((v for v in row if v), default=0) for row in rows), default=-1), any(v == 5 for row in rows for v in row),
                sum(1 for row in rows for v in row if v % 2), tuple(v for v in (w * 2 for w in range(4)) if v))
    drive(f, ([[1, 2, 3], [4, 5], []],), [([],), ([[1.5]],), ([["a"]],), ([[True], (1, 2)],), ([range(3)],), (5,)])


@case
def generator_expressions_over_anything():
    class Weird:
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            if self.n < 0:
                raise ValueError("negative")
            return iter([self.n, self.n + 1])

    def f(source):
        return sum(v * 3 for v in source)
    for source in ([1, 2], (1, 2), {1: 2}, {3, 4}, range(5), "", Weird(1), mix(3)):
        heat(f, source)
    return f({1: 2}.values()), f(enumerate([])), f(iter([4])), outcome(f, Weird(-1)), outcome(f, 5), outcome(f, "ab"), f(v for v in [1, 2])


@case
def the_list_changes_while_it_is_iterated():
    def gen(values):
        for v in values:
            yield v * 2

    def f(n, at):
        values = list(range(n))
        out = []
        for v in gen(values):
            out.append(v)
            if len(out) == at:
                values.append(100)
            if len(out) == at + 2:
                del values[3:]
        return out
    heat(f, 6, 100)
    return f(6, 1), f(6, 5), f(3, 2)


@case
def delegation():
    def leaf(n):
        total = 0
        for i in range(n):
            total += i * 2
            got = yield total
            if got:
                total += got
        return total

    def middle(n):
        a = yield from leaf(n)
        b = yield from mix(n)
        c = yield from [a, b, 7]
        d = yield from (v * 2 for v in range(n))
        return a, b, c, d

    def top(n):
        return (yield from middle(n))

    def f(n, action):
        g = top(n)
        out = [next(g)]
        try:
            if action == "send":
                out.append(g.send(50))
            elif action == "throw":
                out.append(g.throw(KeyError("k")))
            elif action == "close":
                out.append(g.close())
            elif action == "yf":
                out.append((g.gi_yieldfrom.__name__, g.gi_yieldfrom.gi_yieldfrom.__name__))
            while True:
                out.append(next(g))
        except (StopIteration, KeyError) as error:
            out.append(repr(error))
        return out
    heat(f, 3, "")
    return [f(4, action) for action in ("send", "throw", "close", "yf", "")]


@case
def deep_recursion():
    def walk(depth):
        if depth:
            yield depth * 2
            for v in walk(depth - 1):
                yield v + 1

    def delegating(depth):
        if depth:
            yield depth * 2
            yield from delegating(depth - 1)

    def f(depth):
        return sum(walk(depth)), sum(delegating(depth))
    heat(f, 12)
    return f(60), outcome(lambda: sum(1 for _ in walk(5000))), outcome(lambda: sum(1 for _ in delegating(5000)))[:1]


@case
def shared_by_threads():
    def gen(n):
        total = 0
        for i in range(n):
            total += i * 2
            yield total

    def f(n):
        g = gen(n)
        taken, errors = [], []
        lock = threading.Lock()

        def take():
            while True:
                with lock:
                    try:
                        taken.append(next(g))
                    except StopIteration:
                        return
        threads = [threading.Thread(target=take) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(taken)[-1:], len(taken), errors
    heat(lambda n: sum(gen(n)), 30)
    return f(50), f(7)


@case
def context_managers_made_of_generators():
    log = []

    @contextlib.contextmanager
    def managed(n):
        total = 0
        for i in range(n):
            total += i * 2
        log.append(total)
        try:
            yield total
        except KeyError as error:
            log.append(error.args)
        finally:
            log.append("left")

    def f(n, fail):
        log.clear()
        with managed(n) as total:
            if fail:
                raise fail(total)
        return list(log)
    heat(f, 4, None)
    return f(4, KeyError), outcome(f, 4, ValueError), f(0, None)


@case
def sent_before_it_starts():
    def gen(n):
        total = 0
        while True:
            got = yield total
            total += (got or 0) * n

    def f(n, first):
        g = gen(n)
        out = [g.send(first)]
        out.extend(g.send(v) for v in range(4))
        return out
    heat(f, 2, None)
    return outcome(f, 2, 5), f(2, None), f(1.5, None), outcome(f, "a", None)


@case
def objects_yielded_are_freed_in_time():
    class Thing:
        alive = 0

        def __init__(self, n):
            self.n = n
            Thing.alive += 1

        def __del__(self):
            Thing.alive -= 1

    def gen(n):
        total = 0
        for i in range(n):
            thing = Thing(i)
            total += thing.n * 2
            yield thing
            del thing
            yield total

    def f(n):
        out = []
        for v in gen(n):
            out.append(v if isinstance(v, int) else v.n)
            del v
            out.append(Thing.alive)
        return out, Thing.alive
    return heat(f, 4), f(2), [f(3) for _ in range(HOT)][-1]


@case
def generator_methods():
    class Tree:
        def __init__(self, value, *children):
            self.value = value
            self.children = children

        def __iter__(self):
            yield self.value * 2
            for child in self.children:
                for value in child:
                    yield value + 1

        def leaves(self):
            if not self.children:
                yield self
            for child in self.children:
                yield from child.leaves()

    tree = Tree(1, Tree(2, Tree(3), Tree(4.5)), Tree(5))

    def f():
        return list(tree), [leaf.value for leaf in tree.leaves()]
    heat(f)
    Tree.__iter__ = lambda self: iter([self.value])
    return f(), heat(f)


@case
def immortal_numbers_keep_their_count():
    def gen(n):
        for i in range(n):
            yield i * 3

    def f(n):
        g = gen(n)
        total = 0
        for _ in range(n):
            total += next(g)
        return total

    numbers = range(-5, 257)
    before = [sys.getrefcount(number) for number in numbers]
    out = heat(f, 60)
    for n in range(50):
        f(n)
    return out, [number for number, count in zip(numbers, before) if sys.getrefcount(number) < count]
