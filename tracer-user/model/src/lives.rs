//! Fork, exec and exit: how processes begin, change and end, and what that does to their tables.

use crate::{
    entity::{Closed, Opened, Standing},
    event::{Event, EventKind, FileKind, Via},
    ids::{BootNs, DescriptorId, ProcessKey},
    input::{Exec, Exit, Fork, Thread},
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
        let ended = self.end_process(process, stamp.ts, None, how);
        self.emit_with_ends(stamp, event, &ended);
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
            kept.process.thread_tables.clear();
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
        let read = self.world.contents.take(fork.child_files, fork.child.pid);
        if self.world.process(fork.child).is_none() {
            let table = match (from, read) {
                (Some(table), _) if fork.shares_files => table,
                (_, Some(read)) => {
                    let table = self.world.new_table(fork.child_files, stamp.ts);
                    self.world.set_contents(table, &read.held, stamp.ts);
                    table
                }
                (Some(table), None) => self.world.copy(table, fork.child_files, stamp.ts),
                (None, None) => self.world.tables.add(fork.child_files),
            };
            if !fork.shares_files {
                fds = self.world.open_numbers(table);
            }
            self.world.tables.join(table);
            self.world.processes.add(fork.child, table, stamp.ts, &mut self.world.revisions);
            self.inherit(fork);
        }
        let place = self.world.cgroups.name(&fork.place);
        self.world.processes.change(fork.child, &mut self.world.revisions, |kept| {
            kept.process.place = Some(place.clone());
            kept.process.parent = Some(parent.pid);
            if kept.process.comm.is_empty() {
                kept.process.comm = text(&fork.comm);
            }
        });
        let via = if fork.call.is_some() { Via::Syscall } else { Via::Fork };
        let mut event = self.blank(stamp, parent, EventKind::Fork, via);
        event.tid = fork.task.tid;
        event.call = fork.call;
        event.ret = Some(i64::from(fork.ret));
        event.child = Some(fork.child);
        event.place = Some(Box::new(place));
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
        let read = self.world.contents.take(exec.task.files, exec.task.tid);
        let from = read.as_ref().map_or(0, |read| read.from);
        let table = self.world.table_made_from(from, &exec.task, stamp.ts);
        self.world.single_thread(process, stamp.ts);
        self.acceptors.forget(process);
        let place = self.world.cgroups.name(&exec.place);
        self.world.processes.change(process, &mut self.world.revisions, |kept| {
            kept.executes(&exec.path, text(&exec.comm), stamp.ts);
            kept.process.place = Some(place.clone());
        });
        let via = if exec.call.is_some() { Via::Syscall } else { Via::Exec };
        let mut event = self.blank(stamp, process, EventKind::Exec, via);
        event.tid = exec.task.tid;
        event.call = exec.call;
        event.ret = exec.call.is_some().then_some(0);
        event.dur_ns = exec.enter.map(|enter| stamp.ts.0.saturating_sub(enter.0));
        event.path = Some(exec.path.clone());
        event.place = Some(Box::new(place));
        let mut ended = Vec::new();
        if let Some(table) = table {
            ended = self.world.tables.open(table, i32::MIN, i32::MAX);
            ended.retain(|id| self.world.tables.get(*id).is_some_and(|kept| kept.descriptor.cloexec));
            for id in &ended {
                self.world.end(*id, stamp.ts, Closed::Exec);
            }
            self.world.empty_awaited(table, (i32::MIN, i32::MAX), |held| held.cloexec);
            self.world.note_swept(table, (i32::MIN, i32::MAX), true, stamp.ts);
            if let Some(read) = read {
                self.world.set_contents(table, &read.held, stamp.ts);
            }
        }
        self.emit_with_ends(stamp, event, &ended);
    }

    /// A thread whose table is not its leader's begins or ends.
    pub(crate) fn thread(&mut self, stamp: &Stamp, thread: &Thread) {
        let process = thread.task.process;
        self.succeed(stamp, process);
        if !thread.begins {
            let ended = self.world.thread_ends(&thread.task, thread.users, stamp.ts);
            self.pending.forget_thread((process, thread.task.tid));
            let mut event = self.blank(stamp, process, EventKind::Close, Via::Exit);
            event.tid = thread.task.tid;
            self.emit_with_ends(stamp, event, &ended);
            return;
        }
        let mut event = self.blank(stamp, process, EventKind::Unshare, Via::Fork);
        event.tid = thread.task.tid;
        let read = self.world.contents.take(thread.task.files, thread.task.tid);
        let from = read.as_ref().map_or(0, |read| read.from);
        if let Some(table) = self.world.table_made_from(from, &thread.task, stamp.ts) {
            self.world.tables.thread_joins(table);
            if let Some(read) = read {
                self.world.set_contents(table, &read.held, stamp.ts);
            }
            event.fds = self.world.open_numbers(table);
        }
        self.emit(event);
    }

    /// Tells an event with the numbers of the slots that it ended, and then the end of each socket's descriptor: sockets have
    /// lives of their own.
    fn emit_with_ends(&mut self, stamp: &Stamp, mut event: Event, ended: &[DescriptorId]) {
        let (process, via) = (event.process, event.via);
        event.fds = self.world.numbers(ended);
        let via = if event.kind == EventKind::Exec { Via::Exec } else { via };
        self.emit(event);
        for id in ended {
            if self.world.tables.get(*id).is_some_and(|kept| kept.descriptor.kind == FileKind::Socket) {
                self.tell_end(stamp, process, *id, via);
            }
        }
    }

    /// A process ended; with the last one of its table end the descriptors in it.
    pub(crate) fn exit(&mut self, stamp: &Stamp, exit: &Exit) {
        let process = exit.task.process;
        self.succeed(stamp, process);
        match self.world.process(process) {
            // Threads are counted down before they tell of their end (`do_exit`, kernel/exit.c): of several that end at once
            // each may find itself the last.
            Some(known) if known.status.is_some() => return,
            Some(_) => {}
            None => {
                self.world.ensure(&exit.task, stamp.ts);
            }
        }
        let ended = self.end_process(process, stamp.ts, Some(exit.code), Closed::Exit);
        let mut event = self.blank(stamp, process, EventKind::Exit, Via::Exit);
        event.tid = exit.task.tid;
        event.status = Some(exit.code);
        self.emit_with_ends(stamp, event, &ended);
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
