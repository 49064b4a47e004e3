"""The worker every workload of this folder hands itself to.

A workload is a script that defines ``run()``, one deterministic iteration that
returns a checkable result, and ``EXPECTED``, that result::

    if __name__ == "__main__":
        pepjit_worker.main("nbody", run, EXPECTED)

Started with ``--worker`` the script is one *process* of a measurement: it speaks
the worker protocol of pyperf and writes one pyperf JSON (version 1.0) run.
Started without, it times itself a few times and prints the mean.

The very first iteration is always run, checked against ``EXPECTED`` and recorded
as ``pepjit_first_iteration``; it is never one of the values. The last result of
each value is checked too, outside the timed region: a fast wrong answer is
not a measurement.

Co-scheduled blocks are asked for by the environment variable ``PEPJIT_COSCHEDULE``,
see `Coschedule`.

Exit codes: 0 done; 1 the workload raised; 2 usage; 3 wrong result; 4 the other
parties of a co-scheduled block didn't come.

Only the standard library is used, heavy modules are imported after the last
value, and anything an interpreter doesn't have is left out of the metadata.
"""

import argparse
import gc
import os
import sys
import time

EXIT_USAGE = 2
EXIT_WRONG_RESULT = 3
EXIT_BARRIER = 4

COSCHEDULE_VARIABLE = "PEPJIT_COSCHEDULE"
BARRIER_TIMEOUT = 120.0
QUIET_ITERATIONS = 3
MIN_WARMUPS = 3
MIN_VALUES = 2
MAX_LOOPS = 2**32


class WorkerError(Exception):
    """A failure with its exit code; the message says what to do."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Workload:
    """A name, the function to time, and what it has to return."""

    def __init__(self, name, run, expected, cpu_timer=time.thread_time):
        self.name = name
        self.run = run
        self.expected = expected
        self.cpu_timer = cpu_timer

    def check(self, result, when):
        if result != self.expected:
            raise WorkerError(
                EXIT_WRONG_RESULT,
                f"workload {self.name}: wrong result {when}\n"
                f"  expected {shorten(self.expected)}\n"
                f"  got      {shorten(result)}\n"
                "The interpreter (or a JIT in it) computed something else than plain "
                "CPython does; nothing was written. Run the script with the JIT off to compare.",
            )

    def time(self, loops, timer):
        """Seconds that `loops` iterations took, and the last one's result."""
        run = self.run
        result = None
        start = timer()
        for _ in range(loops):
            result = run()
        return timer() - start, result

    def value(self, loops, timer, when):
        """Seconds per iteration; the last iteration's result has been checked."""
        elapsed, result = self.time(loops, timer)
        self.check(result, when)
        if elapsed <= 0.0:
            raise WorkerError(
                EXIT_USAGE,
                f"workload {self.name}: {loops} loops took no measurable time; raise --loops",
            )
        return elapsed / loops


def shorten(value, limit=300):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


# --- one process of an interleaved measurement -------------------------------------------


class Measurement:
    """What one process measured: pyperf's warm-ups and values, and free metadata."""

    def __init__(self):
        self.warmups = []
        self.values = []
        self.metadata = {}

    def first_iteration(self, workload, timer):
        first = workload.value(1, timer, "in the first iteration")
        self.metadata["pepjit_first_iteration"] = first
        return first


def measure(workload, options):
    """The plain protocol: `warmups` then `values`, each of `loops` iterations."""
    timer = time.perf_counter
    measurement = Measurement()
    measurement.metadata["timer"] = describe_clock("perf_counter")
    measurement.metadata["pepjit_design"] = "process"
    first = measurement.first_iteration(workload, timer)
    loops = options.loops
    if options.calibrate_loops or options.recalibrate_loops:
        loops = calibrate(workload, options, measurement, timer)
    else:
        for number in range(options.warmups):
            value = workload.value(loops, timer, f"in warm-up {number + 1}")
            measurement.warmups.append((loops, value))
        watch = Watch()
        for number in range(options.values):
            measurement.values.append(workload.value(loops, timer, f"in value {number + 1}"))
            watch.look(len(measurement.values))
        watch.record(measurement)
        if not measurement.warmups and not measurement.values:
            # pyperf refuses a run without either, and the first iteration is a fact.
            measurement.warmups.append((1, first))
    measurement.metadata["loops"] = loops
    return measurement


