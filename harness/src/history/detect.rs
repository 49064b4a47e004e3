//! Where a series of measured figures moved.
//!
//! Each figure comes with its standard error, from the rounds of its run. Between runs there is more: another layout of the memory,
//! another hour. That is estimated from how neighbouring runs differ, by a median, so that the moves themselves don't count as noise.
//! Change points minimise the weighted squares of the segments; a change has to lower them by more than noise does in a share
//! `alpha` of all histories, over all places where it could be and all series that are searched.

use crate::stats::paired::Paired;
use crate::stats::segments::segments;
use crate::stats::{mean, median, t_quantile};

/// The fewest runs whose differences say how runs differ.
const LEAST_RUNS: usize = 5;

/// The factor from the median of absolute normal deviates to their standard deviation.
const MAD: f64 = 1.4826;

/// A stretch without a move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stretch {
    /// The first value, and the one after the last.
    pub(super) from: usize,
    pub(super) to: usize,
    /// The weighted mean.
    pub(super) mean: f64,
    /// Its standard error.
    pub(super) se: f64,
}

/// One series, with what is known of its noise.
pub(super) struct Noise {
    /// The variance of each figure inside its run.
    pub(super) inside: Vec<f64>,
    /// Degrees of freedom of that.
    pub(super) df: f64,
    /// The variance between runs beyond it, from this series alone; may be below 0. `None` for too few runs.
    pub(super) between: Option<f64>,
}

impl Noise {
    /// Of figures in order. The runs of a workload share one variance of a pair, which few rounds of one run wouldn't tell. `None`
    /// when no run has two pairs.
    pub(super) fn of(series: &[Paired]) -> Option<Self> {
        let known: Vec<(f64, f64)> = series.iter().filter_map(|p| Some((p.df(), p.sd?.powi(2)))).collect();
        let df: f64 = known.iter().map(|k| k.0).sum();
        if df <= 0.0 {
            return None;
        }
        // Values of a made-up or rounded run may not differ at all; a millionth is less than any clock tells.
        let pooled = (known.iter().map(|(df, variance)| df * variance).sum::<f64>() / df).max(1e-12);
        let inside: Vec<f64> = series.iter().map(|p| pooled / p.n as f64).collect();
        let between = (series.len() >= LEAST_RUNS).then(|| {
            let steps: Vec<f64> = series.windows(2).map(|pair| (pair[1].mean - pair[0].mean).abs()).collect();
            (MAD * median(&steps)).powi(2) / 2.0 - mean(&inside)
        });
        Some(Self { inside, df, between })
    }
}

/// How sure a move has to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Probability of any false move in all series together.
    pub(super) alpha: f64,
    /// How many series there are.
    pub(super) series: usize,
    /// The smallest move worth telling, in logarithms.
    pub(super) margin: f64,
}

