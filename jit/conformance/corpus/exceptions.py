"""Exceptions from every position, handled at every distance, with their tracebacks, columns, contexts and causes."""

import contextlib
import traceback

from corpus_api import HOT, VERSION, case, describe, drive, heat, outcome, stable


def full(function, *args):
    """The formatted traceback of a call, carets included."""
    try:
        return function(*args)
    except BaseException as error:
        return stable("".join(traceback.format_exception(type(error), error, error.__traceback__.tb_next)))


class Bomb:
    """Raises in the special method named at construction, and behaves otherwise."""

    def __init__(self, where):
        self.where = where

    def check(self, name):
        if self.where == name:
            raise ArithmeticError(f"in {name}")

    def __add__(self, o):
        self.check("add")
        return 1

    __radd__ = __mul__ = __rmul__ = __sub__ = __rsub__ = __truediv__ = __mod__ = __add__

    def __iadd__(self, o):
        self.check("iadd")
        return 2

    def __neg__(self):
        self.check("neg")
        return 3

    def __bool__(self):
        self.check("bool")
        return True

    def __eq__(self, o):
        self.check("eq")
        return False

    def __lt__(self, o):
        self.check("lt")
        return True

    def __hash__(self):
        self.check("hash")
        return 7

    def __index__(self):
        self.check("index")
        return 0

    def __iter__(self):
        self.check("iter")
        return self

    def __next__(self):
        self.check("next")
        raise StopIteration

    def __getitem__(self, k):
        self.check("getitem")
        return 5

    def __setitem__(self, k, v):
        self.check("setitem")

    def __delitem__(self, k):
        self.check("delitem")

    def __contains__(self, x):
        self.check("contains")
        return True

    def __call__(self, *args):
        self.check("call")
        return 6

    def __len__(self):
        self.check("len")
        return 1

    def __enter__(self):
        self.check("enter")
        return self

    def __exit__(self, *exc):
        self.check("exit")
        return False

    def __format__(self, spec):
        self.check("format")
        return "formatted"

    def __str__(self):
        self.check("str")
        return "text"

    def __repr__(self):
        return f"Bomb({self.where})"

    @property
    def prop(self):
        self.check("prop")
        return 8

    @prop.setter
    def prop(self, value):
        self.check("prop set")


EVERYWHERE = ["add", "iadd", "neg", "bool", "eq", "lt", "hash", "index", "iter", "next", "getitem", "setitem", "delitem", "contains", "call",
              "len", "enter", "exit", "format", "str", "prop", "prop set", "nowhere"]


@case
def raised_in_every_special_method():
    def f(o):
        total = 0
        x = o + 1
        x = 1 - o
        x = x * (2 * o)
        y = o
        y += 1
        x = -o
        if o:
            total += 1
        if o == 3:
            total += 2
        if o < 3:
            total += 4
        d = {}
        d[o] = 1
        total += [10, 20][o]
        for _ in o:
            total += 8
        total += o[1]
        o[1] = total
        del o[1]
        total += 5 in o
        total += o(1, 2)
        total += len(o)
        with o as entered:
            total += entered is o
        text = f"{o} and {o!s}"
        total += o.prop
        o.prop = total
        return total, text
    drive(f, (Bomb("nowhere"),), [(Bomb(where),) for where in EVERYWHERE])


@case
def caught_in_place_for_every_special_method():
    def f(o, n):
        log = []
        for i in range(n):
            try:
                x = o + i
                x = -o
                if o == i or o:
                    x += [1, 2][o]
                for _ in o:
                    x += 1
                o[i] = x
                with o:
                    x += o.prop
                log.append(x)
            except ArithmeticError as error:
                log.append(str(error))
            else:
                log.append("else")
            finally:
                log.append(i)
        return log[-3:], len(log)
    return [f(Bomb(where), 20) for where in EVERYWHERE] + [heat(f, Bomb("nowhere"), 4)]


