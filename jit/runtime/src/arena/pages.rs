//! Which pages of the arena are free.

use std::collections::BTreeMap;

/// Pages that lie side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The first page's number.
    pub(super) first: usize,
    /// How many.
    pub(super) count: usize,
}

impl Run {
    /// The number of the page that follows.
    pub(super) fn end(self) -> usize {
        self.first + self.count
    }
}

/// The free pages: runs by their first page, of which no two touch.
#[derive(Debug)]
pub(super) struct Pages {
    runs: BTreeMap<usize, usize>,
    free: usize,
}

impl Pages {
    /// So many pages, all free.
    pub(super) fn new(count: usize) -> Pages {
        let runs = if count == 0 { BTreeMap::new() } else { BTreeMap::from([(0, count)]) };
        Pages { runs, free: count }
    }

    /// How many pages are free.
    pub(super) fn free(&self) -> usize {
        self.free
    }

    /// Takes the first free run that is long enough, so that code stays dense.
    pub(super) fn take(&mut self, count: usize) -> Option<Run> {
        let first = self.runs.iter().find(|(_, length)| **length >= count).map(|(first, _)| *first)?;
        self.take_at(first, count)
    }

    /// Takes so many pages from the start of a free run.
    pub(super) fn take_at(&mut self, first: usize, count: usize) -> Option<Run> {
        let length = *self.runs.get(&first)?;
        if count == 0 || length < count {
            return None;
        }
        self.runs.remove(&first);
        if length > count {
            self.runs.insert(first + count, length - count);
        }
        self.free -= count;
        Some(Run { first, count })
    }

    /// Makes pages free again.
    pub(super) fn give_back(&mut self, run: Run) {
        self.free += run.count;
        let Run { mut first, mut count } = run;
        if let Some(length) = self.runs.remove(&run.end()) {
            count += length;
        }
        if let Some((before, length)) = self.runs.range(..first).next_back().map(|(before, length)| (*before, *length))
            && before + length == first
        {
            (first, count) = (before, count + length);
        }
        self.runs.insert(first, count);
    }
}
