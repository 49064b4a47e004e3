//! Bytecode to a list of instructions with their specialised names, and its control flow.

use crate::input::{CodeInput, Handler, PyVersion};
use crate::opcodes::OpcodeTable;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// An instruction with its argument and what its specialisation tells.
#[derive(Clone, Debug)]
pub(crate) struct Insn {
    /// Where it starts, `EXTENDED_ARG` included, in code units.
    pub(crate) offset: u32,
    /// Where its own opcode is.
    pub(crate) unit: u32,
    /// Where the next one starts.
    pub(crate) next: u32,
    /// The opcode's name.
    pub(crate) name: &'static str,
    /// The argument.
    pub(crate) arg: u32,
    /// The specialised opcode's name; the plain one if it isn't specialised.
    pub(crate) spec: &'static str,
}

impl Insn {
    /// The jump's target.
    pub(crate) fn target(&self) -> Option<u32> {
        match self.name {
            "JUMP_FORWARD" | "POP_JUMP_IF_FALSE" | "POP_JUMP_IF_TRUE" | "POP_JUMP_IF_NONE" | "POP_JUMP_IF_NOT_NONE" => {
                Some(self.next + self.arg)
            }
            // At the end of the iteration the interpreter goes past the END_FOR.
            "FOR_ITER" => Some(self.next + self.arg + 1),
            "JUMP_BACKWARD" | "JUMP_BACKWARD_NO_INTERRUPT" => self.next.checked_sub(self.arg),
            _ => None,
        }
    }

    /// Whether the next instruction is never reached from this one.
    pub(crate) fn ends_flow(&self) -> bool {
        matches!(
            self.name,
            "JUMP_FORWARD"
                | "JUMP_BACKWARD"
                | "JUMP_BACKWARD_NO_INTERRUPT"
                | "RETURN_VALUE"
                | "RETURN_CONST"
                | "RAISE_VARARGS"
                | "RERAISE"
                | "YIELD_VALUE"
                | "INTERPRETER_EXIT"
        )
    }

    /// The local variables that the instruction binds or clears.
    pub(crate) fn stores(&self) -> Vec<u32> {
        match self.name {
            "STORE_FAST" | "DELETE_FAST" | "LOAD_FAST_AND_CLEAR" | "STORE_FAST_MAYBE_NULL" | "MAKE_CELL" => vec![self.arg],
            "STORE_FAST_STORE_FAST" => vec![self.arg >> 4, self.arg & 15],
            "STORE_FAST_LOAD_FAST" => vec![self.arg >> 4],
            _ => Vec::new(),
        }
    }
}

/// A stretch of instructions entered only at its start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Region {
    /// Indices of its instructions.
    pub(crate) insns: std::ops::Range<usize>,
    /// Where control goes from its end.
    pub(crate) successors: Vec<u32>,
}

/// A loop: its header and everything that reaches a back edge to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loop {
    /// The starts of its regions.
    pub(crate) body: BTreeSet<u32>,
    /// The locals that it binds or clears.
    pub(crate) stores: BTreeSet<u32>,
}

/// A function's instructions and control flow, as far as it's reached without exceptions.
#[derive(Debug)]
pub(crate) struct Bytecode {
    /// Every instruction.
    pub(crate) insns: Vec<Insn>,
    /// The reachable regions by their start.
    pub(crate) regions: BTreeMap<u32, Region>,
    /// The regions in reverse post-order.
    pub(crate) order: Vec<u32>,
    /// The loops by their header.
    pub(crate) loops: BTreeMap<u32, Loop>,
    /// The targets of the handlers that are compiled.
    pub(crate) handlers: BTreeSet<u32>,
    /// How many loops each region is in.
    pub(crate) depth: HashMap<u32, u32>,
    /// Whether some loop can also be entered elsewhere than at its header. Python's control flow alone has no such loops, nor has a loop
    /// that is entered in its middle; with the ways of exceptions it may: a handler that is reached from the inner loop that was
    /// entered goes on with the loop around it.
    pub(crate) irreducible: bool,
}

