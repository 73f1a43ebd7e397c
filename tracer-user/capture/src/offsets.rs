//! Where the running kernel keeps what the programs read, from its own type information (BTF).

use crate::{AttachError, btf::Btf};
use tracer_abi::Offsets;

/// The kernel's description of its own types.
pub(crate) const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// What was found.
pub(crate) struct Types {
    pub(crate) offsets: Offsets,
    /// Fields that this kernel does not have.
    pub(crate) missing: Vec<String>,
    /// Number of the reason for which a full accept queue drops a segment; 0 where the kernel does not tell.
    pub(crate) overflow_reason: u32,
}

/// Resolves every offset that the programs use; one that this kernel does not have stays absent, and is named.
pub(crate) fn resolve() -> Result<Types, AttachError> {
    let bytes = std::fs::read(VMLINUX).map_err(|cause| AttachError::NoBtf(cause.to_string()))?;
    let types = Btf::parse(&bytes).ok_or_else(|| AttachError::NoBtf("it cannot be read".to_owned()))?;
    let mut offsets = Offsets::absent();
    let mut missing = Vec::new();
    for (index, (structure, members)) in Offsets::LIST.iter().enumerate() {
        let (members, expected) =
            members.strip_suffix('?').map_or((*members, true), |members| (members, false));
        match members.split('|').find_map(|member| types.offset(structure, member)) {
            Some(offset) => offsets.set(index, offset),
            None if !expected => {}
            None => missing.push(format!("{structure}.{members}")),
        }
    }
    if offsets.vsock_local == Offsets::ABSENT
        && let Some(sock) = types.size("sock")
    {
        // Where vsock is a module its types are not among the kernel's own: a `struct vsock_sock` begins with the `struct
        // sock` and a pointer, and then has the address (include/net/af_vsock.h, since 5.5). The kernel programs check
        // what they find there.
        offsets.vsock_local = sock + 8;
        missing.retain(|name| name != "vsock_sock.local_addr");
    }
    let overflow_reason = types.enumerator("skb_drop_reason", "SKB_DROP_REASON_TCP_LISTEN_OVERFLOW");
    Ok(Types { offsets, missing, overflow_reason: overflow_reason.unwrap_or(0) })
}
