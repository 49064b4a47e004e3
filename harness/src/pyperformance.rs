//! pyperformance's suite, from a package: its manifest, its groups, its scripts as they are.
//!
//! Nothing of it is part of this project (its benchmarks come under many licences). The package is the one that the
//! interpreter has, or else one that is put into a cache folder, pinned; its version is recorded with the run.
//! Formats: pyperformance's documentation, "Benchmark manifest" and "The pyproject.toml file".

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use thiserror::Error;

use crate::interpreters::Interpreter;
use crate::model::{LeftOut, WorkloadRecord};
use crate::workloads::script_digest;

/// The suite's name; `pyperformance:GROUP` is a group of it.
pub const PYPERFORMANCE: &str = "pyperformance";

/// What is installed where the interpreter has none: pure Python, the same for every version.
const PINNED: [&str; 2] = ["pyperformance==1.14.0", "pyperf==2.10.0"];

/// Benchmarks, by the folder of their script, that bind a port which is always the same: two of them at once would meet there. Others
/// take any free port. pyperformance itself runs one process at a time, and so its metafiles don't tell.
const FIXED_PORTS: [(&str, &str); 2] = [("bm_asyncio_tcp", "port 8882"), ("bm_asyncio_websockets", "port 8001")];

/// Asks an interpreter for the package that it has.
const PROBE: &str = "import pyperformance, pyperf, os, json; print(json.dumps({'root': os.path.dirname(os.path.abspath(\
                     pyperformance.__file__)), 'version': f'pyperformance {pyperformance.__version__}, pyperf {pyperf.__version__}'}))";

/// Why there is no such suite.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum PyperformanceError {
    #[error(
        "pyperformance can't be had: {cause}. Install it for {python} ({python} -m pip install {pinned}), or give a folder with it: \
         pip install --target DIR {pinned} and PEPJIT_PYPERFORMANCE=DIR"
    )]
    Install { python: String, pinned: String, cause: String },
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("line {line} of {path}: {message}")]
    Manifest { path: PathBuf, line: usize, message: String },
    #[error("{path}: {message}")]
    Metadata { path: PathBuf, message: String },
    #[error("pyperformance has no group {name}; it has {known}")]
    UnknownGroup { name: String, known: String },
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The folder of its benchmarks' manifest.
    pub benchmarks: PathBuf,
    /// Folders that workers need on their path: the package's, where the interpreter doesn't have it, and what benchmarks bring along.
    pub path: Vec<PathBuf>,
    /// Versions, for the record.
    pub version: String,
}

#[derive(Deserialize)]
struct Probe {
    root: PathBuf,
    version: String,
}

impl Package {
    /// The package that `interpreter` has, or the one in the cache, or a new one there.
    ///
    /// # Errors
    /// [`PyperformanceError::Install`] with cause and cure if there is none and none can be got.
    pub fn provide(interpreter: &Interpreter, told: &mut dyn FnMut(&str)) -> Result<Self, PyperformanceError> {
        if let Some(package) = probe(&interpreter.path, None) {
            return Ok(package);
        }
        let folder =
            std::env::var_os("PEPJIT_PYPERFORMANCE").map_or_else(|| cache(&PINNED.join("-").replace("==", "-")), PathBuf::from);
        if let Some(package) = probe(&interpreter.path, Some(&folder)) {
            return Ok(package);
        }
        told(&format!("installing {} into {}", PINNED.join(" and "), folder.display()));
        let mut causes = Vec::new();
        let target = folder.display().to_string();
        let python = interpreter.path.display().to_string();
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", &target];
        let uv = ["pip", "install", "--quiet", "--no-deps", "--python", &python, "--target", &target];
        for (program, options) in [(python.as_str(), &pip[..]), ("python3", &pip[..]), ("uv", &uv[..])] {
            match Command::new(program).args(options).args(PINNED).output() {
                Err(error) => causes.push(format!("{program}: {error}")),
                Ok(done) if !done.status.success() => {
                    let said = String::from_utf8_lossy(&done.stderr).trim().lines().last().unwrap_or_default().to_owned();
                    causes.push(format!("{program}: {said}"));
                }
                Ok(_) => match probe(&interpreter.path, Some(&folder)) {
                    Some(package) => return Ok(package),
                    None => causes.push(format!("{program}: it was installed and can't be imported")),
                },
            }
        }
        Err(PyperformanceError::Install { python, pinned: PINNED.join(" "), cause: causes.join("; ") })
    }
}

