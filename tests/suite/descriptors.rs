//! Every way to make and to pass descriptors, against what the program that did it wrote down.

use crate::harness::{Sockreel, lines, sound, wait_for};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// A traced program: its log and the lines of the trace.
pub(crate) struct Traced {
    pub(crate) log: Value,
    pub(crate) lines: Vec<Value>,
}

impl Traced {
    /// Runs `suite/SCRIPT LOG DIR` under a trace that never has to repair anything.
    pub(crate) fn run(script: &str) -> Result<Self> {
        let traced = Self::run_doubtfully(script)?;
        sound(&traced.lines)?;
        Ok(traced)
    }

    fn run_doubtfully(script: &str) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let (log, out) = (dir.path().join("log.json"), dir.path().join("out.jsonl"));
        let script: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite").join(script);
        let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(OsString::from).into();
        args.extend([out.clone().into(), "--".into(), "/usr/bin/python3".into(), "-B".into(), script.into()]);
        args.extend([log.clone().into(), dir.path().into()]);
        let ended = Sockreel::run(dir.path(), "descriptors", args)?;
        ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
        let lines = lines(&out)?;
        let log: Value = serde_json::from_str(&fs::read_to_string(log)?)?;
        for skipped in log["skipped"].as_array().into_iter().flatten() {
            crate::harness::skipped(&format!("this kernel cannot: {skipped}"))?;
        }
        Ok(Self { log, lines })
    }

    /// Lines between the program's marks.
    pub(crate) fn between(&self) -> impl Iterator<Item = &Value> {
        let after = self.lines.iter().skip_while(|line| line["path"] != "/sockreel-begin").skip(1);
        after.take_while(|line| line["path"] != "/sockreel-end")
    }

    /// The calls of the program's main thread are told as it logged them: all of them, no other, field by field.
    pub(crate) fn calls_are_as_logged(&self) -> Result<()> {
        let told: Vec<&Value> = self
            .between()
            .filter(|line| {
                line["tid"] == self.log["pid"] && line["via"] == "syscall" && line["call"].is_string()
            })
            .filter(|line| line["pending"] != true)
            .collect();
        let known = self.log["calls"].as_array().context("no calls in the log")?;
        for (line, entry) in told.iter().zip(known) {
            let [name, ret, more] = entry.as_array().map(Vec::as_slice).unwrap_or_default() else {
                anyhow::bail!("no entry: {entry}");
            };
            ensure!(line["call"] == *name && line["ret"] == *ret, "{line}\nbut it made {entry}");
            for (field, value) in more.as_object().context("no fields")? {
                ensure!(line[field] == *value, "{field} is not {value} in {line}");
            }
        }
        ensure!(told.len() == known.len(), "{} told, {} made", told.len(), known.len());
        println!("{} calls compared", told.len());
        Ok(())
    }

    /// The table with which the program ended is the one it had: what its end closes, and the inodes of its sockets.
    pub(crate) fn table_is_as_logged(&self) -> Result<()> {
        self.table_is(&self.log["pid"], &self.log["table"])
    }

    fn table_is(&self, pid: &Value, table: &Value) -> Result<()> {
        let inodes: BTreeMap<i64, u64> = table
            .as_object()
            .context("no table in the log")?
            .iter()
            .map(|(fd, inode)| Ok((fd.parse()?, inode.as_u64().context("no inode")?)))
            .collect::<Result<_>>()?;
        let of_end = self.lines.iter().filter(|line| line["via"] == "exit" && line["pid"] == *pid);
        let exit = of_end.clone().find(|line| line["event"] == "exit").context("no exit")?;
        let known: Vec<i64> = inodes.keys().copied().collect();
        ensure!(numbers(exit)? == known, "it had {known:?}, told {exit}");
        let wrong = of_end.filter(|line| line["event"] == "close").find(|line| {
            line["fd"].as_i64().and_then(|fd| inodes.get(&fd).copied()) != line["inode"].as_u64()
        });
        ensure!(wrong.is_none(), "another inode: {wrong:?}, it had {inodes:?}");
        println!("{} descriptors compared", known.len());
        Ok(())
    }

    /// The only line between the marks that holds `part`.
    pub(crate) fn only(&self, part: &Value) -> Result<&Value> {
        let holds = |line: &&Value| {
            part.as_object().is_some_and(|part| part.iter().all(|(field, value)| line[field] == *value))
        };
        let found: Vec<&Value> = self.between().filter(holds).collect();
        let [only] = found.as_slice() else { anyhow::bail!("{} lines with {part}: {found:?}", found.len()) };
        Ok(only)
    }
}

#[test]
fn passed_descriptors_are_told_in_both_directions() -> Result<()> {
    let traced = Traced::run("passes.py")?;
    traced.calls_are_as_logged()?;
    traced.table_is_as_logged()
}

#[test]
fn a_number_that_another_thread_took_was_not_received() -> Result<()> {
    let traced = Traced::run_doubtfully("raced.py")?;
    traced.calls_are_as_logged()?;
    for other in traced.log["others"].as_array().context("no calls of other threads")? {
        traced.only(other)?;
    }
    // What is in no slot any more may be in another one: the table is doubted, and a check finds the one that is.
    let lines =
        |event: &str| -> Vec<&Value> { traced.lines.iter().filter(|line| line["event"] == event).collect() };
    let doubts = lines("lost");
    ensure!(!doubts.is_empty() && doubts.iter().all(|line| line["cause"] == "unknown_file"), "{doubts:?}");
    let (repairs, lost) = (lines("repair"), &traced.log["lost"]);
    let [repair] = repairs.as_slice() else { anyhow::bail!("{lost} was lost, repaired are {repairs:?}") };
    for (field, value) in lost.as_object().context("nothing was lost")? {
        ensure!(repair[field] == *value, "{lost} was lost, but {repair}");
    }
    traced.table_is_as_logged()
}

