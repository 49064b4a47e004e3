"""Builds the C shim for the interpreter that runs this file and tests it from Python.

    python3.14 jit/runtime/csrc/tests/run.py [unittest options]

Needs a C compiler and the interpreter's headers. shimtest.c stands for the Rust side, so the shim is tested without the compiler.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent


def headers() -> Path:
    """The folder of this interpreter's headers: as reported, or beside the executable."""
    name = "python%d.%d" % sys.version_info[:2]
    candidates = [Path(sysconfig.get_path("include")), Path(sys.executable).resolve().parent.parent / "include" / name]
    for folder in candidates:
        if (folder / "internal" / "pycore_frame.h").is_file():
            return folder
    sys.exit(f"the headers of {sys.executable} aren't in {candidates[0]}; install its development package")


def build(folder: str) -> None:
    include = headers()
    sources = sorted(HERE.parent.glob("*.c")) + [HERE / "shimtest.c"]
    command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-Wl,-z,now"]
    command += ["-fno-strict-aliasing", "-Wno-missing-field-initializers", "-Wno-sign-compare", "-DPy_BUILD_CORE", "-DNDEBUG"]
    command += ["-isystem", str(include), "-isystem", str(include / "internal"), "-idirafter", str(include.parent)]
    subprocess.run([*command, "-o", str(Path(folder) / "shimtest.so"), *map(str, sources)], check=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        build(folder)
        sys.path[:0] = [folder, str(HERE)]
        suite = unittest.defaultTestLoader.discover(str(HERE), "test_*.py")
        result = unittest.TextTestRunner(verbosity=2 if "-v" in sys.argv else 1).run(suite)
    sys.exit(not result.wasSuccessful())
