//! Where a run lives on disk, and how it gets there without ever being lost.

mod migrate;
mod seal;

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

pub use seal::{Damage, DamageKind, SEAL, Seal};

use crate::model::{JournalRecord, Manifest, Outcome, SCHEMA_VERSION};

/// Why a run directory can't be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum StoreError {
    #[error("no run found in {0}. Measure one first: cargo xtask measure")]
    NoRuns(PathBuf),
    #[error("{0} is not a run directory: it has no manifest.json. Give the folder that `cargo xtask measure` printed")]
    NoManifest(PathBuf),
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}. Check permissions and free space")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is damaged: {message}. Restore it from a copy, or measure again")]
    Manifest { path: PathBuf, message: String },
    #[error(
        "{path} has schema version {found}, and this version of the tool reads 1 to {SCHEMA_VERSION}. Use the version that wrote it"
    )]
    Schema { path: PathBuf, found: u64 },
    #[error("line {line} of {path} is damaged. Restore it from a copy; without the file, nothing tells whether the run is whole")]
    Seal { path: PathBuf, line: usize },
    #[error("{path}: {damage}. Restore it from a copy, or measure again")]
    Tampered { path: PathBuf, damage: Damage },
    #[error("line {line} of {path} is damaged: {message}. Delete that line; its process is then measured again")]
    Journal { path: PathBuf, line: usize, message: String },
}

/// A run's directory: paths, manifest and journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    root: PathBuf,
}

impl RunDir {
    /// Makes the directory of a new run under `runs` and writes its manifest.
    pub fn create(runs: &Path, manifest: &Manifest) -> Result<Self, StoreError> {
        let dir = Self { root: runs.join(&manifest.run_id) };
        std::fs::create_dir_all(dir.raw()).map_err(|source| StoreError::Write { path: dir.raw(), source })?;
        dir.write_manifest(manifest)?;
        Ok(dir)
    }

    /// Opens an existing run.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let dir = Self { root: root.to_owned() };
        if dir.manifest_path().is_file() { Ok(dir) } else { Err(StoreError::NoManifest(root.to_owned())) }
    }

    /// The latest run under `runs`, by name: names begin with the time.
    pub fn latest(runs: &Path) -> Result<Self, StoreError> {
        Self::list(runs).pop().ok_or_else(|| StoreError::NoRuns(runs.to_owned()))
    }

    /// Every run under `runs`, oldest first.
    pub fn list(runs: &Path) -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir(runs) else {
            return Vec::new();
        };
        let mut dirs: Vec<Self> = entries.flatten().filter_map(|e| Self::open(&e.path()).ok()).collect();
        dirs.sort_by(|a, b| a.root.cmp(&b.root));
        dirs
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `manifest.json`.
    pub fn manifest_path(&self) -> PathBuf {
        self.root.join("manifest.json")
    }

    /// `journal.jsonl`.
    pub fn journal_path(&self) -> PathBuf {
        self.root.join("journal.jsonl")
    }

    /// `raw/`.
    pub fn raw(&self) -> PathBuf {
        self.root.join("raw")
    }

    /// The raw file of a tier and workload.
    pub fn raw_file(&self, tier: &str, workload: &str) -> PathBuf {
        self.raw().join(tier).join(format!("{workload}.json"))
    }

    /// Reads the manifest.
    pub fn manifest(&self) -> Result<Manifest, StoreError> {
        let path = self.manifest_path();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NoManifest(self.root.clone()));
            }
            Err(source) => return Err(StoreError::Read { path, source }),
        };
        let damaged = |e: serde_json::Error| StoreError::Manifest { path: path.clone(), message: e.to_string() };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(damaged)?;
        let found = value.get("schema_version").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let value = migrate::migrate(value, found).ok_or_else(|| StoreError::Schema { path: path.clone(), found })?;
        serde_json::from_value(value).map_err(damaged)
    }

    /// Writes the manifest by atomic replacement. The run's seal goes: it was for what the run was before.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let path = self.manifest_path();
        let mut text = serde_json::to_string_pretty(manifest)
            .map_err(|e| StoreError::Manifest { path: path.clone(), message: e.to_string() })?;
        text.push('\n');
        Seal::remove(self)?;
        write_atomically(&path, text.as_bytes()).map_err(|source| StoreError::Write { path, source })
    }

    /// Opens the journal for appending.
    pub fn journal(&self) -> Result<Journal, StoreError> {
        Journal::open(&self.journal_path())
    }
}

