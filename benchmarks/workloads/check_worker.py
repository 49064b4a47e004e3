"""Tests of pepjit_worker itself, on this interpreter: ``python check_worker.py``.

Every test starts real worker processes of a tiny workload and looks at exit codes, error
messages and the JSON. ``PYPERF_PYTHON`` may name an interpreter that has pyperf: then
pyperf has to read what was written.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

SCRIPT = """\
import os, sys, time
sys.path.insert(0, {here!r})
import pepjit_worker

calls = 0

def run():
    global calls
    calls += 1
    if os.environ.get("FAIL_AT") == str(calls):
        return "wrong"
    if os.environ.get("RAISE_AT") == str(calls):
        raise ZeroDivisionError("as told")
    total = 0
    for n in range({size}):
        total += n & 3
    return total

def log_collection(phase, info):
    if phase == "stop" and info["generation"] == 2:
        with open(os.environ["GC_LOG"], "a") as file:
            print(calls, file=file)

if __name__ == "__main__":
    if os.environ.get("GC_LOG"):
        import gc
        gc.callbacks.append(log_collection)
    if os.environ.get("FAKE_PEPJIT"):
        import types
        fake = sys.modules["pepjit"] = types.ModuleType("pepjit")
        fake.stats = lambda: {{
            "functions_compiled": min(calls, 5), "loops_compiled": 1, "exits": calls,
            "exit:overflow": 2, "backend": "none",
        }}
    pepjit_worker.main("tiny", run, {expected})
