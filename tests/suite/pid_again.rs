//! A pid that is given again is another process: its table, its life and its events are its own.

use crate::{
    harness::{Sockreel, lines, sound, wait_for},
    real_servers::open_args,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// Nanoseconds of a clock tick as `proc_pid_stat(5)` counts them (`USER_HZ`, include/asm-generic/param.h).
const TICK_NS: u64 = 10_000_000;

#[test]
fn a_pid_that_is_given_again_is_another_process() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let at = |name: &str| dir.path().join(name);
    let (log, out, reel) = (at("log.json"), at("out.jsonl"), at("again.mcap"));
    let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/pid_again.py");
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(OsString::from).to_vec();
    args.extend([out.clone().into(), "--record".into(), reel.clone().into(), "--".into()]);
    args.extend(["/usr/bin/python3".into(), script.into(), log.clone().into()]);
    // The standard input is empty: the program ends when it has written its log.
    let ended = Sockreel::run(dir.path(), "trace", args)?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let told = lines(&out)?;
    sound(&told)?;
    let known: Vec<Value> = serde_json::from_str(&fs::read_to_string(&log)?)?;
    let [first, second] = known.as_slice() else { anyhow::bail!("{} children", known.len()) };
    ensure!(first["pid"] == second["pid"], "the number was not given again: {first}, {second}");

    let mut ids = Vec::new();
    for child in [first, second] {
        let opened = told.iter().filter(|line| line["event"] == "open" && line["path"] == child["path"]);
        let opened: Vec<_> = opened.filter(|line| line["pid"] == child["pid"]).collect();
        let [opened] = opened.as_slice() else { anyhow::bail!("{} opens of {child}", opened.len()) };
        ensure!(opened["new_fd"] == child["fd"] && opened["inode"] == child["inode"], "{child}: {opened}");
        let id = opened["process"].as_str().context("no process")?;
        let start: u64 = id.rsplit_once('@').context("no start")?.1.parse()?;
        ensure!(Some(start / TICK_NS) == child["ticks"].as_u64(), "{child} is told as {id}");
        ids.push((id.to_owned(), opened["ts_ns"].as_u64().context("no time")?));
    }
    ensure!(ids[0].0 != ids[1].0, "both are {}", ids[0].0);

    let mut open = Sockreel::start(dir.path(), "open", open_args(&reel))?;
    let api = open.api()?;
    let processes = wait_for("the processes", || {
        let answer = api.get("processes")?;
        let all = answer["processes"].as_array().context("no processes")?.clone();
        ensure!(ids.iter().all(|(id, _)| all.iter().any(|one| one["id"] == **id)), "{all:?}");
        Ok(all)
    })?;
    let tables: Vec<_> =
        ids.iter().filter_map(|(id, _)| processes.iter().find(|one| one["id"] == **id)).collect();
    ensure!(tables[0]["table"] != tables[1]["table"], "one table for both: {tables:?}");
    ensure!(!tables[0]["ended"].is_null(), "the first has not ended: {}", tables[0]);
    ensure!(tables.iter().all(|one| one["standing"] == "exact"), "{tables:?}");
    // Who had the number at an instant, and what it held.
    for ((id, at), child) in ids.iter().zip([first, second]) {
        // The recording may not be read as far as that yet.
        wait_for("its file", || {
            let answer = api.get(&format!("descriptors?pid={}&at={at}", child["pid"]))?;
            ensure!(answer["process"]["id"] == **id, "at {at} the number is told as {}", answer["process"]);
            let rows = answer["descriptors"].as_array().context("no descriptors")?;
            let own = rows.iter().find(|row| row["fd"] == child["fd"]).context("its file is not told")?;
            ensure!(
                own["name"] == child["path"] && own["ino"] == json!(child["inode"].to_string()),
                "{child}: {own}"
            );
            Ok(())
        })?;
    }
    ensure!(open.interrupt()?.code == 0, "open did not end well");
    Ok(())
}
