//! The same where tracing begins while a server runs: who had the socket first is concluded then, and what goes wrong later is
//! told all the same.

use super::{Daemon, findings, programs};
use crate::{
    harness::{Group, Server, descendants, signal_pid, wait_for},
    listeners::{serve, serve_with_workers},
};
use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

#[test]
fn a_reload_that_leaves_an_old_worker_is_told() -> Result<()> {
    let server = Server::nginx()?;
    let group = server.start()?;
    let master = group.pid();
    let old = wait_for("two workers", || {
        let now = descendants(master)?;
        ensure!(now.len() == 2, "{now:?}");
        Ok(now)
    })?;
    let [stuck, quick] = old[..] else { bail!("{old:?}") };
    let mut serve = serve_with_workers(&server, master)?;
    let daemon = Daemon { url: serve.url()?, serve, dir: server.dir() };
    ensure!(findings(&daemon.ask(&["handovers"])?)?.is_empty(), "a finding before anything went wrong");
    signal_pid(stuck, Signal::SIGSTOP)?;
    signal_pid(master, Signal::SIGHUP)?;
    wait_for("the reload", || {
        let now = descendants(master)?;
        ensure!(now.len() == 3 && !now.contains(&quick), "{old:?} became {now:?}");
        Ok(())
    })?;
    wait_for("the finding", || {
        let found = findings(&daemon.ask(&["handovers"])?)?;
        ensure!(found == [("left_behind".to_owned(), vec![u64::from(stuck)])], "{found:?}");
        Ok(())
    })?;
    daemon.tells_only(&["handovers left_behind"])?;
    signal_pid(stuck, Signal::SIGCONT)?;
    wait_for("the old worker's end", || {
        ensure!(findings(&daemon.ask(&["handovers"])?)?.is_empty(), "still a finding");
        Ok(())
    })
}

#[test]
fn a_child_that_keeps_its_parents_listener_is_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new("/usr/bin/python3");
    command.arg(programs("inherited.py")).stdout(Stdio::piped());
    let mut group = Group::start("inherited", &mut command)?;
    let says = BufReader::new(group.child().stdout.take().context("no standard output")?);
    let said: Vec<String> = says.lines().take(2).collect::<Result<_, _>>()?;
    let (child, _) = said[1].split_once(' ').context("no number")?;
    let mut serve = serve(dir.path(), group.pid(), &["-p", child])?;
    let daemon = Daemon { url: serve.url()?, serve, dir: dir.path() };
    wait_for("a second since the snapshot", || {
        let at = daemon.ask(&["handovers"])?["basis"]["at"]["t"].as_i64();
        ensure!(at > Some(1_000_000_000), "{at:?}");
        Ok(())
    })?;
    ensure!(findings(&daemon.ask(&["handovers"])?)?.is_empty(), "a finding before anything went wrong");
    group.signal(Signal::SIGKILL)?;
    let child: u32 = child.parse()?;
    wait_for("the finding", || {
        let found = findings(&daemon.ask(&["handovers"])?)?;
        ensure!(found == [("kept_alive".to_owned(), vec![u64::from(child)])], "{found:?}");
        Ok(())
    })?;
    daemon.tells_only(&["handovers kept_alive"])?;
    signal_pid(child, Signal::SIGKILL)
}
