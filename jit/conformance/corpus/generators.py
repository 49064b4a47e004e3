"""Generators, coroutines and asynchronous generators: made, consumed, thrown into and closed by hot code."""

import asyncio

from corpus_api import HOT, case, drive, heat, outcome


def count(n):
    i = 0
    while i < n:
        yield i
        i += 1


@case
def consumed_by_for():
    def f(n):
        t = 0
        for x in count(n):
            t += x
        return t
    drive(f, (10,), [(0,), (1,), (300,), (2.5,), ("a",)])


@case
def yields_changing_types():
    def gen(n):
        for i in range(n):
            if i % 10 == 7:
                yield i / 2
            elif i % 50 == 30:
                yield str(i)
            else:
                yield i

    def f(n):
        numbers, texts = 0, []
        for x in gen(n):
            if isinstance(x, str):
                texts.append(x)
            else:
                numbers += x
        return numbers, texts
    return heat(f, 6), f(200)


@case
def generator_expressions():
    def f(values):
        return (sum(v * v for v in values), list(v for v in values if v), max((v for v in values), default=None),
                any(v > 2 for v in values), all(v for v in values), dict((v, v) for v in values))
    drive(f, ([1, 2, 3],), [([],), ([0, 1.5],), (["a"],), ([None],), ((5,),), (5,)])


@case
def send_and_receive():
    def average():
        total = n = 0
        value = None
        while True:
            received = yield value
            if received is None:
                return total
            total += received
            n += 1
            value = total / n

    def f(values):
        g = average()
        next(g)
        out = [g.send(v) for v in values]
        try:
            g.send(None)
        except StopIteration as stop:
            out.append(stop.value)
        return out
    drive(f, ([1, 2, 3],), [([],), ([0.5],), ([2**70, 1],), (["a"],)])


@case
def throw_into():
    def g():
        log = []
        for i in range(5):
            try:
                yield i, list(log)
            except ValueError as error:
                log.append(str(error))
            finally:
                log.append("f")
        return log

    def f(kinds):
        it = g()
        out = [next(it)]
        for kind in kinds:
            out.append(it.throw(kind) if kind else next(it))
        return out
    for _ in range(HOT):
        last = outcome(f, [ValueError("one"), None])
    return last, outcome(f, [ValueError("a"), ValueError("b"), None]), outcome(f, [KeyError("k")]), outcome(f, [None] * 6)


@case
def close_and_finally():
    log = []

    def g(n):
        try:
            for i in range(n):
                yield i
        finally:
            log.append(("closed", n))

    def f(n):
        for x in g(n):
            if x == 2:
                break
        log.append("after")
    for _ in range(HOT):
        del log[:]
        f(2)
        f(9)
    it = g(5)
    next(it)
    it.close()
    it.close()
    return log, outcome(next, it)


@case
def close_ignored():
    def stubborn():
        while True:
            try:
                yield 1
            except GeneratorExit:
                yield 2

    def f():
        g = stubborn()
        next(g)
        g.close()
    result = [outcome(f) for _ in range(3)][-1]
    return result


@case
def yield_from():
    def inner(n):
        for i in range(n):
            got = yield i
            if got:
                yield got
        return n * 10

    def outer(values):
        total = 0
        for v in values:
            total += yield from inner(v)
        yield "total", total

    def f(values):
        return list(outer(values))
    drive(f, ([2, 3],), [([],), ([0],), ([1, "a"],), ([True],), (5,)])
    g = outer([2])
    return next(g), g.send("sent"), next(g), next(g)


@case
def yield_from_other_iterables():
    def g(it):
        result = yield from it
        yield "result", result

    def f(it):
        return list(g(it))
    drive(f, ([1],), [((1, 2),), ("ab",), ({1: 2},), (range(3),), (5,), (None,)])


@case
def recursive_generator():
    def walk(tree):
        if isinstance(tree, list):
            for child in tree:
                yield from walk(child)
        else:
            yield tree

    def permutations(values):
        if len(values) <= 1:
            yield values
        else:
            for i in range(len(values)):
                for rest in permutations(values[:i] + values[i + 1:]):
                    yield [values[i]] + rest
    return heat(lambda: list(walk([1, [2, [3, 4.5]], ["a"]]))), len(list(permutations([1, 2, 3, 4, 5]))), list(permutations([1, 2, 3]))[-1]


@case
def exceptions_in_generators():
    def g(values):
        for v in values:
            yield 10 // v

    def f(values):
        out = []
        try:
            for x in g(values):
                out.append(x)
        except ZeroDivisionError as error:
            out.append(str(error))
        return out

    def h(values):
        return [x + 1 for x in g(values)]
    drive(f, ([1, 2],), [([1, 0, 2],), ([],), (["a"],)])
    drive(h, ([1, 2],), [([1, 0, 2],), (["a"],), (5,)])


