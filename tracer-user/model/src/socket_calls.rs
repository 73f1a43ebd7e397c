//! What calls do to their sockets: bind, listen, connect, shutdown, accept, and the options that are set.

use crate::{
    address::Address,
    calls::{Doing, nonblock, number},
    entity::{Phase, Step},
    event::{Event, EventKind, SetOption, Split},
    ids::{BootNs, SocketId},
    input::{Call, Options, Sock},
    lifecycle, names,
    session::Session,
};
use tracer_abi::Class;

/// `EINPROGRESS` (errno(3)): a non-blocking connect is under way.
const EINPROGRESS: u32 = 115;
/// Errors of a connect that decide nothing: the connection stands, is under way or goes on (connect(2); the last four
/// are the kernel's `ERESTART*`).
const UNDECIDED: &[u32] = &[4, 11, 106, 114, EINPROGRESS, 512, 513, 514, 516];

/// What a `setsockopt` asked for and came to.
fn set_option(call: &Call) -> SetOption {
    let [_, level, option, _] = call.args;
    let value = call.socks.first().and_then(|sock| names::option_value(&sock.options, level, option));
    SetOption { level, option, asked: call.asked_value, value }
}

impl Session {
    /// `bind`, `listen`, `connect`, `shutdown` and `lseek`.
    pub(crate) fn on_socket(&mut self, doing: &Doing<'_>, event: &mut Event) {
        let call = doing.call;
        event.fd = Some(number(call.args[0]));
        let is_bind = call.call.class() == Class::BIND;
        match doing.kind {
            EventKind::Listen => event.backlog = Some(call.args[1].cast_signed()),
            EventKind::Shutdown => event.how = Some(call.args[1]),
            EventKind::Setsockopt => event.set_option = Some(set_option(call)),
            _ => {}
        }
        let Some(id) = self.subject_socket(doing) else { return };
        // With the states of a shutdown comes the socket as it was read before.
        if let Some(sock) = call.socks.first().filter(|_| doing.kind != EventKind::Shutdown) {
            let nonblock = call.subject.as_ref().map(|slot| slot.nonblock);
            self.read_options(id, Some(sock.options), nonblock, doing.ts);
        }
        match doing.kind {
            // A send that failed has bound all the same.
            EventKind::Bind if doing.done() || !is_bind => self.bound(id, doing.ts),
            EventKind::Listen if doing.done() => {
                self.listens(id, (doing.began(), doing.ts), call.args[1].cast_signed());
            }
            EventKind::Connect => self.connects(doing, id, event.error),
            EventKind::Shutdown if doing.done() => self.shut_down(doing, id),
            _ => {}
        }
        if call.request.is_some() {
            self.await_socket(doing, id);
        }
        self.show_socket(event, id);
        let failed = event.error.is_some_and(|error| error != EINPROGRESS);
        if failed && (is_bind || doing.kind == EventKind::Connect) {
            (event.local, event.peer) = (None, None);
        }
        if doing.kind == EventKind::Listen {
            self.show_queue(event, id);
            event.options = self.world.sockets.get(id).map(|kept| kept.socket.options);
        }
    }

    pub(crate) fn read_options(
        &mut self,
        id: SocketId,
        options: Option<Options>,
        nonblock: Option<bool>,
        ts: BootNs,
    ) {
        self.world.sockets.read_options(id, (options, nonblock), ts, &mut self.world.revisions);
    }

    /// `O_NONBLOCK` of a socket was set or cleared; the slot was read again after the call.
    pub(crate) fn on_setfl(&mut self, doing: &Doing<'_>, event: &mut Event) {
        event.fd = Some(number(doing.call.args[0]));
        let nonblock =
            doing.call.results.first().filter(|slot| slot.file.is_some()).map(|slot| slot.nonblock);
        event.nonblock = nonblock;
        if let Some(id) = self.subject_socket(doing) {
            self.read_options(id, None, nonblock, doing.ts);
            self.show_socket(event, id);
        }
    }

    fn show_queue(&self, event: &mut Event, listener: SocketId) {
        let kept = self.world.sockets.get(listener);
        if let Some(queue) = kept.and_then(|kept| kept.socket.queue.as_deref()) {
            (event.queue_len, event.queue_limit) = (Some(queue.len), Some(queue.limit));
        }
    }

