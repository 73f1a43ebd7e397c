//! What was lost, and why: counters that the kernel programs keep, and runs that the kernel skipped.

use crate::{order::Gap, programs::Programs};
use aya::{
    maps::{MapData, MapError, PerCpuArray},
    programs::Program,
};
use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd},
};
use tracer_abi::Counter;
use tracer_model::input::{LossCause, Lost};

/// Keeps what was told already, so that each loss is told once.
pub(crate) struct Health {
    counters: PerCpuArray<MapData, u64>,
    /// Records without room that no gap has been blamed on yet, by CPU.
    ring_full_told: BTreeMap<u32, u64>,
    told: BTreeMap<u32, u64>,
    skipped_told: u64,
}

/// Counters whose growth is a loss of its own, with its cause.
const TABLES: &[(Counter, LossCause)] = &[
    (Counter::IN_FLIGHT_FULL, LossCause::MapFull),
    (Counter::SOCKETS_FULL, LossCause::MapFull),
    (Counter::PROCESSES_FULL, LossCause::MapFull),
    (Counter::REQUESTS_FULL, LossCause::MapFull),
    (Counter::DIRECT_BEYOND, LossCause::MapFull),
    (Counter::PASSED_BEYOND, LossCause::MapFull),
    (Counter::TABLE_BEYOND, LossCause::MapFull),
    (Counter::COMPAT_CALLS, LossCause::CompatCall),
];

impl Health {
    pub(crate) fn new(counters: PerCpuArray<MapData, u64>) -> Self {
        Self { counters, ring_full_told: BTreeMap::new(), told: BTreeMap::new(), skipped_told: 0 }
    }

    /// A gap with its cause: the ring buffer had no room for as many records as that CPU counted.
    pub(crate) fn blame(&mut self, gap: Gap) -> Vec<Lost> {
        let full =
            self.per_cpu(Counter::RING_FULL).ok().and_then(|counts| counts.get(gap.cpu as usize).copied());
        let told = self.ring_full_told.entry(gap.cpu).or_default();
        let by_ring = full.unwrap_or(0).saturating_sub(*told).min(gap.count);
        *told += by_ring;
        let lost = |count, cause| (count > 0).then_some(Lost { count, cause, cpu: Some(gap.cpu) });
        lost(by_ring, LossCause::RingFull)
            .into_iter()
            .chain(lost(gap.count - by_ring, LossCause::Unknown))
            .collect()
    }

    /// Losses since the last look that leave no gap: full tables and skipped runs.
    pub(crate) fn losses(&mut self, programs: &Programs) -> Vec<Lost> {
        let mut losses = Vec::new();
        for (counter, cause) in TABLES {
            let total = self.total(*counter);
            let told = self.told.entry(counter.0).or_default();
            if total > *told {
                losses.push(Lost { count: total - *told, cause: *cause, cpu: None });
                *told = total;
            }
        }
        let skipped = skipped_runs(programs);
        if skipped > self.skipped_told {
            let count = skipped - self.skipped_told;
            losses.push(Lost { count, cause: LossCause::ProgramSkipped, cpu: None });
            self.skipped_told = skipped;
        }
        losses
    }

    /// Records attempted so far, and what kept others from being attempted.
    pub(crate) fn all_attempted(&self, programs: &Programs) -> u64 {
        let beside: u64 = TABLES.iter().map(|(counter, _)| self.total(*counter)).sum();
        self.total(Counter::SEQ) + self.total(Counter::PARTS) + beside + skipped_runs(programs)
    }

    fn total(&self, counter: Counter) -> u64 {
        self.per_cpu(counter).unwrap_or_default().iter().sum()
    }

    /// Numbers given so far, by CPU.
    pub(crate) fn attempted(&self) -> Vec<u64> {
        self.per_cpu(Counter::SEQ).unwrap_or_default()
    }

    fn per_cpu(&self, counter: Counter) -> Result<Vec<u64>, MapError> {
        Ok(self.counters.get(&counter.0, 0)?.to_vec())
    }
}

/// Runs that the kernel skipped because the program was already running on that CPU (`recursion_misses` of
/// `struct bpf_prog_info`, since 5.12; shown by proc_pid_fdinfo(5)).
fn skipped_runs(programs: &Programs) -> u64 {
    let misses = |program: &Program| {
        let fd = program.fd().ok()?.as_fd().as_raw_fd();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        info.lines().find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse::<u64>().ok())
    };
    programs.alone().filter_map(misses).sum()
}
