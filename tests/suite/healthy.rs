//! Healthy busy servers, of which no detector tells anything: for ten minutes at full size, with the very thresholds that find
//! one descriptor left in a hundred requests and one stuck worker.

use crate::harness::{
    Api, DETECTORS, Group, Postgres, Server, Sockreel, alarms, descendants, hold, is_listening, signal_pid,
    wait_for,
};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use std::{
    collections::VecDeque,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Connections to each server that are kept for a while.
const KEPT: usize = 8;
/// Pause between two connections of a load.
const PACE: Duration = Duration::from_millis(1);
/// Times that servers do in between what healthy ones do: a reload, a copy of the data by a child.
const TURNS: u32 = 8;

/// Asks again and again until it is told to stop, a connection a request, and at most one in [`PACE`]: servers that have all of
/// a processor leave the daemon, its reader and the answers none, which is another test.
fn load(port: u16, ask: &[u8], stop: &AtomicBool) -> Result<u64> {
    let mut asked = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(ask)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        ensure!(!answer.is_empty(), "port {port} closed without an answer");
        asked += 1;
        thread::sleep(PACE);
    }
    Ok(asked)
}

/// Sessions of pgbench: some for a transaction each, some that stay.
fn sessions(postgres: &Postgres, time: Duration) -> Result<[Group; 2]> {
    let host = Path::new("127.0.0.1");
    let made = postgres.client("pgbench", host).args(["-i", "-q", "postgres"]).output()?;
    ensure!(made.status.success(), "pgbench -i: {}", String::from_utf8_lossy(&made.stderr));
    let start = |more: &[&str]| {
        let mut command = postgres.client("pgbench", host);
        command.args(more).args(["-n", "-R", "40", "-c", "2", "-T", &time.as_secs().to_string(), "postgres"]);
        Group::start("pgbench", command.stdout(Stdio::null()).stderr(Stdio::null()))
    };
    Ok([start(&["-S", "-C"])?, start(&[])?])
}

#[test]
fn nothing_is_told_of_healthy_busy_servers() -> Result<()> {
    let time = Duration::from_secs(if std::env::var_os("SOCKREEL_FULL").is_some() { 600 } else { 25 });
    silent_for(time, &[])
}

#[test]
fn nothing_is_told_either_where_everything_is_asked_for() -> Result<()> {
    silent_for(Duration::from_secs(20), &["--sched", "--peek", "--stacks"])
}

/// No event since then is explained: nothing failed that would have to be.
fn nothing_is_explained(api: &Api, since: SystemTime) -> Result<()> {
    let since = since.duration_since(UNIX_EPOCH)?.as_nanos();
    let answer = api.get(&format!("events?filter=explain:*&from={since}"))?;
    ensure!(answer["events"].as_array().is_some_and(Vec::is_empty), "{answer}");
    Ok(())
}

/// No detector tells anything, and no failure is explained, for that long.
fn silent_for(time: Duration, options: &[&str]) -> Result<()> {
    let (nginx, redis, postgres) = (Server::nginx()?, Server::redis()?, Postgres::new()?);
    let echo = Server::activated()?;
    let dir = tempfile::tempdir()?;
    let servers = [&nginx.argv, &redis.argv, &postgres.argv, &echo.argv];
    let commands = servers.map(|argv| format!("'{}' >/dev/null 2>&1 &", argv.join("' '")));
    let script = commands.join(" ") + " wait";
    let args = ["serve", "--listen", "127.0.0.1:0"].into_iter().chain(options.iter().copied());
    let mut sockreel =
        Sockreel::start(dir.path(), "serve", args.chain(["--", "/bin/sh", "-c", script.as_str()]))?;
    let api = sockreel.api()?;
    for server in [&nginx, &redis, &echo] {
        server.wait_until_it_listens()?;
    }
    wait_for("postgres", || postgres.query(Path::new("127.0.0.1")))?;
    let master: u32 = fs::read_to_string(nginx.dir().join("nginx.pid"))?.trim().parse()?;

    let (stop, questions) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut sessions = sessions(&postgres, time)?;
    let asked = thread::scope(|scope| -> Result<_> {
        let loads = [
            scope.spawn(|| load(nginx.port, nginx.ask_and_close, &stop)),
            scope.spawn(|| load(redis.port, b"PING\r\nQUIT\r\n", &stop)),
            scope.spawn(|| load(echo.port, echo.ask_and_close, &stop)),
        ];
        let watch = || -> Result<()> {
            let (began, mut kept, mut turn) = (Instant::now(), VecDeque::new(), 1);
            let mut since = SystemTime::now();
            while began.elapsed() < time {
                for server in [&nginx, &redis] {
                    kept.push_back(hold(server)?.1);
                }
                kept.drain(..kept.len().saturating_sub(2 * KEPT));
                if began.elapsed() > time * turn / TURNS {
                    turn += 1;
                    signal_pid(master, Signal::SIGHUP)?;
                    let mut stream = TcpStream::connect(redis.address())?;
                    stream.write_all(b"BGSAVE\r\nQUIT\r\n")?;
                    stream.read_to_end(&mut Vec::new())?;
                }
                for detector in DETECTORS {
                    let answer = api.get(&format!("answers/{detector}"))?;
                    let mut told = Vec::new();
                    alarms(&answer, "", &mut told);
                    ensure!(told.is_empty(), "{detector} after {:?}: {told:#?}\n{answer}", began.elapsed());
                    questions.fetch_add(1, Ordering::Relaxed);
                }
                let asked = SystemTime::now();
                nothing_is_explained(&api, since)?;
                since = asked;
                thread::sleep(Duration::from_millis(200));
            }
            Ok(())
        };
        let watched = watch();
        stop.store(true, Ordering::Relaxed);
        let mut asked = Vec::new();
        for load in loads {
            asked.push(load.join().map_err(|_| anyhow::anyhow!("the load panicked"))??);
        }
        watched.map(|()| asked)
    })?;
    for session in &mut sessions {
        ensure!(session.code()? == 0, "pgbench failed");
    }

    // It was silent about something: every listener was seen, with what was accepted there.
    let (answer, accepted) = wait_for("every accept", || {
        let answer = api.get("answers/queues")?;
        let accepted = |port: u16| {
            let local = format!("127.0.0.1:{port}");
            let mut queues = answer["queues"].as_array().into_iter().flatten();
            let queue = queues.find(|queue| queue["socket"]["local"] == local);
            let accepted = queue.and_then(|queue| queue["accepted"].as_u64());
            accepted.with_context(|| format!("no {local} in {answer}"))
        };
        let accepted =
            [accepted(nginx.port)?, accepted(redis.port)?, accepted(echo.port)?, accepted(postgres.port)?];
        let whole = asked.iter().zip(accepted).all(|(asked, accepted)| accepted >= *asked);
        ensure!(whole || answer.to_string().contains("records were lost"), "{asked:?}: {accepted:?}");
        Ok((answer, accepted))
    })?;
    ensure!(accepted.iter().all(|accepted| *accepted > 100), "hardly a load: {accepted:?}");
    println!(
        "silent in {time:?}: {} questions; accepted by nginx, redis, echo, postgres: {accepted:?}; caveats {}",
        questions.into_inner(),
        answer["basis"]["caveats"]
    );
    sockreel.insist()?;
    for server in [&nginx, &redis, &echo] {
        wait_for("the server's end", || {
            ensure!(is_listening(server.port).is_err(), "{} still listens", server.name);
            Ok(())
        })?;
    }
    ensure!(descendants(master)?.is_empty(), "nginx has workers still");
    Ok(())
}
