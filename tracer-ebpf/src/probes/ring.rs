//! Operations of io_urings: what each was asked when it was submitted, what came of it when it completed.
//!
//! A request is a kernel object: its operation, its arguments and its result are read there, never from the rings, which
//! are the program's memory. Threads that the kernel runs for a ring (`iou-wrk-*`, `iou-sqp-*`) belong to the process and
//! share its table (`create_io_thread`, kernel/fork.c), so the process that submits is the owner.

use crate::{
    emit, file,
    globals::offset,
    kread::{copy, field, pointer},
    maps::{MARKS, REQUEST_SCRATCH, REQUESTS, RingWork, SENT, count},
    probes::{
        passed, ring_files,
        ring_request::{CQE_SKIP, begin, has_control, keep_text, names_descriptor, passes, wanted},
        ring_told::tell,
    },
    sock,
    task::{self, Current, Scope},
};
use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::btf_tracepoint, programs::BtfTracePointContext};
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use tracer_abi::{
    Class, Counter, RING_BY_MARK, RING_DOUBTFUL, RING_UNCONFIRMED, RingFlight, RingMark, RingMarked,
    SLOT_PRESENT,
};

/// `IORING_OP_FILES_UPDATE` (include/uapi/linux/io_uring.h): does what io_uring_register(2) does.
const FILES_UPDATE: u8 = 20;

/// `TP_PROTO(struct io_kiocb *req)`, include/trace/events/io_uring.h; before 6.4 `io_uring_submit_sqe` with a second
/// argument. The operation has read its entry of the submission queue by now (`io_init_req`, io_uring/io_uring.c).
#[btf_tracepoint(function = "io_uring_submit_req")]
fn ring_submit(ctx: BtfTracePointContext) -> i32 {
    submitted(ctx.arg::<*const u8>(0), false)
}

/// `TP_PROTO(const struct io_uring_sqe *sqe, struct io_kiocb *req, int error)`: the request is refused, and completes with
/// that error (`io_submit_fail_init`, io_uring/io_uring.c).
#[btf_tracepoint(function = "io_uring_req_failed")]
fn ring_refused(ctx: BtfTracePointContext) -> i32 {
    submitted(ctx.arg::<*const u8>(1), true)
}

/// Keeps what a request asks for.
#[inline(always)]
fn submitted(request: *const u8, refused: bool) -> i32 {
    let task = Current::read();
    let at = offset!(req_opcode) as usize;
    // SAFETY: it is a `struct io_kiocb *` of a tracepoint's arguments, which the verifier knows to be readable.
    let opcode = unsafe { request.add(at).read_volatile() };
    let class = Class::of_operation(opcode);
    let address = request as u64;
    if class == Class::NONE || !wanted(address, class) {
        return 0;
    }
    let scope = task::scope((bpf_get_current_pid_tgid() >> 32) as u32);
    if scope == Scope::None || passes(class) && (scope != Scope::Whole || !has_control(address)) {
        return 0;
    }
    let Some(place) = REQUEST_SCRATCH.get_ptr_mut(0) else { return 0 };
    // SAFETY: the map gave this CPU's value, which only the tracepoints of this file use; none interrupts another.
    let work = unsafe { &mut *place };
    let flight = &mut work.flight;
    flight.call.header = emit::current_header(task);
    let skip = begin(flight, &mut work.request, address, opcode, class) & CQE_SKIP != 0 && !refused;
    keep_text(flight, address, class);
    if scope == Scope::Whole && flight.sk != 0 && (class == Class::LISTEN || class == Class::CONNECT) {
        sock::read(flight.sk, &mut work.sock);
        if sock::has_states(&work.sock) {
            let (header, ino) = (&flight.call.header, flight.call.subject.file.ino);
            sock::follow_states(&work.sock, header.pid, header.start, ino);
        }
    }
    if passes(class) {
        // Only unix sockets pass descriptors. The socket may be one that a chain is yet to make.
        let may_be_unix = flight.sk == 0 && flight.call.enter == 0;
        if !may_be_unix && sock::family(flight.sk) != sock::AF_UNIX {
            return 0;
        }
        if class == Class::SENDMSG && !passed::keep_ring_sent(flight, address) {
            return 0;
        }
    }
    if skip {
        // Only a failure completes.
        flight.request.flags |= RING_UNCONFIRMED;
        tell(work, scope, address);
        return 0;
    }
    if !keep(flight, address, 0) {
        count(Counter::REQUESTS_FULL);
        let _ = SENT.remove(address);
    }
    0
}