def calibrate(workload, options, measurement, timer):
    """pyperf's calibration: double the loops until a value lasts --min-time."""
    loops = max(options.loops, 1)
    while True:
        value = workload.value(loops, timer, "while calibrating")
        measurement.warmups.append((loops, value))
        if value * loops >= options.min_time or loops >= MAX_LOOPS:
            break
        loops *= 2
    kind = "calibrate_loops" if options.calibrate_loops else "recalibrate_loops"
    measurement.metadata[kind] = loops
    return loops


# --- one party of a co-scheduled block ---------------------------------------------------


class Coschedule:
    """The agreement between the parties that share one CPU.

    ``PEPJIT_COSCHEDULE`` is a JSON object:

    ``barrier``
        a directory of this block alone, empty at the start; the parties meet in it;
    ``id``
        this party's name (the tier), different from all the others';
    ``parties``
        how many meet;
    ``warmup``
        seconds (wall clock) of warm-up. The CPU is shared, so choose it in proportion
        to the parties. A JIT that still compiles, and a party that others keep from its
        share of the CPU, gets up to three times as long, and the others go on warming up
        beside it;
    ``window``
        seconds (wall clock) of one common timing window;
    ``blocks``
        how many windows, 1 unless told; the values of all of them are
        concatenated, and ``coschedule_block_values`` says how many each one gave.

    In a window each iteration is a value, timed by the CPU time of the thread. Who is done
    early keeps the CPU as busy as before, untimed, until the last party is done.

    Files: ``warm.0.ID``, ``ready.BLOCK.ID``, ``window.BLOCK`` (start and end on the monotonic clock, which
    processes of one machine share), ``done.BLOCK.ID``, and ``failed.ID`` with the
    reason, so that nobody waits for a dead party.
    """

    def __init__(self, text):
        import json

        try:
            plan = json.loads(text)
            self.directory = os.fspath(plan["barrier"])
            self.id = str(plan["id"])
            self.parties = int(plan["parties"])
            self.warmup = float(plan["warmup"])
            self.window = float(plan["window"])
            self.blocks = int(plan.get("blocks", 1))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise WorkerError(
                EXIT_USAGE,
                f"{COSCHEDULE_VARIABLE} is not understood ({type(error).__name__}: {error}); it "
                'has to be a JSON object such as {"barrier": "/tmp/b", "id": "interp", "parties": 2, '
                '"warmup": 1.0, "window": 2.0, "blocks": 1}',
            ) from error
        if self.parties < 1 or self.blocks < 1 or self.warmup < 0 or self.window <= 0:
            raise WorkerError(
                EXIT_USAGE,
                f"{COSCHEDULE_VARIABLE}: parties and blocks have to be at least 1, "
                "window above 0 and warmup not negative",
            )
        self.file_id = "".join(c if c.isalnum() or c in "-_" else "_" for c in self.id)
        if not os.path.isdir(self.directory):
            raise WorkerError(
                EXIT_USAGE,
                f"{COSCHEDULE_VARIABLE}: the barrier directory {self.directory} doesn't exist; "
                "make an empty one for each block",
            )

    # The meeting place.

    def path(self, *parts):
        return os.path.join(self.directory, ".".join(str(part) for part in parts))

    def publish(self, path, text):
        """Create `path` with all of its text at once; False if it was there already."""
        temporary = f"{path}.{self.file_id}.{os.getpid()}~"
        with open(temporary, "w") as file:
            file.write(text)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)
        return True

    def announce(self, kind, block):
        if not self.publish(self.path(kind, block, self.file_id), ""):
            raise WorkerError(
                EXIT_BARRIER,
                f"the barrier directory {self.directory} already knows a party {self.id!r}; "
                "give every block an empty directory and every party its own id",
            )

    def arrived(self, kind, block):
        """How many parties have announced `kind`; raises if one of them failed."""
        prefix = f"{kind}.{block}."
        count = 0
        for name in os.listdir(self.directory):
            if name.endswith("~"):
                continue
            if name.startswith(prefix):
                count += 1
            elif name.startswith("failed."):
                with open(os.path.join(self.directory, name)) as file:
                    reason = file.read().strip()
                raise WorkerError(
                    EXIT_BARRIER,
                    f"party {self.id!r} gave up because {name.partition('.')[2]!r} failed: "
                    f"{reason}",
                )
        return count

    def fail(self, reason):
        self.publish(self.path("failed", self.file_id), " ".join(reason.split())[:500] or "unknown")

    def too_late(self, waited_for, count):
        return WorkerError(
            EXIT_BARRIER,
            f"party {self.id!r} waited {BARRIER_TIMEOUT:.0f} s for {self.parties} parties to be "
            f"{waited_for}, only {count} came; look at the output of the others (directory "
            f"{self.directory})",
        )

    def stay_busy(self, kind, block, run):
        """Announce `kind` and go on running until all parties have."""
        self.announce(kind, block)
        give_up = time.monotonic() + BARRIER_TIMEOUT
        while True:
            count = self.arrived(kind, block)
            if count >= self.parties:
                return
            if time.monotonic() > give_up:
                raise self.too_late(kind, count)
            run()

    def meet(self, block):
        """Wait until all are ready and the common window begins; when it ends."""
        self.announce("ready", block)
        agreed = self.path("window", block)
        give_up = time.monotonic() + BARRIER_TIMEOUT
        while not os.path.exists(agreed):
            count = self.arrived("ready", block)
            if count >= self.parties:
                # The last to arrive agrees with itself; of two last ones, one wins. The head
                # start lets all wake up in time.
                start = time.monotonic() + 0.02 + 0.005 * self.parties
                self.publish(agreed, f"{start!r} {start + self.window!r}")
                break
            if time.monotonic() > give_up:
                raise self.too_late("ready", count)
            time.sleep(0.002)
        with open(agreed) as file:
            start, end = map(float, file.read().split())
        while True:
            remaining = start - time.monotonic()
            if remaining <= 0:
                return end
            time.sleep(min(remaining, 0.002))


