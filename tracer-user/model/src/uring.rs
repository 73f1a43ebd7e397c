//! Operations of io_urings: what differs from a system call. A ring's file table is a descriptor table like any other, its
//! entries have an index in place of a number.

use crate::{
    entity::{Closed, Descriptor, Opened},
    event::{Event, EventKind, Via},
    ids::{BootNs, SocketId, TableId},
    input::{Call, FileRef, ListPart, Request, RingPart, Slot, Sock},
    kinds, lifecycle,
    session::Session,
    tables::Content,
    tell::Stamp,
    world::World,
};
use foldhash::HashMap;
use std::collections::BTreeSet;
use tracer_abi::Class;

/// Rings that are known, by kernel address.
#[derive(Debug, Default)]
pub(crate) struct Rings(HashMap<u64, Ring>);

/// An io_uring.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Its file table.
    table: TableId,
    /// The table of the process that uses it, and the number that it has there.
    user: TableId,
    pub(crate) fd: Option<i32>,
    /// The ring's own open file: the ring ends with its last descriptor.
    file: Option<FileRef>,
    /// When the list that is being read began, and the entries that are in it.
    listed: Option<(BootNs, BTreeSet<i32>)>,
}

impl Rings {
    /// The ring that has that file table.
    pub(crate) fn at(&self, table: TableId) -> Option<&Ring> {
        self.0.values().find(|ring| ring.table == table)
    }

    /// Numbers and file tables of the rings that the processes of a table use, by number.
    pub(crate) fn of(&self, user: TableId) -> impl Iterator<Item = (Option<i32>, TableId)> + use<> {
        let mut rings: Vec<_> =
            self.0.values().filter(|ring| ring.user == user).map(|ring| (ring.fd, ring.table)).collect();
        rings.sort_unstable();
        rings.into_iter()
    }
}

/// Whether a close leaves the descriptor as it is: a ring cannot be closed by an operation (`io_close`,
/// io_uring/openclose.c), and one that failed in a chain was not tried (`io_fail_links`, io_uring/timeout.c).
pub(crate) fn stays(call: &Call) -> bool {
    call.ret.is_some_and(|ret| ret < 0)
        || call.subject.as_ref().is_some_and(|slot| slot.name.starts_with(b"[io_uring]"))
}

impl World {
    /// The file table of the ring at that kernel address.
    fn ring_table(&mut self, ring: u64, user: TableId) -> TableId {
        if let Some(known) = self.rings.0.get(&ring) {
            return known.table;
        }
        let table = self.tables.add(ring);
        self.tables.join(table);
        self.rings.0.insert(ring, Ring { table, user, fd: None, file: None, listed: None });
        table
    }

    /// A descriptor of a ring ended: rings without one are gone, and what their file tables held with them.
    pub(crate) fn end_rings(&mut self, ts: BootNs, how: Closed) {
        let gone = |ring: &Ring| ring.file.is_some_and(|file| self.tables.file(&file).is_none());
        let mut ended: Vec<(u64, TableId)> =
            self.rings.0.iter().filter(|(_, ring)| gone(ring)).map(|(at, ring)| (*at, ring.table)).collect();
        ended.sort_unstable();
        for (address, table) in ended {
            self.rings.0.remove(&address);
            self.leave(table, ts, how);
        }
    }
}

impl Session {
    /// Whether a completion that does not name its request is another operation's: what an accept makes was not there
    /// before. `results` is the table of what it made.
    pub(crate) fn is_others(&self, call: &Call, results: Option<TableId>) -> bool {
        let by_mark = call.request.is_some_and(|request| request.by_mark);
        let result = call.results.first().and_then(|slot| Some((slot.fd, slot.file?)));
        let (true, Class::ACCEPT, Some((fd, file)), Some(table)) =
            (by_mark, call.call.class(), result, results)
        else {
            return false;
        };
        self.world.tables.slot(table, fd).is_some_and(|kept| kept.holds(&file))
    }

    /// The table of a call's descriptor arguments and that of what it makes, where `table` is the caller's.
    pub(crate) fn tables_of(
        &mut self,
        call: &Call,
        table: Option<TableId>,
    ) -> (Option<TableId>, Option<TableId>) {
        let (Some(request), Some(own)) = (call.request, table) else { return (table, table) };
        let mut choose =
            |direct: bool, ring| Some(if direct { self.world.ring_table(ring, own) } else { own });
        let subject = choose(request.subject_direct, request.ring);
        (subject, choose(request.result_direct, request.target.unwrap_or(request.ring)))
    }

