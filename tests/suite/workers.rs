//! Who accepts: workers that share a port or a listener, each with one planted fault. What is told is compared with what the
//! workers counted of themselves.

use crate::{
    harness::{Server, only_alarms_of, signal_pid, wait_for},
    listeners::{Program, kinds, serve, serve_with_workers},
};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

/// Two workers with a listener each on one port (`SO_REUSEPORT`), each accepts whatever comes; their parent connects.
const WORKERS: &str = "
import json, os, socket, sys
first = socket.socket()
first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
first.bind(('127.0.0.1', 0))
port = first.getsockname()[1]
pids = []
ready, told = os.pipe()
for number in range(2):
    pid = os.fork()
    if pid == 0:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(('127.0.0.1', port))
        listener.listen(100)
        os.write(told, b'x')
        while True:
            listener.accept()[0].close()
    pids.append(pid)
first.close()
for _ in pids:
    os.read(ready, 1)
print(json.dumps({'port': port, 'workers': pids}), flush=True)
sys.stdin.readline()
clients = [socket.create_connection(('127.0.0.1', port)) for _ in range(40)]
print(json.dumps({}), flush=True)
sys.stdin.readline()
";

#[test]
fn one_of_two_workers_that_share_a_port_is_stopped() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut program, first) = Program::start(WORKERS, false)?;
    let port = first["port"].as_u64().context("no port")?;
    let workers: Vec<u32> = serde_json::from_value(first["workers"].clone())?;
    let [works, stopped] = workers.as_slice() else { anyhow::bail!("{first}") };
    let (works, stopped) = (works.to_string(), stopped.to_string());
    let mut daemon = serve(dir.path(), program.pid(), &["-p", works.as_str(), "-p", stopped.as_str()])?;
    let api = daemon.api()?;
    let asked = format!("answers/balance?of={port}");
    wait_for("both listeners", || {
        let answer = api.get(&asked)?;
        ensure!(answer["groups"][0]["members"].as_array().map(Vec::len) == Some(2), "{answer}");
        ensure!(kinds(&answer["groups"][0]["findings"]).is_empty(), "{answer}");
        Ok(())
    })?;
    signal_pid(stopped.parse()?, Signal::SIGSTOP)?;
    program.tell()?;
    let answer = wait_for("the finding", || {
        let answer = api.get(&asked)?;
        ensure!(kinds(&answer["groups"][0]["findings"]) == ["stranded"], "{answer}");
        Ok(answer)
    })?;
    signal_pid(stopped.parse()?, Signal::SIGCONT)?;
    let group = &answer["groups"][0];
    let pid: u64 = stopped.parse()?;
    ensure!(group["findings"][0]["processes"][0]["pid"] == pid, "{group}");
    let members = group["members"].as_array().context("no members")?;
    let of = |pid: u64| members.iter().find(|member| member["owners"][0]["pid"] == pid).context("no member");
    let (working, stopped) = (of(works.parse()?)?, of(pid)?);
    ensure!(working["assigned"] == working["accepted"] && working["waiting"] == 0, "{working}");
    ensure!(stopped["accepted"] == 0 && stopped["assigned"] == stopped["waiting"], "{stopped}");
    let assigned = |member: &Value| member["assigned"].as_u64().unwrap_or(0);
    ensure!(assigned(working) + assigned(stopped) == 40 && assigned(stopped) > 0, "{group}");
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

/// Four workers that wait for one listener with epoll(7), all of which each connection wakes. Each counts how often it was
/// woken and found nothing: an accept gave EAGAIN, and the kernel counts more voluntary context switches of the thread than at
/// its accept before (getrusage(2)). Its first accept of all says nothing. `TOGETHER`: they accept when all of them are awake, so
/// that every connection wakes three for nothing.
const HERD: &str = "
import json, os, resource, select, socket, sys
TOGETHER = globals().get('TOGETHER', False)
slept = lambda: resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(100)
listener.setblocking(False)
port = listener.getsockname()[1]
workers = {}
for number in range(4):
    read, write = os.pipe()
    stop, stopped = os.pipe()
    go, goes = os.pipe()
    pid = os.fork()
    if pid == 0:
        poll = select.epoll()
        poll.register(listener.fileno(), select.EPOLLIN)
        poll.register(stop, select.EPOLLIN)
        accepted = idle = empty = 0
        before = None
        os.write(write, b'ready')
        while True:
            if any(fd == stop for fd, _ in poll.poll()):
                break
            if TOGETHER:
                os.write(write, b'w')
                os.read(go, 1)
            try:
                child, now = listener.accept()[0], slept()
                child.close()
                accepted += 1
            except BlockingIOError:
                now = slept()
                empty += 1
                idle += before is not None and now != before
            before = now
            if TOGETHER:
                os.write(write, b'd')
        os.write(write, json.dumps([accepted, idle, empty]).encode())
        os._exit(0)
    workers[pid] = (read, stopped, goes)
    os.read(read, 5)
