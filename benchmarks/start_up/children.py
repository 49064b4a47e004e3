"""Starts the interpreter that runs this script again and again, told the same."""

import os
import resource
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "workloads"))

import pepjit_worker

EXPECTED = ("done\n", 0)


def options():
    """The interpreter's own options, such as ``-X jit``: children don't inherit them by themselves."""
    given = getattr(sys, "orig_argv", [sys.executable])[1:]
    return given[: given.index(sys.argv[0])] if sys.argv[0] in given else []


def children_cpu():
    """CPU seconds of the children that have ended, all their threads included."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def heat():
    """Gives a JIT something to compile, so that it can prove that it is on here and thus in the children."""
    total = 0
    for number in range(200_000):
        total += number & 7
    return total


def main(name, program):
    command = [sys.executable, *options(), "-c", f"{program}\nprint('done')"]

    def run():
        child = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        return child.stdout, child.returncode

    for _ in range(3):
        heat()
    pepjit_worker.main(name, run, EXPECTED, cpu_timer=children_cpu)
