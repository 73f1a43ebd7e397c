//! Answers about listeners, each on a server with one planted fault: the answer names that and nothing else. What it says
//! is compared with ss(8), `/proc/PID/net/netstat`, getsockopt(2) and what the programs logged of themselves.

use crate::harness::{Group, Server, Sockreel, only_alarms_of, signal_pid, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    path::Path,
    process::{ChildStdout, Command, Stdio},
    time::Duration,
};

/// A program that talks: a line when it is ready, another for each line that it is told.
pub(crate) struct Program {
    group: Group,
    says: BufReader<ChildStdout>,
}

impl Program {
    /// A program of Python, in a network namespace of its own where one is wanted; its first line is waited for.
    pub(crate) fn start(source: &str, own_namespace: bool) -> Result<(Self, Value)> {
        let mut command = Command::new(if own_namespace { "/usr/bin/unshare" } else { "/usr/bin/python3" });
        if own_namespace {
            command.args(["--net", "sh", "-c", "ip link set lo up && exec python3 -c \"$0\"", source]);
        } else {
            command.args(["-c", source]);
        }
        let mut group = Group::start("program", command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let says = BufReader::new(group.child().stdout.take().context("no standard output")?);
        let mut program = Self { group, says };
        let first = program.line()?;
        Ok((program, first))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.group.pid()
    }

    pub(crate) fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("said {line:?}"))
    }

    pub(crate) fn tell(&mut self) -> Result<Value> {
        self.group.child().stdin.as_mut().context("no standard input")?.write_all(b"\n")?;
        self.line()
    }
}

/// A daemon that follows a process.
pub(crate) fn serve(dir: &Path, pid: u32, more: &[&str]) -> Result<Sockreel> {
    let mut args: Vec<OsString> = ["serve", "--listen", "127.0.0.1:0"].map(OsString::from).into();
    args.extend(["-p".into(), pid.to_string().into()]);
    args.extend(more.iter().map(OsString::from));
    Sockreel::start(dir, "serve", args)
}

/// A daemon that follows a server and its workers.
pub(crate) fn serve_with_workers(server: &Server, pid: u32) -> Result<Sockreel> {
    let workers = crate::harness::descendants(pid)?;
    let more: Vec<String> = workers.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]).collect();
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    serve(server.dir(), pid, &more)
}

pub(crate) fn kinds(findings: &Value) -> Vec<&str> {
    findings.as_array().into_iter().flatten().filter_map(|finding| finding["kind"].as_str()).collect()
}

/// Listens with backlog 1 and never accepts before it is told to; connects six times.
const FLOODED: &str = "
import json, os, socket, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(1)
port = listener.getsockname()[1]
print(json.dumps({'port': port}), flush=True)
sys.stdin.readline()
clients = []
for _ in range(6):
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(('127.0.0.1', port))
    clients.append(client)
print(json.dumps([client.getsockname()[1] for client in clients]), flush=True)
sys.stdin.readline()
print(json.dumps({}), flush=True)
";

/// `ListenOverflows` and `ListenDrops` of a process's network namespace.
fn listen_counters(pid: u32) -> Result<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/netstat"))?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt:"));
    let (names, values) = (lines.next().context("no names")?, lines.next().context("no values")?);
    let values: BTreeMap<&str, u64> = names
        .split_whitespace()
        .zip(values.split_whitespace().map(|value| value.parse().unwrap_or(0)))
        .collect();
    Ok((values["ListenOverflows"], values["ListenDrops"]))
}

