//! Reads a repository's commits: from the cache what is there, the rest on several threads.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use git2::{Oid, Repository, Sort};

use super::cache::Cache;
use super::map::Map;
use super::people::Raw;
use super::record::{Change, Kind, Reader, Record};
use super::{GovernanceError, Progress, Request};

/// Commits that a thread takes at a time: neighbours share trees, and a batch is what an interrupt can cost.
const BATCH: usize = 64;

/// A history in memory, with each path and signature kept once.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The commits, parents before children.
    pub(super) commits: Vec<Entry>,
    pub(super) paths: Vec<String>,
    pub(super) signatures: Vec<Raw>,
    /// The commits of each signature.
    pub(super) uses: Vec<usize>,
    by_path: HashMap<String, u32>,
    by_signature: HashMap<Raw, u32>,
}

/// A commit.
#[derive(Debug, Default, Clone)]
pub(super) struct Entry {
    pub(super) id: Option<Oid>,
    pub(super) time: i64,
    pub(super) author: u32,
    pub(super) co_authors: Vec<u32>,
    pub(super) summary: String,
    pub(super) merge: bool,
    pub(super) blind: bool,
    pub(super) changes: Vec<Touch>,
}

/// A changed file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touch {
    pub(super) path: u32,
    pub(super) what: What,
    /// Lines added, removed, and there afterwards if it was renamed; `None` where they aren't counted.
    pub(super) lines: Option<(u32, u32, u32)>,
    /// Of the lines removed, those that the commit adds again.
    pub(super) stayed: u32,
}

/// [`Kind`], with the path as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Added,
    Modified,
    Deleted,
    Renamed { from: u32, changed: bool },
}

impl Log {
    fn path(&mut self, path: String) -> u32 {
        let next = self.paths.len() as u32;
        *self.by_path.entry(path).or_insert_with_key(|path| {
            self.paths.push(path.clone());
            next
        })
    }

    fn signature(&mut self, raw: Raw) -> u32 {
        let next = self.signatures.len() as u32;
        let index = *self.by_signature.entry(raw).or_insert_with_key(|raw| {
            self.signatures.push(raw.clone());
            self.uses.push(0);
            next
        });
        self.uses[index as usize] += 1;
        index
    }

    fn entry(&mut self, record: Record) -> Entry {
        let touch = |log: &mut Self, change: Change| Touch {
            what: match change.kind {
                Kind::Added => What::Added,
                Kind::Modified => What::Modified,
                Kind::Deleted => What::Deleted,
                Kind::Renamed(from, changed) => What::Renamed { from: log.path(from), changed },
            },
            path: log.path(change.path),
            lines: change.lines,
            stayed: change.stayed,
        };
        Entry {
            id: Oid::from_str(&record.id).ok(),
            time: record.time,
            author: self.signature(record.author),
            co_authors: record.co_authors.into_iter().map(|raw| self.signature(raw)).collect(),
            summary: record.summary,
            merge: record.merge,
            blind: record.blind,
            changes: record.changes.into_iter().map(|change| touch(self, change)).collect(),
        }
    }

    /// Puts a record where its commit belongs: how many commits that adds. One that this history doesn't have (any more) counts nowhere.
    fn keep(&mut self, place: &HashMap<Oid, usize>, record: Record) -> usize {
        let slot = Oid::from_str(&record.id).ok().and_then(|id| place.get(&id).copied());
        let Some(slot) = slot.filter(|slot| self.commits[*slot].id.is_none()) else { return 0 };
        self.commits[slot] = self.entry(record);
        1
    }

    /// The number of a path, if any commit has it.
    pub(super) fn find(&self, path: &str) -> Option<u32> {
        self.by_path.get(path).copied()
    }
}

/// Reads every commit that `head` reaches.
pub(super) fn read(repository: &Repository, head: Oid, map: &Map, request: &Request<'_>) -> Result<Log, GovernanceError> {
    let mut walk = repository.revwalk()?;
    walk.push(head)?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    let order: Vec<Oid> = walk.collect::<Result<_, _>>()?;
    let place: HashMap<Oid, usize> = order.iter().enumerate().map(|(index, id)| (*id, index)).collect();
    let mut log = Log { commits: vec![Entry::default(); order.len()], ..Log::default() };
    let path = repository.path().canonicalize().unwrap_or_else(|_| repository.path().to_owned());
    let mut known = 0;
    let mut cache = Cache::open(request.cache, &path, &map.all_patterns, |record| known += log.keep(&place, record))?;
    let total = order.len();
    let missing: Vec<Oid> = order.iter().zip(&log.commits).filter(|(_, entry)| entry.id.is_none()).map(|(id, _)| *id).collect();
    let mut done = known;
    (request.progress)(Progress { done, known, total });
    read_missing(&path, &missing, map, request, |records| {
        cache.append(&records)?;
        for record in records {
            done += log.keep(&place, record);
        }
        (request.progress)(Progress { done, known, total });
        Ok(())
    })?;
    if done < total { Err(GovernanceError::Interrupted { done, total }) } else { Ok(log) }
}

/// Reads commits on several threads and hands them over in batches, until all are read or somebody asks to stop.
fn read_missing(
    path: &Path,
    missing: &[Oid],
    map: &Map,
    request: &Request<'_>,
    mut take: impl FnMut(Vec<Record>) -> Result<(), GovernanceError>,
) -> Result<(), GovernanceError> {
    let batches: Vec<&[Oid]> = missing.chunks(BATCH).collect();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = mpsc::sync_channel(2 * request.jobs.max(1));
    std::thread::scope(|scope| {
        for _ in 0..request.jobs.max(1).min(batches.len()) {
            let sender = sender.clone();
            let (next, failed, batches, stop) = (&next, &failed, &batches, request.stop);
            scope.spawn(move || {
                let repository = match Repository::open(path) {
                    Ok(repository) => repository,
                    Err(error) => return drop(sender.send(Err(error))),
                };
                let reader = Reader::new(&repository, map);
                while !stop() && !failed.load(Ordering::Relaxed) {
                    let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    let records: Result<Vec<Record>, git2::Error> = batch.iter().map(|id| reader.read(*id)).collect();
                    if sender.send(records).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut result = Ok(());
        // Every thread's batches are taken to the end, so that none waits for a place in the channel for good.
        for records in receiver {
            if result.is_ok() {
                result = records.map_err(GovernanceError::from).and_then(&mut take);
                failed.store(result.is_err(), Ordering::Relaxed);
            }
        }
        result
    })
}
