//! The burn-down of the criteria: how many may still be open at each deadline, and how they stand.

use pepjit_harness::timeline::{Standing, Timeline};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::{Area, Drawn, FAINT, FASTER, NEUTRAL, PlotError, SLOWER, SMALL, TEXT, line, sized, svg, text};
use crate::view::standing_symbol;

const WIDTH: i32 = 720;
const LEFT: i32 = 40;
const RIGHT: i32 = 60;
const TOP: i32 = 46;
const STEP: i32 = 14;
const BELOW: i32 = 62;

/// Draws it; nothing without a criterion that has a dated deadline.
pub(crate) fn timeline(timeline: &Timeline) -> Result<Option<String>, PlotError> {
    let all: usize = timeline.steps.iter().map(|s| s.items.len()).sum();
    if all == 0 {
        return Ok(None);
    }
    let parts: Vec<String> = Standing::ALL.iter().map(|s| format!("{} {}", timeline.count(*s), s.word())).collect();
    let label = format!("Burn-down of the criteria on {}: {}", timeline.as_of, parts.join(", "));
    let height = TOP + STEP * all as i32 + BELOW;
    svg("the timeline", &label, (WIDTH, height), |area| draw(area, timeline, all)).map(Some)
}

fn draw(area: &Area<'_>, timeline: &Timeline, all: usize) -> Drawn {
    let days = |s: &pepjit_harness::timeline::Step| s.days_left;
    let first = timeline.steps.iter().map(days).min().unwrap_or(0).min(0) - 30;
    let last = timeline.steps.iter().map(days).max().unwrap_or(0).max(0) + 30;
    let x = |days: i64| {
        LEFT + ((days - first) as f64 / (last - first).max(1) as f64 * f64::from(WIDTH - LEFT - RIGHT)).round() as i32
    };
    let floor = TOP + STEP * all as i32;
    let y = |open: usize| floor - STEP * open as i32;
    line(area, &[(LEFT, floor), (WIDTH - RIGHT, floor)], NEUTRAL, 1)?;
    // As many may be open as have their deadline ahead.
    let mut left = all;
    let mut stairs = vec![(LEFT, y(left))];
    for step in &timeline.steps {
        stairs.push((x(step.days_left), y(left)));
        left -= step.items.len();
        stairs.push((x(step.days_left), y(left)));
    }
    line(area, &stairs, NEUTRAL, 2)?;
    let mut label_end = [i32::MIN; 3];
    for step in &timeline.steps {
        let at = x(step.days_left);
        let mut top = floor - STEP / 2;
        line(area, &[(at, floor), (at, floor + 5)], NEUTRAL, 1)?;
        for item in &step.items {
            let ink = match item.standing {
                Standing::Met => FASTER,
                Standing::Missed => SLOWER,
                Standing::AtRisk | Standing::NotShown => TEXT,
            };
            // A frame makes a sign of what alone would be a stroke.
            area.draw(&Rectangle::new([(at + 5, top - 6), (at + 17, top + 6)], ink.stroke_width(1)))?;
            sized(area, standing_symbol(item.standing), (at + 11, top), HPos::Center, ink, SMALL)?;
            top -= STEP;
        }
        // Names that would run into each other go a line lower.
        let half = 4 * step.deadline.name.chars().count() as i32;
        let row = label_end.iter().position(|end| at - half > *end).unwrap_or(2);
        label_end[row] = at + half;
        text(area, &step.deadline.name, (at.max(half + 4), floor + 16 + 16 * row as i32), HPos::Center, TEXT)?;
    }
    let now = x(0);
    line(area, &[(now, TOP - 18), (now, floor)], TEXT, 1)?;
    let open = all - timeline.count(Standing::Met);
    area.draw(&Circle::new((now, y(open)), 5, TEXT.filled()))?;
    let side = if now > WIDTH / 2 { (HPos::Right, -10) } else { (HPos::Left, 10) };
    let words = format!("{}: {open} of {all} not shown to be met", timeline.as_of);
    text(area, &words, (now + side.1, TOP - 24), side.0, TEXT)?;
    line(area, &[(LEFT, TOP - 8), (LEFT, floor)], FAINT, 1)?;
    text(area, &all.to_string(), (LEFT - 6, y(all)), HPos::Right, TEXT)?;
    text(area, "0", (LEFT - 6, floor), HPos::Right, TEXT)
}
