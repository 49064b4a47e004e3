//! `governance.json`: what a repository's history says about who keeps a JIT alive. People appear by name, never by address.

use serde::{Deserialize, Serialize};

/// The version of `governance.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// Its name in a run directory, for CPython's JIT.
pub const FILE: &str = "governance.json";

/// What the map of CPython's stages is called: `pep-draft/cpython-stages.toml`.
pub const CPYTHON: &str = "CPython's JIT";

/// Its name for another one: `governance-NAME.json`.
pub fn file_of(name: &str) -> String {
    format!("governance-{name}.json")
}

/// Whether a file of this name is such a one.
pub fn is_of_another(file: &str) -> bool {
    file.strip_prefix("governance-").and_then(|rest| rest.strip_suffix(".json")).is_some_and(|name| !name.is_empty())
}

/// The history of one repository, by the stages of a map.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Governance {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Version of the tool that measured.
    pub tool_version: String,
    /// What was read.
    pub repository: Repository,
    /// The map and its rules, which every figure depends on.
    pub map: MapUsed,
    /// What was left out.
    pub excluded: Excluded,
    /// How addresses became people.
    pub identities: Identities,
    /// All stages taken together, each file once.
    pub whole: Stage,
    /// The stages, in the map's order.
    pub stages: Vec<Stage>,
    /// How changes of the interpreter and of the stages go together.
    pub co_change: CoChange,
    /// Commits that turned over a large part of a stage, oldest first.
    pub rearchitecture: Vec<Rearchitecture>,
}

/// The repository and the stretch of its history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Its remote's address, or else its folder's name.
    pub name: String,
    /// The newest commit that was read, hexadecimal.
    pub head: String,
    /// That commit's time, RFC 3339 in UTC: "today" of every figure, so that the same history gives the same figures.
    pub as_of: String,
    /// The oldest commit's time.
    pub since: String,
    /// Commits reachable from the newest one.
    pub commits: usize,
}

/// The map by which files belong to stages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MapUsed {
    /// Its name.
    pub name: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// Its rules.
    pub rules: Rules,
}

/// The numbers that definitions hang on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Somebody is active who committed within so many days before the newest commit.
    pub active_days: u32,
    /// A recurring contributor has so many commits to the stage ...
    pub recurring_commits: u32,
    /// ... over at least so many days from the first to the last.
    pub recurring_days: u32,
    /// A commit re-architects a stage if it removes at least this share of the lines that the stage had before it ...
    pub rearchitecture_share: f64,
    /// ... and at least so many. Growth alone doesn't, nor do lines that are only moved or indented.
    pub rearchitecture_lines: u32,
    /// Whether identities of the same full name (two words or more) are one person, beyond what .mailmap says.
    pub same_name: bool,
    /// Whether those named by `Co-authored-by:` made the commit too.
    pub co_authors: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            active_days: 365,
            recurring_commits: 3,
            recurring_days: 90,
            rearchitecture_share: 0.2,
            rearchitecture_lines: 200,
            same_name: false,
            co_authors: false,
        }
    }
}

/// What no figure counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// Merge commits: what they bring is counted where it was made.
    pub merges: usize,
    /// Commits whose authors are bots.
    pub bot_commits: usize,
    /// The bots, by name.
    pub bots: Vec<String>,
    /// Files of stages that are generated, as they are called today.
    pub generated: Vec<String>,
    /// Binary files of stages, which have no lines to count.
    pub binary: Vec<String>,
    /// Commits in which files that moved are followed only if they stayed the same, since the clone lacks contents of others.
    #[serde(default)]
    pub blind_commits: usize,
}

/// How addresses became people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identities {
    /// Distinct names with addresses in the history.
    pub signatures: usize,
    /// People that they are.
    pub people: usize,
    /// Signatures that .mailmap gave another name or address.
    pub by_mailmap: usize,
    /// Signatures merged because of the same full name.
    pub by_name: usize,
}

