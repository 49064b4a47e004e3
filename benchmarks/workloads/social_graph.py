"""A social network in a dict of sets: unions, intersections, breadth-first search."""

import random
from collections import deque

import pepjit_worker

PEOPLE = 700
FRIENDSHIPS = 4_300
SOURCES = 50


def make_graph(people, friendships):
    """Friends are found near by and, sometimes, anywhere."""
    rng = random.Random(271828)
    friends = {person: set() for person in range(people)}
    made = 0
    while made < friendships:
        one = int(rng.random() * people)
        if rng.random() < 0.9:
            other = (one + 1 + int(rng.random() ** 2 * 30)) % people
        else:
            other = int(rng.random() * people)
        if one != other and other not in friends[one]:
            friends[one].add(other)
            friends[other].add(one)
            made += 1
    return friends


GRAPH = make_graph(PEOPLE, FRIENDSHIPS)


def suggestions(friends, person, count):
    """Who shares most friends with `person` without being one."""
    mine = friends[person]
    candidates = set().union(*(friends[friend] for friend in mine)) - mine - {person}
    scored = []
    for candidate in candidates:
        shared = mine & friends[candidate]
        scored.append((-len(shared), candidate))
    scored.sort()
    return [candidate for _, candidate in scored[:count]]


def similarity(friends, one, other):
    left, right = friends[one], friends[other]
    together = left | right
    return len(left & right) / len(together) if together else 0.0


def distances(friends, source):
    found = {source: 0}
    queue = deque([source])
    while queue:
        person = queue.popleft()
        distance = found[person] + 1
        for friend in friends[person]:
            if friend not in found:
                found[friend] = distance
                queue.append(friend)
    return found


def triangles(friends):
    count = 0
    for person, mine in friends.items():
        for friend in mine:
            if friend > person:
                count += sum(1 for third in mine & friends[friend] if third > friend)
    return count


def core_numbers(friends):
    """Peel off the least connected person, again and again."""
    remaining = {person: set(others) for person, others in friends.items()}
    by_degree = {}
    for person, others in remaining.items():
        by_degree.setdefault(len(others), set()).add(person)
    cores = {}
    core = 0
    while remaining:
        degree = min(degree for degree, people in by_degree.items() if people)
        core = max(core, degree)
        person = min(by_degree[degree])
        by_degree[degree].discard(person)
        cores[person] = core
        for friend in remaining.pop(person):
            others = remaining[friend]
            by_degree[len(others)].discard(friend)
            others.discard(person)
            by_degree.setdefault(len(others), set()).add(friend)
    return cores


def run():
    suggested = 0
    for person in GRAPH:
        for rank, candidate in enumerate(suggestions(GRAPH, person, 3)):
            suggested += candidate * (rank + 1)
    alike = sum(similarity(GRAPH, person, (person + 1) % PEOPLE) for person in GRAPH)
    hops = 0
    farthest = 0
    for source in range(0, PEOPLE, PEOPLE // SOURCES):
        found = distances(GRAPH, source)
        hops += sum(found.values())
        farthest = max(farthest, max(found.values()))
    cores = core_numbers(GRAPH)
    return suggested, round(alike, 6), hops, farthest, triangles(GRAPH), sum(cores.values())


EXPECTED = (1421472, 71.459693, 116810, 5, 2439, 5515)

if __name__ == "__main__":
    pepjit_worker.main("social_graph", run, EXPECTED)
