"""Moments at which compiled code is not expected to be interrupted: forks, other threads, odd objects, finalisers in generators."""

import _thread
import contextlib
import copy
import gc
import os
import pickle
import signal
import sys
import threading
import types
import weakref

from corpus_api import HOT, case, describe, heat, outcome


@case
def compare_and_hash_raise_in_dicts():
    class K:
        def __init__(self, v, mode):
            self.v, self.mode = v, mode

        def __hash__(self):
            if self.mode == "h":
                raise ValueError("hash")
            return 1

        def __eq__(self, other):
            if self.mode == "e":
                raise TypeError("eq")
            return self.v == other.v

    def f(d, k):
        d[k] = 1
        return k in d, d[k], d.get(k)
    good = K(1, "")
    out = [heat(f, {good: 2}, K(1, ""))]
    for mode in "he":
        out.append(outcome(f, {good: 2}, K(1, mode)))
        out.append(outcome(lambda d, k: d[k], {good: 2}, K(1, mode)))
        out.append(outcome(lambda d, k: k in d, {good: 2}, K(1, mode)))
    return out


@case
def monitoring_tool_of_the_same_number():
    mon = sys.monitoring
    owner = mon.get_tool(4)
    mon.use_tool_id(4, "mine")
    events = []

    def f(n):
        t = 0
        for i in range(n):
            t += i
        return t
    out = [heat(f, 5)]
    try:
        mon.register_callback(4, mon.events.PY_RETURN, lambda code, off, v: events.append(v) if code is f.__code__ else None)
        mon.set_events(4, mon.events.PY_RETURN)
        out.append(f(7))
        mon.set_events(4, 0)
        mon.set_local_events(4, f.__code__, mon.events.PY_START | mon.events.JUMP)
        mon.register_callback(4, mon.events.PY_START, lambda code, off: events.append("start"))
        mon.register_callback(4, mon.events.JUMP, lambda code, off, to: events.append("jump"))
        out.append(f(3))
        mon.restart_events()
        out.append(f(2))
        mon.set_local_events(4, f.__code__, 0)
        out.append(heat(f, 5))
    finally:
        mon.register_callback(4, mon.events.PY_RETURN, None)
        mon.register_callback(4, mon.events.PY_START, None)
        mon.register_callback(4, mon.events.JUMP, None)
        mon.free_tool_id(4)
    return out, events, owner


@case
def gc_inspects_frames_and_suspended():
    class Marker:
        pass

    def f(n):
        m = Marker()
        found = []
        for i in range(n):
            if i == n - 1:
                found = [type(r).__name__ for r in gc.get_referrers(m)]
                gc.collect()
        return len(found), m is not None
    return heat(f, 3), f(20)


@case
def slots_deleted_from_the_class():
    class S:
        __slots__ = ("a", "b")

    s = S()
    s.a = 3

    def f(s):
        return s.a

    def w(s, v):
        s.a = v
        return s.a
    out = [heat(f, s), heat(w, s, 3)]
    slot = S.a
    del S.a
    out += [outcome(f, s), outcome(w, s, 4)]
    S.a = 9
    out += [outcome(f, s), outcome(w, s, 4)]
    S.a = slot
    out += [outcome(f, s), outcome(w, s, 5)]
    S.a = property(lambda self: "p")
    out += [outcome(f, s), outcome(w, s, 6)]
    S.a = slot
    return out


@case
def exec_changes_the_caller():
    def f(n):
        a = n
        exec("a = 100\nb = 5", globals(), locals())
        sys._getframe().f_locals["a"] = 7
        return a
    out = [heat(f, 3)]

    def g(n):
        x = 1
        for i in range(n):
            poke(i)
            x += 1
        return x

    def poke(i):
        if i == 5:
            sys._getframe(1).f_locals["x"] = "s"
    out += [heat(g, 3), outcome(g, 10), outcome(g, 5)]
    return out


@case
def groups_through_hot_frames():
    def raiser(n):
        if n:
            raise ExceptionGroup("g", [ValueError(n), TypeError("t"), ExceptionGroup("in", [KeyError(1)])])
        return 0

    def f(n):
        got = []
        try:
            return raiser(n)
        except* ValueError as e:
            got.append(("v", len(e.exceptions)))
        except* KeyError as e:
            got.append(("k", len(e.exceptions)))
        return got
    out = [heat(f, 0)]
    for _ in range(HOT):
        last = outcome(f, 1)
    return out, last


