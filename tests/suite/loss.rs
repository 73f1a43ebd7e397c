//! Loss is an event: what a stopped reader misses is counted to the record, and the tables are right again afterwards.

use crate::harness::{Api, Group, Sockreel, table, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

/// Makes more records than the ring buffer holds (16 MiB, at least 200 bytes each), then keeps some sockets, replaces
/// one descriptor and closes another, and ends connections, one of them in a queue: what needs a repair. Says so; once told
/// to, makes a record on every CPU, so that none ends with a loss, and waits to be killed.
const FLOOD: &str = "
import json, os, socket, sys, time
early = os.open('/dev/null', os.O_RDONLY)
replaced = os.open('/dev/null', os.O_RDONLY)
listener = socket.create_server(('127.0.0.1', 0))
stays = [socket.create_connection(listener.getsockname()), listener.accept()[0]]
goes = [socket.create_connection(listener.getsockname()), listener.accept()[0]]
sys.stdin.readline()
waits = socket.create_connection(listener.getsockname())
known = {
    'stays': [os.fstat(one.fileno()).st_ino for one in stays],
    'goes': [os.fstat(one.fileno()).st_ino for one in goes],
    'waits': waits.getsockname()[1],
}
for turn in range(60000):
    socket.socket().close()
kept = [socket.socket() for turn in range(5)]
os.dup2(kept[0].fileno(), replaced)
os.close(early)
for one in goes:
    one.close()
listener.close()
with open(sys.argv[1] + '.part', 'w') as file:
    json.dump(known, file)
os.rename(sys.argv[1] + '.part', sys.argv[1])
sys.stdin.readline()
for cpu in os.sched_getaffinity(0):
    os.sched_setaffinity(0, {cpu})
    socket.socket().close()
open(sys.argv[1] + '2', 'w').close()
time.sleep(1000)
";

/// How records are made to be lost.
#[derive(Clone, Copy, PartialEq)]
enum How {
    /// The reader is stopped.
    Stopped,
    /// The ring buffer has one page.
    OnePage,
    /// Others take the CPUs, and the reader comes last.
    Busy,
}

#[test]
fn a_stopped_reader_counts_what_it_missed_and_repairs() -> Result<()> {
    loses(How::Stopped)
}

#[test]
fn a_ring_of_one_page_counts_what_it_missed_and_repairs() -> Result<()> {
    loses(How::OnePage)
}

#[test]
fn a_reader_without_a_cpu_counts_what_it_missed_and_repairs() -> Result<()> {
    loses(How::Busy)
}

fn loses(how: How) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let done = dir.path().join("done");
    let mut command = Command::new("/usr/bin/python3");
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
    let mut command = match how {
        How::Busy => Command::new("nice"),
        How::Stopped | How::OnePage => Command::new(Sockreel::program()?),
    };
    if how == How::Busy {
        command.args(["-n", "19"]).arg(Sockreel::program()?);
    }
    let buffer = match how {
        How::Stopped => "16M",
        How::OnePage => "4K",
        How::Busy => "64K",
    };
    // No check: what is set right is set right because of the loss.
    command.args(["serve", "--check", "off", "--buffer", buffer, "--listen", "127.0.0.1:0", "-p"]);
    let mut serve = Sockreel::start_command(dir.path(), "serve", command.arg(pid.to_string()))?;
    let api = serve.api()?;
    wait_for("the table", || same(&api, pid))?;

    let mut others = Vec::new();
    match how {
        How::Stopped => serve.group().signal(Signal::SIGSTOP)?,
        How::OnePage => {}
        How::Busy => {
            for number in 0..2 * std::thread::available_parallelism()?.get() {
                let name = format!("other {number}");
                others.push(Group::start(
                    &name,
                    Command::new("/usr/bin/python3").args(["-c", "while True: pass"]),
                )?);
            }
        }
    }
    let mut orders = flood.child().stdin.take().context("no stdin")?;
    orders.write_all(b"flood\n")?;
    let known: Value = wait_for("the flood's end", || {
        Ok(serde_json::from_str(&fs::read_to_string(&done).context("not there yet")?)?)
    })?;
    drop(others);
    if how == How::Stopped {
        serve.group().signal(Signal::SIGCONT)?;
    }

    wait_for("a table that is right again", || {
        same(&api, pid)?;
        let processes = api.get("processes")?;
        let standing = &processes["processes"][0]["standing"];
        ensure!(*standing != "doubtful", "the process stands as {standing}");
        // The dup2 and the close at the end are certainly among what a stopped reader missed.
        ensure!(how != How::Stopped || *standing == "repaired", "the process stands as {standing}");
        lives(&api, &known, how)
    })?;
    orders.write_all(b"go on\n")?;
    let last = dir.path().join("done2");
    wait_for("the last records", || fs::metadata(&last).context("not there yet").map(drop))?;
    wait_for("the last records' lines, and a table that is right", || {
        let events = api.events()?;
        let opened = events.iter().any(|event| event["path"] == last.to_string_lossy().as_ref());
        ensure!(opened || how == How::OnePage, "no event of {} opens it", events.len());
        same(&api, pid)
    })?;
    let events = api.events()?;
    standings(&events, how)?;
    let (missing, told) = (missing(&events), lost(&events));
    ensure!(told > 0, "nothing was lost of 120,000 records: {} events", events.len());
    // Of a small ring, the very last numbers may be among the lost.
    ensure!(missing == told || how == How::OnePage, "{missing} numbers are missing, {told} are told");
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
    if how == How::Stopped {
        ensure!(events.iter().any(|event| event["event"] == "repair"), "no repair is told");
    }
    let ended = serve.interrupt()?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    println!("{}", ended.err.trim());
    Ok(())
}