#[test]
fn a_flooded_listener_whose_acceptor_sleeps() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut program, first) = Program::start(FLOODED, true)?;
    let port = first["port"].as_u64().context("no port")?;
    let mut daemon = serve(dir.path(), program.pid(), &[])?;
    let api = daemon.api()?;
    let asked = format!("answers/queues?of={port}");
    wait_for("the listener", || {
        let answer = api.get(&asked)?;
        ensure!(answer["queues"][0]["limit"] == 1 && answer["sampled"].is_object(), "{answer}");
        ensure!(kinds(&answer["queues"][0]["findings"]).is_empty(), "{answer}");
        Ok(())
    })?;
    let clients: Vec<u64> = serde_json::from_value(program.tell()?)?;
    // Until the namespace has counted some, and the sample after that has told of them.
    let answer = wait_for("what was dropped, told as it is counted", || {
        let before = listen_counters(program.pid())?;
        let answer = api.get(&asked)?;
        let queue = &answer["queues"][0];
        let after = listen_counters(program.pid())?;
        ensure!(before == after && before.0 >= 4, "the namespace counts {before:?}, then {after:?}");
        let drops = &queue["drops"];
        ensure!(
            drops["queue_full_min"] == before.0 && drops["queue_full_max"] == before.0,
            "the namespace counts {before:?}: {drops}"
        );
        ensure!(kinds(&queue["findings"]) == ["stuck", "overflowed"], "{queue}");
        Ok(answer)
    })?;
    let queue = &answer["queues"][0];
    let drops = &queue["drops"];
    ensure!(drops["host_overflows"] == drops["queue_full_min"], "{drops}");
    ensure!(drops["other_min"] == 0 && drops["other_max"] == 0, "{drops}");
    // The counter of the socket, `d`, as ss(8) shows it with `--memory`, and its queue.
    let ss = Command::new("/usr/bin/nsenter")
        .args(["--net", "-t", &program.pid().to_string(), "ss", "-Hltnm", &format!("sport = :{port}")])
        .output()?;
    let shown = String::from_utf8(ss.stdout)?;
    let mut words = shown.split_whitespace().skip(1);
    ensure!(words.next() == Some("2") && words.next() == Some("1"), "ss shows {shown}");
    ensure!(queue["len"] == 2 && queue["limit"] == 1 && queue["holds"] == 2, "{queue}");
    let peers: Vec<Value> = clients.iter().take(2).map(|port| json!(format!("127.0.0.1:{port}"))).collect();
    let waiting = queue["waiting"].as_array().context("no waiting")?;
    ensure!(waiting.iter().map(|waiting| &waiting["peer"]).eq(&peers), "{waiting:?}");
    for waiting in waiting {
        let age = waiting["age_ns"].as_u64().context("no age")?;
        ensure!(waiting["at_least"] == false && age >= 1_000_000_000, "{waiting}");
        ensure!(waiting["since"]["seq"].is_u64(), "without evidence: {waiting}");
    }
    // The four others sent their SYN again, and nobody else.
    let again: std::collections::BTreeSet<&str> = drops["clients"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|client| client["peer"].as_str())
        .collect();
    let others: std::collections::BTreeSet<String> =
        clients.iter().skip(2).map(|port| format!("127.0.0.1:{port}")).collect();
    ensure!(again.iter().copied().eq(others.iter().map(String::as_str)), "{again:?}, not {others:?}");
    ensure!(answer["period_ns"] == 1_000_000_000, "{answer}");
    only_alarms_of(&api, &["queues stuck", "queues overflowed"])?;
    program.tell()?;
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

