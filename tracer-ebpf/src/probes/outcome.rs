//! What came of a call: reads the slots that it filled and the socket that it is about, and tells it in the smallest
//! record that fits.

use super::{
    fanotify, listeners, passed, sched,
    wanted::{F_SETFD, F_SETFL, FIOCLEX, FIONBIO, FIONCLEX},
};
use crate::{
    emit, file,
    kread::{copy, user, zero},
    maps::{ASKED, Work},
    sock,
    task::{self, Scope},
};
use aya_ebpf::helpers::generated::bpf_probe_read_user_str;
use tracer_abi::{
    Asked, Call, CallAddr, CallPair, CallPath, CallSock, CallStates, Class, InFlight, Kind, PATH_LEN,
    SLOT_PRESENT, SOCKADDR_LEN, Sock,
};

/// `CLONE_PIDFD` (clone(2)).
const CLONE_PIDFD: u64 = 0x1000;

/// Tells a call that returned.
#[inline(always)]
pub(crate) fn tell(work: &mut Work, tid: u32, scope: Scope) {
    let call = &mut work.flight;
    let ok = call.call.ret >= 0;
    match Class(call.call.class as u16) {
        // A success is told by the scheduler's tracepoint.
        Class::FORK | Class::EXEC if ok => return,
        Class::CLONE | Class::CLONE3 if ok => return tell_pidfd(call),
        Class::OPEN | Class::EXEC => return tell_path(call),
        Class::PAIR if ok => return tell_pair(call),
        Class::RECVMSG | Class::RECVMMSG => return passed::tell_received(call),
        Class::READ | Class::READV => return fanotify::tell(call),
        Class::SENDMSG | Class::SENDMMSG => return passed::tell_sent(call, tid),
        Class::SENDTO if !sock::is_bound_datagram(call.sk) => return,
        _ if call.count > 0 => return tell_states(call),
        _ => {}
    }
    let filled = filled_slot(call);
    let files = call.call.header.files;
    let mut listener = 0;
    let mut sk = call.sk;
    if filled >= 0 {
        file::read_slot(files, filled, &mut call.call.result, true);
        let result = file::sk_of(&call.call.result.file);
        if call.call.class == u32::from(Class::ACCEPT.0) {
            listener = call.sk;
            sk = result;
        } else if result != 0 {
            sk = result;
        }
    } else if call.call.class == u32::from(Class::ACCEPT.0) {
        // A failed accept is about its listener.
        listener = call.sk;
        sk = 0;
    } else if call.call.class == u32::from(Class::CLOSE.0) {
        // The socket may be gone by now. What a close is about was decided at its entry.
        sk = 0;
    }
    // What was asked for is told although there is no socket.
    let asks = matches!(Class(call.call.class as u16), Class::BIND | Class::CONNECT) && scope == Scope::Whole;
    if sk == 0 && listener == 0 && !asks {
        if scope == Scope::Whole || call.call.class == u32::from(Class::CLOSE.0) {
            emit::record::<Call>(Kind::CALL, &call.call.header, |record| {
                copy(record, &raw const call.call);
            });
        }
        return;
    }
    tell_socket(work, tid, scope, sk, listener);
}

/// The descriptor that a call filled or changed; -1 for none.
#[inline(always)]
fn filled_slot(call: &InFlight) -> i32 {
    let [first, second, ..] = call.call.args;
    if call.call.ret < 0 || call.registered != 0 {
        return -1;
    }
    match Class(call.call.class as u16) {
        Class::GETSOCKOPT => user::<i32>(call.pointer).unwrap_or(-1),
        // These change the descriptor that they name, the others make one.
        Class::FCNTL if matches!(second, F_SETFD | F_SETFL) => first as i32,
        Class::IOCTL if matches!(second, FIOCLEX | FIONCLEX | FIONBIO) => first as i32,
        Class::SOCKET
        | Class::ACCEPT
        | Class::DUP
        | Class::DUP2
        | Class::FCNTL
        | Class::ANON
        | Class::OPEN
        | Class::IOCTL
        | Class::BPF
        | Class::SECCOMP
        | Class::RULESET => call.call.ret as i32,
        _ => -1,
    }
}

/// Tells a call about a socket.
#[inline(always)]
fn tell_socket(work: &mut Work, tid: u32, scope: Scope, sk: u64, listener: u64) {
    let Work { flight, sock, listening } = work;
    let call = &flight.call;
    let known = if listener == 0 { None } else { sock::adopt(sk, sock, &call.header) };
    let queued = known.unwrap_or(0);
    if known.is_none() {
        sock::read(sk, sock);
        if call.class == u32::from(Class::SETSOCKOPT.0) {
            sock::read_listen_options(sk, sock);
        }
    }
    if listener != 0 {
        sched::accepts(&call.header);
    }
    if scope == Scope::Sockets {
        sock::read(listener, listening);
        if !sock::port_selected(sock) && (listener == 0 || !sock::port_selected(listening)) {
            return;
        }
        task::follow(call.header.pid, true);
    }
    if call.class == u32::from(Class::LISTEN.0) && call.ret == 0 && sock.family == sock::AF_UNIX {
        listeners::begins_unix(sock, call.header.pid, call.header.start);
    }
    let new = known.is_none() && (listener != 0 || scope == Scope::Sockets);
    if new && call.ret >= 0 && sock::has_states(sock) && sock.state != sock::TCP_CLOSE {
        sock::follow_states(sock, call.header.pid, call.header.start, 0);
    }
    if call.class == u32::from(Class::ANON.0) {
        // `pidfd_getfd`.
        sock::track_received(sock);
    }
    let is_unix = sock.family == sock::AF_UNIX;
    let asks = matches!(Class(call.class as u16), Class::BIND | Class::CONNECT | Class::SETSOCKOPT);
    if !is_unix && !asks {
        emit::record::<CallSock>(Kind::CALL_SOCK, &call.header, |record| {
            // SAFETY: the ring buffer gave room for a whole record.
            unsafe { fill_sock(record, call, sock, listener, queued) };
        });
        return;
    }
    emit::record::<CallAddr>(Kind::CALL_ADDR, &call.header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            fill_sock(&raw mut (*record).base, call, sock, listener, queued);
            if let Some(asked) = ASKED.get_ptr(tid) {
                copy(&raw mut (*record).asked, asked);
            } else {
                no_address(&raw mut (*record).asked);
            }
            fill_names(record, sk, is_unix);
        }
    });
}

