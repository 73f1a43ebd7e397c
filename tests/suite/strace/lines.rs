//! The lines of the same run: which of them tell calls of the workload, and what they say of sockets' addresses.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A line that tells a call, and its place among all lines.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) place: usize,
    pub(super) line: Value,
}

/// What the lines tell of the workload.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Calls by thread.
    pub(super) calls: BTreeMap<u64, Vec<Told>>,
    /// Wait statuses by process number.
    pub(super) ends: BTreeMap<u64, Vec<u64>>,
    /// `repair` and `lost`, of which there must be none.
    pub(super) healed: Vec<String>,
    /// Sockets by inode.
    sockets: BTreeMap<u64, String>,
    /// Local and peer's address of a socket, from which line on.
    addresses: BTreeMap<String, Vec<(usize, Address, Address)>>,
}

/// An address in a line; `None` where the line has none.
pub(super) type Address = Option<String>;

impl Lines {
    /// `root` is the number of the process that strace started. strace itself is followed too, as the command that
    /// sockreel started: what it does, what its other children do (it tries out ptrace with some), and what `root` did
    /// before its first program was strace's code, which strace does not show.
    pub(super) fn of(lines: &[Value], root: u32) -> Result<Self> {
        let strace = lines.iter().find(|line| line["event"] == "exec").context("no exec")?;
        let strace = text(strace, "process").context("no process")?;
        let mut read = Self::default();
        let mut others = BTreeSet::from([strace.clone()]);
        let mut root_process = None;
        for line in lines.iter().filter(|line| line["event"] == "fork" && line["process"] == strace) {
            let child = text(line, "child").context("a fork without a child")?;
            if child.starts_with(&format!("{root}@")) {
                root_process = Some(child);
            } else {
                others.insert(child);
            }
        }
        let root_process = root_process.with_context(|| format!("no line tells the fork of {root}"))?;
        let mut runs = false;
        for (place, line) in lines.iter().enumerate() {
            if line["event"] == "lost" || line["event"] == "repair" {
                read.healed.push(line.to_string());
            }
            let Some(process) = text(line, "process") else { continue };
            read.note(place, line);
            runs |= process == root_process && line["event"] == "exec" && line["ret"] == 0;
            // A send that gave its socket a port: strace's log does not say which one does. The port itself is compared
            // wherever the program asks for its address.
            if line["event"] == "bind" && line["call"] != "bind" {
                continue;
            }
            if others.contains(&process) || (process == root_process && !runs) {
                continue;
            }
            if line["event"] == "exit" {
                let (pid, status) = (line["pid"].as_u64(), line["status"].as_u64());
                read.ends.entry(pid.context("no pid")?).or_default().push(status.context("no status")?);
            } else if line["call"].is_string() && line["via"] == "syscall" && line["pending"] != true {
                let tid = line["tid"].as_u64().context("a call of no thread")?;
                read.call(tid, place, line);
            }
        }
        Ok(read)
    }

    /// One line a call; a `recvmsg` that brought several descriptors has a line for each, at one moment.
    fn call(&mut self, tid: u64, place: usize, line: &Value) {
        let calls = self.calls.entry(tid).or_default();
        let mut line = line.clone();
        if line["event"] == "pass" && line["new_fd"].is_number() && line["fds"].is_null() {
            let fd = line["new_fd"].clone();
            if let Some(Told { line: last, .. }) = calls.last_mut()
                && ["call", "ts_ns", "fd"].iter().all(|field| last[*field] == line[*field])
                && let Some(fds) = last["fds"].as_array_mut()
            {
                fds.push(fd);
                return;
            }
            line["fds"] = json!([fd]);
        }
        calls.push(Told { place, line });
    }

    fn note(&mut self, place: usize, line: &Value) {
        let Some(socket) = text(line, "socket") else { return };
        if let Some(inode) = line["inode"].as_u64() {
            self.sockets.insert(inode, socket.clone());
        }
        let known = self.addresses.entry(socket).or_default();
        known.push((place, text(line, "local"), text(line, "peer")));
    }

    /// The addresses that a socket may have had between two lines: the last ones up to the first of them, and all that
    /// came between them, since other threads go on meanwhile. Empty where nothing is told of that socket.
    pub(super) fn addresses(&self, inode: u64, (from, to): (usize, usize)) -> Vec<(Address, Address)> {
        let known = self.sockets.get(&inode).and_then(|socket| self.addresses.get(socket));
        let known = known.map_or(&[][..], Vec::as_slice);
        let start = known.partition_point(|(place, ..)| *place <= from).saturating_sub(1);
        let end = known.partition_point(|(place, ..)| *place < to.max(from + 1));
        let around = known.get(start..end).unwrap_or_default();
        around.iter().map(|(_, local, peer)| (local.clone(), peer.clone())).collect()
    }
}

fn text(line: &Value, field: &str) -> Option<String> {
    line[field].as_str().map(str::to_owned)
}
