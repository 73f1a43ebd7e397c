//! Operations of io_urings against what the program that submitted them wrote down: strace sees none of them.

use crate::harness::{Group, Sockreel, lines, signal_pid, sound, table, wait_for, wait_within};
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::Path,
    process::Command,
    time::Duration,
};

const SERVER: &str = env!("CARGO_BIN_EXE_uring-server");

/// Compares the program's log with the lines of its operations, from one run in `mode`.
fn compare(mode: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (log, out) = (dir.path().join("log.json"), dir.path().join("out.jsonl"));
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(OsString::from).into();
    args.extend([out.clone().into(), "--".into(), SERVER.into(), log.clone().into()]);
    args.push(mode.into());
    let ended = Sockreel::run(dir.path(), "uring", args)?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    println!("{} operations compared, mode {mode:?}", same_operations(&log, &out)?);
    Ok(())
}

/// Operations that a ring server does where the kernel has them, and did not do.
pub(crate) fn left_out(log: &Path) -> Result<Vec<&'static str>> {
    let known: Vec<Value> = serde_json::from_str(&fs::read_to_string(log)?)?;
    let newer = ["BIND", "LISTEN", "PIPE", "FIXED_FD_INSTALL"];
    let done = |name: &&str| known.iter().any(|one| one["call"] == format!("IORING_OP_{name}"));
    Ok(newer.into_iter().filter(|name| !done(name)).collect())
}

/// Compares every field that the program wrote down, in the order in which the operations completed: how many there were.
pub(crate) fn same_operations(log: &Path, out: &Path) -> Result<usize> {
    let all = lines(out)?;
    sound(&all)?;
    // What a check confirms was told before.
    let own = |line: &Value| line["via"] == "io_uring" && line["confirmed"].is_null();
    let told: Vec<Value> = all.into_iter().filter(own).collect();
    let known: Vec<Value> = serde_json::from_str(&fs::read_to_string(log)?)?;
    let processes: BTreeSet<&str> = told.iter().filter_map(|line| line["process"].as_str()).collect();
    ensure!(processes.len() == 1, "operations of one process are those of {processes:?}");
    for (place, known) in known.iter().enumerate() {
        let line = told.get(place).with_context(|| format!("operation {place} is not told: {known}"))?;
        for (field, value) in known.as_object().context("no object")? {
            if field == "then" {
                continue;
            }
            if field == "either" {
                let either = value.as_array().is_some_and(|either| either.contains(&line["fd"]));
                ensure!(either, "fd of operation {place} is none of {value}: {line}");
                continue;
            }
            // What a number is not said to be, it is not.
            ensure!(line[field] == *value, "{field} of operation {place} is not {value}: {line}");
        }
        for field in
            ["local", "peer", "asked", "fd", "new_fd", "fds", "direct", "new_direct", "directs", "new_ring"]
        {
            let absent = known[field].is_null() && known["event"] != "close" && known["event"] != "shutdown";
            let shown = !matches!(field, "local" | "peer") && (field != "fd" || known["either"].is_null());
            ensure!(!(absent && shown) || line[field].is_null(), "operation {place} has no {field}: {line}");
        }
    }
    ensure!(told.len() == known.len(), "told beyond: {:?}", told.get(known.len()..));
    Ok(known.len())
}

#[test]
fn operations_of_a_ring_are_told_as_the_program_logged_them() -> Result<()> {
    compare("plain")
}

#[test]
fn operations_that_the_kernels_thread_submits_are_the_processs() -> Result<()> {
    compare("sqpoll")
}

#[test]
fn operations_that_workers_run_are_the_processs() -> Result<()> {
    compare("async")
}

