//! System calls: what they were asked at entry, what came of it at exit.
//!
//! Entry keeps the arguments and the slot that the call names (a slot is emptied at entry: by the exit of a lingering
//! close another thread may have filled the number again). Exit reads the slots that were filled and the socket.

use crate::{
    emit, file,
    globals::config,
    kread::{clear, copy, opaque, user, user_bytes, zero},
    maps::{ASKED, ASKED_SCRATCH, IN_FLIGHT, SCRATCH, SYSCALLS, Work, count},
    probes::{addfd, found, let_down, outcome, passed, queue, wanted},
    sock, table,
    task::{self, Current, Scope},
};
use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_abi::{Class, Counter, Entry, InFlight, SLOT_NONBLOCK, SOCKADDR_LEN, Sock};

/// Places of the arguments, the call's number and the return value in the x86-64 `struct pt_regs`
/// (arch/x86/include/asm/ptrace.h), in words. System calls pass their fourth argument in r10 (syscall(2)).
pub(super) mod regs {
    pub(super) const DI: usize = 14;
    pub(super) const SI: usize = 13;
    pub(super) const DX: usize = 12;
    pub(super) const R10: usize = 7;
    pub(super) const R8: usize = 9;
    pub(in crate::probes) const ORIG_AX: usize = 15;
    pub(in crate::probes) const BP: usize = 4;
    pub(in crate::probes) const IP: usize = 16;
    pub(in crate::probes) const SP: usize = 19;
}

/// What a send without an address fails with on a datagram socket that has no peer. By then it has given the socket its
/// port (`inet_send_prepare`, net/ipv4/af_inet.c, comes before `udp_sendmsg`). Negative, as calls return it.
const EDESTADDRREQ: i64 = -89;

/// The arguments that are looked at.
#[derive(Clone, Copy)]
pub(crate) struct Arguments(pub(crate) [u64; 4]);

impl Arguments {
    /// Reads them. They stay in place until the call returns.
    #[inline(always)]
    pub(super) fn of(regs: *const u64) -> Self {
        // SAFETY: `regs` is the tracepoint's `struct pt_regs *`, which the verifier knows to be readable.
        unsafe { Self([*regs.add(regs::DI), *regs.add(regs::SI), *regs.add(regs::DX), *regs.add(regs::R10)]) }
    }
}

/// `TP_PROTO(struct pt_regs *regs, long id)`, include/trace/events/syscalls.h.
#[btf_tracepoint(function = "sys_enter")]
fn call_enter(ctx: BtfTracePointContext) -> i32 {
    let number: u64 = ctx.arg(1);
    let Some(entry) = traced(number) else { return 0 };
    let regs = ctx.arg::<*const u64>(0);
    if is_told_by_its_end(entry, regs) {
        return 0;
    }
    let task = Current::read();
    let pid_tgid = bpf_get_current_pid_tgid();
    let scope = task::scope((pid_tgid >> 32) as u32);
    let arguments = Arguments::of(regs);
    let gives = addfd::is_request(entry, &arguments);
    if scope == Scope::None && !gives {
        return 0;
    }
    if task::in_compat_call() {
        count(Counter::COMPAT_CALLS);
        return 0;
    }
    if !wanted::by_arguments(entry, &arguments) || !wanted::by_objects(entry, &arguments, scope, task) {
        return 0;
    }
    let Some(place) = SCRATCH.get_ptr_mut(0) else { return 0 };
    // SAFETY: the map gave this CPU's value, which only `call_enter` and `call_exit` use; neither interrupts the other.
    let Work { flight: call, sock, .. } = unsafe { &mut *place };
    begin(call, number, entry, &arguments, task);
    call.call.enter = call.call.header.ts;
    if wanted::sets_nonblock(entry, &arguments) && !changes_nonblock(call, entry, &arguments) {
        return 0;
    }
    if scope == Scope::Whole {
        follow_states(call, sock, entry);
    } else if call.sk != 0 {
        sock::read(call.sk, sock);
        let selected = sock::port_selected(sock) || asks_for_port(entry, &arguments);
        if entry.class == Class::CLOSE.0 && !selected {
            // After a close the socket cannot be asked for its port any more.
            return 0;
        }
        if selected && matches!(Class(entry.class), Class::BIND | Class::LISTEN | Class::CONNECT) {
            found::tell(call, sock);
        }
    } else if entry.class == Class::CLOSE.0 {
        return 0;
    }
    let tid = pid_tgid as u32;
    match Class(entry.class) {
        Class::BIND | Class::CONNECT => keep_asked(tid, arguments.0[1], arguments.0[2]),
        Class::SETSOCKOPT => {
            let [_, level, option, value] = arguments.0;
            // `struct linger`, or an int (socket(7)).
            let len =
                if level as u32 == wanted::SOL_SOCKET && option as u32 == wanted::SO_LINGER { 8 } else { 4 };
            keep_asked(tid, value, len);
        }
        _ => {}
    }
    let sends = (entry.class == Class::SENDMSG.0 || entry.class == Class::SENDMMSG.0) && !binds(call, task);
    if sends && !passed::keep_sent(call, tid, arguments.0[2]) {
        return 0;
    }
    if gives && !addfd::keep(call, tid, scope, &arguments) {
        return 0;
    }
    if IN_FLIGHT.insert(tid, &*call, 0).is_err() {
        count(Counter::IN_FLIGHT_FULL);
    }
    0
}

