//! Descriptors in the control data of messages (`SCM_RIGHTS`, `SCM_PIDFD`: unix(7), cmsg(3)).
//!
//! The numbers stand in the caller's memory: of received ones from the call's exit on, of sent ones at its entry. What
//! they mean is read from the table at that very moment. One call gives one record, of as many bytes as it takes.

use crate::{
    emit, file,
    kread::{copy, opaque, user},
    maps::{PASSING, SENT, WALK, count},
    sock,
};
use aya_ebpf::helpers::generated::bpf_loop;
use core::ffi::c_void;
use tracer_abi::{
    Call, CallFds, Class, Counter, InFlight, Kind, PASSED_LOCAL, PASSED_PEER, PASSED_SOCK, Passed, RingFds,
    RingFlight, SLOT_PRESENT, Slot, Sock, UnixName,
};

/// `SOL_SOCKET`; `SCM_RIGHTS`, `SCM_PIDFD` (include/linux/socket.h).
const SOL_SOCKET: u32 = 1;
const SCM_RIGHTS: u32 = 1;
const SCM_PIDFD: u32 = 4;
/// Bytes of a `cmsghdr`.
const CMSG_HEADER: u64 = 16;
/// Bytes of a `struct mmsghdr` (recvmmsg(2)).
const MMSGHDR: u64 = 64;
/// Messages that one call takes at most (`UIO_MAXIOV`, sendmmsg(2)).
const MAX_MESSAGES: u64 = 1024;
/// Steps of a walk: one for a message, one for a control message, one for a descriptor. What is beyond is counted, and
/// found by a snapshot.
const MAX_STEPS: u32 = 4096;

/// Bytes of a record of passed descriptors: as many as a per-CPU value may have (`PCPU_MIN_UNIT_SIZE`,
/// include/linux/percpu.h). Room for the 253 of one message (`SCM_MAX_FD`, include/net/scm.h), names of unix sockets
/// apart.
pub(crate) const PASSING_LEN: usize = 32_768;
/// Descriptors that are kept of one send.
const SENT_MOST: usize = 256;
/// Bytes of what is kept of a send.
pub(crate) const SENT_LEN: usize = size_of::<RingFds>() + SENT_MOST * size_of::<Passed>();

/// A record in the making.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub(crate) struct Room<const N: usize> {
    bytes: [u8; N],
}

/// A walk through the control data of a call's messages. It lies in a map: of a value on the stack the verifier knows too
/// much, and follows every step.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    /// The table that the numbers are of.
    pub(super) files: u64,
    /// Header of the message that is looked at, and its place among those of the call.
    message: u64,
    index: u64,
    messages: u64,
    /// Its control data in the caller's memory, and their length; 0 while they have not been looked up.
    pub(super) control: u64,
    pub(super) used: u64,
    /// The control message that is looked at, and the next descriptor in it.
    pub(super) at: u64,
    pub(super) descriptor: u64,
    /// What was found: descriptors, and bytes of the record.
    count: u32,
    len: u32,
    /// Set where they are sent, not received.
    out: u32,
    /// Set where there was no room for more.
    pub(super) full: u32,
}

/// A step of a walk, as bpf_loop(2) calls it: 1 ends the walk.
pub(super) type Step = extern "C" fn(u32, *mut c_void) -> i64;

/// The walk under way.
#[inline(always)]
pub(super) fn under_way() -> Option<&'static mut Walk> {
    // SAFETY: the map gave this CPU's value, which only the programs of calls and of rings use; none interrupts another.
    WALK.get_ptr_mut(0).map(|place| unsafe { &mut *place })
}

/// Walks from `start` on, and leaves what is found in `PASSING`, behind room for a head of `head` bytes. Returns how many
/// descriptors, and the length of the record.
#[inline(always)]
fn walk(start: Walk, head: usize, step: Step) -> (u32, u32) {
    let Some(walk) = under_way() else { return (0, 0) };
    *walk = Walk { count: 0, len: head as u32, full: 0, ..start };
    // SAFETY: the callback has the signature that the helper asks for; it takes nothing from its second argument.
    let steps = unsafe { bpf_loop(MAX_STEPS, step as *const () as *mut c_void, core::ptr::null_mut(), 0) };
    if steps >= i64::from(MAX_STEPS) || walk.full != 0 {
        count(Counter::PASSED_BEYOND);
    }
    (walk.count, walk.len)
}

/// A walk through `messages` messages from the header at `message` on.
#[inline(always)]
fn through(files: u64, message: u64, messages: u64, out: bool) -> Walk {
    Walk { files, message, messages, out: u32::from(out), ..NOWHERE }
}

/// A walk through `used` bytes of the caller's memory from `control` on.
#[inline(always)]
pub(super) fn over(files: u64, control: u64, used: u64) -> Walk {
    Walk { files, control, used, ..NOWHERE }
}

/// A walk through nothing.
const NOWHERE: Walk = Walk {
    files: 0,
    message: 0,
    index: 0,
    messages: 0,
    control: 0,
    used: 0,
    at: 0,
    descriptor: 0,
    count: 0,
    len: 0,
    out: 0,
    full: 0,
};

