//! Waits and lengths of accept queues, and moments of refusals: each beside what the program read of its own clock, of `ss` and
//! of its namespace's counters meanwhile.

use crate::{
    harness::{Api, Sockreel, complete, lines, wait_for},
    listeners::{Program, serve},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::ffi::OsString;

/// How a listener is made and reached: over TCP and over a unix socket.
pub(crate) const TCP: &str = "
make = lambda: socket.socket()
bind = lambda listener: listener.bind(('127.0.0.1', 0))
of = lambda: str(listener.getsockname()[1])
ss = lambda: ['ss', '-Hltn', 'sport = :' + of()]
";
pub(crate) const UNIX: &str = "
make = lambda: socket.socket(socket.AF_UNIX)
bind = lambda listener: listener.bind('\\0sockreel-waits-%d' % os.getpid())
of = lambda: '@' + listener.getsockname()[1:].decode()
ss = lambda: ['ss', '-Hlxn', 'src', of()]
";

/// Connections that wait for times of a wide range, each accepted alone; the least and the most that each may have waited, by the
/// clock at its connect and its accept. Then a queue of several lengths, each in a second of its own, as `ss` shows it.
const WAITS: &str = "
listener = make()
bind(listener)
listener.listen(50)
print(json.dumps({'of': of()}), flush=True)
sys.stdin.readline()
clock = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME)
least, most = [], []
for turn in range(200):
    client = make()
    before = clock()
    client.connect(listener.getsockname())
    queued = clock()
    time.sleep(0.0001 * turn if turn < 190 else 0.01 * (turn - 180))
    accepting = clock()
    child = listener.accept()[0]
    accepted = clock()
    least.append(accepting - queued)
    most.append(accepted - before)
    client.close()
    child.close()
print(json.dumps({'least': sorted(least), 'most': sorted(most)}), flush=True)
sys.stdin.readline()
clients, shown = [], []
for length in (3, 7, 2, 0, 5):
    time.sleep((1_000_000_000 - clock() % 1_000_000_000) / 1e9)
    while len(clients) < length:
        clients.append(make())
        clients[-1].connect(listener.getsockname())
    while len(clients) > length:
        clients.pop(0).close()
        listener.accept()[0].close()
    # State, Recv-Q and so on; of a unix socket its kind stands before them.
    words = subprocess.run(ss(), capture_output=True, text=True, check=True).stdout.split()
    shown.append(int(words[words.index('LISTEN') + 1]))
print(json.dumps(shown), flush=True)
sys.stdin.readline()
";

fn queue(api: &Api, of: &str) -> Result<Value> {
    let answer = api.get(&format!("answers/queues?of={of}"))?;
    let queues = answer["queues"].as_array().context("no queues")?;
    ensure!(queues.len() == 1 && answer["sampled"].is_object(), "{answer}");
    Ok(queues[0].clone())
}

#[test]
fn waits_and_lengths_are_those_that_the_program_read() -> Result<()> {
    for family in [TCP, UNIX] {
        let dir = tempfile::tempdir()?;
        let imports = "import json, os, socket, subprocess, sys, time";
        let (mut program, first) = Program::start(&format!("{imports}\n{family}{WAITS}"), false)?;
        let of = first["of"].as_str().context("no name")?;
        let mut daemon = serve(dir.path(), program.pid(), &[])?;
        let api = daemon.api()?;
        wait_for("the listener", || queue(&api, of))?;

        let read = program.tell()?;
        let (least, most): (Vec<u64>, Vec<u64>) =
            (serde_json::from_value(read["least"].clone())?, serde_json::from_value(read["most"].clone())?);
        let told = wait_for("every accept", || {
            let queue = queue(&api, of)?;
            ensure!(queue["accepted"] == least.len(), "{queue}");
            Ok(queue)
        })?;
        let waits = &told["waits"];
        ensure!(waits["count"] == least.len() && waits["without_start"] == 0, "{waits}");
        for (name, rank) in
            [("p50_ns", 100), ("p90_ns", 180), ("p99_ns", 198), ("p999_ns", 200), ("max_ns", 200)]
        {
            let ns = waits[name].as_u64().with_context(|| format!("no {name}: {waits}"))?;
            let (least, most) = (least[rank - 1], most[rank - 1]);
            // Two significant digits: a percentile is the end of a step of at most one part in a hundred.
            let end = if name == "max_ns" { most } else { most + most / 100 };
            ensure!((least..=end).contains(&ns), "{name} is {ns}, the program read {least} to {most}");
            println!("{of} {name}: told {ns}, read {least} to {most}");
        }

        let before = told["lengths"].as_array().map_or(0, Vec::len);
        let shown: Vec<u64> = serde_json::from_value(program.tell()?)?;
        ensure!(shown == [3, 7, 2, 0, 5], "ss shows {shown:?}");
        let told = wait_for("the last length", || {
            let queue = queue(&api, of)?;
            ensure!(queue["len"] == 5 && queue["waiting"].as_array().map(Vec::len) == Some(5), "{queue}");
            Ok(queue)
        })?;
        let lengths = told["lengths"].as_array().context("no lengths")?.get(before..).context("fewer")?;
        let lasts: Vec<u64> = lengths.iter().filter_map(|second| second["last"].as_u64()).collect();
        ensure!(lasts == shown, "ss shows {shown:?}: {lengths:?}");
        ensure!(told["longest"] == 7 && lengths.iter().all(|second| second["limit"] == 50), "{told}");
        ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    }
    Ok(())
}

