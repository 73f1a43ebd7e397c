//! What servers leave behind is told, and exactly that: planted leaks, the smallest that is promised among them, and a healthy
//! busy server of which nothing is told.

use crate::{
    harness::{Api, Server, Sockreel, descendants, hold, only_alarms_of, signal_pid, wait_for, wait_within},
    listeners::serve_with_workers,
};
use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Longer than the shortest time in which growth can show, on a machine that is busy otherwise.
pub(crate) const GROWTH: Duration = Duration::from_secs(90);

/// A server under `sockreel serve`, and what it wrote of itself.
pub(crate) struct Watched {
    // It is ended before its folder is gone.
    pub(crate) sockreel: Sockreel,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) api: Api,
}

impl Watched {
    /// `options` are for `serve`.
    pub(crate) fn start(options: &[&str], program: &[&str], record: bool) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut args: Vec<OsString> = ["serve", "--listen", "127.0.0.1:0"].map(Into::into).into();
        args.extend(options.iter().map(Into::into));
        if record {
            args.extend(["--record".into(), dir.path().join("r.mcap").into()]);
        }
        args.push("--".into());
        args.extend(program.iter().map(Into::into));
        let mut sockreel = Sockreel::start(dir.path(), "serve", args)?;
        let api = sockreel.api()?;
        Ok(Self { sockreel, dir, api })
    }

    /// A server of `leaks.py`.
    fn script(what: &str, record: bool) -> Result<(Self, std::path::PathBuf)> {
        let log = tempfile::NamedTempFile::new()?.into_temp_path().keep()?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("suite/leaks.py");
        let script = script.to_str().context("no UTF-8")?;
        let name = log.to_str().context("no UTF-8")?;
        Ok((Self::start(&[], &["/usr/bin/python3", script, what, name], record)?, log))
    }

    pub(crate) fn end(self) -> Result<tempfile::TempDir> {
        let Self { dir, sockreel, .. } = self;
        let ended = sockreel.insist()?;
        ensure!(ended.err.contains(" attempted, "), "{}", ended.err);
        Ok(dir)
    }

    /// Ends it; what grows is told from its recording as the daemon told it at that instant.
    pub(crate) fn replays(self, answer: &Value, at: &str) -> Result<()> {
        let dir = self.end()?;
        for json in [true, false] {
            let mut leaks = Command::new(Sockreel::program()?);
            leaks.args(["leaks", "--from"]).arg(dir.path().join("r.mcap")).args(["--at", at]);
            let out = leaks.args(json.then_some("--json")).output()?.stdout;
            if json {
                let replayed: Value = serde_json::from_slice(&out)?;
                ensure!(replayed["growing"] == answer["growing"], "{replayed}\nwas {answer}");
            } else {
                println!("{}", String::from_utf8(out)?);
            }
        }
        Ok(())
    }
}

/// What a server wrote of itself: the values of one field.
pub(crate) fn noted(log: &Path, field: &str) -> Result<Vec<Value>> {
    let text = fs::read_to_string(log)?;
    let lines = text.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.into_iter().map(|line| line[field].clone()).filter(|value| !value.is_null()).collect())
}

pub(crate) fn only(log: &Path, field: &str) -> Result<Value> {
    wait_for(field, || noted(log, field)?.first().cloned().context("not yet"))
}

/// Lists of an answer that are not empty.
fn told(answer: &Value) -> Vec<&str> {
    let lists = answer.as_object().into_iter().flatten();
    lists
        .filter(|(_, list)| list.as_array().is_some_and(|list| !list.is_empty()))
        .map(|(name, _)| &**name)
        .collect()
}

/// Between two requests at least: of all that are made while a growth shows, a daemon keeps what was closed.
const PACE: Duration = Duration::from_micros(400);

/// Asks a server for `/` until it is told to stop, a connection a request.
fn ask(port: u16, stop: &AtomicBool, asked: &AtomicU64) -> Result<()> {
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due += PACE;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new())?;
        asked.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

