//! `ECONNREFUSED`: who does not listen, and who listens elsewhere (connect(2)).

use super::{
    Cause, Explain, Unseen, between,
    search::{Candidate, Own, first},
    taken::{plain, relation},
};
use crate::{
    address::{Address, family},
    event::Event,
    names::state,
    session::Session,
};

impl Session {
    pub(super) fn refused(&self, event: &Event) -> Option<Explain> {
        let own = self.own(event)?;
        let asked = event.asked.clone().or_else(|| event.peer.clone())?;
        let is_unix = own.kind.family == family::UNIX;
        let listeners = self.held(event, own.sk, |kind, local, at| {
            at == state::LISTEN
                && (kind.family == family::UNIX) == is_unix
                && kind.ty == own.kind.ty
                && (is_unix && *local == asked
                    || !is_unix && kind.protocol == own.kind.protocol && local.port() == asked.port())
        });
        let unseen = self.unseen(event);
        let here = |other: &Candidate| is_unix || other.party.netns == own.netns;
        let takes = |local: &Address, v6only: bool| {
            is_unix || relation((&plain(&asked), true), (local, v6only)).is_some()
        };
        let (same, others): (Vec<_>, Vec<_>) = listeners
            .into_iter()
            .partition(|other| here(other) && takes(&other.party.local, other.party.options.v6only));
        if !same.is_empty() {
            return Some(explained(Cause::Listens, same));
        }
        let closed = self.explaining.closed().find(|closed| {
            let party = &closed.party;
            (is_unix && party.local == asked)
                || !is_unix
                    && party.netns == own.netns
                    && party.kind.protocol == own.kind.protocol
                    && takes(&party.local, party.options.v6only)
        });
        if let Some(closed) = closed {
            let explain = Explain {
                sockets: vec![closed.party.clone()],
                ago_ns: Some(between(closed.ts, event.ts)),
                ..Explain::of(Cause::ListenerClosed)
            };
            return Some(explain.resting_on([closed.seq]).without(unseen));
        }
        let is_here = is_unix || self.is_of_this_host(event, &own, &asked);
        let (near, far): (Vec<_>, Vec<_>) = others.into_iter().partition(here);
        let (family, address): (Vec<_>, Vec<_>) =
            near.into_iter().partition(|other| of_other_family(&asked, &other.party.local));
        let found =
            [(Cause::OtherFamily, family), (Cause::OtherAddress, address), (Cause::OtherNamespace, far)];
        let found = found.into_iter().find(|(_, found)| is_here && !found.is_empty());
        Some(match found {
            Some((cause, found)) => explained(cause, found).without(unseen),
            None if is_here => Explain::of(Cause::NobodyListens).without(unseen),
            None => Explain::of(Cause::Remote).without([Unseen::Peer]),
        })
    }

    /// Whether an address is known to be of this host: a loopback address, or one that a socket here has.
    fn is_of_this_host(&self, event: &Event, own: &Own, asked: &Address) -> bool {
        let ip = |address: &Address| match plain(address) {
            Address::Inet(ip, _) => Some(std::net::IpAddr::from(ip)),
            Address::Inet6(ip, _) => Some(ip.into()),
            _ => None,
        };
        let Some(asked) = ip(asked) else { return false };
        // A connect to the unspecified address is one to this host (`__ip_route_output_key`).
        if asked.is_loopback() || asked.is_unspecified() {
            return true;
        }
        let is = |netns: u32, local: &Address| netns == own.netns && ip(local) == Some(asked);
        let held = self.looked(event).map_or(&[][..], |looked| &looked.held);
        is(own.netns, &own.local)
            || held.iter().any(|held| is(held.sock.netns, &held.sock.local))
            || self.world.sockets.iter().any(|kept| is(kept.socket.netns, &kept.socket.local))
    }
}

/// Whether a listener would take a connection to that port, were it of the other version of IP.
fn of_other_family(asked: &Address, local: &Address) -> bool {
    match (plain(asked), plain(local)) {
        (Address::Inet(ip, _), Address::Inet6(any, _)) => {
            any.is_unspecified() || ip.is_loopback() && any.is_loopback()
        }
        (Address::Inet6(ip, _), Address::Inet(any, _)) => {
            any.is_unspecified() || ip.is_loopback() && any.is_loopback()
        }
        _ => false,
    }
}

fn explained(cause: Cause, mut listeners: Vec<Candidate>) -> Explain {
    listeners.sort_by_key(|other| other.sk);
    let (sockets, more, told) = first(listeners);
    Explain { sockets, more, ..Explain::of(cause) }.resting_on(told)
}
