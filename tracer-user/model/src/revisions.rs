//! Which entity changed when: an order of revisions, so that a reader who is nearly up to date pays for little.

use crate::ids::{DescriptorId, ProcessKey, SocketId};
use std::collections::VecDeque;

/// Evictions that are remembered for readers who are behind.
const EVICTIONS: usize = 65_536;
/// Outdated changes that are kept at least before a sweep.
const LITTER: usize = 4096;

/// Something with a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entity {
    Process(ProcessKey),
    Descriptor(DescriptorId),
    Socket(SocketId),
}

/// The order of the last change of each entity, and the newest evictions.
#[derive(Debug)]
pub(crate) struct Revisions {
    /// Somebody may ask what changed; where nobody does, revisions are only counted.
    kept: bool,
    current: u64,
    /// Revision at the start of this input: what has a higher one was changed by this input already, and nobody can
    /// have read it since.
    seen: u64,
    /// Every change in order. Only the last one of an entity counts; the others are swept when they outnumber them.
    changed: VecDeque<(u64, Entity)>,
    /// How many entities there are.
    entities: usize,
    evicted: VecDeque<(u64, Entity)>,
    complete_from: u64,
}

impl Revisions {
    pub(crate) fn new(kept: bool) -> Self {
        Self {
            kept,
            current: 0,
            seen: 0,
            changed: VecDeque::new(),
            entities: 0,
            evicted: VecDeque::new(),
            complete_from: 0,
        }
    }

    /// A new input begins.
    pub(crate) fn begin(&mut self) {
        self.seen = self.current;
    }

    /// `entity` changed; `rev` is where it keeps its revision, 0 where it is new.
    pub(crate) fn touch(&mut self, entity: Entity, rev: &mut u64) {
        if *rev > self.seen {
            return;
        }
        self.entities += usize::from(*rev == 0);
        self.current += 1;
        *rev = self.current;
        if self.kept {
            self.changed.push_back((self.current, entity));
        }
    }

    /// `entity` is not kept any longer.
    pub(crate) fn evict(&mut self, entity: Entity) {
        self.entities = self.entities.saturating_sub(1);
        self.current += 1;
        if self.kept {
            self.evicted.push_back((self.current, entity));
        }
        if self.evicted.len() > EVICTIONS
            && let Some((forgotten, _)) = self.evicted.pop_front()
        {
            self.complete_from = forgotten;
        }
    }

    /// Whether outdated changes outnumber the others.
    pub(crate) fn is_littered(&self) -> bool {
        self.changed.len() > 2 * self.entities + LITTER
    }

    /// Forgets changes that are not the last one of their entity.
    pub(crate) fn sweep(&mut self, is_last: impl Fn(&(u64, Entity)) -> bool) {
        self.changed.retain(is_last);
    }

    /// The newest revision.
    pub(crate) fn current(&self) -> u64 {
        self.current
    }

    /// Oldest revision from which every eviction is still known.
    pub(crate) fn complete_from(&self) -> u64 {
        self.complete_from
    }

    /// Changes after `rev`, oldest first; some may be outdated.
    pub(crate) fn changed_after(&self, rev: u64) -> impl Iterator<Item = (u64, Entity)> + '_ {
        let start = self.changed.partition_point(|(at, _)| *at <= rev);
        self.changed.range(start..).copied()
    }

    /// Remembered evictions after `rev`, oldest first.
    pub(crate) fn evicted_after(&self, rev: u64) -> impl Iterator<Item = (u64, Entity)> + '_ {
        let start = self.evicted.partition_point(|(at, _)| *at <= rev);
        self.evicted.range(start..).copied()
    }
}
