//! Who holds a port or a unix path.

use crate::{
    caveat::Caveat,
    holders::Holder,
    leftovers::{Leftover, leftovers},
    moment::Moment,
    view::{View, phase},
};
use std::{borrow::Cow, collections::BTreeSet, net::IpAddr};
use tracer_model::{
    address::{Address, family},
    entity::{Phase, Socket},
    event::{Event, EventKind},
    ids::BootNs,
    input::HeldSock,
    names::state,
};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Sockets with this local port, and with this address or any where one is named.
    Port(Option<IpAddr>, u16),
    /// Sockets with this name: a path, or an abstract name, which begins with a zero byte (unix(7)).
    Unix(Vec<u8>),
}

/// Who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who<'a> {
    /// Listeners, and other sockets that have the address, in the order in which they were made.
    pub sockets: Vec<Held<'a>>,
    /// Sockets that had it and are gone, newest first.
    pub before: Vec<Held<'a>>,
    /// How many of them are left out: beyond [`BEFORE`], the oldest.
    pub before_left_out: usize,
    /// Sockets with this address that no process holds: the kernel brings their connections to an end.
    pub ownerless: Vec<Held<'a>>,
    /// Connections of this address that the kernel keeps after their socket is gone, and that are not among those.
    pub leftovers: Vec<Leftover>,
    /// How many of them are left out: beyond [`LEFTOVERS`], the oldest.
    pub leftovers_left_out: usize,
    /// Who listens at this address, or has it without a connection, at sockets that nobody who is followed holds.
    pub not_followed: Vec<&'a HeldSock>,
    /// Connections that listeners of this address took in and that are open.
    pub connections: usize,
    /// What the answer cannot know.
    pub caveats: Vec<Caveat>,
}

/// A socket and who holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<'a> {
    /// The socket, as it was.
    pub socket: Cow<'a, Socket>,
    /// Since when it has the address; `None` where it had it when tracing began.
    pub bound: Option<Moment>,
    /// Since when it listens, likewise.
    pub listening: Option<Moment>,
    /// Who holds it.
    pub holders: Vec<Holder<'a>>,
    /// Who holds it and is not followed; how they came by it is not known.
    pub others: Vec<&'a HeldSock>,
    /// Who held it before.
    pub former: Vec<Holder<'a>>,
    /// When it ended.
    pub ended: Option<Moment>,
}

/// Leftovers of an address that are told: a busy server that closes first has tens of thousands, each for a minute.
pub const LEFTOVERS: usize = 1_000;
/// Ended sockets of an address that are told.
pub const BEFORE: usize = 16;

impl Target {
    /// Whether a socket with that address is meant; `v6only`: one of IPv6 does not take what comes over IPv4.
    pub(crate) fn fits(&self, local: &Address, v6only: bool) -> bool {
        match (self, local) {
            (Self::Port(wanted, port), Address::Inet(ip, at)) => {
                port == at
                    && wanted.is_none_or(|wanted| match wanted.to_canonical() {
                        IpAddr::V4(wanted) => ip.is_unspecified() || *ip == wanted,
                        IpAddr::V6(_) => false,
                    })
            }
            (Self::Port(wanted, port), Address::Inet6(ip, at)) => {
                port == at
                    && wanted.is_none_or(|wanted| match wanted.to_canonical() {
                        IpAddr::V4(wanted) => {
                            (ip.is_unspecified() && !v6only) || ip.to_canonical() == IpAddr::V4(wanted)
                        }
                        IpAddr::V6(wanted) => ip.is_unspecified() || *ip == wanted,
                    })
            }
            (Self::Unix(wanted), Address::Unix(name)) => wanted == name,
            _ => false,
        }
    }

    /// Whether a socket is meant.
    pub(crate) fn fits_socket(&self, socket: &Socket) -> bool {
        self.fits(&socket.local, socket.options.v6only)
    }
}

