//! What the kernel tells of sockets by itself: changes of state, and connections that enter an accept queue.

use crate::{
    address::family,
    entity::{Phase, Step},
    event::{EventKind, Via},
    explain::{Broken, errno},
    input::{Followed, Queued, Sock, State},
    lifecycle,
    names::state,
    session::Session,
    tell::Stamp,
};
use std::collections::BTreeMap;

impl Session {
    /// A socket's change of state, told by the kernel.
    pub(crate) fn state(&mut self, stamp: &Stamp, change: &State) {
        let State { task, from, to, error, sock, tcp } = change;
        let is_unix = sock.family == family::UNIX;
        if from == to {
            if is_unix {
                self.found_broken(stamp, change);
            }
            return;
        }
        // A unix socket that had no connection has none to lose.
        if is_unix && !self.is_connected(sock) {
            return;
        }
        // A connection that is first seen as it completes its handshake is on its way into a queue
        // (net/ipv4/tcp_input.c, `tcp_rcv_state_process`).
        let comes = matches!(*from, state::SYN_RECV | state::NEW_SYN_RECV);
        let first = lifecycle::phase_of(*to, comes, task.tid != 0).unwrap_or(Phase::Created);
        // Without its queue: a listener's is not read before the call returns.
        let id = self.world.sockets.see(sock, 0, (stamp.ts, first), &mut self.world.revisions);
        // What begins anew may still have the error that the end of the round before left (`tcp_disconnect`, net/ipv4/tcp.c).
        let begins = matches!(*to, state::SYN_SENT | state::LISTEN);
        let told = (*error != 0 && !begins).then_some(*error);
        let side = lifecycle::closed_first(*from, *to, *error);
        let revisions = &mut self.world.revisions;
        let mut decided = None;
        if let Some(kept) = self.world.sockets.get(id) {
            let (waits, held) = (kept.waits(), kept.socket.holders > 0);
            if kept.socket.closed_first.is_none() {
                decided = side;
            }
            let step = lifecycle::phase_of(*to, waits, held).map(|phase| Step {
                ts: stamp.ts,
                phase,
                state: Some(*to),
                error: told,
                peer: None,
            });
            if let Some(step) = step {
                self.world.sockets.step(id, step, revisions);
            }
        }
        self.world.sockets.owned(id, task.process);
        if decided.is_some() {
            self.world.sockets.change(id, revisions, |kept| kept.socket.closed_first = decided);
        }
        if let Some(tcp) = tcp {
            self.world.sockets.change(id, revisions, |kept| kept.socket.tcp = Some((*tcp, stamp.ts)));
        }
        if *to == state::CLOSE {
            self.world.sockets.settle(id, stamp.ts, revisions);
        }
        let via = if task.tid == 0 { Via::Kernel } else { Via::Syscall };
        let mut event = self.blank(stamp, task.process, EventKind::State, via);
        event.tid = task.tid;
        self.show_socket(&mut event, id);
        (event.from, event.to, event.error) = (Some(*from), Some(*to), told);
        event.tcp = *tcp;
        let last = (*to == state::CLOSE).then(|| self.closed_first(&event)).flatten();
        event.closed_first = decided.or(last);
        self.emit(event);
    }

    /// A read or write of a unix connection failed for good; the kernel's state stays (net/unix/af_unix.c). The first call with
    /// each of the two errors is told: such a socket cannot be connected anew (`unix_stream_connect`), so that whoever goes on
    /// writing fails for the same reason, however often.
    fn found_broken(&mut self, stamp: &Stamp, State { task, to, error, sock, .. }: &State) {
        if !matches!(*error, errno::EPIPE | errno::ECONNRESET) {
            return;
        }
        let id = self.see(sock, 0, (stamp.ts, Phase::Connected));
        let broken = Broken {
            pipe: *error == errno::EPIPE,
            reset: *error == errno::ECONNRESET,
            peer_gone: sock.peer_sk == 0,
        };
        if !self.world.sockets.note_broken(id, broken) {
            return;
        }
        let mut event = self.blank(stamp, task.process, EventKind::State, Via::Syscall);
        event.tid = task.tid;
        self.show_socket(&mut event, id);
        (event.to, event.error) = (Some(*to), Some(*error));
        self.emit(event);
    }

