//! Entering, light frames, polling, loops.

use crate::process::{CODE, CODE_START, Frame, LEFT, Pair, Process, at, frame_at, log, new_int, object, only_exit, other_class};
use pepjit_ir::op::Reason;

const ENTERS: &str = "function \"enters\" entry, locals 1, stack 0, traceable 2 {
    b0(v0: CInt): enter ! s0
      v1 = int_neg v0 ! s1
      return_int v1
    s0 = @0 locals [v0] stack []
    s1 = @4 locals [v0] stack []
  }";

#[test]
fn counts_the_recursion() {
    let mut process = Process::new();
    let compiled = process.compile_text(ENTERS);
    assert_eq!(process.call(&compiled, &[5]), Pair { payload: -5_i64 as u64, tag: 0 });
    assert_eq!(process.thread.remaining, 100);
    assert_eq!(process.call(&compiled, &[i64::MIN as u64]), LEFT);
    let left = only_exit();
    assert_eq!((left.record.reason, left.record.entered, left.record.offset, left.frame), (Reason::Overflow, true, 4, 0));
    for remaining in [0, -3] {
        process.thread.remaining = remaining;
        assert_eq!(process.call(&compiled, &[5]), LEFT);
        let left = only_exit();
        assert_eq!((left.record.reason, left.record.entered, left.record.offset), (Reason::Recursion, false, 0));
        assert_eq!(process.thread.remaining, remaining, "nothing is taken");
    }
    process.thread.remaining = 1;
    assert_eq!(process.call(&compiled, &[5]).tag, 0);
    *process.stack_limit = u64::MAX;
    assert_eq!(process.call(&compiled, &[5]), LEFT);
    let left = only_exit();
    assert_eq!((left.record.reason, left.record.entered), (Reason::Recursion, false));
    assert_eq!(process.thread.remaining, 1);
}

const PUSHES: &str = "function \"pushes\" entry, locals 1, stack 0, traceable 2 {
    b0(v0: CInt): enter ! s0
      push_frame ! s0
      set_instruction 7
      v1 = const_int 1
      v2 = call_n build_list
      v3 = int_add v0, v1 ! s1
      return_int v3
    s0 = @0 locals [v0] stack []
    s1 = @4 locals [v0] stack [] drops [v2]
  }";

#[test]
fn pushes_and_pops_a_light_frame() {
    let mut process = Process::new();
    let compiled = process.compile_text(PUSHES);
    let top = process.thread.datastack_top;
    assert_eq!(process.call(&compiled, &[5]), Pair { payload: 6, tag: 0 });
    let thread = &process.thread;
    assert_eq!((thread.current_frame, thread.datastack_top, thread.remaining), (0xf0, top, 100));
    let frame = frame_at(top);
    assert_eq!((frame.code, frame.previous, frame.instr_ptr), (CODE, 0xf0, CODE_START + 14));
    assert_eq!(frame.stackpointer, top + std::mem::offset_of!(Frame, localsplus) as u64 + 8);
    assert_eq!(log(|log| log.popped.len()), 0);
}

#[test]
fn exits_with_a_light_frame() {
    let mut process = Process::new();
    let compiled = process.compile_text(PUSHES);
    let top = process.thread.datastack_top;
    assert_eq!(process.call(&compiled, &[i64::MAX as u64]), LEFT);
    let left = only_exit();
    assert_eq!((left.frame, left.record.reason, left.record.entered), (top, Reason::Overflow, true));
    assert_eq!(process.thread.current_frame, top, "the runtime takes the frame over");
    assert_eq!(process.thread.datastack_top, top + size_of::<Frame>() as u64);
}

#[test]
fn leaves_when_the_data_stack_is_full() {
    let mut process = Process::new();
    let compiled = process.compile_text(PUSHES);
    process.thread.datastack_limit = process.thread.datastack_top + size_of::<Frame>() as u64;
    assert_eq!(process.call(&compiled, &[1]), LEFT);
    let left = only_exit();
    assert_eq!((left.frame, left.record.reason, left.record.entered), (0, Reason::Recursion, true));
    assert_eq!((process.thread.current_frame, process.thread.remaining), (0xf0, 100));
}

#[test]
fn a_taken_frame_is_popped_by_the_runtime() {
    let mut process = Process::new();
    let text = PUSHES.replace("v3 =", "v4 = call positive, v2\n v3 =").replace("call_n build_list", "current_function");
    let compiled = process.compile_text(&text.replace(" drops [v2]", ""));
    let top = process.thread.datastack_top;
    assert_eq!(process.call(&compiled, &[1]), Pair { payload: 2, tag: 0 });
    assert_eq!(log(|log| log.popped.clone()), [top]);
    assert_eq!((process.thread.current_frame, process.thread.remaining), (top, 100), "the rest is the runtime's");
}

