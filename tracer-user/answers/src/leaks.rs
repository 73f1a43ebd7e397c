//! What a server leaves behind: descriptors that only grow, connections whose peer hung up and which nobody closes, sockets
//! that survived an exec, and how far it is to the limit.

use crate::{
    caveat::Caveat,
    far_ends::FarEnds,
    growth::{Growth, Judged, SHORTEST_NS, growth},
    handover::takes,
    holders::Holder,
    moment::Moment,
    view::View,
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};
use tracer_model::{
    address::family,
    entity::{Descriptor, Process, Socket, Step},
    event::{Event, EventKind},
    ids::{BootNs, ProcessKey, SocketId},
    names::state,
};

/// A connection is not left behind before the peer's FIN is so old: a server that is busy closes it in its time.
pub const HUNG_UP_NS: u64 = 5_000_000_000;
/// So long must something wait unread, in a connection of which nothing was ever read, before that is told.
pub const UNREAD_NS: u64 = 5_000_000_000;
/// A table is told of whose use has come so near to the limit, in hundredths.
const NEAR: u64 = 80;

/// What a server leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaks<'a> {
    /// Descriptors that only grow, most first.
    pub growing: Vec<Growth<'a>>,
    /// Connections in `CLOSE_WAIT` for longer than [`HUNG_UP_NS`], oldest first.
    pub hung_up: Vec<HungUp<'a>>,
    /// Accepted connections that sent something of which nothing was ever read for [`UNREAD_NS`], oldest first. It takes two
    /// checks of the table to tell, and of the past only what is so still is told.
    pub unread: Vec<Unread<'a>>,
    /// Sockets that were open across an exec, and still are; but for those that take connections, or datagrams under a name of
    /// their own: those are handed over so by design (socket activation), and [`crate::handover`] tells which are not meant to
    /// be.
    pub survived: Vec<Survived<'a>>,
    /// Tables that grow or are near their limit, and those that were asked for.
    pub room: Vec<Room<'a>>,
    /// What the answer cannot know.
    pub caveats: Vec<Caveat>,
}

/// A connection whose peer hung up and which its holder has not closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HungUp<'a> {
    /// The socket.
    pub socket: Cow<'a, Socket>,
    /// Who holds it.
    pub holders: Vec<Holder<'a>>,
    /// When the peer's FIN came; at the latest, where it was found so.
    pub since: Moment,
    /// It was found so: the FIN is older.
    pub found: bool,
    /// How long ago.
    pub age_ns: u64,
    /// The process at the other end, where it is followed.
    pub peer: Option<ProcessKey>,
}

/// An accepted connection from which nobody has ever read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread<'a> {
    /// The socket.
    pub socket: Cow<'a, Socket>,
    /// Who holds it.
    pub holders: Vec<Holder<'a>>,
    /// When the kernel was first found to keep something for it, and nothing read.
    pub since: BootNs,
    /// When it was found so last.
    pub read: BootNs,
    /// What waits, in bytes.
    pub bytes: u64,
    /// How long ago the first was.
    pub age_ns: u64,
}

/// A socket that survived an exec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survived<'a> {
    /// Whose.
    pub process: &'a Process,
    /// The descriptor.
    pub descriptor: &'a Descriptor,
    /// The socket.
    pub socket: Cow<'a, Socket>,
    /// The exec.
    pub exec: Moment,
}

/// How far a table is from its limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room<'a> {
    /// Whose table.
    pub process: &'a Process,
    /// Soft limit on descriptors (`RLIMIT_NOFILE`, getrlimit(2)), as last read.
    pub limit: u64,
    /// Descriptors in use.
    pub used: u64,
    /// How many are left behind in a second, in thousandths; 0: none is.
    pub left_per_1000_s: u64,
    /// When the limit is reached at that rate, from the instant on.
    pub reached_in_ns: Option<u64>,
}

