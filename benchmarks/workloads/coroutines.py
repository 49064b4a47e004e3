"""async and await on an event loop of our own: coroutines, futures, queues, timers.

A restaurant: guests arrive, waiters take orders from a queue, cooks share two stoves,
bills are written. Time is simulated, so the loop never sleeps.
"""

import heapq
from collections import deque

import pepjit_worker

GUESTS = 5_000


class Suspend:
    """Awaiting one hands a function to the loop, which gets the task to resume later."""

    __slots__ = ("arrange",)

    def __init__(self, arrange):
        self.arrange = arrange

    def __await__(self):
        return (yield self)


class Task:
    __slots__ = ("coroutine", "loop", "result", "done", "waiting")

    def __init__(self, coroutine, loop):
        self.coroutine = coroutine
        self.loop = loop
        self.result = None
        self.done = False
        self.waiting = []

    def step(self, value=None):
        try:
            request = self.coroutine.send(value)
        except StopIteration as stop:
            self.done = True
            self.result = stop.value
            for task in self.waiting:
                self.loop.resume(task, self.result)
        else:
            request.arrange(self)

    def __await__(self):
        if not self.done:
            yield Suspend(self.waiting.append)
        return self.result


class Loop:
    def __init__(self):
        self.now = 0
        self.ready = deque()
        self.timers = []
        self.sequence = 0
        self.steps = 0

    def spawn(self, coroutine):
        task = Task(coroutine, self)
        self.resume(task)
        return task

    def resume(self, task, value=None):
        self.ready.append((task, value))

    def sleep(self, delay):
        def arrange(task):
            self.sequence += 1
            heapq.heappush(self.timers, (self.now + delay, self.sequence, task))

        return Suspend(arrange)

    def run(self):
        while self.ready or self.timers:
            if not self.ready:
                self.now, _, task = heapq.heappop(self.timers)
                self.resume(task)
            task, value = self.ready.popleft()
            self.steps += 1
            task.step(value)


class Queue:
    def __init__(self, loop):
        self.loop = loop
        self.items = deque()
        self.getters = deque()

    def put(self, item):
        if self.getters:
            self.loop.resume(self.getters.popleft(), item)
        else:
            self.items.append(item)

    async def get(self):
        if self.items:
            return self.items.popleft()
        return await Suspend(self.getters.append)


class Semaphore:
    def __init__(self, loop, count):
        self.loop = loop
        self.free = count
        self.waiters = deque()

    async def __aenter__(self):
        if self.free:
            self.free -= 1
        else:
            await Suspend(self.waiters.append)

    async def __aexit__(self, *details):
        if self.waiters:
            self.loop.resume(self.waiters.popleft())
        else:
            self.free += 1


class Restaurant:
    def __init__(self, loop):
        self.loop = loop
        self.orders = Queue(loop)
        self.stoves = Semaphore(loop, 2)
        self.cooked = 0
        self.bills = []

    async def cook(self, dish):
        async with self.stoves:
            await self.loop.sleep(2 + dish % 3)
            self.cooked += 1
        return dish * 7 % 31 + 3

    async def courses(self, dishes):
        """An asynchronous generator: the price of each dish as it is served."""
        for dish in dishes:
            yield await self.cook(dish)

    async def serve(self, guest, dishes, reply):
        total = 0
        async for price in self.courses(dishes):
            total += price
        reply.put((guest, total))

    async def waiter(self):
        served = 0
        while True:
            order = await self.orders.get()
            if order is None:
                return served
            await self.serve(*order)
            served += 1

    async def guest(self, number):
        await self.loop.sleep(number * 3)
        reply = Queue(self.loop)
        dishes = [(number * step + step) % 11 for step in range(1, 2 + number % 4)]
        self.orders.put((number, dishes, reply))
        guest, total = await reply.get()
        self.bills.append(total)
        return self.loop.now - guest * 3

    async def day(self, guests, waiters):
        staff = [self.loop.spawn(self.waiter()) for _ in range(waiters)]
        tasks = [self.loop.spawn(self.guest(number)) for number in range(guests)]
        stays = [await task for task in tasks]
        for _ in staff:
            self.orders.put(None)
        return stays, [await task for task in staff]


def run():
    loop = Loop()
    restaurant = Restaurant(loop)
    day = loop.spawn(restaurant.day(GUESTS, 4))
    loop.run()
    stays, served = day.result
    return loop.steps, loop.now, restaurant.cooked, sum(restaurant.bills), max(stays), served


EXPECTED = (42628, 18188, 12500, 193232, 3197, [1136, 1307, 1250, 1307])

if __name__ == "__main__":
    pepjit_worker.main("coroutines", run, EXPECTED)
