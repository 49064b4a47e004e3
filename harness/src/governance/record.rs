//! What one commit did, read from the repository. It follows from the commit alone (and from whose lines are counted), so that it
//! can be kept on disk for good.

use std::cell::RefCell;
use std::collections::HashSet;

use git2::{Commit, Delta, Diff, DiffFindOptions, DiffOptions, ErrorCode, Oid, Patch, Repository};
use serde::{Deserialize, Serialize};

use super::map::Map;
use super::people::{Raw, co_authors};
use super::stayed::stayed;
use super::trees::{Difference, Trees};

/// More candidates than this aren't compared line by line for renames: only files that stayed the same are followed.
const MOST_RENAMES: usize = 2500;

/// Commits that remove fewer lines from stages aren't asked which of them stayed: they turn no stage over.
const LEAST_REMOVED: u32 = 50;

/// One commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The commit, hexadecimal.
    pub(super) id: String,
    /// When its author made it, seconds since 1970.
    pub(super) time: i64,
    /// Its author.
    pub(super) author: Raw,
    /// Those whom its message names as authors too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) co_authors: Vec<Raw>,
    /// The first line of its message, where it changed a file whose lines are counted.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) summary: String,
    /// Whether it has several parents; what it changes is then left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) merge: bool,
    /// Whether files that moved could only be followed where they stayed the same, since the clone lacks contents of others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) blind: bool,
    /// What it changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) changes: Vec<Change>,
}

/// One file of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    /// Its path after the commit, or before it if it's gone.
    #[serde(rename = "p")]
    pub(super) path: String,
    /// What happened to it.
    #[serde(rename = "k")]
    pub(super) kind: Kind,
    /// Lines added and removed, and the lines that it has afterwards where it was renamed; only of files of stages.
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub(super) lines: Option<(u32, u32, u32)>,
    /// Of the lines removed, those that the same commit adds again to a file of a stage, but for blanks: they moved or were indented.
    #[serde(rename = "s", default, skip_serializing_if = "is_zero")]
    pub(super) stayed: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// What happens to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    #[serde(rename = "a")]
    Added,
    #[serde(rename = "m")]
    Modified,
    #[serde(rename = "d")]
    Deleted,
    /// With the path before, and whether its contents changed as well.
    #[serde(rename = "r")]
    Renamed(String, bool),
}

/// A change, with the contents before and after it.
pub(super) struct Found {
    pub(super) change: Change,
    pub(super) before: Option<Oid>,
    pub(super) after: Option<Oid>,
}

