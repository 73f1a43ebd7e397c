//! What is spoken on connections.

use crate::{
    event::{EventKind, Via},
    input::Heard,
    session::Session,
    sockets::kind_of,
    tell::Stamp,
};

/// Changes of protocol that are kept of a connection.
const KEPT: usize = 4;

impl Session {
    /// It is known what is spoken on a connection.
    pub(crate) fn heard(&mut self, stamp: &Stamp, heard: &Heard) {
        let Heard { task, fd, sock, spoken } = heard;
        let mut event = self.blank(stamp, task.process, EventKind::Spoken, Via::Kernel);
        event.tid = task.tid;
        event.fd = (*fd >= 0).then_some(*fd);
        event.socket_kind = Some(kind_of(sock));
        if let Some(id) = self.world.sockets.find(sock, 0) {
            self.world.sockets.change(id, &mut self.world.revisions, |kept| {
                let known = &mut kept.socket.spoken;
                known.push((stamp.ts, spoken.clone()));
                if known.len() > KEPT {
                    known.remove(0);
                }
            });
            self.show_socket(&mut event, id);
        } else {
            event.local = Some(sock.local.clone()).filter(|address| !address.is_unset());
            event.peer = Some(sock.peer.clone()).filter(|address| !address.is_unset());
        }
        event.inferred |= spoken.inferred;
        event.spoken = Some(Box::new(spoken.clone()));
        self.emit(event);
    }
}
