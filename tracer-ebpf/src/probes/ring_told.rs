//! What came of a request of an io_uring, in the smallest record that fits.

use crate::{
    emit, file,
    globals::offset,
    kread::{copy, field, pointer, user, zero},
    maps::RingWork,
    probes::{passed, ring_request::passes},
    sock,
    task::{self, Scope},
};
use tracer_abi::{
    CallAddr, CallPair, CallSock, Class, Kind, RING_ANY_SLOT, RING_BY_MARK, RING_RESULT_DIRECT,
    RING_UNCONFIRMED, RingAddr, RingCall, RingFlight, RingPair, RingPath, RingRef, Slot, Sock,
};

/// Tells an operation: reads the entries that it filled and the socket that it is about.
#[inline(always)]
pub(super) fn tell(work: &mut RingWork, scope: Scope, request: u64) {
    let RingWork { flight, sock, listening, .. } = work;
    let class = Class(flight.call.class as u16);
    let makes = matches!(class, Class::SOCKET | Class::ACCEPT | Class::OPEN | Class::DUP | Class::MSG_RING);
    let done = flight.call.ret >= 0 && flight.request.flags & RING_UNCONFIRMED == 0;
    if passes(class) || class == Class::PAIR {
        if scope == Scope::Whole {
            tell_numbers(flight, class, request, done);
        }
        return;
    }
    if makes && done {
        let number = flight.call.ret as u32;
        match flight.request.slot {
            0 => file::read_slot(flight.call.header.files, number as i32, &mut flight.call.result, true),
            slot => {
                let index = if slot == RING_ANY_SLOT { number } else { slot - 1 };
                let RingRef { ring, target, .. } = flight.request;
                let ring = if target == 0 { ring } else { target };
                file::read_direct(ring, index, &mut flight.call.result, true);
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
    if class == Class::ACCEPT && flight.request.flags & RING_BY_MARK != 0 && !accepted(flight, made) {
        return;
    }
    let known = if listener == 0 { None } else { sock::adopt(sk, sock, &flight.call.header) };
    // A value for either case: the compiler would read what is not there, which the verifier refuses.
    let (is_known, queued) = known.map_or((false, 0), |queued| (true, queued));
    let by_mark = class == Class::ACCEPT && flight.request.flags & RING_BY_MARK != 0 && made != 0;
    if by_mark && is_known && queued == 0 {
        // A connection that was accepted before.
        return;
    }
    // Of other sockets user space knows whether they were there, and tells nothing of those: they take no number.
    let is_part = by_mark && !is_known;
    if !is_known {
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
    let new = !is_known && (listener != 0 || scope == Scope::Sockets);
    if new && flight.call.ret >= 0 && sock::has_states(sock) && sock.state != sock::TCP_CLOSE {
        sock::follow_states(sock, flight.call.header.pid, flight.call.header.start, 0);
    }
    let is_unix = sock.family == sock::AF_UNIX;
    if !is_unix && class != Class::BIND && class != Class::CONNECT {
        emit::record_or_part::<RingCall>(Kind::RING_CALL, &flight.call.header, is_part, |record| {
            // SAFETY: the ring buffer gave room for a whole record.
            unsafe {
                fill(&raw mut (*record).base, flight, sock, listener, queued, queue);
                copy(&raw mut (*record).request, &raw const flight.request);
            }
        });
        return;
    }
    emit::record_or_part::<RingAddr>(Kind::RING_ADDR, &flight.call.header, is_part, |record| {
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

/// Whether a completion that does not name its request can be that of the accept that has its mark: it made a socket of the
/// listener's family. Requests that are not traced may have the same mark, and a result that is any number.
#[inline(always)]
fn accepted(flight: &RingFlight, made: u64) -> bool {
    flight.call.ret < 0 || made != 0 && sock::family(made) == sock::family(flight.sk)
}

/// Tells an operation whose numbers are in the caller's memory.
#[inline(always)]
fn tell_numbers(flight: &mut RingFlight, class: Class, request: u64, done: bool) {
    match class {
        Class::RECVMSG if done => passed::tell_ring_received(flight, control(flight, request)),
        Class::SENDMSG => passed::tell_ring_sent(flight, request),
        Class::PAIR => tell_pair(flight, done),
        _ => {}
    }
}

/// Where the control data of a message are that a `recvmsg` took which goes on: it has no header in the caller's memory. The
/// kernel's copy says what comes behind them, and how much room is left of what there was (`io_recvmsg_multishot`,
/// io_uring/net.c).
#[inline(always)]
fn control(flight: &RingFlight, request: u64) -> Option<(u64, u64)> {
    if flight.multishot == 0 {
        return None;
    }
    let kept = pointer(request, offset!(req_async)).unwrap_or(0);
    let next: u64 = field(kept, offset!(ring_msg_control)).unwrap_or(0);
    let left: u64 = field(kept, offset!(ring_msg_left)).unwrap_or(0);
    let room: u64 = field(kept, offset!(ring_msg_room)).unwrap_or(0);
    let used = room.saturating_sub(left);
    Some((next.saturating_sub(used), used))
}

/// Tells an operation that makes two descriptors.
#[inline(always)]
fn tell_pair(flight: &mut RingFlight, done: bool) {
    let [mut first, mut second] = [-1; 2];
    let slot = flight.request.slot;
    if done && (slot == 0 || slot == RING_ANY_SLOT) {
        [first, second] = user::<[i32; 2]>(flight.pointer).unwrap_or([-1; 2]);
    } else if done {
        // A chosen place and the one behind it (`io_pipe_fixed`, io_uring/openclose.c).
        [first, second] = [slot as i32 - 1, slot as i32];
    }
    if slot != 0 {
        flight.request.flags |= RING_RESULT_DIRECT;
    }
    read_end(flight.call.header.files, &flight.request, first, &mut flight.call.result);
    emit::record::<RingPair>(Kind::RING_PAIR, &flight.call.header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            let base: *mut CallPair = &raw mut (*record).base;
            copy(&raw mut (*base).call, &raw const flight.call);
            read_end(flight.call.header.files, &flight.request, second, &mut (*base).second);
            zero((&raw mut (*base).first_sock).cast(), size_of::<Sock>());
            zero((&raw mut (*base).second_sock).cast(), size_of::<Sock>());
            copy(&raw mut (*record).request, &raw const flight.request);
        }
    });
}

/// Reads one of two descriptors; a negative number stands for none.
#[inline(always)]
fn read_end(files: u64, request: &RingRef, number: i32, slot: &mut Slot) {
    if request.slot == 0 || number < 0 {
        file::read_slot(files, number, slot, true);
    } else {
        file::read_direct(request.ring, number as u32, slot, true);
    }
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
