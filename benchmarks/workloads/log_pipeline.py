"""A pipeline of generators over a log: parse, filter, enrich, window, summarise."""

import itertools

import pepjit_worker

REQUESTS = 36_000


def make_log(count):
    """Lines as a web server writes them."""
    methods = ("GET", "GET", "GET", "POST", "PUT", "DELETE")
    paths = ("/", "/login", "/items", "/items/17", "/static/app.js", "/search?q=tea")
    state = 20231
    lines = []
    for number in range(count):
        state = (state * 48271) % 2147483647
        method = methods[state % 6]
        path = paths[state // 7 % 6]
        status = 500 if state % 97 == 0 else 404 if state % 31 == 0 else 200
        second = number * 7 // 5
        clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        if state % 211 == 0:
            lines.append("-- rotated --")
        lines.append(
            f"10.0.{state % 5}.{state % 50} [{clock}] {method} {path} {status} "
            f"{state % 4000} {state % 900 / 10:.1f}"
        )
    return lines


LOG = make_log(REQUESTS)


def parse(lines):
    for line in lines:
        fields = line.split(" ")
        if len(fields) != 7:
            continue
        host, clock, method, path, status, size, took = fields
        hours, minutes, seconds = clock[1:-1].split(":")
        yield {
            "host": host,
            "second": int(hours) * 3600 + int(minutes) * 60 + int(seconds),
            "method": method,
            "path": path,
            "status": int(status),
            "size": int(size),
            "took": float(took),
        }


def without_static(records):
    for record in records:
        if not record["path"].startswith("/static/"):
            yield record


def with_route(records):
    """Cuts queries and numbers off the path."""
    for record in records:
        route = record["path"].partition("?")[0]
        parts = [("*" if part.isdigit() else part) for part in route.split("/")]
        record["route"] = "/".join(parts)
        yield record


def sessions(records, pause):
    """Runs of requests of the same network with no longer pause than given."""
    current = {}
    for record in records:
        network = record["host"].rpartition(".")[0]
        session = current.get(network)
        if session is not None and record["second"] - session[-1]["second"] > pause:
            yield network, session
            session = None
        if session is None:
            session = current[network] = []
        session.append(record)
    yield from current.items()


def windows(records, width):
    """All records of each `width` seconds, in order."""
    window = 0
    bucket = []
    for record in records:
        if record["second"] // width != window:
            if bucket:
                yield window, bucket
            window = record["second"] // width
            bucket = []
        bucket.append(record)
    if bucket:
        yield window, bucket


def running_mean():
    """A coroutine in the old style: send values, get their mean so far."""
    total = 0.0
    count = 0
    mean = 0.0
    while True:
        value = yield mean
        total += value
        count += 1
        mean = total / count


def pairs(iterable):
    previous = None
    for item in iterable:
        if previous is not None:
            yield previous, item
        previous = item


def run():
    records = with_route(without_static(parse(LOG)))
    records, for_sessions = itertools.tee(records)
    errors = {}
    slowest = (0.0, "")
    means = running_mean()
    next(means)
    mean = 0.0
    traffic = []
    for _, bucket in windows(records, 600):
        traffic.append(sum(record["size"] for record in bucket))
        for record in bucket:
            mean = means.send(record["took"])
            if record["status"] >= 400:
                key = (record["route"], record["status"])
                errors[key] = errors.get(key, 0) + 1
            slowest = max(slowest, (record["took"], record["route"]))
    jumps = sum(1 for before, after in pairs(traffic) if after > before)
    lengths = [len(session) for _, session in sessions(for_sessions, 12)]
    return (
        sum(traffic),
        jumps,
        sorted(errors.items())[:3],
        slowest,
        round(mean, 6),
        (len(lengths), max(lengths)),
        sum(itertools.islice((n * n for n in itertools.count(1) if n % 3), 500)),
    )


EXPECTED = (
    60282287,
    41,
    [(("/", 404), 198), (("/", 500), 61), (("/items", 404), 206)],
    (89.9, "/search"),
    45.238432,
    (6492, 37),
    93749750,
)

if __name__ == "__main__":
    pepjit_worker.main("log_pipeline", run, EXPECTED)
