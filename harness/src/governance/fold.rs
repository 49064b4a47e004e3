//! Plays a history through, oldest commit first: who made and changed each file, and what each stage went through.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::collect::{Entry, Log, Touch, What};
use super::map::{Map, Place, Placer};
use super::people::People;
use super::{Churn, Rules};
use crate::store::rfc3339;

/// Commits of more files of interpreter and stages than this say nothing of pairs.
const PAIRS_FROM: usize = 100;

/// Who made and changed a file, whatever it was called.
#[derive(Debug, Clone, Default)]
pub(super) struct FileFacts {
    /// Those who made the commit that added it; nobody if that was a bot or a merge.
    pub(super) creators: Vec<u32>,
    /// Commits that changed it later, by person.
    pub(super) deliveries: BTreeMap<u32, u32>,
    /// Those commits, each once.
    pub(super) changes: u32,
    /// When it last was made or changed.
    pub(super) last_change: i64,
}

/// A stage, or all of them together, in the last place.
#[derive(Debug, Clone, Default)]
pub(super) struct Slot {
    pub(super) commits: usize,
    pub(super) people: HashMap<u32, Part>,
    pub(super) years: BTreeMap<i32, YearFacts>,
    pub(super) churn: Churn,
    lines: u64,
    first: Option<usize>,
}

/// One person in a stage.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Part {
    pub(super) commits: usize,
    /// Those within the time that counts as active.
    pub(super) recent: usize,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// A year of a stage.
#[derive(Debug, Clone, Default)]
pub(super) struct YearFacts {
    pub(super) commits: usize,
    pub(super) people: HashSet<u32>,
    pub(super) churn: Churn,
}

/// A commit that turned a stage over.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    pub(super) commit: usize,
    pub(super) slot: usize,
    pub(super) lines_before: u64,
    pub(super) step: Step,
}

/// What one commit did to one stage.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step {
    pub(super) touched: bool,
    pub(super) churn: Churn,
    /// Of the lines removed, those that the commit adds again.
    pub(super) stayed: u64,
    pub(super) files_added: usize,
    pub(super) files_removed: usize,
    /// Lines that files brought along or took away by moving.
    moved: i64,
}

/// Commits to the interpreter, to stages and to both.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Together {
    pub(super) interpreter: usize,
    pub(super) stages: usize,
    pub(super) both: usize,
}

/// What the history came to.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// When the newest commit was made.
    pub(super) as_of: i64,
    pub(super) files: Vec<FileFacts>,
    /// The file that has a path today, by the path's number.
    pub(super) by_path: HashMap<u32, usize>,
    /// The stages, and all together.
    pub(super) slots: Vec<Slot>,
    pub(super) turns: Vec<Turn>,
    /// When each person last committed anything.
    pub(super) last_seen: HashMap<u32, i64>,
    pub(super) merges: usize,
    pub(super) bot_commits: usize,
    /// From which commit on, counted from the oldest, changes that go together are counted.
    pub(super) together_from: Option<usize>,
    pub(super) together: BTreeMap<i32, Together>,
    pub(super) pairs: HashMap<(u32, u32), usize>,
    pub(super) interpreter_commits: HashMap<u32, usize>,
    /// Files that were deleted, by the last path's number: a merge may keep one.
    graves: HashMap<u32, usize>,
}

/// Plays the history through.
pub(super) fn fold(log: &Log, people: &People, placer: &Placer<'_>, map: &Map, as_of: i64) -> Facts {
    let places: Vec<Place> = log.paths.iter().map(|path| placer.place(path)).collect();
    let mut facts = Facts { as_of, slots: vec![Slot::default(); map.stages.len() + 1], ..Facts::default() };
    facts.find_beginnings(log, &places);
    for (index, entry) in log.commits.iter().enumerate() {
        if entry.merge {
            facts.merges += 1;
            continue;
        }
        let makers = makers(entry, people, map.used.rules);
        let time = entry.time.min(as_of);
        for touch in &entry.changes {
            facts.follow(touch, &makers, time);
        }
        let steps = facts.steps(entry, &places);
        if makers.is_empty() {
            facts.bot_commits += 1;
        } else {
            for person in &makers {
                let seen = facts.last_seen.entry(*person).or_insert(time);
                *seen = time.max(*seen);
            }
            facts.count(index, time, &makers, &steps, map.used.rules);
            facts.count_together(index, time, entry, &places);
        }
        for (slot, step) in facts.slots.iter_mut().zip(&steps) {
            let change = step.churn.added as i64 - step.churn.removed as i64 + step.moved;
            slot.lines = slot.lines.saturating_add_signed(change);
        }
    }
    facts
}

