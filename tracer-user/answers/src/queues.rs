//! Accept queues: what waits, for how long and since when, what was dropped, and whether anybody accepts.

use crate::{
    accepting::{AtListener, Times},
    caveat::Caveat,
    moment::Moment,
    view::{View, phase},
    who::Target,
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};
use tracer_model::{
    address::Address,
    entity::{Phase, Process, Socket},
    event::EventKind,
    ids::{BootNs, ProcessKey, SocketId},
};

/// A connection that waits for longer than this is one that nobody takes. On a server that keeps up, waits are well below:
/// there a connection waits for its acceptor to be scheduled.
pub const OVERDUE_NS: u64 = 1_000_000_000;

/// Connections in a queue that are told one by one.
const TOLD: usize = 256;

/// Accept queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queues<'a> {
    /// By listener, in the order in which they were made.
    pub queues: Vec<Queue<'a>>,
    /// How often queues are sampled, in nanoseconds, and when they were last; of the past only how often. `None` where they are
    /// not.
    pub sampled: Option<(u64, Option<BootNs>)>,
    /// What the answer cannot know.
    pub caveats: Vec<Caveat>,
}

/// A listener and its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue<'a> {
    /// The listener.
    pub socket: Cow<'a, Socket>,
    /// Processes that have it.
    pub owners: Vec<&'a Process>,
    /// Length, and when that was.
    pub len: Option<(u32, Moment)>,
    /// Limit: the lesser of the backlog that was asked for and `somaxconn`. It holds one more. Handshakes that
    /// end at the same moment overshoot, and listen(2) may lower the limit below what waits.
    pub limit: Option<u32>,
    /// What was counted.
    pub tally: Option<&'a AtListener>,
    /// Connections that wait, the one that has waited for longest first.
    pub waiting: Vec<Waiting<'a>>,
    /// Connections in the queue that are not among them: beyond those that are told, or that nothing told of.
    pub others: u64,
    /// Unix sockets: connects that found the queue full (`EAGAIN`), by name: the caller's line tells no more, and one that failed has
    /// no peer.
    pub turned_away: Option<Times>,
    /// Drops.
    pub drops: Option<Dropped>,
    /// What is wrong, if anything.
    pub findings: Vec<Finding>,
}

/// A connection that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting<'a> {
    /// The connection.
    pub socket: Cow<'a, Socket>,
    /// Since when; where `at_least`, it was found waiting then.
    pub since: Moment,
    /// It was there before tracing began.
    pub at_least: bool,
    /// For how long, nanoseconds.
    pub age_ns: u64,
}

/// What a listener dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Packets, since the listener was first sampled (`sk_drops`).
    pub total: u64,
    /// When that was; `None` where it is not known any longer.
    pub since: Option<BootNs>,
    /// How many met a full queue: at least and at most; `None` where the namespace cannot be read.
    pub queue_full: Option<(u64, u64)>,
    /// How many the counter has twice, see [`tracer_model::entity::Drops::counted_twice`].
    pub counted_twice: u64,
    /// How many were dropped for another reason: at least and at most.
    pub other: Option<(u64, u64)>,
    /// How far the namespace's `ListenOverflows` grew meanwhile, for all its listeners.
    pub host_overflows: Option<u64>,
    /// The sample that told of the newest.
    pub noticed: Option<Moment>,
}

/// What is wrong with a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Connections wait for longer than [`OVERDUE_NS`] and for as long nobody has accepted.
    Stuck {
        /// How many are overdue.
        overdue: usize,
        /// For how long the oldest has waited.
        oldest_ns: u64,
        /// The newest accept, and how long ago it was; `None` where there was none.
        accepted: Option<(Moment, u64)>,
        /// Accepts that were tried since the oldest is there, and failed but for want of a connection: the newest one's error
        /// number, and how often that came.
        failing: Option<(u32, Times)>,
    },
    /// Connections wait for longer than that, although somebody accepts.
    Slow {
        /// How many are overdue.
        overdue: usize,
        /// For how long the oldest has waited.
        oldest_ns: u64,
        /// When it was queued.
        queued: Moment,
    },
    /// The queue was full, and connections or parts of handshakes were dropped, whether the client was told or not (tcp(7),
    /// `tcp_abort_on_overflow`).
    Overflowed {
        /// How many, at least.
        at_least: u64,
        /// The evidence.
        noticed: Option<Moment>,
    },
    /// The queue of a unix socket was full, and connects that would not wait failed with `EAGAIN`.
    TurnedAway(Times),
}

