//! Threads that accept: what each did while a connection waited for it.
//!
//! Only what was seen is told. A thread is known from its first accept on; what it did before is unknown, and so is
//! everything from before the newest loss of records.

use crate::{
    event::Split,
    ids::{BootNs, ProcessKey, SocketId},
    input::{Sleeps, Slept},
    offcpu::{Off, OffCpu},
};
use std::collections::{BTreeSet, HashMap};

/// A thread.
type Thread = (ProcessKey, u32);

/// Threads that are remembered; a new one beyond that takes the place of the one that has not accepted for longest.
const THREADS: usize = 4096;

/// `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM` (accept(2)): the connection stays in the queue.
const WANTING: [u32; 4] = [24, 23, 105, 12];

/// How many accepts of a listener failed for want of something, for each of [`WANTING`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanting([u64; WANTING.len()]);

impl Wanting {
    /// Counts an accept that failed; one that failed for another reason leaves the connection in the queue for nobody's want.
    pub(crate) fn count(&mut self, error: u32) {
        for (count, _) in self.0.iter_mut().zip(WANTING).filter(|(_, wanting)| *wanting == error) {
            *count += 1;
        }
    }

    /// By error number, in its order: how many failed since there were `before`.
    pub(crate) fn since(&self, before: &Self) -> Vec<(u32, u64)> {
        let counts = self.0.iter().zip(before.0).map(|(now, before)| now.saturating_sub(before));
        let mut failed: Vec<_> = WANTING.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect();
        failed.sort_unstable();
        failed
    }
}

/// Calls that wait for connections among other things (accept(2), epoll_wait(2), poll(2), select(2), `io_uring_enter(2)`).
const WAITS: &[&str] = &[
    "accept",
    "accept4",
    "epoll_wait",
    "epoll_pwait",
    "epoll_pwait2",
    "poll",
    "ppoll",
    "select",
    "pselect6",
    "io_uring_enter",
];

/// `__TASK_STOPPED`, `__TASK_TRACED` (include/linux/sched.h).
const STOPPED: u32 = 4 | 8;

/// Every thread that has accepted.
#[derive(Debug, Default)]
pub(crate) struct Acceptors {
    threads: HashMap<Thread, Acceptor>,
    told: bool,
    /// Nothing from before is complete.
    lost: BootNs,
}

#[derive(Debug, Default)]
struct Acceptor {
    /// From here on its time on and off the processor is known.
    since: BootNs,
    listeners: BTreeSet<SocketId>,
    off: OffCpu,
    sleeps: Option<Sleeps>,
    accepted: BootNs,
}

impl Acceptors {
    /// Whether the scheduler is traced.
    pub(crate) const fn is_told(&self) -> bool {
        self.told
    }

    pub(crate) fn told(&mut self, sched: bool) {
        self.told = sched;
    }

    pub(crate) fn lost(&mut self, ts: BootNs) {
        self.lost = self.lost.max(ts);
    }

    /// A process executes another program: its threads are gone, and their numbers may be given again.
    pub(crate) fn forget(&mut self, process: ProcessKey) {
        self.threads.retain(|(of, _), _| *of != process);
    }

    /// A thread was off the processor until `on`.
    pub(crate) fn slept(&mut self, on: BootNs, slept: &Slept) {
        let Some(acceptor) = self.threads.get_mut(&(slept.task.process, slept.task.tid)) else { return };
        // A preempted thread could have run all the time.
        let woken =
            if slept.state == 0 { slept.off } else { slept.woken.unwrap_or(on).max(slept.off).min(on) };
        let call = slept.call.as_deref().unwrap_or("");
        let off = if slept.state & STOPPED != 0 {
            Off::Blocked("stopped".to_owned())
        } else if WAITS.contains(&call) {
            Off::Asleep
        } else {
            Off::Blocked(call.to_owned())
        };
        acceptor.off.push((slept.off, woken), off);
        acceptor.off.push((woken, on), Off::Runnable);
    }

    /// A thread accepted, or tried to. Says whether it went to sleep since its accept before.
    pub(crate) fn accepts(
        &mut self,
        thread: Thread,
        listener: SocketId,
        ts: BootNs,
        sleeps: Option<Sleeps>,
    ) -> bool {
        // Another thread that had this number is forgotten.
        if self.is_another(thread, sleeps) {
            self.threads.remove(&thread);
        }
        if self.threads.len() >= THREADS && !self.threads.contains_key(&thread) {
            let oldest = self.threads.iter().min_by_key(|(thread, acceptor)| (acceptor.accepted, **thread));
            if let Some(oldest) = oldest.map(|(thread, _)| *thread) {
                self.threads.remove(&oldest);
            }
        }
        let acceptor =
            self.threads.entry(thread).or_insert_with(|| Acceptor { since: ts, ..Acceptor::default() });
        acceptor.accepted = ts;
        acceptor.listeners.insert(listener);
        let before = acceptor.sleeps;
        acceptor.sleeps = sleeps.or(before);
        before.zip(sleeps).is_some_and(|(before, now)| before.count != now.count)
    }

    /// Whether the thread that is remembered by a number is another one than the one that has it now.
    fn is_another(&self, thread: Thread, sleeps: Option<Sleeps>) -> bool {
        let before = self.threads.get(&thread).and_then(|acceptor| acceptor.sleeps);
        before.zip(sleeps).is_some_and(|(before, now)| before.thread_start != now.thread_start)
    }

    /// What a thread did between two moments, where it had accepted at this listener before.
    pub(crate) fn split(
        &self,
        thread: Thread,
        sleeps: Option<Sleeps>,
        listener: SocketId,
        (queued, accepted): (BootNs, BootNs),
    ) -> Option<Split> {
        if self.is_another(thread, sleeps) {
            return None;
        }
        let acceptor = self.threads.get(&thread).filter(|acceptor| acceptor.listeners.contains(&listener))?;
        if !self.told {
            return None;
        }
        let known = acceptor.since.max(self.lost).max(queued).min(accepted);
        let (off, unknown) = acceptor.off.between(known, accepted);
        let mut split = Split { unknown_ns: known.0.saturating_sub(queued.0) + unknown, ..Split::default() };
        let mut most = 0;
        for (what, ns) in off {
            match what {
                Off::Asleep => split.asleep_ns += ns,
                Off::Runnable => split.runnable_ns += ns,
                Off::Blocked(call) => {
                    split.blocked_ns += ns;
                    if ns >= most {
                        most = ns;
                        split.blocked_in = Some(call.clone()).filter(|call| !call.is_empty());
                    }
                }
            }
        }
        let known_off = split.asleep_ns + split.runnable_ns + split.blocked_ns + unknown;
        split.running_ns = accepted.0.saturating_sub(known.0).saturating_sub(known_off);
        Some(split)
    }
}