@case
def recursion_through_properties_and_operators():
    class R:
        def __init__(self, n):
            self.n = n

        @property
        def p(self):
            return 0 if self.n == 0 else R(self.n - 1).p + 1

        def __add__(self, other):
            return self.n if other == 0 else R(self.n + 1) + (other - 1)

        def __eq__(self, other):
            return R(self.n) == other

        def __getattr__(self, name):
            return getattr(R(1), name + "x") if len(name) < 20 else name

    f = lambda n: R(n).p
    g = lambda n: R(0) + n
    out = [heat(f, 3), heat(g, 3), f(100), g(100)]
    old = sys.getrecursionlimit()
    sys.setrecursionlimit(250)
    try:
        for h in (lambda: f(1000), lambda: g(1000), lambda: R(1) == 2):
            try:
                h()
            except RecursionError as e:
                out.append(str(e)[:40])
        out.append(R(1).q)
    finally:
        sys.setrecursionlimit(old)
    return out


@case
def sort_keys_that_misbehave():
    def key(x):
        if x == 13:
            data.append(1)
        return -x

    def f(n):
        data[:] = range(n)
        data.sort(key=key)
        return data
    data = []
    out = [heat(f, 5), outcome(f, 20)]

    class L:
        def __init__(self, v):
            self.v = v

        def __lt__(self, other):
            if self.v == 3 and other.v == 4:
                raise ZeroDivisionError
            return self.v < other.v

    def s(n):
        return [x.v for x in sorted([L(i) for i in range(n)], reverse=True)]
    out += [heat(s, 3), outcome(s, 6)]
    return out


@case
def many_tools_at_once():
    def f(n):
        t = 0
        for i in range(n):
            t += g(i)
        return t

    def g(i):
        if i == 30:
            sys.setprofile(prof)
        if i == 35:
            sys.setprofile(None)
        return i
    seen = []

    def prof(frame, event, arg):
        if frame.f_code in (f.__code__, g.__code__):
            seen.append((frame.f_code.co_name, event, frame.f_lineno - f.__code__.co_firstlineno))
    return heat(f, 5), f(40), seen


@case
def class_body_and_metaclass_conflicts():
    class M(type):
        def __getattribute__(cls, name):
            if name == "magic":
                return 1
            return super().__getattribute__(name)

        def __setattr__(cls, name, value):
            super().__setattr__(name, value)

    class C(metaclass=M):
        v = 2

    def f():
        return C.v + C.magic

    out = [heat(f)]
    C.v = 5
    out.append(outcome(f))
    M.v = property(lambda cls: 50)
    out.append(outcome(f))
    del M.v
    M.__getattribute__ = type.__getattribute__
    out.append(outcome(f))
    del M.__getattribute__
    out.append(outcome(f))
    C.magic = 8
    out.append(outcome(f))
    return out


@case
def iterators_pickled_and_copied_midway():
    def f(data):
        it = iter(data)
        got = [next(it), next(it)]
        other = copy.copy(it)
        third = pickle.loads(pickle.dumps(it))
        return got, list(it), list(other), list(third)
    return heat(f, [1, 2, 3, 4]), outcome(f, (1, 2, 3)), outcome(f, range(5)), outcome(f, "abcd")


@case
def kwdefaults_changed():
    def f(a, *, k=1, m=2):
        return a, k, m

    def call(n):
        return f(n), f(n, m=5)
    out = [heat(call, 1)]
    f.__kwdefaults__ = {"k": 10, "m": 20}
    out.append(outcome(call, 1))
    f.__kwdefaults__["k"] = 11
    out.append(outcome(call, 1))
    del f.__kwdefaults__["m"]
    out.append(outcome(call, 1))
    f.__kwdefaults__ = None
    out.append(outcome(call, 1))
    f.__defaults__ = (4,)
    f.__kwdefaults__ = {"k": 1, "m": 1}
    out.append(outcome(lambda: f()))
    out.append(outcome(call, 1))
    return out


@case
def forked_in_hot_code():
    def f(n):
        t = 0
        for i in range(n):
            t += i
            if i == 150:
                r, w = os.pipe()
                pid = os.fork()
                if pid == 0:
                    try:
                        s = 0
                        for j in range(1000):
                            s += g(j)
                        os.write(w, str((t, s)).encode())
                    finally:
                        os._exit(0)
                os.close(w)
                got = os.read(r, 100)
                os.close(r)
                os.waitpid(pid, 0)
                out.append(got)
        return t

    def g(j):
        return j * 2
    out = []
    return heat(f, 5), f(300), out


