"""Heat in a plate, by successive over-relaxation: floats in lists of lists.

A square plate with fixed edges and a hole is relaxed until it is almost steady,
then the flow over each edge is summed.
"""

import math

import pepjit_worker

SIZE = 80
SWEEPS = 80
HOLE = (range(24, 34), range(40, 56))


def make_plate(size):
    """Hot above, cold below, in between at the sides."""
    plate = [[0.0] * size for _ in range(size)]
    for column in range(size):
        plate[0][column] = 100.0
    for row in range(size):
        plate[row][0] = plate[row][-1] = 100.0 * (1.0 - row / (size - 1))
    return plate


def make_mask(size, hole):
    """True where the temperature is free."""
    rows, columns = hole
    mask = []
    for row in range(size):
        inner = 0 < row < size - 1
        mask.append(
            [
                inner and 0 < column < size - 1 and not (row in rows and column in columns)
                for column in range(size)
            ]
        )
    return mask


def sweep(plate, mask, omega):
    """One pass of over-relaxation in place; the largest change."""
    largest = 0.0
    size = len(plate)
    for i in range(1, size - 1):
        above = plate[i - 1]
        row = plate[i]
        below = plate[i + 1]
        free = mask[i]
        for j in range(1, size - 1):
            if free[j]:
                mean = (above[j] + below[j] + row[j - 1] + row[j + 1]) * 0.25
                change = omega * (mean - row[j])
                row[j] += change
                if change < 0.0:
                    change = -change
                if change > largest:
                    largest = change
    return largest


def relax(plate, mask, sweeps):
    size = len(plate)
    omega = 2.0 / (1.0 + math.sin(math.pi / (size - 1)))
    return [sweep(plate, mask, omega) for _ in range(sweeps)]


def edge_flow(plate):
    """Temperature steps over the four edges: above, below, left, right."""
    return (
        sum(outer - inner for outer, inner in zip(plate[0], plate[1])),
        sum(outer - inner for outer, inner in zip(plate[-1], plate[-2])),
        sum(row[0] - row[1] for row in plate),
        sum(row[-1] - row[-2] for row in plate),
    )


def run():
    plate = make_plate(SIZE)
    changes = relax(plate, make_mask(SIZE, HOLE), SWEEPS)
    flows = tuple(round(flow, 6) for flow in edge_flow(plate))
    return round(changes[-1], 9), flows, round(sum(map(sum, plate)), 6)


EXPECTED = (0.472698468, (194.997417, -69.799702, 38.204448, 76.799672), 226331.080389)

if __name__ == "__main__":
    pepjit_worker.main("relaxation", run, EXPECTED)
