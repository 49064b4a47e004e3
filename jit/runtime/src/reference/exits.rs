//! Which exits an instruction can take: all are planned when the function is compiled, because only then can records be made.

use pepjit_backend::{BackendError, ExitPlan, Linkage, plan_exit};
use pepjit_ir::op::{Imm, Op, Reason};
use pepjit_ir::{Function, InstData, StateId, Value};
use std::collections::HashMap;

/// An exit: the frame state, why, whether an exception is handled, whether `enter` has been passed.
pub(super) type Key = (StateId, Reason, bool, bool);

/// A planned exit.
pub(super) struct Planned {
    /// The values to store, by word.
    pub(super) stores: Vec<(u32, Value)>,
    /// How many words the buffer has.
    pub(super) words: u32,
    /// The record's address.
    pub(super) record: u64,
}

/// Plans every exit of the function's instructions.
pub(super) fn plan(func: &Function, linkage: &mut dyn Linkage) -> Result<HashMap<Key, Planned>, BackendError> {
    let stressed = linkage.addresses().stress != 0;
    let entry = &func.blocks[Function::ENTRY.index()].insts;
    let enter = entry.first().copied().filter(|first| func.inst(*first).op == Op::Enter);
    let mut exits = HashMap::new();
    for inst in func.blocks.iter().flat_map(|block| &block.insts) {
        // `enter` comes first, so that everything else has it behind itself.
        let entered = enter.is_some_and(|enter| enter != *inst);
        let inst = func.inst(*inst);
        for (reason, throw) in leaves(inst, stressed) {
            let state = inst.state.ok_or_else(|| BackendError::Internal {
                backend: super::NAME,
                what: format!("`{}` leaves without a frame state", inst.op.info().name),
            })?;
            exits.entry((state, reason, throw, entered)).or_insert_with(|| {
                let ExitPlan { stores, record } = plan_exit(func, &func.states[state.index()], reason, throw, entered);
                let words = record.words;
                Planned { stores, words, record: linkage.add_exit(record) }
            });
        }
    }
    Ok(exits)
}

/// Why an instruction may leave, and whether with an exception set.
fn leaves(inst: &InstData, stressed: bool) -> Vec<(Reason, bool)> {
    let because = |reasons: &[Reason]| reasons.iter().map(|reason| (*reason, false)).collect::<Vec<_>>();
    let mut all = match inst.op {
        Op::IntAdd | Op::IntSub | Op::IntMul | Op::IntNeg | Op::IntToFloat => because(&[Reason::Overflow]),
        Op::IntFloorDiv | Op::IntShl => because(&[Reason::Arithmetic, Reason::Overflow]),
        Op::IntMod | Op::IntShr | Op::WordShl | Op::FloatDiv | Op::FloatSqrt => because(&[Reason::Arithmetic]),
        Op::UnboxInt | Op::UnboxNumber => because(&[Reason::Class, Reason::Overflow]),
        Op::UnboxFloat | Op::UnboxBool | Op::GuardClass | Op::PairToInt | Op::PairToFloat => because(&[Reason::Class]),
        Op::GuardIs => because(&[Reason::Callee]),
        Op::GuardValid => because(&[Reason::Invalidated]),
        Op::Enter | Op::PushFrame => because(&[Reason::Recursion]),
        Op::Poll => vec![(Reason::Pending, false), (Reason::Exception, true)],
        Op::Watch => because(&[Reason::Observed]),
        Op::GuardUnseen => because(&[Reason::Pending]),
        Op::Throw | Op::Catch => vec![(Reason::Exception, true)],
        _ => match inst.imm {
            Imm::Reason(reason) => because(&[reason]),
            _ => Vec::new(),
        },
    };
    // As the interpreter asks `Machine::stress_exit`.
    if stressed && inst.op.is_stressed() {
        all.push((Reason::Stress, false));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use pepjit_ir::op::Effects;

    #[test]
    fn every_instruction_that_can_leave_has_a_reason() {
        for op in Op::ALL {
            let imm = match op.info().imm {
                pepjit_ir::ImmKind::Reason => Imm::Reason(Reason::Index),
                _ => Imm::None,
            };
            let inst = InstData { op: *op, args: Vec::new(), imm, state: None, result: None, targets: Vec::new() };
            let exits = op.info().effects.has(Effects::EXITS);
            assert_eq!(!leaves(&inst, false).is_empty(), exits, "{}", op.info().name);
            assert_eq!(!leaves(&inst, true).is_empty(), exits, "{}", op.info().name);
        }
    }
}
