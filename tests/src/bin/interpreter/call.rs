//! Calls by number, so that each is the one that is logged, and looks at descriptors by calls that are not traced.

use crate::memory::{RawSlot, Text};
use core::ffi::CStr;
use std::net::{Ipv4Addr, Ipv6Addr};
use tracer_tests::program::{Address, MAX_FDS, Pick, Want};

/// Descriptors below are picked to work on.
const PICKED: usize = 48;

/// So many of the descriptors that it made last does an actor remember.
pub(crate) const MADE: usize = 3;

/// Makes a call; an error is `-errno`.
pub(crate) fn call(number: i64, args: [i64; 6]) -> i64 {
    // SAFETY: whatever a program asks for, pointers among the arguments are ours and outlive the call.
    let ret = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]) };
    if ret != -1 {
        return ret;
    }
    // SAFETY: the thread's own errno.
    -i64::from(unsafe { *libc::__errno_location() })
}

/// An argument that is a pointer.
pub(crate) fn address_of<T: ?Sized>(value: &T) -> i64 {
    (&raw const *value).cast::<u8>().expose_provenance().cast_signed() as i64
}

/// The same of what the call writes.
pub(crate) fn address_of_mut<T: ?Sized>(value: &mut T) -> i64 {
    (&raw mut *value).cast::<u8>().expose_provenance().cast_signed() as i64
}

/// A descriptor, if it is open.
pub(crate) fn look(fd: i32) -> Option<RawSlot> {
    // SAFETY: F_GETFD (fcntl(2)) reads no memory.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    if flags < 0 {
        return None;
    }
    // SAFETY: all zeros are a `struct stat`, which fstat(2) fills.
    let stat = unsafe {
        let mut stat: libc::stat = core::mem::zeroed();
        (libc::fstat(fd, &raw mut stat) == 0).then_some(stat)
    }?;
    Some(RawSlot {
        fd,
        cloexec: flags & libc::FD_CLOEXEC,
        ino: stat.st_ino,
        dev: stat.st_dev,
        mode: stat.st_mode,
    })
}

/// Every open descriptor.
pub(crate) fn table() -> impl Iterator<Item = RawSlot> {
    (0..i32::try_from(MAX_FDS).unwrap_or(0)).filter_map(look)
}

/// The `nth` of those that are wanted, modulo their number.
fn choose(nth: usize, wanted: impl Fn(&RawSlot) -> bool) -> Option<i32> {
    let (mut found, mut count) = ([0; PICKED], 0);
    for (place, slot) in found.iter_mut().zip((0..).take(PICKED).filter_map(look).filter(wanted)) {
        *place = slot.fd;
        count += 1;
    }
    found.get(nth.checked_rem(count)?).copied()
}

/// The number that a pick comes to.
pub(crate) fn pick(pick: Pick, made: [i32; MADE]) -> i32 {
    let nth = usize::from(pick.nth);
    let wanted = match pick.want {
        Want::Any => None,
        Want::Socket => choose(nth, is_socket),
        Want::Listener => choose(nth, is_listener),
        Want::Made => made.get(nth % MADE).copied().filter(|fd| look(*fd).is_some()),
        Want::Bad => return [-1, 200, 5000, i32::MAX][nth % 4],
    };
    wanted.or_else(|| choose(nth, |_| true)).unwrap_or(0)
}

fn is_socket(slot: &RawSlot) -> bool {
    slot.mode & libc::S_IFMT == libc::S_IFSOCK
}

fn is_listener(slot: &RawSlot) -> bool {
    is_socket(slot) && option(slot.fd, libc::SO_ACCEPTCONN) == Some(1)
}

/// An option of a socket.
pub(crate) fn option(fd: i32, option: i32) -> Option<i32> {
    let (mut value, mut len) = (0_i32, 4_u32);
    // SAFETY: both places are valid for writes of what `len` says.
    let ret =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, (&raw mut value).cast(), &raw mut len) };
    (ret == 0).then_some(value)
}

/// `getsockname` or `getpeername`.
pub(crate) fn name(number: i64, fd: i32) -> Text {
    let mut named = Named::new();
    let (bytes, len) = named.room();
    let ret = call(number, [fd.into(), bytes, len, 0, 0, 0]);
    if ret == 0 { named.text() } else { Text::NONE }
}

/// An address that a call gives.
pub(crate) struct Named {
    bytes: [u8; 128],
    len: u32,
}

impl Named {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; 128], len: 128 }
    }

    /// Where the call writes it and its length.
    pub(crate) fn room(&mut self) -> (i64, i64) {
        (address_of_mut(&mut self.bytes), address_of_mut(&mut self.len))
    }

    /// What the call wrote, behind the compiler's back.
    pub(crate) fn text(&self) -> Text {
        // SAFETY: both are valid for reads.
        let (bytes, len) = unsafe {
            (core::ptr::read_volatile(&raw const self.bytes), core::ptr::read_volatile(&raw const self.len))
        };
        bytes.get(..len as usize).map_or(Text::NONE, Text::of)
    }
}

/// A `sockaddr` and its length, for the socket `fd`.
pub(crate) fn sockaddr(address: Address, fd: i32) -> Text {
    let port = |port: u8| if port == 0 { 0 } else { 1000 + u16::from(port) };
    let inet = |number| {
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&2_u16.to_ne_bytes());
        bytes[2..4].copy_from_slice(&port(number).to_be_bytes());
        bytes[4..8].copy_from_slice(&Ipv4Addr::LOCALHOST.octets());
        Text::of(&bytes)
    };
    let inet6 = |ip: Ipv6Addr, number| {
        let mut bytes = [0; 28];
        bytes[..2].copy_from_slice(&10_u16.to_ne_bytes());
        bytes[2..4].copy_from_slice(&port(number).to_be_bytes());
        bytes[8..24].copy_from_slice(&ip.octets());
        Text::of(&bytes)
    };
    let unix = |name: &[u8]| {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&1_u16.to_ne_bytes());
        bytes[2..2 + name.len()].copy_from_slice(name);
        Text::of(&bytes[..2 + name.len()])
    };
    match address {
        Address::Inet(number) => inet(number),
        Address::Inet6(number) => inet6(Ipv6Addr::LOCALHOST, number),
        Address::Mapped(number) => inet6(Ipv4Addr::LOCALHOST.to_ipv6_mapped(), number),
        Address::Any6(number) => inet6(Ipv6Addr::UNSPECIFIED, number),
        Address::Abstract(number) => unix(&[0, b'a', b'0' + number]),
        Address::Path(number) => unix(&[b'u', b'0' + number, 0]),
        Address::Autobind => unix(&[]),
        Address::Unspecified => Text::of(&[0; 16]),
        Address::Listening(nth) => {
            // One of its own family, where there is one.
            let family = option(fd, libc::SO_DOMAIN);
            let same = |slot: &RawSlot| is_listener(slot) && option(slot.fd, libc::SO_DOMAIN) == family;
            let found = choose(nth.into(), same).or_else(|| choose(nth.into(), is_listener));
            let name = found.map(|fd| name(libc::SYS_getsockname, fd)).filter(|name| name.len > 2);
            name.unwrap_or_else(|| inet(1))
        }
    }
}

/// A path as `open` takes it.
pub(crate) fn path(text: &CStr) -> (i64, Text) {
    (address_of(text.to_bytes_with_nul()), Text::of(text.to_bytes()))
}