@case
def full_tracebacks_of_a_chain_of_calls():
    def inner(x):
        values = [1, 2, 3]
        return (values[x] +
                10 // (x - 1))

    def middle(x):
        return inner(x) * inner(
            x + 1)

    def outer(x):
        t = 0
        for i in range(x, x + 2):
            t += middle(i)
        return t
    for _ in range(HOT):
        shown = [full(outer, x) for x in (-3, 0, 1, 2, 3, "a", None)]
    print("\n".join(map(str, shown)))


@case
def columns_of_every_operand():
    def f(a, b, c, d):
        return a.x + b[0] * c(1) - len(d or -d) + sum(x / y for x, y in d)
    good = (type("A", (), {"x": 1, "__repr__": lambda s: "A"})(), [2], abs, [(1, 2)])
    bad = [None, 5, "s", []]
    inputs = []
    for i in range(4):
        for b in bad:
            args = list(good)
            args[i] = b
            inputs.append(tuple(args))
    drive(f, good, inputs)


@case
def try_except_in_a_hot_loop():
    def f(values):
        total = errors = 0
        for v in values:
            try:
                total += 100 // v
            except ZeroDivisionError:
                errors += 1
            except TypeError as error:
                errors += len(str(error)) > 0
        return total, errors
    return heat(f, [1, 2, 3]), f([0, 1, "a", None, 0] * 20), f([]), outcome(f, [1, object, 0]), heat(f, [0, 0])


@case
def handler_selection():
    class A(Exception):
        pass

    class B(A):
        pass

    def f(kind):
        try:
            if kind is not None:
                raise kind
            return "none"
        except B:
            return "B"
        except (A, KeyError) as error:
            return "A or key", type(error).__name__
        except Exception:
            return "other"
        except BaseException:
            return "base"
    drive(f, (None,), [(A,), (B,), (B(),), (KeyError("k"),), (ValueError,), (KeyboardInterrupt,), (5,), ("a",), (int,), (GeneratorExit(),)])


@case
def bad_handler_class():
    def f(x, kind):
        try:
            return 1 // x
        except kind:
            return "caught"
    drive(f, (1, ValueError), [(0, ZeroDivisionError), (0, (ValueError, ArithmeticError)), (0, ()), (0, 5), (0, (5,)), (0, None), (0, "a")])


@case
def finally_runs_on_every_way_out():
    log = []

    def f(k):
        for i in range(3):
            try:
                if k == 0:
                    continue
                if k == 1:
                    break
                if k == 2:
                    return "returned"
                if k == 3:
                    raise ValueError("raised")
                log.append("body")
            finally:
                log.append(("finally", i))
        return "end"
    for k in (0, 1, 2, 3, 4):
        for _ in range(HOT):
            del log[:]
            shown = outcome(f, k)
        print(shown, log)


@case
def return_in_finally():
    import warnings
    source = ("def f(x):\n    for i in range(3):\n        try:\n            y = 10 // x\n            return y\n        finally:\n"
              "            if x < 2:\n                return 'swallowed'\n            if x == 3:\n                continue\n    return 'end'\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        space = {}
        exec(compile(source, "finally", "exec"), space)
    drive(space["f"], (5,), [(0,), (1,), (2,), (3,), ("a",), (1.5,)])


@case
def nested_try_and_reraise():
    def f(x):
        log = []
        try:
            try:
                log.append(10 // x)
            except ZeroDivisionError:
                log.append("inner")
                if x == 0:
                    raise
            finally:
                log.append("finally")
        except ArithmeticError as error:
            log.append(type(error).__name__)
            try:
                raise RuntimeError("while handling") from error
            except RuntimeError as second:
                log.append(describe(second, 0))
        return log
    drive(f, (5,), [(0,), (0.0,), (2,), ("a",)])


@case
def context_and_cause():
    def f(k):
        try:
            try:
                {}["missing"]
            except KeyError as error:
                if k == 0:
                    return "fine"
                if k == 1:
                    raise ValueError("implicit")
                if k == 2:
                    raise ValueError("explicit") from error
                if k == 3:
                    raise ValueError("none") from None
                if k == 4:
                    raise ValueError("other") from OSError("cause")
                if k == 5:
                    raise ValueError("bad") from 5
                raise
        finally:
            if k == 7:
                raise LookupError("from finally")
    drive(f, (0,), [(k,) for k in range(1, 8)])
    print("\n".join(str(full(f, k)) for k in range(1, 8)))


@case
def context_is_cleared_after_handling():
    def f(x):
        try:
            1 // x
        except ZeroDivisionError:
            pass
        try:
            [][x]
        except IndexError as error:
            return error.__context__, describe(error, 0)
    return heat(f, 0), heat(f, 1)


@case
def sys_exc_info_in_hot_code():
    import sys

    def probe():
        kind, value, tb = sys.exc_info()
        return kind and kind.__name__, str(value), tb is not None, sys.exception() is value

    def f(x):
        out = [probe()]
        try:
            out.append(10 // x)
        except ZeroDivisionError:
            out.append(probe())
            try:
                raise ValueError("inner")
            except ValueError:
                out.append(probe())
            out.append(probe())
        out.append(probe())
        return out
    drive(f, (1,), [(0,), (2,)])


@case
def with_statement():
    log = []

    class Manager:
        def __init__(self, swallow):
            self.swallow = swallow

        def __enter__(self):
            log.append("enter")
            return self.swallow

        def __exit__(self, kind, value, tb):
            log.append((kind and kind.__name__, str(value), tb and tb.tb_lineno - tb.tb_frame.f_code.co_firstlineno))
            return self.swallow

    def f(swallow, x):
        with Manager(swallow) as got, Manager(False):
            if x == 99:
                return "early", got
            y = 10 // x
            return y, got
        return "swallowed"
    for args in ((False, 1), (True, 0), (False, 0), (True, 99), (True, "a")):
        for _ in range(HOT // 3):
            del log[:]
            shown = outcome(f, *args)
        print(shown, log)


@case
def with_protocol_errors():
    class NoExit:
        def __enter__(self):
            return 1

    class NoEnter:
        def __exit__(self, *exc):
            return True

    class ExitFails:
        def __enter__(self):
            return 2

        def __exit__(self, *exc):
            raise OSError("in exit")

    class Fine(NoExit, NoEnter):
        pass

    def f(manager, x):
        with manager as v:
            return v // x
    heat(f, Fine(), 1)
    return [outcome(f, make(), x) for make in (NoExit, NoEnter, ExitFails, Fine) for x in (1, 0)] + [outcome(f, 5, 1)]


@case
def contextlib_managers():
    @contextlib.contextmanager
    def managed(log, fail=None):
        log.append("in")
        try:
            yield len(log)
        except ValueError as error:
            log.append(str(error))
            if fail:
                raise LookupError("replaced") from error
        finally:
            log.append("out")

    def f(k):
        log = []
        with managed(log, k == 2) as n, contextlib.suppress(KeyError):
            if k == 1 or k == 2:
                raise ValueError(k)
            if k == 3:
                raise KeyError(k)
            if k == 4:
                raise TypeError(k)
            log.append(n)
        return log
    drive(f, (0,), [(k,) for k in range(1, 5)])


@case
def exception_groups():
    def f(k):
        out = []
        try:
            if k:
                raise ExceptionGroup("group", [ValueError(1), TypeError("t"), ExceptionGroup("inner", [ValueError(2), KeyError(3)])][:k + 1])
            out.append("none")
        except* ValueError as group:
            out.append(("values", len(group.exceptions)))
        except* TypeError as group:
            out.append(("types", str(group.exceptions[0])))
        return out
    drive(f, (0,), [(1,), (2,)])
    return outcome(f, 3)


@case
def exception_attributes_and_notes():
    class Custom(Exception):
        def __init__(self, code, text="t"):
            super().__init__(code, text)
            self.code = code

    def f(x):
        try:
            if x:
                error = Custom(x)
                error.add_note("noted")
                raise error
        except Custom as error:
            return error.args, error.code, error.__notes__, error.__traceback__.tb_lineno - f.__code__.co_firstlineno
        return None
    drive(f, (0,), [(1,), ("a",), (2.5,)])


@case
def exception_constructor_raises():
    class Bad(Exception):
        def __init__(self, x):
            if x > 1:
                raise TypeError("cannot build")

    def f(x):
        if x:
            raise Bad(x)
        return 0
    drive(f, (0,), [(1,), (2,), ("a",)])

    def g(x):
        if x:
            raise Bad
        return 1
    drive(g, (0,), [(1,)])


@case
def raise_in_argument_lists_and_displays():
    def boom(x):
        if x == 7:
            raise ValueError("seven")
        return x

    def f(a, b, c):
        return [boom(a), {boom(b): boom(c)}, (boom(a), boom(b)), max(boom(c), boom(a)), f"{boom(b)}{boom(c)}"]
    drive(f, (1, 2, 3), [(7, 2, 3), (1, 7, 3), (1, 2, 7)])


@case
def exception_leaves_stack_values_behind():
    log = []

    class R:
        def __init__(self, n):
            self.n = n

        def __add__(self, o):
            if o.n == 3:
                raise ValueError("third")
            return R(self.n + o.n)

        def __del__(self):
            log.append(self.n)

    def f(a, b, c):
        return [R(a), R(b) + R(c), R(9)]
    for _ in range(HOT):
        del log[:]
        try:
            f(1, 2, 3)
        except ValueError:
            log.append("handler")
        log.append("after")
    return log


@case
def traceback_of_reraised_and_stored():
    stored = ValueError("stored")

    def a():
        raise stored

    def b():
        a()

    def f():
        stored.__traceback__ = None
        for _ in range(3):
            try:
                b()
            except ValueError as error:
                pass
        return len(list(traceback.walk_tb(stored.__traceback__))), describe(stored, 0)
    return heat(f)


@case
def traceback_lasti_and_frames():
    def g(x):
        y = x + 1
        return [1, 2][y] // x

    def f(x):
        z = g(x)
        return z

    def probe(x):
        try:
            return f(x)
        except Exception as error:
            out = []
            tb = error.__traceback__
            while tb:
                frame = tb.tb_frame
                out.append((frame.f_code.co_name, tb.tb_lineno, tb.tb_lasti, frame.f_lasti, frame.f_lineno,
                            sorted((k, stable(repr(v))) for k, v in frame.f_locals.items() if k in "xyz")))
                tb = tb.tb_next
            return out
    for _ in range(HOT):
        shown = [probe(x) for x in (1, 5, 0, -1, "a")]
    return shown


@case
def stack_unwinding_through_builtins():
    def key(v):
        return 10 // v

    def f(values):
        return sorted(values, key=key), sum(map(key, values)), [*map(key, values)], dict(zip(values, map(key, values)))
    drive(f, ([1, 2],), [([1, 0],), ([0],), (["a"],), ([],)])
    return full(f, [2, 0])


@case
def system_exit_and_keyboard_interrupt():
    def f(kind):
        for i in range(5):
            if i == 3 and kind:
                raise kind(i)
        return "fine"

    def g(kind):
        try:
            return f(kind)
        except (SystemExit, KeyboardInterrupt) as error:
            return type(error).__name__, error.args
    return heat(g, None), heat(g, SystemExit), heat(g, KeyboardInterrupt)


@case
def assertion_error_columns():
    def f(x, y):
        assert x < y and x != 0, f"{x} {y}"
        return x
    heat(f, 1, 2)
    return [full(f, *args) for args in ((2, 1), (0, 1), ("a", 1))]


@case
def exception_in_default_del_and_weakref_is_unraisable():
    import sys
    seen = []

    class D:
        def __del__(self):
            raise RuntimeError("in del")

    def f(n):
        for _ in range(n):
            d = D()
            d = None  # noqa: F841
        return n
    old = sys.unraisablehook
    sys.unraisablehook = lambda info: seen.append((info.exc_type.__name__, str(info.exc_value)))
    try:
        heat(f, 2)
    finally:
        sys.unraisablehook = old
    return len(seen), set(seen)


@case
def errors_in_a_while_condition():
    def f(values):
        i = 0
        while values[i] < 10:
            i += 1
        return i
    drive(f, ([1, 20],), [([1, 2],), ([],), (["a"],), ([1, None],), (5,), ((1.5, 11),), ([2**70],)])


@case
def error_in_the_first_and_last_iteration():
    def f(n, at):
        out = []
        for i in range(n):
            out.append(1 // (i - at))
        return len(out)
    drive(f, (20, 99), [(20, 0), (20, 19), (20, 10), (0, 0), (300, 299)])


@case
def reraised_with_traceback_in_loop():
    def g(n):
        raise OSError(n)

    def f(n):
        last = None
        for i in range(n):
            try:
                g(i)
            except OSError as error:
                if last is not None:
                    error.__context__ = None
                last = error.with_traceback(error.__traceback__)
        if last:
            raise last
        return "none"
    return heat(outcome, f, 3), outcome(f, 0), outcome(f, 150), VERSION >= (3, 13)
