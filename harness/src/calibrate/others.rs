//! The rules of other harnesses, written from their description, to be run over the same data.

use crate::stats::median;

/// Moments and values of one side of a comparison, in seconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Every value of every process.
    pub values: Vec<f64>,
}

impl Sample {
    pub(super) fn mean(&self) -> f64 {
        crate::stats::mean(&self.values)
    }

    /// The same, slower by a share.
    #[must_use]
    pub fn slowed(&self, by: f64) -> Self {
        Self { values: self.values.iter().map(|v| v * (1.0 + by)).collect() }
    }
}

/// `pyperf compare_to`: Student's t test at 95 % over all values of all processes, as if they were independent.
pub fn is_significant(a: &[f64], b: &[f64]) -> bool {
    crate::stats::compare::student_pooled(a, b).is_some_and(|test| test.t.abs() >= crate::stats::t_quantile(0.975, test.df))
}

/// HPT's test of one benchmark as `bench_runner` has it: rank sums outside (mu - q sd, mu + q sd), with q the normal quantile
/// of 0.1. That q is negative, so the lower bound is above the upper one, and whatever the ranks are, one of the
/// conditions holds.
pub fn hpt_differs(a: &[f64], b: &[f64]) -> bool {
    const Q: f64 = -1.281_551_565_544_6;
    let n = a.len() as f64;
    let mu = n * (2.0 * n + 1.0) / 2.0;
    let sd = ((2.0 * n + 1.0) / 3.0).sqrt() * n / 2.0;
    let sum = rank_sum(a, b);
    sum <= mu - Q * sd || sum >= mu + Q * sd
}

/// Sum of the ranks of `a` among both; times hardly ever tie.
fn rank_sum(a: &[f64], b: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = a.iter().map(|v| (*v, true)).chain(b.iter().map(|v| (*v, false))).collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    all.iter().enumerate().filter(|(_, (_, own))| *own).map(|(rank, _)| (rank + 1) as f64).sum()
}

/// HPT over a suite: Wilcoxon's signed ranks of the differences of medians, in seconds, with the normal approximation. The
/// reliability with which `tier` is slower than `baseline`.
pub fn hpt_slower(pairs: &[(Sample, Sample)]) -> f64 {
    let differences: Vec<f64> = pairs
        .iter()
        .filter(|(a, b)| hpt_differs(&a.values, &b.values))
        .map(|(a, b)| median(&b.values) - median(&a.values))
        .collect();
    let mut order: Vec<usize> = (0..differences.len()).collect();
    order.sort_by(|x, y| differences[*x].abs().total_cmp(&differences[*y].abs()));
    let positive: f64 = order.iter().enumerate().filter(|(_, i)| differences[**i] > 0.0).map(|(rank, _)| (rank + 1) as f64).sum();
    let n = differences.len() as f64;
    let z = (positive - n * (n + 1.0) / 4.0) / (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt();
    normal_cdf(z)
}

fn normal_cdf(z: f64) -> f64 {
    // Student's t with so many degrees of freedom is normal to six digits.
    1.0 - crate::stats::t_upper_tail(z, 1e7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample { values: values.to_vec() }
    }

    #[test]
    fn hpt_calls_every_benchmark_different() {
        let a: Vec<f64> = (0..20).map(f64::from).collect();
        assert!(hpt_differs(&a, &a.iter().map(|v| v + 0.5).collect::<Vec<_>>()), "interleaved ranks, no difference at all");
        assert!(hpt_differs(&a, &a.iter().map(|v| v + 100.0).collect::<Vec<_>>()));
    }

    #[test]
    fn hpt_ranks_the_suite() {
        let slower: Vec<_> = (1..=20).map(|i| (sample(&[f64::from(i); 3]), sample(&[f64::from(i) * 1.1; 3]))).collect();
        assert!(hpt_slower(&slower) > 0.99);
        let faster: Vec<_> = slower.iter().map(|(a, b)| (b.clone(), a.clone())).collect();
        assert!(hpt_slower(&faster) < 0.01);
    }

    #[test]
    fn pyperf_takes_the_values_of_a_process_for_independent() {
        // Three processes a side, of which each repeats itself: three numbers, but nine to this test.
        let side = |levels: [f64; 3]| -> Vec<f64> { levels.iter().flat_map(|l| [*l, l + 1e-6, l - 1e-6]).collect() };
        let (a, b) = (side([1.0, 1.01, 1.02]), side([1.012, 1.022, 1.032]));
        assert!(is_significant(&a, &b));
        let means = crate::stats::compare::student_pooled(&[1.0, 1.01, 1.02], &[1.012, 1.022, 1.032]);
        assert!(means.is_some_and(|test| test.p > 0.1));
    }
}
