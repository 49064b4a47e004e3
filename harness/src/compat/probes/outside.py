"""Tools that look at a process from outside: samplers, remote execution, native debuggers, crash reports."""

import collections
import json
import os
import re
import signal
import subprocess
import sys
import time

import api
from api import Target, Unavailable, inform, plain, run, tool, version

PYTHON = "%d.%d" % sys.version_info[:2]
STACK = ["spin", "level_two", "level_one", "busy"]
"""The known stack, innermost first."""


def _judge(stacks):
    """What samplers must agree on, of stacks with counts: each a list of (function, line), innermost first."""
    total = sum(stacks.values())
    if not total:
        return {"samples": False}
    whole = sum(n for stack, n in stacks.items() if [name for name, _ in stack][:4] == STACK)
    within = sum(n for stack, n in stacks.items() if stack and stack[0][0] == "spin")
    first = _lines()[0]
    right = sum(n for stack, n in stacks.items() if stack and stack[0][0] == "spin" and first < stack[0][1] <= first + 4)
    odd = collections.Counter()
    for stack, n in stacks.items():
        names = [name for name, _ in stack]
        if "busy" in names and names[: names.index("busy") + 1] not in (STACK, STACK[1:], STACK[2:], STACK[3:]):
            odd[" < ".join(names[:6])] += n
    inform(samples=total, share_of_the_whole_stack=round(whole / total, 3), share_with_a_line_of_the_loop=round(right / total, 3),
           other_stacks=dict(odd.most_common(3)))
    return {
        "samples": True, "whole stack in over 0.7": whole / total > 0.7, "leaf in over 0.7": within / total > 0.7,
        "line of the loop in over 0.9 of those": right > 0.9 * within, "other stacks in over 0.1": sum(odd.values()) > 0.1 * total,
    }


def _lines():
    import targets

    return [targets.spin.__code__.co_firstlineno]


def _unsupported(name, text, cure):
    """A tool that can't read this interpreter at all is not there for it."""
    if api.MODE == "off":
        last = (text.strip().splitlines() or ["it says nothing"])[-1]
        raise Unavailable(f"{name} can't read CPython {PYTHON}: {last}. {cure}")
    raise RuntimeError(f"{name} failed: {text[-1500:]}")


def _collapsed(text, order):
    """Stacks of lines `a;b;c COUNT`, outermost first; `order` takes a frame apart into function and line."""
    stacks = collections.Counter()
    for line in text.splitlines():
        frames, _, count = line.strip().rpartition(" ")
        if not count.isdigit():
            continue
        parsed = [order(frame) for frame in frames.split(";")]
        stack = tuple(reversed([frame for frame in parsed if frame]))
        if stack:
            stacks[stack] += int(count)
    return stacks


def py_spy():
    program = tool("py-spy", "python3 -m pip install py-spy")
    version("py-spy", run([program, "--version"]).stdout.split()[-1])
    with Target("busy") as target:
        out = os.path.join(os.getcwd(), "stacks")
        done = run([program, "record", "--pid", str(target.pid), "-d", "2", "-r", "100", "-f", "raw", "-o", out])
        if done.returncode or not os.path.exists(out):
            _unsupported("py-spy", done.stderr, "Use an older interpreter: --python 3.13")
        with open(out) as file:
            stacks = _collapsed(file.read(), _spied)
        dump = run([program, "dump", "--pid", str(target.pid)])
        target.finish()
    names = [line.split()[0] for line in dump.stdout.splitlines() if line.startswith("    ") and "targets.py" in line]
    return {"sampled": _judge(stacks), "dump": names[-4:] if len(names) > 4 else names[-3:]}


def _spied(frame):
    found = re.match(r"(\S+) \(.*targets\.py:(\d+)\)", frame)
    return (found[1], int(found[2])) if found else None


