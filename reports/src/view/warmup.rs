//! Warm-up curves of a run.

use serde::Serialize;

use crate::Evidence;
use crate::plot::{self, PlotError};

/// The curves, and which line is which tier.
#[derive(Debug, Serialize)]
pub(crate) struct WarmUp {
    pub(crate) legend: String,
    pub(crate) tiers: String,
    pub(crate) plots: Vec<String>,
}

impl WarmUp {
    /// `None` for a run without a tier that has a JIT: there is nothing to warm up.
    pub(super) fn new(evidence: &Evidence) -> Result<Option<Self>, PlotError> {
        let mut tiers: Vec<String> = Vec::new();
        for curve in evidence.curves.iter().flat_map(|c| &c.tiers) {
            if !tiers.contains(&curve.tier) {
                tiers.push(curve.tier.clone());
            }
        }
        if tiers.len() < 2 {
            return Ok(None);
        }
        let worth = evidence.curves.iter().filter(|c| c.tiers.iter().any(|t| t.points.len() > 1));
        let plots = worth.map(|c| plot::curves(c, &tiers)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Self { legend: plot::curves_legend(&tiers)?, tiers: tiers.join(", "), plots }))
    }
}
