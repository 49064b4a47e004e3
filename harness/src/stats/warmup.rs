//! Warm-up: where a process's iterations become steady, and from when a JIT has paid for itself.
//!
//! Barrett, Bolz-Tereick, Killick, Mount and Tratt, "Virtual Machine Warmup Blows Hot and Cold" (OOPSLA
//! 2017): outliers aside, change points in mean and variance by PELT (Killick, Fearnhead and Eckley 2012),
//! then classes by how the segments compare with the last one.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

use super::segments::segments;
use super::{mean, sorted_quantile, variance};

/// Width of the sliding window in which outliers are judged.
const WINDOW: usize = 200;
/// Shortest segment.
const MIN_SEGMENT: usize = 2;
/// Penalty of a change point, in units of ln n.
const PENALTY: f64 = 15.0;
/// Half-width of a segment's interval in standard errors: 99 %.
const Z: f64 = 2.58;
/// Differences below this share of the last segment's mean don't count.
const RELATIVE_DELTA: f64 = 0.005;

/// How one process behaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// As fast at the start as at the end.
    Flat,
    /// Slower at first.
    Warmup,
    /// Faster at first.
    Slowdown,
    /// Still changing at the end.
    NoSteadyState,
}

/// How the processes of one workload behaved together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Consensus {
    /// All alike.
    All(Class),
    /// Some flat, some warming up: none got slower.
    GoodInconsistent,
    /// Anything else.
    BadInconsistent,
}

/// One process, classified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Steadiness {
    /// Its class.
    pub class: Class,
    /// Index of the first steady iteration, unless there is no steady state.
    pub steady_from: Option<usize>,
    /// Where segments begin, the first at 0.
    pub segments: Vec<usize>,
    /// Which iterations were outliers.
    pub outliers: Vec<usize>,
}

/// Iterations outside median ± 3 (P90 - P10) of the window around them.
pub fn outliers(times: &[f64]) -> Vec<usize> {
    let n = times.len();
    let width = WINDOW.min(n);
    let mut start = 0;
    let mut window = times[..width].to_vec();
    window.sort_by(f64::total_cmp);
    let place = |window: &[f64], time: f64| window.partition_point(|t| t.total_cmp(&time).is_lt());
    let mut found = Vec::new();
    for (i, &time) in times.iter().enumerate() {
        // The window follows, one time out and one in, and stays sorted.
        while start < i.saturating_sub(width / 2).min(n - width) {
            window.remove(place(&window, times[start]));
            window.insert(place(&window, times[start + width]), times[start + width]);
            start += 1;
        }
        let reach = 3.0 * (sorted_quantile(&window, 0.9) - sorted_quantile(&window, 0.1));
        if (time - sorted_quantile(&window, 0.5)).abs() > reach {
            found.push(i);
        }
    }
    found
}

/// PELT with the Gaussian cost of a change in mean and variance: the starts of the segments, the first at 0.
pub fn change_points(times: &[f64]) -> Vec<usize> {
    let n = times.len();
    if n < 2 * MIN_SEGMENT {
        return vec![0];
    }
    let centre = mean(times);
    let mut sums = vec![(0.0, 0.0)];
    for t in times {
        let (s, q) = sums[sums.len() - 1];
        let d = t - centre;
        sums.push((s + d, q + d * d));
    }
    // A constant stretch has variance 0 and cost -inf, which would swallow everything; the clock's
    // resolution, taken as 1e-9 of the mean, is the least spread there is.
    let floor = (centre * 1e-9).powi(2).max(f64::MIN_POSITIVE);
    let cost = |from: usize, to: usize| {
        let m = (to - from) as f64;
        let (s, q) = (sums[to].0 - sums[from].0, sums[to].1 - sums[from].1);
        let var = ((q - s * s / m) / m).max(floor);
        m * (TAU.ln() + var.ln() + 1.0)
    };
    segments(n, MIN_SEGMENT, PENALTY * (n as f64).ln(), cost)
}

/// Classifies the iterations of one process, in order, in seconds. `None` below ten iterations, which show
/// nothing.
pub fn classify(times: &[f64]) -> Option<Steadiness> {
    if times.len() < 10 {
        return None;
    }
    let outliers = outliers(times);
    let mut is_outlier = vec![false; times.len()];
    for &i in &outliers {
        is_outlier[i] = true;
    }
    let kept: Vec<usize> = (0..times.len()).filter(|&i| !is_outlier[i]).collect();
    let cleaned: Vec<f64> = kept.iter().map(|&i| times[i]).collect();
    let starts = change_points(&cleaned);
    let ends = starts.iter().skip(1).copied().chain([cleaned.len()]);
    let segments: Vec<(f64, f64)> = starts
        .iter()
        .zip(ends)
        .map(|(&from, to)| {
            let part = &cleaned[from..to];
            let spread = if part.len() > 1 { variance(part) } else { 0.0 };
            (mean(part), Z * (spread / part.len() as f64).sqrt())
        })
        .collect();
    let (last, last_half) = *segments.last()?;
    let reach = last_half.max(RELATIVE_DELTA * last);
    let equivalent = |(m, v): (f64, f64)| m - v <= last + reach && m + v >= last - reach;
    // Walk back from the end while segments are as the last one.
    let mut first_steady = segments.len() - 1;
    while first_steady > 0 && equivalent(segments[first_steady - 1]) {
        first_steady -= 1;
    }
    let steady_from = kept[starts[first_steady]];
    let unsteady = &segments[..first_steady];
    // A steady state that begins in the last quarter is none that was seen to last.
    let class = if unsteady.is_empty() {
        Class::Flat
    } else if steady_from * 4 > times.len() * 3 {
        Class::NoSteadyState
    } else if unsteady.iter().any(|s| s.0 < last && !equivalent(*s)) {
        Class::Slowdown
    } else {
        Class::Warmup
    };
    let steady_from = (class != Class::NoSteadyState).then_some(steady_from);
    Some(Steadiness { class, steady_from, segments: starts.iter().map(|&s| kept[s]).collect(), outliers })
}

/// The class of a workload over its processes; `None` of none.
pub fn consensus(classes: &[Class]) -> Option<Consensus> {
    let first = *classes.first()?;
    Some(if classes.iter().all(|c| *c == first) {
        Consensus::All(first)
    } else if classes.iter().all(|c| matches!(c, Class::Flat | Class::Warmup)) {
        Consensus::GoodInconsistent
    } else {
        Consensus::BadInconsistent
    })
}

/// Break-even: the smallest k such that from k iterations on the tier's cumulative time stays at or below the
/// baseline's. `None` when it is above at the end of what was measured, or when the two don't count alike.
///
/// Both sides are stretches of iterations: how many, and the seconds of each.
pub fn break_even(baseline: &[(u64, f64)], tier: &[(u64, f64)]) -> Option<u64> {
    let mut ahead_by = 0.0;
    let (mut done, mut behind_until) = (0, 0);
    for ((count, b), (count_too, t)) in baseline.iter().zip(tier) {
        if count != count_too {
            return None;
        }
        let gain = b - t;
        let end = ahead_by + *count as f64 * gain;
        if end < 0.0 {
            behind_until = done + count;
        } else if ahead_by < 0.0 {
            // It draws level inside this stretch, after so many of its iterations.
            let level_after = (-ahead_by / gain).ceil() as u64;
            behind_until = done + level_after - 1;
        }
        ahead_by = end;
        done += count;
    }
    (behind_until < done).then_some(behind_until + 1)
}