/// The journal: one JSON line per finished process, synced to disk before `append` returns.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    records: Vec<JournalRecord>,
}

impl Journal {
    /// Opens or makes the journal. A last line torn by a crash is cut off; its process counts as not measured.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let err = |source| StoreError::Write { path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(err)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).map_err(err)?;
        file.read_to_end(&mut bytes).map_err(err)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(err)?;
            file.sync_data().map_err(err)?;
        }
        let records = parse_journal(&String::from_utf8_lossy(&bytes[..whole]), path)?;
        Ok(Self { path: path.to_owned(), file, records })
    }

    /// Reads a journal without changing it; a missing file is an empty journal, a torn last line is left out.
    pub fn read(path: &Path) -> Result<Vec<JournalRecord>, StoreError> {
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(StoreError::Read { path: path.to_owned(), source });
            }
        };
        let whole = text.rfind('\n').map_or(0, |i| i + 1);
        parse_journal(&text[..whole], path)
    }

    /// Adds a record and syncs it to disk.
    pub fn append(&mut self, record: JournalRecord) -> Result<(), StoreError> {
        let err = |source| StoreError::Write { path: self.path.clone(), source };
        let mut line = serde_json::to_string(&record)
            .map_err(|e| StoreError::Write { path: self.path.clone(), source: io::Error::other(e) })?;
        line.push('\n');
        // One write of a whole line, so that a crash can tear only the last line.
        self.file.write_all(line.as_bytes()).map_err(err)?;
        self.file.sync_data().map_err(err)?;
        self.records.push(record);
        Ok(())
    }

    /// What is in the journal, oldest first.
    pub fn records(&self) -> &[JournalRecord] {
        &self.records
    }

    /// The processes that succeeded, as (round, workload, tier): a resumed run skips them.
    pub fn done(&self) -> HashSet<(u32, String, String)> {
        let ok = self.records.iter().filter(|r| r.outcome == Outcome::Ok);
        ok.map(|r| (r.round, r.workload.clone(), r.tier.clone())).collect()
    }
}

fn parse_journal(text: &str, path: &Path) -> Result<Vec<JournalRecord>, StoreError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| {
            serde_json::from_str(line).map_err(|e| StoreError::Journal {
                path: path.to_owned(),
                line: i + 1,
                message: e.to_string(),
            })
        })
        .collect()
}

/// What the names of files begin with that are being written.
const UNFINISHED: &str = ".write-";

/// Replaces a file's contents so that a crash leaves the old contents or the new ones, making its folder if
/// need be.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    // A temporary file is private to its owner; results are for all to read.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// Bytes of the files in a folder; what can't be read counts as nothing.
pub fn disk_use(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => disk_use(&entry.path()),
        _ => entry.metadata().map_or(0, |m| m.len()),
    };
    entries.flatten().map(size).sum()
}

/// A time as RFC 3339 in UTC, to the second: `2026-11-23T04:00:00Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let secs = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (year, month, day) = civil_date(secs / 86_400);
    let (h, m, s) = (secs / 3600 % 24, secs / 60 % 60, secs % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}Z")
}

/// A run's name from its start and its seed: `20261123T040000Z-1a2b3c`.
pub fn run_id(time: SystemTime, seed: u64) -> String {
    let stamp: String = rfc3339(time).chars().filter(|c| !matches!(c, '-' | ':')).collect();
    format!("{stamp}-{:06x}", seed & 0xff_ffff)
}

/// Year, month and day of a count of days since 1970-01-01, in the Gregorian calendar: whole 400-year eras
/// of 146,097 days, years that begin in March so that the leap day comes last.
fn civil_date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}
