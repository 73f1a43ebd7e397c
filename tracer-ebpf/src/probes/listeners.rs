//! Followed listeners: an iterator reads their queues, also of those at which nobody accepts.
//!
//! A listener's connections know it by something that the kernel gave them: of TCP by the storage that they inherit, of a
//! unix socket by its name, which they share. Of the connections that were queued before the listener was followed nothing
//! told: they are read from the queue, once.

use crate::{
    emit,
    globals::offset,
    kread::{field, pointer},
    maps::{LISTENER_ROW, LISTENERS, PORTS, port_key},
    sock, task,
};
use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::generated::{bpf_loop, bpf_seq_write},
};
use core::ffi::c_void;
use tracer_abi::{Header, LISTENER_LISTED, LISTENER_NETNS_OWN, Listener, ListenerRow, Sock};

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

/// `struct bpf_iter__bpf_map_elem` (kernel/bpf/map_iter.c).
#[repr(C)]
struct MapElement {
    meta: *const Meta,
    map: *const c_void,
    key: *const u64,
    value: *const Listener,
}

/// `struct bpf_iter_meta` (include/linux/bpf.h).
#[repr(C)]
struct Meta {
    seq: *mut c_void,
    session_id: u64,
    seq_num: u64,
}

/// Where the walk through a queue stands.
struct Walk {
    seq: *mut c_void,
    row: *mut ListenerRow,
    /// The next request or packet.
    next: u64,
    /// Where the walk ends: 0, or the address of a unix socket's queue, which is a ring.
    end: u64,
    is_unix: bool,
    failed: bool,
}

#[unsafe(link_section = "iter/bpf_map_elem")]
#[unsafe(no_mangle)]
extern "C" fn listeners(ctx: *const MapElement) -> i32 {
    // SAFETY: the kernel calls an iterator with this context.
    let (meta, key, value) = unsafe { ((*ctx).meta, (*ctx).key, (*ctx).value) };
    if key.is_null() || value.is_null() {
        return 0;
    }
    // SAFETY: the kernel passes an element of the map that the iterator was made for, whose key and value are these.
    let (key, listener) = unsafe { (*key, *value) };
    if !is_alive(&listener, key) {
        let _ = LISTENERS.remove(&key);
        return 0;
    }
    let Some(place) = LISTENER_ROW.get_ptr_mut(0) else { return 0 };
    // SAFETY: the map gave this CPU's row; iterators do not migrate and there is one at a time.
    let row = unsafe { &mut *place };
    row.ts = emit::now();
    row.listener = 0;
    row.start = listener.start;
    row.pid = listener.pid;
    row.flags = listener.flags;
    row.reserved = 0;
    sock::read(listener.sk, &mut row.sock);
    (row.sock.queue_len, row.sock.queue_limit) = sock::queue(listener.sk);
    row.drops = field(listener.sk, offset!(sk_drops)).unwrap_or(0);
    let is_unix = row.sock.family == sock::AF_UNIX;
    if is_unix {
        row.drops = 0;
    }
    // SAFETY: the row is a whole one; the kernel checks the room in its own buffer and asks again.
    let seq = unsafe { (*meta).seq };
    if write(seq, row) != 0 || listener.flags & LISTENER_LISTED != 0 {
        return 0;
    }
    row.listener = listener.sk;
    let queue = listener.sk + u64::from(offset!(sk_receive_queue));
    let mut walk = Walk {
        seq,
        row,
        next: if is_unix {
            pointer(queue, 0).unwrap_or(0)
        } else {
            pointer(listener.sk, offset!(tcp_accept_head)).unwrap_or(0)
        },
        end: if is_unix { queue } else { 0 },
        is_unix,
        failed: false,
    };
    // SAFETY: the callback has the signature that the helper asks for, and `walk` outlives the call.
    unsafe { bpf_loop(MOST, waiting as *const () as *mut c_void, (&raw mut walk).cast(), 0) };
    if !walk.failed
        && let Some(known) = LISTENERS.get_ptr_mut(&key)
    {
        // SAFETY: the map gave a valid pointer; nobody else changes the flags of a listener that was found.
        unsafe { (*known).flags |= LISTENER_LISTED };
    }
    0
}

/// One step of the walk: tells a connection that waits. 1 ends the walk. Others may change the queue meanwhile, so what is
/// found must be a connection that no file has.
extern "C" fn waiting(_index: u32, walk: *mut Walk) -> i64 {
    // SAFETY: the helper passes the pointer that `listeners` gave it; the row is this CPU's.
    let (walk, row) = unsafe { (&mut *walk, &mut *(*walk).row) };
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
    sock::read(child, &mut row.sock);
    if child == 0 || sock::has_file(child) {
        return 0;
    }
    if !walk.is_unix && row.sock.state != sock::TCP_CLOSE {
        sock::track(&row.sock, row.pid, row.start, 0, 0);
    }
    if write(walk.seq, row) != 0 {
        walk.failed = true;
        return 1;
    }
    0
}

#[inline(always)]
fn write(seq: *mut c_void, row: *mut ListenerRow) -> i64 {
    // SAFETY: the row is a whole one; the verifier knows `seq` to be the iterator's file.
    unsafe { bpf_seq_write(seq.cast(), row as *const _, size_of::<ListenerRow>() as u32) }
}
