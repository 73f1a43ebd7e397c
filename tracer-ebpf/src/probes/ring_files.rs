//! File tables of io_urings: entries that are descriptors without a number. Operations fill and empty them one by one; what
//! io_uring_register(2) does to them, and what a snapshot finds, is told as a list of what is there.

use crate::{
    emit, file,
    globals::offset,
    kread::{copy, field},
    maps::{IN_FLIGHT, RING_LIST, RingWalk, count},
    sock,
    task::{self, Current, Scope},
};
use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_loop},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use core::ffi::c_void;
use tracer_abi::{
    Counter, Header, Kind, RING_LIST_BEGINS, RING_LIST_ENDS, RING_LIST_ENTRY, RING_LIST_LEN, RingSlot,
};

/// `IORING_SETUP_REGISTERED_FD_ONLY` (include/uapi/linux/io_uring.h): the ring has no number.
const REGISTERED_FD_ONLY: u32 = 1 << 15;

/// `TP_PROTO(int fd, void *ctx, u32 sq_entries, u32 cq_entries, u32 flags)`, include/trace/events/io_uring.h. The ring has its
/// descriptor by now.
#[btf_tracepoint(function = "io_uring_create")]
fn ring_create(ctx: BtfTracePointContext) -> i32 {
    let numbered = ctx.arg::<u32>(4) & REGISTERED_FD_ONLY == 0;
    if !numbered && let Some(call) = IN_FLIGHT.get_ptr_mut(bpf_get_current_pid_tgid() as u32) {
        // SAFETY: the map gave a valid pointer, and only this thread removes the entry, when its call returns.
        unsafe { (*call).registered = 1 };
    }
    tell(ctx.arg::<u64>(1), if numbered { ctx.arg::<i32>(0) } else { -1 });
    0
}

/// `TP_PROTO(void *ctx, unsigned opcode, unsigned nr_files, unsigned nr_bufs, long ret)`: after the call.
#[btf_tracepoint(function = "io_uring_register")]
fn ring_register(ctx: BtfTracePointContext) -> i32 {
    // `IORING_REGISTER_FILES`, `IORING_UNREGISTER_FILES`, `IORING_REGISTER_FILES_UPDATE`, `IORING_REGISTER_FILES2`,
    // `IORING_REGISTER_FILES_UPDATE2`; a failed update may have changed some.
    if matches!(ctx.arg::<u32>(1), 2 | 3 | 6 | 13 | 14) {
        tell(ctx.arg::<u64>(0), -1);
    }
    0
}

/// Tells the file table of a ring of the current task.
#[inline(always)]
pub(super) fn tell(ring: u64, fd: i32) {
    if task::scope((bpf_get_current_pid_tgid() >> 32) as u32) != Scope::Whole {
        return;
    }
    if let Some(place) = RING_LIST.get_ptr_mut(0) {
        // SAFETY: the map gave this CPU's value, which only tracepoints of rings use; none interrupts another.
        let walk = unsafe { &mut *place };
        walk.header = emit::current_header(Current::read());
        walk.found = 0;
        list(walk, ring, fd);
    }
}

/// Tells what a snapshot found of a ring: `fill` writes the head.
#[inline(always)]
pub(super) fn tell_found(ring: u64, fd: i32, fill: impl FnOnce(&mut Header)) {
    if let Some(place) = RING_LIST.get_ptr_mut(1) {
        // SAFETY: the map gave this CPU's value, which only the iterator uses; there is one at a time.
        let walk = unsafe { &mut *place };
        fill(&mut walk.header);
        walk.found = 1;
        list(walk, ring, fd);
    }
}

#[inline(always)]
fn list(walk: &mut RingWalk, ring: u64, fd: i32) {
    let len: u32 = field(ring, offset!(ring_files_len)).unwrap_or(0);
    if len > RING_LIST_LEN {
        count(Counter::DIRECT_BEYOND);
    }
    walk.ring = ring;
    walk.fd = fd;
    walk.part = RING_LIST_BEGINS;
    step(walk);
    walk.part = RING_LIST_ENTRY;
    let steps = if len < RING_LIST_LEN { len } else { RING_LIST_LEN };
    // The helper takes a place on the stack.
    let mut place: *mut RingWalk = walk;
    // SAFETY: the callback has the signature that the helper asks for, and `place` outlives the call.
    unsafe { bpf_loop(steps, entry as *const () as *mut c_void, (&raw mut place).cast(), 0) };
    walk.part = RING_LIST_ENDS;
    step(walk);
}

extern "C" fn entry(index: u32, place: *mut *mut RingWalk) -> i64 {
    // SAFETY: the helper passes the pointer that `list` gave it.
    let walk = unsafe { &mut **place };
    walk.fd = index as i32;
    if file::has_direct(walk.ring, index) {
        step(walk);
    }
    0
}

/// Tells one part of the list. What it tells is read before there is room for it: a deeper call would outgrow the stack.
#[inline(always)]
fn step(walk: &mut RingWalk) {
    if walk.part == RING_LIST_ENTRY {
        file::read_direct(walk.ring, walk.fd as u32, &mut walk.slot, true);
    } else {
        file::read_slot(walk.header.files, walk.fd, &mut walk.slot, false);
    }
    sock::read(file::sk_of(&walk.slot.file), &mut walk.sock);
    emit::part::<RingSlot>(Kind::RING_SLOT, &walk.header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            (*record).ring = walk.ring;
            (*record).part = walk.part;
            (*record).found = walk.found;
            copy(&raw mut (*record).slot, &raw const walk.slot);
            copy(&raw mut (*record).sock, &raw const walk.sock);
        }
    });
}
