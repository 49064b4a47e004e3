//! The order of a run, drawn from its seed alone: the same seed gives the same order, so a resumed run goes on
//! where the interrupted one stopped.

use std::collections::{HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::model::Manifest;

/// All tiers of one workload in one round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    /// The round, from 1.
    pub(super) round: u32,
    /// Index into the manifest's workloads.
    pub(super) workload: usize,
    /// Indices into the manifest's tiers, in the order of this block.
    pub(super) tiers: Vec<usize>,
    /// `PYTHONHASHSEED` of every process of the block.
    pub(super) hash_seed: u32,
}

/// Every block of a run: in each round all workloads in a new order, in each block all tiers in a new order. Over as many rounds as
/// there are tiers, each tier of a workload takes each place once, so that what a place is worth (who starts first, who follows whom
/// into a warm cache) is the same for all and doesn't have to average out.
pub(super) fn blocks(manifest: &Manifest) -> Vec<Block> {
    let mut all = Vec::new();
    for round in 1..=manifest.design.rounds {
        // Each round has a generator of its own: raising the number of rounds leaves the earlier ones alone.
        let mut random = StdRng::seed_from_u64(manifest.seed ^ (u64::from(round) << 32));
        let mut workloads: Vec<usize> = (0..manifest.workloads.len()).collect();
        workloads.shuffle(&mut random);
        for workload in workloads {
            // Drawn and put aside: hash seeds stay those of runs that began before places were balanced.
            (0..manifest.tiers.len()).collect::<Vec<_>>().shuffle(&mut random);
            let tiers = places(manifest, round, workload);
            all.push(Block { round, workload, tiers, hash_seed: random.random() });
        }
    }
    all
}

/// The order of a block's tiers: a shuffled one for each workload and cycle of rounds, turned by one place each round.
fn places(manifest: &Manifest, round: u32, workload: usize) -> Vec<usize> {
    let mut tiers: Vec<usize> = (0..manifest.tiers.len()).collect();
    let (cycle, turn) = ((round as usize - 1) / tiers.len().max(1), (round as usize - 1) % tiers.len().max(1));
    let mut random = StdRng::seed_from_u64(manifest.seed ^ ((workload as u64 + 1) << 32) ^ ((cycle as u64 + 1) << 48));
    tiers.shuffle(&mut random);
    tiers.rotate_left(turn);
    tiers
}

/// What is left of `blocks` when `done` (round, workload, tier) is measured.
///
/// With `whole`, a block that lacks one tier is run again as a whole, since its tiers only mean something
/// together; its earlier values are replaced.
pub(super) fn remaining(
    blocks: Vec<Block>,
    manifest: &Manifest,
    done: &HashSet<(u32, String, String)>,
    whole: bool,
) -> Vec<Block> {
    let is_done = |block: &Block, tier: usize| {
        let (workload, tier) = (&manifest.workloads[block.workload].name, &manifest.tiers[tier].name);
        done.contains(&(block.round, workload.clone(), tier.clone()))
    };
    blocks
        .into_iter()
        .filter_map(|mut block| {
            let missing: Vec<usize> = block.tiers.iter().copied().filter(|tier| !is_done(&block, *tier)).collect();
            if missing.is_empty() {
                return None;
            }
            if !whole {
                block.tiers = missing;
            }
            Some(block)
        })
        .collect()
}

/// Blocks that wait to be run, for several threads.
pub(super) struct Queue<'a> {
    manifest: &'a Manifest,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: VecDeque<Block>,
    /// What the blocks that are running claim for themselves.
    claimed: HashSet<String>,
}

/// A block that nobody else runs. While it is there, what its workload claims stays claimed.
pub(super) struct Taken<'a> {
    pub(super) block: Block,
    queue: &'a Queue<'a>,
}

/// How often a thread that waits looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(50);

