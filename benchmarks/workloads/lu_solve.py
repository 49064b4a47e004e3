"""Dense linear equations by LU decomposition: floats in lists of lists, with pivoting.

Factors a matrix once, solves for several right sides, and computes the residuals and
the determinant.
"""

import random

import pepjit_worker

SIZE = 150
RIGHT_SIDES = 4


class SingularMatrix(ArithmeticError):
    pass


class Factors:
    """P A = L U, both triangles in one matrix."""

    def __init__(self, matrix):
        self.lu = [row[:] for row in matrix]
        self.order = list(range(len(matrix)))
        self.sign = 1.0
        self._factor()

    def _factor(self):
        lu = self.lu
        n = len(lu)
        for k in range(n):
            pivot = max(range(k, n), key=lambda i: abs(lu[i][k]))
            if lu[pivot][k] == 0.0:
                raise SingularMatrix(f"no pivot in column {k}")
            if pivot != k:
                lu[k], lu[pivot] = lu[pivot], lu[k]
                self.order[k], self.order[pivot] = self.order[pivot], self.order[k]
                self.sign = -self.sign
            row_k = lu[k]
            inverse = 1.0 / row_k[k]
            for i in range(k + 1, n):
                row_i = lu[i]
                factor = row_i[k] * inverse
                row_i[k] = factor
                for j in range(k + 1, n):
                    row_i[j] -= factor * row_k[j]

    def determinant(self):
        product = self.sign
        for i, row in enumerate(self.lu):
            product *= row[i]
        return product

    def solve(self, right):
        lu = self.lu
        n = len(lu)
        x = [right[i] for i in self.order]
        for i in range(n):
            row = lu[i]
            total = x[i]
            for j in range(i):
                total -= row[j] * x[j]
            x[i] = total
        for i in reversed(range(n)):
            row = lu[i]
            total = x[i]
            for j in range(i + 1, n):
                total -= row[j] * x[j]
            x[i] = total / row[i]
        return x


def residual(matrix, x, right):
    """The largest error of a solution."""
    worst = 0.0
    for row, wanted in zip(matrix, right):
        got = sum(a * b for a, b in zip(row, x))
        worst = max(worst, abs(got - wanted))
    return worst


def make_matrix(n, rng):
    return [[rng.uniform(-1.0, 1.0) + (2.0 if i == j else 0.0) for j in range(n)] for i in range(n)]


def run():
    rng = random.Random(2024)
    matrix = make_matrix(SIZE, rng)
    factors = Factors(matrix)
    worst = 0.0
    checksum = 0.0
    for _ in range(RIGHT_SIDES):
        right = [rng.uniform(-5.0, 5.0) for _ in range(SIZE)]
        x = factors.solve(right)
        worst = max(worst, residual(matrix, x, right))
        checksum += x[0] + x[-1]
    try:
        Factors([[1.0, 2.0], [2.0, 4.0]])
        singular_found = False
    except SingularMatrix:
        singular_found = True
    return worst < 1e-10, singular_found, round(checksum, 6), f"{factors.determinant():.6e}"


EXPECTED = (True, True, -11.646867, "9.338431e+96")

if __name__ == "__main__":
    pepjit_worker.main("lu_solve", run, EXPECTED)
