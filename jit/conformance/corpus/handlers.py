"""Exceptions that compiled code handles itself: `sys.exc_info`, contexts, tracebacks, unwinding through several frames, `with`."""

import sys
import traceback

from corpus_api import HOT, case, describe, drive, heat, outcome, stable


def shown(error):
    """The whole of what Python would print of an exception."""
    return stable("".join(traceback.format_exception(type(error), error, error.__traceback__)))


def handled():
    """What is being handled, by every name that it has."""
    kind, value, tb = sys.exc_info()
    assert sys.exception() is value and (kind is None or kind is type(value))
    return None if value is None else (kind.__name__, str(value), tb is not None)


@case
def exc_info_on_every_way():
    def inner(x):
        if x % 3 == 0:
            raise KeyError(x)
        return handled()

    def f(n):
        log = []
        for i in range(n):
            try:
                log.append(inner(i))
            except KeyError:
                log.append(handled())
                try:
                    inner(i)
                except KeyError as second:
                    log.append((handled(), second.__context__ is not None))
                log.append(handled())
            else:
                log.append(handled())
            finally:
                log.append(handled())
            log.append(handled())
        return log
    return heat(f, 7), f(3)


@case
def handlers_called_inside_a_handler():
    def f(n):
        log = []
        for i in range(n):
            try:
                1 // 0
            except ZeroDivisionError:
                log.append(g(i))
                log.append(handled()[0])
        return log

    def g(i):
        before = handled()
        try:
            [][i]
        except IndexError as error:
            return before[0], handled()[0], type(error.__context__).__name__
    heat(f, 4)
    return f(2)


@case
def contexts_causes_and_suppression():
    def f(i):
        try:
            try:
                raise ValueError(i)
            except ValueError as error:
                if i % 4 == 0:
                    raise
                if i % 4 == 1:
                    raise KeyError("new")
                if i % 4 == 2:
                    raise KeyError("from") from error
                raise KeyError("none") from None
        except Exception as error:
            return describe(error, 0), error.__suppress_context__, describe(error.__context__, 0) if error.__context__ else None
    for _ in range(HOT):
        result = [f(i) for i in range(4)]
    return result