def measure_coscheduled(workload, plan):
    """All of a co-scheduled party's life; values are CPU seconds of single iterations."""
    timer = workload.cpu_timer
    measurement = Measurement()
    try:
        measurement.first_iteration(workload, timer)
        warm_up(workload, plan, measurement, timer)
        # Who is warm doesn't leave the processor to the others: theirs is a warm-up for the window only with as many
        # beside it that want the caches.
        plan.stay_busy("warm", 0, lambda: warm_up_once(workload, measurement, timer))
        watch = Watch()
        counts = []
        thread_cpu = process_cpu = 0.0
        for block in range(plan.blocks):
            # The parties have run different numbers of iterations until here, each of which brings the next full
            # collection nearer: without this one, the fastest party would pay for it inside its window and the
            # others outside.
            gc.collect()
            end = plan.meet(block)
            process_start, thread_start = time.process_time(), timer()
            values = []
            while len(values) < MIN_VALUES or time.monotonic() < end:
                values.append(workload.value(1, timer, "in a window"))
                watch.look(len(measurement.values) + len(values))
            thread_cpu += timer() - thread_start
            process_cpu += time.process_time() - process_start
            measurement.values.extend(values)
            counts.append(len(values))
            # Stay a load for those that are still timing.
            plan.stay_busy("done", block, workload.run)
    except BaseException as error:
        plan.fail(f"{type(error).__name__}: {error}")
        raise
    watch.record(measurement)
    measurement.metadata.update(
        timer=describe_clock("thread_time") if timer is time.thread_time else timer.__name__,
        loops=1,
        pepjit_design="coscheduled",
        coschedule_id=plan.id,
        coschedule_parties=plan.parties,
        coschedule_window=plan.window,
        coschedule_block_values=",".join(map(str, counts)),
        # A JIT that works in another thread is seen here, and only here.
        coschedule_thread_cpu=thread_cpu,
        coschedule_process_cpu=process_cpu,
    )
    return measurement


def warm_up(workload, plan, measurement, timer):
    # On a machine that others use too, a stretch of wall-clock time is any amount of work: a party is warm once it has had
    # its share of processor time as well, unless that takes too long.
    begin, cpu_begin, cpu_share = time.monotonic(), timer(), plan.warmup / plan.parties
    quiet = 0
    compiled = compiled_so_far()
    while True:
        warm_up_once(workload, measurement, timer)
        now_compiled = compiled_so_far()
        quiet = quiet + 1 if now_compiled == compiled else 0
        compiled = now_compiled
        elapsed = time.monotonic() - begin
        if elapsed < plan.warmup or len(measurement.warmups) < MIN_WARMUPS:
            continue
        if elapsed >= 3 * plan.warmup or (quiet >= QUIET_ITERATIONS and timer() - cpu_begin >= cpu_share):
            return


def warm_up_once(workload, measurement, timer):
    measurement.warmups.append((1, workload.value(1, timer, "while warming up")))


# --- what the JITs say of themselves -----------------------------------------------------


