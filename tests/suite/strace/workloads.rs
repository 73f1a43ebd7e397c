//! The workloads: each starts its servers under both tracers, drives them, ends them, and compares.

use super::traced::Traced;
use crate::harness::{Postgres, Server, descendants, free_port, is_listening, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// A server may be slow under two tracers on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// The size of a workload: small, or with `SOCKREEL_FULL=1` full.
fn size(small: usize, full: usize) -> usize {
    if std::env::var_os("SOCKREEL_FULL").is_some() { full } else { small }
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    kill(Pid::from_raw(i32::try_from(pid)?), signal).with_context(|| format!("cannot signal {pid}"))
}

/// Whether a process has a handler for a signal (`proc_pid_status(5)`).
fn catches(pid: u32, signal: Signal) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).context("no SigCgt")?;
    let caught = u64::from_str_radix(caught.trim(), 16)?;
    ensure!(caught >> (signal as u32 - 1) & 1 == 1, "{pid} does not catch {signal}");
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no UTF-8")
}

fn program(name: &str) -> String {
    format!("{}/suite/strace/programs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Sends `ask` and reads until the server closes.
fn ask(port: u16, ask: &[u8]) -> Result<Vec<u8>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(ask)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("port {port} does not close"))?;
    Ok(answer)
}

/// A server that gives back what it gets.
fn echo(port: u16, turn: usize) -> Result<()> {
    let line = format!("turn {turn}\n");
    let answer = ask(port, line.as_bytes())?;
    ensure!(answer == line.as_bytes(), "answer {answer:?}");
    Ok(())
}

