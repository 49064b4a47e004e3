"""Compiling that isn't affordable: code whose exits cost more than it saves goes back to the interpreter, and is compiled again once it pays."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

# `area` is compiled for one class, and then called with others: each of them is new to its code.
PROGRAM = """
def area(shape):
    return shape.width * shape.height + shape.width + shape.height

class Shape:
    def __init__(self, width, height):
        self.width, self.height = width, height

def total(shapes, rounds):
    result = 0
    for _ in range(rounds):
        for shape in shapes:
            result += area(shape)
    return result

class Square(Shape): pass
class Tile(Shape):
    @property
    def width(self): return self.side
    @width.setter
    def width(self, side): self.side = side

total([Shape(1, 2)] * 100, 20000)
print([total([kind(3, 4) for kind in kinds], 2000) for kinds in ([Square], [Tile], [Tile, Square, Shape])])
"""

# `small` gains only by going straight to `big`, which takes much longer to compile.
CALLER = """
source = "def big(x):\\n" + "    x = x * 3 + 1 & 65535\\n" * 150 + "    return x\\n"
exec(source)

def small(x):
    return big(x)

import time
while not pepjit.is_compiled(small) and time.process_time() < 60:
    results = [small(i) for i in range(1000)]
print(sum(results), pepjit.is_compiled(big), pepjit.is_compiled(small))
"""

# Functions that are called often and can't be compiled yet, called by a loop of which the same is true.
WAITING = """
import time

functions = []
for number in range(20):
    exec(f"def f(x):\\n" + "    x = x * 3 + 1 & 65535\\n" * 10 + "    return x\\n")
    functions.append(f)

def rounds(count):
    total = 0
    for i in range(count):
        for f in functions:
            total += f(i)
    return total

print(rounds(40000))
if pepjit.stats()['rests']:
    # Now it's affordable, and whoever rests must hear of it.
    while not all(map(pepjit.is_compiled, functions)) and time.process_time() < 60:
        rounds(1000)
    print(sum(map(pepjit.is_compiled, functions)))
"""

# Others ask for events of code that isn't listened to for a while, and code goes away meanwhile.
WATCHED = """
import sys, gc
mon = sys.monitoring

def make(number):
    exec(f"def f(x):\\n    for i in range(x % 4 + {number}):\\n        x = x * 3 + i & 65535\\n    return x\\n", space := {})
    return space["f"]

def rounds(functions, count):
    total = 0
    for i in range(count):
        for f in functions:
            total += f(i)
    return total

def watched(functions, events, code=None):
    seen = {}
    mon.use_tool_id(3, "watcher")
    for event in events:
        def note(code, *where, event=event):
            if code.co_name in ("f", "rounds"):
                seen[event, code.co_name] = seen.get((event, code.co_name), 0) + 1
        mon.register_callback(3, event, note)
    mon.set_events(3, 0 if code else sum(events))
    if code:
        mon.set_local_events(3, code, sum(events))
    rounds(functions, 50)
    if code:
        mon.set_local_events(3, code, 0)
    mon.set_events(3, 0)
    for event in events:
        mon.register_callback(3, event, None)
    mon.free_tool_id(3)
    return sorted(seen.items())

def traced(functions):
    seen = []
    def trace(frame, event, argument):
        if frame.f_code.co_name in ("f", "rounds"):
            seen.append((frame.f_lineno, event))
            return trace
    sys.settrace(trace)
    rounds(functions, 3)
    sys.settrace(None)
    return seen

E = mon.events
for turn in range(6):
    functions = [make(number) for number in range(8 + turn)]
    print(rounds(functions, 2500))
    print(watched(functions, [E.PY_START, E.JUMP, E.PY_RETURN]))
    rounds(functions, 400)
    print(watched(functions, [E.LINE]), watched(functions, [E.PY_START, E.LINE, E.JUMP], functions[3].__code__))
    rounds(functions, 400)
    print(traced(functions))
    mon.restart_events()
    if turn % 2:
        del functions
        gc.collect()
"""

# More loops than can wait at a time, each of which goes round less often than is hot.
MANY = """
source = "def f(count):\\n    total = 0\\n    for i in range(count):\\n        total += i\\n    return total\\n"
spaces = [{} for _ in range(6000)]
for space in spaces:
    exec(source, space)
for _ in range(3):
    for space in spaces[:3000]:
        space["f"](100)
    for space in spaces[3000:]:
        space["f"](100)
print(pepjit.stats()["loops_compiled"] <= 3)
for _ in range(2):
    for space in spaces[:10]:
        space["f"](100)
print(pepjit.stats()["loops_compiled"] >= 10)
"""


def run(program=PROGRAM, **environment):
    """The counters of a process that runs the program, and what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "stats.json")
        done = subprocess.run(
            [sys.executable, "-c", "import pepjit; pepjit.enable()\n" + program],
            env={**os.environ, "PEPJIT_STATS": path, **environment}, capture_output=True, text=True, timeout=120,
        )
        if done.returncode or done.stderr:
            raise AssertionError(f"exit code {done.returncode}: {done.stderr}")
        with open(path) as file:
            return json.load(file), done.stdout

# A function that is called often, with two loops that go round a few times in each call.
SHORT_LOOPS = """
source = "def short(x):\\n"
for loop in range(2):
    source += "    for i in range(8):\\n" + "        x = x * 3 + i & 65535\\n" * 12
exec(source + "    return x\\n")

import time
while not pepjit.is_compiled(short) and time.process_time() < 60:
    results = [short(i) for i in range(1000)]
print(sum(results), pepjit.is_compiled(short))
"""

