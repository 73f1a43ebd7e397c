//! TCP states, and connections that enter an accept queue.
//!
//! The tracepoint is hit in tasks and in softirqs. A softirq may interrupt a program of a task on the same CPU, and the
//! kernel does not run a program that is already running there (`__bpf_trace_run`, kernel/trace/bpf_trace.c). So it is
//! attached twice: a hit that the first instance misses, because it was interrupted, reaches the second. There is no third
//! level: softirqs do not interrupt each other. What the first has told, the second finds told.
//!
//! A connection is in its listener's queue when it is established (`tcp_check_req` and `tcp_child_process`,
//! net/ipv4/tcp_minisocks.c). Which listener that is, the socket's own storage says, see [`LISTENER`].

use super::listeners;
use crate::{
    emit, file,
    maps::{IN_FLIGHT, LISTENER, LISTENERS, SCRATCH, SOCKETS},
    sock,
    task::Current,
};
use crate::{
    globals::{config, offset},
    kread::{copy, field},
};
use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_abi::{Change, Class, Header, InFlight, Kind, LISTENER_LISTED, Queued, Sock, State, Tracked};

/// `TP_PROTO(const struct sock *sk, const int oldstate, const int newstate)`, include/trace/events/sock.h.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn state(ctx: BtfTracePointContext) -> i32 {
    tell_state(&ctx)
}

/// The second instance of [`state`].
#[btf_tracepoint(function = "inet_sock_set_state")]
fn state_again(ctx: BtfTracePointContext) -> i32 {
    tell_state(&ctx)
}

#[inline(always)]
fn tell_state(ctx: &BtfTracePointContext) -> i32 {
    let socket = ctx.arg::<*const u8>(0);
    let sk = socket as u64;
    let from: u32 = ctx.arg(1);
    let to: u32 = ctx.arg(2);
    let Some(place) = SOCKETS.get_ptr_mut(sk) else {
        if from as u16 == sock::TCP_SYN_RECV && to as u16 == sock::TCP_ESTABLISHED {
            tell_queued(socket);
        }
        return 0;
    };
    if from as u16 == sock::TCP_LISTEN && to as u16 == sock::TCP_SYN_RECV {
        // A connection that has just been made (`inet_csk_clone_lock`, net/ipv4/inet_connection_sock.c). What is kept at
        // its address is an earlier socket, which was closed without a change of state.
        let _ = SOCKETS.remove(sk);
        return 0;
    }
    // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is freed after a grace period. The
    // socket's lock keeps its changes of state apart.
    let tracked = unsafe { *place };
    if from as u16 == sock::TCP_CLOSE && sock::inode(sk) != tracked.ino {
        // Likewise: its connect(2) or listen(2) failed before it changed its state. This one may be anybody's.
        let _ = SOCKETS.remove(sk);
        return 0;
    }
    if from == to || tracked.told == to {
        return 0;
    }
    // SAFETY: as above.
    let known = unsafe { &mut *place };
    known.told = to;
    if to as u16 == sock::TCP_LISTEN {
        // SAFETY: the tracepoint's argument.
        unsafe { LISTENER.set(socket) };
        listeners::begins(sk, sk, &known.sock, (tracked.pid, tracked.start), LISTENER_LISTED);
    }
    if from as u16 == sock::TCP_CLOSE || from as u16 == sock::TCP_SYN_SENT {
        // Until now it had no peer, or no port of its own.
        sock::read(sk, &mut known.sock);
    }
    let call = own_call(&tracked, sk);
    let ends = to as u16 == sock::TCP_CLOSE;
    if from as u16 == sock::TCP_LISTEN {
        let _ = LISTENERS.remove(sk);
    }
    let change = Change {
        ts: emit::now(),
        error: field(sk, offset!(sk_err)).unwrap_or(0),
        from: from as u16,
        to: to as u16,
    };
    if waits(&change, sk) {
        known.waits = change;
    } else if tracked.waits.ts != 0 || !travels(call, &change, &known.sock) {
        let header = owner_header(&tracked, call.is_some(), change.ts);
        emit::record::<State>(Kind::STATE, &header, |record| {
            // SAFETY: the ring buffer gave room for a whole record.
            unsafe {
                (*record).error = change.error;
                (*record).from = change.from;
                (*record).to = change.to;
                copy(&raw mut (*record).sock, &raw const known.sock);
                (*record).before = tracked.waits;
                if ends {
                    sock::read_tcp(sk, &raw mut (*record).tcp);
                } else {
                    sock::no_tcp(&raw mut (*record).tcp);
                }
            }
        });
    }
    if ends {
        let _ = SOCKETS.remove(sk);
    }
    0
}