/// Who holds it at the view's instant.
#[must_use]
pub fn who<'a>(view: &View<'a>, target: &Target) -> Who<'a> {
    let mut here = Vec::new();
    let mut gone = Vec::new();
    for socket in view.session().sockets().filter(|socket| target.fits_socket(socket)) {
        match view.socket(socket) {
            // Before its bind it did not have the address.
            Some(socket) if target.fits_socket(&socket) => here.push(socket),
            None if socket.ended.is_some_and(|ended| ended <= view.at()) => gone.push(socket),
            Some(_) | None => {}
        }
    }
    let listening: Vec<_> = here
        .iter()
        .filter(|socket| phase(socket) == Phase::Listening)
        .map(|socket| (socket.netns, socket.kind.protocol))
        .collect();
    // A connection that came in through a listener has its address without holding it.
    let came_in = |socket: &Socket| {
        socket.listener.is_some()
            || (listening.contains(&(socket.netns, socket.kind.protocol))
                && phase(socket) != Phase::Listening
                && is_connected(socket))
    };
    gone.retain(|socket| socket.listener.is_none());
    gone.sort_by_key(|socket| std::cmp::Reverse((socket.ended, socket.id)));
    let before_left_out = gone.len().saturating_sub(BEFORE);
    gone.truncate(BEFORE);
    let told = |id| here.iter().any(|socket| socket.id == id) || gone.iter().any(|socket| socket.id == id);
    let holders = view.holders(told);
    let held = |socket: Cow<'a, Socket>| {
        let (now, former) = holders.of(view, socket.id);
        let step = |phase| moment_of(view, &socket, phase);
        Held {
            bound: step(Phase::Bound),
            listening: step(Phase::Listening),
            others: others_of(view, &socket, &now),
            holders: now,
            former,
            ended: None,
            socket,
        }
    };
    let mut leftovers = leftovers(view, |local, v6only| target.fits(local, v6only));
    let leftovers_left_out = leftovers.len().saturating_sub(LEFTOVERS);
    leftovers.drain(..leftovers_left_out);
    let mut answer = Who {
        sockets: Vec::new(),
        before: Vec::new(),
        before_left_out,
        ownerless: Vec::new(),
        leftovers,
        leftovers_left_out,
        not_followed: Vec::new(),
        connections: 0,
        caveats: Vec::new(),
    };
    let known: Vec<_> = here.iter().map(|socket| (socket.netns, socket.ino)).collect();
    answer.not_followed = others(view)
        .filter(|held| target.fits(&held.sock.local, held.sock.options.v6only))
        .filter(|held| held.sock.peer.is_unset() && !known.contains(&(held.sock.netns, held.ino)))
        .collect();
    for socket in here {
        if phase(&socket) == Phase::Queued {
            continue;
        }
        let connection = came_in(&socket);
        let held = held(socket);
        if held.holders.is_empty() {
            answer.ownerless.push(held);
        } else if connection {
            answer.connections += 1;
        } else {
            answer.sockets.push(held);
        }
    }
    answer.before = gone
        .into_iter()
        .map(|socket| {
            let held = held(Cow::Borrowed(socket));
            let ended = socket.ended.map(|ended| end_of(view, socket, ended, &held.former));
            Held { ended, ..held }
        })
        .collect();
    let processes = answer.sockets.iter().flat_map(|held| &held.holders).map(|holder| holder.process.key);
    answer.caveats = view.caveats(processes);
    answer.caveats.extend(view.others().filter(|others| !others.whole).map(|_| Caveat::OthersCut));
    match view.kernel() {
        None => answer.caveats.push(Caveat::NotAsked),
        Some(kernel) => {
            let missed = kernel.missed.iter();
            let missed = missed.map(|(netns, why)| Caveat::Namespace { netns: *netns, why: why.clone() });
            answer.caveats.extend(missed);
        }
    }
    let elsewhere: BTreeSet<u32> = known
        .iter()
        .map(|(netns, _)| *netns)
        .chain(answer.before.iter().map(|held| held.socket.netns))
        .chain(answer.not_followed.iter().map(|held| held.sock.netns))
        .filter(|netns| view.kernel().is_some() && !view.asked_in(*netns))
        .collect();
    answer.caveats.extend(elsewhere.into_iter().map(|netns| Caveat::NamespaceNotEntered { netns }));
    answer
}

