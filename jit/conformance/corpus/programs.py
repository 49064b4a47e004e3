"""Programs of a page: many features at once, the shapes real code has."""

from corpus_api import HOT, case, drive, heat, outcome


@case
def expression_evaluator():
    class Num:
        def __init__(self, v):
            self.v = v

        def eval(self, env):
            return self.v

    class Var(Num):
        def eval(self, env):
            return env[self.v]

    class Bin:
        ops = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b}

        def __init__(self, op, a, b):
            self.op, self.a, self.b = op, a, b

        def eval(self, env):
            return self.ops[self.op](self.a.eval(env), self.b.eval(env))

    def parse(tokens):
        def term():
            t = tokens.pop(0)
            if t == "(":
                node = expr()
                if tokens.pop(0) != ")":
                    raise SyntaxError("expected )")
                return node
            return Num(int(t)) if t.isdigit() else Var(t)

        def product():
            node = term()
            while tokens and tokens[0] in "*/":
                node = Bin(tokens.pop(0), node, term())
            return node

        def expr():
            node = product()
            while tokens and tokens[0] in "+-":
                node = Bin(tokens.pop(0), node, product())
            return node
        return expr()

    def run(text, env):
        return parse(text.split()).eval(env)
    drive(run, ("( 1 + 2 ) * x - 4 / y", {"x": 3, "y": 2}), [("1 / x", {"x": 0}), ("z", {}), ("( 1", {}), ("x * x", {"x": 2**40}),
                                                            ("x + 1", {"x": "s"}), ("", {}), ("1 + 2 )", {}), ("x - y", {"x": 0.5, "y": 1j})])


@case
def stack_machine():
    class Halt(Exception):
        pass

    class Machine:
        def __init__(self, code):
            self.code, self.stack, self.pc, self.steps = code, [], 0, 0

        def push(self, v):
            self.stack.append(v)

        def add(self):
            self.stack.append(self.stack.pop() + self.stack.pop())

        def jump_if(self, target):
            if self.stack[-1] < 100:
                self.pc = target

        def halt(self):
            raise Halt(self.steps)

        def run(self):
            try:
                while True:
                    name, *args = self.code[self.pc]
                    self.pc += 1
                    self.steps += 1
                    getattr(self, name)(*args)
            except Halt as stop:
                return self.stack, stop.args[0]

    def run(code):
        return Machine(code).run()
    drive(run, ([("push", 1), ("push", 3), ("add",), ("jump_if", 1), ("halt",)],),
          [([("push", 0.5), ("push", 7), ("add",), ("jump_if", 1), ("halt",)],), ([("add",)],), ([("nope",)],), ([("push",)],), ([],),
           ([("push", "a"), ("push", 1), ("add",)],)])


@case
def event_simulation():
    import heapq

    class Server:
        __slots__ = ("busy", "queue", "served")

        def __init__(self):
            self.busy = False
            self.queue = []
            self.served = 0

    def simulate(n):
        seed = 42
        server, events, clock, log = Server(), [], 0.0, []
        for i in range(n):
            seed = (seed * 1103515245 + 12345) % 2**31
            heapq.heappush(events, (seed / 2**26, i, "arrive"))
        while events:
            clock, who, kind = heapq.heappop(events)
            if kind == "arrive":
                if server.busy:
                    server.queue.append(who)
                    continue
                server.busy = True
            else:
                server.served += 1
                log.append(who)
                if not server.queue:
                    server.busy = False
                    continue
                who = server.queue.pop(0)
            heapq.heappush(events, (clock + 0.75 + who % 3, who, "leave"))
        return server.served, round(clock, 6), log[-5:]
    return heat(simulate, 5), simulate(200), simulate(0)


@case
def n_queens():
    def solve(n, row=0, columns=0, left=0, right=0):
        if row == n:
            return 1
        count = 0
        free = ~(columns | left | right) & ((1 << n) - 1)
        while free:
            bit = free & -free
            free ^= bit
            count += solve(n, row + 1, columns | bit, (left | bit) << 1, (right | bit) >> 1)
        return count

    def generated(n):
        from itertools import permutations
        return sum(1 for p in permutations(range(n)) if len({p[i] + i for i in range(n)}) == len({p[i] - i for i in range(n)}) == n)
    return [solve(n) for n in range(1, 8)], generated(6)


