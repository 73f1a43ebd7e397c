//! Descriptor tables that are copied while other threads change them, and tables of single threads, against `/proc`.

use crate::harness::{Sockreel, Table, sound, table, table_in, told_table, wait_for};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Builds `tables.c`.
pub(crate) fn program(dir: &Path) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/tables.c");
    let program = dir.join("tables");
    let mut compile = Command::new("cc");
    compile.args(["-O1", "-Wall", "-Werror", "-pthread", "-o"]).arg(&program).arg(source);
    ensure!(compile.status().context("cannot run cc")?.success(), "{compile:?} failed");
    Ok(program)
}

/// Runs the program under `serve` until it is still, and gives its processes to `look`; the tables were never repaired.
fn traced(how: &str, count: usize, look: impl Fn(&crate::harness::Api, &[u32]) -> Result<()>) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (program, ready) = (program(dir.path())?, dir.path().join("ready"));
    let mut args: Vec<OsString> =
        ["serve", "--check", "off", "--listen", "127.0.0.1:0", "--"].map(Into::into).into();
    args.extend([program.clone().into(), how.into(), ready.clone().into(), count.to_string().into()]);
    let mut serve = Sockreel::start(dir.path(), how, args)?;
    let api = serve.api()?;
    wait_for("a program that is still", || fs::metadata(&ready).context("not there yet").map(drop))?;
    let pids = serve.command(&program.to_string_lossy())?;
    wait_for("the tables", || look(&api, &pids))?;
    let events = api.events()?;
    sound(&events).context(how.to_owned())?;
    let processes = api.get("processes")?;
    for process in processes["processes"].as_array().context("no processes")? {
        ensure!(process["standing"] == "exact", "{process}");
    }
    // The program runs on.
    let ended = serve.insist()?;
    println!("{how}: {} processes, {} events; {}", pids.len(), events.len(), ended.err.trim());
    Ok(())
}

fn same(api: &crate::harness::Api, pid: u32) -> Result<()> {
    let (told, known) = (api.table(pid, None)?, table(pid)?);
    ensure!(told == known, "{pid}: {}", differences(&told, &known));
    Ok(())
}

fn differences(told: &Table, known: &Table) -> String {
    let only = |these: &Table, those: &Table| {
        these
            .iter()
            .filter(|(fd, held)| those.get(fd) != Some(held))
            .map(|row| format!("{row:?}"))
            .collect::<Vec<_>>()
    };
    format!("told {:?}, but there is {:?}", only(told, known), only(known, told))
}

/// 60 children of a process whose three other threads open, copy, replace and close descriptors all the while.
#[test]
fn children_of_a_busy_process_have_the_table_that_they_were_given() -> Result<()> {
    traced("forks", 60, |api, pids| {
        ensure!(pids.len() == 61, "{} processes", pids.len());
        pids.iter().try_for_each(|pid| same(api, *pid))
    })
}

/// 30 programs that were executed by a thread among others at work, or from a table shared with the parent.
#[test]
fn a_program_executed_from_among_threads_has_what_was_left_to_it() -> Result<()> {
    traced("execs", 30, |api, pids| {
        ensure!(pids.len() == 31, "{} processes", pids.len());
        pids.iter().try_for_each(|pid| same(api, *pid))
    })
}

/// Threads that leave their process's table by `unshare`, by `close_range`, or never had it, and a process that shares it.
#[test]
fn threads_with_tables_of_their_own_are_told_apart() -> Result<()> {
    traced("threads", 0, |api, pids| {
        let [pid, shares] = *pids else { anyhow::bail!("{pids:?}") };
        let answer = api.get(&format!("descriptors?process={}", api.process(pid)?))?;
        let process = &answer["process"];
        // The table of the process that shares ours is the same one.
        let other = api.get(&format!("descriptors?process={}", api.process(shares)?))?;
        ensure!(other["process"]["table"] == process["table"], "{} and {process}", other["process"]);

        let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let tables = process["thread_tables"].as_array().context("no tables of threads")?;
        for id in tables.iter().chain([&process["table"]]) {
            told.insert(id.as_str().context("no name")?.to_owned(), Vec::new());
        }
        for row in answer["descriptors"].as_array().context("no descriptors")? {
            let id = row["table"].as_str().context("no table")?;
            told.get_mut(id).with_context(|| format!("{id} is none of the process's"))?.push(row.clone());
        }
        let mut told: Vec<Table> = told
            .into_values()
            .map(|rows| told_table(&serde_json::json!({ "descriptors": rows })))
            .collect::<Result<_>>()?;
        let mut known = Vec::new();
        for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
            known.push(table_in(&entry?.path().join("fd"))?);
        }
        ensure!(known.len() == 12, "{} threads", known.len());
        told.sort();
        known.sort();
        ensure!(told == known, "told {told:#?}\nbut there is {known:#?}");
        Ok(())
    })
}
