//! What each call does to the caller's table, and as an event.

use crate::{
    entity::{Closed, Opened, Phase},
    event::{Direction, Event, EventKind, FileKind, SocketKind, Via},
    ids::{BootNs, DescriptorId, TableId},
    input::{Call, FileRef, Held, Slot, Sock},
    kinds, lifecycle,
    session::Session,
    syscall::Syscall,
    tables::Content,
    tell::Stamp,
    uring,
};
use std::collections::HashMap;
use tracer_abi::Class;

/// `EBADF` (errno(3)).
const EBADF: u32 = 9;
/// Largest error number that a return value stands for (include/linux/err.h, `MAX_ERRNO`).
const MAX_ERRNO: i64 = 4095;

/// A call on its way through the model.
pub(crate) struct Doing<'a> {
    pub(crate) ts: BootNs,
    pub(crate) call: &'a Call,
    pub(crate) kind: EventKind,
    /// The table of the call's descriptor arguments; `None` where the process has ended.
    pub(crate) table: Option<TableId>,
    /// The table of what the call makes.
    pub(crate) results: Option<TableId>,
    /// The call was told before, as running.
    again: bool,
}

impl Doing<'_> {
    pub(crate) fn done(&self) -> bool {
        self.call.ret.is_some_and(|ret| ret >= 0)
    }

    /// The descriptor that the first argument names.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        self.call.args.first().map(|arg| number(*arg))
    }

    pub(crate) fn began(&self) -> BootNs {
        self.call.enter.unwrap_or(self.ts)
    }

    /// The file that the call's descriptor argument named, and where.
    pub(crate) fn subject(&self) -> Option<((TableId, i32), FileRef)> {
        let slot = self.call.subject.as_ref()?;
        Some(((self.table?, slot.fd), slot.file?))
    }
}

/// Error number that a return value stands for.
fn errno(ret: i64) -> Option<u32> {
    (-MAX_ERRNO..0).contains(&ret).then(|| u32::try_from(-ret).ok()).flatten()
}

/// `O_NONBLOCK` of the open file that a call gave, where it is set.
pub(crate) fn nonblock(call: &Call) -> Option<bool> {
    call.results.first().is_some_and(|slot| slot.file.is_some() && slot.nonblock).then_some(true)
}

/// The kind of socket that a `socket` or `socketpair` asked for: family, type without `SOCK_NONBLOCK` and `SOCK_CLOEXEC`,
/// and protocol (socket(2)).
fn asked_kind(call: &Call) -> Option<SocketKind> {
    let [family, ty, protocol] = [call.args[0], call.args[1] & 0xf, call.args[2]].map(u16::try_from);
    let kind = SocketKind { family: family.ok()?, ty: ty.ok()?, protocol: protocol.ok()? };
    matches!(call.call, Syscall::Socket | Syscall::Socketpair | Syscall::RingSocket).then_some(kind)
}

/// An argument that is a descriptor number.
pub(crate) fn number(arg: u32) -> i32 {
    arg.cast_signed()
}

