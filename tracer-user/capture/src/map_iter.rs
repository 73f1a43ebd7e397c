//! An iterator over the elements of a map, which the library attaches only to what needs no map.

use aya::programs::{Iter, ProgramError};
use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};

/// Commands of bpf(2) and the attach type of iterators (`enum bpf_cmd`, `enum bpf_attach_type`,
/// include/uapi/linux/bpf.h).
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_ITER_CREATE: libc::c_long = 33;
const BPF_TRACE_ITER: u32 = 28;

/// `union bpf_iter_link_info`, as far as it names a map.
#[repr(C)]
struct LinkInfo {
    map_fd: u32,
}

/// `link_create` of `union bpf_attr`, as far as iterators use it.
#[repr(C)]
struct LinkCreate {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    iter_info: u64,
    iter_info_len: u32,
    reserved: u32,
}

/// `iter_create` of `union bpf_attr`.
#[repr(C)]
struct IterCreate {
    link_fd: u32,
    flags: u32,
}

/// A new run of a loaded iterator over the elements of a map; reading the file runs it.
pub(crate) fn run(iterator: &Iter, map: BorrowedFd<'_>) -> io::Result<File> {
    let program = iterator.fd().map_err(|cause: ProgramError| io::Error::other(cause))?;
    let info = LinkInfo { map_fd: number(map.as_raw_fd()) };
    let create = LinkCreate {
        prog_fd: number(program.as_fd().as_raw_fd()),
        target_fd: 0,
        attach_type: BPF_TRACE_ITER,
        flags: 0,
        iter_info: (&raw const info) as u64,
        iter_info_len: u32::try_from(size_of::<LinkInfo>()).map_err(io::Error::other)?,
        reserved: 0,
    };
    let link = bpf(BPF_LINK_CREATE, &create)?;
    Ok(bpf(BPF_ITER_CREATE, &IterCreate { link_fd: number(link.as_raw_fd()), flags: 0 })?.into())
}

/// A descriptor's number as the kernel takes it here.
fn number(fd: RawFd) -> u32 {
    fd.cast_unsigned()
}

/// A command of bpf(2) that makes a descriptor.
fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of the attributes, and of what they point to as much as they say;
    // both live until the call returns.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
