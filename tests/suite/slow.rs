//! Where a wait in the accept queue went (`--sched`): each part is planted once, and compared with what the program and the
//! scheduler's own count (`/proc/thread-self/schedstat`) say of the acceptor.

use crate::{
    harness::{Api, Server, only_alarms_of, signal_pid, table, wait_for},
    listeners::{Program, serve},
};
use anyhow::{Context as _, Result, ensure};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::signal::Signal,
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    time::Duration,
};

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

/// By how much what the scheduler counts may be less than what was traced: it reads its clock a moment before and after
/// (`sched_info_arrive`, kernel/sched/stats.h), at each of the times that a thread left its processor, and leaves out what interrupts
/// and the machine's host took (`update_rq_clock_task`, kernel/sched/core.c).
fn apart(wait: &Value) -> u64 {
    2_000_000 + wait["wait_ns"].as_u64().unwrap_or_default() / 50
}

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
        ensure!(share(wait, "running_ns")? <= of("ran")? + apart(wait), "{wait}, the scheduler: {said}");
        ensure!(share(wait, "runnable_ns")? <= of("delay")? + apart(wait), "{wait}, the scheduler: {said}");
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

/// A client that keeps redis from running: it connects on redis's processor and holds that for a while.
const STARVES: &str = "
import json, os, socket, sys, time
cpu, port = {CPU}, {PORT}
os.sched_setaffinity(0, {cpu})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
print(json.dumps({}), flush=True)
sys.stdin.readline()
client = socket.create_connection(('127.0.0.1', port))
end = time.thread_time_ns() + 300_000_000
while time.thread_time_ns() < end:
    pass
print(json.dumps({}), flush=True)
sys.stdin.readline()
";

/// Time that the scheduler says a process's first thread ran, and waited for a processor (proc_pid_schedstat(5)).
fn schedstat(pid: u32) -> Result<[u64; 2]> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat"))?;
    let mut words = text.split_whitespace().map(str::parse);
    Ok([words.next().context("no time")??, words.next().context("no delay")??])
}

/// redis, the connection over which it is told what to do, and its daemon.
struct Redis {
    server: Server,
    pid: u32,
    control: TcpStream,
    api: Api,
}

impl Redis {
    fn tell(&mut self, command: &str) -> Result<()> {
        Ok(self.control.write_all(command.as_bytes())?)
    }

    fn answer(&mut self) -> Result<String> {
        let mut answer = [0; 256];
        let len = self.control.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..len]).into_owned())
    }

    fn connect(&self) -> Result<TcpStream> {
        Ok(TcpStream::connect(self.server.address())?)
    }

    /// What its first thread is in: the number of a call, or `running` (proc_pid_syscall(5)).
    fn is_in(&self, call: &str) -> Result<()> {
        wait_for("redis in what it was told", || {
            let text = fs::read_to_string(format!("/proc/{}/syscall", self.pid))?;
            ensure!(text.split_whitespace().next() == Some(call), "it is in {text}");
            Ok(())
        })
    }

    /// Plants something around a connection, and returns how the wait for its accept is told.
    fn planted(&mut self, plant: impl FnOnce(&mut Self) -> Result<Vec<TcpStream>>) -> Result<Value> {
        let asked = format!("answers/slow?of={}", self.server.port);
        let known = |api: &Api| -> Result<(u64, Value)> {
            let slow = api.get(&asked)?["listeners"][0].clone();
            Ok((slow["known"].as_u64().context("no count")?, slow))
        };
        let (before, _) = known(&self.api)?;
        let [ran, delay] = schedstat(self.pid)?;
        let clients = plant(self)?;
        let slow = wait_for("the accept", || {
            let (now, slow) = known(&self.api)?;
            ensure!(now == before + 1, "{before} before: {slow}");
            Ok(slow)
        })?;
        let [now_ran, now_delay] = schedstat(self.pid)?;
        drop(clients);
        let waits = slow["slowest"].as_array().context("no waits")?;
        let newest = waits.iter().max_by_key(|wait| wait["accepted"]["seq"].as_u64()).context("no wait")?;
        println!("{newest}");
        let split = &newest["split"];
        let part = |name: &str| split[name].as_u64().with_context(|| newest.to_string());
        // The scheduler counted from before the connect to after the accept.
        ensure!(part("running_ns")? <= now_ran - ran + apart(newest), "ran {}: {newest}", now_ran - ran);
        ensure!(
            part("runnable_ns")? <= now_delay - delay + apart(newest),
            "delayed {}: {newest}",
            now_delay - delay
        );
        let sum = ["asleep_ns", "runnable_ns", "running_ns", "blocked_ns", "unknown_ns"].map(part);
        let sum = sum.into_iter().sum::<Result<u64>>()?;
        ensure!(newest["wait_ns"] == json!(sum), "{sum}: {newest}");
        // It is told, and nothing else that could be wrong is.
        only_alarms_of(&self.api, &[])?;
        Ok(newest.clone())
    }
}

