"""Signals, threads and thread switches while hot loops run; all results independent of timing."""

import _thread
import functools
import signal
import sys
import threading
import time

from corpus_api import HOT, case, heat, outcome


class Interrupted(Exception):
    """Raised by the handlers."""


def with_timer(handler, function, *args, delay=0.002):
    """Runs `function` with a SIGALRM coming `delay` seconds later."""
    old = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, delay)
    try:
        return function(*args)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


@case
def handler_raises_in_a_while_loop():
    def handler(number, frame):
        raise Interrupted(number == signal.SIGALRM)

    def spin():
        i = 0
        while True:
            i += 1

    def f():
        try:
            with_timer(handler, spin)
        except Interrupted as error:
            names = []
            tb = error.__traceback__
            while tb:
                names.append(tb.tb_frame.f_code.co_name)
                tb = tb.tb_next
            return str(error), names
    return [f() for _ in range(4)][-1]


@case
def handler_raises_in_a_for_loop():
    def handler(number, frame):
        raise Interrupted("now")

    def spin():
        total = 0.5
        for i in range(10**12):
            total += 1.0
        return "finished"
    return [outcome(with_timer, handler, spin).partition(" at ")[0] for _ in range(3)]


@case
def handler_stops_the_loop_through_a_global():
    def handler(number, frame):
        global STOP
        STOP = True

    def spin():
        n = 0
        while not STOP:
            n += 1
        return n >= 0

    def run():
        global STOP
        STOP = False  # not in spin: under load the signal comes before it starts
        return with_timer(handler, spin)
    return [run() for _ in range(3)]


@case
def handler_stops_the_loop_through_a_list_and_an_attribute():
    class Flag:
        up = False

    def handler(number, frame):
        flag[0] = 1
        o.up = True
    flag = [0]
    o = Flag()

    def by_list():
        while not flag[0]:
            pass
        return "list"

    def by_attribute():
        n = 0
        while not o.up:
            n += 1
        return "attribute"
    def run(function):
        flag[0], o.up = 0, False  # not in the function: under load the signal comes before it starts
        return with_timer(handler, function)
    return [(run(by_list), run(by_attribute)) for _ in range(2)]


@case
def handler_changes_a_local_cell():
    def f():
        done = False
        count = total = 0  # may stay 0: a busy machine can take longer than the timer to get here

        def handler(number, frame):
            nonlocal done
            done = True
        old = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.002)
        try:
            while not done:
                count += 1
                total += count
        finally:
            signal.signal(signal.SIGALRM, old)
        return done, total == count * (count + 1) // 2
    return [f() for _ in range(3)]


@case
def handler_sees_the_interrupted_frame():
    seen = []

    def handler(number, frame):
        seen.append((frame.f_code.co_name, sorted(k for k in frame.f_locals if k in ("i", "total"))))
        raise Interrupted

    def spin():
        total = 0
        i = 0
        while True:
            total += i
            i = (i + 1) & 1023
    for _ in range(3):
        outcome(with_timer, handler, spin)
    return seen


@case
def synchronous_signals():
    log = []

    def handler(number, frame):
        log.append(frame.f_code.co_name)

    def f(n):
        total = 0
        for i in range(n):
            if i % 20 == 0:
                signal.raise_signal(signal.SIGUSR1)
            total += len(log)
        return total
    old = signal.signal(signal.SIGUSR1, handler)
    try:
        out = [f(1)]
        del log[:]
        out.append(f(100))
    finally:
        signal.signal(signal.SIGUSR1, old)
    return out, len(log), set(log)


@case
def handler_runs_hot_code_itself():
    def work(n):
        t = 0
        for i in range(n):
            t += i * i
        return t

    def handler(number, frame):
        results.append(work(50))
    results = []

    def spin():
        t = 0
        while not results:
            t += work(10)
        return t % 285
    heat(work, 10)
    out = with_timer(handler, spin)
    return out, results


@case
def recursion_interrupted():
    def handler(number, frame):
        raise Interrupted("deep")

    def f(n):
        if n < 2:
            return 1
        return f(n - 1) + f(n - 2)
    return [outcome(with_timer, handler, f, 80).partition(" at ")[0] for _ in range(2)], f(12)


@case
def two_threads_in_hot_loops():
    def work(n, start):
        total = start
        for i in range(n):
            total += i ^ start
        return total

    results = {}

    def run(k):
        results[k] = [work(2000, k) for _ in range(10)][-1]
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(old)
    return sorted(results.items()), work(2000, 3) == results[3]


@case
def threads_with_different_types_in_the_same_code():
    def work(x, n):
        for _ in range(n):
            x = x + x
            if len(str(x)) > 30:
                x = x if isinstance(x, str) else x / 3
                break
        return x
    results = {}

    def run(k, x):
        for _ in range(HOT // 4):
            results[k] = work(x, 40)
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run, args=args) for args in enumerate((1, 0.1, "ab", 2**40))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(old)
    return sorted((k, str(v)[:20]) for k, v in results.items())


