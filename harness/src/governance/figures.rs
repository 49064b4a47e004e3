//! From the facts of a history to the figures of [`Governance`].

use std::cmp::Reverse;
use std::collections::HashSet;

use git2::{Commit, ObjectType, Repository as Git, Tree, TreeWalkMode, TreeWalkResult};

use super::collect::Log;
use super::fold::{Facts, FileFacts, Part, Slot, day, moment};
use super::map::{Map, Placer};
use super::people::People;
use super::record::count_lines;
use super::truck::{absence_factor, authors, truck_factor};
use super::{
    CoChange, CoChangeYear, Contributor, Deserted, Excluded, Governance, Pair, Rearchitecture, Repository, SCHEMA_VERSION, Stage,
    Year,
};

/// How many rows of people, and of pairs, are told.
const ROWS: usize = 20;

/// The files of the newest commit that matter.
pub(super) struct Today {
    pub(super) stage_files: Vec<StageFile>,
    generated: Vec<String>,
    binary: Vec<String>,
}

/// A file of a stage.
pub(super) struct StageFile {
    path: String,
    stages: u64,
    lines: u64,
    facts: FileFacts,
}

/// Reads which files of stages there are, and how long they are.
pub(super) fn files_today(
    repository: &Git,
    tree: &Tree<'_>,
    log: &Log,
    facts: &Facts,
    placer: &Placer<'_>,
) -> Result<Today, git2::Error> {
    let mut today = Today { stage_files: Vec::new(), generated: Vec::new(), binary: Vec::new() };
    let mut failure = None;
    tree.walk(TreeWalkMode::PreOrder, |folder, entry| {
        if entry.kind() != Some(ObjectType::Blob) {
            return TreeWalkResult::Ok;
        }
        let path = format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes()));
        let place = placer.place(&path);
        if place.generated {
            today.generated.push(path);
        } else if place.stages != 0 {
            let file = log.find(&path).and_then(|number| facts.by_path.get(&number)).map(|file| facts.files[*file].clone());
            match count_lines(repository, entry.id()) {
                Ok(lines) => {
                    if lines.is_none() {
                        today.binary.push(path.clone());
                    }
                    let lines = lines.unwrap_or(0).into();
                    today.stage_files.push(StageFile { path, stages: place.stages, lines, facts: file.unwrap_or_default() });
                }
                Err(error) => {
                    failure = Some(error);
                    return TreeWalkResult::Abort;
                }
            }
        }
        TreeWalkResult::Ok
    })
    .or_else(|error| if failure.is_some() { Ok(()) } else { Err(error) })?;
    failure.map_or(Ok(today), Err)
}

/// States the figures.
pub(super) fn state(
    repository: &Git,
    head: &Commit<'_>,
    map: &Map,
    log: &Log,
    people: &People,
    facts: &Facts,
    today: Today,
) -> Governance {
    let view = View { map, people, facts };
    let stage = |bit: usize, name: &str| {
        let files: Vec<&StageFile> = today.stage_files.iter().filter(|file| file.stages >> bit & 1 == 1).collect();
        view.stage(name, &facts.slots[bit], &files)
    };
    let all: Vec<&StageFile> = today.stage_files.iter().collect();
    Governance {
        schema_version: SCHEMA_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        repository: Repository {
            name: name(repository),
            head: head.id().to_string(),
            as_of: moment(facts.as_of),
            since: moment(log.commits.iter().map(|entry| entry.time).min().unwrap_or(0)),
            commits: log.commits.len(),
        },
        map: map.used.clone(),
        identities: people.counts.clone(),
        whole: view.stage("all stages", &facts.slots[map.stages.len()], &all),
        stages: map.stages.iter().enumerate().map(|(bit, name)| stage(bit, name)).collect(),
        co_change: co_change(log, facts),
        rearchitecture: rearchitecture(log, people, facts, map),
        excluded: Excluded {
            merges: facts.merges,
            bot_commits: facts.bot_commits,
            bots: people.bots.clone(),
            generated: today.generated,
            binary: today.binary,
            blind_commits: log.commits.iter().filter(|entry| entry.blind).count(),
        },
    }
}

struct View<'a> {
    map: &'a Map,
    people: &'a People,
    facts: &'a Facts,
}

