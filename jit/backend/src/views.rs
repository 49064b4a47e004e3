//! What others see of the locals of a frame that compiled code runs on: where a buffer on the native stack has them.

use crate::{ExitSlot, exit_kind};
use pepjit_ir::{Block, FrameState, Function, FunctionKind, Op, Ownership, Slot, Value};
use std::collections::BTreeMap;

/// What others see of the locals of a frame whose compiled code is inside of a call: where the buffer on the native stack has them.
///
/// The buffer's first word is the address that [`Linkage::add_views`](crate::Linkage::add_views) gave, the second the view's `variant`,
/// the third is 0 (the runtime notes there that somebody has looked). Local `i` is in the words from [`View::word`]`(i)` on. The light
/// frame, or the loop's frame, has the buffer's address in its first stack entry.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The instruction that calls, in code units.
    pub offset: u32,
    /// Which of the views of this instruction: code that calls in several places of one instruction may hold the locals differently.
    pub variant: u32,
    /// The locals; an index is one of the buffer's words.
    pub slots: Vec<ExitSlot>,
}

impl View {
    /// The buffer's word with the table's address.
    pub const TABLE: u32 = 0;
    /// The buffer's word with the variant.
    pub const VARIANT: u32 = 1;
    /// The buffer's word in which the runtime notes that somebody has looked.
    pub const OBSERVED: u32 = 2;

    /// The word of the buffer in which a local is. A pair has the next one too.
    pub const fn word(local: u32) -> u32 {
        3 + 2 * local
    }
}

/// Plans what others see of the locals that a frame state tells of, and which values have to be stored in which words for that.
pub fn plan_view(func: &Function, state: &FrameState) -> (Vec<ExitSlot>, Vec<(u32, Value)>) {
    let mut stores = Vec::new();
    let slots = state.locals.iter().zip(0..).map(|(slot, local)| match *slot {
        Slot::Empty => ExitSlot::Empty,
        Slot::Object(object) => ExitSlot::Object(func.objects[object.index()].address),
        Slot::Value(value, _) => {
            stores.push((View::word(local), value));
            ExitSlot::Value(View::word(local), exit_kind(func, value, Ownership::Borrow))
        }
    });
    (slots.collect(), stores)
}

/// All views of a function.
#[derive(Debug, Default)]
pub struct ViewPlan {
    /// By instruction: the ways in which its calls hold the locals.
    variants: BTreeMap<u32, Vec<Vec<ExitSlot>>>,
}

impl ViewPlan {
    /// Finds out what is to be seen where in these blocks of a function; none if it never calls with a frame.
    pub fn new(func: &Function, blocks: &[Block]) -> Option<ViewPlan> {
        let insts = || blocks.iter().flat_map(|block| &func.blocks[block.index()].insts).map(|inst| func.inst(*inst));
        let framed = func.kind != FunctionKind::Entry || insts().any(|inst| inst.op == Op::PushFrame);
        let mut variants: BTreeMap<u32, Vec<Vec<ExitSlot>>> = BTreeMap::new();
        for inst in insts() {
            let (Op::SetInstruction | Op::Poll, Some(state)) = (inst.op, inst.state) else { continue };
            let state = &func.states[state.index()];
            let (slots, _) = plan_view(func, state);
            let variants = variants.entry(state.offset).or_default();
            if !variants.contains(&slots) {
                variants.push(slots);
            }
        }
        // The frame keeps the buffer's address in its first stack entry.
        (framed && func.stack != 0 && !variants.is_empty()).then_some(ViewPlan { variants })
    }

    /// The table of them.
    pub fn views(&self) -> Vec<View> {
        let views = self.variants.iter().flat_map(|(offset, variants)| {
            variants.iter().zip(0..).map(|(slots, variant)| View { offset: *offset, variant, slots: slots.clone() })
        });
        views.collect()
    }

    /// Which of an instruction's views it is that has these slots, if there are several.
    pub fn variant(&self, offset: u32, slots: &[ExitSlot]) -> Option<u32> {
        let variants = self.variants.get(&offset).filter(|variants| variants.len() > 1)?;
        variants.iter().zip(0..).find(|(known, _)| *known == slots).map(|(_, variant)| variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ExitKind;

    fn plan(head: &str) -> Option<ViewPlan> {
        let text = format!(
            "function \"f\" entry, {head}, traceable 0 {{
              b0(v0: CInt, v1: Object borrowed): enter ! s0
                push_frame ! s0
                set_instruction 7 ! s1
                set_instruction 7 ! s2
                set_instruction 9 ! s3
                return_int v0
              s0 = @0 locals [v0, v1] stack []
              s1 = @7 locals [v0, v1] stack []
              s2 = @7 locals [_, v1] stack []
              s3 = @9 locals [v0, _] stack []
            }}"
        );
        let func = pepjit_ir::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        ViewPlan::new(&func, &[Function::ENTRY])
    }

    #[test]
    fn an_instruction_has_a_view_for_each_way_to_hold_its_locals() {
        let plan = plan("locals 2, stack 1").expect("there is something to be seen");
        let places: Vec<(u32, u32)> = plan.views().iter().map(|view| (view.offset, view.variant)).collect();
        assert_eq!(places, [(7, 0), (7, 1), (9, 0)]);
        let views = plan.views();
        let int = ExitSlot::Value(View::word(0), ExitKind::Int);
        let object = ExitSlot::Value(View::word(1), ExitKind::Borrow);
        assert_eq!(views[0].slots, [int, object]);
        assert_eq!(views[1].slots, [ExitSlot::Empty, object]);
        assert_eq!(plan.variant(7, &views[1].slots), Some(1));
        assert_eq!(plan.variant(9, &views[2].slots), None, "there is no choice");
    }

    #[test]
    fn without_a_stack_entry_for_the_buffer_nothing_is_seen() {
        assert!(plan("locals 2, stack 0").is_none());
    }
}
