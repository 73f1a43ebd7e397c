//! Events that are read from a fanotify group install descriptors in the reader's table (fanotify(7)).
//!
//! Everybody reads, hardly anybody a group: `read` is traced from the first group on that a followed process is seen
//! with, by the call that made it, by a message that brought it or by a snapshot.

use super::passed;
use crate::{
    file,
    globals::offset,
    kread::{field, pointer, user},
    maps::{FANOTIFY_OPS, SLEEPING, SYSCALLS, count},
    task::Current,
};
use core::ffi::c_void;
use tracer_abi::{Class, Counter, InFlight, SLEEPING_LEN};

/// Bytes of a `struct fanotify_event_metadata`, and of the head of a record behind it
/// (`struct fanotify_event_info_header`).
const METADATA: u64 = 24;
const INFO_HEADER: u64 = 4;
/// `FAN_EVENT_INFO_TYPE_PIDFD`.
const INFO_PIDFD: u32 = 4;

/// A group was seen: from here on reads of groups are traced.
#[inline(never)]
pub(crate) fn wake(group: u64) {
    let Some(ops) = FANOTIFY_OPS.get_ptr_mut(0) else { return };
    let address = pointer(group, offset!(file_ops)).unwrap_or(0);
    // SAFETY: the map gave a valid pointer; every program writes the same value.
    unsafe { *ops = address };
    for index in 0..SLEEPING_LEN {
        let Some(sleeping) = SLEEPING.get(index) else { return };
        if let Some(row) =
            SYSCALLS.get_ptr_mut(sleeping.number).filter(|_| sleeping.entry.class != Class::NONE.0)
        {
            // SAFETY: likewise.
            unsafe { *row = sleeping.entry };
        }
    }
}

/// Whether a number of the current task's table names a group.
#[inline(always)]
pub(super) fn is_group(task: Current, fd: i32) -> bool {
    let ops = field::<u64>(file::current(task, fd), offset!(file_ops));
    ops.is_some() && ops == FANOTIFY_OPS.get(0).copied()
}

/// Tells the descriptors of the events that a call read.
#[inline(always)]
pub(super) fn tell(call: &mut InFlight) {
    if call.call.ret <= 0 {
        return;
    }
    let mut used = call.call.ret as u64;
    let mut buffer = call.pointer;
    if call.call.class == u32::from(Class::READV.0) {
        // The kernel reads into one part after the other (`do_loop_readv_writev`, fs/read_write.c); the first is looked
        // at, which is where a group's events are unless they fill it.
        let Some([base, len]) = user::<[u64; 2]>(buffer) else { return };
        if used > len {
            count(Counter::PASSED_BEYOND);
            used = len;
        }
        buffer = base;
    }
    passed::tell_found(call, passed::over(call.call.header.files, buffer, used), step);
}

/// One step: takes an event's descriptor, or looks at the next record behind it, or goes on to the next event.
extern "C" fn step(_step: u32, _context: *mut c_void) -> i64 {
    let Some(walk) = passed::under_way() else { return 1 };
    let event = walk.control + walk.at;
    if walk.full != 0 || walk.at + METADATA > walk.used {
        return 1;
    }
    // `event_len`; `vers`, `reserved`, `metadata_len`.
    let Some([len, head]) = user::<[u32; 2]>(event) else { return 1 };
    let len = u64::from(len);
    if len < METADATA || len > walk.used - walk.at {
        return 1;
    }
    let at = walk.descriptor;
    if at == 0 {
        walk.descriptor = u64::from(head >> 16).max(METADATA);
        if let Some(fd) = user::<i32>(event + 16) {
            passed::take(walk, fd);
        }
        return 0;
    }
    // `info_type`, `pad`, `len`.
    let info = if at + INFO_HEADER <= len { user::<u32>(event + at).unwrap_or(0) } else { 0 };
    let size = u64::from(info >> 16);
    if size < INFO_HEADER {
        walk.at += len;
        walk.descriptor = 0;
        return 0;
    }
    walk.descriptor = at + size;
    if info & 0xff == INFO_PIDFD
        && let Some(fd) = user::<i32>(event + at + INFO_HEADER)
    {
        passed::take(walk, fd);
    }
    0
}