/// Reads the instructions.
pub(crate) fn decode(input: &CodeInput) -> Vec<Insn> {
    let table = OpcodeTable::of(input.version);
    let mut insns = Vec::new();
    let mut position = 0;
    while position < input.code.len() {
        let start = position;
        let mut arg = 0u32;
        loop {
            let [opcode, low] = input.code[position].to_le_bytes();
            arg = arg << 8 | u32::from(low);
            if table.name(opcode) != "EXTENDED_ARG" || position + 1 >= input.code.len() {
                break;
            }
            position += 1;
        }
        let [opcode, _] = input.code[position].to_le_bytes();
        let name = table.name(opcode);
        let live = input.adaptive.get(position).map_or(opcode, |unit| unit.to_le_bytes()[0]);
        let spec = match table.name(live) {
            "" => name,
            other if other.starts_with("INSTRUMENTED") => name,
            other => other,
        };
        let next = position + 1 + table.caches(opcode) as usize;
        insns.push(Insn { offset: start as u32, unit: position as u32, next: next as u32, name, arg, spec });
        position = next;
    }
    insns
}

impl Bytecode {
    /// Finds what is reachable from an offset.
    pub(crate) fn new(input: &CodeInput, entry: u32) -> Bytecode {
        let insns = decode(input);
        let index: HashMap<u32, usize> = insns.iter().enumerate().map(|(index, insn)| (insn.offset, index)).collect();
        let handlers = hot_handlers(input, &insns);
        let mut leaders = BTreeSet::from([entry]);
        leaders.extend(&handlers);
        for insn in &insns {
            if let Some(target) = insn.target() {
                leaders.insert(target);
                leaders.insert(insn.next);
            }
            // The pairs of a loop may come without their tuples.
            if insn.name == "FOR_ITER"
                && let Some(unpack) = index.get(&insn.next).map(|next| &insns[*next])
                && unpack.name == "UNPACK_SEQUENCE"
            {
                leaders.insert(unpack.next);
            }
        }
        let mut regions = BTreeMap::new();
        let mut work = vec![entry];
        while let Some(start) = work.pop() {
            if regions.contains_key(&start) {
                continue;
            }
            let Some(&first) = index.get(&start) else { continue };
            let mut last = first;
            while !insns[last].ends_flow()
                && insns[last].target().is_none()
                && last + 1 < insns.len()
                && !leaders.contains(&insns[last + 1].offset)
            {
                last += 1;
            }
            let end = &insns[last];
            // The fall-through comes first: it's the likelier one in a loop.
            let mut successors = Vec::new();
            if !end.ends_flow() {
                successors.push(end.next);
            }
            successors.extend(end.target());
            successors.extend(raised_to(input, &handlers, &insns[first..=last]));
            work.extend(&successors);
            regions.insert(start, Region { insns: first..last + 1, successors });
        }
        let order = reverse_post_order(&regions, entry);
        let loops = find_loops(&regions, &order, &insns);
        let mut depth = HashMap::new();
        for body in loops.values() {
            for region in &body.body {
                *depth.entry(*region).or_insert(0) += 1;
            }
        }
        let irreducible = is_irreducible(&loops, entry);
        Bytecode { insns, regions, order, loops, handlers, depth, irreducible }
    }
}

/// The handlers to compile: those that are said to run, and those of which the interpreter has specialised something.
fn hot_handlers(input: &CodeInput, insns: &[Insn]) -> BTreeSet<u32> {
    let has_run = |target: u32| {
        insns
            .iter()
            .skip_while(|insn| insn.offset < target)
            .take_while(|insn| insn.offset == target || !insn.ends_flow())
            .any(|insn| insn.spec != insn.name)
    };
    let targets = input.handlers.iter().map(|handler| handler.target);
    targets.filter(|target| input.hot_handlers.contains(target) || has_run(*target)).collect()
}

/// Where instructions go that raise.
fn raised_to(input: &CodeInput, compiled: &BTreeSet<u32>, insns: &[Insn]) -> BTreeSet<u32> {
    let covers = |handler: &&Handler| insns.iter().any(|insn| handler.start <= insn.unit && insn.unit < handler.end);
    input.handlers.iter().filter(covers).map(|handler| handler.target).filter(|target| compiled.contains(target)).collect()
}

