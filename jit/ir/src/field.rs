//! Named memory fields of CPython's objects. Their offsets are the runtime's business (`Layout`).

use crate::types::Type;

/// How many bytes a field has and how they are extended to a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// One byte, zero-extended.
    U8,
    /// One byte, sign-extended.
    I8,
    /// Two bytes, zero-extended.
    U16,
    /// Two bytes, sign-extended.
    I16,
    /// Four bytes, zero-extended.
    U32,
    /// Four bytes, sign-extended.
    I32,
    /// Eight bytes: a word or a pointer.
    U64,
    /// Four bytes: a single-precision number, which a register holds as a double.
    F32,
    /// Eight bytes: a double.
    F64,
}

impl Width {
    /// How many bytes in memory.
    pub const fn bytes(self) -> u8 {
        1 << self.log2()
    }

    /// The binary logarithm of that.
    pub const fn log2(self) -> u8 {
        match self {
            Width::U8 | Width::I8 => 0,
            Width::U16 | Width::I16 => 1,
            Width::U32 | Width::I32 | Width::F32 => 2,
            Width::U64 | Width::F64 => 3,
        }
    }

    /// What a register holds of zero-extended bytes.
    pub fn extend(self, raw: u64) -> u64 {
        match self {
            Width::I8 => raw as i8 as u64,
            Width::I16 => raw as i16 as u64,
            Width::I32 => raw as i32 as u64,
            Width::F32 => f64::from(f32::from_bits(raw as u32)).to_bits(),
            Width::U8 | Width::U16 | Width::U32 | Width::U64 | Width::F64 => raw,
        }
    }

    /// What memory holds of a register, in the lower bytes.
    pub fn narrow(self, value: u64) -> u64 {
        if self == Width::F32 { u64::from((f64::from_bits(value) as f32).to_bits()) } else { value }
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident, $text:literal, $width:ident, $ty:expr;)*) => {
        /// A named field of one of CPython's structures.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Field { $($(#[$doc])* $name),* }

        impl Field {
            /// Every field, in the order of the layout table.
            pub const ALL: &[Field] = &[$(Field::$name),*];
            /// The printed name.
            pub const fn name(self) -> &'static str { match self { $(Field::$name => $text),* } }
            /// The width in memory.
            pub const fn width(self) -> Width { match self { $(Field::$name => Width::$width),* } }
            /// The type of the loaded value.
            pub const fn ty(self) -> Type { match self { $(Field::$name => $ty),* } }
            /// The field of this printed name.
            pub fn from_name(name: &str) -> Option<Field> { match name { $($text => Some(Field::$name),)* _ => None } }
        }
    };
}

fields! {
    /// `ob_refcnt`, the lower 32 bits (negative: immortal).
    RefCount, "refcount", U32, Type::C_WORD;
    /// `ob_type`, as an address.
    ObType, "ob_type", U64, Type::C_WORD;
    /// `ob_size` of a variable-size object.
    VarSize, "ob_size", U64, Type::C_WORD;
    /// `lv_tag` of an int: sign in the low two bits, digit count above bit 3.
    LongTag, "lv_tag", U64, Type::C_WORD;
    /// The first 30-bit digit of an int.
    LongDigit, "ob_digit", U32, Type::C_WORD;
    /// `ob_fval` of a float.
    FloatValue, "ob_fval", F64, Type::C_FLOAT;
    /// The array of a list's items, as an address.
    ListItems, "list.ob_item", U64, Type::C_WORD;
    /// How many items a list has room for.
    ListAllocated, "list.allocated", U64, Type::C_WORD;
    /// The first item of a tuple (the array is in the object).
    TupleItems, "tuple.ob_item", U64, Type::OBJECT;
    /// A list iterator's index (negative: exhausted in 3.13 and later).
    ListIterIndex, "list_iter.index", U64, Type::C_WORD;
    /// A list iterator's list, null when exhausted.
    ListIterSeq, "list_iter.seq", U64, Type::LIST.union(Type::NULL);
    /// A tuple iterator's index.
    TupleIterIndex, "tuple_iter.index", U64, Type::C_WORD;
    /// A tuple iterator's tuple, null when exhausted.
    TupleIterSeq, "tuple_iter.seq", U64, Type::TUPLE.union(Type::NULL);
    /// A range iterator's next value.
    RangeIterStart, "range_iter.start", U64, Type::C_WORD;
    /// A range iterator's step.
    RangeIterStep, "range_iter.step", U64, Type::C_WORD;
    /// How many values a range iterator has left.
    RangeIterLen, "range_iter.len", U64, Type::C_WORD;
    /// A cell's contents.
    CellContents, "cell.contents", U64, Type::NULLABLE;
    /// `dk_version` of a dict-keys object.
    KeysVersion, "keys.version", U32, Type::C_WORD;
    /// `func_closure` of a function.
    FunctionClosure, "function.closure", U64, Type::NULLABLE;
    /// `vectorcall` of a function.
    FunctionVectorcall, "function.vectorcall", U64, Type::C_WORD;
    /// `ma_used` of a dict: its length.
    DictUsed, "dict.used", U64, Type::C_WORD;
    /// `length` of a str, in code points.
    StrLength, "str.length", U64, Type::C_WORD;
    /// `used` of a set: its length.
    SetUsed, "set.used", U64, Type::C_WORD;
    /// The next index of an `enumerate`.
    EnumIndex, "enumerate.index", U64, Type::C_WORD;
    /// What an `enumerate` goes through.
    EnumIter, "enumerate.iterator", U64, Type::OBJECT;
    /// The first byte of a bytes object (the array is in the object).
    BytesItems, "bytes.items", U8, Type::C_WORD;
    /// The address of the first byte of a bytearray.
    ByteArrayItems, "bytearray.items", U64, Type::C_WORD;
    /// `im_func` of a bound method.
    MethodFunction, "method.function", U64, Type::OBJECT;
    /// `im_self` of a bound method.
    MethodSelf, "method.self", U64, Type::OBJECT;
    /// `m_self` of a method in C that is bound (of a function in C: its module, or null).
    BuiltinSelf, "builtin.self", U64, Type::NULLABLE;
    /// The address of the first item of an `array.array`.
    ArrayItems, "array.ob_item", U64, Type::C_WORD;
    /// The address of the description of what an `array.array` holds: one per typecode, for good.
    ArrayDescriptor, "array.ob_descr", U64, Type::C_WORD;
    /// An item of an `array.array`, by typecode: `b`.
    ArrayI8, "array.i8", I8, Type::C_WORD;
    /// `B`
    ArrayU8, "array.u8", U8, Type::C_WORD;
    /// `h`
    ArrayI16, "array.i16", I16, Type::C_WORD;
    /// `H`
    ArrayU16, "array.u16", U16, Type::C_WORD;
    /// `i`
    ArrayI32, "array.i32", I32, Type::C_WORD;
    /// `I`
    ArrayU32, "array.u32", U32, Type::C_WORD;
    /// `l`, `L`, `q` and `Q`
    ArrayI64, "array.i64", U64, Type::C_WORD;
    /// `f`
    ArrayF32, "array.f32", F32, Type::C_FLOAT;
    /// `d`
    ArrayF64, "array.f64", F64, Type::C_FLOAT;
    /// `eval_breaker` of the thread state.
    EvalBreaker, "tstate.eval_breaker", U64, Type::C_WORD;
}
