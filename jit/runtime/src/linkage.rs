//! What a back end asks while it compiles one function: layout, addresses, exit records.

use crate::ffi::{self, Exit, Object};
use crate::policy;
use pepjit_backend::{Addresses, ExitKind, ExitRecord, ExitSlot, FrameLayout, Layout, Linkage, View};
use pepjit_ir::op::Reason;
use pepjit_ir::{Field, Helper};
use std::ffi::CStr;
use std::time::Instant;

/// The numbers of slot kinds in `shim.h`.
const SLOT_EMPTY: u32 = 0;
const SLOT_OBJECT: u32 = 1;

/// An exit record with everything it points to.
#[derive(Debug)]
pub(crate) struct ExitHolder {
    pub(crate) exit: Box<Exit>,
    slots: Vec<ffi::ExitSlot>,
    drops: Vec<u32>,
    pub(crate) reason: Reason,
    /// How often it had been taken when it was last asked whether that costs too much, and when that was.
    asked: Option<(u64, Instant)>,
}

impl ExitHolder {
    /// Whether taking it has cost too much of the time since this was last asked.
    pub(crate) fn is_costly(&mut self, now: Instant) -> bool {
        let before = self.asked.replace((self.exit.count, now));
        before.is_some_and(|(count, then)| policy::costs_too_much(self.exit.count - count, now - then))
    }

    /// Whether it has been taken so seldom, since this was last asked or the code was made, that another speculation wouldn't gain anything.
    pub(crate) fn is_rare(&mut self, made: Instant, now: Instant) -> bool {
        let (count, then) = self.asked.replace((self.exit.count, now)).unwrap_or((0, made));
        policy::is_rare(self.reason, self.exit.count - count, now - then)
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Exit>() + self.slots.len() * size_of::<ffi::ExitSlot>() + self.drops.len() * 4
    }
}

/// What others see of a unit's frames, as the C side reads it.
#[derive(Debug, Default)]
pub(crate) struct ViewTable {
    table: Box<ffi::Views>,
    views: Vec<ffi::View>,
    slots: Vec<Vec<ffi::ExitSlot>>,
}

impl ViewTable {
    fn new(views: &[View]) -> ViewTable {
        let slots: Vec<Vec<ffi::ExitSlot>> = views.iter().map(|view| flatten(&view.slots)).collect();
        let views: Vec<ffi::View> = views
            .iter()
            .zip(&slots)
            .map(|(view, slots)| ffi::View { offset: view.offset, variant: view.variant, slots: slots.as_ptr() })
            .collect();
        let table = Box::new(ffi::Views {
            count: views.len() as u32,
            nlocals: slots.first().map_or(0, Vec::len) as u32,
            views: views.as_ptr(),
        });
        ViewTable { table, views, slots }
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.views.len() * size_of::<ffi::View>()
            + self.slots.iter().map(|slots| slots.len() * size_of::<ffi::ExitSlot>()).sum::<usize>()
    }
}

/// Slots as the C side reads them.
fn flatten(slots: &[ExitSlot]) -> Vec<ffi::ExitSlot> {
    let flat = |slot: &ExitSlot| match *slot {
        ExitSlot::Empty => ffi::ExitSlot { kind: SLOT_EMPTY, index: 0, address: 0 },
        ExitSlot::Object(address) => ffi::ExitSlot { kind: SLOT_OBJECT, index: 0, address },
        ExitSlot::Value(index, kind) => {
            let kind = match kind {
                ExitKind::Steal => 2,
                ExitKind::Borrow => 3,
                ExitKind::Int => 4,
                ExitKind::Float => 5,
                ExitKind::Bool => 6,
                ExitKind::Pair => 7,
                ExitKind::TaggedInt => 8,
            };
            ffi::ExitSlot { kind, index, address: 0 }
        }
    };
    slots.iter().map(flat).collect()
}

/// Tables of the process, read once.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    helpers: Vec<u64>,
    layout: Layout,
}