def austin():
    program = tool("austin", "python3 -m pip install austin-dist")
    version("austin", (run([program, "--version"]).stdout.split() or ["?"])[-1])
    with Target("busy") as target:
        out = os.path.join(os.getcwd(), "stacks")
        done = run([program, "-i", "10ms", "-x", "2", "-o", out, "-p", str(target.pid)])
        if not os.path.exists(out) or os.path.getsize(out) < 100:
            _unsupported("austin", done.stdout + done.stderr, "Use an older interpreter: --python 3.13")
        text = _austin_text(program, out)
        target.finish()
    stacks = _collapsed(text, _austin_frame)
    if not stacks:
        _unsupported("austin", "no stack of the target was read", "Use an older interpreter: --python 3.13")
    return _judge(stacks)


def _austin_text(program, path):
    """Austin's own format as text."""
    with open(path, "rb") as file:
        start = file.read(3)
    if start != b"MOJ":
        with open(path, errors="replace") as file:
            return file.read()
    try:
        converter = tool("mojo2austin", "python3 -m pip install austin-python")
    except Unavailable:
        return _mojo(path)
    run([converter, path, path + ".txt"])
    with open(path + ".txt", errors="replace") as file:
        return file.read()


def _mojo(path):
    """Reads Austin's binary format as far as stacks need it: events, strings and frames by number."""
    with open(path, "rb") as file:
        data = file.read()
    at = 3

    def number():
        nonlocal at
        byte = data[at]
        at += 1
        negative, value, shift = byte & 0x40, byte & 0x3F, 6
        while byte & 0x80:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
        return -value if negative else value

    def text():
        nonlocal at
        end = data.index(0, at)
        found = data[at:end].decode(errors="replace")
        at = end + 1
        return found

    number()
    strings, frames, lines, stack = {1: "<unknown>"}, {}, [], []

    def flush(metric):
        if stack:
            lines.append(";".join(stack) + f" {max(metric, 0)}")
            stack.clear()

    while at < len(data):
        event = data[at]
        at += 1
        if event == 1:
            text(), text()
        elif event == 2:
            stack.clear()
            number(), number(), text()
        elif event == 3:
            key = number()
            file_key, name_key = number(), number()
            line, _, _, _ = number(), number(), number(), number()
            frames[key] = f"{strings.get(file_key, '?')}:{strings.get(name_key, '?')}:{line}"
        elif event == 4:
            stack.append(frames.get(number(), "?:?:0"))
        elif event in (5, 10):
            text()
        elif event in (6, 7, 8):
            pass
        elif event == 9:
            flush(number())
        elif event == 11:
            key = number()
            strings[key] = text()
        elif event == 12:
            number()
        else:
            break
    return "\n".join(lines)


def _austin_frame(frame):
    found = re.match(r".*targets\.py:(\w+):(\d+)", frame)
    return (found[1], int(found[2])) if found else None


def profiling_sampling():
    out = os.path.join(os.getcwd(), "stacks")
    with Target("busy") as target:
        done = run([sys.executable, "-m", "profiling.sampling", "attach", "-d", "2", "-r", "200", "--collapsed", "-o", out, str(target.pid)],
                   env={**os.environ, "PEPJIT": "0", "PYTHON_JIT": "0"})
        if not os.path.exists(out):
            _unsupported("profiling.sampling", done.stdout + done.stderr, "Run as root, or with kernel.yama.ptrace_scope=0")
        with open(out) as file:
            stacks = _collapsed(file.read(), _sampled)
        target.finish()
    return _judge(stacks)


def _sampled(frame):
    found = re.match(r".*targets\.py:(\w+):(\d+)", frame)
    return (found[1], int(found[2])) if found else None


ASKED = """
import json, sys
frame = sys._getframe()
names = []
while frame is not None:
    names.append((frame.f_code.co_name, {k: type(v).__name__ for k, v in frame.f_locals.items()} if frame.f_code.co_name == "spin" else 0))
    frame = frame.f_back
import os
with open(OUT + "~", "w") as file:
    json.dump(names, file)
os.rename(OUT + "~", OUT)
"""


