//! Accept queues: each connection is told in the queue of the very listener that accepts it, though several listeners
//! share the port, and though they listened before tracing began.

use crate::harness::{Group, Sockreel, complete, lines, wait_for};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

const CONNECTIONS: usize = 60;

/// Three listeners on one port (`SO_REUSEPORT`, socket(7)); when told to, connects to them, and then accepts what is in
/// each one's queue. Prints how much that was, by the listener's number.
const LISTENERS: &str = "
import json, socket, sys
listeners, port = [], 0
for _ in range(3):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(('127.0.0.1', port))
    listener.listen(100)
    port = listener.getsockname()[1]
    listener.setblocking(False)
    listeners.append(listener)
print('listening', flush=True)
sys.stdin.readline()
clients = [socket.create_connection(('127.0.0.1', port)) for _ in range(int(sys.argv[1]))]
accepted = {}
for listener in listeners:
    children = []
    try:
        while True:
            children.append(listener.accept()[0])
    except BlockingIOError:
        accepted[listener.fileno()] = len(children)
print(json.dumps(accepted), flush=True)
";

#[test]
fn each_connection_waits_at_the_listener_that_accepts_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", LISTENERS, &CONNECTIONS.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut group = Group::start("listeners", &mut command)?;
    let mut says = BufReader::new(group.child().stdout.take().context("no standard output")?);
    let mut said = String::new();
    says.read_line(&mut said)?;

    let out = dir.path().join("out.jsonl");
    let mut args: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
    args.extend(["-p".into(), group.pid().to_string().into()]);
    let trace = Sockreel::start(dir.path(), "trace", args)?;
    wait_for("the snapshot", || {
        let listening = lines(&out)?.into_iter().filter(|line| line["to"] == "LISTEN").count();
        ensure!(listening == 3, "{listening} listeners");
        Ok(())
    })?;
    group.child().stdin.take().context("no standard input")?.write_all(b"\n")?;
    said.clear();
    says.read_line(&mut said)?;
    let accepted: BTreeMap<String, u64> = serde_json::from_str(&said)?;
    group.code()?;
    let ended = trace.interrupt()?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);

    let written = lines(&out)?;
    complete(&written)?;
    let queued: Vec<&Value> = written.iter().filter(|line| line["event"] == "queued").collect();
    ensure!(queued.len() == CONNECTIONS, "{} connections are told as queued", queued.len());
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    let mut longest: BTreeMap<String, Value> = BTreeMap::new();
    for line in written.iter().filter(|line| line["event"] == "accept" && line["ret"].as_i64() >= Some(0)) {
        *told.entry(line["fd"].to_string()).or_default() += 1;
        let before = queued.iter().find(|queued| queued["socket"] == line["socket"]);
        let before = before.with_context(|| format!("not told as queued: {line}"))?;
        ensure!(
            before["listener"] == line["listener"] && line["listener"].is_string(),
            "{before}, then {line}"
        );
        ensure!(line["wait_ns"].as_u64() > Some(0), "{line}");
    }
    for line in &queued {
        longest.insert(line["listener"].to_string(), line["queue_len"].clone());
    }
    ensure!(told == accepted, "told {told:?}, but the program accepted {accepted:?}");
    // Nothing was accepted meanwhile, so each queue's last length is what its listener then accepted.
    let mut longest: Vec<_> = longest.into_values().collect();
    let mut lengths: Vec<_> = accepted.into_values().filter(|number| *number > 0).map(|n| json!(n)).collect();
    longest.sort_by_key(Value::as_u64);
    lengths.sort_by_key(Value::as_u64);
    ensure!(longest == lengths, "queues are told as {longest:?}, but were {lengths:?}");
    Ok(())
}
