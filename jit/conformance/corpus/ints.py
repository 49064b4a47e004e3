"""Integer arithmetic: compact values, overflow into big ints at every operator, signs, errors with their columns."""

from corpus_api import HOT, case, drive, heat, outcome

BORDERS = [0, 1, -1, 2, -5, 255, 256, 257, -6, 2**30 - 1, 2**30, -(2**30), 2**31, 2**60 - 1, 2**60, 2**62, -(2**62),
           2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**30, -(10**30)]


def pairs(left, right):
    return [(a, b) for a in left for b in right]


def spread(step=3):
    return pairs(BORDERS[::step], BORDERS[1::step]) + [(b, b) for b in BORDERS] + [(b, -b) for b in BORDERS]


@case
def add_borders():
    def add(a, b):
        return a + b
    drive(add, (3, 4), spread(), rounds=8)


@case
def subtract_borders():
    def subtract(a, b):
        return a - b
    drive(subtract, (3, 4), spread(), rounds=8)


@case
def multiply_borders():
    def multiply(a, b):
        return a * b
    drive(multiply, (3, 4), spread(), rounds=8)


@case
def floor_divide_signs():
    def floor_divide(a, b):
        return a // b
    small = [(a, b) for a in (-7, -6, -1, 0, 1, 6, 7) for b in (-3, -2, -1, 1, 2, 3)]
    drive(floor_divide, (17, 4), small + spread(), rounds=5)


@case
def modulo_signs():
    def modulo(a, b):
        return a % b
    small = [(a, b) for a in (-7, -6, -1, 0, 1, 6, 7) for b in (-3, -2, -1, 1, 2, 3)]
    drive(modulo, (17, 4), small + spread(), rounds=5)


@case
def true_divide():
    def divide(a, b):
        return a / b
    drive(divide, (17, 4), spread() + [(10**400, 10**399), (10**400, 1), (0, -5), (-1, 3)])


@case
def power():
    def power(a, b):
        return a ** b
    drive(power, (3, 4), [(2, 10), (2, 62), (2, 63), (2, 64), (-2, 63), (-1, 1001), (0, 0), (2, -1), (-2, -3), (0, -1),
                          (10, 30), (7, 1), (True, 5), (2, 0.5), (-8, 1 / 3)])


@case
def power_modulo():
    def power(a, b, c):
        return pow(a, b, c)
    drive(power, (3, 4, 5), [(2, 100, 7), (2, -1, 7), (2, -1, 4), (2, 5, 0), (10**20, 10**5, 10**9 + 7), (-3, 5, -7)])


@case
def shift_left():
    def shift(a, b):
        return a << b
    drive(shift, (3, 4), [(1, 0), (1, 29), (1, 30), (1, 59), (1, 60), (1, 62), (1, 63), (1, 64), (-1, 63), (-1, 64), (0, 500),
                          (5, 100), (1, -1), (0, -1), (-7, 61), (True, 3), (2**62, 1), (-(2**62), 1)])


@case
def shift_right():
    def shift(a, b):
        return a >> b
    drive(shift, (1000, 4), [(1, 0), (-1, 0), (-1, 5), (-1, 64), (-1, 1000), (1, 63), (1, 64), (1, 10**6), (2**64, 3),
                             (-(2**64), 65), (7, -1), (-(2**63), 63), (-(2**63), 62), (0, 99), (-8, 2), (-7, 2)])


@case
def bit_and():
    def both(a, b):
        return a & b
    drive(both, (12, 10), spread())


@case
def bit_or():
    def either(a, b):
        return a | b
    drive(either, (12, 10), spread())


@case
def bit_xor():
    def differ(a, b):
        return a ^ b
    drive(differ, (12, 10), spread())


@case
def invert_and_negate():
    def unary(a):
        return ~a, -a, +a, not a, abs(a)
    drive(unary, (5,), [(b,) for b in BORDERS] + [(-b,) for b in BORDERS] + [(True,), (False,), (1.5,), ("x",)])


@case
def compare_borders():
    def compare(a, b):
        return a < b, a <= b, a == b, a != b, a >= b, a > b
    drive(compare, (3, 4), spread() + [(1, 1.0), (2**53 + 1, float(2**53)), (1, "1"), (None, 1)])


@case
def divmod_builtin():
    def both(a, b):
        q, r = divmod(a, b)
        return q, r, q * b + r == a
    drive(both, (17, 5), spread(5) + [(-17, 5), (17, -5), (-17, -5), (5, 0)])


@case
def divide_by_zero_positions():
    def floor(a, b):
        return (a + 1) // (b * 2) + 5

    def modulo(a, b):
        return 7 + (a % b)

    def true(a, b):
        x = a * 2
        return x / b

    def inplace(a, b):
        a //= b
        return a

    def parity(a, b):
        total = 0
        for i in range(3):
            total += (a - i) % (b - i)
        return total
    for function in (floor, modulo, true, inplace, parity):
        drive(function, (7, 5), [(1, 0), (0, 0), (2**70, 0), (1, 1), (3, 2)])


