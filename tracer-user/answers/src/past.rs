//! Sockets as they were at an instant of the past.

use std::collections::HashMap;
use tracer_model::{
    address::Address,
    entity::{Phase, Socket},
    ids::{BootNs, SocketId},
    session::Session,
};

/// An instant, and what was counted of sockets by then.
#[derive(Clone, Debug)]
pub struct Past {
    at: BootNs,
    /// Descriptors that pointed to each.
    holders: HashMap<SocketId, u32>,
    /// Children of each listener that came later.
    children_after: HashMap<SocketId, u64>,
}

impl Past {
    /// One pass over what is kept.
    #[must_use]
    pub fn new(session: &Session, at: BootNs) -> Self {
        let mut holders = HashMap::new();
        for descriptor in session.descriptors() {
            let was_open = descriptor.opened <= at && descriptor.closed.is_none_or(|(closed, _)| closed > at);
            if let Some(socket) = descriptor.socket.filter(|_| was_open) {
                *holders.entry(socket).or_default() += 1;
            }
        }
        let mut children_after = HashMap::new();
        for socket in session.sockets() {
            let later = socket.steps.first().is_some_and(|step| step.ts > at);
            if let Some(listener) = socket.listener.filter(|_| later) {
                *children_after.entry(listener).or_default() += 1;
            }
        }
        Self { at, holders, children_after }
    }

    /// A socket as it was; `None` where it did not exist. Of what samples and checks read, the newest alone is kept: it is left
    /// out where it was read later. Of options, too, and they are told as they were read last.
    #[must_use]
    pub fn socket(&self, socket: &Socket) -> Option<Socket> {
        let at = self.at;
        let steps: Vec<_> = socket.steps.iter().filter(|step| step.ts <= at).cloned().collect();
        let existed = !steps.is_empty() && socket.ended.is_none_or(|ended| ended > at);
        let closes = |phase| matches!(phase, Phase::HalfClosed | Phase::Closing | Phase::Closed);
        let was_closed = steps.iter().any(|step| closes(step.phase));
        let was = |phase| steps.iter().any(|step| step.phase == phase);
        let named = steps.iter().any(|step| step.phase != Phase::Created);
        let local = if named { socket.local.clone() } else { unset(&socket.local) };
        // Whom it was about then, where it has had another peer since.
        let peer = steps.last().and_then(|step| step.peer.as_deref()).unwrap_or(&socket.peer);
        let met =
            steps.iter().any(|step| !matches!(step.phase, Phase::Created | Phase::Bound | Phase::Listening));
        let peer = if met { peer.clone() } else { unset(peer) };
        // A backlog that listen(2) set anew may have been another one.
        let listened_anew = socket.queue.iter().flat_map(|queue| &queue.former).any(|(until, _)| *until > at);
        let backlog = socket.backlog.filter(|_| was(Phase::Listening) && !listened_anew);
        let accepted = socket.accepted.filter(|accepted| *accepted <= at);
        let later = self.children_after.get(&socket.id).copied().unwrap_or(0);
        existed.then(|| Socket {
            steps,
            local,
            peer,
            backlog,
            accepted,
            accepted_by: socket.accepted_by.filter(|_| accepted.is_some()),
            children: socket.children.saturating_sub(later),
            holders: self.holders.get(&socket.id).copied().unwrap_or(0),
            queue: socket.queue.clone().filter(|queue| queue.read <= at),
            drops: socket.drops.clone().filter(|drops| drops.noticed <= at),
            tcp: socket.tcp.filter(|(_, read)| *read <= at),
            closed_first: socket.closed_first.filter(|_| was_closed),
            spoken: socket.spoken.iter().filter(|(since, _)| *since <= at).cloned().collect(),
            ended: None,
            ..socket.clone()
        })
    }
}

/// An address of the family that says nothing.
fn unset(address: &Address) -> Address {
    match address {
        Address::Unix(_) => Address::Unix(Vec::new()),
        other => other.unspecified(),
    }
}
