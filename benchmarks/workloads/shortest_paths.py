"""Ways through a city: Dijkstra, A-star, flood fill and spanning trees on a graph."""

import heapq

import pepjit_worker

WIDTH = 110
HEIGHT = 84


class City:
    """A grid of crossings; some are closed, every street has a length."""

    def __init__(self, width, height):
        self.width = width
        self.height = height
        self.closed = set()
        self.streets = {}
        self._build()

    def _build(self):
        state = 1
        for y in range(self.height):
            for x in range(self.width):
                state = state * 16807 % 2147483647
                if state % 5 == 0 and (x, y) not in ((0, 0), (self.width - 1, self.height - 1)):
                    self.closed.add((x, y))
        for y in range(self.height):
            for x in range(self.width):
                for target in ((x + 1, y), (x, y + 1)):
                    state = state * 16807 % 2147483647
                    if self.is_open(target) and self.is_open((x, y)):
                        length = 2 + state % 7
                        self.streets.setdefault((x, y), {})[target] = length
                        self.streets.setdefault(target, {})[x, y] = length

    def is_open(self, crossing):
        x, y = crossing
        return 0 <= x < self.width and 0 <= y < self.height and crossing not in self.closed


def dijkstra(streets, source):
    """The distance to, and the crossing before, every one that can be reached."""
    distances = {source: 0}
    before = {}
    finished = set()
    heap = [(0, source)]
    while heap:
        distance, crossing = heapq.heappop(heap)
        if crossing in finished:
            continue
        finished.add(crossing)
        for neighbour, length in streets[crossing].items():
            through = distance + length
            if neighbour not in distances or through < distances[neighbour]:
                distances[neighbour] = through
                before[neighbour] = crossing
                heapq.heappush(heap, (through, neighbour))
    return distances, before


def path_to(before, target):
    path = [target]
    while path[-1] in before:
        path.append(before[path[-1]])
    path.reverse()
    return path


def a_star(streets, source, target):
    """The distance of two crossings, and how many were looked at."""

    def estimate(crossing):
        return 2 * (abs(crossing[0] - target[0]) + abs(crossing[1] - target[1]))

    best = {source: 0}
    heap = [(estimate(source), source)]
    closed = set()
    while heap:
        _, crossing = heapq.heappop(heap)
        if crossing == target:
            return best[target], len(closed)
        if crossing in closed:
            continue
        closed.add(crossing)
        for neighbour, length in streets[crossing].items():
            through = best[crossing] + length
            if through < best.get(neighbour, 1 << 30):
                best[neighbour] = through
                heapq.heappush(heap, (through + estimate(neighbour), neighbour))
    return None, len(closed)


class DisjointSets:
    def __init__(self):
        self.parent = {}
        self.count = 0

    def find(self, item):
        parent = self.parent
        if item not in parent:
            parent[item] = item
            self.count += 1
            return item
        root = item
        while parent[root] != root:
            root = parent[root]
        while parent[item] != root:
            parent[item], item = root, parent[item]
        return root

    def union(self, one, other):
        one, other = self.find(one), self.find(other)
        if one == other:
            return False
        self.parent[other] = one
        self.count -= 1
        return True


def spanning_tree(streets):
    """Kruskal's: the total length, and in how many parts the city falls."""
    edges = sorted(
        (length, one, other)
        for one, targets in streets.items()
        for other, length in targets.items()
        if one < other
    )
    sets = DisjointSets()
    total = 0
    for length, one, other in edges:
        if sets.union(one, other):
            total += length
    return total, sets.count


def flood(city, start):
    """All crossings that can be reached, with a stack."""
    reached = {start}
    stack = [start]
    while stack:
        x, y = stack.pop()
        for step in ((x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)):
            if step not in reached and city.is_open(step):
                reached.add(step)
                stack.append(step)
    return reached


def run():
    city = City(WIDTH, HEIGHT)
    distances, before = dijkstra(city.streets, (0, 0))
    target = max(distances, key=lambda crossing: (distances[crossing], crossing))
    path = path_to(before, target)
    shortest = [a_star(city.streets, (0, 0), goal) for goal in (target, path[len(path) // 2])]
    agree = shortest[0][0] == distances[target]
    return (
        agree,
        shortest,
        len(path),
        sum(distances.values()),
        spanning_tree(city.streets),
        len(flood(city, (0, 0))) == len(distances),
    )


EXPECTED = (True, [(754, 7317), (386, 2032)], 195, 3090440, (28858, 5), True)

if __name__ == "__main__":
    pepjit_worker.main("shortest_paths", run, EXPECTED)
