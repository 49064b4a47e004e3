//! Variance components of iterations within processes, and how many iterations pay.
//!
//! Kalibera and Jones, "Rigorous Benchmarking in Reasonable Time" (ISMM 2013), with two levels: iterations
//! (level 1) inside processes (level 2).

use serde::{Deserialize, Serialize};

use super::{mean, t_quantile, variance};

/// The components of a balanced two-level experiment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Components {
    /// Processes (r2).
    pub processes: usize,
    /// Iterations per process (r1).
    pub iterations: usize,
    /// Grand mean.
    pub mean: f64,
    /// Variance between the iterations of a process: S1^2, which is T1^2.
    pub s1: f64,
    /// Variance of the process means, S2^2: what the iterations leave in it included.
    pub s2: f64,
}

impl Components {
    /// From the values of each process. `None` unless all have the same number of at least two values, and
    /// there are at least two processes.
    pub fn new(processes: &[Vec<f64>]) -> Option<Self> {
        let iterations = processes.first()?.len();
        if iterations < 2 || processes.len() < 2 || processes.iter().any(|p| p.len() != iterations) {
            return None;
        }
        let means: Vec<f64> = processes.iter().map(|p| mean(p)).collect();
        // With equal counts, SS_within/(r2 (r1 - 1)) is the mean of the processes' variances.
        let within: Vec<f64> = processes.iter().map(|p| variance(p)).collect();
        Some(Self { processes: processes.len(), iterations, mean: mean(&means), s1: mean(&within), s2: variance(&means) })
    }

    /// T1^2, the variance that iterations add.
    pub fn t1(&self) -> f64 {
        self.s1
    }

    /// T2^2, the variance that processes add of themselves. It can come out negative when they add none.
    pub fn t2(&self) -> f64 {
        self.s2 - self.s1 / self.iterations as f64
    }

    /// The number of iterations per process, not yet rounded up, that gives the least variance for the time
    /// spent, if a process costs `process_s` before its first iteration and an iteration `iteration_s`.
    /// Infinite when processes add no variance.
    pub fn best_iterations(&self, process_s: f64, iteration_s: f64) -> f64 {
        if self.t2() <= 0.0 {
            return f64::INFINITY;
        }
        ((process_s / iteration_s) * (self.t1() / self.t2())).sqrt()
    }

    /// Half the width of the t interval of the mean.
    pub fn half_width(&self, alpha: f64) -> f64 {
        let n = self.processes as f64;
        t_quantile(1.0 - alpha / 2.0, n - 1.0) * (self.s2 / n).sqrt()
    }
}
