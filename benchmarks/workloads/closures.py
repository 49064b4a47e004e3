"""Functions that make functions: cells, nonlocal, decorators, composition, memo tables.

A small reactive store with reducers and subscribers, parser combinators for a list
format, and numerical helpers built by partial application.
"""

import functools

import pepjit_worker

ACTIONS = 50_000
INTEGRATION_STEPS = 50_000


def compose(*functions):
    def composed(value):
        for function in functions:
            value = function(value)
        return value

    return composed


def counted(function):
    """A decorator that counts the calls in the function's attribute."""

    @functools.wraps(function)
    def wrapper(*args):
        wrapper.calls += 1
        return function(*args)

    wrapper.calls = 0
    return wrapper


def memoised(function):
    known = {}

    def wrapper(key):
        if key not in known:
            known[key] = function(key)
        return known[key]

    return wrapper


def make_store(reducer, state):
    """State behind three closures: get, dispatch, subscribe."""
    listeners = []

    def get():
        return state

    def dispatch(action, amount):
        nonlocal state
        state = reducer(state, action, amount)
        for listener in listeners:
            listener(state)

    def subscribe(listener):
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    return get, dispatch, subscribe


def make_reducer(modulus):
    def reducer(state, action, amount):
        if action == 0:
            return (state + amount) % modulus
        if action == 1:
            return state * 3 % modulus
        return max(state - amount, 0)

    return reducer


def make_average(size):
    values = []
    total = 0

    def push(value):
        nonlocal total
        values.append(value)
        total += value
        if len(values) > size:
            total -= values.pop(0)
        return total // len(values)

    return push


def store_totals(actions):
    get, dispatch, subscribe = make_store(make_reducer(99991), 1)
    average = make_average(16)
    highest = 0
    smooth = 0

    def watch(state):
        nonlocal highest
        if state > highest:
            highest = state

    def follow(state):
        nonlocal smooth
        smooth = average(state)

    subscribe(watch)
    stop = subscribe(follow)
    for number in range(actions):
        dispatch(number % 3, number % 101)
        if number == actions - 50:
            stop()
    return get(), highest, smooth


# Parsers: functions from (text, position) to (value, position), or None if they fail.


def character(allowed):
    def parse(text, at):
        if at < len(text) and text[at] in allowed:
            return text[at], at + 1
        return None

    return parse


def many(parser):
    def parse(text, at):
        values = []
        while (found := parser(text, at)) is not None:
            value, at = found
            values.append(value)
        return values, at

    return parse


def sequence(*parsers):
    def parse(text, at):
        values = []
        for parser in parsers:
            found = parser(text, at)
            if found is None:
                return None
            value, at = found
            values.append(value)
        return values, at

    return parse


def either(*parsers):
    def parse(text, at):
        for parser in parsers:
            found = parser(text, at)
            if found is not None:
                return found
        return None

    return parse


def mapped(parser, function):
    def parse(text, at):
        found = parser(text, at)
        if found is None:
            return None
        return function(found[0]), found[1]

    return parse


def lazy(make):
    return lambda text, at: make()(text, at)


def make_list_parser():
    digit = character("0123456789")
    number = mapped(sequence(digit, many(digit)), lambda v: int(v[0] + "".join(v[1])))
    items = many(mapped(sequence(lazy(lambda: item), character(",")), lambda v: v[0]))
    nested = mapped(sequence(character("["), items, character("]")), lambda v: v[1])
    item = either(number, nested)
    return item


def depth_sum(value, depth=1):
    if isinstance(value, list):
        return sum(depth_sum(item, depth + 1) for item in value)
    return value * depth


def integrate(function, low, high, steps):
    width = (high - low) / steps
    total = 0.0
    for i in range(steps):
        total += function(low + (i + 0.5) * width)
    return total * width


def polynomial(*coefficients):
    def evaluate(x):
        value = 0.0
        for coefficient in coefficients:
            value = value * x + coefficient
        return value

    return evaluate


def run():
    totals = store_totals(ACTIONS)
    parse = make_list_parser()
    text = "[" + "".join(f"[{n},[{n * 7},{n % 10},],]," for n in range(2_600)) + "]"
    value, end = parse(text, 0)
    curve = counted(compose(polynomial(2.0, 0.0, 1.0), lambda y: y * 0.5, abs))
    area = integrate(curve, -1.0, 2.0, INTEGRATION_STEPS)
    ways = memoised(lambda n: 1 if n < 2 else ways(n - 1) + ways(n - 2))
    return totals, depth_sum(value), end == len(text), round(area, 6), curve.calls, ways(200)


EXPECTED = (
    (45574, 99987, 68880),
    104786500,
    True,
    4.5,
    50000,
    453973694165307953197296969697410619233826,
)

if __name__ == "__main__":
    pepjit_worker.main("closures", run, EXPECTED)
