"""Writes the opcode table of the interpreter that runs this script, as Rust: `python3.15 generate.py > v315.rs`."""

import _opcode_metadata as metadata
import opcode
import sys

version = f"{sys.version_info.major}.{sys.version_info.minor}"
rows = {}
for name, number in opcode.opmap.items():
    if number < 256:
        rows[number] = (name, opcode._inline_cache_entries.get(name, 0))
for base, names in metadata._specializations.items():
    for name in names:
        rows[metadata._specialized_opmap[name]] = (name, opcode._inline_cache_entries.get(base, 0))
print(f"//! The opcodes of CPython {version}: number, name, inline-cache units. Made by `generate.py` from the interpreter itself.")
print()
print("/// Number, name, inline-cache units.")
print(f"pub(super) const TABLE: &[(u8, &str, u8)] = &[")
for number, (name, caches) in sorted(rows.items()):
    print(f'    ({number}, "{name}", {caches}),')
print("];")
