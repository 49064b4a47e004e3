//! Random programs of a small stack language, compiled the way the front end does it, must do the same before and after the passes: the
//! same calls with the same values, the same result, no object freed too early or never.
//!
//! An exit is followed by interpreting the rest of the program from the frame that the exit rebuilds, so that wrong frame
//! states show as well.

mod compiler;
mod language;
mod machine;

use super::optimize;
use compiler::Compiler;
use language::{ARGS, Code, LOCALS, Random, SLOTS, Trace, Val, run_code};
use machine::run_compiled;

fn expected(code: &[Code], args: [Val; ARGS]) -> Trace {
    let mut trace = Trace::default();
    let mut locals = [Val::Unbound; LOCALS];
    locals[..ARGS].copy_from_slice(&args);
    let mut slots: Vec<Val> = (0..SLOTS).map(|slot| Val::Float(slot as f64)).collect();
    run_code(code, 0, &mut locals, &mut Vec::new(), &mut slots, &mut trace);
    for slot in slots {
        trace.note("slot", slot);
    }
    trace
}

fn check(seed: u64) {
    let mut random = Random(seed);
    let program = random.block(3, &[]);
    let result = random.expr(1);
    let immortal = random.below(2) == 0;
    let bound = ARGS + random.below(LOCALS - ARGS + 1);
    let (before, code) = Compiler::compile(&program, &result, immortal, bound);
    let mut after = before.clone();
    optimize(&mut after);
    for args in [[Val::Int(2), Val::Int(5)], [Val::Int(1 << 62), Val::Float(0.25)], [Val::Float(2.0), Val::Int(-1)]] {
        let wanted = expected(&code, args);
        for (name, func) in [("before", &before), ("after", &after)] {
            for patience in [usize::MAX - 1, 0, 1, 2, 3, 5, 8, 13, 21, 50] {
                let found = std::panic::catch_unwind(|| run_compiled(func, &code, args, immortal, patience));
                assert!(
                    found.as_ref().is_ok_and(|found| *found == wanted),
                    "seed {seed}, {name} the passes, {args:?}, leaving after {patience} guards:\nwanted {wanted:?}\nfound {found:?}\n{program:#?}\n{code:?}\n{before}\n{after}"
                );
            }
        }
    }
}

#[test]
fn programs_do_the_same_before_and_after() {
    for seed in 0..300 {
        check(seed);
    }
}
