//! The criteria's deadlines as a burn-down: what is met, at risk or missed, and how many days are left.
//!
//! `pep-draft/deadlines.toml` says when each deadline is. The days are counted from a day that is given, so that a document made
//! of the same files is the same on every day.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::criteria::{Assessment, Status};

/// Why the deadlines can't be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "each variant's message says all")]
#[non_exhaustive]
pub enum TimelineError {
    #[error("cannot read the deadlines {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the deadlines {path} are not valid: {message}")]
    Parse { path: PathBuf, message: String },
    #[error("{0:?} is not a day. Give it as 2026-12-05")]
    Day(String),
}

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day {
    year: i32,
    month: u32,
    /// Of the month, from 1.
    date: u32,
}

impl Day {
    /// Reads `2026-12-05`, or the day of an RFC 3339 time.
    pub fn parse(text: &str) -> Result<Self, TimelineError> {
        let bad = || TimelineError::Day(text.to_owned());
        let date = text.get(..10).filter(|_| text.len() == 10 || text.as_bytes().get(10) == Some(&b'T')).ok_or_else(bad)?;
        let mut parts = date.split('-');
        let mut next = |digits: usize| {
            let part = parts.next().filter(|p| p.len() == digits && p.bytes().all(|b| b.is_ascii_digit()))?;
            part.parse::<u32>().ok()
        };
        let (year, month, day) = (next(4).ok_or_else(bad)?, next(2).ok_or_else(bad)?, next(2).ok_or_else(bad)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let longest = [31, 28 + u32::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let known = month.checked_sub(1).and_then(|m| longest.get(m as usize)).is_some_and(|l| (1..=*l).contains(&day));
        if known { Ok(Self { year: year as i32, month, date: day }) } else { Err(bad()) }
    }

    /// Days since 1970-01-01 (Howard Hinnant's `days_from_civil`: years begin in March, so that a leap day ends one).
    pub fn number(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * (i64::from(self.month) + if self.month > 2 { -3 } else { 9 }) + 2) / 5 + i64::from(self.date) - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
    }

    /// As a PEP's header has it: `05-Dec-2026`.
    pub fn for_a_pep(self) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        format!("{:02}-{}-{}", self.date, MONTHS[self.month as usize - 1], self.year)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.date)
    }
}

impl TryFrom<String> for Day {
    type Error = TimelineError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

/// The deadlines' file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deadlines {
    /// The deadlines.
    pub all: Vec<Deadline>,
}

/// One deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// What criteria call it.
    pub name: String,
    /// When it is.
    pub date: Day,
    /// Whether the date is expected and not fixed.
    #[serde(default)]
    pub expected: bool,
    /// Who says so.
    pub source: String,
}

/// The file as TOML has it: dates are a type of their own there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    deadline: Vec<FileDeadline>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDeadline {
    name: String,
    date: toml::value::Datetime,
    #[serde(default)]
    expected: bool,
    source: String,
}

impl Deadlines {
    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, TimelineError> {
        let text = std::fs::read_to_string(path).map_err(|source| TimelineError::Read { path: path.to_owned(), source })?;
        let parse = |message| TimelineError::Parse { path: path.to_owned(), message };
        let file: File = toml::from_str(&text).map_err(|e| parse(e.to_string()))?;
        let mut all = Vec::new();
        for d in file.deadline {
            let date = Day::parse(&d.date.to_string()).map_err(|e| parse(format!("{}: {e}", d.name)))?;
            if all.iter().any(|known: &Deadline| known.name == d.name) {
                return Err(parse(format!("{} is there twice", d.name)));
            }
            all.push(Deadline { name: d.name, date, expected: d.expected, source: d.source });
        }
        all.sort_by_key(|d| d.date);
        Ok(Self { all })
    }
}

/// How a criterion stands against its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Shown to hold.
    Met,
    /// The deadline is ahead, and nothing shows that it holds.
    AtRisk,
    /// The deadline is past, and it's shown not to hold.
    Missed,
    /// The deadline is past, and these runs don't tell.
    NotShown,
}

impl Standing {
    /// All of them, in the order of a legend.
    pub const ALL: [Self; 4] = [Self::Met, Self::AtRisk, Self::Missed, Self::NotShown];

    /// In a word or two.
    pub fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::AtRisk => "at risk",
            Self::Missed => "missed",
            Self::NotShown => "past, not shown",
        }
    }
}

/// A criterion with a deadline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The criterion.
    pub id: String,
    /// What it means.
    pub meaning: String,
    /// What the runs say, all taken together.
    pub status: Status,
    /// What that is worth at this deadline.
    pub standing: Standing,
}

/// A deadline and its criteria.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The deadline.
    pub deadline: Deadline,
    /// Days until it; below 0 it's past.
    pub days_left: i64,
    /// Its criteria, in the file's order.
    pub items: Vec<Item>,
}

impl Step {
    /// How many of its criteria stand so.
    pub fn count(&self, standing: Standing) -> usize {
        self.items.iter().filter(|i| i.standing == standing).count()
    }
}

/// The burn-down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The day from which days are counted.
    pub as_of: Day,
    /// The deadlines that criteria have, the earliest first.
    pub steps: Vec<Step>,
    /// Criteria with a deadline that has no date: `(id, deadline)`.
    pub undated: Vec<(String, String)>,
}

