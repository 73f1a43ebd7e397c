//! Each way to select follows what it names, from the kernel on, and nothing else.

use crate::harness::{ControlGroup, Group, Server, Sockreel, complete, lines, sound, visits, wait_for};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

/// Traces nginx as `select` says, while nginx and another server have visitors; gives the lines and nginx's processes.
fn traced(
    select: impl FnOnce(&Server, &[u32]) -> Result<Vec<OsString>>,
) -> Result<(Server, Vec<Value>, Vec<u32>)> {
    let (nginx, other) = (Server::nginx()?, Server::python()?);
    let (group, _other) = (nginx.start()?, other.start()?);
    let mut pids = vec![group.pid()];
    pids.extend(crate::harness::descendants(group.pid())?);
    let out = nginx.dir().join("out.jsonl");
    let mut args: Vec<OsString> = vec!["trace".into(), "--json".into(), "-o".into(), out.clone().into()];
    args.extend(select(&nginx, &pids)?);
    let trace = Sockreel::start(nginx.dir(), "trace", &args)?;
    // The snapshot's lines say that everything is attached.
    wait_for("the snapshot", || {
        ensure!(!lines(&out)?.is_empty(), "no line");
        Ok(())
    })
    .with_context(|| trace.stderr().unwrap_or_default())?;
    visits(&other, 2)?;
    let made = visits(&nginx, 4)?;
    wait_for("the visitors' closes", || {
        let seen = lines(&out)?;
        for visit in &made {
            let peer = format!("127.0.0.1:{}", visit.port);
            let closed = seen.iter().any(|line| line["event"] == "close" && line["peer"] == *peer);
            ensure!(closed, "{peer} is not closed in {} lines", seen.len());
        }
        Ok(())
    })?;
    let ended = trace.interrupt()?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let lines = lines(&out)?;
    complete(&lines)?;
    let accepts =
        lines.iter().filter(|line| line["event"] == "accept" && line["ret"].as_i64() > Some(0)).count();
    ensure!(accepts == made.len(), "{accepts} accepts, not {}", made.len());
    Ok((nginx, lines, pids))
}

fn pids_of(lines: &[Value]) -> BTreeSet<u64> {
    lines.iter().filter_map(|line| line["pid"].as_u64()).collect()
}

#[test]
fn by_name() -> Result<()> {
    let (_, lines, pids) = traced(|_, _| Ok(vec!["--comm".into(), "nginx".into()]))?;
    let seen = pids_of(&lines);
    let known = pids.iter().copied().map(u64::from).collect::<BTreeSet<_>>();
    // Another nginx of this machine would be followed as well; it has no visitors of ours.
    ensure!(seen.is_superset(&known), "{seen:?} lacks some of {known:?}");
    ensure!(lines.iter().all(|line| line["comm"] == "nginx"), "another name is followed");
    Ok(())
}

#[test]
fn by_control_group() -> Result<()> {
    let group = ControlGroup::new()?;
    let (_, lines, pids) = traced(|_, pids| {
        for pid in pids {
            fs::write(group.path().join("cgroup.procs"), pid.to_string())?;
        }
        Ok(vec!["--cgroup".into(), group.path().into()])
    })?;
    ensure!(pids_of(&lines) == pids.iter().copied().map(u64::from).collect(), "{:?}", pids_of(&lines));
    Ok(())
}

#[test]
fn by_port() -> Result<()> {
    let (nginx, lines, pids) = traced(|nginx, _| Ok(vec!["--port".into(), nginx.port.to_string().into()]))?;
    let address = nginx.address();
    let known: BTreeSet<u64> =
        pids.iter().copied().map(u64::from).chain([u64::from(std::process::id())]).collect();
    ensure!(pids_of(&lines).is_subset(&known), "{:?} are not among {known:?}", pids_of(&lines));
    for line in &lines {
        let about = |end: &str| line[end] == address;
        let in_port = about("local") || about("peer") || about("asked");
        let known = line["socket"].is_string() || line["listener"].is_string();
        ensure!(in_port || known, "not about {address}: {line}");
    }
    let snapshot = lines.iter().find(|line| line["event"] == "snapshot");
    ensure!(snapshot.is_some_and(|line| line["to"] == "LISTEN"), "the listener's earlier life: {snapshot:?}");
    ensure!(lines.iter().all(|line| line["event"] != "open"), "files are followed");
    Ok(())
}

/// Has many sockets whose connect(2) fails before it changes their state (a broadcast address, `tcp_v4_connect`,
/// net/ipv4/tcp_ipv4.c), and closes them.
const FOLLOWED: &str = "
import errno, os, socket, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
sys.stdin.readline()
made = [socket.socket() for _ in range(400)]
for one in made:
    assert one.connect_ex(('255.255.255.255', 9)) == errno.ENETUNREACH
for one in made:
    one.close()
print('closed', flush=True)
sys.stdin.readline()
";

/// Connects to itself as often, where the kernel has the memory that the others gave back, and prints its port.
const STRANGER: &str = "
import os, socket, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
listener = socket.create_server(('127.0.0.1', 0), backlog=400)
made = [socket.create_connection(listener.getsockname()) for _ in range(400)]
print(listener.getsockname()[1])
";

/// What is known of a socket by its kernel address ends with it, also where nothing told of its end.
#[test]
fn a_stranger_whose_sockets_are_where_followed_ones_were_is_not_followed() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let cpu = nix::sched::sched_getcpu()?.to_string();
    let mut python = Command::new("/usr/bin/python3");
    python.args(["-c", FOLLOWED, &cpu]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut followed = Group::start("followed", &mut python)?;
    let out = dir.path().join("out.jsonl");
    let pid = followed.pid().to_string();
    let args = ["trace", "--json", "--check", "off", "-p", &pid, "-o"].map(OsString::from);
    let trace = Sockreel::start(dir.path(), "trace", args.into_iter().chain([out.clone().into()]))?;
    wait_for("the snapshot", || {
        ensure!(!lines(&out)?.is_empty(), "no line");
        Ok(())
    })?;
    let mut said = String::new();
    writeln!(followed.child().stdin.as_mut().context("no standard input")?, "go on")?;
    let stdout = followed.child().stdout.take().context("no standard output")?;
    BufReader::new(stdout).read_line(&mut said)?;
    ensure!(said == "closed\n", "{said:?}");
    let stranger = Command::new("/usr/bin/python3").args(["-c", STRANGER, &cpu]).output()?;
    let port = String::from_utf8(stranger.stdout)?.trim().to_owned();
    ensure!(!port.is_empty(), "{}", String::from_utf8_lossy(&stranger.stderr));
    let ended = trace.interrupt()?;
    ensure!(ended.code == 0, "{}: {}", ended.code, ended.err);
    let lines = lines(&out)?;
    sound(&lines)?;
    let failed = lines.iter().filter(|line| line["event"] == "connect" && line["error"] == "ENETUNREACH");
    ensure!(failed.count() == 400, "not every connect is told");
    let of_port = |address: &Value| {
        address.as_str().and_then(|address| address.rsplit_once(':')).is_some_and(|(_, of)| of == port)
    };
    let strange: Vec<_> =
        lines.iter().filter(|line| of_port(&line["local"]) || of_port(&line["peer"])).collect();
    ensure!(strange.is_empty(), "{} lines of a stranger, the first {}", strange.len(), strange[0]);
    Ok(())
}
