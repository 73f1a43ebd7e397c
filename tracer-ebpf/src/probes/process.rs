//! Fork, exec and exit.

use super::sched;
use crate::{
    emit,
    globals::{config, offset},
    kread::{field, pointer, string, zero},
    maps::{ASKED, FOLLOW, IN_FLIGHT, SENT, TARGETS},
    table,
    task::{self, Current, Scope},
};
use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use tracer_abi::{Exec, Exit, FORK_SHARES_FILES, Fork, Header, Kind, PATH_LEN, Place, SELECT_ALL, Thread};

/// `TP_PROTO(struct task_struct *parent, struct task_struct *child)`, include/trace/events/sched.h.
#[btf_tracepoint(function = "sched_process_fork")]
fn fork(ctx: BtfTracePointContext) -> i32 {
    let child: u64 = ctx.arg::<*const u8>(1) as u64;
    let header = emit::current_header(Current::read());
    let child_pid: u32 = field(child, offset!(task_tgid)).unwrap_or(0);
    let child_files = task::files(child);
    let is_thread = child_pid == header.pid;
    // A new thread shares its leader's identity, and nearly always its table: then there is nothing to tell.
    if is_thread && child_files == task::leader_files(child) {
        return 0;
    }
    let whole = task::scope(header.pid) == Scope::Whole;
    if !whole && (is_thread || !task::is_in_map(header.pid)) {
        return 0;
    }
    let child_start = task::start(child);
    if config!(select) & SELECT_ALL == 0 && !is_thread {
        task::follow(child_pid, !whole);
    }
    let Begun { nr, enter, shared, .. } = in_flight(header.tid);
    let its = Header {
        pid: child_pid,
        tid: field(child, offset!(task_pid)).unwrap_or(0),
        start: child_start,
        files: child_files,
        ..header
    };
    // The copy of a shared table was made a while ago (`copy_process`, kernel/fork.c), among calls of other tasks.
    if whole && child_files != header.files && (shared || table::is_shared(header.files)) {
        table::tell(&its, header.files);
    }
    if is_thread {
        tell_thread(&its, 1);
        return 0;
    }
    let comm = task::leader_comm(child);
    let mut place = Place { ns_pid: 0, pid_ns: 0, cgroup: 0 };
    task::place(child, header.ts, &mut place);
    let (ret, _) = task::number_in(child, task::pid_ns_level(task::current()));
    emit::record::<Fork>(Kind::FORK, &header, |record| {
        let flags = if child_files == header.files { FORK_SHARES_FILES } else { 0 };
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            (*record).child_pid = child_pid;
            (*record).flags = flags;
            (*record).child_start = child_start;
            (*record).child_files = child_files;
            (*record).nr = nr;
            (*record).ret = ret;
            (*record).enter = enter;
            (*record).place = place;
            (*record).comm = comm;
        }
    });
    0
}

/// `TP_PROTO(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`, include/trace/events/sched.h.
#[btf_tracepoint(function = "sched_process_exec")]
fn exec(ctx: BtfTracePointContext) -> i32 {
    let old_tid: u32 = ctx.arg(1);
    let bprm: u64 = ctx.arg::<*const u8>(2) as u64;
    let header = emit::current_header(Current::read());
    let comm = task::leader_comm(task::current());
    let mut newly_followed = 0;
    if task::scope(header.pid) != Scope::Whole && !task::is_in_map(header.pid) {
        if task::is_own(header.pid) || !(task::comm_selected(&comm) || task::current_cgroup_selected()) {
            return 0;
        }
        task::follow(header.pid, false);
        newly_followed = 1;
    }
    let Begun { nr, enter, shared, files } = in_flight(old_tid);
    if old_tid != header.tid {
        // The caller was not the leader and takes its number (`de_thread`, fs/exec.c): its own is free again.
        let _ = IN_FLIGHT.remove(old_tid);
    }
    if shared && newly_followed == 0 && task::scope(header.pid) == Scope::Whole {
        table::tell(&header, files);
    }
    let path = pointer(bprm, offset!(bprm_filename)).unwrap_or(0);
    let mut place = Place { ns_pid: 0, pid_ns: 0, cgroup: 0 };
    task::place(task::current(), header.ts, &mut place);
    emit::record::<Exec>(Kind::EXEC, &header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            (*record).old_tid = old_tid;
            (*record).nr = nr;
            (*record).enter = enter;
            (*record).place = place;
            (*record).comm = comm;
            (*record).newly_followed = newly_followed;
            zero((&raw mut (*record).path).cast(), PATH_LEN);
            let len = string((&raw mut (*record).path).cast(), PATH_LEN, path);
            // The helper counts the terminating zero.
            (*record).path_len = if len > 0 { len as u32 - 1 } else { 0 };
        }
    });
    0
}

/// `TP_PROTO(struct task_struct *p, ...)`, include/trace/events/sched.h. Runs for every thread (`do_exit`,
/// kernel/exit.c), before its descriptors are closed.
#[btf_tracepoint(function = "sched_process_exit")]
fn exit(_ctx: BtfTracePointContext) -> i32 {
    let header = emit::current_header(Current::read());
    if task::scope(header.pid) == Scope::None && !task::is_in_map(header.pid) {
        return 0;
    }
    // A thread that is killed inside a call never returns from it.
    let _ = IN_FLIGHT.remove(header.tid);
    let _ = ASKED.remove(header.tid);
    let _ = SENT.remove(u64::from(header.tid));
    let _ = TARGETS.remove(header.tid);
    sched::ends(header.tid);
    let task = task::current();
    let live: i32 = pointer(task, offset!(task_signal))
        .and_then(|signal| field(signal, offset!(signal_live)))
        .unwrap_or(0);
    if live != 0 {
        let leaves_own = table::users(header.files) == 1 || header.files != task::leader_files(task);
        if leaves_own && task::scope(header.pid) == Scope::Whole {
            tell_thread(&header, 0);
        }
        return 0;
    }
    let whole = task::scope(header.pid) == Scope::Whole;
    let known = task::is_in_map(header.pid);
    let _ = FOLLOW.remove(header.pid);
    if !whole && !known {
        return 0;
    }
    let code: u32 = field(task, offset!(task_exit_code)).unwrap_or(0);
    emit::record::<Exit>(Kind::EXIT, &header, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe { record.write(Exit { header, code, reserved: 0 }) };
    });
    0
}

/// Tells that a thread begins or ends whose table is not its leader's.
#[inline(always)]
fn tell_thread(its: &Header, begins: u32) {
    emit::record::<Thread>(Kind::THREAD, its, |record| {
        // SAFETY: the ring buffer gave room for a whole record.
        unsafe {
            (*record).users = table::users(its.files);
            (*record).begins = begins;
        }
    });
}

/// What is known of the call that a thread is in.
struct Begun {
    /// Its number; 0 where its entry was not seen.
    nr: u32,
    /// When it began; likewise.
    enter: u64,
    /// Other tasks had the caller's table then, or may have had.
    shared: bool,
    /// Address of the caller's table then; 0 where that was not seen.
    files: u64,
}

/// The call that a thread is in.
#[inline(always)]
fn in_flight(tid: u32) -> Begun {
    match IN_FLIGHT.get_ptr(tid) {
        // SAFETY: the map gave a valid pointer; an entry that is removed meanwhile is freed after a grace period.
        Some(value) => unsafe {
            Begun {
                nr: (*value).call.nr,
                enter: (*value).call.enter,
                shared: (*value).shared != 0,
                files: (*value).call.header.files,
            }
        },
        None => Begun { nr: 0, enter: 0, shared: true, files: 0 },
    }
}
