"""What the coexistence tiers run in each of their processes: one function three ways, by the interpreter and our JIT, and by
another compiler. The tier's first lines say how to get the other compiler's version of a function (`another`), whether it is
at work (`working`), and its name. `prove` is asked at the process's end, after the workload.
"""


def _mix(n):
    total = 7
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total


def _again(n):
    # The same for our JIT alone: code that nobody else has touched.
    total = 7
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total


_other = another(_mix)  # noqa: F821
_first = _other(1000)


def prove():
    """How many compilers are at work in the process: two. Raises where one disturbs the other."""
    import sys

    import pepjit

    for size in 0, 1, 1000, 20000:
        results = {"interpreter": _mix(size), "pepjit": _again(size), NAME: int(_other(size))}  # noqa: F821
        if len(set(results.values())) != 1:
            raise RuntimeError(f"the results for {size} differ: {results}")
    if int(_first) != _mix(1000):
        raise RuntimeError(f"{NAME} gave {_first} before the workload and {_mix(1000)} after it")  # noqa: F821
    if not pepjit.is_enabled():
        raise RuntimeError("pepjit is disabled")
    owner = sys.monitoring.get_tool(5)
    if owner != "pepjit":
        raise RuntimeError(f"pepjit's tool of sys.monitoring belongs to {owner!r}")
    counters = pepjit.stats()
    if not counters["functions_compiled"] + counters["loops_compiled"]:
        raise RuntimeError(f"pepjit compiles nothing any more: {pepjit.explain(_again)}")
    if not working(_other):  # noqa: F821
        raise RuntimeError(f"{NAME} compiles nothing any more")  # noqa: F821
    return 2
