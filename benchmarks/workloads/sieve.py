"""Primes: a sieve, sums over its gaps, and Goldbach partitions. Small ints and lists."""

import pepjit_worker

LIMIT = 420_000
GOLDBACH_LIMIT = 2_400


def sieve(limit):
    """A list whose entry n says whether n is a prime."""
    is_prime = [True] * (limit + 1)
    is_prime[0] = is_prime[1] = False
    n = 2
    while n * n <= limit:
        if is_prime[n]:
            for multiple in range(n * n, limit + 1, n):
                is_prime[multiple] = False
        n += 1
    return is_prime


def collect(is_prime):
    primes = []
    for n, prime in enumerate(is_prime):
        if prime:
            primes.append(n)
    return primes


def gap_histogram(primes):
    histogram = {}
    previous = primes[0]
    for prime in primes[1:]:
        gap = prime - previous
        histogram[gap] = histogram.get(gap, 0) + 1
        previous = prime
    return histogram


def goldbach_partitions(n, primes, is_prime):
    count = 0
    for prime in primes:
        if prime > n // 2:
            break
        if is_prime[n - prime]:
            count += 1
    return count


def smallest_factors(limit):
    """The smallest prime factor of each number, by a linear sieve."""
    factors = [0] * (limit + 1)
    primes = []
    for n in range(2, limit + 1):
        if factors[n] == 0:
            factors[n] = n
            primes.append(n)
        for prime in primes:
            if prime > factors[n] or prime * n > limit:
                break
            factors[prime * n] = prime
    return factors


def count_divisors(n, factors):
    divisors = 1
    while n > 1:
        prime = factors[n]
        exponent = 0
        while n % prime == 0:
            n //= prime
            exponent += 1
        divisors *= exponent + 1
    return divisors


def run():
    is_prime = sieve(LIMIT)
    primes = collect(is_prime)
    gaps = gap_histogram(primes)
    partitions = [goldbach_partitions(n, primes, is_prime) for n in range(4, GOLDBACH_LIMIT, 2)]
    factors = smallest_factors(LIMIT // 4)
    divisors = max(count_divisors(n, factors) for n in range(1, LIMIT // 8))
    most_common_gap = max(gaps, key=lambda gap: (gaps[gap], gap))
    return len(primes), primes[-1], most_common_gap, min(partitions), sum(partitions), divisors


EXPECTED = (35390, 419999, 6, 1, 36139, 108)

if __name__ == "__main__":
    pepjit_worker.main("sieve", run, EXPECTED)
