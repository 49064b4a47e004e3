//! What the templates show: every number already text, in the order of the document.

mod annexes;
mod counters;
mod merged;
mod peers;
mod run;
mod tier;
mod timeline;
mod warmup;

use pepjit_harness::analysis::Verdict;
use serde::Serialize;

pub(crate) use annexes::names;
pub(crate) use run::answer_symbol;
pub(crate) use timeline::standing_symbol;

use self::annexes::AnnexView;
use self::merged::MergedView;
use self::run::RunView;
use self::timeline::TimelineView;
use crate::plot::PlotError;
use crate::{Material, format};

/// A document over one or more runs.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    pub(crate) title: String,
    pub(crate) tool_version: String,
    pub(crate) merged: Option<MergedView>,
    pub(crate) timeline: Option<TimelineView>,
    pub(crate) runs: Vec<RunView>,
    pub(crate) annexes: AnnexView,
}

/// A figure with its verdict.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Claim {
    pub(crate) name: String,
    pub(crate) figure: String,
    pub(crate) interval: String,
    pub(crate) mde: String,
    pub(crate) symbol: &'static str,
    pub(crate) word: String,
    pub(crate) class: &'static str,
    pub(crate) note: String,
}

impl Document {
    pub(crate) fn new(material: &Material) -> Result<Self, PlotError> {
        let runs = material.runs.iter().map(RunView::new).collect::<Result<Vec<_>, _>>()?;
        let title = match runs.as_slice() {
            [one] => format!("JITs compared: {}", one.heading),
            more => {
                let platforms = format::of(merged::platforms(&material.runs).len() as u64, "platform");
                format!("JITs compared: {} runs on {platforms}", more.len())
            }
        };
        Ok(Self {
            title,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            merged: if runs.len() > 1 { Some(MergedView::new(&material.runs)?) } else { None },
            timeline: material.timeline.as_ref().map(TimelineView::new).transpose()?,
            annexes: AnnexView::new(&material.annexes)?,
            runs,
        })
    }
}

/// The page's class of a verdict.
pub(crate) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "faster",
        Verdict::Slower | Verdict::Failed => "slower",
        Verdict::NoChange | Verdict::Inconclusive | Verdict::Missing => "neutral",
    }
}
