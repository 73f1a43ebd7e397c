//! How far tables can be trusted: what snapshots miss, what was lost, and the standing that comes of it.
//!
//! A slot that the rows miss is not ended at once: its close may still be on its way. It ends as a repair when
//! [`GRACE_NS`] have passed.
//!
//! Standing: a process whose table was never read in full is doubtful until a snapshot has read it. A loss makes every
//! living process doubtful, and a snapshot for repair that began after that loss settles it: to `Exact` where the
//! table has never needed a repair in this session, otherwise to `Repaired` with the number of all differences so far.
//!
//! An event tells of each change, and a process of which none tells is exact. What one input changes twice is told once.

use crate::{
    entity::{Closed, Standing},
    event::{EventKind, Stands, Trust, Via},
    ids::{BootNs, DescriptorId, ProcessKey},
    input::{Lost, Reason},
    reconcile::Outcome,
    session::Session,
    tell::Stamp,
};
use std::collections::VecDeque;

/// How long the close of a slot that a snapshot misses may be on its way, nanoseconds.
const GRACE_NS: u64 = 300_000_000;

/// Something that a snapshot missed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missed {
    process: ProcessKey,
    /// `None`: the process itself.
    descriptor: Option<DescriptorId>,
    snapshot: BootNs,
}

impl Session {
    /// Notes what the rows miss.
    pub(crate) fn miss(&mut self, stamp: &Stamp, reason: Reason, begin: BootNs, outcome: &Outcome) {
        let mut missed = Vec::new();
        for kept in self.world.processes.iter().filter(|kept| kept.process.ended.is_none()) {
            let process = kept.process.key;
            let has_rows = outcome.processes.contains(&process);
            if !has_rows {
                let held = !self.world.tables.open(kept.process.table, i32::MIN, i32::MAX).is_empty();
                if reason.repairs() && kept.process.seen < begin && held {
                    missed.push(Missed { process, descriptor: None, snapshot: stamp.ts });
                }
                continue;
            }
            let tables = kept.tables().filter(|table| outcome.tables.contains(table));
            for id in tables.flat_map(|table| self.world.tables.open(table, i32::MIN, i32::MAX)) {
                let Some(found) = self.world.tables.get(id) else { continue };
                let descriptor = &found.descriptor;
                if descriptor.opened < begin && !outcome.seen.contains(&(descriptor.table, descriptor.fd)) {
                    missed.push(Missed { process, descriptor: Some(id), snapshot: stamp.ts });
                }
            }
        }
        self.missed.extend(missed);
    }

    /// Sets the standing of the processes that a snapshot has settled.
    pub(crate) fn stand(&mut self, stamp: &Stamp, reason: Reason, begin: BootNs, outcome: &Outcome) {
        let mut settled = Vec::new();
        for kept in self.world.processes.iter().filter(|kept| kept.process.ended.is_none()) {
            let key = kept.process.key;
            // A process without an open descriptor has no rows; a selection says nothing of the others.
            let whole = reason != Reason::Selected && kept.process.seen < begin;
            let read = outcome.processes.contains(&key) || whole;
            let lost = kept.doubted > begin || kept.doubted != BootNs(0) && !reason.repairs();
            let doubtful = matches!(kept.process.standing, Standing::Doubtful { .. });
            let differences = outcome.differences.get(&key).copied().unwrap_or(0);
            if read && (doubtful || differences > 0) {
                settled.push((key, differences, doubtful && lost));
            }
        }
        for (key, differences, still_doubtful) in settled {
            self.world.processes.change(key, &mut self.world.revisions, |kept| {
                kept.known = true;
                kept.repairs += differences;
                if still_doubtful {
                    return;
                }
                kept.doubted = BootNs(0);
                kept.process.standing = standing(kept.repairs, stamp.ts);
            });
        }
    }

    /// A process of which single slots are followed is trusted in these, unless something was lost.
    pub(crate) fn trust_slot(&mut self, process: ProcessKey) {
        self.world.processes.change(process, &mut self.world.revisions, |kept| {
            if kept.doubted == BootNs(0) {
                kept.process.standing = standing(kept.repairs, kept.process.seen);
            }
        });
    }

    /// Ends what snapshots missed and nothing has told of since.
    pub(crate) fn expire(&mut self, stamp: &Stamp) {
        while let Some(missed) = self.missed.front().copied() {
            if self.now.0.saturating_sub(missed.snapshot.0) < GRACE_NS {
                return;
            }
            self.missed.pop_front();
            let Some(id) = missed.descriptor else {
                let quiet = self
                    .world
                    .processes
                    .get(missed.process)
                    .is_some_and(|kept| kept.active <= missed.snapshot);
                if quiet && self.world.alive(missed.process) {
                    self.end_unseen(stamp, missed.process, Closed::Repair);
                }
                continue;
            };
            if self.world.tables.get(id).is_none_or(|kept| kept.descriptor.closed.is_some()) {
                continue;
            }
            self.world.end(id, stamp.ts, Closed::Repair);
            self.world.tables.displace(id);
            self.world.processes.change(missed.process, &mut self.world.revisions, |kept| {
                kept.repairs += 1;
                if !matches!(kept.process.standing, Standing::Doubtful { .. }) {
                    kept.process.standing = standing(kept.repairs, stamp.ts);
                }
            });
            self.tell_slot(stamp, missed.process, id, (EventKind::Repair, Via::Repair), None);
        }
    }

    /// Something was lost: no table is certain any longer.
    pub(crate) fn lost(&mut self, stamp: &Stamp, lost: Lost) {
        self.loss.count(lost);
        self.acceptors.lost(stamp.ts);
        let living: Vec<_> = self
            .world
            .processes
            .iter()
            .filter(|kept| kept.process.ended.is_none())
            .map(|kept| kept.process.key)
            .collect();
        for key in living {
            self.world.processes.change(key, &mut self.world.revisions, |kept| {
                kept.doubt(lost.cause.name(), stamp.ts);
            });
        }
        let mut event = self.blank(stamp, ProcessKey::default(), EventKind::Lost, Via::Kernel);
        event.origin = stamp.origin.or_else(|| self.loss.place(lost));
        event.count = Some(lost.count);
        event.cause = Some(lost.cause);
        self.emit(event);
    }
}

impl Session {
    /// Tells which processes stand otherwise than was told; `ended` where a snapshot has.
    pub(crate) fn tell_standings(&mut self, ended: bool) {
        for key in self.world.processes.take_restanding(ended) {
            let Some(process) = self.world.process(key) else { continue };
            let epoch = |at: BootNs| Some(self.wall.epoch_ns(at));
            let exact = Stands { trust: Trust::Exact, repaired: 0, why: None, since_epoch_ns: None };
            let stands = match process.standing {
                Standing::Exact => exact,
                Standing::Repaired { count, since } => {
                    Stands { trust: Trust::Repaired, repaired: count, since_epoch_ns: epoch(since), ..exact }
                }
                Standing::Doubtful { why, since } => {
                    let why = Some(why.to_owned());
                    Stands { trust: Trust::Doubtful, why, since_epoch_ns: epoch(since), ..exact }
                }
            };
            let stamp = Stamp { ts: self.now, origin: None, late: false };
            let mut event = self.blank(&stamp, key, EventKind::Standing, Via::Kernel);
            event.stands = Some(Box::new(stands));
            self.emit(event);
        }
    }
}

fn standing(repairs: u64, since: BootNs) -> Standing {
    if repairs == 0 { Standing::Exact } else { Standing::Repaired { count: repairs, since } }
}

/// What snapshots missed, oldest first.
pub(crate) type AllMissed = VecDeque<Missed>;
