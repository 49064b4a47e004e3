//! Control flow: predecessors, orders, dominators, loops.

use crate::function::{Block, Function, Inst};

/// An edge: a block and the position among its terminator's successors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edge {
    pub(crate) from: Block,
    pub(crate) target: usize,
}

/// A natural loop: everything that reaches a back edge without passing the header.
#[derive(Clone, Debug)]
pub(crate) struct Loop {
    pub(crate) header: Block,
    pub(crate) latches: Vec<Block>,
    /// The blocks, header first.
    pub(crate) body: Vec<Block>,
}

/// The edges into blocks, all in one list.
pub(crate) struct Preds {
    edges: Vec<Edge>,
    /// Where each block's edges begin, and the list's end.
    starts: Vec<u32>,
}

impl Preds {
    fn new(func: &Function, rpo: &[Block]) -> Preds {
        let mut starts = vec![0; func.blocks.len() + 1];
        for &from in rpo {
            func.successors(from).for_each(|block| starts[block.index()] += 1);
        }
        let mut end = 0;
        for start in &mut starts {
            end += *start;
            *start = end;
        }
        // Filled from the end, so that each start arrives where it belongs and edges stay in their blocks' order.
        let mut edges = vec![Edge { from: Function::ENTRY, target: 0 }; end as usize];
        for &from in rpo.iter().rev() {
            let targets = func.terminator(from).map_or(&[][..], |inst| &inst.targets);
            for (target, call) in targets.iter().enumerate().rev() {
                let start = &mut starts[call.block.index()];
                *start -= 1;
                edges[*start as usize] = Edge { from, target };
            }
        }
        Preds { edges, starts }
    }
}

impl std::ops::Index<usize> for Preds {
    type Output = [Edge];

    fn index(&self, block: usize) -> &[Edge] {
        &self.edges[self.starts[block] as usize..self.starts[block + 1] as usize]
    }
}

