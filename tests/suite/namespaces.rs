//! A server in a pid and a network namespace of its own, and in a control group: told as the host sees it and as it sees
//! itself, while it starts and found by a snapshot.

use crate::{
    harness::{ControlGroup, Sockreel, lines, sound, wait_for},
    real_servers::open_args,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// Starts the server in the group and in namespaces; its own log is the first argument.
const START: &str =
    r#"echo $$ > "$1"; exec unshare --pid --net --fork --kill-child /usr/bin/python3 "$2" "$3""#;

/// The one line that fits.
fn line(lines: &[Value], what: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
    let found: Vec<_> = lines.iter().filter(|line| fits(line)).collect();
    let [one] = found.as_slice() else { anyhow::bail!("{} lines are {what}: {found:?}", found.len()) };
    Ok((*one).clone())
}

/// Whether a line, or an entity of the API, has these values.
fn has(what: &str, told: &Value, fields: &[(&str, Value)]) -> Result<()> {
    for (field, known) in fields {
        ensure!(told[*field] == *known, "{what}: {field} is {}, not {known}: {told}", told[*field]);
    }
    Ok(())
}

/// What is known of a process: of the host's number and its own, its namespace and its group.
fn place(known: &Value) -> [(&'static str, Value); 3] {
    ["ns_pid", "pidns", "cgroup"].map(|field| (field, known[field].clone()))
}

#[test]
fn a_server_in_its_own_namespaces_is_told_like_any_other() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let group = ControlGroup::new()?;
    let at = |name: &str| dir.path().join(name);
    let (log, out, reel, later) = (at("log.json"), at("out.jsonl"), at("namespaced.mcap"), at("later.jsonl"));
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/namespaced.py");
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(OsString::from).to_vec();
    args.extend([out.clone().into(), "--record".into(), reel.clone().into(), "--".into()]);
    args.extend(["/bin/sh".into(), "-c".into(), START.into(), "sh".into()]);
    args.extend([group.path().join("cgroup.procs").into(), script.into(), log.clone().into()]);
    let trace = Sockreel::start(dir.path(), "trace", args)?;
    let known: Value = wait_for("the server's log", || {
        Ok(serde_json::from_str(&fs::read_to_string(&log).context("it is not written yet")?)?)
    })
    .with_context(|| trace.stderr().unwrap_or_default())?;
    let (server, child) = (&known["server"], &known["child"]);
    ensure!(server["getpid"] == 1 && server["ns_pid"] == 1, "it is not the first of its namespace: {server}");
    ensure!(server["cgroup"] != "/", "it is in no group: {server}");

    // Found while it runs.
    let pid = server["pid"].to_string();
    let args = ["trace", "--json", "-p", &pid, "-o"].map(OsString::from);
    let snapshot = Sockreel::start(dir.path(), "later", args.into_iter().chain([later.clone().into()]))?;
    let listening = |line: &Value| line["inode"] == known["listener"]["inode"];
    wait_for("the snapshot", || {
        ensure!(lines(&later)?.iter().any(listening), "{:?}", lines(&later)?);
        Ok(())
    })?;
    ensure!(snapshot.interrupt()?.code == 0, "the second trace did not end well");
    let row =
        line(&lines(&later)?, "the listener's row", |line| line["event"] == "snapshot" && listening(line))?;
    has("the listener's row", &row, &place(server))?;
    has(
        "the listener's row",
        &row,
        &[("netns", server["netns"].clone()), ("local", known["listener"]["local"].clone())],
    )?;

    // Told while it started.
    let ended = trace.insist()?;
    let told = lines(&out)?;
    sound(&told).with_context(|| ended.err.clone())?;
    let is = |event: &str, pid: &Value| {
        let (event, pid) = (event.to_owned(), pid.clone());
        move |line: &Value| line["event"] == *event && line["pid"] == pid && line["ret"].as_i64() >= Some(0)
    };
    let exec = line(&told, "the server's exec", is("exec", &server["pid"]))?;
    has("the server's exec", &exec, &place(server))?;
    let fork = line(&told, "the server's fork", is("fork", &server["pid"]))?;
    has("the server's fork", &fork, &place(child))?;
    has("the server's fork", &fork, &[("ret", known["fork"].clone())])?;
    ensure!(fork["child"].as_str().is_some_and(|id| id.starts_with(&format!("{}@", child["pid"]))), "{fork}");
    let socket = line(&told, "the listener's socket", |line| line["event"] == "socket" && listening(line))?;
    has(
        "the listener's socket",
        &socket,
        &[("netns", server["netns"].clone()), ("pid", server["pid"].clone())],
    )?;
    let accept = line(&told, "the server's accept", |line| {
        line["event"] == "accept" && line["ret"].as_i64() > Some(0)
    })?;
    let accepted = &known["accepted"];
    has(
        "the server's accept",
        &accept,
        &["inode", "local", "peer"].map(|field| (field, accepted[field].clone())),
    )?;
    has(
        "the server's accept",
        &accept,
        &[("listener", socket["socket"].clone()), ("peer", child["local"].clone())],
    )?;

    // And kept.
    let mut open = Sockreel::start(dir.path(), "open", open_args(&reel))?;
    let api = open.api()?;
    for process in [server, child] {
        let told = wait_for("the processes", || {
            let answer = api.get("processes")?;
            let all = answer["processes"].as_array().context("no processes")?;
            line(all, "the process", |one| one["pid"] == process["pid"])
        })?;
        has("a process of the API", &told, &place(process))?;
        has("a process of the API", &told, &[("standing", json!("exact"))])?;
    }
    ensure!(open.interrupt()?.code == 0, "open did not end well");
    Ok(())
}
