//! Sockets as they were at an instant of the past.

use std::collections::HashMap;
use tracer_model::{
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
    /// out where it was read later.
    #[must_use]
    pub fn socket(&self, socket: &Socket) -> Option<Socket> {
        let at = self.at;
        let steps: Vec<_> = socket.steps.iter().filter(|step| step.ts <= at).cloned().collect();
        let existed = !steps.is_empty() && socket.ended.is_none_or(|ended| ended > at);
        let closes = |phase| matches!(phase, Phase::HalfClosed | Phase::Closing | Phase::Closed);
        let was_closed = steps.iter().any(|step| closes(step.phase));
        let accepted = socket.accepted.filter(|accepted| *accepted <= at);
        let later = self.children_after.get(&socket.id).copied().unwrap_or(0);
        existed.then(|| Socket {
            steps,
            accepted,
            accepted_by: socket.accepted_by.filter(|_| accepted.is_some()),
            children: socket.children.saturating_sub(later),
            holders: self.holders.get(&socket.id).copied().unwrap_or(0),
            queue: socket.queue.filter(|(.., read)| *read <= at),
            drops: socket.drops.clone().filter(|drops| drops.noticed <= at),
            tcp: socket.tcp.filter(|(_, read)| *read <= at),
            closed_first: socket.closed_first.filter(|_| was_closed),
            spoken: socket.spoken.iter().filter(|(since, _)| *since <= at).cloned().collect(),
            ended: None,
            ..socket.clone()
        })
    }
}
