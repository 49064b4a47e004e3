"""Dynamic programming over lists: edit distance, knapsack, common subsequence, chains."""

import pepjit_worker

TEXT_LENGTH = 520
ITEMS = 90
CAPACITY = 1_900
CHAIN = 75


def make_texts(length):
    """Two texts over four letters; the second one is the first with mutations."""
    state = 4711
    first, second = [], []
    for _ in range(length):
        state = state * 1664525 + 1013904223 & 0xFFFFFFFF
        letter = "acgt"[state >> 30]
        first.append(letter)
        event = state >> 8 & 15
        if event == 0:
            continue
        second.append("acgt"[state >> 20 & 3] if event == 1 else letter)
        if event == 2:
            second.append("t")
    return "".join(first), "".join(second)


def edit_distance(one, other):
    previous = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        current = [i]
        for j, b in enumerate(other, 1):
            if a == b:
                best = previous[j - 1]
            else:
                best = 1 + min(previous[j - 1], previous[j], current[j - 1])
            current.append(best)
        previous = current
    return previous[-1]


def common_subsequence(one, other):
    """One of the longest, by the full table and a way back through it."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i in range(len(one)):
        row, below = table[i], table[i + 1]
        for j in range(len(other)):
            if one[i] == other[j]:
                below[j + 1] = row[j] + 1
            elif row[j + 1] >= below[j]:
                below[j + 1] = row[j + 1]
            else:
                below[j + 1] = below[j]
    letters = []
    i, j = len(one), len(other)
    while i and j:
        if one[i - 1] == other[j - 1]:
            letters.append(one[i - 1])
            i -= 1
            j -= 1
        elif table[i - 1][j] >= table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return "".join(reversed(letters))


def is_subsequence(short, text):
    letters = iter(text)
    return all(letter in letters for letter in short)


def knapsack(items, capacity):
    """The best value, and the numbers of the items that give it."""
    best = [0] * (capacity + 1)
    taken = []
    for weight, value in items:
        row = bytearray(capacity + 1)
        for room in range(capacity, weight - 1, -1):
            candidate = best[room - weight] + value
            if candidate > best[room]:
                best[room] = candidate
                row[room] = 1
        taken.append(row)
    chosen = []
    room = capacity
    for number in range(len(items) - 1, -1, -1):
        if taken[number][room]:
            chosen.append(number)
            room -= items[number][0]
    return best[capacity], chosen


def coin_ways(coins, amount):
    ways = [1] + [0] * amount
    for coin in coins:
        for total in range(coin, amount + 1):
            ways[total] += ways[total - coin]
    return ways[amount]


def matrix_chain(sizes):
    """The fewest multiplications for a product of matrices."""
    count = len(sizes) - 1
    cost = [[0] * count for _ in range(count)]
    for length in range(2, count + 1):
        for start in range(count - length + 1):
            end = start + length - 1
            outer = sizes[start] * sizes[end + 1]
            best = None
            for split in range(start, end):
                total = cost[start][split] + cost[split + 1][end] + outer * sizes[split + 1]
                if best is None or total < best:
                    best = total
            cost[start][end] = best
    return cost[0][-1]


def longest_increasing(values):
    lengths = []
    for i, value in enumerate(values):
        best = 0
        for j in range(i):
            if values[j] < value and lengths[j] > best:
                best = lengths[j]
        lengths.append(best + 1)
    return max(lengths)


def run():
    one, other = make_texts(TEXT_LENGTH)
    distance = edit_distance(one, other)
    common = common_subsequence(one, other)
    items = [(7 + n * 37 % 59, 11 + n * 53 % 83) for n in range(ITEMS)]
    value, chosen = knapsack(items, CAPACITY)
    honest = value == sum(items[n][1] for n in chosen)
    fits = sum(items[n][0] for n in chosen) <= CAPACITY
    return (
        distance,
        (len(common), is_subsequence(common, one) and is_subsequence(common, other)),
        (value, honest, fits),
        coin_ways((1, 2, 5, 10, 20, 50, 100, 200), 2_000),
        matrix_chain([5 + n * 29 % 31 for n in range(CHAIN)]),
        longest_increasing([n * 7919 % 1009 for n in range(700)]),
    )


EXPECTED = (65, (478, True), (3841, True, True), 23812353521, 169725, 36)

if __name__ == "__main__":
    pepjit_worker.main("dynamic_programming", run, EXPECTED)