/// The control-flow graph of a function at one time.
pub(crate) struct Cfg {
    /// The edges into each block, from reachable blocks only.
    pub(crate) preds: Preds,
    /// The reachable blocks in reverse post-order.
    pub(crate) rpo: Vec<Block>,
    /// How many loops each block is in.
    pub(crate) depth: Vec<u32>,
    /// How many loops each block is in that go round other than by cold blocks.
    rounds: Vec<u32>,
    /// The natural loops, outer ones first.
    pub(crate) loops: Vec<Loop>,
    position: Vec<u32>,
    enter: Vec<u32>,
    leave: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Cfg {
    /// Analyses a function.
    pub(crate) fn new(func: &Function) -> Cfg {
        let count = func.blocks.len();
        let rpo = reverse_post_order(func);
        let mut position = vec![NONE; count];
        for (index, block) in rpo.iter().enumerate() {
            position[block.index()] = index as u32;
        }
        let preds = Preds::new(func, &rpo);
        let idom = dominators(&rpo, &position, &preds);
        let (enter, leave) = intervals(&rpo, &idom);
        let mut cfg =
            Cfg { preds, rpo, depth: vec![0; count], rounds: vec![0; count], loops: Vec::new(), position, enter, leave };
        cfg.find_loops(func);
        cfg
    }

    /// Whether the block can be reached from the entry.
    pub(crate) fn is_reachable(&self, block: Block) -> bool {
        self.position[block.index()] != NONE
    }

    /// Whether every path to `b` passes through `a` (a block dominates itself).
    pub(crate) fn dominates(&self, a: Block, b: Block) -> bool {
        self.is_reachable(a)
            && self.is_reachable(b)
            && self.enter[a.index()] <= self.enter[b.index()]
            && self.leave[b.index()] <= self.leave[a.index()]
    }

    /// Whether this edge goes back to a loop's header.
    pub(crate) fn is_back_edge(&self, from: Block, to: Block) -> bool {
        self.dominates(to, from)
    }

    /// The reachable blocks so that each comes after its immediate dominator and each subtree of the dominator tree is contiguous.
    pub(crate) fn dominator_preorder(&self) -> Vec<Block> {
        let mut order = self.rpo.clone();
        order.sort_by_key(|block| self.enter[block.index()]);
        order
    }

    /// A rough execution count of a block, for comparisons: ten times as much in each loop, next to nothing where it's cold.
    pub(crate) fn weight(&self, func: &Function, block: Block) -> i64 {
        if func.blocks[block.index()].cold { 1 } else { 16 * 10_i64.pow(self.rounds[block.index()].min(6)) }
    }

    fn find_loops(&mut self, func: &Function) {
        let mut member = vec![NONE; self.depth.len()];
        for index in 0..self.rpo.len() {
            let header = self.rpo[index];
            let latches: Vec<Block> =
                self.preds[header.index()].iter().map(|edge| edge.from).filter(|from| self.dominates(header, *from)).collect();
            if latches.is_empty() {
                continue;
            }
            member[header.index()] = header.0;
            let mut body = vec![header];
            let mut work = latches.clone();
            while let Some(block) = work.pop() {
                if member[block.index()] != header.0 {
                    member[block.index()] = header.0;
                    body.push(block);
                    work.extend(self.preds[block.index()].iter().map(|edge| edge.from));
                }
            }
            let warm = latches.iter().any(|latch| !func.blocks[latch.index()].cold);
            for block in &body {
                self.depth[block.index()] += 1;
                self.rounds[block.index()] += u32::from(warm);
            }
            self.loops.push(Loop { header, latches, body });
        }
    }
}

fn reverse_post_order(func: &Function) -> Vec<Block> {
    let mut seen = vec![false; func.blocks.len()];
    let mut order = Vec::with_capacity(func.blocks.len());
    let mut stack = vec![(Function::ENTRY, 0_usize)];
    seen[0] = true;
    while let Some((block, next)) = stack.last_mut() {
        let target = func.terminator(*block).and_then(|inst| inst.targets.get(*next)).map(|call| call.block);
        *next += 1;
        match target {
            Some(target) if !seen[target.index()] => {
                seen[target.index()] = true;
                stack.push((target, 0));
            }
            Some(_) => {}
            None => {
                order.push(*block);
                stack.pop();
            }
        }
    }
    order.reverse();
    order
}

/// Immediate dominators by Cooper, Harvey and Kennedy's iteration ("A Simple, Fast Dominance Algorithm").
fn dominators(rpo: &[Block], position: &[u32], preds: &Preds) -> Vec<u32> {
    let mut idom = vec![NONE; position.len()];
    idom[Function::ENTRY.index()] = Function::ENTRY.0;
    let mut changed = true;
    while changed {
        changed = false;
        for block in &rpo[1..] {
            let mut new = NONE;
            for edge in &preds[block.index()] {
                let mut other = edge.from.0;
                if idom[other as usize] == NONE {
                    continue;
                }
                if new == NONE {
                    new = other;
                    continue;
                }
                while new != other {
                    if position[new as usize] > position[other as usize] {
                        new = idom[new as usize];
                    } else {
                        other = idom[other as usize];
                    }
                }
            }
            if idom[block.index()] != new {
                idom[block.index()] = new;
                changed = true;
            }
        }
    }
    idom
}

/// Entry and exit times of a depth-first walk of the dominator tree.
fn intervals(rpo: &[Block], idom: &[u32]) -> (Vec<u32>, Vec<u32>) {
    // Each block's first child that is still to be walked, and the sibling after each.
    let (mut child, mut sibling) = (vec![NONE; idom.len()], vec![NONE; idom.len()]);
    for block in rpo[1..].iter().rev() {
        let parent = idom[block.index()] as usize;
        sibling[block.index()] = std::mem::replace(&mut child[parent], block.0);
    }
    let (mut enter, mut leave) = (vec![0; idom.len()], vec![0; idom.len()]);
    let mut time = 1;
    let mut stack = vec![Function::ENTRY.0];
    while let Some(block) = stack.last() {
        let block = *block as usize;
        let next = child[block];
        if next == NONE {
            leave[block] = time;
            stack.pop();
        } else {
            child[block] = sibling[next as usize];
            enter[next as usize] = time;
            stack.push(next);
        }
        time += 1;
    }
    (enter, leave)
}

/// Where each instruction is: its block and its position there.
pub(crate) struct Positions(Vec<Option<(Block, u32)>>);

impl Positions {
    /// Finds the instructions of the reachable blocks.
    pub(crate) fn new(func: &Function, cfg: &Cfg) -> Positions {
        let mut positions = vec![None; func.insts.len()];
        for &block in &cfg.rpo {
            for (index, inst) in func.blocks[block.index()].insts.iter().enumerate() {
                positions[inst.index()] = Some((block, index as u32));
            }
        }
        Positions(positions)
    }

    /// An instruction's place, if it's in a reachable block.
    pub(crate) fn get(&self, inst: Inst) -> Option<(Block, u32)> {
        self.0.get(inst.index()).copied().flatten()
    }

    /// Whether `a` comes before `b` on every path to `b`.
    pub(crate) fn strictly_before(&self, cfg: &Cfg, a: Inst, b: Inst) -> bool {
        match (self.get(a), self.get(b)) {
            (Some((block_a, index_a)), Some((block_b, index_b))) => {
                if block_a == block_b {
                    index_a < index_b
                } else {
                    cfg.dominates(block_a, block_b)
                }
            }
            _ => false,
        }
    }
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
        assert_eq!(cfg.rpo.first(), Some(&Function::ENTRY));
        assert_eq!(cfg.preds[3].len(), 3);
    }
}
