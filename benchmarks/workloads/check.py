"""Run every workload on this interpreter and hold the manifest against the folder.

    python benchmarks/workloads/check.py [NAME...]

Each workload runs twice in this process: both results have to equal what the script
expects. Each script is then started as a worker and what it writes is read back.
Prints one line for each failure and ``N passed, N failed``; exits with 1 if any failed.
"""

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
MANIFEST = os.path.join(os.path.dirname(HERE), "MANIFEST.toml")
NOT_WORKLOADS = {"check.py", "check_worker.py", "pepjit_worker.py"}
TEXT_KEYS = ("name", "file", "stresses", "size")


class Report:
    def __init__(self):
        self.passed = 0
        self.failed = 0

    def check(self, holds, complaint):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED {complaint}", flush=True)


def load_manifest():
    with open(MANIFEST, "rb") as file:
        return tomllib.load(file)


def check_manifest(manifest, report):
    """Every script is listed, every entry is complete, suites name what exists."""
    workloads = manifest.get("workload", [])
    names = [entry.get("name") for entry in workloads]
    report.check(manifest.get("schema_version") == 1, "manifest: schema_version has to be 1")
    report.check(len(set(names)) == len(names), "manifest: a name occurs twice")
    for entry in workloads:
        label = f"manifest: {entry.get('name')!r}"
        texts = all(isinstance(entry.get(key), str) and entry[key].strip() for key in TEXT_KEYS)
        report.check(texts, f"{label} needs the texts {', '.join(TEXT_KEYS)}")
        tags = entry.get("tags")
        good = isinstance(tags, list) and tags and all(isinstance(t, str) and t for t in tags)
        report.check(good, f"{label} needs a list of tags")
    listed = {entry.get("file") for entry in workloads}
    present = {name for name in os.listdir(HERE) if name.endswith(".py")} - NOT_WORKLOADS
    report.check(not present - listed, f"manifest lacks {sorted(present - listed)}")
    report.check(not listed - present, f"manifest lists missing {sorted(listed - present)}")
    suites = manifest.get("suites", {})
    report.check(manifest.get("default_suite") in suites, "manifest: default_suite isn't a suite")
    for suite, members in suites.items():
        unknown = [name for name in members if name not in names]
        report.check(
            members and not unknown, f"manifest: suite {suite} is empty or names {unknown}"
        )
        report.check(len(set(members)) == len(members), f"manifest: suite {suite} repeats a name")
    missing = set(names) - set(suites.get("all", ()))
    report.check(not missing, f"manifest: suite all lacks {sorted(missing)}")


def check_results(name, report):
    """Two runs in this process."""
    try:
        module = importlib.import_module(name)
        results = []
        for _ in range(2):
            start = time.perf_counter()
            results.append(module.run())
            elapsed = time.perf_counter() - start
    except Exception:
        report.check(False, f"{name}: {traceback.format_exc()}")
        return
    print(f"{name:<22}{elapsed * 1e3:8.1f} ms", flush=True)
    for number, result in enumerate(results, 1):
        report.check(
            result == module.EXPECTED,
            f"{name}: run {number} gave {result!r}, expected {module.EXPECTED!r}",
        )


def check_worker(name, directory, report):
    """One worker process with a warm-up and two values."""
    output = os.path.join(directory, f"{name}.json")
    script = os.path.join(HERE, f"{name}.py")
    options = ["--worker-task=0", "--loops", "1", "--warmups", "1", "--values", "2", "-o", output]
    command = [sys.executable, script, "--worker", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        report.check(False, f"{name}: worker exited with {done.returncode}: {done.stderr}")
        return
    with open(output) as file:
        (benchmark,) = json.load(file)["benchmarks"]
    (run,) = benchmark["runs"]
    report.check(run["metadata"]["name"] == name, f"{name}: calls itself otherwise")
    shape = len(run["values"]) == 2 and len(run["warmups"]) == 1 and min(run["values"]) > 0
    report.check(shape, f"{name}: wrong number of values or warm-ups")


def main(chosen):
    report = Report()
    manifest = load_manifest()
    check_manifest(manifest, report)
    names = [entry["name"] for entry in manifest["workload"]]
    unknown = sorted(set(chosen) - set(names))
    if unknown:
        print(f"unknown: {', '.join(unknown)}; MANIFEST.toml lists what there is", file=sys.stderr)
        return 2
    sys.path.insert(0, HERE)
    with tempfile.TemporaryDirectory() as directory:
        for name in chosen or names:
            check_results(name, report)
            check_worker(name, directory, report)
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
