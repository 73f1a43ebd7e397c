//! Balance: who accepts how much of what a listener, or a group of listeners that share a port, is assigned.

use crate::{
    accepting::AtListener,
    caveat::Caveat,
    moment::Moment,
    queues::{OVERDUE_NS, Waiting},
    view::View,
    who::Target,
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
};
use tracer_model::{
    address::Address,
    entity::{Process, Socket},
    ids::{BootNs, ProcessKey, SocketId},
};

/// Accepts of the others since a worker could, from which on one without any is told as idle: chance would have given it some.
pub const IDLE_AFTER: u64 = 1_000;

/// Wake-ups for nothing, from which on they are told where they are at least as many as accepts: fewer happen to any server.
pub const HERD_AFTER: u64 = 20;

/// Who accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance<'a> {
    /// Listeners that share an address by `SO_REUSEPORT` are one group (socket(7)); others are one each.
    pub groups: Vec<Group<'a>>,
    /// What the answer cannot know.
    pub caveats: Vec<Caveat>,
}

/// Listeners of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// Its listeners, in the order in which they were made.
    pub members: Vec<Member<'a>>,
    /// Threads that accept, and processes that could and did not, by process and thread.
    pub workers: Vec<Worker<'a>>,
    /// What is wrong, if anything.
    pub findings: Vec<Finding>,
}

/// A listener of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// The listener.
    pub socket: Cow<'a, Socket>,
    /// Processes that have it, and since when as far as is known.
    pub owners: Vec<(&'a Process, BootNs)>,
    /// Processes that have accepted there.
    pub acceptors: BTreeSet<ProcessKey>,
    /// Connections that the kernel queued there.
    pub assigned: u64,
    /// Connections that were accepted from there.
    pub accepted: u64,
    /// How many wait there.
    pub waiting: usize,
    /// The one that has waited for longest: for how many nanoseconds, and when it was queued.
    pub oldest: Option<(u64, Moment)>,
}

/// Who accepts, or could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker<'a> {
    /// The process.
    pub process: &'a Process,
    /// The thread; `None` for a process none of whose threads accepted.
    pub tid: Option<u32>,
    /// Connections that it accepted.
    pub accepted: u64,
    /// How often it slept, was woken, and its first accept since found nothing.
    pub woken_idle: u64,
    /// Its last accept, whatever came of it.
    pub last: Option<Moment>,
}

/// What is wrong with a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Connections wait at one of several listeners, where nobody accepts: the others cannot take them.
    Stranded {
        /// The listener.
        listener: SocketId,
        /// Who accepted there before; where nobody did, who has it.
        owners: Vec<ProcessKey>,
        /// How many wait.
        waiting: usize,
        /// For how long the oldest has waited.
        oldest_ns: u64,
        /// When it was queued.
        queued: Moment,
    },
    /// A process that could accept never does, while others do that the same parent forked. A child of an acceptor has the
    /// listener by the way, and so has who started the acceptors.
    Idle {
        /// The process.
        process: ProcessKey,
        /// What the others accepted since it could.
        others: u64,
        /// The newest of that.
        newest: Option<Moment>,
    },
    /// Threads are woken for connections that another one takes.
    Herd {
        /// Wake-ups for nothing.
        woken_idle: u64,
        /// Accepts.
        accepted: u64,
        /// The newest accept, whatever came of it.
        newest: Option<Moment>,
    },
}

/// Who accepts at the listeners that fit, or at all.
#[must_use]
pub fn balance<'a>(view: &View<'a>, target: Option<&Target>) -> Balance<'a> {
    let listeners = view.listeners(target);
    let ids: Vec<_> = listeners.iter().map(|socket| socket.id).collect();
    let mut owners = view.owners(&ids);
    let waiting = view.waiting();
    // A listener without `SO_REUSEPORT` is a group of its own.
    let mut groups: Vec<(Option<Key>, Vec<Member<'a>>)> = Vec::new();
    for socket in listeners {
        let key = socket.options.reuseport.then(|| Key::of(&socket));
        let owners = owners.remove(&socket.id).unwrap_or_default();
        let member = member(view, socket, owners, &waiting);
        match groups.iter_mut().find(|(other, _)| key.is_some() && *other == key) {
            Some((_, members)) => members.push(member),
            None => groups.push((key, vec![member])),
        }
    }
    let groups: Vec<_> = groups.into_iter().map(|(_, members)| group(view, members)).collect();
    let processes: Vec<_> = groups.iter().flat_map(|group| &group.workers).map(|w| w.process.key).collect();
    Balance { groups, caveats: view.caveats(processes) }
}

/// What listeners of a group have in common (`sk_reuseport_match`, net/ipv4/inet_connection_sock.c).
#[derive(PartialEq, Eq)]
struct Key {
    netns: u32,
    protocol: u16,
    local: Address,
}

impl Key {
    fn of(socket: &Socket) -> Self {
        Self { netns: socket.netns, protocol: socket.kind.protocol, local: socket.local.clone() }
    }
}

