//! Which lines of a commit only moved: those that it removes from a file of a stage and adds to one again, but for blanks.
//!
//! A file that is indented anew, or cut in two, is the same code. Lines are compared over all files of stages that the commit changes,
//! each added line being taken for one removed line.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};

use git2::{Oid, Patch, Repository};

use super::record::{Found, diff_options};

/// What a line says, without its blanks: a hash, as there may be many. `None` of a line of blanks alone.
fn meaning(line: &[u8]) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    let mut any = false;
    for byte in line.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        hasher.write_u8(*byte);
        any = true;
    }
    any.then(|| hasher.finish())
}

/// For each change, how many of its removed lines stayed. Files without counted lines have none.
pub(super) fn stayed(repository: &Repository, found: &[Found]) -> Result<Vec<u32>, git2::Error> {
    let mut added: HashMap<u64, u32> = HashMap::new();
    let mut removed: Vec<Vec<Option<u64>>> = Vec::with_capacity(found.len());
    for each in found {
        let mut gone = Vec::new();
        // A renamed file whose contents stayed has nothing to read.
        if each.change.lines.is_some() && each.before != each.after {
            lines(repository, each.before, each.after, |is_new, line| {
                let meaning = meaning(line);
                if !is_new {
                    gone.push(meaning);
                } else if let Some(meaning) = meaning {
                    *added.entry(meaning).or_default() += 1;
                }
            })?;
        }
        removed.push(gone);
    }
    let mut count = |gone: &Vec<Option<u64>>| {
        let comes_back = |meaning: &Option<u64>| {
            let Some(meaning) = meaning else { return true };
            let Some(left) = added.get_mut(meaning).filter(|left| **left > 0) else { return false };
            *left -= 1;
            true
        };
        gone.iter().map(comes_back).filter(|stayed| *stayed).count() as u32
    };
    Ok(removed.iter().map(&mut count).collect())
}

/// Calls `each` with every line that differs, and whether it's a new one.
fn lines(
    repository: &Repository,
    before: Option<Oid>,
    after: Option<Oid>,
    mut each: impl FnMut(bool, &[u8]),
) -> Result<(), git2::Error> {
    let (before, after) = match (before, after) {
        (Some(before), Some(after)) => (repository.find_blob(before)?, repository.find_blob(after)?),
        (before, after) => {
            if let Some(id) = before.or(after) {
                let blob = repository.find_blob(id)?;
                blob.content().split_inclusive(|byte| *byte == b'\n').for_each(|line| each(after.is_some(), line));
            }
            return Ok(());
        }
    };
    let patch = Patch::from_blobs(&before, None, &after, None, Some(&mut diff_options()))?;
    for hunk in 0..patch.num_hunks() {
        for index in 0..patch.num_lines_in_hunk(hunk)? {
            let line = patch.line_in_hunk(hunk, index)?;
            match line.origin() {
                '+' => each(true, line.content()),
                '-' => each(false, line.content()),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_mean_nothing_and_other_bytes_do() {
        assert_eq!(meaning(b"    if (x) {\n"), meaning(b"\tif (x)  {\r\n"));
        assert_ne!(meaning(b"if (x) {\n"), meaning(b"if (y) {\n"));
        assert_eq!(meaning(b" \t\n"), None);
    }
}
