//! TCP sockets that are used again: one socket, several rounds, against what the program read of them in each.

use crate::harness::{Sockreel, sound, wait_for};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::{ffi::OsString, fs, path::Path};

#[test]
fn a_socket_that_is_used_again_is_one_socket() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("log.json");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/rounds.py");
    let mut args: Vec<OsString> =
        ["serve", "--check", "off", "--listen", "127.0.0.1:0", "--"].map(OsString::from).into();
    args.extend(["/usr/bin/python3".into(), script.into(), log.clone().into()]);
    let mut serve = Sockreel::start(dir.path(), "serve", args)?;
    let api = serve.api()?;
    let text = wait_for("the program's log", || fs::read_to_string(&log).context("not written"))?;
    let known: Vec<Value> = serde_json::from_str(&text)?;
    ensure!(known.len() == 4, "{known:?}");
    let mut events = Vec::new();
    for known in &known {
        let socket = wait_for("the socket's rounds", || {
            let answer = api.get("sockets")?;
            let told = answer["sockets"].as_array().context("no sockets")?;
            let ino = json!(known["inode"].to_string());
            let told: Vec<&Value> = told.iter().filter(|socket| socket["ino"] == ino).collect();
            let [socket] = told[..] else { anyhow::bail!("{known} is told as {told:?}") };
            same_rounds(known, socket)?;
            Ok(socket.clone())
        })?;
        events = api.events()?;
        let calls: Vec<(&Value, &Value)> = events
            .iter()
            .filter(|event| event["fd"] == known["fd"] && event["via"] == "syscall")
            .map(|event| (&event["event"], &event["socket"]))
            .collect();
        let made: Vec<_> =
            known["calls"].as_array().context("no calls")?.iter().map(|call| (call, &socket["id"])).collect();
        ensure!(calls == made, "it made {made:?}, told is {calls:?}");
    }
    sound(&events)?;
    serve.insist()?;
    Ok(())
}

/// A step tells its peer only where the socket has had another one since.
fn same_rounds(known: &Value, socket: &Value) -> Result<()> {
    for field in ["local", "peer", "backlog"] {
        ensure!(socket[field] == known[field], "{field} is not that of {known}: {socket}");
    }
    let steps = socket["steps"].as_array().context("no steps")?;
    let told: Vec<Value> = steps
        .iter()
        .map(|step| {
            let connects = step["phase"] == "connecting" || step["phase"] == "connected";
            let peer = if connects && step["peer"].is_null() { &socket["peer"] } else { &step["peer"] };
            json!([step["phase"], peer, step["error"]])
        })
        .collect();
    ensure!(known["steps"] == json!(told), "it went through {}, told is {}", known["steps"], json!(steps));
    Ok(())
}