    /// The socket that a call is about, brought up to what was read after the call.
    fn subject_socket(&mut self, doing: &Doing<'_>) -> Option<SocketId> {
        let subject = doing.subject();
        if let Some(sock) = doing.call.socks.first().filter(|sock| sock.sk != 0) {
            let ino = subject.map_or(0, |(_, file)| file.ino);
            return Some(self.see(sock, ino, (doing.ts, lifecycle::phase_found(sock.state, &sock.local))));
        }
        let ((table, fd), file) = subject?;
        self.world.tables.find(table, fd, &file)?.descriptor.socket
    }

    pub(crate) fn see(&mut self, sock: &Sock, ino: u64, first: (BootNs, Phase)) -> SocketId {
        let id = self.world.sockets.see(sock, ino, first, &mut self.world.revisions);
        self.world.sockets.read_queue(id, sock, first.0, &mut self.world.revisions);
        id
    }

    fn step(&mut self, id: SocketId, ts: BootNs, phase: Phase, error: Option<u32>) {
        let Some(kept) = self.world.sockets.get(id) else { return };
        let state = lifecycle::state_of(kept.socket.kind, kept.state);
        self.world.sockets.step(id, Step { ts, phase, state, error, peer: None }, &mut self.world.revisions);
    }

    fn phase(&self, id: SocketId) -> Phase {
        self.world.sockets.get(id).map_or(Phase::Closed, |kept| lifecycle::phase(&kept.socket))
    }

    /// Whether the kernel has told what a call did that began then: a change of state since.
    fn told(&self, id: SocketId, began: BootNs) -> bool {
        self.world.sockets.get(id).is_some_and(|kept| {
            lifecycle::tells_states(kept.socket.kind)
                && kept.socket.steps.last().is_some_and(|step| step.ts >= began)
        })
    }

    /// What an operation did to a socket that began then and was found done at `ts`; `second` is its second argument.
    pub(crate) fn take_effect(
        &mut self,
        class: Class,
        id: SocketId,
        (began, ts): (BootNs, BootNs),
        second: u32,
    ) {
        match class {
            Class::BIND => self.bound(id, ts),
            Class::LISTEN => self.listens(id, (began, ts), second.cast_signed()),
            Class::CONNECT if !self.told(id, began) => self.step(id, ts, Phase::Connected, None),
            _ => {}
        }
    }

    fn bound(&mut self, id: SocketId, ts: BootNs) {
        if matches!(self.phase(id), Phase::Created | Phase::Closed) {
            self.step(id, ts, Phase::Bound, None);
        }
    }

    fn listens(&mut self, id: SocketId, (began, ts): (BootNs, BootNs), backlog: i32) {
        if !self.told(id, began) {
            self.step(id, ts, Phase::Listening, None);
        }
        self.world.sockets.change(id, &mut self.world.revisions, |kept| {
            kept.socket.backlog = Some(backlog);
            // A refused connect leaves the peer's address behind.
            kept.socket.peer = kept.socket.peer.unspecified();
        });
    }

    fn connects(&mut self, doing: &Doing<'_>, id: SocketId, error: Option<u32>) {
        let phase = self.phase(id);
        // A datagram socket that is connected can be connected to another peer (connect(2)).
        let last = self.world.sockets.get(id).and_then(|kept| kept.socket.steps.last());
        let left = last.is_some_and(|step| step.peer.is_some());
        let fresh = left || matches!(phase, Phase::Created | Phase::Bound | Phase::Closed);
        let under_way = phase == Phase::Connecting;
        let told = self.told(id, doing.began());
        match (doing.call.ret, error) {
            (None, _) | (_, Some(EINPROGRESS)) if fresh && !told => {
                self.step(id, doing.ts, Phase::Connecting, None);
            }
            (Some(0), _) if matches!(doing.call.asked, Some(Address::Other(0, _))) => {
                self.disconnects(doing, id);
            }
            (Some(0), _) if under_way || fresh && !told => self.step(id, doing.ts, Phase::Connected, None),
            (Some(_), Some(error)) if under_way && !UNDECIDED.contains(&error) => {
                self.step(id, doing.ts, Phase::Closed, Some(error));
            }
            _ => {}
        }
    }

    /// A connect to `AF_UNSPEC` dissolves the association (connect(2)); the kernel then lets go of an address that `bind`
    /// did not set.
    fn disconnects(&mut self, doing: &Doing<'_>, id: SocketId) {
        if !self.told(id, doing.began()) {
            self.step(id, doing.ts, Phase::Closed, None);
        }
        if let Some(sock) = doing.call.socks.first() {
            self.world.sockets.change(id, &mut self.world.revisions, |kept| {
                lifecycle::leave_peer(&mut kept.socket);
                kept.socket.local.clone_from(&sock.local);
                kept.socket.peer.clone_from(&sock.peer);
            });
        }
    }