# The same; then what its code relies on changes. Afterwards only its loops raise events: who calls it is compiled as well.
CHANGED = SHORT_LOOPS.replace("& 65535", "& mask") + """
def drive(count):
    for i in range(count):
        short(i)

for _ in range(200):
    drive(20)
compiled = pepjit.is_compiled(short), pepjit.is_compiled(drive)
mask = 32767
broken = pepjit.is_compiled(short)
before = pepjit.stats()["loops_compiled"]
drive(1000)
print(compiled, broken, pepjit.is_compiled(short), pepjit.stats()["loops_compiled"] - before)
"""

# By turns two functions that are called often, and one that alone is while it is: its calls and its loop are all that is heard of.
ALONE = """
def inner(x, y):
    return abs(x - y) == 1

def outer(items):
    found = 0
    for x in items:
        for y in items:
            if inner(x, y):
                found += 1
    return found

def deep(size):
    full = (1 << size) - 1
    def place(columns, left, right):
        if columns == full:
            return 1
        found = 0
        free = full & ~(columns | left | right)
        while free:
            bit = free & -free
            free ^= bit
            found += place(columns | bit, (left | bit) << 1, (right | bit) >> 1)
        return found
    return place(0, 0, 0), place

turns = []
for turn in range(6):
    outer(range(150))
    found, place = deep(11)
    turns.append(pepjit.is_compiled(place))
print(found, True in turns[:3])
"""


class Budget(unittest.TestCase):
    def test_code_that_leaves_too_often_waits_in_the_interpreter(self):
        poor, printed = run(PEPJIT_SHARE="1")
        rich, expected = run(PEPJIT_SHARE="0")
        self.assertEqual(printed, expected)
        self.assertEqual(rich["postponed"], 0, "without a limit it's compiled again at once")
        self.assertGreater(rich["recompilations"], 0)
        self.assertGreater(poor["postponed"], 0)
        # Some 8000 calls meet a class that the code wasn't made for.
        self.assertLess(poor["exits"], 3000)

    def test_who_waits_is_seldom_listened_to_and_compiled_at_last(self):
        rich, expected = run(WAITING, PEPJIT_SHARE="0")
        self.assertEqual((rich["rests"], rich["functions_compiled"]), (0, 20))
        poor, printed = run(WAITING, PEPJIT_SHARE="5")
        self.assertEqual(printed, expected + "20\n")
        self.assertGreater(poor["rests"], 20)
        # Each of most of the calls would raise one.
        self.assertLess(poor["events"], 20 * 40000 / 4)

    def test_two_that_wait_for_each_other_are_heard_of(self):
        _, printed = run(ALONE)
        self.assertEqual(printed, "2680 True\n")

    def test_nobody_rests_beside_the_interpreter_s_own_jit(self):
        # What it compiles raises no events that were asked for later.
        program = WAITING.replace("if pepjit.stats()['rests']:", "if True:") + "print(hasattr(sys, '_jit') and sys._jit.is_enabled())\n"
        counters, printed = run("import sys\n" + program, PEPJIT_SHARE="5", PYTHON_JIT="1")
        _, compiled, other_jit = printed.split()
        self.assertEqual(compiled, "20")
        self.assertEqual(counters["rests"] == 0, other_jit == "True")

    def test_others_hear_of_everything_while_someone_rests(self):
        resting, printed = run(WATCHED, PEPJIT_SHARE="1")
        plain = subprocess.run([sys.executable, "-c", "pass\n" + WATCHED], env={**os.environ, "PEPJIT": "0"}, capture_output=True, text=True, timeout=120)
        self.assertEqual((plain.returncode, plain.stderr), (0, ""))
        self.assertEqual(printed, plain.stdout)
        self.assertGreater(resting["rests"], 20)

    def test_loops_that_are_left_soon_come_with_their_function(self):
        counters, printed = run(SHORT_LOOPS, PEPJIT_SHARE="5")
        expected = 0
        for x in range(1000):
            for i in [*range(8)] * 2:
                for _ in range(12):
                    x = x * 3 + i & 65535
            expected += x
        self.assertEqual(printed, f"{expected} True\n")
        self.assertEqual((counters["loops_compiled"], counters["osr_entries"]), (0, 0))

    def test_loops_that_wait_for_their_function_bring_it_back(self):
        _, printed = run("mask = 65535\n" + CHANGED, PEPJIT_SHARE="0")
        self.assertEqual(printed.splitlines()[-1], "(True, True) False True 0")

    def test_who_calls_what_isn_t_affordable_yet_is_tried_again(self):
        counters, printed = run(CALLER, PEPJIT_SHARE="1000")
        expected = 0
        for i in range(1000):
            for _ in range(150):
                i = i * 3 + 1 & 65535
            expected += i
        self.assertEqual(printed, f"{expected} True True\n")
        # Tried in vain again and again, it would be all that the process does.
        self.assertIn(counters["too_early"], range(1, 30))

    def test_what_leaves_its_place_to_others_who_wait_is_not_called_hot_for_that(self):
        _, printed = run(MANY, PEPJIT_SHARE="0")
        self.assertEqual(printed.splitlines(), ["True", "True"])


if __name__ == "__main__":
    unittest.main()
