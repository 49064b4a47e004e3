//! Where the code of a function is, and how to unwind it.

use crate::error::internal;
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::isa::unwind::UnwindInfo;
use gimli::RunTimeEndian;
use gimli::write::{Address, EhFrame, EndianVec, FrameTable};
use pepjit_backend::BackendError;

/// A piece of machine code: one entry of a compiled function.
#[derive(Clone, Debug)]
pub struct CodeRange {
    /// A name for profilers and debuggers.
    pub name: String,
    /// The address of the first instruction.
    pub address: u64,
    /// The length in bytes.
    pub bytes: usize,
    pub(crate) unwind: Option<UnwindInfo>,
}

/// The `.eh_frame` section of a piece of code, with its terminator, as the unwinder's registration function wants it.
pub(crate) fn eh_frame(isa: &dyn TargetIsa, range: &CodeRange) -> Result<Vec<u8>, BackendError> {
    let mut table = FrameTable::default();
    let cie = isa.create_systemv_cie().ok_or_else(|| internal("no unwind information for this platform"))?;
    let cie = table.add_cie(cie);
    if let Some(UnwindInfo::SystemV(info)) = &range.unwind {
        table.add_fde(cie, info.to_fde(Address::Constant(range.address)));
    }
    let mut section = EhFrame(EndianVec::new(RunTimeEndian::default()));
    table.write_eh_frame(&mut section).map_err(|error| internal(format!("unwind information: {error}")))?;
    let mut bytes = section.0.into_vec();
    bytes.extend([0; 4]);
    Ok(bytes)
}
