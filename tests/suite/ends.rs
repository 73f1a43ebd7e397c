//! How processes end, and a daemon that started a command.

use crate::harness::{Sockreel, lines, signal_pid, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use std::{collections::BTreeMap, ffi::OsString, fs, path::Path, process::Command};

/// Ends only a while after it was asked to, and does something in between.
const SLOW: &str = "
import os, signal, sys, time
def end(*_):
    time.sleep(0.5)
    os.close(os.open('/dev/zero', os.O_RDONLY))
    os._exit(7)
signal.signal(signal.SIGINT, end)
open(sys.argv[1], 'w').close()
while True:
    signal.pause()
";

#[test]
fn a_daemon_waits_for_the_last_events_of_its_command() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (ready, record) = (dir.path().join("ready"), dir.path().join("session.reel"));
    let mut args: Vec<OsString> = ["serve", "--listen", "127.0.0.1:0", "--record"].map(Into::into).into();
    args.extend([record.clone().into(), "--".into(), "/usr/bin/python3".into(), "-c".into(), SLOW.into()]);
    args.push(ready.clone().into());
    let mut serve = Sockreel::start(dir.path(), "slow", args)?;
    wait_for("the command", || fs::metadata(&ready).context("not there yet").map(drop))?;
    let command = serve.command("/usr/bin/python3")?;
    // A terminal sends its Ctrl-C to both.
    for pid in command.into_iter().chain([serve.group().pid()]) {
        signal_pid(pid, Signal::SIGINT)?;
    }
    let ended = serve.ended()?;
    ensure!(ended.code == 7, "{}: {}", ended.code, ended.err);
    let dump = Sockreel::run(dir.path(), "dump", ["dump".as_ref(), "--json".as_ref(), record.as_os_str()])?;
    ensure!(dump.code == 0, "{}", dump.err);
    let told = lines(&dir.path().join("dump.out"))?;
    let opened =
        told.iter().position(|line| line["path"] == "/dev/zero").context("its last open is missing")?;
    let ending = told.iter().position(|line| line["event"] == "exit" && line["status"] == 7 << 8);
    ensure!(ending.context("its exit is missing")? > opened, "{told:?}");
    Ok(())
}

/// The kernel counts a thread down before it tells of its end (`do_exit`, kernel/exit.c): of two that end at once both may find
/// themselves the last. Which processes there were, the program says itself.
#[test]
fn a_process_whose_threads_end_together_ends_once() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let program = dir.path().join("ends_together");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/ends_together.c");
    let mut compile = Command::new("cc");
    compile.args(["-O2", "-Wall", "-Werror", "-pthread", "-o"]).arg(&program).arg(source);
    ensure!(compile.status().context("cannot run cc")?.success(), "{compile:?} failed");
    let json = dir.path().join("ends.jsonl");
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(Into::into).into();
    args.extend([json.clone().into(), "--".into(), program.into(), "3000".into()]);
    let trace = Sockreel::run(dir.path(), "trace", args)?;
    ensure!(trace.code == 0, "{}", trace.err);
    let pids: Vec<u64> =
        trace.out.lines().map(|line| line.parse().context("no pid")).collect::<Result<_>>()?;
    ensure!(pids.len() == 3000, "{} processes", pids.len());
    let mut ends: BTreeMap<u64, Vec<_>> = BTreeMap::new();
    for line in lines(&json)?.into_iter().filter(|line| line["event"] == "exit") {
        ends.entry(line["pid"].as_u64().context("no pid")?).or_default().push(line);
    }
    for pid in pids {
        let told = ends.get(&pid).map_or(&[][..], Vec::as_slice);
        ensure!(told.len() == 1 && told[0]["status"] == 0, "{pid}: {told:?}");
    }
    Ok(())
}
