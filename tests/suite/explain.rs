//! Errors explain themselves: each failure names the very cause that was planted, its evidence is what the program, `/proc` and
//! `ss` say, and a recording says the same.

use crate::harness::{Group, Sockreel, complete, free_port, is_accepted, lines, only_alarms_of, wait_for};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Command, Stdio},
};

/// Runs `sockreel trace` with those arguments; its lines.
fn trace(dir: &Path, args: &[&str], code: i32) -> Result<Vec<Value>> {
    let out = dir.join("out.jsonl");
    let mut all: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
    all.extend(args.iter().map(Into::into));
    let ended = Sockreel::run(dir, "trace", all)?;
    ensure!(ended.code == code, "{}: {}", ended.code, ended.err);
    let told = lines(&out)?;
    complete(&told)?;
    Ok(told)
}

/// The lines of a step: from the open that names it to the one that names the next.
fn of_step<'a>(told: &'a [Value], step: &str) -> Vec<&'a Value> {
    let name = format!("/sockreel-{step}");
    let rest = told.iter().skip_while(|line| line["path"] != *name).skip(1);
    rest.take_while(|line| !line["path"].as_str().is_some_and(|path| path.starts_with("/sockreel-")))
        .collect()
}

#[test]
fn every_failure_names_the_cause_that_was_planted() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (log, recording) = (dir.path().join("log"), dir.path().join("r.mcap"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/explain.py");
    let text = |path: &Path| path.to_str().map(str::to_owned).context("no UTF-8");
    let (script, log_name, recorded) = (text(&script)?, text(&log)?, text(&recording)?);
    let place = text(dir.path())?;
    let args = ["--record", &recorded, "--", "/usr/bin/python3", &script, &log_name, &place];
    let told = trace(dir.path(), &args, 0)?;

    let mut failed = Vec::new();
    for line in fs::read_to_string(&log)?.lines() {
        let step: Value = serde_json::from_str(line)?;
        if let Some(why) = step["skipped"].as_str() {
            crate::harness::skipped(why)?;
            continue;
        }
        if let Err(problem) = check(&step, &of_step(&told, step["step"].as_str().unwrap_or_default())) {
            failed.push(format!("{}: {problem:#}", step["step"]));
        }
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));

    let mut dump = Command::new(Sockreel::program()?);
    let dumped = dump.args(["dump", "--json"]).arg(&recording).output()?.stdout;
    ensure!(dumped == fs::read(dir.path().join("out.jsonl"))?, "the recording tells it differently");
    Ok(())
}