@case
def sum_overflows_in_loop():
    def total(start, step, count):
        value = start
        for _ in range(count):
            value += step
        return value
    drive(total, (0, 3, 40), [(2**62, 2**60, 10), (-(2**62), -(2**60), 10), (2**30 - 5, 1, 10), (2**63 - 5, 1, 10),
                              (-(2**63) + 5, -1, 10), (0, 2**62, 5)])


@case
def product_overflows_in_loop():
    def factorial(n):
        product = 1
        while n > 1:
            product *= n
            n -= 1
        return product
    drive(factorial, (12,), [(n,) for n in (0, 1, 13, 19, 20, 21, 22, 30, 40)])


@case
def overflow_midway_then_back():
    def wave(n):
        x = 1
        seen = []
        for i in range(n):
            if i < n // 2:
                x = x * 7 + 1
            else:
                x = x // 7
            seen.append(x)
        return seen[-1], max(seen), len(seen)
    drive(wave, (10,), [(60,), (90,), (120,), (200,)])


@case
def fibonacci_to_big():
    a, b = 0, 1
    for i in range(300):
        a, b = b, a + b
        if i % 50 == 49:
            print(i, a)
    return b


@case
def collatz():
    def steps(n):
        count = 0
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            count += 1
        return count
    return [steps(n) for n in range(1, 120)]


@case
def gcd_of_mixed_sizes():
    def gcd(a, b):
        while b:
            a, b = b, a % b
        return a
    drive(gcd, (48, 36), [(2**64, 6), (10**30, 15**20), (0, 5), (5, 0), (-12, 18), (2**61 - 1, 2**31 - 1)])