/// The same of nginx, whose workers hang.
#[test]
fn a_flooded_nginx_whose_workers_are_stopped() -> Result<()> {
    let mut server = Server::nginx()?;
    server.backlog = 1;
    let file = server.dir().join("nginx.conf");
    fs::write(&file, fs::read_to_string(&file)?.replace("backlog=77", "backlog=1"))?;
    let running = server.start()?;
    let workers = crate::harness::descendants(running.pid())?;
    let mut daemon = serve_with_workers(&server, running.pid())?;
    let api = daemon.api()?;
    let asked = format!("answers/queues?of={}", server.port);
    wait_for("the listener", || {
        let answer = api.get(&asked)?;
        ensure!(answer["queues"][0]["limit"] == server.backlog && answer["sampled"].is_object(), "{answer}");
        Ok(())
    })?;
    only_alarms_of(&api, &[])?;
    for worker in &workers {
        signal_pid(*worker, Signal::SIGSTOP)?;
    }
    // It holds one more than the limit; whoever comes then gets no answer.
    let address = server.address().parse()?;
    let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
    let clients: Vec<TcpStream> = (0..4).filter_map(connect).collect();
    ensure!(clients.len() == 2, "{} of 4 connected", clients.len());
    let queue = wait_for("both findings", || {
        only_alarms_of(&api, &["queues stuck", "queues overflowed"])?;
        Ok(api.get(&asked)?["queues"][0].clone())
    })?;
    let peers = clients.iter().map(|client| Ok(json!(client.local_addr()?.to_string())));
    let peers: Vec<Value> = peers.collect::<Result<_>>()?;
    let waiting = queue["waiting"].as_array().context("no waiting")?;
    ensure!(waiting.iter().map(|waiting| &waiting["peer"]).eq(&peers), "{waiting:?}");
    ensure!(queue["len"] == 2 && queue["longest"] == 2 && queue["holds"] == 2, "{queue}");
    // They go on and take what waits.
    for worker in &workers {
        signal_pid(*worker, Signal::SIGCONT)?;
    }
    wait_for("the accepts", || only_alarms_of(&api, &["queues overflowed"]))?;
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

/// What a server asked for and what it got: more than `somaxconn` is cut to it.
#[test]
fn a_backlog_beyond_the_systems_limit_is_told_beside_it() -> Result<()> {
    const ASKS: &str = "
import json, socket, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
print(json.dumps({'port': listener.getsockname()[1]}), flush=True)
sys.stdin.readline()
listener.listen(1 << 20)
print(json.dumps({}), flush=True)
sys.stdin.readline()
";
    let dir = tempfile::tempdir()?;
    let (mut program, first) = Program::start(ASKS, false)?;
    let port = first["port"].as_u64().context("no port")?;
    let mut daemon = serve(dir.path(), program.pid(), &[])?;
    let api = daemon.api()?;
    program.tell()?;
    let somaxconn: u64 = fs::read_to_string("/proc/sys/net/core/somaxconn")?.trim().parse()?;
    wait_for("the listener", || {
        let answer = api.get(&format!("answers/queues?of={port}"))?;
        let queue = &answer["queues"][0];
        ensure!(queue["asked"] == 1 << 20 && queue["limit"] == somaxconn, "{somaxconn}: {answer}");
        ensure!(queue["holds"] == somaxconn + 1, "{answer}");
        Ok(())
    })?;
    let shown = Command::new("ss").args(["-Hltn", &format!("sport = :{port}")]).output()?;
    let shown = String::from_utf8(shown.stdout)?;
    ensure!(shown.split_whitespace().nth(2) == Some(&somaxconn.to_string()), "ss shows {shown}");
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

#[test]
fn what_was_queued_before_tracing_has_no_start() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut program, first) = Program::start(FLOODED, true)?;
    let port = first["port"].as_u64().context("no port")?;
    let clients: Vec<u64> = serde_json::from_value(program.tell()?)?;
    let mut daemon = serve(dir.path(), program.pid(), &[])?;
    let api = daemon.api()?;
    let waiting = wait_for("those that wait", || {
        let answer = api.get(&format!("answers/queues?of={port}"))?;
        let waiting = answer["queues"][0]["waiting"].as_array().cloned().unwrap_or_default();
        ensure!(waiting.len() == 2, "{answer}");
        Ok(waiting)
    })?;
    for (waiting, port) in waiting.iter().zip(&clients) {
        ensure!(waiting["peer"] == format!("127.0.0.1:{port}") && waiting["at_least"] == true, "{waiting}");
    }
    // The same without a daemon, from a snapshot.
    let args = ["queues", &port.to_string(), "--json"].map(OsString::from);
    let now = Sockreel::run(dir.path(), "queues", args)?;
    ensure!(now.code == 0, "{}: {}", now.code, now.err);
    let answer: Value = serde_json::from_str(&now.out)?;
    let peers: Vec<&Value> =
        answer["queues"][0]["waiting"].as_array().into_iter().flatten().map(|one| &one["peer"]).collect();
    ensure!(peers == waiting.iter().map(|one| &one["peer"]).collect::<Vec<_>>(), "{answer}");
    program.tell()?;
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

/// Listeners in whose queues as many wait as `somaxconn` allows by itself (listen(2)).
const CROWDED: &str = "
import json, os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (17000, 17000))
many = min(4096, int(open('/proc/sys/net/core/somaxconn').read()))
listeners, clients = [socket.socket()] + [socket.socket(socket.AF_UNIX) for _ in range(3)], []
for place, listener in enumerate(listeners):
    unix = listener.family == socket.AF_UNIX
    listener.bind('\\0sockreel-test-%d-%d' % (os.getpid(), place) if unix else ('127.0.0.1', 0))
    listener.listen(many)
    for _ in range(many):
        client = socket.socket(listener.family)
        client.connect(listener.getsockname())
        clients.append(client)
ports = [client.getsockname()[1] for client in clients[:many]]
inodes = [os.fstat(listener.fileno()).st_ino for listener in listeners]
print(json.dumps({'inodes': inodes, 'ports': ports}), flush=True)
sys.stdin.readline()
";

