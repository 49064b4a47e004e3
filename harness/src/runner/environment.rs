//! The environment of a worker: nothing of the user's shell but a short list, and for every tier of a block the
//! same number of variables and the same number of bytes.
//!
//! The environment's size shifts the stack, which alone can move a benchmark by percents (Mytkowicz et al.,
//! "Producing wrong data without doing anything obviously wrong", ASPLOS 2009).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::TierRecord;
use crate::store::write_atomically;
use crate::tiers::TierKind;

/// The variables of the user's shell that a worker sees.
const ALLOWED: [&str; 4] = ["PATH", "HOME", "TMPDIR", "TZ"];

/// Loads what the folder `module` beside it brings, as a site-packages folder would.
///
/// Folders on PYTHONPATH don't have their .pth files read, and workloads are to run unmodified: `sitecustomize`
/// is what an interpreter imports by itself. An environment's own one still runs, after this.
const SITECUSTOMIZE: &str = include_str!("sitecustomize.py");

/// Variables, by name.
pub(super) type Variables = BTreeMap<String, String>;

/// A folder for PYTHONPATH that makes `import pepjit` work, and loads it where the environment asks for that.
///
/// Without `module` the folder is the same but empty, so that tiers differ in nothing else.
///
/// # Errors
/// What the file system said.
fn make_site(folder: &Path, module: Option<&Path>) -> io::Result<()> {
    let target = folder.join("module");
    fs::create_dir_all(&target)?;
    if let Some(module) = module {
        for entry in fs::read_dir(module)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), target.join(entry.file_name()))?;
            }
        }
    }
    write_sitecustomize(folder)
}

/// Writes the `sitecustomize.py` that loads what the folder `module` beside it brings.
///
/// # Errors
/// What the file system said.
pub fn write_sitecustomize(folder: &Path) -> io::Result<()> {
    let path = folder.join("sitecustomize.py");
    if fs::read_to_string(&path).ok().as_deref() == Some(SITECUSTOMIZE) {
        return Ok(());
    }
    write_atomically(&path, SITECUSTOMIZE.as_bytes())
}

/// The folders for PYTHONPATH of a run's tiers: one each, with paths of the same length.
#[derive(Debug, Clone)]
pub struct Sites {
    root: PathBuf,
}

impl Sites {
    /// Makes a folder under `root` for each tier that has none yet; `module` is the build for those that need it.
    ///
    /// A folder that is there stays as it is: a run that goes on measures the module it began with.
    ///
    /// # Errors
    /// What the file system said.
    pub fn make(root: &Path, tiers: &[TierRecord], module: Option<&Path>) -> io::Result<Self> {
        let sites = Self { root: root.to_owned() };
        for (index, tier) in tiers.iter().enumerate() {
            let folder = sites.of(index);
            if !folder.join("sitecustomize.py").exists() {
                if !tier.setup.is_empty() || !tier.prove.is_empty() {
                    let declared = serde_json::json!({ "setup": tier.setup, "prove": tier.prove });
                    write_atomically(&folder.join("declared.json"), declared.to_string().as_bytes())?;
                }
                let module = tier.module.as_deref().or(module.filter(|_| TierKind::needs_module(tier)));
                make_site(&folder, module)?;
            }
        }
        Ok(sites)
    }

    /// Whether every tier has its folder under `root` already.
    pub fn exist(root: &Path, tiers: &[TierRecord]) -> bool {
        let sites = Self { root: root.to_owned() };
        (0..tiers.len()).all(|index| sites.of(index).join("sitecustomize.py").exists())
    }

    /// The folder of a tier, by its place in the manifest.
    pub(super) fn of(&self, tier: usize) -> PathBuf {
        self.root.join(format!("{tier:02}"))
    }
}

