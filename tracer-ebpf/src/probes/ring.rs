//! Operations of io_urings: what each was asked when it was submitted, what came of it when it completed.
//!
//! A request is a kernel object: its operation, its arguments and its result are read there, never from the rings, which
//! are the program's memory. Threads that the kernel runs for a ring (`iou-wrk-*`, `iou-sqp-*`) belong to the process and
//! share its table (`create_io_thread`, kernel/fork.c), so the process that submits is the owner.

use crate::{
    emit, file,
    globals::offset,
    kread::{Block, copy, field, kernel_bytes, opaque, pointer, string, user_bytes, zero},
    maps::{MARKS, REQUEST_SCRATCH, REQUESTS, RingWork, SOCKETS, count},
    probes::ring_files,
    sock,
    task::{self, Scope},
};
use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::btf_tracepoint, programs::BtfTracePointContext};
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use tracer_abi::{
    CallAddr, CallSock, Class, Counter, Kind, PATH_LEN, RING_ANY_SLOT, RING_DOUBTFUL, RING_OPERATION,
    RING_RESULT_DIRECT, RING_SUBJECT_DIRECT, RING_UNCONFIRMED, RingAddr, RingCall, RingFlight, RingMark,
    RingMarked, RingPath, SLOT_PRESENT, SOCKADDR_LEN, Sock,
};

/// `REQ_F_FIXED_FILE`, `REQ_F_IO_DRAIN`, `REQ_F_CQE_SKIP` (include/linux/io_uring_types.h), the same as the `IOSQE_*` flags.
const FIXED_FILE: u32 = 1;
const IO_DRAIN: u32 = 2;
const CQE_SKIP: u32 = 64;

/// `IORING_ACCEPT_MULTISHOT` (include/uapi/linux/io_uring.h).
const ACCEPT_MULTISHOT: u32 = 1;

/// One more than the highest address family (include/linux/socket.h).
const AF_MAX: u16 = 46;

/// `IORING_OP_FILES_UPDATE` (include/uapi/linux/io_uring.h): does what io_uring_register(2) does.
const FILES_UPDATE: u8 = 20;

/// Bytes of a `struct io_kiocb` that hold what is read of it.
const REQUEST: usize = 128;

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
    let at = offset!(req_opcode) as usize;
    // SAFETY: it is a `struct io_kiocb *` of a tracepoint's arguments, which the verifier knows to be readable.
    let opcode = unsafe { request.add(at).read_volatile() };
    let class = Class::of_operation(opcode);
    if class == Class::NONE {
        return 0;
    }
    let scope = task::scope((bpf_get_current_pid_tgid() >> 32) as u32);
    if scope == Scope::None {
        return 0;
    }
    let Some(place) = REQUEST_SCRATCH.get_ptr_mut(0) else { return 0 };
    // SAFETY: the map gave this CPU's value, which only the programs of this file use; none interrupts another.
    let work = unsafe { &mut *place };
    let address = request as u64;
    let skip = begin(&mut work.flight, address, opcode, class) & CQE_SKIP != 0 && !refused;
    let flight = &mut work.flight;
    if scope == Scope::Whole && flight.sk != 0 && (class == Class::LISTEN || class == Class::CONNECT) {
        sock::read(flight.sk, &mut work.sock);
        if sock::has_states(&work.sock) {
            sock::track(&work.sock, flight.call.header.pid, flight.call.header.start, 0);
        }
    }
    if skip {
        // Only a failure completes.
        flight.request.flags |= RING_UNCONFIRMED;
        tell(work, scope);
        return 0;
    }
    let key = RingMark { ring: flight.request.ring, user_data: flight.request.user_data };
    if REQUESTS.insert(address, &*flight, 0).is_err() || !mark(&key, address, flight.multishot != 0) {
        count(Counter::REQUESTS_FULL);
    }
    0
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
    completed(ring, request, user_data, result);
    0
}

/// The same before 6.16: `TP_PROTO(void *ctx, void *req, u64 user_data, int res, unsigned cflags, ...)`.
#[btf_tracepoint(function = "io_uring_complete")]
fn ring_complete_values(ctx: BtfTracePointContext) -> i32 {
    let (ring, request) = (ctx.arg::<u64>(0), ctx.arg::<u64>(1));
    completed(ring, request, ctx.arg::<u64>(2), ctx.arg::<u64>(3) as i32);
    0
}

