//! The instruction table: one row declares an instruction's name, operands, immediate, result and effects.
//!
//! # Ownership
//!
//! An object value carries *units*: references that somebody must give up exactly once. A `New` result starts with one unit, a
//! `Ref` result with none (it is borrowed: valid until the next instruction with the effect `CALLS` or `WRITES`, unless it's kept
//! alive by what it was borrowed from). `IncRef` adds a unit, `DecRef` and an `Own` operand take one. A block parameter of object type
//! has one unit on entry if it's declared owned, and each predecessor gives one up when jumping. A slot of a [`FrameState`] marked
//! [`Steal`](crate::Ownership::Steal) takes the unit when the exit is taken; one marked `Borrow` makes its own. On every path
//! each unit is given up exactly once: returned, stored, decremented or handed to an exit. Boxing instructions give `New` results.

use crate::field::Field;
use crate::function::{CalleeId, ObjId};
use crate::helper::Helper;
use std::fmt;

/// What an operand must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// An object, borrowed.
    Obj,
    /// An object or null, borrowed.
    Nullable,
    /// An object of which one unit is taken.
    Own,
    /// An object or null of which one unit is taken (none when it's null).
    OwnNullable,
    /// An unboxed integer.
    Int,
    /// An unboxed double.
    Float,
    /// An unboxed truth value.
    Bool,
    /// A machine word or an unboxed integer.
    Word,
    /// A direct call's result.
    Pair,
    /// Told by the immediate (a helper's signature, a callee's parameters).
    ByImm,
}

/// What an instruction produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// Nothing.
    None,
    /// An object with one unit.
    New,
    /// An object with one unit, or null (an exception is set, or the end of an iteration).
    NewOrNull,
    /// A borrowed object.
    Ref,
    /// A borrowed object or null.
    RefOrNull,
    /// An unboxed integer.
    Int,
    /// An unboxed double.
    Float,
    /// An unboxed truth value.
    Bool,
    /// A machine word.
    Word,
    /// A direct call's result; its unit, if it holds an object, goes to the instruction that converts it.
    Pair,
    /// Told by the immediate (a field, a helper).
    ByImm,
}

/// What kind of immediate an instruction carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImmKind {
    /// None.
    None,
    /// A 64-bit integer.
    Int,
    /// A double.
    Float,
    /// An object of the function's table.
    Obj,
    /// A field.
    Field,
    /// A comparison.
    Cond,
    /// A helper function.
    Helper,
    /// A compiled function of the function's table.
    Callee,
    /// A side-exit reason.
    Reason,
}

/// An immediate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Imm {
    /// None.
    None,
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// An object of the function's table.
    Obj(ObjId),
    /// A field.
    Field(Field),
    /// A comparison.
    Cond(Cond),
    /// A helper function.
    Helper(Helper),
    /// A compiled function of the function's table.
    Callee(CalleeId),
    /// A side-exit reason.
    Reason(Reason),
}

impl Imm {
    /// The kind of this immediate.
    pub const fn kind(self) -> ImmKind {
        match self {
            Imm::None => ImmKind::None,
            Imm::Int(_) => ImmKind::Int,
            Imm::Float(_) => ImmKind::Float,
            Imm::Obj(_) => ImmKind::Obj,
            Imm::Field(_) => ImmKind::Field,
            Imm::Cond(_) => ImmKind::Cond,
            Imm::Helper(_) => ImmKind::Helper,
            Imm::Callee(_) => ImmKind::Callee,
            Imm::Reason(_) => ImmKind::Reason,
        }
    }
}

/// A comparison of two unboxed values, signed for integers, ordered for doubles except `Ne` (as Python's operators on NaN).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cond {
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// Unsigned `<`, for bounds checks on words.
    Below,
}

