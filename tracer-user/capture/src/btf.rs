//! The kernel's description of its own types (Documentation/bpf/btf.rst), read in one pass.
//!
//! The kernel has some 150,000 types and a dozen are looked at. A library that makes an object of each takes a third of
//! the whole start; the tests compare with one.

use std::collections::HashMap;

/// `BTF_MAGIC` in the machine's own byte order.
const MAGIC: u16 = 0xeb9f;
/// Bytes of a `struct btf_type`, of a `struct btf_member`.
const TYPE: usize = 12;
const MEMBER: usize = 12;
/// Bytes of a `struct btf_enum`.
const ENUMERATOR: usize = 8;
/// Anonymous members and modifiers that are followed into each other.
const DEPTH: usize = 16;

/// Kinds (`enum` in include/uapi/linux/btf.h).
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// The types of a kernel.
pub(crate) struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type stands; the first has the number 1.
    places: Vec<usize>,
    structures: HashMap<&'a [u8], u32>,
}

/// The head of a type.
#[derive(Clone, Copy)]
struct Type {
    info: u32,
    /// For a modifier the type that it modifies, for a structure its size.
    other: u32,
    /// Where what follows the head stands.
    rest: usize,
}

/// A member of a structure: its place in bits, and the number of its type.
#[derive(Clone, Copy)]
struct Member {
    bits: u32,
    is_bit_field: bool,
    number: u32,
}

impl Type {
    fn kind(self) -> u32 {
        self.info >> 24 & 0x1f
    }

    /// How many members or the like follow.
    fn count(self) -> usize {
        self.info as usize & 0xffff
    }

    /// Bytes that follow the head; `None` for a kind that is not known, behind which nothing can be found.
    fn rest_len(self) -> Option<usize> {
        Some(match self.kind() {
            kind::INT | kind::VAR | kind::DECL_TAG => 4,
            kind::ARRAY => 12,
            kind::STRUCT | kind::UNION => self.count() * MEMBER,
            kind::ENUM | kind::FUNC_PROTO => self.count() * ENUMERATOR,
            kind::DATASEC | kind::ENUM64 => self.count() * 12,
            0..=kind::ENUM64 => 0,
            _ => return None,
        })
    }
}

