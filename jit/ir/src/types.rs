//! The lattice of types: a set of bits, ordered by inclusion.

use std::fmt;

/// A set of possible representations and classes of a value.
///
/// The lower bits are exact classes of objects, the upper ones unboxed representations. A value is either an object (possibly
/// null) or exactly one unboxed representation; [`Type::is_object`] tells which. `Type::EMPTY` is the bottom (no value), and
/// the union of two types is their join.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Type(u32);

macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $bit:expr, $text:literal;)*) => {
        impl Type {
            $($(#[$doc])* pub const $name: Type = Type(1 << $bit);)*
            /// Every single-bit type with its printed name.
            pub const NAMED: &[(Type, &str)] = &[$((Type::$name, $text)),*];
        }
    };
}

types! {
    /// The null pointer (an unbound local, the absent `self` of a call).
    NULL = 0, "Null";
    /// `None`.
    NONE = 1, "None";
    /// Exactly `bool`.
    BOOL = 2, "Bool";
    /// Exactly `int`.
    INT = 3, "Int";
    /// Exactly `float`.
    FLOAT = 4, "Float";
    /// Exactly `str`.
    STR = 5, "Str";
    /// Exactly `list`.
    LIST = 6, "List";
    /// Exactly `tuple`.
    TUPLE = 7, "Tuple";
    /// Exactly `dict`.
    DICT = 8, "Dict";
    /// Exactly `range`.
    RANGE = 9, "Range";
    /// A function object.
    FUNCTION = 10, "Function";
    /// A cell object.
    CELL = 11, "Cell";
    /// Exactly the iterator of a list.
    LIST_ITER = 12, "ListIter";
    /// Exactly the iterator of a tuple.
    TUPLE_ITER = 13, "TupleIter";
    /// Exactly the iterator of a range whose bounds fit a C long.
    RANGE_ITER = 14, "RangeIter";
    /// Exactly `set`.
    SET = 15, "Set";
    /// Exactly `bytes`.
    BYTES = 16, "Bytes";
    /// Exactly `enumerate`.
    ENUMERATE = 17, "Enumerate";
    /// Exactly `bytearray`.
    BYTEARRAY = 18, "ByteArray";
    /// An `int` that doesn't fit 64 bits. Only what has been observed says so: to everything else it's an [`Type::INT`].
    WIDE_INT = 19, "WideInt";
    /// A bound method: a Python function, or whatever else, with its first argument.
    METHOD = 20, "Method";
    /// A function in C, or a method in C that is bound to its object.
    BUILTIN = 21, "Builtin";
    /// An object of any other class.
    OTHER = 23, "Other";
    /// An unboxed signed 64-bit integer that stands for an `int` object.
    C_INT = 24, "CInt";
    /// An unboxed double that stands for a `float` object.
    C_FLOAT = 25, "CFloat";
    /// An unboxed truth value (0 or 1) that stands for a `bool` object.
    C_BOOL = 26, "CBool";
    /// A machine word that stands for no object: an address, a length.
    C_WORD = 27, "CWord";
    /// The two registers in which a direct call returns: payload and tag (see [`crate::op::Op::CallDirect`]).
    PAIR = 28, "Pair";
}

impl Type {
    /// The bottom of the lattice: no value.
    pub const EMPTY: Type = Type(0);
    /// Any object, not null.
    pub const OBJECT: Type = Type(0x00ff_fffe);
    /// Any object or null.
    pub const NULLABLE: Type = Type(0x00ff_ffff);

    /// The join: everything that is in either.
    #[must_use]
    pub const fn union(self, other: Type) -> Type {
        Type(self.0 | other.0)
    }

    /// The meet: what is in both.
    #[must_use]
    pub const fn intersect(self, other: Type) -> Type {
        Type(self.0 & other.0)
    }

    /// What is in `self` and not in `other`.
    #[must_use]
    pub const fn without(self, other: Type) -> Type {
        Type(self.0 & !other.0)
    }

    /// Whether every value of this type is one of `other`.
    pub const fn is_subtype(self, other: Type) -> bool {
        self.0 & !other.0 == 0
    }

    /// Whether no value is of this type.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the value is represented by a pointer to an object, or null.
    pub const fn is_object(self) -> bool {
        self.is_subtype(Type::NULLABLE)
    }

    /// Whether it's one of CPython's own classes, exactly.
    pub const fn is_class(self) -> bool {
        self.0.is_power_of_two() && self.is_subtype(Type::OBJECT) && self.0 != Type::OTHER.0
    }

    /// Whether the value may be null.
    pub const fn may_be_null(self) -> bool {
        self.0 & Type::NULL.0 != 0
    }

    /// Whether the value is of an unboxed representation that stands for a Python object.
    pub const fn is_unboxed(self) -> bool {
        !self.is_empty() && self.is_subtype(Type(Type::C_INT.0 | Type::C_FLOAT.0 | Type::C_BOOL.0))
    }

    /// The class of the object that an unboxed value stands for; other types are returned unchanged.
    #[must_use]
    pub fn boxed(self) -> Type {
        match self {
            Type::C_INT => Type::INT,
            Type::C_FLOAT => Type::FLOAT,
            Type::C_BOOL => Type::BOOL,
            other => other,
        }
    }

    /// The type that is printed as this text: names joined by `|`, or taken away by `-`.
    pub fn from_text(text: &str) -> Option<Type> {
        let mut ty = Type::EMPTY;
        let mut rest = text;
        let mut add = true;
        loop {
            let end = rest.find(['|', '-']).unwrap_or(rest.len());
            let named = match &rest[..end] {
                "Empty" => Type::EMPTY,
                "Object" => Type::OBJECT,
                "Nullable" => Type::NULLABLE,
                name => Type::NAMED.iter().find(|(_, known)| *known == name)?.0,
            };
            ty = if add { ty.union(named) } else { ty.without(named) };
            match rest[end..].chars().next() {
                None => return Some(ty),
                Some(operator) => add = operator == '|',
            }
            rest = &rest[end + 1..];
        }
    }

    /// The raw bits, for hashing and serialisation.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// Prints `Int|Str`, or what an object lacks: `Nullable-Int`. [`Type::from_text`] reads it back.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("Empty");
        }
        let named = Type::NAMED.iter().fold(Type::EMPTY, |all, (bit, _)| all.union(*bit));
        let (mut separator, mut rest) = ("", *self);
        // The bits without a name are only in what was any object.
        if !self.is_subtype(named) {
            let (all, name) = if self.may_be_null() { (Type::NULLABLE, "Nullable") } else { (Type::OBJECT, "Object") };
            f.write_str(name)?;
            for (bit, name) in Type::NAMED {
                if bit.is_subtype(all.without(*self)) {
                    write!(f, "-{name}")?;
                }
            }
            (separator, rest) = ("|", self.without(all));
        }
        for (bit, name) in Type::NAMED {
            if bit.is_subtype(rest) {
                write!(f, "{separator}{name}")?;
                separator = "|";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The value of an object that is known when compiling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constant {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An `int` that fits 64 bits.
    Int(i64),
    /// A `float`.
    Float(f64),
    /// Anything else: known by its address only.
    Opaque,
}
