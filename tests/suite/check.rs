//! The check: finds what nobody told, costs little, finds nothing where nothing is wrong, and reads no `/proc/PID/fd`.

use crate::{
    harness::{Group, Sockreel, lines, table, wait_for},
    tables,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    ffi::OsString,
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

/// Two processes share a table and only one is followed: what the other does to it, nobody tells.
#[test]
fn what_nobody_told_is_found_and_marked() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let said = dir.path().join("said");
    let mut command = Command::new(tables::program(dir.path())?);
    command.arg("shares").stdin(Stdio::piped()).stdout(fs::File::create(&said)?);
    let mut group = Group::start("shares", &mut command)?;
    let says = |what: &str, line: usize| {
        wait_for(what, || {
            let text = fs::read_to_string(&said)?;
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            Ok(whole.lines().nth(line).context("not said")?.parse::<u32>()?)
        })
    };
    let pid = says("the child's number", 0)?;
    let args = ["serve", "--check", "100ms", "--listen", "127.0.0.1:0", "-p"].map(OsString::from);
    let mut serve = Sockreel::start(dir.path(), "serve", args.into_iter().chain([pid.to_string().into()]))?;
    let api = serve.api()?;
    let mut orders = group.child().stdin.take().context("no stdin")?;
    orders.write_all(b"open\n")?;
    let made = says("the descriptor", 1)?;
    let repair = |nth: usize| {
        wait_for("a repair", || {
            let events = api.events()?;
            let mut repairs = events.into_iter().filter(|event| event["event"] == "repair");
            let found = repairs.nth(nth).context("none")?;
            ensure!(
                found["via"] == "repair" && found["fd"] == made && found["path"] == "/dev/zero",
                "{found}"
            );
            let (told, known) = (api.table(pid, None)?, table(pid)?);
            ensure!(told == known, "{told:?}, not {known:?}");
            let process = &api.get("processes")?["processes"][0];
            ensure!(process["standing"] == "repaired" && process["repaired"] == nth + 1, "{process}");
            ensure!(process["since"].is_number(), "{process}");
            Ok(())
        })
    };
    repair(0)?;
    orders.write_all(b"close\n")?;
    repair(1)?;
    let ended = serve.interrupt()?;
    ensure!(ended.err.contains(" 2 repaired") && ended.err.contains(" checks in "), "{}", ended.err);
    println!("{}", ended.err.trim());
    Ok(())
}

/// Opens, copies and closes descriptors in several threads and processes from one byte of input each to another.
const BUSY: &str = "
import os, socket, sys, threading, time
over = False
def work():
    while not over:
        one = socket.socket()
        two = os.dup(one.fileno())
        three, four = os.pipe()
        os.dup2(three, four)
        os.set_inheritable(two, True)
        one.close()
        for fd in two, three, four:
            os.close(fd)
        time.sleep(0.02)
for turn in range(3):
    if os.fork() == 0:
        break
threads = [threading.Thread(target=work) for turn in range(3)]
os.read(0, 1)
for thread in threads:
    thread.start()
os.read(0, 1)
over = True
";

/// A daemon that compares many times while the processes are at work, traced by a second sockreel: what does it open?
#[test]
fn a_check_finds_nothing_where_nothing_is_wrong_and_opens_no_table_in_proc() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", BUSY]).stdin(Stdio::piped());
    let mut busy = Group::start("busy", &mut command)?;
    wait_for("its children", || {
        let children = crate::harness::descendants(busy.pid())?.len();
        ensure!(children == 3, "{children} children");
        Ok(())
    })?;
    let (out, inner) = (dir.path().join("out.jsonl"), dir.path().join("inner.jsonl"));
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(Into::into).into();
    args.extend([out.clone().into(), "--".into(), Sockreel::program()?]);
    args.extend(["trace", "--json", "--check", "100ms", "--for", "10s", "-o"].map(OsString::from));
    args.push(inner.clone().into());
    args.extend(["-p".into(), busy.pid().to_string().into()]);
    for child in crate::harness::descendants(busy.pid())? {
        args.extend(["-p".into(), child.to_string().into()]);
    }
    let outer = Sockreel::start(dir.path(), "outer", args)?;
    wait_for("the inner one's first lines", || {
        ensure!(!lines(&inner)?.is_empty(), "none yet");
        Ok(())
    })?;
    let mut orders = busy.child().stdin.take().context("no stdin")?;
    orders.write_all(b"....")?;
    let ended = outer.ended()?;
    orders.write_all(b"....")?;
    println!("{}", ended.err.trim());
    let summary = ended.err.lines().find(|line| line.contains(" checks in ")).context("no checks")?;
    ensure!(summary.contains(" 0 lost, 0 doubtful, 0 repaired; "), "{summary}");
    let checks = summary.split("; ").find(|part| part.contains(" checks in ")).unwrap_or_default();
    let checks: u64 = checks.split(' ').next().unwrap_or_default().parse()?;
    ensure!(checks >= 3, "only {checks} checks");
    let opened: Vec<Value> = lines(&out)?.into_iter().filter(|line| line["event"] == "open").collect();
    let paths: Vec<&str> = opened.iter().filter_map(|line| line["path"].as_str()).collect();
    ensure!(paths.contains(&"/sys/kernel/btf/vmlinux"), "the outer one sees too little: {paths:?}");
    let tables = |path: &&str| {
        let parts: Vec<&str> = path.split('/').collect();
        parts.last() == Some(&"fd") || parts.contains(&"fd") && path.contains("/proc/")
    };
    let tables: Vec<&str> = paths.iter().copied().filter(tables).collect();
    ensure!(tables.is_empty(), "it opened {tables:?}");
    Ok(())
}
