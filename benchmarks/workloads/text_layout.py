"""Typesetting plain text: wrapping, justifying, templates and tables. Strings and lists."""

import zlib

import pepjit_worker

LETTERS = 900
WIDTH = 64

BODY = """\
Dear {{ name }},

our records of {{ year }} show {{ count }} visits to the reading room, {{ late }} of them after
closing time. {{ if late }}The porter asks you to mind the clock, and to leave the lamp of desk
{{ desk }} as you found it. {{ end }}{{ if gift }}The library thanks you for the gift of {{ gift }}
volumes, which were entered in the catalogue on the first day of the new term and can be found in
the gallery above the map room. {{ end }}

Your card is valid until the end of {{ next }}; it opens the stacks on floors {{ floors }}, the
lockers beside the stairs and, on Thursdays, the collection of printed music.

The librarian
"""


class TemplateError(ValueError):
    pass


class Template:
    """``{{ name }}`` is replaced, ``{{ if name }} ... {{ end }}`` kept if the name is true."""

    def __init__(self, source):
        self.parts = self._parse(source)

    def _parse(self, source):
        parts = []
        stack = [parts]
        rest = source
        while True:
            text, found, rest = rest.partition("{{")
            if text:
                stack[-1].append(("text", text))
            if not found:
                break
            inner, found, rest = rest.partition("}}")
            if not found:
                raise TemplateError("a '{{' isn't closed")
            words = inner.split()
            if words[0] == "if":
                body = []
                stack[-1].append(("if", words[1], body))
                stack.append(body)
            elif words[0] == "end":
                if len(stack) == 1:
                    raise TemplateError("'end' without 'if'")
                stack.pop()
            else:
                stack[-1].append(("name", words[0]))
        if len(stack) > 1:
            raise TemplateError("an 'if' isn't ended")
        return parts

    def render(self, values):
        output = []
        self._render(self.parts, values, output)
        return "".join(output)

    def _render(self, parts, values, output):
        for part in parts:
            if part[0] == "text":
                output.append(part[1])
            elif part[0] == "name":
                output.append(str(values[part[1]]))
            elif values[part[1]]:
                self._render(part[2], values, output)


def paragraphs(text):
    current = []
    for line in text.split("\n"):
        if line.strip():
            current.append(line.strip())
        elif current:
            yield " ".join(current)
            current = []
    if current:
        yield " ".join(current)


def wrap(text, width):
    """Lines of words, as many as fit."""
    lines = []
    line = []
    length = 0
    for word in text.split():
        if line and length + 1 + len(word) > width:
            lines.append(line)
            line = []
            length = 0
        length += len(word) + (1 if line else 0)
        line.append(word)
    if line:
        lines.append(line)
    return lines


def justify(words, width):
    gaps = len(words) - 1
    if gaps == 0:
        return words[0]
    spaces = width - sum(len(word) for word in words)
    each, extra = divmod(spaces, gaps)
    result = ""
    for index, word in enumerate(words[:-1]):
        result += word + " " * (each + (1 if index < extra else 0))
    return result + words[-1]


def layout(text, width):
    lines = []
    for paragraph in paragraphs(text):
        wrapped = wrap(paragraph, width)
        lines.extend(justify(words, width) for words in wrapped[:-1])
        lines.append(" ".join(wrapped[-1]))
        lines.append("")
    return lines


def table(rows, header):
    """Columns as wide as their widest cell, numbers to the right."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [header] + cells) for i in range(len(header))]
    lines = [" | ".join(name.center(width) for name, width in zip(header, widths))]
    lines.append("-+-".join("-" * width for width in widths))
    for row in cells:
        padded = []
        for cell, width in zip(row, widths):
            padded.append(cell.rjust(width) if cell.isdigit() else cell.ljust(width))
        lines.append(" | ".join(padded))
    return lines


def readers(count):
    for number in range(count):
        yield {
            "name": f"Reader {chr(65 + number % 26)}. No{number:03}",
            "year": 1900 + number % 90,
            "next": 1901 + number % 90,
            "count": number * 7 % 41,
            "late": number % 3,
            "desk": number % 12 + 1,
            "gift": number * 5 % 4,
            "floors": ", ".join(str(floor) for floor in range(1, 2 + number % 5)),
        }


def run():
    template = Template(BODY)
    pages = []
    rows = []
    for values in readers(LETTERS):
        for width in (WIDTH, WIDTH // 2):
            pages.extend(layout(template.render(values), width))
        rows.append((values["name"], values["count"], values["late"], values["floors"]))
    pages.extend(table(rows, ["name", "visits", "late", "floors"]))
    text = "\n".join(pages)
    return len(pages), len(text), zlib.crc32(text.encode())


EXPECTED = (32360, 939308, 1520369130)

if __name__ == "__main__":
    pepjit_worker.main("text_layout", run, EXPECTED)
