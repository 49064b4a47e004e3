"""Work that C code does: json, re, zlib, hashlib, struct, sorting and joining of strings.

The Python around it is thin, as in scripts that glue libraries together; no JIT can gain
much here, and none should lose.
"""

import hashlib
import json
import re
import struct
import zlib

import pepjit_worker

RECORDS = 11_000
LINE = re.compile(r"(?P<key>[a-z_]+)=(?P<number>-?\d+);\s*\[(?P<list>[^\]]*)\]")
WORD = re.compile(r"\b[a-z]{3,}\b")


def make_records(count):
    return [
        {
            "key": "abcdefgh"[number % 8] * (1 + number % 3) + "_key",
            "number": number * 7919 % 10_007 - 5_000,
            "list": [number % k for k in (3, 5, 7, 11)],
            "ratio": number / 8.0,
        }
        for number in range(count)
    ]


DATA = make_records(RECORDS)


def through_json(records):
    text = json.dumps(records, sort_keys=True)
    return text, json.loads(text)


def through_text(records):
    lines = "\n".join(
        f"{record['key']}={record['number']}; [{','.join(map(str, record['list']))}]"
        for record in records
    )
    total = 0
    for match in LINE.finditer(lines):
        total += int(match["number"]) + len(match["list"].split(","))
    words = WORD.findall(re.sub(r"_key", " word ", lines))
    return total, len(words), len(lines.replace(";", ""))


def through_zlib(text):
    raw = text.encode()
    packed = zlib.compress(raw, 6)
    return len(raw), zlib.decompress(packed) == raw, zlib.crc32(raw)


def through_hashes(text):
    raw = text.encode()
    digest = hashlib.sha256(raw)
    for start in range(0, len(raw), 4096):
        digest.update(raw[start : start + 4096])
    return digest.hexdigest()[:16], hashlib.blake2b(raw, digest_size=8).hexdigest()


def through_struct(records):
    layout = struct.Struct("<i4Hd")
    packed = b"".join(layout.pack(r["number"], *r["list"], r["ratio"]) for r in records)
    total = 0
    for number, *rest in layout.iter_unpack(packed):
        total += number + sum(rest[:4])
    return len(packed), total


def run():
    text, records = through_json(DATA)
    ordered = sorted(records, key=lambda record: (record["key"], record["number"]))
    return (
        records == DATA,
        through_text(records),
        through_zlib(text),
        through_hashes(text),
        through_struct(records),
        ordered[0]["number"],
    )


EXPECTED = (
    True,
    (73405, 14666, 246058),
    (822929, True, 4227907359),
    ("1e347519dbc9d109", "739d55463ee66dbe"),
    (220000, 150398),
    -5000,
)

if __name__ == "__main__":
    pepjit_worker.main("c_libraries", run, EXPECTED)
