//! The seal of a run: `SHA256SUMS`, one line per file that was measured or decides how it is read, in the format of
//! `sha256sum`, so that `sha256sum -c SHA256SUMS` checks it without this tool.
//!
//! A run that is being measured has no seal: what changes the manifest takes it away, and the end of a measurement puts
//! it back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use super::{RunDir, StoreError, UNFINISHED, write_atomically};
use crate::interpreters::digest;
use crate::pyperf::{PyperfError, Suite};

/// Its name.
pub const SEAL: &str = "SHA256SUMS";

/// The sums by path, relative to the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seal {
    sums: BTreeMap<PathBuf, String>,
}

/// What is wrong with a file of a sealed run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file, relative to the run.
    pub path: PathBuf,
    /// What happened to it.
    pub kind: DamageKind,
}

/// What can happen to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamageKind {
    /// It ends in the middle; at which line, where that is known.
    CutOff(Option<usize>),
    /// Its contents are others than when it was sealed.
    Changed,
    /// It is gone.
    Missing,
    /// It wasn't there when the run was sealed.
    Added,
    /// It can't be read.
    Unreadable(String),
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        match &self.kind {
            DamageKind::CutOff(Some(line)) => write!(f, "{path} is cut off at line {line}"),
            DamageKind::CutOff(None) => write!(f, "{path} is cut off"),
            DamageKind::Changed => write!(f, "{path} has changed since it was measured"),
            DamageKind::Missing => write!(f, "{path} is gone"),
            DamageKind::Added => write!(f, "{path} was added after the measurement"),
            DamageKind::Unreadable(cause) => write!(f, "{path} cannot be read: {cause}"),
        }
    }
}

impl Seal {
    /// The seal of a run; `None` if it has none.
    pub fn load(dir: &RunDir) -> Result<Option<Self>, StoreError> {
        let path = dir.root().join(SEAL);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StoreError::Read { path, source }),
        };
        let line = |(number, line): (usize, &str)| match line.split_once("  ") {
            Some((sum, file)) if sum.len() == 64 && sum.bytes().all(|b| b.is_ascii_hexdigit()) && !file.is_empty() => {
                Ok((PathBuf::from(file), sum.to_owned()))
            }
            _ => Err(StoreError::Seal { path: path.clone(), line: number + 1 }),
        };
        let sums = text.lines().enumerate().map(line).collect::<Result<_, _>>()?;
        Ok(Some(Self { sums }))
    }

    /// Seals a run as it is now.
    pub fn write(dir: &RunDir) -> Result<(), StoreError> {
        sweep(dir)?;
        let mut text = String::new();
        for file in files(dir)? {
            let path = dir.root().join(&file);
            let sum = sum_of(&path).map_err(|source| StoreError::Read { path: path.clone(), source })?;
            let _ = writeln!(text, "{sum}  {}", file.display());
        }
        let path = dir.root().join(SEAL);
        write_atomically(&path, text.as_bytes()).map_err(|source| StoreError::Write { path, source })
    }

    /// Takes a run's seal away, if it has one.
    pub fn remove(dir: &RunDir) -> Result<(), StoreError> {
        let path = dir.root().join(SEAL);
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(StoreError::Write { path, source }),
            _ => Ok(()),
        }
    }

    /// What is wrong with one file, if anything.
    pub fn check(&self, dir: &RunDir, file: &Path) -> Option<Damage> {
        let path = dir.root().join(file);
        let damage = |kind| Some(Damage { path: file.to_owned(), kind });
        match (self.sums.get(file), sum_of(&path)) {
            (Some(_), Err(e)) if e.kind() == io::ErrorKind::NotFound => damage(DamageKind::Missing),
            (None, Err(e)) if e.kind() == io::ErrorKind::NotFound => None,
            (_, Err(e)) => damage(DamageKind::Unreadable(e.to_string())),
            (None, Ok(_)) => damage(DamageKind::Added),
            (Some(sum), Ok(now)) if *sum == now => None,
            (Some(_), Ok(_)) => damage(cut_off(&path).unwrap_or(DamageKind::Changed)),
        }
    }

    /// Everything that is wrong with a run.
    pub fn verify(&self, dir: &RunDir) -> Result<Vec<Damage>, StoreError> {
        let mut all: Vec<PathBuf> = files(dir)?;
        all.extend(self.sums.keys().filter(|file| !dir.root().join(file).exists()).cloned());
        all.sort();
        Ok(all.iter().filter_map(|file| self.check(dir, file)).collect())
    }

    /// How many files are sealed.
    pub fn len(&self) -> usize {
        self.sums.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }
}

/// Whether a file of JSON ends in the middle.
fn cut_off(path: &Path) -> Option<DamageKind> {
    let text = std::fs::read_to_string(path).ok()?;
    if path.extension().is_some_and(|end| end == "jsonl") {
        return (!text.ends_with('\n')).then(|| DamageKind::CutOff(Some(text.lines().count())));
    }
    match Suite::parse(&text, path) {
        Err(PyperfError::Truncated { line, .. }) => Some(DamageKind::CutOff(Some(line))),
        Err(PyperfError::EmptyFile { .. }) => Some(DamageKind::CutOff(None)),
        _ => None,
    }
}

/// Takes away what a kill in the middle of a write has left: files that never got their names.
fn sweep(dir: &RunDir) -> Result<(), StoreError> {
    let mut folders = vec![dir.root().to_owned()];
    while let Some(folder) = folders.pop() {
        let read = |source| StoreError::Read { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(read)?.flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.extend((name != "site").then_some(path));
            } else if name.to_string_lossy().starts_with(UNFINISHED) {
                std::fs::remove_file(&path).map_err(|source| StoreError::Write { path, source })?;
            }
        }
    }
    Ok(())
}

/// The files that a seal is about, relative to the run: the records and the raw results. What can be made again from
/// these isn't.
fn files(dir: &RunDir) -> Result<Vec<PathBuf>, StoreError> {
    let mut found: Vec<PathBuf> = ["manifest.json", "machine.json", "journal.jsonl"]
        .map(PathBuf::from)
        .into_iter()
        .filter(|f| dir.root().join(f).exists())
        .collect();
    let list = |folder: &Path| -> Result<Vec<PathBuf>, StoreError> {
        let read = |source| StoreError::Read { path: folder.to_owned(), source };
        if !folder.exists() {
            return Ok(Vec::new());
        }
        std::fs::read_dir(folder).map_err(read)?.map(|entry| entry.map(|e| e.path()).map_err(read)).collect()
    };
    for tier in list(&dir.raw())?.into_iter().chain(list(&dir.root().join("coverage"))?) {
        if tier.is_dir() {
            found.extend(list(&tier)?.iter().filter_map(|file| file.strip_prefix(dir.root()).ok().map(Path::to_owned)));
        }
    }
    // A file that was being written when the tool was killed is nobody's.
    found.retain(|file| !file.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')));
    found.sort();
    Ok(found)
}

fn sum_of(path: &Path) -> io::Result<String> {
    digest(&[Some(path)])
}
