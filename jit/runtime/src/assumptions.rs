//! What units rely on, and which units rely on what.

use crate::registry::UnitId;
use std::collections::{BTreeSet, HashMap, HashSet};

/// What a unit assumes of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Assumption {
    /// A name's value (or absence) in a dict of globals, builtins or a module.
    Name {
        /// The dict's address.
        dict: usize,
        /// The name.
        name: String,
    },
    /// A class, its bases included.
    Class(usize),
    /// A function's code and defaults.
    Function(usize),
}

/// The names of a dict that are relied on, or not any more.
#[derive(Debug, Default)]
struct Names {
    relied_on: HashMap<String, BTreeSet<UnitId>>,
    /// Seen changing while something relied on them.
    unstable: HashSet<String>,
}

/// The units by what they assume.
#[derive(Debug, Default)]
pub(crate) struct Assumptions {
    dicts: HashMap<usize, Names>,
    classes: HashMap<usize, BTreeSet<UnitId>>,
    functions: HashMap<usize, BTreeSet<UnitId>>,
}

impl Assumptions {
    /// Notes an assumption.
    pub(crate) fn note(&mut self, unit: UnitId, assumption: &Assumption) {
        let units = match assumption {
            Assumption::Name { dict, name } => self.dicts.entry(*dict).or_default().relied_on.entry(name.clone()).or_default(),
            Assumption::Class(class) => self.classes.entry(*class).or_default(),
            Assumption::Function(function) => self.functions.entry(*function).or_default(),
        };
        units.insert(unit);
    }

    /// A unit that had made this assumption has gone.
    pub(crate) fn forget(&mut self, unit: UnitId, assumption: &Assumption) {
        match assumption {
            Assumption::Name { dict, name } => {
                let Some(names) = self.dicts.get_mut(dict) else { return };
                remove(&mut names.relied_on, name, unit);
                if names.relied_on.is_empty() && names.unstable.is_empty() {
                    self.dicts.remove(dict);
                }
            }
            Assumption::Class(class) => remove(&mut self.classes, class, unit),
            Assumption::Function(function) => remove(&mut self.functions, function, unit),
        }
    }

    /// Whether a name of a dict has changed while something relied on it.
    pub(crate) fn is_unstable(&self, dict: usize, name: &str) -> bool {
        self.dicts.get(&dict).is_some_and(|names| names.unstable.contains(name))
    }

    /// A name changes: the units that relied on it.
    pub(crate) fn break_name(&mut self, dict: usize, name: &str) -> BTreeSet<UnitId> {
        let Some(names) = self.dicts.get_mut(&dict) else { return BTreeSet::new() };
        let Some((name, units)) = names.relied_on.remove_entry(name) else { return BTreeSet::new() };
        names.unstable.insert(name);
        units
    }

    /// Any name of a dict may change.
    pub(crate) fn break_dict(&mut self, dict: usize) -> BTreeSet<UnitId> {
        let Some(names) = self.dicts.get_mut(&dict) else { return BTreeSet::new() };
        std::mem::take(&mut names.relied_on).into_values().flatten().collect()
    }

    /// A dict goes away, and with it what is known of its names.
    pub(crate) fn forget_dict(&mut self, dict: usize) -> BTreeSet<UnitId> {
        self.dicts.remove(&dict).map_or_else(BTreeSet::new, |names| names.relied_on.into_values().flatten().collect())
    }

    /// A class changes or goes away.
    pub(crate) fn break_class(&mut self, class: usize) -> BTreeSet<UnitId> {
        self.classes.remove(&class).unwrap_or_default()
    }

    /// A function changes or goes away.
    pub(crate) fn break_function(&mut self, function: usize) -> BTreeSet<UnitId> {
        self.functions.remove(&function).unwrap_or_default()
    }
}

fn remove<K: std::hash::Hash + Eq + Clone>(table: &mut HashMap<K, BTreeSet<UnitId>>, key: &K, unit: UnitId) {
    if let Some(units) = table.get_mut(key) {
        units.remove(&unit);
        if units.is_empty() {
            table.remove(key);
        }
    }
}