/// `TP_PROTO(struct pt_regs *regs, long ret)`, include/trace/events/syscalls.h.
#[btf_tracepoint(function = "sys_exit")]
fn call_exit(ctx: BtfTracePointContext) -> i32 {
    let regs = ctx.arg::<*const u64>(0);
    // SAFETY: as in `Arguments::of`.
    let number = unsafe { *regs.add(regs::ORIG_AX) };
    let Some(entry) = traced(number) else { return 0 };
    let ret: i64 = ctx.arg(1);
    if ret >= 0 && matches!(Class(entry.class), Class::WRITE | Class::RECEIVE) {
        // Nearly every read and write of the machine.
        return 0;
    }
    let task = Current::read();
    if let_down::may_be(entry, ret)
        && task::scope((bpf_get_current_pid_tgid() >> 32) as u32) == Scope::Whole
        && !task::in_compat_call()
    {
        // SAFETY: as in `Arguments::of`.
        let_down::tell(task, unsafe { *regs.add(regs::DI) } as i32, ret);
    }
    let lacked_destination =
        ret == EDESTADDRREQ && matches!(Class(entry.class), Class::SENDTO | Class::SENDMSG | Class::WRITE);
    if is_told_by_its_end(entry, regs) && !lacked_destination {
        return 0;
    }
    let pid_tgid = bpf_get_current_pid_tgid();
    let scope = task::scope((pid_tgid >> 32) as u32);
    let arguments = Arguments::of(regs);
    if entry.class == Class::CONNECT.0 && ret == 0 {
        // Whoever connects: the queue is the listener's.
        queue::tell_unix(task, arguments.0[0] as i32);
    }
    let gives = addfd::is_request(entry, &arguments);
    if scope == Scope::None && !gives || task::in_compat_call() {
        return 0;
    }
    // The questions that cost less than to look for the call. A call that reached its file is no `lseek` on a socket.
    if !wanted::by_arguments(entry, &arguments) || entry.class == Class::LSEEK.0 && ret >= 0 {
        return 0;
    }
    let Some(place) = SCRATCH.get_ptr_mut(0) else { return 0 };
    // SAFETY: as in `call_enter`.
    let work = unsafe { &mut *place };
    let call = &mut work.flight;
    let tid = pid_tgid as u32;
    if let Some(kept) = IN_FLIGHT.get_ptr_mut(tid) {
        // Only this thread removes the entry. What a softirq tells after the copy must not go into it.
        // SAFETY: the map gave a valid pointer; volatile, because the mark is for who interrupts this program.
        unsafe {
            (&raw mut (*kept).returned).write_volatile(1);
            take(call, &*kept);
        }
        let _ = IN_FLIGHT.remove(tid);
    } else {
        // The call was running when tracing began. Its arguments are still in place; what it named then is gone.
        // Of a change to `O_NONBLOCK`, entry decided whether it is one.
        if gives
            || wanted::sets_nonblock(entry, &arguments)
            || !lacked_destination && !wanted::by_objects(entry, &arguments, scope, task)
            || (scope == Scope::Sockets && entry.class == Class::CLOSE.0)
        {
            return 0;
        }
        begin(call, number, entry, &arguments, task);
        if lacked_destination {
            // Nobody looked at its entry: it may have bound all the same.
            if scope != Scope::Whole || !binds(call, task) {
                return 0;
            }
        } else {
            file::clear_slot(&mut call.call.subject);
            if entry.class != Class::ACCEPT.0 {
                call.sk = 0;
            }
        }
    }
    let now = emit::now();
    call.call.header.ts = now;
    let files = task.files();
    if files != call.call.header.files {
        // The call gave its thread a table of its own (`unshare`, `close_range` with `CLOSE_RANGE_UNSHARE`).
        let before = core::mem::replace(&mut call.call.header.files, files);
        if scope == Scope::Whole {
            table::tell(&call.call.header, before);
        }
    } else if entry.class == Class::CLOSE_RANGE.0 && ret >= 0 && (call.shared != 0 || table::is_shared(files))
    {
        let [first, last, ..] = call.call.args;
        table::tell_range(&call.call.header, files, first, last);
    }
    call.call.ret = ret;
    if gives {
        addfd::tell(&mut work.flight, tid);
    } else {
        outcome::tell(work, tid, scope);
    }
    // Asked of the record: the entry's class would be known for all of the above, which the verifier then walks anew for
    // each class.
    if matches!(Class(work.flight.call.class as u16), Class::BIND | Class::CONNECT | Class::SETSOCKOPT) {
        let _ = ASKED.remove(tid);
    }
    0
}

