//! What happens at listeners, counted as it comes: waits, lengths of queues, drops, and who accepts.

use crate::moment::Moment;
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, VecDeque};
use tracer_model::{
    address::Address,
    event::{DropCount, Event, EventKind, Split},
    ids::{BootNs, ProcessKey, SocketId},
};

/// Listeners that are counted; beyond, the ones that were made first are left out.
const LISTENERS: usize = 4096;
/// Threads that accept, of one listener; later ones are not told apart.
const WORKERS: usize = 1024;
/// Seconds of which the length of a queue is kept: those in which it changed.
const SECONDS: usize = 3600;
/// Slowest waits that are kept of one listener.
const SLOWEST: usize = 16;
/// Newest drops whose moment is known that are kept of one listener.
const MOMENTS: usize = 64;
/// Names of unix sockets at which connects were turned away.
const NAMES: usize = 1024;

/// `EAGAIN`: nothing to take (accept(2)), or a full queue (connect(2) of a unix socket).
const EAGAIN: u32 = 11;

/// By listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepting {
    listeners: BTreeMap<SocketId, AtListener>,
    refused: BTreeMap<Vec<u8>, Times>,
}

/// How often, and when last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How often.
    pub count: u64,
    /// The last time.
    pub last: Moment,
}

/// Waits between queued and accepted, in nanoseconds: two significant digits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waits(Option<Histogram<u64>>);

// Counts and a number of buckets: a histogram equals itself.
impl Eq for Waits {}

/// The length of a queue in one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// The first change of that second.
    pub moment: Moment,
    /// The longest it was.
    pub longest: u32,
    /// When that was.
    pub longest_at: Moment,
    /// After the second's last change.
    pub last: u32,
    /// The limit then.
    pub limit: u32,
    /// How many connections had been accepted by then, since the listener is counted.
    pub accepted: u64,
}

/// A wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// Nanoseconds.
    pub ns: u64,
    /// The accept that ended it.
    pub accepted: Moment,
    /// The connection.
    pub socket: Option<SocketId>,
    /// Who accepted.
    pub worker: (ProcessKey, u32),
    /// What the thread did meanwhile, where that is known.
    pub split: Option<Split>,
}

/// A thread that accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Connections that it accepted.
    pub accepted: u64,
    /// How often it slept, was woken, and then found nothing to accept.
    pub woken_idle: u64,
    /// Its last accept, whatever came of it.
    pub last: Moment,
    /// Its last accept that took a connection.
    pub last_accepted: Option<Moment>,
}

/// One listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtListener {
    /// Waits whose beginning is known.
    pub waits: Waits,
    /// Accepts of connections since when nobody knows.
    pub without_start: u64,
    /// The slowest waits, slowest first.
    pub slowest: Vec<Wait>,
    /// The length of the queue over time, oldest first.
    pub lengths: VecDeque<Length>,
    /// The longest queue.
    pub longest: Option<(u32, Moment)>,
    /// Connections that were queued.
    pub queued: u64,
    /// Connections that were accepted.
    pub accepted: u64,
    /// Who accepts.
    pub workers: BTreeMap<(ProcessKey, u32), Worker>,
    /// Accepts that failed, but for want of a connection, by error number.
    pub failed: BTreeMap<u32, Times>,
    /// Parts of all waits of which they are known, and how many those are.
    pub split: (Split, u64),
    /// What samples told of drops last.
    pub drops: Option<(DropCount, Moment)>,
    /// Drops whose moment and peer the kernel told: how many, and the newest.
    pub refused: (u64, VecDeque<(Moment, Option<Address>)>),
    /// SYNs that clients on this machine sent again: how many, and the newest with the client's address.
    pub sent_again: (u64, VecDeque<(Moment, Option<Address>)>),
}

impl Waits {
    fn record(&mut self, ns: u64) {
        if self.0.is_none() {
            // It takes one to five digits, and grows as it must.
            self.0 = Histogram::new(2).ok();
        }
        if let Some(histogram) = &mut self.0 {
            let _ = histogram.record(ns);
        }
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, Histogram::len)
    }

    /// The wait that so many percent did not exceed; `None` where there was none.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Option<u64> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        // What the histogram gives is the end of a bucket; nothing waited for longer than the longest.
        Some(histogram.value_at_percentile(percent).min(histogram.max()))
    }
}

impl Times {
    fn again(times: &mut Option<Self>, moment: Moment) {
        let count = times.map_or(0, |times| times.count) + 1;
        *times = Some(Self { count, last: moment });
    }
}

impl Accepting {
    /// Counts the next event.
    pub(crate) fn take(&mut self, event: &Event) {
        let moment = Moment::of(event);
        match event.kind {
            EventKind::Queued => {
                if let Some(at) = self.at(event.listener) {
                    at.queued += 1;
                    at.changed(event);
                }
            }
            EventKind::Listen if event.error.is_none() => {
                if let Some(at) = self.at(event.socket) {
                    at.changed(event);
                }
            }
            EventKind::Accept if !event.pending => {
                if let Some(at) = self.at(event.listener) {
                    at.accept(event);
                }
            }
            EventKind::Overflow => {
                if let Some(at) = self.at(event.listener) {
                    at.changed(event);
                    match event.drops {
                        Some(drops) => at.drops = Some((drops, moment)),
                        None => newest(&mut at.refused, (moment, event.peer.clone())),
                    }
                }
            }
            EventKind::Retransmit => {
                if let Some(at) = self.at(event.listener) {
                    newest(&mut at.sent_again, (moment, event.local.clone()));
                }
            }
            EventKind::Connect if event.error == Some(EAGAIN) => {
                if let Some(Address::Unix(name)) = &event.asked
                    && (self.refused.contains_key(name) || self.refused.len() < NAMES)
                {
                    let mut times = self.refused.get(name).copied();
                    Times::again(&mut times, moment);
                    self.refused.extend(times.map(|times| (name.clone(), times)));
                }
            }
            _ => {}
        }
    }

