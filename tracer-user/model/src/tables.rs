//! Descriptor tables, the descriptors in them and the open files that these point to.

use crate::{
    entity::{Access, Closed, Descriptor, Opened},
    event::FileKind,
    ids::{BootNs, DescriptorId, FileId, SocketId, TableId},
    input::FileRef,
    revisions::{Entity, Revisions},
    store::Store,
};
use foldhash::HashMap;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Open files that are remembered after their last descriptor was closed.
const GHOSTS: usize = 8192;

/// Displaced descriptors whose close is still awaited; the oldest go first beyond.
const AWAITED: usize = 4096;

/// How many descriptors of one slot are looked at, newest first, to find the one that a call emptied.
const LOOK_BACK: usize = 16;

/// A descriptor and what only the model needs to know of it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) descriptor: Descriptor,
    /// Kernel address of its open file.
    pub(crate) address: u64,
    /// When close-on-exec was last told.
    pub(crate) cloexec_at: BootNs,
    /// It is the last file that had that address, as far as is known; its own end was told before.
    pub(crate) presumed: bool,
}

/// What a slot is filled with.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) file: FileRef,
    pub(crate) kind: FileKind,
    pub(crate) name: Vec<u8>,
    /// `None` where the open file is known or this is not.
    pub(crate) access: Option<Access>,
    pub(crate) cloexec: bool,
    pub(crate) socket: Option<SocketId>,
}

/// An open file description that a descriptor points to.
#[derive(Debug)]
pub(crate) struct OpenFile {
    id: FileId,
    ino: u64,
    dev: u32,
    descriptors: u32,
    pub(crate) kind: FileKind,
    pub(crate) name: Vec<u8>,
    access: Option<Access>,
    pub(crate) socket: Option<SocketId>,
}

#[derive(Debug, Default)]
struct Table {
    /// Kernel address; 0 while it is unknown.
    address: u64,
    /// Living processes that use it.
    users: u32,
    /// Tasks that still have it, as far as the ends of threads have told since the last one joined.
    remaining: Option<u32>,
    slots: BTreeMap<i32, DescriptorId>,
}

/// Every table in use and every kept descriptor.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    in_use: HashMap<TableId, Table>,
    by_address: HashMap<u64, TableId>,
    kept: Store<DescriptorId, Kept>,
    /// Every kept descriptor by table and number: what a table held at any instant.
    by_slot: BTreeSet<(TableId, i32, DescriptorId)>,
    /// Open files by kernel address, while a descriptor points to them.
    files: HashMap<u64, OpenFile>,
    /// Open files that no descriptor points to any more, oldest first: a copy of a table that was made before the last of
    /// them was closed may hold one.
    ghosts: VecDeque<(u64, OpenFile)>,
    /// Descriptors that hold such a file.
    presumed: BTreeSet<(u64, DescriptorId)>,
    closed: VecDeque<DescriptorId>,
    /// The newest close of those that are not kept any more.
    evicted_until: Option<BootNs>,
    /// Descriptors whose slot was found with another file before their close was told.
    displaced: BTreeMap<(TableId, i32, u64), DescriptorId>,
    displaced_order: VecDeque<(TableId, i32, u64)>,
    next_table: u32,
    next_descriptor: u32,
    next_file: u32,
}

impl Kept {
    /// Whether it points to that open file.
    pub(crate) fn holds(&self, file: &FileRef) -> bool {
        self.address == file.file && self.descriptor.ino == file.ino && self.descriptor.dev == file.dev
    }
}

fn is_open(descriptor: &Descriptor, at: BootNs) -> bool {
    descriptor.opened <= at && descriptor.closed.is_none_or(|(closed, _)| at < closed)
}

impl Tables {
    /// A new table; an `address` of 0 is unknown.
    pub(crate) fn add(&mut self, address: u64) -> TableId {
        self.next_table = self.next_table.wrapping_add(1);
        let id = TableId(self.next_table);
        self.in_use.insert(id, Table::default());
        self.place(id, address);
        id
    }

    /// Tells a table's kernel address.
    pub(crate) fn place(&mut self, table: TableId, address: u64) {
        if let Some(found) = self.in_use.get_mut(&table)
            && address != 0
        {
            found.address = address;
            self.by_address.insert(address, table);
        }
    }

    pub(crate) fn at(&self, address: u64) -> Option<TableId> {
        self.by_address.get(&address).copied()
    }

    /// Whether a process still uses it.
    pub(crate) fn exists(&self, table: TableId) -> bool {
        self.in_use.contains_key(&table)
    }

