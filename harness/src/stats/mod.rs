//! Statistics of paired process times.
//!
//! The unit of replication is a process pair, never a value inside a process. All estimates are on the
//! natural logarithm of a time or size, so that a ratio and its inverse are treated alike; a *log speed-up*
//! is `ln(baseline) - ln(tier)`, above 0 when the tier is faster.

pub mod compare;
pub mod multiple;
pub mod paired;
pub mod segments;
pub mod suite;
pub mod variance;
pub mod warmup;

use std::cell::RefCell;
use std::collections::HashMap;

use statrs::distribution::{Continuous, ContinuousCDF, StudentsT};
use statrs::function::beta::beta_reg;

/// Arithmetic mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Unbiased sample variance, in two passes; NaN below two values.
pub fn variance(values: &[f64]) -> f64 {
    let m = mean(values);
    values.iter().map(|v| (v - m).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// Sample standard deviation; NaN below two values.
pub fn sd(values: &[f64]) -> f64 {
    variance(values).sqrt()
}

/// Student's t distribution of `df` degrees of freedom. `df` must be above 0.
fn student(df: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, df).expect("degrees of freedom are above 0")
}

/// How near to the median the distribution function is taken from the middle, not from a tail: a tail of a half less a billionth is as good as
/// a half.
const MIDDLE: f64 = 0.5;

/// `P(T <= t)`, accurate in the tails and around the median.
fn t_cdf(t: f64, df: f64) -> f64 {
    if t.abs() > MIDDLE {
        return student(df).cdf(t);
    }
    let within = beta_reg(0.5, df / 2.0, t * t / (df + t * t));
    0.5 + 0.5 * within.copysign(t)
}

/// Upper tail `P(T > t)`, accurate for small probabilities.
pub fn t_upper_tail(t: f64, df: f64) -> f64 {
    t_cdf(-t, df)
}

/// Two-sided p value of a t statistic.
pub fn t_two_sided(t: f64, df: f64) -> f64 {
    2.0 * t_upper_tail(t.abs(), df)
}

/// The quantile of Student's t: `P(T <= t_quantile(p, df)) = p`.
///
/// The library's inverse is a starting point, which Newton's method carries to full precision. Each thread remembers
/// the few quantiles that it was asked for: a calibration asks for the same ones millions of times.
pub fn t_quantile(p: f64, df: f64) -> f64 {
    thread_local!(static KNOWN: RefCell<HashMap<(u64, u64), f64>> = RefCell::default());
    KNOWN.with_borrow_mut(|known| {
        if known.len() > 10_000 {
            known.clear();
        }
        *known.entry((p.to_bits(), df.to_bits())).or_insert_with(|| quantile(p, df))
    })
}

fn quantile(p: f64, df: f64) -> f64 {
    let t = student(df);
    let mut x = t.inverse_cdf(p);
    for _ in 0..4 {
        let step = (t_cdf(x, df) - p) / t.pdf(x);
        if !step.is_finite() || step == 0.0 {
            break;
        }
        x -= step;
    }
    x
}

/// The quantile of sorted values by linear interpolation between order statistics; `q` in 0..=1.
pub fn sorted_quantile(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() as f64 - 1.0);
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// The median of unsorted values; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted_quantile(&sorted, 0.5)
}
