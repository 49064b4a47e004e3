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

total([Shape(1, 2)] * 100, 3000)
print([total([kind(3, 4) for kind in kinds], 2000) for kinds in ([Square], [Tile], [Tile, Square, Shape])])
"""

# `small` gains only by going straight to `big`, which takes much longer to compile.
CALLER = """
source = "def big(x):\\n" + "    x = x * 3 + 1 & 65535\\n" * 100 + "    return x\\n"
exec(source)

def small(x):
    return big(x)

total = 0
for i in range(40000):
    total += small(i)
print(total, pepjit.is_compiled(big), pepjit.is_compiled(small))
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

    def test_who_calls_what_isn_t_affordable_yet_is_tried_again(self):
        counters, printed = run(CALLER, PEPJIT_SHARE="1000")
        expected = 0
        for i in range(40000):
            for _ in range(100):
                i = i * 3 + 1 & 65535
            expected += i
        self.assertEqual(printed, f"{expected} True True\n")
        # Tried in vain again and again, it would be all that the process does.
        self.assertIn(counters["too_early"], range(1, 30))


if __name__ == "__main__":
    unittest.main()
