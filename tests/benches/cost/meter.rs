//! What a running program costs: its own time on the CPUs, that of its programs in the kernel, its memory.

use anyhow::{Context as _, Result};
use std::{collections::BTreeMap, fs};

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

/// Time in the kernel programs that a process holds, nanoseconds, and how often they ran, by name (`/proc/PID/fdinfo`); counted
/// while [`Statistics`] lives. A program that is loaded twice is one of them.
pub(crate) fn programs(pid: u32) -> Result<BTreeMap<String, Ran>> {
    let names = names()?;
    let mut programs: BTreeMap<String, Ran> = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let Ok(text) = fs::read_to_string(entry?.path()) else { continue };
        let field = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
        // Links name the program a second time; only the program's own descriptor has these lines and no link's.
        let Some(tag) = field("prog_tag:").filter(|_| field("link_type:").is_none()) else { continue };
        let number = |name: &str| field(name).and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        let program = programs.entry(names.get(tag).cloned().unwrap_or_else(|| tag.to_owned())).or_default();
        program.ns += number("run_time_ns:");
        program.runs += number("run_cnt:");
    }
    Ok(programs)
}

/// How long a kernel program ran, nanoseconds, and how often.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ran {
    pub(crate) ns: u64,
    pub(crate) runs: u64,
}

/// What programs came to between two looks.
pub(crate) fn since(now: BTreeMap<String, Ran>, before: &BTreeMap<String, Ran>) -> BTreeMap<String, Ran> {
    let less = |(name, ran): (String, Ran)| {
        let before = before.get(&name).copied().unwrap_or_default();
        (name, Ran { ns: ran.ns - before.ns, runs: ran.runs - before.runs })
    };
    now.into_iter().map(less).collect()
}

/// Names of the programs in the kernel by their tags: the symbols of compiled ones are `bpf_prog_TAG_NAME`
/// (`bpf_prog_ksym_set_name`, kernel/bpf/core.c).
fn names() -> Result<BTreeMap<String, String>> {
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    let programs =
        symbols.lines().filter_map(|line| line.split_whitespace().nth(2)?.strip_prefix("bpf_prog_"));
    let named = programs.filter_map(|symbol| symbol.split_once('_'));
    Ok(named.map(|(tag, name)| (tag.to_owned(), name.to_owned())).collect())
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
