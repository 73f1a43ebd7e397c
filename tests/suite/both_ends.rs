//! Both ends of a connection on this machine: what is told of them is what the programs that have the sockets read of them
//! (`TCP_INFO`, tcp(7)).

use crate::{
    harness::{Api, Group, Server, wait_for},
    listeners::{Program, serve},
};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// Both ends of a connection, in a network namespace whose loopback has the addresses of any other, drops what a short queue
/// does not hold, and is slow. Whoever is to close first is told, and both ends read their counters: while they are open and
/// everything is acknowledged, and after both have shut down, when nothing can change them any more.
const ENDS: &str = "
import fcntl, json, os, socket, struct, subprocess, sys, termios, threading, time
subprocess.run('ip link set lo mtu 1500 && tc qdisc add dev lo root tbf rate 20mbit burst 6000 limit 12000', shell=True,
               check=True)
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(('127.0.0.1', 4711))
listener.listen(10)
print(json.dumps({'netns': os.stat('/proc/self/ns/net').st_ino}), flush=True)


def info(of):
    # struct tcp_info, include/uapi/linux/tcp.h
    raw = of.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    word = lambda at: struct.unpack_from('I', raw, at)[0]
    long = lambda at: struct.unpack_from('Q', raw, at)[0]
    return {'rtt_us': word(68), 'retransmits': word(100), 'bytes_acked': long(120), 'bytes_received': long(128)}


def settled(*ends):
    for end in ends:
        while struct.unpack('i', fcntl.ioctl(end, termios.TIOCOUTQ, bytes(4)))[0]:
            time.sleep(0.01)


def send(end, much):
    sender = threading.Thread(target=lambda: end.sendall(bytes(much)))
    sender.start()
    return sender


def take(end, much):
    while much:
        much -= len(end.recv(much))


for first in ('server', 'client'):
    sys.stdin.readline()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(('127.0.0.1', 4712 if first == 'server' else 4713))
    client.connect(('127.0.0.1', 4711))
    server = listener.accept()[0]
    sender = send(client, 300000)
    take(server, 300000)
    sender.join()
    sender = send(server, 5000)
    take(client, 5000)
    sender.join()
    settled(client, server)
    print(json.dumps({'client': info(client), 'server': info(server)}), flush=True)
    sys.stdin.readline()
    one, two = (server, client) if first == 'server' else (client, server)
    one.shutdown(socket.SHUT_WR)
    two.recv(1)
    two.shutdown(socket.SHUT_WR)
    one.recv(1)
    # The state of the end that closed last (TCP_CLOSE) says that everything has been acknowledged.
    while two.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 7:
        time.sleep(0.01)
    counted = {'client': info(client), 'server': info(server)}
    client.close()
    server.close()
    print(json.dumps(counted), flush=True)
sys.stdin.readline()
";

/// The connections of the programs' port.
fn connections(api: &Api) -> Result<Vec<Value>> {
    let answer = api.get("answers/connections?of=4711&ended=true")?;
    answer["connections"].as_array().cloned().with_context(|| answer.to_string())
}

/// The one of a program from that port.
fn of_program(all: &[Value], pid: u32, port: u16) -> Result<Value> {
    let client = json!(format!("127.0.0.1:{port}"));
    let fits = |one: &&Value| {
        let ends = [&one["client"], &one["server"]];
        one["client"]["socket"]["local"] == client && ends.iter().any(|end| end["owners"][0]["pid"] == pid)
    };
    let found: Vec<&Value> = all.iter().filter(fits).collect();
    let [one] = found[..] else { anyhow::bail!("{} connections of {pid}: {all:#?}", found.len()) };
    Ok(one.clone())
}

/// Whether both ends are told with the counters that the program read.
fn same_counters(pair: &Value, counted: &Value) -> Result<()> {
    for end in ["client", "server"] {
        for (name, known) in counted[end].as_object().context("no counters")? {
            ensure!(pair[end]["tcp"][name] == *known, "{name} of the {end} is {known}: {pair:#}");
        }
    }
    Ok(())
}