impl Cond {
    /// Every comparison with its printed name; the first six in the order of CPython's `Py_LT` .. `Py_GE`.
    pub const NAMED: &[(Cond, &str)] = &[
        (Cond::Lt, "lt"),
        (Cond::Le, "le"),
        (Cond::Eq, "eq"),
        (Cond::Ne, "ne"),
        (Cond::Gt, "gt"),
        (Cond::Ge, "ge"),
        (Cond::Below, "below"),
    ];
}

impl fmt::Display for Cond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Cond::NAMED.iter().find(|(cond, _)| cond == self).map_or("?", |(_, name)| name))
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident $text:literal),* $(,)?) => {
        /// Why compiled code is left for the interpreter. Each is a counter of `stats()`: `exit:NAME`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $name),* }
        impl Reason {
            /// Every reason.
            pub const ALL: &[Reason] = &[$(Reason::$name),*];
            /// The counter's name.
            pub const fn name(self) -> &'static str { match self { $(Reason::$name => $text),* } }
            /// The reason of this name.
            pub fn from_name(name: &str) -> Option<Reason> { match name { $($text => Some(Reason::$name),)* _ => None } }
        }
    };
}

reasons! {
    /// An operand is not of the class that was expected.
    Class "class",
    /// An int doesn't fit 64 bits, or an operation overflowed.
    Overflow "overflow",
    /// A division by zero, a negative shift count.
    Arithmetic "arithmetic",
    /// An index out of range.
    Index "index",
    /// An instance's attributes are not where they were.
    Attribute "attribute",
    /// A global, a builtin, a class or a function has changed.
    Invalidated "invalidated",
    /// A local variable or a cell is unbound.
    Unbound "unbound",
    /// The recursion limit, or the C stack's.
    Recursion "recursion",
    /// A signal, another thread, the garbage collector, or monitoring wants the interpreter.
    Pending "pending",
    /// An exception is raised.
    Exception "exception",
    /// An instruction that isn't compiled, on a path that was thought to be rare.
    Uncompiled "uncompiled",
    /// A callee is not the one that was expected.
    Callee "callee",
    /// Somebody has looked at the frame, or watches from now on.
    Observed "observed",
    /// The stress mode asked for it.
    Stress "stress",
    /// A generator yields the top of its stack, and goes on at the state's offset when it's resumed.
    Yield "yield",
    /// Enough has been seen of what comes by at a site: it's compiled again for that.
    Learned "learned",
}

impl Reason {
    /// Whether compiling without the speculation that failed would help.
    pub const fn is_speculation(self) -> bool {
        matches!(self, Reason::Class | Reason::Overflow | Reason::Arithmetic | Reason::Index | Reason::Attribute | Reason::Callee)
    }
}

/// A set of effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effects(u16);

impl Effects {
    /// No effect: may be removed when unused, repeated, moved.
    pub const NONE: Effects = Effects(0);
    /// May leave compiled code: names a frame state.
    pub const EXITS: Effects = Effects(1);
    /// Reads memory that a `WRITES` or `CALLS` instruction may change.
    pub const READS: Effects = Effects(2);
    /// Writes memory.
    pub const WRITES: Effects = Effects(4);
    /// May run arbitrary Python code (a finaliser, a dunder method) and so change anything.
    pub const CALLS: Effects = Effects(8);
    /// Allocates: not repeatable (its result has an identity), but removable.
    pub const ALLOCATES: Effects = Effects(16);
    /// Ends a block.
    pub const TERMINATES: Effects = Effects(32);
    /// Changes a reference count only.
    pub const COUNTS: Effects = Effects(64);
    /// May leave an exception set.
    pub const RAISES: Effects = Effects(128);

