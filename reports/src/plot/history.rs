//! Speed-ups over commits: each run with its interval, and the level between the changes.

use pepjit_harness::history::{RunPoint, Series};
use plotters::style::text_anchor::HPos;

use super::{Area, Drawn, FAINT, NEUTRAL, PlotError, SERIES, TEXT, line, mark, ratio_ticks, svg, text, trimmed};

const WIDTH: i32 = 720;
const HEIGHT: i32 = 240;
const LEFT: i32 = 50;
const RIGHT: i32 = 20;
const TOP: i32 = 20;
const BOTTOM: i32 = 40;

/// Draws one series over its runs; nothing when it has no point.
pub(crate) fn history(runs: &[RunPoint], series: &Series, label: &str) -> Result<Option<String>, PlotError> {
    if series.points.is_empty() {
        return Ok(None);
    }
    svg(label, label, (WIDTH, HEIGHT), |area| draw(area, runs, series)).map(Some)
}

fn draw(area: &Area<'_>, runs: &[RunPoint], series: &Series) -> Drawn {
    let ends = |p: &pepjit_harness::history::Point| p.ci.unwrap_or((p.ratio, p.ratio));
    let low = series.points.iter().map(|p| ends(p).0).fold(1.0, f64::min).max(0.01) / 1.03;
    let high = series.points.iter().map(|p| ends(p).1).fold(1.0, f64::max).min(100.0) * 1.03;
    let last = runs.len().saturating_sub(1).max(1) as f64;
    let x = |run: usize| LEFT + 12 + (run as f64 / last * f64::from(WIDTH - LEFT - RIGHT - 24)).round() as i32;
    let y = |ratio: f64| {
        let share = ((ratio.ln() - low.ln()) / (high.ln() - low.ln())).clamp(0.0, 1.0);
        HEIGHT - BOTTOM - (share * f64::from(HEIGHT - TOP - BOTTOM)).round() as i32
    };
    for tick in ratio_ticks(low, high, 6) {
        let ink = if (tick - 1.0).abs() < 1e-9 { NEUTRAL } else { FAINT };
        line(area, &[(LEFT, y(tick)), (WIDTH - RIGHT, y(tick))], ink, 1)?;
        text(area, &format!("{}x", trimmed(tick)), (LEFT - 6, y(tick)), HPos::Right, TEXT)?;
    }
    for segment in &series.segments {
        line(area, &[(x(segment.from) - 6, y(segment.ratio)), (x(segment.to) + 6, y(segment.ratio))], SERIES[0], 2)?;
    }
    for point in &series.points {
        let (from, to) = ends(point);
        line(area, &[(x(point.run), y(from)), (x(point.run), y(to))], TEXT, 1)?;
        mark(area, 5, (x(point.run), y(point.ratio)), TEXT)?;
    }
    // As many commits' names as there is room for, the last one always.
    let every = (runs.len() / 8).max(1);
    for (index, run) in runs.iter().enumerate().rev().step_by(every) {
        text(area, run.commit.get(..7).unwrap_or(&run.commit), (x(index), HEIGHT - BOTTOM + 14), HPos::Center, TEXT)?;
    }
    Ok(())
}