/// Keeps a request in flight, and counts it with its mark.
#[inline(always)]
pub(super) fn keep(flight: &mut RingFlight, request: u64, flags: u64) -> bool {
    let key = RingMark { ring: flight.request.ring, user_data: flight.request.user_data };
    // SAFETY: as in `mark`.
    flight.before = MARKS.get_ptr(&key).map_or(0, |marked| unsafe { (*marked).request });
    REQUESTS.insert(request, &*flight, flags).is_ok() && mark(&key, request, flight.multishot != 0)
}

/// Forgets one that does not wait any longer.
#[inline(always)]
pub(super) fn forget(flight: &RingFlight, request: u64) {
    let _ = REQUESTS.remove(request);
    let key = RingMark { ring: flight.request.ring, user_data: flight.request.user_data };
    unmark(&key, request, flight.before);
}

/// `TP_PROTO(struct io_ring_ctx *ctx, void *req, struct io_uring_cqe *cqe)`, include/trace/events/io_uring.h. Runs when the
/// completion is in its queue, before the request is given back.
#[btf_tracepoint(function = "io_uring_complete")]
fn ring_complete(ctx: BtfTracePointContext) -> i32 {
    let (ring, request) = (ctx.arg::<*const u8>(0) as u64, ctx.arg::<*const u8>(1) as u64);
    let entry = ctx.arg::<*const u64>(2);
    // SAFETY: the tracepoint's argument is a `struct io_uring_cqe *` (include/uapi/linux/io_uring.h), which the verifier
    // knows to be readable.
    let (user_data, result) = unsafe { (entry.read_volatile(), entry.add(1).cast::<i32>().read_volatile()) };
    completed(ring, request, user_data, result, false);
    0
}

/// The same before 6.16: `TP_PROTO(void *ctx, void *req, u64 user_data, int res, unsigned cflags, ...)`.
#[btf_tracepoint(function = "io_uring_complete")]
fn ring_complete_values(ctx: BtfTracePointContext) -> i32 {
    let (ring, request) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1));
    completed(ring, request, ctx.arg::<u64>(2), ctx.arg::<u64>(3) as i32, false);
    0
}

/// `TP_PROTO(void *ctx, unsigned long long user_data, s32 res, u32 cflags, void *ocqe)`: the completion queue is full, the
/// completion waits beside it (`io_alloc_ocqe`, io_uring/io_uring.c).
#[btf_tracepoint(function = "io_uring_cqe_overflow")]
fn ring_overflow(ctx: BtfTracePointContext) -> i32 {
    completed(ctx.arg::<u64>(0), 0, ctx.arg::<u64>(1), ctx.arg::<u64>(2) as i32, true);
    0
}

/// Counts a request with its mark.
#[inline(always)]
fn mark(key: &RingMark, request: u64, multishot: bool) -> bool {
    let Some(marked) = MARKS.get_ptr_mut(key) else {
        return MARKS.insert(key, RingMarked { request, count: 1 }, 0).is_ok();
    };
    // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is freed after a grace period. The count is
    // only ever changed as an atomic.
    unsafe {
        atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(&raw mut (*marked).count, 1);
        if multishot {
            (*marked).request = request;
        }
    }
    true
}

/// A request with that mark is in flight no longer. What completes more than once by it is the one `before` again: if that has
/// ended too while a third is in flight, what this one makes is found by a check.
#[inline(always)]
fn unmark(key: &RingMark, request: u64, before: u64) {
    let Some(marked) = MARKS.get_ptr_mut(key) else { return };
    // SAFETY: as in `mark`.
    let sharing = unsafe {
        if (*marked).request == request {
            (*marked).request = before;
        }
        atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(&raw mut (*marked).count, u64::MAX)
    };
    if sharing <= 1 {
        let _ = MARKS.remove(key);
    }
}

