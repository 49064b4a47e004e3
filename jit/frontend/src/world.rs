//! What the front end asks of the running process.
//!
//! Every answer that can change later is an assumption: the runtime watches it (dict, type and function watchers) and clears the function's
//! validity byte when it changes, so the front end puts a `guard_valid` where it relies on one.

use pepjit_ir::{Callee, ObjRef};

/// How an attribute found on the class (not on the instance) could be hidden by the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shadow {
    /// Instances have no dict.
    Impossible,
    /// Instances have inline values: the name is not among the class's shared keys as long as these have the version, and the
    /// instance's values are inline.
    SharedKeys {
        /// The address of the class's pointer to its shared keys.
        keys_slot: u64,
        /// The version of the keys.
        version: u32,
        /// The byte offset, from the instance, of the byte that says that its values are inline.
        valid_offset: i32,
    },
}

/// Where instances of a class have an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// In the instance's inline values (no data descriptor hides it).
    InlineValue {
        /// The byte offset of the pointer from the instance.
        offset: i32,
        /// The index among the inline values (for `inline_value_add`).
        index: u32,
        /// The byte offset of the byte that says that the values are inline.
        valid_offset: i32,
        /// The byte offset of the pointer to the instance's dict, which must be null for a store.
        dict_offset: i32,
        /// Whether assignments store there as well.
        storable: bool,
    },
    /// In a slot of the instance.
    Slot {
        /// The byte offset of the pointer.
        offset: i32,
        /// Whether assignments store there as well.
        storable: bool,
    },
    /// A function on the class: called with the instance first.
    Method {
        /// The Python function or the builtin method descriptor.
        function: ObjRef,
        /// How an instance could hide it.
        shadow: Shadow,
    },
    /// A value on the class, not a descriptor.
    ClassValue {
        /// The value.
        value: ObjRef,
        /// How an instance could hide it.
        shadow: Shadow,
    },
    /// A class method: called with the class first.
    ClassMethod {
        /// The Python function.
        function: ObjRef,
        /// How an instance could hide it.
        shadow: Shadow,
    },
    /// A property with this getter.
    Property {
        /// The Python function.
        getter: ObjRef,
    },
    /// Anything else: ask the generic helper.
    Generic,
}

/// The parameters of a function, in the order of its locals: positional ones, those that are given by name alone, `*args`, `**kwargs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// The names, without those of `*args` and `**kwargs`.
    pub names: Vec<String>,
    /// How many of them can't be given by name.
    pub positional_only: usize,
    /// How many of them can be given by position.
    pub positional: usize,
    /// Whether there is `*args`.
    pub rest: bool,
    /// Whether there is `**kwargs`.
    pub others: bool,
    /// The default value of each, where it has one that can be relied on (a constant as long as the function is unchanged).
    pub defaults: Vec<Option<ObjRef>>,
}

/// A Python function that can be called directly.
#[derive(Clone, Debug, PartialEq)]
pub struct CalleeInfo {
    /// Its entry.
    pub callee: Callee,
    /// Its parameters.
    pub signature: Signature,
}

/// How a function that was called at some place is recognised.
#[derive(Clone, Debug, PartialEq)]
pub enum KnownBy {
    /// It's this object.
    Identity(ObjRef),
    /// Its `vectorcall` is what the word at this address holds.
    Vectorcall(u64),
}

/// What was called at some place.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// How to recognise it.
    pub known_by: KnownBy,
    /// How to call it.
    pub info: CalleeInfo,
}

/// What calling a class does, if it is the plain thing.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassCall {
    /// The Python function `__init__`, or none if it's `object.__init__`.
    pub init: Option<ObjRef>,
}

/// Builtins that the front end knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builtin {
    /// `len`
    Len,
    /// `isinstance`
    IsInstance,
    /// `range`
    Range,
    /// `abs`
    Abs,
    /// `min`
    Min,
    /// `max`
    Max,
    /// `ord`
    Ord,
    /// `chr`
    Chr,
    /// `int`
    Int,
    /// `float`
    Float,
    /// `bool`
    Bool,
    /// `type`
    Type,
    /// `math.sqrt`
    MathSqrt,
    /// `list.append`
    ListAppend,
    /// `str`
    Str,
    /// `tuple`
    Tuple,
    /// `divmod`
    Divmod,
    /// `enumerate`
    Enumerate,
    /// A builtin that looks at the frame that calls it (`locals`, `eval`, `exec`, `dir`, `vars`, `super` ...), or
    /// at the references that it holds (`sys.getrefcount`): not to be called from compiled code.
    LooksAtFrame,
}

/// What a function in C takes, after what it's bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Convention {
    /// Nothing (`METH_NOARGS`).
    NoArguments,
    /// One argument (`METH_O`).
    One,
    /// An array of arguments (`METH_FASTCALL`).
    Array,
    /// An array of arguments and names of keywords (`METH_FASTCALL | METH_KEYWORDS`).
    ArrayKeywords,
}

