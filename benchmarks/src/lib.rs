//! Made-up measurements for the criterion benchmarks of our own statistics, beside the Python workloads.
//!
//! A report is made after every run and a gate sits in every check, so the statistics must stay far below a
//! second for the largest run anyone makes: hundreds of workloads, tens of rounds, thousands of iterations.

/// Numbers in 0..1 that look random and are the same each time (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Noise(u64);

impl Noise {
    /// A stream of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl Iterator for Noise {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        Some((z >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// The iterations of a process that warms up in two steps: seconds, with 1 % of noise.
pub fn warming_process(iterations: usize, seed: u64) -> Vec<f64> {
    let level = |i: usize| match i * 10 / iterations.max(1) {
        0 => 3.0,
        1 => 1.5,
        _ => 1.0,
    };
    Noise::new(seed).take(iterations).enumerate().map(|(i, noise)| level(i) * (0.995 + 0.01 * noise)).collect()
}

/// Log differences of a suite: `workloads` rows of `rounds` pairs.
pub fn suite(workloads: usize, rounds: usize, seed: u64) -> Vec<Vec<Option<f64>>> {
    let row = |w: usize| Noise::new(seed + w as u64).take(rounds).map(|noise| Some(0.2 + 0.02 * noise)).collect();
    (0..workloads).map(row).collect()
}