fn probe(python: &Path, folder: Option<&Path>) -> Option<Package> {
    let mut command = Command::new(python);
    command.args(["-c", PROBE]).env("PYTHONNOUSERSITE", "1").env_remove("PYTHONPATH").env("PEPJIT", "0");
    if let Some(folder) = folder {
        command.env("PYTHONPATH", folder);
    }
    let done = command.output().ok().filter(|done| done.status.success())?;
    let found: Probe = serde_json::from_slice(&done.stdout).ok()?;
    let benchmarks = found.root.join("data-files/benchmarks");
    let mut path: Vec<PathBuf> = folder.map(|f| std::path::absolute(f).unwrap_or_else(|_| f.to_owned())).into_iter().collect();
    path.extend(brought_along(&benchmarks));
    benchmarks.join("MANIFEST").is_file().then_some(Package { benchmarks, path, version: found.version })
}

/// Where a package is cached.
pub(crate) fn cache(name: &str) -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home).unwrap_or_else(std::env::temp_dir);
    base.join("pepjit").join(name)
}

/// One line of a manifest's list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    name: String,
    /// The benchmark whose folder it shares, if not its own.
    base: Option<String>,
}

/// A manifest, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Listing {
    entries: Vec<Entry>,
    /// Names by group, in order; a `-` before a name takes it out.
    groups: BTreeMap<String, Vec<String>>,
}

/// Reads a manifest: `[benchmarks]` with tab-separated names and metafiles, `[includes]`, and `[group NAME]`.
fn parse(text: &str, path: &Path) -> Result<Listing, PyperformanceError> {
    enum Section {
        None,
        Benchmarks,
        Includes,
        Group(String),
    }
    let mut listing = Listing::default();
    let mut section = Section::None;
    for (number, line) in text.lines().enumerate() {
        let wrong = |message: String| PyperformanceError::Manifest { path: path.to_owned(), line: number + 1, message };
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = match name.split_whitespace().collect::<Vec<_>>().as_slice() {
                ["benchmarks"] => Section::Benchmarks,
                ["includes"] => Section::Includes,
                ["group", group] => {
                    listing.groups.entry((*group).to_owned()).or_default();
                    Section::Group((*group).to_owned())
                }
                _ => return Err(wrong(format!("the section [{name}] is not known"))),
            };
            continue;
        }
        match &section {
            Section::None => return Err(wrong(format!("{line:?} stands before any section"))),
            // The default list is this very file; others aren't part of the package.
            Section::Includes if line == "<default>" => {}
            Section::Includes => {
                return Err(wrong(format!("other manifests, such as {line:?}, are not read: give that one itself")));
            }
            Section::Group(group) => listing.groups.entry(group.clone()).or_default().push(line.to_owned()),
            Section::Benchmarks => {
                let (name, metafile) = line.split_once('\t').map_or((line, "<local>"), |(n, m)| (n.trim(), m.trim()));
                if (name, metafile) == ("name", "metafile") {
                    continue;
                }
                let base = match metafile.strip_prefix("<local").and_then(|rest| rest.strip_suffix('>')) {
                    Some("") => None,
                    Some(rest) => Some(rest.trim_start_matches(':').to_owned()),
                    None => return Err(wrong(format!("the metafile {metafile:?} of {name} is not <local> or <local:NAME>"))),
                };
                listing.entries.push(Entry { name: name.to_owned(), base });
            }
        }
    }
    Ok(listing)
}