impl<'a> View<'a> {
    /// Listeners at the instant that fit, in the order in which they were made.
    pub(crate) fn listeners(&self, target: Option<&Target>) -> Vec<Cow<'a, Socket>> {
        let fits =
            |socket: &&Socket| target.is_none_or(|target| target.fits(&socket.local, socket.options.v6only));
        let listening = |socket: &Cow<'_, Socket>| phase(socket) == Phase::Listening;
        self.session()
            .sockets()
            .filter(fits)
            .filter_map(|socket| self.socket(socket))
            .filter(listening)
            .collect()
    }

    /// Processes that have the sockets, by socket, and since when as far as is known.
    pub(crate) fn owners(&self, sockets: &[SocketId]) -> HashMap<SocketId, Vec<(&'a Process, BootNs)>> {
        let mut owners: HashMap<SocketId, BTreeMap<ProcessKey, (&'a Process, BootNs)>> = HashMap::new();
        for descriptor in self.session().descriptors().filter(|descriptor| self.is_open(descriptor)) {
            let Some(socket) = descriptor.socket.filter(|socket| sockets.contains(socket)) else { continue };
            let now = self.users_of(descriptor.table).iter().filter(|using| {
                let left = using.left.is_some_and(|left| left <= self.at());
                using.from <= self.at() && !left && self.is_alive(using.process)
            });
            let of_socket = owners.entry(socket).or_default();
            for using in now {
                let since = descriptor.opened.max(using.from);
                let (_, first) = of_socket.entry(using.process.key).or_insert((using.process, since));
                *first = since.min(*first);
            }
        }
        owners.into_iter().map(|(socket, by_key)| (socket, by_key.into_values().collect())).collect()
    }

    /// Connections in accept queues at the instant, by listener, the oldest first.
    pub(crate) fn waiting(&self) -> HashMap<SocketId, Vec<Waiting<'a>>> {
        let mut waiting: HashMap<_, Vec<_>> = HashMap::new();
        for socket in self.session().sockets() {
            let Some(listener) = socket.listener else { continue };
            let Some(socket) = self.socket(socket).filter(|socket| phase(socket) == Phase::Queued) else {
                continue;
            };
            let found = socket.steps.iter().find(|step| step.phase == Phase::Queued).map(|step| step.ts);
            let Some(since) = socket.queued.or(found) else { continue };
            let at_least = socket.queued.is_none();
            let age_ns = self.at().0.saturating_sub(since.0);
            let since = Moment::bare(since);
            waiting.entry(listener).or_default().push(Waiting { socket, since, at_least, age_ns });
        }
        for queue in waiting.values_mut() {
            queue.sort_by_key(|waiting| (waiting.since.ts, waiting.socket.id));
        }
        waiting
    }

    /// Since when a connection waits, with the event that tells of it.
    pub(crate) fn queued_at(&self, waiting: &Waiting<'_>) -> Moment {
        let told = self.event_at(waiting.since.ts, |event| {
            event.kind == EventKind::Queued && event.socket == Some(waiting.socket.id)
        });
        Moment::with(waiting.since.ts, told.as_ref())
    }
}

/// Accept queues of the listeners that fit, or of all.
#[must_use]
pub fn queues<'a>(view: &View<'a>, target: Option<&Target>) -> Queues<'a> {
    let listeners = view.listeners(target);
    let ids: Vec<_> = listeners.iter().map(|socket| socket.id).collect();
    let mut owners = view.owners(&ids);
    let mut waiting = view.waiting();
    let queues: Vec<_> = listeners
        .into_iter()
        .map(|socket| {
            let owners = owners.remove(&socket.id).unwrap_or_default();
            let owners = owners.into_iter().map(|(process, _)| process).collect();
            let waiting = waiting.remove(&socket.id).unwrap_or_default();
            queue(view, socket, owners, waiting)
        })
        .collect();
    let processes: Vec<_> =
        queues.iter().flat_map(|queue| &queue.owners).map(|process| process.key).collect();
    let mut caveats = view.caveats(processes);
    let now = view.at() >= view.session().now();
    let sampled = view.session().sampled_at();
    let sampled = sampled.map(|(at, period_ns)| (period_ns, Some(at).filter(|_| now)));
    if sampled.is_none() && !queues.is_empty() {
        caveats.push(Caveat::NotSampled);
    }
    Queues { queues, sampled, caveats }
}

