//! Operations of io_urings against what the program that submitted them wrote down: strace sees none of them.

use crate::{
    harness::{Sockreel, lines, table, wait_for},
    real_servers::complete,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{ffi::OsString, fs, path::Path};

const SERVER: &str = env!("CARGO_BIN_EXE_uring-server");

/// Compares the program's log with the lines of its operations, from one run in `mode`.
fn compare(mode: &str) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (log, out) = (dir.path().join("log.json"), dir.path().join("out.jsonl"));
    let mut args: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
    args.extend(["--".into(), SERVER.into(), log.clone().into()]);
    args.extend((!mode.is_empty()).then(|| mode.into()));
    let ended = Sockreel::run(dir.path(), "uring", args)?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    println!("{} operations compared, mode {mode:?}", same_operations(&log, &out)?);
    Ok(())
}

/// Compares every field that the program wrote down, in the order in which the operations completed: how many there were.
pub(crate) fn same_operations(log: &Path, out: &Path) -> Result<usize> {
    let all = lines(out)?;
    complete(&all)?;
    let repaired = all.iter().find(|line| line["event"] == "repair" || line["via"] == "repair");
    ensure!(repaired.is_none(), "repaired: {repaired:?}");
    let told: Vec<Value> = all.into_iter().filter(|line| line["via"] == "io_uring").collect();
    let known: Vec<Value> = serde_json::from_str(&fs::read_to_string(log)?)?;
    for (place, known) in known.iter().enumerate() {
        let line = told.get(place).with_context(|| format!("operation {place} is not told: {known}"))?;
        for (field, value) in known.as_object().context("no object")? {
            // What a number is not said to be, it is not.
            ensure!(line[field] == *value, "{field} of operation {place} is not {value}: {line}");
        }
        for field in ["local", "peer", "asked", "fd", "new_fd", "direct", "new_direct"] {
            let absent = known[field].is_null() && known["event"] != "close" && known["event"] != "shutdown";
            let shown = !matches!(field, "local" | "peer");
            ensure!(!(absent && shown) || line[field].is_null(), "operation {place} has no {field}: {line}");
        }
    }
    ensure!(told.len() == known.len(), "told beyond: {:?}", told.get(known.len()..));
    Ok(known.len())
}

#[test]
fn operations_of_a_ring_are_told_as_the_program_logged_them() -> Result<()> {
    compare("")
}

#[test]
fn operations_that_the_kernels_thread_submits_are_the_processs() -> Result<()> {
    compare("sqpoll")
}

#[test]
fn operations_that_workers_run_are_the_processs() -> Result<()> {
    compare("async")
}

#[test]
fn the_table_of_a_ring_server_is_the_kernels() -> Result<()> {
    for mode in ["sqpoll", "async"] {
        let dir = tempfile::tempdir()?;
        let log = dir.path().join("log.json");
        let args: [OsString; 8] = [
            "serve".into(),
            "--listen".into(),
            "127.0.0.1:0".into(),
            "--".into(),
            SERVER.into(),
            log.clone().into(),
            mode.into(),
            "hold".into(),
        ];
        let mut sockreel = Sockreel::start(dir.path(), "serve", args)?;
        let api = sockreel.api()?;
        let pids = sockreel.command(SERVER)?;
        let pid = *pids.first().context("no server")?;
        wait_for("the server's log", || Path::new(&log).exists().then_some(()).context("not written"))?;
        let kernels = table(pid)?;
        wait_for("the server's table", || {
            let told = api.table(pid, None)?;
            ensure!(told == kernels, "told {told:?}\nbut the kernel has {kernels:?}");
            Ok(())
        })?;
        sockreel.interrupt()?;
    }
    Ok(())
}
