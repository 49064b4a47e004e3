"""A compressor in pure Python: LZ77 matches over bytes, packed into bits, and back."""

import pepjit_worker

TEXT_LENGTH = 70_000
WINDOW = 4096
MIN_MATCH = 3
MAX_MATCH = 18
MAX_CHAIN = 8


class BitWriter:
    def __init__(self):
        self.output = bytearray()
        self.buffer = 0
        self.count = 0

    def write(self, value, width):
        self.buffer |= value << self.count
        self.count += width
        while self.count >= 8:
            self.output.append(self.buffer & 0xFF)
            self.buffer >>= 8
            self.count -= 8

    def finish(self):
        if self.count:
            self.output.append(self.buffer)
            self.buffer = self.count = 0
        return bytes(self.output)


class BitReader:
    def __init__(self, data):
        self.data = data
        self.at = 0
        self.buffer = 0
        self.count = 0

    def read(self, width):
        while self.count < width:
            if self.at >= len(self.data):
                raise EOFError("the compressed data ends too early")
            self.buffer |= self.data[self.at] << self.count
            self.at += 1
            self.count += 8
        value = self.buffer & (1 << width) - 1
        self.buffer >>= width
        self.count -= width
        return value


def match_length(data, one, other, limit):
    length = 0
    while length < limit and data[one + length] == data[other + length]:
        length += 1
    return length


def find_match(data, at, chains):
    """The longest match in the window: (length, distance)."""
    limit = min(MAX_MATCH, len(data) - at)
    if limit < MIN_MATCH:
        return 0, 0
    best_length = best_distance = 0
    candidates = chains.get(data[at : at + MIN_MATCH], ())
    tried = 0
    for candidate in reversed(candidates):
        distance = at - candidate
        if distance > WINDOW or tried == MAX_CHAIN:
            break
        tried += 1
        length = match_length(data, candidate, at, limit)
        if length > best_length:
            best_length, best_distance = length, distance
            if length == limit:
                break
    return best_length, best_distance


def compress(data):
    writer = BitWriter()
    writer.write(len(data), 24)
    chains = {}
    at = 0
    while at < len(data):
        length, distance = find_match(data, at, chains)
        if length >= MIN_MATCH:
            writer.write(1, 1)
            writer.write(distance - 1, 12)
            writer.write(length - MIN_MATCH, 4)
        else:
            length = 1
            writer.write(0, 1)
            writer.write(data[at], 8)
        for position in range(at, at + length):
            chains.setdefault(data[position : position + MIN_MATCH], []).append(position)
        at += length
    return writer.finish()


def decompress(packed):
    reader = BitReader(packed)
    size = reader.read(24)
    output = bytearray()
    while len(output) < size:
        if reader.read(1):
            distance = reader.read(12) + 1
            length = reader.read(4) + MIN_MATCH
            start = len(output) - distance
            for offset in range(length):
                output.append(output[start + offset])
        else:
            output.append(reader.read(8))
    return bytes(output)


def make_text(length):
    """Sentences that repeat themselves now and then, and some binary noise."""
    words = b"the quick fox a lazy dog jumps over under red green tree river and then".split()
    state = 77
    text = bytearray()
    while len(text) < length:
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        if state % 23 == 0:
            text += bytes((state >> shift & 0xFF) for shift in (3, 7, 11, 15))
        text += words[(state >> 8) % len(words)] + b" "
    return bytes(text[:length])


TEXT = make_text(TEXT_LENGTH)


def run():
    packed = compress(TEXT)
    restored = decompress(packed)
    try:
        decompress(packed[: len(packed) // 2])
        truncated_found = False
    except EOFError:
        truncated_found = True
    return restored == TEXT, truncated_found, len(packed), sum(packed)


EXPECTED = (True, True, 22971, 2311307)

if __name__ == "__main__":
    pepjit_worker.main("lz77", run, EXPECTED)
