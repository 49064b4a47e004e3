//! Who keeps a JIT alive, from the history of its repository.
//!
//! [`measure`] reads every commit (`collect`, with what was read before from `cache`), makes people of addresses (`people`), plays
//! the history through once from its beginning (`fold`), and states the figures of [`Governance`] (`figures`, `truck`). Every figure
//! follows from the commits that the newest one reaches, from the map and from nothing else: not from today's date.

mod cache;
mod collect;
mod figures;
mod fold;
mod map;
mod model;
mod pattern;
mod people;
mod record;
mod stayed;
mod trees;
mod truck;

use std::path::{Path, PathBuf};

use git2::Repository as Git;
use thiserror::Error;

pub use map::{MAP_VERSION, Map, cpython_map};
pub use model::*;

use self::map::Placer;
use self::people::People;

/// Why a history says nothing.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum GovernanceError {
    #[error("{path} is no git repository: {source}. Give the folder of a clone")]
    Open { path: PathBuf, source: git2::Error },
    #[error("{path} is a shallow clone, whose history is cut off. Get the rest: git -C {path} fetch --unshallow")]
    Shallow { path: PathBuf },
    #[error("{path} has no commit {revision}: {source}")]
    Revision { path: PathBuf, revision: String, source: git2::Error },
    #[error(
        "the history cannot be read: {0}. Check the clone with git fsck; one without all blobs (--filter) has to be made whole"
    )]
    Git(#[from] git2::Error),
    #[error("cannot read the map {path}: {source}")]
    ReadMap { path: PathBuf, source: std::io::Error },
    #[error("the map {path} is not valid: {message}")]
    Map { path: PathBuf, message: String },
    #[error("the cache {path} cannot be used: {source}. Check permissions and free space, or give another folder with --cache")]
    Cache { path: PathBuf, source: std::io::Error },
    #[error("interrupted: {done} of {total} commits are read and kept. The same command goes on from there")]
    Interrupted { done: usize, total: usize },
    #[error("no file of the map {map} is or was in {path}: is it the right repository?")]
    Nothing { path: PathBuf, map: String },
}

/// How far the reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Commits read, those of the cache included.
    pub done: usize,
    /// Commits that were in the cache.
    pub known: usize,
    /// All of them.
    pub total: usize,
}

/// What to read, and how.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// A folder of the repository.
    pub repository: &'a Path,
    /// The newest commit to read: `HEAD`, a branch, a tag.
    pub revision: &'a str,
    /// The folder for what is kept between calls.
    pub cache: &'a Path,
    /// Threads.
    pub jobs: usize,
    /// Told after each batch.
    pub progress: &'a dyn Fn(Progress),
    /// Whether to stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// Where [`Request::cache`] is unless somebody says otherwise.
pub fn default_cache() -> PathBuf {
    crate::pyperformance::cache("governance")
}

/// Measures a repository by a map.
///
/// # Errors
/// [`GovernanceError`]; after [`GovernanceError::Interrupted`] the same call goes on where it was.
pub fn measure(map: &Map, request: &Request<'_>) -> Result<Governance, GovernanceError> {
    let path = request.repository;
    // Each object would be hashed as it's read: a third of the time. Git doesn't do that either, but for `git fsck`.
    git2::opts::strict_hash_verification(false);
    let repository = Git::open(path).map_err(|source| GovernanceError::Open { path: path.to_owned(), source })?;
    if repository.is_shallow() {
        return Err(GovernanceError::Shallow { path: path.to_owned() });
    }
    let head = repository
        .revparse_single(request.revision)
        .and_then(|object| object.peel_to_commit())
        .map_err(|source| GovernanceError::Revision { path: path.to_owned(), revision: request.revision.to_owned(), source })?;
    let log = collect::read(&repository, head.id(), map, request)?;
    let tree = head.tree()?;
    let text = |name: &str| {
        let blob = tree.get_name(name).and_then(|entry| repository.find_blob(entry.id()).ok());
        blob.map(|blob| String::from_utf8_lossy(blob.content()).into_owned())
    };
    let mailmap = text(".mailmap").and_then(|text| people::mailmap(&text));
    let people = People::new(&log.signatures, &log.uses, mailmap.as_ref(), &map.bots, map.used.rules);
    let placer = Placer::new(map, text(".gitattributes").map(|text| pattern::generated_by_attributes(&text)).unwrap_or_default());
    let facts = fold::fold(&log, &people, &placer, map, head.time().seconds());
    let files = figures::files_today(&repository, &tree, &log, &facts, &placer)?;
    if facts.slots.iter().all(|slot| slot.commits == 0) && files.stage_files.is_empty() {
        return Err(GovernanceError::Nothing { path: path.to_owned(), map: map.used.name.clone() });
    }
    Ok(figures::state(&repository, &head, map, &log, &people, &facts, files))
}

/// Bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