def remote_exec():
    """PEP 768: a script that runs inside of a process whose main thread is in a hot loop."""
    seen, delays = [], []
    with Target("busy") as target:
        for number in range(12):
            out = os.path.join(os.getcwd(), f"answer-{number}")
            script = os.path.join(os.getcwd(), f"ask-{number}.py")
            with open(script, "w") as file:
                file.write(ASKED.replace("OUT", repr(out)))
            start = time.monotonic()
            try:
                sys.remote_exec(target.pid, script)
            except (PermissionError, RuntimeError) as error:
                raise Unavailable(f"processes can't be attached to ({error}): run as root, or set kernel.yama.ptrace_scope to 0") from None
            while not os.path.exists(out) and time.monotonic() < start + 10:
                time.sleep(0.001)
            delays.append(time.monotonic() - start)
            time.sleep(0.01)
            with open(out) as file:
                seen.append([tuple(map(str, entry)) for entry in json.load(file)])
        target.finish()
    inform(latency_ms_median=round(sorted(delays)[6] * 1000, 2), latency_ms_worst=round(max(delays) * 1000, 2))
    names = {name for stack in seen for name, _ in stack}
    in_loop = [stack for stack in seen if any(name == "spin" for name, _ in stack)]
    return {"answered": len(seen), "seen": sorted(names & set(STACK)), "mostly in the loop": len(in_loop) > 6,
            "locals": sorted({shown for stack in in_loop for name, shown in stack if name == "spin"})}


def remote_pdb():
    """`python -m pdb -p PID`: a debugger from another process, in a hot loop."""
    with Target("busy") as target:
        done = subprocess.run([sys.executable, "-m", "pdb", "-p", str(target.pid)], input="where\np sorted(locals())\nup\np n\nquit\n",
                              capture_output=True, text=True, timeout=30, env={**os.environ, "PEPJIT": "0", "PYTHON_JIT": "0"})
        text = done.stdout + done.stderr
        if "(Pdb)" not in text and "where" not in text and "spin" not in text:
            _unsupported("pdb -p", text, "Run as root, or with kernel.yama.ptrace_scope=0")
        target.finish()
    names = [name for name in re.findall(r"targets\.py\(\d+\)(\w+)\(\)", text) if name in STACK]
    inform(text=plain(text)[-600:])
    return {"sees": sorted(set(names))[:4], "the target goes on": True}


def faulthandler():
    results = {}
    with Target("crash_in_call") as target:
        api.take(target.said["proof"])
        _, text = target.process.communicate(timeout=30)
        results["in a call"] = [target.process.returncode, _crash(text)]
    with Target("crash_in_loop") as target:
        api.take(target.said["proof"])
        time.sleep(0.3)
        os.kill(target.pid, signal.SIGSEGV)
        _, text = target.process.communicate(timeout=30)
        found = _crash(text)
        results["in a loop"] = [target.process.returncode, [name for name, _ in found]]
        first = _lines()[0]
        results["line of the loop"] = bool(found) and first < found[0][1] <= first + 4
    with Target("dump_later") as target:
        _, text = target.process.communicate(timeout=30)
        results["dumped later"] = [name for name, _ in _crash(text)]
    return results


def _crash(text):
    """The frames that faulthandler wrote, innermost first."""
    return [(found[2], int(found[1])) for found in re.finditer(r'File ".*targets\.py", line (\d+) in (\S+)', text)]


def _gdb(*commands, env=(), options=()):
    program = tool("gdb", "apt install gdb")
    version("gdb", run([program, "--version"]).stdout.splitlines()[0].split()[-1])
    with Target("busy", env=env) as target:
        time.sleep(0.2)
        arguments = [word for command in commands for word in ("-ex", command)]
        done = run([program, "-nx", "-batch", *options, "-p", str(target.pid), *arguments], env={**os.environ, "PEPJIT": "0"})
        target.finish()
    if "ptrace: Operation not permitted" in done.stderr:
        raise Unavailable("gdb may not attach: run as root, or set kernel.yama.ptrace_scope to 0")
    return done.stdout + done.stderr


