//! The steps of a socket's life: which phase a kernel state means, in which order steps stand, who closed first.

use crate::{
    address::{Address, family},
    entity::{Phase, Socket, Step},
    event::{Side, SocketKind},
    ids::BootNs,
    names::state,
};

/// Most steps that are kept of one socket: the first half stays, the newest of the others replace each other.
pub(crate) const STEPS: usize = 64;

/// `IPPROTO_TCP`.
const TCP: u16 = 6;
/// `SOCK_STREAM`.
const STREAM: u16 = 1;
/// `ECONNABORTED` (errno(3)): closed from this side by the administrator (`tcp_abort`, net/ipv4/tcp.c).
const ECONNABORTED: u32 = 103;
/// `ECONNRESET` (errno(3)).
const ECONNRESET: u32 = 104;

/// Whether the kernel tells this socket's states, and it lives until `CLOSE` (net/ipv4/tcp.c, `tcp_set_state`).
pub(crate) fn tells_states(kind: SocketKind) -> bool {
    matches!(kind.family, family::INET | family::INET6) && kind.ty == STREAM && kind.protocol == TCP
}

/// The kernel's state; 0 is none.
pub(crate) fn state_of(kind: SocketKind, state: u16) -> Option<u16> {
    let known = matches!(
        kind.family,
        family::INET | family::INET6 | family::UNIX | family::NETLINK | family::PACKET | family::VSOCK
    );
    (known && state != 0).then_some(state)
}

/// Where a socket stands.
pub(crate) fn phase(socket: &Socket) -> Phase {
    socket.steps.last().map_or(Phase::Created, |step| step.phase)
}

/// The phase that a state means for a socket that waits in an accept queue, or for one with or without descriptors.
pub(crate) fn phase_of(state: u16, waits: bool, held: bool) -> Option<Phase> {
    Some(match state {
        state::LISTEN => Phase::Listening,
        state::SYN_RECV | state::NEW_SYN_RECV | state::ESTABLISHED | state::CLOSE_WAIT if waits => {
            Phase::Queued
        }
        state::SYN_SENT | state::SYN_RECV | state::NEW_SYN_RECV => Phase::Connecting,
        state::ESTABLISHED => Phase::Connected,
        state::CLOSE_WAIT => Phase::HalfClosed,
        state::FIN_WAIT1 | state::FIN_WAIT2 if held => Phase::HalfClosed,
        state::FIN_WAIT1 | state::FIN_WAIT2 | state::LAST_ACK | state::CLOSING | state::TIME_WAIT => {
            Phase::Closing
        }
        state::CLOSE => Phase::Closed,
        _ => return None,
    })
}

/// The phase of a socket that is found with a state, its past unseen.
pub(crate) fn phase_found(state: u16, local: &Address) -> Phase {
    let unconnected = if local.is_unset() { Phase::Created } else { Phase::Bound };
    match state {
        state::CLOSE => unconnected,
        _ => phase_of(state, false, true).unwrap_or(unconnected),
    }
}

/// Who closed first, where this change of state decides it: `CLOSE_WAIT` follows the peer's FIN, `FIN_WAIT1` our own
/// (RFC 9293, section 3.6). A reset ends both directions at once: ours without an error, the peer's with
/// `ECONNRESET`. After a timeout or the like neither side has closed.
pub(crate) fn closed_first(from: u16, to: u16, error: u32) -> Option<Side> {
    match (from, to, error) {
        (_, state::CLOSE_WAIT, _) | (state::ESTABLISHED, state::CLOSE, ECONNRESET) => Some(Side::Peer),
        (_, state::FIN_WAIT1, _) | (state::ESTABLISHED, state::CLOSE, 0 | ECONNABORTED) => Some(Side::Local),
        _ => None,
    }
}

/// Puts a step in its place by time, unless the same step stands there: a change is told by the kernel and by the
/// call that made it, in any order. Returns whether it changed anything.
pub(crate) fn insert(steps: &mut Vec<Step>, step: Step) -> bool {
    let place = steps.partition_point(|earlier| earlier.ts <= step.ts);
    let same = |other: &Step| {
        other.phase == step.phase
            && other.peer == step.peer
            && (other.state == step.state || other.state.is_none() || step.state.is_none())
    };
    if let Some(before) =
        place.checked_sub(1).and_then(|index| steps.get_mut(index)).filter(|step| same(step))
    {
        let told = before.error.is_none() && step.error.is_some();
        if told {
            before.error = step.error;
        }
        return told;
    }
    if let Some(after) = steps.get_mut(place).filter(|step| same(step)) {
        after.ts = step.ts;
        after.error = after.error.or(step.error);
        return true;
    }
    steps.insert(place, step);
    if steps.len() > STEPS {
        steps.remove(STEPS / 2);
    }
    true
}

/// The last descriptor was closed at `at`: our FIN belongs to that close, which empties the slot before the kernel
/// sends it and is told after.
pub(crate) fn let_go(steps: &mut Vec<Step>, at: BootNs) -> bool {
    let ours = |step: &Step| {
        step.phase == Phase::HalfClosed && matches!(step.state, Some(state::FIN_WAIT1 | state::FIN_WAIT2))
    };
    let Some(last) = steps.last().filter(|last| ours(last)).cloned() else { return false };
    for step in steps.iter_mut().filter(|step| step.ts >= at && ours(step)) {
        step.phase = Phase::Closing;
    }
    if last.ts < at {
        insert(steps, Step { ts: at, phase: Phase::Closing, ..last });
    }
    true
}

/// A socket leaves its peer for another one or for none: the steps so far were about that one.
pub(crate) fn leave_peer(socket: &mut Socket) {
    if socket.peer.is_unset() {
        return;
    }
    let about =
        |phase| matches!(phase, Phase::Connecting | Phase::Connected | Phase::HalfClosed | Phase::Closing);
    for step in socket.steps.iter_mut().filter(|step| step.peer.is_none() && about(step.phase)) {
        step.peer = Some(Box::new(socket.peer.clone()));
    }
    socket.closed_first = None;
}

/// The newer address, unless the kernel has let go of a part of it: a closed socket gives its port back
/// (`net/ipv4/inet_hashtables.c`, `inet_put_port`) and a unix socket forgets its peer.
pub(crate) fn newer_address(old: &mut Address, new: &Address) -> bool {
    let loses_port = new.port() == Some(0) && old.port().is_some_and(|port| port != 0);
    if old == new || new.is_unset() || loses_port {
        return false;
    }
    old.clone_from(new);
    true
}

/// An address as events show it: left out where the socket has none; an unnamed unix socket shows so once connected.
pub(crate) fn shown<'a>(socket: &Socket, address: &'a Address) -> Option<&'a Address> {
    let connected =
        matches!(phase(socket), Phase::Queued | Phase::Connected | Phase::HalfClosed | Phase::Closing);
    let unnamed = connected && socket.kind.family == family::UNIX;
    (unnamed || !address.is_unset()).then_some(address)
}
