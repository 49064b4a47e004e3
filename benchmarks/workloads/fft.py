"""A fast Fourier transform in place, and a convolution with it: floats by index.

A radix-2 transform over two lists of floats (real and imaginary), there and back,
then a smoothing of the signal by multiplication in the frequency domain.
"""

import math

import pepjit_worker

SIZE = 8192
TAPS = 31


def bit_reversed(real, imag):
    """Sort both lists by the reversed bits of their index."""
    n = len(real)
    j = 0
    for i in range(1, n):
        bit = n >> 1
        while j & bit:
            j ^= bit
            bit >>= 1
        j |= bit
        if i < j:
            real[i], real[j] = real[j], real[i]
            imag[i], imag[j] = imag[j], imag[i]


def transform(real, imag, inverse=False):
    n = len(real)
    if n & (n - 1):
        raise ValueError(f"the length has to be a power of two, not {n}")
    bit_reversed(real, imag)
    length = 2
    while length <= n:
        angle = 2.0 * math.pi / length * (1.0 if inverse else -1.0)
        step_r, step_i = math.cos(angle), math.sin(angle)
        half = length // 2
        for start in range(0, n, length):
            wr, wi = 1.0, 0.0
            for low in range(start, start + half):
                high = low + half
                tr = real[high] * wr - imag[high] * wi
                ti = real[high] * wi + imag[high] * wr
                real[high] = real[low] - tr
                imag[high] = imag[low] - ti
                real[low] += tr
                imag[low] += ti
                wr, wi = wr * step_r - wi * step_i, wr * step_i + wi * step_r
        length *= 2
    if inverse:
        scale = 1.0 / n
        for i in range(n):
            real[i] *= scale
            imag[i] *= scale


def make_signal(n):
    """Three tones and deterministic noise."""
    state = 12345
    signal = []
    for i in range(n):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        noise = state / 0x7FFFFFFF - 0.5
        t = 2.0 * math.pi * i / n
        tones = math.sin(5 * t) + 0.5 * math.cos(17 * t) + 0.25 * math.sin(90 * t)
        signal.append(tones + 0.1 * noise)
    return signal


def convolve(signal, kernel):
    """The circular convolution of two signals of the same length."""
    n = len(signal)
    ar, ai = signal[:], [0.0] * n
    br, bi = kernel[:], [0.0] * n
    transform(ar, ai)
    transform(br, bi)
    for i in range(n):
        ar[i], ai[i] = ar[i] * br[i] - ai[i] * bi[i], ar[i] * bi[i] + ai[i] * br[i]
    transform(ar, ai, inverse=True)
    return ar


def peaks(real, imag, count):
    power = [real[i] ** 2 + imag[i] ** 2 for i in range(len(real) // 2)]
    return sorted(range(len(power)), key=power.__getitem__, reverse=True)[:count]


def run():
    signal = make_signal(SIZE)
    real, imag = signal[:], [0.0] * SIZE
    transform(real, imag)
    tones = peaks(real, imag, 3)
    transform(real, imag, inverse=True)
    error = max(abs(a - b) for a, b in zip(signal, real))
    kernel = [1.0 / TAPS] * TAPS + [0.0] * (SIZE - TAPS)
    smooth = convolve(signal, kernel)
    direct = sum(signal[(100 - k) % SIZE] for k in range(TAPS)) / TAPS
    return tones, error < 1e-9, abs(smooth[100] - direct) < 1e-9, round(smooth[700], 6)


EXPECTED = ([5, 17, 90], True, True, 0.016205)

if __name__ == "__main__":
    pepjit_worker.main("fft", run, EXPECTED)