/// One step: what the program noted of it, and its lines.
fn check(step: &Value, told: &[&Value]) -> Result<()> {
    let explained: Vec<&&Value> = told.iter().filter(|line| line["explain"].is_object()).collect();
    let Some(cause) = step["cause"].as_str() else {
        ensure!(explained.is_empty(), "explained although nothing was planted: {explained:?}");
        ensure!(step["error"].is_null(), "it failed: {step}");
        return Ok(());
    };
    // A refused connect is told by the state and by the call.
    let state = step["state"] == true;
    let line =
        explained.iter().rfind(|line| !state || line["event"] == "state" && line["error"] == step["error"]);
    let line = line.with_context(|| format!("no explanation in {told:#?}"))?;
    if !state && step["error"] != "EINPROGRESS" {
        ensure!(line["error"] == step["error"], "the program had {}: {line}", step["error"]);
    }
    let explain = &line["explain"];
    ensure!(explain["cause"] == cause, "not {cause}: {line}");
    ensure!(explain["text"].as_str().is_some_and(|text| text.len() > 10), "no sentence: {line}");
    for other in explained.iter().filter(|other| other["error"] == line["error"]) {
        ensure!(other["explain"]["cause"] == cause, "another cause too: {other}");
    }
    let first = &explain["sockets"][0];
    if let Some(holder) = step["holder"].as_object() {
        let holders = first["holders"].as_array().with_context(|| format!("no holders: {line}"))?;
        let found: Vec<Value> = holders.iter().map(|found| json!([found["pid"], found["fd"]])).collect();
        ensure!(found == [json!([holder["pid"], holder["fd"]])], "held by {holder:?}: {line}");
        if let Some(relation) = holder.get("relation") {
            ensure!(first["relation"] == *relation, "relation {relation}: {line}");
        }
        if let Some(options) = holder.get("options").and_then(Value::as_array) {
            let told = first["options"].as_array().cloned().unwrap_or_default();
            ensure!(told == *options, "options {options:?}: {line}");
        }
        ensure!(explain["events"].as_array().is_some_and(|events| !events.is_empty()), "no event: {line}");
    }
    if let Some(asks) = step["asks"].as_array() {
        ensure!(explain["options"].as_array() == Some(asks), "it asks with {asks:?}: {line}");
    }
    for (noted, told) in [("peer", &first["peer"]), ("netns", &first["netns"]), ("ss", &first["peer"])] {
        if !step[noted].is_null() {
            ensure!(*told == step[noted], "{noted} is {}: {line}", step[noted]);
        }
    }
    if cause == "low_port" {
        ensure!(explain["first_port"] == step["first_port"], "{step}: {line}");
    }
    // Everything was looked at, apart from what belongs to the error, or is out of sight.
    let named = |list: &Value| -> BTreeSet<String> {
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (unseen, out_of_sight) = (named(&explain["unseen"]), named(&step["unseen"]));
    ensure!(
        unseen.iter().filter(|unseen| *unseen != "reads_and_writes").eq(&out_of_sight),
        "unseen but for {out_of_sight:?}: {line}"
    );
    if cause == "address_unknown" {
        ensure!(explain["sockets"].as_array().is_none_or(Vec::is_empty), "it blames somebody: {line}");
    }
    Ok(())
}

/// A listener that is not followed, and what is said of it when redis-server wants its port.
#[test]
fn a_holder_that_is_not_followed_is_found() -> Result<()> {
    for (listens, asked, relation) in [
        ("127.0.0.1", "127.0.0.1", "same"),
        ("0.0.0.0", "127.0.0.1", "wildcard"),
        ("::", "127.0.0.1", "dual_stack"),
    ] {
        let dir = tempfile::tempdir()?;
        let port = free_port()?;
        let program = format!(
            "import socket, sys
listener = socket.socket(socket.AF_INET6 if ':' in '{listens}' else socket.AF_INET)
listener.bind(('{listens}', {port}))
listener.listen(1)
print(listener.fileno(), flush=True)
sys.stdin.readline()"
        );
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", &program]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = Group::start("holder", &mut command)?;
        let mut said = String::new();
        let stdout = holder.child().stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut said)?;

        let number = port.to_string();
        let redis = ["--", "/usr/bin/redis-server", "--port", &number, "--bind", asked, "--save", ""];
        let told = trace(dir.path(), &redis, 1)?;
        let line = told.iter().find(|line| line["event"] == "bind" && line["error"] == "EADDRINUSE");
        let line = line.context("no failed bind")?;
        let explain = &line["explain"];
        ensure!(explain["cause"] == "address_held", "{line}");
        let [socket] = explain["sockets"].as_array().map(Vec::as_slice).unwrap_or_default() else {
            anyhow::bail!("not one socket: {line}");
        };
        ensure!(socket["relation"] == relation, "{line}");
        let at = if listens == "::" { format!("[::]:{port}") } else { format!("{listens}:{port}") };
        ensure!(socket["local"] == at && socket["state"] == "LISTEN", "{line}");
        // The kernel's diagnostics name the same process and number.
        let ss = Command::new("ss").args(["-ltnpH", "sport", "=", &format!(":{port}")]).output()?.stdout;
        let ss = String::from_utf8(ss)?;
        let (pid, fd) = (holder.pid(), said.trim().parse::<i64>()?);
        ensure!(ss.contains(&format!("pid={pid},fd={fd})")), "{ss}");
        let held = &socket["holders"];
        ensure!(held.as_array().map(Vec::len) == Some(1), "{line}");
        ensure!(held[0]["pid"] == pid && held[0]["fd"] == fd && held[0]["comm"] == "python3", "{line}");
        ensure!(explain["unseen"].is_null(), "{line}");
        println!("{line}");
    }
    Ok(())
}

/// The same server under `serve`: what waits because accepts fail, and the table that has no room, are all that is told.
#[test]
fn a_full_table_is_all_that_any_detector_tells() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (port, limit) = (free_port()?, 32_i64);
    let server = format!("ulimit -n {limit}; exec /usr/bin/python3 -m http.server {port} --bind 127.0.0.1");
    let mut sockreel = Sockreel::start(
        dir.path(),
        "serve",
        ["serve", "--listen", "127.0.0.1:0", "--", "/bin/sh", "-c", &server],
    )?;
    let api = sockreel.api()?;
    wait_for("the server", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map(drop).map_err(Into::into))?;
    let pid = sockreel.command("/usr/bin/python3")?[0];
    // One by one until its table is full, and few enough then for its queue.
    let mut clients = Vec::new();
    while crate::harness::table(pid)?.keys().filter(|fd| **fd < limit).count() < usize::try_from(limit)? {
        let client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        wait_for("its accept", || is_accepted(port, client.local_addr()?.port()))?;
        clients.push(client);
    }
    for _ in 0..3 {
        clients.push(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?);
    }
    let full = ["leaks room", "queues stuck"];
    wait_for("the findings", || only_alarms_of(&api, &full))?;
    let queue = api.get(&format!("answers/queues?of={port}"))?["queues"][0].clone();
    let stuck = &queue["findings"][0];
    ensure!(stuck["error"] == "EMFILE" && stuck["evidence"]["seq"].is_u64(), "{queue}");
    ensure!(
        queue["failed"][0]["error"] == "EMFILE" && queue["failed"][0]["count"].as_u64() > Some(100),
        "{queue}"
    );
    let room = api.get("answers/leaks")?["room"][0].clone();
    let table = crate::harness::table(pid)?;
    ensure!(room["process"]["pid"] == pid && room["limit"] == limit, "{room}");
    ensure!(room["used"] == table.len(), "{table:?}: {room}");
    drop(clients);
    wait_for("an end of it", || only_alarms_of(&api, &[]))?;
    sockreel.insist()?;
    Ok(())
}