/// The parts of a metafile that matter here.
#[derive(Debug, Clone, Default, Deserialize)]
struct Metafile {
    #[serde(default)]
    project: Project,
    #[serde(default)]
    tool: Tool,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Project {
    #[serde(default)]
    dependencies: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Tool {
    #[serde(default)]
    pyperformance: Settings,
    #[serde(default)]
    pepjit: OurSettings,
}

/// What a metafile can say to this harness alone.
#[derive(Debug, Clone, Default, Deserialize)]
struct OurSettings {
    /// See [`WorkloadRecord::exclusive`].
    exclusive: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Settings {
    extra_opts: Option<Vec<String>>,
    runscript: Option<PathBuf>,
    tags: Option<Tags>,
    inherits: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Tags {
    One(String),
    Many(Vec<String>),
}

impl Tags {
    fn list(&self) -> Vec<String> {
        match self {
            Self::One(text) => text.split([',', ' ']).filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            Self::Many(list) => list.clone(),
        }
    }
}

/// Reads a metafile with what it inherits: from the file that it names, or from its folder's `pyproject.toml`.
fn metadata(path: &Path, depth: usize) -> Result<Metafile, PyperformanceError> {
    let wrong = |message: String| PyperformanceError::Metadata { path: path.to_owned(), message };
    let text = std::fs::read_to_string(path).map_err(|source| PyperformanceError::Read { path: path.to_owned(), source })?;
    let mut own: Metafile = toml::from_str(&text).map_err(|e| wrong(e.to_string().trim().to_owned()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let general = folder.join("pyproject.toml");
    let parent = match &own.tool.pyperformance.inherits {
        Some(base) if folder.join(base).is_dir() => Some(folder.join(base).join("pyproject.toml")),
        Some(base) => Some(folder.join(base)),
        None => (general != path && general.is_file()).then_some(general),
    };
    if let Some(parent) = parent {
        if depth > 8 {
            return Err(wrong("it inherits from itself".to_owned()));
        }
        let base = metadata(&parent, depth + 1)?;
        let (settings, inherited) = (&mut own.tool.pyperformance, base.tool.pyperformance);
        settings.extra_opts = settings.extra_opts.take().or(inherited.extra_opts);
        settings.runscript = settings.runscript.take().or(inherited.runscript);
        settings.tags = settings.tags.take().or(inherited.tags);
        own.project.dependencies = own.project.dependencies.take().or(base.project.dependencies);
        own.tool.pepjit.exclusive = own.tool.pepjit.exclusive.take().or(base.tool.pepjit.exclusive);
    }
    Ok(own)
}

/// The workloads of a manifest's group (all of it without one), and those that need what isn't there, with the reason.
///
/// # Errors
/// [`PyperformanceError`] for a manifest or metafile that isn't in order, or a group that there isn't.
pub fn workloads(folder: &Path, group: Option<&str>) -> Result<(Vec<WorkloadRecord>, Vec<LeftOut>), PyperformanceError> {
    let path = folder.join("MANIFEST");
    let text = std::fs::read_to_string(&path).map_err(|source| PyperformanceError::Read { path: path.clone(), source })?;
    let listing = parse(&text, &path)?;
    let (mut usable, mut left_out) = (Vec::new(), Vec::new());
    for entry in &listing.entries {
        let base = folder.join(format!("bm_{}", entry.base.as_ref().unwrap_or(&entry.name)));
        let own = base.join(format!("bm_{}.toml", entry.name));
        let metafile = if entry.base.is_some() && own.is_file() { own } else { base.join("pyproject.toml") };
        let metadata = metadata(&metafile, 0)?;
        let settings = metadata.tool.pyperformance;
        let script = base.join(settings.runscript.unwrap_or_else(|| "run_benchmark.py".into()));
        let tags = settings.tags.as_ref().map(Tags::list).unwrap_or_default();
        if !listing.chosen(group, &entry.name, &tags) {
            continue;
        }
        let mut foreign = metadata.project.dependencies.unwrap_or_default();
        if foreign.iter().all(|requirement| is_pyperf(requirement)) {
            // Some name what they need only where it's pinned.
            foreign.extend(pinned(&base.join("requirements.txt"))?);
        }
        foreign.retain(|requirement| !is_pyperf(requirement));
        if !foreign.is_empty() {
            left_out.push(LeftOut { name: entry.name.clone(), reason: format!("it needs {}", foreign.join(", ")) });
            continue;
        }
        let Some(sha256) = script_digest(&script) else {
            left_out.push(LeftOut { name: entry.name.clone(), reason: format!("{} isn't there", script.display()) });
            continue;
        };
        usable.push(WorkloadRecord {
            name: entry.name.clone(),
            description: format!("pyperformance's {}", entry.name),
            tags,
            script,
            sha256,
            args: settings.extra_opts.unwrap_or_default(),
            exclusive: metadata.tool.pepjit.exclusive.or_else(|| fixed_port(&base)),
            more_tasks: true,
            ..WorkloadRecord::default()
        });
    }
    if let (Some(name), true) = (group, usable.is_empty() && left_out.is_empty()) {
        let known = listing.groups.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(PyperformanceError::UnknownGroup { name: name.to_owned(), known });
    }
    Ok((usable, left_out))
}

impl Listing {
    /// Whether a benchmark is in a group: by the group's list, or where that is empty, by its tags. `default` is all.
    fn chosen(&self, group: Option<&str>, name: &str, tags: &[String]) -> bool {
        let Some(group) = group else { return true };
        let list = self.groups.get(group).map_or(&[][..], Vec::as_slice);
        if list.iter().any(|entry| entry.strip_prefix('-') == Some(name)) {
            return false;
        }
        let named: Vec<&String> = list.iter().filter(|entry| !entry.starts_with('-')).collect();
        if named.is_empty() {
            group == "default" || tags.iter().any(|tag| tag == group)
        } else {
            named.iter().any(|n| *n == name)
        }
    }
}

/// The requirements in a benchmark's file of pinned ones; none if it has no such file.
fn pinned(path: &Path) -> Result<Vec<String>, PyperformanceError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(PyperformanceError::Read { path: path.to_owned(), source }),
    };
    let requirements = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    Ok(requirements.filter(|line| !line.is_empty() && !line.starts_with('-')).map(str::to_owned).collect())
}

/// Folders of packages that a benchmark of `folder` brings along (2to3 its library, which left CPython with 3.13). On the path, they
/// needn't be installed into an interpreter that isn't ours, which is what the benchmark does if it can't import them.
fn brought_along(folder: &Path) -> Vec<PathBuf> {
    let benchmarks = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = benchmarks.map(|entry| entry.path().join("vendor/src")).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

/// The port that the benchmark in this folder always binds.
fn fixed_port(folder: &Path) -> Option<String> {
    let found = FIXED_PORTS.iter().find(|(name, _)| folder.ends_with(name));
    found.map(|(_, port)| (*port).to_owned())
}

/// Whether a requirement is the package that all benchmarks are written with.
fn is_pyperf(requirement: &str) -> bool {
    let name: String = requirement.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    name.eq_ignore_ascii_case("pyperf")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(manifest: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("MANIFEST"), manifest).unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    const MANIFEST: &str = "[includes]\n<default>\n\n[benchmarks]\n\nname\tmetafile\none\t<local>\none_more\t<local:one>\nheavy\t<local>\npinned\t<local>\n\
                            ours\t<local>  # a comment\n\n[group default]\n[group few]\none\nours\n-ours\n[group math]\n";

    fn files() -> Vec<(&'static str, &'static str)> {
        vec![
            (
                "bm_one/pyproject.toml",
                "[project]\ndependencies = [\"pyperf>=2\"]\n[tool.pyperformance]\ntags = \"math\"\nextra_opts = [\"a\"]\n",
            ),
            ("bm_one/bm_one_more.toml", "[tool.pyperformance]\nname = \"one_more\"\nextra_opts = [\"b\", \"c\"]\n"),
            ("bm_one/run_benchmark.py", "pass"),
            ("bm_heavy/pyproject.toml", "[project]\ndependencies = [\"pyperf\", \"django\"]\n"),
            ("bm_heavy/run_benchmark.py", "pass"),
            ("bm_pinned/pyproject.toml", "[project]\ndependencies = [\"pyperf\"]\ndynamic = [\"version\"]\n"),
            (
                "bm_pinned/requirements.txt",
                "# by pip-compile\n--no-binary :all:\npyperf==2.10.0\ndask[distributed]==2024.10.0  # via x\n",
            ),
            ("bm_pinned/run_benchmark.py", "pass"),
            ("bm_ours/pyproject.toml", "[tool.pyperformance]\nrunscript = \"main.py\"\ntags = [\"apps\"]\n"),
            ("bm_ours/main.py", "pass"),
        ]
    }

    fn names(workloads: &[WorkloadRecord]) -> Vec<&str> {
        workloads.iter().map(|w| w.name.as_str()).collect()
    }

    #[test]
    fn a_manifest_is_read_with_what_its_benchmarks_inherit() {
        let folder = suite(MANIFEST, &files());
        let (usable, left_out) = workloads(folder.path(), None).unwrap();
        assert_eq!(names(&usable), ["one", "one_more", "ours"]);
        assert_eq!(
            (usable[0].args.as_slice(), usable[1].args.as_slice()),
            (&["a".to_owned()][..], &["b".to_owned(), "c".to_owned()][..])
        );
        assert_eq!(usable[1].tags, ["math"], "inherited");
        assert!(usable[1].script.ends_with("bm_one/run_benchmark.py") && usable[2].script.ends_with("bm_ours/main.py"));
        let left = |name: &str, reason: &str| LeftOut { name: name.to_owned(), reason: reason.to_owned() };
        assert_eq!(left_out, [left("heavy", "it needs django"), left("pinned", "it needs dask[distributed]==2024.10.0")]);
    }

    #[test]
    fn benchmarks_that_bind_a_port_claim_it() {
        let manifest = "[benchmarks]\n\nname\tmetafile\nasyncio_tcp\t<local>\nasyncio_tcp_ssl\t<local:asyncio_tcp>\n\
                        mine\t<local>\nmine_too\t<local:mine>\nnone\t<local>\n";
        let files = [
            ("bm_asyncio_tcp/pyproject.toml", ""),
            ("bm_asyncio_tcp/bm_asyncio_tcp_ssl.toml", "[tool.pyperformance]\nextra_opts = [\"--ssl\"]\n"),
            ("bm_asyncio_tcp/run_benchmark.py", "pass"),
            ("bm_mine/pyproject.toml", "[tool.pepjit]\nexclusive = \"the scanner\"\n"),
            ("bm_mine/bm_mine_too.toml", ""),
            ("bm_mine/run_benchmark.py", "pass"),
            ("bm_none/pyproject.toml", ""),
            ("bm_none/run_benchmark.py", "pass"),
        ];
        let folder = suite(manifest, &files);
        let claims: Vec<_> = workloads(folder.path(), None).unwrap().0.into_iter().map(|w| w.exclusive).collect();
        let (port, scanner) = (Some("port 8882".to_owned()), Some("the scanner".to_owned()));
        assert_eq!(claims, [port.clone(), port, scanner.clone(), scanner, None]);
    }

    #[test]
    fn what_a_benchmark_brings_along_is_found() {
        let folder = suite(MANIFEST, &[("bm_old/vendor/src/lib/__init__.py", ""), ("bm_new/run_benchmark.py", "")]);
        assert_eq!(brought_along(folder.path()), [folder.path().join("bm_old/vendor/src")]);
    }

    #[test]
    fn groups_are_lists_or_tags() {
        let folder = suite(MANIFEST, &files());
        let group = |name| workloads(folder.path(), Some(name)).map(|(usable, _)| usable);
        assert_eq!(names(&group("few").unwrap()), ["one"], "-ours takes ours out again");
        assert_eq!(names(&group("math").unwrap()), ["one", "one_more"]);
        assert_eq!(names(&group("default").unwrap()), ["one", "one_more", "ours"]);
        let error = group("none").unwrap_err().to_string();
        assert!(error.contains("default, few, math"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (manifest, cause) in [
            ("one\t<local>\n", "line 1"),
            ("[benchmarks]\none\thttps://elsewhere\n", "line 2"),
            ("[benchmarkz]\n", "[benchmarkz] is not known"),
            ("[includes]\n../other\n", "are not read"),
        ] {
            let folder = suite(manifest, &[]);
            let error = workloads(folder.path(), None).unwrap_err().to_string();
            assert!(error.contains(cause), "{error:?} lacks {cause:?}");
        }
        let folder = suite("[benchmarks]\none\t<local>\n", &[("bm_one/pyproject.toml", "[tool")]);
        assert!(workloads(folder.path(), None).unwrap_err().to_string().contains("bm_one/pyproject.toml"));
        assert!(is_pyperf("pyperf >= 2.1") && !is_pyperf("pyperformance"));
    }
}
