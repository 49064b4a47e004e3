"""Discs that bounce in a box: objects, floats, and a grid in a dict of lists.

Each step moves the discs, finds neighbours through the grid's cells, and exchanges
momentum. Energy is kept, the number of contacts is counted.
"""

import math
import random

import pepjit_worker

COUNT = 220
STEPS = 260
BOX = 10.0
RADIUS = 0.18
TIME_STEP = 0.02
NEIGHBOURS = ((0, 0), (1, 0), (0, 1), (1, 1), (-1, 1))


class Disc:
    __slots__ = ("x", "y", "vx", "vy", "mass", "contacts")

    def __init__(self, x, y, vx, vy, mass):
        self.x = x
        self.y = y
        self.vx = vx
        self.vy = vy
        self.mass = mass
        self.contacts = 0

    @property
    def energy(self):
        return 0.5 * self.mass * (self.vx * self.vx + self.vy * self.vy)

    def move(self, dt):
        self.x += self.vx * dt
        self.y += self.vy * dt
        if self.x < RADIUS:
            self.vx = abs(self.vx)
        elif self.x > BOX - RADIUS:
            self.vx = -abs(self.vx)
        if self.y < RADIUS:
            self.vy = abs(self.vy)
        elif self.y > BOX - RADIUS:
            self.vy = -abs(self.vy)

    def collide(self, other):
        """Elastic exchange of momentum if the discs touch and approach each other."""
        dx = other.x - self.x
        dy = other.y - self.y
        square = dx * dx + dy * dy
        if square >= 4.0 * RADIUS * RADIUS or square == 0.0:
            return False
        approach = (other.vx - self.vx) * dx + (other.vy - self.vy) * dy
        if approach >= 0.0:
            return False
        impulse = 2.0 * approach / (square * (self.mass + other.mass))
        self.vx += impulse * other.mass * dx
        self.vy += impulse * other.mass * dy
        other.vx -= impulse * self.mass * dx
        other.vy -= impulse * self.mass * dy
        self.contacts += 1
        other.contacts += 1
        return True


class Box:
    def __init__(self, discs):
        self.discs = discs
        self.cell = 2.0 * RADIUS
        self.contacts = 0

    def grid(self):
        grid = {}
        for disc in self.discs:
            key = (int(disc.x / self.cell), int(disc.y / self.cell))
            grid.setdefault(key, []).append(disc)
        return grid

    def step(self, dt):
        for disc in self.discs:
            disc.move(dt)
        grid = self.grid()
        for (column, row), here in grid.items():
            for right, down in NEIGHBOURS:
                there = grid.get((column + right, row + down))
                if there is None:
                    continue
                for index, disc in enumerate(here):
                    others = here[index + 1 :] if there is here else there
                    for other in others:
                        if disc.collide(other):
                            self.contacts += 1

    @property
    def energy(self):
        return math.fsum(disc.energy for disc in self.discs)


def make_discs(count):
    rng = random.Random(99)
    side = math.ceil(math.sqrt(count))
    spacing = BOX / (side + 1)
    discs = []
    for number in range(count):
        x = spacing * (1 + number % side)
        y = spacing * (1 + number // side)
        vx, vy = rng.uniform(-3.0, 3.0), rng.uniform(-3.0, 3.0)
        discs.append(Disc(x, y, vx, vy, 1.0 + rng.random()))
    return discs


def run():
    box = Box(make_discs(COUNT))
    before = box.energy
    for _ in range(STEPS):
        box.step(TIME_STEP)
    kept = abs(box.energy / before - 1.0) < 1e-9
    busiest = max(disc.contacts for disc in box.discs)
    return kept, box.contacts, busiest, round(sum(disc.x for disc in box.discs), 4)


EXPECTED = (True, 3819, 48, 1076.151)

if __name__ == "__main__":
    pepjit_worker.main("particles", run, EXPECTED)