#[test]
fn polls() {
    let mut process = Process::new();
    let compiled = process.compile_text(
        "function \"polls\" entry, locals 1, stack 0, traceable 0 {
           b0(v0: CInt): enter ! s0
             push_frame ! s0
             poll ! s1
             return_int v0
           s0 = @0 locals [v0] stack []
           s1 = @6 locals [v0] stack []
         }",
    );
    let done = Pair { payload: 5, tag: 0 };
    assert_eq!(process.call(&compiled, &[5]), done);
    process.thread.eval_breaker |= 1;
    assert_eq!(process.call(&compiled, &[5]), done, "handled in line");
    log(|log| log.poll = 1);
    assert_eq!(process.call(&compiled, &[5]), LEFT);
    let left = only_exit();
    assert_eq!((left.record.reason, left.record.throw, left.record.offset), (Reason::Pending, false, 6));
    log(|log| log.poll = -1);
    assert_eq!(process.call(&compiled, &[5]), LEFT);
    let left = only_exit();
    assert_eq!((left.record.reason, left.record.throw, left.record.offset), (Reason::Exception, true, 6));
    *process.quiet = process.thread.eval_breaker;
    assert_eq!(process.call(&compiled, &[5]), done);
}

const LOOP: &str = "function \"loop\" loop 4, locals 2, stack 1, traceable 0 {
    b0(v0: Nullable owned, v1: Nullable owned, v2: Nullable owned):
      v3 = unbox_int v0 ! s0
      v4 = unbox_int v1 ! s0
      dec_ref v0
      dec_ref v1
      jump -> b1(v3, v4)
    b1(v5: CInt, v6: CInt):
      set_instruction 11
      poll ! s1
      v7 = const_int 0
      v8 = int_cmp gt, v5, v7
      branch v8 -> b2(), b3()
    b2():
      v9 = int_add v6, v5 ! s1
      v10 = const_int 1
      v11 = int_sub v5, v10 ! s1
      jump -> b1(v11, v9)
    b3():
      dec_ref v2
      v12 = box_int v6
      return v12
    s0 = @4 locals [steal v0, steal v1] stack [steal v2]
    s1 = @11 locals [v5, v6] stack [steal v2]
  }";

#[test]
fn runs_a_loop() {
    let mut process = Process::new();
    let compiled = process.compile_text(LOOP);
    let mut frame = Frame::default();
    let iterator = object(2, other_class(), 0, 0);
    let mut values = [new_int(1000).address(), new_int(0).address(), iterator.address()];
    let found = process.call_loop(&compiled, &mut frame, &mut values);
    assert_eq!((at(found.payload).int(), found.tag), (500_500, 1));
    assert_eq!((frame.instr_ptr, iterator.refs), (CODE_START + 22, 1));
    assert_eq!(log(|log| log.freed.clone()), values[..2]);
    assert_eq!(process.thread.remaining, 100, "a loop takes nothing off the limit");
}

#[test]
fn leaves_a_loop() {
    let mut process = Process::new();
    let compiled = process.compile_text(LOOP);
    let mut frame = Frame::default();
    let address = std::ptr::from_ref(&frame) as u64;
    let mut values = [new_int(1000).address(), 0, new_int(5).address()];
    assert_eq!(process.call_loop(&compiled, &mut frame, &mut values), LEFT);
    let left = only_exit();
    assert_eq!((left.frame, left.record.reason, left.record.entered, left.record.offset), (address, Reason::Class, false, 4));
    assert_eq!(left.words, values);
    values = [new_int(1000).address(), new_int((1 << 61) + 12).address(), new_int(5).address()];
    log(|log| log.poll = 1);
    process.thread.eval_breaker = 1;
    assert_eq!(process.call_loop(&compiled, &mut frame, &mut values), LEFT);
    let left = only_exit();
    assert_eq!((left.record.reason, left.record.offset), (Reason::Pending, 11));
    assert_eq!(left.words, [1000, (1 << 61) + 12, values[2]]);
}

#[test]
fn a_loop_asks_its_frame_for_the_function() {
    let mut process = Process::new();
    let text = "function \"function\" loop 4, locals 1, stack 0, traceable 0 {
        b0(v0: Nullable owned):
          dec_ref v0
          v1 = current_function
          inc_ref v1
          return v1
      }";
    let compiled = process.compile_text(text);
    let function = new_int(1).address();
    let mut frame = Frame { funcobj: function | 1, ..Frame::default() };
    assert_eq!(process.call_loop(&compiled, &mut frame, &mut [0]), Pair { payload: function, tag: 1 });
}
