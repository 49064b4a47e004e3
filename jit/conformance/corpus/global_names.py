"""Globals and builtins: mutated, deleted, shadowed and retyped after the code that reads them is hot."""

import builtins
import types

from corpus_api import HOT, case, drive, heat, outcome

COUNTER = 0
FACTOR = 3
HELPER = None
TABLE = {"a": 1}


def restoring(**names):
    """Sets globals of this module and returns a function that puts the old ones back."""
    old = {name: globals()[name] for name in names}
    globals().update(names)
    return lambda: globals().update(old)


def scaled(x):
    return x * FACTOR


@case
def global_changes_value():
    restore = restoring(FACTOR=3)
    out = [heat(scaled, 5)]
    for value in (4, 5.5, "ab", 2**70, None, True, 3):
        globals()["FACTOR"] = value
        out.append(outcome(scaled, 5))
        out.append(outcome(heat, scaled, 2))
    restore()
    return out


@case
def global_changes_inside_the_loop():
    restore = restoring(FACTOR=1)

    def f(n):
        global FACTOR
        total = 0
        for i in range(n):
            total += FACTOR
            if i % 10 == 9:
                FACTOR += 1
            if i == 95:
                FACTOR = 0.5
        return total
    out = [f(20) for _ in range(HOT)][-1], f(100), FACTOR, outcome(f, 5)
    restore()
    return out


@case
def global_counter():
    restore = restoring(COUNTER=0)

    def bump(step):
        global COUNTER
        COUNTER += step
        return COUNTER
    heat(bump, 1)
    out = [COUNTER, bump(2**62), bump(2**62), bump(0.5), outcome(bump, "a"), COUNTER]
    restore()
    return out


@case
def global_deleted():
    globals()["TEMPORARY"] = 5

    def f():
        return TEMPORARY + 1  # noqa: F821
    out = [heat(f)]
    del globals()["TEMPORARY"]
    out.append(outcome(f))
    out.append(outcome(heat, f))
    globals()["TEMPORARY"] = 6
    out.append(heat(f))
    del globals()["TEMPORARY"]
    return out


@case
def global_deleted_by_statement():
    def make():
        global FLEETING
        FLEETING = 1
        x = FLEETING
        del FLEETING
        return x

    def twice():
        global FLEETING
        del FLEETING
    return heat(make), outcome(twice), outcome(lambda: FLEETING)  # noqa: F821


@case
def builtin_shadowed_by_global():
    def f(x):
        return len(x)
    out = [heat(f, [1, 2])]
    globals()["len"] = lambda x: "shadowed"
    out += [f([1]), heat(f, [1])]
    del globals()["len"]
    out += [f([1]), heat(f, [1, 2, 3])]
    return out


@case
def builtin_replaced():
    def f(x):
        return abs(x) + min(x, 3)
    out = [heat(f, -5)]
    original = builtins.abs
    builtins.abs = lambda x: 1000
    try:
        out += [f(-5), heat(f, -5)]
    finally:
        builtins.abs = original
    out.append(f(-5))
    return out


@case
def builtin_added_and_deleted():
    def f():
        return conformance_builtin  # noqa: F821
    out = [outcome(f)]
    builtins.conformance_builtin = 1
    out.append(heat(f))
    builtins.conformance_builtin = 2
    out.append(heat(f))
    del builtins.conformance_builtin
    out += [outcome(f), outcome(heat, f)]
    return out


@case
def builtin_deleted_and_restored():
    def f(x):
        return isinstance(x, int)
    out = [heat(f, 1)]
    original = builtins.isinstance
    del builtins.isinstance
    try:
        failed = None
        try:
            f(1)
        except NameError as error:
            failed = error
    finally:
        builtins.isinstance = original
    out += [type(failed).__name__, str(failed), f(1), f("a")]
    return out


@case
def global_becomes_another_function():
    restore = restoring(HELPER=lambda x: x + 1)

    def f(n):
        total = 0
        for i in range(n):
            total += HELPER(i)
        return total
    out = [heat(f, 10)]
    for helper in (lambda x: x * 2, abs, int, float, lambda x: x / 2, lambda: 0, 5, None, str):
        globals()["HELPER"] = helper
        out.append(outcome(f, 4))
    restore()
    return out


