"""Locals: unbound, deleted, many, swapped, and shown by locals()."""

from corpus_api import HOT, case, drive, heat, outcome


@case
def unbound_on_one_path():
    def f(flag):
        if flag:
            x = 1
        return x + 1
    drive(f, (True,), [(False,), (0,), (1,), (None,)])


@case
def unbound_after_empty_loop():
    def f(values):
        for v in values:
            last = v
        return last
    drive(f, ([1],), [([],), ((),), ("",), ("ab",)])


@case
def deleted_local():
    def f(x, again):
        y = x + 1
        del y
        if again:
            del y
        return x, y
    for _ in range(HOT):
        shown = outcome(f, 1, False), outcome(f, 1, True)
    return shown


@case
def deleted_and_rebound():
    def f(n):
        out = []
        for i in range(n):
            x = i
            if i % 3 == 0:
                del x
                x = -i
            out.append(x)
            del x
        return out
    return heat(f, 10), f(0), outcome(lambda: f("a"))


@case
def deleted_parameter():
    def f(a, b):
        del a
        if b:
            return b
        return a
    drive(f, (1, 2), [(1, 0), (1, ""), (None, "x")])


@case
def delete_in_a_loop_then_read():
    def f(n, at):
        x = 0
        for i in range(n):
            x += 1
            if i == at:
                del x
        return x
    drive(f, (10, 99), [(10, 3), (10, 9), (0, 0), (1, 0)])


@case
def swap_and_rotate():
    def f(a, b, c, n):
        for _ in range(n):
            a, b, c = b, c, a
            a, b = b, a
        return a, b, c
    drive(f, (1, 2, 3, 5), [(1, 2.5, "x", 4), (None, [], {}, 7), (2**70, 1, 0.5, 3)])


@case
def many_locals():
    names = [f"v{i}" for i in range(200)]
    source = ["def f(x):"] + [f"    {n} = x + {i}" for i, n in enumerate(names)]
    source += ["    for i in range(5):"] + [f"        {n} += i" for n in names[::3]]
    source += ["    return " + " + ".join(names)]
    namespace = {}
    exec("\n".join(source), namespace)
    drive(namespace["f"], (1,), [(2**62,), (1.5,), ("a",), (True,)])


@case
def locals_builtin():
    def f(a, b):
        c = a + b
        first = dict(locals())
        d = c * 2
        if b > 5:
            del c
        e = [k for k in sorted(locals())]
        return first, e, d
    drive(f, (1, 2), [(1, 9), (1.5, 2), (2**70, 6), ("a", 1)])


@case
def locals_snapshot_independent():
    def f(a):
        snapshot = locals()
        snapshot["a"] = "changed"
        a = a + 1
        return a, snapshot["a"], locals()["a"]
    drive(f, (1,), [(2.5,), (2**64,)])


@case
def locals_in_comprehension_and_loop():
    def f(n):
        seen = []
        for i in range(n):
            x = i * 2
            seen.append(tuple(sorted((k, v) for k, v in locals().items() if k in ("i", "x"))))
        return seen[-1]
    return heat(f, 12), f(1), outcome(f, 0)


@case
def exec_and_eval_with_locals():
    def f(a, b):
        value = eval("a * b + a")
        exec("a = 100")
        return value, a, eval("a + extra", {"a": 5, "extra": b})
    drive(f, (2, 3), [(1.5, 2), ("x", 2), ("x", "y"), (2**70, 2)])


@case
def unbound_error_names_the_variable():
    def f(k):
        if k == 1:
            return alpha  # noqa: F821
        if k == 2:
            beta += 1  # noqa: F821, F841
        if k == 3:
            del gamma  # noqa: F821
        if k > 3:
            alpha = beta = gamma = 0
            return alpha, beta, gamma
        return k
    drive(f, (0,), [(1,), (2,), (3,), (4,)])


@case
def exception_variable_is_unbound_afterwards():
    def f(x):
        e = "before"
        try:
            1 // x
        except ZeroDivisionError as e:
            saved = str(e)
        return e
    drive(f, (1,), [(0,), (2,), (0.0,)])


@case
def with_target_and_for_target_are_locals():
    class Manager:
        def __enter__(self):
            return 7

        def __exit__(self, *exc):
            return True

    def f(fail):
        with Manager() as value:
            if fail:
                raise ValueError
            done = True
        return value, done
    for _ in range(HOT):
        shown = outcome(f, False), outcome(f, True)
    return shown


@case
def augmented_assignment_to_unbound():
    def f(n):
        for i in range(n):
            total += i  # noqa: F821, F841
        return "no iterations"
    drive(f, (0,), [(1,), (3,)])


@case
def parameters_overwritten():
    def f(a, b=2, *args, c=4, **kw):
        a, b = b, a
        args += (c,)
        kw["b"] = b
        c = a
        return a, b, args, c, kw
    drive(f, (1,), [(1, 2.5), (1, 2, 3, 4), ()])
    return [f(i, c=i, z=i) for i in range(HOT)][-1]
