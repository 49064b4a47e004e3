"""The functions that compiled code calls, compared with what the interpreter does."""

import ctypes
import math
import random
import unittest
from array import array as Numbers

import shimtest

OBJECT, INT, DOUBLE, POINTER = ctypes.py_object, ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
ADDRESSES = shimtest.helpers()
NULL = object()


def helper(name, result, *args):
    return ctypes.PYFUNCTYPE(result, *args)(ADDRESSES[name])


def own(value):
    """A reference for the helper to take."""
    ctypes.pythonapi.Py_IncRef(OBJECT(value))
    return value


def array(name, *items, taken=False):
    """Calls a helper that takes an array."""
    words = (POINTER * len(items))(*[None if item is NULL else id(item) for item in items])
    for item in items if taken else ():
        own(item)
    return helper(name, OBJECT, POINTER, INT)(ctypes.addressof(words), len(items))


def outcome(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return type(error), str(error)


def same_float(left, right):
    return (left != left and right != right) or (left == right and math.copysign(1, left) == math.copysign(1, right))


def called(*args, **kwargs):
    return args, kwargs


class Meeting:
    def __init__(self):
        self.x = 1

    def method(self):
        return "base"


class Below(Meeting):
    def method(self):
        return "below"


class BadKeys:
    def keys(self):
        raise AttributeError("inner")


class BadIter:
    def __iter__(self):
        raise TypeError("inner")


class Operators(unittest.TestCase):
    def test_binary_operators(self):
        binary = helper("binary_op", OBJECT, OBJECT, OBJECT, INT)
        self.assertEqual([binary(7, 3, op) for op in (0, 2, 5, 6, 8, 10, 11)], [10, 2, 21, 1, 343, 4, 7 / 3])
        self.assertEqual(outcome(binary, 3, "a", 0), outcome(lambda: 3 + "a"))
        self.assertEqual(outcome(binary, 3, "a", 13), (TypeError, "unsupported operand type(s) for +=: 'int' and 'str'"))
        self.assertIs(outcome(binary, 1, 2, 99)[0], SystemError)

    def test_operators_on_ints(self):
        binary = helper("int_op", OBJECT, OBJECT, OBJECT, INT)
        big = 3**90
        self.assertEqual([binary(big, 3, op) for op in (0, 1, 2, 3, 5, 6, 7, 9, 10, 12)],
                         [big + 3, big & 3, big // 3, big << 3, big * 3, big % 3, big | 3, big >> 3, big - 3, big ^ 3])
        self.assertEqual([binary(7, 3, op) for op in (8, 11, 13, 18)], [343, 7 / 3, 10, 21])
        self.assertEqual(binary(2.5, 2, 5), 5.0)
        self.assertEqual(outcome(binary, big, 0, 2), outcome(lambda: big // 0))
        self.assertEqual(outcome(binary, big, "a", 13), (TypeError, "unsupported operand type(s) for +=: 'int' and 'str'"))
        self.assertIs(outcome(binary, 1, 2, 99)[0], SystemError)

    def test_comparisons(self):
        self.assertEqual([helper("compare_bool", INT, OBJECT, OBJECT, INT)(3**90, 3**91, op) for op in range(6)], [1, 1, 0, 1, 0, 0])
        self.assertEqual(helper("compare_bool", INT, OBJECT, OBJECT, INT)(1, 2, 0), 1)
        self.assertIs(helper("rich_compare", OBJECT, OBJECT, OBJECT, INT)(1, 2, 4), False)
        self.assertEqual(helper("str_equal", INT, OBJECT, OBJECT)("ab", "ab"), 1)
        self.assertLess(helper("str_compare", INT, OBJECT, OBJECT)("a", "b"), 0)
        self.assertEqual(helper("contains", INT, OBJECT, OBJECT)([1, 2], 2), 1)

    def test_floats_are_bit_identical(self):
        power, floor, modulo = (helper(n, DOUBLE, DOUBLE, DOUBLE) for n in ("float_pow", "float_floor_div", "float_mod"))
        edges = [0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 7.3, 1e308, 5e-324, 1e-200, math.inf, math.nan]
        edges += [-edge for edge in edges]
        random.seed(1)
        pairs = [(a, b) for a in edges for b in edges] + [(random.uniform(-1e3, 1e3), random.uniform(-20, 20)) for _ in range(5000)]
        for a, b in pairs:
            if b:
                self.assertTrue(same_float(floor(a, b), a // b) and same_float(modulo(a, b), a % b), (a, b))
            got, real = power(a, b), outcome(lambda: a**b)
            if got == got:
                self.assertTrue(isinstance(real, float) and same_float(got, real), (a, b, got, real))


class Objects(unittest.TestCase):
    def test_attributes(self):
        item = Meeting()
        self.assertEqual(helper("get_attr", OBJECT, OBJECT, OBJECT)(item, "x"), 1)
        method = helper("get_method", OBJECT, OBJECT, OBJECT)
        self.assertIs(method(item, "method"), Meeting.method)
        self.assertIs(shimtest.scratch(0), item)
        self.assertEqual(method(item, "x"), 1)
        self.assertIs(shimtest.scratch(0), ...)
        self.assertEqual(helper("super_attr", OBJECT, OBJECT, OBJECT, OBJECT, INT)(Below, Below(), "method", 0)(), "base")
        self.assertIs(helper("super_method", OBJECT, OBJECT, OBJECT, OBJECT, INT)(Below, item := Below(), "method", 0), Meeting.method)
        self.assertIs(shimtest.scratch(0), item)

    def test_globals(self):
        load = helper("load_global", OBJECT, OBJECT, OBJECT)
        self.assertIs(load(called, "math"), math)
        self.assertIs(load(called, "len"), len)
        with self.assertRaises(NameError) as caught:
            load(called, "absent")
        self.assertEqual((str(caught.exception), caught.exception.name), ("name 'absent' is not defined", "absent"))

    def test_subscripts(self):
        get = helper("dict_get_item", OBJECT, OBJECT, OBJECT)
        self.assertEqual(get({1: 2}, 1), 2)
        with self.assertRaises(KeyError) as caught:
            get({}, (1, 2))
        self.assertEqual(caught.exception.args, ((1, 2),))
        self.assertEqual(helper("str_index", OBJECT, OBJECT, INT)("abc", 1), "b")
        self.assertEqual(helper("get_slice", OBJECT, OBJECT, OBJECT, OBJECT)([1, 2, 3], 1, None), [2, 3])

    def test_quick_answers(self):
        length, truth = helper("quick_len", INT, OBJECT), helper("quick_truth", INT, OBJECT)
        for value in ([1], (), "ab", b"abc", bytearray(3), {1: 2}, {1, 2}, frozenset()):
            self.assertEqual(length(value), len(value))
            self.assertEqual(truth(value), int(bool(value)))
        self.assertEqual([length(value) for value in (5, range(3), type("L", (list,), {})())], [-1, -1, -1])
        self.assertEqual([truth(value) for value in (0, 7, 0.0, None, object(), type("L", (list,), {})())], [0, 1, 0, 0, 1, -1])
        item, slice_ = helper("quick_item", OBJECT, OBJECT, INT), helper("quick_slice", OBJECT, OBJECT, INT, INT)
        step = helper("quick_step_slice", OBJECT, OBJECT, INT, INT, INT)
        for value in ([1, 2, 3], (1, 2, 3), "a\u20acc", b"abc"):
            for start in (-9, -1, 0, 1, 2**63 - 1):
                self.assertEqual(slice_(value, start, 2), value[start:2])
            self.assertEqual([item(value, index) for index in (0, -1)], [value[0], value[-1]])
        for value in ([1, 2, 3], (1, 2, 3), "abc"):
            self.assertEqual([step(value, 2**63 - 1, -(2**63), -1), step(value, 0, 3, 2)], [value[::-1], value[0:3:2]])
        instance = helper("quick_instance", INT, OBJECT, OBJECT)
        self.assertEqual([instance(True, int), instance("a", int), instance(1, 5)], [1, 0, -1])

    def test_notes_of_containers(self):
        note = helper("note_container", INT, OBJECT, OBJECT, INT)

        def noted(*containers, key=0):
            """What is answered for the last of them, and what stands in the site's words."""
            site = (ctypes.c_uint64 * 2)()
            for container in containers:
                answer = note(container, key, ctypes.addressof(site))
            return answer, site[0], site[1]

        several = 2**64 - 1
        for kind, code in enumerate("bBhHiIlLqQfd", 1):
            numbers = Numbers(code, [1, 2])
            self.assertEqual(noted(numbers), (0, kind, 1))
            self.assertEqual(helper("quick_len", INT, OBJECT)(numbers), 2)
            self.assertEqual(noted(*[numbers] * 23), (0, kind, 23))
            self.assertEqual(noted(*[numbers] * 24), (1, kind, 24))
            self.assertEqual(noted(numbers, Numbers(code)), (0, kind, 2))
            self.assertEqual(noted(*[numbers] * 30, [1]), (0, several, 0))
            self.assertEqual(noted(*[numbers] * 30, key="k"), (0, several, 0))
        self.assertEqual(noted(Numbers("i", [1]), Numbers("l", [1])), (0, several, 0))
        for other in (type("Sub", (Numbers,), {})("d", [1.0]), Numbers("u", "w"), [1], b"a", None):
            self.assertEqual(noted(other), (0, several, 0))
        load, store = ({name: lambda *_: None} for name in ("__getitem__", "__setitem__"))
        one, two = type("One", (), load)(), type("Two", (dict,), store)()
        self.assertEqual(noted(*[one] * 24, key="k")[::2], (1, 24))
        self.assertEqual(noted(one)[1] & 0xFF, 0xFF)
        self.assertNotEqual(noted(one)[1], noted(two)[1])
        self.assertEqual(noted(one, two), (0, several, 0))
        self.assertEqual(noted(type("Plain", (), {})()), (0, several, 0))

    def test_unpacking(self):
        unpack, extended = helper("unpack_sequence", INT, OBJECT, INT), helper("unpack_ex", INT, OBJECT, INT)
        for values in ([0, 1, 2], (0, 1, 2), iter([0, 1, 2])):
            self.assertEqual(unpack(values, 3), 0)
            self.assertEqual([shimtest.scratch(i) for i in range(3)], [0, 1, 2])
        for values in ([0, 1], (0, 1, 2, 3), 5):
            self.assertEqual(outcome(unpack, values, 3), outcome(lambda: exec("a, b, c = values", {"values": values})))
        self.assertEqual(extended(range(6), 1 | 2 << 8), 0)
        self.assertEqual([shimtest.scratch(i) for i in range(4)], [0, [1, 2, 3], 4, 5])

    def test_building(self):
        self.assertEqual(array("build_list", 1, "a", [], taken=True), [1, "a", []])
        self.assertEqual(array("build_tuple", 1, "a", taken=True), (1, "a"))
        self.assertEqual(array("build_tuple"), ())
        self.assertEqual(array("build_map", 1, 2, 3, 4), {1: 2, 3: 4})
        self.assertEqual(array("build_set", 1, 2, 1), {1, 2})
        self.assertEqual(array("build_string", "a", "bc"), "abc")
        self.assertEqual(array("build_slice", 1, 2), slice(1, 2))
        self.assertIs(outcome(array, "build_set", 1, [])[0], TypeError)
        self.assertEqual(helper("str_append", OBJECT, OBJECT, OBJECT)(own("ab" * 3), "c"), "abababc")

    def test_merging_and_calling_fail_alike(self):
        extend, update = helper("list_extend", INT, OBJECT, OBJECT), helper("dict_update", INT, OBJECT, OBJECT)
        call = helper("call_ex", OBJECT, OBJECT, OBJECT, OBJECT)
        for wrong in (5, Meeting(), BadKeys(), BadIter()):
            self.assertEqual(outcome(extend, [], wrong), outcome(lambda: [*wrong]))
            self.assertEqual(outcome(update, {}, wrong), outcome(lambda: {**wrong}))
            self.assertEqual(outcome(call, called, wrong, {}), outcome(lambda: called(*wrong)))

    def test_calls(self):
        item = Meeting()
        self.assertEqual(array("call_object", called, NULL, 1, 2), ((1, 2), {}))
        self.assertEqual(array("call_object", called, item, 1), ((item, 1), {}))
        self.assertEqual(array("call_keywords", called, NULL, 1, 2, ("k",)), ((1,), {"k": 2}))
        self.assertEqual(array("call_keywords", called, item, 7, ("k",)), ((item,), {"k": 7}))
        self.assertEqual(helper("call_ex", OBJECT, OBJECT, OBJECT, OBJECT)(called, [1, 2], {"z": 1}), ((1, 2), {"z": 1}))

    def test_ranges(self):
        make = helper("range_iter", OBJECT, INT, INT, INT)
        top, bottom = 2**63 - 1, -(2**63)
        for bounds in ((0, 10, 3), (10, 0, -3), (0, 0, 1), (5, 2, 1), (2**62, top, 2**61), (bottom, top, 2**62), (top, bottom, -(2**62))):
            self.assertEqual(list(make(*bounds)), list(range(*bounds)))
        self.assertEqual(outcome(make, 1, 2, 0), outcome(range, 1, 2, 0))

    def test_instances(self):
        Meeting()
        new = helper("new_instance", OBJECT, OBJECT)(Meeting)
        add = helper("inline_value_add", INT, OBJECT, OBJECT, INT)
        value = [1]
        self.assertEqual(add(new, own(value), 0), 0)
        self.assertEqual(add(new, value, 0), -1)
        self.assertEqual((new.x, vars(new)), (value, {"x": value}))

    def test_functions(self):
        made = helper("make_function", OBJECT, OBJECT, OBJECT)(called, (lambda: math).__code__)
        self.assertIs(made(), math)


if __name__ == "__main__":
    unittest.main()
