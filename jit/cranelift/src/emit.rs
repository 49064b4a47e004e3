//! Short sequences of CLIF that the body of a function and its entries share.

use crate::error::internal;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32, F64, I8, I32, I64};
use cranelift_codegen::ir::{
    AbiParam, AliasRegion, AliasRegionData, Block, Inst, InstBuilder, MemFlagsData, SigRef, Signature, StackSlot, StackSlotData,
    StackSlotKind, Type, Value,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::FunctionBuilder;
use pepjit_backend::{Addresses, BackendError, FreeList, Layout};
use pepjit_ir::field::Width;
use pepjit_ir::{Field, Function, Op};
use std::collections::HashMap;

/// The cached small ints that every supported version has: from -5 to 256.
const SMALL_INTS: (i64, i64) = (-5, 256);
/// The greatest cached small int of any supported version (3.15 has more of them).
const LAST_SMALL_INT: i64 = 1024;
/// One more than the greatest value of an int's digit.
const DIGIT_BASE: i64 = 1 << 30;
/// The bits of an int's digit.
const DIGIT_BITS: i64 = 30;
/// `lv_tag` of ints with at most one digit is less than this.
const ONE_DIGIT_TAGS: i64 = 16;
/// `lv_tag` of ints with two digits, without the sign.
const TWO_DIGIT_TAG: i64 = 2 << 3;

/// A part of memory that no access to another part touches. Calls may touch all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    /// Reference counts.
    Counts,
    /// The thread state and frames.
    Thread,
    /// Everything else in objects, and the runtime's own words.
    Heap,
    /// The native frame: exit buffers and argument arrays.
    Native,
}

impl Region {
    const ALL: [(Region, &str); 4] =
        [(Region::Counts, "counts"), (Region::Thread, "thread"), (Region::Heap, "heap"), (Region::Native, "native")];
}

/// What may happen when an object's last reference goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// Nothing but the freeing of memory.
    Plain,
    /// The same, of a `float`.
    Float,
    /// The same, of an `int`.
    Int,
    /// Any code may run.
    Any {
        /// The thread state.
        tstate: Value,
    },
}

/// Which unboxed results are to be expected of a native entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unboxed {
    pub(crate) int: bool,
    pub(crate) float: bool,
}

impl Unboxed {
    /// What a function returns itself. (When it leaves, the interpreter returns an object.)
    pub(crate) fn of(func: &Function) -> Unboxed {
        let returns = |op: Op| func.insts.iter().any(|inst| inst.op == op);
        Unboxed { int: returns(Op::ReturnInt), float: returns(Op::ReturnFloat) }
    }
}

/// A function builder that knows CPython's layout.
pub(crate) struct Emit<'f> {
    /// The builder.
    pub(crate) fb: FunctionBuilder<'f>,
    /// Where CPython keeps things.
    pub(crate) layout: &'f Layout,
    /// The runtime's addresses.
    pub(crate) addresses: &'f Addresses,
    config: TargetFrontendConfig,
    signatures: HashMap<(Vec<Type>, Vec<Type>), SigRef>,
    regions: [AliasRegion; 4],
}

