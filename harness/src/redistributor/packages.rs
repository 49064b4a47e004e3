//! The packages that the module is made of, and those that only its build runs, as cargo resolves them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::{Dependency, LicenceCount, RedistributorError, cargo};

/// The crate that is the module.
pub(super) const PACKAGE: &str = "pepjit-runtime";

/// A package's name and version, which tell it apart in one build.
type Key = (String, String);

/// What cargo says.
#[derive(Debug, Clone, Default)]
pub(super) struct Packages {
    /// What becomes part of the module, the module's own crate included.
    pub(super) linked: Vec<Dependency>,
    /// What only the build runs.
    pub(super) build_only: Vec<Dependency>,
    /// Those of either that run a program at build time.
    pub(super) runs_at_build: Vec<String>,
    /// Bytes of the archives of those from a registry.
    pub(super) sources_bytes: Option<u64>,
    /// The least version of Rust.
    pub(super) rust_least: String,
    /// Who depends on whom, for the bill of materials.
    pub(super) edges: BTreeMap<Key, BTreeSet<Key>>,
}

/// Asks cargo, for the sources in `root` and a target.
pub(super) fn read(root: &Path, target: &str) -> Result<Packages, RedistributorError> {
    let tree = |edges: &str| -> Result<BTreeSet<Key>, RedistributorError> {
        let out = cargo(
            root,
            &["tree", "--locked", "--offline", "--package", PACKAGE, "--target", target, "--edges", edges, "--prefix", "none"],
        )?;
        Ok(out.lines().filter_map(tree_line).collect())
    };
    let linked = tree("normal,no-proc-macro")?;
    let all = tree("normal,build")?;
    let metadata = cargo(root, &["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", target])?;
    let metadata: Value = serde_json::from_str(&metadata).map_err(|e| RedistributorError::Cargo(format!("metadata: {e}")))?;
    let lock = std::fs::read_to_string(root.join("Cargo.lock")).unwrap_or_default();
    Ok(assemble(&metadata, &checksums(&lock), &linked, &all))
}

/// `name v1.2.3 (proc-macro) (*)`.
fn tree_line(line: &str) -> Option<Key> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some((name.to_owned(), version.to_owned()))
}

/// The archives' sums in `Cargo.lock`.
fn checksums(lock: &str) -> BTreeMap<Key, String> {
    let lock: toml::Table = lock.parse().unwrap_or_default();
    let packages = lock.get("package").and_then(toml::Value::as_array).cloned().unwrap_or_default();
    let text = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    packages.iter().filter_map(|p| Some(((text(p, "name")?, text(p, "version")?), text(p, "checksum")?))).collect()
}

fn assemble(metadata: &Value, sums: &BTreeMap<Key, String>, linked: &BTreeSet<Key>, all: &BTreeSet<Key>) -> Packages {
    let mut packages = Packages { sources_bytes: Some(0), ..Packages::default() };
    let mut key_of_id: BTreeMap<&str, Key> = BTreeMap::new();
    let list = |value: &'_ Value| value.as_array().cloned().unwrap_or_default();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let key = (text("name"), text("version"));
        key_of_id.insert(package["id"].as_str().unwrap_or_default(), key.clone());
        if !all.contains(&key) {
            continue;
        }
        if key.0 == PACKAGE {
            packages.rust_least = text("rust_version");
        }
        let kinds: Vec<Value> = list(&package["targets"]).iter().flat_map(|target| list(&target["kind"])).collect();
        if kinds.iter().any(|kind| kind == "custom-build" || kind == "proc-macro") {
            packages.runs_at_build.push(format!("{} {}", key.0, key.1));
        }
        if package["source"].is_string() {
            let archive = archive_bytes(&text("manifest_path"), &key);
            packages.sources_bytes = packages.sources_bytes.zip(archive).map(|(sum, bytes)| sum + bytes);
        }
        let dependency =
            Dependency { licence: text("license"), sha256: sums.get(&key).cloned(), name: key.0.clone(), version: key.1.clone() };
        if linked.contains(&key) { packages.linked.push(dependency) } else { packages.build_only.push(dependency) }
    }
    for node in metadata["resolve"]["nodes"].as_array().into_iter().flatten() {
        let Some(from) = node["id"].as_str().and_then(|id| key_of_id.get(id)).filter(|key| all.contains(*key)) else { continue };
        // What only tests need isn't part of a build.
        let needed = |dep: &Value| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
        let deps = node["deps"].as_array().into_iter().flatten().filter(|dep| needed(dep));
        let to = deps.filter_map(|dep| key_of_id.get(dep["pkg"].as_str()?)).filter(|key| all.contains(*key)).cloned();
        packages.edges.insert(from.clone(), to.collect());
    }
    packages.linked.sort();
    packages.build_only.sort();
    packages.runs_at_build.sort();
    packages
}

