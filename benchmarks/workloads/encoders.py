"""Byte encodings in pure Python: base64, varints, run lengths, hex dumps, tagged records."""

import base64
import zlib

import pepjit_worker

SIZE = 60_000
RECORDS = 5_000

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
VALUES = {c: value for value, c in enumerate(ALPHABET)}


def base64_encode(data):
    pieces = []
    for at in range(0, len(data) - 2, 3):
        group = data[at] << 16 | data[at + 1] << 8 | data[at + 2]
        pieces.append(
            ALPHABET[group >> 18]
            + ALPHABET[group >> 12 & 63]
            + ALPHABET[group >> 6 & 63]
            + ALPHABET[group & 63]
        )
    rest = len(data) % 3
    if rest == 1:
        group = data[-1] << 4
        pieces.append(ALPHABET[group >> 6] + ALPHABET[group & 63] + "==")
    elif rest == 2:
        group = (data[-2] << 8 | data[-1]) << 2
        pieces.append(
            ALPHABET[group >> 12] + ALPHABET[group >> 6 & 63] + ALPHABET[group & 63] + "="
        )
    return "".join(pieces)


def base64_decode(text):
    output = bytearray()
    buffer = bits = 0
    for c in text:
        if c == "=":
            break
        buffer = (buffer << 6 | VALUES[c]) & 0xFFFFFF
        bits += 6
        if bits >= 8:
            bits -= 8
            output.append(buffer >> bits & 0xFF)
    return bytes(output)


def put_varint(output, value):
    while value > 0x7F:
        output.append(value & 0x7F | 0x80)
        value >>= 7
    output.append(value)


def get_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def zigzag(value):
    return value << 1 if value >= 0 else (-value << 1) - 1


def unzigzag(value):
    return value >> 1 if not value & 1 else -((value + 1) >> 1)


def encode_record(output, record):
    """Fields as tag, length or value; strings, ints and lists of ints."""
    for tag, value in record.items():
        if isinstance(value, int):
            put_varint(output, tag << 2)
            put_varint(output, zigzag(value))
        elif isinstance(value, str):
            raw = value.encode()
            put_varint(output, tag << 2 | 1)
            put_varint(output, len(raw))
            output += raw
        else:
            put_varint(output, tag << 2 | 2)
            put_varint(output, len(value))
            previous = 0
            for item in value:
                put_varint(output, zigzag(item - previous))
                previous = item
    output.append(0xFF)
    output.append(0x7F)


END_MARK = 0x7F << 7 | 0x7F


def decode_records(data):
    record = {}
    at = 0
    while at < len(data):
        key, at = get_varint(data, at)
        if key == END_MARK:
            yield record
            record = {}
            continue
        tag, kind = key >> 2, key & 3
        value, at = get_varint(data, at)
        if kind == 0:
            record[tag] = unzigzag(value)
        elif kind == 1:
            record[tag] = data[at : at + value].decode()
            at += value
        else:
            items = []
            previous = 0
            for _ in range(value):
                change, at = get_varint(data, at)
                previous += unzigzag(change)
                items.append(previous)
            record[tag] = items


def run_lengths(data):
    output = bytearray()
    at = 0
    while at < len(data):
        byte = data[at]
        end = at + 1
        while end < len(data) and end - at < 255 and data[end] == byte:
            end += 1
        output.append(end - at)
        output.append(byte)
        at = end
    return bytes(output)


def expand(data):
    pieces = []
    for at in range(0, len(data), 2):
        pieces.append(bytes([data[at + 1]]) * data[at])
    return b"".join(pieces)


def hex_dump(data, width=16):
    lines = []
    for at in range(0, len(data), width):
        row = data[at : at + width]
        codes = " ".join([f"{byte:02x}" for byte in row])
        text = "".join([chr(byte) if 32 <= byte < 127 else "." for byte in row])
        lines.append(f"{at:06x}  {codes:<{3 * width}} {text}")
    return "\n".join(lines)


def make_data(size):
    state = 991
    data = bytearray()
    while len(data) < size:
        state = state * 69069 + 1 & 0xFFFFFFFF
        data += bytes([state >> 24]) * (1 + (state >> 8) % 5)
    return bytes(data[:size])


def make_records(count):
    return [
        {
            1: number * 7919 - 1_000_000,
            2: f"name {number % 101}",
            5: [number, number * 2, number * number % 997],
            40: -(number**3),
        }
        for number in range(count)
    ]


DATA = make_data(SIZE)


def run():
    text = base64_encode(DATA)
    runs = run_lengths(DATA)
    records = make_records(RECORDS)
    packed = bytearray()
    for record in records:
        encode_record(packed, record)
    dump = hex_dump(DATA[: SIZE // 3])
    return (
        text == base64.b64encode(DATA).decode(),
        base64_decode(text) == DATA,
        (len(runs), expand(runs) == DATA),
        (len(packed), list(decode_records(packed)) == records),
        (len(dump), zlib.crc32(dump.encode())),
    )


EXPECTED = (True, True, (39816, True), (156518, True), (92499, 952291238))

if __name__ == "__main__":
    pepjit_worker.main("encoders", run, EXPECTED)
