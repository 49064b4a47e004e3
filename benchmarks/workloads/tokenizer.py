"""A lexer and outline for a C-like language, by hand: characters, dicts, state methods.

No regular expressions. The program text is generated; tokens carry line and column, the
outline finds functions, nesting depth and identifiers that are used but not declared.
"""

import pepjit_worker

FUNCTIONS = 780

KEYWORDS = {"int", "float", "if", "else", "while", "for", "return", "break"}
TYPES = {"int", "float"}
SYMBOLS = {
    "==", "!=", "<=", ">=", "&&", "||", "++", "+=", "-=", "->",
    "+", "-", "*", "/", "%", "=", "<", ">", "!", "(", ")", "{", "}", "[", "]", ";", ",", ".", "&",
}  # fmt: skip


class Token:
    __slots__ = ("kind", "text", "line", "column")

    def __init__(self, kind, text, line, column):
        self.kind = kind
        self.text = text
        self.line = line
        self.column = column


class LexError(SyntaxError):
    pass


class Lexer:
    def __init__(self, source):
        self.source = source
        self.at = 0
        self.line = 1
        self.line_start = 0

    def __iter__(self):
        while True:
            self.skip_blanks()
            if self.at >= len(self.source):
                return
            yield self.token()

    def skip_blanks(self):
        source = self.source
        while self.at < len(source):
            c = source[self.at]
            if c == "\n":
                self.at += 1
                self.line += 1
                self.line_start = self.at
            elif c == " " or c == "\t":
                self.at += 1
            elif c == "/" and source.startswith("//", self.at):
                end = source.find("\n", self.at)
                self.at = len(source) if end < 0 else end
            elif c == "/" and source.startswith("/*", self.at):
                self.skip_comment()
            else:
                return

    def skip_comment(self):
        end = self.source.find("*/", self.at + 2)
        if end < 0:
            raise LexError(f"the comment in line {self.line} isn't closed")
        for at in range(self.at, end):
            if self.source[at] == "\n":
                self.line += 1
                self.line_start = at + 1
        self.at = end + 2

    def token(self):
        c = self.source[self.at]
        if c.isalpha() or c == "_":
            kind, end = "name", self.end_of_name()
        elif c.isdigit():
            kind, end = self.end_of_number()
        elif c == '"':
            kind, end = "string", self.end_of_string()
        elif self.source[self.at : self.at + 2] in SYMBOLS:
            kind, end = "symbol", self.at + 2
        elif c in SYMBOLS:
            kind, end = "symbol", self.at + 1
        else:
            raise LexError(f"unexpected {c!r} in line {self.line}")
        text = self.source[self.at : end]
        if kind == "name" and text in KEYWORDS:
            kind = "keyword"
        token = Token(kind, text, self.line, self.at - self.line_start + 1)
        self.at = end
        return token

    def end_of_name(self):
        end = self.at + 1
        while end < len(self.source) and (self.source[end].isalnum() or self.source[end] == "_"):
            end += 1
        return end

    def end_of_number(self):
        end = self.at
        kind = "integer"
        while end < len(self.source):
            c = self.source[end]
            if c == "." and kind == "integer":
                kind = "real"
            elif not c.isdigit():
                break
            end += 1
        return kind, end

    def end_of_string(self):
        end = self.at + 1
        while end < len(self.source) and self.source[end] != '"':
            if self.source[end] == "\n":
                raise LexError(f"the string in line {self.line} isn't closed")
            end += 2 if self.source[end] == "\\" else 1
        return end + 1


class Outline:
    """What a look at the tokens alone tells."""

    def __init__(self):
        self.counts = {}
        self.functions = []
        self.deepest = 0
        self.undeclared = {}
        self.width = 0

    def read(self, tokens):
        depth = 0
        previous = None
        declared = set()
        for token in tokens:
            self.counts[token.kind] = self.counts.get(token.kind, 0) + 1
            self.width = max(self.width, token.column + len(token.text))
            if token.text == "{":
                depth += 1
                self.deepest = max(self.deepest, depth)
            elif token.text == "}":
                depth -= 1
                if depth == 0:
                    declared = set()
            elif token.text == "(" and depth == 0 and previous.kind == "name":
                self.functions.append((previous.text, previous.line))
            elif token.kind == "name":
                if previous is not None and previous.text in TYPES:
                    declared.add(token.text)
                elif token.text not in declared and depth:
                    self.undeclared[token.text] = self.undeclared.get(token.text, 0) + 1
            previous = token
        if depth:
            raise LexError("the brackets don't match")


def make_program(count):
    parts = ["// generated\n"]
    for n in range(count):
        parts.append(
            f"/* function {n}\n   of {count} */\n"
            f"int work_{n}(int a, float b{n % 5}) {{\n"
            f"    int total = {n * 37}; float scale = {n}.{n % 10}5;\n"
            f"    for (int i = 0; i <= a; i++) {{\n"
            f"        if (i % {n % 7 + 2} == 0 && scale != 0.5) {{ total += i * b{n % 5}; }}\n"
            f'        else {{ print("step \\"{n}\\"", total->value[i]); break; }}\n'
            f"    }}\n"
            f"    while (total > limit_{n % 3}) total -= work_{max(n - 1, 0)}(a, scale); // loop\n"
            f"    return total;\n}}\n\n"
        )
    return "".join(parts)


SOURCE = make_program(FUNCTIONS)


def run():
    outline = Outline()
    outline.read(Lexer(SOURCE))
    errors = []
    for wrong in ('x = "open\n', "a # b", "/* never", "{ {"):
        try:
            Outline().read(Lexer(wrong))
        except LexError as error:
            errors.append(str(error))
    commonest = sorted(outline.undeclared.items(), key=lambda item: (-item[1], item[0]))[:3]
    return (
        sorted(outline.counts.items()),
        (len(outline.functions), outline.functions[-1]),
        (outline.deepest, outline.width),
        commonest,
        errors,
    )


EXPECTED = (
    [
        ("integer", 3120),
        ("keyword", 9360),
        ("name", 19500),
        ("real", 1560),
        ("string", 780),
        ("symbol", 37440),
    ],
    (780, ("work_779", 9352)),
    (3, 64),
    [("print", 780), ("value", 780), ("limit_0", 260)],
    [
        "the string in line 1 isn't closed",
        "unexpected '#' in line 1",
        "the comment in line 1 isn't closed",
        "the brackets don't match",
    ],
)

if __name__ == "__main__":
    pepjit_worker.main("tokenizer", run, EXPECTED)