@case
def stop_iteration_inside_a_generator():
    def g():
        yield 1
        raise StopIteration("inner")

    def h():
        yield next(iter([]))

    def f(make):
        return list(make())
    heat(f, lambda: [1])
    return [outcome(f, make) for make in (g, h, g)]


@case
def generator_already_running():
    def g():
        yield next(me)
    me = g()
    first = outcome(next, me)
    return first, outcome(next, me), [outcome(lambda: next(count(1))) for _ in range(HOT)][-1]


@case
def generator_state_attributes():
    def f():
        g = count(3)
        states = [(g.gi_running, g.gi_frame is not None, g.gi_yieldfrom)]
        next(g)
        states.append((g.gi_running, sorted(g.gi_frame.f_locals.items()), g.gi_frame.f_lineno - g.gi_code.co_firstlineno))
        list(g)
        states.append((g.gi_running, g.gi_frame))
        return states
    return heat(f)


@case
def pipeline():
    def source(n):
        for i in range(n):
            yield i

    def square(it):
        for x in it:
            yield x * x

    def odd(it):
        for x in it:
            if x & 1:
                yield x

    def f(n):
        return sum(odd(square(source(n))))
    return heat(f, 20), f(500), outcome(f, 2.5)


@case
def infinite_generator_with_islice_and_zip():
    import itertools

    def primes():
        found = []
        n = 2
        while True:
            if all(n % p for p in found):
                found.append(n)
                yield n
            n += 1

    def f(k):
        return list(itertools.islice(primes(), k)), list(zip(primes(), range(3)))
    return heat(f, 5), f(60)[0][-1]


@case
def coroutines():
    class Ready:
        def __init__(self, value):
            self.value = value

        def __await__(self):
            yield ("waiting", self.value)
            return self.value

    async def add(a, b):
        return await Ready(a) + await Ready(b)

    async def loop(n):
        t = 0
        for i in range(n):
            t += await add(i, 1)
        return t

    def run(coroutine):
        steps = 0
        while True:
            try:
                coroutine.send(None)
                steps += 1
            except StopIteration as stop:
                return stop.value, steps

    def f(n):
        return run(loop(n))
    return heat(f, 5), f(50), outcome(f, "a"), outcome(lambda: run(add(1, "a")))


@case
def coroutine_never_awaited_and_misuse():
    async def c():
        return 1

    def f(k):
        coroutine = c()
        if k:
            coroutine.close()
            return coroutine.send(None)
        coroutine.close()
        return 0

    async def bad():
        await 5

    def g():
        return bad().send(None)
    drive(f, (0,), [(1,)])
    return [outcome(g) for _ in range(HOT)][-1]


@case
def async_generators_and_with():
    log = []

    class Manager:
        async def __aenter__(self):
            log.append("enter")
            return 5

        async def __aexit__(self, *exc):
            log.append(exc[0].__name__ if exc[0] else None)
            return True

    async def numbers(n):
        for i in range(n):
            yield i
            await asyncio.sleep(0)

    async def main(n):
        t = 0
        async with Manager() as base:
            async for x in numbers(n):
                t += x + base
                if x == 30:
                    raise ValueError
        squares = [x * x async for x in numbers(4) if x]
        return t, squares
    results = [asyncio.run(main(n)) for n in (5, 40, 3)]
    return results, log


@case
def asyncio_tasks():
    async def worker(queue, out):
        while True:
            item = await queue.get()
            if item is None:
                return
            out.append(item * 2)

    async def main(n):
        queue, out = asyncio.Queue(), []
        task = asyncio.create_task(worker(queue, out))
        for i in range(n):
            await queue.put(i if i % 5 else i / 2)
        await queue.put(None)
        await task
        return sum(out), await asyncio.gather(*(double(i) for i in range(5)))

    async def double(x):
        await asyncio.sleep(0)
        if x > 100:
            raise ValueError(x)
        return x * 2

    async def failing():
        return await asyncio.gather(double(1), double(101), return_exceptions=True)
    return asyncio.run(main(100)), [repr(r) for r in asyncio.run(failing())]


@case
def generator_freed_when_consumer_fails():
    log = []

    def g():
        try:
            yield 1
            yield 2
        finally:
            log.append("finally")

    def f(x):
        for v in g():
            log.append(10 // (x - v))
        log.append("end")
    for _ in range(HOT):
        del log[:]
        f(5)
        shown = outcome(f, 2)
    return log, shown
