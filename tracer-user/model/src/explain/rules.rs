//! Which errors are explained, by what, and what is remembered of each event.

use super::{
    Cause, Explain, Holder, Unseen, full,
    memory::{ClosedListener, Failure},
    search::party_of,
};
use crate::{
    address::{Address, family},
    event::{Event, EventKind},
    names::state,
    session::Session,
};

/// errno(3).
pub(crate) mod errno {
    pub(crate) const EACCES: u32 = 13;
    pub(crate) const EINVAL: u32 = 22;
    pub(crate) const ENFILE: u32 = 23;
    pub(crate) const EMFILE: u32 = 24;
    pub(crate) const EPIPE: u32 = 32;
    pub(crate) const EAFNOSUPPORT: u32 = 97;
    pub(crate) const EADDRINUSE: u32 = 98;
    pub(crate) const ECONNABORTED: u32 = 103;
    pub(crate) const ECONNRESET: u32 = 104;
    pub(crate) const ECONNREFUSED: u32 = 111;
}

impl Session {
    /// Why an event tells of an error, where that can be said.
    pub(crate) fn explain(&mut self, event: &Event) -> Option<Box<Explain>> {
        let error = event.error.filter(|error| is_explained(event.kind, *error))?;
        if event.kind == EventKind::State && self.is_unix(event) {
            // Told once for each socket: none comes again, and another one's reason may be another.
            return self.broken(event, error).map(Box::new);
        }
        let failure = Failure {
            process: event.process,
            // A refused connection is told by the state and by the call.
            kind: if event.kind == EventKind::State { EventKind::Connect } else { event.kind },
            error,
            fd: event
                .fd
                .filter(|_| matches!(event.kind, EventKind::Accept | EventKind::Bind | EventKind::Listen)),
            asked: event.asked.clone().or_else(|| event.peer.clone()),
        };
        let (before, spin) = self.explaining.fails(&failure, (event.ts, event.seq), event.socket);
        if before.is_some() {
            return before;
        }
        let may_search = self.explaining.may_search(event.ts);
        let mut explain = self.explained(event, error, may_search)?;
        if let Some(spin) = spin {
            explain = explain.resting_on([spin.first]);
            explain.spin = Some(spin);
        }
        self.explaining.explained(failure, (event.ts, event.seq), event.socket, &explain);
        Some(Box::new(explain))
    }

    fn explained(&self, event: &Event, error: u32, may_search: bool) -> Option<Explain> {
        let unless_busy = |explain: Option<Explain>, cause: Cause| {
            if may_search { explain } else { Some(Explain::of(cause).without([Unseen::Searches])) }
        };
        match (error, event.kind) {
            (errno::EADDRINUSE, _) => {
                let found = may_search.then(|| self.address_taken(event)).flatten();
                unless_busy(found, Cause::AddressUnknown)
            }
            (errno::ECONNREFUSED, _) => {
                let found = may_search.then(|| self.refused(event)).flatten();
                unless_busy(found, Cause::NobodyListens)
            }
            (errno::EMFILE, kind) if !may_search && full::has_own_limit(kind) => None,
            (errno::EMFILE, _) => {
                let found = may_search.then(|| self.table_full(event)).flatten();
                unless_busy(found, Cause::TableFull)
            }
            (errno::ENFILE, _) => self.system_full(event),
            (errno::ECONNABORTED, EventKind::Accept) => {
                let found = may_search.then(|| self.aborted(event));
                unless_busy(found, Cause::ResetInQueue)
            }
            (errno::ECONNABORTED, _) => Some(Explain::of(Cause::Destroyed)),
            (errno::ECONNRESET, _) => {
                let found = may_search.then(|| self.reset(event, Cause::PeerReset)).flatten();
                unless_busy(found, Cause::PeerReset)
            }
            (errno::EPIPE, _) => {
                let found = may_search.then(|| self.reset(event, Cause::PeerGone)).flatten();
                unless_busy(found, Cause::PeerGone)
            }
            (errno::EACCES, _) => self.low_port(event),
            (errno::EAFNOSUPPORT, EventKind::Socket | EventKind::Socketpair) => {
                Some(Explain::of(Cause::NoFamily))
            }
            (errno::EAFNOSUPPORT, _) => self.other_family(event),
            (errno::EINVAL, _) => self.wrong_state(event),
            _ => None,
        }
    }

    pub(super) fn is_unix(&self, event: &Event) -> bool {
        let kept = event.socket.and_then(|id| self.world.sockets.get(id));
        kept.is_some_and(|kept| kept.socket.kind.family == family::UNIX)
    }

