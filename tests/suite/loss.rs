//! Loss is an event: what a stopped reader misses is counted to the record, and the tables are right again afterwards.

use crate::harness::{Group, Sockreel, table, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

/// Makes more records than the ring buffer holds (16 MiB, at least 200 bytes each), then keeps some sockets, replaces
/// one descriptor and closes another: what a table needs a repair for. Says so; once told to, makes a record on every
/// CPU, so that none ends with a loss, and waits to be killed.
const FLOOD: &str = "
import os, socket, sys, time
early = os.open('/dev/null', os.O_RDONLY)
replaced = os.open('/dev/null', os.O_RDONLY)
sys.stdin.readline()
for turn in range(60000):
    socket.socket().close()
kept = [socket.socket() for turn in range(5)]
os.dup2(kept[0].fileno(), replaced)
os.close(early)
open(sys.argv[1], 'w').close()
sys.stdin.readline()
for cpu in os.sched_getaffinity(0):
    os.sched_setaffinity(0, {cpu})
    socket.socket().close()
open(sys.argv[1] + '2', 'w').close()
time.sleep(1000)
";

#[test]
fn a_stopped_reader_counts_what_it_missed_and_repairs() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let done = dir.path().join("done");
    let mut command = Command::new("python3");
    command.args(["-c", FLOOD]).arg(&done).stdin(Stdio::piped());
    let mut flood = Group::start("flood", &mut command)?;
    let pid = flood.pid();
    // Its two files are open before we attach.
    wait_for("two descriptors for /dev/null", || {
        let open = fs::read_dir(format!("/proc/{pid}/fd"))?
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.as_os_str() == "/dev/null")
            .count();
        ensure!(open >= 2, "{open}");
        Ok(())
    })?;
    let pid_text = pid.to_string();
    let mut serve =
        Sockreel::start(dir.path(), "serve", ["serve", "--listen", "127.0.0.1:0", "-p", &pid_text])?;
    let api = serve.api()?;
    wait_for("the table", || {
        let (told, known) = (api.table(pid, None)?, table(pid)?);
        ensure!(told == known, "{told:?}, not {known:?}");
        Ok(())
    })?;

    serve.group().signal(Signal::SIGSTOP)?;
    let mut orders = flood.child().stdin.take().context("no stdin")?;
    orders.write_all(b"flood\n")?;
    wait_for("the flood's end", || fs::metadata(&done).context("not there yet").map(drop))?;
    serve.group().signal(Signal::SIGCONT)?;

    wait_for("a repaired table", || {
        let (told, known) = (api.table(pid, None)?, table(pid)?);
        ensure!(told == known, "{told:?}, not {known:?}");
        let processes = api.get("processes")?;
        let standing = &processes["processes"][0]["standing"];
        ensure!(*standing == "repaired", "the process stands as {standing}");
        Ok(())
    })?;
    orders.write_all(b"go on\n")?;
    let last = dir.path().join("done2");
    wait_for("the last records", || fs::metadata(&last).context("not there yet").map(drop))?;
    wait_for("the last records' lines", || {
        let events = api.events()?;
        let opened = events.iter().any(|event| event["path"] == last.to_string_lossy().as_ref());
        ensure!(opened, "no event of {} opens it", events.len());
        Ok(())
    })?;
    let events = api.events()?;
    let (missing, told) = (missing(&events), lost(&events));
    ensure!(told > 0, "nothing was lost of 120,000 records: {} events", events.len());
    ensure!(missing == told, "{missing} numbers are missing, {told} are told");
    let status = &api.get("info")?["status"]["lost"];
    ensure!(
        status.as_f64() == Some(f64::from(u32::try_from(told)?)),
        "the status tells {status}, not {told}"
    );
    let causes: BTreeSet<&str> = events
        .iter()
        .filter(|event| event["event"] == "lost")
        .filter_map(|event| event["cause"].as_str())
        .collect();
    ensure!(causes == BTreeSet::from(["ring_full"]), "{causes:?}");
    ensure!(events.iter().any(|event| event["event"] == "repair"), "no repair is told");
    let ended = serve.interrupt()?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    Ok(())
}

/// Numbers of records that no line has, up to the highest of each CPU. Numbering begins at 0.
fn missing(events: &[Value]) -> u64 {
    let mut cpus: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for event in events.iter().filter(|event| event["event"] != "lost") {
        if let (Some(cpu), Some(seq)) = (event["cpu"].as_u64(), event["cpu_seq"].as_u64()) {
            cpus.entry(cpu).or_default().insert(seq);
        }
    }
    cpus.values().filter_map(|seen| Some(seen.last()? + 1 - u64::try_from(seen.len()).ok()?)).sum()
}

fn lost(events: &[Value]) -> u64 {
    events.iter().filter(|event| event["event"] == "lost").filter_map(|event| event["count"].as_u64()).sum()
}
