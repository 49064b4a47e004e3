"""Digits of pi by a spigot, and e, ln 2 and square roots: arithmetic on big ints."""

import math

import pepjit_worker

SPIGOT_DIGITS = 1_000
SERIES_DIGITS = 3_000


def pi_spigot():
    """The decimal digits of pi, one at a time, by linear fractional transformations."""
    q, r, t, k, n, odd = 1, 0, 1, 1, 3, 3
    while True:
        if 4 * q + r - t < n * t:
            yield n
            r, n, q = 10 * (r - n * t), 10 * (3 * q + r) // t - 10 * n, q * 10
        else:
            r, n = (2 * q + r) * odd, (q * (7 * k) + 2 + r * odd) // (t * odd)
            q *= k
            t *= odd
            odd += 2
            k += 1


def inverse_tangent(x, one):
    """arctan(1 / x), scaled by `one`."""
    power = one // x
    square = x * x
    total = power
    divisor = 3
    while power:
        power //= -square
        total += power // divisor
        divisor += 2
    return total


def pi_machin(digits):
    one = 10 ** (digits + 10)
    pi = 4 * (4 * inverse_tangent(5, one) - inverse_tangent(239, one))
    return pi // 10**10


def euler(digits):
    one = 10 ** (digits + 10)
    total = term = one
    n = 1
    while term:
        term //= n
        total += term
        n += 1
    return total // 10**10


def logarithm_of_two(digits):
    """18 artanh(1/26) - 2 artanh(1/4801) + 8 artanh(1/8749)."""
    one = 10 ** (digits + 10)
    total = 0
    for factor, x in ((18, 26), (-2, 4801), (8, 8749)):
        power = one // x
        square = x * x
        divisor = 1
        while power:
            total += factor * (power // divisor)
            power //= square
            divisor += 2
    return total // 10**10


def square_root(n, digits):
    """Newton's iteration on integers."""
    scaled = n * 10 ** (2 * digits)
    guess = 1 << (scaled.bit_length() + 1) // 2
    while True:
        better = (guess + scaled // guess) >> 1
        if better >= guess:
            return guess
        guess = better


def digit_sum(n):
    total = 0
    while n:
        n, digit = divmod(n, 10)
        total += digit
    return total


def run():
    spigot = pi_spigot()
    digits = 0
    for _ in range(SPIGOT_DIGITS):
        digits = digits * 10 + next(spigot)
    pi = pi_machin(SERIES_DIGITS)
    e = euler(SERIES_DIGITS)
    two = logarithm_of_two(SERIES_DIGITS)
    root = square_root(2, SERIES_DIGITS)
    return (
        pi // 10 ** (SERIES_DIGITS - SPIGOT_DIGITS + 1) == digits,
        root == math.isqrt(2 * 10 ** (2 * SERIES_DIGITS)),
        [value % 10**12 for value in (digits, pi, e, two, root)],
        [digit_sum(value) for value in (pi, e)],
    )


EXPECTED = (
    True,
    True,
    [909216420198, 186494231961, 658323227870, 890174981027, 215313236828],
    [13849, 13627],
)

if __name__ == "__main__":
    pepjit_worker.main("pi_digits", run, EXPECTED)