/// Fills a record about a socket.
///
/// # Safety
///
/// `record` is valid for writes.
#[inline(always)]
unsafe fn fill_sock(record: *mut CallSock, call: &Call, sock: &Sock, listener: u64, queued: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        copy(&raw mut (*record).call, call);
        copy(&raw mut (*record).sock, sock);
        (*record).listener = listener;
        (*record).queued = queued;
        ((*record).queue_len, (*record).queue_limit) =
            if listener == 0 { (0, 0) } else { sock::queue(listener) };
        ((*record).thread_start, (*record).sleeps) =
            if listener == 0 { (0, 0) } else { (task::current_start(), task::current_sleeps()) };
        (*record).reserved = 0;
    }
}

/// Fills a record's names: a unix socket's own and its peer's.
///
/// # Safety
///
/// `record` is valid for writes.
#[inline(always)]
unsafe fn fill_names(record: *mut CallAddr, sk: u64, is_unix: bool) {
    let (own, peer) = if is_unix { (sk, sock::unix_peer(sk)) } else { (0, 0) };
    // SAFETY: the caller's promise.
    unsafe {
        sock::unix_name(own, &mut (*record).local);
        sock::unix_name(peer, &mut (*record).peer);
    }
}

/// Writes an address that is none.
///
/// # Safety
///
/// `asked` is valid for writes.
#[inline(always)]
unsafe fn no_address(asked: *mut Asked) {
    // SAFETY: the caller's promise.
    unsafe {
        (*asked).len = 0;
        (*asked).reserved = 0;
        zero((&raw mut (*asked).bytes).cast(), SOCKADDR_LEN);
    }
}

/// Tells a call during which its socket changed its state.
#[inline(always)]
fn tell_states(call: &InFlight) {
    emit::record::<CallStates>(Kind::CALL_STATES, &call.call.header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            copy(&raw mut (*record).call, &raw const call.call);
            copy(&raw mut (*record).sock, &raw const call.sock);
            (*record).count = call.count;
            (*record).reserved = 0;
            copy(&raw mut (*record).changes, &raw const call.changes);
            copy(&raw mut (*record).tcp, &raw const call.tcp);
        }
    });
}

/// Tells a call with a path.
#[inline(always)]
fn tell_path(call: &mut InFlight) {
    let filled = filled_slot(call);
    if filled >= 0 {
        file::read_slot(call.call.header.files, filled, &mut call.call.result, true);
    }
    emit::record::<CallPath>(Kind::CALL_PATH, &call.call.header, |record| {
        // SAFETY: the ring buffer gave room for a whole record; the helper checks the caller's address itself.
        unsafe {
            copy(&raw mut (*record).call, &raw const call.call);
            (*record).reserved = 0;
            zero((&raw mut (*record).path).cast(), PATH_LEN);
            let to = (&raw mut (*record).path).cast();
            let len = bpf_probe_read_user_str(to, PATH_LEN as u32, call.pointer as *const _);
            // The helper counts the terminating zero.
            (*record).path_len = if len > 0 { len as u32 - 1 } else { 0 };
        }
    });
}

/// Tells the descriptor that `CLONE_PIDFD` made in the parent's table. Its number is in the caller's memory; the table
/// confirms it.
#[inline(always)]
fn tell_pidfd(call: &mut InFlight) {
    let [flags, ..] = call.call.args;
    let (flags, place) = if call.call.class == u32::from(Class::CLONE3.0) {
        // `flags` and `pidfd` of `struct clone_args` (clone(2)).
        let Some([flags, place]) = user::<[u64; 2]>(call.pointer) else { return };
        (flags, place)
    } else {
        (u64::from(flags), call.pointer)
    };
    // The child returns too, with 0.
    if call.call.ret == 0 || flags & CLONE_PIDFD == 0 {
        return;
    }
    let Some(fd) = user::<i32>(place) else { return };
    file::read_slot(call.call.header.files, fd, &mut call.call.result, true);
    if call.call.result.flags & SLOT_PRESENT != 0 {
        emit::record::<Call>(Kind::CALL, &call.call.header, |record| {
            copy(record, &raw const call.call);
        });
    }
}

/// Tells a call that made two descriptors.
#[inline(always)]
fn tell_pair(call: &mut InFlight) {
    let Some([first, second]) = user::<[i32; 2]>(call.pointer) else { return };
    let files = call.call.header.files;
    file::read_slot(files, first, &mut call.call.result, true);
    let first_sk = file::sk_of(&call.call.result.file);
    emit::record::<CallPair>(Kind::CALL_PAIR, &call.call.header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            copy(&raw mut (*record).call, &raw const call.call);
            file::read_slot(files, second, &mut (*record).second, true);
            let second_sk = file::sk_of(&(*record).second.file);
            sock::read(first_sk, &mut (*record).first_sock);
            sock::read(second_sk, &mut (*record).second_sock);
        }
    });
}
