//! What becomes of entries when code is compiled again or freed.

use crate::process::{Pair, Process, log, new_int, small_int, vectorcall};
use pepjit_backend::Backend;

fn returns(value: i64) -> String {
    format!(
        "function \"returns\" entry, locals 1, stack 0, traceable 0 {{
           b0(v0: CInt): enter ! s0
             v1 = const_int {value}
             return_int v1
           s0 = @0 locals [v0] stack []
         }}"
    )
}

#[test]
fn calls_go_to_the_newest_code_of_a_function() {
    let mut process = Process::new();
    let argument = [new_int(1).address()];
    let old = process.compile_text(&returns(1));
    let new = process.compile_text(&returns(2));
    assert_eq!(old.vectorcall, new.vectorcall, "there is one machine-code entry for all");
    assert_eq!(vectorcall(&new, &argument, 0, 0), small_int(2));
    process.backend.free(old.handle);
    assert_eq!(vectorcall(&new, &argument, 0, 0), small_int(2));
    process.backend.free(new.handle);
    assert_eq!(vectorcall(&new, &argument, 0, 0), 0xfa11, "nothing is left but the fallback");
    process.backend.free(new.handle);
}

#[test]
fn a_cell_may_hold_the_fallback() {
    let mut process = Process::new();
    let callee = process.compile_text(&returns(5));
    let mut cell = Box::new(callee.entry);
    let text = "function \"caller\" entry, locals 1, stack 0, traceable 0 { f0 = \"callee\" (CInt)
        b0(v0: CInt): enter ! s0
          v1 = call_direct f0, v0
          v2 = pair_to_object v1
          return v2
        s0 = @0 locals [v0] stack []
      }";
    let mut func = pepjit_ir::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    func.callees[0].entry_cell = std::ptr::from_ref(&*cell) as u64;
    let caller = process.compile(&func);
    assert_eq!(process.call(&caller, &[9]), Pair { payload: small_int(5), tag: 1 });
    *cell = callee.fallback;
    assert_eq!(process.call(&caller, &[9]), Pair { payload: 0xfa11, tag: 1 });
    let (_, args, ..) = log(|log| log.fallbacks.pop()).expect("a call");
    assert_eq!(args, [small_int(9)]);
}

#[test]
fn what_cannot_be_entered_is_refused() {
    let (mut process, mut linkage) = (Process::new(), Process::new());
    let text = returns(1).replace("v0: CInt", "v0: CWord").replace("locals [v0]", "locals [_]");
    let func = pepjit_ir::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let error = process.backend.compile(&func, &mut *linkage, false).expect_err("no entry can be given a word");
    assert_eq!(error.to_string(), "the reference back end doesn't support an entry parameter of type CWord");
}
