//! Models of how times vary on real machines.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Experiment, Rate};

/// Standard deviations of the parts of a time's logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Its name.
    pub name: &'static str,
    /// Between processes: hash seeds, addresses, pages.
    pub between: f64,
    /// Between the values of a process.
    pub within: f64,
    /// Of the machine's slow changes (heat, neighbours), which all that runs near in time shares.
    pub drift: f64,
    /// How often a process is a bad one, and by how much slower it is then at most.
    pub bad: (f64, f64),
}

/// The machines that the gate has to be right on: a quiet one, the usual one of the protocol's own figures, a shared one,
/// and one where now and then a process is much slower.
pub const MODELS: [Noise; 4] = [
    Noise { name: "quiet", between: 0.005, within: 0.003, drift: 0.003, bad: (0.0, 0.0) },
    Noise { name: "usual", between: 0.01, within: 0.003, drift: 0.01, bad: (0.0, 0.0) },
    Noise { name: "shared", between: 0.0125, within: 0.01, drift: 0.03, bad: (0.0, 0.0) },
    Noise { name: "bad processes", between: 0.008, within: 0.003, drift: 0.01, bad: (0.01, 0.05) },
];

/// Correlation of the drift from one process to the next.
const PERSISTENCE: f64 = 0.95;

/// Processes and values of a side in pyperf's own design.
const PYPERF: (usize, usize) = (20, 3);

impl Noise {
    /// The model in a sentence.
    pub fn description(&self) -> String {
        let percent = |share: f64| format!("{} %", (share * 1000.0).round() / 10.0);
        let bad = match self.bad {
            (0.0, _) => String::new(),
            (share, most) => format!("; {} of processes are up to {} slower", percent(share), percent(most)),
        };
        format!(
            "standard deviation of {} between processes, {} within, and a drift of {} (AR(1), {PERSISTENCE} from one process to \
             the next){bad}",
            percent(self.between),
            percent(self.within),
            percent(self.drift)
        )
    }

    /// A run of interleaved pairs in which both sides are equal.
    pub fn experiment(&self, seed: u64, workloads: usize, rounds: usize, values: usize) -> Experiment {
        let mut source = Source::new(*self, seed);
        // From 10 ms to 1 s.
        let scales: Vec<f64> = (0..workloads).map(|_| source.rng.random_range(0.01_f64.ln()..0.0)).collect();
        let mut experiment = Experiment::new(workloads);
        for _ in 0..rounds {
            for (workload, scale) in scales.iter().enumerate() {
                let first_is_a = source.rng.random::<bool>();
                let (one, two) = (source.process(*scale, values), source.process(*scale, values));
                let (a, b) = if first_is_a { (one, two) } else { (two, one) };
                experiment.push(workload, a, b);
            }
        }
        experiment
    }

    /// How often `differ` tells two equal sides apart that were measured one after the other, each with pyperf's own 20
    /// processes of 3 values.
    pub(super) fn sequential(&self, seed: u64, differ: impl Fn(&[f64], &[f64]) -> bool) -> Rate {
        let mut source = Source::new(*self, seed);
        let mut side = || -> Vec<f64> { (0..PYPERF.0).flat_map(|_| source.process(0.0, PYPERF.1)).map(f64::exp).collect() };
        let mut rate = Rate::default();
        rate.count(differ(&side(), &side()));
        rate
    }
}

/// A machine in time.
struct Source {
    noise: Noise,
    rng: StdRng,
    drift: f64,
    spare: Option<f64>,
}

impl Source {
    fn new(noise: Noise, seed: u64) -> Self {
        let mut source = Self { noise, rng: StdRng::seed_from_u64(seed), drift: 0.0, spare: None };
        source.drift = source.normal() * noise.drift;
        source
    }

    /// Log times of the next process.
    fn process(&mut self, scale: f64, values: usize) -> Vec<f64> {
        let fresh = (1.0 - PERSISTENCE * PERSISTENCE).sqrt() * self.noise.drift;
        self.drift = PERSISTENCE * self.drift + fresh * self.normal();
        let bad = self.rng.random::<f64>() < self.noise.bad.0;
        let slower = if bad { (self.rng.random::<f64>() * self.noise.bad.1).ln_1p() } else { 0.0 };
        let level = scale + self.drift + self.noise.between * self.normal() + slower;
        (0..values).map(|_| level + self.noise.within * self.normal()).collect()
    }

    /// A standard normal number, after Box and Muller.
    fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.rng.random::<f64>()).ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.rng.random::<f64>()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{mean, sd};

    #[test]
    fn the_noise_is_what_it_says() {
        let noise = Noise { name: "x", between: 0.02, within: 0.01, drift: 0.0, bad: (0.0, 0.0) };
        let mut source = Source::new(noise, 3);
        let processes: Vec<Vec<f64>> = (0..4000).map(|_| source.process(1.0, 5)).collect();
        let means: Vec<f64> = processes.iter().map(|p| mean(p)).collect();
        let expected = (0.02_f64.powi(2) + 0.01_f64.powi(2) / 5.0).sqrt();
        assert!((sd(&means) / expected - 1.0).abs() < 0.05, "{}", sd(&means));
        assert!((mean(&means) - 1.0).abs() < 0.002);
    }

    #[test]
    fn neighbours_share_the_drift() {
        let noise = Noise { name: "x", between: 0.0, within: 0.0, drift: 0.05, bad: (0.0, 0.0) };
        let mut source = Source::new(noise, 3);
        let levels: Vec<f64> = (0..4000).map(|_| source.process(0.0, 1)[0]).collect();
        let steps: Vec<f64> = levels.windows(2).map(|w| w[1] - w[0]).collect();
        // The variance of a step of an AR(1) process is 2 (1 - persistence) of its own.
        let expected = 0.05 * (2.0 * (1.0 - PERSISTENCE)).sqrt();
        assert!((sd(&steps) / expected - 1.0).abs() < 0.05);
    }
}
