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

/// What the kernel counted.
pub(crate) struct Counted {
    /// Records.
    pub(crate) attempted: u64,
    /// Of these, the ones for which the ring buffer had no room.
    pub(crate) without_room: u64,
    /// What kept others from being attempted; a cause may come several times.
    pub(crate) beside: Vec<(LossCause, u64)>,
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
            losses.extend(grown(self.told.entry(counter.0).or_default(), total, *cause));
        }
        losses.extend(grown(&mut self.skipped_told, skipped_runs(programs), LossCause::ProgramSkipped));
        losses
    }

    /// Records for which the ring buffer had no room so far.
    pub(crate) fn without_room(&self) -> u64 {
        self.total(Counter::RING_FULL)
    }

    /// What the kernel counted so far.
    pub(crate) fn counted(&self, programs: &Programs) -> Counted {
        let mut beside = vec![(LossCause::ProgramSkipped, skipped_runs(programs))];
        beside.extend(TABLES.iter().map(|(counter, cause)| (*cause, self.total(*counter))));
        Counted {
            attempted: self.total(Counter::SEQ) + self.total(Counter::PARTS),
            without_room: self.without_room(),
            beside,
        }
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

/// What a total has grown by since it was last told, which this tells.
fn grown(told: &mut u64, total: u64, cause: LossCause) -> Option<Lost> {
    let count = total.checked_sub(*told).filter(|count| *count > 0)?;
    *told = total;
    Some(Lost { count, cause, cpu: None })
}

/// Runs that the kernel skipped because the program was already running on that CPU (`recursion_misses` of
/// `struct bpf_prog_info`, since 5.12; shown by proc_pid_fdinfo(5)).
fn skipped_runs(programs: &Programs) -> u64 {
    let misses = |program: &Program| {
        let fd = program.fd().ok()?.as_fd().as_raw_fd();
        recursion_misses(&std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?)
    };
    programs.alone().filter_map(misses).sum()
}

/// The number in what the kernel says of a program's descriptor (`bpf_prog_show_fdinfo`, kernel/bpf/syscall.c).
fn recursion_misses(info: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::{grown, recursion_misses};
    use tracer_model::input::{LossCause, Lost};

    #[test]
    fn skipped_runs_are_read_from_the_kernels_words() {
        let info = "pos:\t0\nflags:\t02000002\nmnt_id:\t16\nino:\t1064\nprog_type:\t26\nprog_jited:\t1\n\
                    prog_tag:\t30aa0ab1aa1bd5b4\nmemlock:\t8192\nprog_id:\t61\nrun_time_ns:\t12\nrun_cnt:\t34\n\
                    recursion_misses:\t56\nverified_insns:\t789\n";
        assert_eq!(recursion_misses(info), Some(56));
        // Before Linux 5.12, and of what is no program.
        assert_eq!(recursion_misses("pos:\t0\nflags:\t02\n"), None);
        assert_eq!(recursion_misses("recursion_misses:\t-1\n"), None);
    }

    #[test]
    fn each_skipped_run_is_told_once() {
        let mut told = 0;
        let mut tell = |total| grown(&mut told, total, LossCause::ProgramSkipped);
        let lost = |count| Some(Lost { count, cause: LossCause::ProgramSkipped, cpu: None });
        let seen = [0, 3, 3, 5].map(&mut tell);
        assert_eq!(seen, [None, lost(3), None, lost(2)]);
        // A program that is not there any more takes its count with it.
        assert_eq!([tell(4), tell(6)], [None, lost(1)]);
    }
}