fn reverse_post_order(regions: &BTreeMap<u32, Region>, entry: u32) -> Vec<u32> {
    let mut order = Vec::new();
    let mut seen = BTreeSet::from([entry]);
    let mut stack = vec![(entry, 0)];
    while let Some((region, next)) = stack.pop() {
        let successors = regions.get(&region).map_or(&[][..], |data| &data.successors);
        if let Some(successor) = successors.get(next) {
            stack.push((region, next + 1));
            if regions.contains_key(successor) && seen.insert(*successor) {
                stack.push((*successor, 0));
            }
        } else {
            order.push(region);
        }
    }
    order.reverse();
    order
}

/// Natural loops: a back edge goes to a region that comes no later in reverse post-order.
fn find_loops(regions: &BTreeMap<u32, Region>, order: &[u32], insns: &[Insn]) -> BTreeMap<u32, Loop> {
    let position: HashMap<u32, usize> = order.iter().enumerate().map(|(position, region)| (*region, position)).collect();
    let mut predecessors: HashMap<u32, Vec<u32>> = HashMap::new();
    for region in order {
        for successor in &regions[region].successors {
            predecessors.entry(*successor).or_default().push(*region);
        }
    }
    let mut loops: BTreeMap<u32, Loop> = BTreeMap::new();
    for region in order {
        for successor in &regions[region].successors {
            if position.get(successor).is_some_and(|target| *target <= position[region]) {
                let body = &mut loops.entry(*successor).or_default().body;
                body.insert(*successor);
                let mut work = vec![*region];
                while let Some(member) = work.pop() {
                    if body.insert(member) {
                        work.extend(predecessors.get(&member).into_iter().flatten());
                    }
                }
            }
        }
    }
    for body in loops.values_mut() {
        for region in &body.body {
            for insn in &insns[regions[region].insns.clone()] {
                body.stores.extend(insn.stores());
            }
        }
    }
    loops
}

/// Whether one of the loops has a second way in: going back from a back edge without passing the header ends at the entry only if
/// there's a way around the header.
fn is_irreducible(loops: &BTreeMap<u32, Loop>, entry: u32) -> bool {
    loops.iter().any(|(header, body)| *header != entry && body.body.contains(&entry))
}

/// How many stack entries an iterator takes: 3.15 keeps an index beside it.
pub(crate) const fn iterator_width(version: PyVersion) -> usize {
    match version {
        PyVersion::V313 | PyVersion::V314 => 1,
        PyVersion::V315 => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The loops of a flow graph that is entered at its first region, and whether one of them has two ways in.
    fn loops(edges: &[(u32, &[u32])]) -> (Vec<u32>, bool) {
        let region = |(start, to): &(u32, &[u32])| (*start, Region { insns: 0..0, successors: to.to_vec() });
        let regions: BTreeMap<u32, Region> = edges.iter().map(region).collect();
        let entry = edges[0].0;
        let loops = find_loops(&regions, &reverse_post_order(&regions, entry), &[]);
        (loops.keys().copied().collect(), is_irreducible(&loops, entry))
    }

    #[test]
    fn a_loop_that_is_entered_at_its_header_has_one_way_in() {
        assert_eq!(loops(&[(0, &[1]), (1, &[2, 5]), (2, &[3]), (3, &[4, 1]), (4, &[3]), (5, &[])]), (vec![1, 3], false));
        // The inner one is entered, and the outer one comes round to it.
        assert_eq!(loops(&[(3, &[4, 1]), (4, &[3]), (1, &[2, 5]), (2, &[3]), (5, &[])]), (vec![3], false));
    }

    #[test]
    fn a_handler_that_goes_on_with_a_loop_around_the_entered_one_is_a_second_way_in() {
        // `for` (10) around `while` (20) with a `try` around the inner `for` (60), which is entered; its handler (130) goes on with the
        // `while` (from 140) or behind it (from 160).
        let (_, irreducible) = loops(&[
            (60, &[61, 80, 130]),
            (61, &[60, 130]),
            (80, &[110]),
            (110, &[10]),
            (10, &[120, 20]),
            (20, &[30]),
            (30, &[40, 50, 130]),
            (40, &[110]),
            (50, &[60]),
            (120, &[]),
            (130, &[140, 160]),
            (140, &[20]),
            (160, &[110]),
        ]);
        assert!(irreducible);
    }
}
