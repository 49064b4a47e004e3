//! Keeps a number that a loop reads from memory and writes back in each round in a parameter of the loop's header, beside memory:
//! the counts of iterators. The stores stay, so that whoever looks at the memory finds what he should; the reads go.

use super::{Mover, Place};
use crate::builder::make_inst;
use crate::function::{Block, Function, Inst, Value};
use crate::op::{Imm, Op};
use crate::passes::cfg::Loop;
use crate::passes::memory::bit;
use crate::passes::util::Subst;
use crate::types::Type;
use std::collections::HashSet;

impl Mover<'_> {
    /// Does so for every number that is read before it's written.
    pub(super) fn promote(&mut self, func: &mut Function, this: &Loop, subst: &mut Subst) {
        let Some(place) = self.place(func, this) else { return };
        for block in &this.body {
            for load in func.blocks[block.index()].insts.clone() {
                if let Some(stored) = self.stored(func, this, &place, (*block, load)) {
                    let param = self.replace(func, this, &place, (*block, load), stored);
                    subst.replace(func.inst(load).result.expect("a load has a result"), param);
                }
            }
        }
    }

    /// What the loop writes back to where the load reads, later in each round and nowhere else.
    fn stored(&self, func: &Function, this: &Loop, place: &Place, (home, load): (Block, Inst)) -> Option<Value> {
        let data = func.inst(load);
        let (Op::LoadField, Imm::Field(field)) = (data.op, data.imm) else { return None };
        let base = data.args[0];
        let outside = self.home[base.index()].is_some_and(|block| !place.inside[block.index()]);
        if field.ty() != Type::C_WORD || !outside || !self.is_safe(func, place, &HashSet::new(), data) {
            return None;
        }
        let mut stored = None;
        for block in &this.body {
            let mut loaded = home != *block;
            for &inst in &func.blocks[block.index()].insts {
                loaded |= inst == load;
                if self.kills(func, inst) & bit(field as usize) == 0 {
                    continue;
                }
                let store = func.inst(inst);
                let always = this.latches.iter().all(|latch| self.cfg.dominates(*block, *latch));
                let follows = loaded && self.cfg.dominates(home, *block);
                if store.op != Op::StoreField || store.args[0] != base || stored.is_some() || !always || !follows {
                    return None;
                }
                stored = Some(store.args[1]);
            }
        }
        stored
    }

    /// Puts a parameter in the load's place.
    fn replace(&mut self, func: &mut Function, this: &Loop, place: &Place, (home, load): (Block, Inst), stored: Value) -> Value {
        let (base, imm) = (func.inst(load).args.clone(), func.inst(load).imm);
        let first = make_inst(func, Op::LoadField, base, imm, None, Vec::new());
        let result = func.inst(first).result.expect("a load has a result");
        let insts = &mut func.blocks[place.before.index()].insts;
        insts.insert(insts.len() - 1, first);
        let param = func.add_param(this.header, Type::C_WORD, false);
        self.home.resize(func.values.len(), None);
        self.home[result.index()] = Some(place.before);
        self.home[param.index()] = Some(this.header);
        for edge in &self.cfg.preds[this.header.index()] {
            let jump = *func.blocks[edge.from.index()].insts.last().expect("a predecessor has a terminator");
            let value = if edge.from == place.before { result } else { stored };
            func.inst_mut(jump).targets[edge.target].args.push(value);
        }
        func.blocks[home.index()].insts.retain(|inst| *inst != load);
        param
    }
}
