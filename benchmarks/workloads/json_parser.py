"""JSON read and written in pure Python: a class that walks a string by index.

The standard library's json writes the document that is read, and is what the
output is compared with.
"""

import json

import pepjit_worker

RECORDS = 1_500
WHITESPACE = " \t\n\r"
ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class JsonError(ValueError):
    def __init__(self, reason, at):
        super().__init__(f"{reason} at character {at}")
        self.at = at


class Parser:
    def __init__(self, text):
        self.text = text
        self.at = 0

    def parse(self):
        value = self.value()
        self.skip()
        if self.at != len(self.text):
            raise JsonError("something follows the value", self.at)
        return value

    def skip(self):
        text, at = self.text, self.at
        while at < len(text) and text[at] in WHITESPACE:
            at += 1
        self.at = at

    def peek(self):
        self.skip()
        if self.at >= len(self.text):
            raise JsonError("the text ends too early", self.at)
        return self.text[self.at]

    def expect(self, wanted):
        if self.peek() != wanted:
            raise JsonError(f"{wanted!r} expected", self.at)
        self.at += 1

    def value(self):
        first = self.peek()
        if first == "{":
            return self.object()
        if first == "[":
            return self.array()
        if first == '"':
            return self.string()
        if first == "-" or first.isdigit():
            return self.number()
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        raise JsonError("a value expected", self.at)

    def object(self):
        result = {}
        self.expect("{")
        if self.peek() == "}":
            self.at += 1
            return result
        while True:
            if self.peek() != '"':
                raise JsonError("a key expected", self.at)
            key = self.string()
            self.expect(":")
            result[key] = self.value()
            if self.peek() == ",":
                self.at += 1
                continue
            self.expect("}")
            return result

    def array(self):
        result = []
        self.expect("[")
        if self.peek() == "]":
            self.at += 1
            return result
        while True:
            result.append(self.value())
            if self.peek() == ",":
                self.at += 1
                continue
            self.expect("]")
            return result

    def string(self):
        text = self.text
        self.at += 1
        pieces = []
        start = self.at
        while True:
            if self.at >= len(text):
                raise JsonError("a string isn't closed", start)
            c = text[self.at]
            if c == '"':
                pieces.append(text[start : self.at])
                self.at += 1
                return "".join(pieces)
            if c == "\\":
                pieces.append(text[start : self.at])
                pieces.append(self.escape())
                start = self.at
            else:
                self.at += 1

    def escape(self):
        kind = self.text[self.at + 1]
        if kind == "u":
            code = int(self.text[self.at + 2 : self.at + 6], 16)
            self.at += 6
            return chr(code)
        if kind not in ESCAPES:
            raise JsonError("an unknown escape", self.at)
        self.at += 2
        return ESCAPES[kind]

    def number(self):
        text = self.text
        start = at = self.at
        if text[at] == "-":
            at += 1
        whole = True
        while at < len(text):
            c = text[at]
            if c in ".eE+-":
                whole = False
            elif not "0" <= c <= "9":
                break
            at += 1
        self.at = at
        return int(text[start:at]) if whole else float(text[start:at])


def write(value):
    output = []
    _write(value, output.append)
    return "".join(output)


def _write(value, emit):
    if value is None:
        emit("null")
    elif value is True:
        emit("true")
    elif value is False:
        emit("false")
    elif isinstance(value, str):
        emit(quoted(value))
    elif isinstance(value, (int, float)):
        emit(repr(value))
    elif isinstance(value, dict):
        emit("{")
        for index, (key, item) in enumerate(value.items()):
            if index:
                emit(", ")
            emit(quoted(key))
            emit(": ")
            _write(item, emit)
        emit("}")
    else:
        emit("[")
        for index, item in enumerate(value):
            if index:
                emit(", ")
            _write(item, emit)
        emit("]")


def quoted(text):
    pieces = ['"']
    for c in text:
        if c in '"\\':
            pieces.append("\\" + c)
        elif c == "\n":
            pieces.append("\\n")
        elif c < " " or c > "~":
            pieces.append(f"\\u{ord(c):04x}")
        else:
            pieces.append(c)
    pieces.append('"')
    return "".join(pieces)


def make_document(count):
    return {
        "version": 3,
        "records": [
            {
                "id": number,
                "name": f'record \u00e9 "{number}"\n',
                "score": number * 0.25 - 17.5,
                "tags": ["alpha", "beta"][: number % 3],
                "parent": None if number % 4 else {"id": number // 4, "ok": True},
                "exponent": 1.5e-7 * number,
            }
            for number in range(count)
        ],
    }


DOCUMENT = make_document(RECORDS)
TEXT = json.dumps(DOCUMENT, indent=1)
BROKEN = ('{"a": 1,}', "[1, 2", '"open', "[tru]", '{"a" 1}', "1 2", '"\\x"')


def run():
    value = Parser(TEXT).parse()
    text = write(value)
    again = Parser(text).parse()
    complaints = []
    for broken in BROKEN:
        try:
            Parser(broken).parse()
        except JsonError as error:
            complaints.append(error.at)
    return value == DOCUMENT, again == DOCUMENT, text == json.dumps(DOCUMENT), len(text), complaints


EXPECTED = (True, True, True, 197256, [8, 5, 1, 1, 5, 2, 1])

if __name__ == "__main__":
    pepjit_worker.main("json_parser", run, EXPECTED)
