//! `EADDRINUSE`: which socket is in the way (ip(7), socket(7); `inet_csk_bind_conflict`,
//! `net/ipv4/inet_connection_sock.c`).

use super::{
    Cause, Explain, Relation, Unseen,
    search::{Candidate, Own, first},
};
use crate::{
    address::{Address, family},
    event::{Event, EventKind},
    input::Options,
    lifecycle,
    names::state,
    session::Session,
};

impl Session {
    pub(super) fn address_taken(&self, event: &Event) -> Option<Explain> {
        let own = self.own(event)?;
        let asked = match event.kind {
            EventKind::Listen => Some(own.local.clone()),
            _ => event.asked.clone(),
        }?;
        let mut held = self.held(event, own.sk, |kind, local, _| {
            kind.ty == own.kind.ty
                && kind.protocol == own.kind.protocol
                && (kind.family == family::UNIX) == (own.kind.family == family::UNIX)
                && local.port() == asked.port()
        });
        held.retain_mut(|other| in_the_way(&own, &asked, other));
        held.sort_by_key(|other| {
            let listens = other.party.state == state::LISTEN;
            (both_reuse_port(&own.options, &other.party.options), !listens, place(other), other.sk)
        });
        let unseen = self.unseen(event);
        if !held.is_empty() {
            return Some(explained(Cause::AddressHeld, &own, held).without(unseen));
        }
        let mut left =
            self.leftovers(event, |sock| sock.family == family::INET || sock.family == family::INET6);
        left.retain_mut(|other| in_the_way(&own, &asked, other));
        left.sort_by_key(|other| (other.party.state != state::TIME_WAIT, place(other), other.sk));
        let elsewhere = self.looked(event).is_some_and(|looked| looked.netns != own.netns)
            && lifecycle::tells_states(own.kind);
        let unseen = unseen.into_iter().chain(elsewhere.then_some(Unseen::LeftoversElsewhere));
        let cause = if left.is_empty() { Cause::AddressUnknown } else { Cause::AddressLeftOver };
        Some(explained(cause, &own, left).without(unseen))
    }
}

fn explained(cause: Cause, own: &Own, others: Vec<Candidate>) -> Explain {
    let (sockets, more, told) = first(others);
    let options = Some(own.options);
    let told = told.into_iter().chain((own.told != 0).then_some(own.told));
    Explain { options, sockets, more, ..Explain::of(cause) }.resting_on(told)
}

/// Whether a socket keeps `own` from having `asked`; notes what the addresses have to do with each other.
fn in_the_way(own: &Own, asked: &Address, other: &mut Candidate) -> bool {
    let party = &mut other.party;
    if party.kind.family != family::UNIX && party.netns != own.netns {
        return false;
    }
    party.relation = relation((asked, own.options.v6only), (&party.local, party.options.v6only));
    let both_reuse = own.options.reuseaddr && party.options.reuseaddr;
    // TCP shares an address between sockets that both allow it, unless one of them listens; UDP in any case.
    let shared = both_reuse && (party.state != state::LISTEN || !lifecycle::tells_states(own.kind));
    party.relation.is_some() && !shared
}

/// The same address before a wildcard.
fn place(other: &Candidate) -> u8 {
    other.party.relation.map_or(u8::MAX, |relation| relation as u8)
}

/// Such sockets are in each other's way only if different users made them (socket(7)): least likely.
fn both_reuse_port(own: &Options, other: &Options) -> bool {
    own.reuseport && other.reuseport
}

/// What two addresses with the same port have to do with each other, each with `IPV6_V6ONLY` of its socket; `None` where
/// both can be bound.
pub(super) fn relation(
    (one, one_v6only): (&Address, bool),
    (other, other_v6only): (&Address, bool),
) -> Option<Relation> {
    let wildcard = |same: bool, any: bool| match (same, any) {
        (true, _) => Some(Relation::Same),
        (false, true) => Some(Relation::Wildcard),
        (false, false) => None,
    };
    match (&plain(one), &plain(other)) {
        (Address::Inet(a, ap), Address::Inet(b, bp)) if ap == bp => {
            wildcard(a == b, a.is_unspecified() || b.is_unspecified())
        }
        (Address::Inet6(a, ap), Address::Inet6(b, bp)) if ap == bp => {
            wildcard(a == b, a.is_unspecified() || b.is_unspecified())
        }
        (Address::Inet6(any, ap), Address::Inet(_, bp)) if ap == bp => {
            (any.is_unspecified() && !one_v6only).then_some(Relation::DualStack)
        }
        (Address::Inet(_, ap), Address::Inet6(any, bp)) if ap == bp => {
            (any.is_unspecified() && !other_v6only).then_some(Relation::DualStack)
        }
        (a @ Address::Unix(name), b) => (a == b && !name.is_empty()).then_some(Relation::Same),
        _ => None,
    }
}

/// An IPv4 address that is written as IPv6 is one of IPv4 (ipv6(7)).
pub(super) fn plain(address: &Address) -> Address {
    match address {
        Address::Inet6(ip, port) => {
            ip.to_ipv4_mapped().map_or_else(|| address.clone(), |ip| Address::Inet(ip, *port))
        }
        other => other.clone(),
    }
}
