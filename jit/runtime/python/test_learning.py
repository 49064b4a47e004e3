"""What is learnt from guards that failed: code is compiled again once for what one value turned out to be, not once per site that uses it."""

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
"""


class Learning(unittest.TestCase):
    def setUp(self):
        self.names = {}
        exec(PROGRAM, self.names)
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


if __name__ == "__main__":
    unittest.main()
