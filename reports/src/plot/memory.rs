//! Memory that adds up: a bar per workload, the baseline's peak first, then what the tier has on top of it.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{Area, Drawn, FAINT, NEUTRAL, PANEL, PlotError, SERIES, SLOWER, TEXT, line, names_width, sized, svg, text};
use crate::format;

/// What lies between names and figures.
const PLOT: i32 = 400;
const ROW: i32 = 22;
const TOP: i32 = 40;
const RIGHT: i32 = 150;

/// The width of a line that `report.css` draws as hatching; one less is hatched more widely.
const HATCHED: u32 = 14;

/// A workload's bar, in KiB.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) name: String,
    /// The baseline's peak.
    pub(crate) base: f64,
    /// The JIT's parts, as many as the legend names.
    pub(crate) parts: Vec<f64>,
    /// What they leave unexplained; below 0 the parts are more than the growth, because not all of them is touched.
    pub(crate) rest: f64,
}

/// Draws a tier's bars. `legend` names the parts.
pub(crate) fn memory(bars: &[Bar], legend: &[&str], label: &str) -> Result<String, PlotError> {
    let height = TOP + ROW * bars.len() as i32 + 30;
    let begin = names_width(bars.iter().map(|bar| bar.name.as_str()));
    svg(label, label, (begin + PLOT + RIGHT, height), |area| draw(area, begin, bars, legend, height))
}

fn draw(area: &Area<'_>, begin: i32, bars: &[Bar], legend: &[&str], height: i32) -> Drawn {
    let total = |b: &Bar| b.base + b.parts.iter().sum::<f64>() + b.rest.max(0.0);
    let most = bars.iter().map(total).fold(1.0, f64::max);
    let x = |kib: f64| begin + (kib / most * f64::from(PLOT)).round() as i32;
    let bottom = height - 26;
    // A tick at 1, 2 or 5 times a power of ten MiB, at most five of them.
    let mut step = 1024.0;
    for factor in [2.0, 2.5, 2.0].into_iter().cycle().take(24) {
        if most / step <= 5.0 {
            break;
        }
        step *= factor;
    }
    let mut tick = 0.0;
    while tick <= most {
        line(area, &[(x(tick), TOP - 12), (x(tick), bottom)], FAINT, 1)?;
        text(area, &format!("{:.0}", tick / 1024.0), (x(tick), bottom + 12), HPos::Center, TEXT)?;
        tick += step;
    }
    sized(area, "MiB", (begin + PLOT + 14, bottom + 12), HPos::Left, NEUTRAL, super::FONT)?;
    // From the left edge, under the names too: five of them have to have room.
    let mut left = 40;
    let kinds = [Kind::Base].into_iter().chain((0..legend.len()).map(Kind::Part)).chain([Kind::Rest]);
    for (kind, name) in kinds.zip(["baseline"].into_iter().chain(legend.iter().copied()).chain(["not explained"])) {
        segment(area, kind, (left, 6), (left + 16, 18))?;
        text(area, name, (left + 22, 12), HPos::Left, TEXT)?;
        left += 44 + 7 * name.chars().count() as i32;
    }
    measured(area, left + 3, 12)?;
    text(area, "measured", (left + 12, 12), HPos::Left, TEXT)?;
    for (index, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * index as i32;
        text(area, &bar.name, (begin - 14, y), HPos::Right, TEXT)?;
        let mut at = bar.base;
        segment(area, Kind::Base, (x(0.0), y - 7), (x(at), y + 7))?;
        for (part, size) in bar.parts.iter().enumerate() {
            segment(area, Kind::Part(part), (x(at), y - 7), (x(at + size), y + 7))?;
            at += size;
        }
        if bar.rest > 0.0 {
            segment(area, Kind::Rest, (x(at), y - 7), (x(at + bar.rest), y + 7))?;
        }
        let sum = bar.base + bar.parts.iter().sum::<f64>() + bar.rest;
        measured(area, x(sum), y)?;
        let factor = if bar.base > 0.0 { format!(" ({})", format::ratio(sum / bar.base)) } else { String::new() };
        let figure = format!("{}{factor}", format::kib(Some(sum)));
        text(area, &figure, (begin + PLOT + 14, y), HPos::Left, TEXT)?;
    }
    Ok(())
}

/// The tier's peak as it was measured: parts may reach beyond it, because not all of them is touched.
fn measured(area: &Area<'_>, x: i32, y: i32) -> Drawn {
    line(area, &[(x, y - 10), (x, y + 10)], SERIES[1], 3)
}

#[derive(Clone, Copy)]
enum Kind {
    Base,
    Part(usize),
    Rest,
}

/// Kinds differ without colour: an empty frame, solid, hatched narrowly or widely, and a grey area for the baseline.
fn segment(area: &Area<'_>, kind: Kind, from: (i32, i32), to: (i32, i32)) -> Drawn {
    if to.0 <= from.0 {
        return Ok(());
    }
    let frame = |ink: RGBColor| Rectangle::new([from, to], ink.stroke_width(1));
    match kind {
        Kind::Base => {
            area.draw(&Rectangle::new([from, to], PANEL.filled()))?;
            area.draw(&frame(NEUTRAL))?;
        }
        Kind::Part(0) => area.draw(&Rectangle::new([from, to], TEXT.filled()))?,
        Kind::Part(part) => {
            area.draw(&frame(TEXT))?;
            // One broad line, which the page's style hatches by dashes: a run has thousands of these. Their length tells parts apart.
            let level = i32::midpoint(from.1, to.1);
            line(area, &[(from.0, level), (to.0, level)], TEXT, if part % 2 == 1 { HATCHED } else { HATCHED - 1 })?;
        }
        Kind::Rest => area.draw(&frame(SLOWER))?,
    }
    Ok(())
}
