//! At random instants everything that is traced is stopped, and what the daemon tells of every process is compared with
//! what the kernel has: each descriptor, and each socket behind one.

mod kernel;
mod listed;
mod sockets;
mod stopped;

use crate::{
    harness::{Api, Sockreel, signal_pid, sound, wait_for},
    programs,
};
use anyhow::{Context as _, Result, ensure};
use kernel::Held;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt::Write as _,
    fs,
    path::Path,
    thread,
    time::Duration,
};
use stopped::Stopped;

/// Programs that the interpreter runs again and again beside the servers.
const PROGRAMS: usize = 200;
/// The longest time between two instants, milliseconds.
const APART_MS: u64 = 30;

/// At each so manieth instant everything that is told to be there is compared, and not only what processes hold: the answer is long.
const WHOLE: usize = 10;

/// What was compared.
#[derive(Debug, Default)]
struct Size {
    instants: usize,
    processes: usize,
    descriptors: usize,
    /// Tables that a thread has and its leader does not.
    of_threads: usize,
    /// Sockets, by protocol or family, that were compared with the kernel's.
    sockets: BTreeMap<&'static str, usize>,
    /// Sockets of which the kernel shows nothing: neither bound nor connected.
    hidden: usize,
    /// Unix sockets whose other end was compared.
    other_ends: usize,
    listeners: usize,
    /// Connections that no descriptor points to.
    loose: usize,
    /// Sockets that do not block.
    nonblocking: usize,
}

/// What must have been compared of each at least, for each instant: the servers hold as many all the time.
const LEAST: [(&str, usize); 6] =
    [("tcp", 8), ("udp", 1), ("unix", 1), ("raw", 1), ("packet", 1), ("netlink", 1)];

#[test]
fn at_any_instant_the_tables_are_the_kernels() -> Result<()> {
    let instants = if std::env::var_os("SOCKREEL_FULL").is_some() { 1_000 } else { 40 };
    let dir = tempfile::tempdir()?;
    let reel = dir.path().join("reel");
    let mut serve = Sockreel::start(dir.path(), "serve", arguments(dir.path())?)?;
    let api = serve.api()?;
    let marker: u32 =
        wait_for("the workload", || Ok(fs::read_to_string(dir.path().join("marker"))?.parse()?))
            .with_context(|| serve.stderr().unwrap_or_default())?;
    let leader = serve.command("/usr/bin/python3")?.first().copied().context("no workload")?;

    let mut size = Size::default();
    let mut seen = 1;
    let mut random = programs::seed()?;
    for instant in 1..=instants {
        // A linear congruential generator (Knuth, MMIX): when is all that it decides.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thread::sleep(Duration::from_millis((random >> 33) % APART_MS));
        let stopped = Stopped::below(leader, marker)?;
        let before = kernel::sockets(leader)?;
        signal_pid(marker, Signal::SIGUSR1)?;
        seen = drained(&api, instant, seen)?;
        let mut differences = String::new();
        let mut told_sockets = Vec::new();
        let mut living = BTreeSet::new();
        size.instants += 1;
        for pid in stopped.pids.iter().chain([&marker]) {
            let Some(known) = kernel::held(*pid)? else { continue };
            living.insert(u64::from(*pid));
            let answer = api.get(&format!("descriptors?pid={pid}"))?;
            size.processes += 1;
            let told = told_tables(&answer)?;
            let own = answer["process"]["table"]
                .as_str()
                .and_then(|own| told.get(own))
                .cloned()
                .unwrap_or_default();
            size.descriptors += known.len();
            for (fd, difference) in table_differences(&known, &own) {
                writeln!(differences, "{pid}, descriptor {fd}: {difference}\n{}", history(&api, *pid, fd)?)?;
            }
            let threads = kernel::tables_of_threads(*pid)?;
            size.of_threads += threads.iter().filter(|thread| **thread != known).count();
            for thread in threads.iter().filter(|thread| !told.values().any(|told| told == *thread)) {
                writeln!(differences, "{pid}: a thread has {thread:?}, told is {told:?}")?;
            }
            for told in told.values().filter(|told| **told != known && !threads.contains(told)) {
                writeln!(differences, "{pid}: told is {told:?}, which no thread has")?;
            }
            if answer["process"]["standing"] != "exact" {
                writeln!(differences, "process {pid} stands as {}", answer["process"])?;
            }
            size.nonblocking += known.values().filter(|held| held.nonblock).count();
            let sockets = answer["sockets"].as_array().context("no sockets")?;
            for untold in sockets::untold(&known, sockets)? {
                writeln!(differences, "{pid}: nothing is told of socket {untold}")?;
            }
            told_sockets.extend(sockets.iter().cloned());
        }
        let loose = if instant % WHOLE == 0 { Some(sockets::loose(&api, &told_sockets)?) } else { None };
        let after = kernel::sockets(leader)?;
        if let Some(told) = loose {
            size.loose += told.len();
            differences += &sockets::loose_differences(&told, &before, &after);
            let told = living_processes(&api)?;
            if told != living {
                writeln!(differences, "told to live are {told:?}, but it is {living:?} who do")?;
            }
        }
        for twice in sockets::several(&told_sockets)? {
            writeln!(differences, "one socket of the kernel is told as several: {twice}")?;
        }
        let told_inodes = sockets::inodes(&told_sockets);
        for told in &told_sockets {
            let found =
                sockets::differences(told, &told_inodes, (&before.by_inode, &after.by_inode), &mut size)?;
            if !found.is_empty() {
                writeln!(differences, "{told}: {}", found.join("; "))?;
            }
        }
        ensure!(differences.is_empty(), "instant {instant} of {instants}:\n{differences}");
        drop(stopped);
    }
    println!("{size:?}");
    for (protocol, least) in LEAST {
        let compared = size.sockets.get(protocol).copied().unwrap_or(0);
        ensure!(
            compared >= least * instants,
            "{compared} {protocol} sockets at {instants} instants: {size:?}"
        );
    }
    for (what, compared) in [
        ("descriptors", size.descriptors / 100),
        ("listeners", size.listeners / 4),
        ("other ends", size.other_ends),
        ("sockets that do not block", size.nonblocking),
    ] {
        ensure!(compared >= instants, "too few {what} at {instants} instants: {size:?}");
    }
    // Which are rare: they last for a few calls, and some were there at whole instants alone.
    let rare = size.of_threads > 0 && size.loose > 0;
    ensure!(instants < 1_000 || rare, "no thread with its own table, or no connection without one: {size:?}");
    drop(api);
    // Stopped, so that none of them starts another one meanwhile.
    let stopped = Stopped::below(leader, marker)?;
    for pid in stopped.pids.iter().chain([&marker]) {
        signal_pid(*pid, Signal::SIGKILL)?;
    }
    let ended = serve.interrupt()?;
    ensure!(ended.code == 0 || ended.code == 128 + 9, "{}: {}", ended.code, ended.err);
    let dump = Sockreel::run(dir.path(), "dump", [OsString::from("dump"), "--json".into(), reel.into()])?;
    let lines: Vec<Value> = dump.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    sound(&lines)?;
    println!("{} events", lines.len());
    Ok(())
}

