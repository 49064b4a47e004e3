"""What the compiler asks of the process; watchers."""

import dis
import enum
import math
import unittest

import shimtest

GENERIC, INLINE, SLOT, METHOD, CLASS_VALUE, PROPERTY, CLASS_METHOD = range(7)


class Plain:
    shared = [1]

    def __init__(self):
        self.x = 1
        self.y = 2.5

    def method(self):
        return self.x

    @property
    def computed(self):
        return 1

    @staticmethod
    def static():
        pass

    @classmethod
    def of_class(cls):
        pass


class WithDefault:
    size = 1

    def __init__(self):
        self.size = 2


class Slotted:
    __slots__ = ("q",)


class Dynamic:
    def __getattr__(self, name):
        return name


class Constructed:
    def __new__(cls):
        return object.__new__(cls)


class Empty:
    pass


class Colour(enum.Enum):
    RED = 1


def handlers(path):
    try:
        with open(path):
            pass
    except OSError:
        pass
    kept = 1

    def inner():
        return path, kept

    return inner


def looping(n):
    i = 0
    while i < n:
        i += 1
    return i


class Attributes(unittest.TestCase):
    def setUp(self):
        self.instance = Plain()

    def test_inline_values(self):
        for name, value in (("x", 1), ("y", 2.5)):
            found = shimtest.attribute(Plain, name)
            self.assertEqual((found["kind"], found["storable"]), (INLINE, 1))
            self.assertEqual(shimtest.peek(self.instance, found["offset"]), value)
            self.assertIs(shimtest.peek(self.instance, found["dict"]), ...)

    def test_methods_and_class_values(self):
        found = shimtest.attribute(Plain, "method")
        self.assertEqual((found["kind"], found["object"], found["shared"]), (METHOD, Plain.method, 1))
        self.assertGreater(found["keys"], 0)
        found = shimtest.attribute(list, "append")
        self.assertEqual((found["kind"], found["object"], found["shared"]), (METHOD, list.append, 0))
        self.assertEqual(shimtest.attribute(Plain, "shared")["kind"], CLASS_VALUE)
        self.assertIs(shimtest.attribute(Plain, "computed")["object"], Plain.computed.fget)

    def test_what_must_stay_generic(self):
        for owner, name in ((Plain, "absent"), (Dynamic, "x"), (Plain, "__dict__")):
            self.assertEqual(shimtest.attribute(owner, name)["kind"], GENERIC, name)

    def test_what_wraps_functions(self):
        found = shimtest.attribute(Plain, "static")
        self.assertEqual((found["kind"], found["object"], found["shared"]), (CLASS_VALUE, Plain.static, 1))
        found = shimtest.attribute(Plain, "of_class")
        self.assertEqual((found["kind"], found["object"], found["shared"]), (CLASS_METHOD, Plain.of_class.__func__, 1))

    def test_class_of_instances(self):
        found = shimtest.attribute(Plain, "__class__")
        self.assertEqual((found["kind"], found["object"], found["shared"]), (CLASS_VALUE, Plain, 0))

    def test_own_values_beside_defaults(self):
        instance = WithDefault()
        found = shimtest.attribute(WithDefault, "size")
        self.assertEqual((found["kind"], found["storable"]), (INLINE, 1))
        self.assertEqual(shimtest.peek(instance, found["offset"]), 2)

    def test_slots(self):
        instance = Slotted()
        instance.q = 5
        found = shimtest.attribute(Slotted, "q")
        self.assertEqual((found["kind"], shimtest.peek(instance, found["offset"])), (SLOT, 5))

    def test_attributes_of_classes(self):
        self.assertIs(shimtest.class_attribute(Colour, "RED"), Colour.RED)
        self.assertIs(shimtest.class_attribute(Plain, "method"), Plain.method)
        self.assertIs(shimtest.class_attribute(Plain, "static"), Plain.static)
        for name in ("computed", "of_class", "__name__", "absent"):
            self.assertIs(shimtest.class_attribute(Plain, name), ...)


