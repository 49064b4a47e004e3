"""Methods that are bound first and called later."""

import io
import sys

from corpus_api import case, drive, heat, outcome


class Pickler:
    def __init__(self, scale=1):
        self.scale = scale
        self.written = []
        self.write = self.written.append

    def save(self, value, extra=0):
        if value == "bad":
            raise ValueError(value)
        return value * self.scale + extra

    def save_all(self, values):
        save = self.save
        total = 0
        for value in values:
            total += save(value)
        return total

    def save_named(self, values):
        save = self.save
        return [save(value=value, extra=7) for value in values]

    def put(self, values):
        for value in values:
            self.write(value)
        return len(self.written)

    def depth(self, count):
        deeper = self.depth
        return 0 if count == 0 else 1 + deeper(count - 1)


class Loud(Pickler):
    def save(self, value, extra=0):
        return ["loud", super().save(value, extra)]


class Rising(list):
    def append(self, value):
        super().append(value + 1)


@case
def append_of_a_list():
    def copy(values, times):
        result = []
        append = result.append
        for value in values:
            for _ in range(times):
                append(value)
        return result

    drive(copy, ([1, "two", 3.0], 5), [((), 3), ([[]], 1), (["x"], 0), (7, 1), ([1], "no")])


@case
def append_of_what_is_no_list():
    def fill(target, count):
        append = target.append
        for i in range(count):
            append(i)
        return list(target)

    def given(target, count):
        result = target
        result += [0]
        append = result.append
        for i in range(count):
            append(i)
        return list(result)

    drive(fill, ([], 3), [(Rising(), 3), (bytearray(b"a"), 3), (None, 1), ([], -1)])
    drive(given, ([], 3), [(Rising(), 3), (bytearray(b"a"), 3), (None, 1), ([], -1)])


@case
def the_object_is_forgotten_meanwhile():
    def build(count):
        items = []
        append = items.append
        items = None
        for i in range(count):
            append(i)
        return append.__self__, items

    def switch(count):
        items = []
        others = []
        append = items.append
        for i in range(count):
            append(i)
            if i == count // 2:
                append = others.append
        return items, others

    drive(build, (6,), [(0,), (1,), (300,)])
    drive(switch, (9,), [(0,), (1,), (50,)])


@case
def methods_in_c_with_other_arguments():
    def use(mapping, keys, text):
        known = {1: 2, 3: 4}
        seen = set()
        parts = []
        get, add, join, pop = known.get, seen.add, ",".join, known.pop
        for key in keys:
            parts.append(str(get(key)))
            parts.append(str(get(key, "none")))
            add(key)
            parts.append(str(pop(key, None)))
        return join(parts), sorted(seen, key=str), known, text.join

    def wrong(which):
        items = []
        append, extend, sort = items.append, items.extend, items.sort
        if which == 0:
            return append()
        if which == 1:
            return append(1, 2)
        if which == 2:
            return append(value=1)
        if which == 3:
            return extend(3)
        if which == 4:
            extend([2, "a"])
            return sort(key=len)
        append(which)
        return items

    drive(lambda *args: use(*args)[:3], ({}, [1, 2, 3], ""), [({}, [], ""), ({}, [[]], ""), ({}, ["a", "a"], "")])
    drive(wrong, (9,), [(0,), (1,), (2,), (3,), (4,), (5,)])


@case
def methods_in_python():
    plain, scaled, loud = Pickler(), Pickler(3), Loud(2)
    drive(Pickler.save_all, (plain, [1, 2, 3]), [(scaled, [1, 2.5]), (loud, []), (loud, [1]), (plain, ["bad"]), (plain, [1, "a"])])
    drive(Pickler.save_named, (scaled, [1, 2]), [(plain, [2.5]), (loud, [1, 2]), (plain, ["bad"]), (None, [])])


@case
def a_method_on_the_instance_hides_the_class():
    def run(pickler, values):
        pickler.scale += 0
        save = pickler.save
        return [save(value) for value in values]

    hidden = Pickler()
    hidden.save = lambda value: ("mine", value)
    other = Pickler(5)
    other.save = plain = Pickler(7).save
    drive(run, (Pickler(2), [1, 2, 3]), [(hidden, [1]), (other, [1, 2]), (Loud(2), [1]), (Pickler(2), [4])])
    print(plain(1))


@case
def a_method_of_the_class_is_replaced():
    class Local:
        def step(self, value):
            return value + 1

    def run(item, values):
        step = item.step
        return [step(value) for value in values]

    heat(run, Local(), [1, 2, 3])
    Local.step = lambda self, value: ("new", value)
    print(outcome(run, Local(), [1, 2]))

    def changing(item, values):
        step = item.step
        result = []
        for value in values:
            result.append(step(value))
            if value == 2:
                Local.step = lambda self, value: ("newer", value)
        return result, item.step(0)

    print(outcome(changing, Local(), [1, 2, 3]))


@case
def a_bound_method_in_an_attribute():
    def run(values):
        pickler = Pickler()
        return pickler.put(values), pickler.written

    class Relay:
        def __init__(self, target):
            self.target = target

        def send(self, values):
            return [self.target(value) for value in values]

    drive(run, ([1, 2, 3],), [([],), (["a", None],), (5,)])
    relays = [Relay(Pickler(2).save), Relay(Loud(2).save), Relay(str), Relay(lambda value: value), Relay(None), Relay(5 .__add__)]
    drive(Relay.send, (relays[0], [1, 2]), [(relay, [3, 4]) for relay in relays])


@case
def of_one_class_and_of_several():
    def run(function, values):
        total = 0
        for value in values:
            total += function(value)
        return total

    class Other:
        def half(self, value):
            return value / 2

        @classmethod
        def double(cls, value):
            return 2 * value

        @staticmethod
        def same(value):
            return value

    methods = [Pickler(3).save, Other().half, Other.double, Other().double, Other.same, abs, 3 .__add__, Pickler(4).save]
    drive(run, (Pickler(2).save, [1, 2]), [(method, [5, -6]) for method in methods])


@case
def recursion_through_bound_methods():
    pickler = Pickler()
    drive(Pickler.depth, (pickler, 5), [(pickler, 0), (pickler, 60)])

    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(150)
        try:
            print(Pickler.depth(pickler, 1000))
        except RecursionError as error:
            print(type(error).__name__)
    finally:
        sys.setrecursionlimit(limit)


@case
def writing_to_a_stream():
    def render(values):
        stream = io.StringIO()
        write = stream.write
        for value in values:
            write(value)
        return stream.getvalue()

    def raised(values):
        stream = io.StringIO()
        write = stream.write
        stream.close()
        for value in values:
            write(value)

    drive(render, (["a", "b"],), [([],), (["x", 5],), ([b"y"],)])
    drive(raised, ([],), [(["a"],)])


@case
def who_holds_the_object():
    died = []

    class Dying:
        def __init__(self, name):
            self.name = name

        def __del__(self):
            died.append((self.name, sys._getframe(1).f_code.co_name))

        def call(self, value):
            return value + 1

    def last_holder(name, value):
        method = Dying(name).call
        result = method(value)
        method = None
        died.append("after")
        return result

    def from_a_dict(name, value):
        methods = {0: Dying(name).call}
        result = methods.pop(0)(value)
        died.append("after")
        return result

    heat(last_holder, "warm", 1)
    heat(from_a_dict, "warm", 1)
    died.clear()
    for value in (1, 2.5, "no"):
        print(outcome(last_holder, "local", value), died)
        died.clear()
        print(outcome(from_a_dict, "dict", value), died)
        died.clear()
