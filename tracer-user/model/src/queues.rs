//! Accept queues beside what connections tell of them: what waits in one since before it was followed, what samples and the
//! kernel tell of drops.

use crate::{
    address::{Address, family},
    entity::{Drops, Phase},
    event::{DropCount, EventKind, Via},
    ids::{BootNs, SocketId},
    input::{ListenerSample, NamespaceSample, Overflow, Retransmit, Sampled, Sock, Waiting},
    names::state,
    session::Session,
    sockets::{kind_of, takes},
    tell::Stamp,
};
use std::collections::{BTreeMap, BTreeSet};

/// What the samples say.
#[derive(Debug, Default)]
pub(crate) struct Sampling {
    /// The newest one's time, and the time between two.
    newest: Option<(BootNs, u64)>,
    /// The first bytes of connections are looked at.
    peeks: bool,
    /// Stacks of calls are read, and how many could not be.
    stacks: Option<u64>,
    /// Sampled listeners that have not ended.
    listeners: BTreeSet<SocketId>,
    namespaces: BTreeMap<u32, NamespaceSample>,
}

impl Sampling {
    pub(crate) const fn newest(&self) -> Option<(BootNs, u64)> {
        self.newest
    }

    pub(crate) const fn peeks(&self) -> bool {
        self.peeks
    }

    pub(crate) const fn stacks(&self) -> Option<u64> {
        self.stacks
    }
}

impl Session {
    /// A connection of a unix listener has its name (`unix_stream_connect`, net/unix/af_unix.c), which is not sent with it.
    pub(crate) fn named_by_listener(&self, listener: u64, sock: &Sock) -> Option<Sock> {
        let listener = self.world.sockets.get(self.world.sockets.at(listener)?)?;
        (sock.family == family::UNIX && sock.local.is_unset())
            .then(|| Sock { local: listener.socket.local.clone(), ..sock.clone() })
    }

    /// A connection was in a queue before its listener was followed: since when, nobody knows.
    pub(crate) fn waiting(&mut self, stamp: &Stamp, waiting: &Waiting) {
        let Waiting { task, listener, sock } = waiting;
        if self.world.sockets.find(sock, 0).is_some() {
            return;
        }
        let named = self.named_by_listener(*listener, sock);
        let sock = named.as_ref().unwrap_or(sock);
        let revisions = &mut self.world.revisions;
        let child = self.world.sockets.add(sock, 0, (stamp.ts, Phase::Queued), revisions);
        self.world.sockets.change(child, revisions, |kept| kept.came_from = *listener);
        if let Some(listener) = self.world.sockets.at(*listener) {
            self.world.sockets.link(child, listener, false, revisions);
        }
        let mut event = self.blank(stamp, task.process, EventKind::Queued, Via::Snapshot);
        self.show_socket(&mut event, child);
        self.emit(event);
    }

    /// Queues were sampled.
    pub(crate) fn sampled(&mut self, stamp: &Stamp, sampled: &Sampled) {
        let since = self.sampling.newest.map(|(at, _)| at);
        self.sampling.newest = Some((stamp.ts, sampled.period_ns));
        self.acceptors.told(sampled.sched);
        self.sampling.peeks = sampled.peek;
        self.sampling.stacks = sampled.stacks;
        for namespace in &sampled.namespaces {
            self.sampling.namespaces.insert(namespace.netns, *namespace);
        }
        let sockets = &self.world.sockets;
        self.sampling.listeners.retain(|id| sockets.get(*id).is_some_and(|kept| kept.socket.ended.is_none()));
        for sample in &sampled.listeners {
            self.sample(stamp, sample, since);
        }
        self.renew_namespaces();
    }

    /// The namespace may have been read a moment before a drop: what is known of it now counts.
    fn renew_namespaces(&mut self) {
        for id in &self.sampling.listeners {
            let newer = self.world.sockets.get(*id).and_then(|kept| {
                let drops = kept.socket.drops.as_ref().filter(|drops| drops.total > 0)?;
                let now = *self.sampling.namespaces.get(&kept.socket.netns)?;
                drops.namespace.is_some_and(|(_, known)| known != now).then_some(now)
            });
            let Some(now) = newer else { continue };
            self.world.sockets.change(*id, &mut self.world.revisions, |kept| {
                let known = kept.socket.drops.as_mut().and_then(|drops| drops.namespace.as_mut());
                if let Some((_, known)) = known {
                    *known = now;
                }
            });
        }
    }