    /// Kernel address of a table; 0 where it is unknown.
    pub(crate) fn address(&self, table: TableId) -> u64 {
        self.in_use.get(&table).map_or(0, |table| table.address)
    }

    /// How many living processes use a table.
    pub(crate) fn users(&self, table: TableId) -> u32 {
        self.in_use.get(&table).map_or(0, |table| table.users)
    }

    pub(crate) fn join(&mut self, table: TableId) {
        if let Some(table) = self.in_use.get_mut(&table) {
            table.users += 1;
        }
    }

    pub(crate) fn leave(&mut self, table: TableId) {
        if let Some(table) = self.in_use.get_mut(&table) {
            table.users = table.users.saturating_sub(1);
        }
    }

    /// A thread has a table that is not its leader's from now on.
    pub(crate) fn thread_joins(&mut self, table: TableId) {
        if let Some(table) = self.in_use.get_mut(&table) {
            table.remaining = None;
        }
    }

    /// A thread that had a table ends; `users` had it then, itself included. Returns whether nobody has it now: of threads that
    /// end at the same time, each still counts the others.
    pub(crate) fn thread_leaves(&mut self, table: TableId, users: u32) -> bool {
        let Some(table) = self.in_use.get_mut(&table) else { return false };
        let remaining = table.remaining.map_or(users, |remaining| remaining.min(users)).saturating_sub(1);
        table.remaining = Some(remaining);
        remaining == 0
    }

    /// Forgets a table that ended; its address may come back as another table.
    pub(crate) fn forget(&mut self, table: TableId) {
        if let Some(gone) = self.in_use.remove(&table)
            && self.by_address.get(&gone.address) == Some(&table)
        {
            self.by_address.remove(&gone.address);
        }
    }

    /// The descriptor in a slot.
    pub(crate) fn slot(&self, table: TableId, fd: i32) -> Option<&Kept> {
        self.kept.get(self.in_use.get(&table)?.slots.get(&fd)?)
    }

    /// Open descriptors of a table with numbers in `first..=last`, by number.
    pub(crate) fn open(&self, table: TableId, first: i32, last: i32) -> Vec<DescriptorId> {
        let Some(table) = self.in_use.get(&table) else { return Vec::new() };
        if first > last {
            return Vec::new();
        }
        table.slots.range(first..=last).map(|(_, id)| *id).collect()
    }