impl Process {
    /// Reads the C side's tables and checks that both sides agree.
    pub(crate) fn new() -> Result<Process, String> {
        // SAFETY: the C side's tables are constants; the counts say how long they are.
        let (fields, helpers) = unsafe {
            let names = std::slice::from_raw_parts(
                (&raw const ffi::pepjit_field_names).cast::<*const i8>(),
                ffi::pepjit_field_count as usize,
            );
            let offsets = std::slice::from_raw_parts(
                (&raw const ffi::pepjit_field_offsets).cast::<i32>(),
                ffi::pepjit_field_count as usize,
            );
            let rows = std::slice::from_raw_parts(
                (&raw const ffi::pepjit_helpers).cast::<ffi::HelperRow>(),
                ffi::pepjit_helper_count as usize,
            );
            let fields: Vec<(String, i32)> = names
                .iter()
                .zip(offsets)
                .map(|(name, offset)| (CStr::from_ptr(name.cast()).to_string_lossy().into_owned(), *offset))
                .collect();
            let helpers: Vec<(String, u64)> =
                rows.iter().map(|row| (CStr::from_ptr(row.name).to_string_lossy().into_owned(), row.address as u64)).collect();
            (fields, helpers)
        };
        let same_fields =
            fields.len() == Field::ALL.len() && fields.iter().zip(Field::ALL).all(|((name, _), field)| name == field.name());
        if !same_fields {
            return Err("the field tables of the two halves of the module differ; build it again".into());
        }
        let same_helpers = helpers.len() == Helper::ALL.len()
            && helpers.iter().zip(Helper::ALL).all(|((name, _), helper)| name == helper.info().name);
        if !same_helpers {
            return Err("the helper tables of the two halves of the module differ; build it again".into());
        }
        let mut process = ffi::ProcessLayout::default();
        // SAFETY: the pointer is to a structure of the declared layout.
        unsafe { ffi::pepjit_process_layout(&raw mut process) };
        let layout = Layout {
            fields: fields.into_iter().map(|(_, offset)| offset).collect(),
            none: process.none,
            true_object: process.true_object,
            false_object: process.false_object,
            int_type: process.int_type,
            float_type: process.float_type,
            small_ints: process.small_ints,
            small_int_size: process.small_int_size,
            float_list: process.floats.into(),
            int_list: process.ints.into(),
            ref_tracer: process.ref_tracer,
            frame: FrameLayout::default(),
        };
        Ok(Process { helpers: helpers.into_iter().map(|(_, address)| address).collect(), layout })
    }

    /// The layout for a function's frames.
    fn layout_for(&self, function: Object) -> Layout {
        let mut frame = ffi::FrameLayout::default();
        // SAFETY: `function` is a live function object, `frame` a structure of the declared layout.
        unsafe { ffi::pepjit_frame_layout(function, &raw mut frame) };
        let mut template: Vec<(i32, u64)> =
            frame.template[..frame.ntemplate as usize].iter().map(|word| (word.offset as i32, word.value)).collect();
        template.extend((0..frame.nlocalsplus as i32).map(|index| (frame.localsplus + 8 * index, frame.null_word)));
        // Where others find the locals: nowhere yet.
        template.push((frame.localsplus + 8 * frame.nlocalsplus as i32, 0));
        let funcobj = template.iter().find(|(_, word)| word & !7 == function as u64).map_or(0, |(offset, _)| *offset);
        let frame = FrameLayout {
            funcobj,
            current_frame: frame.current_frame,
            datastack_top: frame.datastack_top,
            datastack_limit: frame.datastack_limit,
            py_recursion_remaining: frame.py_recursion_remaining,
            previous: frame.previous,
            instr_ptr: frame.instr_ptr,
            frame_obj: frame.frame_obj,
            localsplus: frame.localsplus,
            template,
            stackpointer: (frame.stackpointer >= 0).then_some(frame.stackpointer),
            stacktop: frame.stacktop,
            null_word: frame.null_word,
            frame_size: frame.frame_size,
            code_start: frame.code_start,
        };
        Layout { frame, ..self.layout.clone() }
    }
}

/// What a unit's code is given of the unit itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnitAddresses {
    pub(crate) unit: u64,
    pub(crate) function: Object,
    pub(crate) code: Object,
    /// The validity byte.
    pub(crate) valid: u64,
    /// The stress mode's word, or 0.
    pub(crate) stress: u64,
    /// The word that counts calls of the vectorcall entry, or 0.
    pub(crate) entries: u64,
    /// The word that counts code that waits where no frame tells of it, or 0.
    pub(crate) active: u64,
    /// Of shared code: the word that holds the function that runs; else 0.
    pub(crate) function_cell: u64,
    /// Whether each parameter is a positional one.
    pub(crate) positional: bool,
    /// The array of exit counters by reason.
    pub(crate) counters: *mut u64,
}

