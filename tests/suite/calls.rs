//! Every traced call of the socket family against what the program that made it wrote down.

use crate::harness::{Sockreel, lines, sound};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::{ffi::OsString, fs, path::Path};

/// The program's log, and the lines of its main thread's calls between its marks, those that only tell that a call runs
/// apart.
fn traced() -> Result<(Value, Vec<Value>, Vec<Value>)> {
    let dir = tempfile::tempdir()?;
    let (log, out) = (dir.path().join("log.json"), dir.path().join("out.jsonl"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/calls.py");
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(OsString::from).into();
    args.push(out.clone().into());
    args.extend(["--".into(), "/usr/bin/python3".into(), script.into(), log.clone().into()]);
    let ended = Sockreel::run(dir.path(), "calls", args)?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let all = lines(&out)?;
    sound(&all)?;
    let mut on = false;
    let mut between = Vec::new();
    for line in all {
        match line["path"].as_str() {
            Some("/sockreel-begin" | "/sockreel-on") => on = true,
            Some("/sockreel-pause" | "/sockreel-end") => on = false,
            _ if on && line["tid"] == line["pid"] && line["via"] == "syscall" && line["call"].is_string() => {
                // A state that changes inside a call is a line of its own.
                between.push(line);
            }
            _ => {}
        }
    }
    let (pending, done) = between.into_iter().partition(|line| line["pending"] == true);
    Ok((serde_json::from_str(&fs::read_to_string(log)?)?, done, pending))
}

#[test]
fn calls_are_told_as_the_program_made_them() -> Result<()> {
    let (log, done, pending) = traced()?;
    let told: Vec<Value> = done.iter().map(|line| json!([line["call"], line["ret"]])).collect();
    let known = log["calls"].as_array().context("no calls in the log")?;
    ensure!(told == *known, "told {told:?}\nbut it made {known:?}");

    let all = |call: &str| done.iter().filter(|line| line["call"] == call).cloned().collect::<Vec<_>>();
    let address = |name: &str| format!("127.0.0.1:{}", log[name]);
    let is = |line: &Value, field: &str, value: Value| {
        ensure!(line[field] == value, "{field} is not {value} in {line}");
        Ok(())
    };

    let [in_use, bound] = all("bind").try_into().map_err(|binds| anyhow::anyhow!("{binds:?}"))?;
    is(&in_use, "error", json!("EADDRINUSE"))?;
    is(&in_use, "asked", json!(address("in_use")))?;
    is(&in_use, "local", Value::Null)?;
    is(&bound, "asked", json!("127.0.0.1:0"))?;
    is(&bound, "local", json!(address("listening")))?;
    let [listen] = all("listen").try_into().map_err(|listens| anyhow::anyhow!("{listens:?}"))?;
    is(&listen, "backlog", json!(7))?;
    is(&listen, "queue_limit", json!(7))?;

    let [refused, connected] =
        all("connect").try_into().map_err(|connects| anyhow::anyhow!("{connects:?}"))?;
    is(&refused, "error", json!("ECONNREFUSED"))?;
    is(&refused, "asked", json!(address("refused")))?;
    is(&refused, "peer", Value::Null)?;
    is(&connected, "peer", json!(address("in_use")))?;

    // The accept waited 0.4 s for its visitor: it is told while it runs, and both lines are one call.
    let [accept] = all("accept4").try_into().map_err(|accepts| anyhow::anyhow!("{accepts:?}"))?;
    let [running] = pending.try_into().map_err(|lines| anyhow::anyhow!("not one running call: {lines:?}"))?;
    is(&running, "call", json!("accept4"))?;
    is(&running, "ret", Value::Null)?;
    ensure!(
        running["call_id"].is_number() && running["call_id"] == accept["call_id"],
        "{running} and {accept}"
    );
    ensure!(accept["dur_ns"].as_u64() > Some(300_000_000), "{accept} did not wait");
    is(&accept, "local", json!(address("listening")))?;
    ensure!(
        accept["listener"].is_string() && accept["listener"] == listen["socket"],
        "{accept} is not from {listen}"
    );

    let setfd = done.iter().find(|line| line["event"] == "setfd").context("no setfd")?;
    is(setfd, "fd", log["copy"].clone())?;
    is(setfd, "cloexec", json!(true))?;
    // What lies in the range, by the results of the calls before: 50, 51 and the two copies from 60 on.
    let ranges = all("close_range");
    let range = ranges.first().context("no close_range")?;
    is(range, "fds", json!([50, 51, 60, 61]))?;
    let pair = all("socketpair");
    ensure!(
        pair.first().is_some_and(|pair| pair["fds"].as_array().is_some_and(|fds| fds.len() == 2)),
        "{pair:?}"
    );
    Ok(())
}