"""
SIZE = 20_000
EXPECTED = sum(n & 3 for n in range(SIZE))


class WorkerCase(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.script = self.path("tiny.py")
        with open(self.script, "w") as file:
            file.write(SCRIPT.format(here=HERE, size=SIZE, expected=EXPECTED))

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def start(self, *options, output="out.json", **environment):
        command = [sys.executable, self.script, "--worker", "--worker-task=0", *options]
        if output:
            command += ["-o", self.path(output)]
        return subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, process, code=0):
        _, errors = process.communicate(timeout=100)
        self.assertEqual(process.returncode, code, errors)
        return errors

    def load(self, name="out.json"):
        with open(self.path(name)) as file:
            document = json.load(file)
        self.assertEqual(document["version"], "1.0")
        (benchmark,) = document["benchmarks"]
        (run,) = benchmark["runs"]
        for key, value in run["metadata"].items():
            self.assertIn(type(value), (int, float, str), key)
            self.assertTrue(not isinstance(value, str) or value.strip(), key)
        return run


class PlainProtocol(WorkerCase):
    def measure(self, *options, **environment):
        self.end(self.start(*options, **environment))
        return self.load()

    def test_counts_are_as_asked(self):
        run = self.measure("--loops", "3", "--warmups", "2", "--values", "4")
        self.assertEqual(len(run["values"]), 4)
        self.assertEqual([loops for loops, _ in run["warmups"]], [3, 3])
        self.assertTrue(all(value > 0 for value in run["values"]))
        metadata = run["metadata"]
        self.assertEqual(
            (metadata["name"], metadata["loops"], metadata["unit"]), ("tiny", 3, "second")
        )
        self.assertGreater(metadata["pepjit_first_iteration"], 0)
        self.assertEqual(metadata["pepjit_design"], "process")

    def test_values_are_per_iteration(self):
        one = min(self.measure("--loops", "1", "--warmups", "3", "--values", "20")["values"])
        many = min(self.measure("--loops", "20", "--warmups", "3", "--values", "5")["values"])
        self.assertLess(max(one, many) / min(one, many), 4)

    def test_no_warmups_and_no_values(self):
        self.assertNotIn("warmups", self.measure("--loops", "1", "--warmups", "0", "--values", "1"))
        run = self.measure("--loops", "1", "--warmups", "0", "--values", "0")
        self.assertEqual(run["warmups"], [[1, run["metadata"]["pepjit_first_iteration"]]])

    def test_later_tasks_do_nothing(self):
        self.end(self.start("--worker-task=1", "--loops", "1", "--warmups", "1", "--values", "1"))
        self.assertFalse(os.path.exists(self.path("out.json")))

    def test_pipe_gets_the_same_text(self):
        reader, writer = os.pipe()
        command = [sys.executable, self.script, "--worker", "--loops", "1", "--values", "1"]
        command += ["--pipe", str(writer), "-o", self.path("out.json"), "--copy-env"]
        process = subprocess.Popen(command, pass_fds=[writer])
        os.close(writer)
        with open(reader) as file:
            text = file.read()
        self.assertEqual(process.wait(100), 0)
        with open(self.path("out.json")) as file:
            self.assertEqual(file.read(), text)

    def test_calibration_reaches_the_minimum_time(self):
        options = ("--calibrate-loops", "--min-time", "0.05", "--warmups", "0", "--values", "1")
        run = self.measure(*options)
        loops, value = run["warmups"][-1]
        self.assertGreaterEqual(loops * value, 0.05)
        self.assertEqual(run["metadata"]["calibrate_loops"], loops)
        self.assertNotIn("values", run)

    def test_a_wrong_result_writes_nothing(self):
        for call, where in (("1", "first iteration"), ("2", "warm-up 1"), ("4", "value 2")):
            process = self.start("--loops", "1", "--warmups", "1", "--values", "2", FAIL_AT=call)
            errors = self.end(process, 3)
            self.assertIn(where, errors)
            self.assertIn("'wrong'", errors)
            self.assertFalse(os.path.exists(self.path("out.json")))

    def test_an_exception_is_shown(self):
        process = self.start("--loops", "1", "--warmups", "1", "--values", "2", RAISE_AT="2")
        self.assertIn("ZeroDivisionError: as told", self.end(process, 1))

    def test_usage_errors(self):
        self.end(self.start("--loops", "many"), 2)
        self.end(self.start("--no-such-option"), 2)
        self.assertIn("-o FILE", self.end(self.start("--loops", "1", output=None), 2))

    def test_an_output_that_cannot_be_written(self):
        errors = self.end(self.start("--loops", "1", "--values", "1", output="no/such/out.json"), 1)
        self.assertIn("can't be written", errors)

    def test_counters_of_a_loaded_pepjit(self):
        options = ("--loops", "1", "--warmups", "1", "--values", "2")
        metadata = self.measure(*options, FAKE_PEPJIT="1")["metadata"]
        self.assertEqual(metadata["pepjit_exits"], 4)
        self.assertEqual(metadata["pepjit_exit:overflow"], 2)
        self.assertEqual(metadata["pepjit_timed_functions_compiled"], 2)
        self.assertEqual(metadata["pepjit_timed_last_compile"], 2)
        self.assertNotIn("pepjit_backend", metadata)
        self.assertNotIn("pepjit_exits", self.measure(*options)["metadata"])

    @unittest.skipUnless(os.path.exists("/proc/self/status"), "needs /proc")
    def test_memory_is_this_process_alone(self):
        ballast = bytearray(b"x") * (200 << 20)
        metadata = self.measure("--loops", "1", "--warmups", "0", "--values", "1")["metadata"]
        self.assertLess(metadata["mem_max_rss"], len(ballast) // 2)
        self.assertLessEqual(metadata["mem_uss"], metadata["mem_pss"])

    @unittest.skipUnless(hasattr(sys, "_jit") and sys._jit.is_available(), "has no JIT")
    def test_proof_of_the_interpreters_own_jit(self):
        options = ("--loops", "1", "--warmups", "2", "--values", "2")
        on = self.measure(*options, PYTHON_JIT="1")["metadata"]
        self.assertEqual((on["cpython_jit_enabled"], on["cpython_jit_active"]), (1, 1))
        self.assertGreater(on["cpython_jit_executors"], 0)
        off = self.measure(*options, PYTHON_JIT="0")["metadata"]
        self.assertEqual((off["cpython_jit_enabled"], off["cpython_jit_active"]), (0, 0))

    @unittest.skipUnless(os.environ.get("PYPERF_PYTHON"), "PYPERF_PYTHON isn't set")
    def test_pyperf_reads_it(self):
        self.measure("--loops", "1", "--warmups", "1", "--values", "3")
        os.rename(self.path("out.json"), self.path("before.json"))
        self.measure("--loops", "1", "--warmups", "1", "--values", "3")
        files = [self.path("before.json"), self.path("out.json")]
        pyperf = [os.environ["PYPERF_PYTHON"], "-m", "pyperf"]
        for command in ("show", "stats", "hist", "metadata", "check"):
            subprocess.run([*pyperf, command, files[0]], check=True, capture_output=True)
        subprocess.run([*pyperf, "compare_to", *files], check=True, capture_output=True)


class Coscheduled(WorkerCase):
    WINDOW = 0.3

    def party(self, name, parties=2, blocks=1, **environment):
        os.makedirs(self.path("barrier"), exist_ok=True)
        plan = {
            "barrier": self.path("barrier"),
            "id": name,
            "parties": parties,
            "warmup": 0.1,
            "window": self.WINDOW,
            "blocks": blocks,
        }
        environment["PEPJIT_COSCHEDULE"] = json.dumps(plan)
        options = ("--loops", "1", "--warmups", "0", "--values", "1")
        return self.start(*options, output=f"{name}.json", **environment)

    def test_all_parties_share_their_windows(self):
        names = ("interp", "interp-aa", "jit with spaces")
        for process in [self.party(name, parties=3, blocks=2) for name in names]:
            self.end(process)
        for name in names:
            run = self.load(f"{name}.json")
            metadata = run["metadata"]
            self.assertEqual(metadata["pepjit_design"], "coscheduled")
            counts = [int(count) for count in metadata["coschedule_block_values"].split(",")]
            self.assertEqual(len(counts), 2)
            self.assertEqual(sum(counts), len(run["values"]))
            self.assertTrue(min(counts) >= 2 and len(run["warmups"]) >= 3)
            self.assertLessEqual(sum(run["values"]), metadata["coschedule_thread_cpu"])
        with open(self.path("barrier/window.0")) as file:
            start, end = map(float, file.read().split())
        self.assertAlmostEqual(end - start, self.WINDOW)
        self.assertFalse([name for name in os.listdir(self.path("barrier")) if name.endswith("~")])

    def test_warm_up_waits_for_a_jit_that_compiles(self):
        self.end(self.party("jit", parties=1, FAKE_PEPJIT="1"))
        run = self.load("jit.json")
        self.assertEqual(run["metadata"]["pepjit_timed_functions_compiled"], 0)
        self.assertEqual(run["metadata"]["pepjit_timed_last_compile"], 0)

    def test_who_is_warm_goes_on_until_all_are(self):
        early = self.party("early")
        time.sleep(1.0)
        self.end(self.party("late"))
        self.end(early)
        # It was warm after 0.1 s, and busy for all of the second until the other came.
        seconds = sum(value for _, value in self.load("early.json")["warmups"])
        self.assertGreater(seconds, 0.4)

    def test_a_full_collection_separates_warm_up_from_window(self):
        self.end(self.party("one", parties=1, GC_LOG=self.path("gc.log")))
        run = self.load("one.json")
        with open(self.path("gc.log")) as file:
            collected_after = [int(line) for line in file]
        # The first iteration comes before the warm-ups.
        self.assertIn(1 + len(run["warmups"]), collected_after)

    def test_nobody_waits_for_a_party_that_failed(self):
        for fault, code in (({"FAIL_AT": "2"}, 3), ({"RAISE_AT": "2"}, 1)):
            with self.subTest(fault):
                waiting = self.party("waiting")
                self.end(self.party("broken", **fault), code)
                began = time.monotonic()
                self.assertIn("'broken' failed", self.end(waiting, 4))
                self.assertLess(time.monotonic() - began, 30)
                for name in os.listdir(self.path("barrier")):
                    os.unlink(self.path(os.path.join("barrier", name)))

    def test_a_used_barrier_is_refused(self):
        self.end(self.party("one", parties=1))
        self.assertIn("already knows", self.end(self.party("one", parties=1), 4))

    def test_a_plan_that_is_no_plan(self):
        options = ("--loops", "1", "--warmups", "0", "--values", "1")
        for plan in ("nonsense", "[]", '{"barrier": "x"}'):
            errors = self.end(self.start(*options, PEPJIT_COSCHEDULE=plan), 2)
            self.assertIn("PEPJIT_COSCHEDULE", errors)
        plan = {"barrier": self.path("gone"), "id": "a", "parties": 1, "warmup": 1, "window": 1}
        errors = self.end(self.start(*options, PEPJIT_COSCHEDULE=json.dumps(plan)), 2)
        self.assertIn("doesn't exist", errors)


if __name__ == "__main__":
    unittest.main()
