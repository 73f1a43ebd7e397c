//! Many processes with many sockets: how long a snapshot takes, and how much memory the daemon has.

use crate::{
    Size,
    harness::{Group, Sockreel, wait_for},
    load::{self, Kind, Load},
    meter,
    profile::{Sampling, Unit},
    table::{Goal, Row},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};
use tempfile::TempDir;

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
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", MANY, &size.processes.to_string(), &SOCKETS.to_string()]);
    let mut many = Group::start("many processes", command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let said = BufReader::new(many.child().stdout.take().context("no standard output")?);
    let pids: Vec<String> = said.lines().map_while(Result::ok).take_while(|line| line != "all").collect();
    ensure!(pids.len() == size.processes, "{} of {} processes", pids.len(), size.processes);
    let followed: Vec<String> = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.clone()]).collect();

    let (mut seen, mut rows) = (Vec::new(), 0);
    for _ in 0..size.rounds {
        let snapshot = Snapshot::take(size, &followed)?;
        rows = snapshot.rows;
        seen.push(snapshot.ms);
    }
    let sampling = Sampling::begin()?;
    let sampled = Snapshot::take(size, &followed)?;
    let profile = sampling.end()?.of(sampled.trace)?.parts("on all CPUs", Unit::Milliseconds);
    let how = format!(
        "Where a whole trace, start and end and a snapshot of {:.0} ms, spends the CPUs, sampled by perf",
        sampled.ms
    );
    let what = format!("snapshot of {} processes, first row to last", size.processes);
    let snapshot = Row::new(what, Goal::AtMost(100.0), "ms", seen)
        .beside(format!("{rows} descriptors"))
        .profile(how, profile);
    let (mut resident, mut told, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..size.rounds {
        let memory = Memory::measure(size, &followed)?;
        resident.push(memory.all);
        told.push(memory.told.clone());
        parts = memory.parts(size, rows);
    }
    let sockets = size.processes * SOCKETS;
    let what = format!("resident, {sockets} live sockets and {} kept events", size.events);
    let memory = Row::new(what, Goal::AtMost(256.0), "MiB", resident)
        .beside(told.join("; "))
        .profile("Resident memory as it comes to be, of the last round", parts);
    Ok(vec![snapshot, memory])
}

/// One snapshot.
struct Snapshot {
    /// Who took it.
    trace: u32,
    /// Descriptors.
    rows: usize,
    /// Milliseconds from the first to the last, by the kernel's clock.
    ms: f64,
}

impl Snapshot {
    fn take(size: Size, followed: &[String]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let out = dir.path().join("out.jsonl");
        let mut args = vec!["trace".to_owned(), "--json".into(), "-o".into(), out.to_string_lossy().into()];
        args.extend(followed.to_vec());
        let mut trace = Sockreel::start(dir.path(), "trace", &args)?;
        let own = trace.group().pid();
        // Counted without reading what was read before: the machine is for what is measured.
        let mut text = BufReader::new(wait_for("the output", || Ok(fs::File::open(&out)?))?);
        let (mut line, mut times) = (String::new(), Vec::new());
        wait_for("every row", || {
            while text.read_line(&mut line)? > 0 && line.ends_with('\n') {
                if line.contains("\"event\":\"snapshot\"") {
                    let row: Value = serde_json::from_str(&line)?;
                    times.push(row["ts_ns"].as_u64().with_context(|| line.clone())?);
                }
                line.clear();
            }
            ensure!(times.len() >= size.processes * SOCKETS, "{} rows", times.len());
            Ok(())
        })?;
        trace.interrupt()?;
        let (first, last) = (times.iter().min().context("no row")?, times.iter().max().context("no row")?);
        let ms = std::time::Duration::from_nanos(last - first).as_secs_f64() * 1e3;
        Ok(Self { trace: own, rows: times.len(), ms })
    }
}

/// Memory of a daemon that follows all of them, and keeps events that another process makes; MiB.
struct Memory {
    /// When it follows one process alone.
    began: f64,
    /// When it has seen all sockets.
    sockets: f64,
    /// When it keeps all events, too.
    all: f64,
    /// How many events those are.
    told: String,
}

impl Memory {
    fn measure(size: Size, followed: &[String]) -> Result<Self> {
        let mut load = Load::start(Kind::Paced)?;
        let of_load = ["-p".to_owned(), load.pid().to_string()];
        let (mut small, _dir) = serve(&of_load)?;
        let began = meter::resident_mib(small.group().pid())?;
        small.interrupt()?;

        let (mut serve, _dir) = serve(&[followed, &of_load].concat())?;
        let api = serve.api()?;
        let info = || -> Result<(f64, f64)> {
            let info = api.get("info")?;
            let figure =
                |name: &str| info["status"][name].as_f64().with_context(|| format!("no {name} in {info}"));
            Ok((figure("events")?, figure("lost")?))
        };
        let open = load::as_f64((size.processes * SOCKETS) as u64);
        wait_for("the snapshot", || {
            let told = info()?;
            ensure!(told.0 >= open, "{told:?}");
            Ok(())
        })?;
        let sockets = meter::resident_mib(serve.group().pid())?;
        let rate = 50;
        let (events, lost) = loop {
            let (events, lost) = info()?;
            if events >= load::as_f64(size.events) {
                break (events, lost);
            }
            load.order(rate)?;
            load.answer()?;
        };
        let all = meter::resident_mib(serve.group().pid())?;
        serve.interrupt()?;
        Ok(Self { began, sockets, all, told: format!("{events:.0} events told, {lost:.0} lost") })
    }

    fn parts(&self, size: Size, descriptors: usize) -> Vec<String> {
        let (sockets, events) = (self.sockets - self.began, self.all - self.sockets);
        let each = |mib: f64, count: f64| mib * 1024.0 * 1024.0 / count;
        vec![
            format!("a daemon that follows one process: {:.0} MiB", self.began),
            format!(
                "{descriptors} descriptors, their sockets and an event of each: {sockets:.0} MiB, {:.0} bytes each",
                each(sockets, load::as_f64(descriptors as u64))
            ),
            format!(
                "{} events more: {events:.0} MiB, {:.0} bytes each",
                size.events,
                each(events, load::as_f64(size.events))
            ),
        ]
    }
}

/// A daemon on processes, and the folder of its files.
fn serve(followed: &[String]) -> Result<(Sockreel, TempDir)> {
    let dir = tempfile::tempdir()?;
    let mut args = vec!["serve".to_owned(), "--listen".into(), "127.0.0.1:0".into()];
    args.extend(followed.to_vec());
    let mut serve = Sockreel::start(dir.path(), "serve", &args)?;
    serve.api()?;
    Ok((serve, dir))
}
