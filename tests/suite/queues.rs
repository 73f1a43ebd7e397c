//! Accept queues: each connection is told in the queue of the very listener that accepts it, though several listeners
//! share the port, and though they listened before tracing began. Queues that are longer than their limit allows, and what a
//! listener drops for another reason than a full queue, are told as ss(8) and the kernel's counters have them.

use crate::{
    harness::{Group, Sockreel, complete, lines, only_alarms_of, skipped, wait_for},
    listeners::{Program, kinds, serve},
    waits::{TCP, UNIX},
};
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

/// A queue as `ss` shows it: length, limit, and what its listener dropped (`d` of `skmem`). Waits until it has that length and has
/// dropped so many, and for ten seconds at most: packets may be under way.
const SHOWN: &str = "
import json, os, re, socket, struct, subprocess, sys, time

def shown(length, drops):
    end = time.monotonic() + 10
    while True:
        ask = ss()
        text = subprocess.run(ask[:1] + ['-m'] + ask[1:], capture_output=True, text=True, check=True).stdout
        words = text.split()
        at = words.index('LISTEN')
        found = [int(words[at + 1]), int(words[at + 2]), int(re.search(r',d([0-9]+)', text).group(1))]
        if (found[0], found[2]) == (length, drops) or time.monotonic() > end:
            return found

def counters():
    names, values = [line.split() for line in open('/proc/net/netstat') if line.startswith('TcpExt:')]
    return dict(zip(names[1:], map(int, values[1:])))

def connected():
    client = make()
    client.connect(listener.getsockname())
    return client

def refused():
    client = make()
    client.setblocking(False)
    try:
        client.connect(listener.getsockname())
    except BlockingIOError:
        # Gone before it would try again.
        client.close()
    else:
        raise SystemExit('connected')

def say(**what):
    print(json.dumps(what), flush=True)
    sys.stdin.readline()
";

/// A listener that lowers its own limit while more connections wait than that: listen(2) changes the limit, and the queue
/// stays as long as it is (`inet_listen`, net/ipv4/af_inet.c; `unix_listen`, net/unix/af_unix.c).
const OVERSHOOTING: &str = "
listener = make()
bind(listener)
say(of=of())
tcp = listener.family == socket.AF_INET
names = lambda: [client.getsockname()[1] for client in clients] if tcp else None
tell = lambda length, drops: say(ss=shown(length, drops if tcp else 0), waiting=names(), counters=counters())
listener.listen(8)
clients = [connected() for _ in range(9)]
tell(9, 0)
listener.listen(2)
tell(9, 0)
for _ in range(3):
    refused()
tell(9, 3)
children = [listener.accept()[0] for _ in range(6)]
accepted, clients = clients[:6], clients[6:]
refused()
tell(3, 4)
children.append(listener.accept()[0])
accepted.append(clients.pop(0))
clients.append(connected())
tell(3, 4)
listener.listen(8)
tell(3, 4)
";