def jit_counters():
    """pepjit.stats() if a pepjit is loaded, as ints; never imports it."""
    stats = getattr(sys.modules.get("pepjit"), "stats", None)
    if stats is None:
        return {}
    return {key: int(value) for key, value in stats().items() if isinstance(value, int)}


def compiled_so_far():
    counters = jit_counters()
    return counters.get("functions_compiled", 0), counters.get("loops_compiled", 0)


class Watch:
    """What a JIT does while values are taken: compiling or leaving code means not warmed up."""

    KEYS = ("functions_compiled", "loops_compiled", "exits", "compile_ns")

    def __init__(self):
        self.before = jit_counters()
        self.compiled = compiled_so_far()
        self.last = 0

    def look(self, values):
        """After each value, outside of what is timed."""
        if self.before:
            now = compiled_so_far()
            if now != self.compiled:
                self.compiled, self.last = now, values

    def record(self, measurement):
        if not self.before:
            return
        after = jit_counters()
        for key in self.KEYS:
            measurement.metadata[f"pepjit_timed_{key}"] = after.get(key, 0) - self.before.get(key, 0)
        # Counted from 1; 0 when nothing was compiled any more.
        measurement.metadata["pepjit_timed_last_compile"] = self.last


def pepjit_metadata():
    return {f"pepjit_{key}": value for key, value in jit_counters().items()}


def cpython_jit_metadata(run):
    """CPython's own JIT: its switches, and proof that it compiled this workload's code."""
    jit = getattr(sys, "_jit", None)
    if jit is None:
        return {}
    metadata = {
        "cpython_jit_available": int(jit.is_available()),
        "cpython_jit_enabled": int(jit.is_enabled()),
        "cpython_jit_active": 0,
    }
    if jit.is_enabled():
        metadata["cpython_jit_active"] = int(probe_cpython_jit(jit.is_active))
        metadata["cpython_jit_executors"] = count_executors(run)
    return metadata


def probe_cpython_jit(is_active):
    """Whether a loop that is hot in this very process runs in machine code."""
    hits = 0
    for _ in range(20_000):
        if is_active():
            hits += 1
    return hits > 0


def count_executors(run):
    """Instructions of the workload's module at which compiled code is entered."""
    try:
        from _opcode import get_executor
    except ImportError:
        return 0
    todo = [getattr(value, "__code__", None) for value in reachable_functions(run)]
    seen = set()
    executors = 0
    while todo:
        code = todo.pop()
        if code is None or id(code) in seen:
            continue
        seen.add(id(code))
        todo.extend(constant for constant in code.co_consts if type(constant) is type(code))
        for offset in range(0, len(code.co_code), 2):
            try:
                executors += get_executor(code=code, offset=offset) is not None
            except (ValueError, RuntimeError):
                pass
    return executors


def reachable_functions(run):
    """The functions of the workload's module, methods and properties included."""
    module = run.__module__
    for value in list(run.__globals__.values()):
        if getattr(value, "__module__", None) != module:
            continue
        if not isinstance(value, type):
            yield value
            continue
        for attribute in vars(value).values():
            yield getattr(attribute, "__func__", attribute)
            for accessor in ("fget", "fset"):
                yield getattr(attribute, accessor, None)


# --- facts about the process -------------------------------------------------------------


def start_metadata():
    metadata = {
        "load_avg_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        "start_time": time.time(),
        # Local and without a zone, as pyperf writes it.
        "date": time.strftime("%Y-%m-%d %H:%M:%S"),
        "python_implementation": sys.implementation.name,
        "python_version": ".".join(map(str, sys.version_info[:3])),
        "python_gc": "enabled" if gc.isenabled() else "disabled",
    }
    if os.environ.get("PYTHONHASHSEED"):
        metadata["python_hash_seed"] = os.environ["PYTHONHASHSEED"]
    if hasattr(os, "sched_getaffinity"):
        metadata["cpu_affinity"] = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    return metadata


def memory_metadata():
    """Bytes; VmHWM because ru_maxrss is inherited across exec, PSS and USS as of now."""
    metadata = {}
    peak = read_kilobytes("/proc/self/status").get("VmHWM")
    if peak:
        metadata["mem_max_rss"] = peak
    rollup = read_kilobytes("/proc/self/smaps_rollup")
    if rollup:
        metadata["mem_pss"] = rollup.get("Pss", 0)
        metadata["mem_uss"] = rollup.get("Private_Clean", 0) + rollup.get("Private_Dirty", 0)
    return metadata