@case
def thread_waits_for_a_hot_loop():
    class Shared:
        done = False

    def f():
        shared = Shared()

        def setter():
            time.sleep(0.002)
            shared.done = True
        thread = threading.Thread(target=setter)
        thread.start()
        n = 0
        while not shared.done:
            n += 1
        thread.join()
        return n >= 0
    return [f() for _ in range(3)]


@case
def lock_protected_counter():
    class Counter:
        def __init__(self):
            self.n = 0
            self.lock = threading.Lock()

        def bump(self):
            with self.lock:
                old = self.n
                self.n = old + 1

    def run(counter, n):
        for _ in range(n):
            counter.bump()
    counter = Counter()
    run(counter, HOT)
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=run, args=(counter, 500)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(old)
    return counter.n - HOT


@case
def other_thread_changes_class_and_global():
    class K:
        def m(self):
            return 0

    def f(k):
        n = 0
        while not k.m():
            n += 1
        return "seen"

    def change():
        time.sleep(0.002)
        K.m = lambda self: 1
    out = []
    for _ in range(3):
        K.m = lambda self: 0
        thread = threading.Thread(target=change)
        thread.start()
        out.append(f(K()))
        thread.join()
    return out


@case
def thread_local_storage():
    local = threading.local()
    results = []

    def f(n):
        local.x = 0
        for i in range(n):
            local.x += i
        return local.x

    def run():
        results.append(f(100))
        results.append(outcome(lambda: local.missing))
    heat(f, 5)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results, local.x


@case
def exception_in_a_thread():
    messages = []

    def f(n):
        return 10 // (n - 20)

    def run():
        for n in range(50):
            f(n)
    old = threading.excepthook
    threading.excepthook = lambda info: messages.append((info.exc_type.__name__, str(info.exc_value), info.exc_traceback.tb_next.tb_lineno > 0))
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.excepthook = old
    return messages


@case
def asynchronous_exception_in_a_thread():
    import ctypes
    state = []

    def spin():
        state.append("running")
        try:
            n = 0
            while True:
                n += 1
        except Interrupted:
            state.append("interrupted")
    thread = threading.Thread(target=spin)
    thread.start()
    while not state:
        time.sleep(0.0005)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(Interrupted))
    thread.join()
    return state


@case
def handler_changes_what_a_loop_reads():
    """A list that moves and gets other items, an object that gets another class, a sequence that gets shorter."""
    class Box:
        def __init__(self):
            self.stop = False

    class Full(Box):
        stop = property(lambda self: True, lambda self, value: None)

    def wait_for_item(items):
        rounds = 0
        while items[0] == 0:
            rounds += 1
        return rounds >= 0, items[0], len(items)

    def wait_for_number(numbers):
        total = 0.0
        while numbers[1] < 2.0:
            total += numbers[0]
        return total >= 0.0, numbers

    def wait_for_box(box):
        rounds = 0
        while not box.stop:
            rounds += 1
        return rounds >= 0, type(box).__name__

    def wait_for_end(items, rounds):
        count = 0
        for item in items:
            for index in range(rounds):
                if len(items) < 3:
                    return len(items), count >= 0 and index >= 0 and item > 0
                count += item
        # The handler came before the loop.
        return len(items), True

    def wait_in_range(flags):
        count = 0
        for number in range(10**12):
            count += 1
            if flags[0]:
                break
        return number + 1 == count, flags

    def grow(items):
        def handler(number, frame):
            items.extend(range(5000))
            items[0] = 7
        return handler

    rows = []
    for _ in range(3):
        items = [0]
        rows.append(with_timer(grow(items), wait_for_item, items))
        numbers = [0.5, 1.0]
        rows.append(with_timer(lambda *_: numbers.__setitem__(slice(None), [1.5, 2.5, 3.5]), wait_for_number, numbers))
        box = Box()
        rows.append(with_timer(lambda *_: setattr(box, "__class__", Full), wait_for_box, box))
        items = [1, 2, 3]
        rows.append(with_timer(lambda *_: items.clear(), wait_for_end, items, 10**12))
        flags = [False]
        rows.append(with_timer(lambda *_: flags.__setitem__(0, True), wait_in_range, flags))
    return rows


@case
def handler_changes_what_an_iterator_counts():
    """The loop's own iterator, which the handler moves on and takes apart."""
    def walk(iterator):
        seen = 0
        for number in iterator:
            seen += 1
            if number < 0:
                break
        return seen >= 0, next(iterator, "end")

    def f():
        iterator = iter(range(10**12))

        def handler(number, frame):
            iterator.__setstate__(10**12 - 1)
        return with_timer(handler, walk, iterator)
    return [f() for _ in range(3)]


@case
def handler_raises_while_code_is_compiled():
    """Each function is new, so that signals come before, in and after the compilation of its loop."""
    source = """
def spin(flags):
    i = 0
    while True:
        i += 1
        if flags and i % 1000 < 0.5:
            flags.clear()
"""

    def handler(number, frame):
        raise Interrupted("now")

    rows = []
    for step in range(12):
        names = {}
        exec(source, names)
        try:
            with_timer(handler, names["spin"], [None], delay=0.0003 * (step + 1))
        except Interrupted as error:
            rows.append(str(error))
    return rows


