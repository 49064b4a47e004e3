"""Ints beyond 64 bits: arithmetic that starts big, grows big, shrinks again, and what isn't an int among it."""

import signal

from corpus_api import HOT, case, drive, heat, outcome

BIG = 3**100
NUMBERS = [0, 1, -1, 7, 2**62, 2**63, -(2**63), 2**64 - 1, 2**64, BIG, -BIG, BIG + 1]


class Loud(int):
    """An int by class, with operators of its own."""

    def __add__(self, other):
        return f"{int(self)} + {int(other)}"

    def __rmul__(self, other):
        return f"{int(other)} * {int(self)}"

    def __lt__(self, other):
        return "less"


@case
def every_operator_on_big_operands():
    def operators(a, b):
        shown = [a + b, a - b, a * b, a & b, a | b, a ^ b, -a, ~a, a < b, a <= b, a == b, a != b, a > b, a >= b]
        if b:
            shown += [a // b, a % b]
        return shown
    drive(operators, (BIG, BIG - 1), [(a, b) for a in NUMBERS for b in NUMBERS[::2]] + [(True, BIG), (BIG, 2.5)])


@case
def errors_of_big_operands():
    def divide(a, b):
        return a // b + 1

    def modulo(a, b):
        return 1 + a % b

    def shift(a, b):
        return a << b, a >> b

    def joined(a, b):
        return (a + b) * a
    drive(divide, (BIG, 7), [(BIG, 0), (0, 0), (BIG, "x"), (BIG, None), (BIG, 1.5), (5, 2)])
    drive(modulo, (BIG, 7), [(BIG, 0), (0, 0), (BIG, "x"), (BIG, None), ("%d!", BIG), (5, 2)])
    drive(shift, (BIG, 7), [(BIG, -1), (1, 64), (BIG, 0), (BIG, "x"), (0, 10**9), (5, BIG), (True, 70)])
    drive(joined, (BIG, 7), [(BIG, "x"), (BIG, None), ([1], [2]), ("a", "b"), (2, 3), (BIG, 0.5), (Loud(3), BIG), (BIG, Loud(3))])


@case
def operands_of_other_classes():
    def mixed(a, b):
        total = a * b
        return total + a if a < b else total
    inputs = [(BIG, Loud(4)), (Loud(4), BIG), (Loud(4), Loud(5)), (2.5, BIG), (BIG, 2.5), (3, 4), (BIG, BIG + 1), ("ab", 3)]
    drive(mixed, (BIG, BIG + 5), inputs)


@case
def loop_that_grows():
    def factorial(n):
        product = 1
        for i in range(1, n + 1):
            product *= i
        return product
    print([heat(factorial, n) % (10**9 + 7) for n in (5, 20, 21, 50, 200)])
    print(factorial(30))


@case
def loop_that_shrinks():
    def digits(n):
        total = rounds = 0
        while n:
            n, digit = divmod(n, 10)
            total += digit
            rounds += 1
        return total, rounds

    def halves(n):
        rounds = 0
        while n > 1:
            n = n >> 1 if n & 1 == 0 else 3 * n + 1
            rounds += 1
        return rounds
    for n in (BIG, 7**300, 5, 0, 2**64, 2**63 - 1):
        print(heat(digits, n), heat(halves, abs(n) | 1))


@case
def square_and_multiply():
    def power(base, exponent, modulus):
        result = 1
        base %= modulus
        while exponent:
            if exponent & 1:
                result = result * base % modulus
            base = base * base % modulus
            exponent >>= 1
        return result
    drive(power, (5, BIG, 2**127 - 1), [(5, 3, 7), (BIG, BIG, BIG - 2), (2, 0, 1), (2, 5, 0), (2.5, 3, 7), (3, 2**64, 2**64 + 13), (0, BIG, 5)])


@case
def masks_of_64_bits():
    mask = 2**64 - 1

    def mix(z):
        z = (z + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)
    drive(mix, (BIG & mask,), [(0,), (1,), (-1,), (mask,), (2**63,), (BIG,), (-BIG,), (True,), (1.5,), ("x",)])


@case
def constants_beyond_64_bits():
    def compare(a):
        return a < 0x9E3779B97F4A7C15F39CC060, a == 2**64, a + 2**70, 2**70 - a, a & 2**70 - 1, a % 2**70
    drive(compare, (5,), [(n,) for n in NUMBERS] + [(True,), (2.5,), (Loud(3),), ("x",)])


@case
def truth_of_big_ints():
    def count(n):
        rounds = 0
        while n:
            n //= 1000
            rounds += 1
        return rounds, not n, n or "none", bool(n)
    drive(count, (BIG,), [(0,), (5,), (7**500,), (2**64,), (0.0,), (1e6,)])


@case
def results_through_attributes_and_calls():
    class Holder:
        def __init__(self, value):
            self.value = value

        def times(self, factor):
            return self.value * factor

    def total(holders, factor):
        result = 0
        for holder in holders:
            result += holder.times(factor) - holder.value
        return result
    drive(total, ([Holder(BIG), Holder(3)], 5), [([], 5), ([Holder(1)], 2)])
    print(outcome(total, [Holder(BIG), Holder("x")], 5))
    print(total([Holder(n) for n in NUMBERS], BIG))


@case
def classes_change_under_big_ints():
    def chain(values):
        result = 2**80
        for value in values:
            result = result * 3 - value
            if result > 2**400:
                result %= 2**90 - 1
        return result
    for _ in range(HOT):
        chain([1, 2, 3] * 5)
    print(chain([1, 2, 3] * 5))
    for odd in (1.5, True, Loud(7), "x", None, 2**70):
        print(outcome(chain, [1, 2, odd, 3]))


@case
def signals_among_big_ints():
    """The interpreter's multiplication looks for signals: what the handler raises ends it."""
    class Alarm(Exception):
        pass

    def ring(*_):
        raise Alarm("ring")

    def work(value, rounds):
        for _ in range(rounds):
            value = value * value % (2**521 - 1)
        return value
    heat(work, BIG, 20)
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        work(BIG, 10**9)
    except Alarm as alarm:
        print("stopped by", alarm)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    print(work(BIG, 3) == pow(BIG, 8, 2**521 - 1))
