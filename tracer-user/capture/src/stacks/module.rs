//! An ELF file that is mapped as code: its functions, and how each keeps its caller (elf(5)).
//!
//! The file is whatever a traced process maps: it is read, not mapped, since who truncates a mapped file ends its readers, and
//! every length in it is bounded before it is used.

use super::unwind::Rule;
use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, LittleEndian, Register, RegisterRule, UnwindContext,
    UnwindSection as _, X86_64,
};
use object::{
    Endianness, Object as _, ObjectSection as _, ReadCache,
    elf::{FileHeader64, PT_LOAD, SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB, STT_FUNC, STT_GNU_IFUNC},
    read::elf::{ElfFile, FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _},
};
use std::{collections::HashMap, fs::File, os::unix::fs::FileExt as _};

/// Bytes of a section that is read.
const SECTION: u64 = 64 << 20;
/// Sections and segments of a file.
const HEADERS: usize = 65_536;
/// Bytes of a function's name that are read.
const NAME: usize = 1024;
/// Rules that are remembered of one file.
const RULES: usize = 65_536;

/// A function's symbol: address, length (0: not told), and where its name stands in the file.
struct Symbol {
    address: u64,
    len: u64,
    name: u64,
}

/// How to unwind: the tables of `.eh_frame` and their index.
struct Tables {
    frames: Vec<u8>,
    index: Option<Vec<u8>>,
    bases: BaseAddresses,
}

/// What is known of a file.
pub(crate) struct Module {
    file: File,
    /// Parts of the file that are loaded: place, length, address.
    segments: Vec<(u64, u64, u64)>,
    /// By address.
    symbols: Vec<Symbol>,
    tables: Option<Tables>,
    rules: HashMap<u64, Rule>,
}

impl Module {
    /// Reads a file; `None` where it is no 64-bit ELF file, or its parts are longer than they may be.
    pub(crate) fn read(file: File) -> Option<Self> {
        let cache = ReadCache::new(file);
        is_bounded(&cache)?;
        let elf: ElfFile<'_, FileHeader64<Endianness>, _> = ElfFile::parse(&cache).ok()?;
        let endian = elf.endian();
        let segments = elf
            .elf_program_headers()
            .iter()
            .filter(|header| header.p_type(endian) == PT_LOAD)
            .map(|header| (header.p_offset(endian), header.p_filesz(endian), header.p_vaddr(endian)))
            .collect();
        let mut symbols = Vec::new();
        for table in [elf.elf_symbol_table(), elf.elf_dynamic_symbol_table()] {
            let strings = elf.elf_section_table().section(table.string_section()).ok();
            let Some(strings) = strings.map(|section| section.sh_offset(endian)) else { continue };
            for symbol in table.iter() {
                let is_function = matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC);
                if is_function && symbol.st_shndx(endian) != SHN_UNDEF {
                    symbols.push(Symbol {
                        address: symbol.st_value(endian),
                        len: symbol.st_size(endian),
                        name: strings.saturating_add(symbol.st_name(endian).into()),
                    });
                }
            }
        }
        symbols.sort_by_key(|symbol| symbol.address);
        let section = |name: &str| {
            let section = elf.section_by_name(name).filter(|section| section.size() <= SECTION)?;
            Some((section.address(), section.data().ok()?.to_vec()))
        };
        let mut bases = BaseAddresses::default();
        if let Some(text) = elf.section_by_name(".text") {
            bases = bases.set_text(text.address());
        }
        let index = section(".eh_frame_hdr");
        if let Some((address, _)) = &index {
            bases = bases.set_eh_frame_hdr(*address);
        }
        let tables = section(".eh_frame").map(|(address, frames)| Tables {
            frames,
            index: index.map(|(_, index)| index),
            bases: bases.set_eh_frame(address),
        });
        let file = cache.into_inner();
        Some(Self { file, segments, symbols, tables, rules: HashMap::new() })
    }

    /// The address that a place in the file is loaded at, as the file counts.
    fn address(&self, place: u64) -> Option<u64> {
        let within =
            |(begin, len, _): &&(u64, u64, u64)| place.checked_sub(*begin).is_some_and(|at| at < *len);
        let (begin, _, address) = self.segments.iter().find(within)?;
        Some((place - begin).wrapping_add(*address))
    }

    /// The function that a place in the file is in, and how far.
    pub(crate) fn symbol(&self, place: u64) -> Option<(String, u64)> {
        let address = self.address(place)?;
        let next = self.symbols.partition_point(|symbol| symbol.address <= address);
        let nearest = self.symbols.get(next.checked_sub(1)?)?.address;
        let within = address - nearest;
        let first = self.symbols.partition_point(|symbol| symbol.address < nearest);
        let here =
            self.symbols.get(first..next)?.iter().filter(|symbol| symbol.len == 0 || within < symbol.len);
        // Of several names the one that people write: `open` rather than `__libc_open`.
        let names = here.filter_map(|symbol| self.name(symbol.name));
        let name = names.min_by_key(|name| name.bytes().take_while(|byte| *byte == b'_').count())?;
        Some((demangled(name), within))
    }

    fn name(&self, place: u64) -> Option<String> {
        let mut bytes = [0; NAME];
        let read = self.file.read_at(&mut bytes, place).ok()?;
        let name = bytes.get(..read)?.split(|byte| *byte == 0).next()?;
        (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
    }

    /// How the function that a place in the file is in keeps its caller there.
    pub(crate) fn rule(&mut self, place: u64) -> Rule {
        if let Some(rule) = self.rules.get(&place) {
            return *rule;
        }
        let rule = self.read_rule(place).unwrap_or(Rule::Unknown);
        if self.rules.len() < RULES {
            self.rules.insert(place, rule);
        }
        rule
    }

    fn read_rule(&self, place: u64) -> Option<Rule> {
        let address = self.address(place)?;
        let Tables { frames, index, bases } = self.tables.as_ref()?;
        let mut section = EhFrame::new(frames, LittleEndian);
        section.set_address_size(8);
        let indexed = index.as_ref().and_then(|index| {
            let index = EhFrameHdr::new(index, LittleEndian).parse(bases, 8).ok()?;
            index.table()?.fde_for_address(&section, bases, address, EhFrame::cie_from_offset).ok()
        });
        let entry = match indexed {
            Some(entry) => entry,
            None => section.fde_for_address(bases, address, EhFrame::cie_from_offset).ok()?,
        };
        let mut context = UnwindContext::new();
        let row = entry.unwind_info_for_address(&section, bases, &mut context, address).ok()?;
        if matches!(row.register(X86_64::RA), Some(RegisterRule::Undefined)) {
            return Some(Rule::Outermost);
        }
        let CfaRule::RegisterAndOffset { register, offset } = row.cfa() else { return None };
        match (*register, u64::try_from(*offset).ok()?) {
            (X86_64::RSP, above) => {
                Some(Rule::Stack { above, kept: kept(row.register(X86_64::RBP).as_ref()) })
            }
            // The caller's frame pointer and the return address lie where it points.
            (X86_64::RBP, 16) => Some(Rule::Frame),
            (Register(_), _) => None,
        }
    }
}

