//! Where the running kernel keeps what the programs read, from its own type information (BTF).

use crate::AttachError;
use btfparse::{Error, ErrorKind, Offset, Readable, TypeInformation, TypeVariant};
use std::collections::{HashMap, HashSet};
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
    let structures = structures(&types);
    for (index, (structure, members)) in Offsets::LIST.iter().enumerate() {
        let (members, expected) =
            members.strip_suffix('?').map_or((*members, true), |members| (members, false));
        let id = structures.get(structure).copied();
        match id.and_then(|id| members.split('|').find_map(|member| offset_of(&types, id, member))) {
            Some(offset) => offsets.set(index, offset),
            None if !expected => {}
            None => missing.push(format!("{structure}.{members}")),
        }
    }
    if offsets.vsock_local == Offsets::ABSENT
        && let Some(place) = vsock_local_in_module(&types)
    {
        offsets.vsock_local = place;
        missing.retain(|name| name != "vsock_sock.local_addr");
    }
    Ok((offsets, missing))
}

/// Where vsock is a module its types are not among the kernel's own: a `struct vsock_sock` begins with the `struct sock`
/// and a pointer, and then has the address (include/net/af_vsock.h, since 5.5). The kernel programs check what they find
/// there.
fn vsock_local_in_module(types: &TypeInformation) -> Option<u32> {
    let sock = types.size_of(types.id_of("sock")?).ok()?;
    u32::try_from(sock + size_of::<u64>()).ok()
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

/// Structures that offsets are wanted of, by name. Functions may have the same names (`io_accept`), so a look-up by name
/// alone does not do.
fn structures(types: &TypeInformation) -> HashMap<&str, u32> {
    let wanted: HashSet<&str> = Offsets::LIST.iter().map(|(structure, _)| *structure).collect();
    let named = types.get().iter().filter_map(|(id, kind)| match kind {
        TypeVariant::Struct(structure) => Some((structure.name().as_deref()?, *id)),
        _ => None,
    });
    named.filter(|(name, _)| wanted.contains(name)).collect()
}

/// Offset of a member in bytes; of a bit field in bits.
fn offset_of(types: &TypeInformation, id: u32, member: &str) -> Option<u32> {
    let (Offset::ByteOffset(offset) | Offset::BitOffsetAndSize(offset, _)) =
        types.offset_of(id, member).ok()?.1;
    Some(offset)
}