/// Processes that are told to live.
fn living_processes(api: &Api) -> Result<BTreeSet<u64>> {
    let answer = api.get("processes")?;
    let processes = answer["processes"].as_array().context("no processes")?;
    let living = processes.iter().filter(|process| process["ended"].is_null());
    living.map(|process| process["pid"].as_u64().context("no pid")).collect()
}

/// A daemon over the workload, in a network of its own.
fn arguments(dir: &Path) -> Result<Vec<OsString>> {
    let program = dir.join("programs");
    programs::write(&programs::random(PROGRAMS)?, &program)?;
    let mut args: Vec<OsString> =
        ["serve", "--check", "off", "--listen", "127.0.0.1:0", "--record"].map(OsString::from).to_vec();
    args.extend([dir.join("reel").into(), "--".into()]);
    args.extend(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"].map(OsString::from),
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/instants/workload.py");
    args.extend(["/usr/bin/python3".into(), script.into(), dir.into()]);
    args.extend([env!("CARGO_BIN_EXE_interpreter"), "drive"].map(OsString::from));
    args.extend([program.into(), "/dev/null".into(), dir.into(), "forever".into()]);
    Ok(args)
}

/// Waits until the stream has come to the marker's call; returns the number of the line behind it.
fn drained(api: &Api, instant: usize, from: u64) -> Result<u64> {
    let path = format!("/sockreel/mark/{instant}");
    wait_for("the mark", || {
        let answer = api.get(&format!("events?from_seq={from}&limit=1&filter=path:{path}"))?;
        let seq = answer["events"][0]["seq"].as_u64();
        Ok(seq.with_context(|| format!("no {path}"))? + 1)
    })
}

type Table = BTreeMap<i64, Held>;

/// The tables of a process, its own and those of its threads.
fn told_tables(answer: &Value) -> Result<BTreeMap<String, Table>> {
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    let nonblocking = sockets::nonblocking(answer)?;
    for row in answer["descriptors"].as_array().context("no descriptors")? {
        let text =
            |field: &str| row[field].as_str().map(str::to_owned).with_context(|| format!("no {field}"));
        let held = Held {
            kind: text("kind")?,
            ino: text("ino")?.parse()?,
            dev: text("dev")?,
            cloexec: row["cloexec"] == true,
            nonblock: row["socket"].as_str().is_some_and(|socket| nonblocking.contains(socket)),
        };
        tables.entry(text("table")?).or_default().insert(row["fd"].as_i64().context("no fd")?, held);
    }
    Ok(tables)
}

fn table_differences(known: &Table, told: &Table) -> Vec<(i64, String)> {
    let mut numbers: Vec<i64> = known.keys().chain(told.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let differs = |fd: &i64| known.get(fd) != told.get(fd);
    let tell = |fd| (fd, format!("told {:?}, but the kernel has {:?}", told.get(&fd), known.get(&fd)));
    numbers.into_iter().filter(differs).map(tell).collect()
}

/// The newest events of a slot, of every process that uses or used its table.
fn history(api: &Api, pid: u32, fd: i64) -> Result<String> {
    let answer = api.get("processes")?;
    let processes = answer["processes"].as_array().context("no processes")?;
    let of_pid = processes.iter().rev().find(|process| process["pid"] == pid).context("no such process")?;
    let related: Vec<&Value> = processes
        .iter()
        .filter(|process| process["table"] == of_pid["table"])
        .map(|process| &process["id"])
        .collect();
    let about = |event: &&Value| {
        let fds = event["fds"].as_array().is_some_and(|fds| fds.iter().any(|one| one == fd));
        let kind = event["event"].as_str().unwrap_or_default();
        let whole = ["fork", "exec", "exit", "unshare"].contains(&kind);
        (related.contains(&&event["process"]) && (whole || event["fd"] == fd || event["new_fd"] == fd || fds))
            || related.contains(&&event["child"])
    };
    let events = api.events()?;
    let found: Vec<String> = events.iter().filter(about).map(|event| format!("    {event}")).collect();
    Ok(format!("    {related:?} use the table\n{}", found[found.len().saturating_sub(16)..].join("\n")))
}
