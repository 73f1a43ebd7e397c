//! Requests of io_urings that waited for their file before tracing began: the kernel keeps them in lists, by mark, where a
//! snapshot finds them. From then on they are known as those that were seen when they were submitted.

use crate::{
    file,
    globals::offset,
    kread::{field, pointer},
    maps::{REQUEST_SCRATCH, REQUESTS, RING_WAITING, RingWaiting},
    probes::{ring, ring_request},
    sock,
};
use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_loop};
use core::ffi::c_void;
use tracer_abi::{Class, Header, RING_OPERATION, RING_SUBJECT_DIRECT};

/// Bytes of a `struct io_hash_bucket` (include/linux/io_uring_types.h), which is aligned to a line of the cache.
const LIST: u64 = 64;
/// Most lists of a table: two to the power of this (`io_ring_ctx_alloc`, io_uring/io_uring.c).
const MOST_BITS: u32 = 8;
/// Steps of a walk: one for a list, one for a request.
const MAX_STEPS: u32 = 8192;

/// Bytes before the pointer back in a `struct hlist_node`, which is null where the node is in no list (include/linux/list.h).
const BACK: u32 = 8;

/// Looks for the requests of a ring that wait; `fill` writes the head of their records.
#[inline(always)]
pub(super) fn find(ring: u64, fill: impl FnOnce(&mut Header)) {
    let Some(place) = RING_WAITING.get_ptr_mut(0) else { return };
    // SAFETY: the map gave this CPU's value, which only the iterator uses; there is one at a time.
    let walk = unsafe { &mut *place };
    fill(&mut walk.header);
    walk.ring = ring;
    walk.request = 0;
    walk.lists = pointer(ring, offset!(ring_waiting)).unwrap_or(0);
    walk.left = lists(ring);
    walk.second = pointer(ring, offset!(ring_waiting_locked)).unwrap_or(0);
    // SAFETY: the callback has the signature that the helper asks for; it takes nothing from its second argument.
    unsafe { bpf_loop(MAX_STEPS, step as *const () as *mut c_void, core::ptr::null_mut(), 0) };
}

#[inline(always)]
fn lists(ring: u64) -> u32 {
    let bits: u32 = field(ring, offset!(ring_waiting_bits)).unwrap_or(0);
    1 << (bits & 31).min(MOST_BITS)
}

/// One step: goes on to the next list, or looks at one request. 1 ends the walk.
extern "C" fn step(_step: u32, _context: *mut c_void) -> i64 {
    let Some(place) = RING_WAITING.get_ptr_mut(0) else { return 1 };
    // SAFETY: as in `find`.
    let walk = unsafe { &mut *place };
    if walk.request == 0 {
        if walk.left == 0 {
            // Both tables have as many lists.
            (walk.lists, walk.left, walk.second) = (walk.second, lists(walk.ring), 0);
        }
        if walk.lists == 0 {
            return 1;
        }
        walk.request = pointer(walk.lists, offset!(bucket_first)).unwrap_or(0);
        walk.lists += LIST;
        walk.left -= 1;
        return 0;
    }
    let request = walk.request - u64::from(offset!(req_waits));
    walk.request = pointer(walk.request, 0).unwrap_or(0);
    note(walk, request);
    0
}

/// Notes one request. Its file is read when it completes: here, deeper calls would outgrow the stack.
#[inline(always)]
fn note(walk: &RingWaiting, request: u64) {
    let opcode: u8 = field(request, offset!(req_opcode)).unwrap_or(0);
    let class = Class::of_operation(opcode);
    let waits = matches!(class, Class::ACCEPT | Class::CONNECT | Class::RECVMSG);
    if !waits || REQUESTS.get_ptr(request).is_some() {
        return;
    }
    let Some(place) = REQUEST_SCRATCH.get_ptr_mut(1) else { return };
    // SAFETY: the map gave this CPU's second value, which only the iterator uses; there is one at a time.
    let flight = unsafe { &mut (*place).flight };
    flight.call.header = walk.header;
    flight.call.nr = RING_OPERATION | u32::from(opcode);
    flight.call.class = u32::from(class.0);
    (flight.call.enter, flight.call.ret, flight.pointer, flight.text_len) = (0, 0, 0, 0);
    file::clear_slot(&mut flight.call.subject);
    file::clear_slot(&mut flight.call.result);
    ring_request::identify(flight, walk.ring, request);
    let file = pointer(request, offset!(req_file)).unwrap_or(0);
    flight.sk = file::socket_of(file);
    let number: u32 = field(request, offset!(req_fd)).unwrap_or(u32::MAX);
    let direct = ring_request::is_fixed(request);
    // The number may have been closed, and may name another file by now.
    let named = if direct { file::direct(walk.ring, number) } else { file::at(walk.header.files, number) };
    let known = file != 0 && named == file;
    flight.call.args = [if known { number } else { u32::MAX }, 0, 0, 0];
    flight.call.subject.fd = if known { number as i32 } else { -1 };
    flight.request.flags = if known && direct { RING_SUBJECT_DIRECT } else { 0 };
    ring_request::ways(flight, request, class);
    let passes = class == Class::RECVMSG;
    if passes && sock::family(flight.sk) != sock::AF_UNIX || !ring::keep(flight, request, BPF_NOEXIST.into())
    {
        return;
    }
    // One that has completed meanwhile was looked for in vain.
    if pointer(request, offset!(req_waits) + BACK).is_none() {
        ring::forget(flight, request);
    }
}