impl Timeline {
    /// Of what one run or several say about the same criteria. `any` platform is enough for a criterion that says so, and one of
    /// a platform is only measured there: met in one run is met.
    pub fn new(deadlines: &Deadlines, runs: &[&[Assessment]], as_of: Day) -> Self {
        let mut steps: Vec<Step> = deadlines
            .all
            .iter()
            .map(|d| Step { deadline: d.clone(), days_left: d.date.number() - as_of.number(), items: Vec::new() })
            .collect();
        let mut undated = Vec::new();
        for (index, a) in runs.first().copied().unwrap_or_default().iter().enumerate() {
            let Some(name) = &a.criterion.deadline else { continue };
            let Some(step) = steps.iter_mut().find(|s| s.deadline.name == *name) else {
                undated.push((a.criterion.id.clone(), name.clone()));
                continue;
            };
            let said = runs.iter().filter_map(|run| run.get(index)).filter(|b| b.criterion.id == a.criterion.id);
            let status = said.map(|b| b.status).min_by_key(|s| strength(*s)).unwrap_or(a.status);
            let standing = match status {
                Status::Met => Standing::Met,
                _ if step.days_left >= 0 => Standing::AtRisk,
                Status::NotMet => Standing::Missed,
                Status::Inconclusive | Status::NoLimit | Status::NotMeasured => Standing::NotShown,
            };
            step.items.push(Item { id: a.criterion.id.clone(), meaning: a.criterion.meaning.clone(), status, standing });
        }
        steps.retain(|s| !s.items.is_empty());
        Self { as_of, steps, undated }
    }

    /// How many criteria stand so.
    pub fn count(&self, standing: Standing) -> usize {
        self.steps.iter().map(|s| s.count(standing)).sum()
    }

    /// The next deadline that is ahead.
    pub fn next(&self) -> Option<&Step> {
        self.steps.iter().find(|s| s.days_left >= 0)
    }
}

/// What is decided comes before what isn't.
fn strength(status: Status) -> u8 {
    match status {
        Status::Met => 0,
        Status::NotMet => 1,
        Status::NoLimit => 2,
        Status::Inconclusive => 3,
        Status::NotMeasured => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::criteria::Criteria;

    fn day(text: &str) -> Day {
        Day::parse(text).expect("a day")
    }

    #[test]
    fn days_are_counted_over_months_and_leap_years() {
        assert_eq!(day("1970-01-01").number(), 0);
        assert_eq!(day("2000-03-01").number() - day("2000-02-28").number(), 2);
        assert_eq!(day("2100-03-01").number() - day("2100-02-28").number(), 1);
        assert_eq!(day("2026-12-05").number() - day("2026-11-23T04:00:00Z").number(), 12);
        assert_eq!(day("2027-05-04").for_a_pep(), "04-May-2027");
        for wrong in ["2026-02-29", "2026-13-01", "2026-1-05", "2026-12-00", "20261205", "2026-12-05x", "", "äöü-12-05é"] {
            assert!(Day::parse(wrong).is_err(), "{wrong}");
        }
    }

    fn project(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../pep-draft").join(name)
    }

    #[test]
    fn every_deadline_of_the_criteria_is_dated_or_has_no_date() {
        let deadlines = Deadlines::load(&project("deadlines.toml")).expect("our own deadlines");
        let criteria = Criteria::load(&project("criteria.toml")).expect("our own criteria");
        for criterion in &criteria.all {
            let Some(name) = &criterion.deadline else { continue };
            let dated = deadlines.all.iter().any(|d| d.name == *name);
            let dateless = ["promotion", "ongoing", "withdrawn"].contains(&name.as_str());
            assert!(dated != dateless, "{}: {name}", criterion.id);
        }
    }

    #[test]
    fn a_criterion_stands_by_its_status_its_deadline_and_the_best_run() {
        use Status::{Inconclusive, Met, NotMeasured, NotMet};

        let deadlines = Deadlines::load(&project("deadlines.toml")).expect("our own deadlines");
        let mut criteria = Criteria::load(&project("criteria.toml")).expect("our own criteria");
        criteria.all.truncate(5);
        let (past, ahead) = ("3.15", "3.16 beta 1");
        let assessments = |statuses: [Status; 5]| -> Vec<Assessment> {
            let deadlines = [Some(past), Some(past), Some(ahead), Some("promotion"), None];
            let all = criteria.all.iter().zip(statuses).zip(deadlines);
            all.map(|((c, status), deadline)| {
                let mut criterion = c.clone();
                criterion.deadline = deadline.map(str::to_owned);
                Assessment { criterion, status, finding: String::new(), rounds_to_decide: None, command: None }
            })
            .collect()
        };
        let one = assessments([NotMet, NotMeasured, NotMet, Met, Met]);
        let timeline = Timeline::new(&deadlines, &[&one], day("2026-11-23"));
        assert_eq!(timeline.steps.len(), 2);
        assert_eq!(Standing::ALL.map(|s| timeline.count(s)), [0, 1, 1, 1]);
        assert_eq!(timeline.undated.len(), 1);
        assert_eq!(timeline.next().map(|s| (s.deadline.name.as_str(), s.days_left)), Some((ahead, 162)));

        let other = assessments([Met, Inconclusive, NotMeasured, Met, Met]);
        let both = Timeline::new(&deadlines, &[&one, &other], day("2026-11-23"));
        assert_eq!(both.steps[0].items.iter().map(|i| i.standing).collect::<Vec<_>>(), [Standing::Met, Standing::NotShown]);
        assert_eq!(both.steps[1].items[0].status, NotMet);
    }

    #[test]
    fn a_damaged_file_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deadlines.toml");
        assert!(matches!(Deadlines::load(&path), Err(TimelineError::Read { .. })));
        for wrong in ["[[deadline]]\nname = 1", "[[deadline]]\nname = \"a\"\ndate = 10:00:00\nsource = \"b\""] {
            std::fs::write(&path, wrong).expect("writable");
            assert!(matches!(Deadlines::load(&path), Err(TimelineError::Parse { .. })), "{wrong}");
        }
    }
}
