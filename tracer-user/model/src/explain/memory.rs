//! What explanations remember: failures that may come again, listeners that were closed, the newest look. All of it is
//! bounded, the oldest goes first.

use super::{Explain, Party, Spin, between};
use crate::{
    address::Address,
    event::EventKind,
    ids::{BootNs, ProcessKey, SocketId},
    input::{Looked, Task},
};
use foldhash::HashMap;
use std::collections::VecDeque;

/// Failures that are remembered.
const FAILURES: usize = 1024;
/// Closed listeners that are remembered.
const CLOSED: usize = 256;
/// A failure that comes again within this time is told by the number of the event that explains it.
const AGAIN_NS: u64 = 100_000_000;
/// A failure that comes again after a longer pause begins anew.
const PAUSE_NS: u64 = 1_000_000_000;
/// A search through what the model knows costs about as much as some thousand events: one in this time.
const SEARCH_NS: u64 = 5_000_000;
/// So many may come at once.
const BURST: u64 = 64;

/// What repeats: who fails, in what, how, and on what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Failure {
    pub(crate) process: ProcessKey,
    pub(crate) kind: EventKind,
    pub(crate) error: u32,
    /// The listener of an accept; the socket of a bind or listen.
    pub(crate) fd: Option<i32>,
    pub(crate) asked: Option<Address>,
}

/// A failure and how it was explained.
#[derive(Debug)]
struct Told {
    /// When, and by which event, it was explained in full.
    full: (BootNs, u64),
    explain: Box<Explain>,
    /// The socket that it was about.
    socket: Option<SocketId>,
    /// First and newest time, how often, `seq` of the first.
    first: (BootNs, u64),
    last: BootNs,
    count: u64,
}

/// A listener that was closed.
#[derive(Debug)]
pub(crate) struct ClosedListener {
    pub(crate) ts: BootNs,
    /// `seq` of the event that closed it.
    pub(crate) seq: u64,
    pub(crate) party: Party,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    failures: HashMap<Failure, Told>,
    order: VecDeque<Failure>,
    closed: VecDeque<ClosedListener>,
    looked: Option<(BootNs, Box<Looked>)>,
    /// What searches owe, in time that passes, and as of when.
    searches: (u64, BootNs),
}

impl Memory {
    /// Keeps a look for the input that follows.
    pub(crate) fn look(&mut self, ts: BootNs, looked: &Looked) {
        self.looked = Some((ts, Box::new(looked.clone())));
    }

    /// The look that came with an error.
    pub(crate) fn looked(&self, ts: BootNs, process: ProcessKey, tid: u32) -> Option<&Looked> {
        let is_its = |task: &Task| task.process == process && task.tid == tid;
        self.looked
            .as_ref()
            .filter(|(at, looked)| *at == ts && is_its(&looked.task))
            .map(|(_, looked)| &**looked)
    }

    /// Whether a search may be made now.
    pub(crate) fn may_search(&mut self, now: BootNs) -> bool {
        let (debt, since) = self.searches;
        let debt = debt.saturating_sub(between(since, now));
        let may = debt < BURST * SEARCH_NS;
        self.searches = (debt + if may { SEARCH_NS } else { 0 }, now.max(since));
        may
    }

    /// Counts a failure. Returns the explanation that it had a moment before, and how it repeats.
    pub(crate) fn fails(
        &mut self,
        failure: &Failure,
        (ts, seq): (BootNs, u64),
        socket: Option<SocketId>,
    ) -> (Option<Box<Explain>>, Option<Spin>) {
        let Some(told) = self.failures.get_mut(failure) else { return (None, None) };
        if between(told.last, ts) > PAUSE_NS {
            (told.first, told.count) = ((ts, seq), 0);
        }
        told.last = ts;
        told.count += 1;
        let spin = (told.count > 1).then(|| Spin {
            count: told.count,
            for_ns: between(told.first.0, ts),
            first: told.first.1,
        });
        if between(told.full.0, ts) >= AGAIN_NS {
            return (None, spin);
        }
        if socket.is_some() && told.socket == socket && failure.fd.is_none() {
            // The state and the call that tell of one and the same failure.
            return (Some(told.explain.clone()), None);
        }
        let again = Explain { again: true, spin, ..Explain::of(told.explain.cause) };
        (Some(Box::new(again.resting_on([told.full.1]))), spin)
    }

    /// Keeps how a failure was explained in full.
    pub(crate) fn explained(
        &mut self,
        failure: Failure,
        (ts, seq): (BootNs, u64),
        socket: Option<SocketId>,
        explain: &Explain,
    ) {
        if let Some(told) = self.failures.get_mut(&failure) {
            (told.full, told.socket) = ((ts, seq), socket);
            (*told.explain).clone_from(explain);
            return;
        }
        let explain = Box::new(explain.clone());
        let told = Told { full: (ts, seq), explain, socket, first: (ts, seq), last: ts, count: 1 };
        self.failures.insert(failure.clone(), told);
        self.order.push_back(failure);
        if self.order.len() > FAILURES
            && let Some(oldest) = self.order.pop_front()
        {
            self.failures.remove(&oldest);
        }
    }

    /// Keeps a listener that was closed.
    pub(crate) fn closes(&mut self, listener: ClosedListener) {
        self.closed.push_back(listener);
        if self.closed.len() > CLOSED {
            self.closed.pop_front();
        }
    }

    /// Listeners that were closed, the newest first.
    pub(crate) fn closed(&self) -> impl Iterator<Item = &ClosedListener> {
        self.closed.iter().rev()
    }
}
