//! The in-memory ELF file that describes compiled code to gdb: symbols and call frame information, no code.
//!
//! Source: the System V ABI (`gABI`), chapters "Object Files" and "Symbol Table"; gdb's manual, "JIT Compilation Interface".

use super::Piece;

const HEADER: usize = 64;
const SECTION_HEADER: usize = 64;
const SYMBOL: usize = 24;

const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHT_NOBITS: u32 = 8;
const SHF_ALLOC: u64 = 2;
const SHF_EXECINSTR: u64 = 4;
/// A local symbol that is a function.
const STT_FUNC: u8 = 2;

/// The index of `.text` and of `.strtab` among the sections below.
const TEXT: u16 = 1;
const STRTAB: u32 = 4;

const MACHINE: u16 = if cfg!(target_arch = "aarch64") {
    183
} else if cfg!(target_arch = "s390x") {
    22
} else if cfg!(target_arch = "riscv64") {
    243
} else {
    62
};

#[derive(Default)]
struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    address: u64,
    contents: Vec<u8>,
    /// The size where there are no contents.
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entry: u64,
}

/// The file: `.text` without contents at the address of the code, `.eh_frame`, symbols.
pub(super) fn image(pieces: &[Piece<'_>], eh_frame: &[u8]) -> Vec<u8> {
    let low = pieces.iter().map(|piece| piece.address).min().unwrap_or(0);
    let high = pieces.iter().map(|piece| piece.address + piece.bytes as u64).max().unwrap_or(low);
    let (symbols, names) = symbols(pieces, low);
    // `info` of a symbol table is the index of its first symbol that isn't local.
    let locals = 1 + pieces.len() as u32;
    file(vec![
        Section::default(),
        Section {
            name: ".text",
            kind: SHT_NOBITS,
            flags: SHF_ALLOC | SHF_EXECINSTR,
            address: low,
            size: high - low,
            align: 16,
            ..Section::default()
        },
        Section {
            name: ".eh_frame",
            kind: SHT_PROGBITS,
            flags: SHF_ALLOC,
            address: eh_frame.as_ptr().addr() as u64,
            contents: eh_frame.to_vec(),
            align: 8,
            ..Section::default()
        },
        Section {
            name: ".symtab",
            kind: SHT_SYMTAB,
            contents: symbols,
            link: STRTAB,
            info: locals,
            align: 8,
            entry: SYMBOL as u64,
            ..Section::default()
        },
        Section { name: ".strtab", kind: SHT_STRTAB, contents: names, align: 1, ..Section::default() },
        Section { name: ".shstrtab", kind: SHT_STRTAB, align: 1, ..Section::default() },
    ])
}

/// The symbol table, with addresses relative to `.text`, and its strings.
fn symbols(pieces: &[Piece<'_>], low: u64) -> (Vec<u8>, Vec<u8>) {
    let (mut table, mut names) = (vec![0; SYMBOL], vec![0]);
    for piece in pieces {
        table.extend((names.len() as u32).to_ne_bytes());
        table.extend([STT_FUNC, 0]);
        table.extend(TEXT.to_ne_bytes());
        table.extend((piece.address - low).to_ne_bytes());
        table.extend((piece.bytes as u64).to_ne_bytes());
        names.extend(piece.name.bytes().filter(|byte| *byte != 0));
        names.push(0);
    }
    (table, names)
}

/// Puts sections into a file. The last one gets the sections' names.
fn file(mut sections: Vec<Section>) -> Vec<u8> {
    let mut section_names = vec![0];
    let mut name_offsets = Vec::with_capacity(sections.len());
    for section in &sections {
        // The null section's name is the empty string at 0.
        name_offsets.push(if section.name.is_empty() { 0 } else { section_names.len() as u32 });
        if !section.name.is_empty() {
            section_names.extend(section.name.bytes());
            section_names.push(0);
        }
    }
    if let Some(last) = sections.last_mut() {
        last.contents = section_names;
    }

    let mut bytes = vec![0; HEADER];
    let mut headers = Vec::with_capacity(sections.len() * SECTION_HEADER);
    for (section, name) in sections.iter().zip(name_offsets) {
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let size = if section.contents.is_empty() { section.size } else { section.contents.len() as u64 };
        let offset = if section.kind == 0 { 0 } else { bytes.len() as u64 };
        headers.extend(name.to_ne_bytes());
        headers.extend(section.kind.to_ne_bytes());
        for word in [section.flags, section.address, offset, size] {
            headers.extend(word.to_ne_bytes());
        }
        headers.extend(section.link.to_ne_bytes());
        headers.extend(section.info.to_ne_bytes());
        headers.extend(section.align.to_ne_bytes());
        headers.extend(section.entry.to_ne_bytes());
        bytes.extend(&section.contents);
    }
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let table = bytes.len() as u64;
    bytes.extend(headers);
    bytes[..HEADER].copy_from_slice(&header(table, sections.len() as u16));
    bytes
}

fn header(section_table: u64, sections: u16) -> [u8; HEADER] {
    const RELOCATABLE: u16 = 1;
    let mut header = [0; HEADER];
    let order = if cfg!(target_endian = "big") { 2 } else { 1 };
    // 64 bits, this byte order, version 1.
    header[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, order, 1]);
    let mut put = |offset: usize, field: &[u8]| header[offset..offset + field.len()].copy_from_slice(field);
    put(16, &RELOCATABLE.to_ne_bytes());
    put(18, &MACHINE.to_ne_bytes());
    put(20, &1_u32.to_ne_bytes());
    put(40, &section_table.to_ne_bytes());
    put(52, &(HEADER as u16).to_ne_bytes());
    put(58, &(SECTION_HEADER as u16).to_ne_bytes());
    put(60, &sections.to_ne_bytes());
    put(62, &(sections - 1).to_ne_bytes());
    header
}
