//! Where the running kernel keeps what the programs read, from its own type information (BTF).

use crate::AttachError;
use btfparse::{Error, ErrorKind, Offset, Readable, TypeInformation};
use tracer_abi::Offsets;

/// The kernel's description of its own types.
pub(crate) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Resolves every offset that the programs use; one that this kernel does not have stays absent, and is named.
pub(crate) fn resolve() -> Result<(Offsets, Vec<String>), AttachError> {
    let bytes = std::fs::read(VMLINUX).map_err(|cause| AttachError::NoBtf(cause.to_string()))?;
    let types =
        TypeInformation::new(&Bytes(&bytes)).map_err(|cause| AttachError::NoBtf(format!("{cause:?}")))?;
    let mut offsets = Offsets::absent();
    let mut missing = Vec::new();
    for (index, (structure, members)) in Offsets::LIST.iter().enumerate() {
        match members.split('|').find_map(|member| byte_offset(&types, structure, member)) {
            Some(offset) => offsets.set(index, offset),
            None => missing.push(format!("{structure}.{members}")),
        }
    }
    Ok((offsets, missing))
}

/// The parser reads through this trait.
struct Bytes<'a>(&'a [u8]);

impl Readable for Bytes<'_> {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let from = self.0.get(start..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(from.ok_or_else(|| Error::new(ErrorKind::EOF, "beyond the end"))?);
        Ok(())
    }
}

fn byte_offset(types: &TypeInformation, structure: &str, member: &str) -> Option<u32> {
    let id = types.id_of(structure)?;
    match types.offset_of(id, member).ok()?.1 {
        Offset::ByteOffset(offset) => Some(offset),
        Offset::BitOffsetAndSize(..) => None,
    }
}