@case
def linear_congruential():
    def generate(seed, count):
        out = []
        for _ in range(count):
            seed = (seed * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
            out.append(seed >> 33)
        return out[-3:]
    drive(generate, (1, 20), [(0, 5), (2**64 - 1, 50), (123456789, 200)])


@case
def hash_mixing():
    def mix(text):
        h = 0x811C9DC5
        for ch in text:
            h = ((h ^ ord(ch)) * 0x01000193) & 0xFFFFFFFF
        return h
    return [mix("abc" * (i % 20) + str(i)) for i in range(HOT * 2)]


@case
def population_count():
    def bits(n):
        count = 0
        while n:
            n &= n - 1
            count += 1
        return count
    drive(bits, (255,), [(0,), (2**64 - 1,), (2**63,), (10**40,), (1,)])


@case
def inplace_operators():
    def everything(a, b):
        log = []
        a += b; log.append(a)
        a -= 3; log.append(a)
        a *= b; log.append(a)
        a //= 2; log.append(a)
        a %= 1000003; log.append(a)
        a <<= 3; log.append(a)
        a >>= 1; log.append(a)
        a |= b; log.append(a)
        a &= 0xFFFF; log.append(a)
        a ^= b; log.append(a)
        a **= 2; log.append(a)
        return log
    drive(everything, (5, 7), [(2**62, 2**62), (-(2**63), -1), (0, 0), (1, True), (3, 2.0), ("a", "b")])


@case
def parse_integers():
    def parse(text, base):
        return int(text, base)
    drive(parse, ("123", 10), [("-77", 8), ("ff", 16), ("0x1F", 0), ("zz", 36), ("12a", 10), ("", 10), ("1_000", 10), ("1__0", 10),
                               (" 42 ", 10), ("9" * 40, 10), ("1", 1), (5, 10), ("٣", 10)])


@case
def horner_by_digits():
    def horner(digits):
        value = 0
        for ch in digits:
            value = value * 10 + (ord(ch) - 48)
        return value
    drive(horner, ("12345",), [("9" * 18,), ("9" * 19,), ("9" * 20,), ("1" + "0" * 40,), ("",), ("7",)])


@case
def small_int_identity():
    def identities(a, b):
        x = a + b
        y = b + a
        return x is y, x - y is 0 + (a - a), type(x)
    drive(identities, (100, 50), [(0, 0), (-5, 0), (-3, -2), (128, 128), (-3, -3), (250, 6)])


@case
def small_int_identity_in_list():
    values = []
    for i in range(300):
        values.append(i - 150)
    cached = [v for v in values if v is (v + 1) - 1]
    return len(cached) >= 155, [v is int(str(v)) for v in values if -5 <= v <= 149].count(True)


@case
def bool_is_int_here():
    def f(a, b):
        return a + b, a * b, a - b, a & b, a | b, a ^ b, a << b, -a, ~b
    with_warnings = []
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drive(f, (3, 4), [(True, True), (False, True), (True, 2), (2, False)])
    return with_warnings


@case
def float_arrives_in_int_code():
    def mixed(a, b):
        return a * b + a - b
    drive(mixed, (3, 4), [(1.5, 2), (2, 1.5), (1.5, 2.5), (2**70, 0.5), (1, 2**70), (1 + 2j, 3), ("a", 3), (3, None)], rounds=HOT)


@case
def wrong_types_at_each_operator():
    import operator

    def add(a, b): return a + b
    def subtract(a, b): return a - b
    def multiply(a, b): return a * b
    def floor(a, b): return a // b
    def modulo(a, b): return a % b
    def shift(a, b): return a << b
    def conjunction(a, b): return a & b
    def less(a, b): return a < b
    for function in (add, subtract, multiply, floor, modulo, shift, conjunction, less):
        drive(function, (9, 2), [(None, 1), (1, None), ("a", 1), (1, "a"), ([], 1), (1, []), (1.5, "x"), (object, 2)])
    return operator.add(1, 2)


@case
def index_protocol():
    class Index:
        def __init__(self, value):
            self.value = value

        def __index__(self):
            if self.value < 0:
                raise LookupError("no index")
            return self.value

        def __repr__(self):
            return f"Index({self.value})"

    def shifted(i):
        return [10, 20, 30, 40][i]
    drive(shifted, (1,), [(Index(2),), (Index(-1),), (Index(9),), (True,), (-4,), (-5,), (2**70,), (1.0,)])


@case
def conversions():
    def convert(x):
        return int(x), float(x), bool(x), str(x), hex(x), bin(x), oct(x)
    drive(convert, (10,), [(0,), (-255,), (2**65,), (True,), (2**1024,), (1.5,), ("12",)])


@case
def min_max_sum_abs():
    def fold(values):
        return min(values), max(values), sum(values), sum(map(abs, values))
    drive(fold, ([1, 2, 3],), [([],), ([-1, 2**63, 2**63],), ([1, 2.5],), ([True, False],), ([1, "a"],), ([None],)])


@case
def nested_loops_of_ints():
    def grid(n):
        total = 0
        for i in range(n):
            for j in range(i):
                total += (i * j) ^ (i + j)
                if total & 1:
                    total -= j
        return total
    return [grid(n) for n in (0, 1, 5, 30, 60)], heat(grid, 8), outcome(grid, 3.5)


@case
def masked_hash_chains():
    """Products and shifts that overflow 64 bits, of which a mask leaves the low ones; exits in the middle of the chain."""
    def mix(value, word, count):
        word = word * 0xCC9E2D51 & 0xFFFFFFFF
        value = (value << count | value >> 32 - count) & 0xFFFFFFFF
        value = ((value ^ word) * 5 + 0xE6546B64) & 0x7FFFFFFFFFFFFFFF
        return (value << 40) - word ^ value & 0xFFFF
    drive(mix, (0xDEADBEEF, 12345678901, 13), [
        (2**62, 2**40, 40), (2**63, 1, 3), (1, 2**63 - 1, 31), (-1, -2**62, 0), (5, 7, 64), (5, 7, 70), (3, 3, -1), (3, 3, 33),
        (2**100, 2**90, 5), (True, False, True), (1.5, 2, 3), (1, 2.5, 3), (1, 2, "3"), ("", 1, 2), (1, "", 2),
    ])


@case
def low_bits_of_shifts():
    def low(x, n):
        return (x << n) & 255, (x << 60) & 1, ((x << n) + x << 3) & 0xFF00FF
    drive(low, (5, 3), [(2**63 - 1, 2), (-3, 61), (-1, 63), (7, 64), (7, 200), (1, -1), (2**64, 1), (1, 2**70), (0, 2**20)])


@case
def masks_of_other_classes():
    class Bits:
        def __init__(self, text):
            self.text = text

        def __mul__(self, other):
            return Bits(f"({self.text}*{other})")

        def __and__(self, other):
            return f"{self.text}&{other}"

    def scramble(x):
        return x * 0xCC9E2D51 & 0xFFFF
    drive(scramble, (2**33,), [(3,), (Bits("x"),), ("",), (2.5,), ([],), (None,), (2**200,), (-(2**40),)])


@case
def wide_numbers_in_attributes_and_lists():
    """Numbers of one, two and three digits written over each other."""
    class Box:
        def __init__(self, value):
            self.value = value

    def walk(box, items, step):
        kept = box.value
        box.value = box.value * 3 + step
        box.value = box.value % 1000000000000
        items[0] = items[0] + step
        items[1] = items[1] - step
        return box.value, items[0], items[1], kept

    rows = []
    for start in (0, 2**29, 2**30 - 5, 2**30, 2**31, 2**59, 2**60 - 3, 2**60, 2**62, -(2**30), -(2**45), -(2**60)):
        box, items = Box(start), [start, -start]
        for step in (1, 7, 2**30, 2**31 + 1, -(2**30), -1):
            for _ in range(20):
                rows.append(walk(box, items, step))
                saved = items[0]
            rows.append((saved, saved is items[0], sum(items), hash(items[1]), int.bit_length(items[0])))
    return rows[::7], hash(tuple(rows))