/// One step: takes one descriptor, or goes on to the next control message or message. 1 ends the walk.
extern "C" fn step(_step: u32, _context: *mut c_void) -> i64 {
    let Some(walk) = under_way() else { return 1 };
    if walk.index >= walk.messages {
        return 1;
    }
    if walk.control == 0 {
        // `msg_control`, `msg_controllen` of `struct user_msghdr` (include/linux/socket.h). A receiving call has
        // written the length that it used.
        let Some([control, used]) = user::<[u64; 2]>(walk.message + 32) else { return 1 };
        (walk.control, walk.used, walk.at, walk.descriptor) = (control, used, 0, 0);
    }
    let header = walk.control + walk.at;
    // `struct cmsghdr` (cmsg(3)).
    let inside = walk.control != 0 && walk.at + CMSG_HEADER <= walk.used;
    let len = if inside { user::<u64>(header).unwrap_or(0) } else { 0 };
    if len < CMSG_HEADER || len > walk.used - walk.at {
        walk.message += MMSGHDR;
        walk.index += 1;
        walk.control = 0;
        return 0;
    }
    let Some([level, kind]) = user::<[u32; 2]>(header + 8) else { return 1 };
    let passes = level == SOL_SOCKET && (kind == SCM_RIGHTS || kind == SCM_PIDFD && walk.out == 0);
    let descriptors = if passes { (len - CMSG_HEADER) / 4 } else { 0 };
    if walk.descriptor >= descriptors {
        // `CMSG_NXTHDR` aligns to a word.
        walk.at += (len + 7) & !7;
        walk.descriptor = 0;
        return 0;
    }
    if let Some(fd) = user::<i32>(header + CMSG_HEADER + walk.descriptor * 4) {
        take(walk, fd);
    }
    walk.descriptor += 1;
    0
}

/// Takes one descriptor: its slot, and of a received socket what it is. A received one that is not in its slot was closed by
/// another task since, or is none: the number is the caller's memory's word alone.
#[inline(never)]
pub(super) fn take(walk: &mut Walk, fd: i32) {
    let Some(room) = PASSING.get_ptr_mut(0) else { return };
    let out = walk.out != 0;
    // Said to be none: `FAN_NOFD`, `FAN_NOPIDFD`, `FAN_EPIDFD` (fanotify(7)).
    if !out && fd < 0 {
        return;
    }
    let most = if out { SENT_LEN - size_of::<Passed>() } else { PASSING_LEN - ENTRY_MOST };
    let len = walk.len as usize;
    if len > PASSING_LEN - ENTRY_MOST || len > most {
        // The next step ends the walk.
        walk.full = 1;
        walk.index = walk.messages;
        return;
    }
    // SAFETY: `len` was bounded so that the largest entry fits behind it, and only this program uses this CPU's room.
    unsafe {
        let place = room.cast::<u8>().add(len);
        let passed = place.cast::<Passed>();
        file::read_slot(walk.files, fd, &mut (*passed).slot, !out);
        let present = (*passed).slot.flags & SLOT_PRESENT != 0;
        (*passed).message = walk.index as u32;
        (*passed).flags = 0;
        let mut size = size_of::<Passed>();
        if !out && present && file::is_socket_mode((*passed).slot.file.mode) {
            let sk = file::sk_of(&(*passed).slot.file);
            (*passed).flags = PASSED_SOCK;
            let to = place.add(size).cast::<Sock>();
            sock::read(sk, &mut *to);
            sock::track_received(&*to);
            size += size_of::<Sock>();
            if (*to).family == sock::AF_UNIX {
                // Both names have room; what is no name is written over by the next entry.
                let local = place.add(size).cast::<UnixName>();
                sock::unix_name(sk, &mut *local);
                if (*local).len != 0 {
                    (*passed).flags |= PASSED_LOCAL;
                    size += size_of::<UnixName>();
                }
                let peer = place.add(size).cast::<UnixName>();
                sock::unix_name(sock::unix_peer(sk), &mut *peer);
                if (*peer).len != 0 {
                    (*passed).flags |= PASSED_PEER;
                    size += size_of::<UnixName>();
                }
            }
        }
        walk.len += size as u32;
        walk.count += 1;
    }
}

/// Bytes of the largest entry.
const ENTRY_MOST: usize = size_of::<Passed>() + size_of::<Sock>() + 2 * size_of::<UnixName>();

/// Tells the descriptors that a call received; nothing where it received none.
#[inline(always)]
pub(super) fn tell_received(call: &mut InFlight) {
    if call.call.ret < 0 {
        return;
    }
    let messages = if call.call.class == u32::from(Class::RECVMMSG.0) {
        (call.call.ret as u64).min(MAX_MESSAGES)
    } else {
        1
    };
    tell_found(call, through(call.call.header.files, call.pointer, messages, false), step);
}

