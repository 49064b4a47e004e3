//! The forest plot: one row per workload, its speed-up with its interval on a logarithmic axis.

use pepjit_harness::analysis::{Estimate, TierResult, Verdict};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use thiserror::Error;

use crate::{format, terminal};

/// A plot couldn't be drawn.
#[derive(Debug, Error)]
#[error("the forest plot of {tier} can't be drawn: {message}")]
pub struct PlotError {
    tier: String,
    message: String,
}

const WIDTH: i32 = 720;
const ROW: i32 = 22;
const TOP: i32 = 34;
const LEFT: i32 = 170;
const RIGHT: i32 = 200;
/// The back end draws this as 13 pixels.
const FONT: i32 = 16;

/// Inks are stand-ins that [`themed`] turns into the page's own colours, so that the plot follows light and
/// dark.
const TEXT: RGBColor = RGBColor(1, 1, 1);
const FAINT: RGBColor = RGBColor(1, 1, 2);
const FASTER: RGBColor = RGBColor(1, 1, 3);
const SLOWER: RGBColor = RGBColor(1, 1, 4);
const NEUTRAL: RGBColor = RGBColor(1, 1, 5);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws a tier's forest plot as an SVG element that takes its colours from the page.
pub fn forest(tier: &TierResult) -> Result<String, PlotError> {
    let rows = terminal::ordered(tier);
    let height = TOP + ROW * (rows.len() as i32 + 1) + 34;
    let mut svg = String::new();
    draw(&mut svg, tier, height).map_err(|e| PlotError { tier: tier.tier.clone(), message: e.to_string() })?;
    Ok(themed(&svg, tier))
}

fn draw(svg: &mut String, tier: &TierResult, height: i32) -> Drawn {
    let area = SVGBackend::with_string(svg, (WIDTH as u32, height as u32)).into_drawing_area();
    let axis = Axis::of(tier);
    let bottom = height - 28;
    axis.grid(&area, bottom)?;
    let mut y = TOP;
    for w in terminal::ordered(tier) {
        row(&area, &axis, y, &w.name, w.speedup.as_ref(), w.verdict, false)?;
        y += ROW;
    }
    area.draw(&PathElement::new([(8, y - ROW / 2 + 1), (WIDTH - 8, y - ROW / 2 + 1)], FAINT.stroke_width(1)))?;
    row(&area, &axis, y + 4, "geometric mean", tier.suite.as_ref(), tier.verdict, true)?;
    area.present()?;
    Ok(())
}

fn row(area: &Area<'_>, axis: &Axis, y: i32, name: &str, estimate: Option<&Estimate>, verdict: Verdict, summary: bool) -> Drawn {
    text(area, name, (LEFT - 14, y), HPos::Right, TEXT)?;
    let Some(e) = estimate else {
        let word = format!("{} {}", format::symbol(verdict), verdict.word());
        return text(area, &word, (LEFT + 8, y), HPos::Left, SLOWER);
    };
    let ink = match verdict {
        Verdict::Faster => FASTER,
        Verdict::Slower | Verdict::Failed => SLOWER,
        Verdict::NoChange | Verdict::Inconclusive | Verdict::Missing => NEUTRAL,
    };
    if let Some((low, high)) = e.ci {
        let (from, to) = (axis.x(low), axis.x(high));
        area.draw(&PathElement::new([(from, y), (to, y)], ink.stroke_width(2)))?;
        for end in [from, to] {
            area.draw(&PathElement::new([(end, y - 4), (end, y + 4)], ink.stroke_width(2)))?;
        }
    }
    let x = axis.x(e.ratio);
    // Shapes tell the verdicts apart without colour: up, down, square, ring; a diamond for the mean.
    let shape: Vec<(i32, i32)> = match (summary, verdict) {
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
    let figure = format!("{} {}", format::ratio(e.ratio), format::interval(e.ci));
    text(area, &figure, (WIDTH - RIGHT + 14, y), HPos::Left, TEXT)
}

fn text(area: &Area<'_>, words: &str, at: (i32, i32), side: HPos, ink: RGBColor) -> Drawn {
    let style = TextStyle::from(("sans-serif", FONT).into_font()).color(&ink).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(words.to_owned(), at, style))?;
    Ok(())
}

/// The logarithmic axis, wide enough for every interval and for 1.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn of(tier: &TierResult) -> Self {
        let all = tier.workloads.iter().filter_map(|w| w.speedup.as_ref()).chain(&tier.suite);
        let (mut low, mut high) = (0.0_f64, 0.0_f64);
        for e in all {
            // An interval of few noisy rounds may span decades; the axis stops at a factor of 100.
            let (l, h) = e.ci.unwrap_or((e.ratio, e.ratio));
            low = low.min(l.max(0.01).ln());
            high = high.max(h.min(100.0).ln());
        }
        let room = ((high - low) * 0.06).max(0.02);
        Self { low: low - room, high: high + room }
    }

    fn x(&self, ratio: f64) -> i32 {
        let share = ((ratio.ln() - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        LEFT + (share * f64::from(WIDTH - LEFT - RIGHT)).round() as i32
    }

    fn grid(&self, area: &Area<'_>, bottom: i32) -> Drawn {
        for tick in self.ticks() {
            let x = self.x(tick);
            let is_one = (tick - 1.0).abs() < 1e-9;
            let ink = if is_one { NEUTRAL } else { FAINT };
            area.draw(&PathElement::new([(x, TOP - 14), (x, bottom)], ink.stroke_width(1)))?;
            text(area, &format!("{}x", trimmed(tick)), (x, bottom + 12), HPos::Center, TEXT)?;
        }
        let one = self.x(1.0);
        text(area, "slower", (one - 8, 10), HPos::Right, NEUTRAL)?;
        text(area, "faster", (one + 8, 10), HPos::Left, NEUTRAL)
    }

    /// Round ratios inside the axis, from the coarsest list that gives at least three of them.
    fn ticks(&self) -> Vec<f64> {
        let coarse = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
        let fine = [0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4];
        let finest = [0.95, 0.96, 0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03, 1.04, 1.05];
        let inside =
            |list: &[f64]| -> Vec<f64> { list.iter().copied().filter(|t| (self.low..=self.high).contains(&t.ln())).collect() };
        [inside(&coarse), inside(&fine), inside(&finest)].into_iter().find(|ticks| ticks.len() >= 3).unwrap_or_else(|| vec![1.0])
    }
}

fn trimmed(tick: f64) -> String {
    format!("{tick:.2}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Turns the stand-in inks into the page's colours, and the picture into one that scales and that a screen
/// reader names.
fn themed(svg: &str, tier: &TierResult) -> String {
    let label = format!(
        "Speed-ups of {} against {} with their intervals, as in the table below",
        escaped(&tier.tier),
        escaped(&tier.against)
    );
    let mut out = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1);
    for (ink, name) in [(TEXT, "text"), (FAINT, "faint"), (FASTER, "faster"), (SLOWER, "slower"), (NEUTRAL, "neutral")] {
        // A style, because not every browser takes variables in SVG's own attributes.
        for attribute in ["fill", "stroke"] {
            let drawn = format!("{attribute}=\"#{:02X}{:02X}{:02X}\"", ink.0, ink.1, ink.2);
            out = out.replace(&drawn, &format!("style=\"{attribute}:var(--{name})\""));
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