/// Asks `port` over HTTP again and again, from two threads, until `done`; returns how many answers came.
fn under_load(port: u16, work: impl FnOnce() -> Result<()>) -> Result<usize> {
    let done = AtomicBool::new(false);
    let client = || -> Result<usize> {
        let mut answers = 0;
        while !done.load(Ordering::Relaxed) {
            let answer = ask(port, b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
            ensure!(answer.starts_with(b"HTTP/1.1 200"), "answer {}", String::from_utf8_lossy(&answer));
            answers += 1;
        }
        Ok(answers)
    };
    thread::scope(|scope| {
        let clients = [scope.spawn(client), scope.spawn(client)];
        let worked = work();
        done.store(true, Ordering::Relaxed);
        let mut answers = 0;
        for client in clients {
            answers += client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        worked.map(|()| answers)
    })
}

/// Waits until `number` processes are below `master`, none of them one of `before`.
fn replaced(master: u32, before: &[u32], number: usize) -> Result<Vec<u32>> {
    wait_for("new workers", || {
        let now = descendants(master)?;
        ensure!(
            now.len() == number && now.iter().all(|pid| !before.contains(pid)),
            "{before:?} became {now:?}"
        );
        Ok(now)
    })
}

#[test]
fn nginx_reloads_under_load() -> Result<()> {
    let server = Server::nginx()?;
    let argv: Vec<&str> = server.argv.iter().map(String::as_str).collect();
    let traced = Traced::start("nginx", server.dir(), &argv)?;
    server.wait_until_it_listens().with_context(|| traced.said())?;
    let master = traced.root()?;
    let mut workers = descendants(master)?;
    let answers = under_load(server.port, || {
        for _ in 0..size(3, 30) {
            signal(master, Signal::SIGHUP)?;
            workers = replaced(master, &workers, 2)?;
        }
        Ok(())
    })?;
    ensure!(answers > 0, "no answer during the reloads");
    signal(master, Signal::SIGTERM)?;
    traced.same(0, &[("accept4", answers), ("clone", 8), ("execve", 1)])
}

#[test]
fn python_serves_by_forks_and_by_threads() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (forking, threading) = (free_port()?, free_port()?);
    let traced = Traced::start(
        "socketserver",
        dir.path(),
        &["/usr/bin/python3", &program("echo.py"), &forking.to_string(), &threading.to_string()],
    )?;
    for port in [forking, threading] {
        wait_for("socketserver", || is_listening(port)).with_context(|| traced.said())?;
    }
    let turns = size(20, 1000);
    for turn in 0..turns {
        echo(forking, turn)?;
        echo(threading, turn)?;
    }
    signal(traced.root()?, Signal::SIGTERM)?;
    traced.same(0, &[("accept4", 2 * turns), ("clone", turns), ("bind", 2), ("listen", 2)])
}

/// One command of redis' protocol in its inline form; its first line, or the text of a bulk answer.
fn redis(port: u16, command: &str) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Waits until redis says so about itself.
fn redis_says(port: u16, section: &str, what: &str) -> Result<()> {
    wait_for(what, || {
        let answer = redis(port, &format!("INFO {section}"))?;
        ensure!(answer.contains(what), "{answer}");
        Ok(())
    })
}

#[test]
fn redis_persists_by_forks_and_has_a_replica() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (port, replica) = (free_port()?, free_port()?);
    let mut commands = Vec::new();
    for (name, port, more) in
        [("replica", replica, format!("--replicaof 127.0.0.1 {port}")), ("first", port, String::new())]
    {
        let own = dir.path().join(name);
        fs::create_dir(&own)?;
        commands.push(format!(
            "/usr/bin/redis-server --port {port} --bind 127.0.0.1 --dir {} --save '' --appendonly yes \
             --repl-diskless-sync-delay 0 {more}",
            own.display()
        ));
    }
    let script = format!("{} & exec {}", commands[0], commands[1]);
    let traced = Traced::start("redis", dir.path(), &["/bin/sh", "-c", &script])?;
    for port in [port, replica] {
        wait_for("redis", || is_listening(port)).with_context(|| traced.said())?;
    }
    redis_says(replica, "replication", "master_link_status:up")?;
    let turns = size(2, 20);
    for turn in 0..turns {
        for key in 0..size(10, 100) {
            redis(port, &format!("SET key-{turn}-{key} value"))?;
        }
        for (command, done) in
            [("BGSAVE", "rdb_bgsave_in_progress:0"), ("BGREWRITEAOF", "aof_rewrite_in_progress:0")]
        {
            // It refuses while a copy for the replica is still written.
            wait_for(command, || {
                let answer = redis(port, command)?;
                ensure!(answer.starts_with('+'), "{command}: {answer}");
                Ok(())
            })?;
            redis_says(port, "persistence", done)?;
        }
    }
    for port in [replica, port] {
        // It ends without an answer; without these words it refuses while a file is written, or waits for its replica.
        redis(port, "SHUTDOWN NOSAVE NOW FORCE").ok();
    }
    traced.same(0, &[("accept4", turns), ("connect", 1), ("execve", 2), ("clone", 2 * turns)])
}

#[test]
fn postgres_forks_for_each_connection() -> Result<()> {
    let server = Postgres::new()?;
    let command: Vec<&str> = server.argv.iter().map(String::as_str).collect();
    let traced = Traced::start("postgres", server.dir(), &command)?;
    wait_for("postgres", || server.query(&server.sockets)).with_context(|| traced.said())?;
    let turns = size(10, 300);
    for _ in 0..turns {
        server.query(Path::new("127.0.0.1"))?;
        server.query(&server.sockets)?;
    }
    // A fast shutdown (postgres(1)).
    signal(traced.root()?, Signal::SIGINT)?;
    traced.same(0, &[("accept", 0), ("clone", 2 * turns), ("listen", 2)])
}

#[test]
fn node_passes_connections_to_its_cluster() -> Result<()> {
    let (dir, port) = (tempfile::tempdir()?, free_port()?);
    let traced = Traced::start("cluster", dir.path(), &["node", &program("cluster.js"), &port.to_string()])?;
    wait_for("node", || is_listening(port)).with_context(|| traced.said())?;
    let turns = size(20, 1000);
    for turn in 0..turns {
        echo(port, turn)?;
    }
    signal(traced.root()?, Signal::SIGTERM)?;
    traced.same(0, &[("accept4", turns), ("recvmsg", turns), ("execve", 3)])
}

