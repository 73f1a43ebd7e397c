//! The only way into the ring buffer.

use crate::{
    kread::clear,
    maps::{EVENTS, count},
    task::Current,
};
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::{bpf_get_current_pid_tgid, bpf_get_smp_processor_id, generated::bpf_ktime_get_boot_ns},
};
use tracer_abi::{Counter, Header, Kind, UNNUMBERED};

/// The boot clock, nanoseconds.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// A head without its number, for the current task.
#[inline(always)]
pub(crate) fn current_header(task: Current) -> Header {
    let pid_tgid = bpf_get_current_pid_tgid();
    Header {
        kind: 0,
        len: 0,
        cpu: 0,
        cpu_seq: 0,
        ts: now(),
        pid: (pid_tgid >> 32) as u32,
        tid: pid_tgid as u32,
        start: task.start,
        files: task.files(),
    }
}

/// The same, written to a place in a map. One way for both would have the verifier walk more of the programs that keep it on the
/// stack (`exec`: 7,098 instructions in place of 4,254).
#[inline(always)]
pub(crate) fn fill_current_header(header: &mut Header, task: Current) {
    clear(header);
    let pid_tgid = bpf_get_current_pid_tgid();
    header.ts = now();
    (header.pid, header.tid) = ((pid_tgid >> 32) as u32, pid_tgid as u32);
    (header.start, header.files) = (task.start, task.files());
}

/// Data in the buffer at which the reader is woken, and again at each multiple.
const WAKE_BYTES: u64 = 1 << 20;

/// The reader looks by itself every few milliseconds; waking it for every record would cost more than the record, and where
/// interrupts are virtual several times as much. So the record wakes it that takes the buffer over a mark.
#[inline(always)]
fn wakeup(before: u64, after: u64) -> u64 {
    let flag = if before / WAKE_BYTES == after / WAKE_BYTES { BPF_RB_NO_WAKEUP } else { BPF_RB_FORCE_WAKEUP };
    u64::from(flag)
}

/// Data in the buffer that the reader has not taken yet.
#[inline(always)]
fn waiting() -> u64 {
    EVENTS.query(u64::from(BPF_RB_AVAIL_DATA))
}

/// Room that a record of that many bytes takes, its length before it (`BPF_RINGBUF_HDR_SZ`, kernel/bpf/ringbuf.c).
const fn room(len: usize) -> u64 {
    (len as u64).next_multiple_of(8) + 8
}

/// Numbers a record and writes it. The number is given before the room, so that a record without room leaves a gap that
/// tells its place.
#[inline(always)]
pub(crate) fn record<T: 'static>(kind: Kind, header: &Header, fill: impl FnOnce(*mut T)) {
    record_or_part(kind, header, false, fill);
}

/// Writes a part of what another record tells, without a number of its own: every number has a line. A part without room
/// takes one, which is missed. Says whether there was room.
#[inline(always)]
pub(crate) fn part<T: 'static>(kind: Kind, header: &Header, fill: impl FnOnce(*mut T)) -> bool {
    record_or_part(kind, header, true, fill)
}

/// One of the two. Says whether there was room.
#[inline(always)]
pub(crate) fn record_or_part<T: 'static>(
    kind: Kind,
    header: &Header,
    is_part: bool,
    fill: impl FnOnce(*mut T),
) -> bool {
    let cpu_seq = if is_part { UNNUMBERED } else { count(Counter::SEQ) };
    if write(kind, header, cpu_seq, fill) {
        if is_part {
            count(Counter::PARTS);
        }
        return true;
    }
    if is_part {
        count(Counter::SEQ);
    }
    count(Counter::RING_FULL);
    false
}

/// Reserves room for a record and lets `fill` write it; says whether there was any. `fill` must write every byte: the room
/// holds what an earlier record left. The head is the first field of every record.
#[inline(always)]
fn write<T: 'static>(kind: Kind, header: &Header, cpu_seq: u64, fill: impl FnOnce(*mut T)) -> bool {
    let Some(mut entry) = EVENTS.reserve::<T>(0) else { return false };
    let place: *mut T = entry.as_mut_ptr();
    fill(place);
    let head = place.cast::<Header>();
    // SAFETY: `place` is valid for a `T`, whose first field is a `Header` (`repr(C)`); the helper has no preconditions.
    // Field by field: a whole header would need room on the stack.
    unsafe {
        (*head).kind = kind.0;
        (*head).len = size_of::<T>() as u16;
        (*head).cpu = bpf_get_smp_processor_id();
        (*head).cpu_seq = cpu_seq;
        (*head).ts = header.ts;
        (*head).pid = header.pid;
        (*head).tid = header.tid;
        (*head).start = header.start;
        (*head).files = header.files;
    }
    let after = waiting();
    entry.submit(wakeup(after.saturating_sub(room(size_of::<T>())), after));
    true
}

/// The same for a record that lies complete in a map: `len` bytes, its head first, of the call in it.
///
/// # Safety
///
/// `record` is valid for `len` bytes and begins with a `Header`.
#[inline(always)]
pub(crate) unsafe fn bytes(kind: Kind, record: *mut u8, len: usize) {
    let head = record.cast::<Header>();
    // SAFETY: the caller's promise; the helper has no preconditions.
    let sent = unsafe {
        (*head).kind = kind.0;
        (*head).len = len as u16;
        (*head).cpu = bpf_get_smp_processor_id();
        (*head).cpu_seq = count(Counter::SEQ);
        let before = waiting();
        EVENTS.output::<[u8]>(core::slice::from_raw_parts(record, len), wakeup(before, before + room(len)))
    };
    if sent.is_err() {
        count(Counter::RING_FULL);
    }
}