def gdb():
    text = _gdb("set width 0", "bt 200", env={"PEPJIT_GDB": "1"})
    names = re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?(\S+)", text, re.MULTILINE)
    reaches = any(name in ("_start", "main", "Py_BytesMain", "Py_RunMain") or "libc_start" in name for name in names[-4:])
    inform(frames=len(names), names=names[:12], names_compiled_code=any("spin" in name or "level_" in name for name in names))
    return {"reaches the start": reaches, "corrupt": "corrupt stack" in text or "Backtrace stopped" in text}


def gdb_py_bt():
    beside = os.path.realpath(sys.executable) + "-gdb.py"
    debian = f"/usr/share/gdb/auto-load/usr/bin/python{PYTHON}-gdb.py"
    script = next((path for path in (beside, debian, sys.executable + "-gdb.py") if os.path.exists(path)), None)
    if script is None:
        raise Unavailable(f"CPython's commands for gdb aren't here: apt install python{PYTHON}-dbg, or use pyenv's build")
    text = _gdb(f"source {script}", "py-bt")
    names = re.findall(r'File ".*targets\.py", line \d+, in (\S+)', text)
    if not names:
        _unsupported("py-bt", text, "It needs an interpreter with debugging symbols")
    # It stops anywhere: the outer part of the stack is what is certain.
    return {"outer frames": names[names.index("busy"):] if "busy" in names else names}


def perf():
    program = tool("perf", "apt install linux-perf")
    version("perf", run([program, "--version"]).stdout.split()[-1])
    out = os.path.join(os.getcwd(), "perf.data")
    with Target("busy", env={"PEPJIT_PERF": "1"}, options=["-X", "perf"] if api.MODE in ("off", "cpython-jit") else []) as target:
        done = run([program, "record", "-e", "cpu-clock", "-F", "200", "--call-graph", "dwarf,32768", "-p", str(target.pid), "-o", out, "--",
                    "sleep", "2"])
        if not os.path.exists(out):
            raise Unavailable(f"perf can't record here ({(done.stderr.strip().splitlines() or ['?'])[-1]}): set kernel.perf_event_paranoid to 1")
        text = run([program, "script", "-i", out, "-F", "ip,sym"], timeout=55).stdout
        target.finish()
    samples = [block for block in text.split("\n\n") if block.strip()]
    if not samples:
        raise Unavailable("perf recorded no sample here: a virtual machine may not let it")
    start = sum(any(word in block for word in ("_start", "Py_RunMain", "Py_BytesMain", "__libc_start")) for block in samples)
    named = sum("spin" in block for block in samples)
    inform(samples=len(samples), share_that_reaches_the_start=round(start / len(samples), 3), share_with_spin=round(named / len(samples), 3))
    return {"over 0.9 reach the start": start > 0.9 * len(samples), "spin is named in over 0.7": named > 0.7 * len(samples)}


def backtrace():
    """glibc's backtrace(3), from a C function that hot code calls: does the native unwinder pass compiled code?"""
    import ctypes

    libc = ctypes.CDLL(None)
    if not hasattr(libc, "backtrace"):
        raise Unavailable("this C library has no backtrace(3): use glibc")
    libc.backtrace_symbols.restype = ctypes.POINTER(ctypes.c_char_p)
    size = 400
    buffer = (ctypes.c_void_p * size)()
    walks = []

    def walk(label):
        count = libc.backtrace(buffer, size)
        symbols = libc.backtrace_symbols(buffer, count)
        walks.append([count, re.sub(r"\[?0x[0-9a-f]+\]?|\+", "", symbols[count - 1].decode())])
        return 1

    import work

    api.heat(work.outer, 4, walk)
    mapped = _mapped(buffer[: walks[-1][0]])
    inform(frames=walks[-1][0], frames_outside_of_files=mapped)
    return {"outermost": sorted({name for _, name in walks}), "whole": all(count < size for count, _ in walks)}


def _mapped(addresses):
    """How many addresses are in no file: compiled code."""
    ranges = []
    with open("/proc/self/maps") as file:
        for line in file:
            words = line.split()
            if "x" in words[1] and len(words) < 6:
                low, high = (int(word, 16) for word in words[0].split("-"))
                ranges.append((low, high))
    return sum(any(low <= (address or 0) < high for low, high in ranges) for address in addresses)