/// What is left behind at the view's instant, by these processes; by all where none is named.
#[must_use]
pub fn leaks<'a>(view: &View<'a>, of: &[u32]) -> Leaks<'a> {
    let asked = |process: &Process| of.is_empty() || of.contains(&process.key.pid);
    let Judged { mut growing, mut unjudged } = growth(view);
    growing.retain(|growth| asked(growth.process));
    unjudged.retain(|group| asked(group.process));
    let mut open: BTreeMap<ProcessKey, Vec<&'a Descriptor>> = BTreeMap::new();
    for descriptor in view.session().descriptors().filter(|descriptor| view.is_open(descriptor)) {
        for process in view.owners_of(descriptor.table).filter(|process| asked(process)) {
            open.entry(process.key).or_default().push(descriptor);
        }
    }
    let processes = open.keys().copied();
    let mut caveats = view.caveats(processes);
    caveats.extend(one_look(view));
    if let Some(longest) = unjudged.first() {
        caveats.push(Caveat::Unjudged {
            kinds: unjudged.len(),
            process: (longest.process.key, longest.process.comm.clone()),
            kind: longest.kind,
            by: longest.by,
            needs_ns: longest.needs_ns,
            traced_ns: longest.traced_ns,
        });
    }
    caveats.extend((view.at() < view.session().now()).then_some(Caveat::UnreadSince));
    let count = unix_accepted(view, &open);
    caveats.extend((count > 0).then_some(Caveat::UnixUnread { count }));
    let hung_up = hung_up(view, &open);
    let unread = unread(view, &open);
    let survived = open.iter().flat_map(|(key, open)| survived(view, *key, open)).collect();
    let room =
        open.iter().filter_map(|(key, open)| room(view, *key, open.len() as u64, &growing, of)).collect();
    Leaks { growing, hung_up, unread, survived, room, caveats }
}

/// What shows over time cannot show yet: what grows, and, where the tables were not read twice, what is never read. Of the past
/// [`Caveat::UnreadSince`] tells about the latter.
fn one_look(view: &View<'_>) -> Option<Caveat> {
    let session = view.session();
    let since = |ts: BootNs| ts.0.saturating_sub(session.t0().0);
    let traced_ns = since(view.at());
    let read = session.tables_read_at().filter(|_| view.at() >= session.now());
    if traced_ns < SHORTEST_NS {
        return Some(Caveat::OneLook { traced_ns });
    }
    read.is_some_and(|read| since(read) < UNREAD_NS).then_some(Caveat::ReadOnce)
}

fn held(open: &BTreeMap<ProcessKey, Vec<&Descriptor>>) -> BTreeSet<SocketId> {
    open.values().flatten().filter_map(|descriptor| descriptor.socket).collect()
}

/// Accepted connections of unix sockets that are open. The kernel keeps what waits in them and not what was read (`struct
/// unix_sock`, include/net/af_unix.h).
fn unix_accepted(view: &View<'_>, open: &BTreeMap<ProcessKey, Vec<&Descriptor>>) -> u64 {
    let held = held(open);
    let sockets = view.session().sockets().filter(|socket| held.contains(&socket.id));
    let accepted = |socket: &&Socket| {
        socket.kind.family == family::UNIX && (socket.listener.is_some() || socket.accepted.is_some())
    };
    sockets.filter(accepted).filter(|socket| view.socket(socket).is_some()).count() as u64
}

fn unread<'a>(view: &View<'a>, open: &BTreeMap<ProcessKey, Vec<&'a Descriptor>>) -> Vec<Unread<'a>> {
    let held = held(open);
    let mut found = Vec::new();
    for socket in view.session().sockets().filter(|socket| held.contains(&socket.id)) {
        let Some(never) =
            socket.never_read.filter(|never| never.read.0.saturating_sub(never.since.0) >= UNREAD_NS)
        else {
            continue;
        };
        let Some(socket) = view.socket(socket) else { continue };
        let fin = socket.steps.last().is_some_and(|step| step.state == Some(state::CLOSE_WAIT));
        let bytes = never.waiting.saturating_sub(u64::from(fin));
        let age_ns = view.at().0.saturating_sub(never.since.0);
        let was_accepted = socket.listener.is_some() || socket.accepted.is_some();
        if was_accepted && bytes > 0 && age_ns >= UNREAD_NS {
            found.push(Unread {
                socket,
                holders: Vec::new(),
                since: never.since,
                read: never.read,
                bytes,
                age_ns,
            });
        }
    }
    if !found.is_empty() {
        let ids: BTreeSet<SocketId> = found.iter().map(|unread| unread.socket.id).collect();
        let holders = view.holders(|id| ids.contains(&id));
        for unread in &mut found {
            unread.holders = holders.of(view, unread.socket.id).0;
        }
    }
    found.sort_by_key(|unread| std::cmp::Reverse(unread.age_ns));
    found
}

