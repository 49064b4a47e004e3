"""What the runtime promises: signals, threads, recursion, collection, finalizers, interpreters, audit, pickling, controls."""

import gc
import json
import os
import subprocess
import sys
import time
import weakref

import api
import work
from api import Target, Unavailable, heat, inform, plain, prove, run


def signals():
    """Signals are handled in hot loops, calls and generators, where they arrive; an exception of the handler stops them there."""
    import signal
    import struct

    results = {}
    for kind, where in ("loop", "spin"), ("calls", "fib"), ("generator", "drain"):
        path = os.path.join(os.getcwd(), f"sent-{kind}")
        with open(path, "wb") as file:
            file.write(bytes(8))
        with Target("signalled", kind) as target, open(path, "r+b", buffering=0) as file:
            for _ in range(150):
                time.sleep(0.004)
                file.seek(0)
                file.write(struct.pack("q", time.monotonic_ns()))
                os.kill(target.pid, signal.SIGUSR1)
                late = time.monotonic() + 5
                while os.pread(file.fileno(), 8, 0) != bytes(8) and time.monotonic() < late:
                    time.sleep(0.0005)
            said = target.finish()
        delays = sorted(said["delays"])
        inform(**{f"{kind}_ms": {"median": round(delays[len(delays) // 2] / 1e6, 3), "p99": round(delays[len(delays) * 99 // 100] / 1e6, 3)}})
        results[kind] = {"all arrived": len(delays) == 150, "mostly in the code": said["where"].get(where, 0) > 100}

    def handler(number, frame):
        raise InterruptedError("stop")

    signal.signal(signal.SIGALRM, handler)
    for kind, function, size in ("loop", work.mix, 10**9), ("generator", work.drain, 10**9), ("calls", work.divide, range(10**9)):
        heat(function, range(20) if kind == "calls" else 20, *([3] if kind == "calls" else []))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            function(size, *([3] if kind == "calls" else []))
        except InterruptedError as error:
            names = []
            tb = error.__traceback__
            while tb is not None:
                names.append(tb.tb_frame.f_code.co_name)
                tb = tb.tb_next
            results["stopped: " + kind] = [name for name in names if name != "count_up"]
    prove()
    return results


def threads():
    import queue
    import threading

    heat(work.everything)
    results = {}
    answers, lock, total = queue.SimpleQueue(), threading.Lock(), [0]
    local = threading.local()

    def job(number):
        local.number = number
        for i in range(40):
            answers.put((number, i, str(work.everything(10 + number))))
            with lock:
                total[0] += local.number

    crew = [threading.Thread(target=job, args=(n,)) for n in range(6)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    results["answers"] = sorted({(answers.get()[0], answers.get()[2][:0]) for _ in range(120)})[:1] and 240
    results["total"] = total[0]
    # A hot loop without calls lets other threads run.
    turns = []

    def ticker():
        for _ in range(20):
            turns.append(time.perf_counter())
            time.sleep(0.001)

    heat(work.mix, 100)
    thread = threading.Thread(target=ticker)
    thread.start()
    while thread.is_alive():
        work.mix(20_000)
    results["turns"] = len(turns)
    # An exception that is set from another thread stops a hot loop.
    import ctypes

    caught = []

    def endless():
        try:
            work.mix(10**12)
        except KeyError as error:
            caught.append(type(error).__name__)

    thread = threading.Thread(target=endless)
    thread.start()
    time.sleep(0.05)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(KeyError))
    thread.join(20)
    results["async exception"] = caught
    frames = sys._current_frames()
    results["frames"] = [frames[threading.get_ident()].f_code.co_name, len(frames)]
    return results


def _deep(n):
    return 1 + _deep(n + 1)


def _depth(limit):
    """How deep a recursion goes, by asking it."""
    reached = [0]

    def down(n):
        reached[0] = n
        return down(n + 1) + 1

    sys.setrecursionlimit(limit)
    try:
        down(1)
    except RecursionError as error:
        return reached[0], str(error)
    finally:
        sys.setrecursionlimit(1000)
    return None


def recursion():
    heat(work.fib, 8)
    results = {}

    def bounded(n):
        return 0 if n == 0 else bounded(n - 1) + 1

    heat(bounded, 20)
    for limit in 200, 1000, 5000:
        results[f"limit {limit}"] = [_depth(limit) for _ in range(3)]

    def fits(limit):
        """The largest argument of a hot function under a limit."""
        low, high = 1, limit + 10
        while low < high:
            middle = (low + high + 1) // 2
            sys.setrecursionlimit(limit)
            try:
                bounded(middle)
                low = middle
            except RecursionError:
                high = middle - 1
            finally:
                sys.setrecursionlimit(1000)
        return low

    results["fits"] = [fits(300), fits(2000)]

    class Node:
        def __init__(self, inner):
            self.inner = inner

        def __repr__(self):
            return f"<{self.inner!r}>"

    def nest(n):
        node = None
        for _ in range(n):
            node = Node(node)
        return node

    heat(lambda: repr(nest(5)))
    try:
        repr(nest(3000))
    except RecursionError as error:
        results["repr"] = plain(error)
    return results


class _Noted:
    def __init__(self, name, log):
        self.name, self.log, self.me = name, log, None

    def __del__(self):
        self.log.append(self.name)


def finalizers():
    """The order in which objects die, with weak references and cycles; and what the collector is told."""
    log, dead = [], []

    def one(n):
        kept = None
        for i in range(n):
            item = _Noted(i, log)
            other = _Noted(-i, log)
            if i % 3 == 0:
                kept = item
            weakref.finalize(other, dead.append, i)
            ref = weakref.ref(item, lambda r: dead.append("gone"))
            if ref() is not item:
                log.append("lost")
            del item
            log.append("end of round")
        return kept and kept.name

    def cycles(n):
        for i in range(n):
            item = _Noted(("cycle", i), log)
            item.me = item
        return n

    def generators(n):
        def numbers():
            try:
                yield from range(n)
            finally:
                log.append("closed")

        total = 0
        for value in numbers():
            total += value
            if value == n // 2:
                break
        return total

    gc.collect()
    gc.disable()
    heat(one, 4)
    heat(cycles, 2)
    heat(generators, 6)
    results = {"before": _digest(log, dead)}
    log.clear()
    dead.clear()
    one(7), generators(6)
    results["one"] = [list(log), list(dead)]
    log.clear()
    results["collected"] = [gc.collect() > 0, sorted(map(str, log))[:5], len(log)]
    gc.enable()
    calls = []
    gc.callbacks.append(lambda phase, info: calls.append((phase, info["generation"])))

    def allocate(n):
        kept = []
        for i in range(n):
            kept.append([i, [i]])
        return len(kept)

    heat(allocate, 100)
    calls.clear()
    allocate(30_000)
    results["collections"] = [len(calls) > 0, sorted({phase for phase, _ in calls})]
    gc.callbacks.clear()
    counts = [sys.getrefcount(work.everything), sys.getrefcount(None) > 0]
    heat(work.everything, 12)
    results["references"] = [sys.getrefcount(work.everything) - counts[0] <= 0, counts[1]]
    return results


def _digest(*values):
    import hashlib

    return hashlib.sha256(repr(values).encode()).hexdigest()


def subinterpreters():
    import _interpreters

    heat(work.everything)
    code = f"import sys; sys.path.insert(0, {api.HERE!r})\nimport work\nfor _ in range(200): r = work.everything(12)\n" \
           "import os; os.write(int(FD), repr(r).encode() + b'\\n')"
    results = []
    # What is printed besides counts as well: it would be a change that users see.
    kept, path = os.dup(2), os.path.join(os.getcwd(), "printed")
    with open(path, "wb") as file:
        os.dup2(file.fileno(), 2)
    try:
        for config in "legacy", "isolated":
            reader, writer = os.pipe()
            interpreter = _interpreters.create(config)
            failed = _interpreters.run_string(interpreter, code.replace("FD", str(writer)))
            os.close(writer)
            with open(reader) as file:
                text = file.read()
            _interpreters.destroy(interpreter)
            results.append([config, text == repr(work.everything(12)) + "\n", plain(getattr(failed, "formatted", failed))])
    finally:
        os.dup2(kept, 2)
    with open(path) as file:
        printed = plain(file.read())
    return {"interpreters": results, "printed": printed, "main": work.everything(12), "after": heat(work.everything, 12)}


def audit():
    events = []
    watching = [False]

    def hook(event, args):
        if watching[0]:
            events.append([event, plain(args)[:120]])

    sys.addaudithook(hook)

    def act(n):
        total = 0
        for i in range(n):
            total += eval("i + 1", {"i": i})
            total += len(compile(f"x = {i}", "<made up>", "exec").co_names)
            setattr(work, "made_up", i)
            sys._getframe()
            sys.audit("mine", i)
            total += id(total) and 1
        return total

    heat(act, 3, calls=100)
    heat(work.everything)
    watching[0] = True
    act(4)
    work.everything(12)
    watching[0] = False
    return events


def pickling():
    import copy
    import pickle

    heat(work.everything)
    results = []
    adder = work.make_adder(2)
    heat(adder, range(5))
    generator = work.count_up(5)
    next(generator)
    account = work.Account(3)
    heat(account.settle, range(5))
    for value in work.mix, work.Account.settle, account.settle, account, work.Account, adder, generator, work.mix.__code__, sys._getframe():
        for name, way in ("pickle", lambda v: pickle.loads(pickle.dumps(v))), ("copy", copy.copy), ("deepcopy", copy.deepcopy):
            try:
                again = way(value)
                results.append([name, plain(repr(again)), again is value])
            except Exception as error:
                results.append([name, type(error).__name__, plain(error)])
    function = work.mix
    results.append([function.__name__, plain(function), function.__defaults__, sorted(function.__dict__), sys.getsizeof(function),
                    function.__code__.co_code.hex() == function.__code__.replace().co_code.hex(), type(function).__name__])
    import dis
    import io

    out = io.StringIO()
    dis.dis(work.mix, file=out, adaptive=False)
    results.append(plain(out.getvalue()))
    import marshal

    results.append(_digest(marshal.dumps(work.fib.__code__)))
    return results


ASK = """
import json, sys
import work
for _ in range(300):
    work.everything(12)
jit = sys.modules.get("pepjit")
own = getattr(sys, "_jit", None)
print(json.dumps({"loaded": jit is not None, "enabled": bool(jit and jit.is_enabled()), "compiled": bool(jit and jit.is_compiled(work.mix)),
    "own": bool(own and own.is_enabled())}))
"""

API = """
import json, sys
import pepjit, work
said = [pepjit.is_enabled()]
def hot():
    for _ in range(300):
        work.everything(12)
    return bool(pepjit.is_compiled(work.mix)), bool(pepjit.stats()["native_entries"])
pepjit.enable(); said.append([pepjit.is_enabled(), *hot()])
pepjit.disable(); before = pepjit.stats()["native_entries"]
answer = hot()
said.append([pepjit.is_enabled(), answer[0], pepjit.stats()["native_entries"] == before])
pepjit.enable(); said.append([pepjit.is_enabled(), *hot()])
print(json.dumps(said))
"""


def controls():
    """On and off by environment and by API, and whether what is said about it is true. The same whatever mode asks."""
    heat(work.everything)

    def ask(code, **env):
        path = os.pathsep.join([os.environ["PYTHONPATH"], api.HERE])
        done = run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path, **env})
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)

    results = {}
    off = ask(ASK, PEPJIT="0", PYTHON_JIT="0")
    results["off"] = not (off["loaded"] or off["enabled"] or off["compiled"] or off["own"])
    if api.MODE in ("forced", "hot"):
        on = ask(ASK, PEPJIT="1")
        results["on by the environment"] = on["loaded"] and on["enabled"] and on["compiled"]
        unset = {name: value for name, value in os.environ.items() if name != "PEPJIT"}
        os.environ.pop("PEPJIT")
        try:
            results["not on by itself"] = not ask(ASK)["loaded"]
            module = os.path.join(os.environ["PYTHONPATH"].split(os.pathsep)[0], "module")
            said = ask(f"import sys; sys.path.insert(0, {module!r})\n" + API)
        finally:
            os.environ.update(unset, PEPJIT="1")
        inform(api=said)
        results["API"] = said == [False, [True, True, True], [False, False, True], [True, True, True]]
        answer = ask(f"import sys; sys.path.insert(0, {module!r})\n"
                     "import pepjit, json\ntry:\n pepjit.enable()\nexcept RuntimeError: pass\nprint(json.dumps(pepjit.is_enabled()))", PEPJIT="0")
        results["PEPJIT=0 wins"] = answer is False
    elif api.MODE == "cpython-jit":
        results["on by the environment"] = ask(ASK, PYTHON_JIT="1")["own"]
    # Without a JIT there is nothing to turn on: what the modes with one say has to be all true.
    for name in "on by the environment", "not on by itself", "API", "PEPJIT=0 wins":
        results.setdefault(name, True)
    return results
