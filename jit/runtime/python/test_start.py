"""When a process whose environment asks for the JIT gets it, and that its program can't tell: the .pth file imports a starter, which waits."""

import importlib.machinery
import importlib.util
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import unittest

SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
FOLDER = pathlib.Path(importlib.util.find_spec("_pepjit_start").origin).resolve().parent

# What the programs below ask for. Importing it raises few events.
ASK = f"""
import sys

def loaded():
    with open("/proc/self/maps") as maps:
        mapped = any(line.rstrip().endswith("/pepjit{SUFFIX}") for line in maps)
    known = "pepjit" in sys.modules
    assert mapped == known, (mapped, known)
    return known

def compiled():
    counters = sys.modules["pepjit"].stats()
    return counters["functions_compiled"] + counters["loops_compiled"] > 0

def heat(rounds=20_000):
    total = 0
    for number in range(rounds):
        total += number
    return total
"""

PREPARE = "import site\nsite.addsitedir({folder!r})\n"


class Start(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.place / "ask.py").write_text(ASK)
        self.site(FOLDER)

    def site(self, folder, before=""):
        """Has the programs' interpreters take a folder as they take site-packages."""
        (self.place / "sitecustomize.py").write_text(before + PREPARE.format(folder=str(folder)))

    def run_program(self, program, *, status=0, **variables):
        """What a program prints, and complains of."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PEPJIT")}
        environment.update({"PYTHONPATH": str(self.place), "PEPJIT": "1", **variables})
        environment = {name: value for name, value in environment.items() if value is not None}
        (self.place / "program.py").write_text("from ask import *\n" + textwrap.dedent(program))
        command = [sys.executable, self.place / "program.py"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout, done.stderr

    def gives(self, program, expected, **variables):
        self.assertEqual(self.run_program(program, **variables), (expected, ""))

    def differs_in_nothing(self, program, **more):
        """The same program with the starter and without."""
        with_it = self.run_program(program, **more)
        self.assertEqual(with_it, self.run_program(program, PEPJIT="0", **more))
        return with_it[0]

    def test_a_short_process_does_not_load_it(self):
        self.gives("print(loaded(), sys.monitoring.get_tool(5))", "False pepjit\n")
        # Importing a few modules isn't much either.
        self.gives("import argparse, json, logging\nprint(loaded())", "False\n")

    def test_a_hot_loop_at_module_level_loads_it(self):
        self.gives("for number in range(300_000):\n    number + number\nprint(loaded(), compiled())", "True True\n")

    def test_a_hot_function_loads_it(self):
        program = """
            def twice(number):
                return number + number + number * number - number
            total = sum(map(twice, range(300_000)))
            print(loaded(), sys.modules["pepjit"].is_compiled(twice), total)
        """
        total = sum(number + number + number * number - number for number in range(300_000))
        self.gives(program, f"True True {total}\n")

    def test_many_functions_load_it_though_none_is_hot(self):
        program = """
            functions = []
            for number in range(100):
                exec(f"def f():\\n return {number}")
                functions.append(f)
            def rounds(count):
                for _ in range(count):
                    for function in functions:
                        function()
            rounds(20)
            print(loaded())
            for _ in range(10):
                exec("def again(count):\\n for _ in range(count):\\n  for function in functions: function()")
                again(49)
            print(loaded())
        """
        self.gives(program, "False\nTrue\n")

    def test_an_import_takes_over(self):
        program = """
            print(loaded())
            import pepjit
            print(pepjit.is_enabled(), pepjit.stats()["functions_compiled"], sys.monitoring.get_tool(5))
            heat(300_000)
            print(compiled(), pepjit.__spec__.name, pepjit.__file__ == pepjit.__spec__.origin)
            pepjit.disable()
            print(pepjit.is_enabled(), sys.monitoring.get_tool(5))
            heat(300_000)
            print(pepjit.is_enabled())
            pepjit.enable()
            print(pepjit.is_enabled(), sys.monitoring.get_tool(5))
        """
        origin = "False\nTrue 0 pepjit\nTrue pepjit True\nFalse None\nFalse\nTrue pepjit\n"
        self.gives(program, origin)

    def test_what_the_starter_loads_is_what_an_import_loads(self):
        program = """
            {}
            import pepjit
            names = "__name__", "__package__", "__file__", "__doc__"
            print([getattr(pepjit, name) for name in names], pepjit.__spec__.origin, type(pepjit.__loader__), sorted(vars(pepjit)))
            module = pepjit
            del sys.modules["pepjit"], pepjit
            import pepjit
            print(pepjit.is_enabled(), pepjit.stats is module.stats)
        """
        by_itself, imported = self.run_program(program.format("heat(); assert loaded()")), self.run_program(program.format(""))
        self.assertEqual(by_itself, imported)
        self.assertTrue(by_itself[0].endswith("\nTrue True\n"), by_itself[0])

    def test_the_same_file_by_another_path_is_the_same_module(self):
        program = """
            import importlib.util, os, pepjit
            heat(300_000)
            before = pepjit.stats()["loops_compiled"], pepjit.is_enabled()
            link = os.path.join(os.path.dirname(__file__), os.path.basename(pepjit.__file__))
            os.symlink(pepjit.__file__, link)
            spec = importlib.util.spec_from_file_location("pepjit", link)
            again = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(again)
            print(before, again is pepjit, (pepjit.stats()["loops_compiled"], pepjit.is_enabled()) == before)
        """
        self.gives(program, "(1, True) True True\n")

    def test_switches_of_the_whole_process_load_it_at_once(self):
        told = {"PEPJIT_THRESHOLD": "7", "PEPJIT_SHARE": "50", "PEPJIT_EXIT": "every", "PEPJIT_BACKEND": "reference"}
        for name, value in {**told, "PEPJIT_STATS": str(self.place / "stats.json")}.items():
            with self.subTest(name):
                self.gives("print(loaded(), sys.modules['pepjit'].is_enabled())", "True True\n", **{name: value})
        self.assertIn("native_entries", (self.place / "stats.json").read_text())
        self.gives("print(loaded())", "False\n", PEPJIT_THRESHOLD="")
        self.gives("print(loaded())\nheat()\nprint(loaded())", "False\nTrue\n", PEPJIT_IDLE="1")

    def test_a_switch_with_a_wrong_value_is_one_line(self):
        text, complaint = self.run_program("print(heat(), sys.monitoring.get_tool(5))", PEPJIT_THRESHOLD="often")
        self.assertEqual((text, complaint), ("199990000 None\n", "pepjit: PEPJIT_THRESHOLD=often is no number\n"))

    def test_nothing_happens_without_being_asked_for(self):
        for value in ("0", "", None):
            program = "heat()\nprint(loaded(), [name for name in sys.modules if 'pepjit' in name], sys.monitoring.get_tool(5))"
            self.gives(program, "False [] None\n", PEPJIT=value)

    def test_exceptions_keep_their_tracebacks(self):
        program = """
            import traceback
            def fail(number):
                raise ValueError(number)
            texts = set()
            for number in range(7_000):
                try:
                    fail(number % 3)
                except ValueError as error:
                    before = sys.exc_info()
                    texts.add(traceback.format_exc())
                    heat(3)
                    assert sys.exc_info() == before and error.__context__ is None
            print(*sorted(texts))
            try:
                fail(1)
            except ValueError:
                heat()
                raise
        """
        text, complaint = self.run_program(program, status=1)
        self.assertEqual((text, complaint), self.run_program(program, status=1, PEPJIT="0"))
        self.assertTrue(complaint.endswith("ValueError: 1\n"), complaint)

    def test_a_generator_that_is_thrown_into_at_that_moment(self):
        program = """
            def numbers():
                while True:
                    try:
                        yield 1
                    except KeyError as error:
                        yield error.args
            generator, seen = numbers(), []
            for number in range(9_000):
                next(generator)
                seen.append(generator.throw(KeyError(number)))
            print(sum(args[0] for args in seen))
        """
        self.differs_in_nothing(program)

    def test_it_is_loaded_in_a_thread(self):
        program = """
            import threading
            found = []
            def work():
                heat()
                found.append(loaded())
            threads = [threading.Thread(target=work) for _ in range({})]
            before = loaded()
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            heat(300_000)
            print(before, all(found), compiled())
        """
        self.gives(program.format(1), "False True True\n")
        self.gives("sys.setswitchinterval(1e-6)\n" + textwrap.dedent(program.format(8)), "False True True\n")

    def test_a_thread_with_next_to_no_stack_leaves_it_to_others(self):
        program = """
            import threading
            def work():
                print(heat(), loaded())
            threading.stack_size(64 * 1024)
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            print(heat(), loaded())
        """
        self.gives(program, "199990000 False\n199990000 True\n")

    def test_a_fork_takes_the_starter_along(self):
        program = """
            import os
            child = os.fork()
            if child == 0:
                before = loaded()
                heat(300_000)
                os._exit(17 if not before and loaded() and compiled() else 1)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), loaded())
            heat(300_000)
            print(loaded(), compiled())
        """
        self.gives(program, "17 False\nTrue True\n")

    def test_a_fork_that_becomes_another_program(self):
        program = """
            import os
            if "again" in sys.argv:
                print(loaded(), flush=True)
                sys.exit(heat() and not loaded())
            heat()
            child = os.fork()
            if child == 0:
                os.execv(sys.executable, [sys.executable, __file__, "again"])
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), loaded())
        """
        self.gives(program, "False\n0 True\n")

    def test_children_of_multiprocessing(self):
        program = """
            import multiprocessing
            def work(rounds):
                before = loaded()
                heat(rounds)
                return before, loaded(), compiled()
            if __name__ == "__main__":
                with multiprocessing.get_context({!r}).Pool(1) as pool:
                    print(pool.apply(work, (300_000,)))
        """
        for method in ("fork", "forkserver", "spawn"):
            with self.subTest(method):
                text, complaint = self.run_program(program.format(method))
                self.assertTrue(text.endswith("True, True)\n"), text)
                self.assertEqual(complaint, "")

    def copy(self, *names):
        """A folder of its own, with some of the files."""
        folder = self.place / "copied"
        folder.mkdir()
        for name in names:
            shutil.copy(FOLDER / name, folder)
        self.site(folder)
        return folder

    def one_line(self, program, expected):
        text, complaint = self.run_program(program)
        self.assertEqual(text, expected)
        self.assertRegex(complaint, r"\Apepjit: [^\n]+\n\Z")
        return complaint

    def test_a_module_that_is_not_there_is_one_line(self):
        self.copy("pepjit.pth", f"_pepjit_start{SUFFIX}")
        program = "print(loaded())\nprint(heat(), heat())\nprint(loaded(), sys.monitoring.get_tool(5))"
        complaint = self.one_line(program, "False\n199990000 199990000\nFalse None\n")
        self.assertIn(str(self.place / "copied" / f"pepjit{SUFFIX}"), complaint)

    def test_a_module_that_is_broken_is_one_line(self):
        folder = self.copy("pepjit.pth", f"_pepjit_start{SUFFIX}")
        (folder / f"pepjit{SUFFIX}").write_text("not a library")
        self.one_line("print(heat(), heat())\nprint(sys.monitoring.get_tool(5))", "199990000 199990000\nNone\n")

    def test_a_starter_for_another_python_is_one_line(self):
        self.copy("pepjit.pth")
        self.assertIn("built for this Python", self.one_line("print(heat())", "199990000\n"))

    def test_a_tool_that_was_there_before(self):
        self.site(FOLDER, before="import sys\nsys.monitoring.use_tool_id(5, 'mine')\n")
        self.assertIn("tool 5", self.one_line("heat()\nprint(sys.monitoring.get_tool(5))", "mine\n"))

    def test_a_tool_that_comes_in_between(self):
        program = """
            events = sys.monitoring.events
            sys.monitoring.free_tool_id(5)
            sys.monitoring.use_tool_id(5, "mine")
            seen = []
            sys.monitoring.register_callback(5, events.PY_START, lambda code, offset: seen.append(code))
            sys.monitoring.set_events(5, events.PY_START)
            for _ in range(7_000):
                heat(1)
            print(len(seen), sys.monitoring.get_tool(5), loaded())
        """
        self.gives(program, "7000 mine False\n")

    def test_other_tools_do_not_see_it(self):
        program = """
            seen = []
            def trace(frame, event, argument):
                seen.append((frame.f_code.co_name, event))
                return None
            def work():
                return heat(3)
            sys.{}(trace)
            for _ in range(7_000):
                work()
            sys.{}(None)
            print(len(seen), sorted(set(seen)))
        """
        for name in ("settrace", "setprofile"):
            with self.subTest(name):
                self.differs_in_nothing(program.format(name, name))

    def test_the_import_system_is_not_needed(self):
        program = """
            import builtins
            builtins.__import__ = sys.meta_path = sys.path = sys.path_hooks = None
            heat()
            print("pepjit" in sys.modules)
        """
        self.gives(program, "True\n")

    def test_locks_of_modules_that_are_being_imported(self):
        (self.place / "slow.py").write_text("import ask, threading\nheld.set()\ngo.wait()\nask.heat()\n")
        program = """
            import builtins, threading
            builtins.held, builtins.go = threading.Event(), threading.Event()
            thread = threading.Thread(target=lambda: __import__("slow"))
            thread.start()
            held.wait()
            heat()
            print(loaded())
            go.set()
            import slow
            thread.join()
        """
        self.gives(program, "True\n")

    def test_an_audit_hook_that_refuses(self):
        program = """
            def hook(event, arguments):
                if event == "import" and arguments[0] == "pepjit":
                    raise {}("not here")
            sys.addaudithook(hook)
            print(heat(), loaded())
        """
        self.assertEqual(self.one_line(program.format("RuntimeError"), "199990000 False\n"), "pepjit: not here\n")
        text, complaint = self.run_program(program.format("KeyboardInterrupt"), status=-signal.SIGINT)
        self.assertTrue(complaint.endswith("KeyboardInterrupt: not here\n"), complaint)

    def test_the_end_of_the_recursion_limit(self):
        program = """
            sys.setrecursionlimit(300)
            def down(depth):
                try:
                    return down(depth + 1)
                except RecursionError:
                    return depth
            print({down(0) for _ in range(100)})
        """
        self.differs_in_nothing(program)

    def test_the_end_of_the_process(self):
        program = """
            import atexit
            class Last:
                def __del__(self, heat=heat):
                    heat()
            sys.last = Last()
            {}
            print(loaded())
        """
        self.gives(program.format(""), "False\n")
        self.gives(program.format("atexit.register(heat)"), "False\n")

    def test_other_interpreters_of_the_process(self):
        program = """
            try:
                import _interpreters
            except ImportError:
                import _xxsubinterpreters as _interpreters
            other = _interpreters.create()
            _interpreters.run_string(other, "def f():\\n  for _ in range(20_000): pass\\nf()")
            print(loaded())
            heat()
            print(loaded())
            _interpreters.destroy(other)
        """
        self.gives(program, "False\nTrue\n")


if __name__ == "__main__":
    unittest.main()
