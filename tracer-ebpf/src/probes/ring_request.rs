//! What a request of an io_uring asks for, read from the kernel's object.

use crate::{
    file,
    globals::offset,
    kread::{Block, field, kernel_bytes, opaque, pointer, string, user, user_bytes, zero},
    maps::REQUEST,
    probes::wanted::CMSG_MIN,
};
use tracer_abi::{Class, PATH_LEN, RING_OPERATION, RING_SUBJECT_DIRECT, RingFlight, SOCKADDR_LEN};

/// `REQ_F_FIXED_FILE`, `REQ_F_IO_DRAIN`, `REQ_F_CQE_SKIP` (include/linux/io_uring_types.h), the same as the `IOSQE_*` flags.
const FIXED_FILE: u32 = 1;
const IO_DRAIN: u32 = 2;
pub(super) const CQE_SKIP: u32 = 64;

/// `IORING_ACCEPT_MULTISHOT`, `IORING_RECV_MULTISHOT`, `IORING_MSG_SEND_FD` (include/uapi/linux/io_uring.h).
const ACCEPT_MULTISHOT: u32 = 1;
const RECV_MULTISHOT: u16 = 2;
const SEND_FD: u32 = 1;

/// One more than the highest address family (include/linux/socket.h).
const AF_MAX: u16 = 46;

/// Whether an operation of a class moves descriptors or changes sockets, by what only the request tells.
#[inline(always)]
pub(super) fn wanted(request: u64, class: Class) -> bool {
    class != Class::MSG_RING || field::<u32>(request, offset!(ring_send_command)) == Some(SEND_FD)
}

/// Whether a class's operations pass descriptors in messages.
#[inline(always)]
pub(super) fn passes(class: Class) -> bool {
    class == Class::RECVMSG || class == Class::SENDMSG
}

/// Whether its message has room for a descriptor in its control data: `msg_controllen` of `struct user_msghdr`
/// (include/linux/socket.h).
#[inline(always)]
pub(super) fn has_control(request: u64) -> bool {
    let header: u64 = field(request, offset!(ring_msg_header)).unwrap_or(0);
    user::<u64>(header + 40).is_some_and(|len| len >= CMSG_MIN)
}

/// Whether the descriptor that a request names is an entry of the ring's file table.
#[inline(always)]
pub(super) fn is_fixed(request: u64) -> bool {
    field::<u32>(request, offset!(req_flags)).unwrap_or(0) & FIXED_FILE != 0
}

/// Writes which request it is; the rest of its reference is what an operation without results has.
#[inline(always)]
pub(super) fn identify(flight: &mut RingFlight, ring: u64, request: u64) {
    flight.request.ring = ring;
    flight.request.user_data = field(request, offset!(req_user_data)).unwrap_or(0);
    flight.request.target = 0;
    flight.request.slot = 0;
}

/// Writes how a request of an operation that waits completes, and where what it makes goes.
#[inline(always)]
pub(super) fn ways(flight: &mut RingFlight, request: u64, class: Class) {
    flight.multishot = 0;
    if class == Class::ACCEPT {
        flight.request.slot = field(request, offset!(ring_accept_slot)).unwrap_or(0);
        flight.call.args[3] = field(request, offset!(ring_accept_flags)).unwrap_or(0);
        let ways = field(request, offset!(ring_accept_ways)).unwrap_or(ACCEPT_MULTISHOT);
        flight.multishot = ways & ACCEPT_MULTISHOT;
    } else if class == Class::RECVMSG {
        flight.pointer = field(request, offset!(ring_msg_header)).unwrap_or(0);
        let ways: u16 = field(request, offset!(ring_msg_flags)).unwrap_or(0);
        flight.multishot = u32::from(ways & RECV_MULTISHOT != 0);
    }
}

/// Whether a class's operations name a descriptor.
#[inline(always)]
pub(super) fn names_descriptor(class: Class) -> bool {
    !matches!(class, Class::SOCKET | Class::OPEN | Class::PAIR)
}

