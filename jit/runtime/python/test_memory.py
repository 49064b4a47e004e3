"""What the module's own code takes of a process's memory: little more than what runs."""

import os
import platform
import shutil
import subprocess
import sys
import unittest

import pepjit

TRACE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "hot", "trace.py")
WORKLOADS = "nbody,orders,coroutines"


class Layout(unittest.TestCase):
    @unittest.skipUnless(platform.machine() == "x86_64", "the list of functions is of x86-64")
    @unittest.skipUnless(shutil.which("readelf") and shutil.which("cc"), "needs readelf and a C compiler")
    def test_what_runs_lies_together(self):
        run = subprocess.run(
            [sys.executable, TRACE, "--check", "--workloads", WORKLOADS, os.path.dirname(pepjit.__file__)],
            capture_output=True, text=True, timeout=300,
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("% of what runs is outside", run.stdout)
