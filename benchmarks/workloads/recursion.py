"""Recursive functions on small ints: Fibonacci, Ackermann, Takeuchi, Hanoi, partitions."""

import sys

import pepjit_worker

FIBONACCI = 28
ACKERMANN = (2, 170)
TAKEUCHI = (18, 12, 6)
HANOI = 14
PARTITIONS = 38
SUM_DEPTH = 600


def fibonacci(n):
    if n < 2:
        return n
    return fibonacci(n - 1) + fibonacci(n - 2)


def ackermann(m, n):
    if m == 0:
        return n + 1
    if n == 0:
        return ackermann(m - 1, 1)
    return ackermann(m - 1, ackermann(m, n - 1))


def takeuchi(x, y, z):
    if y >= x:
        return z
    return takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y))


def hanoi(disks, source, target, spare, pegs):
    """Really move the disks, which are ints on lists; the number of moves."""
    if disks == 0:
        return 0
    moves = hanoi(disks - 1, source, spare, target, pegs)
    disk = pegs[source].pop()
    if pegs[target] and pegs[target][-1] < disk:
        raise AssertionError("a larger disk on a smaller one")
    pegs[target].append(disk)
    return moves + 1 + hanoi(disks - 1, spare, target, source, pegs)


def is_even(n):
    return True if n == 0 else is_odd(n - 1)


def is_odd(n):
    return False if n == 0 else is_even(n - 1)


def partitions(n, largest):
    """In how many ways n is a sum of parts up to `largest`."""
    if n == 0:
        return 1
    if n < 0 or largest == 0:
        return 0
    return partitions(n - largest, largest) + partitions(n, largest - 1)


def nested_sum(depth):
    return depth + nested_sum(depth - 1) if depth else 0


def power(base, exponent, modulus):
    if exponent == 0:
        return 1
    half = power(base, exponent // 2, modulus)
    square = half * half % modulus
    return square * base % modulus if exponent & 1 else square


def run():
    if sys.getrecursionlimit() < 1000:
        raise RuntimeError("this workload needs the default recursion limit of 1000")
    pegs = {"a": list(range(HANOI, 0, -1)), "b": [], "c": []}
    moves = hanoi(HANOI, "a", "c", "b", pegs)
    return (
        fibonacci(FIBONACCI),
        ackermann(*ACKERMANN),
        takeuchi(*TAKEUCHI),
        (moves, len(pegs["c"])),
        (is_even(300), is_odd(300)),
        partitions(PARTITIONS, PARTITIONS),
        sum(nested_sum(depth) for depth in range(0, SUM_DEPTH, 30)),
        power(3, 10**18, 1_000_003),
    )


EXPECTED = (317811, 343, 7, (16383, 14), (True, False), 26015, 1114350, 393996)

if __name__ == "__main__":
    pepjit_worker.main("recursion", run, EXPECTED)
