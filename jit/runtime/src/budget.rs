//! How much time compiling may take: in a young process as good as none, but for what has been seen to run so often that it surely pays.
//!
//! Compiling a code unit takes thousands of times as long as running it once. What has run that often is compiled whatever it takes: had it
//! been compiled from the start, the process would have saved at most what it has lost (the ski rental problem's break-even rule). What has
//! run less often is compiled as long as all compiling together takes no more than a share of the process's time.

use crate::ffi::Object;
use crate::objects::code_units;
use std::ffi::c_int;
use std::time::{Duration, Instant};

/// What compiled code saves, in nanoseconds, each time that a code unit is run (a cautious guess: the interpreter takes about 5 for it).
const SAVED: u64 = 2;

/// As how many code units a call counts: there's a frame less to make.
const CALL: u64 = 20;

/// What surely pays must have been able to save as many times what it costs: in a process that ends soon afterwards compiling takes no more than
/// this part of what it could have saved.
const MARGIN: u64 = 2;

/// What is affordable must have been able to save this part of what it costs: big functions that run seldom (parsers of options, of regular
/// expressions, of whole files while modules are imported) take most of the time and memory, and give least back.
const PROMISE: u64 = 4;

/// The same of what compiled code calls: without it the caller gains less, too.
const CALLEE_PROMISE: u64 = 128;

/// Code units that one call runs at most, loops aside, or one round of a loop.
const RUN: u64 = 300;

/// What an exit costs, in nanoseconds: the frame is rebuilt, and the rest of the call or round is interpreted.
pub(crate) const EXIT: u64 = 1500;

/// The share of the process's time that compiling may take, in hundredths.
pub(crate) const SHARE: u64 = 30;

/// A younger process, in nanoseconds, may spend less: at a tenth of this age a tenth of the share.
const YOUTH: u64 = 1_000_000_000;

/// What a code unit is expected to take to compile, in nanoseconds, and how many code units outweigh that expectation.
const EXPECTED: u64 = 9_000;
const EXPECTED_UNITS: u64 = 2000;

/// What compiling anything at all takes, in nanoseconds: the compiler's own code and data are touched for the first time.
const FIRST: u64 = 4_000_000;

/// As how many code units what every compilation takes counts.
const LEAST: u64 = 100;

/// In code of this many code units each takes twice as long as in very short code: there's more to keep at each exit.
const LONG: u64 = 800;

/// How long compiling stays too dear once it has been found so: the process's time is looked up by a call of the system, which takes longer than
/// most calls of functions.
const LOOK_AGAIN: Duration = Duration::from_micros(500);

/// Calls without which a function isn't compiled along with one that calls it, unless that is affordable.
pub(crate) const RARE_CALLEE: u64 = 25;

/// Code that compiled code calls is compiled along with it if it counts as no more than this, affordable or not.
const SHORT: u64 = 400;

/// Time spent and time left.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// Hundredths of the process's time; 0: no limit.
    share: u64,
    /// Nanoseconds spent so far, and the code units that were compiled in them (by [`work`]).
    spent: u64,
    units: u64,
    /// What is being compiled is expected to take so long.
    begun: u64,
    /// The process's time when it was last looked at: a forked process begins anew.
    last: u64,
    /// When compiling was last found to be too dear.
    denied: Option<Instant>,
}

impl Budget {
    /// A budget of a share in hundredths; 0: compiling may take as long as it likes.
    pub(crate) fn new(share: u64) -> Budget {
        Budget { share, ..Budget::default() }
    }

    /// Whether there's a limit.
    pub(crate) fn is_limited(&self) -> bool {
        self.share != 0
    }

    /// No limit from now on.
    pub(crate) fn lift(&mut self) {
        self.share = 0;
    }

    /// Whether to compile a function that has been called this often.
    pub(crate) fn allows_calls(&mut self, code: Object, calls: u64) -> bool {
        self.share == 0 || {
            let units = code_units(code);
            self.allows(units, saved(units, calls))
        }
    }

    /// The same for one that has been hot before, or has a loop that is: the calls that were counted are only some of what it runs.
    pub(crate) fn allows_calls_of_hot(&mut self, code: Object, calls: u64) -> bool {
        self.share == 0 || {
            let units = code_units(code);
            self.allows_promising(units, saved(units, calls))
        }
    }

    /// Whether to compile a function that has been called this often along with one that calls it.
    pub(crate) fn allows_callee(&mut self, code: Object, calls: u64) -> bool {
        let units = code_units(code);
        let short = work(units) <= SHORT;
        if calls >= RARE_CALLEE && (short || saved(units, calls) * CALLEE_PROMISE >= self.cost(units)) {
            short || self.allows_calls_of_hot(code, calls)
        } else {
            self.allows_calls(code, calls)
        }
    }

    /// Whether to compile a loop of so many code units that has gone round this often.
    pub(crate) fn allows_rounds(&mut self, code: Object, body: u64, rounds: u64) -> bool {
        self.share == 0 || self.allows(code_units(code), rounds * body.min(RUN) * SAVED)
    }

    /// Whether to compile a function or loop again after this many exits.
    pub(crate) fn allows_exits(&mut self, code: Object, exits: u64) -> bool {
        self.share == 0 || self.allows(code_units(code), MARGIN * exits * EXIT)
    }