/// Starts the server in `mode` under `serve`, or has `serve` attach to one that runs, and compares what it holds.
fn same_tables(mode: &str, attach: bool) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("log.json");
    let server: [OsString; 4] = [SERVER.into(), log.clone().into(), mode.into(), "hold".into()];
    let written = || log.exists().then_some(()).context("not written");
    let mut args: Vec<OsString> =
        ["serve", "--check", "off", "--listen", "127.0.0.1:0"].map(OsString::from).into();
    let mut before = None;
    if attach {
        let group = Group::start("uring-server", Command::new(SERVER).args(&server[1..]))?;
        wait_for("the server's log", written)?;
        args.extend(["-p".into(), group.pid().to_string().into()]);
        before = Some(group);
    } else {
        args.push("--".into());
        args.extend(server);
    }
    let mut sockreel = Sockreel::start(dir.path(), "serve", args)?;
    let api = sockreel.api()?;
    let pid = match &before {
        Some(group) => group.pid(),
        None => *sockreel.command(SERVER)?.first().context("no server")?,
    };
    wait_for("the server's log", written)?;
    let (kernels, entries) = (table(pid)?, direct_entries(pid)?);
    ensure!(!entries.is_empty(), "the server has no direct descriptor");
    wait_for("the server's table", || {
        let told = api.table(pid, None)?;
        ensure!(told == kernels, "told {told:?}\nbut the kernel has {kernels:?}");
        let answer = api.get(&format!("descriptors?pid={pid}"))?;
        let direct = answer["direct"].as_array().context("no direct")?;
        let direct: BTreeMap<i64, String> = direct
            .iter()
            .map(|entry| {
                let inode = entry["ino"].as_str().context("no ino")?.to_owned();
                Ok((entry["direct"].as_i64().context("no index")?, inode))
            })
            .collect::<Result<_>>()?;
        ensure!(direct == entries, "direct are told {direct:?}, but the kernel has {entries:?}");
        Ok(())
    })?;
    signal_pid(pid, Signal::SIGTERM)?;
    sockreel.interrupt()?;
    Ok(())
}

/// Entries of the file table of a process's ring, index to inode: what the kernel writes of it (`__io_uring_show_fdinfo`,
/// io_uring/fdinfo.c). The server has sockets in it alone.
fn direct_entries(pid: u32) -> Result<BTreeMap<i64, String>> {
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let text = fs::read_to_string(entry?.path())?;
        let Some((_, files)) = text.split_once("UserFiles:") else { continue };
        let (files, _) = files.split_once("UserBufs:").context("no end of the files")?;
        let entry = |line: &str| {
            let (index, socket) = line.trim().split_once(": socket:[")?;
            Some((index.parse().ok()?, socket.trim_end_matches(']').to_owned()))
        };
        return Ok(files.lines().filter_map(entry).collect());
    }
    bail!("{pid} has no ring")
}

#[test]
fn what_a_ring_server_holds_is_what_the_kernel_says() -> Result<()> {
    same_tables("sqpoll", false)?;
    same_tables("async", false)
}

#[test]
fn what_a_ring_server_held_before_is_found() -> Result<()> {
    same_tables("plain", true)
}

/// Requests that wait when tracing begins are told with all that the kernel has of them when they complete, those that complete
/// more than once too.
fn same_completions(mode: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (log, out) = (dir.path().join("log.json"), dir.path().join("out.jsonl"));
    let mut server = Group::start(
        "uring-server",
        Command::new(SERVER).args([log.as_os_str(), mode.as_ref(), "waits".as_ref()]),
    )?;
    let ready = dir.path().join("log.json.ready");
    wait_for("requests that wait", || ready.exists().then_some(()).context("none"))?;
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(OsString::from).into();
    args.extend([out.clone().into(), "-p".into(), server.pid().to_string().into()]);
    let sockreel = Sockreel::start(dir.path(), "trace", args)?;
    wait_for("the server's descriptors", || {
        let found = lines(&out)?.iter().any(|line| line["event"] == "snapshot" && line["direct"].is_null());
        found.then_some(()).context("not found")
    })?;
    signal_pid(server.pid(), Signal::SIGUSR1)?;
    ensure!(server.code()? == 0, "the server failed");
    let ended = sockreel.interrupt()?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    println!("{} operations that waited or followed compared, mode {mode:?}", same_operations(&log, &out)?);
    Ok(())
}

#[test]
fn requests_that_waited_before_tracing_are_told_in_full() -> Result<()> {
    same_completions("plain")?;
    same_completions("sqpoll")
}