/// The argument whose memory is read when the call returns.
#[inline(always)]
pub(super) fn pointer_argument(entry: Entry, Arguments([a, b, c, d]): &Arguments) -> u64 {
    match entry.pointer_arg {
        1 => *b,
        2 => *c,
        3 => *d,
        _ => *a,
    }
}

/// Copies what was kept of a call; what its socket did, only where it did something.
#[inline(always)]
fn take(call: &mut InFlight, kept: &InFlight) {
    copy(&raw mut call.call, &raw const kept.call);
    (call.pointer, call.sk) = (kept.pointer, kept.sk);
    (call.shared, call.registered) = (kept.shared, kept.registered);
    call.count = kept.count;
    if call.count > 0 {
        copy(&raw mut call.changes, &raw const kept.changes);
        copy(&raw mut call.sock, &raw const kept.sock);
        copy(&raw mut call.tcp, &raw const kept.tcp);
    }
}

/// The table's row for a call's number; `None` where it is not traced.
#[inline(always)]
pub(super) fn traced(number: u64) -> Option<Entry> {
    let entry = SYSCALLS.get(number as u32)?;
    if entry.class == Class::NONE.0 { None } else { Some(*entry) }
}

/// Writes what is known of a call before it has run.
#[inline(always)]
fn begin(call: &mut InFlight, number: u64, entry: Entry, arguments: &Arguments, task: Current) {
    let Arguments([a, b, c, d]) = *arguments;
    emit::fill_current_header(&mut call.call.header, task);
    clear(&raw mut call.call.enter);
    clear(&raw mut call.call.ret);
    call.call.args = [a as u32, b as u32, c as u32, d as u32];
    call.call.nr = number as u32;
    call.call.class = u32::from(entry.class);
    file::clear_slot(&mut call.call.result);
    clear(&raw mut call.sk);
    (call.returned, call.count) = (0, 0);
    (call.shared, call.registered) = (0, 0);
    call.pointer = pointer_argument(entry, arguments);
    match Class(entry.class) {
        Class::BIND
        | Class::LISTEN
        | Class::ACCEPT
        | Class::CONNECT
        | Class::SHUTDOWN
        | Class::CLOSE
        | Class::DUP
        | Class::FCNTL
        | Class::IOCTL
        | Class::SENDTO
        | Class::SETSOCKOPT
        | Class::LSEEK => read_subject(call, a as i32),
        Class::FORK | Class::EXEC | Class::CLOSE_RANGE => {
            file::clear_slot(&mut call.call.subject);
            call.shared = u32::from(table::is_shared(call.call.header.files));
        }
        Class::DUP2 => file::read_slot(call.call.header.files, b as i32, &mut call.call.subject, false),
        _ => file::clear_slot(&mut call.call.subject),
    }
}

