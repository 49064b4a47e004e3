//! The control-flow graph's shape: order, predecessors, dominators.

use crate::function::{Block, Function};

/// What follows from the blocks' terminators. Blocks that can't be reached from the entry are left out.
#[derive(Clone, Debug)]
pub struct Cfg {
    order: Vec<Block>,
    position: Vec<Option<u32>>,
    predecessors: Vec<Vec<Block>>,
    /// By position in `order`: the position of the immediate dominator; the entry is its own.
    dominator: Vec<u32>,
}

impl Cfg {
    /// Reads the graph off a function whose targets exist.
    pub fn new(func: &Function) -> Cfg {
        let order = reverse_postorder(func);
        let mut position = vec![None; func.blocks.len()];
        for (index, block) in order.iter().enumerate() {
            position[block.index()] = Some(index as u32);
        }
        let mut predecessors = vec![Vec::new(); func.blocks.len()];
        for block in &order {
            for successor in func.successors(*block) {
                predecessors[successor.index()].push(*block);
            }
        }
        let mut cfg = Cfg { order, position, predecessors, dominator: Vec::new() };
        cfg.find_dominators();
        cfg
    }

    /// The blocks that can be reached, each before its successors except along back edges.
    pub fn order(&self) -> &[Block] {
        &self.order
    }

    /// Whether a block can be reached from the entry.
    pub fn is_reachable(&self, block: Block) -> bool {
        self.position[block.index()].is_some()
    }

    /// The blocks that jump to a block: twice if both targets of a branch are the block.
    pub fn predecessors(&self, block: Block) -> &[Block] {
        &self.predecessors[block.index()]
    }

    /// Whether every path to `block` goes through `other` (a block dominates itself).
    pub fn dominates(&self, other: Block, block: Block) -> bool {
        let (Some(other), Some(mut at)) = (self.position[other.index()], self.position[block.index()]) else { return false };
        while at > other {
            at = self.dominator[at as usize];
        }
        at == other
    }

    /// Keith D. Cooper, Timothy J. Harvey and Ken Kennedy, "A Simple, Fast Dominance Algorithm", 2001.
    fn find_dominators(&mut self) {
        let mut dominator: Vec<Option<u32>> = vec![None; self.order.len()];
        dominator[0] = Some(0);
        let mut changed = true;
        while changed {
            changed = false;
            for index in 1..self.order.len() {
                let known = self.predecessors[self.order[index].index()].iter().filter_map(|block| self.position[block.index()]);
                let new = known.filter(|at| dominator[*at as usize].is_some()).reduce(|mut left, mut right| {
                    while left != right {
                        let higher = if left > right { &mut left } else { &mut right };
                        *higher = dominator[*higher as usize].unwrap_or(0);
                    }
                    left
                });
                if dominator[index] != new {
                    dominator[index] = new;
                    changed = true;
                }
            }
        }
        self.dominator = dominator.into_iter().map(|block| block.unwrap_or(0)).collect();
    }
}

fn reverse_postorder(func: &Function) -> Vec<Block> {
    let mut seen = vec![false; func.blocks.len()];
    let mut postorder = Vec::new();
    let mut work = vec![(Function::ENTRY, false)];
    while let Some((block, done)) = work.pop() {
        if done {
            postorder.push(block);
        } else if !std::mem::replace(&mut seen[block.index()], true) {
            work.push((block, true));
            let successors: Vec<Block> = func.successors(block).collect();
            work.extend(
                successors.into_iter().rev().filter(|successor| !seen[successor.index()]).map(|successor| (successor, false)),
            );
        }
    }
    postorder.reverse();
    postorder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dominators_of_a_loop_in_a_diamond() {
        let func = crate::parse(
            "function \"f\" entry, locals 0, stack 0, traceable 0 {
               b0(v0: CBool): branch v0 -> b1(), b2()
               b1(): jump -> b3()
               b2(): branch v0 -> b2(), b3()
               b3(): branch v0 -> b5(), b6()
               b4(): jump -> b3()
               b5(): jump -> b3()
               b6(): exit class ! s0
               s0 = @0 locals [] stack []
             }",
        )
        .expect("reads");
        let cfg = Cfg::new(&func);
        let of = |block: u32| {
            func.block_ids().filter(|other| cfg.dominates(*other, Block(block))).map(|block| block.0).collect::<Vec<_>>()
        };
        assert_eq!(of(0), [0]);
        assert_eq!(of(2), [0, 2]);
        assert_eq!(of(3), [0, 3]);
        assert_eq!(of(5), [0, 3, 5]);
        assert_eq!(of(6), [0, 3, 6]);
        assert!(of(4).is_empty() && !cfg.is_reachable(Block(4)));
        assert_eq!(cfg.order().first(), Some(&Function::ENTRY));
        assert_eq!(cfg.predecessors(Block(3)).len(), 3);
    }
}