    /// The kernel tells what a shutdown does to TCP; other families have no states to tell.
    fn shut_down(&mut self, doing: &Doing<'_>, id: SocketId) {
        let tells = self.world.sockets.get(id).is_none_or(|kept| lifecycle::tells_states(kept.socket.kind));
        match (doing.call.args[1], self.phase(id)) {
            _ if tells => {}
            (2, Phase::Connected | Phase::HalfClosed) => self.step(id, doing.ts, Phase::Closed, None),
            (0 | 1, Phase::Connected) => self.step(id, doing.ts, Phase::HalfClosed, None),
            _ => {}
        }
    }

    pub(crate) fn on_accept(&mut self, doing: &Doing<'_>, event: &mut Event) {
        let call = doing.call;
        event.fd = Some(number(call.args[0]));
        let listener = call.listener.and_then(|sk| self.world.sockets.at(sk)).or_else(|| {
            let ((table, fd), file) = doing.subject()?;
            self.world.tables.find(table, fd, &file)?.descriptor.socket
        });
        if let (Some(listener), Some((len, limit))) = (listener, call.queue) {
            self.world.sockets.change(listener, &mut self.world.revisions, |kept| {
                kept.socket.reads_queue(len, limit, doing.ts);
            });
        }
        if doing.done() {
            event.new_fd = call.ret.and_then(|ret| i32::try_from(ret).ok());
            event.cloexec = call.results.first().filter(|slot| slot.file.is_some()).map(|slot| slot.cloexec);
            event.nonblock = nonblock(call);
            let child = self.accepted(doing, listener);
            match self.fill_results(doing).first() {
                Some(id) => self.show_file(event, *id),
                None => Self::show_results(doing, event),
            }
            if let Some(child) = child {
                self.show_socket(event, child);
                let queued = self.world.sockets.get(child).and_then(|kept| kept.socket.queued);
                event.wait_ns = queued.map(|queued| doing.ts.0.saturating_sub(queued.0));
                if let (Some(queued), Some(listener)) = (queued, listener) {
                    let thread = (call.task.process, call.task.tid);
                    let failed = self.world.sockets.failed_meanwhile(child, listener);
                    let waited = (queued, doing.ts);
                    let split = self.acceptors.split(thread, call.sleeps, listener, waited);
                    event.split = split.map(|split| Box::new(Split { failed, ..split }));
                }
            }
        }
        if let Some(listener) = listener
            && call.ret.is_some()
        {
            let thread = (call.task.process, call.task.tid);
            event.slept = self.acceptors.accepts(thread, listener, doing.ts, call.sleeps);
            if let Some(error) = event.error {
                self.world.sockets.accept_failed(listener, error);
            }
        }
        event.listener = event.listener.or(listener);
        if let Some((len, limit)) = call.queue {
            (event.queue_len, event.queue_limit) = (Some(len), Some(limit));
        }
    }

    /// The child that an accept took out of the queue.
    fn accepted(&mut self, doing: &Doing<'_>, listener: Option<SocketId>) -> Option<SocketId> {
        let call = doing.call;
        let sock = call.socks.first().filter(|sock| sock.sk != 0)?;
        let ino = call.results.first().and_then(|slot| slot.file).map_or(0, |file| file.ino);
        let phase = lifecycle::phase_of(sock.state, false, true).filter(|phase| *phase != Phase::Closed);
        let phase = phase.unwrap_or(Phase::Connected);
        let first = call.queued.map_or((doing.ts, phase), |queued| (queued, Phase::Queued));
        let child = self.see(sock, ino, first);
        self.step(child, doing.ts, phase, None);
        let from = call.listener.unwrap_or(0);
        self.world.sockets.change(child, &mut self.world.revisions, |kept| {
            kept.socket.accepted = kept.socket.accepted.or(Some(doing.ts));
            kept.socket.accepted_by = Some((call.task.process, call.task.tid));
            kept.socket.queued = kept.socket.queued.or(call.queued);
            kept.came_from = from;
            kept.owner = call.task.process;
        });
        if let Some(listener) = listener {
            self.world.sockets.link(child, listener, false, &mut self.world.revisions);
        }
        Some(child)
    }
}
