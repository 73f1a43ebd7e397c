//! Descriptors that calls pass between processes, and the one that `CLONE_PIDFD` makes.

use crate::{
    calls::Doing,
    entity::{Closed, Opened},
    event::{Direction, Event, EventKind, Via},
    input::{FileRef, Given, Slot},
    kinds, lifecycle,
    session::Session,
    tables::Content,
    tell::Stamp,
};

impl Session {
    /// `recvmsg` and its kin, and reads of a fanotify group: every descriptor that came fills a slot. A number that is not in
    /// the table is none, or another thread closed it since: what came then, and where it is now, nobody knows.
    pub(crate) fn on_received(&mut self, doing: &Doing<'_>, event: &mut Event) {
        event.direction = Some(Direction::In);
        event.fd = doing.descriptor();
        let results = &doing.call.results;
        let came: Vec<&Slot> = results.iter().filter(|slot| self.came(doing, slot)).collect();
        event.fds = came.iter().map(|slot| slot.fd).collect();
        self.fill_results(doing);
        // One alone is described; of several the table has the descriptions.
        if let [slot] = came.as_slice() {
            event.new_fd = Some(slot.fd);
            event.cloexec = Some(slot.cloexec);
            self.show_passed(doing, slot, event);
        }
        if let Some(table) = doing.results.filter(|_| results.iter().any(|slot| slot.file.is_none())) {
            self.world.contents.doubt(table);
        }
    }

    /// Whether what is in a slot came with the call: not if another thread's call put it there meanwhile.
    fn came(&self, doing: &Doing<'_>, slot: &Slot) -> bool {
        let Some(file) = &slot.file else { return false };
        let kept = doing.results.and_then(|table| self.world.tables.slot(table, slot.fd));
        !kept.filter(|kept| kept.holds(file)).is_some_and(|kept| {
            let descriptor = &kept.descriptor;
            descriptor.opened >= doing.began() && matches!(descriptor.opened_by, Opened::By(_))
        })
    }

    /// `sendmsg` and its kin: the slots stay as they are.
    pub(crate) fn on_sent(&mut self, doing: &Doing<'_>, event: &mut Event) {
        event.direction = Some(Direction::Out);
        event.fd = doing.descriptor();
        event.fds = doing.call.results.iter().map(|slot| slot.fd).collect();
        if let [slot] = doing.call.results.as_slice() {
            self.show_passed(doing, slot, event);
        }
    }

    fn show_passed(&self, doing: &Doing<'_>, slot: &Slot, event: &mut Event) {
        // What is passed is in the caller's table, wherever the socket is.
        let Some(table) = doing.results else { return };
        let passed = slot.file.and_then(|file| self.world.tables.find(table, slot.fd, &file));
        if let Some(id) = passed.map(|kept| kept.descriptor.id) {
            self.show_file(event, id);
        }
    }

    /// A descriptor that goes to another process's table; what that process got is a line of its own.
    pub(crate) fn on_given(&mut self, doing: &Doing<'_>, event: &mut Event) {
        event.direction = Some(Direction::Out);
        event.fd = doing.descriptor();
        let Some(slot) = &doing.call.subject else { return };
        event.fds = vec![slot.fd];
        self.show_passed(doing, slot, event);
    }

    /// A process got a descriptor from another one's call. What was in the slot was replaced.
    pub(crate) fn given(&mut self, stamp: &Stamp, given: &Given) {
        let process = given.task.process;
        self.succeed(stamp, process);
        let table = self.world.table_of(&given.task, stamp.ts);
        let slot = &given.slot;
        let mut event = self.blank(stamp, process, EventKind::Pass, Via::Kernel);
        event.direction = Some(Direction::In);
        event.new_fd = Some(slot.fd);
        event.fds = vec![slot.fd];
        if let (Some(table), Some(file)) = (table, slot.file) {
            event.cloexec = Some(slot.cloexec);
            let old = self.world.tables.slot(table, slot.fd).filter(|kept| !kept.holds(&file));
            if let Some(old) = old.map(|kept| kept.descriptor.id) {
                self.world.end(old, stamp.ts, Closed::Replaced);
            }
            let content = self.content_given(stamp, given, file);
            let by = (stamp.ts, Opened::By(EventKind::Pass));
            if let Some(id) = self.world.fill((table, slot.fd), content, by) {
                self.show_file(&mut event, id);
            }
        }
        self.emit(event);
    }

    fn content_given(&mut self, stamp: &Stamp, given: &Given, file: FileRef) -> Content {
        let name = &given.slot.name;
        let known = self.world.tables.file(&file).map(|open| (open.kind, open.name.clone(), open.socket));
        let (kind, name, mut socket) = known.unwrap_or_else(|| {
            let kind = kinds::by_name(&file, name);
            (kind, kinds::shown_name(kind, name).to_vec(), None)
        });
        if let Some(sock) = &given.sock {
            let phase = lifecycle::phase_found(sock.state, &sock.local);
            socket = Some(self.see(sock, file.ino, (stamp.ts, phase)));
        }
        Content { file, kind, name, access: None, cloexec: given.slot.cloexec, socket }
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