def raising(number, frame):
    raise Interrupted(frame.f_code.co_name)


@case
def noticed_right_after_the_call():
    """What a call in C leaves pending is handled before the next instruction, with the call's place in the traceback."""
    class Holder:
        def __init__(self):
            self.events = []

        def __enter__(self):
            self.events.append("enter")
            return self

        def __exit__(self, kind, value, tb):
            self.events.append(("exit", kind and kind.__name__))

    def at_once(kick, n):
        kick(signal.SIGALRM)
        return n

    def in_a_loop(kick, n):
        seen = []
        for i in range(n):
            if i == n - 2:
                seen.append(kick(signal.SIGALRM))
            seen.append(i)
        return seen

    def star(kick, args):
        kick(*args)
        return len(args)

    def caught(kick, n):
        held = Holder()
        try:
            with held:
                kick(signal.SIGALRM)
                held.events.append("after")
        except Interrupted as error:
            held.events.append(str(error))
        finally:
            held.events.append("finally")
        return held.events

    def known(n):
        try:
            _thread.interrupt_main(signal.SIGALRM)
            n += 1
        finally:
            seen.append(n)
        return n

    def bound(n):
        try:
            n = kicker.kick(signal.SIGALRM)
            seen.append("next")
        finally:
            seen.append(n)
        return n

    class Kicker:
        kick = staticmethod(_thread.interrupt_main)

    def nothing(number):
        return None

    def ignored(number, frame):
        seen.append(frame.f_lineno - frame.f_code.co_firstlineno)

    kicker, seen = Kicker(), []
    old = signal.signal(signal.SIGALRM, ignored)
    try:
        out = []
        for kick in (nothing, _thread.interrupt_main):
            out += [heat(at_once, kick, 1), heat(in_a_loop, kick, 4), heat(star, kick, (signal.SIGALRM,)), heat(caught, kick, 1)]
        out += [heat(known, 3), heat(bound, 3), len(seen), sorted(set(seen), key=str)]
        seen.clear()
        signal.signal(signal.SIGALRM, raising)
        kick = _thread.interrupt_main
        for _ in range(3):
            out = out[:16] + [outcome(at_once, kick, 1), outcome(in_a_loop, kick, 40), outcome(star, kick, (signal.SIGALRM,)), outcome(caught, kick, 1),
                              outcome(known, 3), outcome(bound, 3)]
        return out, seen
    finally:
        signal.signal(signal.SIGALRM, old)


@case
def locks_are_let_go_when_waiting_is_interrupted():
    """As threading's Condition does it: what the handler raises after the wait must find the `try` that takes the lock again."""
    class Gate:
        def __init__(self):
            self.lock = threading.Lock()

        def again(self):
            self.lock.acquire()

        def wait(self):
            waiter = threading.Lock()
            waiter.acquire()
            self.lock.release()
            try:
                if kicking:
                    _thread.interrupt_main(signal.SIGALRM)
                return waiter.acquire(False)
            finally:
                self.again()

    def f(gate):
        with gate.lock:
            return gate.wait()
    kicking, gate = [], Gate()
    out = [heat(f, gate)]
    old = signal.signal(signal.SIGALRM, raising)
    try:
        kicking.append(1)
        return out, [outcome(f, gate) for _ in range(HOT)][-1], gate.lock.locked()
    finally:
        signal.signal(signal.SIGALRM, old)


@case
def async_exceptions_to_oneself():
    import ctypes

    set_async = ctypes.pythonapi.PyThreadState_SetAsyncExc
    set_async.argtypes = (ctypes.c_ulong, ctypes.py_object)

    def f(n, at):
        log = []
        try:
            for i in range(n):
                if i == at:
                    set_async(threading.get_ident(), KeyError)
                    log.append("after")
                log.append(i)
        except KeyError:
            log.append("caught")
        return log[-2:]
    return heat(f, 3, -1), f(5, 3), f(300, 290)


@case
def nothing_comes_between_entering_and_the_body():
    """3.13 and 3.15 look for no signals when they enter: `__exit__` sees what the handler raises in the body. 3.14 does."""
    class Manager:
        __enter__ = staticmethod(functools.partial(_thread.interrupt_main, signal.SIGALRM))

        def __exit__(self, kind, value, tb):
            log.append(("exit", kind and kind.__name__))

    def f(manager):
        with manager:
            entered = True
        return entered

    def ignored(number, frame):
        log.append("signal")
    log, manager = [], Manager()
    old = signal.signal(signal.SIGALRM, ignored)
    try:
        heat(f, manager)
        seen = log[-3:]
        log.clear()
        signal.signal(signal.SIGALRM, raising)
        return seen, [outcome(f, manager) for _ in range(3)], log
    finally:
        signal.signal(signal.SIGALRM, old)
