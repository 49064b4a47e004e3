//! What each instruction becomes, by family.

mod arith;
mod arrays;
mod attributes;
mod bigints;
mod builtins;
mod calls;
mod containers;
mod exceptions;
mod functions;
mod generators;
mod iteration;
mod locals;
mod methods;
mod names;
mod supers;

use crate::input::PyVersion;
use crate::state::{Entry, Owner};
use crate::translate::{Step, Translator, unsupported};
use pepjit_ir::op::Reason;
use pepjit_ir::{Helper, Op, Type};

/// The constants of `LOAD_COMMON_CONSTANT` that the front end makes itself (3.15's numbers; 3.14 has the first five).
pub(crate) const COMMON_NONE: u32 = 7;

impl Translator<'_> {
    /// Translates the current instruction.
    pub(crate) fn instruction(&mut self) -> Step {
        let arg = self.insn.arg;
        match self.insn.name {
            "NOP" | "CACHE" | "NOT_TAKEN" => Ok(()),
            "RESUME" => {
                self.poll();
                Ok(())
            }
            "LOAD_FAST" | "LOAD_FAST_BORROW" => self.load_fast(arg),
            "LOAD_FAST_CHECK" => self.load_fast_check(arg),
            "LOAD_FAST_LOAD_FAST" | "LOAD_FAST_BORROW_LOAD_FAST_BORROW" => {
                self.load_fast(arg >> 4)?;
                self.load_fast(arg & 15)
            }
            "STORE_FAST" | "STORE_FAST_MAYBE_NULL" => self.store_fast(arg),
            "STORE_FAST_STORE_FAST" => {
                self.store_fast(arg >> 4)?;
                self.store_fast(arg & 15)
            }
            "STORE_FAST_LOAD_FAST" => {
                self.store_fast(arg >> 4)?;
                self.load_fast(arg & 15)
            }
            "LOAD_FAST_AND_CLEAR" => self.load_fast_and_clear(arg),
            "DELETE_FAST" => self.delete_fast(arg),
            "MAKE_CELL" => self.make_cell(arg),
            "COPY_FREE_VARS" => self.copy_free_vars(arg),
            "LOAD_DEREF" => self.load_deref(arg),
            "STORE_DEREF" => self.store_deref(arg),
            "LOAD_CONST" => {
                let object = self.input.consts[arg as usize].clone();
                self.push_const(object);
                Ok(())
            }
            "LOAD_SMALL_INT" => self.load_small_int(arg),
            "LOAD_COMMON_CONSTANT" => {
                let constant = match arg {
                    COMMON_NONE if self.input.version >= PyVersion::V315 => self.world.none(),
                    _ => self.world.common_constant(arg),
                };
                let Some(object) = constant else { return unsupported("LOAD_COMMON_CONSTANT") };
                self.push_const(object);
                Ok(())
            }
            "PUSH_NULL" => {
                self.push(Entry::Null);
                Ok(())
            }
            "POP_TOP" => {
                let entry = self.pop()?;
                self.release(entry);
                Ok(())
            }
            "COPY" => self.copy(arg as usize),
            "SWAP" => {
                let length = self.frame.stack.len();
                self.frame.stack.swap(length - 1, length - arg as usize);
                Ok(())
            }
            "RETURN_VALUE" => {
                self.guard_unseen();
                let entry = self.pop()?;
                self.return_entry(entry)
            }
            "RETURN_CONST" => {
                let object = self.input.consts[arg as usize].clone();
                let object = self.object(object);
                self.guard_unseen();
                self.return_entry(Entry::Const(object))
            }
            "JUMP_FORWARD" | "JUMP_BACKWARD_NO_INTERRUPT" => {
                let target = self.target()?;
                self.edge(target);
                Ok(())
            }
            "JUMP_BACKWARD" => {
                let target = self.target()?;
                if self.has_just_resumed() {
                    self.edge(target);
                } else {
                    self.secure();
                    self.polled_edge(target);
                }
                Ok(())
            }
            "POP_JUMP_IF_TRUE" | "POP_JUMP_IF_FALSE" | "POP_JUMP_IF_NONE" | "POP_JUMP_IF_NOT_NONE" => self.conditional_jump(),
            "BINARY_OP" => self.binary_op(arg),
            "UNARY_NEGATIVE" => self.negative(),
            "UNARY_INVERT" => self.invert(),
            "UNARY_NOT" => self.not(),
            "TO_BOOL" => self.truth_of_top(),
            "COMPARE_OP" => self.compare(arg),
            "IS_OP" => self.is_op(arg),
            "CONTAINS_OP" => self.contains(arg),
            "BINARY_SUBSCR" => self.subscript(),
            "STORE_SUBSCR" => self.store_subscript(),
            "DELETE_SUBSCR" => self.generic_status(Helper::DelItem, 2, &[]).map(drop),
            "BINARY_SLICE" => self.slice(),
            "STORE_SLICE" => self.store_slice(),
            "BUILD_LIST" => self.build_owned(Helper::BuildList, arg),
            "BUILD_TUPLE" => self.build_owned(Helper::BuildTuple, arg),
            "BUILD_MAP" => self.generic_op(Helper::BuildMap, 2 * arg as usize, &[]),
            "BUILD_CONST_KEY_MAP" => self.build_const_key_map(arg),
            "BUILD_SET" => self.generic_op(Helper::BuildSet, arg as usize, &[]),
            "BUILD_STRING" => self.generic_op(Helper::BuildString, arg as usize, &[]),
            "BUILD_SLICE" => self.build_slice(arg),
            "LIST_APPEND" => self.list_append(arg),
            "SET_ADD" => self.add_to(Helper::SetAdd, arg, 1),
            "MAP_ADD" => self.add_to(Helper::DictSetItem, arg, 2),
            "LIST_EXTEND" => self.add_to(Helper::ListExtend, arg, 1),
            "SET_UPDATE" => self.add_to(Helper::SetUpdate, arg, 1),
            "DICT_UPDATE" => self.add_to(Helper::DictUpdate, arg, 1),
            "UNPACK_SEQUENCE" => self.unpack_sequence(arg),
            "UNPACK_EX" => self.unpack_ex(arg),
            "FORMAT_SIMPLE" => self.format_simple(),
            "FORMAT_WITH_SPEC" => self.generic_op(Helper::FormatWithSpec, 2, &[]),
            "CONVERT_VALUE" => self.generic_op(Helper::ConvertValue, 1, &[i64::from(arg)]),
            "GET_LEN" => self.get_len(),
            "CALL_INTRINSIC_1" => match arg {
                5 => self.generic_op(Helper::Positive, 1, &[]),
                6 => self.generic_op(Helper::ListToTuple, 1, &[]),
                _ => self.rare("CALL_INTRINSIC_1"),
            },
            "GET_ITER" => self.get_iter(),
            "FOR_ITER" => self.for_iter(),
            "END_FOR" | "POP_ITER" => self.end_iteration(),
            "LOAD_GLOBAL" => self.load_global(arg),
            "STORE_GLOBAL" => self.store_global(arg),
            "DELETE_GLOBAL" => self.delete_global(arg),
            "LOAD_NAME" => self.load_name(arg),
            "STORE_NAME" => self.store_name(arg),
            "DELETE_NAME" => self.delete_name(arg),
            "DELETE_DEREF" => self.delete_deref(arg),
            "LOAD_BUILD_CLASS" => self.load_build_class(),
            "IMPORT_NAME" => self.import_name(arg),
            "IMPORT_FROM" => self.import_from(arg),
            "MATCH_MAPPING" => self.match_kind(true),
            "MATCH_SEQUENCE" => self.match_kind(false),
            "MATCH_KEYS" => self.match_keys(),
            "MATCH_CLASS" => self.match_class(arg),
            "DICT_MERGE" => self.dict_merge(arg),
            "LOAD_ATTR" => self.load_attr(arg),
            "STORE_ATTR" => self.store_attr(arg),
            "DELETE_ATTR" => self.delete_attr(arg),
            "LOAD_SUPER_ATTR" => self.load_super_attr(arg),
            "CALL" => self.call(arg),
            "CALL_KW" => self.call_keywords(arg),
            "CALL_FUNCTION_EX" => self.call_ex(arg),
            "MAKE_FUNCTION" => self.make_function(),
            "SET_FUNCTION_ATTRIBUTE" => self.set_function_attribute(arg),
            "YIELD_VALUE" => self.yield_value(),
            "RAISE_VARARGS" => self.raise(arg),
            "RERAISE" => self.reraise(arg),
            "PUSH_EXC_INFO" => self.push_exc_info(),
            "POP_EXCEPT" => self.pop_except(),
            "CHECK_EXC_MATCH" => self.check_exc_match(),
            "WITH_EXCEPT_START" => self.with_except_start(),
            "LOAD_SPECIAL" => self.load_special(arg),
            "BEFORE_WITH" => self.before_with(),
            "LOAD_ASSERTION_ERROR" => self.assertion_error(),
            name => self.rare(name),
        }
    }

    /// An instruction that isn't compiled: the interpreter does it, if that can't happen in every round of a loop.
    fn rare(&mut self, name: &'static str) -> Step {
        let start = self.bytecode.order.iter().filter(|region| **region <= self.insn.offset).max().copied().unwrap_or(0);
        if self.bytecode.depth.get(&start).copied().unwrap_or(0) > 0 || self.bytecode.loops.is_empty() {
            return unsupported(name);
        }
        self.leave(Reason::Uncompiled);
        Ok(())
    }

    fn target(&self) -> Step<u32> {
        self.insn.target().map_or_else(|| unsupported("jump"), Ok)
    }

    fn poll(&mut self) {
        self.secure();
        let state = self.before();
        self.build().guard(Op::Poll, &[], pepjit_ir::Imm::None, state);
    }

    /// A frame object of this frame outlives the call, with the locals: then the interpreter returns.
    fn guard_unseen(&mut self) {
        let state = self.before();
        self.build().guard(Op::GuardUnseen, &[], pepjit_ir::Imm::None, state);
    }

    fn return_entry(&mut self, entry: Entry) -> Step {
        // An unboxed result stays unboxed.
        if let Entry::Value(value, owner) = entry
            && let Some(def) = self.func.def(value)
            && matches!(def.op, Op::BoxInt | Op::BoxFloat)
        {
            let op = if def.op == Op::BoxInt { Op::ReturnInt } else { Op::ReturnFloat };
            let unboxed = def.args[0];
            if owner == Owner::Slot {
                self.release(entry);
            }
            self.release_locals();
            self.build().effect(op, &[unboxed], pepjit_ir::Imm::None);
        } else {
            let value = self.owned(entry);
            self.release_locals();
            self.build().effect(Op::Return, &[value], pepjit_ir::Imm::None);
        }
        self.reached_end = true;
        Ok(())
    }

    fn release_locals(&mut self) {
        let count = self.frame.locals.len();
        for position in 0..count {
            // From 3.14 on the interpreter clears a frame from its end.
            let index = if self.input.version >= PyVersion::V314 { count - 1 - position } else { position };
            let entry = std::mem::replace(&mut self.frame.locals[index], Entry::Null);
            self.release(entry);
        }
    }

    fn copy(&mut self, depth: usize) -> Step {
        let entry = self.peek(depth - 1)?;
        let entry = match entry {
            Entry::Value(value, Owner::Slot | Owner::Memory) => {
                self.build().effect(Op::IncRef, &[value], pepjit_ir::Imm::None);
                Entry::Value(value, Owner::Slot)
            }
            other => other,
        };
        self.push(entry);
        Ok(())
    }

    fn load_small_int(&mut self, value: u32) -> Step {
        let Some(object) = self.world.small_int(value) else { return unsupported("LOAD_SMALL_INT") };
        self.push_const(object);
        Ok(())
    }

    fn end_iteration(&mut self) -> Step {
        let width = if self.insn.name == "POP_ITER" { crate::decode::iterator_width(self.input.version) } else { 1 };
        for _ in 0..width {
            let entry = self.pop()?;
            self.release(entry);
        }
        Ok(())
    }

    fn conditional_jump(&mut self) -> Step {
        let name = self.insn.name;
        let entry = self.pop()?;
        let condition = if name.ends_with("NONE") {
            let none = self.world.none();
            let Some(none) = none else { return unsupported("None") };
            let value = self.value(entry);
            let none = self.object(none);
            let none = self.build().object(none);
            self.op(Op::IsSame, &[value, none])
        } else {
            self.truth(entry)?
        };
        self.release(entry);
        let (target, next) = (self.target()?, self.insn.next);
        let frame = self.frame.clone();
        // A value compared with None is known better on one side; types aren't split yet.
        if matches!(name, "POP_JUMP_IF_TRUE" | "POP_JUMP_IF_NONE") {
            self.branch_edges(condition, (target, frame.clone()), (next, frame));
        } else {
            self.branch_edges(condition, (next, frame.clone()), (target, frame));
        }
        Ok(())
    }

    /// The truth of an entry that is a bool.
    fn truth(&mut self, entry: Entry) -> Step<pepjit_ir::Value> {
        let value = self.value(entry);
        if let Some(def) = self.func.def(value)
            && def.op == Op::BoxBool
        {
            return Ok(def.args[0]);
        }
        if self.ty(entry).is_subtype(Type::BOOL) {
            let Some(truth) = self.world.truth(true) else { return unsupported("True") };
            let truth = self.object(truth);
            let truth = self.build().object(truth);
            return Ok(self.op(Op::IsSame, &[value, truth]));
        }
        Ok(self.checked(Op::UnboxBool, &[value]))
    }
}
