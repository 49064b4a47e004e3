"""Strings and bytes: concatenation, formatting, iteration, comparison, methods and errors."""

from corpus_api import HOT, case, drive, heat, outcome


@case
def concatenation_in_loops():
    def f(n, piece):
        s = ""
        for i in range(n):
            s += piece
            if i % 10 == 9:
                s = s + str(i)
        return len(s), s[-20:]
    return heat(f, 5, "ab"), f(300, "\u20ac"), f(3, ""), outcome(f, 2, 5), outcome(f, 2, b"x"), outcome(f, 2, None)


@case
def concatenation_keeps_aliases():
    def f(n):
        s = "start"
        kept = []
        t = s
        for i in range(n):
            kept.append(s)
            s += "x"
            u = s
            s += "y"
            kept.append(u)
        return t, kept[:3], kept[-1][-4:] if kept else None, len(s)
    return heat(f, 4), f(50), f(0)


@case
def concatenation_to_attributes_and_cells():
    class P:
        s = ""

    def f(n):
        p = P()
        c = ""

        def add(x):
            nonlocal c
            c += x
        for i in range(n):
            p.s += "a"
            add("b")
        return p.s, c, P.s
    return heat(f, 4), f(20)


@case
def repeat_and_join():
    def f(s, n):
        return s * n, n * s, s.join(["a", "b", s]), "".join([s] * n), s + s
    drive(f, ("-", 3), [("", 3), ("ab", 0), ("ab", -1), ("é", 2), ("a", True), ("a", 1.0), (b"a", 2), (5, 2)])


@case
def f_strings():
    class Fmt:
        def __format__(self, spec):
            return f"<{spec}>"

        def __str__(self):
            return "str"

        def __repr__(self):
            return "repr"

    def f(x, w):
        return f"{x}", f"{x!r:>{w}}", f"{x!s}|{w:03d}", f"a{x}b{w}c", f"{x=}", f"{{}}{x!a}"
    drive(f, (1, 5), [(1.5, 8), ("é", 4), (None, 1), (Fmt(), 3), ([1], 2), (1, "a"), (1, -1), (2**70, 30)])


@case
def format_specs():
    def f(x):
        return f"{x:>10}", f"{x:^8}|", f"{x:+}", f"{x:,}", f"{x:010.3f}", f"{x:e}"
    drive(f, (1,), [(1.5,), (-2**70,), (True,), (0.0,), (float("nan"),), ("a",), (None,), (1j,)])


@case
def percent_and_format_method():
    def f(a, b):
        return "%s and %r" % (a, b), "%d" % b, "{} {1}".replace("{1}", "{}").format(a, b), "{x[0]}{y.real}".format(x=[a], y=b), "%5.2f|" % b
    drive(f, ("a", 1), [(None, 1.5), ("x", "y"), (1, None), ([], 2**70)])


@case
def iteration_and_ord():
    def rot13(s):
        out = []
        for c in s:
            if "a" <= c <= "z":
                c = chr((ord(c) - 97 + 13) % 26 + 97)
            elif c.isupper():
                c = chr((ord(c) - 65 + 13) % 26 + 65)
            out.append(c)
        return "".join(out)
    drive(rot13, ("Hello",), [("",), ("éà\u20ac",), ("abcXYZ 123",), (b"ab",), (["ab"],), (5,)])


@case
def comparison_and_identity():
    def f(a, b):
        return a == b, a < b, a in b, a is b, a != b, hash(a) == hash(b)
    drive(f, ("a", "b"), [("a", "a"), ("ab", "".join(["a", "b"])), ("é", "e\u0301"), ("", ""), ("a", 1), ("a", b"a"), (1, "a"),
                          ("\u20ac", "\U0001f600"), ("abc", "abcd")])


@case
def methods():
    def f(s):
        return (s.upper(), s.strip(), s.split(), s.partition("b"), s.find("c"), s.startswith("a"), s.replace("a", "zz"), s.isdigit(),
                s.encode(), s.zfill(8), s.title(), s.splitlines(), s.count("a"), s[::-1], s.center(9, "*"))
    drive(f, ("abc",), [("",), (" a b c ",), ("123",), ("aéa\n b",), ("\u20ac",), (5,), (b"abc",), (None,)])


@case
def method_errors():
    def f(k, s):
        if k == 0:
            return s.index("zz")
        if k == 1:
            return s.join([1])
        if k == 2:
            return s.split("")
        if k == 3:
            return s.encode("ascii")
        if k == 4:
            return s.center("a")
        if k == 5:
            return s.nope
        return len(s)
    drive(f, (9, "é"), [(k, "é") for k in range(6)])