/// The stretches between moves; one if nothing moved. `between` is the variance between runs.
pub(super) fn stretches(series: &[Paired], noise: &Noise, between: f64, rule: Rule) -> Vec<Stretch> {
    let n = series.len();
    let weights: Vec<f64> = noise.inside.iter().map(|inside| 1.0 / (inside + between)).collect();
    // Around the middle, so that squares of large sums don't lose what they differ by.
    let centre = mean(&series.iter().map(|p| p.mean).collect::<Vec<_>>());
    let mut sums = vec![(0.0, 0.0, 0.0)];
    for (figure, weight) in series.iter().zip(&weights) {
        let (w, wy, wyy) = sums[sums.len() - 1];
        let y = figure.mean - centre;
        sums.push((w + weight, wy + weight * y, wyy + weight * y * y));
    }
    let part = |from: usize, to: usize| (sums[to].0 - sums[from].0, sums[to].1 - sums[from].1, sums[to].2 - sums[from].2);
    let cost = |from: usize, to: usize| {
        let (w, wy, wyy) = part(from, to);
        wyy - wy * wy / w
    };
    let places = (n.saturating_sub(1) * rule.series).max(1) as f64;
    let df = if between > 0.0 { noise.df.min(n as f64 - 1.0) } else { noise.df };
    let penalty = t_quantile(1.0 - rule.alpha / places / 2.0, df.max(1.0)).powi(2);
    let mut starts = segments(n, 1, penalty, cost);
    let stretch = |from: usize, to: usize| {
        let (w, wy, _) = part(from, to);
        Stretch { from, to, mean: centre + wy / w, se: w.sqrt().recip() }
    };
    loop {
        let ends = starts.iter().skip(1).copied().chain([n]);
        let found: Vec<Stretch> = starts.iter().zip(ends).map(|(from, to)| stretch(*from, to)).collect();
        // A move below the margin is none worth telling: the least goes first, since what it joins may then differ less.
        let sizes = found.windows(2).map(|pair| (pair[1].mean - pair[0].mean).abs());
        match sizes.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((index, size)) if size < rule.margin => drop(starts.remove(index + 1)),
            _ => return found,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const RULE: Rule = Rule { alpha: 0.05, series: 20, margin: 0.01 };

    fn normal(rng: &mut StdRng) -> f64 {
        let (u, v): (f64, f64) = (rng.random::<f64>().max(1e-300), rng.random());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Runs of five rounds: 1 % inside of a run, `between` from run to run, a step after so many runs.
    fn made(rng: &mut StdRng, runs: usize, between: f64, step: Option<(usize, f64)>) -> Vec<Paired> {
        let one = |run: usize, rng: &mut StdRng| {
            let level = 0.7 + between * normal(rng) + step.map_or(0.0, |(at, size)| if run >= at { size } else { 0.0 });
            Paired::new(&(0..5).map(|_| level + 0.01 * normal(rng)).collect::<Vec<_>>()).unwrap()
        };
        (0..runs).map(|run| one(run, rng)).collect()
    }

    /// The starts of the stretches, with the variance between runs that a suite of such series tells.
    fn starts(series: &[Paired], between: f64) -> Vec<usize> {
        let noise = Noise::of(series).unwrap();
        let own = noise.between.unwrap_or(0.0).max(between * between);
        stretches(series, &noise, own, RULE).iter().map(|s| s.from).collect()
    }

    #[test]
    fn unchanged_histories_show_hardly_any_move() {
        let mut rng = StdRng::seed_from_u64(7);
        for (runs, between) in [(8, 0.0), (20, 0.0), (20, 0.01)] {
            let wrong = (0..4000).filter(|_| starts(&made(&mut rng, runs, between, None), between) != [0]).count();
            // One in 400 of the series is what a share of 5 % over 20 series comes to.
            assert!(wrong <= 20, "{runs} runs, {between} between: {wrong} of 4000 moved");
        }
    }

    #[test]
    fn a_step_is_found_where_it_is() {
        let mut rng = StdRng::seed_from_u64(8);
        let found = (0..500).filter(|_| starts(&made(&mut rng, 15, 0.0, Some((9, 0.05))), 0.0) == [0, 9]).count();
        assert!(found >= 490, "{found} of 500");
        let last = (0..500).filter(|_| starts(&made(&mut rng, 15, 0.0, Some((14, -0.05))), 0.0) == [0, 14]).count();
        assert!(last >= 475, "the newest run alone: {last} of 500");
    }

    #[test]
    fn a_step_below_the_margin_is_none() {
        let series: Vec<Paired> =
            (0..10).map(|i| Paired { n: 100, mean: if i < 5 { 0.5 } else { 0.505 }, sd: Some(0.0001) }).collect();
        let noise = Noise::of(&series).unwrap();
        assert_eq!(stretches(&series, &noise, 0.0, RULE).len(), 1);
        assert_eq!(stretches(&series, &noise, 0.0, Rule { margin: 0.004, ..RULE }).len(), 2);
    }

    #[test]
    fn one_round_per_run_says_nothing_of_noise() {
        assert!(Noise::of(&[Paired { n: 1, mean: 0.1, sd: None }]).is_none());
    }
}
