//! What was emptied while a snapshot is open: a row that was read before has lost.

use crate::{
    ids::{BootNs, TableId},
    world::World,
};
use std::collections::HashMap;

/// Emptied slots that are remembered while a snapshot is open; beyond, the oldest rows may win.
const EMPTIED: usize = 1_000_000;

/// What was emptied while a snapshot is open, and when that was told.
#[derive(Debug, Default)]
pub(crate) struct Emptied {
    slots: HashMap<(TableId, i32, u64), BootNs>,
    swept: Vec<Swept>,
}

#[derive(Debug)]
struct Swept {
    table: TableId,
    fds: (i32, i32),
    cloexec_only: bool,
    at: BootNs,
}

impl World {
    /// A slot was emptied of a file; told at `ts`.
    pub(crate) fn note_emptied(&mut self, table: TableId, fd: i32, file: u64, ts: BootNs) {
        if let Some(emptied) = self.emptied.as_mut().filter(|emptied| emptied.slots.len() < EMPTIED) {
            emptied.slots.insert((table, fd, file), ts);
        }
    }

    /// A range of slots was emptied, whatever they held.
    pub(crate) fn note_swept(&mut self, table: TableId, fds: (i32, i32), cloexec_only: bool, at: BootNs) {
        if let Some(emptied) = self.emptied.as_mut().filter(|emptied| emptied.swept.len() < EMPTIED) {
            emptied.swept.push(Swept { table, fds, cloexec_only, at });
        }
    }

    /// Whether a slot was emptied at or after `ts`.
    pub(crate) fn was_emptied(
        &self,
        table: TableId,
        fd: i32,
        (file, cloexec): (u64, bool),
        ts: BootNs,
    ) -> bool {
        let Some(emptied) = &self.emptied else { return false };
        let swept = |swept: &Swept| {
            swept.table == table
                && (swept.fds.0..=swept.fds.1).contains(&fd)
                && (cloexec || !swept.cloexec_only)
                && swept.at >= ts
        };
        emptied.slots.get(&(table, fd, file)).is_some_and(|at| *at >= ts) || emptied.swept.iter().any(swept)
    }
}
