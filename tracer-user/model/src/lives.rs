//! Fork, exec and exit: how processes begin, change and end, and what that does to their tables.

use crate::{
    entity::{Closed, Opened, Standing},
    event::{EventKind, Via},
    ids::{BootNs, DescriptorId, ProcessKey},
    input::{Exec, Exit, Fork},
    session::Session,
    tell::Stamp,
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Session {
    /// A process came that has the pid of a living one: that one has ended, unseen.
    pub(crate) fn succeed(&mut self, stamp: &Stamp, process: ProcessKey) {
        if let Some(old) = self.world.predecessor(process) {
            self.end_unseen(stamp, old, Closed::Exit);
        }
    }

    /// A process ended without that its exit was told.
    pub(crate) fn end_unseen(&mut self, stamp: &Stamp, process: ProcessKey, how: Closed) {
        let mut event = self.blank(stamp, process, EventKind::Exit, Via::Repair);
        event.inferred = true;
        self.emit(event);
        for id in self.end_process(process, stamp.ts, None, how) {
            self.tell_end(stamp, process, id, Via::Repair);
        }
    }

    /// Ends a process; returns the descriptors that ended with it.
    fn end_process(
        &mut self,
        process: ProcessKey,
        ts: BootNs,
        status: Option<u32>,
        how: Closed,
    ) -> Vec<DescriptorId> {
        let was_alive = self.world.alive(process);
        let tables = self.world.processes.change(process, &mut self.world.revisions, |kept| {
            kept.process.ended = Some(ts);
            kept.process.status = status;
            let tables: Vec<_> = kept.tables().collect();
            kept.others.clear();
            tables
        });
        self.pending.forget(process);
        if !was_alive {
            return Vec::new();
        }
        let mut ended = Vec::new();
        for table in tables.into_iter().flatten() {
            ended.extend(self.world.leave(table, ts, how));
        }
        self.world.processes.retire(process, self.world.limits.kept_processes, &mut self.world.revisions);
        ended
    }

    /// A new process: it shares its parent's table, or has a copy of it.
    pub(crate) fn fork(&mut self, stamp: &Stamp, fork: &Fork) {
        let parent = fork.task.process;
        self.succeed(stamp, parent);
        let from = self.world.table_of(&fork.task, stamp.ts);
        self.succeed(stamp, fork.child);
        let mut fds = Vec::new();
        if self.world.process(fork.child).is_none() {
            let table = match from {
                Some(table) if fork.shares_files => table,
                Some(table) => {
                    let (copy, numbers) = self.world.copy(table, fork.child_files, stamp.ts);
                    fds = numbers;
                    copy
                }
                None => self.world.tables.add(fork.child_files),
            };
            self.world.tables.join(table);
            self.world.processes.add(fork.child, table, stamp.ts, &mut self.world.revisions);
            self.inherit(fork);
        }
        self.world.processes.change(fork.child, &mut self.world.revisions, |kept| {
            kept.process.parent = Some(parent.pid);
            if kept.process.comm.is_empty() {
                kept.process.comm = text(&fork.comm);
            }
        });
        let via = if fork.call.is_some() { Via::Syscall } else { Via::Fork };
        let mut event = self.blank(stamp, parent, EventKind::Fork, via);
        event.tid = fork.task.tid;
        event.call = fork.call;
        event.ret = Some(i64::from(fork.child.pid));
        event.child = Some(fork.child);
        event.fds = fds;
        event.dur_ns = fork.enter.map(|enter| stamp.ts.0.saturating_sub(enter.0));
        self.emit(event);
    }

    /// A child's table is known as far as its parent's.
    fn inherit(&mut self, fork: &Fork) {
        let Some(parent) = self.world.processes.get(fork.task.process) else { return };
        let (known, doubted, limit) = (parent.known, parent.doubted, parent.process.fd_limit);
        let exe = parent.process.exe.clone();
        let standing = match &parent.process.standing {
            doubtful @ Standing::Doubtful { .. } => doubtful.clone(),
            Standing::Exact | Standing::Repaired { .. } => Standing::Exact,
        };
        self.world.processes.change(fork.child, &mut self.world.revisions, |kept| {
            kept.known = known;
            kept.doubted = doubted;
            kept.process.fd_limit = limit;
            kept.process.exe = exe;
            kept.process.standing = standing;
        });
    }

    /// A process executes another program: close-on-exec descriptors end.
    pub(crate) fn exec(&mut self, stamp: &Stamp, exec: &Exec) {
        let process = exec.task.process;
        self.succeed(stamp, process);
        let table = self.world.table_of(&exec.task, stamp.ts);
        self.world.single_thread(process, stamp.ts);
        self.world.processes.change(process, &mut self.world.revisions, |kept| {
            kept.process.comm = text(&exec.comm);
            kept.process.exe = Some(exec.path.clone());
        });
        let via = if exec.call.is_some() { Via::Syscall } else { Via::Exec };
        let mut event = self.blank(stamp, process, EventKind::Exec, via);
        event.tid = exec.task.tid;
        event.call = exec.call;
        event.ret = exec.call.is_some().then_some(0);
        event.dur_ns = exec.enter.map(|enter| stamp.ts.0.saturating_sub(enter.0));
        event.path = Some(exec.path.clone());
        self.emit(event);
        let Some(table) = table else { return };
        for id in self.world.tables.open(table, i32::MIN, i32::MAX) {
            if self.world.tables.get(id).is_some_and(|kept| kept.descriptor.cloexec) {
                self.world.end(id, stamp.ts, Closed::Exec);
                self.tell_end(stamp, process, id, Via::Exec);
            }
        }
        self.world.note_swept(table, (i32::MIN, i32::MAX), true, stamp.ts);
    }

    /// A process ended; with the last one of its table end the descriptors in it.
    pub(crate) fn exit(&mut self, stamp: &Stamp, exit: &Exit) {
        let process = exit.task.process;
        self.succeed(stamp, process);
        if self.world.process(process).is_none() {
            self.world.ensure(process, exit.task.files, stamp.ts);
        }
        let ended = self.end_process(process, stamp.ts, Some(exit.code), Closed::Exit);
        let mut event = self.blank(stamp, process, EventKind::Exit, Via::Exit);
        event.tid = exit.task.tid;
        event.status = Some(exit.code);
        self.emit(event);
        for id in ended {
            self.tell_end(stamp, process, id, Via::Exit);
        }
    }

    /// Copies to a child what a snapshot found in its parent's table, where the child was forked before that was read.
    /// Returns the copies.
    pub(crate) fn inherit_found(&mut self, child: ProcessKey, found: &[DescriptorId]) -> Vec<DescriptorId> {
        let mut copies = Vec::new();
        let Some((table, forked)) = self.world.process(child).map(|child| (child.table, child.seen)) else {
            return copies;
        };
        for id in found {
            let Some((fd, content)) = self.world.content_of(*id) else { continue };
            let free = self.world.tables.slot(table, fd).is_none();
            let gone = self.world.was_emptied(table, fd, (content.file.file, content.cloexec), forked);
            if free && !gone {
                copies.extend(self.world.fill((table, fd), content, (forked, Opened::Inherited)));
            }
        }
        copies
    }
}