/// `TP_PROTO(void *ctx, unsigned long long user_data, s32 res, u32 cflags, void *ocqe)`: the completion queue is full, the
/// completion waits beside it (`io_alloc_ocqe`, io_uring/io_uring.c).
#[btf_tracepoint(function = "io_uring_cqe_overflow")]
fn ring_overflow(ctx: BtfTracePointContext) -> i32 {
    completed(ctx.arg::<u64>(0), 0, ctx.arg::<u64>(1), ctx.arg::<u64>(2) as i32);
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

/// A request with that mark is in flight no longer.
#[inline(always)]
fn unmark(key: &RingMark) {
    let Some(marked) = MARKS.get_ptr_mut(key) else { return };
    // SAFETY: as in `mark`.
    let before =
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::SeqCst }>(&raw mut (*marked).count, u64::MAX) };
    if before <= 1 {
        let _ = MARKS.remove(key);
    }
}

/// Tells what came of a request. Without one in `request`, the completion is one of several of an accept, or has found the
/// queue full: the request is looked for by ring and mark.
#[inline(always)]
fn completed(ring: u64, request: u64, user_data: u64, result: i32) {
    let Some(place) = REQUEST_SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: as in `ring_submit`.
    let work = unsafe { &mut *place };
    let key = RingMark { ring, user_data };
    let scope = if request == 0 {
        let scope = task::scope((bpf_get_current_pid_tgid() >> 32) as u32);
        if scope == Scope::None || !by_mark(work, &key, result) {
            return;
        }
        scope
    } else {
        let opcode: u8 = field(request, offset!(req_opcode)).unwrap_or(0);
        if opcode == FILES_UPDATE {
            ring_files::tell(ring, -1);
        }
        let class = Class::of_operation(opcode);
        if class == Class::NONE {
            return;
        }
        let Some(scope) = by_request(work, request, opcode, class, &key) else { return };
        scope
    };
    let flight = &mut work.flight;
    flight.call.header.ts = emit::now();
    flight.call.ret = i64::from(result);
    let pid_tgid = bpf_get_current_pid_tgid();
    if (pid_tgid >> 32) as u32 == flight.call.header.pid {
        // A descriptor goes to the table of the thread that ran the operation, which completes it too.
        flight.call.header.files = task::files(task::current());
    }
    tell(work, scope);
}

