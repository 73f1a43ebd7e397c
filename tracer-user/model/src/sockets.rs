//! Sockets: identity by kernel address and inode, holders, listeners and children, end.

use crate::{
    acceptors::Wanting,
    address::{Address, family},
    entity::{Phase, Socket, Step},
    event::SocketKind,
    explain::{Broken, ShutDown},
    ids::{BootNs, ProcessKey, SocketId},
    input::{Options, Sock},
    lifecycle,
    names::{DGRAM, state},
    revisions::{Entity, Revisions},
    store::Store,
};
use foldhash::HashMap;
use std::collections::{BTreeSet, VecDeque};

/// Sockets without a descriptor that are kept at least: a new one is held a moment later.
const UNHELD: usize = 64;

/// A socket and what only the model needs to know of it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) socket: Socket,
    /// Kernel address.
    pub(crate) sk: u64,
    /// The kernel's newest state.
    pub(crate) state: u16,
    /// Kernel address of the listener, as the accept told; 0 for none.
    pub(crate) came_from: u64,
    /// When its options were read.
    pub(crate) options_at: BootNs,
    /// `seq` of the event that told its address or that it listens; 0: none did.
    pub(crate) told: u64,
    /// `seq` of the event that ended its last descriptor, and whose that was.
    pub(crate) closed: Option<(u64, ProcessKey, i32)>,
    /// Of a unix socket: what shut it down first, for reading and for writing.
    pub(crate) shut: [Option<Box<ShutDown>>; 2],
    /// Of a unix connection: what calls found.
    pub(crate) broken: Broken,
    /// Whose changes of state these are, as last told.
    pub(crate) owner: ProcessKey,
    /// Of a listener: accepts that failed; in a box, since most sockets are none.
    pub(crate) wanting: Option<Box<Wanting>>,
    /// Of a connection in its queue, while the scheduler is traced: those that had failed when it was queued.
    pub(crate) wanting_before: Option<Box<Wanting>>,
}

/// Every kept socket.
#[derive(Debug)]
pub(crate) struct Sockets {
    kept: Store<SocketId, Kept>,
    /// Sockets that have not ended, by kernel address. The hash is seeded anew in each process: the addresses of a
    /// recording are whatever its author chose, and cannot be chosen to collide.
    by_sk: HashMap<u64, SocketId>,
    /// Those of them without a descriptor: in an accept queue, closing, or of tables not yet read.
    unheld: BTreeSet<SocketId>,
    ended: VecDeque<SocketId>,
    /// How many ended ones are kept, and how many without a descriptor.
    keep: usize,
    next: u32,
}

impl Kept {
    /// In an accept queue.
    pub(crate) fn waits(&self) -> bool {
        self.socket.ino == 0 && self.socket.holders == 0 && lifecycle::phase(&self.socket) == Phase::Queued
    }

    fn is(&self, sock: &Sock, ino: u64) -> bool {
        let known = self.socket.ino != 0 && ino != 0;
        if known { self.socket.ino == ino } else { self.socket.kind == kind_of(sock) }
    }
}

pub(crate) fn kind_of(sock: &Sock) -> SocketKind {
    SocketKind { family: sock.family, ty: sock.ty, protocol: sock.protocol }
}

