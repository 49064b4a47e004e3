"""Collatz sequences: data-dependent while loops over ints, with and without a memo."""

import pepjit_worker

PLAIN_LIMIT = 11_000
MEMO_LIMIT = 60_000


def steps_to_one(n):
    steps = 0
    while n != 1:
        if n % 2 == 0:
            n //= 2
        else:
            n = 3 * n + 1
        steps += 1
    return steps


def peak(n):
    """The largest number on the way to 1."""
    highest = n
    while n > 1:
        n = n >> 1 if not n & 1 else 3 * n + 1
        if n > highest:
            highest = n
    return highest


def longest_plain(limit):
    best = best_steps = 0
    for start in range(1, limit):
        steps = steps_to_one(start)
        if steps > best_steps:
            best, best_steps = start, steps
    return best, best_steps


def longest_with_memo(limit):
    """The same by remembering the lengths of all smaller starts."""
    lengths = [0] * limit
    best = best_steps = 0
    for start in range(2, limit):
        n = start
        steps = 0
        while n >= start:
            if n & 1:
                n = (3 * n + 1) >> 1
                steps += 2
            else:
                n >>= 1
                steps += 1
        steps += lengths[n]
        lengths[start] = steps
        if steps > best_steps:
            best, best_steps = start, steps
    return best, best_steps, sum(lengths)


def highest_peaks(starts):
    return max((peak(start), start) for start in starts)


def run():
    plain = longest_plain(PLAIN_LIMIT)
    memo = longest_with_memo(MEMO_LIMIT)
    # Numbers whose peaks leave 64 bits exist, but small starts stay far below.
    return plain, memo, highest_peaks(range(1, PLAIN_LIMIT, 7)), steps_to_one(2**61 - 1)


EXPECTED = ((10971, 267), (52527, 339, 6134916), (6810136, 10921), 860)

if __name__ == "__main__":
    pepjit_worker.main("collatz", run, EXPECTED)
