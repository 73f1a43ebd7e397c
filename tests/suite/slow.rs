//! Where a wait in the accept queue went (`--sched`): each part is planted once, and compared with what the program and the
//! scheduler's own count (`/proc/thread-self/schedstat`) say of the acceptor.

use crate::{
    harness::wait_for,
    listeners::{Program, serve},
};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// Accepts four times after the first, each after something else: it ran, it slept in a call that waits for connections,
/// another thread had its processor, it had no descriptor free. Says what it knows of each.
const ACCEPTOR: &str = "
import json, os, resource, select, socket, sys, time
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(10)
address = listener.getsockname()
cpu = min(os.sched_getaffinity(0))
start, go = os.pipe()
hog = os.fork()
if hog == 0:
    os.close(go)
    os.sched_setaffinity(0, {cpu})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    os.read(start, 1)
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass
    os._exit(0)
print(json.dumps({'port': address[1]}), flush=True)
sys.stdin.readline()
schedstat = lambda: [int(word) for word in open('/proc/thread-self/schedstat').read().split()[:2]]
clients = [socket.socket() for _ in range(5)]
clients[0].connect(address)
kept = [listener.accept()]

def planted(client, plant):
    before = schedstat()
    client.connect(address)
    said = plant() or {}
    kept.append(listener.accept())
    ran, delay = schedstat()
    return {'ran': ran - before[0], 'delay': delay - before[1], **said}

def runs():
    end = time.thread_time_ns() + 300_000_000
    while time.thread_time_ns() < end:
        pass

def sleeps():
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    poll.poll(300)

def waits_for_the_processor():
    os.sched_setaffinity(0, {cpu})
    os.write(go, b'x')

def fails():
    own = len(os.listdir('/proc/self/fd')) - 1
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (own, hard))
    failed = 0
    for _ in range(3):
        try:
            kept.append(listener.accept())
        except OSError as error:
            failed += error.errno == 24
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return {'failed': failed}

plants = [runs, sleeps, waits_for_the_processor, fails]
print(json.dumps([planted(*turn) for turn in zip(clients[1:], plants)]), flush=True)
sys.stdin.readline()
";

/// The scheduler reads its clock a moment before and after what is traced of it (`sched_info_arrive`, kernel/sched/stats.h).
const APART_NS: u64 = 2_000_000;

#[test]
fn each_part_of_a_wait_is_what_the_scheduler_counted() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut program, first) = Program::start(ACCEPTOR, false)?;
    let port = first["port"].as_u64().context("no port")?;
    let mut daemon = serve(dir.path(), program.pid(), &["--sched"])?;
    let api = daemon.api()?;
    wait_for("the first sample", || {
        let answer = api.get("answers/slow")?;
        ensure!(answer["basis"]["caveats"] == json!([]), "{answer}");
        Ok(())
    })?;
    let said = program.tell()?;
    let mut waits = wait_for("all accepts", || {
        let answer = api.get(&format!("answers/slow?of={port}"))?;
        let slow = &answer["listeners"][0];
        ensure!(slow["known"] == 4 && slow["unknown"] == 1, "{answer}");
        ensure!(slow["failed"][0]["error"] == "EMFILE" && slow["failed"][0]["count"] == 3, "{answer}");
        slow["slowest"].as_array().cloned().context("no waits")
    })?;
    waits.retain(|wait| wait["split"].is_object());
    waits.sort_by_key(|wait| wait["accepted"]["seq"].as_u64());
    let share = |wait: &Value, name: &str| wait["split"][name].as_u64().with_context(|| wait.to_string());
    for (wait, said) in waits.iter().zip(said.as_array().context("no list")?) {
        println!("{wait}, the scheduler: {said}");
        let of = |name: &str| said[name].as_u64().with_context(|| said.to_string());
        // The scheduler counted from before the connect to after the accept.
        ensure!(share(wait, "running_ns")? <= of("ran")? + APART_NS, "{wait}, the scheduler: {said}");
        ensure!(share(wait, "runnable_ns")? <= of("delay")? + APART_NS, "{wait}, the scheduler: {said}");
        // Of a thread that was off the processor very often, where one interval of many begins and ends is not known.
        ensure!(share(wait, "unknown_ns")? <= of("ran")?.max(of("delay")?) / 16, "{wait}");
    }
    let with_unknown =
        |wait: &Value, name: &str| Ok::<_, anyhow::Error>(share(wait, name)? + share(wait, "unknown_ns")?);
    let [runs, sleeps, delayed, fails] = waits.as_slice() else { anyhow::bail!("{waits:?}") };
    ensure!(runs["cause"] == "running" && with_unknown(runs, "running_ns")? >= 300_000_000, "{runs}");
    ensure!(sleeps["cause"] == "asleep" && with_unknown(sleeps, "asleep_ns")? >= 299_000_000, "{sleeps}");
    ensure!(
        delayed["cause"] == "runnable" && with_unknown(delayed, "runnable_ns")? >= 290_000_000,
        "{delayed}"
    );
    ensure!(said[3]["failed"] == 3, "{said}");
    ensure!(fails["split"]["accept_failed"] == json!(["EMFILE=3"]), "{fails}");
    for wait in [runs, sleeps, delayed] {
        ensure!(wait["split"]["accept_failed"] == json!([]), "{wait}");
    }
    program.tell().ok();
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}
