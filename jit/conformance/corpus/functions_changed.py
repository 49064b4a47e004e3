"""Function objects whose code, defaults or attributes change after they are hot, and after their callers are."""

import types

from corpus_api import HOT, case, heat, outcome


@case
def code_replaced():
    def f(x):
        return x + 1

    def g(x):
        return x * 100

    def caller(x):
        return f(x) + f(x)
    out = [heat(f, 5), heat(caller, 5)]
    f.__code__ = g.__code__
    out += [f(5), caller(5), heat(f, 5), heat(caller, 5)]
    return out


@case
def code_replaced_with_other_signature():
    def f(x):
        return x

    def g(x, y=5):
        return x, y

    def caller(x):
        return f(x)
    heat(caller, 1)
    f.__code__ = g.__code__
    out = [outcome(caller, 1)]
    f.__defaults__ = (7,)
    out += [outcome(caller, 1), heat(caller, 2)]
    f.__code__ = (lambda: "none").__code__
    out.append(outcome(caller, 1))
    out.append(outcome(setattr, f, "__code__", 5))
    return out


@case
def code_replaced_while_running():
    space = {}
    exec("def second(n):\n    return 'second'\n"
         "def f(n):\n    total = 0\n    for i in range(n):\n        total += i\n        if i == 150:\n"
         "            f.__code__ = second.__code__\n    return total\n", space)
    f = space["f"]
    original = f.__code__
    out = []
    for n in (10, 200, 10):
        out.append(f(n))
    f.__code__ = original
    out.append(heat(f, 20))
    return out


@case
def defaults_replaced():
    def f(a, b=1, *, c=2):
        return a, b, c

    def caller():
        return f(0), f(0, c=5)
    out = [heat(caller)]
    f.__defaults__ = (10,)
    out.append(heat(caller))
    f.__kwdefaults__ = {"c": 20}
    out.append(heat(caller))
    f.__kwdefaults__["c"] = 30
    out.append(heat(caller))
    f.__defaults__ = None
    out.append(outcome(caller))
    f.__defaults__ = (1, 2)
    out.append(outcome(f))
    f.__kwdefaults__ = None
    out.append(outcome(caller))
    return out


@case
def defaults_replaced_inside_the_loop():
    def g(x, k=1):
        return x * k

    def f(n):
        t = 0
        for i in range(n):
            t += g(i)
            if i == 100:
                g.__defaults__ = (0.5,)
        return t
    out = []
    for _ in range(4):
        g.__defaults__ = (1,)
        out.append((f(50), f(150)))
    return out


@case
def function_copied():
    def f(x, k=2):
        return x * k + len(f.__name__)
    heat(f, 3)
    g = types.FunctionType(f.__code__, f.__globals__, "copy", (5,), f.__closure__)
    f.__name__ = "a longer name"
    return f(3), g(3), heat(g, 3), g.__name__, outcome(g, "a")


@case
def function_attributes():
    def f(x):
        f.calls += 1
        return f.calls + x
    f.calls = 0
    out = [heat(f, 0)]
    f.calls = 0.5
    out.append(f(1))
    del f.calls
    out.append(outcome(f, 1))
    f.__dict__ = {"calls": 10}
    out.append(f(0))
    return out


@case
def method_code_replaced():
    class A:
        def m(self):
            return "old"

        def __init__(self, x=1):
            self.x = x

    def caller():
        a = A()
        return a.m(), a.x
    out = [heat(caller)]
    A.m.__code__ = (lambda self: "new").__code__
    out.append(heat(caller))
    A.__init__.__defaults__ = (5,)
    out.append(heat(caller))

    def init(self, x=1):
        self.x = -x
    A.__init__.__code__ = init.__code__
    out.append(heat(caller))
    return out


@case
def many_functions_from_one_code():
    def make(k):
        def f(x, y=k):
            return x + y + k
        return f
    functions = [make(k) for k in (1, 0.5, 2**40, 3)]
    out = []
    for _ in range(HOT):
        out = [f(2) for f in functions]
    functions[0].__code__ = functions[0].__code__.replace(co_name="renamed")
    return out, [f(2) for f in functions], outcome(functions[0], "a"), outcome(make("s"), 1)


@case
def function_dies_while_running():
    def make():
        def f(n, remove):
            remove()
            t = 0
            for i in range(n):
                t += i
            return t
        return f
    holder = []
    for _ in range(HOT):
        holder.append(make())
        result = holder[0](200, holder.clear)
    return result, holder


@case
def functions_created_in_hot_loops():
    def f(n):
        total = 0
        for i in range(n):
            def g(x, i=i):
                return x + i
            total += g(1) + (lambda y: y * i)(2)
        return total
    return f(200), heat(f, 10), f(0)


@case
def code_constants_and_renamed_code():
    def f(x):
        return x + 1000
    heat(f, 1)
    code = f.__code__
    f.__code__ = code.replace(co_consts=tuple(2000 if c == 1000 else c for c in code.co_consts))
    out = [f(1), heat(f, 1)]
    f.__code__ = code
    return out, f(1)


@case
def exec_same_source_many_times():
    out = []
    for k in range(12):
        space = {"k": k if k % 3 else k / 2}
        exec("def f(n):\n    t = 0\n    for i in range(n):\n        t += i * k\n    return t", space)
        out.append(heat(space["f"], 6))
    return out


@case
def eval_of_compiled_expression():
    code = compile("x * 2 + y", "expression", "eval")
    out = []
    for i in range(HOT):
        out.append(eval(code, {"x": i, "y": i / 2 if i % 7 == 6 else i}))
    return out[-8:], outcome(eval, code, {"x": "a", "y": 1}), outcome(eval, code, {})


@case
def builtin_function_type_changes():
    functions = [len, sorted, lambda v: v, list, str, sum]

    def f(values):
        return [function(values) for function in functions]
    out = [heat(f, [2, 1])]
    functions[0] = functions[-1]
    out.append(f([2, 1]))
    return out, outcome(f, "ab"), outcome(f, 5)
