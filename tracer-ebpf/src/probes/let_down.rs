//! Unix sockets whose other end is gone: a read or write finds out, and no tracepoint tells it.
//!
//! A send takes the connection of a datagram socket away and fails with `ECONNREFUSED` (`unix_dgram_sendmsg`,
//! net/unix/af_unix.c). The same error comes of a name that nobody has, and changes nothing: user space, which knows whether the
//! socket was connected, tells the two apart. A connection of a stream or seqpacket socket keeps its state, and who uses it
//! fails: a send with `EPIPE`, where the other end is closed or one of the two was shut down; what comes first after the other
//! end was closed with something unread, with `ECONNRESET` (`unix_release_sock`, `unix_shutdown`). A socket is looked at where
//! a call failed so, and nowhere else.

use crate::{
    emit, file,
    kread::{clear, copy},
    maps::SCRATCH,
    sock,
    task::Current,
};
use tracer_abi::{Class, Entry, Header, Kind, Sock, State};

/// Negative, as calls return them.
const EPIPE: i64 = -32;
const ECONNRESET: i64 = -104;
const ECONNREFUSED: i64 = -111;

/// Whether a call may have found the other end gone.
#[inline(always)]
pub(super) const fn may_be(entry: Entry, ret: i64) -> bool {
    let class = Class(entry.class);
    let sends = matches!(class, Class::WRITE | Class::SENDTO | Class::SENDMSG | Class::SENDMMSG);
    match ret {
        EPIPE | ECONNREFUSED => sends,
        ECONNRESET => sends || class.receives(),
        _ => false,
    }
}

/// Tells what became of the socket.
// A function of its own: the exit of a call has no stack to spare.
#[inline(never)]
pub(super) fn tell(task: Current, fd: i32, ret: i64) {
    let sk = file::current_sk(task, fd);
    if sock::family(sk) != sock::AF_UNIX {
        return;
    }
    let Some(place) = SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: the map gave this CPU's value, which only `call_enter` and `call_exit` use; neither interrupts the other, and
    // nothing of the call that returns is in it yet.
    let sock = unsafe { &mut (*place).sock };
    sock::read(sk, sock);
    let peer = sock::unix_peer(sk);
    let from = if ret == ECONNREFUSED {
        if sock.ty != sock::SOCK_DGRAM || sock.state != sock::TCP_CLOSE || peer != 0 {
            return;
        }
        sock::TCP_ESTABLISHED
    } else {
        if sock.ty == sock::SOCK_DGRAM {
            return;
        }
        if sock::is_orphan(peer) {
            sock::forget_unix_peer(sock);
        }
        sock.state
    };
    record(task, sock, from, ret.unsigned_abs() as u32);
}

/// Writes the record.
// Another one: the stack of `tell` lies under the one that reading a socket takes.
#[inline(never)]
fn record(task: Current, sock: &Sock, from: u16, error: u32) {
    let mut header = core::mem::MaybeUninit::<Header>::uninit();
    // SAFETY: every byte is written.
    let header = unsafe {
        emit::fill_current_header(&mut *header.as_mut_ptr(), task);
        header.assume_init_ref()
    };
    // Without a number of its own: every number has a line, and of what is tried again and again only the first has one.
    emit::part::<State>(Kind::STATE, header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            (*record).error = error;
            (*record).from = from;
            (*record).to = sock.state;
            copy(&raw mut (*record).sock, sock);
            clear(&raw mut (*record).before);
            sock::no_tcp(&raw mut (*record).tcp);
        }
    });
}
