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
mod pair;
mod phi_pair;
mod phi_unbox;
mod unboxed;
mod util;

use crate::function::Function;
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
    Pass { name: "counts", run: counts::run },
    Pass { name: "dce", run: dce::run },
];

/// Runs the passes and notes how long each took.
#[derive(Clone, Debug, Default)]
pub struct Pipeline {
    times: Vec<(&'static str, Duration)>,
}

impl Pipeline {
    /// A pipeline that hasn't run.
    pub fn new() -> Pipeline {
        Pipeline::default()
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
            let start = Instant::now();
            (pass.run)(func);
            let taken = start.elapsed();
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

#[cfg(test)]
mod testing {
    //! Runs passes over text.

    use super::Pipeline;
    use crate::function::Function;

    /// Reads a function, which must be well-formed.
    pub(crate) fn read(text: &str) -> Function {
        let func = crate::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        well_formed(&func);
        func
    }

    /// Runs one pass and returns the text of the result, which must be well-formed.
    pub(crate) fn after(pass: fn(&mut Function), text: &str) -> String {
        let mut func = read(text);
        pass(&mut func);
        well_formed(&func);
        func.to_string()
    }

    /// Runs all passes.
    pub(crate) fn optimized(text: &str) -> String {
        let mut func = read(text);
        Pipeline::new().run(&mut func);
        well_formed(&func);
        func.to_string()
    }

    fn well_formed(func: &Function) {
        if let Err(error) = crate::verify::verify(func) {
            panic!("{error}\n{func}");
        }
        if let Err(error) = crate::check_ownership(func) {
            panic!("{error}\n{func}");
        }
    }

    /// How many instructions of this name a text has.
    pub(crate) fn count(text: &str, op: &str) -> usize {
        text.lines().filter(|line| line.split_whitespace().any(|word| word == op)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{count, optimized};

    /// `while i < n: s += i; i += 1` / `return s`, with `n` and what comes before the loop as objects.
    const SUM: &str = r#"
function "sum" entry, locals 3, stack 2, traceable 0 {
  o0 = "0": Int int 0, immortal
  o1 = "1": Int int 1, immortal
  b0(v0: Object borrowed):
    enter ! s0
    v1 = const_obj o0
    inc_ref v1
    inc_ref v1
    jump -> b1(v1, v1) ! s1
  b1(v2: Object owned, v3: Object owned):
    v4 = unbox_int v3 ! s2
    v5 = unbox_int v0 ! s2
    v6 = int_cmp lt, v4, v5
    branch v6 -> b2(), b3()
  b2():
    v7 = unbox_int v2 ! s2
    v8 = unbox_int v3 ! s2
    v9 = int_add v7, v8 ! s2
    v10 = box_int v9
    dec_ref v2
    v11 = unbox_int v3 ! s3
    v12 = const_obj o1
    v13 = unbox_int v12 ! s3
    v14 = int_add v11, v13 ! s3
    v15 = box_int v14
    dec_ref v3
    poll ! s4
    jump -> b1(v10, v15) ! s4
  b3():
    dec_ref v3
    return v2
  s0 = @0 locals [v0, _, _] stack [] drops []
  s1 = @4 locals [v0, steal v1, steal v1] stack [] drops []
  s2 = @4 locals [v0, steal v2, steal v3] stack [] drops []
  s3 = @8 locals [v0, steal v10, steal v3] stack [] drops []
  s4 = @4 locals [v0, steal v10, steal v15] stack [] drops []
}
"#;

    /// `for i in range(n): s += i` / `return s`, with `i` unbound before.
    const RANGE: &str = r#"
function "range_sum" entry, locals 3, stack 2, traceable 0 {
  o0 = "0": Int int 0, immortal
  o1 = "range_iterator": Other, immortal
  b0(v0: Object borrowed):
    enter ! s0
    v1 = const_obj o0
    inc_ref v1
    v2 = unbox_int v0 ! s0
    v3 = const_int 0
    v4 = const_int 1
    v5: RangeIter|Null owned = call range_iter, v3, v2, v4
    v6 = is_null v5
    branch v6 -> b1(), b2()
  b1() cold:
    throw ! s1
  b2():
    v7 = const_null
    jump -> b3(v1, v7) ! s2
  b3(v10: Object owned, v11: Nullable owned):
    guard_class o1, v5 ! s3
    v12 = load_field range_iter.len, v5
    v13 = const_word 0
    v14 = int_cmp gt, v12, v13
    branch v14 -> b4(), b5()
  b4():
    v15 = load_field range_iter.start, v5
    v16 = load_field range_iter.step, v5
    v17 = word_add v15, v16
    store_field range_iter.start, v5, v17
    v18 = const_word 1
    v19 = word_sub v12, v18
    store_field range_iter.len, v5, v19
    v20 = word_to_int v15
    v21 = box_int v20
    dec_ref v11
    v22 = unbox_int v10 ! s4
    v23 = unbox_int v21 ! s4
    v24 = int_add v22, v23 ! s4
    v25 = box_int v24
    dec_ref v10
    poll ! s5
    jump -> b3(v25, v21) ! s5
  b5():
    dec_ref v5
    dec_ref v11
    return v10
  s0 = @0 locals [v0, _, _] stack [] drops []
  s1 = @2 locals [v0, steal v1, _] stack [] drops []
  s2 = @4 locals [v0, steal v1, _] stack [steal v5] drops []
  s3 = @4 locals [v0, steal v10, steal v11] stack [steal v5] drops []
  s4 = @8 locals [v0, steal v10, steal v21] stack [steal v5] drops []
  s5 = @4 locals [v0, steal v25, steal v21] stack [steal v5] drops []
}
"#;

    #[test]
    fn the_variable_of_a_loop_over_a_range_is_a_pair() {
        let text = optimized(RANGE);
        println!("{text}");
        assert_eq!((count(&text, "box_int"), count(&text, "inc_ref"), count(&text, "pair_from_int")), (0, 0, 1), "{text}");
    }

    #[test]
    fn a_loop_on_ints_makes_no_boxes() {
        let text = optimized(SUM);
        println!("{text}");
        assert_eq!((count(&text, "box_int"), count(&text, "dec_ref"), count(&text, "inc_ref")), (0, 0, 0), "{text}");
        assert_eq!((count(&text, "return_int"), count(&text, "unbox_int")), (1, 1), "{text}");
    }
}
