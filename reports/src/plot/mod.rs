//! Plots as SVG that takes its colours from the page, so that it follows light, dark and paper. Every plot can be read without
//! colour: shapes, dashes and hatching tell things apart.

mod curves;
mod forest;
mod history;
mod memory;
mod timeline;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use thiserror::Error;

pub(crate) use curves::{curves, legend as curves_legend};
pub use forest::forest;
pub(crate) use forest::{Row as ForestRow, rows as forest_rows};
pub(crate) use history::history;
pub(crate) use memory::{Bar, memory};
pub(crate) use timeline::timeline;

/// A plot couldn't be drawn.
#[derive(Debug, Error)]
#[error("the plot of {what} can't be drawn: {message}")]
pub struct PlotError {
    what: String,
    message: String,
}

/// The back end draws these as 13 and 11 pixels.
const FONT: i32 = 16;
const SMALL: i32 = 13;

/// How wide a character of [`FONT`] may be, in a wide face.
const CHARACTER: i32 = 8;

/// A plot that is no higher than this, in pixels, can be read on one page of paper.
const MOST_ON_A_PAGE: i32 = 1300;

/// Inks are stand-ins that [`svg`] turns into classes, to which the page gives its own colours.
const TEXT: RGBColor = RGBColor(1, 1, 1);
const FAINT: RGBColor = RGBColor(1, 1, 2);
const FASTER: RGBColor = RGBColor(1, 1, 3);
const SLOWER: RGBColor = RGBColor(1, 1, 4);
const NEUTRAL: RGBColor = RGBColor(1, 1, 5);
const PANEL: RGBColor = RGBColor(1, 1, 6);
/// Lines that differ by their dashes as well.
const SERIES: [RGBColor; 6] =
    [RGBColor(1, 2, 0), RGBColor(1, 2, 1), RGBColor(1, 2, 2), RGBColor(1, 2, 3), RGBColor(1, 2, 4), RGBColor(1, 2, 5)];

const CLASSES: [(RGBColor, &str); 12] = [
    (TEXT, "t"),
    (FAINT, "l"),
    (FASTER, "g"),
    (SLOWER, "r"),
    (NEUTRAL, "n"),
    (PANEL, "p"),
    (SERIES[0], "a0"),
    (SERIES[1], "a1"),
    (SERIES[2], "a2"),
    (SERIES[3], "a3"),
    (SERIES[4], "a4"),
    (SERIES[5], "a5"),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Draws a picture of this size. `label` is what a screen reader says of it.
fn svg(what: &str, label: &str, size: (i32, i32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Result<String, PlotError> {
    let mut out = String::new();
    {
        let area = SVGBackend::with_string(&mut out, (size.0 as u32, size.1 as u32)).into_drawing_area();
        let drawn = draw(&area).and_then(|()| Ok(area.present()?));
        drawn.map_err(|e| PlotError { what: what.to_owned(), message: e.to_string() })?;
    }
    Ok(themed(&out, label, size))
}

/// Turns the stand-in inks into classes and leaves out what the page's style says once for all: a third of the size.
fn themed(svg: &str, label: &str, size: (i32, i32)) -> String {
    // One that is made for many pages of paper is cut there; others are kept on a page.
    let long = if size.1 > MOST_ON_A_PAGE { " class=\"long\"" } else { "" };
    let mut out = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{}\"{long} ", crate::format::escaped(label)), 1);
    for (long, short) in [
        (" xmlns=\"http://www.w3.org/2000/svg\"", ""),
        (" opacity=\"1\"", ""),
        (" dy=\"0.5ex\"", ""),
        (" font-family=\"sans-serif\"", ""),
        (" font-size=\"12.903225806451614\"", ""),
        (" font-size=\"10.483870967741936\"", " font-size=\"11\""),
        (" stroke=\"none\"", ""),
        (" fill=\"none\"", ""),
        (" stroke-width=\"1\"", ""),
        (" text-anchor=\"start\"", ""),
        (">\n", ">"),
        ("\n<", "<"),
        (" \"/>", "\"/>"),
    ] {
        out = out.replace(long, short);
    }
    for (ink, class) in CLASSES {
        let hex = format!("#{:02X}{:02X}{:02X}", ink.0, ink.1, ink.2);
        out = out.replace(&format!("fill=\"{hex}\""), &format!("class=\"f{class}\""));
        out = out.replace(&format!("stroke=\"{hex}\""), &format!("class=\"s{class}\""));
    }
    out
}

/// The width that rows' names need at the left, with what lies between them and the plot.
fn names_width<'a>(names: impl Iterator<Item = &'a str>) -> i32 {
    let longest = names.map(|name| name.chars().count()).max().unwrap_or_default();
    (CHARACTER * longest as i32 + 18).max(120)
}

fn text(area: &Area<'_>, words: &str, at: (i32, i32), side: HPos, ink: RGBColor) -> Drawn {
    sized(area, words, at, side, ink, FONT)
}

fn sized(area: &Area<'_>, words: &str, at: (i32, i32), side: HPos, ink: RGBColor, size: i32) -> Drawn {
    let style = TextStyle::from(("sans-serif", size).into_font()).color(&ink).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(words.to_owned(), at, style))?;
    Ok(())
}

fn line(area: &Area<'_>, points: &[(i32, i32)], ink: RGBColor, width: u32) -> Drawn {
    area.draw(&PathElement::new(points.to_vec(), ink.stroke_width(width)))?;
    Ok(())
}

