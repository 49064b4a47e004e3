"""Makes the folder `module` beside this file part of the interpreter's site.

Its .pth file decides, by the environment, whether the JIT is loaded. A tier that its user declared brings
`declared.json`: Python that turns its JIT on, and an expression that proves it at the end.

What a worker's memory was, and whether CPython's own JIT was at work, is noted at its end, the same way for every script and tier.
Of the processes that a worker starts only those leave a line in which our JIT compiled something.
"""


def _extend_site():
    import os
    import site
    import sys

    here = os.path.dirname(os.path.abspath(__file__))
    site.addsitedir(os.path.join(here, "module"))
    # The environment may have a sitecustomize of its own, which this one hides.
    sys.path[:] = [entry for entry in sys.path if entry != here]
    mine = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        sys.modules["sitecustomize"] = mine  # The import system wants to find a module here.
        if error.name != "sitecustomize":
            raise


def _is_worker():
    """A worker leads its process group; what it starts inherits the environment and isn't it."""
    import os

    return hasattr(os, "getpgrp") and os.getpgrp() == os.getpid()


def _child():
    """Has a process that a worker started tell of itself. The module's own file would be the worker's, and one that is written for nothing
    costs a short process more than all else that is done here."""
    import os

    stats = os.environ.pop("PEPJIT_STATS", None)
    if stats:
        os.environ["PEPJIT_CHILDREN"] = os.path.join(os.path.dirname(stats), "children.txt")
    path = os.environ.get("PEPJIT_CHILDREN")
    if not path:
        return
    import atexit
    import sys

    def note():
        jit = sys.modules.get("pepjit")
        counters = jit.stats() if jit is not None else {}
        told = [counters.get(name, 0) for name in ("functions_compiled", "loops_compiled", "native_entries", "osr_entries")]
        if told[0] or told[1]:
            # A line is short enough to be written whole.
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.write(file, (" ".join(map(str, told)) + "\n").encode())
            os.close(file)

    atexit.register(note)


def _memory():
    import os

    stats = os.environ.get("PEPJIT_STATS")
    if not stats:
        return
    import atexit

    def kib(path, keep):
        sizes = {}
        try:
            with open(path) as file:
                for line in file:
                    words = line.split()
                    if len(words) == 3 and words[2] == "kB" and words[0] in keep:
                        sizes[words[0]] = int(words[1])
        except OSError:
            pass
        return sizes

    def library():
        """Pages of the JIT's library that are in memory."""
        total, inside = 0, False
        with open("/proc/self/smaps") as file:
            for line in file:
                words = line.split()
                if not words[0].endswith(":"):
                    inside = "/pepjit" in words[-1] and ".so" in words[-1]
                elif inside and words[0] == "Rss:":
                    total += int(words[1])
        return total

    def own_jit():
        """What CPython's own JIT shows: whether it is on, and where in the functions that are alive its code is entered."""
        import sys

        jit = getattr(sys, "_jit", None)
        if jit is None:
            return {}
        if not jit.is_enabled():
            return {"cpython_jit_enabled": 0}
        import gc
        import opcode
        from _opcode import get_executor

        enter = opcode.opmap.get("ENTER_EXECUTOR")
        executors, seen = 0, set()
        for function in gc.get_objects():
            code = getattr(function, "__code__", None) if type(function) is type(note) else None
            if code is None or code in seen:
                continue
            seen.add(code)
            running = code._co_code_adaptive
            for offset in range(0, len(running), 2):
                # Inline caches may hold any byte: the function that is asked tells them apart.
                if enter is None or running[offset] == enter:
                    try:
                        executors += get_executor(code=code, offset=offset) is not None
                    except (ValueError, RuntimeError):
                        pass
        return {"cpython_jit_enabled": 1, "cpython_jit_executors": executors}

    def write(name, facts):
        fields = ", ".join(f'"{key}": {value}' for key, value in facts.items())
        with open(os.path.join(os.path.dirname(stats), name), "w") as out:
            out.write("{" + fields + "}\n")

    def note():
        peak = kib("/proc/self/status", ("VmHWM:",))
        rollup = kib("/proc/self/smaps_rollup", ("Pss:", "Private_Clean:", "Private_Dirty:"))
        facts = {}
        if peak:
            facts["vm_hwm_kib"] = peak["VmHWM:"]
        if rollup:
            facts["pss_kib"] = rollup["Pss:"]
            facts["uss_kib"] = rollup["Private_Clean:"] + rollup["Private_Dirty:"]
            facts["library_kib"] = library()
        spent = os.times()
        facts["child_cpu_ms"] = round((spent.children_user + spent.children_system) * 1000)
        write("memory.json", facts)
        write("own_jit.json", own_jit())

    atexit.register(note)


def _declared():
    import os
    import sys

    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, "declared.json")
    if not os.path.exists(path):
        return
    import atexit
    import json

    with open(path) as file:
        declared = json.load(file)
    namespace = {"__name__": "declared_tier"}
    try:
        exec(declared["setup"], namespace)
    except Exception as error:
        print(f"the tier's setup failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(70)

    def prove():
        stats = os.environ.get("PEPJIT_STATS")
        if stats:
            value = int(eval(declared["prove"], namespace))
            with open(os.path.join(os.path.dirname(stats), "proof.json"), "w") as out:
                json.dump({"tier_proof": value}, out)

    if declared["prove"]:
        atexit.register(prove)


if _is_worker():
    _memory()
else:
    _child()
_extend_site()
_declared()
