"""Exceptions as control flow: failed lookups, retries, finally, chaining, contexts.

Validates messy form records as programs do: try the conversion, catch what fails, keep
going, unwind a transaction when a record is beyond repair.
"""

from contextlib import contextmanager, suppress

import pepjit_worker

RECORDS = 12_000


class FormError(Exception):
    """A field that can't be used."""

    def __init__(self, field, reason):
        super().__init__(field, reason)
        self.field = field
        self.reason = reason


class Missing(FormError):
    def __init__(self, field):
        super().__init__(field, "missing")


class RecordRejected(Exception):
    pass


def make_records(count):
    records = []
    for number in range(count):
        record = {
            "id": str(number) if number % 13 else f"#{number}",
            "age": ("34", "x", "", "-5", "61")[number % 5],
            "height": ("1.75", "1,80", "tall", "2")[number % 4],
            "colour": ("red", "green", "mauve", "blue")[number * 7 % 4],
        }
        if number % 9 == 0:
            del record["age"]
        if number % 17 == 0:
            record["height"] = None
        records.append(record)
    return records


COLOURS = {"red": 1, "green": 2, "blue": 3}


def field(record, name):
    try:
        return record[name]
    except KeyError:
        raise Missing(name) from None


def to_int(record, name):
    text = field(record, name)
    try:
        value = int(text)
    except ValueError as error:
        raise FormError(name, "not a number") from error
    if value < 0:
        raise FormError(name, "negative")
    return value


def to_float(record, name):
    text = field(record, name)
    try:
        return float(text)
    except ValueError:
        try:
            return float(text.replace(",", "."))
        except ValueError as error:
            raise FormError(name, "not a measure") from error
    except TypeError as error:
        raise FormError(name, "not even text") from error


def identifier(record):
    text = field(record, "id")
    try:
        return int(text)
    except ValueError:
        return int(text.lstrip("#"))


class Ledger:
    """Changes that are undone if the block that makes them raises."""

    def __init__(self):
        self.rows = []
        self.opened = 0
        self.closed = 0
        self.rolled_back = 0

    @contextmanager
    def transaction(self):
        mark = len(self.rows)
        self.opened += 1
        try:
            yield self
        except RecordRejected:
            del self.rows[mark:]
            self.rolled_back += 1
        finally:
            self.closed += 1


def convert(record, problems):
    """A row of numbers; what fails is counted and replaced, unless too much fails."""
    failures = 0
    row = [identifier(record)]
    for name, converter in (("age", to_int), ("height", to_float)):
        try:
            row.append(converter(record, name))
        except Missing:
            row.append(0)
            problems["missing"] = problems.get("missing", 0) + 1
        except FormError as error:
            failures += 1
            row.append(-1)
            problems[error.reason] = problems.get(error.reason, 0) + 1
            if error.__cause__ is not None:
                problems["caused"] = problems.get("caused", 0) + 1
    if failures > 1:
        raise RecordRejected(row[0])
    with suppress(KeyError):
        row.append(COLOURS[record["colour"]])
    return row


def first_index(values, wanted):
    try:
        return values.index(wanted)
    except ValueError:
        return -1


def take_all(iterator):
    """Exhaust an iterator by hand, until it says stop."""
    total = 0
    while True:
        try:
            total += next(iterator)
        except StopIteration:
            return total


def retry(attempts):
    """Fails some times, then works; `finally` runs each time."""
    cleanups = 0
    for attempt in range(attempts + 1):
        try:
            if attempt < attempts:
                raise ConnectionError(attempt)
            return attempt, cleanups
        except ConnectionError:
            continue
        finally:
            cleanups += 1
    raise AssertionError("not reached")


def dig(depth):
    """An exception that crosses many frames."""
    if depth == 0:
        raise LookupError("bottom")
    return dig(depth - 1)


def run():
    ledger = Ledger()
    problems = {}
    for record in make_records(RECORDS):
        with ledger.transaction() as book:
            row = convert(record, problems)
            book.rows.append(row)
    heights = sum(row[2] for row in ledger.rows)
    found = sum(first_index(row, 3) for row in ledger.rows)
    ages = take_all(row[1] for row in ledger.rows)
    tries = [retry(attempts) for attempts in range(30)]
    caught = 0
    for depth in range(0, 120, 2):
        try:
            dig(depth)
        except LookupError:
            caught += 1
    return (
        len(ledger.rows),
        (ledger.opened, ledger.closed, ledger.rolled_back),
        sorted(problems.items()),
        round(heights, 6),
        (found, ages, sum(a for a, _ in tries), caught),
    )


EXPECTED = (
    10116,
    (12000, 12000, 1884),
    [
        ("caused", 7797),
        ("missing", 1334),
        ("negative", 2133),
        ("not a measure", 2824),
        ("not a number", 4267),
        ("not even text", 706),
    ],
    14023.65,
    (1509, 198119, 435, 60),
)

if __name__ == "__main__":
    pepjit_worker.main("exceptions", run, EXPECTED)
