"""Threads with a short stack, which the compiler would overflow: there, everything stays interpreted."""

import subprocess
import sys
import unittest

PROGRAM = """
import sys, threading, pepjit
pepjit.enable(threshold=0)
source = "def f(a, b):\\n total = 0\\n for i in range(a):\\n"
for number in range(40):
    source += f"  if i % {number + 2} == b: total += i * {number} + len(str(i))\\n  else: total -= [i, b][i & 1] // 3\\n"
exec(source + " return total")
results = []
def work():
    results.append(f(50, 1))
    results.append(f(50, 1))
    results.append(pepjit.is_compiled(f) or pepjit.compile(f))
threading.stack_size(int(sys.argv[1]) * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(*results)
print(pepjit.explain(f)["reason"])
threading.stack_size(0)
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(*results[3:])
"""


class Stack(unittest.TestCase):
    def run_with(self, kib):
        command = [sys.executable, "-c", PROGRAM, str(kib)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def test_nothing_is_compiled_on_a_short_stack(self):
        for kib in (64, 96, 128, 192, 256):
            with self.subTest(kib=kib):
                short, reason, other = self.run_with(kib)
                total = short.split()[0]
                self.assertEqual((short, reason), (f"{total} {total} False", "not hot yet"))
                self.assertEqual(other, f"{total} {total} True", "another thread compiles it")

    def test_a_longer_one_will_do(self):
        short, reason, other = self.run_with(1024)
        total = short.split()[0]
        self.assertEqual((short, reason, other), (f"{total} {total} True", "compiled", f"{total} {total} True"))


if __name__ == "__main__":
    unittest.main()
