//! `ECONNABORTED`, `ECONNRESET` and `EPIPE`: what ended a connection.

use super::{Cause, Explain, Unseen, between, search::party_of};
use crate::{
    entity::Phase,
    event::{Event, Side},
    facing::Ends,
    lifecycle,
    session::Session,
    sockets::Kept,
};

impl Session {
    /// An accept took a connection that had been reset while it waited, and could not give its peer (`do_accept`,
    /// net/socket.c).
    pub(super) fn aborted(&self, event: &Event) -> Explain {
        let queued = self.world.sockets.iter().filter(|kept| {
            event.listener.is_some()
                && kept.socket.listener == event.listener
                && kept.socket.accepted.is_none()
                && lifecycle::phase(&kept.socket) == Phase::Closed
        });
        let explain = Explain::of(Cause::ResetInQueue);
        let Some(kept) = queued.last() else { return explain.without([Unseen::Peer]) };
        let ended = kept.socket.steps.last().map(|step| between(step.ts, event.ts));
        let sockets = vec![party_of(&kept.socket, kept.state, Vec::new())];
        Explain { sockets, ago_ns: ended, ..explain }.resting_on((kept.told != 0).then_some(kept.told))
    }

    /// The peer reset the connection (RFC 9293, section 3.10.7), or had closed it and refuses what is still sent
    /// (`tcp_reset`, `net/ipv4/tcp_input.c`).
    pub(super) fn reset(&self, event: &Event, cause: Cause) -> Option<Explain> {
        let own = event.socket.and_then(|id| self.world.sockets.get(id))?;
        let peer = self.other_end(own);
        let mut explain = Explain::of(cause);
        if let Some(peer) = peer {
            let holders = match peer.closed {
                Some((_, process, fd)) => vec![self.holder(process, fd)],
                None => self.holders([peer.socket.id].into_iter()).into_values().flatten().collect(),
            };
            let events = peer.closed.iter().map(|closed| closed.0).chain([peer.told]).filter(|seq| *seq != 0);
            explain = explain.resting_on(events);
            explain.sockets = vec![party_of(&peer.socket, peer.state, holders)];
        } else {
            explain.unseen.push(Unseen::Peer);
        }
        if own.socket.closed_first == Some(Side::Peer) {
            let closed = own.socket.steps.iter().rev().find(|step| step.phase == Phase::HalfClosed);
            explain.ago_ns = closed.map(|step| between(step.ts, event.ts));
        }
        // Whoever reads or writes next gets the error; that is not traced.
        Some(explain.without([Unseen::ReadsAndWrites]))
    }

    /// A send found that the other end of a pair of unix sockets is gone: the event is that send.
    pub(super) fn let_down(&self, event: &Event) -> Option<Explain> {
        let mut explain = self.reset(event, Cause::PeerGone)?;
        explain.unseen.retain(|unseen| *unseen != Unseen::ReadsAndWrites);
        let own = event.socket.and_then(|id| self.world.sockets.get(id))?;
        let ended = self.other_end(own).and_then(|peer| peer.socket.ended);
        explain.ago_ns = ended.map(|ended| between(ended, event.ts));
        Some(explain)
    }

    /// The other end of a connection on this host, where its process is followed.
    fn other_end(&self, own: &Kept) -> Option<&Kept> {
        if let Some(end) = own.socket.other_end {
            return self.world.sockets.get(end);
        }
        let facing = Ends::of(&own.socket)?.facing();
        self.world.sockets.iter().filter(|kept| Ends::of(&kept.socket) == Some(facing)).last()
    }
}