/// A function in C that can be called directly.
#[derive(Clone, Debug, PartialEq)]
pub struct Native {
    /// Its address.
    pub address: u64,
    /// What it takes.
    pub convention: Convention,
    /// Whether it's a method, whose receiver is the call's first argument.
    pub method: bool,
    /// Whether it can wait for something or do what a signal does, so that the interpreter may be wanted right after it.
    pub waits: bool,
    /// What a function is bound to (its module), if to anything.
    pub receiver: Option<ObjRef>,
}

/// Where a dict has the value of a name, as long as its keys have this version.
#[derive(Clone, Copy, Debug)]
pub struct GlobalSlot {
    /// The address of the pointer to the keys.
    pub keys_slot: u64,
    /// The keys' version.
    pub version: u32,
    /// The value's place in the keys, in words.
    pub word: u64,
    /// A class whose objects stand for others, which only the interpreter finds (0: there's none).
    pub placeholder: u64,
}

/// What arrays (`array.array`) of one kind of items have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// The class `array.array`.
    pub class: ObjRef,
    /// What every array of the kind has in its field `ArrayDescriptor`.
    pub descriptor: u64,
    /// The kind.
    pub typecode: u8,
}

/// What has come by at a subscript for which the interpreter has nothing to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Subscripted {
    /// Nothing yet.
    Nothing {
        /// Where to note it ([`pepjit_ir::Helper::NoteContainer`]).
        site: u64,
    },
    /// Different things, or something of which nothing better is known.
    Several,
    /// Arrays of one kind of items.
    Array(Numbers),
    /// Instances of a class with a method for it.
    Instance {
        /// The class.
        class: ObjRef,
        /// The Python function.
        function: ObjRef,
    },
}

/// What the front end asks of the running process.
pub trait World {
    /// Describes an object by its address.
    fn describe(&mut self, address: u64) -> ObjRef;

    /// The value of a global or builtin name of the function being compiled, if it's bound and fit to be relied on (not one that has been
    /// seen changing).
    fn global(&mut self, name: &ObjRef) -> Option<ObjRef>;

    /// Where the function's globals have the value of a name that isn't fit to be relied on.
    fn global_slot(&mut self, name: &ObjRef) -> Option<GlobalSlot>;

    /// The class that has this version tag.
    fn class_of_version(&mut self, version: u32) -> Option<ObjRef>;

    /// Where exact instances of a class have an attribute.
    fn attribute(&mut self, class: &ObjRef, name: &ObjRef) -> Attribute;

    /// An attribute of a module or of a class object itself (`math.sqrt`, `Colour.RED`), if it can be relied on.
    fn static_attribute(&mut self, owner: &ObjRef, name: &ObjRef) -> Option<ObjRef>;

    /// The function of a class method that is an attribute of a class object itself, if it can be relied on.
    fn class_method(&mut self, owner: &ObjRef, name: &ObjRef) -> Option<ObjRef>;

    /// What `super(defining, receiver).name` is for exact instances of a class, if it's called with the receiver first and can be relied on.
    fn super_method(&mut self, defining: &ObjRef, class: &ObjRef, name: &ObjRef) -> Option<ObjRef>;

    /// What a cell has now; nothing says if it changes.
    fn cell_contents(&mut self, cell: &ObjRef) -> Option<ObjRef>;

    /// Whether an object is `object.__setattr__`.
    fn is_object_setattr(&mut self, object: &ObjRef) -> bool;

    /// The entry of a Python function that's compiled, or can be compiled now, for direct calls.
    fn callee(&mut self, function: &ObjRef) -> Option<CalleeInfo>;

    /// The function that has, or had, this version.
    fn function_of_version(&mut self, version: u32) -> Option<Target>;

    /// What calling a class does.
    fn class_call(&mut self, class: &ObjRef) -> Option<ClassCall>;

    /// Which known builtin an object is.
    fn builtin(&mut self, object: &ObjRef) -> Option<Builtin>;

    /// How a builtin function or a method descriptor is called directly.
    fn native(&mut self, object: &ObjRef) -> Option<Native>;

    /// The classes whose exact instances the IR's types name.
    fn well_known(&mut self, ty: pepjit_ir::Type) -> Option<ObjRef>;

    /// `None`.
    fn none(&mut self) -> Option<ObjRef>;

    /// `True` or `False`.
    fn truth(&mut self, value: bool) -> Option<ObjRef>;

    /// What has come by at the subscript at an offset of the code (in code units), which loads or stores. If nothing has: what is likely to, by a
    /// number of [`crate::CodeInput::containers`].
    fn subscripted(&mut self, offset: u32, stores: bool, likely: u64) -> Subscripted;

    /// The Python function that answers for subscripts of exact instances of a class.
    fn subscript_function(&mut self, class: &ObjRef, stores: bool) -> Option<ObjRef>;

    /// A cached small int.
    fn small_int(&mut self, value: u32) -> Option<ObjRef>;

    /// A constant of `LOAD_COMMON_CONSTANT`.
    fn common_constant(&mut self, number: u32) -> Option<ObjRef>;

    /// The items of a constant tuple.
    fn tuple_items(&mut self, tuple: &ObjRef) -> Option<Vec<ObjRef>>;
}
