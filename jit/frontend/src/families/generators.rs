//! Generators: what suspends them.

use crate::input::{CO_GENERATOR, Entry};
use crate::translate::{Step, Translator, unsupported};
use pepjit_ir::op::Reason;
use pepjit_ir::{Imm, Op};

impl Translator<'_> {
    /// Yields the top of the stack. What compiled code holds goes to the frame, which is all that a suspended generator has.
    pub(super) fn yield_value(&mut self) -> Step {
        if !matches!(self.input.entry, Entry::Resume { .. }) {
            // A loop: the interpreter suspends the generator.
            self.leave(Reason::Uncompiled);
            return Ok(());
        }
        if self.insn.arg != 0 || self.input.flags & CO_GENERATOR == 0 {
            return unsupported("YIELD_VALUE");
        }
        self.secure();
        let state = self.frame.state(self.insn.next);
        let state = self.func.add_state(state);
        self.build().guard(Op::Exit, &[], Imm::Reason(Reason::Yield), state);
        self.reached_end = true;
        Ok(())
    }

    /// Whether nothing has happened since a generator's `RESUME`, which has polled.
    pub(super) fn has_just_resumed(&self) -> bool {
        let position = self.bytecode.insns.partition_point(|insn| insn.offset < self.insn.offset);
        let before = |distance: usize| position.checked_sub(distance).map(|index| self.bytecode.insns[index].name);
        matches!(self.input.entry, Entry::Resume { .. }) && before(1) == Some("POP_TOP") && before(2) == Some("RESUME")
    }

    /// Whether there is a yield between two offsets.
    pub(super) fn yields_between(&self, start: u32, end: u32) -> bool {
        self.bytecode.insns.iter().any(|insn| insn.name == "YIELD_VALUE" && (start..end).contains(&insn.offset))
    }
}
