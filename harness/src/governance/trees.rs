//! Which files differ between two trees, without reading what they have in common.
//!
//! A commit's tree and its parent's differ in a handful of folders, and the parent is mostly the commit that was read just before.
//! So each thread keeps the folders that it has read: half of them need not be unpacked again.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::rc::Rc;

use git2::{Oid, Repository, Tree, TreeEntry};

/// Entries of folders that are kept before the older half is let go: about 100 bytes each.
const MOST_ENTRIES: usize = 200_000;

const FOLDER: i32 = 0o040_000;
const SYMLINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;

/// A file that is in one tree only, or in both with other contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) path: Vec<u8>,
    /// Its contents before, unless it's new.
    pub(super) before: Option<Oid>,
    /// Its contents after, unless it's gone.
    pub(super) after: Option<Oid>,
}

/// The folders of a repository that were read.
pub(super) struct Trees<'r> {
    repository: &'r Repository,
    recent: HashMap<Oid, Rc<Tree<'r>>>,
    older: HashMap<Oid, Rc<Tree<'r>>>,
    entries: usize,
    most: usize,
}

impl<'r> Trees<'r> {
    pub(super) fn new(repository: &'r Repository) -> Self {
        Self { repository, recent: HashMap::new(), older: HashMap::new(), entries: 0, most: MOST_ENTRIES }
    }

    /// The differences between two trees in the order of their paths. `None` where a file became something else: a link, another
    /// repository, executable and nothing more. Those are libgit2's to tell.
    pub(super) fn differences(&mut self, before: Option<Oid>, after: Oid) -> Result<Option<Vec<Difference>>, git2::Error> {
        let mut found = Vec::new();
        let mut path = Vec::new();
        let plain = self.compare(before, Some(after), &mut path, &mut found)?;
        Ok(plain.then_some(found))
    }

    /// Whether all differences were plain ones.
    fn compare(
        &mut self,
        before: Option<Oid>,
        after: Option<Oid>,
        path: &mut Vec<u8>,
        found: &mut Vec<Difference>,
    ) -> Result<bool, git2::Error> {
        if before == after {
            return Ok(true);
        }
        let (before, after) = (self.folder(before)?, self.folder(after)?);
        let (mut left, mut right) = (0, 0);
        loop {
            let old = before.as_ref().and_then(|folder| folder.get(left));
            let new = after.as_ref().and_then(|folder| folder.get(right));
            let order = match (&old, &new) {
                (None, None) => return Ok(true),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => key(a).cmp(key(b)),
            };
            let (old, new) = (old.filter(|_| order.is_le()), new.filter(|_| order.is_ge()));
            left += usize::from(old.is_some());
            right += usize::from(new.is_some());
            let Some(item) = new.as_ref().or(old.as_ref()) else { continue };
            let id = |item: &Option<TreeEntry<'_>>| item.as_ref().map(TreeEntry::id);
            let mode = |item: &Option<TreeEntry<'_>>| item.as_ref().map(TreeEntry::filemode);
            let (same, both) = (id(&old) == id(&new), old.is_some() && new.is_some());
            if same && mode(&old) == mode(&new) {
                continue;
            }
            let is_folder = item.filemode() == FOLDER;
            let other_kind = both && !is_folder && (same || (mode(&old) == Some(SYMLINK)) != (mode(&new) == Some(SYMLINK)));
            if other_kind || [mode(&old), mode(&new)].contains(&Some(SUBMODULE)) {
                return Ok(false);
            }
            let length = path.len();
            path.extend_from_slice(item.name_bytes());
            if is_folder {
                path.push(b'/');
                if !self.compare(id(&old), id(&new), path, found)? {
                    return Ok(false);
                }
            } else {
                found.push(Difference { path: path.clone(), before: id(&old), after: id(&new) });
            }
            path.truncate(length);
        }
    }

    fn folder(&mut self, id: Option<Oid>) -> Result<Option<Rc<Tree<'r>>>, git2::Error> {
        let Some(id) = id else { return Ok(None) };
        if let Some(folder) = self.recent.get(&id) {
            return Ok(Some(Rc::clone(folder)));
        }
        let folder = match self.older.remove(&id) {
            Some(folder) => folder,
            None => Rc::new(self.repository.find_tree(id)?),
        };
        if self.entries + folder.len() > self.most / 2 {
            self.older = std::mem::take(&mut self.recent);
            self.entries = 0;
        }
        self.entries += folder.len();
        self.recent.insert(id, Rc::clone(&folder));
        Ok(Some(folder))
    }
}

