"""Float arithmetic: specials, signs of zero, exactness to the last bit, mixing with ints."""

import math

from corpus_api import HOT, case, drive, heat, outcome

NAN = float("nan")
INF = float("inf")
VALUES = [0.0, -0.0, 1.0, -1.5, 2.5, 1e308, -1e308, 5e-324, 1e-300, INF, -INF, NAN, 0.1, 2.0**53]


def pairs(step=1):
    return [(a, b) for a in VALUES for b in VALUES[::step]]


@case
def add():
    def f(a, b):
        return a + b
    drive(f, (1.5, 2.5), pairs(), rounds=4)


@case
def subtract():
    def f(a, b):
        return a - b
    drive(f, (1.5, 2.5), pairs(), rounds=4)


@case
def multiply():
    def f(a, b):
        return a * b
    drive(f, (1.5, 2.5), pairs(), rounds=4)


@case
def divide():
    def f(a, b):
        return a / b
    drive(f, (1.5, 2.5), pairs(), rounds=4)


@case
def floor_divide():
    def f(a, b):
        return a // b
    drive(f, (7.5, 2.0), pairs() + [(-7.5, 2.0), (7.5, -2.0), (-7.5, -2.0), (6.0, 0.1)], rounds=4)


@case
def modulo():
    def f(a, b):
        return a % b
    drive(f, (7.5, 2.0), pairs() + [(-7.5, 2.0), (7.5, -2.0), (-7.5, -2.0), (6.0, 0.1), (-1e-20, 1.0)], rounds=4)


@case
def power():
    def f(a, b):
        return a ** b
    drive(f, (2.0, 3.0), [(-8.0, 1 / 3), (0.0, -1.0), (-0.0, -1.0), (0.0, 0.0), (NAN, 0.0), (1.0, NAN), (INF, -1.0), (10.0, 400.0),
                          (-1.0, INF), (2.0, 0.5), (-2.0, 3.0), (2, 0.5), (2.0, 10)])


@case
def unary():
    def f(a):
        return -a, +a, abs(a), not a, a == a
    drive(f, (1.5,), [(v,) for v in VALUES])


@case
def compare():
    def f(a, b):
        return a < b, a <= b, a == b, a != b, a >= b, a > b
    drive(f, (1.5, 2.5), pairs(2) + [(2.0**53, 2**53 + 1), (2**53 + 1, 2.0**53), (INF, 10**400), (10**400, INF), (-INF, -(10**400)),
                                    (NAN, 1), (1, NAN), (0.0, False), (1.0, "a")])


@case
def branch_on_nan():
    def f(a, b):
        out = []
        if a < b:
            out.append("<")
        else:
            out.append("not <")
        if not a < b:
            out.append("not(<)")
        if a >= b:
            out.append(">=")
        if not a >= b:
            out.append("not(>=)")
        while a != b:
            out.append("!=")
            break
        else:
            out.append("==")
        return out
    drive(f, (1.5, 2.5), [(NAN, 1.0), (1.0, NAN), (NAN, NAN), (INF, INF), (-0.0, 0.0), (2.5, 1.5)])


@case
def sign_of_zero():
    def f(a, b):
        return str(a * b), str(a - a), str(-(a - a)), str(a + -a), math.copysign(1.0, a * b), str(0.0 * a), str(-0.0 + a * 0)
    drive(f, (1.5, 2.5), [(-1.0, 0.0), (0.0, -0.0), (-0.0, -0.0), (-3.0, 0), (1e-200, -1e-200), (0, -1.0)])


@case
def int_float_mix():
    def f(a, b):
        return a + b, a - b, a * b, a / b, a // b, a % b
    drive(f, (1.5, 2), [(2, 1.5), (True, 1.5), (1.5, True), (2**70, 0.5), (0.5, 2**70), (10**400, 1.5), (1.5, 10**400), (3, 2), (1.5, 0),
                        (0, 1.5), (1.5, None), ("a", 1.5), (1.5, 1j)], rounds=HOT)


@case
def accumulate_exactly():
    def total(n):
        x = 0.0
        for i in range(n):
            x += 0.1
            x -= 0.05 * (i & 3)
        return x.hex()
    return [total(n) for n in range(0, 300, 7)]


@case
def kahan_sum():
    def kahan(values):
        total = carry = 0.0
        for v in values:
            y = v - carry
            t = total + y
            carry = (t - total) - y
            total = t
        return total
    values = [1.0, 1e100, 1.0, -1e100] * 20 + [0.1] * 10
    print(heat(kahan, values).hex(), sum(values), math.fsum(values))
    drive(kahan, (values,), [([1, 2, 3],), ([NAN],), ([INF, -INF],), ([1.0, "a"],)])


@case
def division_by_zero_positions():
    def f(a, b):
        return 1.0 + a / b

    def g(a, b):
        return a // b

    def h(a, b):
        return a % b

    def loop(a, b):
        total = 0.0
        for i in range(5):
            total += a / (b - i)
        return total
    for function in (f, g, h, loop):
        drive(function, (1.5, 20.5), [(1.5, 0.0), (1.5, -0.0), (0.0, 0.0), (NAN, 0.0), (1.5, 3.0)])


