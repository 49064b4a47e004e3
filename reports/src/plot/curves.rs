//! Warm-up curves: the time of each iteration over the baseline's steady time, both axes logarithmic.

use pepjit_harness::analysis::curves::{Curve, Curves};
use plotters::style::text_anchor::HPos;

use super::{Area, Drawn, FAINT, NEUTRAL, PlotError, SERIES, SMALL, TEXT, line, mark, ratio_ticks, sized, svg, trimmed};

const WIDTH: i32 = 300;
const HEIGHT: i32 = 150;
const LEFT: i32 = 34;
const RIGHT: i32 = 12;
const TOP: i32 = 24;
const BOTTOM: i32 = 22;

/// One workload's curves. `tiers` gives each tier its dashes and its mark, the same in every plot.
pub(crate) fn curves(curves: &Curves, tiers: &[String]) -> Result<String, PlotError> {
    let last = |c: &Curve| c.points.last().map_or(1.0, |p| p.ratio);
    let ends: Vec<String> = curves.tiers.iter().map(|c| format!("{} {:.2}", c.tier, last(c))).collect();
    let label =
        format!("Warm-up of {}: times over the steady time of the baseline; at the end {}", curves.workload, ends.join(", "));
    svg(&curves.workload, &label, (WIDTH, HEIGHT), |area| draw(area, curves, tiers))
}

fn draw(area: &Area<'_>, curves: &Curves, tiers: &[String]) -> Drawn {
    let all = || curves.tiers.iter().flat_map(|c| &c.points);
    let high = all().map(|p| p.ratio).fold(1.0, f64::max).min(100.0) * 1.1;
    let low = all().map(|p| p.ratio).fold(1.0, f64::min).max(0.01) / 1.1;
    let longest = all().map(|p| p.iteration).max().unwrap_or(1).max(2) as f64;
    let x = |k: f64| LEFT + ((k.ln() / longest.ln()) * f64::from(WIDTH - LEFT - RIGHT)).round() as i32;
    let y = |ratio: f64| {
        let share = ((ratio.ln() - low.ln()) / (high.ln() - low.ln())).clamp(0.0, 1.0);
        HEIGHT - BOTTOM - (share * f64::from(HEIGHT - TOP - BOTTOM)).round() as i32
    };
    sized(area, &curves.workload, (LEFT, 9), HPos::Left, TEXT, super::FONT)?;
    for tick in ratio_ticks(low, high, 5) {
        let ink = if (tick - 1.0).abs() < 1e-9 { NEUTRAL } else { FAINT };
        line(area, &[(LEFT, y(tick)), (WIDTH - RIGHT, y(tick))], ink, 1)?;
        sized(area, &trimmed(tick), (LEFT - 5, y(tick)), HPos::Right, TEXT, SMALL)?;
    }
    for tick in [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 10_000.0, 100_000.0].into_iter().filter(|t| *t <= longest) {
        sized(area, &format!("{tick:.0}"), (x(tick), HEIGHT - BOTTOM + 11), HPos::Center, TEXT, SMALL)?;
    }
    for curve in &curves.tiers {
        let index = tiers.iter().position(|t| *t == curve.tier).unwrap_or(0);
        let points: Vec<(i32, i32)> = curve.points.iter().map(|p| (x(p.iteration as f64), y(p.ratio))).collect();
        line(area, &points, ink(index), 2)?;
        for end in [points.first(), points.last()].into_iter().flatten() {
            mark(area, index, *end, ink(index))?;
        }
    }
    Ok(())
}

fn ink(index: usize) -> plotters::style::RGBColor {
    SERIES[index % SERIES.len()]
}

/// Which line is which tier.
pub(crate) fn legend(tiers: &[String]) -> Result<String, PlotError> {
    let widths: Vec<i32> = tiers.iter().map(|t| 60 + 8 * t.chars().count() as i32).collect();
    let label = format!("Lines: {}", tiers.join(", "));
    svg("the legend", &label, (widths.iter().sum::<i32>().max(60), 22), |area| {
        let mut left = 4;
        for (index, (tier, width)) in tiers.iter().zip(&widths).enumerate() {
            line(area, &[(left, 11), (left + 36, 11)], ink(index), 2)?;
            mark(area, index, (left + 36, 11), ink(index))?;
            sized(area, tier, (left + 46, 11), HPos::Left, TEXT, super::FONT)?;
            left += width;
        }
        Ok(())
    })
}
