//! Descriptors that calls pass between processes, and the one that `CLONE_PIDFD` makes.

use crate::{
    calls::Doing,
    event::{Direction, Event, EventKind, Via},
    session::Session,
};

impl Session {
    /// `recvmsg` and its kin, and reads of a fanotify group: every descriptor that came fills a slot.
    pub(crate) fn on_received(&mut self, doing: &Doing<'_>, event: &mut Event) {
        event.direction = Some(Direction::In);
        Self::name_passed(doing, event);
        let filled = self.fill_results(doing);
        // One alone is described; of several the table has the descriptions.
        if let ([id], [slot]) = (filled.as_slice(), doing.call.results.as_slice()) {
            event.new_fd = Some(slot.fd);
            event.cloexec = Some(slot.cloexec);
            self.show_file(event, *id);
        }
    }

    /// `sendmsg` and its kin: the slots stay as they are.
    pub(crate) fn on_sent(&mut self, doing: &Doing<'_>, event: &mut Event) {
        event.direction = Some(Direction::Out);
        Self::name_passed(doing, event);
        let ([slot], Some(table)) = (doing.call.results.as_slice(), doing.table) else { return };
        let sent = slot.file.and_then(|file| self.world.tables.find(table, slot.fd, &file));
        if let Some(id) = sent.map(|kept| kept.descriptor.id) {
            self.show_file(event, id);
        }
    }

    fn name_passed(doing: &Doing<'_>, event: &mut Event) {
        event.fd = doing.descriptor();
        event.fds = doing.call.results.iter().map(|slot| slot.fd).collect();
    }

    /// A `clone` that failed, or the descriptor that a successful one made: its fork is a line of its own.
    pub(crate) fn on_clone(&mut self, doing: &Doing<'_>, event: &mut Event) {
        if doing.kind != EventKind::Pidfd {
            return;
        }
        let filled = self.fill_results(doing);
        (event.via, event.call, event.ret, event.dur_ns) = (Via::Fork, None, None, None);
        let slot = doing.call.results.first();
        event.new_fd = slot.map(|slot| slot.fd);
        event.cloexec = slot.map(|slot| slot.cloexec);
        if let Some(id) = filled.first() {
            self.show_file(event, *id);
        }
    }
}