fn member<'a>(
    view: &View<'a>,
    socket: Cow<'a, Socket>,
    owners: Vec<(&'a Process, BootNs)>,
    waiting: &HashMap<SocketId, Vec<Waiting<'a>>>,
) -> Member<'a> {
    let tally = view.tallies().accepting.of(socket.id);
    let waiting = waiting.get(&socket.id).map(Vec::as_slice).unwrap_or_default();
    Member {
        acceptors: tally.into_iter().flat_map(AtListener::acceptors).collect(),
        assigned: tally.map_or(0, |tally| tally.queued),
        accepted: tally.map_or(0, |tally| tally.accepted),
        waiting: waiting.len(),
        oldest: waiting.first().map(|oldest| (oldest.age_ns, view.queued_at(oldest))),
        socket,
        owners,
    }
}

fn group<'a>(view: &View<'a>, members: Vec<Member<'a>>) -> Group<'a> {
    let tallies: Vec<&AtListener> =
        members.iter().filter_map(|member| view.tallies().accepting.of(member.socket.id)).collect();
    let mut by_thread: BTreeMap<(ProcessKey, u32), Worker<'a>> = BTreeMap::new();
    for (thread, counted) in tallies.iter().flat_map(|tally| &tally.workers) {
        let Some(process) = view.session().process(thread.0) else { continue };
        let worker = by_thread.entry(*thread).or_insert(Worker {
            process,
            tid: Some(thread.1),
            accepted: 0,
            woken_idle: 0,
            last: None,
        });
        worker.accepted += counted.accepted;
        worker.woken_idle += counted.woken_idle;
        let newer = worker.last.is_none_or(|last| last.ts < counted.last.ts);
        worker.last = if newer { Some(counted.last) } else { worker.last };
    }
    let active: BTreeSet<ProcessKey> = by_thread.keys().map(|(process, _)| *process).collect();
    // Who started those that accept holds the listener for them, and is no worker.
    let supervisors: BTreeSet<u32> =
        active.iter().filter_map(|key| view.session().process(*key)?.parent).collect();
    let mut workers: Vec<Worker<'a>> = by_thread.into_values().collect();
    let could: BTreeMap<ProcessKey, &'a Process> = members
        .iter()
        .flat_map(|member| &member.owners)
        .map(|(process, _)| (process.key, *process))
        .collect();
    for (key, process) in could {
        if !active.contains(&key) && !supervisors.contains(&key.pid) {
            workers.push(Worker { process, tid: None, accepted: 0, woken_idle: 0, last: None });
        }
    }
    let findings = findings(view, &members, &workers);
    Group { members, workers, findings }
}

fn findings(view: &View<'_>, members: &[Member<'_>], workers: &[Worker<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let accepted: u64 = workers.iter().map(|worker| worker.accepted).sum();
    let (mut stranded, mut idle) = (BTreeSet::new(), BTreeSet::new());
    for member in members.iter().filter(|_| members.len() > 1) {
        if let Some((oldest_ns, queued)) = member.oldest.filter(|(oldest, _)| *oldest >= OVERDUE_NS) {
            // All workers may have every listener, as those of nginx do; each accepts at its own.
            let mut owners: Vec<_> = member.acceptors.iter().copied().collect();
            if owners.is_empty() {
                owners.extend(member.owners.iter().map(|(process, _)| process.key));
            }
            stranded.extend(owners.iter().copied());
            let (listener, waiting) = (member.socket.id, member.waiting);
            findings.push(Finding::Stranded { listener, owners, waiting, oldest_ns, queued });
        }
    }
    let acceptors: Vec<&Process> =
        workers.iter().filter(|worker| worker.accepted > 0).map(|worker| worker.process).collect();
    let parents: BTreeSet<u32> = acceptors.iter().filter_map(|process| process.parent).collect();
    let accepts: BTreeSet<ProcessKey> = acceptors.iter().map(|process| process.key).collect();
    for worker in workers {
        let process = worker.process.key;
        let sibling = worker.process.parent.is_some_and(|parent| parents.contains(&parent));
        if !sibling || accepts.contains(&process) || stranded.contains(&process) {
            continue;
        }
        let others = members.iter().map(|member| {
            let tally = view.tallies().accepting.of(member.socket.id);
            let since = member.owners.iter().find(|(owner, _)| owner.key == process).map(|(_, since)| *since);
            tally.zip(since).map_or(0, |(tally, since)| tally.accepted_since(since))
        });
        let others: u64 = others.sum();
        if others >= IDLE_AFTER && idle.insert(process) {
            let of_members =
                members.iter().filter_map(|member| view.tallies().accepting.of(member.socket.id));
            let newest = of_members.filter_map(AtListener::last_accepted).max_by_key(|moment| moment.ts);
            findings.push(Finding::Idle { process, others, newest });
        }
    }
    let woken_idle: u64 = workers.iter().map(|worker| worker.woken_idle).sum();
    if woken_idle >= HERD_AFTER && woken_idle >= accepted {
        let newest = workers.iter().filter_map(|worker| worker.last).max_by_key(|moment| moment.ts);
        findings.push(Finding::Herd { woken_idle, accepted, newest });
    }
    findings
}
