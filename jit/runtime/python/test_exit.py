"""The end of a process: the counters are written after the interpreter has gone."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

# Code is given up again and again, so that there is some to look after at the end.
PROGRAM = """
def scaled(value):
    return value * factor

def total(numbers):
    result = 0
    for number in numbers:
        result += scaled(number)
    return result

for factor in range(40):
    total(range(200))
    globals()["scaled"] = eval("lambda value: value * factor + 1")
print("done")
"""


class Exit(unittest.TestCase):
    def test_the_counters_are_written_when_all_is_over(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "stats.json")
            environment = {**os.environ, "PEPJIT_STATS": path, "PEPJIT_THRESHOLD": "2"}
            run = subprocess.run(
                [sys.executable, "-c", "import pepjit; pepjit.enable()\n" + PROGRAM],
                env=environment, capture_output=True, text=True, timeout=120,
            )
            self.assertEqual((run.returncode, run.stdout, run.stderr), (0, "done\n", ""))
            with open(path) as file:
                counters = json.load(file)
        self.assertGreater(counters["functions_compiled"], 0)
        self.assertGreater(counters["invalidations"] + counters["recompilations"], 0)


if __name__ == "__main__":
    unittest.main()