print(json.dumps({'port': port, 'workers': list(workers)}), flush=True)
sys.stdin.readline()
for _ in range(200):
    client = socket.create_connection(('127.0.0.1', port))
    if TOGETHER:
        for read, _, _ in workers.values():
            os.read(read, 1)
        for _, _, goes in workers.values():
            os.write(goes, b'g')
        for read, _, _ in workers.values():
            os.read(read, 1)
    client.recv(1)
    client.close()
counted = {}
for pid, (read, stopped, _) in workers.items():
    os.write(stopped, b'x')
    counted[pid] = json.loads(os.read(read, 100))
print(json.dumps(counted), flush=True)
sys.stdin.readline()
";

/// Accepts, wake-ups for nothing and accepts that found nothing, as the workers counted them; what is told of each equals that.
/// The findings.
fn told_as_counted(source: &str) -> Result<([u64; 3], Vec<String>)> {
    let dir = tempfile::tempdir()?;
    let (mut program, first) = Program::start(source, false)?;
    let port = first["port"].as_u64().context("no port")?;
    let pids: Vec<u32> = serde_json::from_value(first["workers"].clone())?;
    let more: Vec<String> = pids.iter().flat_map(|pid| ["-p".to_owned(), pid.to_string()]).collect();
    let more: Vec<&str> = more.iter().map(String::as_str).collect();
    let mut daemon = serve(dir.path(), program.pid(), &more)?;
    let api = daemon.api()?;
    let counted: BTreeMap<String, [u64; 3]> = serde_json::from_value(program.tell()?)?;
    let sum = counted.values().fold([0; 3], |sum, worker| [0, 1, 2].map(|of| sum[of] + worker[of]));
    let [accepted, ..] = sum;
    let group = wait_for("every accept", || {
        let answer = api.get(&format!("answers/balance?of={port}"))?;
        let group = answer["groups"][0].clone();
        let told = |field: &str| -> u64 {
            let workers = group["workers"].as_array().into_iter().flatten();
            workers.filter_map(|worker| worker[field].as_u64()).sum()
        };
        ensure!(told("accepted") == accepted, "{accepted} were accepted: {group}");
        Ok(group)
    })?;
    for worker in group["workers"].as_array().context("no workers")? {
        let pid = worker["process"]["pid"].to_string();
        let Some([accepted, idle, _]) = counted.get(&pid) else { continue };
        ensure!(worker["accepted"] == *accepted, "{pid} counted {accepted}: {worker}");
        ensure!(worker["woken_idle"] == *idle, "{pid} counted {idle}: {worker}");
    }
    let findings = group["findings"].as_array().context("no findings")?;
    for finding in findings.iter().filter(|finding| finding["kind"] == "herd") {
        let [accepted, idle, _] = sum;
        ensure!(finding["count"] == idle, "{accepted} accepted, {idle} for nothing: {finding}");
    }
    let kinds = kinds(&group["findings"]).into_iter().map(str::to_owned).collect();
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok((sum, kinds))
}

#[test]
fn workers_that_are_all_woken_for_each_connection() -> Result<()> {
    let ([accepted, idle, _], told) = told_as_counted(HERD)?;
    // From 20 on (`HERD_AFTER`), where they are at least as many as accepts.
    let expected: &[&str] = if idle >= 20 && idle >= accepted { &["herd"] } else { &[] };
    ensure!(told == expected, "{idle} idle, {accepted} accepted: {told:?}");
    println!("{accepted} accepted, woken for nothing {idle} times: {expected:?}");
    Ok(())
}

