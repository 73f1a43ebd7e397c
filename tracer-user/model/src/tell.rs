//! Events in the making: what is common to all, and how entities are described in them.

use crate::{
    event::{Event, EventKind, Via},
    ids::{BootNs, DescriptorId, ProcessKey, SocketId},
    input::{Input, Origin},
    lifecycle,
    session::Session,
};

/// What every event has from its input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) ts: BootNs,
    pub(crate) origin: Option<Origin>,
    pub(crate) late: bool,
}

impl Stamp {
    pub(crate) fn of(input: &Input) -> Self {
        Self { ts: input.ts, origin: input.origin, late: input.late }
    }
}

/// Whether an event tells of something that the process did not have before.
fn is_new(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Socket
            | EventKind::Socketpair
            | EventKind::Pass
            | EventKind::Register
            | EventKind::Snapshot
            | EventKind::Repair
    )
}

impl Session {
    /// An event with nothing but its input, process and kind.
    pub(crate) fn blank(&self, stamp: &Stamp, process: ProcessKey, kind: EventKind, via: Via) -> Event {
        Event {
            seq: 0,
            ts: stamp.ts,
            epoch_ns: self.wall.epoch_ns(stamp.ts),
            process,
            tid: 0,
            comm: self.world.process(process).map(|process| process.comm.clone()).unwrap_or_default(),
            kind,
            call: None,
            call_id: None,
            pending: false,
            via,
            fd: None,
            ret: None,
            new_fd: None,
            fds: Vec::new(),
            cloexec: None,
            nonblock: None,
            file_kind: None,
            ino: None,
            socket: None,
            listener: None,
            socket_kind: None,
            netns: None,
            local: None,
            peer: None,
            asked: None,
            path: None,
            set_option: None,
            options: None,
            backlog: None,
            queue_len: None,
            queue_limit: None,
            wait_ns: None,
            split: None,
            slept: false,
            drops: None,
            tcp: None,
            spoken: None,
            dur_ns: None,
            from: None,
            to: None,
            closed_first: None,
            error: None,
            direction: None,
            child: None,
            place: None,
            status: None,
            how: None,
            inferred: false,
            late: stamp.late,
            origin: stamp.origin,
            count: None,
            cause: None,
            stands: None,
            ring: None,
            direct: None,
            new_direct: None,
            directs: Vec::new(),
            new_ring: None,
            unconfirmed: false,
            confirmed: false,
            doubtful: false,
            explain: None,
        }
    }

    /// Numbers an event and tells it.
    pub(crate) fn emit(&mut self, mut event: Event) {
        self.seq += 1;
        event.seq = self.seq;
        event.explain = self.explain(&event);
        self.note_told(&event);
        self.repairs += u64::from(event.via == Via::Repair);
        self.history.push(&mut event);
        self.events.push(event);
    }

    /// Describes a socket as it stands.
    pub(crate) fn show_socket(&self, event: &mut Event, id: SocketId) {
        let Some(kept) = self.world.sockets.get(id) else { return };
        let socket = &kept.socket;
        event.socket = Some(id);
        event.listener = socket.listener;
        event.inferred |= socket.inferred;
        event.socket_kind = Some(socket.kind);
        event.netns = is_new(event.kind).then_some(socket.netns);
        event.local = lifecycle::shown(socket, &socket.local).cloned();
        event.peer = lifecycle::shown(socket, &socket.peer).cloned();
    }

    /// Describes what a descriptor holds.
    pub(crate) fn show_file(&self, event: &mut Event, id: DescriptorId) {
        let Some(kept) = self.world.tables.get(id) else { return };
        event.file_kind = Some(kept.descriptor.kind);
        event.ino = Some(kept.descriptor.ino);
        if let Some(socket) = kept.descriptor.socket {
            self.show_socket(event, socket);
        }
    }

    /// Tells the end of a descriptor that ended without a call.
    pub(crate) fn tell_end(&mut self, stamp: &Stamp, process: ProcessKey, id: DescriptorId, via: Via) {
        let mut event = self.blank(stamp, process, EventKind::Close, via);
        if let Some(kept) = self.world.tables.get(id) {
            self.show_place(&mut event, &kept.descriptor);
        }
        self.show_file(&mut event, id);
        event.closed_first = self.closed_first(&event);
        self.emit(event);
    }

    /// Who closed the event's socket first, as far as is known.
    pub(crate) fn closed_first(&self, event: &Event) -> Option<crate::event::Side> {
        self.world.sockets.get(event.socket?)?.socket.closed_first
    }

    /// Tells a slot's whole description.
    pub(crate) fn tell_slot(
        &mut self,
        stamp: &Stamp,
        process: ProcessKey,
        id: DescriptorId,
        (kind, via): (EventKind, Via),
        path: Option<Vec<u8>>,
    ) {
        let mut event = self.blank(stamp, process, kind, via);
        event.place = self.world.process(process).and_then(|process| process.place.clone()).map(Box::new);
        self.show_file(&mut event, id);
        if let Some(kept) = self.world.tables.get(id) {
            self.show_place(&mut event, &kept.descriptor);
            event.cloexec = Some(kept.descriptor.cloexec);
            let path = path.unwrap_or_else(|| kept.descriptor.name.clone());
            event.path = Some(path).filter(|path| !path.is_empty());
        }
        if let Some(kept) = event.socket.and_then(|id| self.world.sockets.get(id)) {
            event.to = lifecycle::state_of(kept.socket.kind, kept.state);
            event.options = Some(kept.socket.options);
            if let Some(queue) = &kept.socket.queue {
                (event.queue_len, event.queue_limit) = (Some(queue.len), Some(queue.limit));
            }
        }
        self.emit(event);
    }
}