#[test]
fn a_queue_that_is_longer_than_its_limit_is_told_as_ss_shows_it() -> Result<()> {
    for family in [TCP, UNIX] {
        let dir = tempfile::tempdir()?;
        let (mut program, first) = Program::start(&format!("{SHOWN}{family}{OVERSHOOTING}"), true)?;
        let of = first["of"].as_str().context("no name")?;
        let mut daemon = serve(dir.path(), program.pid(), &[])?;
        let url = daemon.url()?;
        let api = daemon.api()?;
        // Length, limit, connections refused so far, and what the text says of the first two.
        for (len, limit, refused, text) in [
            (9, 8, 0, "queue 9, limit 8 (holds 9; asked for 8), longest 9"),
            (9, 2, 0, "queue 9, limit 2 (holds 3; asked for 2), 6 more than it holds, longest 9"),
            (9, 2, 3, "queue 9, limit 2 (holds 3; asked for 2), 6 more than it holds, longest 9"),
            (3, 2, 4, "queue 3, limit 2 (holds 3; asked for 2), longest 9"),
            (3, 2, 4, "queue 3, limit 2 (holds 3; asked for 2), longest 9"),
            (3, 8, 4, "queue 3, limit 8 (holds 9; asked for 8), longest 9"),
        ] {
            let known = program.tell()?;
            let drops = if known["waiting"].is_null() { 0 } else { refused };
            ensure!(known["ss"] == json!([len, limit, drops]), "{known}");
            wait_for("the queue as ss shows it", || {
                let answer = api.get(&format!("answers/queues?of={of}"))?;
                let queue = &answer["queues"][0];
                let told = ["len", "limit", "asked", "holds", "longest"].map(|field| &queue[field]);
                ensure!(json!(told) == json!([len, limit, limit, limit + 1, 9]), "{known}: {answer}");
                let waiting = queue["waiting"].as_array().context("no waiting")?;
                ensure!(waiting.len() == len && queue["others"] == 0, "{known}: {answer}");
                ensure!(kinds(&queue["findings"]).contains(&"overflowed") == (refused > 0), "{answer}");
                let Some(ports) = known["waiting"].as_array() else {
                    let turned_away = queue["turned_away"]["count"].as_u64().unwrap_or(0);
                    ensure!(turned_away == refused && queue["drops"].is_null(), "{known}: {answer}");
                    return Ok(());
                };
                let peers: Vec<_> = ports.iter().map(|port| json!(format!("127.0.0.1:{port}"))).collect();
                ensure!(waiting.iter().map(|one| &one["peer"]).eq(&peers), "{known}: {answer}");
                dropped(&queue["drops"], (refused, 0), &known["counters"])
            })?;
            let now = Sockreel::run(dir.path(), "queues", ["queues", of, "--from", &url])?;
            ensure!(now.code == 0 && now.out.contains(&format!("\n    {text} at ")), "{now:?}");
            println!("ss shows {}; told:\n{}", known["ss"], now.out);
        }
        let queue = api.get(&format!("answers/queues?of={of}"))?["queues"][0].clone();
        ensure!(queue["queued"] == 10 && queue["accepted"] == 7, "{queue}");
        let former = queue["socket"]["former_limits"].as_array().context("no former limits")?;
        ensure!(former.iter().map(|one| &one["limit"]).eq(&[json!(8), json!(2)]), "{former:?}");
        // Each of the three calls, with what it left.
        let events = api.events()?;
        let listens = events.iter().filter(|event| event["event"] == "listen");
        let listens: Vec<_> = listens
            .map(|event| json!([event["backlog"], event["queue_len"], event["queue_limit"]]))
            .collect();
        ensure!(json!(listens) == json!([[8, 0, 8], [2, 9, 2], [8, 3, 8]]), "{listens:?}");
        ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    }
    Ok(())
}

/// What a listener dropped, exactly: packets that met a full queue, and others; and its namespace counted the former alone.
fn dropped(drops: &Value, (full, other): (u64, u64), counters: &Value) -> Result<()> {
    ensure!(counters["ListenOverflows"] == full && counters["ListenDrops"] == full, "{counters}");
    let told = ["total", "queue_full_min", "queue_full_max", "other_min", "other_max", "host_overflows"];
    let told = told.map(|field| &drops[field]);
    ensure!(json!(told) == json!([full + other, full, full, other, other, full]), "{counters}: {drops}");
    ensure!(drops["counted_twice"] == 0 && drops["moments"] == 0, "{drops}");
    Ok(())
}

/// Why a listener drops every SYN although its queue is empty (`tcp_v4_rcv`, net/ipv4/tcp_ipv4.c), by what is set with
/// setsockopt(2): a filter that lets nothing pass (socket(7)), a time to live that no packet has (`IP_MINTTL`, ip(7)), and a
/// signature that none carries (`TCP_MD5SIG`, tcp(7)). The namespace's counter of each, where there is one.
const CAUSES: [(&str, Option<&str>); 3] = [
    (
        "
import ctypes
# BPF_RET | BPF_K, include/uapi/linux/bpf_common.h.
instructions = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0))
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
refuse = lambda: listener.setsockopt(
    socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack('HL', 1, ctypes.addressof(instructions)))
