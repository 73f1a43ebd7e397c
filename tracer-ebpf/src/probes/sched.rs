//! What threads that accept do meanwhile, where that is asked for: when each leaves the processor, in which state and in which
//! call, when it is woken and when it runs again.
//!
//! A thread is known from its first accept at a followed listener on. The two tracepoints come with interrupts off, so
//! nothing runs a program of theirs a second time on the same processor.

use crate::{
    emit,
    globals::{config, offset},
    kread::field,
    maps::ACCEPTORS,
};
use aya_ebpf::{
    helpers::generated::bpf_task_pt_regs, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use tracer_abi::{Acceptor, Header, Kind, Slept};

/// Place of the call's number in the x86-64 `struct pt_regs`, in words; -1 outside of a call.
const ORIG_AX: usize = 15;

/// The current thread accepts at a followed listener.
// A function of its own: the exit of a call has no stack to spare.
#[inline(never)]
pub(super) fn accepts(header: &Header) {
    if config!(sched) != 0 && ACCEPTORS.get_ptr(header.tid).is_none() {
        let acceptor =
            Acceptor { start: header.start, pid: header.pid, state: 0, off: 0, woken: 0, call: -1 };
        let _ = ACCEPTORS.insert(header.tid, acceptor, 0);
    }
}

/// A thread ends.
#[inline(always)]
pub(super) fn ends(tid: u32) {
    if config!(sched) != 0 {
        let _ = ACCEPTORS.remove(tid);
    }
}

/// `TP_PROTO(bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)`,
/// include/trace/events/sched.h.
#[btf_tracepoint(function = "sched_switch")]
fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    let (from, to) = (ctx.arg::<*const u8>(1), ctx.arg::<*const u8>(2));
    let now = emit::now();
    let from_tid: u32 = field(from as u64, offset!(task_pid)).unwrap_or(0);
    if let Some(acceptor) = ACCEPTORS.get_ptr_mut(from_tid) {
        // SAFETY: the helper takes a task that the verifier knows to be one. The registers are read by a helper that
        // checks the address.
        let call = unsafe {
            let regs = bpf_task_pt_regs(from.cast_mut().cast());
            field::<i64>(regs as u64, (ORIG_AX * 8) as u32).unwrap_or(-1)
        };
        // A preempted thread could run on, whatever its state says (`__schedule`, kernel/sched/core.c).
        let preempted = ctx.arg::<u32>(0) & 1 != 0;
        // SAFETY: the map gave a valid pointer; a thread is on one processor at a time.
        unsafe {
            (*acceptor).off = now;
            (*acceptor).woken = 0;
            (*acceptor).state = if preempted { 0 } else { ctx.arg::<u32>(3) };
            (*acceptor).call = call;
        }
    }
    let to_tid: u32 = field(to as u64, offset!(task_pid)).unwrap_or(0);
    if let Some(acceptor) = ACCEPTORS.get_ptr_mut(to_tid) {
        // SAFETY: as above.
        let acceptor = unsafe { &mut *acceptor };
        if acceptor.off == 0 {
            return 0;
        }
        let header = Header {
            kind: 0,
            len: 0,
            cpu: 0,
            cpu_seq: 0,
            ts: now,
            pid: acceptor.pid,
            tid: to_tid,
            start: acceptor.start,
            files: 0,
        };
        emit::part::<Slept>(Kind::SLEPT, &header, |record| {
            // SAFETY: the ring buffer gave room for a whole record.
            unsafe {
                (*record).off = acceptor.off;
                (*record).woken = acceptor.woken;
                (*record).call = acceptor.call;
                (*record).state = acceptor.state;
                (*record).reserved = 0;
            }
        });
    }
    0
}

/// `TP_PROTO(struct task_struct *p)`: the thread is ready to run.
#[btf_tracepoint(function = "sched_wakeup")]
fn sched_wakeup(ctx: BtfTracePointContext) -> i32 {
    let tid: u32 = field(ctx.arg::<*const u8>(0) as u64, offset!(task_pid)).unwrap_or(0);
    if let Some(acceptor) = ACCEPTORS.get_ptr_mut(tid) {
        // SAFETY: as in `sched_switch`.
        unsafe {
            if (*acceptor).woken == 0 {
                (*acceptor).woken = emit::now();
            }
        }
    }
    0
}
