"""Tests of count-instructions: ``python ci/check_count_instructions.py``.

valgrind is a stand-in that runs what it is given and tells counts of its own, and so is the JIT.
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

COMMAND = Path(__file__).resolve().parent / "count-instructions"
WARM_UP = 10**9

VALGRIND = f"""#!{sys.executable}
import json, os, subprocess, sys
from pathlib import Path

here = Path(__file__).parent
out = next(word.partition("=")[2] for word in sys.argv if word.startswith("--callgrind-out-file="))
program = [word for word in sys.argv[1:] if not word.startswith("--")]
name, iterations = program[4], int(program[5])
row = ("pepjit/" if os.environ["PEPJIT"] == "1" else "interp/") + name
told = json.loads((here / "counts.json").read_text())
if row not in told:
    sys.exit("Illegal instruction")
code = subprocess.run(program).returncode
for dump in range(1, 2 * iterations + 1):
    # The second half of each odd number is what lies between two iterations.
    count = 77 if dump % 2 else {WARM_UP} if dump < 2 * iterations - 2 else told[row] + int(os.environ["PYTHONHASHSEED"])
    Path(f"{{out}}.{{dump}}").write_text(f"version: 1\\nsummary: {{count}}\\n\\ntotals: {{count}}\\n")
sys.exit(code)
"""

JIT = "import sys, types; m = types.ModuleType('pepjit'); m.stats = lambda: {stats}; sys.modules['pepjit'] = m\n"


class Counting(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.history = self.folder / "history.json"
        (self.folder / "valgrind").write_text(VALGRIND)
        (self.folder / "valgrind").chmod(0o755)
        (self.folder / "pepjit.so").touch()
        (self.folder / "nqueens.py").write_text("EXPECTED = 92\ndef run():\n    return 92\n")
        self.jit(compiled=3)

    def jit(self, compiled):
        stats = {"functions_compiled": compiled, "loops_compiled": 0}
        (self.folder / "pepjit.pth").write_text(JIT.format(stats=stats))

    def run_with(self, counts, *more, path=None, workloads="nqueens"):
        """Exit code and output, where callgrind would count `counts` by row and a bit more for each seed."""
        (self.folder / "counts.json").write_text(json.dumps(counts))
        command = [sys.executable, COMMAND, "--python", sys.executable, "--module", self.folder, "--folder", self.folder]
        done = subprocess.run(
            [*command, "--history", self.history, "--workloads", workloads, *more],
            env={**os.environ, "PATH": path or f"{self.folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

    def counted(self, pepjit, *more):
        return self.run_with({"interp/nqueens": 1_000_000, "pepjit/nqueens": pepjit}, *more)

    def keep(self, counts):
        """A history of the row pepjit/nqueens."""
        self.history.unlink(missing_ok=True)
        self.counted(1, "--write")
        kept = json.loads(self.history.read_text())
        rows = [{"interp/nqueens": 1_000_000, "pepjit/nqueens": count} for count in counts]
        kept["history"] = [{"commit": "c", "counts": row} for row in rows]
        self.history.write_text(json.dumps(kept))

    def test_a_history_is_begun_and_judged_by(self):
        code, text = self.counted(500_000)
        self.assertEqual(code, 3, text)
        self.assertIn("no history", text)
        self.assertFalse(self.history.exists())
        code, text = self.counted(500_000, "--write")
        self.assertEqual(code, 3, text)
        (entry,) = json.loads(self.history.read_text())["history"]
        # The mean over the seeds 1 and 2, of the iterations after the warm-up alone.
        self.assertEqual(entry["counts"], {"interp/nqueens": 1_000_002, "pepjit/nqueens": 500_002})
        self.assertEqual(self.counted(500_000)[0], 0)
        self.assertEqual(self.counted(504_000)[0], 0)
        code, text = self.counted(506_000)
        self.assertEqual(code, 1, text)
        self.assertRegex(text, r"FAIL +pepjit/nqueens +506,002 instructions per iteration, \+1\.20%; 1\.00% more are allowed")
        self.assertRegex(text, r"pass +interp/nqueens")
        self.assertEqual(self.counted(400_000)[0], 0, "fewer is better")
        self.assertEqual(len(json.loads(self.history.read_text())["history"]), 1, "judging alone changes nothing")

    def test_a_history_of_its_own_sets_the_threshold(self):
        self.keep([500_000, 500_100, 500_000, 500_100, 500_000])
        self.assertEqual(self.counted(500_900)[0], 0)
        self.assertEqual(self.counted(502_000)[0], 1, "0.4 % more where a count moves by 0.02 %")
        self.keep([500_000, 505_000, 500_000, 505_000, 500_000])
        self.assertEqual(self.counted(502_000)[0], 0, "0.4 % more where a count moves by 1 %")
        self.assertEqual(self.counted(520_000)[0], 1)

    def test_old_versions_go(self):
        self.keep([500_000 + n for n in range(30)])
        self.counted(600_000, "--write")
        history = json.loads(self.history.read_text())["history"]
        self.assertEqual((len(history), history[-1]["counts"]["pepjit/nqueens"]), (20, 600_002))

    def test_another_interpreter_compares_with_nothing(self):
        self.keep([500_000])
        kept = json.loads(self.history.read_text())
        kept["python"]["build"] = "3.15.0 (another)"
        self.history.write_text(json.dumps(kept))
        code, text = self.counted(900_000)
        self.assertEqual(code, 3, text)
        self.assertIn("the history is of 3.15.0 (another), and this is ", text)

    def test_what_fails_is_broken_and_writes_nothing(self):
        code, text = self.run_with({"interp/nqueens": 1_000_000}, "--write")
        self.assertEqual(code, 4, text)
        self.assertIn("nqueens on pepjit: exit code 1: Illegal instruction", text)
        (self.folder / "nqueens.py").write_text("EXPECTED = 92\ndef run():\n    return 91\n")
        code, text = self.counted(500_000, "--write")
        self.assertEqual(code, 4, text)
        self.assertIn("nqueens on interp: exit code 1: wrong result: 91", text)
        (self.folder / "nqueens.py").write_text("EXPECTED = 92\ndef run():\n    return 92\n")
        self.jit(compiled=0)
        code, text = self.counted(500_000, "--write")
        self.assertEqual(code, 4, text)
        self.assertIn("nqueens on pepjit: the JIT compiled nothing", text)
        self.assertFalse(self.history.exists())

    def test_usage(self):
        code, text = self.counted(1, "--jobs", "0")
        self.assertEqual(code, 2, text)
        code, text = self.run_with({}, workloads="nqueens,quux")
        self.assertEqual(code, 2, text)
        self.assertIn("there is no workload quux", text)
        code, text = self.run_with({}, path="/nowhere")
        self.assertEqual(code, 2, text)
        self.assertIn("apt-get install valgrind", text)

    def test_a_damaged_history_is_named(self):
        self.keep([500_000])
        whole = self.history.read_text()
        for damaged in (whole[:50], "[]", "{}", whole.replace("500000", "NaN"), whole.replace("500000", "-1"), whole.replace("500000", '"x"')):
            self.history.write_text(damaged)
            code, text = self.counted(500_000, "--write")
            self.assertEqual(code, 2, text)
            self.assertIn("history.json is damaged", text)
            self.assertEqual(self.history.read_text(), damaged)


if __name__ == "__main__":
    unittest.main()
