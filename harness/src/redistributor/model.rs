//! `redistributor.json`: what it takes to build the module and to ship it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::provenance::Provenance;

/// The version of `redistributor.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// Its name in a run directory.
pub const FILE: &str = "redistributor.json";

/// The bill of materials' name beside it: `CycloneDX` 1.6 as JSON.
pub const SBOM_FILE: &str = "sbom.cdx.json";

/// The redistributor's sheet of one interpreter on one platform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Where it comes from, and for which interpreter the module is.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// What has to be there to build.
    pub needs: Needs,
    /// The builds, each from nothing, in a folder of its own.
    pub builds: Vec<CleanBuild>,
    /// Whether they are the same to the bit; `None` if fewer than two were made.
    pub identical: Option<bool>,
    /// Where they differ, if they do.
    pub differences: Vec<Difference>,
    /// The variables and arguments of these builds, for who wants to repeat one.
    pub recipe: Vec<String>,
    /// The module.
    pub binary: Binary,
    /// What is loaded at run time.
    pub runtime: Runtime,
    /// Packages that become part of the module.
    pub dependencies: Vec<Dependency>,
    /// Packages that only the build runs.
    pub build_dependencies: Vec<Dependency>,
    /// How many packages each licence expression has, ours left out.
    pub licences: Vec<LicenceCount>,
    /// The parts' sizes, and what the module asks of CPython.
    #[serde(default)]
    pub anatomy: Anatomy,
}

/// How large the parts are, and which of CPython's names they link.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anatomy {
    /// By name: `code-generator`, `front-end`, ...
    pub parts: BTreeMap<String, Part>,
    /// CPython's names that the module links. What it reads of CPython's structures by their layout is not among them.
    pub symbols: Symbols,
}

/// A part of the module's sources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its files; tests and generated tables are left out.
    pub files: usize,
    /// Their lines that are neither blank nor comment.
    pub lines: usize,
}

/// Functions and variables of CPython that a module links, by what CPython promises of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbols {
    /// `Py...`: documented, with deprecations.
    pub public: Vec<String>,
    /// `PyUnstable_...`: documented, may change with a minor version.
    pub unstable: Vec<String>,
    /// `_Py...`: nothing is promised.
    pub private: Vec<String>,
}

/// What has to be there to build.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Needs {
    /// The least version of Rust.
    pub rust_least: String,
    /// The one that built: `rustc --version`.
    pub rust: String,
    /// The C compiler that built: the first line of its `--version`.
    pub c_compiler: String,
    /// Where the interpreter's headers were.
    pub headers: String,
    /// Whether the builds were made without network, from sources that were there.
    pub offline: bool,
    /// Bytes of the packages' sources as they are downloaded; `None` if they aren't all in cargo's cache.
    pub sources_bytes: Option<u64>,
    /// Packages whose build runs a program of theirs (build scripts and procedural macros).
    pub runs_at_build: Vec<String>,
    /// Other tools than these: none are needed, so that it is a list that stays empty unless a package asks for one.
    pub other_tools: Vec<String>,
}

/// One build from nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CleanBuild {
    /// Its folder's name: the two have names of different length.
    pub folder: String,
    /// Seconds from start to end.
    pub wall_s: f64,
    /// Processor seconds of all its processes.
    pub cpu_s: f64,
    /// The most memory that one of its processes had, in KiB.
    pub peak_kib: u64,
    /// Jobs that ran at once, at most.
    pub jobs: usize,
    /// SHA-256 of the module, hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A stretch in which two builds differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The section: `.rodata`; empty outside of any.
    pub section: String,
    /// Bytes that differ in it.
    pub bytes: u64,
    /// What stands there in the first build and in the second, as text where it is some.
    pub sample: (String, String),
}

/// The module as a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binary {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its size in bytes after `strip`'s work: without the symbols that only a debugger wants.
    pub stripped_bytes: u64,
    /// Its sections that are loaded, the largest first.
    pub sections: Vec<Section>,
    /// Hardening that the file states.
    pub hardening: Hardening,
}

/// A section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Hardening that the file itself states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a property of its own")]
pub struct Hardening {
    /// The stack isn't executable.
    pub stack_not_executable: bool,
    /// Relocations are read-only after loading.
    pub relro: bool,
    /// All symbols are bound at loading.
    pub bind_now: bool,
    /// No segment is writable and executable.
    pub no_writable_code: bool,
    /// It has no text relocations.
    pub no_text_relocations: bool,
}

/// What is loaded at run time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// Libraries that the module names (`DT_NEEDED`).
    pub needed: Vec<String>,
    /// The newest version of each library's symbols that it uses: `GLIBC_2.34`.
    pub symbol_versions: Vec<String>,
    /// Files that a process has mapped after `import pepjit` and `enable()` and hadn't before.
    pub mapped: Vec<String>,
    /// Files that it has mapped in any case.
    pub mapped_before: Vec<String>,
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence as an SPDX expression; empty if it states none.
    pub licence: String,
    /// SHA-256 of its archive, as `Cargo.lock` has it; `None` for our own.
    pub sha256: Option<String>,
}

/// How many packages have a licence expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LicenceCount {
    /// The expression.
    pub licence: String,
    /// Packages.
    pub packages: usize,
}
