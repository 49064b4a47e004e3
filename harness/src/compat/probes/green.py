"""Greenlets: switches of stacks inside of hot code, and the packages' own tests."""

import os
import re
import sys

import work
from api import MODE, Unavailable, heat, inform, plain, prove, run, version


def _producer(n, switch):
    total = 0
    for i in range(n):
        got = switch(i)
        total += got * 2
    return total


def _deeper(n, switch):
    return switch(n) + 1 if n < 1 else _deeper(n - 1, switch) + switch(n)


def greenlets():
    import greenlet

    version("greenlet", greenlet.__version__)
    heat(_producer, 20, lambda i: i)
    heat(_deeper, 6, lambda i: i)
    heat(work.everything)
    results = {}
    main = greenlet.getcurrent()
    log = []

    def run_both(n):
        first = greenlet.greenlet(lambda: _producer(n, main.switch))
        second = greenlet.greenlet(lambda: _deeper(n, main.switch))
        a, b = first.switch(), second.switch()
        while not (first.dead and second.dead):
            log.append((a, b))
            if not first.dead:
                a = first.switch(a + 1)
            if not second.dead:
                b = second.switch(b + 1)
        return a, b

    results["two"] = [run_both(n) for n in (1, 5, 30)]
    results["log"] = log
    # An exception thrown into hot code that is switched out, and one that leaves it.
    import traceback

    def thrown(kind):
        inner = greenlet.greenlet(lambda: _producer(9, main.switch))
        inner.switch()
        inner.switch(1)
        try:
            inner.throw(kind)
        except kind as error:
            return plain("".join(traceback.format_exception(error)))
        return "dead" if inner.dead else "alive"

    results["thrown"] = [thrown(ValueError), thrown(greenlet.GreenletExit)]
    # Many at once, each in the middle of a hot loop; and some that are never finished.
    crew = [greenlet.greenlet(lambda k=k: _producer(40 + k, main.switch)) for k in range(50)]
    for g in crew:
        g.switch()
    rounds = [[g.switch(k) for k, g in enumerate(crew) if not g.dead] for _ in range(60)]
    results["many"] = [len(rounds), sum(map(sum, rounds)), [g.dead for g in crew]]
    left = [greenlet.greenlet(lambda: _deeper(12, main.switch)) for _ in range(20)]
    for g in left:
        g.switch()
    names = []
    frame = left[0].gr_frame
    while frame is not None:
        names.append((frame.f_code.co_name, frame.f_lineno))
        frame = frame.f_back
    results["suspended"] = names
    del left, frame, g
    prove()
    results["after"] = heat(work.everything, 12)
    return results


def _tests(command, env=(), timeout=170):
    """The outcome of each test that unittest names, verbosely, on standard error."""
    done = run([sys.executable, *command], timeout=timeout, env={**os.environ, **dict(env)})
    found = {}
    for name, where, outcome in re.findall(r"^(\w+) \(([\w.]+)\).*?\.\.\. .*?(ok|FAIL|ERROR|skipped|expected failure)\b", done.stderr,
                                           re.MULTILINE | re.DOTALL):
        found[f"{where}.{name}" if not where.endswith(name) else where] = outcome
    tail = done.stderr.strip().splitlines()[-1:] or ["nothing"]
    return found, done.returncode, tail[0]


def greenlet_tests():
    import greenlet

    if not os.path.isdir(os.path.join(os.path.dirname(greenlet.__file__), "tests")):
        raise Unavailable("this greenlet brings no tests: install the wheel from PyPI")
    version("greenlet", greenlet.__version__)
    heat(work.everything)
    found, code, tail = _tests(["-m", "unittest", "-v", "greenlet.tests.test_greenlet", "greenlet.tests.test_generator",
                                "greenlet.tests.test_generator_nested", "greenlet.tests.test_gc", "greenlet.tests.test_throw",
                                "greenlet.tests.test_tracing", "greenlet.tests.test_stack_saved", "greenlet.tests.test_weakref",
                                "greenlet.tests.test_contextvars", "greenlet.tests.test_cpp", "greenlet.tests.test_extension_interface"],
                               {"GREENLET_SKIP_LEAKCHECKS": "1"})
    inform(tests=len(found), last=tail)
    if MODE == "off" and not found:
        raise Unavailable(f"greenlet's tests don't run here: {tail}. They need the packages objgraph and psutil")
    return {"tests": found, "code": code}


def gevents():
    import gevent
    import gevent.event
    import gevent.lock
    import gevent.pool
    import gevent.queue

    version("gevent", gevent.__version__)
    heat(work.everything)
    heat(_producer, 20, lambda i: i)
    results = {}

    def sleepy(i):
        gevent.sleep(0)
        return i

    jobs = [gevent.spawn(_producer, 30 + k, sleepy) for k in range(10)]
    gevent.joinall(jobs)
    results["jobs"] = [job.value for job in jobs]
    queue, done = gevent.queue.Queue(3), []

    def produce(n):
        for i in range(n):
            queue.put(i)
        queue.put(StopIteration)

    def consume():
        total = 0
        for item in queue:
            total += item
            done.append(item)
        return total

    jobs = [gevent.spawn(produce, 200), gevent.spawn(consume)]
    gevent.joinall(jobs)
    results["queue"] = [jobs[1].value, done[:5], len(done)]
    results["pool"] = gevent.pool.Pool(4).map(lambda n: (gevent.sleep(0), work.mix(n))[1], range(50))

    def endless():
        total = 0
        try:
            while True:
                total += 1
                gevent.sleep(0)
        except gevent.GreenletExit:
            return "killed"

    job = gevent.spawn(endless)
    gevent.sleep(0.05)
    job.kill()
    results["killed"] = job.value
    caught = []
    with gevent.Timeout(0.1, False):
        while True:
            work.mix(50)
            gevent.sleep(0)
    results["timeout"] = caught
    prove()
    results["after"] = heat(work.everything, 12)
    return results
