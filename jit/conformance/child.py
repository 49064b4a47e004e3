"""What one process of the differential test does: load a corpus file (or a workload), run its cases, write what happened.

Results are JSON lines, flushed one by one, so that the parent knows which case a crash or a hang belongs to:
`{"begin": name}`, then `{"case": name, ...}`, and `{"done": true, ...}` at the very end.
"""

import contextlib
import gc
import importlib.util
import io
import json
import os
import sys
import traceback
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
if HERE not in sys.path:
    sys.path.insert(0, HERE)

import corpus_api  # noqa: E402

LONGEST = 200_000
"""Characters of output kept of each case; beyond it only a digest, so that a runaway case cannot fill the disk."""


def load(path):
    """Imports a Python file under a name of its own and returns the module."""
    name = "conformance_" + os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def load_cases(path):
    """The cases that the corpus file `path` registers."""
    before = len(corpus_api.CASES)
    load(path)
    return corpus_api.CASES[before:]


def load_workload(path):
    """A workload as one case: its `run()`, twice, so that the second run meets warm code."""
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    module = load(path)

    def run_twice():
        return module.run(), module.run()

    case = corpus_api.Case(run_twice, slow=False, leaks=True)
    case.name = "workload." + os.path.splitext(os.path.basename(path))[0]
    return [case]


def shorten(text):
    """`text`, or its beginning and a digest when it is very long."""
    if len(text) <= LONGEST:
        return text
    import hashlib

    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[:2000]}\n... {len(text)} characters, sha256 {digest}"


def plain(text, path):
    """`text` without addresses and without the folder of the file that was run."""
    folder = os.path.dirname(os.path.abspath(path)) + os.sep
    return shorten(corpus_api.stable(text.replace(folder, "")))


def run_case(case, path):
    """Runs one case and returns everything about it that has to be equal in every mode."""
    out, err = io.StringIO(), io.StringIO()
    result = exception = ""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("always")
        try:
            result = repr(case.function())
        except BaseException as error:  # a case may raise anything, SystemExit included
            trace = error.__traceback__
            lines = traceback.format_exception(type(error), error, trace.tb_next)
            exception = "".join(lines) + "\n".join(corpus_api.positions(trace.tb_next))
            error.__traceback__ = None
    return {
        "stdout": plain(out.getvalue(), path),
        "stderr": plain(err.getvalue(), path),
        "result": plain(result, path),
        "exception": plain(exception, path),
    }


def counters(jit):
    """The JIT's whole-number counters, or nothing without a JIT."""
    if jit is None:
        return {}
    return {key: value for key, value in jit.stats().items() if type(value) is int}


def difference(after, before):
    """Which counters moved, and by how much."""
    return {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}


def enable_jit(module_path):
    """Imports the JIT from the folder `module_path` and turns it on."""
    sys.path.insert(0, module_path)
    import pepjit

    pepjit.enable()
    return pepjit


def main(options):
    """Runs the cases of `options.file` and writes their results to `options.out`."""
    jit = enable_jit(options.module_path) if options.jit else None
    at_start = counters(jit)
    with open(options.out, "w", encoding="utf-8") as stream:

        def emit(record):
            stream.write(json.dumps(record) + "\n")
            stream.flush()

        cases = load_workload(options.file) if options.workload else load_cases(options.file)
        wanted = set(options.only) if options.only else None
        skipped = set(options.skip)
        gc.collect()
        gc.freeze()  # what the imports left is not looked at again by the collections between cases
        for case in cases:
            if case.name in skipped or (wanted is not None and case.name not in wanted):
                continue
            if options.filter and options.filter not in case.name:
                continue
            if options.fast and case.slow:
                continue
            emit({"begin": case.name})
            gc.collect()
            before = counters(jit)
            record = run_case(case, options.file)
            record["case"] = case.name
            record["counters"] = difference(counters(jit), before)
            emit(record)
        emit({"done": True, "counters": difference(counters(jit), at_start)})
    return 0
