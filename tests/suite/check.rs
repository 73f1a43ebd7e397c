//! The check: finds what nobody told, costs little, finds nothing where nothing is wrong, and reads no `/proc/PID/fd`.

use crate::{
    harness::{Group, Sockreel, signal_pid, table, wait_for},
    tables,
};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    ffi::OsString,
    fs,
    io::Write as _,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// How long the processes are at work while their tables are compared.
const WORKS: Duration = Duration::from_secs(8);

/// So many iterators have been made when tables have been compared several times.
const ITERATORS: usize = 6;

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
    let reel = dir.path().join("reel");
    let mut args: Vec<OsString> =
        ["serve", "--check", "300ms", "--listen", "127.0.0.1:0"].map(Into::into).into();
    args.extend(["--record".into(), reel.clone().into(), "-p".into(), pid.to_string().into()]);
    let mut serve = Sockreel::start(dir.path(), "serve", args)?;
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
    // The lines say how it stands too: after each repair a line, and none before.
    let told: Vec<Value> = api.events()?.into_iter().filter(|event| event["event"] == "standing").collect();
    ensure!(told.len() == 2, "{told:?}");
    for (count, line) in (1..).zip(&told) {
        ensure!(line["pid"] == pid && line["standing"] == "repaired" && line["repaired"] == count, "{line}");
        ensure!(line["since_ns"].is_u64() && line["since_ns"].as_u64() <= line["ts_ns"].as_u64(), "{line}");
        ensure!(line["why"].is_null(), "{line}");
    }
    // And they are the same in the recording, as text too.
    let ended = serve.interrupt()?;
    let dump = |more: &[&str]| {
        let args = ["dump"].iter().chain(more).map(OsString::from).chain([reel.clone().into()]);
        Sockreel::run(dir.path(), "dump", args)
    };
    let lines: Vec<Value> = dump(&["--json", "--filter", "event:standing"])?
        .out
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(lines == told, "{lines:?}\nnot {told:?}");
    let text = dump(&["--filter", "standing:repaired"])?.out;
    let said: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("the table is ")).map(|(_, said)| said).collect();
    ensure!(
        said == ["right again, 1 difference repaired so far", "right again, 2 differences repaired so far"],
        "{text}"
    );
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

/// One that compares many times while the processes are at work: what it finds, and every file that it names to the kernel, as
/// strace sees it.
fn watched(verb: &str, work: impl FnOnce(&mut Sockreel) -> Result<()>) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", BUSY]).stdin(Stdio::piped());
    let mut busy = Group::start("busy", &mut command)?;
    let children = wait_for("its children", || {
        let children = crate::harness::descendants(busy.pid())?;
        ensure!(children.len() == 3, "{children:?}");
        Ok(children)
    })?;
    let log = dir.path().join("strace.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-q", "-y", "-s", "4096", "-e", "trace=%file,bpf", "-o"]).arg(&log);
    command.arg(Sockreel::program()?).args([verb, "--check", "300ms"]);
    match verb {
        "serve" => command.args(["--listen", "127.0.0.1:0"]),
        _ => command.args(["--json", "-o"]).arg(dir.path().join("out.jsonl")),
    };
    for pid in children.iter().chain([&busy.pid()]) {
        command.args(["-p", &pid.to_string()]);
    }
    let mut watched = Sockreel::start_command(dir.path(), verb, &mut command)?;
    let program = Sockreel::program()?;
    let own = *watched.command(&program.to_string_lossy())?.first().context("no sockreel")?;
    let reads = || fs::read_to_string(&log).context("strace has written nothing");
    wait_for("what it attaches to", || {
        ensure!(reads()?.contains("\"/sys/kernel/btf/vmlinux\""), "not read yet");
        Ok(())
    })?;
    let mut orders = busy.child().stdin.take().context("no stdin")?;
    orders.write_all(b"....")?;
    let worked = work(&mut watched);
    // Each check makes one anew.
    let enough = wait_for("checks", || {
        let made = reads()?.matches("BPF_ITER_CREATE").count();
        ensure!(made >= ITERATORS, "{made} iterators");
        Ok(())
    });
    // strace ends with what it watches, and as that does.
    signal_pid(own, Signal::SIGINT)?;
    let ended = watched.ended()?;
    worked.and(enough)?;
    orders.write_all(b"....")?;
    println!("{verb}: {}", ended.err.trim());
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let summary = ended.err.lines().find(|line| line.contains(" checks in ")).context("no checks")?;
    ensure!(summary.contains(" 0 lost, 0 doubtful, 0 repaired; "), "{summary}");
    let checks = summary.split("; ").find(|part| part.contains(" checks in ")).unwrap_or_default();
    let checks: u64 = checks.split(' ').next().unwrap_or_default().replace(',', "").parse()?;
    ensure!(checks >= 3, "only {checks} checks");
    let text = reads()?;
    let tables: Vec<&str> = text.lines().filter(|call| names_a_table(call)).collect();
    ensure!(tables.is_empty(), "{verb} looked at {tables:?}");
    println!("{verb}: {} calls with a path, none of a table", text.lines().count());
    Ok(())
}

/// Whether a call in strace's log names a table of descriptors, or one in it, or a place below such a directory.
fn names_a_table(call: &str) -> bool {
    call.split(['"', '<', '>']).any(|path| {
        let Some(inside) = path.strip_prefix("/proc/") else { return false };
        inside.split('/').any(|part| part == "fd")
    })
}

#[test]
fn a_path_of_a_table_is_seen() {
    for call in [
        r#"7 openat(AT_FDCWD</>, "/proc/812/fd", O_RDONLY) = 3"#,
        r#"7 readlink("/proc/812/fd/3", "socket:[5]", 99) = 10"#,
        r#"7 statx(AT_FDCWD</>, "/proc/812/task/813/fd/3", 0) = 0"#,
        r#"7 readlinkat(3</proc/812/fd>, "3", "socket:[5]", 99) = 10"#,
        r#"7 newfstatat(3</proc/812/fd/3>, "", 0) = 0"#,
    ] {
        assert!(names_a_table(call), "{call}");
    }
    assert!(!names_a_table(r#"7 openat(AT_FDCWD</>, "/proc/self/fdinfo/3", O_RDONLY) = 3"#));
}

#[test]
fn a_trace_finds_nothing_where_nothing_is_wrong_and_looks_at_no_table_in_proc() -> Result<()> {
    watched("trace", |_| {
        thread::sleep(WORKS);
        Ok(())
    })
}

#[test]
fn a_daemon_finds_nothing_where_nothing_is_wrong_and_looks_at_no_table_in_proc() -> Result<()> {
    watched("serve", |serve| {
        let api = serve.api()?;
        for turn in 0..WORKS.as_millis() / 500 {
            for process in api.get("processes")?["processes"].as_array().context("no processes")? {
                api.get(&format!("descriptors?pid={}", process["pid"]))?;
            }
            for answer in ["sockets", "answers/connections", "answers/queues", "answers/who?of=1"] {
                api.get(answer).with_context(|| format!("turn {turn}"))?;
            }
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    })
}