    /// Whether to compile a loop again that has run for this many nanoseconds in code which may not be the best.
    pub(crate) fn allows_time(&mut self, code: Object, time: u64) -> bool {
        self.share == 0 || self.allows_promising(code_units(code), time)
    }

    /// The same as [`Budget::allows`] for what need not show first that it promises enough.
    fn allows_promising(&mut self, units: u64, saved: u64) -> bool {
        self.allows(units, saved.max(self.cost(units) / PROMISE + 1))
    }

    fn allows(&mut self, units: u64, saved: u64) -> bool {
        if saved >= MARGIN * self.cost(units) {
            return true;
        }
        // Who grants compiling more of the time wants it sooner.
        if saved * PROMISE * self.share.max(SHARE) / SHARE < self.cost(units) {
            return false;
        }
        if self.denied.is_some_and(|denied| denied.elapsed() < LOOK_AGAIN) {
            return false;
        }
        let affords = self.affords(units, process_time());
        self.denied = (!affords).then(Instant::now);
        affords
    }

    /// What so many code units take to compile, by what compiling has taken so far.
    fn cost(&self, units: u64) -> u64 {
        work(units) * (self.spent + EXPECTED * EXPECTED_UNITS) / (self.units + EXPECTED_UNITS)
    }

    fn affords(&mut self, units: u64, now: u64) -> bool {
        if now < self.last {
            self.spent = 0;
        }
        self.last = now;
        let run = now.saturating_sub(self.spent);
        let share = u128::from(run) * u128::from(self.share) * u128::from(run.min(YOUTH)) / (100 * u128::from(YOUTH));
        u128::from(FIRST + self.spent + self.begun + self.cost(units)) <= share
    }

    /// So many code units are being compiled.
    pub(crate) fn begin(&mut self, units: u64) {
        self.begun += self.cost(units);
        self.units += work(units);
    }

    /// Compiling has taken this time.
    pub(crate) fn spend(&mut self, time: u64) {
        self.spent += time;
        self.begun = 0;
    }
}

/// What compiled code would have saved so many calls, in nanoseconds.
fn saved(units: u64, calls: u64) -> u64 {
    calls * (units.min(RUN) + CALL) * SAVED
}

/// As how many code units of short code so many of one function count.
fn work(units: u64) -> u64 {
    LEAST + units + units * units / LONG
}

/// The time that this thread has had on a processor.
pub(crate) fn thread_time() -> Duration {
    Duration::from_nanos(cpu_time(libc::CLOCK_THREAD_CPUTIME_ID))
}

/// The time that this process has had on processors, in nanoseconds.
pub(crate) fn process_time() -> u64 {
    cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn cpu_time(clock: c_int) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid clock, and a place for its time.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_young_process_spends_little_and_an_old_one_its_share() {
        let mut budget = Budget::new(25);
        assert!(!budget.affords(100, 60 * MS), "some 200 units of 9 us against 0.9 ms");
        assert!(budget.affords(100, 200 * MS), "against 10 ms");
        budget.begin(500);
        assert!(!budget.affords(100, 200 * MS), "what is begun isn't paid yet");
        budget.spend(30 * MS);
        assert!(!budget.affords(100, 330 * MS));
        assert!(budget.affords(100, 430 * MS));
        budget.begin(500);
        budget.spend(470 * MS);
        assert!(!budget.affords(1, 2400 * MS));
        assert!(budget.affords(1, 2600 * MS), "25 % of what isn't compiling");
    }

    #[test]
    fn what_it_took_is_what_it_is_expected_to_take() {
        let mut budget = Budget::new(SHARE);
        assert_eq!((budget.cost(10), budget.cost(800)), (110 * EXPECTED, 1700 * EXPECTED));
        for _ in 0..100 {
            budget.begin(800);
            budget.spend(170 * MS);
        }
        assert!((98_000..100_000).contains(&(budget.cost(800) / 1700)), "100 us each, but for what was expected first");
    }

    #[test]
    fn what_surely_pays_is_compiled_at_once() {
        let mut budget = Budget::new(SHARE);
        budget.begin(1000);
        budget.spend(3_600_000 * MS);
        assert!(!budget.allows(100, 0));
        let cost = budget.cost(100);
        assert!(budget.allows(100, MARGIN * cost) && !budget.allows(100, MARGIN * cost - 1));
        budget.lift();
        assert!(budget.allows_exits(std::ptr::null_mut(), 0), "no limit");
    }

    #[test]
    fn what_promises_little_isn_t_compiled_however_affordable() {
        let mut budget = Budget::new(SHARE);
        let cost = budget.cost(100);
        assert!(budget.affords(100, 3_600_000 * MS));
        assert!(!budget.allows(100, cost / PROMISE - 1));
        assert_eq!(saved(5000, 10), saved(300, 10), "a call doesn't run all of a big function");
        let (small, big) = (budget.cost(100) / saved(100, 1), budget.cost(3000) / saved(3000, 1));
        assert!(big > 20 * small, "{small} and {big} calls to break even");
    }

    #[test]
    fn a_forked_process_begins_anew() {
        let mut budget = Budget::new(SHARE);
        budget.begin(500);
        budget.spend(20 * MS);
        assert!(!budget.affords(100, 220 * MS));
        assert!(budget.affords(100, 210 * MS), "the clock has been set back");
    }
}