/// Writes what is known of a request before it has run, behind the head. Returns its flags.
#[inline(always)]
pub(super) fn begin(
    flight: &mut RingFlight,
    request: &mut Block<REQUEST>,
    address: u64,
    opcode: u8,
    class: Class,
) -> u32 {
    request.fill(address);
    macro_rules! word {
        ($field:ident) => {
            request.get::<u32>(address, offset!($field)).unwrap_or(0)
        };
    }
    flight.call.ret = 0;
    flight.call.nr = RING_OPERATION | u32::from(opcode);
    flight.call.class = u32::from(class.0);
    let flags = word!(req_flags);
    let ring: u64 = request.get(address, offset!(req_ring)).unwrap_or(0);
    let mut fd = word!(req_fd);
    let mut direct = flags & FIXED_FILE != 0;
    let mut args = [fd, 0, 0, 0];
    let mut slot = 0;
    flight.pointer = 0;
    flight.text_len = 0;
    match class {
        Class::SOCKET => {
            args = [word!(ring_socket_family), word!(ring_socket_type), word!(ring_socket_protocol), 0];
            slot = word!(ring_socket_slot);
        }
        Class::BIND => args[2] = word!(ring_bind_len),
        Class::CONNECT => args[2] = word!(ring_connect_len),
        Class::LISTEN => args[1] = word!(ring_listen_backlog),
        Class::SHUTDOWN => args[1] = word!(ring_shutdown_how),
        Class::CLOSE => {
            fd = word!(ring_close_fd);
            let entry = word!(ring_close_slot);
            if entry != 0 {
                fd = entry - 1;
                direct = true;
            }
            args[0] = fd;
        }
        Class::OPEN => {
            args = [word!(ring_open_dfd), 0, word!(ring_open_flags), 0];
            slot = word!(ring_open_slot);
        }
        Class::PAIR => {
            args = [0, word!(ring_pipe_flags), 0, 0];
            slot = word!(ring_pipe_slot);
            flight.pointer = request.get(address, offset!(ring_pipe_numbers)).unwrap_or(0);
        }
        Class::MSG_RING => {
            fd = word!(ring_send_from);
            direct = true;
            args = [fd, 0, 0, 0];
            slot = word!(ring_send_slot);
        }
        Class::SENDMSG => flight.pointer = request.get(address, offset!(ring_msg_header)).unwrap_or(0),
        _ => {}
    }
    // A request of a chain, but for its first, and one that waits for those before it run later, nothing tells when.
    let waits = flags & IO_DRAIN != 0 || pointer(ring, offset!(ring_chain)).is_some();
    flight.call.enter = if waits { 0 } else { flight.call.header.ts };
    flight.call.args = args;
    identify(flight, ring, address);
    flight.request.slot = slot;
    ways(flight, address, class);
    flight.request.flags = if direct { RING_SUBJECT_DIRECT } else { 0 };
    file::clear_slot(&mut flight.call.result);
    if !names_descriptor(class) {
        file::clear_slot(&mut flight.call.subject);
        flight.request.flags = 0;
    } else if direct {
        file::read_direct(ring, fd, &mut flight.call.subject, class == Class::CLOSE);
    } else {
        file::read_slot(flight.call.header.files, fd as i32, &mut flight.call.subject, class == Class::CLOSE);
    }
    flight.sk = file::sk_of(&flight.call.subject.file);
    flags
}

/// Keeps the kernel's copy of the path or address that the operation was given: it is gone when it completes.
#[inline(always)]
pub(super) fn keep_text(flight: &mut RingFlight, address: u64, class: Class) {
    if class == Class::OPEN {
        let name: u64 = field(address, offset!(ring_open_name)).unwrap_or(0);
        zero(flight.text.as_mut_ptr(), PATH_LEN);
        let path = pointer(name, offset!(filename_name)).unwrap_or(0);
        let len = string(flight.text.as_mut_ptr(), PATH_LEN, path);
        // The helper counts the terminating zero.
        flight.text_len = if len > 0 { len as u32 - 1 } else { 0 };
    } else if class == Class::BIND || class == Class::CONNECT {
        keep_address(flight, address, class);
    }
}

/// Keeps the address that `bind` or `connect` was given. `connect` keeps where it is, `bind` only a copy, which is the
/// operation's own data or lies in a `struct io_async_msghdr`, by kernel: it is where the socket's family stands.
#[inline(always)]
fn keep_address(flight: &mut RingFlight, address: u64, class: Class) {
    zero(flight.text.as_mut_ptr(), SOCKADDR_LEN);
    let len = opaque(u64::from(flight.call.args[2]));
    if len == 0 || len > SOCKADDR_LEN as u64 {
        return;
    }
    let to = flight.text.as_mut_ptr();
    if class == Class::CONNECT {
        let from: u64 = field(address, offset!(ring_connect_address)).unwrap_or(0);
        if user_bytes(to, len as u32, from) {
            flight.text_len = len as u32;
        }
        return;
    }
    let Some(kept) = pointer(address, offset!(req_async)) else { return };
    let expected: Option<u16> = field(flight.sk, offset!(sk_family));
    for place in [0, offset!(ring_bind_address)] {
        let family: u16 = field(kept, place).unwrap_or(0);
        // Of a socket that a chain is yet to make, any family will do; elsewhere a pointer or nothing stands there.
        let is_family = expected.map_or(family > 0 && family < AF_MAX, |expected| family == expected);
        if is_family && kernel_bytes(to, len as u32, kept + u64::from(place)) {
            flight.text_len = len as u32;
            return;
        }
    }
}
