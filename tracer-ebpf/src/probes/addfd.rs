//! A supervisor puts a descriptor into another process's table: `SECCOMP_IOCTL_NOTIF_ADDFD` (`seccomp_unotify(2)`).
//!
//! Whose table it is stands in the listener's kernel object while the request is open, so it is looked up at entry. The
//! target's selection counts as well as the caller's: a container is traced, its supervisor often is not.

use super::call::Arguments;
use crate::{
    emit, file,
    globals::offset,
    kread::{copy, field, pointer, user},
    maps::{SEARCH, TARGETS, count},
    sock,
    task::{self, Scope},
};
use aya_ebpf::helpers::generated::bpf_loop;
use core::ffi::c_void;
use tracer_abi::{
    CALLER_FOLLOWED, CallGiven, Class, Counter, Entry, InFlight, Kind, TARGET_FOLLOWED, Target,
};

/// `SECCOMP_IOCTL_NOTIF_ADDFD` without the size that it carries (`EA_IOCTL`, kernel/seccomp.c).
const ADDFD: u32 = 0x2103;
const NUMBER_AND_TYPE: u32 = 0xffff;
/// Open requests of one listener that are looked at; what is beyond is counted, and found by a snapshot.
const MAX_REQUESTS: u32 = 4096;

/// A search among the open requests of a listener. In a map, as a walk through control data is.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Search {
    /// The list's head, and the entry that is looked at.
    head: u64,
    entry: u64,
    /// The request that is looked for, and its task.
    request: u64,
    task: u64,
}

/// Whether a call could be such a request.
#[inline(always)]
pub(super) fn is_request(entry: Entry, arguments: &Arguments) -> bool {
    entry.class == Class::IOCTL.0 && arguments.0[1] as u32 & NUMBER_AND_TYPE == ADDFD
}

/// Keeps whose table it is and what is put there. Says whether that is to be told.
#[inline(always)]
pub(super) fn keep(call: &mut InFlight, tid: u32, scope: Scope, arguments: &Arguments) -> bool {
    let listener = call.call.subject.file.file;
    // The listener's own name (`init_listener`, kernel/seccomp.c).
    file::name(listener, &mut call.call.result.name);
    let name = call.call.result.name.first_chunk().copied().map(u64::from_ne_bytes);
    file::clear_slot(&mut call.call.result);
    if name != Some(u64::from_ne_bytes(*b"seccomp ")) {
        return false;
    }
    // `struct seccomp_notif_addfd`: `id`, `flags`, `srcfd`, `newfd`, `newfd_flags`.
    let Some([low, high, _, source, _, _]) = user::<[u32; 6]>(arguments.0[2]) else { return false };
    let Some(place) = SEARCH.get_ptr_mut(0) else { return false };
    let notif = pointer(listener, offset!(file_private))
        .and_then(|filter| pointer(filter, offset!(filter_notif)))
        .unwrap_or(0);
    // SAFETY: the map gave this CPU's value, which only the programs of calls use; neither interrupts the other.
    let search = unsafe { &mut *place };
    search.head = notif + u64::from(offset!(notif_list));
    search.entry = field(search.head, 0).unwrap_or(0);
    search.request = u64::from(high) << 32 | u64::from(low);
    search.task = 0;
    // SAFETY: the callback has the signature that the helper asks for; it takes nothing from its second argument.
    let steps = unsafe { bpf_loop(MAX_REQUESTS, step as *const () as *mut c_void, core::ptr::null_mut(), 0) };
    if steps >= i64::from(MAX_REQUESTS) {
        count(Counter::PASSED_BEYOND);
    }
    let owner = search.task;
    let pid: u32 = field(owner, offset!(task_tgid)).unwrap_or(0);
    let mut flags = if scope == Scope::Whole { CALLER_FOLLOWED } else { 0 };
    if owner != 0 && task::scope(pid) == Scope::Whole {
        flags |= TARGET_FOLLOWED;
    }
    if flags == 0 {
        return false;
    }
    file::read_slot(call.call.header.files, source as i32, &mut call.call.subject, false);
    let target = Target { pid, flags, start: task::start(owner), files: task::files(owner) };
    if TARGETS.insert(tid, &target, 0).is_err() {
        count(Counter::IN_FLIGHT_FULL);
    }
    true
}

/// One step: looks at one request. 1 ends the search.
extern "C" fn step(_step: u32, _context: *mut c_void) -> i64 {
    let Some(place) = SEARCH.get_ptr_mut(0) else { return 1 };
    // SAFETY: as in `keep`.
    let search = unsafe { &mut *place };
    if search.entry == 0 || search.entry == search.head {
        return 1;
    }
    let request = search.entry - u64::from(offset!(knotif_list));
    if field(request, offset!(knotif_id)) == Some(search.request) {
        search.task = field(request, offset!(knotif_task)).unwrap_or(0);
        return 1;
    }
    search.entry = field(search.entry, 0).unwrap_or(0);
    0
}

/// Tells what came of it.
#[inline(always)]
pub(super) fn tell(call: &mut InFlight, tid: u32) {
    let Some(target) = TARGETS.get_ptr(tid) else { return };
    // SAFETY: the map gave a valid pointer; only this thread removes the entry.
    let target = unsafe { *target };
    let _ = TARGETS.remove(tid);
    let given = call.call.ret >= 0 && target.flags & TARGET_FOLLOWED != 0;
    if given {
        file::read_slot(target.files, call.call.ret as i32, &mut call.call.result, true);
    } else if target.flags & CALLER_FOLLOWED == 0 {
        return;
    }
    let sk = file::sk_of(&call.call.result.file);
    emit::record::<CallGiven>(Kind::CALL_GIVEN, &call.call.header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            copy(&raw mut (*record).call, &raw const call.call);
            (*record).target = target;
            sock::read(sk, &mut (*record).sock);
            let unix = if (*record).sock.family == sock::AF_UNIX { sk } else { 0 };
            sock::unix_name(unix, &mut (*record).local);
            sock::unix_name(sock::unix_peer(unix), &mut (*record).peer);
        }
    });
}
