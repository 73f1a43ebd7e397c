//! The ends of a program's processes: as wait(2) told them, with what was open then.

use super::compare::sorted;
use serde_json::Value;
use std::collections::BTreeSet;
use tracer_tests::log::{End, Entry, Log};

/// Ends that were compared, and those of which the table was known too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) processes: usize,
    pub(super) tables: usize,
}

impl std::ops::AddAssign for Ends {
    fn add_assign(&mut self, other: Self) {
        self.processes += other.processes;
        self.tables += other.tables;
    }
}

/// Compares the ends; every difference in words.
pub(super) fn compare_ends(log: &Log, lines: &[Value]) -> (Ends, Vec<String>) {
    let mut compared = Ends::default();
    let mut differences = Vec::new();
    let told: Vec<&Value> = lines.iter().filter(|line| line["event"] == "exit").collect();
    let pids: BTreeSet<u32> =
        log.ends.iter().map(|end| end.pid).chain(told.iter().map(|line| number(&line["pid"]))).collect();
    for pid in pids {
        let known: Vec<&End> = log.ends.iter().filter(|end| end.pid == pid).collect();
        let told: Vec<&Value> = told.iter().copied().filter(|line| number(&line["pid"]) == pid).collect();
        let ([known], [line]) = (&known[..], &told[..]) else {
            differences.push(format!("process {pid} ended as {known:?}, told is {told:?}"));
            continue;
        };
        compared.processes += 1;
        let table = open_at_end(log, pid);
        compared.tables += usize::from(table.is_some());
        let mut fields: Vec<(&str, Value)> = vec![("status", known.status.into()), ("via", "exit".into())];
        fields.extend(table.map(|table| ("fds", table)));
        for (field, known) in fields {
            let told = if field == "fds" { sorted(fds(line)) } else { line[field].clone() };
            if told != known {
                differences
                    .push(format!("process {pid}: {field} is told as {told}, known is {known}: {line}"));
            }
        }
        // Which of its threads was the last, only the kernel knows.
        let tid = number(&line["tid"]);
        if tid != pid && !log.entries.iter().any(|entry| (entry.pid, entry.tid) == (pid, tid)) {
            differences.push(format!("process {pid} has no thread {tid}: {line}"));
        }
    }
    let mut ended = BTreeSet::new();
    for line in lines {
        let pid = number(&line["pid"]);
        if line["event"] == "exit" {
            ended.insert(pid);
        } else if line["via"] == "syscall" && ended.contains(&pid) {
            differences.push(format!("process {pid} had ended: {line}"));
        }
    }
    (compared, differences)
}

/// The numbers that a process had open at its end and nobody else: what its end closed. `None` where its log does not know:
///
/// - Others had its table (`CLONE_FILES`): they go on with it, and which of those that end at the same time is the last one, which
///   closes what is open, only the kernel knows.
/// - One of its threads had a table of its own: it ended with that thread, which others may have killed.
fn open_at_end(log: &Log, pid: u32) -> Option<Value> {
    let call = |entry: &Entry, call: &str| entry.call.as_deref() == Some(call) && entry.ret >= 0;
    // An exec leaves one thread, and a table that is nobody else's.
    let exec = log.entries.iter().rposition(|entry| entry.pid == pid && call(entry, "execve"));
    let since = log.entries.get(exec.map_or(0, |exec| exec + 1)..)?;
    let made = |entry: &&Entry| entry.ret == i64::from(pid);
    if let Some(vfork) = since.iter().filter(made).find(|entry| call(entry, "vfork")) {
        return vfork.table.as_deref().map(|table| sorted(table.iter().map(|slot| slot.fd)));
    }
    let shares = |entry: &&Entry| call(entry, "clone") && entry.args[0] & i64::from(libc::CLONE_FILES) != 0;
    if since.iter().filter(shares).any(|entry| entry.pid == pid || made(&entry)) {
        return None;
    }
    let own = || since.iter().filter(|entry| entry.pid == pid);
    // `CLOSE_RANGE_UNSHARE` (close_range(2)).
    let parts =
        |entry: &Entry| call(entry, "unshare") || call(entry, "close_range") && entry.args[2] & 2 != 0;
    let threads: BTreeSet<u32> = own().map(|entry| entry.tid).collect();
    if threads.len() > 1 && own().any(parts) {
        return None;
    }
    let last = own().rfind(|entry| entry.call.as_deref().is_none_or(|call| call == "exit_group"))?;
    last.table.as_deref().map(|table| sorted(table.iter().map(|slot| slot.fd)))
}

fn fds(line: &Value) -> impl Iterator<Item = i32> {
    let fds = line["fds"].as_array().into_iter().flatten();
    fds.filter_map(|fd| i32::try_from(fd.as_i64()?).ok())
}

fn number(value: &Value) -> u32 {
    value.as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}
