//! Closes that were submitted to an io_uring and tell nothing of their success (`IOSQE_CQE_SKIP_SUCCESS`): the first look at
//! the table that began later settles each. Where the slot does not hold the file any more, it was closed; where it does, the
//! look has put it back.

use crate::{
    calls::Doing,
    event::{EventKind, Via},
    ids::{BootNs, DescriptorId, ProcessKey, TableId},
    input::FileRef,
    session::Session,
    syscall::Syscall,
    tell::Stamp,
};
use std::collections::VecDeque;

/// Closes that wait to be settled; beyond, the oldest stay unconfirmed.
const AWAITING: usize = 4096;

/// A close that waits to be settled.
#[derive(Debug)]
pub(crate) struct Submitted {
    process: ProcessKey,
    call: Syscall,
    table: TableId,
    fd: i32,
    file: FileRef,
    id: DescriptorId,
    since: BootNs,
}

/// All of them, oldest first.
pub(crate) type Awaiting = VecDeque<Submitted>;

impl Session {
    /// A close was submitted: the next look at its table settles it.
    pub(crate) fn await_check(&mut self, doing: &Doing<'_>, (table, fd): (TableId, i32), file: FileRef) {
        let Some(kept) = self.world.tables.find(table, fd, &file) else { return };
        let (id, process, call) = (kept.descriptor.id, doing.call.task.process, doing.call.call);
        self.unconfirmed.push_back(Submitted { process, call, table, fd, file, id, since: doing.ts });
        if self.unconfirmed.len() > AWAITING {
            self.unconfirmed.pop_front();
        }
    }

    /// Tables were read from `began` on: settles the closes of theirs that were submitted before.
    pub(crate) fn confirm(&mut self, stamp: &Stamp, began: BootNs, read: impl Fn(TableId) -> bool) {
        let (settled, rest): (Awaiting, Awaiting) = std::mem::take(&mut self.unconfirmed)
            .into_iter()
            .partition(|one| one.since < began && (read(one.table) || !self.world.tables.exists(one.table)));
        self.unconfirmed = rest;
        for one in settled {
            let held = self.world.tables.slot(one.table, one.fd).is_some_and(|kept| kept.holds(&one.file));
            if held || !self.world.tables.exists(one.table) {
                continue;
            }
            self.world.tables.confirm(one.id, &mut self.world.revisions);
            let mut event = self.blank(stamp, one.process, EventKind::Close, Via::IoUring);
            (event.call, event.confirmed) = (Some(one.call), true);
            if let Some(kept) = self.world.tables.get(one.id) {
                self.show_place(&mut event, &kept.descriptor);
            }
            self.show_file(&mut event, one.id);
            self.emit(event);
        }
    }
}
