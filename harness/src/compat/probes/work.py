"""Code that gets hot in every mode, for the probes to look at: loops, calls, methods, closures, generators, exceptions."""


class Account:
    """A class with methods that read and write attributes."""

    def __init__(self, balance):
        self.balance = balance

    def add(self, amount):
        self.balance += amount
        return self.balance

    def settle(self, amounts):
        for amount in amounts:
            self.add(amount)
        return self.balance


def mix(n, start=7):
    total = start
    for i in range(n):
        total = (total * 31 + i) % 1000003
    return total


def outer(n, see):
    kept = []
    for i in range(n):
        kept.append(middle(i, see))
    return sum(kept)


def middle(i, see):
    half = i // 2
    return inner(half, i, see) + 1


def inner(half, i, see):
    label = f"{half}/{i}"
    found = see(label)
    return half + found


def count_up(n):
    for i in range(n):
        got = yield i * 2
        if got is not None:
            i += got


def drain(n):
    total = 0
    for value in count_up(n):
        total += value
    return total


def make_adder(step):
    def adder(values):
        total = 0
        for value in values:
            total += value + step
        return total

    return adder


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def divide(values, by):
    total = 0
    for value in values:
        total += value // by
    return total


def guarded(values, by):
    kept = 0
    for value in values:
        try:
            kept += divide([value], by)
        except ZeroDivisionError as error:
            kept += len(error.args)
        finally:
            kept += 1
    return kept


def words(lines):
    counts = {}
    for line in lines:
        for word in line.split():
            counts[word] = counts.get(word, 0) + 1
    return sorted(counts.items())


def everything(n=60):
    """One of each; the result depends on all of them."""
    account = Account(1)
    adder = make_adder(3)
    return [
        mix(n), drain(n), adder(range(n)), fib(8), guarded(range(n), n % 3), account.settle(range(n)),
        words(["a b c", "b c", "c"] * (n // 10)), sum(x * x for x in range(n)), [y + 1 for y in range(n // 6)],
    ]