impl Sockets {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            kept: Store::default(),
            by_sk: HashMap::default(),
            unheld: BTreeSet::new(),
            ended: VecDeque::new(),
            keep,
            next: 0,
        }
    }

    /// In the order in which they were first seen.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.kept.values()
    }

    pub(crate) fn get(&self, id: SocketId) -> Option<&Kept> {
        self.kept.get(&id)
    }

    /// The living socket at a kernel address.
    pub(crate) fn at(&self, sk: u64) -> Option<SocketId> {
        self.by_sk.get(&sk).copied()
    }

    /// The living socket that a reading is of; an `ino` of 0 is unknown.
    pub(crate) fn find(&self, sock: &Sock, ino: u64) -> Option<SocketId> {
        let id = self.at(sock.sk)?;
        self.get(id)?.is(sock, ino).then_some(id)
    }

    /// Changes a socket; its revision grows.
    pub(crate) fn change<T>(
        &mut self,
        id: SocketId,
        revisions: &mut Revisions,
        change: impl FnOnce(&mut Kept) -> T,
    ) -> Option<T> {
        let kept = self.kept.get_mut(&id)?;
        revisions.touch(Entity::Socket(id), &mut kept.socket.rev);
        Some(change(kept))
    }

    /// Whose it is: no change that a reader sees.
    pub(crate) fn owned(&mut self, id: SocketId, owner: ProcessKey) {
        if let Some(kept) = self.kept.get_mut(&id) {
            kept.owner = owner;
        }
    }

    /// The socket that a reading is of, brought up to it; a new one in `phase` where none lives at that address, or
    /// another.
    pub(crate) fn see(
        &mut self,
        sock: &Sock,
        ino: u64,
        (ts, phase): (BootNs, Phase),
        revisions: &mut Revisions,
    ) -> SocketId {
        match self.find(sock, ino) {
            Some(id) => {
                self.refresh(id, sock, ino, ts, revisions);
                id
            }
            None => self.add(sock, ino, (ts, phase), revisions),
        }
    }

    /// Takes in the accept queue that was read with a socket: only a listener has one.
    pub(crate) fn read_queue(&mut self, id: SocketId, sock: &Sock, ts: BootNs, revisions: &mut Revisions) {
        if sock.state == state::LISTEN {
            self.change(id, revisions, |kept| {
                kept.socket.reads_queue(sock.queue_len, sock.queue_limit, ts);
            });
        }
    }

    /// A new socket. One that lived at the same kernel address has ended.
    pub(crate) fn add(
        &mut self,
        sock: &Sock,
        ino: u64,
        (ts, phase): (BootNs, Phase),
        revisions: &mut Revisions,
    ) -> SocketId {
        if let Some(old) = self.at(sock.sk) {
            self.end(old, ts, revisions);
        }
        self.next = self.next.wrapping_add(1);
        let id = SocketId(self.next);
        let kind = kind_of(sock);
        let step = Step { ts, phase, state: lifecycle::state_of(kind, sock.state), error: None, peer: None };
        let mut socket = Socket {
            id,
            kind,
            netns: sock.netns,
            ino,
            local: sock.local.clone(),
            peer: sock.peer.clone(),
            options: sock.options,
            steps: vec![step],
            listener: None,
            inferred: false,
            children: 0,
            backlog: None,
            queue: None,
            queued: None,
            accepted: None,
            accepted_by: None,
            drops: None,
            tcp: None,
            never_read: None,
            spoken: Vec::new(),
            other_end: None,
            closed_first: None,
            holders: 0,
            ended: None,
            rev: 0,
        };
        revisions.touch(Entity::Socket(id), &mut socket.rev);
        let (sk, state, owner) = (sock.sk, sock.state, ProcessKey::default());
        let kept = Kept {
            socket,
            sk,
            state,
            came_from: 0,
            options_at: ts,
            told: 0,
            closed: None,
            shut: [None, None],
            broken: Broken::default(),
            wanting: None,
            wanting_before: None,
            owner,
        };
        self.kept.insert(id, kept);
        self.by_sk.insert(sock.sk, id);
        self.unheld.insert(id);
        self.join_ends(id, sock.peer_sk, revisions);
        self.evict(revisions);
        id
    }

    fn refresh(&mut self, id: SocketId, sock: &Sock, ino: u64, ts: BootNs, revisions: &mut Revisions) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        let socket = &mut kept.socket;
        let named = lifecycle::newer_address(&mut socket.local, &sock.local);
        let mut changed = named;
        let mut peer = socket.peer.clone();
        if lifecycle::newer_address(&mut peer, &sock.peer) {
            lifecycle::leave_peer(socket);
            socket.peer = peer;
            changed = true;
        } else if sock.state == state::LISTEN && !socket.peer.is_unset() {
            // Whoever refused a connection before is no peer of a listener.
            lifecycle::leave_peer(socket);
            socket.peer.clone_from(&sock.peer);
            changed = true;
        }
        if socket.ino == 0 && ino != 0 {
            socket.ino = ino;
            changed = true;
        }
        if socket.steps.last().is_none_or(|step| step.ts <= ts) {
            // A send to an end that is gone takes the connection away (`unix_dgram_sendmsg`, net/unix/af_unix.c), and is not told
            // where a ring made it.
            let sends = socket.kind.family == family::UNIX && socket.kind.ty == DGRAM;
            if sends && (kept.state, sock.state) == (state::ESTABLISHED, state::CLOSE) {
                lifecycle::leave_peer(socket);
                let state = Some(state::CLOSE);
                let step = Step { ts, phase: Phase::Closed, state, error: None, peer: None };
                changed |= lifecycle::insert(&mut socket.steps, step);
            }
            kept.state = sock.state;
        }
        if changed {
            revisions.touch(Entity::Socket(id), &mut kept.socket.rev);
        }
        self.join_ends(id, sock.peer_sk, revisions);
        if named {
            self.name_peer(id, revisions);
        }
    }

    /// A unix socket may get its name when it is connected already: that is its other end's peer then (`unix_getname`,
    /// net/unix/af_unix.c). Who only sends datagrams to a socket is no peer of it.
    fn name_peer(&mut self, id: SocketId, revisions: &mut Revisions) {
        let Some(socket) = self.get(id).map(|kept| &kept.socket) else { return };
        let (Some(other), name) = (socket.other_end, socket.local.clone()) else { return };
        let connected = |kept: &Kept| lifecycle::phase(&kept.socket) == Phase::Connected;
        if self.get(other).is_some_and(|kept| connected(kept) && kept.socket.other_end == Some(id)) {
            self.change(other, revisions, |kept| kept.socket.peer = name);
        }
    }

    /// The two ends of a unix connection know each other, once both are known.
    fn join_ends(&mut self, id: SocketId, peer_sk: u64, revisions: &mut Revisions) {
        let Some(other) = self.at(peer_sk).filter(|other| peer_sk != 0 && *other != id) else { return };
        let unix = |id| {
            self.get(id).is_some_and(|kept: &Kept| {
                kept.socket.kind.family == family::UNIX && kept.socket.other_end.is_none()
            })
        };
        if unix(id) && unix(other) {
            self.change(id, revisions, |kept| kept.socket.other_end = Some(other));
            self.change(other, revisions, |kept| kept.socket.other_end = Some(id));
        }
    }

    /// A reading of a socket's options, and of its open file's where that is known, unless a later one came before.
    pub(crate) fn read_options(
        &mut self,
        id: SocketId,
        (options, nonblock): (Option<Options>, Option<bool>),
        ts: BootNs,
        revisions: &mut Revisions,
    ) {
        let Some(kept) = self.kept.get_mut(&id).filter(|kept| kept.options_at <= ts) else { return };
        kept.options_at = ts;
        let old = kept.socket.options;
        let nonblock = nonblock.unwrap_or(old.nonblock);
        let new = Options { nonblock, ..options.unwrap_or(old) };
        if new != old {
            kept.socket.options = new;
            revisions.touch(Entity::Socket(id), &mut kept.socket.rev);
        }
    }

    /// Which event told what the socket is: no change that a reader sees.
    pub(crate) fn note_told(&mut self, id: SocketId, seq: u64) {
        if let Some(kept) = self.kept.get_mut(&id) {
            kept.told = seq;
        }
    }

    /// Which event ended its last descriptor, likewise.
    pub(crate) fn note_closed(&mut self, id: SocketId, seq: u64, (process, fd): (ProcessKey, i32)) {
        if let Some(kept) = self.kept.get_mut(&id) {
            kept.closed = Some((seq, process, fd));
        }
    }

    /// What shut it down, likewise: the first in each of the two ways.
    pub(crate) fn note_shut(&mut self, id: SocketId, [reading, writing]: [bool; 2], down: ShutDown) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        let [for_reading, for_writing] = &mut kept.shut;
        for (slot, _) in [(for_reading, reading), (for_writing, writing)].into_iter().filter(|(_, is)| *is) {
            slot.get_or_insert_with(|| Box::new(down));
        }
    }

    /// What a call found of it, likewise. Returns whether it failed in a way that was not noted before.
    pub(crate) fn note_broken(&mut self, id: SocketId, found: Broken) -> bool {
        let Some(kept) = self.kept.get_mut(&id) else { return false };
        let before = kept.broken;
        kept.broken = Broken {
            pipe: before.pipe || found.pipe,
            reset: before.reset || found.reset,
            peer_gone: before.peer_gone || found.peer_gone,
        };
        (kept.broken.pipe, kept.broken.reset) != (before.pipe, before.reset)
    }

    /// An accept of this listener failed.
    pub(crate) fn accept_failed(&mut self, listener: SocketId, error: u32) {
        if let Some(kept) = self.kept.get_mut(&listener) {
            kept.wanting.get_or_insert_default().count(error);
        }
    }

    /// From here on, accepts of the listener that fail do so while the connection waits.
    pub(crate) fn waits_from_here(&mut self, child: SocketId, listener: SocketId) {
        let Some(before) = self.get(listener).map(|kept| kept.wanting.clone().unwrap_or_default()) else {
            return;
        };
        if let Some(kept) = self.kept.get_mut(&child) {
            kept.wanting_before = Some(before);
        }
    }

    /// Which accepts failed while a connection waited, that has been accepted; none where it is not known when it was queued.
    pub(crate) fn failed_meanwhile(&mut self, child: SocketId, listener: SocketId) -> Vec<(u32, u64)> {
        let before = self.kept.get_mut(&child).and_then(|kept| kept.wanting_before.take());
        let now = self.get(listener).and_then(|kept| kept.wanting.as_deref());
        now.zip(before).map_or_else(Vec::new, |(now, before)| now.since(&before))
    }

    /// Adds a step to a socket's life.
    pub(crate) fn step(&mut self, id: SocketId, step: Step, revisions: &mut Revisions) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        if let Some(state) = step.state
            && kept.socket.steps.last().is_none_or(|last| last.ts <= step.ts)
        {
            kept.state = state;
        }
        if lifecycle::insert(&mut kept.socket.steps, step) {
            revisions.touch(Entity::Socket(id), &mut kept.socket.rev);
        }
    }

    /// `child` came from `listener`: counted once.
    pub(crate) fn link(
        &mut self,
        child: SocketId,
        listener: SocketId,
        inferred: bool,
        revisions: &mut Revisions,
    ) {
        if child == listener || self.get(child).is_none_or(|kept| kept.socket.listener.is_some()) {
            return;
        }
        self.change(child, revisions, |kept| {
            kept.socket.listener = Some(listener);
            kept.socket.inferred = inferred;
        });
        self.change(listener, revisions, |kept| kept.socket.children += 1);
    }

    /// A descriptor points to it.
    pub(crate) fn hold(&mut self, id: SocketId, revisions: &mut Revisions) {
        self.unheld.remove(&id);
        self.change(id, revisions, |kept| kept.socket.holders += 1);
        self.revive(id);
    }

    /// A socket that was taken to have ended is held: it has not.
    fn revive(&mut self, id: SocketId) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        let Some(ended) = kept.socket.ended.take() else { return };
        let steps = &mut kept.socket.steps;
        if steps.len() > 1 && steps.last().is_some_and(|last| last.ts == ended && last.phase == Phase::Closed)
        {
            steps.pop();
        }
        self.by_sk.entry(kept.sk).or_insert(id);
        self.ended.retain(|other| *other != id);
    }

    /// A descriptor does not point to it any longer.
    pub(crate) fn release(&mut self, id: SocketId, at: BootNs, revisions: &mut Revisions) {
        let last = self.change(id, revisions, |kept| {
            kept.socket.holders = kept.socket.holders.saturating_sub(1);
            kept.socket.holders == 0 && {
                lifecycle::let_go(&mut kept.socket.steps, at);
                kept.socket.ended.is_none()
            }
        });
        if last == Some(true) {
            self.unheld.insert(id);
            self.settle(id, at, revisions);
            self.evict(revisions);
        }
    }

    /// Ends a socket that no descriptor points to and whose protocol is done.
    pub(crate) fn settle(&mut self, id: SocketId, at: BootNs, revisions: &mut Revisions) {
        let Some(kept) = self.get(id) else { return };
        let closed = !lifecycle::tells_states(kept.socket.kind) || matches!(kept.state, 0 | state::CLOSE);
        if kept.socket.holders == 0 && closed {
            self.end(id, at, revisions);
        }
    }

    fn end(&mut self, id: SocketId, at: BootNs, revisions: &mut Revisions) {
        let Some(kept) = self.kept.get_mut(&id).filter(|kept| kept.socket.ended.is_none()) else { return };
        revisions.touch(Entity::Socket(id), &mut kept.socket.rev);
        let last = kept.socket.steps.last().map_or(at, |step| step.ts.max(at));
        if lifecycle::phase(&kept.socket) != Phase::Closed {
            let state = lifecycle::state_of(kept.socket.kind, state::CLOSE);
            lifecycle::insert(
                &mut kept.socket.steps,
                Step { ts: last, phase: Phase::Closed, state, error: None, peer: None },
            );
        }
        kept.socket.ended = Some(last);
        let listened = kept.state == state::LISTEN && kept.socket.kind.family == family::UNIX;
        let sk = kept.sk;
        if self.at(sk) == Some(id) {
            self.by_sk.remove(&sk);
        }
        self.unheld.remove(&id);
        if listened {
            // What waits there ends with it (`unix_release_sock`, net/unix/af_unix.c), and no state tells.
            let waits = |id: &SocketId| self.get(*id).is_some_and(Kept::waits);
            let of_it =
                |child: &SocketId| self.get(*child).is_some_and(|kept| kept.socket.listener == Some(id));
            let left: Vec<_> = self.unheld.iter().copied().filter(|id| of_it(id) && waits(id)).collect();
            for child in left {
                self.end(child, last, revisions);
            }
        }
        self.ended.push_back(id);
        self.evict(revisions);
    }

    /// Evicts the oldest of those that ended, and of those that have had no descriptor for so long that the end was
    /// lost.
    fn evict(&mut self, revisions: &mut Revisions) {
        while self.ended.len() > self.keep {
            let Some(oldest) = self.ended.pop_front() else { break };
            self.remove(oldest, revisions);
        }
        while self.unheld.len() > self.keep.max(UNHELD) {
            let Some(oldest) = self.unheld.pop_first() else { break };
            self.remove(oldest, revisions);
        }
    }

    fn remove(&mut self, id: SocketId, revisions: &mut Revisions) {
        if let Some(gone) = self.kept.remove(&id) {
            if self.at(gone.sk) == Some(id) {
                self.by_sk.remove(&gone.sk);
            }
            revisions.evict(Entity::Socket(id));
        }
    }

    /// The listener that a connection found in a snapshot came from, where only one fits: same namespace, same
    /// protocol, the connection's local address or the wildcard's.
    pub(crate) fn infer_listener(&self, child: SocketId, listeners: &[SocketId]) -> Option<SocketId> {
        let child = &self.get(child)?.socket;
        let mut fitting = listeners.iter().copied().filter(|id| {
            self.get(*id).is_some_and(|kept| {
                let listener = &kept.socket;
                listener.netns == child.netns
                    && listener.kind.ty == child.kind.ty
                    && listener.kind.protocol == child.kind.protocol
                    && takes(&listener.local, &child.local)
            })
        });
        let only = fitting.next()?;
        fitting.next().is_none().then_some(only)
    }
}

/// Whether a listener at `listener` takes connections to `local`. An IPv6 listener on the wildcard takes IPv4 ones
/// too, which then have a mapped address (ipv6(7)).
pub(crate) fn takes(listener: &Address, local: &Address) -> bool {
    if listener.port() != local.port() || listener.is_unset() {
        return false;
    }
    match (listener, local) {
        (Address::Inet(any, _), Address::Inet(ip, _)) => any.is_unspecified() || any == ip,
        (Address::Inet6(any, _), Address::Inet6(ip, _)) => any.is_unspecified() || any == ip,
        (Address::Inet6(any, _), Address::Inet(..)) => any.is_unspecified(),
        (Address::Inet(any, _), Address::Inet6(ip, _)) => {
            ip.to_ipv4_mapped().is_some_and(|ip| any.is_unspecified() || *any == ip)
        }
        _ => listener == local,
    }
}
