//! Snapshots against the model: what the rows add, what they miss, and what happened since they were read.
//!
//! Rows are kept until the snapshot's end, so that listeners are known before the connections that came from them are
//! told. What a live event has changed since a row was read wins over the row.

use crate::{
    emptied::Emptied,
    entity::{Access, NeverRead, Opened, Phase, Step},
    event::{EventKind, Via},
    ids::{BootNs, DescriptorId, ProcessKey, SocketId, TableId},
    input::{FileRef, LossCause, Lost, Reason, Row, Task},
    kinds, lifecycle,
    names::state,
    session::Session,
    tables::Content,
    tell::Stamp,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Rows of one snapshot that are kept; more are lost, and counted so.
const ROWS: usize = 4_000_000;
/// A snapshot whose end has not come.
#[derive(Debug)]
pub(crate) struct Open {
    begin: BootNs,
    rows: Vec<(BootNs, Row)>,
    beyond: u64,
}

/// A row's outcome: what is told of it.
struct Told {
    stamp: Stamp,
    process: ProcessKey,
    id: DescriptorId,
    repair: bool,
    path: Vec<u8>,
}

/// What one snapshot came to.
#[derive(Default)]
pub(crate) struct Outcome {
    told: Vec<Told>,
    pub(crate) differences: BTreeMap<ProcessKey, u64>,
    /// Sockets that were first seen in it.
    fresh: Vec<SocketId>,
    /// Slots that have a row.
    pub(crate) seen: BTreeSet<(TableId, i32)>,
    /// Processes that have rows or inherited what they tell, and tables that have rows.
    pub(crate) processes: BTreeSet<ProcessKey>,
    pub(crate) tables: BTreeSet<TableId>,
    /// A moment before it began.
    before: BootNs,
    /// It is a row alone: a slot that is followed from here on, in a table that is not followed as a whole.
    alone: bool,
}

impl Session {
    /// A snapshot begins. One that is open already goes on, with the rows that it has.
    pub(crate) fn snapshot_begin(&mut self, ts: BootNs) {
        if self.open.is_none() {
            self.open = Some(Open { begin: ts, rows: Vec::new(), beyond: 0 });
            self.world.emptied = Some(Emptied::default());
        }
    }

    /// A row of a snapshot waits for its end; one alone tells a slot that is followed from here on.
    pub(crate) fn row(&mut self, stamp: &Stamp, row: &Row) {
        match &mut self.open {
            Some(open) if open.rows.len() < ROWS => open.rows.push((stamp.ts, row.clone())),
            Some(open) => open.beyond += 1,
            None => self.row_alone(stamp, row),
        }
    }

    fn row_alone(&mut self, stamp: &Stamp, row: &Row) {
        let before = BootNs(stamp.ts.0.saturating_sub(1));
        let mut outcome = Outcome { before, alone: true, ..Outcome::default() };
        self.take_row(stamp, row, Some(row.files), &mut outcome);
        for told in std::mem::take(&mut outcome.told) {
            self.tell_row(told);
        }
        self.trust_slot(row.process);
    }

    /// A snapshot ends.
    pub(crate) fn snapshot_end(&mut self, stamp: &Stamp, reason: Reason) {
        let Some(mut open) = self.open.take() else { return };
        self.tables_read = Some(open.begin);
        if reason.repairs() {
            // Between begin and end lies the time at which rows are judged; they were written by the last one's.
            let written = open.rows.iter().map(|(ts, _)| ts.0).max().unwrap_or(open.begin.0);
            let took = written.saturating_sub(open.begin.0);
            self.checks = (self.checks.0 + 1, self.checks.1.saturating_add(took));
        }
        open.rows.sort_by_key(|(ts, row)| (row.process, row.files, row.slot.fd, *ts));
        let mut outcome = Outcome { before: BootNs(open.begin.0.saturating_sub(1)), ..Outcome::default() };
        let mains = self.main_tables(&open.rows);
        for (ts, row) in &open.rows {
            let stamp = Stamp { ts: *ts, ..*stamp };
            self.take_row(&stamp, row, mains.get(&row.process).copied(), &mut outcome);
        }
        self.read_heirs(&mut outcome);
        self.link_found(&outcome.fresh);
        for told in std::mem::take(&mut outcome.told) {
            self.tell_row(told);
        }
        self.confirm(stamp, open.begin, |table| outcome.tables.contains(&table));
        self.miss(stamp, reason, open.begin, &outcome);
        self.stand(stamp, reason, open.begin, &outcome);
        self.world.emptied = None;
        if open.beyond > 0 {
            self.lost(stamp, Lost { count: open.beyond, cause: LossCause::MapFull, cpu: None });
        }
    }

    /// Kernel address of each process's own table: threads with a table of their own have rows too. It is the one that
    /// is known, otherwise the one with the lowest address, so that the choice is the same on every replay.
    fn main_tables(&self, rows: &[(BootNs, Row)]) -> HashMap<ProcessKey, u64> {
        let mut mains = HashMap::new();
        for (_, row) in rows {
            let known =
                self.world.process(row.process).map(|process| self.world.tables.address(process.table));
            if known == Some(row.files) {
                mains.insert(row.process, row.files);
            } else {
                mains.entry(row.process).or_insert(row.files);
            }
        }
        mains
    }

    fn take_row(&mut self, stamp: &Stamp, row: &Row, main: Option<u64>, outcome: &mut Outcome) {
        let key = row.process;
        let newer = self.world.processes.latest(key.pid).is_some_and(|latest| latest.start_ns > key.start_ns);
        let over = self.world.process(key).is_some_and(|process| {
            process.ended.is_some_and(|ended| process.status.is_some() || ended >= stamp.ts)
        });
        let outdated = self.world.processes.get(key).is_some_and(|kept| {
            kept.moved >= stamp.ts
                && kept.moved != BootNs(0)
                && kept.tables().all(|table| self.world.tables.address(table) != row.files)
        });
        if newer || over || outdated {
            return;
        }
        self.succeed(stamp, key);
        let tid = if main == Some(row.files) { key.pid } else { u32::MAX };
        let task = Task { process: key, tid, files: row.files };
        // A table that is new to the model is a copy of the known one, made before the rows were read.
        self.world.ensure(&Task { tid: 0, ..task }, stamp.ts);
        let Some(table) = self.world.table_of(&task, outcome.before) else { return };
        outcome.tables.insert(table);
        self.introduce(row);
        outcome.processes.insert(key);
        let fd = row.slot.fd;
        outcome.seen.insert((table, fd));
        let Some(file) = row.slot.file else { return };
        if self.world.was_emptied(table, fd, (file.file, row.slot.cloexec), stamp.ts) {
            return;
        }
        let known = !outcome.alone && self.world.processes.get(key).is_some_and(|kept| kept.known);
        let current = self.world.tables.slot(table, fd);
        let current = current
            .map(|kept| (kept.descriptor.id, kept.holds(&file), kept.descriptor.opened.max(kept.cloexec_at)));
        let content = match current {
            Some((_, false, changed)) if changed >= stamp.ts => return,
            _ => self.found(row, file, stamp.ts, &mut outcome.fresh),
        };
        if let Some((id, true, changed)) = current {
            if self.complete(id, content, changed < stamp.ts) && known {
                *outcome.differences.entry(key).or_default() += 1;
                let path = row.slot.name.clone();
                outcome.told.push(Told { stamp: *stamp, process: key, id, repair: true, path });
            }
            return;
        }
        let by = if known { Opened::Repair } else { Opened::Snapshot };
        if known {
            *outcome.differences.entry(key).or_default() += 1;
        }
        if let Some(id) = self.world.fill((table, fd), content, (stamp.ts, by)) {
            let told = Told { stamp: *stamp, process: key, id, repair: known, path: row.slot.name.clone() };
            outcome.told.push(told);
        }
    }

    /// What a row tells of its process.
    fn introduce(&mut self, row: &Row) {
        let Some(process) = self.world.process(row.process) else { return };
        let comm = String::from_utf8_lossy(&row.comm);
        let place = Some(self.world.cgroups.name(&row.place));
        let news = process.comm != comm
            || process.parent != Some(row.parent)
            || process.fd_limit != Some(row.fd_limit)
            || process.place != place;
        if news {
            self.world.processes.change(row.process, &mut self.world.revisions, |kept| {
                kept.process.place = place;
                kept.process.comm = comm.into_owned();
                kept.process.parent = Some(row.parent);
                kept.process.fd_limit = Some(row.fd_limit);
            });
        }
    }

    /// What a row says that a slot holds.
    fn found(&mut self, row: &Row, file: FileRef, ts: BootNs, fresh: &mut Vec<SocketId>) -> Content {
        let open = self.world.tables.file(&file).map(|open| (open.kind, open.socket));
        let kind = open.map_or_else(|| kinds::by_link(&file, &row.slot.name), |(kind, _)| kind);
        let mut socket = open.and_then(|(_, socket)| socket);
        if let Some(sock) = row.sock.as_ref().filter(|sock| sock.sk != 0) {
            let unseen = self.world.sockets.find(sock, file.ino).is_none();
            let id = self.see(sock, file.ino, (ts, lifecycle::phase_found(sock.state, &sock.local)));
            if unseen {
                fresh.push(id);
            } else {
                self.heal_state(id, sock.state, ts);
            }
            self.read_options(id, Some(sock.options), Some(row.slot.nonblock), ts);
            if let Some(tcp) = row.tcp {
                self.world.sockets.change(id, &mut self.world.revisions, |kept| {
                    if kept.socket.tcp.is_none_or(|(_, read)| read <= ts) {
                        kept.socket.tcp = Some((tcp, ts));
                        let before = kept.socket.never_read.map_or(ts, |before| before.since);
                        let waiting = u64::from(row.unread);
                        kept.socket.never_read = (waiting > 0 && waiting >= tcp.received)
                            .then_some(NeverRead { since: before, read: ts, waiting });
                    }
                });
            }
            socket = Some(id);
        }
        let name = kinds::shown_name(kind, &row.slot.name).to_vec();
        let access = Access::from_flags(row.open_flags);
        Content { file, kind, name, access, cloexec: row.slot.cloexec, socket }
    }

    /// A state that the kernel's own telling of it was lost for.
    fn heal_state(&mut self, id: SocketId, to: u16, ts: BootNs) {
        let Some(kept) = self.world.sockets.get(id) else { return };
        let last = kept.socket.steps.last();
        let stale = last.is_some_and(|step| step.ts < ts && step.state.is_some_and(|state| state != to));
        if let Some(phase) = lifecycle::phase_of(to, false, true)
            && stale
            && lifecycle::tells_states(kept.socket.kind)
        {
            let step = Step { ts, phase, state: Some(to), error: None, peer: None };
            self.world.sockets.step(id, step, &mut self.world.revisions);
        }
    }

    /// Takes from a row what is better known there than from the call: the whole path, and close-on-exec where
    /// nothing has changed it since. Returns whether the model was wrong.
    fn complete(&mut self, id: DescriptorId, content: Content, newer: bool) -> bool {
        let Some(kept) = self.world.tables.get(id) else { return false };
        let wrong = newer && kept.descriptor.cloexec != content.cloexec;
        let name = !content.name.is_empty() && kept.descriptor.name != content.name;
        let socket = content.socket.filter(|_| kept.descriptor.socket.is_none());
        let access = content.access.filter(|_| kept.descriptor.access.is_none());
        if wrong || name || socket.is_some() || access.is_some() {
            self.world.tables.change(id, &mut self.world.revisions, |kept| {
                if wrong {
                    kept.descriptor.cloexec = content.cloexec;
                }
                if name {
                    kept.descriptor.name = content.name;
                }
                kept.descriptor.socket = kept.descriptor.socket.or(socket);
                kept.descriptor.access = kept.descriptor.access.or(access);
            });
        }
        if let Some(socket) = socket {
            self.world.sockets.hold(socket, &mut self.world.revisions);
        }
        wrong
    }

    /// Children that were forked before their parent's table was read, and have no rows of their own: what is found
    /// in the parent's table was inherited. A child is always seen after its parent.
    fn read_heirs(&mut self, outcome: &mut Outcome) {
        let mut found: HashMap<ProcessKey, Vec<DescriptorId>> = HashMap::new();
        for told in &outcome.told {
            found.entry(told.process).or_default().push(told.id);
        }
        let unread: Vec<_> = self
            .world
            .processes
            .iter()
            .filter(|kept| !kept.known && kept.process.ended.is_none())
            .filter_map(|kept| Some((kept.process.key, kept.process.parent?)))
            .collect();
        for (child, parent) in unread {
            let parent = self.world.processes.latest(parent);
            let read = parent.is_some_and(|key| outcome.processes.contains(&key));
            if !read || outcome.processes.contains(&child) {
                continue;
            }
            let parents = parent.and_then(|key| found.get(&key)).cloned().unwrap_or_default();
            found.insert(child, self.inherit_found(child, &parents));
            outcome.processes.insert(child);
        }
    }

    /// Finds the listener of connections whose accept was not seen: by the address that an accept gave before its
    /// listener was read, or, marked as inferred, where only one listener fits.
    fn link_found(&mut self, fresh: &[SocketId]) {
        let told: Vec<_> = self
            .world
            .sockets
            .iter()
            .filter(|kept| kept.came_from != 0 && kept.socket.listener.is_none())
            .filter_map(|kept| Some((kept.socket.id, self.world.sockets.at(kept.came_from)?)))
            .collect();
        for (child, listener) in told {
            self.world.sockets.link(child, listener, false, &mut self.world.revisions);
        }
        let listeners: Vec<_> = self
            .world
            .sockets
            .iter()
            .filter(|kept| kept.state == state::LISTEN && kept.socket.ended.is_none())
            .map(|kept| kept.socket.id)
            .collect();
        for child in fresh {
            let connected = self.world.sockets.get(*child).is_some_and(|kept| {
                kept.socket.listener.is_none()
                    && matches!(
                        lifecycle::phase(&kept.socket),
                        Phase::Connected | Phase::HalfClosed | Phase::Closing
                    )
            });
            if connected && let Some(listener) = self.world.sockets.infer_listener(*child, &listeners) {
                self.world.sockets.link(*child, listener, true, &mut self.world.revisions);
            }
        }
    }

    fn tell_row(&mut self, told: Told) {
        let (kind, via) =
            if told.repair { (EventKind::Repair, Via::Repair) } else { (EventKind::Snapshot, Via::Snapshot) };
        self.tell_slot(&told.stamp, told.process, told.id, (kind, via), Some(told.path));
    }
}