impl<'f> Emit<'f> {
    /// A builder of a function whose signature is set.
    pub(crate) fn new(
        fb: FunctionBuilder<'f>,
        config: TargetFrontendConfig,
        layout: &'f Layout,
        addresses: &'f Addresses,
    ) -> Emit<'f> {
        let regions = Region::ALL.map(|(region, name)| {
            fb.func.dfg.alias_regions.insert(AliasRegionData { user_id: region as u32, description: name.into() })
        });
        Emit { fb, layout, addresses, config, signatures: HashMap::new(), regions }
    }

    /// Starts the function's first block and gives its parameters.
    pub(crate) fn start(&mut self) -> Vec<Value> {
        let block = self.fb.create_block();
        self.fb.append_block_params_for_function_params(block);
        self.fb.switch_to_block(block);
        self.fb.block_params(block).to_vec()
    }

    /// Ends the function.
    pub(crate) fn finish(mut self) {
        self.fb.seal_all_blocks();
        self.fb.finalize(self.config);
    }

    /// Flags of an access that is aligned and can't fault.
    fn flags(&self, region: Region) -> MemFlagsData {
        MemFlagsData::trusted().with_alias_region(Some(self.regions[region as usize]))
    }

    pub(crate) fn int(&mut self, value: i64) -> Value {
        self.fb.ins().iconst(I64, value)
    }

    pub(crate) fn address(&mut self, address: u64) -> Value {
        self.int(address as i64)
    }

    pub(crate) fn load(&mut self, ty: Type, region: Region, base: Value, offset: i64) -> Value {
        let (base, offset) = self.split_offset(base, offset);
        let flags = self.flags(region);
        self.fb.ins().load(ty, flags, base, offset)
    }

    /// Loads what a field of this width holds, extended to a register.
    pub(crate) fn load_width(&mut self, width: Width, region: Region, base: Value, offset: i64) -> Value {
        let (base, offset) = self.split_offset(base, offset);
        let flags = self.flags(region);
        let ins = self.fb.ins();
        match width {
            Width::U8 => ins.uload8(I64, flags, base, offset),
            Width::I8 => ins.sload8(I64, flags, base, offset),
            Width::U16 => ins.uload16(I64, flags, base, offset),
            Width::I16 => ins.sload16(I64, flags, base, offset),
            Width::U32 => ins.uload32(flags, base, offset),
            Width::I32 => ins.sload32(flags, base, offset),
            Width::U64 => ins.load(I64, flags, base, offset),
            Width::F64 => ins.load(F64, flags, base, offset),
            Width::F32 => {
                let single = ins.load(F32, flags, base, offset);
                self.fb.ins().fpromote(F64, single)
            }
        }
    }

    /// Stores a register to a field of this width.
    pub(crate) fn store_width(&mut self, width: Width, region: Region, value: Value, base: Value, offset: i64) {
        let value = if width == Width::F32 { self.fb.ins().fdemote(F32, value) } else { value };
        let (base, offset) = self.split_offset(base, offset);
        let flags = self.flags(region);
        let ins = self.fb.ins();
        match width {
            Width::U8 | Width::I8 => ins.istore8(flags, value, base, offset),
            Width::U16 | Width::I16 => ins.istore16(flags, value, base, offset),
            Width::U32 | Width::I32 => ins.istore32(flags, value, base, offset),
            Width::U64 | Width::F32 | Width::F64 => ins.store(flags, value, base, offset),
        };
    }

    pub(crate) fn store(&mut self, region: Region, value: Value, base: Value, offset: i64) {
        let (base, offset) = self.split_offset(base, offset);
        let flags = self.flags(region);
        self.fb.ins().store(flags, value, base, offset);
    }

    /// Loads the word at an address that another thread may write to at any time: never merged with another load.
    pub(crate) fn load_shared(&mut self, base: Value, offset: i64) -> Value {
        let address = self.fb.ins().iadd_imm_s(base, offset);
        let flags = self.flags(Region::Thread);
        self.fb.ins().atomic_load(I64, flags, address)
    }

    /// The word at a fixed address.
    pub(crate) fn load_word(&mut self, address: u64) -> Value {
        let base = self.address(address);
        self.load(I64, Region::Heap, base, 0)
    }

    fn split_offset(&mut self, base: Value, offset: i64) -> (Value, i32) {
        match i32::try_from(offset) {
            Ok(offset) => (base, offset),
            Err(_) => (self.fb.ins().iadd_imm_s(base, offset), 0),
        }
    }

    pub(crate) fn offset(&self, field: Field) -> i64 {
        i64::from(self.layout.offset(field))
    }

    pub(crate) fn stack_slot(&mut self, words: u32) -> StackSlot {
        self.fb.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, words * 8, 3))
    }

    pub(crate) fn stack_address(&mut self, slot: StackSlot) -> Value {
        self.fb.ins().stack_addr(I64, slot, 0)
    }

    pub(crate) fn cold_block(&mut self) -> Block {
        let block = self.fb.create_block();
        self.fb.set_cold_block(block);
        block
    }

    /// A block that is cold if the current one is.
    pub(crate) fn block(&mut self) -> Block {
        let block = self.fb.create_block();
        if self.fb.current_block().is_some_and(|current| self.fb.func.layout.is_cold(current)) {
            self.fb.set_cold_block(block);
        }
        block
    }

    /// Jumps to `block` if the condition holds, and goes on in a new block if not.
    pub(crate) fn branch_if(&mut self, condition: Value, block: Block) {
        let next = self.block();
        self.fb.ins().brif(condition, block, &[], next, &[]);
        self.fb.switch_to_block(next);
    }

    /// Jumps to `block` unless the condition holds, and goes on in a new block if it does.
    pub(crate) fn branch_unless(&mut self, condition: Value, block: Block) {
        let next = self.block();
        self.fb.ins().brif(condition, next, &[], block, &[]);
        self.fb.switch_to_block(next);
    }

    pub(crate) fn compare(&mut self, condition: IntCC, a: Value, b: i64) -> Value {
        self.fb.ins().icmp_imm_s(condition, a, b)
    }

    /// Whether a word equals an address.
    pub(crate) fn is_address(&mut self, value: Value, address: u64) -> Value {
        let address = self.address(address);
        self.fb.ins().icmp(IntCC::Equal, value, address)
    }

    /// A value as a word: truth values extended, doubles as their bits.
    pub(crate) fn word_of(&mut self, value: Value) -> Value {
        match self.fb.func.dfg.value_type(value) {
            F64 => self.fb.ins().bitcast(I64, MemFlagsData::new(), value),
            I8 => self.fb.ins().uextend(I64, value),
            _ => value,
        }
    }

    pub(crate) fn bits_to_float(&mut self, bits: Value) -> Value {
        self.fb.ins().bitcast(F64, MemFlagsData::new(), bits)
    }

    /// Calls the function at an address.
    pub(crate) fn call(&mut self, address: u64, args: &[Value], returns: &[Type]) -> Inst {
        let callee = self.address(address);
        self.call_value(callee, args, returns)
    }

    /// Calls the function at a computed address.
    pub(crate) fn call_value(&mut self, callee: Value, args: &[Value], returns: &[Type]) -> Inst {
        let params: Vec<Type> = args.iter().map(|arg| self.fb.func.dfg.value_type(*arg)).collect();
        let signature = self.signature(params, returns);
        self.fb.ins().call_indirect(signature, callee, args)
    }

    fn signature(&mut self, params: Vec<Type>, returns: &[Type]) -> SigRef {
        let key = (params, returns.to_vec());
        if let Some(signature) = self.signatures.get(&key) {
            return *signature;
        }
        let signature = self.fb.import_signature(signature(self.config.default_call_conv, &key.0, returns));
        self.signatures.insert(key, signature);
        signature
    }

    /// The only result of a call.
    pub(crate) fn result(&self, call: Inst) -> Value {
        self.fb.inst_results(call)[0]
    }

    /// The two results of a call.
    pub(crate) fn results(&self, call: Inst) -> (Value, Value) {
        let results = self.fb.inst_results(call);
        (results[0], results[1])
    }

    /// The class of an object, as an address.
    pub(crate) fn class_of(&mut self, object: Value) -> Value {
        let offset = self.offset(Field::ObType);
        self.load(I64, Region::Heap, object, offset)
    }

    /// Whether an object is exactly of the class at an address.
    pub(crate) fn is_class(&mut self, object: Value, class: u64) -> Value {
        let found = self.class_of(object);
        self.is_address(found, class)
    }

    /// Whether an exact int has at most one digit; and its tag.
    pub(crate) fn is_compact(&mut self, object: Value) -> (Value, Value) {
        let offset = self.offset(Field::LongTag);
        let tag = self.load(I64, Region::Heap, object, offset);
        (self.compare(IntCC::UnsignedLessThan, tag, ONE_DIGIT_TAGS), tag)
    }

    /// The value of an int of at most one digit: the digit times 1, 0 or -1 (two low bits of the tag: 0, 1, 2).
    pub(crate) fn compact_value(&mut self, object: Value, tag: Value) -> Value {
        let offset = self.offset(Field::LongDigit);
        let digit = self.load_width(Width::U32, Region::Heap, object, offset);
        let sign = self.fb.ins().band_imm_s(tag, 3);
        let one = self.int(1);
        let factor = self.fb.ins().isub(one, sign);
        self.fb.ins().imul(digit, factor)
    }

    /// Whether the tag is that of an int of two digits.
    pub(crate) fn has_two_digits(&mut self, tag: Value) -> Value {
        let count = self.fb.ins().band_imm_s(tag, !3);
        self.compare(IntCC::Equal, count, TWO_DIGIT_TAG)
    }

    /// The value of an int of two digits.
    pub(crate) fn two_digit_value(&mut self, object: Value, tag: Value) -> Value {
        let offset = self.offset(Field::LongDigit);
        let low = self.load_width(Width::U32, Region::Heap, object, offset);
        let high = self.load_width(Width::U32, Region::Heap, object, offset + 4);
        let high = self.fb.ins().ishl_imm_u(high, DIGIT_BITS);
        let magnitude = self.fb.ins().bor(low, high);
        let sign = self.fb.ins().band_imm_s(tag, 3);
        let one = self.int(1);
        let factor = self.fb.ins().isub(one, sign);
        self.fb.ins().imul(magnitude, factor)
    }

    pub(crate) fn float_value(&mut self, object: Value) -> Value {
        let offset = self.offset(Field::FloatValue);
        self.load(F64, Region::Heap, object, offset)
    }

    /// An owned `int` object.
    pub(crate) fn box_int(&mut self, value: Value) -> Value {
        let (small, big, done) = (self.block(), self.block(), self.block());
        let object = self.fb.append_block_param(done, I64);
        let index = self.fb.ins().iadd_imm_s(value, -SMALL_INTS.0);
        let is_small = self.compare(IntCC::UnsignedLessThan, index, SMALL_INTS.1 - SMALL_INTS.0 + 1);
        self.fb.ins().brif(is_small, small, &[], big, &[]);

        self.fb.switch_to_block(small);
        let first = self.address(self.layout.small_ints);
        let offset = self.fb.ins().imul_imm_s(index, self.layout.small_int_size as i64);
        let cached = self.fb.ins().iadd(first, offset);
        self.fb.ins().jump(done, &[cached.into()]);

        self.fb.switch_to_block(big);
        let list = self.layout.int_list;
        let slow = if list.is_known() {
            let slow = self.cold_block();
            let magnitude = self.fb.ins().iabs(value);
            let above_small = self.fb.ins().iadd_imm_s(magnitude, -(LAST_SMALL_INT + 1));
            let one_digit = self.compare(IntCC::UnsignedLessThan, above_small, DIGIT_BASE - (LAST_SMALL_INT + 1));
            self.branch_unless(one_digit, slow);
            let new = self.take_free(list, self.layout.int_type, slow);
            self.store_digit(new, value, magnitude);
            self.fb.ins().jump(done, &[new.into()]);
            slow
        } else {
            let slow = self.block();
            self.fb.ins().jump(slow, &[]);
            slow
        };

        self.fb.switch_to_block(slow);
        let new = self.box_by_call(self.addresses.box_int, value);
        self.fb.ins().jump(done, &[new.into()]);

        self.fb.switch_to_block(done);
        object
    }

    /// An owned `float` object.
    pub(crate) fn box_float(&mut self, value: Value) -> Value {
        let list = self.layout.float_list;
        let (slow, done) = (if list.is_known() { self.cold_block() } else { self.block() }, self.block());
        let object = self.fb.append_block_param(done, I64);
        if list.is_known() {
            let new = self.take_free(list, self.layout.float_type, slow);
            let offset = self.offset(Field::FloatValue);
            self.store(Region::Heap, value, new, offset);
            self.fb.ins().jump(done, &[new.into()]);
        } else {
            self.fb.ins().jump(slow, &[]);
        }

        self.fb.switch_to_block(slow);
        let new = self.box_by_call(self.addresses.box_float, value);
        self.fb.ins().jump(done, &[new.into()]);
        self.fb.switch_to_block(done);
        object
    }

    /// An owned object, of the runtime's function at an address.
    fn box_by_call(&mut self, address: u64, value: Value) -> Value {
        let call = self.call(address, &[value], &[I64]);
        self.result(call)
    }

    /// Writes a value of one digit (not 0) into an int object.
    fn store_digit(&mut self, object: Value, value: Value, magnitude: Value) {
        let (tag_offset, digit_offset) = (self.offset(Field::LongTag), self.offset(Field::LongDigit));
        let sign = self.fb.ins().ushr_imm_u(value, 63);
        let sign = self.fb.ins().ishl_imm_u(sign, 1);
        let tag = self.fb.ins().bor_imm_s(sign, 1 << 3);
        self.store(Region::Heap, tag, object, tag_offset);
        self.store_width(Width::U32, Region::Heap, magnitude, object, digit_offset);
    }

    /// The object that a native entry returned as a payload and a tag; what it rarely returns is boxed by a call.
    pub(crate) fn box_result(&mut self, payload: Value, tag: Value, often: Unboxed) -> Value {
        let mut block = |often: bool| if often { self.block() } else { self.cold_block() };
        let (unboxed, int, float, done) = (block(often.int || often.float), block(often.int), block(often.float), block(true));
        let object = self.fb.append_block_param(done, I64);
        let is_object = self.compare(IntCC::Equal, tag, 1);
        self.fb.ins().brif(is_object, done, &[payload.into()], unboxed, &[]);

        self.fb.switch_to_block(unboxed);
        self.fb.ins().brif(tag, float, &[], int, &[]);

        self.fb.switch_to_block(int);
        let boxed = if often.int { self.box_int(payload) } else { self.box_by_call(self.addresses.box_int, payload) };
        self.fb.ins().jump(done, &[boxed.into()]);

        self.fb.switch_to_block(float);
        let value = self.bits_to_float(payload);
        let boxed = if often.float { self.box_float(value) } else { self.box_by_call(self.addresses.box_float, value) };
        self.fb.ins().jump(done, &[boxed.into()]);

        self.fb.switch_to_block(done);
        object
    }

    /// Adds a reference to an object that is not null.
    pub(crate) fn inc_ref(&mut self, object: Value) {
        let (count, done) = self.count_unless_immortal(object);
        let count = self.fb.ins().iadd_imm_s(count, 1);
        let offset = self.offset(Field::RefCount);
        self.store(Region::Counts, count, object, offset);
        self.fb.ins().jump(done, &[]);
        self.fb.switch_to_block(done);
    }

    /// Takes a reference from an object that is not null.
    pub(crate) fn dec_ref(&mut self, object: Value, end: End) {
        let (count, done) = self.count_unless_immortal(object);
        let count = self.fb.ins().iadd_imm_s(count, -1);
        let offset = self.offset(Field::RefCount);
        self.store(Region::Counts, count, object, offset);
        let last = self.cold_block();
        self.fb.ins().brif(count, done, &[], last, &[]);

        self.fb.switch_to_block(last);
        self.end(object, end);
        self.fb.ins().jump(done, &[]);
        self.fb.switch_to_block(done);
    }

    /// Frees an object without references.
    fn end(&mut self, object: Value, end: End) {
        let list = match end {
            End::Float => self.layout.float_list,
            End::Int => self.layout.int_list,
            End::Plain | End::Any { .. } => FreeList::default(),
        };
        if !list.is_known() {
            match end {
                End::Any { tstate } => self.call(self.addresses.dealloc, &[object, tstate], &[]),
                _ => self.call(self.addresses.dealloc_plain, &[object], &[]),
            };
            return;
        }
        let (slow, done) = (self.cold_block(), self.block());
        if matches!(end, End::Int) {
            let (compact, _) = self.is_compact(object);
            self.branch_unless(compact, slow);
        }
        self.give_free(list, object, slow);
        self.fb.ins().jump(done, &[]);

        self.fb.switch_to_block(slow);
        self.call(self.addresses.dealloc_plain, &[object], &[]);
        self.fb.ins().jump(done, &[]);
        self.fb.switch_to_block(done);
    }

    /// Goes on with the reference count, or in the returned block if the object is immortal (a negative count).
    fn count_unless_immortal(&mut self, object: Value) -> (Value, Block) {
        let done = self.block();
        let offset = self.offset(Field::RefCount);
        let count = self.load(I32, Region::Counts, object, offset);
        let immortal = self.compare(IntCC::SignedLessThan, count, 0);
        self.branch_if(immortal, done);
        (count, done)
    }

    /// Runs `body` only if the pointer is not null, or the condition true.
    pub(crate) fn unless_zero(&mut self, value: Value, body: impl FnOnce(&mut Self)) {
        let (some, done) = (self.block(), self.block());
        self.fb.ins().brif(value, some, &[], done, &[]);
        self.fb.switch_to_block(some);
        body(self);
        self.fb.ins().jump(done, &[]);
        self.fb.switch_to_block(done);
    }

    /// Jumps to `slow` unless the pointer at `slot` is to an object of the class with one reference; gives that object.
    fn overwritable(&mut self, slot: Value, class: u64, slow: Block) -> Value {
        let old = self.load(I64, Region::Heap, slot, 0);
        self.branch_unless(old, slow);
        let same_class = self.is_class(old, class);
        self.branch_unless(same_class, slow);
        let offset = self.offset(Field::RefCount);
        let count = self.load(I32, Region::Counts, old, offset);
        let only = self.compare(IntCC::Equal, count, 1);
        self.branch_unless(only, slow);
        old
    }

    /// Puts a double into the pointer slot at an address, in place if the old object can be overwritten.
    pub(crate) fn store_float_in_place(&mut self, slot: Value, value: Value, end: End) {
        let (slow, done) = (self.cold_block(), self.block());
        let old = self.overwritable(slot, self.layout.float_type, slow);
        let offset = self.offset(Field::FloatValue);
        self.store(Region::Heap, value, old, offset);
        self.fb.ins().jump(done, &[]);

        self.fb.switch_to_block(slow);
        let new = self.box_float(value);
        self.replace(slot, new, end);
        self.fb.ins().jump(done, &[]);
        self.fb.switch_to_block(done);
    }

    /// Puts an int into the pointer slot at an address, in place if the old object can be overwritten, has as many digits as the new
    /// value needs (one or two), and the value is no cached small int.
    pub(crate) fn store_int_in_place(&mut self, slot: Value, value: Value, end: End) {
        let (longer, slow, done) = (self.cold_block(), self.cold_block(), self.block());
        let magnitude = self.fb.ins().iabs(value);
        let above_small = self.fb.ins().iadd_imm_s(magnitude, -(LAST_SMALL_INT + 1));
        let fits = self.compare(IntCC::UnsignedLessThan, above_small, DIGIT_BASE - (LAST_SMALL_INT + 1));
        self.branch_unless(fits, longer);
        let old = self.overwritable(slot, self.layout.int_type, slow);
        let (compact, _) = self.is_compact(old);
        self.branch_unless(compact, slow);
        self.store_digit(old, value, magnitude);
        self.fb.ins().jump(done, &[]);

        self.fb.switch_to_block(longer);
        let above_one = self.fb.ins().iadd_imm_s(magnitude, -DIGIT_BASE);
        let fits = self.compare(IntCC::UnsignedLessThan, above_one, DIGIT_BASE * DIGIT_BASE - DIGIT_BASE);
        self.branch_unless(fits, slow);
        let old = self.overwritable(slot, self.layout.int_type, slow);
        let (tag_offset, digit_offset) = (self.offset(Field::LongTag), self.offset(Field::LongDigit));
        let old_tag = self.load(I64, Region::Heap, old, tag_offset);
        let two = self.has_two_digits(old_tag);
        self.branch_unless(two, slow);
        let sign = self.fb.ins().ushr_imm_u(value, 63);
        let sign = self.fb.ins().ishl_imm_u(sign, 1);
        let tag = self.fb.ins().bor_imm_s(sign, TWO_DIGIT_TAG);
        let low = self.fb.ins().band_imm_s(magnitude, DIGIT_BASE - 1);
        let high = self.fb.ins().ushr_imm_u(magnitude, DIGIT_BITS);
        self.store(Region::Heap, tag, old, tag_offset);
        self.store_width(Width::U32, Region::Heap, low, old, digit_offset);
        self.store_width(Width::U32, Region::Heap, high, old, digit_offset + 4);
        self.fb.ins().jump(done, &[]);

        self.fb.switch_to_block(slow);
        let new = self.box_int(value);
        self.replace(slot, new, end);
        self.fb.ins().jump(done, &[]);
        self.fb.switch_to_block(done);
    }

    /// Stores an owned object into the pointer slot at an address, then gives up the one that was there.
    fn replace(&mut self, slot: Value, new: Value, end: End) {
        let old = self.load(I64, Region::Heap, slot, 0);
        self.store(Region::Heap, new, slot, 0);
        self.unless_zero(old, |emit| emit.dec_ref(old, end));
    }
}

/// A signature of plain parameters and results.
pub(crate) fn signature(conv: CallConv, params: &[Type], returns: &[Type]) -> Signature {
    let mut signature = Signature::new(conv);
    signature.params.extend(params.iter().map(|ty| AbiParam::new(*ty)));
    signature.returns.extend(returns.iter().map(|ty| AbiParam::new(*ty)));
    signature
}

/// The machine type of a value of one register.
pub(crate) fn machine_type(ty: pepjit_ir::Type) -> Result<Type, BackendError> {
    use pepjit_ir::Type as Ir;
    match ty {
        Ir::C_INT | Ir::C_WORD => Ok(I64),
        Ir::C_FLOAT => Ok(F64),
        Ir::C_BOOL => Ok(I8),
        object if object.is_object() => Ok(I64),
        other => Err(internal(format!("a value of type {other} has no single register"))),
    }
}