/// What waits at a unix listener when tracing begins, and is accepted later: since when is not known, and nothing is made up.
#[test]
fn what_was_queued_at_a_unix_listener_before_tracing_has_no_start() -> Result<()> {
    let source = format!(
        "import json, os, socket, sys
{UNIX}
listener = make()
bind(listener)
listener.listen(5)
clients = [make() for _ in range(3)]
for client in clients:
    client.connect(listener.getsockname())
print(json.dumps({{'of': of()}}), flush=True)
sys.stdin.readline()
listener.accept()[0].close()
print(json.dumps({{}}), flush=True)
sys.stdin.readline()"
    );
    let dir = tempfile::tempdir()?;
    let (mut program, first) = Program::start(&source, false)?;
    let of = first["of"].as_str().context("no name")?;
    let mut daemon = serve(dir.path(), program.pid(), &[])?;
    let api = daemon.api()?;
    wait_for("those that wait", || {
        let queue = queue(&api, of)?;
        let waiting = queue["waiting"].as_array().cloned().unwrap_or_default();
        ensure!(waiting.len() == 3 && waiting.iter().all(|one| one["at_least"] == true), "{queue}");
        Ok(())
    })?;
    program.tell()?;
    wait_for("the accept", || {
        let queue = queue(&api, of)?;
        ensure!(queue["accepted"] == 1 && queue["len"] == 2, "{queue}");
        ensure!(queue["waits"]["count"] == 0 && queue["waits"]["without_start"] == 1, "{queue}");
        ensure!(queue["waits"]["max_ns"].is_null(), "{queue}");
        Ok(())
    })?;
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

/// A queue that holds five and has four, and four clients whose handshakes are under way at once, on a loopback so slow that every
/// SYN is there before the first ACK. Without SYN cookies (tcp(7)), whose last segment the kernel drops for another reason. Reads
/// again and again how many overflows its namespace counts, with the time before and after.
const OVERFLOWS: &str = "
import json, socket, subprocess, sys, time
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(4)
open('/proc/sys/net/ipv4/tcp_syncookies', 'w').write('0')
early = [socket.create_connection(listener.getsockname()) for _ in range(4)]
subprocess.run('tc qdisc add dev lo root tbf rate 200kbit burst 1600 limit 100000', shell=True, check=True)
print(json.dumps({'port': listener.getsockname()[1]}), flush=True)
sys.stdin.readline()


def count():
    before = time.time_ns()
    names, values = [line.split() for line in open('/proc/net/netstat') if line.startswith('TcpExt:')]
    return before, int(values[names.index('ListenOverflows')]), time.time_ns()


clients = []
read = [count()]
# Takes what may be sent at once.
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagram.bind(('127.0.0.1', 0))
datagram.sendto(bytes(1500), datagram.getsockname())
for _ in range(4):
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(listener.getsockname())
    clients.append(client)
end = time.monotonic() + 4
while time.monotonic() < end:
    read.append(count())
    time.sleep(0.0005)
print(json.dumps({'clients': [client.getsockname()[1] for client in clients], 'read': read}), flush=True)
sys.stdin.readline()
";

/// What the two clocks of the machine, which are compared each second, may be apart.
const CLOCKS_NS: u64 = 2_000_000;

#[test]
fn the_moment_of_a_refusal_is_when_the_namespace_counts_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut program, first) = Program::start(OVERFLOWS, true)?;
    let port = first["port"].as_u64().context("no port")?;
    let out = dir.path().join("out.jsonl");
    let mut args: Vec<OsString> = ["trace", "--json", "-p"].map(OsString::from).into();
    args.extend([program.pid().to_string().into(), "-o".into(), out.clone().into()]);
    let trace = Sockreel::start(dir.path(), "trace", args)?;
    wait_for("the snapshot", || {
        ensure!(lines(&out)?.iter().any(|line| line["to"] == "LISTEN"), "no listener yet");
        Ok(())
    })?;
    let said = program.tell()?;
    let read: Vec<[u64; 3]> = serde_json::from_value(said["read"].clone())?;
    let clients: Vec<u64> = serde_json::from_value(said["clients"].clone())?;
    let counted = |read: &[u64; 3]| read[1] - first_count(&said);
    let total = read.last().map(counted).context("nothing was read")?;
    ensure!(total >= 3, "{total} overflows of clients {clients:?}");
    ensure!(trace.interrupt()?.code == 0, "trace did not end well");
    let written = lines(&out)?;
    complete(&written)?;
    let told: Vec<&Value> =
        written.iter().filter(|line| line["event"] == "overflow" && line["peer"].is_string()).collect();
    // What came between the last reading and the end of the trace is beyond.
    ensure!(told.len() as u64 >= total, "{total} are counted, {} are told: {told:?}", told.len());
    let mut refused = std::collections::BTreeSet::new();
    for (number, line) in (1..=total).zip(told) {
        let ts = line["ts_ns"].as_u64().context("no time")?;
        let after = read.iter().position(|read| counted(read) >= number).context("not counted")?;
        let (not_before, not_after) = (read[after.saturating_sub(1)][0], read[after][2]);
        ensure!(
            (not_before - CLOCKS_NS..=not_after + CLOCKS_NS).contains(&ts),
            "overflow {number} was counted between {not_before} and {not_after}: {line}"
        );
        ensure!(line["local"] == format!("127.0.0.1:{port}"), "{line}");
        refused.insert(line["peer"].as_str().unwrap_or_default().to_owned());
    }
    // One of the four has its place.
    let ours: Vec<String> = clients.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    ensure!(refused.len() == 3 && refused.iter().all(|peer| ours.contains(peer)), "{refused:?} of {ours:?}");
    println!("{total} overflows, each within what the namespace's counter allows");
    Ok(())
}

fn first_count(said: &Value) -> u64 {
    said["read"][0][1].as_u64().unwrap_or_default()
}
