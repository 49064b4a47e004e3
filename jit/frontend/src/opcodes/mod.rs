//! One opcode table per CPython version, made from the interpreter itself by `generate.py`.

mod v313;
mod v314;
mod v315;

use crate::input::PyVersion;

/// A version's opcodes, by number.
#[derive(Debug)]
pub(crate) struct OpcodeTable {
    rows: Vec<Option<(&'static str, u8)>>,
}

impl OpcodeTable {
    /// The table of a version.
    pub(crate) fn of(version: PyVersion) -> OpcodeTable {
        let table = match version {
            PyVersion::V313 => v313::TABLE,
            PyVersion::V314 => v314::TABLE,
            PyVersion::V315 => v315::TABLE,
        };
        let mut rows = vec![None; 256];
        for (number, name, caches) in table {
            rows[usize::from(*number)] = Some((*name, *caches));
        }
        OpcodeTable { rows }
    }

    /// An opcode's name, or an empty string.
    pub(crate) fn name(&self, opcode: u8) -> &'static str {
        self.rows[usize::from(opcode)].map_or("", |row| row.0)
    }

    /// How many units of inline cache follow an instruction.
    pub(crate) fn caches(&self, opcode: u8) -> u32 {
        self.rows[usize::from(opcode)].map_or(0, |row| u32::from(row.1))
    }
}