    fn sample(&mut self, stamp: &Stamp, sample: &ListenerSample, since: Option<BootNs>) {
        let ListenerSample { ts, process, sock, drops } = sample;
        let Some(id) = self.world.sockets.find(sock, 0) else { return };
        self.sampling.listeners.insert(id);
        let namespace = self.sampling.namespaces.get(&sock.netns).copied();
        let mut told = None;
        self.world.sockets.change(id, &mut self.world.revisions, |kept| {
            let socket = &mut kept.socket;
            socket.reads_queue(sock.queue_len, sock.queue_limit, *ts);
            let Some(counter) = *drops else { return };
            let known = socket.drops.get_or_insert_with(|| {
                let namespace = namespace.map(|now| (now, now));
                Box::new(Drops { since: *ts, total: 0, counted_twice: 0, noticed: *ts, counter, namespace })
            });
            let new = u64::from(counter.wrapping_sub(known.counter));
            known.counter = counter;
            known.namespace = known.namespace.and_then(|(first, _)| Some((first, namespace?)));
            if new > 0 {
                known.total += new;
                known.noticed = *ts;
                let period_ns = since.map_or(0, |since| stamp.ts.0.saturating_sub(since.0));
                told = Some(DropCount { new, total: known.total, queue_full: known.queue_full(), period_ns });
            }
        });
        if let Some(drops) = told {
            let stamp = Stamp { ts: *ts, ..*stamp };
            let mut event = self.blank(&stamp, *process, EventKind::Overflow, Via::Kernel);
            self.show_socket(&mut event, id);
            event.listener = Some(id);
            (event.queue_len, event.queue_limit) = (Some(sock.queue_len), Some(sock.queue_limit));
            event.drops = Some(drops);
            self.emit(event);
        }
    }

    /// The kernel tells the moment and the peer of a drop.
    pub(crate) fn overflow(&mut self, stamp: &Stamp, overflow: &Overflow) {
        let Overflow { task, queue_len, queue_limit, sock } = overflow;
        let mut event = self.blank(stamp, task.process, EventKind::Overflow, Via::Kernel);
        if let Some(id) = self.world.sockets.at(sock.sk) {
            self.show_socket(&mut event, id);
            event.listener = Some(id);
            self.world.sockets.change(id, &mut self.world.revisions, |kept| {
                if let Some(drops) = &mut kept.socket.drops {
                    drops.counted_twice += 1;
                }
            });
        }
        event.peer = Some(sock.peer.clone());
        (event.queue_len, event.queue_limit) = (Some(*queue_len), Some(*queue_limit));
        self.emit(event);
    }

    /// A client sent its SYN again.
    pub(crate) fn retransmit(&mut self, stamp: &Stamp, retransmit: &Retransmit) {
        let Retransmit { task, sock } = retransmit;
        let mut event = self.blank(stamp, task.process, EventKind::Retransmit, Via::Kernel);
        if let Some(id) = self.world.sockets.find(sock, 0) {
            self.show_socket(&mut event, id);
        }
        event.socket_kind = Some(kind_of(sock));
        event.local = Some(sock.local.clone());
        event.peer = Some(sock.peer.clone());
        event.listener = self.only_listener(sock.netns, &sock.peer);
        event.to = Some(state::SYN_SENT);
        self.emit(event);
    }

    /// The listener that takes connections to an address, where there is only one.
    fn only_listener(&self, netns: u32, address: &Address) -> Option<SocketId> {
        let mut fitting = self.sampling.listeners.iter().copied().filter(|id| {
            self.world.sockets.get(*id).is_some_and(|kept| {
                let socket = &kept.socket;
                kept.state == state::LISTEN && socket.netns == netns && takes(&socket.local, address)
            })
        });
        let only = fitting.next()?;
        fitting.next().is_none().then_some(only)
    }
}
