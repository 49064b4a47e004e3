"""What is learnt from guards that failed: code is compiled again once for what one value turned out to be, not once per site that uses it."""

import sys
import time
import unittest

import pepjit

# Of three classes; every line is a site whose guard would fail.
PROGRAM = """
class Base:
    def __init__(self, x):
        self.a = x
        self.b = x
        self.c = x
        self.d = x
        self.e = x
        self.f = x
        self.g = x
        self.h = x

class One(Base): pass
class Two(Base): pass

def straight(o):
    return (o.a, o.b, o.c, o.d, o.e, o.f, o.g, o.h)

def branching(o):
    if o.a: found = o.b
    else: found = o.c
    if o.d: found += o.e
    else: found = o.f
    if o.g: found += o.h
    else: found = 0
    return found

def divided(o):
    if type(o) is One: return o.a + o.b
    if type(o) is Two: return o.a - o.b
    return o.a * o.b

def unpacking(pair):
    a, b = pair
    c, d = pair
    e, f = pair
    g, h = pair
    a, b = pair
    return [a * c + e * g + b * d + f * h for _ in range(3)]

def iterating(items):
    total = 0
    for x in items: total += x
    for x in items: total += x
    for x in items: total -= x
    for x in items: total += x
    for x in items: total -= x
    return total

def asking(value):
    count = 0
    if value: count += 1
    if not value: count -= 1
    if value: count += 2
    if not value: count -= 2
    if value: count += 3
    return count

def all_unpacking(rounds, items):
    for _ in range(rounds):
{unpacks}    return a
"""
UNPACK = "        a, b, c, d, e, f, g, h, i, j = items\n"


class Learning(unittest.TestCase):
    def setUp(self):
        self.names = {}
        exec(PROGRAM.replace("{unpacks}", UNPACK * 50), self.names)
        pepjit.enable(threshold=20)

    def tearDown(self):
        pepjit.disable()

    def attempts(self, function, use):
        """How often a function was compiled until it had been used 2000 times with each of three classes."""
        one, two, base = (self.names[name] for name in ("One", "Two", "Base"))
        for _ in range(100):
            use(one)
        self.assertTrue(pepjit.is_compiled(function))
        for _ in range(2000):
            for cls in (one, two, base):
                use(cls)
        told = pepjit.explain(function)
        self.assertTrue(told["compiled"], told)
        return told["attempts"]

    def look(self, name):
        function = self.names[name]
        objects = {self.names[cls]: self.names[cls](3) for cls in ("One", "Two", "Base")}
        return self.attempts(function, lambda cls: function(objects[cls]))

    def test_stores_in_a_row(self):
        self.assertEqual(self.attempts(self.names["Base"].__init__, lambda cls: cls(1)), 2)

    def test_loads_in_a_row(self):
        self.assertEqual(self.look("straight"), 2)

    def test_loads_behind_branches(self):
        self.assertIn(self.look("branching"), (2, 3))

    def test_what_branches_tell_apart_stays_apart(self):
        self.assertIn(self.look("divided"), range(1, 4))

    def test_arguments_that_come_with_several_classes(self):
        objects = [self.names[cls](3) for cls in ("One", "Two", "Base")]
        for name in ("straight", "branching", "divided"):
            with self.subTest(name):
                function = self.names[name]
                for _ in range(500):
                    for value in objects:
                        function(value)
                told = pepjit.explain(function)
                self.assertEqual((told["compiled"], told["attempts"]), (True, 1), told)

    def attempts_with(self, name, *values):
        function = self.names[name]
        for _ in range(100):
            function(values[0])
        for _ in range(2000):
            for value in values:
                function(value)
        return pepjit.explain(function)["attempts"]

    def test_unpacking_in_a_row(self):
        self.assertIn(self.attempts_with("unpacking", (1, 2), [1, 2]), range(1, 4))

    @unittest.skipIf(sys.version_info < (3, 15), "each loop has an iterator of its own, which its guard is on")
    def test_loops_in_a_row(self):
        self.assertIn(self.attempts_with("iterating", [1, 2, 3], (1, 2, 3), range(3)), range(1, 4))

    def test_conditions_in_a_row(self):
        self.assertIn(self.attempts_with("asking", [1], 1, "a", None), range(1, 4))

    def test_what_only_unpacks_is_left_to_the_interpreter(self):
        function = self.names["all_unpacking"]
        for _ in range(200):
            function(50, tuple(range(10)))
        self.assertEqual(pepjit.explain(function)["reason"], "mostly generic calls")
        self.assertFalse(pepjit.is_compiled(function))


class NowAndThen(unittest.TestCase):
    """What fails seldom is no reason to speculate less, however long the process runs."""

    def setUp(self):
        pepjit.enable(threshold=20)

    def tearDown(self):
        pepjit.disable()

    def repeated(self, pause):
        """How often a function is compiled again whose product overflows in one call of ten."""
        scope = {}
        exec("def power(x):\n    y = x * x\n    return y * y % 7\n", scope)
        power = scope["power"]
        for _ in range(100):
            power(1)
        self.assertTrue(pepjit.is_compiled(power))
        before = pepjit.stats()
        for _ in range(150):
            for _ in range(9):
                power(1)
            self.assertEqual(power(2**20), 4)
            time.sleep(pause)
        after = pepjit.stats()
        self.assertGreaterEqual(after["exit:overflow"] - before["exit:overflow"], 50)
        return pepjit.explain(power)["attempts"] - 1

    def test_what_overflows_seldom_stays_as_it_is(self):
        self.assertEqual(self.repeated(0.004), 0)

    def test_what_overflows_often_expects_it(self):
        self.assertGreater(self.repeated(0), 0)


if __name__ == "__main__":
    unittest.main()