#[test]
fn one_descriptor_left_in_a_hundred_requests_is_found() -> Result<()> {
    let (watched, log) = Watched::script("forgetful", true)?;
    let pid = only(&log, "pid")?;
    let port = u16::try_from(only(&log, "port")?.as_u64().context("no port")?)?;
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let answer = thread::scope(|scope| {
        let load = scope.spawn(|| ask(port, &stop, &asked));
        let answer = wait_within(GROWTH, "a growth that is told", || {
            let answer = watched.api.get("answers/leaks")?;
            ensure!(answer["growing"].as_array().is_some_and(|growing| !growing.is_empty()), "{answer}");
            Ok(answer)
        });
        stop.store(true, Ordering::Relaxed);
        load.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
        answer
    })?;
    // Exactly one thing grows, and with it the table.
    ensure!(told(&answer) == ["growing", "room"], "{answer}");
    only_alarms_of(&watched.api, &["leaks growing", "leaks room"])?;
    let [growing] = answer["growing"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        anyhow::bail!("not one growth: {answer}");
    };
    ensure!(
        growing["kind"] == "file" && growing["by"] == "open" && growing["process"]["pid"] == pid,
        "{growing}"
    );
    let (left, made) = (growing["left"].as_u64().context("left")?, growing["made"].as_u64().context("made")?);
    // Each hundredth request leaves one, and each makes one; the time that is judged begins and ends anywhere among them.
    ensure!(made / 100 <= left && left <= made / 100 + 1, "{left} of {made}");
    let planted: BTreeSet<i64> = noted(&log, "left")?.iter().filter_map(Value::as_i64).collect();
    let newest = growing["newest"].as_array().context("no examples")?;
    ensure!(newest.len() == 8.min(usize::try_from(left)?), "{growing}");
    for one in newest {
        ensure!(one["fd"].as_i64().is_some_and(|fd| planted.contains(&fd)), "{one} is none of {planted:?}");
        ensure!(one["made"]["seq"].is_u64(), "no event: {one}");
    }
    let thread = only(&log, "thread")?;
    ensure!(growing["threads"] == json!([{"tid": thread, "left": left.min(64)}]), "{growing}");
    // How far it is to the limit.
    let [room] = answer["room"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        anyhow::bail!("not one table: {answer}");
    };
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let limit =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    ensure!(Some(room["limit"].to_string().as_str()) == limit, "{limit:?}: {room}");
    let number = |field: &str| room[field].as_u64().with_context(|| format!("no {field}: {room}"));
    let rate =
        u128::from(left) * 1_000_000_000_000 / u128::from(growing["over_ns"].as_u64().context("no time")?);
    ensure!(u128::from(number("left_per_1000_s")?) == rate, "{rate}: {room}");
    let free = u128::from(number("limit")? - number("used")?);
    ensure!(u128::from(number("reached_in_ns")?) == free * 1_000_000_000_000 / rate, "{room}");
    println!("{} requests: {growing}\n{room}", asked.load(Ordering::Relaxed));

    // The past is told as it was, by the daemon and by its recording.
    let at = answer["basis"]["at"]["ts_ns"].to_string();
    let past = watched.api.get(&format!("answers/leaks?pid={pid}&at={at}"))?;
    ensure!(past["growing"] == answer["growing"], "{past}\nwas {answer}");

    // The load has ended: what it left is told still, up to the last, and the table fills no more.
    let ended = wait_for("the end of the growth", || {
        let answer = watched.api.get("answers/leaks")?;
        ensure!(answer["growing"][0]["stopped"].is_object() && told(&answer) == ["growing"], "{answer}");
        Ok(answer)
    })?;
    let last = noted(&log, "left")?.pop().context("nothing was left")?;
    ensure!(ended["growing"][0]["newest"][0]["fd"] == last, "not {last}: {ended}");
    watched.replays(&answer, &at)?;
    Ok(fs::remove_file(log)?)
}

#[test]
fn a_peer_that_hung_up_and_a_server_that_does_not_close() -> Result<()> {
    hangs_up("deaf")
}

#[test]
fn a_peer_over_ipv4_hung_up_on_a_server_of_both_versions() -> Result<()> {
    hangs_up("deaf-dual")
}

fn hangs_up(server: &str) -> Result<()> {
    let (watched, log) = Watched::script(server, false)?;
    let (peer, by) = (only(&log, "hung_up")?, only(&log, "by")?);
    let (pid, fd) = (only(&log, "pid")?, only(&log, "holds")?);
    let answer = wait_for("the connection", || {
        let answer = watched.api.get("answers/leaks")?;
        ensure!(told(&answer) == ["hung_up"], "{answer}");
        Ok(answer)
    })?;
    let [hung_up] = answer["hung_up"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        anyhow::bail!("not one: {answer}");
    };
    ensure!(hung_up["socket"]["peer"] == peer && hung_up["peer"]["pid"] == by, "{hung_up}");
    let holders = hung_up["holders"].as_array().context("no holders")?;
    ensure!(holders.len() == 1 && holders[0]["pid"] == pid && holders[0]["fd"] == fd, "{hung_up}");
    ensure!(hung_up["found"] == false && hung_up["since"]["seq"].is_u64(), "{hung_up}");
    // Its age is from the moment on at which the state changed.
    let number = |value: &Value| value.as_u64().with_context(|| format!("no number in {hung_up}"));
    let at = number(&answer["basis"]["at"]["ts_ns"])?;
    let (since, age) = (number(&hung_up["since"]["ts_ns"])?, number(&hung_up["age_ns"])?);
    ensure!(age >= 5_000_000_000 && (at - since).abs_diff(age) < 1_000_000, "{age} at {at}: {hung_up}");
    only_alarms_of(&watched.api, &["leaks hung_up"])?;
    let ss = Command::new("ss").args(["-tnpH", "state", "close-wait"]).output()?.stdout;
    let ss = String::from_utf8(ss)?;
    let peer = peer.as_str().context("no peer")?;
    let row = ss.lines().find(|row| row.contains(peer)).with_context(|| format!("not in {ss}"))?;
    ensure!(row.contains(&format!("pid={pid},fd={fd})")), "{row}");
    println!("{hung_up}");
    let mut text = Command::new(Sockreel::program()?);
    let url = format!("{}/?token={}", watched.api.base, watched.api.token);
    println!("{}", String::from_utf8(text.args(["leaks", "--from", &url]).output()?.stdout)?);
    watched.end()?;
    Ok(fs::remove_file(log)?)
}

