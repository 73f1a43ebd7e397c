//! A connection costs few records: what its socket does during its own close travels with that close.

use crate::harness::{Server, Sockreel, complete, lines, signal_pid, visits, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
};

/// Most records for a connection that is accepted and closed.
const MOST: usize = 4;

#[test]
fn an_accepted_and_closed_connection_takes_four_records_at_most() -> Result<()> {
    const CONNECTIONS: usize = 40;
    let server = Server::nginx()?;
    let out = server.dir().join("out.jsonl");
    let mut args: Vec<OsString> =
        vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into(), "--".into()];
    args.extend(server.argv.iter().map(OsString::from));
    let trace = Sockreel::start(server.dir(), "trace", &args)?;
    server.wait_until_it_listens().with_context(|| trace.stderr().unwrap_or_default())?;
    let visits = visits(&server, CONNECTIONS)?;
    let ends = |lines: &[Value]| {
        lines.iter().filter(|line| line["event"] == "state" && line["to"] == "CLOSE").count()
    };
    wait_for("every end", || {
        let seen = ends(&lines(&out)?);
        ensure!(seen >= CONNECTIONS, "{seen}");
        Ok(())
    })?;
    let leader = trace.command(&server.argv[0])?.first().copied().context("no process")?;
    signal_pid(leader, Signal::SIGTERM)?;
    ensure!(trace.ended()?.code == server.code_after_term, "trace did not end well");
    let lines = lines(&out)?;
    complete(&lines)?;
    for visit in visits {
        let peer = format!("127.0.0.1:{}", visit.port);
        let of_visit: Vec<&Value> = lines.iter().filter(|line| line["peer"] == *peer).collect();
        let records: BTreeSet<(u64, u64)> = of_visit.iter().filter_map(|line| record(line)).collect();
        ensure!(records.len() <= MOST, "{} records for {of_visit:#?}", records.len());
        ensure!(of_visit.is_sorted_by_key(|line| line["ts_ns"].as_u64()), "out of order: {of_visit:#?}");
        let close = of_visit.iter().find(|line| line["event"] == "close").context("no close")?;
        let (ended, ran) = (close["ts_ns"].as_u64(), close["dur_ns"].as_u64());
        let (ended, ran) = ended.zip(ran).with_context(|| format!("no times in {close}"))?;
        let first = if visit.closed_first == "local" { "FIN_WAIT1" } else { "LAST_ACK" };
        let fin = of_visit.iter().find(|line| line["to"] == first).context("our FIN is not told")?;
        ensure!(record(fin) == record(close), "{fin} did not travel with {close}");
        let at = fin["ts_ns"].as_u64().context("no time")?;
        ensure!((ended - ran..=ended).contains(&at), "{fin} is not within {close}");
        ensure!(fin["tid"] == close["tid"] && fin["via"] == "syscall", "{fin} is not of {close}");
    }
    Ok(())
}

fn record(line: &Value) -> Option<(u64, u64)> {
    line["cpu"].as_u64().zip(line["cpu_seq"].as_u64())
}

/// Closes a connection with unsent data that nobody reads: `SO_LINGER` makes the close wait. A reader then ends it.
const LINGER: &str = "
import os, socket, struct, sys, threading
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
peer, _ = server.accept()
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 60))
client.setblocking(False)
try:
    while True:
        client.send(bytes(65536))
except BlockingIOError:
    pass
client.setblocking(True)
os.mkfifo(sys.argv[1])
print(client.getsockname()[1], flush=True)
closing = threading.Thread(target=client.close)
closing.start()
open(sys.argv[1]).close()
while peer.recv(1 << 20):
    pass
closing.join()
";

#[test]
fn a_lingering_close_does_not_hold_its_states_back() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (out, gate) = (dir.path().join("out.jsonl"), dir.path().join("gate"));
    let mut args: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
    args.extend(["--".into(), "/usr/bin/python3".into(), "-c".into(), LINGER.into(), gate.clone().into()]);
    let trace = Sockreel::start(dir.path(), "trace", args)?;
    let port = wait_for("the port", || Ok(trace.stdout()?.trim().parse::<u16>()?))?;
    let local = format!("127.0.0.1:{port}");
    let find = |lines: &[Value], what: &str, fits: &dyn Fn(&Value) -> bool| {
        let found = lines.iter().find(|line| line["local"] == *local && fits(line)).cloned();
        found.with_context(|| format!("no {what} of {local}"))
    };
    let sent = |line: &Value| line["to"] == "FIN_WAIT1";
    let running = |line: &Value| line["event"] == "close" && line["pending"] == true;
    wait_for("our FIN while the close runs", || {
        let lines = lines(&out)?;
        find(&lines, "running close", &running)?;
        find(&lines, "state", &sent)
    })?;
    drop(fs::OpenOptions::new().write(true).open(&gate)?);
    let ended = trace.ended()?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let lines = lines(&out)?;
    complete(&lines)?;
    let close = find(&lines, "close", &|line| line["event"] == "close" && line["ret"] == 0)?;
    let fin = find(&lines, "state", &sent)?;
    ensure!(record(&fin) != record(&close), "{fin} waited for {close}");
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines.iter().filter(|line| line["local"] == *local && line["event"] == "state") {
        *told.entry(format!("{} {}", line["from"], line["to"])).or_default() += 1;
    }
    ensure!(told.values().all(|times| *times == 1), "told twice: {told:?}");
    Ok(())
}
