"""Escape-time fractals: tight float loops whose length differs from pixel to pixel.

Renders a Mandelbrot section with floats and a Julia section with complex numbers,
and hashes the rows of characters.
"""

import zlib

import pepjit_worker

WIDTH = 192
HEIGHT = 128
LIMIT = 80
SHADES = " .:-=+*#%@"


def mandelbrot_steps(cr, ci, limit):
    x = y = 0.0
    x2 = y2 = 0.0
    steps = 0
    while steps < limit and x2 + y2 <= 4.0:
        y = 2.0 * x * y + ci
        x = x2 - y2 + cr
        x2 = x * x
        y2 = y * y
        steps += 1
    return steps


def julia_steps(z, c, limit):
    for steps in range(limit):
        if abs(z) > 2.0:
            return steps
        z = z * z + c
    return limit


def shade(steps, limit):
    return SHADES[steps * (len(SHADES) - 1) // limit]


def mandelbrot_rows(width, height, limit):
    for row in range(height):
        ci = -1.2 + 2.4 * row / (height - 1)
        line = []
        for column in range(width):
            cr = -2.1 + 2.8 * column / (width - 1)
            line.append(mandelbrot_steps(cr, ci, limit))
        yield line


def julia_rows(width, height, limit, c):
    for row in range(height):
        im = -1.1 + 2.2 * row / (height - 1)
        line = []
        for column in range(width):
            re = -1.6 + 3.2 * column / (width - 1)
            line.append(julia_steps(complex(re, im), c, limit))
        yield line


def render(rows, limit):
    """The picture as text, and how many points never escaped."""
    lines = []
    inside = 0
    for row in rows:
        inside += row.count(limit)
        lines.append("".join([shade(steps, limit) for steps in row]))
    return "\n".join(lines), inside


def run():
    picture, inside = render(mandelbrot_rows(WIDTH, HEIGHT, LIMIT), LIMIT)
    julia, julia_inside = render(julia_rows(WIDTH // 2, HEIGHT // 2, LIMIT, -0.8 + 0.156j), LIMIT)
    return zlib.crc32(picture.encode()), inside, zlib.crc32(julia.encode()), julia_inside


EXPECTED = (1267635371, 5614, 1792790618, 726)

if __name__ == "__main__":
    pepjit_worker.main("escape_time", run, EXPECTED)
