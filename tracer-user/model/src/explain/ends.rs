//! `ECONNABORTED`, `ECONNRESET` and `EPIPE`: what ended a connection.

use super::{Cause, Explain, Unseen, between, memory::ClosedListener, rules::errno, search::party_of};
use crate::{
    entity::Phase,
    event::{Event, Side},
    facing::Ends,
    ids::{BootNs, ProcessKey, SocketId},
    lifecycle,
    session::Session,
    sockets::Kept,
};

/// A shutdown(2) of a unix socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShutDown {
    pub(crate) ts: BootNs,
    /// `seq` of its event.
    pub(crate) seq: u64,
    /// Whose call it was, on which descriptor.
    pub(crate) process: ProcessKey,
    pub(crate) fd: i32,
}

/// What reads and writes found of a unix connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Broken {
    /// One that failed with `EPIPE` was told, one with `ECONNRESET`.
    pub(crate) pipe: bool,
    pub(crate) reset: bool,
    /// The other end was closed, as the kernel has it.
    pub(crate) peer_gone: bool,
}

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
        let mut explain = self.by_peer(cause, self.other_end(own), true);
        if own.socket.closed_first == Some(Side::Peer) {
            let closed = own.socket.steps.iter().rev().find(|step| step.phase == Phase::HalfClosed);
            explain.ago_ns = closed.map(|step| between(step.ts, event.ts));
        }
        // Whoever reads or writes next gets the error; that is not traced.
        Some(explain.without([Unseen::ReadsAndWrites]))
    }

    /// A read or write found that the other end of a unix socket is gone, or that one of the two was shut down: the event is
    /// that call.
    pub(super) fn broken(&mut self, event: &Event, error: u32) -> Option<Explain> {
        let own = event.socket.and_then(|id| self.world.sockets.get(id))?;
        let peer = self.other_end(own);
        if error == errno::EPIPE
            && let Some(explain) = self.after_shutdown(event, own, peer)
        {
            return Some(explain);
        }
        let cause = if error == errno::ECONNRESET { Cause::PeerReset } else { Cause::PeerGone };
        if let Some(listener) = peer.and_then(|peer| self.waited_at(peer)) {
            let (sockets, ago_ns) = (vec![listener.party.clone()], Some(between(listener.ts, event.ts)));
            return Some(Explain { sockets, ago_ns, ..Explain::of(cause) }.resting_on([listener.seq]));
        }
        let ended = peer.and_then(|peer| peer.socket.ended);
        let ago_ns = ended.map(|ended| between(ended, event.ts));
        // The call that closes it may not have returned yet: then it is looked for.
        let unclosed = peer.is_some_and(|peer| peer.closed.is_none());
        let may_search = unclosed && self.explaining.may_search(event.ts);
        let peer = event.socket.and_then(|id| self.world.sockets.get(id)).and_then(|own| self.other_end(own));
        Some(Explain { ago_ns, ..self.by_peer(cause, peer, may_search) })
    }

    /// The shutdown(2) that ended the direction in which a call sent, of this end for writing or of the other one for reading:
    /// the first of the two, unless the other end had been closed before.
    fn after_shutdown(&self, event: &Event, own: &Kept, peer: Option<&Kept>) -> Option<Explain> {
        let gone = own.broken.peer_gone;
        let closed = peer.filter(|_| gone).and_then(|peer| peer.socket.ended);
        let [_, writing] = &own.shut;
        let by_own = writing.as_deref().map(|down| (Cause::ShutDown, down, own));
        let by_peer = peer.and_then(|peer| {
            let [reading, _] = &peer.shut;
            Some((Cause::PeerShutDown, reading.as_deref()?, peer))
        });
        let first = by_own.into_iter().chain(by_peer).min_by_key(|(_, down, _)| down.ts);
        match first.filter(|(_, down, _)| closed.is_none_or(|closed| down.ts <= closed)) {
            Some((cause, down, of)) => {
                let sockets = vec![party_of(&of.socket, of.state, vec![self.holder(down.process, down.fd)])];
                let ago_ns = Some(between(down.ts, event.ts));
                Some(Explain { sockets, ago_ns, ..Explain::of(cause) }.resting_on([down.seq]))
            }
            // The other end is open, so that one of the two was shut down, unseen.
            None => (!gone).then(|| Explain::of(Cause::ShutDown)),
        }
    }

    /// The closed listener in whose queue a connection waited that nobody accepted: it ended with it (`unix_release_sock`,
    /// net/unix/af_unix.c).
    fn waited_at(&self, peer: &Kept) -> Option<&ClosedListener> {
        let waited = peer.socket.ino == 0 && peer.socket.ended.is_some();
        let listener = peer.socket.listener.filter(|_| waited)?;
        self.explaining.closed().find(|closed| closed.party.socket == Some(listener))
    }

    /// What the other end did to a connection, as far as it is known. Who has one that was not seen to close is searched for.
    fn by_peer(&self, cause: Cause, peer: Option<&Kept>, may_search: bool) -> Explain {
        let explain = Explain::of(cause);
        let Some(peer) = peer else { return explain.without([Unseen::Peer]) };
        let holders = match peer.closed {
            Some((_, process, fd)) => vec![self.holder(process, fd)],
            None if may_search => {
                self.holders([peer.socket.id].into_iter()).into_values().flatten().collect()
            }
            None => Vec::new(),
        };
        let events = peer.closed.iter().map(|closed| closed.0).chain([peer.told]).filter(|seq| *seq != 0);
        let sockets = vec![party_of(&peer.socket, peer.state, holders)];
        Explain { sockets, ..explain }.resting_on(events)
    }

    /// Remembers what shut a unix socket down (shutdown(2)).
    pub(super) fn note_shut(&mut self, event: &Event, id: SocketId) {
        let ways = match event.how {
            Some(0) => [true, false],
            Some(1) => [false, true],
            Some(2) => [true, true],
            _ => return,
        };
        if event.pending || !self.is_unix(event) {
            return;
        }
        let fd = event.fd.unwrap_or(-1);
        let down = ShutDown { ts: event.ts, seq: event.seq, process: event.process, fd };
        self.world.sockets.note_shut(id, ways, down);
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