    /// Both sets.
    #[must_use]
    pub const fn and(self, other: Effects) -> Effects {
        Effects(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn has(self, other: Effects) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in this set.
    pub const fn any(self, other: Effects) -> bool {
        self.0 & other.0 != 0
    }
}

/// A row of the instruction table.
#[derive(Clone, Copy, Debug)]
pub struct OpInfo {
    /// The printed name.
    pub name: &'static str,
    /// The operands.
    pub args: &'static [ArgKind],
    /// The kind of any further operands.
    pub rest: Option<ArgKind>,
    /// The immediate.
    pub imm: ImmKind,
    /// The result.
    pub result: ResultKind,
    /// The effects; those of a helper call are the helper's.
    pub effects: Effects,
}

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident $text:literal ($($arg:ident),* $(; $rest:ident)?) $imm:ident -> $result:ident [$($effect:ident)*];)*) => {
        /// An instruction's operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Op { $($(#[$doc])* $name),* }

        impl Op {
            /// Every operation.
            pub const ALL: &[Op] = &[$(Op::$name),*];

            /// The operation's row.
            pub const fn info(self) -> OpInfo {
                match self {
                    $(Op::$name => OpInfo {
                        name: $text,
                        args: &[$(ArgKind::$arg),*],
                        rest: rest!($($rest)?),
                        imm: ImmKind::$imm,
                        result: ResultKind::$result,
                        effects: Effects::NONE $(.and(Effects::$effect))*,
                    }),*
                }
            }

            /// Whether the stress mode may leave at it. Not at what decides by itself which frame counts: after a call that has looked at the
            /// frame, [`Op::Watch`] has to leave with the frame's own locals, which may have been changed.
            pub const fn is_stressed(self) -> bool {
                let effects = self.info().effects;
                let may = effects.has(Effects::EXITS) && !effects.has(Effects::TERMINATES);
                may && !matches!(self, Op::Enter | Op::Poll | Op::Catch | Op::Watch)
            }

            /// The operation of this printed name.
            pub fn from_name(name: &str) -> Option<Op> {
                match name { $($text => Some(Op::$name),)* _ => None }
            }
        }
    };
}

macro_rules! rest {
    () => {
        None
    };
    ($kind:ident) => {
        Some(ArgKind::$kind)
    };
}

