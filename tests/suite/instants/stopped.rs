//! Processes at an instant: all of them stopped.

use crate::harness::{descendants, signal_pid, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use std::{collections::BTreeSet, fs};

/// `vfork` (arch/x86/entry/syscalls/syscall_64.tbl).
const VFORK: &str = "58";

/// Everything below a process, but for one; goes on when it is dropped.
pub(super) struct Stopped {
    pub(super) pids: BTreeSet<u32>,
}

impl Stopped {
    /// Stops `root` and everything below it. A call that blocks is interrupted by that: it returns to user space to be
    /// restarted, so that no call is under way, but for a `vfork` whose child is stopped before it executes or exits.
    pub(super) fn below(root: u32, but: u32) -> Result<Self> {
        let mut stopped = Self { pids: BTreeSet::new() };
        wait_for("all of them to stop", || {
            let mut living = BTreeSet::from([root]);
            living.extend(descendants(root)?);
            living.remove(&but);
            // Signal 0 says nothing: who ends meanwhile is not stopped.
            for pid in living.difference(&stopped.pids) {
                let _ = signal_pid(*pid, Signal::SIGSTOP);
            }
            // Also where one was missed: the list is read one by one, and a parent that ends meanwhile hides its children.
            let others: Vec<u32> = living.symmetric_difference(&stopped.pids).copied().collect();
            stopped.pids = living;
            ensure!(others.is_empty(), "{others:?} were not there before, or are not any more");
            let mut ended = Vec::new();
            for pid in &stopped.pids {
                if !is_stopped(*pid)? {
                    ended.push(*pid);
                }
            }
            for pid in ended {
                stopped.pids.remove(&pid);
            }
            Ok(())
        })?;
        Ok(stopped)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for pid in &self.pids {
            let _ = signal_pid(*pid, Signal::SIGCONT);
        }
    }
}

/// Whether a process is there and all its tasks are stopped; false where it has ended.
fn is_stopped(pid: u32) -> Result<bool> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Ok(false) };
    let mut living = false;
    for task in tasks {
        let dir = task?.path();
        let Ok(stat) = fs::read_to_string(dir.join("stat")) else { continue };
        // The name before the state may hold anything (proc_pid_stat(5)).
        let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
        match state.context("no state")? {
            'T' => living = true,
            'Z' | 'X' => {}
            'D' if in_vfork(&dir) => living = true,
            state => anyhow::bail!("a task of {pid} is in state {state}: {stat}"),
        }
    }
    Ok(living)
}

fn in_vfork(task: &std::path::Path) -> bool {
    fs::read_to_string(task.join("syscall")).is_ok_and(|call| call.split(' ').next() == Some(VFORK))
}
