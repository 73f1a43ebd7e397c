//! Where time goes: samples of perf(1) of everything that runs, and what of them belongs to one process.
//!
//! The clock that samples is the CPU's (`cpu-clock`), which every machine has. Sampling costs time itself, so that a profile says
//! where time goes and no more: figures that are held against goals are taken without.

use crate::{
    harness::{Group, wait_for},
    load::as_f64,
};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// Samples a second of each CPU; a prime number, so that nothing that is periodic is always met or always missed.
const HERTZ: u32 = 4_999;
/// Functions that are shown.
const SHOWN: usize = 10;

/// A perf(1) that samples.
pub(crate) struct Sampling {
    perf: Group,
    dir: TempDir,
}

impl Sampling {
    /// Returns when every CPU is sampled.
    pub(crate) fn begin() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut command = Command::new("perf");
        command.args(["record", "--quiet", "--all-cpus", "--event", "cpu-clock", "--freq"]);
        command.arg(HERTZ.to_string()).arg("--output").arg(file(&dir));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let perf = Group::start("perf", &mut command)?;
        let (cpus, fds) = (std::thread::available_parallelism()?.get(), format!("/proc/{}/fd", perf.pid()));
        wait_for("perf to sample", || {
            let links = fs::read_dir(&fds)?.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
            let events = links.filter(|link| link.to_string_lossy().contains("[perf_event]")).count();
            ensure!(events >= cpus, "{events} events");
            Ok(())
        })?;
        Ok(Self { perf, dir })
    }

    /// Stops.
    pub(crate) fn end(mut self) -> Result<Samples> {
        self.perf.signal(Signal::SIGINT)?;
        self.perf.code()?;
        Ok(Samples { dir: self.dir })
    }
}

/// What was sampled.
pub(crate) struct Samples {
    dir: TempDir,
}

impl Samples {
    /// What a process did, all of its threads.
    pub(crate) fn of(&self, pid: u32) -> Result<Profile> {
        let mut command = Command::new("perf");
        command.args(["report", "--stdio", "--no-children", "--fields", "sample,dso,sym"]);
        command.args(["--field-separator", "\t", "--pid", &pid.to_string(), "--input"]).arg(file(&self.dir));
        let output =
            command.stdin(Stdio::null()).stderr(Stdio::null()).output().context("cannot run perf")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let rows = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let [samples, file, symbol] = line.split('\t').map(str::trim).collect::<Vec<_>>()[..] else {
                return None;
            };
            Some((function(file, symbol), as_f64(samples.parse().ok()?) * 1e9 / f64::from(HERTZ)))
        });
        let mut ns: BTreeMap<String, f64> = BTreeMap::new();
        for (function, more) in rows {
            *ns.entry(function).or_default() += more;
        }
        ensure!(!ns.is_empty(), "perf saw nothing of {pid}: {text}");
        Ok(Profile { ns })
    }
}

fn file(dir: &TempDir) -> PathBuf {
    dir.path().join("perf.data")
}

/// A function's name: kernel programs are `bpf_prog_TAG_NAME` (`bpf_prog_ksym_set_name`, kernel/bpf/core.c). perf puts in front
/// whether it is the kernel's (`[k]`).
fn function(file: &str, symbol: &str) -> String {
    let (mark, name) = symbol.split_once(' ').unwrap_or(("", symbol));
    if let Some((_, program)) = name.strip_prefix("bpf_prog_").and_then(|name| name.split_once('_')) {
        format!("program {program}")
    } else if mark == "[k]" {
        format!("{name} (kernel)")
    } else {
        format!("{name} ({file})")
    }
}

/// Time on the CPUs by function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    /// Nanoseconds.
    ns: BTreeMap<String, f64>,
}

impl Profile {
    /// The same for each of so many.
    pub(crate) fn each(self, count: f64) -> Self {
        Self { ns: self.ns.into_iter().map(|(function, ns)| (function, ns / count)).collect() }
    }

    /// What is more than in another one.
    pub(crate) fn more_than(mut self, other: &Self) -> Self {
        for (function, ns) in &other.ns {
            *self.ns.entry(function.clone()).or_default() -= ns;
        }
        self
    }

    /// The sum, and the functions in which the most time goes.
    pub(crate) fn parts(&self, of: &str, unit: Unit) -> Vec<String> {
        let mut parts: Vec<_> = self.ns.iter().collect();
        parts.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        let all: f64 = self.ns.values().sum();
        let shown = parts.iter().take(SHOWN);
        let rest = all - shown.clone().map(|(_, ns)| **ns).sum::<f64>();
        let part = |(function, ns): &(&String, &f64)| format!("{function}: {}", unit.of(**ns));
        let first = format!("in all {} {of}", unit.of(all));
        let last = format!("in {} other functions: {}", parts.len().saturating_sub(SHOWN), unit.of(rest));
        [first].into_iter().chain(shown.map(part)).chain([last]).collect()
    }
}

/// In what a profile is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Nanoseconds,
    Milliseconds,
}

impl Unit {
    fn of(self, ns: f64) -> String {
        match self {
            Self::Nanoseconds => format!("{ns:.0} ns"),
            Self::Milliseconds => format!("{:.1} ms", ns / 1e6),
        }
    }
}
