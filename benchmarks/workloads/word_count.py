"""Word statistics of a text: dicts of counts, str methods, sorting by count.

The text is made from a seeded vocabulary with a long tail; counted are words, pairs of
neighbours, initials and lengths, first by hand and then with collections.Counter.
"""

import random
from collections import Counter, defaultdict

import pepjit_worker

SENTENCES = 4_500
VOCABULARY = 900
STOP_WORDS = {"the", "and", "of", "to", "in"}


def make_vocabulary(rng, size):
    onsets = ["b", "c", "d", "f", "gr", "h", "k", "l", "m", "n", "p", "pl", "s", "st", "t", "tr"]
    vowels = ["a", "e", "i", "o", "u", "ea", "ou"]
    words = list(STOP_WORDS)
    words.sort()
    known = set(words)
    while len(words) < size:
        syllables = 1 + int(rng.random() * 3)
        word = "".join(
            onsets[int(rng.random() * len(onsets))] + vowels[int(rng.random() * len(vowels))]
            for _ in range(syllables)
        )
        if word not in known:
            known.add(word)
            words.append(word)
    return words


def make_text(sentences, vocabulary_size):
    rng = random.Random(1605)
    vocabulary = make_vocabulary(rng, vocabulary_size)
    lines = []
    for _ in range(sentences):
        length = 5 + int(rng.random() * 14)
        words = [vocabulary[int(rng.random() ** 3 * len(vocabulary))] for _ in range(length)]
        words[0] = words[0].capitalize()
        if length > 10:
            words[length // 2] += ","
        lines.append(" ".join(words) + ".")
    return "\n".join(lines)


TEXT = make_text(SENTENCES, VOCABULARY)


def words_of(line):
    words = []
    for raw in line.split():
        word = raw.strip(".,;:!?").lower()
        if word:
            words.append(word)
    return words


class Statistics:
    def __init__(self):
        self.counts = {}
        self.pairs = defaultdict(int)
        self.initials = defaultdict(list)
        self.longest = ""
        self.lines = 0

    def add_line(self, line):
        self.lines += 1
        previous = None
        for word in words_of(line):
            if word in self.counts:
                self.counts[word] += 1
            else:
                self.counts[word] = 1
                self.initials[word[0]].append(word)
            if len(word) > len(self.longest):
                self.longest = word
            if word in STOP_WORDS:
                previous = None
                continue
            if previous is not None:
                self.pairs[previous, word] += 1
            previous = word

    def top(self, count):
        ranked = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        return ranked[:count]

    def top_pairs(self, count):
        ranked = sorted(self.pairs.items(), key=lambda item: (-item[1], item[0]))
        return [(" ".join(pair), times) for pair, times in ranked[:count]]


def run():
    statistics = Statistics()
    for line in TEXT.splitlines():
        statistics.add_line(line)
    again = Counter(word for line in TEXT.splitlines() for word in words_of(line))
    lengths = Counter()
    for word, times in statistics.counts.items():
        lengths[len(word)] += times
    return (
        dict(again) == statistics.counts,
        statistics.lines,
        sum(statistics.counts.values()),
        statistics.top(4),
        statistics.top_pairs(2),
        statistics.longest,
        sorted(lengths.items()),
        max(len(words) for words in statistics.initials.values()),
    )


EXPECTED = (
    True,
    4500,
    52004,
    [("and", 5360), ("in", 1418), ("of", 937), ("the", 765)],
    [("ku noupleapu", 9), ("deake ku", 7)],
    "troutroustou",
    [
        (2, 7750),
        (3, 9364),
        (4, 4760),
        (5, 6605),
        (6, 7314),
        (7, 6265),
        (8, 6025),
        (9, 2793),
        (10, 946),
        (11, 50),
        (12, 132),
    ],
    126,
)

if __name__ == "__main__":
    pepjit_worker.main("word_count", run, EXPECTED)
