//! Compiles the C shim against the interpreter that `PEPJIT_PYTHON` names (default: `python3` on the path).

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const FILES: &[&str] = &[
    "arguments.c",
    "arrays.c",
    "bind.c",
    "builtins.c",
    "calls.c",
    "exceptions.c",
    "frames.c",
    "generators.c",
    "genslots.c",
    "overrides.c",
    "helpers.c",
    "hooks.c",
    "layout.c",
    "module.c",
    "names.c",
    "views.c",
    "world.c",
];
const HEADERS: &[&str] = &["generators.h", "internal.h", "shim.h", "tool.h"];

/// The module that the .pth file imports, and what the linker calls it: whoever builds renames it for the interpreter.
const STARTER: &str = "csrc/start/start.c";
const STARTER_LIBRARY: &str = "_pepjit_start.so";

/// What the interpreter says of itself.
const PROBE: &str = "import sys, sysconfig
v = sys.version_info
print(sys.implementation.name)
print('%d.%d' % v[:2])
print(int(bool(sysconfig.get_config_var('Py_GIL_DISABLED'))))
print(int(hasattr(sys, 'gettotalrefcount')))
print(sysconfig.get_path('include'))
print(sysconfig.get_path('platinclude'))
print(sys.executable)";

/// The functions that compiling runs, one a line; `hot/trace.py` writes it.
const HOT: &str = "hot/functions.txt";

/// Has the linker put the functions of the list next to one another. A process that compiles then has little else of the module in its memory:
/// the system maps 16 pages around each one that is touched, and spread over the module they would bring in nearly all of it.
///
/// The list is made on x86-64. On other processors, and where the compiler names functions in another way, what isn't found stays where it is.
fn order_functions() {
    println!("cargo:rerun-if-changed={HOT}");
    println!("cargo:rerun-if-env-changed=PEPJIT_UNORDERED");
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux");
    // The way out for a linker that knows no scripts.
    if !linux || env::var_os("PEPJIT_UNORDERED").is_some_and(|value| !value.is_empty() && value != "0") {
        return;
    }
    let list = std::fs::read_to_string(HOT).unwrap_or_else(|error| fail(&format!("{HOT}: {error}; take it from the repository")));
    // Beside the jumps to other libraries, which run as well. Each stretch between comments is a description of its own: within one, the order is the linker's. What is marked as rarely called has
    // another prefix.
    let mut script = "SECTIONS { .text.pepjit_hot : {\n".to_owned();
    for functions in list.lines().collect::<Vec<_>>().split(|line| line.starts_with('#')).filter(|lines| !lines.is_empty()) {
        script.push_str("*(\n");
        for name in functions {
            let _ = writeln!(script, " .text.{name} .text.unlikely.{name}");
        }
        script.push_str(")\n");
    }
    script.push_str("} } INSERT AFTER .plt;\n");
    let path = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("hot.ld");
    if let Err(error) = std::fs::write(&path, script) {
        fail(&format!("{}: {error}; check permissions and free space", path.display()));
    }
    println!("cargo:rustc-cdylib-link-arg=-Wl,-T,{}", path.display());
}

/// Ends the build with an error that names cause and cure.
fn fail(message: &str) -> ! {
    println!("cargo:error={message}");
    exit(1)
}

struct Python {
    version: String,
    include: PathBuf,
}

