//! Connections that no process holds and that the kernel still keeps an address for: on their way out, and in `TIME_WAIT`.

use crate::view::View;
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
    /// (RFC 9293, section 3.6; `tcp_time_wait`, net/ipv4/tcp_minisocks.c). Otherwise the kernel was asked.
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
    let not_asked = here.iter().filter(|socket| !view.asked_in(socket.netns));
    let concluded = not_asked.filter_map(|socket| concluded(view, socket));
    let Some(kernel) = view.kernel() else { return concluded.collect() };
    let known = |sock: &Sock| {
        let same = |socket: &&&Socket| {
            (socket.netns, &socket.local, &socket.peer) == (sock.netns, &sock.local, &sock.peer)
        };
        here.iter().rfind(same).copied()
    };
    let loose = kernel
        .connections
        .iter()
        .filter(|sock| fits(&sock.local, sock.options.v6only) && is_leaving(sock.state));
    let loose = loose.filter_map(|sock| match known(sock) {
        // It has an owner, or is told as one without.
        Some(socket) if socket.ended.is_none() => None,
        known => Some(of_kernel(view, sock, known)),
    });
    loose.chain(concluded).collect()
}

/// Closed by its process. Other states without an owner wait in an accept queue.
fn is_leaving(state: u16) -> bool {
    matches!(state, state::FIN_WAIT1 | state::FIN_WAIT2 | state::TIME_WAIT | state::LAST_ACK | state::CLOSING)
}

fn of_kernel(view: &View<'_>, sock: &Sock, known: Option<&Socket>) -> Leftover {
    let concluded = known.filter(|_| sock.state == state::TIME_WAIT).and_then(|known| concluded(view, known));
    Leftover {
        state: sock.state,
        kind: SocketKind { family: sock.family, ty: sock.ty, protocol: sock.protocol },
        local: sock.local.clone(),
        peer: sock.peer.clone(),
        netns: sock.netns,
        socket: known.map(|socket| socket.id),
        inferred: false,
        gone: concluded.and_then(|concluded| concluded.gone),
    }
}

fn concluded(view: &View<'_>, socket: &Socket) -> Option<Leftover> {
    let ended = socket.ended.filter(|ended| *ended <= view.at())?;
    let gone = BootNs(ended.0.saturating_add(TIME_WAIT_NS));
    let in_order = socket.steps.iter().any(|step| step.state == Some(state::FIN_WAIT1))
        && socket.steps.last().is_some_and(|step| step.error.is_none());
    let waits = socket.closed_first == Some(Side::Local) && in_order && gone > view.at();
    waits.then(|| Leftover {
        state: state::TIME_WAIT,
        kind: socket.kind,
        local: socket.local.clone(),
        peer: socket.peer.clone(),
        netns: socket.netns,
        socket: Some(socket.id),
        inferred: true,
        gone: Some(gone),
    })
}
