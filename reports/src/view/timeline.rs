//! The criteria's deadlines.

use pepjit_harness::timeline::{Standing, Step, Timeline};
use serde::Serialize;

use crate::plot::{self, PlotError};

/// The burn-down.
#[derive(Debug, Serialize)]
pub(crate) struct TimelineView {
    pub(crate) as_of: String,
    pub(crate) summary: String,
    pub(crate) next: String,
    pub(crate) plot: Option<String>,
    pub(crate) steps: Vec<StepView>,
    pub(crate) undated: String,
}

/// A deadline.
#[derive(Debug, Serialize)]
pub(crate) struct StepView {
    pub(crate) name: String,
    pub(crate) date: String,
    pub(crate) source: String,
    pub(crate) left: String,
    pub(crate) counts: Vec<usize>,
    pub(crate) items: Vec<ItemView>,
}

/// A criterion.
#[derive(Debug, Serialize)]
pub(crate) struct ItemView {
    pub(crate) id: String,
    pub(crate) meaning: String,
    pub(crate) symbol: &'static str,
    pub(crate) word: &'static str,
    pub(crate) status: &'static str,
    pub(crate) class: &'static str,
}

/// A sign for how a criterion stands.
pub(crate) fn standing_symbol(standing: Standing) -> &'static str {
    match standing {
        Standing::Met => "✓",
        Standing::AtRisk => "!",
        Standing::Missed => "✗",
        Standing::NotShown => "-",
    }
}

fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Met => "faster",
        Standing::Missed => "slower",
        Standing::AtRisk | Standing::NotShown => "neutral",
    }
}

impl TimelineView {
    pub(super) fn new(timeline: &Timeline) -> Result<Self, PlotError> {
        let counts = Standing::ALL.map(|s| format!("{} {}", timeline.count(s), s.word()));
        let next = timeline.next().map_or_else(
            || "No deadline is ahead.".to_owned(),
            |s| format!("Next: {} on {}, {}.", s.deadline.name, s.deadline.date, days(s.days_left)),
        );
        let undated: Vec<String> = timeline.undated.iter().map(|(id, when)| format!("{id} ({when})")).collect();
        Ok(Self {
            as_of: timeline.as_of.to_string(),
            summary: counts.join(", "),
            next,
            plot: plot::timeline(timeline)?,
            steps: timeline.steps.iter().map(StepView::new).collect(),
            undated: undated.join(", "),
        })
    }
}

impl StepView {
    fn new(step: &Step) -> Self {
        let about = if step.deadline.expected { "expected " } else { "" };
        Self {
            name: step.deadline.name.clone(),
            date: format!("{about}{}", step.deadline.date),
            source: step.deadline.source.clone(),
            left: days(step.days_left),
            counts: Standing::ALL.map(|s| step.count(s)).to_vec(),
            items: step
                .items
                .iter()
                .map(|i| ItemView {
                    id: i.id.clone(),
                    meaning: i.meaning.clone(),
                    symbol: standing_symbol(i.standing),
                    word: i.standing.word(),
                    status: i.status.word(),
                    class: class(i.standing),
                })
                .collect(),
        }
    }
}

/// `12 days left`, `today`, `55 days ago`.
fn days(left: i64) -> String {
    let unit = |n: i64| if n == 1 { "day" } else { "days" };
    match left {
        0 => "today".to_owned(),
        n if n > 0 => format!("{n} {} left", unit(n)),
        n => format!("{} {} ago", -n, unit(-n)),
    }
}
