"""sys.getrefcount: what runs when it's called is left to the interpreter, whose numbers of references are others, and nothing else is."""

import sys
import unittest

import pepjit


def ask(o):
    return COUNT(o)


def pass_on(ask, o):
    return ask(o)


def looping(ask, o, rounds):
    last = None
    for _ in range(rounds):
        last = ask(o)
    return last


def beside(o):
    return len((o, o))


def ends(ask, o):
    yield ask(o)


def nothing(o):
    return 0


COUNT = nothing


class Counts(unittest.TestCase):
    def setUp(self):
        global COUNT
        COUNT = nothing
        pepjit.enable(threshold=0)

    def tearDown(self):
        pepjit.disable()

    def heat(self):
        for _ in range(100):
            pass_on(ask, None)
            looping(ask, None, 3)
            beside(None)
            for _ in ends(ask, None):
                pass
        for function in (ask, pass_on, looping, beside):
            self.assertTrue(pepjit.is_compiled(function), pepjit.explain(function))

    def numbers(self):
        o = []
        return pass_on(ask, o), looping(ask, o, 50), next(ends(ask, o)), pass_on(ask, [])

    def test_what_runs_is_left_to_the_interpreter(self):
        global COUNT
        pepjit.disable()
        COUNT = sys.getrefcount
        expected = self.numbers()
        COUNT = nothing
        pepjit.enable(threshold=0)
        self.heat()
        before = pepjit.stats()["given_up"]
        COUNT = sys.getrefcount
        self.numbers()
        self.assertEqual(self.numbers(), expected)
        self.assertGreaterEqual(pepjit.stats()["given_up"], before + 3)
        for function in (ask, pass_on, looping):
            self.assertFalse(pepjit.is_compiled(function), function)
            self.assertFalse(pepjit.compile(function), function)
            self.assertEqual(pepjit.explain(function)["reason"], "sys.getrefcount was called while it ran")
        self.assertTrue(pepjit.is_compiled(beside), "it had nothing to do with it")

    def test_nothing_is_remembered_when_the_jit_was_off(self):
        global COUNT
        COUNT = sys.getrefcount
        self.numbers()
        pepjit.disable()
        text = repr(sys.getrefcount)
        self.numbers()
        COUNT = nothing
        pepjit.enable(threshold=0)
        self.heat()
        self.assertEqual(repr(sys.getrefcount), text)

    def test_code_in_the_place_of_freed_code_is_no_old_acquaintance(self):
        numbers, places = set(), set()
        for _ in range(200):
            names = {"count": sys.getrefcount}
            exec("def pass_on(o):\n return count(o)\ndef asks(o):\n return pass_on(o)", names)
            asks = names.pop("asks")
            asks([])
            numbers.add(asks([]))
            places.add(id(asks.__code__))
            names.clear()
            del asks
        self.assertEqual(len(numbers), 1)
        self.assertLess(len(places), 200, "no address was used again")

    def test_it_takes_what_it_took(self):
        for arguments in ((), (1, 2)):
            with self.assertRaisesRegex(TypeError, r"getrefcount\(\) takes exactly one argument \(\d given\)"):
                sys.getrefcount(*arguments)
        with self.assertRaisesRegex(TypeError, r"getrefcount\(\) takes no keyword arguments"):
            sys.getrefcount(object=1)
        self.assertIn("reference count", sys.getrefcount.__doc__)


if __name__ == "__main__":
    unittest.main()