@case
def overflow_to_infinity():
    def grow(x, n):
        for _ in range(n):
            x = x * x
        return x
    drive(grow, (1.0001, 5), [(2.0, 9), (2.0, 10), (2.0, 11), (-2.0, 20), (10**10, 4), (1e-10, 8)])


@case
def conversions():
    def f(x):
        return int(x), round(x), math.floor(x), math.ceil(x), math.trunc(x), round(x, 1), x.is_integer()
    drive(f, (1.5,), [(-1.5,), (2.5,), (0.5,), (-0.0,), (1e300,), (INF,), (NAN,), (2.675,), (7.0,)])


@case
def math_functions():
    def f(x):
        return math.sqrt(x), math.sin(x), math.exp(x), math.log(x), math.atan2(x, 1), math.hypot(x, 1.0), math.fabs(x), math.fmod(x, 0.7)
    drive(f, (1.5,), [(0.0,), (-1.0,), (1000.0,), (INF,), (NAN,), (4,), (True,), ("a",), (None,), (10**400,)])


@case
def math_function_replaced():
    def f(x):
        return math.sqrt(x) + 1
    heat(f, 4.0)
    original = math.sqrt
    try:
        math.sqrt = lambda x: -x
        print(f(4.0), heat(f, 9.0))
    finally:
        math.sqrt = original
    return f(4.0)


@case
def newton_iteration():
    def root(x):
        guess = x
        for _ in range(30):
            guess = (guess + x / guess) / 2
        return guess
    return [root(float(n)).hex() for n in range(1, 70)], outcome(root, 0.0), outcome(root, 2), outcome(root, -1.0)


@case
def nbody_step():
    bodies = [[0.0, 0.0, 0.0, 0.0, 0.0, 10.0], [5.0, 0.0, 0.0, 0.0, 1.4, 0.1], [0.0, -8.0, 0.0, 1.1, 0.0, 0.2]]

    def advance(dt):
        n = len(bodies)
        for i in range(n):
            a = bodies[i]
            for j in range(i + 1, n):
                b = bodies[j]
                dx = a[0] - b[0]
                dy = a[1] - b[1]
                d2 = dx * dx + dy * dy
                mag = dt / (d2 * math.sqrt(d2))
                a[3] -= dx * b[5] * mag
                a[4] -= dy * b[5] * mag
                b[3] += dx * a[5] * mag
                b[4] += dy * a[5] * mag
        for a in bodies:
            a[0] += dt * a[3]
            a[1] += dt * a[4]
    for _ in range(200):
        advance(0.01)
    return [[x.hex() for x in b] for b in bodies]


@case
def mandelbrot():
    def escape(cr, ci):
        zr = zi = 0.0
        for i in range(50):
            zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
            if zr * zr + zi * zi > 4.0:
                return i
        return 50
    return [[escape(x / 10.0 - 2.0, y / 5.0 - 1.0) for x in range(0, 30, 2)] for y in range(10)]


@case
def int_becomes_float_midway():
    def f(values):
        total = 0
        for v in values:
            total = total + v
            total *= 2
        return total
    ints = [1, 2, 3] * 5
    drive(f, (ints,), [(ints + [0.5] + ints,), ([0.5] + ints,), ([2**40] * 5 + [0.25],), (ints + [1j],), (ints + [None],)], rounds=HOT)


@case
def float_formatting():
    def show(x):
        return repr(x), str(x), f"{x:.3f}", f"{x:e}", "%g" % x, format(x, "+.1%")
    drive(show, (1.5,), [(v,) for v in VALUES])


@case
def float_hash_and_keys():
    def store(d, k, v):
        d[k] = v
        return len(d)
    d = {}
    for i in range(HOT):
        store(d, i / 4, i)
    print(store(d, 1, "int"), store(d, True, "bool"), store(d, 1.0, "float"), d[1], store(d, -0.0, "zero"), d[0])
    print(store(d, NAN, 1), store(d, NAN, 2), NAN in d)
    return sorted((k for k in d if k == k), key=float)[:6]


@case
def float_identity_is_kept():
    def keep(x):
        y = x
        z = [y, x]
        return y is x, z[0] is z[1], z[0] is x, (y + 0.0) == x
    drive(keep, (1.5,), [(NAN,), (INF,), (3,), ("a",)])


@case
def fused_operations_stay_unfused():
    def f(a, b, c):
        return (a * b + c).hex(), (a * b - c).hex(), (c - a * b).hex(), (a + b + c).hex(), (a + (b + c)).hex()
    drive(f, (1.5, 2.5, 3.5), [(0.1, 10.0, -1.0), (1e16, 1.0, -1e16), (1 / 3, 3.0, -1.0), (1e308, 10.0, -INF),
                               (134217729.0, 134217729.0, -1.8014398777917440e16)])
