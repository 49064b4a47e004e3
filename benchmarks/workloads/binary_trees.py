"""Many short-lived objects: binary trees built, walked, changed and dropped.

Trees of objects with parent links are cyclic garbage, those of tuples are freed by
reference counts; both are made while a long-lived tree stays.
"""

import pepjit_worker

LONG_LIVED_DEPTH = 12
SHORT_LIVED = ((4, 1_300), (7, 160), (10, 20))


class Node:
    def __init__(self, parent, item):
        self.parent = parent
        self.item = item
        self.left = None
        self.right = None

    def grow(self, depth):
        if depth > 0:
            self.left = Node(self, 2 * self.item)
            self.right = Node(self, 2 * self.item + 1)
            self.left.grow(depth - 1)
            self.right.grow(depth - 1)
        return self

    def size(self):
        if self.left is None:
            return 1
        return 1 + self.left.size() + self.right.size()

    def checksum(self):
        """Depends on which side is which."""
        if self.left is None:
            return self.item
        return self.item + 2 * self.left.checksum() - self.right.checksum()

    def depth_of_first_leaf(self):
        node, depth = self, 0
        while node.left is not None:
            node = node.left
            depth += 1
        return depth

    def path_to_root(self):
        node, path = self, []
        while node is not None:
            path.append(node.item)
            node = node.parent
        return path


def tuple_tree(depth):
    if depth == 0:
        return None, None
    return tuple_tree(depth - 1), tuple_tree(depth - 1)


def tuple_size(tree):
    left, right = tree
    if left is None:
        return 1
    return 1 + tuple_size(left) + tuple_size(right)


def mirror(node):
    """Swap left and right everywhere, in place."""
    if node.left is not None:
        node.left, node.right = node.right, node.left
        mirror(node.left)
        mirror(node.right)
    return node


def leftmost(node):
    while node.left is not None:
        node = node.left
    return node


def prune(node, depth):
    """Drop everything below a level; how many nodes went."""
    if depth == 0:
        gone = node.size() - 1
        node.left = node.right = None
        return gone
    if node.left is None:
        return 0
    return prune(node.left, depth - 1) + prune(node.right, depth - 1)


def run():
    long_lived = Node(None, 1).grow(LONG_LIVED_DEPTH)
    before = long_lived.checksum()
    nodes = 0
    checksum = 0
    for depth, count in SHORT_LIVED:
        for number in range(count):
            tree = Node(None, number).grow(depth)
            checksum += mirror(tree).checksum()
            nodes += tree.size() + tuple_size(tuple_tree(depth))
            checksum += sum(leftmost(tree).path_to_root())
    gone = prune(long_lived, LONG_LIVED_DEPTH - 3)
    return before, nodes, checksum, gone, long_lived.size(), long_lived.depth_of_first_leaf()


EXPECTED = (13, 244080, 59956880, 7168, 1023, 9)

if __name__ == "__main__":
    pepjit_worker.main("binary_trees", run, EXPECTED)