/// What may keep redis from accepting: a script, a call that sleeps, a stop, another program on its processor, no descriptor free.
#[test]
fn what_kept_redis_from_accepting() -> Result<()> {
    const LONG: u64 = 200_000_000;
    let dir = tempfile::tempdir()?;
    let mut server = Server::redis()?;
    server.argv.extend(["--enable-debug-command", "yes"].map(str::to_owned));
    let running = server.start()?;
    let pid = running.pid();
    let mut daemon = serve(dir.path(), pid, &["--sched"])?;
    let api = daemon.api()?;
    // What a thread did is known from its first accept on.
    let control = TcpStream::connect(server.address())?;
    control.set_read_timeout(Some(Duration::from_secs(20)))?;
    let asked = format!("answers/slow?of={}", server.port);
    wait_for("the first accept", || {
        let answer = api.get(&asked)?;
        ensure!(answer["listeners"][0]["unknown"] == 1, "{answer}");
        Ok(())
    })?;
    let mut redis = Redis { server, pid, control, api };
    let share = |wait: &Value, name: &str| wait["split"][name].as_u64().with_context(|| wait.to_string());

    let script = |loops: u64| format!("EVAL 'for i = 1, {loops} do end return 1' 0\r\n");
    let [before, _] = schedstat(pid)?;
    redis.tell(&script(5_000_000))?;
    ensure!(redis.answer()? == ":1\r\n", "the script failed");
    let loops = 5_000_000 * 2 * LONG / (schedstat(pid)?[0] - before).max(1);
    let runs = redis.planted(|redis| {
        let [before, _] = schedstat(redis.pid)?;
        redis.tell(&script(loops))?;
        wait_for("redis in its script", || {
            ensure!(schedstat(redis.pid)?[0] > before + 20_000_000, "it has not begun");
            Ok(())
        })?;
        let client = redis.connect()?;
        ensure!(redis.answer()? == ":1\r\n", "the script failed");
        Ok(vec![client])
    })?;
    ensure!(runs["cause"] == "running" && share(&runs, "running_ns")? > LONG, "{runs}");

    let sleeps = redis.planted(|redis| {
        redis.tell("DEBUG SLEEP 0.4\r\n")?;
        redis.is_in(&libc::SYS_clock_nanosleep.to_string())?;
        let client = redis.connect()?;
        ensure!(redis.answer()? == "+OK\r\n", "it did not sleep");
        Ok(vec![client])
    })?;
    ensure!(sleeps["cause"] == "blocked" && share(&sleeps, "blocked_ns")? > LONG, "{sleeps}");
    ensure!(sleeps["split"]["blocked_in"] == "clock_nanosleep", "{sleeps}");

    let stopped = redis.planted(|redis| {
        signal_pid(redis.pid, Signal::SIGSTOP)?;
        let client = redis.connect()?;
        let asked = format!("answers/queues?of={}", redis.server.port);
        wait_for("a wait that lasts", || {
            let waiting = &redis.api.get(&asked)?["queues"][0]["waiting"];
            ensure!(waiting[0]["age_ns"].as_u64() > Some(LONG), "{waiting}");
            Ok(())
        })?;
        signal_pid(redis.pid, Signal::SIGCONT)?;
        Ok(vec![client])
    })?;
    ensure!(stopped["cause"] == "blocked" && share(&stopped, "blocked_ns")? > LONG, "{stopped}");
    ensure!(stopped["split"]["blocked_in"] == "stopped", "{stopped}");

    let mut only = CpuSet::new();
    only.set(0)?;
    sched_setaffinity(Pid::from_raw(i32::try_from(pid)?), &only)?;
    let source = STARVES.replace("{CPU}", "0").replace("{PORT}", &redis.server.port.to_string());
    let (mut hog, _) = Program::start(&source, false)?;
    let starved = redis.planted(|_| {
        hog.tell()?;
        Ok(Vec::new())
    })?;
    ensure!(starved["cause"] == "runnable" && share(&starved, "runnable_ns")? > LONG, "{starved}");

    let limit = |soft: &str| -> Result<()> {
        let limit = format!("--nofile={soft}:");
        let status = Command::new("/usr/bin/prlimit").args(["--pid", &pid.to_string(), &limit]).status()?;
        ensure!(status.success(), "prlimit {limit} failed");
        Ok(())
    };
    let log = redis.server.dir().join("server.log");
    let failures = || -> Result<usize> {
        Ok(fs::read_to_string(&log)?.lines().filter(|line| line.ends_with("Too many open files")).count())
    };
    let before = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let before = before.lines().find_map(|line| line.strip_prefix("Max open files")).context("no limit")?;
    let before = before.split_whitespace().next().context("no soft limit")?.to_owned();
    let full = redis.planted(|redis| {
        let open = table(redis.pid)?;
        let free = (0..1_000).find(|number| !open.contains_key(number)).context("no number is free")?;
        limit(&free.to_string())?;
        let client = redis.connect()?;
        wait_for("a spin", || {
            ensure!(failures()? > 2_000, "{} failed", failures()?);
            Ok(())
        })?;
        limit(&before)?;
        Ok(vec![client])
    })?;
    ensure!(
        full["split"]["accept_failed"] == json!([format!("EMFILE={}", failures()?)]),
        "{}: {full}",
        failures()?
    );
    for wait in [&runs, &sleeps, &stopped, &starved] {
        ensure!(wait["split"]["accept_failed"] == json!([]), "{wait}");
    }
    hog.tell().ok();
    ensure!(daemon.interrupt()?.code == 0, "serve did not end well");
    Ok(())
}
