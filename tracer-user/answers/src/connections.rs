//! Both ends: the client's socket and the server's child of one connection, where both are on this host.

use crate::{
    caveat::Caveat,
    moment::Moment,
    view::{View, phase},
    who::Target,
};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};
use tracer_model::{
    address::family,
    entity::{Phase, Process, Socket},
    event::{AppProtocol, EventKind, Side, Spoken},
    facing::Ends,
    ids::{BootNs, SocketId},
    input::Tcp,
};

/// Connections that are told at most, the newest.
pub const MOST: usize = 1_000;

/// Connections with their ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connections<'a> {
    /// In the order in which they began; of those beyond [`MOST`] the newest.
    pub connections: Vec<Connection<'a>>,
    /// How many are left out.
    pub left_out: usize,
    /// What the answer cannot know.
    pub caveats: Vec<Caveat>,
}

/// A connection: the ends of it that are known, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    /// The end that connected; of a pair of sockets the one that was made first.
    pub client: Option<End<'a>>,
    /// The end that a listener made.
    pub server: Option<End<'a>>,
    /// Who closed first, and when, as far as is known.
    pub closed_first: Option<(Which, Moment)>,
}

impl Connection<'_> {
    /// What is spoken, as one of the ends tells it. What the server's end saw counts more: who connects may have written what
    /// never arrived; and an end at which nothing could be seen counts less.
    #[must_use]
    pub fn spoken(&self) -> Option<&Spoken> {
        let ends = [&self.server, &self.client].into_iter().flatten();
        let told = ends.filter_map(|end| end.socket.spoken.last().map(|(_, spoken)| spoken));
        let known = |spoken: &&Spoken| spoken.protocol != AppProtocol::Unknown;
        told.clone().find(known).or_else(|| told.clone().next())
    }
}

/// An end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The end that connected.
    Client,
    /// The other.
    Server,
}

/// One end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End<'a> {
    /// Its socket, as it was.
    pub socket: Cow<'a, Socket>,
    /// Processes that have or last had it.
    pub owners: Vec<&'a Process>,
    /// The kernel's counters, and when they were read: at its end, or by the newest snapshot while it was open. Of TCP alone.
    pub tcp: Option<(Tcp, BootNs)>,
    /// When it ended.
    pub ended: Option<Moment>,
}

/// The connections at the instant, of the address that fits where one is named; with `ended` also those that have ended and
/// are kept.
#[must_use]
pub fn connections<'a>(view: &View<'a>, target: Option<&Target>, ended: bool) -> Connections<'a> {
    let fits = |socket: &Socket| {
        target.is_none_or(|target| target.fits(&socket.local, false) || target.fits(&socket.peer, false))
    };
    let ends: Vec<_> = view
        .session()
        .sockets()
        .filter(|socket| fits(socket))
        .filter_map(|socket| match view.socket(socket) {
            Some(socket) => Some(socket),
            None if ended && socket.ended.is_some_and(|ended| ended <= view.at()) => {
                Some(Cow::Borrowed(socket))
            }
            None => None,
        })
        .filter(|socket| is_end(socket))
        .collect();
    let mut by_address: HashMap<_, Vec<usize>> = HashMap::new();
    let mut by_id = HashMap::new();
    for (place, socket) in ends.iter().enumerate() {
        by_id.insert(socket.id, place);
        if let Some(ends) = Ends::of(socket) {
            by_address.entry(ends).or_default().push(place);
        }
    }
    let other = |socket: &Socket| -> Option<usize> {
        if socket.kind.family == family::UNIX {
            return by_id.get(&socket.other_end?).copied();
        }
        let facing = by_address.get(&Ends::of(socket)?.facing())?;
        // An address can be used again: the two ends of one connection lived at the same time.
        facing.iter().copied().filter(|place| ends.get(*place).is_some_and(|end| overlap(end, socket))).max()
    };
    let mut pairs: Vec<(usize, Option<usize>)> = Vec::new();
    let mut taken = vec![false; ends.len()];
    for (place, socket) in ends.iter().enumerate() {
        if taken.get(place) == Some(&true) {
            continue;
        }
        let facing = other(socket).filter(|facing| *facing != place && taken.get(*facing) == Some(&false));
        for end in facing.iter().chain([&place]) {
            if let Some(taken) = taken.get_mut(*end) {
                *taken = true;
            }
        }
        pairs.push((place, facing));
    }
    let left_out = pairs.len().saturating_sub(MOST);
    let told: Vec<_> = pairs.into_iter().skip(left_out).collect();
    let ids: Vec<SocketId> = told
        .iter()
        .flat_map(|(one, two)| std::iter::once(one).chain(two))
        .filter_map(|place| ends.get(*place).map(|socket| socket.id))
        .collect();
    let owners = view.last_owners(&ids);
    let end = |place: usize| -> Option<End<'a>> {
        let socket = ends.get(place)?.clone();
        let tcp = socket.tcp.filter(|(_, read)| *read <= view.at());
        let ended = socket.ended.filter(|ended| *ended <= view.at());
        let ended = ended.map(|ended| Moment::with(ended, view.end_of(&socket, ended).as_ref()));
        Some(End { owners: owners.get(&socket.id).cloned().unwrap_or_default(), tcp, ended, socket })
    };
    let connections: Vec<_> = told
        .into_iter()
        .filter_map(|(one, two)| Some(connection(view, end(one)?, two.and_then(&end))))
        .collect();
    let processes =
        connections.iter().flat_map(|connection| connection.client.iter().chain(&connection.server));
    let keys: Vec<_> = processes.flat_map(|end| &end.owners).map(|process| process.key).collect();
    Connections { caveats: view.caveats(keys), connections, left_out }
}