impl<'a> Btf<'a> {
    /// Reads the types; `None` where the bytes are no BTF of this machine.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let word = |at| word(bytes, at).and_then(|word| usize::try_from(word).ok());
        if bytes.first_chunk().copied().map(u16::from_ne_bytes)? != MAGIC {
            return None;
        }
        let body = bytes.get(word(4)?..)?;
        let section = |from: usize, len: usize| body.get(from..from.checked_add(len)?);
        let types = section(word(8)?, word(12)?)?;
        let strings = section(word(16)?, word(20)?)?;
        let mut btf = Self { types, strings, places: Vec::new(), structures: HashMap::new() };
        let (mut at, mut number) = (0, 0);
        while let Some(found) = btf.at(at) {
            number += 1;
            btf.places.push(at);
            if found.kind() == kind::STRUCT {
                let name = btf.name(at)?;
                btf.structures.entry(name).or_insert(number);
            }
            at = found.rest + found.rest_len()?;
        }
        Some(btf)
    }

    /// Offset of a member in bytes; of a bit field in bits. `a.b` is `b` in `a`. `None` where there is none of that name.
    pub(crate) fn offset(&self, structure: &str, path: &str) -> Option<u32> {
        let mut found = Member { bits: 0, is_bit_field: false, number: self.number(structure)? };
        for name in path.split('.') {
            let inner = self.member(found.number, name.as_bytes(), DEPTH)?;
            found = Member { bits: found.bits.checked_add(inner.bits)?, ..inner };
        }
        Some(if found.is_bit_field { found.bits } else { found.bits / 8 })
    }

    /// Size of a structure in bytes.
    pub(crate) fn size(&self, structure: &str) -> Option<u32> {
        Some(self.resolved(self.number(structure)?)?.other)
    }

    /// Value of an enumerator.
    pub(crate) fn enumerator(&self, enumeration: &str, name: &str) -> Option<u32> {
        let found = self.places.iter().copied().find(|at| {
            self.at(*at).is_some_and(|found| found.kind() == kind::ENUM)
                && self.name(*at) == Some(enumeration.as_bytes())
        })?;
        let found = self.at(found)?;
        (0..found.count())
            .map(|index| found.rest + index * ENUMERATOR)
            .find_map(|at| (self.name(at)? == name.as_bytes()).then(|| word(self.types, at + 4)).flatten())
    }

    fn number(&self, structure: &str) -> Option<u32> {
        self.structures.get(structure.as_bytes()).copied()
    }

    /// A member, also one of an anonymous member.
    fn member(&self, number: u32, name: &[u8], depth: usize) -> Option<Member> {
        let structure = self.resolved(number)?;
        if !matches!(structure.kind(), kind::STRUCT | kind::UNION) {
            return None;
        }
        (0..structure.count()).find_map(|index| {
            let at = structure.rest + index * MEMBER;
            let (member, offset) = (word(self.types, at + 4)?, word(self.types, at + 8)?);
            // With the kind flag, the upper byte is the size of a bit field.
            let (size, bits) =
                if structure.info >> 31 == 1 { (offset >> 24, offset & 0xff_ffff) } else { (0, offset) };
            let found = self.name(at)?;
            if found == name {
                return Some(Member { bits, is_bit_field: size > 0, number: member });
            }
            if found.is_empty() && depth > 0 {
                let inner = self.member(member, name, depth - 1)?;
                return Some(Member { bits: bits.checked_add(inner.bits)?, ..inner });
            }
            None
        })
    }

    /// A type behind its modifiers.
    fn resolved(&self, number: u32) -> Option<Type> {
        let mut number = number;
        for _ in 0..DEPTH {
            let found = self.at(*self.places.get(usize::try_from(number).ok()?.checked_sub(1)?)?)?;
            if !matches!(found.kind(), kind::TYPEDEF..=kind::RESTRICT | kind::TYPE_TAG) {
                return Some(found);
            }
            number = found.other;
        }
        None
    }

    fn at(&self, at: usize) -> Option<Type> {
        Some(Type { info: word(self.types, at + 4)?, other: word(self.types, at + 8)?, rest: at + TYPE })
    }

    /// The name that a type or a member begins with the place of.
    fn name(&self, at: usize) -> Option<&'a [u8]> {
        let from = self.strings.get(usize::try_from(word(self.types, at)?).ok()?..)?;
        from.split(|byte| *byte == 0).next()
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::Btf;
    use btfparse::{Error, ErrorKind, Offset, Readable, TypeInformation, TypeVariant};
    use proptest::prelude::*;
    use tracer_abi::Offsets;

    const VMLINUX: &str = crate::offsets::VMLINUX;

    struct Bytes<'a>(&'a [u8]);

    impl Readable for Bytes<'_> {
        fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let from = self.0.get(start..).and_then(|rest| rest.get(..buffer.len()));
            buffer.copy_from_slice(from.ok_or_else(|| Error::new(ErrorKind::EOF, "beyond the end"))?);
            Ok(())
        }
    }

    #[test]
    fn every_offset_is_the_one_that_the_library_finds() {
        let Ok(bytes) = std::fs::read(VMLINUX) else {
            eprintln!("skipped: there is no {VMLINUX}");
            return;
        };
        let known = TypeInformation::new(&Bytes(&bytes)).unwrap();
        let structure = |name: &str| {
            let mut all = known.get().iter();
            all.find_map(|(id, kind)| match kind {
                TypeVariant::Struct(found) if found.name().as_deref() == Some(name) => Some(*id),
                _ => None,
            })
        };
        let btf = Btf::parse(&bytes).unwrap();
        let mut compared = 0;
        for (name, members) in Offsets::LIST {
            for member in members.trim_end_matches('?').split('|') {
                let expected = structure(name).and_then(|id| {
                    let (Offset::ByteOffset(offset) | Offset::BitOffsetAndSize(offset, _)) =
                        known.offset_of(id, member).ok()?.1;
                    Some(offset)
                });
                assert_eq!(btf.offset(name, member), expected, "{name}.{member}");
                compared += usize::from(expected.is_some());
            }
        }
        let size = known.size_of(structure("sock").unwrap()).unwrap();
        assert_eq!(btf.size("sock").map(|size| usize::try_from(size).unwrap()), Some(size));
        assert!(compared > 30, "only {compared} offsets were there to compare");
    }

    /// `struct s { int a; union { long b; int flag : 3; }; }` with what it refers to, laid out by hand.
    fn small() -> Vec<u8> {
        let strings = b"\0s\0a\0b\0flag\0int\0";
        let info = |kind: u32, flag: u32, count: u32| flag << 31 | kind << 24 | count;
        let types: Vec<u32> = [
            [14, info(1, 0, 0), 4].as_slice(),
            &[32],
            &[0, info(5, 1, 2), 8, 5, 1, 0, 7, 1, 3 << 24 | 8],
            &[1, info(4, 0, 2), 16, 3, 1, 0, 0, 4, 64],
            &[0, info(10, 0, 0), 2],
        ]
        .concat();
        let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        let len = |len: usize| u32::try_from(len).unwrap();
        for word in
            [24, 0, len(types.len() * 4), len(types.len() * 4), len(strings.len())].into_iter().chain(types)
        {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(strings);
        bytes
    }

    #[test]
    fn members_are_found_behind_anonymous_ones_and_modifiers() {
        let bytes = small();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!((btf.offset("s", "a"), btf.offset("s", "b")), (Some(0), Some(8)));
        assert_eq!(btf.offset("s", "flag"), Some(64 + 8), "a bit field's place is in bits");
        assert_eq!((btf.size("s"), btf.size("u")), (Some(16), None));
        assert_eq!(
            (btf.offset("s", "c"), btf.offset("int", "a"), btf.offset("s", "a.b")),
            (None, None, None)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(at in 0_usize..150, value in any::<u8>(), len in 0_usize..200) {
            let mut bytes = small();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            bytes.truncate(len);
            if let Some(btf) = Btf::parse(&bytes) {
                for path in ["a", "b", "flag", "a.b"] {
                    let _ = btf.offset("s", path);
                }
            }
        }
    }
}
