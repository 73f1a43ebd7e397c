//! Datagram sockets of unix that lose their connection: a send finds the other end gone.
//!
//! `unix_dgram_sendmsg` (net/unix/af_unix.c) takes the connection away then and fails with `ECONNREFUSED`; no tracepoint tells
//! it. The socket is looked at where a send failed so, and nowhere else. The same error comes of a name that nobody has, and
//! changes nothing: user space, which knows whether the socket was connected, tells the two apart.

use crate::{
    emit, file,
    kread::{clear, copy},
    maps::SCRATCH,
    sock,
};
use tracer_abi::{Class, Entry, Header, Kind, State};

/// Negative, as calls return it.
const ECONNREFUSED: i64 = -111;

/// Whether a call may have found the other end gone.
#[inline(always)]
pub(super) const fn may_be(entry: Entry, ret: i64) -> bool {
    ret == ECONNREFUSED
        && matches!(Class(entry.class), Class::WRITE | Class::SENDTO | Class::SENDMSG | Class::SENDMMSG)
}

/// Tells what became of the socket.
// A function of its own: the exit of a call has no stack to spare.
#[inline(never)]
pub(super) fn tell(fd: i32) {
    let sk = file::current_sk(fd);
    if sock::family(sk) != sock::AF_UNIX {
        return;
    }
    let Some(place) = SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: the map gave this CPU's value, which only `call_enter` and `call_exit` use; neither interrupts the other, and
    // nothing of the call that returns is in it yet.
    let sock = unsafe { &mut (*place).sock };
    sock::read(sk, sock);
    if sock.ty != sock::SOCK_DGRAM || sock.state != sock::TCP_CLOSE || sock::unix_peer(sk) != 0 {
        return;
    }
    let mut header = core::mem::MaybeUninit::<Header>::uninit();
    // SAFETY: every byte is written.
    let header = unsafe {
        emit::fill_current_header(&mut *header.as_mut_ptr());
        header.assume_init_ref()
    };
    emit::record::<State>(Kind::STATE, header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            (*record).error = ECONNREFUSED.unsigned_abs() as u32;
            (*record).from = sock::TCP_ESTABLISHED;
            (*record).to = sock::TCP_CLOSE;
            copy(&raw mut (*record).sock, &raw const *sock);
            clear(&raw mut (*record).before);
            sock::no_tcp(&raw mut (*record).tcp);
        }
    });
}