/// The linkage of one compilation; afterwards its exits belong to the compiled unit.
pub(crate) struct UnitLinkage<'a> {
    process: &'a Process,
    layout: Layout,
    addresses: Addresses,
    unit: UnitAddresses,
    limit: fn(Reason, bool) -> u64,
    pub(crate) exits: Vec<ExitHolder>,
    pub(crate) views: ViewTable,
}

impl<'a> UnitLinkage<'a> {
    /// `limit` says how often an exit may be taken before it's reported.
    pub(crate) fn new(process: &'a Process, unit: UnitAddresses, limit: fn(Reason, bool) -> u64) -> UnitLinkage<'a> {
        let addresses = Addresses {
            exit_function: ffi::pepjit_exit_function as *const () as u64,
            exit_loop: ffi::pepjit_exit_loop as *const () as u64,
            bind: ffi::pepjit_bind as *const () as u64,
            unbind: ffi::pepjit_unbind as *const () as u64,
            settle: ffi::pepjit_settle as *const () as u64,
            call_bound: ffi::pepjit_call_bound as *const () as u64,
            positional: unit.positional,
            // SAFETY: set once by the C side's initialisation, before any compilation.
            fallback: unsafe { ffi::pepjit_fallback } as u64,
            // SAFETY: as above.
            evaluator: unsafe { ffi::pepjit_evaluator } as u64,
            current_tstate: ffi::pepjit_current_tstate as *const () as u64,
            dealloc: ffi::pepjit_dealloc as *const () as u64,
            dealloc_plain: ffi::_Py_Dealloc as *const () as u64,
            box_int: ffi::pepjit_box_int as *const () as u64,
            box_float: ffi::pepjit_box_float as *const () as u64,
            unbox_big_int: ffi::pepjit_unbox_big_int as *const () as u64,
            poll: ffi::pepjit_poll as *const () as u64,
            watch: ffi::pepjit_watch as *const () as u64,
            quiet_breaker: &raw const ffi::pepjit_quiet_breaker as u64,
            push_frame: ffi::pepjit_push_light_frame as *const () as u64,
            catch: ffi::pepjit_catch as *const () as u64,
            pop_frame: ffi::pepjit_pop_frame as *const () as u64,
            forget_view: ffi::pepjit_forget_view as *const () as u64,
            scratch: &raw const ffi::pepjit_scratch as u64,
            valid: unit.valid,
            function: unit.function as u64,
            stack_limit: &raw const ffi::pepjit_stack_limit as u64,
            stress: unit.stress,
            entries: unit.entries,
            active: unit.active,
            function_cell: unit.function_cell,
        };
        let layout = process.layout_for(unit.function);
        UnitLinkage { process, layout, addresses, unit, limit, exits: Vec::new(), views: ViewTable::default() }
    }
}

impl Linkage for UnitLinkage<'_> {
    fn helper(&self, helper: Helper) -> u64 {
        self.process.helpers[helper as usize]
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn add_exit(&mut self, record: ExitRecord) -> u64 {
        let slots = flatten(&record.slots);
        let drops = record.drops.clone();
        let exit = Box::new(Exit {
            count: 0,
            limit: (self.limit)(record.reason, record.throw),
            reason: if record.reason == Reason::Yield {
                std::ptr::null_mut()
            } else {
                // SAFETY: the array has an element for every reason.
                unsafe { self.unit.counters.add(record.reason as usize) }
            },
            active: self.unit.active as *mut i64,
            user: self.unit.unit,
            function: self.unit.function,
            code: self.unit.code,
            offset: record.offset,
            throw: u8::from(record.throw),
            entered: u8::from(record.entered),
            recursion: u8::from(record.reason == Reason::Recursion),
            classes: u8::from(record.reason == Reason::Class && !record.throw),
            watch: u8::from(record.reason == Reason::Observed),
            yields: u8::from(record.reason == Reason::Yield),
            nlocals: record.locals,
            nstack: slots.len() as u32 - record.locals,
            nwords: record.words,
            ndrops: drops.len() as u32,
            slots: slots.as_ptr(),
            function_cell: self.unit.function_cell as *mut Object,
            drops: drops.as_ptr(),
        });
        let address = &raw const *exit as u64;
        self.exits.push(ExitHolder { exit, slots, drops, reason: record.reason, asked: None });
        address
    }

    fn add_views(&mut self, views: Vec<View>) -> u64 {
        self.views = ViewTable::new(&views);
        &raw const *self.views.table as u64
    }

    fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}