/// Whether the parts that are read as a whole are as long as such parts are; `None` where they are not.
fn is_bounded(cache: &ReadCache<File>) -> Option<()> {
    let header = FileHeader64::<Endianness>::parse(cache).ok()?;
    let endian = header.endian().ok()?;
    let few = header.shnum(endian, cache).ok()? <= HEADERS && header.phnum(endian, cache).ok()? <= HEADERS;
    let sections = header.sections(endian, cache).ok().filter(|_| few)?;
    let mut tables = sections
        .iter()
        .filter(|section| matches!(section.sh_type(endian), SHT_SYMTAB | SHT_DYNSYM))
        .map(|section| section.sh_size(endian));
    tables.all(|len| len <= SECTION).then_some(())
}

/// Where a function keeps its caller's frame pointer, below its own frame's end; `None` where it does not touch it.
fn kept(rule: Option<&RegisterRule<usize>>) -> Option<u64> {
    match rule {
        Some(RegisterRule::Offset(offset)) => Some(offset.unsigned_abs()),
        _ => None,
    }
}

/// A name as its source has it.
fn demangled(name: String) -> String {
    if let Ok(rust) = rustc_demangle::try_demangle(&name) {
        return format!("{rust:#}");
    }
    if name.starts_with("_Z")
        && let Ok(symbol) = cpp_demangle::Symbol::new(name.as_bytes())
        && let Ok(plain) = symbol.demangle()
    {
        return plain;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::{Module, demangled};
    use crate::stacks::{maps, unwind::Rule};
    use std::fs::{self, File};

    #[inline(never)]
    fn a_function_of_this_test(depth: u32) -> u32 {
        if depth == 0 { 1 } else { depth.wrapping_mul(a_function_of_this_test(depth - 1)) }
    }

    #[test]
    fn a_function_of_this_program_is_found_by_its_place() {
        let address = a_function_of_this_test as *const () as usize as u64 + 1;
        let mappings = maps::executable(&fs::read("/proc/self/maps").unwrap());
        let mapping = maps::find(&mappings, address).unwrap();
        let mut module = Module::read(File::open("/proc/self/exe").unwrap()).unwrap();
        let (name, within) = module.symbol(mapping.place(address)).unwrap();
        assert!(name.ends_with("tests::a_function_of_this_test") && within == 1, "{name}+{within}");
        // At its first instruction the return address lies at the stack pointer.
        assert_eq!(module.rule(mapping.place(address - 1)), Rule::Stack { above: 8, kept: None });
        assert_eq!(module.symbol(u64::MAX), None);
        assert_eq!(module.rule(u64::MAX), Rule::Unknown);
        assert_eq!(a_function_of_this_test(3), 6);
    }

    #[test]
    fn what_is_no_elf_file_is_none() {
        assert!(Module::read(File::open("/proc/self/maps").unwrap()).is_none());
        assert!(Module::read(File::open("/dev/null").unwrap()).is_none());
    }

    #[test]
    fn bytes_of_an_elf_file_that_are_changed_do_no_harm() {
        let whole = fs::read("/proc/self/exe").unwrap();
        let head = whole.get(..4096.min(whole.len())).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        for place in (0..head.len()).step_by(7) {
            let mut bytes = head.to_vec();
            bytes[place] ^= 0xff;
            file = rewritten(file, &bytes);
            let copy = file.try_clone().unwrap();
            if let Some(mut module) = Module::read(copy) {
                for at in [0, 1, 0x1000, 0x10_0000, u64::MAX] {
                    let (_, _) = (module.symbol(at), module.rule(at));
                }
            }
        }
    }

    fn rewritten(mut file: File, bytes: &[u8]) -> File {
        use std::io::{Seek as _, Write as _};
        file.set_len(0).unwrap();
        file.rewind().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn names_are_as_their_source_has_them() {
        let plain = |name: &str| demangled(name.to_owned());
        assert_eq!(plain("_ZN4node2fs4OpenEi"), "node::fs::Open(int)");
        assert_eq!(plain("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"), "core::fmt::Formatter::pad");
        assert_eq!(plain("ngx_event_accept"), "ngx_event_accept");
        assert_eq!(plain("_Z"), "_Z");
    }
}
