//! What the module's file says of itself, and where two of them differ.

use std::collections::BTreeMap;
use std::path::Path;

use object::read::elf::{Dyn as _, ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, SectionFlags, elf};

use super::{Binary, Difference, Hardening, RedistributorError, Section};

/// Bytes of a sample of what differs.
const SAMPLE: usize = 48;

/// What a file is.
pub(super) struct Described {
    pub(super) binary: Binary,
    /// `DT_NEEDED`.
    pub(super) needed: Vec<String>,
    /// The newest version that it uses of each library's symbols.
    pub(super) symbol_versions: Vec<String>,
}

/// Reads a shared library.
pub(super) fn describe(path: &Path) -> Result<Described, RedistributorError> {
    let bytes = std::fs::read(path).map_err(|source| RedistributorError::Io { path: path.to_owned(), source })?;
    parse(&bytes).map_err(|e| RedistributorError::Elf { path: path.to_owned(), message: e.to_string() })
}

fn parse(bytes: &[u8]) -> Result<Described, object::Error> {
    let file = ElfFile64::<Endianness>::parse(bytes)?;
    let (endian, data) = (file.endian(), file.data());
    let mut sections = Vec::new();
    let mut strippable = 0;
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
        let name = section.name().unwrap_or_default().to_owned();
        if sh_flags.0 & elf::SHF_ALLOC.0 != 0 {
            sections.push(Section { name, bytes: section.size() });
        } else if matches!(name.as_str(), ".symtab" | ".strtab") || name.starts_with(".debug") {
            strippable += section.size();
        }
    }
    sections.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
    let headers = file.elf_program_headers();
    let of_type = |kind| headers.iter().filter(move |header| header.p_type(endian) == kind);
    let both = elf::PF_W.0 | elf::PF_X.0;
    let mut hardening = Hardening {
        stack_not_executable: of_type(elf::PT_GNU_STACK).all(|h| h.p_flags(endian).0 & elf::PF_X.0 == 0)
            && of_type(elf::PT_GNU_STACK).count() > 0,
        relro: of_type(elf::PT_GNU_RELRO).count() > 0,
        bind_now: false,
        no_writable_code: of_type(elf::PT_LOAD).all(|h| h.p_flags(endian).0 & both != both),
        no_text_relocations: true,
    };
    let table = file.elf_header().sections(endian, data)?;
    let mut needed = Vec::new();
    if let Some((entries, strings)) = table.dynamic(endian, data)? {
        let strings = table.strings(endian, data, strings)?;
        for entry in entries {
            let value = entry.d_val(endian);
            match entry.d_tag(endian) {
                elf::DT_NEEDED => {
                    let name = entry.string(endian, strings)?;
                    needed.push(String::from_utf8_lossy(name).into_owned());
                }
                elf::DT_TEXTREL => hardening.no_text_relocations = false,
                elf::DT_BIND_NOW => hardening.bind_now = true,
                elf::DT_FLAGS => {
                    hardening.bind_now |= value & elf::DF_BIND_NOW.0 != 0;
                    hardening.no_text_relocations &= value & elf::DF_TEXTREL.0 == 0;
                }
                elf::DT_FLAGS_1 => hardening.bind_now |= value & elf::DF_1_NOW.0 != 0,
                _ => {}
            }
        }
    }
    let mut newest: BTreeMap<String, (Vec<u32>, String)> = BTreeMap::new();
    if let Some((mut needs, link)) = table.gnu_verneed(endian, data)? {
        let strings = table.strings(endian, data, link)?;
        while let Some((_, mut versions)) = needs.next()? {
            while let Some(version) = versions.next()? {
                let name = String::from_utf8_lossy(version.name(endian, strings)?).into_owned();
                let Some((family, number)) = name.rsplit_once('_') else { continue };
                let number: Vec<u32> = number.split('.').filter_map(|part| part.parse().ok()).collect();
                let known = newest.entry(family.to_owned()).or_default();
                if number >= known.0 {
                    *known = (number, name.clone());
                }
            }
        }
    }
    let size = bytes.len() as u64;
    Ok(Described {
        binary: Binary { bytes: size, stripped_bytes: size.saturating_sub(strippable), sections, hardening },
        needed,
        symbol_versions: newest.into_values().map(|(_, name)| name).collect(),
    })
}