/// Tells what came of a request. Without one in `request`, the completion is one of several of a request, or has found the
/// queue full: the request is looked for by ring and mark.
#[inline(always)]
fn completed(ring: u64, mut request: u64, user_data: u64, result: i32, overflow: bool) {
    let task = Current::read();
    let Some(place) = REQUEST_SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: as in `submitted`.
    let work = unsafe { &mut *place };
    let key = RingMark { ring, user_data };
    let scope = if request == 0 {
        let scope = task::scope((bpf_get_current_pid_tgid() >> 32) as u32);
        if scope == Scope::None {
            return;
        }
        let Some(found) = by_mark(work, &key, result, overflow) else { return };
        request = found;
        scope
    } else {
        let opcode: u8 = field(request, offset!(req_opcode)).unwrap_or(0);
        if opcode == FILES_UPDATE {
            ring_files::tell(ring, -1);
        }
        let class = Class::of_operation(opcode);
        if class == Class::NONE || !wanted(request, class) {
            return;
        }
        let Some(scope) = by_request(work, request, (opcode, class), &key, task) else { return };
        scope
    };
    let flight = &mut work.flight;
    flight.call.header.ts = emit::now();
    flight.call.ret = i64::from(result);
    if flight.call.class == u32::from(Class::MSG_RING.0) {
        // The file that the operation names is the other ring.
        let file = pointer(request, offset!(req_file)).unwrap_or(0);
        flight.request.target = field(file, offset!(file_private)).unwrap_or(0);
    }
    let pid_tgid = bpf_get_current_pid_tgid();
    if (pid_tgid >> 32) as u32 == flight.call.header.pid {
        // A descriptor goes to the table of the thread that ran the operation, which completes it too.
        flight.call.header.files = task.files();
    }
    tell(work, scope, request);
}

/// Finds what is known of a request that completes. One that was not seen when it was submitted was there before tracing, or
/// was submitted to complete only if it fails.
#[inline(always)]
fn by_request(
    work: &mut RingWork,
    request: u64,
    (opcode, class): (u8, Class),
    key: &RingMark,
    task: Current,
) -> Option<Scope> {
    let flight = &mut work.flight;
    if let Some(kept) = REQUESTS.get_ptr(request) {
        copy(flight, kept);
        let _ = REQUESTS.remove(request);
        unmark(key, request, flight.before);
    } else {
        // Whether a message passes descriptors was asked when it was submitted.
        if passes(class) || task::scope((bpf_get_current_pid_tgid() >> 32) as u32) == Scope::None {
            return None;
        }
        flight.call.header = emit::current_header(task);
        begin(flight, &mut work.request, request, opcode, class);
        keep_text(flight, request, class);
        flight.call.enter = 0;
        if class == Class::CLOSE || class == Class::MSG_RING {
            // What the number names now is not what was meant.
            file::clear_slot(&mut flight.call.subject);
            flight.call.subject.fd = flight.call.args[0] as i32;
        } else if names_descriptor(class) {
            // The result has taken the place of the number (`struct io_cqe`, include/linux/io_uring_types.h).
            file::clear_slot(&mut flight.call.subject);
            flight.call.args[0] = u32::MAX;
        }
    }
    if names_descriptor(class)
        && !matches!(class, Class::CLOSE | Class::MSG_RING)
        && let Some(file) = pointer(request, offset!(req_file))
    {
        // The file that the operation ran on; a chain may have made it after this was submitted.
        file::file_ref(file, &mut flight.call.subject.file);
        flight.call.subject.flags |= SLOT_PRESENT;
        flight.sk = file::sk_of(&flight.call.subject.file);
    }
    // One that ends after its process was followed is told as well.
    let scope = task::scope(flight.call.header.pid);
    Some(if scope == Scope::None { Scope::Whole } else { scope })
}

/// Finds the request of a completion that does not name it.
#[inline(always)]
fn by_mark(work: &mut RingWork, key: &RingMark, result: i32, overflow: bool) -> Option<u64> {
    let marked = MARKS.get_ptr(key)?;
    // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is freed after a grace period.
    let (request, sharing) = unsafe { ((*marked).request, (*marked).count) };
    let kept = REQUESTS.get_ptr(request)?;
    let flight = &mut work.flight;
    copy(flight, kept);
    if flight.multishot != 0 && result >= 0 {
        // It goes on.
        flight.call.enter = 0;
    } else {
        // Only where the queue is full does one end without its name; its result stands in the request. Other requests that
        // are not traced may have the same mark.
        let ended = sharing > 1 || field::<i32>(request, offset!(req_res)) == Some(result);
        if !overflow || !ended {
            return None;
        }
        let _ = REQUESTS.remove(request);
        unmark(key, request, flight.before);
    }
    flight.request.flags |= RING_BY_MARK;
    if sharing > 1 {
        flight.request.flags |= RING_DOUBTFUL;
    }
    Some(request)
}
