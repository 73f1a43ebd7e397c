//! Which entity changed when: an order of revisions, so that a reader who is nearly up to date pays for little.

use crate::ids::{DescriptorId, ProcessKey, SocketId};
use std::collections::{BTreeMap, VecDeque};

/// Evictions that are remembered for readers who are behind.
const EVICTIONS: usize = 65_536;

/// Something with a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entity {
    Process(ProcessKey),
    Descriptor(DescriptorId),
    Socket(SocketId),
}

/// The order of the last change of each entity, and the newest evictions.
#[derive(Debug, Default)]
pub(crate) struct Revisions {
    current: u64,
    /// Revision at the start of this input: what has a higher one was changed by this input already, and nobody can
    /// have read it since.
    seen: u64,
    changed: BTreeMap<u64, Entity>,
    evicted: VecDeque<(u64, Entity)>,
    complete_from: u64,
}

impl Revisions {
    /// A new input begins.
    pub(crate) fn begin(&mut self) {
        self.seen = self.current;
    }

    /// `entity` changed; `rev` is where it keeps its revision.
    pub(crate) fn touch(&mut self, entity: Entity, rev: &mut u64) {
        if *rev > self.seen {
            return;
        }
        self.changed.remove(rev);
        self.current += 1;
        *rev = self.current;
        self.changed.insert(self.current, entity);
    }

    /// `entity` is not kept any longer; `rev` was its revision.
    pub(crate) fn evict(&mut self, entity: Entity, rev: u64) {
        self.changed.remove(&rev);
        self.current += 1;
        self.evicted.push_back((self.current, entity));
        if self.evicted.len() > EVICTIONS
            && let Some((forgotten, _)) = self.evicted.pop_front()
        {
            self.complete_from = forgotten;
        }
    }

    /// The newest revision.
    pub(crate) fn current(&self) -> u64 {
        self.current
    }

    /// Oldest revision from which every eviction is still known.
    pub(crate) fn complete_from(&self) -> u64 {
        self.complete_from
    }

    /// Changes after `rev`, oldest first.
    pub(crate) fn changed_after(&self, rev: u64) -> impl Iterator<Item = (u64, Entity)> + '_ {
        self.changed.range(rev.saturating_add(1)..).map(|(rev, entity)| (*rev, *entity))
    }

    /// Remembered evictions after `rev`, oldest first.
    pub(crate) fn evicted_after(&self, rev: u64) -> impl Iterator<Item = (u64, Entity)> + '_ {
        let start = self.evicted.partition_point(|(at, _)| *at <= rev);
        self.evicted.range(start..).copied()
    }
}