fn connection<'a>(view: &View<'_>, one: End<'a>, two: Option<End<'a>>) -> Connection<'a> {
    let of_listener = |end: &End<'_>| end.socket.listener.is_some();
    // Of a pair of sockets neither is a listener's: the one that was made first stands for the client.
    let younger = |two: &End<'_>| !of_listener(&one) && two.socket.id < one.socket.id;
    let swap = of_listener(&one) || two.as_ref().is_some_and(|two| !of_listener(two) && younger(two));
    let (client, server) = if swap { (two, Some(one)) } else { (Some(one), two) };
    let closed_first = closed_first(view, client.as_ref(), server.as_ref());
    Connection { client, server, closed_first }
}

/// Who closed first: as the kernel's states tell of TCP; of other families whose end was closed or shut down first.
fn closed_first(
    view: &View<'_>,
    client: Option<&End<'_>>,
    server: Option<&End<'_>>,
) -> Option<(Which, Moment)> {
    let parts = [(Which::Client, client), (Which::Server, server)];
    let closing = |end: &End<'_>| {
        let closes = |phase| matches!(phase, Phase::HalfClosed | Phase::Closing | Phase::Closed);
        end.socket.steps.iter().find(|step| closes(step.phase)).map(|step| step.ts)
    };
    for (which, end) in parts {
        let Some((end, side)) = end.and_then(|end| Some((end, end.socket.closed_first?))) else { continue };
        let ts = closing(end)?;
        let other = if which == Which::Client { Which::Server } else { Which::Client };
        let who = if side == Side::Local { which } else { other };
        let event =
            view.event_from(ts, |event| event.socket == Some(end.socket.id) && event.closed_first.is_some());
        return Some((who, event.map_or(Moment::bare(ts), |event| Moment::of(&event))));
    }
    if parts.iter().flat_map(|(_, end)| end).any(|end| end.socket.kind.family != family::UNIX) {
        return None;
    }
    let (ts, who, id) = parts
        .iter()
        .filter_map(|(which, end)| end.and_then(|end| Some((closing(end)?, *which, end.socket.id))))
        .min_by_key(|(ts, ..)| *ts)?;
    let event = view.event_from(ts, |event| {
        event.socket == Some(id) && matches!(event.kind, EventKind::Close | EventKind::Shutdown)
    });
    Some((who, event.map_or(Moment::bare(ts), |event| Moment::of(&event))))
}

/// Whether a socket is or was an end of a connection.
fn is_end(socket: &Socket) -> bool {
    let tells = matches!(socket.kind.family, family::INET | family::INET6 | family::UNIX);
    let connected = socket.steps.iter().any(|step| {
        matches!(step.phase, Phase::Queued | Phase::Connected | Phase::HalfClosed | Phase::Closing)
    });
    tells && connected && phase(socket) != Phase::Listening
}

/// Whether two sockets lived at the same time.
pub(crate) fn overlap(one: &Socket, two: &Socket) -> bool {
    let began = |socket: &Socket| socket.steps.first().map_or(BootNs(0), |step| step.ts);
    let before = |one: &Socket, two: &Socket| one.ended.is_some_and(|ended| ended < began(two));
    !before(one, two) && !before(two, one)
}

impl<'a> View<'a> {
    /// Processes that have the sockets at the instant; of one that nobody has, those that had it last.
    fn last_owners(&self, sockets: &[SocketId]) -> HashMap<SocketId, Vec<&'a Process>> {
        let wanted: HashSet<_> = sockets.iter().copied().collect();
        let mut found: HashMap<SocketId, Vec<(bool, BootNs, &'a Process)>> = HashMap::new();
        for descriptor in self.session().descriptors().filter(|descriptor| descriptor.opened <= self.at()) {
            let Some(socket) = descriptor.socket.filter(|socket| wanted.contains(socket)) else { continue };
            let closed = descriptor.closed.map_or(BootNs(u64::MAX), |(closed, _)| closed);
            let open = self.is_open(descriptor);
            let had = self.users_of(descriptor.table).iter().filter(|using| {
                let over = |end: Option<BootNs>| end.is_some_and(|end| end < descriptor.opened);
                using.from <= self.at() && !over(using.left) && !over(using.process.ended)
            });
            let had = had.map(|using| (open, closed, using.process));
            found.entry(socket).or_default().extend(had);
        }
        let last = |mut owners: Vec<(bool, BootNs, &'a Process)>| {
            let any = owners.iter().any(|(open, ..)| *open);
            let newest = owners.iter().map(|(_, closed, _)| *closed).max();
            owners.retain(|(open, closed, _)| if any { *open } else { Some(*closed) == newest });
            owners.sort_by_key(|(.., process)| process.key);
            owners.dedup_by_key(|(.., process)| process.key);
            owners.into_iter().map(|(.., process)| process).collect()
        };
        found.into_iter().map(|(socket, owners)| (socket, last(owners))).collect()
    }
}