/// The people who made a commit; nobody if a bot is its author.
fn makers(entry: &Entry, people: &People, rules: Rules) -> Vec<u32> {
    let Some(author) = people.of[entry.author as usize] else { return Vec::new() };
    let mut makers = vec![author];
    if rules.co_authors {
        makers.extend(entry.co_authors.iter().filter_map(|raw| people.of[*raw as usize]));
        makers.sort_unstable();
        makers.dedup();
    }
    makers
}

/// The paths that a change is about: before and after, if they differ.
fn ends(touch: &Touch) -> (Option<u32>, Option<u32>) {
    match touch.what {
        What::Added => (None, Some(touch.path)),
        What::Deleted => (Some(touch.path), None),
        What::Modified => (Some(touch.path), Some(touch.path)),
        What::Renamed { from, .. } => (Some(from), Some(touch.path)),
    }
}

impl Facts {
    /// When each stage got its first file, and when the last of them did.
    fn find_beginnings(&mut self, log: &Log, places: &[Place]) {
        for (index, entry) in log.commits.iter().enumerate() {
            for touch in &entry.changes {
                let stages = places[touch.path as usize].stages;
                for (bit, slot) in self.slots.iter_mut().enumerate() {
                    if stages >> bit & 1 == 1 {
                        slot.first.get_or_insert(index);
                    }
                }
            }
        }
        self.together_from = self.slots.iter().filter_map(|slot| slot.first).max();
    }

    /// Lets a file's facts go with it.
    fn follow(&mut self, touch: &Touch, makers: &[u32], time: i64) {
        let file = match touch.what {
            What::Deleted => {
                if let Some(file) = self.by_path.remove(&touch.path) {
                    self.graves.insert(touch.path, file);
                }
                return;
            }
            // A file that a path has already was added on two branches: the first one counts.
            What::Added if !self.by_path.contains_key(&touch.path) => {
                let file = self.new_file(touch.path);
                self.files[file].creators = makers.to_vec();
                self.files[file].last_change = time;
                return;
            }
            What::Added | What::Modified => self.known(touch.path),
            What::Renamed { from, changed } => {
                let file = self.known(from);
                self.by_path.remove(&from);
                self.by_path.insert(touch.path, file);
                if !changed {
                    return;
                }
                file
            }
        };
        let file = &mut self.files[file];
        file.last_change = file.last_change.max(time);
        if makers.is_empty() {
            return;
        }
        file.changes += 1;
        for person in makers {
            *file.deliveries.entry(*person).or_default() += 1;
        }
    }

    /// The file of a path. One that no commit added came with a merge, and nobody is known to have made it.
    fn known(&mut self, path: u32) -> usize {
        if let Some(file) = self.by_path.get(&path) {
            return *file;
        }
        match self.graves.remove(&path) {
            Some(file) => {
                self.by_path.insert(path, file);
                file
            }
            None => self.new_file(path),
        }
    }

    fn new_file(&mut self, path: u32) -> usize {
        self.files.push(FileFacts::default());
        self.by_path.insert(path, self.files.len() - 1);
        self.files.len() - 1
    }

