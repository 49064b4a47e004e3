"""Planets under gravity: float arithmetic on the attributes of a few objects.

Velocity-Verlet integration of the Sun and four giant planets; the total energy has to
stay where it was.
"""

import math

import pepjit_worker

STEPS = 10_000
TIME_STEP = 0.002
GRAVITY = 4.0 * math.pi * math.pi

# Mass in solar masses, distance in astronomical units, speed as a share of a circular orbit's.
PLANETS = (
    (9.5e-4, 5.2, 1.02),
    (2.9e-4, 9.6, 0.98),
    (4.4e-5, 19.2, 1.01),
    (5.2e-5, 30.1, 0.99),
)


class Body:
    def __init__(self, mass, x, y, z, vx, vy, vz):
        self.mass = mass
        self.x, self.y, self.z = x, y, z
        self.vx, self.vy, self.vz = vx, vy, vz
        self.ax = self.ay = self.az = 0.0

    def kick(self, dt):
        self.vx += self.ax * dt
        self.vy += self.ay * dt
        self.vz += self.az * dt

    def drift(self, dt):
        self.x += self.vx * dt
        self.y += self.vy * dt
        self.z += self.vz * dt

    def kinetic_energy(self):
        return 0.5 * self.mass * (self.vx**2 + self.vy**2 + self.vz**2)


class System:
    def __init__(self, bodies):
        self.bodies = bodies
        self.cancel_drift()

    def cancel_drift(self):
        """Let the centre of mass rest."""
        total = math.fsum(body.mass for body in self.bodies)
        for axis in ("vx", "vy", "vz"):
            mean = math.fsum(body.mass * getattr(body, axis) for body in self.bodies) / total
            for body in self.bodies:
                setattr(body, axis, getattr(body, axis) - mean)

    def accelerate(self):
        bodies = self.bodies
        for body in bodies:
            body.ax = body.ay = body.az = 0.0
        for index, one in enumerate(bodies):
            for other in bodies[index + 1 :]:
                dx = other.x - one.x
                dy = other.y - one.y
                dz = other.z - one.z
                square = dx * dx + dy * dy + dz * dz
                pull = GRAVITY / (square * math.sqrt(square))
                one.ax += dx * pull * other.mass
                one.ay += dy * pull * other.mass
                one.az += dz * pull * other.mass
                other.ax -= dx * pull * one.mass
                other.ay -= dy * pull * one.mass
                other.az -= dz * pull * one.mass

    def advance(self, dt, steps):
        self.accelerate()
        for _ in range(steps):
            for body in self.bodies:
                body.kick(dt / 2)
                body.drift(dt)
            self.accelerate()
            for body in self.bodies:
                body.kick(dt / 2)

    def energy(self):
        energy = sum(body.kinetic_energy() for body in self.bodies)
        for index, one in enumerate(self.bodies):
            for other in self.bodies[index + 1 :]:
                distance = math.dist((one.x, one.y, one.z), (other.x, other.y, other.z))
                energy -= GRAVITY * one.mass * other.mass / distance
        return energy


def solar_system():
    bodies = [Body(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)]
    for number, (mass, distance, kick) in enumerate(PLANETS):
        angle = 0.7 + 1.9 * number
        speed = kick * math.sqrt(GRAVITY / distance)
        x, y = distance * math.cos(angle), distance * math.sin(angle)
        tilt = 0.02 * (number - 1)
        vx, vy = -speed * math.sin(angle), speed * math.cos(angle)
        bodies.append(Body(mass, x, y, distance * tilt, vx, vy, speed * tilt))
    return System(bodies)


def run():
    system = solar_system()
    before = system.energy()
    system.advance(TIME_STEP, STEPS)
    drift = abs(system.energy() / before - 1.0)
    inner = system.bodies[1]
    return (drift < 1e-6, round(inner.x, 6), round(inner.y, 6), round(inner.z, 6))


EXPECTED = (True, -2.008397, -5.22937, 0.152066)

if __name__ == "__main__":
    pepjit_worker.main("nbody", run, EXPECTED)
