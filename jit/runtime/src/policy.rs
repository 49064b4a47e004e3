//! When to compile, and when to stop trying.

use crate::budget;
use crate::registry::Unit;
use pepjit_frontend::Built;
use pepjit_ir::op::Reason;
use std::time::Duration;

/// Calls of a function before it's compiled, where nobody says otherwise.
const CALLS: u64 = 100;

/// The stress mode `PEPJIT_EXIT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stress {
    /// No stress.
    Off,
    /// Leave at every guard.
    Every,
    /// Leave at every `n`th guard.
    Nth(u64),
    /// Leave at guards drawn at random.
    Random(u64),
}

/// Thresholds and limits.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Calls of a function before it's compiled.
    pub(crate) calls: u64,
    /// Back edges of a loop before it's compiled.
    pub(crate) jumps: u64,
    /// Code units of bytecode at most.
    pub(crate) max_units: usize,
    /// Compilations of one function at most.
    pub(crate) max_attempts: u32,
    /// The share of the process's time that compiling may take, in hundredths; 0: no limit.
    pub(crate) share: u64,
    /// Whether to check the IR after the front end and the passes.
    pub(crate) verify: bool,
    /// Whether to print internal errors.
    pub(crate) verbose: bool,
    /// The stress mode.
    pub(crate) stress: Stress,
    /// Compile whatever can be compiled, worthwhile or not (threshold 0).
    pub(crate) force: bool,
    random: u64,
}

impl Policy {
    /// The defaults, changed by the environment.
    pub(crate) fn from_env() -> Result<Policy, String> {
        let number = |name: &str, default: u64| match std::env::var(name) {
            Ok(text) if !text.is_empty() => text.parse().map_err(|_| format!("{name}={text} is no number")),
            _ => Ok(default),
        };
        let calls = number("PEPJIT_THRESHOLD", CALLS)?;
        // Who says after how many calls wants it then.
        let told = std::env::var_os("PEPJIT_THRESHOLD").is_some_and(|text| !text.is_empty());
        let stress = match std::env::var("PEPJIT_EXIT").as_deref() {
            Err(_) | Ok("") => Stress::Off,
            Ok("every") => Stress::Every,
            Ok(text) => match text.strip_prefix("random:") {
                Some(seed) => Stress::Random(seed.parse().map_err(|_| format!("PEPJIT_EXIT={text}: the seed is no number"))?),
                None => {
                    Stress::Nth(text.parse().map_err(|_| format!("PEPJIT_EXIT={text}: use every, a number, or random:SEED"))?)
                }
            },
        };
        let random = match stress {
            Stress::Random(seed) => seed.wrapping_mul(2).wrapping_add(1),
            _ => 1,
        };
        Ok(Policy {
            calls,
            jumps: calls.saturating_mul(4),
            max_units: number("PEPJIT_MAX_UNITS", 6000)? as usize,
            max_attempts: number("PEPJIT_MAX_ATTEMPTS", 8)? as u32,
            share: number("PEPJIT_SHARE", if told { 0 } else { budget::SHARE })?,
            verify: number("PEPJIT_VERIFY", u64::from(cfg!(debug_assertions)))? != 0,
            verbose: number("PEPJIT_VERBOSE", 0)? != 0,
            stress,
            force: calls == 0,
            random,
        })
    }

    /// Whether compiled code is likely to be faster than the interpreter: a call of a generic helper is no faster than the interpreter's own,
    /// and entering a function costs no more than the interpreter's frame.
    pub(crate) fn worthwhile(&self, built: &Built, a_loop: bool) -> bool {
        let gains = if a_loop { built.specialised >= 1 } else { built.generic == 0 || built.specialised >= 2 };
        self.force || gains && built.specialised * 3 >= built.generic * 2 && built.specialised * MOVED >= built.moved
    }

    /// The same for what a generator does until its next yield, which has to make up for resuming it: that costs more than in the interpreter.
    pub(crate) fn worth_resuming(&self, built: &Built, start: bool) -> bool {
        let least = if start {
            0
        } else if built.loops {
            1
        } else {
            LEAST_BETWEEN_YIELDS
        };
        // What comes before the first yield runs once, unless it loops.
        let once = start && !built.loops;
        self.force || built.specialised >= least && (once || built.specialised * 3 >= built.generic * 2)
    }

    /// Whether a stress mode is on.
    pub(crate) fn stresses(&self) -> bool {
        self.stress != Stress::Off
    }

    /// How many guards a new unit passes before it leaves.
    pub(crate) fn stress_start(&mut self) -> u64 {
        match self.stress {
            Stress::Off | Stress::Every => 0,
            Stress::Nth(count) => count,
            Stress::Random(_) => {
                // xorshift64
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                self.random % 48
            }
        }
    }
}

/// Moved parts of sequences that an instruction which gains makes up for: they take time to compile, and as long as in the interpreter.
const MOVED: u32 = 16;

/// Instructions that gain between two yields at least.
const LEAST_BETWEEN_YIELDS: u32 = 2;

/// Whether sending new functions (closures) to their code's unit doesn't pay, because each is called so seldom.
pub(crate) fn called_too_seldom(unit: &Unit) -> bool {
    unit.hooks >= 256 && *unit.words.entries < 4 * unit.hooks
}

/// How long a loop must run in native code, in nanoseconds, on average over [`OSR_SAMPLE`] entries, for entering to pay: the event that
/// leads there and the moving of the frame's values take about 300. A loop of fast paths takes the interpreter a multiple of its time, one
/// with generic calls not much longer.
pub(crate) fn osr_worthwhile(built: &Built) -> u64 {
    if built.generic * 4 <= built.specialised { 130 } else { 700 }
}