    /// A port that takes `CAP_NET_BIND_SERVICE` (ip(7), `ip_unprivileged_port_start`).
    fn low_port(&self, event: &Event) -> Option<Explain> {
        let own = self.own(event)?;
        let port = u32::from(event.asked.as_ref()?.port()?);
        let looked = self.looked(event).filter(|looked| looked.netns == own.netns);
        let first_port = looked.and_then(|looked| looked.first_port);
        // Another rule forbids what is above it (a security module).
        if port == 0 || first_port.is_some_and(|first| port >= first) {
            return None;
        }
        let unseen = first_port.is_none().then_some(Unseen::Limit);
        Some(Explain { first_port, ..Explain::of(Cause::LowPort) }.without(unseen))
    }

    /// An address of another family than the socket's.
    fn other_family(&self, event: &Event) -> Option<Explain> {
        let own = self.own(event)?;
        let asked = match event.asked.as_ref()? {
            Address::Inet(..) => family::INET,
            Address::Inet6(..) => family::INET6,
            Address::Unix(..) => family::UNIX,
            Address::Netlink { .. } => family::NETLINK,
            Address::Packet { .. } => family::PACKET,
            Address::Vsock { .. } => family::VSOCK,
            Address::Other(family, _) => *family,
        };
        (asked != own.kind.family)
            .then(|| Explain::of(Cause::FamilyMismatch).resting_on((own.told != 0).then_some(own.told)))
    }

    /// A call that the socket's state does not allow (accept(2), listen(2), bind(2)).
    fn wrong_state(&self, event: &Event) -> Option<Explain> {
        let id = event.listener.or(event.socket)?;
        let kept = self.world.sockets.get(id)?;
        let is_unix = kept.socket.kind.family == family::UNIX;
        let listens = kept.state == state::LISTEN;
        let cause = match event.kind {
            EventKind::Accept if !listens => Cause::NotListening,
            EventKind::Listen if is_unix && kept.socket.local.is_unset() => Cause::NotBound,
            EventKind::Listen if !listens && kept.state != state::CLOSE => Cause::IsConnected,
            EventKind::Bind if !kept.socket.local.is_unset() => Cause::AlreadyBound,
            _ => return None,
        };
        let sockets = vec![party_of(&kept.socket, kept.state, Vec::new())];
        Some(Explain { sockets, ..Explain::of(cause) }.resting_on((kept.told != 0).then_some(kept.told)))
    }

    /// Remembers what explanations may rest on.
    pub(crate) fn note_told(&mut self, event: &Event) {
        let Some(id) = event.socket else { return };
        match event.kind {
            _ if event.error.is_some() && event.kind != EventKind::State => {}
            EventKind::Bind
            | EventKind::Listen
            | EventKind::Connect
            | EventKind::Accept
            | EventKind::Socketpair
            | EventKind::Snapshot => {
                self.world.sockets.note_told(id, event.seq);
            }
            // How a connection ended before anybody accepted it.
            EventKind::State if event.to == Some(state::CLOSE) => {
                self.world.sockets.note_told(id, event.seq);
            }
            EventKind::Close => self.note_closed(event, id),
            EventKind::Shutdown => self.note_shut(event, id),
            _ => {}
        }
    }

    fn note_closed(&mut self, event: &Event, id: crate::ids::SocketId) {
        let Some(kept) = self.world.sockets.get(id).filter(|kept| kept.socket.holders == 0) else { return };
        let fd = event.fd.unwrap_or(-1);
        if kept.socket.queue.is_some() {
            let holder = Holder { process: event.process, comm: event.comm.clone(), fd };
            let party = party_of(&kept.socket, state::LISTEN, vec![holder]);
            self.explaining.closes(ClosedListener { ts: event.ts, seq: event.seq, party });
        } else {
            self.world.sockets.note_closed(id, event.seq, (event.process, fd));
        }
    }
}

fn is_explained(kind: EventKind, error: u32) -> bool {
    match error {
        errno::EADDRINUSE => matches!(kind, EventKind::Bind | EventKind::Listen),
        errno::EMFILE | errno::ENFILE => true,
        errno::ECONNREFUSED => matches!(kind, EventKind::Connect | EventKind::State),
        errno::ECONNABORTED => matches!(kind, EventKind::Accept | EventKind::Connect | EventKind::State),
        errno::ECONNRESET | errno::EPIPE => kind == EventKind::State,
        errno::EACCES => kind == EventKind::Bind,
        errno::EAFNOSUPPORT => {
            matches!(kind, EventKind::Socket | EventKind::Socketpair | EventKind::Bind | EventKind::Connect)
        }
        errno::EINVAL => matches!(kind, EventKind::Accept | EventKind::Listen | EventKind::Bind),
        _ => false,
    }
}
