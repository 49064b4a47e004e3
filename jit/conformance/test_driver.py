"""Tests of the drivers themselves: that they find what they are there to find, against fake JIT modules that are wrong."""

import io
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import child  # noqa: E402
import corpus_api  # noqa: E402
import run  # noqa: E402

CORPUS = """
    import builtins, os, time
    from corpus_api import case

    def broken(kind):
        return getattr(builtins, "fake_jit", None) == kind

    @case
    def adds():
        print("sum")
        return 1 + 2

    @case
    def raises():
        x = 0
        return 1 // x if not broken("message") else [][0]

    @case
    def columns():
        if broken("columns"):
            return  1 // 0
        return 1 // 0

    @case
    def faults():
        if broken("fault"):
            import sys
            builtins.fake_faults = 2
            if os.environ.get("PEPJIT_VERBOSE"):
                print("pepjit: internal error: a stack of the wrong depth", file=sys.__stderr__)

    @case
    def outputs():
        print("wrong" if broken("output") else "right")

    @case
    def warns():
        import warnings
        warnings.warn("loud" if broken("stderr") else "quiet")

    @case
    def crashes():
        if broken("crash"):
            import os, signal
            os.kill(os.getpid(), signal.SIGSEGV)

    @case
    def hangs():
        while broken("hang"):
            time.sleep(0.01)

    @case
    def exits():
        if broken("exit"):
            import os
            os._exit(3)

    KEPT = []

    @case
    def leaks():
        if broken("leak"):
            KEPT.append([object()])

    @case
    def leaks_references():
        if broken("references"):
            import ctypes
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(KEPT))

    @case
    def grows_anyway():
        if broken("grows"):
            KEPT.append([object()])
        if os.environ.get("HOST_GROWS"):
            KEPT.append([object()])

    @case(slow=True)
    def last():
        return "last"
"""

MODULE = """
    import builtins
    KIND = {kind!r}
    calls = 0

    def enable(**policy):
        builtins.fake_jit = KIND
        if KIND == "import":
            raise ImportError("self-check failed: layout mismatch")

    def stats():
        global calls
        calls += 1
        count = calls * {compiled}
        faults = getattr(builtins, "fake_faults", 0) + (KIND == "fault at import")
        return {{"functions_compiled": count, "loops_compiled": 0, "native_entries": count, "exits": 0, "ratio": 0.5,
                "internal_errors": faults if calls > 1 else 0}}
"""