/// Where two files differ, section by section.
pub(super) fn differences(a: &Path, b: &Path) -> Result<Vec<Difference>, RedistributorError> {
    let read = |path: &Path| std::fs::read(path).map_err(|source| RedistributorError::Io { path: path.to_owned(), source });
    let (first, second) = (read(a)?, read(b)?);
    if first == second {
        return Ok(Vec::new());
    }
    let failed = |e: object::Error| RedistributorError::Elf { path: a.to_owned(), message: e.to_string() };
    let (one, two) = (sections(&first).map_err(failed)?, sections(&second).map_err(failed)?);
    let names: std::collections::BTreeSet<&String> = one.keys().chain(two.keys()).collect();
    let none: &[u8] = &[];
    let mut found = Vec::new();
    for name in names {
        let (x, y) = (*one.get(name).unwrap_or(&none), *two.get(name).unwrap_or(&none));
        let differing = x.iter().zip(y).filter(|(x, y)| x != y).count() + x.len().abs_diff(y.len());
        if differing > 0 {
            let at = x.iter().zip(y).position(|(x, y)| x != y).unwrap_or(x.len().min(y.len())).saturating_sub(8);
            found.push(Difference { section: name.clone(), bytes: differing as u64, sample: (sample(x, at), sample(y, at)) });
        }
    }
    if found.is_empty() {
        // Headers, or what lies between sections.
        let differing = first.iter().zip(&second).filter(|(x, y)| x != y).count() + first.len().abs_diff(second.len());
        let at = first.iter().zip(&second).position(|(x, y)| x != y).unwrap_or_default();
        let sample = (sample(&first, at), sample(&second, at));
        found.push(Difference { section: String::new(), bytes: differing as u64, sample });
    }
    Ok(found)
}

fn sections(bytes: &[u8]) -> Result<BTreeMap<String, &[u8]>, object::Error> {
    let file = ElfFile64::<Endianness>::parse(bytes)?;
    file.sections().map(|section| Ok((section.name()?.to_owned(), section.data()?))).collect()
}

fn sample(bytes: &[u8], at: usize) -> String {
    let part = bytes.get(at..(at + SAMPLE).min(bytes.len())).unwrap_or_default();
    part.iter().map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_says_what_it_is() {
        let own = std::env::current_exe().unwrap();
        let described = describe(&own).unwrap();
        assert!(described.needed.iter().any(|name| name.starts_with("libc.so")), "{:?}", described.needed);
        assert!(described.symbol_versions.iter().any(|name| name.starts_with("GLIBC_2.")), "{:?}", described.symbol_versions);
        assert!(described.binary.sections[0].bytes > 0 && described.binary.stripped_bytes < described.binary.bytes);
        assert!(described.binary.hardening.stack_not_executable && described.binary.hardening.no_writable_code);
        assert!(differences(&own, &own).unwrap().is_empty());
    }

    #[test]
    fn a_changed_byte_is_found_in_its_section() {
        let own = std::env::current_exe().unwrap();
        let mut bytes = std::fs::read(&own).unwrap();
        let needle = b"a text that only this test has, written once";
        let at = bytes.windows(needle.len()).position(|part| part == needle).unwrap();
        bytes[at + 20] ^= 1;
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("other");
        std::fs::write(&other, bytes).unwrap();
        let found = differences(&own, &other).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].section.as_str(), found[0].bytes), (".rodata", 1));
        assert_ne!(found[0].sample.0, found[0].sample.1);
    }
}