/// nginx, whose workers hang while a client goes away.
#[test]
fn a_client_of_nginx_hangs_up_while_its_worker_hangs() -> Result<()> {
    let server = Server::nginx()?;
    let running = server.start()?;
    let mut daemon = serve_with_workers(&server, running.pid())?;
    let api = daemon.api()?;
    let (visit, stream) = hold(&server)?;
    let workers = descendants(running.pid())?;
    for worker in &workers {
        signal_pid(*worker, Signal::SIGSTOP)?;
    }
    drop(stream);
    let answer = wait_for("the connection", || {
        only_alarms_of(&api, &["leaks hung_up"])?;
        api.get("answers/leaks")
    })?;
    let hung_up = &answer["hung_up"][0];
    ensure!(hung_up["socket"]["peer"] == format!("127.0.0.1:{}", visit.port), "{hung_up}");
    let port = format!(":{}", server.port);
    let ss = Command::new("ss").args(["-tnpH", "state", "close-wait", "sport", "=", &port]).output()?.stdout;
    let ss = String::from_utf8(ss)?;
    let holder = &hung_up["holders"][0];
    ensure!(ss.contains(&format!("pid={},fd={})", holder["pid"], holder["fd"])), "{ss}: {hung_up}");
    for worker in &workers {
        signal_pid(*worker, Signal::SIGCONT)?;
    }
    wait_for("the close", || only_alarms_of(&api, &[]))?;
    daemon.insist()?;
    Ok(())
}

#[test]
fn a_connection_that_is_accepted_and_never_read() -> Result<()> {
    let (watched, log) = Watched::script("unread", false)?;
    let (pid, fd, peer) = (only(&log, "pid")?, only(&log, "holds")?, only(&log, "peer")?);
    // Two checks of the table, 10 s apart.
    let answer = wait_within(GROWTH, "the connection", || {
        let answer = watched.api.get("answers/leaks")?;
        ensure!(told(&answer) == ["unread"], "{answer}");
        Ok(answer)
    })?;
    only_alarms_of(&watched.api, &["leaks unread"])?;
    let [unread] = answer["unread"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        anyhow::bail!("not one: {answer}");
    };
    let holders = unread["holders"].as_array().context("no holders")?;
    ensure!(holders.len() == 1 && holders[0]["pid"] == pid && holders[0]["fd"] == fd, "{unread}");
    ensure!(unread["socket"]["peer"] == peer, "{unread}");
    // What the kernel's own diagnostics say of its queue.
    let peer = peer.as_str().context("no peer")?;
    let ss = Command::new("ss").args(["-tnH", "dst", peer]).output()?.stdout;
    let ss = String::from_utf8(ss)?;
    let queue = ss.split_whitespace().nth(1).with_context(|| format!("no row: {ss}"))?;
    ensure!(unread["bytes"] == queue.parse::<u64>()? && queue == "100", "{ss}: {unread}");
    let url = format!("{}/?token={}", watched.api.base, watched.api.token);
    let text = Command::new(Sockreel::program()?).args(["leaks", "--from", &url]).output()?.stdout;
    println!("{}", String::from_utf8(text)?);
    watched.end()?;
    Ok(fs::remove_file(log)?)
}

#[test]
fn a_socket_that_survives_an_exec_is_told() -> Result<()> {
    let (watched, log) = Watched::script("exec", false)?;
    let (pid, fd) = (only(&log, "pid")?, only(&log, "survives")?);
    let answer = wait_for("the exec", || {
        let answer = watched.api.get("answers/leaks")?;
        ensure!(told(&answer) == ["survived_exec"], "{answer}");
        Ok(answer)
    })?;
    only_alarms_of(&watched.api, &["leaks survived_exec"])?;
    let [survived] = answer["survived_exec"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        anyhow::bail!("not one: {answer}");
    };
    ensure!(survived["process"]["pid"] == pid && survived["fd"] == fd, "{survived}");
    ensure!(survived["exec"]["seq"].is_u64(), "{survived}");
    // The kernel's table has it still.
    let link = fs::read_link(format!("/proc/{pid}/fd/{fd}"))?;
    let ino = survived["socket"]["ino"].as_str().context("no inode")?;
    ensure!(link.to_string_lossy() == format!("socket:[{ino}]"), "{link:?}: {survived}");
    watched.end()?;
    Ok(fs::remove_file(log)?)
}
