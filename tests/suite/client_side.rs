//! A client is traced as well; text and JSON replay byte for byte.

use crate::harness::{Server, Sockreel, complete, lines};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{ffi::OsString, fs};

/// `curl`, which prints the local port that it was given.
fn curl(server: &Server) -> [OsString; 5] {
    [
        "curl".into(),
        "--silent".into(),
        "--write-out".into(),
        "\nport %{local_port}\n".into(),
        format!("http://{}/", server.address()).into(),
    ]
}

#[test]
fn curl_is_seen_with_the_local_port_that_it_was_given() -> Result<()> {
    let server = Server::nginx()?;
    let _running = server.start()?;
    let out = server.dir().join("curl.jsonl");
    let mut args: Vec<OsString> =
        vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into(), "--".into()];
    args.extend(curl(&server));
    let ended = Sockreel::run(server.dir(), "curl", args)?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let port = ended.out.lines().find_map(|line| line.strip_prefix("port ")).context("curl told no port")?;
    let lines = lines(&out)?;
    complete(&lines)?;
    let connects: Vec<&Value> =
        lines.iter().filter(|line| line["event"] == "connect" && line["family"] == "inet").collect();
    let [connect] = connects.as_slice() else { anyhow::bail!("not one connect: {connects:?}") };
    let local = format!("127.0.0.1:{port}");
    ensure!(connect["asked"] == server.address(), "{connect}");
    ensure!(connect["peer"] == server.address(), "{connect}");
    ensure!(connect["local"] == local, "{connect}, but curl had {local}");
    ensure!(connect["comm"] == "curl" && connect["call"] == "connect", "{connect}");
    let socket = &connect["socket"];
    let made = lines.iter().find(|line| line["event"] == "socket" && line["socket"] == *socket);
    ensure!(made.is_some_and(|made| made["new_fd"] == connect["fd"]), "{socket} was not made: {made:?}");
    let closes = lines.iter().filter(|line| line["event"] == "close" && line["socket"] == *socket).count();
    ensure!(closes == 1, "{socket} was closed {closes} times");
    Ok(())
}

#[test]
fn text_replays_byte_for_byte() -> Result<()> {
    let server = Server::python()?;
    let _running = server.start()?;
    let (out, reel) = (server.dir().join("curl.txt"), server.dir().join("curl.reel"));
    let mut args: Vec<OsString> = vec!["trace".into(), "-o".into(), out.clone().into(), "--record".into()];
    args.extend([reel.clone().into(), "--".into()]);
    args.extend(curl(&server));
    let ended = Sockreel::run(server.dir(), "curl", args)?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let dump = Sockreel::run(server.dir(), "dump", [OsString::from("dump"), reel.into()])?;
    ensure!(dump.code == 0, "{}: {}", dump.code, dump.err);
    let written = fs::read_to_string(&out)?;
    ensure!(written.lines().count() > 10 && written.contains(&server.address()), "{written}");
    ensure!(dump.out == written, "dump printed\n{}\nbut trace\n{written}", dump.out);
    Ok(())
}
