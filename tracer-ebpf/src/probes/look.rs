//! A look at sockets beyond what is followed: user space asks for one where it explains an error. It states who holds a
//! port or a name at that moment, follows nothing and changes nothing.

use super::snapshot::{Meta, TaskFile};
use crate::{
    emit,
    globals::offset,
    kread::{field, pointer, zero},
    maps::{LOOK_FOUND, LOOK_WANTED},
    sock, task,
};
use aya_ebpf::helpers::generated::{bpf_seq_write, bpf_sock_from_file};
use core::ffi::c_void;
use tracer_abi::{LookFound, LookWanted};

/// `SOCK_STREAM` and `IPPROTO_TCP`.
const STREAM: u16 = 1;
const TCP: u16 = 6;
/// `TCP_TIME_WAIT`, `TCP_NEW_SYN_RECV` (include/net/tcp_states.h).
const TIME_WAIT: u16 = 6;
const NEW_SYN_RECV: u16 = 12;

/// Every socket with the wanted port or a name as long as the wanted one, with the descriptor that holds it.
#[unsafe(link_section = "iter/task_file")]
#[unsafe(no_mangle)]
extern "C" fn look(ctx: *const TaskFile) -> i32 {
    // SAFETY: the kernel calls an iterator with this context.
    let (meta, task, fd, file) = unsafe { ((*ctx).meta, (*ctx).task, (*ctx).fd, (*ctx).file) };
    if task.is_null() || file.is_null() {
        return 0;
    }
    // SAFETY: the verifier knows `file` to be a file; the helper gives a socket or null.
    let socket = unsafe { bpf_sock_from_file(file.cast_mut().cast()) };
    let sk = if socket.is_null() { 0 } else { pointer(socket as u64, offset!(socket_sk)).unwrap_or(0) };
    let Some((wanted, found)) = wanted() else { return 0 };
    if emit::now() > wanted.deadline {
        return GIVE_UP;
    }
    if sk == 0 || !may_be(sk, wanted) {
        return 0;
    }
    sock::read(sk, &mut found.sock);
    let unix = if found.sock.family == sock::AF_UNIX { sk } else { 0 };
    sock::unix_name(unix, &mut found.local);
    if unix != 0 && found.local.len != wanted.name_len {
        return 0;
    }
    let address = task as u64;
    found.pid = field(address, offset!(task_tgid)).unwrap_or(0);
    found.fd = fd as i32;
    found.start = task::start(address);
    found.comm = task::leader_comm(address);
    let inode = pointer(file as u64, offset!(file_inode)).unwrap_or(0);
    found.ino = field(inode, offset!(inode_ino)).unwrap_or(0);
    // SAFETY: the context's.
    unsafe { write(meta, found) };
    0
}

/// `struct bpf_iter__tcp` (net/ipv4/tcp_ipv4.c).
#[repr(C)]
struct Tcp {
    meta: *const Meta,
    sk_common: *const c_void,
}

/// Every TCP socket of the reader's network namespace with the wanted port, also those that no descriptor leads to.
#[unsafe(link_section = "iter/tcp")]
#[unsafe(no_mangle)]
extern "C" fn leftovers(ctx: *const Tcp) -> i32 {
    // SAFETY: the kernel calls an iterator with this context.
    let (meta, sk) = unsafe { ((*ctx).meta, (*ctx).sk_common) };
    if sk.is_null() {
        return 0;
    }
    let sk = sk as u64;
    let Some((wanted, found)) = wanted() else { return 0 };
    if emit::now() > wanted.deadline {
        return GIVE_UP;
    }
    let state = u16::from(sock::state(sk));
    if state == NEW_SYN_RECV || !may_be(sk, wanted) {
        return 0;
    }
    sock::read(sk, &mut found.sock);
    if state == TIME_WAIT {
        // Only the part that all have in common is there (`struct inet_timewait_sock`, include/net/inet_timewait_sock.h), and the
        // state: a closed connection waits in it for its peer's FIN, too, in `FIN_WAIT2` (`tcp_time_wait`, net/ipv4/tcp_minisocks.c).
        found.sock.state = field::<u8>(sk, offset!(tw_substate)).map_or(state, u16::from);
        found.sock.ty = STREAM;
        found.sock.protocol = TCP;
        found.sock.linger_s = 0;
        found.sock.options &= !tracer_abi::OPTION_LINGER;
    }
    zero((&raw mut found.local).cast(), size_of_val(&found.local));
    found.pid = 0;
    found.fd = -1;
    found.start = 0;
    found.comm = [0; 16];
    found.ino = 0;
    // SAFETY: the context's.
    unsafe { write(meta, found) };
    0
}

/// The reader is told to try again (`bpf_iter_run_prog`, kernel/bpf/bpf_iter.c), which it does not.
const GIVE_UP: i32 = 1;

/// What is wanted, and room for what is found.
#[inline(always)]
fn wanted() -> Option<(&'static LookWanted, &'static mut LookFound)> {
    let (wanted, found) = (LOOK_WANTED.get(0)?, LOOK_FOUND.get_ptr_mut(0)?);
    // SAFETY: the map gave this CPU's room; iterators do not migrate and user space runs one look at a time.
    Some((wanted, unsafe { &mut *found }))
}

/// Whether a socket may be one that is wanted, by what costs least.
#[inline(always)]
fn may_be(sk: u64, wanted: &LookWanted) -> bool {
    let family = sock::family(sk);
    if family == sock::AF_UNIX {
        return wanted.name_len != 0;
    }
    sock::is_internet(family)
        && wanted.port != 0
        && u32::from(field::<u16>(sk, offset!(sk_num)).unwrap_or(0)) == wanted.port
}

/// Writes what was found.
///
/// # Safety
///
/// `meta` is the context's.
#[inline(always)]
unsafe fn write(meta: *const Meta, found: &LookFound) {
    // SAFETY: the caller's promise; the kernel checks the room in its own buffer and asks again.
    unsafe {
        let from: *const LookFound = found;
        bpf_seq_write((*meta).seq.cast(), from.cast(), size_of::<LookFound>() as u32);
    }
}