#[test]
fn a_long_queue_that_was_there_before_tracing_is_told_whole() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (program, said) = Program::start(CROWDED, false)?;
    let pid = program.pid().to_string();
    let ended = Sockreel::run(dir.path(), "trace", ["trace", "--json", "--for", "3s", "-p", &pid])?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    ensure!(ended.err.contains(" 0 lost"), "{}", ended.err);
    let lines: Vec<Value> = ended.out.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let listening = |inode: &Value| {
        let line = lines.iter().find(|line| line["event"] == "snapshot" && line["inode"] == *inode);
        line.map(|line| line["socket"].clone()).with_context(|| format!("no listener {inode}"))
    };
    let waiting = |listener: &Value| {
        lines
            .iter()
            .filter(|line| line["event"] == "queued" && line["listener"] == *listener)
            .collect::<Vec<_>>()
    };
    let inodes = said["inodes"].as_array().context("no inodes")?;
    let told = inodes.iter().map(|inode| Ok(waiting(&listening(inode)?))).collect::<Result<Vec<_>>>()?;
    let port = |line: &&Value| line["peer"].as_str()?.rsplit(':').next()?.parse().ok();
    let peers: Vec<u64> = told[0].iter().filter_map(port).collect();
    let ports: Vec<u64> = serde_json::from_value(said["ports"].clone())?;
    ensure!(peers == ports, "{} of {} are told: {peers:?}", peers.len(), ports.len());
    let counts: Vec<usize> = told.iter().map(Vec::len).collect();
    ensure!(counts == vec![ports.len(); inodes.len()], "{counts:?} are told");
    // The same without a trace, from a snapshot.
    let now = Sockreel::run(dir.path(), "queues", ["queues", "--json"])?;
    ensure!(now.code == 0, "{}: {}", now.code, now.err);
    let answer: Value = serde_json::from_str(&now.out)?;
    let queues = answer["queues"].as_array().into_iter().flatten();
    let ours = queues.filter(|queue| {
        inodes.iter().any(|inode| queue["socket"]["ino"].as_str() == Some(inode.to_string().as_str()))
    });
    let counts: Vec<Option<u64>> = ours.map(|queue| queue["queued"].as_u64()).collect();
    let all = u64::try_from(ports.len())?;
    ensure!(counts == vec![Some(all); inodes.len()], "{counts:?} are told of {all} each");
    Ok(())
}

/// The same with a unix socket, by abstract name.
const UNIX: &str = "
import json, os, socket, sys
listener = socket.socket(socket.AF_UNIX)
name = 'sockreel-test-%d' % os.getpid()
listener.bind('\\0' + name)
listener.listen(1)
print(json.dumps({'name': name}), flush=True)
sys.stdin.readline()
clients, refused = [], 0
for _ in range(5):
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    try:
        client.connect('\\0' + name)
    except BlockingIOError:
        refused += 1
    clients.append(client)
print(json.dumps({'refused': refused}), flush=True)
sys.stdin.readline()
first, _ = listener.accept()
ends = [['server', 'close', first.fileno()]]
first.close()
clients[0].close()
second, _ = listener.accept()
ends.append(['client', 'shutdown', clients[1].fileno()])
clients[1].shutdown(socket.SHUT_WR)
second.close()
clients[1].close()
client = socket.socket(socket.AF_UNIX)
client.connect('\\0' + name)
third, _ = listener.accept()
ends.append(['client', 'close', client.fileno()])
client.close()
third.close()
print(json.dumps(ends), flush=True)
sys.stdin.readline()
";

#[test]
fn a_flooded_unix_listener() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut program, first) = Program::start(UNIX, false)?;
    let name = format!("@{}", first["name"].as_str().context("no name")?);
    let mut daemon = serve(dir.path(), program.pid(), &[])?;
    let api = daemon.api()?;
    let asked = format!("answers/queues?of={name}");
    wait_for("the listener", || {
        let answer = api.get(&asked)?;
        ensure!(answer["queues"][0]["limit"] == 1, "{answer}");
        Ok(())
    })?;
    let refused = program.tell()?["refused"].as_u64().context("no number")?;
    ensure!(refused == 3, "{refused} were refused");
    wait_for("the answer", || {
        let answer = api.get(&asked)?;
        let queue = &answer["queues"][0];
        ensure!(kinds(&queue["findings"]) == ["stuck", "overflowed"], "{answer}");
        ensure!(queue["turned_away"]["count"] == refused, "{answer}");
        ensure!(queue["len"] == 2 && queue["waiting"].as_array().map(Vec::len) == Some(2), "{answer}");
        ensure!(queue["drops"].is_null(), "{answer}");
        Ok(())
    })?;
    only_alarms_of(&api, &["queues stuck", "queues overflowed"])?;
    let ends = program.tell()?;
    let connections = wait_for("the ends of the connections", || {
        let answer = api.get(&format!("answers/connections?of={name}&ended=true"))?;
        let connections = answer["connections"].as_array().cloned().unwrap_or_default();
        let ended = |one: &Value| one["client"]["ended"].is_object() && one["server"]["ended"].is_object();
        ensure!(connections.len() == 3 && connections.iter().all(ended), "{answer}");
        Ok(connections)
    })?;
    // Who closed first, and by which event, as the program did it.
    let events = api.events()?;
    let mut told = Vec::new();
    for one in &connections {
        let seq = &one["closed_at"]["seq"];
        let event = events.iter().find(|event| event["seq"] == *seq).with_context(|| one.to_string())?;
        told.push((event["seq"].as_u64(), json!([one["closed_first"], event["event"], event["fd"]])));
        ensure!(one["client"]["tcp"].is_null() && one["server"]["tcp"].is_null(), "{one}");
    }
    told.sort_by_key(|(seq, _)| *seq);
    let told: Vec<Value> = told.into_iter().map(|(_, end)| end).collect();
    ensure!(Value::from(told.clone()) == ends, "{told:?}, but the program did {ends}");
    let waits = connections.iter().filter_map(|one| one["server"]["socket"]["wait_ns"].as_u64());
    ensure!(waits.filter(|wait| *wait >= 1_000_000_000).count() == 2, "{connections:?}");
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