/// Tells the descriptors that a walk finds; nothing where there were none.
#[inline(always)]
pub(super) fn tell_found(call: &InFlight, start: Walk, step: Step) {
    let (found, len) = walk(start, size_of::<CallFds>(), step);
    let Some(room) = PASSING.get_ptr_mut(0) else { return };
    if found > 0 {
        // SAFETY: `take` left a record of that length in the room, its head apart.
        unsafe { tell::<PASSING_LEN>(Kind::CALL_FDS, room.cast(), &call.call, found, len) };
    }
}

/// The same for a request of an io_uring. One that goes on after it has completed has no message header: its control data
/// are where the kernel says, in `control`, and so many bytes.
#[inline(always)]
pub(super) fn tell_ring_received(flight: &RingFlight, control: Option<(u64, u64)>) {
    let files = flight.call.header.files;
    let start = match control {
        Some((control, used)) => Walk { messages: 1, ..over(files, control, used) },
        None => through(files, flight.pointer, 1, false),
    };
    let (found, len) = walk(start, size_of::<RingFds>(), step);
    let Some(room) = PASSING.get_ptr_mut(0) else { return };
    if found > 0 {
        // SAFETY: as in `tell_found`.
        unsafe { tell_ring::<PASSING_LEN>(room.cast(), flight, found, len) };
    }
}

/// Keeps the descriptors that a call is about to send. Says whether there are any.
#[inline(always)]
pub(super) fn keep_sent(call: &InFlight, tid: u32, vector: u64) -> bool {
    let messages = if call.call.class == u32::from(Class::SENDMMSG.0) { vector.min(MAX_MESSAGES) } else { 1 };
    let start = through(call.call.header.files, call.pointer, messages, true);
    keep(start, size_of::<CallFds>(), tid.into())
}

/// The same for a request of an io_uring, by its address, which is no thread's number.
#[inline(always)]
pub(super) fn keep_ring_sent(flight: &RingFlight, request: u64) -> bool {
    keep(through(flight.call.header.files, flight.pointer, 1, true), size_of::<RingFds>(), request)
}

#[inline(always)]
fn keep(start: Walk, head: usize, key: u64) -> bool {
    let (found, len) = walk(start, head, step);
    let Some(room) = PASSING.get_ptr_mut(0) else { return false };
    if found == 0 {
        return false;
    }
    // SAFETY: the room is as long as the head and what is kept, and valid for any bytes.
    let kept = unsafe {
        let head = room.cast::<CallFds>();
        (*head).count = found;
        // Until it is told, the length stands where the record has none.
        (*head).reserved = len;
        SENT.insert(key, &*room.cast::<Room<SENT_LEN>>(), 0).is_ok()
    };
    if !kept {
        count(Counter::IN_FLIGHT_FULL);
    }
    kept
}

/// Tells what a call sent, or failed to send.
#[inline(always)]
pub(super) fn tell_sent(call: &InFlight, tid: u32) {
    let key = u64::from(tid);
    let Some(kept) = SENT.get_ptr_mut(key) else { return };
    // SAFETY: `keep_sent` left a record there, its call apart; only this thread removes it.
    unsafe {
        let head = kept.cast::<CallFds>();
        let (count, len) = ((*head).count, (*head).reserved);
        tell::<SENT_LEN>(Kind::CALL_FDS, head, &call.call, count, len);
    }
    let _ = SENT.remove(key);
}

/// The same of a request of an io_uring.
#[inline(always)]
pub(super) fn tell_ring_sent(flight: &RingFlight, request: u64) {
    let Some(kept) = SENT.get_ptr_mut(request) else { return };
    // SAFETY: `keep_ring_sent` left a record there, its call and its request apart; only the request's completion removes it.
    unsafe {
        let head = kept.cast::<RingFds>();
        let (count, len) = ((*head).base.count, (*head).base.reserved);
        tell_ring::<SENT_LEN>(head, flight, count, len);
    }
    let _ = SENT.remove(request);
}

/// Completes a record and tells it.
///
/// # Safety
///
/// `head` is valid for `N` bytes.
#[inline(always)]
unsafe fn tell<const N: usize>(kind: Kind, head: *mut CallFds, call: &Call, count: u32, len: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        copy(&raw mut (*head).call, call);
        (*head).count = count;
        (*head).reserved = 0;
    }
    let len = opaque(len.into());
    if len > N as u64 {
        return;
    }
    // SAFETY: as above.
    unsafe { emit::bytes(kind, head.cast(), len as usize) };
}

/// The same for a request of an io_uring.
///
/// # Safety
///
/// As for [`tell`].
#[inline(always)]
unsafe fn tell_ring<const N: usize>(head: *mut RingFds, flight: &RingFlight, count: u32, len: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        copy(&raw mut (*head).request, &raw const flight.request);
        tell::<N>(Kind::RING_FDS, &raw mut (*head).base, &flight.call, count, len);
    }
}

// What is kept of a send is built in the room for a record.
const _: () = assert!(SENT_LEN <= PASSING_LEN && size_of::<Slot>().is_multiple_of(8));
