"""Public-key arithmetic on big ints: primes, inverses, modular powers, a curve."""

import random

import pepjit_worker

KEY_BITS = 768
MESSAGES = 5
SMALL_PRIMES = [n for n in range(3, 212, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]


def is_probable_prime(n, rng, rounds=6):
    """Trial division, then Miller and Rabin's test."""
    for prime in SMALL_PRIMES:
        if n % prime == 0:
            return n == prime
    odd, twos = n - 1, 0
    while odd & 1 == 0:
        odd >>= 1
        twos += 1
    for _ in range(rounds):
        x = power(rng.getrandbits(60) + 2, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def power(base, exponent, modulus):
    """Square and multiply by hand, from the lowest bit."""
    result = 1
    base %= modulus
    while exponent:
        if exponent & 1:
            result = result * base % modulus
        base = base * base % modulus
        exponent >>= 1
    return result


def extended_gcd(a, b):
    x, next_x = 1, 0
    while b:
        quotient, rest = divmod(a, b)
        a, b = b, rest
        x, next_x = next_x, x - quotient * next_x
    return a, x


def inverse(a, modulus):
    divisor, x = extended_gcd(a % modulus, modulus)
    if divisor != 1:
        raise ValueError("there is no inverse")
    return x % modulus


def random_prime(bits, rng):
    candidate = rng.getrandbits(bits) | 1 << (bits - 1) | 1
    while not is_probable_prime(candidate, rng):
        candidate += 2
    return candidate


class Key:
    def __init__(self, bits, rng):
        self.p = random_prime(bits // 2, rng)
        self.q = random_prime(bits // 2, rng)
        self.modulus = self.p * self.q
        self.public = 65537
        self.private = inverse(self.public, (self.p - 1) * (self.q - 1))

    def encrypt(self, message):
        return power(message, self.public, self.modulus)

    def decrypt(self, secret):
        """By the Chinese remainder theorem."""
        mp = power(secret, self.private % (self.p - 1), self.p)
        mq = power(secret, self.private % (self.q - 1), self.q)
        h = inverse(self.q, self.p) * (mp - mq) % self.p
        return mq + h * self.q


class Curve:
    """y^2 = x^3 + a x + b over a prime field; points are pairs, None is infinity."""

    def __init__(self, a, b, prime):
        self.a = a
        self.b = b
        self.prime = prime

    def contains(self, point):
        x, y = point
        return (y * y - (x * x * x + self.a * x + self.b)) % self.prime == 0

    def add(self, one, other):
        if one is None:
            return other
        if other is None:
            return one
        prime = self.prime
        (x1, y1), (x2, y2) = one, other
        if x1 == x2:
            if (y1 + y2) % prime == 0:
                return None
            slope = (3 * x1 * x1 + self.a) * inverse(2 * y1, prime) % prime
        else:
            slope = (y2 - y1) * inverse(x2 - x1, prime) % prime
        x3 = (slope * slope - x1 - x2) % prime
        return x3, (slope * (x1 - x3) - y1) % prime

    def times(self, factor, point):
        result = None
        while factor:
            if factor & 1:
                result = self.add(result, point)
            point = self.add(point, point)
            factor >>= 1
        return result


def exchange(curve, base, one, other):
    """Both sides of a key exchange get the same point."""
    left = curve.times(one, curve.times(other, base))
    right = curve.times(other, curve.times(one, base))
    return left == right and curve.contains(left), left[0] % 10**9


def run():
    rng = random.Random(1977)
    key = Key(KEY_BITS, rng)
    messages = [rng.getrandbits(KEY_BITS - 8) for _ in range(MESSAGES)]
    restored = [key.decrypt(key.encrypt(message)) for message in messages]
    # 2**255 - 19 is prime; the curve goes through (2, 3) by the choice of b.
    curve = Curve(5, 9 - 8 - 10, 2**255 - 19)
    shared = exchange(curve, (2, 3), rng.getrandbits(56), rng.getrandbits(56))
    return restored == messages, key.modulus % 10**9, shared


EXPECTED = (True, 580347873, (True, 583545678))

if __name__ == "__main__":
    pepjit_worker.main("public_keys", run, EXPECTED)