    /// What a commit did to each slot.
    fn steps(&self, entry: &Entry, places: &[Place]) -> Vec<Step> {
        let mut steps = vec![Step::default(); self.slots.len()];
        let all = self.slots.len() - 1;
        let stages = |path: Option<u32>| {
            let stages = path.map_or(0, |path| places[path as usize].stages);
            if stages == 0 { 0 } else { stages | 1 << all }
        };
        for touch in &entry.changes {
            let (before, after) = ends(touch);
            let (left, entered) = (stages(before), stages(after));
            if left | entered == 0 {
                continue;
            }
            let (added, removed, total) = touch.lines.unwrap_or_default();
            let (added, removed, total) = (u64::from(added), u64::from(removed), i64::from(total));
            for (bit, step) in steps.iter_mut().enumerate() {
                let (was, is) = (left >> bit & 1 == 1, entered >> bit & 1 == 1);
                if !was && !is {
                    continue;
                }
                step.touched = true;
                step.churn.added += added;
                step.churn.removed += removed;
                step.stayed += u64::from(touch.stayed);
                step.files_added += usize::from(is && !was);
                step.files_removed += usize::from(was && !is);
                let had_before = total - added as i64 + removed as i64;
                step.moved += match touch.what {
                    What::Renamed { .. } if is && !was => had_before,
                    What::Renamed { .. } if was && !is => -total,
                    _ => 0,
                };
            }
        }
        steps
    }

    fn count(&mut self, index: usize, time: i64, makers: &[u32], steps: &[Step], rules: Rules) {
        let recent = self.as_of - time <= i64::from(rules.active_days) * 86_400;
        for (number, (slot, step)) in self.slots.iter_mut().zip(steps).enumerate().filter(|(_, (_, step))| step.touched) {
            slot.commits += 1;
            slot.churn.added += step.churn.added;
            slot.churn.removed += step.churn.removed;
            let year = slot.years.entry(year(time)).or_default();
            year.commits += 1;
            year.churn.added += step.churn.added;
            year.churn.removed += step.churn.removed;
            for person in makers {
                year.people.insert(*person);
                let part = slot.people.entry(*person).or_insert(Part { first: time, last: time, ..Part::default() });
                part.commits += 1;
                part.recent += usize::from(recent);
                part.first = part.first.min(time);
                part.last = part.last.max(time);
            }
            // What was only moved or indented is the architecture that it was.
            let removed = step.churn.removed.saturating_sub(step.stayed);
            let large = removed as f64 >= rules.rearchitecture_share * slot.lines as f64;
            if slot.lines > 0 && large && removed >= u64::from(rules.rearchitecture_lines) {
                self.turns.push(Turn { commit: index, slot: number, lines_before: slot.lines, step: *step });
            }
        }
    }

    fn count_together(&mut self, index: usize, time: i64, entry: &Entry, places: &[Place]) {
        if self.together_from.is_none_or(|from| index < from) {
            return;
        }
        let (mut interpreter, mut stages) = (Vec::new(), Vec::new());
        for touch in &entry.changes {
            let (before, after) = ends(touch);
            let ends = [after, before];
            if let Some(path) = ends.iter().flatten().find(|path| places[**path as usize].stages != 0) {
                stages.push(*path);
            } else if let Some(path) = ends.iter().flatten().find(|path| places[**path as usize].interpreter) {
                interpreter.push(*path);
            }
        }
        let year = self.together.entry(year(time)).or_default();
        year.interpreter += usize::from(!interpreter.is_empty());
        year.stages += usize::from(!stages.is_empty());
        year.both += usize::from(!interpreter.is_empty() && !stages.is_empty());
        for path in &interpreter {
            *self.interpreter_commits.entry(*path).or_default() += 1;
        }
        if interpreter.len() + stages.len() <= PAIRS_FROM {
            for a in &interpreter {
                for b in &stages {
                    *self.pairs.entry((*a, *b)).or_default() += 1;
                }
            }
        }
    }
}

/// A time's day, `2026-01-31`. Times before 1970 are errors of a clock, and become its first day.
pub(super) fn day(time: i64) -> String {
    moment(time)[..10].to_owned()
}

/// A time as RFC 3339.
pub(super) fn moment(time: i64) -> String {
    rfc3339(std::time::UNIX_EPOCH + std::time::Duration::from_secs(time.max(0) as u64))
}

fn year(time: i64) -> i32 {
    day(time)[..4].parse().unwrap_or_default()
}