class Folder(unittest.TestCase):
    """A folder with a small corpus and a fake module."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="driver-")
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        self.corpus = os.path.join(self.folder, "corpus")
        self.module = os.path.join(self.folder, "module")
        os.mkdir(self.corpus)
        os.mkdir(self.module)
        self.write(os.path.join(self.corpus, "small.py"), CORPUS)

    def write(self, path, text):
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(textwrap.dedent(text))

    def fake(self, kind, compiled=1):
        self.write(os.path.join(self.module, "pepjit.py"), MODULE.format(kind=kind, compiled=compiled))

    def drive(self, *arguments, script="run.py"):
        command = [sys.executable, os.path.join(HERE, script), "--python", sys.executable, "--corpus", self.corpus, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr

    def with_fake(self, kind, *arguments, modes="forced", **fake):
        self.fake(kind, **fake)
        return self.drive("--module-path", self.module, "--modes", modes, *arguments)


class DifferentialDriver(Folder):
    """run.py"""

    def test_a_correct_jit_passes_in_every_mode(self):
        code, out, _ = self.with_fake("none", modes=run.DEFAULT_MODES)
        self.assertEqual(code, 0, out)
        self.assertEqual(out.splitlines()[-1], "104 passed, 0 failed", "13 cases in 8 modes")

    def test_off_against_off_is_identical(self):
        code, out, _ = self.drive("--modes", "self-test")
        self.assertEqual((code, out.splitlines()[-1]), (0, "13 passed, 0 failed"))

    def failing(self, kind, case, text):
        code, out, _ = self.with_fake(kind)
        self.assertEqual(code, 1, out)
        self.assertIn(f"FAIL forced small.{case}", out)
        self.assertIn(text, out)
        self.assertEqual(out.splitlines()[-1], "12 passed, 1 failed", out)

    def test_internal_errors_are_found_though_nothing_differs(self):
        self.failing("fault", "faults", "internal errors of the JIT: 2\n    pepjit: internal error: a stack of the wrong depth")
        code, out, _ = self.with_fake("fault at import")
        self.assertEqual(code, 1)
        self.assertIn("FAIL forced small.py (outside of its cases)\n    internal errors of the JIT: 1", out)

    def test_another_exception_is_found(self):
        self.failing("message", "raises", "IndexError")

    def test_other_columns_alone_are_found(self):
        self.failing("columns", "columns", "columns@")

    def test_other_output_is_found_and_shown_as_a_diff(self):
        self.failing("output", "outputs", "-right\n    +wrong")

    def test_other_standard_error_is_found(self):
        self.failing("stderr", "warns", "loud")

    def test_a_crash_is_pinned_to_its_case_and_the_rest_still_runs(self):
        self.failing("crash", "crashes", "killed by SIGSEGV (the case alone: killed by SIGSEGV)")

    def test_a_silent_exit_is_pinned_to_its_case(self):
        self.failing("exit", "exits", "exit code 3")

    def test_a_hang_is_pinned_to_its_case(self):
        code, out, _ = self.with_fake("hang", "--timeout", "3")
        self.assertEqual(code, 1)
        self.assertIn("FAIL forced small.hangs\n    timed out after 3 s", out)
        self.assertEqual(out.splitlines()[-1], "12 passed, 1 failed")

    def test_a_jit_that_compiles_nothing_proves_nothing(self):
        code, out, _ = self.with_fake("none", compiled=0)
        self.assertEqual(code, 1)
        self.assertIn("FAIL forced activity", out)

    def test_a_module_that_refuses_to_load_is_a_failure_with_its_message(self):
        code, out, _ = self.with_fake("import")
        self.assertEqual(code, 1)
        self.assertIn("self-check failed: layout mismatch", out)

    def test_filter_and_fast_choose_cases(self):
        _, out, _ = self.drive("--modes", "self-test", "--filter", "small.add")
        self.assertEqual(out.splitlines()[-1], "1 passed, 0 failed")
        _, out, _ = self.drive("--modes", "self-test", "--fast")
        self.assertEqual(out.splitlines()[-1], "12 passed, 0 failed")

    def test_what_cannot_start_says_what_to_do(self):
        for arguments, text in [(["--modes", "nope"], "choose from"), (["--module-path", self.folder], "cargo xtask build"),
                                (["--modes", "self-test", "--filter", "absent"], "no case matches")]:
            code, _, err = self.drive(*arguments)
            self.assertEqual(code, 2)
            self.assertIn(text, err)

    def test_the_report_is_written_as_json(self):
        path = os.path.join(self.folder, "report.json")
        self.with_fake("output", "--json", path)
        with open(path, encoding="utf-8") as stream:
            report = json.load(stream)
        self.assertEqual((report["passed"], report["failed"]), (12, 1))
        self.assertEqual(report["failures"][0]["case"], "small.outputs")

    def test_workloads_are_compared(self):
        workloads = os.path.join(self.folder, "workloads")
        os.mkdir(workloads)
        self.write(os.path.join(workloads, "one.py"), """
            import builtins

            def run():
                return 5 if getattr(builtins, "fake_jit", "") == "output" else 4
        """)
        self.fake("output")
        code, out, _ = self.drive("--module-path", self.module, "--modes", "forced", "--workloads", "--workload-folder", workloads)
        self.assertEqual(code, 1)
        self.assertIn("FAIL forced workload.one", out)


class LeakDriver(Folder):
    """leaks.py"""

    def leaks(self, kind, *arguments):
        self.fake(kind)
        return self.drive("--module-path", self.module, "--modes", "forced", "--runs", "400", *arguments, script="leaks.py")

    def test_flat_memory_passes(self):
        code, out, _ = self.leaks("none")
        self.assertEqual((code, out.splitlines()[-1]), (0, "12 passed, 0 failed"), out)

    def test_leaked_objects_are_found(self):
        code, out, _ = self.leaks("leak")
        self.assertEqual(code, 1)
        self.assertIn("FAIL forced small.leaks\n    allocated blocks grow by", out)
        self.assertEqual(out.splitlines()[-1], "11 passed, 1 failed", out)

    def test_growth_that_has_nothing_to_do_with_the_jit_is_only_noted(self):
        os.environ["HOST_GROWS"] = "1"
        self.addCleanup(os.environ.pop, "HOST_GROWS")
        code, out, _ = self.leaks("none")
        self.assertEqual(code, 0, out)
        self.assertIn("note forced small.grows_anyway: grows as much without the JIT", out)
        code, out, _ = self.leaks("grows")
        self.assertEqual(code, 1, out)
        self.assertIn("FAIL forced small.grows_anyway", out)

    def test_leaked_references_are_found(self):
        code, out, _ = self.leaks("references")
        self.assertEqual(code, 1)
        self.assertRegex(out, r"FAIL forced small.leaks_references\n.*references grow by 1\.0 per run")

    def test_a_crash_is_pinned_to_its_case(self):
        code, out, _ = self.leaks("crash")
        self.assertEqual(code, 1)
        self.assertIn("FAIL forced small.crashes\n    killed by SIGSEGV", out)


class Corpus(unittest.TestCase):
    """The corpus itself."""

    @classmethod
    def setUpClass(cls):
        cls.cases = []
        for path in run.files_of(os.path.join(HERE, "corpus")):
            cls.cases += [(case, path) for case in child.load_cases(path)]

    def test_there_are_at_least_300_cases(self):
        self.assertGreaterEqual(len(self.cases), 300)

    def test_every_case_shows_something_and_repeats_itself(self):
        for case, path in self.cases:
            if case.slow:
                continue
            with self.subTest(case.name):
                first, second = child.run_case(case, path), child.run_case(case, path)
                self.assertEqual(first, second)
                self.assertEqual(first["exception"], "")
                self.assertTrue(first["stdout"] or first["result"] != "None")
                self.assertIsNone(re.search(r"0x[0-9a-f]{6,}", first["stdout"] + first["result"]))

    def test_two_cases_of_one_name_are_refused(self):
        name = f"test_driver.{self.test_two_cases_of_one_name_are_refused.__name__}"
        before = len(corpus_api.CASES)
        try:
            def twice():
                return io
            corpus_api.case(twice)
            with self.assertRaisesRegex(ValueError, "rename one"):
                corpus_api.case(twice)
        finally:
            del corpus_api.CASES[before:]
        self.assertNotIn(name, [case.name for case in corpus_api.CASES])


if __name__ == "__main__":
    unittest.main()
