"""The spectral norm of an infinite matrix, cut off: float kernels called per element.

Power iteration on A-transposed times A, for A(i, j) = 1 / ((i + j)(i + j + 1) / 2 + i + 1).
"""

import math

import pepjit_worker

SIZE = 270
ITERATIONS = 4


def element(i, j):
    return 1.0 / ((i + j) * (i + j + 1) // 2 + i + 1)


def times(vector):
    size = len(vector)
    result = []
    for i in range(size):
        total = 0.0
        for j in range(size):
            total += element(i, j) * vector[j]
        result.append(total)
    return result


def transposed_times(vector):
    size = len(vector)
    result = []
    for i in range(size):
        total = 0.0
        for j in range(size):
            total += element(j, i) * vector[j]
        result.append(total)
    return result


def square_times(vector):
    return transposed_times(times(vector))


def dot(left, right):
    total = 0.0
    for a, b in zip(left, right):
        total += a * b
    return total


def normalised(vector):
    length = math.sqrt(dot(vector, vector))
    return [value / length for value in vector]


def spectral_norm(size, iterations):
    """The estimate after each iteration; it grows towards 1.274224..."""
    vector = [1.0] * size
    estimates = []
    for _ in range(iterations):
        vector = normalised(vector)
        image = square_times(vector)
        estimates.append(math.sqrt(dot(vector, image)))
        vector = image
    return estimates


def run():
    estimates = spectral_norm(SIZE, ITERATIONS)
    rising = all(a <= b for a, b in zip(estimates, estimates[1:]))
    return rising, round(estimates[0], 9), round(estimates[-1], 9)


EXPECTED = (True, 0.17715731, 1.274223925)

if __name__ == "__main__":
    pepjit_worker.main("spectral_norm", run, EXPECTED)