/// What every worker sees, before the tier's own variables.
pub(super) fn common(site: &Path, python_path: &[PathBuf], hash_seed: u32) -> Variables {
    let mut variables: Variables = ALLOWED
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let mut set = |name: &str, value: String| variables.insert(name.to_owned(), value);
    set("LC_ALL", "C.UTF-8".to_owned());
    let folders = [site].into_iter().chain(python_path.iter().map(PathBuf::as_path));
    set("PYTHONPATH", folders.map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(":"));
    // Ten digits always, so that blocks don't differ in length either.
    set("PYTHONHASHSEED", format!("{hash_seed:010}"));
    set("PYTHONNOUSERSITE", "1".to_owned());
    variables
}

/// Bytes that variables take in a process's environment block: `NAME=VALUE` and a zero each.
fn size(variables: &Variables) -> usize {
    variables.iter().map(|(name, value)| name.len() + value.len() + 2).sum()
}

/// Adds variables that nothing reads until all environments have the same number of variables and bytes.
pub(super) fn equalise(environments: &mut [Variables]) {
    const NAME: usize = "WORKER_PAD_00".len();
    let count = environments.iter().map(BTreeMap::len).max().unwrap_or(0) + 1;
    let padded = |variables: &Variables| size(variables) + (count - variables.len()) * (NAME + 2);
    let target = environments.iter().map(padded).max().unwrap_or(0);
    for variables in environments {
        let filler = target - padded(variables);
        for number in 0..count - variables.len() {
            let value = if number == 0 { "x".repeat(filler) } else { String::new() };
            variables.insert(format!("WORKER_PAD_{number:02}"), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_become_equally_long() {
        let map = |pairs: &[(&str, &str)]| -> Variables {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let mut all = [
            map(&[("PEPJIT", "0")]),
            map(&[("PEPJIT", "1"), ("PEPJIT_BACKEND", "reference")]),
            map(&[("PEPJIT", "1"), ("A_LONG_ONE", &"y".repeat(300)), ("C", "")]),
        ];
        equalise(&mut all);
        let counts: Vec<usize> = all.iter().map(BTreeMap::len).collect();
        assert_eq!(counts, [4, 4, 4]);
        assert_eq!(size(&all[0]), size(&all[1]));
        assert_eq!(size(&all[1]), size(&all[2]));
        assert_eq!(all[1]["PEPJIT_BACKEND"], "reference", "what a tier sets stays");
    }

    #[test]
    fn a_site_is_made_once_and_holds_the_module_where_needed() {
        let dir = tempfile::tempdir().unwrap();
        let module = dir.path().join("built");
        fs::create_dir_all(&module).unwrap();
        fs::write(module.join("pepjit.py"), "version = 1\n").unwrap();
        let tier = |env: &[(&str, &str)]| TierRecord {
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..TierRecord::default()
        };
        let tiers = [tier(&[("PEPJIT", "0")]), tier(&[("PEPJIT", "1")])];
        let root = dir.path().join("site");
        assert!(!Sites::exist(&root, &tiers));
        let sites = Sites::make(&root, &tiers, Some(&module)).unwrap();
        assert!(Sites::exist(&root, &tiers));
        assert!(!sites.of(0).join("module/pepjit.py").exists());
        assert!(sites.of(1).join("module/pepjit.py").exists());
        assert_eq!(sites.of(0).as_os_str().len(), sites.of(1).as_os_str().len());
        fs::write(module.join("pepjit.py"), "version = 2\n").unwrap();
        Sites::make(&root, &tiers, Some(&module)).unwrap();
        let kept = fs::read_to_string(sites.of(1).join("module/pepjit.py")).unwrap();
        assert_eq!(kept, "version = 1\n", "a run goes on with the module it began with");
    }

    #[test]
    fn little_of_the_shell_reaches_a_worker() {
        let variables = common(Path::new("/somewhere/site"), &["/suite".into()], 42);
        assert_eq!(variables["PYTHONPATH"], "/somewhere/site:/suite");
        assert_eq!(variables["PYTHONHASHSEED"], "0000000042");
        assert!(!variables.contains_key("CARGO_MANIFEST_DIR"), "cargo sets it for this test, a worker must not see it");
    }
}
