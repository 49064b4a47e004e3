"""An office building's lifts as a discrete-event simulation: heap, objects, callbacks.

Passengers arrive by a seeded random process, lifts collect and deliver them, and
bound methods in a priority queue are the events.
"""

import heapq
import random

import pepjit_worker

FLOORS = 14
LIFTS = 3
CAPACITY = 8
PASSENGERS = 5_500


class Simulation:
    def __init__(self):
        self.now = 0.0
        self.events = []
        self.sequence = 0
        self.handled = 0

    def at(self, delay, action, *arguments):
        self.sequence += 1
        heapq.heappush(self.events, (self.now + delay, self.sequence, action, arguments))

    def run(self):
        while self.events:
            self.now, _, action, arguments = heapq.heappop(self.events)
            self.handled += 1
            action(*arguments)


class Passenger:
    __slots__ = ("start", "target", "called", "boarded", "arrived")

    def __init__(self, start, target, called):
        self.start = start
        self.target = target
        self.called = called
        self.boarded = None
        self.arrived = None

    @property
    def waiting_time(self):
        return self.boarded - self.called

    @property
    def travel_time(self):
        return self.arrived - self.boarded


class Lift:
    TRAVEL = 1.5
    DOOR = 2.0
    STEP = 0.8

    def __init__(self, number, building):
        self.number = number
        self.building = building
        self.floor = 0
        self.direction = 0
        self.riders = []
        self.stops = 0
        self.moving = False

    def wake(self):
        if not self.moving:
            self.moving = True
            self.building.simulation.at(0.0, self.decide)

    def wanted_floors(self):
        floors = {rider.target for rider in self.riders}
        if len(self.riders) < CAPACITY:
            floors.update(self.building.calling_floors())
        return floors

    def decide(self):
        """Open here, go on, or rest."""
        wanted = self.wanted_floors()
        if not wanted:
            self.moving = False
            self.direction = 0
            return
        if self.floor in wanted:
            self.building.simulation.at(self.DOOR, self.open_doors)
            return
        ahead = [floor for floor in wanted if (floor - self.floor) * self.direction > 0]
        if not ahead:
            nearest = min(wanted, key=lambda floor: (abs(floor - self.floor), floor))
            self.direction = 1 if nearest > self.floor else -1
        self.building.simulation.at(self.TRAVEL, self.arrive)

    def arrive(self):
        self.floor += self.direction
        self.decide()

    def open_doors(self):
        self.stops += 1
        now = self.building.simulation.now
        staying = []
        for rider in self.riders:
            if rider.target == self.floor:
                rider.arrived = now
                self.building.delivered.append(rider)
            else:
                staying.append(rider)
        self.riders = staying
        queue = self.building.queues[self.floor]
        boarded = 0
        while queue and len(self.riders) < CAPACITY:
            rider = queue.pop(0)
            rider.boarded = now
            self.riders.append(rider)
            boarded += 1
        self.building.simulation.at(self.STEP * boarded, self.decide)


class Building:
    def __init__(self, simulation):
        self.simulation = simulation
        self.queues = [[] for _ in range(FLOORS)]
        self.delivered = []
        self.lifts = [Lift(number, self) for number in range(LIFTS)]

    def calling_floors(self):
        return [floor for floor, queue in enumerate(self.queues) if queue]

    def call(self, start, target):
        self.queues[start].append(Passenger(start, target, self.simulation.now))
        for lift in self.lifts:
            lift.wake()


def make_traffic(rng, simulation, building, count):
    """Up in the morning, down in the evening, something of both between."""
    when = 0.0
    for number in range(count):
        when += rng.expovariate(0.35)
        phase = number / count
        other = 1 + int(rng.random() * (FLOORS - 1))
        if rng.random() < 0.7:
            start, target = (0, other) if phase < 0.5 else (other, 0)
        else:
            start = int(rng.random() * FLOORS)
            target = (start + 1 + int(rng.random() * (FLOORS - 1))) % FLOORS
        simulation.at(when, building.call, start, target)


def run():
    simulation = Simulation()
    building = Building(simulation)
    make_traffic(random.Random(7), simulation, building, PASSENGERS)
    simulation.run()
    waits = sorted(passenger.waiting_time for passenger in building.delivered)
    travels = sum(passenger.travel_time for passenger in building.delivered)
    return (
        len(building.delivered),
        simulation.handled,
        [lift.stops for lift in building.lifts],
        round(waits[len(waits) // 2], 3),
        round(waits[-1], 3),
        round(travels, 3),
    )


EXPECTED = (5500, 38561, [2476, 2482, 2443], 15.379, 130.344, 150249.3)

if __name__ == "__main__":
    pepjit_worker.main("elevator", run, EXPECTED)