/// Makes a message that is sent over no unix socket what it is: a `sendto` that binds.
#[inline(never)]
fn binds(call: &mut InFlight, task: Current) -> bool {
    let [fd, ..] = call.call.args;
    if file::is_unix_socket(task, fd as i32) {
        return false;
    }
    call.call.class = u32::from(Class::SENDTO.0);
    read_subject(call, fd as i32);
    true
}

/// Reads the slot that a call is about, and its socket.
#[inline(always)]
fn read_subject(call: &mut InFlight, fd: i32) {
    file::read_slot(call.call.header.files, fd, &mut call.call.subject, false);
    call.sk = file::sk_of(&call.call.subject.file);
}

/// Whether of a call only the end is looked at, and only where it fails in some ways: of what sends without an address, as
/// send(2) and write(2) do, which binds only where it fails for want of a destination; of what receives.
#[inline(always)]
fn is_told_by_its_end(entry: Entry, regs: *const u64) -> bool {
    // SAFETY: as in `Arguments::of`.
    matches!(Class(entry.class), Class::WRITE | Class::RECEIVE)
        || entry.class == Class::SENDTO.0 && unsafe { *regs.add(regs::R8) } == 0
}

/// A socket's states are followed from the moment at which they can first change.
#[inline(always)]
fn follow_states(call: &InFlight, sock: &mut Sock, entry: Entry) {
    if call.sk == 0 || !(entry.class == Class::LISTEN.0 || entry.class == Class::CONNECT.0) {
        return;
    }
    sock::read(call.sk, sock);
    if sock::has_states(sock) {
        let header = &call.call.header;
        sock::track(sock, header.pid, header.start, 0, call.call.subject.file.ino);
    }
}

/// Whether the address that the caller passes to `bind` or `connect` has the selected port. It is in the same place for
/// both families of the internet protocols (`sockaddr_in`, ip(7); `sockaddr_in6`, ipv6(7)).
#[inline(always)]
fn asks_for_port(entry: Entry, arguments: &Arguments) -> bool {
    if entry.class != Class::BIND.0 && entry.class != Class::CONNECT.0 {
        return false;
    }
    let Some([family, port]) = user::<[u16; 2]>(arguments.0[1]) else { return false };
    sock::is_internet(family) && u32::from(u16::from_be(port)) == config!(port)
}

/// Whether a call that sets or clears `O_NONBLOCK` changes it.
#[inline(always)]
fn changes_nonblock(call: &mut InFlight, entry: Entry, arguments: &Arguments) -> bool {
    let third = arguments.0[2];
    let asked = if entry.class == Class::IOCTL.0 {
        let on: u32 = user(third).unwrap_or(0);
        call.call.args[2] = on;
        on != 0
    } else {
        third as u32 & file::O_NONBLOCK != 0
    };
    call.sk != 0 && asked != (call.call.subject.flags & SLOT_NONBLOCK != 0)
}

/// Keeps the address that the caller passed to `bind` or `connect`, or the value that it passed to `setsockopt`.
#[inline(always)]
fn keep_asked(tid: u32, address: u64, len: u64) {
    let Some(place) = ASKED_SCRATCH.get_ptr_mut(0) else { return };
    // SAFETY: as for `SCRATCH`.
    let asked = unsafe { &mut *place };
    asked.len = 0;
    asked.reserved = 0;
    zero(asked.bytes.as_mut_ptr(), SOCKADDR_LEN);
    let len = opaque(len & 0xffff_ffff);
    if len == 0 || len > SOCKADDR_LEN as u64 {
        return;
    }
    if user_bytes(asked.bytes.as_mut_ptr(), len as u32, address) {
        asked.len = len as u32;
    }
    let _ = ASKED.insert(tid, &*asked, 0);
}
