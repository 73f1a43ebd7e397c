//! What `who` tells of an address beyond its holders: connections that nobody holds any more, and who held it before.

use super::{Daemon, answer, held, only_listener, programs};
use crate::harness::{Server, signal_pid, wait_for};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{collections::BTreeMap, process::Command};

type Connections = BTreeMap<String, String>;

/// The states of connections from a port that no process has, by the peer's address, as ss(8) has them.
fn loose(port: &str) -> Result<Connections> {
    let output = Command::new("ss").args(["-Htanp", &format!("sport = :{port}")]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let nobodys = text.lines().filter(|line| !line.contains("pid="));
    nobodys
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [state, _, _, _, peer] = words[..] else { anyhow::bail!("ss says {line}") };
            Ok((peer.to_owned(), state.to_owned()))
        })
        .collect()
}

/// The same of an answer, in ss(8)'s words.
fn told(who: &Value) -> Result<Connections> {
    let leftovers = who["leftovers"].as_array().context("no leftovers")?.iter();
    let leftovers = leftovers.map(|left| (&left["peer"], &left["state"]));
    let ownerless = who["ownerless"].as_array().context("no ownerless")?.iter().map(|held| {
        let last = held["socket"]["steps"].as_array().and_then(|steps| steps.last());
        (&held["socket"]["peer"], last.map_or(&Value::Null, |step| &step["state"]))
    });
    leftovers
        .chain(ownerless)
        .map(|(peer, state)| {
            let state = match state.as_str().with_context(|| format!("no state: {who}"))? {
                "FIN_WAIT1" => "FIN-WAIT-1".to_owned(),
                "FIN_WAIT2" => "FIN-WAIT-2".to_owned(),
                other => other.replace('_', "-"),
            };
            Ok((peer.as_str().context("no peer")?.to_owned(), state))
        })
        .collect()
}

/// Every state that a connection may have after its process closed it.
#[test]
fn connections_without_an_owner_are_those_of_ss() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let daemon = Daemon::over(dir.path(), &["/usr/bin/python3", &programs("leaves.py")])?;
    let said = daemon.printed(2)?;
    let port = &said[0];
    let made: BTreeMap<String, u16> = serde_json::from_str(&said[1])?;
    let made: Connections = made
        .into_iter()
        .filter(|(state, _)| state != "ESTAB")
        .map(|(state, port)| (format!("127.0.0.1:{port}"), state))
        .collect();
    ensure!(made.len() == 5, "{made:?}");
    wait_for("the states", || {
        let kernel = loose(port)?;
        ensure!(kernel == made, "ss has {kernel:?}, not {made:?}");
        Ok(())
    })?;
    // It asks the kernel at most once in a while.
    let at = wait_for("an answer for which the kernel was asked", || {
        let who = daemon.ask(&["who", port])?;
        ensure!(who["basis"]["caveats"] == json!([]), "{who}");
        assert_eq!(told(&who)?, made, "{who}");
        Ok(who["basis"]["at"]["ts_ns"].to_string())
    })?;
    // Of the past it concludes; a snapshot has seen nothing of how that came.
    let past = ["who", port, "--from", &daemon.url, "--at", &at];
    let snapshot = ["who", port];
    for args in [&past[..], &snapshot] {
        let who = answer(dir.path(), args)?;
        assert_eq!(told(&who)?, made, "{args:?}: {who}");
        assert_eq!(
            (&who["connections"], only_listener(&who)?["former"].clone()),
            (&json!(1), json!([])),
            "{args:?}"
        );
        for left in who["leftovers"].as_array().context("no leftovers")? {
            assert_eq!(left["inferred"], args.contains(&"--at"), "{args:?}: {left}");
        }
    }
    daemon.serve.insist()?;
    Ok(())
}

/// redis by the path of its unix socket, while it runs and after its end.
#[test]
fn a_unix_path_of_redis_now_and_after_its_end() -> Result<()> {
    let mut server = Server::redis()?;
    let path = server.dir().join("redis.sock");
    let path = path.to_str().context("path")?.to_owned();
    server.argv.extend(["--unixsocket".to_owned(), path.clone()]);
    let daemon = Daemon::over_server(&server)?;
    server.wait_until_it_listens()?;
    let pid = daemon.root("/usr/bin/redis-server")?;
    let (ino, fd) = wait_for("the unix socket", || {
        let output = Command::new("ss").args(["-Hlxnp", "src", &path]).output()?;
        let text = String::from_utf8(output.stdout)?;
        let words: Vec<&str> = text.split_whitespace().collect();
        let ino = words.get(5).copied().with_context(|| format!("ss says {text}"))?.to_owned();
        let fd = text.split_once(&format!("pid={pid},fd=")).with_context(|| format!("ss says {text}"))?.1;
        let fd: String = fd.chars().take_while(char::is_ascii_digit).collect();
        Ok((ino, fd.parse::<i64>()?))
    })?;
    let of_redis: super::Holders = [(u64::from(pid), fd)].into();
    for args in [&["who", &path, "--from", &daemon.url][..], &["who", &path]] {
        let who = answer(server.dir(), args)?;
        let listener = only_listener(&who)?;
        assert_eq!(
            (held(&listener["holders"])?, &listener["socket"]["ino"]),
            (of_redis.clone(), &json!(ino)),
            "{args:?}"
        );
    }
    let listener = only_listener(&daemon.ask(&["who", &path])?)?.clone();
    for moment in ["bound", "listening"] {
        ensure!(listener[moment]["seq"].is_u64(), "no event: {listener}");
    }
    ensure!(listener["holders"][0]["how"] == "socket", "{listener}");
    let before = daemon.ask(&["who", &path])?["basis"]["at"]["ts_ns"].to_string();
    signal_pid(pid, Signal::SIGTERM)?;
    let gone = wait_for("its end", || {
        let who = daemon.ask(&["who", &path])?;
        ensure!(who["sockets"] == json!([]) && who["before"].as_array().map(Vec::len) == Some(1), "{who}");
        Ok(who["before"][0].clone())
    })?;
    assert_eq!((held(&gone["former"])?, &gone["socket"]["ino"]), (of_redis.clone(), &json!(ino)));
    ensure!(gone["ended"]["seq"].is_u64() && gone["holders"] == json!([]), "{gone}");
    let then = daemon.ask(&["who", &path, "--at", &before])?;
    assert_eq!(held(&only_listener(&then)?["holders"])?, of_redis);
    daemon.serve.insist()?;
    Ok(())
}