@case
def callee_replaces_itself():
    restore = restoring(HELPER=None)

    def second(x):
        return -x

    def first(x):
        if x == 150:
            globals()["HELPER"] = second
        return x

    globals()["HELPER"] = first

    def f(n):
        total = []
        for i in range(n):
            total.append(HELPER(i))
        return total[145:155]
    out = f(160), f(160)[:3], heat(f, 20)
    restore()
    return out


@case
def globals_of_another_namespace():
    source = "def f(x):\n    return x + OFFSET\ndef g(n):\n    return sum(f(i) for i in range(n))\n"
    spaces = []
    for offset in (1, 2.5, "x"):
        space = {"OFFSET": offset}
        exec(source, space)
        spaces.append(space)
    out = []
    for space in spaces * 3:
        for _ in range(HOT):
            last = outcome(space["g"], 5)
        out.append(last)
    return out


@case
def same_code_with_other_globals():
    def f(x):
        return x + KEY  # noqa: F821
    functions = [types.FunctionType(f.__code__, {"KEY": k, "__builtins__": builtins}) for k in (1, 10, 1.5, "s")]
    out = []
    for function in functions:
        out.append(outcome(heat, function, 2))
    for _ in range(HOT):
        mixed = [outcome(function, 1) for function in functions]
    return out, mixed


@case
def custom_builtins():
    def f(x):
        return len(x)
    space = {"__builtins__": {"len": lambda x: "mine"}}
    g = types.FunctionType(f.__code__, space)
    out = [heat(f, [1]), heat(g, [1]), f([1])]
    space["__builtins__"]["len"] = lambda x: "changed"
    out += [g([1]), heat(g, [1])]
    del space["__builtins__"]["len"]
    failed = None
    try:
        g([1])
    except NameError as error:
        failed = str(error)
    return out, failed


@case
def globals_dict_with_many_changes():
    restore = restoring(TABLE={"a": 1})

    def f(key):
        return TABLE[key] + len(TABLE)
    out = [heat(f, "a")]
    for i in range(200):
        globals()[f"NEW_{i}"] = i
    out.append(f("a"))
    TABLE["a"] = 1.5
    out.append(f("a"))
    globals()["TABLE"] = {"a": 7, "b": 8}
    out.append(heat(f, "b"))
    for i in range(200):
        del globals()[f"NEW_{i}"]
    out += [f("a"), outcome(f, "c")]
    restore()
    return out


@case
def module_attribute_changes():
    module = types.ModuleType("scratch")
    module.value = 1
    module.function = lambda x: x + 1

    def f():
        return module.function(module.value)
    out = [heat(f)]
    module.value = 2.5
    out.append(f())
    module.function = str
    out.append(heat(f))
    del module.value
    out.append(outcome(f))
    module.__getattr__ = lambda name: f"dynamic {name}"
    out.append(outcome(f))
    module.__dict__.clear()
    out.append(outcome(f))
    return out


@case
def module_type_changes():
    module = types.ModuleType("scratch")
    module.value = 1

    class Loud(types.ModuleType):
        # A property would do, but from 3.14 on the interpreter's own specialised instruction doesn't notice one.
        def __getattribute__(self, name):
            return "loud" if name == "value" else super().__getattribute__(name)

    def f():
        return module.value
    out = [heat(f)]
    module.__class__ = Loud
    out += [f(), heat(f)]
    module.__class__ = types.ModuleType
    out.append(heat(f))
    return out


@case
def store_global_in_loop_seen_by_callee():
    restore = restoring(COUNTER=0)

    def reader():
        return COUNTER

    def f(n):
        global COUNTER
        seen = []
        for i in range(n):
            COUNTER = i * 1.5 if i % 2 else i
            seen.append(reader())
        return seen
    out = f(100)[-4:], heat(f, 5)
    restore()
    return out


@case
def name_error_suggestions():
    def f(x):
        if x:
            return COUNTR  # noqa: F821
        return 0
    drive(f, (0,), [(1,)])