/// Accepts twice, and between them sleeps; a thread connects meanwhile. Says what the scheduler counted of the thread.
const SLOW: &str = "
import json, os, socket, sys, threading, time
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(10)
address = listener.getsockname()
print(json.dumps({'port': address[1]}), flush=True)
sys.stdin.readline()
connect = lambda: socket.create_connection(address)
delay = lambda: int(open('/proc/thread-self/schedstat').read().split()[1])
threading.Thread(target=connect).start()
listener.accept()
before = delay()
client = threading.Thread(target=connect)
client.start()
client.join()
time.sleep(0.7)
listener.accept()
print(json.dumps({'delay': delay() - before}), flush=True)
sys.stdin.readline()
";

#[test]
fn a_slow_acceptor_is_told_with_the_call_it_was_in() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut program, first) = Program::start(SLOW, false)?;
    let port = first["port"].as_u64().context("no port")?;
    let mut daemon = serve(dir.path(), program.pid(), &["--sched"])?;
    let api = daemon.api()?;
    let asked = format!("answers/slow?of={port}");
    wait_for("the first sample", || {
        let answer = api.get("answers/slow")?;
        ensure!(answer["basis"]["caveats"] == json!([]), "{answer}");
        Ok(())
    })?;
    let delay = program.tell()?["delay"].as_u64().context("no number")?;
    let slow = wait_for("both accepts", || {
        let answer = api.get(&asked)?;
        let slow = answer["listeners"][0].clone();
        ensure!(slow["known"] == 1 && slow["unknown"] == 1, "{answer}");
        Ok(slow)
    })?;
    let wait = &slow["slowest"][0];
    let split = &wait["split"];
    let share = |name: &str| split[name].as_u64().with_context(|| format!("no {name} in {wait}"));
    let sum = share("asleep_ns")? + share("runnable_ns")? + share("running_ns")? + share("blocked_ns")?;
    ensure!(wait["wait_ns"] == sum + share("unknown_ns")? && share("unknown_ns")? == 0, "{wait}");
    ensure!(wait["cause"] == "blocked" && split["blocked_in"] == "clock_nanosleep", "{wait}");
    ensure!(share("blocked_ns")? >= 690_000_000, "{wait}");
    // The scheduler reads its clock a moment before and after (`sched_info_arrive`, kernel/sched/stats.h).
    let beyond = share("runnable_ns")?.saturating_sub(delay);
    ensure!(beyond < 1_000_000, "the scheduler counted {delay} ns of delay: {wait}");
    ensure!(wait["by"]["pid"] == program.pid() && wait["accepted"]["seq"].is_u64(), "{wait}");
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

#[test]
fn a_healthy_busy_server_has_no_finding() -> Result<()> {
    const CONNECTIONS: usize = 400;
    let server = Server::nginx()?;
    let running = server.start()?;
    let mut daemon = serve_with_workers(&server, running.pid())?;
    let api = daemon.api()?;
    crate::harness::visits(&server, CONNECTIONS)?;
    let queue = wait_for("every accept", || {
        let answer = api.get(&format!("answers/queues?of={}", server.port))?;
        let queue = answer["queues"][0].clone();
        ensure!(queue["accepted"].as_u64() >= Some(CONNECTIONS as u64), "{answer}");
        ensure!(kinds(&queue["findings"]).is_empty(), "{answer}");
        Ok(queue)
    })?;
    ensure!(queue["waits"]["count"] == queue["accepted"] && queue["len"] == 0, "{queue}");
    ensure!(queue["asked"].is_null() && queue["limit"] == server.backlog, "{queue}");
    let balance = api.get(&format!("answers/balance?of={}", server.port))?;
    ensure!(kinds(&balance["groups"][0]["findings"]).is_empty(), "{balance}");
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}
