//! A suite of workloads, and several platforms.

use serde::{Deserialize, Serialize};

use super::paired::Paired;
use super::{mean, sd, t_quantile};

/// The suite's log geometric mean, over the rounds in which every workload has a pair.
///
/// `differences[b][r]` is the log difference of workload b in round r, `None` where there is no pair. The
/// mean over workloads is formed inside each round, so that what moves a whole round (the machine's state)
/// is counted as the error it is: the interval over rounds covers at its level, where adding the workloads'
/// variances falls short.
pub fn over_rounds(differences: &[Vec<Option<f64>>]) -> Option<Paired> {
    let rounds = differences.first()?.len();
    let means: Vec<f64> = (0..rounds)
        .filter_map(|r| differences.iter().map(|b| b.get(r).copied().flatten()).collect::<Option<Vec<f64>>>())
        .map(|round| mean(&round))
        .collect();
    Paired::new(&means)
}

/// The interval "beyond this suite": what a workload of the same kind as these may expect on average, from
/// the spread between the workloads' own log means. `None` below three workloads.
pub fn beyond(workload_means: &[f64], alpha: f64) -> Option<(f64, f64)> {
    let k = workload_means.len();
    if k < 3 {
        return None;
    }
    let centre = mean(workload_means);
    let half = t_quantile(1.0 - alpha / 2.0, k as f64 - 1.0) * sd(workload_means) / (k as f64).sqrt();
    Some((centre - half, centre + half))
}

/// A result over several platforms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    /// Number of platforms.
    pub platforms: usize,
    /// Mean of the platforms' log geometric means.
    pub mean: f64,
    /// Its standard error, sqrt(sum of SE^2)/P.
    pub se: f64,
    /// Degrees of freedom after Welch and Satterthwaite.
    pub df: f64,
}

impl Merged {
    /// Merges the suite results of several platforms, each weighing the same. `None` when one of them has
    /// no standard error.
    pub fn new(platforms: &[Paired]) -> Option<Self> {
        if platforms.is_empty() {
            return None;
        }
        let count = platforms.len() as f64;
        let variances: Vec<f64> = platforms.iter().map(|p| p.se().map(|se| se * se)).collect::<Option<_>>()?;
        let sum: f64 = variances.iter().sum();
        let weights: f64 = variances.iter().zip(platforms).map(|(v, p)| v * v / p.df()).sum();
        let means: Vec<f64> = platforms.iter().map(|p| p.mean).collect();
        let df = if weights > 0.0 { sum * sum / weights } else { 1.0 };
        Some(Self { platforms: platforms.len(), mean: mean(&means), se: sum.sqrt() / count, df })
    }

    /// Two-sided t interval.
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        let half = t_quantile(1.0 - alpha / 2.0, self.df) * self.se;
        (self.mean - half, self.mean + half)
    }
}
