//! The tables by which the kernel programs look at first bytes.

use crate::pod::PodOf;
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapError},
};
use tracer_abi::Carrier;
use tracer_model::phrases::phrases;

/// Calls that move bytes of a connection, or make one.
const CARRIERS: &[(&str, Carrier)] = &[
    ("accept", Carrier::ACCEPT),
    ("accept4", Carrier::ACCEPT),
    ("connect", Carrier::CONNECT),
    ("read", Carrier::READ),
    ("write", Carrier::WRITE),
    ("readv", Carrier::READV),
    ("preadv2", Carrier::READV),
    ("writev", Carrier::WRITEV),
    ("pwritev2", Carrier::WRITEV),
    ("recvfrom", Carrier::RECVFROM),
    ("sendto", Carrier::SENDTO),
    ("recvmsg", Carrier::RECVMSG),
    ("sendmsg", Carrier::SENDMSG),
    ("recvmmsg", Carrier::RECVMMSG),
    ("sendmmsg", Carrier::SENDMMSG),
    ("sendfile", Carrier::SENDFILE),
    ("splice", Carrier::SPLICE),
];

/// Their maps, which take no room where nobody asked.
const MAPS: &[&str] = &["CARRIERS", "PHRASES", "PEEKED", "PEEKING"];

/// Makes them as small as they can be.
pub(crate) fn leave_out(loader: &mut EbpfLoader<'_>) {
    for map in MAPS {
        loader.map_max_entries(map, 1);
    }
}

/// Fills them.
pub(crate) fn fill(ebpf: &mut Ebpf) -> Result<(), MapError> {
    let missing = |name: &str| MapError::InvalidName { name: name.to_owned() };
    let map = ebpf.map_mut("CARRIERS").ok_or_else(|| missing("CARRIERS"))?;
    let mut carriers: Array<_, u32> = Array::try_from(map)?;
    for (name, Carrier(carrier)) in CARRIERS {
        let number = name.parse::<syscalls::Sysno>().ok().and_then(|call| u32::try_from(call.id()).ok());
        if let Some(number) = number {
            carriers.set(number, carrier, 0)?;
        }
    }
    let map = ebpf.map_mut("PHRASES").ok_or_else(|| missing("PHRASES"))?;
    let mut rows: Array<_, PodOf<tracer_abi::Phrase>> = Array::try_from(map)?;
    for (state, phrase) in (0..).zip(phrases()) {
        rows.set(state, PodOf(phrase), 0)?;
    }
    Ok(())
}
