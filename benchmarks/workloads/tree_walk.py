"""Generators over trees: recursive `yield from`, explicit stacks, lazy merging.

A treap (a search tree balanced by random priorities) is filled, walked in several
orders by generators, compared with another one leaf by leaf, and thinned out.
"""

import random

import pepjit_worker

KEYS = 5_500


class Node:
    __slots__ = ("key", "priority", "left", "right")

    def __init__(self, key, priority):
        self.key = key
        self.priority = priority
        self.left = None
        self.right = None

    def __iter__(self):
        """In order, by recursion."""
        if self.left is not None:
            yield from self.left
        yield self.key
        if self.right is not None:
            yield from self.right


def split(node, key):
    """Two treaps: the keys below `key`, and the others."""
    if node is None:
        return None, None
    if node.key < key:
        left, right = split(node.right, key)
        node.right = left
        return node, right
    left, right = split(node.left, key)
    node.left = right
    return left, node


def merge(left, right):
    if left is None:
        return right
    if right is None:
        return left
    if left.priority > right.priority:
        left.right = merge(left.right, right)
        return left
    right.left = merge(left, right.left)
    return right


class Treap:
    def __init__(self, seed):
        self.root = None
        self.rng = random.Random(seed)

    def __contains__(self, key):
        node = self.root
        while node is not None:
            if node.key == key:
                return True
            node = node.left if key < node.key else node.right
        return False

    def add(self, key):
        if key in self:
            return
        left, right = split(self.root, key)
        self.root = merge(merge(left, Node(key, self.rng.random())), right)

    def remove(self, key):
        left, rest = split(self.root, key)
        _, right = split(rest, key + 1)
        self.root = merge(left, right)

    def __iter__(self):
        return iter(self.root or ())

    def preorder(self):
        stack = [self.root]
        while stack:
            node = stack.pop()
            if node is not None:
                yield node
                stack.append(node.right)
                stack.append(node.left)

    def levels(self):
        level = [self.root] if self.root else []
        while level:
            yield [node.key for node in level]
            level = [child for node in level for child in (node.left, node.right) if child]

    def between(self, low, high):
        def walk(node):
            if node is None:
                return
            if low < node.key:
                yield from walk(node.left)
            if low <= node.key < high:
                yield node.key
            if node.key < high:
                yield from walk(node.right)

        return walk(self.root)


def merged(one, other):
    """Two sorted iterables as one, without duplicates."""
    nothing = object()
    one, other = iter(one), iter(other)
    a, b = next(one, nothing), next(other, nothing)
    while a is not nothing and b is not nothing:
        if a < b:
            yield a
            a = next(one, nothing)
        elif b < a:
            yield b
            b = next(other, nothing)
        else:
            yield a
            a, b = next(one, nothing), next(other, nothing)
    while a is not nothing:
        yield a
        a = next(one, nothing)
    while b is not nothing:
        yield b
        b = next(other, nothing)


def same_fringe(one, other):
    return all(a == b for a, b in zip(one, other, strict=True))


def run():
    first, second = Treap(1), Treap(2)
    keys = random.Random(3).sample(range(KEYS * 4), KEYS)
    for key in keys:
        first.add(key)
    for key in reversed(keys):
        second.add(key)
    equal = same_fringe(first, second)
    for key in keys[::3]:
        second.remove(key)
    both = sum(key * (index % 7) for index, key in enumerate(merged(first, second)))
    heap_order = all(
        child is None or child.priority < node.priority
        for node in first.preorder()
        for child in (node.left, node.right)
    )
    middle = list(first.between(KEYS, KEYS * 2))
    spread = [len(level) for level in second.levels()]
    return equal, heap_order, both, len(middle), sum(middle), sum(spread), max(spread)


EXPECTED = (True, True, 182432357, 1414, 11679705, 3666, 395)

if __name__ == "__main__":
    pepjit_worker.main("tree_walk", run, EXPECTED)
