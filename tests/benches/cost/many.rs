//! Many processes with many sockets: how long a snapshot takes, and how much memory the daemon has.

use crate::{
    Size,
    harness::{Group, Sockreel, lines, wait_for},
    load::{Kind, Load},
    meter,
    table::{Goal, Row},
};
use anyhow::{Context as _, Result, ensure};
use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

/// Sockets of one process.
const SOCKETS: usize = 100;

/// Starts processes with sockets, prints their numbers, and waits with them until standard input ends.
const MANY: &str = "
import os, socket, sys
processes, sockets = int(sys.argv[1]), int(sys.argv[2])
ready, told = os.pipe()
for _ in range(processes):
    if os.fork() == 0:
        os.close(ready)
        kept = [socket.socket() for _ in range(sockets)]
        os.write(told, b'%d\\n' % os.getpid())
        os.close(told)
        sys.stdin.read()
        os._exit(0)
os.close(told)
with os.fdopen(ready) as pids:
    for pid in pids:
        print(pid, end='')
print('all', flush=True)
sys.stdin.read()
";

pub(crate) fn rows(size: Size) -> Result<Vec<Row>> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", MANY, &size.processes.to_string(), &SOCKETS.to_string()]);
    let mut many = Group::start("many processes", command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let said = BufReader::new(many.child().stdout.take().context("no standard output")?);
    let pids: Vec<String> = said.lines().map_while(Result::ok).take_while(|line| line != "all").collect();
    ensure!(pids.len() == size.processes, "{} of {} processes", pids.len(), size.processes);
    let followed: Vec<String> = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.clone()]).collect();

    let (mut seen, mut rows) = (Vec::new(), 0);
    for round in 0..size.rounds {
        let out = dir.path().join(format!("{round}.jsonl"));
        let mut args = vec!["trace".to_owned(), "--json".into(), "-o".into(), out.to_string_lossy().into()];
        args.extend(followed.clone());
        let trace = Sockreel::start(dir.path(), "trace", &args)?;
        let times = wait_for("every row", || {
            let lines = lines(&out)?;
            let times: Vec<u64> = lines
                .iter()
                .filter(|line| line["event"] == "snapshot")
                .filter_map(|line| line["ts_ns"].as_u64())
                .collect();
            ensure!(times.len() >= size.processes * SOCKETS, "{} rows", times.len());
            Ok(times)
        })?;
        trace.interrupt()?;
        rows = times.len();
        let (first, last) = (times.iter().min().context("no row")?, times.iter().max().context("no row")?);
        seen.push(std::time::Duration::from_nanos(last - first).as_secs_f64() * 1e3);
    }
    let what = format!("snapshot of {} processes, first row to last", size.processes);
    let snapshot = Row::new(what, Goal::AtMost(100.0), "ms", seen).beside(format!("{rows} descriptors"));
    let (mut resident, mut told) = (Vec::new(), Vec::new());
    for _ in 0..size.rounds {
        let (mib, beside) = resident_mib(size, &followed)?;
        resident.push(mib);
        told.push(beside);
    }
    let sockets = size.processes * SOCKETS;
    let what = format!("resident, {sockets} live sockets and {} kept events", size.events);
    let memory = Row::new(what, Goal::AtMost(256.0), "MiB", resident).beside(told.join("; "));
    Ok(vec![snapshot, memory])
}

/// Memory of a daemon that follows all of them, and keeps events that another process makes; and how many those were.
fn resident_mib(size: Size, followed: &[String]) -> Result<(f64, String)> {
    let dir = tempfile::tempdir()?;
    let mut load = Load::start(Kind::Paced)?;
    let mut args = vec!["serve".to_owned(), "--listen".into(), "127.0.0.1:0".into()];
    args.extend(followed.to_vec());
    args.extend(["-p".to_owned(), load.pid().to_string()]);
    let mut serve = Sockreel::start(dir.path(), "serve", &args)?;
    let api = serve.api()?;
    let info = || -> Result<(f64, f64)> {
        let info = api.get("info")?;
        let figure =
            |name: &str| info["status"][name].as_f64().with_context(|| format!("no {name} in {info}"));
        Ok((figure("events")?, figure("lost")?))
    };
    let rate = 50;
    let (events, lost) = loop {
        let (events, lost) = info()?;
        if events >= crate::load::as_f64(size.events) {
            break (events, lost);
        }
        load.order(rate)?;
        load.answer()?;
    };
    let resident = meter::resident_mib(serve.group().pid())?;
    serve.interrupt()?;
    Ok((resident, format!("{events:.0} events told, {lost:.0} lost")))
}