/// Finds what is known of a request that completes. One that was not seen when it was submitted was there before tracing, or
/// was submitted to complete only if it fails.
#[inline(always)]
fn by_request(work: &mut RingWork, request: u64, opcode: u8, class: Class, key: &RingMark) -> Option<Scope> {
    let flight = &mut work.flight;
    if let Some(kept) = REQUESTS.get_ptr(request) {
        copy(flight, kept);
        let _ = REQUESTS.remove(request);
        unmark(key);
    } else {
        if task::scope((bpf_get_current_pid_tgid() >> 32) as u32) == Scope::None {
            return None;
        }
        begin(flight, request, opcode, class);
        flight.call.enter = 0;
        if class == Class::CLOSE {
            // What the number names now is not what was closed.
            file::clear_slot(&mut flight.call.subject);
            flight.call.subject.fd = flight.call.args[0] as i32;
        } else if !matches!(class, Class::SOCKET | Class::OPEN) {
            // The result has taken the place of the number (`struct io_cqe`, include/linux/io_uring_types.h).
            file::clear_slot(&mut flight.call.subject);
            flight.call.args[0] = u32::MAX;
        }
    }
    if !matches!(class, Class::SOCKET | Class::OPEN | Class::CLOSE)
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
fn by_mark(work: &mut RingWork, key: &RingMark, result: i32) -> bool {
    let Some(marked) = MARKS.get_ptr(key) else { return false };
    // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is freed after a grace period.
    let (request, sharing) = unsafe { ((*marked).request, (*marked).count) };
    let Some(kept) = REQUESTS.get_ptr(request) else { return false };
    let flight = &mut work.flight;
    copy(flight, kept);
    if flight.multishot != 0 && result >= 0 {
        // It goes on.
        flight.call.enter = 0;
    } else {
        let _ = REQUESTS.remove(request);
        unmark(key);
    }
    if sharing > 1 {
        flight.request.flags |= RING_DOUBTFUL;
    }
    true
}

/// Writes what is known of a request before it has run. Returns its flags.
#[inline(always)]
fn begin(flight: &mut RingFlight, address: u64, opcode: u8, class: Class) -> u32 {
    let request = Block::<REQUEST>::read(address);
    macro_rules! word {
        ($field:ident) => {
            request.get::<u32>(address, offset!($field)).unwrap_or(0)
        };
    }
    flight.call.header = emit::current_header();
    flight.call.ret = 0;
    flight.call.nr = RING_OPERATION | u32::from(opcode);
    flight.call.class = u32::from(class.0);
    let flags = word!(req_flags);
    let ring: u64 = request.get(address, offset!(req_ring)).unwrap_or(0);
    let mut fd = word!(req_fd);
    let mut direct = flags & FIXED_FILE != 0;
    let mut args = [fd, 0, 0, 0];
    let mut slot = 0;
    flight.multishot = 0;
    match class {
        Class::SOCKET => {
            args = [word!(ring_socket_family), word!(ring_socket_type), word!(ring_socket_protocol), 0];
            slot = word!(ring_socket_slot);
        }
        Class::ACCEPT => {
            args[3] = word!(ring_accept_flags);
            slot = word!(ring_accept_slot);
            let ways = request.get(address, offset!(ring_accept_ways)).unwrap_or(ACCEPT_MULTISHOT);
            flight.multishot = ways & ACCEPT_MULTISHOT;
        }
        Class::BIND => args[2] = word!(ring_bind_len),
        Class::CONNECT => args[2] = word!(ring_connect_len),
        Class::LISTEN => args[1] = word!(ring_listen_backlog),
        Class::SHUTDOWN => args[1] = word!(ring_shutdown_how),
        Class::CLOSE => {
            fd = word!(ring_close_fd);
            let entry = word!(ring_close_slot);
            if entry != 0 {
                fd = entry - 1;
                direct = true;
            }
            args[0] = fd;
        }
        Class::OPEN => {
            args = [word!(ring_open_dfd), 0, word!(ring_open_flags), 0];
            slot = word!(ring_open_slot);
        }
        _ => {}
    }
    // A request of a chain, but for its first, and one that waits for those before it run later, nothing tells when.
    let waits = flags & IO_DRAIN != 0 || pointer(ring, offset!(ring_chain)).is_some();
    flight.call.enter = if waits { 0 } else { flight.call.header.ts };
    flight.call.args = args;
    flight.request.ring = ring;
    flight.request.user_data = request.get(address, offset!(req_user_data)).unwrap_or(0);
    flight.request.slot = slot;
    flight.request.flags = if direct { RING_SUBJECT_DIRECT } else { 0 };
    file::clear_slot(&mut flight.call.result);
    if matches!(class, Class::SOCKET | Class::OPEN) {
        file::clear_slot(&mut flight.call.subject);
        flight.request.flags = 0;
    } else if direct {
        file::read_direct(ring, fd, &mut flight.call.subject, class == Class::CLOSE);
    } else {
        file::read_slot(flight.call.header.files, fd as i32, &mut flight.call.subject, class == Class::CLOSE);
    }
    flight.sk = file::sk_of(&flight.call.subject.file);
    keep_text(flight, address, &request, class);
    flags
}

/// Keeps the kernel's copy of the path or address that the operation was given: it is gone when it completes.
#[inline(always)]
fn keep_text(flight: &mut RingFlight, address: u64, request: &Block<REQUEST>, class: Class) {
    flight.text_len = 0;
    if class == Class::OPEN {
        let name: u64 = request.get(address, offset!(ring_open_name)).unwrap_or(0);
        zero(flight.text.as_mut_ptr(), PATH_LEN);
        let path = pointer(name, offset!(filename_name)).unwrap_or(0);
        let len = string(flight.text.as_mut_ptr(), PATH_LEN, path);
        // The helper counts the terminating zero.
        flight.text_len = if len > 0 { len as u32 - 1 } else { 0 };
    } else if class == Class::BIND || class == Class::CONNECT {
        keep_address(flight, address, request, class);
    }
}

/// Keeps the address that `bind` or `connect` was given. `connect` keeps where it is, `bind` only a copy, which is the
/// operation's own data or lies in a `struct io_async_msghdr`, by kernel: it is where the socket's family stands.
#[inline(always)]
fn keep_address(flight: &mut RingFlight, address: u64, request: &Block<REQUEST>, class: Class) {
    zero(flight.text.as_mut_ptr(), SOCKADDR_LEN);
    let len = opaque(u64::from(flight.call.args[2]));
    if len == 0 || len > SOCKADDR_LEN as u64 {
        return;
    }
    let to = flight.text.as_mut_ptr();
    if class == Class::CONNECT {
        let from: u64 = request.get(address, offset!(ring_connect_address)).unwrap_or(0);
        if user_bytes(to, len as u32, from) {
            flight.text_len = len as u32;
        }
        return;
    }
    let Some(kept) = pointer(address, offset!(req_async)) else { return };
    let expected: Option<u16> = field(flight.sk, offset!(sk_family));
    for place in [0, offset!(ring_bind_address)] {
        let family: u16 = field(kept, place).unwrap_or(0);
        // Of a socket that a chain is yet to make, any family will do; elsewhere a pointer or nothing stands there.
        let is_family = expected.map_or(family > 0 && family < AF_MAX, |expected| family == expected);
        if is_family && kernel_bytes(to, len as u32, kept + u64::from(place)) {
            flight.text_len = len as u32;
            return;
        }
    }
}

/// Tells an operation: reads the entry that it filled and the socket that it is about.
#[inline(always)]
fn tell(work: &mut RingWork, scope: Scope) {
    let RingWork { flight, sock, listening } = work;
    let class = Class(flight.call.class as u16);
    let makes = matches!(class, Class::SOCKET | Class::ACCEPT | Class::OPEN | Class::DUP);
    let done = flight.call.ret >= 0 && flight.request.flags & RING_UNCONFIRMED == 0;
    if makes && done {
        let number = flight.call.ret as u32;
        match flight.request.slot {
            0 => file::read_slot(flight.call.header.files, number as i32, &mut flight.call.result, true),
            slot => {
                let index = if slot == RING_ANY_SLOT { number } else { slot - 1 };
                file::read_direct(flight.request.ring, index, &mut flight.call.result, true);
                flight.request.flags |= RING_RESULT_DIRECT;
            }
        }
    }
    if class == Class::OPEN {
        if scope == Scope::Whole {
            tell_path(flight);
        }
        return;
    }
    let made = file::sk_of(&flight.call.result.file);
    let (sk, listener) = match class {
        Class::ACCEPT => (made, flight.sk),
        Class::CLOSE => (0, 0),
        _ if made != 0 => (made, 0),
        _ => (flight.sk, 0),
    };
    if class == Class::ACCEPT && flight.request.flags & RING_DOUBTFUL != 0 && made == 0 {
        // Another operation's completion.
        return;
    }
    let mut queued = 0;
    let known = if listener == 0 { None } else { SOCKETS.get_ptr_mut(sk) };
    if let Some(tracked) = known {
        // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is freed after a grace period.
        unsafe {
            copy(&raw mut *sock, &raw const (*tracked).sock);
            sock.state = u16::from(sock::state(sk));
            queued = (*tracked).queued;
            (*tracked).pid = flight.call.header.pid;
            (*tracked).start = flight.call.header.start;
        }
    } else {
        sock::read(sk, sock);
    }
    let queue = if listener != 0 { sock::queue(listener) } else { (0, 0) };
    if scope == Scope::Sockets {
        let about = if class == Class::CLOSE { flight.sk } else { listener };
        sock::read(about, listening);
        if !sock::port_selected(sock) && !sock::port_selected(listening) {
            return;
        }
        task::follow(flight.call.header.pid, true);
    }
    let new = known.is_none() && (listener != 0 || scope == Scope::Sockets);
    if new && flight.call.ret >= 0 && sock::has_states(sock) && sock.state != sock::TCP_CLOSE {
        sock::track(sock, flight.call.header.pid, flight.call.header.start, 0);
    }
    let is_unix = sock.family == sock::AF_UNIX;
    if !is_unix && class != Class::BIND && class != Class::CONNECT {
        emit::record::<RingCall>(Kind::RING_CALL, &flight.call.header, |record| {
            // SAFETY: the ring buffer gave room for a whole record.
            unsafe {
                fill(&raw mut (*record).base, flight, sock, listener, queued, queue);
                copy(&raw mut (*record).request, &raw const flight.request);
            }
        });
        return;
    }
    emit::record::<RingAddr>(Kind::RING_ADDR, &flight.call.header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            let base: *mut CallAddr = &raw mut (*record).base;
            fill(&raw mut (*base).base, flight, sock, listener, queued, queue);
            let (own, peer) = if is_unix { (sk, sock::unix_peer(sk)) } else { (0, 0) };
            sock::unix_name(own, &mut (*base).local);
            sock::unix_name(peer, &mut (*base).peer);
            (*base).asked.reserved = 0;
            (*base).asked.len = flight.text_len;
            copy((&raw mut (*base).asked.bytes), flight.text.as_ptr().cast());
            copy(&raw mut (*record).request, &raw const flight.request);
        }
    });
}

/// Fills a record about a socket.
///
/// # Safety
///
/// `record` is valid for writes.
#[inline(always)]
unsafe fn fill(
    record: *mut CallSock,
    flight: &RingFlight,
    sock: &Sock,
    listener: u64,
    queued: u64,
    queue: (u32, u32),
) {
    // SAFETY: the caller's promise.
    unsafe {
        copy(&raw mut (*record).call, &raw const flight.call);
        copy(&raw mut (*record).sock, sock);
        (*record).listener = listener;
        (*record).queued = queued;
        ((*record).queue_len, (*record).queue_limit) = queue;
    }
}

/// Tells an operation with a path.
#[inline(always)]
fn tell_path(flight: &RingFlight) {
    emit::record::<RingPath>(Kind::RING_PATH, &flight.call.header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            copy(&raw mut (*record).base.call, &raw const flight.call);
            (*record).base.reserved = 0;
            (*record).base.path_len = flight.text_len;
            copy(&raw mut (*record).base.path, &raw const flight.text);
            copy(&raw mut (*record).request, &raw const flight.request);
        }
    });
}