@case
def shortest_paths():
    def dijkstra(graph, start):
        distance = {start: 0}
        todo = [start]
        while todo:
            node = min(todo, key=lambda v: distance[v])
            todo.remove(node)
            for other, weight in graph[node].items():
                d = distance[node] + weight
                if other not in distance or d < distance[other]:
                    if other not in todo:
                        todo.append(other)
                    distance[other] = d
        return sorted(distance.items())
    graph = {i: {(i * 7 + 1) % 30: i % 5 + 1, (i * 3 + 2) % 30: 2, (i + 1) % 30: 9} for i in range(30)}
    print(heat(dijkstra, graph, 0)[-3:])
    graph[3] = {4: 0.5, 5: 2**62}
    print(dijkstra(graph, 0))
    graph[7] = {"missing": 1}
    print(outcome(dijkstra, graph, 0))


@case
def game_of_life():
    def step(cells):
        counts = {}
        for x, y in cells:
            for dx in (-1, 0, 1):
                for dy in (-1, 0, 1):
                    if dx or dy:
                        key = (x + dx, y + dy)
                        counts[key] = counts.get(key, 0) + 1
        return {c for c, n in counts.items() if n == 3 or (n == 2 and c in cells)}
    cells = {(1, 0), (2, 1), (0, 2), (1, 2), (2, 2)}
    for _ in range(60):
        cells = step(cells)
    return sorted(cells), outcome(step, {(1,)}), step({(0.5, 1), (1.5, 1), (2.5, 1)}) == {(1.5, 0), (1.5, 1), (1.5, 2)}


@case
def binary_tree_with_exceptions():
    class Node:
        def __init__(self, key, value):
            self.key, self.value, self.left, self.right = key, value, None, None

    class Tree:
        def __init__(self):
            self.root, self.size = None, 0

        def __setitem__(self, key, value):
            parent, node = None, self.root
            while node is not None:
                if key == node.key:
                    node.value = value
                    return
                parent, node = node, node.left if key < node.key else node.right
            new = Node(key, value)
            if parent is None:
                self.root = new
            elif key < parent.key:
                parent.left = new
            else:
                parent.right = new
            self.size += 1

        def __getitem__(self, key):
            node = self.root
            while node is not None:
                if key == node.key:
                    return node.value
                node = node.left if key < node.key else node.right
            raise KeyError(key)

        def __iter__(self):
            def walk(node):
                if node is not None:
                    yield from walk(node.left)
                    yield node.key
                    yield from walk(node.right)
            return walk(self.root)

        def __len__(self):
            return self.size

    def f(keys, wanted):
        tree = Tree()
        for i, k in enumerate(keys):
            tree[k] = i
        found = missing = 0
        for k in wanted:
            try:
                found += tree[k]
            except KeyError:
                missing += 1
        return list(tree), len(tree), found, missing
    keys = [(i * 37) % 101 for i in range(100)]
    drive(f, (keys, range(0, 120, 3)), [([], [1]), ([1, 0.5, 2**70], [0.5, 3]), (["b", "a"], ["a", "c"]), ([1, "a"], []), ([1, 2], ["a"])])


@case
def bank_with_properties_and_errors():
    class Overdrawn(Exception):
        pass

    class Account:
        fee = 1

        def __init__(self, owner, balance=0):
            self.owner, self._balance, self.log = owner, balance, []

        @property
        def balance(self):
            return self._balance

        @balance.setter
        def balance(self, value):
            if value < 0:
                raise Overdrawn(f"{self.owner}: {value}")
            self.log.append(value - self._balance)
            self._balance = value

        def transfer(self, other, amount):
            try:
                self.balance -= amount + self.fee
                other.balance += amount
            except Overdrawn:
                self.balance += 10
                raise

    def run(n, start):
        a, b = Account("a", start), Account("b", start)
        failures = 0
        for i in range(n):
            source, target = (a, b) if i % 3 else (b, a)
            try:
                source.transfer(target, (i * 13) % 50)
            except Overdrawn as error:
                failures += len(str(error))
            if i == 150:
                Account.fee = 0.5
        return a.balance, b.balance, len(a.log), failures
    out = []
    for n in (20, 20, 200, 300):
        Account.fee = 1
        out.append(run(n, 100))
    return out, outcome(run, 3, "x")


