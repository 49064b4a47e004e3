//! Comparisons of unpaired samples: results of other tools, or of runs that weren't made in one design.

use serde::{Deserialize, Serialize};

use super::paired::Paired;
use super::{mean, t_two_sided, t_upper_tail, variance};

/// A difference of two means that weren't paired.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Unpaired {
    /// The difference, second less first.
    pub mean: f64,
    /// Its standard error.
    pub se: f64,
    /// Degrees of freedom after Welch and Satterthwaite.
    pub df: f64,
}

impl Unpaired {
    /// From two summaries. `None` when one has no standard error.
    pub fn new(first: &Paired, second: &Paired) -> Option<Self> {
        let (a, b) = (first.se()?.powi(2), second.se()?.powi(2));
        let weights = a * a / first.df() + b * b / second.df();
        let df = if weights > 0.0 { (a + b).powi(2) / weights } else { first.df() + second.df() };
        Some(Self { mean: second.mean - first.mean, se: (a + b).sqrt(), df })
    }

    /// Two-sided t interval; `alpha` 0.05 gives 95 %.
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        let half = super::t_quantile(1.0 - alpha / 2.0, self.df) * self.se;
        (self.mean - half, self.mean + half)
    }

    /// p value of the claim that the true difference is below `bound`.
    pub fn p_below(&self, bound: f64) -> f64 {
        if self.se > 0.0 { t_upper_tail((bound - self.mean) / self.se, self.df) } else { f64::from(u8::from(self.mean >= bound)) }
    }

    /// Two-sided p value of no difference.
    pub fn p_two_sided(&self) -> f64 {
        if self.se > 0.0 { t_two_sided(self.mean / self.se, self.df) } else { f64::from(u8::from(self.mean == 0.0)) }
    }
}

/// A t test's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TTest {
    /// The statistic, above 0 when the first mean is the greater.
    pub t: f64,
    /// Degrees of freedom.
    pub df: f64,
    /// Two-sided p value.
    pub p: f64,
}

/// Welch's test of two means, with unequal variances. `None` when a sample has fewer than two values.
pub fn welch(a: &[f64], b: &[f64]) -> Option<TTest> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let (va, vb) = (variance(a) / a.len() as f64, variance(b) / b.len() as f64);
    let t = (mean(a) - mean(b)) / (va + vb).sqrt();
    let df = (va + vb).powi(2) / (va.powi(2) / (a.len() as f64 - 1.0) + vb.powi(2) / (b.len() as f64 - 1.0));
    Some(TTest { t, df, p: t_two_sided(t, df) })
}

/// Student's test with pooled variance: what `pyperf compare_to` computes over the values of all processes.
///
/// Here to show what that test would have said; it takes the values of one process for independent, and so
/// calls noise significant. No verdict of ours uses it.
pub fn student_pooled(a: &[f64], b: &[f64]) -> Option<TTest> {
    if a.len() < 2 || b.len() < 2 {
        return None;
    }
    let (na, nb) = (a.len() as f64, b.len() as f64);
    let df = na + nb - 2.0;
    let pooled = ((na - 1.0) * variance(a) + (nb - 1.0) * variance(b)) / df;
    let t = (mean(a) - mean(b)) / (pooled * (1.0 / na + 1.0 / nb)).sqrt();
    Some(TTest { t, df, p: t_two_sided(t, df) })
}

/// Fieller's interval for the ratio of two independent means, each given with half the width of its own
/// interval. `None` when the denominator isn't clearly apart from 0, where the interval has no end.
pub fn fieller(numerator: (f64, f64), denominator: (f64, f64)) -> Option<(f64, f64)> {
    let ((a, ha), (b, hb)) = (numerator, denominator);
    let bb = b * b - hb * hb;
    let root = (a * b).powi(2) - (a * a - ha * ha) * bb;
    if bb <= 0.0 || root < 0.0 {
        return None;
    }
    Some(((a * b - root.sqrt()) / bb, (a * b + root.sqrt()) / bb))
}