/// The people and the files of a stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Its files that exist today.
    pub files: usize,
    /// Their lines, as far as text has any.
    pub lines: u64,
    /// Commits that changed it.
    pub commits: usize,
    /// People who made these.
    pub contributors: usize,
    /// Those of them who come back: see [`Rules`].
    pub recurring: usize,
    /// Those who committed to the stage within [`Rules::active_days`].
    pub active: usize,
    /// Those who are both: what a criterion of "active maintainers" is held against.
    pub active_recurring: usize,
    /// The truck factor.
    pub truck_factor: TruckFactor,
    /// The same if those who aren't active any more are gone already.
    pub truck_factor_active: TruckFactor,
    /// CHAOSS's contributor absence factor: the fewest people with half of the commits.
    pub absence_factor: usize,
    /// The same of the commits within [`Rules::active_days`]; `None` without any.
    pub absence_factor_active: Option<usize>,
    /// Lines added and removed.
    pub churn: Churn,
    /// The people with most commits, most first; at most 20.
    pub top: Vec<Contributor>,
    /// Year by year.
    pub years: Vec<Year>,
    /// Files none of whose authors is active, the longest deserted first.
    pub deserted: Vec<Deserted>,
}

/// How many people have to leave until over half of the files have no author (Avelino et al., ICPC 2016).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TruckFactor {
    /// How many.
    pub factor: usize,
    /// Who, in the order of leaving, with the files that each was an author of.
    pub leave: Vec<Author>,
    /// Files that have no author to begin with.
    pub without_author: usize,
}

/// An author of files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The name.
    pub name: String,
    /// Files.
    pub files: usize,
}

/// Lines added and removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Churn {
    /// Lines added.
    pub added: u64,
    /// Lines removed.
    pub removed: u64,
}

/// One person's part in a stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contributor {
    /// The name.
    pub name: String,
    /// Commits to the stage.
    pub commits: usize,
    /// Of the stage's commits, the share.
    pub share: f64,
    /// The day of the first, `2026-01-31`.
    pub first: String,
    /// The day of the last.
    pub last: String,
    /// Whether they come back.
    pub recurring: bool,
    /// Whether they are active in the stage.
    pub active: bool,
}

/// One calendar year (UTC, by the authors' dates) of a stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Year {
    /// The year.
    pub year: i32,
    /// Commits.
    pub commits: usize,
    /// People.
    pub contributors: usize,
    /// Those of them who had committed to the stage in an earlier year.
    pub returning: usize,
    /// Lines.
    pub churn: Churn,
}

/// A file none of whose authors is active.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deserted {
    /// Its path today.
    pub path: String,
    /// Its authors, by degree of authorship; empty if nobody reaches the threshold.
    pub authors: Vec<String>,
    /// Days since the last commit, to anything, of any of its authors; since the file's last change if it has no author.
    pub days: i64,
    /// The day of the file's last change.
    pub last_change: String,
}

/// Commits to the interpreter's files, to the stages' files, and to both.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CoChange {
    /// The day from which on commits are counted here: when the last of the stages got its first file. Empty if that never was.
    pub since: String,
    /// Commits that changed the interpreter.
    pub interpreter: usize,
    /// Commits that changed a stage.
    pub stages: usize,
    /// Commits that changed both.
    pub both: usize,
    /// Of the interpreter's commits, the share that changed a stage too; `None` without any.
    pub share: Option<f64>,
    /// The same by year.
    pub years: Vec<CoChangeYear>,
    /// Pairs of an interpreter file and a stage's file that changed together most often, at most 20. Commits of more than 100 such files
    /// (a rename throughout, a new formatting) say nothing of pairs and don't count.
    pub pairs: Vec<Pair>,
}

/// One year of [`CoChange`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CoChangeYear {
    /// The year.
    pub year: i32,
    /// Commits that changed the interpreter.
    pub interpreter: usize,
    /// Commits that changed a stage.
    pub stages: usize,
    /// Commits that changed both.
    pub both: usize,
}

/// Two files that change together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The interpreter's file.
    pub interpreter: String,
    /// The stage's file.
    pub stage: String,
    /// Commits that changed both.
    pub together: usize,
    /// Commits that changed the interpreter's file, over the same time.
    pub interpreter_commits: usize,
}

/// A commit that turned over a large part of a stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rearchitecture {
    /// The commit, hexadecimal.
    pub commit: String,
    /// Its day.
    pub date: String,
    /// Its author.
    pub author: String,
    /// The first line of its message.
    pub summary: String,
    /// The stage.
    pub stage: String,
    /// The stage's lines before.
    pub lines_before: u64,
    /// What it added and removed there.
    pub churn: Churn,
    /// Of the lines removed, those that it added again, moved or indented: they don't count against the stage's lines.
    #[serde(default)]
    pub stayed: u64,
    /// Files that it added to the stage.
    pub files_added: usize,
    /// Files that it removed from the stage.
    pub files_removed: usize,
}