    /// Whether a socket is known and was connected last.
    fn is_connected(&self, sock: &Sock) -> bool {
        let known = self.world.sockets.find(sock, 0).and_then(|id| self.world.sockets.get(id));
        known.is_some_and(|kept| kept.state == state::ESTABLISHED)
    }

    /// A connection entered an accept queue.
    pub(crate) fn queued(&mut self, stamp: &Stamp, queued: &Queued) {
        let Queued { task, listener, queue_len, queue_limit, sock } = queued;
        let named = self.named_by_listener(*listener, sock);
        let sock = named.as_ref().unwrap_or(sock);
        let unix = sock.family == family::UNIX;
        let waiting = self.world.sockets.find(sock, 0).filter(|id| {
            self.world.sockets.get(*id).is_some_and(|kept| {
                let early = kept.waits() && kept.socket.queued.is_none();
                early || kept.socket.accepted.is_some_and(|accepted| unix || stamp.ts <= accepted)
            })
        });
        let revisions = &mut self.world.revisions;
        let child =
            waiting.unwrap_or_else(|| self.world.sockets.add(sock, 0, (stamp.ts, Phase::Queued), revisions));
        self.world.sockets.owned(child, task.process);
        self.world.sockets.change(child, revisions, |kept| {
            if kept.socket.accepted.is_none_or(|accepted| stamp.ts <= accepted) {
                kept.socket.queued = kept.socket.queued.or(Some(stamp.ts));
            }
            kept.came_from = *listener;
        });
        if let Some(listener) = self.world.sockets.at(*listener) {
            self.world.sockets.link(child, listener, false, revisions);
            if self.acceptors.is_told() {
                self.world.sockets.waits_from_here(child, listener);
            }
            self.world.sockets.change(listener, revisions, |kept| {
                kept.socket.reads_queue(*queue_len, *queue_limit, stamp.ts);
            });
        }
        let mut event = self.blank(stamp, task.process, EventKind::Queued, Via::Kernel);
        self.show_socket(&mut event, child);
        (event.queue_len, event.queue_limit) = (Some(*queue_len), Some(*queue_limit));
        self.emit(event);
    }

    /// Sets right states whose changes were lost; of a socket without a descriptor no row tells. One that is not followed
    /// any longer has been closed.
    pub(crate) fn followed(&mut self, stamp: &Stamp, followed: &Followed) {
        let now: BTreeMap<u64, u16> = followed.sockets.iter().copied().collect();
        let outdated: Vec<_> = self
            .world
            .sockets
            .iter()
            .filter(|kept| kept.socket.ended.is_none() && lifecycle::tells_states(kept.socket.kind))
            .filter(|kept| !matches!(kept.state, 0 | state::CLOSE))
            .filter(|kept| kept.socket.steps.last().is_none_or(|step| step.ts < followed.since))
            .map(|kept| (kept.socket.id, kept.state, now.get(&kept.sk).copied().unwrap_or(state::CLOSE)))
            .filter(|(_, before, now)| before != now)
            .collect();
        for (id, from, to) in outdated {
            let Some(kept) = self.world.sockets.get(id) else { continue };
            let (owner, waits, held) = (kept.owner, kept.waits(), kept.socket.holders > 0);
            let revisions = &mut self.world.revisions;
            if let Some(phase) = lifecycle::phase_of(to, waits, held) {
                let step = Step { ts: stamp.ts, phase, state: Some(to), error: None, peer: None };
                self.world.sockets.step(id, step, revisions);
            }
            if to == state::CLOSE {
                self.world.sockets.settle(id, stamp.ts, revisions);
            }
            let mut event = self.blank(stamp, owner, EventKind::State, Via::Repair);
            self.show_socket(&mut event, id);
            (event.from, event.to) = (Some(from), Some(to));
            self.emit(event);
        }
    }
}
