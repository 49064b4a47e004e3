"""Leaving compiled functions for the interpreter."""

import gc
import sys
import threading
import unittest

import shimtest
from support import blocks_leaked, offset, raised, trace

PLAIN, LOOKED_AT, WRITTEN, POPPED = 1, 2, 3, 4


def add_up(n, i, s):
    while i < n:
        s = s + i
        i = i + 1
    return s


def guarded(n, i):
    try:
        n = n + i
        n = n * 2
    except ValueError as error:
        return "caught", n, str(error), trace(error, guarded)[0][0], sys.exception() is error
    return n


def cleaned(n):
    try:
        n = n + 1
    finally:
        n = 0
    return n


def endless(n):
    global deepest
    deepest = n
    return endless(n + 1)


def count_down(n):
    if n == 0:
        return 0
    return 1 + count_down(n - 1)


def hit_the_limit():
    try:
        endless(0)
    except RecursionError as error:
        return deepest, str(error), len(trace(error, endless)), trace(error, endless)[-1]


class Exits(unittest.TestCase):
    def test_resumes_in_the_middle_of_an_expression(self):
        place = offset(add_up, "BINARY_OP")
        for light in (0, PLAIN, LOOKED_AT, WRITTEN):
            self.assertEqual(shimtest.exit(add_up, (10, 5, 100), (100, 5), place, None, light), 135)
            self.assertEqual(shimtest.exit(add_up, (10.0, 5.0, 100.0), (100.0, 5.0), place, None, light), 135.0)

    def test_a_frame_that_was_looked_at_survives(self):
        shimtest.exit(add_up, (1, 1, 1), (1, 1), offset(add_up, "BINARY_OP"), None, POPPED)
        self.assertIs(sys.kept_frame.f_code, add_up.__code__)
        self.assertEqual(sys.kept_frame.f_lineno, add_up.__code__.co_firstlineno + 2)

    def test_throws_with_the_interpreters_traceback(self):
        place = offset(add_up, "BINARY_OP")
        for light in (0, PLAIN, LOOKED_AT):
            error = raised(shimtest.exit, add_up, (10, 5, 100), (100, 5), place, ValueError("thrown"), light)
            self.assertEqual(trace(error, add_up), [(2, place, 2, place)])

    def test_throws_into_handlers(self):
        rest = (...,) * (guarded.__code__.co_nlocals - 2)
        got = shimtest.exit(guarded, (7, 1, *rest), (7, 2), offset(guarded, "BINARY_OP", 3), ValueError("thrown"))
        self.assertEqual(got, ("caught", 7, "thrown", 3, True))
        self.assertIsNone(sys.exception())

    def test_reraises_after_cleanup_as_the_interpreter_does(self):
        error = raised(shimtest.exit, cleaned, (7,), (7, 1), offset(cleaned, "BINARY_OP"), KeyError("k"))
        self.assertEqual(trace(error, cleaned), trace(raised(cleaned, "s"), cleaned))

    def test_the_recursion_limit_is_where_it_was(self):
        expected = hit_the_limit()
        shimtest.hook(endless)
        self.addCleanup(shimtest.hook, None)
        self.assertEqual(hit_the_limit(), expected)
        shimtest.hook(None)
        self.assertEqual(hit_the_limit(), expected)

    def test_deep_recursion_with_the_limit_raised(self):
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(300_000)
        self.addCleanup(sys.setrecursionlimit, limit)
        self.addCleanup(shimtest.hook, None)
        shimtest.hook(count_down)
        before = shimtest.counters()
        self.assertEqual(count_down(100_000), 100_000)
        results = []
        thread = threading.Thread(target=lambda: results.append(count_down(50_000)))
        thread.start()
        self.assertEqual(count_down(100_000), 100_000)
        thread.join()
        self.assertEqual(results, [50_000])
        after = shimtest.counters()
        self.assertGreater(after["suspends"], before["suspends"])
        self.assertEqual(after["suspends"], after["resumes"])

    def test_nothing_leaks(self):
        place = offset(add_up, "BINARY_OP")

        def work():
            for light in (0, PLAIN, LOOKED_AT, WRITTEN, POPPED) * 500:
                shimtest.exit(add_up, (1000.5, 500.5, 1e5), (1e5, 500.5), place, None, light)
            for light in (0, PLAIN, LOOKED_AT) * 500:
                raised(shimtest.exit, add_up, (10, 5, 100), (100, 5), place, ValueError("thrown"), light)

        sys.kept_frame = None
        counts = [sys.getrefcount(o) for o in (add_up, add_up.__code__)]
        self.assertLess(blocks_leaked(work), 100)
        sys.kept_frame = None
        gc.collect()
        self.assertEqual([sys.getrefcount(o) for o in (add_up, add_up.__code__)], counts)


if __name__ == "__main__":
    unittest.main()
