//! How a daemon that started a command ends.

use crate::harness::{Sockreel, lines, signal_pid, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use std::{ffi::OsString, fs};

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
