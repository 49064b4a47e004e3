"""What other processes look at: code that is hot and goes on until standard input is closed. See `api.Target`."""

import json
import os
import select
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import api  # noqa: E402
import work  # noqa: E402


def spin(n):
    total = 7
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total


def level_two(n):
    return spin(n) + 1


def level_one(n):
    return level_two(n) + 1


def called(seen):
    """A hot loop with calls of Python and of C functions."""
    total = 0
    for i in range(2000):
        total += work.divide([i, i + 1], 3) + len(seen)
    return total


def closed():
    """Whether the probe wants an end."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def ready(**more):
    """Tells the probe that all is hot."""
    print(json.dumps({"pid": os.getpid(), "proof": api.prove(), "lines": [spin.__code__.co_firstlineno, spin.__code__.co_firstlineno + 4],
                      **more}), flush=True)


def told(**more):
    print(json.dumps({"proof": api.prove(), **more}), flush=True)


def busy():
    """Nearly all of the time in `spin`, below `level_two`, `level_one` and `busy`."""
    api.heat(level_one, 200)
    api.heat(called, [])
    ready()
    while not closed():
        level_one(300_000)
    told()


def busy_for(seconds):
    """The same for a time, for tools that start their target."""
    api.heat(level_one, 200)
    ready()
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        level_one(300_000)
    told()


def asleep():
    """Waits in a C function that hot code calls."""

    def wait(label):
        return 1 if label != "hold" else len(select.select([sys.stdin], [], [])[0])

    def holder(labels):
        total = 0
        for label in labels:
            total += wait(label)
        return total

    api.heat(holder, ["a"] * 5)
    ready()
    holder(["a", "a", "hold"])
    told()


def crash_in_call():
    """A fault in a C function that hot code calls."""
    import faulthandler

    faulthandler.enable()

    def last(label):
        if label == "now":
            faulthandler._sigsegv()
        return 1

    def caller(labels):
        total = 0
        for label in labels:
            total += last(label)
        return total

    api.heat(caller, ["a"] * 5)
    ready()
    caller(["a", "now"])


def crash_in_loop():
    """A fatal signal from outside while a hot loop is running."""
    import faulthandler

    faulthandler.enable()
    api.heat(level_one, 200)
    ready()
    while True:
        level_one(50_000_000)


def dump_later():
    """faulthandler writes the stacks of all threads while one of them is in a hot loop."""
    import faulthandler

    api.heat(level_one, 200)
    ready()
    faulthandler.dump_traceback_later(0.3, file=sys.stderr)
    end = time.monotonic() + 0.8
    while time.monotonic() < end:
        level_one(2_000_000)
    faulthandler.cancel_dump_traceback_later()
    told()


def signalled(kind):
    """Counts signals in a hot loop; the sender notes in a shared file when it sent each."""
    import mmap
    import signal
    import struct

    api.heat(level_one, 200)
    api.heat(work.fib, 6)
    api.heat(work.drain, 20)
    file = os.open(os.path.join(os.getcwd(), f"sent-{kind}"), os.O_RDWR)
    shared = mmap.mmap(file, 8)
    delays, where = [], {}

    def handler(number, frame):
        delays.append(time.monotonic_ns() - struct.unpack("q", shared[:8])[0])
        shared[:8] = bytes(8)  # The sender waits for that: a second signal while one is pending would be the same one.
        names = []
        while frame is not None and len(names) < 30:
            names.append(frame.f_code.co_name)
            frame = frame.f_back
        for name in ("spin", "fib", "drain", "count_up"):
            if name in names:
                where[name] = where.get(name, 0) + 1

    signal.signal(signal.SIGUSR1, handler)
    run = {"loop": lambda: spin(200_000), "calls": lambda: work.fib(16), "generator": lambda: work.drain(50_000)}[kind]
    ready()
    while not closed():
        run()
    told(delays=delays, where=where)


if __name__ == "__main__":
    threading.current_thread().name = "MainThread"
    globals()[sys.argv[1]](*sys.argv[2:])
