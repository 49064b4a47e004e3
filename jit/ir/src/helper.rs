//! The runtime's helper functions: one row declares a helper's signature and effects.
//!
//! A helper with a `NewOrNull` result returns null with an exception set (for [`Helper::IterNext`]: or without one at the end). A
//! helper with an `Int` result marked `RAISES` returns -1 with an exception set. Operands are borrowed unless `Own`.

use crate::op::{ArgKind, Effects, ResultKind};

/// A helper's signature.
#[derive(Clone, Copy, Debug)]
pub struct HelperInfo {
    /// The printed name; the C symbol is `pepjit_` and this name.
    pub name: &'static str,
    /// The operands. For a helper called by `call_n`: the kind of all of them (C: an array and its length).
    pub args: &'static [ArgKind],
    /// Whether the helper takes an array.
    pub array: bool,
    /// The result.
    pub result: ResultKind,
    /// What it does.
    pub effects: Effects,
}

macro_rules! helpers {
    ($($(#[$doc:meta])* $name:ident $text:literal ($($arg:ident),*) $array:ident -> $result:ident [$($effect:ident)*];)*) => {
        /// A function of the runtime that compiled code calls.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Helper { $($(#[$doc])* $name),* }

        impl Helper {
            /// Every helper, in the order of the runtime's table of addresses.
            pub const ALL: &[Helper] = &[$(Helper::$name),*];

            /// The helper's row.
            pub const fn info(self) -> HelperInfo {
                match self {
                    $(Helper::$name => HelperInfo {
                        name: $text,
                        args: &[$(ArgKind::$arg),*],
                        array: array!($array),
                        result: ResultKind::$result,
                        effects: Effects::NONE $(.and(Effects::$effect))*,
                    }),*
                }
            }

            /// The helper of this printed name.
            pub fn from_name(name: &str) -> Option<Helper> {
                match name { $($text => Some(Helper::$name),)* _ => None }
            }
        }
    };
}

macro_rules! array {
    (plain) => {
        false
    };
    (array) => {
        true
    };
}

helpers! {
    // Operators. `Int` operands named op are CPython's NB_* or Py_LT.. numbers.
    /// `a op b`, with op an `NB_*` number (in-place ones included): `PyNumber_*`, `PyObject_GetItem`.
    BinaryOp "binary_op" (Obj, Obj, Int) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `a op b` as [`Helper::BinaryOp`] has it, quickest for exact ints of any size. Not for `**`, `/` and `@`.
    IntOp "int_op" (Obj, Obj, Int) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `-a`.
    Negative "negative" (Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `~a`.
    Invert "invert" (Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `+a`.
    Positive "positive" (Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `PyObject_RichCompare`.
    RichCompare "rich_compare" (Obj, Obj, Int) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `PyObject_RichCompare` then truth: 1, 0 or -1.
    CompareBool "compare_bool" (Obj, Obj, Int) plain -> Int [READS WRITES CALLS RAISES];
    /// Equality of two exact strings: 1 or 0.
    StrEqual "str_equal" (Obj, Obj) plain -> Int [READS];
    /// The order of two exact strings: negative, 0 or positive.
    StrCompare "str_compare" (Obj, Obj) plain -> Int [READS];
    /// `PyObject_IsTrue`: 1, 0 or -1.
    IsTrue "is_true" (Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `a in container` (container first): 1, 0 or -1.
    Contains "contains" (Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `a ** b` for doubles as CPython computes it where it neither raises nor gives a complex number; NaN marks that the caller must ask the generic helper instead.
    FloatPow "float_pow" (Float, Float) plain -> Float [];
    /// `a // b` for doubles, `b` not zero.
    FloatFloorDiv "float_floor_div" (Float, Float) plain -> Float [];
    /// `a % b` for doubles, `b` not zero.
    FloatMod "float_mod" (Float, Float) plain -> Float [];

    // Attributes and names
    /// `PyObject_GetAttr`.
    GetAttr "get_attr" (Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `PyObject_SetAttr` (object, name, value): 0 or -1.
    SetAttr "set_attr" (Obj, Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `object.__setattr__` itself (object, name, value): 0 or -1.
    ObjectSetAttr "object_set_attr" (Obj, Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `PyObject_DelAttr`: 0 or -1.
    DelAttr "del_attr" (Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// The attribute as a callable: the result, and in scratch 0 the `self` to pass first, or null.
    GetMethod "get_method" (Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// A global or builtin by name, of a function (function, name).
    LoadGlobal "load_global" (Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// Sets a global of a function (function, name, value): 0 or -1. The numbers say where its dict has it (in words from the keys'
    /// beginning, or 0) as long as the keys have this version.
    StoreGlobal "store_global" (Obj, Obj, Obj, Int, Int) plain -> Int [READS WRITES CALLS RAISES];
    /// `super().name` (class, self, name, whether the two were written out) as an attribute.
    SuperAttr "super_attr" (Obj, Obj, Obj, Int) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `super().name` as a callable: the result, and in scratch 0 the `self` to pass first, or null.
    SuperMethod "super_method" (Obj, Obj, Obj, Int) plain -> NewOrNull [READS WRITES CALLS RAISES];

    // Subscripts
    /// `PyObject_GetItem`.
    GetItem "get_item" (Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `PyObject_SetItem` (container, key, value): 0 or -1.
    SetItem "set_item" (Obj, Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `PyObject_DelItem`: 0 or -1.
    DelItem "del_item" (Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `d[k]` of an exact dict, with `KeyError`.
    DictGetItem "dict_get_item" (Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `s[i]` of an exact str with an index in range; null without an exception otherwise.
    StrIndex "str_index" (Obj, Int) plain -> NewOrNull [READS ALLOCATES];
    /// `container[start:stop]` (container, start, stop).
    GetSlice "get_slice" (Obj, Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `container[start:stop] = value` (container, start, stop, value): 0 or -1.
    SetSlice "set_slice" (Obj, Obj, Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];

    // Iteration
    /// `PyObject_GetIter`.
    GetIter "get_iter" (Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `tp_iternext`: null at the end, or with an exception set.
    IterNext "iter_next" (Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// Whether an exception is set.
    ErrorOccurred "error_occurred" () plain -> Bool [READS];
    /// Unpacks into exactly n values, left in scratch 0 .. n - 1: 0 or -1.
    UnpackSequence "unpack_sequence" (Obj, Int) plain -> Int [READS WRITES CALLS RAISES];
    /// Unpacks into before + list + after values (before in the low 8 bits, after above), left in scratch: 0 or -1.
    UnpackEx "unpack_ex" (Obj, Int) plain -> Int [READS WRITES CALLS RAISES];

    // Building
    /// A list of these items.
    BuildList "build_list" (Own) array -> NewOrNull [ALLOCATES RAISES];
    /// A tuple of these items.
    BuildTuple "build_tuple" (Own) array -> NewOrNull [ALLOCATES RAISES];
    /// A dict of these keys and values by turns.
    BuildMap "build_map" (Obj) array -> NewOrNull [READS WRITES CALLS RAISES];
    /// A set of these items.
    BuildSet "build_set" (Obj) array -> NewOrNull [READS WRITES CALLS RAISES];
    /// The concatenation of these strings.
    BuildString "build_string" (Obj) array -> NewOrNull [ALLOCATES RAISES];
    /// A slice of two or three.
    BuildSlice "build_slice" (Obj) array -> NewOrNull [ALLOCATES RAISES];
    /// Appends; takes the value: 0 or -1.
    ListAppend "list_append" (Obj, Own) plain -> Int [WRITES RAISES];
    /// `list.extend`: 0 or -1.
    ListExtend "list_extend" (Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `tuple(list)`.
    ListToTuple "list_to_tuple" (Obj) plain -> NewOrNull [ALLOCATES RAISES];
    /// Adds to an exact set: 0 or -1.
    SetAdd "set_add" (Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `set.update`: 0 or -1.
    SetUpdate "set_update" (Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// Sets an item of an exact dict: 0 or -1.
    DictSetItem "dict_set_item" (Obj, Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `dict.update`: 0 or -1.
    DictUpdate "dict_update" (Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `format(value, "")`, or the value itself if it's an exact str.
    FormatSimple "format_simple" (Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `format(value, spec)`.
    FormatWithSpec "format_with_spec" (Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `str(v)`, `repr(v)` or `ascii(v)` (1, 2, 3).
    ConvertValue "convert_value" (Obj, Int) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// A concatenation of two exact strings.
    StrConcat "str_concat" (Obj, Obj) plain -> NewOrNull [ALLOCATES RAISES];
    /// A function of a code object with the running function's globals (function, code).
    MakeFunction "make_function" (Obj, Obj) plain -> NewOrNull [ALLOCATES RAISES];
    /// Sets an attribute of a new function (function, value taken, which: 1 defaults, 2 keyword defaults, 4 annotations, 8 closure, 16 annotate).
    SetFunctionAttribute "set_function_attribute" (Obj, Own, Int) plain -> Int [WRITES];
    /// A cell with this content (or none); takes it.
    MakeCell "make_cell" (OwnNullable) plain -> NewOrNull [ALLOCATES RAISES];
    /// A range iterator (start, stop, step as ints), for `for i in range(...)` where the range object itself isn't needed.
    RangeIter "range_iter" (Int, Int, Int) plain -> NewOrNull [ALLOCATES RAISES];

    // Calls
    /// Calls operand 0 with operand 1 (if not null) and the rest as positional arguments.
    CallObject "call_object" (Nullable) array -> NewOrNull [READS WRITES CALLS RAISES];
    /// The same with the last operand a tuple of keyword names.
    CallKeywords "call_keywords" (Nullable) array -> NewOrNull [READS WRITES CALLS RAISES];
    /// Calls like `call_object`, and gives the operands away: a Python function has its arguments alone.
    GiveObject "give_object" (OwnNullable) array -> NewOrNull [READS WRITES CALLS RAISES];
    /// The same with the last operand a tuple of keyword names.
    GiveKeywords "give_keywords" (OwnNullable) array -> NewOrNull [READS WRITES CALLS RAISES];
    /// `function(*args, **kwargs)`: function, args tuple or iterable, kwargs dict or null.
    CallEx "call_ex" (Obj, Obj, Nullable) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `len(a)`, or -1.
    Len "len" (Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `isinstance(a, b)`: 1, 0 or -1.
    IsInstance "is_instance" (Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// Allocates an instance of a class with the default `__new__` and inline values or slots, without `__init__`.
    NewInstance "new_instance" (Obj) plain -> NewOrNull [ALLOCATES RAISES];
    /// Writes an attribute into an instance's inline values where it has no value yet (instance, value taken, index): 0, or -1 if it can't (then nothing was taken).
    InlineValueAdd "inline_value_add" (Obj, Own, Int) plain -> Int [WRITES];
    /// `left + right` of exact strings where nobody else will use `left` again: grows it in place if it can.
    StrAppend "str_append" (Own, Obj) plain -> NewOrNull [ALLOCATES WRITES RAISES];

    // Names, imports, patterns
    /// Deletes a global of a function (function, name): 0 or -1.
    DeleteGlobal "delete_global" (Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// `__build_class__` of the running frame's builtins.
    LoadBuildClass "load_build_class" () plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// Imports a module (name, names that are wanted of it, level).
    ImportName "import_name" (Obj, Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// A name of a module; null without an exception: ask the interpreter.
    ImportFrom "import_from" (Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// Whether an object is a mapping (1) or a sequence (0) for patterns.
    IsPattern "is_pattern" (Obj, Int) plain -> Bool [READS];
    /// A mapping's values for a tuple of keys, or `None`.
    MatchKeys "match_keys" (Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// The attributes for a class pattern (subject, class, names, how many are positional), or `None`.
    MatchClass "match_class" (Obj, Obj, Obj, Int) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// Adds keyword arguments to a dict of them (dict, mapping, what is called): 0 or -1.
    DictMerge "dict_merge" (Obj, Obj, Obj) plain -> Int [READS WRITES CALLS RAISES];

    // Exceptions
    /// `raise exception from cause`; without a cause: null. Always leaves an exception set.
    Raise "raise" (Obj, Nullable) plain -> None [READS WRITES CALLS RAISES];
    /// The exception that is being handled, or null. The interpreter keeps it while it's handled.
    Handled "handled" () plain -> RefOrNull [READS];
    /// Sets an exception as it is, to be raised again.
    SetRaised "set_raised" (Own) plain -> None [WRITES];
    /// Makes an exception the one that is being handled; gives the one that was, or `None`.
    PushExcInfo "push_exc_info" (Obj) plain -> New [READS WRITES];
    /// Ends the handling of an exception: the one from before (or `None`) is being handled again.
    PopExcept "pop_except" (Own) plain -> None [READS WRITES CALLS];
    /// Whether an exception is of a class, or of one of a tuple of classes: 1, 0 or -1.
    CheckExcMatch "check_exc_match" (Obj, Obj) plain -> Int [READS RAISES];
    /// Calls a context manager's exit function with an exception (function, `self` or null, exception).
    WithExceptStart "with_except_start" (Obj, Nullable, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// A special method by its number: the result, and in scratch 0 the `self` to pass first, or null.
    LoadSpecial "load_special" (Obj, Int) plain -> NewOrNull [READS WRITES CALLS RAISES];

    // Functions in C by their address; self may be null. What they can do is anybody's guess.
    /// `METH_NOARGS` (address, flags, self). Flags: 1 with `METH_KEYWORDS`, 2 if it can wait, so that signals are looked for after it.
    NativeNone "native_none" (Word, Word, Nullable) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `METH_O` (address, flags, self, argument).
    NativeOne "native_one" (Word, Word, Nullable, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `METH_FASTCALL` without arguments (address, flags, self).
    NativeFast0 "native_fast0" (Word, Word, Nullable) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `METH_FASTCALL` with one argument.
    NativeFast1 "native_fast1" (Word, Word, Nullable, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `METH_FASTCALL` with two arguments.
    NativeFast2 "native_fast2" (Word, Word, Nullable, Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `METH_FASTCALL` with three arguments.
    NativeFast3 "native_fast3" (Word, Word, Nullable, Obj, Obj, Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];

    // Answers for the commonest classes that run no Python code; -1 or null, without an exception, for others and for errors.
    /// The length of an exact container or string.
    QuickLen "quick_len" (Obj) plain -> Int [READS];
    /// An item of an exact list, tuple, str, bytes or bytearray.
    QuickItem "quick_item" (Obj, Int) plain -> NewOrNull [READS ALLOCATES];
    /// `a[start:stop]` of an exact list, tuple, str or bytes; an absent bound is 0 or the largest int.
    QuickSlice "quick_slice" (Obj, Int, Int) plain -> NewOrNull [READS ALLOCATES];
    /// Whether the second exact str is in the first: 1, 0 or, without memory, -1.
    StrContains "str_contains" (Obj, Obj) plain -> Int [READS];
    /// `ord` of an exact str of one character, or of a byte.
    QuickOrd "quick_ord" (Obj) plain -> Int [READS];
    /// `chr`.
    QuickChr "quick_chr" (Int) plain -> NewOrNull [ALLOCATES];

    /// `min` (op `Py_LT`) or `max` (op `Py_GT`) of two or three ints of one digit, or floats.
    QuickMinMax "quick_min_max" (Obj, Obj, Nullable, Int) plain -> NewOrNull [READS];

    // What known builtins do.
    /// `int(x)`.
    ToInt "to_int" (Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `float(x)`.
    ToFloat "to_float" (Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `str(x)`.
    ToStr "to_str" (Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `tuple(x)`.
    ToTuple "to_tuple" (Obj) plain -> NewOrNull [READS WRITES CALLS RAISES];
    /// `a[start:stop:step]` of an exact list, tuple or ASCII str; absent bounds are the outermost ints.
    QuickStepSlice "quick_step_slice" (Obj, Int, Int, Int) plain -> NewOrNull [READS ALLOCATES];
    /// `list[start:stop] = value`, with bounds as for [`Helper::QuickSlice`]: 0 or -1, or 1, and nothing
    /// done, if they are no exact lists (the value may be a tuple).
    ListSetSlice "list_set_slice" (Obj, Int, Int, Obj) plain -> Int [READS WRITES CALLS RAISES];
    /// The truth of a number, an exact container or string, or an object whose class says nothing of it.
    QuickTruth "quick_truth" (Obj) plain -> Int [READS];
    /// `isinstance(a, b)` for plain classes, where nobody else is asked: 1 or 0.
    QuickInstance "quick_instance" (Obj, Obj) plain -> Int [READS];
    /// The same as [`Helper::CallObject`] where 3.13 and 3.15 enter a `with` statement: no signal comes between that and its body.
    EnterContext "enter_context" (Nullable) array -> NewOrNull [READS WRITES CALLS RAISES];
    /// Notes what is subscripted (container, key, the site's address): 1 if enough has been seen, so that compiling for it is worthwhile.
    NoteContainer "note_container" (Obj, Obj, Word) plain -> Int [WRITES];
}
