//! The back end's door: settings, modules, handles.

use crate::emit::{Emit, Unboxed};
use crate::entries::{direct_signature, fallback, vectorcall, vectorcall_signature};
use crate::error::{NAME, from_module, internal};
use crate::lower::lower;
use crate::unwind::{CodeRange, eh_frame};
use cranelift_codegen::Context;
use cranelift_codegen::ir::{Signature, UserFuncName};
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITMemoryProvider, JITModule};
use cranelift_module::{FuncId, Linkage as Visibility, Module, default_libcall_names};
use pepjit_backend::{Backend, BackendError, Compiled, Linkage};
use pepjit_ir::{Function, FunctionKind};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// Makes the memory of one compiled function.
pub type MemoryFactory = Box<dyn Fn() -> Box<dyn JITMemoryProvider + Send>>;

/// How to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether Cranelift's middle end optimises too. Compiling takes a quarter longer, and over the built-in workloads the code is no faster:
    /// what it looks for, our own passes have found.
    pub optimise: bool,
    /// Whether to let Cranelift verify its input; takes up to six times as long.
    pub verify: bool,
}

#[allow(clippy::derivable_impls, reason = "in debug builds it is another value")]
impl Default for Options {
    fn default() -> Options {
        Options { optimise: false, verify: cfg!(debug_assertions) }
    }
}

impl Options {
    /// The defaults, changed by the environment: `PEPJIT_CRANELIFT_OPT=none|speed` and `PEPJIT_CRANELIFT_VERIFY=0|1`.
    pub fn from_env() -> Options {
        let mut options = Options::default();
        match std::env::var("PEPJIT_CRANELIFT_OPT").as_deref() {
            Ok("none") => options.optimise = false,
            Ok("speed") => options.optimise = true,
            _ => {}
        }
        match std::env::var("PEPJIT_CRANELIFT_VERIFY").as_deref() {
            Ok("0") => options.verify = false,
            Ok("1") => options.verify = true,
            _ => {}
        }
        options
    }
}

/// A compiled function's module, and where its code is.
struct Unit {
    module: JITModule,
    ranges: Vec<CodeRange>,
}

/// The back end that makes machine code with Cranelift.
pub struct CraneliftBackend {
    isa: OwnedTargetIsa,
    memory: MemoryFactory,
    units: HashMap<u64, Unit>,
    next_handle: u64,
}

impl CraneliftBackend {
    /// A back end for this machine, with memory from a factory (one provider per compiled function).
    ///
    /// # Errors
    /// [`BackendError::Unsupported`] if Cranelift has no code generator for this machine.
    pub fn new(options: Options, memory: MemoryFactory) -> Result<CraneliftBackend, BackendError> {
        let builder = cranelift_native::builder()
            .map_err(|what| BackendError::Unsupported { backend: NAME, what: format!("this machine: {what}") })?;
        let mut flags = settings::builder();
        for (name, value) in [
            ("opt_level", if options.optimise { "speed" } else { "none" }),
            ("enable_verifier", if options.verify { "true" } else { "false" }),
            ("is_pic", "false"),
            ("preserve_frame_pointers", "true"),
            ("unwind_info", "true"),
            ("use_colocated_libcalls", "false"),
        ] {
            flags.set(name, value).map_err(|error| internal(format!("the setting {name}: {error}")))?;
        }
        let isa = builder.finish(settings::Flags::new(flags)).map_err(|error| internal(format!("{error:?}")))?;
        Ok(CraneliftBackend { isa, memory, units: HashMap::new(), next_handle: 1 })
    }

    /// Gives up the module of a compiled function, for a caller that frees its memory itself
    /// ([`JITModule::free_memory`]). After this, [`Backend::free`] has nothing to do for the handle.
    pub fn take_module(&mut self, handle: u64) -> Option<JITModule> {
        self.units.remove(&handle).map(|unit| unit.module)
    }

    /// Where the code of a compiled function is; empty for an unknown handle.
    pub fn ranges(&self, handle: u64) -> &[CodeRange] {
        self.units.get(&handle).map_or(&[], |unit| &unit.ranges)
    }

    /// An `.eh_frame` section for each of a compiled function's [`Self::ranges`], ending with a terminator; the caller keeps them in memory as
    /// long as they are registered. One for all would stand for everything that lies between the ranges as well.
    pub fn eh_frames(&self, handle: u64) -> Result<Vec<Vec<u8>>, BackendError> {
        self.ranges(handle).iter().map(|range| eh_frame(&*self.isa, range)).collect()
    }
}

/// A module while its functions are being defined.
struct Assembly {
    module: JITModule,
    context: Context,
    builder: FunctionBuilderContext,
    ranges: Vec<(FuncId, CodeRange)>,
    dumps: Option<(String, String)>,
}

