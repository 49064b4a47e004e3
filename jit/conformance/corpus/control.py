"""Control flow: while, for, else, break, continue, nesting, match, and loops entered while they run."""

from corpus_api import HOT, case, drive, heat, outcome


@case
def while_else():
    def find(values, x):
        i = 0
        while i < len(values):
            if values[i] == x:
                break
            i += 1
        else:
            return "absent"
        return i
    drive(find, ([1, 2, 3], 2), [([1, 2, 3], 9), ([], 1), ([5], 5), ((1, 2), 2), ("abc", "c")])


@case
def for_else():
    def prime(n):
        for d in range(2, n):
            if d * d > n:
                continue
            if n % d == 0:
                break
        else:
            return True
        return False
    return [n for n in range(2, 150) if prime(n)]


@case
def continue_and_break_nested():
    def walk(n):
        seen = []
        for i in range(n):
            if i % 3 == 0:
                continue
            for j in range(n):
                if j == i:
                    break
                if j % 2:
                    continue
                seen.append((i, j))
            else:
                seen.append("else")
            if len(seen) > 40:
                break
        return len(seen), seen[-1:]
    return [walk(n) for n in range(40)]


@case
def while_true():
    def count(limit):
        n = 0
        while True:
            n += 1
            if n & 1:
                continue
            if n > limit:
                break
        return n
    return [count(n) for n in range(100)]


@case
def loop_with_no_iterations():
    def f(n):
        x = "before"
        for x in range(n):
            pass
        return x
    drive(f, (3,), [(0,), (-1,), (1,), (2**70,)][:3])


@case
def loop_variable_survives():
    def f(values):
        for v in values:
            w = v
        return v, w
    drive(f, ([1, 2],), [([],), ("ab",), ((None,),)])


@case
def nested_while():
    def sieve(n):
        flags = [True] * (n + 1)
        i = 2
        while i * i <= n:
            if flags[i]:
                j = i * i
                while j <= n:
                    flags[j] = False
                    j += i
            i += 1
        return [k for k in range(2, n + 1) if flags[k]]
    return sieve(1), sieve(2), sieve(400), len(heat(sieve, 100))


@case
def loop_entered_while_running():
    total = 0
    for i in range(3000):
        total += i * (i & 7)
        if i == 2000:
            total = float(total)
    return total


@case
def while_entered_while_running():
    i = 0
    text = ""
    while i < 2500:
        if i % 500 == 0:
            text += str(i)
        i += 1
    return text, i


@case
def nested_loops_entered_while_running():
    rows = []
    for i in range(40):
        row = []
        for j in range(40):
            row.append(i * j if j % 7 else -j)
        rows.append(sum(row))
    return rows


@case
def loop_entered_with_values_on_the_stack():
    result = [10, *[x * 2 for x in range(100)], sum([y for y in range(300) if y % 3]), (lambda n: [n] * 2)(5)]
    nested = [[i * j for j in range(20) if j != i] for i in range(30)]
    return result[-3:], nested[29], len(result)


@case
def loop_changes_type_late():
    def f(n):
        x = 1
        for i in range(n):
            if i < 200:
                x = x + 1
            elif i == 200:
                x = str(x)
            else:
                x = x + "!"
        return x
    return f(100), f(250), f(205), heat(f, 10)


@case
def match_literals():
    def f(x):
        match x:
            case 0:
                return "zero"
            case 1 | 2 | 3:
                return "few"
            case -1:
                return "minus"
            case "a":
                return "letter"
            case None:
                return "none"
            case True:
                return "never"
            case 2.5:
                return "float"
            case _:
                return "other"
    drive(f, (1,), [(v,) for v in (0, 2, 3, -1, "a", None, True, False, 2.5, 9, "b", [], 0.0, 2**70)])


@case
def match_sequences():
    def f(x):
        match x:
            case []:
                return "empty"
            case [a]:
                return "one", a
            case [1, b]:
                return "starts with one", b
            case (a, b) if a == b:
                return "same", a
            case [a, *rest, b]:
                return "ends", a, rest, b
        return "no sequence"
    drive(f, ([1, 2],), [([],), ([5],), ((3, 3),), ((3, 4),), ([1, 2, 3, 4],), ("ab",), ({1: 2},), (range(3),), (b"ab",), (None,)])


@case
def match_mappings():
    def f(x):
        match x:
            case {"kind": "point", "x": x0, "y": y0}:
                return x0 + y0
            case {"kind": kind, **rest}:
                return kind, sorted(rest)
            case {}:
                return "a mapping"
        return "nothing"
    drive(f, ({"kind": "point", "x": 1, "y": 2},), [({"kind": "line", "a": 1},), ({},), ({"x": 1},), ([],),
                                                    ({"kind": "point", "x": 1},), ({"kind": "point", "x": 1, "y": "a"},)])