#[test]
fn every_way_to_make_a_descriptor_is_told() -> Result<()> {
    let traced = Traced::run("makes.py")?;
    traced.calls_are_as_logged()?;
    for beside in traced.log["besides"].as_array().context("no pidfds of clone")? {
        let mut part = beside.clone();
        part["event"] = json!("pidfd");
        part["via"] = json!("fork");
        let line = traced.only(&part)?;
        ensure!(line["call"].is_null() && line["ret"].is_null(), "a second line of a call: {line}");
    }
    traced.table_is_as_logged()
}

#[test]
fn every_command_of_bpf_that_makes_a_descriptor_is_told() -> Result<()> {
    let traced = Traced::run("bpf.py")?;
    traced.calls_are_as_logged()?;
    traced.table_is_as_logged()
}

#[test]
fn a_child_has_its_parents_table_until_it_is_another_program() -> Result<()> {
    let traced = Traced::run("forks.py")?;
    traced.calls_are_as_logged()?;
    // What became of each: its own log.
    for (name, fork, exec) in
        [("shared", "clone3", "execve"), ("execveat", "clone3", "execveat"), ("vfork", "vfork", "execve")]
    {
        let ended = &traced.log["ended"][name];
        let made = |line: &&Value| line["call"] == fork && line["ret"] == ended["pid"];
        ensure!(traced.lines.iter().filter(made).count() == 1, "{name} was not made once by {fork}");
        let became = |line: &&Value| line["event"] == "exec" && line["pid"] == ended["pid"];
        let became: Vec<&Value> = traced.lines.iter().filter(became).collect();
        ensure!(
            matches!(became[..], [line] if line["call"] == exec && line["ret"] == 0),
            "{name}: {became:?}"
        );
        traced.table_is(&ended["pid"], &ended["table"])?;
    }
    traced.table_is_as_logged()
}

#[test]
fn what_a_seccomp_supervisor_adds_is_told_of_both_processes() -> Result<()> {
    let traced = Traced::run("addfd.py")?;
    traced.calls_are_as_logged()?;
    let target = &traced.log["target"];
    for given in traced.log["given"].as_array().context("nothing was given")? {
        let mut part = given.clone();
        for (field, value) in [("event", "pass"), ("dir", "in"), ("via", "kernel")] {
            part[field] = json!(value);
        }
        part["pid"] = target["pid"].clone();
        let line = traced.only(&part)?;
        ensure!(line["call"].is_null() && line["ret"].is_null(), "it made no call: {line}");
    }
    traced.table_is(&target["pid"], &target["table"])?;
    traced.table_is_as_logged()
}

#[test]
fn what_closes_on_exec_is_what_was_set_to() -> Result<()> {
    let traced = Traced::run("cloexec.py")?;
    traced.calls_are_as_logged()?;
    // The second program writes what it still has of what the first had.
    let after = traced.lines.iter().skip_while(|line| line["path"] != "/sockreel-end");
    let exec = after.skip(1).find(|line| line["event"] == "exec").context("no exec")?;
    let told = numbers(exec)?;
    let known: Vec<i64> = serde_json::from_value(traced.log["gone"].clone())?;
    ensure!(told == known, "told {told:?}\nbut gone are {known:?}");
    traced.table_is_as_logged()
}

/// A line's `fds`, sorted.
fn numbers(line: &Value) -> Result<Vec<i64>> {
    let mut fds: Vec<i64> = serde_json::from_value(line["fds"].clone()).with_context(|| line.to_string())?;
    fds.sort_unstable();
    Ok(fds)
}

/// Which open file each descriptor of each process has, by whatever name.
type Held = BTreeMap<(u64, i64), String>;

#[test]
fn an_open_file_is_one_in_every_process_that_has_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("log.json");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/shared_files.py");
    let mut args: Vec<OsString> =
        ["serve", "--check", "off", "--listen", "127.0.0.1:0", "--"].map(OsString::from).into();
    args.extend(["/usr/bin/python3".into(), "-B".into(), script.into(), log.clone().into()]);
    let mut serve = Sockreel::start(dir.path(), "serve", args)?;
    let api = serve.api()?;
    let text = wait_for("the program's log", || fs::read_to_string(&log).context("not written"))?;
    let known: Vec<(u64, i64, u64)> = serde_json::from_str(&text)?;
    let known: Held = known.into_iter().map(|(pid, fd, file)| ((pid, fd), file.to_string())).collect();
    let pids: BTreeSet<u64> = known.keys().map(|(pid, _)| *pid).collect();
    ensure!(pids.len() == 4, "{pids:?}");
    wait_for("the same open files", || {
        let mut told = Held::new();
        for pid in &pids {
            let answer = api.get(&format!("descriptors?process={}", api.process(u32::try_from(*pid)?)?))?;
            for row in answer["descriptors"].as_array().context("no descriptors")? {
                let fd = row["fd"].as_i64().context("no number")?;
                told.insert((*pid, fd), row["file"].as_str().context("no file")?.to_owned());
            }
        }
        ensure!(told.keys().eq(known.keys()), "told {told:?}\nbut there is {known:?}");
        // As many files as pairs of names means that each has one name on either side.
        let pairs: BTreeSet<(&String, &String)> = told.values().zip(known.values()).collect();
        let names = |held: &Held| held.values().collect::<BTreeSet<_>>().len();
        ensure!(pairs.len() == names(&told) && pairs.len() == names(&known), "told {told:?}, not {known:?}");
        println!("{} descriptors of {} open files compared", told.len(), pairs.len());
        Ok(())
    })?;
    sound(&api.events()?)?;
    serve.insist()?;
    Ok(())
}