/// Tells that a connection was established, and follows it.
#[inline(always)]
fn tell_queued(child: *const u8) {
    // SAFETY: the tracepoint's argument.
    let listener = unsafe { LISTENER.get(child) };
    let Some(tracked) = tracked(listener) else { return };
    let header = owner_header(&tracked, false, emit::now());
    let mut sock = core::mem::MaybeUninit::<Sock>::uninit();
    // SAFETY: `read` writes every byte, zeros first.
    let sock = unsafe {
        sock::read(child as u64, &mut *sock.as_mut_ptr());
        sock.assume_init_mut()
    };
    // The tracepoint comes before the change.
    sock.state = sock::TCP_ESTABLISHED;
    sock::track(sock, tracked.pid, tracked.start, header.ts, 0);
    let (queue_len, queue_limit) = sock::queue(listener);
    emit::record::<Queued>(Kind::QUEUED, &header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            (*record).listener = listener;
            (*record).queue_len = queue_len;
            (*record).queue_limit = queue_limit;
            copy(&raw mut (*record).sock, &raw const *sock);
        }
    });
}

/// Tells a connection that a unix socket's connect(2) put into a followed listener's queue, when the call has returned: the
/// caller's other end is the connection, whose name is the listener's. Nothing is told of one that was accepted before that.
// A function of its own, as `tell_embryo`: the exit of a call has no stack to spare.
#[inline(never)]
pub(super) fn tell_unix(task: Current, fd: i32) {
    let client = file::current_sk(task, fd);
    if sock::family(client) != sock::AF_UNIX {
        return;
    }
    let child = sock::unix_peer(client);
    if !listeners::has_unix(child) {
        return;
    }
    let Some(place) = SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: the map gave this CPU's value, which only `call_enter` and `call_exit` use; neither interrupts the other, and
    // nothing of the call that returns is in it yet.
    let sock = unsafe { &mut (*place).sock };
    sock::read(child, sock);
    tell_embryo(child, sock);
}

#[inline(never)]
fn tell_embryo(child: u64, sock: &Sock) {
    let Some(listener) = listeners::of_unix(child) else { return };
    if sock.state != sock::TCP_ESTABLISHED || sock::has_file(child) {
        return;
    }
    let header = listeners::header(&listener, emit::now());
    let (queue_len, queue_limit) = sock::queue(listener.sk);
    emit::record::<Queued>(Kind::QUEUED, &header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            (*record).listener = listener.sk;
            (*record).queue_len = queue_len;
            (*record).queue_limit = queue_limit;
            copy(&raw mut (*record).sock, sock);
        }
    });
}

/// The entry of a followed socket.
#[inline(always)]
pub(super) fn tracked(sk: u64) -> Option<Tracked> {
    // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is freed after a grace period.
    SOCKETS.get_ptr(sk).map(|tracked| unsafe { *tracked })
}

/// The current thread's call, if the thread is the socket's owner's and the call is about this very socket: whoever runs
/// now may just have been interrupted.
#[inline(always)]
fn own_call(tracked: &Tracked, sk: u64) -> Option<*mut InFlight> {
    let pid_tgid = bpf_get_current_pid_tgid();
    if (pid_tgid >> 32) as u32 != tracked.pid {
        return None;
    }
    // SAFETY: as in `tracked`.
    IN_FLIGHT.get_ptr_mut(pid_tgid as u32).filter(|call| unsafe { (**call).sk } == sk)
}

/// Leaves a change of state to the record of the call that made it, where that record comes soon: a close and a shutdown
/// do not wait for the peer, unless the socket lingers (`SO_LINGER`, socket(7)).
#[inline(always)]
fn travels(call: Option<*mut InFlight>, change: &Change, sock: &Sock) -> bool {
    let Some(call) = call else { return false };
    // SAFETY: the map gave a valid pointer; only the call's own thread and what interrupts it on this CPU use the entry.
    let call = unsafe { &mut *call };
    let class = Class(call.call.class as u16);
    let ends = class == Class::SHUTDOWN || (class == Class::CLOSE && !sock::lingers(sock.sk));
    if !ends || call.returned != 0 {
        return false;
    }
    let Some(place) = call.changes.get_mut(call.count as usize) else { return false };
    *place = *change;
    if call.count == 0 {
        copy(&raw mut call.sock, sock);
    }
    if change.to == sock::TCP_CLOSE {
        sock::read_tcp(sock.sk, &raw mut call.tcp);
    } else {
        sock::no_tcp(&raw mut call.tcp);
    }
    call.count += 1;
    true
}

/// Leaves a change of state to the record of the next one, where that follows at once: when the FIN of a closed connection
/// is acknowledged, the connection ends with the same segment (`tcp_rcv_state_process`, net/ipv4/tcp_input.c), unless it
/// was given a longer wait (`TCP_LINGER2`, tcp(7)).
#[inline(always)]
fn waits(change: &Change, sk: u64) -> bool {
    config!(orphans_end) != 0
        && change.to == sock::TCP_FIN_WAIT2
        && sock::is_orphan(sk)
        && field::<i32>(sk, offset!(tcp_linger2)) == Some(0)
}

/// A head for a socket's owner; the thread is the current one only where it is in a call about the socket.
#[inline(always)]
fn owner_header(tracked: &Tracked, in_own_call: bool, ts: u64) -> Header {
    let mut header = Header {
        kind: 0,
        len: 0,
        cpu: 0,
        cpu_seq: 0,
        ts,
        pid: tracked.pid,
        tid: 0,
        start: tracked.start,
        files: 0,
    };
    if in_own_call {
        header.tid = bpf_get_current_pid_tgid() as u32;
        header.files = Current::read().files();
    }
    header
}