fn queue<'a>(
    view: &View<'a>,
    socket: Cow<'a, Socket>,
    owners: Vec<&'a Process>,
    mut waiting: Vec<Waiting<'a>>,
) -> Queue<'a> {
    let tally = view.tallies().accepting.of(socket.id);
    let told = tally.and_then(|tally| tally.lengths.back());
    let read = socket.queue.as_deref().filter(|queue| queue.read <= view.at());
    // What was read last, by an event or by a sample.
    let (len, limit) = match (told, read) {
        (Some(told), Some(queue)) if queue.read > told.moment.ts => {
            (Some((queue.len, Moment::bare(queue.read))), Some(queue.limit))
        }
        (Some(told), _) => (Some((told.last, told.moment)), Some(told.limit)),
        (None, Some(queue)) => (Some((queue.len, Moment::bare(queue.read))), Some(queue.limit)),
        (None, None) => (None, None),
    };
    let known = waiting.len();
    waiting.truncate(TOLD);
    for connection in &mut waiting {
        connection.since = view.queued_at(connection);
    }
    let in_queue = u64::from(len.map_or(0, |(len, _)| len)).max(u64::try_from(known).unwrap_or(u64::MAX));
    let others = in_queue.saturating_sub(u64::try_from(waiting.len()).unwrap_or(u64::MAX));
    let turned_away = match &socket.local {
        Address::Unix(name) => view.tallies().accepting.refused(name),
        _ => None,
    };
    let drops = dropped(view, &socket, tally);
    let findings = findings(&waiting, tally, drops.as_ref(), turned_away);
    Queue { socket, owners, len, limit, tally, waiting, others, turned_away, drops, findings }
}

fn dropped(view: &View<'_>, socket: &Socket, tally: Option<&AtListener>) -> Option<Dropped> {
    let told = tally.and_then(|tally| tally.drops);
    let twice = tally.map_or(0, |tally| tally.refused.0);
    let other = |total: u64, queue_full: Option<(u64, u64)>| {
        let once = total.saturating_sub(twice);
        queue_full.map(|(least, most)| (once.saturating_sub(most), once.saturating_sub(least)))
    };
    if let Some(drops) = socket.drops.as_ref().filter(|_| view.at() >= view.session().now()) {
        let queue_full = drops.queue_full();
        return Some(Dropped {
            total: drops.total,
            since: Some(drops.since),
            queue_full,
            counted_twice: drops.counted_twice,
            other: other(drops.total, queue_full),
            host_overflows: drops.host_overflows(),
            noticed: told.map(|(_, moment)| moment),
        });
    }
    let (drops, noticed) = told?;
    Some(Dropped {
        total: drops.total,
        since: None,
        queue_full: drops.queue_full,
        counted_twice: twice,
        other: other(drops.total, drops.queue_full),
        host_overflows: None,
        noticed: Some(noticed),
    })
}

fn findings(
    waiting: &[Waiting<'_>],
    tally: Option<&AtListener>,
    drops: Option<&Dropped>,
    turned_away: Option<Times>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let overdue = waiting.iter().filter(|waiting| waiting.age_ns >= OVERDUE_NS).count();
    if let Some(oldest) = waiting.first().filter(|_| overdue > 0) {
        let accepted = tally.and_then(AtListener::last_accepted);
        let oldest_ns = oldest.age_ns;
        let now = oldest.since.ts.0.saturating_add(oldest_ns);
        findings.push(if accepted.is_some_and(|accepted| now.saturating_sub(accepted.ts.0) < OVERDUE_NS) {
            Finding::Slow { overdue, oldest_ns, queued: oldest.since }
        } else {
            let newest = oldest.since.ts.max(accepted.map_or(BootNs(0), |accepted| accepted.ts));
            let failed = tally.into_iter().flat_map(|tally| &tally.failed);
            let failing = failed
                .filter(|(_, times)| times.last.ts >= newest)
                .max_by_key(|(_, times)| times.last.ts)
                .map(|(error, times)| (*error, *times));
            let idle_ns = accepted.map(|accepted| now.saturating_sub(accepted.ts.0));
            Finding::Stuck { overdue, oldest_ns, accepted: accepted.zip(idle_ns), failing }
        });
    }
    let full = drops.and_then(|drops| Some((drops.queue_full?.0, drops.noticed)));
    if let Some((at_least, noticed)) = full.filter(|(at_least, _)| *at_least > 0) {
        findings.push(Finding::Overflowed { at_least, noticed });
    }
    findings.extend(turned_away.map(Finding::TurnedAway));
    findings
}
