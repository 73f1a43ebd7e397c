//! The entities together: what touches processes, tables and sockets at once.

use crate::{
    cgroups::Cgroups,
    contents::Contents,
    emptied::Emptied,
    entity::{Closed, Opened, Process, Standing},
    event::FileKind,
    ids::{BootNs, DescriptorId, ProcessKey, TableId},
    input::{FileRef, Task},
    processes::Processes,
    revisions::{Entity, Revisions},
    session::Limits,
    sockets::Sockets,
    stacks::Stacks,
    tables::{Content, Tables},
    uring::Rings,
};

/// Tables of single threads that are kept for one process; the oldest are left beyond.
const THREAD_TABLES: usize = 64;

/// All entities.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) limits: Limits,
    pub(crate) processes: Processes,
    pub(crate) tables: Tables,
    pub(crate) sockets: Sockets,
    pub(crate) rings: Rings,
    pub(crate) revisions: Revisions,
    /// What was emptied while a snapshot is open.
    pub(crate) emptied: Option<Emptied>,
    pub(crate) contents: Contents,
    pub(crate) cgroups: Cgroups,
    pub(crate) stacks: Stacks,
}

impl World {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            processes: Processes::default(),
            tables: Tables::default(),
            sockets: Sockets::new(limits.kept_sockets),
            rings: Rings::default(),
            revisions: Revisions::new(limits.kept_events > 0),
            emptied: None,
            contents: Contents::default(),
            cgroups: Cgroups::default(),
            stacks: Stacks::default(),
        }
    }

    /// Keeps the order of changes short.
    pub(crate) fn sweep_changes(&mut self) {
        if self.revisions.is_littered() {
            let mut revisions = std::mem::replace(&mut self.revisions, Revisions::new(false));
            revisions.sweep(|(rev, entity)| self.rev(*entity) == Some(*rev));
            self.revisions = revisions;
        }
    }

    /// Revision of an entity, while it is kept.
    pub(crate) fn rev(&self, entity: Entity) -> Option<u64> {
        match entity {
            Entity::Process(key) => self.process(key).map(|process| process.rev),
            Entity::Descriptor(id) => self.tables.get(id).map(|kept| kept.descriptor.rev),
            Entity::Socket(id) => self.sockets.get(id).map(|kept| kept.socket.rev),
        }
    }

    pub(crate) fn process(&self, key: ProcessKey) -> Option<&Process> {
        self.processes.get(key).map(|kept| &kept.process)
    }

    pub(crate) fn alive(&self, key: ProcessKey) -> bool {
        self.process(key).is_some_and(|process| process.ended.is_none())
    }

    /// A living process at the pid that has another start: the pid was given to a new process.
    pub(crate) fn predecessor(&self, key: ProcessKey) -> Option<ProcessKey> {
        let old = self.processes.latest(key.pid)?;
        (old.start_ns < key.start_ns && self.alive(old)).then_some(old)
    }

    /// Makes a process with the table at `files`, unless it is known.
    pub(crate) fn ensure(&mut self, task: &Task, ts: BootNs) {
        let (key, files) = (task.process, task.files);
        let Some(process) = self.process(key) else {
            let table = self.table_at(files);
            self.tables.join(table);
            self.processes.add(key, table, ts, &mut self.revisions);
            return;
        };
        // A process that a repair declared ended acts again: it lives, and its table is unread.
        if process.ended.is_some() && process.status.is_none() {
            let table = self.table_at(files);
            self.tables.join(table);
            self.processes.change(key, &mut self.revisions, |kept| {
                kept.process.ended = None;
                kept.process.table = table;
                kept.process.standing = Standing::Doubtful { why: crate::processes::UNREAD, since: ts };
                kept.known = false;
            });
        }
        self.processes.acted(task, ts);
    }

    fn table_at(&mut self, files: u64) -> TableId {
        match self.tables.at(files) {
            Some(table) => table,
            None => self.tables.add(files),
        }
    }

    /// The table that a task uses. Where the kernel has given it another than the model knew (unshare(2), execve(2)
    /// of a shared one, `CLOSE_RANGE_UNSHARE`), that is a copy of the known one.
    pub(crate) fn table_of(&mut self, task: &Task, ts: BootNs) -> Option<TableId> {
        self.table_made_from(0, task, ts)
    }

    /// The same where the kernel address of the table that the task had before is known: of threads with tables of their own it
    /// need not be their leader's.
    pub(crate) fn table_made_from(&mut self, from: u64, task: &Task, ts: BootNs) -> Option<TableId> {
        let key = task.process;
        self.ensure(task, ts);
        let kept = self.processes.get(key).filter(|kept| kept.process.ended.is_none())?;
        let (main, threaded) = (kept.process.table, kept.threaded);
        // One that was made from another is new, whatever had its address before.
        let made = from != 0 && from != task.files;
        if task.files == 0 || !made && self.tables.address(main) == task.files {
            return Some(main);
        }
        let mut own = kept.process.thread_tables.iter();
        if let Some(own) = own.find(|table| !made && self.tables.address(**table) == task.files) {
            return Some(*own);
        }
        let known = self.tables.at(task.files).filter(|_| !made);
        if self.tables.address(main) == 0 && known.is_none() && !made {
            self.tables.place(main, task.files);
            return Some(main);
        }
        let source = self.tables.at(from).filter(|_| made).unwrap_or(main);
        let table = known.unwrap_or_else(|| self.copy(source, task.files, ts));
        self.tables.join(table);
        let leader = task.tid == 0 || task.tid == key.pid;
        // Who alone used the old table still does: other threads have it. So may those of a process that has threads, where other
        // processes have it too.
        let leaves = self.tables.address(main) == 0 || self.tables.users(main) > 1 && !threaded;
        let left = self.processes.change(key, &mut self.revisions, |kept| {
            if leader {
                kept.process.table = table;
                kept.moved = ts;
            }
            if leader && leaves {
                kept.leaves(main, ts);
            }
            match (leader, leaves) {
                (true, true) => Some(main),
                (true, false) => {
                    kept.process.thread_tables.push(main);
                    None
                }
                (false, _) => {
                    let others = &mut kept.process.thread_tables;
                    others.push(table);
                    (others.len() > THREAD_TABLES).then(|| others.remove(0))
                }
            }
        });
        if let Some(left) = left.flatten() {
            self.leave(left, ts, Closed::Repair);
        }
        Some(table)
    }

    /// A process executes another program: its other threads are gone, and so are their tables.
    pub(crate) fn single_thread(&mut self, key: ProcessKey, ts: BootNs) {
        let others = self.processes.change(key, &mut self.revisions, |kept| {
            kept.moved = ts;
            std::mem::take(&mut kept.process.thread_tables)
        });
        for table in others.into_iter().flatten() {
            self.leave(table, ts, Closed::Exit);
        }
    }

    /// A thread that has a table of its own ends, and a table that nobody else has with it. Returns the descriptors that ended.
    pub(crate) fn thread_ends(&mut self, task: &Task, users: u32, ts: BootNs) -> Vec<DescriptorId> {
        let Some(table) = self.tables.at(task.files) else { return Vec::new() };
        if !self.tables.thread_leaves(table, users) {
            return Vec::new();
        }
        let known = self.processes.get(task.process).map(|kept| &kept.process);
        if known.is_some_and(|process| process.table == table && process.thread_tables.is_empty()) {
            // The leader is gone, and no thread that is left has told which table it has.
            let unknown = self.tables.add(0);
            self.tables.join(unknown);
            self.processes.change(task.process, &mut self.revisions, |kept| {
                kept.process.table = unknown;
                kept.doubt(crate::processes::UNREAD, ts);
            });
            return self.leave(table, ts, Closed::Exit);
        }
        let left = self.processes.change(task.process, &mut self.revisions, |kept| {
            let process = &mut kept.process;
            if process.table == table
                && let Some(next) = process.thread_tables.first()
            {
                process.table = *next;
                process.thread_tables.remove(0);
                return true;
            }
            let had = process.thread_tables.len();
            process.thread_tables.retain(|own| *own != table);
            had > process.thread_tables.len()
        });
        if left == Some(true) { self.leave(table, ts, Closed::Exit) } else { Vec::new() }
    }

    /// A new table at a kernel address. What was there has ended.
    pub(crate) fn new_table(&mut self, address: u64, ts: BootNs) -> TableId {
        if let Some(stale) = self.tables.at(address).filter(|_| address != 0) {
            self.end_table(stale, ts, Closed::Repair);
        }
        self.tables.add(address)
    }

    /// A copy of a table, as fork(2) makes it: every descriptor anew, for the same open file.
    pub(crate) fn copy(&mut self, from: TableId, address: u64, ts: BootNs) -> TableId {
        let table = self.new_table(address, ts);
        for id in self.tables.open(from, i32::MIN, i32::MAX) {
            if let Some((fd, content)) = self.content_of(id) {
                self.fill((table, fd), content, (ts, Opened::Inherited));
            }
        }
        self.copy_awaited(from, table, ts);
        table
    }

    /// Numbers of descriptors.
    pub(crate) fn numbers(&self, ids: &[DescriptorId]) -> Vec<i32> {
        ids.iter().filter_map(|id| Some(self.tables.get(*id)?.descriptor.fd)).collect()
    }

    /// Numbers of a table's open descriptors.
    pub(crate) fn open_numbers(&self, table: TableId) -> Vec<i32> {
        self.numbers(&self.tables.open(table, i32::MIN, i32::MAX))
    }

    /// Number and content of a descriptor, for a copy of it.
    pub(crate) fn content_of(&self, id: DescriptorId) -> Option<(i32, Content)> {
        let kept = self.tables.get(id)?;
        let original = &kept.descriptor;
        let content = Content {
            file: FileRef { file: kept.address, ino: original.ino, dev: original.dev, mode: 0 },
            kind: original.kind,
            name: original.name.clone(),
            access: original.access,
            cloexec: original.cloexec,
            socket: original.socket,
        };
        Some((original.fd, content))
    }

    /// Fills a slot. The same file as already there makes no second descriptor; another file there was closed, which
    /// may be told later. `None` where the table has ended.
    pub(crate) fn fill(
        &mut self,
        (table, fd): (TableId, i32),
        content: Content,
        (ts, by): (BootNs, Opened),
    ) -> Option<DescriptorId> {
        if !self.tables.exists(table) {
            return None;
        }
        let current = self.tables.slot(table, fd).map(|kept| (kept.descriptor.id, kept.holds(&content.file)));
        match current {
            Some((id, true)) => {
                self.fill_again(id, &content, (ts, by));
                return Some(id);
            }
            Some((id, false)) => {
                self.end(id, ts, Closed::Repair);
                self.tables.displace(id);
            }
            None => {}
        }
        let (socket, file) = (content.socket, content.file);
        self.presume_no_more(&file);
        let id = self.tables.fill((table, fd), content, (ts, by), &mut self.revisions);
        if let Some(socket) = socket {
            self.sockets.hold(socket, &mut self.revisions);
        }
        self.settle_awaited(table, fd, &file);
        Some(id)
    }

    /// The call that filled a slot is told after a snapshot found it filled, or the other way round.
    fn fill_again(&mut self, id: DescriptorId, content: &Content, (ts, by): (BootNs, Opened)) {
        let Some(kept) = self.tables.get(id) else { return };
        let found = matches!(kept.descriptor.opened_by, Opened::Snapshot | Opened::Repair);
        let new_socket = content.socket.filter(|_| kept.descriptor.socket.is_none());
        self.tables.change(id, &mut self.revisions, |kept| {
            if found && matches!(by, Opened::By(_)) {
                kept.descriptor.opened_by = by;
                kept.descriptor.opened = kept.descriptor.opened.min(ts);
            }
            kept.descriptor.cloexec = content.cloexec;
            kept.cloexec_at = ts;
            kept.descriptor.socket = kept.descriptor.socket.or(new_socket);
            kept.descriptor.access = kept.descriptor.access.or(content.access);
        });
        if let Some(socket) = new_socket {
            self.sockets.hold(socket, &mut self.revisions);
        }
    }

    /// Ends an open descriptor.
    pub(crate) fn end(&mut self, id: DescriptorId, at: BootNs, how: Closed) {
        let keep = self.limits.kept_descriptors;
        let is_ring = self.tables.get(id).is_some_and(|kept| kept.descriptor.kind == FileKind::IoUring);
        if let Some(socket) = self.tables.end(id, (at, how), keep, &mut self.revisions) {
            self.sockets.release(socket, at, &mut self.revisions);
        }
        if is_ring {
            self.end_rings(at, how);
        }
    }

    /// Takes back a descriptor that was never there.
    pub(crate) fn discard(&mut self, id: DescriptorId) {
        let at = self.tables.get(id).map_or(BootNs(0), |kept| kept.descriptor.opened);
        if let Some(socket) = self.tables.discard(id, &mut self.revisions) {
            self.sockets.release(socket, at, &mut self.revisions);
        }
    }

    /// A call emptied a slot that held `file`, as of `at`; the slot may hold another file by now.
    pub(crate) fn empty(&mut self, (table, fd): (TableId, i32), file: &FileRef, at: BootNs, how: Closed) {
        let current = self.tables.slot(table, fd).filter(|kept| kept.holds(file));
        if let Some(id) = current.map(|kept| kept.descriptor.id) {
            self.end(id, at, how);
        } else if let Some(id) = self.tables.displaced(table, fd, file).map(|kept| kept.descriptor.id) {
            self.tables.correct(id, at, how, &mut self.revisions);
        }
    }

    /// A process does not use a table any longer. Returns the descriptors that ended with it.
    pub(crate) fn leave(&mut self, table: TableId, ts: BootNs, how: Closed) -> Vec<DescriptorId> {
        self.tables.leave(table);
        if self.tables.users(table) > 0 { Vec::new() } else { self.end_table(table, ts, how) }
    }

    fn end_table(&mut self, table: TableId, ts: BootNs, how: Closed) -> Vec<DescriptorId> {
        let open = self.tables.open(table, i32::MIN, i32::MAX);
        for id in &open {
            self.end(*id, ts, how);
        }
        self.empty_awaited(table, (i32::MIN, i32::MAX), |_| true);
        self.tables.forget(table);
        open
    }
}
