//! Order: what happened one after the other, on several CPUs or within a call that takes long, is told so.

use crate::{
    harness::{Group, Sockreel, lines, sound, table, wait_for},
    tables,
};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    ffi::OsString,
    fs,
    process::{Command, Stdio},
};

/// Three threads on the machine's CPUs hand a turn around; in each, the thread closes what the one before it made and makes
/// another. The program cannot do that in any other order.
#[test]
fn what_threads_do_in_turns_is_told_in_turns() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (program, ready) = (tables::program(dir.path())?, dir.path().join("ready"));
    let out = dir.path().join("out.jsonl");
    let mut args: Vec<OsString> = ["trace", "--json", "--check", "off", "-o"].map(Into::into).into();
    args.extend([out.clone().into(), "--".into(), program.into(), "turns".into()]);
    args.extend([ready.clone().into(), "0".into()]);
    let trace = Sockreel::start(dir.path(), "turns", args)?;
    wait_for("a program that is still", || fs::metadata(&ready).context("not there yet").map(drop))?;
    let ended = trace.insist()?;
    println!("{}", ended.err.trim());
    let all = lines(&out)?;
    sound(&all)?;
    let turns: Vec<&Value> = all
        .iter()
        .filter(|line| line["call"] == "dup" || line["call"] == "close")
        .filter(|line| line["tid"] != line["pid"])
        .collect();
    let made = turns.iter().find(|line| line["call"] == "dup").context("no dup")?;
    let mut order: Vec<&Value> = Vec::new();
    for line in turns.iter().filter(|line| line["call"] == "dup").take(3) {
        order.push(&line["tid"]);
    }
    ensure!(
        order.len() == 3 && order[0] != order[1] && order[1] != order[2] && order[0] != order[2],
        "{order:?}"
    );
    // The first turn closes nothing.
    ensure!(turns.len() == 2 * 999 - 1, "{} calls", turns.len());
    for (place, line) in turns.iter().enumerate() {
        let turn = place.div_ceil(2);
        let call = if place % 2 == 0 { "dup" } else { "close" };
        ensure!(line["call"] == call && line["tid"] == *order[turn % 3], "{place}: {line}");
        ensure!(line["late"].is_null(), "{line}");
        let number = if call == "dup" { &line["new_fd"] } else { &line["fd"] };
        ensure!(*number == made["new_fd"], "{place}: {line}");
    }
    let cpus: std::collections::BTreeSet<u64> =
        turns.iter().filter_map(|line| line["cpu"].as_u64()).collect();
    println!("{} calls in order, on CPUs {cpus:?}", turns.len());
    Ok(())
}

/// Closes a socket that lingers (`SO_LINGER`, socket(7)) with data that nobody reads, in one thread; opens another file in
/// another, which gets the number before the close returns.
const LINGERS: &str = "
import os, socket, struct, sys, threading
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
server = listener.accept()[0]
client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 2))
client.setblocking(False)
try:
    while True:
        client.send(b'x' * 65536)
except BlockingIOError:
    pass
number = client.detach()
closing = threading.Thread(target=os.close, args=(number,))
closing.start()
while True:
    try:
        os.fstat(number)
    except OSError:
        break
again = os.open('/dev/null', os.O_RDONLY)
closing.join()
print(number, again, flush=True)
sys.stdin.readline()
";

#[test]
fn a_number_that_is_used_again_while_its_close_lingers() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let said = dir.path().join("said");
    // It is followed before it begins: a shell waits for the order to become it.
    let mut shell = Command::new("sh");
    shell.args(["-c", "read order; exec \"$@\"", "sh", "/usr/bin/python3", "-c", LINGERS]);
    shell.stdin(Stdio::piped()).stdout(fs::File::create(&said)?);
    let mut group = Group::start("lingers", &mut shell)?;
    let pid = group.pid();
    let args = ["serve", "--check", "off", "--listen", "127.0.0.1:0", "-p"].map(OsString::from);
    let mut serve = Sockreel::start(dir.path(), "lingers", args.into_iter().chain([pid.to_string().into()]))?;
    let api = serve.api()?;
    let mut orders = group.child().stdin.take().context("no stdin")?;
    std::io::Write::write_all(&mut orders, b"begin\n")?;
    let numbers: Vec<i64> = wait_for("the two numbers", || {
        let text = fs::read_to_string(&said)?;
        ensure!(text.ends_with('\n'), "not said");
        Ok(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
    })?;
    ensure!(numbers.len() == 2 && numbers[0] == numbers[1], "the number was not used again: {numbers:?}");
    let number = numbers[0];
    wait_for("the table", || {
        let (told, known) = (api.table(pid, None)?, table(pid)?);
        ensure!(told == known, "{told:?}, not {known:?}");
        ensure!(told.get(&number).is_some_and(|(kind, _)| kind == "char_device"), "{told:?}");
        Ok(())
    })?;
    let events = api.events()?;
    let open = events.iter().rfind(|event| event["path"] == "/dev/null" && event["new_fd"] == number);
    let open = open.context("no open")?;
    let closes: Vec<&Value> = events
        .iter()
        .filter(|event| event["call"] == "close" && event["fd"] == number && event["kind"] == "socket")
        .filter(|event| event["call_id"].is_number())
        .collect();
    let [runs, returned] = closes[..] else {
        anyhow::bail!("not a line while it runs and one at its end: {closes:?}")
    };
    ensure!(runs["pending"] == true && runs["call_id"] == returned["call_id"], "{runs}\n{returned}");
    ensure!(returned["ret"] == 0 && runs["socket"] == returned["socket"], "{runs}\n{returned}");
    let time =
        |event: &Value, field: &str| event[field].as_u64().with_context(|| format!("no {field} in {event}"));
    let (opened, ended_at) = (time(open, "ts_ns")?, time(returned, "ts_ns")?);
    let began = ended_at - time(returned, "dur_ns")?;
    ensure!(began < opened && opened < ended_at, "{open}\n{returned}");
    ensure!(time(open, "seq")? < time(returned, "seq")?, "{open}\n{returned}");
    // While the close still ran, the number was the other file's.
    let between = api.table(pid, Some(u128::from(opened.midpoint(ended_at))))?;
    ensure!(between.get(&number).is_some_and(|(kind, _)| kind == "char_device"), "{between:?}");
    let ended = serve.interrupt()?;
    ensure!(ended.err.contains(" 0 lost, 0 doubtful, 0 repaired; "), "{}", ended.err);
    println!("the close ran for {} ms", (ended_at - began) / 1_000_000);
    Ok(())
}
