"""Conway's game of life twice: on a wrapped grid of lists, and as a set of cells."""

import pepjit_worker

WIDTH = 64
HEIGHT = 48
GRID_STEPS = 70
SET_STEPS = 230

R_PENTOMINO = {(1, 0), (2, 0), (0, 1), (1, 1), (1, 2)}
GLIDER = {(1, 0), (2, 1), (0, 2), (1, 2), (2, 2)}
AROUND = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]


def make_grid(width, height):
    """A third of the cells live, decided by a small generator."""
    state = 2463534242
    grid = []
    for _ in range(height):
        row = []
        for _ in range(width):
            state ^= state << 13 & 0xFFFFFFFF
            state ^= state >> 17
            state ^= state << 5 & 0xFFFFFFFF
            row.append(1 if state % 3 == 0 else 0)
        grid.append(row)
    return grid


def step_grid(grid):
    """The next generation on a torus."""
    height, width = len(grid), len(grid[0])
    result = []
    for y in range(height):
        above = grid[y - 1]
        here = grid[y]
        below = grid[(y + 1) % height]
        row = []
        for x in range(width):
            left = x - 1
            right = x + 1 if x + 1 < width else 0
            neighbours = (
                above[left]
                + above[x]
                + above[right]
                + here[left]
                + here[right]
                + below[left]
                + below[x]
                + below[right]
            )
            row.append(1 if neighbours == 3 or (neighbours == 2 and here[x]) else 0)
        result.append(row)
    return result


def step_cells(cells):
    """The next generation on an endless plane."""
    counts = {}
    for x, y in cells:
        for dx, dy in AROUND:
            cell = (x + dx, y + dy)
            counts[cell] = counts.get(cell, 0) + 1
    return {cell for cell, count in counts.items() if count == 3 or (count == 2 and cell in cells)}


def bounding_box(cells):
    columns = [x for x, _ in cells]
    rows = [y for _, y in cells]
    return min(columns), min(rows), max(columns), max(rows)


def shape(cells):
    """The cells moved to the origin, to compare figures."""
    left, top, _, _ = bounding_box(cells)
    return frozenset((x - left, y - top) for x, y in cells)


def period(cells, limit):
    """After how many steps the figure is itself again, wherever it has gone."""
    start = shape(cells)
    for step in range(1, limit + 1):
        cells = step_cells(cells)
        if shape(cells) == start:
            return step, bounding_box(cells)[:2]
    return None


def picture(grid):
    return "\n".join("".join(".#"[cell] for cell in row) for row in grid)


def run():
    grid = make_grid(WIDTH, HEIGHT)
    populations = []
    for _ in range(GRID_STEPS):
        grid = step_grid(grid)
        populations.append(sum(map(sum, grid)))
    cells = R_PENTOMINO
    for _ in range(SET_STEPS):
        cells = step_cells(cells)
    return (
        populations[-1],
        sum(populations),
        picture(grid).count("##"),
        len(cells),
        bounding_box(cells),
        period(GLIDER, 8),
    )


EXPECTED = (444, 36299, 115, 126, (-40, -40, 42, 48), (4, (1, 1)))

if __name__ == "__main__":
    pepjit_worker.main("life", run, EXPECTED)