@case
def match_classes():
    class Point:
        __match_args__ = ("x", "y")

        def __init__(self, x, y):
            self.x = x
            self.y = y

        def __repr__(self):
            return f"Point({self.x}, {self.y})"

    class Other:
        __match_args__ = ("missing",)

        def __repr__(self):
            return "Other"

    def f(p):
        match p:
            case Point(0, 0):
                return "origin"
            case Point(x=0, y=y):
                return "on y", y
            case Point(x, y) if x == y:
                return "diagonal"
            case Point():
                return "point"
            case int(n):
                return "int", n
            case str() as s:
                return "str", s
            case Other(_):
                return "other"
        return None
    drive(f, (Point(1, 2),), [(Point(0, 0),), (Point(0, 5),), (Point(3, 3),), (5,), (True,), ("a",), (Other(),), (2.5,)])


@case
def match_class_errors():
    class Two:
        __match_args__ = ("a",)
        a = 1

        def __repr__(self):
            return "Two"

    class Bad:
        __match_args__ = ["a"]
        a = 1

        def __repr__(self):
            return "Bad"

    def f(p):
        match p:
            case Two(a, b):
                return a, b
            case Bad(a):
                return a
        return "none"
    drive(f, (1,), [(Two(),), (Bad(),)])


@case
def match_evaluation_order():
    class Noisy:
        def __init__(self, log):
            self.log = log

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            self.log.append(name)
            return name

    def f(x):
        match x:
            case Noisy(a="b"):
                return 1
            case Noisy(c="c", d="x"):
                return 2
            case Noisy(e="e"):
                return 3
    logs = []
    for _ in range(HOT):
        log = []
        result = f(Noisy(log))
        logs.append((result, tuple(log)))
    return logs[0], len(set(logs))


@case
def switch_machine():
    def machine(program):
        pc = acc = steps = 0
        while pc < len(program):
            op, arg = program[pc]
            steps += 1
            if steps > 500:
                return "too long", acc
            if op == "add":
                acc += arg
            elif op == "jump" and acc < arg:
                pc = 0
                continue
            elif op == "neg":
                acc = -acc
            elif op == "halt":
                break
            pc += 1
        return acc, steps
    drive(machine, ([("add", 1), ("jump", 10)],), [([("add", 0), ("jump", 1)],), ([("neg", 0)],), ([],), ([("add", 2.5), ("halt", 0)],),
                                                   ([("add", "x")],), ([("add", 1, 2)],)])


@case
def early_returns():
    def f(x):
        for i in range(10):
            if i == x:
                return i
            try:
                if i == x - 10:
                    return "in try"
            finally:
                if x == 99:
                    x = 3
        else:
            if x > 50:
                return "else"
        return "end"
    drive(f, (3,), [(0,), (9,), (10,), (15,), (60,), (99,), (-5,), ("a",)])


@case
def deep_nesting():
    def f(n):
        count = 0
        for a in range(n):
            for b in range(n):
                for c in range(n):
                    for d in range(n):
                        if a < b < c < d:
                            count += 1
                        elif a == d:
                            continue
                        else:
                            if count > 500:
                                return -count
        return count
    return [f(n) for n in range(8)]


@case
def long_straight_code():
    lines = ["def f(a, b):"]
    for i in range(300):
        lines.append(f"    x{i} = a + {i} * b" if i < 2 else f"    x{i} = x{i - 1} + x{i - 2} % {i + 1}")
    lines.append("    return x299, x150")
    namespace = {}
    exec("\n".join(lines), namespace)
    drive(namespace["f"], (1, 2), [(3, 4), (2**62, 2**62), (1.5, 2.5), ("a", 1)])


@case
def many_branches():
    lines = ["def f(x):", "    r = 0"]
    for i in range(120):
        lines.append(f"    if x % {i + 2} == {i % 3}: r += {i}")
    lines.append("    return r")
    namespace = {}
    exec("\n".join(lines), namespace)
    f = namespace["f"]
    return [f(i) for i in range(0, 400, 7)], outcome(f, 2.5), outcome(f, "a"), outcome(f, 2**80)


@case
def unreachable_and_constant_branches():
    def f(x):
        if 0:
            return undefined_name  # noqa: F821
        while 1:
            if x > 3:
                return "big"
            x += 1
        return "never"
    drive(f, (1,), [(9,), (1.5,), ("a",)])


@case
def pass_only_loops():
    def f(n):
        for _ in range(n):
            pass
        while n:
            n -= 1
        return n
    drive(f, (50,), [(0,), (1,), (3.0,), (True,)])
