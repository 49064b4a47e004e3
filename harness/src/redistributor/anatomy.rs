//! How large the module's parts are, and what they ask of CPython: what an interface for compilers has to carry.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSymbol as _};

use super::{Anatomy, Part, RedistributorError, Symbols};

/// The parts, each with its folder and what of it belongs to another part.
const PARTS: [(&str, &str, &str); 7] = [
    ("back-end-interface", "jit/backend/src/", "-"),
    ("code-generator", "jit/cranelift/src/", "-"),
    ("front-end", "jit/frontend/src/", "jit/frontend/src/opcodes/"),
    ("reference-back-end", "jit/runtime/src/reference/", "-"),
    ("representation-and-passes", "jit/ir/src/", "-"),
    ("runtime-in-c", "jit/runtime/csrc/", "jit/runtime/csrc/tests/"),
    ("runtime-in-rust", "jit/runtime/src/", "jit/runtime/src/reference/"),
];

/// Looks at the sources that `files` names, below `root`, and at a built module.
pub(super) fn look(root: &Path, files: &[PathBuf], module: &Path) -> Result<Anatomy, RedistributorError> {
    let mut parts: BTreeMap<String, Part> = BTreeMap::new();
    for file in files {
        let name = file.to_string_lossy();
        let Some((part, ..)) = PARTS.iter().find(|(_, folder, without)| name.starts_with(folder) && !name.starts_with(without))
        else {
            continue;
        };
        if !["rs", "c", "h"].iter().any(|kind| file.extension().is_some_and(|e| e == *kind)) || is_test(&name) {
            continue;
        }
        let path = root.join(file);
        // What was deleted in the work tree and isn't committed is gone.
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let counted = parts.entry((*part).to_owned()).or_default();
        counted.files += 1;
        counted.lines += lines_of_code(&text);
    }
    let bytes = std::fs::read(module).map_err(|source| RedistributorError::Io { path: module.to_owned(), source })?;
    let failed = |e: object::Error| RedistributorError::Elf { path: module.to_owned(), message: e.to_string() };
    let file = ElfFile64::<Endianness>::parse(&*bytes).map_err(failed)?;
    let undefined = file.dynamic_symbols().filter(object::ObjectSymbol::is_undefined);
    let names = undefined.filter_map(|symbol| symbol.name().ok().map(str::to_owned));
    Ok(Anatomy { parts, symbols: symbols(names) })
}

fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/")
}

/// Lines that are neither blank nor comment nor a Rust file's tests, which come last.
fn lines_of_code(text: &str) -> usize {
    let mut count = 0;
    let mut in_comment = false;
    for line in text.lines().map(str::trim) {
        if line == "#[cfg(test)]" {
            break;
        }
        if in_comment || line.starts_with("/*") {
            in_comment = !line.contains("*/");
        } else if !line.is_empty() && !line.starts_with("//") {
            count += 1;
        }
    }
    count
}

/// Sorts CPython's names by what CPython says of them.
fn symbols(names: impl Iterator<Item = String>) -> Symbols {
    let mut symbols = Symbols::default();
    for name in names {
        let name = name.split('@').next().unwrap_or_default();
        let class = if name.starts_with("PyUnstable_") {
            &mut symbols.unstable
        } else if name.starts_with("_Py") {
            &mut symbols.private
        } else if name.starts_with("Py") {
            &mut symbols.public
        } else {
            continue;
        };
        class.push(name.to_owned());
    }
    for class in [&mut symbols.public, &mut symbols.unstable, &mut symbols.private] {
        class.sort();
        class.dedup();
    }
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_comments_and_tests_are_no_code() {
        let rust = "//! Doc.\nuse a;\n\n/// Doc.\nfn f() {\n    // why\n    g(); // here\n}\n\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(lines_of_code(rust), 4);
        assert_eq!(lines_of_code("/* one */\n/* two\n   three */\nint x; /* four */\n#define A 1\n"), 2);
    }

    #[test]
    fn names_are_sorted_by_what_cpython_promises() {
        let names = ["PyLong_Type", "_PyEval_EvalFrameDefault", "PyUnstable_Code_New", "malloc", "PyLong_Type", "_Py_Dealloc@X"];
        let found = symbols(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(found.public, ["PyLong_Type"]);
        assert_eq!(found.unstable, ["PyUnstable_Code_New"]);
        assert_eq!(found.private, ["_PyEval_EvalFrameDefault", "_Py_Dealloc"]);
    }

    #[test]
    fn each_part_has_its_own_files() {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = [
            "jit/runtime/src/lib.rs",
            "jit/runtime/src/reference/call.rs",
            "jit/runtime/csrc/frames.c",
            "jit/runtime/csrc/tests/run.c",
            "jit/frontend/src/opcodes/v315.rs",
            "jit/ir/src/passes/tests.rs",
            "harness/src/lib.rs",
        ]
        .iter()
        .map(PathBuf::from)
        .collect();
        for file in &files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "a\nb\n").unwrap();
        }
        // Our own test program is an ELF file that needs nothing of CPython.
        let anatomy = look(folder.path(), &files, &std::env::current_exe().unwrap()).unwrap();
        let told: Vec<(&str, usize, usize)> = anatomy.parts.iter().map(|(name, p)| (name.as_str(), p.files, p.lines)).collect();
        assert_eq!(told, [("reference-back-end", 1, 2), ("runtime-in-c", 1, 2), ("runtime-in-rust", 1, 2)]);
        assert_eq!(anatomy.symbols, Symbols::default());
    }
}