@case
def generators_driven_by_many_threads():
    def gen(n):
        for i in range(n):
            yield i

    results = []

    def drain(it):
        got = 0
        while True:
            try:
                got += next(it) >= 0
            except StopIteration:
                break
            except ValueError:
                continue
        results.append(got)
    for _ in range(3):
        results.clear()
        it = gen(3000)
        threads = [threading.Thread(target=drain, args=(it,)) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    return sum(results)


@case
def generator_finalised_by_exception_in_consumer():
    log = []

    class Res:
        def __init__(self, n):
            self.n = n

        def __enter__(self):
            log.append(("in", self.n))
            return self

        def __exit__(self, *a):
            log.append(("out", self.n, a[0] and a[0].__name__))
            return self.n == 99

    def g(n):
        with Res(n) as r:
            for i in range(n):
                with Res(-i):
                    yield i

    def f(n, at):
        for x in g(n):
            if x == at:
                raise ValueError(x)
        return n
    heat(f, 3, -1)
    log.clear()
    out = [outcome(f, 3, 1), outcome(f, 99, 2)]
    return out, log


@case
def tracing_starts_in_a_callee_and_sees_lines():
    def callee(i, at):
        if i == at:
            sys.settrace(tr)
            sys._getframe(1).f_trace = tr
        return i

    def f(n, at):
        t = 0
        for i in range(n):
            t += callee(i, at)
            t ^= 1
        sys.settrace(None)
        return t
    log = []

    def tr(frame, event, arg):
        if frame.f_code in (f.__code__, callee.__code__):
            log.append((frame.f_code.co_name, event, frame.f_lineno - f.__code__.co_firstlineno))
        return tr
    old = sys.gettrace()
    try:
        return heat(f, 4, -1), f(6, 3), f(300, 298), len(log), log[:12], log[-8:]
    finally:
        sys.settrace(old)


@case
def class_dict_entries_with_odd_objects():
    class Getter:
        calls = 0

        def __get__(self, obj, cls):
            Getter.calls += 1
            return Getter.calls

    class C:
        x = Getter()

    def f(c):
        return c.x
    c = C()
    out = [heat(f, c)]
    del Getter.__get__
    out.append(type(f(c)).__name__)
    Getter.__get__ = lambda self, o, t: "back"
    out.append(f(c))
    Getter.__set__ = lambda self, o, v: None
    c.__dict__["x"] = "own"
    out.append(f(c))
    del Getter.__set__
    out.append(f(c))
    return out


@case
def module_getattr_and_lazy_names():
    m = types.ModuleType("lazy")
    m.__getattr__ = lambda name: name * 2
    m.a = 1

    def f():
        return m.a, m.b
    out = [heat(f)]
    m.b = 5
    out.append(f())
    del m.a
    out.append(f())
    del m.__getattr__
    out.append(outcome(f))
    return out


@case
def closures_cells_shared_between_threads_and_generators():
    def make():
        n = 0

        def inc():
            nonlocal n
            n += 1
            return n

        def gen():
            nonlocal n
            for i in range(5):
                n += 10
                yield n
        return inc, gen
    for _ in range(HOT):
        inc, gen = make()
        out = [inc()]
        for v in gen():
            out.append((v, inc()))
    return out


@case
def context_and_traceback_of_nested_finally():
    def f(n):
        try:
            try:
                try:
                    return 1 // n
                finally:
                    if n == 0:
                        {}["x"]
            finally:
                if n == 0:
                    [][1]
        except LookupError as e:
            return describe(e, 0)
    return [f(i % 2) for i in range(HOT)][-2:]


@case
def unhashable_frame_and_reentrancy_of_sort_and_dict():
    class K:
        def __init__(self, v):
            self.v = v

        def __hash__(self):
            return 7

        def __eq__(self, other):
            if self.v == "bomb":
                d.clear()
            return self.v == other.v

    def f(v):
        d.clear()
        d[K(1)] = 1
        d[K(2)] = 2
        return outcome(lambda: d[K(v)]), len(d), outcome(lambda: d.get(K(v), "none")), K(v) in d
    d = {}
    return heat(f, 1), f("bomb"), f(2), f(3)


@case
def weakref_proxy_and_slots_receivers():
    class C:
        __slots__ = ("v", "__weakref__")

        def get(self):
            return self.v
    c = C()
    c.v = 4
    p = weakref.proxy(c)

    def f(p):
        return p.get() + p.v
    out = [heat(f, c), heat(f, p)]
    del c
    out.append(outcome(f, p))
    return out


@case
def function_globals_of_a_dead_module():
    src = "x = 1\ndef f():\n    return x\ndef g(n):\n    t = 0\n    for i in range(n):\n        t += f()\n    return t\n"
    keep = []
    for i in range(HOT):
        m = types.ModuleType("dead")
        exec(src, m.__dict__)
        g = m.g
        keep.append(g(5))
        del m
        gc.collect() if i % 20 == 0 else None
        keep.append(g(3))
    return keep[-2:]


@case
def callable_instances_and_call_changed():
    class F:
        def __call__(self, x):
            return x + 1
    c = F()

    def f(x):
        return c(x)
    out = [heat(f, 1)]
    F.__call__ = lambda self, x: x * 100
    out.append(f(2))
    F.__call__ = staticmethod(lambda x: ("s", x))
    out.append(f(2))
    F.__call__ = len
    out.append(outcome(f, 2))
    del F.__call__
    out.append(outcome(f, 2))
    return out


@case
def new_and_init_replaced():
    class C:
        def __init__(self, a):
            self.a = a

    def f(a):
        return C(a).a
    out = [heat(f, 1)]
    C.__init__ = lambda self, a: setattr(self, "a", a * 2)
    out.append(f(4))
    C.__new__ = lambda cls, a: object.__new__(cls)
    out.append(f(4))
    C.__new__ = lambda cls, a: "other"
    out.append(outcome(f, 4))
    del C.__new__
    out.append(outcome(f, 4))
    C.__init__ = lambda self, a: 5
    out.append(outcome(f, 4))
    del C.__init__
    out.append(outcome(f, 4))
    return out


@case
def exit_in_atexit_like_callbacks_and_sys_exc():
    def f(n):
        try:
            raise KeyError(n)
        except KeyError:
            def inner():
                return type(sys.exception()).__name__, sys.exc_info()[1].args
            got = inner()
            with contextlib.suppress(ValueError):
                raise ValueError
            return got, inner(), sys.exception().__context__
    return heat(f, 2), f(3)


@case
def comparison_chain_side_effects_and_changes():
    class N:
        def __init__(self, v):
            self.v = v

        def __lt__(self, o):
            log.append((self.v, o.v))
            return log if self.v < o.v else []
    log = []

    def f(a, b, c):
        return bool(N(a) < N(b) < N(c)), (N(a) < N(b) < N(c)) is log
    out = [heat(f, 1, 2, 3)]
    log.clear()
    return out, f(1, 2, 3), f(3, 2, 1), log


@case
def yield_inside_everything():
    def g(n):
        x = []
        r = {}
        for i in range(n):
            r[(yield i)] = (yield i * 10) + (yield i * 100)
            try:
                x.append(1 // (yield "d"))
            except ZeroDivisionError:
                x.append((yield "z"))
            finally:
                yield "f"
        return r, x

    def drive_it(n):
        it = g(n)
        seen = [next(it)]
        k = 0
        try:
            while True:
                k += 1
                seen.append(it.send(k % 3))
        except StopIteration as e:
            return seen, e.value
    for _ in range(HOT):
        last = drive_it(3)
    return last


@case
def int_max_str_digits_and_float_reprs():
    def f(s):
        return int(s)
    heat(f, "12")
    old = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        return outcome(f, "1" * 641), outcome(f, "1" * 640)[:10]
    finally:
        sys.set_int_max_str_digits(old)


@case
def code_with_odd_names():
    ns = {}
    code = compile("def f(a):\n    b = a\n    return b + 1\n", "odd", "exec")
    exec(code, ns)
    f = ns["f"]
    heat(f, 1)
    g = f.__code__.replace(co_varnames=("x y", "1z"), co_name="odd name", co_qualname="q q", co_firstlineno=1000)
    h = types.FunctionType(g, ns)
    heat(h, 2)
    return outcome(h, "s"), outcome(h, 5), h.__name__


@case
def signal_handler_replaces_what_runs():
    class C:
        def m(self):
            return 1

    def handler(n, frame):
        C.m = lambda self: 1000

    c = C()

    def f(n, at):
        t = 0
        for i in range(n):
            if i == at:
                _thread.interrupt_main(signal.SIGALRM)
            t += c.m()
        return t
    out = [heat(f, 3, -1)]
    old = signal.signal(signal.SIGALRM, handler)
    try:
        out.append(f(300, 200))
    finally:
        signal.signal(signal.SIGALRM, old)
    return out


@case
def profile_of_c_calls():
    seen = []

    def prof(frame, event, arg):
        if event.startswith("c_") and frame.f_code is f.__code__:
            seen.append((event, arg.__name__))

    def f(s, n):
        if n == 5:
            sys.setprofile(prof)
        t = [s.upper(), len(s), abs(-n), max(n, 2), ord("a"), s.startswith("a")]
        s.join(["x"])
        sys.setprofile(None)
        return len(t)
    return heat(f, "abc", 1), f("abc", 5), seen


@case
def an_evaluator_of_frames_is_set_when_code_is_hot():
    # PEP 523: whoever evaluates frames sees those of functions that were compiled before, too.
    try:
        import _testinternalcapi as internal
    except ImportError:
        return "not available"

    def inner(n):
        return n + 1

    def outer(n):
        return inner(n) * 2

    heat(outer, 1)
    seen = []
    internal.set_eval_frame_record(seen)
    try:
        result = outer(5)
    finally:
        internal.set_eval_frame_default()
    return result, seen, outer(6)
