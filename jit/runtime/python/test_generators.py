"""Which generators, and which loops over them, are left to the interpreter: it goes on with its own generators in place."""

import types
import unittest

import pepjit

PROGRAM = """
def interpreted(items):
    yield from items

def consuming(rounds, items):
    count = 0
    for _ in range(rounds):
        for item in interpreted(items):
            count += 1
    return count

def working(rounds, items):
    total = 0
    for _ in range(rounds):
        for item in interpreted(items):
            total += item * item - (item >> 1)
            total ^= item + 7
            total &= 0xffff
    return total

def looping_over_others(rounds, items):
    for _ in range(rounds):
        for item in interpreted(items):
            last = item
    yield last

def expression(rounds, items):
    for _ in range(rounds):
        for item in (item + 1 for item in items):
            pass

def summed(rounds, items):
    for _ in range(rounds):
        total = sum(item + 1 for item in items)
    return total

def looping(rounds, items):
    total = 0
    for _ in range(rounds):
        for item in items:
            total += item * item
    yield total
"""


class LeftToTheInterpreter(unittest.TestCase):
    def setUp(self):
        pepjit.enable(threshold=20)
        self.names = {}
        exec(compile(PROGRAM, "program.py", "exec"), self.names)
        self.items = list(range(10))

    def tearDown(self):
        pepjit.disable()

    def call(self, name):
        function = self.names[name]
        for _ in range(300):
            result = function(20, self.items)
            if result is not None and not isinstance(result, int):
                result = list(result)
        return result, pepjit.explain(function)

    def test_what_does_little_with_the_items_of_an_interpreted_generator(self):
        _, explained = self.call("consuming")
        self.assertFalse(explained["compiled"], explained)
        self.assertEqual(explained["reason"], "mostly generic calls")

    def test_what_does_much_with_them_is_compiled(self):
        _, explained = self.call("working")
        self.assertTrue(explained["compiled"], explained)

    def test_a_generator_that_loops_before_it_yields_has_to_gain_by_that(self):
        last, explained = self.call("looping_over_others")
        self.assertEqual(last, [9])
        self.assertFalse(explained["compiled"], explained)
        self.assertEqual(explained["reason"], "mostly generic calls")

    def test_one_that_gains_is_compiled(self):
        totals, explained = self.call("looping")
        self.assertEqual(totals, [20 * sum(item * item for item in self.items)])
        self.assertTrue(explained["compiled"], explained)

    def explain_expression(self, name):
        """What is known of the generator expression in a function, after the function has been called."""
        result, _ = self.call(name)
        function = self.names[name]
        code = next(const for const in function.__code__.co_consts if isinstance(const, types.CodeType))
        return result, pepjit.explain(types.FunctionType(code, self.names))

    def test_an_expression_that_does_little_between_yields_is_left_to_a_loop_of_the_interpreter(self):
        compiled_before = pepjit.stats()["resumes_compiled"]
        _, explained = self.explain_expression("expression")
        self.assertEqual(explained["reason"], "little between yields")
        self.assertEqual(pepjit.stats()["resumes_compiled"], compiled_before)

    def test_one_that_others_ask_is_compiled(self):
        total, explained = self.explain_expression("summed")
        self.assertEqual(total, sum(self.items) + len(self.items))
        self.assertTrue(explained["compiled"], explained)


if __name__ == "__main__":
    unittest.main()
