//! A child process and everything it starts: one process group, ended as one.

use super::wait_for;
use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use std::{
    fs,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, Command, ExitStatus},
};

/// Killed as a whole when it is dropped, by the ids that we were given.
pub(crate) struct Group {
    name: String,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Group {
    pub(crate) fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command.process_group(0).spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { name: name.to_owned(), child, ended: None })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends a signal to the leader alone.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        signal_pid(self.pid(), signal)
    }

    pub(crate) fn is_running(&mut self) -> Result<bool> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait()?;
        }
        Ok(self.ended.is_none())
    }

    /// Waits for the leader's end: its exit code, or 128 and the number of the signal as a shell has it.
    pub(crate) fn code(&mut self) -> Result<i32> {
        let what = format!("the end of {}", self.name);
        wait_for(&what, || {
            self.is_running()?;
            let status = self.ended.context("it still runs")?;
            status.code().or_else(|| Some(128 + status.signal()?)).context("neither exited nor killed")
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The group lives on while any of its processes does, so its number is still ours; a missing group is none.
        if let Ok(pid) = i32::try_from(self.pid()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that we started.
pub(crate) fn signal_pid(pid: u32, signal: Signal) -> Result<()> {
    kill(Pid::from_raw(i32::try_from(pid)?), signal).with_context(|| format!("cannot signal {pid}"))
}

/// Every living process below `pid`, not itself, in order of their numbers.
pub(crate) fn descendants(pid: u32) -> Result<Vec<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc")?.filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // `pid (comm) state ppid ...`, `proc_pid_stat(5)`; a comm may hold blanks and brackets.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut fields = rest.split(' ');
        let (state, parent) = (fields.next(), fields.next().and_then(|parent| parent.parse::<u32>().ok()));
        if let Some(parent) = parent.filter(|_| state != Some("Z")) {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![pid];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    let mut below = found.split_off(1);
    below.sort_unstable();
    Ok(below)
}