#[test]
fn a_thundering_herd_is_told() -> Result<()> {
    let ([accepted, idle, empty], told) = told_as_counted(&format!("TOGETHER = True\n{HERD}"))?;
    // Each connection woke four, of which one took it.
    ensure!(accepted == 200 && empty == 600, "{accepted} accepted, {empty} found nothing");
    // What is told is what each worker counted, see above. A worker's first accept says nothing of a wake-up, nor does one
    // before which it had no time to fall asleep: how often that is, is the scheduler's.
    ensure!(idle < empty && idle > 2 * accepted, "{idle} of {empty} after a sleep");
    ensure!(told == ["herd"], "{told:?}");
    Ok(())
}

/// How many connections each worker of nginx served, by its log.
fn connections_of(server: &Server) -> Result<BTreeMap<u64, u64>> {
    let log = fs::read_to_string(server.dir().join("access.log"))?;
    let connections: BTreeSet<(u64, u64)> = log
        .lines()
        .map(|line| {
            let (pid, connection) = line.split_once(' ').with_context(|| format!("nginx says {line}"))?;
            Ok((pid.parse()?, connection.parse()?))
        })
        .collect::<Result<_>>()?;
    let mut of_each = BTreeMap::new();
    for (pid, _) in connections {
        *of_each.entry(pid).or_default() += 1;
    }
    Ok(of_each)
}