/// Git's order: a folder stands where its name with a `/` would.
fn key<'a>(item: &'a TreeEntry<'_>) -> impl Iterator<Item = u8> + 'a {
    item.name_bytes().iter().copied().chain((item.filemode() == FOLDER).then_some(b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree of files, folders included, and its number.
    fn tree(repository: &Repository, files: &[(&str, &str)]) -> Oid {
        let mut index = git2::Index::new().unwrap();
        for (path, text) in files {
            let (mode, text) = match text.strip_prefix('>') {
                Some(target) => (SYMLINK, target),
                None => (0o100_644, *text),
            };
            let id = repository.blob(text.as_bytes()).unwrap();
            let zero = git2::IndexTime::new(0, 0);
            index
                .add(&git2::IndexEntry {
                    ctime: zero,
                    mtime: zero,
                    dev: 0,
                    ino: 0,
                    mode: mode as u32,
                    uid: 0,
                    gid: 0,
                    file_size: 0,
                    id,
                    flags: 0,
                    flags_extended: 0,
                    path: path.as_bytes().to_vec(),
                })
                .unwrap();
        }
        index.write_tree_to(repository).unwrap()
    }

    fn told(repository: &Repository, before: Option<Oid>, after: Oid) -> Option<Vec<(String, bool, bool)>> {
        let found = Trees::new(repository).differences(before, after).unwrap()?;
        Some(found.iter().map(|d| (String::from_utf8(d.path.clone()).unwrap(), d.before.is_some(), d.after.is_some())).collect())
    }

    #[test]
    fn differences_are_those_of_libgit2_and_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let trees = [
            tree(&repository, &[]),
            tree(&repository, &[("a", "1"), ("a-b", "1"), ("d/x", "1"), ("d/e/y", "1"), ("z", "1")]),
            tree(&repository, &[("a", "2"), ("a-b", "1"), ("d/x", "1"), ("d/e/y", "2"), ("d/e/z", "1")]),
            // A file that becomes a folder, and a folder that becomes a file.
            tree(&repository, &[("a/b", "1"), ("a-b", "1"), ("a.b", "1"), ("d", "1"), ("z", "1")]),
        ];
        for before in &trees {
            for after in &trees {
                let (old, new) = (repository.find_tree(*before).unwrap(), repository.find_tree(*after).unwrap());
                let diff = repository.diff_tree_to_tree(Some(&old), Some(&new), None).unwrap();
                let theirs: Vec<_> = diff
                    .deltas()
                    .map(|d| {
                        let path = d.new_file().path().unwrap().to_str().unwrap().to_owned();
                        (path, d.status() != git2::Delta::Added, d.status() != git2::Delta::Deleted)
                    })
                    .collect();
                assert_eq!(told(&repository, Some(*before), *after), Some(theirs));
            }
        }
        assert_eq!(told(&repository, None, trees[1]).map(|found| found.len()), Some(5));
    }

    #[test]
    fn what_becomes_a_link_is_left_to_libgit2() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let before = tree(&repository, &[("a", "1"), ("l", ">x")]);
        assert_eq!(told(&repository, Some(before), tree(&repository, &[("a", ">b"), ("l", ">x")])), None);
        let moved = tree(&repository, &[("a", "1"), ("l", ">y")]);
        assert_eq!(told(&repository, Some(before), moved), Some(vec![("l".to_owned(), true, true)]));
    }

    #[test]
    fn folders_that_were_let_go_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let files: Vec<(String, &str)> = (0..20).map(|i| (format!("f{i:02}"), "1")).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        let all: Vec<Oid> = (1..8).map(|cut| tree(&repository, &files[..files.len() - cut])).collect();
        let mut trees = Trees { most: 100, ..Trees::new(&repository) };
        for _ in 0..2 {
            for pair in all.windows(2) {
                assert_eq!(trees.differences(Some(pair[0]), pair[1]).unwrap().unwrap().len(), 1);
                assert!(trees.entries <= 50, "{}", trees.entries);
            }
        }
    }
}