impl Session {
    /// A call that returned or still runs.
    pub(crate) fn call(&mut self, stamp: &Stamp, call: &Call) {
        let process = call.task.process;
        let thread = (process, call.task.tid);
        let call_id = if call.request.is_some() {
            None
        } else if call.ret.is_some() {
            self.pending.returns(thread, call.enter)
        } else {
            match self.pending.runs(thread, call.enter) {
                Some(id) => Some(id),
                None => return,
            }
        };
        self.succeed(stamp, process);
        let mut read = self.world.contents.take(call.task.files, call.task.tid);
        let from = read.as_ref().map_or(0, |read| read.from);
        let table = self.world.table_made_from(from, &call.task, stamp.ts);
        if let (Some(table), Some(slot)) = (table, &call.subject) {
            self.world.meet(table, slot);
        }
        let kind = kinds::event_kind(call);
        let again = call.ret.is_some() && call_id.is_some();
        let (table, results) = self.tables_of(call, table);
        if self.is_others(call, results) {
            return;
        }
        let doing = Doing { ts: stamp.ts, call, kind, table, results, again };

        let via = if call.request.is_some() { Via::IoUring } else { Via::Syscall };
        let mut event = self.blank(stamp, process, kind, via);
        event.tid = call.task.tid;
        event.call = Some(call.call);
        event.call_id = call_id;
        event.pending = call.ret.is_none() && call.request.is_none();
        event.ret = call.ret;
        event.error = call.ret.and_then(errno);
        event.dur_ns = call.enter.map(|enter| stamp.ts.0.saturating_sub(enter.0));
        event.asked.clone_from(&call.asked);
        event.path.clone_from(&call.path);
        match call.call.class() {
            Class::BIND | Class::LISTEN | Class::CONNECT | Class::SHUTDOWN | Class::SETSOCKOPT => {
                self.on_socket(&doing, &mut event);
            }
            Class::ACCEPT => self.on_accept(&doing, &mut event),
            Class::CLOSE => self.on_close(&doing, &mut event),
            Class::CLOSE_RANGE => {
                // With a table of its own goes on who asked for one; otherwise this is what the call left of a shared one.
                let asked = call.args[2] & kinds::CLOSE_RANGE_UNSHARE != 0;
                let left = if asked { None } else { read.take() };
                self.on_close_range(&doing, left.map(|read| read.held), &mut event);
            }
            Class::DUP2 => self.on_dup2(&doing, &mut event),
            Class::FCNTL | Class::IOCTL if kind == EventKind::Setfd => self.on_setfd(&doing, &mut event),
            Class::FCNTL | Class::IOCTL if kind == EventKind::Setfl => self.on_setfl(&doing, &mut event),
            Class::FORK | Class::EXEC | Class::UNSHARE => {}
            Class::IOCTL if kind == EventKind::Pass => self.on_given(&doing, &mut event),
            Class::CLONE | Class::CLONE3 => self.on_clone(&doing, &mut event),
            Class::LSEEK | Class::SENDTO | Class::WRITE => self.on_socket(&doing, &mut event),
            Class::RECVMSG | Class::RECVMMSG | Class::RECEIVE | Class::READ | Class::READV => {
                self.on_received(&doing, &mut event);
            }
            Class::SENDMSG | Class::SENDMMSG if kind == EventKind::Bind => self.on_socket(&doing, &mut event),
            Class::SENDMSG | Class::SENDMMSG => self.on_sent(&doing, &mut event),
            _ => self.on_fill(&doing, &mut event),
        }
        if let Some(request) = call.request {
            self.show_request(call, &request, &mut event);
        }
        // The call gave its thread a table of its own, which was read when everything had happened to it.
        if let (Some(table), Some(read)) = (table, read) {
            self.world.set_contents(table, &read.held, stamp.ts);
            self.world.tables.thread_joins(table);
        }
        self.emit(event);
    }

    /// A call whose results are new descriptors.
    fn on_fill(&mut self, doing: &Doing<'_>, event: &mut Event) {
        let call = doing.call;
        event.fd = match call.call {
            Syscall::Dup
            | Syscall::Fcntl
            | Syscall::Ioctl
            | Syscall::Getsockopt
            | Syscall::PidfdGetfd
            | Syscall::RingFixedFdInstall
            | Syscall::RingMsgRing => Some(number(call.args[0])),
            // An existing signalfd is changed by its number, -1 makes a new one (signalfd(2)).
            Syscall::Signalfd | Syscall::Signalfd4 if number(call.args[0]) >= 0 => Some(number(call.args[0])),
            _ => None,
        };
        event.direction = match (doing.kind, call.call) {
            (EventKind::Pass, Syscall::RingMsgRing) => Some(Direction::Out),
            (EventKind::Pass, _) => Some(Direction::In),
            _ => None,
        };
        if !doing.done() {
            event.socket_kind = asked_kind(call);
            return;
        }
        let filled = self.fill_results(doing);
        event.nonblock = nonblock(call);
        event.cloexec = call.results.first().filter(|slot| slot.file.is_some()).map(|slot| slot.cloexec);
        if call.call.class() == Class::PAIR {
            event.fds = call.results.iter().map(|slot| slot.fd).collect();
        } else if call.call.class() == Class::GETSOCKOPT || call.call == Syscall::IoUringSetup {
            // A ring may have no number: the call then returns something else.
            event.new_fd = call.results.first().map(|slot| slot.fd);
        } else {
            event.new_fd = call.ret.and_then(|ret| i32::try_from(ret).ok());
        }
        match filled.first() {
            Some(id) => self.show_file(event, *id),
            None => Self::show_results(doing, event),
        }
    }