def read_kilobytes(path):
    """The "Name: N kB" lines of a /proc file, in bytes; empty where there is none."""
    sizes = {}
    try:
        with open(path) as file:
            for line in file:
                words = line.split()
                if len(words) == 3 and words[2] == "kB":
                    sizes[words[0].rstrip(":")] = int(words[1]) * 1024
    except OSError:
        pass
    return sizes


def describe_clock(name):
    info = time.get_clock_info(name)
    return f"{info.implementation}, resolution: {info.resolution * 1e9:.2f} ns"


# --- what runs, and what of it is compiled --------------------------------------------------


def coverage(workload):
    """What `PEPJIT_COVERAGE` asks for, after everything that is timed: without a JIT the bytecode that an iteration executes, by
    code object; with one what became of each, and the exits of an iteration."""
    jit = getattr(sys, "_jit", None)
    if jit_counters():
        before, rounds = jit_counters(), 3
        for _ in range(rounds):
            workload.run()
        after = jit_counters()
        exits = {
            key.partition(":")[2]: (count - before.get(key, 0)) / rounds
            for key, count in after.items()
            if key.startswith("exit:") and count > before.get(key, 0)
        }
        return {"exits": exits, "states": states(pepjit_state)}
    if jit is not None and jit.is_enabled():
        return {"states": states(cpython_jit_state)}
    if "cinderx.jit" in sys.modules:
        return {"states": states(cinderx_state)}
    return count_bytecodes(workload.run)


def count_bytecodes(run):
    """The instructions of one iteration in this thread and others, by code object."""
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is None:
        return {}
    counts = {}
    codes = {}

    def on_instruction(code, offset):
        key = id(code)
        if key in counts:
            counts[key] += 1
        else:
            counts[key] = 1
            codes[key] = code  # Kept, so that no other code gets its id.

    tool = monitoring.DEBUGGER_ID
    monitoring.use_tool_id(tool, "coverage")
    try:
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, on_instruction)
        monitoring.set_events(tool, monitoring.events.INSTRUCTION)
        run()
        monitoring.set_events(tool, 0)
    finally:
        monitoring.free_tool_id(tool)
    executed = [
        {**place(codes[key]), "count": number}
        for key, number in sorted(counts.items(), key=lambda item: -item[1])
        if codes[key].co_filename != __file__
    ]
    return {"bytecodes": sum(item["count"] for item in executed), "executed": executed}


def place(code):
    return {"file": code.co_filename, "name": code.co_qualname, "line": code.co_firstlineno}


def states(state_of):
    """What a JIT made of the code of every function that is alive."""
    known = {}
    for function in gc.get_objects():
        if type(function) is type(states):
            state = state_of(function)
            # Several functions may share a code object: one that is compiled speaks for it.
            if state is not None and known.get(function.__code__, ("",))[0] != "compiled":
                known[function.__code__] = (state,)
    return [{**place(code), "state": state} for code, (state,) in known.items()]


def pepjit_state(function):
    told = sys.modules["pepjit"].explain(function)
    return None if told["reason"] == "not hot yet" else told["reason"]


def cpython_jit_state(function):
    from _opcode import get_executor

    code = function.__code__
    for offset in range(0, len(code.co_code), 2):
        try:
            if get_executor(code=code, offset=offset) is not None:
                return "compiled"
        except (ValueError, RuntimeError):
            pass
    return None


def cinderx_state(function):
    return "compiled" if sys.modules["cinderx.jit"].is_jit_compiled(function) else None


# --- the command line --------------------------------------------------------------------