    /// Every kept descriptor, in the order in which they were first seen.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Descriptor> {
        self.kept.values().map(|kept| &kept.descriptor)
    }

    pub(crate) fn get(&self, id: DescriptorId) -> Option<&Kept> {
        self.kept.get(&id)
    }

    /// Every kept descriptor of a table, by number.
    pub(crate) fn table_ever(&self, table: TableId) -> Vec<&Descriptor> {
        let all = (table, i32::MIN, DescriptorId(0))..=(table, i32::MAX, DescriptorId(u32::MAX));
        let kept = self.by_slot.range(all).filter_map(|(_, _, id)| self.kept.get(id));
        kept.map(|kept| &kept.descriptor).collect()
    }

    /// What a table held at an instant, by number.
    pub(crate) fn table_at(&self, table: TableId, at: BootNs) -> Vec<&Descriptor> {
        self.table_ever(table).into_iter().filter(|found| is_open(found, at)).collect()
    }

    /// What a slot held at an instant.
    pub(crate) fn slot_at(&self, table: TableId, fd: i32, at: BootNs) -> Option<&Descriptor> {
        let slot = (table, fd, DescriptorId(0))..=(table, fd, DescriptorId(u32::MAX));
        let mut kept = self.by_slot.range(slot).filter_map(|(_, _, id)| self.kept.get(id));
        kept.find(|kept| is_open(&kept.descriptor, at)).map(|kept| &kept.descriptor)
    }

    /// The open file, where a descriptor points to it.
    pub(crate) fn file(&self, file: &FileRef) -> Option<&OpenFile> {
        self.files.get(&file.file).filter(|open| open.ino == file.ino && open.dev == file.dev)
    }

    /// Brings back the open file that was last at a kernel address, where no descriptor points to one there. Says whether
    /// it did.
    pub(crate) fn revive(&mut self, address: u64) -> bool {
        if self.files.contains_key(&address) {
            return false;
        }
        let Some(at) = self.ghosts.iter().rposition(|(ghost, _)| *ghost == address) else { return false };
        let Some((_, open)) = self.ghosts.remove(at) else { return false };
        self.files.insert(address, open);
        true
    }

    /// A descriptor holds a file that was brought back.
    pub(crate) fn presume(&mut self, id: DescriptorId) {
        if let Some(kept) = self.kept.get_mut(&id) {
            kept.presumed = true;
            self.presumed.insert((kept.address, id));
        }
    }

    /// Descriptors that hold a file that was brought back, where it is not `file`, which has the address.
    pub(crate) fn presumed_wrongly(&self, file: &FileRef) -> Vec<DescriptorId> {
        let all = (file.file, DescriptorId(0))..=(file.file, DescriptorId(u32::MAX));
        let found = self.presumed.range(all).map(|(_, id)| *id);
        found.filter(|id| self.kept.get(id).is_some_and(|kept| !kept.holds(file))).collect()
    }

    /// What a slot holds that points to the open file at a kernel address, where a descriptor points to it.
    pub(crate) fn content_at(&self, address: u64, cloexec: bool) -> Option<Content> {
        let open = self.files.get(&address)?;
        let file = FileRef { file: address, ino: open.ino, dev: open.dev, mode: 0 };
        let name = open.name.clone();
        Some(Content { file, kind: open.kind, name, access: open.access, cloexec, socket: open.socket })
    }

    /// The first kept descriptor of a slot that a call made at or after that time.
    pub(crate) fn made_since(&self, table: TableId, fd: i32, since: BootNs) -> Option<DescriptorId> {
        let all = (table, fd, DescriptorId(0))..=(table, fd, DescriptorId(u32::MAX));
        let newest = self.by_slot.range(all).rev().filter_map(|(_, _, id)| self.kept.get(id));
        let made = newest.map(|kept| &kept.descriptor).take_while(|found| found.opened >= since);
        made.filter(|found| matches!(found.opened_by, Opened::By(_))).last().map(|found| found.id)
    }

    /// The newest kept descriptor of a slot that points, or pointed, to `file`.
    pub(crate) fn find(&self, table: TableId, fd: i32, file: &FileRef) -> Option<&Kept> {
        let all = (table, fd, DescriptorId(0))..=(table, fd, DescriptorId(u32::MAX));
        let newest = self.by_slot.range(all).rev().take(LOOK_BACK);
        newest.filter_map(|(_, _, id)| self.kept.get(id)).find(|kept| kept.holds(file))
    }

    /// Changes a descriptor; its revision grows.
    pub(crate) fn change(
        &mut self,
        id: DescriptorId,
        revisions: &mut Revisions,
        change: impl FnOnce(&mut Kept),
    ) {
        if let Some(kept) = self.kept.get_mut(&id) {
            revisions.touch(Entity::Descriptor(id), &mut kept.descriptor.rev);
            change(kept);
        }
    }

    /// Puts a new descriptor in a slot that is empty.
    pub(crate) fn fill(
        &mut self,
        (table, fd): (TableId, i32),
        content: Content,
        (opened, opened_by): (BootNs, Opened),
        revisions: &mut Revisions,
    ) -> DescriptorId {
        self.next_descriptor = self.next_descriptor.wrapping_add(1);
        let id = DescriptorId(self.next_descriptor);
        let Content { file, kind, name, access, cloexec, socket } = content;
        let open = OpenFile {
            id: FileId(self.next_file.wrapping_add(1)),
            ino: file.ino,
            dev: file.dev,
            descriptors: 0,
            kind,
            name: name.clone(),
            access,
            socket,
        };
        if self.file(&file).is_none() {
            self.next_file = self.next_file.wrapping_add(1);
            self.files.insert(file.file, open);
        }
        let (file_id, access) = self.files.get_mut(&file.file).map_or((FileId(0), access), |open| {
            open.descriptors += 1;
            open.access = open.access.or(access);
            (open.id, open.access)
        });
        let mut descriptor = Descriptor {
            id,
            table,
            fd,
            file: file_id,
            kind,
            name,
            ino: file.ino,
            dev: file.dev,
            access,
            cloexec,
            opened,
            opened_by,
            closed: None,
            socket,
            stack: None,
            rev: 0,
        };
        revisions.touch(Entity::Descriptor(id), &mut descriptor.rev);
        self.kept.insert(id, Kept { descriptor, address: file.file, cloexec_at: opened, presumed: false });
        self.by_slot.insert((table, fd, id));
        if let Some(table) = self.in_use.get_mut(&table) {
            table.slots.insert(fd, id);
        }
        id
    }

    /// Takes back a descriptor that was never there. Returns the socket that it pointed to.
    pub(crate) fn discard(&mut self, id: DescriptorId, revisions: &mut Revisions) -> Option<SocketId> {
        let kept = self.kept.remove(&id)?;
        let Descriptor { table, fd, file, socket, .. } = kept.descriptor;
        self.by_slot.remove(&(table, fd, id));
        self.vacate(id, (table, fd), (kept.address, file));
        revisions.evict(Entity::Descriptor(id));
        socket
    }

    /// A descriptor is in its slot no longer, and points to its file no longer.
    fn vacate(&mut self, id: DescriptorId, (table, fd): (TableId, i32), (address, file): (u64, FileId)) {
        if let Some(table) = self.in_use.get_mut(&table)
            && table.slots.get(&fd) == Some(&id)
        {
            table.slots.remove(&fd);
        }
        if let Some(open) = self.files.get_mut(&address).filter(|open| open.id == file) {
            open.descriptors = open.descriptors.saturating_sub(1);
            if open.descriptors == 0
                && let Some(open) = self.files.remove(&address)
            {
                if self.ghosts.len() >= GHOSTS {
                    self.ghosts.pop_front();
                }
                self.ghosts.push_back((address, open));
            }
        }
        self.presumed.remove(&(address, id));
    }

    /// Ends an open descriptor; not before it was opened. Returns the socket that it pointed to.
    pub(crate) fn end(
        &mut self,
        id: DescriptorId,
        (at, how): (BootNs, Closed),
        keep: usize,
        revisions: &mut Revisions,
    ) -> Option<SocketId> {
        let kept = self.kept.get_mut(&id).filter(|kept| kept.descriptor.closed.is_none())?;
        revisions.touch(Entity::Descriptor(id), &mut kept.descriptor.rev);
        let descriptor = &mut kept.descriptor;
        descriptor.closed = Some((at.max(descriptor.opened), how));
        let (table, fd, file, socket) = (descriptor.table, descriptor.fd, descriptor.file, descriptor.socket);
        let address = kept.address;
        self.vacate(id, (table, fd), (address, file));
        self.closed.push_back(id);
        while self.closed.len() > keep {
            let Some(oldest) = self.closed.pop_front() else { break };
            if let Some(gone) = self.kept.remove(&oldest) {
                self.evicted_until = self.evicted_until.max(gone.descriptor.closed.map(|(at, _)| at));
                self.by_slot.remove(&(gone.descriptor.table, gone.descriptor.fd, oldest));
                revisions.evict(Entity::Descriptor(oldest));
            }
        }
        socket
    }

    /// Up to when descriptors were closed that are not kept any more; `None`: all are kept.
    pub(crate) fn evicted_until(&self) -> Option<BootNs> {
        self.evicted_until
    }

    /// Remembers a descriptor that was ended before its close was told.
    pub(crate) fn displace(&mut self, id: DescriptorId) {
        let Some(kept) = self.kept.get(&id) else { return };
        let key = (kept.descriptor.table, kept.descriptor.fd, kept.address);
        self.displaced.insert(key, id);
        self.displaced_order.push_back(key);
        if self.displaced_order.len() > AWAITED
            && let Some(oldest) = self.displaced_order.pop_front()
        {
            self.displaced.remove(&oldest);
        }
    }

    /// The displaced descriptor of a slot that pointed to `file`.
    pub(crate) fn displaced(&self, table: TableId, fd: i32, file: &FileRef) -> Option<&Kept> {
        let kept = self.kept.get(self.displaced.get(&(table, fd, file.file))?)?;
        kept.holds(file).then_some(kept)
    }

    /// Displaced descriptors of a table with numbers in `first..=last`.
    pub(crate) fn displaced_in(&self, table: TableId, first: i32, last: i32) -> Vec<DescriptorId> {
        if first > last {
            return Vec::new();
        }
        let range = (table, first, 0)..=(table, last, u64::MAX);
        self.displaced.range(range).map(|(_, id)| *id).collect()
    }

    /// A close that was not confirmed has happened.
    pub(crate) fn confirm(&mut self, id: DescriptorId, revisions: &mut Revisions) {
        self.change(id, revisions, |kept| {
            if let Some((_, how @ Closed::Unconfirmed)) = &mut kept.descriptor.closed {
                *how = Closed::Close;
            }
        });
    }

    /// The close of a displaced descriptor was told: puts its end right.
    pub(crate) fn correct(&mut self, id: DescriptorId, at: BootNs, how: Closed, revisions: &mut Revisions) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        self.displaced.remove(&(kept.descriptor.table, kept.descriptor.fd, kept.address));
        revisions.touch(Entity::Descriptor(id), &mut kept.descriptor.rev);
        kept.descriptor.closed = Some((at.max(kept.descriptor.opened), how));
    }
}