/// Lengths of the accept queues of a port, by ss(8).
fn queued(port: u16) -> Result<Vec<u64>> {
    let output = Command::new("ss").args(["-Hltn", &format!("sport = :{port}")]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let lengths = text
        .lines()
        .map(|line| line.split_whitespace().nth(1).context("no Recv-Q")?.parse().map_err(Into::into));
    lengths.collect()
}

/// Accepts of each process of a group that accepted any.
fn accepts(group: &Value) -> BTreeMap<u64, u64> {
    let workers = group["workers"].as_array().into_iter().flatten();
    let accepts =
        workers.filter_map(|worker| Some((worker["process"]["pid"].as_u64()?, worker["accepted"].as_u64()?)));
    accepts.filter(|(_, accepted)| *accepted > 0).collect()
}

/// Connections assigned to, accepted from and waiting at each listener of a group, by its socket.
fn members(group: &Value) -> BTreeMap<String, [u64; 3]> {
    let members = group["members"].as_array().into_iter().flatten();
    let of = |member: &Value| {
        let number = |field: &str| member[field].as_u64();
        Some([number("assigned")?, number("accepted")?, number("waiting")?])
    };
    members.filter_map(|member| Some((member["socket"]["id"].as_str()?.to_owned(), of(member)?))).collect()
}

#[test]
fn one_of_two_workers_of_nginx_that_share_a_port_is_stopped() -> Result<()> {
    let server = Server::nginx()?;
    let file = server.dir().join("nginx.conf");
    // Who served each connection is in its log.
    let config = fs::read_to_string(&file)?
        .replace("backlog=77", "reuseport backlog=77")
        .replace("access.log;", "access.log served;")
        .replace("access_log", "log_format served '$pid $connection'; access_log");
    fs::write(&file, config)?;
    let running = server.start()?;
    let mut daemon = serve_with_workers(&server, running.pid())?;
    let api = daemon.api()?;
    let asked = format!("answers/balance?of={}", server.port);
    crate::harness::visits(&server, 60)?;
    let (group, accepted) = wait_for("accepts of both", || {
        let group = api.get(&asked)?["groups"][0].clone();
        ensure!(kinds(&group["findings"]).is_empty(), "{group}");
        let logged = connections_of(&server)?;
        ensure!(logged.len() == 2 && logged.values().sum::<u64>() == 60, "{logged:?}");
        ensure!(accepts(&group) == logged, "nginx says {logged:?}: {group}");
        let mut told: Vec<[u64; 3]> = members(&group).into_values().collect();
        let mut known: Vec<[u64; 3]> = logged.values().map(|logged| [*logged, *logged, 0]).collect();
        told.sort_unstable();
        known.sort_unstable();
        ensure!(told == known, "nginx says {logged:?}: {group}");
        Ok((group, logged))
    })?;
    let stopped = group["workers"][1]["process"]["pid"].as_u64().context("no second worker")?;
    let pid = u32::try_from(stopped)?;
    signal_pid(pid, Signal::SIGSTOP)?;
    let clients: Vec<_> =
        (0..40).map(|_| std::net::TcpStream::connect(server.address())).collect::<Result<_, _>>()?;
    let group = wait_for("the finding", || {
        let group = api.get(&asked)?["groups"][0].clone();
        ensure!(kinds(&group["findings"]) == ["stranded"], "{group}");
        Ok(group)
    })?;
    // The same connections, at the same listener, wait in its queue.
    only_alarms_of(&api, &["queues stuck", "balance stranded"])?;
    let queues = api.get(&format!("answers/queues?of={}", server.port))?;
    let queues = queues["queues"].as_array().context("no queues")?;
    let stuck = queues.iter().find(|queue| !kinds(&queue["findings"]).is_empty()).context("none is stuck")?;
    ensure!(stuck["socket"]["id"] == group["findings"][0]["listener"], "{stuck}: {group}");
    let oldest = &stuck["waiting"][0]["since"];
    ensure!(oldest["seq"].is_u64() && *oldest == group["findings"][0]["evidence"], "{stuck}: {group}");
    // What waits at the one is what the kernel says of its queue; the rest was assigned to the other, which took it.
    let waiting: u64 = queued(server.port)?.iter().sum();
    ensure!(waiting > 0 && waiting < 40, "ss has {waiting} that wait");
    let stranded = group["findings"][0]["listener"].as_str().context("no listener")?.to_owned();
    let other = group["workers"][0]["process"]["pid"].as_u64().context("no first worker")?;
    let [of_stopped, of_other] = [stopped, other].map(|pid| accepted.get(&pid).copied().unwrap_or_default());
    wait_for("every client at its listener", || {
        let group = api.get(&asked)?["groups"][0].clone();
        let mut told = members(&group);
        let at_stopped = told.remove(&stranded);
        ensure!(at_stopped == Some([of_stopped + waiting, of_stopped, waiting]), "{waiting} wait: {group}");
        let took = of_other + 40 - waiting;
        ensure!(told.into_values().eq([[took, took, 0]]), "{waiting} wait: {group}");
        Ok(())
    })?;
    signal_pid(pid, Signal::SIGCONT)?;
    drop(clients);
    let named = &group["findings"][0]["processes"];
    ensure!(named.as_array().map(Vec::len) == Some(1) && named[0]["pid"] == stopped, "{group}");
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

#[test]
fn one_of_two_workers_of_nginx_that_never_accepts() -> Result<()> {
    const VISITS: usize = 600;
    let server = Server::nginx()?;
    let running = server.start()?;
    let workers = crate::harness::descendants(running.pid())?;
    let [idle, works] = workers[..] else { anyhow::bail!("not two workers: {workers:?}") };
    signal_pid(idle, Signal::SIGSTOP)?;
    let mut daemon = serve_with_workers(&server, running.pid())?;
    let api = daemon.api()?;
    let asked = format!("answers/balance?of={}", server.port);
    // Too few to tell: chance may have it so.
    crate::harness::visits(&server, VISITS)?;
    let group = || -> Result<Value> { Ok(api.get(&asked)?["groups"][0].clone()) };
    let accepted = |group: &Value, pid: u32| {
        let mut workers = group["workers"].as_array().into_iter().flatten();
        let worker = workers.find(|worker| worker["process"]["pid"] == pid);
        worker.and_then(|worker| worker["accepted"].as_u64()).with_context(|| format!("no {pid} in {group}"))
    };
    wait_for("accepts", || {
        let group = group()?;
        ensure!(accepted(&group, works)? >= VISITS as u64, "{group}");
        ensure!(kinds(&group["findings"]).is_empty(), "{group}");
        Ok(())
    })?;
    crate::harness::visits(&server, VISITS)?;
    let told = wait_for("the finding", || {
        let group = group()?;
        ensure!(kinds(&group["findings"]) == ["idle"], "{group}");
        Ok(group)
    })?;
    only_alarms_of(&api, &["balance idle"])?;
    let finding = &told["findings"][0];
    ensure!(finding["evidence"]["seq"].is_u64(), "no event: {finding}");
    let named = finding["processes"].as_array().map(Vec::as_slice).unwrap_or_default();
    ensure!(named.len() == 1 && named[0]["pid"] == idle, "{finding}");
    ensure!(accepted(&told, idle)? == 0 && finding["count"] == accepted(&told, works)?, "{told}");
    // It goes on, and takes its part.
    signal_pid(idle, Signal::SIGCONT)?;
    wait_for("an accept of its own", || {
        crate::harness::visits(&server, 8)?;
        let group = group()?;
        ensure!(accepted(&group, idle)? > 0 && kinds(&group["findings"]).is_empty(), "{group}");
        Ok(())
    })?;
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}
