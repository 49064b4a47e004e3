//! The redistributor's sheet as Markdown, which a terminal shows well too.

use std::fmt::Write as _;

use pepjit_harness::redistributor::{Dependency, Sheet};

use crate::format;

/// The sheet.
pub fn redistributor(sheet: &Sheet) -> String {
    let mut out = format!("# Redistributor's sheet: CPython {} on {}\n\n", sheet.provenance.python, sheet.provenance.platform);
    let _ = writeln!(out, "{}, {}.\n\n## To build\n", sheet.provenance.sources(), sheet.provenance.created);
    let needs = &sheet.needs;
    let _ = writeln!(out, "- Rust {} or later (built with {})", needs.rust_least, needs.rust);
    let _ = writeln!(out, "- a C compiler (built with {}) and CPython's headers ({})", needs.c_compiler, needs.headers);
    let _ = writeln!(
        out,
        "- {} packages' sources{}; no LLVM{}",
        sheet.dependencies.iter().chain(&sheet.build_dependencies).filter(|d| d.sha256.is_some()).count(),
        needs.sources_bytes.map(|bytes| format!(", {}", size(bytes))).unwrap_or_default(),
        if needs.offline { "; no network once they are there" } else { "" }
    );
    let _ =
        writeln!(out, "- {} packages run a program at build time: {}", needs.runs_at_build.len(), needs.runs_at_build.join(", "));
    builds(&mut out, sheet);
    module(&mut out, sheet);
    if !sheet.anatomy.parts.is_empty() {
        out.push_str("\n## Its own parts\n\n| part | files | lines of code |\n| --- | ---: | ---: |\n");
        for (name, part) in &sheet.anatomy.parts {
            let (files, lines) = (format::count(part.files as f64), format::count(part.lines as f64));
            let _ = writeln!(out, "| {} | {files} | {lines} |", name.replace('-', " "));
        }
        let _ = writeln!(out, "\nCPython's names that it links: {}.", crate::view::names(sheet));
    }
    out.push_str("\n## Licences\n\n");
    for count in &sheet.licences {
        let licence = if count.licence.is_empty() { "none stated" } else { &count.licence };
        let _ = writeln!(out, "- {}: {}", licence, count.packages);
    }
    packages(&mut out, "Part of the module", &sheet.dependencies);
    packages(&mut out, "Only run by the build", &sheet.build_dependencies);
    format::without_home(&out)
}

fn builds(out: &mut String, sheet: &Sheet) {
    out.push_str("\n| clean build | time | processor time | jobs | peak of a process | size | SHA-256 |\n");
    out.push_str("| --- | ---: | ---: | ---: | ---: | ---: | --- |\n");
    for b in &sheet.builds {
        let peak = format::kib(Some(b.peak_kib as f64));
        let (wall, cpu) = (format::span(b.wall_s), format::span(b.cpu_s));
        let _ = writeln!(out, "| {} | {wall} | {cpu} | {} | {peak} | {} | {} |", b.folder, b.jobs, size(b.bytes), b.sha256);
    }
    out.push_str(match sheet.identical {
        Some(true) => "\n✓ The builds are identical to the bit.\n",
        Some(false) => "\n✗ The builds differ:\n\n",
        None => "\n? One build alone doesn't say whether builds are identical.\n",
    });
    for d in &sheet.differences {
        let section = if d.section.is_empty() { "outside of sections" } else { &d.section };
        let _ = writeln!(out, "- {section}: {} bytes; `{}` against `{}`", d.bytes, d.sample.0, d.sample.1);
    }
    let _ = writeln!(out, "\n```sh\n{}\n```", sheet.recipe.join("\n"));
}

fn module(out: &mut String, sheet: &Sheet) {
    let b = &sheet.binary;
    let _ = writeln!(out, "\n## The module\n\n- {}, {} without symbols", size(b.bytes), size(b.stripped_bytes));
    let sections: Vec<String> = b.sections.iter().take(5).map(|s| format!("{} {}", s.name, size(s.bytes))).collect();
    let _ = writeln!(out, "- largest sections: {}", sections.join(", "));
    let h = b.hardening;
    for (what, holds) in [
        ("stack not executable", h.stack_not_executable),
        ("relocations read-only after loading (RELRO)", h.relro),
        ("all symbols bound at loading", h.bind_now),
        ("nothing writable and executable", h.no_writable_code),
        ("no text relocations", h.no_text_relocations),
    ] {
        let _ = writeln!(out, "- {} {what}", if holds { "✓" } else { "✗" });
    }
    let r = &sheet.runtime;
    let _ = writeln!(out, "- names: {}; newest symbols: {}", r.needed.join(", "), r.symbol_versions.join(", "));
    let _ = writeln!(out, "- mapped when it's loaded and on, beyond the interpreter's own: {}", r.mapped.join(", "));
}

fn packages(out: &mut String, heading: &str, list: &[Dependency]) {
    let _ = writeln!(out, "\n## {heading}\n\n| package | version | licence |\n| --- | --- | --- |");
    for d in list {
        let _ = writeln!(out, "| {} | {} | {} |", d.name, d.version, d.licence);
    }
}

fn size(bytes: u64) -> String {
    format::kib(Some(bytes as f64 / 1024.0))
}