fn hung_up<'a>(view: &View<'a>, open: &BTreeMap<ProcessKey, Vec<&'a Descriptor>>) -> Vec<HungUp<'a>> {
    let held = held(open);
    let mut waiting: Vec<(Cow<'a, Socket>, Step)> = Vec::new();
    for socket in view.session().sockets().filter(|socket| held.contains(&socket.id)) {
        let Some(socket) = view.socket(socket) else { continue };
        let last = socket.steps.last().filter(|step| step.state == Some(state::CLOSE_WAIT)).cloned();
        if let Some(step) = last.filter(|step| view.at().0.saturating_sub(step.ts.0) >= HUNG_UP_NS) {
            waiting.push((socket, step));
        }
    }
    if waiting.is_empty() {
        return Vec::new();
    }
    let far = FarEnds::among(view.session().sockets());
    let others: Vec<Option<SocketId>> =
        waiting.iter().map(|(socket, _)| far.of(socket).map(|other| other.id)).collect();
    let ids: BTreeSet<SocketId> =
        waiting.iter().map(|(socket, _)| socket.id).chain(others.iter().copied().flatten()).collect();
    let holders = view.holders(|id| ids.contains(&id));
    let mut hung_up: Vec<HungUp<'a>> = waiting
        .into_iter()
        .zip(others)
        .map(|((socket, step), other)| {
            let about = |event: &Event| event.socket == Some(socket.id);
            let event = view.event_at(step.ts, about);
            let found = event
                .as_ref()
                .is_some_and(|event| matches!(event.kind, EventKind::Snapshot | EventKind::Repair));
            let peer = other.and_then(|id| {
                let (now, former) = holders.of(view, id);
                now.first().or(former.last()).map(|holder| holder.process.key)
            });
            let (holders, _) = holders.of(view, socket.id);
            HungUp {
                since: Moment::with(step.ts, event.as_ref()),
                found: found || socket.steps.len() == 1,
                age_ns: view.at().0.saturating_sub(step.ts.0),
                holders,
                peer,
                socket,
            }
        })
        .collect();
    hung_up.sort_by_key(|hung_up| std::cmp::Reverse(hung_up.age_ns));
    hung_up
}

fn survived<'a>(view: &View<'a>, key: ProcessKey, open: &[&'a Descriptor]) -> Vec<Survived<'a>> {
    let Some(process) = view.session().process(key) else { return Vec::new() };
    let newest = process.executions.iter().rfind(|execution| execution.ts <= view.at());
    let Some(ts) = newest.map(|execution| execution.ts) else { return Vec::new() };
    let of_it = |event: &Event| event.kind == EventKind::Exec && event.process == key;
    let exec = Moment::with(ts, view.event_at(ts, of_it).as_ref());
    let sockets = open.iter().filter(|descriptor| descriptor.opened < exec.ts);
    sockets
        .filter_map(|descriptor| {
            let socket = view.socket(view.session().socket(descriptor.socket?)?).filter(|it| !takes(it))?;
            Some(Survived { process, descriptor, socket, exec })
        })
        .collect()
}

fn room<'a>(
    view: &View<'a>,
    key: ProcessKey,
    used: u64,
    growing: &[Growth<'a>],
    asked: &[u32],
) -> Option<Room<'a>> {
    let process = view.session().process(key)?;
    let limit = process.fd_limit?;
    let of_it = growing.iter().filter(|growth| growth.process.key == key && growth.stopped.is_none());
    let left_per_1000_s: u64 = of_it
        .map(|growth| {
            let rate = u128::from(growth.left) * 1_000_000_000_000 / u128::from(growth.over_ns.max(1));
            u64::try_from(rate).unwrap_or(u64::MAX)
        })
        .sum();
    let left = u128::from(limit.saturating_sub(used));
    let reached = (left_per_1000_s > 0).then(|| left * 1_000_000_000_000 / u128::from(left_per_1000_s));
    let near = used.saturating_mul(100) >= limit.saturating_mul(NEAR);
    (near || left_per_1000_s > 0 || asked.contains(&key.pid)).then(|| Room {
        process,
        limit,
        used,
        left_per_1000_s,
        reached_in_ns: reached.map(|ns| u64::try_from(ns).unwrap_or(u64::MAX)),
    })
}