/// The same for a loop that is mostly left by a side exit, which costs about as much as entering it, and is entered again soon: this many
/// times as long.
pub(crate) const OSR_LEFT: u64 = 7;
/// After the first verdict one entry of this many is timed.
pub(crate) const OSR_INTERVAL: u64 = 16;
/// The entries of a loop at which it's compiled again if the interpreter has specialised more of the function since.
pub(crate) const SECOND_LOOKS: [u64; 2] = [4, 24];
/// Entries over which a loop is judged.
pub(crate) const OSR_SAMPLE: u64 = 128;

/// The part of the threshold's calls that go by unseen: most code of most programs runs less often.
const FIRST_UNSEEN: u64 = 4;

/// Calls after these of which each is looked at: what the arguments are, and who calls.
const CALLS_SEEN: u64 = 8;

/// How many calls go by before one is looked at again, after so many: of later ones a sample is enough.
pub(crate) fn calls_unseen(calls: u64, threshold: u64) -> u64 {
    let first = threshold / FIRST_UNSEEN;
    if calls < first {
        first - calls
    } else if calls < first + CALLS_SEEN {
        0
    } else {
        (calls % 13).min(threshold.saturating_sub(calls))
    }
}

/// How many calls or rounds go by before it's asked again whether compiling is affordable.
pub(crate) fn until_asked_again(count: u64) -> u64 {
    count / 4
}

/// Rounds of a loop per call of its function from which on entering it in the middle pays.
const ROUNDS_OF_A_CALL: u64 = 16;

/// Whether a function with a loop that has gone round this often is better compiled as a whole: it's called nearly as often. To be asked once,
/// while all that happens is counted: what is heard of now and then tells too little of how two sites compare.
pub(crate) fn is_left_soon(threshold: u64, calls: u64, rounds: u64) -> bool {
    calls >= threshold / 4 && threshold > 0 && rounds < calls.saturating_mul(ROUNDS_OF_A_CALL)
}

/// Whether such a loop has taken to going round often, by all means.
pub(crate) fn is_left_late(calls: u64, rounds: u64) -> bool {
    rounds / (ROUNDS_OF_A_CALL * ROUNDS_OF_A_CALL) > calls
}

/// A function with a loop that is compiled already is compiled after this part of the usual number of calls.
pub(crate) const LOOPING_CALLS: u64 = 16;

/// A function in which one of this many calls ends with an exit stays compiled.
pub(crate) const RARE_EXITS: u64 = 4;

/// The part of the time that exits may cost while nothing can be done about them.
const EXITS_PART: u64 = 20;

/// Whether so many exits in this time cost so much that the interpreter alone is to be preferred.
pub(crate) fn costs_too_much(exits: u64, time: Duration) -> bool {
    u128::from(exits * budget::EXIT * EXITS_PART) > time.as_nanos()
}

/// Whether so many exits in this time are too few to give up a speculation for: a site that fails now and then would in the end, however long
/// that takes, be compiled without it. What works on big ints is several times slower than what doesn't, so that this speculation is
/// kept even if it fails often. (What else a call does after its exit isn't counted, and may take longer than the exit itself.)
pub(crate) fn is_rare(reason: Reason, exits: u64, time: Duration) -> bool {
    let apart = if reason == Reason::Overflow { Duration::from_millis(1) } else { Duration::from_millis(100) };
    time.as_nanos() > u128::from(exits) * apart.as_nanos()
}

/// How often an exit to one exception handler is taken before that is compiled.
pub(crate) const HANDLER_RUNS: u64 = 24;

/// The same for functions without loops: one that mostly leaves is no faster than the interpreter.
pub(crate) fn function_exit_limit(reason: Reason, throw: bool) -> u64 {
    match reason {
        _ if throw => HANDLER_RUNS,
        Reason::Exception | Reason::Uncompiled => 1000,
        _ => exit_limit(reason, throw),
    }
}

/// How often an exit may be taken before the code is compiled without the speculation; 0: as often as it likes.
pub(crate) fn exit_limit(reason: Reason, throw: bool) -> u64 {
    match reason {
        _ if throw => HANDLER_RUNS,
        Reason::Class | Reason::Overflow | Reason::Arithmetic | Reason::Index | Reason::Attribute | Reason::Callee => 50,
        Reason::Stress | Reason::Learned => 1,
        Reason::Exception
        | Reason::Uncompiled
        | Reason::Unbound
        | Reason::Invalidated
        | Reason::Recursion
        | Reason::Pending
        | Reason::Observed
        | Reason::Yield => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_runs_seldom_is_hardly_looked_at() {
        let looks = |calls: u64, threshold: u64| {
            let (mut looks, mut count) = (0, 0);
            while count < calls {
                (looks, count) = (looks + 1, count + 1);
                count += calls_unseen(count, threshold);
            }
            looks
        };
        assert_eq!(looks(24, 100), 1);
        assert!((16..=32).contains(&looks(100, 100)), "{}", looks(100, 100));
        assert!((10..=20).contains(&looks(20, 20)), "{}", looks(20, 20));
        assert_eq!(looks(1, 0), 1);
    }

    #[test]
    fn loops_that_are_left_soon_come_with_their_function() {
        assert!(is_left_soon(100, 60, 60 * 8), "eight rounds a call");
        assert!(!is_left_soon(100, 60, 60 * 40), "forty");
        assert!(!is_left_soon(100, 3, 40), "who knows whether it's called again");
        assert!(!is_left_soon(0, 10, 20), "whatever can be compiled is");
        assert!(!is_left_late(60, 60 * 80), "what was counted now and then may be wrong by as much");
        assert!(is_left_late(60, 1_000_000), "the last call has stayed in the loop");
    }
}