    /// What is counted of a listener.
    #[must_use]
    pub fn of(&self, listener: SocketId) -> Option<&AtListener> {
        self.listeners.get(&listener)
    }

    /// How often a connect to a unix socket of that name found its queue full.
    #[must_use]
    pub fn refused(&self, name: &[u8]) -> Option<Times> {
        self.refused.get(name).copied()
    }

    fn at(&mut self, listener: Option<SocketId>) -> Option<&mut AtListener> {
        let listener = listener?;
        if self.listeners.len() >= LISTENERS && !self.listeners.contains_key(&listener) {
            self.listeners.pop_first();
        }
        Some(self.listeners.entry(listener).or_default())
    }
}

/// Counts one more, and keeps it among the newest.
fn newest<T>((count, kept): &mut (u64, VecDeque<T>), new: T) {
    *count += 1;
    if kept.len() == MOMENTS {
        kept.pop_front();
    }
    kept.push_back(new);
}

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

impl AtListener {
    /// Processes that accepted a connection here.
    pub fn acceptors(&self) -> impl Iterator<Item = ProcessKey> {
        let accepted = self.workers.iter().filter(|(_, worker)| worker.accepted > 0);
        accepted.map(|((process, _), _)| *process)
    }

    /// Connections that a process accepted here.
    #[must_use]
    pub fn accepted_by(&self, process: ProcessKey) -> u64 {
        let own = self.workers.range((process, 0)..=(process, u32::MAX));
        own.map(|(_, worker)| worker.accepted).sum()
    }

    /// The newest accept that took a connection.
    #[must_use]
    pub fn last_accepted(&self) -> Option<Moment> {
        self.workers.values().filter_map(|worker| worker.last_accepted).max_by_key(|moment| moment.ts)
    }

    /// Connections that were accepted since then: to the second, and at most so many.
    #[must_use]
    pub fn accepted_since(&self, since: BootNs) -> u64 {
        let before = self.lengths.partition_point(|second| second.moment.ts <= since);
        let second = before.checked_sub(1).and_then(|place| self.lengths.get(place));
        // What was forgotten was before the oldest that is kept.
        let oldest = self.lengths.front().filter(|_| self.lengths.len() == SECONDS);
        self.accepted - second.or(oldest).map_or(0, |second| second.accepted)
    }

    fn accept(&mut self, event: &Event) {
        let moment = Moment::of(event);
        let thread = (event.process, event.tid);
        self.accepted += u64::from(event.error.is_none());
        self.changed(event);
        if self.workers.len() < WORKERS || self.workers.contains_key(&thread) {
            let worker = self.workers.entry(thread).or_insert(Worker {
                accepted: 0,
                woken_idle: 0,
                last: moment,
                last_accepted: None,
            });
            worker.last = moment;
            if event.error.is_none() {
                worker.accepted += 1;
                worker.last_accepted = Some(moment);
            }
            worker.woken_idle += u64::from(event.error == Some(EAGAIN) && event.slept);
        }
        if let Some(error) = event.error {
            if error != EAGAIN {
                let mut times = self.failed.get(&error).copied();
                Times::again(&mut times, moment);
                self.failed.extend(times.map(|times| (error, times)));
            }
            return;
        }
        let Some(ns) = event.wait_ns else {
            self.without_start += 1;
            return;
        };
        self.waits.record(ns);
        if let Some(split) = &event.split {
            add(&mut self.split.0, split);
            self.split.1 += 1;
        }
        let place = self.slowest.partition_point(|slower| slower.ns >= ns);
        if place < SLOWEST {
            let split = event.split.as_deref().cloned();
            let wait = Wait { ns, accepted: moment, socket: event.socket, worker: thread, split };
            self.slowest.insert(place, wait);
            self.slowest.truncate(SLOWEST);
        }
    }

    /// The length of the queue after an event.
    fn changed(&mut self, event: &Event) {
        let (Some(len), Some(limit)) = (event.queue_len, event.queue_limit) else { return };
        let moment = Moment::of(event);
        if self.longest.is_none_or(|(longest, _)| len > longest) {
            self.longest = Some((len, moment));
        }
        let same = |back: &&mut Length| back.moment.ts.0 / SECOND == event.ts.0 / SECOND;
        if let Some(second) = self.lengths.back_mut().filter(same) {
            if len > second.longest {
                (second.longest, second.longest_at) = (len, moment);
            }
            (second.last, second.limit, second.accepted) = (len, limit, self.accepted);
            return;
        }
        if self.lengths.len() == SECONDS {
            self.lengths.pop_front();
        }
        let second =
            Length { moment, longest: len, longest_at: moment, last: len, limit, accepted: self.accepted };
        self.lengths.push_back(second);
    }
}

/// Adds the parts of a wait to those of others.
fn add(sum: &mut Split, split: &Split) {
    for (to, from) in [
        (&mut sum.asleep_ns, split.asleep_ns),
        (&mut sum.runnable_ns, split.runnable_ns),
        (&mut sum.running_ns, split.running_ns),
        (&mut sum.blocked_ns, split.blocked_ns),
        (&mut sum.unknown_ns, split.unknown_ns),
    ] {
        *to = to.saturating_add(from);
    }
}