impl View<'_> {
    fn recent(&self, time: i64) -> bool {
        self.facts.as_of - time <= i64::from(self.map.used.rules.active_days) * 86_400
    }

    fn recurs(&self, part: &Part) -> bool {
        let rules = self.map.used.rules;
        part.commits >= rules.recurring_commits as usize && part.last - part.first >= i64::from(rules.recurring_days) * 86_400
    }

    /// Whether somebody committed anything at all of late.
    fn is_around(&self, person: u32) -> bool {
        self.facts.last_seen.get(&person).is_some_and(|time| self.recent(*time))
    }

    fn stage(&self, name: &str, slot: &Slot, files: &[&StageFile]) -> Stage {
        let names = &self.people.names;
        let authorship: Vec<Vec<u32>> = files.iter().map(|file| authors(&file.facts, names)).collect();
        let around: Vec<Vec<u32>> =
            authorship.iter().map(|all| all.iter().copied().filter(|person| self.is_around(*person)).collect()).collect();
        let parts = || slot.people.values();
        Stage {
            name: name.to_owned(),
            files: files.len(),
            lines: files.iter().map(|file| file.lines).sum(),
            commits: slot.commits,
            contributors: slot.people.len(),
            recurring: parts().filter(|part| self.recurs(part)).count(),
            active: parts().filter(|part| part.recent > 0).count(),
            active_recurring: parts().filter(|part| part.recent > 0 && self.recurs(part)).count(),
            truck_factor: truck_factor(&authorship, names),
            truck_factor_active: truck_factor(&around, names),
            absence_factor: absence_factor(parts().map(|part| part.commits)).unwrap_or(0),
            absence_factor_active: absence_factor(parts().map(|part| part.recent)),
            churn: slot.churn,
            top: self.top(slot),
            years: years(slot),
            deserted: self.deserted(files, &authorship),
        }
    }

    fn top(&self, slot: &Slot) -> Vec<Contributor> {
        let mut rows: Vec<Contributor> = slot
            .people
            .iter()
            .map(|(person, part)| Contributor {
                name: self.people.names[*person as usize].clone(),
                commits: part.commits,
                share: part.commits as f64 / slot.commits as f64,
                first: day(part.first),
                last: day(part.last),
                recurring: self.recurs(part),
                active: part.recent > 0,
            })
            .collect();
        rows.sort_by(|a, b| b.commits.cmp(&a.commits).then_with(|| a.name.cmp(&b.name)));
        rows.truncate(ROWS);
        rows
    }

    fn deserted(&self, files: &[&StageFile], authorship: &[Vec<u32>]) -> Vec<Deserted> {
        let mut rows: Vec<Deserted> = files
            .iter()
            .zip(authorship)
            .filter(|(_, authors)| !authors.iter().any(|person| self.is_around(*person)))
            .map(|(file, authors)| {
                let seen = authors.iter().filter_map(|person| self.facts.last_seen.get(person)).max();
                Deserted {
                    path: file.path.clone(),
                    authors: authors.iter().map(|person| self.people.names[*person as usize].clone()).collect(),
                    days: (self.facts.as_of - seen.copied().unwrap_or(file.facts.last_change)) / 86_400,
                    last_change: day(file.facts.last_change),
                }
            })
            .collect();
        rows.sort_by(|a, b| b.days.cmp(&a.days).then_with(|| a.path.cmp(&b.path)));
        rows
    }
}

fn years(slot: &Slot) -> Vec<Year> {
    let mut before: HashSet<u32> = HashSet::new();
    let mut rows = Vec::new();
    for (year, facts) in &slot.years {
        rows.push(Year {
            year: *year,
            commits: facts.commits,
            contributors: facts.people.len(),
            returning: facts.people.intersection(&before).count(),
            churn: facts.churn,
        });
        before.extend(&facts.people);
    }
    rows
}

fn co_change(log: &Log, facts: &Facts) -> CoChange {
    let since = facts.together_from.map(|from| day(log.commits[from].time)).unwrap_or_default();
    let mut sum = CoChange { since, ..CoChange::default() };
    for (year, t) in &facts.together {
        sum.interpreter += t.interpreter;
        sum.stages += t.stages;
        sum.both += t.both;
        let (interpreter, stages, both) = (t.interpreter, t.stages, t.both);
        sum.years.push(CoChangeYear { year: *year, interpreter, stages, both });
    }
    sum.share = (sum.interpreter > 0).then(|| sum.both as f64 / sum.interpreter as f64);
    let mut pairs: Vec<Pair> = facts
        .pairs
        .iter()
        .map(|((interpreter, stage), together)| Pair {
            interpreter: log.paths[*interpreter as usize].clone(),
            stage: log.paths[*stage as usize].clone(),
            together: *together,
            interpreter_commits: facts.interpreter_commits.get(interpreter).copied().unwrap_or(0),
        })
        .collect();
    pairs.sort_by(|a, b| (Reverse(a.together), &a.interpreter, &a.stage).cmp(&(Reverse(b.together), &b.interpreter, &b.stage)));
    pairs.truncate(ROWS);
    sum.pairs = pairs;
    sum
}

fn rearchitecture(log: &Log, people: &People, facts: &Facts, map: &Map) -> Vec<Rearchitecture> {
    // What turned over all stages together is told by the stages.
    let turns = facts.turns.iter().filter(|turn| turn.slot < map.stages.len());
    turns
        .map(|turn| {
            let entry = &log.commits[turn.commit];
            let author = people.of[entry.author as usize].map(|person| people.names[person as usize].clone());
            Rearchitecture {
                commit: entry.id.map(|id| id.to_string()).unwrap_or_default(),
                date: day(entry.time),
                author: author.unwrap_or_default(),
                summary: entry.summary.clone(),
                stage: map.stages[turn.slot].clone(),
                lines_before: turn.lines_before,
                churn: turn.step.churn,
                stayed: turn.step.stayed,
                files_added: turn.step.files_added,
                files_removed: turn.step.files_removed,
            }
        })
        .collect()
}

/// What to call a repository: its remote's address without any credentials, or its folder's name.
fn name(repository: &Git) -> String {
    let remote = repository.find_remote("origin").ok();
    let address =
        remote.as_ref().and_then(|remote| remote.url().ok()).filter(|url| url.contains("://") && !url.starts_with("file:"));
    if let Some((scheme, rest)) = address.and_then(|url| url.split_once("://")) {
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        return format!("{scheme}://{host}/{path}");
    }
    let folder = repository.workdir().unwrap_or_else(|| repository.path());
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
