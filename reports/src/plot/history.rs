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

/// The least factor between the ends of the axis, before the margins.
const LEAST_RANGE: f64 = 1.1;

/// Nearer to no difference than by this factor, the axis reaches to it.
const NEAR: f64 = 1.15;

/// Draws one series over its runs; nothing when it has no point.
pub(crate) fn history(runs: &[RunPoint], series: &Series, label: &str) -> Result<Option<String>, PlotError> {
    if series.points.is_empty() {
        return Ok(None);
    }
    svg(label, label, (WIDTH, HEIGHT), |area| draw(area, runs, series)).map(Some)
}

/// The axis: it is moves that are looked for, so it reaches over the intervals alone, and to no difference only where that is near.
fn range(ends: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let (low, high) = ends.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), (l, h)| (low.min(l), high.max(h)));
    let (mut low, mut high) = (low.max(0.01), high.min(100.0));
    // What differs by less than this is not blown up to the height of the plot.
    let lacking = (LEAST_RANGE / (high / low)).max(1.0).sqrt();
    (low, high) = (low / lacking, high * lacking);
    if low > 1.0 && low < NEAR {
        low = 1.0;
    }
    if high < 1.0 && high > 1.0 / NEAR {
        high = 1.0;
    }
    (low / 1.03, high * 1.03)
}

fn draw(area: &Area<'_>, runs: &[RunPoint], series: &Series) -> Drawn {
    let ends = |p: &pepjit_harness::history::Point| p.ci.unwrap_or((p.ratio, p.ratio));
    let (low, high) = range(series.points.iter().map(ends));
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

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn the_axis_shows_moves_and_not_the_distance_from_one() {
        let inside = |ends: &[(f64, f64)], expected: (f64, f64)| {
            let (low, high) = range(ends.iter().copied());
            assert!((low * 1.03 - expected.0).abs() < 1e-9 && (high / 1.03 - expected.1).abs() < 1e-9, "{low} {high}");
        };
        inside(&[(1.9, 2.0), (3.0, 3.1)], (1.9, 3.1));
        inside(&[(1.05, 1.2), (1.1, 1.3)], (1.0, 1.3));
        inside(&[(0.7, 0.9)], (0.7, 1.0));
        let (low, high) = range([(2.0, 2.001)].into_iter());
        assert!(high / low > 1.1, "noise isn't blown up: {low} {high}");
    }
}