@case
def matrix_class_with_operators():
    class M:
        def __init__(self, rows):
            self.rows = rows

        def __matmul__(self, o):
            if len(self.rows[0]) != len(o.rows):
                raise ValueError(f"shapes {len(self.rows[0])} and {len(o.rows)}")
            return M([[sum(a * b for a, b in zip(row, col)) for col in zip(*o.rows)] for row in self.rows])

        def __pow__(self, n):
            result = M([[int(i == j) for j in range(len(self.rows))] for i in range(len(self.rows))])
            base = self
            while n:
                if n & 1:
                    result = result @ base
                base = base @ base
                n >>= 1
            return result

        def __repr__(self):
            return f"M({self.rows})"
    drive(lambda m, n: m ** n, (M([[1, 1], [1, 0]]), 10), [(M([[1, 1], [1, 0]]), 100), (M([[0.5, 1], [1, 0]]), 7), (M([[1, 2]]), 2),
                                                          (M([["a"]]), 1), (M([[1, 1], [1, 0]]), 2.5)])


@case
def lru_cache_by_hand():
    class Node:
        __slots__ = ("key", "value", "before", "after")

    class Cache:
        def __init__(self, size):
            self.size, self.map = size, {}
            self.ends = Node()
            self.ends.before = self.ends.after = self.ends

        def unlink(self, n):
            n.before.after, n.after.before = n.after, n.before

        def touch(self, n):
            n.before, n.after = self.ends.before, self.ends
            n.before.after = n.after.before = n

        def get(self, key, make):
            n = self.map.get(key)
            if n is None:
                if len(self.map) >= self.size:
                    old = self.ends.after
                    self.unlink(old)
                    del self.map[old.key]
                n = self.map[key] = Node()
                n.key, n.value = key, make(key)
            else:
                self.unlink(n)
            self.touch(n)
            return n.value

    def f(size, keys):
        misses = []

        def make(k):
            misses.append(k)
            return k * 2
        cache = Cache(size)
        total = 0
        for k in keys:
            total += cache.get(k, make)
        return total, len(misses), list(cache.map)
    keys = [(i * i) % 13 for i in range(100)]
    drive(f, (5, keys), [(1, keys), (100, keys), (3, [0.5, 1, 0.5, 2, 3, 4]), (2, ["a", 1]), (0, [1]), (2, [[]])])


@case
def json_like_round_trip():
    def dump(x):
        if x is None or x is True or x is False:
            return {None: "null", True: "true", False: "false"}[x]
        if isinstance(x, (int, float)):
            return repr(x)
        if isinstance(x, str):
            return '"' + x.replace("\\", "\\\\").replace('"', '\\"') + '"'
        if isinstance(x, list):
            return "[" + ",".join([dump(v) for v in x]) + "]"
        if isinstance(x, dict):
            return "{" + ",".join(f"{dump(k)}:{dump(v)}" for k, v in x.items()) + "}"
        raise TypeError(f"cannot dump {type(x).__name__}")

    import json
    value = {"a": [1, 2.5, None, True], "b": {"c": "text \"quoted\" \\ é", "d": []}, "e": [[[]], {}], "f": 2**70}
    print(heat(dump, value), json.loads(dump(value)) == value, outcome(dump, [1, {2}]), outcome(dump, {"k": object}))


@case
def generators_pipeline_with_classes():
    class Source:
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            for i in range(self.n):
                yield {"id": i, "value": i * 1.5 if i % 3 else i, "tags": ["even"] if i % 2 == 0 else []}

    def select(rows, predicate):
        for row in rows:
            if predicate(row):
                yield row

    def group(rows, key):
        groups = {}
        for row in rows:
            groups.setdefault(key(row), []).append(row)
        yield from sorted(groups.items())

    def report(n, k):
        out = []
        for key, rows in group(select(Source(n), lambda r: r["value"] > k), lambda r: len(r["tags"])):
            out.append((key, len(rows), sum(r["value"] for r in rows)))
        return out
    return heat(report, 10, 2), report(100, 2.5), outcome(report, 5, "a"), report(0, 0), HOT > 0
