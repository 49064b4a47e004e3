//! Pairs of processes: an interval and claims for one workload.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::{mean, sd, sorted_quantile, t_quantile, t_two_sided, t_upper_tail};

/// The fewest pairs from which an interval is stated. Two give one with t = 12.7, which nobody can use.
pub const MIN_PAIRS: usize = 3;

/// The power at which detectable effects and required pairs are stated.
pub const POWER: f64 = 0.8;

/// Summary of the differences of n pairs, in logarithms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// Number of pairs.
    pub n: usize,
    /// Mean difference, the log speed-up.
    pub mean: f64,
    /// Sample standard deviation of the differences; `None` below two pairs.
    pub sd: Option<f64>,
}

/// Three answers of a one-sided question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Shown to hold.
    Holds,
    /// Shown not to hold.
    Fails,
    /// Not decided by these pairs.
    Inconclusive,
}

impl Paired {
    /// Summarises differences; `None` when there are none.
    pub fn new(differences: &[f64]) -> Option<Self> {
        let n = differences.len();
        (n > 0).then(|| Self { n, mean: mean(differences), sd: (n > 1).then(|| sd(differences)) })
    }

    /// Degrees of freedom.
    pub fn df(&self) -> f64 {
        self.n as f64 - 1.0
    }

    /// Standard error of the mean, from [`MIN_PAIRS`] on.
    pub fn se(&self) -> Option<f64> {
        let sd = self.sd.filter(|_| self.n >= MIN_PAIRS)?;
        Some(sd / (self.n as f64).sqrt())
    }

    /// Two-sided t interval of the mean; `alpha` 0.05 gives 95 %.
    pub fn interval(&self, alpha: f64) -> Option<(f64, f64)> {
        let half = t_quantile(1.0 - alpha / 2.0, self.df().max(1.0)) * self.se()?;
        Some((self.mean - half, self.mean + half))
    }

    /// One-sided lower bound at level 1 - `alpha`.
    pub fn lower_bound(&self, alpha: f64) -> Option<f64> {
        Some(self.mean - t_quantile(1.0 - alpha, self.df().max(1.0)) * self.se()?)
    }

    /// One-sided upper bound at level 1 - `alpha`.
    pub fn upper_bound(&self, alpha: f64) -> Option<f64> {
        Some(self.mean + t_quantile(1.0 - alpha, self.df().max(1.0)) * self.se()?)
    }

    /// p value of the claim that the true log speed-up is above `bound` (null: at or below it).
    pub fn p_above(&self, bound: f64) -> Option<f64> {
        Some(tail((self.mean - bound) / self.se()?, self.df()))
    }

    /// p value of the claim that the true log speed-up is below `bound` (null: at or above it).
    pub fn p_below(&self, bound: f64) -> Option<f64> {
        Some(tail((bound - self.mean) / self.se()?, self.df()))
    }

    /// Two-sided p value of no change at all.
    pub fn p_two_sided(&self) -> Option<f64> {
        let t = self.mean / self.se()?;
        if t.is_nan() { Some(1.0) } else { Some(if t.is_infinite() { 0.0 } else { t_two_sided(t, self.df()) }) }
    }

    /// Is the true log speed-up at least `bound`? It holds when the one-sided lower bound reaches it, fails
    /// when the upper bound stays below it.
    pub fn at_least(&self, bound: f64, alpha: f64) -> Decision {
        match (self.lower_bound(alpha), self.upper_bound(alpha)) {
            (Some(low), _) if low >= bound => Decision::Holds,
            (_, Some(high)) if high < bound => Decision::Fails,
            _ => Decision::Inconclusive,
        }
    }

    /// Non-inferiority with margin `delta` (0.03 is 3 %): is the tier no more than that slower?
    pub fn non_inferior(&self, delta: f64, alpha: f64) -> Decision {
        self.at_least(-delta.ln_1p(), alpha)
    }

    /// The minimal detectable effect as a log ratio: what as many pairs with this spread show with
    /// [`POWER`] in a two-sided test.
    pub fn mde(&self, alpha: f64) -> Option<f64> {
        let df = self.df().max(1.0);
        Some((t_quantile(1.0 - alpha / 2.0, df) + t_quantile(POWER, df)) * self.se()?)
    }
}

/// Upper tail that stands infinite statistics (pairs without any spread).
fn tail(t: f64, df: f64) -> f64 {
    if t.is_nan() {
        0.5
    } else if t.is_infinite() {
        if t > 0.0 { 0.0 } else { 1.0 }
    } else {
        t_upper_tail(t, df)
    }
}

/// The fewest pairs, at least [`MIN_PAIRS`], that show a log ratio of `delta` when differences have the
/// standard deviation `sd`: R >= ((t(1 - alpha/2) + t(power)) sd / delta)^2, t with R - 1 degrees of freedom.
///
/// `None` when more than a million would be needed.
pub fn required_pairs(sd: f64, delta: f64, alpha: f64, power: f64) -> Option<u32> {
    const MOST: u32 = 1_000_000;
    let enough = |r: u32| {
        let df = f64::from(r - 1);
        let t = t_quantile(1.0 - alpha / 2.0, df) + t_quantile(power, df);
        f64::from(r) >= (t * sd / delta).powi(2)
    };
    if delta <= 0.0 || !sd.is_finite() || !enough(MOST) {
        return None;
    }
    // The right side falls as R grows, so the first R that suffices can be bisected.
    let (mut low, mut high) = (MIN_PAIRS as u32 - 1, MOST);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if enough(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// Exact two-sided sign-flip p value of zero mean: the share of the 2^n sign patterns whose absolute sum
/// reaches the one observed. `None` for no pairs, or above 20.
pub fn sign_flip_exact(differences: &[f64]) -> Option<f64> {
    let n = differences.len();
    if n == 0 || n > 20 {
        return None;
    }
    let observed = differences.iter().sum::<f64>().abs();
    // Sums of the same numbers in another order may differ in the last digits.
    let limit = observed - 1e-12 * differences.iter().map(|d| d.abs()).sum::<f64>();
    let reached = (0u32..1 << n).filter(|signs| {
        let flip = |(i, d): (usize, &f64)| if signs >> i & 1 == 1 { -d } else { *d };
        differences.iter().enumerate().map(flip).sum::<f64>().abs() >= limit
    });
    Some(reached.count() as f64 / f64::from(1u32 << n))
}

/// Bootstrap-t interval of the mean: quantiles of the studentised means of `resamples` resamples.
///
/// `None` below [`MIN_PAIRS`] or without spread. The seed makes a report reproducible.
pub fn bootstrap_t(differences: &[f64], alpha: f64, resamples: usize, seed: u64) -> Option<(f64, f64)> {
    let paired = Paired::new(differences)?;
    let se = paired.se().filter(|se| *se > 0.0)?;
    let n = differences.len();
    let mut rng = StdRng::seed_from_u64(seed);
    let mut sample = vec![0.0; n];
    let mut statistics = Vec::with_capacity(resamples);
    while statistics.len() < resamples {
        sample.fill_with(|| differences[rng.random_range(0..n)]);
        let spread = sd(&sample);
        // A resample of one value only has no studentised mean.
        if spread > 0.0 {
            statistics.push((mean(&sample) - paired.mean) / (spread / (n as f64).sqrt()));
        }
    }
    statistics.sort_by(f64::total_cmp);
    let upper = sorted_quantile(&statistics, 1.0 - alpha / 2.0);
    let lower = sorted_quantile(&statistics, alpha / 2.0);
    Some((paired.mean - upper * se, paired.mean - lower * se))
}