impl<'a> Queue<'a> {
    pub(super) fn new(blocks: Vec<Block>, manifest: &'a Manifest) -> Self {
        let state = State { waiting: blocks.into(), claimed: HashSet::new() };
        Self { manifest, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The first block whose workload claims nothing that another one has at the time; waits for that where it must. `None` when there
    /// is none left or it is time to `stop`.
    pub(super) fn next(&self, stop: &dyn Fn() -> bool) -> Option<Taken<'_>> {
        let mut state = self.lock();
        while !stop() && !state.waiting.is_empty() {
            let free = |block: &Block| self.claim(block).is_none_or(|claim| !state.claimed.contains(claim));
            if let Some(place) = state.waiting.iter().position(free) {
                let block = state.waiting.remove(place)?;
                state.claimed.extend(self.claim(&block).map(str::to_owned));
                return Some(Taken { block, queue: self });
            }
            state = self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    fn claim(&self, block: &Block) -> Option<&str> {
        self.manifest.workloads[block.workload].exclusive.as_deref()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.queue.claim(&self.block) {
            self.queue.lock().claimed.remove(claim);
            self.queue.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Design, DesignKind, Host, SCHEMA_VERSION, TierRecord, WorkloadRecord};

    fn manifest(rounds: u32, seed: u64) -> Manifest {
        let workload = |name: &str| WorkloadRecord { name: name.to_owned(), ..WorkloadRecord::default() };
        let tier = |name: &str| TierRecord { name: name.to_owned(), ..TierRecord::default() };
        Manifest {
            schema_version: SCHEMA_VERSION,
            run_id: "r".to_owned(),
            tool_version: String::new(),
            commit: None,
            dirty: false,
            created: String::new(),
            command_line: vec![],
            platform: String::new(),
            host: Host::default(),
            design: Design {
                kind: DesignKind::Interleaved,
                rounds,
                values: 1,
                warmups: 0,
                warmup_s: None,
                window_s: None,
                looks: Vec::new(),
            },
            seed,
            suite: String::new(),
            workloads: ["a", "b", "c", "d", "e"].map(workload).to_vec(),
            tiers: ["interp", "interp-aa", "pepjit"].map(tier).to_vec(),
            baseline: "interp".to_owned(),
            suite_version: None,
            left_out: Vec::new(),
            python_path: Vec::new(),
            criteria_sha256: None,
            module_sha256: None,
        }
    }

    #[test]
    fn each_round_runs_each_pair_once_and_in_a_new_order() {
        let all = blocks(&manifest(4, 7));
        assert_eq!(all.len(), 20);
        for round in 1..=4 {
            let mut seen: Vec<usize> = all.iter().filter(|block| block.round == round).map(|block| block.workload).collect();
            seen.sort_unstable();
            assert_eq!(seen, [0, 1, 2, 3, 4]);
        }
        for block in &all {
            let mut tiers = block.tiers.clone();
            tiers.sort_unstable();
            assert_eq!(tiers, [0, 1, 2]);
        }
        let order =
            |round: u32| -> Vec<usize> { all.iter().filter(|block| block.round == round).map(|block| block.workload).collect() };
        assert!((2..=4).any(|round| order(round) != order(1)), "the order is shuffled");
        assert!(all.iter().any(|block| block.tiers != all[0].tiers));
        let seeds: HashSet<u32> = all.iter().map(|block| block.hash_seed).collect();
        assert!(seeds.len() > 15, "each block has a hash seed of its own");
    }

    #[test]
    fn each_tier_takes_each_place_equally_often() {
        let manifest = manifest(6, 7);
        for workload in 0..5 {
            for tier in 0..3 {
                let mut taken: Vec<usize> = blocks(&manifest)
                    .iter()
                    .filter(|block| block.workload == workload)
                    .filter_map(|block| block.tiers.iter().position(|t| *t == tier))
                    .collect();
                taken.sort_unstable();
                assert_eq!(taken, [0, 0, 1, 1, 2, 2]);
            }
        }
        let firsts: HashSet<Vec<usize>> = blocks(&manifest).into_iter().map(|block| block.tiers).collect();
        assert_eq!(firsts.len(), 6, "all orders come up");
    }

    #[test]
    fn a_seed_fixes_the_order_and_more_rounds_only_add() {
        assert_eq!(blocks(&manifest(3, 7)), blocks(&manifest(3, 7)));
        assert_ne!(blocks(&manifest(3, 7)), blocks(&manifest(3, 8)));
        assert_eq!(blocks(&manifest(5, 7))[..15], blocks(&manifest(3, 7))[..]);
    }

    #[test]
    fn blocks_that_claim_the_same_are_never_out_at_once() {
        let mut manifest = manifest(1, 7);
        for (workload, claim) in [(0, "port 1"), (1, "port 1"), (2, "port 2")] {
            manifest.workloads[workload].exclusive = Some(claim.to_owned());
        }
        let block = |workload| Block { round: 1, workload, tiers: vec![0], hash_seed: 0 };
        let queue = Queue::new([0, 1, 0, 2, 3, 3].map(block).to_vec(), &manifest);
        let next = || queue.next(&|| false).expect("one that is free");
        let (first, third, fourth, again) = (next(), next(), next(), next());
        let taken = [&first, &third, &fourth, &again].map(|taken| taken.block.workload);
        assert_eq!(taken, [0, 2, 3, 3], "what claims nothing may run beside itself");
        let stop = std::cell::Cell::new(0);
        let soon = || stop.replace(stop.get() + 1) > 0;
        assert!(queue.next(&soon).is_none(), "the claim is taken");
        let waiting = std::thread::scope(|scope| {
            let waits = scope.spawn(|| queue.next(&|| false).map(|taken| taken.block.workload));
            std::thread::sleep(Duration::from_millis(5));
            drop(first);
            waits.join().expect("no panic")
        });
        assert_eq!(waiting, Some(1), "it goes on once the claim is given up");
        assert_eq!(next().block.workload, 0);
        assert!(queue.next(&|| false).is_none());
    }

    #[test]
    fn what_is_done_is_left_out() {
        let manifest = manifest(2, 1);
        let all = blocks(&manifest);
        let first = all[0].clone();
        let name = manifest.workloads[first.workload].name.clone();
        let mut done = HashSet::from([(first.round, name.clone(), "interp".to_owned())]);
        let rest = remaining(all.clone(), &manifest, &done, false);
        assert_eq!(rest.len(), 10);
        assert_eq!(rest[0].tiers.len(), 2);
        assert!(!rest[0].tiers.contains(&0));
        assert_eq!(remaining(all.clone(), &manifest, &done, true)[0], first, "co-scheduled blocks stay whole");
        done.insert((first.round, name.clone(), "interp-aa".to_owned()));
        done.insert((first.round, name, "pepjit".to_owned()));
        assert_eq!(remaining(all, &manifest, &done, true).len(), 9);
    }
}
