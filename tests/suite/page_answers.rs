//! Answers on the page, in a real browser over a real daemon, beside what the server says of itself.

use crate::harness::{Script, Server, Sockreel, signal_pid, visits, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{fs, path::Path};

/// A listener at which two wait and nobody accepts, held by two processes; a connection with known bytes each way; and one that
/// its client closed and the server keeps. Writes what it did to the file that it is given.
const SERVER: &str = "
import json, os, signal, socket, sys
def address(of):
    return '%s:%d' % of
stuck = socket.create_server(('127.0.0.1', 0), backlog=1)
waiting = [socket.create_connection(stuck.getsockname()) for _ in range(2)]
serves = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(serves.getsockname())
served, _ = serves.accept()
client.sendall(b'q' * 1000)
served.recv(1000, socket.MSG_WAITALL)
served.sendall(b'a' * 5000)
client.recv(5000, socket.MSG_WAITALL)
gone = socket.create_connection(serves.getsockname())
kept, _ = serves.accept()
facts = {'pid': os.getpid(), 'stuck': address(stuck.getsockname()), 'fd': stuck.fileno(),
         'waiting': [address(one.getsockname()) for one in waiting],
         'client': address(client.getsockname()), 'server': address(serves.getsockname()),
         'client_fd': client.fileno(), 'server_fd': served.fileno(), 'up': 1000, 'down': 5000,
         'gone': address(gone.getsockname()), 'kept_fd': kept.fileno()}
gone.close()
facts['child'] = os.fork()
if facts['child'] == 0:
    for one in (serves, served, client, kept, *waiting):
        one.close()
    signal.pause()
with open(sys.argv[1] + '.new', 'w') as file:
    json.dump(facts, file)
os.rename(sys.argv[1] + '.new', sys.argv[1])
signal.pause()
";

#[test]
fn what_a_server_says_of_itself() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let said = dir.path().join("facts.json");
    let server = ["serve", "--listen", "127.0.0.1:0", "--", "/usr/bin/python3", "-c", SERVER];
    let mut args: Vec<_> = server.iter().map(std::ffi::OsString::from).collect();
    args.push(said.clone().into());
    let mut serve = Sockreel::start(dir.path(), "serve", args)?;
    let url = serve.url()?;
    wait_for("the server's facts", || Ok(fs::metadata(&said).map(drop)?))?;
    let facts: Value = serde_json::from_str(&fs::read_to_string(&said)?)?;
    let report = Script::start("answers.mjs", &[&url, &facts.to_string()])?.answer()?;
    println!("the page: {report:#}");

    let name =
        |pid: &str| -> Result<String> { Ok(format!("python3 {}", facts[pid].as_u64().context("no pid")?)) };
    let (server, child) = (name("pid")?, name("child")?);
    let held = |fd: &str| format!("{server} fd {}", facts[fd]);
    ensure!(report["waiting"] == facts["waiting"], "{facts}");
    let holders =
        json!([[server, facts["fd"], "socket"], [child, facts["fd"], format!("inherited from {server}")],]);
    ensure!(report["holders"] == holders, "{facts}");
    let pair = json!({
        "client": facts["client"],
        "clientBy": held("client_fd"),
        "server": facts["server"],
        "serverBy": held("server_fd"),
    });
    ensure!(report["pair"] == pair, "{facts}");
    ensure!(report["up"] == facts["up"] && report["down"] == facts["down"], "{facts}");
    ensure!(report["findings"] == json!(["stuck", "hung_up"]), "{facts}");
    let (gone, at) =
        (facts["gone"].as_str().context("no address")?, facts["server"].as_str().context("no address")?);
    let hung_up = json!([[format!("{at} ↔ {gone}"), format!("fd {} of {server}", facts["kept_fd"])]]);
    ensure!(report["hungUp"] == hung_up, "{facts}");
    ensure!(report["faults"] == json!([]), "{report}");
    serve.insist()?;
    Ok(())
}

/// A link to a place in a recording of nginx, and the page as one file that needs no server: both show what was there.
#[test]
fn what_somebody_is_given_who_was_not_there() -> Result<()> {
    const VISITS: usize = 30;
    let server = Server::nginx()?;
    let dir = server.dir();
    let (recording, html) = (dir.join("r.mcap"), dir.join("given.html"));
    let path = |path: &Path| path.to_str().map(str::to_owned).context("a path that is no UTF-8");
    let options = ["trace", "-o", "/dev/null", "--record", &path(&recording)?, "--"].map(str::to_owned);
    let trace = Sockreel::start(dir, "trace", options.iter().chain(&server.argv))?;
    server.wait_until_it_listens()?;
    visits(&server, VISITS)?;
    signal_pid(fs::read_to_string(dir.join("nginx.pid"))?.trim().parse()?, Signal::SIGTERM)?;
    ensure!(trace.ended()?.code == 0, "nginx did not end well");

    let mut open = Sockreel::start(dir, "open", ["open", &path(&recording)?])?;
    let mut script = Script::start("given.mjs", &[&open.url()?, &path(&html)?, &server.address()])?;
    let told = script.answer()?;
    println!("given: {told:#}");
    let here = &told["here"];
    ensure!(here["listeners"] == json!([[server.address(), VISITS]]), "{VISITS} visited: {here}");
    ensure!(here["tab"] == "Events" && here["cursor"].is_number(), "{here}");
    ensure!(here["bookmarks"] == json!([here["cursor"]]), "{here}");
    ensure!(told["there"] == *here, "{}, not {here}", told["there"]);
    ensure!(!told["link"].as_str().context("no link")?.contains("token"), "{}", told["link"]);
    open.interrupt()?;
    script.say("it has ended")?;
    let alone = script.answer()?;
    ensure!(alone["replayed"] == *here, "{alone:#}, not {here}");
    ensure!(alone["elsewhere"] == json!([]) && alone["faults"] == json!([]), "{alone}");
    Ok(())
}