/// When a socket ended: by a change of its state, or since the last who held it ceased to.
fn end_of(view: &View<'_>, socket: &Socket, ended: BootNs, former: &[Holder<'_>]) -> Moment {
    if let Some(event) = view.end_of(socket, ended) {
        return Moment::told_by(ended, &event);
    }
    let ceased = former.iter().filter_map(|holder| holder.until).map(|(until, _)| until);
    match ceased.filter(|until| until.ts <= ended).max_by_key(|until| until.ts) {
        Some(last) => last.later(ended),
        None => Moment::bare(ended),
    }
}

/// Descriptors that the kernel was asked for.
fn others<'a>(view: &View<'a>) -> impl Iterator<Item = &'a HeldSock> {
    view.others().into_iter().flat_map(|others| &others.held)
}

/// Who holds a socket beside those that are followed.
fn others_of<'a>(view: &View<'a>, socket: &Socket, holders: &[Holder<'_>]) -> Vec<&'a HeldSock> {
    let is_it =
        |held: &&HeldSock| held.ino == socket.ino && held.sock.netns == socket.netns && socket.ino != 0;
    let known = |held: &&HeldSock| holders.iter().any(|holder| holder.process.key == held.process);
    others(view).filter(is_it).filter(|held| !known(held)).collect()
}

fn is_connected(socket: &Socket) -> bool {
    socket.kind.family != family::UNIX
        && socket.steps.last().and_then(|step| step.state).is_some_and(|now| now != state::CLOSE)
        && matches!(phase(socket), Phase::Connected | Phase::HalfClosed | Phase::Closing)
}

/// When a socket came to that phase first, where that was seen: what a snapshot found was so before.
pub(crate) fn moment_of(view: &View<'_>, socket: &Socket, phase: Phase) -> Option<Moment> {
    let step = socket.steps.iter().find(|step| step.phase == phase)?;
    let about = |event: &Event| event.socket == Some(socket.id);
    let found = |event: &Event| matches!(event.kind, EventKind::Snapshot | EventKind::Repair);
    if view.event_at(step.ts, |event| about(event) && found(event)).is_some() {
        return None;
    }
    // A TCP listener's state changes within the call, which is told when it returns.
    let wanted = if phase == Phase::Listening { EventKind::Listen } else { EventKind::Bind };
    let call = |event: &Event| about(event) && event.kind == wanted && event.error.is_none();
    let event = view.event_from(step.ts, call).or_else(|| view.event_at(step.ts, about));
    Some(Moment::with(step.ts, event.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::Target;
    use tracer_model::address::Address;

    #[test]
    fn an_address_means_the_sockets_that_take_what_comes_to_it() {
        let inet = |text: &str| Address::Inet(text.parse().unwrap(), 80);
        let inet6 = |text: &str| Address::Inet6(text.parse().unwrap(), 80);
        let wanted = |text: &str| Target::Port(Some(text.parse().unwrap()), 80);
        for (asked, local, v6only, fits) in [
            ("127.0.0.1", inet("127.0.0.1"), false, true),
            ("127.0.0.1", inet("0.0.0.0"), false, true),
            ("127.0.0.1", inet("127.0.0.2"), false, false),
            ("127.0.0.1", inet6("::"), false, true),
            ("127.0.0.1", inet6("::"), true, false),
            ("127.0.0.1", inet6("::ffff:127.0.0.1"), false, true),
            ("127.0.0.1", inet6("::1"), false, false),
            ("::1", inet("0.0.0.0"), false, false),
            ("::1", inet6("::"), true, true),
            ("::1", inet6("::1"), false, true),
            ("::ffff:127.0.0.1", inet("127.0.0.1"), false, true),
        ] {
            assert_eq!(wanted(asked).fits(&local, v6only), fits, "{asked} {local} {v6only}");
        }
        assert!(Target::Port(None, 80).fits(&inet("10.0.0.1"), false));
        assert!(!Target::Port(None, 81).fits(&inet("10.0.0.1"), false));
    }
}