ops! {
    // Constants
    /// An unboxed integer.
    ConstInt "const_int" () Int -> Int [];
    /// An unboxed double.
    ConstFloat "const_float" () Float -> Float [];
    /// An unboxed truth value (0 or 1).
    ConstBool "const_bool" () Int -> Bool [];
    /// A machine word.
    ConstWord "const_word" () Int -> Word [];
    /// An object that the compiled function keeps alive.
    ConstObj "const_obj" () Obj -> Ref [];
    /// The null pointer.
    ConstNull "const_null" () None -> RefOrNull [];
    /// The function object that is running (entry functions: the callee; loops: the frame's function).
    CurrentFunction "current_function" () None -> Ref [];

    // Unboxed integers. Those that can leave do so before any effect, so that the interpreter repeats the operation.
    /// `a + b`; leaves on overflow.
    IntAdd "int_add" (Int, Int) None -> Int [EXITS];
    /// `a - b`; leaves on overflow.
    IntSub "int_sub" (Int, Int) None -> Int [EXITS];
    /// `a * b`; leaves on overflow.
    IntMul "int_mul" (Int, Int) None -> Int [EXITS];
    /// `a // b`, rounding towards minus infinity; leaves if `b` is 0 or the result overflows.
    IntFloorDiv "int_floor_div" (Int, Int) None -> Int [EXITS];
    /// `a % b` with the sign of `b`; leaves if `b` is 0.
    IntMod "int_mod" (Int, Int) None -> Int [EXITS];
    /// `-a`; leaves on overflow.
    IntNeg "int_neg" (Int) None -> Int [EXITS];
    /// `a << b`; leaves if `b` is negative or bits are lost.
    IntShl "int_shl" (Int, Int) None -> Int [EXITS];
    /// `a >> b`, arithmetic; `b` of 63 or more gives the sign; leaves if `b` is negative.
    IntShr "int_shr" (Int, Int) None -> Int [EXITS];
    /// `a & b`
    IntAnd "int_and" (Int, Int) None -> Int [];
    /// `a | b`
    IntOr "int_or" (Int, Int) None -> Int [];
    /// `a ^ b`
    IntXor "int_xor" (Int, Int) None -> Int [];
    /// `~a`
    IntInvert "int_invert" (Int) None -> Int [];
    /// A comparison of two unboxed integers or words.
    IntCmp "int_cmp" (Word, Word) Cond -> Bool [];
    /// The nearest double; exact below 2**53, leaves beyond.
    IntToFloat "int_to_float" (Int) None -> Float [EXITS];
    /// A word taken for an integer, without a check (both are 64 bits).
    WordToInt "word_to_int" (Word) None -> Int [];
    /// `a + b` on words, wrapping.
    WordAdd "word_add" (Word, Word) None -> Word [];
    /// `a - b` on words, wrapping.
    WordSub "word_sub" (Word, Word) None -> Word [];
    /// `a * b` on words, wrapping.
    WordMul "word_mul" (Word, Word) None -> Word [];
    /// `a << b` on words, what is shifted out is lost (all of it from 64 on); leaves if `b` is negative.
    WordShl "word_shl" (Word, Word) None -> Word [EXITS];

    // Unboxed doubles
    /// `a + b`
    FloatAdd "float_add" (Float, Float) None -> Float [];
    /// `a - b`
    FloatSub "float_sub" (Float, Float) None -> Float [];
    /// `a * b`
    FloatMul "float_mul" (Float, Float) None -> Float [];
    /// `a / b`; leaves if `b` is zero.
    FloatDiv "float_div" (Float, Float) None -> Float [EXITS];
    /// `-a`
    FloatNeg "float_neg" (Float) None -> Float [];
    /// `abs(a)`
    FloatAbs "float_abs" (Float) None -> Float [];
    /// The square root; leaves if `a` is negative or NaN.
    FloatSqrt "float_sqrt" (Float) None -> Float [EXITS];
    /// A comparison.
    FloatCmp "float_cmp" (Float, Float) Cond -> Bool [];

    // Truth values
    /// `not a`
    BoolNot "bool_not" (Bool) None -> Bool [];
    /// 0 or 1 as an integer.
    BoolToInt "bool_to_int" (Bool) None -> Int [];
    /// `True` or `False`.
    BoxBool "box_bool" (Bool) None -> Ref [];
    /// Whether two pointers are the same.
    IsSame "is_same" (Nullable, Nullable) None -> Bool [];
    /// Whether a pointer is null.
    IsNull "is_null" (Nullable) None -> Bool [];
    /// Whether the object is exactly of the class.
    IsClass "is_class" (Obj) Obj -> Bool [READS];

    // Boxes
    /// An `int` object (a cached small one, or a new one).
    BoxInt "box_int" (Int) None -> New [ALLOCATES];
    /// A new `float` object.
    BoxFloat "box_float" (Float) None -> New [ALLOCATES];
    /// The value of an exact `int` that fits 64 bits; leaves otherwise.
    UnboxInt "unbox_int" (Nullable) None -> Int [EXITS];
    /// The value of an exact `float`; leaves otherwise.
    UnboxFloat "unbox_float" (Nullable) None -> Float [EXITS];
    /// The value of an exact `float` or of a compact exact `int`; leaves otherwise. Only beside an operand that is a float.
    UnboxNumber "unbox_number" (Nullable) None -> Float [EXITS];
    /// The value of `True` or `False`; leaves otherwise.
    UnboxBool "unbox_bool" (Nullable) None -> Bool [EXITS];

    // Guards: leave if what they state doesn't hold
    /// The object is exactly of the class.
    GuardClass "guard_class" (Obj) Obj -> None [EXITS READS];
    /// The object is this very one.
    GuardIs "guard_is" (Nullable) Obj -> None [EXITS];
    /// The pointer is not null; the reason says what null means.
    GuardBound "guard_bound" (Nullable) Reason -> None [EXITS];
    /// The condition is true.
    Guard "guard" (Bool) Reason -> None [EXITS];
    /// The condition is false.
    GuardNot "guard_not" (Bool) Reason -> None [EXITS];
    /// No assumption of this function (globals, builtins, classes, functions) has been broken.
    GuardValid "guard_valid" () None -> None [EXITS READS];

    // Memory
    /// A named field.
    Load "load" (Word) Field -> ByImm [READS];
    /// A named field of an object.
    LoadField "load_field" (Obj) Field -> ByImm [READS];
    /// Writes a named field that holds no counted reference.
    StoreField "store_field" (Obj, Word) Field -> None [WRITES];
    /// The pointer at this byte offset from an object: borrowed.
    LoadAt "load_at" (Obj) Int -> RefOrNull [READS];
    /// Writes a pointer at this byte offset; takes a unit; the old pointer must have been given up.
    StoreAt "store_at" (Obj, OwnNullable) Int -> None [WRITES];
    /// The pointer at an array's address plus 8 x index: borrowed.
    LoadItem "load_item" (Word, Word) None -> RefOrNull [READS];
    /// Writes a pointer at an array's address plus 8 x index; takes a unit.
    StoreItem "store_item" (Word, Word, Own) None -> None [WRITES];
    /// Writes a pointer to a named field and gives the old one with its unit.
    SwapField "swap_field" (Obj, OwnNullable) Field -> NewOrNull [READS WRITES];
    /// Writes a pointer at a byte offset from an object and gives the old one with its unit.
    SwapAt "swap_at" (Obj, OwnNullable) Int -> NewOrNull [READS WRITES];
    /// Writes a pointer at an array's address plus 8 x index and gives the old one with its unit.
    SwapItem "swap_item" (Word, Word, Own) None -> NewOrNull [READS WRITES];
    /// The item of an `array.array` (a field says of what kind) at its items' address plus size x index.
    LoadElement "load_element" (Word, Word) Field -> ByImm [READS];
    /// Writes such an item: the lower bytes of a word.
    StoreElement "store_element" (Word, Word, Word) Field -> None [WRITES];
    /// Writes such an item: a double, or the nearest single-precision number.
    StoreFloatElement "store_float_element" (Word, Word, Float) Field -> None [WRITES];
    /// The address of an object's byte at this offset.
    AddressOf "address_of" (Obj) Int -> Word [];
    /// The address of an object's named field.
    AddressOfField "address_of_field" (Obj) Field -> Word [];
    /// The byte at an address.
    LoadByte "load_byte" (Word) None -> Word [READS];
    /// The 4 bytes at an address plus an offset, zero-extended.
    LoadU32 "load_u32" (Word) Int -> Word [READS];
    /// The 8 bytes at an address plus an offset.
    LoadU64 "load_u64" (Word) Int -> Word [READS];
    /// Puts a float into the pointer slot at an address: overwrites the object there if it's an exact float with one reference, else stores a new one and gives the old one up.
    StoreFloatInPlace "store_float_in_place" (Word, Float) None -> None [WRITES CALLS];
    /// The same for an int: in place only if both values need one digit, or both two, and neither is a cached small int.
    StoreIntInPlace "store_int_in_place" (Word, Int) None -> None [WRITES CALLS];
    /// The second, third ... result of a helper, which it left in the scratch array (index): taken, with a unit, or null.
    LoadScratch "load_scratch" () Int -> NewOrNull [READS];

    // Reference counts
    /// Adds a unit.
    IncRef "inc_ref" (Nullable) None -> None [COUNTS];
    /// Takes a unit; may run a finaliser.
    DecRef "dec_ref" (OwnNullable) None -> None [COUNTS WRITES CALLS];

    // Calls
    /// Calls a helper with these operands.
    Call "call" (;ByImm) Helper -> ByImm [];
    /// Calls a helper with an array of the operands and their number.
    CallN "call_n" (;ByImm) Helper -> ByImm [];
    /// Calls a compiled function with its parameters (unboxed or borrowed objects). The tag of the result: 0 an unboxed int, 1 an object or, with an exception set, null, 2 an unboxed double.
    CallDirect "call_direct" (;ByImm) Callee -> Pair [READS WRITES CALLS RAISES];
    /// Whether a direct call raised.
    PairFailed "pair_failed" (Pair) None -> Bool [];
    /// The result as an object; call only if it didn't fail.
    PairToObject "pair_to_object" (Pair) None -> New [ALLOCATES];
    /// The result as an unboxed int, of an exact boxed one as well, whose unit is given up; leaves if it is anything else (the state
    /// holds the pair itself).
    PairToInt "pair_to_int" (Pair) None -> Int [EXITS];
    /// The result as an unboxed double, of an exact boxed one as well, whose unit is given up; leaves if it is anything else (the state
    /// holds the pair itself).
    PairToFloat "pair_to_float" (Pair) None -> Float [EXITS];
    /// A pair with tag 0.
    PairFromInt "pair_from_int" (Int) None -> Pair [];
    /// A pair with tag 2.
    PairFromFloat "pair_from_float" (Float) None -> Pair [];
    /// A pair with tag 1 that takes the object's unit; null stands for an unbound variable.
    PairFromObject "pair_from_object" (OwnNullable) None -> Pair [];
    /// Gives up what a pair holds.
    PairDrop "pair_drop" (Pair) None -> None [COUNTS WRITES CALLS];

    // The frame
    /// Enters the function: takes one off the recursion limit, compares the C stack, and leaves (before the first instruction) if either is exhausted. First instruction of every entry function.
    Enter "enter" () None -> None [EXITS WRITES];
    /// Pushes a light frame, which `sys._getframe` and tracebacks of callees can see; leaves if the data stack's chunk is full.
    PushFrame "push_frame" () None -> None [EXITS WRITES];
    /// Notes in the light frame, or in the loop's own frame, which instruction (offset in code units) is being executed. The frame state,
    /// if there is one, says what others see of the locals meanwhile; it takes no units.
    SetInstruction "set_instruction" () Int -> None [WRITES];
    /// After a call: leaves if the call has turned on tracing or monitoring, or has looked at this frame's locals (it may have changed them).
    Watch "watch" () None -> None [EXITS READS WRITES];
    /// Before a return: leaves if somebody has a frame object of this frame, which then outlives the call with its locals.
    GuardUnseen "guard_unseen" () None -> None [EXITS READS WRITES];
    /// Whether the interpreter may be wanted, so that a `poll` is due.
    Wanted "wanted" () None -> Bool [READS];
    /// Leaves if the interpreter is wanted and the matter can't be handled in line: signals, other threads, garbage collection, monitoring.
    Poll "poll" () None -> None [EXITS READS WRITES CALLS];

    /// Takes the exception that is set, to be handled in this function, with this frame added to its traceback: the frame state says where it
    /// was raised. Leaves with the exception set if somebody watches, or has looked at the frame.
    Catch "catch" () None -> New [EXITS READS WRITES CALLS];

    // Ends of blocks
    /// Goes on in a block.
    Jump "jump" () None -> None [TERMINATES];
    /// Goes on in the first block if the condition is true, else in the second.
    Branch "branch" (Bool) None -> None [TERMINATES];
    /// Returns an object.
    Return "return" (Own) None -> None [TERMINATES];
    /// Returns an unboxed int.
    ReturnInt "return_int" (Int) None -> None [TERMINATES];
    /// Returns an unboxed double.
    ReturnFloat "return_float" (Float) None -> None [TERMINATES];
    /// Leaves for the interpreter.
    Exit "exit" () Reason -> None [TERMINATES EXITS];
    /// Leaves for the interpreter, which handles the exception that is set.
    Throw "throw" () None -> None [TERMINATES EXITS];
}
