//! Followed listeners: user space has their queues read, one after the other, also of those at which nobody accepts.
//!
//! A listener's connections know it by something that the kernel gave them: of TCP by the storage that they inherit, of a
//! unix socket by its name, which they share. Of the connections that were queued before the listener was followed nothing
//! told: they are read from the queue, once.

use crate::{
    emit,
    globals::offset,
    kread::{copy, field, pointer},
    maps::{LISTENER_ROW, LISTENERS, PORTS, WAITING, port_key},
    sock, task,
};
use aya_ebpf::{
    bindings::{BPF_NOEXIST, bpf_raw_tracepoint_args},
    helpers::generated::bpf_loop,
};
use core::ffi::c_void;
use tracer_abi::{Header, Kind, LISTENER_LISTED, LISTENER_NETNS_OWN, Listener, Queued, Sock};

/// Connections of one queue that are read at most: `somaxconn` is 4096 unless somebody raised it (listen(2)).
const MOST: u32 = 8192;

/// A socket listens from now on. `key` is what its connections will know it by.
#[inline(always)]
pub(super) fn begins(key: u64, sk: u64, sock: &Sock, (pid, start): (u32, u64), flags: u32) {
    insert(key, &listener(sk, sock, task::current(), (pid, start), flags), sock, 0);
}

/// The same for a unix socket, in its owner's call.
// A function of its own: the exit of a call has no stack to spare.
#[inline(never)]
pub(super) fn begins_unix(sock: &Sock, pid: u32, start: u64) {
    if let Some(name) = pointer(sock.sk, offset!(unix_addr)) {
        begins(name, sock.sk, sock, (pid, start), LISTENER_LISTED);
    }
}

/// A listener that a snapshot found in a task's table.
#[inline(always)]
pub(super) fn found(sock: &Sock, task: u64, owner: (u32, u64)) {
    let key = if sock.family == sock::AF_UNIX {
        pointer(sock.sk, offset!(unix_addr)).unwrap_or(0)
    } else if sock::has_states(sock) {
        sock.sk
    } else {
        0
    };
    if key != 0 {
        insert(key, &listener(sock.sk, sock, task, owner, 0), sock, u64::from(BPF_NOEXIST));
    }
}

#[inline(always)]
fn listener(sk: u64, sock: &Sock, task: u64, (pid, start): (u32, u64), flags: u32) -> Listener {
    let own = if task::netns(task) == sock.netns { LISTENER_NETNS_OWN } else { 0 };
    Listener { sk, start, pid, flags: flags | own }
}

#[inline(always)]
fn insert(key: u64, listener: &Listener, sock: &Sock, how: u64) {
    // A full table keeps the queue from being sampled, and nothing else: it is told as not sampled.
    let _ = LISTENERS.insert(&key, listener, how);
    if sock::is_internet(sock.family) {
        let _ = PORTS.insert(&port_key(sock.netns, sock.local_port), listener, 0);
    }
}

/// Whether a unix socket has a followed listener's name.
#[inline(always)]
pub(super) fn has_unix(child: u64) -> bool {
    pointer(child, offset!(unix_addr)).is_some_and(|name| LISTENERS.get_ptr(&name).is_some())
}

/// The followed listener that a unix socket came from: the one with its name.
#[inline(always)]
pub(super) fn of_unix(child: u64) -> Option<Listener> {
    let name = pointer(child, offset!(unix_addr))?;
    let listener = LISTENERS.get_ptr(&name)?;
    // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is freed after a grace period.
    let listener = unsafe { *listener };
    is_alive(&listener, name).then_some(listener)
}

/// Whether the socket still listens, and has what its connections know it by.
#[inline(always)]
fn is_alive(listener: &Listener, key: u64) -> bool {
    let name = if sock::family(listener.sk) == sock::AF_UNIX {
        pointer(listener.sk, offset!(unix_addr)).unwrap_or(0)
    } else {
        listener.sk
    };
    name == key && u16::from(sock::state(listener.sk)) == sock::TCP_LISTEN
}

/// A head for a listener's owner: no thread of it did what is told.
#[inline(always)]
pub(super) fn header(listener: &Listener, ts: u64) -> Header {
    Header {
        kind: 0,
        len: 0,
        cpu: 0,
        cpu_seq: 0,
        ts,
        pid: listener.pid,
        tid: 0,
        start: listener.start,
        files: 0,
    }
}