/// The size of a package's archive in cargo's cache, which lies beside where it is unpacked.
fn archive_bytes(manifest: &str, (name, version): &Key) -> Option<u64> {
    let index = Path::new(manifest).parent()?.parent()?;
    let registry = index.parent()?.parent()?;
    let archive = registry.join("cache").join(index.file_name()?).join(format!("{name}-{version}.crate"));
    Some(std::fs::metadata(archive).ok()?.len())
}

/// How many packages have which licence, most first; ours left out, which have no sum.
pub(super) fn licences<'a>(packages: impl Iterator<Item = &'a Dependency>) -> Vec<LicenceCount> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for package in packages.filter(|package| package.sha256.is_some()) {
        *counts.entry(&package.licence).or_default() += 1;
    }
    let mut counts: Vec<LicenceCount> =
        counts.into_iter().map(|(licence, packages)| LicenceCount { licence: licence.to_owned(), packages }).collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.packages));
    counts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> Key {
        (name.to_owned(), "1.0.0".to_owned())
    }

    #[test]
    fn what_is_linked_is_told_from_what_only_builds() {
        let package = |name: &str, kind: &str, source: Option<&str>| {
            json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT", "rust_version": "1.95", "source": source,
                "manifest_path": format!("/none/{name}/Cargo.toml"), "targets": [{"kind": [kind]}]})
        };
        let edge = |to: &str, kind: Option<&str>| json!({"pkg": to, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [package(PACKAGE, "cdylib", None), package("lib", "lib", Some("r")), package("macro", "proc-macro", Some("r")),
                package("test", "lib", Some("r"))],
            "resolve": {"nodes": [
                {"id": PACKAGE, "deps": [edge("lib", None), edge("macro", None), edge("test", Some("dev"))]},
                {"id": "lib", "deps": []}]},
        });
        let sums = checksums("[[package]]\nname = \"lib\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n");
        let linked = BTreeSet::from([key(PACKAGE), key("lib")]);
        let all = BTreeSet::from([key(PACKAGE), key("lib"), key("macro")]);
        let packages = assemble(&metadata, &sums, &linked, &all);
        let names = |list: &[Dependency]| list.iter().map(|d| d.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            (names(&packages.linked), names(&packages.build_only)),
            (vec!["lib".into(), PACKAGE.into()], vec!["macro".into()])
        );
        assert_eq!(packages.linked[0].sha256.as_deref(), Some("ab"));
        assert_eq!(packages.runs_at_build, ["macro 1.0.0"]);
        assert_eq!(packages.sources_bytes, None, "the archives aren't there");
        assert_eq!(packages.edges[&key(PACKAGE)], BTreeSet::from([key("lib"), key("macro")]));
        assert_eq!(licences(packages.linked.iter()), [LicenceCount { licence: "MIT".into(), packages: 1 }]);
    }

    #[test]
    fn lines_of_cargo_tree_are_read() {
        assert_eq!(tree_line("serde_derive v1.0.229 (proc-macro) (*)"), Some(("serde_derive".into(), "1.0.229".into())));
        assert_eq!(tree_line(""), None);
    }
}
