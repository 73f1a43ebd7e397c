//! What a running program costs: its own time on the CPUs, that of its programs in the kernel, its memory.

use anyhow::{Context as _, Result};
use std::fs;

/// Time on the CPUs of every thread of a process, nanoseconds (`/proc/PID/task/TID/schedstat`, first field;
/// Documentation/scheduler/sched-stats.rst).
pub(crate) fn cpu_ns(pid: u32) -> Result<u64> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        total += text.split(' ').next().context("no field")?.parse::<u64>()?;
    }
    Ok(total)
}

/// Time in the kernel programs that a process holds, nanoseconds, and how often they ran (`/proc/PID/fdinfo`); counted
/// while [`Statistics`] lives.
pub(crate) fn programs_ns(pid: u32) -> Result<(u64, u64)> {
    let (mut time, mut runs) = (0, 0);
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        // Links name the program a second time; only the program's own descriptor has these lines and no link's.
        if text.contains("link_type:") {
            continue;
        }
        let number = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
            found.unwrap_or(0)
        };
        time += number("run_time_ns:");
        runs += number("run_cnt:");
    }
    Ok((time, runs))
}

/// Resident memory, MiB.
pub(crate) fn resident_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 =
        line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmRSS")?.trim().parse()?;
    Ok(kib / 1024.0)
}

const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";

/// While it lives, the kernel counts how long programs run, which costs each run some time.
pub(crate) struct Statistics {
    before: String,
}

impl Statistics {
    pub(crate) fn begin() -> Result<Self> {
        let before = fs::read_to_string(SWITCH).with_context(|| format!("cannot read {SWITCH}"))?;
        fs::write(SWITCH, "1").with_context(|| format!("cannot write {SWITCH}"))?;
        Ok(Self { before })
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        if let Err(error) = fs::write(SWITCH, self.before.trim()) {
            eprintln!("{SWITCH} could not be put back: {error}");
        }
    }
}