/// A real server whose table is full: every accept fails at once, again and again.
#[test]
fn a_full_table_and_the_spin_on_it_are_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (port, limit) = (free_port()?, 32_i64);
    let out = dir.path().join("out.jsonl");
    let mut args: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
    args.extend(["--", "/bin/sh", "-c"].map(Into::into));
    args.push(
        format!("ulimit -n {limit}; exec /usr/bin/python3 -m http.server {port} --bind 127.0.0.1").into(),
    );
    let mut sockreel = Sockreel::start(dir.path(), "trace", args)?;
    wait_for("the server", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map(drop).map_err(Into::into))?;
    let server = sockreel.command("/usr/bin/python3")?[0];
    // The client that looked for the server may still be there.
    let before = wait_for("an idle server", || {
        let table = crate::harness::table(server)?;
        let sockets = table.values().filter(|(kind, _)| kind == "socket").count();
        ensure!(sockets == 1, "{sockets} sockets");
        Ok(table.len())
    })?;
    // Its threads wait for requests that do not come.
    let clients: Vec<TcpStream> =
        (0..limit).map(|_| TcpStream::connect((Ipv4Addr::LOCALHOST, port))).collect::<Result<_, _>>()?;
    let full = |line: &&Value| line["event"] == "accept" && line["error"] == "EMFILE";
    let line = wait_for("a spin that is explained", || {
        let told = lines(&out)?;
        let spins = told.iter().rfind(|line| {
            full(line) && line["explain"]["used"].is_u64() && line["explain"]["failures"].as_u64() > Some(100)
        });
        spins.cloned().context("none")
    })?;
    let table = crate::harness::table(server)?;
    // A descriptor that was inherited may have a number beyond the limit.
    let below = table.keys().filter(|fd| **fd < limit).count();
    drop(clients);
    sockreel.group().signal(nix::sys::signal::Signal::SIGINT)?;
    let ended = sockreel.insist()?;
    ensure!(ended.err.contains(" attempted, "), "{}", ended.err);

    let explain = &line["explain"];
    ensure!(explain["cause"] == "table_full", "{line}");
    ensure!(explain["limit"] == limit && i64::try_from(below)? == limit, "{below}: {line}");
    ensure!(explain["used"] == table.len(), "{table:?}: {line}");
    let most = &explain["kinds"][0];
    ensure!(most["kind"] == "socket" && most["by"] == "accept", "{line}");
    ensure!(most["count"].as_u64() == Some((table.len() - before) as u64), "{before} before: {line}");
    let told = lines(&out)?;
    let all: Vec<&Value> = told.iter().filter(full).collect();
    let place = all.iter().position(|other| other["seq"] == line["seq"]).context("it is gone")?;
    ensure!(explain["failures"].as_u64() == Some(place as u64 + 1), "{place} before: {line}");
    // The rate is that of the lines from the first on.
    let number = |value: &Value| value.as_u64().with_context(|| format!("no number: {line}"));
    let lasts = number(&line["ts_ns"])? - number(&all[0]["ts_ns"])?;
    let failing = number(&explain["failing_ns"])?;
    ensure!(failing.abs_diff(lasts) < 1_000_000, "{lasts} ns since {}: {line}", all[0]);
    let rate = place as u64 * 1_000_000_000 / failing;
    let text = explain["text"].as_str().context("no sentence")?;
    ensure!(text.contains(&format!(", {rate} a second")), "{rate} a second: {line}");
    // The oldest of what fills the table is the first connection that is still open.
    let closed = |accept: &Value| {
        let later = told.iter().filter(|line| line["seq"].as_u64() > accept["seq"].as_u64());
        let mut before = later.take_while(|other| other["seq"] != line["seq"]);
        before.any(|line| line["event"] == "close" && line["socket"] == accept["socket"])
    };
    let accepted = told.iter().filter(|line| line["event"] == "accept" && line["new_fd"].is_i64());
    let first = accepted.into_iter().find(|accept| !closed(accept)).context("nothing was accepted")?;
    let events = explain["events"].as_array().context("no events")?;
    ensure!(events.contains(&first["seq"]), "{first} is the oldest: {line}");
    let apart = first["ts_ns"].as_u64().zip(explain["since_ns"].as_u64()).map(|(one, two)| one.abs_diff(two));
    // The distance between the clocks is measured anew each second.
    ensure!(apart < Some(1_000_000), "{first} is the oldest: {line}");
    // In between, lines refer to the one that explains.
    ensure!(all.iter().all(|line| line["explain"]["cause"] == "table_full"), "one is not explained");
    ensure!(all.iter().any(|line| line["explain"]["again"] == true), "all are explained in full");
    println!("{line}");
    Ok(())
}