#[test]
fn a_check_confirms_what_told_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (log, out) = (dir.path().join("log.json"), dir.path().join("out.jsonl"));
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "300ms", "-o"].map(OsString::from).into();
    args.extend([out.clone().into(), "--".into(), SERVER.into(), log.clone().into(), "hold".into()]);
    let sockreel = Sockreel::start(dir.path(), "trace", args)?;
    wait_for("the server's log", || log.exists().then_some(()).context("not written"))?;
    let known: Vec<Value> = serde_json::from_str(&fs::read_to_string(&log)?)?;
    // A close that fails says so.
    let silent: Vec<_> =
        known.iter().filter(|line| line["unconfirmed"] == true && line["fd"] != 9999).collect();
    ensure!(matches!(silent.len(), 2 | 6), "{silent:?}");
    wait_for("operations that are confirmed", || {
        let told = lines(&out)?;
        let confirmed: Vec<_> = told.iter().filter(|line| line["confirmed"] == true).collect();
        ensure!(confirmed.len() == silent.len(), "{silent:?} was done, confirmed is {confirmed:?}");
        for (known, line) in silent.iter().zip(confirmed) {
            let first = told.iter().find(|first| {
                first["unconfirmed"] == true && first["event"] == known["event"] && first["fd"] == known["fd"]
            });
            let first = first.with_context(|| format!("{known} is not told"))?;
            for field in ["event", "call", "fd", "asked", "backlog", "how"] {
                ensure!(line[field] == known[field], "{field} of {known} is confirmed as {line}");
            }
            for (field, value) in known["then"].as_object().into_iter().flatten() {
                ensure!(line[field] == *value, "{field} of {known} is confirmed as {line}");
            }
            let same = if known["event"] == "close" { "inode" } else { "socket" };
            ensure!(!line[same].is_null() && line[same] == first[same], "{first} is another's than {line}");
            ensure!(line["ret"].is_null() && line["unconfirmed"].is_null(), "{line}");
        }
        // A socket without a completion is found by the check; none is made here.
        let repaired = told.iter().find(|line| line["event"] == "repair");
        ensure!(repaired.is_none(), "repaired: {repaired:?}");
        Ok(())
    })?;
    signal_pid(*sockreel.command(SERVER)?.first().context("no server")?, Signal::SIGTERM)?;
    sockreel.ended()?;
    Ok(())
}

#[test]
fn a_check_finds_what_was_made_without_a_completion() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (log, out) = (dir.path().join("log.json"), dir.path().join("out.jsonl"));
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "300ms", "-o"].map(OsString::from).into();
    args.extend([out.clone().into(), "--".into(), SERVER.into(), log.clone().into(), "unseen".into()]);
    let sockreel = Sockreel::start(dir.path(), "trace", args)?;
    wait_for("the server's log", || log.exists().then_some(()).context("not written"))?;
    let known: Vec<Value> = serde_json::from_str(&fs::read_to_string(&log)?)?;
    ensure!(known.len() == 3, "{known:?}");
    // A check comes the later the longer the one before took.
    wait_within(Duration::from_mins(2), "descriptors that are found", || {
        let told = lines(&out)?;
        let repaired: Vec<_> = told.iter().filter(|line| line["event"] == "repair").collect();
        ensure!(repaired.len() == known.len(), "{known:?} was done, repaired is {repaired:?}");
        for known in &known {
            let submitted =
                told.iter().find(|line| line["via"] == "io_uring" && line["call"] == known["call"]);
            let submitted = submitted.with_context(|| format!("{known} is not told"))?;
            ensure!(submitted["unconfirmed"] == true && submitted["new_fd"].is_null(), "{submitted}");
            let then = known["then"].as_object().context("nothing came of it")?;
            let same = |line: &&&Value| then.iter().all(|(field, value)| line[field] == *value);
            ensure!(repaired.iter().filter(same).count() == 1, "{known} is not among {repaired:?}");
        }
        Ok(())
    })?;
    signal_pid(*sockreel.command(SERVER)?.first().context("no server")?, Signal::SIGTERM)?;
    sockreel.ended()?;
    Ok(())
}
