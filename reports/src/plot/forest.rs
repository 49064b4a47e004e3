//! The forest plot: one row per workload, its speed-up with its interval on a logarithmic axis.

use pepjit_harness::analysis::{Estimate, TierResult, Verdict};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{Area, Drawn, FAINT, FASTER, NEUTRAL, PlotError, SLOWER, TEXT, line, names_width, ratio_ticks, svg, text, trimmed};
use crate::{format, terminal};

/// What lies between names and figures.
const PLOT: i32 = 350;
const ROW: i32 = 22;
const TOP: i32 = 56;
const RIGHT: i32 = 200;

/// A row of the plot.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) ratio: Option<f64>,
    pub(crate) ci: Option<(f64, f64)>,
    pub(crate) verdict: Verdict,
}

impl Row {
    pub(crate) fn new(name: &str, estimate: Option<&Estimate>, verdict: Verdict) -> Self {
        Self { name: name.to_owned(), ratio: estimate.map(|e| e.ratio), ci: estimate.and_then(|e| e.ci), verdict }
    }
}

/// Draws a tier's forest plot.
pub fn forest(tier: &TierResult) -> Result<String, PlotError> {
    let all: Vec<Row> = terminal::ordered(tier).into_iter().map(|w| Row::new(&w.name, w.speedup.as_ref(), w.verdict)).collect();
    let summary = Row::new("geometric mean", tier.suite.as_ref(), tier.verdict);
    let label =
        format!("Speed-ups of {} against {} with their intervals, as in the table of benchmarks", tier.tier, tier.against);
    rows(&all, Some(&summary), &label)
}

/// Draws rows, and below them one that sums them up.
pub(crate) fn rows(all: &[Row], summary: Option<&Row>, label: &str) -> Result<String, PlotError> {
    let height = TOP + ROW * (all.len() as i32 + i32::from(summary.is_some())) + 34;
    let axis = Axis::of(all.iter().chain(summary));
    svg(label, label, (axis.end() + RIGHT, height), |area| draw(area, &axis, all, summary, height))
}

fn draw(area: &Area<'_>, axis: &Axis, all: &[Row], summary: Option<&Row>, height: i32) -> Drawn {
    axis.grid(area, height - 28)?;
    let mut y = TOP;
    for each in all {
        row(area, axis, y, each, false)?;
        y += ROW;
    }
    if let Some(summary) = summary {
        line(area, &[(8, y - ROW / 2 + 1), (axis.end() + RIGHT - 8, y - ROW / 2 + 1)], FAINT, 1)?;
        row(area, axis, y + 4, summary, true)?;
    }
    Ok(())
}

fn row(area: &Area<'_>, axis: &Axis, y: i32, row: &Row, summary: bool) -> Drawn {
    text(area, &row.name, (axis.left - 14, y), HPos::Right, TEXT)?;
    let Some(ratio) = row.ratio else {
        let word = format!("{} {}", format::symbol(row.verdict), row.verdict.word());
        let ink = if row.verdict == Verdict::Failed { SLOWER } else { NEUTRAL };
        return text(area, &word, (axis.end() + 14, y), HPos::Left, ink);
    };
    let ink = match row.verdict {
        Verdict::Faster => FASTER,
        Verdict::Slower | Verdict::Failed => SLOWER,
        Verdict::NoChange | Verdict::Inconclusive | Verdict::Missing => NEUTRAL,
    };
    if let Some((low, high)) = row.ci {
        let (from, to) = (axis.x(low), axis.x(high));
        line(area, &[(from, y - 4), (from, y + 4), (from, y), (to, y), (to, y - 4), (to, y + 4)], ink, 2)?;
    }
    let x = axis.x(ratio);
    // Shapes tell the verdicts apart without colour: up, down, square, ring; a diamond for the mean.
    let shape: Vec<(i32, i32)> = match (summary, row.verdict) {
        (true, _) => vec![(x - 7, y), (x, y - 6), (x + 7, y), (x, y + 6)],
        (_, Verdict::Faster) => vec![(x - 5, y + 4), (x, y - 5), (x + 5, y + 4)],
        (_, Verdict::Slower) => vec![(x - 5, y - 4), (x, y + 5), (x + 5, y - 4)],
        (_, Verdict::NoChange) => vec![(x - 4, y - 4), (x + 4, y - 4), (x + 4, y + 4), (x - 4, y + 4)],
        _ => Vec::new(),
    };
    if shape.is_empty() {
        area.draw(&Circle::new((x, y), 4, ink.stroke_width(2)))?;
    } else {
        area.draw(&Polygon::new(shape, ink.filled()))?;
    }
    let figure = format!("{} {}", format::ratio(ratio), format::interval(row.ci));
    text(area, &figure, (axis.end() + 14, y), HPos::Left, TEXT)
}

/// The logarithmic axis, wide enough for every interval and for 1.
struct Axis {
    /// Where it begins: right of the names.
    left: i32,
    low: f64,
    high: f64,
}

impl Axis {
    fn of<'a>(rows: impl Iterator<Item = &'a Row> + Clone) -> Self {
        let left = names_width(rows.clone().map(|row| row.name.as_str()));
        let (mut low, mut high) = (0.0_f64, 0.0_f64);
        for (ratio, ci) in rows.filter_map(|r| Some((r.ratio?, r.ci))) {
            // An interval of few noisy rounds may span decades; the axis stops at a factor of 100.
            let (l, h) = ci.unwrap_or((ratio, ratio));
            low = low.min(l.max(0.01).ln());
            high = high.max(h.min(100.0).ln());
        }
        let room = ((high - low) * 0.06).max(0.02);
        Self { left, low: low - room, high: high + room }
    }

    /// Where it ends: left of the figures.
    fn end(&self) -> i32 {
        self.left + PLOT
    }

    fn x(&self, ratio: f64) -> i32 {
        let share = ((ratio.ln() - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.left + (share * f64::from(PLOT)).round() as i32
    }

    fn grid(&self, area: &Area<'_>, bottom: i32) -> Drawn {
        for tick in ratio_ticks(self.low.exp(), self.high.exp(), 6) {
            let x = self.x(tick);
            let is_one = (tick - 1.0).abs() < 1e-9;
            line(area, &[(x, TOP - 14), (x, bottom)], if is_one { NEUTRAL } else { FAINT }, 1)?;
            // A plot may be higher than a screen: the axis is told at both ends.
            for y in [TOP - 26, bottom + 12] {
                text(area, &format!("{}x", trimmed(tick)), (x, y), HPos::Center, TEXT)?;
            }
        }
        let one = self.x(1.0);
        text(area, "slower", (one - 8, 10), HPos::Right, NEUTRAL)?;
        text(area, "faster", (one + 8, 10), HPos::Left, NEUTRAL)
    }
}
