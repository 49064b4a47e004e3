"""Entering loops from the JUMP event and leaving them; monitoring."""

import signal
import sys
import unittest

import shimtest
from support import blocks_leaked, clone, line_offset, offset, raised, trace

RESUME, RETURN_OBJECT, THROW, RETURN_INT = range(4)
START, JUMP = 1, 2
monitoring = sys.monitoring


def plain(n, i, s):
    while i < n:
        s = s + i
        i = i + 1
    return s


def guarded(n, i, s):
    try:
        while i < n:
            s = s + i
            i = i + 1
    except ValueError as error:
        return "caught", i, str(error), trace(error, guarded)[0][0], sys.exception() is error
    return s * 2


def cleaned(n, i, s):
    try:
        while i < n:
            s = s + i
            i = i + 1
    finally:
        seen.append((i, sys.exception()))


def generated(n, i, s):
    while i < n:
        s = s + i
        i = i + 1
    yield s


def over(values):
    s = 0
    for _ in values:
        for value in values:
            s += value
    return s


def once(n, i, s):
    s = s + i
    return s


seen = []
TOTAL = sum(range(100_000))


class Loops(unittest.TestCase):
    def setUp(self):
        shimtest.monitor(START | JUMP)
        self.addCleanup(shimtest.monitor, -1)

    def arm(self, function, mode, place, normalise=0):
        shimtest.loop(function.__code__, mode, place // 2, normalise)

    def test_goes_on_in_the_same_frame(self):
        self.arm(plain, RESUME, line_offset(plain, 4))
        self.assertEqual(plain(100_000, 0, 0), TOTAL)

    def test_returns_from_native_code(self):
        self.arm(plain, RETURN_OBJECT, 0)
        self.assertEqual(plain(100_000, 0, 0), TOTAL + 1000)
        self.arm(plain, RETURN_INT, 0)
        self.assertEqual(plain(100_000, 0, 0), TOTAL + 2000)

    def test_raises_with_the_interpreters_traceback(self):
        place = offset(plain, "BINARY_OP")
        self.arm(plain, THROW, place)
        error = raised(plain, 100_000, 0, 0)
        self.assertEqual(trace(error, plain), [(2, place, 2, place)])

    def test_raises_into_a_handler_of_the_loop(self):
        self.arm(guarded, THROW, offset(guarded, "BINARY_OP"))
        self.assertEqual(guarded(1000, 0, 0), ("caught", 1000, "from the loop", 3, True))
        self.assertIsNone(sys.exception())

    def test_raises_past_the_headers_handler_where_it_does_not_reach(self):
        place = offset(guarded, "BINARY_OP", 7)
        self.arm(guarded, THROW, place)
        error = raised(guarded, 1000, 0, 0)
        self.assertEqual(trace(error, guarded), [(7, place, 7, place)])

    def test_raises_through_cleanup(self):
        self.arm(cleaned, THROW, offset(cleaned, "BINARY_OP"))
        error = raised(cleaned, 1000, 0, 0)
        self.assertEqual(seen[-1], (1000, error))
        self.assertEqual(trace(error, cleaned)[0][0], 3)

    def test_loops_of_generators(self):
        self.arm(generated, RESUME, line_offset(generated, 4))
        self.assertEqual(list(generated(1000, 0, 0)), [sum(range(1000))])
        self.arm(generated, THROW, offset(generated, "BINARY_OP"))
        self.assertIsInstance(raised(list, generated(1000, 0, 0)), ValueError)

    def test_iterations_kept_as_an_index_become_iterators(self):
        for values in (list(range(100)), tuple(range(100)), range(100)):
            function = clone(over)
            self.arm(function, RESUME, 0, 1)
            self.assertEqual(function(values), sum(range(100)) * 100)

    def test_nothing_leaks(self):
        def work():
            for _ in range(300):
                for mode, place in ((RESUME, line_offset(plain, 4)), (RETURN_OBJECT, 0), (RETURN_INT, 0), (THROW, offset(plain, "BINARY_OP"))):
                    self.arm(plain, mode, place)
                    try:
                        plain(300, 0, 0)
                    except ValueError:
                        pass
                self.arm(guarded, THROW, offset(guarded, "BINARY_OP"))
                guarded(1000, 0, 0)

        self.assertLess(blocks_leaked(work), 100)


class Monitoring(unittest.TestCase):
    def test_off_means_off(self):
        shimtest.monitor(START | JUMP)
        self.assertEqual(monitoring.get_tool(5), "pepjit")
        shimtest.monitor(-1)
        self.assertIsNone(monitoring.get_tool(5))
        self.assertEqual(shimtest.poll(), 0)

    def test_leaves_while_others_watch(self):
        shimtest.monitor(START | JUMP)
        self.addCleanup(shimtest.monitor, -1)
        self.assertEqual(shimtest.poll(), 0)
        monitoring.use_tool_id(2, "other")
        self.addCleanup(monitoring.free_tool_id, 2)
        monitoring.set_events(2, monitoring.events.PY_RETURN)
        self.assertEqual(shimtest.poll(), 1)
        monitoring.set_events(2, 0)
        self.assertEqual(shimtest.poll(), 0)
        sys.settrace(lambda *_: None)
        self.assertEqual(shimtest.poll(), 1)
        sys.settrace(None)
        self.assertEqual(shimtest.poll(), 0)

    def test_starts_that_nobody_wants_to_hear_of_are_not_told(self):
        self.addCleanup(shimtest.wait_no_more)
        shimtest.monitor(START)
        self.addCleanup(shimtest.monitor, -1)
        function = clone(once)
        self.assertEqual(shimtest.wait_for(function.__code__, 3), (3, None, 0, 0))
        before = shimtest.starts_told()
        for _ in range(5):
            function(1, 2, 3)
        self.assertEqual(shimtest.starts_told() - before, 2)

    def test_what_is_no_longer_heard_of_leaves_its_place_to_what_is(self):
        self.addCleanup(shimtest.wait_no_more)
        shimtest.monitor(START)
        self.addCleanup(shimtest.monitor, -1)
        silent = [clone(once).__code__ for _ in range(20000)]
        told = [shimtest.wait_for(code, 7) for code in silent]
        # (Code objects that look the same are equal.)
        taken = {id(code) for code, (events, *_) in zip(silent, told) if events}
        given_up = [(id(who), header, left) for _, who, header, left in told if who is not None]
        self.assertEqual({(header, left) for _, header, left in given_up}, {(-1, 7)})
        self.assertEqual(len({who for who, *_ in given_up}), len(given_up), "each has been told of once")
        self.assertLessEqual({who for who, *_ in given_up}, taken)
        self.assertTrue(0 < len(taken) - len(given_up) < 10000, "so many wait")

        function = clone(once)
        # The first time those in its places may have come a moment ago.
        events = shimtest.wait_for(function.__code__, 2000)[0] or shimtest.wait_for(function.__code__, 2000)[0]
        self.assertEqual(events, 2000)
        before = shimtest.starts_told()
        for code in silent[:2000]:
            shimtest.wait_for(code, 7)
            function(1, 2, 3)
        self.assertEqual(shimtest.starts_told(), before, "what is heard of keeps its place")

    def test_polling_runs_signal_handlers(self):
        def handler(*_):
            raise KeyboardInterrupt("from the handler")

        old = signal.signal(signal.SIGUSR1, handler)
        self.addCleanup(signal.signal, signal.SIGUSR1, old)
        self.assertEqual(shimtest.poll_after_signal(signal.SIGUSR1), "from the handler")

    def test_code_that_was_not_instrumented_is_when_an_exit_resumes_it(self):
        shimtest.monitor(START | JUMP)
        self.addCleanup(shimtest.monitor, -1)
        place = offset(once, "BINARY_OP")
        returned = []
        monitoring.use_tool_id(2, "other")
        self.addCleanup(monitoring.free_tool_id, 2)
        monitoring.register_callback(2, monitoring.events.PY_RETURN, lambda code, *_: returned.append(code))
        monitoring.set_events(2, monitoring.events.PY_RETURN)
        self.assertEqual(shimtest.exit(once, (1, 2, 3), (3, 2), place), 5)
        monitoring.set_events(2, 0)
        self.assertIn(once.__code__, returned)


if __name__ == "__main__":
    unittest.main()
