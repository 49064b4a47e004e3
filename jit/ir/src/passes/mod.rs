//! The passes over the IR, and their order.
//!
//! A pass is a function of the IR alone: it knows neither CPython nor a back end. Between passes the verifier's invariants and
//! those of ownership hold. All passes take time about linear in the function's size.

mod box_sink;
pub(crate) mod cfg;
mod counts;
mod dce;
#[cfg(test)]
mod differential;
mod fold;
mod gvn;
mod licm;
mod memory;
mod pair;
mod phi_pair;
mod phi_unbox;
#[cfg(test)]
mod tests;
mod unboxed;
mod util;
mod wrap;

use crate::function::Function;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// A pass.
struct Pass {
    name: &'static str,
    run: fn(&mut Function),
}

/// Every pass, in the order of execution. A name may occur more than once.
const PASSES: &[Pass] = &[
    Pass { name: "dce", run: dce::run },
    Pass { name: "fold", run: fold::run },
    Pass { name: "gvn", run: gvn::run },
    Pass { name: "phi_unbox", run: phi_unbox::run },
    Pass { name: "fold", run: fold::run },
    Pass { name: "pair", run: pair::run },
    Pass { name: "licm", run: licm::run },
    Pass { name: "drop_jump_states", run: dce::drop_jump_states },
    Pass { name: "phi_pair", run: phi_pair::run },
    Pass { name: "box_sink", run: box_sink::run },
    Pass { name: "gvn", run: gvn::run },
    Pass { name: "wrap", run: wrap::run },
    Pass { name: "counts", run: counts::run },
    Pass { name: "dce", run: dce::run },
];

/// Runs the passes and notes how long each took.
#[derive(Clone, Debug)]
pub struct Pipeline {
    clock: fn() -> Duration,
    times: Vec<(&'static str, Duration)>,
}

impl Default for Pipeline {
    fn default() -> Pipeline {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        Pipeline::timed_by(|| START.elapsed())
    }
}

impl Pipeline {
    /// A pipeline that hasn't run.
    pub fn new() -> Pipeline {
        Pipeline::default()
    }

    /// One whose times are those of a clock: any that starts at any time and never goes back, like a thread's processor time.
    pub fn timed_by(clock: fn() -> Duration) -> Pipeline {
        Pipeline { clock, times: Vec::new() }
    }

    /// The names of all passes, each once, in the order in which they first run.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PASSES
            .iter()
            .enumerate()
            .filter(|(index, pass)| PASSES[..*index].iter().all(|p| p.name != pass.name))
            .map(|(_, pass)| pass.name)
    }

    /// Runs all passes. In debug builds the verifier checks the function before the first and after each.
    ///
    /// # Panics
    /// In debug builds, if a pass leaves the function in a state that the verifier refuses.
    pub fn run(&mut self, func: &mut Function) {
        check(func, "the front end");
        for pass in PASSES {
            let start = (self.clock)();
            (pass.run)(func);
            let taken = (self.clock)().saturating_sub(start);
            match self.times.iter_mut().find(|(name, _)| *name == pass.name) {
                Some((_, time)) => *time += taken,
                None => self.times.push((pass.name, taken)),
            }
            check(func, pass.name);
        }
    }

    /// How long each pass has taken over all runs.
    pub fn times(&self) -> &[(&'static str, Duration)] {
        &self.times
    }
}

/// Optimises a function.
pub fn optimize(func: &mut Function) {
    Pipeline::new().run(func);
}

#[cfg(debug_assertions)]
fn check(func: &Function, author: &str) {
    if let Err(error) = crate::verify::verify(func) {
        panic!("after {author}: {error}");
    }
    if let Err(error) = crate::check_ownership(func) {
        panic!("after {author}: {error}");
    }
}

#[cfg(not(debug_assertions))]
fn check(_func: &Function, _author: &str) {}
