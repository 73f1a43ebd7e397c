//! Connections that no process holds and that the kernel still keeps an address for: on their way out, and in `TIME_WAIT`.

use crate::{connections::overlap, far_ends::FarEnds, view::View};
use std::collections::HashMap;
use tracer_model::{
    address::Address,
    entity::Socket,
    event::{Side, SocketKind},
    ids::{BootNs, SocketId},
    input::Sock,
    names::state,
};

/// A connection without an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// The kernel's state.
    pub state: u16,
    /// Family, type, protocol.
    pub kind: SocketKind,
    /// Local address.
    pub local: Address,
    /// Peer's address.
    pub peer: Address,
    /// Network namespace (inode number).
    pub netns: u32,
    /// The socket that it was, where that is known.
    pub socket: Option<SocketId>,
    /// It was concluded: this side closed first and the connection ended in order, so that the kernel keeps it in `TIME_WAIT`
    /// (RFC 9293, section 3.6; `tcp_time_wait`, net/ipv4/tcp_minisocks.c), or in `FIN_WAIT2` before its peer has closed. Of a peer
    /// that is not known it is taken to have. Otherwise the kernel was asked.
    pub inferred: bool,
    /// When it is gone at the latest, where that is known.
    pub gone: Option<BootNs>,
}

/// `TCP_TIMEWAIT_LEN` (include/net/tcp.h).
const TIME_WAIT_NS: u64 = 60_000_000_000;

/// Connections whose local address fits: as the kernel has them now, or, where it was not asked, by how they ended.
pub(crate) fn leftovers(view: &View<'_>, fits: impl Fn(&Address, bool) -> bool) -> Vec<Leftover> {
    let here: Vec<_> =
        view.session().sockets().filter(|socket| fits(&socket.local, socket.options.v6only)).collect();
    let far = FarEnds::among(view.session().sockets().filter(|socket| fits(&socket.peer, false)));
    let not_asked = here.iter().filter(|socket| !view.asked_in(socket.netns));
    let concluded = not_asked.filter_map(|socket| concluded(view, socket, &far));
    let Some(kernel) = view.kernel() else { return concluded.collect() };
    // The newest with the same addresses.
    let known: HashMap<_, &Socket> =
        here.iter().map(|socket| ((socket.netns, &socket.local, &socket.peer), *socket)).collect();
    let loose = kernel
        .connections
        .iter()
        .filter(|sock| fits(&sock.local, sock.options.v6only) && is_leaving(sock.state));
    let loose = loose.filter_map(|sock| match known.get(&(sock.netns, &sock.local, &sock.peer)).copied() {
        // It has an owner, or is told as one without.
        Some(socket) if socket.ended.is_none() => None,
        known => Some(of_kernel(view, sock, known, &far)),
    });
    loose.chain(concluded).collect()
}

/// Closed by its process. Other states without an owner wait in an accept queue.
fn is_leaving(state: u16) -> bool {
    matches!(state, state::FIN_WAIT1 | state::FIN_WAIT2 | state::TIME_WAIT | state::LAST_ACK | state::CLOSING)
}

fn of_kernel(view: &View<'_>, sock: &Sock, known: Option<&Socket>, far: &FarEnds<'_>) -> Leftover {
    let gone = known.filter(|_| sock.state == state::TIME_WAIT).and_then(|known| {
        let latest = Last::of(view, known, far)?.gone();
        Some(latest.min(after(view.at())))
    });
    Leftover {
        state: sock.state,
        kind: SocketKind { family: sock.family, ty: sock.ty, protocol: sock.protocol },
        local: sock.local.clone(),
        peer: sock.peer.clone(),
        netns: sock.netns,
        socket: known.map(|socket| socket.id),
        inferred: false,
        gone,
    }
}

fn concluded(view: &View<'_>, socket: &Socket, far: &FarEnds<'_>) -> Option<Leftover> {
    let last = Last::of(view, socket, far)?;
    let state = last.state_at(view.at())?;
    Some(Leftover {
        state,
        kind: socket.kind,
        local: socket.local.clone(),
        peer: socket.peer.clone(),
        netns: socket.netns,
        socket: Some(socket.id),
        inferred: true,
        gone: Some(last.gone()),
    })
}

/// How a connection came to its end that this side closed first and that ended in order.
struct Last {
    /// When its socket was gone. The kernel waits from then on for the peer's FIN, not for longer than [`TIME_WAIT_NS`]
    /// (`tcp_fin_timeout`, tcp(7): what may wait for longer keeps its socket, `tcp_rcv_state_process`, net/ipv4/tcp_input.c).
    ended: BootNs,
    peer: Peer,
}

/// The other end of a connection.
enum Peer {
    /// It is not known: on another host, or of a process that is not followed.
    Unknown,
    /// It has not closed.
    Open,
    /// It has sent its FIN by then.
    Closed(BootNs),
}

impl Last {
    fn of(view: &View<'_>, socket: &Socket, far: &FarEnds<'_>) -> Option<Self> {
        let ended = socket.ended.filter(|ended| *ended <= view.at())?;
        let in_order = socket.steps.iter().any(|step| step.state == Some(state::FIN_WAIT1))
            && socket.steps.last().is_some_and(|step| step.error.is_none());
        let waits = socket.closed_first == Some(Side::Local) && in_order;
        waits.then(|| Self { ended, peer: Peer::of(view, socket, far) })
    }

    fn state_at(&self, at: BootNs) -> Option<u16> {
        let (state, until) = match self.peer {
            Peer::Closed(by) if by <= after(self.ended) => (state::TIME_WAIT, after(by.max(self.ended))),
            Peer::Closed(_) => return None,
            Peer::Open => (state::FIN_WAIT2, after(self.ended)),
            Peer::Unknown => (state::TIME_WAIT, after(self.ended)),
        };
        (at < until).then_some(state)
    }

    /// When it is gone at the latest: [`TIME_WAIT_NS`] after the peer's FIN.
    fn gone(&self) -> BootNs {
        match self.peer {
            Peer::Closed(by) => after(by.max(self.ended)),
            Peer::Open | Peer::Unknown => after(after(self.ended)),
        }
    }
}

impl Peer {
    fn of(view: &View<'_>, socket: &Socket, far: &FarEnds<'_>) -> Self {
        let Some(other) = far.of(socket).filter(|other| overlap(other, socket)) else { return Self::Unknown };
        let sent = |state| matches!(state, Some(state::FIN_WAIT1 | state::CLOSING | state::LAST_ACK));
        let closed = other.steps.iter().find(|step| sent(step.state)).map(|step| step.ts).or(other.ended);
        closed.filter(|by| *by <= view.at()).map_or(Self::Open, Self::Closed)
    }
}

fn after(ts: BootNs) -> BootNs {
    BootNs(ts.0.saturating_add(TIME_WAIT_NS))
}