    /// Describes the results of a call whose table has ended.
    pub(crate) fn show_results(doing: &Doing<'_>, event: &mut Event) {
        let slot = doing.call.results.first();
        if let Some((slot, file)) = slot.and_then(|slot| Some((slot, slot.file?))) {
            event.file_kind = Some(kinds::made_by(doing.call.call, doing.kind, &file, &slot.name));
            event.ino = Some(file.ino);
        }
    }

    /// Fills the slots that a call says it filled.
    pub(crate) fn fill_results(&mut self, doing: &Doing<'_>) -> Vec<DescriptorId> {
        let Some(table) = doing.results else { return Vec::new() };
        let mut socks = doing.call.socks.iter();
        let mut filled = Vec::new();
        for (place, slot) in doing.call.results.iter().enumerate() {
            let Some(file) = slot.file else { continue };
            let access = kinds::access(doing.call, place);
            let content = Content { access, ..self.content(doing, slot, file, &mut socks) };
            filled.extend(self.world.fill((table, slot.fd), content, (doing.ts, Opened::By(doing.kind))));
        }
        filled
    }

    /// What a call put in a slot. A file that another descriptor points to is known already.
    fn content(
        &mut self,
        doing: &Doing<'_>,
        slot: &Slot,
        file: FileRef,
        socks: &mut std::slice::Iter<'_, Sock>,
    ) -> Content {
        let known = self.world.tables.file(&file).map(|open| (open.kind, open.name.clone(), open.socket));
        let (kind, name, mut socket) = known.unwrap_or_else(|| {
            let kind = kinds::made_by(doing.call.call, doing.kind, &file, &slot.name);
            let path = doing.call.path.as_ref().filter(|path| !path.is_empty());
            (kind, kinds::shown_name(kind, path.unwrap_or(&slot.name)).to_vec(), None)
        });
        if kind == FileKind::Socket
            && let Some(sock) = socks.next().filter(|sock| sock.sk != 0)
        {
            let phase = match doing.kind {
                EventKind::Socket => Phase::Created,
                EventKind::Socketpair => Phase::Connected,
                _ => lifecycle::phase_found(sock.state, &sock.local),
            };
            let id = self.see(sock, file.ino, (doing.ts, phase));
            self.read_options(id, None, Some(slot.nonblock), doing.ts);
            socket = Some(id);
        }
        Content { file, kind, name, access: None, cloexec: slot.cloexec, socket }
    }

    /// Linux empties the slot whatever `close` returns, apart from `EBADF` (close(2), "Dealing with error returns").
    fn on_close(&mut self, doing: &Doing<'_>, event: &mut Event) {
        event.fd = Some(number(doing.call.args[0]));
        let Some(((table, fd), file)) = doing.subject() else { return };
        if event.error == Some(EBADF) || doing.call.request.is_some() && uring::stays(doing.call) {
            return;
        }
        if !doing.again {
            let how = if doing.call.request.is_some_and(|request| request.unconfirmed) {
                Closed::Unconfirmed
            } else {
                Closed::Close
            };
            self.world.empty((table, fd), &file, doing.began(), how);
            self.world.note_emptied(table, fd, file.file, doing.ts);
            if how == Closed::Unconfirmed {
                self.await_close(doing);
            }
        }
        if let Some(id) = self.world.tables.find(table, fd, &file).map(|kept| kept.descriptor.id) {
            self.show_file(event, id);
        } else {
            self.close_unread(doing, &file, event);
        }
        event.closed_first = self.closed_first(event);
    }

    /// The close of a descriptor that was never read: what is known is the file, and perhaps the socket.
    fn close_unread(&mut self, doing: &Doing<'_>, file: &FileRef, event: &mut Event) {
        let name = doing.call.subject.as_ref().map_or(&[][..], |slot| &slot.name);
        event.file_kind = Some(kinds::by_name(file, name));
        event.ino = Some(file.ino);
        let sock = doing.call.socks.first().filter(|sock| sock.sk != 0);
        if let Some(id) = sock.and_then(|sock| self.world.sockets.find(sock, file.ino)) {
            self.world.sockets.settle(id, doing.began(), &mut self.world.revisions);
            self.show_socket(event, id);
        }
    }

