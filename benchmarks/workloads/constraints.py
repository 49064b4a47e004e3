"""A finite-domain constraint solver: small classes, sets, and methods chosen by class.

Variables with domains, constraints that prune them (all different, sum, order), arc
consistency by a work list, and a search with a trail. Solves Latin squares with clues,
a magic square, and a map colouring.
"""

from collections import deque

import pepjit_worker


class Inconsistent(Exception):
    """A domain ran empty."""


class Variable:
    __slots__ = ("name", "domain", "constraints")

    def __init__(self, name, values):
        self.name = name
        self.domain = set(values)
        self.constraints = []

    @property
    def is_fixed(self):
        return len(self.domain) == 1

    @property
    def value(self):
        (value,) = self.domain
        return value


class Constraint:
    def __init__(self, *variables):
        self.variables = variables

    def prune(self, solver):
        """Remove values that can't be part of a solution."""
        raise NotImplementedError


class AllDifferent(Constraint):
    def prune(self, solver):
        for variable in self.variables:
            if not variable.is_fixed:
                continue
            taken = variable.value
            for other in self.variables:
                if other is not variable and taken in other.domain:
                    solver.discard(other, {taken})


class SumIs(Constraint):
    def __init__(self, total, *variables):
        super().__init__(*variables)
        self.total = total

    def prune(self, solver):
        lows = [min(variable.domain) for variable in self.variables]
        highs = [max(variable.domain) for variable in self.variables]
        low, high = sum(lows), sum(highs)
        for variable, lowest, highest in zip(self.variables, lows, highs):
            at_least = self.total - (high - highest)
            at_most = self.total - (low - lowest)
            wrong = {value for value in variable.domain if not at_least <= value <= at_most}
            if wrong:
                solver.discard(variable, wrong)


class Less(Constraint):
    def prune(self, solver):
        left, right = self.variables
        top, bottom = max(right.domain), min(left.domain)
        too_big = {value for value in left.domain if value >= top}
        if too_big:
            solver.discard(left, too_big)
        too_small = {value for value in right.domain if value <= bottom}
        if too_small:
            solver.discard(right, too_small)


class Solver:
    def __init__(self):
        self.variables = []
        self.trail = []
        self.agenda = deque()
        self.queued = set()
        self.pruned = 0
        self.choices = 0

    def variable(self, name, values):
        variable = Variable(name, values)
        self.variables.append(variable)
        return variable

    def add(self, constraint):
        for variable in constraint.variables:
            variable.constraints.append(constraint)
        self.schedule(constraint)

    def schedule(self, constraint):
        if constraint not in self.queued:
            self.queued.add(constraint)
            self.agenda.append(constraint)

    def discard(self, variable, values):
        removed = variable.domain & values
        variable.domain -= removed
        self.trail.append((variable, removed))
        self.pruned += len(removed)
        if not variable.domain:
            raise Inconsistent(variable.name)
        for constraint in variable.constraints:
            self.schedule(constraint)

    def propagate(self):
        try:
            while self.agenda:
                constraint = self.agenda.popleft()
                self.queued.discard(constraint)
                constraint.prune(self)
        except Inconsistent:
            self.agenda.clear()
            self.queued.clear()
            raise

    def undo(self, mark):
        while len(self.trail) > mark:
            variable, removed = self.trail.pop()
            variable.domain |= removed

    def solve(self):
        """Fix every variable, or raise Inconsistent."""
        self.propagate()
        open_variables = [variable for variable in self.variables if not variable.is_fixed]
        if not open_variables:
            return
        chosen = min(open_variables, key=lambda variable: len(variable.domain))
        for value in sorted(chosen.domain):
            mark = len(self.trail)
            self.choices += 1
            try:
                self.discard(chosen, chosen.domain - {value})
                self.solve()
                return
            except Inconsistent:
                self.undo(mark)
        raise Inconsistent(chosen.name)


def latin_square(size, shift):
    solver = Solver()
    grid = [[solver.variable((r, c), range(size)) for c in range(size)] for r in range(size)]
    for row in grid:
        solver.add(AllDifferent(*row))
    for column in zip(*grid):
        solver.add(AllDifferent(*column))
    for i in range(0, size, 2):
        solver.discard(grid[i][i], set(range(size)) - {(i * shift + 1) % size})
    solver.add(Less(grid[1][0], grid[0][1]))
    solver.solve()
    return solver, [[variable.value for variable in row] for row in grid]


def magic_square():
    solver = Solver()
    cells = [solver.variable(i, range(1, 10)) for i in range(9)]
    solver.add(AllDifferent(*cells))
    rows = [cells[i : i + 3] for i in (0, 3, 6)]
    for line in [*rows, *zip(*rows), cells[0::4], cells[2:7:2]]:
        solver.add(SumIs(15, *line))
    solver.add(Less(cells[0], cells[2]))
    solver.add(Less(cells[0], cells[6]))
    solver.add(Less(cells[2], cells[6]))
    solver.solve()
    return solver, [variable.value for variable in cells]


def colour_ring(size):
    """A wheel of an even rim: three colours, the hub has one for itself."""
    solver = Solver()
    hub = solver.variable("hub", range(3))
    rim = [solver.variable(i, range(3)) for i in range(size)]
    for i, variable in enumerate(rim):
        solver.add(AllDifferent(hub, variable))
        solver.add(AllDifferent(variable, rim[i - 1]))
    solver.solve()
    return solver, [hub.value] + [variable.value for variable in rim]


def run():
    results = []
    for size, shift in ((9, 2), (12, 5), (16, 3), (22, 7)):
        solver, grid = latin_square(size, shift)
        weighted = sum(
            value * (3 * r + 5 * c) for r, row in enumerate(grid) for c, value in enumerate(row)
        )
        results.append((solver.pruned, solver.choices, weighted))
    solver, cells = magic_square()
    results.append((solver.pruned, solver.choices, cells))
    solver, colours = colour_ring(40)
    results.append((solver.pruned, solver.choices, sum(colours)))
    try:
        colour_ring(9)
    except Inconsistent:
        results.append("an odd wheel has no colouring")
    return results


EXPECTED = [
    (800, 71, 10368),
    (1599, 94, 34848),
    (3849, 187, 115200),
    (10177, 389, 426888),
    (127, 3, [2, 9, 4, 7, 5, 3, 6, 1, 8]),
    (82, 2, 60),
    "an odd wheel has no colouring",
]

if __name__ == "__main__":
    pepjit_worker.main("constraints", run, EXPECTED)
