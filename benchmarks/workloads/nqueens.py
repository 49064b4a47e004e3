"""The n-queens problem, three ways: backtracking recursion over ints, lists and sets.

Counts all solutions with bit masks, collects them with a list of columns, and finds
the ones that are different up to symmetry.
"""

import pepjit_worker

COUNT_SIZE = 11
COLLECT_SIZE = 9


def count_solutions(size):
    """The number of solutions; columns and diagonals are bits of ints."""
    full = (1 << size) - 1

    def place(columns, left, right):
        if columns == full:
            return 1
        found = 0
        free = full & ~(columns | left | right)
        while free:
            bit = free & -free
            free ^= bit
            found += place(columns | bit, (left | bit) << 1, (right | bit) >> 1)
        return found

    return place(0, 0, 0)


def is_safe(queens, column):
    row = len(queens)
    for other_row, other_column in enumerate(queens):
        if other_column == column or abs(other_column - column) == row - other_row:
            return False
    return True


def collect_solutions(size):
    """All solutions as tuples: the queen's column in each row."""
    solutions = []
    queens = []

    def extend():
        if len(queens) == size:
            solutions.append(tuple(queens))
            return
        for column in range(size):
            if is_safe(queens, column):
                queens.append(column)
                extend()
                queens.pop()

    extend()
    return solutions


def rotated(solution):
    """A quarter turn."""
    size = len(solution)
    turned = [0] * size
    for row, column in enumerate(solution):
        turned[column] = size - 1 - row
    return tuple(turned)


def mirrored(solution):
    return tuple(reversed(solution))


def symmetries(solution):
    for _ in range(4):
        yield solution
        yield mirrored(solution)
        solution = rotated(solution)


def distinct(solutions):
    """One of each class of solutions that are turns or mirror images of each other."""
    seen = set()
    chosen = []
    for solution in solutions:
        if solution not in seen:
            seen.update(symmetries(solution))
            chosen.append(solution)
    return chosen


def run():
    solutions = collect_solutions(COLLECT_SIZE)
    fundamental = distinct(solutions)
    return (
        count_solutions(COUNT_SIZE),
        len(solutions),
        len(fundamental),
        "".join(map(str, solutions[0])),
        "".join(map(str, solutions[-1])),
    )


EXPECTED = (2680, 352, 46, "025713864", "863175024")

if __name__ == "__main__":
    pepjit_worker.main("nqueens", run, EXPECTED)
