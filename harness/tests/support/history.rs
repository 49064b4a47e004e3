//! Made-up repositories: commits written straight into the object database, the same each time.

#![allow(dead_code, unreachable_pub, reason = "each test file that includes this uses a part of it")]

use std::collections::BTreeMap;
use std::path::Path;

use git2::{Commit, FileMode, Oid, Repository, Signature, Time};

/// 2020-01-01 in seconds.
pub const START: i64 = 1_577_836_800;

/// A repository that grows.
pub struct Maker {
    pub repository: Repository,
    files: BTreeMap<String, Oid>,
    head: Option<Oid>,
}

impl Maker {
    pub fn new(folder: &Path) -> Self {
        Self { repository: Repository::init(folder).expect("a new repository"), files: BTreeMap::new(), head: None }
    }

    pub fn head(&self) -> Oid {
        self.head.expect("a commit")
    }

    /// So many lines that no other text of the file has in common with them.
    pub fn lines(word: &str, count: usize) -> String {
        (0..count).map(|i| [word, " ", &i.to_string(), "\n"].concat()).collect()
    }

    /// Sets a file's contents, or removes it.
    pub fn set(&mut self, path: &str, contents: Option<&str>) -> &mut Self {
        match contents {
            Some(text) => {
                let blob = self.repository.blob(text.as_bytes()).expect("a blob");
                self.files.insert(path.to_owned(), blob);
            }
            None => drop(self.files.remove(path)),
        }
        self
    }

    /// Moves a file.
    pub fn rename(&mut self, from: &str, to: &str) -> &mut Self {
        let blob = self.files.remove(from).expect("a file to move");
        self.files.insert(to.to_owned(), blob);
        self
    }

    /// Commits what was set, on a day counted from the start.
    pub fn commit(&mut self, name: &str, day: i64, message: &str) -> Oid {
        let parents: Vec<Oid> = self.head.into_iter().collect();
        self.commit_on(&parents, name, day, message)
    }

    pub fn commit_on(&mut self, parents: &[Oid], name: &str, day: i64, message: &str) -> Oid {
        let tree = self.tree("");
        let tree = self.repository.find_tree(tree).expect("its tree");
        let address = format!("{}@example.org", name.to_lowercase().replace(' ', "."));
        let signature = Signature::new(name, &address, &Time::new(START + day * 86_400, 0)).expect("a signature");
        let parents: Vec<Commit<'_>> = parents.iter().map(|id| self.repository.find_commit(*id).expect("a parent")).collect();
        let parents: Vec<&Commit<'_>> = parents.iter().collect();
        let id = self.repository.commit(None, &signature, &signature, message, &tree, &parents).expect("a commit");
        self.repository.reference("refs/heads/main", id, true, "made").expect("a branch");
        self.repository.set_head("refs/heads/main").expect("a head");
        self.head = Some(id);
        id
    }

    fn tree(&self, prefix: &str) -> Oid {
        let mut builder = self.repository.treebuilder(None).expect("a tree");
        let mut folders: Vec<&str> = Vec::new();
        for (path, blob) in self.files.range(prefix.to_owned()..) {
            let Some(rest) = path.strip_prefix(prefix) else { break };
            match rest.split_once('/') {
                Some((folder, _)) if folders.last() == Some(&folder) => {}
                Some((folder, _)) => {
                    folders.push(folder);
                    let tree = self.tree(&format!("{prefix}{folder}/"));
                    builder.insert(folder, tree, FileMode::Tree.into()).expect("a folder");
                }
                None => drop(builder.insert(rest, *blob, FileMode::Blob.into()).expect("a file")),
            }
        }
        builder.write().expect("a tree")
    }
}
