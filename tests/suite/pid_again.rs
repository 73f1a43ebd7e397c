//! A pid that is given again is another process: its table, its life and its events are its own. So is what a thread does whose
//! number another one had.

use crate::{
    harness::{Sockreel, lines, sound, wait_for},
    real_servers::open_args,
};
use anyhow::{Context as _, Result, ensure};
use nix::{sys::stat::Mode, unistd::mkfifo};
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
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

/// Builds `tid_again.c`.
fn threads(dir: &Path) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/tid_again.c");
    let program = dir.join("tid_again");
    let mut compile = Command::new("cc");
    compile.args(["-O1", "-Wall", "-Werror", "-o"]).arg(&program).arg(source);
    ensure!(compile.status().context("cannot run cc")?.success(), "{compile:?} failed");
    Ok(program)
}

/// What `tid_again.c` wrote down, and the lines of the threads that had the number.
struct Again {
    known: Value,
    made: Vec<Value>,
}

impl Again {
    /// `waits`: how often a thread waits in accept(2), and is told to go on.
    fn run(how: &str, waits: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let at = |name: &str| dir.path().join(name);
        let (log, out, fifo) = (at("log.json"), at("out.jsonl"), at("fifo"));
        mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let mut args: Vec<OsString> =
            ["trace", "--sched", "--json", "--check", "off", "-o"].map(OsString::from).to_vec();
        args.extend([out.clone().into(), "--".into(), threads(dir.path())?.into(), how.into()]);
        args.extend([log.clone().into(), fifo.clone().into()]);
        let trace = Sockreel::start(dir.path(), "trace", args)?;
        for wait in 1..=waits {
            wait_for("a thread that waits", || {
                let waiting: Vec<_> = lines(&out)?.into_iter().filter(is_waiting_accept).collect();
                ensure!(waiting.len() == wait, "{waiting:?}");
                Ok(())
            })?;
            fs::OpenOptions::new().write(true).open(&fifo)?;
        }
        let ended = trace.ended()?;
        ensure!(ended.code == 0, "{how}: {}: {}{}", ended.code, ended.out, ended.err);
        let mut made = lines(&out)?;
        sound(&made)?;
        let known: Value = serde_json::from_str(&fs::read_to_string(&log)?)?;
        made.retain(|line| line["tid"] == known["tid"] && line["event"] == "accept");
        Ok(Self { known, made })
    }

    /// The identifier of the call that a line tells.
    fn call_id(&self, at: usize) -> Result<Value> {
        let id = self.made.get(at).map_or(&Value::Null, |line| &line["call_id"]);
        ensure!(id.is_u64(), "line {at} has the number {id}: {:#?}", self.made);
        Ok(id.clone())
    }

    /// The line of an accept of the former process (0) or the later one (1).
    fn accept(&self, process: usize, more: Value) -> Value {
        let (pid, fd) = (&self.known["pids"][process], &self.known["listener"]);
        let mut line = json!({"call": "accept4", "pid": pid, "fd": fd});
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        line
    }

    /// What an accept of the later thread came to.
    fn accepted(&self, at: usize) -> Value {
        let (fd, peer) = (&self.known["made"][at], format!("127.0.0.1:{}", self.known["ports"][at]));
        json!({"ret": fd, "new_fd": fd, "peer": peer})
    }

    /// Every field of the lines that tells who did what, and what is known of the thread.
    fn told(&self) -> Vec<Value> {
        let shown = ["call", "pid", "fd", "ret", "error", "new_fd", "peer", "pending", "call_id", "slept"];
        let fields = |line: &Value| {
            let fields = shown.iter().filter(|field| !line[**field].is_null());
            let fields = fields.map(|field| ((*field).to_owned(), line[*field].clone()));
            Value::Object(fields.collect())
        };
        self.made.iter().map(fields).collect()
    }
}

fn with(mut one: Value, field: &str, value: &Value) -> Value {
    one[field] = value.clone();
    one
}

#[test]
fn a_thread_that_ends_in_a_call_leaves_nothing_to_the_next_of_its_number() -> Result<()> {
    another_thread_accepts("exec")?;
    another_thread_accepts("group")
}

fn another_thread_accepts(how: &str) -> Result<()> {
    let again = Again::run(how, 2)?;
    let (former, later) = (again.call_id(0)?, again.call_id(3)?);
    ensure!(former != later, "{how}: both calls are {former}");
    let expected = [
        again.accept(0, json!({"pending": true, "call_id": former})),
        // A signal that ends a thread ends its call first (`ERESTARTSYS`, include/linux/errno.h).
        again.accept(0, json!({"ret": -512, "error": "ERESTARTSYS", "call_id": former})),
        // Its first: nothing of its number is its own.
        again.accept(1, again.accepted(0)),
        again.accept(1, json!({"pending": true, "call_id": later})),
        again.accept(1, with(with(again.accepted(1), "call_id", &later), "slept", &json!(true))),
    ];
    let told = again.told();
    ensure!(told == expected, "{how}: {told:#?}, not {expected:#?}");
    let made = &again.made;
    let process = |at: usize| made[at]["process"].as_str();
    ensure!((process(0) == process(2)) == (how == "exec"), "{how}: {:?} and {:?}", process(0), process(2));
    // The later call began after the former had ended.
    let number = |at: usize, field: &str| {
        made[at][field].as_u64().with_context(|| format!("no {field}: {}", made[at]))
    };
    ensure!(
        number(2, "ts_ns")? - number(2, "dur_ns")? >= number(1, "ts_ns")?,
        "{how}: {} and {}",
        made[1],
        made[2]
    );
    ensure!(made[2]["asleep_ns"].is_null(), "{how}: what it did before is not known: {}", made[2]);
    Ok(())
}

/// In one process, where no program was executed in between.
#[test]
fn a_thread_that_has_ended_leaves_nothing_to_the_next_of_its_number() -> Result<()> {
    let again = Again::run("thread", 1)?;
    let later = again.call_id(2)?;
    let [former, ..] = again.made.as_slice() else { anyhow::bail!("no accept is told") };
    ensure!(former["ret"].as_i64() > Some(0) && former["process"] == again.made[1]["process"], "{former}");
    let expected = [
        again.accept(1, again.accepted(0)),
        again.accept(1, json!({"pending": true, "call_id": later})),
        again.accept(1, with(with(again.accepted(1), "call_id", &later), "slept", &json!(true))),
    ];
    let told = again.told();
    ensure!(told[1..] == expected, "{told:#?}, not {expected:#?}");
    // Of the connection that waited for it nothing is known but that; of the next, everything.
    let [_, first, _, second] = again.made.as_slice() else { anyhow::bail!("{told:#?}") };
    ensure!(first["wait_ns"].is_u64() && first["running_ns"].is_null(), "{first}");
    ensure!(second["running_ns"].is_u64() && second["unknown_ns"] == 0, "{second}");
    Ok(())
}

fn is_waiting_accept(line: &Value) -> bool {
    line["event"] == "accept" && line["pending"] == true
}