fn ask(python: &str) -> Vec<String> {
    let output = match Command::new(python).args(["-I", "-c", PROBE]).output() {
        Ok(output) => output,
        Err(error) => {
            fail(&format!("can't run the interpreter `{python}` ({error}); set PEPJIT_PYTHON to a CPython 3.13, 3.14 or 3.15"))
        }
    };
    if !output.status.success() {
        fail(&format!(
            "the interpreter `{python}` failed ({}); set PEPJIT_PYTHON to a CPython 3.13, 3.14 or 3.15",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// The folder with this interpreter's headers: what it reports, or the one beside its executable (an unpacked package reports where it would
/// be installed).
fn find_headers(answers: &[String], version: &str) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = answers[4..6].iter().map(PathBuf::from).collect();
    let executable = PathBuf::from(&answers[6]);
    for path in [Some(executable.clone()), executable.canonicalize().ok()].into_iter().flatten() {
        if let Some(prefix) = path.parent().and_then(Path::parent) {
            folders.push(prefix.join("include").join(format!("python{version}")));
        }
    }
    folders.into_iter().find(|folder| folder.join("Python.h").is_file() && folder.join("internal/pycore_frame.h").is_file())
}

fn find_python() -> Python {
    let named = env::var("PEPJIT_PYTHON").ok().filter(|path| !path.is_empty());
    let python = named.unwrap_or_else(|| "python3".to_owned());
    let answers = ask(&python);
    if answers.len() < 7 {
        fail(&format!("the interpreter `{python}` gave an unexpected answer; set PEPJIT_PYTHON to a CPython 3.13, 3.14 or 3.15"));
    }
    let version = answers[1].clone();
    if answers[0] != "cpython" || !matches!(version.as_str(), "3.13" | "3.14" | "3.15") {
        fail(&format!(
            "`{python}` is {} {version}; pepjit supports CPython 3.13, 3.14 and 3.15: set PEPJIT_PYTHON to one",
            answers[0]
        ));
    }
    if answers[2] == "1" {
        fail(&format!(
            "`{python}` is a free-threaded build, which pepjit doesn't support; set PEPJIT_PYTHON to a default build of {version}"
        ));
    }
    if answers[3] == "1" {
        fail(&format!(
            "`{python}` is a debug build, which pepjit doesn't support; set PEPJIT_PYTHON to a release build of {version}"
        ));
    }
    let Some(include) = find_headers(&answers, &version) else {
        fail(&format!(
            "the headers of `{python}` (Python.h and internal/) aren't in {}; install its development package (Debian: libpython{version}-dev, \
             Fedora: python{version}-devel)",
            answers[4]
        ))
    };
    Python { version, include }
}

/// Where this interpreter's headers are, as system headers: they don't concern our warnings.
fn with_headers<'a>(build: &'a mut cc::Build, python: &Python, internal: bool) -> &'a mut cc::Build {
    build.flag("-isystem").flag(&python.include);
    if internal {
        build.flag("-isystem").flag(python.include.join("internal"));
    }
    // Debian's pyconfig.h includes the one of its architecture, relative to the folder above. Last, so that no other header is taken there.
    if let Some(above) = python.include.parent() {
        build.flag("-idirafter").flag(above);
    }
    build.flag("-std=gnu11").opt_level(2).pic(true)
}

/// Compiles the starter: a library of its own, in the folder that cargo gives this script.
fn build_starter(python: &Python) {
    println!("cargo:rerun-if-changed={STARTER}");
    let library = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join(STARTER_LIBRARY);
    let mut build = cc::Build::new();
    let compiler = with_headers(&mut build, python, false).flag("-fvisibility=hidden").get_compiler();
    let status = compiler
        .to_command()
        .args(["-shared", "-s", "-Wl,-z,relro,-z,now", "-Wall", "-Wextra", "-o"])
        .arg(&library)
        .arg(STARTER)
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => fail(&format!("{STARTER} doesn't compile ({status}); the compiler's messages are above")),
        Err(error) => {
            fail(&format!("the C compiler can't be run ({error}); install one (on Debian `apt install gcc`) or set CC"))
        }
    }
}

fn main() {
    println!("cargo:rerun-if-env-changed=PEPJIT_PYTHON");
    println!("cargo:rerun-if-changed=build.rs");
    for file in FILES.iter().chain(HEADERS) {
        println!("cargo:rerun-if-changed=csrc/{file}");
    }
    order_functions();
    let python = find_python();
    println!("cargo:rerun-if-changed={}", python.include.join("patchlevel.h").display());
    println!("cargo:rustc-env=PEPJIT_PYTHON_VERSION={}", python.version);
    build_starter(&python);

    let mut build = cc::Build::new();
    for file in FILES {
        build.file(format!("csrc/{file}"));
    }
    with_headers(&mut build, &python, true)
        .define("Py_BUILD_CORE", None)
        .define("NDEBUG", None)
        .flag("-fno-strict-aliasing")
        // One jump less at each call of the interpreter's functions.
        .flag_if_supported("-fno-plt")
        .flag_if_supported("-Wno-missing-field-initializers")
        .flag_if_supported("-Wno-sign-compare")
        .compile("pepjit_shim");
}
