"""Makes JSON of a JUnit file of CPython's own test driver: `suite.py XML OUT`.

`{"tests": {name: [outcome, text]}}`; of several results of one name the worst counts.
"""

import json
import sys
import xml.etree.ElementTree as ET

WORST = ["passed", "skipped", "expected failure", "unexpected success", "failed", "error"]


def outcome(case):
    """What came of a test, and the text of its failure."""
    for tag, word in ("error", "error"), ("failure", "failed"), ("skipped", "skipped"), ("output", "expected failure"):
        found = case.find(tag)
        if found is not None:
            # A traceback has addresses and times in its messages, so that only the word is compared.
            return word, found.text or found.get("message") or ""
    if case.get("outcome") == "UNEXPECTED_SUCCESS" or case.find("outcome") is not None:
        return "unexpected success", ""
    return "passed", ""


def read(path):
    tests = {}
    for case in ET.parse(path).getroot().iter("testcase"):
        name = case.get("name")
        if name is None:
            continue
        word, text = outcome(case)
        if name not in tests or WORST.index(word) > WORST.index(tests[name][0]):
            tests[name] = [word, text]
    return {"tests": tests}


if __name__ == "__main__":
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        json.dump(read(sys.argv[1]), out)
