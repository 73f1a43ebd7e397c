//! A command under both tracers, and the comparison of what they say.

use super::{
    compare::compare,
    facts::{ASKING, COVERED},
    log::Log,
    planted::edits_of_a_run_are_found,
};
use crate::harness::{Sockreel, lines, sound, wait_for};
use anyhow::{Context as _, Result, ensure};
use std::{
    ffi::OsString,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

/// How many differences a failure shows.
const SHOWN: usize = 12;

/// A command that runs under strace, which runs under sockreel.
pub(super) struct Traced {
    name: &'static str,
    sockreel: Sockreel,
    out: PathBuf,
    log: PathBuf,
}

impl Traced {
    pub(super) fn start(name: &'static str, dir: &Path, command: &[&str]) -> Result<Self> {
        let (out, log) = (dir.join("out.jsonl"), dir.join("strace.log"));
        // `?`: where strace does not know a call, a line that tells one is a difference.
        let calls: Vec<String> = COVERED.iter().chain(ASKING).map(|call| format!("?{call}")).collect();
        // With a filter in the kernel, other calls are not slowed down. Strings, and lists of descriptors, are whole; a
        // descriptor is shown with what it stands for.
        let strace = ["strace", "-f", "-q", "-y", "-ttt", "-s", "1024", "--seccomp-bpf", "-o"];
        let mut args: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
        // What a check would mend must be seen as a difference.
        args.extend(["--check", "off", "--"].map(OsString::from));
        args.extend(strace.iter().map(OsString::from));
        args.extend([log.clone().into(), "-e".into(), format!("trace={}", calls.join(",")).into()]);
        args.extend(command.iter().map(OsString::from));
        Ok(Self { name, sockreel: Sockreel::start(dir, name, &args)?, out, log })
    }

    /// The first process of the command: that of the first line of strace's log.
    pub(super) fn root(&self) -> Result<u32> {
        wait_for("strace's first line", || {
            let log = fs::read_to_string(&self.log)?;
            let (number, _) = log.split_once(' ').context("it is not there yet")?;
            Ok(number.parse()?)
        })
        .with_context(|| self.said())
    }

    pub(super) fn said(&self) -> String {
        self.sockreel.stdout().unwrap_or_default() + &self.sockreel.stderr().unwrap_or_default()
    }

    /// Waits for the command's end and compares. `expected` are the calls that the workload is there for, and how often
    /// they must have been made at least.
    pub(super) fn same(self, code: i32, expected: &[(&str, usize)]) -> Result<()> {
        let ended = self.sockreel.ended()?;
        ensure!(ended.code == code, "{}: exit code {}: {}{}", self.name, ended.code, ended.out, ended.err);
        let lines = lines(&self.out)?;
        sound(&lines)?;
        let log = Log::read(&String::from_utf8_lossy(&fs::read(&self.log)?))?;
        let found = compare(&log, &lines).with_context(|| self.name)?;
        for (call, least) in expected {
            let made = found.by_name.get(*call).copied().unwrap_or(0);
            ensure!(made >= *least, "{} made only {made} calls of {call}: {:?}", self.name, found.by_name);
        }
        // nginx asks for none; each of the others does.
        ensure!(self.name == "nginx" || found.addresses > 0, "{}: no address was compared", self.name);
        ensure!(
            found.differences.is_empty(),
            "{}: {} differences, among them\n{}",
            self.name,
            found.differences.len(),
            found.differences.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n")
        );
        let planted = edits_of_a_run_are_found(&log, &lines, &found).with_context(|| self.name)?;
        // Shown also where the test passes: these figures are the proof's size.
        writeln!(
            std::io::stderr(),
            "strace and sockreel, {}: {} and {} calls, {} threads, {} ends, {} addresses asked for, {} calls that \
             need no line and have none: no difference; {planted} edits planted and found",
            self.name,
            found.calls.0,
            found.calls.1,
            found.threads,
            found.ends,
            found.addresses,
            found.untold,
        )?;
        Ok(())
    }
}