fn same(api: &Api, pid: u32) -> Result<()> {
    let (told, known) = (api.table(pid, None)?, table(pid)?);
    ensure!(told == known, "{told:?}, not {known:?}");
    Ok(())
}

/// What the lines say of how the process stood: doubtful from a loss on, and why, until it is settled by what came after it; at the
/// end it is.
fn standings(events: &[Value], how: How) -> Result<()> {
    let mut stands = ("exact", 0, 0);
    for line in events.iter().filter(|event| event["event"] == "standing") {
        let number = |field: &str| line[field].as_u64().unwrap_or(0);
        let before = |event: &&Value| event["seq"].as_u64() < line["seq"].as_u64();
        let mut earlier = events.iter().filter(before);
        stands = match (stands, line["standing"].as_str()) {
            (("exact" | "repaired", ..), Some("doubtful")) => {
                ensure!(line["why"] == "ring_full", "{line}");
                // Since the moment of a line that tells a loss.
                let loss =
                    earlier.find(|event| event["event"] == "lost" && event["ts_ns"] == line["since_ns"]);
                ensure!(loss.is_some(), "no loss at the moment of {line}");
                ("doubtful", number("since_ns"), stands.2)
            }
            (("doubtful", since, 0), Some("exact")) => {
                ensure!(how != How::Stopped && line["since_ns"].is_null(), "{line}");
                ("exact", since, 0)
            }
            (("doubtful" | "repaired", since, count), Some("repaired")) => {
                ensure!(number("repaired") >= count.max(1) && number("since_ns") > since, "{line}");
                ensure!(earlier.any(|event| event["via"] == "repair"), "nothing was repaired before {line}");
                ("repaired", number("since_ns"), number("repaired"))
            }
            (stands, _) => anyhow::bail!("{stands:?}, and then {line}"),
        };
    }
    ensure!(stands.0 != "doubtful" && stands.1 > 0, "at the end it is {stands:?}");
    Ok(())
}

/// Which sockets ended, and which did not: one that has no descriptor has no row in a snapshot.
fn lives(api: &Api, known: &Value, how: How) -> Result<()> {
    let answer = api.get("sockets")?;
    let sockets = answer["sockets"].as_array().context("no sockets")?;
    let is = |what: &str, fits: &dyn Fn(&Value) -> bool, right: (&str, bool)| {
        let socket =
            sockets.iter().find(|socket| fits(socket)).with_context(|| format!("{what} is not told"))?;
        let last = socket["steps"].as_array().and_then(|steps| steps.last()).context("no steps")?;
        let (phase, ended) = (&last["phase"], !socket["ended"].is_null());
        ensure!(*phase == right.0 && ended == right.1, "{what} is {phase}, ended: {ended}");
        Ok(())
    };
    for (which, right) in [("stays", ("connected", false)), ("goes", ("closed", true))] {
        for inode in known[which].as_array().context("no inodes")? {
            is(which, &|socket| socket["ino"] == json!(inode.to_string()), right)?;
        }
    }
    // What was queued while the buffer had room. It was never accepted: it has no inode of its own.
    let peer = format!("127.0.0.1:{}", known["waits"]);
    let queued = |socket: &Value| socket["peer"] == *peer && socket["ino"] == "0";
    if how == How::Stopped { is("the one in the queue", &queued, ("closed", true)) } else { Ok(()) }
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
