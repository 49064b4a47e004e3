//! A function as the reference back end keeps it.

use super::NAME;
use super::call::MOST_WORDS;
use super::exits::{self, Key, Planned};
use pepjit_backend::{Addresses, BackendError, Layout, Linkage, ViewPlan};
use pepjit_ir::{ArgKind, Block, Function, FunctionKind, Helper, Imm, InstData, Parameter, Type};
use std::collections::HashMap;

/// A compiled function: the IR, and what the linkage said.
pub(super) struct Unit {
    pub(super) func: Function,
    /// The entry block's parameters.
    pub(super) params: Vec<Parameter>,
    pub(super) layout: Layout,
    pub(super) addresses: Addresses,
    pub(super) exits: HashMap<Key, Planned>,
    /// What others see of its frames, and the address of the table of that; none if nothing is to be seen.
    pub(super) views: Option<(ViewPlan, u64)>,
    /// By the helper's position in the table.
    helpers: Vec<u64>,
}

impl Unit {
    pub(super) fn new(func: &Function, linkage: &mut dyn Linkage) -> Result<Unit, BackendError> {
        let params = func.parameters();
        if let Some(parameter) = params.iter().find(|parameter| !is_passable(parameter.ty, func.kind)) {
            return Err(unsupported(format!("an entry parameter of type {}", parameter.ty)));
        }
        if let Some(helper) = func.insts.iter().filter_map(called).find(|helper| !is_callable(*helper)) {
            return Err(unsupported(format!("a helper with the parameters of {}", helper.info().name)));
        }
        let exits = exits::plan(func, linkage)?;
        let blocks: Vec<Block> = (0..func.blocks.len() as u32).map(Block).collect();
        let views = ViewPlan::new(func, &blocks).map(|plan| {
            let table = linkage.add_views(plan.views());
            (plan, table)
        });
        Ok(Unit {
            func: func.clone(),
            params,
            layout: linkage.layout().clone(),
            addresses: linkage.addresses().clone(),
            exits,
            views: views.filter(|(_, table)| *table != 0),
            helpers: Helper::ALL.iter().map(|helper| linkage.helper(*helper)).collect(),
        })
    }

    pub(super) fn helper(&self, helper: Helper) -> u64 {
        self.helpers[helper as usize]
    }

    /// Bytes of the instructions.
    pub(super) fn bytes(&self) -> usize {
        self.func.insts.len() * size_of::<InstData>()
    }
}

fn unsupported(what: String) -> BackendError {
    BackendError::Unsupported { backend: NAME, what }
}

/// Whether an entry can be given a value of this type: of a function what the vectorcall entry can check, of a loop a word.
fn is_passable(ty: Type, kind: FunctionKind) -> bool {
    let checked = [Type::C_INT, Type::INT, Type::C_FLOAT, Type::FLOAT, Type::NONE, Type::BOOL, Type::TUPLE, Type::DICT];
    match kind {
        FunctionKind::Entry => checked.contains(&ty) || Type::OBJECT.is_subtype(ty),
        FunctionKind::Loop { .. } | FunctionKind::Resume { .. } => ty.is_object() || ty == Type::C_WORD || ty == Type::C_INT,
    }
}

fn called(inst: &InstData) -> Option<Helper> {
    if let Imm::Helper(helper) = inst.imm { Some(helper) } else { None }
}

/// Whether there is a way to call it by address: an array helper, words only, or doubles only.
fn is_callable(helper: Helper) -> bool {
    let info = helper.info();
    let floats = info.args.iter().filter(|kind| **kind == ArgKind::Float).count();
    info.array || (floats == 0 && info.args.len() <= MOST_WORDS) || (floats == info.args.len() && floats <= 2)
}