@case
def import_inside_a_hot_function():
    def f(x):
        import math
        from collections import deque
        return math.floor(x), len(deque([x]))

    def g():
        from math import no_such_name  # noqa: F401
    drive(f, (1.5,), [(2,), ("a",)])
    return [outcome(g) for _ in range(HOT)][-1]


@case
def class_body_reads_globals():
    restore = restoring(FACTOR=3)

    def make(k):
        class Made:
            value = FACTOR * k
            other = [i for i in range(k)]

            def get(self):
                return self.value
        return Made
    out = [make(i % 4)().get() for i in range(HOT)][-4:]
    globals()["FACTOR"] = 1.5
    out.append(make(2)().get())
    out.append(make.__qualname__)
    out.append(make(1).__qualname__)
    restore()
    return out


GADGET = types.ModuleType("gadget")
GADGET.size = 4


class Measured(types.ModuleType):
    """A module whose attributes are computed."""

    @property
    def size(self):
        return 40

    def __getattribute__(self, name):
        return 7 if name == "extra" else super().__getattribute__(name)


def gadget_size(x):
    return x + GADGET.size


@case
def module_in_a_global_gets_a_class():
    out = [heat(gadget_size, 1)]
    GADGET.__class__ = Measured
    out += [outcome(gadget_size, 1), heat(gadget_size, 2)]
    GADGET.__class__ = types.ModuleType
    out += [outcome(gadget_size, 1), heat(gadget_size, 3)]

    def change(n, at):
        seen = []
        for i in range(n):
            if i == at:
                object.__setattr__(GADGET, "__class__", Measured)
            seen.append(GADGET.size)
        return sum(seen), seen[-1]

    out += [change(500, -1), change(500, 450), outcome(change, 3, 1)]
    GADGET.__class__ = types.ModuleType
    return out, outcome(setattr, GADGET, "__class__", int), outcome(gadget_size, 1)


counter = 0


@case
def counter_that_everybody_sets():
    """A name that changes all the time, while the module's dict gets other keys, and the name goes and comes back."""
    global counter

    def count(n):
        global counter
        for i in range(n):
            counter += i
        return counter

    def look():
        return counter

    counter = 0
    for _ in range(HOT):
        count(3)
        look()
    print(counter, look())
    globals()["new_name_in_between"] = 1
    print(count(5) - count(0), look() == counter)
    del globals()["new_name_in_between"]
    for value in (1.5, True, 2**80, "text", [1]):
        counter = value
        print(outcome(count, 2), stable_type(counter))
    del counter
    print(outcome(count, 2), outcome(look))
    globals()["counter"] = 5
    print(outcome(count, 3), outcome(look))
    counter = 0


def stable_type(value):
    return type(value).__name__


@case
def finaliser_of_what_a_global_held():
    """Who goes when a global is set sees the new value, and may set it again."""
    global counter
    seen = []

    class Loud:
        def __init__(self, again):
            self.again = again

        def __del__(self):
            global counter
            seen.append(type(counter).__name__)
            if self.again:
                counter = "set by the finaliser"

    def fill(value):
        global counter
        counter = value
        return counter
    for _ in range(HOT):
        fill(1)
    print(type(fill(Loud(False))).__name__, type(fill(2)).__name__, seen)
    print(type(fill(Loud(True))).__name__, fill(3), counter, seen)
    counter = 0


@case
def global_relied_on_again_after_it_changed():
    """What one function relies on another one changes, again and again, with the same objects."""
    global counter

    def use():
        return counter + 1

    def other():
        return counter * 2

    def set_to(value):
        global counter
        counter = value
    shown = []
    for value in (1, 2, 1, 300, 300, 1, "x", 1):
        set_to(value)
        for _ in range(HOT):
            outcome(use)
        shown.append((outcome(use), outcome(other)))
        set_to(value)
    print(shown)
    namespace = {"limit": 1}
    exec("def below(n):\n    return n < limit\ndef change(n):\n    global limit\n    limit = n\n", namespace)
    for value in range(6):
        namespace["change"](value)
        print([heat(namespace["below"], n) for n in (1, 3, 5)], end=" ")
    print(outcome(namespace["change"], None), outcome(namespace["below"], 2))
    set_to(0)
