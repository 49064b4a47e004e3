//! The map by which files belong to stages, read from TOML.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::pattern::Patterns;
use super::{GovernanceError, MapUsed, Rules, hex};

/// The version of a map that this crate reads.
pub const MAP_VERSION: u32 = 1;

/// A file's stages are kept in 64 bits, one of which means all of them together.
const MAX_STAGES: usize = 63;

/// Which files belong to which stage, which are generated, and who is no person.
#[derive(Debug, Clone)]
pub struct Map {
    /// What documents say about it.
    pub used: MapUsed,
    /// The stages' names, in order.
    pub stages: Vec<String>,
    pub(super) stage_files: Vec<Patterns>,
    pub(super) interpreter: Patterns,
    pub(super) generated: Vec<String>,
    pub(super) bots: Patterns,
    /// All patterns that decide whose lines are counted, for the cache.
    pub(super) all_patterns: Vec<String>,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema_version: u32,
    name: String,
    /// Files of the interpreter, for what changes together. A stage's file is never one of them.
    #[serde(default)]
    interpreter: Vec<String>,
    /// Generated files, which count nowhere.
    #[serde(default)]
    generated: Vec<String>,
    /// Names with addresses (`Name <address>`) that are no people.
    #[serde(default)]
    bots: Vec<String>,
    #[serde(default)]
    rules: Rules,
    stage: Vec<StageFiles>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StageFiles {
    name: String,
    files: Vec<String>,
}

impl Map {
    /// Reads a map.
    ///
    /// # Errors
    /// If it can't be read, isn't TOML of this form, or has no stage.
    pub fn load(path: &Path) -> Result<Self, GovernanceError> {
        let text = std::fs::read_to_string(path).map_err(|source| GovernanceError::ReadMap { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|message| GovernanceError::Map { path: path.to_owned(), message })
    }

    /// Reads the text of a map.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
        if file.schema_version != MAP_VERSION {
            return Err(format!("it has schema_version {}, and this tool reads {MAP_VERSION}", file.schema_version));
        }
        if file.stage.is_empty() || file.stage.iter().any(|stage| stage.files.is_empty()) {
            return Err("it needs at least one [[stage]], and each stage needs files".to_owned());
        }
        if file.stage.len() > MAX_STAGES {
            return Err(format!("it has {} stages, and {MAX_STAGES} is the most", file.stage.len()));
        }
        if !(file.rules.rearchitecture_share > 0.0 && file.rules.rearchitecture_share <= 1.0) {
            return Err("rules.rearchitecture_share has to be a share above 0: 0.2 is 20 %".to_owned());
        }
        let sha256 = hex(&Sha256::digest(text.as_bytes()));
        Ok(Self {
            used: MapUsed { name: file.name, sha256, rules: file.rules },
            all_patterns: file.stage.iter().flat_map(|stage| stage.files.clone()).collect(),
            stage_files: file.stage.iter().map(|stage| Patterns::new(&stage.files)).collect(),
            stages: file.stage.into_iter().map(|stage| stage.name).collect(),
            interpreter: Patterns::new(&file.interpreter),
            generated: file.generated,
            bots: Patterns::new(&file.bots),
        })
    }

    /// Whether a path belongs to any stage, generated or not.
    pub(super) fn is_staged(&self, path: &str) -> bool {
        self.stage_files.iter().any(|patterns| patterns.matches(path))
    }
}

/// What a path is by a map.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// A bit for each stage that it belongs to.
    pub(super) stages: u64,
    /// Whether it's the interpreter's.
    pub(super) interpreter: bool,
    /// Whether it would belong to a stage if it weren't generated.
    pub(super) generated: bool,
}

/// The map, with what the repository itself says is generated.
pub(super) struct Placer<'a> {
    map: &'a Map,
    generated: Patterns,
}

impl<'a> Placer<'a> {
    pub(super) fn new(map: &'a Map, by_attributes: Vec<String>) -> Self {
        let mut generated = map.generated.clone();
        generated.extend(by_attributes);
        Self { map, generated: Patterns::new(&generated) }
    }

    pub(super) fn place(&self, path: &str) -> Place {
        let mut stages = 0;
        for (bit, patterns) in self.map.stage_files.iter().enumerate() {
            stages |= u64::from(patterns.matches(path)) << bit;
        }
        if stages == 0 {
            let interpreter = self.map.interpreter.matches(path) && !self.generated.matches(path);
            return Place { interpreter, ..Place::default() };
        }
        if self.generated.matches(path) {
            Place { generated: true, ..Place::default() }
        } else {
            Place { stages, ..Place::default() }
        }
    }
}

/// Where the map of CPython's stages is in a checkout of this project.
pub fn cpython_map(root: &Path) -> PathBuf {
    root.join("pep-draft/cpython-stages.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_says_what_is_wrong_with_it() {
        let stage = "[[stage]]\nname = \"a\"\nfiles = [\"a/\"]\n";
        let head = "schema_version = 1\nname = \"m\"\n";
        assert!(Map::parse(&format!("{head}{stage}")).is_ok());
        assert!(Map::parse(&format!("schema_version = 2\nname = \"m\"\n{stage}")).unwrap_err().contains("schema_version 2"));
        assert!(Map::parse(&format!("{head}stage = []\n")).unwrap_err().contains("[[stage]]"));
        assert!(Map::parse(&format!("{head}[rules]\nrearchitecture_share = 0.0\n{stage}")).unwrap_err().contains("share"));
        assert!(Map::parse(&format!("{head}bot = []\n{stage}")).unwrap_err().contains("bot"));
    }

    #[test]
    fn generated_files_belong_nowhere() {
        let map = Map::parse(
            "schema_version = 1\nname = \"m\"\ninterpreter = [\"P/*.c\"]\ngenerated = [\"P/cases.h\"]\n\
             [[stage]]\nname = \"a\"\nfiles = [\"P/jit.c\", \"P/*.h\"]\n[[stage]]\nname = \"b\"\nfiles = [\"P/b.h\"]\n",
        )
        .unwrap();
        let placer = Placer::new(&map, vec!["**/made.h".to_owned()]);
        assert_eq!(placer.place("P/jit.c"), Place { stages: 1, interpreter: false, generated: false });
        assert_eq!(placer.place("P/b.h"), Place { stages: 3, interpreter: false, generated: false });
        assert_eq!(placer.place("P/ceval.c"), Place { stages: 0, interpreter: true, generated: false });
        for path in ["P/cases.h", "P/made.h"] {
            assert_eq!(placer.place(path), Place { stages: 0, interpreter: false, generated: true }, "{path}");
        }
    }
}