@case
def what_can_be_raised():
    class Odd(BaseException):
        def __new__(cls, *args):
            return 42

    class Other(ValueError):
        def __new__(cls, *args):
            return KeyError("other")

    class Refuses(Exception):
        def __init__(self, *args):
            raise RuntimeError("in __init__")

    def f(kind, cause):
        try:
            if cause == 0:
                raise kind
            raise kind from cause
        except Exception as error:
            return describe(error, 0), repr(error.__cause__), repr(error.__context__), error.__suppress_context__
    kinds = [ValueError, ValueError("v"), Odd, Other, Refuses, 5, None, "text", int, object()]
    causes = [0, None, KeyError, KeyError("k"), Odd, Other, Refuses, 5, int]
    for _ in range(HOT // 10):
        result = [f(kind, cause) for kind in kinds for cause in causes]
    for line in result:
        print(stable(repr(line)))


@case
def bare_raise_without_an_exception():
    def f(x):
        if x:
            raise
        return 1

    def g(x):
        try:
            return f(x)
        except RuntimeError as error:
            return describe(error, 0)

    def h(x):
        try:
            raise KeyError(x)
        except KeyError:
            return f(x)
    heat(f, 0)
    drive(g, (0,), [(1,), (2,)])
    drive(h, (0,), [(1,), (0,)])


@case
def bare_raise_in_a_called_function():
    def again():
        raise

    def f(x):
        try:
            return 10 // x
        except ZeroDivisionError:
            again()

    def outer(x):
        try:
            return f(x)
        except ZeroDivisionError as error:
            return shown(error)
    heat(outer, 0)
    drive(outer, (0,), [(0,), (5,)])


@case
def tracebacks_of_rounds_are_not_mixed():
    def fail(i):
        if i % 2:
            raise ValueError(i)
        return i

    def f(n):
        kept = []
        for i in range(n):
            try:
                fail(i)
            except ValueError as error:
                kept.append(error)
        return kept
    errors = heat(f, 6)
    return [shown(error) for error in errors], [error.__traceback__.tb_frame.f_locals["i"] for error in errors]


@case
def an_exception_passes_many_frames():
    def bottom(x):
        return [10][x]

    def a(x):
        y = bottom(x) + 1
        return y

    def b(x):
        try:
            return a(x)
        finally:
            x += 1

    def c(x):
        try:
            return b(x)
        except KeyError:
            return -1

    def d(x):
        return (c(x),
                c(x + 1))

    def top(x):
        try:
            return d(x)
        except IndexError as error:
            frames = []
            tb = error.__traceback__
            while tb is not None:
                frames.append((tb.tb_frame.f_code.co_name, tb.tb_lineno, tb.tb_lasti, sorted(tb.tb_frame.f_locals.items(), key=str)))
                tb = tb.tb_next
            return stable(repr(frames)), shown(error)
    heat(top, 0)
    drive(top, (-1,), [(0,), (1,), (-1,)])


@case
def recursion_through_handlers():
    def dig(depth, log):
        if depth == 0:
            raise LookupError("bottom")
        try:
            return dig(depth - 1, log)
        except LookupError:
            log.append(depth)
            if depth % 5 == 0:
                raise
            raise LookupError(depth) from None

    def f(depth):
        log = []
        try:
            dig(depth, log)
        except LookupError as error:
            return log, describe(error, 0)
    for _ in range(HOT):
        result = f(12)
    return result


@case
def recursion_error_is_handled():
    def endless(n):
        return endless(n + 1) + 1

    def f():
        try:
            return endless(0)
        except RecursionError as error:
            count = 0
            tb = error.__traceback__
            while tb is not None:
                count += 1
                tb = tb.tb_next
            return count, str(error)
    limit = sys.getrecursionlimit()
    results = {f() for _ in range(HOT // 4)}
    return len(results), {count > limit // 2 for count, _ in results}, {text for _, text in results}


@case
def names_of_exceptions_are_deleted():
    def f(x):
        error = "before"
        try:
            10 // x
        except ZeroDivisionError as error:
            kept = error
            if x == 0.0 and type(x) is float:
                del error
        try:
            return error
        except UnboundLocalError as second:
            return describe(second, 0), type(kept).__name__
    drive(f, (1,), [(0,), (0.0,), (2,)])


@case
def the_exception_goes_before_the_next_round():
    log = []

    class Watched(Exception):
        def __del__(self):
            log.append(("gone", self.args[0], handled()))

    def f(n):
        for i in range(n):
            try:
                raise Watched(i)
            except Watched as error:
                log.append(error.args)
            log.append("after")
    heat(f, 3)
    del log[:]
    f(3)
    return log


@case
def locals_live_as_long_as_the_traceback():
    log = []

    class Watched:
        def __init__(self, name):
            self.name = name

        def __del__(self):
            log.append(self.name)

    def inner(i):
        held = Watched(("inner", i))
        raise ValueError(held.name)

    def f(n):
        for i in range(n):
            try:
                local = Watched(("outer", i))
                inner(i)
            except ValueError as error:
                log.append("caught")
                kept = error if i == 1 else None
            log.append("left")
        return kept
    heat(f, 2)
    del log[:]
    kept = f(2)
    log.append(str(kept))
    del kept
    return log


@case
def operands_go_when_their_instruction_raises():
    log = []

    class Watched:
        def __init__(self, name):
            self.name = name

        def __del__(self):
            log.append(self.name)

        def __add__(self, other):
            raise ValueError("add")

    def f(n):
        for i in range(n):
            try:
                [Watched("a"), Watched("b") + Watched("c")]
            except ValueError:
                log.append(i)
        return n
    heat(f, 2)
    del log[:]
    f(2)
    return log


@case
def frames_that_outlive_their_call():
    kept = []

    def f(x, keep):
        value = x * 2
        try:
            raise ValueError(value)
        except ValueError as error:
            if keep:
                kept.append(error.__traceback__.tb_frame)
        value += 1
        return value
    heat(f, 3, False)
    f(4, True)
    f(5, True)
    shown_locals = [sorted(frame.f_locals.items()) for frame in kept]
    del kept[:]
    return shown_locals, f(6, False)


@case
def locals_written_while_an_exception_is_handled():
    def change(name, value):
        frame = sys._getframe(1)
        frame.f_locals[name] = value
        raise KeyError(name)

    def f(i, name):
        total = i
        try:
            change(name, 50)
        except KeyError as error:
            total += 1
            return total, error.args
        return -1
    heat(f, 3, "other")
    return f(3, "total"), f(4, "other"), f(5, "total")


class Manager:
    """A context manager that can fail on either end, and swallow."""

    def __init__(self, name, log, swallow=False, fail=None):
        self.name, self.log, self.swallow, self.fail = name, log, swallow, fail

    def __enter__(self):
        self.log.append(("enter", self.name, handled()))
        if self.fail == "enter":
            raise RuntimeError("enter " + self.name)
        return self.name

    def __exit__(self, kind, error, tb):
        self.log.append(("exit", self.name, None if kind is None else kind.__name__, str(error), tb is not None, handled()))
        if self.fail == "exit":
            raise RuntimeError("exit " + self.name)
        return self.swallow


@case
def exit_drops_the_traceback():
    class Dropping:
        def __enter__(self):
            return self

        def __exit__(self, kind, error, tb):
            error.with_traceback(None)
            fail(2)
            return (tb.tb_frame.f_code.co_name, tb.tb_lineno - tb.tb_frame.f_code.co_firstlineno, tb.tb_next) == ("f", 2, None)

    def fail(depth):
        try:
            if depth:
                fail(depth - 1)
            raise KeyError(depth)
        except KeyError as error:
            return error

    def f(x):
        with Dropping() as manager:
            raise ValueError(x, manager)

    def interpreted(x):
        exec("with Dropping():\n raise ValueError(x)", {"Dropping": Dropping, "x": x})

    heat(f, 1)
    for x in range(HOT * 2):
        f(x)
        outcome(interpreted, x)
    return outcome(f, 1), outcome(interpreted, 2)


@case
def with_statements():
    def f(swallow, fail, x):
        log = []
        try:
            with Manager("outer", log, swallow == "outer", fail) as outer, Manager("inner", log, swallow == "inner") as inner:
                log.append((outer, inner))
                if x == 1:
                    return log
                if x == 2:
                    raise KeyError(x)
                log.append(10 // x)
            log.append("after")
        except Exception as error:
            log.append(describe(error, 0))
        return log
    heat(f, None, None, 5)
    for _ in range(HOT // 2):
        result = [f(swallow, fail, x) for swallow in (None, "outer", "inner") for fail in (None, "enter", "exit") for x in (0, 1, 2, 3)]
    for line in result:
        print(line)


@case
def with_in_a_loop():
    def f(n):
        log = []
        for i in range(n):
            with Manager(str(i), log, swallow=i % 3 == 0):
                if i == 1:
                    continue
                if i == 4:
                    break
                if i % 3 == 0:
                    raise ValueError(i)
        else:
            log.append("else")
        return log
    heat(f, 3)
    return f(7), f(3)


@case
def what_is_no_context_manager():
    class OnlyEnter:
        def __enter__(self):
            return self

    class OnlyExit:
        def __exit__(self, *args):
            return None

    class Asynchronous:
        def __aenter__(self):
            return self

        def __aexit__(self, *args):
            return None

    class OnInstance:
        def __init__(self):
            self.__enter__ = lambda: 1
            self.__exit__ = lambda *args: None

    class Static:
        @staticmethod
        def __enter__():
            return "static"

        @staticmethod
        def __exit__(*args):
            return len(args) == 3

    def f(manager):
        with manager as entered:
            if entered == "static":
                raise KeyError("swallowed")
            return entered
        return "end"
    drive(f, (Static(),), [(OnlyEnter(),), (OnlyExit(),), (Asynchronous(),), (OnInstance(),), (5,), (None,), (OnlyEnter,), (Static,)])


@case
def exit_methods_that_answer_oddly():
    class Truth:
        def __init__(self, answer):
            self.answer = answer

        def __bool__(self):
            if self.answer is None:
                raise ValueError("no truth")
            return self.answer

    class M:
        def __init__(self, answer):
            self.answer = answer

        def __enter__(self):
            return self

        def __exit__(self, *args):
            return self.answer

    def f(answer):
        with M(answer):
            raise KeyError("inside")
        return "swallowed"
    drive(f, (True,), [(Truth(True),), (Truth(False),), (Truth(None),), (0,), ("",), ("x",), (None,), ([],)])


@case
def groups_and_except_star():
    source = """
def f(x):
    try:
        if x == 0:
            raise ExceptionGroup("g", [ValueError(1), KeyError(2), ExceptionGroup("h", [KeyError(3)])])
        if x == 1:
            raise KeyError("alone")
        return x
    except* KeyError as group:
        return_value = [str(e) for e in group.exceptions]
    except* OSError:
        return_value = "never"
    return return_value
"""
    space = {}
    exec(compile(source, "groups", "exec"), space)
    f = space["f"]
    for _ in range(HOT):
        for x in (2, 1):
            f(x)
        outcome(f, 0)
    return f(1), f(2), outcome(f, 0)


@case
def generators_raise_through_compiled_callers():
    def numbers(n):
        try:
            for i in range(n):
                if i == 3:
                    raise ValueError(i)
                yield i
        finally:
            log.append("closed")

    def f(n):
        total = 0
        it = numbers(n)
        try:
            for x in it:
                total += x
        except ValueError as error:
            total += 100
            log.append(describe(error, 0))
        try:
            next(it)
        except StopIteration as stop:
            log.append((stop.value, handled()[0]))
        return total
    log = []
    heat(f, 5)
    del log[:]
    return f(5), f(2), log


@case
def stop_iteration_by_hand():
    def f(values):
        total = 0
        it = iter(values)
        while True:
            try:
                total += next(it)
            except StopIteration:
                return total
            except TypeError:
                total += 1000
    heat(f, [1, 2, 3])
    return f([4, "a", 5]), f([])


@case
def loops_and_numbers_around_handlers():
    def f(n):
        total, last, ratio = 0, None, 0.5
        for i in range(n):
            try:
                ratio = ratio * 1.5 + i
                total += 100 // (i % 4)
                last = ratio
            except ZeroDivisionError:
                total -= i
                ratio = 0.25
            else:
                total += 1
        return total, last, ratio
    return heat(f, 40), f(5)


@case
def overflow_inside_a_handler():
    def f(n, start):
        total = start
        for i in range(n):
            try:
                if i % 2:
                    raise KeyError(i)
                total += i
            except KeyError as error:
                total = total * 3 + error.args[0]
        return total
    heat(f, 20, 1)
    return f(20, 2**62), f(90, 1), f(6, 1.5)


@case
def handlers_with_changing_classes():
    kind = ValueError

    def f(x):
        try:
            raise x
        except kind as error:
            return type(error).__name__
        except Exception as error:
            return "other", type(error).__name__
    first = heat(f, ValueError), heat(f, KeyError)
    kind = (KeyError, OSError)
    return first, heat(f, ValueError), heat(f, KeyError), outcome(f, OSError(2, "x"))


@case
def assertions():
    def f(x):
        try:
            assert x > 3, ("small", x)
            assert x
            return x
        except AssertionError as error:
            return describe(error, 0)
    heat(f, 2)
    drive(f, (5,), [(1,), (4,), (0,)])


@case
def system_exit_and_keyboard_interrupt():
    def f(kind):
        try:
            try:
                raise kind
            except Exception:
                return "exception"
            finally:
                log.append("finally")
        except KeyboardInterrupt:
            return "interrupt"
        except SystemExit as error:
            return "exit", error.code
    log = []
    heat(f, KeyboardInterrupt)
    heat(f, SystemExit(3))
    del log[:]
    return f(KeyboardInterrupt), f(SystemExit(5)), f(ValueError), log


@case
def a_signal_inside_of_try():
    import signal

    def on_signal(number, frame):
        raise TimeoutError("now")

    def f(n, fire):
        rounds = 0
        try:
            for i in range(n):
                rounds += 1
                if i == 5 and fire:
                    signal.raise_signal(signal.SIGUSR1)
            return "end", rounds
        except TimeoutError as error:
            return str(error), rounds <= n, handled()[0]
        finally:
            rounds = -1
    old = signal.signal(signal.SIGUSR1, on_signal)
    try:
        heat(f, 10, False)
        return heat(f, 10, True), f(10, False)
    finally:
        signal.signal(signal.SIGUSR1, old)


@case
def events_of_exceptions_turned_on_by_a_callee():
    monitoring = sys.monitoring
    tool = monitoring.DEBUGGER_ID
    names = ["RAISE", "RERAISE", "EXCEPTION_HANDLED", "PY_UNWIND"]
    seen = []

    def callback(name):
        return lambda code, offset, error: seen.append((name, code.co_name, offset, str(error))) if code.co_filename == __file__ else None

    def turn_on(on):
        if on:
            monitoring.set_events(tool, sum(getattr(monitoring.events, name) for name in names))
        raise KeyError("from callee")

    def middle(on):
        return turn_on(on)

    def f(on):
        try:
            middle(on)
        except KeyError:
            result = "handled"
        monitoring.set_events(tool, 0)
        return result
    monitoring.use_tool_id(tool, "conformance")
    try:
        for name in names:
            monitoring.register_callback(tool, getattr(monitoring.events, name), callback(name))
        for _ in range(HOT):
            f(False)
        assert seen == []
        result = f(True)
    finally:
        monitoring.set_events(tool, 0)
        for name in names:
            monitoring.register_callback(tool, getattr(monitoring.events, name), None)
        monitoring.free_tool_id(tool)
    # The interpreter tells another unit of the same instruction where it has inlined the call.
    return result, [(name, where, error) for name, where, offset, error in seen if where != "turn_on"]


@case
def tracing_turned_on_by_a_callee_that_raises():
    events = []

    def tracer(frame, event, arg):
        events.append((event, frame.f_code.co_name, frame.f_lineno, type(arg).__name__))
        return tracer

    def turn_on(on):
        if on:
            frame = sys._getframe(1)
            while frame is not None and frame.f_code.co_filename == __file__:
                frame.f_trace = tracer
                frame = frame.f_back
            sys.settrace(tracer)
        raise KeyError("from callee")

    def f(on):
        log = []
        for i in range(4):
            try:
                turn_on(on and i == 2)
            except KeyError as error:
                log.append(i)
            finally:
                log.append("finally")
        sys.settrace(None)
        return log
    old = sys.gettrace()
    try:
        heat(f, False)
        result = f(True)
    finally:
        sys.settrace(old)
    return result, events


@case
def a_handler_that_changes_a_local_goes_on_with_a_loop_around_the_entered_one():
    # Entered at the inner loop, the middle one is also reached by its handler: a loop with two ways in.
    def fill(steps, size):
        table, rest = bytearray(size), []
        for kind, number in steps:
            while True:
                try:
                    if kind == 1:
                        table[number] = 1
                    elif kind == 2:
                        for i in range(number):
                            table[i] = 2
                    else:
                        rest.append(number)
                except IndexError:
                    if len(table) == size:
                        table += b"\0" * 100
                        continue
                    rest.append(-number)
                break
        return bytes(table), rest

    calls = []
    for seed in range(HOT):
        steps = [((seed * k + k // 3) % 3 + 1, (seed * 7 + k * k * 5) % (130 if k % 4 == 0 else 9)) for k in range(1, 20)]
        calls.append(outcome(fill, steps, 10))
    return calls
