//! Boxes from the interpreter's free lists, and back: the common case of `PyFloat_FromDouble`, `PyLong_FromLongLong` and their
//! deallocators without a call, so that values in registers need not be saved around it.

use crate::emit::{Emit, Region};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use pepjit_backend::FreeList;
use pepjit_ir::Field;

/// Bytes from an object's start to its class.
const CLASS_OFFSET: i32 = 8;

impl Emit<'_> {
    /// An object of the list with one reference; goes to `slow` if there is none, or somebody traces references.
    pub(crate) fn take_free(&mut self, list: FreeList, class: u64, slow: Block) -> Value {
        self.unless_traced(slow);
        let head = self.address(list.head);
        let object = self.load(I64, Region::Heap, head, 0);
        self.branch_unless(object, slow);
        let next = self.load(I64, Region::Heap, object, list.link.into());
        self.store(Region::Heap, next, head, 0);
        self.add_to_count(list, -1);
        let one = self.int(1);
        let offset = self.offset(Field::RefCount);
        self.store(Region::Counts, one, object, offset);
        if list.link == CLASS_OFFSET {
            let class = self.address(class);
            self.store(Region::Heap, class, object, CLASS_OFFSET.into());
        }
        object
    }

    /// Puts an object without references on the list; goes to `slow` if that is full, or somebody traces references.
    pub(crate) fn give_free(&mut self, list: FreeList, object: Value, slow: Block) {
        self.unless_traced(slow);
        let count = self.free_count(list);
        // A list that has been disabled has the count -1.
        let room = self.compare(IntCC::UnsignedLessThan, count, list.most);
        self.branch_unless(room, slow);
        let head = self.address(list.head);
        let next = self.load(I64, Region::Heap, head, 0);
        self.store(Region::Heap, next, object, list.link.into());
        self.store(Region::Heap, object, head, 0);
        self.add_to_count(list, 1);
    }

    fn unless_traced(&mut self, slow: Block) {
        let tracer = self.load_word(self.layout.ref_tracer);
        self.branch_if(tracer, slow);
    }

    fn free_count(&mut self, list: FreeList) -> Value {
        let address = self.address(list.count);
        let ty = if list.count_bytes == 4 { I32 } else { I64 };
        self.load(ty, Region::Heap, address, 0)
    }

    fn add_to_count(&mut self, list: FreeList, change: i64) {
        let count = self.free_count(list);
        let count = self.fb.ins().iadd_imm_s(count, change);
        let address = self.address(list.count);
        self.store(Region::Heap, count, address, 0);
    }
}
