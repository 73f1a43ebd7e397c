//! Tables that were read as a whole, and files in them that nobody has told of yet.
//!
//! The copy of a table that other tasks change meanwhile may hold a file whose call is told only later: it was put in its
//! slot before the copy was made, and its call returns afterwards. Such a slot waits for that telling. If none comes
//! ([`WAIT_NS`]), its process is doubtful and a snapshot is asked for. Or the copy holds a file whose last descriptor that is
//! known was closed since: that file is presumed, until another is told at its address.

use crate::{
    entity::{Closed, Descriptor, Opened},
    event::{EventKind, Via},
    ids::{BootNs, TableId},
    input::{FileRef, Held, LossCause, Slot, Table},
    kinds,
    session::Session,
    tables::Content,
    tell::Stamp,
    world::World,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How long a file's own telling may be on its way, nanoseconds.
const WAIT_NS: u64 = 1_000_000_000;

/// Tables that were read and whose call has not been told. Beyond, their calls were lost, and the loss was told.
const READ: usize = 1024;

/// Slots that wait for their file to be told; beyond, the table is doubtful at once.
const AWAITED: usize = 65_536;

/// What whole tables told, as far as it is not used yet.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// By the table's kernel address and the thread that the call is of.
    read: HashMap<(u64, u32), Read>,
    awaited: BTreeMap<(TableId, i32), Awaited>,
    by_file: BTreeSet<(u64, TableId, i32)>,
    /// Tables that may hold a file of which nothing will tell.
    doubtful: BTreeSet<TableId>,
}

/// A table as it was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    at: BootNs,
    /// Kernel address of the one that it was made from; 0 where that is not known.
    pub(crate) from: u64,
    pub(crate) held: Vec<Held>,
}

#[derive(Clone, Copy, Debug)]
struct Awaited {
    file: u64,
    cloexec: bool,
    since: BootNs,
}

impl Contents {
    /// Slots of a table; another time begins it anew.
    pub(crate) fn note(&mut self, ts: BootNs, table: &Table) {
        let key = (table.task.files, table.task.tid);
        if self.read.len() >= READ && !self.read.contains_key(&key) {
            self.read.clear();
        }
        let read = self.read.entry(key).or_default();
        if read.at != ts {
            *read = Read { at: ts, from: table.from, held: Vec::new() };
        }
        read.held.extend(&table.slots);
    }

    /// Takes what was read of the table at an address for a thread's call; `None` where it was not.
    pub(crate) fn take(&mut self, address: u64, tid: u32) -> Option<Read> {
        if self.read.is_empty() {
            return None;
        }
        self.read.remove(&(address, tid))
    }

    fn wait(&mut self, table: TableId, held: Held, since: BootNs) {
        self.forget(table, held.fd);
        self.awaited.insert((table, held.fd), Awaited { file: held.file, cloexec: held.cloexec, since });
        self.by_file.insert((held.file, table, held.fd));
    }

    /// A table may hold a file of which nothing will tell.
    pub(crate) fn doubt(&mut self, table: TableId) {
        self.doubtful.insert(table);
    }

    /// A slot does not wait any longer. Returns what it waited for.
    fn forget(&mut self, table: TableId, fd: i32) -> Option<Awaited> {
        let awaited = self.awaited.remove(&(table, fd))?;
        self.by_file.remove(&(awaited.file, table, fd));
        Some(awaited)
    }

    /// Slots of a table that wait, with numbers in `first..=last`.
    fn waiting(&self, table: TableId, (first, last): (i32, i32)) -> Vec<Held> {
        if first > last {
            return Vec::new();
        }
        let found = self.awaited.range((table, first)..=(table, last));
        found.map(|((_, fd), one)| Held { fd: *fd, file: one.file, cloexec: one.cloexec }).collect()
    }
}

impl World {
    /// A table holds just this since `ts`.
    pub(crate) fn set_contents(&mut self, table: TableId, held: &[Held], ts: BootNs) {
        let by_number: BTreeMap<i32, Held> = held.iter().map(|held| (held.fd, *held)).collect();
        for id in self.tables.open(table, i32::MIN, i32::MAX) {
            let Some(kept) = self.tables.get(id) else { continue };
            let found = by_number.get(&kept.descriptor.fd).filter(|held| held.file == kept.address);
            match found {
                None if kept.descriptor.opened == ts && kept.descriptor.opened_by == Opened::Inherited => {
                    self.discard(id);
                }
                None => self.end(id, ts, Closed::Repair),
                Some(held) if held.cloexec != kept.descriptor.cloexec => {
                    self.tables.change(id, &mut self.revisions, |kept| {
                        kept.descriptor.cloexec = held.cloexec;
                        kept.cloexec_at = ts;
                    });
                }
                Some(_) => {}
            }
        }
        for held in by_number.into_values() {
            if self.tables.slot(table, held.fd).is_some() {
                continue;
            }
            // Its last descriptor that is known may have been closed since the copy was made.
            let revived = self.tables.revive(held.file);
            let Some(content) = self.tables.content_at(held.file, held.cloexec) else {
                self.contents.wait(table, held, ts);
                continue;
            };
            let filled = self.fill((table, held.fd), content, (ts, Opened::Inherited));
            if let Some(id) = filled.filter(|_| revived) {
                self.tables.presume(id);
            }
        }
    }

