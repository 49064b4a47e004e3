"""`PEPJIT_LOG`: what the compiler does, one JSON object a line."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

import pepjit

PROGRAM = """
import os, pepjit
pepjit.enable(threshold=20)
step = 1

def add(x):
    return x + step

def many(n):
    total = 0
    for i in range(n):
        total += add(i)
    return total

def evaluated():
    exec("")
    return locals()

many(1000)
step = 2
for x in [1] * 100 + [1.5] * 500:
    add(x)
for _ in range(100):
    evaluated()
"""


def run(log, **variables):
    environment = {**os.environ, "PEPJIT_LOG": log, "PYTHONPATH": os.path.dirname(pepjit.__file__), **variables}
    return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=120)


class Log(unittest.TestCase):
    def test_tells_what_is_compiled_why_it_is_given_up_and_what_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "%p.jsonl")
            done = run(path)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            (name,) = os.listdir(folder)
            self.assertRegex(name, r"^\d+\.jsonl$")
            with open(os.path.join(folder, name)) as file:
                lines = [json.loads(line) for line in file]
        told = {(line["what"], line["name"]) for line in lines}
        for expected in [("compiled", "add"), ("compiled", "many"), ("invalidated", "add"), ("failed", "add"), ("refused", "evaluated")]:
            self.assertIn(expected, told)
        times = [line["ms"] for line in lines]
        self.assertEqual(times, sorted(times))
        compiled = next(line for line in lines if line["what"] == "compiled" and line["name"] == "many" and "header" in line)
        self.assertGreater(compiled["bytes"], 0)
        self.assertGreater(compiled["units"], 0)
        self.assertEqual(compiled["attempt"], 1)
        failed = next(line for line in lines if line["what"] == "failed")
        self.assertEqual(failed["reason"], "class")
        self.assertTrue(all(line["reason"] for line in lines if line["what"] == "refused"))

    def test_a_file_that_can_t_be_written_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "missing", "log")
            done = run(path)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"PEPJIT_LOG={path} can't be written: No such file or directory", done.stderr)


if __name__ == "__main__":
    unittest.main()