def parse_options(name, argv):
    parser = argparse.ArgumentParser(
        prog=name,
        description=f"The workload {name}. Without --worker: time it and print the mean.",
    )
    option = parser.add_argument
    option("--worker", action="store_true", help="be one process of a measurement")
    option("--worker-task", type=count, default=0, metavar="K", help="only task 0 exists")
    option("-l", "--loops", type=count, default=0, metavar="N", help="iterations per value")
    option("-w", "--warmups", type=count, default=None, metavar="W", help="untimed values first")
    option("-n", "--values", type=count, default=None, metavar="V", help="values to take")
    option("-o", "--output", metavar="FILE", help="where to write pyperf JSON")
    option("--pipe", type=int, metavar="FD", help="write the JSON to this file descriptor")
    option("--min-time", type=float, default=0.1, help="seconds; what calibration aims at")
    option("--calibrate-loops", action="store_true")
    option("--recalibrate-loops", action="store_true")
    for flag in ("--calibrate-warmups", "--recalibrate-warmups"):
        option(flag, action="store_true", help=argparse.SUPPRESS)
    # Options that a manager passes on and that change nothing here.
    for flag in ("--fast", "--rigorous", "--debug-single-value", "--copy-env", "--no-locale"):
        option(flag, action="store_true", help=argparse.SUPPRESS)
    for flag in ("-v", "--verbose"), ("-q", "--quiet"), ("-m", "--metadata"), ("-d", "--dump"):
        option(*flag, action="store_true", help=argparse.SUPPRESS)
    for flag in ("--inherit-environ", "--affinity", "--timeout", "--python"):
        option(flag, help=argparse.SUPPRESS)
    option("-p", "--processes", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)

    if options.calibrate_warmups or options.recalibrate_warmups:
        parser.error("warm-ups aren't calibrated here; give --warmups")
    if options.worker:
        if options.warmups is None:
            options.warmups = 1
        if options.values is None:
            options.values = 3
        if options.loops < 1 and not options.calibrate_loops:
            options.loops = 1
        if options.output is None and options.pipe is None and options.worker_task == 0:
            parser.error("--worker needs -o FILE (or --pipe FD) to write its result to")
    else:
        if options.warmups is None:
            options.warmups = 3
        if options.values is None:
            options.values = 5
        if options.values < 1:
            parser.error("--values has to be at least 1 without --worker")
        options.loops = max(options.loops, 1)
    return options


def count(text):
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("has to be 0 or more")
    return value


def to_json(measurement):
    import json

    run = {"metadata": measurement.metadata}
    if measurement.warmups:
        run["warmups"] = measurement.warmups
    if measurement.values:
        run["values"] = measurement.values
    return json.dumps({"version": "1.0", "benchmarks": [{"runs": [run]}]}) + "\n"


def write_output(text, options):
    if options.output is not None:
        # Whole or not at all: a reader never sees half a file.
        temporary = f"{options.output}.{os.getpid()}~"
        with open(temporary, "w") as file:
            file.write(text)
        os.replace(temporary, options.output)
    if options.pipe is not None:
        with open(options.pipe, "w") as file:
            file.write(text)


def print_quick(name, measurement):
    values = measurement.values
    mean = sum(values) / len(values)
    spread = (sum((value - mean) ** 2 for value in values) / max(len(values) - 1, 1)) ** 0.5
    first = measurement.metadata["pepjit_first_iteration"]
    print(
        f"{name}: {mean * 1e3:.1f} ms +- {spread * 1e3:.1f} ms "
        f"({len(values)} values; first iteration {first * 1e3:.1f} ms)"
    )


def work(workload, options):
    if options.worker and options.worker_task > 0:
        return  # There is one benchmark in each file: later tasks have nothing to do.
    metadata = {"name": workload.name, "unit": "second", **start_metadata()}
    began = time.monotonic()
    plan = os.environ.get(COSCHEDULE_VARIABLE)
    if plan and options.worker:
        measurement = measure_coscheduled(workload, Coschedule(plan))
    else:
        measurement = measure(workload, options)
    metadata["duration"] = time.monotonic() - began
    metadata.update(memory_metadata())
    metadata.update(pepjit_metadata())
    metadata.update(cpython_jit_metadata(workload.run))
    metadata.update(measurement.metadata)
    measurement.metadata = metadata
    text = to_json(measurement)
    wanted = os.environ.get("PEPJIT_COVERAGE")
    if wanted and options.worker:
        import json
        import signal

        # What follows isn't the workload: a sampler has seen enough.
        signal.setitimer(signal.ITIMER_PROF, 0)
        with open(wanted, "w") as file:
            json.dump(coverage(workload), file)
    try:
        write_output(text, options)
    except OSError as error:
        raise WorkerError(
            1, f"the result can't be written: {error}; is the directory there and writable?"
        ) from error
    if not options.worker and measurement.values:
        print_quick(workload.name, measurement)


def main(name, run, expected, argv=None, cpu_timer=time.thread_time):
    """Run the workload as the command line says, and exit.

    ``cpu_timer`` is for workloads whose time doesn't pass in this thread; it times co-scheduled windows.
    """
    options = parse_options(name, sys.argv[1:] if argv is None else argv)
    try:
        work(Workload(name, run, expected, cpu_timer), options)
    except WorkerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.code)
    sys.exit(0)