    /// A file is told whose address a presumed one has: that one is gone, and what was presumed is this one.
    pub(crate) fn presume_no_more(&mut self, file: &FileRef) {
        for id in self.tables.presumed_wrongly(file) {
            let Some(kept) = self.tables.get(id) else { continue };
            let Descriptor { table, fd, cloexec, opened, .. } = kept.descriptor;
            self.discard(id);
            self.contents.wait(table, Held { fd, file: file.file, cloexec }, opened);
        }
    }

    /// A slot was filled: it waits no longer, and what waited for its file has it.
    pub(crate) fn settle_awaited(&mut self, table: TableId, fd: i32, file: &FileRef) {
        if self.contents.awaited.is_empty() {
            return;
        }
        self.contents.forget(table, fd);
        let same = (file.file, TableId(0), i32::MIN)..=(file.file, TableId(u32::MAX), i32::MAX);
        let waiting: Vec<_> = self.contents.by_file.range(same).map(|(_, table, fd)| (*table, *fd)).collect();
        for (table, fd) in waiting {
            let Some(one) = self.contents.forget(table, fd) else { continue };
            if self.tables.slot(table, fd).is_none()
                && let Some(content) = self.tables.content_at(file.file, one.cloexec)
            {
                self.fill((table, fd), content, (one.since, Opened::Inherited));
            }
        }
    }

    /// A call names a slot: a file that was waited for is known by it.
    pub(crate) fn meet(&mut self, table: TableId, slot: &Slot) {
        let Some(file) = slot.file else { return };
        self.presume_no_more(&file);
        let waited =
            self.contents.awaited.get(&(table, slot.fd)).filter(|one| one.file == file.file).copied();
        if let Some(waited) = waited {
            let kind = kinds::by_name(&file, &slot.name);
            let name = kinds::shown_name(kind, &slot.name).to_vec();
            let content = Content { file, kind, name, access: None, cloexec: waited.cloexec, socket: None };
            self.fill((table, slot.fd), content, (waited.since, Opened::Inherited));
        }
    }

    /// Of the slots with numbers in a range, some were emptied.
    pub(crate) fn empty_awaited(&mut self, table: TableId, fds: (i32, i32), emptied: impl Fn(&Held) -> bool) {
        for held in self.contents.waiting(table, fds) {
            if emptied(&held) {
                self.contents.forget(table, held.fd);
            }
        }
    }

    /// Close-on-exec was set for slots with numbers in a range.
    pub(crate) fn set_awaited_cloexec(&mut self, table: TableId, fds: (i32, i32)) {
        for held in self.contents.waiting(table, fds) {
            if let Some(one) = self.contents.awaited.get_mut(&(table, held.fd)) {
                one.cloexec = true;
            }
        }
    }

    /// A table's copy waits for the same files.
    pub(crate) fn copy_awaited(&mut self, from: TableId, to: TableId, ts: BootNs) {
        for held in self.contents.waiting(from, (i32::MIN, i32::MAX)) {
            self.contents.wait(to, held, ts);
        }
    }
}

impl Session {
    /// Doubts tables with a file that nobody has told of in time, or will.
    pub(crate) fn doubt_contents(&mut self) {
        if self.world.contents.awaited.is_empty() && self.world.contents.doubtful.is_empty() {
            return;
        }
        let now = self.now;
        let crowded = self.world.contents.awaited.len() > AWAITED;
        let late = |one: &Awaited| crowded || now.0.saturating_sub(one.since.0) >= WAIT_NS;
        let overdue: Vec<(TableId, i32)> = self
            .world
            .contents
            .awaited
            .iter()
            .filter(|(_, one)| late(one))
            .map(|(place, _)| *place)
            .collect();
        let mut tables = std::mem::take(&mut self.world.contents.doubtful);
        for (table, fd) in overdue {
            self.world.contents.forget(table, fd);
            tables.insert(table);
        }
        let mut doubted = BTreeSet::new();
        for table in tables {
            let users = self.world.processes.iter().filter(|kept| kept.tables().any(|own| own == table));
            doubted.extend(users.map(|kept| kept.process.key));
        }
        for process in doubted {
            self.repair_wanted = true;
            let cause = LossCause::UnknownFile;
            self.world
                .processes
                .change(process, &mut self.world.revisions, |kept| kept.doubt(cause.name(), now));
            let stamp = Stamp { ts: now, origin: None, late: false };
            let mut event = self.blank(&stamp, process, EventKind::Lost, Via::Kernel);
            event.cause = Some(cause);
            self.emit(event);
        }
    }
}
