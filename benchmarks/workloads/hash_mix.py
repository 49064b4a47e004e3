"""Pseudo-random generators and hash functions: multiply, shift, xor and mask on ints.

32-bit arithmetic stays in small ints, the 64-bit steps go through ints of more than
one digit, as they do in every Python program that computes checksums by itself.
"""

import pepjit_worker

MASK32 = 0xFFFFFFFF
MASK64 = 0xFFFFFFFFFFFFFFFF
WORDS = 4_000


class Lehmer:
    """A multiplicative generator modulo 2**31 - 1."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = self.state * 48271 % 2147483647
        return self.state


class XorShift:
    def __init__(self, seed):
        self.state = seed & MASK32

    def next(self):
        x = self.state
        x ^= (x << 13) & MASK32
        x ^= x >> 17
        x ^= (x << 5) & MASK32
        self.state = x
        return x


class SplitMix:
    def __init__(self, seed):
        self.state = seed & MASK64

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK64
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
        return z ^ (z >> 31)


def fnv1a(data):
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & MASK32
    return value


def adler(data):
    low, high = 1, 0
    for byte in data:
        low = (low + byte) % 65521
        high = (high + low) % 65521
    return high << 16 | low


def make_crc_table(polynomial):
    table = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = value >> 1 ^ polynomial if value & 1 else value >> 1
        table.append(value)
    return table


CRC_TABLE = make_crc_table(0xEDB88320)


def crc32(data, value=0):
    value ^= MASK32
    for byte in data:
        value = CRC_TABLE[(value ^ byte) & 0xFF] ^ value >> 8
    return value ^ MASK32


def rotate_left(value, count):
    return (value << count | value >> 32 - count) & MASK32


def mix_words(words, seed):
    """A murmur-like hash of 32-bit words."""
    value = seed
    for word in words:
        word = word * 0xCC9E2D51 & MASK32
        word = rotate_left(word, 15) * 0x1B873593 & MASK32
        value = rotate_left(value ^ word, 13)
        value = (value * 5 + 0xE6546B64) & MASK32
    value ^= len(words) * 4
    value = (value ^ value >> 16) * 0x85EBCA6B & MASK32
    value = (value ^ value >> 13) * 0xC2B2AE35 & MASK32
    return value ^ value >> 16


def run():
    results = []
    for generator in (Lehmer(20011), XorShift(2463534242), SplitMix(42)):
        words = [generator.next() & MASK32 for _ in range(WORDS * 6)]
        results.append(mix_words(words, 7))
        data = b"".join([word.to_bytes(4, "little") for word in words[:WORDS]])
        results.extend((fnv1a(data), adler(data), crc32(data)))
    return results


EXPECTED = [
    2972877601,
    215255689,
    2945530418,
    1267976788,
    4160566846,
    453584995,
    1986771969,
    3289965773,
    3511386965,
    664800098,
    1906844311,
    2076780548,
]

if __name__ == "__main__":
    pepjit_worker.main("hash_mix", run, EXPECTED)
