"""asyncio as it comes: tasks, queues, locks, events and time-outs without any I/O.

A build system: targets depend on each other, workers build what is ready, a cache is
guarded by a lock, and progress goes through a queue to a reporter.
"""

import asyncio

import pepjit_worker

TARGETS = 2_400
WORKERS = 6


class Target:
    def __init__(self, number, needs):
        self.number = number
        self.needs = needs
        self.built = asyncio.Event()
        self.digest = 0


class Builder:
    def __init__(self, targets):
        self.targets = targets
        self.cache = {}
        self.lock = asyncio.Lock()
        self.slots = asyncio.Semaphore(WORKERS)
        self.messages = asyncio.Queue(maxsize=16)
        self.hits = 0

    async def compile(self, source):
        """Pretends to wait for a compiler; the number of waits depends on the source."""
        digest = source
        for _ in range(source % 4 + 1):
            await asyncio.sleep(0)
            digest = (digest * 31 + 7) % 65_521
        return digest

    async def cached(self, source):
        async with self.lock:
            known = self.cache.get(source)
        if known is not None:
            self.hits += 1
            return known
        digest = await self.compile(source)
        async with self.lock:
            self.cache[source] = digest
        return digest

    async def build(self, target):
        for need in target.needs:
            await self.targets[need].built.wait()
        inputs = sum(self.targets[need].digest for need in target.needs)
        async with self.slots:
            parts = await asyncio.gather(
                self.cached(target.number % 97), self.cached(target.number % 89)
            )
        target.digest = (inputs + sum(parts) + target.number) % 65_521
        target.built.set()
        await self.messages.put((target.number, target.digest))

    async def report(self):
        order = 0
        count = 0
        while True:
            message = await self.messages.get()
            if message is None:
                return count, order
            count += 1
            order = (order * 33 + message[0]) % 1_000_003

    async def run(self):
        reporter = asyncio.create_task(self.report())
        async with asyncio.TaskGroup() as group:
            for target in self.targets:
                group.create_task(self.build(target))
        await self.messages.put(None)
        return await reporter


def make_targets(count):
    targets = []
    for number in range(count):
        needs = {number * factor // 10 for factor in (3, 6, 9)} - {number}
        targets.append(Target(number, sorted(needs)[: number % 4]))
    return targets


async def gives_up():
    """A time-out and a cancellation, as servers live with."""
    never = asyncio.Event()
    try:
        async with asyncio.timeout(0):
            await never.wait()
    except TimeoutError:
        timed_out = True
    else:
        timed_out = False
    task = asyncio.create_task(never.wait())
    await asyncio.sleep(0)
    task.cancel()
    results = await asyncio.gather(task, return_exceptions=True)
    return timed_out, type(results[0]).__name__


async def everything():
    builder = Builder(make_targets(TARGETS))
    count, _ = await builder.run()
    digests = sum(target.digest for target in builder.targets)
    return count, len(builder.cache), digests, await gives_up()


def run():
    return asyncio.run(everything())


EXPECTED = (2400, 97, 77616710, (True, "CancelledError"))

if __name__ == "__main__":
    pepjit_worker.main("asyncio_workers", run, EXPECTED)