/// Where the walk through a queue stands.
struct Walk {
    listener: *const Listener,
    sock: *mut Sock,
    /// The next request or packet.
    next: u64,
    /// Where the walk ends: 0, or the address of a unix socket's queue, which is a ring.
    end: u64,
    is_unix: bool,
}

/// Reads the listener with the key that user space passes into the row, and the first time tells what waits in its queue. 1 where
/// there is a row. It is attached to nothing: user space runs it (`bpf_prog_test_run_raw_tp`, net/bpf/test_run.c). An iterator
/// over the map would do in one run, but a kernel may forbid it, as those of which a program may write to what they pass it.
// The library's macro would return 0 in place of what the function does.
#[unsafe(link_section = "raw_tp")]
#[unsafe(no_mangle)]
extern "C" fn listener_row(ctx: *const bpf_raw_tracepoint_args) -> i32 {
    // SAFETY: the kernel passes the arguments that user space gave it, of which this is the first.
    let key = unsafe { *(*ctx).args.as_ptr() };
    let Some(known) = LISTENERS.get_ptr_mut(key) else { return 0 };
    // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is freed after a grace period.
    let listener = unsafe { *known };
    if !is_alive(&listener, key) {
        let _ = LISTENERS.remove(&key);
        return 0;
    }
    let Some(place) = LISTENER_ROW.get_ptr_mut(0) else { return 0 };
    // SAFETY: the map gave its only value, and user space has one listener read at a time.
    let row = unsafe { &mut *place };
    row.ts = emit::now();
    row.start = listener.start;
    row.pid = listener.pid;
    row.flags = listener.flags;
    row.reserved = 0;
    sock::read(listener.sk, &mut row.sock);
    (row.sock.queue_len, row.sock.queue_limit) = sock::queue(listener.sk);
    let is_unix = row.sock.family == sock::AF_UNIX;
    row.drops = if is_unix { 0 } else { field(listener.sk, offset!(sk_drops)).unwrap_or(0) };
    if listener.flags & LISTENER_LISTED == 0 {
        // SAFETY: as above; nobody else changes the flags of a listener that was found.
        unsafe { (*known).flags |= LISTENER_LISTED };
        list(&listener, is_unix);
    }
    1
}

/// Tells the connections that wait.
#[inline(always)]
fn list(listener: &Listener, is_unix: bool) {
    let Some(sock) = WAITING.get_ptr_mut(0) else { return };
    let queue = listener.sk + u64::from(offset!(sk_receive_queue));
    let mut walk = Walk {
        listener,
        sock,
        next: if is_unix {
            pointer(queue, 0).unwrap_or(0)
        } else {
            pointer(listener.sk, offset!(tcp_accept_head)).unwrap_or(0)
        },
        end: if is_unix { queue } else { 0 },
        is_unix,
    };
    // SAFETY: the callback has the signature that the helper asks for, and `walk` outlives the call.
    unsafe { bpf_loop(MOST, waiting as *const () as *mut c_void, (&raw mut walk).cast(), 0) };
}

/// One step of the walk: tells a connection that waits. 1 ends the walk. Others may change the queue meanwhile, so what is
/// found must be a connection that no file has.
extern "C" fn waiting(_index: u32, walk: *mut Walk) -> i64 {
    // SAFETY: the helper passes the pointer that `list` gave it; the room is this CPU's, where no other task runs until the
    // program has ended (`get_cpu` in `bpf_prog_test_run_raw_tp`).
    let (walk, listener, sock) = unsafe { (&mut *walk, &*(*walk).listener, &mut *(*walk).sock) };
    let at = walk.next;
    if at == walk.end || at == 0 {
        return 1;
    }
    let (child, next) = if walk.is_unix {
        (pointer(at, offset!(skb_sk)), pointer(at, offset!(skb_next)))
    } else {
        (pointer(at, offset!(req_sk)), pointer(at, offset!(req_next)))
    };
    walk.next = next.unwrap_or(0);
    let child = child.unwrap_or(0);
    sock::read(child, sock);
    if child == 0 || sock::has_file(child) {
        return 0;
    }
    if !walk.is_unix && sock.state != sock::TCP_CLOSE {
        sock::track(sock, listener.pid, listener.start, 0, 0);
    }
    let header = header(listener, emit::now());
    emit::record::<Queued>(Kind::WAITING, &header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            (*record).listener = listener.sk;
            ((*record).queue_len, (*record).queue_limit) = (0, 0);
            copy(&raw mut (*record).sock, &raw const *sock);
        }
    });
    0
}