/// A mark of one of six shapes.
fn mark(area: &Area<'_>, shape: usize, (x, y): (i32, i32), ink: RGBColor) -> Drawn {
    let points: Vec<(i32, i32)> = match shape % 6 {
        1 => vec![(x - 4, y + 3), (x, y - 4), (x + 4, y + 3)],
        2 => vec![(x - 3, y - 3), (x + 3, y - 3), (x + 3, y + 3), (x - 3, y + 3)],
        3 => vec![(x - 5, y), (x, y - 5), (x + 5, y), (x, y + 5)],
        4 => vec![(x - 4, y - 3), (x, y + 4), (x + 4, y - 3)],
        _ => Vec::new(),
    };
    match shape % 6 {
        0 => area.draw(&Circle::new((x, y), 3, ink.stroke_width(1)))?,
        5 => area.draw(&Circle::new((x, y), 3, ink.filled()))?,
        _ => area.draw(&Polygon::new(points, ink.filled()))?,
    }
    Ok(())
}

/// Ratios worth a tick on a logarithmic axis between two ends: as many as have room where `most` would fill it.
fn ratio_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    const STEPS: [f64; 8] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
    const LISTS: [&[f64]; 4] = [
        &[0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0],
        &[0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0],
        &[0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0],
        &[0.01, 0.1, 1.0, 10.0, 100.0],
    ];
    let room = 0.8 * (high / low).ln() / most as f64;
    let multiples = |step: f64| -> Vec<f64> {
        let (first, last) = ((low / step).ceil().max(1.0) as i64, (high / step).floor() as i64);
        // Beyond so many there is no room anyway.
        (first..=last.min(first + 4 * most as i64)).map(|i| i as f64 * step).collect()
    };
    let inside = |list: &[f64]| list.iter().copied().filter(|t| (low..=high).contains(t)).collect();
    let fits = |ticks: &Vec<f64>| ticks.windows(2).all(|pair| (pair[1] / pair[0]).ln() >= room);
    // Of lists with as many ticks the first one, which is that of plainer numbers.
    let lists = STEPS.into_iter().map(multiples).chain(LISTS.into_iter().map(inside));
    let best = lists.filter(fits).reduce(|best, ticks| if ticks.len() > best.len() { ticks } else { best });
    best.filter(|ticks| !ticks.is_empty()).unwrap_or_else(|| vec![1.0])
}

fn trimmed(tick: f64) -> String {
    format!("{tick:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_few_and_reach_over_the_range() {
        let ticks = |low, high, most| ratio_ticks(low, high, most).into_iter().map(trimmed).collect::<Vec<_>>().join(" ");
        assert_eq!(ticks(0.998, 1.003, 6), "0.998 1 1.002");
        assert_eq!(ticks(0.98, 1.03, 6), "0.98 0.99 1 1.01 1.02 1.03");
        assert_eq!(ticks(0.7, 1.25, 6), "0.7 0.8 0.9 1 1.1 1.2");
        assert_eq!(ticks(0.8, 2.3, 7), "1 1.5 2");
        assert_eq!(ticks(0.9, 14.0, 6), "1 2 5 10");
        assert_eq!(ticks(0.02, 90.0, 4), "0.1 1 10");
        // A fine list that would be crowded into a corner isn't taken.
        assert_eq!(ticks(0.8, 1.01, 7), "0.8 0.85 0.9 0.95 1");
    }

    #[test]
    fn ticks_never_come_closer_than_their_labels_are_wide() {
        for low in 1..100 {
            for high in 1..100 {
                let (low, high) = (1.0 / (1.0 + f64::from(low * low) / 500.0), 1.0 + f64::from(high * high) / 100.0);
                let ticks = ratio_ticks(low, high, 7);
                let width = (high / low).ln();
                let close = ticks.windows(2).any(|pair| (pair[1] / pair[0]).ln() < 0.8 * width / 7.0 - 1e-9);
                assert!(!close && ticks.len() <= 9, "{low} {high}: {ticks:?}");
                assert!(ticks.len() > 1, "{low} {high}: {ticks:?}");
            }
        }
    }

    #[test]
    fn names_of_rows_have_room() {
        let named = |name: &str| ForestRow::new(name, None, pepjit_harness::analysis::Verdict::Inconclusive);
        let (short, long) = ("go", "async_tree_eager_cpu_io_mixed_tg_and_more");
        let picture = forest_rows(&[named(short), named(long)], None, "x").expect("a picture");
        let end = |name: &str| -> i32 {
            let before = picture.split(name).next().expect("its element");
            let x = before.rsplit("x=\"").next().and_then(|rest| rest.split('"').next()).expect("where it ends");
            x.parse().expect("a number")
        };
        assert_eq!(end(short), end(long), "names end where the plot begins");
        assert!(end(long) >= CHARACTER * long.len() as i32, "{long} begins outside of the picture: {}", end(long));
    }

    #[test]
    fn pictures_have_a_name_and_no_ink_of_their_own() {
        let picture = svg("x", "A \"small\" <picture>", (10, 10), |area| {
            line(area, &[(0, 0), (5, 5)], SERIES[2], 1)?;
            text(area, "x & y", (1, 1), HPos::Left, TEXT)
        });
        let picture = picture.expect("a picture");
        assert!(picture.contains("aria-label=\"A &quot;small&quot; &lt;picture&gt;\""));
        assert!(picture.contains("class=\"sa2\"") && picture.contains("class=\"ft\""));
        assert!(!picture.contains('#') && !picture.contains("font-family"), "{picture}");
    }
}