class Objects(unittest.TestCase):
    def test_constants_and_labels(self):
        about = shimtest.describe(5)
        self.assertEqual((about["label"], about["constant"], about["int"], about["type"]), ("5", 2, 5, 1 << 3))
        self.assertEqual(shimtest.describe(1 << 70)["constant"], 4)
        self.assertEqual(shimtest.describe(None)["type"], 1 << 1)
        self.assertEqual(shimtest.describe(list.append)["label"], "list.append")
        self.assertTrue(("abcdé" * 20).startswith(shimtest.describe("abcdé" * 20)["label"]))

    def test_classes_by_version(self):
        for owner in (Plain, int, list, str, Colour):
            Plain().method()
            [].append(1)
            self.assertIn(shimtest.describe(owner)["by_version"], (owner, ...))
        self.assertIs(shimtest.describe(list)["by_version"], list)
        self.assertIs(shimtest.describe(Plain)["by_version"], Plain)

    def test_calls_of_classes(self):
        self.assertEqual((shimtest.describe(Plain)["call"], shimtest.describe(Plain)["init"]), (1, Plain.__init__))
        self.assertEqual((shimtest.describe(Empty)["call"], shimtest.describe(Empty)["init"]), (1, ...))
        for other in (Constructed, Exception, type, int, Colour, enum.EnumType):
            self.assertEqual(shimtest.describe(other)["call"], 0, other)

    def test_builtins(self):
        expected = {len: 0, range: 2, int: 8, type: 11, math.sqrt: 12, list.append: 13, str: 14, tuple: 15, divmod: 16,
                    enumerate: 17, eval: 18, super: 18, print: -1, math.sin: -1}
        for function, position in expected.items():
            self.assertEqual(shimtest.describe(function)["builtin"], position, function)

    def test_code(self):
        base, _, table, kinds = shimtest.code(handlers.__code__)
        self.assertEqual(base, handlers.__code__.co_code)
        parsed = dis._parse_exception_table(handlers.__code__)
        self.assertEqual(table, [(e.start // 2, e.end // 2, e.target // 2, e.depth, int(e.lasti)) for e in parsed])
        names = handlers.__code__.co_varnames
        self.assertEqual(list(kinds)[: len(names)], [int(name in handlers.__code__.co_cellvars) for name in names])

    def test_instrumented_code_shows_its_base(self):
        shimtest.monitor(3)
        self.addCleanup(shimtest.monitor, -1)
        looping(10)
        _, adaptive, _, _ = shimtest.code(looping.__code__)
        raw = looping.__code__._co_code_adaptive
        changed = {dis.opname[raw[i]]: dis.opname[adaptive[i]] for i in range(0, len(raw), 2) if raw[i] != adaptive[i]}
        self.assertEqual(changed.get("INSTRUMENTED_JUMP_BACKWARD"), "JUMP_BACKWARD")
        self.assertTrue(all(name == "INSTRUMENTED_" + base for name, base in changed.items()), changed)


class Watchers(unittest.TestCase):
    def test_changes_are_reported_until_they_are_off(self):
        watched = {}
        log = shimtest.watch(watched)
        log.clear()
        self.addCleanup(shimtest.unwatch)
        shimtest.watch(Empty)
        watched["a"] = 1
        watched["a"] = 2
        del watched["a"]
        watched["nobody relies on this"] = 1
        Empty.attribute = 1

        def function(x=1):
            return x

        function.__defaults__ = (2,)
        function.__code__ = looping.__code__
        self.assertEqual([text for text in log if text.startswith("dict")], ["dict 0 a", "dict 1 a", "dict 2 a"])
        self.assertEqual([text for text in log if not text.startswith("dict")], ["type Empty", "function 1", "function 0"])
        shimtest.unwatch()
        count = len(log)
        watched["a"] = 3
        Empty.attribute = 2
        self.assertEqual(len(log), count)

    def test_a_class_is_reported_again_once_it_is_watched_again_and_refused_when_it_cannot_be(self):
        class Restless:
            pass

        log = shimtest.watch(Restless)
        self.addCleanup(shimtest.unwatch)
        refused = None
        for number in range(3000):
            before = len(log)
            Restless.attribute = number
            self.assertEqual(len(log), before + 1)
            Restless.attribute = -number
            self.assertEqual(len(log), before + 1)
            try:
                shimtest.watch(Restless)
            except RuntimeError as error:
                refused = error
                break
        self.assertIn("changed too often", str(refused))


if __name__ == "__main__":
    unittest.main()