#[test]
fn java_serves_by_a_pool_of_threads() -> Result<()> {
    let (dir, port) = (tempfile::tempdir()?, free_port()?);
    let traced = Traced::start(
        "java",
        dir.path(),
        &["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", &program("Server.java"), &port.to_string()],
    )?;
    // It listens on an inet6 socket with a mapped address.
    wait_for("java", || echo(port, 0)).with_context(|| traced.said())?;
    let turns = size(20, 1000);
    for turn in 0..turns {
        echo(port, turn)?;
    }
    signal(traced.root()?, Signal::SIGTERM)?;
    traced.same(128 + 15, &[("accept", turns)])
}

#[test]
fn a_socket_is_handed_over_by_activation() -> Result<()> {
    let (dir, port) = (tempfile::tempdir()?, free_port()?);
    let address = format!("127.0.0.1:{port}");
    let traced = Traced::start(
        "activation",
        dir.path(),
        &["systemd-socket-activate", "-l", &address, "/usr/bin/python3", &program("activated.py")],
    )?;
    wait_for("systemd-socket-activate", || is_listening(port)).with_context(|| traced.said())?;
    let turns = size(20, 1000);
    for turn in 0..turns {
        echo(port, turn)?;
    }
    ensure!(ask(port, b"quit\n")? == b"quit\n", "no answer");
    traced.same(0, &[("accept4", turns + 1), ("execve", 2), ("listen", 1)])
}

#[test]
fn a_connection_is_handed_over_by_activation() -> Result<()> {
    let (dir, port) = (tempfile::tempdir()?, free_port()?);
    let address = format!("127.0.0.1:{port}");
    let traced = Traced::start(
        "activation-accept",
        dir.path(),
        &["systemd-socket-activate", "-l", &address, "--accept", "--inetd", "/usr/bin/head", "-n1"],
    )?;
    wait_for("systemd-socket-activate", || is_listening(port)).with_context(|| traced.said())?;
    let turns = size(10, 300);
    for turn in 0..turns {
        echo(port, turn)?;
    }
    signal(traced.root()?, Signal::SIGTERM)?;
    traced.same(128 + 15, &[("accept4", turns), ("execve", turns + 1)])
}

#[test]
fn haproxy_passes_its_listeners_at_a_reload() -> Result<()> {
    let (dir, port) = (tempfile::tempdir()?, free_port()?);
    let config = dir.path().join("haproxy.cfg");
    let socket = dir.path().join("haproxy.sock");
    fs::write(
        &config,
        format!(
            "global\n  master-worker\n  nbthread 2\n  stats socket {} level admin expose-fd listeners\n\
             defaults\n  mode http\n  timeout client 60s\n  timeout connect 60s\n  timeout server 60s\n\
             frontend test\n  bind 127.0.0.1:{port}\n  http-request return status 200 content-type text/plain string hello\n",
            socket.display()
        ),
    )?;
    let traced = Traced::start("haproxy", dir.path(), &["/usr/sbin/haproxy", "-W", "-f", text(&config)?])?;
    let master = traced.root()?;
    // When it has loaded, the master executes itself once more, and ignores the signal until that is done.
    let loaded = |times: usize| {
        wait_for("haproxy", || {
            let said = traced.said();
            ensure!(said.matches("Loading success").count() == times, "{said}");
            catches(master, Signal::SIGUSR2)
        })
    };
    loaded(1)?;
    let mut workers = descendants(master)?;
    let reloads = size(3, 30);
    let answers = under_load(port, || {
        for reload in 0..reloads {
            signal(master, Signal::SIGUSR2)?;
            loaded(reload + 2)?;
            workers = replaced(master, &workers, 1)?;
        }
        Ok(())
    })?;
    ensure!(answers > 0, "no answer during the reloads");
    signal(master, Signal::SIGTERM)?;
    traced.same(0, &[("recvmsg", reloads), ("execve", reloads), ("accept4", answers)])
}