    /// What another thread opened while the call ran was closed only if the call came to its number later: `left` tells what
    /// the call left of a table that is shared.
    fn on_close_range(&mut self, doing: &Doing<'_>, left: Option<Vec<Held>>, event: &mut Event) {
        let [first, last, flags, _] = doing.call.args;
        let first = i32::try_from(first).unwrap_or(i32::MAX);
        let last = i32::try_from(last).unwrap_or(i32::MAX);
        if doing.kind == EventKind::Setfd {
            event.cloexec = Some(true);
        }
        let Some(table) = doing.table.filter(|_| doing.done()) else { return };
        let closes = flags & kinds::CLOSE_RANGE_CLOEXEC == 0;
        let began = doing.began();
        let left: Option<HashMap<i32, Held>> =
            left.map(|left| left.into_iter().map(|held| (held.fd, held)).collect());
        let stays = |fd: i32, file: u64| {
            let held = left.as_ref()?.get(&fd).copied();
            Some(held.is_some_and(|held| held.file == file && (closes || !held.cloexec)))
        };
        for id in self.world.tables.open(table, first, last) {
            let Some(kept) = self.world.tables.get(id) else { continue };
            let descriptor = &kept.descriptor;
            let beside = descriptor.opened > began && descriptor.opened_by != Opened::Inherited;
            if beside && stays(descriptor.fd, kept.address).unwrap_or(true) {
                continue;
            }
            event.fds.push(descriptor.fd);
            if closes {
                self.world.end(id, began, Closed::Close);
            } else {
                self.set_cloexec(id, true, doing.ts);
            }
        }
        if closes {
            for id in self.world.tables.displaced_in(table, first, last) {
                self.world.tables.correct(id, began, Closed::Close, &mut self.world.revisions);
            }
            let emptied = |held: &Held| !stays(held.fd, held.file).unwrap_or(false);
            self.world.empty_awaited(table, (first, last), emptied);
            self.world.note_swept(table, (first, last), false, doing.ts);
        } else {
            self.world.set_awaited_cloexec(table, (first, last));
        }
    }

    fn set_cloexec(&mut self, id: DescriptorId, cloexec: bool, ts: BootNs) {
        self.world.tables.change(id, &mut self.world.revisions, |kept| {
            kept.descriptor.cloexec = cloexec;
            kept.cloexec_at = ts;
        });
    }

    /// `dup2` and `dup3` replace a slot; to the same number, `dup2` does nothing (dup(2)).
    fn on_dup2(&mut self, doing: &Doing<'_>, event: &mut Event) {
        let [old, new, ..] = doing.call.args;
        if doing.done() && old != new {
            let result = doing.call.results.first().and_then(|slot| slot.file);
            if let Some((place, file)) = doing.subject()
                && result != Some(file)
            {
                self.world.empty(place, &file, doing.began(), Closed::Replaced);
                self.world.note_emptied(place.0, place.1, file.file, doing.ts);
            }
            self.on_fill(doing, event);
        }
        event.fd = Some(number(old));
        event.new_fd = doing.call.ret.and_then(|ret| i32::try_from(ret).ok()).filter(|new| *new >= 0);
    }

    /// Close-on-exec of a slot was set or cleared; the slot was read again after the call.
    fn on_setfd(&mut self, doing: &Doing<'_>, event: &mut Event) {
        event.fd = Some(number(doing.call.args[0]));
        let result = doing.call.results.first().and_then(|slot| Some((slot, slot.file?)));
        let Some((slot, file)) = result.filter(|_| doing.done()) else { return };
        event.cloexec = Some(slot.cloexec);
        let found = doing.table.and_then(|table| self.world.tables.slot(table, slot.fd));
        if let Some(id) = found.filter(|kept| kept.holds(&file)).map(|kept| kept.descriptor.id) {
            self.set_cloexec(id, slot.cloexec, doing.ts);
            self.show_file(event, id);
        }
    }
}
