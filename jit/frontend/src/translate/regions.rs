//! The way through the bytecode: entry, regions in reverse post-order, edges and what merges where they meet, loops.

use super::{Header, Pending, Several, Step, Translator, unsupported};
use crate::decode::Insn;
use crate::input::{Entry as CodeEntry, LocalKind};
use crate::questions::parameters_of;
use crate::state::{Entry, Frame, Owner};
use pepjit_ir::op::Reason;
use pepjit_ir::{Block, Function, Imm, Op, Type, Value};

impl Translator<'_> {
    pub(super) fn enter(&mut self, entry: u32) -> Step {
        match self.input.entry {
            CodeEntry::Function => {
                let parameters = parameters_of(self.input, &self.bytecode.insns);
                let count = parameters.len();
                for (index, parameter) in parameters.into_iter().enumerate() {
                    let observed = self.input.observed.get(index).copied().unwrap_or(Type::OBJECT);
                    let value = self.func.add_param(Function::ENTRY, parameter.ty, parameter.owned);
                    self.frame.locals[index] = Entry::Value(value, if parameter.owned { Owner::Slot } else { Owner::Outside });
                    // Numbers are passed unboxed where that helps.
                    if !observed.intersect(Type::OBJECT.without(Type::INT).without(Type::FLOAT)).is_empty() {
                        self.hints.insert(value, observed);
                    }
                }
                // Unboxed parameters are boxes that sink if nobody wants them.
                self.frame_before = self.frame.clone();
                let mut state = self.frame.state(0);
                for (slot, entry) in state.locals.iter_mut().zip(&self.frame.locals) {
                    *slot = entry.slot();
                }
                let state = self.func.add_state(state);
                self.build().guard(Op::Enter, &[], Imm::None, state);
                self.build().guard(Op::PushFrame, &[], Imm::None, state);
                for index in 0..count {
                    let Entry::Value(value, _) = self.frame.locals[index] else { continue };
                    let boxed = match self.func.ty(value) {
                        Type::C_INT => self.op(Op::BoxInt, &[value]),
                        Type::C_FLOAT => self.op(Op::BoxFloat, &[value]),
                        _ => continue,
                    };
                    self.frame.locals[index] = Entry::Value(boxed, Owner::Slot);
                }
                for (local, classes) in self.frame.locals.iter().zip(&self.input.classes) {
                    if let Entry::Value(value, _) = local
                        && classes.len() > 1
                    {
                        let several = Several { classes: classes.clone(), region: entry, everywhere: true };
                        self.several.insert(*value, several);
                    }
                }
            }
            CodeEntry::Loop { depth, .. } | CodeEntry::Resume { depth, .. } => {
                let total = self.input.locals.len() + depth as usize;
                for index in 0..total {
                    let observed = self.input.observed.get(index).copied().unwrap_or(Type::NULLABLE);
                    let entry = if observed == Type::C_WORD {
                        Entry::Value(self.func.add_param(Function::ENTRY, Type::C_WORD, false), Owner::Word)
                    } else if observed == Type::NULL {
                        self.func.add_param(Function::ENTRY, Type::NULL, false);
                        Entry::Null
                    } else if self.input.locals.get(index).is_some_and(|(kind, _)| *kind != LocalKind::Local) {
                        Entry::Value(self.func.add_param(Function::ENTRY, Type::CELL, true), Owner::Slot)
                    } else {
                        // What was bound when compiling need not be at the next entry.
                        let ty = if index < self.input.locals.len() { Type::NULLABLE } else { Type::OBJECT };
                        let value = self.func.add_param(Function::ENTRY, ty, true);
                        self.hints.insert(value, observed);
                        if let Some(number) = self.input.containers.get(index).filter(|number| **number != 0) {
                            self.containers.insert(value, *number);
                        }
                        Entry::Value(value, Owner::Slot)
                    };
                    if index < self.input.locals.len() {
                        self.frame.locals[index] = entry;
                    } else {
                        self.frame.stack.push(entry);
                    }
                }
            }
        }
        self.frame_before = self.frame.clone();
        let pending = Pending { block: self.block, frame: self.frame.clone() };
        self.pending.entry(entry).or_default().push(pending);
        Ok(())
    }

    pub(super) fn regions(&mut self) -> Step {
        for start in self.bytecode.order.clone() {
            let Some(edges) = self.pending.remove(&start) else { continue };
            if self.is_untried(start) {
                // The interpreter goes on, learns what the loop does, and comes back for it.
                self.merge(start, edges)?;
                let first = self.bytecode.regions[&start].insns.start;
                self.insn = self.bytecode.insns[first].clone();
                self.before = None;
                self.frame_before = self.frame.clone();
                self.leave(Reason::Uncompiled);
                continue;
            }
            if self.bytecode.loops.contains_key(&start) {
                self.enter_loop(start, edges);
            } else {
                self.merge(start, edges)?;
            }
            self.region(start)?;
        }
        Ok(())
    }

    /// Whether a region starts a loop after the one that was entered, of which nothing has ever run.
    fn is_untried(&self, start: u32) -> bool {
        let CodeEntry::Loop { header, .. } = self.input.entry else { return false };
        let (Some(entered), Some(other)) = (self.bytecode.loops.get(&header), self.bytecode.loops.get(&start)) else {
            return false;
        };
        let has_run = |region: &u32| {
            self.bytecode.insns[self.bytecode.regions[region].insns.clone()].iter().any(|insn| insn.spec != insn.name)
        };
        !entered.body.contains(&start) && entered.body.iter().any(has_run) && !other.body.iter().any(has_run)
    }

    fn region(&mut self, start: u32) -> Step {
        let bytecode = self.bytecode;
        let region = &bytecode.regions[&start];
        self.region = start;
        self.reached_end = false;
        // What the region assumes is checked once, before values are on the stack that an exit would have to see.
        let assumes = |insn: &Insn| matches!(insn.name, "LOAD_GLOBAL" | "LOAD_ATTR" | "STORE_ATTR");
        if let Some(insn) = bytecode.insns[region.insns.clone()].first()
            && bytecode.insns[region.insns.clone()].iter().any(assumes)
            && insn.name != "MAKE_CELL"
            && insn.name != "COPY_FREE_VARS"
        {
            self.insn = insn.clone();
            self.before = None;
            self.frame_before = self.frame.clone();
            self.guard_valid();
        }
        for index in region.insns.clone() {
            if self.skipped.take() == Some(bytecode.insns[index].offset) {
                self.insn = bytecode.insns[index].clone();
                continue;
            }
            self.insn = bytecode.insns[index].clone();
            self.before = None;
            self.frame_before = self.frame.clone();
            self.called = false;
            self.instruction()?;
            if self.reached_end {
                return Ok(());
            }
            if self.called {
                self.watch();
            }
            // An exit of the next instruction must find every value counted.
            self.frame_before = self.frame.clone();
        }
        let next = self.insn.next;
        self.edge(next);
        Ok(())
    }

    /// Control goes on at an offset.
    pub(crate) fn edge(&mut self, target: u32) {
        if self.headers.contains_key(&target) {
            self.back_edge(target, false);
        } else {
            let pending = Pending { block: self.block, frame: self.frame.clone() };
            self.pending.entry(target).or_default().push(pending);
        }
        self.reached_end = true;
    }

    /// The same where the interpreter may be wanted, at the end of a loop's round. If it was, the loop is entered from outside again,
    /// so that what is found out before the loop is found out anew; the usual way round changes nothing.
    pub(crate) fn polled_edge(&mut self, target: u32) {
        let wanted = self.op(Op::Wanted, &[]);
        let (serve, quiet) = self.fork(wanted);
        let frame = self.frame.clone();
        self.cold(serve);
        self.block = serve;
        let state = self.before();
        self.build().guard(Op::Poll, &[], Imm::None, state);
        if self.headers.contains_key(&target) {
            self.back_edge(target, true);
        } else {
            self.edge(target);
        }
        self.block = quiet;
        self.frame = frame;
        self.edge(target);
    }

    /// Control goes on at one of two offsets. `frames` are those at the two.
    pub(crate) fn branch_edges(&mut self, condition: Value, then: (u32, Frame), otherwise: (u32, Frame)) {
        let (then_block, otherwise_block) = self.fork(condition);
        self.block = then_block;
        self.frame = then.1;
        self.edge(then.0);
        self.block = otherwise_block;
        self.frame = otherwise.1;
        self.edge(otherwise.0);
    }

    /// Whether an entry must be a parameter where these meet, because it isn't the same on all sides.
    fn differs(edges: &[Pending], select: impl Fn(&Frame) -> Entry) -> bool {
        let first = select(&edges[0].frame);
        edges[1..].iter().any(|edge| select(&edge.frame) != first)
    }

    fn merge(&mut self, start: u32, mut edges: Vec<Pending>) -> Step {
        if edges.len() == 1 {
            let edge = edges.remove(0);
            self.block = edge.block;
            self.frame = edge.frame;
            return Ok(());
        }
        let depth = edges[0].frame.stack.len();
        if edges.iter().any(|edge| edge.frame.stack.len() != depth) {
            return unsupported("stack");
        }
        // Entries borrowed from a local or from memory get a unit first, so that only equal owners meet.
        for edge in &mut edges {
            self.block = edge.block;
            std::mem::swap(&mut self.frame, &mut edge.frame);
            self.settle_stack();
            std::mem::swap(&mut self.frame, &mut edge.frame);
        }
        let locals: Vec<u32> = (0..self.input.locals.len())
            .filter(|index| Self::differs(&edges, |frame| frame.locals[*index]))
            .map(|index| index as u32)
            .collect();
        let stack: Vec<usize> = (0..depth).filter(|index| Self::differs(&edges, |frame| frame.stack[*index])).collect();
        let block = self.func.add_block();
        let mut frame = edges[0].frame.clone();
        for local in &locals {
            let ty = self.joined_type(edges.iter().map(|edge| edge.frame.locals[*local as usize]));
            let parameter = self.parameter(block, ty);
            frame.locals[*local as usize] = parameter;
            self.merge_hint(parameter, edges.iter().map(|edge| edge.frame.locals[*local as usize]));
            let text = edges.iter().any(|edge| self.perhaps_text(edge.frame.locals[*local as usize]));
            if let Entry::Value(value, _) = parameter
                && text
            {
                self.texts.insert(value);
            }
        }
        for index in &stack {
            let ty = self.joined_type(edges.iter().map(|edge| edge.frame.stack[*index]));
            frame.stack[*index] = self.parameter(block, ty);
        }
        for edge in edges {
            self.block = edge.block;
            self.frame = edge.frame;
            self.jump_with(block, &locals, &stack, start);
        }
        self.block = block;
        self.frame = frame;
        Ok(())
    }

    /// What may be a big int on one side may be one where they meet.
    fn merge_hint(&mut self, parameter: Entry, mut entries: impl Iterator<Item = Entry>) {
        if let Entry::Value(value, _) = parameter
            && entries.any(|entry| self.is_wide(entry))
        {
            self.hints.insert(value, Type::WIDE_INT);
        }
    }

    fn joined_type(&self, entries: impl Iterator<Item = Entry>) -> Type {
        entries.fold(Type::EMPTY, |ty, entry| ty.union(self.ty(entry)))
    }

    fn parameter(&mut self, block: Block, ty: Type) -> Entry {
        if ty == Type::C_WORD {
            return Entry::Value(self.func.add_param(block, Type::C_WORD, false), Owner::Word);
        }
        Entry::Value(self.func.add_param(block, ty, true), Owner::Slot)
    }

    /// Gives every stack entry that borrows a unit of its own.
    fn settle_stack(&mut self) {
        for index in 0..self.frame.stack.len() {
            if let Entry::Value(value, Owner::Local(_) | Owner::Memory) = self.frame.stack[index] {
                self.build().effect(Op::IncRef, &[value], Imm::None);
                self.frame.stack[index] = Entry::Value(value, Owner::Slot);
            }
        }
    }

    /// Ends the current block with a jump that passes these entries as owned parameters.
    fn jump_with(&mut self, block: Block, locals: &[u32], stack: &[usize], offset: u32) {
        let mut args = Vec::new();
        for local in locals {
            let entry = self.frame.locals[*local as usize];
            let value = self.argument(entry);
            if entry != Entry::Null && !matches!(entry, Entry::Value(_, Owner::Word)) {
                self.frame.locals[*local as usize] = Entry::Value(value, Owner::Slot);
            }
            args.push(value);
        }
        for index in stack {
            let entry = self.frame.stack[*index];
            let value = self.argument(entry);
            if entry != Entry::Null && !matches!(entry, Entry::Value(_, Owner::Word)) {
                self.frame.stack[*index] = Entry::Value(value, Owner::Slot);
            }
            args.push(value);
        }
        // Where speculation failed at the target, passes are not to speculate there on the way in either.
        let state = if self.input.failed_sites.contains(&offset) {
            None
        } else {
            let state = self.frame.state(offset);
            Some(self.func.add_state(state))
        };
        self.build().jump(block, args, state);
    }

    fn argument(&mut self, entry: Entry) -> Value {
        match entry {
            Entry::Value(value, Owner::Word) => value,
            other => self.owned(other),
        }
    }

    /// Starts a loop: what it stores becomes parameters of its header.
    fn enter_loop(&mut self, start: u32, edges: Vec<Pending>) {
        let body = &self.bytecode.loops[&start];
        let stored: Vec<u32> = body.stores.iter().copied().collect();
        let (entry, block) = (self.func.add_block(), self.func.add_block());
        let mut edges = edges;
        for edge in &mut edges {
            self.block = edge.block;
            std::mem::swap(&mut self.frame, &mut edge.frame);
            self.settle_stack();
            std::mem::swap(&mut self.frame, &mut edge.frame);
        }
        let mut locals = Vec::new();
        for index in 0..self.input.locals.len() {
            if stored.contains(&(index as u32)) || Self::differs(&edges, |frame| frame.locals[index]) {
                locals.push(index as u32);
            }
        }
        let depth = edges[0].frame.stack.len();
        let words = |frame: &Frame, index: usize| matches!(frame.stack[index], Entry::Value(_, Owner::Word));
        // Where a nested loop is entered in its middle, the outer one comes round to it: what that one puts on the stack changes too.
        let rotated = body.body.first().is_some_and(|region| *region < start);
        let stack: Vec<usize> = (0..depth)
            .filter(|index| rotated || words(&edges[0].frame, *index) || Self::differs(&edges, |frame| frame.stack[*index]))
            .collect();
        let mut frame = edges[0].frame.clone();
        for local in &locals {
            let cleared = self.bytecode.loops[&start].body.iter().any(|region| {
                self.bytecode.insns[self.bytecode.regions[region].insns.clone()]
                    .iter()
                    .any(|insn| matches!(insn.name, "DELETE_FAST" | "LOAD_FAST_AND_CLEAR") && insn.arg == *local)
            });
            let bound = !cleared && edges.iter().all(|edge| !self.ty(edge.frame.locals[*local as usize]).may_be_null());
            let parameter = self.parameter(block, if bound { Type::OBJECT } else { Type::NULLABLE });
            frame.locals[*local as usize] = parameter;
            let seeded = edges
                .iter()
                .any(|edge| self.constant(edge.frame.locals[*local as usize]).is_some_and(|object| object.ty == Type::INT));
            let mut likely = self.likely(edges[0].frame.locals[*local as usize]);
            if edges.iter().any(|edge| self.is_wide(edge.frame.locals[*local as usize])) {
                likely = Type::WIDE_INT;
            }
            if let Entry::Value(value, _) = parameter {
                if seeded {
                    self.int_seeded.insert(value);
                }
                self.hints.insert(value, likely);
            }
        }
        for index in &stack {
            let ty = self.joined_type(edges.iter().map(|edge| edge.frame.stack[*index]));
            let parameter = self.parameter(block, if ty == Type::C_WORD { ty } else { Type::NULLABLE });
            frame.stack[*index] = parameter;
            let likely = self.likely(edges[0].frame.stack[*index]);
            if let Entry::Value(value, _) = parameter {
                self.hints.insert(value, likely);
            }
        }
        let mut before = frame.clone();
        for local in &locals {
            before.locals[*local as usize] = self.parameter_before(entry, frame.locals[*local as usize]);
        }
        for index in &stack {
            before.stack[*index] = self.parameter_before(entry, frame.stack[*index]);
        }
        for edge in edges {
            self.block = edge.block;
            self.frame = edge.frame;
            self.jump_with(entry, &locals, &stack, start);
        }
        self.block = entry;
        self.frame = before;
        self.jump_with(block, &locals, &stack, start);
        self.block = block;
        self.frame = frame.clone();
        self.headers.insert(start, Header { block, entry, locals, stack, frame });
    }

    /// A parameter like a loop header's for the block before it.
    fn parameter_before(&mut self, block: Block, parameter: Entry) -> Entry {
        let ty = self.ty(parameter);
        self.parameter(block, ty)
    }

    /// Ends a round: goes on at the loop's header, or at the block from which the loop is entered.
    fn back_edge(&mut self, target: u32, outside: bool) {
        self.settle_stack();
        let header = &self.headers[&target];
        let block = if outside { header.entry } else { header.block };
        let (locals, stack) = (header.locals.clone(), header.stack.clone());
        debug_assert!(
            (0..header.frame.stack.len())
                .all(|index| stack.contains(&index) || header.frame.stack[index] == self.frame.stack[index]),
            "a stack entry changes in a loop"
        );
        self.jump_with(block, &locals, &stack, target);
    }
}