/// Reads commits of one repository; each thread has its own.
pub(super) struct Reader<'a> {
    repository: &'a Repository,
    map: &'a Map,
    trees: RefCell<Trees<'a>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(repository: &'a Repository, map: &'a Map) -> Self {
        Self { repository, map, trees: RefCell::new(Trees::new(repository)) }
    }

    pub(super) fn read(&self, id: Oid) -> Result<Record, git2::Error> {
        let commit = self.repository.find_commit(id)?;
        let author = commit.author();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let mut record = Record {
            id: id.to_string(),
            time: author.when().seconds(),
            author: (text(author.name_bytes()), text(author.email_bytes())),
            merge: commit.parent_count() > 1,
            ..Record::default()
        };
        if record.merge {
            return Ok(record);
        }
        let (changes, blind) = self.changes(&commit)?;
        (record.changes, record.blind) = (self.with_stayed(changes)?, blind);
        if record.changes.is_empty() {
            return Ok(record);
        }
        let message = text(commit.message_bytes());
        record.co_authors = co_authors(&message);
        let mut seen = HashSet::from([record.author.clone()]);
        record.co_authors.retain(|person| seen.insert(person.clone()));
        if record.changes.iter().any(|change| change.lines.is_some()) {
            message.lines().next().unwrap_or_default().clone_into(&mut record.summary);
        }
        Ok(record)
    }

    /// What a commit changed, and whether that was found [`Record::blind`].
    fn changes(&self, commit: &Commit<'_>) -> Result<(Vec<Found>, bool), git2::Error> {
        let parent = if commit.parent_count() == 1 { Some(commit.parent(0)?.tree_id()) } else { None };
        let differences = self.trees.borrow_mut().differences(parent, commit.tree_id())?;
        match differences {
            // Nothing moved where nothing is both new and gone.
            Some(all) if all.iter().all(|d| d.after.is_some()) || all.iter().all(|d| d.before.is_some()) => {
                Ok((all.iter().map(|difference| self.plain(difference)).collect::<Result<_, _>>()?, false))
            }
            _ => self.with_renames(commit),
        }
    }

    /// A file that was made, changed or deleted and nothing else.
    fn plain(&self, difference: &Difference) -> Result<Found, git2::Error> {
        let path = String::from_utf8_lossy(&difference.path).into_owned();
        let counted = self.map.is_staged(&path);
        let count = |id| if counted { count_lines(self.repository, id) } else { Ok(None) };
        let (kind, lines) = match (difference.before, difference.after) {
            (Some(before), Some(after)) => (Kind::Modified, if counted { self.changed_lines(before, after)? } else { None }),
            (None, Some(after)) => (Kind::Added, count(after)?.map(|lines| (lines, 0, 0))),
            (Some(before), None) => (Kind::Deleted, count(before)?.map(|lines| (0, lines, 0))),
            (None, None) => (Kind::Modified, None),
        };
        Ok(Found { change: Change { path, kind, lines, stayed: 0 }, before: difference.before, after: difference.after })
    }

    /// The changes, each with how many of its removed lines the commit adds again.
    fn with_stayed(&self, found: Vec<Found>) -> Result<Vec<Change>, git2::Error> {
        let removed: u32 = found.iter().filter_map(|f| f.change.lines).map(|(_, removed, _)| removed).sum();
        let mut stayed = if removed < LEAST_REMOVED { Vec::new() } else { stayed(self.repository, &found)? };
        stayed.resize(found.len(), 0);
        Ok(found.into_iter().zip(stayed).map(|(f, stayed)| Change { stayed, ..f.change }).collect())
    }

    fn changed_lines(&self, before: Oid, after: Oid) -> Result<Option<(u32, u32, u32)>, git2::Error> {
        let (before, after) = (self.repository.find_blob(before)?, self.repository.find_blob(after)?);
        let patch = Patch::from_blobs(&before, None, &after, None, Some(&mut diff_options()))?;
        if patch.delta().flags().is_binary() {
            return Ok(None);
        }
        let (_, added, removed) = patch.line_stats()?;
        Ok(Some((added as u32, removed as u32, 0)))
    }

    /// The changes as libgit2 finds them, which takes longer.
    fn with_renames(&self, commit: &Commit<'_>) -> Result<(Vec<Found>, bool), git2::Error> {
        let before = if commit.parent_count() == 1 { Some(commit.parent(0)?.tree()?) } else { None };
        let options = &mut diff_options();
        let mut diff = self.repository.diff_tree_to_tree(before.as_ref(), Some(&commit.tree()?), Some(options))?;
        let blind = find_renames(&mut diff)?;
        let mut changes = Vec::new();
        for (index, delta) in diff.deltas().enumerate() {
            let path = |file: git2::DiffFile<'_>| String::from_utf8_lossy(file.path_bytes().unwrap_or_default()).into_owned();
            let (old, new) = (path(delta.old_file()), path(delta.new_file()));
            let kind = match delta.status() {
                Delta::Added | Delta::Copied => Kind::Added,
                Delta::Deleted => Kind::Deleted,
                Delta::Renamed => Kind::Renamed(old.clone(), delta.old_file().id() != delta.new_file().id()),
                Delta::Modified | Delta::Typechange => Kind::Modified,
                _ => continue,
            };
            let counted = self.map.is_staged(&new) || self.map.is_staged(&old);
            let lines = if counted { self.lines(&diff, index, &kind, delta.new_file().id())? } else { None };
            let id = |file: git2::DiffFile<'_>| (!file.id().is_zero()).then(|| file.id());
            let (before, after) = (id(delta.old_file()), id(delta.new_file()));
            let path = if kind == Kind::Deleted { old } else { new };
            changes.push(Found { change: Change { path, kind, lines, stayed: 0 }, before, after });
        }
        Ok((changes, blind))
    }

    /// The lines of one file of the commit; `None` of a binary one.
    fn lines(&self, diff: &Diff<'_>, index: usize, kind: &Kind, new: Oid) -> Result<Option<(u32, u32, u32)>, git2::Error> {
        let after = match kind {
            Kind::Renamed(..) => match count_lines(self.repository, new)? {
                Some(lines) => lines,
                None => return Ok(None),
            },
            _ => 0,
        };
        // A file that was only renamed has no patch.
        let Some(patch) = Patch::from_diff(diff, index)? else {
            return Ok(matches!(kind, Kind::Renamed(_, false)).then_some((0, 0, after)));
        };
        if patch.delta().flags().is_binary() {
            return Ok(None);
        }
        let (_, added, removed) = patch.line_stats()?;
        Ok(Some((added as u32, removed as u32, after)))
    }
}

pub(super) fn diff_options() -> DiffOptions {
    let mut options = DiffOptions::new();
    options.context_lines(0).interhunk_lines(0).ignore_submodules(true).include_typechange(false);
    options
}

/// Lets a file that moved be the same file, as git does: if half of its lines stayed. True if only files that stayed the same could
/// be told, for want of contents: clones made with `--filter` lack some.
fn find_renames(diff: &mut Diff<'_>) -> Result<bool, git2::Error> {
    let (mut added, mut deleted) = (0, 0);
    for delta in diff.deltas() {
        added += usize::from(delta.status() == Delta::Added);
        deleted += usize::from(delta.status() == Delta::Deleted);
    }
    if added == 0 || deleted == 0 {
        return Ok(false);
    }
    let mut find = |exact| diff.find_similar(Some(DiffFindOptions::new().renames(true).exact_match_only(exact)));
    match find(added * deleted > MOST_RENAMES) {
        Err(error) if error.code() == ErrorCode::NotFound => find(true).map(|()| true),
        other => other.map(|()| false),
    }
}

/// The lines of a text; `None` of a binary file, and of what is no file.
pub(super) fn count_lines(repository: &Repository, id: Oid) -> Result<Option<u32>, git2::Error> {
    let blob = repository.find_blob(id)?;
    if blob.is_binary() {
        return Ok(None);
    }
    Ok(Some(blob.content().split_inclusive(|byte| *byte == b'\n').count() as u32))
}