impl Assembly {
    fn declare(&mut self, name: &str, signature: &Signature) -> Result<FuncId, BackendError> {
        self.module.declare_function(name, Visibility::Local, signature).map_err(|error| from_module(&error))
    }

    /// Builds and compiles one function.
    fn define(
        &mut self,
        id: FuncId,
        name: String,
        signature: Signature,
        callee: Option<FuncId>,
        fill: impl FnOnce(FunctionBuilder<'_>, Option<cranelift_codegen::ir::FuncRef>) -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        self.module.clear_context(&mut self.context);
        self.context.func.signature = signature;
        self.context.func.name = UserFuncName::user(0, id.as_u32());
        let callee = callee.map(|callee| self.module.declare_func_in_func(callee, &mut self.context.func));
        fill(FunctionBuilder::new(&mut self.context.func, &mut self.builder), callee)?;
        if let Some((clif, _)) = &mut self.dumps {
            let _ = writeln!(clif, "; {name}\n{}", self.context.func.display());
            self.context.set_disasm(true);
        }
        self.module.define_function(id, &mut self.context).map_err(|error| from_module(&error))?;
        let code = self.context.compiled_code().ok_or_else(|| internal("no code"))?;
        if let (Some((_, asm)), Some(text)) = (&mut self.dumps, &code.vcode) {
            let _ = writeln!(asm, "; {name}\n{text}");
        }
        let unwind = code.create_unwind_info(self.module.isa()).map_err(|error| internal(error.to_string()))?;
        self.ranges.push((id, CodeRange { name, address: 0, bytes: code.code_info().total_size as usize, unwind }));
        Ok(())
    }
}

impl Backend for CraneliftBackend {
    fn name(&self) -> &'static str {
        NAME
    }

    fn compile(&mut self, func: &Function, linkage: &mut dyn Linkage, dumps: bool) -> Result<Compiled, BackendError> {
        let mut builder = JITBuilder::with_isa(self.isa.clone(), default_libcall_names());
        builder.memory_provider((self.memory)());
        let module = JITModule::new(builder);
        let mut assembly = Assembly {
            context: module.make_context(),
            module,
            builder: FunctionBuilderContext::new(),
            ranges: Vec::new(),
            dumps: dumps.then(Default::default),
        };
        let (layout, addresses) = (linkage.layout().clone(), linkage.addresses().clone());
        let config = self.isa.frontend_config();
        let conv = config.default_call_conv;

        let direct = direct_signature(func, conv)?;
        let entry = assembly.declare("entry", &direct)?;
        assembly.define(entry, func.name.clone(), direct.clone(), None, |fb, _| {
            lower(Emit::new(fb, config, &layout, &addresses), func, linkage)
        })?;
        let mut compiled = Compiled::default();
        let others = if func.kind == FunctionKind::Entry {
            let params = func.parameters();
            let signature = vectorcall_signature(conv);
            let called = assembly.declare("vectorcall", &signature)?;
            assembly.define(called, format!("{} (vectorcall)", func.name), signature, Some(entry), |fb, direct| {
                let direct = direct.ok_or_else(|| internal("the direct entry is not declared"))?;
                vectorcall(Emit::new(fb, config, &layout, &addresses), &params, Unboxed::of(func), direct)
            })?;
            let back = assembly.declare("fallback", &direct)?;
            assembly.define(back, format!("{} (fallback)", func.name), direct, None, |fb, _| {
                fallback(Emit::new(fb, config, &layout, &addresses), &params);
                Ok(())
            })?;
            Some((called, back))
        } else {
            None
        };

        let Assembly { mut module, ranges, dumps, .. } = assembly;
        module.finalize_definitions().map_err(|error| from_module(&error))?;
        let address = |id| module.get_finalized_function(id) as u64;
        compiled.entry = address(entry);
        if let Some((called, back)) = others {
            (compiled.vectorcall, compiled.fallback) = (address(called), address(back));
        }
        let ranges: Vec<CodeRange> = ranges.into_iter().map(|(id, range)| CodeRange { address: address(id), ..range }).collect();
        compiled.code_bytes = ranges.iter().map(|range| range.bytes).sum();
        if let Some((clif, asm)) = dumps {
            compiled.dumps = BTreeMap::from([("clif".to_owned(), clif), ("asm".to_owned(), asm)]);
        }
        compiled.handle = self.next_handle;
        self.next_handle += 1;
        self.units.insert(compiled.handle, Unit { module, ranges });
        Ok(compiled)
    }

    /// Drops the function's module and with it its memory provider, whose `Drop` gives the memory back. (Cranelift's own provider keeps it
    /// unless the module is taken with [`CraneliftBackend::take_module`] and freed.)
    fn free(&mut self, handle: u64) {
        self.units.remove(&handle);
    }
}
