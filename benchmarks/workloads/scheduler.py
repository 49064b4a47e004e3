"""An operating system in small: objects of several classes that send each other packets.

A priority scheduler runs tasks that are written as classes with a common base: a
producer, workers that transform what they get, devices with latency, and an idle task
that decides by a shift register whom to wake. All state lives in attributes.
"""

import pepjit_worker

ROUNDS = 80_000

READY, WAITING, HELD = "ready", "waiting", "held"


class Packet:
    __slots__ = ("kind", "owner", "payload", "hops", "next")

    def __init__(self, kind, owner, payload):
        self.kind = kind
        self.owner = owner
        self.payload = payload
        self.hops = 0
        self.next = None


class PacketQueue:
    """A linked list, first in first out."""

    def __init__(self):
        self.head = None
        self.tail = None
        self.length = 0

    def append(self, packet):
        packet.next = None
        if self.tail is None:
            self.head = packet
        else:
            self.tail.next = packet
        self.tail = packet
        self.length += 1

    def take(self):
        packet = self.head
        if packet is not None:
            self.head = packet.next
            if self.head is None:
                self.tail = None
            packet.next = None
            self.length -= 1
        return packet


class Task:
    def __init__(self, name, priority):
        self.name = name
        self.priority = priority
        self.state = WAITING
        self.queue = PacketQueue()
        self.runs = 0
        self.scheduler = None

    def deliver(self, packet):
        packet.hops += 1
        self.queue.append(packet)
        if self.state == WAITING:
            self.state = READY

    def step(self):
        """Run once; subclasses say what happens, the state afterwards is returned."""
        self.runs += 1
        packet = self.queue.take()
        if packet is None:
            return self.on_empty()
        self.handle(packet)
        return READY if self.queue.length else WAITING

    def on_empty(self):
        return WAITING

    def handle(self, packet):
        raise NotImplementedError


class IdleTask(Task):
    """Wakes one of two devices at each step, as a shift register says."""

    def __init__(self, name, devices):
        super().__init__(name, 0)
        self.register = 0xACE1
        self.devices = devices
        self.state = READY

    def on_empty(self):
        bit = self.register & 1
        self.register >>= 1
        if bit:
            self.register ^= 0xB400
        self.scheduler.release(self.devices[bit])
        return READY


class Producer(Task):
    """Turns each packet that comes home into a new order."""

    def __init__(self, name, priority, workers):
        super().__init__(name, priority)
        self.workers = workers
        self.turn = 0
        self.finished = 0
        self.hops = 0

    def handle(self, packet):
        self.finished += 1
        self.hops += packet.hops
        packet.hops = 0
        packet.payload = (packet.payload * 17 + self.finished) % 8191
        self.turn = (self.turn + 1) % len(self.workers)
        self.scheduler.send(self.workers[self.turn], packet)


class Worker(Task):
    """Scrambles the payload and hands it to a device."""

    def __init__(self, name, priority, device):
        super().__init__(name, priority)
        self.device = device
        self.checksum = 0

    def handle(self, packet):
        value = packet.payload
        for _ in range(4):
            value = (value * 3 + 1) & 0x1FFF
            self.checksum = (self.checksum ^ value) + 1 & 0xFFFF
        packet.payload = value
        packet.kind = "transfer"
        self.scheduler.send(self.device, packet)


class Device(Task):
    """Holds itself after every packet, until the idle task releases it."""

    def __init__(self, name, priority, home):
        super().__init__(name, priority)
        self.home = home
        self.transfers = 0

    def handle(self, packet):
        self.transfers += 1
        packet.kind = "done"
        self.scheduler.send(self.home, packet)

    def step(self):
        super().step()
        return HELD


class Scheduler:
    def __init__(self):
        self.tasks = []
        self.by_name = {}
        self.switches = 0
        self.releases = 0

    def add(self, task):
        task.scheduler = self
        self.tasks.append(task)
        self.tasks.sort(key=lambda task: -task.priority)
        self.by_name[task.name] = task

    def send(self, name, packet):
        self.by_name[name].deliver(packet)

    def release(self, name):
        task = self.by_name[name]
        if task.state == HELD:
            self.releases += 1
            task.state = READY if task.queue.length else WAITING

    def next_ready(self):
        for task in self.tasks:
            if task.state == READY:
                return task
        return None

    def run(self, rounds):
        for _ in range(rounds):
            task = self.next_ready()
            if task is None:
                break
            task.state = task.step()
            self.switches += 1


def build():
    scheduler = Scheduler()
    scheduler.add(IdleTask("idle", ("disk", "tape")))
    scheduler.add(Producer("producer", 30, ("left", "right", "middle")))
    scheduler.add(Worker("left", 20, "disk"))
    scheduler.add(Worker("right", 21, "tape"))
    scheduler.add(Worker("middle", 22, "disk"))
    scheduler.add(Device("disk", 40, "producer"))
    scheduler.add(Device("tape", 41, "producer"))
    for number in range(6):
        scheduler.send("producer", Packet("order", "user", 100 + number))
    return scheduler


def run():
    scheduler = build()
    scheduler.run(ROUNDS)
    task = scheduler.by_name
    return (
        scheduler.switches,
        scheduler.releases,
        task["producer"].finished,
        task["producer"].hops,
        [task[name].checksum for name in ("left", "right", "middle")],
        [task[name].runs for name in ("idle", "disk", "tape")],
    )


EXPECTED = (80000, 18497, 18505, 55503, [47408, 10284, 22136], [24492, 12331, 6168])

if __name__ == "__main__":
    pepjit_worker.main("scheduler", run, EXPECTED)
