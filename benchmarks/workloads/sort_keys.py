"""Sorting with keys: list.sort with key functions, and sorts written in Python.

Addresses are ordered by several keys, versions by parsed tuples, and the same numbers by
merge sort, quicksort, heap sort and insertion sort.
"""

import functools
import operator
import random

import pepjit_worker

PEOPLE = 13_000
VERSIONS = 6_500
NUMBERS = 5_000


class Person:
    def __init__(self, name, city, born, score):
        self.name = name
        self.city = city
        self.born = born
        self.score = score


def make_people(rng, count):
    cities = ["Bonn", "Brno", "Bern", "Bari", "Bath", "Basel"]
    return [
        Person(
            f"n{int(rng.random() * 800):03}",
            cities[int(rng.random() * len(cities))],
            1930 + int(rng.random() * 80),
            rng.random(),
        )
        for _ in range(count)
    ]


def make_versions(rng, count):
    versions = []
    for _ in range(count):
        numbers = [str(int(rng.random() ** 2 * 30)) for _ in range(2 + int(rng.random() * 2))]
        suffix = ("", "", "", "rc1", "b2")[int(rng.random() * 5)]
        versions.append(".".join(numbers) + suffix)
    return versions


def version_key(version):
    """Release candidates and betas come before their release."""
    for rank, mark in enumerate(("b", "rc")):
        text, found, number = version.partition(mark)
        if found:
            return tuple(int(part) for part in text.split(".")), rank, int(number)
    return tuple(int(part) for part in version.split(".")), 9, 0


def compare_scores(one, other):
    """An old-style comparison: a tenth of a point counts as equal, then by name."""
    difference = int(one.score * 10) - int(other.score * 10)
    if difference:
        return -difference
    return (one.name > other.name) - (one.name < other.name)


def merge_sort(values, key):
    if len(values) < 2:
        return values
    middle = len(values) // 2
    left, right = merge_sort(values[:middle], key), merge_sort(values[middle:], key)
    result = []
    i = j = 0
    while i < len(left) and j < len(right):
        if key(right[j]) < key(left[i]):
            result.append(right[j])
            j += 1
        else:
            result.append(left[i])
            i += 1
    result.extend(left[i:])
    result.extend(right[j:])
    return result


def quicksort(values, low=0, high=None):
    if high is None:
        high = len(values) - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        # The shorter side by recursion, so that the depth stays logarithmic.
        if j - low < high - i:
            quicksort(values, low, j)
            low = i
        else:
            quicksort(values, i, high)
            high = j


def sift_down(heap, start, end):
    root = start
    while (child := 2 * root + 1) < end:
        if child + 1 < end and heap[child] < heap[child + 1]:
            child += 1
        if heap[root] >= heap[child]:
            return
        heap[root], heap[child] = heap[child], heap[root]
        root = child


def heap_sort(values):
    for start in range(len(values) // 2 - 1, -1, -1):
        sift_down(values, start, len(values))
    for end in range(len(values) - 1, 0, -1):
        values[0], values[end] = values[end], values[0]
        sift_down(values, 0, end)


def insertion_sort(values):
    for i in range(1, len(values)):
        value = values[i]
        j = i
        while j > 0 and values[j - 1] > value:
            values[j] = values[j - 1]
            j -= 1
        values[j] = value


def run():
    rng = random.Random(5)
    people = make_people(rng, PEOPLE)
    people.sort(key=lambda person: person.name)
    people.sort(key=operator.attrgetter("born"), reverse=True)
    by_city = sorted(people, key=lambda person: (person.city, -person.born, person.name))
    by_score = sorted(people[: PEOPLE // 3], key=functools.cmp_to_key(compare_scores))
    versions = sorted(make_versions(rng, VERSIONS), key=version_key)

    numbers = [int(rng.random() * 100_000) for _ in range(NUMBERS)]
    wanted = sorted(numbers)
    quick, heap, insertion = numbers[:], numbers[:], numbers[: NUMBERS // 10]
    quicksort(quick)
    heap_sort(heap)
    insertion_sort(insertion)
    merged = merge_sort(numbers, key=lambda number: -number)
    return (
        [(person.name, person.city, person.born) for person in (by_city[0], by_city[-1])],
        (by_score[0].name, by_score[-1].name),
        versions[:2] + versions[-2:],
        quick == wanted == heap == merged[::-1],
        insertion == sorted(numbers[: NUMBERS // 10]),
    )


EXPECTED = (
    [("n065", "Bari", 2009), ("n763", "Brno", 1930)],
    ("n000", "n798"),
    ["0.0b2", "0.0b2", "29.28.7rc1", "29.29rc1"],
    True,
    True,
)

if __name__ == "__main__":
    pepjit_worker.main("sort_keys", run, EXPECTED)
