"""Pancake flips over all permutations: small ints in short lists, slices and swaps.

For each permutation the prefix given by the first element is reversed until a 1 is
in front; wanted are the most flips and an alternating checksum. Permutations come
in the order of the "counting rotations" scheme.
"""

import pepjit_worker

SIZES = range(4, 9)


def count_flips(permutation):
    """How many prefix reversals until the first element is 0."""
    first = permutation[0]
    if first == 0:
        return 0
    work = permutation[:]
    flips = 0
    while first:
        work[: first + 1] = work[first::-1]
        first = work[0]
        flips += 1
    return flips


def next_permutation(permutation, counters):
    """Rotate to the next one in place; False after the last."""
    size = len(permutation)
    for width in range(1, size):
        first = permutation[0]
        for i in range(width):
            permutation[i] = permutation[i + 1]
        permutation[width] = first
        counters[width] += 1
        if counters[width] <= width:
            return True
        counters[width] = 0
    return False


def fannkuch(size):
    permutation = list(range(size))
    counters = [0] * size
    most = 0
    best = permutation[:]
    checksum = 0
    sign = 1
    total = 0
    while True:
        flips = count_flips(permutation)
        if flips > most:
            most = flips
            best = permutation[:]
        checksum += sign * flips
        sign = -sign
        total += flips
        if not next_permutation(permutation, counters):
            return most, checksum, total, best


def run():
    results = [fannkuch(size) for size in SIZES]
    return [
        (most, checksum, total, "".join(map(str, best))) for most, checksum, total, best in results
    ]


EXPECTED = [
    (4, 4, 38, "2031"),
    (7, 11, 265, "20341"),
    (10, 49, 2115, "453021"),
    (16, 228, 18508, "2035641"),
    (22, 1616, 180260, "50467213"),
]

if __name__ == "__main__":
    pepjit_worker.main("fannkuch", run, EXPECTED)