#[test]
fn both_ends_have_the_counters_that_their_owners_read() -> Result<()> {
    let dir = tempfile::tempdir()?;
    // Two namespaces with the same addresses and ports.
    let mut programs = [Program::start(ENDS, true)?, Program::start(ENDS, true)?];
    let pids = programs.each_ref().map(|(program, _)| program.pid());
    let mut daemon = serve(dir.path(), pids[0], &["-p", &pids[1].to_string()])?;
    let api = daemon.api()?;
    wait_for("both listeners", || {
        let answer = api.get("answers/queues?of=4711")?;
        ensure!(
            answer["queues"].as_array().map(Vec::len) == Some(2) && answer["sampled"].is_object(),
            "{answer}"
        );
        Ok(())
    })?;
    let mut retransmits = 0;
    for (first, port) in [("server", 4712), ("client", 4713)] {
        for (program, _) in &mut programs {
            let open = program.tell()?;
            // The first answer is right: the kernel is asked when we are.
            let pair = of_program(&connections(&api)?, program.pid(), port)?;
            same_counters(&pair, &open)?;
            ensure!(pair["closed_first"].is_null() && pair["client"]["ended"].is_null(), "{pair:#}");
        }
        for (program, said) in &mut programs {
            let ended = program.tell()?;
            let pair = wait_for("the end of both", || {
                let pair = of_program(&connections(&api)?, program.pid(), port)?;
                ensure!(
                    pair["client"]["ended"].is_object() && pair["server"]["ended"].is_object(),
                    "{pair:#}"
                );
                Ok(pair)
            })?;
            same_counters(&pair, &ended)?;
            ensure!(pair["closed_first"] == first && pair["closed_at"]["seq"].is_u64(), "{pair:#}");
            for end in ["client", "server"] {
                ensure!(pair[end]["socket"]["netns"] == said["netns"], "not in {said}: {pair:#}");
                ensure!(pair[end]["owners"][0]["pid"] == program.pid(), "{pair:#}");
            }
            retransmits += ended["client"]["retransmits"].as_u64().context("no count")?;
        }
    }
    ensure!(retransmits > 0, "the queue dropped nothing: retransmissions are not compared");
    ensure!(connections(&api)?.len() == 4, "{:#?}", connections(&api)?);
    println!("{retransmits} retransmissions of 4 connections");
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

#[test]
fn both_ends_of_what_redis_cli_asks_redis() -> Result<()> {
    let server = Server::redis()?;
    let running = server.start()?;
    let mut daemon = serve(server.dir(), running.pid(), &["--comm", "redis-cli"])?;
    let api = daemon.api()?;
    let mut client = Command::new("/usr/bin/redis-cli");
    client.args(["-p", &server.port.to_string(), "PING"]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut client = Group::start("redis-cli", &mut client)?;
    ensure!(client.code()? == 0, "redis-cli failed");
    let asked = format!("answers/connections?of={}&ended=true", server.port);
    let pair = wait_for("the end of the pair", || {
        let answer = api.get(&asked)?;
        let mut found = answer["connections"].as_array().into_iter().flatten();
        let pair = found.find(|one| one["client"]["owners"][0]["pid"] == client.pid());
        let pair = pair.cloned().with_context(|| answer.to_string())?;
        ensure!(pair["client"]["ended"].is_object() && pair["server"]["ended"].is_object(), "{answer}");
        Ok(pair)
    })?;
    ensure!(pair["server"]["owners"][0]["pid"] == running.pid(), "{pair}");
    ensure!(pair["closed_first"] == "client" && pair["closed_at"]["seq"].is_u64(), "{pair}");
    let (client, server) = (&pair["client"]["tcp"], &pair["server"]["tcp"]);
    // `*1 $4 PING` has 14 bytes, `+PONG` 7. A FIN counts as received and as acknowledged, and so does the client's SYN.
    ensure!(server["bytes_received"] == 14 + 1 && client["bytes_received"] == 7 + 1, "{pair}");
    ensure!(client["bytes_acked"] == 1 + 14 + 1 && server["bytes_acked"] == 7 + 1, "{pair}");
    ensure!(client["retransmits"] == 0 && server["retransmits"] == 0, "{pair}");
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

/// A pair of datagram sockets, of which one is closed; the other sends, and with that is connected no more. Another one that never
/// was connected sends to a name that nobody has, which changes nothing.
const LET_DOWN: &str = "
import errno, os, socket, sys
one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
lone = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
print(os.fstat(one.fileno()).st_ino, flush=True)
sys.stdin.readline()
closed = other.fileno()
other.close()
failed = []
for send in (lambda: one.send(b'x'), lambda: os.write(one.fileno(), b'x'), lambda: lone.sendto(b'x', '\\0nobody-%d' % os.getpid())):
    try:
        send()
    except OSError as error:
        failed.append(errno.errorcode[error.errno])
print('[%s, %d, %d]' % (repr(failed).replace(chr(39), chr(34)), one.fileno(), closed), flush=True)
sys.stdin.readline()
";

#[test]
fn a_send_that_finds_the_other_end_gone_is_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut program, ino) = Program::start(LET_DOWN, false)?;
    let mut serve = serve(dir.path(), program.pid(), &["--check", "off"])?;
    let api = serve.api()?;
    let becomes = |state: &str, phase: &str| {
        wait_for(state, || {
            let step = last_step(&api, &ino)?;
            ensure!(step["state"] == state && step["phase"] == phase, "{step}");
            Ok(())
        })
    };
    becomes("ESTAB", "connected")?;
    let said = program.tell()?;
    // The second one finds a socket that is not connected.
    ensure!(said[0] == json!(["ECONNREFUSED", "ENOTCONN", "ECONNREFUSED"]), "{said}");
    let shown = Command::new("ss").args(["-Hxa"]).output()?;
    let shown = String::from_utf8(shown.stdout)?;
    let line = shown.lines().find(|line| line.contains(&ino.to_string())).context("not in ss")?;
    ensure!(line.split_whitespace().nth(1) == Some("UNCONN"), "ss shows {line}");
    becomes("UNCONN", "closed")?;
    let events = api.events()?;
    let states: Vec<&Value> = events.iter().filter(|event| event["event"] == "state").collect();
    let [told] = states.as_slice() else { bail!("{states:?}") };
    ensure!(told["from"] == "ESTAB" && told["to"] == "UNCONN" && told["error"] == "ECONNREFUSED", "{told}");
    let explain = &told["explain"];
    let close = events.iter().find(|event| event["event"] == "close" && event["fd"] == said[2]);
    let close = close.context("no close")?;
    ensure!(explain["cause"] == "peer_gone", "{told}");
    ensure!(
        explain["events"].as_array().is_some_and(|events| events.contains(&close["seq"])),
        "{told}, not {close}"
    );
    ensure!(serve.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}

/// The last step of the socket with an inode.
fn last_step(api: &Api, ino: &Value) -> Result<Value> {
    let sockets = api.get("sockets")?["sockets"].as_array().cloned().unwrap_or_default();
    let one = sockets.into_iter().find(|socket| socket["ino"].as_str() == Some(&ino.to_string()));
    let one = one.with_context(|| format!("no socket {ino}"))?;
    one["steps"].as_array().and_then(|steps| steps.last()).cloned().context("no step")
}