@case
def tokenizer():
    def tokens(text):
        out = []
        i = 0
        while i < len(text):
            c = text[i]
            if c.isspace():
                i += 1
            elif c.isdigit():
                j = i
                while j < len(text) and (text[j].isdigit() or text[j] == "."):
                    j += 1
                out.append(float(text[i:j]) if "." in text[i:j] else int(text[i:j]))
                i = j
            elif c in "+-*/()":
                out.append(c)
                i += 1
            else:
                raise SyntaxError(f"unexpected {c!r} at {i}")
        return out
    drive(tokens, ("1 + 22",), [("",), ("3.5*(4-12)",), ("1.2.3",), ("1 $ 2",), ("9" * 30,), (5,), (b"1",)])


@case
def bytes_and_bytearrays():
    def f(b):
        out = bytearray()
        for x in b:
            out.append(x ^ 0x55)
        out += b"end"
        out[0:1] = b"start"
        return bytes(out), sum(b), b[-1], b.hex(), out.find(b"end")
    drive(f, (b"abc",), [(b"",), (bytearray(b"xyz"),), (bytes(range(256)),), ("abc",), ([1, 300],), (5,), (memoryview(b"ab"),)])


@case
def base64_by_hand():
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    def encode(data):
        out = []
        for i in range(0, len(data), 3):
            chunk = data[i:i + 3]
            n = int.from_bytes(chunk + b"\0" * (3 - len(chunk)), "big")
            quad = [alphabet[(n >> s) & 63] for s in (18, 12, 6, 0)]
            for k in range(3 - len(chunk)):
                quad[3 - k] = "="
            out.append("".join(quad))
        return "".join(out)
    drive(encode, (b"hello",), [(b"",), (b"a",), (b"ab",), (bytes(range(40)),), ("text",), (5,)])


@case
def levenshtein():
    def distance(a, b):
        previous = list(range(len(b) + 1))
        for i, x in enumerate(a, 1):
            current = [i]
            for j, y in enumerate(b, 1):
                current.append(min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + (x != y)))
            previous = current
        return previous[-1]
    drive(distance, ("kitten", "sitting"), [("", ""), ("", "abc"), ("abc", "abc"), ([1, 2.5], (2.5, 3)), ("é", "e"), (5, "a")])


@case
def string_keys_built_at_run_time():
    def f(n):
        d = {}
        for i in range(n):
            d["k" + str(i % 7)] = d.get(f"k{i % 7}", 0) + i
        return d["k0"], sorted(d), "k" + "1" in d
    return heat(f, 10), f(200), outcome(f, 0)


class Text(str):
    def __contains__(self, part):
        return "asked for " + str(part)


class Container:
    def __contains__(self, part):
        return part == "<"


@case
def parts_of_what_was_a_string():
    def escape(text):
        try:
            if "&" in text:
                text = text.replace("&", "&amp;")
            if "<" in text:
                text = text.replace("<", "&lt;")
            if ">" not in text:
                return text, None
            return text.replace(">", "&gt;"), text
        except (TypeError, AttributeError) as error:
            return type(error).__name__, str(error), type(text).__name__
    texts = ["", "a < b", "a & b > c", "\u20ac <", "\U0001f600 & \U0001f600", "<" * 300]
    others = [b"a & b", 5, None, ["&"], ["<", ">"], {"<": 1}, {">"}, ("&", "<"), Text("a & b"), Text(""), Container(), range(3)]
    drive(escape, ("plain text",), [(text,) for text in texts + others + texts[:2]])


@case
def parts_that_are_no_strings():
    def has(part, text):
        return part in text, part not in text

    drive(has, ("b", "abc"), [("", ""), ("bc", "abc"), ("\u20ac", "abc"), ("c", "\u20acc"), (5, "abc"), (None, "abc"), (b"b", "abc"),
                              (Text("b"), "abc"), ("b", Text("abc")), ("b", Container()), ("b", 5), ([], "abc"), (5, [5]), ("b", b"abc")])


@case
def strings_that_become_something_else():
    def f(text, rounds):
        found = []
        for i in range(rounds):
            if "b" in text:
                found.append(i)
            if i % 7 == 3:
                text = text.replace("b", "")
            elif i % 7 == 4:
                text = text + "b"
            elif i == 9:
                text = ["a", "b"] if len(found) % 2 else None
            if "c" in text:
                text = {"b": text}
        return found, text
    return heat(f, "ab", 3), outcome(f, "ab", 9), outcome(f, "ab", 12), outcome(f, "abc", 2), outcome(f, "b", 20), outcome(f, "", 20)


@case
def a_string_dies_while_it_is_asked():
    class Last(str):
        def __del__(self):
            gone.append(str(self))

    gone = []

    def f(make, n):
        found = 0
        for i in range(n):
            text = make(i)
            if "1" in text:
                text = text.replace("1", "one")
            if "o" in make(i):
                found += 1
            if "n" in text:
                found += 1
        return found
    result = heat(f, str, 20), f(str, 50), f(lambda i: Last(f"o{i}"), 15)
    return result, gone
