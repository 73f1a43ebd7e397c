//! What was lost: how much, why, and where in a CPU's numbering.

use crate::input::{LossCause, Lost, Origin};
use std::collections::BTreeMap;

/// CPUs whose numbering is followed, more than any kernel has (`NR_CPUS`).
const CPUS: usize = 8192;

/// Counters of lost records.
#[derive(Debug, Default)]
pub(crate) struct Loss {
    by_cause: Vec<(LossCause, u64)>,
    /// The next number expected of each CPU.
    next: BTreeMap<u32, u64>,
}

impl Loss {
    /// A record of a CPU arrived.
    pub(crate) fn arrived(&mut self, origin: Origin) {
        if self.next.len() < CPUS || self.next.contains_key(&origin.cpu) {
            self.next.insert(origin.cpu, origin.cpu_seq.wrapping_add(1));
        }
    }

    pub(crate) fn count(&mut self, lost: Lost) {
        match self.by_cause.iter_mut().find(|(cause, _)| *cause == lost.cause) {
            Some((_, count)) => *count = count.saturating_add(lost.count),
            None => self.by_cause.push((lost.cause, lost.count)),
        }
    }

    /// Where a loss stands: the first missing number of its CPU.
    pub(crate) fn place(&self, lost: Lost) -> Option<Origin> {
        let cpu = lost.cpu?;
        Some(Origin { cpu, cpu_seq: self.next.get(&cpu).copied().unwrap_or(0) })
    }

    pub(crate) fn by_cause(&self) -> &[(LossCause, u64)] {
        &self.by_cause
    }

    pub(crate) fn total(&self) -> u64 {
        self.by_cause.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }
}