admit = lambda: listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
",
        None,
    ),
    (
        "
IP_MINTTL = 21
refuse = lambda: listener.setsockopt(socket.IPPROTO_IP, IP_MINTTL, 255)
admit = lambda: listener.setsockopt(socket.IPPROTO_IP, IP_MINTTL, 0)
",
        Some("TCPMinTTLDrop"),
    ),
    (
        "
TCP_MD5SIG = 14
address = struct.pack('=HH4s120x', socket.AF_INET, 0, socket.inet_aton('127.0.0.1'))
sign = lambda key: listener.setsockopt(
    socket.IPPROTO_TCP, TCP_MD5SIG, address + struct.pack('=BBHi80s', 0, 0, len(key), 0, key))
refuse = lambda: sign(b'key')
admit = lambda: sign(b'')
",
        Some("TCPMD5NotFound"),
    ),
];

/// Clients that are dropped while the queue is empty, then others that find it full, then again some that are dropped before
/// anybody looks at the queue.
const DROPS: &str = "
listener = make()
bind(listener)
listener.listen(1)
try:
    refuse()
except OSError as error:
    print(json.dumps({'cannot': str(error)}), flush=True)
    sys.exit()
say(of=of())
for _ in range(5):
    refused()
say(ss=shown(0, 5), counters=counters())
admit()
clients = [connected() for _ in range(2)]
for _ in range(4):
    refused()
say(ss=shown(2, 9), counters=counters())
refuse()
for _ in range(2):
    refused()
say(ss=shown(2, 11), counters=counters())
";

#[test]
fn what_is_dropped_for_another_reason_is_not_told_as_a_full_queue() -> Result<()> {
    for (cause, counter) in CAUSES {
        let dir = tempfile::tempdir()?;
        let (mut program, first) = Program::start(&format!("{SHOWN}{TCP}{cause}{DROPS}"), true)?;
        if let Some(why) = first["cannot"].as_str() {
            skipped(&format!("drops of {}: {why}", counter.unwrap_or("a filter")))?;
            continue;
        }
        let of = first["of"].as_str().context("no port")?;
        let mut daemon = serve(dir.path(), program.pid(), &[])?;
        let url = daemon.url()?;
        let api = daemon.api()?;
        let asked = format!("answers/queues?of={of}");
        wait_for("the first sample", || {
            let answer = api.get(&asked)?;
            ensure!(answer["queues"][0]["drops"]["total"] == 0, "{answer}");
            Ok(())
        })?;
        for (len, full, other) in [(0, 0, 5), (2, 4, 5), (2, 4, 7)] {
            let known = program.tell()?;
            ensure!(known["ss"] == json!([len, 1, full + other]), "{known}");
            ensure!(counter.is_none_or(|counter| known["counters"][counter] == other), "{known}");
            wait_for("the drops as they are counted", || {
                let answer = api.get(&asked)?;
                let queue = &answer["queues"][0];
                dropped(&queue["drops"], (full, other), &known["counters"])?;
                ensure!(queue["len"] == len && queue["limit"] == 1 && queue["asked"].is_null(), "{answer}");
                ensure!(kinds(&queue["findings"]).contains(&"overflowed") == (full > 0), "{answer}");
                Ok(())
            })?;
            if full == 0 {
                only_alarms_of(&api, &[])?;
            }
            let now = Sockreel::run(dir.path(), "queues", ["queues", of, "--from", &url])?;
            let text = format!(
                "\n    dropped {}: met a full queue {full}, counted twice 0, other {other}; \
                 ListenOverflows of the namespace +{full} ",
                full + other
            );
            ensure!(now.code == 0 && now.out.contains(&text), "{now:?}");
            println!("ss shows {}, {counter:?}; told:{text}", known["ss"]);
        }
        // As it came: each line has what is new, and the last one how many met a full queue.
        let events = api.events()?;
        let overflows: Vec<_> = events.iter().filter(|event| event["event"] == "overflow").collect();
        let new: u64 = overflows.iter().filter_map(|event| event["drops"].as_u64()).sum();
        let last = overflows.last().context("nothing was told")?;
        let of_all = ["drops_total", "queue_full_min", "queue_full_max"].map(|field| &last[field]);
        ensure!(new == 11 && json!(of_all) == json!([11, 4, 4]), "{overflows:?}");
        ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    }
    Ok(())
}