    /// Describes the request of an operation; entries of a ring's file table have no number.
    pub(crate) fn show_request(&self, call: &Call, request: &Request, event: &mut Event) {
        event.fd = event.fd.filter(|fd| *fd >= 0);
        event.dur_ns = event.dur_ns.filter(|_| !request.unconfirmed);
        event.ring = self.world.rings.0.get(&request.ring).and_then(|ring| ring.fd);
        event.unconfirmed = request.unconfirmed;
        event.doubtful = request.doubtful;
        if request.subject_direct {
            event.direct = event.fd.take();
        }
        if request.result_direct {
            event.new_fd = None;
            event.directs = std::mem::take(&mut event.fds);
            if event.directs.is_empty() {
                event.new_direct = call.results.first().map(|slot| slot.fd);
            }
        }
        if let Some(target) = request.target.filter(|target| *target != request.ring) {
            event.new_ring = self.world.rings.0.get(&target).and_then(|ring| ring.fd);
        }
    }

    /// A part of the list of a ring's file table.
    pub(crate) fn ring_part(&mut self, stamp: &Stamp, part: &RingPart) {
        let process = part.task.process;
        self.succeed(stamp, process);
        let Some(user) = self.world.table_of(&part.task, stamp.ts) else { return };
        let table = self.world.ring_table(part.ring, user);
        let Some(ring) = self.world.rings.0.get_mut(&part.ring) else { return };
        match &part.part {
            ListPart::Begins(slot) => {
                if let Some((slot, file)) = slot.as_ref().and_then(|slot| Some((slot, slot.file?))) {
                    (ring.user, ring.fd, ring.file) = (user, Some(slot.fd), Some(file));
                }
                ring.listed = Some((stamp.ts, BTreeSet::new()));
            }
            ListPart::Entry(slot, sock) => {
                if let Some((_, listed)) = &mut ring.listed {
                    listed.insert(slot.fd);
                }
                self.ring_entry(stamp, part, (table, slot), sock.as_ref());
            }
            ListPart::Ends => {
                let Some((began, listed)) = ring.listed.take() else { return };
                self.confirm(stamp, began, |read| read == table);
                for id in self.world.tables.open(table, 0, i32::MAX) {
                    let missed = self.world.tables.get(id).is_some_and(|kept| {
                        kept.descriptor.opened < began && !listed.contains(&kept.descriptor.fd)
                    });
                    if missed {
                        self.world.end(id, stamp.ts, Closed::Close);
                        self.tell_end(stamp, process, id, Via::IoUring);
                    }
                }
            }
        }
    }

    /// An entry of a ring's file table is filled; told where that was not known.
    fn ring_entry(
        &mut self,
        stamp: &Stamp,
        part: &RingPart,
        (table, slot): (TableId, &Slot),
        sock: Option<&Sock>,
    ) {
        let Some(file) = slot.file else { return };
        let read = sock.filter(|sock| sock.sk != 0);
        if self.world.tables.slot(table, slot.fd).is_some_and(|kept| kept.holds(&file)) {
            if let Some(sock) = read {
                self.see_found(sock, file, stamp.ts);
            }
            return;
        }
        let known = self.world.tables.file(&file).map(|open| (open.kind, open.name.clone(), open.socket));
        let (kind, name, mut socket) = known.unwrap_or_else(|| {
            let kind = kinds::by_name(&file, &slot.name);
            (kind, kinds::shown_name(kind, &slot.name).to_vec(), None)
        });
        if let (None, Some(sock)) = (socket, read) {
            socket = Some(self.see_found(sock, file, stamp.ts));
        }
        let (how, told) = if part.found {
            (Opened::Snapshot, (EventKind::Snapshot, Via::Snapshot))
        } else {
            (Opened::By(EventKind::Register), (EventKind::Register, Via::IoUring))
        };
        let content = Content { file, kind, name, access: None, cloexec: false, socket };
        if let Some(id) = self.world.fill((table, slot.fd), content, (stamp.ts, how)) {
            self.tell_slot(stamp, part.task.process, id, told, None);
        }
    }

    fn see_found(&mut self, sock: &Sock, file: FileRef, ts: BootNs) -> SocketId {
        self.see(sock, file.ino, (ts, lifecycle::phase_found(sock.state, &sock.local)))
    }

    /// Says which slot a descriptor is in: a number of a process's table, or an entry of a ring's.
    pub(crate) fn show_place(&self, event: &mut Event, descriptor: &Descriptor) {
        match self.world.rings.at(descriptor.table) {
            Some(ring) => (event.ring, event.direct) = (ring.fd, Some(descriptor.fd)),
            None => event.fd = Some(descriptor.fd),
        }
    }
}
